/* A survey of virtual clusters: exactly what was planted is found, at any size; the plan
 * keeps to its budget; what fails underneath is reported. */
#include "unit/check.h"

#include "bench/virtual_cluster.h"

#include <string.h>

static const uap_survey_costs costs = {.order_s = 1e-6,
                                       .round_s = 1e-3,
                                       .connect_s = 0.01,
                                       .device_s = 0.1,
                                       .latency_s = 5e-6,
                                       .inside_Bps = 2e11,
                                       .node_Bps = 4.6e10,
                                       .bytes = 16e6,
                                       .pings = 20,
                                       .transfers = 5};

/* Surveys and compares; all that was planted and nothing else must be found. */
static uap_virtual_survey check_noisy(int32_t nodes, int32_t each, int32_t faults,
                                      uint64_t seed, double noise)
{
    uap_err err = {0};
    uap_partition p;
    uap_survey_plan plan;
    uap_virtual_survey result;
    assert_ok(uap_partition_make(nodes, NULL, each, &p, &err), &err);
    uap_survey_plan_make(&p, &costs, 64, HUGE_VAL, &plan);
    uap_virtual_cluster cluster = {.partition = &p,
                                   .costs = costs,
                                   .deadline_s = 2,
                                   .noise = noise,
                                   .hiccup = 1e-3,
                                   .seed = seed};
    uap_virtual_cluster_plant(&cluster, faults,
                              nodes <= 64 ? UAP_ROUND_PAIRS : UAP_ROUND_SHIFTS);
    assert_ok(uap_virtual_cluster_survey(&cluster, &plan, stdout, &result, &err), &err);
    if (result.missed != 0 || result.false_alarms != 0 ||
        result.found != cluster.n_faults) {
        print_error("%d nodes of %d, %d faults, seed %d: %d missed, %d false alarms\n",
                    (int)nodes, (int)each, (int)cluster.n_faults, (int)seed,
                    (int)result.missed, (int)result.false_alarms);
        fail();
    }
    uap_partition_free(&p);
    return result;
}

static uap_virtual_survey check(int32_t nodes, int32_t each, int32_t faults,
                                uint64_t seed)
{
    return check_noisy(nodes, each, faults, seed, 0.03);
}

static void test_clean(void **state)
{
    (void)state;
    for (int32_t nodes = 1; nodes <= 256; nodes = 2 * nodes + (nodes & 1)) {
        for (uint64_t seed = 0; seed < 10; seed++) {
            (void)check(nodes, 8, 0, seed);
            (void)check(nodes, 1, 0, seed);
        }
    }
}

/* One fault of each kind; more of them where there is room. */
static void test_planted(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        (void)check(16, 8, 9, seed);
        (void)check(64, 4, 18, seed);
        (void)check(100, 8, 18, seed);
        (void)check(16, 1, 4, seed);
    }
}

static void test_many_nodes(void **state)
{
    (void)state;
    const uap_virtual_survey result = check(1024, 8, 27, 3);
    assert_true(result.suspects >= 27 && result.again > 0);
    assert_true(result.bytes < (int64_t)64 << 20);
}

/* Few nodes: one slow one of three or four is named, not those that it meets. Of three
 * values the spread says little, so there is less noise. */
static void test_few_nodes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 20; seed++) {
        (void)check_noisy(3, 1, 2, seed, 0.005);
        (void)check_noisy(4, 1, 2, seed, 0.005);
        (void)check_noisy(5, 2, 3, seed, 0.005);
    }
}

/* A silent device costs its deadlines once: it gets no orders afterwards. */
static void test_silence(void **state)
{
    uap_err err = {0};
    uap_partition p;
    uap_survey_plan plan;
    uap_virtual_survey with, without;
    (void)state;
    assert_ok(uap_partition_make(8, NULL, 4, &p, &err), &err);
    uap_survey_plan_make(&p, &costs, 64, HUGE_VAL, &plan);
    uap_virtual_cluster cluster = {.partition = &p, .costs = costs, .deadline_s = 2};
    assert_ok(uap_virtual_cluster_survey(&cluster, &plan, stdout, &without, &err), &err);
    cluster.n_faults = 1;
    cluster.fault[0] = (uap_virtual_fault){
        {.kind = UAP_FINDING_SILENT, .device = 5, .peer = UAP_NOBODY}, 1};
    assert_ok(uap_virtual_cluster_survey(&cluster, &plan, stdout, &with, &err), &err);
    assert_i64(with.found, 1);
    assert_i64(with.false_alarms, 0);
    assert_i64(with.again, 0);
    assert_close(with.seconds - without.seconds, 2, 0, 0.01);
    uap_partition_free(&p);
}

