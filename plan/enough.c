/* Doubling the device count, or raising the memory, until a plan fits. */
#include "plan/enough.h"

#include "common/numbers.h"
#include "configs/cluster_groups.h"
#include "search/solve.h"

#define TRIES        6
#define MEMORY_TRIES 20
#define MEMORY_STEP  (((int64_t)1 << 30) / 100) /* what messages round to */
#define TRY_SECONDS  5.0
#define DEVICES_MAX  ((int64_t)1 << 20)

/* The same nodes, as many as `devices` need: a shallow copy that borrows everything but
 * its one group, which the caller lends. */
static uap_cluster grown(const uap_cluster *cluster, int64_t devices,
                         uap_node_group *group)
{
    uap_cluster larger = *cluster;
    *group = cluster->group[0];
    group->nodes = (int32_t)uap_max_i64(group->nodes,
                                        uap_ceil_div(devices, group->devices_per_node));
    larger.group = group;
    return larger;
}

/* Whether a plan is found. */
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

/* The same for a cluster of one group of nodes. */
static int64_t enough_alike(const uap_model *model, const uap_cluster *cluster,
                            const uap_cost_options *options, int64_t devices,
                            const volatile sig_atomic_t *stop)
{
    const uap_limits limits = {.time_limit_s = TRY_SECONDS, .gap = 1, .stop = stop};
    uap_cost_options larger = *options;
    larger.devices = devices;
    for (int i = 0; i < TRIES && *stop == 0; i++) {
        bool enough = false;
        uap_err err = {0};
        larger.devices *= 2;
        uap_node_group group;
        const uap_cluster grown_cluster = grown(cluster, larger.devices, &group);
        if (larger.devices > DEVICES_MAX ||
            fits(model, &grown_cluster, &larger, &limits, &enough, &err) != UAP_OK) {
            break; /* a hint that cannot be had is no failure of the command */
        }
        if (enough) {
            return larger.devices;
        }
    }
    return -1;
}

int64_t uap_enough_devices(const uap_model *model, const uap_cluster *cluster,
                           const uap_cost_options *options,
                           const volatile sig_atomic_t *stop)
{
    const int64_t devices =
        options->devices > 0 ? options->devices : uap_cluster_devices(cluster);
    uap_cluster_groups *groups = NULL;
    uap_err err = {0};
    int64_t enough = -1;
    if (uap_cluster_groups_new(cluster, devices, &groups, &err) != UAP_OK) {
        return -1; /* no failure either */
    }
    if (groups->n == 1) {
        enough = enough_alike(model, &groups->group[0].view, options, devices, stop);
    }
    uap_cluster_groups_free(groups);
    return enough;
}

int64_t uap_enough_memory(const uap_model *model, const uap_cluster *cluster,
                          const uap_cost_options *options, int64_t least,
                          const volatile sig_atomic_t *stop)
{
    const uap_limits limits = {.time_limit_s = TRY_SECONDS, .gap = 1, .stop = stop};
    uap_cost_options larger = *options;
    int64_t too_little = least - 1;
    int64_t enough = -1;
    int64_t step = MEMORY_STEP;
    larger.memory_bytes = least;
    for (int i = 0; i < MEMORY_TRIES && *stop == 0; i++) {
        bool is_enough = false;
        uap_err err = {0};
        if (fits(model, cluster, &larger, &limits, &is_enough, &err) != UAP_OK) {
            break; /* as above */
        }
        if (is_enough) {
            enough = larger.memory_bytes;
        } else {
            too_little = larger.memory_bytes;
        }
        if (enough >= 0 && enough - too_little <= MEMORY_STEP) {
            break;
        }
        larger.memory_bytes =
            enough < 0 ? too_little + step : too_little + (enough - too_little) / 2;
        step *= 2;
    }
    return enough;
}
