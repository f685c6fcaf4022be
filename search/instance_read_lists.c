/* The optional lists of an instance file: live tensors, ties, stage types. */
#include "search/instance_read.h"

/* The optional array `key` of the root; *n is 0 where there is none. */
static uap_status find_list(const uap_instance_reader *r, const char *key, uap_jval *list,
                            int32_t *n)
{
    *n = 0;
    if (!uap_jfind(&r->root, key, list)) {
        return UAP_OK;
    }
    const uap_status rc = uap_jget(&r->root, key, UAP_JSON_ARRAY, list, r->err);
    if (rc == UAP_OK && uap_jlen(list) > UAP_INSTANCE_MAX_LAYERS) {
        return uap_jfail(list, r->err, "found %zu entries, expected at most %d",
                         uap_jlen(list), UAP_INSTANCE_MAX_LAYERS);
    }
    *n = rc == UAP_OK ? (int32_t)uap_jlen(list) : 0;
    return rc;
}

static uap_status read_consumers(uap_instance_reader *r, const uap_jval *object,
                                 uap_live_tensor *live)
{
    uap_jval list;
    uap_status rc = uap_jget(object, "to", UAP_JSON_ARRAY, &list, r->err);
    if (rc != UAP_OK) {
        return rc;
    }
    const size_t n = uap_jlen(&list);
    if (n == 0 || n > (size_t)r->instance->n_layers) {
        return uap_jfail(&list, r->err, "found %zu consumers, expected 1 to %d", n,
                         r->instance->n_layers);
    }
    live->n_consumers = (int32_t)n;
    live->consumer = uap_read_allocate(r, n, sizeof *live->consumer);
    if (live->consumer == NULL) {
        return UAP_NO_MEMORY;
    }
    int64_t before = live->from;
    for (size_t j = 0; j < n && rc == UAP_OK; j++) {
        const uap_jval value = uap_jat(&list, j);
        int64_t layer = 0;
        rc = uap_jas_i64(&value, 0, r->instance->n_layers - 1, &layer, r->err);
        if (rc == UAP_OK && layer <= before) {
            rc =
                uap_jfail(&value, r->err,
                          "found consumer %lld after layer %lld, expected ascending ones",
                          (long long)layer, (long long)before);
        }
        live->consumer[j] = (int32_t)layer;
        before = layer;
    }
    return rc;
}

/* One matrix per consumer from the member `key`; zeros where key is NULL. */
static uap_status read_resharding(uap_instance_reader *r, const uap_jval *object,
                                  const char *key, const uap_live_tensor *live,
                                  int64_t ***out)
{
    uap_jval list = {0};
    uap_status rc = UAP_OK;
    const int32_t n = r->n_strategies[live->from];
    if (key != NULL) {
        UAP_TRY(uap_read_array(r, object, key, live->n_consumers,
                               "one matrix per consumer", &list));
    }
    *out = uap_read_allocate(r, (size_t)live->n_consumers, sizeof **out);
    for (int32_t j = 0; *out != NULL && j < live->n_consumers; j++) {
        const int32_t m = r->n_strategies[live->consumer[j]];
        UAP_TRY(uap_read_count(r, object, (int64_t)n * m));
        int64_t *matrix = uap_read_allocate(r, (size_t)n * (size_t)m, sizeof *matrix);
        (*out)[j] = matrix;
        if (matrix == NULL) {
            return UAP_NO_MEMORY;
        }
        if (key != NULL) {
            UAP_TRY(uap_read_matrix(r, &list, j, n, m, matrix));
        }
    }
    rc = *out == NULL ? UAP_NO_MEMORY : UAP_OK;
done:
    return rc;
}

