/* The cost builder from the outside: checks its options, groups layers into kinds, lists the
 * configurations and builds them on demand. */
#include "search/cost.h"

#include "common/numbers.h"
#include "search/cost_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_BATCH INT32_MAX /* an instance counts micro-batches in 32 bits */

void cost_warn(uap_cost *cost, cost_warning which, const char *fmt, ...)
{
    va_list args;
    int32_t n = 0;
    if (cost->warning_text[which][0] != '\0') {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(cost->warning_text[which], COST_WARNING_BYTES, fmt, args);
    va_end(args);
    while (cost->warning[n] != NULL) {
        n++;
    }
    cost->warning[n] = cost->warning_text[which];
}

/* ---- Options ----------------------------------------------------------------------------- */

static uap_status check_options(const uap_cluster *cluster,
                                const uap_cost_options *options, uap_err *err)
{
    const int64_t has = uap_cluster_devices(cluster);
    if (options->batch < 1 || options->batch > MAX_BATCH) {
        return UAP_FAIL(err, BAD_USAGE, "the batch is %lld, expected 1 to %d samples",
                        (long long)options->batch, MAX_BATCH);
    }
    if (options->devices < 0 || options->devices > has) {
        return UAP_FAIL(err, BAD_USAGE,
                        "%lld devices are asked for, cluster \"%s\" has %lld",
                        (long long)options->devices, cluster->name, (long long)has);
    }
    if (options->memory_bytes < 0 || options->reserve_bytes < 0) {
        return UAP_FAIL(
            err, BAD_USAGE, "memory %lld and reserve %lld bytes must not be negative",
            (long long)options->memory_bytes, (long long)options->reserve_bytes);
    }
    if ((options->schedules & ((1U << UAP_SCHEDULE_COUNT) - 1)) == 0) {
        return UAP_FAIL(err, BAD_USAGE, "no schedule is selected");
    }
    return UAP_OK;
}

/* One class of device in nodes of one size: stages of equal device counts are then alike. */
static uap_status check_groups(const uap_cluster *cluster, uap_err *err)
{
    const uap_node_group *first = &cluster->group[0];
    for (int32_t i = 1; i < cluster->n_groups; i++) {
        const uap_node_group *other = &cluster->group[i];
        if (other->device_class != first->device_class) {
            return UAP_FAIL(
                err, UNSUPPORTED,
                "cluster \"%s\" mixes device classes \"%s\" and \"%s\": plans for "
                "mixed clusters are not supported",
                cluster->name, cluster->device_class[first->device_class].name,
                cluster->device_class[other->device_class].name);
        }
        if (other->devices_per_node != first->devices_per_node) {
            return UAP_FAIL(
                err, UNSUPPORTED,
                "cluster \"%s\" mixes nodes of %d and %d devices: plans for mixed "
                "clusters are not supported",
                cluster->name, first->devices_per_node, other->devices_per_node);
        }
    }
    return UAP_OK;
}

static double peak_of(const uap_device_class *device, uap_precision precision)
{
    static const uap_precision alike[UAP_PRECISION_COUNT] = {
        [UAP_FP32] = UAP_FP32, [UAP_BF16] = UAP_FP16, [UAP_FP16] = UAP_BF16};
    const double peak = device->peak_flops[precision];
    return peak > 0.0 ? peak : device->peak_flops[alike[precision]];
}

static void set_device(uap_cost *cost)
{
    const uap_cost_options *options = &cost->options;
    const uap_device_class *device =
        &cost->cluster->device_class[cost->cluster->group[0].device_class];
    const int64_t memory =
        options->memory_bytes > 0 ? options->memory_bytes : device->memory_bytes;
    const bool is_mixed = options->precision != UAP_FP32;
    const bool is_adam = options->optimizer == UAP_ADAM;
    cost->device = device;
    cost->devices =
        options->devices > 0 ? options->devices : uap_cluster_devices(cost->cluster);
    cost->cap = uap_max_i64(0, memory - options->reserve_bytes);
    cost->is_paper = options->cost == UAP_COST_PAPER;
    cost->peak_flops = peak_of(device, options->precision);
    /* docs/cost-model.md, sections 6 and 7: fp32 master and moments beyond weight and
     * gradient; what the optimizer reads and writes per parameter. */
    cost->optimizer_bytes = (is_adam ? 8 : 4) + (is_mixed ? 4 : 0);
    cost->optimizer_moves = is_adam ? 28 : 20;
    if (memory > device->memory_bytes) {
        cost_warn(cost, COST_WARN_MEMORY,
                  "planned for %lld bytes per device, of which %s has %lld",
                  (long long)memory, device->name, (long long)device->memory_bytes);
    }
    if (cost->cluster->source != UAP_MEASURED) {
        cost_warn(
            cost, COST_WARN_SOURCE, "cluster \"%s\" was not measured: its figures are %s",
            cost->cluster->name,
            cost->cluster->source == UAP_DATASHEET ? "from data sheets" : "assumed");
    }
}

/* ---- Kinds of layers ------------------------------------------------------------------------ */

static bool is_tied(const uap_model *model, int32_t layer)
{
    for (int32_t i = 0; i < model->n_ties; i++) {
        if (model->tie[i][0] == layer || model->tie[i][1] == layer) {
            return true;
        }
    }
    return false;
}

/* Number of the layer's kind, made when it is the first of it. */
static int32_t kind_of(uap_cost *cost, int32_t layer)
{
    const uap_layer *layers = cost->model->layer;
    const bool tied = is_tied(cost->model, layer);
    for (int32_t k = 0; k < cost->n_kinds && !tied; k++) {
        if (!cost->kind[k].is_tied &&
            layers[cost->kind[k].layer].shape == layers[layer].shape) {
            return k;
        }
    }
    cost->kind[cost->n_kinds] = (cost_kind){.layer = layer, .is_tied = tied};
    return cost->n_kinds++;
}

static int32_t edge_of(uap_cost *cost, int32_t from, int32_t to)
{
    for (int32_t i = 0; i < cost->n_edges; i++) {
        if (cost->edge[i].from == from && cost->edge[i].to == to) {
            return i;
        }
    }
    cost->edge[cost->n_edges] = (cost_edge){from, to};
    return cost->n_edges++;
}

static uap_status list_kinds(uap_cost *cost, uap_err *err)
{
    const size_t n = (size_t)cost->model->n_layers;
    uap_status rc = UAP_OK;
    cost->kind = uap_arena_alloc(cost->arena, n, sizeof *cost->kind);
    cost->edge = uap_arena_alloc(cost->arena, n, sizeof *cost->edge);
    cost->layer_kind = uap_arena_alloc(cost->arena, n, sizeof *cost->layer_kind);
    cost->layer_edge = uap_arena_alloc(cost->arena, n, sizeof *cost->layer_edge);
    if (cost->kind == NULL || cost->edge == NULL || cost->layer_kind == NULL ||
        cost->layer_edge == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu layers", n);
    }
    for (size_t u = 0; u < n; u++) {
        cost->layer_kind[u] = kind_of(cost, (int32_t)u);
        if (u > 0) {
            cost->layer_edge[u - 1] =
                edge_of(cost, cost->layer_kind[u - 1], cost->layer_kind[u]);
        }
    }
    for (int32_t k = 0; k < cost->n_kinds; k++) {
        UAP_TRY(cost_kind_times(cost, &cost->kind[k], err));
    }
done:
    return rc;
}

/* ---- Configurations ---------------------------------------------------------------------- */

static void list_of_stage(uap_cost *cost, int32_t pp, const int64_t *counts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bool is_first = true;
        for (int s = 0; s < UAP_SCHEDULE_COUNT; s++) {
            const bool selected = ((cost->options.schedules >> s) & 1U) != 0;
            if (selected && (pp > 1 || is_first)) {
                cost->configuration[cost->n_configurations++] =
                    (uap_configuration){(uap_schedule)s, pp, counts[i]};
                is_first = false;
            }
        }
    }
}

