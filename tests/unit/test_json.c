/* JSON in and out: every kind of bad text with its place, the typed getters with theirs,
 * and what is written reads back as the same values. */
#include "check.h"

#include "common/file.h"
#include "common/json_read.h"
#include "common/json_write.h"
#include "common/sha256.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- Bad texts --------------------------------------------------------------------- */

typedef struct bad_text {
    const char *text;
    const char *message;
} bad_text;

static const bad_text bad_texts[] = {
    {"", "f:1:1: found an empty file, expected a value"},
    {" \n ", "f:2:2: found the end of the file, expected a value"},
    {"{", "f:1:2: found the end of the file, expected a key in double quotes or '}'"},
    {"{\"a\"", "f:1:5: found the end of the file, expected ':'"},
    {"{\"a\":", "f:1:6: found the end of the file, expected a value"},
    {"{\"a\":1", "f:1:7: found the end of the file, expected ',' or '}'"},
    {"[1,", "f:1:4: found the end of the file, expected a value"},
    {"[1 2]", "f:1:4: found '2', expected ',' or ']'"},
    {"[1}", "f:1:3: found '}', expected ',' or ']'"},
    {"[1]]", "f:1:4: found ']', expected the end of the file"},
    {"{} {}", "f:1:4: found '{', expected the end of the file"},
    {"{a:1}", "f:1:2: found 'a', expected a key in double quotes or '}'"},
    {"{\"a\":1,}", "f:1:8: found '}', expected a key in double quotes"},
    {"[tru]", "f:1:2: found 'tru', expected a value or ']'"},
    {"[NaN]", "f:1:2: found 'NaN', expected a value or ']'"},
    {"[Infinity]", "f:1:2: found 'Infinity', expected a value or ']'"},
    {"[-Infinity]", "f:1:2: found '-Infinity', expected a value or ']'"},
    {"[01]", "f:1:2: found '01', expected a value or ']'"},
    {"[1.]", "f:1:2: found '1.', expected a value or ']'"},
    {"[.5]", "f:1:2: found '.5', expected a value or ']'"},
    {"[1e]", "f:1:2: found '1e', expected a value or ']'"},
    {"[1e999]", "f:1:2: found the number 1e999, expected one that fits 64 bits"},
    {"[-1e999]", "f:1:2: found the number -1e999, expected one that fits 64 bits"},
    {"[0,\n 9223372036854775808]",
     "f:2:2: found the number 9223372036854775808, expected one that fits 64 bits"},
    {"[-9223372036854775809]",
     "f:1:2: found the number -9223372036854775809, expected one that fits 64 bits"},
    {"{\"a\":1,\n\"a\":2}", "f:2:1: found a second key \"a\", expected each key once"},
    {"{\"b\":{\"a\":1,\"\\u0061\":2}}",
     "f:1:13: found a second key \"\\u0061\", expected each key once"},
    {"[\"a\nb\"]",
     "f:1:4: found a control character inside a string, expected a valid string"},
    {"[\"\\q\"]",
     "f:1:3: found an invalid escape inside a string, expected a valid string"},
    {"[\"\\ud83d\\ude00\", \"\\ud83d\"]",
     "f:1:19: found an invalid escape inside a string, expected a valid string"},
    {"[\"\\udc00\"]",
     "f:1:3: found an invalid escape inside a string, expected a valid string"},
    {"[\"\\u12g4\"]",
     "f:1:3: found an invalid escape inside a string, expected a valid string"},
    {"[\"ab", "f:1:2: found a string without its closing quote, expected a valid string"},
    {"[\"\\u0000\"]",
     "f:1:2: found a NUL character in \"\\u0000\", expected text without it"},
    {"[\"\xC3\xA4\", x]", "f:1:7: found 'x', expected a value"},
    {"[\"\xFF\"]", "f:1:2: found bytes that are not UTF-8, expected UTF-8 text"},
    {"\xEF\xBB\xBF{}", "f:1:1: found byte 0xEF, expected a value"},
};

static void bad_texts_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_texts / sizeof bad_texts[0]; i++) {
        uap_err err = {0};
        uap_json *doc = NULL;
        const char *text = bad_texts[i].text;
        assert_status(uap_json_parse("f", text, strlen(text), &doc, &err), UAP_BAD_INPUT,
                      &err);
        assert_string_equal(err.msg, bad_texts[i].message);
        assert_null(doc);
    }
}

