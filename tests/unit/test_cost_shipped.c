/* The cost model on the shipped models and clusters: every instance passes its check, builds
 * again to the same numbers, and changes as it must when the machine does. */
#include "check.h"

#include "search/cost.h"

#include <stdlib.h>
#include <string.h>

typedef struct problem {
    const char *model, *cluster;
    int64_t batch, seq;
    uap_precision precision;
} problem;

typedef struct loaded {
    uap_model *model;
    uap_cluster *cluster;
    uap_cost *cost;
    uap_source source;
} loaded;

static const problem problems[] = {{"bert-huge", "env-a", 32, 512, UAP_FP32},
                                   {"t5-large", "env-a", 16, 512, UAP_FP32},
                                   {"vit-huge", "env-a", 128, 0, UAP_FP32},
                                   {"swin-huge", "env-a", 128, 0, UAP_FP32},
                                   {"t5-large-16", "env-b", 8, 512, UAP_FP32},
                                   {"llama-7b", "env-c", 8, 2048, UAP_FP16},
                                   {"llama-13b", "env-e", 32, 2048, UAP_FP16},
                                   {"llama-3.1-8b", "h100-64", 96, 0, UAP_BF16},
                                   {"llama-3.1-70b", "a100-512", 256, 0, UAP_BF16}};

#define N_PROBLEMS (sizeof problems / sizeof problems[0])

static void load(const problem *p, loaded *l)
{
    char path[512];
    uap_err err = {0};
    const uap_model_options options = {.seq = p->seq};
    (void)snprintf(path, sizeof path, UAP_SOURCE_DIR "/configs/models/%s.json", p->model);
    assert_ok(uap_model_load(path, &options, &l->model, &err), &err);
    (void)snprintf(path, sizeof path, UAP_SOURCE_DIR "/configs/clusters/%s.json",
                   p->cluster);
    assert_ok(uap_cluster_load(path, &l->cluster, &err), &err);
    l->cost = NULL;
}

static uap_cost_options options_of(const problem *p, uap_cost_model cost)
{
    return (uap_cost_options){.batch = p->batch,
                              .precision = p->precision,
                              .cost = cost,
                              .schedules = cost == UAP_COST_PAPER ? 1 : 7,
                              .space = cost == UAP_COST_PAPER ? UAP_SPACE_PAPER
                                                              : UAP_SPACE_ALL,
                              .reserve_bytes = 1 << 30};
}

static void start(loaded *l, const uap_cost_options *options)
{
    uap_err err = {0};
    uap_cost_free(l->cost);
    l->cost = NULL;
    assert_ok(uap_cost_new(l->model, l->cluster, options, &l->cost, &err), &err);
    l->source = uap_cost_source(l->cost);
}

static uap_instance *build(const loaded *l, int32_t index)
{
    uap_instance *instance = NULL;
    uap_err err = {0};
    assert_ok(l->source.build(l->source.context, index, &instance, &err), &err);
    return instance;
}

static void unload(loaded *l)
{
    uap_cost_free(l->cost);
    uap_cluster_free(l->cluster);
    uap_model_free(l->model);
}

/* ---- Soundness -------------------------------------------------------------------------------- */

/* No row of a table is at least as good as another in everything, given the layout (an edge's
 * class) and, for tied layers, the tie class. */
static void check_no_dominated(const uap_instance *instance, int32_t layer)
{
    const uap_layer_table *table = uap_table_of(instance, layer);
    const int32_t *layout = layer + 1 < instance->n_layers
                                ? uap_edge_of(instance, layer)->from_class
                                : uap_edge_of(instance, layer - 1)->to_class;
    for (int32_t i = 0; i < instance->n_ties; i++) {
        if (instance->tie[i].a == layer || instance->tie[i].b == layer) {
            return;
        }
    }
    for (int32_t a = 0; a < table->n; a++) {
        for (int32_t b = 0; b < table->n; b++) {
            const bool covers =
                a != b && layout[a] == layout[b] && table->fwd[a] <= table->fwd[b] &&
                table->bwd[a] <= table->bwd[b] && table->grad[a] <= table->grad[b] &&
                table->state[a] <= table->state[b] && table->act[a] <= table->act[b] &&
                table->work[a] <= table->work[b];
            assert_false(covers);
        }
    }
}

