/* `uniap bench steal-sim`: the work stealing on more ranks than there are. */
#include "bench/bench_steal_sim.h"
#include "bench/suite.h"
#include "cli/cmd_bench.h"
#include "cli/options.h"

#include <stdio.h>
#include <stdlib.h>

static const char about[] =
    "Runs the tree search's own code for every rank under a virtual clock and prints "
    "how\n"
    "efficiency falls with ranks: work / (ranks x time). The times of a node and of a\n"
    "message are measured first on this machine, or given. Latencies between nodes are "
    "one\n"
    "way: 2 us for an InfiniBand-like network, 17 us for TCP.\n\n"
    "efficiency  1 is as many times faster as there are ranks\n"
    "idle        share of time without an open node; the rest of the loss is messages\n"
    "start_us    until the last rank got its first node\n"
    "tried, won, messages: per rank; most: of the rank with the most; waves: of the "
    "end\n\n"
    "Exit status: 0 done, 1 a tree did not have its size or something failed, 2 bad "
    "usage.";

typedef struct arguments {
    int tree;
    const char *tree_file, *search, *configs, *instances;
    uap_int_list ranks, latencies_ns;
    int64_t ranks_per_node, near_ns, seed, slice_min_ns, slice_max_ns;
    double node_ns, send_ns, receive_ns, look_ns;
} arguments;

static uap_status measure(const uap_cli *cli, const arguments *a,
                          uap_virtual_machine *machine, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_comm *alone = NULL;
    UAP_TRY(uap_comm_split(cli->comm, cli->rank, 0, &alone, err));
    if (cli->rank == 0 &&
        (a->node_ns < 0 || a->send_ns < 0 || a->receive_ns < 0 || a->look_ns < 0)) {
        UAP_TRY(uap_steal_sim_measure(alone, machine, err));
    }
    machine->node_ns = a->node_ns >= 0 ? a->node_ns : machine->node_ns;
    machine->send_ns = a->send_ns >= 0 ? (int64_t)a->send_ns : machine->send_ns;
    machine->receive_ns =
        a->receive_ns >= 0 ? (int64_t)a->receive_ns : machine->receive_ns;
    machine->look_ns = a->look_ns >= 0 ? (int64_t)a->look_ns : machine->look_ns;
done:
    uap_comm_free(alone);
    return rc;
}

/* Searches a case of the suite here and now, and keeps what it took. */
static uap_status record(const arguments *a, uap_recorded_search *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_suite_folders folders = {.configs = a->configs, .instances = a->instances};
    const uap_suite_case *which = uap_suite_find(a->search);
    uap_suite_problem problem = {.missing = false};
    if (which == NULL) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--search: found '%.80s', expected a case of `uniap bench search "
                        "--part hard`",
                        a->search);
    }
    UAP_TRY(uap_suite_open(which, &folders, &problem, err));
    if (problem.missing) {
        rc = UAP_FAIL(err, IO, "%s: cannot open", problem.path);
        goto done;
    }
    UAP_TRY(uap_recorded_search_make(&problem.source, NULL, out, err));
done:
    uap_suite_close(&problem);
    return rc;
}

static int simulate(const uap_cli *cli, const arguments *a)
{
    uap_err err = {0};
    uap_status rc = UAP_OK;
    bool differs = false;
    uap_recorded_tree recorded = {.n = 0};
    uap_recorded_search search = {.n_jobs = 0};
    uap_bench_steal_sim bench = {.machine = {.ranks_per_node = (int)a->ranks_per_node,
                                             .near_ns = a->near_ns,
                                             .byte_ns = 0.1,
                                             .oversleep_ns = 55000,
                                             .seed = (uint64_t)a->seed},
                                 .options = uap_tree_options_default(),
                                 .ranks = a->ranks.value,
                                 .n_ranks = a->ranks.n,
                                 .latencies_ns = a->latencies_ns.value,
                                 .n_latencies = a->latencies_ns.n,
                                 .out = stdout};
    bench.options.seed = (uint64_t)a->seed;
    bench.options.slice_min_ns = a->slice_min_ns;
    bench.options.slice_max_ns = a->slice_max_ns;
    UAP_TRY(measure(cli, a, &bench.machine, &err));
    if (cli->rank > 0) {
        goto done;
    }
    if (a->search != NULL) {
        UAP_TRY(record(a, &search, &err));
        bench.search = &search;
        (void)printf("search %s: ", a->search);
    } else if (a->tree_file != NULL) {
        UAP_TRY(uap_recorded_tree_read(a->tree_file, &recorded, &err));
        bench.recorded = &recorded;
    } else {
        bench.tree = uap_uts_tree_at(a->tree);
    }
    UAP_TRY(uap_bench_steal_sim_run(&bench, &differs, &err));
done:
    uap_recorded_search_free(&search);
    uap_recorded_tree_free(&recorded);
    if (rc != UAP_OK) {
        return uap_cli_fail(cli, &err);
    }
    return differs ? UAP_EXIT_FAILURE : UAP_EXIT_OK;
}

