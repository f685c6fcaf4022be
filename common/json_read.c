/* Documents and typed getters over Jansson. Syntax is checked before Jansson sees the text
 * (json_scan.c), so that Jansson's own errors are only about values: duplicate keys, numbers
 * out of range, text that is not UTF-8. Places are searched for only when something is
 * wrong. Jansson keeps malloc as its allocator: version 2.14 crashes when an allocation in
 * its parser fails, which a test that makes ours fail would find again and again. */
#include "common/json_read.h"

#include "common/file.h"
#include "common/json_internal.h"
#include "common/json_scan.h"
#include "common/mem.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Where the last uap_jentry() was, so that walking an object costs O(1) a step. */
typedef struct entry_cursor {
    const json_t *object;
    size_t index;
    void *iterator;
} entry_cursor;

struct uap_json {
    char *name;
    char *text;
    size_t n_bytes;
    json_t *root;
    entry_cursor *cursor;
};

/* ---- Documents --------------------------------------------------------------------- */

void uap_json_free(uap_json *doc)
{
    if (doc != NULL) {
        json_decref(doc->root);
        uap_free(doc->name);
        uap_free(doc->text);
        uap_free(doc->cursor);
        uap_free(doc);
    }
}

/* Turns Jansson's complaint about a value into one of ours. */
static uap_status explain(const uap_json *doc, const json_error_t *error, uap_err *err)
{
    const size_t offset = error->position > 0 ? (size_t)error->position : 0;
    const size_t start = uap_json_token_start(doc->text, doc->n_bytes, offset);
    uap_json_scan scan = {doc->text, doc->n_bytes, start};
    const uap_json_token token = uap_json_next(&scan);
    const int shown = token.end - start < 48 ? (int)(token.end - start) : 48;
    const uap_json_place at = uap_json_place_of(doc->text, start);
    const char *found = NULL;
    const char *expected = NULL;
    switch (json_error_code(error)) {
    case json_error_duplicate_key:
        found = "a second key";
        expected = "each key once";
        break;
    case json_error_numeric_overflow:
        found = "the number";
        expected = "one that fits 64 bits";
        break;
    case json_error_invalid_utf8:
        return UAP_FAIL(err, BAD_INPUT,
                        "%s:%zu:%zu: found bytes that are not UTF-8, expected UTF-8 text",
                        doc->name, at.line, at.column);
    case json_error_null_character:
    case json_error_null_byte_in_key:
        found = "a NUL character in";
        expected = "text without it";
        break;
    default: /* the syntax is right, so only memory is left; Jansson says all sorts then */
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory to read it", doc->name);
    }
    return UAP_FAIL(err, BAD_INPUT, "%s:%zu:%zu: found %s %.*s, expected %s", doc->name,
                    at.line, at.column, found, shown, doc->text + start, expected);
}

/* Takes over `text`, also on failure. */
static uap_status parse_owned(const char *name, char *text, size_t n_bytes,
                              uap_json **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    json_error_t error = {0};
    uap_json *doc = uap_calloc(1, sizeof *doc);
    if (doc == NULL) {
        uap_free(text);
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory to read it", name);
    }
    doc->text = text;
    doc->n_bytes = n_bytes;
    doc->name = uap_strdup(name);
    doc->cursor = uap_calloc(1, sizeof *doc->cursor);
    if (doc->name == NULL || doc->cursor == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "%s: no memory to read it", name);
        goto done;
    }
    UAP_TRY(uap_json_check(name, text, n_bytes, err));
    doc->root =
        json_loadb(text, n_bytes, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    if (doc->root == NULL) {
        rc = explain(doc, &error, err);
        goto done;
    }
    *out = doc;
    doc = NULL;
done:
    uap_json_free(doc);
    return rc;
}

uap_status uap_json_load(const char *path, size_t max_bytes, uap_json **out, uap_err *err)
{
    char *text = NULL;
    size_t n_bytes = 0;
    *out = NULL;
    const uap_status rc = uap_file_read(path, max_bytes, &text, &n_bytes, err);
    return rc != UAP_OK ? rc : parse_owned(path, text, n_bytes, out, err);
}

uap_status uap_json_parse(const char *name, const char *text, size_t n_bytes,
                          uap_json **out, uap_err *err)
{
    *out = NULL;
    char *copy = uap_calloc(n_bytes + 1, 1);
    if (copy == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory for %zu bytes", name, n_bytes);
    }
    if (n_bytes > 0) {
        memcpy(copy, text, n_bytes);
    }
    return parse_owned(name, copy, n_bytes, out, err);
}

const char *uap_json_text(const uap_json *doc, size_t *n_bytes)
{
    *n_bytes = doc->n_bytes;
    return doc->text;
}

const char *uap_json_name(const uap_json *doc)
{
    return doc->name;
}

/* ---- Views ------------------------------------------------------------------------- */

