/* Reading clocks: from files that are made up, and from a system that may have none. */
#include "unit/made_files.h"

#include "profile/clocks.h"

static void test_nothing_is_there(void **state)
{
    uap_device_clocks clocks;
    (void)state;
    uap_cpu_clocks(file_root, 0, &clocks);
    assert_close(clocks.mhz, 0, 0, 0);
    assert_i64(clocks.throttles, -1);
    assert_false(clocks.is_held_back);
}

static void test_files(void **state)
{
    uap_device_clocks clocks;
    (void)state;
    write_file("proc/cpuinfo", "processor\t: 0\ncpu MHz\t\t: 1000.5\n\n"
                               "processor\t: 1\ncpu MHz\t\t: 2000.25\n\n");
    uap_cpu_clocks(file_root, 1, &clocks);
    assert_close(clocks.mhz, 2000.25, 0, 0);
    uap_cpu_clocks(file_root, 2, &clocks);
    assert_close(clocks.mhz, 0, 0, 0);
    /* The kernel's own file is the better one. */
    write_file("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3100000\n");
    write_file("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "7\n");
    uap_cpu_clocks(file_root, 1, &clocks);
    assert_close(clocks.mhz, 3100, 0, 0);
    assert_i64(clocks.throttles, 7);
    uap_cpu_clocks(file_root, 0, &clocks);
    assert_close(clocks.mhz, 1000.5, 0, 0);
    assert_i64(clocks.throttles, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_there, files_begin, files_end),
        cmocka_unit_test_setup_teardown(test_files, files_begin, files_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
