/* From repeated times to numbers one can plan with: median, spread, and a line of latency
 * and bandwidth through a size sweep. Pure arithmetic. */
#ifndef UAP_PROFILE_FIT_H
#define UAP_PROFILE_FIT_H

#include "configs/cluster.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sorts value[0 .. n-1] and returns its median (mean of the middle two); NaN for n < 1. */
double uap_median(double *value, int64_t n);

/* Median absolute deviation from `centre`; overwrites value. NaN for n < 1. */
double uap_mad(double *value, int64_t n, double centre);

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

/* Largest |line - seconds| / seconds over the usable points. */
double uap_fit_error(uap_line line, const uap_point *point, int32_t n);

#ifdef __cplusplus
}
#endif
#endif
