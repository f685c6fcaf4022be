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

static int64_t common_divisor(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y != 0) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return x;
}

static int64_t common_multiple(int64_t a, int64_t b)
{
    return a / common_divisor(a, b) * b;
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

cost_move cost_gather(const cost_stage *stage, cost_layout layout)
{
    const cost_layout slices = {.tp = layout.tp, .sp = true};
    return layout.tp > 1 ? move_between(&stage->scope, slices, layout) : nothing;
}

/* The link for the devices of one stage that send to, or receive from, the other. */
static uap_link link_of(const uap_cost *cost, const cost_stage *stage,
                        const cost_stage *other)
{
    const uap_cluster *cluster = stage->scope.cluster;
    const int64_t node = uap_cluster_node_size(cluster);
    const int64_t pairs = uap_min_i64(stage->scope.stage_devices, node);
    if (stage->group != other->group) {
        return uap_cluster_between_link(cost->joined, stage->group, other->group, pairs);
    }
    const bool is_one_node = stage->scope.devices <= node;
    return uap_cluster_p2p_link(cluster, is_one_node ? UAP_SPAN_NODE : UAP_SPAN_CLUSTER,
                                pairs);
}

cost_move cost_send(uap_cost *cost, const cost_stage *from, const cost_stage *to,
                    double times)
{
    const uap_link out = link_of(cost, from, to), in = link_of(cost, to, from);
    const double sent = times / (double)from->scope.stage_devices / out.bandwidth_Bps;
    const double received = times / (double)to->scope.stage_devices / in.bandwidth_Bps;
    const double latency = uap_max_f64(out.latency_s, in.latency_s);
    if (from->group != to->group && (out.assumed || in.assumed)) {
        cost_warn(cost, &cost->group[from->group], COST_WARN_BETWEEN,
                  "its links to other node groups are not in the profile: the slower "
                  "group's are taken (docs/clusters.md)");
    }
    return (cost_move){cost->is_paper ? 0.0 : latency, uap_max_f64(sent, received)};
}

/* From layout s of one stage to layout t of the next. */
static cost_cross cross_between(uap_cost *cost, const cost_stage *from, cost_layout s,
                                const cost_stage *to, cost_layout t)
{
    const uap_dim_scope *scope = &to->scope;
    const int64_t d = scope->stage_devices;
    /* As it lies, or as much of it as divides the devices there: the senders cut the rest. */
    const cost_layout arrives = {.tp = (int32_t)common_divisor(s.tp, d), .sp = s.sp};
    const double held = s.sp ? 1.0 : (double)arrives.tp;
    cost_cross cross;
    cross.way[0] =
        move_sum(cost_send(cost, from, to, held), move_between(scope, arrives, t));
    cross.way[1] = cross.way[2] = cross.way[0];
    if (!s.sp && arrives.tp > 1) {
        const cost_layout slices = {.tp = arrives.tp, .sp = true};
        cross.way[1] =
            move_sum(cost_send(cost, from, to, 1.0), move_between(scope, slices, t));
    }
    if (from->scope.stage_devices != d) {
        /* No device has a partner of its own: the slices may be those that t wants. */
        const cost_layout slices = {.tp = t.tp, .sp = true};
        cross.way[2] =
            move_sum(cost_send(cost, from, to, 1.0), move_between(scope, slices, t));
    }
    return cross;
}

const cost_cross *cost_boundary_of(uap_cost *cost, cost_stage *from, const cost_stage *to)
{
    for (const cost_boundary *known = from->boundary; known != NULL;
         known = known->next) {
        if (known->to == to) {
            return known->cross;
        }
    }
    const size_t pairs = (size_t)from->n_layouts * (size_t)to->n_layouts;
    cost_boundary *boundary = uap_arena_alloc(cost->arena, 1, sizeof *boundary);
    cost_cross *cross = uap_arena_alloc(cost->arena, pairs, sizeof *cross);
    if (boundary == NULL || cross == NULL) {
        return NULL;
    }
    for (int32_t s = 0; s < from->n_layouts; s++) {
        for (int32_t t = 0; t < to->n_layouts; t++) {
            cross[s * to->n_layouts + t] =
                cross_between(cost, from, from->layout[s], to, to->layout[t]);
        }
    }
    *boundary = (cost_boundary){.next = from->boundary, .to = to, .cross = cross};
    from->boundary = boundary;
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
    if (stage->layout == NULL || stage->move == NULL) {
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
        }
    }
    return UAP_OK;
}
