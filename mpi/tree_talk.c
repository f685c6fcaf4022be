/* One rank of a tree search as its messages and its callbacks see it: what came in, what goes
 * out, and the calls that a problem may make. */
#include "mpi/tree_state.h"

#include "common/mem.h"

#define MESSAGES_A_STEP 256 /* then work goes on before more are taken */

/* ---- Stopping ---- */

/* After DONE there is nothing to stop, and whoever were told so might have left. */
static void stop_work(uap_tree *tree, int heard_from)
{
    if (!tree->stopped && !tree->done) {
        tree->stopped = true;
        uap_edges_tell_others(&tree->edges, heard_from, UAP_EDGE_STOP);
    }
}

/* A callback failed: everybody stops, and the caller finds the error afterwards. */
void uap_tree_fail(uap_tree *tree, uap_status rc)
{
    if (tree->failure.code == UAP_OK) {
        (void)uap_fail(&tree->failure, rc, __FILE__, __LINE__, "%s", uap_status_text(rc));
    }
}

static void check_memory(uap_tree *tree)
{
    const int64_t limit = tree->options.memory_limit_bytes;
    if (limit <= 0) {
        return;
    }
    const int64_t bytes = uap_mem_bytes();
    if (bytes > limit / 4 * 3 && !tree->pool.is_deep) {
        uap_node_pool_go_deep(&tree->pool, true);
        tree->stats.went_deep++;
    } else if (bytes < limit / 2) {
        uap_node_pool_go_deep(&tree->pool, false);
    }
    if (bytes > limit && !tree->stopped) {
        tree->over_memory = true;
        stop_work(tree, -1);
    }
}

void uap_tree_check_limits(uap_tree *tree, int64_t now_ns)
{
    const uap_tree_options *o = &tree->options;
    check_memory(tree);
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
    if ((news.flags & (UAP_EDGE_CUT | UAP_EDGE_NODES | UAP_EDGE_SHARED)) != 0) {
        uap_tree_cut(tree, news.snapshot, tree->net->now_ns(tree->net->self));
    }
    if ((news.flags & UAP_EDGE_ANSWER) != 0) {
        const uap_status learned = on_answer(tree, &news);
        if (learned != UAP_OK) {
            uap_tree_fail(tree, learned);
        }
    }
    if ((news.flags & UAP_EDGE_NODES) != 0) {
        uap_snapshot_from_child(&tree->snapshot, news.nodes, news.node_bytes);
    }
    if ((news.flags & UAP_EDGE_SHARED) != 0) {
        uap_snapshot_child_done(&tree->snapshot, child, &news.sum);
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

int64_t uap_tree_idle_time(const uap_tree *tree, int64_t now_ns)
{
    return tree->idle_since_ns < 0 ? 0 : now_ns - tree->idle_since_ns;
}

uap_status uap_tree_receive(uap_tree *tree, int64_t now_ns, uap_err *err)
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
            uap_tree_cut(tree, uap_steal_cut_of(&message), now_ns);
            UAP_TRY(uap_steal_receive(&tree->steal, &message, !tree->stopped, now_ns,
                                      uap_tree_idle_time(tree, now_ns), err));
        }
    }
done:
    return rc;
}

uap_status uap_tree_flush(uap_tree *tree, int64_t now_ns, uap_err *err)
{
    const uap_edge_sources sources = {.net = tree->net,
                                      .term = &tree->term,
                                      .best = &tree->best,
                                      .snapshot = &tree->snapshot,
                                      .counted = &tree->counted,
                                      .stats = &tree->stats};
    return uap_edges_flush(&tree->edges, &sources, now_ns, err);
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
        uap_tree_check_limits(tree, now_ns);
        UAP_TRY(uap_tree_receive(tree, now_ns, err));
        uap_tree_look_after_snapshot(tree, now_ns);
        UAP_TRY(uap_tree_flush(tree, now_ns, err));
    }
done:
    tree->broken = rc;
    return rc;
}
