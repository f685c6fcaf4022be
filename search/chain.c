/* Building chains: live tensors and restrictions folded into rows and links. */
#include "search/chain.h"

#include "common/numbers.h"

#include <stdlib.h>
#include <string.h>

/* What makes two layers the same kind. */
typedef struct kind_key {
    int32_t table, before, behind; /* layer table, edge tables (-1 at the ends) */
    const uint8_t *allow;
    int32_t live_id; /* which live-tensor costs are added: -1 none */
} kind_key;

/* Costs that live tensors add to one layer's rows; consecutive equal ones share an id. */
typedef struct live_extra {
    int64_t *fwd, *bwd; /* [S_u] */
    int64_t act;        /* bytes per micro-batch in flight */
} live_extra;

typedef struct builder {
    uap_chain *chain;
    const uap_instance *in;
    const uap_restriction *restriction;
    int32_t type;         /* rows of this type only; -1: all */
    int32_t **from_class; /* [n_edges] -> new number of each class, -1: has no row; or */
    int32_t **to_class;   /* NULL where all rows are taken */
    int32_t *n_from, *n_to; /* [n_edges] classes left, at least 1 */
    kind_key *key;          /* [n_kinds] */
    live_extra *extra;      /* [n_extra] */
    int32_t n_extra;
    int32_t *extra_of;     /* [L], -1: none */
    int64_t *link_add_fwd; /* [L-1] ticks added to every crossing of this link */
    int64_t *link_add_bwd;
    struct {
        int32_t edge;
        int64_t add_fwd, add_bwd;
    } * link_key; /* [n_links] */
} builder;

static const uint8_t *allowed(const builder *b, int32_t layer)
{
    return b->restriction == NULL ? NULL : b->restriction->allow[layer];
}

/* Least of values[k] over the allowed strategies of a producer. */
static int64_t least(const int64_t *values, int32_t n, const uint8_t *allow,
                     int32_t stride)
{
    int64_t best = INT64_MAX;
    for (int32_t k = 0; k < n; k++) {
        if (allow == NULL || allow[k]) {
            best = uap_min_i64(best, values[(size_t)k * (size_t)stride]);
        }
    }
    return best == INT64_MAX ? 0 : best;
}

static bool same_extra(const live_extra *a, const live_extra *b, int32_t n)
{
    const size_t bytes = (size_t)n * sizeof *a->fwd;
    return a->act == b->act && memcmp(a->fwd, b->fwd, bytes) == 0 &&
           memcmp(a->bwd, b->bwd, bytes) == 0;
}

/* Interns the extra costs of a layer; returns their id, -1 out of memory. */
static int32_t intern_extra(builder *b, int32_t layer, live_extra extra)
{
    const int32_t n = uap_table_of(b->in, layer)->n;
    for (int32_t i = 0; i < b->n_extra; i++) {
        /* Extras are per table: rows of another table may have another length. */
        for (int32_t u = 0; u < layer; u++) {
            if (b->extra_of[u] == i &&
                b->in->layer_table[u] == b->in->layer_table[layer] &&
                same_extra(&b->extra[i], &extra, n)) {
                return i;
            }
        }
    }
    b->extra[b->n_extra] = extra;
    return b->n_extra++;
}

/* Adds one live tensor to the rows, links and starts. extra: [L] accumulating costs. */
static bool add_live(builder *b, const uap_live_tensor *live, live_extra *extra)
{
    const uap_instance *in = b->in;
    const int32_t n_from = uap_table_of(in, live->from)->n;
    const uint8_t *allow = allowed(b, live->from);
    const int32_t last = live->consumer[live->n_consumers - 1];
    const int64_t bytes = least(live->bytes, n_from, allow, 1);
    const int64_t x_fwd = least(live->x_fwd, n_from, allow, 1);
    const int64_t x_bwd = least(live->x_bwd, n_from, allow, 1);
    for (int32_t u = live->from; u < last; u++) {
        b->link_add_fwd[u] += x_fwd;
        b->link_add_bwd[u] += x_bwd;
    }
    for (int32_t u = live->from + 1; u <= last; u++) {
        const int32_t n = uap_table_of(in, u)->n;
        if (extra[u].fwd == NULL) {
            extra[u].fwd =
                uap_arena_alloc(b->chain->arena, (size_t)n, sizeof *extra[u].fwd);
            extra[u].bwd =
                uap_arena_alloc(b->chain->arena, (size_t)n, sizeof *extra[u].bwd);
            if (extra[u].fwd == NULL || extra[u].bwd == NULL) {
                return false;
            }
        }
        /* A stage that starts behind the first holder takes the tensor in at its start. */
        if (u == live->from + 1) {
            extra[u].act += bytes;
        } else {
            b->chain->start_act[u] += bytes;
        }
    }
    for (int32_t e = 0; e < live->n_consumers; e++) {
        const int32_t u = live->consumer[e];
        const int32_t n = uap_table_of(in, u)->n;
        for (int32_t m = 0; m < n; m++) {
            extra[u].fwd[m] += least(live->r_fwd[e] + m, n_from, allow, n);
            extra[u].bwd[m] += least(live->r_bwd[e] + m, n_from, allow, n);
        }
    }
    return true;
}

