/* `uniap bench profile-sim`: how a survey (profile/survey.h) does on partitions that are not
 * there: seconds by a clock that counts, rounds, and planted faults found. */
#ifndef UAP_BENCH_BENCH_PROFILE_SIM_H
#define UAP_BENCH_BENCH_PROFILE_SIM_H

#include "bench/virtual_cluster.h"
#include "mpi/comm.h"

#include <stdbool.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Measures on the ranks of comm what a survey's rounds cost besides what they measure: sets
 * costs->round_s, and what rank 0 spends on each order and its report, costs->order_s. Rounds
 * of made-up devices with empty messages, of two ranks and of all; of one rank only a message
 * to itself is measured, and round_s kept. On a machine with fewer cores than ranks the ranks
 * wait for one another, which counts as rank 0's. Values on rank 0. Errors: those of the
 * site. Collective. */
UAP_NODISCARD uap_status uap_profile_sim_measure(const uap_comm *comm,
                                                 uap_survey_costs *costs, uap_err *err);

typedef struct uap_bench_profile_sim {
    uap_survey_costs costs;
    double deadline_s, noise, hiccup, budget_s;
    int32_t tournament_max, devices_per_node, faults;
    int32_t seeds;        /* runs of each size, each with faults of its own */
    uint64_t seed;        /* of the first */
    const int64_t *nodes; /* [n_nodes] */
    int n_nodes;
    FILE *out;
} uap_bench_profile_sim;

/* Prints the machine and a line for each number of nodes: the longest of its runs in virtual
 * and in real seconds, the sums of faults. *differs: a fault was missed, or one found that
 * was not planted; each is told. Errors: NO_MEMORY, TOO_LARGE. Local. */
UAP_NODISCARD uap_status uap_bench_profile_sim_run(const uap_bench_profile_sim *bench,
                                                   bool *differs, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
