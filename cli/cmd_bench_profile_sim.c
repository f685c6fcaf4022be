/* `uniap bench profile-sim`: the survey of a partition on more nodes than there are. */
#include "bench/bench_profile_sim.h"
#include "cli/cmd_bench.h"
#include "cli/options.h"

#include <math.h>
#include <stdio.h>

static const char about[] =
    "Surveys partitions that are not there, with the code that surveys real ones: "
    "rounds\n"
    "without contention, suspects measured again, findings. Times vary and faults are\n"
    "planted (slow devices, links, ends and pairs, late links and pairs, slow nodes, "
    "silent\n"
    "devices, in turn, on nodes of their own); the clock only counts. What rounds cost "
    "is\n"
    "measured first, on the ranks that there are, or given.\n\n"
    "expected    seconds of the plan, nothing being sick\n"
    "seconds     those that passed on the counting clock, the longest of the runs\n"
    "again       rounds measured again for suspects, of all rounds\n"
    "missed, false: faults not found, findings of nothing planted; each has a line\n"
    "MiB         most that rank 0 held; real_s: what the longest run took here\n\n"
    "Exit status: 0 done, 1 a fault was missed or a finding false, 2 bad usage.";

typedef struct arguments {
    uap_int_list nodes;
    int64_t devices_per_node, faults, runs, seed, tournament_max;
    double order_us, round_ms, noise_percent, latency_us, node_gbps, inside_gbps;
} arguments;

/* What rounds cost, unless it was given. */
static uap_status measure(const uap_cli *cli, const arguments *a, uap_survey_costs *costs,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_survey_costs measured = *costs;
    if (a->order_us < 0 || a->round_ms < 0) {
        UAP_TRY(uap_profile_sim_measure(cli->comm, &measured, err));
    }
    costs->order_s = a->order_us < 0 ? measured.order_s : a->order_us * 1e-6;
    costs->round_s = a->round_ms < 0 ? measured.round_s : a->round_ms * 1e-3;
done:
    return rc;
}

static int simulate(const uap_cli *cli, const arguments *a, uap_bench_profile_sim *bench)
{
    uap_err err = {0};
    uap_status rc = UAP_OK;
    bool differs = false;
    bench->noise = a->noise_percent / 100;
    bench->tournament_max = (int32_t)a->tournament_max;
    bench->devices_per_node = (int32_t)a->devices_per_node;
    bench->faults = (int32_t)a->faults;
    bench->seeds = (int32_t)a->runs;
    bench->seed = (uint64_t)a->seed;
    bench->costs.latency_s = a->latency_us * 1e-6;
    bench->costs.node_Bps = a->node_gbps * 1e9;
    bench->costs.inside_Bps = a->inside_gbps * 1e9;
    bench->nodes = a->nodes.value;
    bench->n_nodes = a->nodes.n;
    UAP_TRY(measure(cli, a, &bench->costs, &err));
    if (cli->rank == 0) {
        rc = uap_bench_profile_sim_run(bench, &differs, &err);
    }
done:
    if (rc != UAP_OK) {
        return uap_cli_fail(cli, &err);
    }
    return differs ? UAP_EXIT_FAILURE : UAP_EXIT_OK;
}

int uap_cmd_bench_profile_sim(const uap_cli *cli, int argc, char **argv)
{
    arguments a = {.nodes = {5, {4, 16, 64, 1024, 10000}},
                   .devices_per_node = 8,
                   .faults = 18,
                   .runs = 3,
                   .seed = 1,
                   .tournament_max = 64,
                   .order_us = -1,
                   .round_ms = -1,
                   .noise_percent = 3,
                   .latency_us = 5,
                   .node_gbps = 46,
                   .inside_gbps = 200};
    uap_bench_profile_sim bench = {.costs = {.order_s = 2e-6,
                                             .round_s = 1e-3,
                                             .connect_s = 0.1,
                                             .device_s = 0.5,
                                             .bytes = 16e6,
                                             .pings = 20,
                                             .transfers = 5},
                                   .deadline_s = 5,
                                   .hiccup = 1e-3,
                                   .budget_s = HUGE_VAL,
                                   .out = stdout};
    uap_survey_costs *c = &bench.costs;
    const uap_option option[] = {
        {0, "nodes", UAP_OPT_INTS, &a.nodes, "N,...",
         "numbers of nodes (4,16,64,1024,10000)", .min = 1, .max = 1e6},
        {0, "devices-per-node", UAP_OPT_INT, &a.devices_per_node, "G", "(8)", .min = 1,
         .max = 1024},
        {0, "faults", UAP_OPT_INT, &a.faults, "N",
         "planted in each run, fewer where nodes are few (18)", .min = 0,
         .max = UAP_VIRTUAL_FAULTS_MAX},
        {0, "runs", UAP_OPT_INT, &a.runs, "N", "of each size (3)", .min = 1, .max = 1e6},
        {0, "noise", UAP_OPT_REAL, &a.noise_percent, "PERCENT",
         "standard deviation of times (3)", .min = 0, .max = 50},
        {0, "hiccup", UAP_OPT_REAL, &bench.hiccup, "P",
         "probability that a time is 2 to 6 times too long (0.001)", .min = 0, .max = 1},
        {0, "order-us", UAP_OPT_REAL, &a.order_us, "US",
         "rank 0's, for an order and its report (measured)", .min = 0, .max = 1e6},
        {0, "round-ms", UAP_OPT_REAL, &a.round_ms, "MS",
         "of each part of a round besides orders and measuring (measured; one rank: 1)",
         .min = 0, .max = 1e6},
        {0, "connect-s", UAP_OPT_REAL, &c->connect_s, "S", "first contact (0.1)",
         .min = 0, .max = 1e3},
        {0, "device-s", UAP_OPT_REAL, &c->device_s, "S", "a device's check (0.5)",
         .min = 0, .max = 1e3},
        {0, "latency-us", UAP_OPT_REAL, &a.latency_us, "US", "one way (5)", .min = 0.001,
         .max = 1e6},
        {0, "node-gbps", UAP_OPT_REAL, &a.node_gbps, "GB/S",
         "of a device between nodes (46)", .min = 1e-6, .max = 1e6},
        {0, "inside-gbps", UAP_OPT_REAL, &a.inside_gbps, "GB/S",
         "between devices of a node (200)", .min = 1e-6, .max = 1e6},
        {0, "deadline-s", UAP_OPT_REAL, &bench.deadline_s, "S",
         "how long an answer is waited for (5)", .min = 0, .max = 1e4},
        {0, "budget", UAP_OPT_REAL, &bench.budget_s, "S",
         "leave stages out that do not fit (no limit)", .min = 1e-3, .max = 1e6},
        {0, "tournament-max", UAP_OPT_INT, &a.tournament_max, "N",
         "every pair of nodes up to N nodes, beyond by shifts (64)", .min = 0,
         .max = 1e6},
        {0, "seed", UAP_OPT_INT, &a.seed, "N", "of the first run (1)", .min = 0,
         .max = 1e15},
    };
    const uap_usage usage = {.name = "bench profile-sim",
                             .synopsis = "[options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    const uap_parsed parsed = uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    return simulate(cli, &a, &bench);
}
