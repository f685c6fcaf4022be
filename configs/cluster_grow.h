/* A cluster larger than its profile: more of the same nodes, the links' figures continued
 * (docs/clusters.md). It makes up nothing but node counts. */
#ifndef UAP_CONFIGS_CLUSTER_GROW_H
#define UAP_CONFIGS_CLUSTER_GROW_H

#include "configs/cluster.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_GROWN_TEXT 256

/* *out is the cluster with at least `devices` devices, as it is where it has them already. It
 * borrows everything but its node groups; uap_cluster_grown_free frees those. Of unlike nodes
 * only a whole multiple of the cluster can be made, for which kind would be added is not
 * known. Errors: BAD_USAGE (no such multiple), NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_cluster_grow(const uap_cluster *cluster, int64_t devices,
                                          uap_cluster *out, uap_err *err);
void uap_cluster_grown_free(uap_cluster *grown); /* a zeroed one is legal */

/* One line for people and plans: so many devices where the profile has fewer. */
const char *uap_cluster_grown_note(const uap_cluster *cluster, int64_t devices,
                                   char text[UAP_GROWN_TEXT]);

#ifdef __cplusplus
}
#endif
#endif
