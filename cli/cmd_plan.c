/* `uniap plan`: a model and a cluster in, the best plan out. Rank 0 searches. */
#include "cli/commands.h"
#include "cli/dump.h"
#include "cli/log_json.h"
#include "cli/options.h"
#include "cli/stop.h"
#include "common/file.h"
#include "common/log.h"
#include "plan/enough.h"
#include "plan/plan_build.h"
#include "plan/plan_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BATCH_MAX   1e9
#define DEVICES_MAX 1048576.0
#define GIB_MAX     1048576.0
#define SECONDS_MAX 1e9

/* What the command line said. */
typedef struct request {
    const char *model, *cluster, *output, *space, *dump, *log;
    int64_t seq, batch, devices, memory_bytes, reserve_bytes, memory_limit_bytes, seed;
    int precision, optimizer, schedule, cost, granularity, engine;
    bool tp_across_nodes, quiet;
    double time_limit_s, gap;
} request;

/* What the command holds while it works. */
typedef struct work {
    uap_plan_options options;
    uap_limits limits;
    uap_model *model;
    uap_cluster *cluster;
    uap_cost *cost;
    uap_result result;
    uap_plan *plan;
} work;

static const char about[] =
    "Finds the plan of the least time per iteration for a model (a Hugging Face\n"
    "config.json or its directory) on a cluster (a profile), proves that none in the\n"
    "stated space is better, writes it as JSON and prints it as a table.\n\n"
    "Exit status: 0 proven or within --gap, 1 failure, 2 bad usage or input, 3 no plan\n"
    "fits, 4 stopped early with a plan, 5 stopped early without one.";

/* 3/4 of the machine's memory. */
static int64_t default_memory_limit(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    return pages > 0 && page_bytes > 0 ? (int64_t)pages * page_bytes / 4 * 3 : 0;
}

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {'m', "model", UAP_OPT_STR, &r->model, "MODEL",
         .help = "config.json or its directory"},
        {'c', "cluster", UAP_OPT_STR, &r->cluster, "CLUSTER", .help = "cluster profile"},
        {'b', "batch", UAP_OPT_INT, &r->batch, "BATCH", "global batch, samples", .min = 1,
         .max = BATCH_MAX},
        {'o', "output", UAP_OPT_STR, &r->output, "FILE",
         .help = "where the plan goes; - is standard output, then without the table"},
        {0, "seq", UAP_OPT_INT, &r->seq, "N",
         "tokens per sample (the model's training length, at most 4096)", .min = 1,
         .max = 1e8},
        {0, "precision", UAP_OPT_CHOICE, &r->precision, NULL, "compute type (bf16)",
         .choices = "fp32|bf16|fp16"},
        {0, "optimizer", UAP_OPT_CHOICE, &r->optimizer, NULL, "optimizer (adam)",
         .choices = "adam|sgd"},
        {0, "schedule", UAP_OPT_CHOICE, &r->schedule, NULL,
         "pipeline schedule (1f1b); all: the best of them",
         .choices = "gpipe|1f1b|1f1b-eager|all"},
        {0, "cost", UAP_OPT_CHOICE, &r->cost, NULL, "cost model (full)",
         .choices = "full|paper"},
        {0, "space", UAP_OPT_STR, &r->space, "LIST",
         .help =
             "of dp,fsdp,zero,tp,sp,recompute; or all (default) or paper (dp,fsdp,tp)"},
        {0, "granularity", UAP_OPT_CHOICE, &r->granularity, NULL,
         "layers as blocks, or attention and MLP apart (block)",
         .choices = "block|operator"},
        {0, "devices", UAP_OPT_INT, &r->devices, "N", "devices to use (the profile's)",
         .min = 1, .max = DEVICES_MAX},
        {0, "memory-gib", UAP_OPT_GIB, &r->memory_bytes, "X",
         "memory of a device (the profile's)", .min = 1e-6, .max = GIB_MAX},
        {0, "reserve-gib", UAP_OPT_GIB, &r->reserve_bytes, "Y",
         "memory kept free on a device (1)", .min = 0, .max = GIB_MAX},
        {0, "tp-across-nodes", UAP_OPT_FLAG, &r->tp_across_nodes, NULL,
         .help = "allow tensor parallel groups that span nodes"},
        {0, "engine", UAP_OPT_CHOICE, &r->engine, NULL, "solver (exact)",
         .choices = "exact|cbc"},
        {0, "time-limit", UAP_OPT_REAL, &r->time_limit_s, "S",
         "stop after S seconds with the best plan so far (none)", .min = 0.001,
         .max = SECONDS_MAX},
        {0, "gap", UAP_OPT_REAL, &r->gap, "G",
         "stop within this relative distance of the bound (0: prove)", .min = 0,
         .max = 1},
        {0, "memory-limit", UAP_OPT_GIB, &r->memory_limit_bytes, "GIB",
         "memory of the search itself (3/4 of the machine)", .min = 0.001,
         .max = GIB_MAX},
        {0, "dump-instances", UAP_OPT_STR, &r->dump, "DIR",
         .help = "write every configuration as .json and .lp before the search"},
        {0, "log-json", UAP_OPT_STR, &r->log, "FILE", .help = "the log as JSON lines"},
        {0, "quiet", UAP_OPT_FLAG, &r->quiet, NULL, .help = "no table and no progress"},
        {0, "seed", UAP_OPT_INT, &r->seed, "N",
         "noted in the plan; both engines are deterministic (0)", .min = 0, .max = 9e15},
    };
    const uap_usage usage = {.name = "plan",
                             .synopsis = "-m MODEL -c CLUSTER -b BATCH -o FILE [options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    return uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
}

