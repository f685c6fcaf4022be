/* Typed getters: type and range of one value, and what to say when they do not hold. */
#include "common/json_internal.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 160

/* ---- What was found, where --------------------------------------------------------- */

static const char *describe(const json_t *node, char *buffer, size_t n)
{
    switch (json_typeof(node)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "an array";
    case JSON_STRING:
        (void)snprintf(buffer, n, "the string \"%.48s\"", json_string_value(node));
        return buffer;
    case JSON_INTEGER:
        (void)snprintf(buffer, n, "%" JSON_INTEGER_FORMAT, json_integer_value(node));
        return buffer;
    case JSON_REAL:
        (void)snprintf(buffer, n, "%.15g", json_real_value(node));
        return buffer;
    case JSON_TRUE:
        return "true";
    case JSON_FALSE:
        return "false";
    case JSON_NULL:
        break;
    }
    return "null";
}

/* Appends the value's path, as in A[3][2] or layers[0].name; returns the bytes used. */
static size_t append_path(const uap_jval *value, char *buffer, size_t n)
{
    if (value->parent == NULL) {
        return 0;
    }
    const size_t used = append_path(value->parent, buffer, n);
    int more = 0;
    if (value->key == NULL) {
        more = snprintf(buffer + used, n - used, "[%zu]", value->index);
    } else {
        more =
            snprintf(buffer + used, n - used, "%s%.48s", used > 0 ? "." : "", value->key);
    }
    const size_t want = used + (more > 0 ? (size_t)more : 0);
    return want < n ? want : n - 1;
}

uap_status uap_jexpect(const uap_jval *value, const char *expected, uap_err *err)
{
    char found[TEXT_BYTES];
    char path[TEXT_BYTES] = "";
    const char *what = describe(value->node, found, sizeof found);
    if (append_path(value, path, sizeof path) == 0) {
        return uap_jfail(value, err, "found %s, expected %s", what, expected);
    }
    return uap_jfail(value, err, "found %s, expected %s for \"%s\"", what, expected,
                     path);
}

/* A missing member is reported at its object's place. */
static uap_status expect_member(const uap_jval *object, const char *key,
                                const char *expected, uap_err *err)
{
    char path[TEXT_BYTES] = "";
    if (append_path(object, path, sizeof path) == 0) {
        return uap_jfail(object, err, "found no key \"%s\", expected %s", key, expected);
    }
    return uap_jfail(object, err, "found no key \"%s\" in \"%s\", expected %s", key, path,
                     expected);
}

static const char *integer_range(char *buffer, size_t n, int64_t min, int64_t max)
{
    if (min == INT64_MIN && max == INT64_MAX) {
        return "an integer";
    }
    if (min == max) {
        (void)snprintf(buffer, n, "the integer %lld", (long long)min);
    } else if (max == INT64_MAX) {
        (void)snprintf(buffer, n, "an integer of at least %lld", (long long)min);
    } else {
        (void)snprintf(buffer, n, "an integer from %lld to %lld", (long long)min,
                       (long long)max);
    }
    return buffer;
}

static const char *number_range(char *buffer, size_t n, double min, double max)
{
    if (!(min > -1e300) && !(max < 1e300)) {
        return "a number";
    }
    if (!(max < 1e300)) {
        (void)snprintf(buffer, n, "a number of at least %.15g", min);
    } else {
        (void)snprintf(buffer, n, "a number from %.15g to %.15g", min, max);
    }
    return buffer;
}

/* ---- The value itself -------------------------------------------------------------- */

static bool integer_of(const json_t *node, int64_t *out)
{
    if (json_is_integer(node)) {
        *out = json_integer_value(node);
        return true;
    }
    if (!json_is_real(node)) {
        return false;
    }
    /* 2^63 is the first double that does not fit; a cast of it would be undefined. */
    const double real = json_real_value(node);
    if (!(real >= -9223372036854775808.0 && real < 9223372036854775808.0)) {
        return false;
    }
    *out = (int64_t)real;
    return !((double)*out < real) && !((double)*out > real);
}

uap_status uap_jas_i64(const uap_jval *value, int64_t min, int64_t max, int64_t *out,
                       uap_err *err)
{
    int64_t found = 0;
    if (integer_of(value->node, &found) && found >= min && found <= max) {
        *out = found;
        return UAP_OK;
    }
    char text[TEXT_BYTES];
    return uap_jexpect(value, integer_range(text, sizeof text, min, max), err);
}

uap_status uap_jas_f64(const uap_jval *value, double min, double max, double *out,
                       uap_err *err)
{
    const json_t *node = value->node;
    if (json_is_number(node)) {
        const double found = json_number_value(node);
        if (found >= min && found <= max) {
            *out = found;
            return UAP_OK;
        }
    }
    char text[TEXT_BYTES];
    return uap_jexpect(value, number_range(text, sizeof text, min, max), err);
}

uap_status uap_jas_str(const uap_jval *value, const char **out, uap_err *err)
{
    if (!json_is_string((const json_t *)value->node)) {
        return uap_jexpect(value, "a string", err);
    }
    *out = json_string_value(value->node);
    return UAP_OK;
}

