/* `uniap solve`: one instance file in, its best plan out. All ranks search. */
#include "cli/commands.h"
#include "cli/connect.h"
#include "cli/log_json.h"
#include "cli/search_args.h"
#include "cli/stop.h"
#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sha256.h"
#include "mpi/comm.h"
#include "plan/plan_build.h"
#include "search/instance_json.h"

#include <stdio.h>

typedef struct request {
    const char *instance, *output, *connect;
    uap_search_args search;
    uap_sent_args sent;
} request;

static const char about[] =
    "Solves one instance (a file that `uniap plan --dump-instances` wrote, or one by\n"
    "hand; docs/formats.md) and writes its plan: stages, strategies by the instance's\n"
    "own names, time and memory.\n\n"
    "Exit status: as `uniap plan`.";

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {'o', "output", UAP_OPT_STR, &r->output, "FILE", .stays_here = true,
         .help = "where the plan goes; - (default) is standard output"},
        UAP_SEARCH_OPTIONS(&r->search),
        UAP_CONNECT_OPTION(&r->connect),
    };
    const uap_usage usage = {.name = "solve",
                             .synopsis = "INSTANCE.json [-o FILE] [options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0]),
                             .sent = &r->sent,
                             .min_args = 1,
                             .max_args = 1};
    return uap_options_parse(cli, &usage, argc, argv, &r->instance, NULL);
}

/* What a checkpoint is of: the file, byte for byte. */
static uap_status list_inputs(const request *r, uap_inputs *inputs, uap_err *err)
{
    uap_status rc = UAP_OK;
    char *text = NULL;
    size_t n = 0;
    char digest[UAP_SHA256_HEX];
    UAP_TRY(uap_file_read(r->instance, (size_t)1 << 40, &text, &n, err));
    uap_sha256_hex(text, n, digest);
    uap_inputs_note(inputs, "program", "%s", UAP_VERSION);
    uap_inputs_note(inputs, "instance", "%s", digest);
done:
    uap_free(text);
    return rc;
}

/* Everything up to the search, on each rank that searches. */
static uap_status prepare(const uap_cli *cli, const request *r, uap_instance **instance,
                          uap_inputs *inputs, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (cli->rank == 0) {
        UAP_TRY(uap_search_open(&r->search, err));
        UAP_TRY(uap_file_check_writable(r->output, err));
    }
    UAP_TRY(uap_instance_load(r->instance, instance, err));
    if (cli->rank == 0 && r->search.checkpoint != NULL) {
        UAP_TRY(list_inputs(r, inputs, err));
    }
done:
    return rc;
}

static int run(const uap_cli *cli, const request *r)
{
    uap_status rc = UAP_OK;
    uap_err err = {0};
    uap_instance *instance = NULL;
    uap_plan *plan = NULL;
    uap_result result = {0};
    uap_plan_options options = {0};
    uap_inputs inputs = {0};
    int status = UAP_EXIT_OK;
    (void)uap_stop_flag(); /* from here on a signal ends the search, not the program */
    rc = prepare(cli, r, &instance, &inputs, &err);
    if (uap_search_is_shared(&r->search)) {
        rc = uap_comm_agree(cli->comm, rc, &err);
    }
    if (rc != UAP_OK) {
        goto done;
    }
    if (*uap_stop_flag() == 0) {
        UAP_LOG(INFO, GLOBAL, "instance %s: %d layers, %d stages, %d micro-batches, %s",
                r->instance, (int)instance->n_layers, (int)instance->pp,
                (int)instance->micro_batches, uap_schedule_name(instance->schedule));
    }
    const uap_source source = uap_source_of_instance(instance);
    UAP_TRY(uap_search_run(cli, &r->search, &source, &inputs, &result, &err));
    if (cli->rank != 0) {
        goto done;
    }
    uap_search_args_note(&r->search, &options);
    if (result.outcome != UAP_OUTCOME_UNKNOWN) {
        UAP_TRY(
            uap_plan_of_instance(instance, r->instance, &options, &result, &plan, &err));
    }
    status = uap_search_report(cli, &r->search, &result, plan, r->output);
done:
    if (rc != UAP_OK) {
        status = uap_cli_fail(cli, &err);
    }
    uap_plan_free(plan);
    uap_result_free(&result);
    uap_instance_free(instance);
    return status;
}

int uap_cmd_solve(const uap_cli *cli, int argc, char **argv)
{
    request r = {.output = "-", .search = uap_search_args_default()};
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    if (uap_connect_is_asked(r.connect)) {
        return uap_connect_run(cli, &(uap_connect){.command = "solve",
                                                   .socket = r.connect,
                                                   .output = r.output,
                                                   .log = r.search.log,
                                                   .sent = &r.sent});
    }
    if (r.search.quiet) {
        uap_log_setup(UAP_LOG_WARNING, cli->rank, NULL, NULL);
    }
    if (cli->rank != 0 && !uap_search_is_shared(&r.search)) {
        return UAP_EXIT_OK;
    }
    int status = run(cli, &r);
    uap_err err = {0};
    if (uap_log_json_close(&err) != UAP_OK) {
        (void)uap_cli_fail(cli, &err);
        status = status == UAP_EXIT_OK ? UAP_EXIT_FAILURE : status;
    }
    return status;
}
