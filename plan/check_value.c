/* From stages to the time of an iteration. docs/cost-model.md sections 9 and 10. */
#include "plan/check_internal.h"

static int64_t most(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

int64_t uap_check_inflight(const uap_check_setting *setting, int32_t i)
{
    const int64_t c = setting->micro_batches, behind = setting->pp - i;
    if (setting->pp == 1) {
        return 1;
    }
    switch (setting->schedule) {
    case UAP_SCHEDULE_1F1B:
        return least(c, behind);
    case UAP_SCHEDULE_1F1B_EAGER:
        return least(c, 2 * behind - 1);
    default:
        return c;
    }
}

/* sum p + sum o */
static int64_t once_through(const uap_check_setting *setting,
                            const uap_check_stage *stage)
{
    int64_t sum = 0;
    for (int32_t i = 0; i < setting->pp; i++) {
        sum += stage[i].fwd + stage[i].bwd + stage[i].send_fwd + stage[i].send_bwd;
    }
    return sum;
}

static int64_t paper_value(const uap_check_setting *setting, const uap_check_stage *stage)
{
    int64_t slowest = 0;
    for (int32_t i = 0; i < setting->pp; i++) {
        slowest = most(slowest, stage[i].fwd + stage[i].bwd);
        slowest = most(slowest, stage[i].send_fwd + stage[i].send_bwd);
    }
    return once_through(setting, stage) + (setting->micro_batches - 1) * slowest;
}

/* Section 10's X_0 and the forwards' part: `back` is what the backwards of this stage and of
 * those behind it take once the last forward has ended. */
static int64_t gpipe_value(const uap_check_setting *setting, const uap_check_stage *stage)
{
    const int64_t c = setting->micro_batches;
    int64_t forward = 0, backward = 0, there = 0, back = 0, ended = 0;
    for (int32_t i = setting->pp - 1; i >= 0; i--) {
        const uap_check_stage *s = &stage[i];
        forward = most(forward, most(s->fwd, s->send_fwd));
        backward = most(backward, most(s->bwd, s->send_bwd));
        there += s->fwd + s->send_fwd;
        back += s->bwd + s->send_bwd;
        ended = most(ended, back + (c - 1) * backward + s->grad);
    }
    return there + (c - 1) * forward + ended;
}

/* Section 10's L: by how much the last micro-batch follows the first out of stage i. */
static int64_t last_behind_first(const uap_check_setting *setting,
                                 const uap_check_stage *s, int64_t k, int64_t round_trip)
{
    const int64_t c = setting->micro_batches, p = s->fwd + s->bwd;
    int64_t behind = most((c - 1) * s->send_fwd, (c - 1) * s->fwd + (c - k) * s->bwd);
    if (c > k) {
        const int64_t turns[2] = {1, (c - 1) / k};
        for (int t = 0; t < 2; t++) {
            behind = most(behind, turns[t] * round_trip + (c - 1 - turns[t] * k) * p);
        }
    }
    return behind;
}

/* Section 10's recursion from the last stage to the first: V in value, R in last, T in
 * total. */
static int64_t one_f_one_b_value(const uap_check_setting *setting,
                                 const uap_check_stage *stage)
{
    const int64_t c = setting->micro_batches;
    int64_t round_trip = 0, value = 0, last = 0, total = 0;
    for (int32_t i = setting->pp - 1; i >= 0; i--) {
        const uap_check_stage *s = &stage[i];
        const int64_t p = s->fwd + s->bwd, o = s->send_fwd + s->send_bwd;
        const int64_t k = uap_check_inflight(setting, i);
        round_trip += p + o;
        int64_t longest = c * p;
        longest =
            most(longest, round_trip + (c - 1) * p - (k - 1) * least(s->fwd, s->bwd));
        if (c > k) {
            const int64_t turns[2] = {2, 1 + (c - 1) / k};
            for (int t = 0; t < 2; t++) {
                const int64_t r = turns[t];
                longest = most(longest, r * round_trip + (c - 1 - (r - 1) * k) * p);
            }
        }
        value = most(longest, p + o + value);
        value = most(value, round_trip + (c - 1) * most(s->send_fwd, s->send_bwd));
        last = most(round_trip + s->grad, s->fwd + s->send_fwd + last);
        total = most(value + s->grad, s->fwd + s->send_fwd + total);
        total = most(total, last_behind_first(setting, s, k, round_trip) + last);
    }
    return total;
}

uap_status uap_check_iteration(const uap_check_setting *setting,
                               const uap_check_stage *stage, int64_t *out, uap_err *err)
{
    /* No term above is more than (2 c + 2) times all stages together: a turn r has at most
     * c of RT and c of p. */
    double together = 0;
    for (int32_t i = 0; i < setting->pp; i++) {
        together += (double)stage[i].fwd + (double)stage[i].bwd +
                    (double)stage[i].send_fwd + (double)stage[i].send_bwd +
                    (double)stage[i].grad;
    }
    if (together * (2.0 * (double)setting->micro_batches + 2.0) > 4.6e18) {
        return UAP_FAIL(err, TOO_LARGE, "the iteration may take %g s: expected up to %g",
                        together * (double)setting->micro_batches / UAP_CHECK_TICKS_PER_S,
                        4.6e18 / UAP_CHECK_TICKS_PER_S);
    }
    if (setting->paper) {
        *out = paper_value(setting, stage);
    } else if (setting->pp == 1 || setting->schedule != UAP_SCHEDULE_GPIPE) {
        *out = one_f_one_b_value(setting, stage);
    } else {
        *out = gpipe_value(setting, stage);
    }
    return UAP_OK;
}
