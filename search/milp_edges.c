/* Part of the program of docs/milp.md: what depends on the strategies of two layers, that is
 * resharding within a stage, transfers across boundaries, live tensors. A cost is a sum over
 * pairs of classes (exact, by marginals), and is then spread over the stages or boundaries
 * that can pay it: all of it, and only where the layers are. */
#include "common/numbers.h"
#include "search/milp_build.h"

/* Who may pay a cost: one carrier column for each stage or boundary i (-1: not this one), of
 * which one is 1 when the cost arises, and the rows that sum it up. */
typedef struct payer {
    const int32_t *carrier;        /* [pp] */
    int32_t *const *target;        /* [half] -> [pp] rows */
    int16_t col[2], sum[2], at[2]; /* kinds, by half */
    int32_t index[2];              /* of the tags, before the stage */
    int32_t n_index;
} payer;

/* A cost over pairs of classes. */
typedef struct pair_cost {
    const int64_t *fwd, *bwd; /* [n_from][n_to] */
    int32_t n_from, n_to;
} pair_cost;

static int64_t cost_at(const uap_milp_build *b, const pair_cost *cost, int32_t at,
                       int half)
{
    if (b->halves == 1) {
        return cost->fwd[at] + cost->bwd[at];
    }
    return half == UAP_FWD ? cost->fwd[at] : cost->bwd[at];
}

typedef struct range {
    int64_t min, max;
} range;

static range range_of(const uap_milp_build *b, const pair_cost *cost, int half)
{
    range r = {cost_at(b, cost, 0, half), cost_at(b, cost, 0, half)};
    for (int32_t at = 1; at < cost->n_from * cost->n_to; at++) {
        const int64_t value = cost_at(b, cost, at, half);
        r.min = uap_min_i64(r.min, value);
        r.max = uap_max_i64(r.max, value);
    }
    return r;
}

/* Whether the cost depends on the pair at all. */
static bool varies(const uap_milp_build *b, const pair_cost *cost)
{
    for (int half = 0; half < b->halves; half++) {
        const range r = range_of(b, cost, half);
        if (r.min != r.max) {
            return true;
        }
    }
    return false;
}

static uap_milp_tag tag_of(int16_t kind, const payer *p, int32_t i)
{
    uap_milp_tag tag = {kind, 0, {p->index[0], p->index[1]}};
    tag.index[p->n_index] = i;
    return tag;
}

/* One half of a cost. Each carrier pays the least cost outright, and what is above it is the
 * sum over the pair columns, which start at `pairs`. */
static void spread_half(uap_milp_build *b, const payer *p, const pair_cost *cost,
                        int32_t pairs, int half)
{
    const range r = range_of(b, cost, half);
    const int32_t pp = b->in->pp;
    int32_t carriers = 0;
    int32_t only = -1;
    for (int32_t i = 0; i < pp; i++) {
        if (p->carrier[i] >= 0) {
            uap_milp_put(b, p->target[half][i], p->carrier[i], uap_milp_ticks(b, r.min));
            carriers++;
            only = i;
        }
    }
    if (r.min == r.max || carriers == 0) {
        return;
    }
    const bool direct = carriers == 1;
    const int32_t sum = direct
                            ? p->target[half][only]
                            : uap_milp_add_row(b, tag_of(p->sum[half], p, 0), 0.0, 0.0);
    for (int32_t at = 0; at < cost->n_from * cost->n_to; at++) {
        uap_milp_put(b, sum, pairs + at,
                     uap_milp_ticks(b, cost_at(b, cost, at, half) - r.min));
    }
    for (int32_t i = 0; i < pp && !direct; i++) {
        if (p->carrier[i] < 0) {
            continue;
        }
        const int32_t col =
            uap_milp_add_col(b, tag_of(p->col[half], p, i), 0.0, HUGE_VAL);
        const int32_t at = uap_milp_add_row(b, tag_of(p->at[half], p, i), -HUGE_VAL, 0.0);
        uap_milp_put(b, sum, col, -1.0);
        uap_milp_put(b, p->target[half][i], col, 1.0);
        uap_milp_put(b, at, col, 1.0);
        uap_milp_put(b, at, p->carrier[i], -uap_milp_ticks(b, r.max - r.min));
    }
}

static void spread(uap_milp_build *b, const payer *p, const pair_cost *cost,
                   int32_t pairs)
{
    for (int half = 0; half < b->halves; half++) {
        spread_half(b, p, cost, pairs, half);
    }
}

