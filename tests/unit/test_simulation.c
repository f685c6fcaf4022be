/* The simulation against pipelines worked out by hand, and the closed forms of
 * search/objective.h against the simulation; prints the distributions of the errors. */
#include "unit/check.h"

#include "bench/sim_errors.h"

#define PIPELINES 3000

static uap_sim_result simulate(int32_t pp, int64_t c, const uap_stage_cost *stage,
                               const int64_t *inflight)
{
    uap_sim_result result = {-1, -1};
    uap_err err = {0};
    assert_ok(uap_pipeline_simulate(pp, c, stage, inflight, &result, &err), &err);
    return result;
}

static void one_stage_is_a_loop(void **state)
{
    (void)state;
    const uap_stage_cost stage[1] = {{.fwd = 3, .bwd = 5, .grad = 7}};
    const int64_t inflight[1] = {1};
    assert_i64(simulate(1, 6, stage, inflight).span, 48);
    assert_i64(simulate(1, 6, stage, inflight).total, 55);
}

/* Forwards end at 7, 11, 15 in stage 1, backwards at 23, 31, 39; stage 0 gets them one
 * later and ends at 44. */
static void gpipe_by_hand(void **state)
{
    (void)state;
    const uap_stage_cost stage[2] = {
        {.fwd = 2, .bwd = 4, .send_fwd = 1, .send_bwd = 1, .grad = 2},
        {.fwd = 4, .bwd = 8, .grad = 9}};
    const int64_t inflight[2] = {3, 3};
    assert_i64(simulate(2, 3, stage, inflight).span, 44);
    assert_i64(simulate(2, 3, stage, inflight).total, 48); /* 39 + 9 in stage 1 */
}

/* Stages of 1 + 1, a link of 5 each way, four micro-batches, two in flight: forwards of
 * stage 0 end at 1, 2, 15, 20 (the backward of 2 waits until 18), they arrive at 6, 11, 20,
 * 25, come back at 13, 18, 27, 32, and the last backward ends at 33. */
static void one_f_one_b_by_hand(void **state)
{
    (void)state;
    const uap_stage_cost stage[2] = {{.fwd = 1, .bwd = 1, .send_fwd = 5, .send_bwd = 5},
                                     {.fwd = 1, .bwd = 1}};
    const int64_t inflight[2] = {2, 1};
    assert_i64(simulate(2, 4, stage, inflight).span, 33);
    /* Three in flight: arrivals 6, 11, 16, 21; back at 13, 18, 23, 28. */
    const int64_t eager[2] = {3, 1};
    assert_i64(simulate(2, 4, stage, eager).span, 29);
}

static void bad_pipelines_are_refused(void **state)
{
    (void)state;
    const uap_stage_cost stage[1] = {{.fwd = 1}};
    const int64_t none[1] = {0};
    uap_sim_result result;
    assert_status(uap_pipeline_simulate(1, 1, stage, none, &result, NULL), UAP_BAD_USAGE,
                  NULL);
    assert_status(uap_pipeline_simulate(0, 1, stage, none, &result, NULL), UAP_BAD_USAGE,
                  NULL);
    assert_int_equal(uap_mem_outstanding(), 0);
}

/* V of a population without gradient work, else V + E. */
static uap_sim_summary measured(uap_schedule schedule, double transfer, double grad,
                                bool is_late)
{
    const bool total = grad > 0.0;
    const uap_sim_population population = {.seed = 20 + (uint64_t)schedule,
                                           .pipelines = PIPELINES,
                                           .transfer = transfer,
                                           .grad = grad,
                                           .is_late = is_late};
    uap_sim_errors errors;
    uap_err err = {0};
    assert_ok(uap_sim_errors_measure(schedule, &population, &errors, &err), &err);
    const uap_sim_summary s =
        uap_sim_summarise(total ? errors.total : errors.span, errors.n);
    printf("%-11s %-5s o <= %.1f f, g <= %.0f %s: mean %.3f %%, least %.2f, p5 %.2f, "
           "median %.2f, "
           "p95 %.2f, largest %.2f %%, above %d, below %d of %d\n",
           uap_schedule_name(schedule), total ? "V+E" : "V", transfer, grad,
           is_late ? "pp p, late" : "p", 100.0 * s.mean_abs, 100.0 * s.least,
           100.0 * s.p5, 100.0 * s.median, 100.0 * s.p95, 100.0 * s.largest, s.above,
           s.below, errors.n);
    uap_sim_errors_free(&errors);
    return s;
}

static void gpipe_is_exact(void **state)
{
    (void)state;
    const uap_sim_summary s = measured(UAP_SCHEDULE_GPIPE, 0.5, 0.0, false);
    assert_close(s.least, 0.0, 0.0, 1e-12);
    assert_close(s.largest, 0.0, 0.0, 1e-12);
}

static void one_f_one_b_is_near_and_never_above(void **state)
{
    (void)state;
    const uap_sim_summary s = measured(UAP_SCHEDULE_1F1B, 0.5, 0.0, false);
    assert_close(s.mean_abs, 0.0, 0.0, 0.005);
    assert_true(s.largest <= 0.0);
}

static void eager_is_nearer_and_never_above(void **state)
{
    (void)state;
    const uap_sim_summary s = measured(UAP_SCHEDULE_1F1B_EAGER, 0.5, 0.0, false);
    assert_close(s.mean_abs, 0.0, 0.0, 0.002);
    assert_true(s.largest <= 0.0);
}

/* Anywhere, and late and much: gpipe exact to the tick, the others near, none ever above;
 * transfers up to half of a stage's forward time. */
static void gradient_work_is_counted(void **state)
{
    (void)state;
    static const double limit[UAP_SCHEDULE_COUNT] = {1e-12, 0.005, 0.002};
    static const struct {
        double grad;
        bool is_late;
    } at[] = {{1.0, false}, {3.0, false}, {30.0, false}, {1.0, true}, {3.0, true}};
    for (int i = 0; i < UAP_SCHEDULE_COUNT; i++) {
        for (size_t j = 0; j < sizeof at / sizeof at[0]; j++) {
            const uap_sim_summary s =
                measured((uap_schedule)i, 0.5, at[j].grad, at[j].is_late);
            assert_true(s.largest <= 0.0);
            assert_close(s.mean_abs, 0.0, 0.0, limit[i]);
        }
    }
}

/* Transfers up to half of a stage's whole time: V itself is further from 1f1b. */
static void slow_links_are_counted(void **state)
{
    (void)state;
    static const double limit[UAP_SCHEDULE_COUNT] = {1e-12, 0.01, 0.002};
    for (int i = 0; i < UAP_SCHEDULE_COUNT; i++) {
        for (int grad = 0; grad < 4; grad += 3) {
            const uap_sim_summary s = measured((uap_schedule)i, 1.5, grad, true);
            assert_true(s.largest <= 0.0);
            assert_close(s.mean_abs, 0.0, 0.0, limit[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_stage_is_a_loop),
        cmocka_unit_test(gpipe_by_hand),
        cmocka_unit_test(one_f_one_b_by_hand),
        cmocka_unit_test(bad_pipelines_are_refused),
        cmocka_unit_test(gpipe_is_exact),
        cmocka_unit_test(one_f_one_b_is_near_and_never_above),
        cmocka_unit_test(eager_is_nearer_and_never_above),
        cmocka_unit_test(gradient_work_is_counted),
        cmocka_unit_test(slow_links_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
