/* One compute device of a rank: what it is, and how long work takes on it. Plain C; each
 * backend is a file behind device_backend.h. It measures what it is given and decides
 * nothing: no models, no statistics, no communication. */
#ifndef UAP_PROFILE_DEVICE_H
#define UAP_PROFILE_DEVICE_H

#include "common/status.h"
#include "configs/cluster.h"
#include "profile/clocks.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_backend {
    UAP_BACKEND_AUTO, /* CUDA where there is a device, else CPU */
    UAP_BACKEND_CPU,
    UAP_BACKEND_CUDA
} uap_backend;

/* An open device. */
typedef struct uap_device uap_device;

/* Work prepared on a device: its buffers are there and filled. */
typedef struct uap_work uap_work;

typedef struct uap_device_info {
    uap_backend backend; /* never AUTO */
    char name[96];       /* "AMD EPYC", "NVIDIA H100 80GB HBM3" */
    char library[192];   /* what runs the products, with versions */
    char bus_id[32];     /* of its PCI slot, "0000:17:00.0"; "": none */
    int64_t memory_bytes;
    int64_t free_bytes;
    bool memory_is_shared;            /* by the ranks of a node (CPU) */
    bool native[UAP_PRECISION_COUNT]; /* else the work runs as fp32 */
} uap_device_info;

/* `batch` products C[m x n] = A[m x k] B[k x n], row major, all dimensions > 0. */
typedef struct uap_product {
    int64_t m, n, k, batch;
} uap_product;

#define UAP_WORK_MAX_PRODUCTS 16

/* Forward: every product once, then a stream over move_elems elements (read or written).
 * Backward: for every product the gradient by A (C B^T) and by B (A^T C), each really run,
 * then a stream over UAP_BACKWARD_MOVES * move_elems. */
typedef struct uap_work_shape {
    int32_t n_products; /* may be 0 */
    uap_product product[UAP_WORK_MAX_PRODUCTS];
    double move_elems; /* may be 0 */
    uap_precision precision;
} uap_work_shape;

/* The backward of what is bound by memory reads its input and the gradient and writes one
 * gradient where the forward read one and wrote one (norms, softmax, activations). */
#define UAP_BACKWARD_MOVES 1.5

typedef enum uap_pass { UAP_FORWARD, UAP_BACKWARD } uap_pass;

/* Called now and then while work runs, so that communication can advance. */
typedef void uap_poll(void *context);

/* Opens device number local_rank (modulo the devices of this node). AUTO never fails for
 * want of a GPU. Errors: NO_DEVICE (no driver, no GPU, with the reason), UNSUPPORTED (built
 * without CUDA, or its libraries are missing), NO_MEMORY. The caller closes *out. Local. */
UAP_NODISCARD uap_status uap_device_open(uap_backend backend, int local_rank,
                                         uap_device **out, uap_err *err);
void uap_device_close(uap_device *device); /* NULL is legal */

/* What the device is; free_bytes as of now. Local. */
UAP_NODISCARD uap_status uap_device_describe(const uap_device *device,
                                             uap_device_info *out, uap_err *err);

/* Why the device failed, its first error (NO_DEVICE) since it was opened; "" while it works. Valid while it is open. Local. */
const char *uap_device_failure(const uap_device *device);

/* From now on the device is in error, for trying out what becomes of that. Local. */
void uap_device_fail(uap_device *device, const char *why);

/* What a program meets on the device beside speed. */
typedef struct uap_device_limits {
    int64_t usable_bytes;      /* of memory that one program gets, now */
    int64_t granularity_bytes; /* by which allocations take it */
    double launch_s; /* from asking for the smallest work to having it, per piece of
                                * many in a row */
} uap_device_limits;

/* Measures them. Errors: those of the device. Local. */
UAP_NODISCARD uap_status uap_device_measure_limits(uap_device *device,
                                                   uap_device_limits *out, uap_err *err);

/* Its clock, as of now. Local. */
void uap_device_read_clocks(const uap_device *device, uap_device_clocks *out);

/* Bytes of buffers that the work needs (in double: any shape may be asked). Local. */
double uap_work_bytes(const uap_work_shape *shape);

/* Allocates and fills (normal random numbers: zeros would run faster on some devices).
 * Errors: BAD_USAGE (a dimension), NO_MEMORY, NO_DEVICE (the device failed). The caller frees *out before it closes the device. Local. */
UAP_NODISCARD uap_status uap_work_new(uap_device *device, const uap_work_shape *shape,
                                      uap_work **out, uap_err *err);
void uap_work_free(uap_work *work); /* NULL is legal */

/* Runs the pass once and waits for it; *seconds is what it took. `poll` (may be NULL) is
 * called with `context` between parts of it. Local. */
UAP_NODISCARD uap_status uap_work_run(uap_work *work, uap_pass pass, uap_poll *poll,
                                      void *context, double *seconds, uap_err *err);

const char *uap_backend_name(uap_backend backend); /* "auto", "cpu", "cuda" */
bool uap_backend_by_name(const char *name, uap_backend *out);

#ifdef __cplusplus
}
#endif
#endif
