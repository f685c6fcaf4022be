/* Work stealing in messages.
 *
 *   thief -> victim  STEAL number            number: this thief's own, rising by one
 *   victim -> thief  NONE number             or
 *                    WORK number, nodes      the victim keeps a copy
 *   thief -> victim  ACK number              the copy goes
 *
 * A thief has one request out at a time and takes the answer that carries its number from
 * that victim: a repeated WORK finds nobody asking, so no node is ever taken twice. A victim
 * answers a number of a thief once: a repeated STEAL moves nothing. Both tests also hold
 * when messages overtake each other, as a thief's next number is born only after the answer
 * to the last one. A node is therefore at every moment in exactly one pool or in one gift
 * whose thief has not taken it. */
#include "mpi/steal.h"

#include "common/mem.h"

#include <string.h>

#define FIRST_SLOTS    16u
#define BACKOFF_MIN_NS 1000
#define BACKOFF_MAX_NS 1000000
/* After a round without success a thief waits this share of its idle time. */
#define BACKOFF_SHARE 8

/* The beginning of all four messages; nodes follow as a length and bytes each. */
typedef struct steal_header {
    uint32_t number;
    uint32_t n_nodes;
    uap_snapshot_id cut; /* WORK and ACK: the sender's last */
} steal_header;

size_t uap_steal_message_min(const uap_tree_problem *problem)
{
    return sizeof(steal_header) + sizeof(uap_node_length) + problem->packed_max;
}

uap_status uap_steal_init(uap_steal *steal, const uap_steal_parts *parts,
                          size_t bytes_max, uint64_t seed, uap_err *err)
{
    *steal = (uap_steal){.problem = parts->problem,
                         .net = parts->net,
                         .pool = parts->pool,
                         .counted = parts->counted,
                         .stats = parts->stats,
                         .snapshot = parts->snapshot,
                         .failure = parts->failure,
                         .bytes_max = bytes_max};
    uap_victims_init(&steal->victims, parts->net, seed);
    steal->node = uap_calloc(1, parts->problem->node_bytes);
    if (steal->node == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a node");
    }
    return UAP_OK;
}

void uap_steal_free(uap_steal *steal)
{
    while (steal->gifts != NULL) {
        uap_gift *next = steal->gifts->next;
        uap_free(steal->gifts);
        steal->gifts = next;
    }
    uap_free(steal->thief);
    uap_free(steal->node);
    *steal = (uap_steal){0};
}

static uap_status send(uap_steal *steal, int to, uap_tag tag, const void *bytes, size_t n,
                       uap_err *err)
{
    steal->stats->sent[tag]++;
    steal->stats->bytes_sent += (int64_t)n;
    return steal->net->send(steal->net->self, to, tag, bytes, n, err);
}

static uap_status send_short(uap_steal *steal, int to, uap_tag tag, uint32_t number,
                             uap_err *err)
{
    const steal_header header = {.number = number, .cut = steal->snapshot->id};
    return send(steal, to, tag, &header, sizeof header, err);
}

/* ---- The victim ---- */

static size_t slot_of(const uap_thief *table, size_t n_slots, int rank)
{
    size_t i = ((uint32_t)rank * 2654435769u) & (n_slots - 1);
    while (table[i].rank != -1 && table[i].rank != rank) {
        i = (i + 1) & (n_slots - 1);
    }
    return i;
}

/* Keeps the table at most half full. False: no memory. */
static bool grow_thieves(uap_steal *steal)
{
    if (2 * (steal->n_thieves + 1) <= steal->n_slots) {
        return true;
    }
    const size_t n_slots = steal->n_slots == 0 ? FIRST_SLOTS : 2 * steal->n_slots;
    uap_thief *table = uap_calloc(n_slots, sizeof *table);
    if (table == NULL) {
        return false;
    }
    for (size_t i = 0; i < n_slots; i++) {
        table[i].rank = -1;
    }
    for (size_t i = 0; i < steal->n_slots; i++) {
        if (steal->thief[i].rank != -1) {
            table[slot_of(table, n_slots, steal->thief[i].rank)] = steal->thief[i];
        }
    }
    uap_free(steal->thief);
    steal->thief = table;
    steal->n_slots = n_slots;
    return true;
}

