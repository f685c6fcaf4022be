/* More nodes on paper (configs/cluster_grow.h). */
#include "configs/cluster_grow.h"

#include "common/mem.h"
#include "common/numbers.h"
#include "configs/cluster_groups.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DEVICES_MAX (INT32_MAX / 2) /* as of a file */

/* All nodes alike: the file's last group gets what is missing. */
static void lengthen(uap_cluster *out, int64_t missing)
{
    uap_node_group *last = &out->group[out->n_groups - 1];
    last->nodes += (int32_t)uap_ceil_div(missing, last->devices_per_node);
}

/* Unlike nodes: the whole of it several times. */
static uap_status multiply(uap_cluster *out, int64_t devices, int64_t has, uap_err *err)
{
    if (devices % has != 0) {
        return UAP_FAIL(err, BAD_USAGE,
                        "%" PRId64 " devices are asked for, cluster \"%s\" has %" PRId64
                        " of unlike nodes: more than these only as a multiple of them, "
                        "such as %" PRId64,
                        devices, out->name, has, uap_ceil_div(devices, has) * has);
    }
    for (int32_t i = 0; i < out->n_groups; i++) {
        out->group[i].nodes *= (int32_t)(devices / has);
    }
    return UAP_OK;
}

uap_status uap_cluster_grow(const uap_cluster *cluster, int64_t devices, uap_cluster *out,
                            uap_err *err)
{
    const int64_t has = uap_cluster_devices(cluster);
    const size_t n = (size_t)cluster->n_groups;
    uap_cluster_groups *groups = NULL;
    uap_cluster grown = *cluster;
    uap_status rc = UAP_OK;
    *out = (uap_cluster){0};
    if (devices > DEVICES_MAX) {
        return UAP_FAIL(err, BAD_USAGE,
                        "%" PRId64 " devices are asked for, expected at most %d", devices,
                        DEVICES_MAX);
    }
    grown.group = uap_calloc(n, sizeof *grown.group);
    if (grown.group == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu node groups", n);
    }
    memcpy(grown.group, cluster->group, n * sizeof *grown.group);
    if (devices > has) {
        UAP_TRY(uap_cluster_groups_new(cluster, has, &groups, err));
        if (groups->n == 1) {
            lengthen(&grown, devices - has);
        } else {
            UAP_TRY(multiply(&grown, devices, has, err));
        }
    }
    *out = grown;
    grown.group = NULL;
done:
    uap_cluster_groups_free(groups);
    uap_free(grown.group);
    return rc;
}

void uap_cluster_grown_free(uap_cluster *grown)
{
    uap_free(grown->group);
    *grown = (uap_cluster){0};
}

const char *uap_cluster_grown_note(const uap_cluster *cluster, int64_t devices,
                                   char text[UAP_GROWN_TEXT])
{
    (void)snprintf(
        text, UAP_GROWN_TEXT,
        "%" PRId64 " devices are more than the %" PRId64
        " of cluster \"%.80s\": more nodes like its own are assumed, with links "
        "that go on as its own do (docs/clusters.md)",
        devices, uap_cluster_devices(cluster), cluster->name);
    return text;
}
