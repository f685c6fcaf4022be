/* The first plan: it fits, costs what is said of it, and is often the best; stages that are made
 * to fit keep their cuts and ties. */
#include "unit/engines.h"

#include "search/greedy.h"
#include "search/greedy_path.h"

static void its_value_is_the_plans(void **state)
{
    (void)state;
    const uap_generate_range range = {1, 14, 1, 8, 1, 5};
    int found_some = 0;
    int optimal = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        uap_instance *in = random_instance(seed, &range);
        uap_choice choice;
        uap_stage_cost stage[8];
        int64_t value = -1;
        int64_t costed = -2;
        bool found = false;
        uap_err err = {0};
        assert_true(uap_choice_init(&choice, in->pp, in->n_layers));
        assert_ok(uap_greedy_plan(in, &choice, &value, &found, &err), &err);
        if (found) {
            if (!uap_choice_value(in, &choice, stage, &costed) || costed != value) {
                fail_msg("seed %" PRIu64 ": a plan of %" PRId64 ", not %" PRId64, seed,
                         costed, value);
            }
            found_some++;
            if (seed < 600 && in->n_layers <= 7) {
                uap_brute_result truth;
                assert_ok(uap_brute_solve(in, &truth, &err), &err);
                assert_true(truth.feasible && truth.value <= value);
                optimal += truth.value == value;
            }
        }
        uap_choice_free(&choice);
        uap_instance_free(in);
    }
    assert_in_range(found_some, 2200, 3000);
    assert_in_range(optimal, 195, 600);
}

/* Bytes that a plan's stages have too few of, and ticks that they take together. */
static int64_t over_and_time(const uap_instance *in, const uap_choice *choice,
                             int64_t *time)
{
    uap_stage_cost stage[8];
    int64_t over = 0;
    *time = 0;
    uap_choice_stages(in, choice, stage);
    for (int32_t i = 0; i < in->pp; i++) {
        over += stage[i].memory > in->cap[i] ? stage[i].memory - in->cap[i] : 0;
        *time += stage[i].fwd + stage[i].bwd;
    }
    return over;
}

/* From a plan that fits: strategies chosen anew for its cuts mostly fit too, and then mostly take
 * no more time in all. */
static void stages_are_made_to_fit(void **state)
{
    (void)state;
    const uap_generate_range range = {1, 14, 1, 8, 1, 5};
    int tried = 0;
    int fitting = 0;
    int faster = 0;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        uap_instance *in = random_instance(seed, &range);
        uap_arena *arena = uap_arena_new();
        uap_choice choice;
        uap_choice before;
        int64_t value = 0;
        int64_t time[2];
        bool found = false;
        uap_err err = {0};
        assert_true(uap_choice_init(&choice, in->pp, in->n_layers));
        assert_true(uap_choice_init(&before, in->pp, in->n_layers));
        assert_ok(uap_greedy_plan(in, &choice, &value, &found, &err), &err);
        if (found) {
            uap_choice_copy(&before, &choice, in->pp, in->n_layers);
            (void)over_and_time(in, &choice, &time[0]);
            uap_greedy_path_fit(uap_greedy_path_new(in, arena), &choice);
            const bool fits = over_and_time(in, &choice, &time[1]) == 0;
            assert_memory_equal(choice.first, before.first,
                                (size_t)in->pp * sizeof *choice.first);
            for (int32_t t = 0; t < in->n_ties; t++) {
                const uap_tie *tie = &in->tie[t];
                const int32_t class = tie->class_a[before.strategy[tie->a]];
                assert_int_equal(tie->class_a[choice.strategy[tie->a]], class);
                assert_int_equal(tie->class_b[choice.strategy[tie->b]], class);
            }
            tried++;
            fitting += fits;
            faster += fits && time[1] <= time[0];
        }
        uap_choice_free(&choice);
        uap_choice_free(&before);
        uap_arena_free(arena);
        uap_instance_free(in);
    }
    assert_in_range(tried, 600, 1000);
    assert_in_range(fitting, 650, tried);
    assert_in_range(faster, 450, tried);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_value_is_the_plans),
        cmocka_unit_test(stages_are_made_to_fit),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