/* True when row j makes row i useless: same classes, nowhere worse, and better or earlier. */
static bool row_dominates(const uap_kind *kind, int32_t j, int32_t i)
{
    if (kind->in[j] != kind->in[i] || kind->out[j] != kind->out[i] ||
        kind->fwd[j] > kind->fwd[i] || kind->bwd[j] > kind->bwd[i] ||
        kind->grad[j] > kind->grad[i] || kind->state[j] > kind->state[i] ||
        kind->act[j] > kind->act[i] || kind->work[j] > kind->work[i]) {
        return false;
    }
    const bool equal = kind->fwd[j] == kind->fwd[i] && kind->bwd[j] == kind->bwd[i] &&
                       kind->grad[j] == kind->grad[i] &&
                       kind->state[j] == kind->state[i] && kind->act[j] == kind->act[i] &&
                       kind->work[j] == kind->work[i];
    return !equal || j < i;
}

static void copy_row(uap_kind *kind, int32_t to, int32_t from)
{
    kind->fwd[to] = kind->fwd[from];
    kind->bwd[to] = kind->bwd[from];
    kind->grad[to] = kind->grad[from];
    kind->state[to] = kind->state[from];
    kind->act[to] = kind->act[from];
    kind->work[to] = kind->work[from];
    kind->in[to] = kind->in[from];
    kind->out[to] = kind->out[from];
    kind->origin[to] = kind->origin[from];
}

static void drop_dominated(uap_kind *kind)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < kind->n; i++) {
        bool dominated = false;
        for (int32_t j = 0; j < kind->n && !dominated; j++) {
            /* Rows below `kept` were moved; they are compared in their new place. */
            dominated = j != i && (j >= i || j < kept) && row_dominates(kind, j, i);
        }
        if (!dominated) {
            copy_row(kind, kept++, i);
        }
    }
    kind->n = kept;
}

static bool alloc_rows(uap_arena *arena, uap_kind *kind, int32_t n)
{
    int64_t *block = uap_arena_alloc(arena, (size_t)n * 6, sizeof *block);
    int32_t *index = uap_arena_alloc(arena, (size_t)n * 3, sizeof *index);
    if (block == NULL || index == NULL) {
        return false;
    }
    kind->fwd = block;
    kind->bwd = block + n;
    kind->grad = block + 2 * (size_t)n;
    kind->state = block + 3 * (size_t)n;
    kind->act = block + 4 * (size_t)n;
    kind->work = block + 5 * (size_t)n;
    kind->in = index;
    kind->out = index + n;
    kind->origin = index + 2 * (size_t)n;
    return true;
}

static bool takes_row(const builder *b, const uap_layer_table *table,
                      const uint8_t *allow, int32_t k)
{
    return (allow == NULL || allow[k]) && (b->type < 0 || table->type[k] == b->type);
}

static int32_t new_class(int32_t *const *classes, int32_t edge, int32_t class)
{
    return classes == NULL ? class : classes[edge][class];
}

