/* Plans for one framework, against every plan that there is: each is costed by the check and
 * judged by the export, which know nothing of how the search restricts itself. */
#include "unit/check.h"

#include "plan/check.h"
#include "plan/export.h"
#include "plan/target.h"
#include "search/exact_node.h"
#include "unit/model_texts.h"

typedef struct fixture {
    uap_plan_options options;
    uap_model *model;
    uap_cluster *cluster;
} fixture;

static void set_up(fixture *f, int32_t layers, int64_t memory_bytes, uap_target target)
{
    uap_err err = {0};
    char text[1024];
    *f = (fixture){.options = {.stated = true,
                               .target = target,
                               .cost = {.batch = 8,
                                        .precision = UAP_BF16,
                                        .schedules = (1u << UAP_SCHEDULE_COUNT) - 1,
                                        .space = UAP_SPACE_ALL,
                                        .devices = 4,
                                        .memory_bytes = memory_bytes}}};
    (void)snprintf(text, sizeof text,
                   "{\"model_type\": \"llama\", \"hidden_size\": 512, "
                   "\"intermediate_size\": 2048, \"num_hidden_layers\": %d, "
                   "\"num_attention_heads\": 8, \"num_key_value_heads\": 8, "
                   "\"vocab_size\": 4000, \"max_position_embeddings\": 1024}",
                   (int)layers);
    f->model = load(text);
    assert_ok(uap_cluster_load(UAP_SOURCE_DIR "/configs/clusters/env-b.json", &f->cluster,
                               &err),
              &err);
}

static void tear_down(fixture *f)
{
    uap_cluster_free(f->cluster);
    uap_model_free(f->model);
}

/* What a search says: seconds, or INFINITY where nothing fits. */
static double searched(const fixture *f)
{
    uap_err err = {0};
    uap_target_space *space = NULL;
    uap_result result = {0};
    assert_ok(uap_target_space_new(f->model, f->cluster, &f->options, &space, &err),
              &err);
    const uap_source source = uap_target_space_source(space);
    assert_ok(uap_exact_solve(&source, NULL, &result, &err), &err);
    double seconds = HUGE_VAL;
    if (result.outcome == UAP_OUTCOME_OPTIMAL) {
        int32_t own = 0;
        uap_cost *cost = uap_target_space_cost(space, result.config, &own);
        assert_in_range(own, 0, uap_cost_count(cost) - 1);
        seconds = (double)result.value / (double)UAP_TICKS_PER_SECOND;
    }
    uap_result_free(&result);
    uap_target_space_free(space);
    return seconds;
}

/* ---- Every plan ------------------------------------------------------------------------------ */

typedef struct shape {
    uap_schedule schedule;
    int32_t pp;
    int64_t micro_batches;
    int32_t first[4];
    uap_strategy strategy; /* of the blocks; ends are not run again */
} shape;

static uap_plan *plan_of(const fixture *f, const shape *s)
{
    uap_plan *plan = uap_plan_new();
    const int32_t n = f->model->n_layers;
    assert_non_null(plan);
    assert_true(uap_plan_shape(plan, s->pp, n));
    plan->options = f->options;
    plan->batch = f->options.cost.batch;
    plan->seq = f->model->seq;
    plan->schedule = s->schedule;
    plan->pp = s->pp;
    plan->micro_batches = s->micro_batches;
    plan->device_count = f->options.cost.devices;
    for (int32_t i = 0; i < s->pp; i++) {
        plan->stage[i].first_layer = s->first[i];
        plan->stage[i].last_layer = (i + 1 < s->pp ? s->first[i + 1] : n) - 1;
        for (int32_t u = s->first[i]; u <= plan->stage[i].last_layer; u++) {
            plan->layer[u].stage = i;
            plan->layer[u].has_strategy = true;
            plan->layer[u].strategy = s->strategy;
            plan->layer[u].strategy.recompute =
                s->strategy.recompute && u > 0 && u + 1 < n;
        }
    }
    return plan;
}

/* The time of a plan that is legal, fits and can be exported, else INFINITY. */
static double costed(const fixture *f, const shape *s, uap_export_target target)
{
    uap_err err = {0};
    uap_check check = {0};
    uap_export text = {0};
    double seconds = HUGE_VAL;
    uap_plan *plan = plan_of(f, s);
    assert_ok(uap_check_plan(plan, f->model, f->cluster, &check, &err), &err);
    if (check.n == 0 && check.derived && check.fits) {
        assert_ok(uap_export_plan(plan, target, &text, &err), &err);
        seconds = text.n_refusals == 0 ? plan->tpi_s : HUGE_VAL;
    }
    uap_export_free(&text);
    uap_check_free(&check);
    uap_plan_free(plan);
    return seconds;
}

