/* Sharing by hash first and comparison after, so that a collision costs time, not truth. */
#include "search/instance_share.h"

#include <string.h>

#define HASH_START 0xcbf29ce484222325u /* FNV-1a, 64 bits */
#define HASH_PRIME 0x100000001b3u

static uint64_t hash_value(uint64_t hash, int64_t value)
{
    hash = (hash ^ (uint64_t)value) * HASH_PRIME;
    return hash ^ hash >> 29; /* the plain product leaves the low bits weak */
}

static uint64_t hash_values(uint64_t hash, const int64_t *value, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        hash = hash_value(hash, value[i]);
    }
    return hash;
}

static bool equal_values(const int64_t *a, const int64_t *b, int64_t n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

uap_status uap_sharer_open(uap_sharer *sharer, uap_instance *instance, int32_t n_layers,
                           uap_err *err)
{
    const size_t n = (size_t)n_layers;
    *sharer = (uap_sharer){.instance = instance, .scratch = uap_arena_new()};
    sharer->table_hash = uap_calloc(n, sizeof *sharer->table_hash);
    sharer->edge_hash = uap_calloc(n, sizeof *sharer->edge_hash);
    sharer->edge_n_from = uap_calloc(n, sizeof *sharer->edge_n_from);
    sharer->edge_n_to = uap_calloc(n, sizeof *sharer->edge_n_to);
    if (sharer->scratch == NULL || sharer->table_hash == NULL ||
        sharer->edge_hash == NULL || sharer->edge_n_from == NULL ||
        sharer->edge_n_to == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for an instance of %d layers",
                        n_layers);
    }
    return UAP_OK;
}

void uap_sharer_close(uap_sharer *sharer)
{
    uap_arena_free(sharer->scratch);
    uap_free(sharer->table_hash);
    uap_free(sharer->edge_hash);
    uap_free(sharer->edge_n_from);
    uap_free(sharer->edge_n_to);
    *sharer = (uap_sharer){0};
}

/* ---- Layers ------------------------------------------------------------------------ */

static uint64_t hash_table(const uap_layer_table *table)
{
    const int64_t *const arrays[] = {table->fwd,   table->bwd, table->grad,
                                     table->state, table->act, table->work};
    uint64_t hash = hash_value(HASH_START, table->n);
    for (size_t i = 0; i < sizeof arrays / sizeof arrays[0]; i++) {
        hash = hash_values(hash, arrays[i], table->n);
    }
    for (int32_t k = 0; table->type != NULL && k < table->n; k++) {
        hash = hash_value(hash, table->type[k]);
    }
    return hash;
}

static bool equal_names(const uap_layer_table *a, const uap_layer_table *b)
{
    if (a->name == NULL || b->name == NULL) {
        return a->name == b->name;
    }
    int32_t k = 0;
    while (k < a->n && strcmp(a->name[k], b->name[k]) == 0) {
        k++;
    }
    return k == a->n;
}

static bool equal_types(const uap_layer_table *a, const uap_layer_table *b)
{
    if (a->type == NULL || b->type == NULL) {
        return a->type == b->type;
    }
    return memcmp(a->type, b->type, (size_t)a->n * sizeof *a->type) == 0;
}

static bool equal_tables(const uap_layer_table *a, const uap_layer_table *b)
{
    return a->n == b->n && equal_values(a->fwd, b->fwd, a->n) &&
           equal_values(a->bwd, b->bwd, a->n) && equal_values(a->grad, b->grad, a->n) &&
           equal_values(a->state, b->state, a->n) && equal_values(a->act, b->act, a->n) &&
           equal_values(a->work, b->work, a->n) && equal_types(a, b) && equal_names(a, b);
}

int32_t uap_share_table(uap_sharer *sharer, const uap_layer_table *table)
{
    uap_instance *instance = sharer->instance;
    const uint64_t hash = hash_table(table);
    for (int32_t i = 0; i < instance->n_tables; i++) {
        if (sharer->table_hash[i] == hash && equal_tables(&instance->table[i], table)) {
            return i;
        }
    }
    const int32_t index = instance->n_tables++;
    instance->table[index] = *table;
    sharer->table_hash[index] = hash;
    return index;
}

/* ---- Edges ------------------------------------------------------------------------- */

