/* Nodes sorted by what they are, and cut where neighbours differ. */
#include "profile/classes.h"

#include "common/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Memory that differs by less is the same part: drivers and kernels take their share. */
#define MEMORY_RATIO 1.1

static int compare_f64(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double uap_lower_median(double *value, int64_t n)
{
    if (n < 1) {
        return (double)NAN;
    }
    qsort(value, (size_t)n, sizeof *value, compare_f64);
    return value[(n - 1) / 2];
}

bool uap_has_gap(double *value, int64_t n, double ratio)
{
    int64_t known = 0;
    for (int64_t i = 0; i < n; i++) {
        if (isfinite(value[i])) {
            value[known++] = value[i];
        }
    }
    if (known > 1) {
        qsort(value, (size_t)known, sizeof *value, compare_f64);
    }
    for (int64_t i = 1; i < known; i++) {
        if (value[i] > ratio * value[i - 1]) {
            return true;
        }
    }
    return false;
}

/* A node among those that are sorted. */
typedef struct place {
    const uap_node_kind *kind;
    int32_t node, part;
} place;

static int compare_parts(const place *a, const place *b)
{
    return (a->part > b->part) - (a->part < b->part);
}

static int by_device(const void *a, const void *b)
{
    const place *x = a, *y = b;
    const int named = strcmp(x->kind->device, y->kind->device);
    if (named != 0) {
        return named;
    }
    return (x->kind->devices > y->kind->devices) - (x->kind->devices < y->kind->devices);
}

static int by_memory(const void *a, const void *b)
{
    const place *x = a, *y = b;
    const int parts = compare_parts(x, y);
    return parts != 0 ? parts
                      : compare_f64(&x->kind->memory_bytes, &y->kind->memory_bytes);
}

static int by_seconds(const void *a, const void *b)
{
    const place *x = a, *y = b;
    const int parts = compare_parts(x, y);
    return parts != 0 ? parts : compare_f64(&x->kind->seconds, &y->kind->seconds);
}

/* What is the same in every way that is not a number. */
static bool is_same_device(const place *a, const place *b, double ratio)
{
    (void)ratio;
    return by_device(a, b) == 0;
}

static bool is_near_memory(const place *a, const place *b, double ratio)
{
    return b->kind->memory_bytes <= ratio * a->kind->memory_bytes;
}

/* A speed that is not known sets nobody apart. */
static bool is_near_speed(const place *a, const place *b, double ratio)
{
    return !(b->kind->seconds > ratio * a->kind->seconds);
}

/* Sorts, and cuts each part where a node is not near the one before it; returns how many
 * parts there are then. */
static int32_t cut(place *all, int32_t n, int (*compare)(const void *, const void *),
                   bool (*is_near)(const place *, const place *, double), double ratio)
{
    int32_t part = 0;
    qsort(all, (size_t)n, sizeof *all, compare);
    for (int32_t i = 0, was = all[0].part; i < n; i++) {
        const bool is_new =
            i > 0 && (all[i].part != was || !is_near(&all[i - 1], &all[i], ratio));
        was = all[i].part;
        part += is_new;
        all[i].part = part;
    }
    return part + 1;
}

/* Numbers parts by their first nodes. */
static uap_status number_parts(const place *all, int32_t n, int32_t n_parts,
                               int32_t *group_of, uap_err *err)
{
    int32_t next = 0;
    int32_t *number = uap_calloc((size_t)n_parts, sizeof *number);
    if (number == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d groups", (int)n_parts);
    }
    for (int32_t i = 0; i < n; i++) {
        group_of[all[i].node] = all[i].part;
    }
    for (int32_t i = 0; i < n; i++) {
        int32_t *of = &number[group_of[i]];
        *of = *of == 0 ? ++next : *of;
        group_of[i] = *of - 1;
    }
    uap_free(number);
    return UAP_OK;
}

uap_status uap_node_groups_choose(const uap_node_kind *node, int32_t n, double ratio,
                                  int32_t *group_of, int32_t *n_groups, uap_err *err)
{
    uap_status rc = UAP_OK;
    place *all = uap_calloc((size_t)n, sizeof *all);
    place *fast = uap_calloc((size_t)n, sizeof *fast);
    if (all == NULL || fast == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory to sort %d nodes", (int)n);
        goto done;
    }
    for (int32_t i = 0; i < n; i++) {
        all[i] = (place){.kind = &node[i], .node = i};
    }
    (void)cut(all, n, by_device, is_same_device, 0);
    *n_groups = cut(all, n, by_memory, is_near_memory, MEMORY_RATIO);
    memcpy(fast, all, (size_t)n * sizeof *all);
    const int32_t n_fast = cut(fast, n, by_seconds, is_near_speed, ratio);
    const bool tells_speed = n_fast <= UAP_NODE_GROUPS_MAX;
    *n_groups = tells_speed ? n_fast : *n_groups;
    rc = number_parts(tells_speed ? fast : all, n, *n_groups, group_of, err);
done:
    uap_free(fast);
    uap_free(all);
    return rc;
}
