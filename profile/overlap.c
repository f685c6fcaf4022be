/* Products and an all-reduce at the same time, against each alone. */
#include "common/mem.h"
#include "mpi/transfer.h"
#include "profile/clock.h"
#include "profile/fit.h"
#include "profile/links_impl.h"

#include <math.h>

/* A piece of compute between two looks at the communication, and the bytes of a gradient
 * bucket (PyTorch's DistributedDataParallel: 25 MiB by default) where buffers allow. */
#define PIECE_S      0.25e-3
#define PIECES       64
#define BUCKET_BYTES ((size_t)25 << 20)
#define SLOWDOWN_MAX 1e3

/* The all-reduce under way, as the poll function sees it. */
typedef struct in_flight {
    uap_transfer *transfer; /* NULL: it goes through the channel */
    uap_channel *channel;
    bool finished;
    double finished_s; /* clock */
    uap_status status;
    uap_err *err;
} in_flight;

static void advance(void *context)
{
    in_flight *flight = context;
    if (!flight->finished && flight->status == UAP_OK) {
        flight->status =
            flight->transfer != NULL
                ? uap_transfer_test(flight->transfer, &flight->finished, flight->err)
                : uap_channel_test(flight->channel, &flight->finished, flight->err);
        flight->finished_s = uap_clock_s();
    }
}

typedef struct overlap {
    uap_links *links;
    uap_work *work; /* one piece */
    size_t n;       /* floats of the all-reduce */
} overlap;

static uap_status start(const overlap *o, in_flight *flight, uap_err *err)
{
    uap_status rc = UAP_OK;
    *flight = (in_flight){.err = err};
    UAP_TRY(uap_comm_barrier(o->links->comm, err));
    if (o->links->channel != NULL) {
        const uap_channel_operation all = {.kind = UAP_CHANNEL_ALL_REDUCE, .n = o->n};
        flight->channel = o->links->channel;
        return uap_channel_queue(flight->channel, &all, err);
    }
    UAP_TRY(uap_transfer_start(o->links->comm, o->links->send, o->links->recv, o->n,
                               &flight->transfer, err));
done:
    return rc;
}

/* The all-reduce with nothing else to do. */
static uap_status communicate(const overlap *o, double *seconds, uap_err *err)
{
    in_flight flight;
    uap_status rc = UAP_OK;
    UAP_TRY(start(o, &flight, err));
    const double begin = uap_clock_s();
    while (!flight.finished && flight.status == UAP_OK) {
        advance(&flight);
    }
    *seconds = flight.finished_s - begin;
    rc = flight.status;
    uap_transfer_free(flight.transfer);
done:
    return rc;
}

/* Pieces alone, on all ranks at once; seconds per piece. */
static uap_status compute(const overlap *o, double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_comm_barrier(o->links->comm, err));
    const double begin = uap_clock_s();
    for (int i = 0; i < PIECES; i++) {
        double piece = 0;
        UAP_TRY(uap_work_run(o->work, UAP_FORWARD, NULL, NULL, &piece, err));
    }
    *seconds = (uap_clock_s() - begin) / PIECES;
done:
    return rc;
}

/* Pieces until the all-reduce is through; seconds per piece, and of the all-reduce. */
static uap_status both(const overlap *o, double *piece_s, double *communicate_s,
                       uap_err *err)
{
    in_flight flight;
    uap_status rc = UAP_OK;
    int pieces = 0;
    UAP_TRY(start(o, &flight, err));
    const double begin = uap_clock_s();
    while (!flight.finished && flight.status == UAP_OK && rc == UAP_OK) {
        double piece = 0;
        rc = uap_work_run(o->work, UAP_FORWARD, advance, &flight, &piece, err);
        pieces++;
    }
    *piece_s = pieces > 0 ? (uap_clock_s() - begin) / pieces : 0;
    /* Also behind a failed device: the other ranks wait for the transfer. */
    while (!flight.finished && flight.status == UAP_OK) {
        advance(&flight);
    }
    *communicate_s = flight.finished_s - begin;
    rc = rc != UAP_OK ? rc : flight.status;
    uap_transfer_free(flight.transfer);
done:
    return rc;
}

