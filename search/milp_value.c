/* Part of the program of docs/milp.md: the value of a plan. Every V is a maximum of sums, so
 * one column lies above each of them. */
#include "common/numbers.h"
#include "search/milp_build.h"

/* row += factor x (f_i + b_i), or + (u_i + v_i). */
static void put_both(uap_milp_build *b, int32_t row, int32_t *const half[2], int32_t i,
                     double factor)
{
    for (int h = 0; h < b->halves; h++) {
        uap_milp_put(b, row, half[h][i], factor);
    }
}

/* A column of objective `cost`, which lies above the stages and boundaries of one half. */
static int32_t add_longest(uap_milp_build *b, uap_milp_tag tag, double cost)
{
    const int32_t longest = uap_milp_add_col(b, tag, 0.0, HUGE_VAL);
    uap_milp_set_cost(b, longest, cost);
    return longest;
}

/* The row longest >= col. */
static void put_longest(uap_milp_build *b, uap_milp_tag tag, int32_t longest, int32_t col)
{
    if (col >= 0) {
        const int32_t row = uap_milp_add_row(b, tag, 0.0, HUGE_VAL);
        uap_milp_put(b, row, longest, 1.0);
        uap_milp_put(b, row, col, -1.0);
    }
}

/* sum p + sum o + (c-1) x the longest forward: of gpipe, and of the simple objective with
 * its one half. */
static void add_sum_and_longest(uap_milp_build *b)
{
    const double more = (double)b->in->micro_batches - 1.0;
    for (int half = 0; half < b->halves; half++) {
        for (int32_t i = 0; i < b->in->pp; i++) {
            uap_milp_set_cost(b, b->time[half][i], 1.0);
            uap_milp_set_cost(b, b->send[half][i], 1.0);
        }
    }
    if (more <= 0.0) {
        return;
    }
    const int32_t longest = add_longest(b, UAP_COL_TAG(MAX_FWD, 0), more);
    for (int32_t i = 0; i < b->in->pp; i++) {
        put_longest(b, UAP_ROW_TAG(LONGEST, i, 0), longest, b->time[UAP_FWD][i]);
        put_longest(b, UAP_ROW_TAG(LONGEST, i, 1), longest, b->send[UAP_FWD][i]);
    }
}

/* (c-1) x the longest backward, and E: a stage ends its backward before stage 0 by the
 * backwards before it, and by as much as the longest of all is above the longest from it on:
 * E >= g_i - sum of b_j + v_j before i - (c-1) (mb_0 - mb_i). */
static void add_backward_and_tail(uap_milp_build *b)
{
    const double more = (double)b->in->micro_batches - 1.0;
    int32_t first = -1;
    int32_t before = -1;
    for (int32_t i = 0; i < b->in->pp; i++) {
        int32_t longest = -1;
        if (more > 0.0) {
            longest = add_longest(b, UAP_COL_TAG(MAX_BWD, i), i == 0 ? more : 0.0);
            put_longest(b, UAP_ROW_TAG(LONGEST_BWD, i, 0), longest, b->time[UAP_BWD][i]);
            put_longest(b, UAP_ROW_TAG(LONGEST_BWD, i, 1), longest, b->send[UAP_BWD][i]);
        }
        if (before >= 0) {
            put_longest(b, UAP_ROW_TAG(LONGEST_BWD, i - 1, 2), before, longest);
        }
        first = i == 0 ? longest : first;
        before = longest;
        uap_milp_put(b, b->tail_row[i], first, more);
        uap_milp_put(b, b->tail_row[i], longest, -more);
        for (int32_t j = 0; j < i; j++) {
            uap_milp_put(b, b->tail_row[i], b->time[UAP_BWD][j], 1.0);
            uap_milp_put(b, b->tail_row[i], b->send[UAP_BWD][j], 1.0);
        }
    }
}

typedef struct trip {
    int32_t round_trip, span; /* columns RT_i and V_i */
} trip;

/* A row V_i >= rounds x RT_i + p x p_i, to which the caller may add. */
static int32_t add_path(uap_milp_build *b, int32_t i, int32_t number, const trip *t,
                        const double factor[2])
{
    const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(PATH, i, number), 0.0, HUGE_VAL);
    uap_milp_put(b, row, t->span, 1.0);
    uap_milp_put(b, row, t->round_trip, -factor[0]);
    put_both(b, row, b->time, i, -factor[1]);
    return row;
}

/* V_i above X_i: the stage is busy, or waits for micro-batches to come back. */
static void add_stage_paths(uap_milp_build *b, int32_t i, const trip *t)
{
    const int64_t c = b->in->micro_batches;
    const int64_t k = uap_min_i64(b->in->inflight[i], c);
    const double busy = (double)c - 1.0;
    (void)add_path(b, i, 1, t, (const double[2]){0.0, (double)c});
    for (int half = 0; half < 2; half++) {
        const int32_t row = add_path(b, i, 2 + half, t, (const double[2]){1.0, busy});
        uap_milp_put(b, row, b->time[half][i], (double)k - 1.0);
    }
    if (c > k) {
        const int64_t rounds = 1 + (c - 1) / k;
        (void)add_path(b, i, 4, t, (const double[2]){2.0, busy - (double)k});
        const double left = (double)(c - 1 - (rounds - 1) * k);
        (void)add_path(b, i, 5, t, (const double[2]){(double)rounds, left});
    }
}

