/* The CUDA backend, built as a library of its own that device_plugin.c loads: products by
 * cuBLASLt (device_matmul.cu), times by CUDA events, the stream by one small kernel. Without a driver or a GPU it
 * loads all the same and answers "no device". */
#include "profile/device_cuda.cuh"

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

namespace
{

struct work_product {
    cuda_matmul *forward, *by_input, *by_weight;
};

struct cuda_work {
    cuda_device *device;
    uap_work_shape shape;
    work_product product[UAP_WORK_MAX_PRODUCTS];
    void *a, *b, *c, *out;
    int64_t stream_elems;
    cudaEvent_t start, stop;
};

/* tf32 is how products of fp32 are computed. */
bool is_four_bytes(uap_precision precision)
{
    return precision == UAP_FP32 || precision == UAP_TF32;
}

size_t element_bytes(uap_precision precision)
{
    return is_four_bytes(precision) ? 4 : 2;
}

cudaDataType_t data_type(uap_precision precision)
{
    switch (precision) {
    case UAP_BF16:
        return CUDA_R_16BF;
    case UAP_FP16:
        return CUDA_R_16F;
    default:
        return CUDA_R_32F;
    }
}

/* Of sums: in fp32 also where elements are shorter. */
cublasComputeType_t compute_type(uap_precision precision)
{
    return precision == UAP_TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
}

/* out = a / 2 + b, n elements. */
template <typename T>
__global__ void stream_kernel(const T *a, const T *b, T *out, int64_t n)
{
    const int64_t step = (int64_t)gridDim.x * blockDim.x;
    for (int64_t i = (int64_t)blockIdx.x * blockDim.x + threadIdx.x; i < n; i += step) {
        out[i] = (T)(0.5F * (float)a[i] + (float)b[i]);
    }
}

void cuda_close(void *inner)
{
    cuda_device *device = (cuda_device *)inner;
    if (device != nullptr) {
        if (device->blas != nullptr) {
            (void)cublasDestroy(device->blas);
        }
        (void)cudaFree(device->workspace);
        if (device->stream != nullptr) {
            (void)cudaStreamDestroy(device->stream);
        }
        std::free(device);
    }
}

uap_status open_on(cuda_device *device, int local_rank, uap_err *err)
{
    uap_status rc = UAP_OK;
    int n = 0; /* stays untouched where there is no driver */
    const cudaError_t counted = cudaGetDeviceCount(&n);
    if (counted != cudaSuccess) {
        rc = UAP_FAIL(err, NO_DEVICE, "no usable CUDA device: %s",
                      cudaGetErrorString(counted));
        goto done;
    }
    if (n < 1) {
        rc = UAP_FAIL(err, NO_DEVICE, "this node has no CUDA device");
        goto done;
    }
    device->number = local_rank % n;
    UAP_TRY(CU(err, cudaSetDevice(device->number)));
    UAP_TRY(CU(err, cudaStreamCreateWithFlags(&device->stream, cudaStreamNonBlocking)));
    UAP_TRY(CU(err, cublasCreate(&device->blas)));
    UAP_TRY(CU(err, cublasSetStream(device->blas, device->stream)));
    UAP_TRY(CU(err, cudaMalloc(&device->workspace, UAP_MATMUL_WORKSPACE_BYTES)));
done:
    return rc;
}

uap_status cuda_open(int local_rank, void **out, uap_err *err)
{
    cuda_device *device = (cuda_device *)std::calloc(1, sizeof *device);
    *out = nullptr;
    if (device == nullptr) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a device");
    }
    const uap_status rc = open_on(device, local_rank, err);
    if (rc != UAP_OK) {
        cuda_close(device);
        return rc;
    }
    *out = device;
    return UAP_OK;
}

