/* What to change when no configuration is legal: batches and device counts nearby for which
 * every layer has a strategy. One micro-batch is the least demanding configuration. */
#include "common/numbers.h"
#include "search/cost_internal.h"

#include <stdio.h>

/* How far around the given batch to look, as a factor and in samples. */
#define MAX_STEPS 64

static bool kind_has(const uap_cost *cost, const cost_kind *kind,
                     const uap_strategy *strategy, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        if (uap_strategy_suits(&cost->model->layer[kind->layer], &strategy[i])) {
            return true;
        }
    }
    return false;
}

/* Unlike devices: whether every layer has a strategy on some stage type. Out of memory counts as
 * no. */
static bool is_legal_on_types(const uap_cost *cost, int64_t batch)
{
    bool legal = true;
    for (int32_t k = 0; k < cost->n_kinds && legal; k++) {
        legal = false;
        for (int32_t i = 0; i < cost->n_stages && !legal; i++) {
            uap_strategy *strategy = NULL;
            int32_t n = 0;
            legal = uap_strategies_list(&cost->stage[i].scope, batch, &strategy, &n,
                                        NULL) == UAP_OK &&
                    kind_has(cost, &cost->kind[k], strategy, n);
            uap_free(strategy);
        }
    }
    return legal;
}

/* Whether some stage count has a strategy for every layer. Out of memory counts as no. */
static bool is_legal(const uap_cost *cost, int64_t batch, int64_t devices)
{
    int64_t stages[UAP_MAX_VALUES];
    const size_t n_stages = uap_divisors(devices, stages, UAP_MAX_VALUES);
    bool legal = false;
    for (size_t i = 0; i < n_stages && stages[i] <= cost->model->n_layers && !legal;
         i++) {
        uap_dim_scope scope = cost->stage[0].scope;
        uap_strategy *strategy = NULL;
        int32_t n = 0;
        scope.devices = devices;
        scope.stage_devices = devices / stages[i];
        scope.is_pipelined = stages[i] > 1;
        legal =
            uap_strategies_list(&scope, batch, &strategy, &n, NULL) == UAP_OK && n > 0;
        for (int32_t k = 0; k < cost->n_kinds && legal; k++) {
            legal = kind_has(cost, &cost->kind[k], strategy, n);
        }
        uap_free(strategy);
    }
    return legal;
}

/* The nearest legal value below and above, 0 where there is none within reach. */
static void look_around(const uap_cost *cost, bool is_batch, int64_t limit,
                        int64_t found[2])
{
    const int64_t batch = cost->options.batch, devices = cost->devices;
    const int64_t start = is_batch ? batch : devices;
    for (int side = 0; side < 2; side++) {
        found[side] = 0;
        for (int64_t step = 1; step <= MAX_STEPS && found[side] == 0; step++) {
            const int64_t value = side == 0 ? start - step : start + step;
            if (value < 1 || value > limit) {
                break;
            }
            if (cost->is_mixed ? is_legal_on_types(cost, value)
                               : is_legal(cost, is_batch ? value : batch,
                                          is_batch ? devices : value)) {
                found[side] = value;
            }
        }
    }
}

/* "a batch of 8 or 16", or nothing. */
static int say(char *text, size_t n, const char *what, const int64_t found[2])
{
    if (found[0] > 0 && found[1] > 0) {
        return snprintf(text, n, "%s %lld or %lld", what, (long long)found[0],
                        (long long)found[1]);
    }
    if (found[0] > 0 || found[1] > 0) {
        return snprintf(text, n, "%s %lld", what,
                        (long long)(found[0] > 0 ? found[0] : found[1]));
    }
    return 0;
}

void uap_cost_suggest(const uap_cost *cost, char *text, size_t n)
{
    char batches[64] = "", devices[64] = "";
    int64_t found[2];
    look_around(cost, true, INT32_MAX, found);
    const bool has_batches = say(batches, sizeof batches, "a batch of", found) > 0;
    bool has_devices = false;
    if (!cost->is_mixed) { /* of unlike devices any number may be left out already */
        look_around(cost, false, uap_cluster_devices(cost->cluster), found);
        has_devices = say(devices, sizeof devices, "a device count of", found) > 0;
    }
    const bool has_any = has_batches || has_devices;
    (void)snprintf(
        text, n, "no strategy splits a batch of %lld over %lld devices; %s%s%s would do",
        (long long)cost->options.batch, (long long)cost->devices,
        has_any ? batches : "no batch or device count nearby",
        has_batches && has_devices ? ", or " : "", devices);
}