static bool same_table(const uap_layer_table *a, const uap_layer_table *b)
{
    const size_t bytes = (size_t)a->n * sizeof(int64_t);
    return a->n == b->n && memcmp(a->fwd, b->fwd, bytes) == 0 &&
           memcmp(a->bwd, b->bwd, bytes) == 0 && memcmp(a->grad, b->grad, bytes) == 0 &&
           memcmp(a->state, b->state, bytes) == 0 && memcmp(a->act, b->act, bytes) == 0 &&
           memcmp(a->work, b->work, bytes) == 0 &&
           memcmp(a->origin, b->origin, (size_t)a->n * sizeof(int32_t)) == 0;
}

static void test_every_instance_is_sound(void **state)
{
    (void)state;
    for (size_t p = 0; p < N_PROBLEMS; p++) {
        for (int cost = UAP_COST_FULL; cost <= UAP_COST_PAPER; cost++) {
            loaded l;
            int32_t legal = 0;
            load(&problems[p], &l);
            const uap_cost_options options =
                options_of(&problems[p], (uap_cost_model)cost);
            start(&l, &options);
            for (int32_t i = 0; i < l.source.n; i++) {
                uap_err err = {0};
                uap_instance *instance = build(&l, i), *again = build(&l, i);
                assert_true((instance == NULL) == (again == NULL));
                if (instance == NULL || again == NULL) {
                    continue;
                }
                legal++;
                assert_ok(uap_instance_check(instance, &err), &err);
                for (int32_t t = 0; t < instance->n_tables; t++) {
                    assert_true(same_table(&instance->table[t], &again->table[t]));
                }
                for (int32_t u = 0; u < instance->n_layers; u++) {
                    if (u == 0 ||
                        instance->layer_table[u] != instance->layer_table[u - 1]) {
                        check_no_dominated(instance, u);
                    }
                }
                uap_instance_free(instance);
                uap_instance_free(again);
            }
            assert_true(legal > 0);
            unload(&l);
        }
    }
}

/* ---- Metamorphic ---------------------------------------------------------------------------------- */

/* Multiplies what the machine can do in a second, and divides latencies, by `factor`. */
static void speed_up(uap_cluster *cluster, double factor)
{
    for (int32_t i = 0; i < cluster->n_collectives; i++) {
        cluster->collective[i].bandwidth_Bps *= factor;
        cluster->collective[i].latency_s /= factor;
    }
    for (int32_t i = 0; i < cluster->n_p2p; i++) {
        cluster->p2p[i].bandwidth_Bps *= factor;
        cluster->p2p[i].latency_s /= factor;
    }
    cluster->device_class[0].memory_bandwidth_Bps *= factor;
    for (int i = 0; i < UAP_PRECISION_COUNT; i++) {
        cluster->device_class[0].peak_flops[i] *= factor;
    }
}

/* Every strategy's time at half the speed is twice that at full speed, to a tick of rounding;
 * memory is the same. Ticks of equal strategies may differ, so that they are compared by
 * origin where both tables have them. */
