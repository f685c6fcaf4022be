/* One rank of a tree search as a state machine: messages in, messages out, a slice of work
 * in between. tree_talk.c has the messages, tree_end.c the end. */
#include "mpi/tree_state.h"

#include "common/mem.h"

#include <assert.h>
#include <string.h>

#define FIRST_BATCH     4
#define BATCHES_A_SLICE 2
#define SLICE_GROWTH    8  /* a slice nobody asked in makes the next longer by 1 / this */
#define LOOKS_A_SLICE   64 /* a slice is so many times as long as a look at messages */
#define LOOKS_MOST      4  /* but at most so many times slice_max_ns */
/* Of the idle time so far. Naps begin late, after 5 ms: a rank that naps keeps those waiting who
 * ask it for work, and most do find some soon. */
#define NAP_SHARE  100
#define NAP_MIN_NS 50000
#define NAP_MAX_NS 500000

uap_tree_options uap_tree_options_default(void)
{
    return (uap_tree_options){.slice_min_ns = 5000,
                              .slice_max_ns = 40000,
                              .lost_after_ns = 300000000000,
                              .steal_bytes = 65536,
                              .seed = 1};
}

/* Bytes of a snapshot's nodes in one message. */
static size_t nodes_max(const uap_tree_problem *problem, const uap_tree_options *options)
{
    const size_t one = sizeof(uap_node_length) + problem->packed_max;
    return options->steal_bytes > one ? options->steal_bytes : one;
}

size_t uap_tree_message_max(const uap_tree_problem *problem,
                            const uap_tree_options *options)
{
    const size_t edge =
        uap_edges_message_max(problem->answer_max, nodes_max(problem, options));
    const size_t gift = uap_steal_message_min(problem);
    size_t most = options->steal_bytes;
    most = edge > most ? edge : most;
    return gift > most ? gift : most;
}

/* ---- Work ---- */

static bool is_pruned(const uap_tree *tree, const void *node)
{
    const uap_tree_problem *p = tree->problem;
    if (p->bound == NULL || tree->best.value == UAP_TREE_NO_ANSWER) {
        return false;
    }
    const int64_t bound = p->bound(p->self, node);
    return p->keep_ties ? bound > tree->best.value : bound >= tree->best.value;
}

/* Closes or branches tree->node. */
static uap_status expand(uap_tree *tree)
{
    uap_status rc = UAP_OK;
    const uap_tree_problem *p = tree->problem;
    bool closed = false;
    tree->stats.nodes++;
    tree->is_at_work = true;
    if (p->close != NULL) {
        UAP_TRY(p->close(p->self, tree->node, tree, &closed, &tree->failure));
        tree->stats.closed += closed;
    }
    if (!closed && tree->stopped && p->close != NULL) {
        UAP_TRY(uap_tree_add(tree, tree->node, &tree->failure));
        tree->is_at_work = false;
        return UAP_OK; /* it stays open */
    }
    if (!closed) {
        UAP_TRY(p->branch(p->self, tree->node, tree, &tree->failure));
    }
done:
    tree->is_at_work = false;
    if (p->drop != NULL) {
        p->drop(p->self, tree->node);
    }
    return rc;
}

static void work_one(uap_tree *tree)
{
    uap_node_pool_pop(&tree->pool, tree->node);
    if (is_pruned(tree, tree->node)) {
        tree->stats.pruned++;
        if (tree->problem->drop != NULL) {
            tree->problem->drop(tree->problem->self, tree->node);
        }
        return;
    }
    const uap_status rc = expand(tree);
    if (rc != UAP_OK) {
        uap_tree_fail(tree, rc);
    }
}

bool uap_tree_has_work(const uap_tree *tree)
{
    return !tree->stopped && tree->failure.code == UAP_OK &&
           uap_node_pool_count(&tree->pool) > 0;
}

/* The clock is read after `batch` nodes, which is adapted to their length. */
static void adapt_batch(uap_tree *tree, int64_t took_ns)
{
    if (took_ns * BATCHES_A_SLICE < tree->slice_ns / 2) {
        tree->batch *= 2;
    } else if (took_ns * BATCHES_A_SLICE > tree->slice_ns * 2 && tree->batch > 1) {
        tree->batch /= 2;
    }
}

