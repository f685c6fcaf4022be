/* What a cluster profile is made of: names, sizes, ownership. Reading it is
 * cluster_json.c's business, its links are cluster_links.c's. */
#include "configs/cluster.h"

#include "common/mem.h"

#include <string.h>

static const char *const precision_names[UAP_PRECISION_COUNT] = {
    [UAP_FP32] = "fp32", [UAP_BF16] = "bf16", [UAP_FP16] = "fp16", [UAP_TF32] = "tf32"};

static const char *const collective_names[UAP_COLLECTIVE_COUNT] = {
    [UAP_ALL_REDUCE] = "all-reduce",
    [UAP_ALL_GATHER] = "all-gather",
    [UAP_REDUCE_SCATTER] = "reduce-scatter",
    [UAP_ALL_TO_ALL] = "all-to-all"};

/* Index of name in names, or -1. */
static int find_name(const char *name, const char *const *names, int n)
{
    for (int i = 0; i < n; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    return -1;
}

const char *uap_precision_name(uap_precision precision)
{
    return precision_names[precision];
}

bool uap_precision_by_name(const char *name, uap_precision *out)
{
    const int i = find_name(name, precision_names, UAP_PRECISION_COUNT);
    if (i >= 0) {
        *out = (uap_precision)i;
    }
    return i >= 0;
}

int32_t uap_precision_bytes(uap_precision precision)
{
    return precision == UAP_FP32 || precision == UAP_TF32 ? 4 : 2;
}

const char *uap_collective_name(uap_collective_kind kind)
{
    return collective_names[kind];
}

bool uap_collective_by_name(const char *name, uap_collective_kind *out)
{
    const int i = find_name(name, collective_names, UAP_COLLECTIVE_COUNT);
    if (i >= 0) {
        *out = (uap_collective_kind)i;
    }
    return i >= 0;
}

int64_t uap_cluster_devices(const uap_cluster *cluster)
{
    int64_t devices = 0;
    for (int32_t i = 0; i < cluster->n_groups; i++) {
        devices += (int64_t)cluster->group[i].nodes * cluster->group[i].devices_per_node;
    }
    return devices;
}

int32_t uap_cluster_node_size(const uap_cluster *cluster)
{
    return cluster->n_groups > 0 ? cluster->group[0].devices_per_node : 1;
}

void uap_cluster_free(uap_cluster *cluster)
{
    if (cluster == NULL) {
        return;
    }
    for (int32_t i = 0; cluster->device_class != NULL && i < cluster->n_classes; i++) {
        uap_free(cluster->device_class[i].name);
        uap_free(cluster->device_class[i].layer);
    }
    for (int32_t i = 0; cluster->collective != NULL && i < cluster->n_collectives; i++) {
        uap_free(cluster->collective[i].point);
    }
    for (int32_t i = 0; cluster->p2p != NULL && i < cluster->n_p2p; i++) {
        uap_free(cluster->p2p[i].point);
    }
    uap_free(cluster->device_class);
    uap_free(cluster->group);
    uap_free(cluster->collective);
    uap_free(cluster->p2p);
    uap_free(cluster->name);
    uap_free(cluster->source_path);
    uap_free(cluster->exceptions);
    uap_free(cluster->provenance);
    uap_free(cluster);
}