/* Columns for pairs of classes (kind, leading indices); returns the first. */
static int32_t add_pairs(uap_milp_build *b, uap_milp_tag tag, int32_t n_index,
                         const pair_cost *cost)
{
    int32_t first = -1;
    for (int32_t from = 0; from < cost->n_from; from++) {
        for (int32_t to = 0; to < cost->n_to; to++) {
            tag.index[n_index] = from;
            tag.index[n_index + 1] = to;
            const int32_t col = uap_milp_add_col(b, tag, 0.0, 1.0);
            first = first < 0 ? col : first;
        }
    }
    return first;
}

/* row += the pair columns of one from-class (by_from) or one to-class. */
static void put_pairs(uap_milp_build *b, int32_t row, int32_t pairs,
                      const pair_cost *cost, int32_t class, bool by_from)
{
    const int32_t n = by_from ? cost->n_to : cost->n_from;
    for (int32_t other = 0; other < n && pairs >= 0; other++) {
        const int32_t at =
            by_from ? class * cost->n_to + other : other * cost->n_to + class;
        uap_milp_put(b, row, pairs + at, 1.0);
    }
}

static void put_class(uap_milp_build *b, int32_t row, int32_t layer,
                      const int32_t *classes, int32_t class)
{
    for (int32_t k = 0; k < uap_table_of(b->in, layer)->n; k++) {
        uap_milp_put(b, row, b->strategy[layer] + k, classes[k] == class ? -1.0 : 0.0);
    }
}

/* The pairs of edge u: `keep` when the layers share a stage, `move` when not (each -1 where
 * it costs nothing that varies). Together they have the strategies' marginals. */
static void link_edge(uap_milp_build *b, int32_t u, const pair_cost *cost, int32_t keep,
                      int32_t move)
{
    const uap_edge_table *edge = uap_edge_of(b->in, u);
    const bool whole = keep >= 0 && (move >= 0 || b->in->pp == 1);
    const double least = whole ? 0.0 : -HUGE_VAL;
    for (int32_t c = 0; c < cost->n_from; c++) {
        const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(PAIR_FROM, u, c), least, 0.0);
        put_pairs(b, row, keep, cost, c, true);
        put_pairs(b, row, move, cost, c, true);
        put_class(b, row, u, edge->from_class, c);
    }
    for (int32_t c = 0; c < cost->n_to; c++) {
        const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(PAIR_TO, u, c), least, 0.0);
        put_pairs(b, row, keep, cost, c, false);
        put_pairs(b, row, move, cost, c, false);
        put_class(b, row, u + 1, edge->to_class, c);
    }
    const int32_t *carrier =
        (move >= 0 ? b->cut : b->stay) + (size_t)u * (size_t)b->in->pp;
    const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(PAIR_CUT, u), 0.0, 0.0);
    for (int32_t c = 0; c < cost->n_from; c++) {
        put_pairs(b, row, move >= 0 ? move : keep, cost, c, true);
    }
    for (int32_t i = 0; i < b->in->pp; i++) {
        uap_milp_put(b, row, carrier[i], -1.0);
    }
}

static void add_edge(uap_milp_build *b, int32_t u)
{
    const uap_edge_table *e = uap_edge_of(b->in, u);
    const pair_cost stay = {e->r_fwd, e->r_bwd, e->n_from, e->n_to};
    const pair_cost cut = {e->x_fwd, e->x_bwd, e->n_from, e->n_to};
    const size_t at = (size_t)u * (size_t)b->in->pp;
    const payer stayer = {.carrier = b->stay + at,
                          .target = b->time_row,
                          .col = {UAP_COL_KEEP_FWD, UAP_COL_KEEP_BWD},
                          .sum = {UAP_ROW_KEEP_SUM_FWD, UAP_ROW_KEEP_SUM_BWD},
                          .at = {UAP_ROW_KEEP_AT_FWD, UAP_ROW_KEEP_AT_BWD},
                          .index = {u},
                          .n_index = 1};
    const payer cutter = {.carrier = b->cut + at,
                          .target = b->send_row,
                          .col = {UAP_COL_MOVE_FWD, UAP_COL_MOVE_BWD},
                          .sum = {UAP_ROW_MOVE_SUM_FWD, UAP_ROW_MOVE_SUM_BWD},
                          .at = {UAP_ROW_MOVE_AT_FWD, UAP_ROW_MOVE_AT_BWD},
                          .index = {u},
                          .n_index = 1};
    int32_t keep = -1;
    int32_t move = -1;
    if (b->in->pp < b->in->n_layers && varies(b, &stay)) {
        keep = add_pairs(b, UAP_COL_TAG(KEEP, u), 1, &stay);
    }
    if (b->in->pp > 1 && varies(b, &cut)) {
        move = add_pairs(b, UAP_COL_TAG(MOVE, u), 1, &cut);
    }
    if (keep >= 0 || move >= 0) {
        link_edge(b, u, &stay, keep, move);
    }
    spread(b, &stayer, &stay, keep);
    spread(b, &cutter, &cut, move);
}

