/* CLP behind its C interface (search/lp_clp.h). */
#include "search/lp_clp.h"

#include <coin/Clp_C_Interface.h>
#include <math.h>
#include <string.h>

/* Iterations between two questions whether to stop, at first: some tenths of a second. Every
 * start perturbs the costs anew and may undo what the last slice did, so that slices grow. */
#define FIRST_SLICE 2000
#define MAX_SLICE   1000000

/* What Clp_status and Clp_secondaryStatus say. */
enum { CLP_OPTIMAL = 0, CLP_PRIMAL_INFEASIBLE = 1, CLP_STOPPED = 3 };
enum { CLP_CUT_OFF = 1 };

struct uap_lp {
    const uap_milp *milp;
    Clp_Simplex *model;
    double *ray; /* [n_rows] a copy of CLP's */
};

uap_status uap_lp_new(const uap_milp *milp, uap_lp **out, uap_err *err)
{
    uap_lp *lp = uap_calloc(1, sizeof *lp);
    *out = NULL;
    if (lp != NULL) {
        lp->milp = milp;
        lp->ray = uap_calloc((size_t)milp->n_rows + 1, sizeof *lp->ray);
    }
    if (lp == NULL || lp->ray == NULL) {
        uap_lp_free(lp);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a linear program");
    }
    lp->model = Clp_newModel();
    Clp_setLogLevel(lp->model, 0);
    Clp_loadProblem(lp->model, milp->n_cols, milp->n_rows, milp->start, milp->row,
                    milp->value, milp->lower, milp->upper, milp->cost, milp->row_lower,
                    milp->row_upper);
    *out = lp;
    return UAP_OK;
}

void uap_lp_free(uap_lp *lp)
{
    if (lp != NULL) {
        if (lp->model != NULL) {
            Clp_deleteModel(lp->model);
        }
        uap_free(lp->ray);
        uap_free(lp);
    }
}

/* Runs the dual simplex slice by slice; true: it came to an end. */
static bool run(uap_lp *lp, const uap_lp_task *task, int64_t *iterations)
{
    for (int slice = FIRST_SLICE; slice <= MAX_SLICE; slice *= 2) {
        Clp_setMaximumIterations(lp->model, slice);
        (void)Clp_dual(lp->model, 0);
        *iterations += Clp_numberIterations(lp->model);
        if (Clp_status(lp->model) != CLP_STOPPED) {
            return true;
        }
        if (task->must_stop != NULL && task->must_stop(task->context)) {
            return false;
        }
    }
    return false;
}

static const double *copy_ray(uap_lp *lp)
{
    double *ray = Clp_infeasibilityRay(lp->model);
    if (ray == NULL) {
        return NULL;
    }
    memcpy(lp->ray, ray, (size_t)lp->milp->n_rows * sizeof *lp->ray);
    Clp_freeRay(lp->model, ray);
    return lp->ray;
}

uap_status uap_lp_solve(uap_lp *lp, const uap_lp_task *task, uap_lp_answer *answer,
                        uap_err *err)
{
    Clp_Simplex *model = lp->model;
    *answer = (uap_lp_answer){.outcome = UAP_LP_STOPPED};
    Clp_chgColumnLower(model, task->lower);
    Clp_chgColumnUpper(model, task->upper);
    Clp_setDualObjectiveLimit(model, isfinite(task->cutoff) ? task->cutoff : 1e50);
    const bool ended = run(lp, task, &answer->iterations);
    answer->duals = Clp_dualRowSolution(model);
    if (!ended) {
        return UAP_OK;
    }
    switch (Clp_status(model)) {
    case CLP_OPTIMAL:
        answer->outcome = UAP_LP_OPTIMAL;
        answer->x = Clp_getColSolution(model);
        return UAP_OK;
    case CLP_PRIMAL_INFEASIBLE:
        answer->outcome = UAP_LP_CUT_OFF;
        if (Clp_secondaryStatus(model) != CLP_CUT_OFF) {
            answer->outcome = UAP_LP_INFEASIBLE;
            answer->duals = copy_ray(lp);
        }
        return UAP_OK;
    default:
        return UAP_FAIL(err, SOLVER, "CLP gave up: status %d, secondary status %d",
                        Clp_status(model), Clp_secondaryStatus(model));
    }
}
