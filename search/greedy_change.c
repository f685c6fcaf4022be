/* Single changes to a plan (search/greedy_change.h). */
#include "search/greedy_change.h"

#include "common/numbers.h"

/* A layer that reads a live tensor, as its consumer number `at`. */
typedef struct reader {
    int32_t tensor, at;
} reader;

struct uap_greedy_change {
    const uap_instance *in;
    uap_choice plan;
    uap_greedy_value *value;
    bool is_well_formed;   /* ties are kept: `value` is the plan's */
    uap_stage_cost *stage; /* [pp] scratch */
    bool *is_producer;     /* [L] of a live tensor, which many stages look at */
    int32_t *first_reader; /* [L + 1] */
    reader *reader;        /* those of layer u from first_reader[u] on */
    int64_t version;       /* grows with every change */
    int64_t *layer_tried;  /* [L] the version at which no strategy helped */
    int64_t *cut_tried;    /* [pp] and no move of the stage's start */
};

/* ---- Making ---- */

static bool list_readers(uap_greedy_change *c, uap_arena *arena)
{
    const uap_instance *in = c->in;
    const size_t layers = (size_t)in->n_layers;
    c->first_reader = uap_arena_alloc(arena, layers + 1, sizeof *c->first_reader);
    int32_t n = 0;
    for (int32_t t = 0; t < in->n_live; t++) {
        n += in->live[t].n_consumers;
    }
    c->reader = uap_arena_alloc(arena, (size_t)uap_max_i32(n, 1), sizeof *c->reader);
    if (c->first_reader == NULL || c->reader == NULL) {
        return false;
    }
    n = 0;
    for (int32_t u = 0; u < in->n_layers; u++) {
        c->first_reader[u] = n;
        for (int32_t t = 0; t < in->n_live; t++) {
            for (int32_t e = 0; e < in->live[t].n_consumers; e++) {
                if (in->live[t].consumer[e] == u) {
                    c->reader[n++] = (reader){t, e};
                }
            }
        }
    }
    c->first_reader[in->n_layers] = n;
    return true;
}

uap_greedy_change *uap_greedy_change_new(const uap_instance *instance, uap_arena *arena)
{
    const size_t layers = (size_t)instance->n_layers;
    const size_t pp = (size_t)instance->pp;
    uap_greedy_change *c = uap_arena_alloc(arena, 1, sizeof *c);
    if (c == NULL) {
        return NULL;
    }
    *c = (uap_greedy_change){.in = instance};
    c->plan.first = uap_arena_alloc(arena, pp, sizeof *c->plan.first);
    c->plan.strategy = uap_arena_alloc(arena, layers, sizeof *c->plan.strategy);
    c->value = uap_greedy_value_new(instance, arena);
    c->stage = uap_arena_alloc(arena, pp, sizeof *c->stage);
    c->is_producer = uap_arena_alloc(arena, layers, sizeof *c->is_producer);
    c->layer_tried = uap_arena_alloc(arena, layers, sizeof *c->layer_tried);
    c->cut_tried = uap_arena_alloc(arena, pp, sizeof *c->cut_tried);
    if (c->plan.first == NULL || c->plan.strategy == NULL || c->value == NULL ||
        c->stage == NULL || c->is_producer == NULL || c->layer_tried == NULL ||
        c->cut_tried == NULL || !list_readers(c, arena)) {
        return NULL;
    }
    for (int32_t t = 0; t < instance->n_live; t++) {
        c->is_producer[instance->live[t].from] = true;
    }
    return c;
}

/* ---- The plan at hand ---- */

uap_choice *uap_greedy_change_plan(uap_greedy_change *c)
{
    return &c->plan;
}

static bool keeps_tie(const uap_greedy_change *c, const uap_tie *tie)
{
    return tie->class_a[c->plan.strategy[tie->a]] ==
           tie->class_b[c->plan.strategy[tie->b]];
}

void uap_greedy_change_begin(uap_greedy_change *c)
{
    c->version++;
    c->is_well_formed = true;
    for (int32_t t = 0; t < c->in->n_ties; t++) {
        c->is_well_formed = c->is_well_formed && keeps_tie(c, &c->in->tie[t]);
    }
    uap_choice_stages(c->in, &c->plan, c->stage);
    uap_greedy_value_set(c->value, c->stage);
}

uap_score uap_greedy_change_score(const uap_greedy_change *c)
{
    return c->is_well_formed ? uap_greedy_value_score(c->value)
                             : (uap_score){INT64_MAX, INT64_MAX};
}

static int32_t end_of(const uap_greedy_change *c, int32_t i)
{
    return i + 1 < c->in->pp ? c->plan.first[i + 1] : c->in->n_layers;
}

