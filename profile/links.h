/* How fast the ranks talk: collectives by group shape, point to point, and what compute and
 * communication cost each other. It measures through mpi/ and host memory; what is measured
 * when, and for how long, is its caller's choice. All functions are collective. */
#ifndef UAP_PROFILE_LINKS_H
#define UAP_PROFILE_LINKS_H

#include "common/status.h"
#include "configs/cluster.h"
#include "mpi/comm.h"
#include "profile/device.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* How a size sweep is measured. */
typedef struct uap_sweep {
    double min_bytes, max_bytes, factor; /* sizes min, min * factor, ... up to max */
    double
        point_s; /* seconds to spend on one size; more where one operation takes longer */
    int32_t min_iterations, max_iterations;
    /* From so many bytes on the sweep ends where the line through the last points foretold
     * the next ones, and one far beyond, its last; 0: never before max_bytes. */
    double settle_bytes;
    /* Sizes measured besides, at most: each halves (in ratio) the gap in which the lines say
     * least (fit.h). */
    int32_t doubts;
    /* Seconds that a sweep may take, by rank 0's clock: where it would take longer it leaves out
     * sizes between (none further apart than 64 times) and measures none besides; 0: no limit. */
    double allow_s;
    struct uap_samples
        *samples; /* where rank 0 keeps every time (samples.h); NULL: nowhere */
} uap_sweep;

/* Ranks base, base + stride, ..., size of them; groups start at multiples of size * stride,
 * which divides the number of ranks. */
typedef struct uap_group_shape {
    int32_t size, stride;
} uap_group_shape;

#define UAP_GROUP_SHAPES_MAX 512

/* The shapes worth measuring among `ranks` ranks in nodes of node_size: every size > 1 with
 * every stride that divides; where that is more than 32 shapes, only the strides 1,
 * node_size and the largest. Returns their number (at most UAP_GROUP_SHAPES_MAX). Local. */
int32_t uap_group_shapes(int32_t ranks, int32_t node_size,
                         uap_group_shape out[UAP_GROUP_SHAPES_MAX]);

/* Buffers for measurements over a communicator, which is borrowed. */
typedef struct uap_links uap_links;

/* Errors: NO_MEMORY. The caller frees *out. Collective. */
UAP_NODISCARD uap_status uap_links_new(const uap_comm *comm, const uap_sweep *sweep,
                                       uap_links **out, uap_err *err);
void uap_links_free(uap_links *links); /* NULL is legal; collective with channels */

/* From now on messages go between the devices' own memories, if every rank's backend has channels
 * (device_channel.h); else nothing changes. The device is borrowed. Errors: MPI, NO_MEMORY,
 * NO_DEVICE. */
UAP_NODISCARD uap_status uap_links_between_devices(uap_links *links, uap_device *device,
                                                   uap_err *err);
bool uap_links_are_between_devices(const uap_links *links); /* local */

/* From now on other sizes, over the same buffers: none larger than those they were made for. Local. */
void uap_links_change_sweep(uap_links *links, const uap_sweep *sweep);

/* The buffers, of max_bytes and more each: for timing the same bytes in another way. Local. */
void uap_links_buffers(const uap_links *links, const float **send, float **recv);

/* The most points that the sweep has, those at switches apart. Local. */
int32_t uap_sweep_points(const uap_sweep *sweep);

/* Measures one collective in groups of one shape, all groups at once (`contended`) or the
 * group of rank 0 alone. A point is the median over iterations of the slowest rank's time.
 * *out is the same on every rank; the caller frees out->point. Errors: MPI, NO_MEMORY,
 * BAD_USAGE (a shape that does not divide the ranks). */
UAP_NODISCARD uap_status uap_links_collective(uap_links *links, uap_collective_kind kind,
                                              uap_group_shape shape, bool contended,
                                              uap_collective *out, uap_err *err);

/* Measures one direction between ranks `distance` apart, as half of a round trip: every rank
 * in one pair and all pairs at once, or (`alone`) only the pair of rank 0. The points are
 * those of the slowest pair. The caller frees out->point. Errors: MPI, NO_MEMORY, BAD_USAGE
 * (a distance that is not 1 to ranks - 1). */
UAP_NODISCARD uap_status uap_links_p2p(uap_links *links, int32_t distance, bool alone,
                                       uap_p2p *out, uap_err *err);

/* How many times longer products and an all-reduce over all ranks take while both run than
 * each alone, both >= 1; 1 and 1 for a single rank. The all-reduce advances whenever a
 * product ends, every fraction of a millisecond, as in a program without a communication
 * thread: through MPI on CPUs the products then wait while bytes are copied, and 1/compute +
 * 1/communication comes out near 1 (nothing is gained by running both). Errors: MPI,
 * NO_MEMORY, and those of the device. */
UAP_NODISCARD uap_status uap_links_overlap(uap_links *links, uap_device *device,
                                           int32_t repetitions, double *compute_slowdown,
                                           double *communication_slowdown, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
