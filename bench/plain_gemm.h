/* A plain timed loop of sgemm, which the profile's rate of products is held against.
 * It calls BLAS and a clock, and nothing of profile/. */
#ifndef UAP_BENCH_PLAIN_GEMM_H
#define UAP_BENCH_PLAIN_GEMM_H

#include "common/status.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Matrices of C[m x n] = A[m x k] B[k x n], row major, filled with random numbers. */
typedef struct uap_plain_gemm uap_plain_gemm;

/* The caller frees *out. Errors: NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_plain_gemm_new(int32_t m, int32_t n, int32_t k,
                                            uap_plain_gemm **out, uap_err *err);
void uap_plain_gemm_free(uap_plain_gemm *gemm); /* NULL is legal */

/* Seconds of one product: the mean of `count` in a row. Local. */
double uap_plain_gemm_run(const uap_plain_gemm *gemm, int32_t count);

#ifdef __cplusplus
}
#endif
#endif
