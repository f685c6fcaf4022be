/* What one rank puts into a snapshot, and when the root takes one. */
#include "mpi/tree_state.h"

/* ---- One rank's part ---- */

static int64_t bound_of(const uap_tree_problem *problem, const void *node)
{
    return problem->bound == NULL ? INT64_MIN : problem->bound(problem->self, node);
}

static void take_node(void *context, const void *node)
{
    uap_tree *tree = context;
    uap_snapshot_node(&tree->snapshot, node, bound_of(tree->problem, node));
}

static void take_open_nodes(uap_tree *tree)
{
    const uap_tree_problem *p = tree->problem;
    uap_node_pool_each(&tree->pool, take_node, tree);
    if (tree->is_at_work) {
        const void *now = p->at_work != NULL ? p->at_work(p->self) : NULL;
        take_node(tree, now != NULL ? now : tree->node);
    }
    if (p->kept != NULL) {
        p->kept(p->self, take_node, tree);
    }
}

static uap_tree_figures own_figures(const uap_tree *tree, int64_t now_ns)
{
    return (uap_tree_figures){.ranks = 1,
                              .nodes = tree->stats.nodes - (tree->is_at_work ? 1 : 0),
                              .bound = UAP_TREE_NO_ANSWER,
                              .steals = tree->stats.steals_won,
                              .idle_ns =
                                  tree->stats.idle_ns + uap_tree_idle_time(tree, now_ns),
                              .elapsed_ns = now_ns - tree->start_ns};
}

void uap_tree_cut(uap_tree *tree, uap_snapshot_id id, int64_t now_ns)
{
    if (id <= tree->snapshot.id) {
        return;
    }
    const uap_tree_figures own = own_figures(tree, now_ns);
    tree->stats.snapshots++;
    uap_snapshot_cut(&tree->snapshot, id, &own);
    take_open_nodes(tree);
    uap_steal_cut(&tree->steal);
    uap_edges_tell_children(&tree->edges, UAP_EDGE_CUT);
}

/* ---- The last one ---- */

typedef struct packer {
    const uap_tree *tree;
    uap_tree_figures *figures;
    uap_packed_nodes *nodes;
} packer;

static void pack_node(void *context, const void *node)
{
    const packer *to = context;
    const int64_t bound = bound_of(to->tree->problem, node);
    to->figures->open++;
    to->figures->bound = bound < to->figures->bound ? bound : to->figures->bound;
    if (!uap_packed_add(to->nodes, to->tree->problem, node)) {
        to->figures->failed++;
    }
}

void uap_tree_last_part(const uap_tree *tree, uap_tree_figures *figures,
                        uap_packed_nodes *nodes)
{
    const uap_tree_problem *p = tree->problem;
    packer to = {.tree = tree, .figures = figures, .nodes = nodes};
    *figures = own_figures(tree, tree->start_ns + tree->stats.elapsed_ns);
    figures->idle_ns = tree->stats.idle_ns;
    *nodes = (uap_packed_nodes){0};
    uap_node_pool_each(&tree->pool, pack_node, &to);
    if (p->kept != NULL) {
        p->kept(p->self, pack_node, &to);
    }
}

/* ---- The root ---- */

static void hand_over(uap_tree *tree)
{
    const uap_tree_snapshot picture = {
        .sum = tree->snapshot.sum,
        .has_nodes = uap_snapshot_has_nodes(tree->snapshot.id),
        .nodes = tree->snapshot.out.bytes + tree->snapshot.out.first,
        .node_bytes = tree->snapshot.out.end - tree->snapshot.out.first,
        .value = tree->best.value,
        .answer = tree->best.bytes,
        .answer_bytes = tree->best.n};
    tree->options.snapshot(tree->options.snapshot_context, &picture);
}

static void begin(uap_tree *tree, int64_t now_ns)
{
    const uap_tree_options *o = &tree->options;
    const bool keep = o->keep_every_ns > 0 && now_ns >= tree->next_keep_ns;
    const bool look = o->look_every_ns > 0 && now_ns >= tree->next_look_ns;
    if (keep || look) {
        const uap_snapshot_id next = (tree->snapshot.id | 1) + 1;
        uap_tree_cut(tree, next | (keep ? 1 : 0), now_ns);
    }
}

void uap_tree_look_after_snapshot(uap_tree *tree, int64_t now_ns)
{
    const uap_tree_options *o = &tree->options;
    if (!tree->term.is_root || o->snapshot == NULL) {
        return;
    }
    if (!tree->snapshot.open && !tree->stopped && !tree->done) {
        begin(tree, now_ns);
    }
    if (uap_snapshot_is_whole(&tree->snapshot)) {
        hand_over(tree);
        const int64_t after_ns = tree->net->now_ns(tree->net->self);
        if (uap_snapshot_has_nodes(tree->snapshot.id)) {
            tree->next_keep_ns = after_ns + o->keep_every_ns;
        }
        tree->next_look_ns = after_ns + o->look_every_ns;
        uap_snapshot_close(&tree->snapshot);
    }
}
