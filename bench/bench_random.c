/* Random instances: the exact engine against brute force, and against CBC where brute
 * force does not reach. */
#include "bench/bench_search.h"
#include "bench/brute.h"
#include "bench/generate.h"
#include "bench/measure.h"
#include "common/clock.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#define TOLERANCE 1e-6

typedef struct counts {
    int64_t instances, infeasible, binding, live, simple;
    int64_t unproven, mismatches;
    int64_t of_schedule[3];
    double exact_s, other_s;
    double worst_exact_s, worst_other_s;
} counts;

static void count_kind(counts *n, const uap_instance *in)
{
    n->instances++;
    n->live += in->n_live > 0;
    n->simple += in->objective == UAP_OBJECTIVE_SIMPLE;
    n->of_schedule[in->schedule]++;
}

static bool has_plan(const uap_result *result)
{
    return result->outcome == UAP_OUTCOME_OPTIMAL ||
           result->outcome == UAP_OUTCOME_FEASIBLE;
}

/* The engine's plan costs what it says by the oracle's own costs, and fits. */
static bool plan_holds(const uap_instance *in, const uap_result *result)
{
    int64_t value = 0;
    int64_t memory[UAP_BRUTE_MAX_LAYERS];
    uap_brute_cost(in, &result->choice, &value, memory);
    bool holds = value == result->value;
    for (int32_t i = 0; i < in->pp; i++) {
        holds = holds && memory[i] <= in->cap[i];
    }
    return holds;
}

static void report_mismatch(FILE *out, counts *n, uint64_t seed, const char *what)
{
    n->mismatches++;
    (void)fprintf(out, "MISMATCH at seed %" PRIu64 ": %s\n", seed, what);
}

static uap_status exact_run(const uap_instance *in, counts *n, uap_run *run, uap_err *err)
{
    const uap_source source = uap_source_of_instance(in);
    const uap_limits limits = {0};
    const uap_status rc = uap_run_engine(uap_exact_solve, &source, &limits, run, err);
    n->exact_s += run->cpu_s;
    n->worst_exact_s = fmax(n->worst_exact_s, run->cpu_s);
    return rc;
}

static uap_status against_brute(const uap_bench_search *bench, uint64_t seed,
                                const uap_instance *in, counts *n, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_run run = {0};
    uap_brute_result truth;
    const double start = uap_cpu_s();
    UAP_TRY(uap_brute_solve(in, &truth, err));
    const double brute_s = uap_cpu_s() - start;
    n->other_s += brute_s;
    n->worst_other_s = fmax(n->worst_other_s, brute_s);
    UAP_TRY(exact_run(in, n, &run, err));
    n->infeasible += !truth.feasible;
    n->binding += truth.feasible && truth.unlimited < truth.value;
    if (truth.feasible != (run.result.outcome == UAP_OUTCOME_OPTIMAL) ||
        (truth.feasible && run.result.value != truth.value)) {
        report_mismatch(bench->out, n, seed, "exact is not brute force");
    } else if (truth.feasible && !plan_holds(in, &run.result)) {
        report_mismatch(bench->out, n, seed, "the plan is not what it says");
    }
done:
    uap_run_free(&run);
    return rc;
}

/* Solves once more with caps that no plan reaches. */
static uap_status memory_binds(const uap_instance *in, int64_t value, bool *binds,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_run run = {0};
    counts unused = {0};
    uap_instance *free_memory = uap_instance_copy(in);
    if (free_memory == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a copy of an instance");
    }
    for (int32_t i = 0; i < in->pp; i++) {
        free_memory->cap[i] = (int64_t)1 << 60;
    }
    UAP_TRY(exact_run(free_memory, &unused, &run, err));
    *binds = run.result.value < value;
done:
    uap_run_free(&run);
    uap_instance_free(free_memory);
    return rc;
}

static void compare_engines(const uap_bench_search *bench, uint64_t seed,
                            const uap_instance *in, const uap_result *exact,
                            const uap_result *cbc, counts *n)
{
    const bool proven =
        cbc->outcome == UAP_OUTCOME_OPTIMAL || cbc->outcome == UAP_OUTCOME_INFEASIBLE;
    n->unproven += !proven;
    if (proven && cbc->outcome != exact->outcome) {
        report_mismatch(bench->out, n, seed, "only one of exact and CBC has a plan");
        return;
    }
    if (has_plan(exact) && !plan_holds(in, exact)) {
        report_mismatch(bench->out, n, seed, "the plan is not what it says");
    }
    if (!has_plan(cbc)) {
        return;
    }
    const double room = TOLERANCE * (double)cbc->value;
    const double excess = (double)(exact->value - cbc->value);
    if (excess > room || (proven && excess < -room)) {
        report_mismatch(bench->out, n, seed, "exact is not CBC");
    }
}

