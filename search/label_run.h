/* Inside of search/segment.h: one run of labels from one start class, shared by the forward
 * walk (segment_label.c), what limits it (label_limit.c) and paths (segment_path.c). Nobody
 * else includes this. */
#ifndef UAP_SEARCH_LABEL_RUN_H
#define UAP_SEARCH_LABEL_RUN_H

#include "search/label.h"
#include "search/segment.h"

#define UAP_LABEL_MARGIN 1e-11 /* rounding of a few hundred additions stays far below */

/* Working memory of one run. */
typedef struct uap_label_run {
    uap_segments *s;
    uap_group *group;
    const uap_stage_class *cls;
    int32_t x;
    const double *budget[UAP_MAX_FUNCTIONALS]; /* [cells] of this x */
    int32_t only; /* labels of this functional alone, its value in p; -1: full labels */
    uap_dominance rule;
    int32_t width;            /* widest class set */
    int32_t tests;            /* functionals x multipliers */
    double *limit;            /* [bands][cells][tests] the sweeps' results */
    double *sweep;            /* [2][width][tests] */
    int64_t *work;            /* [n_len] least W of the first layers */
    uap_label_list *in, *out; /* [width] */
    uap_label_list shifted, merged;
    uap_label_list *saved; /* [cells] out lists, kept for paths, or NULL */
    /* What can still follow a label, by functional, [cells] lists each: p = -budget left,
     * m = -memory left, w = largest workspace to come. Full labels only. */
    uap_label_list *completion[UAP_MAX_FUNCTIONALS];
    uap_label_list *entry; /* [width] the same in front of a layer */
    double *reach;         /* [cells][multipliers] least value + price * memory so far */
    int32_t most_cells;
    bool no_memory;
} uap_label_run;

/* Working memory for the segments' largest group; false when out of memory. */
bool uap_label_run_init(uap_label_run *run, uap_segments *segments);
void uap_label_run_free(uap_label_run *run);

/* Points the run at a start class and the budgets of its cells ([cells] per functional). */
void uap_label_run_start(uap_label_run *run, uap_group *group, int32_t x,
                         const double *const *budget);

/* Walks the labels through the group's layers: Pareto sets into the group, or bounds (only
 * >= 0), or the lists themselves (saved). False when out of memory. */
bool uap_label_run_labels(uap_label_run *run);

/* What row k of a kind adds to a label. */
uap_label uap_label_run_step(const uap_label_run *run, const uap_row_view *row,
                             int32_t k);

/* Functional f of a full label. */
double uap_label_run_value(const uap_label_run *run, int32_t f, const uap_label *label);

/* Prepares the limits of a run: the Lagrangian sweep, and for full labels the completion
 * lists. False when out of memory. */
bool uap_limits_prepare(uap_label_run *run);

/* Whether the label, behind layer l in class y, can reach a wanted end within its budget.
 * Never false for one that can. */
bool uap_limits_allow(const uap_label_run *run, int32_t l, int32_t y,
                      const uap_label *label);

#endif
