/* Which nodes are alike: of one device, equally many, with as much memory, equally fast. It
 * decides on what others measured. */
#ifndef UAP_PROFILE_CLASSES_H
#define UAP_PROFILE_CLASSES_H

#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Beyond so many groups, differences of speed are not told apart. */
#define UAP_NODE_GROUPS_MAX 8

typedef struct uap_node_kind {
    char device[96]; /* its name; of unlike devices in a node both, "A + B" */
    int32_t devices;
    double memory_bytes; /* of a device */
    double seconds;      /* of the check of a usual device; NaN: not known */
} uap_node_kind;

/* The lower of two middle values of value[0 .. n-1], which it sorts; NaN for n < 1. */
double uap_lower_median(double *value, int64_t n);

/* Whether the sorted values are apart somewhere: one more than `ratio` times the next lower.
 * Sorts and overwrites value[0 .. n-1]; NaNs are left out. */
bool uap_has_gap(double *value, int64_t n, double ratio);

/* Numbers the n nodes by groups of like ones, in the order of their first nodes: the same
 * devices, memory without a gap of a tenth, seconds without a gap of `ratio` (of one group
 * sorted by them). *n_groups >= 1. Errors: NO_MEMORY. Local; O(n log n). */
UAP_NODISCARD uap_status uap_node_groups_choose(const uap_node_kind *node, int32_t n,
                                                double ratio, int32_t *group_of,
                                                int32_t *n_groups, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
