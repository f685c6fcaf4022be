/* A device that is made up: how long work takes, when it fails and when it hangs is the test's to
 * say. Times are answered at once, only a hang takes its time. */
#ifndef UAP_TESTS_UNIT_STUB_DEVICE_H
#define UAP_TESTS_UNIT_STUB_DEVICE_H

#include "profile/device_backend.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

typedef struct stub_script {
    double flops[UAP_PRECISION_COUNT]; /* 0: not native */
    double bytes_per_s;                /* of the stream, 4 bytes an element */
    int cold_runs;         /* of a new work: the first one takes twice as long,
                                        * each later one a half of the rest less */
    double work_bytes_max; /* work of more has no memory; 0: any */
    int64_t fails_at;      /* number of the run that fails; 0: none */
    int64_t hangs_at;      /* number of the run that first sleeps */
    double hang_s;
    double mhz;
    int64_t throttles;
    bool is_held_back;
    int64_t runs; /* counted */
} stub_script;

static stub_script stub_is;

typedef struct stub_work {
    uap_work_shape shape;
    int runs;
} stub_work;

static inline uap_status stub_open(int local_rank, void **device, uap_err *err)
{
    (void)local_rank;
    (void)err;
    *device = &stub_is;
    return UAP_OK;
}

static inline void stub_close(void *device)
{
    (void)device;
}

static inline uap_status stub_describe(const void *device, uap_device_info *out,
                                       uap_err *err)
{
    const stub_script *script = device;
    (void)err;
    out->backend = UAP_BACKEND_CPU;
    (void)snprintf(out->name, sizeof out->name, "made up");
    (void)snprintf(out->library, sizeof out->library, "none");
    out->memory_bytes = out->free_bytes = (int64_t)1 << 40;
    for (int p = 0; p < UAP_PRECISION_COUNT; p++) {
        out->native[p] = script->flops[p] > 0;
    }
    return UAP_OK;
}

static inline uap_status stub_measure_limits(void *device, uap_device_limits *out,
                                             uap_err *err)
{
    (void)device;
    (void)err;
    *out = (uap_device_limits){(int64_t)1 << 39, 512, 3e-6};
    return UAP_OK;
}

static inline void stub_read_clocks(const void *device, uap_device_clocks *out)
{
    (void)device;
    *out = (uap_device_clocks){stub_is.mhz, stub_is.throttles, stub_is.is_held_back};
}

static inline uap_status stub_work_new(void *device, const uap_work_shape *shape,
                                       void **out, uap_err *err)
{
    const stub_script *script = device;
    if (script->work_bytes_max > 0 && uap_work_bytes(shape) > script->work_bytes_max) {
        *out = NULL;
        return UAP_FAIL(err, NO_MEMORY, "made up");
    }
    stub_work *work = calloc(1, sizeof *work);
    work->shape = *shape;
    *out = work;
    return UAP_OK;
}

static inline void stub_work_free(void *inner)
{
    free(inner);
}

/* Of a warm device. */
static inline double stub_seconds(const uap_work_shape *shape, uap_pass pass)
{
    const bool is_native = stub_is.flops[shape->precision] > 0;
    double flops = 0;
    for (int32_t i = 0; i < shape->n_products; i++) {
        const uap_product *p = &shape->product[i];
        flops += 2.0 * (double)p->m * (double)p->n * (double)p->k * (double)p->batch;
    }
    const double seconds = flops / stub_is.flops[is_native ? shape->precision : UAP_FP32];
    const double moves = 4 * shape->move_elems / stub_is.bytes_per_s;
    return pass == UAP_FORWARD ? seconds + moves
                               : 2 * seconds + UAP_BACKWARD_MOVES * moves;
}

static inline uap_status stub_work_run(void *inner, uap_pass pass, uap_poll *poll,
                                       void *context, double *seconds, uap_err *err)
{
    stub_work *work = inner;
    stub_is.runs++;
    if (stub_is.runs == stub_is.fails_at) {
        return UAP_FAIL(err, NO_DEVICE, "made up: run %lld", (long long)stub_is.runs);
    }
    if (stub_is.runs == stub_is.hangs_at) {
        const struct timespec nap = {.tv_sec = (time_t)stub_is.hang_s};
        (void)nanosleep(&nap, NULL);
    }
    if (poll != NULL) {
        poll(context);
    }
    /* A pass over forward and backward is two runs of the work. */
    const int cold = work->runs++ / 2;
    const double excess = cold < stub_is.cold_runs ? 1.0 / (double)(1 << cold) : 0;
    *seconds = stub_seconds(&work->shape, pass) * (1 + excess);
    return UAP_OK;
}

static const uap_backend_table stub_table = {.interface = UAP_BACKEND_INTERFACE,
                                             .open = stub_open,
                                             .close = stub_close,
                                             .describe = stub_describe,
                                             .measure_limits = stub_measure_limits,
                                             .read_clocks = stub_read_clocks,
                                             .work_new = stub_work_new,
                                             .work_free = stub_work_free,
                                             .work_run = stub_work_run};

#endif
