/* The Lagrangian bound of a mixed cluster's chains (search/bound.c), with stages that choose
 * their type: for weights w, v >= 0 with sum 1 and prices l, q >= 0,
 *
 *   value >= min over plans of  sum_i (1 + w_i kappa_i) p_i + sum_j (1 + v_j d) o_j + g_0
 *                               + sum_i l_it (m_i - cap_it) + sum_g q_g (used_g - devices_g),
 *
 * d = c - 1, or half of it where forward and backward cross a boundary at once. t is the type
 * that the plan gives stage i, so that each type has a price of memory of its own. */
#include "search/mix.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

#define RELATIVE_MARGIN 1e-11
#define BOUNDARY_SHARE  0.02 /* of the weights, to begin with */

/* Rows of one kind and type that enter and leave in the same classes are one: the cheapest. */
typedef struct row_pairs {
    int32_t n;
    int32_t *in, *out; /* [n] */
    int32_t *of;       /* [rows] */
    int32_t first;     /* of its costs in those of a stage */
} row_pairs;

/* State of the subgradient search; [pp] unless said otherwise. */
typedef struct dual {
    uap_mix *mix;
    int32_t width;
    double *share, *link_share; /* w, v */
    double *price;              /* [pp][n_types] of memory */
    double *best_toll;          /* [n_groups] prices of devices at the best bound */
    double *time, *link_time, *memory,
        *used /* [n_groups] */; /* of the minimising plan */
    int32_t *type;              /* and its types */
    double *in, *out;           /* [pp][L][width] costs in front of and behind layers */
    uap_arena *arena;           /* of what follows */
    row_pairs **pairs;          /* [n_types][n_kinds] */
    double ***stay; /* [n_types][n_links] -> [n_out][n_in] resharding within a stage */
    double *cost;   /* [pp][n_costs] of pairs at the present weights and prices */
    int32_t n_costs;
} dual;

/* Numbers the pairs of classes of one kind; costs of `first` on are theirs. */
static bool make_pairs(dual *d, const uap_kind *kind, int32_t first, row_pairs *pairs)
{
    const size_t rows = (size_t)kind->n;
    const size_t all = (size_t)kind->n_in * (size_t)kind->n_out;
    int32_t *number = uap_calloc(all, sizeof *number);
    pairs->in = uap_arena_alloc(d->arena, rows, sizeof *pairs->in);
    pairs->out = uap_arena_alloc(d->arena, rows, sizeof *pairs->out);
    pairs->of = uap_arena_alloc(d->arena, rows, sizeof *pairs->of);
    pairs->first = first;
    const bool ok =
        number != NULL && pairs->in != NULL && pairs->out != NULL && pairs->of != NULL;
    for (int32_t k = 0; ok && k < kind->n; k++) {
        int32_t *at = &number[kind->in[k] * kind->n_out + kind->out[k]];
        if (*at == 0) {
            pairs->in[pairs->n] = kind->in[k];
            pairs->out[pairs->n] = kind->out[k];
            *at = ++pairs->n;
        }
        pairs->of[k] = *at - 1;
    }
    uap_free(number);
    return ok;
}

static bool make_stays(dual *d, const uap_chain *chain, double **stay)
{
    for (int32_t i = 0; i < chain->n_links; i++) {
        const uap_chain_link *link = &chain->link[i];
        const size_t n = (size_t)link->n_out * (size_t)link->n_in;
        stay[i] = uap_arena_alloc(d->arena, n, sizeof **stay);
        for (size_t e = 0; stay[i] != NULL && e < n; e++) {
            stay[i][e] = (double)(link->r_fwd[e] + link->r_bwd[e]);
        }
        if (stay[i] == NULL) {
            return false;
        }
    }
    return true;
}

