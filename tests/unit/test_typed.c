/* Mixed clusters, as instances: every engine against brute force and against each other. */
#include "unit/engines.h"

#include "bench/rng.h"
#include "search/frugal.h"
#include "search/instance_json.h"
#include "search/mix_frugal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define INSTANCES 2000

static uap_instance *typed_instance(uint64_t seed, const uap_generate_range *range)
{
    uap_instance *in = NULL;
    uap_err err = {0};
    assert_ok(uap_generate_typed(seed, range, &in, &err), &err);
    assert_ok(uap_instance_check(in, &err), &err);
    return in;
}

static const uap_generate_range tiny = {1, 5, 2, 5, 1, 4};

static void cbc_equals_brute_force(void **state)
{
    (void)state;
    int infeasible = 0;
    for (uint64_t seed = 0; seed < 150; seed++) {
        uap_instance *in = typed_instance(seed, &tiny);
        uap_brute_result truth;
        uap_err err = {0};
        assert_ok(uap_brute_solve(in, &truth, &err), &err);
        const answer a = solve_with(uap_cbc_solve, in, 0.0, seed);
        const int64_t expected = truth.feasible ? truth.value : INT64_MAX;
        const bool close = (a.value == INT64_MAX) == (expected == INT64_MAX) &&
                           llabs(a.value - expected) <= expected / 1000000;
        if (!close) {
            fail_msg("seed %" PRIu64 ": CBC %" PRId64 ", brute force %" PRId64, seed,
                     a.value, expected);
        }
        infeasible += !truth.feasible;
        uap_instance_free(in);
    }
    printf("%d of 150 infeasible\n", infeasible);
    assert_in_range(infeasible, 15, 90);
}

/* What compare_all has seen. */
typedef struct seen {
    int infeasible, by_groups, memory, groups, starts, ties;
} seen;

static void compare(const uap_instance *in, uint64_t seed, seen *s)
{
    uap_brute_result truth;
    uap_err err = {0};
    assert_ok(uap_brute_solve(in, &truth, &err), &err);
    const answer a = solve_exactly(in, seed);
    const int64_t expected = truth.feasible ? truth.value : INT64_MAX;
    if (a.value != expected) {
        fail_msg("seed %" PRIu64 " (L %d, pp %d, c %d, objective %d, %s): exact %" PRId64
                 ", brute force %" PRId64,
                 seed, in->n_layers, in->pp, in->micro_batches, (int)in->objective,
                 uap_schedule_name(in->schedule), a.value, expected);
    }
    s->infeasible += !truth.feasible;
    s->by_groups += !truth.feasible && truth.unlimited == INT64_MAX;
    s->memory += truth.feasible && truth.unlimited < truth.value;
    s->starts += in->start_act != NULL;
    s->ties += in->n_ties > 0;
    uap_instance *free_groups = uap_instance_copy(in);
    uap_brute_result more;
    assert_non_null(free_groups);
    for (int32_t g = 0; g < in->n_groups; g++) {
        free_groups->group_devices[g] = 1000;
    }
    assert_ok(uap_brute_solve(free_groups, &more, &err), &err);
    s->groups += truth.feasible && more.value < truth.value;
    uap_instance_free(free_groups);
}

static const uap_generate_range small = {1, 6, 2, 7, 1, 5};

static void exact_equals_brute_force(void **state)
{
    (void)state;
    seen s = {0};
    for (uint64_t seed = 1000; seed < 1000 + INSTANCES; seed++) {
        uap_instance *in = typed_instance(seed, &small);
        compare(in, seed, &s);
        uap_instance_free(in);
    }
    printf(
        "%d instances: %d infeasible, %d of them by groups or ties alone; memory binds "
        "in %d, groups in %d; %d keep from the start on, %d with a tie\n",
        INSTANCES, s.infeasible, s.by_groups, s.memory, s.groups, s.starts, s.ties);
    assert_in_range(s.infeasible, INSTANCES / 10, INSTANCES * 6 / 10);
    assert_in_range(s.memory, INSTANCES / 10, INSTANCES);
    assert_in_range(s.groups, INSTANCES / 10, INSTANCES);
}

/* The same with gradient work where E decides. */
static void late_gradient_work_is_weighed(void **state)
{
    (void)state;
    seen s = {0};
    int counted = 0;
    for (uint64_t seed = 50000; counted < 300; seed++) {
        uap_instance *in = typed_instance(seed, &small);
        if (in->objective == UAP_OBJECTIVE_FULL && in->pp >= 2) {
            for (int32_t t = 0; t < in->n_tables; t++) {
                const uap_layer_table *table = &in->table[t];
                for (int32_t k = 0; k < table->n; k++) {
                    table->grad[k] += t * (table->fwd[k] + table->bwd[k]);
                }
            }
            compare(in, seed, &s);
            counted++;
        }
        uap_instance_free(in);
    }
}

