/* Layers that share parameters: which strategies go together, and what keeping the copies equal
 * takes between unlike devices (docs/cost-model.md, sections 7 and 13). */
#include "search/cost_build.h"

#include "common/numbers.h"

#include <stdlib.h>

/* ---- What the all-reduce takes -------------------------------------------------------------- */

/* Two ranks, one of a stage and one on a group. */
static double tie_seconds(const uap_cost *cost, const cost_stage *stage, int32_t partner,
                          double bytes)
{
    const uap_dim_scope *scope = &stage->scope;
    const int64_t away = scope->devices - scope->stage_devices;
    if (partner == stage->group) {
        return away > 0 ? uap_scope_collective_s(scope, UAP_ALL_REDUCE, 2, away, bytes)
                        : 0.0;
    }
    const uap_link link = uap_cluster_between_link(
        cost->joined, stage->group, partner,
        uap_min_i64(scope->stage_devices, uap_cluster_node_size(scope->cluster)));
    const uap_piece line = uap_link_line(&link, bytes);
    /* A reduce-scatter and an all-gather. */
    return bytes > 0.0 ? 2.0 * line.latency_s + bytes / line.bandwidth_Bps : 0.0;
}

/* Bytes of the tie's shared parameters on a device. */
static double tie_bytes(const uap_cost *cost, int32_t tie, const uap_strategy *strategy,
                        int32_t elem_bytes)
{
    const uap_layer *later = &cost->model->layer[cost->model->tie[tie][1]];
    const int64_t tied = uap_layer_local_tied(later, strategy->tp);
    return (double)uap_ceil_div(tied, strategy->fsdp) * (double)elem_bytes;
}

/* Whether rows depend on the groups of the layers that they are tied to. */
static bool has_partners(const cost_work *b)
{
    return b->cost->is_mixed && !b->cost->is_paper && b->configuration->pp > 1;
}

static bool hosts(const cost_work *b, int32_t group)
{
    for (int32_t t = 0; t < b->n_types; t++) {
        if (b->type[t]->group == group) {
            return true;
        }
    }
    return false;
}

size_t cost_tie_room(const cost_work *b)
{
    size_t room = 1;
    for (int32_t i = 0; i < b->cost->model->n_ties && has_partners(b); i++) {
        room *= (size_t)b->cost->n_groups;
    }
    return room;
}

/* One tie: every entry once for each group that can host a stage. From the last to the first, as
 * the list grows in place. */
static int32_t expand(const cost_work *b, int32_t tie, cost_entry *entries, int32_t n)
{
    const uap_cost *cost = b->cost;
    int32_t n_hosts = 0;
    for (int32_t g = 0; g < cost->n_groups; g++) {
        n_hosts += hosts(b, g);
    }
    for (int32_t i = n - 1; i >= 0; i--) {
        const cost_entry one = entries[i];
        const cost_stage *stage = b->type[one.type];
        const double bytes =
            tie_bytes(cost, tie, &stage->strategy[one.origin], stage->scope.elem_bytes);
        cost_entry *out = &entries[i * n_hosts];
        for (int32_t g = 0; g < cost->n_groups; g++) {
            if (hosts(b, g)) {
                *out = one;
                out->partner.group[tie] = g;
                out->grad += cost_ticks(tie_seconds(cost, stage, g, bytes));
                out++;
            }
        }
    }
    return n * n_hosts;
}

int32_t cost_tie_rows(const cost_work *b, int32_t k, cost_entry *entries, int32_t n)
{
    const uap_model *model = b->cost->model;
    const int32_t layer = b->cost->kind[k].layer;
    int32_t rows = n;
    for (int32_t i = 0; i < n; i++) {
        for (int32_t t = 0; t < UAP_MODEL_MAX_TIES; t++) {
            entries[i].partner.group[t] = -1;
        }
    }
    for (int32_t t = 0; t < model->n_ties && has_partners(b); t++) {
        if (model->tie[t][0] == layer || model->tie[t][1] == layer) {
            rows = expand(b, t, entries, rows);
        }
    }
    return rows;
}

/* ---- Classes -------------------------------------------------------------------------------- */

/* What both layers of a tie must have alike, their split and where both are (groups; -1 where
 * they make no difference), as one number, and the first row that has it. */
typedef struct tie_key {
    uint64_t key;
    int32_t row;
} tie_key;

#define KEY_BITS 20 /* of a degree; groups are fewer than stage types */

