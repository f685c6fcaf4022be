/* The first look: how fast the devices are, for what to expect and for what is not measured. */
#include "common/mem.h"
#include "profile/fit.h"
#include "profile/profile_impl.h"

#include <math.h>
#include <string.h>

/* Median over ranks of value[0 .. n-1], in place; equal on all ranks. */
static uap_status median_over_ranks(const uap_comm *comm, double *value, int32_t n,
                                    uap_err *err)
{
    uap_status rc = UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    double *column = NULL;
    const size_t bytes = (size_t)n * sizeof *value;
    UAP_TRY(uap_comm_gather(comm, value, bytes, &all, &offset, err));
    if (uap_comm_rank(comm) == 0) {
        const int size = uap_comm_size(comm);
        column = uap_calloc((size_t)size, sizeof *column);
        for (int32_t i = 0; i < n && column != NULL; i++) {
            for (int r = 0; r < size; r++) {
                memcpy(&column[r], all + offset[r] + (size_t)i * sizeof *column,
                       sizeof *column);
            }
            value[i] = uap_median(column, size);
        }
        rc = column != NULL ? UAP_OK
                            : UAP_FAIL(err, NO_MEMORY, "no memory for %d times", size);
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    rc = uap_comm_bcast(comm, value, bytes, 0, err);
done:
    uap_free(column);
    uap_free(offset);
    uap_free(all);
    return rc;
}

/* Large products, products of a small layer's size, and the stream. */
enum { LOOK_LARGE, LOOK_SMALL, LOOK_STREAM, LOOK_COUNT };

/* Operations or bytes per second of this rank. */
static uap_status speed_of(const uap_comm *comm, uap_device *device,
                           const uap_work_shape *shape, double *speed, uap_err *err)
{
    /* One run that takes longer than all that are wanted says enough for a first look. */
    const uap_repeat repeat = {.target_s = 0.1, .min = 1, .max = 20};
    uap_work_times times;
    const double amount = shape->n_products == 0
                              ? 4 * shape->move_elems * (1 + UAP_BACKWARD_MOVES)
                              : 3 * uap_work_flops(shape);
    const uap_status rc = uap_work_measure(comm, device, shape, repeat, &times, err);
    *speed = rc == UAP_OK ? amount / fmax(times.own_s, 1e-9) : 0;
    return rc;
}

uap_status uap_first_look_take(const uap_comm *comm, uap_device *device,
                               const uap_device_info *info, uap_precision precision,
                               uap_first_look *out, uap_err *err)
{
    const uap_work_shape shape[LOOK_COUNT] = {
        [LOOK_LARGE] = {1, {{768, 1536, 1024, 1}}, 0, precision},
        [LOOK_SMALL] = {2, {{128, 768, 256, 2}, {128, 128, 64, 12}}, 0, precision},
        [LOOK_STREAM] = {0, {{0}}, 3e7, precision}};
    uap_status rc = UAP_OK;
    double speed[LOOK_COUNT];
    for (int i = 0; i < LOOK_COUNT; i++) {
        UAP_TRY(speed_of(comm, device, &shape[i], &speed[i], err));
    }
    out->slowest_flops = speed[LOOK_LARGE];
    UAP_TRY(uap_comm_allreduce_f64(comm, &out->slowest_flops, 1, UAP_COMM_MIN, err));
    UAP_TRY(median_over_ranks(comm, speed, LOOK_COUNT, err));
    out->flops = speed[LOOK_LARGE];
    out->efficiency = fmin(1, speed[LOOK_SMALL] / speed[LOOK_LARGE]);
    out->bytes_per_s = speed[LOOK_STREAM];
    for (int p = 0; p < UAP_PRECISION_COUNT; p++) {
        uap_work_shape large = shape[LOOK_LARGE];
        large.precision = (uap_precision)p;
        out->peak_flops[p] = large.precision == precision ? speed[LOOK_LARGE] : 0;
        if (info->native[p] && large.precision != precision) {
            UAP_TRY(speed_of(comm, device, &large, &out->peak_flops[p], err));
        }
    }
    rc = median_over_ranks(comm, out->peak_flops, UAP_PRECISION_COUNT, err);
done:
    return rc;
}