static bool fill_kind(builder *b, const kind_key *key, uap_kind *kind)
{
    const uap_layer_table *t = &b->in->table[key->table];
    const uap_edge_table *before = key->before < 0 ? NULL : &b->in->edge[key->before];
    const uap_edge_table *behind = key->behind < 0 ? NULL : &b->in->edge[key->behind];
    const live_extra *extra = key->live_id < 0 ? NULL : &b->extra[key->live_id];
    if (!alloc_rows(b->chain->arena, kind, t->n)) {
        return false;
    }
    kind->n_in = before == NULL ? 1 : b->n_to[key->before];
    kind->n_out = behind == NULL ? 1 : b->n_from[key->behind];
    for (int32_t k = 0; k < t->n; k++) {
        if (!takes_row(b, t, key->allow, k)) {
            continue;
        }
        const int32_t i = kind->n++;
        kind->fwd[i] = t->fwd[k] + (extra == NULL ? 0 : extra->fwd[k]);
        kind->bwd[i] = t->bwd[k] + (extra == NULL ? 0 : extra->bwd[k]);
        kind->grad[i] = t->grad[k];
        kind->state[i] = t->state[k];
        kind->act[i] = t->act[k] + (extra == NULL ? 0 : extra->act);
        kind->work[i] = t->work[k];
        kind->in[i] =
            before == NULL ? 0 : new_class(b->to_class, key->before, before->to_class[k]);
        kind->out[i] = behind == NULL
                           ? 0
                           : new_class(b->from_class, key->behind, behind->from_class[k]);
        kind->origin[i] = k;
    }
    drop_dominated(kind);
    const int64_t none = kind->n == 0 ? 0 : INT64_MAX;
    kind->min_time = kind->min_fwd = kind->min_bwd = none;
    kind->min_grad = kind->min_work = none;
    for (int32_t i = 0; i < kind->n; i++) {
        kind->min_time = uap_min_i64(kind->min_time, kind->fwd[i] + kind->bwd[i]);
        kind->min_fwd = uap_min_i64(kind->min_fwd, kind->fwd[i]);
        kind->min_bwd = uap_min_i64(kind->min_bwd, kind->bwd[i]);
        kind->min_grad = uap_min_i64(kind->min_grad, kind->grad[i]);
        kind->max_grad = uap_max_i64(kind->max_grad, kind->grad[i]);
        kind->min_work = uap_min_i64(kind->min_work, kind->work[i]);
    }
    return true;
}

/* One side's classes of an edge that have a row of the type, numbered anew; `behind` is 1 for
 * the side of the later layer. class_of: new numbers, out; returns how many. */
static int32_t renumber(const builder *b, int32_t edge, int32_t behind, int32_t *class_of)
{
    const uap_edge_table *e = &b->in->edge[edge];
    const int32_t n = behind ? e->n_to : e->n_from;
    const int32_t *old = behind ? e->to_class : e->from_class;
    int32_t count = 0;
    memset(class_of, -1, (size_t)n * sizeof *class_of);
    for (int32_t u = 0; u + 1 < b->in->n_layers; u++) {
        const uap_layer_table *t = uap_table_of(b->in, u + behind);
        for (int32_t k = 0; b->in->layer_edge[u] == edge && k < t->n; k++) {
            if (takes_row(b, t, allowed(b, u + behind), k) && class_of[old[k]] < 0) {
                class_of[old[k]] = 0;
            }
        }
    }
    for (int32_t c = 0; c < n; c++) {
        class_of[c] = class_of[c] < 0 ? -1 : count++;
    }
    return count;
}

/* The old class behind each new one; class 0 where none is left. */
static int32_t *old_classes(uap_arena *arena, const int32_t *class_of, int32_t n_old,
                            int32_t n)
{
    int32_t *id = uap_arena_alloc(arena, (size_t)n, sizeof *id);
    for (int32_t c = 0; id != NULL && c < n_old; c++) {
        if (class_of[c] >= 0) {
            id[class_of[c]] = c;
        }
    }
    return id;
}

static int64_t *pick(uap_arena *arena, const uap_chain_link *link, const int64_t *from,
                     int32_t n_columns)
{
    int64_t *to =
        uap_arena_alloc(arena, (size_t)link->n_out * (size_t)link->n_in, sizeof *to);
    for (int32_t y = 0; to != NULL && y < link->n_out; y++) {
        for (int32_t x = 0; x < link->n_in; x++) {
            to[y * link->n_in + x] = from[(size_t)link->out_id[y] * (size_t)n_columns +
                                          (size_t)link->in_id[x]];
        }
    }
    return to;
}

