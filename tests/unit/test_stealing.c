/* The tree search among simulated ranks whose messages are late, overtake each other, come
 * twice or never: every node is visited once, the end comes, and not before all is done. */
#include "unit/virtual_trees.h"

#include <string.h>

static const uap_uts_tree hybrid = {.name = "hybrid",
                                    .kind = UAP_UTS_HYBRID,
                                    .shape = UAP_UTS_LINEAR,
                                    .depth = 10,
                                    .b = 4.0,
                                    .q = 0.22,
                                    .m = 4,
                                    .seed = 11};

/* What holds for any search that ran to its end. */
static void check_balance(const uap_virtual_result *result)
{
    assert_i64(result->late, 0);
    assert_i64(result->open_nodes, 0);
    assert_true(result->same_answers);
    assert_i64(result->sum.steals_won, result->sum.steals_given);
    assert_i64(result->sum.nodes_taken, result->sum.nodes_given);
    assert_i64(result->sum.sent[UAP_TAG_STEAL],
               result->sum.sent[UAP_TAG_NONE] + result->sum.sent[UAP_TAG_WORK]);
    assert_i64(result->sum.sent[UAP_TAG_ACK], result->sum.sent[UAP_TAG_WORK]);
}

static void run_uts(const uap_uts_tree *tree, const uap_virtual_machine *machine,
                    int64_t expected)
{
    uap_err err = {0};
    uap_uts_count count = {.tree = tree};
    const uap_tree_problem problem = uap_uts_problem(&count);
    uap_tree_options options = uap_tree_options_default();
    uap_virtual_result result;
    options.seed = machine->seed;
    options.steal_bytes = 1024;
    assert_ok(uap_virtual_run(&problem, &options, machine, &result, &err), &err);
    assert_i64(result.sum.nodes, expected);
    check_balance(&result);
    if (tree->leaves > 0) {
        assert_i64(count.leaves, tree->leaves);
        assert_i64(count.most_depth, tree->most_depth);
    }
    if (machine->size > 1 && machine->jitter_ns < 10000) {
        assert_true(result.sum.steals_won > 0);
    }
}

static void test_sizes(void **state)
{
    (void)state;
    static const int sizes[] = {1, 2, 3, 4, 5, 7, 8, 16, 21, 64, 150};
    const uap_uts_tree small = default_tree(), binomial = binomial_tree(200.0);
    const int64_t n_binomial = count_tree(&binomial), n_hybrid = count_tree(&hybrid);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uap_virtual_machine machine = quiet_machine();
        machine.size = sizes[i];
        run_uts(&small, &machine, small.nodes);
        run_uts(&binomial, &machine, n_binomial);
        run_uts(&hybrid, &machine, n_hybrid);
    }
}

static void test_late_and_repeated(void **state)
{
    (void)state;
    static const int sizes[] = {2, 3, 6, 17, 40};
    static const int64_t jitters_ns[] = {300, 5000, 300000, 5000000};
    const uap_uts_tree small = default_tree(), binomial = binomial_tree(200.0);
    const int64_t n_binomial = count_tree(&binomial);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        for (size_t i = 0; i < 5; i++) {
            for (size_t j = 0; j < 4; j++) {
                const uap_virtual_machine machine =
                    late_machine(sizes[i], jitters_ns[j], seed);
                run_uts(&small, &machine, small.nodes);
                run_uts(&binomial, &machine, n_binomial);
            }
        }
    }
}

/* Whichever message is lost: somebody notices within the stated time, and nobody ends. */
static void test_loss_is_noticed(void **state)
{
    (void)state;
    const uap_uts_tree small = default_tree();
    uap_uts_count count = {.tree = &small};
    const uap_tree_problem problem = uap_uts_problem(&count);
    uap_tree_options options = uap_tree_options_default();
    uap_virtual_machine machine = quiet_machine();
    uap_virtual_result whole;
    uap_err err = {0};
    options.lost_after_ns = 20000000;
    machine.size = 6;
    machine.jitter_ns = 1000;
    assert_ok(uap_virtual_run(&problem, &options, &machine, &whole, &err), &err);
    assert_true(whole.messages > 100);
    for (int64_t lost = 1; lost <= whole.messages; lost++) {
        uap_virtual_result result;
        uap_err_clear(&err);
        machine.lose = lost;
        const uap_status rc =
            uap_virtual_run(&problem, &options, &machine, &result, &err);
        if (rc == UAP_OK &&
            result.lost == UAP_TAG_EDGE_ACK) { /* a later one said it too */
            assert_i64(result.sum.nodes, small.nodes);
            continue;
        }
        assert_status(rc, UAP_INTERNAL, &err);
        assert_non_null(
            strstr(err.msg, "for 0.02 s")); /* lost_after, and at most a nap */
    }
}

