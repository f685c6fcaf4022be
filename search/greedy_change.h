/* Local search: single changes to a plan, of a cut or of a layer's strategy, kept where they make it
 * better. Each is costed by the stages that it changes (search/greedy_value.h). */
#ifndef UAP_SEARCH_GREEDY_CHANGE_H
#define UAP_SEARCH_GREEDY_CHANGE_H

#include "search/greedy_value.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_greedy_change uap_greedy_change;

/* For an instance without stage types, in an arena, which owns all of it. NULL: no memory. */
uap_greedy_change *uap_greedy_change_new(const uap_instance *instance, uap_arena *arena);

/* The plan at hand, which the caller may overwrite before uap_greedy_change_begin: ascending
 * cuts, strategies in range. */
uap_choice *uap_greedy_change_plan(uap_greedy_change *c);

/* The plan at hand is now another. O(L + live tensors). */
void uap_greedy_change_begin(uap_greedy_change *c);

/* Of the plan at hand; over INT64_MAX where it breaks a tie. */
uap_score uap_greedy_change_score(const uap_greedy_change *c);

/* Tries every cut a layer further on either side, or every strategy of every layer, but not
 * what was tried in vain on this very plan, and nothing on one that breaks a tie. Whether
 * the plan became better. */
bool uap_greedy_change_cuts(uap_greedy_change *c);
bool uap_greedy_change_strategies(uap_greedy_change *c);

#ifdef __cplusplus
}
#endif
#endif
