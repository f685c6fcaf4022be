/* The profile's lines against sizes that they were not fitted to. Private to bench/. */
#ifndef UAP_BENCH_ACCURACY_LINES_H
#define UAP_BENCH_ACCURACY_LINES_H

#include "bench/bench_accuracy.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Prints a row for every link; *passes becomes false where one is beyond its bar, or too
 * noisy. Errors: MPI, NO_MEMORY. Collective. */
UAP_NODISCARD uap_status uap_accuracy_lines(const uap_bench_accuracy *bench,
                                            const uap_comm *comm, bool *passes,
                                            uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
