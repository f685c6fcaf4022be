/* A cluster as a planner sees it: the first N devices, in groups of nodes that are unlike.
 * Node groups that nothing tells apart are one group, whatever the file calls them
 * (docs/clusters.md). It answers which devices and links a group has; it places nothing. */
#ifndef UAP_CONFIGS_CLUSTER_GROUPS_H
#define UAP_CONFIGS_CLUSTER_GROUPS_H

#include "common/mem.h"
#include "configs/cluster.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Devices first to last, both included, by their numbers in the whole cluster. */
typedef struct uap_device_range {
    int64_t first, last;
} uap_device_range;

typedef struct uap_cluster_group {
    uap_cluster view; /* the cluster as if these nodes were all: one node group and the
                       * links among them. Borrows what it does not own */
    int64_t devices;  /* >= 1; the last node may be there in part */
    int32_t n_ranges; /* node groups of the file that were joined */
    uap_device_range *range; /* [n_ranges] ascending */
} uap_cluster_group;

typedef struct uap_cluster_groups {
    uap_arena *arena; /* owns this and every array */
    int32_t n;
    uap_cluster_group *group; /* [n], by the number of their first device */
    uap_cluster
        *between; /* [n][n], off the diagonal: the p2p entries between two groups */
} uap_cluster_groups;

/* The groups of the first `devices` devices (0: all of them). Borrows the cluster. The
 * caller frees *out. Errors: NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_cluster_groups_new(const uap_cluster *cluster,
                                                int64_t devices, uap_cluster_groups **out,
                                                uap_err *err);
void uap_cluster_groups_free(uap_cluster_groups *groups); /* NULL is legal */

/* The link of one of `pairs` device pairs that send at once from a node of group a to one of
 * group b; within one group, between two of its nodes. Without an entry the slower of the
 * two groups' own. */
uap_link uap_cluster_between_link(const uap_cluster_groups *groups, int32_t a, int32_t b,
                                  int64_t pairs);

/* Its line for messages of so many bytes, without the rest. *assumed as in the link. */
uap_piece uap_cluster_between_line(const uap_cluster_groups *groups, int32_t a, int32_t b,
                                   int64_t pairs, double bytes, bool *assumed);

/* The numbers of the group's devices `first` to `last` (counted within the group) as text:
 * "0-7", or "4-7,12-15" where the file's node groups lie apart. False: longer than n. */
bool uap_cluster_group_ids(const uap_cluster_group *group, int64_t first, int64_t last,
                           char *text, size_t n);

#ifdef __cplusplus
}
#endif
#endif
