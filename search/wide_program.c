/* A node's restriction as bounds of columns, CLP from the last basis, and what its answer
 * proves (search/lp_bound.h). */
#include "search/wide_program.h"

#include "common/numbers.h"
#include "search/lp_bound.h"

#include <math.h>
#include <string.h>

/* Bounds from duals are a little below what CLP says: it may stop this much above. */
#define CUTOFF_MARGIN 1e-6

/* Seconds of a solve for each row and entry, the first and the later ones: measured with
 * programs of 2,000 to 4,000 rows and 22,000 to 42,000 entries. */
#define FIRST_SOLVE_S 4e-9
#define WARM_SOLVE_S  2e-9

struct uap_program {
    const uap_instance *in;
    uap_milp *milp;
    uap_lp *lp;
    double *limit;   /* [n_cols] finite upper bounds of all columns */
    double *upper;   /* [n_cols] those of a node */
    double *flipped; /* [n_rows] a ray with its sign changed */
    const double *x; /* of the last solve, or NULL */
    bool is_warm;    /* it was solved before */
};

/* More than any plan's value, in doubles. */
static double worst_value(const uap_instance *in)
{
    double once = 0.0, work = 0.0;
    for (int32_t u = 0; u < in->n_layers; u++) {
        const uap_layer_table *t = uap_table_of(in, u);
        double time = 0.0, grad = 0.0;
        for (int32_t k = 0; k < t->n; k++) {
            time = fmax(time, (double)t->fwd[k] + (double)t->bwd[k]);
            grad = fmax(grad, (double)t->grad[k]);
        }
        work += time;
        once += grad;
    }
    for (int32_t u = 0; u + 1 < in->n_layers; u++) {
        const uap_edge_table *e = uap_edge_of(in, u);
        double most = 0.0;
        for (int32_t i = 0; i < e->n_from * e->n_to; i++) {
            most = fmax(most, (double)e->r_fwd[i] + (double)e->r_bwd[i]);
            most = fmax(most, (double)e->x_fwd[i] + (double)e->x_bwd[i]);
        }
        work += most;
    }
    for (int32_t t = 0; t < in->n_live; t++) {
        const uap_live_tensor *live = &in->live[t];
        const int32_t n = uap_table_of(in, live->from)->n;
        for (int32_t k = 0; k < n; k++) {
            work += (double)in->pp * ((double)live->x_fwd[k] + (double)live->x_bwd[k]);
        }
        for (int32_t e = 0; e < live->n_consumers; e++) {
            const int32_t m = uap_table_of(in, live->consumer[e])->n;
            for (int32_t i = 0; i < n * m; i++) {
                work += (double)live->r_fwd[e][i] + (double)live->r_bwd[e][i];
            }
        }
    }
    return work * ((double)in->micro_batches + in->pp + 1.0) + once;
}

uap_status uap_program_new(const uap_instance *instance, int64_t most, uap_program **out,
                           uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_milp_options options = {.goal = UAP_MILP_TIME, .incumbent = most};
    uap_program *p = uap_calloc(1, sizeof *p);
    *out = NULL;
    if (p == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a linear program");
    }
    p->in = instance;
    UAP_TRY(uap_milp_new(instance, &options, &p->milp, err));
    UAP_TRY(uap_lp_new(p->milp, &p->lp, err));
    const size_t n = (size_t)p->milp->n_cols;
    p->limit = uap_calloc(n, sizeof *p->limit);
    p->upper = uap_calloc(n, sizeof *p->upper);
    p->flipped = uap_calloc((size_t)p->milp->n_rows + 1, sizeof *p->flipped);
    if (p->limit == NULL || p->upper == NULL || p->flipped == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a linear program");
        goto done;
    }
    const double worst = worst_value(instance);
    if (most <= 0) {
        most = worst < (double)UAP_VALUE_LIMIT ? (int64_t)worst + 1 : UAP_VALUE_LIMIT;
    }
    uap_lp_limits(instance, p->milp, most, p->limit);
    memcpy(p->upper, p->limit, n * sizeof *p->upper);
    *out = p;
    p = NULL;
done:
    uap_program_free(p);
    return rc;
}