int uap_cmd_bench_steal_sim(const uap_cli *cli, int argc, char **argv)
{
    const uap_tree_options o = uap_tree_options_default();
    arguments a = {.ranks = {7, {1, 4, 16, 64, 256, 1024, 4096}},
                   .latencies_ns = {2, {2000, 17000}},
                   .configs = "configs",
                   .instances = getenv("UNIAP_INSTANCES"),
                   .ranks_per_node = 64,
                   .near_ns = 500,
                   .seed = 1,
                   .slice_min_ns = o.slice_min_ns,
                   .slice_max_ns = o.slice_max_ns,
                   .node_ns = -1,
                   .send_ns = -1,
                   .receive_ns = -1,
                   .look_ns = -1};
    if (a.instances == NULL) {
        a.instances = "../shared/data/instances";
    }
    const uap_option option[] = {
        {0, "tree", UAP_OPT_CHOICE, &a.tree, NULL, "which UTS tree (T1)",
         .choices = UAP_UTS_NAMES},
        {0, "tree-file", UAP_OPT_STR, &a.tree_file, "FILE",
         .help = "a recorded tree instead, as docs/stealing.md describes"},
        {0, "search", UAP_OPT_STR, &a.search, "CASE",
         .help = "a plan search instead, of `uniap bench search --part hard`: it is done "
                 "here first"},
        {0, "configs", UAP_OPT_STR, &a.configs, "DIR",
         .help = "folder with models/ and clusters/ (configs)"},
        {0, "instances", UAP_OPT_STR, &a.instances, "DIR",
         .help = "recorded instances ($UNIAP_INSTANCES, else ../shared/data/instances)"},
        {0, "ranks", UAP_OPT_INTS, &a.ranks, "N,...",
         "numbers of ranks (1,4,16,64,256,1024,4096)", .min = 1, .max = 65536},
        {0, "latency-ns", UAP_OPT_INTS, &a.latencies_ns, "NS,...",
         "one way between nodes (2000,17000)", .min = 0, .max = 1e9},
        {0, "near-ns", UAP_OPT_INT, &a.near_ns, "NS", "one way within a node (500)",
         .min = 0, .max = 1e9},
        {0, "ranks-per-node", UAP_OPT_INT, &a.ranks_per_node, "N", "(64)", .min = 1,
         .max = 65536},
        {0, "node-ns", UAP_OPT_REAL, &a.node_ns, "NS", "of a node (measured)", .min = 1,
         .max = 1e9},
        {0, "send-ns", UAP_OPT_REAL, &a.send_ns, "NS", "to send (measured)", .min = 0,
         .max = 1e9},
        {0, "receive-ns", UAP_OPT_REAL, &a.receive_ns, "NS", "to receive (measured)",
         .min = 0, .max = 1e9},
        {0, "look-ns", UAP_OPT_REAL, &a.look_ns, "NS", "to find no message (measured)",
         .min = 0, .max = 1e9},
        {0, "slice-min-ns", UAP_OPT_INT, &a.slice_min_ns, "NS",
         "work between two looks, while asked (5000)", .min = 100, .max = 1e9},
        {0, "slice-max-ns", UAP_OPT_INT, &a.slice_max_ns, "NS",
         "and when nobody asks (40000)", .min = 100, .max = 1e9},
        {0, "seed", UAP_OPT_INT, &a.seed, "N", "of the choice of victims (1)", .min = 0,
         .max = 1e15},
    };
    const uap_usage usage = {.name = "bench steal-sim",
                             .synopsis = "[options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    const uap_parsed parsed = uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    return simulate(cli, &a);
}
