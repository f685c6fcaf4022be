/* A size sweep as lines in pieces: where a transport changes its protocol one line fits neither
 * side. */
#include "profile/fit.h"

#include <math.h>
#include <string.h>

/* Of a piece. Two suffice: a time that is too long lies on no line with a neighbour, as lines
 * neither fall nor begin below 0. */
#define POINTS_MIN 2

/* Relative errors below this are noise, whatever the fit says: it keeps a sweep that is
 * almost exact from falling into pieces. */
#define NOISE 0.02

/* A point this far off counts no more than one that is twice as far. */
#define ERROR_MAX 0.5

/* Points within so many typical errors of a line, or this near, shape it. */
#define NEAR_SCORE 3.0
#define NEAR_MIN   0.02

/* A sweep's points and, for every run of neighbours, its line and how badly it fits. */
typedef struct sweep {
    int32_t n;
    uap_point point[UAP_FIT_POINTS_MAX];
    uap_line line[UAP_FIT_POINTS_MAX][UAP_FIT_POINTS_MAX]; /* first, last */
    double error[UAP_FIT_POINTS_MAX][UAP_FIT_POINTS_MAX];
} sweep;

static double relative_error(double latency_s, double per_byte_s, const uap_point *point)
{
    return fabs((latency_s + point->bytes * per_byte_s) / point->seconds - 1);
}

static double sum_of_errors(double latency_s, double per_byte_s, const uap_point *point,
                            int32_t n)
{
    double sum = 0;
    for (int32_t i = 0; i < n; i++) {
        sum += fmin(relative_error(latency_s, per_byte_s, &point[i]), ERROR_MAX);
    }
    return sum;
}

/* A line under trial: the better of it and the one known so far. */
typedef struct trial {
    double latency_s, per_byte_s, error;
} trial;

static void try_line(trial *best, double latency_s, double per_byte_s,
                     const uap_point *point, int32_t n)
{
    if (!(latency_s >= 0 && per_byte_s >= 0) || !isfinite(latency_s + per_byte_s)) {
        return;
    }
    const double error = sum_of_errors(latency_s, per_byte_s, point, n);
    if (error < best->error) {
        *best = (trial){latency_s, per_byte_s, error};
    }
}

/* The least sum of absolute errors is attained by a line through two of the points, or
 * through one where the other unknown is 0. */
static trial least_absolute(const uap_point *point, int32_t n)
{
    trial best = {0, 0, HUGE_VAL};
    for (int32_t i = 0; i < n; i++) {
        try_line(&best, 0, point[i].seconds / point[i].bytes, point, n);
        try_line(&best, point[i].seconds, 0, point, n);
        for (int32_t j = 0; j < i; j++) {
            const double per_byte =
                (point[i].seconds - point[j].seconds) / (point[i].bytes - point[j].bytes);
            try_line(&best, point[i].seconds - per_byte * point[i].bytes, per_byte, point,
                     n);
        }
    }
    return best;
}

/* Least squares over the points near the line: their noise averages out. */
static trial refined(trial from, const uap_point *point, int32_t n)
{
    uap_point near_it[UAP_FIT_POINTS_MAX];
    double error[UAP_FIT_POINTS_MAX];
    int32_t kept = 0;
    for (int32_t i = 0; i < n; i++) {
        error[i] = relative_error(from.latency_s, from.per_byte_s, &point[i]);
    }
    const double limit = fmax(NEAR_MIN, NEAR_SCORE * 1.4826 * uap_median(error, n));
    for (int32_t i = 0; i < n; i++) {
        if (relative_error(from.latency_s, from.per_byte_s, &point[i]) <= limit) {
            near_it[kept++] = point[i];
        }
    }
    const uap_line line = uap_fit_line(near_it, kept);
    const bool is_line = kept >= 2 && from.per_byte_s > 0 && line.bandwidth_Bps > 0;
    if (!is_line) {
        return from;
    }
    const double per_byte_s = 1 / line.bandwidth_Bps;
    const double sum = sum_of_errors(line.latency_s, per_byte_s, point, n);
    /* Where times do not grow with the size uap_fit_line gives up the latency instead. */
    return sum <= 1.5 * from.error + NOISE * n ? (trial){line.latency_s, per_byte_s, sum}
                                               : from;
}

/* The line over neighbours. Where they do not grow with their size a bandwidth stands for
 * "a thousandth of the time". */
static uap_line fit_run(const uap_point *point, int32_t n, double *error)
{
    const trial best = refined(least_absolute(point, n), point, n);
    const double least_per_byte = best.latency_s * 1e-3 / point[n - 1].bytes;
    *error = best.error;
    return (uap_line){best.latency_s, 1 / fmax(best.per_byte_s, least_per_byte)};
}