void uap_milp_build_edges(uap_milp_build *b)
{
    for (int32_t u = 0; u + 1 < b->in->n_layers && b->options->goal == UAP_MILP_TIME;
         u++) {
        add_edge(b, u);
    }
}

/* Classes of equal rows (or columns) of a consumer's matrices; returns how many. */
static int32_t classify(const uap_milp_build *b, const pair_cost *cost, bool by_row,
                        int32_t *class)
{
    const int32_t n = by_row ? cost->n_from : cost->n_to;
    const int32_t width = by_row ? cost->n_to : cost->n_from;
    int32_t classes = 0;
    for (int32_t k = 0; k < n; k++) {
        class[k] = -1;
        for (int32_t m = 0; m < k && class[k] < 0; m++) {
            bool equal = true;
            for (int32_t o = 0; o < width && equal; o++) {
                const int32_t at_k = by_row ? k * width + o : o * n + k;
                const int32_t at_m = by_row ? m * width + o : o * n + m;
                equal =
                    cost_at(b, cost, at_k, UAP_FWD) == cost_at(b, cost, at_m, UAP_FWD) &&
                    cost_at(b, cost, at_k, UAP_BWD) == cost_at(b, cost, at_m, UAP_BWD);
            }
            class[k] = equal ? class[m] : -1;
        }
        class[k] = class[k] < 0 ? classes++ : class[k];
    }
    return classes;
}

/* A consumer's costs between classes instead of strategies. */
typedef struct folded {
    pair_cost cost;
    int32_t *from, *to; /* class of each strategy */
} folded;

static bool fold(uap_milp_build *b, const pair_cost *full, folded *out)
{
    const size_t n = (size_t)full->n_from * (size_t)full->n_to;
    int64_t *fwd = uap_arena_alloc(b->scratch, n, sizeof *fwd);
    int64_t *bwd = uap_arena_alloc(b->scratch, n, sizeof *bwd);
    out->from = uap_arena_alloc(b->scratch, (size_t)full->n_from, sizeof *out->from);
    out->to = uap_arena_alloc(b->scratch, (size_t)full->n_to, sizeof *out->to);
    if (fwd == NULL || bwd == NULL || out->from == NULL || out->to == NULL) {
        b->failed = true;
        return false;
    }
    const int32_t n_from = classify(b, full, true, out->from);
    const int32_t n_to = classify(b, full, false, out->to);
    for (int32_t k = 0; k < full->n_from; k++) {
        for (int32_t m = 0; m < full->n_to; m++) {
            const int32_t at = out->from[k] * n_to + out->to[m];
            fwd[at] = full->fwd[k * full->n_to + m];
            bwd[at] = full->bwd[k * full->n_to + m];
        }
    }
    out->cost = (pair_cost){fwd, bwd, n_from, n_to};
    return true;
}

/* What consumer n of live tensor t pays in its own stage. */
static void add_consumer(uap_milp_build *b, int32_t t, int32_t n)
{
    const uap_live_tensor *live = &b->in->live[t];
    const int32_t to = live->consumer[n];
    const pair_cost full = {live->r_fwd[n], live->r_bwd[n],
                            uap_table_of(b->in, live->from)->n,
                            uap_table_of(b->in, to)->n};
    const payer consumer = {.carrier = b->place + (size_t)to * (size_t)b->in->pp,
                            .target = b->time_row,
                            .col = {UAP_COL_LIVE_FWD, UAP_COL_LIVE_BWD},
                            .sum = {UAP_ROW_LIVE_SUM_FWD, UAP_ROW_LIVE_SUM_BWD},
                            .at = {UAP_ROW_LIVE_AT_FWD, UAP_ROW_LIVE_AT_BWD},
                            .index = {t, n},
                            .n_index = 2};
    folded f;
    int32_t pairs = -1;
    if (!fold(b, &full, &f)) {
        return;
    }
    if (varies(b, &f.cost)) {
        pairs = add_pairs(b, UAP_COL_TAG(LIVE_PAIR, t, n), 2, &f.cost);
        for (int32_t c = 0; c < f.cost.n_from; c++) {
            const int32_t row =
                uap_milp_add_row(b, UAP_ROW_TAG(LIVE_FROM, t, n, c), 0, 0);
            put_pairs(b, row, pairs, &f.cost, c, true);
            put_class(b, row, live->from, f.from, c);
        }
        for (int32_t c = 0; c < f.cost.n_to; c++) {
            const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(LIVE_TO, t, n, c), 0, 0);
            put_pairs(b, row, pairs, &f.cost, c, false);
            put_class(b, row, to, f.to, c);
        }
    }
    spread(b, &consumer, &f.cost, pairs);
}

