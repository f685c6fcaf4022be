/* The exact engine against CBC on instances beyond brute force. */
#include "unit/engines.h"

static void exact_equals_cbc(void **state)
{
    (void)state;
    static const uap_generate_range range = {8, 10, 3, 4, 1, 3};
    const agreement seen = assert_engines_agree(500000, 40, &range, 30.0);
    /* Where CBC proves little, little was compared. */
    assert_in_range(seen.unproven, 0, seen.instances / 4);
    assert_in_range(seen.live, seen.instances / 10, seen.instances);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_equals_cbc),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
