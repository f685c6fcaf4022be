/* A model as typed layers with everything that costs are derived from. Read from a Hugging
 * Face config.json; sources of the formulas in docs/models.md. It knows no cluster, no
 * strategy and no time. All amounts are per sample unless said otherwise. */
#ifndef UAP_CONFIGS_MODEL_H
#define UAP_CONFIGS_MODEL_H

#include "common/sha256.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_layer_type {
    UAP_LAYER_EMBEDDING,   /* token (or patch) embedding with its positions and norm */
    UAP_LAYER_BLOCK,       /* self-attention + MLP */
    UAP_LAYER_CROSS_BLOCK, /* self-attention + cross-attention + MLP (T5 decoder) */
    UAP_LAYER_ATTENTION,   /* operator granularity: the attention half of a block */
    UAP_LAYER_CROSS_ATTENTION, /* operator granularity: self- and cross-attention */
    UAP_LAYER_MLP,             /* operator granularity: the MLP half */
    UAP_LAYER_WINDOW_BLOCK,    /* Swin: windowed attention + MLP */
    UAP_LAYER_PATCH_MERGE,     /* Swin: 2 x 2 patches to one, doubled width */
    UAP_LAYER_HEAD,            /* final norm with LM head, pooler or classifier */
    UAP_LAYER_NODE,            /* a node of a uniap-graph file: amounts as given there */
    UAP_LAYER_TYPE_COUNT
} uap_layer_type;

const char *uap_layer_type_name(uap_layer_type type); /* "block", ... */
bool uap_layer_type_by_name(const char *name, uap_layer_type *out);

typedef enum uap_gemm_split {
    UAP_SPLIT_NONE, /* every device of a TP group does all of it */
    UAP_SPLIT_N,    /* column parallel: n / tp */
    UAP_SPLIT_K,    /* row parallel: k / tp */
    UAP_SPLIT_BATCH /* heads: batch / tp */
} uap_gemm_split;

/* `batch` products C[m x n] = A[m x k] B[k x n]; 2 m n k batch FLOPs forward. */
typedef struct uap_gemm {
    char name[16]; /* "qkv", "scores", "context", "out", "up", "down", "logits", ... */
    int64_t m, n, k, batch;
    uap_gemm_split split;
    int64_t n_kv; /* the part of n (UAP_SPLIT_N) that is keys and values: a TP group with
                   * more devices than key-value heads replicates it */
} uap_gemm;

#define UAP_LAYER_MAX_GEMMS 16

typedef struct uap_layer {
    char name[48]; /* "encoder.3", unique in the model */
    uap_layer_type type;
    int32_t shape;        /* layers of equal shape number cost the same; 0-based, dense */
    int64_t tokens;       /* sequence positions per sample at this layer */
    int64_t hidden;       /* model width */
    int64_t heads;        /* attention heads; 0 where there are none */
    int64_t kv_heads;     /* key-value heads; replicated where fewer than tp */
    int64_t head_dim;     /* width of one head; 0 where there are none */
    int64_t keys;         /* keys each query meets (tokens, window, source); 0: none */
    int64_t ffn;          /* feed-forward width; 0 where there is none */
    bool gated;           /* gated MLP: two products of width ffn before the third */
    int64_t vocab;        /* vocabulary (or classes) that TP may split, padded; 0: none */
    int64_t params;       /* trainable parameters, exact; a tied head counts 0 */
    int64_t params_split; /* the part of params that TP divides; the rest is replicated */
    int64_t params_kv;    /* the part of params_split that goes with key-value heads */
    int64_t tied_params;  /* shared with the earlier layer of a tie (LM head, T5's decoder
                           * embedding), which a stage of its own must hold again; not in
                           * params; they count as split by TP */
    int32_t n_gemms;
    uap_gemm gemm[UAP_LAYER_MAX_GEMMS];
    double flops; /* forward; backward is twice this, recompute once more */
    double
        move_elems; /* elements read or written by what is not a product (norms, softmax,
                        * activations, residuals), forward */
    double move_split_elems; /* the part of move_elems that TP divides */
    /* Kept for the backward pass, per sample: elements of the compute type and one-byte
     * masks; "split" is divided by TP, "whole" only by sequence parallelism. */
    double act_split_elems, act_whole_elems, mask_split, mask_whole;
    double act_kv_elems; /* the part of act_split_elems that is keys and values */
    double input_elems;  /* what full recompute keeps: the layer's input, whole */
    double output_elems; /* what crosses a boundary behind the layer, per sample */
    double logit_elems; /* head: logits per sample, split by TP; kept as fp32 workspace */
    /* Megatron TP: all-reduces of `tp_elems` elements in forward and in backward (they differ
     * in embeddings 1/0, LM heads 0/1 and cross-attention 3/4: the source's gradient); with
     * sequence parallelism each becomes an all-gather and a reduce-scatter. */
    int32_t tp_allreduces, tp_allreduces_bwd;
    double tp_elems;
} uap_layer;

