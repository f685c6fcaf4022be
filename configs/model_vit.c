/* ViT: patches and a class token through an encoder. The head is the classifier of
 * ViTForImageClassification, else the pooler of ViTModel (docs/models.md). */
#include "configs/model_build.h"

typedef struct vit {
    int64_t hidden, layers, heads, ffn, channels, labels;
    int64_t image[2], patch[2];
    bool qkv_bias, is_relu, dropout, score_dropout, is_classifier;
} vit;

static uap_status read_keys(const uap_builder *b, vit *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    *c = (vit){.channels = 3, .qkv_bias = true};
    UAP_TRY(uap_need_dim(b, "hidden_size", UAP_MAX_HIDDEN, &c->hidden, err));
    UAP_TRY(uap_need_dim(b, "num_hidden_layers", UAP_MAX_LAYERS, &c->layers, err));
    UAP_TRY(uap_need_dim(b, "num_attention_heads", UAP_MAX_HEADS, &c->heads, err));
    UAP_TRY(uap_need_divides(b, "num_attention_heads", c->heads, "hidden_size", c->hidden,
                             err));
    UAP_TRY(uap_need_dim(b, "intermediate_size", UAP_MAX_FFN, &c->ffn, err));
    UAP_TRY(uap_need_image(b, c->image, c->patch, &c->channels, err));
    UAP_TRY(uap_jopt_bool(&b->config, "qkv_bias", &c->qkv_bias, err));
    UAP_TRY(uap_opt_dropout(b, "hidden_dropout_prob", 0.0, &c->dropout, err));
    UAP_TRY(
        uap_opt_dropout(b, "attention_probs_dropout_prob", 0.0, &c->score_dropout, err));
    UAP_TRY(uap_opt_relu(b, "hidden_act", &c->is_relu, err));
    UAP_TRY(uap_read_classifier(b, &c->is_classifier, &c->labels, err));
done:
    return rc;
}

static uap_status add_blocks(uap_builder *b, const vit *c, uap_err *err)
{
    const int64_t seq = b->model->seq;
    uap_block block = {.prefix = "encoder",
                       .self = {.tokens = seq,
                                .rows = seq,
                                .source_tokens = seq,
                                .keys = seq,
                                .windows = 1,
                                .hidden = c->hidden,
                                .heads = c->heads,
                                .kv_heads = c->heads,
                                .head_dim = c->hidden / c->heads,
                                .norm_params = 2 * c->hidden,
                                .qkv_bias = c->qkv_bias,
                                .out_bias = true,
                                .keeps_scores = true,
                                .hidden_dropout = c->dropout,
                                .score_dropout = c->score_dropout},
                       .mlp = {.tokens = seq,
                               .hidden = c->hidden,
                               .ffn = c->ffn,
                               .norm_params = 2 * c->hidden,
                               .bias = true,
                               .is_relu = c->is_relu,
                               .hidden_dropout = c->dropout}};
    for (; block.index < c->layers; block.index++) {
        const uap_status rc = uap_add_block(b, &block, err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    return UAP_OK;
}

uap_status uap_read_vit(uap_builder *b, uap_err *err)
{
    uap_status rc = UAP_OK;
    vit c;
    UAP_TRY(read_keys(b, &c, err));
    const int64_t patches = c.image[0] / c.patch[0] * (c.image[1] / c.patch[1]);
    b->model->seq = patches + 1; /* the image fixes it: --seq does not apply */
    UAP_TRY(uap_add_patches(b,
                            &(uap_patches){.patches = patches,
                                           .tokens = b->model->seq,
                                           .hidden = c.hidden,
                                           .pixels = c.channels * c.patch[0] * c.patch[1],
                                           .added_rows = b->model->seq + 1,
                                           .added_tables = 1,
                                           .dropout = c.dropout},
                            err));
    UAP_TRY(add_blocks(b, &c, err));
    UAP_TRY(
        uap_add_pooled_head(b,
                            &(uap_pooled_head){.tokens = b->model->seq,
                                               .hidden = c.hidden,
                                               .norm_params = 2 * c.hidden,
                                               .labels = c.is_classifier ? c.labels : 0,
                                               .has_pooler = !c.is_classifier},
                            err));
done:
    return rc;
}
