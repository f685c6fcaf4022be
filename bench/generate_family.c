/* Large chains that are hard to solve: transformer-like ones, whose strategies trade time
 * for memory as TP, FSDP, recompute and SP do, and unlike layers with dense resharding. */
#include "bench/generate.h"

#include "bench/generate_build.h"
#include "bench/rng.h"
#include "common/numbers.h"
#include "search/objective.h"

#include <math.h>

#define TICKS_PER_US (UAP_TICKS_PER_SECOND / 1000000)
#define MEGABYTE     1000000LL

const uap_generate_large uap_generate_own[UAP_GENERATE_OWN] = {
    {UAP_FAMILY_VARIED, UAP_OBJECTIVE_FULL, UAP_SCHEDULE_1F1B, 64, 16, 8, 32, 0.35, true,
     7001},
    {UAP_FAMILY_RANDOM, UAP_OBJECTIVE_FULL, UAP_SCHEDULE_1F1B, 48, 12, 4, 16, 0.40, true,
     7002},
    {UAP_FAMILY_RANDOM, UAP_OBJECTIVE_FULL, UAP_SCHEDULE_1F1B, 56, 14, 8, 24, 0.30, true,
     7003},
};

const char *uap_family_name(uap_family family)
{
    static const char *const name[UAP_FAMILY_COUNT] = {"uniform", "varied", "random"};
    return name[family];
}

typedef struct maker {
    uap_rng rng;
    uap_instance *in;
    const uap_generate_large *what;
} maker;

/* Strategy k of a transformer layer: tp, then fsdp, recompute and SP as k grows. */
typedef struct shape {
    int32_t tp, fsdp;
    bool recompute, sp;
} shape;

static shape shape_of(int32_t k)
{
    const shape s = {.tp = 1 << (k % 4),
                     .fsdp = 1 << (k / 8 % 4),
                     .recompute = (k / 4 & 1) != 0,
                     .sp = (k / 32 & 1) != 0};
    return s;
}

/* What a layer is, relative to a plain block: how much it computes and holds, and how much
 * it communicates for that. */
typedef struct layer_kind {
    double width, talk;
    bool block; /* else embedding or head */
} layer_kind;

/* A row of times (us) and memory (MB). TP and FSDP buy memory with time, recompute buys
 * activations with a second forward. The simple objective has one time and one memory. */
static void fill_row(maker *m, uap_layer_table *t, int32_t k, const layer_kind *kind)
{
    const shape s = shape_of(k);
    const bool simple = m->what->objective == UAP_OBJECTIVE_SIMPLE;
    const double width = kind->width;
    const double talk = kind->talk;
    const double compute = (kind->block ? 330.0 : 120.0) * width;
    const double tp_us = 58.0 * talk * (1.0 - 1.0 / s.tp) * (s.sp ? 0.95 : 1.0);
    const double fsdp_us = 70.0 * talk * width * (1.0 - 1.0 / s.fsdp) / s.tp;
    const double fwd = compute + tp_us + fsdp_us;
    const double bwd = fwd + compute + fsdp_us + (s.recompute ? fwd : 0.0);
    const double state = (kind->block ? 5200.0 : 8300.0) * width / (s.tp * s.fsdp);
    const double whole = s.recompute ? 90.0 : 620.0;
    const double act = whole * width / (s.sp ? s.tp : 1.0 / (0.4 + 0.6 / s.tp));
    const double jitter = uap_rng_real(&m->rng, 0.98, 1.02);
    const int64_t f = (int64_t)(fwd * jitter * TICKS_PER_US);
    const int64_t b = (int64_t)(bwd * jitter * TICKS_PER_US);
    t->fwd[k] = simple ? f + b : f;
    t->bwd[k] = simple ? 0 : b;
    t->state[k] = (int64_t)((state + (simple ? act : 0.0)) * MEGABYTE);
    if (!simple) {
        t->act[k] = (int64_t)(act * MEGABYTE);
        t->grad[k] = (int64_t)(260.0 * width / s.tp / s.fsdp * TICKS_PER_US);
        t->work[k] = (int64_t)((s.recompute ? 700.0 : 80.0) * width / s.tp * MEGABYTE);
    }
}

/* Unlike layers: what is fast needs memory, with much noise. */
static void fill_row_random(maker *m, uap_layer_table *t, int32_t k, double width)
{
    uap_rng *rng = &m->rng;
    const bool simple = m->what->objective == UAP_OBJECTIVE_SIMPLE;
    const double us = uap_rng_real(rng, 250.0, 2000.0) * width;
    const double mb = 1.1e6 / us * uap_rng_real(rng, 0.4, 1.6) * width;
    const double forward = simple ? 1.0 : uap_rng_real(rng, 0.25, 0.36);
    const double held = simple ? 0.0 : uap_rng_real(rng, 0.05, 0.2);
    t->fwd[k] = (int64_t)(us * forward * TICKS_PER_US);
    t->bwd[k] = simple ? 0 : (int64_t)(us * (1.0 - forward) * TICKS_PER_US);
    t->state[k] = (int64_t)(mb * (1.0 - held) * MEGABYTE);
    t->act[k] = (int64_t)(mb * held * MEGABYTE);
    if (!simple) {
        t->grad[k] = (int64_t)(us * uap_rng_real(rng, 0.0, 1.0) * TICKS_PER_US);
        t->work[k] = (int64_t)(mb * uap_rng_real(rng, 0.0, 0.5) * MEGABYTE);
    }
}