#define MIDDLE 8 /* instances of middle size; CBC takes a second or so for each */

/* Where brute force ends, CBC goes on: the same value, or none at all. */
static void exact_equals_cbc_at_middle_size(void **state)
{
    (void)state;
    static const uap_generate_range middle = {8, 12, 4, 6, 2, 5};
    int compared = 0;
    int infeasible = 0;
    for (uint64_t seed = 9000; compared < MIDDLE; seed++) {
        uap_instance *in = typed_instance(seed, &middle);
        const answer exact = solve_exactly(in, seed);
        const answer cbc = solve_with(uap_cbc_solve, in, 20.0, seed);
        const bool is_proven =
            cbc.outcome == UAP_OUTCOME_OPTIMAL || cbc.outcome == UAP_OUTCOME_INFEASIBLE;
        /* CBC's gap is 1e-6, and what it has not proven it may miss. */
        const int64_t slack = exact.value / 1000000;
        if (is_proven && ((exact.value == INT64_MAX) != (cbc.value == INT64_MAX) ||
                          llabs(exact.value - cbc.value) > slack)) {
            fail_msg("seed %" PRIu64 ": exact %" PRId64 ", CBC %" PRId64, seed,
                     exact.value, cbc.value);
        }
        if (!is_proven && cbc.value < exact.value) {
            fail_msg("seed %" PRIu64 ": exact %" PRId64 ", a plan of %" PRId64, seed,
                     exact.value, cbc.value);
        }
        compared += is_proven;
        infeasible += is_proven && exact.value == INT64_MAX;
        uap_instance_free(in);
    }
    printf("%d instances, %d infeasible\n", compared, infeasible);
}

/* One type for all stages, of a group with devices enough, is no type at all. */
static void one_type_is_none(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < 200; seed++) {
        uap_instance *in = random_instance(seed, &small);
        in->n_live = 0;
        const answer plain = solve_exactly(in, seed);
        uap_stage_type type = {.group = 0, .devices = 2, .cap = UAP_VALUE_LIMIT};
        int64_t devices = 2 * (int64_t)in->pp;
        int32_t none[16] = {0};
        in->n_types = in->n_groups = 1;
        in->type = &type;
        in->group_devices = &devices;
        for (int32_t t = 0; t < in->n_tables; t++) {
            in->table[t].type = none;
        }
        const answer typed = solve_exactly(in, seed);
        if (typed.value != plain.value) {
            fail_msg("seed %" PRIu64 ": %" PRId64 " with a type, %" PRId64 " without",
                     seed, typed.value, plain.value);
        }
        if (in->pp > 1) {
            devices--;
            assert_int_equal(solve_exactly(in, seed).outcome, UAP_OUTCOME_INFEASIBLE);
        }
        uap_instance_free(in);
    }
}

/* Numbers of types and groups are names. */
static void numbering_does_not_matter(void **state)
{
    (void)state;
    static const uap_generate_range middle = {5, 10, 3, 8, 2, 4};
    for (uint64_t seed = 0; seed < 60; seed++) {
        uap_instance *in = typed_instance(seed, &middle);
        const int64_t before = solve_exactly(in, seed).value;
        const int32_t last = in->n_types - 1;
        const int32_t group = in->n_groups - 1;
        for (int32_t t = 0; t < in->n_tables; t++) {
            for (int32_t k = 0; k < in->table[t].n; k++) {
                in->table[t].type[k] = last - in->table[t].type[k];
            }
        }
        for (int32_t t = 0; t <= last; t++) {
            in->type[t].group = group - in->type[t].group;
        }
        for (int32_t t = 0; t < last - t; t++) {
            const uap_stage_type swap = in->type[t];
            in->type[t] = in->type[last - t];
            in->type[last - t] = swap;
            for (int32_t u = 0; in->start_act != NULL && u < in->n_layers; u++) {
                int64_t *a = &in->start_act[t * in->n_layers + u];
                int64_t *b = &in->start_act[(last - t) * in->n_layers + u];
                const int64_t bytes = *a;
                *a = *b;
                *b = bytes;
            }
        }
        for (int32_t g = 0; g < group - g; g++) {
            const int64_t devices = in->group_devices[g];
            in->group_devices[g] = in->group_devices[group - g];
            in->group_devices[group - g] = devices;
        }
        assert_int_equal(solve_exactly(in, seed).value, before);
        uap_instance_free(in);
    }
}

static bool plan_fits(const uap_instance *in, int64_t *overshoot)
{
    uap_shortage shortage = {0};
    uap_err err = {0};
    assert_ok(uap_frugal_plan(in, &shortage, overshoot, &err), &err);
    assert_true(shortage.known == (*overshoot > 0 && *overshoot < UAP_GROUPS_SHORT));
    return *overshoot <= 0;
}

