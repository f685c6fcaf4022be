/* Two ways of timing the same thing, turn about: do they agree within a bar, and is the machine
 * quiet enough to say so? Arithmetic on times; it measures nothing itself. */
#ifndef UAP_BENCH_DUEL_H
#define UAP_BENCH_DUEL_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_duel_verdict {
    UAP_DUEL_AGREES,
    UAP_DUEL_DIFFERS,
    UAP_DUEL_TOO_NOISY /* the same thing against itself differs by more than the bar */
} uap_duel_verdict;

typedef struct uap_duel {
    double ours_s, plain_s; /* medians */
    double ratio;           /* ours by plain */
    double self; /* largest |ratio - 1| of one's turns against its own others */
    uap_duel_verdict verdict;
} uap_duel;

/* ours[i] and plain[i] are times of turn i, n >= 4 of each. Each is held against itself by the
 * medians of its even and of its odd turns. scratch has room for n. */
uap_duel uap_duel_judge(const double *ours, const double *plain, int32_t n, double bar,
                        double *scratch);

const char *uap_duel_text(uap_duel_verdict verdict); /* "pass", "FAIL", "noisy" */

#ifdef __cplusplus
}
#endif
#endif
