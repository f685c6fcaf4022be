/* Host lists there and back, against what `scontrol show hostlist` and `hostnames` print. */
#include "unit/check.h"

#include "bench/rng.h"
#include "profile/hostlist.h"

#include <string.h>

#define NAMES_MAX 64

typedef struct names {
    char text[NAMES_MAX][32];
    const char *name[NAMES_MAX];
    size_t n;
} names;

static void check_compressed(const char *const *name, size_t n, const char *expected)
{
    uap_err err = {0};
    char *list = NULL;
    assert_ok(uap_hostlist_compress(name, n, &list, &err), &err);
    assert_string_equal(list, expected);
    uap_free(list);
}

#define COMPRESSED(expected, ...)                                                        \
    do {                                                                                 \
        const char *const list_[] = {__VA_ARGS__};                                       \
        check_compressed(list_, sizeof list_ / sizeof list_[0], (expected));             \
    } while (0)

static void test_compress(void **state)
{
    (void)state;
    check_compressed(NULL, 0, "");
    COMPRESSED("vn[1-2,4]", "vn1", "vn2", "vn4");
    COMPRESSED("vn7", "vn7");
    COMPRESSED("vn7", "vn7", "vn7");
    COMPRESSED("login", "login");
    COMPRESSED("gpu-a[001-003],vn[1-2]", "gpu-a002", "vn2", "gpu-a001", "vn1",
               "gpu-a003");
    COMPRESSED("b[9-11],a1", "b10", "a1", "b9", "b11");
    COMPRESSED("n[08-11]", "n11", "n08", "n09", "n10");
    COMPRESSED("n[099-101]", "n099", "n100", "n101");
    COMPRESSED("n,n[1-2]", "n2", "n", "n1");
    COMPRESSED("10-0-0-[1-3]", "10-0-0-1", "10-0-0-2", "10-0-0-3");
    COMPRESSED("[1-2]", "1", "2");
    COMPRESSED("x1234567890123456", "x1234567890123456");
}

static void check_expanded(const char *list, const char *expected)
{
    uap_err err = {0};
    char joined[512] = "";
    char **name = NULL;
    size_t n = 0;
    assert_ok(uap_hostlist_expand(list, &name, &n, &err), &err);
    for (size_t i = 0; i < n; i++) {
        (void)strncat(joined, name[i], 100);
        (void)strncat(joined, " ", 2);
    }
    assert_string_equal(joined, expected);
    uap_hostlist_free(name, n);
}

static void test_expand(void **state)
{
    (void)state;
    check_expanded("", "");
    check_expanded("vn1", "vn1 ");
    check_expanded("vn[1-2,4],gpu-a[001-003]", "vn1 vn2 vn4 gpu-a001 gpu-a002 gpu-a003 ");
    check_expanded("n[08-11]", "n08 n09 n10 n11 ");
    check_expanded("n[5]-ib,n[1-2]-ib", "n5-ib n1-ib n2-ib ");
}

static void test_bad_lists(void **state)
{
    static const char *const bad[] = {",",
                                      "a,",
                                      "a,,b",
                                      "a[",
                                      "a[]",
                                      "a[1",
                                      "a[1-]",
                                      "a[2-1]",
                                      "a[1,]",
                                      "a]",
                                      "a[1][2]",
                                      "a b",
                                      "a[x]",
                                      "a[1-2-3]",
                                      "a[1]b[2]",
                                      "a[1 2]",
                                      "a[1234567890123456]"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uap_err err = {0};
        char **name = NULL;
        size_t n = 0;
        const uap_status rc = uap_hostlist_expand(bad[i], &name, &n, &err);
        if (rc != UAP_BAD_INPUT) {
            print_error("'%s' was taken\n", bad[i]);
        }
        assert_status(rc, UAP_BAD_INPUT, &err);
        assert_non_null(strstr(err.msg, "host list"));
        assert_true(name == NULL && n == 0);
    }
    uap_err err = {0};
    char **name = NULL;
    size_t n = 0;
    assert_status(uap_hostlist_expand("a[1-2000000]", &name, &n, &err), UAP_TOO_LARGE,
                  &err);
    static const char *const no_names[] = {"", "a,b", "a[1]", "a b"};
    for (size_t i = 0; i < 4; i++) {
        char *list = NULL;
        uap_err_clear(&err);
        assert_status(uap_hostlist_compress(&no_names[i], 1, &list, &err), UAP_BAD_INPUT,
                      &err);
    }
    assert_i64(uap_mem_outstanding(), 0);
}

/* Random names: what is expanded from the list are the names, each once. */
static void test_round_trip(void **state)
{
    uap_rng rng;
    (void)state;
    uap_rng_seed(&rng, 5);
    for (int trial = 0; trial < 2000; trial++) {
        static const char *const prefix[] = {"n", "gpu-", "a", "rack1-n", ""};
        names all = {.n = 0};
        uap_err err = {0};
        char *list = NULL, **name = NULL;
        size_t n = 0;
        const size_t wanted = (size_t)uap_rng_range(&rng, 1, NAMES_MAX);
        for (size_t i = 0; i < wanted; i++) {
            const int p = (int)uap_rng_range(&rng, 0, 4);
            const int width = (int)uap_rng_range(&rng, 1, 3);
            char *text = all.text[all.n];
            (void)snprintf(text, sizeof all.text[0], "%s%0*d", prefix[p], width,
                           (int)uap_rng_range(&rng, 0, 120));
            bool seen = false;
            for (size_t j = 0; j < all.n; j++) {
                seen = seen || strcmp(all.text[j], text) == 0;
            }
            all.name[all.n] = text;
            all.n += !seen;
        }
        assert_ok(uap_hostlist_compress(all.name, all.n, &list, &err), &err);
        assert_ok(uap_hostlist_expand(list, &name, &n, &err), &err);
        if (n != all.n) {
            print_error("%s\n", list);
        }
        assert_i64((int64_t)n, (int64_t)all.n);
        for (size_t i = 0; i < n; i++) {
            bool found = false;
            for (size_t j = 0; j < all.n; j++) {
                found = found || strcmp(all.text[j], name[i]) == 0;
            }
            assert_true(found);
        }
        uap_hostlist_free(name, n);
        uap_free(list);
    }
}

static void test_no_memory(void **state)
{
    static const char *const name[] = {"a1", "a2", "b7"};
    uap_err err = {0};
    uap_status rc = UAP_NO_MEMORY;
    char *list = NULL, **back = NULL;
    size_t n = 0;
    (void)state;
    for (int64_t i = 0; rc == UAP_NO_MEMORY; i++) {
        uap_err_clear(&err);
        uap_mem_fail_after(i);
        rc = uap_hostlist_compress(name, 3, &list, &err);
        uap_mem_fail_after(-1);
    }
    assert_ok(rc, &err);
    assert_string_equal(list, "a[1-2],b7");
    rc = UAP_NO_MEMORY;
    for (int64_t i = 0; rc == UAP_NO_MEMORY; i++) {
        uap_err_clear(&err);
        uap_mem_fail_after(i);
        rc = uap_hostlist_expand(list, &back, &n, &err);
        uap_mem_fail_after(-1);
    }
    assert_ok(rc, &err);
    assert_i64((int64_t)n, 3);
    uap_hostlist_free(back, n);
    uap_free(list);
    assert_i64(uap_mem_outstanding(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_compress),  cmocka_unit_test(test_expand),
        cmocka_unit_test(test_bad_lists), cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
