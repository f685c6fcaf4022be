/* Models: exact parameter counts against published ones, activation bytes against numbers
 * worked by hand, layers and shapes, and what is said about configs that cannot be read. */
#include "check.h"

#include "configs/model.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB 1048576.0

/* Writes text to a new file; its name goes to path. */
static void write_config(const char *text, char path[64])
{
    (void)snprintf(path, 64, "/tmp/uap_model_XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    const size_t n = strlen(text);
    assert_true(write(fd, text, n) == (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static uap_model *load_with(const char *text, const uap_model_options *options)
{
    char path[64];
    uap_err err = {0};
    uap_model *model = NULL;
    write_config(text, path);
    assert_ok(uap_model_load(path, options, &model, &err), &err);
    assert_int_equal(unlink(path), 0);
    return model;
}

static uap_model *load(const char *text)
{
    return load_with(text, &(uap_model_options){0});
}

/* ---- Configs ------------------------------------------------------------------------- */

#define GPT2(h, l, a, p)                                                                 \
    "{\"model_type\": \"gpt2\", \"vocab_size\": 50257, \"n_positions\": " #p             \
    ", \"n_embd\": " #h ", \"n_layer\": " #l ", \"n_head\": " #a "}"

#define BERT(h, l, a, f)                                                                 \
    "{\"model_type\": \"bert\", \"architectures\": [\"BertForMaskedLM\"], "              \
    "\"vocab_size\": 30522, \"max_position_embeddings\": 512, \"type_vocab_size\": 2, "  \
    "\"hidden_size\": " #h ", \"num_hidden_layers\": " #l                                \
    ", \"num_attention_heads\": " #a ", \"intermediate_size\": " #f "}"

#define T5(d, ff, kv, l, a, more)                                                        \
    "{\"model_type\": \"t5\", \"vocab_size\": 32128, \"d_model\": " #d                   \
    ", \"d_ff\": " #ff ", \"d_kv\": " #kv ", \"num_layers\": " #l                        \
    ", \"num_heads\": " #a more "}"
#define V1_1 ", \"feed_forward_proj\": \"gated-gelu\", \"tie_word_embeddings\": false"

#define LLAMA(type, h, f, l, a, v, more)                                                 \
    "{\"model_type\": \"" #type "\", \"max_position_embeddings\": 32768, "               \
    "\"hidden_size\": " #h ", \"intermediate_size\": " #f ", \"num_hidden_layers\": " #l \
    ", \"num_attention_heads\": " #a ", \"vocab_size\": " #v more "}"
#define KV(n) ", \"num_key_value_heads\": " #n
#define TIED  ", \"tie_word_embeddings\": true"

#define VIT(h, l, a, f, p, more)                                                         \
    "{\"model_type\": \"vit\", \"image_size\": 224, \"patch_size\": " #p                 \
    ", \"hidden_size\": " #h ", \"num_hidden_layers\": " #l                              \
    ", \"num_attention_heads\": " #a ", \"intermediate_size\": " #f more "}"
#define CLASSES(family)                                                                  \
    ", \"architectures\": [\"" #family "ForImageClassification\"], \"num_labels\": 1000"

#define SWIN(e, depths, heads, w, i)                                                     \
    "{\"model_type\": \"swin\", \"embed_dim\": " #e ", \"depths\": " depths              \
    ", \"num_heads\": " heads ", \"window_size\": " #w ", \"image_size\": " #i           \
    ", \"patch_size\": 4" CLASSES(Swin) "}"

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
    assert_true(model->has_live);
    assert_int_equal(model->live.from, 6);
    assert_int_equal(model->live.first, 8);
    assert_int_equal(model->live.last, 11);
    assert_close(model->live.elems, 512.0 * 512.0, 0.0, 0.0);
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
    assert_int_equal(halves->live.from, 6);
    assert_int_equal(halves->live.first, 8);
    assert_int_equal(halves->live.last, 12);
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
    assert_true(n > 10 && n < 2000);
    assert_int_equal(unlink(path), 0);
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
        cmocka_unit_test_teardown(test_published_counts, check_no_leaks),
        cmocka_unit_test_teardown(test_counts_do_not_depend_on_options, check_no_leaks),
        cmocka_unit_test_teardown(test_shipped_files, check_no_leaks),
        cmocka_unit_test_teardown(test_activations_of_gpt3_layer, check_no_leaks),
        cmocka_unit_test_teardown(test_activations_of_llama_layer, check_no_leaks),
        cmocka_unit_test_teardown(test_key_value_heads_are_replicated, check_no_leaks),
        cmocka_unit_test_teardown(test_tp_degrees, check_no_leaks),
        cmocka_unit_test_teardown(test_flops, check_no_leaks),
        cmocka_unit_test_teardown(test_sliding_windows, check_no_leaks),
        cmocka_unit_test_teardown(test_t5_layers, check_no_leaks),
        cmocka_unit_test_teardown(test_operator_granularity, check_no_leaks),
        cmocka_unit_test_teardown(test_swin_windows, check_no_leaks),
        cmocka_unit_test_teardown(test_shape_keys, check_no_leaks),
        cmocka_unit_test_teardown(test_sequence_length, check_no_leaks),
        cmocka_unit_test_teardown(test_layer_type_names, check_no_leaks),
        cmocka_unit_test_teardown(test_directory, check_no_leaks),
        cmocka_unit_test_teardown(test_refused, check_no_leaks),
        cmocka_unit_test_teardown(test_bad_options, check_no_leaks),
        cmocka_unit_test_teardown(test_allocation_failures, check_no_leaks),
        cmocka_unit_test_teardown(test_measured_llama, check_no_leaks),
        cmocka_unit_test_teardown(test_measured_bert, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
