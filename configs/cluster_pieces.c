/* Links in pieces: which line holds at a size, and two links made into one. Where the pieces come
 * from is not its business. */
#include "configs/cluster_json.h"

static uap_piece line_at(uap_piece whole, const uap_piece *piece, int32_t n, double bytes)
{
    const uap_piece *found = &whole;
    for (int32_t i = 0; i < n; i++) {
        found = i == 0 || piece[i].from_bytes <= bytes ? &piece[i] : found;
    }
    return *found;
}

uap_piece uap_link_line(const uap_link *link, double bytes)
{
    const uap_piece whole = {0, link->latency_s, link->bandwidth_Bps};
    return line_at(whole, link->piece, link->n_pieces, bytes);
}

uap_piece uap_line_of(double latency_s, double bandwidth_Bps, const uap_pieces *pieces,
                      double bytes)
{
    const uap_piece whole = {0, latency_s, bandwidth_Bps};
    return line_at(whole, pieces->piece, pieces->n, bytes);
}

double uap_link_s(const uap_link *link, double bytes)
{
    if (!(bytes > 0.0) || !(link->bandwidth_Bps > 0.0)) {
        return 0.0;
    }
    const uap_piece line = uap_link_line(link, bytes);
    return line.latency_s + bytes / line.bandwidth_Bps;
}

uap_link uap_link_of(double latency_s, double bandwidth_Bps, const uap_pieces *pieces)
{
    uap_link link; /* no initialiser: most of it stays unused */
    link.latency_s = latency_s;
    link.bandwidth_Bps = bandwidth_Bps;
    link.assumed = false;
    link.n_pieces = pieces->n;
    for (int32_t i = 0; i < pieces->n; i++) {
        link.piece[i] = pieces->piece[i];
    }
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
    static const uap_pieces none = {0};
    uap_link out = uap_link_of(whole.latency_s, whole.bandwidth_Bps, &none);
    double from = 0.0;
    if (a->n_pieces == 0 && b->n_pieces == 0) {
        return out;
    }
    do {
        const uap_piece x = uap_link_line(a, from), y = uap_link_line(b, from);
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
