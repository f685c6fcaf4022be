/* From the node groups of a file to groups of unlike nodes: which links hold for which, and
 * which groups are the same (docs/clusters.md). */
#include "configs/cluster_groups.h"

#include "common/numbers.h"
#include "configs/cluster_json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One node group of the file, as far as it is within the first devices. */
typedef struct member {
    const uap_node_group *group;
    int32_t index; /* in the file */
    uap_device_range range;
    uap_collective *collective; /* those that hold for it */
    int32_t n_collectives;
    uap_p2p *within;
    int32_t n_within;
    int32_t joined; /* number of its joined group */
} member;

typedef struct joiner {
    const uap_cluster *cluster;
    uap_arena *arena;
    member *member;
    int32_t n;
} joiner;

/* ---- Which entries hold -------------------------------------------------------------------- */

/* Whether an entry is about the link between a and b alone. */
static bool is_of_pair(const uap_p2p *entry, int32_t a, int32_t b)
{
    return entry->is_between &&
           ((entry->from == a && entry->to == b) || (entry->from == b && entry->to == a));
}

/* Entries of the group alone hide those for all groups of the same span. */
static bool list_collectives(const joiner *j, member *m)
{
    const uap_cluster *cluster = j->cluster;
    bool has_own[2] = {false, false};
    m->collective =
        uap_arena_alloc(j->arena, (size_t)cluster->n_collectives, sizeof *m->collective);
    if (m->collective == NULL) {
        return false;
    }
    for (int32_t i = 0; i < cluster->n_collectives; i++) {
        const uap_collective *entry = &cluster->collective[i];
        has_own[entry->span] |= entry->is_of_group && entry->group == m->index;
    }
    for (int32_t i = 0; i < cluster->n_collectives; i++) {
        const uap_collective *entry = &cluster->collective[i];
        if (entry->is_of_group ? entry->group == m->index : !has_own[entry->span]) {
            m->collective[m->n_collectives] = *entry;
            m->collective[m->n_collectives++].is_of_group =
                false; /* in a view of its own */
        }
    }
    return true;
}

/* The p2p entries for groups a and b of the file; the same rule. *out in the arena. */
static bool list_p2p(const joiner *j, int32_t a, int32_t b, uap_p2p **out, int32_t *n)
{
    const uap_cluster *cluster = j->cluster;
    bool has_own[2] = {false, false};
    *n = 0;
    *out = uap_arena_alloc(j->arena, (size_t)cluster->n_p2p, sizeof **out);
    if (*out == NULL) {
        return false;
    }
    for (int32_t i = 0; i < cluster->n_p2p; i++) {
        has_own[cluster->p2p[i].span] |= is_of_pair(&cluster->p2p[i], a, b);
    }
    for (int32_t i = 0; i < cluster->n_p2p; i++) {
        const uap_p2p *entry = &cluster->p2p[i];
        const bool holds =
            entry->is_between ? is_of_pair(entry, a, b) : !has_own[entry->span];
        if (holds && (a == b || entry->span == UAP_SPAN_CLUSTER)) {
            (*out)[*n] = *entry;
            (*out)[(*n)++].is_between = false;
        }
    }
    return true;
}

/* ---- What is the same ------------------------------------------------------------------------ */

/* Exactly the same figure: a file that writes it twice reads it twice. */
static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool same_time(const uap_layer_time *a, const uap_layer_time *b)
{
    return strcmp(a->type, b->type) == 0 && strcmp(a->shape, b->shape) == 0 &&
           a->tp == b->tp && a->micro_batch == b->micro_batch &&
           a->precision == b->precision && same(a->forward_s, b->forward_s) &&
           same(a->backward_s, b->backward_s);
}

