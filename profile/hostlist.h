/* Host names as Slurm writes them: "vn[1-2,4],gpu-a[001-003]". Text only; it asks no Slurm
 * whether the hosts exist. */
#ifndef UAP_PROFILE_HOSTLIST_H
#define UAP_PROFILE_HOSTLIST_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Writes n names, each once, in the order of their prefixes (as they first occur) and numbers:
 * neighbouring numbers of one width become a range, one number is written without brackets.
 * The caller frees *out (uap_free); no names give "". Errors: NO_MEMORY, BAD_INPUT (an empty
 * name, or one with a comma, bracket or blank). O(n log n + n prefixes). */
UAP_NODISCARD uap_status uap_hostlist_compress(const char *const *name, size_t n,
                                               char **out, uap_err *err);

/* The names that a list stands for, in its order; repeated ones stay repeated. One bracketed
 * part a name, followed by no more letters or by some. The caller frees *out with
 * uap_hostlist_free. Errors: NO_MEMORY, BAD_INPUT (with the place), TOO_LARGE (over a million
 * names). */
UAP_NODISCARD uap_status uap_hostlist_expand(const char *list, char ***out, size_t *n,
                                             uap_err *err);
void uap_hostlist_free(char **name, size_t n); /* NULL is legal */

#ifdef __cplusplus
}
#endif
#endif
