/* Which device counts a sweep is over: the value of --sweep-devices. */
#ifndef UAP_CLI_SWEEP_COUNTS_H
#define UAP_CLI_SWEEP_COUNTS_H

#include "common/status.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SWEEP_COUNTS_MAX 4096
#define UAP_SWEEP_COUNT_MAX  1048576

/* "FROM:TO" doubles, "FROM:TO:*3" triples, "FROM:TO:+8" and "FROM:TO:8" add; "N" is one count;
 * several with commas. count: [UAP_SWEEP_COUNTS_MAX], ascending, each once.
 * Errors: BAD_USAGE. Local. */
UAP_NODISCARD uap_status uap_sweep_counts(const char *text,
                                          int64_t count[UAP_SWEEP_COUNTS_MAX], size_t *n,
                                          uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
