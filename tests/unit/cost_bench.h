/* What the tests of the cost model share: a machine with round figures and one or two small
 * layers, so that every number can be worked by hand from docs/cost-model.md. */
#ifndef UAP_TESTS_UNIT_COST_BENCH_H
#define UAP_TESTS_UNIT_COST_BENCH_H

#include "check.h"

#include "search/cost.h"

#include <math.h>
#include <string.h>

/* ---- A machine and a model with round figures ---------------------------------------------- */

#define N_COLLECTIVES 8

typedef struct bench {
    uap_device_class device;
    uap_layer_time time[4];
    uap_node_group group;
    uap_collective collective[N_COLLECTIVES];
    uap_p2p p2p;
    uap_cluster cluster;
    uap_layer layer[4];
    uap_model model;
    uap_cost_options options;
    uap_cost *cost;
} bench;

/* Stride is looked up too, but these entries serve every stride (docs/clusters.md, rule 3);
 * with one size per kind other sizes keep its bus bandwidth. */
static inline void set_links(bench *b)
{
    static const struct {
        uap_collective_kind kind;
        int32_t size;
        double latency_s, bandwidth_Bps;
    } entries[N_COLLECTIVES] = {
        {UAP_ALL_REDUCE, 4, 1e-3, 1e6},     {UAP_ALL_GATHER, 4, 2e-3, 4e6},
        {UAP_REDUCE_SCATTER, 4, 3e-3, 2e6}, {UAP_ALL_TO_ALL, 4, 4e-3, 8e6},
        {UAP_ALL_REDUCE, 2, 1e-3, 2e6},     {UAP_ALL_GATHER, 2, 1e-3, 1e6},
        {UAP_REDUCE_SCATTER, 2, 2e-3, 4e6}, {UAP_ALL_TO_ALL, 2, 3e-3, 2e6},
    };
    for (int i = 0; i < N_COLLECTIVES; i++) {
        b->collective[i] = (uap_collective){.kind = entries[i].kind,
                                            .size = entries[i].size,
                                            .stride = 1,
                                            .latency_s = entries[i].latency_s,
                                            .bandwidth_Bps = entries[i].bandwidth_Bps};
    }
    b->p2p = (uap_p2p){.latency_s = 5e-3, .bandwidth_Bps = 1e6};
}

/* 1000 parameters of which 800 split; one product of 2 x 4 x 8 x 4 = 256 FLOPs; 100 elements
 * moved of which 60 split. */
static inline uap_layer make_layer(const char *name, int32_t shape)
{
    uap_layer layer = {.type = UAP_LAYER_BLOCK,
                       .shape = shape,
                       .tokens = 4,
                       .hidden = 8,
                       .heads = 4,
                       .kv_heads = 4,
                       .head_dim = 2,
                       .keys = 4,
                       .ffn = 16,
                       .params = 1000,
                       .params_split = 800,
                       .n_gemms = 1,
                       .flops = 256,
                       .move_elems = 100,
                       .move_split_elems = 60,
                       .act_split_elems = 10,
                       .act_whole_elems = 6,
                       .input_elems = 5,
                       .output_elems = 100,
                       .tp_allreduces = 2,
                       .tp_allreduces_bwd = 3,
                       .tp_elems = 16};
    layer.gemm[0] = (uap_gemm){
        .name = "up", .m = 4, .n = 8, .k = 4, .batch = 1, .split = UAP_SPLIT_N};
    (void)snprintf(layer.name, sizeof layer.name, "%s", name);
    return layer;
}

