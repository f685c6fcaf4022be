/* The plan as data: memory, defaults and names. */
#include "plan/plan.h"

#include <string.h>

#define DEFAULT_RESERVE_BYTES ((int64_t)1 << 30)

uap_plan *uap_plan_new(void)
{
    uap_arena *arena = uap_arena_new();
    uap_plan *plan = arena != NULL ? uap_arena_alloc(arena, 1, sizeof *plan) : NULL;
    if (plan == NULL) {
        uap_arena_free(arena);
        return NULL;
    }
    *plan = (uap_plan){
        .arena = arena,
        .tpi_s = UAP_PLAN_UNSTATED,
        .bound_s = UAP_PLAN_UNSTATED,
        .gap = UAP_PLAN_UNSTATED,
        .throughput_samples_per_s = UAP_PLAN_UNSTATED,
        .batch = UAP_PLAN_UNSTATED,
        .seq = UAP_PLAN_UNSTATED,
        .micro_batches = UAP_PLAN_UNSTATED,
        .device_count = UAP_PLAN_UNSTATED,
        .needs = {.device_memory_bytes = UAP_PLAN_UNSTATED,
                  .device_count = UAP_PLAN_UNSTATED},
        .options = {.cost = {.precision = UAP_BF16,
                             .optimizer = UAP_ADAM,
                             .cost = UAP_COST_FULL,
                             .schedules = 1u << UAP_SCHEDULE_1F1B,
                             .space = UAP_SPACE_ALL,
                             .reserve_bytes = DEFAULT_RESERVE_BYTES}},
        .model = {.parameters = UAP_PLAN_UNSTATED},
        .cluster = {.parameters = UAP_PLAN_UNSTATED},
        .instance = {.parameters = UAP_PLAN_UNSTATED},
    };
    return plan;
}

void uap_plan_free(uap_plan *plan)
{
    if (plan != NULL) {
        uap_arena_free(plan->arena); /* the plan itself lies in it */
    }
}

bool uap_plan_shape(uap_plan *plan, int32_t pp, int32_t n_layers)
{
    plan->stage = uap_arena_alloc(plan->arena, (size_t)pp, sizeof *plan->stage);
    plan->layer = uap_arena_alloc(plan->arena, (size_t)n_layers, sizeof *plan->layer);
    if (plan->stage == NULL || plan->layer == NULL) {
        return false;
    }
    plan->pp = pp;
    plan->n_layers = n_layers;
    for (int32_t i = 0; i < pp; i++) {
        plan->stage[i] = (uap_plan_stage){
            .first_device = UAP_PLAN_UNSTATED,
            .last_device = UAP_PLAN_UNSTATED,
            .time_s = UAP_PLAN_UNSTATED,
            .transfer_s = UAP_PLAN_UNSTATED,
            .per_iteration_s = UAP_PLAN_UNSTATED,
            .memory_bytes = UAP_PLAN_UNSTATED,
            .memory_cap_bytes = UAP_PLAN_UNSTATED,
        };
    }
    for (int32_t u = 0; u < n_layers; u++) {
        plan->layer[u].strategy = (uap_strategy){.dp = 1, .fsdp = 1, .tp = 1};
    }
    return true;
}

const char *uap_plan_string(uap_plan *plan, const char *text)
{
    if (text == NULL) {
        return NULL;
    }
    const size_t n = strlen(text) + 1;
    char *copy = uap_arena_alloc(plan->arena, n, 1);
    if (copy != NULL) {
        memcpy(copy, text, n);
    }
    return copy;
}

bool uap_plan_warn(uap_plan *plan, const char *text)
{
    const size_t n = (size_t)plan->n_warnings;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(plan->warning[i], text) == 0) {
            return true;
        }
    }
    /* A plan has a handful of warnings: the old list stays in the arena until the end. */
    const char **grown = uap_arena_alloc(plan->arena, n + 1, sizeof *grown);
    const char *copy = uap_plan_string(plan, text);
    if (grown == NULL || copy == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        grown[i] = plan->warning[i];
    }
    grown[n] = copy;
    plan->warning = grown;
    plan->n_warnings++;
    return true;
}

const char *uap_plan_status_name(uap_plan_status status)
{
    switch (status) {
    case UAP_PLAN_OPTIMAL:
        return "optimal";
    case UAP_PLAN_FEASIBLE:
        return "feasible";
    case UAP_PLAN_INFEASIBLE:
        return "infeasible";
    case UAP_PLAN_HAND_WRITTEN:
        break;
    }
    return NULL;
}

const char *uap_engine_name(uap_engine engine)
{
    return engine == UAP_ENGINE_CBC ? "cbc" : "exact";
}

const char *uap_target_name(uap_target target)
{
    static const char *const name[UAP_TARGET_COUNT] = {"none", "megatron", "deepspeed",
                                                       "torchtitan"};
    return name[target];
}

static const char *const space_name[UAP_SPACE_DIMENSIONS] = {"dp", "fsdp", "zero",
                                                             "tp", "sp",   "recompute"};

char *uap_space_names(uint32_t space, char text[UAP_SPACE_TEXT])
{
    text[0] = '\0';
    for (int i = 0; i < UAP_SPACE_DIMENSIONS; i++) {
        if ((space >> i & 1) != 0) {
            if (text[0] != '\0') {
                strcat(text, ",");
            }
            strcat(text, space_name[i]);
        }
    }
    return text;
}

static uint32_t space_of_name(const char *text, size_t n)
{
    if (n == 3 && strncmp(text, "all", n) == 0) {
        return UAP_SPACE_ALL;
    }
    if (n == 5 && strncmp(text, "paper", n) == 0) {
        return UAP_SPACE_PAPER;
    }
    for (int i = 0; i < UAP_SPACE_DIMENSIONS; i++) {
        if (strlen(space_name[i]) == n && strncmp(text, space_name[i], n) == 0) {
            return (uint32_t)1 << i;
        }
    }
    return 0;
}

bool uap_space_by_names(const char *text, uint32_t *out)
{
    uint32_t space = 0;
    for (const char *at = text;;) {
        const size_t n = strcspn(at, ",");
        const uint32_t bits = space_of_name(at, n);
        if (bits == 0) {
            return false;
        }
        space |= bits;
        if (at[n] == '\0') {
            break;
        }
        at += n + 1;
    }
    *out = space;
    return true;
}