/* A tensor live beyond the next layer: T5's encoder output, a graph's skip edges. */
typedef struct uap_model_live {
    int32_t producer; /* the layer that makes it */
    int32_t from; /* the layer in whose layout it is kept: the producer, or the one behind
                         * it, which then reads it too (along the chain) and passes it on */
    int32_t n_readers; /* >= 1 */
    int32_t *reader;   /* [n_readers] ascending, all > from */
    double elems;      /* per sample */
} uap_model_live;

#define UAP_MODEL_MAX_TIES 2

typedef struct uap_model {
    char *name;   /* file name without .json, or the directory's */
    char *source; /* path as given */
    char sha256[UAP_SHA256_HEX];
    char architecture[32]; /* model_type: "llama", "t5", ... */
    int64_t seq;           /* tokens per sample the layers were made for */
    bool seq_is_assumed;   /* no --seq: the default was taken, worth saying */
    int64_t params;        /* exact, tied parameters once */
    int32_t n_layers;
    int32_t n_shapes;
    uap_layer *layer; /* [n_layers] */
    int32_t n_live;
    uap_model_live *live; /* [n_live], ascending from */
    int32_t n_ties;
    int32_t tie[UAP_MODEL_MAX_TIES][2]; /* layers that share parameters, earlier first */
} uap_model;

typedef struct uap_model_options {
    int64_t seq; /* 0: the default of the design (training length, at most 4096) */
    bool operator_granularity; /* attention and MLP as layers of their own */
} uap_model_options;

/* Reads a config.json, DIR/config.json when path is a directory, or a uniap-graph file
 * (docs/formats.md). An unknown model_type lists the known ones; a missing, negative or non-divisible dimension is an error with
 * file:line:column. The caller frees *out. Errors: IO, BAD_INPUT, TOO_LARGE, NO_MEMORY. */
UAP_NODISCARD uap_status uap_model_load(const char *path,
                                        const uap_model_options *options, uap_model **out,
                                        uap_err *err);
void uap_model_free(uap_model *model); /* NULL is legal */

/* Bytes kept per sample for the backward pass on one device: TP degree tp, sequence
 * parallelism, full recompute (then only the layer's input), elem_bytes per element. */
double uap_layer_activation_bytes(const uap_layer *layer, int32_t elem_bytes, int32_t tp,
                                  bool sp, bool recompute);

/* Largest number of key-value heads that one device of a TP group of tp serves when query
 * heads are dealt out in order: kv_heads / tp where that is whole, 1 or more where heads are
 * replicated. 0 for layers without attention; tp >= 1 must be allowed for the layer. */
int64_t uap_layer_local_kv_heads(const uap_layer *layer, int32_t tp);

/* Parameters that one device of a TP group of tp holds: the vocabulary padded up to a
 * multiple of tp, key-value heads replicated as above. Without tied_params. */
int64_t uap_layer_local_params(const uap_layer *layer, int32_t tp);

/* Product i (< n_gemms) as one device of a TP group of tp computes it, per sample. */
uap_gemm uap_layer_local_gemm(const uap_layer *layer, int32_t i, int32_t tp);

/* Text key of measured layer times: "t512.h1280.a16.kv16.f5120.v0" (tokens, hidden, heads,
 * key-value heads, feed-forward width, vocabulary), then only where they deviate ".d128"
 * (head width is not hidden / heads), ".k49" (a query meets other than all tokens), ".g"
 * (gated MLP). Layers of one type and key have the same products per sample. A NODE's key is
 * "n" and a checksum of what it computes, the same in every graph. */
#define UAP_SHAPE_KEY_BYTES 96
void uap_layer_shape_key(const uap_layer *layer, char key[UAP_SHAPE_KEY_BYTES]);

/* Whether TP degree tp divides the layer (heads, feed-forward width; the vocabulary pads,
 * key-value heads are replicated). */
bool uap_layer_allows_tp(const uap_layer *layer, int32_t tp);

#ifdef __cplusplus
}
#endif
#endif
