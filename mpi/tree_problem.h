/* What a tree search is made of, as seen by whoever brings the problem: callbacks that the
 * engine calls, and the few calls that they may make in return. Nothing here knows what a
 * node means, and nothing here knows MPI. */
#ifndef UAP_MPI_TREE_PROBLEM_H
#define UAP_MPI_TREE_PROBLEM_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The search as one rank sees it. */
typedef struct uap_tree uap_tree;

/* Takes note of an open node, which stays whose it is. */
typedef void uap_node_taker(void *context, const void *node);

/* The value while no answer is known; every answer must be below it. */
#define UAP_TREE_NO_ANSWER INT64_MAX

/* A problem: minimise an int64 over the leaves of a tree. A node in memory is node_bytes
 * plain bytes that the engine moves with memcpy; they may hold pointers to what the problem
 * owns, as long as pack, unpack and drop see to them. A node on its way to another rank is
 * at most packed_max bytes without pointers.
 *
 * Callbacks get `self`, which is this rank's alone, and the error record to fill. Those
 * marked (opt) may be NULL. One that may run longer than some milliseconds calls
 * uap_tree_breathe now and then. */
typedef struct uap_tree_problem {
    void *self;
    size_t node_bytes; /* > 0, a multiple of what the node's type is aligned to, <= 16 */
    size_t packed_max; /* > 0; node_bytes where pack is NULL */
    size_t answer_max; /* most bytes of an answer, may be 0 */
    /* Whether nodes whose bound equals the best value are kept: then the answer is the
     * least of all best ones in memcmp order, whatever the number of ranks. */
    bool keep_ties;

    /* Where there is much to do at once, every rank begins with roots of its own. */
    bool has_roots_everywhere;
    /* Adds the root, or several, with uap_tree_add. Called on rank 0 only, or, with roots
     * everywhere, on every rank for its own. */
    uap_status (*root)(void *self, uap_tree *tree, uap_err *err);
    /* (opt) No answer below this node is less. NULL: nothing is pruned. */
    int64_t (*bound)(void *self, const void *node);
    /* (opt) May solve the whole subtree: sets *closed, after uap_tree_improve for what it
     * found. A node that is not closed is branched. */
    uap_status (*close)(void *self, const void *node, uap_tree *tree, bool *closed,
                        uap_err *err);
    /* Adds every child with uap_tree_add; a leaf adds none. */
    uap_status (*branch)(void *self, const void *node, uap_tree *tree, uap_err *err);
    /* (opt) Which of two nodes is worked on first: negative for a. NULL: last in, first
     * out, that is depth first, and the oldest nodes are given away. */
    int (*compare)(void *self, const void *a, const void *b);
    /* (opt, both or none) To and from bytes. pack returns how many it wrote, at most
     * packed_max. unpack makes a node that this rank owns. NULL: the node's own bytes. */
    size_t (*pack)(void *self, const void *node, char *bytes);
    uap_status (*unpack)(void *self, const char *bytes, size_t n, void *node,
                         uap_err *err);
    /* (opt) Frees what a node points to; once per node, when it is done, pruned or sent. */
    void (*drop)(void *self, void *node);
    /* (opt) Another rank found this better answer. The bytes are the engine's. */
    uap_status (*learn)(void *self, int64_t value, const void *answer, size_t n,
                        uap_err *err);
    /* (opt) While close or branch runs: its node as far as it has come, for a snapshot; or
     * NULL, as without this callback: it counts as it was given. */
    const void *(*at_work)(void *self);
    /* (opt) Calls `take` for every open node of this rank that the problem keeps by itself. */
    void (*kept)(void *self, uap_node_taker *take, void *context);
} uap_tree_problem;

/* ---- What callbacks may call ---- */

/* A copy of *node joins this rank's open nodes. Errors: NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_tree_add(uap_tree *tree, const void *node, uap_err *err);

/* An answer of this value, n packed bytes, n <= answer_max. It is kept and told to all
 * ranks if it is better than the best known here: a smaller value or, of equal values, the
 * lesser bytes (memcmp, then length). Errors: NO_MEMORY, INTERNAL (n too large). Local. */
UAP_NODISCARD uap_status uap_tree_improve(uap_tree *tree, int64_t value,
                                          const void *answer, size_t n, uap_err *err);

/* The best value known on this rank, or UAP_TREE_NO_ANSWER. Local. */
int64_t uap_tree_best(const uap_tree *tree);

/* The bound of the node that this rank would work on next, or UAP_TREE_NO_ANSWER where it
 * has none or the problem has no bounds. Local. */
int64_t uap_tree_next_bound(const uap_tree *tree);

/* True once the search is asked to stop (a limit, a signal, a failure elsewhere): a long
 * callback then returns early. A node that close left neither closed nor failed stays open
 * and counts in the bound that is reported. Local. */
bool uap_tree_stopping(const uap_tree *tree);

/* Lets messages through when a slice of time has passed, so that a long callback does not
 * keep thieves waiting: this rank's open nodes may become fewer. Call it at least once per
 * millisecond of work where possible, and before uap_tree_add: a snapshot taken between has
 * the node and its children too, which costs work but no answer. Errors: the transport's. Local. */
UAP_NODISCARD uap_status uap_tree_breathe(uap_tree *tree, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
