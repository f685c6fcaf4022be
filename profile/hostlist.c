/* Names cut into prefix and number, sorted, and written as ranges; and back. */
#include "profile/hostlist.h"

#include "common/mem.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAMES_MAX 1000000
/* More digits are no number of a node: the name is then all prefix. */
#define DIGITS_MAX 15

/* ---- Text that grows ------------------------------------------------------------------- */

typedef struct text {
    char *bytes; /* with a 0 at the end */
    size_t n, capacity;
    bool is_short_of_memory;
} text;

static void put(text *t, const char *bytes, size_t n)
{
    if (t->n + n + 1 > t->capacity && !t->is_short_of_memory) {
        const size_t capacity = 2 * (t->n + n + 1) + 64;
        char *grown = uap_realloc(t->bytes, capacity, 1);
        t->is_short_of_memory = grown == NULL;
        t->bytes = grown != NULL ? grown : t->bytes;
        t->capacity = grown != NULL ? capacity : t->capacity;
    }
    if (t->bytes != NULL && !t->is_short_of_memory) {
        memcpy(t->bytes + t->n, bytes, n);
        t->n += n;
        t->bytes[t->n] = '\0';
    }
}

static void put_number(text *t, uint64_t number, int width)
{
    char digits[32];
    const int n = snprintf(digits, sizeof digits, "%0*" PRIu64, width, number);
    put(t, digits, (size_t)n);
}

/* ---- Compressing ----------------------------------------------------------------------- */

typedef struct host {
    const char *name;
    size_t prefix_n;
    size_t family; /* the first name with this prefix */
    uint64_t number;
    int width; /* digits; 0: no number */
} host;

/* Without leading zeros 9 and 10 are neighbours; with them widths must agree. */
static int pad_of(const host *h)
{
    return h->width > 1 && h->name[h->prefix_n] == '0' ? h->width : 0;
}

static uap_status cut(const char *name, host *out, uap_err *err)
{
    size_t n = strlen(name);
    *out = (host){.name = name, .prefix_n = n};
    if (n == 0 || strpbrk(name, ",[] \t\n") != NULL) {
        return UAP_FAIL(err, BAD_INPUT, "'%.80s' is no host name", name);
    }
    while (n > 0 && name[n - 1] >= '0' && name[n - 1] <= '9') {
        n--;
    }
    const size_t digits = out->prefix_n - n;
    if (digits > 0 && digits <= DIGITS_MAX) {
        out->prefix_n = n;
        out->width = (int)digits;
        out->number = strtoull(name + n, NULL, 10);
    }
    return UAP_OK;
}

/* By prefix, and equal ones in the order in which they came. */
static int by_prefix(const void *a, const void *b)
{
    const host *x = a, *y = b;
    const size_t n = x->prefix_n < y->prefix_n ? x->prefix_n : y->prefix_n;
    const int order = memcmp(x->name, y->name, n);
    if (order != 0) {
        return order;
    }
    if (x->prefix_n != y->prefix_n) {
        return x->prefix_n < y->prefix_n ? -1 : 1;
    }
    return (x->family > y->family) - (x->family < y->family);
}

/* By family; in it what has no number first, then by padding and number. */
static int by_number(const void *a, const void *b)
{
    const host *x = a, *y = b;
    if (x->family != y->family) {
        return x->family < y->family ? -1 : 1;
    }
    if ((x->width > 0) != (y->width > 0)) {
        return x->width > 0 ? 1 : -1;
    }
    const int pad_x = pad_of(x), pad_y = pad_of(y);
    if (pad_x != pad_y && pad_x > 0 && pad_y > 0) {
        return pad_x < pad_y ? -1 : 1;
    }
    if (x->number != y->number) {
        return x->number < y->number ? -1 : 1;
    }
    return (x->width > y->width) - (x->width < y->width);
}

static bool is_same_prefix(const host *a, const host *b)
{
    return a->prefix_n == b->prefix_n && memcmp(a->name, b->name, a->prefix_n) == 0;
}

