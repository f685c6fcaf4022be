/* One rank's share of a distributed tree search, as a state machine over a transport: the
 * same code runs over MPI (tree_search.c) and under a virtual clock (bench/). Whoever owns
 * it calls uap_tree_step again and again and waits as it is told in between. */
#ifndef UAP_MPI_TREE_H
#define UAP_MPI_TREE_H

#include "mpi/transport.h"
#include "mpi/tree_problem.h"
#include "mpi/tree_stats.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Sums over ranks, each at its moment of a snapshot. Every field is an int64_t. */
typedef struct uap_tree_figures {
    int64_t ranks;
    int64_t nodes;  /* worked on and done with */
    int64_t open;   /* nodes in the picture */
    int64_t bound;  /* the least of theirs; UAP_TREE_NO_ANSWER without any */
    int64_t steals; /* won */
    int64_t idle_ns, elapsed_ns;
    int64_t failed; /* not 0: memory ran out, and nodes are missing from the picture */
} uap_tree_figures;

/* A picture of the search: every node that was open on some rank at its moment, so that what
 * is below these and what was done before is the whole tree; and an answer that is as good
 * as any found before. The pointers are the engine's, for the time of the call. */
typedef struct uap_tree_snapshot {
    uap_tree_figures sum;
    bool has_nodes;    /* else figures and answer alone */
    bool is_last;      /* the search is over; open nodes are what was left */
    const char *nodes; /* packed ones, each behind its length as a uint32_t */
    size_t node_bytes;
    int64_t value; /* UAP_TREE_NO_ANSWER: no answer */
    const char *answer;
    size_t answer_bytes;
} uap_tree_snapshot;

struct uap_transport_mpi;

typedef struct uap_tree_options {
    /* Nodes are worked on for so long between two looks at messages: the least while this
     * rank is being asked for work, an eighth longer after every look without a request; and
     * never less than 64 times what a look takes. */
    int64_t slice_min_ns, slice_max_ns;
    /* A message unanswered for so long ends the search with an error. It must be longer
     * than any callback goes without uap_tree_breathe. */
    int64_t lost_after_ns;
    size_t steal_bytes;    /* most bytes of nodes in one message */
    uint64_t seed;         /* of the choice of victims */
    int64_t time_limit_ns; /* 0: none; any rank's clock */
    /* Of what this process allocates (uap_mem_bytes), 0: none. From 3/4 of it on the pool goes
     * deep (node_pool.h), until it is half; beyond it all ranks stop. */
    int64_t memory_limit_bytes;
    const volatile sig_atomic_t *stop; /* not 0: stop; or NULL; any rank's */
    /* Told every snapshot, on rank 0, from within a step or uap_tree_breathe; or NULL. One
     * begins so long after the one before was whole, 0: never; with nodes in it where so
     * much time has passed since the last that had, 0: never. All ranks give the same. */
    void (*snapshot)(void *context, const uap_tree_snapshot *snapshot);
    void *snapshot_context;
    int64_t look_every_ns, keep_every_ns;
    /* Where many searches with messages of the same size follow one another on the same
     * ranks, *kept is the transport of all: NULL before the first, which makes it, and the
     * caller's to free (mpi/transport_mpi.h) unless one was broken. Or NULL. */
    struct uap_transport_mpi **kept;
    bool no_statistics; /* those of all ranks are not gathered */
} uap_tree_options;

/* 5 to 40 us, 300 s, 64 KiB, seed 1, no limit. */
uap_tree_options uap_tree_options_default(void);

/* What to do until the next step. */
typedef enum uap_tree_pause {
    UAP_TREE_GO,   /* nothing: there is work */
    UAP_TREE_WAIT, /* look for messages; step again when one came, at until_ns the latest */
    UAP_TREE_NAP, /* sleep until until_ns: there was no work for a while */
    UAP_TREE_END /* over on all ranks; nothing is on its way but EDGE_ACKs that say nothing new */
} uap_tree_pause;

typedef struct uap_tree_next {
    uap_tree_pause pause;
    int64_t until_ns;
} uap_tree_next;

/* Bytes of the largest message that a search of this problem sends. */
size_t uap_tree_message_max(const uap_tree_problem *problem,
                            const uap_tree_options *options);

/* A rank ready for its first step, its roots added. All three stay the caller's
 * and outlive *out; the caller frees with uap_tree_free. Errors: NO_MEMORY, those of
 * problem->root come later, from uap_tree_failure. Local. */
UAP_NODISCARD uap_status uap_tree_new(const uap_tree_problem *problem,
                                      const uap_transport *net,
                                      const uap_tree_options *options, uap_tree **out,
                                      uap_err *err);

/* This rank, and how many there are. Local. */
int uap_tree_rank(const uap_tree *tree);

/* Drops what is open; NULL is legal. */
void uap_tree_free(uap_tree *tree);

/* Takes every message that has come, answers, works for one slice where there is work.
 * Errors: the transport's, and INTERNAL for a message that was lost: the search cannot go
 * on then. Errors of callbacks stop the search on all ranks instead. Local. */
UAP_NODISCARD uap_status uap_tree_step(uap_tree *tree, uap_tree_next *next, uap_err *err);

/* ---- After the end, or in between ---- */

/* The first error of a callback on this rank, code UAP_OK without one. */
const uap_err *uap_tree_failure(const uap_tree *tree);

/* The bytes of the best answer known here, n in *n; NULL where there is none. Its value is
 * uap_tree_best. */
const void *uap_tree_answer(const uap_tree *tree, size_t *n);

/* Open nodes of this rank and the least of their bounds (node_pool.h). After a search that
 * ran to its end there are none. */
int64_t uap_tree_open_nodes(const uap_tree *tree);
int64_t uap_tree_open_bound(const uap_tree *tree);

/* Whether this rank stopped the search for want of memory. */
bool uap_tree_is_over_memory(const uap_tree *tree);

const uap_tree_stats *uap_tree_statistics(const uap_tree *tree);

#ifdef __cplusplus
}
#endif
#endif