/* A row late >= rounds x RT_i + fwd x f_i + bwd x b_i, to which the caller may add. */
static int32_t add_lag(uap_milp_build *b, int32_t i, int32_t number, int32_t late,
                       const double factor[3])
{
    const int32_t row = uap_milp_add_row(b, UAP_ROW_TAG(LAG, i, number), 0.0, HUGE_VAL);
    uap_milp_put(b, row, late, 1.0);
    uap_milp_put(b, row, b->round_trip[i], -factor[0]);
    uap_milp_put(b, row, b->time[UAP_FWD][i], -factor[1]);
    uap_milp_put(b, row, b->time[UAP_BWD][i], -factor[2]);
    return row;
}

/* late >= L_i: how long after the first the last micro-batch leaves stage i. */
static void add_lags(uap_milp_build *b, int32_t i, int32_t late)
{
    const int64_t c = b->in->micro_batches;
    const int64_t k = uap_min_i64(b->in->inflight[i], c);
    const double more = (double)c - 1.0;
    (void)add_lag(b, i, 1, late, (const double[3]){0.0, more, (double)(c - k)});
    const int32_t link = add_lag(b, i, 2, late, (const double[3]){0.0, 0.0, 0.0});
    uap_milp_put(b, link, b->send[UAP_FWD][i], -more);
    if (c > k) {
        const int64_t rounds = (c - 1) / k;
        const double one = more - (double)k;
        const double rest = (double)(c - 1 - rounds * k);
        (void)add_lag(b, i, 3, late, (const double[3]){1.0, one, one});
        (void)add_lag(b, i, 4, late, (const double[3]){(double)rounds, rest, rest});
    }
}

/* A_i, the largest L before stage i, given A_(i-1) or -1. Returns its column. */
static int32_t add_late_start(uap_milp_build *b, int32_t i, int32_t before)
{
    const int32_t late = uap_milp_add_col(b, UAP_COL_TAG(LATE, i), 0.0, HUGE_VAL);
    add_lags(b, i - 1, late);
    if (before >= 0) {
        const int32_t row = add_lag(b, i - 1, 5, late, (const double[3]){0.0, 0.0, 0.0});
        uap_milp_put(b, row, before, -1.0);
    }
    return late;
}

/* V_0 + E >= sum of f_j + u_j before i + Q_i + g_i, with Q_i >= V_i and >= RT_i + A_i. */
static void add_late_ends(uap_milp_build *b)
{
    int32_t late = -1;
    for (int32_t i = 1; i < b->in->pp && b->tail_row[i] >= 0; i++) {
        const int32_t end = uap_milp_add_col(b, UAP_COL_TAG(END, i), 0.0, HUGE_VAL);
        late = add_late_start(b, i, late);
        const int32_t full = uap_milp_add_row(b, UAP_ROW_TAG(END, i, 1), 0.0, HUGE_VAL);
        uap_milp_put(b, full, end, 1.0);
        uap_milp_put(b, full, b->span[i], -1.0);
        const int32_t last = uap_milp_add_row(b, UAP_ROW_TAG(END, i, 2), 0.0, HUGE_VAL);
        uap_milp_put(b, last, end, 1.0);
        uap_milp_put(b, last, b->round_trip[i], -1.0);
        uap_milp_put(b, last, late, -1.0);
        uap_milp_put(b, b->tail_row[i], b->span[0], 1.0);
        uap_milp_put(b, b->tail_row[i], end, -1.0);
        for (int32_t j = 0; j < i; j++) {
            uap_milp_put(b, b->tail_row[i], b->time[UAP_FWD][j], -1.0);
            uap_milp_put(b, b->tail_row[i], b->send[UAP_FWD][j], -1.0);
        }
    }
}

/* V_0, from the last stage to the first. */
static void add_round_trips(uap_milp_build *b)
{
    const double more = (double)b->in->micro_batches - 1.0;
    trip next = {-1, -1};
    for (int32_t i = b->in->pp; i-- > 0;) {
        trip t;
        t.round_trip = uap_milp_add_col(b, UAP_COL_TAG(ROUND_TRIP, i), 0.0, HUGE_VAL);
        t.span = uap_milp_add_col(b, UAP_COL_TAG(SPAN, i), 0.0, HUGE_VAL);
        const int32_t sum = uap_milp_add_row(b, UAP_ROW_TAG(TRIP, i), 0.0, 0.0);
        uap_milp_put(b, sum, t.round_trip, -1.0);
        uap_milp_put(b, sum, next.round_trip, 1.0);
        put_both(b, sum, b->time, i, 1.0);
        put_both(b, sum, b->send, i, 1.0);
        add_stage_paths(b, i, &t);
        const int32_t chain = add_path(b, i, 6, &t, (const double[2]){0.0, 1.0});
        put_both(b, chain, b->send, i, -1.0);
        uap_milp_put(b, chain, next.span, -1.0);
        for (int half = 0; half < 2; half++) {
            const int32_t link =
                add_path(b, i, 7 + half, &t, (const double[2]){1.0, 0.0});
            uap_milp_put(b, link, b->send[half][i], -more);
        }
        b->round_trip[i] = t.round_trip;
        b->span[i] = t.span;
        next = t;
    }
    uap_milp_set_cost(b, next.span, 1.0);
    add_late_ends(b);
}

void uap_milp_build_value(uap_milp_build *b)
{
    if (b->options->goal == UAP_MILP_MEMORY) {
        uap_milp_set_cost(b, b->over, 1.0);
    } else if (b->halves == 1) {
        add_sum_and_longest(b);
    } else if (b->in->schedule == UAP_SCHEDULE_GPIPE) {
        add_sum_and_longest(b);
        add_backward_and_tail(b);
    } else {
        add_round_trips(b);
    }
}