static bool make_layers(maker *m)
{
    const uap_generate_large *what = m->what;
    const int32_t n = what->n_layers;
    const bool uniform = what->family == UAP_FAMILY_UNIFORM;
    const int32_t n_tables = uniform ? (int32_t)uap_min_i64(3, n) : n;
    if (!uap_build_shape(m->in, n, n_tables, what->pp)) {
        return false;
    }
    for (int32_t t = 0; t < n_tables; t++) {
        const layer_kind kind = {
            .width = uniform ? 1.0 : uap_rng_real(&m->rng, 0.6, 1.5),
            .talk = uniform ? 1.0 : uap_rng_real(&m->rng, 0.6, 1.6),
            .block = t > 0 && t < n_tables - 1,
        };
        if (!uap_build_table(m->in, &m->in->table[t], what->n_strategies)) {
            return false;
        }
        for (int32_t k = 0; k < what->n_strategies; k++) {
            if (what->family == UAP_FAMILY_RANDOM) {
                fill_row_random(m, &m->in->table[t], k, kind.width);
            } else {
                fill_row(m, &m->in->table[t], k, &kind);
            }
        }
    }
    for (int32_t u = 0; u < n; u++) {
        m->in->layer_table[u] = !uniform ? u : u == 0 ? 0 : u == n - 1 ? n_tables - 1 : 1;
    }
    return true;
}

/* Layouts change with (tp, fsdp); recompute does not matter to neighbours. */
static void fill_edge(maker *m, uap_edge_table *e)
{
    uap_rng *rng = &m->rng;
    const bool random = m->what->family == UAP_FAMILY_RANDOM;
    const bool simple = m->what->objective == UAP_OBJECTIVE_SIMPLE;
    const int64_t both = simple ? 2 : 1;
    for (int32_t k = 0; k < e->n_from; k++) {
        e->from_class[k] = k;
        for (int32_t l = 0; l < e->n_to; l++) {
            const shape a = shape_of(k);
            const shape b = shape_of(l);
            const int32_t at = k * e->n_to + l;
            const bool same = a.tp == b.tp && a.fsdp == b.fsdp;
            const int64_t stay = random ? (k == l ? 0 : uap_rng_range(rng, 25, 175))
                                        : (same ? 0 : 15 + 5 * (a.tp + b.tp) / 2);
            const int64_t cross =
                random ? uap_rng_range(rng, 50, 160) : 40 + (same ? 0 : 12);
            e->r_fwd[at] = stay * TICKS_PER_US * both;
            e->x_fwd[at] = cross * TICKS_PER_US * both;
            e->r_bwd[at] = simple ? 0 : e->r_fwd[at];
            e->x_bwd[at] = simple ? 0 : e->x_fwd[at];
        }
    }
    for (int32_t l = 0; l < e->n_to; l++) {
        e->to_class[l] = l;
    }
}

static bool make_edges(maker *m)
{
    uap_instance *in = m->in;
    const bool shared = m->what->family != UAP_FAMILY_RANDOM;
    const int32_t s = m->what->n_strategies;
    const int32_t sizes[2] = {s, s};
    for (int32_t u = 0; u + 1 < in->n_layers; u++) {
        if (shared && u > 0) {
            in->layer_edge[u] = 0;
            continue;
        }
        in->layer_edge[u] = in->n_edges;
        if (!uap_build_edge(in, &in->edge[in->n_edges], sizes, sizes)) {
            return false;
        }
        fill_edge(m, &in->edge[in->n_edges++]);
    }
    return true;
}

/* Caps so that at tightness 0 the most frugal plan just fits a balanced cut, at 1 the
 * hungriest one does. */
static void choose_caps(maker *m)
{
    uap_instance *in = m->in;
    for (int32_t i = 0; i < in->pp; i++) {
        const int64_t held = in->inflight[i];
        double least = 0.0;
        double most = 0.0;
        for (int32_t u = 0; u < in->n_layers; u++) {
            const uap_layer_table *t = uap_table_of(in, u);
            double low = HUGE_VAL;
            double high = 0.0;
            for (int32_t k = 0; k < t->n; k++) {
                const double bytes = (double)(t->state[k] + held * t->act[k]);
                low = bytes < low ? bytes : low;
                high = bytes > high ? bytes : high;
            }
            least += low / in->pp;
            most += high / in->pp;
        }
        const double jitter =
            m->what->unequal_caps ? uap_rng_real(&m->rng, 0.85, 1.15) : 1.0;
        const double cap = 1.15 * least + m->what->tightness * (most - least);
        in->cap[i] = (int64_t)(cap * jitter) / MEGABYTE * MEGABYTE;
    }
}

static bool make_family(maker *m)
{
    uap_instance *in = m->in;
    in->objective = m->what->objective;
    in->schedule = m->what->schedule;
    in->micro_batches = m->what->micro_batches;
    if (!make_layers(m) || !make_edges(m)) {
        return false;
    }
    for (int32_t i = 0; i < in->pp; i++) {
        in->inflight[i] =
            in->objective == UAP_OBJECTIVE_SIMPLE
                ? 1
                : uap_schedule_inflight(in->schedule, in->pp, i, in->micro_batches);
    }
    choose_caps(m);
    return true;
}

uap_status uap_generate_family(const uap_generate_large *what, uap_instance **out,
                               uap_err *err)
{
    if (what->n_layers < 1 || what->n_strategies < 1 || what->pp < 1 ||
        what->pp > what->n_layers || what->micro_batches < 1) {
        return UAP_FAIL(err, BAD_USAGE, "no instance has %d layers, %d strategies, pp %d",
                        what->n_layers, what->n_strategies, what->pp);
    }
    maker m = {.in = uap_instance_new(), .what = what};
    if (m.in == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a generated instance");
    }
    uap_rng_seed(&m.rng, what->seed);
    if (!make_family(&m)) {
        uap_instance_free(m.in);
        return UAP_FAIL(err, NO_MEMORY, "no memory for a generated instance");
    }
    *out = m.in;
    return UAP_OK;
}
