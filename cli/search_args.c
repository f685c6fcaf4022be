/* The shared end of `plan` and `solve`. */
#include "cli/search_args.h"

#include "cli/log_json.h"
#include "cli/search_ranks.h"
#include "cli/stop.h"
#include "common/file.h"
#include "common/numbers.h"
#include "common/room.h"
#include "configs/allocation.h"
#include "plan/plan_table.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define JOB_MEMORY_MIN ((int64_t)64 << 20) /* less is a default that nobody set */

/* Memory of the machine, or what a batch job may use of it. */
static int64_t machine_bytes(void)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page_bytes = sysconf(_SC_PAGESIZE);
    const int64_t all = pages > 0 && page_bytes > 0 ? (int64_t)pages * page_bytes : 0;
    uap_allocation job;
    uap_allocation_of_job(&job);
    return job.memory_bytes >= JOB_MEMORY_MIN ? uap_min_i64(job.memory_bytes, all) : all;
}

uap_search_args uap_search_args_default(void)
{
    return (uap_search_args){.engine = UAP_ENGINE_EXACT,
                             .memory_limit_bytes = machine_bytes() / 4 * 3,
                             .checkpoint_interval_s = 30};
}

void uap_search_args_note(const uap_search_args *args, uap_plan_options *options)
{
    options->engine = (uap_engine)args->engine;
    options->time_limit_s = args->time_limit_s;
    options->gap = args->gap;
    options->memory_limit_bytes = args->memory_limit_bytes;
}

bool uap_search_is_shared(const uap_search_args *args)
{
    return args->engine == UAP_ENGINE_EXACT;
}

uap_status uap_search_open(const uap_search_args *args, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (args->log != NULL) {
        UAP_TRY(uap_log_json_open(args->log, args->quiet ? UAP_LOG_WARNING : UAP_LOG_INFO,
                                  err));
    }
    if (uap_room_here() != NULL && args->checkpoint != NULL) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--checkpoint: not in a service, which keeps its own");
    }
    if (args->checkpoint != NULL && !uap_search_is_shared(args)) {
        return UAP_FAIL(err, BAD_USAGE, "--checkpoint: expected --engine exact");
    }
    if (args->checkpoint != NULL) {
        UAP_TRY(uap_file_check_writable(args->checkpoint, err));
    }
done:
    return rc;
}

static const char *outcome_name(uap_outcome outcome)
{
    static const char *const name[] = {[UAP_OUTCOME_OPTIMAL] = "optimal",
                                       [UAP_OUTCOME_FEASIBLE] = "feasible",
                                       [UAP_OUTCOME_INFEASIBLE] = "infeasible",
                                       [UAP_OUTCOME_UNKNOWN] = "unknown"};
    return name[outcome];
}

static void log_end(const uap_result *result)
{
    uap_jout *event = uap_log_json_event("end");
    if (event != NULL) {
        uap_jset_str(event, "outcome", outcome_name(result->outcome));
        if (result->config >= 0) {
            uap_jset_f64(event, "best_s",
                         (double)result->value / (double)UAP_TICKS_PER_SECOND);
            uap_jset_f64(event, "bound_s",
                         (double)result->bound / (double)UAP_TICKS_PER_SECOND);
        }
        uap_jset_f64(event, "wall_s", result->stats.wall_s);
        uap_log_json_write(event);
    }
}

static uap_status run_shared(const uap_cli *cli, const uap_search_args *args,
                             const uap_limits *limits, const uap_source *source,
                             const uap_inputs *inputs, uap_result *result, uap_err *err)
{
    bool broken = false;
    const uap_room *room = uap_room_here();
    const char *kept = room == NULL ? args->checkpoint : room->checkpoint;
    uap_watch watch = {.checkpoint = room != NULL && args->is_part ? NULL : kept,
                       .interval_s = room != NULL ? room->checkpoint_interval_s
                                                  : args->checkpoint_interval_s,
                       .quiet = args->quiet,
                       .inputs = *inputs,
                       .seed = args->seed};
    const uap_status rc =
        uap_search_ranks(cli->comm, source, limits, &watch, result, &broken, err);
    uap_watch_end(&watch);
    if (broken) {
        (void)fprintf(stderr, "uniap: rank %d: %s\n", cli->rank,
                      err->msg[0] != '\0' ? err->msg : uap_status_text(rc));
        uap_comm_abort(cli->comm, UAP_EXIT_FAILURE);
    }
    return rc;
}

/* What the command asked for, and what its room allows. */
static double least_time(const uap_search_args *args)
{
    const uap_room *room = uap_room_here();
    const double most_s = room != NULL ? room->time_limit_s : 0;
    return most_s > 0 && (args->time_limit_s <= 0 || args->time_limit_s > most_s)
               ? most_s
               : args->time_limit_s;
}

static int64_t least_memory(const uap_search_args *args)
{
    const uap_room *room = uap_room_here();
    const int64_t most = room != NULL ? room->memory_limit_bytes : 0;
    return most > 0 ? uap_min_i64(most, args->memory_limit_bytes)
                    : args->memory_limit_bytes;
}

uap_status uap_search_run(const uap_cli *cli, const uap_search_args *args,
                          const uap_source *source, const uap_inputs *inputs,
                          uap_result *result, uap_err *err)
{
    const uap_limits limits = {.time_limit_s = least_time(args),
                               .gap = args->gap,
                               .memory_limit_bytes = least_memory(args),
                               .stop = uap_stop_flag()};
    const uap_status rc =
        uap_search_is_shared(args)
            ? run_shared(cli, args, &limits, source, inputs, result, err)
            : uap_cbc_solve(source, &limits, result, err);
    if (rc == UAP_OK && cli->rank == 0) {
        log_end(result);
    }
    return rc;
}

static int exit_of_outcome(uap_outcome outcome)
{
    switch (outcome) {
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

int uap_search_report(const uap_cli *cli, const uap_search_args *args,
                      const uap_result *result, const uap_plan *plan, const char *output)
{
    uap_err err = {0};
    if (plan == NULL) {
        (void)fprintf(uap_room_err(),
                      "uniap: stopped before a plan was found; none is written\n");
        return UAP_EXIT_UNKNOWN;
    }
    if (uap_plan_save(plan, output, &err) != UAP_OK) {
        (void)uap_cli_fail(cli, &err);
        return UAP_EXIT_FAILURE;
    }
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        (void)fprintf(uap_room_err(), "uniap: %s\n", plan->reason);
    } else if (!args->quiet && strcmp(output, "-") != 0) {
        uap_plan_print(plan, uap_room_out());
        (void)fprintf(uap_room_out(), "\nwritten to %s\n", output);
    }
    return exit_of_outcome(result->outcome);
}
