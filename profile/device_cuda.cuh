/* What the CUDA backend's files share, C++ as nvcc compiles them. Private to them. */
#ifndef UAP_PROFILE_DEVICE_CUDA_CUH
#define UAP_PROFILE_DEVICE_CUDA_CUH

#include "profile/device_backend.h"

#include <cublas_v2.h>
#include <cuda_runtime.h>

struct cuda_device {
    int number;
    cudaStream_t stream;
    cublasHandle_t blas;
    void *workspace; /* own: UAP_MATMUL_WORKSPACE_BYTES for products */
};

/* What the cuBLAS guide recommends for Hopper; others need less. */
#define UAP_MATMUL_WORKSPACE_BYTES ((size_t)32 << 20)

/* `batch` row-major products out [rows x columns] = X [rows x inner] Y [inner x columns], one
 * behind the other, X and Y each possibly stored transposed. */
struct cuda_product {
    int64_t rows, columns, inner, batch;
    bool x_transposed, y_transposed;
    cudaDataType_t type;
    cublasComputeType_t compute;
};

/* One that is prepared: how it is computed is chosen by trying. Buffers are borrowed. */
struct cuda_matmul;

uap_status uap_matmul_new(cuda_device *device, const cuda_product *p, const void *x,
                          const void *y, void *out, cuda_matmul **made, uap_err *err);
uap_status uap_matmul_queue(const cuda_matmul *m,
                            uap_err *err); /* on the device's stream */
void uap_matmul_free(cuda_matmul *m);      /* NULL is legal */

static inline uap_status check(cudaError_t code, const char *call, int line, uap_err *err)
{
    if (code == cudaSuccess) {
        return UAP_OK;
    }
    const uap_status status =
        code == cudaErrorMemoryAllocation ? UAP_NO_MEMORY : UAP_NO_DEVICE;
    return uap_fail(err, status, __FILE__, line, "%s: %s", call,
                    cudaGetErrorString(code));
}

static inline uap_status check(cublasStatus_t code, const char *call, int line,
                               uap_err *err)
{
    if (code == CUBLAS_STATUS_SUCCESS) {
        return UAP_OK;
    }
    const uap_status status =
        code == CUBLAS_STATUS_ALLOC_FAILED ? UAP_NO_MEMORY : UAP_NO_DEVICE;
    return uap_fail(err, status, __FILE__, line, "%s: %s", call,
                    cublasGetStatusString(code));
}

#define CU(err, call) check((call), #call, __LINE__, (err))

/* Channels by NCCL, for the table; their functions say where there is none. */
const uap_channel_table *uap_nccl_channels(void);

#endif
