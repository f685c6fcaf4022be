/* Wide graphs: the same optimum by brute force, by branching on layouts alone, and with
 * linear programs and CBC at every node; bounds that hold for any duals. */
#include "unit/engines.h"

#include "bench/rng.h"
#include "search/lp_bound.h"
#include "search/lp_clp.h"
#include "search/wide_program.h"

#include <stdlib.h>
#include <string.h>

#define CHAINS UINT32_C(1) /* UAP_WIDE_NEVER */

static const uint32_t modes[] = {CHAINS,
                                 UAP_WIDE_AUTO,
                                 UAP_WIDE_LP,
                                 UAP_WIDE_LP | UAP_WIDE_LEAF,
                                 UAP_WIDE_LP | UAP_WIDE_CBC,
                                 UAP_WIDE_LP | UAP_WIDE_CBC | UAP_WIDE_LEAF};
#define N_MODES (sizeof modes / sizeof *modes)

/* Small and wide: up to 7 layers with as many tensors as fit, all schedules. */
static uap_instance *small_graph(uint64_t seed)
{
    uap_err err = {0};
    uap_instance *in = NULL;
    uap_rng rng;
    uap_rng_seed(&rng, seed);
    const int32_t layers = (int32_t)uap_rng_range(&rng, 4, 7);
    const uap_generate_wide what = {
        .chain = {.family =
                      uap_rng_chance(&rng, 0.7) ? UAP_FAMILY_RANDOM : UAP_FAMILY_VARIED,
                  .objective = uap_rng_chance(&rng, 0.7) ? UAP_OBJECTIVE_FULL
                                                         : UAP_OBJECTIVE_SIMPLE,
                  .schedule = (uap_schedule)uap_rng_range(&rng, 0, 2),
                  .n_layers = layers,
                  .n_strategies = (int32_t)uap_rng_range(&rng, 2, 4),
                  .pp = (int32_t)uap_rng_range(&rng, 1, 3),
                  .micro_batches = (int32_t)uap_rng_range(&rng, 1, 8),
                  .tightness = uap_rng_real(&rng, -0.08, 0.9),
                  .unequal_caps = uap_rng_chance(&rng, 0.5),
                  .seed = seed},
        .skips = (uap_skips)uap_rng_range(&rng, 0, UAP_SKIPS_COUNT - 1),
        .n_live = layers - 2,
        .layouts = (int32_t)uap_rng_range(&rng, 2, 4),
        .weight = uap_rng_real(&rng, 0.3, 6.0)};
    assert_ok(uap_generate_wide_graph(&what, &in, &err), &err);
    assert_ok(uap_instance_check(in, &err), &err);
    return in;
}

static void solve_in_mode(const uap_instance *in, uint32_t mode, uap_result *result)
{
    uap_err err = {0};
    const uap_source source = uap_source_of_instance(in);
    const uap_limits limits = {.wide = mode};
    assert_ok(uap_exact_solve(&source, &limits, result, &err), &err);
}

static bool same_plan(const uap_instance *in, const uap_choice *a, const uap_choice *b)
{
    return memcmp(a->first, b->first, (size_t)in->pp * sizeof *a->first) == 0 &&
           memcmp(a->strategy, b->strategy, (size_t)in->n_layers * sizeof *a->strategy) ==
               0;
}

/* ---- Engines ------------------------------------------------------------------------ */

