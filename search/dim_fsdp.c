/* Full sharding (FSDP, arXiv 2304.11277; ZeRO-3, arXiv 1910.02054): parameters, gradients
 * and optimizer states are split over fsdp ranks; each micro-batch gathers the parameters for
 * forward and for backward and scatters the gradients. */
#include "common/numbers.h"
#include "search/cost.h"
#include "search/dimension.h"

/* Gathered parameters: those of the layer at work and of one prefetched layer. */
#define GATHERED_LAYERS 2.0

static size_t values(const uap_dim_scope *scope, const uap_strategy *strategy,
                     int64_t out[UAP_MAX_VALUES])
{
    return uap_divisors(uap_dim_rest(scope, strategy), out, UAP_MAX_VALUES);
}

static void set(uap_strategy *strategy, int64_t value)
{
    strategy->fsdp = (int32_t)value;
}

static void cost(const uap_dim_scope *scope, const uap_layer *layer,
                 const uap_strategy *strategy, uap_cost_parts *parts)
{
    (void)layer;
    const int32_t size = strategy->fsdp, stride = strategy->tp;
    const double used = (double)parts->used * (double)scope->elem_bytes;
    const double owned = (double)parts->owned * (double)scope->elem_bytes;
    parts->shard = uap_ceil_div(parts->owned, size);
    parts->gradients = parts->shard;
    parts->moments = parts->shard;
    if (size > 1) {
        parts->gather_s =
            uap_scope_collective_s(scope, UAP_ALL_GATHER, size, stride, used);
        parts->hide_fwd_s += parts->gather_s;
        parts->hide_bwd_s +=
            parts->gather_s +
            uap_scope_collective_s(scope, UAP_REDUCE_SCATTER, size, stride, owned);
        parts->work_bytes += GATHERED_LAYERS * used + owned;
    }
}

const uap_dimension uap_dim_fsdp = {
    .name = "fsdp",
    .bit = UAP_SPACE_FSDP,
    .neutral = 1,
    .values = values,
    .set = set,
    .cost = cost,
};
