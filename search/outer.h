/* Cutting the chain: paths over (stage, first layer, class) whose arcs are segments.
 *
 * First with lower bounds of segments: every plan's value is at least S + M, with S the sum
 * of all stage and boundary times (and stage 0's per-iteration time) and M what the slowest
 * stage, boundary or round trip adds; suffixes and prefixes keep Pareto lists of (S, M).
 * From both follows the budget of every segment: the most it may cost in a plan within the
 * target. Then, with the exact sets of segments, the schedule's own recursion. */
#ifndef UAP_SEARCH_OUTER_H
#define UAP_SEARCH_OUTER_H

#include "search/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A chain under one schedule, with the weights of the relaxation. */
typedef struct uap_pipeline {
    const uap_chain *chain;
    bool *split, *grad; /* [pp] what the recursion needs of a stage's times */
    bool scalar;
    bool round_trips; /* 1f1b and 1f1b-eager */
    double *kappa;    /* [pp] M >= kappa_i p_i */
} uap_pipeline;

/* Errors: NO_MEMORY. Freed by uap_pipeline_free. */
UAP_NODISCARD uap_status uap_pipeline_init(uap_pipeline *pipeline, const uap_chain *chain,
                                           uap_err *err);
void uap_pipeline_free(uap_pipeline *pipeline);

/* Lists of the relaxation, opaque. */
typedef struct uap_outer uap_outer;

/* Computes suffix and prefix lists, sets the budgets of all segments for plans of at most
 * `target` ticks, and *bound: no plan of the chain is below it (INT64_MAX: none fits or
 * none is within the target). Once segments->stopped is set, nothing was found out. Errors:
 * NO_MEMORY, those of the crew. The caller frees *out. */
UAP_NODISCARD uap_status uap_outer_bound(const uap_pipeline *pipeline,
                                         uap_segments *segments, int64_t target,
                                         uap_outer **out, int64_t *bound, uap_err *err);
void uap_outer_free(uap_outer *outer); /* NULL is legal */

/* With the segments solved: the least value within the target and its plan. *found tells;
 * choice must be initialised for the instance. Errors: NO_MEMORY, INTERNAL. */
UAP_NODISCARD uap_status uap_outer_exact(uap_outer *outer, int64_t *value,
                                         uap_choice *choice, bool *found, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
