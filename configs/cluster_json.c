/* Reading "uniap-cluster" version 1 (docs/clusters.md): every key, type and range is checked
 * here, so that the rest of the program need not. Links are cluster_read_links.c's, writing is
 * cluster_write.c's. */
#include "common/json_write.h"
#include "common/mem.h"
#include "configs/cluster.h"
#include "configs/cluster_read.h"

#include <limits.h>
#include <string.h>

/* Where the span's names stand, in the order of uap_span. */
static const char *const span_names[] = {"node", "cluster"};
static const char *const source_names[] = {"measured", "datasheet", "assumed"};

const char *uap_span_name(uap_span span)
{
    return span_names[span];
}

const char *uap_cluster_source_name(uap_cluster_source source)
{
    return source_names[source];
}

/* A required string that is one of n names (1, 2 or 3). */
uap_status uap_cluster_get_name(const uap_jval *object, const char *key,
                                const char *const *names, int n, int *out, uap_err *err)
{
    const char *text = NULL;
    uap_jval value;
    uap_status rc = uap_jget_str(object, key, &text, err);
    if (rc != UAP_OK) {
        return rc;
    }
    for (int i = 0; i < n; i++) {
        if (strcmp(text, names[i]) == 0) {
            *out = i;
            return UAP_OK;
        }
    }
    (void)uap_jfind(object, key, &value);
    return uap_jfail(&value, err, "\"%s\" is \"%s\", expected \"%s\"%s%s%s%s", key, text,
                     names[0], n > 1 ? " or " : "", n > 1 ? names[1] : "",
                     n > 2 ? " or " : "", n > 2 ? names[2] : "");
}

uap_status uap_cluster_get_i32(const uap_jval *object, const char *key, int32_t min,
                               int32_t max, int32_t *out, uap_err *err)
{
    int64_t value = 0;
    const uap_status rc = uap_jget_i64(object, key, min, max, &value, err);
    if (rc == UAP_OK) {
        *out = (int32_t)value;
    }
    return rc;
}

/* An optional count; it stays as it is where it is absent. */
uap_status uap_cluster_opt_i32(const uap_jval *object, const char *key, int32_t *out,
                               uap_err *err)
{
    int64_t value = *out;
    const uap_status rc = uap_jopt_i64(object, key, 0, INT32_MAX, &value, err);
    if (rc == UAP_OK) {
        *out = (int32_t)value;
    }
    return rc;
}

/* A required array, and zeroed room for its elements. */
uap_status uap_cluster_get_array(const uap_jval *object, const char *key, size_t min,
                                 size_t element_bytes, uap_jval *array, void **room,
                                 int32_t *n, uap_err *err)
{
    uap_status rc = uap_jget(object, key, UAP_JSON_ARRAY, array, err);
    if (rc != UAP_OK) {
        return rc;
    }
    const size_t length = uap_jlen(array);
    if (length < min || length > INT32_MAX) {
        return uap_jfail(array, err, "\"%s\" has %zu elements, expected at least %zu",
                         key, length, min);
    }
    *room = uap_calloc(length, element_bytes);
    if (*room == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu elements of \"%s\"", length,
                        key);
    }
    *n = (int32_t)length;
    return UAP_OK;
}

/* ---- Device classes ------------------------------------------------------------------ */

static uap_status read_precision(const uap_jval *object, uap_precision *out, uap_err *err)
{
    const char *text = uap_precision_name(UAP_FP32);
    uap_jval value;
    const uap_status rc = uap_jopt_str(object, "precision", &text, err);
    if (rc != UAP_OK || uap_precision_by_name(text, out)) {
        return rc;
    }
    (void)uap_jfind(object, "precision", &value);
    return uap_jfail(&value, err, "precision is \"%s\", expected fp32, bf16 or fp16",
                     text);
}

