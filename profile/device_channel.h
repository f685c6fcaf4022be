/* Messages between devices' own memories, by a library that the backend finds at run time (NCCL):
 * what the profiler times where there is one. Who takes part, and the clock, are the caller's. */
#ifndef UAP_PROFILE_DEVICE_CHANNEL_H
#define UAP_PROFILE_DEVICE_CHANNEL_H

#include "profile/device.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A group of devices with two buffers on each, of which one is sent and one received into. */
typedef struct uap_channel uap_channel;

#define UAP_CHANNEL_ID_BYTES 128

/* What names a channel before it is there: one of its ranks makes it and gives it to all. */
typedef struct uap_channel_id {
    char bytes[UAP_CHANNEL_ID_BYTES];
} uap_channel_id;

typedef struct uap_channel_place {
    int32_t size, rank;
    uap_channel_id id;
    size_t n_floats; /* of each buffer */
} uap_channel_place;

typedef enum uap_channel_kind {
    UAP_CHANNEL_ALL_REDUCE,
    UAP_CHANNEL_ALL_GATHER,
    UAP_CHANNEL_REDUCE_SCATTER,
    UAP_CHANNEL_ALL_TO_ALL,
    UAP_CHANNEL_EXCHANGE
} uap_channel_kind;

typedef struct uap_channel_operation {
    uap_channel_kind kind;
    size_t n;         /* floats of a block; all-reduce, exchange: in all */
    int32_t to, from; /* EXCHANGE: ranks of the channel; -1: nobody */
} uap_channel_operation;

/* Name and version of the library, "" where the device has none. Local. */
const char *uap_channel_library(uap_device *device);

/* Errors: UNSUPPORTED (no library), MPI (the library's), NO_DEVICE. Local. */
UAP_NODISCARD uap_status uap_channel_make_id(uap_device *device, uap_channel_id *out,
                                             uap_err *err);

/* Buffers are filled with normal random numbers. The caller frees *out before it closes the
 * device. Errors: as above, NO_MEMORY. Collective over the ranks of the place. */
UAP_NODISCARD uap_status uap_channel_new(uap_device *device,
                                         const uap_channel_place *place,
                                         uap_channel **out, uap_err *err);
void uap_channel_free(uap_channel *channel); /* NULL is legal; collective */

/* Begins an operation behind those that were begun before, and returns. All ranks begin the same
 * ones in the same order (EXCHANGE: those that are to meet). Errors: MPI, NO_DEVICE. */
UAP_NODISCARD uap_status uap_channel_queue(uap_channel *channel,
                                           const uap_channel_operation *operation,
                                           uap_err *err);

/* Whether all that was begun has ended. Errors: MPI (also of other ranks), NO_DEVICE. Local. */
UAP_NODISCARD uap_status uap_channel_test(uap_channel *channel, bool *has_ended,
                                          uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