void uap_program_free(uap_program *program)
{
    if (program != NULL) {
        uap_lp_free(program->lp);
        uap_milp_free(program->milp);
        uap_free(program->limit);
        uap_free(program->upper);
        uap_free(program->flipped);
        uap_free(program);
    }
}

/* Whether a ray proves that there is no plan; CLP's sign of it is not told. */
static bool proves_empty(uap_program *p, const double *ray)
{
    if (ray == NULL) {
        return false;
    }
    for (int32_t i = 0; i < p->milp->n_rows; i++) {
        p->flipped[i] = -ray[i];
    }
    return uap_lp_bound(p->milp, p->milp->lower, p->upper, ray, false) > 0 ||
           uap_lp_bound(p->milp, p->milp->lower, p->upper, p->flipped, false) > 0;
}

uap_status uap_program_bound(uap_program *program, const uap_program_task *task,
                             int64_t *bound, uap_err *err)
{
    const uap_milp *milp = program->milp;
    uap_lp_answer answer;
    const uap_node *node = task->node;
    uap_milp_restrict(milp, node->n_layers > 0 ? node->restriction.allow : NULL,
                      program->upper);
    const uap_lp_task lp = {.lower = milp->lower,
                            .upper = program->upper,
                            .cutoff = task->cutoff < UAP_VALUE_LIMIT
                                          ? ((double)task->cutoff + 1.0) /
                                                milp->tick_unit * (1.0 + CUTOFF_MARGIN)
                                          : HUGE_VAL,
                            .must_stop = task->must_stop,
                            .context = task->context};
    program->x = NULL;
    *bound = INT64_MIN;
    const uap_status rc = uap_lp_solve(program->lp, &lp, &answer, err);
    program->is_warm = true;
    if (rc != UAP_OK) {
        /* What CLP cannot solve has no bound from it, and needs none. */
        return rc == UAP_SOLVER ? UAP_OK : rc;
    }
    program->x = answer.x;
    if (answer.outcome == UAP_LP_INFEASIBLE) {
        *bound = proves_empty(program, answer.duals) ? INT64_MAX : INT64_MIN;
    } else if (answer.duals != NULL) {
        *bound = uap_lp_bound(milp, milp->lower, program->upper, answer.duals, true);
    }
    return UAP_OK;
}

double uap_program_seconds(const uap_program *program)
{
    const uap_milp *milp = program->milp;
    return (program->is_warm ? WARM_SOLVE_S : FIRST_SOLVE_S) * (double)milp->n_rows *
           (double)milp->start[milp->n_cols];
}

bool uap_program_has_solution(const uap_program *program)
{
    return program->x != NULL;
}

double uap_program_share(const uap_program *program, int32_t layer, int32_t k)
{
    return program->x[program->milp->strategy[layer] + k];
}

/* Layers before stage i, as far as the solution's fractions say. */
static double layers_before(const uap_program *p, int32_t i)
{
    double sum = 0.0;
    for (int32_t u = 0; u < p->in->n_layers; u++) {
        for (int32_t j = 0; j < i; j++) {
            const int32_t col = p->milp->place[(size_t)u * (size_t)p->in->pp + (size_t)j];
            sum += col >= 0 ? p->x[col] : 0.0;
        }
    }
    return sum;
}

void uap_program_round(const uap_program *program, const uap_node *node,
                       uap_choice *choice)
{
    const uap_instance *in = program->in;
    choice->first[0] = 0;
    for (int32_t i = 1; i < in->pp; i++) {
        const int32_t wanted = (int32_t)lround(layers_before(program, i));
        const int32_t most = in->n_layers - in->pp + i;
        choice->first[i] =
            uap_max_i32(choice->first[i - 1] + 1, wanted < most ? wanted : most);
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        const uint8_t *allow = node->n_layers > 0 ? node->restriction.allow[u] : NULL;
        double best = -1.0;
        for (int32_t k = 0; k < uap_table_of(in, u)->n; k++) {
            const double share = uap_program_share(program, u, k);
            if ((allow == NULL || allow[k]) && share > best) {
                best = share;
                choice->strategy[u] = k;
            }
        }
    }
}
