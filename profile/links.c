/* Which ranks take part: group shapes, collectives and pairs. What they do then is
 * links_sweep.c's. */
#include "profile/links.h"

#include "common/mem.h"
#include "common/numbers.h"
#include "mpi/guard.h"
#include "mpi/transfer.h"
#include "profile/device_backend.h"
#include "profile/links_impl.h"

#include <assert.h>
#include <string.h>

#define SHAPES_MANY  32
#define DIVISORS_MAX 1344

/* Buffers are filled faster than that also where ranks share cores. */
#define FILL_BPS 10e6

/* Large pages, where the system gives them. */
#define PAGE_BYTES ((size_t)2 << 20)

int32_t uap_group_shapes(int32_t ranks, int32_t node_size,
                         uap_group_shape out[UAP_GROUP_SHAPES_MAX])
{
    int64_t size[DIVISORS_MAX], stride[DIVISORS_MAX];
    const size_t n_sizes = uap_divisors(ranks, size, DIVISORS_MAX);
    int64_t total = 0;
    int32_t n = 0;
    for (size_t i = 1; i < n_sizes; i++) {
        total += (int64_t)uap_divisors(ranks / size[i], stride, DIVISORS_MAX);
    }
    for (size_t i = 1; i < n_sizes; i++) {
        const size_t n_strides = uap_divisors(ranks / size[i], stride, DIVISORS_MAX);
        for (size_t j = 0; j < n_strides && n < UAP_GROUP_SHAPES_MAX; j++) {
            const bool is_end = j == 0 || j + 1 == n_strides || stride[j] == node_size;
            if (total <= SHAPES_MANY || is_end) {
                out[n++] = (uap_group_shape){(int32_t)size[i], (int32_t)stride[j]};
            }
        }
    }
    return n;
}

/* Where the first large page in a block begins: blocks begin anywhere in a page, each time
 * elsewhere, and times go by that. */
static float *page_start(char *block)
{
    const uintptr_t at = (uintptr_t)block;
    const uintptr_t skip = (PAGE_BYTES - at % PAGE_BYTES) % PAGE_BYTES;
    return (float *)(void *)(block + skip);
}

uap_status uap_links_new(const uap_comm *comm, const uap_sweep *sweep, uap_links **out,
                         uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_links *links = uap_calloc(1, sizeof *links);
    *out = NULL;
    if (links != NULL) {
        uap_guard_allow(sweep->max_bytes / FILL_BPS);
        links->comm = comm;
        links->sweep = *sweep;
        /* Blocks are rounded up to whole floats per rank of a group. */
        links->n_floats = (size_t)(1.5 * sweep->max_bytes / sizeof(float)) +
                          2 * (size_t)uap_comm_size(comm);
        for (int i = 0; i < 2; i++) {
            links->blocks[i] =
                uap_calloc(links->n_floats * sizeof(float) + PAGE_BYTES, 1);
        }
    }
    if (links == NULL || links->blocks[0] == NULL || links->blocks[1] == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for buffers of %.0f bytes",
                      sweep->max_bytes);
    } else {
        links->send = page_start(links->blocks[0]);
        links->recv = page_start(links->blocks[1]);
        uap_fill_normal(links->send, (int64_t)links->n_floats);
        memset(links->recv, 0, links->n_floats * sizeof *links->recv);
    }
    rc = uap_comm_agree(comm, rc, err);
    if (rc != UAP_OK) {
        uap_links_free(links);
        return rc;
    }
    *out = links;
    return UAP_OK;
}

void uap_links_free(uap_links *links)
{
    if (links != NULL) {
        uap_channel_free(links->channel);
        uap_free(links->blocks[1]);
        uap_free(links->blocks[0]);
        uap_free(links);
    }
}

void uap_links_change_sweep(uap_links *links, const uap_sweep *sweep)
{
    assert(1.5 * sweep->max_bytes <= (double)links->n_floats * sizeof(float));
    links->sweep = *sweep;
}

void uap_links_buffers(const uap_links *links, const float **send, float **recv)
{
    *send = links->send;
    *recv = links->recv;
}

