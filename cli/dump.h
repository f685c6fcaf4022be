/* Every configuration of a search as files that others can solve: JSON and CPLEX-LP. */
#ifndef UAP_CLI_DUMP_H
#define UAP_CLI_DUMP_H

#include "search/cost.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Makes the directory when it is not there. Errors: IO. Local. */
UAP_NODISCARD uap_status uap_dump_prepare(const char *directory, uap_err *err);

/* Writes DIR/NNNN-SCHEDULE-ppP-cC.json and .lp for every legal configuration into a
 * directory that is there, until *stop is set. *count: configurations written. Errors: IO,
 * those of building an instance. Local. */
UAP_NODISCARD uap_status uap_dump_instances(uap_cost *cost, const char *directory,
                                            const volatile sig_atomic_t *stop,
                                            int32_t *count, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