static uap_status read_layer_time(const uap_jval *object, uap_layer_time *out,
                                  uap_err *err)
{
    static const char *const keys[] = {
        "type",      "shape",      "tp",    "micro_batch", "precision",
        "forward_s", "backward_s", "mad_s", "count",       "spent_s"};
    const char *type = NULL, *shape = NULL;
    uap_status rc;
    UAP_TRY(uap_jcheck_keys(object, keys, N_KEYS(keys), err));
    UAP_TRY(uap_jget_str(object, "type", &type, err));
    UAP_TRY(uap_jget_str(object, "shape", &shape, err));
    if (strlen(type) >= sizeof out->type || strlen(shape) >= sizeof out->shape) {
        return uap_jfail(object, err, "type or shape is longer than %zu or %zu bytes",
                         sizeof out->type - 1, sizeof out->shape - 1);
    }
    memcpy(out->type, type, strlen(type) + 1);
    memcpy(out->shape, shape, strlen(shape) + 1);
    UAP_TRY(uap_cluster_get_i32(object, "tp", 1, INT32_MAX, &out->tp, err));
    UAP_TRY(uap_jget_i64(object, "micro_batch", 1, INT32_MAX, &out->micro_batch, err));
    UAP_TRY(read_precision(object, &out->precision, err));
    UAP_TRY(uap_jget_f64(object, "forward_s", 0.0, CLUSTER_MAX_SECONDS, &out->forward_s,
                         err));
    UAP_TRY(uap_jget_f64(object, "backward_s", 0.0, CLUSTER_MAX_SECONDS, &out->backward_s,
                         err));
    UAP_TRY(uap_jopt_f64(object, "mad_s", 0.0, CLUSTER_MAX_SECONDS, &out->mad_s, err));
    UAP_TRY(uap_cluster_opt_i32(object, "count", &out->count, err));
    UAP_TRY(
        uap_jopt_f64(object, "spent_s", 0.0, CLUSTER_MAX_SECONDS, &out->spent_s, err));
done:
    return rc;
}

static uap_status read_peaks(const uap_jval *object, uap_device_class *out, uap_err *err)
{
    static const char *const keys[UAP_PRECISION_COUNT] = {"fp32", "bf16", "fp16", "tf32"};
    uap_jval peaks;
    uap_status rc;
    UAP_TRY(uap_jget(object, "peak_flops", UAP_JSON_OBJECT, &peaks, err));
    UAP_TRY(uap_jcheck_keys(&peaks, keys, N_KEYS(keys), err));
    for (int i = 0; i < UAP_PRECISION_COUNT; i++) {
        UAP_TRY(uap_jopt_f64(&peaks, uap_precision_name((uap_precision)i), 0.0,
                             CLUSTER_MAX_RATE, &out->peak_flops[i], err));
    }
done:
    return rc;
}

static uap_status read_class(const uap_jval *object, uap_device_class *out, uap_err *err)
{
    static const char *const keys[] = {
        "name",         "memory_bytes",         "peak_flops",
        "efficiency",   "memory_bandwidth_Bps", "layers",
        "usable_bytes", "granularity_bytes",    "launch_s"};
    const char *name = NULL;
    uap_jval layers;
    void *room = NULL;
    uap_status rc;
    UAP_TRY(uap_jcheck_keys(object, keys, N_KEYS(keys), err));
    UAP_TRY(uap_jget_str(object, "name", &name, err));
    out->name = uap_strdup(name);
    if (out->name == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a device class");
    }
    UAP_TRY(uap_jget_i64(object, "memory_bytes", 1, CLUSTER_MAX_BYTES, &out->memory_bytes,
                         err));
    UAP_TRY(read_peaks(object, out, err));
    UAP_TRY(uap_jget_f64(object, "efficiency", 1e-6, 1.0, &out->efficiency, err));
    UAP_TRY(uap_jget_f64(object, "memory_bandwidth_Bps", 0.0, CLUSTER_MAX_RATE,
                         &out->memory_bandwidth_Bps, err));
    UAP_TRY(uap_jopt_i64(object, "usable_bytes", 1, CLUSTER_MAX_BYTES, &out->usable_bytes,
                         err));
    UAP_TRY(uap_jopt_i64(object, "granularity_bytes", 1, CLUSTER_MAX_BYTES,
                         &out->granularity_bytes, err));
    UAP_TRY(
        uap_jopt_f64(object, "launch_s", 0.0, CLUSTER_MAX_SECONDS, &out->launch_s, err));
    if (!uap_jfind(object, "layers", &layers)) {
        return UAP_OK;
    }
    UAP_TRY(uap_cluster_get_array(object, "layers", 0, sizeof *out->layer, &layers, &room,
                                  &out->n_layers, err));
    out->layer = room;
    for (int32_t i = 0; i < out->n_layers; i++) {
        const uap_jval element = uap_jat(&layers, (size_t)i);
        UAP_TRY(read_layer_time(&element, &out->layer[i], err));
    }
done:
    return rc;
}

