/* Whether a plan fits, told by reach, against the least overshoot of all plans and, where
 * nothing is relaxed, against brute force. */
#include "unit/engines.h"

#include "search/frugal.h"

static void what_fits_is_what_overshoots_nowhere(void **state)
{
    (void)state;
    const uap_generate_range range = {1, 16, 1, 9, 1, 7};
    int count[2] = {0, 0};
    int proven = 0;
    for (uint64_t seed = 0; seed < 3000; seed++) {
        uap_instance *in = random_instance(seed, &range);
        uap_shortage shortage = {0};
        uap_err err = {0};
        bool fits = false;
        int64_t overshoot = 0;
        /* Caps at which few plans fit: what the most frugal one needs, or a byte less in one
         * stage, and each stage's its own. */
        assert_ok(uap_frugal_plan(in, &shortage, &overshoot, &err), &err);
        for (int32_t i = 0; i < in->pp && seed % 3 != 0; i++) {
            in->cap[i] += overshoot -
                          (int64_t)(seed % 2) * (seed % (uint64_t)in->pp == (uint64_t)i);
            in->cap[i] = in->cap[i] > 0 ? in->cap[i] : 0;
        }
        assert_ok(uap_frugal_plan(in, &shortage, &overshoot, &err), &err);
        assert_ok(uap_frugal_fits(in, &fits, &err), &err);
        if (fits != (overshoot <= 0)) {
            fail_msg("seed %" PRIu64 ": fits %d, overshoot %" PRId64, seed, fits,
                     overshoot);
        }
        count[fits]++;
        if (in->n_layers <= 7 && in->n_live == 0 && in->n_ties == 0 && seed < 900) {
            uap_brute_result truth;
            assert_ok(uap_brute_solve(in, &truth, &err), &err);
            assert_true(truth.feasible == fits);
            proven++;
        }
        uap_instance_free(in);
    }
    assert_in_range(count[false], 500, 2500);
    assert_in_range(count[true], 500, 2500);
    assert_in_range(proven, 100, 900);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_fits_is_what_overshoots_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