static uap_status check_request(const request *r, uap_plan_options *options, uap_err *err)
{
    const struct {
        bool given;
        const char *option, *what;
    } required[] = {{r->model != NULL, "-m/--model", "a config.json or its directory"},
                    {r->cluster != NULL, "-c/--cluster", "a cluster profile"},
                    {r->batch > 0, "-b/--batch", "the global batch in samples"},
                    {r->output != NULL, "-o/--output", "where the plan goes"}};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (!required[i].given) {
            return UAP_FAIL(err, BAD_USAGE, "%s: not given, expected %s",
                            required[i].option, required[i].what);
        }
    }
    uap_cost_options *cost = &options->cost;
    *options =
        (uap_plan_options){.cost = {.batch = r->batch,
                                    .precision = (uap_precision)r->precision,
                                    .optimizer = (uap_optimizer)r->optimizer,
                                    .cost = (uap_cost_model)r->cost,
                                    .schedules = r->schedule == UAP_SCHEDULE_COUNT
                                                     ? (1u << UAP_SCHEDULE_COUNT) - 1
                                                     : 1u << r->schedule,
                                    .devices = r->devices,
                                    .memory_bytes = r->memory_bytes,
                                    .reserve_bytes = r->reserve_bytes,
                                    .tp_across_nodes = r->tp_across_nodes},
                           .operator_granularity = r->granularity == 1,
                           .engine = (uap_engine)r->engine,
                           .time_limit_s = r->time_limit_s,
                           .gap = r->gap,
                           .memory_limit_bytes = r->memory_limit_bytes,
                           .seed = r->seed};
    if (!uap_space_by_names(r->space, &cost->space)) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--space: found '%.80s', expected names from dp, fsdp, zero, tp, "
                        "sp, recompute separated by commas, or all, or paper",
                        r->space);
    }
    return UAP_OK;
}

static uap_status load_inputs(work *w, const request *r, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_model_options model = {
        .seq = r->seq, .operator_granularity = w->options.operator_granularity};
    UAP_TRY(uap_file_check_writable(r->output, err));
    UAP_TRY(uap_model_load(r->model, &model, &w->model, err));
    UAP_TRY(uap_cluster_load(r->cluster, &w->cluster, err));
    UAP_LOG(INFO, GLOBAL,
            "model %s: %d layers, %" PRId64 " parameters, %" PRId64
            " tokens per sample%s; cluster %s: %" PRId64 " devices",
            w->model->name, (int)w->model->n_layers, w->model->params, w->model->seq,
            w->model->seq_is_assumed ? " (assumed: no --seq)" : "", w->cluster->name,
            uap_cluster_devices(w->cluster));
    UAP_TRY(uap_cost_new(w->model, w->cluster, &w->options.cost, &w->cost, err));
done:
    return rc;
}

static uap_status search(work *w, uap_err *err)
{
    const uap_source source = uap_cost_source(w->cost);
    UAP_LOG(INFO, GLOBAL, "searching %d configurations with the %s engine", (int)source.n,
            uap_engine_name(w->options.engine));
    return w->options.engine == UAP_ENGINE_CBC
               ? uap_cbc_solve(&source, &w->limits, &w->result, err)
               : uap_exact_solve(&source, &w->limits, &w->result, err);
}

