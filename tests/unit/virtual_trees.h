/* What the tests of the tree search among simulated ranks share: a machine, a way to make its
 * messages late and repeated, and trees counted by recursion. */
#ifndef UAP_TESTS_UNIT_VIRTUAL_TREES_H
#define UAP_TESTS_UNIT_VIRTUAL_TREES_H

#include "unit/tree_problems.h"

#include "bench/uts.h"
#include "bench/virtual_ranks.h"

/* One rank and messages in their order. */
static inline uap_virtual_machine quiet_machine(void)
{
    return (uap_virtual_machine){.size = 1,
                                 .ranks_per_node = 4,
                                 .node_ns = 200,
                                 .near_ns = 500,
                                 .far_ns = 2000,
                                 .byte_ns = 0.1,
                                 .send_ns = 100,
                                 .receive_ns = 100,
                                 .look_ns = 50,
                                 .oversleep_ns = 50000,
                                 .limit_ns = 100000000000,
                                 .seed = 1};
}

/* Odd seeds repeat messages; a node has one to three ranks. */
static inline uap_virtual_machine late_machine(int size, int64_t jitter_ns, uint64_t seed)
{
    uap_virtual_machine machine = quiet_machine();
    machine.size = size;
    machine.ranks_per_node = 1 + (int)(seed % 3);
    machine.jitter_ns = jitter_ns;
    machine.repeat = seed % 2 != 0 ? 0.4 : 0.0;
    machine.seed = seed;
    return machine;
}

/* Messages as late and as often repeated as the seed has it, from not at all on. */
static inline uap_virtual_machine seeded_machine(int size, uint64_t seed)
{
    uap_virtual_machine machine = quiet_machine();
    machine.size = size;
    machine.seed = seed;
    machine.jitter_ns = 4000 * (int64_t)(seed % 4);
    machine.repeat = 0.1 * (double)(seed % 3);
    return machine;
}

/* Children of the root, and of others by chance. */
static inline uap_uts_tree binomial_tree(double b)
{
    return (uap_uts_tree){.name = "binomial",
                          .kind = UAP_UTS_BINOMIAL,
                          .b = b,
                          .q = 0.12,
                          .m = 8,
                          .seed = 3};
}

/* "default" of the benchmark's distribution, whose size is published. */
static inline uap_uts_tree default_tree(void)
{
    return (uap_uts_tree){.name = "default",
                          .kind = UAP_UTS_GEOMETRIC,
                          .shape = UAP_UTS_LINEAR,
                          .depth = 6,
                          .b = 4.0,
                          .seed = 0,
                          .nodes = 1732,
                          .leaves = 1050,
                          .most_depth = 6};
}

static inline int64_t count_below(const uap_uts_tree *tree, const uap_uts_node *node)
{
    int64_t n = 1;
    const int children = uap_uts_n_children(tree, node);
    for (int i = 0; i < children; i++) {
        const uap_uts_node child = uap_uts_child(node, i);
        n += count_below(tree, &child);
    }
    return n;
}

static inline int64_t count_tree(const uap_uts_tree *tree)
{
    const uap_uts_node root = uap_uts_root(tree);
    return count_below(tree, &root);
}

#endif
