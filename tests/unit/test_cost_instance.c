/* What else an instance is made of: edges, ties, live tensors, the paper's variant, the list
 * of configurations, and what is refused. Numbers worked by hand. */
#include "cost_bench.h"

/* ---- Edges -------------------------------------------------------------------------------------------- */

/* Two stages of 2 devices, c = 1: X = 8 x 100 x 4 = 3200 B. Layouts: tp1 (a device holds
 * 1600), tp2 (3200), tp2+sp (1600).
 *   tp1 -> tp2: all-gather of 3200 over 2: 1 + 3.2 = 4.2
 *   tp1 -> tp2+sp: all-to-all of 1600 over 2: 3 + 0.8 = 3.8; back: the same
 *   tp2 -> anything smaller: cut; tp2+sp -> tp2: all-gather 4.2; tp2+sp -> tp1: 3.8
 * Across: 5 + bytes / 1e6: 1600 B 6.6, 3200 B 8.2.
 *   tp2 -> tp2: as it lies 8.2; sliced 6.6 + 4.2. tp2 -> tp1: 8.2, sliced 6.6 + 3.8.
 *   tp2 -> tp2+sp: sliced 6.6. */
static void test_edges(void **state)
{
    (void)state;
    static const double move[3][3] = {{0, 4.2, 3.8}, {0, 0, 0}, {3.8, 4.2, 0}};
    static const double cross[3][3] = {
        {6.6, 10.8, 10.4}, {8.2, 8.2, 6.6}, {10.4, 10.8, 6.6}};
    static const char *const names[3] = {"dp2", "tp2", "tp2+sp"};
    bench b;
    bench_init(&b, 2, UAP_SPACE_DP | UAP_SPACE_TP | UAP_SPACE_SP);
    b.layer[0].act_whole_elems = 0; /* else sp has less of everything than nothing else */
    b.layer[1].act_whole_elems = 0;
    uap_instance *instance = build(&b, 2, 1);
    assert_non_null(instance);
    const uap_edge_table *edge = uap_edge_of(instance, 0);
    const uap_layer_table *table = uap_table_of(instance, 0);
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            const int32_t at = uap_edge_index(edge, row_named(table, names[i]),
                                              row_named(table, names[j]));
            assert_i64(edge->r_fwd[at], llround(move[i][j] * TICKS_PER_MS));
            assert_i64(edge->r_bwd[at], llround(move[j][i] * TICKS_PER_MS));
            assert_i64(edge->x_fwd[at], llround(cross[i][j] * TICKS_PER_MS));
            assert_i64(edge->x_bwd[at], llround(cross[j][i] * TICKS_PER_MS));
        }
    }
    bench_free(&b, instance);
}

/* Twelve devices, tp 4 -> tp 6: X = 12 x 100 x 4 = 4800 B: an all-to-all over 12 ranks of 400
 * B, then a gather of 2400 B over 6. Beyond 4 ranks bus bandwidth stays (x 3/4) and latency
 * grows with the logarithm. */
static void test_layouts_that_do_not_nest(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 2, UAP_SPACE_DP | UAP_SPACE_TP);
    b.group.devices_per_node = 12;
    b.options.batch = 12;
    for (int i = 0; i < 2; i++) {
        b.layer[i].heads = b.layer[i].kv_heads = b.layer[i].ffn = 12;
    }
    uap_instance *instance = build(&b, 1, 1);
    assert_non_null(instance);
    const uap_edge_table *edge = uap_edge_of(instance, 0);
    const uap_layer_table *table = uap_table_of(instance, 0);
    const int32_t at =
        uap_edge_index(edge, row_named(table, "dp3.tp4"), row_named(table, "dp2.tp6"));
    const double exchange = 4e-3 * log(12) / log(4) + 400 / (8e6 * 0.75 * 12 / 11);
    const double gather = 2e-3 * log(6) / log(4) + 2400 / (4e6 * 0.75 * 6 / 5);
    assert_close((double)edge->r_fwd[at] * 1e-11, exchange + gather, 1e-8, 0);
    bench_free(&b, instance);
}

/* ---- Ties ------------------------------------------------------------------------------------------------ */

