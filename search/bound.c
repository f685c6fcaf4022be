/* Chain bounds: for weights w >= 0 with sum 1 and prices l_i >= 0,
 *
 *   value >= min over plans of  sum_i (1 + w_i kappa_i) p_i + sum_j o_j + g_0
 *                               + sum_i l_i (m_i - cap_i),
 *
 * found by one dynamic program over (stage, layer, class). Weights and prices follow the
 * subgradient: stages that are slow or over their memory in the minimising plan get more.
 * W is replaced by the least of the stage's first layer, which keeps the bound valid. */
#include "search/bound.h"

#include "common/numbers.h"
#include "common/wide.h"
#include "search/objective.h"

#include <math.h>
#include <string.h>

#define RELATIVE_MARGIN 1e-11

int64_t uap_instance_quick_bound(const uap_instance *instance)
{
    double total = 0;
    for (int32_t u = 0; u < instance->n_layers; u++) {
        const uap_layer_table *t = uap_table_of(instance, u);
        int64_t least = INT64_MAX;
        for (int32_t k = 0; k < t->n; k++) {
            least = uap_min_i64(least, t->fwd[k] + t->bwd[k]);
        }
        total += (double)least;
    }
    const double c = (double)instance->micro_batches;
    double value = total * c / (double)instance->pp; /* c p_i for the slowest stage */
    if (instance->objective == UAP_OBJECTIVE_SIMPLE) {
        value = total + (c - 1) * total / (double)instance->pp;
    } else {
        /* sum p + the slowest stage's share; kappa_i = c - 1 - (k - 1) / 2 at least. */
        double inverse = 0;
        for (int32_t i = 0; i < instance->pp; i++) {
            const double k = fmin((double)instance->inflight[i], c);
            const bool waits = instance->schedule != UAP_SCHEDULE_GPIPE;
            const double kappa = waits ? c - 1 - (k - 1) / 2 : c - 1;
            inverse += 1 / fmax(kappa, 1e-9);
        }
        value = fmax(value, total + (c > 1 ? total / inverse : 0));
    }
    return (int64_t)floor(
        value * (1 - RELATIVE_MARGIN) - 1 < 0 ? 0 : value * (1 - RELATIVE_MARGIN) - 1);
}

/* State of the subgradient search; arrays are [pp] unless said otherwise. */
typedef struct dual {
    const uap_pipeline *pipeline;
    const uap_chain *chain;
    int32_t width;
    double *weight, *price;
    double *time, *memory; /* of the minimising plan */
    double *cost;          /* [pp][L][width] behind the layer, by out-class */
    int16_t *from_row;     /* [pp][L][width] row of the layer */
    int16_t *from_class;   /* [pp][L][width in] out-class of the layer before */
    uint8_t *crossed;      /* [pp][L][width in] the layer opens its stage */
    double *in, *came;     /* [width] and where it comes from, two for each class */
    double *link; /* times of all links, in a stage and across, [n_out][n_in] each */
    const double **within, **across; /* [n_links] into link */
} dual;

/* Times of a link's entries as the programs add them. */
static bool price_links(dual *d)
{
    const uap_chain *chain = d->chain;
    size_t n = 0;
    for (int32_t i = 0; i < chain->n_links; i++) {
        n += (size_t)chain->link[i].n_out * (size_t)chain->link[i].n_in;
    }
    d->link = uap_calloc(2 * n, sizeof *d->link);
    d->within = uap_calloc((size_t)chain->n_links, sizeof *d->within);
    d->across = uap_calloc((size_t)chain->n_links, sizeof *d->across);
    if (d->link == NULL || d->within == NULL || d->across == NULL) {
        return false;
    }
    double *to = d->link;
    for (int32_t i = 0; i < chain->n_links; i++) {
        const uap_chain_link *link = &chain->link[i];
        const int32_t entries = link->n_out * link->n_in;
        d->within[i] = to;
        d->across[i] = to + entries;
        for (int32_t e = 0; e < entries; e++) {
            to[e] = (double)(link->r_fwd[e] + link->r_bwd[e]);
            to[entries + e] = (double)(link->x_fwd[e] + link->x_bwd[e]);
        }
        to += 2 * (size_t)entries;
    }
    return true;
}

static bool dual_init(dual *d, const uap_pipeline *pipeline)
{
    const uap_chain *chain = pipeline->chain;
    *d = (dual){.pipeline = pipeline, .chain = chain, .width = chain->width};
    const size_t pp = (size_t)chain->pp;
    const size_t n = pp * (size_t)chain->n_layers * (size_t)d->width;
    d->weight = uap_calloc(pp, sizeof *d->weight);
    d->price = uap_calloc(pp, sizeof *d->price);
    d->time = uap_calloc(pp, sizeof *d->time);
    d->memory = uap_calloc(pp, sizeof *d->memory);
    d->cost = uap_calloc(n, sizeof *d->cost);
    d->from_row = uap_calloc(n, sizeof *d->from_row);
    d->from_class = uap_calloc(n, sizeof *d->from_class);
    d->crossed = uap_calloc(n, sizeof *d->crossed);
    d->in = uap_calloc((size_t)d->width, sizeof *d->in);
    d->came = uap_calloc((size_t)d->width, sizeof *d->came);
    return price_links(d) && d->weight != NULL && d->price != NULL && d->time != NULL &&
           d->memory != NULL && d->cost != NULL && d->from_row != NULL &&
           d->from_class != NULL && d->crossed != NULL && d->in != NULL &&
           d->came != NULL;
}

