/* A second opinion on a plan: its times, memory and legality worked out again from the model,
 * the cluster and docs/cost-model.md alone. It shares no code with search/, of which it knows
 * only the types that a plan is made of; it does not search, so it cannot say whether a
 * better plan exists. */
#ifndef UAP_PLAN_CHECK_H
#define UAP_PLAN_CHECK_H

#include "configs/cluster.h"
#include "configs/model.h"
#include "plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_DIFFERENCE_TEXT 256

/* What was found to be wrong, one line each: where, found, expected. */
typedef struct uap_check {
    uap_arena *arena; /* owns the lines */
    int64_t n;        /* differences, those that follow from others included */
    int32_t n_lines;  /* kept: at most UAP_CHECK_MAX_LINES */
    char (*line)[UAP_DIFFERENCE_TEXT];
    bool
        derived; /* false: the plan is illegal in a way that leaves nothing to work out */
    bool fits;   /* where derived: every stage fits its memory */
} uap_check;

#define UAP_CHECK_MAX_LINES 200

/* Checks a plan made for a model and a cluster, read by uap_plan_load(), and afterwards gives
 * it the derived numbers (where derived): what a plan by hand left out is filled in, what was
 * wrong is replaced. Its bound and gap stay as they are. An infeasible plan is compared as
 * far as it states anything; that nothing fits is not proven again.
 * Differences are a result, in *out, which the caller frees. Errors: BAD_INPUT (a plan for a
 * bare instance; the cluster lacks a figure), TOO_LARGE (times beyond 2^62 ticks), NO_MEMORY.
 * Local. */
UAP_NODISCARD uap_status uap_check_plan(uap_plan *plan, const uap_model *model,
                                        const uap_cluster *cluster, uap_check *out,
                                        uap_err *err);
void uap_check_free(uap_check *check); /* safe on a zeroed one */

#ifdef __cplusplus
}
#endif
#endif