static bool has(const uap_survey_plan *plan, uap_round_kind kind)
{
    for (int32_t i = 0; i < plan->n; i++) {
        if (plan->stage[i].kind == kind && !plan->stage[i].is_skipped) {
            return true;
        }
    }
    return false;
}

/* The plan's seconds are those that then pass; a budget takes the least useful first. */
static void test_plan(void **state)
{
    uap_err err = {0};
    uap_partition p;
    uap_survey_plan plan;
    (void)state;
    assert_ok(uap_partition_make(64, NULL, 8, &p, &err), &err);
    uap_survey_plan_make(&p, &costs, 64, HUGE_VAL, &plan);
    assert_i64(plan.n, 5);
    const double all_s = uap_survey_expected_s(&plan);
    uap_virtual_cluster cluster = {.partition = &p, .costs = costs, .deadline_s = 2};
    uap_virtual_survey result;
    assert_ok(uap_virtual_cluster_survey(&cluster, &plan, stdout, &result, &err), &err);
    assert_close(result.seconds, all_s, 1e-6, 0);
    uap_survey_plan_make(&p, &costs, 64, 0.99 * all_s, &plan);
    assert_true(has(&plan, UAP_ROUND_SHIFTS) && has(&plan, UAP_ROUND_BISECTION));
    const double shifts_s = uap_survey_expected_s(&plan);
    uap_survey_plan_make(&p, &costs, 64, 0.99 * shifts_s, &plan);
    assert_true(has(&plan, UAP_ROUND_RAILS) && !has(&plan, UAP_ROUND_BISECTION));
    uap_survey_plan_make(&p, &costs, 64, 1e-9, &plan);
    assert_true(has(&plan, UAP_ROUND_DEVICES) && has(&plan, UAP_ROUND_SHIFTS));
    assert_false(has(&plan, UAP_ROUND_RAILS) || has(&plan, UAP_ROUND_INSIDE));
    uap_survey_plan_make(&p, &costs, 63, HUGE_VAL, &plan);
    assert_true(has(&plan, UAP_ROUND_SHIFTS));
    uap_partition_free(&p);
}

/* ---- A machine that is held up --------------------------------------------------------- */

/* One device's flow of round 0 is slow, every time or only at first; the first time that a
 * round is measured again, all of it is. */
typedef struct busy {
    bool is_sick;
    int32_t calls, rounds;
} busy;

static uap_status measure_busy(void *self, uap_round_kind kind, const uap_order *order,
                               uap_sample *sample, int32_t n, uap_err *err)
{
    busy *b = self;
    (void)err;
    const int32_t call = kind == UAP_ROUND_PAIRS ? b->calls++ : -1;
    const bool is_again = call >= b->rounds;
    for (int32_t i = 0; i < n; i++) {
        const bool is_slow =
            order[i].device == 0 && (call == 0 || is_again) && (b->is_sick || !is_again);
        const bool is_held_up = call == b->rounds;
        sample[i].latency_s = 1e-5F;
        sample[i].seconds = is_slow || is_held_up ? 1e-2F : 1e-3F;
    }
    return UAP_OK;
}

/* What holds up a whole round neither makes a finding nor hides one. */
static void test_held_up(void **state)
{
    const uap_survey_limits limits = uap_survey_limits_default();
    uap_err err = {0};
    uap_partition p;
    uap_survey_plan plan;
    (void)state;
    assert_ok(uap_partition_make(6, NULL, 1, &p, &err), &err);
    uap_survey_plan_make(&p, &costs, 64, HUGE_VAL, &plan);
    for (int is_sick = 0; is_sick < 2; is_sick++) {
        busy b = {.is_sick = is_sick == 1, .rounds = 5};
        const uap_survey_machine machine = {.self = &b, .measure = measure_busy};
        uap_survey survey;
        assert_ok(uap_survey_run(&p, &plan, &limits, &machine, &survey, &err), &err);
        assert_i64(survey.findings.n, is_sick);
        assert_i64(survey.usual[UAP_ROUND_PAIRS].again, is_sick ? 3 : 2);
        if (is_sick) {
            assert_i64(survey.findings.finding[0].kind, UAP_FINDING_PAIR);
            assert_i64(survey.findings.finding[0].device, 0);
        }
        uap_survey_free(&survey);
    }
    uap_partition_free(&p);
}

