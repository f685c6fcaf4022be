/* The CPU as a device: one core per rank, products by OpenBLAS in fp32. Reduced precisions
 * run as fp32; device.h's `native` says so. */
#include "common/mem.h"
#include "profile/clock.h"
#include "profile/device_backend.h"

#include <cblas.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

typedef struct cpu_device {
    char name[96];
} cpu_device;

typedef struct cpu_work {
    uap_work_shape shape;
    float *a, *b, *c, *out;
    int64_t stream; /* elements of the stream's arrays */
} cpu_work;

/* The "model name" of the first processor, or "CPU". */
static void read_name(char *name, size_t n)
{
    char line[256];
    FILE *file = fopen("/proc/cpuinfo", "r");
    (void)snprintf(name, n, "CPU");
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        const char *colon = strchr(line, ':');
        if (colon != NULL && strncmp(line, "model name", 10) == 0) {
            (void)snprintf(name, n, "%.*s", (int)strcspn(colon + 2, "\n"), colon + 2);
            break;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
}

/* A number of a file of one number, or -1 (absent, or "max": no limit). */
static int64_t read_number(const char *path)
{
    long long value = -1;
    FILE *file = fopen(path, "r");
    if (file != NULL) {
        if (fscanf(file, "%lld", &value) != 1) {
            value = -1;
        }
        (void)fclose(file);
    }
    return (int64_t)value;
}

/* Memory of the machine, or of the control group (container, batch job) where that is
 * less. */
static void read_memory(int64_t *total, int64_t *available)
{
    static const char *const limit_file[] = {
        "/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"};
    char line[256];
    long long kib = 0;
    FILE *file = fopen("/proc/meminfo", "r");
    *total = (int64_t)sysconf(_SC_PHYS_PAGES) * (int64_t)sysconf(_SC_PAGESIZE);
    *available = *total;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "MemTotal: %lld", &kib) == 1) {
            *total = (int64_t)kib * 1024;
        } else if (sscanf(line, "MemAvailable: %lld", &kib) == 1) {
            *available = (int64_t)kib * 1024;
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    for (size_t i = 0; i < sizeof limit_file / sizeof limit_file[0]; i++) {
        const int64_t limit = read_number(limit_file[i]);
        if (limit > 0 && limit < *total) {
            *total = limit;
        }
    }
    if (*available > *total) {
        *available = *total;
    }
}

static uap_status cpu_open(int local_rank, void **device, uap_err *err)
{
    (void)local_rank; /* the launcher places ranks on cores */
    cpu_device *cpu = uap_calloc(1, sizeof *cpu);
    *device = cpu;
    if (cpu == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a device");
    }
    read_name(cpu->name, sizeof cpu->name);
    /* One rank is one device is one core; ranks would fight for cores otherwise. */
    openblas_set_num_threads(1);
    return UAP_OK;
}

static void cpu_close(void *device)
{
    uap_free(device);
}

static uap_status cpu_describe(const void *device, uap_device_info *out, uap_err *err)
{
    const cpu_device *cpu = device;
    (void)err;
    out->backend = UAP_BACKEND_CPU;
    (void)snprintf(out->name, sizeof out->name, "%s", cpu->name);
    (void)snprintf(out->library, sizeof out->library, "%.100s, 1 thread (%.40s)",
                   openblas_get_config(), openblas_get_corename());
    read_memory(&out->memory_bytes, &out->free_bytes);
    out->memory_is_shared = true;
    out->native[UAP_FP32] = true;
    return UAP_OK;
}

#define LAUNCHES 1000

static uap_status cpu_measure_limits(void *device, uap_device_limits *out, uap_err *err)
{
    const float one = 1;
    float result = 0;
    int64_t total = 0;
    (void)device;
    (void)err;
    read_memory(&total, &out->usable_bytes);
    out->granularity_bytes = (int64_t)sysconf(_SC_PAGESIZE);
    /* A product of one number by one is all launch. */
    const double start = uap_clock_s();
    for (int i = 0; i < LAUNCHES; i++) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, 1, 1, 1, 1.0F, &one, 1,
                    &one, 1, 0.0F, &result, 1);
    }
    out->launch_s = (uap_clock_s() - start) / LAUNCHES;
    return UAP_OK;
}

static void cpu_read_clocks(const void *device, uap_device_clocks *out)
{
    (void)device;
    uap_cpu_clocks("", sched_getcpu(), out);
}