/* row += factor x (sum over i <= stage of the columns at map[layer][i]). */
static void put_up_to(uap_milp_build *b, int32_t row, int32_t layer, int32_t stage,
                      double factor)
{
    for (int32_t i = 0; i <= stage; i++) {
        uap_milp_put(b, row, b->place[(size_t)layer * (size_t)b->in->pp + (size_t)i],
                     factor);
    }
}

/* Live tensor t crosses boundary i when its producer lies before it and its last consumer
 * behind it, in the producer's layout. */
static void add_cross(uap_milp_build *b, int32_t t, int32_t i)
{
    const uap_live_tensor *live = &b->in->live[t];
    const int32_t last = live->consumer[live->n_consumers - 1];
    const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(CROSS, t, i), 0.0, 0.0);
    put_up_to(b, row, live->from, i, -1.0);
    put_up_to(b, row, last, i, 1.0);
    for (int32_t k = 0; k < uap_table_of(b->in, live->from)->n; k++) {
        const int32_t q = uap_milp_add_col(b, UAP_COL_TAG(LIVE_CROSS, t, i, k), 0.0, 1.0);
        const int32_t at =
            uap_milp_add_row(b, UAP_ROW_TAG(CROSS_LAYOUT, t, i, k), -HUGE_VAL, 0.0);
        uap_milp_put(b, row, q, 1.0);
        uap_milp_put(b, at, q, 1.0);
        uap_milp_put(b, at, b->strategy[live->from] + k, -1.0);
        if (b->halves == 2) {
            uap_milp_put(b, b->send_row[UAP_FWD][i], q,
                         uap_milp_ticks(b, live->x_fwd[k]));
            uap_milp_put(b, b->send_row[UAP_BWD][i], q,
                         uap_milp_ticks(b, live->x_bwd[k]));
        } else {
            uap_milp_put(b, b->send_row[UAP_FWD][i], q,
                         uap_milp_ticks(b, live->x_fwd[k] + live->x_bwd[k]));
        }
    }
}

/* It is kept in every stage from that of the layer behind the producer to that of the last
 * consumer: those are the stages with a layer in (from, last]. */
static void add_hold(uap_milp_build *b, int32_t t, int32_t i)
{
    const uap_live_tensor *live = &b->in->live[t];
    const int32_t last = live->consumer[live->n_consumers - 1];
    const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(HOLD, t, i), 0.0, 0.0);
    put_up_to(b, row, live->from + 1, i, -1.0);
    put_up_to(b, row, last, i - 1, 1.0);
    for (int32_t k = 0; k < uap_table_of(b->in, live->from)->n; k++) {
        const int32_t h = uap_milp_add_col(b, UAP_COL_TAG(LIVE_HOLD, t, i, k), 0.0, 1.0);
        const int32_t at =
            uap_milp_add_row(b, UAP_ROW_TAG(HOLD_LAYOUT, t, i, k), -HUGE_VAL, 0.0);
        uap_milp_put(b, row, h, 1.0);
        uap_milp_put(b, at, h, 1.0);
        uap_milp_put(b, at, b->strategy[live->from] + k, -1.0);
        uap_milp_put(b, b->memory_row[i], h,
                     uap_milp_bytes(b, live->bytes[k] * b->in->inflight[i]));
    }
}

void uap_milp_build_live(uap_milp_build *b)
{
    for (int32_t t = 0; t < b->in->n_live; t++) {
        const uap_live_tensor *live = &b->in->live[t];
        const int32_t high = uap_milp_high(b->in, live->consumer[live->n_consumers - 1]);
        const bool timed = b->options->goal == UAP_MILP_TIME;
        for (int32_t i = uap_milp_low(b->in, live->from); i < high && timed; i++) {
            add_cross(b, t, i);
        }
        for (int32_t n = 0; n < live->n_consumers && timed; n++) {
            add_consumer(b, t, n);
        }
        for (int32_t i = uap_milp_low(b->in, live->from + 1); i <= high; i++) {
            if (b->memory_row[i] >= 0) {
                add_hold(b, t, i);
            }
        }
    }
}