static void dual_free(dual *d)
{
    uap_free(d->weight);
    uap_free(d->price);
    uap_free(d->time);
    uap_free(d->memory);
    uap_free(d->cost);
    uap_free(d->from_row);
    uap_free(d->from_class);
    uap_free(d->crossed);
    uap_free(d->in);
    uap_free(d->came);
    uap_free(d->link);
    uap_free((void *)d->within);
    uap_free((void *)d->across);
}

static size_t at(const dual *d, int32_t i, int32_t u)
{
    return ((size_t)i * (size_t)d->chain->n_layers + (size_t)u) * (size_t)d->width;
}

/* Time and memory of row k in stage i, unweighted. */
static double row_time(const dual *d, const uap_kind *kind, int32_t k)
{
    const double p = (double)(kind->fwd[k] + kind->bwd[k]);
    return d->pipeline->scalar ? (double)d->chain->c * p + (double)kind->grad[k] : p;
}

static double row_memory(const dual *d, const uap_kind *kind, int32_t i, int32_t k)
{
    return (double)kind->state[k] +
           (double)d->chain->instance->inflight[i] * (double)kind->act[k];
}

/* in = min(in, base + scale * cost + start), and where the lower came from; all of one type,
 * so that it compiles to vector code. */
UAP_FOR_WIDE_REGISTERS
static void relax(double *restrict in, double *restrict came, const double *restrict cost,
                  double base, double scale, double start, double from, int32_t n)
{
    for (int32_t x = 0; x < n; x++) {
        const double v = base + scale * cost[x] + start;
        came[x] = v < in[x] ? from : came[x];
        in[x] = v < in[x] ? v : in[x];
    }
}

/* Costs in front of layer u in stage i, by in-class, into d->in with their origins. */
static void enter_layer(dual *d, int32_t i, int32_t u)
{
    const uap_chain *chain = d->chain;
    const uap_chain_link *link = uap_link_of(chain, u - 1);
    const double *within = d->within[chain->link_of[u - 1]];
    const double *across = d->across[chain->link_of[u - 1]];
    const double weight = d->weight[i];
    const double scale = d->pipeline->scalar ? (double)chain->c : weight;
    const double start =
        d->price[i] * (double)chain->instance->inflight[i] * (double)chain->start_act[u];
    const double *stay = i < u ? d->cost + at(d, i, u - 1) : NULL;
    const double *open = i > 0 ? d->cost + at(d, i - 1, u - 1) : NULL;
    const size_t to = at(d, i, u);
    for (int32_t x = 0; x < link->n_in; x++) {
        d->in[x] = HUGE_VAL;
        d->came[x] = 0;
    }
    for (int32_t y = 0; y < link->n_out; y++) {
        const size_t row = (size_t)y * (size_t)link->n_in;
        if (stay != NULL && stay[y] < HUGE_VAL) {
            relax(d->in, d->came, within + row, stay[y], scale, 0, 2.0 * y, link->n_in);
        }
        if (open != NULL && open[y] < HUGE_VAL) {
            relax(d->in, d->came, across + row, open[y], 1, start, 2.0 * y + 1,
                  link->n_in);
        }
    }
    for (int32_t x = 0; x < link->n_in; x++) {
        const int32_t came = (int32_t)d->came[x];
        d->from_class[to + (size_t)x] = (int16_t)(came / 2);
        d->crossed[to + (size_t)x] = (uint8_t)(came % 2);
    }
}

static void leave_layer(dual *d, int32_t i, int32_t u)
{
    const uap_chain *chain = d->chain;
    const uap_kind *kind = uap_kind_of(chain, u);
    const bool tail = i == 0 && !d->pipeline->scalar && d->pipeline->grad[0];
    double *out = d->cost + at(d, i, u);
    int16_t *row = d->from_row + at(d, i, u);
    for (int32_t y = 0; y < kind->n_out; y++) {
        out[y] = HUGE_VAL;
    }
    for (int32_t k = 0; k < kind->n; k++) {
        const double weight = d->pipeline->scalar ? 1 : d->weight[i];
        const double v = d->in[kind->in[k]] + weight * row_time(d, kind, k) +
                         d->price[i] * row_memory(d, kind, i, k) +
                         (tail ? (double)kind->grad[k] : 0);
        if (v < out[kind->out[k]]) {
            out[kind->out[k]] = v;
            row[kind->out[k]] = (int16_t)k;
        }
    }
}

