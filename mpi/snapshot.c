/* Consistent snapshots of the open nodes, after Lai and Yang ("On distributed snapshots",
 * Information Processing Letters 25, 1987): messages may overtake each other, nothing stops.
 *
 * The root numbers snapshots and begins one when the one before it is whole. Each rank takes
 * its part once per snapshot, at a moment of its own, the cut: when the news comes along the
 * tree of ranks, and at the latest before it takes a WORK or an ACK from a rank that has cut
 * already; both carry their sender's last cut. The part is
 *
 *   1. the nodes of its pool, and the one it is working on as far as that has come,
 *   2. of the gifts that it had sent, and that were not acknowledged, at its cut: those
 *      whose thief took them after the thief's own cut, which the ACK tells.
 *
 * Every open node is in exactly one part, or what has become of it is. This is plain for one
 * that stays where it is. Let it go from giver to thief while both cut:
 *
 *   - The giver cuts, then sends. It is in the giver's (1). The WORK makes the thief cut
 *     before it takes it, if it has not yet, so it is not in the thief's.
 *   - The giver sends, then cuts; the thief takes, then cuts. It is in the thief's (1). The
 *     ACK carries no cut; whether it comes before the giver's cut or after, (2) leaves it out.
 *   - The giver sends, then cuts; the thief cuts, then takes. It is not in the thief's. The
 *     ACK carries the cut, so it cannot be taken before the giver's: at its cut the giver has
 *     the copy, waits for the ACK and counts it (2).
 *
 * A repeated WORK is taken by nobody, and answered by no ACK. The next snapshot begins when
 * all ACKs that this one waits for have come.
 *
 * So what is below the picture's nodes, and what was finished before the cuts, is the whole
 * tree. What was finished or pruned before the cuts is no better than the best answer of some
 * rank at its cut; and the root knows one as good as all of these once the snapshot is
 * whole: edges keep order, and an answer goes to the parent before, or with, the end of a
 * subtree's share.
 *
 * The shares travel up the tree of ranks in messages of whole nodes, one unacknowledged on
 * each edge, and the end of a share comes with its sums: 1 message per edge without nodes,
 * and as many more as the nodes below it fill. A snapshot without nodes gives their least
 * bound and the counts alone: with them a bound of the whole search that holds. Without
 * memory for a part the sums say so (`failed`), and the search goes on. */
#include "mpi/snapshot.h"

#include "common/mem.h"

#include <string.h>

#define FIRST_CAPACITY 4096u

/* ---- Packed nodes ---- */

/* Room for n more bytes behind the end. */
static bool make_room(uap_packed_nodes *packed, size_t n)
{
    if (packed->first == packed->end) {
        packed->first = packed->end = 0;
    }
    if (packed->capacity - packed->end >= n) {
        return true;
    }
    size_t capacity =
        packed->capacity < FIRST_CAPACITY ? FIRST_CAPACITY : packed->capacity;
    while (capacity - packed->end < n) {
        if (capacity > SIZE_MAX / 2) {
            return false;
        }
        capacity *= 2;
    }
    char *bytes = uap_realloc(packed->bytes, capacity, 1);
    if (bytes == NULL) {
        return false;
    }
    packed->bytes = bytes;
    packed->capacity = capacity;
    return true;
}

bool uap_packed_add(uap_packed_nodes *packed, const uap_tree_problem *problem,
                    const void *node)
{
    uap_node_length length = (uap_node_length)problem->node_bytes;
    if (!make_room(packed, sizeof length + problem->packed_max)) {
        return false;
    }
    char *at = packed->bytes + packed->end;
    if (problem->pack != NULL) {
        length = (uap_node_length)problem->pack(problem->self, node, at + sizeof length);
    } else {
        memcpy(at + sizeof length, node, length);
    }
    memcpy(at, &length, sizeof length);
    packed->end += sizeof length + length;
    return true;
}

bool uap_packed_append(uap_packed_nodes *packed, const char *bytes, size_t n)
{
    if (n == 0) {
        return true;
    }
    if (!make_room(packed, n)) {
        return false;
    }
    memcpy(packed->bytes + packed->end, bytes, n);
    packed->end += n;
    return true;
}

size_t uap_packed_take(uap_packed_nodes *packed, char *to, size_t room)
{
    size_t n = 0;
    while (packed->first + n < packed->end) {
        uap_node_length length = 0;
        memcpy(&length, packed->bytes + packed->first + n, sizeof length);
        if (n + sizeof length + length > room) {
            break;
        }
        n += sizeof length + length;
    }
    if (n > 0) {
        memcpy(to, packed->bytes + packed->first, n);
        packed->first += n;
    }
    return n;
}

void uap_packed_free(uap_packed_nodes *packed)
{
    uap_free(packed->bytes);
    *packed = (uap_packed_nodes){0};
}

/* ---- One rank's share ---- */

void uap_snapshot_init(uap_snapshot *s, const uap_tree_problem *problem, int n_children)
{
    *s = (uap_snapshot){.problem = problem, .n_children = n_children};
}

void uap_snapshot_free(uap_snapshot *s)
{
    uap_packed_free(&s->out);
}

static void add_figures(uap_tree_figures *sum, const uap_tree_figures *more)
{
    const int64_t bound = sum->bound < more->bound ? sum->bound : more->bound;
    sum->ranks += more->ranks;
    sum->nodes += more->nodes;
    sum->open += more->open;
    sum->steals += more->steals;
    sum->idle_ns += more->idle_ns;
    sum->elapsed_ns += more->elapsed_ns;
    sum->failed += more->failed;
    sum->bound = bound;
}

void uap_snapshot_cut(uap_snapshot *s, uap_snapshot_id id, const uap_tree_figures *own)
{
    s->id = id;
    s->open = true;
    s->waiting = 0;
    s->children = 0;
    s->sum = (uap_tree_figures){.bound = UAP_TREE_NO_ANSWER};
    add_figures(&s->sum, own);
}

static void count_nodes(uap_snapshot *s, int64_t n, int64_t bound)
{
    s->sum.open += n;
    s->sum.bound = bound < s->sum.bound ? bound : s->sum.bound;
}

void uap_snapshot_node(uap_snapshot *s, const void *node, int64_t bound)
{
    count_nodes(s, 1, bound);
    if (uap_snapshot_has_nodes(s->id) && !uap_packed_add(&s->out, s->problem, node)) {
        s->sum.failed++;
    }
}

void uap_snapshot_packed(uap_snapshot *s, const char *bytes, size_t n_bytes, int64_t n,
                         int64_t bound)
{
    count_nodes(s, n, bound);
    if (uap_snapshot_has_nodes(s->id)) {
        uap_snapshot_from_child(s, bytes, n_bytes);
    }
}

void uap_snapshot_from_child(uap_snapshot *s, const char *bytes, size_t n_bytes)
{
    if (!uap_packed_append(&s->out, bytes, n_bytes)) {
        s->sum.failed++;
    }
}

void uap_snapshot_child_done(uap_snapshot *s, int child, const uap_tree_figures *figures)
{
    s->children |= 1u << child;
    add_figures(&s->sum, figures);
}

bool uap_snapshot_is_whole(const uap_snapshot *s)
{
    return s->open && s->waiting == 0 && s->children == (1u << s->n_children) - 1;
}

void uap_snapshot_close(uap_snapshot *s)
{
    s->open = false;
    uap_packed_free(&s->out);
}
