/* One rank of a tree search: its pool, its share of stealing, of spreading answers and of
 * the end.
 *
 * Passive, in the sense of termination.c, is a rank without an open node, or one that was
 * told to stop, that has no answer left to send. Counted messages are WORK and answers.
 *
 * The end has three rounds over the tree of ranks. DONE, down: nobody asks for work any
 * more. QUIET, up: a rank whose own request is answered, whose gifts are acknowledged and
 * whose children are quiet says so; when the root is quiet, no STEAL, NONE, WORK or ACK is
 * on its way anywhere. BYE, down: a rank leaves when its children have acknowledged it. */
#include "mpi/tree.h"

#include "common/mem.h"
#include "mpi/steal.h"
#include "mpi/tree_edges.h"

#include <assert.h>
#include <string.h>

#define MESSAGES_A_STEP 256 /* then work goes on before more are taken */
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

struct uap_tree {
    const uap_tree_problem *problem;
    const uap_transport *net;
    uap_tree_options options;
    uap_node_pool pool;
    uap_steal steal;
    uap_edges edges;
    uap_termination term;
    uap_counters counted;
    uap_incumbent best;
    uap_tree_stats stats;
    uap_err failure; /* of callbacks */
    uap_status broken;
    void *node;    /* the one that is worked on */
    int64_t batch; /* nodes between two looks at the clock */
    int64_t slice_ns, slice_start_ns, asked_before;
    int64_t look_ns;                 /* what a look that finds nothing takes, averaged */
    int64_t start_ns, idle_since_ns; /* idle_since -1: busy */
    bool found;                      /* the last look found a message */
    bool started, stopped, done, quiet, bye;
    uint32_t children_quiet;
};

uap_tree_options uap_tree_options_default(void)
{
    return (uap_tree_options){.slice_min_ns = 5000,
                              .slice_max_ns = 40000,
                              .lost_after_ns = 300000000000,
                              .steal_bytes = 65536,
                              .seed = 1};
}

size_t uap_tree_message_max(const uap_tree_problem *problem,
                            const uap_tree_options *options)
{
    const size_t edge = uap_edges_message_max(problem->answer_max);
    const size_t gift = uap_steal_message_min(problem);
    size_t most = options->steal_bytes;
    most = edge > most ? edge : most;
    return gift > most ? gift : most;
}

/* ---- Stopping ---- */

static void stop_work(uap_tree *tree, int heard_from)
{
    if (!tree->stopped) {
        tree->stopped = true;
        uap_edges_tell_others(&tree->edges, heard_from, UAP_EDGE_STOP);
    }
}

/* A callback failed: everybody stops, and the caller finds the error afterwards. */
static void fail(uap_tree *tree, uap_status rc)
{
    if (tree->failure.code == UAP_OK) {
        (void)uap_fail(&tree->failure, rc, __FILE__, __LINE__, "%s", uap_status_text(rc));
    }
}

static void check_limits(uap_tree *tree, int64_t now_ns)
{
    const uap_tree_options *o = &tree->options;
    if (tree->failure.code != UAP_OK || (o->stop != NULL && *o->stop != 0) ||
        (o->time_limit_ns > 0 && now_ns - tree->start_ns >= o->time_limit_ns)) {
        stop_work(tree, -1);
    }
}

/* ---- What callbacks call ---- */

uap_status uap_tree_add(uap_tree *tree, const void *node, uap_err *err)
{
    return uap_node_pool_push(&tree->pool, node, err);
}

uap_status uap_tree_improve(uap_tree *tree, int64_t value, const void *answer, size_t n,
                            uap_err *err)
{
    uap_status rc = UAP_OK;
    bool better = false;
    if (n > tree->problem->answer_max || value == UAP_TREE_NO_ANSWER) {
        return UAP_FAIL(err, INTERNAL, "an answer of %zu bytes, at most %zu, value %lld",
                        n, tree->problem->answer_max, (long long)value);
    }
    UAP_TRY(uap_incumbent_offer(&tree->best, value, answer, n, &better, err));
    if (better) {
        tree->stats.improved++;
        uap_edges_tell_others(&tree->edges, -1, UAP_EDGE_ANSWER);
    }
done:
    return rc;
}

int64_t uap_tree_best(const uap_tree *tree)
{
    return tree->best.value;
}

int64_t uap_tree_next_bound(const uap_tree *tree)
{
    return uap_node_pool_next_bound(&tree->pool);
}

bool uap_tree_stopping(const uap_tree *tree)
{
    return tree->stopped;
}

/* ---- Messages ---- */

