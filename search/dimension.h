/* The dimensions of the strategy space: each is one file (search/dim_*.c) and one line in the
 * table of dimension.c. A dimension says which values it may take, which layers allow them
 * and what they do to a layer's cost; it knows nothing of stages, schedules or solvers.
 * Formulas: docs/cost-model.md, sections 2 to 7. */
#ifndef UAP_SEARCH_DIMENSION_H
#define UAP_SEARCH_DIMENSION_H

#include "configs/cluster.h"
#include "configs/model.h"
#include "search/strategy.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Room for the divisors of any device count. */
#define UAP_MAX_VALUES 1344

/* Links by (kind, size, stride), looked up once (search/cost_links.c). */
typedef struct uap_link_cache uap_link_cache;

/* What a dimension may look at besides the layer: one stage of d of the N devices. */
typedef struct uap_dim_scope {
    const uap_cluster *cluster;
    uap_link_cache *links;
    int64_t devices;       /* N; of a mixed cluster those of the stage's group */
    int64_t stage_devices; /* d */
    bool is_pipelined;     /* pp > 1: another stage may hold the other end of a tie */
    int32_t elem_bytes;    /* e */
    bool tp_across_nodes;
    uint32_t space; /* uap_space bits */
} uap_dim_scope;

/* An exchange between tensor-parallel ranks is one collective, or two. */
#define UAP_TP_LINKS 2

/* A layer's cost under one strategy, as far as it does not depend on the micro-batch: what
 * it adds per sample stands apart. Dimensions fill it in the order of the table. Letters as
 * in docs/cost-model.md; seconds, bytes, parameters. */
typedef struct uap_cost_parts {
    int64_t used, owned;               /* U, O: parameters of a TP rank */
    int64_t shard, gradients, moments; /* Ow, Og, Oo: parameters of a device */
    /* t1 = time over each link (NULL: none) of n * bytes */
    const uap_link *tp_link[UAP_TP_LINKS];
    double tp_bytes_per_sample;
    double gather_s;                    /* ag */
    double hide_fwd_s, hide_bwd_s;      /* xf, xb */
    double sync_s, after_s;             /* xg, xa */
    double work_bytes, work_per_sample; /* W = work + n * per_sample */
} uap_cost_parts;

typedef struct uap_dimension {
    const char *name; /* as in --space */
    uint32_t bit;     /* of uap_space */
    int64_t neutral;  /* the value it keeps where --space leaves it out */

    /* Candidate values, ascending, for a strategy whose earlier dimensions are set and whose
     * later ones are neutral. Returns their number, at most UAP_MAX_VALUES. */
    size_t (*values)(const uap_dim_scope *scope, const uap_strategy *strategy,
                     int64_t out[UAP_MAX_VALUES]);
    void (*set)(uap_strategy *strategy, int64_t value);

    /* Whether the layer can be run so; NULL: always. */
    bool (*allows)(const uap_layer *layer, const uap_strategy *strategy);

    /* Adds what the strategy's value does to the layer's cost; NULL: nothing. */
    void (*cost)(const uap_dim_scope *scope, const uap_layer *layer,
                 const uap_strategy *strategy, uap_cost_parts *parts);
} uap_dimension;

extern const uap_dimension uap_dim_tp, uap_dim_sp, uap_dim_fsdp, uap_dim_dp, uap_dim_zero,
    uap_dim_recompute;

/* Devices of the stage that the strategy's factors leave over. */
int64_t uap_dim_rest(const uap_dim_scope *scope, const uap_strategy *strategy);

/* Every strategy of the stage whose batch ways dp * fsdp divide `batch`, in the order of the
 * table (docs/cost-model.md, section 2). The caller frees *out. Errors: NO_MEMORY,
 * TOO_LARGE. */
UAP_NODISCARD uap_status uap_strategies_list(const uap_dim_scope *scope, int64_t batch,
                                             uap_strategy **out, int32_t *n,
                                             uap_err *err);

/* Whether every dimension allows the strategy for the layer. */
bool uap_strategy_suits(const uap_layer *layer, const uap_strategy *strategy);

/* The parts of a layer's cost under a strategy. */
void uap_strategy_parts(const uap_dim_scope *scope, const uap_layer *layer,
                        const uap_strategy *strategy, uap_cost_parts *parts);

/* ---- What cost functions share -------------------------------------------------------- */

/* The link of a group, cached; with the paper's cost model its latency is 0, and it has no
 * pieces. */
const uap_link *uap_scope_link(const uap_dim_scope *scope, uap_collective_kind kind,
                               int32_t size, int64_t stride);

/* Seconds of one collective on `bytes`. */
double uap_scope_collective_s(const uap_dim_scope *scope, uap_collective_kind kind,
                              int32_t size, int64_t stride, double bytes);

/* Bytes of a gradient bucket over dp ranks. */
double uap_bucket_bytes(const uap_dim_scope *scope, int32_t dp);

/* The same in buckets, over the strategy's dp group, on its shard of parameters. */
double uap_bucketed_s(const uap_dim_scope *scope, uap_collective_kind kind,
                      const uap_strategy *strategy, int64_t parameters);

/* T: the tied parameters a TP rank holds; 0 where the layer has none. */
int64_t uap_layer_local_tied(const uap_layer *layer, int32_t tp);

#ifdef __cplusplus
}
#endif
#endif