/* The stages' costs as they are, those of n stages from `first` on. */
static void copy_stages(const uap_greedy_change *c, int32_t first, int32_t n)
{
    const uap_stage_cost *stage = uap_greedy_value_stages(c->value);
    for (int32_t i = first; i < first + n; i++) {
        c->stage[i] = stage[i];
    }
}

/* Takes the change in whose costs are in c->stage, where it is a better plan. */
static bool take_if_better(uap_greedy_change *c, int32_t first, int32_t n)
{
    if (!uap_greedy_value_improves(c->value, first, n, &c->stage[first])) {
        return false;
    }
    uap_greedy_value_change(c->value, first, n, &c->stage[first]);
    c->version++;
    return true;
}

/* The largest workspace of layers first .. end - 1, layer `but` set aside. */
static int64_t work_of(const uap_greedy_change *c, int32_t first, int32_t end,
                       int32_t but)
{
    int64_t work = 0;
    for (int32_t u = first; u < end; u++) {
        if (u != but) {
            work = uap_max_i64(work, uap_table_of(c->in, u)->work[c->plan.strategy[u]]);
        }
    }
    return work;
}

/* ---- Cuts ---- */

/* Adds (sign 1) or takes away a layer's own costs, workspace apart. */
static void add_row(const uap_greedy_change *c, int32_t u, int32_t k, int32_t i,
                    int64_t sign)
{
    const uap_layer_table *t = uap_table_of(c->in, u);
    uap_stage_cost *s = &c->stage[i];
    s->fwd += sign * t->fwd[k];
    s->bwd += sign * t->bwd[k];
    s->grad += sign * t->grad[k];
    s->memory += sign * (t->state[k] + c->in->inflight[i] * t->act[k]);
}

/* Adds or takes away what the edge between layers u and u + 1 costs with strategies k and m,
 * inside stage i, or where u is its last layer, behind it. */
static void add_edge(const uap_greedy_change *c, int32_t u, const int32_t strategies[2],
                     int32_t i, int64_t sign)
{
    const uap_edge_table *edge = uap_edge_of(c->in, u);
    const int32_t at = uap_edge_index(edge, strategies[0], strategies[1]);
    uap_stage_cost *s = &c->stage[i];
    if (end_of(c, i) == u + 1) {
        s->send_fwd += sign * edge->x_fwd[at];
        s->send_bwd += sign * edge->x_bwd[at];
    } else {
        s->fwd += sign * edge->r_fwd[at];
        s->bwd += sign * edge->r_bwd[at];
    }
}

/* Adds or takes away what changes with layer u's place at a cut: the layer in stage i, and the
 * edges on either side of it, in the stages where they are with the cuts at hand. */
static void add_at_cut(const uap_greedy_change *c, int32_t u, int32_t i, int64_t sign)
{
    const int32_t *strategy = c->plan.strategy;
    add_row(c, u, strategy[u], i, sign);
    if (u > 0) {
        add_edge(c, u - 1, &strategy[u - 1], c->plan.first[i] == u ? i - 1 : i, sign);
    }
    if (u + 1 < c->in->n_layers) {
        add_edge(c, u, &strategy[u], i, sign);
    }
}

/* Costs stages i - 1 and i with the start of stage i moved by one layer, to where it is: no
 * other stage sees that. */
static void cost_cut(uap_greedy_change *c, int32_t i, int32_t old)
{
    int32_t *first = c->plan.first;
    const int32_t value = first[i];
    const int32_t u = value < old ? value : old; /* moves between the two */
    const int32_t end = end_of(c, i);
    if (c->in->n_live > 0) {
        uap_choice_stages(c->in, &c->plan, c->stage);
        return;
    }
    copy_stages(c, i - 1, 2);
    first[i] = old;
    add_at_cut(c, u, value < old ? i - 1 : i, -1);
    c->stage[i - 1].memory -= work_of(c, first[i - 1], old, -1);
    c->stage[i].memory -= work_of(c, old, end, -1);
    first[i] = value;
    add_at_cut(c, u, value < old ? i : i - 1, 1);
    c->stage[i - 1].memory += work_of(c, first[i - 1], value, -1);
    c->stage[i].memory += work_of(c, value, end, -1);
}

/* Moves the start of stage i > 0 to `value`, next to where it is, if that is better. */
static bool try_cut(uap_greedy_change *c, int32_t i, int32_t value)
{
    int32_t *first = c->plan.first;
    const int32_t old = first[i];
    if (value <= first[i - 1] || value >= end_of(c, i)) {
        return false;
    }
    first[i] = value;
    cost_cut(c, i, old);
    if (take_if_better(c, i - 1, 2)) {
        return true;
    }
    first[i] = old;
    return false;
}