/* Whether some group of this shape has ranks on two nodes. */
static uap_span span_of(const uap_comm *comm, uap_group_shape shape)
{
    const int block = shape.size * shape.stride;
    for (int r = 0; r < uap_comm_size(comm); r++) {
        const int first = r / block * block + r % shape.stride;
        if (uap_comm_node_of(comm, r) != uap_comm_node_of(comm, first)) {
            return UAP_SPAN_CLUSTER;
        }
    }
    return UAP_SPAN_NODE;
}

uap_status uap_links_collective(uap_links *links, uap_collective_kind kind,
                                uap_group_shape shape, bool contended,
                                uap_collective *out, uap_err *err)
{
    const int ranks = uap_comm_size(links->comm), rank = uap_comm_rank(links->comm);
    const int64_t block = (int64_t)shape.size * shape.stride;
    uap_status rc = UAP_OK;
    uap_swept swept;
    uap_comm *group = NULL;
    uap_channel *channel = NULL;
    memset(out, 0, sizeof *out);
    if (shape.size < 2 || shape.stride < 1 || ranks % block != 0) {
        return UAP_FAIL(err, BAD_USAGE, "groups of %d ranks %d apart among %d ranks",
                        (int)shape.size, (int)shape.stride, ranks);
    }
    const int color = (int)(rank / block * shape.stride + rank % shape.stride);
    const bool takes_part = contended || color == 0;
    UAP_TRY(uap_comm_split(links->comm, takes_part ? color : -1, rank, &group, err));
    if (links->channel != NULL) {
        if (group != NULL) {
            rc = uap_links_open_channel(links, group, &channel, err);
        }
        UAP_TRY(uap_comm_agree(links->comm, rc, err));
    }
    const uap_operation op = {
        .kind = kind, .group = group, .channel = channel, .peer = UAP_COMM_NOBODY};
    /* An all-reduce takes the buffer as one; the others in a block for each rank. */
    const size_t parts = kind == UAP_ALL_REDUCE ? 1 : (size_t)shape.size;
    UAP_TRY(uap_links_sweep(links, op, parts, &swept, err));
    out->kind = kind;
    out->size = shape.size;
    out->stride = shape.stride;
    out->span = span_of(links->comm, shape);
    out->contended = contended;
    out->point = swept.point;
    out->n_points = swept.n_points;
    out->latency_s = swept.line.latency_s;
    out->bandwidth_Bps = swept.line.bandwidth_Bps;
    out->pieces = swept.pieces;
    out->spent_s = swept.spent_s;
done:
    uap_channel_free(channel);
    uap_comm_free(group);
    return rc;
}

uap_status uap_links_p2p(uap_links *links, int32_t distance, bool alone, uap_p2p *out,
                         uap_err *err)
{
    const int ranks = uap_comm_size(links->comm), rank = uap_comm_rank(links->comm);
    uap_status rc = UAP_OK;
    uap_swept swept;
    memset(out, 0, sizeof *out);
    if (distance < 1 || distance >= ranks) {
        return UAP_FAIL(err, BAD_USAGE, "pairs %d ranks apart among %d ranks",
                        (int)distance, ranks);
    }
    const bool goes_first = rank / distance % 2 == 0;
    int peer = goes_first ? rank + distance : rank - distance;
    const int lower = goes_first ? rank : peer;
    if (peer >= ranks || (alone && lower != 0)) {
        peer = UAP_COMM_NOBODY;
    }
    const uap_operation op = {.is_p2p = true, .peer = peer, .goes_first = goes_first};
    UAP_TRY(uap_links_sweep(links, op, 1, &swept, err));
    out->point = swept.point;
    out->n_points = swept.n_points;
    out->latency_s = swept.line.latency_s;
    out->bandwidth_Bps = swept.line.bandwidth_Bps;
    out->pieces = swept.pieces;
    out->spent_s = swept.spent_s;
    out->span = UAP_SPAN_NODE;
    for (int r = 0; r + distance < ranks; r++) {
        const bool in_pair = alone ? r == 0 : r / distance % 2 == 0;
        if (in_pair && uap_comm_node_of(links->comm, r) !=
                           uap_comm_node_of(links->comm, r + distance)) {
            out->span = UAP_SPAN_CLUSTER;
        }
    }
done:
    return rc;
}
