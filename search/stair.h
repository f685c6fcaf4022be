/* Staircases: lists of points of which each begins with two sums, S ascending and M
 * descending. Where a point goes, whatever else it holds; the relaxations over cuts keep theirs
 * so (search/outer.c, search/mix_outer.c). Nobody else includes this. */
#ifndef UAP_SEARCH_STAIR_H
#define UAP_SEARCH_STAIR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Points that one more point replaces: from `first` up to, not including, `end`. */
typedef struct uap_stair_gap {
    int32_t first, end;
} uap_stair_gap;

/* at: n points of `size` bytes that begin with double s, m. False, with gap->first the point
 * that is nowhere worse, where there is one. O(log n + points replaced). */
static inline bool uap_stair_find(const void *at, size_t size, int32_t n,
                                  const double point[2], uap_stair_gap *gap)
{
    const char *base = at;
    int32_t lo = 0;
    int32_t hi = n; /* first entry with a larger sum */
    while (lo < hi) {
        const int32_t mid = (lo + hi) / 2;
        const double *p = (const void *)(base + (size_t)mid * size);
        if (p[0] <= point[0]) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    gap->first = lo;
    gap->end = lo;
    if (lo > 0) {
        const double *before = (const void *)(base + (size_t)(lo - 1) * size);
        const bool is_covered = before[1] <= point[1];
        gap->first = is_covered || before[0] >= point[0] ? lo - 1 : lo;
        if (is_covered) {
            return false;
        }
    }
    while (gap->end < n) {
        const double *p = (const void *)(base + (size_t)gap->end * size);
        if (p[1] < point[1]) {
            break;
        }
        gap->end++;
    }
    return true;
}

#endif
