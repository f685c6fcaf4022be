/* Edges of the tree of ranks: stop-and-wait channels. */
#include "mpi/tree_edges.h"

#include "common/mem.h"

#include <string.h>

typedef struct edge_header {
    uint32_t number; /* 0: EDGE_ACK */
    uint32_t ack;    /* the last number accepted from the receiver */
    uint32_t flags;
    uint32_t answer_bytes;
    int64_t wave;
    int64_t sent, received; /* REPORT */
    int64_t value;          /* ANSWER, whose bytes follow */
} edge_header;

size_t uap_edges_message_max(size_t answer_max)
{
    return sizeof(edge_header) + answer_max;
}

uap_status uap_edges_init(uap_edges *edges, int rank, int size, size_t answer_max,
                          uap_err *err)
{
    *edges = (uap_edges){.has_parent = rank > 0};
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
    edges->buffer_bytes = uap_edges_message_max(answer_max);
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

uap_status uap_edges_flush(uap_edges *edges, const uap_transport *net,
                           const uap_termination *term, const uap_incumbent *best,
                           int64_t now_ns, uap_counters *counted, uap_tree_stats *stats,
                           uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int i = 0; i < edges->n; i++) {
        uap_edge *edge = &edges->edge[i];
        const uint32_t flags = edge->unacked ? 0 : edge->want;
        if (flags == 0 && !edge->owes_ack) {
            continue;
        }
        edge_header header = {.ack = edge->in,
                              .flags = flags,
                              .wave = term->wave,
                              .sent = term->report.sent,
                              .received = term->report.received};
        size_t n = sizeof header;
        if (flags != 0) {
            header.number = ++edge->out;
            edge->want = 0;
            edge->unacked = true;
            edge->sent_at_ns = now_ns;
        }
        if ((flags & UAP_EDGE_ANSWER) != 0) {
            header.value = best->value;
            header.answer_bytes = (uint32_t)best->n;
            if (best->n > 0) {
                memcpy(edges->buffer + n, best->bytes, best->n);
            }
            n += best->n;
            counted->sent++;
            stats->answers_sent++;
        }
        edge->owes_ack = false;
        memcpy(edges->buffer, &header, sizeof header);
        const uap_tag tag = flags != 0 ? UAP_TAG_EDGE : UAP_TAG_EDGE_ACK;
        UAP_TRY(net->send(net->self, edge->peer, tag, edges->buffer, n, err));
        stats->sent[tag]++;
        stats->bytes_sent += (int64_t)n;
    }
done:
    return rc;
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
    if (i == edges->n || message->n != sizeof header + header.answer_bytes) {
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
                            .answer_bytes = header.answer_bytes};
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
