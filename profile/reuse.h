/* An earlier profile as a source of measurements: which of its node groups a group of nodes
 * is like, how old its entries are, and which nodes it knows. It measures nothing. */
#ifndef UAP_PROFILE_REUSE_H
#define UAP_PROFILE_REUSE_H

#include "configs/cluster.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What measures now; what was measured with something else is not taken. */
typedef struct uap_reuse_context {
    const char *backend, *device_library, *link_library, *device;
    int32_t devices_per_node;
    double memory_bytes; /* of a device */
    double now_s;        /* since 1970 */
    double max_age_s;
} uap_reuse_context;

typedef struct uap_reuse uap_reuse;

/* Reads what the profile's provenance says. `cluster` is borrowed. Errors: BAD_INPUT (it was
 * not measured, or does not say when), NO_MEMORY. The caller frees *out. Local. */
UAP_NODISCARD uap_status uap_reuse_new(const uap_cluster *cluster, uap_reuse **out,
                                       uap_err *err);
void uap_reuse_free(uap_reuse *reuse); /* NULL is legal */

/* Whether the profile has this node. Local; O(log nodes). */
bool uap_reuse_knows_host(const uap_reuse *reuse, const char *host);

/* The node group of the profile that holds for nodes like these: the same device, as many of
 * them, with as much memory (to a tenth); of several the one with most of the n_hosts hosts.
 * -1: none. Local. */
int32_t uap_reuse_group(const uap_reuse *reuse, const uap_reuse_context *context,
                        const char *const *host, size_t n_hosts);

/* When a measurement of that group was made, as the text of its date; NULL where it is older
 * than the limit, or was made with another backend or library (of the device for layers, else
 * MPI's). `what` names it as uap_profile_item does. Valid while reuse lives. Local. */
const char *uap_reuse_date(const uap_reuse *reuse, const uap_reuse_context *context,
                           int32_t group, const char *what, bool is_layer);

/* Seconds since 1970 of "2026-01-31T23:59:59Z"; NaN for anything else. */
double uap_date_seconds(const char *date);

#ifdef __cplusplus
}
#endif
#endif