/* 4 devices in one node: 1e6 FLOP/s, 1e7 B/s, 1 GB. fp32, Adam, batch 8, no slowdown. */
static inline void bench_init(bench *b, int32_t n_layers, uint32_t space)
{
    static char class_name[] = "round", cluster_name[] = "bench";
    memset(b, 0, sizeof *b);
    b->device = (uap_device_class){.name = class_name,
                                   .memory_bytes = 1000000000,
                                   .peak_flops = {[UAP_FP32] = 2e6, [UAP_BF16] = 2e6},
                                   .efficiency = 0.5,
                                   .memory_bandwidth_Bps = 1e7};
    b->group = (uap_node_group){.nodes = 1, .devices_per_node = 4};
    set_links(b);
    b->cluster = (uap_cluster){.name = cluster_name,
                               .source = UAP_DATASHEET,
                               .n_classes = 1,
                               .n_groups = 1,
                               .n_collectives = N_COLLECTIVES,
                               .n_p2p = 1,
                               .device_class = &b->device,
                               .group = &b->group,
                               .collective = b->collective,
                               .p2p = &b->p2p,
                               .compute_slowdown = 1.0,
                               .communication_slowdown = 1.0};
    for (int32_t i = 0; i < n_layers; i++) {
        char name[24];
        (void)snprintf(name, sizeof name, "block.%d", i);
        b->layer[i] = make_layer(name, 0);
    }
    b->model = (uap_model){.n_layers = n_layers,
                           .n_shapes = 1,
                           .layer = b->layer,
                           .params = 1000 * n_layers};
    b->options = (uap_cost_options){.batch = 8,
                                    .precision = UAP_FP32,
                                    .schedules = 1U << UAP_SCHEDULE_1F1B,
                                    .space = space};
}

/* The instance of configuration (pp, c); freed by the caller. */
static inline uap_instance *build(bench *b, int32_t pp, int64_t c)
{
    uap_err err = {0};
    uap_instance *instance = NULL;
    uap_cost_free(b->cost);
    b->cost = NULL;
    assert_ok(uap_cost_new(&b->model, &b->cluster, &b->options, &b->cost, &err), &err);
    const uap_source source = uap_cost_source(b->cost);
    for (int32_t i = 0; i < source.n; i++) {
        const uap_configuration configuration = uap_cost_configuration(b->cost, i);
        if (configuration.pp == pp && configuration.micro_batches == c) {
            assert_ok(source.build(source.context, i, &instance, &err), &err);
            break;
        }
    }
    if (instance != NULL) {
        assert_ok(uap_instance_check(instance, &err), &err);
    }
    return instance;
}

/* The row of that name, which must be there. */
static inline int32_t row_named(const uap_layer_table *table, const char *name)
{
    for (int32_t i = 0; i < table->n; i++) {
        if (strcmp(table->name[i], name) == 0) {
            return i;
        }
    }
    fail_msg("no strategy %s", name);
    return -1;
}

typedef struct expected_row {
    const char *name;
    double fwd_ms, bwd_ms, grad_ms;
    int64_t state, act, work;
} expected_row;

#define TICKS_PER_MS 1e8

static inline void check_row(const uap_layer_table *table, const expected_row *expected)
{
    const int32_t i = row_named(table, expected->name);
    assert_i64(table->fwd[i], llround(expected->fwd_ms * TICKS_PER_MS));
    assert_i64(table->bwd[i], llround(expected->bwd_ms * TICKS_PER_MS));
    assert_i64(table->grad[i], llround(expected->grad_ms * TICKS_PER_MS));
    assert_i64(table->state[i], expected->state);
    assert_i64(table->act[i], expected->act);
    assert_i64(table->work[i], expected->work);
}

static inline void bench_free(bench *b, uap_instance *instance)
{
    uap_instance_free(instance);
    uap_cost_free(b->cost);
    b->cost = NULL;
}

/* One layer, one stage, one micro-batch: the rows of its table. */
static inline void check_rows(bench *b, const expected_row *expected, int n)
{
    uap_instance *instance = build(b, 1, 1);
    assert_non_null(instance);
    for (int i = 0; i < n; i++) {
        check_row(&instance->table[0], &expected[i]);
    }
    bench_free(b, instance);
}

/* A measured time of the first layer's shape. */
static inline void add_time(bench *b, int32_t tp, int64_t micro_batch, double fwd,
                            double bwd)
{
    uap_layer_time *time = &b->time[b->device.n_layers++];
    *time = (uap_layer_time){.tp = tp,
                             .micro_batch = micro_batch,
                             .precision = UAP_FP32,
                             .forward_s = fwd,
                             .backward_s = bwd};
    (void)snprintf(time->type, sizeof time->type, "%s",
                   uap_layer_type_name(b->layer[0].type));
    uap_layer_shape_key(&b->layer[0], time->shape);
    b->device.layer = b->time;
}

#endif
