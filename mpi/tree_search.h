/* A distributed tree search over the ranks of a communicator: the public face of the engine.
 * docs/stealing.md says how it works and how to bring a problem. */
#ifndef UAP_MPI_TREE_SEARCH_H
#define UAP_MPI_TREE_SEARCH_H

#include "mpi/comm.h"
#include "mpi/tree.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_tree_result {
    bool finished;    /* the whole tree was searched; false: stopped with open nodes */
    bool over_memory; /* some rank stopped it for want of memory */
    int64_t value; /* of the best answer, the same on all ranks; or UAP_TREE_NO_ANSWER */
    char *answer;  /* its bytes, the same on all ranks; freed by uap_tree_result_free */
    size_t answer_bytes;
    int64_t bound;        /* no answer is below it; == value when finished */
    int64_t open_nodes;   /* on all ranks */
    uap_tree_stats stats; /* of this rank */
    uap_tree_stats *all;  /* rank 0: [size], one a rank; NULL elsewhere; freed likewise */
} uap_tree_result;

/* Searches the problem's tree with all ranks of `comm`; one plain process is a size of 1.
 * problem->self is each rank's own. The caller frees *result, also after a failure.
 * Errors: those of callbacks, on all ranks alike, after everybody has stopped. A failure of
 * MPI or a message lost (INTERNAL) comes with *broken = true, on this rank alone: the other
 * ranks may be waiting, and the caller can only end the job (uap_comm_abort). Collective. */
UAP_NODISCARD uap_status uap_tree_search(const uap_comm *comm,
                                         const uap_tree_problem *problem,
                                         const uap_tree_options *options,
                                         uap_tree_result *result, bool *broken,
                                         uap_err *err);

void uap_tree_result_free(uap_tree_result *result);

#ifdef __cplusplus
}
#endif
#endif
