/* Reading "uniap-instance" files (docs/formats.md): dense matrices of seconds and bytes
 * become shared integer tables. */
#include "search/instance_json.h"

#include "search/instance_read.h"
#include "search/objective.h"

#include <string.h>

/* A document takes many times its text in memory, so files of 100 MB are refused. */
#define INSTANCE_MAX_BYTES ((size_t)100 * 1000 * 1000 - 1)

static const uap_time_keys simple_keys = {"A", NULL, {"R", NULL, "Rp", NULL}};
static const uap_time_keys full_keys = {"Af", "Ab", {"Rf", "Rb", "Rpf", "Rpb"}};

/* ---- Head -------------------------------------------------------------------------- */

static uap_status read_word(const uap_instance_reader *r, const char *key,
                            const char *first, const char *second, bool *is_first)
{
    const char *found = NULL;
    const uap_status rc = uap_jget_str(&r->root, key, &found, r->err);
    if (rc != UAP_OK) {
        return rc;
    }
    *is_first = strcmp(found, first) == 0;
    if (!*is_first && (second == NULL || strcmp(found, second) != 0)) {
        uap_jval value;
        (void)uap_jfind(&r->root, key, &value);
        return uap_jfail(&value, r->err,
                         "found \"%.64s\", expected \"%s\"%s%s%s for \"%s\"", found,
                         first, second == NULL ? "" : " or \"",
                         second == NULL ? "" : second, second == NULL ? "" : "\"", key);
    }
    return UAP_OK;
}

static uap_status read_schedule(uap_instance_reader *r)
{
    const char *name = NULL;
    const uap_status rc = uap_jget_str(&r->root, "schedule", &name, r->err);
    if (rc == UAP_OK && !uap_schedule_by_name(name, &r->instance->schedule)) {
        uap_jval value;
        (void)uap_jfind(&r->root, "schedule", &value);
        return uap_jfail(
            &value, r->err,
            "found \"%.64s\", expected \"gpipe\", \"1f1b\" or \"1f1b-eager\" "
            "for \"schedule\"",
            name);
    }
    return rc;
}

static uap_status check_keys(const uap_instance_reader *r)
{
    const uap_time_keys *k = r->keys;
    const char *allowed[] = {
        "format",        "version",  "objective",  "schedule", "pp",     "cap",
        "micro_batches", "inflight", "G",          "Ms",       "Ma",     "W",
        "live",          "ties",     "strategies", "types",    "groups", "stage_types",
        "start_act",     k->fwd,     k->edge[0],   k->edge[2], k->bwd,   k->edge[1],
        k->edge[3]};
    const size_t n = sizeof allowed / sizeof allowed[0];
    return uap_jcheck_keys(&r->root, allowed, k->bwd == NULL ? n - 3 : n, r->err);
}

static uap_status read_head(uap_instance_reader *r)
{
    uap_status rc = UAP_OK;
    uap_instance *instance = r->instance;
    uap_jval rows;
    bool simple = false;
    bool known = false;
    int64_t number = 0;
    UAP_TRY(read_word(r, "format", "uniap-instance", NULL, &known));
    UAP_TRY(uap_jget_i64(&r->root, "version", 1, 1, &number, r->err));
    UAP_TRY(read_word(r, "objective", "simple", "full", &simple));
    instance->objective = simple ? UAP_OBJECTIVE_SIMPLE : UAP_OBJECTIVE_FULL;
    r->keys = simple ? &simple_keys : &full_keys;
    UAP_TRY(check_keys(r));
    UAP_TRY(read_schedule(r));
    UAP_TRY(uap_jget_i64(&r->root, "micro_batches", 1, INT32_MAX, &number, r->err));
    instance->micro_batches = (int32_t)number;
    UAP_TRY(uap_jget(&r->root, r->keys->fwd, UAP_JSON_ARRAY, &rows, r->err));
    if (uap_jlen(&rows) < 1 || uap_jlen(&rows) > UAP_INSTANCE_MAX_LAYERS) {
        rc = uap_jfail(&rows, r->err, "found %zu layers, expected 1 to %d",
                       uap_jlen(&rows), UAP_INSTANCE_MAX_LAYERS);
        goto done;
    }
    instance->n_layers = (int32_t)uap_jlen(&rows);
    UAP_TRY(uap_jget_i64(&r->root, "pp", 1, instance->n_layers, &number, r->err));
    instance->pp = (int32_t)number;
    UAP_TRY(uap_read_array(r, &r->root, "cap", instance->pp, "one per stage", &rows));
    UAP_TRY(uap_read_member(r, &r->root, "cap", instance->pp, uap_read_capacity,
                            &instance->cap));
    UAP_TRY(
        uap_read_array(r, &r->root, "inflight", instance->pp, "one per stage", &rows));
    UAP_TRY(uap_read_member(r, &r->root, "inflight", instance->pp, uap_read_inflight,
                            &instance->inflight));
done:
    return rc;
}

/* ---- Layers ------------------------------------------------------------------------ */

