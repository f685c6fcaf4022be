/* Plans of several device counts side by side: what a larger job gains and costs. Plain data,
 * its derived figures, the table and "uniap-sweep" JSON (docs/formats.md). It searches
 * nothing. */
#ifndef UAP_PLAN_SWEEP_H
#define UAP_PLAN_SWEEP_H

#include "plan/plan.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_sweep_point {
    int64_t devices;
    uap_plan *plan; /* owned; NULL: not searched, or stopped without one */
    double start_s; /* what the plan that another count lent costs here; or UNSTATED */
    char *file;     /* where the plan was written, owned, or NULL */
} uap_sweep_point;

typedef struct uap_sweep {
    size_t n;
    uap_sweep_point *point;        /* [n] ascending in devices */
    uap_plan_input model, cluster; /* strings are borrowed */
    uap_plan_options options;      /* without devices */
    int64_t batch, seq;
    int64_t profile_devices; /* more than these are extrapolated */
} uap_sweep;

/* What a point is worth; NAN where it has no plan with stages. */
typedef struct uap_sweep_figures {
    double
        efficiency; /* throughput per device, by that of the smallest count with a plan */
    double device_hours_per_sample;
} uap_sweep_figures;

/* Points without plans. Freed with uap_sweep_free. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_sweep_init(uap_sweep *sweep, const int64_t *devices,
                                        size_t n, uap_err *err);
void uap_sweep_free(uap_sweep *sweep); /* a zeroed one is legal */

uap_sweep_figures uap_sweep_figures_of(const uap_sweep *sweep, size_t i);

/* "optimal", "feasible", "infeasible", or "unknown" where the search was not done. */
const char *uap_sweep_status(const uap_sweep_point *point);

/* The table for people, reasons and what stopped the rest below it. */
void uap_sweep_print(const uap_sweep *sweep, FILE *out);

/* Writes "uniap-sweep" version 1 atomically; "-" is standard output. Errors: IO, NO_MEMORY. */
UAP_NODISCARD uap_status uap_sweep_save(const uap_sweep *sweep, const char *path,
                                        uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
