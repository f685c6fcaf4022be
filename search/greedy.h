/* A good plan quickly, without proof: strategies along a shortest path that also prices
 * memory, stages balanced, then single changes while they help. */
#ifndef UAP_SEARCH_GREEDY_H
#define UAP_SEARCH_GREEDY_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Looks for a plan of a checked instance. *found says whether it has one that fits; then
 * choice (arrays of pp and L, made by the caller) and *value (ticks) are set. The same
 * answer every time. Errors: NO_MEMORY. O(prices x L x (S + classes^2) + rounds x L x S + changes
 * x pp). Local. */
UAP_NODISCARD uap_status uap_greedy_plan(const uap_instance *instance, uap_choice *choice,
                                         int64_t *value, bool *found, uap_err *err);

/* Single changes to a plan, cuts and strategies, while they help. choice: any strategies in
 * range and ascending cuts, in and out, as it is where it breaks a tie; *found: it fits and
 * keeps ties, and *value (ticks) is set. No stage types. Errors: NO_MEMORY. O(rounds x L x S
 * + changes x pp). Local. */
UAP_NODISCARD uap_status uap_greedy_improve(const uap_instance *instance,
                                            uap_choice *choice, int64_t *value,
                                            bool *found, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
