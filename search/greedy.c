/* The first plan of an engine that needs one to start from (search/greedy.h). */
#include "search/greedy.h"

#include "common/numbers.h"
#include "search/mix_greedy.h"
#include "search/objective.h"

#include <math.h>
#include <string.h>

#define PRICES    14 /* of memory, from nothing to everything, each 4 times the last */
#define TIE_TRIES 16 /* combinations of tie classes looked at */
#define ROUNDS    40 /* of local search; each tries every single change */

/* How good a plan is: bytes that do not fit first, then time. */
typedef struct score {
    int64_t over;
    int64_t value;
} score;

typedef struct greedy {
    const uap_instance *in;
    uap_arena *arena;
    uap_stage_cost *stage;  /* [pp] scratch */
    uap_stage_cost *now;    /* [pp] of the plan at hand, while it is changed */
    double *class_least;    /* [classes] scratch, and */
    int32_t *class_best;    /* [classes] */
    bool *is_plain;         /* [L] no tie and no live tensor looks at its strategy */
    double *weight;         /* [L] time of each layer in the plan at hand */
    double **best;          /* [L][S_u] shortest path to here */
    int32_t **from;         /* [L][S_u] strategy of the layer before on it */
    bool **allowed;         /* [L][S_u] by the tie classes being tried */
    double time_scale;      /* micro-batches that a stage's time counts for */
    double held;            /* micro-batches in flight, the mean over the stages */
    uap_choice trial, good; /* the plan at hand, the best so far */
    score good_score;
} greedy;

static bool better(score a, score b)
{
    return a.over != b.over ? a.over < b.over : a.value < b.value;
}

/* Bytes that the stages have too few of, on average. */
static int64_t over_of(const greedy *g, const uap_stage_cost *stage)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < g->in->pp; i++) {
        const int64_t over = stage[i].memory - g->in->cap[i];
        sum += over > 0 ? over / g->in->pp + 1 : 0;
    }
    return sum;
}

static score score_of(const greedy *g, const uap_choice *choice)
{
    score s = {INT64_MAX, -1};
    const bool fits = uap_choice_value(g->in, choice, g->stage, &s.value);
    if (fits || s.value >= 0) {
        s.over = fits ? 0 : over_of(g, g->stage);
    }
    return s;
}

static bool make(greedy *g)
{
    const size_t layers = (size_t)g->in->n_layers;
    g->stage = uap_arena_alloc(g->arena, (size_t)g->in->pp, sizeof *g->stage);
    g->weight = uap_arena_alloc(g->arena, layers, sizeof *g->weight);
    g->best = uap_arena_alloc(g->arena, layers, sizeof *g->best);
    g->from = uap_arena_alloc(g->arena, layers, sizeof *g->from);
    g->allowed = uap_arena_alloc(g->arena, layers, sizeof *g->allowed);
    g->now = uap_arena_alloc(g->arena, (size_t)g->in->pp, sizeof *g->now);
    g->is_plain = uap_arena_alloc(g->arena, layers, sizeof *g->is_plain);
    size_t classes = 1;
    for (int32_t e = 0; e < g->in->n_edges; e++) {
        const size_t n = (size_t)uap_max_i32(g->in->edge[e].n_from, g->in->edge[e].n_to);
        classes = n > classes ? n : classes;
    }
    g->class_least = uap_arena_alloc(g->arena, 2 * classes, sizeof *g->class_least);
    g->class_best = uap_arena_alloc(g->arena, 2 * classes, sizeof *g->class_best);
    if (g->stage == NULL || g->weight == NULL || g->best == NULL || g->from == NULL ||
        g->allowed == NULL || g->now == NULL || g->is_plain == NULL ||
        g->class_least == NULL || g->class_best == NULL) {
        return false;
    }
    for (size_t u = 0; u < layers; u++) {
        const size_t n = (size_t)uap_table_of(g->in, (int32_t)u)->n;
        g->best[u] = uap_arena_alloc(g->arena, n, sizeof **g->best);
        g->from[u] = uap_arena_alloc(g->arena, n, sizeof **g->from);
        g->allowed[u] = uap_arena_alloc(g->arena, n, sizeof **g->allowed);
        if (g->best[u] == NULL || g->from[u] == NULL || g->allowed[u] == NULL) {
            return false;
        }
    }
    return uap_choice_init(&g->trial, g->in->pp, g->in->n_layers) &&
           uap_choice_init(&g->good, g->in->pp, g->in->n_layers);
}

