/* Graph files: what becomes of nodes and edges, and what is said of files that cannot be
 * read. */
#include "model_texts.h"

#define HEAD "{\"format\": \"uniap-graph\", \"version\": 1, "
#define NODES                                                                            \
    "\"nodes\": [{\"name\": \"a\", \"flops\": 1}, {\"name\": \"b\", \"flops\": 2}, "     \
    "{\"name\": \"c\", \"flops\": 1}, {\"name\": \"d\", \"flops\": 1}]"
#define EDGE(a, b, n) "{\"from\": \"" #a "\", \"to\": \"" #b "\", \"bytes\": " #n "}"

/* ---- What is read ------------------------------------------------------------------- */

/* a's tensor goes to b and, passed on by b, to d; c's second tensor is another one. */
static void test_edges(void **state)
{
    (void)state;
    uap_model *model = load(HEAD NODES ", \"edges\": [" EDGE(a, d, 64) ", " EDGE(
        b, c, 20) ", " EDGE(a, b, 64) ", " EDGE(b, d, 10) ", " EDGE(a, c, 8) "]}");
    assert_int_equal(model->n_layers, 4);
    assert_int_equal(model->n_shapes, 4);
    assert_string_equal(model->architecture, "graph");
    assert_close(model->layer[0].output_elems, 32, 0, 0);
    assert_close(model->layer[1].input_elems, 32, 0, 0);
    assert_close(model->layer[1].output_elems, 10, 0, 0);
    assert_close(model->layer[2].output_elems, 0, 0, 0);
    assert_int_equal(model->n_live, 3);
    static const struct {
        int32_t producer, from, reader;
        double elems;
    } expected[] = {{0, 0, 2, 4}, {0, 1, 3, 32}, {1, 1, 3, 5}};
    for (int32_t t = 0; t < 3; t++) {
        const uap_model_live *live = &model->live[t];
        assert_int_equal(live->producer, expected[t].producer);
        assert_int_equal(live->from, expected[t].from);
        assert_int_equal(live->n_readers, 1);
        assert_int_equal(live->reader[0], expected[t].reader);
        assert_close(live->elems, expected[t].elems, 0, 0);
    }
    uap_model_free(model);
}

/* Bytes are divided by element_bytes; tensor parallelism divides the parts that are told. */
static void test_amounts(void **state)
{
    (void)state;
    uap_model *model = load(
        HEAD "\"element_bytes\": 4, \"nodes\": [{\"name\": \"a\", \"products\": "
             "[{\"m\": 2, \"n\": 12, \"k\": 5, \"batch\": 3, \"split\": \"n\"}, "
             "{\"m\": 1, \"n\": 1, \"k\": 10}], \"parameters\": 100, "
             "\"activation_bytes\": 400, \"moved_bytes\": 80, \"tp\": {\"divides\": "
             "6, \"parameters\": 60, \"activation_bytes\": 240, \"moved_bytes\": 40, "
             "\"all_reduces\": 2}}, {\"name\": \"b\", \"flops\": 7.5}], \"edges\": "
             "[" EDGE(a, b, 48) "]}");
    const uap_layer *a = &model->layer[0], *b = &model->layer[1];
    assert_close(a->flops, 2.0 * 2 * 12 * 5 * 3 + 20, 0, 0);
    assert_close(b->flops, 7.5, 0, 0);
    assert_i64(model->params, 100);
    assert_i64(uap_layer_local_params(a, 2), 70);
    assert_i64(uap_layer_local_gemm(a, 0, 3).n, 4);
    assert_i64(uap_layer_local_gemm(a, 1, 3).n, 1);
    assert_close(uap_layer_activation_bytes(a, 4, 1, false, false), 400, 0, 0);
    assert_close(uap_layer_activation_bytes(a, 4, 2, false, false), 280, 0, 0);
    assert_close(uap_layer_activation_bytes(a, 2, 1, false, false), 200, 0, 0);
    assert_close(uap_layer_activation_bytes(b, 4, 1, false, true), 48, 0, 0);
    assert_close(a->move_split_elems, 10, 0, 0);
    assert_close(a->tp_elems, 12, 0, 0);
    assert_int_equal(a->tp_allreduces, 2);
    assert_true(uap_layer_allows_tp(a, 3) && !uap_layer_allows_tp(a, 4));
    assert_true(uap_layer_allows_tp(b, 1) && !uap_layer_allows_tp(b, 2));
    uap_model_free(model);
}

/* Nodes alike share a shape and a key; what differs in time has another key. */
static void test_shapes(void **state)
{
    (void)state;
    char key[4][UAP_SHAPE_KEY_BYTES];
    uap_model *model = load(HEAD NODES ", \"edges\": [" EDGE(a, b, 4) ", " EDGE(
        b, c, 4) ", " EDGE(c, d, 4) "]}");
    for (int32_t u = 0; u < 4; u++) {
        uap_layer_shape_key(&model->layer[u], key[u]);
    }
    assert_int_equal(model->n_live, 0);
    assert_int_equal(model->n_shapes, 4); /* a has no input, d no output */
    assert_string_equal(key[0], key[2]);
    assert_string_not_equal(key[0], key[1]);
    uap_model_free(model);
}

/* ---- What is refused ---------------------------------------------------------------- */

