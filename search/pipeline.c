/* What the schedule asks of the stages of a chain. */
#include "search/outer.h"

#include "common/numbers.h"
#include "search/objective.h"

#include <math.h>

/* Largest share that the smaller of forward and backward can have in a stage's time: a
 * stage's sums cannot pass the largest share of any row or link in them. */
static double smaller_half_share(const uap_chain *chain)
{
    double fwd = 0;
    double bwd = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        const uap_kind *kind = &chain->kind[i];
        for (int32_t k = 0; k < kind->n; k++) {
            const double p = (double)(kind->fwd[k] + kind->bwd[k]);
            fwd = p > 0 ? uap_max_f64(fwd, (double)kind->fwd[k] / p) : fwd;
            bwd = p > 0 ? uap_max_f64(bwd, (double)kind->bwd[k] / p) : bwd;
        }
    }
    for (int32_t i = 0; i < chain->n_links; i++) {
        const uap_chain_link *link = &chain->link[i];
        for (int32_t j = 0; j < link->n_out * link->n_in; j++) {
            const double p = (double)(link->r_fwd[j] + link->r_bwd[j]);
            fwd = p > 0 ? uap_max_f64(fwd, (double)link->r_fwd[j] / p) : fwd;
            bwd = p > 0 ? uap_max_f64(bwd, (double)link->r_bwd[j] / p) : bwd;
        }
    }
    return uap_min_f64(0.5, uap_min_f64(fwd, bwd) * (1 + 1e-12));
}

uap_status uap_pipeline_init(uap_pipeline *pipeline, const uap_chain *chain, uap_err *err)
{
    const uap_instance *in = chain->instance;
    const size_t pp = (size_t)chain->pp;
    const double c = (double)chain->c;
    *pipeline = (uap_pipeline){.chain = chain};
    pipeline->split = uap_calloc(pp, sizeof *pipeline->split);
    pipeline->grad = uap_calloc(pp, sizeof *pipeline->grad);
    pipeline->kappa = uap_calloc(pp, sizeof *pipeline->kappa);
    if (pipeline->split == NULL || pipeline->grad == NULL || pipeline->kappa == NULL) {
        uap_pipeline_free(pipeline);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a pipeline");
    }
    bool any_grad = false;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        for (int32_t k = 0; k < chain->kind[i].n; k++) {
            any_grad = any_grad || chain->kind[i].grad[k] != 0;
        }
    }
    const bool full = in->objective == UAP_OBJECTIVE_FULL;
    pipeline->scalar = full && chain->pp == 1;
    pipeline->round_trips =
        full && in->schedule != UAP_SCHEDULE_GPIPE && !pipeline->scalar;
    const double share = full ? smaller_half_share(chain) : 0;
    for (int32_t i = 0; i < chain->pp; i++) {
        const double k = uap_min_f64((double)in->inflight[i], c);
        pipeline->kappa[i] = pipeline->round_trips ? c - 1 - (k - 1) * share : c - 1;
        pipeline->grad[i] = any_grad;
        /* A stage that holds one micro-batch has V in p alone; its forward part still counts
         * for the stages behind it, which start that much later (T). */
        pipeline->split[i] =
            full && (!pipeline->round_trips || k > 1 || (any_grad && i + 1 < chain->pp));
        if (pipeline->scalar) {
            pipeline->kappa[i] = 0;
            pipeline->grad[i] = pipeline->split[i] = false;
        }
    }
    return UAP_OK;
}

void uap_pipeline_free(uap_pipeline *pipeline)
{
    uap_free(pipeline->split);
    uap_free(pipeline->grad);
    uap_free(pipeline->kappa);
    *pipeline = (uap_pipeline){0};
}