uap_status cuda_describe(const void *inner, uap_device_info *out, uap_err *err)
{
    const cuda_device *device = (const cuda_device *)inner;
    uap_status rc = UAP_OK;
    cudaDeviceProp prop;
    size_t free_bytes = 0, total_bytes = 0;
    int runtime = 0, driver = 0, blas = 0;
    /* Each thread of a process has a device of its own, at first number 0. */
    UAP_TRY(CU(err, cudaSetDevice(device->number)));
    UAP_TRY(CU(err, cudaGetDeviceProperties(&prop, device->number)));
    UAP_TRY(CU(err, cudaMemGetInfo(&free_bytes, &total_bytes)));
    UAP_TRY(CU(err, cudaRuntimeGetVersion(&runtime)));
    UAP_TRY(CU(err, cudaDriverGetVersion(&driver)));
    UAP_TRY(CU(err, cublasGetVersion(device->blas, &blas)));
    out->backend = UAP_BACKEND_CUDA;
    (void)std::snprintf(out->name, sizeof out->name, "%.95s", prop.name);
    (void)std::snprintf(out->library, sizeof out->library,
                        "cuBLAS %d, CUDA runtime %d, driver %d", blas, runtime, driver);
    out->memory_bytes = (int64_t)total_bytes;
    out->free_bytes = (int64_t)free_bytes;
    UAP_TRY(
        CU(err, cudaDeviceGetPCIBusId(out->bus_id, sizeof out->bus_id, device->number)));
    out->memory_is_shared = false;
    out->native[UAP_FP32] = true;
    out->native[UAP_FP16] = true;
    out->native[UAP_BF16] = prop.major >= 8;
    out->native[UAP_TF32] = prop.major >= 8;
done:
    return rc;
}

__global__ void empty_kernel() {}

const int launches = 10000;

/* Seconds of the host's clock for each of many empty kernels in a row. */
uap_status measure_launch(const cuda_device *device, double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    std::chrono::steady_clock::time_point start;
    empty_kernel<<<1, 1, 0, device->stream>>>(); /* loads the module */
    UAP_TRY(CU(err, cudaGetLastError()));
    UAP_TRY(CU(err, cudaStreamSynchronize(device->stream)));
    start = std::chrono::steady_clock::now();
    for (int i = 0; i < launches; i++) {
        empty_kernel<<<1, 1, 0, device->stream>>>();
    }
    UAP_TRY(CU(err, cudaGetLastError()));
    UAP_TRY(CU(err, cudaStreamSynchronize(device->stream)));
    *seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() /
        launches;
done:
    return rc;
}

/* Whether so many bytes can be had in one piece. */
bool can_have(size_t bytes)
{
    void *block = nullptr;
    const bool is_there = cudaMalloc(&block, bytes) == cudaSuccess;
    (void)cudaFree(block);
    (void)cudaGetLastError(); /* a refusal is an answer */
    return is_there;
}

uap_status cuda_measure_limits(void *inner, uap_device_limits *out, uap_err *err)
{
    const cuda_device *device = (const cuda_device *)inner;
    uap_status rc = UAP_OK;
    size_t before = 0, after = 0, total = 0, usable = 0;
    void *block = nullptr;
    UAP_TRY(CU(err, cudaSetDevice(device->number)));
    UAP_TRY(CU(err, cudaMemGetInfo(&before, &total)));
    /* What one byte takes away. */
    UAP_TRY(CU(err, cudaMalloc(&block, 1)));
    UAP_TRY(CU(err, cudaMemGetInfo(&after, &total)));
    UAP_TRY(CU(err, cudaFree(block)));
    block = nullptr;
    out->granularity_bytes = before > after ? (int64_t)(before - after) : 0;
    /* Halfway again and again: within a thousandth of what the driver says is free. */
    for (size_t step = before; step > before / 1024; step /= 2) {
        usable += can_have(usable + step) ? step : 0;
    }
    out->usable_bytes = (int64_t)usable;
    rc = measure_launch(device, &out->launch_s, err);
done:
    (void)cudaFree(block);
    return rc;
}

void cuda_read_clocks(const void *inner, uap_device_clocks *out)
{
    const cuda_device *device = (const cuda_device *)inner;
    char bus_id[32] = "";
    if (cudaDeviceGetPCIBusId(bus_id, sizeof bus_id, device->number) != cudaSuccess) {
        bus_id[0] = '\0';
    }
    uap_gpu_clocks(bus_id, out);
}

