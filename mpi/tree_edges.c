/* Edges of the tree of ranks: stop-and-wait channels. */
#include "mpi/tree_edges.h"

#include "common/mem.h"

#include <string.h>

typedef struct edge_header {
    uint32_t number; /* 0: EDGE_ACK */
    uint32_t ack;    /* the last number accepted from the receiver */
    uint32_t flags;
    uint32_t answer_bytes;
    uint32_t node_bytes;
    uap_snapshot_id snapshot;
    int64_t wave;
    int64_t sent, received; /* REPORT */
    int64_t value;          /* ANSWER, whose bytes follow; then sums, then nodes */
} edge_header;

size_t uap_edges_message_max(size_t answer_max, size_t nodes_max)
{
    return sizeof(edge_header) + answer_max + sizeof(uap_tree_figures) + nodes_max;
}

uap_status uap_edges_init(uap_edges *edges, int rank, int size, size_t answer_max,
                          size_t nodes_max, uap_err *err)
{
    *edges = (uap_edges){.has_parent = rank > 0, .nodes_max = nodes_max};
    if (rank > 0) {
        edges->edge[edges->n++].peer = (rank - 1) / UAP_TREE_FANOUT;
    }
    for (int64_t i = 1; i <= UAP_TREE_FANOUT; i++) {
        const int64_t child = (int64_t)rank * UAP_TREE_FANOUT + i;
        if (child < size) {
            edges->edge[edges->n++].peer = (int)child;
            edges->n_children++;
        }
    }
    edges->buffer_bytes = uap_edges_message_max(answer_max, nodes_max);
    edges->buffer = uap_calloc(edges->buffer_bytes, 1);
    if (edges->buffer == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for messages of %zu bytes",
                        edges->buffer_bytes);
    }
    return UAP_OK;
}

void uap_edges_free(uap_edges *edges)
{
    uap_free(edges->buffer);
    *edges = (uap_edges){0};
}

void uap_edges_tell_parent(uap_edges *edges, uint32_t flags)
{
    if (edges->has_parent) {
        edges->edge[0].want |= flags;
    }
}

void uap_edges_tell_children(uap_edges *edges, uint32_t flags)
{
    for (int i = edges->has_parent ? 1 : 0; i < edges->n; i++) {
        edges->edge[i].want |= flags;
    }
}

void uap_edges_tell_others(uap_edges *edges, int except, uint32_t flags)
{
    for (int i = 0; i < edges->n; i++) {
        if (i != except) {
            edges->edge[i].want |= flags;
        }
    }
}

/* What a share of a snapshot has to say to the parent. */
static uint32_t share_flags(const uap_snapshot *s)
{
    const bool has_nodes = s->out.first < s->out.end;
    return (has_nodes ? UAP_EDGE_NODES : 0u) |
           (!has_nodes && uap_snapshot_is_whole(s) ? UAP_EDGE_SHARED : 0u);
}

/* What follows the header, into the buffer; returns the whole message's length. */
static size_t write_body(uap_edges *edges, const uap_edge_sources *from,
                         edge_header *header)
{
    char *to = edges->buffer + sizeof *header;
    if ((header->flags & UAP_EDGE_ANSWER) != 0) {
        header->value = from->best->value;
        header->answer_bytes = (uint32_t)from->best->n;
        if (from->best->n > 0) {
            memcpy(to, from->best->bytes, from->best->n);
        }
        to += from->best->n;
        from->counted->sent++;
        from->stats->answers_sent++;
    }
    if ((header->flags & UAP_EDGE_NODES) != 0) {
        header->node_bytes =
            (uint32_t)uap_packed_take(&from->snapshot->out, to, edges->nodes_max);
        to += header->node_bytes;
    }
    if ((header->flags & UAP_EDGE_SHARED) != 0) {
        memcpy(to, &from->snapshot->sum, sizeof from->snapshot->sum);
        to += sizeof from->snapshot->sum;
        uap_snapshot_close(from->snapshot);
    }
    return (size_t)(to - edges->buffer);
}

