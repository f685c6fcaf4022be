/* Models: exact parameter counts against published ones, layers, shapes, sequences, ties, and
 * where a config is found. */
#include "model_texts.h"

#include <sys/stat.h>

/* Published parameter counts, as Hugging Face's num_parameters() gives them. */
static const struct {
    const char *name, *text;
    int64_t params;
} published[] = {
    {"bert-base-uncased", BERT(768, 12, 12, 3072), 109482240},
    {"bert-large-uncased", BERT(1024, 24, 16, 4096), 335141888},
    {"gpt2", GPT2(768, 12, 12, 1024), 124439808},
    {"gpt2-xl", GPT2(1600, 48, 25, 1024), 1557611200},
    {"t5-small", T5(512, 2048, 64, 6, 8, ""), 60506624},
    {"t5-large", T5(1024, 4096, 64, 24, 16, ""), 737668096},
    {"t5-11b", T5(1024, 65536, 128, 24, 128, ""), 11307321344},
    {"t5-v1_1-small", T5(512, 1024, 64, 8, 6, V1_1), 76961152},
    {"t5-v1_1-base", T5(768, 2048, 64, 12, 12, V1_1), 247577856},
    {"llama-2-7b", LLAMA(llama, 4096, 11008, 32, 32, 32000, ""), 6738415616},
    {"llama-2-13b", LLAMA(llama, 5120, 13824, 40, 40, 32000, ""), 13015864320},
    {"llama-2-70b", LLAMA(llama, 8192, 28672, 80, 64, 32000, KV(8)), 68976648192},
    {"llama-3.1-8b", LLAMA(llama, 4096, 14336, 32, 32, 128256, KV(8)), 8030261248},
    {"llama-3.1-405b", LLAMA(llama, 16384, 53248, 126, 128, 128256, KV(8)), 405853388800},
    {"llama-3.2-1b", LLAMA(llama, 2048, 8192, 16, 32, 128256, KV(8) TIED), 1235814400},
    {"mistral-7b", LLAMA(mistral, 4096, 14336, 32, 32, 32000, ""), 7241732096},
    {"mistral-nemo",
     LLAMA(mistral, 5120, 14336, 40, 32, 131072, KV(8) ", \"head_dim\": 128"),
     12247782400},
    {"qwen2-7b", LLAMA(qwen2, 3584, 18944, 28, 28, 152064, KV(4)), 7615616512},
    {"qwen2.5-0.5b", LLAMA(qwen2, 896, 4864, 24, 14, 151936, KV(2) TIED), 494032768},
    {"vit-base-patch16-224", VIT(768, 12, 12, 3072, 16, CLASSES(ViT)), 86567656},
    {"vit-base-patch16-224-in21k",
     VIT(768, 12, 12, 3072, 16, ", \"architectures\": [\"ViTModel\"]"), 86389248},
    {"vit-huge-patch14-224-in21k", VIT(1280, 32, 16, 5120, 14, ""), 632404480},
    {"swin-tiny", SWIN(96, "[2, 2, 6, 2]", "[3, 6, 12, 24]", 7, 224), 28288354},
    {"swin-base", SWIN(128, "[2, 2, 18, 2]", "[4, 8, 16, 32]", 7, 224), 87768224},
    {"swin-large", SWIN(192, "[2, 2, 18, 2]", "[6, 12, 24, 48]", 7, 224), 196532476},
};

static void test_published_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        uap_model *model = load(published[i].text);
        int64_t sum = 0;
        for (int32_t u = 0; u < model->n_layers; u++) {
            sum += model->layer[u].params;
        }
        if (model->params != published[i].params || sum != model->params) {
            print_error("%s: found %lld (layers' sum %lld), expected %lld\n",
                        published[i].name, (long long)model->params, (long long)sum,
                        (long long)published[i].params);
            fail();
        }
        uap_model_free(model);
    }
}

/* The same count whatever the granularity and the sequence length. */
static void test_counts_do_not_depend_on_options(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof published / sizeof published[0]; i++) {
        const uap_model_options options = {.seq = 128, .operator_granularity = true};
        uap_model *model = load_with(published[i].text, &options);
        assert_i64(model->params, published[i].params);
        uap_model_free(model);
    }
}

/* ---- The shipped files --------------------------------------------------------------- */