/* Time and memory of the minimising plan's stages. */
static void trace_plan(dual *d)
{
    const uap_chain *chain = d->chain;
    int32_t i = chain->pp - 1;
    int32_t y = 0;
    memset(d->time, 0, (size_t)chain->pp * sizeof *d->time);
    memset(d->memory, 0, (size_t)chain->pp * sizeof *d->memory);
    for (int32_t u = chain->n_layers - 1; u >= 0; u--) {
        const uap_kind *kind = uap_kind_of(chain, u);
        const int32_t k = d->from_row[at(d, i, u) + (size_t)y];
        const int32_t x = kind->in[k];
        d->time[i] += row_time(d, kind, k);
        d->memory[i] += row_memory(d, kind, i, k);
        if (u == 0) {
            break;
        }
        const size_t from = at(d, i, u) + (size_t)x;
        const uap_chain_link *link = uap_link_of(chain, u - 1);
        y = d->from_class[from];
        if (d->crossed[from]) {
            d->memory[i] +=
                (double)chain->instance->inflight[i] * (double)chain->start_act[u];
            i--;
        } else {
            const int32_t e = y * link->n_in + x;
            d->time[i] += (double)(link->r_fwd[e] + link->r_bwd[e]);
        }
    }
}

/* The bound at the present weights and prices; the plan behind it in time and memory. */
static double evaluate(dual *d)
{
    const uap_chain *chain = d->chain;
    const int32_t n_layers = chain->n_layers;
    for (int32_t u = 0; u < n_layers; u++) {
        const int32_t first =
            chain->pp - (n_layers - u) > 0 ? chain->pp - (n_layers - u) : 0;
        const int32_t last = u < chain->pp - 1 ? u : chain->pp - 1;
        for (int32_t i = 0; i < chain->pp; i++) {
            if (i < first || i > last) {
                for (int32_t y = 0; y < d->width; y++) {
                    d->cost[at(d, i, u) + (size_t)y] = HUGE_VAL;
                }
                continue;
            }
            if (u == 0) {
                d->in[0] = 0;
            } else {
                enter_layer(d, i, u);
            }
            leave_layer(d, i, u);
        }
    }
    double credit = 0;
    for (int32_t i = 0; i < chain->pp; i++) {
        credit += d->price[i] * (double)chain->instance->cap[i];
    }
    const double cost = d->cost[at(d, chain->pp - 1, n_layers - 1)];
    trace_plan(d);
    return cost - credit - RELATIVE_MARGIN * (cost + credit) - 1;
}

/* w_i kappa_i equal for all stages is right when all stages take equally long. */
static void first_weights(dual *d, double *share)
{
    double inverse = 0;
    for (int32_t i = 0; i < d->chain->pp; i++) {
        inverse += 1 / fmax(d->pipeline->kappa[i], 1e-9);
    }
    for (int32_t i = 0; i < d->chain->pp; i++) {
        share[i] = 1 / fmax(d->pipeline->kappa[i], 1e-9) / inverse;
        d->weight[i] = 1 + share[i] * d->pipeline->kappa[i];
    }
}

/* One step along the subgradient; scale shrinks it from round to round. */
static void step(dual *d, double *share, double value, double scale)
{
    const uap_chain *chain = d->chain;
    double norm = 0;
    double slowest = 0;
    double sum = 0;
    for (int32_t i = 0; i < chain->pp; i++) {
        const double over = d->memory[i] - (double)chain->instance->cap[i];
        const double used = over < 0 && d->price[i] <= 0 ? 0 : over;
        norm += used * used;
        slowest = fmax(slowest, d->pipeline->kappa[i] * d->time[i]);
    }
    const double length = norm > 0 ? scale * fabs(value) / norm : 0;
    for (int32_t i = 0; i < chain->pp; i++) {
        const double over = d->memory[i] - (double)chain->instance->cap[i];
        d->price[i] = fmax(0, d->price[i] + length * over);
        if (slowest > 0) {
            share[i] *= exp(scale * (d->pipeline->kappa[i] * d->time[i] / slowest - 1));
        }
        sum += share[i];
    }
    for (int32_t i = 0; i < chain->pp; i++) {
        share[i] /= sum;
        d->weight[i] = 1 + share[i] * d->pipeline->kappa[i];
    }
}

uap_status uap_chain_bound(const uap_pipeline *pipeline, int32_t rounds, int64_t cutoff,
                           int64_t *bound, uap_err *err)
{
    dual d;
    double *share = uap_calloc((size_t)pipeline->chain->pp, sizeof *share);
    uap_status rc = UAP_OK;
    if (!dual_init(&d, pipeline) || share == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a bound");
        goto done;
    }
    first_weights(&d, share);
    double scale = 0.1;
    double best = -HUGE_VAL;
    for (int32_t round = 0; round < rounds && *bound <= cutoff; round++) {
        const double value = evaluate(&d);
        if (value > best) {
            best = value;
        } else {
            scale *= 0.7;
        }
        if (value >= (double)UAP_VALUE_LIMIT) {
            *bound = INT64_MAX;
        } else if (value > (double)*bound) {
            *bound = (int64_t)floor(value);
        }
        step(&d, share, value, scale);
    }
done:
    uap_free(share);
    dual_free(&d);
    return rc;
}
