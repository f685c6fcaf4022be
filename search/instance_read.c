/* Values, arrays and matrices of an instance file: units, lengths, rounding. */
#include "search/instance_read.h"

#include <math.h>

/* ---- Values ------------------------------------------------------------------------ */

uap_status uap_read_ticks(const uap_jval *value, int64_t *out, uap_err *err)
{
    static const double max_s = (double)UAP_VALUE_LIMIT / (double)UAP_TICKS_PER_SECOND;
    double seconds = 0;
    const uap_status rc = uap_jas_f64(value, 0, floor(max_s), &seconds, err);
    if (rc == UAP_OK) {
        *out = llround(seconds * (double)UAP_TICKS_PER_SECOND);
    }
    return rc;
}

/* Integers are taken as they are, for not all of them are doubles. */
static uap_status to_whole(const uap_jval *value, int64_t *out,
                           double (*round_to)(double), uap_err *err)
{
    if (uap_jtype_of(value) == UAP_JSON_INTEGER) {
        return uap_jas_i64(value, 0, UAP_VALUE_LIMIT, out, err);
    }
    double bytes = 0;
    const uap_status rc = uap_jas_f64(value, 0, (double)UAP_VALUE_LIMIT, &bytes, err);
    if (rc == UAP_OK) {
        *out = (int64_t)round_to(bytes);
    }
    return rc;
}

uap_status uap_read_bytes(const uap_jval *value, int64_t *out, uap_err *err)
{
    return to_whole(value, out, ceil, err);
}

/* What a stage has is rounded the other way, so that what fits here fits. */
uap_status uap_read_capacity(const uap_jval *value, int64_t *out, uap_err *err)
{
    return to_whole(value, out, floor, err);
}

uap_status uap_read_inflight(const uap_jval *value, int64_t *out, uap_err *err)
{
    return uap_jas_i64(value, 1, INT32_MAX, out, err);
}

/* ---- Arrays ------------------------------------------------------------------------ */

void *uap_read_allocate(uap_instance_reader *r, size_t n, size_t size)
{
    void *block = uap_arena_alloc(r->instance->arena, n, size);
    if (block == NULL) {
        (void)UAP_FAIL(r->err, NO_MEMORY, "no memory for an instance");
    }
    return block;
}

static uap_status refuse_above(const uap_jval *value, int64_t entries, int64_t most,
                               uap_err *err)
{
    return entries <= most ? UAP_OK
                           : uap_jfail(value, err,
                                       "found %lld entries up to here, references "
                                       "followed, expected at most %lld",
                                       (long long)entries, (long long)most);
}

uap_status uap_read_count(uap_instance_reader *r, const uap_jval *value, int64_t more)
{
    r->entries += more;
    return refuse_above(value, r->entries, UAP_INSTANCE_MAX_ENTRIES, r->err);
}

uap_status uap_read_count_pairs(uap_instance_reader *r, const uap_jval *value,
                                int64_t more)
{
    r->pairs += more;
    return refuse_above(value, r->pairs, UAP_INSTANCE_MAX_PAIRS, r->err);
}

/* Fails unless `value` is an array of n entries; `what` says of what, one per what. */
uap_status uap_read_check_array(const uap_instance_reader *r, const uap_jval *value,
                                int32_t n, const char *what)
{
    if (uap_jtype_of(value) != UAP_JSON_ARRAY) {
        return uap_jfail(value, r->err,
                         "found no array, expected one with %d entries, %s", n, what);
    }
    if (uap_jlen(value) != (size_t)n) {
        return uap_jfail(value, r->err, "found %zu entries, expected %d, %s",
                         uap_jlen(value), n, what);
    }
    return UAP_OK;
}

uap_status uap_read_array(const uap_instance_reader *r, const uap_jval *object,
                          const char *key, int32_t n, const char *what, uap_jval *out)
{
    const uap_status rc = uap_jget(object, key, UAP_JSON_ARRAY, out, r->err);
    return rc != UAP_OK ? rc : uap_read_check_array(r, out, n, what);
}

