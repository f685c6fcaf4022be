/* What one rank of a tree search holds. Private to mpi/tree*.c. */
#ifndef UAP_MPI_TREE_STATE_H
#define UAP_MPI_TREE_STATE_H

#include "mpi/steal.h"
#include "mpi/tree.h"
#include "mpi/tree_edges.h"

#ifdef __cplusplus
extern "C" {
#endif

struct uap_tree {
    const uap_tree_problem *problem;
    const uap_transport *net;
    uap_tree_options options;
    uap_node_pool pool;
    uap_steal steal;
    uap_edges edges;
    uap_termination term;
    uap_snapshot snapshot;
    uap_counters counted;
    uap_incumbent best;
    uap_tree_stats stats;
    uap_err failure; /* of callbacks */
    uap_status broken;
    void *node;    /* the one that is worked on */
    int64_t batch; /* nodes between two looks at the clock */
    int64_t slice_ns, slice_start_ns, asked_before;
    int64_t look_ns;                 /* what a look that finds nothing takes, averaged */
    int64_t start_ns, idle_since_ns; /* idle_since -1: busy */
    /* Root: when the next snapshot begins, and when one with nodes does. */
    int64_t next_look_ns, next_keep_ns;
    bool is_at_work;  /* a callback has `node` */
    bool found;       /* the last look found a message */
    bool over_memory; /* that is why it stopped */
    bool started, stopped, done, quiet, bye;
    uint32_t children_quiet;
};

/* ---- tree.c ---- */

/* Whether there is a node to work on and nobody has told this rank to stop. */
bool uap_tree_has_work(const uap_tree *tree);

/* ---- tree_talk.c ---- */

/* How long this rank has been without work. */
int64_t uap_tree_idle_time(const uap_tree *tree, int64_t now_ns);

/* A callback failed with rc: everybody stops, and the caller finds the error afterwards. */
void uap_tree_fail(uap_tree *tree, uap_status rc);

/* Stops where a limit has been reached, a signal came or a callback failed. */
void uap_tree_check_limits(uap_tree *tree, int64_t now_ns);

/* Takes what has arrived. Errors: the transport's, INTERNAL for a message that cannot be. */
UAP_NODISCARD uap_status uap_tree_receive(uap_tree *tree, int64_t now_ns, uap_err *err);

/* Sends what is to be said along the edges. Errors: the transport's. */
UAP_NODISCARD uap_status uap_tree_flush(uap_tree *tree, int64_t now_ns, uap_err *err);

/* ---- tree_cut.c ---- */

/* Makes this rank's cut for this snapshot, unless it has: nodes go into its part, the news
 * to the children. */
void uap_tree_cut(uap_tree *tree, uap_snapshot_id id, int64_t now_ns);

/* Root: begins a snapshot when it is time, and hands a whole one over. */
void uap_tree_look_after_snapshot(uap_tree *tree, int64_t now_ns);

/* After the end: this rank's figures and open nodes, which the caller frees; without memory
 * for all of them the figures say so. */
void uap_tree_last_part(const uap_tree *tree, uap_tree_figures *figures,
                        uap_packed_nodes *nodes);

/* ---- tree_end.c ---- */

/* For a rank without work: its part in the waves, and the rounds of the end. */
void uap_tree_look_for_end(uap_tree *tree);

/* INTERNAL where a message has been unanswered for too long. */
UAP_NODISCARD uap_status uap_tree_check_lost(const uap_tree *tree, int64_t now_ns,
                                             uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
