/* Results as a cluster profile: classes, groups, links. */
#include "common/mem.h"
#include "profile/fit.h"
#include "profile/profile_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory for the cluster profile");
}

static int32_t count_done(const uap_profile *profile, uap_item_kind kind)
{
    int32_t n = 0;
    for (int32_t i = 0; i < profile->n_items; i++) {
        n += profile->item[i].kind == kind && profile->item[i].pub.state == UAP_ITEM_DONE;
    }
    return n;
}

static void fill_layer(const uap_item *item, uap_layer_time *out)
{
    char key[UAP_SHAPE_KEY_BYTES];
    uap_layer_shape_key(item->layer, key);
    (void)snprintf(out->type, sizeof out->type, "%s",
                   uap_layer_type_name(item->layer->type));
    (void)snprintf(out->shape, sizeof out->shape, "%s", key);
    out->tp = item->tp;
    out->micro_batch = item->micro_batch;
    out->precision = item->precision;
    out->forward_s = item->times.forward_s;
    out->backward_s = item->times.backward_s;
    out->mad_s = item->times.mad_s;
    out->count = (int32_t)item->times.count;
    out->spent_s = item->times.spent_s;
}

/* Operations per second of a measured layer, 0 where it has no products. */
static double layer_rate(const uap_item *item)
{
    uap_work_shape shape;
    uap_layer_work(item->layer, item->tp, item->micro_batch, item->precision, &shape);
    const double seconds = item->times.forward_s + item->times.backward_s;
    return seconds > 0 ? 3 * uap_work_flops(&shape) / seconds : 0;
}

/* Peak: the fastest that was seen, large products or a layer. Efficiency: the rate of the
 * first layer with products (the list begins with the most frequent one) by that; from the
 * first look where no such layer was measured. */
static void fill_speed(const uap_profile *profile, double *peak, double *efficiency)
{
    double typical = 0;
    *peak = profile->look.flops;
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        if (item->kind == UAP_MEASURE_LAYER && item->pub.state == UAP_ITEM_DONE &&
            item->precision == profile->precision) {
            const double rate = layer_rate(item);
            *peak = fmax(*peak, rate);
            typical = typical > 0 ? typical : rate;
        }
    }
    *efficiency = typical > 0 ? typical / *peak : profile->look.efficiency;
}

static uap_precision runs_as(const uap_profile *profile, uap_precision precision)
{
    return profile->info.native[precision] ? precision : UAP_FP32;
}

static uap_status fill_class(const uap_profile *profile, uap_device_class *out,
                             uap_err *err)
{
    const int32_t n = count_done(profile, UAP_MEASURE_LAYER);
    out->name = uap_strdup(profile->info.name);
    out->layer = uap_calloc((size_t)n, sizeof *out->layer);
    if (out->name == NULL || out->layer == NULL) {
        return no_memory(err);
    }
    out->memory_bytes = profile->memory_bytes;
    out->memory_bandwidth_Bps = profile->look.bytes_per_s;
    out->usable_bytes = profile->limits.usable_bytes;
    out->granularity_bytes = profile->limits.granularity_bytes;
    out->launch_s = profile->limits.launch_s;
    double peak = 0;
    fill_speed(profile, &peak, &out->efficiency);
    const uap_precision measured = runs_as(profile, profile->precision);
    for (int p = 0; p < UAP_PRECISION_COUNT; p++) {
        /* What is not native runs as fp32 does. */
        const uap_precision as = runs_as(profile, (uap_precision)p);
        out->peak_flops[p] = as == measured ? peak : profile->look.peak_flops[as];
    }
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        if (item->kind == UAP_MEASURE_LAYER && item->pub.state == UAP_ITEM_DONE) {
            fill_layer(item, &out->layer[out->n_layers++]);
        }
    }
    return UAP_OK;
}

/* Neighbouring nodes with equally many ranks make a group. */
static uap_status fill_groups(const uap_profile *profile, uap_cluster *cluster,
                              uap_err *err)
{
    const uap_comm *comm = profile->comm;
    const int size = uap_comm_size(comm);
    cluster->group =
        uap_calloc((size_t)uap_comm_node_count(comm), sizeof *cluster->group);
    if (cluster->group == NULL) {
        return no_memory(err);
    }
    for (int r = 0, first = 0; r < size; r++) {
        const bool ends =
            r + 1 == size || uap_comm_node_of(comm, r + 1) != uap_comm_node_of(comm, r);
        if (!ends) {
            continue;
        }
        const int32_t on_node = r + 1 - first;
        const int32_t n = cluster->n_groups;
        if (n > 0 && cluster->group[n - 1].devices_per_node == on_node) {
            cluster->group[n - 1].nodes++;
        } else {
            cluster->group[n] = (uap_node_group){.nodes = 1, .devices_per_node = on_node};
            cluster->n_groups++;
        }
        first = r + 1;
    }
    return UAP_OK;
}

/* A copy of n points; NULL when out of memory. */
static uap_point *copy_points(const uap_point *point, int32_t n)
{
    uap_point *copy = uap_calloc((size_t)n, sizeof *copy);
    if (copy != NULL && n > 0) {
        memcpy(copy, point, (size_t)n * sizeof *copy);
    }
    return copy;
}

