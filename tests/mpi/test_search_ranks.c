/* The search by all ranks against the same search by one process: the same value,
 * configuration and plan, whatever the number of ranks and the ties. */
#include "mpi/ranks.h"

#include "bench/generate.h"
#include "cli/search_ranks.h"

#include <string.h>

#define MOST_INSTANCES 12

/* Configurations that are copies of ready instances. NULL: no legal strategy. */
typedef struct listed {
    int32_t n;
    uap_instance *instance[MOST_INSTANCES];
    int32_t fails_at; /* building this one fails, on rank 0 alone; -1: none does */
} listed;

static uap_status build(void *context, int32_t index, uap_instance **out, uap_err *err)
{
    const listed *list = context;
    *out = NULL;
    if (index == list->fails_at && uap_comm_rank(ranks_comm) == 0) {
        return UAP_FAIL(err, BAD_INPUT, "no such configuration");
    }
    if (list->instance[index] == NULL) {
        return UAP_OK;
    }
    *out = uap_instance_copy(list->instance[index]);
    return *out != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory");
}

static uap_source source_of(listed *list)
{
    return (uap_source){.n = list->n, .context = list, .build = build};
}

static void free_list(listed *list)
{
    for (int32_t i = 0; i < list->n; i++) {
        uap_instance_free(list->instance[i]);
    }
}

static void add_random(listed *list, uint64_t seed, const uap_generate_range *range)
{
    uap_err err = {0};
    assert_ok(uap_generate_random(seed, range, &list->instance[list->n++], &err), &err);
}

static uap_status search(listed *list, const uap_limits *limits, uap_result *result,
                         uap_err *err)
{
    bool broken = false;
    const uap_source source = source_of(list);
    const uap_status rc =
        uap_search_ranks(ranks_comm, &source, limits, NULL, result, &broken, err);
    if (broken) {
        (void)fprintf(stderr, "%s\n", err->msg);
        uap_comm_abort(ranks_comm, 1);
    }
    return rc;
}

static bool same_choice(const uap_instance *in, const uap_choice *a, const uap_choice *b)
{
    return memcmp(a->first, b->first, (size_t)in->pp * sizeof *a->first) == 0 &&
           memcmp(a->strategy, b->strategy, (size_t)in->n_layers * sizeof *a->strategy) ==
               0;
}

/* Whether two finished searches came to the same. */
static bool same_result(const listed *list, const uap_result *a, const uap_result *b)
{
    if (a->outcome != b->outcome || a->config != b->config || a->bound != b->bound) {
        return false;
    }
    if (a->config < 0) {
        return a->shortage.known == b->shortage.known &&
               a->shortage.need_bytes == b->shortage.need_bytes;
    }
    return a->value == b->value && a->bound == a->value &&
           same_choice(list->instance[a->config], &a->choice, &b->choice);
}

/* All ranks search, some seeds with every node taken by all of them and every job shared out,
 * and others again; rank 0 also alone. */
static void check_same(listed *list, const uap_limits *limits, const char *what,
                       uint64_t seed)
{
    uap_result alone = {0};
    uap_err err = {0};
    const uap_source source = source_of(list);
    const bool is_first = uap_comm_rank(ranks_comm) == 0;
    assert_all(!is_first || uap_exact_solve(&source, limits, &alone, &err) == UAP_OK);
    for (int turn = 0; turn < 2; turn++) {
        uap_result together = {0};
        uap_limits own = limits == NULL ? (uap_limits){0} : *limits;
        own.share_work = turn == 1 && seed % 4 == 1 ? -1 : 0;
        own.long_run_s = turn == 1 && seed % 24 == 1 ? -1 : 0;
        assert_all(search(list, &own, &together, &err) == UAP_OK);
        const bool same = !is_first || same_result(list, &alone, &together);
        if (!same) {
            (void)fprintf(stderr,
                          "%s, seed %" PRIu64 ": outcome %d, configuration %d, %" PRId64
                          "; together %d, %d, %" PRId64 "\n",
                          what, seed, (int)alone.outcome, alone.config, alone.value,
                          (int)together.outcome, together.config, together.value);
        }
        assert_all(same);
        assert_all(together.stats.ranks == uap_comm_size(ranks_comm));
        assert_all(!is_first || together.stats.illegal == alone.stats.illegal);
        uap_result_free(&together);
    }
    uap_result_free(&alone);
}

