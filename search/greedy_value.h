/* The value of a plan that is changed stage by stage, where all stages are alike: what a
 * change would do is told from the stages that it changes, almost always without a look at
 * the others.
 *
 * The value is made from the last stage to the first (docs/cost-model.md): a few terms of
 * stages i .. pp - 1 and the costs of stage i - 1 give those of i - 1 .. pp - 1. What all
 * stages before i make of those terms is convex in them, so that a line through the plan at
 * hand never passes it: where the line says that a change is no better, it is none. It does
 * not know layers or strategies; the plan's value is search/objective.h's to define. */
#ifndef UAP_SEARCH_GREEDY_VALUE_H
#define UAP_SEARCH_GREEDY_VALUE_H

#include "search/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

/* How good a plan is: bytes that do not fit first, then time. */
typedef struct uap_score {
    int64_t over;  /* bytes that the stages have too few of, on average; 0: it fits */
    int64_t value; /* ticks */
} uap_score;

static inline bool uap_score_is_better(uap_score a, uap_score b)
{
    return a.over != b.over ? a.over < b.over : a.value < b.value;
}

typedef struct uap_greedy_value uap_greedy_value;

/* For plans of an instance without stage types, in an arena, which owns all of it. NULL: no
 * memory. To be set before anything else is asked. */
uap_greedy_value *uap_greedy_value_new(const uap_instance *instance, uap_arena *arena);

/* The plan at hand is one whose stages cost so much; stage: [pp], copied. O(pp). */
void uap_greedy_value_set(uap_greedy_value *v, const uap_stage_cost *stage);

/* Of the plan at hand: its score, and what its stages cost, [pp]. */
uap_score uap_greedy_value_score(const uap_greedy_value *v);
const uap_stage_cost *uap_greedy_value_stages(const uap_greedy_value *v);

/* Whether the plan would be better with stages first .. first + n - 1 at these costs, n >= 1.
 * O(n), rarely O(pp). */
bool uap_greedy_value_improves(const uap_greedy_value *v, int32_t first, int32_t n,
                               const uap_stage_cost *changed);

/* Makes that the plan at hand. O(pp). */
void uap_greedy_value_change(uap_greedy_value *v, int32_t first, int32_t n,
                             const uap_stage_cost *changed);

#ifdef __cplusplus
}
#endif
#endif
