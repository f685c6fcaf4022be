/* Doubling the device count until a plan fits. */
#include "plan/enough.h"

#include "search/solve.h"

#define TRIES       6
#define TRY_SECONDS 5.0
#define DEVICES_MAX ((int64_t)1 << 20)

/* Whether a plan is found with this many devices. */
static uap_status fits(const uap_model *model, const uap_cluster *cluster,
                       const uap_cost_options *options, const uap_limits *limits,
                       bool *out, uap_err *err)
{
    uap_cost *cost = NULL;
    uap_result result = {0};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_cost_new(model, cluster, options, &cost, err));
    const uap_source source = uap_cost_source(cost);
    UAP_TRY(uap_exact_solve(&source, limits, &result, err));
    *out =
        result.outcome == UAP_OUTCOME_OPTIMAL || result.outcome == UAP_OUTCOME_FEASIBLE;
done:
    uap_result_free(&result);
    uap_cost_free(cost);
    return rc;
}

uap_status uap_enough_devices(const uap_model *model, const uap_cluster *cluster,
                              const uap_cost_options *options,
                              const volatile sig_atomic_t *stop, int64_t *devices,
                              uap_err *err)
{
    const uap_limits limits = {.time_limit_s = TRY_SECONDS, .gap = 1, .stop = stop};
    uap_cost_options larger = *options;
    if (larger.devices <= 0) {
        larger.devices = uap_cluster_devices(cluster);
    }
    *devices = -1;
    if (cluster->n_groups != 1) {
        return UAP_OK;
    }
    for (int i = 0; i < TRIES && *stop == 0; i++) {
        bool enough = false;
        larger.devices *= 2;
        if (larger.devices > DEVICES_MAX) {
            break;
        }
        const uap_status rc = fits(model, cluster, &larger, &limits, &enough, err);
        if (rc != UAP_OK) {
            return rc;
        }
        if (enough) {
            *devices = larger.devices;
            break;
        }
    }
    return UAP_OK;
}
