/* How activations lie on a stage's devices, and what it takes to lay them out otherwise or
 * to send them on (docs/cost-model.md, section 8). */
#include "search/cost_internal.h"

#include "common/numbers.h"

static const cost_move nothing = {0.0, 0.0};

bool cost_has_pieces(const uap_cluster *cluster)
{
    bool found = false;
    for (int32_t i = 0; i < cluster->n_collectives; i++) {
        found = found || cluster->collective[i].pieces.n > 0;
    }
    for (int32_t i = 0; i < cluster->n_p2p; i++) {
        found = found || cluster->p2p[i].pieces.n > 0;
    }
    return found;
}

/* A tensor on its way between layouts. */
typedef struct journey {
    const uap_dim_scope *scope;
    double bytes; /* of the whole tensor */
} journey;

/* One collective on a buffer of `share` times the whole tensor. */
static cost_move collective(const journey *j, uap_collective_kind kind, int64_t size,
                            int64_t stride, double share)
{
    if (size <= 1) {
        return nothing;
    }
    const uap_link *link = uap_scope_link(j->scope, kind, (int32_t)size, stride);
    const uap_piece line = uap_link_line(link, share * j->bytes);
    return (cost_move){line.latency_s, share / line.bandwidth_Bps};
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

static cost_move move_between(const journey *j, cost_layout s, cost_layout t)
{
    const double d = (double)j->scope->stage_devices;
    if (s.tp == t.tp && s.sp == t.sp) {
        return nothing;
    }
    if (!s.sp && s.tp % t.tp == 0) {
        return nothing; /* every device cuts its part out */
    }
    if (!t.sp && t.tp % s.tp == 0) {
        const double share = (double)t.tp / d;
        return s.sp ? collective(j, UAP_ALL_GATHER, t.tp, 1, share)
                    : collective(j, UAP_ALL_GATHER, t.tp / s.tp, s.tp, share);
    }
    const cost_move exchange =
        collective(j, UAP_ALL_TO_ALL, common_multiple(s.tp, t.tp), 1, 1.0 / d);
    if (t.sp) {
        return exchange;
    }
    return move_sum(exchange, collective(j, UAP_ALL_GATHER, t.tp, 1, (double)t.tp / d));
}

cost_move cost_gather(const cost_stage *stage, cost_layout layout, double bytes)
{
    const journey all = {&stage->scope, bytes};
    const cost_layout slices = {.tp = layout.tp, .sp = true};
    return layout.tp > 1 ? move_between(&all, slices, layout) : nothing;
}

/* The line for messages of so many bytes from the devices of one stage that send to, or
 * receive from, the other. The paper's model knows one line for all. */
static uap_piece line_of(const uap_cost *cost, const cost_stage *stage,
                         const cost_stage *other, double bytes, bool *assumed)
{
    const uap_cluster *cluster = stage->scope.cluster;
    const int64_t node = uap_cluster_node_size(cluster);
    const int64_t pairs = uap_min_i64(stage->scope.stage_devices, node);
    const uap_span span = stage->scope.devices <= node ? UAP_SPAN_NODE : UAP_SPAN_CLUSTER;
    const bool is_between = stage->group != other->group;
    if (cost->is_paper && cost->has_pieces) {
        const uap_link link = is_between
                                  ? uap_cluster_between_link(cost->joined, stage->group,
                                                             other->group, pairs)
                                  : uap_cluster_p2p_link(cluster, span, pairs);
        *assumed = link.assumed;
        return (uap_piece){0.0, link.latency_s, link.bandwidth_Bps};
    }
    return is_between ? uap_cluster_between_line(cost->joined, stage->group, other->group,
                                                 pairs, bytes, assumed)
                      : uap_cluster_p2p_line(cluster, span, pairs, bytes, assumed);
}

cost_move cost_send(uap_cost *cost, const cost_stage *from, const cost_stage *to,
                    double times, double bytes)
{
    bool out_assumed = false, in_assumed = false;
    const double share_out = times / (double)from->scope.stage_devices;
    const double share_in = times / (double)to->scope.stage_devices;
    const uap_piece out = line_of(cost, from, to, share_out * bytes, &out_assumed);
    const uap_piece in = line_of(cost, to, from, share_in * bytes, &in_assumed);
    const double sent = share_out / out.bandwidth_Bps;
    const double received = share_in / in.bandwidth_Bps;
    const double latency = uap_max_f64(out.latency_s, in.latency_s);
    if (from->group != to->group && (out_assumed || in_assumed)) {
        cost_warn(cost, &cost->group[from->group], COST_WARN_BETWEEN,
                  "its links to other node groups are not in the profile: the slower "
                  "group's are taken (docs/clusters.md)");
    }
    return (cost_move){cost->is_paper ? 0.0 : latency, uap_max_f64(sent, received)};
}

static bool is_other_size(double a, double b)
{
    return a < b || a > b;
}

/* From layout s of one stage to layout t of the next. */
static cost_cross cross_between(uap_cost *cost, const cost_boundary *boundary,
                                const cost_stage *from, cost_layout s, cost_layout t)
{
    const cost_stage *to = boundary->to;
    const journey there = {&to->scope, boundary->bytes};
    const int64_t d = to->scope.stage_devices;
    /* As it lies, or as much of it as divides the devices there: the senders cut the rest. */
    const cost_layout arrives = {.tp = (int32_t)common_divisor(s.tp, d), .sp = s.sp};
    const double held = s.sp ? 1.0 : (double)arrives.tp;
    cost_cross cross;
    cross.way[0] = move_sum(cost_send(cost, from, to, held, boundary->bytes),
                            move_between(&there, arrives, t));
    cross.way[1] = cross.way[2] = cross.way[0];
    if (!s.sp && arrives.tp > 1) {
        const cost_layout slices = {.tp = arrives.tp, .sp = true};
        cross.way[1] = move_sum(cost_send(cost, from, to, 1.0, boundary->bytes),
                                move_between(&there, slices, t));
    }
    if (from->scope.stage_devices != d) {
        /* No device has a partner of its own: the slices may be those that t wants. */
        const cost_layout slices = {.tp = t.tp, .sp = true};
        cross.way[2] = move_sum(cost_send(cost, from, to, 1.0, boundary->bytes),
                                move_between(&there, slices, t));
    }
    return cross;
}

const cost_cross *cost_boundary_of(uap_cost *cost, cost_stage *from, const cost_stage *to,
                                   double bytes)
{
    const double key = cost->has_pieces ? bytes : 0.0;
    cost_boundary **at = &from->boundary;
    while (*at != NULL && ((*at)->to != to || is_other_size((*at)->bytes, key))) {
        at = &(*at)->next;
    }
    cost_boundary *boundary = *at;
    if (boundary != NULL) {
        /* To the front: the same is asked for many times in a row. */
        *at = boundary->next;
        boundary->next = from->boundary;
        from->boundary = boundary;
        return boundary->cross;
    }
    const size_t pairs = (size_t)from->n_layouts * (size_t)to->n_layouts;
    boundary = uap_arena_alloc(cost->arena, 1, sizeof *boundary);
    cost_cross *cross = uap_arena_alloc(cost->arena, pairs, sizeof *cross);
    if (boundary == NULL || cross == NULL) {
        return NULL;
    }
    *boundary =
        (cost_boundary){.next = from->boundary, .to = to, .bytes = key, .cross = cross};
    for (int32_t s = 0; s < from->n_layouts; s++) {
        for (int32_t t = 0; t < to->n_layouts; t++) {
            cross[s * to->n_layouts + t] =
                cross_between(cost, boundary, from, from->layout[s], to->layout[t]);
        }
    }
    from->boundary = boundary;
    return cross;
}

const cost_move *cost_moves_of(uap_cost *cost, cost_stage *stage, double bytes)
{
    const double key = cost->has_pieces ? bytes : 0.0;
    const journey within = {&stage->scope, key};
    const size_t n = (size_t)stage->n_layouts;
    for (const cost_moves *known = stage->moves; known != NULL; known = known->next) {
        if (!is_other_size(known->bytes, key)) {
            return known->move;
        }
    }
    cost_moves *moves = uap_arena_alloc(cost->arena, 1, sizeof *moves);
    cost_move *move = uap_arena_alloc(cost->arena, n * n, sizeof *move);
    if (moves == NULL || move == NULL) {
        return NULL;
    }
    for (size_t s = 0; s < n; s++) {
        for (size_t t = 0; t < n; t++) {
            move[s * n + t] = move_between(&within, stage->layout[s], stage->layout[t]);
        }
    }
    *moves = (cost_moves){.next = stage->moves, .bytes = key, .move = move};
    stage->moves = moves;
    return move;
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
    stage->layout = uap_arena_alloc(cost->arena, (size_t)n, sizeof *stage->layout);
    if (stage->layout == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d layouts", n);
    }
    for (int32_t i = 0; i < stage->n; i++) {
        const uap_strategy *strategy = &stage->strategy[i];
        if (i == 0 || !is_same_layout(strategy, strategy - 1)) {
            stage->layout[stage->n_layouts++] =
                (cost_layout){.tp = strategy->tp, .sp = strategy->sp};
        }
    }
    return UAP_OK;
}