/* The next ascending cuts, or false. */
static bool next_cuts(shape *s, int32_t n)
{
    for (int32_t i = s->pp - 1; i > 0; i--) {
        if (s->first[i] < n - (s->pp - i)) {
            s->first[i]++;
            for (int32_t k = i + 1; k < s->pp; k++) {
                s->first[k] = s->first[k - 1] + 1;
            }
            return true;
        }
    }
    return false;
}

static double best_cuts(const fixture *f, shape *s, uap_export_target target)
{
    double best = HUGE_VAL;
    for (int32_t i = 0; i < s->pp; i++) {
        s->first[i] = i;
    }
    do {
        best = fmin(best, costed(f, s, target));
    } while (next_cuts(s, f->model->n_layers));
    return best;
}

/* Over the strategies of one (schedule, pp, c). */
static double best_strategy(const fixture *f, shape *s, uap_export_target target)
{
    static const int32_t degree[] = {1, 2, 4};
    double best = HUGE_VAL;
    const int32_t d = (int32_t)f->options.cost.devices / s->pp;
    for (int i = 0; i < 3 * 3 * 3 * 2 * 2; i++) {
        s->strategy = (uap_strategy){.tp = degree[i % 3],
                                     .fsdp = degree[i / 3 % 3],
                                     .zero = (int8_t)(i / 9 % 3),
                                     .sp = i / 27 % 2 != 0,
                                     .recompute = i / 54 % 2 != 0};
        const int32_t ways = s->strategy.tp * s->strategy.fsdp;
        if (d % ways != 0) {
            continue;
        }
        s->strategy.dp = d / ways;
        best = fmin(best, best_cuts(f, s, target));
    }
    return best;
}

static double best_of_all(const fixture *f, uap_export_target target, int32_t most_pp)
{
    double best = HUGE_VAL;
    shape s = {.schedule = UAP_SCHEDULE_1F1B};
    for (s.pp = 1; s.pp <= most_pp; s.pp *= 2) {
        for (s.micro_batches = 1; s.micro_batches <= 8; s.micro_batches *= 2) {
            for (int k = 0; k < (s.pp > 1 ? UAP_SCHEDULE_COUNT : 1); k++) {
                s.schedule = (uap_schedule)k; /* pp = 1: the first */
                best = fmin(best, best_strategy(f, &s, target));
            }
        }
    }
    return best;
}

/* ---- Tests ----------------------------------------------------------------------------------- */

static void nothing_better_exists(void **state)
{
    static const struct {
        uap_target target;
        uap_export_target export;
        int32_t most_pp;
    } row[] = {{UAP_TARGET_MEGATRON, UAP_EXPORT_MEGATRON, 4},
               {UAP_TARGET_TORCHTITAN, UAP_EXPORT_TORCHTITAN, 4},
               {UAP_TARGET_DEEPSPEED, UAP_EXPORT_DEEPSPEED, 1}};
    static const int64_t memory[] = {(int64_t)1 << 34, 200000000, 160000000, 20000000};
    int feasible = 0, infeasible = 0;
    (void)state;
    for (size_t r = 0; r < sizeof row / sizeof row[0]; r++) {
        for (size_t m = 0; m < sizeof memory / sizeof memory[0]; m++) {
            fixture f;
            set_up(&f, 4, memory[m], row[r].target);
            const double expected = best_of_all(&f, row[r].export, row[r].most_pp);
            const double found = searched(&f);
            print_message("%s, %" PRId64 " bytes: %g s\n", uap_target_name(row[r].target),
                          memory[m], found);
            assert_int_equal(isinf(found), isinf(expected));
            if (!isinf(expected)) {
                assert_close(found, expected, 1e-9, 1e-10);
                feasible++;
            } else {
                infeasible++;
            }
            tear_down(&f);
        }
    }
    assert_true(feasible > 3 && infeasible > 0);
}

static void refused_inputs(void **state)
{
    fixture f;
    uap_err err = {0};
    uap_target_space *space = NULL;
    (void)state;
    set_up(&f, 2, 0, UAP_TARGET_TORCHTITAN);
    f.options.cost.precision = UAP_FP16;
    assert_status(uap_target_space_new(f.model, f.cluster, &f.options, &space, &err),
                  UAP_BAD_USAGE, &err);
    assert_non_null(strstr(err.msg, "--for torchtitan: found --precision fp16"));
    uap_err_clear(&err);
    f.options.cost.precision = UAP_BF16;
    f.options.operator_granularity = true;
    assert_status(uap_target_space_new(f.model, f.cluster, &f.options, &space, &err),
                  UAP_BAD_USAGE, &err);
    assert_non_null(strstr(err.msg, "expected --granularity block"));
    uap_target_space_free(space);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(nothing_better_exists, check_no_leaks),
        cmocka_unit_test_teardown(refused_inputs, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