static uap_status list_configurations(uap_cost *cost, uap_err *err)
{
    int64_t stages[UAP_MAX_VALUES], counts[UAP_MAX_VALUES];
    const size_t n_stages = uap_divisors(cost->devices, stages, UAP_MAX_VALUES);
    const size_t n_counts = uap_divisors(cost->options.batch, counts, UAP_MAX_VALUES);
    cost->stage = uap_arena_alloc(cost->arena, n_stages, sizeof *cost->stage);
    cost->configuration =
        uap_arena_alloc(cost->arena, n_stages * n_counts * UAP_SCHEDULE_COUNT,
                        sizeof *cost->configuration);
    if (cost->stage == NULL || cost->configuration == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu x %zu configurations",
                        n_stages, n_counts);
    }
    for (size_t i = 0; i < n_stages && stages[i] <= cost->model->n_layers; i++) {
        cost->stage[cost->n_stages++].scope = (uap_dim_scope){
            .cluster = cost->cluster,
            .links = cost->links,
            .devices = cost->devices,
            .stage_devices = cost->devices / stages[i],
            .elem_bytes = uap_precision_bytes(cost->options.precision),
            .tp_across_nodes = cost->options.tp_across_nodes,
            .space = cost->options.space,
        };
        list_of_stage(cost, (int32_t)stages[i], counts, n_counts);
    }
    return UAP_OK;
}

