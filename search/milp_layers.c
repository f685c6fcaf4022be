/* Part of the program of docs/milp.md: where layers are, which strategies they take, what
 * each costs its stage, memory, ties. */
#include "common/numbers.h"
#include "search/milp_build.h"

static size_t at_stage(const uap_milp_build *b, int32_t u, int32_t i)
{
    return (size_t)u * (size_t)b->in->pp + (size_t)i;
}

/* P and S, each layer in one stage and in one strategy. */
static void add_choices(uap_milp_build *b, int32_t u)
{
    const int32_t placed = uap_milp_add_row(b, UAP_ROW_TAG(PLACED, u), 1.0, 1.0);
    for (int32_t i = uap_milp_low(b->in, u); i <= uap_milp_high(b->in, u); i++) {
        const int32_t p = uap_milp_add_col(b, UAP_COL_TAG(PLACE, u, i), 0.0, 1.0);
        uap_milp_set_binary(b, p);
        uap_milp_put(b, placed, p, 1.0);
        b->place[at_stage(b, u, i)] = p;
    }
}

static void add_strategies(uap_milp_build *b, int32_t u)
{
    const int32_t chosen = uap_milp_add_row(b, UAP_ROW_TAG(CHOSEN, u), 1.0, 1.0);
    for (int32_t k = 0; k < uap_table_of(b->in, u)->n; k++) {
        const int32_t s = uap_milp_add_col(b, UAP_COL_TAG(STRATEGY, u, k), 0.0, 1.0);
        uap_milp_set_binary(b, s);
        uap_milp_put(b, chosen, s, 1.0);
        if (k == 0) {
            b->strategy[u] = s;
        }
    }
}

/* D and B: from u to u + 1 the stage stays or rises by one. This is a path through a layered
 * graph, so stages are contiguous, ordered and non-empty, and the relaxation of P alone is
 * integral. */
static void add_flow(uap_milp_build *b, int32_t u)
{
    const uap_instance *in = b->in;
    const int32_t next_low = uap_milp_low(in, u + 1);
    const int32_t next_high = uap_milp_high(in, u + 1);
    for (int32_t i = uap_milp_low(in, u); i <= uap_milp_high(in, u); i++) {
        const int32_t leave = uap_milp_add_row(b, UAP_ROW_TAG(LEAVE, u, i), 0.0, 0.0);
        uap_milp_put(b, leave, b->place[at_stage(b, u, i)], -1.0);
        if (i >= next_low && i <= next_high) {
            const int32_t d = uap_milp_add_col(b, UAP_COL_TAG(STAY, u, i), 0.0, 1.0);
            uap_milp_put(b, leave, d, 1.0);
            b->stay[at_stage(b, u, i)] = d;
        }
        if (i + 1 >= next_low && i + 1 <= next_high) {
            const int32_t c = uap_milp_add_col(b, UAP_COL_TAG(CUT, u, i), 0.0, 1.0);
            uap_milp_put(b, leave, c, 1.0);
            b->cut[at_stage(b, u, i)] = c;
        }
    }
    for (int32_t i = next_low; i <= next_high; i++) {
        const int32_t enter = uap_milp_add_row(b, UAP_ROW_TAG(ENTER, u, i), 0.0, 0.0);
        uap_milp_put(b, enter, b->place[at_stage(b, u + 1, i)], -1.0);
        uap_milp_put(b, enter, b->stay[at_stage(b, u, i)], 1.0);
        if (i > 0) {
            uap_milp_put(b, enter, b->cut[at_stage(b, u, i - 1)], 1.0);
        }
    }
}

void uap_milp_build_places(uap_milp_build *b)
{
    for (int32_t u = 0; u < b->in->n_layers; u++) {
        add_choices(b, u);
    }
    for (int32_t u = 0; u < b->in->n_layers; u++) {
        add_strategies(b, u);
    }
    for (int32_t u = 0; u + 1 < b->in->n_layers; u++) {
        add_flow(b, u);
    }
    for (int32_t i = 0; i + 1 < b->in->pp; i++) {
        const int32_t once = uap_milp_add_row(b, UAP_ROW_TAG(ONE_CUT, i), 1.0, 1.0);
        for (int32_t u = 0; u + 1 < b->in->n_layers; u++) {
            uap_milp_put(b, once, b->cut[at_stage(b, u, i)], 1.0);
        }
    }
}

