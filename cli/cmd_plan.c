/* `uniap plan`: a model and a cluster in, the best plan out. All ranks search. */
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/dump.h"
#include "cli/job_nodes.h"
#include "cli/log_json.h"
#include "cli/search_args.h"
#include "cli/stop.h"
#include "common/file.h"
#include "common/log.h"
#include "common/numbers.h"
#include "common/room.h"
#include "mpi/comm.h"
#include "plan/enough.h"
#include "plan/plan_build.h"

#include <inttypes.h>
#include <stdio.h>

#define BATCH_MAX   1e9
#define DEVICES_MAX 1048576.0
#define GIB_MAX     1048576.0

/* What the command line said. */
typedef struct request {
    const char *model, *cluster, *output, *space, *dump, *connect;
    int64_t seq, batch, devices, memory_bytes, reserve_bytes, seed;
    int precision, optimizer, schedule, cost, granularity;
    bool tp_across_nodes, other_nodes;
    uap_search_args search;
    uap_sent_args sent;
} request;

/* What the command holds while it works. */
typedef struct work {
    uap_plan_options options;
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

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {'m', "model", UAP_OPT_STR, &r->model, "MODEL",
         .help = "config.json or its directory"},
        {'c', "cluster", UAP_OPT_STR, &r->cluster, "CLUSTER", .help = "cluster profile"},
        {'b', "batch", UAP_OPT_INT, &r->batch, "BATCH", "global batch, samples", .min = 1,
         .max = BATCH_MAX},
        {'o', "output", UAP_OPT_STR, &r->output, "FILE", .stays_here = true,
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
        {0, "other-nodes", UAP_OPT_FLAG, &r->other_nodes, NULL,
         .help = "plan also where the profile is of other nodes than this Slurm job's"},
        {0, "memory-gib", UAP_OPT_GIB, &r->memory_bytes, "X",
         "memory of a device (the profile's)", .min = 1e-6, .max = GIB_MAX},
        {0, "reserve-gib", UAP_OPT_GIB, &r->reserve_bytes, "Y",
         "memory kept free on a device (1)", .min = 0, .max = GIB_MAX},
        {0, "tp-across-nodes", UAP_OPT_FLAG, &r->tp_across_nodes, NULL,
         .help = "allow tensor parallel groups that span nodes"},
        {0, "dump-instances", UAP_OPT_STR, &r->dump, "DIR",
         .help = "write every configuration as .json and .lp before the search"},
        UAP_SEARCH_OPTIONS(&r->search),
        UAP_CONNECT_OPTION(&r->connect),
        {0, "seed", UAP_OPT_INT, &r->seed, "N",
         "noted in the plan; both engines are deterministic (0)", .min = 0, .max = 9e15},
    };
    const uap_usage usage = {.name = "plan",
                             .synopsis = "-m MODEL -c CLUSTER -b BATCH -o FILE [options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0]),
                             .sent = &r->sent};
    return uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
}

static uap_status check_request(const request *r, uap_plan_options *options, uap_err *err)
{
    if (r->dump != NULL && uap_room_here() != NULL) {
        return UAP_FAIL(err, BAD_USAGE, "--dump-instances: not with --connect");
    }
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
                           .seed = r->seed};
    uap_search_args_note(&r->search, options);
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
    UAP_TRY(uap_model_load(r->model, &model, &w->model, err));
    UAP_TRY(uap_cluster_load(r->cluster, &w->cluster, err));
    if (!r->other_nodes) {
        UAP_TRY(uap_job_nodes_check(w->cluster, r->devices > 0, err));
    }
    UAP_TRY(uap_cost_new(w->model, w->cluster, &w->options.cost, &w->cost, err));
done:
    return rc;
}

static uap_status make_plan(work *w, uap_err *err)
{
    uap_plan_inputs in = {.model = w->model,
                          .cluster = w->cluster,
                          .cost = w->cost,
                          .options = &w->options,
                          .result = &w->result,
                          .enough_devices = UAP_PLAN_UNSTATED,
                          .enough_memory = UAP_PLAN_UNSTATED};
    const uap_shortage *shortage = &w->result.shortage;
    if (w->result.outcome == UAP_OUTCOME_INFEASIBLE && shortage->known) {
        UAP_LOG(INFO, GLOBAL, "nothing fits; trying larger device counts");
        in.enough_devices =
            uap_enough_devices(w->model, w->cluster, &w->options.cost, uap_stop_flag());
        if (shortage->is_bound && uap_cost_groups(w->cost)->n == 1) {
            const int64_t least =
                uap_max_i64(shortage->need_bytes, shortage->cap_bytes + 1) +
                w->options.cost.reserve_bytes;
            in.enough_memory = uap_enough_memory(w->model, w->cluster, &w->options.cost,
                                                 least, uap_stop_flag());
        }
    }
    return uap_plan_build(&in, &w->plan, err);
}