static void test_shipped_files(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int64_t params, seq;
        int32_t layers, shapes;
    } shipped[] = {
        {"bert-huge", 671046400, 512, 34, 3},
        {"t5-large", 737668096, 512, 51, 6},
        {"t5-large-16", 502746112, 512, 35, 6},
        {"vit-huge", 632199400, 197, 34, 3},
        {"swin-huge", 1016178840, 3136, 53, 9},
        {"llama-7b", 6738415616, 2048, 34, 3},
        {"llama-13b", 13015864320, 2048, 42, 3},
        {"t5-11b", 11307321344, 512, 51, 6},
        {"gpt3-175b", 174604259328, 2048, 98, 3},
        {"llama-3.1-8b", 8030261248, 4096, 34, 3},
        {"llama-3.1-70b", 70553706496, 4096, 82, 3},
        {"llama-3.1-405b", 405853388800, 4096, 128, 3},
    };
    for (size_t i = 0; i < sizeof shipped / sizeof shipped[0]; i++) {
        char path[512];
        uap_err err = {0};
        uap_model *model = NULL;
        (void)snprintf(path, sizeof path, "%s/configs/models/%s.json", UAP_SOURCE_DIR,
                       shipped[i].name);
        assert_ok(uap_model_load(path, &(uap_model_options){0}, &model, &err), &err);
        assert_string_equal(model->name, shipped[i].name);
        assert_string_equal(model->source, path);
        assert_int_equal(strlen(model->sha256), 64);
        assert_i64(model->params, shipped[i].params);
        assert_i64(model->seq, shipped[i].seq);
        assert_i64(model->n_layers, shipped[i].layers);
        assert_i64(model->n_shapes, shipped[i].shapes);
        uap_model_free(model);
    }
}

/* Biases that a Llama may have, and labels from id2label. */
static void test_optional_parts(void **state)
{
    (void)state;
    uap_model *model =
        load(LLAMA(llama, 256, 512, 1, 4, 100,
                   KV(2) ", \"attention_bias\": true, \"mlp_bias\": true"));
    assert_i64(model->layer[1].params, 256 * 512 + 512 + 256 * 256 + 256 + 3 * 256 * 512 +
                                           2 * 512 + 256 + 2 * 256);
    uap_model_free(model);
    model = load(VIT(64, 1, 4, 128, 16,
                     ", \"architectures\": [\"ViTForImageClassification\"], "
                     "\"id2label\": {\"0\": \"cat\", \"1\": \"dog\", \"2\": \"owl\"}"));
    assert_i64(model->layer[2].params, 2 * 64 + 3 * 64 + 3);
    uap_model_free(model);
    model = load(
        VIT(64, 1, 4, 128, 16, ", \"architectures\": [\"ViTForImageClassification\"]"));
    assert_i64(model->layer[2].params, 2 * 64 + 2 * 64 + 2);
    uap_model_free(model);
}

/* A window shorter than the sequence bounds what a query meets. */
static void test_sliding_windows(void **state)
{
    (void)state;
    const uap_model_options options = {.seq = 8192};
    uap_model *model = load_with(LLAMA(mistral, 4096, 14336, 2, 32, 32000, ""), &options);
    assert_i64(model->layer[1].keys, 4096);
    assert_i64(model->layer[1].gemm[1].n, 4096);
    uap_model_free(model);
    model =
        load_with(LLAMA(mistral, 4096, 14336, 2, 32, 32000, ", \"sliding_window\": null"),
                  &options);
    assert_i64(model->layer[1].keys, 8192);
    uap_model_free(model);
    model = load_with(LLAMA(qwen2, 3584, 18944, 4, 28, 152064,
                            KV(4) ", \"use_sliding_window\": true, "
                                  "\"max_window_layers\": 3, \"sliding_window\": 1000"),
                      &options);
    assert_i64(model->layer[3].keys, 8192);
    assert_i64(model->layer[4].keys, 1000);
    assert_i64(model->n_shapes, 4);
    uap_model_free(model);
}

/* ---- Layers --------------------------------------------------------------------------- */

