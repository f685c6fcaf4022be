/* Classes, groups and links of several profiles as one. */
#include "profile/merge.h"

#include "common/mem.h"
#include "profile/fit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Classes of one name whose figures differ by more are not the same device. */
#define ALIKE 1.1

typedef struct merger {
    const uap_cluster *const *part;
    int32_t n;
    uap_cluster *out;
    int32_t *class_of;                       /* [all parts' classes]: number in `out` */
    int32_t *group_of;                       /* [all parts' groups] */
    int32_t *classes_before, *groups_before; /* [n]: where a part's begin above */
} merger;

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory to merge profiles");
}

/* ---- Device classes ---------------------------------------------------------------------- */

static bool is_same_layer(const uap_layer_time *a, const uap_layer_time *b)
{
    return strcmp(a->type, b->type) == 0 && strcmp(a->shape, b->shape) == 0 &&
           a->tp == b->tp && a->micro_batch == b->micro_batch &&
           a->precision == b->precision;
}

static uap_layer_time *find_layer(const uap_device_class *device,
                                  const uap_layer_time *layer)
{
    for (int32_t i = 0; i < device->n_layers; i++) {
        if (is_same_layer(&device->layer[i], layer)) {
            return &device->layer[i];
        }
    }
    return NULL;
}

static double seconds_of(const uap_layer_time *layer)
{
    return layer->forward_s + layer->backward_s;
}

/* Known figures must be near; an unknown one (0) is no difference. */
static bool is_near(double a, double b)
{
    return a <= 0 || b <= 0 || (a <= ALIKE * b && b <= ALIKE * a);
}

/* What the two take for the layers that both have, else their peaks. */
static bool are_alike(const uap_device_class *a, const uap_device_class *b)
{
    double seconds_a = 0, seconds_b = 0;
    bool near = is_near((double)a->memory_bytes, (double)b->memory_bytes);
    for (int32_t i = 0; i < b->n_layers; i++) {
        const uap_layer_time *same = find_layer(a, &b->layer[i]);
        if (same != NULL) {
            seconds_a += seconds_of(same);
            seconds_b += seconds_of(&b->layer[i]);
        }
    }
    for (int p = 0; p < UAP_PRECISION_COUNT && seconds_a <= 0; p++) {
        near = near && is_near(a->peak_flops[p], b->peak_flops[p]);
    }
    return near && is_near(seconds_a, seconds_b);
}

/* Appends a copy; the array has room. */
static uap_status copy_class(uap_cluster *out, const uap_device_class *from, uap_err *err)
{
    char name[256];
    int times = 1;
    for (int32_t i = 0; i < out->n_classes; i++) {
        times += strncmp(out->device_class[i].name, from->name, strlen(from->name)) == 0;
    }
    (void)snprintf(name, sizeof name, times > 1 ? "%s (%d)" : "%s", from->name, times);
    uap_device_class *to = &out->device_class[out->n_classes++];
    *to = *from;
    to->name = uap_strdup(name);
    to->layer = uap_calloc((size_t)from->n_layers, sizeof *to->layer);
    if (to->name == NULL || to->layer == NULL) {
        return no_memory(err);
    }
    if (from->n_layers > 0) {
        memcpy(to->layer, from->layer, (size_t)from->n_layers * sizeof *to->layer);
    }
    return UAP_OK;
}

static double lesser_known(double a, double b)
{
    return a <= 0 ? b : b <= 0 ? a : fmin(a, b);
}

/* The slower of both, figure by figure; layers that only one has are kept. */
static uap_status merge_class(uap_device_class *into, const uap_device_class *from,
                              uap_err *err)
{
    const size_t most = (size_t)into->n_layers + (size_t)from->n_layers;
    uap_layer_time *grown = uap_realloc(into->layer, most, sizeof *grown);
    if (grown == NULL) {
        return no_memory(err);
    }
    into->layer = grown;
    for (int32_t i = 0; i < from->n_layers; i++) {
        const uap_layer_time *other = &from->layer[i];
        uap_layer_time *same = find_layer(into, other);
        if (same == NULL) {
            into->layer[into->n_layers++] = *other;
        } else if (seconds_of(other) > seconds_of(same)) {
            *same = *other;
        }
    }
    for (int p = 0; p < UAP_PRECISION_COUNT; p++) {
        into->peak_flops[p] = lesser_known(into->peak_flops[p], from->peak_flops[p]);
    }
    into->efficiency = fmin(into->efficiency, from->efficiency);
    into->memory_bandwidth_Bps =
        lesser_known(into->memory_bandwidth_Bps, from->memory_bandwidth_Bps);
    if (from->memory_bytes < into->memory_bytes) {
        into->memory_bytes = from->memory_bytes;
    }
    return UAP_OK;
}