/* The part of an edge that rows of the type have. */
static bool fill_typed_link(builder *b, int32_t edge, uap_chain_link *link)
{
    const uap_edge_table *e = &b->in->edge[edge];
    uap_arena *arena = b->chain->arena;
    int32_t *from = uap_arena_alloc(arena, (size_t)e->n_from, sizeof *from);
    int32_t *to = uap_arena_alloc(arena, (size_t)e->n_to, sizeof *to);
    if (from == NULL || to == NULL) {
        return false;
    }
    b->from_class[edge] = from;
    b->to_class[edge] = to;
    b->n_from[edge] = uap_max_i32(1, renumber(b, edge, 0, from));
    b->n_to[edge] = uap_max_i32(1, renumber(b, edge, 1, to));
    link->n_out = b->n_from[edge];
    link->n_in = b->n_to[edge];
    link->out_id = old_classes(arena, from, e->n_from, link->n_out);
    link->in_id = old_classes(arena, to, e->n_to, link->n_in);
    if (link->out_id == NULL || link->in_id == NULL) {
        return false;
    }
    link->r_fwd = pick(arena, link, e->r_fwd, e->n_to);
    link->r_bwd = pick(arena, link, e->r_bwd, e->n_to);
    link->x_fwd = pick(arena, link, e->x_fwd, e->n_to);
    link->x_bwd = pick(arena, link, e->x_bwd, e->n_to);
    return link->r_fwd != NULL && link->r_bwd != NULL && link->x_fwd != NULL &&
           link->x_bwd != NULL;
}

static bool fill_link(builder *b, int32_t edge_index, int64_t add_fwd, int64_t add_bwd,
                      uap_chain_link *link)
{
    const uap_edge_table *edge = &b->in->edge[edge_index];
    const size_t n = (size_t)edge->n_from * (size_t)edge->n_to;
    if (b->type >= 0) {
        return fill_typed_link(b, edge_index, link);
    }
    b->n_from[edge_index] = edge->n_from;
    b->n_to[edge_index] = edge->n_to;
    link->n_out = edge->n_from;
    link->n_in = edge->n_to;
    link->r_fwd = edge->r_fwd;
    link->r_bwd = edge->r_bwd;
    link->x_fwd = edge->x_fwd;
    link->x_bwd = edge->x_bwd;
    if (add_fwd == 0 && add_bwd == 0) {
        return true;
    }
    link->x_fwd = uap_arena_alloc(b->chain->arena, n, sizeof *link->x_fwd);
    link->x_bwd = uap_arena_alloc(b->chain->arena, n, sizeof *link->x_bwd);
    if (link->x_fwd == NULL || link->x_bwd == NULL) {
        return false;
    }
    for (size_t i = 0; i < n; i++) {
        link->x_fwd[i] = edge->x_fwd[i] + add_fwd;
        link->x_bwd[i] = edge->x_bwd[i] + add_bwd;
    }
    return true;
}

static bool add_links(builder *b)
{
    uap_chain *chain = b->chain;
    for (int32_t u = 0; u + 1 < chain->n_layers; u++) {
        const int32_t edge = b->in->layer_edge[u];
        int32_t i = 0;
        while (i < chain->n_links && (b->link_key[i].edge != edge ||
                                      b->link_key[i].add_fwd != b->link_add_fwd[u] ||
                                      b->link_key[i].add_bwd != b->link_add_bwd[u])) {
            i++;
        }
        if (i == chain->n_links) {
            b->link_key[i].edge = edge;
            b->link_key[i].add_fwd = b->link_add_fwd[u];
            b->link_key[i].add_bwd = b->link_add_bwd[u];
            if (!fill_link(b, edge, b->link_add_fwd[u], b->link_add_bwd[u],
                           &chain->link[i])) {
                return false;
            }
            chain->n_links++;
        }
        chain->link_of[u] = i;
    }
    return true;
}

/* Sets *empty when a layer has no row left. */
static bool add_kinds(builder *b, bool *empty)
{
    uap_chain *chain = b->chain;
    for (int32_t u = 0; u < chain->n_layers; u++) {
        const kind_key key = {
            .table = b->in->layer_table[u],
            .before = u == 0 ? -1 : b->in->layer_edge[u - 1],
            .behind = u + 1 == chain->n_layers ? -1 : b->in->layer_edge[u],
            .allow = allowed(b, u),
            .live_id = b->extra_of[u],
        };
        int32_t i = 0;
        while (i < chain->n_kinds &&
               (b->key[i].table != key.table || b->key[i].before != key.before ||
                b->key[i].behind != key.behind || b->key[i].allow != key.allow ||
                b->key[i].live_id != key.live_id)) {
            i++;
        }
        if (i == chain->n_kinds) {
            b->key[i] = key;
            if (!fill_kind(b, &key, &chain->kind[i])) {
                return false;
            }
            *empty = *empty || chain->kind[i].n == 0;
            chain->n_kinds++;
        }
        chain->kind_of[u] = i;
    }
    return true;
}

