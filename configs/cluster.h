/* A cluster profile: what the devices and links of a machine do, measured or from a data
 * sheet. Read and written as "uniap-cluster" version 1 (docs/formats.md). It answers "how
 * long"; it knows neither layers' formulas nor strategies. Seconds, bytes, FLOP/s. */
#ifndef UAP_CONFIGS_CLUSTER_H
#define UAP_CONFIGS_CLUSTER_H

#include "common/sha256.h"
#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_precision {
    UAP_FP32,
    UAP_BF16,
    UAP_FP16,
    UAP_TF32, /* fp32 whose products are computed with shorter factors; not planned for */
    UAP_PRECISION_COUNT
} uap_precision;

typedef enum uap_collective_kind {
    UAP_ALL_REDUCE,
    UAP_ALL_GATHER,
    UAP_REDUCE_SCATTER,
    UAP_ALL_TO_ALL,
    UAP_COLLECTIVE_COUNT
} uap_collective_kind;

typedef enum uap_span { UAP_SPAN_NODE, UAP_SPAN_CLUSTER } uap_span;

/* A measured layer: seconds per micro-batch of `micro_batch` samples on one device. */
typedef struct uap_layer_time {
    char type[24]; /* uap_layer_type_name */
    char shape
        [96]; /* "t512.h1280.a16.kv16.f5120.v0": uap_layer_shape_key() of the layer */
    int32_t tp;
    int64_t micro_batch;
    uap_precision precision;
    double forward_s, backward_s, mad_s;
    int32_t count;  /* times behind the medians; 0: not known */
    double spent_s; /* the measurement's; 0: not known */
} uap_layer_time;

typedef struct uap_device_class {
    char *name;
    int64_t memory_bytes;
    double peak_flops[UAP_PRECISION_COUNT]; /* 0: not known */
    double efficiency;                      /* of peak, for what was not measured */
    double memory_bandwidth_Bps;
    /* Measured, 0: not known; for people, not for the planner (docs/clusters.md). */
    int64_t usable_bytes, granularity_bytes;
    double launch_s;
    int32_t n_layers;
    uap_layer_time *layer; /* [n_layers] */
} uap_device_class;

typedef struct uap_node_group {
    int32_t nodes, devices_per_node;
    int32_t device_class; /* index */
} uap_node_group;

/* One measured point: seconds for one operation on `bytes` bytes, the median over `count`
 * times, and their median absolute deviation; both 0: not known. */
typedef struct uap_point {
    double bytes, seconds;
    double mad_s;
    int32_t count;
} uap_point;

/* A line that holds from from_bytes on, up to where the next one begins: transports change
 * their protocol with the size of a message. */
typedef struct uap_piece {
    double from_bytes, latency_s, bandwidth_Bps;
} uap_piece;

#define UAP_PIECES_MAX 8

/* Lines over all sizes, ascending; the first is from 0. n = 0: one line is enough. */
typedef struct uap_pieces {
    int32_t n;
    uap_piece piece[UAP_PIECES_MAX];
} uap_pieces;

/* latency_s + bytes / bandwidth_Bps, unless there are pieces. Bytes: all-reduce, the buffer;
 * all-gather and reduce-scatter, the whole gathered buffer; all-to-all, the buffer each rank
 * holds. */
typedef struct uap_collective {
    uap_collective_kind kind;
    int32_t size, stride; /* ranks base, base + stride, ... */
    uap_span span;
    double latency_s, bandwidth_Bps;
    uap_pieces pieces;
    double spent_s;   /* the measurement's; 0: not known */
    bool contended;   /* measured with every such group busy at once */
    bool is_of_group; /* holds for node group `group` only; else for all */
    int32_t group;
    int32_t n_points;
    uap_point *point; /* [n_points], may be NULL */
} uap_collective;

typedef struct uap_p2p {
    uap_span span;
    int32_t pairs; /* pairs between two nodes that sent at once; 0: one per device */
    double latency_s, bandwidth_Bps; /* one direction, of one pair */
    uap_pieces pieces;
    double spent_s;  /* the measurement's; 0: not known */
    bool is_between; /* holds between node groups from and to (or within one) only */
    int32_t from, to;
    int32_t n_points;
    uap_point *point;
} uap_p2p;

typedef enum uap_cluster_source {
    UAP_MEASURED,
    UAP_DATASHEET,
    UAP_ASSUMED
} uap_cluster_source;

