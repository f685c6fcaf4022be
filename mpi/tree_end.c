/* How one rank finds out that the search is over, and leaves.
 *
 * Passive, in the sense of termination.c, is a rank without an open node, or one that was
 * told to stop, that has no answer left to send. Counted messages are WORK and answers.
 *
 * The end has three rounds over the tree of ranks. DONE, down: nobody asks for work any
 * more. QUIET, up: a rank whose own request is answered, whose gifts are acknowledged,
 * whose share of a snapshot has left and whose children are quiet says so; when the root is quiet, no STEAL, NONE, WORK or ACK is
 * on its way anywhere. BYE, down: a rank leaves when its children have acknowledged it. */
#include "mpi/tree_state.h"

static bool is_passive(const uap_tree *tree)
{
    return !uap_tree_has_work(tree) && !uap_edges_wants(&tree->edges, UAP_EDGE_ANSWER);
}

void uap_tree_look_for_end(uap_tree *tree)
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
        !tree->snapshot.open &&
        tree->children_quiet == (1u << tree->edges.n_children) - 1) {
        tree->quiet = true;
        uap_edges_tell_parent(&tree->edges, UAP_EDGE_QUIET);
        if (root) {
            tree->bye = true;
            uap_edges_tell_children(&tree->edges, UAP_EDGE_BYE);
        }
    }
}

uap_status uap_tree_check_lost(const uap_tree *tree, int64_t now_ns, uap_err *err)
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
