/* Reading the links of "uniap-cluster" version 1: collectives and p2p, with their pieces and
 * points. The rest of the file is cluster_json.c's. */
#include "configs/cluster_read.h"

#include "common/mem.h"

#include <limits.h>

/* [bytes, seconds], or with the spread and the number of times behind it. */
static uap_status read_point(const uap_jval *value, uap_point *out, uap_err *err)
{
    const size_t n = uap_jtype_of(value) == UAP_JSON_ARRAY ? uap_jlen(value) : 0;
    uap_status rc;
    if (n != 2 && n != 4) {
        return uap_jfail(value, err,
                         "a point must be [bytes, seconds] or [bytes, seconds, mad_s, "
                         "count]");
    }
    const uap_jval bytes = uap_jat(value, 0), seconds = uap_jat(value, 1);
    UAP_TRY(uap_jas_f64(&bytes, 0.0, (double)CLUSTER_MAX_BYTES, &out->bytes, err));
    UAP_TRY(uap_jas_f64(&seconds, 0.0, CLUSTER_MAX_SECONDS, &out->seconds, err));
    if (n == 4) {
        const uap_jval mad = uap_jat(value, 2), count = uap_jat(value, 3);
        int64_t times = 0;
        UAP_TRY(uap_jas_f64(&mad, 0.0, CLUSTER_MAX_SECONDS, &out->mad_s, err));
        UAP_TRY(uap_jas_i64(&count, 1, INT32_MAX, &times, err));
        out->count = (int32_t)times;
    }
done:
    return rc;
}

static uap_status read_points(const uap_jval *object, uap_point **points, int32_t *n,
                              uap_err *err)
{
    uap_jval array;
    void *room = NULL;
    if (!uap_jfind(object, "points", &array)) {
        return UAP_OK;
    }
    uap_status rc = uap_cluster_get_array(object, "points", 0, sizeof **points, &array,
                                          &room, n, err);
    *points = room;
    for (int32_t i = 0; rc == UAP_OK && i < *n; i++) {
        const uap_jval value = uap_jat(&array, (size_t)i);
        rc = read_point(&value, &(*points)[i], err);
    }
    return rc;
}

static uap_status read_piece(const uap_jval *value, const uap_pieces *before,
                             uap_piece *out, uap_err *err)
{
    uap_status rc;
    if (uap_jtype_of(value) != UAP_JSON_ARRAY || uap_jlen(value) != 3) {
        return uap_jfail(value, err,
                         "a piece must be [from_bytes, latency_s, bandwidth_Bps]");
    }
    const uap_jval from = uap_jat(value, 0), latency = uap_jat(value, 1),
                   bandwidth = uap_jat(value, 2);
    UAP_TRY(uap_jas_f64(&from, 0.0, (double)CLUSTER_MAX_BYTES, &out->from_bytes, err));
    UAP_TRY(uap_jas_f64(&latency, 0.0, CLUSTER_MAX_SECONDS, &out->latency_s, err));
    UAP_TRY(uap_jas_f64(&bandwidth, 1.0, CLUSTER_MAX_RATE, &out->bandwidth_Bps, err));
    if (before->n == 0 ? out->from_bytes > 0.0
                       : out->from_bytes <= before->piece[before->n - 1].from_bytes) {
        rc = uap_jfail(&from, err,
                       "a piece from %g bytes, expected %s, as pieces ascend from 0",
                       out->from_bytes, before->n == 0 ? "0" : "more");
    }
done:
    return rc;
}

/* Lines by size, where one does not fit. */
static uap_status read_pieces(const uap_jval *object, uap_pieces *out, uap_err *err)
{
    uap_jval array;
    uap_status rc = UAP_OK;
    if (!uap_jfind(object, "pieces", &array)) {
        return UAP_OK;
    }
    const size_t n = uap_jtype_of(&array) == UAP_JSON_ARRAY ? uap_jlen(&array) : 0;
    if (n < 1 || n > UAP_PIECES_MAX) {
        return uap_jfail(&array, err, "\"pieces\" must be a list of 1 to %d pieces",
                         UAP_PIECES_MAX);
    }
    for (size_t i = 0; rc == UAP_OK && i < n; i++) {
        const uap_jval value = uap_jat(&array, i);
        rc = read_piece(&value, out, &out->piece[i], err);
        out->n++;
    }
    return rc;
}

static uap_status read_rates(const uap_jval *object, double *latency_s,
                             double *bandwidth_Bps, uap_err *err)
{
    uap_status rc;
    UAP_TRY(uap_jget_f64(object, "latency_s", 0.0, CLUSTER_MAX_SECONDS, latency_s, err));
    UAP_TRY(
        uap_jget_f64(object, "bandwidth_Bps", 1.0, CLUSTER_MAX_RATE, bandwidth_Bps, err));
done:
    return rc;
}

/* The optional number of a node group. */
static uap_status read_link_group(const uap_jval *object, const uap_cluster *cluster,
                                  uap_collective *out, uap_err *err)
{
    uap_jval value;
    out->is_of_group = uap_jfind(object, "group", &value);
    return out->is_of_group ? uap_cluster_get_i32(object, "group", 0,
                                                  cluster->n_groups - 1, &out->group, err)
                            : UAP_OK;
}

/* The optional pair of node groups that a link joins: two neighbours of one node are of one
 * group. */