/* What is said not to fit does not, by memory or by devices; without ties and bytes kept from
 * the start on the rest does. */
static void a_frugal_plan_decides(void **state)
{
    (void)state;
    int by_memory = 0;
    int by_groups = 0;
    int right = 0;
    for (uint64_t seed = 0; seed < 600; seed++) {
        uap_instance *in = typed_instance(seed, &small);
        uap_brute_result truth;
        uap_err err = {0};
        int64_t overshoot = 0;
        in->n_ties = 0;
        assert_ok(uap_brute_solve(in, &truth, &err), &err);
        const bool fits = plan_fits(in, &overshoot);
        if (truth.feasible && !fits) {
            fail_msg("seed %" PRIu64 ": a plan of %" PRId64 " fits, not by %" PRId64
                     " bytes",
                     seed, truth.value, overshoot);
        }
        if (in->start_act == NULL && fits && !truth.feasible) {
            fail_msg("seed %" PRIu64 ": nothing fits", seed);
        }
        by_groups += overshoot == UAP_GROUPS_SHORT;
        by_memory += !fits && overshoot < UAP_GROUPS_SHORT;
        right += fits == truth.feasible;
        uap_instance_free(in);
    }
    printf("600 instances: %d short of memory, %d of devices, %d told rightly\n",
           by_memory, by_groups, right);
    assert_in_range(by_memory, 50, 400);
    assert_in_range(by_groups, 20, 400);
    assert_in_range(right, 590, 600);
}

static void files_keep_types(void **state)
{
    (void)state;
    char path[] = "/tmp/uniap-test-typed-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    for (uint64_t seed = 0; seed < 30; seed++) {
        uap_instance *in = typed_instance(seed, &tiny);
        uap_instance *copy = uap_instance_copy(in);
        uap_instance *back = NULL;
        uap_err err = {0};
        assert_non_null(copy);
        assert_ok(uap_instance_save(copy, path, &err), &err);
        assert_ok(uap_instance_load(path, &back, &err), &err);
        assert_int_equal(back->n_types, in->n_types);
        assert_int_equal(back->n_groups, in->n_groups);
        assert_memory_equal(back->type, in->type, (size_t)in->n_types * sizeof *in->type);
        assert_memory_equal(back->group_devices, in->group_devices,
                            (size_t)in->n_groups * sizeof *in->group_devices);
        assert_true((back->start_act == NULL) == (in->start_act == NULL));
        if (in->start_act != NULL) {
            assert_memory_equal(back->start_act, in->start_act,
                                (size_t)(in->n_types * in->n_layers) * sizeof(int64_t));
        }
        for (int32_t u = 0; u < in->n_layers; u++) {
            assert_memory_equal(uap_table_of(back, u)->type, uap_table_of(in, u)->type,
                                (size_t)uap_table_of(in, u)->n * sizeof(int32_t));
        }
        uap_brute_result one;
        uap_brute_result two;
        assert_ok(uap_brute_solve(in, &one, &err), &err);
        assert_ok(uap_brute_solve(back, &two, &err), &err);
        assert_int_equal(one.feasible, two.feasible);
        uap_instance_free(back);
        uap_instance_free(copy);
        uap_instance_free(in);
    }
    (void)unlink(path);
}

static void refused(uap_instance *in, const char *what)
{
    uap_err err = {0};
    assert_int_not_equal(uap_instance_check(in, &err), UAP_OK);
    if (strstr(err.msg, what) == NULL) {
        fail_msg("found \"%s\", expected it to name %s", err.msg, what);
    }
}

static void bad_types_are_refused(void **state)
{
    (void)state;
    uap_instance *in = typed_instance(3, &tiny);
    in->type[0].group = in->n_groups;
    refused(in, "stage type 0");
    in->type[0].group = 0;
    in->type[0].devices = 0;
    refused(in, "stage type 0");
    in->type[0].devices = 1;
    in->table[0].type[0] = in->n_types;
    refused(in, "of strategy 0");
    in->table[0].type[0] = 0;
    in->n_live = 1;
    refused(in, "live tensors");
    in->n_live = 0;
    int32_t *const types = in->table[in->layer_table[0]].type;
    in->table[in->layer_table[0]].type = NULL;
    refused(in, "no types");
    in->table[in->layer_table[0]].type = types;
    in->n_types = 0;
    refused(in, "groups");
    uap_instance_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cbc_equals_brute_force),
        cmocka_unit_test(exact_equals_brute_force),
        cmocka_unit_test(late_gradient_work_is_weighed),
        cmocka_unit_test(exact_equals_cbc_at_middle_size),
        cmocka_unit_test(one_type_is_none),
        cmocka_unit_test(numbering_does_not_matter),
        cmocka_unit_test(a_frugal_plan_decides),
        cmocka_unit_test(files_keep_types),
        cmocka_unit_test(bad_types_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
