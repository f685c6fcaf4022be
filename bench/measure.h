/* Runs of an engine: what they come to, their seconds and memory. */
#ifndef UAP_BENCH_MEASURE_H
#define UAP_BENCH_MEASURE_H

#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef uap_status uap_engine_fn(const uap_source *source, const uap_limits *limits,
                                 uap_result *result, uap_err *err);

/* One run of an engine. The result is owned. */
typedef struct uap_run {
    uap_result result;
    double cpu_s, wall_s;
    int64_t peak_bytes; /* largest resident memory of the process during the run, also of
                         * what was there before; 0 where the system does not tell */
} uap_run;

/* Runs and measures. The caller frees with uap_run_free. Errors: the engine's. */
UAP_NODISCARD uap_status uap_run_engine(uap_engine_fn *engine, const uap_source *source,
                                        const uap_limits *limits, uap_run *run,
                                        uap_err *err);
void uap_run_free(uap_run *run);

const char *uap_outcome_name(uap_outcome outcome); /* "optimal", "feasible", ... */

#ifdef __cplusplus
}
#endif
#endif
