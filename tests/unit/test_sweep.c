/* Sweeps: which counts, what a point is worth, and what a plan of one count is on another. */
#include "unit/plan_fixture.h"

#include "cli/sweep_counts.h"
#include "plan/plan_carry.h"
#include "plan/sweep.h"
#include "search/exact_bytes.h"

#define CONFIGS UAP_SOURCE_DIR "/configs"

/* ---- Counts ---------------------------------------------------------------------------------- */

static void check_counts(const char *text, const int64_t *expected, size_t n_expected)
{
    static int64_t count[UAP_SWEEP_COUNTS_MAX];
    size_t n = 0;
    uap_err err = {0};
    print_message("%s\n", text);
    assert_ok(uap_sweep_counts(text, count, &n, &err), &err);
    assert_int_equal(n, n_expected);
    for (size_t i = 0; i < n; i++) {
        assert_i64(count[i], expected[i]);
    }
}

static void forms_of_counts(void **state)
{
    (void)state;
    check_counts("64:1024", (int64_t[]){64, 128, 256, 512, 1024}, 5);
    check_counts("64:1000", (int64_t[]){64, 128, 256, 512}, 4);
    check_counts("3:30:*3", (int64_t[]){3, 9, 27}, 3);
    check_counts("8:32:+8", (int64_t[]){8, 16, 24, 32}, 4);
    check_counts("8:32:12", (int64_t[]){8, 20, 32}, 3);
    check_counts("7", (int64_t[]){7}, 1);
    check_counts("96,8:32,16,1048576", (int64_t[]){8, 16, 32, 96, 1048576}, 5);
}

static void refused_counts(void **state)
{
    static const char *const text[] = {
        "",     "0:4",    "4:2",    ":4",     "4:",        "a",
        "4:8:", "4:8:*1", "4:8:*0", "4:8:+0", "4:8:x",     "4:8:*2x",
        "4,",   "4 8",    "-4:8",   "4:8:/2", "1:1048577", "99999999999999999999"};
    static int64_t count[UAP_SWEEP_COUNTS_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof text / sizeof text[0]; i++) {
        size_t n = 0;
        uap_err err = {0};
        print_message("'%s'\n", text[i]);
        assert_status(uap_sweep_counts(text[i], count, &n, &err), UAP_BAD_USAGE, &err);
        assert_non_null(strstr(err.msg, "--sweep-devices: found '"));
    }
    size_t n = 0;
    uap_err err = {0};
    assert_status(uap_sweep_counts("1:4097:+1", count, &n, &err), UAP_BAD_USAGE, &err);
    assert_non_null(strstr(err.msg, "at most 4096 counts"));
    assert_ok(uap_sweep_counts("1:4096:+1", count, &n, &err), &err);
}

/* ---- Figures --------------------------------------------------------------------------------- */

static uap_plan *point_of(uap_plan_status status, double tpi_s)
{
    uap_plan *plan = uap_plan_new();
    assert_non_null(plan);
    plan->status = status;
    if (status != UAP_PLAN_INFEASIBLE) {
        assert_true(uap_plan_shape(plan, 1, 1));
        plan->tpi_s = tpi_s;
        plan->throughput_samples_per_s = 100 / tpi_s;
    }
    return plan;
}

static void figures(void **state)
{
    uap_sweep sweep;
    uap_err err = {0};
    (void)state;
    assert_ok(uap_sweep_init(&sweep, (int64_t[]){1, 2, 4, 8}, 4, &err), &err);
    sweep.point[0].plan = point_of(UAP_PLAN_INFEASIBLE, 0);
    sweep.point[1].plan = point_of(UAP_PLAN_OPTIMAL, 36);
    sweep.point[2].plan = point_of(UAP_PLAN_FEASIBLE, 20);
    assert_true(isnan(uap_sweep_figures_of(&sweep, 0).efficiency));
    assert_close(uap_sweep_figures_of(&sweep, 1).efficiency, 1, 1e-12, 0);
    assert_close(uap_sweep_figures_of(&sweep, 2).efficiency, 0.9, 1e-12, 0);
    assert_true(isnan(uap_sweep_figures_of(&sweep, 3).device_hours_per_sample));
    /* 2 devices x 36 s for 100 samples. */
    assert_close(uap_sweep_figures_of(&sweep, 1).device_hours_per_sample,
                 2.0 * 36 / 3600 / 100, 1e-12, 0);
    assert_string_equal(uap_sweep_status(&sweep.point[0]), "infeasible");
    assert_string_equal(uap_sweep_status(&sweep.point[2]), "feasible");
    assert_string_equal(uap_sweep_status(&sweep.point[3]), "unknown");
    uap_sweep_free(&sweep);
}

/* ---- Lent plans ------------------------------------------------------------------------------ */

