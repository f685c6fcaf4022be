/* The first plan: it fits, and costs what is said of it, whichever way changes were costed. */
#include "unit/engines.h"

#include "search/greedy.h"

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
    assert_in_range(found_some, 1500, 3000);
    assert_in_range(optimal, 50, 600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_value_is_the_plans),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