static double price_of(const greedy *g, int32_t u, int32_t k, double price)
{
    const uap_layer_table *t = uap_table_of(g->in, u);
    if (!g->allowed[u][k]) {
        return HUGE_VAL;
    }
    const double time = ((double)t->fwd[k] + (double)t->bwd[k]) * g->time_scale +
                        (double)t->grad[k] / g->in->pp;
    const double bytes = (double)t->state[k] + g->held * (double)t->act[k];
    return time + price * bytes;
}

/* The cheapest way to each class in front of layer u > 0, and the strategy of the layer before
 * that it comes from: in class_least and class_best, behind the room for the classes that
 * layer u - 1 leaves in. Returns where they are. */
static int32_t reach_classes(greedy *g, int32_t u)
{
    const uap_edge_table *edge = uap_edge_of(g->in, u - 1);
    const int32_t at = edge->n_from;
    for (int32_t f = 0; f < edge->n_from + edge->n_to; f++) {
        g->class_least[f] = HUGE_VAL;
        g->class_best[f] = 0;
    }
    for (int32_t m = 0; m < uap_table_of(g->in, u - 1)->n; m++) {
        const int32_t f = edge->from_class[m];
        if (g->best[u - 1][m] < g->class_least[f]) {
            g->class_least[f] = g->best[u - 1][m];
            g->class_best[f] = m;
        }
    }
    for (int32_t f = 0; f < edge->n_from; f++) {
        for (int32_t t = 0; t < edge->n_to; t++) {
            const int32_t e = f * edge->n_to + t;
            const double via =
                g->class_least[f] +
                ((double)edge->r_fwd[e] + (double)edge->r_bwd[e]) * g->time_scale;
            if (via < g->class_least[at + t]) {
                g->class_least[at + t] = via;
                g->class_best[at + t] = g->class_best[f];
            }
        }
    }
    return at;
}

/* Strategies of least time + price x memory along the chain, as if in one stage. */
static void shortest_path(greedy *g, double price)
{
    const int32_t layers = g->in->n_layers;
    for (int32_t u = 0; u < layers; u++) {
        const int32_t at = u == 0 ? 0 : reach_classes(g, u);
        for (int32_t k = 0; k < uap_table_of(g->in, u)->n; k++) {
            double least = 0.0;
            if (u > 0) {
                const int32_t to = at + uap_edge_of(g->in, u - 1)->to_class[k];
                least = g->class_least[to];
                g->from[u][k] = g->class_best[to];
            }
            g->best[u][k] = least + price_of(g, u, k, price);
        }
    }
    int32_t at = 0;
    for (int32_t k = 1; k < uap_table_of(g->in, layers - 1)->n; k++) {
        at = g->best[layers - 1][k] < g->best[layers - 1][at] ? k : at;
    }
    for (int32_t u = layers; u-- > 0; at = g->from[u][at]) {
        g->trial.strategy[u] = at;
    }
}

/* Cuts where the running sum of the layers' times passes each stage's share. */
static void balance(greedy *g)
{
    const int32_t layers = g->in->n_layers;
    const int32_t pp = g->in->pp;
    double total = 0.0;
    for (int32_t u = 0; u < layers; u++) {
        const uap_layer_table *t = uap_table_of(g->in, u);
        const int32_t k = g->trial.strategy[u];
        g->weight[u] = (double)t->fwd[k] + (double)t->bwd[k];
        total += g->weight[u];
    }
    double sum = 0.0;
    int32_t u = 0;
    g->trial.first[0] = 0;
    for (int32_t i = 1; i < pp; i++) {
        do {
            sum += g->weight[u++];
        } while (u < layers - (pp - i) && sum + g->weight[u] / 2 < total * i / pp);
        g->trial.first[i] = u;
    }
}

