/* Brute force, and the objective in its plainest form. Clarity before speed. */
#include "bench/brute.h"

#include <string.h>

#define MAX_L      UAP_BRUTE_MAX_LAYERS
#define MAX_GROUPS UAP_BRUTE_MAX_GROUPS

/* f_i, b_i, g_i of every stage and u_j, v_j of every boundary, as docs/cost-model.md
 * names them. */
typedef struct sums {
    int64_t f[MAX_L], b[MAX_L], g[MAX_L], u[MAX_L], v[MAX_L], memory[MAX_L];
} sums;

static int64_t larger(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int32_t type_of(const uap_instance *in, int32_t layer, int32_t k)
{
    const int32_t *type = in->table[in->layer_table[layer]].type;
    return type == NULL ? -1 : type[k];
}

static int64_t start_bytes(const uap_instance *in, int32_t type, int32_t layer)
{
    return in->start_act == NULL ? 0 : in->start_act[type * in->n_layers + layer];
}

static int64_t cap_of(const uap_instance *in, int32_t stage, int32_t type)
{
    return type < 0 ? in->cap[stage] : smaller(in->cap[stage], in->type[type].cap);
}

static void add_layers(const uap_instance *in, const int32_t *stage_of,
                       const int32_t *strategy, sums *s)
{
    int64_t work[MAX_L] = {0};
    for (int32_t layer = 0; layer < in->n_layers; layer++) {
        const uap_layer_table *t = &in->table[in->layer_table[layer]];
        const int32_t k = strategy[layer];
        const int32_t i = stage_of[layer];
        if (layer == 0 || stage_of[layer - 1] != i) {
            s->memory[i] +=
                in->inflight[i] * start_bytes(in, type_of(in, layer, k), layer);
        }
        s->f[i] += t->fwd[k];
        s->b[i] += t->bwd[k];
        s->g[i] += t->grad[k];
        s->memory[i] += t->state[k] + in->inflight[i] * t->act[k];
        work[i] = larger(work[i], t->work[k]);
    }
    for (int32_t i = 0; i < in->pp; i++) {
        s->memory[i] += work[i];
    }
}

static void add_edges(const uap_instance *in, const int32_t *stage_of,
                      const int32_t *strategy, sums *s)
{
    for (int32_t layer = 0; layer + 1 < in->n_layers; layer++) {
        const uap_edge_table *e = &in->edge[in->layer_edge[layer]];
        const int32_t row = e->from_class[strategy[layer]];
        const int32_t column = e->to_class[strategy[layer + 1]];
        const int32_t at = row * e->n_to + column;
        const int32_t i = stage_of[layer];
        if (stage_of[layer + 1] == i) {
            s->f[i] += e->r_fwd[at];
            s->b[i] += e->r_bwd[at];
        } else {
            s->u[i] += e->x_fwd[at];
            s->v[i] += e->x_bwd[at];
        }
    }
}

/* Layer by layer: who holds the tensor, who reads it, which boundaries it passes. */
static void add_live(const uap_instance *in, const uap_live_tensor *live,
                     const int32_t *stage_of, const int32_t *strategy, sums *s)
{
    const int32_t k = strategy[live->from];
    const int32_t last = live->consumer[live->n_consumers - 1];
    bool holds[MAX_L] = {false};
    for (int32_t layer = live->from + 1; layer <= last; layer++) {
        const int32_t i = stage_of[layer];
        holds[i] = true;
        if (stage_of[layer - 1] != i) {
            s->u[i - 1] += live->x_fwd[k];
            s->v[i - 1] += live->x_bwd[k];
        }
    }
    for (int32_t i = 0; i < in->pp; i++) {
        if (holds[i]) {
            s->memory[i] += in->inflight[i] * live->bytes[k];
        }
    }
    for (int32_t e = 0; e < live->n_consumers; e++) {
        const int32_t layer = live->consumer[e];
        const int32_t n = in->table[in->layer_table[layer]].n;
        s->f[stage_of[layer]] += live->r_fwd[e][k * n + strategy[layer]];
        s->b[stage_of[layer]] += live->r_bwd[e][k * n + strategy[layer]];
    }
}

/* All forwards have come through, then the backwards come back: stage i ends with the
 * slowest of what lies behind it, and does its gradient work. */
static int64_t value_gpipe(const uap_instance *in, const sums *s)
{
    const int64_t c = in->micro_batches;
    int64_t forwards = 0;
    int64_t slowest_forward = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        forwards += s->f[i] + s->u[i];
        slowest_forward = larger(slowest_forward, larger(s->f[i], s->u[i]));
    }
    forwards += (c - 1) * slowest_forward;
    int64_t end = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        int64_t backwards = 0;
        int64_t slowest_backward = 0;
        for (int32_t j = i; j < in->pp; j++) {
            backwards += s->b[j] + s->v[j];
            slowest_backward = larger(slowest_backward, larger(s->b[j], s->v[j]));
        }
        backwards += (c - 1) * slowest_backward;
        end = larger(end, forwards + backwards + s->g[i]);
    }
    return end;
}

