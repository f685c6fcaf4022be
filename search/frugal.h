/* The most frugal plan of an instance: how near it comes to fitting. */
#ifndef UAP_SEARCH_FRUGAL_H
#define UAP_SEARCH_FRUGAL_H

#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Least over all plans of the largest overshoot (memory - cap) of a stage, bytes; negative
 * when a plan fits. Ties are not asked for, and a live tensor counts at its least, so that
 * the figure is a lower bound where those exist. shortage (config untouched) describes the
 * tightest stage. Errors: NO_MEMORY. O(pp L^2 x distinct W). Local. */
UAP_NODISCARD uap_status uap_frugal_plan(const uap_instance *instance,
                                         uap_shortage *shortage, int64_t *overshoot,
                                         uap_err *err);

/* Whether that overshoot is at most 0: a plan fits, as far as is looked at. Errors: NO_MEMORY.
 * O(pp L^2 x distinct W), mostly O(L x distinct W). Local. */
UAP_NODISCARD uap_status uap_frugal_fits(const uap_instance *instance, bool *fits,
                                         uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
