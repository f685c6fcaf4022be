/* What comes before a node is searched: the Lagrangian bound of its chain, whether anything
 * fits in memory, and a first plan of its configuration. All of it is cheap, so that it is done
 * for every node that may still hold the best plan before any of them is searched: nodes
 * whose bound is only a quick one come first in their pool. A search that knows a good plan
 * is told sooner where to end. */
#ifndef UAP_SEARCH_EXACT_OPEN_H
#define UAP_SEARCH_EXACT_OPEN_H

#include "search/exact_node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Whether the node is still to be prepared: once, or of unlike stages in two steps. */
bool uap_exact_is_unprepared(const uap_node *node);

/* One step of that. *fits: false where no plan of the configuration has memory enough. The
 * node is open still where its bound is not above the cutoff. Its instance must be there.
 * Errors: NO_MEMORY, and those of uap_exact_improve. */
UAP_NODISCARD uap_status uap_exact_prepare(uap_exact *e, uap_node *node, bool *fits,
                                           uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
