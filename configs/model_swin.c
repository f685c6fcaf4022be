/* Swin: attention within windows, stages that halve each side of the image and double the
 * width by merging 2 x 2 patches. The head is SwinForImageClassification's classifier, else
 * the final norm alone (SwinModel's average pool has no parameters). */
#include "common/numbers.h"
#include "configs/model_build.h"

#include <stdio.h>

#define MAX_STAGES 16

typedef struct stage_list {
    int64_t n, value[MAX_STAGES];
} stage_list;

typedef struct swin {
    int64_t embed, channels, window, labels;
    int64_t image[2], patch[2];
    stage_list depth, heads;
    double mlp_ratio;
    bool qkv_bias, absolute, is_relu, dropout, score_dropout, is_classifier;
} swin;

/* One number a stage; list->n > 0 says how many there must be. */
static uap_status read_list(const uap_builder *b, const char *key, int64_t max,
                            stage_list *list, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval array;
    UAP_TRY(uap_jget(&b->config, key, UAP_JSON_ARRAY, &array, err));
    const size_t found = uap_jlen(&array);
    if (list->n > 0 && found != (size_t)list->n) {
        rc = uap_jfail(&array, err,
                       "found %zu elements, expected %lld, as in depths, for \"%s\"",
                       found, (long long)list->n, key);
        goto done;
    }
    if (found == 0 || found > MAX_STAGES) {
        rc = uap_jfail(&array, err, "found %zu elements, expected 1 to %d for \"%s\"",
                       found, MAX_STAGES, key);
        goto done;
    }
    for (size_t i = 0; i < found; i++) {
        const uap_jval item = uap_jat(&array, i);
        UAP_TRY(uap_jas_i64(&item, 1, max, &list->value[i], err));
    }
    list->n = (int64_t)found;
done:
    return rc;
}

/* Every stage's width must fit its heads, and the last one the limits. */
static uap_status check_stages(const uap_builder *b, const swin *c, uap_err *err)
{
    uap_jval list;
    if (!uap_jfind(&b->config, "num_heads", &list)) {
        return UAP_FAIL(err, INTERNAL, "num_heads was read but is not there");
    }
    for (int64_t i = 0; i < c->depth.n; i++) {
        const int64_t width = c->embed << i;
        const uap_jval item = uap_jat(&list, (size_t)i);
        if (width > UAP_MAX_HIDDEN) {
            return uap_jfail(&item, err, "stage %lld is %lld wide, expected at most %lld",
                             (long long)i, (long long)width, (long long)UAP_MAX_HIDDEN);
        }
        if (width % c->heads.value[i] != 0) {
            return uap_jfail(&item, err,
                             "found %lld, expected a divisor of the stage's width, which "
                             "is %lld, for \"num_heads[%lld]\"",
                             (long long)c->heads.value[i], (long long)width,
                             (long long)i);
        }
    }
    return UAP_OK;
}

static uap_status read_keys(const uap_builder *b, swin *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    *c = (swin){.channels = 3, .mlp_ratio = 4.0, .qkv_bias = true};
    UAP_TRY(uap_need_dim(b, "embed_dim", UAP_MAX_HIDDEN, &c->embed, err));
    UAP_TRY(read_list(b, "depths", UAP_MAX_LAYERS / MAX_STAGES, &c->depth, err));
    c->heads.n = c->depth.n;
    UAP_TRY(read_list(b, "num_heads", UAP_MAX_HEADS, &c->heads, err));
    UAP_TRY(check_stages(b, c, err));
    UAP_TRY(uap_need_image(b, c->image, c->patch, &c->channels, err));
    UAP_TRY(uap_need_dim(b, "window_size", UAP_MAX_IMAGE, &c->window, err));
    UAP_TRY(uap_jopt_f64(&b->config, "mlp_ratio", 1e-3, 16.0, &c->mlp_ratio, err));
    UAP_TRY(uap_jopt_bool(&b->config, "qkv_bias", &c->qkv_bias, err));
    UAP_TRY(uap_jopt_bool(&b->config, "use_absolute_embeddings", &c->absolute, err));
    UAP_TRY(uap_opt_dropout(b, "hidden_dropout_prob", 0.0, &c->dropout, err));
    UAP_TRY(
        uap_opt_dropout(b, "attention_probs_dropout_prob", 0.0, &c->score_dropout, err));
    UAP_TRY(uap_opt_relu(b, "hidden_act", &c->is_relu, err));
    UAP_TRY(uap_read_classifier(b, &c->is_classifier, &c->labels, err));
done:
    return rc;
}

/* A window no larger than the image of its stage; the image padded up to whole windows. The
 * position table keeps the configured window's size, as in Hugging Face. */