static void find_runs(uap_chain *chain)
{
    const int32_t last = chain->n_layers - 1;
    for (int32_t u = last; u >= 0; u--) {
        const bool joined = u < last && chain->kind_of[u] == chain->kind_of[u + 1] &&
                            (u + 1 == last || chain->link_of[u] == chain->link_of[u + 1]);
        chain->run_end[u] = joined ? chain->run_end[u + 1] : u;
    }
}

static void find_width(uap_chain *chain)
{
    chain->width = 1;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        const uap_kind *kind = &chain->kind[i];
        chain->width = kind->n_in > chain->width ? kind->n_in : chain->width;
        chain->width = kind->n_out > chain->width ? kind->n_out : chain->width;
    }
}

static bool add_live_tensors(builder *b)
{
    const int32_t n_layers = b->chain->n_layers;
    live_extra *extra = uap_arena_alloc(b->chain->arena, (size_t)n_layers, sizeof *extra);
    if (extra == NULL) {
        return false;
    }
    for (int32_t t = 0; t < b->in->n_live; t++) {
        if (!add_live(b, &b->in->live[t], extra)) {
            return false;
        }
    }
    for (int32_t u = 0; u < n_layers; u++) {
        b->extra_of[u] = extra[u].fwd == NULL ? -1 : intern_extra(b, u, extra[u]);
    }
    return true;
}

static bool alloc_extremes(uap_chain *chain)
{
    const size_t n = (size_t)chain->n_layers;
    uap_chain_extremes *e = &chain->least;
    e->min_time = uap_arena_alloc(chain->arena, n, sizeof *e->min_time);
    e->min_fwd = uap_arena_alloc(chain->arena, n, sizeof *e->min_fwd);
    e->min_bwd = uap_arena_alloc(chain->arena, n, sizeof *e->min_bwd);
    e->max_grad = uap_arena_alloc(chain->arena, n, sizeof *e->max_grad);
    return e->min_time != NULL && e->min_fwd != NULL && e->min_bwd != NULL &&
           e->max_grad != NULL;
}

bool uap_chain_extremes_join(uap_chain *const *chain, int32_t n)
{
    for (int32_t t = 0; t < n; t++) {
        uap_chain_extremes *e = &chain[t]->least;
        e->first_grad = INT64_MAX;
        e->time = 0;
        for (int32_t u = 0; u < chain[t]->n_layers; u++) {
            e->min_time[u] = e->min_fwd[u] = e->min_bwd[u] = INT64_MAX;
            e->max_grad[u] = 0;
            for (int32_t j = 0; j < n; j++) {
                const uap_kind *kind = uap_kind_of(chain[j], u);
                if (kind->n == 0) {
                    continue;
                }
                e->min_time[u] = uap_min_i64(e->min_time[u], kind->min_time);
                e->min_fwd[u] = uap_min_i64(e->min_fwd[u], kind->min_fwd);
                e->min_bwd[u] = uap_min_i64(e->min_bwd[u], kind->min_bwd);
                e->max_grad[u] = uap_max_i64(e->max_grad[u], kind->max_grad);
                e->first_grad =
                    u == 0 ? uap_min_i64(e->first_grad, kind->min_grad) : e->first_grad;
            }
            if (e->min_time[u] == INT64_MAX) {
                return false;
            }
            e->time += (double)e->min_time[u];
            e->any_grad = e->any_grad || e->max_grad[u] > 0;
        }
    }
    return true;
}

/* What one type has of its own before its rows are known. */
static bool start_type(builder *b)
{
    const size_t n = (size_t)b->in->n_edges;
    b->from_class = uap_arena_alloc(b->chain->arena, n, sizeof *b->from_class);
    b->to_class = uap_arena_alloc(b->chain->arena, n, sizeof *b->to_class);
    for (int32_t u = 0; u < b->in->n_layers; u++) {
        b->chain->start_act[u] = uap_typed_start(b->in, b->type, u);
    }
    return b->from_class != NULL && b->to_class != NULL;
}

