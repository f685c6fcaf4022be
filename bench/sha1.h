/* SHA-1 (FIPS 180-4) of one block: the random stream of the UTS benchmark. Not for security. */
#ifndef UAP_BENCH_SHA1_H
#define UAP_BENCH_SHA1_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SHA1_BYTES     20
#define UAP_SHA1_MOST_DATA 55 /* what fits one block beside its padding */

/* The digest of n <= UAP_SHA1_MOST_DATA bytes. Local. */
void uap_sha1_short(const uint8_t *data, size_t n, uint8_t digest[UAP_SHA1_BYTES]);

#ifdef __cplusplus
}
#endif
#endif