void cuda_work_free(void *inner)
{
    cuda_work *work = (cuda_work *)inner;
    if (work != nullptr) {
        for (const work_product &p : work->product) {
            uap_matmul_free(p.forward);
            uap_matmul_free(p.by_input);
            uap_matmul_free(p.by_weight);
        }
        (void)cudaFree(work->a);
        (void)cudaFree(work->b);
        (void)cudaFree(work->c);
        (void)cudaFree(work->out);
        if (work->start != nullptr) {
            (void)cudaEventDestroy(work->start);
        }
        if (work->stop != nullptr) {
            (void)cudaEventDestroy(work->stop);
        }
        std::free(work);
    }
}

/* The random block in the element type of the work. */
std::vector<char> random_block(int64_t n, uap_precision precision)
{
    std::vector<float> values((size_t)n);
    std::vector<char> bytes((size_t)n * element_bytes(precision));
    uap_fill_normal(values.data(), n);
    for (int64_t i = 0; i < n; i++) {
        if (is_four_bytes(precision)) {
            ((float *)bytes.data())[i] = values[(size_t)i];
        } else if (precision == UAP_BF16) {
            ((__nv_bfloat16 *)bytes.data())[i] = __float2bfloat16(values[(size_t)i]);
        } else {
            ((__half *)bytes.data())[i] = __float2half(values[(size_t)i]);
        }
    }
    return bytes;
}

/* Allocates `elems` elements and fills them with the block, over and over. */
uap_status filled(double elems, const std::vector<char> &block, uap_precision precision,
                  void **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    const size_t bytes = (size_t)elems * element_bytes(precision);
    size_t have = bytes < block.size() ? bytes : block.size();
    char *at = nullptr;
    if (bytes == 0) {
        return UAP_OK;
    }
    UAP_TRY(CU(err, cudaMalloc(out, bytes)));
    at = (char *)*out;
    UAP_TRY(CU(err, cudaMemcpy(at, block.data(), have, cudaMemcpyHostToDevice)));
    while (have < bytes) {
        const size_t part = bytes - have < have ? bytes - have : have;
        UAP_TRY(CU(err, cudaMemcpy(at + have, at, part, cudaMemcpyDeviceToDevice)));
        have += part;
    }
done:
    return rc;
}

uap_status fill_work(cuda_work *work, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_precision precision = work->shape.precision;
    const uap_work_buffers need = uap_work_buffers_of(&work->shape);
    const std::vector<char> block = random_block(65536, precision);
    work->stream_elems = (int64_t)need.stream;
    UAP_TRY(filled(need.a, block, precision, &work->a, err));
    UAP_TRY(filled(need.b, block, precision, &work->b, err));
    UAP_TRY(filled(need.c, block, precision, &work->c, err));
    UAP_TRY(filled(need.out, block, precision, &work->out, err));
    UAP_TRY(CU(err, cudaEventCreate(&work->start)));
    UAP_TRY(CU(err, cudaEventCreate(&work->stop)));
done:
    return rc;
}

uap_status prepare_products(cuda_work *w, uap_err *err)
{
    const cudaDataType_t type = data_type(w->shape.precision);
    const cublasComputeType_t how = compute_type(w->shape.precision);
    uap_status rc = UAP_OK;
    UAP_TRY(CU(err, cudaDeviceSynchronize())); /* the buffers are filled */
    for (int32_t i = 0; i < w->shape.n_products; i++) {
        const uap_product &p = w->shape.product[i];
        work_product *out = &w->product[i];
        const cuda_product forward = {p.m, p.n, p.k, p.batch, false, false, type, how};
        const cuda_product by_input = {p.m, p.k, p.n, p.batch, false, true, type, how};
        const cuda_product by_weight = {p.k, p.n, p.m, p.batch, true, false, type, how};
        UAP_TRY(
            uap_matmul_new(w->device, &forward, w->a, w->b, w->out, &out->forward, err));
        UAP_TRY(uap_matmul_new(w->device, &by_input, w->c, w->b, w->out, &out->by_input,
                               err));
        UAP_TRY(uap_matmul_new(w->device, &by_weight, w->a, w->c, w->out, &out->by_weight,
                               err));
    }
done:
    return rc;
}

