/* The tree of ranks: rank r's parent is (r - 1) / UAP_TREE_FANOUT. Along its edges go better
 * answers, the waves of the termination detection, snapshots and the end of the search. An edge carries
 * one unacknowledged message at a time; what is to be said meanwhile goes together in the
 * next one, and only the latest answer of several does. So an edge holds O(1) memory, a lost
 * message is noticed by whoever waits for its acknowledgement, and repeated or overtaking
 * ones are recognised by their number. */
#ifndef UAP_MPI_TREE_EDGES_H
#define UAP_MPI_TREE_EDGES_H

#include "mpi/incumbent.h"
#include "mpi/snapshot.h"
#include "mpi/termination.h"
#include "mpi/tree_stats.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_TREE_FANOUT 4

/* What a message on an edge may say; bits. */
typedef enum uap_edge_flag {
    UAP_EDGE_ANSWER = 1,  /* a better answer; counted by the termination detection */
    UAP_EDGE_WAVE = 2,    /* down: a wave begins */
    UAP_EDGE_REPORT = 4,  /* up: the subtree's counters */
    UAP_EDGE_STOP = 8,    /* both: work no more */
    UAP_EDGE_DONE = 16,   /* down: the search is over; ask nobody any more */
    UAP_EDGE_QUIET = 32,  /* up: nothing is owed to or by this subtree */
    UAP_EDGE_BYE = 64,    /* down: no message but this one's acknowledgement will come */
    UAP_EDGE_CUT = 128,   /* down: a snapshot begins */
    UAP_EDGE_NODES = 256, /* up: nodes of the subtree's share of it */
    UAP_EDGE_SHARED = 512 /* up: that was all of it; the sums */
} uap_edge_flag;

typedef struct uap_edge {
    int peer;
    uint32_t out, in;   /* numbers of the last message sent and accepted */
    uint32_t want;      /* flags to be sent */
    bool unacked;       /* `out` is */
    bool owes_ack;      /* for `in` */
    int64_t sent_at_ns; /* `out` was */
} uap_edge;

typedef struct uap_edges {
    uap_edge edge[UAP_TREE_FANOUT + 1]; /* the parent first, where there is one */
    int n, n_children;
    bool has_parent;
    char *buffer; /* [buffer_bytes] one message */
    size_t buffer_bytes;
    size_t nodes_max; /* most bytes of nodes in a message: at least one node */
} uap_edges;

/* An accepted message. */
typedef struct uap_edge_news {
    int from;       /* index into edge[] */
    uint32_t flags; /* 0: nothing but an acknowledgement, or a repeat */
    int64_t wave;
    uap_counters report;
    int64_t value;
    const char *answer; /* within the message */
    size_t answer_bytes;
    uap_snapshot_id snapshot; /* CUT, NODES and SHARED */
    const char *nodes;        /* within the message */
    size_t node_bytes;
    uap_tree_figures sum; /* SHARED */
} uap_edge_news;

/* What a message is made of. Nodes of a snapshot are taken out as they are sent. */
typedef struct uap_edge_sources {
    const uap_transport *net;
    const uap_termination *term;
    const uap_incumbent *best;
    uap_snapshot *snapshot;
    uap_counters *counted; /* grows with every answer */
    uap_tree_stats *stats;
} uap_edge_sources;

/* The largest message, for a problem's answer_max and that many bytes of nodes. */
size_t uap_edges_message_max(size_t answer_max, size_t nodes_max);

/* Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_edges_init(uap_edges *edges, int rank, int size,
                                        size_t answer_max, size_t nodes_max,
                                        uap_err *err);
void uap_edges_free(uap_edges *edges);

/* To be said to the parent, to all children, or to all but edge `except` (-1: to all). */
void uap_edges_tell_parent(uap_edges *edges, uint32_t flags);
void uap_edges_tell_children(uap_edges *edges, uint32_t flags);
void uap_edges_tell_others(uap_edges *edges, int except, uint32_t flags);

/* Sends what may be sent now. Errors: the transport's. */
UAP_NODISCARD uap_status uap_edges_flush(uap_edges *edges,
                                         const uap_edge_sources *sources, int64_t now_ns,
                                         uap_err *err);

/* Takes a message of tag EDGE or EDGE_ACK. Errors: INTERNAL (not from a neighbour, wrong length). */
UAP_NODISCARD uap_status uap_edges_receive(uap_edges *edges, const uap_message *message,
                                           uap_edge_news *news, uap_err *err);

/* Whether a flag of these is still to be sent. */
bool uap_edges_wants(const uap_edges *edges, uint32_t flags);

/* Whether nothing is to be sent, and nothing sent is unacknowledged. */
bool uap_edges_settled(const uap_edges *edges);

/* The edge whose unacknowledged message is oldest and was sent before `before_ns`, or NULL. */
const uap_edge *uap_edges_overdue(const uap_edges *edges, int64_t before_ns);

#ifdef __cplusplus
}
#endif
#endif
