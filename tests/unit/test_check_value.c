/* The time of an iteration as `uap check` works it out, against search/objective.h: the two
 * share no code. */
#include "unit/check.h"

#include "bench/rng.h"
#include "plan/check_internal.h"
#include "search/objective.h"

#define MAX_STAGES 6

/* The last stages have so much gradient work at times that it decides. */
static void draw_stages(uap_rng *rng, int32_t pp, uap_check_stage *found,
                        uap_stage_cost *expected)
{
    const int64_t grad = uap_rng_range(rng, 0, 3);
    for (int32_t i = 0; i < pp; i++) {
        const int64_t link = i + 1 < pp ? uap_rng_range(rng, 0, 20) : 0;
        expected[i] = (uap_stage_cost){.fwd = uap_rng_range(rng, 0, 12),
                                       .bwd = uap_rng_range(rng, 0, 24),
                                       .grad = grad * uap_rng_range(rng, 0, 25 * (i + 1)),
                                       .send_fwd = uap_rng_range(rng, 0, link),
                                       .send_bwd = uap_rng_range(rng, 0, link)};
        found[i] = (uap_check_stage){.fwd = expected[i].fwd,
                                     .bwd = expected[i].bwd,
                                     .grad = expected[i].grad,
                                     .send_fwd = expected[i].send_fwd,
                                     .send_bwd = expected[i].send_bwd};
    }
}

static void the_check_agrees_on_random_stages(void **state)
{
    (void)state;
    uap_rng rng;
    uap_rng_seed(&rng, 5);
    for (int repeat = 0; repeat < 20000; repeat++) {
        uap_check_stage found[MAX_STAGES];
        uap_stage_cost expected[MAX_STAGES];
        int64_t inflight[MAX_STAGES];
        const uap_check_setting setting = {
            .schedule = (uap_schedule)uap_rng_range(&rng, 0, UAP_SCHEDULE_COUNT - 1),
            .pp = (int32_t)uap_rng_range(&rng, 1, MAX_STAGES),
            .micro_batches = uap_rng_range(&rng, 1, 16)};
        draw_stages(&rng, setting.pp, found, expected);
        for (int32_t i = 0; i < setting.pp; i++) {
            inflight[i] = uap_schedule_inflight(setting.schedule, setting.pp, i,
                                                setting.micro_batches);
            assert_i64(uap_check_inflight(&setting, i), inflight[i]);
        }
        int64_t value = -1;
        uap_err err = {0};
        assert_ok(uap_check_iteration(&setting, found, &value, &err), &err);
        assert_i64(value, uap_schedule_total(setting.schedule, setting.pp,
                                             setting.micro_batches, expected, inflight));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_agrees_on_random_stages),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
