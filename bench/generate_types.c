/* Instances of mixed clusters: small random ones, and clusters as one has them. */
#include "bench/generate.h"

#include "bench/generate_build.h"
#include "bench/rng.h"
#include "common/numbers.h"
#include "search/objective.h"

#include <stdlib.h>

#define MAX_TYPES  64
#define MAX_GROUPS 8

/* ---- Small random ones -------------------------------------------------------------- */

static bool draw_types(uap_instance *in, uap_rng *rng)
{
    int64_t most = 1;
    for (int32_t i = 0; i < in->pp; i++) {
        most = uap_max_i64(most, in->cap[i]);
    }
    in->n_groups = (int32_t)uap_rng_range(rng, 1, 3);
    in->n_types = (int32_t)uap_rng_range(rng, 2, 4);
    in->type = uap_arena_alloc(in->arena, (size_t)in->n_types, sizeof *in->type);
    in->group_devices = uap_build_i64(in, in->n_groups);
    if (in->type == NULL || in->group_devices == NULL) {
        return false;
    }
    const bool capped = uap_rng_chance(rng, 0.5);
    for (int32_t t = 0; t < in->n_types; t++) {
        const double share = capped ? uap_rng_real(rng, 0.5, 1.3) : 2.0;
        in->type[t] = (uap_stage_type){
            .group = (int32_t)uap_rng_range(rng, 0, in->n_groups - 1),
            .devices = uap_rng_range(rng, 1, 4),
            .cap = (int64_t)(share * (double)most),
        };
    }
    /* Devices for some stages, often for these alone, now and then for fewer. */
    const bool scarce = uap_rng_chance(rng, 0.08);
    for (int32_t i = scarce ? 1 : 0; i < in->pp; i++) {
        const uap_stage_type *type = &in->type[uap_rng_range(rng, 0, in->n_types - 1)];
        in->group_devices[type->group] += type->devices;
    }
    for (int32_t g = 0; g < in->n_groups && !scarce; g++) {
        in->group_devices[g] += uap_rng_chance(rng, 0.4) ? uap_rng_range(rng, 0, 4) : 0;
    }
    return true;
}

static bool draw_row_types(uap_instance *in, uap_rng *rng)
{
    double speed[MAX_TYPES];
    for (int32_t t = 0; t < in->n_types; t++) {
        speed[t] = uap_rng_real(rng, 0.5, 2.0);
    }
    for (int32_t i = 0; i < in->n_tables; i++) {
        uap_layer_table *table = &in->table[i];
        table->type = uap_build_i32(in, table->n);
        if (table->type == NULL) {
            return false;
        }
        const int64_t shift = uap_rng_range(rng, 0, in->n_types - 1);
        for (int32_t k = 0; k < table->n; k++) {
            const int32_t t = (int32_t)((k + shift) % in->n_types);
            table->type[k] = t;
            table->fwd[k] = (int64_t)((double)table->fwd[k] * speed[t]);
            table->bwd[k] = (int64_t)((double)table->bwd[k] * speed[t]);
        }
    }
    return true;
}

static bool draw_starts(uap_instance *in, uap_rng *rng)
{
    if (uap_rng_chance(rng, 0.5)) {
        return true;
    }
    const int64_t n = (int64_t)in->n_types * in->n_layers;
    in->start_act = uap_build_i64(in, n);
    for (int64_t i = 0; in->start_act != NULL && i < n; i++) {
        const double most = (double)in->cap[0] / (4.0 * (double)in->inflight[0]);
        in->start_act[i] =
            uap_rng_chance(rng, 0.4) ? (int64_t)uap_rng_real(rng, 0, most) : 0;
    }
    return in->start_act != NULL;
}

uap_status uap_generate_typed(uint64_t seed, const uap_generate_range *range,
                              uap_instance **out, uap_err *err)
{
    uap_rng rng;
    uap_instance *in = NULL;
    uap_status rc = UAP_OK;
    *out = NULL;
    UAP_TRY(uap_generate_random(seed, range, &in, err));
    uap_rng_seed(&rng, seed + 77);
    in->n_live = 0;
    if (!draw_types(in, &rng) || !draw_row_types(in, &rng) || !draw_starts(in, &rng)) {
        uap_instance_free(in);
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for a generated instance");
        goto done;
    }
    *out = in;
done:
    return rc;
}

/* ---- Clusters ----------------------------------------------------------------------- */

/* One row of a stage type: of its devices, tp work on one tensor. */
typedef struct way {
    int32_t type;
    int32_t tp_log; /* tp = 2^tp_log */
    bool fsdp, recompute;
} way;

#define MAX_WAYS 512