static void test_branch_and_bound(void **state)
{
    (void)state;
    static const int sizes[] = {1, 2, 3, 5, 12, 40};
    for (uint64_t seed = 1; seed <= 12; seed++) {
        knapsack k;
        knapsack_make(&k, seed);
        knapsack_solve(&k);
        for (size_t i = 0; i < 6; i++) {
            uap_err err = {0};
            const uap_tree_problem problem = knapsack_problem(&k);
            const uap_tree_options options = uap_tree_options_default();
            const uap_virtual_machine machine = seeded_machine(sizes[i], seed);
            uap_virtual_result result;
            assert_ok(uap_virtual_run(&problem, &options, &machine, &result, &err), &err);
            check_balance(&result);
            assert_i64(result.value, k.best_value);
            assert_memory_equal(result.answer, k.best_choice, KNAPSACK_ITEMS);
            assert_i64(k.n_live, 0);
            assert_i64_le(result.largest.answers_sent,
                          5 * (result.sum.improved + result.largest.learned));
        }
    }
}

/* The worst order for memory: nothing deep before all that is above it. */
static int compare_depths(void *self, const void *a, const void *b)
{
    const knapsack_node *x = a, *y = b;
    (void)self;
    return (x->depth > y->depth) - (x->depth < y->depth);
}

static int64_t no_bound_worth_it(void *self, const void *node)
{
    const knapsack *k = self;
    (void)node;
    return -k->rest[0];
}

static int64_t most_bytes;

static uap_status branch_and_note_memory(void *self, const void *node, uap_tree *tree,
                                         uap_err *err)
{
    const int64_t bytes = uap_mem_bytes();
    most_bytes = bytes > most_bytes ? bytes : most_bytes;
    return knapsack_branch(self, node, tree, err);
}

/* A pool whose limit is near goes deep: it stays small, and the answer is the same. One that
 * is beyond it stops the search, and what it knows holds. */
static void test_memory_limit(void **state)
{
    (void)state;
    static const int sizes[] = {1, 3};
    for (uint64_t seed = 1; seed <= 5; seed++) {
        for (int i = 0; i < 2; i++) {
            knapsack k;
            knapsack_make(&k, seed);
            knapsack_solve(&k);
            uap_err err = {0};
            uap_tree_problem problem = knapsack_problem(&k);
            uap_tree_options options = uap_tree_options_default();
            uap_virtual_machine machine = quiet_machine();
            uap_virtual_result wide, narrow;
            problem.compare = compare_depths;
            problem.branch = branch_and_note_memory;
            most_bytes = 0;
            problem.bound = no_bound_worth_it;
            options.steal_bytes = 512;
            machine.size = sizes[i];
            assert_ok(uap_virtual_run(&problem, &options, &machine, &wide, &err), &err);
            options.memory_limit_bytes = most_bytes / 10 * (sizes[i] == 1 ? 8 : 9);
            assert_ok(uap_virtual_run(&problem, &options, &machine, &narrow, &err), &err);
            check_balance(&narrow);
            assert_true(narrow.sum.went_deep > 0);
            if (sizes[i] == 1) {
                assert_i64_le(4 * narrow.largest.pool_most, 3 * wide.largest.pool_most);
            }
            assert_i64(narrow.value, k.best_value);
            assert_memory_equal(narrow.answer, k.best_choice, KNAPSACK_ITEMS);
            options.memory_limit_bytes = 1000;
            assert_ok(uap_virtual_run(&problem, &options, &machine, &narrow, &err), &err);
            assert_true(narrow.open_nodes > 0);
            assert_true(narrow.sum.nodes < wide.sum.nodes);
            assert_i64(k.n_live, 0);
        }
    }
}