static uap_status read_link_groups(const uap_jval *object, const uap_cluster *cluster,
                                   uap_p2p *out, uap_err *err)
{
    uap_jval pair;
    int64_t group[2] = {0, 0};
    if (!uap_jfind(object, "groups", &pair)) {
        return UAP_OK;
    }
    if (uap_jtype_of(&pair) != UAP_JSON_ARRAY || uap_jlen(&pair) != 2) {
        return uap_jfail(&pair, err, "\"groups\" must be two numbers of node groups");
    }
    for (size_t i = 0; i < 2; i++) {
        const uap_jval value = uap_jat(&pair, i);
        const uap_status rc =
            uap_jas_i64(&value, 0, cluster->n_groups - 1, &group[i], err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    if (group[0] != group[1] && out->span == UAP_SPAN_NODE) {
        return uap_jfail(&pair, err,
                         "\"groups\" are %lld and %lld with span \"node\", expected one "
                         "group, as a node belongs to one",
                         (long long)group[0], (long long)group[1]);
    }
    out->is_between = true;
    out->from = (int32_t)group[0];
    out->to = (int32_t)group[1];
    return UAP_OK;
}

static uap_status read_collective(const uap_jval *object, const uap_cluster *cluster,
                                  uap_collective *out, uap_err *err)
{
    static const char *const keys[] = {
        "kind",   "size",      "stride", "span",   "latency_s", "bandwidth_Bps",
        "points", "contended", "group",  "pieces", "spent_s"};
    const char *kind = NULL;
    const char *const names[] = {uap_span_name(UAP_SPAN_NODE),
                                 uap_span_name(UAP_SPAN_CLUSTER)};
    int span = 0;
    uap_jval value;
    uap_status rc;
    UAP_TRY(uap_jcheck_keys(object, keys, N_KEYS(keys), err));
    UAP_TRY(uap_jget_str(object, "kind", &kind, err));
    if (!uap_collective_by_name(kind, &out->kind)) {
        (void)uap_jfind(object, "kind", &value);
        return uap_jfail(&value, err,
                         "kind is \"%s\", expected all-reduce, all-gather, "
                         "reduce-scatter or all-to-all",
                         kind);
    }
    UAP_TRY(uap_cluster_get_i32(object, "size", 2, INT32_MAX, &out->size, err));
    UAP_TRY(uap_cluster_get_i32(object, "stride", 1, INT32_MAX, &out->stride, err));
    UAP_TRY(uap_cluster_get_name(object, "span", names, 2, &span, err));
    out->span = (uap_span)span;
    UAP_TRY(read_rates(object, &out->latency_s, &out->bandwidth_Bps, err));
    UAP_TRY(uap_jopt_bool(object, "contended", &out->contended, err));
    UAP_TRY(read_link_group(object, cluster, out, err));
    UAP_TRY(read_pieces(object, &out->pieces, err));
    UAP_TRY(
        uap_jopt_f64(object, "spent_s", 0.0, CLUSTER_MAX_SECONDS, &out->spent_s, err));
    UAP_TRY(read_points(object, &out->point, &out->n_points, err));
done:
    return rc;
}

static uap_status read_p2p(const uap_jval *object, const uap_cluster *cluster,
                           uap_p2p *out, uap_err *err)
{
    static const char *const keys[] = {"span",   "pairs",  "latency_s", "bandwidth_Bps",
                                       "points", "groups", "pieces",    "spent_s"};
    const char *const names[] = {uap_span_name(UAP_SPAN_NODE),
                                 uap_span_name(UAP_SPAN_CLUSTER)};
    int span = 0;
    int64_t pairs = 0;
    uap_status rc;
    UAP_TRY(uap_jcheck_keys(object, keys, N_KEYS(keys), err));
    UAP_TRY(uap_cluster_get_name(object, "span", names, 2, &span, err));
    out->span = (uap_span)span;
    UAP_TRY(uap_jopt_i64(object, "pairs", 1, INT32_MAX, &pairs, err));
    out->pairs = (int32_t)pairs;
    UAP_TRY(read_link_groups(object, cluster, out, err));
    UAP_TRY(read_rates(object, &out->latency_s, &out->bandwidth_Bps, err));
    UAP_TRY(read_pieces(object, &out->pieces, err));
    UAP_TRY(
        uap_jopt_f64(object, "spent_s", 0.0, CLUSTER_MAX_SECONDS, &out->spent_s, err));
    UAP_TRY(read_points(object, &out->point, &out->n_points, err));
done:
    return rc;
}

uap_status uap_cluster_read_links(const uap_jval *root, uap_cluster *cluster,
                                  uap_err *err)
{
    uap_jval array;
    void *room = NULL;
    uap_status rc =
        uap_cluster_get_array(root, "collectives", 0, sizeof *cluster->collective, &array,
                              &room, &cluster->n_collectives, err);
    cluster->collective = room;
    for (int32_t i = 0; rc == UAP_OK && i < cluster->n_collectives; i++) {
        const uap_jval element = uap_jat(&array, (size_t)i);
        rc = read_collective(&element, cluster, &cluster->collective[i], err);
    }
    if (rc != UAP_OK) {
        return rc;
    }
    if (cluster->n_collectives == 0 && uap_cluster_devices(cluster) > 1) {
        return uap_jfail(
            &array, err,
            "\"collectives\" is empty, expected at least one for %lld devices",
            (long long)uap_cluster_devices(cluster));
    }
    room = NULL;
    rc = uap_cluster_get_array(root, "p2p", 0, sizeof *cluster->p2p, &array, &room,
                               &cluster->n_p2p, err);
    cluster->p2p = room;
    for (int32_t i = 0; rc == UAP_OK && i < cluster->n_p2p; i++) {
        const uap_jval element = uap_jat(&array, (size_t)i);
        rc = read_p2p(&element, cluster, &cluster->p2p[i], err);
    }
    return rc;
}
