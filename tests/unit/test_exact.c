/* The exact engine against brute force on small random instances. */
#include "unit/engines.h"

#include "bench/rng.h"

#define INSTANCES 3000

/* Faults in dominance show once in a thousand, hence so many. */
static const uap_generate_range small = {1, 7, 1, 5, 1, 5};

static void compare(const uap_instance *in, uint64_t seed, uap_brute_result *truth)
{
    uap_err err = {0};
    assert_ok(uap_brute_solve(in, truth, &err), &err);
    const answer a = solve_exactly(in, seed);
    const int64_t expected = truth->feasible ? truth->value : INT64_MAX;
    if (a.value != expected) {
        fail_msg("seed %" PRIu64 " (L %d, pp %d, c %d, objective %d, %s): exact %" PRId64
                 ", brute force %" PRId64,
                 seed, in->n_layers, in->pp, in->micro_batches, (int)in->objective,
                 uap_schedule_name(in->schedule), a.value, expected);
    }
}

static void exact_equals_brute_force(void **state)
{
    (void)state;
    int infeasible = 0;
    int binding = 0;
    int live = 0;
    for (uint64_t seed = 0; seed < INSTANCES; seed++) {
        uap_instance *in = random_instance(seed, &small);
        uap_brute_result truth;
        compare(in, seed, &truth);
        infeasible += !truth.feasible;
        binding += truth.feasible && truth.unlimited < truth.value;
        live += in->n_live > 0;
        uap_instance_free(in);
    }
    printf("%d instances: %d infeasible, %d with memory binding, %d with a live tensor\n",
           INSTANCES, infeasible, binding, live);
    assert_in_range(infeasible, INSTANCES / 5, INSTANCES / 2);
    assert_in_range(binding, INSTANCES * 3 / 10, INSTANCES);
    assert_in_range(live, INSTANCES / 5, INSTANCES);
}

/* Instances with much gradient work on late layers, at least `stages` of them apart. */
static void weigh_late_gradient_work(const uap_generate_range *range, int32_t stages,
                                     uint64_t seed)
{
    for (int counted = 0; counted < 500; seed++) {
        uap_instance *in = random_instance(seed, range);
        if (in->objective == UAP_OBJECTIVE_FULL && in->pp >= stages) {
            for (int32_t t = 0; t < in->n_tables; t++) {
                const uap_layer_table *table = &in->table[t];
                for (int32_t k = 0; k < table->n; k++) {
                    table->grad[k] += t * (table->fwd[k] + table->bwd[k]);
                }
            }
            uap_brute_result truth;
            compare(in, seed, &truth);
            counted++;
        }
        uap_instance_free(in);
    }
}

/* Gradient work where E decides: on stages behind at least two others, and on the second of
 * two stages of a layer or two. */
static void late_gradient_work_is_weighed(void **state)
{
    (void)state;
    static const uap_generate_range deep = {4, 6, 2, 4, 3, 4};
    static const uap_generate_range two = {2, 3, 3, 6, 2, 2};
    weigh_late_gradient_work(&deep, 3, 100000);
    weigh_late_gradient_work(&two, 2, 200000);
}

/* Each was above the optimum once: pp = 1 under gpipe counted c twice when it looked for a
 * better plan than another's; 1f1b took c p less the shortest round trip for a bound; one
 * micro-batch limited segments to 1 tick where the chain had no time to spare. */
static void what_once_failed_stays_right(void **state)
{
    (void)state;
    static const uint64_t seeds[] = {1302,  3769,  4017,  6522,  10495,
                                     11201, 12946, 14751, 15987, 5009108};
    for (size_t i = 0; i < sizeof seeds / sizeof seeds[0]; i++) {
        uap_instance *in = random_instance(seeds[i], &small);
        uap_brute_result truth;
        compare(in, seeds[i], &truth);
        uap_instance_free(in);
    }
}

static int64_t optimum(const uap_instance *in, int64_t rough_work, int64_t *labels)
{
    const uap_source source = uap_source_of_instance(in);
    const uap_limits limits = {.rough_work = rough_work};
    uap_result result = {0};
    uap_err err = {0};
    assert_ok(uap_exact_solve(&source, &limits, &result, &err), &err);
    assert_true(result.outcome == UAP_OUTCOME_OPTIMAL ||
                result.outcome == UAP_OUTCOME_INFEASIBLE);
    const bool found = result.outcome == UAP_OUTCOME_OPTIMAL;
    const int64_t value = found ? result.value : INT64_MAX;
    *labels += result.stats.labels;
    uap_result_free(&result);
    return value;
}

/* Runs of equal layers with many strategies in two layouts, within which resharding is free:
 * walked in any order within rough limits, in one order within sharp ones. */
static void the_order_within_a_block_does_not_matter(void **state)
{
    (void)state;
    uap_rng rng;
    uap_rng_seed(&rng, 5);
    int64_t rough = 0;
    int64_t sharp = 0;
    int feasible = 0;
    for (int repeat = 0; repeat < 150; repeat++) {
        const bool varied = uap_rng_chance(&rng, 0.2);
        const uap_generate_large what = {
            .family = varied ? UAP_FAMILY_VARIED : UAP_FAMILY_UNIFORM,
            .objective = (uap_objective)uap_rng_range(&rng, 0, 1),
            .schedule = (uap_schedule)uap_rng_range(&rng, 0, UAP_SCHEDULE_COUNT - 1),
            .n_layers = (int32_t)uap_rng_range(&rng, 8, 24),
            .n_strategies = (int32_t)uap_rng_range(&rng, 8, 24),
            .pp = (int32_t)uap_rng_range(&rng, 1, 3),
            .micro_batches = (int32_t)uap_rng_range(&rng, 1, 6),
            .tightness = uap_rng_real(&rng, 0.02, 0.4),
            .unequal_caps = uap_rng_chance(&rng, 0.5),
            .seed = (uint64_t)repeat,
        };
        uap_instance *in = NULL;
        uap_err err = {0};
        assert_ok(uap_generate_family(&what, &in, &err), &err);
        for (int32_t e = 0; e < in->n_edges; e++) {
            for (int32_t k = 0; k < what.n_strategies; k++) {
                const int32_t layout = k % 3 == 0 ? 0 : 5;
                in->edge[e].from_class[k] = in->edge[e].to_class[k] = layout;
            }
        }
        const int64_t any_order = optimum(in, INT64_MAX, &rough);
        const int64_t one_order = optimum(in, -1, &sharp);
        if (any_order != one_order) {
            fail_msg("case %d: %" PRId64 " in any order, %" PRId64 " in one", repeat,
                     any_order, one_order);
        }
        feasible += any_order < INT64_MAX;
        uap_instance_free(in);
    }
    printf("labels: %" PRId64 " in any order, %" PRId64 " in one\n", rough, sharp);
    assert_true(feasible > 75);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_equals_brute_force),
        cmocka_unit_test(late_gradient_work_is_weighed),
        cmocka_unit_test(what_once_failed_stays_right),
        cmocka_unit_test(the_order_within_a_block_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
