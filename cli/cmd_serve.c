/* `uniap serve`: the planner as a service on the job's ranks. All ranks take part. */
#include "cli/commands.h"
#include "cli/options.h"
#include "cli/search_args.h"
#include "cli/service.h"
#include "common/numbers.h"
#include "mpi/comm.h"
#include "mpi/guard.h"

#include <unistd.h>

#define MIB        ((int64_t)1 << 20)
#define NOTES_MAX  ((size_t)1 << 20)
#define TRIES_MOST 8
#define UID_MAX    4294967294.0

typedef struct request {
    const char *socket, *cache;
    int64_t cache_bytes, slots, clients, pending, line_mib, memory_bytes;
    double time_limit_s, patience_s, try_s, checkpoint_interval_s;
    uap_int_list users;
} request;

static const char about[] =
    "Serves plan, solve, check and export to clients of this machine: JSON-RPC 2.0, a\n"
    "message a line, over a Unix socket that this user alone may use (docs/service.md).\n"
    "`uniap plan --connect SOCKET ...` and the like are clients; `uniap status` asks how "
    "it\n"
    "is. A search is tried by rank 0 alone for a moment, then taken by all ranks;\n"
    "searches run side by side.\n\n"
    "USR1 and `shutdown` end it once what was taken is done; TERM ends searches with "
    "what\n"
    "they have, and keeps their checkpoints beside the cache.\n\n"
    "Exit status: 0 ended as asked, 1 failure, 2 bad usage, or a service is there "
    "already.";

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {0, "socket", UAP_OPT_STR, &r->socket, "PATH", .help = "where it listens"},
        {0, "cache", UAP_OPT_STR, &r->cache, "DIR",
         .help = "keep proven results and checkpoints there (neither)"},
        {0, "cache-size", UAP_OPT_GIB, &r->cache_bytes, "GIB",
         "results kept, the least used go (1)", .min = 1e-6, .max = 1048576.0},
        {0, "slots", UAP_OPT_INT, &r->slots, "N", "searches on all ranks at a time (4)",
         .min = 1, .max = UAP_SERVICE_SLOTS_MAX},
        {0, "try", UAP_OPT_REAL, &r->try_s, "S",
         "CPU seconds that rank 0 tries a search alone (0.3)", .min = 0.001, .max = 1e6},
        {0, "time-limit", UAP_OPT_REAL, &r->time_limit_s, "S",
         "of any search, beside the request's own (none)", .min = 0.001, .max = 1e9},
        {0, "memory-limit", UAP_OPT_GIB, &r->memory_bytes, "GIB",
         "of any request on a machine (3/4 of it, shared out among slots)", .min = 0.001,
         .max = 1048576.0},
        {0, "checkpoint-interval", UAP_OPT_REAL, &r->checkpoint_interval_s, "S",
         "seconds from one checkpoint to the next (30)", .min = 0.001, .max = 1e9},
        {0, "max-clients", UAP_OPT_INT, &r->clients, "N", "connections at a time (64)",
         .min = 1, .max = 4096},
        {0, "max-pending", UAP_OPT_INT, &r->pending, "N",
         "unanswered requests of a client (64)", .min = 1, .max = 65536},
        {0, "max-request", UAP_OPT_INT, &r->line_mib, "MIB", "size of a request (8)",
         .min = 1, .max = 1024},
        {0, "patience", UAP_OPT_REAL, &r->patience_s, "S",
         "with a client that stops in mid-line or does not read (30)", .min = 0.1,
         .max = 1e6},
        {0, "allow-uid", UAP_OPT_INTS, &r->users, "LIST",
         "users beside this one, by number", .min = 0, .max = UID_MAX},
    };
    const uap_usage usage = {.name = "serve",
                             .synopsis = "--socket PATH [options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    return uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
}

static uap_status check(const request *r, uap_err *err)
{
    if (r->socket == NULL) {
        return UAP_FAIL(err, BAD_USAGE, "--socket: not given, expected a path");
    }
    if (!uap_guard_is_possible()) {
        return UAP_FAIL(err, UNSUPPORTED,
                        "%s gives no MPI_THREAD_MULTIPLE, which serve "
                        "needs",
                        uap_comm_library());
    }
    return UAP_OK;
}

static uap_service_options choose(const request *r)
{
    const long cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int64_t machine = uap_search_args_default().memory_limit_bytes;
    uap_service_options options = {
        .socket = r->socket,
        .cache = r->cache,
        .cache_bytes = r->cache_bytes,
        .clients = (int)r->clients,
        .pending = (int)r->pending,
        .line_bytes = (size_t)(r->line_mib * MIB),
        .patience_s = r->patience_s,
        .n_users = r->users.n,
        .limits = {.slots = (int)r->slots,
                   .tries = (int)uap_min_i64(uap_max_i64(cores, 2), TRIES_MOST),
                   .try_cpu_s = r->try_s,
                   .time_limit_s = r->time_limit_s,
                   .memory_bytes =
                       r->memory_bytes > 0 ? r->memory_bytes : machine / r->slots,
                   .checkpoint_interval_s = r->checkpoint_interval_s,
                   .notes_max = NOTES_MAX}};
    for (int32_t i = 0; i < r->users.n; i++) {
        options.user[i] = (uid_t)r->users.value[i];
    }
    return options;
}

int uap_cmd_serve(const uap_cli *cli, int argc, char **argv)
{
    request r = {.cache_bytes = (int64_t)1 << 30,
                 .slots = 4,
                 .clients = 64,
                 .pending = 64,
                 .line_mib = 8,
                 .patience_s = 30,
                 .try_s = 0.3,
                 .checkpoint_interval_s = 30};
    uap_err err = {0};
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    uap_status rc = check(&r, &err);
    if (rc == UAP_OK) {
        const uap_service_options options = choose(&r);
        rc = uap_service_serve(cli, &options, &err);
    }
    return rc == UAP_OK ? UAP_EXIT_OK : uap_cli_fail(cli, &err);
}
