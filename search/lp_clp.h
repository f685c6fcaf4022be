/* CLP on the linear relaxation of search/milp.h: one model that is solved again and again
 * from its last basis as columns' bounds change (unlike a CBC model, a CLP one may be). It
 * says what it found, not what that proves: search/lp_bound.h does. */
#ifndef UAP_SEARCH_LP_CLP_H
#define UAP_SEARCH_LP_CLP_H

#include "search/milp.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_lp uap_lp;

/* Makes a model of the program, which must outlive it. Errors: NO_MEMORY. Freed with
 * uap_lp_free. */
UAP_NODISCARD uap_status uap_lp_new(const uap_milp *milp, uap_lp **out, uap_err *err);
void uap_lp_free(uap_lp *lp); /* NULL is legal */

typedef struct uap_lp_task {
    const double *lower, *upper; /* [n_cols] finite */
    double cutoff;               /* units: a bound above it is enough; HUGE_VAL: none */
    bool (*must_stop)(void *context); /* asked every some hundred iterations */
    void *context;
} uap_lp_task;

typedef enum uap_lp_outcome {
    UAP_LP_OPTIMAL,
    UAP_LP_CUT_OFF,    /* passed the cutoff */
    UAP_LP_INFEASIBLE, /* duals is a ray then, to be tried with either sign */
    UAP_LP_STOPPED     /* must_stop, or too hard for CLP */
} uap_lp_outcome;

/* x and duals are borrowed until the next call; x is NULL unless OPTIMAL, duals NULL where
 * there are none. */
typedef struct uap_lp_answer {
    uap_lp_outcome outcome;
    const double *x;     /* [n_cols] */
    const double *duals; /* [n_rows] */
    int64_t iterations;
} uap_lp_answer;

/* Dual simplex from the last basis. Standard output is silenced meanwhile. Errors: SOLVER,
 * NO_MEMORY. Not thread safe. Local. */
UAP_NODISCARD uap_status uap_lp_solve(uap_lp *lp, const uap_lp_task *task,
                                      uap_lp_answer *answer, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
