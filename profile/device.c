/* Chooses the backend and checks what goes into it. */
#include "profile/device.h"

#include "common/mem.h"
#include "profile/device_backend.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct uap_device {
    const uap_backend_table *table;
    void *inner;
    char failure[sizeof((uap_err *)0)->msg];
};

struct uap_channel {
    uap_device *device;
    void *inner;
};

struct uap_work {
    uap_device *device;
    void *inner;
};

static const char *const backend_names[] = {
    [UAP_BACKEND_AUTO] = "auto", [UAP_BACKEND_CPU] = "cpu", [UAP_BACKEND_CUDA] = "cuda"};

const char *uap_backend_name(uap_backend backend)
{
    return backend_names[backend];
}

bool uap_backend_by_name(const char *name, uap_backend *out)
{
    for (size_t i = 0; i < sizeof backend_names / sizeof backend_names[0]; i++) {
        if (strcmp(name, backend_names[i]) == 0) {
            *out = (uap_backend)i;
            return true;
        }
    }
    return false;
}

static uap_status open_cuda(int local_rank, uap_device *device, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_backend_cuda(&device->table, err));
    rc = device->table->open(local_rank, &device->inner, err);
done:
    return rc;
}

uap_status uap_device_open(uap_backend backend, int local_rank, uap_device **out,
                           uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_device *device = uap_calloc(1, sizeof *device);
    *out = NULL;
    if (device == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a device");
    }
    if (backend != UAP_BACKEND_CPU) {
        uap_err reason = {0};
        rc = open_cuda(local_rank, device, backend == UAP_BACKEND_CUDA ? err : &reason);
    }
    const bool falls_back =
        backend == UAP_BACKEND_AUTO && (rc == UAP_NO_DEVICE || rc == UAP_UNSUPPORTED);
    if (backend == UAP_BACKEND_CPU || falls_back) {
        device->table = uap_backend_cpu();
        rc = device->table->open(local_rank, &device->inner, err);
    }
    if (rc != UAP_OK) {
        uap_free(device);
        return rc;
    }
    *out = device;
    return UAP_OK;
}

uap_status uap_device_open_table(const uap_backend_table *table, int local_rank,
                                 uap_device **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_device *device = uap_calloc(1, sizeof *device);
    *out = NULL;
    if (device == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a device");
    }
    device->table = table;
    UAP_TRY(table->open(local_rank, &device->inner, err));
    *out = device;
    device = NULL;
done:
    uap_free(device);
    return rc;
}

const char *uap_device_failure(const uap_device *device)
{
    return device->failure;
}

void uap_device_fail(uap_device *device, const char *why)
{
    (void)snprintf(device->failure, sizeof device->failure, "%s", why);
}

/* A device in error is not used again. */
static uap_status refuse_failed(const uap_device *device, uap_err *err)
{
    return device->failure[0] != '\0' ? UAP_FAIL(err, NO_DEVICE, "%s", device->failure)
                                      : UAP_OK;
}

/* Keeps the first failure of the device itself; what does not fit into its memory is none. */
static uap_status note(uap_device *device, uap_status rc, const uap_err *own,
                       uap_err *err)
{
    if (rc == UAP_NO_DEVICE && device->failure[0] == '\0') {
        memcpy(device->failure, own->msg, sizeof device->failure);
    }
    return rc == UAP_OK ? rc : uap_fail(err, rc, own->file, own->line, "%s", own->msg);
}

uap_status uap_device_measure_limits(uap_device *device, uap_device_limits *out,
                                     uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_err own = {0};
    memset(out, 0, sizeof *out);
    UAP_TRY(refuse_failed(device, err));
    rc = note(device, device->table->measure_limits(device->inner, out, &own), &own, err);
done:
    return rc;
}

void uap_device_read_clocks(const uap_device *device, uap_device_clocks *out)
{
    device->table->read_clocks(device->inner, out);
}

void uap_device_close(uap_device *device)
{
    if (device != NULL) {
        device->table->close(device->inner);
        uap_free(device);
    }
}

uap_status uap_device_describe(const uap_device *device, uap_device_info *out,
                               uap_err *err)
{
    memset(out, 0, sizeof *out);
    return device->table->describe(device->inner, out, err);
}

