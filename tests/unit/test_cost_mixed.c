/* Cost tables of unlike devices, worked by hand from docs/cost-model.md, section 13. */
#include "mixed_bench.h"

#include <stdlib.h>

/* The row of that name on stages of so many devices of the group. */
static int32_t row_of(const uap_instance *in, int32_t u, int32_t group, int64_t devices,
                      const char *name)
{
    const uap_layer_table *table = uap_table_of(in, u);
    const int32_t type = type_of(in, group, devices);
    for (int32_t i = 0; i < table->n; i++) {
        if (table->type[i] == type && strcmp(table->name[i], name) == 0) {
            return i;
        }
    }
    fail_msg("no row %s on %d devices of group %d", name, (int)devices, group);
    return -1;
}

/* ---- Types ------------------------------------------------------------------------------------ */

static void test_types_and_groups(void **state)
{
    (void)state;
    mixed m;
    mixed_init(&m, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    uap_instance *in = build(&m.b, 2, 1);
    assert_non_null(in);
    assert_i64(in->n_types, 5); /* 4, 2, 1 of the one, 2, 1 of the other */
    assert_i64(in->n_groups, 2);
    assert_i64(in->group_devices[0], 4);
    assert_i64(in->group_devices[1], 2);
    assert_i64(in->type[type_of(in, 0, 4)].cap, 1000000000);
    assert_i64(in->type[type_of(in, 1, 2)].cap, 500000000);
    assert_i64(in->cap[0], 1000000000);
    bench_free(&m.b, in);

    /* 8 micro-batches of one sample without tensor parallelism: one device only. */
    mixed_init(&m, 3, UAP_SPACE_DP);
    in = build(&m.b, 3, 8);
    assert_non_null(in);
    assert_i64(in->n_types, 2);
    bench_free(&m.b, in);

    /* Six single devices are room for four stages. */
    mixed_init(&m, 4, UAP_SPACE_DP | UAP_SPACE_TP);
    in = build(&m.b, 4, 1);
    assert_non_null(in);
    bench_free(&m.b, in);
    m.b.options.memory_bytes = 700000000; /* caps, but gives none what it has not */
    in = build(&m.b, 2, 1);
    assert_i64(in->type[type_of(in, 0, 4)].cap, 700000000);
    assert_i64(in->type[type_of(in, 1, 2)].cap, 500000000);
    bench_free(&m.b, in);
}

/* Nodes of 12 of which 30 devices are there: 12, then 6, 3, 1; and 24. */
static void test_sizes_divide_each_other(void **state)
{
    (void)state;
    static const int64_t expected[] = {12, 6, 3, 1, 24};
    mixed m;
    mixed_init(&m, 2, UAP_SPACE_DP);
    m.b.options.batch = 24;
    m.b.options.devices = 34;
    m.group[0] = (uap_node_group){1, 4, 0};
    m.group[1] = (uap_node_group){5, 12, 1};
    uap_instance *in = build(&m.b, 2, 1);
    assert_non_null(in);
    assert_i64(in->group_devices[1], 30);
    int32_t n = 0;
    for (int32_t t = 0; t < in->n_types; t++) {
        if (in->type[t].group == 1) {
            assert_i64(in->type[t].devices, expected[n++]);
        }
    }
    assert_i64(n, 5);
    bench_free(&m.b, in);
}

/* On its own a stage costs what it costs where all devices are like its own. */
static void test_rows_are_those_of_alike_devices(void **state)
{
    (void)state;
    mixed m;
    bench alike;
    mixed_init(&m, 2, UAP_SPACE_ALL);
    bench_init(&alike, 2, UAP_SPACE_ALL);
    uap_instance *in = build(&m.b, 2, 2), *other = build(&alike, 2, 2);
    const uap_layer_table *table = uap_table_of(in, 0), *rows = uap_table_of(other, 0);
    int32_t n = 0;
    for (int32_t i = 0; i < table->n; i++) {
        n += table->type[i] == type_of(in, 0, 2);
    }
    assert_i64(n, rows->n);
    for (int32_t i = 0; i < rows->n; i++) {
        const int32_t k = row_of(in, 0, 0, 2, rows->name[i]);
        assert_i64(table->fwd[k], rows->fwd[i]);
        assert_i64(table->bwd[k], rows->bwd[i]);
        assert_i64(table->grad[k], rows->grad[i]);
        assert_i64(table->state[k], rows->state[i]);
        assert_i64(table->act[k], rows->act[i]);
        assert_i64(table->work[k], rows->work[i]);
    }
    /* And within a type so do the edges. */
    const uap_edge_table *edge = uap_edge_of(in, 0), *same = uap_edge_of(other, 0);
    for (int32_t i = 0; i < rows->n; i++) {
        for (int32_t j = 0; j < rows->n; j++) {
            const int32_t at = uap_edge_index(edge, row_of(in, 0, 0, 2, rows->name[i]),
                                              row_of(in, 1, 0, 2, rows->name[j]));
            const int32_t there = uap_edge_index(same, i, j);
            assert_i64(edge->r_fwd[at], same->r_fwd[there]);
            assert_i64(edge->r_bwd[at], same->r_bwd[there]);
            assert_i64(edge->x_fwd[at], same->x_fwd[there]);
            assert_i64(edge->x_bwd[at], same->x_bwd[there]);
        }
    }
    bench_free(&m.b, in);
    bench_free(&alike, other);
}

/* ---- Boundaries -------------------------------------------------------------------------------- */

/* c = 1: X = 8 x 100 x 4 = 3200 B. From 4 devices of group 0 (800 B each, 4 pairs: 80 kB/s) to 2
 * of group 1 (1600 B each, 2 pairs: 200 kB/s): even parts take 2 + max(10, 8) = 12, twice as
 * much 22.
 *   dp4 -> dp2: 12 both ways.
 *   tp4 -> dp2: as it lies half of it may stay, 22; in the slices that dp2 wants, 12. Back: 12
 *     and a gather of 3200 B over 4: 2.8.
 *   dp2.tp2 -> tp2: 22, or slices and a gather of 3200 B over 2: 12 + 4.2. Back: slices and a
 *     gather of 1600: 12 + 2.6.
 * Within group 0, all in one node: 5 + bytes / 1e6.
 *   dp2 -> one device: max(1600, 3200): 8.2 both ways. dp2 -> dp2: 6.6. */
static void test_boundaries(void **state)
{
    (void)state;
    static const struct {
        int32_t group[2];
        int64_t devices[2];
        const char *name[2];
        double there_ms, back_ms;
    } expected[] = {
        {{0, 1}, {4, 2}, {"dp4", "dp2"}, 12, 12},
        {{0, 1}, {4, 2}, {"tp4", "dp2"}, 12, 14.8},
        {{0, 1}, {4, 2}, {"dp2.tp2", "tp2"}, 16.2, 14.6},
        {{1, 0}, {2, 4}, {"tp2", "dp2.tp2"}, 14.6, 16.2},
        {{0, 0}, {2, 1}, {"dp2", "single"}, 8.2, 8.2},
        {{0, 0}, {2, 2}, {"dp2", "dp2"}, 6.6, 6.6},
    };
    mixed m;
    mixed_init(&m, 2, UAP_SPACE_DP | UAP_SPACE_TP);
    uap_instance *in = build(&m.b, 2, 1);
    assert_non_null(in);
    const uap_edge_table *edge = uap_edge_of(in, 0);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const int32_t at =
            uap_edge_index(edge,
                           row_of(in, 0, expected[i].group[0], expected[i].devices[0],
                                  expected[i].name[0]),
                           row_of(in, 1, expected[i].group[1], expected[i].devices[1],
                                  expected[i].name[1]));
        assert_i64(edge->x_fwd[at], llround(expected[i].there_ms * TICKS_PER_MS));
        assert_i64(edge->x_bwd[at], llround(expected[i].back_ms * TICKS_PER_MS));
    }
    bench_free(&m.b, in);
}

