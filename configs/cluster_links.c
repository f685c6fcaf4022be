/* Links of a cluster profile: the entry for a group, or what the rules of docs/clusters.md
 * make of its neighbours. It interpolates; it never measures. */
#include "configs/cluster_json.h"

#include <math.h>
#include <stddef.h>

/* A kind of collective that may stand for another: same bus bandwidth, latency scaled. */
typedef struct substitute {
    uap_collective_kind kind;
    double latency_factor;
} substitute;

#define N_SUBSTITUTES 4

/* An all-reduce is a reduce-scatter and an all-gather, so its latency counts twice. */
static const substitute substitutes[UAP_COLLECTIVE_COUNT][N_SUBSTITUTES] = {
    [UAP_ALL_REDUCE] = {{UAP_ALL_REDUCE, 1.0},
                        {UAP_REDUCE_SCATTER, 2.0},
                        {UAP_ALL_GATHER, 2.0},
                        {UAP_ALL_TO_ALL, 2.0}},
    [UAP_ALL_GATHER] = {{UAP_ALL_GATHER, 1.0},
                        {UAP_REDUCE_SCATTER, 1.0},
                        {UAP_ALL_REDUCE, 0.5},
                        {UAP_ALL_TO_ALL, 1.0}},
    [UAP_REDUCE_SCATTER] = {{UAP_REDUCE_SCATTER, 1.0},
                            {UAP_ALL_GATHER, 1.0},
                            {UAP_ALL_REDUCE, 0.5},
                            {UAP_ALL_TO_ALL, 1.0}},
    [UAP_ALL_TO_ALL] = {{UAP_ALL_TO_ALL, 1.0},
                        {UAP_ALL_GATHER, 1.0},
                        {UAP_REDUCE_SCATTER, 1.0},
                        {UAP_ALL_REDUCE, 0.5}}};

/* Bus bandwidth = bandwidth x this, comparable over group sizes (nccl-tests, PERFORMANCE). */
static double bus_factor(uap_collective_kind kind, int32_t size)
{
    const double share = ((double)size - 1.0) / (double)size;
    return kind == UAP_ALL_REDUCE ? 2.0 * share : share;
}

uap_span uap_cluster_group_span(const uap_cluster *cluster, int64_t devices, int32_t size,
                                int64_t stride)
{
    const int64_t node = uap_cluster_node_size(cluster);
    const bool inside = devices <= node || node % ((int64_t)size * stride) == 0;
    return inside ? UAP_SPAN_NODE : UAP_SPAN_CLUSTER;
}

/* Of two entries of one shape the one measured with all groups busy counts. */
static const uap_collective *find_exact(const uap_cluster *cluster,
                                        const uap_collective *wanted)
{
    const uap_collective *found = NULL;
    for (int32_t i = 0; i < cluster->n_collectives; i++) {
        const uap_collective *entry = &cluster->collective[i];
        if (entry->kind == wanted->kind && entry->span == wanted->span &&
            entry->size == wanted->size && entry->stride == wanted->stride &&
            (found == NULL || (entry->contended && !found->contended))) {
            found = entry;
        }
    }
    return found;
}

/* The stride nearest to the wanted one, by ratio, the smaller of two; 0 when the kind has no
 * entry of that span. */
static int32_t nearest_stride(const uap_cluster *cluster, const uap_collective *wanted,
                              int64_t stride)
{
    int32_t best = 0;
    double best_distance = 0.0;
    for (int32_t i = 0; i < cluster->n_collectives; i++) {
        const uap_collective *entry = &cluster->collective[i];
        if (entry->kind != wanted->kind || entry->span != wanted->span) {
            continue;
        }
        const double distance = fabs(log2((double)entry->stride) - log2((double)stride));
        if (best == 0 || distance < best_distance ||
            (distance <= best_distance && entry->stride < best)) {
            best = entry->stride;
            best_distance = distance;
        }
    }
    return best;
}

/* The neighbours in size among entries of wanted's kind, span and stride: the largest not
 * above and the smallest not below wanted->size; one of them may be NULL. */
