/* Inside of search/label_run.h: the Lagrangian sweep that fills limits, shared by what
 * chooses tests (label_price.c) and what uses them (label_limit.c). */
#ifndef UAP_SEARCH_LABEL_SWEEP_H
#define UAP_SEARCH_LABEL_SWEEP_H

#include "search/label_run.h"

/* Tests that follow one another and are of one functional. */
typedef struct uap_sweep_span {
    int32_t first, end;
    uap_measure measure;
} uap_sweep_span;

/* An in-class behind a link, and the most that may stand in front of it. */
typedef struct uap_sweep_place {
    double limit;
    int32_t x;
} uap_sweep_place;

/* One band's sweep of tests first .. end - 1. */
typedef struct uap_sweep {
    const uap_label_run *run;
    uap_run_band *band;
    int32_t first, end;
    double *limit;           /* [slots][tests] out */
    double *through;         /* [rows][tests] in front of each row of the layer at hand */
    double *entry;           /* [width][tests] the best of them by in-class */
    uap_sweep_place *places; /* [width] */
    /* Set by uap_sweep_limits: */
    int32_t n_spans;
    uap_sweep_span span[UAP_MAX_FUNCTIONALS];
} uap_sweep;

/* Backward from the wanted ends: fills limit, and leaves in entry what may stand in front of
 * the group's first layer. */
void uap_sweep_limits(const uap_sweep *sweep);

/* What a label at the start lacks (positive: it can reach no end) under one test, in the
 * test's own unit. */
double uap_sweep_lack(const uap_sweep *b, int32_t test);

/* Sets and sweeps the tests of a band with the class's multipliers, for each functional.
 * *lack: the most that the start lacks under one of them, in ticks of its functional. */
void uap_band_price(const uap_sweep *sweep, double *lack);

/* After that, as far as the run has room for more tests (one functional alone, sharp), refined
 * prices around the one under which the start lacks most. *lack is raised. until_none: only
 * until it is positive, when the limits are of no more use. */
void uap_band_refine(const uap_sweep *sweep, bool until_none, double *lack);

/* How many tests that takes. */
int32_t uap_band_tests(const uap_label_run *run, bool is_sharp);

/* Functionals that a run tests. */
static inline int32_t uap_run_tested(const uap_label_run *run)
{
    return run->only >= 0 ? 1 : run->group->n_functionals;
}

static inline int32_t uap_run_functional(const uap_label_run *run, int32_t t)
{
    return run->only >= 0 ? run->only : t;
}

#endif
