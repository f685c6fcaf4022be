/* Asking for work, giving it and being asked: the work stealing of one rank, as a state
 * machine without a clock of its own. */
#ifndef UAP_MPI_STEAL_H
#define UAP_MPI_STEAL_H

#include "mpi/node_pool.h"
#include "mpi/snapshot.h"
#include "mpi/termination.h"
#include "mpi/tree_stats.h"
#include "mpi/victim.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Nodes on their way to a thief, kept until it has acknowledged them. */
typedef struct uap_gift {
    struct uap_gift *next;
    int to;
    uint32_t number; /* of the thief's request */
    uint32_t n_nodes;
    int64_t sent_at_ns;
    int64_t bound;    /* the least of its nodes' */
    bool is_in_doubt; /* the open snapshot waits for its ACK */
    size_t n_bytes;
    char bytes[]; /* [n_bytes] the message */
} uap_gift;

/* The last request heard from a rank; a slot of an open-addressed table. */
typedef struct uap_thief {
    int rank; /* -1: free */
    uint32_t number;
} uap_thief;

typedef struct uap_steal {
    const uap_tree_problem *problem;
    const uap_transport *net;
    uap_node_pool *pool;
    uap_counters *counted; /* of the termination detection */
    uap_tree_stats *stats;
    uap_snapshot *snapshot;
    uap_err *failure; /* of the problem's callbacks */
    size_t bytes_max; /* of a gift */
    void *node;       /* scratch */
    /* As a thief: at most one request at a time. */
    uap_victims victims;
    bool asking;
    int victim;
    uint32_t number;
    int64_t asked_at_ns, ask_again_ns;
    /* As a victim. */
    uap_thief *thief; /* [n_slots], a power of two */
    size_t n_slots, n_thieves;
    uap_gift *gifts; /* newest first */
} uap_steal;

/* What a rank's parts share; pointers outlive the uap_steal. */
typedef struct uap_steal_parts {
    const uap_tree_problem *problem;
    const uap_transport *net;
    uap_node_pool *pool;
    uap_counters *counted;
    uap_tree_stats *stats;
    uap_snapshot *snapshot;
    uap_err *failure;
} uap_steal_parts;

/* bytes_max: of a gift, at least what uap_steal_message_min says. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_steal_init(uap_steal *steal, const uap_steal_parts *parts,
                                        size_t bytes_max, uint64_t seed, uap_err *err);
void uap_steal_free(uap_steal *steal);

/* Bytes of a gift of one node. */
size_t uap_steal_message_min(const uap_tree_problem *problem);

/* Asks the next victim unless a request is out or it is too early. Errors: transport. */
UAP_NODISCARD uap_status uap_steal_ask(uap_steal *steal, int64_t now_ns, uap_err *err);

/* Takes a message of the first four tags. may_give: whether this rank gives nodes away.
 * idle_ns: how long this rank has been without work, which sets its patience. Errors of
 * callbacks and memory go to `failure`, those of the transport are returned; INTERNAL for
 * a message that cannot be. */
UAP_NODISCARD uap_status uap_steal_receive(uap_steal *steal, const uap_message *message,
                                           bool may_give, int64_t now_ns, int64_t idle_ns,
                                           uap_err *err);

/* The last cut of the sender of a WORK or an ACK, which this rank must have made too before
 * it receives the message; 0 for others. */
uap_snapshot_id uap_steal_cut_of(const uap_message *message);

/* This rank cuts: the snapshot waits for the gifts that are not acknowledged. */
void uap_steal_cut(uap_steal *steal);

/* Whether no request and no gift of this rank waits for an answer. */
bool uap_steal_settled(const uap_steal *steal);

/* INTERNAL with the rank and the time, if an answer is missing since before `before_ns`. */
UAP_NODISCARD uap_status uap_steal_overdue(const uap_steal *steal, int64_t before_ns,
                                           int64_t now_ns, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
