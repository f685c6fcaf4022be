/* Galvatron's strategy JSON read as a plan by hand. */
#ifndef UAP_PLAN_IMPORT_GALVATRON_H
#define UAP_PLAN_IMPORT_GALVATRON_H

#include "plan/plan.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a strategy file (docs/export.md): blocks as the file has them, behind an embedding
 * and before a head. Names, devices and numbers stay unstated. Refused with the key and the
 * layer: lists of unlike lengths, Ulysses, context and expert parallelism, TP groups of
 * strided ranks. The caller frees *out. Errors: IO, BAD_INPUT (file:line:column), TOO_LARGE,
 * NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_galvatron_load(const char *path, uap_plan **out,
                                            uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
