/* From repeated times to numbers one can plan with: median, spread, and a line of latency
 * and bandwidth through a size sweep. Pure arithmetic. */
#ifndef UAP_PROFILE_FIT_H
#define UAP_PROFILE_FIT_H

#include "configs/cluster.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sorts value[0 .. n-1] and returns its median (mean of the middle two); NaN for n < 1. */
double uap_median(double *value, int64_t n);

/* Median absolute deviation from `centre`; overwrites value. NaN for n < 1. */
double uap_mad(double *value, int64_t n, double centre);

/* A positive time of a positive size. */
bool uap_point_is_usable(const uap_point *point);

/* seconds = latency_s + bytes / bandwidth_Bps. */
typedef struct uap_line {
    double latency_s;     /* >= 0 */
    double bandwidth_Bps; /* > 0 */
} uap_line;

/* The line with the least sum of squared *relative* errors over points with bytes > 0 and
 * seconds > 0 (others are left out), among those with latency >= 0 and bandwidth > 0: so
 * small messages count as much as large ones. Points whose time does not grow with their
 * size, or a single one, give a line through the largest point without latency. No usable
 * point gives {0, 0}. */
uap_line uap_fit_line(const uap_point *point, int32_t n);

/* The same in pieces, robustly. Of the usable points (at most UAP_FIT_POINTS_MAX, ascending in
 * bytes) a piece takes two or more neighbours, and there are as many pieces as the Bayesian
 * information criterion asks for (errors beside a line Laplace-distributed, never taken for
 * smaller than a measurement's own noise): so a switch of the protocol makes a piece, one odd
 * point does not. A piece's line has the least sum of absolute relative errors, then least
 * squares over the points near it, with latency >= 0 and bandwidth > 0. out->n is 0 where one
 * line is enough. Returns the line over all points by the same rule. */
uap_line uap_fit_pieces(const uap_point *point, int32_t n, uap_pieces *out);

#define UAP_FIT_POINTS_MAX 64

/* The size between two neighbours of the n points (ascending) at which one more measurement would
 * tell most of what the lines leave open: where the lines of its neighbours, as far off as those
 * points are, disagree most, wide gaps before narrow ones; 0 where nothing is open by more than a
 * tenth over a factor of 2. */
double uap_fit_doubt(uap_line line, const uap_pieces *pieces, const uap_point *point,
                     int32_t n);

/* How far the usable points lie from the lines: |fitted - seconds| / seconds. */
typedef struct uap_residuals {
    double median, largest;
} uap_residuals;

/* Of the pieces, or of the line where there are none; 0 and 0 without a usable point. */
uap_residuals uap_fit_residuals(uap_line line, const uap_pieces *pieces,
                                const uap_point *point, int32_t n);

#ifdef __cplusplus
}
#endif
#endif
