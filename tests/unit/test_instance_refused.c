/* Instance files that are refused: every malformed member with its place, bad references, and
 * no memory. */
#include "unit/instance_text.h"

#include "search/instance_read.h"

typedef struct malformed {
    const char *find, *replace; /* in simple_text, first occurrence */
    const char *message;        /* after "i.json" */
} malformed;

static const malformed malformed_files[] = {
    {"\"uniap-instance\"", "\"uniap-plan\"",
     ":1:12: found \"uniap-plan\", expected \"uniap-instance\" for \"format\""},
    {"\"version\": 1", "\"version\": 2",
     ":1:41: found 2, expected the integer 1 for \"version\""},
    {"\"simple\"", "\"both\"",
     ":1:57: found \"both\", expected \"simple\" or \"full\" for \"objective\""},
    {"\"objective\": \"simple\"", "\"objective\": \"full\"",
     ":3:6: found the unknown key \"A\""},
    {"\"gpipe\"", "\"2f2b\"",
     ":2:13: found \"2f2b\", expected \"gpipe\", \"1f1b\" or \"1f1b-eager\" for "
     "\"schedule\""},
    {"\"pp\": 2", "\"pp\": 0",
     ":2:28: found 0, expected an integer from 1 to 3 for \"pp\""},
    {"\"pp\": 2", "\"pp\": 4",
     ":2:28: found 4, expected an integer from 1 to 3 for \"pp\""},
    {"\"micro_batches\": 4", "\"micro_batches\": -4",
     ":2:48: found -4, expected an integer from 1 to 2147483647 for \"micro_batches\""},
    {"[[1e-3, 0.002], [3e-3], [1.6e-11, 1.4e-11]]", "[]",
     ":3:6: found 0 layers, expected 1 to 65536"},
    {"[3e-3]", "[]", ":3:22: found no strategies, expected at least one for layer 1"},
    {"[3e-3]", "3e-3", ":3:22: found no strategies, expected at least one for layer 1"},
    {"0.002", "-0.002",
     ":3:14: found -0.002, expected a number from 0 to 46116860 for \"A[0][1]\""},
    {"0.002", "1e9",
     ":3:14: found 1000000000, expected a number from 0 to 46116860 for \"A[0][1]\""},
    {"0.002", "\"0.002\"",
     ":3:14: found the string \"0.002\", expected a number from 0 to 46116860 for "
     "\"A[0][1]\""},
    {"0.002", "1e999", ":3:14: found the number 1e999, expected one that fits 64 bits"},
    {"0.002", "NaN", ":3:14: found 'NaN', expected a value"},
    {"[0, 0.5], [1]", "[0, 0.5]", ":4:6: found 2 entries, expected 3, one per layer"},
    {"[0, 0.5]", "[0]", ":4:7: found 1 entries, expected 2, one per strategy"},
    {"\"G\"", "\"g\"", ":4:6: found the unknown key \"g\""},
    {"\"G\": [[0, 0.5], [1], [0, 0]],", "",
     ":1:1: found no key \"G\", expected an array"},
    {"20.5", "1e30",
     ":5:13: found 1e+30, expected a number from 0 to 4.61168601842739e+18 for "
     "\"Ms[0][1]\""},
    {"9007199254740993", "9223372036854775807",
     ":5:27: found 9223372036854775807, expected an integer from 0 to "
     "4611686018427387904 for \"Ms[2][0]\""},
    {"9007199254740993", "4611686018427387903",
     ": memory: found up to 4.61e+18 bytes of states, 7 of workspace and 4 x 20 of "
     "activations, expected a sum below 2^62"},
    {"1e-3", "40000000",
     ": times: found 4e+07 s per micro-batch and 1.5 s per iteration at most with 4 "
     "micro-batches, expected a product below 4.61e+07 s"},
    {"[[[1e-6], [2e-6]], [[3e-6, 4e-6]]]", "[[[1e-6], [2e-6]]]",
     ":8:6: found 1 entries, expected 2, one matrix per pair of neighbours"},
    {"[[1e-6], [2e-6]]", "[[1e-6]]",
     ":8:7: found 1 entries, expected 2, one row per strategy"},
    {"[2e-6]", "[2e-6, 3e-6]", ":8:16: found 2 entries, expected 1, one per strategy"},
    {"[2e-6]", "2e-6",
     ":8:16: found no array, expected one with 1 entries, one per "
     "strategy"},
    {"[1000, 99.9]", "[1000]", ":10:8: found 1 entries, expected 2, one per stage"},
    {"1000", "-1",
     ":10:9: found -1, expected an integer from 0 to 4611686018427387904 for "
     "\"cap[0]\""},
    {"[4, 1]", "[4, 0]",
     ":10:38: found 0, expected an integer from 1 to 2147483647 for \"inflight[1]\""},
    {"[4, 1]", "[4, 1.5]",
     ":10:38: found 1.5, expected an integer from 1 to 2147483647 for \"inflight[1]\""},
    {"\"tp2\"", "3", ":11:24: found 3, expected a string for \"strategies[0][1]\""},
    {"\"from\": 0", "\"from\": 1",
     ":12:29: found consumer 1 after layer 1, expected ascending ones"},
    {"\"from\": 0", "\"from\": 3",
     ":12:19: found 3, expected an integer from 0 to 2 for \"live[0].from\""},
    {"\"to\": [1, 2]", "\"to\": [2, 1]",
     ":12:32: found consumer 1 after layer 2, expected ascending ones"},
    {"\"to\": [1, 2]", "\"to\": []", ":12:28: found 0 consumers, expected 1 to 3"},
    {"\"Rp\": [7, 8]", "\"Rp\": [7]",
     ":13:8: found 1 entries, expected 2, one per strategy"},
    {"\"bytes\"", "\"byte\"", ":13:24: found the unknown key \"byte\""},
    {"\"b\": 2", "\"b\": 0", ":14:10: found a tie of layers 0 and 0, expected a < b"},
    {"\"class_b\": [2, 1]", "\"class_b\": [2]",
     ":14:57: found 1 entries, expected 2, one class per strategy"},
};

