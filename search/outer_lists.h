/* Inside of search/outer.h: the relaxation's lists, shared by its parts: the bound in
 * outer.c, budgets in outer_budget.c, the exact recursion in outer_exact.c. Nobody else
 * includes this. */
#ifndef UAP_SEARCH_OUTER_LISTS_H
#define UAP_SEARCH_OUTER_LISTS_H

#include "search/outer_terms.h"

/* A point (S, M) of the relaxation, ticks. */
typedef struct uap_relaxed {
    double s, m;
} uap_relaxed;

typedef struct uap_list {
    int64_t first; /* into the pool */
    int32_t count;
} uap_list;

/* A start of a stage in a pass, which is a task of a job. */
typedef struct uap_outer_task {
    int64_t steps; /* that it takes, about */
    int32_t a;
} uap_outer_task;

struct uap_outer {
    const uap_pipeline *pipeline;
    const uap_chain *chain;
    uap_segments *segments;
    int64_t c;
    int64_t target_ticks;
    double target;          /* with a margin for rounding */
    const int32_t *lo, *hi; /* [pp] starts of each stage */
    int32_t width;          /* widest class set */
    uap_stage_terms *terms; /* [pp] */
    uap_list *head; /* [pp][L][width] before stage i that starts at (a, x), transfer in */
    uap_list *tail; /* [pp][L][width] behind stage i that ends at (b, y), transfer in */
    uap_list *suffix;     /* [width] of the whole chain from (0, x) on */
    double *before;       /* [pp][L][width] least S of head */
    double *at_end;       /* [L][width] scratch */
    uap_outer_task *task; /* [L] of the job at hand, the longest first */
    int64_t *sum;         /* [L + 1] scratch */
    uap_relaxed *pool;
    int64_t n_pool, pool_capacity;
};

/* The group of stage i's starts at layer a; lo[i] <= a <= hi[i]. */
static inline uap_group *uap_outer_group(const uap_outer *o, int32_t i, int32_t a)
{
    const uap_stage_class *cls = &o->segments->cls[o->segments->class_of[i]];
    return &o->segments->group[cls->group_of[a]];
}

static inline size_t uap_outer_at(const uap_outer *o, int32_t i, int32_t layer,
                                  int32_t class)
{
    return ((size_t)i * (size_t)o->chain->n_layers + (size_t)layer) * (size_t)o->width +
           (size_t) class;
}

static inline uap_list *uap_outer_head(const uap_outer *o, int32_t i, int32_t a,
                                       int32_t x)
{
    return &o->head[uap_outer_at(o, i, a, x)];
}

static inline uap_list *uap_outer_tail(const uap_outer *o, int32_t i, int32_t b,
                                       int32_t y)
{
    return &o->tail[uap_outer_at(o, i, b, y)];
}

/* Puts the starts of stage i into o->task for a pass that looks from each at all its ends, and
 * with `tails` at all entries behind these; returns the steps of all. */
int64_t uap_outer_tasks_back(uap_outer *o, int32_t i, bool tails);

/* The same for a pass that looks from each start of stage i back at the cells of stage i - 1
 * that end in front of it, and at all entries in front of these. i > 0. */
int64_t uap_outer_tasks_forth(uap_outer *o, int32_t i);

/* Sets the budgets of all segments from the lists in front of and behind them. Errors:
 * NO_MEMORY, those of the crew. */
UAP_NODISCARD uap_status uap_outer_budget(uap_outer *o, uap_err *err);

#endif