static bool make_tables(dual *d)
{
    const uap_mix *mix = d->mix;
    const size_t types = (size_t)mix->n_types;
    d->arena = uap_arena_new();
    if (d->arena == NULL) {
        return false;
    }
    d->pairs = uap_arena_alloc(d->arena, types, sizeof *d->pairs);
    d->stay = uap_arena_alloc(d->arena, types, sizeof *d->stay);
    bool ok = d->pairs != NULL && d->stay != NULL;
    for (int32_t t = 0; ok && t < mix->n_types; t++) {
        const uap_chain *chain = mix->chain[t];
        d->pairs[t] =
            uap_arena_alloc(d->arena, (size_t)chain->n_kinds, sizeof **d->pairs);
        d->stay[t] =
            uap_arena_alloc(d->arena, (size_t)chain->n_links + 1, sizeof **d->stay);
        ok =
            d->pairs[t] != NULL && d->stay[t] != NULL && make_stays(d, chain, d->stay[t]);
        for (int32_t i = 0; ok && i < chain->n_kinds; i++) {
            ok = make_pairs(d, &chain->kind[i], d->n_costs, &d->pairs[t][i]);
            d->n_costs += d->pairs[t][i].n;
        }
    }
    const size_t costs = (size_t)mix->pp * (size_t)d->n_costs;
    d->cost = ok ? uap_arena_alloc(d->arena, costs, sizeof *d->cost) : NULL;
    return d->cost != NULL;
}

static bool dual_init(dual *d, uap_mix *mix)
{
    *d = (dual){.mix = mix, .width = mix->width};
    const size_t pp = (size_t)mix->pp;
    const size_t groups = (size_t)mix->n_groups;
    const size_t n = pp * (size_t)mix->n_layers * (size_t)mix->width;
    d->share = uap_calloc(4 * pp, sizeof *d->share);
    d->price = uap_calloc(pp * ((size_t)mix->n_types + 1), sizeof *d->price);
    d->used = uap_calloc(2 * groups, sizeof *d->used);
    d->type = uap_calloc(pp, sizeof *d->type);
    d->in = uap_calloc(n, sizeof *d->in);
    d->out = uap_calloc(n, sizeof *d->out);
    if (d->share == NULL || d->price == NULL || d->used == NULL || d->type == NULL ||
        d->in == NULL || d->out == NULL) {
        return false;
    }
    d->link_share = d->share + pp;
    d->time = d->share + 2 * pp;
    d->link_time = d->share + 3 * pp;
    d->memory = d->price + pp * (size_t)mix->n_types;
    d->best_toll = d->used + groups;
    return make_tables(d);
}

static void dual_free(dual *d)
{
    uap_free(d->share);
    uap_free(d->price);
    uap_free(d->used);
    uap_free(d->type);
    uap_free(d->in);
    uap_free(d->out);
    uap_arena_free(d->arena);
}

static size_t at(const dual *d, int32_t i, int32_t u)
{
    return ((size_t)i * (size_t)d->mix->n_layers + (size_t)u) * (size_t)d->width;
}

static double *price_at(const dual *d, int32_t i, int32_t t)
{
    return &d->price[(size_t)i * (size_t)d->mix->n_types + (size_t)t];
}

/* Weight of a stage's time, of resharding in it, and of a boundary's. */
static double time_weight(const dual *d, int32_t i, int32_t t)
{
    const uap_pipeline *p = &d->mix->pipeline[t];
    return p->scalar ? 1 : 1 + d->share[i] * p->kappa[i];
}

static double link_weight(const dual *d, int32_t i, int32_t t)
{
    const uap_pipeline *p = &d->mix->pipeline[t];
    return p->scalar ? (double)d->mix->in->micro_batches : time_weight(d, i, t);
}

static double boundary_factor(const dual *d)
{
    const double c = (double)d->mix->in->micro_batches;
    return (c - 1) * (d->mix->pipeline[0].round_trips ? 0.5 : 1);
}

static double row_time(const dual *d, int32_t t, const uap_kind *kind, int32_t k)
{
    const double p = (double)(kind->fwd[k] + kind->bwd[k]);
    const uap_pipeline *pipeline = &d->mix->pipeline[t];
    return pipeline->scalar
               ? (double)d->mix->in->micro_batches * p + (double)kind->grad[k]
               : p;
}

