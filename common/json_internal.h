/* What the json_*.c files share and nobody else includes. */
#ifndef UAP_COMMON_JSON_INTERNAL_H
#define UAP_COMMON_JSON_INTERNAL_H

#include "common/json_read.h"

struct json_t; /* Jansson's */

/* Fails with "found <the value>, expected <expected> for <path>" at the value's place. */
uap_status uap_jexpect(const uap_jval *value, const char *expected, uap_err *err);

/* The text of a value, n_bytes long and NUL-terminated; freed with uap_free. NULL when out
 * of memory. */
char *uap_json_text_of(struct json_t *value, bool one_line, size_t *n_bytes);

#endif