/* True when this request was not heard before; remembers it. There is room in the table. */
static bool is_new_request(uap_steal *steal, int rank, uint32_t number)
{
    uap_thief *thief = &steal->thief[slot_of(steal->thief, steal->n_slots, rank)];
    if (thief->rank == -1) {
        *thief = (uap_thief){.rank = rank};
        steal->n_thieves++;
    }
    if (number <= thief->number) {
        return false;
    }
    thief->number = number;
    return true;
}

typedef struct packer {
    const uap_tree_problem *problem;
    uap_gift *gift;
} packer;

/* Of problems without bounds nothing is known. */
static int64_t bound_of(const uap_tree_problem *problem, const void *node)
{
    return problem->bound == NULL ? INT64_MIN : problem->bound(problem->self, node);
}

static void pack_node(void *context, const void *node)
{
    const packer *to = context;
    const int64_t bound = bound_of(to->problem, node);
    char *at = to->gift->bytes + to->gift->n_bytes;
    uap_node_length length = (uap_node_length)to->problem->node_bytes;
    if (to->problem->pack != NULL) {
        length = (uap_node_length)to->problem->pack(to->problem->self, node,
                                                    at + sizeof length);
    } else {
        memcpy(at + sizeof length, node, length);
    }
    memcpy(at, &length, sizeof length);
    to->gift->n_bytes += sizeof length + length;
    to->gift->bound = bound < to->gift->bound ? bound : to->gift->bound;
}

/* Half of the open nodes or as many as a message holds; 0 when there is nothing to spare. */
static size_t nodes_to_give(const uap_steal *steal)
{
    const size_t half = uap_node_pool_count(steal->pool) / 2;
    const size_t room = (steal->bytes_max - sizeof(steal_header)) /
                        (sizeof(uap_node_length) + steal->problem->packed_max);
    return half < room ? half : room;
}

/* A gift of n nodes, which leave the pool; NULL when there is no memory for it. */
static uap_gift *make_gift(uap_steal *steal, size_t n, int to, uint32_t number,
                           int64_t now_ns)
{
    const size_t most =
        sizeof(steal_header) + n * (sizeof(uap_node_length) + steal->problem->packed_max);
    const steal_header header = {
        .number = number, .n_nodes = (uint32_t)n, .cut = steal->snapshot->id};
    packer target = {.problem = steal->problem,
                     .gift = uap_calloc(sizeof(uap_gift) + most, 1)};
    uap_gift *gift = target.gift;
    if (gift == NULL) {
        return NULL;
    }
    *gift = (uap_gift){.next = steal->gifts,
                       .to = to,
                       .number = number,
                       .n_nodes = (uint32_t)n,
                       .sent_at_ns = now_ns,
                       .bound = UAP_TREE_NO_ANSWER,
                       .n_bytes = sizeof header};
    memcpy(gift->bytes, &header, sizeof header);
    uap_node_pool_split(steal->pool, n, pack_node, &target);
    steal->gifts = gift;
    return gift;
}

static uap_status on_steal(uap_steal *steal, int thief, uint32_t number, bool may_give,
                           int64_t now_ns, uap_err *err)
{
    if (!grow_thieves(steal)) { /* the thief must hear something, and may hear it twice */
        (void)UAP_FAIL(steal->failure, NO_MEMORY, "no memory for %zu thieves",
                       steal->n_thieves + 1);
        return send_short(steal, thief, UAP_TAG_NONE, number, err);
    }
    if (!is_new_request(steal, thief, number)) {
        return UAP_OK;
    }
    steal->stats->steals_asked++;
    const size_t n = may_give ? nodes_to_give(steal) : 0;
    const uap_gift *gift = n == 0 ? NULL : make_gift(steal, n, thief, number, now_ns);
    if (gift == NULL) {
        return send_short(steal, thief, UAP_TAG_NONE, number, err);
    }
    steal->stats->steals_given++;
    steal->stats->nodes_given += (int64_t)n;
    steal->counted->sent++;
    return send(steal, thief, UAP_TAG_WORK, gift->bytes, gift->n_bytes, err);
}

