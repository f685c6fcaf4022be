/* Links in pieces: which line holds at a size, and two links made into one. Where the pieces come
 * from is not its business. */
#include "configs/cluster_json.h"

#include <string.h>

/* The line that holds for so many bytes. */
static uap_piece piece_at(const uap_link *link, double bytes)
{
    uap_piece found = {0, link->latency_s, link->bandwidth_Bps};
    for (int32_t i = 0; i < link->n_pieces; i++) {
        if (i == 0 || link->piece[i].from_bytes <= bytes) {
            found = link->piece[i];
        }
    }
    return found;
}

double uap_link_s(const uap_link *link, double bytes)
{
    if (!(bytes > 0.0) || !(link->bandwidth_Bps > 0.0)) {
        return 0.0;
    }
    const uap_piece line = piece_at(link, bytes);
    return line.latency_s + bytes / line.bandwidth_Bps;
}

uap_link uap_link_line(const uap_link *link, double bytes)
{
    const uap_piece line = piece_at(link, bytes);
    return (uap_link){.latency_s = line.latency_s,
                      .bandwidth_Bps = line.bandwidth_Bps,
                      .assumed = link->assumed};
}

uap_link uap_link_of(double latency_s, double bandwidth_Bps, const uap_pieces *pieces)
{
    uap_link link = {
        .latency_s = latency_s, .bandwidth_Bps = bandwidth_Bps, .n_pieces = pieces->n};
    memcpy(link.piece, pieces->piece, sizeof pieces->piece);
    return link;
}

/* The next switch of either link behind `after`; 0: none. */
static double next_switch(const uap_link *a, const uap_link *b, double after)
{
    const uap_link *const link[2] = {a, b};
    double next = 0.0;
    for (int i = 0; i < 2; i++) {
        for (int32_t j = 0; j < link[i]->n_pieces; j++) {
            const double from = link[i]->piece[j].from_bytes;
            if (from > after && (!(next > 0.0) || from < next)) {
                next = from;
            }
        }
    }
    return next;
}

uap_link uap_link_joined(const uap_link *a, const uap_link *b, uap_line_join *join,
                         const void *context)
{
    const uap_piece whole_a = {0, a->latency_s, a->bandwidth_Bps};
    const uap_piece whole_b = {0, b->latency_s, b->bandwidth_Bps};
    const uap_piece whole = join(&whole_a, &whole_b, context);
    uap_link out = {.latency_s = whole.latency_s, .bandwidth_Bps = whole.bandwidth_Bps};
    double from = 0.0;
    if (a->n_pieces == 0 && b->n_pieces == 0) {
        return out;
    }
    do {
        const uap_piece x = piece_at(a, from), y = piece_at(b, from);
        out.piece[out.n_pieces] = join(&x, &y, context);
        out.piece[out.n_pieces++].from_bytes = from;
        from = next_switch(a, b, from);
    } while (from > 0.0 && out.n_pieces < UAP_LINK_PIECES_MAX);
    return out;
}

static bool is_same_number(double a, double b)
{
    return !(a < b) && !(a > b);
}

bool uap_pieces_are_same(const uap_pieces *a, const uap_pieces *b)
{
    bool same = a->n == b->n;
    for (int32_t i = 0; same && i < a->n; i++) {
        const uap_piece *x = &a->piece[i], *y = &b->piece[i];
        same = is_same_number(x->from_bytes, y->from_bytes) &&
               is_same_number(x->latency_s, y->latency_s) &&
               is_same_number(x->bandwidth_Bps, y->bandwidth_Bps);
    }
    return same;
}