/* Stopped early: every subtree is closed, or open with its bound. */
static void test_time_limit(void **state)
{
    (void)state;
    uap_err err = {0};
    const uap_uts_tree binomial = binomial_tree(200.0);
    uap_uts_count count = {.tree = &binomial};
    const uap_tree_problem problem = uap_uts_problem(&count);
    uap_tree_options options = uap_tree_options_default();
    uap_virtual_machine machine = quiet_machine();
    uap_virtual_result result;
    machine.size = 9;
    machine.jitter_ns = 20000;
    machine.repeat = 0.2;
    options.time_limit_ns = 150000;
    assert_ok(uap_virtual_run(&problem, &options, &machine, &result, &err), &err);
    assert_i64(result.late, 0);
    assert_true(result.open_nodes > 0);
    assert_true(result.sum.nodes > 0 && result.sum.nodes < count_tree(&binomial));
    assert_i64_le(result.time_ns, 20000000);
}

/* A limit that passes while the ranks are taking leave: nobody is told to stop who has left,
 * nobody waits for one who has. */
static void test_time_limit_at_the_end(void **state)
{
    (void)state;
    static const int sizes[] = {2, 3, 9};
    const uap_uts_tree small = default_tree();
    const int64_t nodes = small.nodes;
    for (int i = 0; i < 3; i++) {
        uap_err err = {0};
        uap_uts_count count = {.tree = &small};
        const uap_tree_problem problem = uap_uts_problem(&count);
        uap_tree_options options = uap_tree_options_default();
        uap_virtual_machine machine = quiet_machine();
        uap_virtual_result result;
        machine.size = sizes[i];
        assert_ok(uap_virtual_run(&problem, &options, &machine, &result, &err), &err);
        const int64_t end_ns = result.time_ns;
        int whole = 0;
        for (int64_t early_ns = 0; early_ns < 100000; early_ns += 500) {
            options.time_limit_ns = end_ns - early_ns;
            assert_ok(uap_virtual_run(&problem, &options, &machine, &result, &err), &err);
            assert_i64(result.late, 0);
            assert_i64_le(result.time_ns, end_ns + 1000000);
            assert_true((result.open_nodes == 0) == (result.sum.nodes == nodes));
            whole += result.open_nodes == 0;
        }
        assert_true(whole > 0 && whole < 200);
    }
}

static void test_callback_fails(void **state)
{
    (void)state;
    knapsack k;
    knapsack_make(&k, 7);
    for (int64_t at = 1; at < 40; at += 3) {
        uap_err err = {0};
        const uap_tree_options options = uap_tree_options_default();
        uap_tree_problem problem;
        uap_virtual_machine machine = quiet_machine();
        uap_virtual_result result;
        machine.size = 5;
        k.fail_at = at;
        k.n_branched = 0;
        problem = knapsack_problem(&k);
        assert_status(uap_virtual_run(&problem, &options, &machine, &result, &err),
                      UAP_UNSUPPORTED, &err);
        assert_string_equal(err.msg, "the test fails here");
        assert_i64(k.n_live, 0);
    }
}

/* Memory that runs out at any moment: an error, nothing leaked, nobody hangs. */
static void test_out_of_memory(void **state)
{
    (void)state;
    knapsack k;
    knapsack_make(&k, 3);
    bool done = false;
    for (int64_t n = 0; !done; n += 1 + n / 50) {
        uap_err err = {0};
        const uap_tree_options options = uap_tree_options_default();
        const uap_tree_problem problem = knapsack_problem(&k);
        uap_virtual_machine machine = quiet_machine();
        uap_virtual_result result;
        machine.size = 3;
        uap_mem_fail_after(n);
        const uap_status rc =
            uap_virtual_run(&problem, &options, &machine, &result, &err);
        uap_mem_fail_after(-1);
        done = rc == UAP_OK && k.n_live == 0 && n > 4000;
        if (rc != UAP_OK) {
            assert_status(rc, UAP_NO_MEMORY, &err);
        }
        assert_i64(uap_mem_outstanding(), 0);
        assert_true(n < 1000000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_late_and_repeated),
        cmocka_unit_test(test_loss_is_noticed),
        cmocka_unit_test(test_branch_and_bound),
        cmocka_unit_test(test_time_limit),
        cmocka_unit_test(test_time_limit_at_the_end),
        cmocka_unit_test(test_callback_fails),
        cmocka_unit_test(test_memory_limit),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("stealing", tests, NULL, NULL);
}
