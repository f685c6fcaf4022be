/* What ranks bring to the searches of the suite: each search by so many ranks together, and
 * beside it as many searches of one rank each at the same time, which on a shared machine
 * is the honest 100 %. */
#ifndef UAP_CLI_SCALING_H
#define UAP_CLI_SCALING_H

#include "bench/suite.h"
#include "mpi/comm.h"

#include <signal.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SCALING_MOST_REPEATS 99
#define UAP_SCALING_MOST_COUNTS  8

typedef struct uap_scaling {
    const uap_suite_case *const *cases; /* [n_cases] */
    int n_cases;
    const int64_t *ranks; /* [n_ranks] numbers of ranks, each at most comm's */
    int n_ranks;          /* at most UAP_SCALING_MOST_COUNTS */
    int64_t repeats;      /* at most UAP_SCALING_MOST_REPEATS */
    double time_limit_s;  /* of one search */
    uap_suite_folders folders;
    const volatile sig_atomic_t *stop; /* ends the run early */
    FILE *out;                         /* rank 0's */
} uap_scaling;

/* Runs and prints a table on rank 0. *differs: two searches to proof of a case had different
 * values, or one that of a recorded optimum. Errors and *broken: uap_search_ranks's and
 * uap_suite_open's. Collective. */
UAP_NODISCARD uap_status uap_scaling_run(const uap_comm *comm, const uap_scaling *what,
                                         bool *differs, bool *broken, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