bool uap_greedy_change_cuts(uap_greedy_change *c)
{
    bool moved = false;
    for (int32_t i = 1; i < c->in->pp && c->is_well_formed; i++) {
        if (c->cut_tried[i] == c->version) {
            continue;
        }
        const bool down = try_cut(c, i, c->plan.first[i] - 1);
        const bool up = try_cut(c, i, c->plan.first[i] + 1);
        moved = moved || down || up;
        if (!down && !up) {
            c->cut_tried[i] = c->version;
        }
    }
    return moved;
}

/* ---- Strategies ---- */

/* Whether strategy k of layer u keeps the ties that the plan at hand keeps. */
static bool keeps_ties(const uap_greedy_change *c, int32_t u, int32_t k)
{
    for (int32_t t = 0; t < c->in->n_ties; t++) {
        const uap_tie *tie = &c->in->tie[t];
        const int32_t now = c->plan.strategy[u];
        if ((tie->a == u && tie->class_a[k] != tie->class_a[now]) ||
            (tie->b == u && tie->class_b[k] != tie->class_b[now])) {
            return false;
        }
    }
    return true;
}

/* Adds or takes away what strategy k of layer u in stage i costs, workspace apart. */
static void add_strategy(const uap_greedy_change *c, int32_t u, int32_t i, int32_t k,
                         int64_t sign)
{
    const int32_t *strategy = c->plan.strategy;
    add_row(c, u, k, i, sign);
    if (u > 0) {
        const int32_t ends[] = {strategy[u - 1], k};
        add_edge(c, u - 1, ends, c->plan.first[i] == u ? i - 1 : i, sign);
    }
    if (u + 1 < c->in->n_layers) {
        const int32_t ends[] = {k, strategy[u + 1]};
        add_edge(c, u, ends, i, sign);
    }
    for (int32_t j = c->first_reader[u]; j < c->first_reader[u + 1]; j++) {
        const uap_live_tensor *live = &c->in->live[c->reader[j].tensor];
        const int32_t at = strategy[live->from] * uap_table_of(c->in, u)->n + k;
        c->stage[i].fwd += sign * live->r_fwd[c->reader[j].at][at];
        c->stage[i].bwd += sign * live->r_bwd[c->reader[j].at][at];
    }
}

/* Every strategy of layer u of stage i, which only its stage and the boundary before see. */
static bool change_layer(uap_greedy_change *c, int32_t u, int32_t i)
{
    const uap_layer_table *t = uap_table_of(c->in, u);
    const int64_t beside = work_of(c, c->plan.first[i], end_of(c, i), u);
    const int32_t lo = c->plan.first[i] == u && i > 0 ? i - 1 : i;
    uap_stage_cost rest[2];
    bool changed = false;
    copy_stages(c, lo, i - lo + 1);
    add_strategy(c, u, i, c->plan.strategy[u], -1);
    c->stage[i].memory -= uap_max_i64(beside, t->work[c->plan.strategy[u]]);
    rest[0] = c->stage[lo];
    rest[1] = c->stage[i];
    for (int32_t k = 0; k < t->n; k++) {
        if (k == c->plan.strategy[u] || !keeps_ties(c, u, k)) {
            continue;
        }
        c->stage[lo] = rest[0];
        c->stage[i] = rest[1];
        add_strategy(c, u, i, k, 1);
        c->stage[i].memory += uap_max_i64(beside, t->work[k]);
        if (take_if_better(c, lo, i - lo + 1)) {
            c->plan.strategy[u] = k;
            changed = true;
        }
    }
    return changed;
}

/* Every strategy of layer u, all stages costed anew. */
static bool change_producer(uap_greedy_change *c, int32_t u)
{
    bool changed = false;
    for (int32_t k = 0; k < uap_table_of(c->in, u)->n; k++) {
        const int32_t old = c->plan.strategy[u];
        if (k == old || !keeps_ties(c, u, k)) {
            continue;
        }
        c->plan.strategy[u] = k;
        uap_choice_stages(c->in, &c->plan, c->stage);
        if (take_if_better(c, 0, c->in->pp)) {
            changed = true;
        } else {
            c->plan.strategy[u] = old;
        }
    }
    return changed;
}

bool uap_greedy_change_strategies(uap_greedy_change *c)
{
    bool changed = false;
    int32_t i = 0;
    for (int32_t u = 0; u < c->in->n_layers && c->is_well_formed; u++) {
        i += i + 1 < c->in->pp && c->plan.first[i + 1] == u ? 1 : 0;
        if (c->layer_tried[u] == c->version) {
            continue;
        }
        const bool better =
            c->is_producer[u] ? change_producer(c, u) : change_layer(c, u, i);
        changed = changed || better;
        c->layer_tried[u] = c->version;
    }
    return changed;
}
