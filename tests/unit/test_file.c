/* Whole files: what is refused, what stands after a failed write, what a write keeps. */
#include "check.h"

#include "common/file.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static char directory[] = "/tmp/uniap-test-file-XXXXXX";

static int set_up(void **state)
{
    (void)state;
    return mkdtemp(directory) != NULL && chdir(directory) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    return chdir("/") == 0 && rmdir(directory) == 0 ? 0 : -1;
}

static int count_entries(void)
{
    int n = 0;
    DIR *dir = opendir(".");
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        n++;
    }
    (void)closedir(dir);
    return n - 2; /* . and .. */
}

static void assert_content(const char *path, const char *expected)
{
    uap_err err = {0};
    char *text = NULL;
    size_t n = 0;
    assert_ok(uap_file_read(path, 1000, &text, &n, &err), &err);
    assert_int_equal(n, strlen(expected));
    assert_string_equal(text, expected);
    uap_free(text);
}

static void write_then_read(void **state)
{
    (void)state;
    uap_err err = {0};
    assert_ok(uap_file_write("a.txt", "one", 3, &err), &err);
    assert_content("a.txt", "one");
    assert_ok(uap_file_write("a.txt", "", 0, &err), &err);
    assert_content("a.txt", "");
    assert_int_equal(count_entries(), 1);
    assert_int_equal(unlink("a.txt"), 0);
}

static void a_file_keeps_its_mode_and_a_link_stays(void **state)
{
    (void)state;
    uap_err err = {0};
    struct stat info;
    const mode_t mask = umask(027);
    assert_ok(uap_file_write("new.txt", "x", 1, &err), &err);
    (void)umask(mask);
    assert_int_equal(stat("new.txt", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0640);
    assert_int_equal(chmod("new.txt", 0604), 0);
    assert_int_equal(symlink("new.txt", "link.txt"), 0);
    assert_ok(uap_file_write("link.txt", "yz", 2, &err), &err);
    assert_int_equal(lstat("link.txt", &info), 0);
    assert_true(S_ISLNK(info.st_mode));
    assert_int_equal(stat("new.txt", &info), 0);
    assert_int_equal(info.st_mode & 0777, 0604);
    assert_content("new.txt", "yz");
    assert_int_equal(unlink("link.txt") + unlink("new.txt"), 0);
}

static void reads_are_bounded_before_they_start(void **state)
{
    (void)state;
    uap_err err = {0};
    char *text = NULL;
    size_t n = 0;
    /* A terabyte with nothing in it: reading it would fail in other ways. */
    const int fd = open("huge.json", O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0 && ftruncate(fd, (off_t)1 << 40) == 0 && close(fd) == 0);
    assert_status(uap_file_read("huge.json", 100, &text, &n, &err), UAP_TOO_LARGE, &err);
    assert_string_equal(err.msg,
                        "huge.json: found 1099511627776 bytes, expected at most 100");
    assert_int_equal(unlink("huge.json"), 0);
    assert_null(text);
}

static void only_regular_files_are_read(void **state)
{
    (void)state;
    static const char *const path[] = {"absent", ".", "/dev/zero", "pipe"};
    static const char *const message[] = {
        "absent: cannot open: No such file or directory",
        ".: found a directory, expected a file",
        "/dev/zero: found a device or pipe, expected a regular file",
        "pipe: found a device or pipe, expected a regular file"};
    assert_int_equal(mkfifo("pipe", 0600), 0);
    for (size_t i = 0; i < 4; i++) {
        uap_err err = {0};
        char *text = NULL;
        size_t n = 0;
        assert_status(uap_file_read(path[i], 100, &text, &n, &err), UAP_IO, &err);
        assert_string_equal(err.msg, message[i]);
        assert_null(text);
    }
    assert_int_equal(unlink("pipe"), 0);
}

static void outputs_that_cannot_be_written_are_told_early(void **state)
{
    (void)state;
    static const char *const path[] = {"absent/plan.json", ".", "", "/proc/plan.json"};
    for (size_t i = 0; i < 4; i++) {
        uap_err err = {0};
        assert_status(uap_file_check_writable(path[i], &err), UAP_IO, &err);
        uap_err_clear(&err);
        assert_status(uap_file_write(path[i], "x", 1, &err), UAP_IO, &err);
    }
    uap_err err = {0};
    assert_ok(uap_file_check_writable("plan.json", &err), &err);
    assert_ok(uap_file_check_writable("-", &err), &err);
    assert_int_equal(count_entries(), 0);
}

/* The limit on the size of files stands for a disk that is full. */
static void a_failed_write_leaves_the_old_file(void **state)
{
    (void)state;
    uap_err err = {0};
    struct rlimit old;
    assert_ok(uap_file_write("plan.json", "old", 3, &err), &err);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    const struct rlimit small = {.rlim_cur = 4, .rlim_max = old.rlim_max};
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    const uap_status rc = uap_file_write("plan.json", "longer than four", 16, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_status(rc, UAP_IO, &err);
    assert_string_equal(err.msg, "plan.json: cannot write: File too large");
    assert_content("plan.json", "old");
    assert_int_equal(unlink("plan.json"), 0);
    assert_int_equal(count_entries(), 0);
}

static void no_memory_leaves_the_old_file(void **state)
{
    (void)state;
    uap_status rc = UAP_NO_MEMORY;
    uap_err err = {0};
    assert_ok(uap_file_write("plan.json", "old", 3, &err), &err);
    for (int tried = 0; rc != UAP_OK; tried++) {
        assert_content("plan.json", "old");
        uap_err_clear(&err);
        uap_mem_fail_after(tried);
        rc = uap_file_write("plan.json", "new", 3, &err);
        uap_mem_fail_after(-1);
        assert_status(rc, rc == UAP_OK ? UAP_OK : UAP_NO_MEMORY, &err);
        assert_int_equal(count_entries(), 1);
        assert_true(tried < 10);
    }
    assert_content("plan.json", "new");
    assert_int_equal(unlink("plan.json"), 0);
}

static void a_full_device_is_an_error(void **state)
{
    (void)state;
    uap_err err = {0};
    assert_status(uap_file_write("/dev/full", "new", 3, &err), UAP_IO, &err);
    assert_string_equal(err.msg, "/dev/full: cannot write: No space left on device");
}

static void devices_are_written_not_replaced(void **state)
{
    (void)state;
    uap_err err = {0};
    struct stat info;
    assert_ok(uap_file_write("/dev/null", "x", 1, &err), &err);
    assert_int_equal(stat("/dev/null", &info), 0);
    assert_true(S_ISCHR(info.st_mode));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(write_then_read, check_no_leaks),
        cmocka_unit_test_teardown(a_file_keeps_its_mode_and_a_link_stays, check_no_leaks),
        cmocka_unit_test_teardown(reads_are_bounded_before_they_start, check_no_leaks),
        cmocka_unit_test_teardown(only_regular_files_are_read, check_no_leaks),
        cmocka_unit_test_teardown(outputs_that_cannot_be_written_are_told_early,
                                  check_no_leaks),
        cmocka_unit_test_teardown(a_failed_write_leaves_the_old_file, check_no_leaks),
        cmocka_unit_test_teardown(no_memory_leaves_the_old_file, check_no_leaks),
        cmocka_unit_test_teardown(a_full_device_is_an_error, check_no_leaks),
        cmocka_unit_test_teardown(devices_are_written_not_replaced, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
