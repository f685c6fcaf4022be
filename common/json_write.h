/* Building and writing JSON: sorted keys, finite numbers only, files written under a
 * temporary name and renamed. It hides Jansson. */
#ifndef UAP_COMMON_JSON_WRITE_H
#define UAP_COMMON_JSON_WRITE_H

#include "common/json_read.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An object or array under construction. A failure inside (no memory, a number that is not
 * finite) is remembered and reported by the writer, so that callers need no checks. */
typedef struct uap_jout uap_jout;

uap_jout *uap_jout_object(void);
uap_jout *uap_jout_array(void);
void uap_jout_free(uap_jout *node); /* NULL is legal; only for a node with no parent */

/* A deep copy of a value that was read. NULL when out of memory. */
uap_jout *uap_jout_copy(const uap_jval *value);

/* Members of an object. */
void uap_jset_str(uap_jout *object, const char *key, const char *value);
void uap_jset_i64(uap_jout *object, const char *key, int64_t value);
void uap_jset_f64(uap_jout *object, const char *key, double value);
void uap_jset_bool(uap_jout *object, const char *key, bool value);
void uap_jset_null(uap_jout *object, const char *key);
/* Moves `child` into the object, which owns it from then on. NULL marks a failure. */
void uap_jset(uap_jout *object, const char *key, uap_jout *child);

/* Elements of an array. */
void uap_jadd_str(uap_jout *array, const char *value);
void uap_jadd_i64(uap_jout *array, int64_t value);
void uap_jadd_f64(uap_jout *array, double value);
void uap_jadd(uap_jout *array, uap_jout *child);

/* Writes the tree, with two spaces of indentation and sorted keys, to a temporary file
 * beside `path` and renames it; "-" is standard output. Nothing is left behind on failure.
 * Errors: IO, NO_MEMORY, INTERNAL (a number was not finite). Local. */
UAP_NODISCARD uap_status uap_jout_write(const uap_jout *node, const char *path,
                                        uap_err *err);

/* The tree as text, one line; the caller frees it with uap_free. NULL on failure. */
char *uap_jout_text(const uap_jout *node);

#ifdef __cplusplus
}
#endif
#endif
