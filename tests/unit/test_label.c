/* Dominance among labels of stage 0 (search/label.h) against what it promises: whatever
 * follows, the label that stays costs no more than the one that goes. */
#include "unit/check.h"

#include "bench/rng.h"
#include "common/numbers.h"
#include "search/label.h"
#include "search/objective.h"

#include <string.h>

#define STAGES      3
#define COMPLETIONS 40

static uap_label draw_label(uap_rng *rng)
{
    const int64_t f = uap_rng_range(rng, 0, 12);
    return (uap_label){.f = f,
                       .p = f + uap_rng_range(rng, 0, 12),
                       .g = uap_rng_range(rng, 0, 40),
                       .m = uap_rng_range(rng, 0, 1),
                       .w = uap_rng_range(rng, 0, 1)};
}

/* What may follow: links and stages short or long, so that each term decides at times. */
static void draw_rest(uap_rng *rng, uap_stage_cost *stage)
{
    for (int32_t i = 0; i < STAGES; i++) {
        const int64_t longest = uap_rng_range(rng, 0, 1) == 0 ? 2 : 15;
        stage[i].send_fwd = i + 1 < STAGES ? uap_rng_range(rng, 0, longest) : 0;
        stage[i].send_bwd = i + 1 < STAGES ? uap_rng_range(rng, 0, longest) : 0;
        if (i > 0) {
            stage[i].fwd = uap_rng_range(rng, 0, longest);
            stage[i].bwd = uap_rng_range(rng, 0, longest);
            stage[i].grad = uap_rng_range(rng, 0, 1) * uap_rng_range(rng, 0, 200);
        }
    }
}

static int64_t total_with(const uap_label *label, uap_schedule schedule, int64_t c,
                          uap_stage_cost *stage, const int64_t *inflight)
{
    stage[0].fwd = label->f;
    stage[0].bwd = label->p - label->f;
    stage[0].grad = label->g;
    return uap_schedule_total(schedule, STAGES, c, stage, inflight);
}

static void no_completion_prefers_what_went(void **state)
{
    (void)state;
    uap_rng rng;
    uap_rng_seed(&rng, 77);
    uap_label_list a = {0};
    uap_label_list b = {0};
    uap_label_list both = {0};
    assert_true(uap_labels_reserve(&a, 1) && uap_labels_reserve(&b, 1));
    a.n = b.n = 1;
    int dropped = 0;
    int larger_g = 0;
    for (int repeat = 0; repeat < 20000; repeat++) {
        const uap_schedule schedule =
            (uap_schedule)uap_rng_range(&rng, UAP_SCHEDULE_1F1B, UAP_SCHEDULE_1F1B_EAGER);
        const int64_t c = uap_rng_range(&rng, 1, 7);
        int64_t inflight[STAGES];
        for (int32_t i = 0; i < STAGES; i++) {
            inflight[i] = uap_rng_range(&rng, 1, 5);
        }
        a.at[0] = draw_label(&rng);
        b.at[0] = draw_label(&rng);
        const uap_dominance rule = {
            .first_stage = true, .c = c, .k = uap_min_i64(inflight[0], c)};
        assert_true(uap_labels_merge(&a, &b, rule, &both));
        if (both.n == 2) {
            continue;
        }
        assert_int_equal(both.n, 1);
        const uap_label *kept = &both.at[0];
        const uap_label *gone =
            memcmp(kept, a.at, sizeof *kept) == 0 ? &b.at[0] : &a.at[0];
        assert_true(kept->m <= gone->m && kept->w <= gone->w);
        dropped++;
        larger_g += kept->g > gone->g;
        for (int j = 0; j < COMPLETIONS; j++) {
            uap_stage_cost stage[STAGES] = {{0}};
            draw_rest(&rng, stage);
            assert_i64_le(total_with(kept, schedule, c, stage, inflight),
                          total_with(gone, schedule, c, stage, inflight));
        }
    }
    assert_true(dropped > 1000 && larger_g > 100);
    uap_labels_free(&a);
    uap_labels_free(&b);
    uap_labels_free(&both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_completion_prefers_what_went),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
