/* Tokens of a JSON text with their places: the syntax check that gives precise messages,
 * and finding a value's place again. For the other json_*.c files only. */
#ifndef UAP_COMMON_JSON_SCAN_H
#define UAP_COMMON_JSON_SCAN_H

#include "common/status.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Containers within containers; deeper texts are refused. */
#define UAP_JSON_MAX_DEPTH 64

typedef enum uap_json_token_kind {
    UAP_TOKEN_END,
    UAP_TOKEN_OPEN_OBJECT,
    UAP_TOKEN_CLOSE_OBJECT,
    UAP_TOKEN_OPEN_ARRAY,
    UAP_TOKEN_CLOSE_ARRAY,
    UAP_TOKEN_COLON,
    UAP_TOKEN_COMMA,
    UAP_TOKEN_STRING,
    UAP_TOKEN_NUMBER,
    UAP_TOKEN_WORD, /* true, false, null */
    UAP_TOKEN_BAD
} uap_json_token_kind;

typedef struct uap_json_token {
    uap_json_token_kind kind;
    size_t start, end; /* bytes [start, end) of the text */
    const char *fault; /* for BAD: what is wrong, static storage */
} uap_json_token;

/* A position in a text of n bytes that is borrowed. */
typedef struct uap_json_scan {
    const char *text;
    size_t n, at;
} uap_json_scan;

/* A line and a column, both from 1; columns count characters, not bytes. */
typedef struct uap_json_place {
    size_t line, column;
} uap_json_place;

/* The next token; END again and again at the end. Local. */
uap_json_token uap_json_next(uap_json_scan *scan);

/* Skips one value of a text that was checked before; returns its start. Local. */
size_t uap_json_skip(uap_json_scan *scan);

/* Line and column of byte `offset`. O(offset). Local. */
uap_json_place uap_json_place_of(const char *text, size_t offset);

/* Start of the token that byte `offset` lies in or follows. O(offset). Local. */
size_t uap_json_token_start(const char *text, size_t n, size_t offset);

/* Checks syntax and nesting of a whole text; `name` is the file's in messages.
 * Errors: BAD_INPUT. Local. */
UAP_NODISCARD uap_status uap_json_check(const char *name, const char *text, size_t n,
                                        uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