static double row_memory(const dual *d, int32_t i, const uap_kind *kind, int32_t k)
{
    return (double)kind->state[k] +
           (double)d->mix->in->inflight[i] * (double)kind->act[k];
}

/* What a stage of type t pays for starting at layer u. */
static double start_cost(const dual *d, int32_t i, int32_t u, int32_t t)
{
    const uap_chain *chain = d->mix->chain[t];
    const double held = (double)d->mix->in->inflight[i] * (double)chain->start_act[u];
    return uap_mix_toll(d->mix, t) + *price_at(d, i, t) * (held - (double)chain->cap[i]);
}

/* in[x] = min(in[x], base + r[x]), apart so that it becomes vector code. */
static void lower_row(double *restrict in, const double *restrict r, double base,
                      int32_t n)
{
    for (int32_t x = 0; x < n; x++) {
        const double v = base + r[x];
        in[x] = v < in[x] ? v : in[x];
    }
}

static double stay_cost(const uap_chain_link *link, double weight, int32_t y, int32_t x)
{
    const int32_t e = y * link->n_in + x;
    return weight * (double)(link->r_fwd[e] + link->r_bwd[e]);
}

/* Costs in front of layer u in stage i where it opens the stage. */
static void open_stage(const dual *d, int32_t i, int32_t u, double *scratch)
{
    const uap_mix *mix = d->mix;
    const uap_mix_link *link = uap_mix_link_of(mix, u - 1);
    const double *open = d->out + at(d, i - 1, u - 1);
    double *in = d->in + at(d, i, u);
    const double weight = 1 + d->link_share[i - 1] * boundary_factor(d);
    double *least = scratch + mix->width; /* of rows that are alike */
    for (int32_t y = 0; y < link->n_out; y++) {
        const int32_t like = link->row_like[y];
        least[y] = open[y];
        least[like] = uap_min_f64(least[like], open[y]);
    }
    for (int32_t y = 0; y < link->n_out; y++) {
        const double *x_both = link->x_both + (size_t)y * (size_t)link->n_in;
        if (isinf(least[y]) || link->row_like[y] != y) {
            continue;
        }
        for (int32_t x = 0; x < link->n_in; x++) {
            scratch[x] = weight * x_both[x];
        }
        lower_row(in, scratch, least[y], link->n_in);
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        const double start = start_cost(d, i, u, t);
        for (int32_t x = uap_mix_in(mix, u, t); x < uap_mix_in(mix, u, t + 1); x++) {
            in[x] += start;
        }
    }
}

/* out-classes from[] of a layer to in-classes to[] of the next one, in the same stage. */
static void stay_on(const uap_chain_link *link, const double *both, double weight,
                    const double *from, double *to)
{
    for (int32_t y = 0; y < link->n_out; y++) {
        const double *r = both + (size_t)y * (size_t)link->n_in;
        for (int32_t x = 0; x < link->n_in && !isinf(from[y]); x++) {
            const double v = from[y] + weight * r[x];
            to[x] = v < to[x] ? v : to[x];
        }
    }
}

static void enter_layer(const dual *d, int32_t i, int32_t u, double *scratch)
{
    const uap_mix *mix = d->mix;
    double *in = d->in + at(d, i, u);
    for (int32_t x = 0; x < uap_mix_n_in(mix, u); x++) {
        in[x] = HUGE_VAL;
    }
    if (u == 0) {
        for (int32_t t = 0; i == 0 && t < mix->n_types; t++) {
            in[uap_mix_in(mix, 0, t)] = start_cost(d, 0, 0, t);
        }
        return;
    }
    if (i > 0) {
        open_stage(d, i, u, scratch);
    }
    const double *out = d->out + at(d, i, u - 1);
    for (int32_t t = 0; i < u && t < mix->n_types; t++) {
        const uap_chain_link *link = uap_link_of(mix->chain[t], u - 1);
        stay_on(link, d->stay[t][mix->chain[t]->link_of[u - 1]], link_weight(d, i, t),
                out + uap_mix_out(mix, u - 1, t), in + uap_mix_in(mix, u, t));
    }
}

