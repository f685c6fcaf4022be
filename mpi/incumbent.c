/* Keeping the better of two answers. */
#include "mpi/incumbent.h"

#include "common/mem.h"

#include <string.h>

void uap_incumbent_init(uap_incumbent *best)
{
    *best = (uap_incumbent){.value = UAP_TREE_NO_ANSWER};
}

void uap_incumbent_free(uap_incumbent *best)
{
    uap_free(best->bytes);
    uap_incumbent_init(best);
}

static bool is_better(const uap_incumbent *best, int64_t value, const void *bytes,
                      size_t n)
{
    if (value != best->value) {
        return value < best->value;
    }
    if (value == UAP_TREE_NO_ANSWER) {
        return false;
    }
    const size_t common = n < best->n ? n : best->n;
    const int order = common == 0 ? 0 : memcmp(bytes, best->bytes, common);
    return order != 0 ? order < 0 : n < best->n;
}

uap_status uap_incumbent_offer(uap_incumbent *best, int64_t value, const void *bytes,
                               size_t n, bool *better, uap_err *err)
{
    *better = is_better(best, value, bytes, n);
    if (!*better) {
        return UAP_OK;
    }
    if (n > best->capacity) {
        char *larger = uap_realloc(best->bytes, n, 1);
        if (larger == NULL) {
            *better = false;
            return UAP_FAIL(err, NO_MEMORY, "no memory for an answer of %zu bytes", n);
        }
        best->bytes = larger;
        best->capacity = n;
    }
    if (n > 0) {
        memcpy(best->bytes, bytes, n);
    }
    best->value = value;
    best->n = n;
    return UAP_OK;
}