static uap_status read_classes(const uap_jval *root, uap_cluster *cluster, uap_err *err)
{
    uap_jval array;
    void *room = NULL;
    uap_status rc =
        uap_cluster_get_array(root, "device_classes", 1, sizeof *cluster->device_class,
                              &array, &room, &cluster->n_classes, err);
    cluster->device_class = room;
    for (int32_t i = 0; rc == UAP_OK && i < cluster->n_classes; i++) {
        const uap_jval element = uap_jat(&array, (size_t)i);
        rc = read_class(&element, &cluster->device_class[i], err);
        for (int32_t j = 0; rc == UAP_OK && j < i; j++) {
            if (strcmp(cluster->device_class[i].name, cluster->device_class[j].name) ==
                0) {
                rc = uap_jfail(&element, err, "two device classes are called \"%s\"",
                               cluster->device_class[i].name);
            }
        }
    }
    return rc;
}

/* ---- Node groups ---------------------------------------------------------------------- */

static uap_status read_group(const uap_jval *object, const uap_cluster *cluster,
                             uap_node_group *out, uap_err *err)
{
    static const char *const keys[] = {"nodes", "devices_per_node", "device_class"};
    const char *name = NULL;
    uap_jval value;
    uap_status rc;
    UAP_TRY(uap_jcheck_keys(object, keys, N_KEYS(keys), err));
    UAP_TRY(uap_cluster_get_i32(object, "nodes", 1, 1 << 24, &out->nodes, err));
    UAP_TRY(uap_cluster_get_i32(object, "devices_per_node", 1, 1 << 16,
                                &out->devices_per_node, err));
    UAP_TRY(uap_jget_str(object, "device_class", &name, err));
    for (int32_t i = 0; i < cluster->n_classes; i++) {
        if (strcmp(name, cluster->device_class[i].name) == 0) {
            out->device_class = i;
            return UAP_OK;
        }
    }
    (void)uap_jfind(object, "device_class", &value);
    return uap_jfail(&value, err, "no device class is called \"%s\"", name);
done:
    return rc;
}

static uap_status read_groups(const uap_jval *root, uap_cluster *cluster, uap_err *err)
{
    uap_jval array;
    void *room = NULL;
    uap_status rc = uap_cluster_get_array(root, "node_groups", 1, sizeof *cluster->group,
                                          &array, &room, &cluster->n_groups, err);
    cluster->group = room;
    for (int32_t i = 0; rc == UAP_OK && i < cluster->n_groups; i++) {
        const uap_jval element = uap_jat(&array, (size_t)i);
        rc = read_group(&element, cluster, &cluster->group[i], err);
    }
    if (rc == UAP_OK && uap_cluster_devices(cluster) > INT32_MAX / 2) {
        rc = uap_jfail(&array, err, "the node groups have more than %d devices",
                       INT32_MAX / 2);
    }
    return rc;
}

static uap_status read_overlap(const uap_jval *root, uap_cluster *cluster, uap_err *err)
{
    static const char *const keys[] = {"compute_slowdown", "communication_slowdown"};
    uap_jval overlap;
    uap_status rc;
    UAP_TRY(uap_jget(root, "overlap", UAP_JSON_OBJECT, &overlap, err));
    UAP_TRY(uap_jcheck_keys(&overlap, keys, N_KEYS(keys), err));
    UAP_TRY(uap_jget_f64(&overlap, keys[0], 1.0, 1e3, &cluster->compute_slowdown, err));
    UAP_TRY(
        uap_jget_f64(&overlap, keys[1], 1.0, 1e3, &cluster->communication_slowdown, err));
done:
    return rc;
}

/* ---- The whole --------------------------------------------------------------------------- */