enum { LAYER_ARRAYS = 6 }; /* fwd, bwd, grad, state, act, work */

typedef struct layer_views {
    uap_jval rows[LAYER_ARRAYS]; /* L rows each; node NULL where the file has none */
    uap_jval names, types;
    bool has_names;
} layer_views;

static uap_status read_names(uap_instance_reader *r, const uap_jval *rows, int32_t u,
                             uap_layer_table *table)
{
    uap_jval row;
    uap_status rc = uap_read_entry(r, rows, u, table->n, "one name per strategy", &row);
    if (rc != UAP_OK) {
        return rc;
    }
    table->name = uap_read_allocate(r, (size_t)table->n, sizeof *table->name);
    if (table->name == NULL) {
        return UAP_NO_MEMORY;
    }
    for (int32_t k = 0; k < table->n; k++) {
        const uap_jval value = uap_jat(&row, (size_t)k);
        const char *text = NULL;
        rc = uap_jas_str(&value, &text, r->err);
        if (rc == UAP_OK) {
            const uap_jval from = uap_jat(rows, (size_t)u);
            rc = uap_read_count(r, &from, 1 + (int64_t)(strlen(text) / sizeof(int64_t)));
        }
        if (rc != UAP_OK) {
            return rc;
        }
        table->name[k] = uap_read_allocate(r, strlen(text) + 1, 1);
        if (table->name[k] == NULL) {
            return UAP_NO_MEMORY;
        }
        memcpy(table->name[k], text, strlen(text) + 1);
    }
    return UAP_OK;
}

static uap_status read_row_types(uap_instance_reader *r, const uap_jval *rows, int32_t u,
                                 uap_layer_table *table)
{
    uap_jval row;
    uap_status rc = uap_read_entry(r, rows, u, table->n, "one type per strategy", &row);
    if (rc != UAP_OK) {
        return rc;
    }
    table->type = uap_read_allocate(r, (size_t)table->n, sizeof *table->type);
    if (table->type == NULL) {
        return UAP_NO_MEMORY;
    }
    for (int32_t k = 0; k < table->n && rc == UAP_OK; k++) {
        const uap_jval value = uap_jat(&row, (size_t)k);
        int64_t type = 0;
        rc = uap_jas_i64(&value, 0, r->instance->n_types - 1, &type, r->err);
        table->type[k] = (int32_t)type;
    }
    return rc;
}