/* The thief has taken the gift; now it is known on which side of its cut. */
static void settle_doubt(uap_snapshot *snapshot, const uap_gift *gift,
                         uap_snapshot_id cut_of_thief)
{
    snapshot->waiting--;
    if (cut_of_thief >= snapshot->id) {
        uap_snapshot_packed(snapshot, gift->bytes + sizeof(steal_header),
                            gift->n_bytes - sizeof(steal_header), gift->n_nodes,
                            gift->bound);
    }
}

static void on_ack(uap_steal *steal, int thief, const steal_header *header)
{
    for (uap_gift **at = &steal->gifts; *at != NULL; at = &(*at)->next) {
        uap_gift *gift = *at;
        if (gift->to == thief && gift->number == header->number) {
            *at = gift->next;
            if (gift->is_in_doubt) {
                settle_doubt(steal->snapshot, gift, header->cut);
            }
            uap_free(gift);
            return;
        }
    }
}

/* ---- The thief ---- */

uap_status uap_steal_ask(uap_steal *steal, int64_t now_ns, uap_err *err)
{
    if (steal->asking || now_ns < steal->ask_again_ns) {
        return UAP_OK;
    }
    steal->asking = true;
    steal->victim = uap_victims_next(&steal->victims);
    steal->number++;
    steal->asked_at_ns = now_ns;
    steal->stats->steals_tried++;
    return send_short(steal, steal->victim, UAP_TAG_STEAL, steal->number, err);
}

static bool is_answer(const uap_steal *steal, int from, uint32_t number)
{
    return steal->asking && from == steal->victim && number == steal->number;
}

static void on_none(uap_steal *steal, int64_t now_ns, int64_t idle_ns)
{
    steal->asking = false;
    if (uap_victims_round_over(&steal->victims)) {
        int64_t wait_ns = idle_ns / BACKOFF_SHARE;
        wait_ns = wait_ns < BACKOFF_MIN_NS ? BACKOFF_MIN_NS : wait_ns;
        wait_ns = wait_ns > BACKOFF_MAX_NS ? BACKOFF_MAX_NS : wait_ns;
        steal->ask_again_ns = now_ns + wait_ns;
    }
}

static uap_status take_node(uap_steal *steal, const char *bytes, size_t n)
{
    uap_status rc = UAP_OK;
    if (steal->problem->unpack != NULL) {
        UAP_TRY(steal->problem->unpack(steal->problem->self, bytes, n, steal->node,
                                       steal->failure));
    } else {
        memcpy(steal->node, bytes, steal->problem->node_bytes);
    }
    rc = uap_node_pool_push(steal->pool, steal->node, steal->failure);
    if (rc != UAP_OK && steal->problem->drop != NULL) {
        steal->problem->drop(steal->problem->self, steal->node);
    }
done:
    return rc;
}

/* Every node's length stays within the message. */
static bool is_whole(const uap_message *message, uint32_t n_nodes, size_t node_bytes)
{
    size_t at = sizeof(steal_header);
    for (uint32_t i = 0; i < n_nodes; i++) {
        uap_node_length length = 0;
        if (message->n - at < sizeof length) {
            return false;
        }
        memcpy(&length, message->bytes + at, sizeof length);
        at += sizeof length;
        if (message->n - at < length || (node_bytes != 0 && length != node_bytes)) {
            return false;
        }
        at += length;
    }
    return at == message->n;
}