static void make_tied(bench *b)
{
    b->layer[0].vocab = b->layer[1].vocab = 100;
    b->layer[1].shape = 1;
    b->layer[1].params = 200;
    b->layer[1].params_split = 0;
    b->layer[1].tied_params = 800;
    b->model.n_shapes = 2;
    b->model.n_ties = 1;
    b->model.tie[0][0] = 0;
    b->model.tie[0][1] = 1;
}

/* One stage: the head owns its 200 parameters, and gathers 1000. Two stages of 2 devices: it
 * owns 1000, and both pay an all-reduce of two ranks of 800 / 2 x 4 = 1600 B: 1 + 0.8. */
static void test_ties(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 2, UAP_SPACE_FSDP);
    make_tied(&b);
    uap_instance *instance = build(&b, 1, 1);
    assert_i64(instance->n_ties, 1);
    check_row(uap_table_of(instance, 0),
              &(expected_row){"fsdp4", 3.0, 8.0, 0.7, 4000, 128, 12000});
    /* gather 3, scatter of 800 B 3.4; work 2 x 4000 + 800; optimizer 50 x 28 / 1e7 = 0.14 */
    check_row(uap_table_of(instance, 1),
              &(expected_row){"fsdp4", 3.0, 6.4, 0.14, 800, 128, 8800});
    bench_free(&b, instance);

    instance = build(&b, 2, 1);
    /* 4 samples: yf 1.184; gather 1 + 4, scatter 2 + 1; optimizer 500: 1.4; tie 1.8 */
    for (int32_t u = 0; u < 2; u++) {
        check_row(uap_table_of(instance, u),
                  &(expected_row){"fsdp2", 5.0, 8.0, 3.2, 8000, 256, 12000});
    }
    bench_free(&b, instance);
}

/* Tied layers keep every (tp, fsdp) that a partner may need; classes agree on both sides. */
static void test_tied_layers_keep_their_classes(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 2, UAP_SPACE_ALL);
    make_tied(&b);
    uap_instance *instance = build(&b, 1, 1);
    const uap_tie *tie = &instance->tie[0];
    const uap_layer_table *first = uap_table_of(instance, 0);
    const uap_layer_table *last = uap_table_of(instance, 1);
    bool seen[64] = {false};
    int32_t classes = 0;
    for (int32_t i = 0; i < first->n; i++) {
        assert_true(tie->class_a[i] >= 0 && tie->class_a[i] < 64);
        classes += !seen[tie->class_a[i]];
        seen[tie->class_a[i]] = true;
        const uap_strategy a = uap_cost_strategy(b.cost, 0, first->origin[i]);
        bool partner = false;
        for (int32_t j = 0; j < last->n; j++) {
            const uap_strategy z = uap_cost_strategy(b.cost, 0, last->origin[j]);
            const bool alike = a.tp == z.tp && a.fsdp == z.fsdp;
            assert_true(alike == (tie->class_a[i] == tie->class_b[j]));
            partner = partner || alike;
        }
        assert_true(partner);
    }
    assert_i64(classes, 6); /* tp 1: fsdp 1, 2, 4; tp 2: 1, 2; tp 4: 1 */
    bench_free(&b, instance);
}

/* ---- Live tensors ------------------------------------------------------------------------------------------ */

/* Layer 0's output of 50 elements is read by layers 2 and 3: X = 8 x 50 x 4 = 1600 B; two
 * stages of 2: dp2 holds 800 B and sends 5.8; gathering for tp2 takes 1 + 1.6. */
static void test_live_tensor(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 4, UAP_SPACE_DP | UAP_SPACE_TP);
    for (int i = 2; i < 4; i++) {
        b.layer[i].type = UAP_LAYER_CROSS_BLOCK;
        b.layer[i].shape = 1;
    }
    b.model.n_shapes = 2;
    int32_t readers[2] = {2, 3};
    uap_model_live tensor = {.from = 0, .n_readers = 2, .reader = readers, .elems = 50};
    b.model.n_live = 1;
    b.model.live = &tensor;
    uap_instance *instance = build(&b, 2, 1);
    assert_non_null(instance);
    assert_i64(instance->n_live, 1);
    const uap_live_tensor *live = &instance->live[0];
    assert_i64(live->n_consumers, 2);
    assert_i64(live->consumer[0], 2);
    assert_i64(live->consumer[1], 3);
    const uap_layer_table *from = uap_table_of(instance, 0);
    const uap_layer_table *to = uap_table_of(instance, 2);
    const int32_t k = row_named(from, "dp2"), m = row_named(to, "tp2");
    assert_i64(live->x_fwd[k], llround(5.8 * TICKS_PER_MS));
    assert_i64(live->bytes[k], 800);
    assert_i64(live->r_fwd[1][k * to->n + m], llround(2.6 * TICKS_PER_MS));
    assert_i64(live->r_bwd[1][k * to->n + m], 0);
    bench_free(&b, instance);
}

