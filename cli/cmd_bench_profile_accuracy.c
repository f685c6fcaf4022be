/* `uniap bench profile-accuracy`: a profile's measurements against plain loops. */
#include "bench/bench_accuracy.h"
#include "cli/cmd_bench.h"
#include "cli/options.h"
#include "cli/stop.h"

#include <stdio.h>

static const char about[] =
    "Measures links and products as `uniap profile` does and, turn about in the same "
    "run,\n"
    "by plain loops (MPI_Send and MPI_Recv there and back, MPI_Allreduce with a barrier\n"
    "behind each as the OSU benchmarks do, sgemm), and compares the medians. Then "
    "foretells\n"
    "sizes by lines that were fitted to others. Start it with mpirun; with one rank "
    "only\n"
    "products are compared. A row in which the same thing differs from itself by more "
    "than\n"
    "the bar is measured again, and counts as failed if it stays so.\n\n"
    "ratio     ours by plain\n"
    "self_%    the larger difference of either way's even turns from its odd ones\n"
    "median_%  of |foretold by measured - 1| over sizes, each the medians of the "
    "rounds\n\n"
    "Exit status: 0 every row is within its bar, 1 one is not, or was too noisy to "
    "judge,\n"
    "2 bad usage.";

int uap_cmd_bench_profile_accuracy(const uap_cli *cli, int argc, char **argv)
{
    uap_err err = {0};
    bool passes = false, lists_sizes = false;
    uap_int_list bytes = {5, {1024, 16384, 262144, 4194304, 33554432}};
    int64_t turns = 30, attempts = 5;
    double turn_ms = 10, link_bar = 5, product_bar = 3, line_bar = 10, max_mib = 32;
    const uap_option option[] = {
        {0, "bytes", UAP_OPT_INTS, &bytes, "N,...",
         "messages (1024,16384,262144,4194304,33554432)", .min = 4, .max = 1e9},
        {0, "max-mib", UAP_OPT_REAL, &max_mib, "MIB",
         "of the sweeps whose lines are checked (32)", .min = 0.01, .max = 1024},
        {0, "turns", UAP_OPT_INT, &turns, "N", "of each way (30)", .min = 4, .max = 1e4},
        {0, "turn-ms", UAP_OPT_REAL, &turn_ms, "MS", "that a turn takes at least (10)",
         .min = 0.01, .max = 1e5},
        {0, "attempts", UAP_OPT_INT, &attempts, "N",
         "of a row that is too noisy to judge (5)", .min = 1, .max = 100},
        {0, "link-bar", UAP_OPT_REAL, &link_bar, "PERCENT", "(5)", .min = 0, .max = 1e9},
        {0, "product-bar", UAP_OPT_REAL, &product_bar, "PERCENT", "(3)", .min = 0,
         .max = 1e9},
        {0, "line-bar", UAP_OPT_REAL, &line_bar, "PERCENT", "(10)", .min = 0, .max = 1e9},
        {0, "list", UAP_OPT_FLAG, &lists_sizes,
         .help = "of lines, a row for each size and attempt"},
    };
    const uap_usage usage = {.name = "bench profile-accuracy",
                             .synopsis = "[options]",
                             .about = about,
                             .option = option,
                             .n_options = (int)(sizeof option / sizeof option[0])};
    const uap_parsed parsed = uap_options_parse(cli, &usage, argc, argv, NULL, NULL);
    if (parsed != UAP_PARSED) {
        return parsed == UAP_PARSED_HELP ? UAP_EXIT_OK : UAP_EXIT_USAGE;
    }
    const uap_bench_accuracy bench = {.bytes = bytes.value,
                                      .n_bytes = bytes.n,
                                      .max_bytes = max_mib * 1048576,
                                      .turns = (int32_t)turns,
                                      .attempts = (int32_t)attempts,
                                      .turn_s = turn_ms * 1e-3,
                                      .link_bar = link_bar / 100,
                                      .product_bar = product_bar / 100,
                                      .line_bar = line_bar / 100,
                                      .lists_sizes = lists_sizes,
                                      .out = stdout,
                                      .stop = uap_stop_flag()};
    if (uap_bench_accuracy_run(&bench, cli->comm, &passes, &err) != UAP_OK) {
        return uap_cli_fail(cli, &err);
    }
    return passes ? UAP_EXIT_OK : UAP_EXIT_FAILURE;
}
