/* `uniap bench serve`: how a running service answers. Rank 0 works, without MPI. */
#include "cli/cmd_bench.h"
#include "cli/options.h"
#include "cli/serve_load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const char about[] =
    "Asks a running service (`uniap serve --socket SOCKET`, best without --cache) for a "
    "mix\n"
    "of plans, checks and exports from many clients at once, compares each answer with\n"
    "what the command itself gives in a process of its own, and prints how long answers\n"
    "took.\n\n"
    "Exit status: 0 done, 1 an answer was wrong or lost, 2 bad usage, or no service.";

typedef struct request {
    const char *socket, *configs, *folder;
    int64_t requests, clients, cases;
    double pause_s;
} request;

static uap_parsed parse(const uap_cli *cli, int argc, char **argv, request *r)
{
    const uap_option option[] = {
        {0, "connect", UAP_OPT_STR, &r->socket, "SOCKET", .help = "of the service"},
        {0, "requests", UAP_OPT_INT, &r->requests, "N", "in all (1000)", .min = 1,
         .max = 1e8},
        {0, "clients", UAP_OPT_INT, &r->clients, "N", "at once (16)", .min = 1,
         .max = 1024},
        {0, "cases", UAP_OPT_INT, &r->cases, "N", "different ones (32)", .min = 1,
         .max = 100000},
        {0, "pause", UAP_OPT_REAL, &r->pause_s, "S",
         "of a client between an answer and its next request (0)", .min = 0, .max = 0.9},
        {0, "configs", UAP_OPT_STR, &r->configs, "DIR",
         .help = "folder with models/ and clusters/ (configs)"},
        {0, "folder", UAP_OPT_STR, &r->folder, "DIR",
         .help = "for the commands' answers (bench-serve, in this one)"},
    };
    const uap_usage usage = {.name = "bench serve",
                             .synopsis = "--connect SOCKET [options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    return uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
}

static void print_figures(const request *r, const uap_serve_figures *f)
{
    (void)printf("%" PRId64 " requests from %" PRId64 " clients (%" PRId64
                 " different ones): %" PRId64 " lost, %" PRId64 " wrong\n",
                 r->requests, r->clients, r->cases, f->lost, f->wrong);
    (void)printf("%.1f requests/s; answers after p50 %.1f, p90 %.1f, p99 %.1f, at most "
                 "%.1f ms\n",
                 f->per_s, 1e3 * f->p50_s, 1e3 * f->p90_s, 1e3 * f->p99_s,
                 1e3 * f->most_s);
}

int uap_cmd_bench_serve(const uap_cli *cli, int argc, char **argv)
{
    request r = {.configs = "configs",
                 .folder = "bench-serve",
                 .requests = 1000,
                 .clients = 16,
                 .cases = 32};
    uap_err err = {0};
    uap_status rc = UAP_OK;
    uap_serve_cases cases = {0};
    uap_serve_figures figures = {0};
    const uap_parsed parsed = parse(cli, argc, argv, &r);
    if (parsed != UAP_PARSED || cli->rank != 0) {
        return parsed == UAP_PARSED_BAD ? UAP_EXIT_USAGE : UAP_EXIT_OK;
    }
    if (r.socket == NULL) {
        rc = UAP_FAIL(&err, BAD_USAGE,
                      "--connect: not given, expected a service's socket");
        goto done;
    }
    if (mkdir(r.folder, 0777) != 0 && errno != EEXIST) {
        rc = UAP_FAIL(&err, IO, "--folder: %s: %s", r.folder, strerror(errno));
        goto done;
    }
    UAP_TRY(uap_serve_cases_new(r.configs, r.folder, (int)r.cases, &cases, &err));
    const uap_serve_load load = {.socket = r.socket,
                                 .cases = &cases,
                                 .clients = (int)r.clients,
                                 .requests = r.requests,
                                 .pause_s = r.pause_s};
    UAP_TRY(uap_serve_load_run(&load, &figures, &err));
    print_figures(&r, &figures);
done:
    uap_serve_cases_free(&cases);
    if (rc != UAP_OK) {
        return uap_cli_fail(cli, &err);
    }
    return figures.wrong > 0 || figures.lost > 0 ? UAP_EXIT_FAILURE : UAP_EXIT_OK;
}
