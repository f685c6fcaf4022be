/* The first plan of a mixed cluster (search/mix_greedy.h). */
#include "search/mix_greedy.h"

#include "common/numbers.h"
#include "search/mix_devices.h"
#include "search/objective.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define PRICES    5   /* of memory, from nothing on, each 12 times the last */
#define BEAM      16  /* partial plans kept at each end of each stage */
#define TIE_TRIES 8   /* places of tied layers looked at */
#define ROUNDS    6   /* of local search */
#define UNEVEN    2.5 /* times what the bound leaves to each stage */

/* A way to run stages: a type, and rows by a price of memory. */
typedef struct way {
    int32_t type;
    int32_t *row; /* [L], -1: the type has none */
} way;

/* The first stages of a plan. */
typedef struct part {
    double s, m, toll;
    uap_devices left;
    int32_t way;    /* of its last stage */
    int32_t first;  /* layer of it */
    int32_t before; /* part it goes on from */
} part;

typedef struct beam {
    part at[BEAM];
    int32_t n;
    double worst; /* rank, of a full one */
} beam;

typedef struct greedy {
    const uap_instance *in;
    uap_mix *mix;
    uap_arena *arena;
    uap_stage_cost *stage; /* [pp] scratch */
    bool **allowed;        /* [L][S_u] by the tie classes being tried */
    way *way;              /* [n_ways] */
    int32_t n_ways;
    beam *ends;              /* [pp][L] */
    int32_t *first, *chosen; /* [pp] of the plan at hand: cuts and ways */
    uap_choice trial, good;
    int64_t value;  /* of good, INT64_MAX: none */
    double longest; /* time of a stage beyond which no plan is good */
} greedy;

/* ---- Rows by price ------------------------------------------------------------------- */

static void choose_rows(const greedy *g, double price, way *w)
{
    const uap_instance *in = g->in;
    for (int32_t u = 0; u < in->n_layers; u++) {
        const uap_layer_table *t = uap_table_of(in, u);
        double best = HUGE_VAL;
        w->row[u] = -1;
        for (int32_t k = 0; k < t->n; k++) {
            const double held = (double)in->inflight[0];
            const double bytes = (double)t->state[k] + held * (double)t->act[k];
            const double time =
                (double)(t->fwd[k] + t->bwd[k]) * (double)in->micro_batches / in->pp +
                (double)t->grad[k] / in->pp;
            if (t->type[k] == w->type && g->allowed[u][k] &&
                time + price * bytes < best) {
                best = time + price * bytes;
                w->row[u] = k;
            }
        }
    }
}

/* The price at which a layer's memory weighs about a thousandth of its time. */
static double lowest_price(const greedy *g)
{
    double time = 1.0;
    double bytes = 1.0;
    for (int32_t t = 0; t < g->in->n_tables; t++) {
        const uap_layer_table *table = &g->in->table[t];
        for (int32_t k = 0; k < table->n; k++) {
            time += (double)(table->fwd[k] + table->bwd[k]) *
                    (double)g->in->micro_batches / g->in->pp;
            bytes += (double)table->state[k] +
                     (double)g->in->inflight[0] * (double)table->act[k];
        }
    }
    return time / bytes / 300.0;
}

static void choose_ways(greedy *g)
{
    g->n_ways = 0;
    for (int32_t t = 0; t < g->in->n_types; t++) {
        double price = 0;
        for (int p = 0; p < PRICES; p++) {
            way *w = &g->way[g->n_ways];
            w->type = t;
            choose_rows(g, price, w);
            const way *last = p > 0 ? w - 1 : NULL;
            const size_t bytes = (size_t)g->in->n_layers * sizeof *w->row;
            /* A price that changes nothing is left out. */
            g->n_ways += last == NULL || memcmp(last->row, w->row, bytes) != 0;
            price = p == 0 ? lowest_price(g) : price * 12.0;
        }
    }
}

/* ---- The beam ------------------------------------------------------------------------ */

static double rank_of(const part *p)
{
    return p->s + p->m + p->toll;
}

static void find_worst(beam *b)
{
    b->worst = 0;
    for (int32_t i = 0; i < b->n; i++) {
        b->worst = uap_max_f64(b->worst, rank_of(&b->at[i]));
    }
}

