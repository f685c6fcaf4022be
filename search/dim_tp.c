/* Tensor parallelism within a layer (Megatron-LM, arXiv 1909.08053): parameters, products
 * and activations are split over tp neighbouring ranks, all-reduces join the results. */
#include "common/numbers.h"
#include "search/cost.h"
#include "search/dimension.h"

static size_t values(const uap_dim_scope *scope, const uap_strategy *strategy,
                     int64_t out[UAP_MAX_VALUES])
{
    const size_t n = uap_divisors(uap_dim_rest(scope, strategy), out, UAP_MAX_VALUES);
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const int32_t size = (int32_t)out[i];
        if (size == 1 || scope->tp_across_nodes ||
            uap_cluster_group_span(scope->cluster, scope->devices, size, 1) ==
                UAP_SPAN_NODE) {
            out[kept++] = size;
        }
    }
    return kept;
}

static void set(uap_strategy *strategy, int64_t value)
{
    strategy->tp = (int32_t)value;
}

static bool allows(const uap_layer *layer, const uap_strategy *strategy)
{
    return strategy->tp == 1 || uap_layer_allows_tp(layer, strategy->tp);
}

/* The head's logits, fp32, with the vocabulary padded to a multiple of tp. */
static double logit_bytes(const uap_layer *layer, int32_t tp)
{
    const double share =
        layer->vocab > 0 ? (double)uap_ceil_div(layer->vocab, tp) / (double)layer->vocab
                         : 1.0 / (double)tp;
    return 4.0 * layer->logit_elems * share;
}

static void cost(const uap_dim_scope *scope, const uap_layer *layer,
                 const uap_strategy *strategy, uap_cost_parts *parts)
{
    const int32_t tp = strategy->tp;
    const int64_t local = uap_layer_local_params(layer, tp);
    const int64_t tied = uap_layer_local_tied(layer, tp);
    parts->used = local + tied;
    parts->owned = local + (scope->is_pipelined ? tied : 0);
    parts->work_per_sample += logit_bytes(layer, tp);
    if (tp > 1 && layer->tp_elems > 0.0) {
        parts->tp_link[0] = uap_scope_link(scope, UAP_ALL_REDUCE, tp, 1);
        parts->tp_bytes_per_sample = layer->tp_elems * (double)scope->elem_bytes;
    }
}

const uap_dimension uap_dim_tp = {
    .name = "tp",
    .bit = UAP_SPACE_TP,
    .neutral = 1,
    .values = values,
    .set = set,
    .allows = allows,
    .cost = cost,
};
