/* CBC behind its C interface, with what release 2.10 needs to be safe: a new model for every
 * run (one that was solved before answers wrongly), no output, elapsed time, costs of a size
 * its absolute tolerances suit, and no faith. docs/milp.md has the reasons. */
#include "search/ilp_cbc.h"

#include "common/numbers.h"
#include "search/cbc_lock.h"
#include "search/objective.h"

#include <coin/Cbc_C_Interface.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Plans that fit only by the solver's tolerance, forbidden one by one, before giving up. */
#define MAX_NO_GOODS 64

/* What a plan's value may differ from what CBC computed for it, relative. */
#define AGREEMENT 1e-6

typedef struct run {
    const uap_cbc_task *task;
    uap_milp *milp;
    Cbc_Model *model;
    uap_stage_cost *stage; /* [pp] */
    int32_t *start_col;
    double *start_value;
    uap_milp_no_good no_good[MAX_NO_GOODS];
    int32_t n_no_goods;
} run;

/* ---- Silence -------------------------------------------------------------------------- */

/* Sends standard output to nowhere; returns the descriptor to restore, or -1. */
static int silence(void)
{
    (void)fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    const int nowhere = open("/dev/null", O_WRONLY);
    if (kept >= 0 && nowhere >= 0) {
        (void)dup2(nowhere, STDOUT_FILENO);
    }
    if (nowhere >= 0) {
        (void)close(nowhere);
    }
    return kept;
}

static void restore(int kept)
{
    (void)fflush(stdout);
    if (kept >= 0) {
        (void)dup2(kept, STDOUT_FILENO);
        (void)close(kept);
    }
}

/* ---- Into CBC ------------------------------------------------------------------------- */

static void set_number(Cbc_Model *model, const char *name, double value)
{
    char text[40];
    (void)snprintf(text, sizeof text, "%.17g", value);
    Cbc_setParameter(model, name, text);
}

static void set_parameters(const run *r)
{
    Cbc_setLogLevel(r->model, 0);
    Cbc_setParameter(r->model, "log", "0");
    Cbc_setParameter(r->model, "timeMode", "elapsed");
    /* Integer preprocessing, on by default, cuts off optima of this very program
     * (docs/milp.md; see also coin-or/Cbc issue 283). */
    Cbc_setParameter(r->model, "preprocess", "off");
    if (r->task->seconds > 0.0) {
        set_number(r->model, "seconds", r->task->seconds);
    }
    if (r->task->gap > 0.0) {
        set_number(r->model, "ratioGap", r->task->gap);
    }
}

static bool start_is_useful(const uap_cbc_task *task)
{
    return task->start != NULL && (task->cutoff == 0 || task->start_value < task->cutoff);
}

/* A start brings its own cutoff with it; the two are not mixed. */
static void set_start(run *r)
{
    const uap_cbc_task *task = r->task;
    if (start_is_useful(task)) {
        const int32_t n =
            uap_milp_encode(r->milp, task->start, r->start_col, r->start_value);
        Cbc_setMIPStartI(r->model, n, r->start_col, r->start_value);
    } else if (task->cutoff > 0) {
        Cbc_setCutoff(r->model, (double)task->cutoff / r->milp->tick_unit);
    }
}

static void load(run *r)
{
    const uap_milp *m = r->milp;
    r->model = Cbc_newModel();
    Cbc_loadProblem(r->model, m->n_cols, m->n_rows, m->start, m->row, m->value, m->lower,
                    m->upper, m->cost, m->row_lower, m->row_upper);
    for (int32_t j = 0; j < m->n_cols; j++) {
        if (m->integer[j]) {
            Cbc_setInteger(r->model, j);
        }
    }
    set_parameters(r);
    set_start(r);
}

static uap_status build(run *r, uap_err *err)
{
    const uap_cbc_task *task = r->task;
    int64_t known = start_is_useful(task) ? task->start_value : task->cutoff;
    const uap_milp_options options = {.goal = task->goal,
                                      .incumbent = known,
                                      .no_good = r->no_good,
                                      .n_no_goods = r->n_no_goods};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_milp_new(task->instance, &options, &r->milp, err));
    if (task->restriction != NULL) {
        uap_milp_restrict(r->milp, task->restriction->allow, r->milp->upper);
    }
    const size_t n = (size_t)r->milp->n_cols;
    r->start_col = uap_calloc(n, sizeof *r->start_col);
    r->start_value = uap_calloc(n, sizeof *r->start_value);
    if (r->start_col == NULL || r->start_value == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a start solution");
    }
