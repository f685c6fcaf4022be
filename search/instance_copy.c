/* Deep copies of instances, and the source that hands them out. */
#include "search/instance.h"
#include "search/solve.h"

#include <string.h>

/* Copies arrays into one arena; after a failure it only returns NULL. */
typedef struct copier {
    uap_arena *arena;
    bool failed;
} copier;

/* A copy of n elements; NULL stays NULL. */
static void *copy(copier *to, const void *from, int64_t n, size_t size)
{
    if (from == NULL || to->failed) {
        return NULL;
    }
    void *block = uap_arena_alloc(to->arena, (size_t)n, size);
    if (block == NULL) {
        to->failed = true;
    } else if (n > 0) {
        memcpy(block, from, (size_t)n * size);
    }
    return block;
}

static int64_t *copy_i64(copier *to, const int64_t *from, int64_t n)
{
    return copy(to, from, n, sizeof *from);
}

static int32_t *copy_i32(copier *to, const int32_t *from, int64_t n)
{
    return copy(to, from, n, sizeof *from);
}

/* The structs are copied whole before; these replace the pointers inside. */
static void copy_table(copier *to, uap_layer_table *table)
{
    const int32_t n = table->n;
    table->fwd = copy_i64(to, table->fwd, n);
    table->bwd = copy_i64(to, table->bwd, n);
    table->grad = copy_i64(to, table->grad, n);
    table->state = copy_i64(to, table->state, n);
    table->act = copy_i64(to, table->act, n);
    table->work = copy_i64(to, table->work, n);
    table->origin = copy_i32(to, table->origin, n);
    table->type = copy_i32(to, table->type, n);
    table->name = copy(to, table->name, n, sizeof *table->name);
    for (int32_t k = 0; k < n && table->name != NULL; k++) {
        const char *name = table->name[k];
        table->name[k] = copy(to, name, name == NULL ? 0 : (int64_t)strlen(name) + 1, 1);
    }
}

/* n_from, n_to: strategies at both ends. */
static void copy_edge(copier *to, uap_edge_table *edge, int32_t n_from, int32_t n_to)
{
    const int64_t n = (int64_t)edge->n_from * edge->n_to;
    edge->from_class = copy_i32(to, edge->from_class, n_from);
    edge->to_class = copy_i32(to, edge->to_class, n_to);
    edge->r_fwd = copy_i64(to, edge->r_fwd, n);
    edge->r_bwd = copy_i64(to, edge->r_bwd, n);
    edge->x_fwd = copy_i64(to, edge->x_fwd, n);
    edge->x_bwd = copy_i64(to, edge->x_bwd, n);
}

static void copy_live(copier *to, const uap_instance *from, uap_live_tensor *live)
{
    const int32_t n = uap_table_of(from, live->from)->n;
    live->consumer = copy_i32(to, live->consumer, live->n_consumers);
    live->r_fwd = copy(to, live->r_fwd, live->n_consumers, sizeof *live->r_fwd);
    live->r_bwd = copy(to, live->r_bwd, live->n_consumers, sizeof *live->r_bwd);
    for (int32_t j = 0; j < live->n_consumers && !to->failed; j++) {
        const int64_t m = uap_table_of(from, live->consumer[j])->n;
        live->r_fwd[j] = copy_i64(to, live->r_fwd[j], n * m);
        live->r_bwd[j] = copy_i64(to, live->r_bwd[j], n * m);
    }
    live->x_fwd = copy_i64(to, live->x_fwd, n);
    live->x_bwd = copy_i64(to, live->x_bwd, n);
    live->bytes = copy_i64(to, live->bytes, n);
}

static void copy_edges(copier *to, const uap_instance *from, uap_instance *out)
{
    out->edge = copy(to, from->edge, from->n_edges, sizeof *from->edge);
    for (int32_t i = 0; i < from->n_edges && !to->failed; i++) {
        /* A table does not know its strategies; any layer that uses it does. */
        int32_t u = 0;
        while (u + 1 < from->n_layers && from->layer_edge[u] != i) {
            u++;
        }
        const bool used = u + 1 < from->n_layers;
        copy_edge(to, &out->edge[i], used ? uap_table_of(from, u)->n : 0,
                  used ? uap_table_of(from, u + 1)->n : 0);
    }
}

uap_instance *uap_instance_copy(const uap_instance *instance)
{
    uap_instance *out = uap_instance_new();
    if (out == NULL) {
        return NULL;
    }
    uap_arena *arena = out->arena;
    copier to = {.arena = arena};
    const uap_instance *from = instance;
    *out = *from;
    out->arena = arena;
    out->layer_table = copy_i32(&to, from->layer_table, from->n_layers);
    out->layer_edge = copy_i32(&to, from->layer_edge, from->n_layers - 1);
    out->cap = copy_i64(&to, from->cap, from->pp);
    out->inflight = copy_i64(&to, from->inflight, from->pp);
    out->table = copy(&to, from->table, from->n_tables, sizeof *from->table);
    for (int32_t i = 0; i < from->n_tables && !to.failed; i++) {
        copy_table(&to, &out->table[i]);
    }
    copy_edges(&to, from, out);
    out->live = copy(&to, from->live, from->n_live, sizeof *from->live);
    for (int32_t i = 0; i < from->n_live && !to.failed; i++) {
        copy_live(&to, from, &out->live[i]);
    }
    out->tie = copy(&to, from->tie, from->n_ties, sizeof *from->tie);
    for (int32_t i = 0; i < from->n_ties && !to.failed; i++) {
        uap_tie *tie = &out->tie[i];
        tie->class_a = copy_i32(&to, tie->class_a, uap_table_of(from, tie->a)->n);
        tie->class_b = copy_i32(&to, tie->class_b, uap_table_of(from, tie->b)->n);
    }
    out->type = copy(&to, from->type, from->n_types, sizeof *from->type);
    out->group_devices = copy_i64(&to, from->group_devices, from->n_groups);
    out->start_act =
        copy_i64(&to, from->start_act, (int64_t)from->n_types * from->n_layers);
    if (to.failed) {
        uap_instance_free(out);
        return NULL;
    }
    return out;
}

/* The source's context is not const, because other sources cache in theirs. */
typedef union borrowed {
    const void *in;
    void *out;
} borrowed;

static uap_status build_copy(void *context, int32_t index, uap_instance **out,
                             uap_err *err)
{
    (void)index; /* there is one */
    *out = uap_instance_copy(context);
    return *out != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for an instance");
}

uap_source uap_source_of_instance(const uap_instance *instance)
{
    const borrowed context = {.in = instance};
    return (uap_source){.n = 1, .context = context.out, .build = build_copy};
}
