/* One product by cuBLASLt, with the quickest of the algorithms that its heuristic offers
 * (cuBLAS library guide, cublasLtMatmulAlgoGetHeuristic); by cuBLAS' own choice where it has
 * none for the shape. */
#include "profile/device_cuda.cuh"

#include <cstdlib>
#include <cublasLt.h>
#include <initializer_list>

namespace
{

/* Algorithms tried; of each so many runs are timed behind one that is not, and no further ones
 * are begun after so many milliseconds. */
const int algorithms_most = 8, timed_runs = 3;
const float choosing_ms = 50.0F;

} // namespace

struct cuda_matmul {
    cuda_device *device;
    cuda_product p;
    const void *x, *y;
    void *out;
    cublasLtMatmulDesc_t how;
    cublasLtMatrixLayout_t layout_y, layout_x, layout_out;
    cublasLtMatmulAlgo_t algorithm;
    bool is_chosen; /* else cuBLAS chooses */
};

namespace
{

cublasOperation_t operation(bool is_transposed)
{
    return is_transposed ? CUBLAS_OP_T : CUBLAS_OP_N;
}

/* Column-major, the memory of a row-major matrix is its transpose: out^T = Y^T X^T. So Y comes
 * first, and leading dimensions are row lengths. */
int64_t row_y(const cuda_product &p)
{
    return p.y_transposed ? p.inner : p.columns;
}

int64_t row_x(const cuda_product &p)
{
    return p.x_transposed ? p.rows : p.inner;
}

uap_status by_cublas(const cuda_matmul *m, uap_err *err)
{
    const float one = 1.0F, zero = 0.0F;
    const cuda_product &p = m->p;
    return CU(err,
              cublasGemmStridedBatchedEx(
                  m->device->blas, operation(p.y_transposed), operation(p.x_transposed),
                  (int)p.columns, (int)p.rows, (int)p.inner, &one, m->y, p.type,
                  (int)row_y(p), p.inner * p.columns, m->x, p.type, (int)row_x(p),
                  p.rows * p.inner, &zero, m->out, p.type, (int)p.columns,
                  p.rows * p.columns, (int)p.batch, p.compute, CUBLAS_GEMM_DEFAULT));
}

cublasStatus_t run_algorithm(const cuda_matmul *m, const cublasLtMatmulAlgo_t *algorithm)
{
    const float one = 1.0F, zero = 0.0F;
    /* "Any valid cublasHandle_t can be used in place of cublasLtHandle_t with a simple cast." */
    return cublasLtMatmul((cublasLtHandle_t)m->device->blas, m->how, &one, m->y,
                          m->layout_y, m->x, m->layout_x, &zero, m->out, m->layout_out,
                          m->out, m->layout_out, algorithm, m->device->workspace,
                          UAP_MATMUL_WORKSPACE_BYTES, m->device->stream);
}

/* A column-major matrix of row-major memory: `row` long columns, `total` elements a batch. */
uap_status describe(cublasLtMatrixLayout_t *out, const cuda_product &p, int64_t row,
                    int64_t total, uap_err *err)
{
    const int32_t batch = (int32_t)p.batch;
    uap_status rc = UAP_OK;
    UAP_TRY(CU(err, cublasLtMatrixLayoutCreate(out, p.type, (uint64_t)row,
                                               (uint64_t)(total / row), row)));
    UAP_TRY(CU(err, cublasLtMatrixLayoutSetAttribute(
                        *out, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batch, sizeof batch)));
    rc = CU(err,
            cublasLtMatrixLayoutSetAttribute(
                *out, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &total, sizeof total));
done:
    return rc;
}

uap_status describe_all(cuda_matmul *m, uap_err *err)
{
    const cuda_product &p = m->p;
    const cublasOperation_t first = operation(p.y_transposed);
    const cublasOperation_t second = operation(p.x_transposed);
    uap_status rc = UAP_OK;
    UAP_TRY(CU(err, cublasLtMatmulDescCreate(&m->how, p.compute, CUDA_R_32F)));
    UAP_TRY(CU(err, cublasLtMatmulDescSetAttribute(m->how, CUBLASLT_MATMUL_DESC_TRANSA,
                                                   &first, sizeof first)));
    UAP_TRY(CU(err, cublasLtMatmulDescSetAttribute(m->how, CUBLASLT_MATMUL_DESC_TRANSB,
                                                   &second, sizeof second)));
    UAP_TRY(describe(&m->layout_y, p, row_y(p), p.inner * p.columns, err));
    UAP_TRY(describe(&m->layout_x, p, row_x(p), p.rows * p.inner, err));
    rc = describe(&m->layout_out, p, p.columns, p.rows * p.columns, err);
done:
    return rc;
}

/* Queues it once. Whether it suits buffers as they lie shows only then; other errors are told
 * when it is timed. */
bool can_run(const cuda_matmul *m, const cublasLtMatmulAlgo_t *algorithm)
{
    const cublasStatus_t status = run_algorithm(m, algorithm);
    return status != CUBLAS_STATUS_NOT_SUPPORTED && status != CUBLAS_STATUS_INVALID_VALUE;
}

/* Milliseconds of a few runs by this algorithm. */
uap_status time_runs(const cuda_matmul *m, const cublasLtMatmulAlgo_t *algorithm,
                     const cudaEvent_t event[2], float *milliseconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(CU(err, cudaEventRecord(event[0], m->device->stream)));
    for (int i = 0; i < timed_runs; i++) {
        UAP_TRY(CU(err, run_algorithm(m, algorithm)));
    }
    UAP_TRY(CU(err, cudaEventRecord(event[1], m->device->stream)));
    UAP_TRY(CU(err, cudaEventSynchronize(event[1])));
    rc = CU(err, cudaEventElapsedTime(milliseconds, event[0], event[1]));
done:
    return rc;
}

/* Times what was offered, and keeps the quickest. */
uap_status choose(cuda_matmul *m, const cublasLtMatmulHeuristicResult_t *offer, int n,
                  uap_err *err)
{
    cudaEvent_t event[2] = {nullptr, nullptr};
    uap_status rc = UAP_OK;
    float best = 0.0F, spent = 0.0F;
    UAP_TRY(CU(err, cudaEventCreate(&event[0])));
    UAP_TRY(CU(err, cudaEventCreate(&event[1])));
    for (int i = 0; i < n && (!m->is_chosen || spent < choosing_ms); i++) {
        float timed = 0.0F;
        if (offer[i].state != CUBLAS_STATUS_SUCCESS || !can_run(m, &offer[i].algo)) {
            continue;
        }
        UAP_TRY(time_runs(m, &offer[i].algo, event, &timed, err));
        spent += timed;
        if (!m->is_chosen || timed < best) {
            best = timed;
            m->algorithm = offer[i].algo;
            m->is_chosen = true;
        }
    }
done:
    for (cudaEvent_t e : event) {
        if (e != nullptr) {
            (void)cudaEventDestroy(e);
        }
    }
    return rc;
}

uap_status ask(cuda_matmul *m, uap_err *err)
{
    const size_t workspace = UAP_MATMUL_WORKSPACE_BYTES;
    cublasLtMatmulHeuristicResult_t offer[algorithms_most];
    cublasLtMatmulPreference_t wish = nullptr;
    cublasStatus_t answer = CUBLAS_STATUS_SUCCESS;
    uap_status rc = UAP_OK;
    int n = 0;
    UAP_TRY(CU(err, cublasLtMatmulPreferenceCreate(&wish)));
    UAP_TRY(CU(err, cublasLtMatmulPreferenceSetAttribute(
                        wish, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &workspace,
                        sizeof workspace)));
    answer = cublasLtMatmulAlgoGetHeuristic(
        (cublasLtHandle_t)m->device->blas, m->how, m->layout_y, m->layout_x,
        m->layout_out, m->layout_out, wish, algorithms_most, offer, &n);
    /* Nothing for this shape is an answer. */
    if (answer != CUBLAS_STATUS_NOT_SUPPORTED) {
        UAP_TRY(check(answer, "cublasLtMatmulAlgoGetHeuristic", __LINE__, err));
        rc = choose(m, offer, n, err);
    }
done:
    if (wish != nullptr) {
        (void)cublasLtMatmulPreferenceDestroy(wish);
    }
    return rc;
}

} // namespace

