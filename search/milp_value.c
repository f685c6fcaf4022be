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

/* sum p + sum o + (c-1) x the longest of each half, which is gpipe's V and the simple
 * objective's with its one half. */
static void add_sum_and_longest(uap_milp_build *b)
{
    static const int16_t kinds[2][2] = {{UAP_COL_MAX_FWD, UAP_ROW_LONGEST},
                                        {UAP_COL_MAX_BWD, UAP_ROW_LONGEST_BWD}};
    const double more = (double)b->in->micro_batches - 1.0;
    for (int half = 0; half < b->halves; half++) {
        int32_t longest = -1;
        if (more > 0.0) {
            const uap_milp_tag tag = {kinds[half][0], 0, {0}};
            longest = uap_milp_add_col(b, tag, 0.0, HUGE_VAL);
            uap_milp_set_cost(b, longest, more);
        }
        for (int32_t i = 0; i < b->in->pp; i++) {
            const int32_t cols[2] = {b->time[half][i], b->send[half][i]};
            for (int32_t link = 0; link < 2; link++) {
                uap_milp_set_cost(b, cols[link], 1.0);
                if (longest < 0 || cols[link] < 0) {
                    continue;
                }
                const uap_milp_tag tag = {kinds[half][1], 0, {i, link}};
                const int32_t row = uap_milp_add_row(b, tag, 0.0, HUGE_VAL);
                uap_milp_put(b, row, longest, 1.0);
                uap_milp_put(b, row, cols[link], -1.0);
            }
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
        next = t;
    }
    uap_milp_set_cost(b, next.span, 1.0);
}

void uap_milp_build_value(uap_milp_build *b)
{
    if (b->options->goal == UAP_MILP_MEMORY) {
        uap_milp_set_cost(b, b->over, 1.0);
    } else if (b->halves == 1 || b->in->schedule == UAP_SCHEDULE_GPIPE) {
        add_sum_and_longest(b);
    } else {
        add_round_trips(b);
    }
}