/* One piece of about PIECE_S on the slowest rank: small products, as many as that takes. */
static uap_status prepare(overlap *o, uap_device *device, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_work_shape shape = {.n_products = 1, .product = {{64, 256, 256, 1}}};
    double best = 0;
    rc = uap_work_new(device, &shape, &o->work, err);
    for (int i = 0; i < 5 && rc == UAP_OK; i++) {
        double seconds = 0;
        rc = uap_work_run(o->work, UAP_FORWARD, NULL, NULL, &seconds, err);
        best = i == 0 || seconds < best ? seconds : best;
    }
    uap_work_free(o->work);
    o->work = NULL;
    UAP_TRY(uap_comm_agree(o->links->comm, rc, err));
    UAP_TRY(uap_comm_allreduce_f64(o->links->comm, &best, 1, UAP_COMM_MAX, err));
    const double wanted = best > 0 ? PIECE_S / best : 1;
    shape.product[0].batch = wanted < 1 ? 1 : wanted > 4096 ? 4096 : (int64_t)wanted;
    rc = uap_work_new(device, &shape, &o->work, err);
    rc = uap_comm_agree(o->links->comm, rc, err);
done:
    return rc;
}

/* Together by alone, not below 1. A rank that lost its core in one of them says nothing of
 * overlap, and files hold no larger one. */
static double slowdown(double together, double alone)
{
    const double ratio = alone > 0 && together > alone ? together / alone : 1;
    return fmin(ratio, SLOWDOWN_MAX);
}

/* One repetition: both ratios, of the slowest rank. */
static uap_status repeat(const overlap *o, double ratio[2], uap_err *err)
{
    double alone[2] = {0, 0}, together[2] = {0, 0};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_comm_agree(o->links->comm, compute(o, &alone[0], err), err));
    UAP_TRY(communicate(o, &alone[1], err));
    UAP_TRY(
        uap_comm_agree(o->links->comm, both(o, &together[0], &together[1], err), err));
    ratio[0] = slowdown(together[0], alone[0]);
    ratio[1] = slowdown(together[1], alone[1]);
    rc = uap_comm_allreduce_f64(o->links->comm, ratio, 2, UAP_COMM_MAX, err);
done:
    return rc;
}

uap_status uap_links_overlap(uap_links *links, uap_device *device, int32_t repetitions,
                             double *compute_slowdown, double *communication_slowdown,
                             uap_err *err)
{
    overlap o = {.links = links};
    uap_status rc = UAP_OK;
    double *ratios = NULL;
    *compute_slowdown = *communication_slowdown = 1;
    if (uap_comm_size(links->comm) == 1) {
        return UAP_OK;
    }
    o.n = BUCKET_BYTES / sizeof(float);
    o.n = o.n < links->n_floats ? o.n : links->n_floats;
    ratios = uap_calloc(2 * (size_t)repetitions, sizeof *ratios);
    rc = uap_comm_agree(
        links->comm,
        ratios != NULL
            ? UAP_OK
            : UAP_FAIL(err, NO_MEMORY, "no memory for %d repetitions", (int)repetitions),
        err);
    if (rc != UAP_OK) {
        goto done;
    }
    UAP_TRY(prepare(&o, device, err));
    for (int32_t i = 0; i < repetitions; i++) {
        double ratio[2];
        UAP_TRY(repeat(&o, ratio, err));
        ratios[i] = ratio[0];
        ratios[repetitions + i] = ratio[1];
    }
    *compute_slowdown = uap_median(ratios, repetitions);
    *communication_slowdown = uap_median(ratios + repetitions, repetitions);
done:
    uap_work_free(o.work);
    uap_free(ratios);
    return rc;
}
