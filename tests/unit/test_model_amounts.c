/* Models: activation bytes, FLOPs and what one device of a TP group holds, against numbers
 * worked by hand, and activation bytes against measured ones where those are at hand. */
#include "model_texts.h"

#define MIB 1048576.0

/* ---- Activation bytes by hand -------------------------------------------------------- */

/* Korthikanti et al. 2022, table 2, with GPT-3 175B's layer: s 2048, h 12288, a 96, so
 * sbh = 25,165,824 and as^2 b = 402,653,184. */
static void test_activations_of_gpt3_layer(void **state)
{
    (void)state;
    uap_model *model = load(GPT2(12288, 1, 96, 2048));
    const uap_layer *block = &model->layer[1];
    const double sbh = 25165824.0, scores = 402653184.0;
    assert_close(uap_layer_activation_bytes(block, 2, 1, false, false),
                 34.0 * sbh + 5.0 * scores, 0.0, 0.0);
    assert_close(uap_layer_activation_bytes(block, 2, 1, false, false), 2868903936.0, 0.0,
                 0.0);
    assert_close(uap_layer_activation_bytes(block, 2, 8, false, false), 578813952.0, 0.0,
                 0.5);
    assert_close(uap_layer_activation_bytes(block, 2, 8, true, false), 358612992.0, 0.0,
                 0.5);
    assert_close(uap_layer_activation_bytes(block, 2, 8, false, true), 2.0 * sbh, 0.0,
                 0.0);
    assert_close(uap_layer_activation_bytes(block, 2, 8, true, true), sbh / 4.0, 0.0,
                 0.0);
    /* At four bytes an element the masks stay one byte: 64 + 2 and 16 + 1. */
    assert_close(uap_layer_activation_bytes(block, 4, 1, false, false),
                 66.0 * sbh + 9.0 * scores, 0.0, 0.0);
    uap_model_free(model);
}

/* Llama-2-7B, s 2048: norms and products' inputs 4 sh, queries, keys, values and context
 * 4 sh, gated MLP 4 sf, at two bytes, and one fp32 number per query and head. */
static void test_activations_of_llama_layer(void **state)
{
    (void)state;
    const uap_model_options options = {.seq = 2048};
    uap_model *model = load_with(LLAMA(llama, 4096, 11008, 32, 32, 32000, ""), &options);
    const uap_layer *block = &model->layer[1];
    const double one = 2.0 * 4.0 * 16.0 + 4.0 * 43.0 + 0.25; /* MiB: sh 16, sf 43 */
    assert_close(uap_layer_activation_bytes(block, 2, 1, false, false), one * MIB, 0.0,
                 0.5);
    assert_close(uap_layer_activation_bytes(block, 2, 4, false, false),
                 (64.0 + (one - 64.0) / 4.0) * MIB, 0.0, 0.5);
    assert_close(uap_layer_activation_bytes(block, 2, 4, true, false), one / 4.0 * MIB,
                 0.0, 0.5);
    uap_model_free(model);
}

/* T5's layer: d 64, ff 256, 8 heads of 8, s 512: sd = 32768, s ff = 131072, and the scores
 * 8 s^2 = 2097152. Bytes at two an element, masks at one. */
static void test_activations_of_t5_layer(void **state)
{
    (void)state;
    const double sd = 32768.0, wide = 131072.0, scores = 2097152.0;
    uap_model *model = load(T5(64, 256, 8, 2, 8, ""));
    const uap_layer *block = &model->layer[1];
    /* Norms and products' inputs, q k v context; softmax, dropped softmax; ReLU, dropped
     * ReLU; masks behind both halves, on the scores and inside the MLP. */
    assert_close(uap_layer_activation_bytes(block, 2, 1, false, false),
                 2.0 * (8.0 * sd + 2.0 * scores + 2.0 * wide) + 2.0 * sd + scores + wide,
                 0.0, 0.0);
    assert_close(uap_layer_activation_bytes(block, 2, 1, false, false), 11730944.0, 0.0,
                 0.0);
    /* Norms, residuals, dropouts 7 each; softmax, dropout, bias 6; ReLU, dropout 4. */
    assert_close(block->move_elems, 14.0 * sd + 6.0 * scores + 4.0 * wide, 0.0, 0.0);
    assert_close(block->move_split_elems, 6.0 * scores + 4.0 * wide, 0.0, 0.0);
    /* Cross-attention: norm, query's input; q k v context; scores; a mask; no source. */
    assert_close(uap_layer_activation_bytes(&model->layer[4], 2, 1, false, false) -
                     uap_layer_activation_bytes(block, 2, 1, false, false),
                 2.0 * (6.0 * sd + 2.0 * scores) + sd + scores, 0.0, 0.0);
    uap_model_free(model);
    model = load(T5(64, 256, 8, 2, 8, ", \"dropout_rate\": 0"));
    assert_close(uap_layer_activation_bytes(&model->layer[1], 2, 1, false, false),
                 2.0 * (8.0 * sd + scores + wide), 0.0, 0.0);
    uap_model_free(model);
    model = load(T5(64, 256, 8, 2, 8, ", \"dropout_rate\": 0" V1_1));
    assert_close(uap_layer_activation_bytes(&model->layer[1], 2, 1, false, false),
                 2.0 * (8.0 * sd + scores + 4.0 * wide), 0.0, 0.0);
    uap_model_free(model);
}

