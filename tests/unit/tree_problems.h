/* A branch and bound for the tests of the tree search: a knapsack with many equally good
 * fillings, whose nodes own memory, so that packing and dropping can go wrong. */
#ifndef UAP_TESTS_UNIT_TREE_PROBLEMS_H
#define UAP_TESTS_UNIT_TREE_PROBLEMS_H

#include "unit/check.h"

#include "bench/rng.h"
#include "mpi/tree_problem.h"

#include <string.h>

#define KNAPSACK_ITEMS 12

typedef struct knapsack {
    int64_t weight[KNAPSACK_ITEMS], value[KNAPSACK_ITEMS], room;
    int64_t rest[KNAPSACK_ITEMS + 1]; /* value of the items from i on */
    int64_t best_value;               /* of brute force: minus the value */
    char best_choice[KNAPSACK_ITEMS]; /* of brute force: the least of the best ones */
    int64_t n_live;                   /* nodes that own memory */
    int64_t n_branched, fail_at;      /* the fail_at-th branching fails; 0: none */
} knapsack;

typedef struct knapsack_node {
    char *choice; /* [KNAPSACK_ITEMS] 0 or 1, owned */
    int64_t weight, value;
    int64_t depth; /* items decided */
} knapsack_node;

static inline void knapsack_make(knapsack *k, uint64_t seed)
{
    uap_rng rng;
    *k = (knapsack){.room = 0};
    uap_rng_seed(&rng, seed);
    for (int i = 0; i < KNAPSACK_ITEMS; i++) {
        k->weight[i] = uap_rng_range(&rng, 1, 6);
        k->value[i] = uap_rng_range(&rng, 1, 4);
        k->room += k->weight[i];
    }
    k->room /= 2;
    for (int i = KNAPSACK_ITEMS; i-- > 0;) {
        k->rest[i] = k->rest[i + 1] + k->value[i];
    }
}

/* Every filling in turn. */
static inline void knapsack_solve(knapsack *k)
{
    k->best_value = INT64_MAX;
    for (uint32_t bits = 0; bits < 1u << KNAPSACK_ITEMS; bits++) {
        char choice[KNAPSACK_ITEMS];
        int64_t weight = 0, value = 0;
        for (int i = 0; i < KNAPSACK_ITEMS; i++) {
            choice[i] = (char)(bits >> i & 1);
            weight += choice[i] * k->weight[i];
            value += choice[i] * k->value[i];
        }
        if (weight <= k->room && (-value < k->best_value ||
                                  (-value == k->best_value &&
                                   memcmp(choice, k->best_choice, sizeof choice) < 0))) {
            k->best_value = -value;
            memcpy(k->best_choice, choice, sizeof choice);
        }
    }
}

static inline uap_status knapsack_new(knapsack *k, knapsack_node *node, uap_err *err)
{
    node->choice = uap_calloc(KNAPSACK_ITEMS, 1);
    if (node->choice == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a filling");
    }
    k->n_live++;
    return UAP_OK;
}

static inline void knapsack_drop(void *self, void *node)
{
    knapsack *k = self;
    knapsack_node *n = node;
    uap_free(n->choice);
    k->n_live--;
}

static inline uap_status knapsack_add(knapsack *k, uap_tree *tree, knapsack_node *node,
                                      uap_err *err)
{
    const uap_status rc = uap_tree_add(tree, node, err);
    if (rc != UAP_OK) {
        knapsack_drop(k, node);
    }
    return rc;
}

static inline uap_status knapsack_root(void *self, uap_tree *tree, uap_err *err)
{
    uap_status rc = UAP_OK;
    knapsack_node root = {.depth = 0};
    UAP_TRY(knapsack_new(self, &root, err));
    rc = knapsack_add(self, tree, &root, err);
done:
    return rc;
}

static inline int64_t knapsack_bound(void *self, const void *node)
{
    const knapsack *k = self;
    const knapsack_node *n = node;
    return -(n->value + k->rest[n->depth]);
}

static inline int knapsack_compare(void *self, const void *a, const void *b)
{
    const int64_t x = knapsack_bound(self, a), y = knapsack_bound(self, b);
    return (x > y) - (x < y);
}

static inline uap_status knapsack_close(void *self, const void *node, uap_tree *tree,
                                        bool *closed, uap_err *err)
{
    const knapsack_node *n = node;
    (void)self;
    *closed = n->depth == KNAPSACK_ITEMS;
    return *closed ? uap_tree_improve(tree, -n->value, n->choice, KNAPSACK_ITEMS, err)
                   : UAP_OK;
}

static inline uap_status knapsack_branch(void *self, const void *node, uap_tree *tree,
                                         uap_err *err)
{
    uap_status rc = UAP_OK;
    knapsack *k = self;
    const knapsack_node *n = node;
    if (++k->n_branched == k->fail_at) {
        return UAP_FAIL(err, UNSUPPORTED, "the test fails here");
    }
    UAP_TRY(uap_tree_breathe(tree, err));
    for (char take = 0; take < 2; take++) {
        knapsack_node child = *n;
        child.depth++;
        child.weight += take * k->weight[n->depth];
        child.value += take * k->value[n->depth];
        if (child.weight > k->room) {
            continue;
        }
        UAP_TRY(knapsack_new(k, &child, err));
        memcpy(child.choice, n->choice, KNAPSACK_ITEMS);
        child.choice[n->depth] = take;
        UAP_TRY(knapsack_add(k, tree, &child, err));
    }
done:
    return rc;
}

/* The decided items only: the length varies. */
static inline size_t knapsack_pack(void *self, const void *node, char *bytes)
{
    const knapsack_node *n = node;
    (void)self;
    memcpy(bytes, n->choice, (size_t)n->depth);
    return (size_t)n->depth;
}

static inline uap_status knapsack_unpack(void *self, const char *bytes, size_t n_bytes,
                                         void *node, uap_err *err)
{
    uap_status rc = UAP_OK;
    knapsack *k = self;
    knapsack_node *n = node;
    *n = (knapsack_node){.depth = (int64_t)n_bytes};
    UAP_TRY(knapsack_new(k, n, err));
    memcpy(n->choice, bytes, n_bytes);
    for (size_t i = 0; i < n_bytes; i++) {
        n->weight += bytes[i] * k->weight[i];
        n->value += bytes[i] * k->value[i];
    }
done:
    return rc;
}

static inline uap_tree_problem knapsack_problem(knapsack *k)
{
    return (uap_tree_problem){.self = k,
                              .node_bytes = sizeof(knapsack_node),
                              .packed_max = KNAPSACK_ITEMS,
                              .answer_max = KNAPSACK_ITEMS,
                              .keep_ties = true,
                              .root = knapsack_root,
                              .bound = knapsack_bound,
                              .close = knapsack_close,
                              .branch = knapsack_branch,
                              .compare = knapsack_compare,
                              .pack = knapsack_pack,
                              .unpack = knapsack_unpack,
                              .drop = knapsack_drop};
}

#endif
