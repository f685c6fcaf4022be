/* Data parallelism: replicas that add up their gradients once per iteration, in buckets that
 * start during the backward pass (Li et al., arXiv 2006.15704). It takes the devices that
 * the other factors leave. */
#include "search/cost.h"
#include "search/dimension.h"

static size_t values(const uap_dim_scope *scope, const uap_strategy *strategy,
                     int64_t out[UAP_MAX_VALUES])
{
    out[0] = uap_dim_rest(scope, strategy);
    return 1;
}

static void set(uap_strategy *strategy, int64_t value)
{
    strategy->dp = (int32_t)value;
}

static void cost(const uap_dim_scope *scope, const uap_layer *layer,
                 const uap_strategy *strategy, uap_cost_parts *parts)
{
    (void)layer;
    parts->sync_s = uap_bucketed_s(scope, UAP_ALL_REDUCE, strategy, parts->shard);
}

const uap_dimension uap_dim_dp = {
    .name = "dp",
    .bit = UAP_SPACE_DP,
    .neutral = 1,
    .values = values,
    .set = set,
    .cost = cost,
};
