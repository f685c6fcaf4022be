/* Nodes and plans of the exact search as bytes, on their way between processes of one
 * program. Numbers have the machine's byte order, but for plans, whose bytes compare like
 * their numbers. What carries the bytes is not known here. */
#ifndef UAP_SEARCH_EXACT_BYTES_H
#define UAP_SEARCH_EXACT_BYTES_H

#include "search/exact_node.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What all configurations have room in. */
typedef struct uap_exact_sizes {
    int64_t stages, layers, rows; /* rows: of all layers' tables together */
} uap_exact_sizes;

/* Raises *most to this instance's. */
void uap_exact_sizes_note(uap_exact_sizes *most, const uap_instance *instance);

size_t uap_plan_bytes_max(const uap_exact_sizes *most);
size_t uap_node_bytes_max(const uap_exact_sizes *most);

/* A plan: configuration, stages, layers, first layers, strategies, each in four bytes, big
 * end first. Returns how many bytes were written. */
size_t uap_plan_to_bytes(int32_t config, const uap_instance *instance,
                         const uap_choice *choice, char *bytes);

/* result->config and ->choice, which the caller frees. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_plan_from_bytes(const char *bytes, uap_result *result,
                                             uap_err *err);
int32_t uap_plan_config(const char *bytes);

/* A node: the struct without its pointers, then per layer how many of its strategies are
 * told, 0 for an unrestricted one, and a bit for each. instance: the node's, for a
 * restricted one. Returns how many bytes were written. */
size_t uap_node_to_bytes(const uap_instance *instance, const uap_node *node, char *bytes);

/* The node is the caller's, not held yet. *used, if not NULL: its bytes.
 * Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_node_from_bytes(const char *bytes, uap_node *node,
                                             size_t *used, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
