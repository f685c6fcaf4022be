/* ZeRO stages 1 and 2 over the data-parallel ranks (Rajbhandari et al., arXiv 1910.02054): 1
 * splits the optimizer's states, 2 the gradients too, at the price of a reduce-scatter per
 * micro-batch. Stage 3 is the fsdp dimension. */
#include "common/numbers.h"
#include "search/cost.h"
#include "search/dimension.h"

#include <math.h>

static size_t values(const uap_dim_scope *scope, const uap_strategy *strategy,
                     int64_t out[UAP_MAX_VALUES])
{
    (void)scope;
    for (int64_t stage = 0; stage <= 2; stage++) {
        out[stage] = stage;
    }
    return strategy->dp > 1 ? 3 : 1;
}

static void set(uap_strategy *strategy, int64_t value)
{
    strategy->zero = (int8_t)value;
}

static void cost(const uap_dim_scope *scope, const uap_layer *layer,
                 const uap_strategy *strategy, uap_cost_parts *parts)
{
    (void)layer;
    if (strategy->zero == 0) {
        return;
    }
    const double scatter =
        uap_bucketed_s(scope, UAP_REDUCE_SCATTER, strategy, parts->shard);
    parts->after_s = uap_bucketed_s(scope, UAP_ALL_GATHER, strategy, parts->shard);
    parts->moments = uap_ceil_div(parts->shard, strategy->dp);
    if (strategy->zero == 1) {
        parts->sync_s = scatter;
        return;
    }
    const double shard = (double)parts->shard * (double)scope->elem_bytes;
    parts->sync_s = 0.0;
    parts->hide_bwd_s += scatter;
    parts->gradients = parts->moments;
    parts->work_bytes += fmin(uap_bucket_bytes(scope, strategy->dp), shard);
}

const uap_dimension uap_dim_zero = {
    .name = "zero",
    .bit = UAP_SPACE_ZERO,
    .neutral = 0,
    .values = values,
    .set = set,
    .cost = cost,
};
