/* When nothing fits: how many devices would do. It tries, a bounded number of times. */
#ifndef UAP_PLAN_ENOUGH_H
#define UAP_PLAN_ENOUGH_H

#include "search/cost.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A device count above the one that failed with which a plan was found, or -1: none was
 * found, or the cluster has unlike nodes and cannot be grown on paper. Every try ends at
 * its first plan or after a few seconds. options: those that failed. stop: as in
 * uap_limits, not NULL. Local. */
int64_t uap_enough_devices(const uap_model *model, const uap_cluster *cluster,
                           const uap_cost_options *options,
                           const volatile sig_atomic_t *stop);

/* The least memory of a device, reserve included, with which a plan was found, at least
 * `least` bytes, beyond that to within 0.01 GiB; or -1. Tries, options and stop as above.
 * Local. */
int64_t uap_enough_memory(const uap_model *model, const uap_cluster *cluster,
                          const uap_cost_options *options, int64_t least,
                          const volatile sig_atomic_t *stop);

#ifdef __cplusplus
}
#endif
#endif
