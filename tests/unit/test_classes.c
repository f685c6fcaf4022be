/* Which nodes are alike. */
#include "unit/check.h"

#include "profile/classes.h"

#include <math.h>
#include <string.h>

static uap_node_kind node(const char *device, int32_t devices, double memory,
                          double seconds)
{
    uap_node_kind kind = {.devices = devices, .memory_bytes = memory, .seconds = seconds};
    (void)snprintf(kind.device, sizeof kind.device, "%s", device);
    return kind;
}

/* The groups of nodes as digits. */
static void check_groups(const uap_node_kind *kind, int32_t n, double ratio,
                         const char *expected)
{
    int32_t group_of[32], groups = 0;
    char text[33] = "";
    uap_err err = {0};
    assert_int_equal(uap_node_groups_choose(kind, n, ratio, group_of, &groups, &err),
                     UAP_OK);
    int32_t largest = 0;
    for (int32_t i = 0; i < n; i++) {
        text[i] = (char)('0' + group_of[i]);
        largest = group_of[i] > largest ? group_of[i] : largest;
    }
    assert_string_equal(text, expected);
    assert_int_equal(groups, largest + 1);
}

/* Groups are numbered by their first nodes, whatever the names' order. */
static void test_device_and_size(void **state)
{
    (void)state;
    const uap_node_kind kind[] = {
        node("V100", 8, 32e9, 1), node("A100", 8, 80e9, 1), node("V100", 8, 32e9, 1),
        node("V100", 4, 32e9, 1), node("A100", 8, 80e9, 1),
    };
    check_groups(kind, 5, 1.15, "01021");
    check_groups(kind, 1, 1.15, "0");
}

static void test_memory(void **state)
{
    (void)state;
    const uap_node_kind kind[] = {node("A100", 8, 80e9, 1), node("A100", 8, 40e9, 1),
                                  node("A100", 8, 79e9, 1), node("A100", 8, 40.5e9, 1)};
    check_groups(kind, 4, 1.15, "0101");
}

/* A gap divides, a slope does not, and what is not known is nowhere apart. */
static void test_speed(void **state)
{
    (void)state;
    const uap_node_kind gap[] = {node("A", 8, 1, 1.33), node("A", 8, 1, 1.00),
                                 node("A", 8, 1, 1.02), node("A", 8, 1, 1.31)};
    const uap_node_kind slope[] = {node("A", 8, 1, 1.0), node("A", 8, 1, 1.1),
                                   node("A", 8, 1, 1.2), node("A", 8, 1, 1.3)};
    const uap_node_kind unknown[] = {node("A", 8, 1, (double)NAN),
                                     node("A", 8, 1, (double)NAN)};
    check_groups(gap, 4, 1.15, "0110");
    check_groups(gap, 4, 1.5, "0000");
    check_groups(slope, 4, 1.15, "0000");
    check_groups(unknown, 2, 1.15, "00");
}

/* The same speed of other devices is another group; too many speeds are none. */
static void test_bounds(void **state)
{
    (void)state;
    const uap_node_kind both[] = {node("A", 8, 1, 1), node("B", 8, 1, 1),
                                  node("B", 8, 1, 2), node("A", 8, 1, 2)};
    uap_node_kind many[20];
    check_groups(both, 4, 1.15, "0123");
    for (int i = 0; i < 20; i++) {
        many[i] = node(i % 2 == 0 ? "A" : "B", 8, 1, pow(1.5, i));
    }
    check_groups(many, 20, 1.15, "01010101010101010101");
    check_groups(many, 8, 1.15, "01234567");
}

static void test_gap(void **state)
{
    (void)state;
    double apart[] = {3, 1, (double)NAN, 1.1}, near[] = {1.1, 1.2, 1}, one[] = {1};
    double even[] = {4, 1, 3, 2};
    assert_true(uap_has_gap(apart, 4, 1.5));
    assert_false(uap_has_gap(near, 3, 1.15));
    assert_false(uap_has_gap(one, 1, 1.15));
    assert_close(uap_lower_median(even, 4), 2, 0, 0);
    assert_true(isnan(uap_lower_median(even, 0)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_device_and_size),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_speed),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_gap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