static bool build_all(builder *b, bool *empty)
{
    uap_chain *chain = b->chain;
    const size_t n = (size_t)chain->n_layers;
    uap_arena *arena = chain->arena;
    chain->kind = uap_arena_alloc(arena, n, sizeof *chain->kind);
    chain->link = uap_arena_alloc(arena, n, sizeof *chain->link);
    chain->kind_of = uap_arena_alloc(arena, n, sizeof *chain->kind_of);
    chain->link_of = uap_arena_alloc(arena, n, sizeof *chain->link_of);
    chain->start_act = uap_arena_alloc(arena, n, sizeof *chain->start_act);
    chain->run_end = uap_arena_alloc(arena, n, sizeof *chain->run_end);
    chain->cap = uap_arena_alloc(arena, (size_t)chain->pp, sizeof *chain->cap);
    b->key = uap_arena_alloc(arena, n, sizeof *b->key);
    b->extra = uap_arena_alloc(arena, n, sizeof *b->extra);
    b->extra_of = uap_arena_alloc(arena, n, sizeof *b->extra_of);
    b->link_add_fwd = uap_arena_alloc(arena, n, sizeof *b->link_add_fwd);
    b->link_add_bwd = uap_arena_alloc(arena, n, sizeof *b->link_add_bwd);
    b->link_key = uap_arena_alloc(arena, n, sizeof *b->link_key);
    b->n_from = uap_arena_alloc(arena, (size_t)b->in->n_edges, sizeof *b->n_from);
    b->n_to = uap_arena_alloc(arena, (size_t)b->in->n_edges, sizeof *b->n_to);
    if (chain->kind == NULL || chain->link == NULL || chain->kind_of == NULL ||
        chain->link_of == NULL || chain->start_act == NULL || chain->run_end == NULL ||
        b->key == NULL || b->extra == NULL || b->extra_of == NULL ||
        b->link_add_fwd == NULL || b->link_add_bwd == NULL || b->link_key == NULL ||
        chain->cap == NULL || b->n_from == NULL || b->n_to == NULL ||
        !alloc_extremes(chain)) {
        return false;
    }
    if (b->type >= 0 && !start_type(b)) {
        return false;
    }
    for (int32_t i = 0; i < chain->pp; i++) {
        chain->cap[i] = uap_typed_cap(b->in, i, b->type);
    }
    if (!add_live_tensors(b) || !add_links(b) || !add_kinds(b, empty)) {
        return false;
    }
    find_runs(chain);
    find_width(chain);
    return true;
}

/* *empty: some layer has no row. */
static uap_status build_chain(builder *b, bool *empty, uap_chain **out, uap_err *err)
{
    const uap_instance *instance = b->in;
    *out = NULL;
    uap_arena *arena = uap_arena_new();
    uap_chain *chain = arena == NULL ? NULL : uap_arena_alloc(arena, 1, sizeof *chain);
    if (chain == NULL) {
        uap_arena_free(arena);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a chain");
    }
    chain->arena = arena;
    chain->instance = instance;
    chain->n_layers = instance->n_layers;
    chain->pp = instance->pp;
    chain->c = instance->micro_batches;
    b->chain = chain;
    *empty = false;
    if (!build_all(b, empty)) {
        uap_chain_free(chain);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a chain");
    }
    *out = chain;
    return UAP_OK;
}

uap_status uap_chain_build(const uap_instance *instance,
                           const uap_restriction *restriction, uap_chain **out,
                           uap_err *err)
{
    builder b = {.in = instance, .restriction = restriction, .type = -1};
    bool empty = false;
    const uap_status rc = build_chain(&b, &empty, out, err);
    if (rc == UAP_OK && (empty || !uap_chain_extremes_join(out, 1))) {
        uap_chain_free(*out);
        *out = NULL;
    }
    return rc;
}

uap_status uap_chain_of_type(const uap_instance *instance,
                             const uap_restriction *restriction, int32_t type,
                             uap_chain **out, uap_err *err)
{
    builder b = {.in = instance, .restriction = restriction, .type = type};
    bool empty = false;
    return build_chain(&b, &empty, out, err);
}

void uap_chain_free(uap_chain *chain)
{
    if (chain != NULL) {
        uap_arena_free(chain->arena);
    }
}
