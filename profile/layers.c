/* Layers as work, and its times over all ranks. */
#include "profile/layers.h"

#include "common/mem.h"
#include "mpi/guard.h"
#include "profile/clock.h"
#include "profile/fit.h"
#include "profile/samples.h"

#include <math.h>
#include <string.h>

void uap_layer_work(const uap_layer *layer, int32_t tp, int64_t micro_batch,
                    uap_precision precision, uap_work_shape *out)
{
    const double samples = (double)micro_batch;
    const double whole = layer->move_elems - layer->move_split_elems;
    memset(out, 0, sizeof *out);
    for (int32_t i = 0; i < layer->n_gemms; i++) {
        const uap_gemm local = uap_layer_local_gemm(layer, i, tp);
        const bool has_weights = local.split != UAP_SPLIT_BATCH;
        out->product[out->n_products++] =
            (uap_product){.m = has_weights ? local.m * micro_batch : local.m,
                          .n = local.n,
                          .k = local.k,
                          .batch = has_weights ? local.batch : local.batch * micro_batch};
    }
    out->move_elems = samples * (whole + layer->move_split_elems / tp);
    out->precision = precision;
}

double uap_work_flops(const uap_work_shape *shape)
{
    double flops = 0;
    for (int32_t i = 0; i < shape->n_products; i++) {
        const uap_product *p = &shape->product[i];
        flops += 2.0 * (double)p->m * (double)p->n * (double)p->k * (double)p->batch;
    }
    return flops;
}

/* forward and backward of every repetition: time[2 i], time[2 i + 1]. */
static uap_status run_once(uap_work *work, double *time, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_work_run(work, UAP_FORWARD, NULL, NULL, &time[0], err));
    uap_guard_beat();
    UAP_TRY(uap_work_run(work, UAP_BACKWARD, NULL, NULL, &time[1], err));
done:
    return rc;
}

/* Medians and spread of n pairs of times; scratch has room for n. */
static void summarise(const double *time, int64_t n, double *scratch, uap_work_times *out)
{
    double *const into[2] = {&out->forward_s, &out->backward_s};
    for (int part = 0; part < 2; part++) {
        for (int64_t i = 0; i < n; i++) {
            scratch[i] = time[2 * i + part];
        }
        *into[part] = uap_median(scratch, n);
    }
    for (int64_t i = 0; i < n; i++) {
        scratch[i] = time[2 * i] + time[2 * i + 1];
    }
    const double centre = uap_median(scratch, n);
    out->mad_s = uap_mad(scratch, n, centre);
}

/* Rank 0 takes the medians over everybody's times and tells the others. */
static uap_status pool(const uap_comm *comm, const double *time, int32_t n,
                       uap_samples *samples, uap_work_times *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    double *scratch = NULL;
    UAP_TRY(
        uap_comm_gather(comm, time, 2 * (size_t)n * sizeof *time, &all, &offset, err));
    if (uap_comm_rank(comm) == 0) {
        const int64_t pairs = (int64_t)n * uap_comm_size(comm);
        /* Gathered blocks are whole doubles, in storage of calloc's alignment. */
        uap_samples_add(samples, 0, (const double *)(const void *)all, 2 * pairs);
        scratch = uap_calloc((size_t)pairs, sizeof *scratch);
        if (scratch == NULL) {
            rc = UAP_FAIL(err, NO_MEMORY, "no memory for the times of all ranks");
        } else {
            summarise((const double *)(const void *)all, pairs, scratch, out);
        }
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    UAP_TRY(uap_comm_bcast(comm, out, sizeof *out, 0, err));
done:
    uap_free(scratch);
    uap_free(offset);
    uap_free(all);
    return rc;
}

/* Warm-up ends when two runs one after the other agree this well, or at its share of the time. */
#define STEADY_RATIO  1.05
#define WARM_UP_MAX   10
#define WARM_UP_SHARE 0.25

/* Runs until their time is steady; the last one in `last`, how long the slowest rank took for
 * it in *slowest. *is_warm: it was not the first, so that it counts. */
static uap_status warm_up(const uap_comm *comm, uap_work *work, uap_repeat repeat,
                          double last[2], double *slowest, bool *is_warm, uap_err *err)
{
    uap_status rc = UAP_OK;
    double before = HUGE_VAL, spent = 0;
    *is_warm = false;
    for (int32_t i = 0; i < WARM_UP_MAX; i++) {
        UAP_TRY(uap_comm_agree(comm, run_once(work, last, err), err));
        *slowest = last[0] + last[1];
        *is_warm = i > 0;
        UAP_TRY(uap_comm_allreduce_f64(comm, slowest, 1, UAP_COMM_MAX, err));
        const bool is_steady =
            before <= *slowest * STEADY_RATIO && *slowest <= before * STEADY_RATIO;
        before = *slowest;
        spent += *slowest;
        if (is_steady || spent > repeat.target_s * WARM_UP_SHARE) {
            break;
        }
    }
done:
    return rc;
}

/* A first run is kept where few follow it: on a long product its start costs nothing. */
#define RUNS_TO_DROP_FIRST 3

static uap_status repeat_and_pool(const uap_comm *comm, uap_work *work, uap_repeat repeat,
                                  uap_work_times *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    double first[2] = {0, 0}, slowest = 0;
    double *time = NULL;
    bool is_warm = false;
    const double start = uap_clock_s();
    UAP_TRY(uap_comm_barrier(comm, err));
    UAP_TRY(warm_up(comm, work, repeat, first, &slowest, &is_warm, err));
    const double wanted = slowest > 0 ? repeat.target_s / slowest : repeat.max;
    const int32_t runs = wanted < repeat.min   ? repeat.min
                         : wanted > repeat.max ? repeat.max
                                               : (int32_t)wanted;
    const int32_t kept = !is_warm && runs >= RUNS_TO_DROP_FIRST ? runs - 1 : runs;
    time = uap_calloc(2 * (size_t)runs, sizeof *time);
    if (time == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %d times", (int)runs);
    } else {
        memcpy(time, first, sizeof first);
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    for (int32_t i = 1; i < runs && rc == UAP_OK; i++) {
        rc = run_once(work, time + 2 * (size_t)i, err);
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    UAP_TRY(pool(comm, time + 2 * (size_t)(runs - kept), kept, repeat.samples, out, err));
    out->count = (int64_t)kept * uap_comm_size(comm);
    /* In place: entry i is read from behind i. */
    for (int32_t i = 0; i < kept; i++) {
        const double *pair = time + 2 * (size_t)(runs - kept + i);
        time[i] = pair[0] + pair[1];
    }
    out->own_s = uap_median(time, kept);
    out->spent_s = uap_clock_s() - start;
done:
    uap_free(time);
    return rc;
}

uap_status uap_work_measure(const uap_comm *comm, uap_device *device,
                            const uap_work_shape *shape, uap_repeat repeat,
                            uap_work_times *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_work *work = NULL;
    memset(out, 0, sizeof *out);
    UAP_TRY(uap_comm_agree(comm, uap_work_new(device, shape, &work, err), err));
    rc = repeat_and_pool(comm, work, repeat, out, err);
done:
    uap_work_free(work);
    return rc;
}
