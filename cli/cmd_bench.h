/* The benchmarks that have options of their own; one file cmd_bench_NAME.c each. */
#ifndef UAP_CLI_CMD_BENCH_H
#define UAP_CLI_CMD_BENCH_H

#include "cli/commands.h"

#ifdef __cplusplus
extern "C" {
#endif

uap_command_fn uap_cmd_bench_scaling;
uap_command_fn uap_cmd_bench_uts;
uap_command_fn uap_cmd_bench_steal_sim;
uap_command_fn uap_cmd_bench_profile_sim;
uap_command_fn uap_cmd_bench_profile_accuracy;
uap_command_fn uap_cmd_bench_serve;

#ifdef __cplusplus
}
#endif
#endif
