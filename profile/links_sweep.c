/* One operation over a sweep of sizes: warm-up, trains behind barriers, medians, and the lines
 * through them. Who takes part is links.c's business. */
#include "common/mem.h"
#include "mpi/guard.h"
#include "mpi/transfer.h"
#include "profile/clock.h"
#include "profile/fit.h"
#include "profile/links_impl.h"
#include "profile/samples.h"

#include <math.h>
#include <string.h>

/* Operations shorter than this are timed in trains, so that the clock's own time and the odd
 * long one do not matter. */
#define TRAIN_S   200e-6
#define TRAIN_MAX 32

/* The next size is a few times as large: so many times an operation's time a hung one is given
 * beyond the patience that there is (mpi/guard.h). */
#define ALLOWED_TIMES 20.0

/* Trains between looks at the clock: on a busy machine barriers take far longer than what is
 * timed, and a point ends early (with its least number of iterations) after so many times
 * its time. */
#define BLOCK       4
#define LATE_FACTOR 3.0

/* Warm-up ends when two trains one after the other agree this well. */
#define STEADY_RATIO 1.05
#define WARM_UP_MAX  8

/* A sweep may end where the line through so many points foretold the next ones this well. */
#define HOLDS_POINTS 3
#define HOLDS_TIMES  2
#define HOLDS_ERROR  0.03

/* And a size up to so many times the last this well: transports change once more where messages
 * outgrow a cache or a pool of buffers. */
#define FAR_TIMES 16
#define FAR_ERROR 0.1

/* Where time is short sizes are at most so many times the one before. */
#define STEP_MOST 64.0

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

