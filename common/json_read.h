/* Reading JSON at the edge: one parsed document, typed getters that check type and range,
 * and errors that name file:line:column. It hides Jansson; it knows no uniap format. */
#ifndef UAP_COMMON_JSON_READ_H
#define UAP_COMMON_JSON_READ_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A parsed document with its text; owns both. */
typedef struct uap_json uap_json;

/* A value inside a document: a view that is valid while the document and the parent
 * views it was reached through live. Passed by pointer, copied freely. */
typedef struct uap_jval {
    const uap_json *doc;
    const void *node;              /* opaque */
    const struct uap_jval *parent; /* NULL at the root */
    const char *key;               /* key in the parent object, or NULL */
    size_t index;                  /* index in the parent array, when key is NULL */
} uap_jval;

typedef enum uap_jtype {
    UAP_JSON_NULL,
    UAP_JSON_BOOL,
    UAP_JSON_INTEGER,
    UAP_JSON_REAL,
    UAP_JSON_STRING,
    UAP_JSON_ARRAY,
    UAP_JSON_OBJECT
} uap_jtype;

/* Files above this size are refused before they are read. */
#define UAP_JSON_MAX_BYTES ((size_t)1 << 30)

/* Reads and parses a file. Duplicate keys, NaN, numbers that overflow, nesting over 64
 * levels, an empty or truncated text are errors with file:line:column.
 * Errors: IO, BAD_INPUT, TOO_LARGE, NO_MEMORY. The caller frees *out. Local. */
UAP_NODISCARD uap_status uap_json_load(const char *path, size_t max_bytes, uap_json **out,
                                       uap_err *err);

/* The same from memory; `name` stands for the file name in messages. */
UAP_NODISCARD uap_status uap_json_parse(const char *name, const char *text,
                                        size_t n_bytes, uap_json **out, uap_err *err);

void uap_json_free(uap_json *doc); /* NULL is legal */

/* The document's raw text (for checksums), n_bytes long. */
const char *uap_json_text(const uap_json *doc, size_t *n_bytes);
const char *uap_json_name(const uap_json *doc);

uap_jval uap_json_root(const uap_json *doc);
uap_jtype uap_jtype_of(const uap_jval *value);

/* Records "FILE:LINE:COL: <message>" for a value of the document. */
void uap_jrecord(const uap_jval *value, uap_err *err, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Does so and is BAD_INPUT, a constant as with UAP_FAIL. */
#define uap_jfail(value, err, ...)                                                       \
    (uap_jrecord((value), (err), __VA_ARGS__), (uap_status)UAP_BAD_INPUT)

/* True, and *out set, when an object has the key. */
bool uap_jfind(const uap_jval *object, const char *key, uap_jval *out);

/* Fails unless the object's keys are all in `allowed` (n of them). */
UAP_NODISCARD uap_status uap_jcheck_keys(const uap_jval *object,
                                         const char *const *allowed, size_t n,
                                         uap_err *err);

/* Element count of an array or object; element i of an array (i < count); entry i of an
 * object in file order (its key is out->key). */
size_t uap_jlen(const uap_jval *value);
uap_jval uap_jat(const uap_jval *array, size_t i);
uap_jval uap_jentry(const uap_jval *object, size_t i);

/* Required members. The value must have the type and lie in [min, max]; else BAD_INPUT
 * naming what was found and what was expected. A real getter takes integers too; an
 * integer getter takes reals with an integral value (1e6). */
UAP_NODISCARD uap_status uap_jget(const uap_jval *object, const char *key, uap_jtype type,
                                  uap_jval *out, uap_err *err);
UAP_NODISCARD uap_status uap_jget_i64(const uap_jval *object, const char *key,
                                      int64_t min, int64_t max, int64_t *out,
                                      uap_err *err);
UAP_NODISCARD uap_status uap_jget_f64(const uap_jval *object, const char *key, double min,
                                      double max, double *out, uap_err *err);
UAP_NODISCARD uap_status uap_jget_bool(const uap_jval *object, const char *key, bool *out,
                                       uap_err *err);
/* *out points into the document. */
UAP_NODISCARD uap_status uap_jget_str(const uap_jval *object, const char *key,
                                      const char **out, uap_err *err);

/* Optional members: an absent key or a null leaves *out as it is. */
UAP_NODISCARD uap_status uap_jopt_i64(const uap_jval *object, const char *key,
                                      int64_t min, int64_t max, int64_t *out,
                                      uap_err *err);
UAP_NODISCARD uap_status uap_jopt_f64(const uap_jval *object, const char *key, double min,
                                      double max, double *out, uap_err *err);
UAP_NODISCARD uap_status uap_jopt_bool(const uap_jval *object, const char *key, bool *out,
                                       uap_err *err);
UAP_NODISCARD uap_status uap_jopt_str(const uap_jval *object, const char *key,
                                      const char **out, uap_err *err);

/* The value itself. */
UAP_NODISCARD uap_status uap_jas_i64(const uap_jval *value, int64_t min, int64_t max,
                                     int64_t *out, uap_err *err);
UAP_NODISCARD uap_status uap_jas_f64(const uap_jval *value, double min, double max,
                                     double *out, uap_err *err);
UAP_NODISCARD uap_status uap_jas_str(const uap_jval *value, const char **out,
                                     uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
