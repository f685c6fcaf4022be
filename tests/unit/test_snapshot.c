/* Snapshots of a running tree search among simulated ranks whose messages are late, overtake
 * each other and come twice: what is below a picture's nodes and what was done before is the
 * whole tree, to the node, and a search that sets out from a picture comes to the same. */
#include "unit/virtual_trees.h"

#include <string.h>

/* The next packed node of a picture; false at its end. */
static bool next_node(const uap_tree_snapshot *picture, size_t *at, const char **bytes,
                      size_t *n)
{
    uint32_t length = 0;
    if (*at == picture->node_bytes) {
        return false;
    }
    assert_true(picture->node_bytes - *at > sizeof length);
    memcpy(&length, picture->nodes + *at, sizeof length);
    assert_true(picture->node_bytes - *at - sizeof length >= length);
    *bytes = picture->nodes + *at + sizeof length;
    *n = length;
    *at += sizeof length + length;
    return true;
}

/* ---- Trees of known size ---- */

typedef struct census {
    const uap_uts_tree *tree;
    int64_t size, last_nodes;
    int ranks;
    int64_t looks, pictures, open; /* seen */
} census;

static void check_picture(void *context, const uap_tree_snapshot *picture)
{
    census *c = context;
    const char *bytes = NULL;
    size_t at = 0, n = 0;
    int64_t below = 0, open = 0;
    assert_i64(picture->sum.ranks, c->ranks);
    assert_i64(picture->sum.failed, 0);
    assert_true(picture->sum.nodes >= c->last_nodes && picture->sum.nodes <= c->size);
    assert_true((picture->sum.open == 0) == (picture->sum.bound == UAP_TREE_NO_ANSWER));
    c->last_nodes = picture->sum.nodes;
    c->looks++;
    if (!picture->has_nodes) {
        assert_i64((int64_t)picture->node_bytes, 0);
        return;
    }
    while (next_node(picture, &at, &bytes, &n)) {
        uap_uts_node node;
        assert_i64((int64_t)n, (int64_t)sizeof node);
        memcpy(&node, bytes, sizeof node);
        below += count_below(c->tree, &node);
        open++;
    }
    assert_i64(open, picture->sum.open);
    assert_i64(picture->sum.nodes + below, c->size);
    c->pictures++;
    c->open += open;
}

static census run_census(const uap_uts_tree *tree, int64_t size,
                         const uap_virtual_machine *machine, int64_t every_ns)
{
    uap_err err = {0};
    census c = {.tree = tree, .size = size, .ranks = machine->size};
    uap_uts_count count = {.tree = tree};
    const uap_tree_problem problem = uap_uts_problem(&count);
    uap_tree_options options = uap_tree_options_default();
    uap_virtual_result result;
    options.seed = machine->seed;
    options.steal_bytes = 300; /* a picture takes many messages */
    options.snapshot = check_picture;
    options.snapshot_context = &c;
    options.look_every_ns = every_ns;
    options.keep_every_ns = 3 * every_ns;
    assert_ok(uap_virtual_run(&problem, &options, machine, &result, &err), &err);
    assert_i64(result.sum.nodes, size);
    assert_i64(result.late, 0);
    assert_i64(result.open_nodes, 0);
    assert_i64(result.sum.snapshots, c.looks * machine->size);
    return c;
}

static void pictures_are_whole_trees(void **state)
{
    (void)state;
    static const int sizes[] = {1, 2, 3, 4, 6, 17, 64};
    static const int64_t jitters_ns[] = {0, 300, 5000, 300000};
    const uap_uts_tree binomial = binomial_tree(400.0);
    const int64_t size = count_tree(&binomial);
    int64_t pictures = 0, open = 0;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            for (size_t j = 0; j < 4; j++) {
                const uap_virtual_machine machine =
                    late_machine(sizes[i], jitters_ns[j], seed);
                const census c =
                    run_census(&binomial, size, &machine, 3000 * (int64_t)seed);
                pictures += c.pictures;
                open += c.open;
            }
        }
    }
    assert_true(pictures > 700);
    assert_true(open > 10 * pictures);
}