static uap_status on_answer(uap_tree *tree, const uap_edge_news *news)
{
    uap_status rc = UAP_OK;
    bool better = false;
    tree->counted.received++;
    UAP_TRY(uap_incumbent_offer(&tree->best, news->value, news->answer,
                                news->answer_bytes, &better, &tree->failure));
    if (!better) {
        goto done; /* the sender hears of the better one that is known here */
    }
    tree->stats.learned++;
    uap_edges_tell_others(&tree->edges, news->from, UAP_EDGE_ANSWER);
    if (tree->problem->learn != NULL) {
        UAP_TRY(tree->problem->learn(tree->problem->self, tree->best.value,
                                     tree->best.bytes, tree->best.n, &tree->failure));
    }
done:
    return rc;
}

static uap_status on_edge(uap_tree *tree, const uap_message *message, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_edge_news news;
    UAP_TRY(uap_edges_receive(&tree->edges, message, &news, err));
    const int child = news.from - (tree->edges.has_parent ? 1 : 0);
    if ((news.flags & UAP_EDGE_ANSWER) != 0) {
        const uap_status learned = on_answer(tree, &news);
        if (learned != UAP_OK) {
            fail(tree, learned);
        }
    }
    if ((news.flags & UAP_EDGE_STOP) != 0) {
        stop_work(tree, news.from);
    }
    if ((news.flags & UAP_EDGE_WAVE) != 0 &&
        uap_termination_wave(&tree->term, news.wave)) {
        uap_edges_tell_children(&tree->edges, UAP_EDGE_WAVE);
    }
    if ((news.flags & UAP_EDGE_REPORT) != 0) {
        uap_termination_heard(&tree->term, child, news.wave, news.report);
    }
    if ((news.flags & UAP_EDGE_DONE) != 0) {
        tree->done = true;
        uap_edges_tell_children(&tree->edges, UAP_EDGE_DONE);
    }
    if ((news.flags & UAP_EDGE_QUIET) != 0) {
        tree->children_quiet |= 1u << child;
    }
    if ((news.flags & UAP_EDGE_BYE) != 0) {
        tree->bye = true;
        uap_edges_tell_children(&tree->edges, UAP_EDGE_BYE);
    }
done:
    return rc;
}

static int64_t idle_time(const uap_tree *tree, int64_t now_ns)
{
    return tree->idle_since_ns < 0 ? 0 : now_ns - tree->idle_since_ns;
}

static uap_status receive_all(uap_tree *tree, int64_t now_ns, uap_err *err)
{
    uap_status rc = UAP_OK;
    tree->found = false;
    for (int i = 0; i < MESSAGES_A_STEP; i++) {
        uap_message message;
        bool got = false;
        UAP_TRY(tree->net->poll(tree->net->self, &message, &got, err));
        if (!got) {
            break;
        }
        tree->found = true;
        if (message.tag == UAP_TAG_EDGE || message.tag == UAP_TAG_EDGE_ACK) {
            UAP_TRY(on_edge(tree, &message, err));
        } else {
            UAP_TRY(uap_steal_receive(&tree->steal, &message, !tree->stopped, now_ns,
                                      idle_time(tree, now_ns), err));
        }
    }
done:
    return rc;
}

static uap_status flush(uap_tree *tree, int64_t now_ns, uap_err *err)
{
    return uap_edges_flush(&tree->edges, tree->net, &tree->term, &tree->best, now_ns,
                           &tree->counted, &tree->stats, err);
}

uap_status uap_tree_breathe(uap_tree *tree, uap_err *err)
{
    uap_status rc = tree->broken;
    if (rc != UAP_OK) {
        return rc;
    }
    const int64_t now_ns = tree->net->now_ns(tree->net->self);
    if (now_ns - tree->slice_start_ns >= tree->options.slice_min_ns) {
        tree->slice_start_ns = now_ns;
        check_limits(tree, now_ns);
        UAP_TRY(receive_all(tree, now_ns, err));
        UAP_TRY(flush(tree, now_ns, err));
    }
done:
    tree->broken = rc;
    return rc;
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
    if (p->close != NULL) {
        UAP_TRY(p->close(p->self, tree->node, tree, &closed, &tree->failure));
        tree->stats.closed += closed;
    }
    if (!closed && tree->stopped && p->close != NULL) {
        UAP_TRY(uap_tree_add(tree, tree->node, &tree->failure));
        return UAP_OK; /* it stays open */
    }
    if (!closed) {
        UAP_TRY(p->branch(p->self, tree->node, tree, &tree->failure));
    }
done:
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
        fail(tree, rc);
    }
}

