/* SHA-1 of one block, its rounds unrolled by five so that no word has to move. */
#include "bench/sha1.h"

#include <assert.h>
#include <string.h>

static uint32_t rotl(uint32_t x, int n)
{
    return (x << n) | (x >> (32 - n));
}

/* Word t of the schedule, which replaces word t - 16 in the ring. */
static uint32_t next_word(uint32_t w[16], int t)
{
    return w[t & 15] =
               rotl(w[(t + 13) & 15] ^ w[(t + 8) & 15] ^ w[(t + 2) & 15] ^ w[t & 15], 1);
}

#define WORD(t)         ((t) < 16 ? w[(t)&15] : next_word(w, (t)))
#define CHOOSE(b, c, d) ((d) ^ ((b) & ((c) ^ (d))))
#define PARITY(b, c, d) ((b) ^ (c) ^ (d))
#define MOST(b, c, d)   (((b) & (c)) | ((d) & ((b) | (c))))

#define ROUND(f, k, a, b, c, d, e, t)                                                    \
    do {                                                                                 \
        (e) += rotl((a), 5) + f((b), (c), (d)) + (k) + WORD(t);                          \
        (b) = rotl((b), 30);                                                             \
    } while (0)

#define FIVE_ROUNDS(f, k, t)                                                             \
    do {                                                                                 \
        ROUND(f, k, a, b, c, d, e, (t));                                                 \
        ROUND(f, k, e, a, b, c, d, (t) + 1);                                             \
        ROUND(f, k, d, e, a, b, c, (t) + 2);                                             \
        ROUND(f, k, c, d, e, a, b, (t) + 3);                                             \
        ROUND(f, k, b, c, d, e, a, (t) + 4);                                             \
    } while (0)

/* Twenty rounds from round t on; the state's words in and out. */
#define TWENTY_ROUNDS(name, f, k, t)                                                     \
    static inline void name(uint32_t state[5], uint32_t w[16])                           \
    {                                                                                    \
        uint32_t a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];   \
        FIVE_ROUNDS(f, k, (t));                                                          \
        FIVE_ROUNDS(f, k, (t) + 5);                                                      \
        FIVE_ROUNDS(f, k, (t) + 10);                                                     \
        FIVE_ROUNDS(f, k, (t) + 15);                                                     \
        state[0] = a;                                                                    \
        state[1] = b;                                                                    \
        state[2] = c;                                                                    \
        state[3] = d;                                                                    \
        state[4] = e;                                                                    \
    }

TWENTY_ROUNDS(rounds_0, CHOOSE, 0x5a827999u, 0)
TWENTY_ROUNDS(rounds_20, PARITY, 0x6ed9eba1u, 20)
TWENTY_ROUNDS(rounds_40, MOST, 0x8f1bbcdcu, 40)
TWENTY_ROUNDS(rounds_60, PARITY, 0xca62c1d6u, 60)

static void put_be32(uint8_t *to, uint32_t x)
{
    to[0] = (uint8_t)(x >> 24);
    to[1] = (uint8_t)(x >> 16);
    to[2] = (uint8_t)(x >> 8);
    to[3] = (uint8_t)x;
}

void uap_sha1_short(const uint8_t *data, size_t n, uint8_t digest[UAP_SHA1_BYTES])
{
    static const uint32_t start[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476,
                                      0xc3d2e1f0};
    uint8_t block[64] = {0};
    uint32_t w[16], state[5];
    assert(n <= UAP_SHA1_MOST_DATA);
    memcpy(block, data, n);
    memcpy(state, start, sizeof state);
    block[n] = 0x80;
    put_be32(block + 60, (uint32_t)n * 8);
    for (size_t i = 0; i < 16; i++) {
        w[i] = (uint32_t)block[4 * i] << 24 | (uint32_t)block[4 * i + 1] << 16 |
               (uint32_t)block[4 * i + 2] << 8 | (uint32_t)block[4 * i + 3];
    }
    rounds_0(state, w);
    rounds_20(state, w);
    rounds_40(state, w);
    rounds_60(state, w);
    for (size_t i = 0; i < 5; i++) {
        put_be32(digest + 4 * i, state[i] + start[i]);
    }
}
