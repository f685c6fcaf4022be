/* A growing row of bytes, written at its end. */
#ifndef UAP_COMMON_BYTES_H
#define UAP_COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Empty when zeroed; freed with uap_bytes_free. */
typedef struct uap_bytes {
    char *at;
    size_t n, capacity;
} uap_bytes;

/* Room for `more` bytes behind the end, which then moves behind them: they are the
 * caller's to fill. NULL, and nothing changed, when out of memory. */
char *uap_bytes_add(uap_bytes *bytes, size_t more);

/* Appends a copy. False when out of memory. */
bool uap_bytes_put(uap_bytes *bytes, const void *from, size_t n);

/* Copies n bytes out and returns what lies behind them. */
const char *uap_bytes_get(const char *from, void *to, size_t n);

void uap_bytes_free(uap_bytes *bytes);

#ifdef __cplusplus
}
#endif
#endif
