/* Random pipelines through the simulation and through the closed forms. */
#include "bench/sim_errors.h"

#include "bench/rng.h"

#include <math.h>
#include <stdlib.h>

#define MAX_STAGES UAP_SIM_MAX_STAGES
#define FORWARD    1e8 /* ticks: 1 ms, so that rounding does not show */

typedef struct pipeline {
    int32_t pp;
    int64_t c;
    uap_stage_cost stage[MAX_STAGES];
    int64_t inflight[MAX_STAGES];
} pipeline;

/* Gradient work of one stage: anywhere, or so much in the last stages that it decides. */
static double draw_grad(uap_rng *rng, const uap_sim_population *population, int32_t pp,
                        int32_t stage)
{
    const double grad = population->grad * uap_rng_real(rng, 0.0, 1.0);
    const double position = (double)stage / (double)(pp - 1);
    return population->is_late ? grad * pp * position * position : grad;
}

static void draw_pipeline(uap_rng *rng, uap_schedule schedule,
                          const uap_sim_population *population, pipeline *p)
{
    p->pp = (int32_t)uap_rng_range(rng, 2, MAX_STAGES);
    p->c = uap_rng_range(rng, 1, 64);
    /* None, half or all of the stages recompute their forward in the backward pass. */
    const double recompute = 0.5 * (double)uap_rng_range(rng, 0, 2);
    const double transfer = uap_rng_chance(rng, 0.1)
                                ? 0.0
                                : uap_rng_real(rng, 0.0, population->transfer / 1.5);
    for (int32_t i = 0; i < p->pp; i++) {
        uap_stage_cost *s = &p->stage[i];
        const double fwd = FORWARD * uap_rng_real(rng, 1.0, 1.6);
        const double times = uap_rng_chance(rng, recompute) ? 3.0 : 2.0;
        *s = (uap_stage_cost){.fwd = (int64_t)fwd, .bwd = (int64_t)(times * fwd)};
        s->grad = (int64_t)(draw_grad(rng, population, p->pp, i) * (1.0 + times) * fwd);
        if (i + 1 < p->pp) {
            s->send_fwd = (int64_t)(FORWARD * transfer * uap_rng_real(rng, 0.5, 1.5));
            s->send_bwd = (int64_t)(FORWARD * transfer * uap_rng_real(rng, 0.5, 1.5));
        }
        p->inflight[i] = uap_schedule_inflight(schedule, p->pp, i, p->c);
    }
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;
    return (x > y) - (x < y);
}

static double relative(int64_t value, int64_t truth)
{
    return (double)(value - truth) / (double)truth;
}

uap_status uap_sim_errors_measure(uap_schedule schedule,
                                  const uap_sim_population *population,
                                  uap_sim_errors *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    const size_t n = (size_t)population->pipelines;
    uap_rng rng;
    uap_rng_seed(&rng, population->seed);
    *out = (uap_sim_errors){.n = population->pipelines,
                            .span = uap_calloc(n, sizeof(double)),
                            .total = uap_calloc(n, sizeof(double))};
    if (out->span == NULL || out->total == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %zu errors", n);
        goto done;
    }
    for (size_t at = 0; at < n; at++) {
        pipeline p;
        uap_sim_result truth;
        draw_pipeline(&rng, schedule, population, &p);
        UAP_TRY(uap_pipeline_simulate(p.pp, p.c, p.stage, p.inflight, &truth, err));
        const int64_t span = uap_schedule_span(schedule, p.pp, p.c, p.stage, p.inflight);
        const int64_t total =
            uap_schedule_total(schedule, p.pp, p.c, p.stage, p.inflight);
        out->span[at] = relative(span, truth.span);
        out->total[at] = relative(total, truth.total);
    }
    qsort(out->span, n, sizeof(double), compare);
    qsort(out->total, n, sizeof(double), compare);
done:
    if (rc != UAP_OK) {
        uap_sim_errors_free(out);
    }
    return rc;
}

void uap_sim_errors_free(uap_sim_errors *errors)
{
    uap_free(errors->span);
    uap_free(errors->total);
    *errors = (uap_sim_errors){0};
}

uap_sim_summary uap_sim_summarise(const double *error, int32_t n)
{
    uap_sim_summary s = {.least = error[0],
                         .p5 = error[n / 20],
                         .median = error[n / 2],
                         .p95 = error[(int64_t)n * 19 / 20],
                         .largest = error[n - 1]};
    for (int32_t i = 0; i < n; i++) {
        s.mean_abs += fabs(error[i]) / n;
        s.above += error[i] > 1e-9;
        s.below += error[i] < -1e-9;
    }
    return s;
}
