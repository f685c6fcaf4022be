/* How activations lie on a stage's devices, and what it takes to lay them out otherwise or
 * to send them on (docs/cost-model.md, section 8). */
#include "search/cost_internal.h"

#include "common/numbers.h"

static const cost_move nothing = {0.0, 0.0};

/* One collective on a buffer of `share` times the whole tensor. */
static cost_move collective(const uap_dim_scope *scope, uap_collective_kind kind,
                            int64_t size, int64_t stride, double share)
{
    if (size <= 1) {
        return nothing;
    }
    const uap_link *link = uap_scope_link(scope, kind, (int32_t)size, stride);
    return (cost_move){link->latency_s, share / link->bandwidth_Bps};
}

static cost_move move_sum(cost_move a, cost_move b)
{
    return (cost_move){a.fixed + b.fixed, a.per_byte + b.per_byte};
}

static int64_t common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y != 0) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

static cost_move move_between(const uap_dim_scope *scope, cost_layout s, cost_layout t)
{
    const double d = (double)scope->stage_devices;
    if (s.tp == t.tp && s.sp == t.sp) {
        return nothing;
    }
    if (!s.sp && s.tp % t.tp == 0) {
        return nothing; /* every device cuts its part out */
    }
    if (!t.sp && t.tp % s.tp == 0) {
        const double share = (double)t.tp / d;
        return s.sp ? collective(scope, UAP_ALL_GATHER, t.tp, 1, share)
                    : collective(scope, UAP_ALL_GATHER, t.tp / s.tp, s.tp, share);
    }
    const cost_move exchange =
        collective(scope, UAP_ALL_TO_ALL, common_multiple(s.tp, t.tp), 1, 1.0 / d);
    if (t.sp) {
        return exchange;
    }
    return move_sum(exchange,
                    collective(scope, UAP_ALL_GATHER, t.tp, 1, (double)t.tp / d));
}

/* To the same device of the next stage, `share` of the tensor from each. */
static cost_move send(const uap_cost *cost, const uap_dim_scope *scope, double share)
{
    const int64_t node = uap_cluster_node_size(scope->cluster);
    const uap_span span = scope->devices <= node ? UAP_SPAN_NODE : UAP_SPAN_CLUSTER;
    const uap_link link = uap_cluster_p2p_link(scope->cluster, span,
                                               uap_min_i64(scope->stage_devices, node));
    return (cost_move){cost->is_paper ? 0.0 : link.latency_s, share / link.bandwidth_Bps};
}

static cost_cross cross_between(const uap_cost *cost, const uap_dim_scope *scope,
                                cost_layout s, cost_layout t)
{
    const double d = (double)scope->stage_devices;
    const double held = (s.sp ? 1.0 : (double)s.tp) / d;
    cost_cross cross;
    cross.whole = move_sum(send(cost, scope, held), move_between(scope, s, t));
    cross.sliced = cross.whole;
    if (!s.sp && s.tp > 1) {
        const cost_layout slices = {.tp = s.tp, .sp = true};
        cross.sliced =
            move_sum(send(cost, scope, 1.0 / d), move_between(scope, slices, t));
    }
    return cross;
}

static bool is_same_layout(const uap_strategy *a, const uap_strategy *b)
{
    return a->tp == b->tp && a->sp == b->sp;
}

uap_status cost_layouts_fill(uap_cost *cost, cost_stage *stage, uap_err *err)
{
    int32_t n = 0;
    for (int32_t i = 0; i < stage->n; i++) {
        n += i == 0 || !is_same_layout(&stage->strategy[i], &stage->strategy[i - 1]);
    }
    const size_t pairs = (size_t)n * (size_t)n;
    stage->layout = uap_arena_alloc(cost->arena, (size_t)n, sizeof *stage->layout);
    stage->move = uap_arena_alloc(cost->arena, pairs, sizeof *stage->move);
    stage->cross = uap_arena_alloc(cost->arena, pairs, sizeof *stage->cross);
    if (stage->layout == NULL || stage->move == NULL || stage->cross == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d layouts", n);
    }
    for (int32_t i = 0; i < stage->n; i++) {
        const uap_strategy *strategy = &stage->strategy[i];
        if (i == 0 || !is_same_layout(strategy, strategy - 1)) {
            stage->layout[stage->n_layouts++] =
                (cost_layout){.tp = strategy->tp, .sp = strategy->sp};
        }
    }
    for (int32_t s = 0; s < n; s++) {
        for (int32_t t = 0; t < n; t++) {
            const size_t at = (size_t)s * (size_t)n + (size_t)t;
            stage->move[at] =
                move_between(&stage->scope, stage->layout[s], stage->layout[t]);
            stage->cross[at] =
                cross_between(cost, &stage->scope, stage->layout[s], stage->layout[t]);
        }
    }
    return UAP_OK;
}