/* Follows the reference of entry i. An entry that is no integer is itself. */
uap_status uap_read_refer(const uap_instance_reader *r, const uap_jval *list, int32_t i,
                          uap_jval *out)
{
    const uap_jval value = uap_jat(list, (size_t)i);
    int64_t earlier = 0;
    *out = value;
    if (uap_jtype_of(&value) != UAP_JSON_INTEGER) {
        return UAP_OK;
    }
    const uap_status rc = uap_jas_i64(&value, INT64_MIN, INT64_MAX, &earlier, r->err);
    if (rc != UAP_OK) {
        return rc;
    }
    if (earlier < 0 || earlier >= i) {
        return uap_jfail(&value, r->err,
                         "found a reference to entry %lld, expected an earlier one than "
                         "entry %d",
                         (long long)earlier, i);
    }
    *out = uap_jat(list, (size_t)earlier);
    if (uap_jtype_of(out) != UAP_JSON_ARRAY) {
        return uap_jfail(&value, r->err,
                         "found a reference to entry %lld, expected one that is written "
                         "out",
                         (long long)earlier);
    }
    return UAP_OK;
}

/* A bad length is the reference's fault where there is one. */
uap_status uap_read_entry(const uap_instance_reader *r, const uap_jval *list, int32_t i,
                          int32_t n, const char *what, uap_jval *out)
{
    const uap_jval value = uap_jat(list, (size_t)i);
    const uap_status rc = uap_read_refer(r, list, i, out);
    if (rc != UAP_OK) {
        return rc;
    }
    if (out->node != value.node && uap_jlen(out) != (size_t)n) {
        return uap_jfail(&value, r->err,
                         "found a reference to one with %zu entries, expected %d, %s",
                         uap_jlen(out), n, what);
    }
    return uap_read_check_array(r, out, n, what);
}

/* Reads n entries of an array of that length. */
uap_status uap_read_values(const uap_instance_reader *r, const uap_jval *array, int32_t n,
                           uap_convert *to, int64_t *out)
{
    uap_status rc = uap_read_check_array(r, array, n, "one per strategy");
    for (int32_t k = 0; k < n && rc == UAP_OK; k++) {
        const uap_jval value = uap_jat(array, (size_t)k);
        rc = to(&value, &out[k], r->err);
    }
    return rc;
}

uap_status uap_read_row(const uap_instance_reader *r, const uap_jval *rows, int32_t i,
                        int32_t n, uap_convert *to, int64_t *out)
{
    uap_jval row;
    const uap_status rc = uap_read_entry(r, rows, i, n, "one per strategy", &row);
    return rc != UAP_OK ? rc : uap_read_values(r, &row, n, to, out);
}

/* A new array of n entries from the member `key`; zeros where key is NULL. */
uap_status uap_read_member(uap_instance_reader *r, const uap_jval *object,
                           const char *key, int32_t n, uap_convert *to, int64_t **out)
{
    uap_jval array;
    *out = uap_read_allocate(r, (size_t)n, sizeof **out);
    if (*out == NULL) {
        return UAP_NO_MEMORY;
    }
    if (key == NULL) {
        return UAP_OK;
    }
    const uap_status rc = uap_jget(object, key, UAP_JSON_ARRAY, &array, r->err);
    return rc != UAP_OK ? rc : uap_read_values(r, &array, n, to, *out);
}

/* The first row of a matrix cannot be a reference, so it shows the width. */
uap_status uap_read_matrix(const uap_instance_reader *r, const uap_jval *list, int32_t i,
                           int32_t n_from, int32_t n_to, int64_t *out)
{
    const uap_jval value = uap_jat(list, (size_t)i);
    uap_jval matrix;
    uap_status rc = uap_read_entry(r, list, i, n_from, "one row per strategy", &matrix);
    if (rc != UAP_OK) {
        return rc;
    }
    const uap_jval first = uap_jat(&matrix, 0);
    if (matrix.node != value.node && uap_jlen(&first) != (size_t)n_to) {
        return uap_jfail(&value, r->err,
                         "found a reference to one of %zu columns, expected %d, one per "
                         "strategy",
                         uap_jlen(&first), n_to);
    }
    for (int32_t k = 0; k < n_from && rc == UAP_OK; k++) {
        rc = uap_read_row(r, &matrix, k, n_to, uap_read_ticks, out + (int64_t)k * n_to);
    }
    return rc;
}