static uap_status check_shape(const uap_work_shape *shape, uap_err *err)
{
    const int64_t most = INT32_MAX; /* BLAS libraries count in int */
    if (shape->n_products < 0 || shape->n_products > UAP_WORK_MAX_PRODUCTS) {
        return UAP_FAIL(err, BAD_USAGE, "work of %" PRId32 " products, at most %d",
                        shape->n_products, UAP_WORK_MAX_PRODUCTS);
    }
    for (int32_t i = 0; i < shape->n_products; i++) {
        const uap_product *p = &shape->product[i];
        if (p->m < 1 || p->n < 1 || p->k < 1 || p->batch < 1 || p->m > most ||
            p->n > most || p->k > most || p->batch > most) {
            return UAP_FAIL(err, BAD_USAGE,
                            "product %" PRId32 " is %" PRId64 " x %" PRId64 " x %" PRId64
                            " in %" PRId64 " batches, each must be 1 to %" PRId64,
                            i, p->m, p->n, p->k, p->batch, most);
        }
    }
    if (!(shape->move_elems >= 0) || !isfinite(shape->move_elems)) {
        return UAP_FAIL(err, BAD_USAGE, "work moves %g elements", shape->move_elems);
    }
    if (!(uap_work_bytes(shape) < 0x1p46)) {
        return UAP_FAIL(err, NO_MEMORY, "work needs %.3g bytes of buffers",
                        uap_work_bytes(shape));
    }
    return UAP_OK;
}

uap_status uap_work_new(uap_device *device, const uap_work_shape *shape, uap_work **out,
                        uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_work *work = NULL;
    uap_err own = {0};
    *out = NULL;
    UAP_TRY(check_shape(shape, err));
    UAP_TRY(refuse_failed(device, err));
    work = uap_calloc(1, sizeof *work);
    if (work == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for work on a device");
        goto done;
    }
    work->device = device;
    UAP_TRY(note(device,
                 device->table->work_new(device->inner, shape, &work->inner, &own), &own,
                 err));
    *out = work;
    work = NULL;
done:
    uap_free(work);
    return rc;
}

void uap_work_free(uap_work *work)
{
    if (work != NULL) {
        work->device->table->work_free(work->inner);
        uap_free(work);
    }
}

uap_status uap_work_run(uap_work *work, uap_pass pass, uap_poll *poll, void *context,
                        double *seconds, uap_err *err)
{
    uap_device *device = work->device;
    uap_status rc = UAP_OK;
    uap_err own = {0};
    UAP_TRY(refuse_failed(device, err));
    rc = note(device,
              device->table->work_run(work->inner, pass, poll, context, seconds, &own),
              &own, err);
done:
    return rc;
}

/* ---- Channels ---------------------------------------------------------------------------- */

const char *uap_channel_library(uap_device *device)
{
    const uap_channel_table *channels = device->table->channels;
    return channels != NULL ? channels->library(device->inner) : "";
}

static uap_status refuse_without_channels(const uap_device *device, uap_err *err)
{
    return device->table->channels == NULL
               ? UAP_FAIL(err, UNSUPPORTED,
                          "this backend has no messages between devices")
               : refuse_failed(device, err);
}

uap_status uap_channel_make_id(uap_device *device, uap_channel_id *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_err own = {0};
    UAP_TRY(refuse_without_channels(device, err));
    rc = note(device, device->table->channels->make_id(device->inner, out, &own), &own,
              err);
done:
    return rc;
}

uap_status uap_channel_new(uap_device *device, const uap_channel_place *place,
                           uap_channel **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_err own = {0};
    uap_channel *channel = NULL;
    *out = NULL;
    UAP_TRY(refuse_without_channels(device, err));
    channel = uap_calloc(1, sizeof *channel);
    if (channel == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for a channel between devices");
        goto done;
    }
    channel->device = device;
    UAP_TRY(
        note(device,
             device->table->channels->open(device->inner, place, &channel->inner, &own),
             &own, err));
    *out = channel;
    channel = NULL;
done:
    uap_free(channel);
    return rc;
}

void uap_channel_free(uap_channel *channel)
{
    if (channel != NULL) {
        channel->device->table->channels->close(channel->inner);
        uap_free(channel);
    }
}

uap_status uap_channel_queue(uap_channel *channel, const uap_channel_operation *operation,
                             uap_err *err)
{
    uap_device *device = channel->device;
    uap_err own = {0};
    return note(device, device->table->channels->queue(channel->inner, operation, &own),
                &own, err);
}

uap_status uap_channel_test(uap_channel *channel, bool *has_ended, uap_err *err)
{
    uap_device *device = channel->device;
    uap_err own = {0};
    *has_ended = false;
    return note(device, device->table->channels->test(channel->inner, has_ended, &own),
                &own, err);
}
