/* Shortest paths that price memory (search/greedy_path.h). Strategies are priced once for
 * each table; layers see classes only. */
#include "search/greedy_path.h"

#include "common/numbers.h"
#include "search/objective.h"

#include <math.h>
#include <string.h>

#define TIE_TRIES 16 /* combinations of tie classes looked at */
#define FITTINGS  12 /* halvings of what is known of a stage's price, as a power */
#define RANGE     268435456.0 /* highest price over the lowest */

struct uap_greedy_path {
    const uap_instance *in;
    double **price;      /* [n_tables][S] time + price x memory */
    double *row;         /* [most S] the same of one layer in one stage */
    double *weight;      /* [L] time of each layer on the path at hand */
    double **best;       /* [L][S_u] shortest path to here */
    int32_t **from;      /* [L][S_u] strategy of the layer before on it */
    bool **allowed;      /* [L][S_u] by the tie classes being tried; NULL: all */
    double *class_least; /* [classes] scratch, and */
    int32_t *class_best; /* [classes] */
    int32_t *tie_class;  /* [TIE_TRIES + 1][n_ties] of the ways tried, and scratch */
    int32_t n_tried;
    int32_t *found; /* [L] the strategies of the path at hand, */
    int32_t *last;  /* [L] and of the one before */
    bool has_last;
    uap_stage_cost *stage; /* [pp] scratch */
    double *low, *high,
        *middle;       /* [pp] prices at which the stage does not fit, does, is tried */
    double time_scale; /* micro-batches that a stage's time counts for */
    double held;       /* micro-batches in flight, the mean over the stages */
};

static size_t most_classes(const uap_instance *in)
{
    size_t classes = 1;
    for (int32_t e = 0; e < in->n_edges; e++) {
        const size_t n = (size_t)uap_max_i32(in->edge[e].n_from, in->edge[e].n_to);
        classes = n > classes ? n : classes;
    }
    return classes;
}

static size_t most_rows(const uap_instance *in)
{
    int32_t rows = 1;
    for (int32_t t = 0; t < in->n_tables; t++) {
        rows = uap_max_i32(rows, in->table[t].n);
    }
    return (size_t)rows;
}

static bool make_tables(uap_greedy_path *p, uap_arena *arena)
{
    const uap_instance *in = p->in;
    for (int32_t t = 0; t < in->n_tables; t++) {
        p->price[t] = uap_arena_alloc(arena, (size_t)in->table[t].n, sizeof **p->price);
        if (p->price[t] == NULL) {
            return false;
        }
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        const size_t n = (size_t)uap_table_of(in, u)->n;
        p->best[u] = uap_arena_alloc(arena, n, sizeof **p->best);
        p->from[u] = uap_arena_alloc(arena, n, sizeof **p->from);
        if (p->best[u] == NULL || p->from[u] == NULL) {
            return false;
        }
    }
    for (int32_t t = 0; t < in->n_ties; t++) {
        const int32_t end[] = {in->tie[t].a, in->tie[t].b};
        for (int j = 0; j < 2; j++) {
            const size_t n = (size_t)uap_table_of(in, end[j])->n;
            if (p->allowed[end[j]] == NULL) {
                p->allowed[end[j]] = uap_arena_alloc(arena, n, sizeof **p->allowed);
            }
            if (p->allowed[end[j]] == NULL) {
                return false;
            }
        }
    }
    return true;
}

