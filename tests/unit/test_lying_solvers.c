/* The exact engine with solvers that lie: this program has its own CLP and CBC, whose answers
 * are wrong in every way that their interfaces allow. What a proof takes from them must be
 * proven by the engine itself, so that it comes to brute force's value all the same. */
#include "unit/engines.h"

#include "bench/rng.h"
#include "search/ilp_cbc.h"
#include "search/lp_clp.h"

#include <stdlib.h>

/* ---- The solvers --------------------------------------------------------------------- */

typedef enum lie {
    LIE_EMPTY,        /* there is no plan, for no reason */
    LIE_EMPTY_RAY,    /* there is none, by any ray */
    LIE_EMPTY_NAN,    /* by one that is no number */
    LIE_CUT_OFF,      /* passed the cutoff, by any duals */
    LIE_CUT_OFF_HUGE, /* by huge ones */
    LIE_OPTIMAL,      /* an optimum, by any duals, at any point */
    LIE_COUNT
} lie;

static struct {
    lie lp;
    uap_outcome cbc;
    uap_rng rng;
    int64_t told, asked; /* by CLP, of CBC */
} liar;

struct uap_lp {
    const uap_milp *milp;
    double *x, *duals;
};

uap_status uap_lp_new(const uap_milp *milp, uap_lp **out, uap_err *err)
{
    uap_lp *lp = uap_calloc(1, sizeof *lp);
    (void)err;
    assert_non_null(lp);
    lp->milp = milp;
    lp->x = uap_calloc((size_t)milp->n_cols + 1, sizeof *lp->x);
    lp->duals = uap_calloc((size_t)milp->n_rows + 1, sizeof *lp->duals);
    assert_true(lp->x != NULL && lp->duals != NULL);
    *out = lp;
    return UAP_OK;
}

void uap_lp_free(uap_lp *lp)
{
    if (lp != NULL) {
        uap_free(lp->x);
        uap_free(lp->duals);
        uap_free(lp);
    }
}

uap_status uap_lp_solve(uap_lp *lp, const uap_lp_task *task, uap_lp_answer *to,
                        uap_err *err)
{
    const double size = liar.lp == LIE_CUT_OFF_HUGE ? 1e300 : 100.0;
    (void)err;
    for (int32_t i = 0; i < lp->milp->n_rows; i++) {
        lp->duals[i] =
            liar.lp == LIE_EMPTY_NAN ? (double)NAN : uap_rng_real(&liar.rng, -size, size);
    }
    for (int32_t j = 0; j < lp->milp->n_cols; j++) {
        lp->x[j] = uap_rng_real(&liar.rng, task->lower[j], task->upper[j] + 1e-9);
    }
    *to = (uap_lp_answer){.outcome = UAP_LP_INFEASIBLE, .duals = lp->duals};
    if (liar.lp == LIE_EMPTY) {
        to->duals = NULL;
    } else if (liar.lp == LIE_CUT_OFF || liar.lp == LIE_CUT_OFF_HUGE) {
        to->outcome = UAP_LP_CUT_OFF;
    } else if (liar.lp == LIE_OPTIMAL) {
        to->outcome = UAP_LP_OPTIMAL;
        to->x = lp->x;
    }
    liar.told++;
    return UAP_OK;
}

uap_status uap_cbc_run(const uap_cbc_task *task, uap_cbc_answer *to, uap_err *err)
{
    const uap_instance *in = task->instance;
    (void)err;
    assert_true(uap_choice_init(&to->choice, in->pp, in->n_layers));
    to->outcome = liar.cbc;
    to->value = 1; /* a plan out of thin air, of a value that it has not */
    for (int32_t i = 0; i < in->pp; i++) {
        to->choice.first[i] = i;
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        to->choice.strategy[u] =
            (int32_t)uap_rng_range(&liar.rng, 0, uap_table_of(in, u)->n - 1);
    }
    liar.asked++;
    return UAP_OK;
}

void uap_cbc_answer_free(uap_cbc_answer *found)
{
    uap_choice_free(&found->choice);
}

/* ---- The engine ---------------------------------------------------------------------- */

static uap_instance *skips_of(uint64_t seed)
{
    uap_err err = {0};
    uap_instance *in = NULL;
    const bool full = seed % 3 != 0;
    const uap_generate_wide what = {
        .chain = {.family = UAP_FAMILY_RANDOM,
                  .objective = full ? UAP_OBJECTIVE_FULL : UAP_OBJECTIVE_SIMPLE,
                  .schedule = (uap_schedule)(seed % UAP_SCHEDULE_COUNT),
                  .n_layers = 4 + (int32_t)(seed % 3),
                  .n_strategies = 3,
                  .pp = 1 + (int32_t)(seed % 3),
                  .micro_batches = 1 + (int32_t)(seed % 5),
                  .tightness = 0.1 * (double)(seed % 7),
                  .seed = seed},
        .skips = (uap_skips)(seed % UAP_SKIPS_COUNT),
        .n_live = 3,
        .layouts = 3,
        .weight = 4.0};
    assert_ok(uap_generate_wide_graph(&what, &in, &err), &err);
    return in;
}

/* Solves in one mode and holds the result against brute force's. */
static void assert_not_fooled(const uap_instance *in, uint32_t mode,
                              const uap_brute_result *truth, uint64_t seed)
{
    uap_err err = {0};
    uap_result r = {0};
    const uap_source source = uap_source_of_instance(in);
    const uap_limits limits = {.wide = mode};
    assert_ok(uap_exact_solve(&source, &limits, &r, &err), &err);
    const uap_outcome expected =
        truth->feasible ? UAP_OUTCOME_OPTIMAL : UAP_OUTCOME_INFEASIBLE;
    if (r.outcome != expected || (truth->feasible && r.value != truth->value)) {
        fail_msg("seed %" PRIu64 ", mode %u, lie %d, CBC's outcome %d: outcome %d, value "
                 "%" PRId64 ", not %" PRId64,
                 seed, mode, (int)liar.lp, (int)liar.cbc, (int)r.outcome, r.value,
                 truth->value);
    }
    if (truth->feasible) {
        judge_result(in, &r, seed);
    }
    uap_result_free(&r);
}

static void solvers_that_lie_fool_nobody(void **state)
{
    static const uint32_t modes[] = {UAP_WIDE_LP, UAP_WIDE_LP | UAP_WIDE_LEAF,
                                     UAP_WIDE_LP | UAP_WIDE_CBC, UAP_WIDE_CBC};
    static const uap_outcome outcomes[] = {UAP_OUTCOME_INFEASIBLE, UAP_OUTCOME_OPTIMAL,
                                           UAP_OUTCOME_FEASIBLE, UAP_OUTCOME_UNKNOWN};
    (void)state;
    uap_rng_seed(&liar.rng, 1);
    for (uint64_t seed = 1; seed <= 24; seed++) {
        uap_instance *in = skips_of(seed);
        uap_brute_result truth;
        uap_err err = {0};
        assert_ok(uap_brute_solve(in, &truth, &err), &err);
        for (int i = 0; i < LIE_COUNT; i++) {
            liar.lp = (lie)i;
            liar.cbc = outcomes[(seed + (uint64_t)i) % 4];
            for (size_t m = 0; m < sizeof modes / sizeof modes[0]; m++) {
                assert_not_fooled(in, modes[m], &truth, seed);
            }
        }
        uap_instance_free(in);
    }
    assert_true(liar.told > 500);
    assert_true(liar.asked > 200);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(solvers_that_lie_fool_nobody, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