static uap_status dump_instances(const work *w, const char *folder, uap_err *err)
{
    uap_status rc = UAP_OK;
    int32_t count = 0;
    UAP_TRY(uap_dump_prepare(folder, err));
    UAP_TRY(uap_dump_instances(w->cost, folder, uap_stop_flag(), &count, err));
    UAP_LOG(INFO, GLOBAL, "%d instances in %s", (int)count, folder);
done:
    return rc;
}

/* Everything up to the search, on each rank that searches. */
static uap_status prepare(const uap_cli *cli, const request *r, work *w, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(check_request(r, &w->options, err));
    if (cli->rank == 0) {
        UAP_TRY(uap_search_open(&r->search, err));
        UAP_TRY(uap_file_check_writable(r->output, err));
    }
    UAP_TRY(load_inputs(w, r, err));
    if (cli->rank == 0 && r->dump != NULL && *uap_stop_flag() == 0) {
        UAP_TRY(dump_instances(w, r->dump, err));
    }
done:
    return rc;
}

/* What is about to be searched. */
static void note_inputs(const work *w)
{
    UAP_LOG(INFO, GLOBAL,
            "model %s: %d layers, %" PRId64 " parameters, %" PRId64
            " tokens per sample%s; cluster %s: %" PRId64 " devices",
            w->model->name, (int)w->model->n_layers, w->model->params, w->model->seq,
            w->model->seq_is_assumed ? " (assumed: no --seq)" : "", w->cluster->name,
            uap_cluster_devices(w->cluster));
    UAP_LOG(INFO, GLOBAL, "searching %d configurations with the %s engine",
            (int)uap_cost_source(w->cost).n, uap_engine_name(w->options.engine));
}

/* What a checkpoint is of. The gap is not among it: nodes left within one are kept. */
static void list_inputs(const work *w, const request *r, uap_inputs *inputs)
{
    const uap_cost_options *cost = &w->options.cost;
    char space[UAP_SPACE_TEXT];
    *inputs = (uap_inputs){0};
    uap_inputs_note(inputs, "program", "%s", UAP_VERSION);
    uap_inputs_note(inputs, "model", "%s", w->model->sha256);
    uap_inputs_note(inputs, "cluster", "%s", w->cluster->sha256);
    uap_inputs_note(inputs, "batch", "%" PRId64, cost->batch);
    uap_inputs_note(inputs, "seq", "%" PRId64, w->model->seq);
    uap_inputs_note(inputs, "precision", "%s", uap_precision_name(cost->precision));
    uap_inputs_note(inputs, "optimizer", "%s",
                    cost->optimizer == UAP_ADAM ? "adam" : "sgd");
    uap_inputs_note(inputs, "schedule", "%s",
                    r->schedule == UAP_SCHEDULE_COUNT
                        ? "all"
                        : uap_schedule_name((uap_schedule)r->schedule));
    uap_inputs_note(inputs, "cost", "%s", r->cost == 0 ? "full" : "paper");
    uap_inputs_note(inputs, "space", "%s", uap_space_names(cost->space, space));
    uap_inputs_note(inputs, "granularity", "%s",
                    w->options.operator_granularity ? "operator" : "block");
    uap_inputs_note(inputs, "devices", "%" PRId64, cost->devices);
    uap_inputs_note(inputs, "memory-bytes", "%" PRId64, cost->memory_bytes);
    uap_inputs_note(inputs, "reserve-bytes", "%" PRId64, cost->reserve_bytes);
    uap_inputs_note(inputs, "tp-across-nodes", "%d", cost->tp_across_nodes ? 1 : 0);
}

static int run(const uap_cli *cli, const request *r, work *w)
{
    uap_err err = {0};
    int status = UAP_EXIT_OK;
    (void)uap_stop_flag(); /* from here on a signal ends the search, not the program */
    uap_status rc = prepare(cli, r, w, &err);
    if (uap_search_is_shared(&r->search)) {
        rc = uap_comm_agree(cli->comm, rc, &err);
    }
    if (rc != UAP_OK) {
        goto done;
    }
    if (*uap_stop_flag() == 0) {
        note_inputs(w);
    }
    const uap_source source = uap_cost_source(w->cost);
    uap_inputs inputs;
    list_inputs(w, r, &inputs);
    UAP_TRY(uap_search_run(cli, &r->search, &source, &inputs, &w->result, &err));
    if (cli->rank != 0) {
        goto done;
    }
    if (w->result.outcome != UAP_OUTCOME_UNKNOWN) {
        UAP_TRY(make_plan(w, &err));
    }
    status = uap_search_report(cli, &r->search, &w->result, w->plan, r->output);
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
                 .search = uap_search_args_default()};
    work w = {0};
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    if (uap_connect_is_asked(r.connect)) {
        return uap_connect_run(cli, &(uap_connect){.command = "plan",
                                                   .socket = r.connect,
                                                   .output = r.output,
                                                   .log = r.search.log,
                                                   .sent = &r.sent});
    }
    if (cli->rank != 0 && !uap_search_is_shared(&r.search)) {
        return UAP_EXIT_OK;
    }
    if (r.search.quiet) {
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
