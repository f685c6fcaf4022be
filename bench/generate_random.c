/* Small random instances that try every corner of search/instance.h. What is drawn once
 * per instance is in struct maker; it makes some instances of few equal values (ties, zeros)
 * and some of large ones, some with memory tight and some with none. */
#include "bench/generate.h"

#include "bench/generate_build.h"
#include "bench/rng.h"
#include "common/numbers.h"
#include "search/objective.h"

#define MAX_CONSUMERS 3

typedef struct maker {
    uap_rng rng;
    uap_instance *in;
    double time;     /* of a layer, ticks */
    double bytes;    /* of a layer */
    double zero;     /* share of entries that are 0 */
    double grad;     /* gradient work relative to a layer's time */
    double reshard;  /* within a stage, relative to a layer's time */
    double transfer; /* across a boundary, relative to a layer's time */
    double work;     /* workspace relative to a layer's memory */
    bool late_grad;  /* gradient work grows towards the last layers */
    bool unrelated;  /* backward times are drawn apart from forward times */
    bool dense;      /* every pair of strategies has a resharding of its own */
} maker;

static int64_t draw(maker *m, double scale, double lo, double hi)
{
    if (uap_rng_chance(&m->rng, m->zero)) {
        return 0;
    }
    return (int64_t)(scale * uap_rng_real(&m->rng, lo, hi) + 0.5);
}

static void choose_style(maker *m)
{
    uap_rng *rng = &m->rng;
    static const double times[] = {4.0, 1e3, 2e9};
    static const double grads[] = {0.0, 0.5, 3.0, 12.0};
    const int64_t coarse = uap_rng_range(rng, 0, 2);
    m->time = times[coarse];
    m->bytes = coarse == 0 ? 5.0 : uap_rng_chance(rng, 0.5) ? 1e3 : 3e9;
    m->zero = uap_rng_chance(rng, 0.3) ? 0.15 : 0.01;
    m->grad = grads[uap_rng_range(rng, 0, 3)];
    m->late_grad = uap_rng_chance(rng, 0.4);
    m->reshard = uap_rng_chance(rng, 0.1) ? 0.0 : uap_rng_real(rng, 0.05, 1.0);
    m->transfer = uap_rng_chance(rng, 0.1) ? 0.0 : uap_rng_real(rng, 0.05, 2.0);
    m->work = uap_rng_chance(rng, 0.4) ? 0.0 : uap_rng_real(rng, 0.2, 2.0);
    m->unrelated = uap_rng_chance(rng, 0.25);
    m->dense = uap_rng_chance(rng, 0.6);
}

/* position: 0 for the first layer to 1 for the last. */
static void fill_table(maker *m, uap_layer_table *t, double position)
{
    uap_rng *rng = &m->rng;
    const double weight = uap_rng_real(rng, 0.4, 2.0);
    const bool simple = m->in->objective == UAP_OBJECTIVE_SIMPLE;
    for (int32_t k = 0; k < t->n; k++) {
        /* What is slow is small, or k is dominated by luck. */
        const double slow = uap_rng_real(rng, 0.3, 1.7);
        const double small = uap_rng_chance(rng, 0.2) ? 1.0 : 2.0 - slow;
        const double grad = m->late_grad ? m->grad * position * position : m->grad;
        const double backward = uap_rng_chance(rng, 0.3) ? 3.0 : 2.0;
        t->fwd[k] = draw(m, m->time * weight * slow, 0.6, 1.4);
        if (!simple) {
            t->bwd[k] = m->unrelated ? draw(m, m->time * weight, 0.1, 5.0)
                                     : (int64_t)(backward * (double)t->fwd[k]);
        }
        t->grad[k] = draw(m, m->time * grad, 0.0, 1.5);
        t->state[k] = draw(m, m->bytes * small, 0.6, 1.4);
        t->act[k] = draw(m, m->bytes * small * 0.3, 0.2, 1.6);
        t->work[k] = draw(m, m->bytes * m->work, 0.0, 1.0);
    }
}

static void fill_edge(maker *m, uap_edge_table *e, const int32_t strategies[2])
{
    uap_rng *rng = &m->rng;
    const bool simple = m->in->objective == UAP_OBJECTIVE_SIMPLE;
    const bool permuted = !m->dense;
    for (int32_t k = 0; k < strategies[0]; k++) {
        e->from_class[k] = permuted ? (int32_t)uap_rng_range(rng, 0, e->n_from - 1) : k;
    }
    for (int32_t k = 0; k < strategies[1]; k++) {
        e->to_class[k] = permuted ? (int32_t)uap_rng_range(rng, 0, e->n_to - 1) : k;
    }
    for (int32_t i = 0; i < e->n_from * e->n_to; i++) {
        /* Staying in the same layout is free within a stage, as a rule. */
        const bool same = i / e->n_to == i % e->n_to && !uap_rng_chance(rng, 0.2);
        e->r_fwd[i] = same ? 0 : draw(m, m->time * m->reshard, 0.0, 1.0);
        e->x_fwd[i] = draw(m, m->time * m->transfer, 0.0, 1.0);
        if (!simple) {
            e->r_bwd[i] = same ? 0 : draw(m, m->time * m->reshard, 0.0, 1.0);
            e->x_bwd[i] = draw(m, m->time * m->transfer, 0.0, 1.0);
        }
    }
}

