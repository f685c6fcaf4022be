/* Any number of ranks of a tree search in one process, under a clock that only counts: each
 * runs the very state machine that runs over MPI (mpi/tree.h), over a transport whose costs
 * are given and which, when told to, delays, repeats and loses messages. Serves the tests,
 * which want every order of events, and `uniap bench steal-sim`, which wants many ranks. */
#ifndef UAP_BENCH_VIRTUAL_RANKS_H
#define UAP_BENCH_VIRTUAL_RANKS_H

#include "mpi/tree.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The machine. */
typedef struct uap_virtual_machine {
    int size, ranks_per_node;
    double node_ns;          /* to work on one node of the tree */
    double *worked_ns;       /* and what callbacks add here, which is set back; or NULL */
    int64_t near_ns, far_ns; /* from rank to rank, one way: on one node, between nodes */
    double byte_ns;          /* more for every byte of a message */
    int64_t send_ns;         /* of the sender's own time, a message */
    int64_t receive_ns;      /* of the receiver's own time, a message */
    int64_t look_ns;         /* to find that no message is there */
    int64_t oversleep_ns;    /* a nap is so much longer than asked for */
    int64_t limit_ns;        /* a search that is not over by then fails; 0: none */
    /* Faults. */
    uint64_t seed;
    int64_t jitter_ns; /* every message is late by up to so much, so they overtake */
    double repeat; /* probability that a message comes again, up to 20 jitters after */
    int64_t lose;  /* this message of all, from 1, never comes; 0: none is lost */
} uap_virtual_machine;

#define UAP_VIRTUAL_ANSWER 64

typedef struct uap_virtual_result {
    int64_t time_ns;        /* until the last rank has left */
    uap_tree_stats sum;     /* over the ranks */
    uap_tree_stats largest; /* of any rank, field by field */
    int64_t messages, repeats;
    /* First copies that found their receiver gone: must be 0. EDGE_ACKs are not counted: one
     * that a later message overtook says nothing new. */
    int64_t late;
    uap_tag lost;                    /* what was lost, where something was */
    int64_t value;                   /* on rank 0 */
    char answer[UAP_VIRTUAL_ANSWER]; /* there, its first bytes */
    bool same_answers;               /* every rank holds rank 0's, to the byte */
    int64_t open_nodes;              /* left on all ranks */
} uap_virtual_result;

/* Runs the search to its end. All ranks share `problem`, so its self must not depend on the
 * rank. Errors: NO_MEMORY; those of uap_tree_step on any rank, and of callbacks; INTERNAL
 * when no rank can go on, or the limit has passed. Local. */
UAP_NODISCARD uap_status uap_virtual_run(const uap_tree_problem *problem,
                                         const uap_tree_options *options,
                                         const uap_virtual_machine *machine,
                                         uap_virtual_result *result, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
