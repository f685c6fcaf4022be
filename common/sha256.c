/* SHA-256 as FIPS 180-4 writes it, section 6.2; only whole buffers. */
#include "common/sha256.h"

#include <stdint.h>
#include <string.h>

#define BLOCK_BYTES 64u

/* FIPS 180-4, section 4.2.2: fractional parts of the cube roots of the first 64 primes. */
static const uint32_t round_constant[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
    0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
    0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
    0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
    0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
    0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
    0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
    0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
    0xc67178f2};

static uint32_t rotate_right(uint32_t x, unsigned n)
{
    return (x >> n) | (x << (32u - n));
}

static void expand_schedule(const unsigned char block[BLOCK_BYTES], uint32_t w[64])
{
    for (size_t t = 0; t < 16; t++) {
        w[t] = (uint32_t)block[4 * t] << 24 | (uint32_t)block[4 * t + 1] << 16 |
               (uint32_t)block[4 * t + 2] << 8 | (uint32_t)block[4 * t + 3];
    }
    for (unsigned t = 16; t < 64; t++) {
        const uint32_t a = w[t - 15];
        const uint32_t b = w[t - 2];
        const uint32_t s0 = rotate_right(a, 7) ^ rotate_right(a, 18) ^ (a >> 3);
        const uint32_t s1 = rotate_right(b, 17) ^ rotate_right(b, 19) ^ (b >> 10);
        w[t] = s1 + w[t - 7] + s0 + w[t - 16];
    }
}

static void compress(uint32_t hash[8], const unsigned char block[BLOCK_BYTES])
{
    uint32_t w[64];
    uint32_t v[8]; /* the working variables a..h */
    expand_schedule(block, w);
    memcpy(v, hash, sizeof v);
    for (unsigned t = 0; t < 64; t++) {
        const uint32_t s1 =
            rotate_right(v[4], 6) ^ rotate_right(v[4], 11) ^ rotate_right(v[4], 25);
        const uint32_t choice = (v[4] & v[5]) ^ (~v[4] & v[6]);
        const uint32_t t1 = v[7] + s1 + choice + round_constant[t] + w[t];
        const uint32_t s0 =
            rotate_right(v[0], 2) ^ rotate_right(v[0], 13) ^ rotate_right(v[0], 22);
        const uint32_t majority = (v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]);
        memmove(v + 1, v, 7 * sizeof v[0]);
        v[4] += t1;
        v[0] = t1 + s0 + majority;
    }
    for (unsigned i = 0; i < 8; i++) {
        hash[i] += v[i];
    }
}

void uap_sha256_hex(const void *data, size_t n_bytes, char out[UAP_SHA256_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint32_t hash[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                        0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    const unsigned char *bytes = data;
    size_t left = n_bytes;
    for (; left >= BLOCK_BYTES; left -= BLOCK_BYTES, bytes += BLOCK_BYTES) {
        compress(hash, bytes);
    }
    /* The tail, a 1 bit, zeros and the length in bits fill one block or two. */
    unsigned char tail[2 * BLOCK_BYTES] = {0};
    const size_t padded = left + 9 <= BLOCK_BYTES ? BLOCK_BYTES : 2 * BLOCK_BYTES;
    if (left > 0) {
        memcpy(tail, bytes, left);
    }
    tail[left] = 0x80;
    const uint64_t bits = (uint64_t)n_bytes * 8;
    for (unsigned i = 0; i < 8; i++) {
        tail[padded - 1 - i] = (unsigned char)(bits >> (8 * i));
    }
    for (size_t at = 0; at < padded; at += BLOCK_BYTES) {
        compress(hash, tail + at);
    }
    for (unsigned i = 0; i < 64; i++) {
        out[i] = digits[hash[i / 8] >> (28 - 4 * (i % 8)) & 15u];
    }
    out[64] = '\0';
}
