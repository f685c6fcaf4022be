/* What a backend provides to device.c. Private to profile/; plain C, because the CUDA
 * backend is a library of its own that is loaded at run time. */
#ifndef UAP_PROFILE_DEVICE_BACKEND_H
#define UAP_PROFILE_DEVICE_BACKEND_H

#include "profile/device_channel.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Raised with every change below; a library of another number is not used. */
#define UAP_BACKEND_INTERFACE 4

/* The functions of device_channel.h on the backend's own objects. */
typedef struct uap_channel_table {
    const char *(*library)(void *device);
    uap_status (*make_id)(void *device, uap_channel_id *out, uap_err *err);
    uap_status (*open)(void *device, const uap_channel_place *place, void **channel,
                       uap_err *err);
    void (*close)(void *channel);
    uap_status (*queue)(void *channel, const uap_channel_operation *operation,
                        uap_err *err);
    uap_status (*test)(void *channel, bool *has_ended, uap_err *err);
} uap_channel_table;

/* The functions of device.h on the backend's own objects. shape is already checked. */
typedef struct uap_backend_table {
    int interface; /* UAP_BACKEND_INTERFACE */
    uap_status (*open)(int local_rank, void **device, uap_err *err);
    void (*close)(void *device);
    uap_status (*describe)(const void *device, uap_device_info *out, uap_err *err);
    uap_status (*measure_limits)(void *device, uap_device_limits *out, uap_err *err);
    void (*read_clocks)(const void *device, uap_device_clocks *out);
    uap_status (*work_new)(void *device, const uap_work_shape *shape, void **work,
                           uap_err *err);
    void (*work_free)(void *work);
    uap_status (*work_run)(void *work, uap_pass pass, uap_poll *poll, void *context,
                           double *seconds, uap_err *err);
    const uap_channel_table *channels; /* NULL: there are none */
} uap_backend_table;

/* Opens a device of this backend, which may be one that is made up. As uap_device_open. */
UAP_NODISCARD uap_status uap_device_open_table(const uap_backend_table *table,
                                               int local_rank, uap_device **out,
                                               uap_err *err);

/* Elements of the buffers that work needs: one each for A, B and C as inputs and one for
 * what is computed, as large as the largest product wants; the stream uses them too. */
typedef struct uap_work_buffers {
    double a, b, c, out;
    double stream; /* elements of each of the stream's three arrays */
} uap_work_buffers;

uap_work_buffers uap_work_buffers_of(const uap_work_shape *shape);

/* The stream's arrays are at most this long and are passed over again: longer ones would
 * not be slower, and activations are handled tensor by tensor. */
#define UAP_STREAM_ELEMS ((int64_t)1 << 24)

/* Writes n normal random numbers (mean 0, variance 1), always the same ones. */
void uap_fill_normal(float *values, int64_t n);

/* Always there. */
const uap_backend_table *uap_backend_cpu(void);

/* The CUDA backend, from device_plugin.c (which loads it) or device_none.c. Errors:
 * UNSUPPORTED with the reason. */
UAP_NODISCARD uap_status uap_backend_cuda(const uap_backend_table **out, uap_err *err);

/* The one symbol that the loaded library exports. */
#define UAP_BACKEND_SYMBOL "uap_backend_library"
__attribute__((visibility("default"))) const uap_backend_table *uap_backend_library(void);

#ifdef __cplusplus
}
#endif
#endif