static double row_cost(const dual *d, int32_t i, int32_t t, const uap_kind *kind,
                       int32_t k)
{
    const uap_pipeline *p = &d->mix->pipeline[t];
    const bool tail = i == 0 && !p->scalar && p->grad[0];
    return time_weight(d, i, t) * row_time(d, t, kind, k) +
           *price_at(d, i, t) * row_memory(d, i, kind, k) +
           (tail ? (double)kind->grad[k] : 0);
}

static void leave_layer(const dual *d, int32_t i, int32_t u)
{
    const uap_mix *mix = d->mix;
    const double *in = d->in + at(d, i, u);
    double *out = d->out + at(d, i, u);
    for (int32_t y = 0; y < uap_mix_n_out(mix, u); y++) {
        out[y] = HUGE_VAL;
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        const int32_t kind = mix->chain[t]->kind_of[u];
        const row_pairs *pairs = &d->pairs[t][kind];
        const double *cost = d->cost + (size_t)i * (size_t)d->n_costs + pairs->first;
        const double *from = in + uap_mix_in(mix, u, t);
        double *to = out + uap_mix_out(mix, u, t);
        for (int32_t k = 0; k < pairs->n; k++) {
            const double v = from[pairs->in[k]] + cost[k];
            to[pairs->out[k]] = v < to[pairs->out[k]] ? v : to[pairs->out[k]];
        }
    }
}

/* Costs of all pairs of stage i at the present weights and prices. */
static void cost_pairs(dual *d, int32_t i)
{
    const uap_mix *mix = d->mix;
    double *all = d->cost + (size_t)i * (size_t)d->n_costs;
    for (int32_t j = 0; j < d->n_costs; j++) {
        all[j] = HUGE_VAL;
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        for (int32_t j = 0; j < mix->chain[t]->n_kinds; j++) {
            const uap_kind *kind = &mix->chain[t]->kind[j];
            const row_pairs *pairs = &d->pairs[t][j];
            for (int32_t k = 0; k < kind->n; k++) {
                double *cost = &all[pairs->first + pairs->of[k]];
                *cost = uap_min_f64(*cost, row_cost(d, i, t, kind, k));
            }
        }
    }
}

/* ---- The minimising plan ------------------------------------------------------------- */

static int32_t type_of(const uap_mix *mix, const int32_t *first, int32_t class)
{
    int32_t t = 0;
    while (t + 1 < mix->n_types && first[t + 1] <= class) {
        t++;
    }
    return t;
}

/* The row of layer u behind which the cost is least in out-class y of type t. */
static int32_t find_row(const dual *d, int32_t i, int32_t u, int32_t t, int32_t y)
{
    const uap_kind *kind = uap_kind_of(d->mix->chain[t], u);
    const double *from = d->in + at(d, i, u) + uap_mix_in(d->mix, u, t);
    double best = HUGE_VAL;
    int32_t row = 0;
    for (int32_t k = 0; k < kind->n; k++) {
        const double v = from[kind->in[k]] + row_cost(d, i, t, kind, k);
        if (kind->out[k] == y && v < best) {
            best = v;
            row = k;
        }
    }
    return row;
}

/* Goes from in front of layer u, in-class x of type t of stage *i, to what is best before it:
 * *y is the class behind layer u - 1, of all types. */
static void find_before(dual *d, int32_t u, int32_t t, int32_t x, int32_t *i, int32_t *y)
{
    const uap_mix *mix = d->mix;
    double best = HUGE_VAL;
    double link_time = 0;
    int32_t from = 0;
    bool crossed = false;
    const uap_chain_link *stay = uap_link_of(mix->chain[t], u - 1);
    const int32_t first = uap_mix_out(mix, u - 1, t);
    for (int32_t e = 0; *i < u && e < stay->n_out; e++) {
        const double v = d->out[at(d, *i, u - 1) + (size_t)(first + e)] +
                         stay_cost(stay, link_weight(d, *i, t), e, x);
        if (v < best) {
            best = v;
            from = first + e;
            link_time = stay_cost(stay, 1, e, x);
        }
    }
    const uap_mix_link *link = uap_mix_link_of(mix, u - 1);
    const double start = start_cost(d, *i, u, t);
    for (int32_t e = 0; *i > 0 && e < link->n_out; e++) {
        const double both = link->x_both[e * link->n_in + uap_mix_in(mix, u, t) + x];
        const double weight = 1 + d->link_share[*i - 1] * boundary_factor(d);
        const double v = d->out[at(d, *i - 1, u - 1) + (size_t)e] + weight * both + start;
        if (v < best) {
            best = v;
            from = e;
            link_time = both;
            crossed = true;
        }
    }
    *y = from;
    if (crossed) {
        d->memory[*i] +=
            (double)mix->in->inflight[*i] * (double)mix->chain[t]->start_act[u];
        d->link_time[--*i] = link_time;
    } else {
        d->time[*i] += link_time;
    }
}