typedef struct uap_cluster {
    char *name, *source_path;
    char sha256[UAP_SHA256_HEX];
    uap_cluster_source source;
    char *provenance; /* the provenance object as one line of JSON, or NULL */
    char *exceptions; /* the same of the array of exceptions: kept, not used */
    int32_t n_classes, n_groups, n_collectives, n_p2p;
    uap_device_class *device_class;
    uap_node_group *group;
    uap_collective *collective;
    uap_p2p *p2p;
    double compute_slowdown, communication_slowdown; /* >= 1, while both run */
} uap_cluster;

/* The caller frees *out. Errors: IO, BAD_INPUT (file:line:column), TOO_LARGE, NO_MEMORY. */
UAP_NODISCARD uap_status uap_cluster_load(const char *path, uap_cluster **out,
                                          uap_err *err);
UAP_NODISCARD uap_status uap_cluster_save(const uap_cluster *cluster, const char *path,
                                          uap_err *err);

/* The same from and to text in memory, of n bytes; `name` stands for the file's name. The
 * caller frees *out. */
UAP_NODISCARD uap_status uap_cluster_parse(const char *name, const char *text, size_t n,
                                           uap_cluster **out, uap_err *err);
UAP_NODISCARD uap_status uap_cluster_text(const uap_cluster *cluster, char **out,
                                          uap_err *err);
void uap_cluster_free(uap_cluster *cluster); /* NULL is legal */

int64_t uap_cluster_devices(const uap_cluster *cluster);

/* Devices per node of the first group: neighbouring ranks fill a node before the next. */
int32_t uap_cluster_node_size(const uap_cluster *cluster);

/* Of a link made of two entries, each with its own switch points. */
#define UAP_LINK_PIECES_MAX (2 * UAP_PIECES_MAX)

/* What an operation costs as a function of its bytes, and whether the profile has that very
 * entry or the rules of docs/clusters.md filled in. */
typedef struct uap_link {
    double latency_s, bandwidth_Bps; /* where there are no pieces */
    bool assumed;
    int32_t n_pieces;
    uap_piece
        piece[UAP_LINK_PIECES_MAX]; /* [n_pieces], as uap_pieces; the rest is not set */
} uap_link;

/* latency + bytes / bandwidth by the line that holds for so many bytes; 0 bytes cost 0. */
double uap_link_s(const uap_link *link, double bytes);

/* That line alone. */
uap_piece uap_link_line(const uap_link *link, double bytes);

/* Where the groups of `size` ranks `stride` apart lie when the first `devices` devices are
 * used and groups start at multiples of size * stride: NODE when none leaves its node. */
uap_span uap_cluster_group_span(const uap_cluster *cluster, int64_t devices, int32_t size,
                                int64_t stride);

/* The link of a collective (see uap_collective for what its bytes are). size 1 costs 0. */
uap_link uap_cluster_group_link(const uap_cluster *cluster, uap_collective_kind kind,
                                int32_t size, int64_t stride, uap_span span);

/* The link of one of `pairs` device pairs that send at once between two neighbouring
 * nodes (span CLUSTER) or within one. */
uap_link uap_cluster_p2p_link(const uap_cluster *cluster, uap_span span, int64_t pairs);

/* Its line for messages of so many bytes, without the rest: searches ask many million times.
 * *assumed as in the link. */
uap_piece uap_cluster_p2p_line(const uap_cluster *cluster, uap_span span, int64_t pairs,
                               double bytes, bool *assumed);

/* The same in one call, all devices in use: seconds of one collective. *assumed (may be
 * NULL) is set where the exact entry is absent. */
double uap_cluster_collective_s(const uap_cluster *cluster, uap_collective_kind kind,
                                int32_t size, int32_t stride, double bytes,
                                bool *assumed);

/* Seconds for `bytes` from one device to its peer `distance` ranks away, every device
 * sending at once. */
double uap_cluster_p2p_s(const uap_cluster *cluster, int64_t distance, double bytes,
                         bool *assumed);

const char *uap_precision_name(
    uap_precision precision); /* "fp32", "bf16", "fp16", "tf32" */
bool uap_precision_by_name(const char *name, uap_precision *out);
int32_t uap_precision_bytes(uap_precision precision);
const char *uap_collective_name(uap_collective_kind kind); /* "all-reduce", ... */
bool uap_collective_by_name(const char *name, uap_collective_kind *out);

#ifdef __cplusplus
}
#endif
#endif