/* Columns f, b (u, v) and the rows that say what they are sums of. */
static void add_time_sums(uap_milp_build *b)
{
    static const int16_t kinds[4][2] = {{UAP_COL_STAGE_FWD, UAP_ROW_TIME_FWD},
                                        {UAP_COL_STAGE_BWD, UAP_ROW_TIME_BWD},
                                        {UAP_COL_SEND_FWD, UAP_ROW_LINK_FWD},
                                        {UAP_COL_SEND_BWD, UAP_ROW_LINK_BWD}};
    for (int32_t i = 0; i < b->in->pp; i++) {
        for (int half = 0; half < b->halves; half++) {
            const int16_t *stage = kinds[half];
            const int16_t *link = kinds[2 + half];
            b->time[half][i] =
                uap_milp_add_col(b, (uap_milp_tag){stage[0], 0, {i}}, 0.0, HUGE_VAL);
            b->time_row[half][i] =
                uap_milp_add_row(b, (uap_milp_tag){stage[1], 0, {i}}, 0.0, 0.0);
            uap_milp_put(b, b->time_row[half][i], b->time[half][i], -1.0);
            if (i + 1 < b->in->pp) {
                b->send[half][i] =
                    uap_milp_add_col(b, (uap_milp_tag){link[0], 0, {i}}, 0.0, HUGE_VAL);
                b->send_row[half][i] =
                    uap_milp_add_row(b, (uap_milp_tag){link[1], 0, {i}}, 0.0, 0.0);
                uap_milp_put(b, b->send_row[half][i], b->send[half][i], -1.0);
            }
        }
    }
}

/* E >= g_i less what its stage ends before stage 0 (full; milp_value.c adds that part), or
 * >= g_i (simple). */
static void add_tail(uap_milp_build *b)
{
    int64_t grad = 0;
    for (int32_t t = 0; t < b->in->n_tables; t++) {
        for (int32_t k = 0; k < b->in->table[t].n; k++) {
            grad = uap_max_i64(grad, b->in->table[t].grad[k]);
        }
    }
    if (grad == 0) {
        return;
    }
    const int32_t tail = uap_milp_add_col(b, UAP_COL_TAG(TAIL, 0), 0.0, HUGE_VAL);
    uap_milp_set_cost(b, tail, 1.0);
    for (int32_t i = 0; i < b->in->pp; i++) {
        b->tail_row[i] = uap_milp_add_row(b, UAP_ROW_TAG(TAIL_AT, i), 0.0, HUGE_VAL);
        uap_milp_put(b, b->tail_row[i], tail, 1.0);
    }
}

/* Bytes of stage i that no plan can pass, from above (in doubles, so not to overflow). */
static double most_bytes(const uap_instance *in, int32_t i)
{
    double bytes = 0.0;
    double work = 0.0;
    const double held = (double)in->inflight[i];
    for (int32_t n = 0; in->start_act != NULL && n < in->n_types * in->n_layers; n++) {
        bytes = fmax(bytes, held * (double)in->start_act[n]);
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        const uap_layer_table *t = uap_table_of(in, u);
        double most = 0.0;
        for (int32_t k = 0; k < t->n; k++) {
            most = fmax(most, (double)t->state[k] + held * (double)t->act[k]);
            work = fmax(work, (double)t->work[k]);
        }
        bytes += most;
    }
    for (int32_t n = 0; n < in->n_live; n++) {
        double most = 0.0;
        for (int32_t k = 0; k < uap_table_of(in, in->live[n].from)->n; k++) {
            most = fmax(most, (double)in->live[n].bytes[k] * held);
        }
        bytes += most;
    }
    return (bytes + work) * (1.0 + 1e-9);
}

static void add_memory(uap_milp_build *b)
{
    const bool elastic = b->options->goal == UAP_MILP_MEMORY;
    if (elastic) {
        b->over = uap_milp_add_col(b, UAP_COL_TAG(OVER, 0), 0.0, HUGE_VAL);
    }
    for (int32_t i = 0; i < b->in->pp; i++) {
        int64_t cap = b->in->cap[i];
        for (int32_t t = 0; t < b->in->n_types; t++) {
            cap = uap_min_i64(cap, b->in->type[t].cap);
        }
        if (elastic || most_bytes(b->in, i) > (double)cap) {
            /* What types lack of the stage's cap is added by uap_milp_build_types. */
            b->memory_row[i] = uap_milp_add_row(b, UAP_ROW_TAG(MEMORY, i), -HUGE_VAL,
                                                uap_milp_bytes(b, b->in->cap[i]));
            uap_milp_put(b, b->memory_row[i], b->over, -1.0);
        }
    }
}