/* Times, memory, types and devices of the minimising plan; false where there is none. */
static void trace_plan(dual *d)
{
    const uap_mix *mix = d->mix;
    const int32_t last = mix->n_layers - 1;
    int32_t i = mix->pp - 1;
    int32_t y = 0;
    memset(d->time, 0, (size_t)mix->pp * sizeof *d->time);
    memset(d->link_time, 0, (size_t)mix->pp * sizeof *d->link_time);
    memset(d->memory, 0, (size_t)mix->pp * sizeof *d->memory);
    memset(d->used, 0, (size_t)mix->n_groups * sizeof *d->used);
    for (int32_t e = 1; e < uap_mix_n_out(mix, last); e++) {
        const double *out = d->out + at(d, i, last);
        y = out[e] < out[y] ? e : y;
    }
    for (int32_t u = last; u >= 0; u--) {
        const int32_t t = type_of(mix, &mix->out_first[u * (mix->n_types + 1)], y);
        const uap_kind *kind = uap_kind_of(mix->chain[t], u);
        const int32_t k = find_row(d, i, u, t, y - uap_mix_out(mix, u, t));
        d->time[i] += row_time(d, t, kind, k);
        d->memory[i] += row_memory(d, i, kind, k);
        d->type[i] = t;
        if (u > 0) {
            find_before(d, u, t, kind->in[k], &i, &y);
        }
    }
    for (int32_t j = 0; j < mix->pp; j++) {
        const uap_stage_type *type = &mix->in->type[d->type[j]];
        d->used[type->group] += (double)type->devices;
    }
}

/* ---- Steps --------------------------------------------------------------------------- */

/* The bound at the present weights and prices; HUGE_VAL where no plan exists. */
static double evaluate(dual *d, double *scratch)
{
    const uap_mix *mix = d->mix;
    const int32_t n_layers = mix->n_layers;
    for (int32_t i = 0; i < mix->pp; i++) {
        cost_pairs(d, i);
    }
    for (int32_t u = 0; u < n_layers; u++) {
        const int32_t first = uap_max_i32(0, mix->pp - (n_layers - u));
        const int32_t last = u < mix->pp - 1 ? u : mix->pp - 1;
        for (int32_t i = 0; i < mix->pp; i++) {
            if (i >= first && i <= last) {
                enter_layer(d, i, u, scratch);
                leave_layer(d, i, u);
                continue;
            }
            for (int32_t y = 0; y < d->width; y++) {
                d->out[at(d, i, u) + (size_t)y] = HUGE_VAL;
            }
        }
    }
    const double *out = d->out + at(d, mix->pp - 1, n_layers - 1);
    double cost = HUGE_VAL;
    for (int32_t y = 0; y < uap_mix_n_out(mix, n_layers - 1); y++) {
        cost = uap_min_f64(cost, out[y]);
    }
    if (isinf(cost)) {
        return cost;
    }
    trace_plan(d);
    double size = fabs(cost);
    for (int32_t i = 0; i < mix->pp; i++) {
        double most = 0;
        for (int32_t t = 0; t < mix->n_types; t++) {
            most = fmax(most, *price_at(d, i, t) * (double)mix->chain[t]->cap[i]);
        }
        size += most;
    }
    const double credit = uap_mix_credit(mix);
    return cost - credit - RELATIVE_MARGIN * 8 * (size + credit) - 1;
}

