/* Llama 1/2/3, Mistral and Qwen2/2.5: RMSNorm, rotary positions, grouped-query attention,
 * gated MLP, fused attention that keeps no scores. They differ in defaults, in where biases
 * are and in sliding windows. */
#include "common/numbers.h"
#include "configs/model_build.h"

typedef struct llama {
    int64_t vocab, hidden, layers, heads, kv_heads, head_dim, ffn, positions;
    int64_t window;      /* keys a query meets at most, in layers from window_from */
    int64_t window_from; /* layers before it attend to everything */
    bool qkv_bias, out_bias;
    bool mlp_bias, is_tied;
} llama;

/* What Hugging Face's configuration class of a family assumes where a key is absent. */
typedef struct defaults {
    int64_t kv_heads; /* 0: as many as heads */
    int64_t positions;
} defaults;

static uap_status read_heads(const uap_builder *b, const defaults *absent, llama *c,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval given;
    const bool has_kv = uap_jfind(&b->config, "num_key_value_heads", &given);
    UAP_TRY(uap_need_dim(b, "num_attention_heads", UAP_MAX_HEADS, &c->heads, err));
    /* An explicit null means one key-value head per head in every family. */
    c->kv_heads = has_kv || absent->kv_heads == 0 ? c->heads : absent->kv_heads;
    UAP_TRY(uap_opt_dim(b, "num_key_value_heads", UAP_MAX_HEADS, &c->kv_heads, err));
    UAP_TRY(uap_need_divides(b, has_kv ? "num_key_value_heads" : "num_attention_heads",
                             c->kv_heads, "num_attention_heads", c->heads, err));
    UAP_TRY(uap_opt_dim(b, "head_dim", UAP_MAX_PROJECTION / c->heads, &c->head_dim, err));
    if (c->head_dim == 0) {
        UAP_TRY(uap_need_divides(b, "num_attention_heads", c->heads, "hidden_size",
                                 c->hidden, err));
        c->head_dim = c->hidden / c->heads;
    }
done:
    return rc;
}

static uap_status read_keys(const uap_builder *b, const defaults *absent, llama *c,
                            uap_err *err)
{
    uap_status rc = UAP_OK;
    c->positions = absent->positions;
    UAP_TRY(uap_need_dim(b, "vocab_size", UAP_MAX_VOCAB, &c->vocab, err));
    UAP_TRY(uap_need_dim(b, "hidden_size", UAP_MAX_HIDDEN, &c->hidden, err));
    UAP_TRY(uap_need_dim(b, "num_hidden_layers", UAP_MAX_LAYERS, &c->layers, err));
    UAP_TRY(uap_need_dim(b, "intermediate_size", UAP_MAX_FFN, &c->ffn, err));
    UAP_TRY(read_heads(b, absent, c, err));
    UAP_TRY(uap_opt_dim(b, "max_position_embeddings", UAP_MAX_SEQ, &c->positions, err));
    UAP_TRY(uap_jopt_bool(&b->config, "tie_word_embeddings", &c->is_tied, err));
done:
    return rc;
}

static uap_block block_of(const llama *c, int64_t seq)
{
    return (uap_block){.prefix = "block",
                       .self = {.tokens = seq,
                                .rows = seq,
                                .source_tokens = seq,
                                .keys = seq,
                                .windows = 1,
                                .hidden = c->hidden,
                                .heads = c->heads,
                                .kv_heads = c->kv_heads,
                                .head_dim = c->head_dim,
                                .norm_params = c->hidden,
                                .qkv_bias = c->qkv_bias,
                                .out_bias = c->out_bias,
                                .rotary = true},
                       .mlp = {.tokens = seq,
                               .hidden = c->hidden,
                               .ffn = c->ffn,
                               .norm_params = c->hidden,
                               .gated = true,
                               .bias = c->mlp_bias}};
}

static uap_status add_layers(uap_builder *b, const llama *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_set_seq(b, c->positions, false, err));
    const int64_t seq = b->model->seq;
    UAP_TRY(uap_add_embedding(
        b,
        &(uap_embedding){
            .name = "embedding", .tokens = seq, .hidden = c->hidden, .vocab = c->vocab},
        err));
    uap_block block = block_of(c, seq);
    for (; block.index < c->layers; block.index++) {
        const bool is_windowed = c->window > 0 && block.index >= c->window_from;
        block.self.keys = is_windowed ? uap_min_i64(seq, c->window) : seq;
        UAP_TRY(uap_add_block(b, &block, err));
    }
    UAP_TRY(uap_add_lm_head(b,
                            &(uap_lm_head){.tokens = seq,
                                           .hidden = c->hidden,
                                           .vocab = c->vocab,
                                           .norm_params = c->hidden,
                                           .is_tied = c->is_tied},
                            err));
    if (c->is_tied) {
        uap_add_tie(b, 0, b->model->n_layers - 1);
    }
done:
    return rc;
}

uap_status uap_read_llama(uap_builder *b, uap_err *err)
{
    uap_status rc = UAP_OK;
    llama c = {0};
    UAP_TRY(read_keys(b, &(defaults){.positions = 2048}, &c, err));
    UAP_TRY(uap_jopt_bool(&b->config, "attention_bias", &c.qkv_bias, err));
    c.out_bias = c.qkv_bias;
    UAP_TRY(uap_jopt_bool(&b->config, "mlp_bias", &c.mlp_bias, err));
    UAP_TRY(add_layers(b, &c, err));
done:
    return rc;
}

uap_status uap_read_mistral(uap_builder *b, uap_err *err)
{
    uap_status rc = UAP_OK;
    llama c = {0};
    uap_jval given;
    UAP_TRY(read_keys(b, &(defaults){.kv_heads = 8, .positions = 4096 * 32}, &c, err));
    /* Absent, Hugging Face assumes 4096; null switches the window off. */
    c.window = uap_jfind(&b->config, "sliding_window", &given) ? 0 : 4096;
    UAP_TRY(uap_opt_dim(b, "sliding_window", UAP_MAX_SEQ, &c.window, err));
    UAP_TRY(add_layers(b, &c, err));
done:
    return rc;
}

uap_status uap_read_qwen2(uap_builder *b, uap_err *err)
{
    uap_status rc = UAP_OK;
    llama c = {.qkv_bias = true, .window_from = 28};
    bool uses_window = false;
    int64_t window = 4096;
    UAP_TRY(read_keys(b, &(defaults){.kv_heads = 32, .positions = 32768}, &c, err));
    UAP_TRY(uap_jopt_bool(&b->config, "use_sliding_window", &uses_window, err));
    UAP_TRY(uap_opt_dim(b, "sliding_window", UAP_MAX_SEQ, &window, err));
    UAP_TRY(uap_jopt_i64(&b->config, "max_window_layers", 0, UAP_MAX_LAYERS,
                         &c.window_from, err));
    c.window = uses_window ? window : 0;
    UAP_TRY(add_layers(b, &c, err));
done:
    return rc;
}