/* Whether b follows a in a range: "08-12" is 08, 09, 10, 11, 12, and so is "8-12" without
 * the zeros. */
static bool follows(const host *a, const host *b)
{
    const bool same_width = a->width == b->width;
    const bool unpadded = pad_of(a) == 0 && pad_of(b) == 0;
    return a->width > 0 && b->width > 0 && b->number == a->number + 1 &&
           (same_width || unpadded);
}

/* Names of one prefix: h[0 .. n-1], sorted, at least one. */
static void put_family(text *t, const host *h, size_t n)
{
    size_t i = 0;
    for (; i < n && h[i].width == 0; i++) {
        put(t, i > 0 ? "," : "", i > 0 ? 1 : 0);
        put(t, h[i].name, h[i].prefix_n);
    }
    if (i == n) {
        return;
    }
    put(t, i > 0 ? "," : "", i > 0 ? 1 : 0);
    put(t, h[i].name, h[i].prefix_n);
    const bool many = n - i > 1;
    put(t, "[", many ? 1 : 0);
    for (bool first = true; i < n; first = false) {
        size_t last = i;
        while (last + 1 < n && follows(&h[last], &h[last + 1])) {
            last++;
        }
        put(t, first ? "" : ",", first ? 0 : 1);
        put_number(t, h[i].number, h[i].width);
        if (last > i) {
            put(t, "-", 1);
            put_number(t, h[last].number, h[last].width);
        }
        i = last + 1;
    }
    put(t, "]", many ? 1 : 0);
}

/* Drops repeated names; returns how many stay. */
static size_t drop_repeated(host *h, size_t n)
{
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        if (kept == 0 || strcmp(h[kept - 1].name, h[i].name) != 0) {
            h[kept++] = h[i];
        }
    }
    return kept;
}

/* Sorted hosts by families. */
static void put_all(text *t, const host *h, size_t n)
{
    put(t, "", 0);
    for (size_t i = 0; i < n;) {
        size_t end = i + 1;
        while (end < n && h[end].family == h[i].family) {
            end++;
        }
        put(t, i > 0 ? "," : "", i > 0 ? 1 : 0);
        put_family(t, h + i, end - i);
        i = end;
    }
}

uap_status uap_hostlist_compress(const char *const *name, size_t n, char **out,
                                 uap_err *err)
{
    uap_status rc = UAP_OK;
    text t = {.n = 0};
    host *h = uap_calloc(n, sizeof *h);
    *out = NULL;
    if (h == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu host names", n);
    }
    for (size_t i = 0; i < n; i++) {
        UAP_TRY(cut(name[i], &h[i], err));
        h[i].family = i;
    }
    /* A family is named by its first member, so that prefixes keep their order. */
    qsort(h, n, sizeof *h, by_prefix);
    for (size_t i = 1; i < n; i++) {
        h[i].family = is_same_prefix(&h[i - 1], &h[i]) ? h[i - 1].family : h[i].family;
    }
    qsort(h, n, sizeof *h, by_number);
    put_all(&t, h, drop_repeated(h, n));
    if (t.is_short_of_memory) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for a host list");
        goto done;
    }
    *out = t.bytes;
    t.bytes = NULL;
done:
    uap_free(t.bytes);
    uap_free(h);
    return rc;
}

/* ---- Expanding ------------------------------------------------------------------------- */

typedef struct expansion {
    const char *list;
    char **name; /* [n] of [capacity] */
    size_t n, capacity;
} expansion;

static uap_status bad(const expansion *e, const char *at, const char *expected,
                      uap_err *err)
{
    return UAP_FAIL(err, BAD_INPUT,
                    "host list '%.80s': found '%.20s' at %zu, expected %s", e->list, at,
                    (size_t)(at - e->list) + 1, expected);
}