/* How much later than the first the last micro-batch can leave stage i. */
static int64_t lag_behind_first(const uap_instance *in, const sums *s, int32_t i,
                                int64_t round_trip)
{
    const int64_t c = in->micro_batches;
    const int64_t k = smaller(in->inflight[i], c);
    int64_t lag = (c - 1) * s->f[i] + (c - k) * s->b[i];
    lag = larger(lag, (c - 1) * s->u[i]);
    for (int64_t turns = 1; turns * k <= c - 1; turns++) {
        const int64_t others = c - 1 - turns * k;
        lag = larger(lag, turns * round_trip + others * (s->f[i] + s->b[i]));
    }
    return lag;
}

static int64_t value_1f1b(const uap_instance *in, const sums *s)
{
    const int64_t c = in->micro_batches;
    int64_t round_trip[MAX_L + 1] = {0};
    int64_t value[MAX_L + 1] = {0};
    for (int32_t i = in->pp - 1; i >= 0; i--) {
        const int64_t p = s->f[i] + s->b[i];
        const int64_t o = s->u[i] + s->v[i];
        const int64_t k = smaller(in->inflight[i], c);
        round_trip[i] = p + o + round_trip[i + 1];
        const int64_t rt = round_trip[i];
        int64_t x = c * p;
        x = larger(x, rt + (c - 1) * p - (k - 1) * smaller(s->f[i], s->b[i]));
        if (c > k) {
            const int64_t last = 1 + (c - 1) / k;
            x = larger(x, 2 * rt + (c - 1 - k) * p);
            x = larger(x, last * rt + (c - 1 - (last - 1) * k) * p);
        }
        value[i] = larger(x, p + o + value[i + 1]);
        value[i] = larger(value[i], rt + (c - 1) * larger(s->u[i], s->v[i]));
    }
    /* Stage i starts behind the forwards before it and runs for value[i], or waits for the
     * last micro-batch, which is `late` behind the first, to come and go; then its g. */
    int64_t end = 0;
    int64_t start = 0;
    int64_t late = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        end = larger(end, start + larger(value[i], late + round_trip[i]) + s->g[i]);
        start += s->f[i] + s->u[i];
        late = larger(late, lag_behind_first(in, s, i, round_trip[i]));
    }
    return end;
}

static int64_t value_simple(const uap_instance *in, const sums *s)
{
    const int64_t c = in->micro_batches;
    int64_t total = 0;
    int64_t slowest = 0;
    int64_t once = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        const int64_t p = s->f[i] + s->b[i];
        const int64_t o = s->u[i] + s->v[i];
        total += p + o;
        slowest = larger(slowest, larger(p, o));
        once = larger(once, s->g[i]);
    }
    return total + (c - 1) * slowest + once;
}