static uap_status open_layers(uap_instance_reader *r, layer_views *views)
{
    const char *const keys[LAYER_ARRAYS] = {r->keys->fwd, r->keys->bwd, "G",
                                            "Ms",         "Ma",         "W"};
    *views = (layer_views){0};
    for (int i = 0; i < LAYER_ARRAYS; i++) {
        const uap_status rc =
            keys[i] == NULL ? UAP_OK
                            : uap_read_array(r, &r->root, keys[i], r->instance->n_layers,
                                             "one per layer", &views->rows[i]);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    if (r->instance->n_types > 0) {
        const uap_status rc = uap_read_array(r, &r->root, "types", r->instance->n_layers,
                                             "one per layer", &views->types);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    views->has_names = uap_jfind(&r->root, "strategies", &views->names);
    return views->has_names
               ? uap_read_check_array(r, &views->names, r->instance->n_layers,
                                      "one list of names per layer")
               : UAP_OK;
}

static uap_status read_layer(uap_instance_reader *r, const layer_views *views, int32_t u)
{
    static uap_convert *const to[LAYER_ARRAYS] = {uap_read_ticks, uap_read_ticks,
                                                  uap_read_ticks, uap_read_bytes,
                                                  uap_read_bytes, uap_read_bytes};
    uap_jval first;
    uap_status rc = uap_read_refer(r, &views->rows[0], u, &first);
    if (rc != UAP_OK) {
        return rc;
    }
    if (uap_jtype_of(&first) != UAP_JSON_ARRAY || uap_jlen(&first) == 0) {
        return uap_jfail(&first, r->err,
                         "found no strategies, expected at least one for layer %d", u);
    }
    const int32_t n = (int32_t)uap_jlen(&first);
    const uap_jval entry = uap_jat(&views->rows[0], (size_t)u);
    rc = uap_read_count(r, &entry, (int64_t)(LAYER_ARRAYS + 1) * n);
    if (rc != UAP_OK) {
        return rc;
    }
    uap_layer_table table = {.n = n};
    int64_t **const array[LAYER_ARRAYS] = {&table.fwd,   &table.bwd, &table.grad,
                                           &table.state, &table.act, &table.work};
    for (int i = 0; i < LAYER_ARRAYS; i++) {
        *array[i] = uap_read_allocate(r, (size_t)n, sizeof **array[i]);
        if (*array[i] == NULL) {
            return UAP_NO_MEMORY;
        }
        if (views->rows[i].node == NULL) {
            continue;
        }
        rc = uap_read_row(r, &views->rows[i], u, n, to[i], *array[i]);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    if (views->has_names) {
        rc = read_names(r, &views->names, u, &table);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    if (r->instance->n_types > 0) {
        rc = read_row_types(r, &views->types, u, &table);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    r->n_strategies[u] = n;
    r->instance->layer_table[u] = uap_share_table(&r->sharer, &table);
    return UAP_OK;
}

static uap_status read_layers(uap_instance_reader *r)
{
    layer_views views;
    uap_status rc = open_layers(r, &views);
    for (int32_t u = 0; u < r->instance->n_layers && rc == UAP_OK; u++) {
        rc = read_layer(r, &views, u);
    }
    return rc;
}

/* ---- Edges ------------------------------------------------------------------------- */

static uap_status read_edge(uap_instance_reader *r, const uap_jval *views, int32_t u)
{
    const int32_t n_from = r->n_strategies[u];
    const int32_t n_to = r->n_strategies[u + 1];
    uap_dense_edge dense = {.n_from = n_from, .n_to = n_to};
    const uap_jval entry = uap_jat(&views[0], (size_t)u);
    const uap_status counted =
        uap_read_count_pairs(r, &entry, UAP_EDGE_MATRICES * (int64_t)n_from * n_to);
    if (counted != UAP_OK) {
        return counted;
    }
    uap_arena_reset(r->scratch);
    for (int m = 0; m < UAP_EDGE_MATRICES; m++) {
        int64_t *matrix =
            uap_arena_alloc(r->scratch, (size_t)n_from * (size_t)n_to, sizeof *matrix);
        if (matrix == NULL) {
            return UAP_FAIL(r->err, NO_MEMORY, "no memory for an instance");
        }
        dense.matrix[m] = matrix;
        if (views[m].node == NULL) {
            continue;
        }
        const uap_status rc = uap_read_matrix(r, &views[m], u, n_from, n_to, matrix);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    return uap_share_edge(&r->sharer, &dense, &r->instance->layer_edge[u], r->err);
}

static uap_status read_edges(uap_instance_reader *r)
{
    uap_jval views[UAP_EDGE_MATRICES] = {{0}};
    uap_status rc = UAP_OK;
    const int32_t n = r->instance->n_layers - 1;
    for (int m = 0; m < UAP_EDGE_MATRICES; m++) {
        if (r->keys->edge[m] != NULL) {
            UAP_TRY(uap_read_array(r, &r->root, r->keys->edge[m], n,
                                   "one matrix per pair of neighbours", &views[m]));
        }
    }
    for (int32_t u = 0; u < n; u++) {
        UAP_TRY(read_edge(r, views, u));
    }
done:
    return rc;
}

/* ---- The whole file ---------------------------------------------------------------- */

static uap_status open_tables(uap_instance_reader *r)
{
    uap_instance *instance = r->instance;
    const size_t n = (size_t)instance->n_layers;
    instance->table = uap_read_allocate(r, n, sizeof *instance->table);
    instance->edge = uap_read_allocate(r, n, sizeof *instance->edge);
    instance->layer_table = uap_read_allocate(r, n, sizeof *instance->layer_table);
    instance->layer_edge = uap_read_allocate(r, n, sizeof *instance->layer_edge);
    r->n_strategies = uap_read_allocate(r, n, sizeof *r->n_strategies);
    if (instance->table == NULL || instance->edge == NULL ||
        instance->layer_table == NULL || instance->layer_edge == NULL ||
        r->n_strategies == NULL) {
        return UAP_NO_MEMORY;
    }
    return uap_sharer_open(&r->sharer, instance, instance->n_layers, r->err);
}

/* The check knows no file, so its name is put in front. */
static uap_status check_loaded(const uap_instance *instance, const char *path,
                               uap_err *err)
{
    uap_err inner = {0};
    const uap_status rc = uap_instance_check(instance, &inner);
    return rc == UAP_OK
               ? rc
               : uap_fail(err, rc, inner.file, inner.line, "%s: %s", path, inner.msg);
}

uap_status uap_instance_load(const char *path, uap_instance **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    uap_instance_reader r = {.err = err};
    *out = NULL;
    UAP_TRY(uap_json_load(path, INSTANCE_MAX_BYTES, &doc, err));
    r.root = uap_json_root(doc);
    r.instance = uap_instance_new();
    r.scratch = uap_arena_new();
    if (r.instance == NULL || r.scratch == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "%s: no memory for an instance", path);
        goto done;
    }
    UAP_TRY(read_head(&r));
    UAP_TRY(uap_read_types(&r));
    UAP_TRY(open_tables(&r));
    UAP_TRY(read_layers(&r));
    UAP_TRY(read_edges(&r));
    UAP_TRY(uap_read_lists(&r));
    UAP_TRY(check_loaded(r.instance, path, err));
    *out = r.instance;
    r.instance = NULL;
done:
    uap_sharer_close(&r.sharer);
    uap_arena_free(r.scratch);
    uap_instance_free(r.instance);
    uap_json_free(doc);
    return rc;
}
