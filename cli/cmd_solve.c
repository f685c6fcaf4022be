/* `uniap solve`: one instance file in, its best plan out. All ranks search. */
#include "cli/commands.h"
#include "cli/search_args.h"
#include "cli/stop.h"
#include "common/file.h"
#include "common/log.h"
#include "mpi/comm.h"
#include "plan/plan_build.h"
#include "search/instance_json.h"

#include <stdio.h>

typedef struct request {
    const char *instance, *output;
    uap_search_args search;
} request;

static const char about[] =
    "Solves one instance (a file that `uniap plan --dump-instances` wrote, or one by\n"
    "hand; docs/formats.md) and writes its plan: stages, strategies by the instance's\n"
    "own names, time and memory.\n\n"
    "Exit status: as `uniap plan`.";

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {'o', "output", UAP_OPT_STR, &r->output, "FILE",
         .help = "where the plan goes; - (default) is standard output"},
        UAP_SEARCH_OPTIONS(&r->search),
    };
    const uap_usage usage = {.name = "solve",
                             .synopsis = "INSTANCE.json [-o FILE] [options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0]),
                             .min_args = 1,
                             .max_args = 1};
    return uap_options_parse(cli, &usage, argc, argv, &r->instance, NULL);
}

static int run(const uap_cli *cli, const request *r)
{
    uap_status rc = UAP_OK;
    uap_err err = {0};
    uap_instance *instance = NULL;
    uap_plan *plan = NULL;
    uap_result result = {0};
    uap_plan_options options = {0};
    int status = UAP_EXIT_OK;
    (void)uap_stop_flag(); /* from here on a signal ends the search, not the program */
    rc = cli->rank == 0 ? uap_file_check_writable(r->output, &err) : UAP_OK;
    if (rc == UAP_OK) {
        rc = uap_instance_load(r->instance, &instance, &err);
    }
    if (uap_search_is_shared(cli, &r->search)) {
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
    UAP_TRY(uap_search_run(cli, &r->search, &source, &result, &err));
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
    if (r.search.quiet) {
        uap_log_setup(UAP_LOG_WARNING, cli->rank, NULL, NULL);
    }
    return cli->rank == 0 || uap_search_is_shared(cli, &r.search) ? run(cli, &r)
                                                                  : UAP_EXIT_OK;
}
