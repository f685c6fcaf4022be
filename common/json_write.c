/* A tree under construction over Jansson's values; json_text.c makes its text. */
#include "common/json_write.h"

#include "common/file.h"
#include "common/json_internal.h"
#include "common/mem.h"

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define KEY_BYTES 48

struct uap_jout {
    json_t *json;        /* one reference; the parent's json holds another */
    uap_status failure;  /* the first of this node */
    char key[KEY_BYTES]; /* where it happened */
    struct uap_jout *first_child, *next;
};

/* ---- Building ---------------------------------------------------------------------- */

static uap_jout *node_new(json_t *json)
{
    uap_jout *node = uap_calloc(1, sizeof *node);
    if (node == NULL || json == NULL) {
        json_decref(json);
        uap_free(node);
        return NULL;
    }
    node->json = json;
    return node;
}

uap_jout *uap_jout_object(void)
{
    return node_new(json_object());
}

uap_jout *uap_jout_array(void)
{
    return node_new(json_array());
}

uap_jout *uap_jout_copy(const uap_jval *value)
{
    return node_new(json_deep_copy(value->node));
}

/* As deep as the tree, which callers build by hand. */
void uap_jout_free(uap_jout *node)
{
    if (node == NULL) {
        return;
    }
    for (uap_jout *child = node->first_child; child != NULL;) {
        uap_jout *next = child->next;
        uap_jout_free(child);
        child = next;
    }
    json_decref(node->json);
    uap_free(node);
}

static void remember(uap_jout *node, uap_status failure, const char *key)
{
    if (node->failure == UAP_OK) {
        node->failure = failure;
        (void)snprintf(node->key, sizeof node->key, "%s", key == NULL ? "[]" : key);
    }
}

/* Puts a new value into an object (key) or array (NULL). */
static void put(uap_jout *node, const char *key, json_t *value)
{
    if (node == NULL) {
        json_decref(value); /* the missing node is noticed where it is attached */
        return;
    }
    const int failed = key != NULL ? json_object_set_new(node->json, key, value)
                                   : json_array_append_new(node->json, value);
    if (failed) {
        remember(node, UAP_NO_MEMORY, key);
    }
}

static void put_f64(uap_jout *node, const char *key, double value)
{
    if (!isfinite(value)) {
        if (node != NULL) {
            remember(node, UAP_INTERNAL, key);
        }
        return;
    }
    put(node, key, json_real(value));
}

/* Names of files need not be UTF-8, which JSON must be: odd bytes become '?'. */
static json_t *string_value(const char *value)
{
    json_t *json = json_string(value);
    if (json != NULL) {
        return json;
    }
    char *plain = uap_strdup(value);
    if (plain == NULL) {
        return NULL;
    }
    for (char *c = plain; *c != '\0'; c++) {
        *c = (unsigned char)*c < 0x80 ? *c : '?';
    }
    json = json_string(plain);
    uap_free(plain);
    return json;
}

/* The child stays usable after it was moved, whatever happened: it keeps a reference of its
 * own and is freed with its parent. */
static void put_child(uap_jout *node, const char *key, uap_jout *child)
{
    if (node == NULL) {
        uap_jout_free(child);
        return;
    }
    if (child == NULL) {
        remember(node, UAP_NO_MEMORY, key);
        return;
    }
    put(node, key, json_incref(child->json));
    child->next = node->first_child;
    node->first_child = child;
}

void uap_jset_str(uap_jout *object, const char *key, const char *value)
{
    put(object, key, string_value(value));
}

void uap_jset_i64(uap_jout *object, const char *key, int64_t value)
{
    put(object, key, json_integer(value));
}

void uap_jset_f64(uap_jout *object, const char *key, double value)
{
    put_f64(object, key, value);
}

void uap_jset_bool(uap_jout *object, const char *key, bool value)
{
    put(object, key, json_boolean(value));
}

void uap_jset_null(uap_jout *object, const char *key)
{
    put(object, key, json_null());
}

void uap_jset(uap_jout *object, const char *key, uap_jout *child)
{
    put_child(object, key, child);
}

void uap_jadd_str(uap_jout *array, const char *value)
{
    put(array, NULL, string_value(value));
}

void uap_jadd_i64(uap_jout *array, int64_t value)
{
    put(array, NULL, json_integer(value));
}

void uap_jadd_f64(uap_jout *array, double value)
{
    put_f64(array, NULL, value);
}

void uap_jadd(uap_jout *array, uap_jout *child)
{
    put_child(array, NULL, child);
}

/* ---- Writing ----------------------------------------------------------------------- */

static const uap_jout *first_failed(const uap_jout *node)
{
    const uap_jout *failed = node->failure != UAP_OK ? node : NULL;
    for (const uap_jout *child = node->first_child; child != NULL && failed == NULL;) {
        failed = first_failed(child);
        child = child->next;
    }
    return failed;
}

uap_status uap_jout_write(const uap_jout *node, const char *path, uap_err *err)
{
    if (node == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory to write it", path);
    }
    const uap_jout *failed = first_failed(node);
    if (failed != NULL && failed->failure == UAP_INTERNAL) {
        return UAP_FAIL(err, INTERNAL, "%s: the value of \"%s\" is not a finite number",
                        path, failed->key);
    }
    size_t n_bytes = 0;
    char *text = failed == NULL ? uap_json_text_of(node->json, false, &n_bytes) : NULL;
    const uap_status rc =
        text == NULL ? UAP_FAIL(err, NO_MEMORY, "%s: no memory to write it", path)
                     : uap_file_write(path, text, n_bytes, err);
    uap_free(text);
    return rc;
}

char *uap_jout_text(const uap_jout *node)
{
    size_t n_bytes = 0;
    if (node == NULL || first_failed(node) != NULL) {
        return NULL;
    }
    return uap_json_text_of(node->json, true, &n_bytes);
}