static uap_status as_bool(const uap_jval *value, bool *out, uap_err *err)
{
    if (uap_jtype_of(value) != UAP_JSON_BOOL) {
        return uap_jexpect(value, "true or false", err);
    }
    *out = json_is_true((const json_t *)value->node);
    return UAP_OK;
}

/* ---- Required members -------------------------------------------------------------- */

static uap_status require(const uap_jval *object, const char *key, const char *expected,
                          uap_jval *out, uap_err *err)
{
    if (uap_jtype_of(object) != UAP_JSON_OBJECT) {
        return uap_jexpect(object, "an object", err);
    }
    return uap_jfind(object, key, out) ? UAP_OK
                                       : expect_member(object, key, expected, err);
}

uap_status uap_jget(const uap_jval *object, const char *key, uap_jtype type,
                    uap_jval *out, uap_err *err)
{
    static const char *const name[] = {
        [UAP_JSON_NULL] = "null",          [UAP_JSON_BOOL] = "true or false",
        [UAP_JSON_INTEGER] = "an integer", [UAP_JSON_REAL] = "a number",
        [UAP_JSON_STRING] = "a string",    [UAP_JSON_ARRAY] = "an array",
        [UAP_JSON_OBJECT] = "an object"};
    uap_jval value = {0};
    int64_t integer = 0;
    const uap_status rc = require(object, key, name[type], &value, err);
    if (rc != UAP_OK) {
        return rc;
    }
    const uap_jtype found = uap_jtype_of(&value);
    const bool fits = found == type ||
                      (type == UAP_JSON_REAL && found == UAP_JSON_INTEGER) ||
                      (type == UAP_JSON_INTEGER && integer_of(value.node, &integer));
    if (!fits) {
        return uap_jexpect(&value, name[type], err);
    }
    *out = value;
    return UAP_OK;
}

uap_status uap_jget_i64(const uap_jval *object, const char *key, int64_t min, int64_t max,
                        int64_t *out, uap_err *err)
{
    uap_jval value = {0};
    char text[TEXT_BYTES];
    const uap_status rc =
        require(object, key, integer_range(text, sizeof text, min, max), &value, err);
    return rc != UAP_OK ? rc : uap_jas_i64(&value, min, max, out, err);
}

uap_status uap_jget_f64(const uap_jval *object, const char *key, double min, double max,
                        double *out, uap_err *err)
{
    uap_jval value = {0};
    char text[TEXT_BYTES];
    const uap_status rc =
        require(object, key, number_range(text, sizeof text, min, max), &value, err);
    return rc != UAP_OK ? rc : uap_jas_f64(&value, min, max, out, err);
}

uap_status uap_jget_bool(const uap_jval *object, const char *key, bool *out, uap_err *err)
{
    uap_jval value = {0};
    const uap_status rc = require(object, key, "true or false", &value, err);
    return rc != UAP_OK ? rc : as_bool(&value, out, err);
}

uap_status uap_jget_str(const uap_jval *object, const char *key, const char **out,
                        uap_err *err)
{
    uap_jval value = {0};
    const uap_status rc = require(object, key, "a string", &value, err);
    return rc != UAP_OK ? rc : uap_jas_str(&value, out, err);
}

/* ---- Optional members -------------------------------------------------------------- */

/* *present says whether there is a value to read. */
static uap_status optional(const uap_jval *object, const char *key, uap_jval *out,
                           bool *present, uap_err *err)
{
    *present = false;
    if (uap_jtype_of(object) != UAP_JSON_OBJECT) {
        return uap_jexpect(object, "an object", err);
    }
    *present = uap_jfind(object, key, out) && uap_jtype_of(out) != UAP_JSON_NULL;
    return UAP_OK;
}

uap_status uap_jopt_i64(const uap_jval *object, const char *key, int64_t min, int64_t max,
                        int64_t *out, uap_err *err)
{
    uap_jval value = {0};
    bool present = false;
    const uap_status rc = optional(object, key, &value, &present, err);
    return rc != UAP_OK || !present ? rc : uap_jas_i64(&value, min, max, out, err);
}

uap_status uap_jopt_f64(const uap_jval *object, const char *key, double min, double max,
                        double *out, uap_err *err)
{
    uap_jval value = {0};
    bool present = false;
    const uap_status rc = optional(object, key, &value, &present, err);
    return rc != UAP_OK || !present ? rc : uap_jas_f64(&value, min, max, out, err);
}

uap_status uap_jopt_bool(const uap_jval *object, const char *key, bool *out, uap_err *err)
{
    uap_jval value = {0};
    bool present = false;
    const uap_status rc = optional(object, key, &value, &present, err);
    return rc != UAP_OK || !present ? rc : as_bool(&value, out, err);
}

uap_status uap_jopt_str(const uap_jval *object, const char *key, const char **out,
                        uap_err *err)
{
    uap_jval value = {0};
    bool present = false;
    const uap_status rc = optional(object, key, &value, &present, err);
    return rc != UAP_OK || !present ? rc : uap_jas_str(&value, out, err);
}