static uap_status send_edge(uap_edges *edges, uap_edge *edge, uint32_t flags,
                            const uap_edge_sources *from, int64_t now_ns, uap_err *err)
{
    edge_header header = {.ack = edge->in,
                          .flags = flags,
                          .snapshot = from->snapshot->id,
                          .wave = from->term->wave,
                          .sent = from->term->report.sent,
                          .received = from->term->report.received};
    if (flags != 0) {
        header.number = ++edge->out;
        edge->want = 0;
        edge->unacked = true;
        edge->sent_at_ns = now_ns;
    }
    const size_t n = write_body(edges, from, &header);
    edge->owes_ack = false;
    memcpy(edges->buffer, &header, sizeof header);
    const uap_tag tag = flags != 0 ? UAP_TAG_EDGE : UAP_TAG_EDGE_ACK;
    from->stats->sent[tag]++;
    from->stats->bytes_sent += (int64_t)n;
    return from->net->send(from->net->self, edge->peer, tag, edges->buffer, n, err);
}

uap_status uap_edges_flush(uap_edges *edges, const uap_edge_sources *sources,
                           int64_t now_ns, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int i = 0; i < edges->n; i++) {
        uap_edge *edge = &edges->edge[i];
        if (i == 0 && edges->has_parent) {
            edge->want |= share_flags(sources->snapshot);
        }
        const uint32_t flags = edge->unacked ? 0 : edge->want;
        if (flags != 0 || edge->owes_ack) {
            UAP_TRY(send_edge(edges, edge, flags, sources, now_ns, err));
        }
    }
done:
    return rc;
}

/* Whether the message is as long as its header says. */
static bool is_whole(const edge_header *header, size_t n)
{
    const size_t sums =
        (header->flags & UAP_EDGE_SHARED) != 0 ? sizeof(uap_tree_figures) : 0;
    return n == sizeof *header + header->answer_bytes + header->node_bytes + sums;
}

uap_status uap_edges_receive(uap_edges *edges, const uap_message *message,
                             uap_edge_news *news, uap_err *err)
{
    edge_header header = {0};
    int i = 0;
    *news = (uap_edge_news){0};
    while (i < edges->n && edges->edge[i].peer != message->from) {
        i++;
    }
    if (message->n >= sizeof header) {
        memcpy(&header, message->bytes, sizeof header);
    }
    if (i == edges->n || message->n < sizeof header || !is_whole(&header, message->n)) {
        return UAP_FAIL(err, INTERNAL, "an edge message of %zu bytes from rank %d",
                        message->n, message->from);
    }
    uap_edge *edge = &edges->edge[i];
    if (header.ack == edge->out) {
        edge->unacked = false;
    }
    if (header.number == 0) {
        return UAP_OK;
    }
    edge->owes_ack = true;
    if (header.number != edge->in + 1) {
        return UAP_OK; /* a repeat: the sender waits for the acknowledgement of each */
    }
    edge->in = header.number;
    *news = (uap_edge_news){.from = i,
                            .flags = header.flags,
                            .wave = header.wave,
                            .report = {header.sent, header.received},
                            .value = header.value,
                            .answer = message->bytes + sizeof header,
                            .answer_bytes = header.answer_bytes,
                            .snapshot = header.snapshot,
                            .nodes = message->bytes + sizeof header + header.answer_bytes,
                            .node_bytes = header.node_bytes};
    if ((header.flags & UAP_EDGE_SHARED) != 0) {
        memcpy(&news->sum, news->nodes + news->node_bytes, sizeof news->sum);
    }
    return UAP_OK;
}

bool uap_edges_wants(const uap_edges *edges, uint32_t flags)
{
    for (int i = 0; i < edges->n; i++) {
        if ((edges->edge[i].want & flags) != 0) {
            return true;
        }
    }
    return false;
}

bool uap_edges_settled(const uap_edges *edges)
{
    for (int i = 0; i < edges->n; i++) {
        const uap_edge *edge = &edges->edge[i];
        if (edge->want != 0 || edge->unacked || edge->owes_ack) {
            return false;
        }
    }
    return true;
}

const uap_edge *uap_edges_overdue(const uap_edges *edges, int64_t before_ns)
{
    const uap_edge *oldest = NULL;
    for (int i = 0; i < edges->n; i++) {
        const uap_edge *edge = &edges->edge[i];
        if (edge->unacked && edge->sent_at_ns < before_ns &&
            (oldest == NULL || edge->sent_at_ns < oldest->sent_at_ns)) {
            oldest = edge;
        }
    }
    return oldest;
}