/* Layers of the same kind share a table: runs of few kinds, or every layer its own. */
static bool make_layers(maker *m, const uap_generate_range *range, int32_t n_layers)
{
    uap_instance *in = m->in;
    uap_rng *rng = &m->rng;
    const bool runs = uap_rng_chance(rng, 0.35);
    const int32_t pp = (int32_t)uap_min_i64(
        uap_rng_range(rng, range->min_stages, range->max_stages), n_layers);
    const int32_t n_kinds = runs ? (int32_t)uap_rng_range(rng, 1, 3) : n_layers;
    if (!uap_build_shape(in, n_layers, n_kinds, pp)) {
        return false;
    }
    for (int32_t t = 0; t < n_kinds; t++) {
        const int64_t n =
            uap_rng_range(rng, range->min_strategies, range->max_strategies);
        if (!uap_build_table(in, &in->table[t], (int32_t)n)) {
            return false;
        }
        fill_table(m, &in->table[t], n_kinds < 2 ? 1.0 : (double)t / (n_kinds - 1));
    }
    for (int32_t u = 0; u < n_layers; u++) {
        in->layer_table[u] = runs ? (int32_t)((int64_t)u * n_kinds / n_layers) : u;
        if (runs && uap_rng_chance(rng, 0.1)) {
            in->layer_table[u] = (int32_t)uap_rng_range(rng, 0, n_kinds - 1);
        }
    }
    return true;
}

static int32_t class_count(maker *m, int32_t strategies)
{
    if (m->dense) {
        return strategies;
    }
    return (int32_t)uap_rng_range(&m->rng, 1, uap_min_i64(3, strategies));
}

/* Neighbours of the same two kinds share an edge. */
static bool make_edges(maker *m)
{
    uap_instance *in = m->in;
    for (int32_t u = 0; u + 1 < in->n_layers; u++) {
        int32_t e = -1;
        for (int32_t before = 0; before < u && e < 0; before++) {
            if (in->layer_table[before] == in->layer_table[u] &&
                in->layer_table[before + 1] == in->layer_table[u + 1]) {
                e = in->layer_edge[before];
            }
        }
        if (e < 0) {
            const int32_t s[2] = {uap_table_of(in, u)->n, uap_table_of(in, u + 1)->n};
            const int32_t classes[2] = {class_count(m, s[0]), class_count(m, s[1])};
            e = in->n_edges++;
            if (!uap_build_edge(in, &in->edge[e], s, classes)) {
                return false;
            }
            fill_edge(m, &in->edge[e], s);
        }
        in->layer_edge[u] = e;
    }
    return true;
}

static bool make_live(maker *m)
{
    uap_instance *in = m->in;
    uap_rng *rng = &m->rng;
    const bool simple = in->objective == UAP_OBJECTIVE_SIMPLE;
    const int32_t from = (int32_t)uap_rng_range(rng, 0, in->n_layers - 3);
    int32_t consumer[MAX_CONSUMERS];
    int32_t n = 0;
    /* The last consumer is two layers on or more, else it would be an edge. */
    const int32_t last = (int32_t)uap_rng_range(rng, from + 2, in->n_layers - 1);
    for (int32_t u = from + 1; u < last && n + 1 < MAX_CONSUMERS; u++) {
        if (uap_rng_chance(rng, 0.4)) {
            consumer[n++] = u;
        }
    }
    consumer[n++] = last;
    in->live = uap_arena_alloc(in->arena, 1, sizeof *in->live);
    if (in->live == NULL || !uap_build_live(in, in->live, from, consumer, n)) {
        return false;
    }
    in->n_live = 1;
    uap_live_tensor *live = in->live;
    const int32_t s = uap_table_of(in, from)->n;
    for (int32_t k = 0; k < s; k++) {
        live->x_fwd[k] = draw(m, m->time * m->transfer, 0.0, 1.0);
        live->x_bwd[k] = simple ? 0 : draw(m, m->time * m->transfer, 0.0, 1.0);
        live->bytes[k] = draw(m, m->bytes, 0.0, 0.8);
    }
    for (int32_t e = 0; e < n; e++) {
        for (int32_t i = 0; i < s * uap_table_of(in, consumer[e])->n; i++) {
            live->r_fwd[e][i] = draw(m, m->time * m->reshard, 0.0, 1.0);
            live->r_bwd[e][i] = simple ? 0 : draw(m, m->time * m->reshard, 0.0, 1.0);
        }
    }
    return true;
}