static bool has_work(const uap_tree *tree)
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
    while (now_ns < end_ns && has_work(tree)) {
        const int64_t before = tree->stats.nodes + tree->stats.pruned;
        const int64_t before_ns = now_ns;
        for (int64_t i = 0; i < tree->batch && has_work(tree); i++) {
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

/* ---- The end ---- */

static bool is_passive(const uap_tree *tree)
{
    return !has_work(tree) && !uap_edges_wants(&tree->edges, UAP_EDGE_ANSWER);
}

static void look_for_end(uap_tree *tree)
{
    const bool root = tree->term.is_root;
    while (!tree->done && is_passive(tree)) {
        if (root && !tree->term.open) {
            uap_termination_start(&tree->term);
            uap_edges_tell_children(&tree->edges, UAP_EDGE_WAVE);
            tree->stats.waves++;
        }
        const uap_visit visit = uap_termination_visit(&tree->term, tree->counted);
        if (visit == UAP_VISIT_REPORT) {
            tree->stats.waves++;
            uap_edges_tell_parent(&tree->edges, UAP_EDGE_REPORT);
        }
        if (visit == UAP_VISIT_FINISHED) {
            tree->done = true;
            uap_edges_tell_children(&tree->edges, UAP_EDGE_DONE);
        }
        if (visit != UAP_VISIT_AGAIN) {
            break;
        }
    }
    if (tree->done && !tree->quiet && uap_steal_settled(&tree->steal) &&
        tree->children_quiet == (1u << tree->edges.n_children) - 1) {
        tree->quiet = true;
        uap_edges_tell_parent(&tree->edges, UAP_EDGE_QUIET);
        if (root) {
            tree->bye = true;
            uap_edges_tell_children(&tree->edges, UAP_EDGE_BYE);
        }
    }
}

static uap_status check_lost(const uap_tree *tree, int64_t now_ns, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int64_t before_ns = now_ns - tree->options.lost_after_ns;
    const uap_edge *edge = uap_edges_overdue(&tree->edges, before_ns);
    if (edge != NULL) {
        return UAP_FAIL(
            err, INTERNAL, "rank %d has not acknowledged a message of rank %d for %.2f s",
            edge->peer, tree->net->rank, (double)(now_ns - edge->sent_at_ns) * 1e-9);
    }
    UAP_TRY(uap_steal_overdue(&tree->steal, before_ns, now_ns, err));
done:
    return rc;
}

/* ---- The step ---- */

static void note_idle(uap_tree *tree, int64_t now_ns)
{
    const bool busy = has_work(tree);
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
    int64_t nap_ns = idle_time(tree, now_ns) / NAP_SHARE;
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
    }
    UAP_TRY(receive_all(tree, now_ns, err));
    check_limits(tree, now_ns);
    note_idle(tree, now_ns);
    if (!has_work(tree)) {
        if (!tree->done && !tree->stopped && tree->net->size > 1) {
            UAP_TRY(uap_steal_ask(&tree->steal, now_ns, err));
        }
        look_for_end(tree);
    }
    UAP_TRY(flush(tree, now_ns, err));
    UAP_TRY(check_lost(tree, now_ns, err));
    if (tree->bye && uap_edges_settled(&tree->edges)) {
        tree->stats.idle_ns += idle_time(tree, now_ns);
        tree->stats.elapsed_ns = now_ns - tree->start_ns;
        tree->stats.pool_most = (int64_t)tree->pool.most;
        *next = (uap_tree_next){UAP_TREE_END, now_ns};
        goto done;
    }
    if (has_work(tree)) {
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
                                   .failure = &tree->failure};
    uap_incumbent_init(&tree->best);
    UAP_TRY(uap_node_pool_init(&tree->pool, tree->problem, err));
    UAP_TRY(uap_steal_init(&tree->steal, &parts,
                           o->steal_bytes > least ? o->steal_bytes : least, o->seed,
                           err));
    UAP_TRY(uap_edges_init(&tree->edges, tree->net->rank, tree->net->size,
                           tree->problem->answer_max, err));
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
    if (net->rank == 0) {
        const uap_status rooted = problem->root(problem->self, tree, &tree->failure);
        if (rooted != UAP_OK) {
            fail(tree, rooted);
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
        uap_incumbent_free(&tree->best);
        uap_free(tree->node);
        uap_free(tree);
    }
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

const uap_tree_stats *uap_tree_statistics(const uap_tree *tree)
{
    return &tree->stats;
}
