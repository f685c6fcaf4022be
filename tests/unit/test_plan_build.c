/* From a search result to a plan: what it says is what the objective says, and a result that
 * does not add up is not written down. */
#include "unit/check.h"

#include "plan/enough.h"
#include "plan/plan_build.h"

#include <string.h>

typedef struct fixture {
    uap_plan_options options;
    uap_model *model;
    uap_cluster *cluster;
    uap_cost *cost;
    uap_result result;
    uap_plan_inputs in;
} fixture;

/* vit-huge on the paper's 2 x 4 TITAN Xp, solved; memory_bytes 0: the profile's. */
static void set_up_with(fixture *f, const char *model_path, int64_t memory_bytes,
                        double gap)
{
    uap_err err = {0};
    const uap_model_options model = {.seq = 0};
    memset(f, 0, sizeof *f);
    f->options.cost = (uap_cost_options){.batch = 8,
                                         .precision = UAP_FP32,
                                         .schedules = 1u << UAP_SCHEDULE_1F1B,
                                         .space = UAP_SPACE_ALL,
                                         .memory_bytes = memory_bytes,
                                         .reserve_bytes = (int64_t)1 << 29};
    f->options.gap = gap;
    assert_ok(uap_model_load(model_path, &model, &f->model, &err), &err);
    assert_ok(uap_cluster_load(UAP_SOURCE_DIR "/configs/clusters/env-b.json", &f->cluster,
                               &err),
              &err);
    assert_ok(uap_cost_new(f->model, f->cluster, &f->options.cost, &f->cost, &err), &err);
    const uap_source source = uap_cost_source(f->cost);
    const uap_limits limits = {.gap = gap};
    assert_ok(uap_exact_solve(&source, &limits, &f->result, &err), &err);
    f->result.stats.ranks = 2;
    f->in = (uap_plan_inputs){.model = f->model,
                              .cluster = f->cluster,
                              .cost = f->cost,
                              .options = &f->options,
                              .result = &f->result,
                              .enough_devices = UAP_PLAN_UNSTATED,
                              .enough_memory = UAP_PLAN_UNSTATED};
}

static void set_up(fixture *f, int64_t memory_bytes, double gap)
{
    set_up_with(f, UAP_SOURCE_DIR "/configs/models/vit-huge.json", memory_bytes, gap);
}

static void tear_down(fixture *f)
{
    uap_result_free(&f->result);
    uap_cost_free(f->cost);
    uap_cluster_free(f->cluster);
    uap_model_free(f->model);
}

static double seconds(int64_t ticks)
{
    return (double)ticks / (double)UAP_TICKS_PER_SECOND;
}

/* Stage by stage against the objective on the instance. */
static void assert_stages(const fixture *f, const uap_plan *plan)
{
    uap_err err = {0};
    uap_instance *instance = NULL;
    uap_stage_cost cost[64];
    const uap_source source = uap_cost_source(f->cost);
    assert_ok(source.build(source.context, f->result.config, &instance, &err), &err);
    uap_choice_stages(instance, &f->result.choice, cost);
    const int64_t d = 8 / plan->pp;
    for (int32_t i = 0; i < plan->pp; i++) {
        const uap_plan_stage *stage = &plan->stage[i];
        assert_close(stage->time_s, seconds(cost[i].fwd + cost[i].bwd), 1e-15, 0);
        assert_close(stage->transfer_s, seconds(cost[i].send_fwd + cost[i].send_bwd),
                     1e-15, 0);
        assert_close(stage->per_iteration_s, seconds(cost[i].grad), 1e-15, 0);
        assert_i64(stage->memory_bytes, cost[i].memory);
        assert_i64(stage->memory_cap_bytes, instance->cap[i]);
        assert_i64(stage->first_device, i * d);
        assert_i64(stage->last_device, i * d + d - 1);
        assert_string_equal(stage->device_class, f->cluster->device_class[0].name);
        for (int32_t u = stage->first_layer; u <= stage->last_layer; u++) {
            const uap_strategy *s = &plan->layer[u].strategy;
            assert_int_equal(plan->layer[u].stage, i);
            assert_i64((int64_t)s->dp * s->fsdp * s->tp, d);
            assert_string_equal(plan->layer[u].name, f->model->layer[u].name);
        }
    }
    uap_instance_free(instance);
}

static void a_plan_says_what_the_objective_says(void **state)
{
    (void)state;
    uap_err err = {0};
    fixture f;
    uap_plan *plan = NULL;
    set_up(&f, 0, 0);
    assert_int_equal(f.result.outcome, UAP_OUTCOME_OPTIMAL);
    assert_ok(uap_plan_build(&f.in, &plan, &err), &err);
    assert_int_equal(plan->status, UAP_PLAN_OPTIMAL);
    assert_close(plan->tpi_s, seconds(f.result.value), 1e-15, 0);
    assert_close(plan->bound_s, plan->tpi_s, 0, 0);
    assert_close(plan->gap, 0, 0, 0);
    assert_close(plan->throughput_samples_per_s, 8 / plan->tpi_s, 1e-15, 0);
    assert_i64(plan->n_layers, f.model->n_layers);
    assert_i64(plan->device_count, 8);
    assert_i64(plan->search.ranks, 2);
    assert_true(plan->n_warnings > 0); /* env-b is assumed, and says so */
    assert_stages(&f, plan);
    uap_plan_free(plan);
    tear_down(&f);
}