static int64_t total_value(const uap_instance *in, const sums *s)
{
    if (in->objective == UAP_OBJECTIVE_SIMPLE) {
        return value_simple(in, s);
    }
    if (in->schedule == UAP_SCHEDULE_GPIPE) {
        return value_gpipe(in, s);
    }
    return value_1f1b(in, s);
}

static void cost_of(const uap_instance *in, const int32_t *first, const int32_t *strategy,
                    sums *s)
{
    int32_t stage_of[MAX_L];
    int32_t i = 0;
    for (int32_t layer = 0; layer < in->n_layers; layer++) {
        if (i + 1 < in->pp && first[i + 1] == layer) {
            i++;
        }
        stage_of[layer] = i;
    }
    memset(s, 0, sizeof *s);
    add_layers(in, stage_of, strategy, s);
    add_edges(in, stage_of, strategy, s);
    for (int32_t t = 0; t < in->n_live; t++) {
        add_live(in, &in->live[t], stage_of, strategy, s);
    }
}

void uap_brute_cost(const uap_instance *in, const uap_choice *choice, int64_t *value,
                    int64_t *memory)
{
    sums s;
    cost_of(in, choice->first, choice->strategy, &s);
    *value = total_value(in, &s);
    for (int32_t i = 0; i < in->pp; i++) {
        memory[i] = s.memory[i];
    }
}

bool uap_brute_fits(const uap_instance *in, const uap_choice *choice)
{
    int64_t value = 0;
    int64_t memory[MAX_L];
    int64_t used[MAX_GROUPS] = {0};
    uap_brute_cost(in, choice, &value, memory);
    for (int32_t i = 0; i < in->pp; i++) {
        const int32_t first = choice->first[i];
        const int32_t end = i + 1 < in->pp ? choice->first[i + 1] : in->n_layers;
        const int32_t type = type_of(in, first, choice->strategy[first]);
        for (int32_t u = first; u < end; u++) {
            if (type_of(in, u, choice->strategy[u]) != type) {
                return false;
            }
        }
        if (type >= 0) {
            used[in->type[type].group] += in->type[type].devices;
        }
        if (memory[i] > cap_of(in, i, type)) {
            return false;
        }
    }
    for (int32_t g = 0; g < in->n_groups; g++) {
        if (used[g] > in->group_devices[g]) {
            return false;
        }
    }
    return true;
}

typedef struct search {
    const uap_instance *in;
    bool limited; /* memory counts */
    int64_t best;
    int64_t visited;
    int32_t first[MAX_L], strategy[MAX_L];
    int32_t best_first[MAX_L], best_strategy[MAX_L];
} search;

/* Memory of the stage [first, end) as far as it is filled; more layers only add. */
static int64_t memory_so_far(const search *s, int32_t stage, int32_t end)
{
    const uap_instance *in = s->in;
    const int32_t first = s->first[stage];
    int64_t bytes = 0;
    int64_t work = 0;
    for (int32_t layer = first; layer < end; layer++) {
        const uap_layer_table *t = &in->table[in->layer_table[layer]];
        const int32_t k = s->strategy[layer];
        bytes += t->state[k] + in->inflight[stage] * t->act[k];
        work = larger(work, t->work[k]);
    }
    for (int32_t t = 0; t < in->n_live; t++) {
        const uap_live_tensor *live = &in->live[t];
        const int32_t last = live->consumer[live->n_consumers - 1];
        if (end > live->from + 1 && first <= last) {
            bytes += in->inflight[stage] * live->bytes[s->strategy[live->from]];
        }
    }
    const int32_t type = type_of(in, first, s->strategy[first]);
    return bytes + work + in->inflight[stage] * start_bytes(in, type, first);
}

/* Whether `layer`, the last of stage `stage` so far, is on the stage's type, and the groups
 * have devices for all stages so far. */
static bool types_hold(const search *s, int32_t stage, int32_t layer)
{
    const uap_instance *in = s->in;
    const int32_t own = type_of(in, layer, s->strategy[layer]);
    int64_t used = 0;
    if (own < 0) {
        return true;
    }
    for (int32_t i = 0; i <= stage; i++) {
        const int32_t type = type_of(in, s->first[i], s->strategy[s->first[i]]);
        if (in->type[type].group == in->type[own].group) {
            used += in->type[type].devices;
        }
    }
    return own == type_of(in, s->first[stage], s->strategy[s->first[stage]]) &&
           used <= in->group_devices[in->type[own].group];
}