static void a_nul_byte_is_refused(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_json *doc = NULL;
    assert_status(uap_json_parse("f", "[1,\0]", 5, &doc, &err), UAP_BAD_INPUT, &err);
    assert_string_equal(err.msg, "f:1:4: found byte 0x00, expected a value");
}

static void nesting_is_limited(void **state)
{
    (void)state;
    enum { LIMIT = 64, DEEP = 100000 };
    char *text = uap_calloc(DEEP + 1, 1);
    uap_err err = {0};
    uap_json *doc = NULL;
    memset(text, '[', LIMIT);
    memset(text + LIMIT, ']', LIMIT);
    assert_ok(uap_json_parse("f", text, 2 * (size_t)LIMIT, &doc, &err), &err);
    uap_json_free(doc);
    memset(text, '[', DEEP);
    assert_status(uap_json_parse("f", text, DEEP, &doc, &err), UAP_BAD_INPUT, &err);
    assert_string_equal(
        err.msg, "f:1:65: found nesting deeper than 64 levels, expected at most 64");
    uap_free(text);
}

/* Any prefix of a valid document is an error or a document, and never worse. */
static void every_truncation_is_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"a\": [1, -2.5e3, \"x\\n\\u00e4\"], \"b\": {\"c\": null}}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        uap_err err = {0};
        uap_json *doc = NULL;
        assert_status(uap_json_parse("f", text, n, &doc, &err), UAP_BAD_INPUT, &err);
        assert_memory_equal(err.msg, "f:1:", 4);
    }
}

/* ---- Getters ----------------------------------------------------------------------- */

static const char sample[] =
    "{\n"
    "  \"name\": \"b\xC3\xA4r\", \"on\": true, \"none\": null,\n"
    "  \"count\": 12, \"big\": 9223372036854775807, \"million\": 1e6, \"half\": 0.5,\n"
    "  \"esc\\u0061pe\": {\"x\": [[1, 2], [3, -4]]}\n"
    "}\n";

static uap_json *sample_document(uap_jval *root)
{
    uap_err err = {0};
    uap_json *doc = NULL;
    assert_ok(uap_json_parse("s.json", sample, strlen(sample), &doc, &err), &err);
    *root = uap_json_root(doc);
    return doc;
}

static void getters_read_values(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_jval root;
    int64_t integer = 0;
    double real = 0;
    bool on = false;
    const char *name = NULL;
    uap_json *doc = sample_document(&root);
    assert_ok(uap_jget_str(&root, "name", &name, &err), &err);
    assert_string_equal(name, "b\xC3\xA4r");
    assert_ok(uap_jget_bool(&root, "on", &on, &err), &err);
    assert_true(on);
    assert_ok(uap_jget_i64(&root, "big", 0, INT64_MAX, &integer, &err), &err);
    assert_i64(integer, INT64_MAX);
    assert_ok(uap_jget_i64(&root, "million", 0, 1000000, &integer, &err), &err);
    assert_i64(integer, 1000000);
    assert_ok(uap_jget_f64(&root, "count", 12, 12, &real, &err), &err);
    assert_close(real, 12, 0, 0);
    assert_ok(uap_jget_f64(&root, "half", 0, 1, &real, &err), &err);
    assert_close(real, 0.5, 0, 0);
    integer = 7;
    assert_ok(uap_jopt_i64(&root, "none", 0, 1, &integer, &err), &err);
    assert_ok(uap_jopt_i64(&root, "absent", 0, 1, &integer, &err), &err);
    assert_i64(integer, 7);
    uap_json_free(doc);
}

static void entries_come_in_file_order(void **state)
{
    (void)state;
    static const char *const keys[] = {"name", "on",      "none", "count",
                                       "big",  "million", "half", "escape"};
    uap_jval root;
    uap_json *doc = sample_document(&root);
    assert_int_equal(uap_jlen(&root), 8);
    for (size_t i = 0; i < 8; i++) {
        assert_string_equal(uap_jentry(&root, i).key, keys[i]);
    }
    assert_string_equal(uap_jentry(&root, 2).key, "none"); /* backwards too */
    assert_string_equal(uap_jentry(&root, 2).key, "none");
    uap_json_free(doc);
}