/* By name, or by the name with a number behind it: "a" and "a (2)". */
static bool is_called(const uap_device_class *known, const uap_device_class *device)
{
    const size_t n = strlen(device->name);
    return strncmp(known->name, device->name, n) == 0 &&
           (known->name[n] == '\0' || strncmp(known->name + n, " (", 2) == 0);
}

static uap_status add_class(merger *m, const uap_device_class *device, int32_t *index,
                            uap_err *err)
{
    uap_cluster *out = m->out;
    for (int32_t i = 0; i < out->n_classes; i++) {
        if (is_called(&out->device_class[i], device) &&
            are_alike(&out->device_class[i], device)) {
            *index = i;
            return merge_class(&out->device_class[i], device, err);
        }
    }
    *index = out->n_classes;
    return copy_class(out, device, err);
}

static uap_status merge_classes(merger *m, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t p = 0; p < m->n; p++) {
        for (int32_t i = 0; i < m->part[p]->n_classes; i++) {
            UAP_TRY(add_class(m, &m->part[p]->device_class[i],
                              &m->class_of[m->classes_before[p] + i], err));
        }
    }
done:
    return rc;
}

/* ---- Groups ------------------------------------------------------------------------------ */

/* One after the other; a group like the one before it makes that one larger. */
static void merge_groups(merger *m)
{
    uap_cluster *out = m->out;
    for (int32_t p = 0; p < m->n; p++) {
        for (int32_t i = 0; i < m->part[p]->n_groups; i++) {
            uap_node_group group = m->part[p]->group[i];
            group.device_class = m->class_of[m->classes_before[p] + group.device_class];
            uap_node_group *last =
                out->n_groups > 0 ? &out->group[out->n_groups - 1] : NULL;
            if (last != NULL && last->device_class == group.device_class &&
                last->devices_per_node == group.devices_per_node) {
                last->nodes += group.nodes;
            } else {
                out->group[out->n_groups++] = group;
            }
            m->group_of[m->groups_before[p] + i] = out->n_groups - 1;
        }
    }
}

/* ---- Links ------------------------------------------------------------------------------- */

static double line_s(double latency_s, double bandwidth_Bps)
{
    return latency_s + (double)(1 << 20) / bandwidth_Bps;
}

/* A copy of n points in *out; NULL where there are none. */
static uap_status copy_points(const uap_point *point, int32_t n, uap_point **out,
                              uap_err *err)
{
    *out = NULL;
    if (n == 0) {
        return UAP_OK;
    }
    *out = uap_calloc((size_t)n, sizeof **out);
    if (*out == NULL) {
        return no_memory(err);
    }
    memcpy(*out, point, (size_t)n * sizeof **out);
    return UAP_OK;
}

/* Adds an entry, or keeps the slower of it and the one there is (by a message of 1 MiB). */
static uap_status add_collective(uap_cluster *out, uap_collective entry, uap_err *err)
{
    uap_collective *at = NULL;
    for (int32_t i = 0; i < out->n_collectives && at == NULL; i++) {
        uap_collective *c = &out->collective[i];
        const bool same = c->kind == entry.kind && c->size == entry.size &&
                          c->stride == entry.stride && c->span == entry.span &&
                          c->contended == entry.contended &&
                          c->is_of_group == entry.is_of_group &&
                          (!c->is_of_group || c->group == entry.group);
        at = same ? c : NULL;
    }
    if (at != NULL && line_s(at->latency_s, at->bandwidth_Bps) >=
                          line_s(entry.latency_s, entry.bandwidth_Bps)) {
        return UAP_OK;
    }
    uap_point *point = NULL;
    const uap_status rc = copy_points(entry.point, entry.n_points, &point, err);
    if (rc != UAP_OK) {
        return rc;
    }
    if (at == NULL) {
        at = &out->collective[out->n_collectives++];
    } else {
        uap_free(at->point);
    }
    *at = entry;
    at->point = point;
    return UAP_OK;
}

static uap_status add_p2p(uap_cluster *out, uap_p2p entry, uap_err *err)
{
    uap_p2p *at = NULL;
    for (int32_t i = 0; i < out->n_p2p && at == NULL; i++) {
        uap_p2p *c = &out->p2p[i];
        const bool same =
            c->span == entry.span && c->pairs == entry.pairs &&
            c->is_between == entry.is_between &&
            (!c->is_between || (c->from == entry.from && c->to == entry.to));
        at = same ? c : NULL;
    }
    if (at != NULL && line_s(at->latency_s, at->bandwidth_Bps) >=
                          line_s(entry.latency_s, entry.bandwidth_Bps)) {
        return UAP_OK;
    }
    uap_point *point = NULL;
    const uap_status rc = copy_points(entry.point, entry.n_points, &point, err);
    if (rc != UAP_OK) {
        return rc;
    }
    if (at == NULL) {
        at = &out->p2p[out->n_p2p++];
    } else {
        uap_free(at->point);
    }
    *at = entry;
    at->point = point;
    return UAP_OK;
}