/* ---- Machines that fail ---------------------------------------------------------------- */

static uap_status refuse(void *self, uap_round_kind kind, const uap_order *order,
                         uap_sample *sample, int32_t n, uap_err *err)
{
    int32_t *left = self;
    (void)kind;
    (void)order;
    for (int32_t i = 0; i < n; i++) {
        sample[i].latency_s = sample[i].seconds = 1;
    }
    return (*left)-- > 0 ? UAP_OK : UAP_FAIL(err, MPI, "no network");
}

/* Where rounds take twenty times as long as planned the survey ends about when it should, and
 * still finds what every round shows. */
static void test_slow_machine(void **state)
{
    const uap_survey_costs twenty = {.order_s = 2e-5,
                                     .round_s = 2e-2,
                                     .connect_s = 0.2,
                                     .device_s = 0.1,
                                     .latency_s = 1e-4,
                                     .inside_Bps = 1e10,
                                     .node_Bps = 2.3e9,
                                     .bytes = 16e6,
                                     .pings = 20,
                                     .transfers = 5};
    const int32_t shape[2][2] = {{1, 64}, {48, 1}};
    (void)state;
    for (int i = 0; i < 2; i++) {
        uap_err err = {0};
        uap_partition p;
        uap_survey_plan plan;
        uap_virtual_survey whole, cut;
        assert_ok(uap_partition_make(shape[i][0], NULL, shape[i][1], &p, &err), &err);
        uap_survey_plan_make(&p, &costs, 64, HUGE_VAL, &plan);
        plan.budget_s = 2 * uap_survey_expected_s(&plan);
        uap_virtual_cluster cluster = {
            .partition = &p, .costs = twenty, .deadline_s = 2, .noise = 0.03, .seed = 1};
        cluster.fault[cluster.n_faults++] =
            (uap_virtual_fault){.expected = {.kind = UAP_FINDING_LINK,
                                             .where = plan.stage[1].kind,
                                             .device = 7,
                                             .peer = UAP_NOBODY,
                                             .sends = true,
                                             .receives = true},
                                .factor = 3};
        assert_ok(uap_virtual_cluster_survey(&cluster, &plan, stdout, &whole, &err),
                  &err);
        cluster.keeps_budget = true;
        assert_ok(uap_virtual_cluster_survey(&cluster, &plan, stdout, &cut, &err), &err);
        assert_i64(whole.found, 1);
        assert_i64(cut.found, 1);
        assert_i64(cut.false_alarms, 0);
        assert_true(whole.rounds > 47 && cut.rounds < 30 && cut.rounds >= 6);
        assert_true(cut.seconds < 0.6 * whole.seconds);
        uap_partition_free(&p);
    }
}

/* Errors of the machine in any round, and of memory at any point, come out whole. */
static void test_failures(void **state)
{
    const uap_survey_limits limits = uap_survey_limits_default();
    uap_err err = {0};
    uap_partition p;
    uap_survey_plan plan;
    uap_survey survey;
    int32_t rounds = 0;
    const uap_survey_machine machine = {.self = &rounds, .measure = refuse};
    (void)state;
    assert_ok(uap_partition_make(4, NULL, 2, &p, &err), &err);
    uap_survey_plan_make(&p, &costs, 64, HUGE_VAL, &plan);
    for (int32_t n = 0; n < 8; n++) {
        rounds = n;
        uap_err_clear(&err);
        assert_status(uap_survey_run(&p, &plan, &limits, &machine, &survey, &err),
                      n < 8 ? UAP_MPI : UAP_OK, &err);
    }
    uap_status rc = UAP_NO_MEMORY;
    int64_t n = 0;
    for (; rc == UAP_NO_MEMORY; n++) {
        rounds = 100;
        uap_err_clear(&err);
        uap_mem_fail_after(n);
        rc = uap_survey_run(&p, &plan, &limits, &machine, &survey, &err);
        uap_mem_fail_after(-1);
    }
    assert_ok(rc, &err);
    assert_true(n > 20);
    assert_i64(survey.findings.n, 0);
    uap_survey_free(&survey);
    uap_partition_free(&p);
    assert_i64(uap_mem_outstanding(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),      cmocka_unit_test(test_planted),
        cmocka_unit_test(test_many_nodes), cmocka_unit_test(test_few_nodes),
        cmocka_unit_test(test_silence),    cmocka_unit_test(test_plan),
        cmocka_unit_test(test_held_up),    cmocka_unit_test(test_slow_machine),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