static void getters_say_what_and_where(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_jval root;
    uap_jval inner;
    int64_t integer = 0;
    double real = 0;
    bool on = false;
    const char *name = NULL;
    uap_json *doc = sample_document(&root);

#define FAILS(call, message)                                                             \
    do {                                                                                 \
        uap_err_clear(&err);                                                             \
        assert_status((call), UAP_BAD_INPUT, &err);                                      \
        assert_string_equal(err.msg, "s.json:" message);                                 \
    } while (0)

    FAILS(uap_jget_i64(&root, "name", 1, 9, &integer, &err),
          "2:11: found the string \"b\xC3\xA4r\", expected an integer from 1 to 9 for "
          "\"name\"");
    FAILS(uap_jget_i64(&root, "half", 0, INT64_MAX, &integer, &err),
          "3:68: found 0.5, expected an integer of at least 0 for \"half\"");
    FAILS(uap_jget_i64(&root, "count", 1, 1, &integer, &err),
          "3:12: found 12, expected the integer 1 for \"count\"");
    FAILS(uap_jget_f64(&root, "count", 0, 1, &real, &err),
          "3:12: found 12, expected a number from 0 to 1 for \"count\"");
    FAILS(uap_jget_f64(&root, "none", 0, HUGE_VAL, &real, &err),
          "2:38: found null, expected a number of at least 0 for \"none\"");
    FAILS(uap_jget_bool(&root, "count", &on, &err),
          "3:12: found 12, expected true or false for \"count\"");
    FAILS(uap_jget_str(&root, "on", &name, &err),
          "2:24: found true, expected a string for \"on\"");
    FAILS(uap_jget_str(&root, "absent", &name, &err),
          "1:1: found no key \"absent\", expected a string");
    FAILS(uap_jget(&root, "escape", UAP_JSON_ARRAY, &inner, &err),
          "4:18: found an object, expected an array for \"escape\"");
    assert_ok(uap_jget(&root, "escape", UAP_JSON_OBJECT, &inner, NULL), NULL);
    FAILS(uap_jget_str(&inner, "y", &name, &err),
          "4:18: found no key \"y\" in \"escape\", expected a string");

    uap_jval x;
    assert_ok(uap_jget(&inner, "x", UAP_JSON_ARRAY, &x, NULL), NULL);
    const uap_jval row = uap_jat(&x, 1);
    const uap_jval entry = uap_jat(&row, 1);
    FAILS(uap_jas_f64(&entry, 0, HUGE_VAL, &real, &err),
          "4:37: found -4, expected a number of at least 0 for \"escape.x[1][1]\"");
    FAILS(uap_jget_str(&x, "y", &name, &err),
          "4:24: found an array, expected an object for \"escape.x\"");
    FAILS(uap_jfail(&row, &err, "a %s", "fault"), "4:33: a fault");
    static const char *const known[] = {"name", "on", "none"};
    FAILS(uap_jcheck_keys(&root, known, 3, &err),
          "3:12: found the unknown key \"count\"");
#undef FAILS
    uap_json_free(doc);
}

/* ---- Writing ----------------------------------------------------------------------- */

static void text_is_sorted_short_and_exact(void **state)
{
    (void)state;
    uap_jout *root = uap_jout_object();
    uap_jout *list = uap_jout_array();
    uap_jset_f64(root, "z", 0.1);
    uap_jset_f64(root, "y", 3);
    uap_jset_i64(root, "x", INT64_MIN);
    uap_jset_null(root, "w");
    uap_jset_bool(root, "v", false);
    uap_jset(root, "list", list);
    uap_jadd_f64(list, 1e-11);
    uap_jadd_str(list, "a\"\\\n\xFF");
    char *text = uap_jout_text(root);
    assert_string_equal(text, "{\"list\": [1e-11, \"a\\\"\\\\\\u000a?\"],\"v\": false,"
                              "\"w\": null,\"x\": -9223372036854775808,\"y\": 3.0,"
                              "\"z\": 0.1}");
    uap_free(text);
    uap_jout_free(root);
}

static void doubles_survive_a_round_trip(void **state)
{
    (void)state;
    static const double value[] = {
        1.0 / 3, 0.1 + 0.2,           5e-324, 1.7976931348623157e308, -0.0,
        1e22,    123456789012345680.0};
    const size_t n = sizeof value / sizeof value[0];
    uap_err err = {0};
    uap_json *doc = NULL;
    uap_jout *list = uap_jout_array();
    for (size_t i = 0; i < n; i++) {
        uap_jadd_f64(list, value[i]);
    }
    char *text = uap_jout_text(list);
    assert_ok(uap_json_parse("f", text, strlen(text), &doc, &err), &err);
    const uap_jval root = uap_json_root(doc);
    for (size_t i = 0; i < n; i++) {
        const uap_jval entry = uap_jat(&root, i);
        double back = 1;
        assert_ok(uap_jas_f64(&entry, -HUGE_VAL, HUGE_VAL, &back, &err), &err);
        assert_memory_equal(&back, &value[i], sizeof back);
    }
    uap_free(text);
    uap_json_free(doc);
    uap_jout_free(list);
}

