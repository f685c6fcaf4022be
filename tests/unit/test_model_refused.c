/* Models: what is said, and where it points, of configs and options that cannot be read. */
#include "model_texts.h"

/* ---- Errors ---------------------------------------------------------------------------- */

/* A config that must be refused: '@' marks the place (and is taken out), and every word must
 * be in the message. */
typedef struct refused {
    const char *text;
    const char *words[3];
} refused;

/* Writes the text without its mark to path; the mark's place as ":line:column:" to at. */
static void write_marked(const char *text, char path[64], char at[32])
{
    static char clean[4096];
    const char *mark = strchr(text, '@');
    assert_non_null(mark);
    const size_t before = (size_t)(mark - text);
    (void)snprintf(clean, sizeof clean, "%.*s%s", (int)before, text, mark + 1);
    int line = 1, column = 1;
    for (size_t i = 0; i < before; i++) {
        column = text[i] == '\n' ? 1 : column + 1;
        line += text[i] == '\n' ? 1 : 0;
    }
    (void)snprintf(at, 32, ":%d:%d:", line, column);
    write_config(clean, path);
}

static void check_refused(const refused *bad)
{
    char path[64], at[32];
    uap_err err = {0};
    uap_model *model = NULL;
    write_marked(bad->text, path, at);
    assert_status(uap_model_load(path, &(uap_model_options){0}, &model, &err),
                  UAP_BAD_INPUT, &err);
    assert_int_equal(unlink(path), 0);
    assert_null(model);
    bool is_right = strncmp(err.msg, path, strlen(path)) == 0 &&
                    strncmp(err.msg + strlen(path), at, strlen(at)) == 0;
    for (size_t i = 0; i < 3; i++) {
        is_right =
            is_right && (bad->words[i] == NULL || strstr(err.msg, bad->words[i]) != NULL);
    }
    if (!is_right) {
        print_error("for %s\n  got \"%s\"\n  expected \"%s%s ... %s ... %s\"\n",
                    bad->text, err.msg, path, at, bad->words[0],
                    bad->words[1] == NULL ? "" : bad->words[1]);
        fail();
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const refused bad[] = {
        {"@[1]", {"object"}},
        {"@{\n  \"hidden_size\": 8\n}", {"model_type"}},
        {"{\n  \"model_type\": @\"mamba\"\n}", {"mamba", "bert, gpt2, llama", "vit"}},
        {"{\n  \"model_type\": @7\n}", {"7", "string"}},
        /* missing, negative, zero, wrong type, not whole, too large */
        {"@{\"model_type\": \"gpt2\", \"vocab_size\": 9, \"n_layer\": 1, \"n_head\": 1,\n"
         "\"n_positions\": 4}",
         {"n_embd"}},
        {GPT2(@-8, 1, 1, 4), {"-8", "n_embd"}},
        {GPT2(8, @0, 1, 4), {"0", "n_layer"}},
        {GPT2(8, 1, @"1", 4), {"1", "n_head"}},
        {GPT2(@8.5, 1, 1, 4), {"8.5", "n_embd"}},
        {GPT2(8, 1, 1, @1e30), {"1e+30", "n_positions"}},
        {GPT2(8, 1, 1, @99999999999999999999), {"fits 64 bits"}},
        {GPT2(@1048577, 1, 1, 4), {"1048577", "1048576"}},
        {GPT2(8, @9223372036854775807, 1, 4), {"9223372036854775807"}},
        /* not divisible */
        {"{\"model_type\": \"bert\", \"vocab_size\": 9, \"hidden_size\": 1024,\n"
         " \"num_hidden_layers\": 2,\n \"num_attention_heads\": @7}",
         {"7", "hidden_size", "1024"}},
        {LLAMA(llama, 64, 64, 1, @6, 9, ""), {"6", "hidden_size", "64"}},
        {LLAMA(llama, 64, 64, 1, 8, 9, "\n" KV(@3)), {"3", "heads", "8"}},
        {LLAMA(mistral, 64, 64, 1, @4, 9, ""), {"8", "heads", "4"}},
        {VIT(64, 1, 4, 8, @15, ""), {"15", "image_size", "224"}},
        {SWIN(96, "[2, 2]", "[3, @7]", 7, 224), {"7", "192", "num_heads[1]"}},
        {SWIN(96, "[2, 2]", "@[3]", 7, 224), {"1 elements", "2"}},
        {SWIN(96, "@[]", "[]", 7, 224), {"0 elements"}},
        {SWIN(96, "[2, @\"2\"]", "[3, 6]", 7, 224), {"2", "depths[1]"}},
        {SWIN(96, "@2", "[3, 6]", 7, 224), {"2", "array"}},
        /* what is not known of a known family */
        {T5(64, 64, 8, 1, 8, "\n, \"feed_forward_proj\": @\"gated-\""), {"gated-"}},
        {T5(64, 64, 8, 1, 8, "\n, \"is_encoder_decoder\": @false"), {"false"}},
        {T5(64, 64, 8, 1, 8, "\n, \"dropout_rate\": @2"), {"2", "dropout_rate"}},
        /* no dimension alone is too large, their product is */
        {"@" LLAMA(llama, 1048576, 16777216, 16384, 16384, 268435456, ""),
         {"parameters"}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        check_refused(&bad[i]);
    }
}

static void test_bad_options(void **state)
{
    (void)state;
    char path[64];
    uap_err err = {0};
    uap_model *model = NULL;
    write_config(BERT(64, 1, 4, 64), path);
    assert_status(uap_model_load(path, &(uap_model_options){.seq = -1}, &model, &err),
                  UAP_BAD_USAGE, &err);
    uap_err_clear(&err);
    assert_status(uap_model_load(path, &(uap_model_options){.seq = 513}, &model, &err),
                  UAP_BAD_USAGE, &err);
    assert_non_null(strstr(err.msg, "513"));
    assert_non_null(strstr(err.msg, "512"));
    assert_null(model);
    assert_int_equal(unlink(path), 0);
    uap_err_clear(&err);
    assert_status(uap_model_load(path, &(uap_model_options){0}, &model, &err), UAP_IO,
                  &err);
}

/* Whichever allocation fails, it is said so and nothing is left behind. */
static void test_allocation_failures(void **state)
{
    (void)state;
    char path[64];
    write_config(T5(64, 64, 8, 12, 8, ""), path);
    const int64_t before = uap_mem_outstanding();
    bool failed = true;
    int64_t n = 0;
    for (; failed && n < 2000; n++) {
        uap_err err = {0};
        uap_model *model = NULL;
        uap_mem_fail_after(n);
        const uap_status rc = uap_model_load(path, &(uap_model_options){0}, &model, &err);
        uap_mem_fail_after(-1);
        failed = rc != UAP_OK;
        if (failed) {
            assert_status(rc, UAP_NO_MEMORY, &err);
        }
        assert_true(failed == (model == NULL));
        uap_model_free(model);
        assert_i64(uap_mem_outstanding(), before);
    }
    assert_true(n > 7 && n < 2000); /* model, names, text, layers */
    assert_int_equal(unlink(path), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_refused, check_no_leaks),
        cmocka_unit_test_teardown(test_bad_options, check_no_leaks),
        cmocka_unit_test_teardown(test_allocation_failures, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
