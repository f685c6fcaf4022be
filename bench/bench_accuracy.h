/* How true a profile is: its measurements against plain loops in the same run, and its lines
 * against sizes that they were not fitted to. */
#ifndef UAP_BENCH_ACCURACY_H
#define UAP_BENCH_ACCURACY_H

#include "common/status.h"
#include "mpi/comm.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_bench_accuracy {
    const int64_t *bytes; /* [n_bytes] of messages; borrowed */
    int32_t n_bytes;
    double max_bytes; /* of the sweeps whose lines are checked */
    int32_t turns;    /* of each way, >= 4 */
    int32_t attempts; /* of a row that is too noisy to judge, >= 1 */
    double turn_s;    /* seconds that a turn takes at least */
    double link_bar, product_bar, line_bar; /* 0.05: 5 % */
    bool lists_sizes;                       /* of lines, a row for each size */
    FILE *out;                              /* rank 0 */
    const volatile sig_atomic_t *stop; /* ends it behind the row under way, on rank 0 */
} uap_bench_accuracy;

/* Prints tables on rank 0. *passes: every row is within its bar; false where one was too
 * noisy. The same on every rank. Errors: MPI, NO_MEMORY, those of the device. Collective. */
UAP_NODISCARD uap_status uap_bench_accuracy_run(const uap_bench_accuracy *bench,
                                                const uap_comm *comm, bool *passes,
                                                uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