/* Tries one entry of the plan at hand at another value; keeps it when that is better. */
static bool try_change(greedy *g, int32_t *entry, int32_t value, score *now)
{
    const int32_t old = *entry;
    if (old == value) {
        return false;
    }
    *entry = value;
    const score s = score_of(g, &g->trial);
    if (better(s, *now)) {
        *now = s;
        return true;
    }
    *entry = old;
    return false;
}

/* Moves the start of stage i, which changes this stage and the one before. */
static bool try_cut(greedy *g, int32_t i, int32_t value, score *now)
{
    int32_t *first = g->trial.first;
    const int32_t end = i + 1 < g->in->pp ? first[i + 1] : g->in->n_layers;
    if (g->in->n_live > 0 || now->over == INT64_MAX) {
        return try_change(g, &first[i], value, now);
    }
    if (value <= first[i - 1] || value >= end) {
        return false;
    }
    const int32_t old = first[i];
    first[i] = value;
    memcpy(g->stage, g->now, (size_t)g->in->pp * sizeof *g->stage);
    g->stage[i - 1] = uap_choice_stage(g->in, &g->trial, i - 1);
    g->stage[i] = uap_choice_stage(g->in, &g->trial, i);
    const score s = {over_of(g, g->stage), uap_stages_value(g->in, g->stage)};
    if (!better(s, *now)) {
        first[i] = old;
        return false;
    }
    *now = s;
    g->now[i - 1] = g->stage[i - 1];
    g->now[i] = g->stage[i];
    return true;
}

static bool move_cuts(greedy *g, score *now)
{
    bool moved = false;
    uap_choice_stages(g->in, &g->trial, g->now);
    for (int32_t i = 1; i < g->in->pp; i++) {
        moved |= try_cut(g, i, g->trial.first[i] - 1, now);
        moved |= try_cut(g, i, g->trial.first[i] + 1, now);
    }
    return moved;
}

/* What of the edge behind layer u strategies k and m of its ends add to its stages (or with
 * sign -1 take away): stage i has layer u, and layer u + 1 too unless it is the stage's last. */
static void add_edge(const greedy *g, int32_t u, int32_t i, int32_t k, int32_t m,
                     int64_t sign)
{
    const uap_edge_table *edge = uap_edge_of(g->in, u);
    const int32_t at = uap_edge_index(edge, k, m);
    uap_stage_cost *s = &g->stage[i];
    if (i + 1 < g->in->pp && g->trial.first[i + 1] == u + 1) {
        s->send_fwd += sign * edge->x_fwd[at];
        s->send_bwd += sign * edge->x_bwd[at];
    } else {
        s->fwd += sign * edge->r_fwd[at];
        s->bwd += sign * edge->r_bwd[at];
    }
}

/* Adds (sign 1) or takes away what strategy k of layer u in stage i costs, workspace apart. */
static void add_strategy(const greedy *g, int32_t u, int32_t i, int32_t k, int64_t sign)
{
    const uap_layer_table *t = uap_table_of(g->in, u);
    const int32_t *strategy = g->trial.strategy;
    uap_stage_cost *s = &g->stage[i];
    s->fwd += sign * t->fwd[k];
    s->bwd += sign * t->bwd[k];
    s->grad += sign * t->grad[k];
    s->memory += sign * (t->state[k] + g->in->inflight[i] * t->act[k]);
    if (u > 0) {
        const int32_t before = g->trial.first[i] == u ? i - 1 : i;
        add_edge(g, u - 1, before, strategy[u - 1], k, sign);
    }
    if (u + 1 < g->in->n_layers) {
        add_edge(g, u, i, k, strategy[u + 1], sign);
    }
}

/* The largest workspace of a stage, layer u set aside. */
static int64_t work_beside(const greedy *g, int32_t i, int32_t u)
{
    const int32_t end = i + 1 < g->in->pp ? g->trial.first[i + 1] : g->in->n_layers;
    int64_t work = 0;
    for (int32_t v = g->trial.first[i]; v < end; v++) {
        if (v != u) {
            work = uap_max_i64(work, uap_table_of(g->in, v)->work[g->trial.strategy[v]]);
        }
    }
    return work;
}

static bool is_shorter(const uap_stage_cost *a, const uap_stage_cost *b)
{
    return a->fwd < b->fwd || a->bwd < b->bwd || a->grad < b->grad ||
           a->send_fwd < b->send_fwd || a->send_bwd < b->send_bwd;
}

