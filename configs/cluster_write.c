/* Writing "uniap-cluster" version 1; the reader is cluster_json.c. */
#include "common/json_read.h"
#include "common/json_write.h"
#include "common/mem.h"
#include "configs/cluster.h"
#include "configs/cluster_json.h"

#include <string.h>

static uap_jout *write_points(const uap_point *points, int32_t n)
{
    uap_jout *array = uap_jout_array();
    for (int32_t i = 0; array != NULL && i < n; i++) {
        uap_jout *pair = uap_jout_array();
        if (pair != NULL) {
            uap_jadd_f64(pair, points[i].bytes);
            uap_jadd_f64(pair, points[i].seconds);
            if (points[i].count > 0) {
                uap_jadd_f64(pair, points[i].mad_s);
                uap_jadd_i64(pair, points[i].count);
            }
        }
        uap_jadd(array, pair);
    }
    return array;
}

/* What a link's line leaves out: its pieces, the points behind it, the time they took. */
static void write_evidence(uap_jout *object, const uap_pieces *pieces,
                           const uap_point *point, int32_t n_points, double spent_s)
{
    if (pieces->n > 0) {
        uap_jout *array = uap_jout_array();
        for (int32_t i = 0; array != NULL && i < pieces->n; i++) {
            uap_jout *line = uap_jout_array();
            if (line != NULL) {
                uap_jadd_f64(line, pieces->piece[i].from_bytes);
                uap_jadd_f64(line, pieces->piece[i].latency_s);
                uap_jadd_f64(line, pieces->piece[i].bandwidth_Bps);
            }
            uap_jadd(array, line);
        }
        uap_jset(object, "pieces", array);
    }
    if (n_points > 0) {
        uap_jset(object, "points", write_points(point, n_points));
    }
    if (spent_s > 0.0) {
        uap_jset_f64(object, "spent_s", spent_s);
    }
}

static uap_jout *write_layer_time(const uap_layer_time *layer)
{
    uap_jout *object = uap_jout_object();
    if (object != NULL) {
        uap_jset_str(object, "type", layer->type);
        uap_jset_str(object, "shape", layer->shape);
        uap_jset_i64(object, "tp", layer->tp);
        uap_jset_i64(object, "micro_batch", layer->micro_batch);
        uap_jset_str(object, "precision", uap_precision_name(layer->precision));
        uap_jset_f64(object, "forward_s", layer->forward_s);
        uap_jset_f64(object, "backward_s", layer->backward_s);
        uap_jset_f64(object, "mad_s", layer->mad_s);
        if (layer->count > 0) {
            uap_jset_i64(object, "count", layer->count);
            uap_jset_f64(object, "spent_s", layer->spent_s);
        }
    }
    return object;
}

static uap_jout *write_class(const uap_device_class *device)
{
    uap_jout *object = uap_jout_object();
    uap_jout *peaks = uap_jout_object();
    uap_jout *layers = uap_jout_array();
    for (int i = 0; peaks != NULL && i < UAP_PRECISION_COUNT; i++) {
        if (device->peak_flops[i] > 0.0) {
            uap_jset_f64(peaks, uap_precision_name((uap_precision)i),
                         device->peak_flops[i]);
        }
    }
    for (int32_t i = 0; layers != NULL && i < device->n_layers; i++) {
        uap_jadd(layers, write_layer_time(&device->layer[i]));
    }
    if (object == NULL) {
        uap_jout_free(peaks);
        uap_jout_free(layers);
        return NULL;
    }
    uap_jset_str(object, "name", device->name);
    uap_jset_i64(object, "memory_bytes", device->memory_bytes);
    uap_jset(object, "peak_flops", peaks);
    uap_jset_f64(object, "efficiency", device->efficiency);
    uap_jset_f64(object, "memory_bandwidth_Bps", device->memory_bandwidth_Bps);
    if (device->usable_bytes > 0) {
        uap_jset_i64(object, "usable_bytes", device->usable_bytes);
    }
    if (device->granularity_bytes > 0) {
        uap_jset_i64(object, "granularity_bytes", device->granularity_bytes);
    }
    if (device->launch_s > 0.0) {
        uap_jset_f64(object, "launch_s", device->launch_s);
    }
    uap_jset(object, "layers", layers);
    return object;
}

static uap_jout *write_classes(const uap_cluster *cluster)
{
    uap_jout *array = uap_jout_array();
    for (int32_t i = 0; array != NULL && i < cluster->n_classes; i++) {
        uap_jadd(array, write_class(&cluster->device_class[i]));
    }
    return array;
}

static uap_jout *write_groups(const uap_cluster *cluster)
{
    uap_jout *array = uap_jout_array();
    for (int32_t i = 0; array != NULL && i < cluster->n_groups; i++) {
        const uap_node_group *group = &cluster->group[i];
        uap_jout *object = uap_jout_object();
        if (object != NULL) {
            uap_jset_i64(object, "nodes", group->nodes);
            uap_jset_i64(object, "devices_per_node", group->devices_per_node);
            uap_jset_str(object, "device_class",
                         cluster->device_class[group->device_class].name);
        }
        uap_jadd(array, object);
    }
    return array;
}

