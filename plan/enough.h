/* When nothing fits: how many devices would do. It tries, a bounded number of times. */
#ifndef UAP_PLAN_ENOUGH_H
#define UAP_PLAN_ENOUGH_H

#include "search/cost.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* *devices: a count above the one that failed with which a plan was found, or -1: none was
 * found, or the cluster has unlike nodes and cannot be grown on paper. Every try ends at
 * its first plan or after a few seconds. options: those that failed. stop: as in
 * uap_limits. Errors: NO_MEMORY and those of the engine. Local. */
UAP_NODISCARD uap_status uap_enough_devices(const uap_model *model,
                                            const uap_cluster *cluster,
                                            const uap_cost_options *options,
                                            const volatile sig_atomic_t *stop,
                                            int64_t *devices, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
