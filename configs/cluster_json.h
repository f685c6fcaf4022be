/* Names in the cluster format that its reader and its writer share. Private to configs/. */
#ifndef UAP_CONFIGS_CLUSTER_JSON_H
#define UAP_CONFIGS_CLUSTER_JSON_H

#include "configs/cluster.h"

#ifdef __cplusplus
extern "C" {
#endif

const char *uap_span_name(uap_span span);                       /* "node", "cluster" */
const char *uap_cluster_source_name(uap_cluster_source source); /* "measured", ... */

#ifdef __cplusplus
}
#endif
#endif
