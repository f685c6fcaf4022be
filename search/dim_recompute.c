/* Full recompute (Chen et al., arXiv 1604.06174): only the layer's input is kept, and the
 * backward pass runs the layer again, with its traffic, before it differentiates it. */
#include "search/cost.h"
#include "search/dimension.h"

static size_t values(const uap_dim_scope *scope, const uap_strategy *strategy,
                     int64_t out[UAP_MAX_VALUES])
{
    (void)scope;
    (void)strategy;
    out[0] = 0;
    out[1] = 1;
    return 2;
}

static void set(uap_strategy *strategy, int64_t value)
{
    strategy->recompute = value != 0;
}

/* The forward's time and tensor-parallel traffic are added where the micro-batch is known. */
static void cost(const uap_dim_scope *scope, const uap_layer *layer,
                 const uap_strategy *strategy, uap_cost_parts *parts)
{
    if (!strategy->recompute) {
        return;
    }
    parts->hide_bwd_s += parts->gather_s;
    parts->work_per_sample += uap_layer_activation_bytes(
        layer, scope->elem_bytes, strategy->tp, strategy->sp, false);
}

const uap_dimension uap_dim_recompute = {
    .name = "recompute",
    .bit = UAP_SPACE_RECOMPUTE,
    .neutral = 0,
    .values = values,
    .set = set,
    .cost = cost,
};