static uap_status on_work(uap_steal *steal, const uap_message *message, uint32_t n_nodes,
                          uap_err *err)
{
    const char *at = message->bytes + sizeof(steal_header);
    const size_t own_bytes =
        steal->problem->unpack == NULL ? steal->problem->node_bytes : 0;
    if (!is_whole(message, n_nodes, own_bytes)) {
        return UAP_FAIL(err, INTERNAL,
                        "rank %d sent %u nodes in %zu bytes that do not fit",
                        message->from, (unsigned)n_nodes, message->n);
    }
    steal->asking = false;
    steal->counted->received++;
    steal->stats->steals_won++;
    steal->stats->nodes_taken += n_nodes;
    uap_victims_gave(&steal->victims, message->from);
    for (uint32_t i = 0; i < n_nodes; i++) {
        uap_node_length length = 0;
        memcpy(&length, at, sizeof length);
        at += sizeof length;
        const uap_status rc = take_node(steal, at, length);
        if (rc != UAP_OK) { /* the search has failed: its count no longer matters */
            (void)uap_fail(steal->failure, rc, __FILE__, __LINE__, "unpacking a node: %s",
                           uap_status_text(rc));
        }
        at += length;
    }
    return send_short(steal, message->from, UAP_TAG_ACK, steal->number, err);
}

/* ---- Both ---- */

uap_status uap_steal_receive(uap_steal *steal, const uap_message *message, bool may_give,
                             int64_t now_ns, int64_t idle_ns, uap_err *err)
{
    steal_header header = {0};
    if (message->n < sizeof header) {
        return UAP_FAIL(err, INTERNAL, "a message of %zu bytes from rank %d", message->n,
                        message->from);
    }
    memcpy(&header, message->bytes, sizeof header);
    switch (message->tag) {
    case UAP_TAG_STEAL:
        return on_steal(steal, message->from, header.number, may_give, now_ns, err);
    case UAP_TAG_NONE:
        if (is_answer(steal, message->from, header.number)) {
            on_none(steal, now_ns, idle_ns);
        }
        return UAP_OK;
    case UAP_TAG_WORK:
        if (is_answer(steal, message->from, header.number)) {
            return on_work(steal, message, header.n_nodes, err);
        }
        return UAP_OK;
    case UAP_TAG_ACK:
        on_ack(steal, message->from, &header);
        return UAP_OK;
    case UAP_TAG_EDGE:
    case UAP_TAG_EDGE_ACK:
    case UAP_TAG_COUNT:
        break;
    }
    return UAP_FAIL(err, INTERNAL, "a message of unknown kind %d from rank %d",
                    (int)message->tag, message->from);
}

uap_snapshot_id uap_steal_cut_of(const uap_message *message)
{
    steal_header header = {0};
    if ((message->tag == UAP_TAG_WORK || message->tag == UAP_TAG_ACK) &&
        message->n >= sizeof header) {
        memcpy(&header, message->bytes, sizeof header);
    }
    return header.cut;
}

void uap_steal_cut(uap_steal *steal)
{
    for (uap_gift *gift = steal->gifts; gift != NULL; gift = gift->next) {
        gift->is_in_doubt = true;
        steal->snapshot->waiting++;
    }
}

bool uap_steal_settled(const uap_steal *steal)
{
    return !steal->asking && steal->gifts == NULL;
}

uap_status uap_steal_overdue(const uap_steal *steal, int64_t before_ns, int64_t now_ns,
                             uap_err *err)
{
    if (steal->asking && steal->asked_at_ns < before_ns) {
        return UAP_FAIL(err, INTERNAL,
                        "rank %d has not answered rank %d's request for work for %.2f s",
                        steal->victim, steal->net->rank,
                        (double)(now_ns - steal->asked_at_ns) * 1e-9);
    }
    for (const uap_gift *gift = steal->gifts; gift != NULL; gift = gift->next) {
        if (gift->sent_at_ns < before_ns) {
            return UAP_FAIL(err, INTERNAL,
                            "rank %d has not acknowledged %u nodes of rank %d for %.2f s",
                            gift->to, (unsigned)gift->n_nodes, steal->net->rank,
                            (double)(now_ns - gift->sent_at_ns) * 1e-9);
        }
    }
    return UAP_OK;
}
