/* BERT: BertModel with its pooler, as Hugging Face counts it; task heads are left out
 * whatever `architectures` says (docs/models.md). */
#include "configs/model_build.h"

#include <string.h>

typedef struct bert {
    int64_t vocab, hidden, layers, heads, ffn, positions, types;
    bool is_relu, dropout, score_dropout;
} bert;

static uap_status read_keys(const uap_builder *b, bert *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    const char *positions = "absolute";
    c->types = 2;
    UAP_TRY(uap_need_dim(b, "vocab_size", UAP_MAX_VOCAB, &c->vocab, err));
    UAP_TRY(uap_need_dim(b, "hidden_size", UAP_MAX_HIDDEN, &c->hidden, err));
    UAP_TRY(uap_need_dim(b, "num_hidden_layers", UAP_MAX_LAYERS, &c->layers, err));
    UAP_TRY(uap_need_dim(b, "num_attention_heads", UAP_MAX_HEADS, &c->heads, err));
    UAP_TRY(uap_need_divides(b, "num_attention_heads", c->heads, "hidden_size", c->hidden,
                             err));
    UAP_TRY(uap_need_dim(b, "intermediate_size", UAP_MAX_FFN, &c->ffn, err));
    UAP_TRY(uap_need_dim(b, "max_position_embeddings", UAP_MAX_SEQ, &c->positions, err));
    UAP_TRY(uap_opt_dim(b, "type_vocab_size", UAP_MAX_VOCAB, &c->types, err));
    UAP_TRY(uap_opt_dropout(b, "hidden_dropout_prob", 0.1, &c->dropout, err));
    UAP_TRY(
        uap_opt_dropout(b, "attention_probs_dropout_prob", 0.1, &c->score_dropout, err));
    UAP_TRY(uap_opt_relu(b, "hidden_act", &c->is_relu, err));
    UAP_TRY(uap_jopt_str(&b->config, "position_embedding_type", &positions, err));
    if (strcmp(positions, "absolute") != 0) {
        uap_jval at = b->config;
        (void)uap_jfind(&b->config, "position_embedding_type", &at);
        rc = uap_jfail(&at, err,
                       "found \"%.64s\", expected \"absolute\" for "
                       "\"position_embedding_type\"",
                       positions);
    }
done:
    return rc;
}

uap_status uap_read_bert(uap_builder *b, uap_err *err)
{
    uap_status rc = UAP_OK;
    bert c = {0};
    UAP_TRY(read_keys(b, &c, err));
    UAP_TRY(uap_set_seq(b, c.positions, true, err));
    const int64_t seq = b->model->seq;
    UAP_TRY(uap_add_embedding(b,
                              &(uap_embedding){.name = "embedding",
                                               .tokens = seq,
                                               .hidden = c.hidden,
                                               .vocab = c.vocab,
                                               .added_rows = c.positions + c.types,
                                               .added_tables = 2,
                                               .norm_params = 2 * c.hidden,
                                               .dropout = c.dropout},
                              err));
    uap_block block = {.prefix = "encoder",
                       .self = {.tokens = seq,
                                .rows = seq,
                                .source_tokens = seq,
                                .keys = seq,
                                .windows = 1,
                                .hidden = c.hidden,
                                .heads = c.heads,
                                .kv_heads = c.heads,
                                .head_dim = c.hidden / c.heads,
                                .norm_params = 2 * c.hidden,
                                .qkv_bias = true,
                                .out_bias = true,
                                .keeps_scores = true,
                                .hidden_dropout = c.dropout,
                                .score_dropout = c.score_dropout},
                       .mlp = {.tokens = seq,
                               .hidden = c.hidden,
                               .ffn = c.ffn,
                               .norm_params = 2 * c.hidden,
                               .bias = true,
                               .is_relu = c.is_relu,
                               .hidden_dropout = c.dropout}};
    for (block.index = 0; block.index < c.layers; block.index++) {
        UAP_TRY(uap_add_block(b, &block, err));
    }
    UAP_TRY(uap_add_pooled_head(
        b, &(uap_pooled_head){.tokens = seq, .hidden = c.hidden, .has_pooler = true},
        err));
done:
    return rc;
}
