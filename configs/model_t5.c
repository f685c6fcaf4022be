/* T5 (1.0 and 1.1): T5ForConditionalGeneration, both stacks. The encoder's output is the live
 * tensor that every decoder layer reads; the token matrix is shared by both embeddings and,
 * where tied, by the head. Relative position tables, which Hugging Face keeps in the first
 * block of each stack, are counted in that stack's embedding, so that all blocks are alike. */
#include "configs/model_build.h"

#include "common/mem.h"

#include <string.h>

typedef struct t5 {
    int64_t vocab, hidden, head_dim, ffn, heads, buckets, positions;
    int64_t encoder_layers, decoder_layers;
    bool is_tied, dropout, is_relu, gated;
} t5;

/* "relu", "gelu", "gated-gelu", "gated-silu": whether gated, and the activation. */
static uap_status read_activation(const uap_builder *b, t5 *c, uap_err *err)
{
    static const char prefix[] = "gated-";
    const char *text = "relu";
    const uap_status rc = uap_jopt_str(&b->config, "feed_forward_proj", &text, err);
    if (rc != UAP_OK) {
        return rc;
    }
    c->gated = strncmp(text, prefix, sizeof prefix - 1) == 0;
    const char *activation = text + (c->gated ? sizeof prefix - 1 : 0);
    c->is_relu = strcmp(activation, "relu") == 0;
    if (*activation == '\0' || strchr(activation, '-') != NULL) {
        uap_jval at = b->config;
        (void)uap_jfind(&b->config, "feed_forward_proj", &at);
        return uap_jfail(&at, err,
                         "found \"%.64s\", expected an activation or gated-ACTIVATION "
                         "for \"feed_forward_proj\"",
                         text);
    }
    return UAP_OK;
}

static uap_status need_two_stacks(const uap_builder *b, uap_err *err)
{
    bool has_both = true;
    const uap_status rc = uap_jopt_bool(&b->config, "is_encoder_decoder", &has_both, err);
    if (rc != UAP_OK || has_both) {
        return rc;
    }
    uap_jval at = b->config;
    (void)uap_jfind(&b->config, "is_encoder_decoder", &at);
    return uap_jfail(&at, err, "found false, expected true for \"is_encoder_decoder\"");
}

static uap_status read_keys(const uap_builder *b, t5 *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    *c = (t5){.buckets = 32, .positions = 512, .is_tied = true};
    UAP_TRY(uap_need_dim(b, "vocab_size", UAP_MAX_VOCAB, &c->vocab, err));
    UAP_TRY(uap_need_dim(b, "d_model", UAP_MAX_HIDDEN, &c->hidden, err));
    UAP_TRY(uap_need_dim(b, "d_ff", UAP_MAX_FFN, &c->ffn, err));
    UAP_TRY(uap_need_dim(b, "num_heads", UAP_MAX_HEADS, &c->heads, err));
    UAP_TRY(uap_need_dim(b, "d_kv", UAP_MAX_PROJECTION / c->heads, &c->head_dim, err));
    UAP_TRY(uap_need_dim(b, "num_layers", UAP_MAX_LAYERS, &c->encoder_layers, err));
    c->decoder_layers = c->encoder_layers;
    UAP_TRY(
        uap_opt_dim(b, "num_decoder_layers", UAP_MAX_LAYERS, &c->decoder_layers, err));
    UAP_TRY(
        uap_opt_dim(b, "relative_attention_num_buckets", UAP_MAX_FFN, &c->buckets, err));
    UAP_TRY(uap_opt_dim(b, "n_positions", UAP_MAX_SEQ, &c->positions, err));
    UAP_TRY(uap_opt_dropout(b, "dropout_rate", 0.1, &c->dropout, err));
    UAP_TRY(uap_jopt_bool(&b->config, "tie_word_embeddings", &c->is_tied, err));
    UAP_TRY(read_activation(b, c, err));
    UAP_TRY(need_two_stacks(b, err));
done:
    return rc;
}

