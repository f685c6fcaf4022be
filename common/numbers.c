/* Divisors. */
#include "common/numbers.h"

size_t uap_divisors(int64_t n, int64_t *out, size_t capacity)
{
    size_t count = 0;
    int64_t d = 1;
    for (; d <= n / d; d++) {
        if (n % d == 0) {
            if (count == capacity) {
                return 0;
            }
            out[count++] = d;
        }
    }
    /* The large divisors mirror the small ones, the square root counted once. */
    const size_t small = count;
    for (size_t i = small; i-- > 0;) {
        const int64_t mirror = n / out[i];
        if (mirror == out[i]) {
            continue;
        }
        if (count == capacity) {
            return 0;
        }
        out[count++] = mirror;
    }
    return count;
}
