/* One cluster profile from several that were taken on parts of a machine. It measures
 * nothing: what no part has measured (links between the parts) is left to the rules for what
 * is absent. */
#ifndef UAP_PROFILE_MERGE_H
#define UAP_PROFILE_MERGE_H

#include "common/json_write.h"
#include "configs/cluster.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Node groups one after the other. Device classes of one name that differ by at most a tenth
 * become one, of which the slower figures count; others stay apart (with a number behind the
 * name where it is taken). With one class in the end, links of the same kind, size and stride
 * become one, of which again the slower counts; else each holds for its part's groups.
 * Exceptions are collected, and the provenance keeps those of the parts. The caller frees
 * *out. Errors: BAD_INPUT (parts that share a node), NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_cluster_merge(const uap_cluster *const *part, int32_t n,
                                           const char *command, uap_cluster **out,
                                           uap_err *err);

/* Provenance and exceptions of the merged one, into out->provenance and out->exceptions.
 * Errors: as above. */
UAP_NODISCARD uap_status uap_merge_words(const uap_cluster *const *part, int32_t n,
                                         const char *command, uap_cluster *out,
                                         uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
