/* Termination by Mattern's four-counter method (F. Mattern, "Algorithms for distributed
 * termination detection", Distributed Computing 2, 1987), its waves running over a tree.
 *
 * Model. A rank is active or passive. Only an active rank sends counted messages (work, better
 * answers), a passive one becomes active only by receiving one, and every rank counts those
 * that it sent and that it received. Over means: all ranks passive, no counted message on
 * its way.
 *
 * A wave goes from the root down the tree; each rank waits until it is passive and all its
 * children have reported, adds its own two counters to theirs (this moment is its visit) and
 * reports to its parent. So every rank is visited once a wave, while passive, and every
 * visit of a wave comes after the end of the wave before. Let R be the sum of `received` in
 * one wave and S' the sum of `sent` in the next. If R = S', the search is over.
 *
 * Proof. Let t be the moment when the first of the two waves ended, r(t) and s(t) the true
 * sums over all ranks at t. Visits of the first wave were before t and counters only grow:
 * R <= r(t). Visits of the second wave are after t: s(t) <= S'. No message is received
 * before it was sent: r(t) <= s(t). Hence R <= r(t) <= s(t) <= S' = R, and all are equal.
 * From r(t) = s(t): nothing is on its way at t. From R = r(t): no rank received anything
 * between its visit and t; it was passive at its visit, so it is passive at t. QED
 *
 * And it is found: once the search is over the counters stand still, so the wave that is open then
 * ends, and of the next two the second finds its S' equal to the first's R. This takes at
 * most three waves of 2 log P steps. A wave that reaches an active rank waits there, so
 * waves cost a rank few messages while there is work.
 *
 * Requirements on the caller: a message is counted as sent no later than it is handed to the
 * transport, counted as received at most once, and in the same step in which the rank takes
 * its contents in. Repeated or late reports carry an old wave number and are ignored. */
#include "mpi/termination.h"

#include <assert.h>

void uap_termination_init(uap_termination *term, bool is_root, int n_children)
{
    assert(n_children >= 0 && n_children < 32);
    *term = (uap_termination){
        .is_root = is_root, .n_children = n_children, .last_received = -1};
}

static void open_wave(uap_termination *term, int64_t wave)
{
    term->wave = wave;
    term->open = true;
    term->heard = 0;
    term->below = (uap_counters){0, 0};
}

void uap_termination_start(uap_termination *term)
{
    assert(term->is_root && !term->open);
    open_wave(term, term->wave + 1);
}

bool uap_termination_wave(uap_termination *term, int64_t wave)
{
    if (wave <= term->wave) {
        return false;
    }
    open_wave(term, wave);
    return true;
}

void uap_termination_heard(uap_termination *term, int child, int64_t wave,
                           uap_counters subtree)
{
    const uint32_t bit = 1u << child;
    if (!term->open || wave != term->wave || (term->heard & bit) != 0) {
        return;
    }
    term->heard |= bit;
    term->below.sent += subtree.sent;
    term->below.received += subtree.received;
}

uap_visit uap_termination_visit(uap_termination *term, uap_counters own)
{
    if (!term->open || term->heard != (1u << term->n_children) - 1) {
        return UAP_VISIT_NOTHING;
    }
    term->open = false;
    term->report.sent = term->below.sent + own.sent;
    term->report.received = term->below.received + own.received;
    if (!term->is_root) {
        return UAP_VISIT_REPORT;
    }
    const bool over = term->report.sent == term->last_received;
    term->last_received = term->report.received;
    return over ? UAP_VISIT_FINISHED : UAP_VISIT_AGAIN;
}