static void a_result_within_a_gap_is_feasible(void **state)
{
    (void)state;
    uap_err err = {0};
    fixture f;
    uap_plan *plan = NULL;
    set_up(&f, 0, 0);
    f.options.gap = 0.5;
    f.result.bound = f.result.value / 2;
    assert_ok(uap_plan_build(&f.in, &plan, &err), &err);
    assert_int_equal(plan->status, UAP_PLAN_FEASIBLE);
    assert_close(plan->gap, 0.5, 1e-9, 0);
    uap_plan_free(plan);
    tear_down(&f);
}

static void a_result_that_does_not_add_up_is_refused(void **state)
{
    (void)state;
    uap_err err = {0};
    fixture f;
    uap_plan *plan = NULL;
    set_up(&f, 0, 0);
    f.result.value--;
    assert_status(uap_plan_build(&f.in, &plan, &err), UAP_INTERNAL, &err);
    assert_null(plan);
    tear_down(&f);
}

/* Nothing fits: what the plan says would do, does, and one byte less does not. */
static void the_least_memory_is_the_least(void **state)
{
    (void)state;
    static const volatile sig_atomic_t go_on = 0;
    uap_err err = {0};
    fixture f, with;
    uap_plan *plan = NULL;
    set_up(&f, (int64_t)3 << 29, 0);
    assert_int_equal(f.result.outcome, UAP_OUTCOME_INFEASIBLE);
    assert_ok(uap_plan_build(&f.in, &plan, &err), &err);
    assert_int_equal(plan->status, UAP_PLAN_INFEASIBLE);
    assert_true(plan->needs.known);
    assert_null(plan->stage);
    assert_non_null(strstr(plan->reason, "GiB"));
    set_up(&with, plan->needs.device_memory_bytes, 0);
    assert_int_equal(with.result.outcome, UAP_OUTCOME_OPTIMAL);
    tear_down(&with);
    set_up(&with, plan->needs.device_memory_bytes - 1, 0);
    assert_int_equal(with.result.outcome, UAP_OUTCOME_INFEASIBLE);
    tear_down(&with);
    const int64_t enough =
        uap_enough_devices(f.model, f.cluster, &f.options.cost, &go_on);
    assert_true(enough > 8 && enough % 8 == 0);
    uap_plan_free(plan);
    tear_down(&f);
}

/* A T5, whose ties and live tensor take more than the most frugal stages do: with too
 * little for those, then with what they need, then as if that did. */
static void a_lower_bound_is_called_one(void **state)
{
    (void)state;
    static const char path[] = UAP_SOURCE_DIR "/configs/models/t5-large.json";
    static const volatile sig_atomic_t go_on = 0;
    uap_err err = {0};
    fixture f;
    uap_plan *plan = NULL;
    set_up_with(&f, path, (int64_t)3 << 29, 0);
    assert_int_equal(f.result.outcome, UAP_OUTCOME_INFEASIBLE);
    assert_true(f.result.shortage.known && f.result.shortage.is_bound);
    const int64_t least = f.result.shortage.need_bytes + f.options.cost.reserve_bytes;
    const int64_t enough =
        uap_enough_memory(f.model, f.cluster, &f.options.cost, least, &go_on);
    assert_true(enough > least && enough - least <= ((int64_t)1 << 30) / 100);
    assert_i64(uap_enough_memory(f.model, f.cluster, &f.options.cost, enough + 5, &go_on),
               enough + 5);
    f.in.enough_memory = enough;
    assert_ok(uap_plan_build(&f.in, &plan, &err), &err);
    assert_true(plan->needs.known);
    assert_i64(plan->needs.device_memory_bytes, enough);
    assert_non_null(strstr(plan->reason, "needs at least"));
    assert_non_null(strstr(plan->reason, "may make it more; --memory-gib"));
    uap_plan_free(plan);
    f.in.enough_memory = least;
    assert_ok(uap_plan_build(&f.in, &plan, &err), &err);
    assert_null(strstr(plan->reason, "at least"));
    assert_non_null(strstr(plan->reason, "short; --memory-gib"));
    uap_plan_free(plan);
    tear_down(&f);

    set_up_with(&f, path, least, 0);
    assert_int_equal(f.result.outcome, UAP_OUTCOME_INFEASIBLE);
    assert_i64(f.result.shortage.need_bytes, f.result.shortage.cap_bytes);
    assert_ok(uap_plan_build(&f.in, &plan, &err), &err);
    assert_false(plan->needs.known);
    assert_non_null(strstr(plan->reason, "keep theirs, make it more; no larger memory"));
    assert_null(strstr(plan->reason, "short"));
    uap_plan_free(plan);
    tear_down(&f);
}

static void no_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    fixture f;
    uap_status status = UAP_NO_MEMORY;
    set_up(&f, 0, 0);
    const int64_t before = uap_mem_outstanding();
    for (int64_t n = 0; status != UAP_OK; n++) {
        uap_err err = {0};
        uap_plan *plan = NULL;
        uap_mem_fail_after(n);
        status = uap_plan_build(&f.in, &plan, &err);
        uap_mem_fail_after(-1);
        if (status != UAP_OK) {
            assert_status(status, UAP_NO_MEMORY, &err);
            assert_null(plan);
        }
        uap_plan_free(plan);
        assert_i64(uap_mem_outstanding(), before);
        assert_true(n < 100000);
    }
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_plan_says_what_the_objective_says, check_no_leaks),
        cmocka_unit_test_teardown(a_result_within_a_gap_is_feasible, check_no_leaks),
        cmocka_unit_test_teardown(a_result_that_does_not_add_up_is_refused,
                                  check_no_leaks),
        cmocka_unit_test_teardown(the_least_memory_is_the_least, check_no_leaks),
        cmocka_unit_test_teardown(a_lower_bound_is_called_one, check_no_leaks),
        cmocka_unit_test_teardown(no_memory_is_reported_and_nothing_leaks,
                                  check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