static const struct {
    const char *text; /* '@' marks the place */
    const char *words[2];
} refused[] = {
    {"{\"format\": @\"uniap-grap\"}", {"uniap-grap", "uniap-graph"}},
    {"@" HEAD "\"edges\": []}", {"nodes", NULL}},
    {HEAD "\"nodes\": @[], \"edges\": []}", {"0 nodes", NULL}},
    {HEAD "\"nodes\": [@7], \"edges\": []}", {"node", NULL}},
    {HEAD "\"nodes\": [@{\"name\": \"a\"}], \"edges\": []}", {"flops", NULL}},
    {HEAD "\"nodes\": [{\"name\": @\"\", \"flops\": 1}], \"edges\": []}",
     {"0 bytes", NULL}},
    {HEAD "\"nodes\": [{\"name\": \"a\", \"flops\": @-1}], \"edges\": []}",
     {"-1", "flops"}},
    {HEAD "\"nodes\": [{\"name\": \"a\", \"flops\": 1, \"flop\": @2}], \"edges\": []}",
     {"flop", NULL}},
    {HEAD
     "\"nodes\": [{\"name\": \"a\", \"flops\": @1, \"products\": []}], \"edges\": []}",
     {"products", NULL}},
    {HEAD "\"nodes\": [{\"name\": \"a\", \"products\": [{\"m\": 1, \"n\": 1, \"k\": 1, "
          "\"split\": @\"m\"}]}], \"edges\": []}",
     {"\"m\"", "batch"}},
    {HEAD "\"nodes\": [{\"name\": \"a\", \"flops\": 1, \"parameters\": 5, \"tp\": "
          "{\"divides\": 2, \"parameters\": @6}}], \"edges\": []}",
     {"6", "at most the node's 5"}},
    {HEAD "\"nodes\": [{\"name\": \"a\", \"flops\": 1, \"tp\": @{}}], \"edges\": []}",
     {"divides", NULL}},
    {HEAD
     "\"nodes\": [{\"name\": \"a\", \"flops\": 1},\n {\"name\": @\"a\", \"flops\": 1}], "
     "\"edges\": []}",
     {"\"a\"", "again"}},
    {HEAD NODES ", \"edges\": [" EDGE(a, b, 1) ",\n @7]}", {"edge", NULL}},
    {HEAD NODES ", \"edges\": [{\"from\": \"a\", \"to\": @\"e\", \"bytes\": 1}]}",
     {"\"e\"", "node's name"}},
    {HEAD NODES ", \"edges\": [{\"from\": \"b\", \"to\": @\"a\", \"bytes\": 1}]}",
     {"edge back", NULL}},
    {HEAD NODES ", \"edges\": [" EDGE(a, b, 1) ", @" EDGE(a, b, 1) "]}",
     {"already", NULL}},
    {HEAD NODES ", \"edges\": [{\"from\": \"a\", \"to\": \"b\", \"bytes\": @\"1\"}]}",
     {"bytes", NULL}},
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        char path[64], clean[1024], at[32];
        uap_err err = {0};
        uap_model *model = NULL;
        int line = 1, column = 1;
        const char *mark = strchr(refused[i].text, '@');
        assert_non_null(mark);
        for (const char *c = refused[i].text; c < mark; c++) {
            column = *c == '\n' ? 1 : column + 1;
            line += *c == '\n' ? 1 : 0;
        }
        (void)snprintf(clean, sizeof clean, "%.*s%s", (int)(mark - refused[i].text),
                       refused[i].text, mark + 1);
        (void)snprintf(at, sizeof at, ":%d:%d:", line, column);
        write_config(clean, path);
        assert_status(uap_model_load(path, &(uap_model_options){0}, &model, &err),
                      UAP_BAD_INPUT, &err);
        assert_int_equal(unlink(path), 0);
        for (int w = 0; w < 2; w++) {
            const char *word = refused[i].words[w];
            if (strstr(err.msg, at) == NULL ||
                (word != NULL && strstr(err.msg, word) == NULL)) {
                print_error("for %s\n  got \"%s\", expected %s and %s\n", clean, err.msg,
                            at, word == NULL ? "" : word);
                fail();
            }
        }
    }
}

/* Whichever allocation fails, it is said so and nothing is left behind. */
static void test_allocation_failures(void **state)
{
    (void)state;
    char path[64];
    write_config(HEAD NODES ", \"edges\": [" EDGE(a, d, 64) ", " EDGE(a, c, 8) "]}",
                 path);
    bool failed = true;
    int64_t n = 0;
    for (; failed && n < 1000; n++) {
        uap_err err = {0};
        uap_model *model = NULL;
        uap_mem_fail_after(n);
        const uap_status rc = uap_model_load(path, &(uap_model_options){0}, &model, &err);
        uap_mem_fail_after(-1);
        failed = rc != UAP_OK;
        assert_true(!failed || rc == UAP_NO_MEMORY);
        assert_true(failed == (model == NULL));
        uap_model_free(model);
        assert_i64(uap_mem_outstanding(), 0);
    }
    assert_true(n > 10 && n < 1000);
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_edges, check_no_leaks),
        cmocka_unit_test_teardown(test_amounts, check_no_leaks),
        cmocka_unit_test_teardown(test_shapes, check_no_leaks),
        cmocka_unit_test_teardown(test_refused, check_no_leaks),
        cmocka_unit_test_teardown(test_allocation_failures, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