/* Every way to search has brute force's value, and all end with one plan. */
static void test_modes_equal_brute_force(void **state)
{
    (void)state;
    int64_t programs = 0, closed = 0, cbc_runs = 0, cbc_plans = 0, infeasible = 0;
    for (uint64_t seed = 1; seed <= 36; seed++) {
        uap_instance *in = small_graph(seed);
        uap_brute_result brute;
        uap_result first = {0};
        uap_err err = {0};
        assert_ok(uap_brute_solve(in, &brute, &err), &err);
        infeasible += !brute.feasible;
        for (size_t m = 0; m < N_MODES; m++) {
            uap_result r = {0};
            if ((modes[m] & UAP_WIDE_CBC) != 0 && seed % 9 != 0) {
                continue; /* it takes its time */
            }
            solve_in_mode(in, modes[m], &r);
            if (brute.feasible != (r.outcome == UAP_OUTCOME_OPTIMAL) ||
                (!brute.feasible && r.outcome != UAP_OUTCOME_INFEASIBLE) ||
                (brute.feasible && (r.value != brute.value || r.bound != r.value))) {
                fail_msg("seed %" PRIu64 ", mode %u: outcome %d, value %" PRId64
                         ", bound %" PRId64 "; brute force %d, %" PRId64,
                         seed, modes[m], (int)r.outcome, r.value, r.bound,
                         (int)brute.feasible, brute.value);
            }
            if (brute.feasible) {
                judge_result(in, &r, seed);
            }
            programs += r.stats.programs;
            closed += r.stats.programs_closed;
            cbc_runs += r.stats.cbc_runs;
            cbc_plans += r.stats.cbc_plans;
            if (m == 0) {
                first = r;
                continue;
            }
            /* One visit in all is not looked up again: its plan may be another tie. */
            const bool looked_up = first.stats.nodes > 1 && r.stats.nodes > 1;
            if (brute.feasible && looked_up && !same_plan(in, &first.choice, &r.choice)) {
                fail_msg("seed %" PRIu64 ", mode %u: another plan", seed, modes[m]);
            }
            uap_result_free(&r);
        }
        uap_result_free(&first);
        uap_instance_free(in);
    }
    printf("%" PRId64 " infeasible; %" PRId64 " programs closed %" PRId64
           " nodes, %" PRId64 " runs of CBC found %" PRId64 " plans\n",
           infeasible, programs, closed, cbc_runs, cbc_plans);
    assert_true(infeasible > 0 && infeasible < 30);
    assert_true(programs > 200 && closed > 50 && cbc_runs > 5);
}

/* The whole MILP in CBC and the engine that uses both. */
static void test_cbc_agrees(void **state)
{
    (void)state;
    for (uint64_t seed = 301; seed <= 302; seed++) {
        uap_instance *in = small_graph(seed);
        uap_result r = {0};
        solve_in_mode(in, UAP_WIDE_LP | UAP_WIDE_CBC, &r);
        const answer cbc = solve_with(uap_cbc_solve, in, 30.0, seed);
        assert_true(cbc.outcome == r.outcome);
        if (r.outcome == UAP_OUTCOME_OPTIMAL) {
            assert_i64_le(r.value, cbc.value);
            assert_close((double)cbc.value, (double)r.value, AGREE_TOLERANCE, 0);
        }
        uap_result_free(&r);
        uap_instance_free(in);
    }
}

/* ---- Bounds ------------------------------------------------------------------------- */

typedef struct program {
    uap_milp *milp;
    double *upper;
    double *duals;
} program;

static program make_program(const uap_instance *in, int64_t most)
{
    uap_err err = {0};
    program p;
    const uap_milp_options options = {.goal = UAP_MILP_TIME, .incumbent = most};
    assert_ok(uap_milp_new(in, &options, &p.milp, &err), &err);
    p.upper = calloc((size_t)p.milp->n_cols, sizeof *p.upper);
    p.duals = calloc((size_t)p.milp->n_rows + 1, sizeof *p.duals);
    assert_true(p.upper != NULL && p.duals != NULL);
    uap_lp_limits(in, p.milp, most, p.upper);
    return p;
}

static void free_program(program *p)
{
    uap_milp_free(p->milp);
    free(p->upper);
    free(p->duals);
}

/* CLP's duals, and these with noise of any size, never bound above the optimum; CLP's own
 * come within a millionth of what it calls the optimum of the relaxation. */