static bool make_tie(maker *m)
{
    uap_instance *in = m->in;
    uap_rng *rng = &m->rng;
    in->tie = uap_arena_alloc(in->arena, 1, sizeof *in->tie);
    if (in->tie == NULL) {
        return false;
    }
    uap_tie *tie = in->tie;
    tie->a = (int32_t)uap_rng_range(rng, 0, in->n_layers - 2);
    tie->b = (int32_t)uap_rng_range(rng, tie->a + 1, in->n_layers - 1);
    const int32_t s_a = uap_table_of(in, tie->a)->n;
    const int32_t s_b = uap_table_of(in, tie->b)->n;
    tie->class_a = uap_build_i32(in, s_a);
    tie->class_b = uap_build_i32(in, s_b);
    if (tie->class_a == NULL || tie->class_b == NULL) {
        return false;
    }
    for (int32_t k = 0; k < s_a; k++) {
        tie->class_a[k] = (int32_t)uap_rng_range(rng, 0, 2);
    }
    for (int32_t k = 0; k < s_b; k++) {
        tie->class_b[k] = (int32_t)uap_rng_range(rng, 0, 2);
    }
    in->n_ties = 1;
    return true;
}

static void choose_inflight(maker *m)
{
    uap_instance *in = m->in;
    const bool arbitrary = uap_rng_chance(&m->rng, 0.3);
    for (int32_t i = 0; i < in->pp; i++) {
        in->inflight[i] =
            arbitrary ? uap_rng_range(&m->rng, 1, uap_min_i64(in->micro_batches, 6))
                      : uap_schedule_inflight(in->schedule, in->pp, i, in->micro_batches);
    }
}

/* Least and largest memory of layers [first, end) in stage i, live tensors left out. */
static void memory_range(const uap_instance *in, int32_t stage, int32_t first,
                         int32_t end, int64_t range[2])
{
    range[0] = 0;
    range[1] = 0;
    int64_t work = 0;
    for (int32_t u = first; u < end; u++) {
        const uap_layer_table *t = uap_table_of(in, u);
        int64_t least = INT64_MAX;
        int64_t most = 0;
        for (int32_t k = 0; k < t->n; k++) {
            const int64_t bytes = t->state[k] + in->inflight[stage] * t->act[k];
            least = uap_min_i64(least, bytes);
            most = uap_max_i64(most, bytes);
            work = uap_max_i64(work, t->work[k]);
        }
        range[0] += least;
        range[1] += most;
    }
    range[1] += work;
}

/* A cap between what a balanced cut needs at least and at most, per stage. */
static void choose_caps(maker *m)
{
    uap_instance *in = m->in;
    uap_rng *rng = &m->rng;
    double tightness = uap_rng_real(rng, 0.05, 1.05);
    /* Long chains find room somewhere unless there is none at all. */
    if (in->n_layers >= 8 && uap_rng_chance(rng, 0.2)) {
        tightness = uap_rng_real(rng, -0.4, -0.1);
    }
    const bool unequal = uap_rng_chance(rng, 0.5);
    int64_t common = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        const int32_t first = (int32_t)((int64_t)in->n_layers * i / in->pp);
        const int32_t end = (int32_t)((int64_t)in->n_layers * (i + 1) / in->pp);
        int64_t range[2];
        memory_range(in, i, first, end, range);
        double share = tightness;
        if (unequal) {
            share += uap_rng_real(rng, -0.2, 0.2);
        }
        const double cap = (double)range[0] + share * (double)(range[1] - range[0]);
        in->cap[i] = cap > 0.0 ? (int64_t)cap : 0;
        common = uap_max_i64(common, in->cap[i]);
    }
    for (int32_t i = 0; i < in->pp && !unequal; i++) {
        in->cap[i] = common;
    }
}

static bool make_random(maker *m, const uap_generate_range *range)
{
    uap_instance *in = m->in;
    uap_rng *rng = &m->rng;
    choose_style(m);
    in->objective = uap_rng_chance(rng, 0.3) ? UAP_OBJECTIVE_SIMPLE : UAP_OBJECTIVE_FULL;
    in->schedule = (uap_schedule)uap_rng_range(rng, 0, UAP_SCHEDULE_COUNT - 1);
    in->micro_batches =
        (int32_t)(uap_rng_chance(rng, 0.15) ? 1 : uap_rng_range(rng, 2, 12));
    const int64_t n_layers = uap_rng_range(rng, range->min_layers, range->max_layers);
    if (!make_layers(m, range, (int32_t)n_layers) || !make_edges(m)) {
        return false;
    }
    if (n_layers >= 3 && uap_rng_chance(rng, 0.34) && !make_live(m)) {
        return false;
    }
    if (n_layers >= 2 && uap_rng_chance(rng, 0.12) && !make_tie(m)) {
        return false;
    }
    choose_inflight(m);
    choose_caps(m);
    return true;
}

uap_status uap_generate_random(uint64_t seed, const uap_generate_range *range,
                               uap_instance **out, uap_err *err)
{
    maker m = {.in = uap_instance_new()};
    if (m.in == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a generated instance");
    }
    uap_rng_seed(&m.rng, seed);
    if (!make_random(&m, range)) {
        uap_instance_free(m.in);
        return UAP_FAIL(err, NO_MEMORY, "no memory for a generated instance");
    }
    *out = m.in;
    return UAP_OK;
}