static uap_attention attention_of(const t5 *c, int64_t seq, bool is_cross)
{
    return (uap_attention){.tokens = seq,
                           .rows = seq,
                           .source_tokens = seq,
                           .keys = seq,
                           .windows = 1,
                           .hidden = c->hidden,
                           .heads = c->heads,
                           .kv_heads = c->heads,
                           .head_dim = c->head_dim,
                           .norm_params = c->hidden,
                           .is_cross = is_cross,
                           .keeps_scores = true,
                           .score_bias = !is_cross,
                           .hidden_dropout = c->dropout,
                           .score_dropout = c->dropout};
}

static uap_status add_embedding(uap_builder *b, const t5 *c, const char *name,
                                bool is_tied, uap_err *err)
{
    return uap_add_embedding(b,
                             &(uap_embedding){.name = name,
                                              .tokens = b->model->seq,
                                              .hidden = c->hidden,
                                              .vocab = c->vocab,
                                              .split_params = c->buckets * c->heads,
                                              .dropout = c->dropout,
                                              .is_tied = is_tied},
                             err);
}

/* One stack: its blocks, with cross-attention in the decoder. */
static uap_status add_stack(uap_builder *b, const t5 *c, bool is_decoder, uap_err *err)
{
    const int64_t seq = b->model->seq;
    const int64_t n = is_decoder ? c->decoder_layers : c->encoder_layers;
    const uap_attention cross = attention_of(c, seq, true);
    uap_block block = {.prefix = is_decoder ? "decoder" : "encoder",
                       .self = attention_of(c, seq, false),
                       .cross = is_decoder ? &cross : NULL,
                       .mlp = {.tokens = seq,
                               .hidden = c->hidden,
                               .ffn = c->ffn,
                               .norm_params = c->hidden,
                               .gated = c->gated,
                               .is_relu = c->is_relu,
                               .hidden_dropout = c->dropout,
                               .inner_dropout = c->dropout},
                       .stack_dropout = c->dropout};
    for (; block.index < n; block.index++) {
        block.ends_stack = !is_decoder && block.index == n - 1;
        const uap_status rc = uap_add_block(b, &block, err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    return UAP_OK;
}

/* The encoder's output, from its last layer to the decoder layers that read it. */
static uap_status add_live(uap_builder *b, int32_t from, uap_err *err)
{
    const uap_model *model = b->model;
    const uap_layer *source = &model->layer[from];
    uap_model_live live = {.producer = from,
                           .from = from,
                           .elems = (double)source->tokens * (double)source->hidden};
    live.reader = uap_calloc((size_t)model->n_layers, sizeof *live.reader);
    if (live.reader == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for live tensors");
    }
    for (int32_t i = from + 1; i < model->n_layers; i++) {
        if (model->layer[i].type == UAP_LAYER_CROSS_BLOCK ||
            model->layer[i].type == UAP_LAYER_CROSS_ATTENTION) {
            live.reader[live.n_readers++] = i;
        }
    }
    const uap_status rc = uap_add_live(b, &live, err);
    uap_free(live.reader);
    return rc;
}

uap_status uap_read_t5(uap_builder *b, uap_err *err)
{
    uap_status rc = UAP_OK;
    t5 c;
    UAP_TRY(read_keys(b, &c, err));
    UAP_TRY(uap_set_seq(b, c.positions, false, err));
    UAP_TRY(add_embedding(b, &c, "encoder.embedding", false, err));
    UAP_TRY(add_stack(b, &c, false, err));
    const int32_t decoder = b->model->n_layers;
    UAP_TRY(add_embedding(b, &c, "decoder.embedding", true, err));
    UAP_TRY(add_stack(b, &c, true, err));
    UAP_TRY(uap_add_lm_head(b,
                            &(uap_lm_head){.tokens = b->model->seq,
                                           .hidden = c.hidden,
                                           .vocab = c.vocab,
                                           .norm_params = c.hidden,
                                           .dropout = c.dropout,
                                           .is_tied = c.is_tied},
                            err));
    uap_add_tie(b, 0, decoder);
    if (c.is_tied) {
        uap_add_tie(b, 0, b->model->n_layers - 1);
    }
    UAP_TRY(add_live(b, decoder - 1, err));
done:
    return rc;
}