/* Keeps the BEAM best, one of those that are alike. */
static void offer(beam *b, const part *p)
{
    int32_t place = b->n;
    for (int32_t i = 0; i < b->n && place == b->n; i++) {
        const bool alike = uap_devices_equal(&b->at[i].left, &p->left);
        if (alike && b->at[i].s <= p->s && b->at[i].m <= p->m) {
            return;
        }
        place = alike && p->s <= b->at[i].s && p->m <= b->at[i].m ? i : place;
    }
    for (int32_t i = 0; i < b->n && place == BEAM; i++) {
        place = rank_of(&b->at[i]) >= b->worst ? i : place;
    }
    b->at[place] = *p;
    b->n += place == b->n;
    find_worst(b);
}

static beam *ends_at(const greedy *g, int32_t i, int32_t b)
{
    return &g->ends[(size_t)i * (size_t)g->in->n_layers + (size_t)b];
}

/* A stage i that runs layers a..b in one way. */
typedef struct span {
    int32_t i, a, b, way;
    double p, g;
} span;

/* Goes on from one part, or from nothing, with a span. */
static void go_on(greedy *g, const span *s, int32_t before)
{
    const uap_instance *in = g->in;
    const way *w = &g->way[s->way];
    const uap_stage_type *type = &in->type[w->type];
    const double c = (double)in->micro_batches;
    part p = {.way = s->way, .first = s->a, .before = before};
    double credit = 0;
    if (before >= 0) {
        const part *from = &ends_at(g, s->i - 1, s->a - 1)->at[before];
        const uap_edge_table *edge = uap_edge_of(in, s->a - 1);
        const int32_t at =
            uap_edge_index(edge, g->way[from->way].row[s->a - 1], w->row[s->a]);
        const double both = (double)(edge->x_fwd[at] + edge->x_bwd[at]);
        p.s = from->s + both;
        p.m = uap_max_f64(from->m, (c - 1) * both / 2);
        p.toll = from->toll;
        p.left = from->left;
    } else {
        for (int32_t j = 0; j < in->n_groups; j++) {
            uap_devices_set(g->mix, &p.left, j, uap_mix_usable(g->mix, j));
        }
    }
    const int64_t left = uap_devices_get(g->mix, &p.left, type->group) - type->devices;
    beam *to = ends_at(g, s->i, s->b);
    p.s += s->p + (s->i == 0 ? s->g : 0);
    p.m = uap_max_f64(p.m, (c - 1) * s->p);
    p.toll += uap_mix_toll(g->mix, w->type);
    if (left < 0 || (to->n == BEAM && rank_of(&p) >= to->worst)) {
        return;
    }
    uap_devices_set(g->mix, &p.left, type->group, left);
    p.left = uap_devices_usable(g->mix, &p.left, in->pp - 1 - s->i, &credit);
    offer(to, &p);
}

/* All spans of stage i from layer a in one way, as long as they fit. */
static void extend(greedy *g, int32_t i, int32_t a, int32_t number)
{
    const uap_instance *in = g->in;
    const way *w = &g->way[number];
    const int64_t cap = uap_typed_cap(in, i, w->type);
    span s = {.i = i, .a = a, .way = number};
    int64_t memory = in->inflight[i] * uap_typed_start(in, w->type, a);
    int64_t work = 0;
    for (s.b = a; s.b <= in->n_layers - (in->pp - i) && w->row[s.b] >= 0; s.b++) {
        const uap_layer_table *t = uap_table_of(in, s.b);
        const int32_t k = w->row[s.b];
        if (s.b > a) {
            const uap_edge_table *edge = uap_edge_of(in, s.b - 1);
            const int32_t at = uap_edge_index(edge, w->row[s.b - 1], k);
            s.p += (double)(edge->r_fwd[at] + edge->r_bwd[at]);
        }
        s.p += (double)(t->fwd[k] + t->bwd[k]);
        s.g += (double)t->grad[k];
        memory += t->state[k] + in->inflight[i] * t->act[k];
        work = uap_max_i64(work, t->work[k]);
        if (memory + work > cap || s.p > g->longest) {
            return;
        }
        const bool is_end = i + 1 < in->pp || s.b + 1 == in->n_layers;
        const int32_t n = i == 0 ? 1 : ends_at(g, i - 1, a - 1)->n;
        for (int32_t j = 0; is_end && j < n; j++) {
            go_on(g, &s, i == 0 ? -1 : j);
        }
    }
}