/* ---- The interface ------------------------------------------------------------------------ */

uap_status uap_cost_new(const uap_model *model, const uap_cluster *cluster,
                        const uap_cost_options *options, uap_cost **out, uap_err *err)
{
    uap_cost *cost = NULL;
    uap_status rc;
    *out = NULL;
    UAP_TRY(check_options(cluster, options, err));
    UAP_TRY(check_groups(cluster, err));
    cost = uap_calloc(1, sizeof *cost);
    if (cost == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for the cost model");
    }
    cost->model = model;
    cost->cluster = cluster;
    cost->options = *options;
    cost->arena = uap_arena_new();
    cost->links = cost->arena != NULL ? cost_links_new(cost) : NULL;
    if (cost->links == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for the cost model");
        goto done;
    }
    set_device(cost);
    UAP_TRY(list_kinds(cost, err));
    UAP_TRY(list_configurations(cost, err));
    *out = cost;
    cost = NULL;
done:
    uap_cost_free(cost);
    return rc;
}

void uap_cost_free(uap_cost *cost)
{
    if (cost != NULL) {
        uap_arena_free(cost->arena);
        uap_free(cost);
    }
}

int32_t uap_cost_count(const uap_cost *cost)
{
    return cost->n_configurations;
}

uap_configuration uap_cost_configuration(const uap_cost *cost, int32_t index)
{
    return cost->configuration[index];
}

static uap_status build_index(void *context, int32_t index, uap_instance **out,
                              uap_err *err)
{
    uap_cost *cost = context;
    return cost_build(cost, &cost->configuration[index], out, err);
}

uap_source uap_cost_source(uap_cost *cost)
{
    return (uap_source){
        .n = cost->n_configurations, .context = cost, .build = build_index};
}

uap_strategy uap_cost_strategy(uap_cost *cost, int32_t index, int32_t origin)
{
    const int64_t d = cost->devices / cost->configuration[index].pp;
    int32_t i = 0;
    while (cost->stage[i].scope.stage_devices != d) {
        i++;
    }
    return cost->stage[i].strategy[origin];
}

const char *const *uap_cost_warnings(const uap_cost *cost)
{
    return cost->warning;
}
