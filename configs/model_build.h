/* What the readers of model families share: typed access to the config's keys, the parts a
 * layer is made of (attention, MLP, embedding, head) and the list the layers go to. Private
 * to configs/; formulas and their sources are in docs/models.md. */
#ifndef UAP_CONFIGS_MODEL_BUILD_H
#define UAP_CONFIGS_MODEL_BUILD_H

#include "common/json_read.h"
#include "configs/model.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Upper limits of what a config may say. They keep every count within int64: no layer has
 * more than 2^48 parameters, and no model more than 2^63 before the last check. */
#define UAP_MAX_HIDDEN     ((int64_t)1 << 20)
#define UAP_MAX_HEADS      ((int64_t)1 << 16)
#define UAP_MAX_PROJECTION ((int64_t)1 << 24) /* heads x head width */
#define UAP_MAX_FFN        ((int64_t)1 << 24)
#define UAP_MAX_VOCAB      ((int64_t)1 << 28)
#define UAP_MAX_LAYERS     ((int64_t)1 << 14)
#define UAP_MAX_SEQ        ((int64_t)1 << 26)
#define UAP_MAX_IMAGE      ((int64_t)1 << 13) /* pixels per side */
#define UAP_MAX_PARAMS     ((int64_t)1 << 50)

#define UAP_DEFAULT_SEQ_LIMIT 4096 /* training length where more positions are allowed */

typedef struct uap_builder {
    uap_jval config; /* root of the document */
    const uap_model_options *options;
    uap_model *model; /* under construction; the builder's caller owns it */
    int32_t capacity; /* of model->layer */
} uap_builder;

/* Reads one family's config into builder->model: its layers, sequence, ties. Errors: those
 * of uap_model_load. */
typedef uap_status uap_family_reader(uap_builder *builder, uap_err *err);

uap_family_reader uap_read_bert, uap_read_gpt2, uap_read_llama, uap_read_mistral,
    uap_read_qwen2, uap_read_swin, uap_read_t5, uap_read_vit;

/* The same for a document with a "format", which must be uniap-graph. */
uap_family_reader uap_read_graph;

/* A required dimension in [1, max]. */
UAP_NODISCARD uap_status uap_need_dim(const uap_builder *builder, const char *key,
                                      int64_t max, int64_t *out, uap_err *err);

/* An optional dimension in [1, max]; absent or null leaves *out. */
UAP_NODISCARD uap_status uap_opt_dim(const uap_builder *builder, const char *key,
                                     int64_t max, int64_t *out, uap_err *err);

/* Fails at `key` (whose value is `divisor`) unless it divides `value`, called `what`. */
UAP_NODISCARD uap_status uap_need_divides(const uap_builder *builder, const char *key,
                                          int64_t divisor, const char *what,
                                          int64_t value, uap_err *err);

/* An optional probability in [0, 1]: *drops says whether it is above 0. */
UAP_NODISCARD uap_status uap_opt_dropout(const uap_builder *builder, const char *key,
                                         double absent, bool *drops, uap_err *err);

/* A number or a pair of numbers [height, width], both in [1, max]. */
UAP_NODISCARD uap_status uap_need_pair(const uap_builder *builder, const char *key,
                                       int64_t max, int64_t out[2], uap_err *err);

/* Whether the optional activation `key` is "relu"; absent: no. */
UAP_NODISCARD uap_status uap_opt_relu(const uap_builder *builder, const char *key,
                                      bool *is_relu, uap_err *err);

/* An image model's image_size and patch_size [height, width], the one a multiple of the
 * other, and the optional num_channels. */
UAP_NODISCARD uap_status uap_need_image(const uap_builder *builder, int64_t image[2],
                                        int64_t patch[2], int64_t *channels,
                                        uap_err *err);

/* Sets the model's sequence length: --seq, else min(positions, UAP_DEFAULT_SEQ_LIMIT).
 * Where positions are learned (`learned`), a longer --seq is BAD_USAGE. */
UAP_NODISCARD uap_status uap_set_seq(uap_builder *builder, int64_t positions,
                                     bool learned, uap_err *err);

/* Whether `architectures` names an image classifier, or is absent while labels are given;
 * *labels as Hugging Face counts them: id2label, else num_labels, else 2. */
UAP_NODISCARD uap_status uap_read_classifier(const uap_builder *builder,
                                             bool *is_classifier, int64_t *labels,
                                             uap_err *err);

