/* Collectives and point to point over a size sweep. */
#include "profile/links.h"

#include "common/mem.h"
#include "common/numbers.h"
#include "mpi/transfer.h"
#include "profile/clock.h"
#include "profile/device_backend.h"
#include "profile/fit.h"
#include "profile/links_impl.h"

#include <string.h>

/* Operations shorter than this are timed in trains, so that the clock and the ranks' skew
 * after a barrier do not matter. */
#define TRAIN_S      300e-6
#define TRAIN_MAX    64
#define SHAPES_MANY  32
#define DIVISORS_MAX 1344

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

int32_t uap_sweep_points(const uap_sweep *sweep)
{
    int32_t n = 0;
    /* The half allows for rounding in the repeated product. */
    for (double bytes = sweep->min_bytes; bytes <= sweep->max_bytes * 1.5;
         bytes *= sweep->factor) {
        n++;
    }
    return n;
}

uap_status uap_links_new(const uap_comm *comm, const uap_sweep *sweep, uap_links **out,
                         uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_links *links = uap_calloc(1, sizeof *links);
    *out = NULL;
    if (links != NULL) {
        links->comm = comm;
        links->sweep = *sweep;
        /* Blocks are rounded up to whole floats per rank of a group. */
        links->n_floats = (size_t)(1.5 * sweep->max_bytes / sizeof(float)) +
                          2 * (size_t)uap_comm_size(comm);
        links->send = uap_calloc(links->n_floats, sizeof *links->send);
        links->recv = uap_calloc(links->n_floats, sizeof *links->recv);
    }
    if (links == NULL || links->send == NULL || links->recv == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for buffers of %.0f bytes",
                      sweep->max_bytes);
    } else {
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
        uap_free(links->recv);
        uap_free(links->send);
        uap_free(links);
    }
}

/* One measurement: what a rank does in it. */
typedef struct operation {
    uap_collective_kind kind;
    const uap_comm *group; /* of a collective; NULL: this rank takes no part */
    bool is_p2p;
    int peer;        /* of p2p, UAP_COMM_NOBODY: takes no part */
    bool goes_first; /* of the pair's two */
    size_t n;        /* floats per block (all-reduce: in all) */
} operation;

static uap_status run_collective(const uap_links *links, const operation *op,
                                 uap_err *err)
{
    const size_t bytes = op->n * sizeof(float);
    switch (op->kind) {
    case UAP_ALL_REDUCE:
        return uap_transfer_all_reduce(op->group, links->send, links->recv, op->n, err);
    case UAP_ALL_GATHER:
        return uap_transfer_all_gather(op->group, links->send, links->recv, bytes, err);
    case UAP_REDUCE_SCATTER:
        return uap_transfer_reduce_scatter(op->group, links->send, links->recv, op->n,
                                           err);
    case UAP_ALL_TO_ALL:
        return uap_transfer_all_to_all(op->group, links->send, links->recv, bytes, err);
    case UAP_COLLECTIVE_COUNT:
        break;
    }
    return UAP_FAIL(err, INTERNAL, "collective of kind %d", (int)op->kind);
}

/* There and back: the first sends and then receives, its peer the other way round. */
static uap_status run_round_trip(const uap_links *links, const operation *op,
                                 uap_err *err)
{
    uap_status rc = UAP_OK;
    const size_t bytes = op->n * sizeof(float);
    const int to[2] = {op->goes_first ? op->peer : UAP_COMM_NOBODY,
                       op->goes_first ? UAP_COMM_NOBODY : op->peer};
    for (int i = 0; i < 2; i++) {
        const int from = to[i] == UAP_COMM_NOBODY ? op->peer : UAP_COMM_NOBODY;
        UAP_TRY(uap_transfer_exchange(links->comm, links->send, to[i], links->recv, from,
                                      bytes, err));
    }
done:
    return rc;
}

/* `count` operations one after the other, behind a barrier; seconds per operation. */
static uap_status run_train(const uap_links *links, const operation *op, int32_t count,
                            double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    *seconds = 0;
    UAP_TRY(uap_comm_barrier(links->comm, err));
    if (op->group == NULL && (!op->is_p2p || op->peer == UAP_COMM_NOBODY)) {
        return UAP_OK;
    }
    const double start = uap_clock_s();
    for (int32_t i = 0; i < count; i++) {
        UAP_TRY(op->is_p2p ? run_round_trip(links, op, err)
                           : run_collective(links, op, err));
    }
    *seconds = (uap_clock_s() - start) / count;
done:
    return rc;
}

