/* The stage types of a mixed cluster: which numbers of devices of which group a stage may have
 * (docs/cost-model.md, section 13). It knows no layers; which of them a type can host, and for
 * which micro-batches, its strategies say. */
#include "search/cost_internal.h"

#include "common/numbers.h"

/* An origin must fit 31 bits. */
#define MAX_STAGES (INT32_MAX / COST_MAX_STRATEGIES)

static int64_t smallest_prime_factor(int64_t n)
{
    for (int64_t p = 2; p * p <= n; p++) {
        if (n % p == 0) {
            return p;
        }
    }
    return n;
}

/* The next size behind `devices` (0: the first one): down the divisor chain of a node, whose
 * members all divide each other, then up over whole nodes. 0: there is none. */
static int64_t next_size(const cost_group *group, int64_t devices)
{
    const int64_t node = uap_cluster_node_size(group->cluster);
    int64_t next;
    if (devices == 0) {
        next = node;
        while (next > group->devices) {
            next /= smallest_prime_factor(next);
        }
        return next;
    }
    if (devices <= node && devices > 1) {
        return devices / smallest_prime_factor(devices);
    }
    next = devices == 1 && node > 1 ? 2 * node : devices + node;
    return next <= group->devices ? next : 0;
}

/* Whether some split of some micro-batch takes that many devices: w ways of the batch times a
 * TP degree. */
static bool is_split(const uap_cost *cost, const cost_group *group, int64_t devices,
                     const int64_t *ways, size_t n)
{
    const int64_t node = uap_cluster_node_size(group->cluster);
    for (size_t i = 0; i < n; i++) {
        if (devices % ways[i] == 0 &&
            (devices / ways[i] <= node || cost->options.tp_across_nodes)) {
            return true;
        }
    }
    return false;
}

uap_status cost_list_types(uap_cost *cost, int64_t *most, uap_err *err)
{
    int64_t ways[UAP_MAX_VALUES];
    const size_t n_ways = uap_divisors(cost->options.batch, ways, UAP_MAX_VALUES);
    *most = 0;
    cost->stage = uap_arena_alloc(cost->arena, MAX_STAGES, sizeof *cost->stage);
    if (cost->stage == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for the stage types");
    }
    for (int32_t g = 0; g < cost->n_groups; g++) {
        const cost_group *group = &cost->group[g];
        int64_t least = 0;
        for (int64_t d = next_size(group, 0); d > 0; d = next_size(group, d)) {
            if (!is_split(cost, group, d, ways, n_ways)) {
                continue;
            }
            if (cost->n_stages + 2 > MAX_STAGES) {
                return UAP_FAIL(err, TOO_LARGE,
                                "cluster \"%s\" has more than %d stage types",
                                cost->cluster->name, MAX_STAGES / 2);
            }
            cost_add_stage(cost, g, d, false);
            cost_add_stage(cost, g, d, true);
            least = least == 0 ? d : uap_min_i64(least, d);
        }
        *most += least > 0 ? group->devices / least : 0;
    }
    return UAP_OK;
}