/* ---- The paper's model ---------------------------------------------------------------------------------------- */

/* No latency: all-reduce 4 ms, at c = 2 2 ms a micro-batch of 4 samples (1 a device):
 * yf 0.296, yb 0.592: A = 0.296 + max(2, 0.592). Memory as ever; no work, no G. */
static void test_paper_data_parallel(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_DP);
    b.options.cost = UAP_COST_PAPER;
    add_time(&b, 1, 1, 0.296e-3, 9.0); /* the backward is not taken from the profile */
    uap_instance *instance = build(&b, 1, 2);
    assert_true(instance->objective == UAP_OBJECTIVE_SIMPLE);
    check_row(&instance->table[0], &(expected_row){"dp4", 2.296, 0, 0, 16000, 64, 0});
    bench_free(&b, instance);
}

/* tp 4, 8 samples: 0.688 x 3 + 5 all-reduces of 0.512; edges without latency, summed. */
static void test_paper_tensor_parallel_and_edges(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 2, UAP_SPACE_TP | UAP_SPACE_DP);
    b.options.cost = UAP_COST_PAPER;
    uap_instance *instance = build(&b, 1, 1);
    check_row(&instance->table[0],
              &(expected_row){"tp4", 3 * 0.688 + 5 * 0.512, 0, 0, 6400, 272, 0});
    bench_free(&b, instance);
    instance = build(&b, 2, 1);
    const uap_edge_table *edge = uap_edge_of(instance, 0);
    const uap_layer_table *table = uap_table_of(instance, 0);
    /* dp2 -> tp2: gather 3.2, back a cut; across 1.6 + 3.2, back in slices 1.6 + 0.8. */
    const int32_t at =
        uap_edge_index(edge, row_named(table, "dp2"), row_named(table, "tp2"));
    assert_i64(edge->r_fwd[at], llround(3.2 * TICKS_PER_MS));
    assert_i64(edge->r_bwd[at], 0);
    assert_i64(edge->x_fwd[at], llround((4.8 + 2.4) * TICKS_PER_MS));
    assert_i64(edge->x_bwd[at], 0);
    bench_free(&b, instance);
}

/* ---- Configurations -------------------------------------------------------------------------------------------- */

static void test_configurations(void **state)
{
    (void)state;
    bench b;
    uap_err err = {0};
    bench_init(&b, 2, UAP_SPACE_ALL);
    b.options.batch = 6;
    b.options.schedules = 7;
    assert_ok(uap_cost_new(&b.model, &b.cluster, &b.options, &b.cost, &err), &err);
    /* 4 devices, 2 layers: pp 1 and 2. c in 1 2 3 6: 4 + 4 x 3. */
    assert_i64(uap_cost_count(b.cost), 16);
    const uap_configuration first = uap_cost_configuration(b.cost, 0);
    assert_i64(first.pp, 1);
    assert_i64(first.micro_batches, 1);
    const uap_configuration last = uap_cost_configuration(b.cost, 15);
    assert_i64(last.pp, 2);
    assert_i64(last.micro_batches, 6);
    assert_true(last.schedule == UAP_SCHEDULE_1F1B_EAGER);
    uap_cost_free(b.cost);
    b.cost = NULL;
    b.options.reserve_bytes = 400000000;
    uap_instance *instance = build(&b, 2, 3);
    assert_true(instance->schedule == UAP_SCHEDULE_GPIPE);
    assert_i64(instance->cap[1], 600000000);
    assert_i64(instance->inflight[0], 3);
    bench_free(&b, instance);
}