static bool ties_kept(const search *s, int32_t layer)
{
    for (int32_t t = 0; t < s->in->n_ties; t++) {
        const uap_tie *tie = &s->in->tie[t];
        if (tie->b == layer &&
            tie->class_a[s->strategy[tie->a]] != tie->class_b[s->strategy[layer]]) {
            return false;
        }
    }
    return true;
}

static void judge(search *s)
{
    sums costs;
    cost_of(s->in, s->first, s->strategy, &costs);
    for (int32_t i = 0; s->limited && i < s->in->pp; i++) {
        const int32_t type = type_of(s->in, s->first[i], s->strategy[s->first[i]]);
        if (costs.memory[i] > cap_of(s->in, i, type)) {
            return;
        }
    }
    const int64_t value = total_value(s->in, &costs);
    if (value < s->best) {
        s->best = value;
        memcpy(s->best_first, s->first, sizeof s->first);
        memcpy(s->best_strategy, s->strategy, sizeof s->strategy);
    }
}

/* Places `layer` in `stage`. done: time of a micro-batch up to this stage's start; here:
 * time in this stage so far. A plan takes at least done + c * here under every schedule. */
static void place(search *s, int32_t layer, int32_t stage, int64_t done, int64_t here)
{
    const uap_instance *in = s->in;
    if (layer == in->n_layers) {
        if (stage == in->pp - 1) {
            judge(s);
        }
        return;
    }
    if (in->n_layers - layer < in->pp - 1 - stage) {
        return; /* fewer layers than stages to come */
    }
    const uap_layer_table *t = &in->table[in->layer_table[layer]];
    for (int32_t k = 0; k < t->n; k++) {
        s->strategy[layer] = k;
        if (!ties_kept(s, layer)) {
            continue;
        }
        for (int32_t cut = layer == 0 ? 1 : 0; cut < 2; cut++) {
            const int32_t to = layer == 0 ? 0 : stage + cut;
            if (to >= in->pp) {
                continue;
            }
            int64_t before = done;
            int64_t now = t->fwd[k] + t->bwd[k];
            if (to != stage) {
                before += here;
                s->first[to] = layer;
            } else {
                now += here;
            }
            s->visited++;
            const int64_t cap = cap_of(in, to, type_of(in, layer, k));
            if (!types_hold(s, to, layer) ||
                (s->limited && memory_so_far(s, to, layer + 1) > cap) ||
                before + in->micro_batches * now >= s->best) {
                continue;
            }
            place(s, layer + 1, to, before, now);
        }
    }
}

static void run(search *s, bool limited)
{
    s->limited = limited;
    s->best = INT64_MAX;
    s->first[0] = 0;
    place(s, 0, 0, 0, 0);
}

uap_status uap_brute_solve(const uap_instance *instance, uap_brute_result *result,
                           uap_err *err)
{
    if (instance->n_groups > MAX_GROUPS) {
        return UAP_FAIL(err, TOO_LARGE, "brute force takes at most %d groups, not %d",
                        MAX_GROUPS, instance->n_groups);
    }
    if (instance->n_layers > MAX_L) {
        return UAP_FAIL(err, TOO_LARGE, "brute force takes at most %d layers, not %d",
                        MAX_L, instance->n_layers);
    }
    search s = {.in = instance};
    memset(result, 0, sizeof *result);
    run(&s, false);
    result->unlimited = s.best;
    run(&s, true);
    result->feasible = s.best < INT64_MAX;
    result->value = s.best;
    result->visited = s.visited;
    memcpy(result->first, s.best_first, sizeof s.best_first);
    memcpy(result->strategy, s.best_strategy, sizeof s.best_strategy);
    return UAP_OK;
}