/* Median over iterations of the slowest rank's seconds per operation; equal on all ranks. */
static uap_status measure_point(const uap_links *links, const operation *op,
                                double *seconds, uap_err *err)
{
    const uap_sweep *sweep = &links->sweep;
    uap_status rc = UAP_OK;
    double once[2] = {0, 0};
    double *each = NULL;
    /* The first opens connections, the second says how long one takes. */
    UAP_TRY(run_train(links, op, 1, &once[0], err));
    UAP_TRY(run_train(links, op, 1, &once[1], err));
    UAP_TRY(uap_comm_allreduce_f64(links->comm, once, 2, UAP_COMM_MAX, err));
    /* A train that a busy machine held up says nothing: the quicker of the two counts. */
    const double rough = once[0] < once[1] ? once[0] : once[1];
    const double train_ops = rough > 0 ? TRAIN_S / rough : 1;
    const int32_t count = train_ops < 1           ? 1
                          : train_ops > TRAIN_MAX ? TRAIN_MAX
                                                  : (int32_t)train_ops;
    const double room = rough > 0 ? sweep->point_s / (rough * count) : 1;
    const int32_t iterations = room < sweep->min_iterations   ? sweep->min_iterations
                               : room > sweep->max_iterations ? sweep->max_iterations
                                                              : (int32_t)room;
    each = uap_calloc((size_t)iterations, sizeof *each);
    rc = uap_comm_agree(links->comm,
                        each != NULL ? UAP_OK
                                     : UAP_FAIL(err, NO_MEMORY, "no memory for %d times",
                                                (int)iterations),
                        err);
    if (rc != UAP_OK) {
        goto done;
    }
    for (int32_t i = 0; i < iterations; i++) {
        UAP_TRY(run_train(links, op, count, &each[i], err));
    }
    UAP_TRY(
        uap_comm_allreduce_f64(links->comm, each, (size_t)iterations, UAP_COMM_MAX, err));
    *seconds = uap_median(each, iterations);
done:
    uap_free(each);
    return rc;
}

/* Runs the sweep: floats per operation are a multiple of `parts`, of which `op` gets one
 * (`whole` for operations that take the buffer as one). */
static uap_status measure_sweep(const uap_links *links, operation op, size_t parts,
                                double share, uap_point **out, int32_t *n_out,
                                uap_err *err)
{
    const int32_t n = uap_sweep_points(&links->sweep);
    uap_status rc = UAP_OK;
    uap_point *point = uap_calloc((size_t)n, sizeof *point);
    double bytes = links->sweep.min_bytes;
    *out = NULL;
    rc = uap_comm_agree(links->comm,
                        point != NULL
                            ? UAP_OK
                            : UAP_FAIL(err, NO_MEMORY, "no memory for %d points", (int)n),
                        err);
    for (int32_t i = 0; i < n && rc == UAP_OK; i++, bytes *= links->sweep.factor) {
        const size_t block = (size_t)(bytes / sizeof(float)) / parts;
        op.n = block < 1 ? 1 : block;
        point[i].bytes = (double)(op.n * parts * sizeof(float));
        rc = measure_point(links, &op, &point[i].seconds, err);
        point[i].seconds *= share;
    }
    if (rc != UAP_OK) {
        uap_free(point);
        return rc;
    }
    *out = point;
    *n_out = n;
    return UAP_OK;
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
    uap_comm *group = NULL;
    memset(out, 0, sizeof *out);
    if (shape.size < 2 || shape.stride < 1 || ranks % block != 0) {
        return UAP_FAIL(err, BAD_USAGE, "groups of %d ranks %d apart among %d ranks",
                        (int)shape.size, (int)shape.stride, ranks);
    }
    const int color = (int)(rank / block * shape.stride + rank % shape.stride);
    const bool takes_part = contended || color == 0;
    UAP_TRY(uap_comm_split(links->comm, takes_part ? color : -1, rank, &group, err));
    const operation op = {.kind = kind, .group = group, .peer = UAP_COMM_NOBODY};
    /* An all-reduce takes the buffer as one; the others in a block for each rank. */
    const size_t parts = kind == UAP_ALL_REDUCE ? 1 : (size_t)shape.size;
    UAP_TRY(measure_sweep(links, op, parts, 1.0, &out->point, &out->n_points, err));
    const uap_line line = uap_fit_line(out->point, out->n_points);
    out->kind = kind;
    out->size = shape.size;
    out->stride = shape.stride;
    out->span = span_of(links->comm, shape);
    out->contended = contended;
    out->latency_s = line.latency_s;
    out->bandwidth_Bps = line.bandwidth_Bps;
done:
    uap_comm_free(group);
    return rc;
}

uap_status uap_links_p2p(uap_links *links, int32_t distance, bool alone, uap_p2p *out,
                         uap_err *err)
{
    const int ranks = uap_comm_size(links->comm), rank = uap_comm_rank(links->comm);
    uap_status rc = UAP_OK;
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
    const operation op = {.is_p2p = true, .peer = peer, .goes_first = goes_first};
    UAP_TRY(measure_sweep(links, op, 1, 0.5, &out->point, &out->n_points, err));
    const uap_line line = uap_fit_line(out->point, out->n_points);
    out->latency_s = line.latency_s;
    out->bandwidth_Bps = line.bandwidth_Bps;
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