uap_status uap_matmul_new(cuda_device *device, const cuda_product *p, const void *x,
                          const void *y, void *out, cuda_matmul **made, uap_err *err)
{
    uap_status rc = UAP_OK;
    cuda_matmul *m = (cuda_matmul *)std::calloc(1, sizeof *m);
    *made = nullptr;
    if (m == nullptr) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a product");
    }
    m->device = device;
    m->p = *p;
    m->x = x;
    m->y = y;
    m->out = out;
    UAP_TRY(describe_all(m, err));
    UAP_TRY(ask(m, err));
    *made = m;
    m = nullptr;
done:
    uap_matmul_free(m);
    return rc;
}

uap_status uap_matmul_queue(const cuda_matmul *m, uap_err *err)
{
    return m->is_chosen ? CU(err, run_algorithm(m, &m->algorithm)) : by_cublas(m, err);
}

void uap_matmul_free(cuda_matmul *m)
{
    if (m == nullptr) {
        return;
    }
    for (cublasLtMatrixLayout_t layout : {m->layout_y, m->layout_x, m->layout_out}) {
        if (layout != nullptr) {
            (void)cublasLtMatrixLayoutDestroy(layout);
        }
    }
    if (m->how != nullptr) {
        (void)cublasLtMatmulDescDestroy(m->how);
    }
    std::free(m);
}