typedef struct cluster {
    const uap_generate_cluster *what;
    uap_instance *in;
    uap_rng rng;
    double speed[MAX_GROUPS];  /* layers a second on one device, relative */
    double memory[MAX_GROUPS]; /* relative */
    double link[MAX_GROUPS][MAX_GROUPS];
    int32_t tp_logs; /* different TP degrees */
    way way[MAX_WAYS];
    int32_t n_ways;
} cluster;

#define LAYER_S     0.02  /* forward of one micro-batch of one block on one device */
#define STATE_BYTES 6e9   /* of one block */
#define ACT_BYTES   1.2e9 /* of one block and micro-batch */

static bool make_groups(cluster *c)
{
    const uap_generate_cluster *what = c->what;
    uap_instance *in = c->in;
    in->n_groups = what->n_groups;
    in->group_devices = uap_build_i64(in, in->n_groups);
    in->type = uap_arena_alloc(in->arena, MAX_TYPES, sizeof *in->type);
    if (in->group_devices == NULL || in->type == NULL) {
        return false;
    }
    for (int32_t g = 0; g < in->n_groups; g++) {
        c->speed[g] = g == 0 ? 1.0 : uap_rng_real(&c->rng, 0.25, 0.9);
        c->memory[g] = g == 0 ? 1.0 : uap_rng_real(&c->rng, 0.4, 1.0);
        in->group_devices[g] = what->group_devices *
                               (g == 0 ? 1 : (int64_t)1 << uap_rng_range(&c->rng, 0, 2));
        for (int32_t h = 0; h <= g; h++) {
            c->link[g][h] = c->link[h][g] = g == h ? uap_rng_real(&c->rng, 0.01, 0.03)
                                                   : uap_rng_real(&c->rng, 0.05, 0.3);
        }
        for (int64_t d = 1; d <= what->max_size && d <= in->group_devices[g]; d *= 2) {
            if (in->n_types == MAX_TYPES) {
                return true;
            }
            in->type[in->n_types++] = (uap_stage_type){.group = g, .devices = d};
        }
    }
    return true;
}

static void list_ways(cluster *c)
{
    for (int32_t t = 0; t < c->in->n_types; t++) {
        const int64_t d = c->in->type[t].devices;
        for (int32_t log = 0; (int64_t)1 << log <= d && log < 4; log++) {
            for (int32_t kind = 0; kind < 4; kind++) {
                const bool fsdp = kind % 2 != 0;
                if ((fsdp && (int64_t)1 << log == d) || c->n_ways == MAX_WAYS) {
                    continue;
                }
                c->way[c->n_ways++] = (way){t, log, fsdp, kind / 2 != 0};
                c->tp_logs = log + 1 > c->tp_logs ? log + 1 : c->tp_logs;
            }
        }
    }
}

static int64_t ticks(double seconds)
{
    return (int64_t)(seconds * (double)UAP_TICKS_PER_SECOND);
}

/* weight: of the layer's work; size: of its parameters; both relative to a block's. */
static bool fill_layer(cluster *c, uap_layer_table *table, double weight, double size)
{
    if (!uap_build_table(c->in, table, c->n_ways)) {
        return false;
    }
    table->type = uap_build_i32(c->in, c->n_ways);
    for (int32_t k = 0; table->type != NULL && k < c->n_ways; k++) {
        const way *w = &c->way[k];
        const uap_stage_type *type = &c->in->type[w->type];
        const double d = (double)type->devices;
        const double tp = (double)((int64_t)1 << w->tp_log);
        const double own = c->link[type->group][type->group];
        const double base = LAYER_S * weight / (c->speed[type->group] * d);
        const double talk = LAYER_S * own * (tp - 1) / tp * (1 + 0.3 * w->tp_log);
        const double gather = w->fsdp ? LAYER_S * own * 3 * size / tp * (1 - tp / d) : 0;
        table->type[k] = w->type;
        table->fwd[k] = ticks(base + talk + gather);
        table->bwd[k] = ticks((w->recompute ? 3 : 2) * base + 2 * talk + 2 * gather);
        table->grad[k] =
            ticks(LAYER_S * size / tp * (w->fsdp ? 0.1 : 0.2 + own * 20 * (1 - tp / d)));
        table->state[k] = (int64_t)(STATE_BYTES * size / (w->fsdp ? d : tp));
        table->act[k] = (int64_t)(ACT_BYTES * weight / d * (w->recompute ? 0.1 : 1));
        table->work[k] = (int64_t)(ACT_BYTES * weight / d * 0.5);
    }
    return table->type != NULL;
}

