/* The exact search by all ranks of a job: the nodes of search/exact_node.h on the tree
 * search of mpi/. Neither of the two knows the other; they meet here alone. */
#ifndef UAP_CLI_SEARCH_RANKS_H
#define UAP_CLI_SEARCH_RANKS_H

#include "cli/watch.h"
#include "mpi/comm.h"
#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Proves the best plan over all configurations of the source, which is each rank's own and
 * the same on all. *result is the same on all ranks, its counts those of all together. To
 * proof, the plan is that of uap_exact_solve. The caller frees it. limits: the time and the
 * flag of any rank stop all. watch: what rank 0 tells of it meanwhile, and where it sets out
 * from; or NULL.
 * Errors: those of uap_exact_solve and uap_watch_begin, alike on all ranks; those of
 * messages, with *broken as in uap_tree_search. Collective. */
UAP_NODISCARD uap_status uap_search_ranks(const uap_comm *comm, const uap_source *source,
                                          const uap_limits *limits, uap_watch *watch,
                                          uap_result *result, bool *broken, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