uap_status cuda_work_new(void *inner, const uap_work_shape *shape, void **out,
                         uap_err *err)
{
    cuda_work *work = (cuda_work *)std::calloc(1, sizeof *work);
    *out = nullptr;
    if (work == nullptr) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for work on a device");
    }
    work->device = (cuda_device *)inner;
    work->shape = *shape;
    uap_status rc = CU(err, cudaSetDevice(work->device->number));
    if (rc == UAP_OK) {
        rc = fill_work(work, err);
    }
    if (rc == UAP_OK) {
        rc = prepare_products(work, err);
    }
    if (rc != UAP_OK) {
        cuda_work_free(work);
        return rc;
    }
    *out = work;
    return UAP_OK;
}

uap_status queue_products(const cuda_work *w, uap_pass pass, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < w->shape.n_products; i++) {
        if (pass == UAP_FORWARD) {
            UAP_TRY(uap_matmul_queue(w->product[i].forward, err));
        } else {
            UAP_TRY(uap_matmul_queue(w->product[i].by_input, err));
            UAP_TRY(uap_matmul_queue(w->product[i].by_weight, err));
        }
    }
done:
    return rc;
}

template <typename T> void launch(const cuda_work *w, int64_t n)
{
    const int blocks = (int)((n + 255) / 256 < 4096 ? (n + 255) / 256 : 4096);
    stream_kernel<T><<<blocks, 256, 0, w->device->stream>>>(
        (const T *)w->a, (const T *)w->b, (T *)w->out, n);
}

uap_status queue_stream(const cuda_work *w, double moves, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int64_t left = (int64_t)(moves / 3); left > 0 && rc == UAP_OK;) {
        const int64_t part = left < w->stream_elems ? left : w->stream_elems;
        if (is_four_bytes(w->shape.precision)) {
            launch<float>(w, part);
        } else if (w->shape.precision == UAP_BF16) {
            launch<__nv_bfloat16>(w, part);
        } else {
            launch<__half>(w, part);
        }
        rc = CU(err, cudaGetLastError());
        left -= part;
    }
    return rc;
}

/* Waits for the event, letting communication advance meanwhile. */
uap_status wait_for(cudaEvent_t event, uap_poll *poll, void *context, uap_err *err)
{
    if (poll == nullptr) {
        return CU(err, cudaEventSynchronize(event));
    }
    cudaError_t state = cudaEventQuery(event);
    while (state == cudaErrorNotReady) {
        poll(context);
        state = cudaEventQuery(event);
    }
    return check(state, "cudaEventQuery", __LINE__, err);
}

uap_status cuda_work_run(void *inner, uap_pass pass, uap_poll *poll, void *context,
                         double *seconds, uap_err *err)
{
    const cuda_work *work = (const cuda_work *)inner;
    const double moves =
        work->shape.move_elems * (pass == UAP_FORWARD ? 1.0 : UAP_BACKWARD_MOVES);
    uap_status rc = UAP_OK;
    float milliseconds = 0.0F;
    UAP_TRY(CU(err, cudaSetDevice(work->device->number)));
    UAP_TRY(CU(err, cudaEventRecord(work->start, work->device->stream)));
    UAP_TRY(queue_products(work, pass, err));
    UAP_TRY(queue_stream(work, moves, err));
    UAP_TRY(CU(err, cudaEventRecord(work->stop, work->device->stream)));
    UAP_TRY(wait_for(work->stop, poll, context, err));
    UAP_TRY(CU(err, cudaEventElapsedTime(&milliseconds, work->start, work->stop)));
    *seconds = 1e-3 * (double)milliseconds;
done:
    return rc;
}

} // namespace

const uap_backend_table *uap_backend_library(void)
{
    static const uap_backend_table table = {
        UAP_BACKEND_INTERFACE, cuda_open,           cuda_close,    cuda_describe,
        cuda_measure_limits,   cuda_read_clocks,    cuda_work_new, cuda_work_free,
        cuda_work_run,         uap_nccl_channels(),
    };
    return &table;
}