void uap_milp_build_sums(uap_milp_build *b)
{
    if (b->options->goal == UAP_MILP_TIME) {
        add_time_sums(b);
        add_tail(b);
    }
    add_memory(b);
}

/* Whether strategy k alone rules layer u out of stage i: too much memory, or c times its
 * time, which every V is at least, above a plan in hand. */
static bool hopeless(const uap_milp_build *b, int32_t u, int32_t i, int32_t k)
{
    const uap_instance *in = b->in;
    const uap_layer_table *t = uap_table_of(in, u);
    if (b->options->goal == UAP_MILP_MEMORY) {
        return false;
    }
    if (b->options->incumbent > 0 &&
        t->fwd[k] + t->bwd[k] > b->options->incumbent / in->micro_batches) {
        return true;
    }
    return t->state[k] + in->inflight[i] * t->act[k] + t->work[k] >
           uap_typed_cap(in, i, uap_row_type(in, u, k));
}

/* What layer u in stage i costs in strategy k, into the stage's sums. */
static void put_costs(uap_milp_build *b, int32_t u, int32_t i, int32_t k, int32_t w)
{
    const uap_layer_table *t = uap_table_of(b->in, u);
    const int64_t bytes = t->state[k] + b->in->inflight[i] * t->act[k];
    if (b->halves == 2) {
        uap_milp_put(b, b->time_row[UAP_FWD][i], w, uap_milp_ticks(b, t->fwd[k]));
        uap_milp_put(b, b->time_row[UAP_BWD][i], w, uap_milp_ticks(b, t->bwd[k]));
    } else {
        uap_milp_put(b, b->time_row[UAP_FWD][i], w,
                     uap_milp_ticks(b, t->fwd[k] + t->bwd[k]));
    }
    uap_milp_put(b, b->tail_row[i], w, -uap_milp_ticks(b, t->grad[k]));
    uap_milp_put(b, b->memory_row[i], w, uap_milp_bytes(b, bytes));
}

static void add_marginals(uap_milp_build *b, int32_t u)
{
    const int32_t n = uap_table_of(b->in, u)->n;
    for (int32_t i = uap_milp_low(b->in, u); i <= uap_milp_high(b->in, u); i++) {
        const int32_t row =
            uap_milp_add_row(b, UAP_ROW_TAG(MARGINAL_PLACE, u, i), 0.0, 0.0);
        uap_milp_put(b, row, b->place[at_stage(b, u, i)], -1.0);
        for (int32_t k = 0; k < n; k++) {
            const double upper = hopeless(b, u, i, k) ? 0.0 : 1.0;
            const int32_t w =
                uap_milp_add_col(b, UAP_COL_TAG(MARGINAL, u, i, k), 0.0, upper);
            uap_milp_put(b, row, w, 1.0);
            put_costs(b, u, i, k, w);
            if (k == 0) {
                b->marginal[at_stage(b, u, i)] = w;
            }
        }
    }
    for (int32_t k = 0; k < n; k++) {
        const int32_t row =
            uap_milp_add_row(b, UAP_ROW_TAG(MARGINAL_CHOICE, u, k), 0.0, 0.0);
        uap_milp_put(b, row, b->strategy[u] + k, -1.0);
        for (int32_t i = uap_milp_low(b->in, u); i <= uap_milp_high(b->in, u); i++) {
            uap_milp_put(b, row, b->marginal[at_stage(b, u, i)] + k, 1.0);
        }
    }
}

/* W_i is at least the workspace of every layer in stage i. */
static void add_workspace(uap_milp_build *b, int32_t i)
{
    int32_t col = -1;
    for (int32_t u = 0; u < b->in->n_layers && b->memory_row[i] >= 0; u++) {
        const uap_layer_table *t = uap_table_of(b->in, u);
        const int32_t w = b->marginal[at_stage(b, u, i)];
        int64_t work = 0;
        for (int32_t k = 0; k < t->n; k++) {
            work = uap_max_i64(work, t->work[k]);
        }
        if (work == 0 || w < 0) {
            continue;
        }
        if (col < 0) {
            col = uap_milp_add_col(b, UAP_COL_TAG(WORK, i), 0.0, HUGE_VAL);
            uap_milp_put(b, b->memory_row[i], col, 1.0);
        }
        const int32_t row =
            uap_milp_add_row(b, UAP_ROW_TAG(WORKSPACE, u, i), 0.0, HUGE_VAL);
        uap_milp_put(b, row, col, 1.0);
        for (int32_t k = 0; k < t->n; k++) {
            uap_milp_put(b, row, w + k, -uap_milp_bytes(b, t->work[k]));
        }
    }
}

