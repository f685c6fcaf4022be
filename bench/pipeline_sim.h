/* One iteration of a pipeline, operation by operation: what the closed forms of
 * search/objective.h are measured against. Every stage works in its schedule's fixed order,
 * transfers run beside computation, one link each way per boundary takes one transfer at a
 * time, and each stage's gradient work follows its own last backward. It knows no formula. */
#ifndef UAP_BENCH_PIPELINE_SIM_H
#define UAP_BENCH_PIPELINE_SIM_H

#include "search/objective.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_sim_result {
    int64_t span;  /* ticks until the last backward ends */
    int64_t total; /* ticks until the last gradient work ends too */
} uap_sim_result;

/* stage, inflight: [pp]. Stage i runs inflight[i] (at most c) forwards, then a backward and
 * a forward in turn, then the backwards left: gpipe is inflight = c. O(pp c).
 * Errors: NO_MEMORY, BAD_USAGE (pp, c or an inflight below 1). */
UAP_NODISCARD uap_status uap_pipeline_simulate(int32_t pp, int64_t c,
                                               const uap_stage_cost *stage,
                                               const int64_t *inflight,
                                               uap_sim_result *result, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