static uap_status run_collective(const uap_links *links, const uap_operation *op,
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
static uap_status run_round_trip(const uap_links *links, const uap_operation *op,
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

/* `count` operations; seconds per operation. Round trips follow one another behind a barrier, as
 * each waits for the one before. Of collectives each has its barrier, so that a rank that is
 * early in one does not run ahead into the next. */
static uap_status run_train(const uap_links *links, const uap_operation *op,
                            int32_t count, double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    double spent = 0;
    *seconds = 0;
    if (links->channel != NULL) {
        return uap_links_run_device_train(links, op, count, seconds, err);
    }
    uap_guard_enter();
    UAP_TRY(uap_comm_barrier(links->comm, err));
    if (op->is_p2p) {
        const double start = uap_clock_s();
        for (int32_t i = 0; i < count && op->peer != UAP_COMM_NOBODY; i++) {
            UAP_TRY(run_round_trip(links, op, err));
        }
        spent = uap_clock_s() - start;
    }
    for (int32_t i = 0; i < count && !op->is_p2p; i++) {
        const double start = uap_clock_s();
        if (op->group != NULL) {
            UAP_TRY(run_collective(links, op, err));
            spent += uap_clock_s() - start;
        }
        UAP_TRY(uap_comm_barrier(links->comm, err));
    }
done:
    uap_guard_leave();
    *seconds = spent / count;
    return rc;
}

/* Operations until their time is steady: connections open, buffers get their pages, clocks
 * rise. Says how long one takes; equal on all ranks. */
static uap_status warm_up(const uap_links *links, const uap_operation *op, double *rough,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    double before = HUGE_VAL, spent = 0;
    *rough = HUGE_VAL;
    for (int32_t i = 0; i < WARM_UP_MAX; i++) {
        double seconds = 0;
        UAP_TRY(run_train(links, op, 1, &seconds, err));
        UAP_TRY(uap_comm_allreduce_f64(links->comm, &seconds, 1, UAP_COMM_MAX, err));
        /* A train that a busy machine held up says nothing: the quickest counts. */
        *rough = fmin(*rough, seconds);
        uap_guard_allow(ALLOWED_TIMES * *rough);
        spent += seconds;
        const bool is_steady =
            before <= seconds * STEADY_RATIO && seconds <= before * STEADY_RATIO;
        before = seconds;
        if (i > 0 && (is_steady || spent > links->sweep.point_s)) {
            break;
        }
    }
done:
    return rc;
}

static int32_t clamp(double value, int32_t least, int32_t most)
{
    return value < least ? least : value > most ? most : (int32_t)value;
}

/* Up to `most` trains: each[i] is the slowest rank's seconds per operation. Returns how many
 * there were in *done. Equal on all ranks. */
static uap_status run_trains(const uap_links *links, const uap_operation *op,
                             int32_t count, int32_t most, double *each, int32_t *done,
                             uap_err *err)
{
    const uap_sweep *sweep = &links->sweep;
    const double start = uap_clock_s();
    uap_status rc = UAP_OK;
    bool is_late = false;
    for (*done = 0; *done < most && !(is_late && *done >= sweep->min_iterations);) {
        double block[BLOCK + 1] = {0};
        const int32_t n = most - *done < BLOCK ? most - *done : BLOCK;
        for (int32_t i = 0; i < n; i++) {
            UAP_TRY(run_train(links, op, count, &block[i], err));
        }
        block[BLOCK] = uap_clock_s() - start;
        UAP_TRY(uap_comm_allreduce_f64(links->comm, block, BLOCK + 1, UAP_COMM_MAX, err));
        for (int32_t i = 0; i < n; i++) {
            each[(*done)++] = block[i];
        }
        is_late = block[BLOCK] > LATE_FACTOR * sweep->point_s;
    }
done:
    return rc;
}

/* Median and spread over iterations of the slowest rank's seconds per operation; equal on
 * all ranks. */
static uap_status measure_point(const uap_links *links, const uap_operation *op,
                                uap_point *out, uap_err *err)
{
    const uap_sweep *sweep = &links->sweep;
    uap_status rc = UAP_OK;
    double rough = 0;
    double *each = NULL;
    UAP_TRY(warm_up(links, op, &rough, err));
    const int32_t count = clamp(rough > 0 ? TRAIN_S / rough : 1, 1, TRAIN_MAX);
    const int32_t iterations = clamp(rough > 0 ? sweep->point_s / (rough * count) : 1,
                                     sweep->min_iterations, sweep->max_iterations);
    each = uap_calloc((size_t)iterations, sizeof *each);
    rc = uap_comm_agree(links->comm,
                        each != NULL ? UAP_OK
                                     : UAP_FAIL(err, NO_MEMORY, "no memory for %d times",
                                                (int)iterations),
                        err);
    if (rc != UAP_OK) {
        goto done;
    }
    int32_t n = 0;
    UAP_TRY(run_trains(links, op, count, iterations, each, &n, err));
    if (uap_comm_rank(links->comm) == 0) {
        uap_samples_add(sweep->samples, out->bytes, each, n);
    }
    const double share = op->is_p2p ? 0.5 : 1; /* of a round trip */
    const double median = uap_median(each, n);
    out->seconds = median * share;
    out->mad_s = uap_mad(each, n, median) * share;
    out->count = n;
done:
    uap_free(each);
    return rc;
}

/* Whether the last points lay where the line through those before them went, so that larger
 * sizes would say nothing new. */
static bool holds(const uap_sweep *sweep, const uap_point *point, int32_t n)
{
    if (!(sweep->settle_bytes > 0) || n < HOLDS_POINTS + HOLDS_TIMES ||
        point[n - 1].bytes < sweep->settle_bytes) {
        return false;
    }
    for (int32_t i = n - HOLDS_TIMES; i < n; i++) {
        const uap_line line = uap_fit_line(&point[i - HOLDS_POINTS], HOLDS_POINTS);
        const double foretold = line.latency_s + point[i].bytes / line.bandwidth_Bps;
        if (fabs(foretold / point[i].seconds - 1) > HOLDS_ERROR) {
            return false;
        }
    }
    return true;
}

/* The size of about so many bytes, in whole blocks. */
static double choose_size(uap_operation *op, size_t parts, double bytes)
{
    const size_t block = (size_t)(bytes / sizeof(float)) / parts;
    op->n = block < 1 ? 1 : block;
    return (double)(op->n * parts * sizeof(float));
}

/* A sweep under way. */
typedef struct sizes {
    const uap_links *links;
    uap_operation *op;
    size_t parts;
    double start; /* by this rank's clock */
    int32_t most; /* sizes */
} sizes;

static double bytes_of(const sizes *s, int32_t index)
{
    return s->links->sweep.min_bytes * pow(s->links->sweep.factor, index);
}

/* Measures the size of the sweep that is up to FAR_TIMES the last point, from `index` on, which
 * comes next; *is_foretold: the line through the last points foretold it. */
static uap_status look_ahead(const sizes *s, const uap_point *last, int32_t *index,
                             uap_point *far, bool *is_foretold, uap_err *err)
{
    const uap_line line = uap_fit_line(last - (HOLDS_POINTS - 1), HOLDS_POINTS);
    /* The half allows for rounding in powers. */
    while (*index + 1 < s->most &&
           bytes_of(s, *index + 1) <= last->bytes * FAR_TIMES * 1.5) {
        ++*index;
    }
    far->bytes = choose_size(s->op, s->parts, bytes_of(s, *index));
    const uap_status rc = measure_point(s->links, s->op, far, err);
    const double foretold = line.latency_s + far->bytes / line.bandwidth_Bps;
    *is_foretold = fabs(foretold / far->seconds - 1) <= FAR_ERROR;
    return rc;
}

/* Seconds since the sweep began, by rank 0's clock; 0 where it has no limit. */
static uap_status read_elapsed(const sizes *s, double *elapsed_s, uap_err *err)
{
    *elapsed_s = uap_clock_s() - s->start;
    if (!(s->links->sweep.allow_s > 0)) {
        *elapsed_s = 0;
        return UAP_OK;
    }
    return uap_comm_bcast(s->links->comm, elapsed_s, sizeof *elapsed_s, 0, err);
}

/* How many sizes on the next one is, behind n of them: more than one where all that are left
 * would take too long at their pace. */
static uap_status choose_step(const sizes *s, int32_t index, int32_t n, int32_t *step,
                              uap_err *err)
{
    const uap_sweep *sweep = &s->links->sweep;
    uap_status rc = UAP_OK;
    double elapsed_s = 0;
    *step = 1;
    UAP_TRY(read_elapsed(s, &elapsed_s, err));
    while (elapsed_s > 0 && pow(sweep->factor, *step + 1) <= STEP_MOST) {
        const int32_t left = (s->most - 1 - index) / *step;
        if (elapsed_s + left * elapsed_s / n <= sweep->allow_s) {
            break;
        }
        ++*step;
    }
done:
    return rc;
}

/* The sizes of the sweep, to its end or as far as it must go; *n of them. */
static uap_status run_sizes(const sizes *s, uap_point *point, int32_t *n, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_point far = {0};
    int32_t far_at = s->most, step = 1;
    bool is_foretold = false;
    *n = 0;
    for (int32_t i = 0; i < s->most && !is_foretold; i += step) {
        if (far.bytes <= 0 && holds(&s->links->sweep, point, *n)) {
            far_at = i;
            UAP_TRY(look_ahead(s, &point[*n - 1], &far_at, &far, &is_foretold, err));
        }
        if (is_foretold || i == far_at) {
            point[*n] = far;
        } else {
            point[*n].bytes = choose_size(s->op, s->parts, bytes_of(s, i));
            UAP_TRY(measure_point(s->links, s->op, &point[*n], err));
        }
        ++*n;
        UAP_TRY(choose_step(s, i, *n, &step, err));
        step = i < far_at && i + step > far_at && far.bytes > 0 ? far_at - i : step;
    }
done:
    return rc;
}

/* Measures one more size, of about so many bytes, and keeps the points in order; *is_new: there
 * was no point of it. */
static uap_status add_point(const sizes *s, double bytes, uap_swept *swept, bool *is_new,
                            uap_err *err)
{
    uap_status rc = UAP_OK;
    int32_t at = swept->n_points;
    uap_point added = {.bytes = choose_size(s->op, s->parts, bytes)};
    *is_new = true;
    for (int32_t i = 0; i < swept->n_points; i++) {
        *is_new = *is_new && fabs(swept->point[i].bytes - added.bytes) >= 1;
    }
    if (!*is_new) {
        return UAP_OK;
    }
    UAP_TRY(measure_point(s->links, s->op, &added, err));
    for (; at > 0 && swept->point[at - 1].bytes > added.bytes; at--) {
        swept->point[at] = swept->point[at - 1];
    }
    swept->point[at] = added;
    swept->n_points++;
done:
    return rc;
}

/* The lines, and further sizes where they say least, one after the other. */
static uap_status close_in(const sizes *s, uap_swept *swept, uap_err *err)
{
    const uap_sweep *sweep = &s->links->sweep;
    uap_status rc = UAP_OK;
    double elapsed_s = 0;
    bool is_new = true;
    swept->line = uap_fit_pieces(swept->point, swept->n_points, &swept->pieces);
    for (int32_t i = 0; i < sweep->doubts && is_new; i++) {
        const double bytes =
            uap_fit_doubt(swept->line, &swept->pieces, swept->point, swept->n_points);
        UAP_TRY(read_elapsed(s, &elapsed_s, err));
        const double then_s = elapsed_s * (1 + 1.0 / swept->n_points);
        if (!(bytes > 0) || (elapsed_s > 0 && then_s > sweep->allow_s)) {
            break;
        }
        UAP_TRY(add_point(s, bytes, swept, &is_new, err));
        swept->line = uap_fit_pieces(swept->point, swept->n_points, &swept->pieces);
    }
done:
    return rc;
}

uap_status uap_links_sweep(const uap_links *links, uap_operation op, size_t parts,
                           uap_swept *out, uap_err *err)
{
    const int32_t n = uap_sweep_points(&links->sweep);
    const sizes under_way = {
        .links = links, .op = &op, .parts = parts, .start = uap_clock_s(), .most = n};
    uap_status rc = UAP_OK;
    const size_t room = (size_t)(n + links->sweep.doubts);
    uap_point *point = uap_calloc(room, sizeof *point);
    int32_t measured = 0;
    memset(out, 0, sizeof *out);
    rc = uap_comm_agree(links->comm,
                        point != NULL
                            ? UAP_OK
                            : UAP_FAIL(err, NO_MEMORY, "no memory for %d points", (int)n),
                        err);
    if (rc == UAP_OK) {
        rc = run_sizes(&under_way, point, &measured, err);
    }
    out->point = point;
    out->n_points = measured;
    if (rc == UAP_OK) {
        rc = close_in(&under_way, out, err);
    }
    if (rc != UAP_OK) {
        uap_free(point);
        memset(out, 0, sizeof *out);
        return rc;
    }
    out->spent_s = uap_clock_s() - under_way.start;
    return UAP_OK;
}