/* Unlike instances, one of them illegal; some have ties and live tensors, which split. */
static void random_lists_have_one_answer(void **state)
{
    (void)state;
    const uap_generate_range range = {6, 10, 3, 6, 1, 4};
    for (uint64_t seed = 1; seed <= 12; seed++) {
        listed list = {.n = 1, .fails_at = -1};
        for (uint64_t i = 0; i < 6; i++) {
            add_random(&list, 100 * seed + i, &range);
        }
        /* Searches given up and sharp limits, which small instances never need. */
        const uap_limits limits = {.rough_work = seed % 2 == 0 ? 0 : -1,
                                   .effort = seed % 3 == 0 ? 20 : 0};
        check_same(&list, &limits, "random", seed);
        free_list(&list);
    }
}

/* One configuration: its nodes are all there is to share. */
static void one_instance_has_one_answer(void **state)
{
    (void)state;
    const uap_generate_range range = {8, 14, 4, 8, 2, 4};
    for (uint64_t seed = 1; seed <= 40; seed++) {
        listed list = {.fails_at = -1};
        add_random(&list, seed, &range);
        check_same(&list, NULL, "one", seed);
        free_list(&list);
    }
}

static void coarsen(int64_t *value, int32_t n, int64_t unit)
{
    for (int32_t i = 0; i < n; i++) {
        value[i] = (value[i] + unit - 1) / unit * unit;
    }
}

/* Few distinct costs: many plans tie. */
static void coarsen_instance(uap_instance *in, int64_t unit)
{
    for (int32_t t = 0; t < in->n_tables; t++) {
        const uap_layer_table *table = &in->table[t];
        coarsen(table->fwd, table->n, unit);
        coarsen(table->bwd, table->n, unit);
        coarsen(table->grad, table->n, unit);
    }
    for (int32_t t = 0; t < in->n_edges; t++) {
        const uap_edge_table *edge = &in->edge[t];
        const int32_t n = edge->n_from * edge->n_to;
        coarsen(edge->r_fwd, n, unit);
        coarsen(edge->r_bwd, n, unit);
        coarsen(edge->x_fwd, n, unit);
        coarsen(edge->x_bwd, n, unit);
    }
}

/* The same instance many times: the lowest that is legal wins. Coarse costs: plans tie
 * within each of them too. */
static void ties_have_one_answer(void **state)
{
    (void)state;
    const uap_generate_range range = {6, 10, 4, 8, 1, 4};
    for (uint64_t seed = 1; seed <= 16; seed++) {
        listed list = {.n = 1, .fails_at = -1};
        for (uint64_t i = 0; i < 8; i++) {
            add_random(&list, 7000 + seed, &range);
            coarsen_instance(list.instance[list.n - 1], seed % 2 == 0 ? 1 : 200);
        }
        check_same(&list, NULL, "ties", seed);
        free_list(&list);
    }
}

/* Unlike instances with coarse costs: which of a configuration's best plans is met first
 * depends on what the others have found by then. */
static void tied_plans_have_one_answer(void **state)
{
    (void)state;
    const uap_generate_range range = {8, 14, 4, 8, 2, 4};
    for (uint64_t seed = 100; seed < 115; seed++) {
        listed list = {.fails_at = -1};
        for (uint64_t i = 0; i < 5; i++) {
            add_random(&list, 9000 + 10 * seed + i, &range);
            coarsen_instance(list.instance[list.n - 1], 50 + (int64_t)(seed * 37 % 400));
        }
        check_same(&list, NULL, "tied plans", seed);
        free_list(&list);
    }
}

/* Unlike layers on four stages, 16 micro-batches. */
static uap_instance *unlike_layers(uint64_t seed, int32_t n_layers, int32_t n_strategies,
                                   uap_objective objective)
{
    const bool full = objective == UAP_OBJECTIVE_FULL;
    const uap_generate_large what = {.family = UAP_FAMILY_RANDOM,
                                     .objective = objective,
                                     .schedule =
                                         full ? UAP_SCHEDULE_1F1B : UAP_SCHEDULE_GPIPE,
                                     .n_layers = n_layers,
                                     .n_strategies = n_strategies,
                                     .pp = 4,
                                     .micro_batches = 16,
                                     .tightness = 0.4,
                                     .unequal_caps = full,
                                     .seed = seed};
    uap_instance *in = NULL;
    uap_err err = {0};
    assert_ok(uap_generate_family(&what, &in, &err), &err);
    return in;
}