/* Eight key-value heads on sixteen devices: each keeps one head, not half of one. */
static void test_key_value_heads_are_replicated(void **state)
{
    (void)state;
    const uap_model_options options = {.seq = 1024};
    uap_model *model =
        load_with(LLAMA(llama, 4096, 14336, 2, 32, 128256, KV(8)), &options);
    const uap_layer *block = &model->layer[1];
    assert_i64(uap_layer_local_kv_heads(block, 1), 8);
    assert_i64(uap_layer_local_kv_heads(block, 8), 1);
    assert_i64(uap_layer_local_kv_heads(block, 16), 1);
    assert_i64(uap_layer_local_kv_heads(&model->layer[0], 2), 0);
    /* q and out: 4096 x 4096 / 16 each; k and v: one head of 128; MLP 3 x 4096 x 896. */
    assert_i64(uap_layer_local_params(block, 16),
               2 * 4096 * 256 + 2 * 4096 * 128 + 3 * 4096 * 896 + 2 * 4096);
    const uap_gemm qkv = uap_layer_local_gemm(block, 0, 16);
    assert_string_equal(qkv.name, "qkv");
    assert_i64(qkv.n, 256 + 2 * 128);
    assert_i64(qkv.n_kv, 256);
    assert_i64(uap_layer_local_gemm(block, 0, 4).n, 1024 + 2 * 256);
    assert_i64(uap_layer_local_gemm(block, 1, 4).batch, 8);
    assert_i64(uap_layer_local_gemm(block, 4, 4).n, 2 * 14336 / 4);
    assert_i64(uap_layer_local_gemm(block, 5, 4).k, 14336 / 4);
    const double split8 = uap_layer_activation_bytes(block, 2, 8, true, false);
    const double split16 = uap_layer_activation_bytes(block, 2, 16, true, false);
    const double kv_head = 2.0 * 1024.0 * 128.0 * 2.0; /* k and v, two bytes */
    assert_close(split16 - kv_head, (split8 - kv_head) / 2.0, 1e-12, 0.0);
    /* Twelve query heads in order over four key-value heads: a device with one and a half
     * groups touches two. */
    const uap_layer odd = {.heads = 12, .kv_heads = 4};
    assert_i64(uap_layer_local_kv_heads(&odd, 3), 2);
    assert_i64(uap_layer_local_kv_heads(&odd, 6), 2);
    assert_i64(uap_layer_local_kv_heads(&odd, 12), 1);
    uap_model_free(model);
}

static void test_tp_degrees(void **state)
{
    (void)state;
    uap_model *model = load(LLAMA(qwen2, 896, 4864, 24, 14, 151936, KV(2) TIED));
    assert_true(uap_layer_allows_tp(&model->layer[1], 2));
    assert_true(uap_layer_allows_tp(&model->layer[0], 3));  /* the vocabulary pads */
    assert_false(uap_layer_allows_tp(&model->layer[1], 4)); /* 14 heads */
    assert_false(uap_layer_allows_tp(&model->layer[1], 7)); /* 4864 / 7 */
    assert_false(uap_layer_allows_tp(&model->layer[1], 0));
    /* 151936 rows padded to 151938, a third each. */
    assert_i64(uap_layer_local_params(&model->layer[0], 3), 50646 * 896);
    uap_model_free(model);
}

/* ---- FLOPs, bytes to the next layer --------------------------------------------------- */

/* Narayanan et al. 2021: 24 s h^2 + 4 s^2 h forward for a layer with f = 4 h, and 2 s h V
 * for the logits. */
static void test_flops(void **state)
{
    (void)state;
    uap_model *model = load(GPT2(768, 2, 12, 1024));
    const double s = 1024.0, h = 768.0;
    assert_close(model->layer[1].flops, 24.0 * s * h * h + 4.0 * s * s * h, 0.0, 0.0);
    assert_close(model->layer[3].flops, 2.0 * s * h * 50257.0, 0.0, 0.0);
    assert_close(model->layer[0].flops, 0.0, 0.0, 0.0);
    assert_close(model->layer[1].output_elems, s * h, 0.0, 0.0);
    assert_close(model->layer[3].logit_elems, s * 50257.0, 0.0, 0.0);
    assert_int_equal(model->layer[1].tp_allreduces, 2);
    assert_int_equal(model->layer[1].tp_allreduces_bwd, 2);
    uap_model_free(model);
}