/* Bad references, in simple_text and in referring_text. */
static const malformed bad_references[] = {
    {"[3e-3]", "0", ":4:17: found 1 entries, expected 2, one per strategy"},
    {"[3e-3]", "1",
     ":3:22: found a reference to entry 1, expected an earlier one than entry 1"},
    {"[3e-3]", "2",
     ":3:22: found a reference to entry 2, expected an earlier one than entry 1"},
    {"[3e-3]", "-1",
     ":3:22: found a reference to entry -1, expected an earlier one than entry 1"},
    {"[3e-3]", "70000",
     ":3:22: found a reference to entry 70000, expected an earlier one than entry 1"},
    {"[1e-3, 0.002]", "0",
     ":3:7: found a reference to entry 0, expected an earlier one than entry 0"},
    {"[1], [0, 0]", "[1], 1",
     ":4:22: found a reference to one with 1 entries, expected 2, one per strategy"},
    {"[[3e-6, 4e-6]]", "0",
     ":8:25: found a reference to one with 2 entries, expected 1, one row per strategy"},
    {"[5e-6], [6e-6]", "[5e-6], 1",
     ":9:17: found a reference to entry 1, expected an earlier one than entry 1"},
    {"[\"dp2\"], ", "0, ",
     ":11:32: found a reference to one with 2 entries, expected 1, one name per "
     "strategy"},
    {"[[3, 4], [5, 6]]", "0",
     ":12:54: found a reference to one of 1 columns, expected 2, one per strategy"},
};

static const malformed bad_chains[] = {
    {"4], 0]", "4], 1]",
     ":3:33: found a reference to entry 1, expected one that is written out"},
    {"[5, 5, 0]]", "1]",
     ":9:23: found a reference to entry 1, expected one that is written out"},
};

static void assert_refused(const char *whole, const malformed *m)
{
    char text[sizeof simple_text + 64];
    char expected[1100];
    const char *at = strstr(whole, m->find);
    assert_non_null(at);
    (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, m->replace,
                   at + strlen(m->find));
    (void)snprintf(expected, sizeof expected, "i.json%s", m->message);
    uap_err err = {0};
    uap_instance *x = NULL;
    assert_int_not_equal(load_text(text, &x, &err), UAP_OK);
    assert_string_equal(err.msg, expected);
    assert_null(x);
    assert_i64(uap_mem_outstanding(), 0);
}