static void set_up_counts(fixture *f, const char *model, int64_t devices)
{
    const pair p = {.model = model,
                    .cluster = "h100-64",
                    .batch = 48,
                    .seq = 512,
                    .precision = UAP_BF16,
                    .cost = UAP_COST_FULL,
                    .space = UAP_SPACE_ALL,
                    .devices = devices};
    set_up(f, &p, CONFIGS);
    f->options.cost.schedules = 1u << UAP_SCHEDULE_1F1B;
    for (int32_t i = 0; i < f->cluster->n_classes; i++) {
        f->cluster->device_class[i].memory_bytes = (int64_t)80 << 30;
    }
    uap_err err = {0};
    uap_cost_free(f->cost);
    assert_ok(uap_cost_new(f->model, f->cluster, &f->options.cost, &f->cost, &err), &err);
}

/* The best plan of this count, and its value. */
static uap_plan *solve(fixture *f, int64_t *value)
{
    uap_err err = {0};
    uap_result result = {0};
    uap_plan *plan = NULL;
    const uap_source source = uap_cost_source(f->cost);
    assert_ok(uap_exact_solve(&source, NULL, &result, &err), &err);
    const uap_plan_inputs in = {.model = f->model,
                                .cluster = f->cluster,
                                .cost = f->cost,
                                .options = &f->options,
                                .result = &result,
                                .enough_devices = UAP_PLAN_UNSTATED,
                                .enough_memory = UAP_PLAN_UNSTATED};
    assert_ok(uap_plan_build(&in, &plan, &err), &err);
    *value = result.value;
    uap_result_free(&result);
    return plan;
}

/* What was lent is a plan of one of the configurations, that fits and costs what it says. */
static void check_lent(fixture *f, const uap_carried *lent, int64_t optimum)
{
    uap_err err = {0};
    uap_result got = {0};
    uap_instance *in = NULL;
    uap_stage_cost stage[1024];
    int64_t value = 0;
    const uap_source source = uap_cost_source(f->cost);
    assert_ok(uap_plan_from_bytes(lent->bytes, &got, &err), &err);
    assert_in_range(got.config, 0, source.n - 1);
    assert_ok(source.build(source.context, got.config, &in, &err), &err);
    assert_non_null(in);
    const uap_exact_sizes sizes = {.stages = in->pp, .layers = in->n_layers};
    assert_int_equal(lent->n, uap_plan_bytes_max(&sizes));
    assert_true(uap_choice_value(in, &got.choice, stage, &value));
    assert_i64(value, lent->value);
    assert_i64_le(optimum, lent->value);
    uap_result_free(&got);
    uap_instance_free(in);
}

static void lent_plans_hold(void **state)
{
    static const char *const model[] = {"bert-huge", "llama-7b", "t5-large"};
    static const int64_t counts[] = {8, 16, 24, 64};
    (void)state;
    for (size_t m = 0; m < 3; m++) {
        uap_plan *plan[4];
        int64_t value[4];
        fixture f[4];
        for (int i = 0; i < 4; i++) {
            set_up_counts(&f[i], model[m], counts[i]);
            plan[i] = solve(&f[i], &value[i]);
            assert_int_equal(plan[i]->status, UAP_PLAN_OPTIMAL);
        }
        int n_lent = 0;
        for (int i = 0; i < 16; i++) {
            uap_err err = {0};
            uap_carried lent = {0};
            fixture *to = &f[i % 4];
            assert_ok(uap_plan_carry((const uap_plan *const *)&plan[i / 4], 1, to->cost,
                                     &lent, &err),
                      &err);
            if (lent.n > 0) {
                check_lent(to, &lent, value[i % 4]);
                n_lent++;
            }
            if (i / 4 == i % 4) { /* to itself: nothing is lost */
                assert_true(lent.n > 0);
                assert_i64(lent.value, value[i % 4]);
            }
            uap_carried_free(&lent);
        }
        assert_true(n_lent >= 12);
        for (int i = 0; i < 4; i++) {
            uap_plan_free(plan[i]);
            tear_down(&f[i]);
        }
    }
}

static void nothing_to_lend(void **state)
{
    fixture f;
    uap_err err = {0};
    uap_carried lent = {0};
    uap_plan *none = point_of(UAP_PLAN_INFEASIBLE, 0);
    (void)state;
    set_up_counts(&f, "bert-huge", 8);
    assert_ok(uap_plan_carry((const uap_plan *const *)&none, 1, f.cost, &lent, &err),
              &err);
    assert_int_equal(lent.n, 0);
    uap_plan_free(none);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(forms_of_counts, check_no_leaks),
        cmocka_unit_test_teardown(refused_counts, check_no_leaks),
        cmocka_unit_test_teardown(figures, check_no_leaks),
        cmocka_unit_test_teardown(lent_plans_hold, check_no_leaks),
        cmocka_unit_test_teardown(nothing_to_lend, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
