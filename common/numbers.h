/* Small integer arithmetic used everywhere: divisors, checked products. */
#ifndef UAP_COMMON_NUMBERS_H
#define UAP_COMMON_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

static inline int64_t uap_min_i64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static inline int64_t uap_max_i64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static inline int32_t uap_min_i32(int32_t a, int32_t b)
{
    return a < b ? a : b;
}

static inline int32_t uap_max_i32(int32_t a, int32_t b)
{
    return a > b ? a : b;
}

/* Unlike fmax and fmin these are no calls; a NaN is not looked for. */
static inline double uap_max_f64(double a, double b)
{
    return a > b ? a : b;
}

static inline double uap_min_f64(double a, double b)
{
    return a < b ? a : b;
}

/* ceil(a / b) for a >= 0, b > 0. */
static inline int64_t uap_ceil_div(int64_t a, int64_t b)
{
    return a / b + (a % b != 0);
}

/* Writes the divisors of n > 0 in ascending order to out (capacity entries; 1344 is enough
 * for any n up to 10^9) and returns their number, or 0 where they do not fit. */
size_t uap_divisors(int64_t n, int64_t *out, size_t capacity);

#ifdef __cplusplus
}
#endif
#endif