static uap_status add_name(expansion *e, const text *name, uap_err *err)
{
    if (e->n == NAMES_MAX) {
        return UAP_FAIL(err, TOO_LARGE, "host list '%.80s': more than %d names", e->list,
                        NAMES_MAX);
    }
    if (e->n == e->capacity) {
        const size_t capacity = e->capacity == 0 ? 64 : 2 * e->capacity;
        char **grown = uap_realloc(e->name, capacity, sizeof *grown);
        if (grown == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for %zu host names", capacity);
        }
        e->name = grown;
        e->capacity = capacity;
    }
    char *copy = name->is_short_of_memory ? NULL : uap_strdup(name->bytes);
    if (copy == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a host name");
    }
    e->name[e->n++] = copy;
    return UAP_OK;
}

/* Digits at *at; moves behind them. */
static uap_status read_number(const expansion *e, const char **at, uint64_t *number,
                              int *width, uap_err *err)
{
    const size_t n = strspn(*at, "0123456789");
    if (n == 0 || n > DIGITS_MAX) {
        return bad(e, *at, "1 to 15 digits", err);
    }
    *number = strtoull(*at, NULL, 10);
    *width = (int)n;
    *at += n;
    return UAP_OK;
}

/* One "3" or "008-012" between prefix and suffix. */
static uap_status expand_range(expansion *e, const char **at, const char *prefix,
                               size_t prefix_n, const char *suffix, size_t suffix_n,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    uint64_t first = 0, last = 0;
    int width = 0, ignored = 0;
    const char *start = *at;
    text name = {.n = 0};
    UAP_TRY(read_number(e, at, &first, &width, err));
    last = first;
    if (**at == '-') {
        (*at)++;
        UAP_TRY(read_number(e, at, &last, &ignored, err));
    }
    if (last < first) {
        rc = bad(e, start, "a range that goes up", err);
        goto done;
    }
    for (uint64_t i = first; i <= last; i++) {
        name.n = 0;
        put(&name, prefix, prefix_n);
        put_number(&name, i, width);
        put(&name, suffix, suffix_n);
        UAP_TRY(add_name(e, &name, err));
    }
done:
    uap_free(name.bytes);
    return rc;
}

/* One name or bracketed part, up to a comma or the end. */
static uap_status expand_part(expansion *e, const char **at, uap_err *err)
{
    uap_status rc = UAP_OK;
    const char *prefix = *at;
    const size_t prefix_n = strcspn(prefix, ",[] \t\n");
    text name = {.n = 0};
    *at += prefix_n;
    if (**at != '[') {
        if (prefix_n == 0 || (**at != ',' && **at != '\0')) {
            return bad(e, *at, "a host name", err);
        }
        put(&name, prefix, prefix_n);
        rc = add_name(e, &name, err);
        uap_free(name.bytes);
        return rc;
    }
    const char *close = strchr(*at, ']');
    if (close == NULL) {
        return bad(e, *at, "a ']' behind it", err);
    }
    const size_t suffix_n = strcspn(close + 1, ",[] \t\n");
    do {
        (*at)++;
        UAP_TRY(expand_range(e, at, prefix, prefix_n, close + 1, suffix_n, err));
    } while (**at == ',');
    if (*at != close) {
        return bad(e, *at, "',' or ']'", err);
    }
    *at = close + 1 + suffix_n;
    if (**at != ',' && **at != '\0') {
        return bad(e, *at, "',' or the end", err);
    }
done:
    return rc;
}

uap_status uap_hostlist_expand(const char *list, char ***out, size_t *n, uap_err *err)
{
    uap_status rc = UAP_OK;
    expansion e = {.list = list};
    const char *at = list;
    *out = NULL;
    *n = 0;
    while (*at != '\0') {
        UAP_TRY(expand_part(&e, &at, err));
        if (*at == ',') {
            at++;
            if (*at == '\0') {
                rc = bad(&e, at, "a host name", err);
                goto done;
            }
        }
    }
    *out = e.name;
    *n = e.n;
    return UAP_OK;
done:
    uap_hostlist_free(e.name, e.n);
    return rc;
}

void uap_hostlist_free(char **name, size_t n)
{
    for (size_t i = 0; name != NULL && i < n; i++) {
        uap_free(name[i]);
    }
    uap_free(name);
}
