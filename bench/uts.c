/* The generator of the UTS trees. A node's random state is the SHA-1 of its parent's state
 * and its number among the children, so every rank can expand any node by itself. */
#include "bench/uts.h"

#include "bench/sha1.h"

#include <math.h>
#include <string.h>

#define MOST_CHILDREN 100 /* of all nodes but the root of a binomial tree */
#define HYBRID_SHIFT  0.5 /* a hybrid tree is geometric above this share of its depth */
#define PI            3.14159265358979323846

/* Sizes: the sample trees of the benchmark's distribution. */
static const uap_uts_tree trees[] = {
    {"T1", UAP_UTS_GEOMETRIC, UAP_UTS_FIXED, 10, 4.0, 0.0, 0, 19, 4130071, 3305118, 10},
    {"T2", UAP_UTS_GEOMETRIC, UAP_UTS_CYCLIC, 16, 6.0, 0.0, 0, 502, 4117769, 2342762, 81},
    {"T3", UAP_UTS_BINOMIAL, UAP_UTS_LINEAR, 0, 2000.0, 0.124875, 8, 42, 4112897, 3599034,
     1572},
    {"T4", UAP_UTS_HYBRID, UAP_UTS_LINEAR, 16, 6.0, 0.234375, 4, 1, 4132453, 3108986,
     134},
    {"T5", UAP_UTS_GEOMETRIC, UAP_UTS_LINEAR, 20, 4.0, 0.0, 0, 34, 4147582, 2181318, 20},
    {"T1L", UAP_UTS_GEOMETRIC, UAP_UTS_FIXED, 13, 4.0, 0.0, 0, 29, 102181082, 81746377,
     13},
    {"T2L", UAP_UTS_GEOMETRIC, UAP_UTS_CYCLIC, 23, 7.0, 0.0, 0, 220, 96793510, 53791152,
     67},
    {"T3L", UAP_UTS_BINOMIAL, UAP_UTS_LINEAR, 0, 2000.0, 0.200014, 5, 7, 111345631,
     89076904, 17844},
    {"T1XL", UAP_UTS_GEOMETRIC, UAP_UTS_FIXED, 15, 4.0, 0.0, 0, 29, 1635119272,
     1308100063, 15},
};

#define N_TREES ((int)(sizeof trees / sizeof trees[0]))

const uap_uts_tree *uap_uts_tree_at(int i)
{
    return i >= 0 && i < N_TREES ? &trees[i] : NULL;
}

const uap_uts_tree *uap_uts_tree_named(const char *name)
{
    for (int i = 0; i < N_TREES; i++) {
        if (strcmp(trees[i].name, name) == 0) {
            return &trees[i];
        }
    }
    return NULL;
}

static void put_be32(uint8_t *to, uint32_t x)
{
    to[0] = (uint8_t)(x >> 24);
    to[1] = (uint8_t)(x >> 16);
    to[2] = (uint8_t)(x >> 8);
    to[3] = (uint8_t)x;
}

uap_uts_node uap_uts_root(const uap_uts_tree *tree)
{
    uap_uts_node root = {.depth = 0};
    uint8_t text[20] = {0};
    put_be32(text + 16, tree->seed);
    uap_sha1_short(text, sizeof text, root.state);
    return root;
}

uap_uts_node uap_uts_child(const uap_uts_node *node, int i)
{
    uap_uts_node child = {.depth = node->depth + 1};
    uint8_t text[24];
    memcpy(text, node->state, sizeof node->state);
    put_be32(text + 20, (uint32_t)i);
    uap_sha1_short(text, sizeof text, child.state);
    return child;
}

/* The node's random number in [0, 1): 31 bits. */
static double uniform(const uap_uts_node *node)
{
    const uint8_t *s = node->state + 16;
    const uint32_t r = ((uint32_t)s[0] << 24 | (uint32_t)s[1] << 16 |
                        (uint32_t)s[2] << 8 | (uint32_t)s[3]) &
                       0x7fffffffu;
    return (double)r / 2147483648.0;
}

static int binomial(const uap_uts_tree *tree, const uap_uts_node *node)
{
    if (node->depth == 0) {
        return (int)tree->b;
    }
    return uniform(node) < tree->q ? tree->m : 0;
}

/* The mean number of children at this depth. */
static double branching(const uap_uts_tree *tree, int depth)
{
    const double d = tree->depth;
    if (depth == 0) {
        return tree->b;
    }
    switch (tree->shape) {
    case UAP_UTS_LINEAR:
        return tree->b * (1.0 - (double)depth / d);
    case UAP_UTS_CYCLIC:
        return depth > 5 * tree->depth ? 0.0
                                       : pow(tree->b, sin(2.0 * PI * (double)depth / d));
    case UAP_UTS_FIXED:
        break;
    }
    return depth < tree->depth ? tree->b : 0.0;
}

static int geometric(const uap_uts_tree *tree, const uap_uts_node *node)
{
    const double p = 1.0 / (1.0 + branching(tree, node->depth));
    return (int)floor(log(1.0 - uniform(node)) / log(1.0 - p));
}

int uap_uts_n_children(const uap_uts_tree *tree, const uap_uts_node *node)
{
    int n = 0;
    if (tree->kind == UAP_UTS_BINOMIAL) {
        n = binomial(tree, node);
        return node->depth == 0 || n < MOST_CHILDREN ? n : MOST_CHILDREN;
    }
    if (tree->kind == UAP_UTS_HYBRID && node->depth >= HYBRID_SHIFT * tree->depth) {
        n = binomial(tree, node);
    } else {
        n = geometric(tree, node);
    }
    return n < MOST_CHILDREN ? n : MOST_CHILDREN;
}

static uap_status add_root(void *self, uap_tree *tree, uap_err *err)
{
    const uap_uts_count *count = self;
    const uap_uts_node root = uap_uts_root(count->tree);
    return uap_tree_add(tree, &root, err);
}

static uap_status branch(void *self, const void *node, uap_tree *tree, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_uts_count *count = self;
    const uap_uts_node *parent = node;
    const int n = uap_uts_n_children(count->tree, parent);
    count->leaves += n == 0;
    if (parent->depth > count->most_depth) {
        count->most_depth = parent->depth;
    }
    for (int i = 0; i < n; i++) {
        const uap_uts_node child = uap_uts_child(parent, i);
        UAP_TRY(uap_tree_add(tree, &child, err));
    }
done:
    return rc;
}

uap_tree_problem uap_uts_problem(uap_uts_count *count)
{
    return (uap_tree_problem){.self = count,
                              .node_bytes = sizeof(uap_uts_node),
                              .packed_max = sizeof(uap_uts_node),
                              .root = add_root,
                              .branch = branch};
}
