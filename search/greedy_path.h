/* Where the search for a first plan starts: strategies along a shortest path over layout
 * classes, as if in one stage, with a price for memory, and cuts that share its time evenly;
 * or, for given cuts, with such a price for each stage that it fits. */
#ifndef UAP_SEARCH_GREEDY_PATH_H
#define UAP_SEARCH_GREEDY_PATH_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_greedy_path uap_greedy_path;

/* For an instance without stage types, in an arena, which owns all of it. NULL: no memory. */
uap_greedy_path *uap_greedy_path_new(const uap_instance *instance, uap_arena *arena);

/* How many ways there are to leave each tie's ends the strategies of one class, up to a
 * limit; several may be the same. At least 1. */
int32_t uap_greedy_path_ties(const uap_greedy_path *p);

/* From now on paths take way `number` of them. False where a lower number is the same. */
bool uap_greedy_path_tie(uap_greedy_path *p, int32_t number);

/* The price, ticks a byte, at which a layer's memory weighs about a thousandth of its time. */
double uap_greedy_path_lowest_price(const uap_greedy_path *p);

/* The path at a price, cut. choice: out. False where its strategies are those of the path
 * before, and the choice is left as it is. O(L S + L x classes^2). */
bool uap_greedy_path_find(uap_greedy_path *p, double price, uap_choice *choice);

/* Strategies for the cuts of a plan that keeps its ties, each stage's memory at the least price
 * found at which it fits; where neighbours or workspaces change that, it may still not.
 * choice: in and out. Ties stay as they are. O(L S + L classes^2), a dozen times. */
void uap_greedy_path_fit(uap_greedy_path *p, uap_choice *choice);

#ifdef __cplusplus
}
#endif
#endif