static void find_neighbours(const uap_cluster *cluster, const uap_collective *wanted,
                            const uap_collective **below, const uap_collective **above)
{
    uap_collective probe = *wanted;
    int32_t low = 0, high = 0;
    for (int32_t i = 0; i < cluster->n_collectives; i++) {
        const uap_collective *entry = &cluster->collective[i];
        if (entry->kind != wanted->kind || entry->span != wanted->span ||
            entry->stride != wanted->stride) {
            continue;
        }
        if (entry->size <= wanted->size && entry->size > low) {
            low = entry->size;
        }
        if (entry->size >= wanted->size && (high == 0 || entry->size < high)) {
            high = entry->size;
        }
    }
    probe.size = low;
    *below = low > 0 ? find_exact(cluster, &probe) : NULL;
    probe.size = high;
    *above = high > 0 ? find_exact(cluster, &probe) : NULL;
}

/* Two entries of one kind between, or beside, which a size lies; they may be the same. */
typedef struct neighbours {
    const uap_collective *low, *high;
    int32_t size;
} neighbours;

/* Latency and bus bandwidth at a size from those of its neighbours (docs/clusters.md). */
static uap_piece interpolate_line(const uap_piece *a, const uap_piece *b,
                                  const void *context)
{
    const neighbours *n = context;
    const uap_collective *low = n->low, *high = n->high;
    const double bus_low = a->bandwidth_Bps * bus_factor(low->kind, low->size);
    const double bus_high = b->bandwidth_Bps * bus_factor(high->kind, high->size);
    uap_piece line = {0};
    double bus = bus_low;
    if (low->size == high->size) {
        /* Outside the measured sizes: trees and rings in steps of log2(size). */
        line.latency_s = a->latency_s * (log2((double)n->size) / log2((double)low->size));
    } else {
        const double x = (log2((double)n->size) - log2((double)low->size)) /
                         (log2((double)high->size) - log2((double)low->size));
        line.latency_s = a->latency_s + x * (b->latency_s - a->latency_s);
        bus = bus_low + x * (bus_high - bus_low);
    }
    line.bandwidth_Bps = bus / bus_factor(low->kind, n->size);
    return line;
}

static uap_link interpolate(const uap_collective *low, const uap_collective *high,
                            int32_t size)
{
    const neighbours between = {low, high, size};
    const uap_link a = uap_link_of(low->latency_s, low->bandwidth_Bps, &low->pieces);
    const uap_link b = uap_link_of(high->latency_s, high->bandwidth_Bps, &high->pieces);
    uap_link link = uap_link_joined(&a, &b, interpolate_line, &between);
    link.assumed = true;
    return link;
}

/* Times that much latency and bandwidth, whatever the size. */
static void scale(uap_link *link, double latency, double bandwidth)
{
    link->latency_s *= latency;
    link->bandwidth_Bps *= bandwidth;
    for (int32_t i = 0; i < link->n_pieces; i++) {
        link->piece[i].latency_s *= latency;
        link->piece[i].bandwidth_Bps *= bandwidth;
    }
}

/* The link from entries of kind `from->kind` and of that span; false when there are none. */
static bool link_from(const uap_cluster *cluster, const uap_collective *wanted,
                      int64_t stride, const substitute *from, uap_link *link)
{
    uap_collective probe = *wanted;
    const uap_collective *below = NULL, *above = NULL;
    probe.kind = from->kind;
    probe.stride = nearest_stride(cluster, &probe, stride);
    if (probe.stride == 0) {
        return false;
    }
    find_neighbours(cluster, &probe, &below, &above);
    const uap_collective *low = below != NULL ? below : above;
    const uap_collective *high = above != NULL ? above : below;
    if (low == NULL || high == NULL) {
        return false;
    }
    *link = interpolate(low, high, wanted->size);
    scale(link, from->latency_factor,
          bus_factor(from->kind, wanted->size) / bus_factor(wanted->kind, wanted->size));
    return true;
}