/* A picture without nodes costs a message each way on every edge. */
static void few_messages_each(void **state)
{
    (void)state;
    const uap_uts_tree binomial = binomial_tree(400.0);
    const int64_t size = count_tree(&binomial);
    uap_virtual_machine machine = quiet_machine();
    machine.size = 64;
    uap_err err = {0};
    census c = {.tree = &binomial, .size = size, .ranks = machine.size};
    uap_uts_count count = {.tree = &binomial};
    const uap_tree_problem problem = uap_uts_problem(&count);
    uap_tree_options options = uap_tree_options_default();
    uap_virtual_result with, without;
    assert_ok(uap_virtual_run(&problem, &options, &machine, &without, &err), &err);
    options.snapshot = check_picture;
    options.snapshot_context = &c;
    options.look_every_ns = 20000;
    assert_ok(uap_virtual_run(&problem, &options, &machine, &with, &err), &err);
    assert_true(c.looks > 2);
    /* Down and up each edge, at most 5 edges a rank. */
    assert_i64_le(with.largest.sent[UAP_TAG_EDGE],
                  without.largest.sent[UAP_TAG_EDGE] + 5 * c.looks + 20);
}

/* ---- Setting out from a picture ---- */

#define MOST_PICTURES 40
#define MOST_BYTES    20000

typedef struct picture {
    size_t n_bytes, n_answer;
    int64_t value;
    char bytes[MOST_BYTES];
    char answer[KNAPSACK_ITEMS];
} picture;

typedef struct album {
    knapsack k; /* first: the callbacks take an album for one */
    int n;
    picture at[MOST_PICTURES];
    const picture *from; /* to set out from */
} album;

static void keep_picture(void *context, const uap_tree_snapshot *seen)
{
    album *a = context;
    if (!seen->has_nodes || a->n == MOST_PICTURES || seen->node_bytes > MOST_BYTES) {
        return;
    }
    picture *p = &a->at[a->n++];
    assert_i64(seen->sum.failed, 0);
    *p = (picture){.n_bytes = seen->node_bytes,
                   .n_answer = seen->answer_bytes,
                   .value = seen->value};
    if (p->n_bytes > 0) {
        memcpy(p->bytes, seen->nodes, p->n_bytes);
    }
    if (p->n_answer > 0) {
        memcpy(p->answer, seen->answer, p->n_answer);
    }
}

static uap_status root_of_picture(void *self, uap_tree *tree, uap_err *err)
{
    uap_status rc = UAP_OK;
    album *a = self;
    const uap_tree_snapshot all = {.nodes = a->from->bytes,
                                   .node_bytes = a->from->n_bytes};
    const char *bytes = NULL;
    size_t at = 0, n = 0;
    if (a->from->value != UAP_TREE_NO_ANSWER) {
        UAP_TRY(uap_tree_improve(tree, a->from->value, a->from->answer, a->from->n_answer,
                                 err));
    }
    while (next_node(&all, &at, &bytes, &n)) {
        knapsack_node node;
        UAP_TRY(knapsack_unpack(&a->k, bytes, n, &node, err));
        UAP_TRY(knapsack_add(&a->k, tree, &node, err));
    }
done:
    return rc;
}