static void run_beam(greedy *g)
{
    const uap_instance *in = g->in;
    memset(g->ends, 0, (size_t)in->pp * (size_t)in->n_layers * sizeof *g->ends);
    for (int32_t i = 0; i < in->pp; i++) {
        const int32_t last = i == 0 ? 0 : in->n_layers - (in->pp - i);
        for (int32_t a = i; a <= last; a++) {
            for (int32_t w = 0; w < g->n_ways; w++) {
                extend(g, i, a, w);
            }
        }
    }
}

/* ---- Whole plans --------------------------------------------------------------------- */

/* Costs the plan of g->first and g->chosen; INT64_MAX where it is none. */
static int64_t value_of_ways(greedy *g)
{
    const uap_instance *in = g->in;
    int64_t value = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        const int32_t end = i + 1 < in->pp ? g->first[i + 1] : in->n_layers;
        g->trial.first[i] = g->first[i];
        for (int32_t u = g->first[i]; u < end; u++) {
            g->trial.strategy[u] = g->way[g->chosen[i]].row[u];
        }
    }
    return uap_choice_value(in, &g->trial, g->stage, &value) ? value : INT64_MAX;
}

static void keep_if_better(greedy *g, int64_t value)
{
    if (value < g->value) {
        g->value = value;
        uap_choice_copy(&g->good, &g->trial, g->in->pp, g->in->n_layers);
    }
}

/* Tries one entry of the plan of ways at another value; keeps it when that is better. */
static bool try_entry(greedy *g, int32_t *entry, int32_t value, int64_t *now)
{
    const int32_t old = *entry;
    *entry = value;
    const int64_t then = value == old ? INT64_MAX : value_of_ways(g);
    if (then < *now) {
        *now = then;
        return true;
    }
    *entry = old;
    return false;
}

static bool is_cut(const greedy *g, int32_t i, int32_t layer)
{
    const int32_t end = i + 1 < g->in->pp ? g->first[i + 1] : g->in->n_layers;
    return layer > g->first[i - 1] && layer < end;
}

/* Moves cuts and changes ways as long as that helps. */
static void improve_ways(greedy *g, int64_t now)
{
    bool better = true;
    for (int round = 0; round < ROUNDS && better; round++) {
        better = false;
        for (int32_t i = 0; i < g->in->pp; i++) {
            for (int32_t d = -1; i > 0 && d <= 1; d += 2) {
                const int32_t to = g->first[i] + d;
                better |= is_cut(g, i, to) && try_entry(g, &g->first[i], to, &now);
            }
            for (int32_t w = 0; w < g->n_ways; w++) {
                better |= try_entry(g, &g->chosen[i], w, &now);
            }
        }
    }
    keep_if_better(g, value_of_ways(g));
}

/* Takes up the plan of a part behind the last layer. */
static void take_up(greedy *g, const part *p)
{
    for (int32_t i = g->in->pp - 1; i >= 0; i--) {
        g->first[i] = p->first;
        g->chosen[i] = p->way;
        if (i > 0) {
            p = &ends_at(g, i - 1, p->first - 1)->at[p->before];
        }
    }
}

static void try_ends(greedy *g)
{
    const beam *last = ends_at(g, g->in->pp - 1, g->in->n_layers - 1);
    int64_t best = INT64_MAX;
    int32_t at = -1;
    for (int32_t j = 0; j < last->n; j++) {
        take_up(g, &last->at[j]);
        const int64_t value = value_of_ways(g);
        if (value < best) {
            best = value;
            at = j;
        }
    }
    if (at >= 0) {
        take_up(g, &last->at[at]);
        improve_ways(g, best);
    }
}