static uap_status read_live(uap_instance_reader *r, const uap_jval *object,
                            uap_live_tensor *live)
{
    uap_status rc = UAP_OK;
    int64_t from = 0;
    const char *const *key = r->keys->edge;
    const char *const allowed[] = {"from", "to", "bytes", key[0], key[2], key[1], key[3]};
    UAP_TRY(uap_jcheck_keys(object, allowed, key[1] == NULL ? 5 : 7, r->err));
    UAP_TRY(uap_jget_i64(object, "from", 0, r->instance->n_layers - 1, &from, r->err));
    live->from = (int32_t)from;
    const int32_t n = r->n_strategies[from];
    UAP_TRY(read_consumers(r, object, live));
    UAP_TRY(read_resharding(r, object, key[0], live, &live->r_fwd));
    UAP_TRY(read_resharding(r, object, key[1], live, &live->r_bwd));
    UAP_TRY(uap_read_member(r, object, key[2], n, uap_read_ticks, &live->x_fwd));
    UAP_TRY(uap_read_member(r, object, key[3], n, uap_read_ticks, &live->x_bwd));
    UAP_TRY(uap_read_member(r, object, "bytes", n, uap_read_bytes, &live->bytes));
done:
    return rc;
}

static uap_status read_classes(uap_instance_reader *r, const uap_jval *object,
                               const char *key, int32_t layer, int32_t **out)
{
    uap_jval list;
    const int32_t n = r->n_strategies[layer];
    uap_status rc = uap_read_array(r, object, key, n, "one class per strategy", &list);
    *out = rc == UAP_OK ? uap_read_allocate(r, (size_t)n, sizeof **out) : NULL;
    if (rc == UAP_OK && *out == NULL) {
        return UAP_NO_MEMORY;
    }
    for (int32_t k = 0; k < n && rc == UAP_OK; k++) {
        const uap_jval value = uap_jat(&list, (size_t)k);
        int64_t number = 0;
        rc = uap_jas_i64(&value, INT32_MIN, INT32_MAX, &number, r->err);
        (*out)[k] = (int32_t)number;
    }
    return rc;
}

static uap_status read_tie(uap_instance_reader *r, const uap_jval *object, uap_tie *tie)
{
    static const char *const allowed[] = {"a", "b", "class_a", "class_b"};
    uap_status rc = UAP_OK;
    int64_t a = 0;
    int64_t b = 0;
    const int32_t last = r->instance->n_layers - 1;
    UAP_TRY(uap_jcheck_keys(object, allowed, 4, r->err));
    UAP_TRY(uap_jget_i64(object, "a", 0, last, &a, r->err));
    UAP_TRY(uap_jget_i64(object, "b", 0, last, &b, r->err));
    if (b <= a) {
        rc = uap_jfail(object, r->err,
                       "found a tie of layers %lld and %lld, expected a < b",
                       (long long)a, (long long)b);
        goto done;
    }
    tie->a = (int32_t)a;
    tie->b = (int32_t)b;
    UAP_TRY(read_classes(r, object, "class_a", tie->a, &tie->class_a));
    UAP_TRY(read_classes(r, object, "class_b", tie->b, &tie->class_b));
done:
    return rc;
}

uap_status uap_read_lists(uap_instance_reader *r)
{
    uap_status rc = UAP_OK;
    uap_instance *instance = r->instance;
    uap_jval list;
    UAP_TRY(find_list(r, "live", &list, &instance->n_live));
    instance->live =
        uap_read_allocate(r, (size_t)instance->n_live, sizeof *instance->live);
    for (int32_t i = 0; instance->live != NULL && i < instance->n_live; i++) {
        const uap_jval object = uap_jat(&list, (size_t)i);
        UAP_TRY(read_live(r, &object, &instance->live[i]));
    }
    UAP_TRY(find_list(r, "ties", &list, &instance->n_ties));
    instance->tie = uap_read_allocate(r, (size_t)instance->n_ties, sizeof *instance->tie);
    for (int32_t i = 0; instance->tie != NULL && i < instance->n_ties; i++) {
        const uap_jval object = uap_jat(&list, (size_t)i);
        UAP_TRY(read_tie(r, &object, &instance->tie[i]));
    }
    rc = instance->live == NULL || instance->tie == NULL ? UAP_NO_MEMORY : UAP_OK;
done:
    return rc;
}