static uap_attention attention_of(const swin *c, int64_t stage, const int64_t grid[2])
{
    const int64_t width = c->embed << stage, heads = c->heads.value[stage];
    const int64_t side = uap_min_i64(c->window, uap_min_i64(grid[0], grid[1]));
    const int64_t windows = uap_ceil_div(grid[0], side) * uap_ceil_div(grid[1], side);
    const int64_t rows = windows * side * side;
    const int64_t table = (2 * c->window - 1) * (2 * c->window - 1);
    return (uap_attention){.tokens = grid[0] * grid[1],
                           .rows = rows,
                           .source_tokens = rows,
                           .keys = side * side,
                           .windows = windows,
                           .hidden = width,
                           .heads = heads,
                           .kv_heads = heads,
                           .head_dim = width / heads,
                           .norm_params = 2 * width,
                           .extra_params = table * heads,
                           .qkv_bias = c->qkv_bias,
                           .out_bias = true,
                           .keeps_scores = true,
                           .score_bias = true,
                           .hidden_dropout = c->dropout,
                           .score_dropout = c->score_dropout};
}

static uap_status add_stage(uap_builder *b, const swin *c, int64_t stage,
                            const int64_t grid[2], uap_err *err)
{
    char prefix[24];
    const int64_t width = c->embed << stage;
    (void)snprintf(prefix, sizeof prefix, "stage%lld", (long long)stage);
    uap_block block = {.prefix = prefix,
                       .is_windowed = true,
                       .self = attention_of(c, stage, grid),
                       .mlp = {.tokens = grid[0] * grid[1],
                               .hidden = width,
                               .ffn = (int64_t)(c->mlp_ratio * (double)width),
                               .norm_params = 2 * width,
                               .bias = true,
                               .is_relu = c->is_relu,
                               .hidden_dropout = c->dropout}};
    if (block.mlp.ffn < 1) {
        return uap_jfail(&b->config, err, "mlp_ratio %g of width %lld leaves no width",
                         c->mlp_ratio, (long long)width);
    }
    for (; block.index < c->depth.value[stage]; block.index++) {
        const uap_status rc = uap_add_block(b, &block, err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    return UAP_OK;
}

/* Four neighbours side by side, normed and projected to twice the width; grid is halved. */
static uap_status add_merge(uap_builder *b, int64_t stage, int64_t width, int64_t grid[2],
                            uap_err *err)
{
    const int64_t before = grid[0] * grid[1];
    grid[0] = uap_ceil_div(grid[0], 2);
    grid[1] = uap_ceil_div(grid[1], 2);
    const int64_t after = grid[0] * grid[1];
    const double gathered = (double)after * 4.0 * (double)width;
    uap_layer layer = {.type = UAP_LAYER_PATCH_MERGE,
                       .tokens = before,
                       .hidden = width,
                       .params = 8 * width * width + 8 * width,
                       .act_whole_elems = 2.0 * gathered, /* inputs of norm and product */
                       .move_elems = 4.0 * gathered,
                       .input_elems = (double)before * (double)width,
                       .output_elems = (double)after * 2.0 * (double)width};
    (void)snprintf(layer.name, sizeof layer.name, "stage%lld.merge", (long long)stage);
    uap_layer_add_gemm(
        &layer, &(uap_gemm){"merge", after, 2 * width, 4 * width, 1, UAP_SPLIT_NONE, 0});
    return uap_add_layer(b, &layer, err);
}

uap_status uap_read_swin(uap_builder *b, uap_err *err)
{
    uap_status rc = UAP_OK;
    swin c;
    UAP_TRY(read_keys(b, &c, err));
    int64_t grid[2] = {c.image[0] / c.patch[0], c.image[1] / c.patch[1]};
    const int64_t patches = grid[0] * grid[1];
    b->model->seq = patches; /* the image fixes it: --seq does not apply */
    UAP_TRY(uap_add_patches(b,
                            &(uap_patches){.patches = patches,
                                           .tokens = patches,
                                           .hidden = c.embed,
                                           .pixels = c.channels * c.patch[0] * c.patch[1],
                                           .added_rows = c.absolute ? patches : 0,
                                           .added_tables = c.absolute ? 1 : 0,
                                           .norm_params = 2 * c.embed,
                                           .dropout = c.dropout},
                            err));
    for (int64_t stage = 0; stage < c.depth.n; stage++) {
        UAP_TRY(add_stage(b, &c, stage, grid, err));
        if (stage < c.depth.n - 1) {
            UAP_TRY(add_merge(b, stage, c.embed << stage, grid, err));
        }
    }
    const int64_t width = c.embed << (c.depth.n - 1);
    UAP_TRY(
        uap_add_pooled_head(b,
                            &(uap_pooled_head){.tokens = grid[0] * grid[1],
                                               .hidden = width,
                                               .norm_params = 2 * width,
                                               .labels = c.is_classifier ? c.labels : 0},
                            err));
done:
    return rc;
}