static uap_jout *write_collectives(const uap_cluster *cluster)
{
    uap_jout *array = uap_jout_array();
    for (int32_t i = 0; array != NULL && i < cluster->n_collectives; i++) {
        const uap_collective *entry = &cluster->collective[i];
        uap_jout *object = uap_jout_object();
        if (object != NULL) {
            uap_jset_str(object, "kind", uap_collective_name(entry->kind));
            uap_jset_i64(object, "size", entry->size);
            uap_jset_i64(object, "stride", entry->stride);
            uap_jset_str(object, "span", uap_span_name(entry->span));
            uap_jset_f64(object, "latency_s", entry->latency_s);
            uap_jset_f64(object, "bandwidth_Bps", entry->bandwidth_Bps);
            uap_jset_bool(object, "contended", entry->contended);
            if (entry->is_of_group) {
                uap_jset_i64(object, "group", entry->group);
            }
            write_evidence(object, &entry->pieces, entry->point, entry->n_points,
                           entry->spent_s);
        }
        uap_jadd(array, object);
    }
    return array;
}

static uap_jout *write_pair(int32_t from, int32_t to)
{
    uap_jout *pair = uap_jout_array();
    if (pair != NULL) {
        uap_jadd_i64(pair, from);
        uap_jadd_i64(pair, to);
    }
    return pair;
}

static uap_jout *write_p2p(const uap_cluster *cluster)
{
    uap_jout *array = uap_jout_array();
    for (int32_t i = 0; array != NULL && i < cluster->n_p2p; i++) {
        const uap_p2p *entry = &cluster->p2p[i];
        uap_jout *object = uap_jout_object();
        if (object != NULL) {
            uap_jset_str(object, "span", uap_span_name(entry->span));
            uap_jset_f64(object, "latency_s", entry->latency_s);
            uap_jset_f64(object, "bandwidth_Bps", entry->bandwidth_Bps);
            if (entry->pairs > 0) {
                uap_jset_i64(object, "pairs", entry->pairs);
            }
            if (entry->is_between) {
                uap_jset(object, "groups", write_pair(entry->from, entry->to));
            }
            write_evidence(object, &entry->pieces, entry->point, entry->n_points,
                           entry->spent_s);
        }
        uap_jadd(array, object);
    }
    return array;
}

/* A part that was kept as text goes back into the tree; it must be one JSON value. */
static uap_status write_kept(const char *text, const char *key, uap_jout *root,
                             uap_err *err)
{
    uap_json *doc = NULL;
    if (text == NULL) {
        return UAP_OK;
    }
    const uap_status rc = uap_json_parse(key, text, strlen(text), &doc, err);
    if (rc == UAP_OK) {
        const uap_jval value = uap_json_root(doc);
        uap_jset(root, key, uap_jout_copy(&value));
    }
    uap_json_free(doc);
    return rc;
}

static uap_status compose(const uap_cluster *cluster, uap_jout **out, uap_err *err)
{
    uap_jout *root = uap_jout_object();
    uap_jout *overlap = uap_jout_object();
    if (root == NULL || overlap == NULL) {
        uap_jout_free(root);
        uap_jout_free(overlap);
        return UAP_FAIL(err, NO_MEMORY, "no memory to write a cluster profile");
    }
    uap_jset_str(root, "format", "uniap-cluster");
    uap_jset_i64(root, "version", 1);
    if (cluster->name != NULL) {
        uap_jset_str(root, "name", cluster->name);
    }
    uap_jset_str(root, "source", uap_cluster_source_name(cluster->source));
    uap_jset(root, "device_classes", write_classes(cluster));
    uap_jset(root, "node_groups", write_groups(cluster));
    uap_jset(root, "collectives", write_collectives(cluster));
    uap_jset(root, "p2p", write_p2p(cluster));
    uap_jset_f64(overlap, "compute_slowdown", cluster->compute_slowdown);
    uap_jset_f64(overlap, "communication_slowdown", cluster->communication_slowdown);
    uap_jset(root, "overlap", overlap);
    uap_status rc = write_kept(cluster->provenance, "provenance", root, err);
    if (rc == UAP_OK) {
        rc = write_kept(cluster->exceptions, "exceptions", root, err);
    }
    if (rc != UAP_OK) {
        uap_jout_free(root);
        root = NULL;
    }
    *out = root;
    return rc;
}

uap_status uap_cluster_save(const uap_cluster *cluster, const char *path, uap_err *err)
{
    uap_jout *root = NULL;
    uap_status rc = compose(cluster, &root, err);
    if (rc == UAP_OK) {
        rc = uap_jout_write(root, path, err);
    }
    uap_jout_free(root);
    return rc;
}

uap_status uap_cluster_text(const uap_cluster *cluster, char **out, uap_err *err)
{
    uap_jout *root = NULL;
    uap_status rc = compose(cluster, &root, err);
    *out = rc == UAP_OK ? uap_jout_text(root) : NULL;
    if (rc == UAP_OK && *out == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory to write a cluster profile");
    }
    uap_jout_free(root);
    return rc;
}