/* ---- Mixed clusters ---------------------------------------------------------------- */

static uap_status read_type(const uap_instance_reader *r, const uap_jval *object,
                            uap_stage_type *type)
{
    static const char *const allowed[] = {"group", "devices", "cap"};
    uap_status rc = UAP_OK;
    uap_jval cap;
    int64_t group = 0;
    UAP_TRY(uap_jcheck_keys(object, allowed, 3, r->err));
    UAP_TRY(uap_jget_i64(object, "group", 0, r->instance->n_groups - 1, &group, r->err));
    UAP_TRY(uap_jget_i64(object, "devices", 1, INT32_MAX, &type->devices, r->err));
    if (!uap_jfind(object, "cap", &cap)) {
        rc = uap_jfail(object, r->err, "found no \"cap\" of a stage type");
        goto done;
    }
    UAP_TRY(uap_read_capacity(&cap, &type->cap, r->err));
    type->group = (int32_t)group;
done:
    return rc;
}

static uap_status read_groups(uap_instance_reader *r)
{
    uap_jval list;
    uap_instance *instance = r->instance;
    uap_status rc = uap_jget(&r->root, "groups", UAP_JSON_ARRAY, &list, r->err);
    if (rc != UAP_OK) {
        return rc;
    }
    instance->n_groups = (int32_t)uap_jlen(&list);
    if (instance->n_groups < 1 || uap_jlen(&list) > UAP_INSTANCE_MAX_LAYERS) {
        return uap_jfail(&list, r->err, "found %zu groups, expected 1 to %d",
                         uap_jlen(&list), UAP_INSTANCE_MAX_LAYERS);
    }
    return uap_read_member(r, &r->root, "groups", instance->n_groups, uap_read_capacity,
                           &instance->group_devices);
}

static uap_status read_starts(uap_instance_reader *r)
{
    uap_jval list;
    uap_instance *instance = r->instance;
    const int32_t n_layers = instance->n_layers;
    if (!uap_jfind(&r->root, "start_act", &list)) {
        return UAP_OK;
    }
    uap_status rc =
        uap_read_check_array(r, &list, instance->n_types, "one list per stage type");
    if (rc != UAP_OK) {
        return rc;
    }
    rc = uap_read_count(r, &list, (int64_t)instance->n_types * n_layers);
    if (rc != UAP_OK) {
        return rc;
    }
    instance->start_act = uap_read_allocate(
        r, (size_t)instance->n_types * (size_t)n_layers, sizeof *instance->start_act);
    if (instance->start_act == NULL) {
        return UAP_NO_MEMORY;
    }
    for (int32_t t = 0; t < instance->n_types && rc == UAP_OK; t++) {
        rc = uap_read_row(r, &list, t, n_layers, uap_read_bytes,
                          instance->start_act + (int64_t)t * n_layers);
    }
    return rc;
}

uap_status uap_read_types(uap_instance_reader *r)
{
    static const char *const only_there[] = {"types", "groups", "start_act"};
    uap_status rc = UAP_OK;
    uap_instance *instance = r->instance;
    uap_jval list;
    UAP_TRY(find_list(r, "stage_types", &list, &instance->n_types));
    for (size_t i = 0; instance->n_types == 0 && i < 3; i++) {
        if (uap_jfind(&r->root, only_there[i], &list)) {
            rc = uap_jfail(&list, r->err, "found \"%s\" without \"stage_types\"",
                           only_there[i]);
            goto done;
        }
    }
    if (instance->n_types == 0) {
        goto done;
    }
    UAP_TRY(read_groups(r));
    instance->type =
        uap_read_allocate(r, (size_t)instance->n_types, sizeof *instance->type);
    if (instance->type == NULL) {
        rc = UAP_NO_MEMORY;
        goto done;
    }
    for (int32_t t = 0; t < instance->n_types; t++) {
        const uap_jval object = uap_jat(&list, (size_t)t);
        UAP_TRY(read_type(r, &object, &instance->type[t]));
    }
    UAP_TRY(read_starts(r));
done:
    return rc;
}
