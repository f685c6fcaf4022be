/* The open nodes of one rank: a heap where the problem compares nodes, a double-ended stack
 * where it does not. A heap that must not grow goes deep: new nodes go on a stack above it,
 * which is worked on first, best of siblings first, so that a node's whole subtree is done
 * with before the next of the heap is taken up, and the pool grows by one path's siblings. It stores nodes inline and calls compare; it never prunes and never
 * sends. */
#ifndef UAP_MPI_NODE_POOL_H
#define UAP_MPI_NODE_POOL_H

#include "mpi/tree_problem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_node_pool {
    const uap_tree_problem *problem;
    char *slot;        /* [capacity] nodes */
    char *kept;        /* scratch of split and of the heap's moves */
    size_t first, end; /* open nodes are slot[first .. end - 1]; a heap has first 0 */
    size_t heap;       /* nodes of the heap, which come before those of its stack */
    size_t siblings;   /* where those of the last node taken off it begin */
    bool is_deep;
    size_t capacity, most; /* most: the largest number of open nodes so far */
} uap_node_pool;

/* An empty pool. uap_node_pool_free frees it. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_node_pool_init(uap_node_pool *pool,
                                            const uap_tree_problem *problem,
                                            uap_err *err);

/* Drops the nodes that are left. A pool of zeros is legal. */
void uap_node_pool_free(uap_node_pool *pool);

static inline size_t uap_node_pool_count(const uap_node_pool *pool)
{
    return pool->end - pool->first;
}

/* Adds a copy. Errors: NO_MEMORY. O(log n) with compare, else O(1). */
UAP_NODISCARD uap_status uap_node_pool_push(uap_node_pool *pool, const void *node,
                                            uap_err *err);

/* Goes deep, or comes back: then the stack's nodes join the heap. Nothing changes where nodes
 * are not compared. */
void uap_node_pool_go_deep(uap_node_pool *pool, bool deep);

/* Moves the first node of the order to *node; the pool must not be empty. */
void uap_node_pool_pop(uap_node_pool *pool, void *node);

/* Calls `take` for every open node. */
void uap_node_pool_each(const uap_node_pool *pool, uap_node_taker *take, void *context);

/* Gives n <= count / 2 nodes away, which it drops after `take`. A stack gives every second of its oldest, a heap every
 * second of its best and the rest from its far end, so that giver and taker both go on with
 * large or good nodes. O(n) for a stack, O(min(n, 32) log n + n) for a heap. */
void uap_node_pool_split(uap_node_pool *pool, size_t n, uap_node_taker *take,
                         void *context);

/* The least bound of all open nodes, UAP_TREE_NO_ANSWER without any; INT64_MIN where the
 * problem has no bounds and a node is open. O(n). */
int64_t uap_node_pool_bound(const uap_node_pool *pool);

/* That of the node which pop would give; UAP_TREE_NO_ANSWER without nodes or bounds. */
int64_t uap_node_pool_next_bound(const uap_node_pool *pool);

#ifdef __cplusplus
}
#endif
#endif