/* The score of the plan in g->stage, which differs from the one in g->now in stages first ..
 * last; *now itself where it cannot be better, as no time became shorter. */
static score score_of_change(const greedy *g, int32_t first, int32_t last,
                             const score *now)
{
    score s = {over_of(g, g->stage), INT64_MAX};
    bool promises = s.over < now->over;
    for (int32_t i = first; i <= last && s.over == now->over; i++) {
        promises = promises || is_shorter(&g->stage[i], &g->now[i]);
    }
    if (promises) {
        s.value = uap_stages_value(g->in, g->stage);
    }
    return promises ? s : *now;
}

/* Every strategy of a plain layer u of stage i, its plan costed by what changes: only the stage and
 * its neighbours' boundaries do. */
static bool change_plain(greedy *g, int32_t u, int32_t i, score *now)
{
    const uap_layer_table *t = uap_table_of(g->in, u);
    const size_t bytes = (size_t)g->in->pp * sizeof *g->stage;
    const int64_t beside = work_beside(g, i, u);
    bool changed = false;
    for (int32_t k = 0; k < t->n; k++) {
        const int32_t old = g->trial.strategy[u];
        if (k == old) {
            continue;
        }
        memcpy(g->stage, g->now, bytes);
        add_strategy(g, u, i, old, -1);
        add_strategy(g, u, i, k, 1);
        g->stage[i].memory +=
            uap_max_i64(beside, t->work[k]) - uap_max_i64(beside, t->work[old]);
        const score s = score_of_change(g, i > 0 ? i - 1 : 0, i, now);
        if (better(s, *now)) {
            *now = s;
            g->trial.strategy[u] = k;
            memcpy(g->now, g->stage, bytes);
            changed = true;
        }
    }
    return changed;
}

static bool change_strategies(greedy *g, score *now)
{
    bool changed = false;
    int32_t i = 0;
    uap_choice_stages(g->in, &g->trial, g->now);
    for (int32_t u = 0; u < g->in->n_layers; u++) {
        if (i + 1 < g->in->pp && g->trial.first[i + 1] == u) {
            i++;
        }
        if (g->is_plain[u]) {
            changed |= change_plain(g, u, i, now);
            continue;
        }
        for (int32_t k = 0; k < uap_table_of(g->in, u)->n; k++) {
            changed |= try_change(g, &g->trial.strategy[u], k, now);
        }
        uap_choice_stages(g->in, &g->trial, g->now);
    }
    return changed;
}

static void keep_if_better(greedy *g, score now)
{
    if (better(now, g->good_score)) {
        uap_choice_copy(&g->good, &g->trial, g->in->pp, g->in->n_layers);
        g->good_score = now;
    }
}

static void try_price(greedy *g, double price)
{
    shortest_path(g, price);
    balance(g);
    score now = score_of(g, &g->trial);
    int rounds = ROUNDS;
    while (rounds-- > 0 && move_cuts(g, &now)) {
    }
    keep_if_better(g, now);
}

static void improve(greedy *g)
{
    uap_choice_copy(&g->trial, &g->good, g->in->pp, g->in->n_layers);
    score now = g->good_score;
    for (int round = 0; round < ROUNDS; round++) {
        const bool cut = move_cuts(g, &now);
        if (!change_strategies(g, &now) && !cut) {
            break;
        }
    }
    keep_if_better(g, now);
}

/* Leaves both ends of each tie only the strategies of one class; `number` says which, as
 * digits of mixed radix over the strategies of the ties' first ends. */
static void allow(greedy *g, int64_t number)
{
    for (int32_t u = 0; u < g->in->n_layers; u++) {
        memset(g->allowed[u], 1, (size_t)uap_table_of(g->in, u)->n);
    }
    for (int32_t t = 0; t < g->in->n_ties; t++) {
        const uap_tie *tie = &g->in->tie[t];
        const int32_t n = uap_table_of(g->in, tie->a)->n;
        const int32_t class = tie->class_a[number % n];
        number /= n;
        for (int32_t k = 0; k < n; k++) {
            g->allowed[tie->a][k] &= tie->class_a[k] == class;
        }
        for (int32_t k = 0; k < uap_table_of(g->in, tie->b)->n; k++) {
            g->allowed[tie->b][k] &= tie->class_b[k] == class;
        }
    }
}