static void malformed_files_are_refused_with_their_place(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof malformed_files / sizeof malformed_files[0]; i++) {
        assert_refused(simple_text, &malformed_files[i]);
    }
    for (size_t i = 0; i < sizeof bad_references / sizeof bad_references[0]; i++) {
        assert_refused(simple_text, &bad_references[i]);
    }
    for (size_t i = 0; i < sizeof bad_chains / sizeof bad_chains[0]; i++) {
        assert_refused(referring_text, &bad_chains[i]);
    }
}

/* A list whose entry 0 has n numbers, and `layers` entries that refer to it. */
static char *append_list(char *to, const char *key, int n, int layers)
{
    to += sprintf(to, "\"%s\": [[0", key);
    for (int k = 1; k < n; k++) {
        to += sprintf(to, ",1");
    }
    to += sprintf(to, "]");
    for (int u = 1; u < layers; u++) {
        to += sprintf(to, ",0");
    }
    return to + sprintf(to, "],\n");
}

/* An instance of `layers` layers of n strategies, with R and Rp as given. */
static char *short_text(int n, int layers, const char *matrices)
{
    static const char *const key[] = {"A", "G", "Ms", "Ma", "W"};
    const size_t list = 2 * ((size_t)n + (size_t)layers) + 64;
    char *text = malloc(5 * list + strlen(matrices) + 512);
    assert_non_null(text);
    char *to = text;
    to += sprintf(to, "{\"format\": \"uniap-instance\", \"version\": 1,\n"
                      "\"objective\": \"simple\", \"schedule\": \"gpipe\",\n"
                      "\"pp\": 1, \"micro_batches\": 1,\n");
    for (size_t i = 0; i < sizeof key / sizeof key[0]; i++) {
        to = append_list(to, key[i], n, layers);
    }
    (void)sprintf(to, "%s\n\"cap\": [1], \"inflight\": [1]}", matrices);
    return text;
}

static void assert_too_many(const char *text, const char *message)
{
    uap_err err = {0};
    uap_instance *x = NULL;
    assert_int_equal(load_text(text, &x, &err), UAP_BAD_INPUT);
    assert_string_equal(err.msg, message);
    assert_null(x);
    assert_i64(uap_mem_outstanding(), 0);
}

/* A file that is short only because nearly all of it refers to a long row is refused before
 * there is room made for what it stands for. */
static void short_files_of_large_instances_are_refused(void **state)
{
    (void)state;
    char *text = short_text(10000, UAP_INSTANCE_MAX_LAYERS, "\"R\": [], \"Rp\": [],");
    assert_too_many(text, "i.json:4:21923: found 67130000 entries up to here, references "
                          "followed, expected at most 67108864");
    free(text);
    text = short_text(20000, 2, "\"R\": [[]], \"Rp\": [[]],");
    assert_too_many(text, "i.json:9:7: found 1600000000 entries up to here, references "
                          "followed, expected at most 268435456");
    free(text);
}

static void no_memory_leaks_nothing(void **state)
{
    (void)state;
    uap_status rc = UAP_NO_MEMORY;
    assert_ok(uap_file_write("i.json", simple_text, strlen(simple_text), NULL), NULL);
    int tried = 0;
    for (; rc != UAP_OK && tried < 2000; tried++) {
        uap_err err = {0};
        uap_instance *x = NULL;
        uap_mem_fail_after(tried);
        rc = uap_instance_load("i.json", &x, &err);
        uap_mem_fail_after(-1);
        assert_status(rc, rc == UAP_OK ? UAP_OK : UAP_NO_MEMORY, &err);
        uap_instance_free(x);
        assert_i64(uap_mem_outstanding(), 0);
    }
    assert_true(rc == UAP_OK && tried > 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(malformed_files_are_refused_with_their_place,
                                  check_no_leaks),
        cmocka_unit_test_teardown(short_files_of_large_instances_are_refused,
                                  check_no_leaks),
        cmocka_unit_test_teardown(no_memory_leaks_nothing, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