/* In everything but their names. */
static bool same_class(const uap_device_class *a, const uap_device_class *b)
{
    bool alike = a->memory_bytes == b->memory_bytes &&
                 same(a->efficiency, b->efficiency) &&
                 same(a->memory_bandwidth_Bps, b->memory_bandwidth_Bps) &&
                 a->n_layers == b->n_layers;
    for (int i = 0; i < UAP_PRECISION_COUNT; i++) {
        alike = alike && same(a->peak_flops[i], b->peak_flops[i]);
    }
    for (int32_t i = 0; alike && i < a->n_layers; i++) {
        alike = same_time(&a->layer[i], &b->layer[i]);
    }
    return alike;
}

static bool same_collective(const uap_collective *a, const uap_collective *b)
{
    return a->kind == b->kind && a->size == b->size && a->stride == b->stride &&
           a->span == b->span && same(a->latency_s, b->latency_s) &&
           same(a->bandwidth_Bps, b->bandwidth_Bps) &&
           uap_pieces_are_same(&a->pieces, &b->pieces) && a->contended == b->contended;
}

static bool same_p2p(const uap_p2p *a, const uap_p2p *b)
{
    return a->span == b->span && a->pairs == b->pairs &&
           same(a->latency_s, b->latency_s) && same(a->bandwidth_Bps, b->bandwidth_Bps) &&
           uap_pieces_are_same(&a->pieces, &b->pieces);
}

/* Each entry of a is in b, and as many. */
static bool same_collectives(const member *a, const member *b)
{
    for (int32_t i = 0; i < a->n_collectives; i++) {
        bool found = false;
        for (int32_t k = 0; k < b->n_collectives && !found; k++) {
            /* Mostly the lists are in one order. */
            const int32_t at = (i + k) % b->n_collectives;
            found = same_collective(&a->collective[i], &b->collective[at]);
        }
        if (!found) {
            return false;
        }
    }
    return a->n_collectives == b->n_collectives;
}

/* The same for p2p entries, of both spans or of the links between nodes alone. */
static bool has_p2p(const uap_p2p *a, int32_t n_a, const uap_p2p *b, int32_t n_b,
                    bool only_between)
{
    for (int32_t i = 0; i < n_a; i++) {
        bool found = only_between && a[i].span == UAP_SPAN_NODE;
        for (int32_t k = 0; k < n_b && !found; k++) {
            found = same_p2p(&a[i], &b[k]);
        }
        if (!found) {
            return false;
        }
    }
    return true;
}

/* Whether the links between a and b, and from both to every other group, tell them apart.
 * False in *ok: no memory. */
static bool same_outside(const joiner *j, const member *a, const member *b, bool *ok)
{
    uap_p2p *list[2];
    int32_t n[2];
    *ok = list_p2p(j, a->index, b->index, &list[0], &n[0]);
    bool alike = *ok && has_p2p(list[0], n[0], a->within, a->n_within, true) &&
                 has_p2p(a->within, a->n_within, list[0], n[0], true);
    for (int32_t i = 0; i < j->n && alike; i++) {
        const int32_t other = j->member[i].index;
        if (other == a->index || other == b->index) {
            continue;
        }
        *ok = list_p2p(j, a->index, other, &list[0], &n[0]) &&
              list_p2p(j, b->index, other, &list[1], &n[1]);
        alike = *ok && has_p2p(list[0], n[0], list[1], n[1], true) &&
                has_p2p(list[1], n[1], list[0], n[0], true);
    }
    return alike;
}

static bool same_member(const joiner *j, const member *a, const member *b, bool *ok)
{
    const uap_device_class *classes = j->cluster->device_class;
    *ok = true;
    return a->group->devices_per_node == b->group->devices_per_node &&
           same_class(&classes[a->group->device_class],
                      &classes[b->group->device_class]) &&
           same_collectives(a, b) &&
           has_p2p(a->within, a->n_within, b->within, b->n_within, false) &&
           has_p2p(b->within, b->n_within, a->within, a->n_within, false) &&
           same_outside(j, a, b, ok);
}

/* ---- Joining ---------------------------------------------------------------------------------- */

