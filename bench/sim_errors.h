/* How far the closed forms of search/objective.h are from the simulated pipeline, over
 * random unbalanced pipelines: pp 2 to 16, c 1 to 64, stages up to 60 % apart, none, some or
 * all of them recomputing, transfers from 0 to a share of a stage's forward time. */
#ifndef UAP_BENCH_SIM_ERRORS_H
#define UAP_BENCH_SIM_ERRORS_H

#include "bench/pipeline_sim.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SIM_MAX_STAGES 16

typedef struct uap_sim_population {
    uint64_t seed;
    int32_t pipelines;
    /* Upper ends of what is drawn from 0 on: */
    double transfer; /* each way, relative to a stage's forward time */
    double grad;     /* gradient work, relative to a stage's f + b */
    bool is_late;    /* gradient work is in the last stages, and pp times as much */
} uap_sim_population;

/* Relative errors (closed form - simulation) / simulation, ascending. */
typedef struct uap_sim_errors {
    int32_t n;
    double *span;  /* [n] of V against the last backward */
    double *total; /* [n] of V + E against the last gradient work */
} uap_sim_errors;

/* What a list of errors looks like. */
typedef struct uap_sim_summary {
    double mean_abs, least, p5, median, p95, largest;
    int32_t above, below; /* errors of more than 1e-9 */
} uap_sim_summary;

/* Runs the population under one schedule. The caller frees with uap_sim_errors_free.
 * Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_sim_errors_measure(uap_schedule schedule,
                                                const uap_sim_population *population,
                                                uap_sim_errors *out, uap_err *err);
void uap_sim_errors_free(uap_sim_errors *errors);

/* error: [n], n >= 1, ascending. */
uap_sim_summary uap_sim_summarise(const double *error, int32_t n);

#ifdef __cplusplus
}
#endif
#endif