static void test_t5_layers(void **state)
{
    (void)state;
    uap_model *model = load(T5(512, 2048, 64, 6, 8, ", \"num_decoder_layers\": 4"));
    assert_i64(model->n_layers, 1 + 6 + 1 + 4 + 1);
    assert_int_equal(model->n_live, 1);
    assert_int_equal(model->live[0].producer, 6);
    assert_int_equal(model->live[0].from, 6);
    assert_int_equal(model->live[0].n_readers, 4);
    assert_int_equal(model->live[0].reader[0], 8);
    assert_int_equal(model->live[0].reader[3], 11);
    assert_close(model->live[0].elems, 512.0 * 512.0, 0.0, 0.0);
    assert_close(model->layer[5].output_elems, 512.0 * 512.0, 0.0, 0.0);
    assert_close(model->layer[6].output_elems, 0.0, 0.0, 0.0);
    assert_string_equal(model->layer[6].name, "encoder.5");
    assert_int_equal(model->layer[8].type, UAP_LAYER_CROSS_BLOCK);
    assert_int_equal(model->layer[8].shape, model->layer[11].shape);
    assert_int_equal(model->layer[8].tp_allreduces, 3);
    assert_int_equal(model->layer[8].tp_allreduces_bwd, 4);
    assert_int_equal(model->n_ties, 2);
    assert_int_equal(model->tie[0][0], 0);
    assert_int_equal(model->tie[0][1], 7);
    assert_int_equal(model->tie[1][1], 12);
    assert_i64(model->layer[7].params, 32 * 8); /* the table of relative positions */
    assert_i64(model->layer[7].tied_params, 32128 * 512);
    assert_i64(model->layer[12].params, 512);
    uap_model_free(model);
    model = load(T5(512, 1024, 64, 8, 6, V1_1));
    assert_int_equal(model->n_ties, 1);
    assert_i64(model->layer[model->n_layers - 1].tied_params, 0);
    uap_model_free(model);
}

/* Operator granularity: halves in order, the same sums, the live tensor's readers. */
static void test_operator_granularity(void **state)
{
    (void)state;
    static const char text[] = T5(512, 2048, 64, 3, 8, "");
    const uap_model_options options = {.operator_granularity = true};
    uap_model *whole = load(text), *halves = load_with(text, &options);
    assert_i64(halves->n_layers, whole->n_layers + 6);
    assert_string_equal(halves->layer[1].name, "encoder.0.attention");
    assert_string_equal(halves->layer[2].name, "encoder.0.mlp");
    assert_int_equal(halves->layer[1].shape, halves->layer[3].shape);
    assert_int_equal(halves->live[0].from, 6);
    assert_int_equal(halves->live[0].n_readers, 3);
    assert_int_equal(halves->live[0].reader[0], 8);
    assert_int_equal(halves->live[0].reader[2], 12);
    assert_int_equal(halves->layer[12].type, UAP_LAYER_CROSS_ATTENTION);
    const uap_layer *a = &halves->layer[1], *b = &halves->layer[2], *c = &whole->layer[1];
    assert_i64(a->params + b->params, c->params);
    assert_close(a->flops + b->flops, c->flops, 0.0, 0.0);
    assert_close(uap_layer_activation_bytes(a, 2, 2, false, false) +
                     uap_layer_activation_bytes(b, 2, 2, false, false),
                 uap_layer_activation_bytes(c, 2, 2, false, false), 1e-12, 0.0);
    uap_model_free(whole);
    uap_model_free(halves);
}

/* Windows of 7 x 7 on a grid of 10 x 10 are padded to 14 x 14; the merge rounds up. */
static void test_swin_windows(void **state)
{
    (void)state;
    uap_model *model = load("{\"model_type\": \"swin\", \"embed_dim\": 32, "
                            "\"depths\": [1, 1, 1], \"num_heads\": [1, 2, 4], "
                            "\"window_size\": 7, \"image_size\": 40, \"patch_size\": 4}");
    const uap_layer *first = &model->layer[1], *second = &model->layer[3];
    assert_i64(model->n_layers, 1 + 5 + 1);
    assert_i64(first->tokens, 100);
    assert_i64(first->gemm[0].m, 196);
    assert_i64(first->gemm[1].batch, 4);
    assert_i64(first->gemm[1].m, 49);
    assert_i64(first->keys, 49);
    assert_int_equal(model->layer[2].type, UAP_LAYER_PATCH_MERGE);
    assert_close(model->layer[2].output_elems, 25.0 * 64.0, 0.0, 0.0);
    assert_i64(second->tokens, 25); /* one window of 5 x 5 */
    assert_i64(second->keys, 25);
    assert_i64(second->gemm[1].batch, 2);
    /* The position table stays 13 x 13 per head. */
    assert_i64(second->params, 4 * 64 + 64 * 192 + 192 + 64 * 64 + 64 + 169 * 2 +
                                   64 * 256 + 256 + 256 * 64 + 64);
    uap_model_free(model);
}