/* A time limit, or a flag on the last rank alone, ends all ranks; nothing is claimed. */
static void stopped_searches_end_everywhere(void **state)
{
    (void)state;
    listed list = {.n = 3, .fails_at = -1};
    for (int32_t i = 0; i < list.n; i++) {
        list.instance[i] = unlike_layers((uint64_t)i + 1, 160, 32, UAP_OBJECTIVE_SIMPLE);
    }
    const bool is_last = uap_comm_rank(ranks_comm) == uap_comm_size(ranks_comm) - 1;
    const volatile sig_atomic_t flag = is_last ? 1 : 0;
    const uap_limits limits[] = {
        {.time_limit_s = 0.2},
        {.stop = &flag},
        {.time_limit_s = 0.5, .share_work = -1}, /* within a node that all ranks take */
        {.stop = &flag, .share_work = -1},
    };
    for (int i = 0; i < 4; i++) {
        uap_result result = {0};
        uap_err err = {0};
        assert_all(search(&list, &limits[i], &result, &err) == UAP_OK);
        assert_all(uap_comm_rank(ranks_comm) != 0 ||
                   result.outcome ==
                       (result.config < 0 ? UAP_OUTCOME_UNKNOWN : UAP_OUTCOME_FEASIBLE));
        assert_all(result.config < 0 || result.bound < result.value);
        uap_result_free(&result);
    }
    free_list(&list);
}

/* Wherever in a node that all ranks take a limit falls, between jobs too, all ranks end alike. */
static void limits_fall_anywhere(void **state)
{
    (void)state;
    listed list = {.n = 1, .fails_at = -1};
    list.instance[0] = unlike_layers(1, 56, 32, UAP_OBJECTIVE_SIMPLE);
    for (int i = 1; i <= 40; i++) {
        const uap_limits limits = {.time_limit_s = 0.004 * i,
                                   .share_work = i % 2 == 0 ? 100000 : 0};
        uap_result result = {0};
        uap_err err = {0};
        const uap_status rc = search(&list, &limits, &result, &err);
        if (rc != UAP_OK) {
            (void)fprintf(stderr, "limit %d: %s\n", i, err.msg);
        }
        assert_all(rc == UAP_OK);
        uap_result_free(&result);
    }
    free_list(&list);
}

/* A node that one rank has worked on for a while goes on where it was. */
static void nodes_set_aside_have_one_answer(void **state)
{
    (void)state;
    listed list = {.fails_at = -1};
    for (uint64_t i = 0; i < 2; i++) {
        list.instance[list.n++] = unlike_layers(7002 + i, 44, 12, UAP_OBJECTIVE_FULL);
    }
    check_same(&list, NULL, "set aside", 0);
    free_list(&list);
}

/* Stopped every so often and gone on with from its checkpoint, wherever it was, a search comes
 * to the same. */
static void stopped_searches_go_on(void **state)
{
    (void)state;
    listed list = {.n = 2, .fails_at = -1};
    uap_result alone = {0};
    uap_err err = {0};
    char path[64], old[80];
    int runs = 0, open = 0;
    (void)snprintf(path, sizeof path, "checkpoint-of-%d-ranks",
                   uap_comm_size(ranks_comm));
    for (int32_t i = 0; i < list.n; i++) {
        list.instance[i] = unlike_layers((uint64_t)i + 1, 56, 32, UAP_OBJECTIVE_SIMPLE);
    }
    (void)snprintf(old, sizeof old, "%s.old", path);
    if (uap_comm_rank(ranks_comm) == 0) { /* of a test that was cut off */
        (void)remove(path);
        (void)remove(old);
    }
    const uap_source source = source_of(&list);
    assert_all(uap_exact_solve(&source, NULL, &alone, &err) == UAP_OK);
    for (int64_t done = 0; done == 0; runs++) {
        bool broken = false;
        uap_result result = {0};
        uap_watch watch = {.checkpoint = path, .interval_s = 0.05, .quiet = true};
        const uap_limits limits = {.time_limit_s = 0.05 * (runs + 1)};
        assert_all(uap_search_ranks(ranks_comm, &source, &limits, &watch, &result,
                                    &broken, &err) == UAP_OK);
        uap_watch_end(&watch);
        done = result.outcome == UAP_OUTCOME_OPTIMAL;
        assert_ok(uap_comm_bcast(ranks_comm, &done, sizeof done, 0, &err), &err);
        open += done == 0;
        const bool same = done == 0 || uap_comm_rank(ranks_comm) != 0 ||
                          same_result(&list, &alone, &result);
        assert_all(same);
        uap_result_free(&result);
    }
    assert_all(open > 0);
    if (uap_comm_rank(ranks_comm) == 0) {
        assert_int_equal(remove(path), 0);
        (void)remove(old);
    }
    uap_result_free(&alone);
    free_list(&list);
}