static uap_status make_plan(work *w, uap_err *err)
{
    uap_plan_inputs in = {.model = w->model,
                          .cluster = w->cluster,
                          .cost = w->cost,
                          .options = &w->options,
                          .result = &w->result,
                          .ranks = 1,
                          .enough_devices = UAP_PLAN_UNSTATED};
    if (w->result.outcome == UAP_OUTCOME_INFEASIBLE && w->result.shortage.known) {
        UAP_LOG(INFO, GLOBAL, "nothing fits; trying larger device counts");
        in.enough_devices =
            uap_enough_devices(w->model, w->cluster, &w->options.cost, w->limits.stop);
    }
    return uap_plan_build(&in, &w->plan, err);
}

static int exit_of_outcome(const uap_result *result)
{
    switch (result->outcome) {
    case UAP_OUTCOME_OPTIMAL:
        return UAP_EXIT_OK;
    case UAP_OUTCOME_FEASIBLE:
        return UAP_EXIT_FEASIBLE;
    case UAP_OUTCOME_INFEASIBLE:
        return UAP_EXIT_INFEASIBLE;
    case UAP_OUTCOME_UNKNOWN:
        break;
    }
    return UAP_EXIT_UNKNOWN;
}

/* Writes the plan, then tells a person. */
static int report(const uap_cli *cli, const work *w, const request *r, uap_err *err)
{
    if (w->plan == NULL) {
        (void)fprintf(stderr,
                      "uniap: stopped before a plan was found; none is written\n");
        return UAP_EXIT_UNKNOWN;
    }
    if (uap_plan_save(w->plan, r->output, err) != UAP_OK) {
        (void)uap_cli_fail(cli, err);
        return UAP_EXIT_FAILURE;
    }
    if (w->plan->status == UAP_PLAN_INFEASIBLE) {
        (void)fprintf(stderr, "uniap: %s\n", w->plan->reason);
    } else if (!r->quiet && strcmp(r->output, "-") != 0) {
        uap_plan_print(w->plan, stdout);
        (void)printf("\nwritten to %s\n", r->output);
    }
    return exit_of_outcome(&w->result);
}

static int run(const uap_cli *cli, const request *r, work *w)
{
    uap_status rc = UAP_OK;
    uap_err err = {0};
    int status = UAP_EXIT_OK;
    UAP_TRY(check_request(r, &w->options, &err));
    if (r->log != NULL) {
        UAP_TRY(
            uap_log_json_open(r->log, r->quiet ? UAP_LOG_WARNING : UAP_LOG_INFO, &err));
    }
    UAP_TRY(load_inputs(w, r, &err));
    if (r->dump != NULL) {
        int32_t count = 0;
        UAP_TRY(uap_dump_instances(w->cost, r->dump, &count, &err));
        UAP_LOG(INFO, GLOBAL, "%d instances in %s", (int)count, r->dump);
    }
    w->limits = (uap_limits){.time_limit_s = w->options.time_limit_s,
                             .gap = w->options.gap,
                             .memory_limit_bytes = w->options.memory_limit_bytes,
                             .stop = uap_stop_flag()};
    UAP_TRY(search(w, &err));
    if (w->result.outcome != UAP_OUTCOME_UNKNOWN) {
        UAP_TRY(make_plan(w, &err));
    }
    status = report(cli, w, r, &err);
done:
    if (rc != UAP_OK) {
        status = uap_cli_fail(cli, &err);
    }
    return status;
}

int uap_cmd_plan(const uap_cli *cli, int argc, char **argv)
{
    request r = {.precision = UAP_BF16,
                 .schedule = UAP_SCHEDULE_1F1B,
                 .space = "all",
                 .reserve_bytes = (int64_t)1 << 30,
                 .memory_limit_bytes = default_memory_limit()};
    work w = {0};
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    if (r.quiet) {
        uap_log_setup(UAP_LOG_WARNING, cli->rank, NULL, NULL);
    }
    int status = run(cli, &r, &w);
    uap_err err = {0};
    if (uap_log_json_close(&err) != UAP_OK) {
        (void)uap_cli_fail(cli, &err);
        status = status == UAP_EXIT_OK ? UAP_EXIT_FAILURE : status;
    }
    uap_plan_free(w.plan);
    uap_result_free(&w.result);
    uap_cost_free(w.cost);
    uap_cluster_free(w.cluster);
    uap_model_free(w.model);
    return status;
}
