/* `uniap plan`: a model and a cluster in, the best plan out. All ranks search. */
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/dump.h"
#include "cli/job_nodes.h"
#include "cli/log_json.h"
#include "cli/plan_work.h"
#include "cli/stop.h"
#include "cli/sweep_run.h"
#include "common/file.h"
#include "common/log.h"
#include "configs/cluster_grow.h"
#include "mpi/comm.h"

#include <inttypes.h>
#include <stdio.h>

#define BATCH_MAX   1e9
#define DEVICES_MAX 1048576.0
#define GIB_MAX     1048576.0

static const char about[] =
    "Finds the plan of the least time per iteration for a model (a Hugging Face\n"
    "config.json or its directory) on a cluster (a profile), proves that none in the\n"
    "stated space is better, writes it as JSON and prints it as a table.\n\n"
    "Exit status: 0 proven or within --gap, 1 failure, 2 bad usage or input, 3 no plan\n"
    "fits, 4 stopped early with a plan, 5 stopped early without one.";

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, uap_plan_request *r)
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
        {0, "for", UAP_OPT_CHOICE, &r->target, NULL,
         "only plans that a framework can be told: one strategy for all layers (none)",
         .choices = UAP_TARGETS},
        {0, "devices", UAP_OPT_INT, &r->devices, "N",
         "devices to use (the profile's; of a part of its nodes the job's)", .min = 1,
         .max = DEVICES_MAX},
        {0, "sweep-devices", UAP_OPT_STR, &r->sweep, "COUNTS",
         .help = "plan for many device counts: FROM:TO (doubling), FROM:TO:+N, lists"},
        {0, "plans", UAP_OPT_STR, &r->plans, "DIR",
         .help = "with --sweep-devices: every count's plan as DIR/plan-N.json"},
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

static uap_status dump_instances(const uap_plan_work *w, const char *folder, uap_err *err)
{
    uap_status rc = UAP_OK;
    int32_t count = 0;
    UAP_TRY(uap_dump_prepare(folder, err));
    UAP_TRY(uap_dump_instances(w->cost, folder, uap_stop_flag(), &count, err));
    UAP_LOG(INFO, GLOBAL, "%d instances in %s", (int)count, folder);
done:
    return rc;
}

/* How many devices the job that this runs in makes it. On rank 0: Slurm's variables may
 * differ from node to node. */
static uap_status choose_devices(const uap_plan_request *r, const uap_plan_work *w,
                                 int64_t *devices, uap_err *err)
{
    uap_allocation job;
    uap_machine machine = {0};
    uap_status rc = UAP_OK;
    uap_allocation_of_job(&job);
    const bool looks = job.is_job && job.told != UAP_TOLD_DEVICES;
    if (looks) {
        uap_machine_look(&machine);
    }
    UAP_TRY(uap_job_devices(&job, w->cluster,
                            &(uap_job_ask){.devices = r->devices,
                                           .other_nodes = r->other_nodes,
                                           .machine = looks ? &machine : NULL},
                            devices, err));
    uap_job_note_memory(&job, &machine, r->search.memory_limit_bytes);
done:
    return rc;
}

/* Options, model and cluster, on each rank that searches. */
static uap_status prepare(const uap_cli *cli, const uap_plan_request *r, uap_plan_work *w,
                          int64_t *devices, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_plan_work_options(r, &w->options, err));
    if (cli->rank == 0) {
        UAP_TRY(uap_search_open(&r->search, err));
        UAP_TRY(r->output != NULL ? uap_file_check_writable(r->output, err) : UAP_OK);
    }
    UAP_TRY(uap_plan_work_load(w, r, err));
    if (cli->rank == 0 && r->sweep == NULL) {
        UAP_TRY(choose_devices(r, w, devices, err));
    }
done:
    return rc;
}

/* What is about to be searched. */
static void note_inputs(uap_plan_work *w)
{
    char note[UAP_GROWN_TEXT];
    const int64_t has = uap_cluster_devices(w->cluster);
    UAP_LOG(INFO, GLOBAL,
            "model %s: %d layers, %" PRId64 " parameters, %" PRId64
            " tokens per sample%s; cluster %s: %" PRId64 " devices",
            w->model->name, (int)w->model->n_layers, w->model->params, w->model->seq,
            w->model->seq_is_assumed ? " (assumed: no --seq)" : "", w->cluster->name,
            has);
    if (w->options.cost.devices > has) {
        UAP_LOG(WARNING, GLOBAL, "%s",
                uap_cluster_grown_note(w->cluster, w->options.cost.devices, note));
    }
    UAP_LOG(INFO, GLOBAL, "searching %d configurations with the %s engine",
            (int)uap_plan_work_source(w).n, uap_engine_name(w->options.engine));
}

/* The configurations, on each rank that searches. */
static uap_status list(const uap_cli *cli, const uap_plan_request *r, uap_plan_work *w,
                       int64_t devices, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_plan_work_point(w, devices, err));
    if (cli->rank == 0 && r->dump != NULL && *uap_stop_flag() == 0) {
        UAP_TRY(dump_instances(w, r->dump, err));
    }
done:
    return rc;
}

static uap_status agree(const uap_cli *cli, const uap_plan_request *r, uap_status rc,
                        uap_err *err)
{
    return uap_search_is_shared(&r->search) ? uap_comm_agree(cli->comm, rc, err) : rc;
}

/* The configurations of one device count, that of rank 0, on all ranks. */
static uap_status begin(const uap_cli *cli, const uap_plan_request *r, uap_plan_work *w,
                        int64_t devices, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (uap_search_is_shared(&r->search)) {
        UAP_TRY(uap_comm_bcast(cli->comm, &devices, sizeof devices, 0, err));
    }
    rc = agree(cli, r, list(cli, r, w, devices, err), err);
done:
    return rc;
}

static int run(const uap_cli *cli, const uap_plan_request *r, uap_plan_work *w)
{
    uap_err err = {0};
    int status = UAP_EXIT_OK;
    int64_t devices = 0;
    (void)uap_stop_flag(); /* from here on a signal ends the search, not the program */
    uap_status rc = prepare(cli, r, w, &devices, &err);
    UAP_TRY(agree(cli, r, rc, &err));
    if (r->sweep != NULL) {
        return uap_sweep_run(cli, r, w);
    }
    UAP_TRY(begin(cli, r, w, devices, &err));
    if (*uap_stop_flag() == 0) {
        note_inputs(w);
    }
    const uap_source source = uap_plan_work_source(w);
    uap_inputs inputs;
    uap_plan_work_inputs(w, r, &inputs);
    UAP_TRY(uap_search_run(cli, &r->search, &source, &inputs, &w->result, &err));
    if (cli->rank != 0) {
        goto done;
    }
    UAP_TRY(uap_plan_work_finish(w, true, &err));
    status = uap_search_report(cli, &r->search, &w->result, w->plan, r->output);
done:
    if (rc != UAP_OK) {
        status = uap_cli_fail(cli, &err);
    }
    return status;
}

int uap_cmd_plan(const uap_cli *cli, int argc, char **argv)
{
    uap_plan_request r = {.precision = UAP_BF16,
                          .schedule = UAP_SCHEDULE_1F1B,
                          .space = "all",
                          .reserve_bytes = (int64_t)1 << 30,
                          .search = uap_search_args_default()};
    uap_plan_work w = {0};
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
    uap_plan_work_free(&w);
    return status;
}
