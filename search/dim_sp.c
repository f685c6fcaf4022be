/* Sequence parallelism (Korthikanti et al., arXiv 2205.05198): between the products the
 * sequence is split over the tensor-parallel ranks, and each all-reduce becomes an
 * all-gather and a reduce-scatter. */
#include "search/cost.h"
#include "search/dimension.h"

static size_t values(const uap_dim_scope *scope, const uap_strategy *strategy,
                     int64_t out[UAP_MAX_VALUES])
{
    (void)scope;
    out[0] = 0;
    out[1] = 1;
    return strategy->tp > 1 ? 2 : 1;
}

static void set(uap_strategy *strategy, int64_t value)
{
    strategy->sp = value != 0;
}

static bool allows(const uap_layer *layer, const uap_strategy *strategy)
{
    return !strategy->sp || layer->tokens % strategy->tp == 0;
}

static void cost(const uap_dim_scope *scope, const uap_layer *layer,
                 const uap_strategy *strategy, uap_cost_parts *parts)
{
    if (!strategy->sp || !(layer->tp_elems > 0.0)) {
        return;
    }
    parts->tp_link[0] = uap_scope_link(scope, UAP_ALL_GATHER, strategy->tp, 1);
    parts->tp_link[1] = uap_scope_link(scope, UAP_REDUCE_SCATTER, strategy->tp, 1);
    parts->tp_bytes_per_sample = layer->tp_elems * (double)scope->elem_bytes;
}

const uap_dimension uap_dim_sp = {
    .name = "sp",
    .bit = UAP_SPACE_SP,
    .neutral = 0,
    .values = values,
    .set = set,
    .allows = allows,
    .cost = cost,
};
