/* Writing "uniap-instance" files (docs/formats.md): tables are unfolded to dense matrices,
 * so that a reader needs to know nothing of classes; what repeats is written once and
 * named by its index from then on. */
#include "search/instance_json.h"

#include "common/json_write.h"
#include "search/objective.h"

#include <stdio.h>
#include <string.h>

static double seconds(int64_t ticks)
{
    return (double)ticks / (double)UAP_TICKS_PER_SECOND;
}

static uap_jout *times(const int64_t *ticks, int32_t n)
{
    uap_jout *array = uap_jout_array();
    for (int32_t k = 0; k < n; k++) {
        uap_jadd_f64(array, seconds(ticks[k]));
    }
    return array;
}

static uap_jout *integers(const int64_t *value, int32_t n)
{
    uap_jout *array = uap_jout_array();
    for (int32_t k = 0; k < n; k++) {
        uap_jadd_i64(array, value[k]);
    }
    return array;
}

static uap_jout *classes(const int32_t *value, int32_t n)
{
    uap_jout *array = uap_jout_array();
    for (int32_t k = 0; k < n; k++) {
        uap_jadd_i64(array, value[k]);
    }
    return array;
}

static bool same(const int64_t *a, const int64_t *b, int64_t n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

/* Ticks behind classes (uap_edge_table), or, where the classes are NULL, without. */
typedef struct view {
    const int64_t *ticks;
    int32_t n_from, n_to;     /* strategies */
    const int32_t *from, *to; /* their classes */
    int32_t n_columns;        /* of ticks */
} view;

static const int64_t *row_of(const view *v, int32_t k)
{
    return v->ticks + (int64_t)(v->from != NULL ? v->from[k] : k) * v->n_columns;
}

static uap_jout *row_times(const view *v, int32_t k)
{
    const int64_t *ticks = row_of(v, k);
    uap_jout *array = uap_jout_array();
    for (int32_t m = 0; m < v->n_to; m++) {
        uap_jadd_f64(array, seconds(ticks[v->to != NULL ? v->to[m] : m]));
    }
    return array;
}

/* Rows of seconds; one that repeats is the index of the first like it. */
static uap_jout *matrix(const view *v)
{
    uap_jout *rows = uap_jout_array();
    for (int32_t k = 0; k < v->n_from; k++) {
        int32_t like = 0;
        while (!same(row_of(v, like), row_of(v, k), v->n_columns)) {
            like++;
        }
        if (like < k) {
            uap_jadd_i64(rows, like);
        } else {
            uap_jadd(rows, row_times(v, k));
        }
    }
    return rows;
}

/* ---- Layers and edges -------------------------------------------------------------- */

static uap_jout *names(const uap_layer_table *table)
{
    uap_jout *array = uap_jout_array();
    char plain[16];
    for (int32_t k = 0; k < table->n; k++) {
        (void)snprintf(plain, sizeof plain, "s%d", k);
        uap_jadd_str(array, table->name != NULL ? table->name[k] : plain);
    }
    return array;
}

typedef uap_jout *layer_row(const uap_layer_table *table);

static uap_jout *row_fwd(const uap_layer_table *table)
{
    return times(table->fwd, table->n);
}

static uap_jout *row_bwd(const uap_layer_table *table)
{
    return times(table->bwd, table->n);
}

static uap_jout *row_grad(const uap_layer_table *table)
{
    return times(table->grad, table->n);
}

static uap_jout *row_state(const uap_layer_table *table)
{
    return integers(table->state, table->n);
}

static uap_jout *row_act(const uap_layer_table *table)
{
    return integers(table->act, table->n);
}

static uap_jout *row_work(const uap_layer_table *table)
{
    return integers(table->work, table->n);
}

/* The first layer or edge with the table of layer or edge u. */
static int32_t first_of(const int32_t *at, int32_t u)
{
    int32_t i = 0;
    while (at[i] != at[u]) {
        i++;
    }
    return i;
}

static void set_layers(uap_jout *root, const uap_instance *instance, const char *key,
                       layer_row *row)
{
    uap_jout *rows = uap_jout_array();
    for (int32_t u = 0; u < instance->n_layers; u++) {
        const int32_t like = first_of(instance->layer_table, u);
        if (like < u) {
            uap_jadd_i64(rows, like);
        } else {
            uap_jadd(rows, row(uap_table_of(instance, u)));
        }
    }
    uap_jset(root, key, rows);
}

typedef const int64_t *edge_matrix(const uap_edge_table *edge);

static const int64_t *edge_r_fwd(const uap_edge_table *edge)
{
    return edge->r_fwd;
}

static const int64_t *edge_r_bwd(const uap_edge_table *edge)
{
    return edge->r_bwd;
}

static const int64_t *edge_x_fwd(const uap_edge_table *edge)
{
    return edge->x_fwd;
}

static const int64_t *edge_x_bwd(const uap_edge_table *edge)
{
    return edge->x_bwd;
}

static uap_jout *edge_rows(const uap_instance *instance, int32_t u, edge_matrix *pick)
{
    const uap_edge_table *edge = uap_edge_of(instance, u);
    return matrix(&(view){.ticks = pick(edge),
                          .n_from = uap_table_of(instance, u)->n,
                          .n_to = uap_table_of(instance, u + 1)->n,
                          .from = edge->from_class,
                          .to = edge->to_class,
                          .n_columns = edge->n_to});
}

static void set_edges(uap_jout *root, const uap_instance *instance, const char *key,
                      edge_matrix *pick)
{
    uap_jout *list = uap_jout_array();
    for (int32_t u = 0; u + 1 < instance->n_layers; u++) {
        const int32_t like = first_of(instance->layer_edge, u);
        if (like < u) {
            uap_jadd_i64(list, like);
        } else {
            uap_jadd(list, edge_rows(instance, u, pick));
        }
    }
    uap_jset(root, key, list);
}

/* With the simple objective the backward halves are zero and have no keys. */
static void set_times(uap_jout *root, const uap_instance *instance)
{
    const bool simple = instance->objective == UAP_OBJECTIVE_SIMPLE;
    set_layers(root, instance, simple ? "A" : "Af", row_fwd);
    set_edges(root, instance, simple ? "R" : "Rf", edge_r_fwd);
    set_edges(root, instance, simple ? "Rp" : "Rpf", edge_x_fwd);
    if (!simple) {
        set_layers(root, instance, "Ab", row_bwd);
        set_edges(root, instance, "Rb", edge_r_bwd);
        set_edges(root, instance, "Rpb", edge_x_bwd);
    }
}

/* ---- Live tensors and ties --------------------------------------------------------- */

/* The first consumer up to j whose matrix is that of consumer j. */
static int32_t first_consumer(const uap_instance *instance, const uap_live_tensor *live,
                              int64_t *const *ticks, int32_t j)
{
    const int64_t n_from = uap_table_of(instance, live->from)->n;
    const int32_t n_to = uap_table_of(instance, live->consumer[j])->n;
    int32_t i = 0;
    while (uap_table_of(instance, live->consumer[i])->n != n_to ||
           !same(ticks[i], ticks[j], n_from * n_to)) {
        i++;
    }
    return i;
}

static void set_resharding(uap_jout *object, const uap_instance *instance,
                           const uap_live_tensor *live, const char *key,
                           int64_t *const *ticks)
{
    uap_jout *list = uap_jout_array();
    for (int32_t j = 0; j < live->n_consumers; j++) {
        const int32_t like = first_consumer(instance, live, ticks, j);
        const int32_t n = uap_table_of(instance, live->consumer[j])->n;
        if (like < j) {
            uap_jadd_i64(list, like);
        } else {
            uap_jadd(list, matrix(&(view){.ticks = ticks[j],
                                          .n_from = uap_table_of(instance, live->from)->n,
                                          .n_to = n,
                                          .n_columns = n}));
        }
    }
    uap_jset(object, key, list);
}

static uap_jout *live_object(const uap_instance *instance, const uap_live_tensor *live)
{
    const bool simple = instance->objective == UAP_OBJECTIVE_SIMPLE;
    const int32_t n = uap_table_of(instance, live->from)->n;
    uap_jout *object = uap_jout_object();
    uap_jset_i64(object, "from", live->from);
    uap_jset(object, "to", classes(live->consumer, live->n_consumers));
    uap_jset(object, "bytes", integers(live->bytes, n));
    set_resharding(object, instance, live, simple ? "R" : "Rf", live->r_fwd);
    uap_jset(object, simple ? "Rp" : "Rpf", times(live->x_fwd, n));
    if (!simple) {
        set_resharding(object, instance, live, "Rb", live->r_bwd);
        uap_jset(object, "Rpb", times(live->x_bwd, n));
    }
    return object;
}

static uap_jout *tie_object(const uap_instance *instance, const uap_tie *tie)
{
    uap_jout *object = uap_jout_object();
    uap_jset_i64(object, "a", tie->a);
    uap_jset_i64(object, "b", tie->b);
    uap_jset(object, "class_a", classes(tie->class_a, uap_table_of(instance, tie->a)->n));
    uap_jset(object, "class_b", classes(tie->class_b, uap_table_of(instance, tie->b)->n));
    return object;
}

static uap_jout *row_type(const uap_layer_table *table)
{
    return classes(table->type, table->n);
}

static uap_jout *type_object(const uap_stage_type *type)
{
    uap_jout *object = uap_jout_object();
    uap_jset_i64(object, "group", type->group);
    uap_jset_i64(object, "devices", type->devices);
    uap_jset_i64(object, "cap", type->cap);
    return object;
}

/* Stage types, groups, and what stages keep from their start on. */
static void set_types(uap_jout *root, const uap_instance *instance)
{
    const int32_t n = instance->n_layers;
    if (instance->n_types == 0) {
        return;
    }
    uap_jout *types = uap_jout_array();
    uap_jout *starts = uap_jout_array();
    for (int32_t t = 0; t < instance->n_types; t++) {
        uap_jadd(types, type_object(&instance->type[t]));
        if (instance->start_act != NULL) {
            uap_jadd(starts, integers(instance->start_act + (int64_t)t * n, n));
        }
    }
    uap_jset(root, "stage_types", types);
    uap_jset(root, "groups", integers(instance->group_devices, instance->n_groups));
    set_layers(root, instance, "types", row_type);
    if (instance->start_act != NULL) {
        uap_jset(root, "start_act", starts);
    } else {
        uap_jout_free(starts);
    }
}

static void set_lists(uap_jout *root, const uap_instance *instance)
{
    if (instance->n_live > 0) {
        uap_jout *list = uap_jout_array();
        for (int32_t i = 0; i < instance->n_live; i++) {
            uap_jadd(list, live_object(instance, &instance->live[i]));
        }
        uap_jset(root, "live", list);
    }
    if (instance->n_ties > 0) {
        uap_jout *list = uap_jout_array();
        for (int32_t i = 0; i < instance->n_ties; i++) {
            uap_jadd(list, tie_object(instance, &instance->tie[i]));
        }
        uap_jset(root, "ties", list);
    }
}

/* ---- The whole file ---------------------------------------------------------------- */

uap_status uap_instance_save(const uap_instance *instance, const char *path, uap_err *err)
{
    const bool simple = instance->objective == UAP_OBJECTIVE_SIMPLE;
    uap_jout *root = uap_jout_object();
    uap_jset_str(root, "format", "uniap-instance");
    uap_jset_i64(root, "version", 1);
    uap_jset_str(root, "objective", simple ? "simple" : "full");
    uap_jset_str(root, "schedule", uap_schedule_name(instance->schedule));
    uap_jset_i64(root, "pp", instance->pp);
    uap_jset_i64(root, "micro_batches", instance->micro_batches);
    uap_jset(root, "cap", integers(instance->cap, instance->pp));
    uap_jset(root, "inflight", integers(instance->inflight, instance->pp));
    set_times(root, instance);
    set_layers(root, instance, "G", row_grad);
    set_layers(root, instance, "Ms", row_state);
    set_layers(root, instance, "Ma", row_act);
    set_layers(root, instance, "W", row_work);
    set_layers(root, instance, "strategies", names);
    set_lists(root, instance);
    set_types(root, instance);
    const uap_status rc = uap_jout_write(root, path, err);
    uap_jout_free(root);
    return rc;
}