uap_greedy_path *uap_greedy_path_new(const uap_instance *instance, uap_arena *arena)
{
    const size_t layers = (size_t)instance->n_layers;
    const size_t classes = most_classes(instance);
    const size_t pp = (size_t)instance->pp;
    const size_t ties = (size_t)uap_max_i32(instance->n_ties, 1);
    uap_greedy_path *p = uap_arena_alloc(arena, 1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    *p = (uap_greedy_path){.in = instance};
    p->price = uap_arena_alloc(arena, (size_t)instance->n_tables, sizeof *p->price);
    p->weight = uap_arena_alloc(arena, layers, sizeof *p->weight);
    p->best = uap_arena_alloc(arena, layers, sizeof *p->best);
    p->from = uap_arena_alloc(arena, layers, sizeof *p->from);
    p->allowed = uap_arena_alloc(arena, layers, sizeof *p->allowed);
    p->class_least = uap_arena_alloc(arena, 2 * classes, sizeof *p->class_least);
    p->class_best = uap_arena_alloc(arena, 2 * classes, sizeof *p->class_best);
    p->tie_class = uap_arena_alloc(arena, (TIE_TRIES + 1) * ties, sizeof *p->tie_class);
    p->row = uap_arena_alloc(arena, most_rows(instance), sizeof *p->row);
    p->found = uap_arena_alloc(arena, layers, sizeof *p->found);
    p->last = uap_arena_alloc(arena, layers, sizeof *p->last);
    p->stage = uap_arena_alloc(arena, pp, sizeof *p->stage);
    p->low = uap_arena_alloc(arena, pp, sizeof *p->low);
    p->high = uap_arena_alloc(arena, pp, sizeof *p->high);
    p->middle = uap_arena_alloc(arena, pp, sizeof *p->middle);
    if (p->price == NULL || p->weight == NULL || p->best == NULL || p->from == NULL ||
        p->allowed == NULL || p->class_least == NULL || p->class_best == NULL ||
        p->tie_class == NULL || p->row == NULL || p->found == NULL || p->last == NULL ||
        p->stage == NULL || p->low == NULL || p->high == NULL || p->middle == NULL ||
        !make_tables(p, arena)) {
        return NULL;
    }
    p->time_scale = 1.0 + ((double)instance->micro_batches - 1.0) / instance->pp;
    for (int32_t i = 0; i < instance->pp; i++) {
        p->held += (double)instance->inflight[i] / instance->pp;
    }
    return p;
}

/* ---- Ties ---- */

int32_t uap_greedy_path_ties(const uap_greedy_path *p)
{
    int64_t n = 1;
    for (int32_t t = 0; t < p->in->n_ties; t++) {
        n = uap_min_i64(TIE_TRIES, n * uap_table_of(p->in, p->in->tie[t].a)->n);
    }
    return (int32_t)n;
}

/* The classes of way `number`, its digits of mixed radix over the strategies of the ties'
 * first ends. False where they were tried. */
static bool choose_classes(uap_greedy_path *p, int32_t number)
{
    const uap_instance *in = p->in;
    const size_t n_ties = (size_t)in->n_ties;
    int32_t *class = &p->tie_class[(size_t)p->n_tried * n_ties];
    for (int32_t t = 0; t < in->n_ties; t++) {
        const int32_t n = uap_table_of(in, in->tie[t].a)->n;
        class[t] = in->tie[t].class_a[number % n];
        number /= n;
    }
    for (int32_t i = 0; i < p->n_tried; i++) {
        const int32_t *other = &p->tie_class[(size_t)i * n_ties];
        if (memcmp(other, class, n_ties * sizeof *class) == 0) {
            return false;
        }
    }
    return true;
}

/* Leaves each tie's ends the strategies of one class. */
static void allow(uap_greedy_path *p, const int32_t *class)
{
    const uap_instance *in = p->in;
    for (int32_t u = 0; u < in->n_layers; u++) {
        if (p->allowed[u] != NULL) {
            memset(p->allowed[u], 1, (size_t)uap_table_of(in, u)->n);
        }
    }
    for (int32_t t = 0; t < in->n_ties; t++) {
        const uap_tie *tie = &in->tie[t];
        for (int32_t k = 0; k < uap_table_of(in, tie->a)->n; k++) {
            p->allowed[tie->a][k] &= tie->class_a[k] == class[t];
        }
        for (int32_t k = 0; k < uap_table_of(in, tie->b)->n; k++) {
            p->allowed[tie->b][k] &= tie->class_b[k] == class[t];
        }
    }
}

bool uap_greedy_path_tie(uap_greedy_path *p, int32_t number)
{
    if (!choose_classes(p, number)) {
        return false;
    }
    allow(p, &p->tie_class[p->n_tried * p->in->n_ties]);
    p->n_tried++;
    p->has_last = false;
    return true;
}

/* Ties stay as a plan has them. */
static void allow_as(uap_greedy_path *p, const uap_choice *choice)
{
    int32_t *class = &p->tie_class[TIE_TRIES * p->in->n_ties];
    for (int32_t t = 0; t < p->in->n_ties; t++) {
        const uap_tie *tie = &p->in->tie[t];
        class[t] = tie->class_a[choice->strategy[tie->a]];
    }
    allow(p, class);
}

/* ---- Prices ---- */

double uap_greedy_path_lowest_price(const uap_greedy_path *p)
{
    double time = 0.0;
    double bytes = 1.0;
    for (int32_t t = 0; t < p->in->n_tables; t++) {
        const uap_layer_table *table = &p->in->table[t];
        for (int32_t k = 0; k < table->n; k++) {
            time += ((double)table->fwd[k] + (double)table->bwd[k]) * p->time_scale;
            bytes += (double)table->state[k] + p->held * (double)table->act[k];
        }
    }
    return (time + 1.0) / bytes / 1000.0;
}

static void price_tables(uap_greedy_path *p, double price)
{
    for (int32_t i = 0; i < p->in->n_tables; i++) {
        const uap_layer_table *t = &p->in->table[i];
        for (int32_t k = 0; k < t->n; k++) {
            const double time = ((double)t->fwd[k] + (double)t->bwd[k]) * p->time_scale +
                                (double)t->grad[k] / p->in->pp;
            const double bytes = (double)t->state[k] + p->held * (double)t->act[k];
            p->price[i][k] = time + price * bytes;
        }
    }
}

/* ---- Paths ---- */

/* The cheapest way to each class in front of layer u > 0, which starts a stage or does not, and
 * the strategy of the layer before that it comes from: in class_least and class_best, behind
 * the room for the classes that layer u - 1 leaves in. Returns where they are. */
static int32_t reach_classes(uap_greedy_path *p, int32_t u, bool starts)
{
    const uap_edge_table *edge = uap_edge_of(p->in, u - 1);
    const int64_t *fwd = starts ? edge->x_fwd : edge->r_fwd;
    const int64_t *bwd = starts ? edge->x_bwd : edge->r_bwd;
    const int32_t at = edge->n_from;
    for (int32_t f = 0; f < edge->n_from + edge->n_to; f++) {
        p->class_least[f] = HUGE_VAL;
        p->class_best[f] = 0;
    }
    for (int32_t m = 0; m < uap_table_of(p->in, u - 1)->n; m++) {
        const int32_t f = edge->from_class[m];
        if (p->best[u - 1][m] < p->class_least[f]) {
            p->class_least[f] = p->best[u - 1][m];
            p->class_best[f] = m;
        }
    }
    for (int32_t f = 0; f < edge->n_from; f++) {
        for (int32_t t = 0; t < edge->n_to; t++) {
            const int32_t e = f * edge->n_to + t;
            const double via =
                p->class_least[f] + ((double)fwd[e] + (double)bwd[e]) * p->time_scale;
            if (via < p->class_least[at + t]) {
                p->class_least[at + t] = via;
                p->class_best[at + t] = p->class_best[f];
            }
        }
    }
    return at;
}

/* Shortest paths to every strategy of layer u, its rows priced. */
static void reach_layer(uap_greedy_path *p, int32_t u, bool starts, const double *price)
{
    const int32_t n = uap_table_of(p->in, u)->n;
    const int32_t at = u == 0 ? 0 : reach_classes(p, u, starts);
    for (int32_t k = 0; k < n; k++) {
        double least = 0.0;
        if (u > 0) {
            const int32_t to = at + uap_edge_of(p->in, u - 1)->to_class[k];
            least = p->class_least[to];
            p->from[u][k] = p->class_best[to];
        }
        p->best[u][k] = least + price[k];
    }
    for (int32_t k = 0; p->allowed[u] != NULL && k < n; k++) {
        p->best[u][k] = p->allowed[u][k] ? p->best[u][k] : HUGE_VAL;
    }
}

/* The strategies on the shortest path to the last layer. */
static void trace_back(const uap_greedy_path *p, int32_t *strategy)
{
    const int32_t last = p->in->n_layers - 1;
    int32_t at = 0;
    for (int32_t k = 1; k < uap_table_of(p->in, last)->n; k++) {
        at = p->best[last][k] < p->best[last][at] ? k : at;
    }
    for (int32_t u = last + 1; u-- > 0; at = p->from[u][at]) {
        strategy[u] = at;
    }
}

/* Strategies of least time + price x memory along the chain, as if in one stage; whether they
 * are not those of the path before. */
static bool shortest_path(uap_greedy_path *p, double price)
{
    const size_t bytes = (size_t)p->in->n_layers * sizeof *p->found;
    price_tables(p, price);
    for (int32_t u = 0; u < p->in->n_layers; u++) {
        reach_layer(p, u, false, p->price[p->in->layer_table[u]]);
    }
    trace_back(p, p->found);
    const bool is_new = !p->has_last || memcmp(p->found, p->last, bytes) != 0;
    memcpy(p->last, p->found, bytes);
    p->has_last = true;
    return is_new;
}

/* Cuts where the running sum of the layers' times passes each stage's share. */
static void balance(uap_greedy_path *p, uap_choice *choice)
{
    const int32_t layers = p->in->n_layers;
    const int32_t pp = p->in->pp;
    double total = 0.0;
    for (int32_t u = 0; u < layers; u++) {
        const uap_layer_table *t = uap_table_of(p->in, u);
        const int32_t k = choice->strategy[u];
        p->weight[u] = (double)t->fwd[k] + (double)t->bwd[k];
        total += p->weight[u];
    }
    double sum = 0.0;
    int32_t u = 0;
    choice->first[0] = 0;
    for (int32_t i = 1; i < pp; i++) {
        do {
            sum += p->weight[u++];
        } while (u < layers - (pp - i) && sum + p->weight[u] / 2 < total * i / pp);
        choice->first[i] = u;
    }
}

bool uap_greedy_path_find(uap_greedy_path *p, double price, uap_choice *choice)
{
    if (!shortest_path(p, price)) {
        return false;
    }
    memcpy(choice->strategy, p->found, (size_t)p->in->n_layers * sizeof *p->found);
    balance(p, choice);
    return true;
}

/* ---- Stages that fit ---- */

/* What layer u's rows cost in stage i at a price of its memory. */
static void price_rows(uap_greedy_path *p, int32_t u, int32_t i, double price)
{
    const uap_layer_table *t = uap_table_of(p->in, u);
    const double held = (double)p->in->inflight[i];
    for (int32_t k = 0; k < t->n; k++) {
        const double time = ((double)t->fwd[k] + (double)t->bwd[k]) * p->time_scale +
                            (double)t->grad[k] / p->in->pp;
        p->row[k] = time + price * ((double)t->state[k] + held * (double)t->act[k]);
    }
}

/* Strategies of least time + price x memory for given cuts, each stage at its own price. */
static void path_of_stages(uap_greedy_path *p, const double *price, uap_choice *choice)
{
    int32_t i = 0;
    for (int32_t u = 0; u < p->in->n_layers; u++) {
        const bool starts = i + 1 < p->in->pp && choice->first[i + 1] == u;
        i += starts ? 1 : 0;
        price_rows(p, u, i, price[i]);
        reach_layer(p, u, starts, p->row);
    }
    trace_back(p, choice->strategy);
}

/* The path at these prices, and what its stages cost; whether all of them fit. */
static bool try_prices(uap_greedy_path *p, const double *price, uap_choice *choice)
{
    bool all = true;
    path_of_stages(p, price, choice);
    uap_choice_stages(p->in, choice, p->stage);
    for (int32_t i = 0; i < p->in->pp; i++) {
        all = all && p->stage[i].memory <= p->in->cap[i];
    }
    return all;
}

void uap_greedy_path_fit(uap_greedy_path *p, uap_choice *choice)
{
    const uap_instance *in = p->in;
    const double lowest = uap_greedy_path_lowest_price(p);
    allow_as(p, choice);
    p->has_last = false;
    for (int32_t i = 0; i < in->pp; i++) {
        p->low[i] = lowest;
        p->high[i] = lowest * RANGE;
    }
    if (try_prices(p, p->low, choice)) {
        return;
    }
    for (int n = 0; n < FITTINGS; n++) {
        for (int32_t i = 0; i < in->pp; i++) {
            p->middle[i] = sqrt(p->low[i] * p->high[i]);
        }
        (void)try_prices(p, p->middle, choice);
        for (int32_t i = 0; i < in->pp; i++) {
            const bool fits = p->stage[i].memory <= in->cap[i];
            *(fits ? &p->high[i] : &p->low[i]) = p->middle[i];
        }
    }
    path_of_stages(p, p->high, choice);
}
