/* The Lagrangian bound of a whole chain: stages weighted as in the relaxation of
 * search/outer.h, memory limits priced. Cheap enough to try on every configuration. */
#ifndef UAP_SEARCH_BOUND_H
#define UAP_SEARCH_BOUND_H

#include "search/outer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A bound from sums alone, no plan of the instance is below it: least times of all layers,
 * spread evenly over the stages. O(L + rows). Ticks. */
int64_t uap_instance_quick_bound(const uap_instance *instance);

/* Raises *bound by at most `rounds` subgradient steps; stops early once it passes cutoff
 * (then nothing better than cutoff exists). O(rounds * L * pp * (S + classes^2)).
 * Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_chain_bound(const uap_pipeline *pipeline, int32_t rounds,
                                         int64_t cutoff, int64_t *bound, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
