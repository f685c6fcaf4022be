/* GPT-2: GPT2LMHeadModel, learned positions, the head tied to the embedding by default. */
#include "configs/model_build.h"

typedef struct gpt2 {
    int64_t vocab, hidden, layers, heads, ffn, positions;
    bool is_relu, is_tied;
    bool embedding_dropout, hidden_dropout, score_dropout;
} gpt2;

static uap_status refuse_cross_attention(const uap_builder *b, uap_err *err)
{
    bool has_cross = false;
    const uap_status rc =
        uap_jopt_bool(&b->config, "add_cross_attention", &has_cross, err);
    if (rc != UAP_OK || !has_cross) {
        return rc;
    }
    uap_jval at = b->config;
    (void)uap_jfind(&b->config, "add_cross_attention", &at);
    return uap_jfail(&at, err, "found true, expected false for \"add_cross_attention\"");
}

static uap_status read_keys(const uap_builder *b, gpt2 *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    c->is_tied = true;
    UAP_TRY(uap_need_dim(b, "vocab_size", UAP_MAX_VOCAB, &c->vocab, err));
    UAP_TRY(uap_need_dim(b, "n_embd", UAP_MAX_HIDDEN, &c->hidden, err));
    UAP_TRY(uap_need_dim(b, "n_layer", UAP_MAX_LAYERS, &c->layers, err));
    UAP_TRY(uap_need_dim(b, "n_head", UAP_MAX_HEADS, &c->heads, err));
    UAP_TRY(uap_need_divides(b, "n_head", c->heads, "n_embd", c->hidden, err));
    UAP_TRY(uap_need_dim(b, "n_positions", UAP_MAX_SEQ, &c->positions, err));
    c->ffn = 4 * c->hidden;
    UAP_TRY(uap_opt_dim(b, "n_inner", UAP_MAX_FFN, &c->ffn, err));
    UAP_TRY(uap_opt_dropout(b, "embd_pdrop", 0.1, &c->embedding_dropout, err));
    UAP_TRY(uap_opt_dropout(b, "resid_pdrop", 0.1, &c->hidden_dropout, err));
    UAP_TRY(uap_opt_dropout(b, "attn_pdrop", 0.1, &c->score_dropout, err));
    UAP_TRY(uap_opt_relu(b, "activation_function", &c->is_relu, err));
    UAP_TRY(uap_jopt_bool(&b->config, "tie_word_embeddings", &c->is_tied, err));
    UAP_TRY(refuse_cross_attention(b, err));
done:
    return rc;
}

static uap_block block_of(const gpt2 *c, int64_t seq)
{
    return (uap_block){.prefix = "block",
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
                                .qkv_bias = true,
                                .out_bias = true,
                                .keeps_scores = true,
                                .hidden_dropout = c->hidden_dropout,
                                .score_dropout = c->score_dropout},
                       .mlp = {.tokens = seq,
                               .hidden = c->hidden,
                               .ffn = c->ffn,
                               .norm_params = 2 * c->hidden,
                               .bias = true,
                               .is_relu = c->is_relu,
                               .hidden_dropout = c->hidden_dropout}};
}

uap_status uap_read_gpt2(uap_builder *b, uap_err *err)
{
    uap_status rc = UAP_OK;
    gpt2 c = {0};
    UAP_TRY(read_keys(b, &c, err));
    UAP_TRY(uap_set_seq(b, c.positions, true, err));
    const int64_t seq = b->model->seq;
    UAP_TRY(uap_add_embedding(b,
                              &(uap_embedding){.name = "embedding",
                                               .tokens = seq,
                                               .hidden = c.hidden,
                                               .vocab = c.vocab,
                                               .added_rows = c.positions,
                                               .added_tables = 1,
                                               .dropout = c.embedding_dropout},
                              err));
    uap_block block = block_of(&c, seq);
    for (; block.index < c.layers; block.index++) {
        UAP_TRY(uap_add_block(b, &block, err));
    }
    UAP_TRY(uap_add_lm_head(b,
                            &(uap_lm_head){.tokens = seq,
                                           .hidden = c.hidden,
                                           .vocab = c.vocab,
                                           .norm_params = 2 * c.hidden,
                                           .is_tied = c.is_tied},
                            err));
    if (c.is_tied) {
        uap_add_tie(b, 0, b->model->n_layers - 1);
    }
done:
    return rc;
}