static uap_status against_cbc(const uap_bench_search *bench, uint64_t seed,
                              const uap_instance *in, counts *n, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_run exact = {0};
    uap_run cbc = {0};
    const uap_source source = uap_source_of_instance(in);
    const uap_limits limits = {.time_limit_s = bench->cbc_limit_s};
    UAP_TRY(exact_run(in, n, &exact, err));
    UAP_TRY(uap_run_engine(uap_cbc_solve, &source, &limits, &cbc, err));
    n->other_s += cbc.cpu_s;
    n->worst_other_s = fmax(n->worst_other_s, cbc.cpu_s);
    n->infeasible += exact.result.outcome == UAP_OUTCOME_INFEASIBLE;
    if (has_plan(&exact.result)) {
        bool binds = false;
        UAP_TRY(memory_binds(in, exact.result.value, &binds, err));
        n->binding += binds;
    }
    compare_engines(bench, seed, in, &exact.result, &cbc.result, n);
done:
    uap_run_free(&cbc);
    uap_run_free(&exact);
    return rc;
}

typedef uap_status judge_fn(const uap_bench_search *bench, uint64_t seed,
                            const uap_instance *in, counts *n, uap_err *err);

/* One population: seeds first_seed .. first_seed + count - 1. */
typedef struct population {
    const char *name, *other;
    uint64_t first_seed;
    int64_t count;
    uap_generate_range range;
    judge_fn *judge;
} population;

static void print_counts(FILE *out, const population *p, const counts *n)
{
    (void)fprintf(out,
                  "%-32s %9" PRId64 " %10" PRId64 " %8" PRId64 " %6" PRId64 " %8" PRId64
                  " %5" PRId64 "/%" PRId64 "/%" PRId64 " %9" PRId64 " %10" PRId64 "\n",
                  p->name, n->instances, n->infeasible, n->binding, n->live, n->simple,
                  n->of_schedule[0], n->of_schedule[1], n->of_schedule[2], n->unproven,
                  n->mismatches);
    (void)fprintf(out,
                  "  CPU seconds: exact %.3f (worst %.4f), %s %.3f (worst %.3f), ratio "
                  "%.0f\n",
                  n->exact_s, n->worst_exact_s, p->other, n->other_s, n->worst_other_s,
                  n->other_s / fmax(n->exact_s, 1e-9));
}

static uap_status run_population(const uap_bench_search *bench, const population *p,
                                 bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_instance *in = NULL;
    counts n = {0};
    for (int64_t i = 0; i < p->count; i++) {
        const uint64_t seed = p->first_seed + (uint64_t)i;
        if (bench->stop != NULL && *bench->stop != 0) {
            break;
        }
        UAP_TRY(uap_generate_random(seed, &p->range, &in, err));
        UAP_TRY(uap_instance_check(in, err));
        count_kind(&n, in);
        UAP_TRY(p->judge(bench, seed, in, &n, err));
        uap_instance_free(in);
        in = NULL;
    }
    print_counts(bench->out, p, &n);
    *differs = *differs || n.mismatches > 0;
done:
    uap_instance_free(in);
    return rc;
}

uap_status uap_bench_random(const uap_bench_search *bench, bool *differs, uap_err *err)
{
    const population small = {
        "L 1-6, S 1-5, pp 1-4, brute", "brute force",      0,
        bench->brute_instances,        {1, 6, 1, 5, 1, 4}, against_brute};
    const population large = {
        "L 8-14, S 4-10, pp 1-4, CBC", "CBC",      1000000, bench->cbc_instances,
        {8, 14, 4, 10, 1, 4},          against_cbc};
    uap_status rc = UAP_OK;
    (void)fprintf(bench->out,
                  "== Random instances: exact engine against brute force and CBC ==\n"
                  "CBC is stopped after %.0f s an instance (unproven). binding: without "
                  "memory limits a\nbetter plan exists. live: with a tensor that later "
                  "layers read. Values agree to 1e-6.\n\n"
                  "%-32s %9s %10s %8s %6s %8s %14s %9s %10s\n",
                  bench->cbc_limit_s, "population", "instances", "infeasible", "binding",
                  "live", "simple", "gpipe/1f1b/ea.", "unproven", "mismatches");
    UAP_TRY(run_population(bench, &small, differs, err));
    UAP_TRY(run_population(bench, &large, differs, err));
done:
    return rc;
}