/* s 128, h 256, f 512, 4 heads and 2 key-value heads of 64. */
static void test_moved_elements_of_llama_layer(void **state)
{
    (void)state;
    const uap_model_options options = {.seq = 128};
    uap_model *model = load_with(LLAMA(llama, 256, 512, 1, 4, 100, KV(2)), &options);
    const double sh = 32768.0, sk = 16384.0, wide = 65536.0;
    assert_close(model->layer[1].move_elems, 10.0 * sh + 2.0 * (sh + sk) + 3.0 * wide,
                 0.0, 0.0);
    assert_close(model->layer[1].move_split_elems, 2.0 * (sh + sk) + 3.0 * wide, 0.0,
                 0.0);
    assert_close(model->layer[1].act_kv_elems, 2.0 * sk, 0.0, 0.0);
    uap_model_free(model);
}

/* ---- Measured memory ------------------------------------------------------------------- */

#define MEASURED "/../shared/data/galvatron/v2.4.0/models/"

/* Opens a measured file, or NULL (then the test is skipped). */
static FILE *open_measured(const char *name)
{
    char path[512];
    (void)snprintf(path, sizeof path, "%s" MEASURED "%s", UAP_SOURCE_DIR, name);
    return fopen(path, "r");
}

/* The number behind "key": after the text `section`; NaN where there is none. */
static double measured_number(FILE *file, const char *section, const char *key)
{
    static char text[1 << 18];
    rewind(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    const char *at = strstr(text, section);
    at = at == NULL ? NULL : strstr(at, key);
    return at == NULL ? (double)NAN : strtod(at + strlen(key), NULL);
}

/* MiB per layer and sample of Llama-2-7B with fused attention, measured by Hetu-Galvatron
 * (Apache-2.0) at each TP degree, with and without sequence parallelism. */
static void test_measured_llama(void **state)
{
    (void)state;
    FILE *file = open_measured(
        "llama_fa/configs/memory_profiling_bf16_hidden4096_head32_seqlen2048.json");
    if (file == NULL) {
        print_message("no measured data here\n");
        skip();
    }
    const uap_model_options options = {.seq = 2048};
    uap_model *model = load_with(LLAMA(llama, 4096, 11008, 32, 32, 32000, ""), &options);
    for (int32_t tp = 1; tp <= 8; tp *= 2) {
        char key[24];
        (void)snprintf(key, sizeof key, "\"%d\":", tp);
        const uap_layer *block = &model->layer[1];
        assert_close(uap_layer_activation_bytes(block, 2, tp, false, false) / MIB,
                     measured_number(file, "\"layertype_0\"", key), 0.005, 0.0);
        assert_close(uap_layer_activation_bytes(block, 2, tp, true, false) / MIB,
                     measured_number(file, "\"layertype_0_sp\"", key), 0.005, 0.0);
    }
    assert_close(uap_layer_activation_bytes(&model->layer[1], 2, 1, false, true) / MIB,
                 measured_number(file, "\"layertype_0\"", "\"checkpoint\":"), 0.0, 0.0);
    uap_model_free(model);
    (void)fclose(file);
}

/* BERT-large's layer at sequence 512, whose attention keeps its scores. */
static void test_measured_bert(void **state)
{
    (void)state;
    FILE *file =
        open_measured("bert_hf/configs/memory_profiling_bf16_hidden1024_head16.json");
    if (file == NULL) {
        print_message("no measured data here\n");
        skip();
    }
    uap_model *model = load(BERT(1024, 24, 16, 4096));
    assert_close(uap_layer_activation_bytes(&model->layer[1], 2, 1, false, false) / MIB,
                 measured_number(file, "\"512\"", "\"1\":"), 0.01, 0.0);
    uap_model_free(model);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_activations_of_gpt3_layer, check_no_leaks),
        cmocka_unit_test_teardown(test_activations_of_llama_layer, check_no_leaks),
        cmocka_unit_test_teardown(test_activations_of_t5_layer, check_no_leaks),
        cmocka_unit_test_teardown(test_key_value_heads_are_replicated, check_no_leaks),
        cmocka_unit_test_teardown(test_tp_degrees, check_no_leaks),
        cmocka_unit_test_teardown(test_flops, check_no_leaks),
        cmocka_unit_test_teardown(test_moved_elements_of_llama_layer, check_no_leaks),
        cmocka_unit_test_teardown(test_measured_llama, check_no_leaks),
        cmocka_unit_test_teardown(test_measured_bert, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
