/* What one rank counts during a tree search. Every field is an int64_t, so that records of
 * many ranks are gathered and added as plain arrays. */
#ifndef UAP_MPI_TREE_STATS_H
#define UAP_MPI_TREE_STATS_H

#include "mpi/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_tree_stats {
    int64_t nodes;               /* taken from the pool and not pruned */
    int64_t pruned;              /* taken from the pool and pruned by their bound */
    int64_t closed;              /* of nodes: solved by `close` */
    int64_t slices;              /* stretches of work between two looks at messages */
    int64_t pool_most;           /* the largest number of open nodes */
    int64_t went_deep;           /* times the pool did, for want of memory */
    int64_t steals_tried;        /* requests sent */
    int64_t steals_won;          /* answered with work */
    int64_t nodes_taken;         /* that came with it */
    int64_t steals_asked;        /* requests received */
    int64_t steals_given;        /* answered with work */
    int64_t nodes_given;         /* that went with it */
    int64_t sent[UAP_TAG_COUNT]; /* messages by kind */
    int64_t bytes_sent;
    int64_t improved;            /* better answers found here */
    int64_t learned;             /* better answers heard of */
    int64_t answers_sent;        /* messages that carried an answer */
    int64_t snapshots;           /* taken part in */
    int64_t waves;               /* of the termination detection */
    int64_t elapsed_ns, idle_ns; /* idle: without an open node, start and end included */
    int64_t first_work_ns;       /* from the start to this rank's first node */
} uap_tree_stats;

#define UAP_TREE_STATS_FIELDS (sizeof(uap_tree_stats) / sizeof(int64_t))

#ifdef __cplusplus
}
#endif
#endif
