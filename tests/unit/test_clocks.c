/* Reading clocks: from files that are made up, and from a system that may have none. */
#include "unit/check.h"

#include "profile/clocks.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char root[64];

/* Writes root/path, making its folders. */
static void write_file(const char *path, const char *text)
{
    char full[512];
    (void)snprintf(full, sizeof full, "%s/%s", root, path);
    for (char *slash = strchr(full + 1, '/'); slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        (void)mkdir(full, 0700);
        *slash = '/';
    }
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    (void)state;
    (void)snprintf(root, sizeof root, "/tmp/uap_clocks_XXXXXX");
    return mkdtemp(root) == NULL;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    (void)snprintf(command, sizeof command, "rm -r %s", root);
    return system(command);
}

static void test_nothing_is_there(void **state)
{
    uap_device_clocks clocks;
    (void)state;
    uap_cpu_clocks(root, 0, &clocks);
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
    uap_cpu_clocks(root, 1, &clocks);
    assert_close(clocks.mhz, 2000.25, 0, 0);
    uap_cpu_clocks(root, 2, &clocks);
    assert_close(clocks.mhz, 0, 0, 0);
    /* The kernel's own file is the better one. */
    write_file("sys/devices/system/cpu/cpu1/cpufreq/scaling_cur_freq", "3100000\n");
    write_file("sys/devices/system/cpu/cpu1/thermal_throttle/core_throttle_count", "7\n");
    uap_cpu_clocks(root, 1, &clocks);
    assert_close(clocks.mhz, 3100, 0, 0);
    assert_i64(clocks.throttles, 7);
    uap_cpu_clocks(root, 0, &clocks);
    assert_close(clocks.mhz, 1000.5, 0, 0);
    assert_i64(clocks.throttles, -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_nothing_is_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_files, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