/* Works for a slice of time; shorter while others ask. */
static void work(uap_tree *tree, int64_t now_ns)
{
    const int64_t end_ns = now_ns + tree->slice_ns;
    tree->stats.slices++;
    tree->slice_start_ns = now_ns;
    while (now_ns < end_ns && uap_tree_has_work(tree)) {
        const int64_t before = tree->stats.nodes + tree->stats.pruned;
        const int64_t before_ns = now_ns;
        for (int64_t i = 0; i < tree->batch && uap_tree_has_work(tree); i++) {
            work_one(tree);
        }
        const int64_t n = tree->stats.nodes + tree->stats.pruned - before;
        if (tree->net->spent != NULL) {
            tree->net->spent(tree->net->self, n);
        }
        now_ns = tree->net->now_ns(tree->net->self);
        if (n == tree->batch) {
            adapt_batch(tree, now_ns - before_ns);
        }
    }
}

static void set_slice(uap_tree *tree)
{
    const uap_tree_options *o = &tree->options;
    int64_t least = LOOKS_A_SLICE * tree->look_ns;
    if (least > LOOKS_MOST * o->slice_max_ns) { /* this process lost its core in a look */
        least = LOOKS_MOST * o->slice_max_ns;
    }
    if (tree->stats.steals_asked != tree->asked_before) {
        tree->asked_before = tree->stats.steals_asked;
        tree->slice_ns = o->slice_min_ns;
    } else if (tree->slice_ns < o->slice_max_ns) {
        tree->slice_ns += tree->slice_ns / SLICE_GROWTH + 1;
    }
    tree->slice_ns = tree->slice_ns > least ? tree->slice_ns : least;
}

/* ---- The step ---- */

static void note_idle(uap_tree *tree, int64_t now_ns)
{
    const bool busy = uap_tree_has_work(tree);
    if (busy && tree->idle_since_ns >= 0) {
        tree->stats.idle_ns += now_ns - tree->idle_since_ns;
        tree->idle_since_ns = -1;
        if (tree->stats.slices == 0) {
            tree->stats.first_work_ns = now_ns - tree->start_ns;
        }
    } else if (!busy && tree->idle_since_ns < 0) {
        tree->idle_since_ns = now_ns;
    }
}

/* How long an idle rank may wait. Naps are a share of the idle time so far, so they make it
 * longer by that share at most. */
static uap_tree_next wait_idle(const uap_tree *tree, int64_t now_ns)
{
    int64_t until_ns = now_ns + tree->options.lost_after_ns + 1;
    int64_t nap_ns = uap_tree_idle_time(tree, now_ns) / NAP_SHARE;
    if (!tree->done && !tree->stopped && tree->net->size > 1 && !tree->steal.asking) {
        until_ns = tree->steal.ask_again_ns;
    }
    if (nap_ns < NAP_MIN_NS) {
        return (uap_tree_next){UAP_TREE_WAIT, until_ns};
    }
    nap_ns = nap_ns < NAP_MAX_NS ? nap_ns : NAP_MAX_NS;
    return (uap_tree_next){UAP_TREE_NAP, now_ns + nap_ns};
}

uap_status uap_tree_step(uap_tree *tree, uap_tree_next *next, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int64_t now_ns = tree->net->now_ns(tree->net->self);
    if (!tree->started) {
        tree->started = true;
        tree->start_ns = tree->idle_since_ns = now_ns;
        tree->next_look_ns = now_ns + tree->options.look_every_ns;
        tree->next_keep_ns = now_ns + tree->options.keep_every_ns;
    }
    UAP_TRY(uap_tree_receive(tree, now_ns, err));
    uap_tree_check_limits(tree, now_ns);
    note_idle(tree, now_ns);
    uap_tree_look_after_snapshot(tree, now_ns);
    if (!uap_tree_has_work(tree)) {
        if (!tree->done && !tree->stopped && tree->net->size > 1) {
            UAP_TRY(uap_steal_ask(&tree->steal, now_ns, err));
        }
        uap_tree_look_for_end(tree);
    }
    UAP_TRY(uap_tree_flush(tree, now_ns, err));
    UAP_TRY(uap_tree_check_lost(tree, now_ns, err));
    if (tree->bye && uap_edges_settled(&tree->edges)) {
        tree->stats.idle_ns += uap_tree_idle_time(tree, now_ns);
        tree->stats.elapsed_ns = now_ns - tree->start_ns;
        tree->stats.pool_most = (int64_t)tree->pool.most;
        *next = (uap_tree_next){UAP_TREE_END, now_ns};
        goto done;
    }
    if (uap_tree_has_work(tree)) {
        const int64_t looked_ns = tree->net->now_ns(tree->net->self);
        if (!tree->found) {
            tree->look_ns = (7 * tree->look_ns + looked_ns - now_ns) / 8;
        }
        set_slice(tree);
        work(tree, looked_ns);
        rc = tree->broken;
        *next = (uap_tree_next){UAP_TREE_GO, now_ns};
    } else {
        *next = wait_idle(tree, now_ns);
    }
done:
    return rc;
}