static void resumed_searches_agree(void **state)
{
    (void)state;
    static album a;
    static const int sizes[] = {1, 2, 3, 5, 12, 40};
    int resumed = 0, halfway = 0;
    for (uint64_t seed = 1; seed <= 10; seed++) {
        for (size_t i = 0; i < 6; i++) {
            uap_err err = {0};
            uap_tree_options options = uap_tree_options_default();
            uap_virtual_machine machine = seeded_machine(sizes[i], seed);
            uap_virtual_result result;
            knapsack_make(&a.k, seed);
            knapsack_solve(&a.k);
            a.n = 0;
            options.slice_min_ns = 0; /* callbacks let every message through */
            options.snapshot = keep_picture;
            options.snapshot_context = &a;
            options.keep_every_ns = 1000;
            uap_tree_problem problem = knapsack_problem(&a.k);
            problem.self = &a;
            assert_ok(uap_virtual_run(&problem, &options, &machine, &result, &err), &err);
            assert_i64(result.value, a.k.best_value);
            options.snapshot = NULL;
            problem.root = root_of_picture;
            for (int p = 0; p < a.n; p++) {
                a.from = &a.at[p];
                machine.size = sizes[(i + (size_t)p) % 6];
                assert_ok(uap_virtual_run(&problem, &options, &machine, &result, &err),
                          &err);
                assert_i64(result.value, a.k.best_value);
                assert_memory_equal(result.answer, a.k.best_choice, KNAPSACK_ITEMS);
                assert_i64(a.k.n_live, 0);
                resumed++;
                halfway += a.from->n_bytes > 0 && a.from->value != UAP_TREE_NO_ANSWER;
            }
        }
    }
    assert_true(resumed > 500);
    assert_true(halfway > 50);
}

/* ---- Faults ---- */

/* Whichever message is lost, of those of snapshots too: somebody notices within the stated
 * time, and every picture that was handed over until then is whole. */
static void loss_leaves_pictures_whole(void **state)
{
    (void)state;
    const uap_uts_tree small = default_tree();
    census c = {.tree = &small, .size = small.nodes, .ranks = 6};
    uap_uts_count count = {.tree = &small};
    const uap_tree_problem problem = uap_uts_problem(&count);
    uap_tree_options options = uap_tree_options_default();
    uap_virtual_machine machine = quiet_machine();
    uap_virtual_result whole, result;
    uap_err err = {0};
    options.lost_after_ns = 20000000;
    options.snapshot = check_picture;
    options.snapshot_context = &c;
    options.keep_every_ns = 500;
    machine.size = 6;
    machine.jitter_ns = 1000;
    assert_ok(uap_virtual_run(&problem, &options, &machine, &whole, &err), &err);
    assert_true(c.pictures >= 4);
    for (int64_t lost = 1; lost <= whole.messages; lost++) {
        uap_err_clear(&err);
        machine.lose = lost;
        c.last_nodes = 0;
        const uap_status rc =
            uap_virtual_run(&problem, &options, &machine, &result, &err);
        if (rc != UAP_OK || result.lost != UAP_TAG_EDGE_ACK) {
            assert_status(rc, UAP_INTERNAL, &err);
            assert_non_null(strstr(err.msg, "for 0.02 s"));
        }
    }
}

static void forget_picture(void *context, const uap_tree_snapshot *seen)
{
    (void)context;
    (void)seen;
}

/* Without memory for a picture it is marked, and the search goes on. */
static void test_out_of_memory(void **state)
{
    (void)state;
    static album a;
    bool done = false;
    knapsack_make(&a.k, 3);
    for (int64_t n = 0; !done; n += 1 + n / 40) {
        uap_err err = {0};
        uap_tree_options options = uap_tree_options_default();
        uap_tree_problem problem = knapsack_problem(&a.k);
        uap_virtual_machine machine = quiet_machine();
        uap_virtual_result result;
        options.keep_every_ns = 5000;
        options.snapshot = forget_picture;
        machine.size = 3;
        uap_mem_fail_after(n);
        const uap_status rc =
            uap_virtual_run(&problem, &options, &machine, &result, &err);
        uap_mem_fail_after(-1);
        done = rc == UAP_OK && n > 5000;
        assert_true(rc == UAP_OK || rc == UAP_NO_MEMORY);
        assert_i64(uap_mem_outstanding(), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pictures_are_whole_trees),
        cmocka_unit_test(few_messages_each),
        cmocka_unit_test(resumed_searches_agree),
        cmocka_unit_test(loss_leaves_pictures_whole),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests_name("snapshot", tests, NULL, NULL);
}
