/* A plan: what the search answers and what a training framework takes. Plain data in SI
 * units, read from and written to "uniap-plan" JSON by plan/plan_json.c, made from a search
 * result by plan/plan_build.c. It derives nothing and checks only its own shape. */
#ifndef UAP_PLAN_PLAN_H
#define UAP_PLAN_PLAN_H

#include "common/mem.h"
#include "common/sha256.h"
#include "common/status.h"
#include "search/cost.h"
#include "search/strategy.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A number that a hand-written plan leaves out; every real value is >= 0. */
#define UAP_PLAN_UNSTATED (-1)

typedef enum uap_plan_status {
    UAP_PLAN_HAND_WRITTEN, /* no status stated */
    UAP_PLAN_OPTIMAL,
    UAP_PLAN_FEASIBLE,
    UAP_PLAN_INFEASIBLE
} uap_plan_status;

typedef enum uap_engine { UAP_ENGINE_EXACT, UAP_ENGINE_CBC, UAP_ENGINE_COUNT } uap_engine;

/* Strings below are owned by the plan's arena; NULL where not stated. */
typedef struct uap_plan_stage {
    int32_t first_layer, last_layer;   /* inclusive */
    int64_t first_device, last_device; /* "device_ids", inclusive; or UNSTATED */
    const char *device_class;
    double time_s;     /* forward and backward of one micro-batch */
    double transfer_s; /* per micro-batch across the boundary behind; last stage: 0 */
    double per_iteration_s; /* gradients and optimizer, once per iteration */
    int64_t memory_bytes, memory_cap_bytes; /* per device */
    const char *device_ids; /* text of "device_ids" where it is several ranges, or NULL */
} uap_plan_stage;

typedef struct uap_plan_layer {
    const char *name, *type;
    int32_t stage;
    bool has_strategy; /* false only in a plan for an instance with names of its own */
    uap_strategy strategy;     /* where has_strategy */
    const char *strategy_name; /* an instance's own name for it, or NULL */
} uap_plan_layer;

/* Frameworks that a plan may be restricted to (plan/target.h). */
typedef enum uap_target {
    UAP_TARGET_NONE,
    UAP_TARGET_MEGATRON,
    UAP_TARGET_DEEPSPEED,
    UAP_TARGET_TORCHTITAN,
    UAP_TARGET_COUNT
} uap_target;

#define UAP_TARGETS "none|megatron|deepspeed|torchtitan" /* in that order */

/* Every option that shaped the answer. */
typedef struct uap_plan_options {
    bool stated; /* the file has them */
    uap_cost_options cost;
    bool operator_granularity;
    uap_target target;
    uap_engine engine;
    double time_limit_s; /* 0: none */
    double gap;
    int64_t memory_limit_bytes;
    int64_t seed;
} uap_plan_options;

/* Where an input came from. */
typedef struct uap_plan_input {
    const char *name, *source; /* source: the path as given */
    char sha256[UAP_SHA256_HEX];
    int64_t parameters; /* of a model */
} uap_plan_input;

typedef struct uap_plan_search {
    bool stated;
    double wall_s, cpu_s;
    int64_t ranks, nodes, configurations, illegal, infeasible, pruned_by_bound, labels;
    int64_t programs,
        cbc_runs; /* linear programs and runs of CBC inside the exact engine */
    uap_engine engine;
} uap_plan_search;

/* Why nothing fits and what would. */
typedef struct uap_plan_needs {
    bool known;            /* stage, layers and bytes of the most frugal plan are known */
    bool is_bound;         /* memory_bytes is a lower bound; not in files */
    uap_schedule schedule; /* of that plan */
    int32_t pp;
    int64_t micro_batches;
    int32_t stage, first_layer, last_layer;
    int64_t memory_bytes, memory_cap_bytes; /* what the stage needs and has, per device */
    int64_t device_memory_bytes; /* memory of a device (reserve included) that does, or
                                  * UNSTATED */
    int64_t device_count;        /* a count that does, or UNSTATED where none was found */
} uap_plan_needs;

typedef struct uap_plan {
    uap_arena *arena; /* owns every array and string below */
    uap_plan_status status;
    double tpi_s, bound_s, gap; /* gap = (tpi_s - bound_s) / tpi_s */
    double throughput_samples_per_s;
    int64_t batch, seq; /* samples; tokens per sample */
    uap_schedule schedule;
    int32_t pp;
    int64_t micro_batches;
    int64_t device_count;
    int32_t n_layers, n_warnings;
    uap_plan_stage *stage; /* [pp]; NULL when infeasible */
    uap_plan_layer *layer; /* [n_layers]; NULL when infeasible */
    const char **warning;  /* [n_warnings] */
    const char *reason;    /* when infeasible, one line */
    uap_plan_needs needs;  /* when infeasible */
    uap_plan_options options;
    uap_plan_input model, cluster;
    uap_plan_input instance; /* of a plan for a bare instance; model and cluster are then
                              * unstated, and so is batch */
    uap_plan_search search;
} uap_plan;

/* An empty plan: numbers unstated, options at their defaults. NULL: no memory. */
uap_plan *uap_plan_new(void);
void uap_plan_free(uap_plan *plan); /* NULL is legal */

/* Gives a new plan its stages and layers, numbers unstated. False: no memory. */
bool uap_plan_shape(uap_plan *plan, int32_t pp, int32_t n_layers);

/* A copy of `text` that the plan owns; NULL when out of memory or text is NULL. */
const char *uap_plan_string(uap_plan *plan, const char *text);

/* Adds a copy of one line; an equal one is not repeated. False: no memory. */
bool uap_plan_warn(uap_plan *plan, const char *text);

const char *uap_plan_status_name(uap_plan_status status); /* "optimal", ...; NULL */
const char *uap_engine_name(uap_engine engine);           /* "exact", "cbc" */
const char *uap_target_name(uap_target target);           /* "none", "megatron", ... */

#define UAP_SPACE_DIMENSIONS 6
#define UAP_SPACE_TEXT       40 /* bytes that all names together need */

/* uap_space bits as "dp,fsdp,tp" and back; "all" and "paper" are understood too. Returns
 * text; false, and *out untouched, on any other name. */
char *uap_space_names(uint32_t space, char text[UAP_SPACE_TEXT]);
bool uap_space_by_names(const char *text, uint32_t *out);

/* Reads a plan: one that uniap wrote, or one by hand, which needs pp, micro_batches,
 * schedule, batch, the stages' layers and the layers' strategies (a factor left out is 1); a
 * device count left out is pp times the first layer's dp * fsdp * tp.
 * Checked: types, ranges, keys, that stages are ordered, not empty and cover the layers.
 * Not checked: whether the plan is legal, fits or costs what it says. The caller frees
 * *out. Errors: IO, BAD_INPUT (file:line:column), TOO_LARGE, NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_plan_load(const char *path, uap_plan **out, uap_err *err);

/* Writes the plan atomically; what is unstated is left out. "-" is standard output. */
UAP_NODISCARD uap_status uap_plan_save(const uap_plan *plan, const char *path,
                                       uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
