/* A tree that some search went through, written down: which node came from which, and how
 * long each took. Searching it again costs nothing but the recorded times, so a simulation
 * can spread a real search over any number of ranks.
 *
 * The file is text: the line "uniap-tree 1", then one line "PARENT NANOSECONDS" a node in
 * the order in which they were made, the first being number 0. A parent comes before its
 * children; a root's parent is -1. */
#ifndef UAP_BENCH_RECORDED_TREE_H
#define UAP_BENCH_RECORDED_TREE_H

#include "mpi/tree_problem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_recorded_tree {
    int64_t n;
    double *cost_ns;      /* [n] */
    int64_t *first_child; /* [n + 2]: node i's are child[first_child[i + 1] ..
                           * first_child[i + 2] - 1], the roots those of "node -1" */
    int64_t *child;       /* [n] */
    int32_t *order;       /* [n] the least goes first; NULL: depth first. Freed too */
    double total_ns;
    double worked_ns; /* of the nodes visited; whoever reads it may set it back */
    bool is_dealt;    /* rank r has root r; else all are rank 0's */
} uap_recorded_tree;

/* The caller frees with uap_recorded_tree_free. Errors: IO, BAD_INPUT with the line,
 * NO_MEMORY. */
UAP_NODISCARD uap_status uap_recorded_tree_read(const char *path, uap_recorded_tree *tree,
                                                uap_err *err);

/* The tree of n nodes, node i's parent and cost being parent[i] and cost_ns[i], as in the
 * file. Freed likewise. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_recorded_tree_make(int64_t n, const int64_t *parent,
                                                const double *cost_ns,
                                                uap_recorded_tree *tree, uap_err *err);
void uap_recorded_tree_free(uap_recorded_tree *tree);

/* The problem that visits it. */
uap_tree_problem uap_recorded_tree_problem(uap_recorded_tree *tree);

#ifdef __cplusplus
}
#endif
#endif