/* One row for each class that layer `one` knows: as much of it in a as in b. */
static void put_tie(uap_milp_build *b, int32_t number, int32_t class)
{
    const uap_tie *tie = &b->in->tie[number];
    const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(TIE, number, class), 0.0, 0.0);
    for (int32_t k = 0; k < uap_table_of(b->in, tie->a)->n; k++) {
        uap_milp_put(b, row, b->strategy[tie->a] + k,
                     tie->class_a[k] == class ? 1.0 : 0.0);
    }
    for (int32_t k = 0; k < uap_table_of(b->in, tie->b)->n; k++) {
        uap_milp_put(b, row, b->strategy[tie->b] + k,
                     tie->class_b[k] == class ? -1.0 : 0.0);
    }
}

static bool has_class(const int32_t *class, int32_t n, int32_t wanted)
{
    for (int32_t k = 0; k < n; k++) {
        if (class[k] == wanted) {
            return true;
        }
    }
    return false;
}

static void add_tie(uap_milp_build *b, int32_t number)
{
    const uap_tie *tie = &b->in->tie[number];
    const int32_t n_a = uap_table_of(b->in, tie->a)->n;
    for (int32_t k = 0; k < n_a; k++) {
        if (!has_class(tie->class_a, k, tie->class_a[k])) {
            put_tie(b, number, tie->class_a[k]);
        }
    }
    for (int32_t k = 0; k < uap_table_of(b->in, tie->b)->n; k++) {
        if (!has_class(tie->class_b, k, tie->class_b[k]) &&
            !has_class(tie->class_a, n_a, tie->class_b[k])) {
            put_tie(b, number, tie->class_b[k]);
        }
    }
}

void uap_milp_build_layers(uap_milp_build *b)
{
    for (int32_t u = 0; u < b->in->n_layers; u++) {
        add_marginals(b, u);
    }
    for (int32_t i = 0; i < b->in->pp; i++) {
        add_workspace(b, i);
    }
    for (int32_t t = 0; t < b->in->n_ties; t++) {
        add_tie(b, t);
    }
}

/* The live tensors kept in the stage whose producer lies before it: their layouts are part
 * of why the stage does not fit. Returns how many columns were put. */
static int32_t put_layouts(uap_milp_build *b, const uap_milp_no_good *bad, int32_t row,
                           int32_t end)
{
    int32_t n = 0;
    const int32_t first = bad->choice.first[bad->stage];
    for (int32_t t = 0; t < b->in->n_live; t++) {
        const uap_live_tensor *live = &b->in->live[t];
        const int32_t last = live->consumer[live->n_consumers - 1];
        if (live->from < first && first <= last && live->from < end) {
            const int32_t k = bad->choice.strategy[live->from];
            uap_milp_put(b, row, b->strategy[live->from] + k, 1.0);
            n++;
        }
    }
    return n;
}

/* The layers of one stage in their strategies do not fit it, nor do more layers with them:
 * not all of these columns may be 1. What a stage keeps from its start on (mixed clusters)
 * may be less where it starts earlier: then the row says nothing. */
static void add_no_good(uap_milp_build *b, int32_t number)
{
    const uap_milp_no_good *bad = &b->options->no_good[number];
    const int32_t first = bad->choice.first[bad->stage];
    const int32_t end =
        bad->stage + 1 < b->in->pp ? bad->choice.first[bad->stage + 1] : b->in->n_layers;
    uap_milp_line *line = NULL;
    const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(NO_GOOD, number), -HUGE_VAL, 0.0);
    for (int32_t u = first; u < end; u++) {
        const int32_t w = b->marginal[at_stage(b, u, bad->stage)];
        uap_milp_put(b, row, w + bad->choice.strategy[u], 1.0);
    }
    const int32_t layouts = put_layouts(b, bad, row, end);
    if (b->in->start_act != NULL && first > 0) {
        uap_milp_put(b, row, b->stay[at_stage(b, first - 1, bad->stage)], -1.0);
    }
    if (row >= 0) {
        line = b->rows.data;
        line[row].upper = (double)(end - first + layouts - 1);
    }
}

void uap_milp_build_no_goods(uap_milp_build *b)
{
    for (int32_t n = 0; n < b->options->n_no_goods; n++) {
        add_no_good(b, n);
    }
}