static void first_shares(dual *d)
{
    const int32_t pp = d->mix->pp;
    const double each = BOUNDARY_SHARE / (double)pp;
    for (int32_t i = 0; i < pp; i++) {
        d->share[i] = (1 - (pp > 1 ? BOUNDARY_SHARE : 0)) / (double)pp;
        d->link_share[i] = i + 1 < pp ? each : 0;
    }
}

/* Weights move to what is slow. */
static void step_shares(dual *d, double scale)
{
    const int32_t pp = d->mix->pp;
    double slowest = 0;
    double sum = 0;
    for (int32_t i = 0; i < pp; i++) {
        slowest = fmax(slowest, d->mix->pipeline[d->type[i]].kappa[i] * d->time[i]);
        slowest = fmax(slowest, boundary_factor(d) * d->link_time[i]);
    }
    for (int32_t i = 0; slowest > 0 && i < pp; i++) {
        const double own = d->mix->pipeline[d->type[i]].kappa[i] * d->time[i];
        const double link = boundary_factor(d) * d->link_time[i];
        d->share[i] *= exp(scale * (own / slowest - 1));
        d->link_share[i] *= exp(scale * (link / slowest - 1));
    }
    for (int32_t i = 0; i < pp; i++) {
        sum += d->share[i] + d->link_share[i];
    }
    for (int32_t i = 0; i < pp; i++) {
        d->share[i] /= sum;
        d->link_share[i] /= sum;
    }
}

/* Prices move along what the plan has too much of. */
static void step_prices(dual *d, double value, double scale)
{
    uap_mix *mix = d->mix;
    double norm = 0;
    for (int32_t i = 0; i < mix->pp; i++) {
        const double over = d->memory[i] - (double)mix->chain[d->type[i]]->cap[i];
        norm += over < 0 && *price_at(d, i, d->type[i]) <= 0 ? 0 : over * over;
    }
    for (int32_t i = 0; i < mix->pp && norm > 0; i++) {
        double *price = price_at(d, i, d->type[i]);
        const double over = d->memory[i] - (double)mix->chain[d->type[i]]->cap[i];
        *price = fmax(0, *price + scale * fabs(value) / norm * over);
    }
    norm = 0;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        const double over = d->used[g] - (double)mix->room[g].most;
        norm += over < 0 && mix->price[g] <= 0 ? 0 : over * over;
    }
    for (int32_t g = 0; g < mix->n_groups && norm > 0; g++) {
        const double over = d->used[g] - (double)mix->room[g].most;
        mix->price[g] = fmax(0, mix->price[g] + scale * fabs(value) / norm * over);
    }
}

uap_status uap_mix_bound(uap_mix *mix, int32_t rounds, int64_t cutoff, int64_t *bound,
                         uap_err *err)
{
    dual d;
    const size_t groups = (size_t)mix->n_groups;
    double *scratch = uap_calloc(2 * (size_t)mix->width, sizeof *scratch);
    uap_status rc = UAP_OK;
    if (!dual_init(&d, mix) || scratch == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a bound");
        goto done;
    }
    first_shares(&d);
    memcpy(d.best_toll, mix->price, groups * sizeof *mix->price);
    double scale = 0.1;
    double best = -HUGE_VAL;
    for (int32_t round = 0; round < rounds && *bound <= cutoff; round++) {
        const double value = evaluate(&d, scratch);
        if (value >= (double)UAP_VALUE_LIMIT) {
            *bound = INT64_MAX;
            break;
        }
        if (value > best) {
            best = value;
            memcpy(d.best_toll, mix->price, groups * sizeof *mix->price);
        } else {
            scale *= 0.8;
        }
        if (value > (double)*bound) {
            *bound = (int64_t)floor(value);
        }
        step_shares(&d, scale);
        step_prices(&d, value, scale);
    }
    memcpy(mix->price, d.best_toll, groups * sizeof *mix->price);
done:
    uap_free(scratch);
    dual_free(&d);
    return rc;
}