static void gap_is_kept(void **state)
{
    (void)state;
    const uap_generate_range range = {8, 12, 4, 8, 2, 4};
    const uap_limits limits = {.gap = 0.2};
    for (uint64_t seed = 1; seed <= 10; seed++) {
        listed list = {.fails_at = -1};
        for (uint64_t i = 0; i < 4; i++) {
            add_random(&list, 300 * seed + i, &range);
        }
        uap_result proven = {0}, near = {0};
        uap_err err = {0};
        const uap_source source = source_of(&list);
        assert_all(uap_exact_solve(&source, NULL, &proven, &err) == UAP_OK);
        assert_all(search(&list, &limits, &near, &err) == UAP_OK);
        if (uap_comm_rank(ranks_comm) == 0) {
            assert_int_equal(near.outcome, proven.outcome);
            assert_true(proven.config < 0 || near.value >= proven.value);
            assert_true(proven.config < 0 || near.bound <= proven.value);
            assert_true(proven.config < 0 ||
                        (double)(near.value - near.bound) <= 0.2 * (double)near.value);
        }
        uap_result_free(&proven);
        uap_result_free(&near);
        free_list(&list);
    }
}

static void add_wide(listed *list, uint64_t seed)
{
    uap_err err = {0};
    const uap_generate_wide what = {.chain = {.family = UAP_FAMILY_RANDOM,
                                              .objective = UAP_OBJECTIVE_FULL,
                                              .schedule = UAP_SCHEDULE_1F1B,
                                              .n_layers = 6,
                                              .n_strategies = 4,
                                              .pp = 1 + (int32_t)(seed % 3),
                                              .micro_batches = 4,
                                              .tightness = 0.4,
                                              .seed = seed},
                                    .skips = (uap_skips)(seed % UAP_SKIPS_COUNT),
                                    .n_live = 5,
                                    .layouts = 3,
                                    .weight = 2.0};
    assert_ok(uap_generate_wide_graph(&what, &list->instance[list->n++], &err), &err);
}

/* Many live tensors, with and without linear programs at every node; the nodes travel. */
static void wide_graphs_have_one_answer(void **state)
{
    (void)state;
    static const uint32_t modes[] = {UAP_WIDE_AUTO, UAP_WIDE_LP,
                                     UAP_WIDE_LP | UAP_WIDE_LEAF};
    for (uint64_t seed = 1; seed <= 3; seed++) {
        listed list = {.fails_at = -1};
        add_wide(&list, 20 * seed);
        add_wide(&list, 20 * seed + 1);
        const uap_limits limits = {.wide = modes[seed % 3]};
        check_same(&list, &limits, "wide", seed);
        free_list(&list);
    }
}

static void a_failure_is_told_to_all(void **state)
{
    (void)state;
    const uap_generate_range range = {5, 8, 3, 5, 1, 3};
    listed list = {.fails_at = 0};
    add_random(&list, 1, &range);
    uap_result result = {0};
    uap_err err = {0};
    assert_all(search(&list, NULL, &result, &err) == UAP_BAD_INPUT);
    assert_all(strstr(err.msg, "no such configuration") != NULL);
    free_list(&list);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_lists_have_one_answer),
        cmocka_unit_test(one_instance_has_one_answer),
        cmocka_unit_test(ties_have_one_answer),
        cmocka_unit_test(tied_plans_have_one_answer),
        cmocka_unit_test(stopped_searches_end_everywhere),
        cmocka_unit_test(limits_fall_anywhere),
        cmocka_unit_test(nodes_set_aside_have_one_answer),
        cmocka_unit_test(stopped_searches_go_on),
        cmocka_unit_test(gap_is_kept),
        cmocka_unit_test(wide_graphs_have_one_answer),
        cmocka_unit_test(a_failure_is_told_to_all),
    };
    return RANKS_MAIN(&argc, &argv, tests);
}