/* What is sent arrives: batch-split tensors, which nobody reshards, take as long back as there,
 * whatever the stages; and no edge between unlike types has a resharding of its own. */
static void test_what_is_sent_arrives(void **state)
{
    (void)state;
    mixed m;
    mixed_init(&m, 2, UAP_SPACE_DP);
    uap_instance *in = build(&m.b, 2, 1);
    const uap_layer_table *table = uap_table_of(in, 0);
    const uap_edge_table *edge = uap_edge_of(in, 0);
    for (int32_t i = 0; i < table->n; i++) {
        for (int32_t j = 0; j < table->n; j++) {
            const int32_t at = uap_edge_index(edge, i, j);
            assert_i64(edge->x_fwd[at], edge->x_bwd[at]);
            assert_true(edge->x_fwd[at] > 0);
            assert_i64(edge->r_fwd[at] + edge->r_bwd[at], 0);
        }
    }
    bench_free(&m.b, in);
}

/* ---- Ties ----------------------------------------------------------------------------------------- */

/* As in test_cost_instance.c: 800 B / 2 x 4 = 1600 B on two devices. In group 0 another stage
 * would be 2 away: 1.8; towards group 1 with 2 pairs: 2 x 2 + 8. A row for either. */
static void test_ties(void **state)
{
    (void)state;
    mixed m;
    mixed_init(&m, 2, UAP_SPACE_FSDP);
    make_tied(&m, 1);
    uap_instance *in = build(&m.b, 2, 1);
    assert_non_null(in);
    const uap_layer_table *table = uap_table_of(in, 0);
    /* optimizer 500 x 28 / 1e7 = 1.4; of equal names the row for group 0 comes first */
    const int32_t a = row_of(in, 0, 0, 2, "fsdp2");
    assert_i64(table->grad[a], llround((1.4 + 1.8) * TICKS_PER_MS));
    assert_i64(table->grad[a + 1], llround((1.4 + 12) * TICKS_PER_MS));
    /* Both must say where both are. */
    const uap_tie *tie = &in->tie[0];
    const int32_t near = row_of(in, 1, 0, 2, "fsdp2"), far = row_of(in, 1, 1, 2, "fsdp2");
    assert_i64(tie->class_a[a], tie->class_b[near]);
    assert_i64(tie->class_a[a + 1], tie->class_b[far]);
    assert_true(tie->class_a[a] != tie->class_b[near + 1]);
    assert_true(tie->class_a[a] != tie->class_b[far]);
    assert_true(tie->class_a[a + 1] != tie->class_b[far + 1]);
    assert_true(tie->class_a[a] != tie->class_b[row_of(in, 1, 0, 4, "fsdp4")]);
    bench_free(&m.b, in);
}

