/* Hard chain instances: recorded ones with a known optimum, and three generated ones of the
 * project's own with 1f1b, the full objective and unequal caps. */
#include "bench/bench_search.h"
#include "bench/generate.h"
#include "bench/measure.h"
#include "search/instance_json.h"

#include <math.h>
#include <unistd.h>

#define PATH_BYTES 1024
#define MIB        (1024.0 * 1024.0)

/* CPU seconds: of the exact program that found the optimum, to beat by five. */
typedef struct recorded {
    const char *name;
    double optimum_s, cpu_s;
} recorded;

static const recorded chains[] = {
    {"chain-24x16-pp4-uniform", 0.070642, 0.2}, {"chain-24x16-pp4-random", 0.060997, 0.2},
    {"chain-48x16-pp8-random", 0.107483, 0.5},  {"chain-64x16-pp8-varied", 0.131224, 2},
    {"chain-64x32-pp8-varied", 0.131225, 18},   {"chain-64x32-pp8-random", 0.145599, 20},
    {"chain-48x24-pp4-random", 0.118975, 25},   {"chain-64x16-pp4-varied", 0.336388, 11},
    {"chain-96x16-pp4-varied", 0.492995, 63},   {"chain-64x16-pp1-random", 0.051514, 26},
    {"chain-64x16-pp2-random", 0.129363, 139},
};

static void print_run(FILE *out, const char *name, const uap_instance *in,
                      const uap_run *run)
{
    const uap_search_stats *s = &run->result.stats;
    (void)fprintf(out,
                  "%-26s %3d %3d %3d %3d %-10s %10.6f %9.3f %7.3f %7.3f %8.3f %11lld "
                  "%7.1f %7.1f",
                  name, in->n_layers, in->table[0].n, in->pp, in->micro_batches,
                  uap_outcome_name(run->result.outcome),
                  (double)run->result.value / (double)UAP_TICKS_PER_SECOND, run->cpu_s,
                  s->bound_s, s->fix_s, s->label_s, (long long)s->labels,
                  (double)s->peak_bytes / MIB, (double)run->peak_bytes / MIB);
}

static uap_status solve(const uap_bench_search *bench, const char *name,
                        const uap_instance *in, uap_run *run, uap_err *err)
{
    const uap_source source = uap_source_of_instance(in);
    const uap_limits limits = {.time_limit_s = bench->exact_limit_s, .stop = bench->stop};
    const uap_status rc = uap_run_engine(uap_exact_solve, &source, &limits, run, err);
    if (rc == UAP_OK) {
        print_run(bench->out, name, in, run);
    }
    return rc;
}

static uap_status run_recorded(const uap_bench_search *bench, const recorded *chain,
                               bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_instance *in = NULL;
    uap_run run = {0};
    char path[PATH_BYTES];
    const int n =
        snprintf(path, sizeof path, "%s/%s.json", bench->instances, chain->name);
    if (n < 0 || n >= PATH_BYTES || access(path, R_OK) != 0) {
        (void)fprintf(bench->out, "%-26s skipped: no such file under %s\n", chain->name,
                      bench->instances);
        return UAP_OK;
    }
    UAP_TRY(uap_instance_load(path, &in, err));
    UAP_TRY(solve(bench, chain->name, in, &run, err));
    const double found_s = (double)run.result.value / (double)UAP_TICKS_PER_SECOND;
    /* The record has six decimals. */
    const bool same = run.result.outcome != UAP_OUTCOME_OPTIMAL ||
                      fabs(found_s - chain->optimum_s) < 0.6e-6;
    *differs = *differs || !same;
    (void)fprintf(bench->out, " %8.6f %6.1f %7.1f%s\n", chain->optimum_s, chain->cpu_s,
                  chain->cpu_s / fmax(run.cpu_s, 1e-6), same ? "" : " DIFFERS");
done:
    uap_run_free(&run);
    uap_instance_free(in);
    return rc;
}

static uap_status run_own(const uap_bench_search *bench, const uap_generate_large *what,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_instance *in = NULL;
    uap_run run = {0};
    char name[64];
    (void)snprintf(name, sizeof name, "own-%dx%d-pp%d-%s", what->n_layers,
                   what->n_strategies, what->pp, uap_family_name(what->family));
    UAP_TRY(uap_generate_family(what, &in, err));
    UAP_TRY(uap_instance_check(in, err));
    UAP_TRY(solve(bench, name, in, &run, err));
    (void)fprintf(bench->out, "\n");
done:
    uap_run_free(&run);
    uap_instance_free(in);
    return rc;
}

uap_status uap_bench_instances(const uap_bench_search *bench, bool *differs, uap_err *err)
{
    uap_status rc = UAP_OK;
    (void)fprintf(
        bench->out,
        "== Hard chains ==\n"
        "Recorded: simple objective, the optimum and CPU seconds of another exact "
        "program; ratio: its\nseconds over ours. own: generated, 1f1b, full "
        "objective, unequal caps. arena: as the engine\ncounts; peak: resident "
        "memory of the process.\n\n"
        "%-26s %3s %3s %3s %3s %-10s %10s %9s %7s %7s %8s %11s %7s %7s %8s %6s "
        "%7s\n",
        "instance", "L", "S", "pp", "c", "outcome", "value s", "CPU s", "bound", "fix",
        "label", "labels", "arena M", "peak M", "recorded", "CPU s", "ratio");
    for (size_t i = 0; i < sizeof chains / sizeof chains[0]; i++) {
        if (bench->stop == NULL || *bench->stop == 0) {
            UAP_TRY(run_recorded(bench, &chains[i], differs, err));
            (void)fflush(bench->out);
        }
    }
    for (int i = 0; i < UAP_GENERATE_OWN; i++) {
        if (bench->stop == NULL || *bench->stop == 0) {
            UAP_TRY(run_own(bench, &uap_generate_own[i], err));
            (void)fflush(bench->out);
        }
    }
done:
    return rc;
}
