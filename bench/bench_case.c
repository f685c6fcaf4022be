/* Running one case. Reading the files is not part of the measured time. */
#include "bench/bench_case.h"

#include "common/clock.h"
#include "common/numbers.h"

#include <string.h>
#include <unistd.h>

#define PATH_BYTES 1024

/* False when the path is too long or no such file is there. */
static bool find_file(const char *folder, const char *kind, const char *name,
                      char path[PATH_BYTES])
{
    const int n = snprintf(path, PATH_BYTES, "%s/%s/%s.json", folder, kind, name);
    return n > 0 && n < PATH_BYTES && access(path, R_OK) == 0;
}

/* What a measured run works on; cost is made inside it. */
typedef struct job {
    const uap_model *model;
    const uap_cluster *cluster;
    const uap_cost_options *options;
    uap_cost *cost;
} job;

static uap_status solve_case(const uap_bench_search *bench, job *j, uap_case_run *out,
                             uap_err *err)
{
    const uap_limits limits = {.time_limit_s = bench->exact_limit_s, .stop = bench->stop};
    const double cpu = uap_cpu_s();
    const double wall = uap_wall_s();
    uap_status rc = uap_cost_new(j->model, j->cluster, j->options, &j->cost, err);
    if (rc != UAP_OK) {
        return rc;
    }
    const double made_cpu = uap_cpu_s() - cpu;
    const double made_wall = uap_wall_s() - wall;
    const uap_source source = uap_cost_source(j->cost);
    rc = uap_run_engine(uap_exact_solve, &source, &limits, &out->run, err);
    out->run.cpu_s += made_cpu;
    out->run.wall_s += made_wall;
    out->configurations = uap_cost_count(j->cost);
    return rc;
}

/* Keeps the best configuration's instance for other engines. */
static uap_status keep_best(const job *j, uap_case_run *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int32_t best = out->run.result.config;
    if (best < 0) {
        return UAP_OK;
    }
    const uap_source source = uap_cost_source(j->cost);
    UAP_TRY(source.build(source.context, best, &out->instance, err));
    out->best = uap_cost_configuration(j->cost, best);
    for (int32_t i = 0; i < out->instance->n_tables; i++) {
        out->most_strategies =
            (int32_t)uap_max_i64(out->most_strategies, out->instance->table[i].n);
    }
done:
    return rc;
}

uap_status uap_case_solve(const uap_bench_search *bench, const uap_case *what,
                          uap_case_run *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_model *model = NULL;
    uap_cluster *cluster = NULL;
    job work = {.options = &what->options};
    char model_path[PATH_BYTES];
    char cluster_path[PATH_BYTES];
    memset(out, 0, sizeof *out);
    if (!find_file(bench->configs, "models", what->model, model_path) ||
        !find_file(bench->configs, "clusters", what->cluster, cluster_path)) {
        out->skipped = true;
        (void)fprintf(bench->out, "%-14s %-6s skipped: no such file under %s\n",
                      what->model, what->label, bench->configs);
        return UAP_OK;
    }
    const uap_model_options options = {.seq = what->seq};
    UAP_TRY(uap_model_load(model_path, &options, &model, err));
    UAP_TRY(uap_cluster_load(cluster_path, &cluster, err));
    work.model = model;
    work.cluster = cluster;
    UAP_TRY(solve_case(bench, &work, out, err));
    UAP_TRY(keep_best(&work, out, err));
done:
    uap_cost_free(work.cost);
    uap_cluster_free(cluster);
    uap_model_free(model);
    if (rc != UAP_OK) {
        uap_case_free(out);
    }
    return rc;
}

void uap_case_free(uap_case_run *run)
{
    uap_run_free(&run->run);
    uap_instance_free(run->instance);
    memset(run, 0, sizeof *run);
}