static uint64_t key_of(const cost_work *b, const cost_built *built, int32_t row,
                       int32_t tie, bool is_later)
{
    const uap_cost *cost = b->cost;
    const int32_t origin = built->table->origin[row];
    const cost_stage *stage = &cost->stage[origin / COST_MAX_STRATEGIES];
    const uap_strategy *strategy = &stage->strategy[origin % COST_MAX_STRATEGIES];
    const int32_t partner = built->partner[row].group[tie];
    const int32_t own = partner < 0 ? -1 : stage->group;
    const uint64_t first = (uint64_t)((is_later ? partner : own) + 1);
    const uint64_t later = (uint64_t)((is_later ? own : partner) + 1);
    return (((uint64_t)strategy->tp << KEY_BITS | (uint64_t)strategy->fsdp) << 12 | first)
               << 12 |
           later;
}

static int by_key(const void *a, const void *b)
{
    const tie_key *x = a;
    const tie_key *y = b;
    const int order = (x->key > y->key) - (x->key < y->key);
    return order != 0 ? order : (x->row > y->row) - (x->row < y->row);
}

/* The keys of all rows of a layer, sorted; NULL: no memory. Freed with uap_free. */
static tie_key *sorted_keys(const cost_work *b, const cost_built *built, int32_t tie,
                            bool is_later)
{
    const int32_t n = built->table->n;
    tie_key *keys = uap_calloc((size_t)n, sizeof *keys);
    for (int32_t i = 0; keys != NULL && i < n; i++) {
        keys[i] = (tie_key){key_of(b, built, i, tie, is_later), i};
    }
    if (keys != NULL) {
        qsort(keys, (size_t)n, sizeof *keys, by_key);
    }
    return keys;
}

/* The first row that has the key, or -1. */
static int32_t first_alike(const tie_key *keys, int32_t n, uint64_t key)
{
    int32_t lo = 0;
    int32_t hi = n;
    while (lo < hi) {
        const int32_t mid = lo + (hi - lo) / 2;
        if (keys[mid].key < key) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo < n && keys[lo].key == key ? keys[lo].row : -1;
}

/* Over all types a class is the number of the first row of the earlier layer that has its key,
 * then of the later one. */
static int32_t *tie_over_types(const cost_work *b, int32_t tie, bool is_later)
{
    const int32_t *layer = b->cost->model->tie[tie];
    const cost_built *first = &b->built[b->cost->layer_kind[layer[0]]];
    const cost_built *built = &b->built[b->cost->layer_kind[layer[is_later ? 1 : 0]]];
    tie_key *theirs = sorted_keys(b, first, tie, false);
    tie_key *own = sorted_keys(b, built, tie, is_later);
    int32_t *classes = NULL;
    if (theirs != NULL && own != NULL) {
        classes = cost_alloc_i32(b, (size_t)built->table->n);
    }
    for (int32_t i = 0; classes != NULL && i < built->table->n; i++) {
        const uint64_t key = key_of(b, built, i, tie, is_later);
        classes[i] = first_alike(theirs, first->table->n, key);
        if (classes[i] < 0) {
            classes[i] = first->table->n + first_alike(own, built->table->n, key);
        }
    }
    uap_free(theirs);
    uap_free(own);
    return classes;
}

/* Where all stages are alike a class is the stage's number of the (tp, fsdp). */
static int32_t *tie_classes(const cost_work *b, int32_t layer)
{
    const uap_layer_table *table = b->built[b->cost->layer_kind[layer]].table;
    int32_t *classes = cost_alloc_i32(b, (size_t)table->n);
    for (int32_t i = 0; classes != NULL && i < table->n; i++) {
        classes[i] = b->type[0]->tie_class[table->origin[i]];
    }
    return classes;
}

uap_status cost_build_ties(const cost_work *b, uap_err *err)
{
    const uap_model *model = b->cost->model;
    uap_instance *instance = b->instance;
    const bool is_mixed = b->cost->is_mixed;
    instance->tie =
        uap_arena_alloc(instance->arena, (size_t)model->n_ties, sizeof *instance->tie);
    if (instance->tie == NULL) {
        return cost_no_memory(err);
    }
    instance->n_ties = model->n_ties;
    for (int32_t i = 0; i < model->n_ties; i++) {
        uap_tie *tie = &instance->tie[i];
        tie->a = model->tie[i][0];
        tie->b = model->tie[i][1];
        tie->class_a = is_mixed ? tie_over_types(b, i, false) : tie_classes(b, tie->a);
        tie->class_b = is_mixed ? tie_over_types(b, i, true) : tie_classes(b, tie->b);
        if (tie->class_a == NULL || tie->class_b == NULL) {
            return cost_no_memory(err);
        }
    }
    return UAP_OK;
}
