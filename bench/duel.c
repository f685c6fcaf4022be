/* Medians of turns, and what they say. */
#include "bench/duel.h"

#include "profile/fit.h"

#include <math.h>

/* Median of turns first, first + step, ... */
static double median_of(const double *turn, int32_t n, int32_t first, int32_t step,
                        double *scratch)
{
    int32_t kept = 0;
    for (int32_t i = first; i < n; i += step) {
        scratch[kept++] = turn[i];
    }
    return uap_median(scratch, kept);
}

static double self_difference(const double *turn, int32_t n, double *scratch)
{
    const double even = median_of(turn, n, 0, 2, scratch);
    const double odd = median_of(turn, n, 1, 2, scratch);
    return fmax(even / odd, odd / even) - 1;
}

uap_duel uap_duel_judge(const double *ours, const double *plain, int32_t n, double bar,
                        double *scratch)
{
    uap_duel duel = {.ours_s = median_of(ours, n, 0, 1, scratch),
                     .plain_s = median_of(plain, n, 0, 1, scratch)};
    duel.ratio = duel.ours_s / duel.plain_s;
    duel.self =
        fmax(self_difference(ours, n, scratch), self_difference(plain, n, scratch));
    /* Written so that a time of 0 or NaN does not agree. */
    if (!(duel.self <= bar)) {
        duel.verdict = UAP_DUEL_TOO_NOISY;
    } else {
        duel.verdict = fabs(duel.ratio - 1) <= bar ? UAP_DUEL_AGREES : UAP_DUEL_DIFFERS;
    }
    return duel;
}

const char *uap_duel_text(uap_duel_verdict verdict)
{
    static const char *const text[] = {[UAP_DUEL_AGREES] = "pass",
                                       [UAP_DUEL_DIFFERS] = "FAIL",
                                       [UAP_DUEL_TOO_NOISY] = "noisy"};
    return text[verdict];
}
