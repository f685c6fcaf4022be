/* Cost tables of unlike devices, worked by hand from docs/cost-model.md, section 13, and what must
 * hold of the best plans on them, found by trying all. */
#include "cost_bench.h"

#include "bench/brute.h"

#include <stdlib.h>

/* Group 0: the bench's node of 4. Group 1: a node of 2 at a quarter of the speed with half the
 * memory. Between them 2 ms and, with 1, 2 or 4 pairs at once, 400, 200 or 80 kB/s each. */
typedef struct mixed {
    bench b;
    uap_device_class device[2];
    uap_node_group group[2];
    uap_p2p p2p[4];
} mixed;

static void mixed_init(mixed *m, int32_t n_layers, uint32_t space)
{
    static char slow[] = "slow";
    bench_init(&m->b, n_layers, space);
    m->device[0] = m->b.device;
    m->device[1] = m->b.device;
    m->device[1].name = slow;
    m->device[1].memory_bytes /= 2;
    m->device[1].efficiency /= 4;
    m->group[0] = (uap_node_group){1, 4, 0};
    m->group[1] = (uap_node_group){1, 2, 1};
    m->p2p[0] = m->b.p2p;
    for (int i = 1; i < 4; i++) {
        m->p2p[i] = (uap_p2p){.span = UAP_SPAN_CLUSTER,
                              .pairs = 1 << (i - 1),
                              .latency_s = 2e-3,
                              .bandwidth_Bps = i == 1   ? 4e5
                                               : i == 2 ? 2e5
                                                        : 8e4,
                              .is_between = true,
                              .from = 0,
                              .to = 1};
    }
    m->b.cluster.n_classes = 2;
    m->b.cluster.device_class = m->device;
    m->b.cluster.n_groups = 2;
    m->b.cluster.group = m->group;
    m->b.cluster.n_p2p = 4;
    m->b.cluster.p2p = m->p2p;
}

static int32_t type_of(const uap_instance *in, int32_t group, int64_t devices)
{
    for (int32_t t = 0; t < in->n_types; t++) {
        if (in->type[t].group == group && in->type[t].devices == devices) {
            return t;
        }
    }
    return -1;
}

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

/* Layer `head` uses 800 of the first layer's parameters and owns 200. */
static void make_tied(mixed *m, int32_t head)
{
    uap_layer *layer = m->b.layer;
    layer[0].vocab = layer[head].vocab = 100;
    layer[head].shape = 1;
    layer[head].params = 200;
    layer[head].params_split = 0;
    layer[head].tied_params = 800;
    m->b.model.n_shapes = 2;
    m->b.model.n_ties = 1;
    m->b.model.tie[0][0] = 0;
    m->b.model.tie[0][1] = head;
}

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

/* ---- The best plans -------------------------------------------------------------------------------- */

typedef struct best {
    int64_t value; /* ticks; INT64_MAX: nothing fits */
    bool uses[2];  /* the groups */
} best;

/* Every configuration of at least so many stages by brute force. */
static best best_from(mixed *m, int32_t pp)
{
    uap_err err = {0};
    best found = {.value = INT64_MAX};
    uap_cost *cost = NULL;
    assert_ok(uap_cost_new(&m->b.model, &m->b.cluster, &m->b.options, &cost, &err), &err);
    const uap_source source = uap_cost_source(cost);
    for (int32_t i = 0; i < source.n; i++) {
        uap_instance *in = NULL;
        uap_brute_result result;
        if (uap_cost_configuration(cost, i).pp < pp) {
            continue;
        }
        assert_ok(source.build(source.context, i, &in, &err), &err);
        if (in == NULL) {
            continue;
        }
        assert_ok(uap_brute_solve(in, &result, &err), &err);
        if (result.feasible && result.value < found.value) {
            found = (best){.value = result.value};
            for (int32_t u = 0; u < in->n_layers && in->n_types > 0; u++) {
                const uap_layer_table *table = uap_table_of(in, u);
                found.uses[in->type[table->type[result.strategy[u]]].group] = true;
            }
        }
        uap_instance_free(in);
    }
    uap_cost_free(cost);
    return found;
}

static best best_of(mixed *m)
{
    return best_from(m, 1);
}

