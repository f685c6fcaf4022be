/* The end of a search by all ranks: nodes too hard for one of them are taken by all
 * together, side by side, best bound first, and the plan is fixed. */
#ifndef UAP_CLI_SEARCH_TOGETHER_H
#define UAP_CLI_SEARCH_TOGETHER_H

#include "cli/watch.h"
#include "mpi/comm.h"
#include "search/exact_bytes.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What is known on all ranks alike before. */
typedef struct uap_together {
    const uap_comm *comm;
    const uap_source *source; /* each rank's own */
    const uap_limits *limits; /* or NULL; any rank's */
    uap_watch *watch;         /* or NULL; rank 0's tells of it */
    uap_exact_sizes sizes;    /* of all configurations */
    const char *plan;         /* [plan_bytes] the best one */
    size_t plan_bytes;        /* 0: none */
    double start_wall_s;      /* of the search; each rank's own */
    bool stopping;            /* the search must stop: nodes stay as they are */
    bool closed;              /* no other node is open, */
    bool must_fix;            /* see uap_exact */
    int64_t bound;            /* else the least bound of these */
    uap_search_stats stats;   /* so far, of all ranks together */
} uap_together;

/* Goes on from the best plan in *result (value, config, choice, or config -1) with the nodes
 * of the pool, which are not held, and are gone afterwards. *result: outcome, bound, plan
 * and counts of all ranks, alike on all. The caller frees it.
 * Errors: those of uap_exact_solve, alike on all ranks; those of messages, with *broken as
 * in uap_tree_search. Collective. */
UAP_NODISCARD uap_status uap_search_together(const uap_together *from,
                                             uap_node_pool *pool, uap_result *result,
                                             bool *broken, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
