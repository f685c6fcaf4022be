/* What one device of a tensor-parallel group holds of a layer: activations, parameters,
 * products; and the text key of measured layer times. It reads layers, it builds none. */
#include "common/numbers.h"
#include "configs/model.h"

#include <assert.h>
#include <stdio.h>

/* Start of device r's query heads, in units that the caller divides further. */
static int64_t first_head(int64_t heads, int64_t tp, int64_t r)
{
    return heads / tp * r;
}

int64_t uap_layer_local_kv_heads(const uap_layer *layer, int32_t tp)
{
    assert(tp >= 1);
    const int64_t heads = layer->heads, kv = layer->kv_heads;
    if (kv == 0) {
        return 0;
    }
    if (kv % tp == 0) {
        return kv / tp;
    }
    /* Query head i reads key-value head i / (heads / kv): count those a device touches. */
    const int64_t group = heads / kv;
    int64_t most = 1;
    for (int64_t r = 0; r < tp; r++) {
        const int64_t first = first_head(heads, tp, r) / group;
        const int64_t last = (first_head(heads, tp, r + 1) - 1) / group;
        most = uap_max_i64(most, last - first + 1);
    }
    return most;
}

double uap_layer_activation_bytes(const uap_layer *layer, int32_t elem_bytes, int32_t tp,
                                  bool sp, bool recompute)
{
    assert(tp >= 1 && elem_bytes > 0);
    const double whole_share = sp ? 1.0 / (double)tp : 1.0;
    if (recompute) {
        return layer->input_elems * (double)elem_bytes * whole_share;
    }
    const double split =
        (layer->act_split_elems - layer->act_kv_elems) * (double)elem_bytes +
        layer->mask_split;
    const double whole = layer->act_whole_elems * (double)elem_bytes + layer->mask_whole;
    double kv = layer->act_kv_elems * (double)elem_bytes;
    if (layer->kv_heads > 0) {
        kv *= (double)uap_layer_local_kv_heads(layer, tp) / (double)layer->kv_heads;
    }
    return split / (double)tp + kv + whole * whole_share;
}

int64_t uap_layer_local_params(const uap_layer *layer, int32_t tp)
{
    assert(tp >= 1);
    const int64_t whole = layer->params - layer->params_split;
    const int64_t plain = layer->params_split - layer->params_kv;
    int64_t local = whole;
    if (layer->vocab > 0) {
        /* Rows of the matrix (and one bias each); what is left goes with heads. */
        const int64_t per_row = plain / layer->vocab;
        local += uap_ceil_div(layer->vocab, tp) * per_row;
        local += uap_ceil_div(plain - per_row * layer->vocab, tp);
    } else {
        local += uap_ceil_div(plain, tp);
    }
    if (layer->kv_heads > 0) {
        local += layer->params_kv / layer->kv_heads * uap_layer_local_kv_heads(layer, tp);
    }
    return local;
}

uap_gemm uap_layer_local_gemm(const uap_layer *layer, int32_t i, int32_t tp)
{
    assert(i >= 0 && i < layer->n_gemms && tp >= 1);
    uap_gemm gemm = layer->gemm[i];
    switch (gemm.split) {
    case UAP_SPLIT_NONE:
        break;
    case UAP_SPLIT_N: {
        int64_t kv = 0;
        if (gemm.n_kv > 0) {
            kv = gemm.n_kv / layer->kv_heads * uap_layer_local_kv_heads(layer, tp);
        }
        gemm.n = uap_ceil_div(gemm.n - gemm.n_kv, tp) + kv;
        gemm.n_kv = kv;
        break;
    }
    case UAP_SPLIT_K:
        gemm.k = uap_ceil_div(gemm.k, tp);
        break;
    case UAP_SPLIT_BATCH:
        gemm.batch = uap_ceil_div(gemm.batch, tp);
        break;
    }
    return gemm;
}

bool uap_layer_allows_tp(const uap_layer *layer, int32_t tp)
{
    return tp >= 1 && layer->heads % tp == 0 && layer->ffn % tp == 0;
}

/* FNV-1a over the digits of a number. */
static uint64_t mix(uint64_t hash, double number)
{
    char text[40];
    (void)snprintf(text, sizeof text, "%.17g;", number);
    for (const char *c = text; *c != '\0'; c++) {
        hash = (hash ^ (uint8_t)*c) * 1099511628211U;
    }
    return hash;
}

/* The key of a layer that its dimensions do not describe: of all that decides its time. */
static void node_key(const uap_layer *layer, char key[UAP_SHAPE_KEY_BYTES])
{
    uint64_t hash = 14695981039346656037U;
    hash = mix(mix(hash, layer->flops), (double)layer->ffn);
    hash = mix(mix(hash, layer->move_elems), layer->move_split_elems);
    for (int32_t i = 0; i < layer->n_gemms; i++) {
        const uap_gemm *gemm = &layer->gemm[i];
        hash = mix(mix(hash, (double)gemm->m), (double)gemm->n);
        hash = mix(mix(hash, (double)gemm->k), (double)gemm->batch);
        hash = mix(hash, (double)gemm->split);
    }
    (void)snprintf(key, UAP_SHAPE_KEY_BYTES, "n%016llx", (unsigned long long)hash);
}

void uap_layer_shape_key(const uap_layer *layer, char key[UAP_SHAPE_KEY_BYTES])
{
    char head_dim[24] = "", keys[24] = "";
    if (layer->type == UAP_LAYER_NODE) {
        node_key(layer, key);
        return;
    }
    if (layer->heads > 0 && layer->heads * layer->head_dim != layer->hidden) {
        (void)snprintf(head_dim, sizeof head_dim, ".d%lld", (long long)layer->head_dim);
    }
    if (layer->heads > 0 && layer->keys != layer->tokens) {
        (void)snprintf(keys, sizeof keys, ".k%lld", (long long)layer->keys);
    }
    (void)snprintf(key, UAP_SHAPE_KEY_BYTES, "t%lld.h%lld.a%lld.kv%lld.f%lld.v%lld%s%s%s",
                   (long long)layer->tokens, (long long)layer->hidden,
                   (long long)layer->heads, (long long)layer->kv_heads,
                   (long long)layer->ffn, (long long)layer->vocab, head_dim, keys,
                   layer->gated ? ".g" : "");
}