/* One side of a dense edge: line i is row i (or column i) of every matrix. */
typedef struct side {
    const uap_dense_edge *dense;
    int32_t n, length;       /* lines; entries of a line in each matrix */
    int64_t step, across;    /* entries from one line, or one place in it, to the next */
    int32_t *class_of;       /* [n] */
    int32_t *representative; /* [n] the first line of each class */
    uint64_t *hash;          /* [n] of each class */
} side;

static bool equal_lines(const side *s, int32_t a, int32_t b)
{
    for (int m = 0; m < UAP_EDGE_MATRICES; m++) {
        const int64_t *x = s->dense->matrix[m] + a * s->step;
        const int64_t *y = s->dense->matrix[m] + b * s->step;
        for (int32_t i = 0; i < s->length; i++) {
            if (x[i * s->across] != y[i * s->across]) {
                return false;
            }
        }
    }
    return true;
}

static uint64_t hash_line(const side *s, int32_t line)
{
    uint64_t hash = HASH_START;
    for (int m = 0; m < UAP_EDGE_MATRICES; m++) {
        const int64_t *x = s->dense->matrix[m] + line * s->step;
        for (int32_t i = 0; i < s->length; i++) {
            hash = hash_value(hash, x[i * s->across]);
        }
    }
    return hash;
}

/* Numbers the classes by their first line; returns how many there are. */
static int32_t classify(side *s)
{
    int32_t n_classes = 0;
    for (int32_t line = 0; line < s->n; line++) {
        const uint64_t hash = hash_line(s, line);
        int32_t c = 0;
        while (c < n_classes &&
               !(s->hash[c] == hash && equal_lines(s, s->representative[c], line))) {
            c++;
        }
        if (c == n_classes) {
            s->hash[c] = hash;
            s->representative[c] = line;
            n_classes++;
        }
        s->class_of[line] = c;
    }
    return n_classes;
}

static bool side_open(side *s, uap_arena *arena)
{
    const size_t n = (size_t)s->n;
    s->class_of = uap_arena_alloc(arena, n, sizeof *s->class_of);
    s->representative = uap_arena_alloc(arena, n, sizeof *s->representative);
    s->hash = uap_arena_alloc(arena, n, sizeof *s->hash);
    return s->class_of != NULL && s->representative != NULL && s->hash != NULL;
}

/* One entry per pair of classes. NULL when out of memory. */
static int64_t *compress(uap_arena *arena, const int64_t *matrix, const side *rows,
                         const side *columns, const uap_edge_table *edge)
{
    int64_t *out =
        uap_arena_alloc(arena, (size_t)edge->n_from * (size_t)edge->n_to, sizeof *out);
    for (int32_t k = 0; out != NULL && k < edge->n_from; k++) {
        const int64_t *row = matrix + rows->representative[k] * rows->step;
        for (int32_t m = 0; m < edge->n_to; m++) {
            out[(int64_t)k * edge->n_to + m] = row[columns->representative[m]];
        }
    }
    return out;
}

/* Fills *edge in `arena` from the sides of a dense edge; false when out of memory. */
static bool edge_from_sides(uap_arena *arena, side *rows, side *columns,
                            uap_edge_table *edge)
{
    if (!side_open(rows, arena) || !side_open(columns, arena)) {
        return false;
    }
    const int64_t *const *matrix = rows->dense->matrix;
    edge->n_from = classify(rows);
    edge->n_to = classify(columns);
    edge->from_class = rows->class_of;
    edge->to_class = columns->class_of;
    edge->r_fwd = compress(arena, matrix[0], rows, columns, edge);
    edge->r_bwd = compress(arena, matrix[1], rows, columns, edge);
    edge->x_fwd = compress(arena, matrix[2], rows, columns, edge);
    edge->x_bwd = compress(arena, matrix[3], rows, columns, edge);
    return edge->r_fwd != NULL && edge->r_bwd != NULL && edge->x_fwd != NULL &&
           edge->x_bwd != NULL;
}

static bool equal_classes(const int32_t *a, const int32_t *b, int32_t n)
{
    return memcmp(a, b, (size_t)n * sizeof *a) == 0;
}