/* ---- Life ---- */

static uap_status init(uap_tree *tree, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_tree_options *o = &tree->options;
    const size_t least = uap_steal_message_min(tree->problem);
    const uap_steal_parts parts = {.problem = tree->problem,
                                   .net = tree->net,
                                   .pool = &tree->pool,
                                   .counted = &tree->counted,
                                   .stats = &tree->stats,
                                   .snapshot = &tree->snapshot,
                                   .failure = &tree->failure};
    uap_incumbent_init(&tree->best);
    UAP_TRY(uap_node_pool_init(&tree->pool, tree->problem, err));
    UAP_TRY(uap_steal_init(&tree->steal, &parts,
                           o->steal_bytes > least ? o->steal_bytes : least, o->seed,
                           err));
    UAP_TRY(uap_edges_init(&tree->edges, tree->net->rank, tree->net->size,
                           tree->problem->answer_max, nodes_max(tree->problem, o), err));
    uap_snapshot_init(&tree->snapshot, tree->problem, tree->edges.n_children);
    uap_termination_init(&tree->term, tree->net->rank == 0, tree->edges.n_children);
    tree->node = uap_calloc(1, tree->problem->node_bytes);
    if (tree->node == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for a node");
    }
done:
    return rc;
}

uap_status uap_tree_new(const uap_tree_problem *problem, const uap_transport *net,
                        const uap_tree_options *options, uap_tree **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    assert(problem->node_bytes > 0 &&
           (problem->pack == NULL) == (problem->unpack == NULL));
    assert(problem->pack != NULL || problem->packed_max == problem->node_bytes);
    *out = NULL;
    uap_tree *tree = uap_calloc(1, sizeof *tree);
    if (tree == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a search");
    }
    tree->problem = problem;
    tree->net = net;
    tree->options = *options;
    tree->batch = FIRST_BATCH;
    tree->slice_ns = options->slice_min_ns;
    tree->idle_since_ns = -1;
    UAP_TRY(init(tree, err));
    if (net->rank == 0 || problem->has_roots_everywhere) {
        const uap_status rooted = problem->root(problem->self, tree, &tree->failure);
        if (rooted != UAP_OK) {
            uap_tree_fail(tree, rooted);
        }
    }
    *out = tree;
    tree = NULL;
done:
    uap_tree_free(tree);
    return rc;
}

void uap_tree_free(uap_tree *tree)
{
    if (tree != NULL) {
        if (tree->pool.problem != NULL) {
            uap_node_pool_free(&tree->pool);
        }
        uap_steal_free(&tree->steal);
        uap_edges_free(&tree->edges);
        uap_snapshot_free(&tree->snapshot);
        uap_incumbent_free(&tree->best);
        uap_free(tree->node);
        uap_free(tree);
    }
}

int uap_tree_rank(const uap_tree *tree)
{
    return tree->net->rank;
}

const uap_err *uap_tree_failure(const uap_tree *tree)
{
    return &tree->failure;
}

const void *uap_tree_answer(const uap_tree *tree, size_t *n)
{
    *n = tree->best.n;
    return tree->best.value == UAP_TREE_NO_ANSWER ? NULL : (const void *)tree->best.bytes;
}

int64_t uap_tree_open_nodes(const uap_tree *tree)
{
    return (int64_t)uap_node_pool_count(&tree->pool);
}

int64_t uap_tree_open_bound(const uap_tree *tree)
{
    return uap_node_pool_bound(&tree->pool);
}

bool uap_tree_is_over_memory(const uap_tree *tree)
{
    return tree->over_memory;
}

const uap_tree_stats *uap_tree_statistics(const uap_tree *tree)
{
    return &tree->stats;
}
