/* The checks check: assert_close must not pass what it cannot compare. */
#include "unit/check.h"

static void near_values_are_close(void **state)
{
    (void)state;
    assert_true(check_is_close(1.0 + 1e-9, 1.0, 1e-8, 0.0));
    assert_true(check_is_close(1e-12, 0.0, 0.0, 1e-11));
    assert_false(check_is_close(1.0 + 1e-7, 1.0, 1e-8, 0.0));
    assert_false(check_is_close(1e-12, 0.0, 1.0, 0.0));
}

static void nan_and_infinity_are_never_close(void **state)
{
    (void)state;
    assert_false(check_is_close((double)NAN, 1.0, 1.0, 1.0));
    assert_false(check_is_close(1.0, (double)NAN, 1.0, 1.0));
    assert_false(check_is_close((double)NAN, (double)NAN, 1.0, 1.0));
    assert_false(check_is_close(1.0, (double)INFINITY, 1.0, 1.0));
    assert_false(check_is_close((double)INFINITY, (double)INFINITY, 1.0, 1.0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(near_values_are_close),
        cmocka_unit_test(nan_and_infinity_are_never_close),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
