/* Where a rank may run: from files that are made up, and from a system that may have none. */
#include "unit/made_files.h"

#include "profile/binding.h"
#include "profile/findings.h"

static void bind_to(const char *processors, const char *memory)
{
    char text[256];
    (void)snprintf(text, sizeof text,
                   "Name:\tuniap\nCpus_allowed:\tff\nCpus_allowed_list:\t%s\n"
                   "Mems_allowed:\t3\nMems_allowed_list:\t%s\n",
                   processors, memory);
    write_file("proc/self/status", text);
}

/* Two sockets of four cores, a GPU at the second. */
static int set_up(void **state)
{
    if (files_begin(state) != 0) {
        return -1;
    }
    write_file("sys/devices/system/cpu/online", "0-7\n");
    write_file("sys/devices/system/node/online", "0-1\n");
    write_file("sys/devices/system/node/node0/cpulist", "0-1,4-5\n");
    write_file("sys/devices/system/node/node1/cpulist", "2-3,6-7\n");
    write_file("sys/bus/pci/devices/0000:c1:00.0/numa_node", "1\n");
    return 0;
}

static uap_binding read_as(const char *processors, const char *memory, const char *bus_id)
{
    uap_binding binding;
    bind_to(processors, memory);
    uap_binding_read(file_root, bus_id, &binding);
    return binding;
}

static void test_right(void **state)
{
    (void)state;
    const uap_binding b = read_as("2,6-7", "0-1", "0000:C1:00.0");
    assert_i64(b.processors, 3);
    assert_i64(b.online, 8);
    assert_i64(b.numa_node, 1);
    assert_i64(b.device_node, 1);
    assert_false(b.has_far_memory);
    assert_false(uap_binding_is_far(&b));
    assert_false(uap_binding_is_crowded(&b, 3));
    /* Free to run everywhere is not wrong. */
    const uap_binding free_to_run = read_as("0-7", "0-1", "0000:C1:00.0");
    assert_i64(free_to_run.numa_node, -1);
    assert_false(uap_binding_is_far(&free_to_run));
    assert_false(uap_binding_is_crowded(&free_to_run, 64));
    assert_true(free_to_run.set != b.set);
}

static void test_far(void **state)
{
    (void)state;
    const uap_binding far = read_as("0-1", "0-1", "0000:C1:00.0");
    assert_i64(far.numa_node, 0);
    assert_true(uap_binding_is_far(&far));
    const uap_binding memory = read_as("0-1", "1", "");
    assert_i64(memory.device_node, -1);
    assert_true(memory.has_far_memory);
    assert_true(uap_binding_is_far(&memory));
    const uap_binding near = read_as("0-3", "1", "");
    assert_false(uap_binding_is_far(&near));
}

static void test_crowded(void **state)
{
    (void)state;
    const uap_binding one = read_as("0", "0", ""), same = read_as("0", "0", "");
    assert_true(one.set == same.set);
    assert_false(uap_binding_is_crowded(&one, 1));
    assert_true(uap_binding_is_crowded(&one, 2));
}

static void test_nothing_is_there(void **state)
{
    uap_binding b;
    (void)state;
    uap_binding_read("/nowhere", "0000:C1:00.0", &b);
    assert_i64(b.processors, 0);
    assert_i64(b.numa_node, -1);
    assert_i64(b.device_node, -1);
    assert_false(uap_binding_is_far(&b));
    assert_false(uap_binding_is_crowded(&b, 64));
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
        {UAP_FINDING_CROWDED, UAP_ROUND_DEVICES, 1, UAP_NOBODY, .value_s = 4,
         .median_s = 1}};
    const char *const says[] = {"throttled device 1 (node 0): 900 MHz, usually 1500",
                                "processors of NUMA node 0, the device's is 1",
                                "its memory is of other NUMA nodes",
                                "4 ranks on 1 processor, others idle"};
    (void)state;
    for (int i = 0; i < 4; i++) {
        char text[256];
        uap_finding_text(&found[i], &partition, NULL, text, sizeof text);
        assert_non_null(strstr(text, says[i]));
        assert_true(uap_finding_blames_node(&found[i]) == (i == 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_right, set_up, files_end),
        cmocka_unit_test_setup_teardown(test_far, set_up, files_end),
        cmocka_unit_test_setup_teardown(test_crowded, set_up, files_end),
        cmocka_unit_test(test_nothing_is_there),
        cmocka_unit_test(test_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
