/* Searches of one node's chain within targets. Private to search/exact_*.c. */
#ifndef UAP_SEARCH_EXACT_CHAIN_H
#define UAP_SEARCH_EXACT_CHAIN_H

#include "search/exact_node.h"
#include "search/mix.h"
#include "search/outer.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_chain_search {
    uap_exact *e;
    uap_node *node;
    const uap_instance *in;
    uap_chain *chain; /* NULL where stages are of unlike types; they have */
    uap_mix *mix;     /* this. Both NULL: a layer is left without a strategy */
    uap_pipeline pipeline;
    uap_segments *segments; /* of the chain */
    bool has_segments;      /* either's are made */
    bool has_prices;        /* and the mix's prices of devices set for them */
    bool weighs_ends;       /* segments are to have measures of late gradient work, and */
    bool has_ends;          /* have them */
    int64_t most;           /* the node's bound need not rise above it */
    int64_t reach;          /* the segments are bounded for targets up to this */
    uap_choice choice;      /* the plan found, of the chain */
    int64_t value;          /* what it costs there */
} uap_chain_search;

/* The chain of a node whose instance is there. Ended with uap_chain_search_end, also after
 * a failure. Errors: NO_MEMORY, UNSUPPORTED. */
UAP_NODISCARD uap_status uap_chain_search_begin(uap_chain_search *s, uap_exact *e,
                                                uap_node *node, uap_err *err);
void uap_chain_search_end(uap_chain_search *s);

static inline bool uap_chain_search_is_empty(const uap_chain_search *s)
{
    return s->chain == NULL && s->mix == NULL;
}

/* Raises the bound of a node of unlike stages by what devices and memory alone tell, where
 * that may rule out all that could be the best plan. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_chain_search_rule_out(uap_chain_search *s, uap_err *err);

/* Searches within targets that grow from the node's bound up to `most`, until *found, the
 * chain's best plan, or until the bound is above. Errors: NO_MEMORY, INTERNAL. */
UAP_NODISCARD uap_status uap_chain_search_grow(uap_chain_search *s, int64_t most,
                                               bool *found, uap_err *err);

/* One search within `target` however long it takes: what it finds depends on the chain
 * and the target alone. Errors as above. */
UAP_NODISCARD uap_status uap_chain_search_at(uap_chain_search *s, int64_t target,
                                             bool *found, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
