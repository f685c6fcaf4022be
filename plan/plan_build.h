/* From the answer of a search to a plan: stages and their costs, layers and their
 * strategies, or why nothing fits and what would. It searches nothing. */
#ifndef UAP_PLAN_PLAN_BUILD_H
#define UAP_PLAN_PLAN_BUILD_H

#include "configs/cluster.h"
#include "configs/model.h"
#include "plan/plan.h"
#include "search/cost.h"
#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

/* All borrowed. */
typedef struct uap_plan_inputs {
    const uap_model *model;
    const uap_cluster *cluster;
    uap_cost *cost; /* of model, cluster and options->cost */
    const uap_plan_options *options;
    const uap_result *result;
    int64_t enough_devices; /* infeasible: a device count that does, or UNSTATED */
    int64_t enough_memory;  /* the same of a device's memory; only where the shortage is
                             * a bound, for else it follows from that */
} uap_plan_inputs;

/* The plan of a result that has one, or an infeasible plan with reason and needs; not for
 * outcome UNKNOWN. The caller frees *out. Errors: those of building the instance,
 * NO_MEMORY, INTERNAL (the result's value is not that of its choice). Local. */
UAP_NODISCARD uap_status uap_plan_build(const uap_plan_inputs *in, uap_plan **out,
                                        uap_err *err);

/* The same for a bare instance, read from the file `source`. */
UAP_NODISCARD uap_status uap_plan_of_instance(const uap_instance *instance,
                                              const char *source,
                                              const uap_plan_options *options,
                                              const uap_result *result, uap_plan **out,
                                              uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
