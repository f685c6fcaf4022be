/* What links.c, links_sweep.c and overlap.c share. Private to profile/. */
#ifndef UAP_PROFILE_LINKS_IMPL_H
#define UAP_PROFILE_LINKS_IMPL_H

#include "profile/device_channel.h"
#include "profile/fit.h"
#include "profile/links.h"

#include <stddef.h>

struct uap_links {
    const uap_comm *comm; /* borrowed */
    uap_sweep sweep;
    size_t n_floats;      /* of each buffer */
    float *send, *recv;   /* from a boundary of pages on */
    char *blocks[2];      /* own: what they lie in */
    uap_device *device;   /* borrowed; NULL: messages are between host memories */
    uap_channel *channel; /* own: of all ranks; NULL without a device */
};

/* One measurement: what a rank does in it. */
typedef struct uap_operation {
    uap_collective_kind kind;
    const uap_comm *group; /* of a collective; NULL: this rank takes no part */
    uap_channel *channel;  /* the same between devices */
    bool is_p2p;
    int peer;        /* of p2p, UAP_COMM_NOBODY: takes no part */
    bool goes_first; /* of the pair's two */
    size_t n;        /* floats per block (all-reduce: in all) */
} uap_operation;

/* What a sweep found; the same on every rank but for the time. */
typedef struct uap_swept {
    int32_t n_points;
    uap_point *point; /* the caller's to free */
    uap_line line;
    uap_pieces pieces;
    double spent_s;
} uap_swept;

/* A channel of the ranks of comm, with buffers as large as the links'. The caller frees *out.
 * Errors: those of channels, MPI. Collective over comm. */
UAP_NODISCARD uap_status uap_links_open_channel(const uap_links *links,
                                                const uap_comm *comm, uap_channel **out,
                                                uap_err *err);

/* `count` operations between devices, queued behind a barrier one after the other and then waited
 * for; seconds per operation, 0 where this rank takes no part. Errors: those of channels, MPI.
 * Collective. */
UAP_NODISCARD uap_status uap_links_run_device_train(const uap_links *links,
                                                    const uap_operation *op,
                                                    int32_t count, double *seconds,
                                                    uap_err *err);

/* Measures the operation at the sweep's sizes, of which each is `parts` blocks (op.n is
 * set here). Errors: MPI, NO_MEMORY. Collective. */
UAP_NODISCARD uap_status uap_links_sweep(const uap_links *links, uap_operation op,
                                         size_t parts, uap_swept *out, uap_err *err);

#endif
