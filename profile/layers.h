/* A model's layer as work for a device, and how long that takes on all ranks. */
#ifndef UAP_PROFILE_LAYERS_H
#define UAP_PROFILE_LAYERS_H

#include "configs/model.h"
#include "mpi/comm.h"
#include "profile/device.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What one device of a TP group of tp computes for micro_batch samples: products with
 * weights get micro_batch times the rows, attention's products (batched over heads)
 * micro_batch times the batches. tp must be allowed for the layer. Local. */
void uap_layer_work(const uap_layer *layer, int32_t tp, int64_t micro_batch,
                    uap_precision precision, uap_work_shape *out);

/* Floating-point operations of one forward; the backward has twice as many. Local. */
double uap_work_flops(const uap_work_shape *shape);

/* Repeat until target_s is spent, but at least `min` and at most `max` times. */
typedef struct uap_repeat {
    double target_s;
    int32_t min, max;
    struct uap_samples
        *samples; /* where rank 0 keeps every time (samples.h); NULL: nowhere */
} uap_repeat;

typedef struct uap_work_times {
    double forward_s, backward_s; /* medians over ranks and repetitions */
    double mad_s;                 /* median absolute deviation of forward + backward */
    double own_s;                 /* this rank's median of forward + backward */
    int64_t count;                /* runs on all ranks behind the medians */
    double spent_s;               /* rank 0's, warm-up included */
} uap_work_times;

/* Times the work on all ranks at once, as in training. The medians are the same on every
 * rank. Errors: those of the device (of any rank), MPI, NO_MEMORY. Collective. */
UAP_NODISCARD uap_status uap_work_measure(const uap_comm *comm, uap_device *device,
                                          const uap_work_shape *shape, uap_repeat repeat,
                                          uap_work_times *out, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