/* One attention with its norm, residual and dropout. */
typedef struct uap_attention {
    int64_t tokens;        /* positions of the residual stream */
    int64_t rows;          /* positions the products run over (Swin pads to windows) */
    int64_t source_tokens; /* positions keys and values come from; rows unless cross */
    int64_t keys;          /* keys each query meets */
    int64_t windows; /* the products of heads come in this many independent windows */
    int64_t hidden, heads, kv_heads, head_dim;
    int64_t norm_params;  /* 2 hidden (LayerNorm) or hidden (RMSNorm) */
    int64_t extra_params; /* relative position tables, one column per head */
    bool is_cross;        /* keys and values come from the live tensor */
    bool qkv_bias, out_bias;
    bool keeps_scores; /* the family's attention materialises softmax(QK^T) */
    bool score_bias;   /* a position bias is added to the scores */
    bool rotary;
    bool hidden_dropout, score_dropout;
} uap_attention;

/* One feed-forward network with its norm, residual and dropout. */
typedef struct uap_mlp {
    int64_t tokens, hidden, ffn;
    int64_t norm_params;
    bool gated, bias;
    bool is_relu; /* its derivative needs the output only */
    bool hidden_dropout, inner_dropout;
} uap_mlp;

/* A transformer block: the parts, and what to call it. */
typedef struct uap_block {
    const char *prefix; /* "encoder", "block": layers are "<prefix>.<index>" */
    int64_t index;
    uap_attention self;
    const uap_attention *cross; /* NULL: none */
    uap_mlp mlp;
    bool is_windowed; /* block granularity: type WINDOW_BLOCK */
    bool
        ends_stack; /* T5's last encoder layer: a final norm, nothing to the next layer */
    bool stack_dropout; /* dropout behind that norm */
} uap_block;

/* A token embedding. */
typedef struct uap_embedding {
    const char *name;
    int64_t tokens, hidden, vocab;
    int64_t added_rows;   /* learned positions and token types, in rows of `hidden` */
    int64_t added_tables; /* how many tables they are */
    int64_t norm_params;
    int64_t split_params; /* tables per head (T5's relative positions) */
    bool dropout;
    bool is_tied; /* the matrix belongs to an earlier layer */
} uap_embedding;

/* A patch embedding: a product over each patch's pixels, replicated under TP. */
typedef struct uap_patches {
    int64_t patches, tokens, hidden;
    int64_t pixels;       /* channels x patch height x patch width */
    int64_t added_rows;   /* class token and learned positions, in rows of `hidden` */
    int64_t added_tables; /* position tables added */
    int64_t norm_params;
    bool dropout;
} uap_patches;

/* Final norm and projection to the vocabulary. */
typedef struct uap_lm_head {
    int64_t tokens, hidden, vocab;
    int64_t norm_params;
    bool dropout; /* behind the norm */
    bool is_tied;
} uap_lm_head;

/* Final norm and, where labels > 0, a classifier on one vector; else, where has_pooler, a
 * dense layer of hidden x hidden on the first position. */
typedef struct uap_pooled_head {
    int64_t tokens, hidden;
    int64_t norm_params;
    int64_t labels;
    bool has_pooler;
} uap_pooled_head;

/* Each appends one layer (a block: one, or two with operator granularity) and gives it its
 * shape number. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_add_embedding(uap_builder *builder,
                                           const uap_embedding *embedding, uap_err *err);
UAP_NODISCARD uap_status uap_add_patches(uap_builder *builder, const uap_patches *patches,
                                         uap_err *err);
UAP_NODISCARD uap_status uap_add_block(uap_builder *builder, const uap_block *block,
                                       uap_err *err);
UAP_NODISCARD uap_status uap_add_lm_head(uap_builder *builder, const uap_lm_head *head,
                                         uap_err *err);
UAP_NODISCARD uap_status uap_add_pooled_head(uap_builder *builder,
                                             const uap_pooled_head *head, uap_err *err);

/* Appends a finished layer: shape number and, where it has products, FLOPs are set here. */
UAP_NODISCARD uap_status uap_add_layer(uap_builder *builder, const uap_layer *layer,
                                       uap_err *err);

/* Appends a live tensor; its readers are copied. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_add_live(uap_builder *builder, const uap_model_live *live,
                                      uap_err *err);

/* Records that two layers share parameters. */
void uap_add_tie(uap_builder *builder, int32_t earlier, int32_t later);

/* Appends a product to a layer under construction. */
void uap_layer_add_gemm(uap_layer *layer, const uap_gemm *gemm);

#ifdef __cplusplus
}
#endif
#endif