/* ---- Live tensors ----------------------------------------------------------------------------------- */

/* 4 layers; the first one's tensor of 50 elements a sample is read by the last two: X = 8 x 50 x
 * 4 = 1600 B in slices. On 2 devices of group 1 800 B each; a reader with tp2 gathers 1600 over
 * 2: 1 + 1.6 = 2.6, and so does the producer on the way back. From 4 devices of group 0 (400 B)
 * the slices take 2 + max(5, 4) = 7. */
static void test_live_tensors(void **state)
{
    (void)state;
    static int32_t readers[2] = {2, 3};
    mixed m, plain;
    uap_model_live live = {.n_readers = 2, .reader = readers, .elems = 50};
    mixed_init(&m, 4, UAP_SPACE_DP | UAP_SPACE_TP);
    mixed_init(&plain, 4, UAP_SPACE_DP | UAP_SPACE_TP);
    uap_instance *without = build(&plain.b, 2, 1);
    m.b.model.n_live = 1;
    m.b.model.live = &live;
    uap_instance *in = build(&m.b, 2, 1);
    assert_i64(in->n_live, 0);
    static const struct {
        double fwd, bwd;
        int64_t act;
    } more[4] = {{0, 2.6, 0}, {0, 0, 800}, {2.6, 0, 0}, {2.6, 0, 0}};
    for (int32_t u = 0; u < 4; u++) {
        const uap_layer_table *rows = uap_table_of(in, u),
                              *old = uap_table_of(without, u);
        const int32_t k = row_of(in, u, 1, 2, "tp2"), o = row_of(without, u, 1, 2, "tp2");
        const int32_t dp = row_of(in, u, 1, 2, "dp2"),
                      od = row_of(without, u, 1, 2, "dp2");
        assert_i64(rows->fwd[k] - old->fwd[o], llround(more[u].fwd * TICKS_PER_MS));
        assert_i64(rows->bwd[k] - old->bwd[o], llround(more[u].bwd * TICKS_PER_MS));
        assert_i64(rows->act[k] - old->act[o], more[u].act);
        assert_i64(rows->fwd[dp], old->fwd[od]);
        assert_i64(in->start_act[type_of(in, 1, 2) * 4 + u], u >= 2 ? 800 : 0);
    }
    for (int32_t u = 0; u < 3; u++) {
        const uap_edge_table *edge = uap_edge_of(in, u), *old = uap_edge_of(without, u);
        const int32_t at = uap_edge_index(edge, row_of(in, u, 0, 4, "dp4"),
                                          row_of(in, u + 1, 1, 2, "tp2"));
        const int32_t was = uap_edge_index(old, row_of(without, u, 0, 4, "dp4"),
                                           row_of(without, u + 1, 1, 2, "tp2"));
        assert_i64(edge->x_fwd[at] - old->x_fwd[was], llround(7 * TICKS_PER_MS));
        assert_i64(edge->x_bwd[at] - old->x_bwd[was], llround(7 * TICKS_PER_MS));
    }
    bench_free(&plain.b, without);
    bench_free(&m.b, in);
}

