/* What the readers of the cluster format share. Private to configs/. */
#ifndef UAP_CONFIGS_CLUSTER_READ_H
#define UAP_CONFIGS_CLUSTER_READ_H

#include "common/json_read.h"
#include "configs/cluster_json.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CLUSTER_MAX_SECONDS 1e6
#define CLUSTER_MAX_RATE    1e21 /* bytes or FLOP per second */
#define CLUSTER_MAX_BYTES   ((int64_t)1 << 50)
#define N_KEYS(keys)        (sizeof(keys) / sizeof((keys)[0]))

/* A required string that is one of n names (1, 2 or 3). Errors here and below: BAD_INPUT. */
UAP_NODISCARD uap_status uap_cluster_get_name(const uap_jval *object, const char *key,
                                              const char *const *names, int n, int *out,
                                              uap_err *err);

/* A required number. */
UAP_NODISCARD uap_status uap_cluster_get_i32(const uap_jval *object, const char *key,
                                             int32_t min, int32_t max, int32_t *out,
                                             uap_err *err);

/* An optional count; *out stays as it is where it is absent. */
UAP_NODISCARD uap_status uap_cluster_opt_i32(const uap_jval *object, const char *key,
                                             int32_t *out, uap_err *err);

/* A required array of at least `min` elements, and zeroed room for them, which the caller
 * owns. Errors: also NO_MEMORY. */
UAP_NODISCARD uap_status uap_cluster_get_array(const uap_jval *object, const char *key,
                                               size_t min, size_t element_bytes,
                                               uap_jval *array, void **room, int32_t *n,
                                               uap_err *err);

/* Fills collectives and p2p of a cluster whose node groups are known. Errors: also
 * NO_MEMORY. */
UAP_NODISCARD uap_status uap_cluster_read_links(const uap_jval *root,
                                                uap_cluster *cluster, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
