/* `uniap bench uts`: the work stealing on trees of published size. */
#include "bench/bench_uts.h"
#include "cli/cmd_bench.h"
#include "cli/options.h"

#include <stdio.h>

static const char about[] =
    "Searches a tree of the UTS benchmark with all ranks, checks its size against the\n"
    "published one, and prints nodes per second, steals and the idle share of every "
    "rank.\n"
    "--compare N then times N pairs of runs: one with all ranks together, and as many\n"
    "searches of one rank each at the same time.\n\n"
    "Exit status: 0 done, 1 a size was wrong or something failed, 2 bad usage.";

int uap_cmd_bench_uts(const uap_cli *cli, int argc, char **argv)
{
    uap_err err = {0};
    int tree = 0;
    int64_t seed = 1;
    bool differs = false, broken = false;
    uap_bench_uts bench = {.options = uap_tree_options_default(), .out = stdout};
    const uap_option option[] = {
        {0, "tree", UAP_OPT_CHOICE, &tree, NULL, "which tree (T1)",
         .choices = UAP_UTS_NAMES},
        {0, "compare", UAP_OPT_INT, &bench.compare, "N",
         "time N pairs of runs, together and apart (0)", .min = 0, .max = 1000},
        {0, "seed", UAP_OPT_INT, &seed, "N", "of the choice of victims (1)", .min = 0,
         .max = 1e15},
    };
    const uap_usage usage = {.name = "bench uts",
                             .synopsis = "[options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    const uap_parsed parsed = uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    bench.tree = uap_uts_tree_at(tree);
    bench.options.seed = (uint64_t)seed;
    if (uap_bench_uts_run(cli->comm, &bench, &differs, &broken, &err) != UAP_OK) {
        if (broken) { /* this rank alone knows */
            (void)fprintf(stderr, "uniap: %s\n", err.msg);
            uap_comm_abort(cli->comm, UAP_EXIT_FAILURE);
        }
        return uap_cli_fail(cli, &err);
    }
    return differs ? UAP_EXIT_FAILURE : UAP_EXIT_OK;
}