uap_link uap_cluster_group_link(const uap_cluster *cluster, uap_collective_kind kind,
                                int32_t size, int64_t stride, uap_span span)
{
    uap_link link = {0};
    if (size <= 1) {
        return link;
    }
    uap_collective wanted = {
        .kind = kind, .size = size, .stride = (int32_t)stride, .span = span};
    const uap_collective *exact =
        stride <= INT32_MAX ? find_exact(cluster, &wanted) : NULL;
    if (exact != NULL) {
        return uap_link_of(exact->latency_s, exact->bandwidth_Bps, &exact->pieces);
    }
    const uap_span spans[2] = {span,
                               span == UAP_SPAN_NODE ? UAP_SPAN_CLUSTER : UAP_SPAN_NODE};
    for (int s = 0; s < 2; s++) {
        wanted.span = spans[s];
        for (int i = 0; i < N_SUBSTITUTES; i++) {
            if (link_from(cluster, &wanted, stride, &substitutes[kind][i], &link)) {
                return link;
            }
        }
    }
    link.assumed = true;
    return link;
}

/* The entry for at least `pairs` pairs that comes nearest, else the one for most pairs;
 * entries without a number stand for one pair per device. */
static const uap_p2p *find_p2p(const uap_cluster *cluster, uap_span span, int64_t pairs)
{
    const uap_p2p *best = NULL;
    int64_t best_pairs = 0;
    for (int32_t i = 0; i < cluster->n_p2p; i++) {
        const uap_p2p *entry = &cluster->p2p[i];
        const int64_t has = entry->pairs > 0 ? entry->pairs : INT32_MAX;
        if (entry->span != span) {
            continue;
        }
        const bool nearer = has >= pairs ? best_pairs < pairs || has < best_pairs
                                         : best_pairs < pairs && has > best_pairs;
        if (best == NULL || nearer) {
            best = entry;
            best_pairs = has;
        }
    }
    return best;
}

uap_piece uap_cluster_p2p_line(const uap_cluster *cluster, uap_span span, int64_t pairs,
                               double bytes, bool *assumed)
{
    const uap_p2p *entry = find_p2p(cluster, span, pairs);
    if (entry == NULL) {
        const uap_link link = uap_cluster_p2p_link(cluster, span, pairs);
        *assumed = link.assumed;
        return uap_link_line(&link, bytes);
    }
    *assumed = false;
    return uap_line_of(entry->latency_s, entry->bandwidth_Bps, &entry->pieces, bytes);
}

uap_link uap_cluster_p2p_link(const uap_cluster *cluster, uap_span span, int64_t pairs)
{
    const uap_span other = span == UAP_SPAN_NODE ? UAP_SPAN_CLUSTER : UAP_SPAN_NODE;
    const uap_p2p *entry = find_p2p(cluster, span, pairs);
    const bool is_assumed = entry == NULL;
    uap_link link;
    if (entry == NULL) {
        entry = find_p2p(cluster, other, pairs);
    }
    if (entry != NULL) {
        link = uap_link_of(entry->latency_s, entry->bandwidth_Bps, &entry->pieces);
    } else {
        /* In a ring of two, each half of an all-gather's buffer goes over the link once. */
        link = uap_cluster_group_link(cluster, UAP_ALL_GATHER, 2, 1, span);
        scale(&link, 1.0, 0.5);
        for (int32_t i = 0; i < link.n_pieces; i++) {
            link.piece[i].from_bytes /= 2.0;
        }
    }
    link.assumed = is_assumed;
    return link;
}

double uap_cluster_collective_s(const uap_cluster *cluster, uap_collective_kind kind,
                                int32_t size, int32_t stride, double bytes, bool *assumed)
{
    const uap_span span =
        uap_cluster_group_span(cluster, uap_cluster_devices(cluster), size, stride);
    const uap_link link = uap_cluster_group_link(cluster, kind, size, stride, span);
    if (assumed != NULL) {
        *assumed = link.assumed;
    }
    return uap_link_s(&link, bytes);
}

double uap_cluster_p2p_s(const uap_cluster *cluster, int64_t distance, double bytes,
                         bool *assumed)
{
    const int64_t node = uap_cluster_node_size(cluster);
    const uap_span span = distance < node ? UAP_SPAN_NODE : UAP_SPAN_CLUSTER;
    const uap_link link =
        uap_cluster_p2p_link(cluster, span, distance < node ? distance : node);
    if (assumed != NULL) {
        *assumed = link.assumed;
    }
    return uap_link_s(&link, bytes);
}
