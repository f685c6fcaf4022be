/* A growing row of bytes. */
#include "common/bytes.h"

#include "common/mem.h"

#include <stdint.h>
#include <string.h>

#define LEAST_CAPACITY ((size_t)256)

char *uap_bytes_add(uap_bytes *bytes, size_t more)
{
    if (more > SIZE_MAX / 4 - bytes->n) {
        return NULL;
    }
    if (bytes->at == NULL || bytes->n + more > bytes->capacity) {
        size_t capacity =
            bytes->capacity < LEAST_CAPACITY ? LEAST_CAPACITY : bytes->capacity;
        while (capacity < bytes->n + more) {
            capacity *= 2;
        }
        char *at = uap_realloc(bytes->at, capacity, 1);
        if (at == NULL) {
            return NULL;
        }
        bytes->at = at;
        bytes->capacity = capacity;
    }
    char *const to = bytes->at + bytes->n;
    bytes->n += more;
    return to;
}

bool uap_bytes_put(uap_bytes *bytes, const void *from, size_t n)
{
    char *to = uap_bytes_add(bytes, n);
    if (to != NULL && n > 0) {
        memcpy(to, from, n);
    }
    return to != NULL;
}

const char *uap_bytes_get(const char *from, void *to, size_t n)
{
    if (n > 0) {
        memcpy(to, from, n);
    }
    return from + n;
}

void uap_bytes_free(uap_bytes *bytes)
{
    uap_free(bytes->at);
    *bytes = (uap_bytes){0};
}