static void test_illegal_configurations_and_suggestions(void **state)
{
    (void)state;
    bench b;
    char text[256];
    bench_init(&b, 1, UAP_SPACE_DP);
    b.options.batch = 6;
    assert_null(build(&b, 1, 1));
    uap_cost_suggest(b.cost, text, sizeof text);
    assert_non_null(strstr(text, "batch of 4 or 8"));
    assert_non_null(strstr(text, "device count of 3"));
    bench_free(&b, NULL);
    /* Fewer devices than the cluster has. */
    b.options.devices = 3;
    uap_instance *instance = build(&b, 1, 1);
    assert_non_null(instance);
    bench_free(&b, instance);
}

static void check_refused(bench *b, uap_status expected, const char *part)
{
    uap_err err = {0};
    uap_cost *cost = NULL;
    assert_status(uap_cost_new(&b->model, &b->cluster, &b->options, &cost, &err),
                  expected, &err);
    assert_null(cost);
    if (strstr(err.msg, part) == NULL) {
        fail_msg("\"%s\" lacks \"%s\"", err.msg, part);
    }
}

static void test_what_is_refused(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_ALL);
    b.options.devices = 5;
    check_refused(&b, UAP_BAD_USAGE, "5 devices are asked for, cluster \"bench\" has 4");
    b.options.devices = 0;
    b.options.batch = 0;
    check_refused(&b, UAP_BAD_USAGE, "batch is 0");
    b.options.batch = 8;
    b.options.memory_bytes = -1;
    check_refused(&b, UAP_BAD_USAGE, "-1");
    b.options.memory_bytes = 0;
    b.options.schedules = 0;
    check_refused(&b, UAP_BAD_USAGE, "schedule");
    b.options.schedules = 1;
}

/* Every allocation may fail: an error, and nothing leaks. */
static void test_out_of_memory(void **state)
{
    (void)state;
    bench b;
    bool built = false;
    bench_init(&b, 2, UAP_SPACE_ALL);
    make_tied(&b);
    for (int64_t allowed = 0; !built; allowed++) {
        uap_err err = {0};
        uap_instance *instance = NULL;
        uap_cost *cost = NULL;
        uap_mem_fail_after(allowed);
        uap_status status = uap_cost_new(&b.model, &b.cluster, &b.options, &cost, &err);
        if (status == UAP_OK) {
            const uap_source source = uap_cost_source(cost);
            status = source.build(source.context, 0, &instance, &err);
        }
        uap_mem_fail_after(-1);
        built = status == UAP_OK;
        assert_true(built == (instance != NULL));
        assert_true(built || status == UAP_NO_MEMORY);
        uap_instance_free(instance);
        uap_cost_free(cost);
        assert_i64(uap_mem_outstanding(), 0);
    }
}

static void test_warnings(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_DP);
    b.options.memory_bytes = 2000000000;
    uap_instance *instance = build(&b, 1, 1);
    const char *const *warning = uap_cost_warnings(b.cost);
    int n = 0;
    for (; warning[n] != NULL; n++) {
        assert_true(strlen(warning[n]) > 0);
    }
    assert_i64(n, 3); /* data sheet, peak and efficiency, more memory than there is */
    bench_free(&b, instance);
    /* A measured profile that lacks a group says so. */
    b.cluster.source = UAP_MEASURED;
    b.options.memory_bytes = 0;
    add_time(&b, 1, 1, 1e-3, 1e-3);
    instance = build(&b, 1, 1);
    assert_null(uap_cost_warnings(b.cost)[0]);
    bench_free(&b, instance);
    b.cluster.n_collectives = 1;
    b.collective[0].size = 3;
    instance = build(&b, 1, 1);
    assert_non_null(strstr(uap_cost_warnings(b.cost)[0], "all-reduce over 4"));
    assert_null(uap_cost_warnings(b.cost)[1]);
    bench_free(&b, instance);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edges),
        cmocka_unit_test(test_layouts_that_do_not_nest),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_tied_layers_keep_their_classes),
        cmocka_unit_test(test_live_tensor),
        cmocka_unit_test(test_paper_data_parallel),
        cmocka_unit_test(test_paper_tensor_parallel_and_edges),
        cmocka_unit_test(test_configurations),
        cmocka_unit_test(test_illegal_configurations_and_suggestions),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_warnings),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