/* The file's groups within the first devices. */
static bool list_members(joiner *j, int64_t devices)
{
    int64_t first = 0;
    j->member =
        uap_arena_alloc(j->arena, (size_t)j->cluster->n_groups, sizeof *j->member);
    if (j->member == NULL) {
        return false;
    }
    for (int32_t i = 0; i < j->cluster->n_groups && first < devices; i++) {
        const uap_node_group *group = &j->cluster->group[i];
        const int64_t has = (int64_t)group->nodes * group->devices_per_node;
        member *m = &j->member[j->n++];
        *m = (member){.group = group,
                      .index = i,
                      .range = {first, uap_min_i64(devices, first + has) - 1}};
        first += has;
        if (!list_collectives(j, m) || !list_p2p(j, i, i, &m->within, &m->n_within)) {
            return false;
        }
    }
    return true;
}

/* Numbers the joined groups; returns their number, or -1 without memory. What is the same as
 * one of a group is the same as all of it. */
static int32_t join(joiner *j)
{
    int32_t n = 0;
    for (int32_t i = 0; i < j->n; i++) {
        bool ok = true, found = false;
        for (int32_t k = 0; k < i && ok && !found; k++) {
            found = same_member(j, &j->member[k], &j->member[i], &ok);
            j->member[i].joined = j->member[k].joined;
        }
        if (!ok) {
            return -1;
        }
        if (!found) {
            j->member[i].joined = n++;
        }
    }
    return n;
}

static bool fill_group(const joiner *j, int32_t number, uap_cluster_group *out)
{
    uap_node_group *nodes = uap_arena_alloc(j->arena, 1, sizeof *nodes);
    out->range = uap_arena_alloc(j->arena, (size_t)j->n, sizeof *out->range);
    if (nodes == NULL || out->range == NULL) {
        return false;
    }
    for (int32_t i = 0; i < j->n; i++) {
        const member *m = &j->member[i];
        if (m->joined != number) {
            continue;
        }
        if (out->n_ranges == 0) {
            *nodes = *m->group;
            out->view = *j->cluster;
            out->view.collective = m->collective;
            out->view.n_collectives = m->n_collectives;
            out->view.p2p = m->within;
            out->view.n_p2p = m->n_within;
        }
        out->range[out->n_ranges++] = m->range;
        out->devices += m->range.last - m->range.first + 1;
    }
    nodes->nodes = (int32_t)uap_ceil_div(out->devices, nodes->devices_per_node);
    out->view.group = nodes;
    out->view.n_groups = 1;
    return true;
}

static const member *first_of(const joiner *j, int32_t number)
{
    int32_t i = 0;
    while (j->member[i].joined != number) {
        i++;
    }
    return &j->member[i];
}

static bool fill_between(const joiner *j, uap_cluster_groups *out)
{
    for (int32_t a = 0; a < out->n; a++) {
        for (int32_t b = 0; b < out->n; b++) {
            uap_cluster *link = &out->between[a * out->n + b];
            *link = out->group[a].view;
            link->n_collectives = 0;
            if (a != b && !list_p2p(j, first_of(j, a)->index, first_of(j, b)->index,
                                    &link->p2p, &link->n_p2p)) {
                return false;
            }
        }
    }
    return true;
}

