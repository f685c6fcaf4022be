/* The table of dimensions, and the strategy space it spans. */
#include "search/dimension.h"

#include "common/mem.h"
#include "common/numbers.h"
#include "search/cost.h"

#include <math.h>

/* Order: layouts (tp, sp) first, so that strategies of one layout are neighbours; dp behind
 * fsdp, because it takes the devices that are left. */
static const uap_dimension *const dimensions[] = {
    &uap_dim_tp, &uap_dim_sp,   &uap_dim_fsdp,
    &uap_dim_dp, &uap_dim_zero, &uap_dim_recompute,
};

#define N_DIMENSIONS (sizeof dimensions / sizeof dimensions[0])

/* More strategies of one stage than this are refused; 2^20 take 24 MB, and an origin of a
 * mixed cluster counts no further (search/cost_internal.h). */
#define MAX_STRATEGIES (1 << 20)

/* Megatron-LM's default gradient bucket: max(40e6, 1e6 x data-parallel size) parameters. */
#define BUCKET_PARAMETERS          40e6
#define BUCKET_PARAMETERS_PER_RANK 1e6

typedef struct strategy_list {
    const uap_dim_scope *scope;
    int64_t batch;
    uap_strategy *item;
    int32_t n, capacity;
    uap_status status;
} strategy_list;

int64_t uap_dim_rest(const uap_dim_scope *scope, const uap_strategy *strategy)
{
    const int64_t used = (int64_t)strategy->dp * strategy->fsdp * strategy->tp;
    return scope->stage_devices / used;
}

static void list_add(strategy_list *list, const uap_strategy *strategy)
{
    const int64_t ways = (int64_t)strategy->dp * strategy->fsdp;
    if (ways * strategy->tp != list->scope->stage_devices || list->batch % ways != 0) {
        return;
    }
    if (list->n == list->capacity) {
        const int32_t capacity = 2 * list->capacity + 64;
        uap_strategy *grown =
            list->n < MAX_STRATEGIES
                ? uap_realloc(list->item, (size_t)capacity, sizeof *list->item)
                : NULL;
        if (grown == NULL) {
            list->status = list->n < MAX_STRATEGIES ? UAP_NO_MEMORY : UAP_TOO_LARGE;
            return;
        }
        list->item = grown;
        list->capacity = capacity;
    }
    list->item[list->n++] = *strategy;
}

/* Depth: the number of dimensions. */
static void list_expand(strategy_list *list, size_t depth, const uap_strategy *strategy)
{
    if (depth == N_DIMENSIONS) {
        list_add(list, strategy);
        return;
    }
    const uap_dimension *dimension = dimensions[depth];
    const bool is_free = (list->scope->space & dimension->bit) != 0;
    int64_t value[UAP_MAX_VALUES];
    const size_t n = dimension->values(list->scope, strategy, value);
    for (size_t i = 0; i < n && list->status == UAP_OK; i++) {
        if (is_free || value[i] == dimension->neutral) {
            uap_strategy next = *strategy;
            dimension->set(&next, value[i]);
            list_expand(list, depth + 1, &next);
        }
    }
}

uap_status uap_strategies_list(const uap_dim_scope *scope, int64_t batch,
                               uap_strategy **out, int32_t *n, uap_err *err)
{
    const uap_strategy neutral = {.dp = 1, .fsdp = 1, .tp = 1};
    strategy_list list = {.scope = scope, .batch = batch, .status = UAP_OK};
    *out = NULL;
    *n = 0;
    list_expand(&list, 0, &neutral);
    if (list.status == UAP_OK) {
        *out = list.item;
        *n = list.n;
        return UAP_OK;
    }
    uap_free(list.item);
    return list.status == UAP_NO_MEMORY
               ? UAP_FAIL(err, NO_MEMORY, "no memory for the strategies of %lld devices",
                          (long long)scope->stage_devices)
               : UAP_FAIL(err, TOO_LARGE, "%lld devices have more than %d strategies",
                          (long long)scope->stage_devices, MAX_STRATEGIES);
}

bool uap_strategy_suits(const uap_layer *layer, const uap_strategy *strategy)
{
    for (size_t i = 0; i < N_DIMENSIONS; i++) {
        if (dimensions[i]->allows != NULL && !dimensions[i]->allows(layer, strategy)) {
            return false;
        }
    }
    return true;
}

void uap_strategy_parts(const uap_dim_scope *scope, const uap_layer *layer,
                        const uap_strategy *strategy, uap_cost_parts *parts)
{
    *parts = (uap_cost_parts){0};
    for (size_t i = 0; i < N_DIMENSIONS; i++) {
        if (dimensions[i]->cost != NULL) {
            dimensions[i]->cost(scope, layer, strategy, parts);
        }
    }
}

double uap_scope_collective_s(const uap_dim_scope *scope, uap_collective_kind kind,
                              int32_t size, int64_t stride, double bytes)
{
    return size > 1 ? uap_link_s(uap_scope_link(scope, kind, size, stride), bytes) : 0.0;
}

double uap_bucket_bytes(const uap_dim_scope *scope, int32_t dp)
{
    return fmax(BUCKET_PARAMETERS, BUCKET_PARAMETERS_PER_RANK * (double)dp) *
           (double)scope->elem_bytes;
}

double uap_bucketed_s(const uap_dim_scope *scope, uap_collective_kind kind,
                      const uap_strategy *strategy, int64_t parameters)
{
    const double bytes = (double)parameters * (double)scope->elem_bytes;
    if (strategy->dp == 1 || parameters == 0) {
        return 0.0;
    }
    const uap_link *link =
        uap_scope_link(scope, kind, strategy->dp, (int64_t)strategy->tp * strategy->fsdp);
    const double buckets = fmax(1.0, ceil(bytes / uap_bucket_bytes(scope, strategy->dp)));
    const uap_piece line = uap_link_line(link, bytes / buckets);
    return buckets * line.latency_s + bytes / line.bandwidth_Bps;
}

int64_t uap_layer_local_tied(const uap_layer *layer, int32_t tp)
{
    if (layer->tied_params == 0) {
        return 0;
    }
    const int64_t padded = uap_ceil_div(layer->vocab, tp) * tp;
    return uap_ceil_div(layer->tied_params + (padded - layer->vocab) * layer->hidden, tp);
}