/* Changes single layers' rows as long as that helps. */
static void improve_rows(greedy *g)
{
    const uap_instance *in = g->in;
    bool better = true;
    uap_choice_copy(&g->trial, &g->good, in->pp, in->n_layers);
    for (int round = 0; round < ROUNDS && better; round++) {
        better = false;
        for (int32_t u = 0; u < in->n_layers; u++) {
            const uap_layer_table *t = uap_table_of(in, u);
            int32_t kept = g->trial.strategy[u];
            for (int32_t k = 0; k < t->n; k++) {
                int64_t value = 0;
                g->trial.strategy[u] = k;
                if (t->type[k] == t->type[kept] &&
                    uap_choice_value(in, &g->trial, g->stage, &value) &&
                    value < g->value) {
                    g->value = value;
                    kept = k;
                    better = true;
                }
            }
            g->trial.strategy[u] = kept;
        }
    }
    uap_choice_copy(&g->good, &g->trial, in->pp, in->n_layers);
}

/* ---- Ties ---------------------------------------------------------------------------- */

/* A row of the first tied layer, which decides the classes of the ties there, and the groups
 * that the tied layers then are in: one of each way to place them is tried, the best first. */
typedef struct tie_try {
    int32_t row;
    double time; /* of the tied layers at their best */
    uint64_t groups;
} tie_try;

static double row_time(const greedy *g, const uap_layer_table *t, int32_t k)
{
    return (double)(t->fwd[k] + t->bwd[k]) * (double)g->in->micro_batches +
           (double)t->grad[k];
}

static int32_t group_of_row(const greedy *g, const uap_layer_table *t, int32_t k)
{
    return g->in->type[t->type[k]].group;
}

/* The quickest row of layer u whose class is the one given; -1: none. */
static int32_t quickest(const greedy *g, int32_t u, const int32_t *class_of,
                        int32_t wanted)
{
    const uap_layer_table *t = uap_table_of(g->in, u);
    double best = HUGE_VAL;
    int32_t row = -1;
    for (int32_t k = 0; k < t->n; k++) {
        if (class_of[k] == wanted && row_time(g, t, k) < best) {
            best = row_time(g, t, k);
            row = k;
        }
    }
    return row;
}

/* What a row of the first tied layer stands for; false where some tie has no partner. */
static bool look_at_row(const greedy *g, int32_t k, tie_try *try)
{
    const int32_t layer = g->in->tie[0].a;
    const uap_layer_table *first = uap_table_of(g->in, layer);
    *try = (tie_try){.row = k, .time = row_time(g, first, k)};
    try->groups = (uint64_t)group_of_row(g, first, k);
    for (int32_t t = 0; t < g->in->n_ties; t++) {
        const uap_tie *tie = &g->in->tie[t];
        const int32_t other =
            tie->a == layer ? quickest(g, tie->b, tie->class_b, tie->class_a[k]) : 0;
        if (other < 0) {
            return false;
        }
        if (tie->a == layer) {
            const uap_layer_table *table = uap_table_of(g->in, tie->b);
            try->time += row_time(g, table, other);
            try->groups = try->groups * (uint64_t)g->in->n_groups +
                          (uint64_t)group_of_row(g, table, other);
        }
    }
    return true;
}

/* The best tries, one of each set of groups; returns how many. */
static int32_t choose_tries(const greedy *g, tie_try *tries)
{
    const uap_layer_table *first = uap_table_of(g->in, g->in->tie[0].a);
    int32_t n = 0;
    for (int32_t k = 0; k < first->n; k++) {
        tie_try now;
        int32_t at = 0;
        if (!look_at_row(g, k, &now)) {
            continue;
        }
        while (at < n && tries[at].groups != now.groups) {
            at++;
        }
        if (at == n && n == TIE_TRIES) {
            at = n - 1; /* the worst */
        }
        if (at < n && tries[at].time <= now.time) {
            continue;
        }
        n += at == n;
        for (; at > 0 && tries[at - 1].time > now.time; at--) {
            tries[at] = tries[at - 1];
        }
        tries[at] = now;
    }
    return n;
}

/* Leaves both ends of each tie only the strategies of one class: that of the row for ties of
 * the first tied layer, of others that of their quickest row. */