static void cpu_work_free(void *inner)
{
    cpu_work *work = inner;
    if (work != NULL) {
        uap_free(work->out);
        uap_free(work->c);
        uap_free(work->b);
        uap_free(work->a);
        uap_free(work);
    }
}

/* n random numbers; n is small enough for size_t, device.c has checked. */
static float *filled(double n)
{
    float *values = uap_calloc((size_t)n, sizeof *values);
    if (values != NULL) {
        uap_fill_normal(values, (int64_t)n);
    }
    return values;
}

static uap_status cpu_work_new(void *device, const uap_work_shape *shape, void **out,
                               uap_err *err)
{
    const uap_work_buffers need = uap_work_buffers_of(shape);
    cpu_work *work = uap_calloc(1, sizeof *work);
    (void)device;
    *out = NULL;
    if (work == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for work on the CPU");
    }
    work->shape = *shape;
    work->stream = (int64_t)need.stream;
    work->a = filled(need.a);
    work->b = filled(need.b);
    work->c = filled(need.c);
    work->out = filled(need.out);
    if (work->a == NULL || work->b == NULL || work->c == NULL || work->out == NULL) {
        cpu_work_free(work);
        return UAP_FAIL(err, NO_MEMORY, "work on the CPU needs %.3g GB of buffers",
                        uap_work_bytes(shape) / 1e9);
    }
    *out = work;
    return UAP_OK;
}

/* out = A B. */
static void forward_product(const cpu_work *w, const uap_product *p, int64_t i)
{
    const int m = (int)p->m, n = (int)p->n, k = (int)p->k;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, m, n, k, 1.0F,
                w->a + i * p->m * p->k, k, w->b + i * p->k * p->n, n, 0.0F,
                w->out + i * p->m * p->n, n);
}

/* out = C B^T, the gradient by A. */
static void input_gradient(const cpu_work *w, const uap_product *p, int64_t i)
{
    const int m = (int)p->m, n = (int)p->n, k = (int)p->k;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, m, k, n, 1.0F,
                w->c + i * p->m * p->n, n, w->b + i * p->k * p->n, n, 0.0F,
                w->out + i * p->m * p->k, k);
}

/* out = A^T C, the gradient by B. */
static void weight_gradient(const cpu_work *w, const uap_product *p, int64_t i)
{
    const int m = (int)p->m, n = (int)p->n, k = (int)p->k;
    cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, k, n, m, 1.0F,
                w->a + i * p->m * p->k, k, w->c + i * p->m * p->n, n, 0.0F,
                w->out + i * p->k * p->n, n);
}

static void call(uap_poll *poll, void *context)
{
    if (poll != NULL) {
        poll(context);
    }
}

/* Passes over `moves` elements, three at a time: out = a / 2 + b. */
static void stream(const cpu_work *w, double moves, uap_poll *poll, void *context)
{
    int64_t left = (int64_t)(moves / 3);
    while (left > 0) {
        const int64_t part = left < w->stream ? left : w->stream;
        const float *restrict a = w->a, *restrict b = w->b;
        float *restrict out = w->out;
        for (int64_t i = 0; i < part; i++) {
            out[i] = 0.5F * a[i] + b[i];
        }
        left -= part;
        call(poll, context);
    }
}

static uap_status cpu_work_run(void *inner, uap_pass pass, uap_poll *poll, void *context,
                               double *seconds, uap_err *err)
{
    const cpu_work *work = inner;
    const double start = uap_clock_s();
    (void)err;
    for (int32_t i = 0; i < work->shape.n_products; i++) {
        const uap_product *p = &work->shape.product[i];
        for (int64_t j = 0; j < p->batch; j++) {
            if (pass == UAP_FORWARD) {
                forward_product(work, p, j);
            } else {
                input_gradient(work, p, j);
                weight_gradient(work, p, j);
            }
        }
        call(poll, context);
    }
    stream(work, work->shape.move_elems * (pass == UAP_FORWARD ? 1 : UAP_BACKWARD_MOVES),
           poll, context);
    *seconds = uap_clock_s() - start;
    return UAP_OK;
}

const uap_backend_table *uap_backend_cpu(void)
{
    static const uap_backend_table table = {.interface = UAP_BACKEND_INTERFACE,
                                            .open = cpu_open,
                                            .close = cpu_close,
                                            .describe = cpu_describe,
                                            .measure_limits = cpu_measure_limits,
                                            .read_clocks = cpu_read_clocks,
                                            .work_new = cpu_work_new,
                                            .work_free = cpu_work_free,
                                            .work_run = cpu_work_run};
    return &table;
}