static void take_points(sweep *s, const uap_point *point, int32_t n)
{
    for (int32_t i = 0; i < n && s->n < UAP_FIT_POINTS_MAX; i++) {
        const bool ascends = s->n == 0 || point[i].bytes > s->point[s->n - 1].bytes;
        if (uap_point_is_usable(&point[i]) && ascends) {
            s->point[s->n++] = point[i];
        }
    }
    for (int32_t first = 0; first < s->n; first++) {
        for (int32_t last = first + POINTS_MIN - 1; last < s->n; last++) {
            s->line[first][last] =
                fit_run(&s->point[first], last - first + 1, &s->error[first][last]);
        }
    }
}

/* Cuts into `pieces` runs with the least sum of errors: first[k] is where run k begins.
 * Returns the sum, HUGE_VAL where there are too few points. */
static double cut(const sweep *s, int32_t pieces, int32_t first[UAP_PIECES_MAX])
{
    double best[UAP_PIECES_MAX + 1][UAP_FIT_POINTS_MAX + 1]; /* runs, points covered */
    int32_t from[UAP_PIECES_MAX + 1][UAP_FIT_POINTS_MAX + 1];
    for (int32_t k = 0; k <= pieces; k++) {
        for (int32_t end = 0; end <= s->n; end++) {
            best[k][end] = k == 0 && end == 0 ? 0 : HUGE_VAL;
            from[k][end] = 0;
            for (int32_t begin = 0; k > 0 && begin + POINTS_MIN <= end; begin++) {
                const double sum = best[k - 1][begin] + s->error[begin][end - 1];
                if (sum < best[k][end]) {
                    best[k][end] = sum;
                    from[k][end] = begin;
                }
            }
        }
    }
    int32_t end = s->n;
    for (int32_t k = pieces; k > 0; k--) {
        first[k - 1] = from[k][end];
        end = first[k - 1];
    }
    return best[pieces][s->n];
}

/* Bayesian information criterion of `pieces` lines: two unknowns each and the switches. */
static double criterion(double error_sum, int32_t n, int32_t pieces)
{
    const double count = (double)n;
    return 2 * count * log(error_sum / count + NOISE) +
           (3 * (double)pieces - 1) * log(count);
}

uap_line uap_fit_pieces(const uap_point *point, int32_t n, uap_pieces *out)
{
    static const uap_pieces none = {0};
    sweep s;
    s.n = 0;
    *out = none;
    take_points(&s, point, n);
    if (s.n <= POINTS_MIN) {
        return uap_fit_line(point, n);
    }
    const uap_line whole = s.line[0][s.n - 1];
    double best = criterion(s.error[0][s.n - 1], s.n, 1);
    for (int32_t pieces = 2; pieces <= UAP_PIECES_MAX; pieces++) {
        int32_t first[UAP_PIECES_MAX] = {0};
        const double sum = cut(&s, pieces, first);
        if (!isfinite(sum) || criterion(sum, s.n, pieces) >= best) {
            continue;
        }
        best = criterion(sum, s.n, pieces);
        out->n = pieces;
        for (int32_t k = 0; k < pieces; k++) {
            const int32_t end = k + 1 < pieces ? first[k + 1] : s.n;
            const uap_line line = s.line[first[k]][end - 1];
            /* The switch is somewhere between the two sizes: halfway by ratio. */
            const double from =
                k == 0 ? 0 : sqrt(s.point[first[k] - 1].bytes * s.point[first[k]].bytes);
            out->piece[k] = (uap_piece){from, line.latency_s, line.bandwidth_Bps};
        }
    }
    return whole;
}

uap_residuals uap_fit_residuals(uap_line line, const uap_pieces *pieces,
                                const uap_point *point, int32_t n)
{
    uap_residuals out = {0, 0};
    double error[UAP_FIT_POINTS_MAX];
    int32_t kept = 0;
    for (int32_t i = 0; i < n && kept < UAP_FIT_POINTS_MAX; i++) {
        uap_piece at = {0, line.latency_s, line.bandwidth_Bps};
        for (int32_t k = 0; k < pieces->n; k++) {
            at = k == 0 || pieces->piece[k].from_bytes <= point[i].bytes
                     ? pieces->piece[k]
                     : at;
        }
        if (uap_point_is_usable(&point[i])) {
            error[kept] = relative_error(at.latency_s, 1 / at.bandwidth_Bps, &point[i]);
            out.largest = fmax(out.largest, error[kept++]);
        }
    }
    out.median = kept > 0 ? uap_median(error, kept) : 0;
    return out;
}
