/* sgemm in a loop. */
#include "bench/plain_gemm.h"

#include "bench/rng.h"
#include "common/clock.h"
#include "common/mem.h"

#include <cblas.h>

struct uap_plain_gemm {
    int32_t m, n, k;
    float *a, *b, *c;
};

/* n numbers around 0. */
static float *filled(uap_rng *rng, size_t n)
{
    float *values = uap_calloc(n, sizeof *values);
    for (size_t i = 0; values != NULL && i < n; i++) {
        values[i] = (float)uap_rng_real(rng, -1, 1);
    }
    return values;
}

uap_status uap_plain_gemm_new(int32_t m, int32_t n, int32_t k, uap_plain_gemm **out,
                              uap_err *err)
{
    uap_rng rng;
    uap_plain_gemm *gemm = uap_calloc(1, sizeof *gemm);
    *out = NULL;
    if (gemm == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a product");
    }
    uap_rng_seed(&rng, 1);
    *gemm = (uap_plain_gemm){.m = m, .n = n, .k = k};
    gemm->a = filled(&rng, (size_t)m * (size_t)k);
    gemm->b = filled(&rng, (size_t)k * (size_t)n);
    gemm->c = filled(&rng, (size_t)m * (size_t)n);
    if (gemm->a == NULL || gemm->b == NULL || gemm->c == NULL) {
        uap_plain_gemm_free(gemm);
        return UAP_FAIL(err, NO_MEMORY,
                        "no memory for matrices of a %d x %d x %d product", (int)m,
                        (int)n, (int)k);
    }
    *out = gemm;
    return UAP_OK;
}

void uap_plain_gemm_free(uap_plain_gemm *gemm)
{
    if (gemm != NULL) {
        uap_free(gemm->c);
        uap_free(gemm->b);
        uap_free(gemm->a);
        uap_free(gemm);
    }
}

double uap_plain_gemm_run(const uap_plain_gemm *gemm, int32_t count)
{
    const uap_plain_gemm *g = gemm;
    const double start = uap_wall_s();
    for (int32_t i = 0; i < count; i++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, g->m, g->n, g->k, 1.0F,
                    g->a, g->k, g->b, g->n, 0.0F, g->c, g->n);
    }
    return (uap_wall_s() - start) / count;
}
