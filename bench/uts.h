/* The trees of the UTS benchmark (Olivier, Huan, Liu, Prins, Dinan, Sadayappan, Tseng, "UTS:
 * An Unbalanced Tree Search Benchmark", LCPC 2006) as a problem of the tree search. How many
 * nodes such a tree has can only be found by visiting them all, and is published: a search
 * that loses or repeats a node is caught. */
#ifndef UAP_BENCH_UTS_H
#define UAP_BENCH_UTS_H

#include "mpi/tree_problem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_uts_kind {
    UAP_UTS_BINOMIAL,
    UAP_UTS_GEOMETRIC,
    UAP_UTS_HYBRID
} uap_uts_kind;

/* How the branching factor of a geometric tree depends on depth. */
typedef enum uap_uts_shape {
    UAP_UTS_LINEAR,
    UAP_UTS_CYCLIC,
    UAP_UTS_FIXED
} uap_uts_shape;

typedef struct uap_uts_tree {
    const char *name;
    uap_uts_kind kind;
    uap_uts_shape shape; /* geometric and hybrid */
    int depth;           /* d of a geometric tree */
    double b;            /* branching factor; of the root, for a binomial tree */
    double q;            /* binomial: a node has m children with this probability */
    int m;
    uint32_t seed;
    /* Published; 0 where not. */
    int64_t nodes, leaves, most_depth;
} uap_uts_tree;

/* "T1|T2|...", in the order of the table. */
#define UAP_UTS_NAMES "T1|T2|T3|T4|T5|T1L|T2L|T3L|T1XL"

/* Tree number i of UAP_UTS_NAMES, or NULL. */
const uap_uts_tree *uap_uts_tree_at(int i);

/* The tree of this name, or NULL. */
const uap_uts_tree *uap_uts_tree_named(const char *name);

/* A node: its 20 bytes of the random stream, and its depth. */
typedef struct uap_uts_node {
    uint8_t state[20];
    int32_t depth;
} uap_uts_node;

/* A visitor's own count; `self` of the problem. */
typedef struct uap_uts_count {
    const uap_uts_tree *tree;
    int64_t leaves, most_depth;
} uap_uts_count;

/* The root, and the children of a node: how many, and which. */
uap_uts_node uap_uts_root(const uap_uts_tree *tree);
int uap_uts_n_children(const uap_uts_tree *tree, const uap_uts_node *node);
uap_uts_node uap_uts_child(const uap_uts_node *node, int i);

/* The problem that visits `count->tree` and counts into *count. */
uap_tree_problem uap_uts_problem(uap_uts_count *count);

#ifdef __cplusplus
}
#endif
#endif