/* A part that is kept as it is: one line of JSON in *out, NULL where it is absent. */
static uap_status keep_part(const uap_jval *root, const char *key, uap_jtype type,
                            char **out, uap_err *err)
{
    uap_jval value;
    if (!uap_jfind(root, key, &value)) {
        return UAP_OK;
    }
    if (uap_jtype_of(&value) != type) {
        return uap_jfail(&value, err, "\"%s\" must be an %s", key,
                         type == UAP_JSON_ARRAY ? "array" : "object");
    }
    uap_jout *copy = uap_jout_copy(&value);
    *out = copy == NULL ? NULL : uap_jout_text(copy);
    uap_jout_free(copy);
    return *out != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for \"%s\"", key);
}

/* The file's name without directories and ".json". */
static char *name_of_path(const char *path)
{
    const char *slash = strrchr(path, '/');
    char *name = uap_strdup(slash != NULL ? slash + 1 : path);
    const size_t n = name != NULL ? strlen(name) : 0;
    if (n > 5 && strcmp(name + n - 5, ".json") == 0) {
        name[n - 5] = '\0';
    }
    return name;
}

static uap_status read_head(const uap_jval *root, const char *path, uap_cluster *cluster,
                            uap_err *err)
{
    static const char *const keys[] = {
        "format",      "version",     "name", "source",  "provenance", "device_classes",
        "node_groups", "collectives", "p2p",  "overlap", "exceptions"};
    static const char *const formats[] = {"uniap-cluster"};
    int64_t version = 0;
    int source = 0;
    const char *name = NULL;
    uap_status rc;
    UAP_TRY(uap_cluster_get_name(root, "format", formats, 1, &source, err));
    UAP_TRY(uap_jget_i64(root, "version", 1, 1, &version, err));
    UAP_TRY(uap_jcheck_keys(root, keys, N_KEYS(keys), err));
    UAP_TRY(uap_cluster_get_name(root, "source", source_names, 3, &source, err));
    cluster->source = (uap_cluster_source)source;
    UAP_TRY(uap_jopt_str(root, "name", &name, err));
    cluster->name = name != NULL ? uap_strdup(name) : name_of_path(path);
    cluster->source_path = uap_strdup(path);
    if (cluster->name == NULL || cluster->source_path == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for the cluster's name");
    }
    UAP_TRY(keep_part(root, "exceptions", UAP_JSON_ARRAY, &cluster->exceptions, err));
    rc = keep_part(root, "provenance", UAP_JSON_OBJECT, &cluster->provenance, err);
done:
    return rc;
}

static uap_status read_all(uap_json *doc, const char *path, uap_cluster **out,
                           uap_err *err)
{
    uap_cluster *cluster = NULL;
    size_t n_bytes = 0;
    uap_status rc;
    const uap_jval root = uap_json_root(doc);
    if (uap_jtype_of(&root) != UAP_JSON_OBJECT) {
        rc = uap_jfail(&root, err, "a cluster profile must be an object");
        goto done;
    }
    cluster = uap_calloc(1, sizeof *cluster);
    if (cluster == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "%s: no memory to read it", path);
        goto done;
    }
    UAP_TRY(read_head(&root, path, cluster, err));
    UAP_TRY(read_classes(&root, cluster, err));
    UAP_TRY(read_groups(&root, cluster, err));
    UAP_TRY(uap_cluster_read_links(&root, cluster, err));
    UAP_TRY(read_overlap(&root, cluster, err));
    const char *text = uap_json_text(doc, &n_bytes);
    uap_sha256_hex(text, n_bytes, cluster->sha256);
    *out = cluster;
    cluster = NULL;
done:
    uap_cluster_free(cluster);
    return rc;
}

uap_status uap_cluster_load(const char *path, uap_cluster **out, uap_err *err)
{
    uap_json *doc = NULL;
    *out = NULL;
    uap_status rc = uap_json_load(path, UAP_JSON_MAX_BYTES, &doc, err);
    rc = rc == UAP_OK ? read_all(doc, path, out, err) : rc;
    uap_json_free(doc);
    return rc;
}

uap_status uap_cluster_parse(const char *name, const char *text, size_t n,
                             uap_cluster **out, uap_err *err)
{
    uap_json *doc = NULL;
    *out = NULL;
    uap_status rc = uap_json_parse(name, text, n, &doc, err);
    rc = rc == UAP_OK ? read_all(doc, name, out, err) : rc;
    uap_json_free(doc);
    return rc;
}
