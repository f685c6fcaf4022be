/* The suite of hard searches (bench/suite.h), each by one rank. */
#include "bench/bench_search.h"
#include "bench/measure.h"
#include "bench/suite.h"

#include <math.h>
#include <string.h>

#define TICKS_PER_S ((double)UAP_TICKS_PER_SECOND)
#define MIB         (1024.0 * 1024.0)

static bool is_chosen(const uap_bench_search *bench, const char *name)
{
    bool chosen = bench->n_cases == 0;
    for (int i = 0; i < bench->n_cases; i++) {
        chosen = chosen || strcmp(bench->cases[i], name) == 0;
    }
    return chosen;
}

static void print_run(FILE *out, const uap_run *run)
{
    const uap_search_stats *s = &run->result.stats;
    const double value = (double)run->result.value;
    const double gap = 1.0 - (double)run->result.bound / value;
    (void)fprintf(out, "%-10s ", uap_outcome_name(run->result.outcome));
    if (run->result.config >= 0) {
        (void)fprintf(out, "%11.6f %7.3f ", value / TICKS_PER_S, 100.0 * fmax(gap, 0.0));
    } else {
        (void)fprintf(out, "%11s %7s ", "-", "-");
    }
    (void)fprintf(out, "%9.3f %9.3f %8.3f %8.3f %8.3f %6lld %11lld %7.1f", run->cpu_s,
                  run->wall_s, s->bound_s, s->fix_s, s->label_s, (long long)s->nodes,
                  (long long)s->labels, (double)run->peak_bytes / MIB);
}

/* The record has six decimals. */
static bool is_as_recorded(const uap_suite_case *what, const uap_result *result)
{
    return !(what->optimum_s > 0) || result->outcome != UAP_OUTCOME_OPTIMAL ||
           fabs((double)result->value / TICKS_PER_S - what->optimum_s) < 0.6e-6;
}

static uap_status run_case(const uap_bench_search *bench, const uap_suite_case *what,
                           bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_run run = {0};
    uap_suite_problem problem;
    const uap_suite_folders folders = {.configs = bench->configs,
                                       .instances = bench->instances};
    const uap_limits limits = {.time_limit_s = bench->exact_limit_s, .stop = bench->stop};
    UAP_TRY(uap_suite_open(what, &folders, &problem, err));
    (void)fprintf(bench->out, "%-28s ", what->name);
    if (problem.missing) {
        (void)fprintf(bench->out, "skipped: no file %s\n", problem.path);
        goto done;
    }
    (void)fprintf(bench->out, "%5d ", problem.source.n);
    (void)fflush(bench->out);
    UAP_TRY(uap_run_engine(uap_exact_solve, &problem.source, &limits, &run, err));
    print_run(bench->out, &run);
    const bool same = is_as_recorded(what, &run.result);
    *differs = *differs || !same;
    (void)fprintf(bench->out, "%s\n", same ? "" : " DIFFERS");
done:
    uap_run_free(&run);
    uap_suite_close(&problem);
    return rc;
}

uap_status uap_bench_hard(const uap_bench_search *bench, bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    (void)fprintf(
        bench->out,
        "== Hard searches ==\n"
        "One rank. gap: of the plan to the proven bound where the search was cut "
        "off; bound, fix, label:\nwhere the CPU seconds went; peak: resident "
        "memory of the process.\n\n"
        "%-28s %5s %-10s %11s %7s %9s %9s %8s %8s %8s %6s %11s %7s\n",
        "case", "conf", "outcome", "value s", "gap %", "CPU s", "wall s", "bound", "fix",
        "label", "nodes", "labels", "peak M");
    for (int i = 0; i < uap_suite_count(); i++) {
        const bool stopped = bench->stop != NULL && *bench->stop != 0;
        if (!stopped && is_chosen(bench, uap_suite_at(i)->name)) {
            UAP_TRY(run_case(bench, uap_suite_at(i), differs, err));
            (void)fflush(bench->out);
        }
    }
done:
    return rc;
}
