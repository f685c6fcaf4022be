/* From a model, a cluster and options to instances: the list of configurations, and for each
 * the integer tables (docs/cost-model.md has every formula, unit and source). */
#ifndef UAP_SEARCH_COST_H
#define UAP_SEARCH_COST_H

#include "configs/cluster_groups.h"
#include "configs/model.h"
#include "search/objective.h"
#include "search/solve.h"
#include "search/strategy.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_cost_model { UAP_COST_FULL, UAP_COST_PAPER } uap_cost_model;
typedef enum uap_optimizer { UAP_ADAM, UAP_SGD } uap_optimizer;

/* Bits of uap_cost_options.space, one per dimension. */
typedef enum uap_space {
    UAP_SPACE_DP = 1,
    UAP_SPACE_FSDP = 2,
    UAP_SPACE_ZERO = 4,
    UAP_SPACE_TP = 8,
    UAP_SPACE_SP = 16,
    UAP_SPACE_RECOMPUTE = 32,
    UAP_SPACE_ALL = 63,
    UAP_SPACE_PAPER = UAP_SPACE_DP | UAP_SPACE_FSDP | UAP_SPACE_TP
} uap_space;

typedef struct uap_cost_options {
    int64_t batch; /* B, samples */
    uap_precision precision;
    uap_optimizer optimizer;
    uap_cost_model cost;
    uint32_t schedules;    /* bit i: uap_schedule i */
    uint32_t space;        /* uap_space bits */
    int64_t devices;       /* N; 0: the cluster's */
    int64_t memory_bytes;  /* per device; 0: the cluster's. Unlike ones get what they have
                            * at most */
    int64_t reserve_bytes; /* kept free */
    bool tp_across_nodes;
} uap_cost_options;

typedef struct uap_configuration {
    uap_schedule schedule;
    int32_t pp;
    int64_t micro_batches; /* c */
} uap_configuration;

/* Holds what is shared between configurations; borrows model and cluster. */
typedef struct uap_cost uap_cost;

/* Enumerates the configurations. Errors: BAD_USAGE (an option, e.g. more devices than the
 * cluster has), BAD_INPUT (a device class without a peak), TOO_LARGE (mixed: too many stage
 * types), NO_MEMORY. The caller frees *out. */
UAP_NODISCARD uap_status uap_cost_new(const uap_model *model, const uap_cluster *cluster,
                                      const uap_cost_options *options, uap_cost **out,
                                      uap_err *err);
void uap_cost_free(uap_cost *cost);

/* Which strategies layers may have beside what the space says. */
typedef struct uap_cost_rule {
    const void *context;
    bool (*allows)(const void *context, const uap_layer *layer,
                   const uap_strategy *strategy);
} uap_cost_rule;

/* The same within a rule (NULL: none), which must outlive *out. */
UAP_NODISCARD uap_status uap_cost_new_within(const uap_model *model,
                                             const uap_cluster *cluster,
                                             const uap_cost_options *options,
                                             const uap_cost_rule *rule, uap_cost **out,
                                             uap_err *err);

int32_t uap_cost_count(const uap_cost *cost);
uap_configuration uap_cost_configuration(const uap_cost *cost, int32_t index);

/* The source an engine takes; valid while cost lives. Its instances' tables have `origin`
 * set: pass it to uap_cost_strategy. */
uap_source uap_cost_source(uap_cost *cost);

/* The strategy behind origin number `origin` of configuration `index`. */
uap_strategy uap_cost_strategy(uap_cost *cost, int32_t index, int32_t origin);

/* The groups of unlike nodes that stages are placed on, one where all are alike: a typed
 * instance's group g is number g here. Owned by cost. */
const uap_cluster_groups *uap_cost_groups(const uap_cost *cost);

/* Notes the plan must carry: what was interpolated or assumed. NULL-terminated list, owned
 * by cost. */
const char *const *uap_cost_warnings(const uap_cost *cost);

/* When every configuration is illegal: one line with batches or device counts nearby that
 * would do. Writes at most n bytes. */
void uap_cost_suggest(const uap_cost *cost, char *text, size_t n);

#ifdef __cplusplus
}
#endif
#endif
