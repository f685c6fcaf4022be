/* Sweeps that are fitted, and sizes between theirs that are foretold. */
#include "bench/accuracy_lines.h"

#include "bench/duel.h"
#include "common/mem.h"
#include "configs/cluster.h"
#include "profile/fit.h"
#include "profile/links.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* 2^i KiB are fitted, 3 x 2^(i-1) KiB foretold. */
#define FITTED_MIN       1024.0
#define FORETOLD_MIN     1536.0
#define FACTOR           2.0
#define DOUBTS           12
#define ROUNDS           5
#define POINTS_MAX       32
#define LEAST_ITERATIONS 5
#define MOST_ITERATIONS  50

/* A link whose line is checked: a collective over groups, or pairs (size 0). */
typedef struct line_check {
    uap_collective_kind kind;
    int32_t size; /* of neighbours; 0: point to point, all pairs at once */
} line_check;

/* The planner's answer from one entry: the machine as a node of so many devices. */
static double foretold_s(const line_check *check, const uap_collective *collective,
                         const uap_p2p *p2p, double bytes)
{
    const bool is_p2p = check->size == 0;
    uap_node_group group = {.nodes = 1, .devices_per_node = is_p2p ? 2 : check->size};
    uap_collective entry = *collective;
    uap_p2p pair = *p2p;
    entry.span = pair.span = UAP_SPAN_NODE;
    const uap_cluster cluster = {.n_groups = 1,
                                 .group = &group,
                                 .n_collectives = is_p2p ? 0 : 1,
                                 .collective = &entry,
                                 .n_p2p = is_p2p ? 1 : 0,
                                 .p2p = &pair};
    return is_p2p ? uap_cluster_p2p_s(&cluster, 1, bytes, NULL)
                  : uap_cluster_collective_s(&cluster, check->kind, check->size, 1, bytes,
                                             NULL);
}

static uap_sweep sweep_of(const uap_bench_accuracy *bench, bool is_fitted)
{
    /* Nothing beyond the largest size that is fitted is foretold. */
    return (uap_sweep){.min_bytes = is_fitted ? FITTED_MIN : FORETOLD_MIN,
                       .max_bytes = bench->max_bytes / (is_fitted ? 1 : 2),
                       .factor = FACTOR,
                       .doubts = is_fitted ? DOUBTS : 0,
                       .point_s = bench->turn_s,
                       .min_iterations = LEAST_ITERATIONS,
                       .max_iterations = MOST_ITERATIONS};
}

/* One sweep; of the two only the one that the check is about is filled. */
static uap_status sweep_once(uap_links *links, const line_check *check,
                             uap_collective *collective, uap_p2p *p2p, uap_err *err)
{
    const uap_group_shape shape = {check->size, 1};
    return check->size == 0
               ? uap_links_p2p(links, 1, false, p2p, err)
               : uap_links_collective(links, check->kind, shape, true, collective, err);
}

/* What the rounds of one check found, and the medians over rounds. */
typedef struct line_rounds {
    int32_t n, pieces; /* sizes foretold; most pieces of a fit */
    double bytes[POINTS_MAX];
    double measured[ROUNDS][POINTS_MAX], foretold[ROUNDS][POINTS_MAX]; /* s */
    double error[POINTS_MAX]; /* |foretold / measured - 1| of the medians */
} line_rounds;

static uap_status one_round(const uap_bench_accuracy *bench, const uap_comm *comm,
                            const line_check *check, int32_t round, line_rounds *out,
                            uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_collective fitted = {0}, measured = {0};
    uap_p2p fitted_pair = {0}, measured_pair = {0};
    uap_links *links = NULL;
    const uap_sweep all = sweep_of(bench, true);
    UAP_TRY(uap_links_new(comm, &all, &links, err));
    /* In turns the one and the other first, which evens out drift. */
    for (int i = 0; i < 2; i++) {
        const bool is_fitted = (i == 0) == (round % 2 == 0);
        const uap_sweep sweep = sweep_of(bench, is_fitted);
        uap_links_change_sweep(links, &sweep);
        UAP_TRY(sweep_once(links, check, is_fitted ? &fitted : &measured,
                           is_fitted ? &fitted_pair : &measured_pair, err));
    }
    const bool is_p2p = check->size == 0;
    const uap_point *point = is_p2p ? measured_pair.point : measured.point;
    const int32_t n = is_p2p ? measured_pair.n_points : measured.n_points;
    const int32_t pieces = is_p2p ? fitted_pair.pieces.n : fitted.pieces.n;
    out->pieces = pieces > out->pieces ? pieces : out->pieces;
    out->n = n < POINTS_MAX ? n : POINTS_MAX;
    for (int32_t i = 0; i < out->n; i++) {
        out->bytes[i] = point[i].bytes;
        out->measured[round][i] = point[i].seconds;
        out->foretold[round][i] =
            foretold_s(check, &fitted, &fitted_pair, point[i].bytes);
    }
done:
    uap_links_free(links);
    uap_free(fitted.point);
    uap_free(fitted_pair.point);
    uap_free(measured.point);
    uap_free(measured_pair.point);
    return rc;
}