static uap_status fill_collectives(const uap_profile *profile, uap_cluster *cluster,
                                   uap_err *err)
{
    const int32_t n = count_done(profile, UAP_MEASURE_COLLECTIVE);
    cluster->collective = uap_calloc((size_t)n, sizeof *cluster->collective);
    if (cluster->collective == NULL) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        if (item->kind != UAP_MEASURE_COLLECTIVE || item->pub.state != UAP_ITEM_DONE) {
            continue;
        }
        uap_collective *out = &cluster->collective[cluster->n_collectives++];
        *out = item->collective;
        out->point = copy_points(out->point, out->n_points);
        if (out->point == NULL) {
            return no_memory(err);
        }
    }
    return UAP_OK;
}

/* Two distances of one span make one entry: the slower of both at every size, because a
 * stage may lie at either. */
static void merge_p2p(uap_p2p *into, const uap_p2p *other)
{
    /* Either sweep may have ended earlier, and has sizes of its own at its switches. */
    int32_t n = 0;
    for (int32_t i = 0, j = 0; i < into->n_points && j < other->n_points;) {
        const uap_point *a = &into->point[i], *b = &other->point[j];
        if (a->bytes < b->bytes) {
            i++;
        } else if (a->bytes > b->bytes) {
            j++;
        } else {
            into->point[n++] = a->seconds < b->seconds ? *b : *a;
            i++;
            j++;
        }
    }
    into->n_points = n;
    const uap_line line = uap_fit_pieces(into->point, into->n_points, &into->pieces);
    into->latency_s = line.latency_s;
    into->bandwidth_Bps = line.bandwidth_Bps;
    into->spent_s += other->spent_s;
}

static uap_status fill_p2p(const uap_profile *profile, uap_cluster *cluster, uap_err *err)
{
    const int32_t n = count_done(profile, UAP_MEASURE_P2P);
    cluster->p2p = uap_calloc((size_t)n, sizeof *cluster->p2p);
    if (cluster->p2p == NULL) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        if (item->kind != UAP_MEASURE_P2P || item->pub.state != UAP_ITEM_DONE) {
            continue;
        }
        uap_p2p *same = NULL;
        for (int32_t j = 0; j < cluster->n_p2p; j++) {
            const bool equal = cluster->p2p[j].span == item->p2p.span &&
                               cluster->p2p[j].pairs == (item->alone ? 1 : 0);
            same = equal ? &cluster->p2p[j] : same;
        }
        if (same != NULL) {
            merge_p2p(same, &item->p2p);
            continue;
        }
        uap_p2p *out = &cluster->p2p[cluster->n_p2p++];
        *out = item->p2p;
        out->pairs = item->alone ? 1 : 0;
        out->point = copy_points(out->point, out->n_points);
        if (out->point == NULL) {
            return no_memory(err);
        }
    }
    return UAP_OK;
}

static uap_status fill_cluster(const uap_profile *profile, uap_cluster *cluster,
                               uap_err *err)
{
    char host[256] = "", name[320];
    uap_status rc = UAP_OK;
    (void)gethostname(host, sizeof host - 1);
    (void)snprintf(name, sizeof name, "%s-%d", host, uap_comm_size(profile->comm));
    cluster->name = uap_strdup(name);
    cluster->device_class = uap_calloc(1, sizeof *cluster->device_class);
    if (cluster->name == NULL || cluster->device_class == NULL) {
        return no_memory(err);
    }
    cluster->exceptions = uap_profile_survey_exceptions(profile);
    if (cluster->exceptions == NULL) {
        return no_memory(err);
    }
    cluster->n_classes = 1;
    cluster->source = UAP_MEASURED;
    cluster->compute_slowdown = profile->compute_slowdown;
    cluster->communication_slowdown = profile->communication_slowdown;
    UAP_TRY(fill_class(profile, cluster->device_class, err));
    UAP_TRY(fill_groups(profile, cluster, err));
    UAP_TRY(fill_collectives(profile, cluster, err));
    UAP_TRY(fill_p2p(profile, cluster, err));
done:
    return rc;
}

uap_status uap_profile_cluster(const uap_profile *profile, const char *command,
                               uap_cluster **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_cluster *cluster = NULL;
    char *provenance = NULL;
    *out = NULL;
    if (profile->members == NULL) {
        return UAP_OK;
    }
    UAP_TRY(uap_profile_provenance(profile, command, &provenance, err));
    if (uap_comm_rank(profile->comm) == 0) {
        cluster = uap_calloc(1, sizeof *cluster);
        rc = cluster != NULL ? fill_cluster(profile, cluster, err) : no_memory(err);
    }
    UAP_TRY(uap_comm_agree(profile->members, rc, err));
    if (cluster != NULL) {
        cluster->provenance = provenance;
        provenance = NULL;
    }
    UAP_TRY(uap_profile_groups_join(profile, command, &cluster, err));
    *out = cluster;
    cluster = NULL;
done:
    uap_cluster_free(cluster);
    uap_free(provenance);
    return rc;
}
