/* xoshiro256** and splitmix64. */
#include "bench/rng.h"

static uint64_t splitmix64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

void uap_rng_seed(uap_rng *rng, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        rng->s[i] = splitmix64(&seed);
    }
}

static uint64_t rotl(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

uint64_t uap_rng_next(uap_rng *rng)
{
    uint64_t *s = rng->s;
    const uint64_t result = rotl(s[1] * 5, 7) * 9;
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotl(s[3], 45);
    return result;
}

int64_t uap_rng_range(uap_rng *rng, int64_t lo, int64_t hi)
{
    const uint64_t span = (uint64_t)hi - (uint64_t)lo + 1;
    if (span == 0) { /* the whole range of 64 bits */
        return (int64_t)uap_rng_next(rng);
    }
    /* The lowest 2^64 mod span values would make some results likelier than others. */
    const uint64_t reject = (0 - span) % span;
    uint64_t x;
    do {
        x = uap_rng_next(rng);
    } while (x < reject);
    return (int64_t)((uint64_t)lo + x % span);
}

double uap_rng_real(uap_rng *rng, double lo, double hi)
{
    const double unit = (double)(uap_rng_next(rng) >> 11) * 0x1.0p-53;
    return lo + unit * (hi - lo);
}

bool uap_rng_chance(uap_rng *rng, double probability)
{
    return uap_rng_real(rng, 0.0, 1.0) < probability;
}