static void test_bounds_are_safe(void **state)
{
    (void)state;
    int useful = 0;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uap_instance *in = small_graph(seed);
        uap_brute_result brute;
        uap_err err = {0};
        uap_rng rng;
        uap_rng_seed(&rng, seed);
        assert_ok(uap_brute_solve(in, &brute, &err), &err);
        if (!brute.feasible) {
            uap_instance_free(in);
            continue;
        }
        program p = make_program(in, brute.value);
        uap_lp *lp = NULL;
        uap_lp_answer told;
        const uap_lp_task task = {
            .lower = p.milp->lower, .upper = p.upper, .cutoff = HUGE_VAL};
        assert_ok(uap_lp_new(p.milp, &lp, &err), &err);
        assert_ok(uap_lp_solve(lp, &task, &told, &err), &err);
        assert_true(told.outcome == UAP_LP_OPTIMAL && told.x != NULL);
        double claimed = 0.0;
        for (int32_t j = 0; j < p.milp->n_cols; j++) {
            claimed += p.milp->cost[j] * told.x[j];
        }
        claimed *= p.milp->tick_unit;
        const int64_t bound =
            uap_lp_bound(p.milp, p.milp->lower, p.upper, told.duals, true);
        assert_i64_le(bound, brute.value);
        assert_close((double)bound, claimed, 1e-6, 2.0);
        useful += (double)bound > 0.7 * (double)brute.value;
        for (int turn = 0; turn < 20; turn++) {
            const double noise = turn < 10 ? 1e-6 : 0.5;
            for (int32_t i = 0; i < p.milp->n_rows; i++) {
                p.duals[i] = told.duals[i] * uap_rng_real(&rng, 1 - noise, 1 + noise) +
                             uap_rng_real(&rng, -noise, noise);
            }
            assert_i64_le(uap_lp_bound(p.milp, p.milp->lower, p.upper, p.duals, true),
                          brute.value);
            /* Without costs nothing may prove that there is no plan: there is one. */
            assert_i64_le(uap_lp_bound(p.milp, p.milp->lower, p.upper, p.duals, false),
                          0);
        }
        uap_lp_free(lp);
        free_program(&p);
        uap_instance_free(in);
    }
    assert_true(useful > 12);
}

/* CLP's rays, tried by our own sums, prove some of the programs empty that are, and none that is
 * not. */
static void test_rays_prove_empty_programs(void **state)
{
    (void)state;
    int proven = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uap_instance *in = small_graph(seed);
        uap_program *p = NULL;
        uap_brute_result brute;
        uap_err err = {0};
        int64_t bound = 0;
        const uap_node root = {0};
        const uap_program_task task = {.node = &root, .cutoff = UAP_VALUE_LIMIT};
        assert_ok(uap_brute_solve(in, &brute, &err), &err);
        assert_ok(uap_program_new(in, brute.feasible ? brute.value : 0, &p, &err), &err);
        assert_ok(uap_program_bound(p, &task, &bound, &err), &err);
        assert_i64_le(bound, brute.feasible ? brute.value : INT64_MAX);
        proven += bound == INT64_MAX;
        uap_program_free(p);
        uap_instance_free(in);
    }
    printf("%d proven to be empty\n", proven);
    assert_true(proven >= 5);
}

/* One model solved again and again as bounds change says what a new one says. */
static void test_warm_equals_cold(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *in = small_graph(7);
    program p = make_program(in, INT64_C(1) << 40);
    uap_lp *warm = NULL;
    uap_rng rng;
    uap_rng_seed(&rng, 7);
    assert_ok(uap_lp_new(p.milp, &warm, &err), &err);
    for (int turn = 0; turn < 30; turn++) {
        uint8_t flags[UAP_BRUTE_MAX_LAYERS][8];
        uint8_t *allow[UAP_BRUTE_MAX_LAYERS];
        uap_lp_answer a, b;
        uap_lp *cold = NULL;
        for (int32_t u = 0; u < in->n_layers; u++) {
            for (int32_t k = 0; k < uap_table_of(in, u)->n; k++) {
                flags[u][k] =
                    k == turn % uap_table_of(in, u)->n || uap_rng_chance(&rng, 0.6);
            }
            allow[u] = uap_rng_chance(&rng, 0.5) ? flags[u] : NULL;
        }
        uap_milp_restrict(p.milp, allow, p.upper);
        const uap_lp_task task = {
            .lower = p.milp->lower, .upper = p.upper, .cutoff = HUGE_VAL};
        assert_ok(uap_lp_new(p.milp, &cold, &err), &err);
        assert_ok(uap_lp_solve(warm, &task, &a, &err), &err);
        assert_ok(uap_lp_solve(cold, &task, &b, &err), &err);
        assert_true(a.outcome == b.outcome);
        if (a.outcome == UAP_LP_OPTIMAL) {
            const int64_t one =
                uap_lp_bound(p.milp, p.milp->lower, p.upper, a.duals, true);
            const int64_t two =
                uap_lp_bound(p.milp, p.milp->lower, p.upper, b.duals, true);
            assert_close((double)one, (double)two, 1e-6, 2.0);
        }
        uap_lp_free(cold);
    }
    uap_lp_free(warm);
    free_program(&p);
    uap_instance_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_modes_equal_brute_force),
        cmocka_unit_test(test_cbc_agrees),
        cmocka_unit_test(test_bounds_are_safe),
        cmocka_unit_test(test_rays_prove_empty_programs),
        cmocka_unit_test(test_warm_equals_cold),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