/* The exact engine and CBC find what trying all finds, with ties and live tensors too. */
static void test_engines_find_the_best(void **state)
{
    (void)state;
    static int32_t readers[1] = {2};
    uap_model_live live = {.n_readers = 1, .reader = readers, .elems = 50};
    for (int i = 0; i < 9; i++) {
        mixed m;
        uap_err err = {0};
        uap_cost *cost = NULL;
        uap_result exact = {0}, cbc = {0};
        const uap_limits limits = {0};
        mixed_init(&m, 3, i % 2 == 0 ? UAP_SPACE_DP | UAP_SPACE_TP : UAP_SPACE_FSDP);
        m.device[1].efficiency *= 1 + i % 3;
        m.device[i % 2].memory_bytes = i < 3 ? 40000 : 1000000;
        m.b.options.cost = i == 4 ? UAP_COST_PAPER : UAP_COST_FULL;
        m.b.options.batch = i == 5 ? 4 : 2;
        m.b.model.n_live = i >= 6;
        m.b.model.live = &live;
        if (i == 8) {
            make_tied(&m, 2);
        }
        const best found = best_of(&m);
        assert_ok(uap_cost_new(&m.b.model, &m.b.cluster, &m.b.options, &cost, &err),
                  &err);
        const uap_source source = uap_cost_source(cost);
        assert_ok(uap_exact_solve(&source, &limits, &exact, &err), &err);
        assert_ok(uap_cbc_solve(&source, &limits, &cbc, &err), &err);
        assert_true(exact.outcome == UAP_OUTCOME_OPTIMAL);
        assert_i64(exact.value, found.value);
        assert_i64(cbc.value, found.value);
        uap_result_free(&exact);
        uap_result_free(&cbc);
        uap_cost_free(cost);
    }
}

static void swap_groups(mixed *m)
{
    const uap_node_group first = m->group[0];
    m->group[0] = m->group[1];
    m->group[1] = first;
}

static void test_the_order_of_groups_does_not_matter(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        mixed m;
        mixed_init(&m, 3, i == 0 ? UAP_SPACE_DP : UAP_SPACE_DP | UAP_SPACE_TP);
        m.device[1].efficiency *= i == 1 ? 3.9 : 1;
        m.device[0].memory_bytes = i == 2 ? 70000 : m.device[0].memory_bytes;
        m.b.options.schedules = 7;
        const best one = best_of(&m);
        swap_groups(&m);
        const best other = best_of(&m);
        assert_i64(one.value, other.value);
        assert_true(one.value < INT64_MAX);
        assert_true(one.uses[0] == other.uses[1] && one.uses[1] == other.uses[0]);
    }
}