static uint64_t hash_edge(const uap_edge_table *edge)
{
    const int64_t n = (int64_t)edge->n_from * edge->n_to;
    uint64_t hash = hash_value(hash_value(HASH_START, edge->n_from), edge->n_to);
    hash = hash_values(hash, edge->r_fwd, n);
    hash = hash_values(hash, edge->r_bwd, n);
    hash = hash_values(hash, edge->x_fwd, n);
    return hash_values(hash, edge->x_bwd, n);
}

/* Classes are numbered alike, so equal matrices mean equal compressed ones. */
static bool equal_edges(const uap_sharer *sharer, int32_t index,
                        const uap_edge_table *edge, const uap_dense_edge *dense)
{
    const uap_edge_table *old = &sharer->instance->edge[index];
    const int64_t n = (int64_t)edge->n_from * edge->n_to;
    return sharer->edge_n_from[index] == dense->n_from &&
           sharer->edge_n_to[index] == dense->n_to && old->n_from == edge->n_from &&
           old->n_to == edge->n_to &&
           equal_classes(old->from_class, edge->from_class, dense->n_from) &&
           equal_classes(old->to_class, edge->to_class, dense->n_to) &&
           equal_values(old->r_fwd, edge->r_fwd, n) &&
           equal_values(old->r_bwd, edge->r_bwd, n) &&
           equal_values(old->x_fwd, edge->x_fwd, n) &&
           equal_values(old->x_bwd, edge->x_bwd, n);
}

static void *keep(uap_arena *arena, const void *from, int64_t n, size_t size)
{
    void *block = uap_arena_alloc(arena, (size_t)n, size);
    if (block != NULL) {
        memcpy(block, from, (size_t)n * size);
    }
    return block;
}

/* Moves a scratch edge into the instance's arena; false when out of memory. */
static bool keep_edge(uap_instance *instance, const uap_edge_table *scratch,
                      const uap_dense_edge *dense, uap_edge_table *edge)
{
    uap_arena *arena = instance->arena;
    const int64_t n = (int64_t)scratch->n_from * scratch->n_to;
    const size_t class_size = sizeof *edge->from_class;
    *edge = *scratch;
    edge->from_class = keep(arena, scratch->from_class, dense->n_from, class_size);
    edge->to_class = keep(arena, scratch->to_class, dense->n_to, class_size);
    edge->r_fwd = keep(arena, scratch->r_fwd, n, sizeof *edge->r_fwd);
    edge->r_bwd = keep(arena, scratch->r_bwd, n, sizeof *edge->r_bwd);
    edge->x_fwd = keep(arena, scratch->x_fwd, n, sizeof *edge->x_fwd);
    edge->x_bwd = keep(arena, scratch->x_bwd, n, sizeof *edge->x_bwd);
    return edge->from_class != NULL && edge->to_class != NULL && edge->r_fwd != NULL &&
           edge->r_bwd != NULL && edge->x_fwd != NULL && edge->x_bwd != NULL;
}

uap_status uap_share_edge(uap_sharer *sharer, const uap_dense_edge *dense, int32_t *index,
                          uap_err *err)
{
    uap_instance *instance = sharer->instance;
    side rows = {.dense = dense,
                 .n = dense->n_from,
                 .length = dense->n_to,
                 .step = dense->n_to,
                 .across = 1};
    side columns = {.dense = dense,
                    .n = dense->n_to,
                    .length = dense->n_from,
                    .step = 1,
                    .across = dense->n_to};
    uap_edge_table edge;
    uap_arena_reset(sharer->scratch);
    if (!edge_from_sides(sharer->scratch, &rows, &columns, &edge)) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for the costs between two layers");
    }
    const uint64_t hash = hash_edge(&edge);
    for (int32_t i = 0; i < instance->n_edges; i++) {
        if (sharer->edge_hash[i] == hash && equal_edges(sharer, i, &edge, dense)) {
            *index = i;
            return UAP_OK;
        }
    }
    const int32_t last = instance->n_edges;
    if (!keep_edge(instance, &edge, dense, &instance->edge[last])) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for the costs between two layers");
    }
    sharer->edge_hash[last] = hash;
    sharer->edge_n_from[last] = dense->n_from;
    sharer->edge_n_to[last] = dense->n_to;
    instance->n_edges++;
    *index = last;
    return UAP_OK;
}