static void numbers_that_are_not_finite_are_not_written(void **state)
{
    (void)state;
    static const double bad[] = {(double)NAN, HUGE_VAL, -HUGE_VAL};
    for (size_t i = 0; i < 3; i++) {
        uap_err err = {0};
        uap_jout *root = uap_jout_object();
        uap_jout *inner = uap_jout_object();
        uap_jset(root, "inner", inner);
        uap_jset_f64(inner, "time_s", bad[i]); /* after it was moved */
        assert_status(uap_jout_write(root, "not-written.json", &err), UAP_INTERNAL, &err);
        assert_string_equal(
            err.msg, "not-written.json: the value of \"time_s\" is not a finite number");
        assert_null(uap_jout_text(root));
        assert_int_equal(access("not-written.json", F_OK), -1);
        uap_jout_free(root);
    }
}

/* Makes one allocation after the other fail while a tree is built and written. */
static void no_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    uap_status rc = UAP_NO_MEMORY;
    int tried = 0;
    for (; rc != UAP_OK && tried < 1000; tried++) {
        uap_err err = {0};
        uap_mem_fail_after(tried);
        uap_jout *root = uap_jout_object();
        uap_jout *list = uap_jout_array();
        uap_jset(root, "list", list);
        uap_jset_str(root, "name", "value");
        uap_jset_f64(root, "number", 2.5);
        rc = uap_jout_write(root, "memory.json", &err);
        uap_mem_fail_after(-1);
        uap_jout_free(root);
        assert_i64(uap_mem_outstanding(), 0);
        assert_true(rc == UAP_OK || rc == UAP_NO_MEMORY);
    }
    assert_true(tried > 5 && rc == UAP_OK);
    (void)remove("memory.json");
}

static void no_memory_while_reading_leaks_nothing(void **state)
{
    (void)state;
    uap_status rc = UAP_NO_MEMORY;
    int tried = 0;
    for (; rc != UAP_OK && tried < 1000; tried++) {
        uap_err err = {0};
        uap_json *doc = NULL;
        uap_mem_fail_after(tried);
        rc = uap_json_parse("f", sample, strlen(sample), &doc, &err);
        uap_mem_fail_after(-1);
        uap_json_free(doc);
        assert_i64(uap_mem_outstanding(), 0);
        assert_status(rc, rc == UAP_OK ? UAP_OK : UAP_NO_MEMORY, &err);
    }
    assert_true(tried > 3 && rc == UAP_OK);
}

/* ---- Checksums --------------------------------------------------------------------- */

/* FIPS 180-4 examples (NIST, "SHA256.pdf") and lengths around the padding's edges. */
static void checksums_match_published_ones(void **state)
{
    (void)state;
    char hex[UAP_SHA256_HEX];
    char text[200];
    memset(text, 'a', sizeof text);
    uap_sha256_hex("abc", 3, hex);
    assert_string_equal(
        hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    uap_sha256_hex("", 0, hex);
    assert_string_equal(
        hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    uap_sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, hex);
    assert_string_equal(
        hex, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
    uap_sha256_hex(text, 55, hex);
    assert_string_equal(
        hex, "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318");
    uap_sha256_hex(text, 64, hex);
    assert_string_equal(
        hex, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(bad_texts_are_refused_with_their_place, check_no_leaks),
        cmocka_unit_test_teardown(a_nul_byte_is_refused, check_no_leaks),
        cmocka_unit_test_teardown(nesting_is_limited, check_no_leaks),
        cmocka_unit_test_teardown(every_truncation_is_refused, check_no_leaks),
        cmocka_unit_test_teardown(getters_read_values, check_no_leaks),
        cmocka_unit_test_teardown(entries_come_in_file_order, check_no_leaks),
        cmocka_unit_test_teardown(getters_say_what_and_where, check_no_leaks),
        cmocka_unit_test_teardown(text_is_sorted_short_and_exact, check_no_leaks),
        cmocka_unit_test_teardown(doubles_survive_a_round_trip, check_no_leaks),
        cmocka_unit_test_teardown(numbers_that_are_not_finite_are_not_written,
                                  check_no_leaks),
        cmocka_unit_test_teardown(no_memory_is_reported_and_nothing_leaks,
                                  check_no_leaks),
        cmocka_unit_test_teardown(no_memory_while_reading_leaks_nothing, check_no_leaks),
        cmocka_unit_test(checksums_match_published_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