/* An entry that holds for all of its part holds for each of the part's groups, unless all
 * groups are of one class. */
static uap_status merge_links_of(merger *m, int32_t p, uap_err *err)
{
    const uap_cluster *part = m->part[p];
    const int32_t *group_of = m->group_of + m->groups_before[p];
    const bool is_one = m->out->n_groups == 1;
    uap_status rc = UAP_OK;
    for (int32_t g = 0; g < part->n_groups; g++) {
        for (int32_t i = 0; i < part->n_collectives; i++) {
            uap_collective entry = part->collective[i];
            if (!entry.is_of_group || entry.group == g) {
                entry.is_of_group = !is_one;
                entry.group = is_one ? 0 : group_of[g];
                UAP_TRY(add_collective(m->out, entry, err));
            }
        }
        for (int32_t i = 0; i < part->n_p2p; i++) {
            uap_p2p entry = part->p2p[i];
            if (!entry.is_between || entry.from == g) {
                entry.from = is_one ? 0 : group_of[entry.is_between ? entry.from : g];
                entry.to = is_one ? 0 : group_of[entry.is_between ? entry.to : g];
                entry.is_between = !is_one;
                UAP_TRY(add_p2p(m->out, entry, err));
            }
        }
    }
done:
    return rc;
}

/* ---- The whole --------------------------------------------------------------------------- */

/* Room for everything, were nothing alike. */
static uap_status make_room(merger *m, uap_err *err)
{
    size_t classes = 0, groups = 0, collectives = 0, p2p = 0;
    m->classes_before = uap_calloc((size_t)m->n, sizeof *m->classes_before);
    m->groups_before = uap_calloc((size_t)m->n, sizeof *m->groups_before);
    m->out = uap_calloc(1, sizeof *m->out);
    if (m->classes_before == NULL || m->groups_before == NULL || m->out == NULL) {
        return no_memory(err);
    }
    for (int32_t p = 0; p < m->n; p++) {
        const uap_cluster *part = m->part[p];
        m->classes_before[p] = (int32_t)classes;
        m->groups_before[p] = (int32_t)groups;
        classes += (size_t)part->n_classes;
        groups += (size_t)part->n_groups;
        collectives += (size_t)part->n_collectives * (size_t)part->n_groups;
        p2p += (size_t)part->n_p2p * (size_t)part->n_groups;
    }
    m->class_of = uap_calloc(classes, sizeof *m->class_of);
    m->group_of = uap_calloc(groups, sizeof *m->group_of);
    m->out->device_class = uap_calloc(classes, sizeof *m->out->device_class);
    m->out->group = uap_calloc(groups, sizeof *m->out->group);
    m->out->collective = uap_calloc(collectives, sizeof *m->out->collective);
    m->out->p2p = uap_calloc(p2p, sizeof *m->out->p2p);
    m->out->name = uap_strdup("merged");
    const bool good = m->class_of != NULL && m->group_of != NULL &&
                      m->out->device_class != NULL && m->out->group != NULL &&
                      m->out->collective != NULL && m->out->p2p != NULL &&
                      m->out->name != NULL;
    return good ? UAP_OK : no_memory(err);
}

/* Assumed where any part is, and the worse slowdown of any. */
static void merge_rest(merger *m)
{
    uap_cluster *out = m->out;
    out->source = UAP_MEASURED;
    out->compute_slowdown = out->communication_slowdown = 1;
    for (int32_t p = 0; p < m->n; p++) {
        const uap_cluster *part = m->part[p];
        out->source = part->source > out->source ? part->source : out->source;
        out->compute_slowdown = fmax(out->compute_slowdown, part->compute_slowdown);
        out->communication_slowdown =
            fmax(out->communication_slowdown, part->communication_slowdown);
    }
}

uap_status uap_cluster_merge(const uap_cluster *const *part, int32_t n,
                             const char *command, uap_cluster **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    merger m = {.part = part, .n = n};
    *out = NULL;
    UAP_TRY(make_room(&m, err));
    UAP_TRY(merge_classes(&m, err));
    merge_groups(&m);
    for (int32_t p = 0; p < n; p++) {
        UAP_TRY(merge_links_of(&m, p, err));
    }
    merge_rest(&m);
    UAP_TRY(uap_merge_words(part, n, command, m.out, err));
    *out = m.out;
    m.out = NULL;
done:
    uap_cluster_free(m.out);
    uap_free(m.group_of);
    uap_free(m.class_of);
    uap_free(m.groups_before);
    uap_free(m.classes_before);
    return rc;
}