/* Median over rounds of one size's times. */
static double over_rounds(double time[ROUNDS][POINTS_MAX], int32_t size)
{
    double own[ROUNDS];
    for (int32_t r = 0; r < ROUNDS; r++) {
        own[r] = time[r][size];
    }
    return uap_median(own, ROUNDS);
}

/* How far a size's times lie from their median over rounds, the median over all. */
static double own_spread(const line_rounds *rounds, double time[ROUNDS][POINTS_MAX])
{
    double away[ROUNDS * POINTS_MAX];
    int32_t n = 0;
    for (int32_t i = 0; i < rounds->n; i++) {
        const double median = over_rounds(time, i);
        for (int32_t r = 0; r < ROUNDS; r++) {
            away[n++] = fabs(time[r][i] / median - 1);
        }
    }
    return uap_median(away, n);
}

/* Fills the errors; with `out` says them, a line for each size. */
static void compare(line_rounds *rounds, FILE *out)
{
    for (int32_t i = 0; i < rounds->n; i++) {
        const double measured = over_rounds(rounds->measured, i);
        const double foretold = over_rounds(rounds->foretold, i);
        rounds->error[i] = fabs(foretold / measured - 1);
        if (out != NULL) {
            (void)fprintf(out, "%16.0f bytes %12.3f us, foretold %12.3f (%+.1f %%)\n",
                          rounds->bytes[i], measured * 1e6, foretold * 1e6,
                          (foretold / measured - 1) * 100);
        }
    }
}

static uap_status check_line(const uap_bench_accuracy *bench, const uap_comm *comm,
                             const line_check *check, bool *passes, uap_err *err)
{
    uap_status rc = UAP_OK;
    line_rounds rounds;
    uap_duel_verdict verdict = UAP_DUEL_TOO_NOISY;
    double error = 0, largest = 0, self = 0;
    int32_t attempt = 0;
    while (attempt < bench->attempts && verdict == UAP_DUEL_TOO_NOISY) {
        rounds = (line_rounds){.n = 0};
        for (int32_t r = 0; r < ROUNDS; r++) {
            UAP_TRY(one_round(bench, comm, check, r, &rounds, err));
        }
        compare(&rounds,
                bench->lists_sizes && uap_comm_rank(comm) == 0 ? bench->out : NULL);
        error = uap_median(rounds.error, rounds.n); /* sorts them */
        largest = rounds.error[rounds.n - 1];
        self = fmax(own_spread(&rounds, rounds.measured),
                    own_spread(&rounds, rounds.foretold));
        verdict = !(self <= bench->line_bar) ? UAP_DUEL_TOO_NOISY
                  : error <= bench->line_bar ? UAP_DUEL_AGREES
                                             : UAP_DUEL_DIFFERS;
        attempt++;
    }
    *passes = *passes && verdict == UAP_DUEL_AGREES;
    if (uap_comm_rank(comm) == 0) {
        char ranks[32] = "pairs";
        if (check->size > 0) {
            (void)snprintf(ranks, sizeof ranks, "%d ranks", (int)check->size);
        }
        (void)fprintf(bench->out, "%-16s %10s %6d %7d %9.1f %9.1f %6.1f %6.1f %8d  %s\n",
                      check->size == 0 ? "point to point"
                                       : uap_collective_name(check->kind),
                      ranks, (int)rounds.n, (int)(rounds.pieces > 0 ? rounds.pieces : 1),
                      error * 100, largest * 100, self * 100, bench->line_bar * 100,
                      (int)attempt, uap_duel_text(verdict));
        (void)fflush(bench->out);
    }
done:
    return rc;
}

uap_status uap_accuracy_lines(const uap_bench_accuracy *bench, const uap_comm *comm,
                              bool *passes, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int32_t ranks = uap_comm_size(comm);
    if (uap_comm_rank(comm) == 0) {
        (void)fprintf(bench->out,
                      "\nlines fitted to 2^i KiB, sizes 3 x 2^(i-1) KiB foretold by the "
                      "planner's rules, %d rounds\n"
                      "%-16s %10s %6s %7s %9s %9s %6s %6s %8s\n",
                      ROUNDS, "", "", "sizes", "pieces", "median_%", "largest_%",
                      "self_%", "bar_%", "attempts");
    }
    UAP_TRY(check_line(bench, comm, &(line_check){.size = 0}, passes, err));
    for (int32_t size = 2; size <= ranks; size += size < ranks ? ranks - size : 1) {
        if (ranks % size != 0) {
            continue;
        }
        for (int kind = 0; kind < UAP_COLLECTIVE_COUNT; kind++) {
            const line_check check = {(uap_collective_kind)kind, size};
            UAP_TRY(check_line(bench, comm, &check, passes, err));
        }
    }
done:
    return rc;
}