/* Classes are types with TP degrees. */
static bool fill_edge(cluster *c, uap_edge_table *edge)
{
    const int32_t n = c->in->n_types * c->tp_logs;
    const int32_t rows[2] = {c->n_ways, c->n_ways};
    const int32_t classes[2] = {n, n};
    if (!uap_build_edge(c->in, edge, rows, classes)) {
        return false;
    }
    for (int32_t k = 0; k < c->n_ways; k++) {
        edge->from_class[k] = edge->to_class[k] =
            c->way[k].type * c->tp_logs + c->way[k].tp_log;
    }
    for (int32_t a = 0; a < n; a++) {
        for (int32_t b = 0; b < n; b++) {
            const uap_stage_type *from = &c->in->type[a / c->tp_logs];
            const uap_stage_type *to = &c->in->type[b / c->tp_logs];
            const int64_t narrow = uap_min_i64(from->devices, to->devices);
            const double link = c->link[from->group][to->group];
            const int32_t apart = a % c->tp_logs - b % c->tp_logs;
            edge->x_fwd[a * n + b] = edge->x_bwd[a * n + b] =
                ticks(LAYER_S * link * (1.0 / (double)narrow + 0.1 * abs(apart)));
            edge->r_fwd[a * n + b] = edge->r_bwd[a * n + b] =
                ticks(LAYER_S * link * 0.5 * abs(apart));
        }
    }
    return true;
}

static bool make_layers(cluster *c)
{
    uap_instance *in = c->in;
    const int32_t n = c->what->n_layers;
    const int32_t blocks = c->what->varied ? n - 2 : 1;
    if (!uap_build_shape(in, n, blocks + 2, c->what->pp) ||
        !fill_layer(c, &in->table[0], 0.3, 1.5)) {
        return false;
    }
    for (int32_t t = 0; t < blocks; t++) {
        const double weight = c->what->varied ? uap_rng_real(&c->rng, 0.6, 1.6) : 1.0;
        if (!fill_layer(c, &in->table[1 + t], weight, weight)) {
            return false;
        }
    }
    if (!fill_layer(c, &in->table[blocks + 1], 0.8, 1.5)) {
        return false;
    }
    for (int32_t u = 0; u < n; u++) {
        const int32_t block = c->what->varied ? u : 1;
        in->layer_table[u] = u == 0 ? 0 : u + 1 == n ? blocks + 1 : block;
    }
    in->n_edges = 1;
    return fill_edge(c, &in->edge[0]); /* the same between all layers */
}

static void set_memory(cluster *c)
{
    uap_instance *in = c->in;
    const double even = (double)c->what->n_layers / c->what->pp;
    double devices = 0;
    for (int32_t g = 0; g < in->n_groups; g++) {
        devices += (double)in->group_devices[g];
    }
    const double per_stage = devices / c->what->pp;
    const double need =
        even * (STATE_BYTES / uap_min_f64(8.0, per_stage) +
                ACT_BYTES / per_stage * (double)uap_min_i64(in->micro_batches, in->pp));
    for (int32_t t = 0; t < in->n_types; t++) {
        in->type[t].cap =
            (int64_t)(c->what->memory * need * c->memory[in->type[t].group]);
    }
    for (int32_t i = 0; i < in->pp; i++) {
        in->cap[i] = (int64_t)(10 * c->what->memory * need);
        in->inflight[i] =
            uap_schedule_inflight(in->schedule, in->pp, i, in->micro_batches);
    }
}

uap_status uap_generate_mixed(const uap_generate_cluster *what, uap_instance **out,
                              uap_err *err)
{
    cluster c = {.what = what};
    *out = NULL;
    if (what->n_groups < 1 || what->n_groups > MAX_GROUPS || what->n_layers < 3 ||
        what->pp < 1 || what->pp > what->n_layers || what->group_devices < 1) {
        return UAP_FAIL(err, BAD_USAGE, "a cluster of %d groups, %d layers, pp %d",
                        what->n_groups, what->n_layers, what->pp);
    }
    c.in = uap_instance_new();
    if (c.in == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a generated instance");
    }
    uap_rng_seed(&c.rng, what->seed);
    c.in->objective = UAP_OBJECTIVE_FULL;
    c.in->schedule = what->schedule;
    c.in->micro_batches = what->micro_batches;
    bool ok = make_groups(&c);
    if (ok) {
        list_ways(&c);
        ok = make_layers(&c);
    }
    if (!ok) {
        uap_instance_free(c.in);
        return UAP_FAIL(err, NO_MEMORY, "no memory for a generated instance");
    }
    set_memory(&c);
    *out = c.in;
    return UAP_OK;
}
