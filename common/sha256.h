/* SHA-256 (FIPS 180-4) of a buffer, for the checksums of inputs that a plan carries. */
#ifndef UAP_COMMON_SHA256_H
#define UAP_COMMON_SHA256_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SHA256_HEX 65 /* 64 hexadecimal digits and a NUL */

/* Lower-case hexadecimal digest of n_bytes at data. Local. */
void uap_sha256_hex(const void *data, size_t n_bytes, char out[UAP_SHA256_HEX]);

#ifdef __cplusplus
}
#endif
#endif