static void check_key(const uap_layer *layer, const char *expected)
{
    char key[UAP_SHAPE_KEY_BYTES];
    uap_layer_shape_key(layer, key);
    assert_string_equal(key, expected);
}

static void test_shape_keys(void **state)
{
    (void)state;
    uap_model *model = load(BERT(1280, 2, 16, 5120));
    check_key(&model->layer[1], "t512.h1280.a16.kv16.f5120.v0");
    check_key(&model->layer[0], "t512.h1280.a0.kv0.f0.v30522");
    uap_model_free(model);
    model = load(LLAMA(mistral, 5120, 14336, 1, 32, 131072,
                       KV(8) ", \"head_dim\": 128, "
                             "\"sliding_window\": 9"));
    check_key(&model->layer[1], "t4096.h5120.a32.kv8.f14336.v0.d128.k9.g");
    uap_model_free(model);
    const int64_t most = (int64_t)1 << 28;
    const uap_layer wide = {.tokens = most,
                            .hidden = 1 << 20,
                            .heads = 1 << 16,
                            .kv_heads = 1 << 16,
                            .head_dim = 1 << 8,
                            .keys = 1 << 26,
                            .ffn = 1 << 24,
                            .vocab = most,
                            .gated = true};
    check_key(&wide, "t268435456.h1048576.a65536.kv65536.f16777216.v268435456.d256."
                     "k67108864.g");
}

static void test_sequence_length(void **state)
{
    (void)state;
    uap_model *model = load(LLAMA(llama, 256, 512, 1, 4, 100, ""));
    assert_i64(model->seq, 4096);
    assert_true(model->seq_is_assumed);
    uap_model_free(model);
    model = load_with(LLAMA(llama, 256, 512, 1, 4, 100, ""),
                      &(uap_model_options){.seq = 100000});
    assert_i64(model->seq, 100000); /* rotary positions have no table */
    assert_false(model->seq_is_assumed);
    assert_i64(model->layer[1].tokens, 100000);
    uap_model_free(model);
    model = load_with(VIT(768, 12, 12, 3072, 16, ""), &(uap_model_options){.seq = 999});
    assert_i64(model->seq, 197); /* the image says */
    uap_model_free(model);
}

static void test_layer_type_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < UAP_LAYER_TYPE_COUNT; i++) {
        uap_layer_type back = UAP_LAYER_TYPE_COUNT;
        assert_true(
            uap_layer_type_by_name(uap_layer_type_name((uap_layer_type)i), &back));
        assert_int_equal(back, i);
    }
    uap_layer_type none;
    assert_false(uap_layer_type_by_name("blocks", &none));
}

/* ---- Directories and names ------------------------------------------------------------ */

static void test_directory(void **state)
{
    (void)state;
    char dir[] = "/tmp/uap_model_dir_XXXXXX", path[80], given[80];
    uap_err err = {0};
    uap_model *model = NULL;
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof path, "%s/config.json", dir);
    (void)snprintf(given, sizeof given, "%s/", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(GPT2(64, 1, 4, 32), file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_ok(uap_model_load(given, &(uap_model_options){0}, &model, &err), &err);
    assert_string_equal(model->source, path);
    assert_string_equal(model->name, dir + strlen("/tmp/"));
    assert_string_equal(model->architecture, "gpt2");
    uap_model_free(model);
    assert_int_equal(unlink(path), 0);
    assert_status(uap_model_load(dir, &(uap_model_options){0}, &model, &err), UAP_IO,
                  &err);
    assert_null(model);
    assert_int_equal(rmdir(dir), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_published_counts, check_no_leaks),
        cmocka_unit_test_teardown(test_counts_do_not_depend_on_options, check_no_leaks),
        cmocka_unit_test_teardown(test_shipped_files, check_no_leaks),
        cmocka_unit_test_teardown(test_optional_parts, check_no_leaks),
        cmocka_unit_test_teardown(test_sliding_windows, check_no_leaks),
        cmocka_unit_test_teardown(test_t5_layers, check_no_leaks),
        cmocka_unit_test_teardown(test_operator_granularity, check_no_leaks),
        cmocka_unit_test_teardown(test_swin_windows, check_no_leaks),
        cmocka_unit_test_teardown(test_shape_keys, check_no_leaks),
        cmocka_unit_test_teardown(test_sequence_length, check_no_leaks),
        cmocka_unit_test_teardown(test_layer_type_names, check_no_leaks),
        cmocka_unit_test_teardown(test_directory, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