/* ---- Errors and warnings ------------------------------------------------------------------------ */

/* Every allocation may fail: an error, and nothing leaks. */
static void test_out_of_memory(void **state)
{
    (void)state;
    mixed m;
    bool built = false;
    mixed_init(&m, 2, UAP_SPACE_ALL);
    for (int64_t allowed = 0; !built; allowed++) {
        uap_err err = {0};
        uap_instance *in = NULL;
        uap_cost *cost = NULL;
        uap_mem_fail_after(allowed);
        uap_status status =
            uap_cost_new(&m.b.model, &m.b.cluster, &m.b.options, &cost, &err);
        if (status == UAP_OK) {
            const uap_source source = uap_cost_source(cost);
            status = source.build(source.context, source.n - 1, &in, &err);
        }
        uap_mem_fail_after(-1);
        built = status == UAP_OK;
        assert_true(built || status == UAP_NO_MEMORY);
        uap_instance_free(in);
        uap_cost_free(cost);
        assert_i64(uap_mem_outstanding(), 0);
    }
}

static void test_what_no_split_suits(void **state)
{
    (void)state;
    char text[256];
    uap_err err = {0};
    uap_cost *cost = NULL;
    mixed m;
    mixed_init(&m, 2, UAP_SPACE_DP);
    m.b.options.batch = 1;
    m.group[0] = (uap_node_group){1, 4, 0};
    assert_ok(uap_cost_new(&m.b.model, &m.b.cluster, &m.b.options, &cost, &err), &err);
    uap_cost_suggest(cost, text, sizeof text);
    assert_non_null(strstr(text, "a batch of 2"));
    /* Warnings say on which devices. */
    const char *const *warning = uap_cost_warnings(cost);
    int n = 0, named = 0;
    for (; warning[n] != NULL; n++) {
        named += strstr(warning[n], "(on slow)") != NULL;
    }
    assert_i64(n, 3); /* data sheet, and peak and efficiency of both */
    assert_i64(named, 1);
    uap_cost_free(cost);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_types_and_groups),
        cmocka_unit_test(test_sizes_divide_each_other),
        cmocka_unit_test(test_rows_are_those_of_alike_devices),
        cmocka_unit_test(test_boundaries),
        cmocka_unit_test(test_what_is_sent_arrives),
        cmocka_unit_test(test_ties),
        cmocka_unit_test(test_live_tensors),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_what_no_split_suits),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