static int64_t tie_combinations(const uap_instance *in)
{
    int64_t n = 1;
    for (int32_t t = 0; t < in->n_ties; t++) {
        n = uap_min_i64(TIE_TRIES, n * uap_table_of(in, in->tie[t].a)->n);
    }
    return n;
}

/* The price at which a layer's memory weighs about a thousandth of its time. */
static double lowest_price(const greedy *g)
{
    double time = 0.0;
    double bytes = 1.0;
    for (int32_t t = 0; t < g->in->n_tables; t++) {
        const uap_layer_table *table = &g->in->table[t];
        for (int32_t k = 0; k < table->n; k++) {
            time += ((double)table->fwd[k] + (double)table->bwd[k]) * g->time_scale;
            bytes += (double)table->state[k] + g->held * (double)table->act[k];
        }
    }
    return (time + 1.0) / bytes / 1000.0;
}

static void mark_plain(greedy *g)
{
    const uap_instance *in = g->in;
    for (int32_t u = 0; u < in->n_layers; u++) {
        g->is_plain[u] = true;
    }
    for (int32_t t = 0; t < in->n_ties; t++) {
        g->is_plain[in->tie[t].a] = g->is_plain[in->tie[t].b] = false;
    }
    for (int32_t t = 0; t < in->n_live; t++) {
        const uap_live_tensor *live = &in->live[t];
        g->is_plain[live->from] = false;
        for (int32_t e = 0; e < live->n_consumers; e++) {
            g->is_plain[live->consumer[e]] = false;
        }
    }
}

static void search(greedy *g)
{
    const uap_instance *in = g->in;
    g->good_score = (score){INT64_MAX, INT64_MAX};
    g->time_scale = 1.0 + ((double)in->micro_batches - 1.0) / in->pp;
    g->held = 0.0;
    for (int32_t i = 0; i < in->pp; i++) {
        g->held += (double)in->inflight[i] / in->pp;
    }
    mark_plain(g);
    const int64_t ties = tie_combinations(in);
    for (int64_t number = 0; number < ties; number++) {
        allow(g, number);
        double price = lowest_price(g);
        try_price(g, 0.0);
        for (int p = 0; p < PRICES; p++, price *= 4.0) {
            try_price(g, price);
        }
    }
    if (g->good_score.over < INT64_MAX) {
        improve(g);
    }
}

uap_status uap_greedy_plan(const uap_instance *instance, uap_choice *choice,
                           int64_t *value, bool *found, uap_err *err)
{
    greedy g = {.in = instance};
    *found = false;
    if (instance->n_types > 0) {
        return uap_mix_greedy_plan(instance, choice, value, found, err);
    }
    g.arena = uap_arena_new();
    const bool made = g.arena != NULL && make(&g);
    if (made) {
        search(&g);
        *found = g.good_score.over == 0;
    }
    if (*found) {
        uap_choice_copy(choice, &g.good, instance->pp, instance->n_layers);
        *value = g.good_score.value;
    }
    uap_choice_free(&g.trial);
    uap_choice_free(&g.good);
    uap_arena_free(g.arena);
    return made ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "out of memory for a first plan");
}

uap_status uap_greedy_improve(const uap_instance *instance, uap_choice *choice,
                              int64_t *value, bool *found, uap_err *err)
{
    greedy g = {.in = instance};
    *found = false;
    g.arena = uap_arena_new();
    const bool made = g.arena != NULL && make(&g);
    if (made) {
        uap_choice_copy(&g.good, choice, instance->pp, instance->n_layers);
        g.good_score = score_of(&g, &g.good);
        improve(&g);
        uap_choice_copy(choice, &g.good, instance->pp, instance->n_layers);
        *found = g.good_score.over == 0;
        *value = g.good_score.value;
    }
    uap_choice_free(&g.trial);
    uap_choice_free(&g.good);
    uap_arena_free(g.arena);
    return made ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "out of memory for a better plan");
}