static void allow(greedy *g, int32_t row)
{
    const int32_t layer = g->in->tie[0].a;
    for (int32_t u = 0; u < g->in->n_layers; u++) {
        memset(g->allowed[u], 1, (size_t)uap_table_of(g->in, u)->n);
    }
    for (int32_t t = 0; t < g->in->n_ties; t++) {
        const uap_tie *tie = &g->in->tie[t];
        const uap_layer_table *table = uap_table_of(g->in, tie->a);
        int32_t k = row;
        for (int32_t j = 0; tie->a != layer && j < table->n; j++) {
            k = j == 0 || row_time(g, table, j) < row_time(g, table, k) ? j : k;
        }
        for (int32_t j = 0; j < table->n; j++) {
            g->allowed[tie->a][j] &= tie->class_a[j] == tie->class_a[k];
        }
        for (int32_t j = 0; j < uap_table_of(g->in, tie->b)->n; j++) {
            g->allowed[tie->b][j] &= tie->class_b[j] == tie->class_a[k];
        }
    }
}

static void search(greedy *g)
{
    tie_try tries[TIE_TRIES] = {{0}};
    const int32_t n = g->in->n_ties > 0 ? choose_tries(g, tries) : 1;
    for (int32_t u = 0; u < g->in->n_layers; u++) {
        memset(g->allowed[u], 1, (size_t)uap_table_of(g->in, u)->n);
    }
    for (int32_t i = 0; i < n; i++) {
        if (g->in->n_ties > 0) {
            allow(g, tries[i].row);
        }
        choose_ways(g);
        run_beam(g);
        try_ends(g);
    }
    if (g->value < INT64_MAX) {
        improve_rows(g);
    }
}

static bool make(greedy *g)
{
    const uap_instance *in = g->in;
    const size_t layers = (size_t)in->n_layers;
    const size_t ways = (size_t)in->n_types * PRICES + 1;
    g->arena = uap_arena_new();
    if (g->arena == NULL) {
        return false;
    }
    g->stage = uap_arena_alloc(g->arena, (size_t)in->pp, sizeof *g->stage);
    g->allowed = uap_arena_alloc(g->arena, layers, sizeof *g->allowed);
    g->way = uap_arena_alloc(g->arena, ways, sizeof *g->way);
    g->ends = uap_arena_alloc(g->arena, (size_t)in->pp * layers, sizeof *g->ends);
    g->first = uap_arena_alloc(g->arena, (size_t)in->pp, sizeof *g->first);
    g->chosen = uap_arena_alloc(g->arena, (size_t)in->pp, sizeof *g->chosen);
    if (g->stage == NULL || g->allowed == NULL || g->way == NULL || g->ends == NULL ||
        g->first == NULL || g->chosen == NULL) {
        return false;
    }
    for (size_t w = 0; w < ways; w++) {
        g->way[w].row = uap_arena_alloc(g->arena, layers, sizeof(int32_t));
        if (g->way[w].row == NULL) {
            return false;
        }
    }
    for (size_t u = 0; u < layers; u++) {
        const size_t n = (size_t)uap_table_of(in, (int32_t)u)->n;
        g->allowed[u] = uap_arena_alloc(g->arena, n, sizeof(bool));
        if (g->allowed[u] == NULL) {
            return false;
        }
    }
    return uap_choice_init(&g->trial, in->pp, in->n_layers) &&
           uap_choice_init(&g->good, in->pp, in->n_layers);
}

uap_status uap_mix_greedy_plan(const uap_instance *instance, uap_choice *choice,
                               int64_t *value, bool *found, uap_err *err)
{
    greedy g = {.in = instance, .value = INT64_MAX};
    uap_status rc = UAP_OK;
    int64_t bound = 0;
    *found = false;
    UAP_TRY(uap_mix_new(instance, NULL, &g.mix, err));
    if (g.mix == NULL) {
        goto done;
    }
    UAP_TRY(uap_mix_bound(g.mix, UAP_MIX_FEW_ROUNDS, INT64_MAX, &bound, err));
    if (!make(&g)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a first plan");
        goto done;
    }
    g.longest = UNEVEN * (double)bound / (double)instance->micro_batches;
    search(&g);
    *found = g.value < INT64_MAX;
    if (*found) {
        uap_choice_copy(choice, &g.good, instance->pp, instance->n_layers);
        *value = g.value;
    }
done:
    uap_choice_free(&g.trial);
    uap_choice_free(&g.good);
    uap_arena_free(g.arena);
    uap_mix_free(g.mix);
    return rc;
}
