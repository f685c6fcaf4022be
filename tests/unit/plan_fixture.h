/* What the tests of checked plans share: a model on a cluster with plentiful memory, random legal
 * plans of its configurations as the search would have written them, and the differences that
 * a check finds. */
#ifndef UAP_TESTS_PLAN_FIXTURE_H
#define UAP_TESTS_PLAN_FIXTURE_H

#include "unit/check.h"

#include "plan/check.h"
#include "plan/plan_build.h"

#include <stdlib.h>
#include <string.h>

#define PLENTIFUL_BYTES ((int64_t)1 << 50)

typedef struct pair {
    const char *model, *cluster;
    int64_t batch, seq;
    uap_precision precision;
    uap_optimizer optimizer;
    uap_cost_model cost;
    uint32_t space;
    bool operator_granularity, tp_across_nodes;
    int64_t devices; /* 0: all */
} pair;

typedef struct fixture {
    uap_plan_options options;
    uap_model *model;
    uap_cluster *cluster;
    uap_cost *cost;
    uint64_t random;
} fixture;

/* configs: the folder with models/ and clusters/. */
static inline void set_up(fixture *f, const pair *p, const char *configs)
{
    uap_err err = {0};
    char path[512];
    const uap_model_options model = {.seq = p->seq,
                                     .operator_granularity = p->operator_granularity};
    *f = (fixture){.random = 4711};
    f->options.operator_granularity = p->operator_granularity;
    f->options.cost = (uap_cost_options){.batch = p->batch,
                                         .precision = p->precision,
                                         .optimizer = p->optimizer,
                                         .cost = p->cost,
                                         .devices = p->devices,
                                         .schedules = (1u << UAP_SCHEDULE_COUNT) - 1,
                                         .space = p->space,
                                         .reserve_bytes = (int64_t)1 << 30,
                                         .tp_across_nodes = p->tp_across_nodes};
    (void)snprintf(path, sizeof path, "%s/models/%s.json", configs, p->model);
    assert_ok(uap_model_load(path, &model, &f->model, &err), &err);
    (void)snprintf(path, sizeof path, "%s/clusters/%s.json", configs, p->cluster);
    assert_ok(uap_cluster_load(path, &f->cluster, &err), &err);
    /* Unlike devices have unlike memory. */
    for (int32_t i = 0; i < f->cluster->n_classes; i++) {
        f->cluster->device_class[i].memory_bytes = PLENTIFUL_BYTES + i;
    }
    assert_ok(uap_cost_new(f->model, f->cluster, &f->options.cost, &f->cost, &err), &err);
}

/* Lines of three protocols, with switches where the messages of these plans are. */
static inline uap_pieces bent(double latency_s, double bandwidth_Bps, int32_t i)
{
    return (uap_pieces){
        .n = 3,
        .piece = {{0, latency_s / 2, bandwidth_Bps / 3},
                  {(double)(1 << 20) * (1 + i % 5), latency_s, bandwidth_Bps / 2},
                  {(double)(1 << 24) * (1 + i % 3), 20 * latency_s, bandwidth_Bps}}};
}

/* Gives every link pieces, and costs anew. */
static inline void bend_links(fixture *f)
{
    uap_err err = {0};
    for (int32_t i = 0; i < f->cluster->n_collectives; i++) {
        uap_collective *link = &f->cluster->collective[i];
        link->pieces = bent(link->latency_s, link->bandwidth_Bps, i);
    }
    for (int32_t i = 0; i < f->cluster->n_p2p; i++) {
        uap_p2p *link = &f->cluster->p2p[i];
        link->pieces = bent(link->latency_s, link->bandwidth_Bps, i);
    }
    uap_cost_free(f->cost);
    assert_ok(uap_cost_new(f->model, f->cluster, &f->options.cost, &f->cost, &err), &err);
}

static inline void tear_down(fixture *f)
{
    uap_cost_free(f->cost);
    uap_cluster_free(f->cluster);
    uap_model_free(f->model);
}