static void test_a_machine_twice_as_fast(void **state)
{
    (void)state;
    for (size_t p = 0; p < N_PROBLEMS; p++) {
        loaded slow, fast;
        load(&problems[p], &slow);
        load(&problems[p], &fast);
        speed_up(fast.cluster, 2.0);
        const uap_cost_options options = options_of(&problems[p], UAP_COST_FULL);
        start(&slow, &options);
        start(&fast, &options);
        int64_t compared = 0;
        for (int32_t i = 0; i < slow.source.n; i++) {
            uap_instance *a = build(&slow, i), *b = build(&fast, i);
            for (int32_t t = 0; a != NULL && t < a->n_tables; t++) {
                const uap_layer_table *x = &a->table[t], *y = &b->table[t];
                for (int32_t k = 0, m = 0; k < x->n; k++) {
                    while (m < y->n && y->origin[m] < x->origin[k]) {
                        m++;
                    }
                    if (m == y->n || y->origin[m] != x->origin[k]) {
                        continue;
                    }
                    compared++;
                    assert_i64_le(llabs(x->fwd[k] - 2 * y->fwd[m]), 2);
                    assert_i64_le(llabs(x->bwd[k] - 2 * y->bwd[m]), 2);
                    assert_i64_le(llabs(x->grad[k] - 2 * y->grad[m]), 2);
                    assert_i64(x->state[k], y->state[m]);
                    assert_i64(x->act[k], y->act[m]);
                    assert_i64(x->work[k], y->work[m]);
                }
            }
            uap_instance_free(a);
            uap_instance_free(b);
        }
        assert_true(compared > 100);
        unload(&slow);
        unload(&fast);
    }
}

/* Twice the batch in twice the micro-batches leaves every table as it is. */
static void test_micro_batches_of_one_size_cost_the_same(void **state)
{
    (void)state;
    loaded once, twice;
    problem p = problems[0];
    load(&p, &once);
    load(&p, &twice);
    const uap_cost_options options = options_of(&p, UAP_COST_FULL);
    p.batch *= 2;
    const uap_cost_options doubled = options_of(&p, UAP_COST_FULL);
    start(&once, &options);
    start(&twice, &doubled);
    int32_t compared = 0;
    for (int32_t i = 0; i < once.source.n; i++) {
        const uap_configuration a = uap_cost_configuration(once.cost, i);
        for (int32_t j = 0; j < twice.source.n; j++) {
            const uap_configuration b = uap_cost_configuration(twice.cost, j);
            if (a.pp != b.pp || a.schedule != b.schedule ||
                2 * a.micro_batches != b.micro_batches) {
                continue;
            }
            uap_instance *x = build(&once, i), *y = build(&twice, j);
            /* The doubled batch may have more strategies, but not for these micro-batches. */
            for (int32_t t = 0; x != NULL && t < x->n_tables; t++) {
                assert_i64(x->table[t].n, y->table[t].n);
                assert_memory_equal(x->table[t].fwd, y->table[t].fwd,
                                    (size_t)x->table[t].n * sizeof(int64_t));
                compared++;
            }
            uap_instance_free(x);
            uap_instance_free(y);
        }
    }
    assert_true(compared > 50);
    unload(&once);
    unload(&twice);
}

/* ---- Size ------------------------------------------------------------------------------------------ */

/* Llama-3.1-405B on 15,360 devices: all 736 configurations, of which those where the batch can
 * be split are built. (How fast is a benchmark's business.) */
static void test_the_largest(void **state)
{
    (void)state;
    const problem p = {"llama-3.1-405b", "h100-15360", 1920, 8192, UAP_BF16};
    loaded l;
    int32_t legal = 0;
    load(&p, &l);
    uap_cost_options options = options_of(&p, UAP_COST_FULL);
    options.schedules = 1U << UAP_SCHEDULE_1F1B;
    start(&l, &options);
    for (int32_t i = 0; i < l.source.n; i++) {
        uap_err err = {0};
        uap_instance *instance = build(&l, i);
        if (instance != NULL) {
            legal++;
            assert_ok(uap_instance_check(instance, &err), &err);
            assert_i64(instance->n_layers, 128);
            assert_i64_le(instance->n_tables, 4);
        }
        uap_instance_free(instance);
    }
    assert_true(legal > 100);
    unload(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_instance_is_sound),
        cmocka_unit_test(test_a_machine_twice_as_fast),
        cmocka_unit_test(test_micro_batches_of_one_size_cost_the_same),
        cmocka_unit_test(test_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