/* A class that is no use is left out; the devices that are left do at least as well as alone. */
static void test_a_useless_class_is_left_out(void **state)
{
    (void)state;
    mixed m, alone;
    mixed_init(&m, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    mixed_init(&alone, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    m.device[1].efficiency = 1e-4;
    alone.b.cluster.n_groups = 1;
    const best found = best_of(&m), without = best_of(&alone);
    assert_true(found.uses[0]);
    assert_false(found.uses[1]);
    assert_i64_le(found.value, without.value);
}

/* And one that is some use is put to it. */
static void test_a_useful_class_helps(void **state)
{
    (void)state;
    mixed m, alone;
    mixed_init(&m, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    mixed_init(&alone, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    for (int i = 1; i < 4; i++) {
        m.p2p[i].latency_s = 1e-6;
        m.p2p[i].bandwidth_Bps *= 1e4;
    }
    m.device[1].efficiency = m.device[0].efficiency = 0.001;
    alone.device[0].efficiency = 0.001;
    alone.b.cluster.n_groups = 1;
    const best found = best_of(&m), without = best_of(&alone);
    assert_true(found.uses[0] && found.uses[1]);
    assert_true(found.value < without.value);
}

static void assert_same_i64(const int64_t *a, const int64_t *b, int64_t n)
{
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

static void assert_same_instance(const uap_instance *a, const uap_instance *b)
{
    assert_i64(a->n_types, 0);
    assert_i64(b->n_types, 0);
    assert_i64(a->n_tables, b->n_tables);
    assert_i64(a->n_edges, b->n_edges);
    assert_same_i64(a->cap, b->cap, a->pp);
    for (int32_t i = 0; i < a->n_tables; i++) {
        const uap_layer_table *s = &a->table[i], *t = &b->table[i];
        assert_i64(s->n, t->n);
        assert_same_i64(s->fwd, t->fwd, s->n);
        assert_same_i64(s->bwd, t->bwd, s->n);
        assert_same_i64(s->grad, t->grad, s->n);
        assert_same_i64(s->state, t->state, s->n);
        assert_same_i64(s->act, t->act, s->n);
        assert_same_i64(s->work, t->work, s->n);
    }
    for (int32_t i = 0; i < a->n_edges; i++) {
        const uap_edge_table *s = &a->edge[i], *t = &b->edge[i];
        const int64_t n = (int64_t)s->n_from * s->n_to;
        assert_i64(n, (int64_t)t->n_from * t->n_to);
        assert_same_i64(s->r_fwd, t->r_fwd, n);
        assert_same_i64(s->x_fwd, t->x_fwd, n);
        assert_same_i64(s->r_bwd, t->r_bwd, n);
        assert_same_i64(s->x_bwd, t->x_bwd, n);
    }
}

/* Two groups of equal classes are one group of as many nodes: the same configurations, and of
 * each the same numbers. */
static void test_equal_classes_are_one(void **state)
{
    (void)state;
    uap_err err = {0};
    mixed m, one;
    mixed_init(&m, 3, UAP_SPACE_ALL);
    mixed_init(&one, 3, UAP_SPACE_ALL);
    m.device[1] = m.device[0];
    m.group[1] = m.group[0];
    m.group[1].device_class = 1;
    one.group[0].nodes = 2;
    one.b.cluster.n_groups = 1;
    for (int i = 1; i < 4; i++) {
        m.p2p[i].is_between = false;
        one.p2p[i].is_between = false;
    }
    uap_cost *cost = NULL, *other = NULL;
    assert_ok(uap_cost_new(&m.b.model, &m.b.cluster, &m.b.options, &cost, &err), &err);
    assert_ok(uap_cost_new(&one.b.model, &one.b.cluster, &one.b.options, &other, &err),
              &err);
    const uap_source source = uap_cost_source(cost), sources = uap_cost_source(other);
    assert_i64(source.n, sources.n);
    for (int32_t i = 0; i < source.n; i++) {
        uap_instance *a = NULL, *b = NULL;
        assert_ok(source.build(source.context, i, &a, &err), &err);
        assert_ok(sources.build(sources.context, i, &b, &err), &err);
        assert_true((a == NULL) == (b == NULL));
        if (a != NULL) {
            assert_same_instance(a, b);
        }
        uap_instance_free(a);
        uap_instance_free(b);
    }
    uap_cost_free(cost);
    uap_cost_free(other);
}

/* With one byte of difference a pipeline of equal stages is still there, at the same cost, and
 * there are more to choose from. */
static void test_nearly_equal_classes_do_as_well(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        mixed m, one;
        mixed_init(&m, 4, i % 2 == 0 ? UAP_SPACE_DP : UAP_SPACE_TP);
        mixed_init(&one, 4, i % 2 == 0 ? UAP_SPACE_DP : UAP_SPACE_TP);
        m.device[1] = m.device[0];
        m.device[1].memory_bytes--;
        m.group[1] = m.group[0];
        m.group[1].device_class = 1;
        one.group[0].nodes = 2;
        one.b.cluster.n_groups = 1;
        m.b.options.schedules = one.b.options.schedules = i < 2 ? 2 : 1;
        for (int k = 1; k < 4; k++) {
            m.p2p[k].is_between = one.p2p[k].is_between = false;
            m.p2p[k].bandwidth_Bps *= 100;
            one.p2p[k].bandwidth_Bps *= 100;
        }
        const best found = best_from(&m, 2), alike = best_from(&one, 2);
        assert_true(alike.value < INT64_MAX);
        assert_i64_le(found.value, alike.value);
    }
}

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
        cmocka_unit_test(test_engines_find_the_best),
        cmocka_unit_test(test_the_order_of_groups_does_not_matter),
        cmocka_unit_test(test_a_useless_class_is_left_out),
        cmocka_unit_test(test_a_useful_class_helps),
        cmocka_unit_test(test_equal_classes_are_one),
        cmocka_unit_test(test_nearly_equal_classes_do_as_well),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_what_no_split_suits),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
