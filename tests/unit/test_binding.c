/* Where a rank may run: on a machine that is made up (two_sockets.xml: two sockets of four cores,
 * each with a GPU, the second with adapters for RDMA behind switches), and on this one. */
#include "unit/check.h"

#include "profile/binding.h"
#include "profile/findings.h"

#include <stdlib.h>
#include <string.h>

#define FIRST_GPU  "0000:17:00.0"
#define SECOND_GPU "0000:C1:00.0"

static int set_up(void **state)
{
    (void)state;
    return setenv("HWLOC_XMLFILE", UAP_SOURCE_DIR "/tests/unit/two_sockets.xml", 1);
}

static int tear_down(void **state)
{
    (void)state;
    return unsetenv("HWLOC_XMLFILE");
}

static uap_binding read_as(const char *processors, const char *memory, const char *bus_id)
{
    uap_binding binding;
    uap_binding_of(processors, memory, bus_id, &binding);
    return binding;
}

static void test_right(void **state)
{
    (void)state;
    const uap_binding b = read_as("5-7", "0-1", SECOND_GPU);
    assert_i64(b.processors, 3);
    assert_string_equal(b.list, "5-7");
    assert_i64(b.online, 8);
    assert_i64(b.numa_node, 1);
    assert_i64(b.device_node, 1);
    assert_false(b.has_far_memory);
    assert_false(uap_binding_is_far(&b));
    assert_false(uap_binding_is_crowded(&b, 3));
    /* Free to run everywhere is not wrong. */
    const uap_binding free_to_run = read_as("0-7", "0-1", SECOND_GPU);
    assert_i64(free_to_run.numa_node, -1);
    assert_false(uap_binding_is_far(&free_to_run));
    assert_false(uap_binding_is_crowded(&free_to_run, 64));
    assert_true(free_to_run.set != b.set);
}

static void test_far(void **state)
{
    (void)state;
    const uap_binding far = read_as("0-1", "0-1", SECOND_GPU);
    assert_i64(far.numa_node, 0);
    assert_true(uap_binding_is_far(&far));
    assert_false(far.has_far_memory);
    const uap_binding first = read_as("0-1", "0-1", FIRST_GPU);
    assert_i64(first.device_node, 0);
    assert_false(uap_binding_is_far(&first));
    const uap_binding memory = read_as("0-1", "1", "");
    assert_i64(memory.device_node, -1);
    assert_true(memory.has_far_memory);
    assert_true(uap_binding_is_far(&memory));
    const uap_binding near = read_as("0-4", "1", "");
    assert_false(uap_binding_is_far(&near));
    const uap_binding unknown = read_as("0-1", "0", "0000:99:00.0");
    assert_i64(unknown.device_node, -1);
    assert_false(uap_binding_is_far(&unknown));
}

/* Behind the same switch, and the device for RDMA rather than its interface; where there is none,
 * what hangs on the same socket. */
static void test_adapters(void **state)
{
    (void)state;
    assert_string_equal(read_as("0-7", "0-1", SECOND_GPU).adapters, "mlx5_0");
    assert_string_equal(read_as("0-7", "0-1", FIRST_GPU).adapters, "eno1");
    assert_string_equal(read_as("0-7", "0-1", "").adapters, "");
}

/* hwloc takes binding on a machine that is made up for done: what would be done is seen. */
static void test_moves(void **state)
{
    uap_binding b;
    (void)state;
    uap_binding_take(SECOND_GPU, &b);
    assert_true(b.is_moved);
    assert_string_equal(b.list, "4-7");
    assert_i64(b.numa_node, 1);
    assert_false(uap_binding_is_far(&b));
    uap_binding_take("", &b);
    assert_false(b.is_moved);
    assert_string_equal(b.list, "0-7");
    uap_binding_take("0000:99:00.0", &b);
    assert_false(b.is_moved);
}

static void test_crowded(void **state)
{
    (void)state;
    const uap_binding one = read_as("0", "0", ""), same = read_as("0", "0", "");
    assert_true(one.set == same.set);
    assert_false(uap_binding_is_crowded(&one, 1));
    assert_true(uap_binding_is_crowded(&one, 2));
}

/* Whatever it is, there are processors, and nothing is far or crowded for one rank. */
static void test_this_machine(void **state)
{
    uap_binding b;
    (void)state;
    uap_binding_take("", &b);
    assert_true(b.processors > 0 && b.processors <= b.online);
    assert_false(b.is_moved);
    assert_i64(b.device_node, -1);
    assert_false(uap_binding_is_far(&b));
    assert_false(uap_binding_is_crowded(&b, 1));
}

/* What is said of it, and who is drained for it. */
static void test_words(void **state)
{
    static int32_t node_of[2] = {0, 0}, first[2] = {0, 2};
    const uap_partition partition = {
        .nodes = 1, .devices = 2, .node_of = node_of, .first = first};
    const uap_finding found[] = {
        {UAP_FINDING_THROTTLED, UAP_ROUND_DEVICES, 1, UAP_NOBODY, .value_s = 900,
         .median_s = 1500},
        {UAP_FINDING_FAR, UAP_ROUND_DEVICES, 1, UAP_NOBODY, .value_s = 0, .median_s = 1},
        {UAP_FINDING_FAR, UAP_ROUND_DEVICES, 1, UAP_NOBODY, .value_s = 0, .median_s = -1},
        {UAP_FINDING_FAR, UAP_ROUND_DEVICES, 1, UAP_NOBODY, .value_s = -1, .median_s = 1},
        {UAP_FINDING_CROWDED, UAP_ROUND_DEVICES, 1, UAP_NOBODY, .value_s = 4,
         .median_s = 1}};
    const char *const says[] = {"throttled device 1 (node 0): 900 MHz, usually 1500",
                                "processors of NUMA node 0, the device's is 1",
                                "its memory is of other NUMA nodes",
                                "processors of several NUMA nodes, the device's is 1",
                                "4 ranks on 1 processor, others idle"};
    (void)state;
    for (int i = 0; i < 5; i++) {
        char text[256];
        uap_finding_text(&found[i], &partition, NULL, text, sizeof text);
        assert_non_null(strstr(text, says[i]));
        assert_true(uap_finding_blames_node(&found[i]) == (i == 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_right, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_far, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_adapters, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_moves, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_crowded, set_up, tear_down),
        cmocka_unit_test(test_this_machine),
        cmocka_unit_test(test_words),
    };
    /* Those for GPUs leave memory behind when they are unloaded. */
    if (setenv("HWLOC_PLUGINS_PATH", "/nowhere", 1) != 0) {
        return 1;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
