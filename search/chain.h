/* One chain problem: an instance whose ties and live tensors were turned into plain layer
 * and link costs, ready for the dynamic programs. Layers that are the same in every respect
 * share a kind, so that work done for one serves the others.
 *
 * A restriction (a set of allowed strategies for some layers) makes a chain a relaxation
 * of the instance that is exact once every producer and tied layer is down to one class:
 * what the producer's strategy decides is taken at its minimum over the allowed ones.
 *
 * Letters: L layers, pp stages, k strategy, x in-class, y out-class of a layer. */
#ifndef UAP_SEARCH_CHAIN_H
#define UAP_SEARCH_CHAIN_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The rows of one kind of layer; arrays of n entries. */
typedef struct uap_kind {
    int32_t n, n_in, n_out;
    int64_t *fwd, *bwd, *grad;   /* ticks */
    int64_t *state, *act, *work; /* bytes */
    int32_t *in, *out;           /* classes towards the layer before and behind */
    int32_t *origin;             /* index into the instance's layer table */
    int64_t min_time, min_fwd, min_bwd, min_grad, max_grad, min_work;
} uap_kind;

/* Costs between two neighbouring layers, [n_out][n_in]. */
typedef struct uap_chain_link {
    int32_t n_out, n_in;
    int64_t *r_fwd, *r_bwd, *x_fwd, *x_bwd; /* ticks */
    /* Chains of one stage type: the edge table's class behind each; NULL: the same. */
    int32_t *out_id, *in_id;
} uap_chain_link;

/* What layers cost at least and at most in any plan, by which a stage knows what may stand
 * before and behind it: [L] ticks. */
typedef struct uap_chain_extremes {
    int64_t *min_time, *min_fwd, *min_bwd, *max_grad;
    int64_t first_grad; /* least g of layer 0 */
    double time;        /* sum of min_time */
    bool any_grad;
} uap_chain_extremes;

typedef struct uap_chain {
    uap_arena *arena; /* owns every array */
    const uap_instance *instance;
    int32_t n_layers, pp;
    int64_t c;
    int32_t n_kinds, n_links;
    int32_t width; /* the largest number of classes of any layer, either side */
    uap_kind *kind;
    uap_chain_link *link;
    int32_t *kind_of;   /* [L] */
    int32_t *link_of;   /* [L-1] */
    int64_t *start_act; /* [L] bytes x inflight more when a stage starts at this layer */
    int64_t *cap;       /* [pp] bytes */
    uap_chain_extremes least; /* of this chain, or of all stage types together */
    int32_t *run_end; /* [L] last layer of the run of equal layers that holds this one */
} uap_chain;

/* Which strategies a layer may still use. */
typedef struct uap_restriction {
    uint8_t **allow; /* [L], NULL: all; else [S_u] flags */
} uap_restriction;

/* Builds the chain of an instance; rows that another is nowhere worse than are dropped.
 * *out is NULL (and the status OK) when some layer has no allowed strategy. The instance
 * and the restriction must outlive the chain. Errors: NO_MEMORY. O(size). Local. */
UAP_NODISCARD uap_status uap_chain_build(const uap_instance *instance,
                                         const uap_restriction *restriction,
                                         uap_chain **out, uap_err *err);
/* The chain of one stage type of a mixed cluster: rows of that type, the classes they have,
 * the type's caps. Layers may be without a row (n = 0), which no stage of the type holds.
 * Its extremes are its own until uap_chain_extremes_join. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_chain_of_type(const uap_instance *instance,
                                           const uap_restriction *restriction,
                                           int32_t type, uap_chain **out, uap_err *err);

/* Gives the n chains of all types the extremes of all of them together. False where a layer
 * has no row in any. */
bool uap_chain_extremes_join(uap_chain *const *chain, int32_t n);

void uap_chain_free(uap_chain *chain); /* NULL is legal */

static inline const uap_kind *uap_kind_of(const uap_chain *chain, int32_t layer)
{
    return &chain->kind[chain->kind_of[layer]];
}

/* The link between layer and layer + 1. */
static inline const uap_chain_link *uap_link_of(const uap_chain *chain, int32_t layer)
{
    return &chain->link[chain->link_of[layer]];
}

#ifdef __cplusplus
}
#endif
#endif
