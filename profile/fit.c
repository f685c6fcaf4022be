/* Median, spread and the weighted least-squares line. */
#include "profile/fit.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double uap_median(double *value, int64_t n)
{
    if (n < 1) {
        return (double)NAN;
    }
    qsort(value, (size_t)n, sizeof *value, compare);
    return n % 2 == 1 ? value[n / 2] : (value[n / 2 - 1] + value[n / 2]) / 2;
}

double uap_mad(double *value, int64_t n, double centre)
{
    for (int64_t i = 0; i < n; i++) {
        value[i] = fabs(value[i] - centre);
    }
    return uap_median(value, n);
}

bool uap_point_is_usable(const uap_point *p)
{
    return p->bytes > 0 && p->seconds > 0 && isfinite(p->bytes) && isfinite(p->seconds);
}

/* One row per point: a * (1 / t) + b * (x / t) = 1, with latency a and b = 1 / bandwidth. */
typedef struct normal_equations {
    double aa, ab, bb, a1, b1;
} normal_equations;

static normal_equations add_up(const uap_point *point, int32_t n)
{
    normal_equations e = {0};
    for (int32_t i = 0; i < n; i++) {
        if (uap_point_is_usable(&point[i])) {
            const double u = 1 / point[i].seconds, v = point[i].bytes * u;
            e.aa += u * u;
            e.ab += u * v;
            e.bb += v * v;
            e.a1 += u;
            e.b1 += v;
        }
    }
    return e;
}

/* A bandwidth that is no bandwidth: the sweep's time does not grow with its size. */
static uap_line through_largest(const uap_point *point, int32_t n)
{
    uap_point largest = {0};
    for (int32_t i = 0; i < n; i++) {
        if (uap_point_is_usable(&point[i]) && point[i].bytes > largest.bytes) {
            largest = point[i];
        }
    }
    return largest.bytes > 0 ? (uap_line){0, largest.bytes / largest.seconds}
                             : (uap_line){0, 0};
}

uap_line uap_fit_line(const uap_point *point, int32_t n)
{
    const normal_equations e = add_up(point, n);
    const double determinant = e.aa * e.bb - e.ab * e.ab;
    double a = 0, b = e.bb > 0 ? e.b1 / e.bb : 0; /* the best line of latency 0 */
    /* Relative to aa * bb: equal sizes make the two columns parallel. */
    if (determinant > 1e-12 * e.aa * e.bb) {
        const double free_a = (e.a1 * e.bb - e.b1 * e.ab) / determinant;
        const double free_b = (e.b1 * e.aa - e.a1 * e.ab) / determinant;
        if (free_b <= 0) {
            return through_largest(point, n);
        }
        /* The optimum under a >= 0 lies on a = 0 where the free one is negative. */
        if (free_a >= 0) {
            a = free_a;
            b = free_b;
        }
    }
    return b > 0 ? (uap_line){a, 1 / b} : (uap_line){0, 0};
}