uap_jval uap_json_root(const uap_json *doc)
{
    return (uap_jval){.doc = doc, .node = doc->root};
}

uap_jtype uap_jtype_of(const uap_jval *value)
{
    switch (json_typeof((const json_t *)value->node)) {
    case JSON_OBJECT:
        return UAP_JSON_OBJECT;
    case JSON_ARRAY:
        return UAP_JSON_ARRAY;
    case JSON_STRING:
        return UAP_JSON_STRING;
    case JSON_INTEGER:
        return UAP_JSON_INTEGER;
    case JSON_REAL:
        return UAP_JSON_REAL;
    case JSON_TRUE:
    case JSON_FALSE:
        return UAP_JSON_BOOL;
    case JSON_NULL:
        break;
    }
    return UAP_JSON_NULL;
}

bool uap_jfind(const uap_jval *object, const char *key, uap_jval *out)
{
    const json_t *node = json_object_get(object->node, key);
    if (node == NULL) {
        return false;
    }
    *out = (uap_jval){.doc = object->doc, .node = node, .parent = object, .key = key};
    return true;
}

size_t uap_jlen(const uap_jval *value)
{
    const json_t *node = value->node;
    return json_is_array(node) ? json_array_size(node) : json_object_size(node);
}

uap_jval uap_jat(const uap_jval *array, size_t i)
{
    return (uap_jval){.doc = array->doc,
                      .node = json_array_get(array->node, i),
                      .parent = array,
                      .index = i};
}

/* Jansson's iterators take an object that is not const, though they only read it. */
static json_t *unconst(const json_t *node)
{
    union {
        const json_t *in;
        json_t *out;
    } pun = {.in = node};
    return pun.out;
}

uap_jval uap_jentry(const uap_jval *object, size_t i)
{
    json_t *node = unconst(object->node);
    entry_cursor *cursor = object->doc->cursor;
    if (cursor->object != node || cursor->iterator == NULL || cursor->index > i) {
        *cursor = (entry_cursor){node, 0, json_object_iter(node)};
    }
    for (; cursor->index < i; cursor->index++) {
        cursor->iterator = json_object_iter_next(node, cursor->iterator);
    }
    return (uap_jval){.doc = object->doc,
                      .node = json_object_iter_value(cursor->iterator),
                      .parent = object,
                      .key = json_object_iter_key(cursor->iterator)};
}

/* ---- Errors with places ------------------------------------------------------------ */

/* Moves the scan from the start of a container to the start of its i-th member. */
static void scan_to_member(uap_json_scan *scan, size_t i, bool object)
{
    (void)uap_json_next(scan); /* the bracket */
    for (size_t member = 0;; member++) {
        if (object) {
            (void)uap_json_next(scan); /* key */
            (void)uap_json_next(scan); /* colon */
        }
        if (member == i) {
            return;
        }
        (void)uap_json_skip(scan);
        (void)uap_json_next(scan); /* comma */
    }
}

static size_t member_index(const uap_jval *value)
{
    if (value->key == NULL) {
        return value->index;
    }
    size_t i = 0;
    json_t *object = unconst(value->parent->node);
    for (void *it = json_object_iter(object); it != NULL; i++) {
        if (strcmp(json_object_iter_key(it), value->key) == 0) {
            break;
        }
        it = json_object_iter_next(object, it);
    }
    return i;
}

/* Leaves the scan before the value. The recursion is as deep as the text, so bounded. */
static void scan_to_value(const uap_jval *value, uap_json_scan *scan)
{
    if (value->parent != NULL) {
        scan_to_value(value->parent, scan);
        scan_to_member(scan, member_index(value), value->key != NULL);
    }
}

void uap_jrecord(const uap_jval *value, uap_err *err, const char *fmt, ...)
{
    char text[sizeof err->msg];
    const uap_json *doc = value->doc;
    uap_json_scan scan = {doc->text, doc->n_bytes, 0};
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    scan_to_value(value, &scan);
    const uap_json_place at = uap_json_place_of(doc->text, uap_json_next(&scan).start);
    (void)UAP_FAIL(err, BAD_INPUT, "%s:%zu:%zu: %s", doc->name, at.line, at.column, text);
}

uap_status uap_jcheck_keys(const uap_jval *object, const char *const *allowed, size_t n,
                           uap_err *err)
{
    if (uap_jtype_of(object) != UAP_JSON_OBJECT) {
        return uap_jexpect(object, "an object", err);
    }
    const size_t n_entries = uap_jlen(object);
    for (size_t i = 0; i < n_entries; i++) {
        const uap_jval entry = uap_jentry(object, i);
        size_t k = 0;
        while (k < n && strcmp(entry.key, allowed[k]) != 0) {
            k++;
        }
        if (k == n) {
            return uap_jfail(&entry, err, "found the unknown key \"%.64s\"", entry.key);
        }
    }
    return UAP_OK;
}