uap_status uap_cluster_groups_new(const uap_cluster *cluster, int64_t devices,
                                  uap_cluster_groups **out, uap_err *err)
{
    joiner j = {.cluster = cluster, .arena = uap_arena_new()};
    uap_cluster_groups *groups = NULL;
    bool ok = j.arena != NULL;
    *out = NULL;
    ok = ok && list_members(&j, devices > 0 ? devices : uap_cluster_devices(cluster));
    const int32_t n = ok ? join(&j) : -1;
    if (n > 0) {
        const size_t pairs = (size_t)n * (size_t)n;
        groups = uap_arena_alloc(j.arena, 1, sizeof *groups);
        ok = groups != NULL;
        if (ok) {
            groups->arena = j.arena;
            groups->n = n;
            groups->group = uap_arena_alloc(j.arena, (size_t)n, sizeof *groups->group);
            groups->between = uap_arena_alloc(j.arena, pairs, sizeof *groups->between);
            ok = groups->group != NULL && groups->between != NULL;
        }
        for (int32_t g = 0; g < n && ok; g++) {
            ok = fill_group(&j, g, &groups->group[g]);
        }
        ok = ok && fill_between(&j, groups);
    }
    if (!ok || n <= 0) {
        uap_arena_free(j.arena);
        return UAP_FAIL(err, NO_MEMORY, "no memory for the groups of cluster \"%s\"",
                        cluster->name);
    }
    *out = groups;
    return UAP_OK;
}

void uap_cluster_groups_free(uap_cluster_groups *groups)
{
    if (groups != NULL) {
        uap_arena_free(groups->arena); /* it lies in it itself */
    }
}

/* ---- Questions -------------------------------------------------------------------------------- */

static uap_piece slower_line(const uap_piece *a, const uap_piece *b, const void *context)
{
    (void)context;
    return (uap_piece){
        .latency_s = a->latency_s > b->latency_s ? a->latency_s : b->latency_s,
        .bandwidth_Bps =
            a->bandwidth_Bps < b->bandwidth_Bps ? a->bandwidth_Bps : b->bandwidth_Bps};
}

uap_link uap_cluster_between_link(const uap_cluster_groups *groups, int32_t a, int32_t b,
                                  int64_t pairs)
{
    const uap_cluster *between = &groups->between[a * groups->n + b];
    const uap_link x =
        uap_cluster_p2p_link(&groups->group[a].view, UAP_SPAN_CLUSTER, pairs);
    if (a == b) {
        return x;
    }
    if (between->n_p2p > 0) {
        return uap_cluster_p2p_link(between, UAP_SPAN_CLUSTER, pairs);
    }
    const uap_link y =
        uap_cluster_p2p_link(&groups->group[b].view, UAP_SPAN_CLUSTER, pairs);
    uap_link slower = uap_link_joined(&x, &y, slower_line, NULL);
    slower.assumed = true;
    return slower;
}

uap_piece uap_cluster_between_line(const uap_cluster_groups *groups, int32_t a, int32_t b,
                                   int64_t pairs, double bytes, bool *assumed)
{
    const uap_cluster *between = &groups->between[a * groups->n + b];
    if (a != b && between->n_p2p > 0) {
        return uap_cluster_p2p_line(between, UAP_SPAN_CLUSTER, pairs, bytes, assumed);
    }
    const uap_piece x = uap_cluster_p2p_line(&groups->group[a].view, UAP_SPAN_CLUSTER,
                                             pairs, bytes, assumed);
    if (a == b) {
        return x;
    }
    const uap_piece y = uap_cluster_p2p_line(&groups->group[b].view, UAP_SPAN_CLUSTER,
                                             pairs, bytes, assumed);
    *assumed = true;
    return slower_line(&x, &y, NULL);
}

bool uap_cluster_group_ids(const uap_cluster_group *group, int64_t first, int64_t last,
                           char *text, size_t n)
{
    int64_t before = 0; /* devices of the group in earlier ranges */
    size_t used = 0;
    for (int32_t i = 0; i < group->n_ranges; i++) {
        const uap_device_range *range = &group->range[i];
        const int64_t length = range->last - range->first + 1;
        const int64_t from = uap_max_i64(first - before, 0);
        const int64_t to = uap_min_i64(last - before, length - 1);
        before += length;
        if (from > to) {
            continue;
        }
        const int wrote =
            snprintf(text + used, n - used, "%s%" PRId64 "-%" PRId64, used > 0 ? "," : "",
                     range->first + from, range->first + to);
        if (wrote < 0 || (size_t)wrote >= n - used) {
            return false;
        }
        used += (size_t)wrote;
    }
    return used > 0;
}
