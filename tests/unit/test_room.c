/* Rooms: what is read, written, printed and counted inside stays inside. */
#include "check.h"

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/room.h"

#include <pthread.h>
#include <string.h>
#include <unistd.h>

static const uap_room_file given[] = {
    {.name = "there", .text = "text", .n = 4},
    {.name = "faulty", .fault = "faulty: cannot open: why"},
    {.name = "folder", .is_directory = true},
};

static uap_room make(void)
{
    return (uap_room){.file = given, .n_files = sizeof given / sizeof given[0]};
}

static void test_files(void **state)
{
    (void)state;
    uap_room room = make();
    uap_err err = {0};
    char *text = NULL;
    size_t n = 0;
    assert_ok(uap_room_enter(&room, &err), &err);
    assert_ok(uap_file_read("there", 4, &text, &n, &err), &err);
    assert_string_equal(text, "text");
    assert_int_equal(n, 4);
    uap_free(text);
    text = NULL;
    assert_int_equal(uap_file_read("there", 3, &text, &n, &err), UAP_TOO_LARGE);
    uap_err_clear(&err);
    assert_int_equal(uap_file_read("faulty", 9, &text, &n, &err), UAP_IO);
    assert_string_equal(err.msg, "faulty: cannot open: why");
    uap_err_clear(&err);
    assert_int_equal(uap_file_read("folder", 9, &text, &n, &err), UAP_IO);
    uap_err_clear(&err);
    assert_null(room.missing);
    assert_true(uap_file_is_directory("folder"));
    assert_false(uap_file_is_directory("there"));
    /* A file of the system's is none of the room's. */
    assert_int_equal(uap_file_read("/etc/passwd", 1 << 20, &text, &n, &err), UAP_IO);
    assert_string_equal(room.missing, "/etc/passwd");
    assert_null(text);
    uap_room_leave(&room);
    uap_room_clear(&room);
}

static void test_output(void **state)
{
    (void)state;
    uap_room room = make();
    uap_err err = {0};
    assert_ok(uap_room_enter(&room, &err), &err);
    uap_log_setup(UAP_LOG_INFO, 0, NULL, NULL);
    assert_ok(uap_file_check_writable("/no/such/folder/page", &err), &err);
    assert_ok(uap_file_write("/no/such/folder/page", "one", 3, &err), &err);
    assert_ok(uap_file_write("/no/such/folder/page", "second", 6, &err), &err);
    assert_ok(uap_file_write("-", "out", 3, &err), &err);
    UAP_LOG(WARNING, GLOBAL, "a line");
    (void)fprintf(uap_room_out(), "put");
    uap_room_leave(&room);
    assert_string_equal(room.out_text, "output");
    assert_string_equal(room.err_text, "uniap: warning: a line\n");
    assert_int_equal(room.n_lines, 1);
    assert_string_equal(room.page->name, "/no/such/folder/page");
    assert_string_equal(room.page->text, "second");
    assert_null(room.page->next);
    assert_int_not_equal(access("/no/such/folder/page", F_OK), 0);
    uap_room_clear(&room);
    assert_ptr_equal(uap_room_out(), stdout);
    assert_null(uap_room_here());
}

static void test_own_path(void **state)
{
    (void)state;
    uap_room room = make();
    uap_err err = {0};
    char *text = NULL;
    size_t n = 0;
    room.own_path = "room-own";
    assert_ok(uap_room_enter(&room, &err), &err);
    assert_ok(uap_file_write("room-own.old", "kept", 4, &err), &err);
    uap_room_leave(&room);
    uap_room_clear(&room);
    assert_ok(uap_file_read("room-own.old", 9, &text, &n, &err), &err);
    assert_string_equal(text, "kept");
    uap_free(text);
    assert_int_equal(unlink("room-own.old"), 0);
}

static void test_limit(void **state)
{
    (void)state;
    uap_room room = make();
    uap_err err = {0};
    const int64_t before = uap_mem_bytes();
    room.most_bytes = 100000;
    assert_ok(uap_room_enter(&room, &err), &err);
    assert_int_equal(uap_mem_bytes(), 0);
    char *block = uap_calloc(60000, 1);
    assert_non_null(block);
    assert_null(uap_calloc(60000, 1));
    assert_null(uap_calloc(SIZE_MAX / 2, 3));
    char *larger = uap_realloc(block, 90000, 1); /* 30,000 more */
    assert_non_null(larger);
    assert_null(uap_realloc(larger, 120000, 1));
    uap_room_leave(&room);
    assert_true(uap_mem_bytes() >= before + 90000); /* it is the thread's now */
    uap_free(larger);
    uap_room_clear(&room);
    assert_int_equal(uap_mem_bytes(), before);
}

/* Two threads in rooms of their own. */
static void *work(void *context)
{
    uap_room *room = context;
    uap_mem_count count = {0};
    uap_err err = {0};
    (void)uap_mem_count_here(&count);
    if (uap_room_enter(room, &err) == UAP_OK) {
        uap_log_setup(UAP_LOG_WARNING, 0, NULL, NULL);
        for (int i = 0; i < 1000; i++) {
            UAP_LOG(INFO, GLOBAL, "not said");
            UAP_LOG(WARNING, GLOBAL, "%p", (void *)room);
            uap_free(uap_calloc(64, 1));
        }
        uap_room_leave(room);
    }
    return NULL;
}

static void test_threads(void **state)
{
    (void)state;
    uap_room room[2] = {make(), make()};
    pthread_t thread[2];
    char line[64];
    const int64_t before = uap_mem_outstanding();
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&thread[i], NULL, work, &room[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    }
    for (int i = 0; i < 2; i++) {
        (void)snprintf(line, sizeof line, "uniap: warning: %p\n", (void *)&room[i]);
        assert_int_equal(room[i].n_lines, 1000);
        assert_int_equal(room[i].err_bytes, 1000 * strlen(line));
        assert_memory_equal(room[i].err_text, line, strlen(line));
        uap_room_clear(&room[i]);
    }
    assert_int_equal(uap_mem_outstanding(), before);
    assert_true(uap_log_enabled(UAP_LOG_INFO, UAP_LOG_GLOBAL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files), cmocka_unit_test(test_output),
        cmocka_unit_test(test_own_path), cmocka_unit_test(test_limit),
        cmocka_unit_test(test_threads)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