done:
    return rc;
}

static void unload(run *r)
{
    if (r->model != NULL) {
        Cbc_deleteModel(r->model);
    }
    uap_free(r->start_col);
    uap_free(r->start_value);
    uap_milp_free(r->milp);
    r->model = NULL;
    r->milp = NULL;
    r->start_col = NULL;
    r->start_value = NULL;
}

/* ---- Out of CBC ----------------------------------------------------------------------- */

/* The stage of a plan that lacks most, or -1. */
static int32_t overfull(const run *r, const uap_choice *choice)
{
    const uap_instance *in = r->task->instance;
    int32_t worst = -1;
    int64_t most = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        const int64_t over = r->stage[i].memory - uap_choice_cap(in, choice, i);
        if (over > most) {
            most = over;
            worst = i;
        }
    }
    return worst;
}

/* Notes that the layers of this stage do not fit, for the next try. */
static uap_status forbid(run *r, const uap_choice *choice, int32_t stage, uap_err *err)
{
    const uap_instance *in = r->task->instance;
    if (r->n_no_goods == MAX_NO_GOODS) {
        return UAP_FAIL(err, SOLVER,
                        "CBC returned %d plans that do not fit, the last by %" PRId64
                        " bytes in stage %d",
                        MAX_NO_GOODS,
                        r->stage[stage].memory - uap_choice_cap(in, choice, stage),
                        stage);
    }
    uap_milp_no_good *bad = &r->no_good[r->n_no_goods];
    if (!uap_choice_init(&bad->choice, in->pp, in->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_choice_copy(&bad->choice, choice, in->pp, in->n_layers);
    bad->stage = stage;
    r->n_no_goods++;
    return UAP_OK;
}

/* Costs CBC's plan. *again: it does not fit by less than a tolerance, and is now forbidden. */
static uap_status take_plan(run *r, const double *x, uap_cbc_answer *answer, bool *again,
                            uap_err *err)
{
    const uap_instance *in = r->task->instance;
    uap_milp_decode(r->milp, x, &answer->choice);
    int64_t value = -1;
    const bool fits = uap_choice_value(in, &answer->choice, r->stage, &value);
    if (value < 0) {
        return UAP_FAIL(err, SOLVER,
                        "CBC returned a plan that is none: stages out of order, "
                        "empty, or tied layers unlike");
    }
    if (r->task->goal == UAP_MILP_MEMORY) {
        answer->value = 0;
        return UAP_OK;
    }
    if (!fits) {
        const int32_t stage = overfull(r, &answer->choice);
        if (stage < 0) {
            return UAP_FAIL(err, SOLVER,
                            "CBC's plan takes more devices than a group has");
        }
        *again = true;
        return forbid(r, &answer->choice, stage, err);
    }
    const double claimed = Cbc_getObjValue(r->model) * r->milp->tick_unit;
    if (!(fabs(claimed - (double)value) <= AGREEMENT * fabs((double)value) + 1.0)) {
        return UAP_FAIL(err, SOLVER, "CBC claims %.9g s for a plan that takes %.9g s",
                        claimed / (double)UAP_TICKS_PER_SECOND,
                        (double)value / (double)UAP_TICKS_PER_SECOND);
    }
    answer->value = value;
    return UAP_OK;
}

/* CBC's own bound: late at times, and without meaning before the first relaxation. */
static int64_t read_bound(const run *r, const uap_cbc_answer *answer)
{
    const double bound = Cbc_getBestPossibleObjValue(r->model) * r->milp->tick_unit;
    if (!(bound > 0.0) || !(bound < (double)UAP_VALUE_LIMIT)) {
        return 0;
    }
    /* Its relaxations are right to about 1e-9. */
    const int64_t ticks = (int64_t)(bound * (1.0 - 1e-9));
    return answer->outcome == UAP_OUTCOME_FEASIBLE ? uap_min_i64(ticks, answer->value)
                                                   : ticks;
}

static uap_status read_answer(run *r, uap_cbc_answer *answer, bool *again, uap_err *err)
{
    Cbc_Model *model = r->model;
    answer->nodes += Cbc_getNodeCount(model);
    if (Cbc_isAbandoned(model) || Cbc_isContinuousUnbounded(model)) {
        return UAP_FAIL(err, SOLVER, "CBC gave up: status %d, secondary status %d",
                        Cbc_status(model), Cbc_secondaryStatus(model));
    }
    if (Cbc_isProvenInfeasible(model)) {
        answer->outcome = UAP_OUTCOME_INFEASIBLE;
        return UAP_OK;
    }
    const double *x = Cbc_bestSolution(model);
    const bool optimal = Cbc_isProvenOptimal(model) != 0;
    if (x == NULL && optimal) {
        return UAP_FAIL(err, SOLVER, "CBC says optimal and has no solution");
    }
    if (x != NULL) {
        const uap_status rc = take_plan(r, x, answer, again, err);
        if (rc != UAP_OK || *again) {
            return rc;
        }
    }
    answer->outcome = optimal     ? UAP_OUTCOME_OPTIMAL
                      : x != NULL ? UAP_OUTCOME_FEASIBLE
                                  : UAP_OUTCOME_UNKNOWN;
    answer->bound =
        optimal && r->task->gap <= 0.0 ? answer->value : read_bound(r, answer);
    return UAP_OK;
}

/* A start that CBC did not better, or lost, still stands. */
static uap_status keep_start(const run *r, uap_cbc_answer *answer, uap_err *err)
{
    const uap_cbc_task *task = r->task;
    const bool has_plan =
        answer->outcome == UAP_OUTCOME_OPTIMAL || answer->outcome == UAP_OUTCOME_FEASIBLE;
    if (!start_is_useful(task) || (has_plan && answer->value <= task->start_value)) {
        return UAP_OK;
    }
    const double worse = (double)answer->value - (double)task->start_value;
    if (answer->outcome == UAP_OUTCOME_OPTIMAL && task->gap <= 0.0 &&
        worse > AGREEMENT * (double)task->start_value + 1.0) {
        return UAP_FAIL(err, SOLVER,
                        "CBC calls %.9g s optimal, but a plan of %.9g s is known",
                        (double)answer->value / (double)UAP_TICKS_PER_SECOND,
                        (double)task->start_value / (double)UAP_TICKS_PER_SECOND);
    }
    uap_choice_copy(&answer->choice, task->start, task->instance->pp,
                    task->instance->n_layers);
    answer->value = task->start_value;
    if (answer->outcome == UAP_OUTCOME_INFEASIBLE) {
        answer->outcome = UAP_OUTCOME_OPTIMAL;
        answer->bound = answer->value;
    } else if (answer->outcome == UAP_OUTCOME_UNKNOWN) {
        answer->outcome = UAP_OUTCOME_FEASIBLE;
    }
    answer->bound = uap_min_i64(answer->bound, answer->value);
    return UAP_OK;
}

uap_status uap_cbc_run(const uap_cbc_task *task, uap_cbc_answer *answer, uap_err *err)
{
    uap_status rc = UAP_OK;
    run r = {.task = task};
    bool again = true;
    *answer = (uap_cbc_answer){.outcome = UAP_OUTCOME_UNKNOWN};
    uap_cbc_lock();
    r.stage = uap_calloc((size_t)task->instance->pp, sizeof *r.stage);
    if (r.stage == NULL ||
        !uap_choice_init(&answer->choice, task->instance->pp, task->instance->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
        goto done;
    }
    while (again) {
        again = false;
        UAP_TRY(build(&r, err));
        const int kept = silence();
        load(&r);
        (void)Cbc_solve(r.model);
        restore(kept);
        UAP_TRY(read_answer(&r, answer, &again, err));
        unload(&r);
    }
    rc = keep_start(&r, answer, err);
done:
    unload(&r);
    uap_coin_unlock();
    for (int32_t n = 0; n < r.n_no_goods; n++) {
        uap_choice_free(&r.no_good[n].choice);
    }
    uap_free(r.stage);
    return rc;
}

void uap_cbc_answer_free(uap_cbc_answer *found)
{
    if (found != NULL) {
        uap_choice_free(&found->choice);
    }
}
