/* The text of a tree: two spaces a level, sorted keys, arrays of plain values on one line,
 * numbers as short as reading them back exactly allows. */
#include "common/json_internal.h"
#include "common/mem.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A growing text; after a failure it stays as it is. */
typedef struct text_buffer {
    char *text;
    size_t used, capacity;
    bool failed;
    bool one_line;
} text_buffer;

static void append(text_buffer *buffer, const char *text, size_t n)
{
    if (!buffer->failed && buffer->capacity - buffer->used <= n) {
        const size_t capacity = 2 * (buffer->capacity + n) + 256;
        char *grown = uap_realloc(buffer->text, capacity, 1);
        buffer->failed = grown == NULL;
        if (grown != NULL) {
            buffer->text = grown;
            buffer->capacity = capacity;
        }
    }
    if (!buffer->failed) {
        memcpy(buffer->text + buffer->used, text, n);
        buffer->used += n;
        buffer->text[buffer->used] = '\0';
    }
}

static void append_text(text_buffer *buffer, const char *text)
{
    append(buffer, text, strlen(text));
}

static void append_string(text_buffer *buffer, const char *value)
{
    char part[8];
    append(buffer, "\"", 1);
    for (const char *c = value; *c != '\0'; c++) {
        if (*c == '"' || *c == '\\') {
            const char escaped[2] = {'\\', *c};
            append(buffer, escaped, sizeof escaped);
        } else if ((unsigned char)*c < 0x20) {
            (void)snprintf(part, sizeof part, "\\u%04x", (unsigned)*c);
            append_text(buffer, part);
        } else {
            append(buffer, c, 1);
        }
    }
    append(buffer, "\"", 1);
}

/* The fewest digits that read back as the same double. 0.5 and 1e-05 stay reals; 3 gets
 * ".0", so that it is read back as a real. */
static void append_real(text_buffer *buffer, double value)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        (void)snprintf(text, sizeof text - 3, "%.*g", digits, value);
        const double back = strtod(text, NULL);
        if (!(back < value) && !(back > value)) {
            break;
        }
    }
    append_text(buffer, text);
    if (strpbrk(text, ".e") == NULL) {
        append_text(buffer, ".0");
    }
}

static void append_scalar(text_buffer *buffer, const json_t *value)
{
    char text[32];
    switch (json_typeof(value)) {
    case JSON_STRING:
        append_string(buffer, json_string_value(value));
        break;
    case JSON_INTEGER:
        (void)snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT,
                       json_integer_value(value));
        append_text(buffer, text);
        break;
    case JSON_REAL:
        append_real(buffer, json_real_value(value));
        break;
    case JSON_TRUE:
        append_text(buffer, "true");
        break;
    case JSON_FALSE:
        append_text(buffer, "false");
        break;
    default:
        append_text(buffer, "null");
        break;
    }
}

static void new_line(text_buffer *buffer, int depth)
{
    if (buffer->one_line) {
        return;
    }
    append(buffer, "\n", 1);
    for (int i = 0; i < depth; i++) {
        append(buffer, "  ", 2);
    }
}

static bool is_container(const json_t *value)
{
    return json_is_array(value) || json_is_object(value);
}

static void append_value(text_buffer *buffer, json_t *value, int depth);

static void append_array(text_buffer *buffer, const json_t *array, int depth)
{
    const size_t n = json_array_size(array);
    bool plain = true; /* of scalars only: one line */
    for (size_t i = 0; i < n && plain; i++) {
        plain = !is_container(json_array_get(array, i));
    }
    append(buffer, "[", 1);
    for (size_t i = 0; i < n; i++) {
        if (i > 0) {
            append(buffer, ", ", plain ? 2 : 1);
        }
        if (!plain) {
            new_line(buffer, depth + 1);
        }
        append_value(buffer, json_array_get(array, i), depth + 1);
    }
    if (!plain) {
        new_line(buffer, depth);
    }
    append(buffer, "]", 1);
}

static int compare_keys(const void *a, const void *b)
{
    const char *const *x = a;
    const char *const *y = b;
    return strcmp(*x, *y);
}

static void append_object(text_buffer *buffer, json_t *object, int depth)
{
    const size_t n = json_object_size(object);
    size_t used = 0;
    const char **keys = uap_calloc(n, sizeof *keys);
    if (keys == NULL) {
        buffer->failed = true;
        return;
    }
    for (void *it = json_object_iter(object); it != NULL && used < n;) {
        keys[used++] = json_object_iter_key(it);
        it = json_object_iter_next(object, it);
    }
    qsort(keys, used, sizeof *keys, compare_keys);
    append(buffer, "{", 1);
    for (size_t i = 0; i < used; i++) {
        append(buffer, ",", i > 0 ? 1 : 0);
        new_line(buffer, depth + 1);
        append_string(buffer, keys[i]);
        append(buffer, ": ", 2);
        append_value(buffer, json_object_get(object, keys[i]), depth + 1);
    }
    if (used > 0) {
        new_line(buffer, depth);
    }
    append(buffer, "}", 1);
    uap_free(keys);
}

static void append_value(text_buffer *buffer, json_t *value, int depth)
{
    if (json_is_object(value)) {
        append_object(buffer, value, depth);
    } else if (json_is_array(value)) {
        append_array(buffer, value, depth);
    } else {
        append_scalar(buffer, value);
    }
}

char *uap_json_text_of(json_t *value, bool one_line, size_t *n_bytes)
{
    text_buffer buffer = {.one_line = one_line};
    append_value(&buffer, value, 0);
    if (!one_line) {
        append(&buffer, "\n", 1);
    }
    if (buffer.failed) {
        uap_free(buffer.text);
        return NULL;
    }
    *n_bytes = buffer.used;
    return buffer.text;
}