/* 0 .. n - 1; Knuth's MMIX generator. */
static inline int32_t draw(fixture *f, int32_t n)
{
    f->random = f->random * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((f->random >> 33) % (uint64_t)n);
}

static inline int in_order(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Distinct random cuts. */
static inline void draw_cuts(fixture *f, const uap_instance *instance, uap_choice *choice)
{
    bool is_cut[1024] = {false};
    choice->first[0] = 0;
    for (int32_t i = 1; i < instance->pp; i++) {
        int32_t at;
        do {
            at = 1 + draw(f, instance->n_layers - 1);
        } while (is_cut[at]);
        is_cut[at] = true;
        choice->first[i] = at;
    }
    qsort(choice->first, (size_t)instance->pp, sizeof choice->first[0], in_order);
}

/* Draws cuts and strategies; false: it came to no legal plan. */
typedef bool choose_fn(fixture *f, const uap_instance *instance, uap_choice *choice);

/* A random legal configuration and a plan of it. The caller frees both. */
static inline uap_instance *draw_choice(fixture *f, choose_fn *choose, uap_result *result)
{
    const uap_source source = uap_cost_source(f->cost);
    for (;;) {
        uap_err err = {0};
        uap_instance *instance = NULL;
        result->config = draw(f, source.n);
        assert_ok(source.build(source.context, result->config, &instance, &err), &err);
        if (instance == NULL) {
            continue;
        }
        assert_ok(uap_instance_check(instance, &err), &err);
        assert_true(uap_choice_init(&result->choice, instance->pp, instance->n_layers));
        for (int i = 0; i < 50; i++) {
            if (choose(f, instance, &result->choice)) {
                return instance;
            }
        }
        uap_choice_free(&result->choice);
        uap_instance_free(instance);
    }
}

/* A random plan of a random legal configuration, as the search would have written it. */
static inline uap_plan *draw_plan(fixture *f, choose_fn *choose)
{
    uap_err err = {0};
    uap_plan *plan = NULL;
    uap_result result = {.outcome = UAP_OUTCOME_OPTIMAL};
    uap_stage_cost stage[1024];
    uap_instance *instance = draw_choice(f, choose, &result);
    assert_true(uap_choice_value(instance, &result.choice, stage, &result.value));
    result.bound = result.value;
    const uap_plan_inputs in = {.model = f->model,
                                .cluster = f->cluster,
                                .cost = f->cost,
                                .options = &f->options,
                                .result = &result,
                                .enough_devices = UAP_PLAN_UNSTATED};
    assert_ok(uap_plan_build(&in, &plan, &err), &err);
    uap_choice_free(&result.choice);
    uap_instance_free(instance);
    return plan;
}

/* Differences found; printed when there should be none. */
static inline int64_t differences(const fixture *f, uap_plan *plan, bool expected)
{
    uap_err err = {0};
    uap_check check = {0};
    assert_ok(uap_check_plan(plan, f->model, f->cluster, &check, &err), &err);
    for (int32_t i = 0; !expected && i < check.n_lines && i < 8; i++) {
        print_error("%s, pp %d, c %" PRId64 ": %s\n", f->model->name, (int)plan->pp,
                    plan->micro_batches, check.line[i]);
    }
    const int64_t n = check.n;
    uap_check_free(&check);
    return n;
}

/* The check derives what the plan says, to the last tick and byte. */
static inline void assert_agrees(const fixture *f, uap_plan *plan)
{
    const double tpi = plan->tpi_s;
    const int64_t memory = plan->stage[0].memory_bytes;
    assert_i64(differences(f, plan, false), 0);
    assert_close(plan->tpi_s, tpi, 1e-15, 0);
    assert_i64(plan->stage[0].memory_bytes, memory);
}

/* What a plan by hand may leave out of its head. */
static inline void forget_head(uap_plan *plan)
{
    plan->status = UAP_PLAN_HAND_WRITTEN;
    plan->tpi_s = plan->bound_s = plan->gap = UAP_PLAN_UNSTATED;
    plan->throughput_samples_per_s = UAP_PLAN_UNSTATED;
}

#endif
