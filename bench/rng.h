/* Random numbers that are the same on every machine and library: xoshiro256** seeded by
 * splitmix64 (Blackman and Vigna, https://prng.di.unimi.it/). Not for secrets. */
#ifndef UAP_BENCH_RNG_H
#define UAP_BENCH_RNG_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_rng {
    uint64_t s[4];
} uap_rng;

/* Any seed is legal; neighbouring seeds give unrelated streams. */
void uap_rng_seed(uap_rng *rng, uint64_t seed);

uint64_t uap_rng_next(uap_rng *rng);

/* Uniform in [lo, hi], lo <= hi, without bias. */
int64_t uap_rng_range(uap_rng *rng, int64_t lo, int64_t hi);

/* Uniform in [lo, hi). */
double uap_rng_real(uap_rng *rng, double lo, double hi);

/* True with this probability. */
bool uap_rng_chance(uap_rng *rng, double probability);

#ifdef __cplusplus
}
#endif
#endif
