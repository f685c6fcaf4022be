/* The cost builder from the outside: checks its options, groups layers into kinds, lists the
 * configurations and builds them on demand. */
#include "search/cost.h"

#include "common/numbers.h"
#include "search/cost_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define MAX_BATCH INT32_MAX /* an instance counts micro-batches in 32 bits */

void cost_warn(uap_cost *cost, cost_group *group, cost_warning which, const char *fmt,
               ...)
{
    va_list args;
    if (group != NULL && group->has_warned[which]) {
        return;
    }
    char *text = uap_arena_alloc(cost->arena, COST_WARNING_BYTES, 1);
    if (text == NULL) {
        return; /* the tables, which need more, will report it */
    }
    if (group != NULL) {
        group->has_warned[which] = true;
    }
    va_start(args, fmt);
    const int n = vsnprintf(text, COST_WARNING_BYTES, fmt, args);
    va_end(args);
    if (group != NULL && cost->is_mixed && n >= 0 && n < COST_WARNING_BYTES) {
        (void)snprintf(text + n, (size_t)(COST_WARNING_BYTES - n), " (on %s)",
                       group->device->name);
    }
    cost->warning[cost->n_warnings++] = text;
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

static double peak_of(const uap_device_class *device, uap_precision precision)
{
    static const uap_precision alike[UAP_PRECISION_COUNT] = {[UAP_FP32] = UAP_FP32,
                                                             [UAP_BF16] = UAP_FP16,
                                                             [UAP_FP16] = UAP_BF16,
                                                             [UAP_TF32] = UAP_TF32};
    const double peak = device->peak_flops[precision];
    return peak > 0.0 ? peak : device->peak_flops[alike[precision]];
}

static void set_options(uap_cost *cost, const uap_cost_options *options)
{
    const bool is_mixed = options->precision != UAP_FP32;
    const bool is_adam = options->optimizer == UAP_ADAM;
    cost->options = *options;
    cost->devices =
        options->devices > 0 ? options->devices : uap_cluster_devices(cost->cluster);
    cost->is_paper = options->cost == UAP_COST_PAPER;
    cost->has_pieces = cost_has_pieces(cost->cluster);
    /* docs/cost-model.md, sections 6 and 7: fp32 master and moments beyond weight and
     * gradient; what the optimizer reads and writes per parameter. */
    cost->optimizer_bytes = (is_adam ? 8 : 4) + (is_mixed ? 4 : 0);
    cost->optimizer_moves = is_adam ? 28 : 20;
}

/* Memory of a device: what the options say. Of unlike devices none gets more than it has. */
static int64_t memory_of(const uap_cost *cost, const uap_device_class *device)
{
    const int64_t asked = cost->options.memory_bytes;
    if (asked <= 0) {
        return device->memory_bytes;
    }
    return cost->is_mixed ? uap_min_i64(asked, device->memory_bytes) : asked;
}

static uap_status set_group(uap_cost *cost, int32_t index, uap_err *err)
{
    cost_group *group = &cost->group[index];
    const uap_cluster_group *joined = &cost->joined->group[index];
    group->cluster = &joined->view;
    group->device = &group->cluster->device_class[group->cluster->group[0].device_class];
    group->devices = joined->devices;
    group->peak_flops = peak_of(group->device, cost->options.precision);
    group->links = cost_links_new(cost, group);
    const int64_t memory = memory_of(cost, group->device);
    group->cap = uap_max_i64(0, memory - cost->options.reserve_bytes);
    if (group->links == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for the links of group %d", index);
    }
    if (memory > group->device->memory_bytes) {
        cost_warn(cost, group, COST_WARN_MEMORY,
                  "planned for %lld bytes per device, of which %s has %lld",
                  (long long)memory, group->device->name,
                  (long long)group->device->memory_bytes);
    }
    return UAP_OK;
}

static uap_status set_groups(uap_cost *cost, uap_err *err)
{
    uap_status rc =
        uap_cluster_groups_new(cost->cluster, cost->devices, &cost->joined, err);
    if (rc != UAP_OK) {
        return rc;
    }
    const size_t n = (size_t)cost->joined->n;
    cost->n_groups = cost->joined->n;
    cost->is_mixed = n > 1;
    cost->group = uap_arena_alloc(cost->arena, n, sizeof *cost->group);
    cost->warning =
        uap_arena_alloc(cost->arena, n * COST_WARN_COUNT + 1, sizeof *cost->warning);
    if (cost->group == NULL || cost->warning == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu groups", n);
    }
    for (int32_t g = 0; g < cost->n_groups && rc == UAP_OK; g++) {
        rc = set_group(cost, g, err);
    }
    if (rc == UAP_OK && cost->cluster->source != UAP_MEASURED) {
        cost_warn(
            cost, NULL, COST_WARN_SOURCE,
            "cluster \"%s\" was not measured: its figures are %s", cost->cluster->name,
            cost->cluster->source == UAP_DATASHEET ? "from data sheets" : "assumed");
    }
    return rc;
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

/* Where stages have types, live tensors are part of their layers' costs: a layer that makes one,
 * or follows the one that does, is like no other. */
static bool is_by_a_producer(const uap_cost *cost, int32_t layer)
{
    for (int32_t i = 0; i < cost->model->n_live && cost->is_mixed; i++) {
        const int32_t from = cost->model->live[i].from;
        if (layer == from || layer == from + 1) {
            return true;
        }
    }
    return false;
}

/* And layers are alike only if they read the same ones. */
static bool reads_the_same(const uap_cost *cost, int32_t a, int32_t b)
{
    for (int32_t i = 0; i < cost->model->n_live && cost->is_mixed; i++) {
        const uap_model_live *tensor = &cost->model->live[i];
        if (cost_reads_live(tensor, a) != cost_reads_live(tensor, b)) {
            return false;
        }
    }
    return true;
}

/* As boundaries are only if they carry the same ones. */
static bool carries_the_same(const uap_cost *cost, int32_t a, int32_t b)
{
    for (int32_t i = 0; i < cost->model->n_live && cost->is_mixed; i++) {
        const uap_model_live *tensor = &cost->model->live[i];
        if (cost_crosses_live(tensor, a) != cost_crosses_live(tensor, b)) {
            return false;
        }
    }
    return true;
}

/* Number of the layer's kind, made when it is the first of it. */
static int32_t kind_of(uap_cost *cost, int32_t layer)
{
    const uap_layer *layers = cost->model->layer;
    const bool tied = is_tied(cost->model, layer);
    const bool is_alone = tied || is_by_a_producer(cost, layer);
    for (int32_t k = 0; k < cost->n_kinds && !is_alone; k++) {
        const int32_t other = cost->kind[k].layer;
        if (!cost->kind[k].is_alone && layers[other].shape == layers[layer].shape &&
            reads_the_same(cost, other, layer)) {
            return k;
        }
    }
    cost->kind[cost->n_kinds] =
        (cost_kind){.layer = layer, .is_tied = tied, .is_alone = is_alone};
    return cost->n_kinds++;
}

/* Number of the edge between the kinds of layer u and the next one. */
static int32_t edge_of(uap_cost *cost, int32_t u)
{
    const int32_t from = cost->layer_kind[u], to = cost->layer_kind[u + 1];
    for (int32_t i = 0; i < cost->n_edges; i++) {
        if (cost->edge[i].from == from && cost->edge[i].to == to &&
            carries_the_same(cost, cost->edge[i].layer, u)) {
            return i;
        }
    }
    cost->edge[cost->n_edges] = (cost_edge){.from = from, .to = to, .layer = u};
    return cost->n_edges++;
}

static uap_status list_kinds(uap_cost *cost, uap_err *err)
{
    const size_t n = (size_t)cost->model->n_layers;
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
            cost->layer_edge[u - 1] = edge_of(cost, (int32_t)u - 1);
        }
    }
    return UAP_OK;
}

static uap_status list_times(uap_cost *cost, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t g = 0; g < cost->n_groups; g++) {
        cost_group *group = &cost->group[g];
        group->times =
            uap_arena_alloc(cost->arena, (size_t)cost->n_kinds, sizeof *group->times);
        if (group->times == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for the measured layer times");
        }
        for (int32_t k = 0; k < cost->n_kinds; k++) {
            UAP_TRY(cost_kind_times(cost, group, k, err));
        }
    }
done:
    return rc;
}

/* ---- Configurations ---------------------------------------------------------------------- */

void cost_add_stage(uap_cost *cost, int32_t g, int64_t devices, bool is_pipelined)
{
    const cost_group *group = &cost->group[g];
    cost->stage[cost->n_stages++] =
        (cost_stage){.group = g,
                     .scope = {.cluster = group->cluster,
                               .links = group->links,
                               .devices = group->devices,
                               .stage_devices = devices,
                               .is_pipelined = is_pipelined,
                               .elem_bytes = uap_precision_bytes(cost->options.precision),
                               .tp_across_nodes = cost->options.tp_across_nodes,
                               .space = cost->options.space}};
}

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

/* Every pp that `stages` lists, with every divisor of the batch. */
static uap_status list_configurations(uap_cost *cost, const int64_t *stages,
                                      size_t n_stages, uap_err *err)
{
    int64_t counts[UAP_MAX_VALUES];
    const size_t n_counts = uap_divisors(cost->options.batch, counts, UAP_MAX_VALUES);
    cost->configuration =
        uap_arena_alloc(cost->arena, n_stages * n_counts * UAP_SCHEDULE_COUNT,
                        sizeof *cost->configuration);
    if (cost->configuration == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu x %zu configurations",
                        n_stages, n_counts);
    }
    for (size_t i = 0; i < n_stages && stages[i] <= cost->model->n_layers; i++) {
        list_of_stage(cost, (int32_t)stages[i], counts, n_counts);
    }
    return UAP_OK;
}

/* Alike devices: pp divides N, and all stages are of one size. */
static uap_status list_alike(uap_cost *cost, uap_err *err)
{
    int64_t stages[UAP_MAX_VALUES];
    const size_t n = uap_divisors(cost->devices, stages, UAP_MAX_VALUES);
    cost->stage = uap_arena_alloc(cost->arena, n, sizeof *cost->stage);
    if (cost->stage == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu stage sizes", n);
    }
    for (size_t i = 0; i < n && stages[i] <= cost->model->n_layers; i++) {
        cost_add_stage(cost, 0, cost->devices / stages[i], stages[i] > 1);
    }
    return list_configurations(cost, stages, n, err);
}

/* Unlike ones: any pp that stages of the smallest types allow. */
static uap_status list_unlike(uap_cost *cost, uap_err *err)
{
    int64_t most = 0;
    uap_status rc = cost_list_types(cost, &most, err);
    const size_t n = (size_t)uap_min_i64(most, cost->model->n_layers);
    int64_t *stages = rc == UAP_OK ? uap_calloc(n, sizeof *stages) : NULL;
    if (rc == UAP_OK && stages == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %zu stage counts", n);
    }
    for (size_t i = 0; i < n && rc == UAP_OK; i++) {
        stages[i] = (int64_t)i + 1;
    }
    if (rc == UAP_OK) {
        rc = list_configurations(cost, stages, n, err);
    }
    uap_free(stages);
    return rc;
}

/* ---- The interface ------------------------------------------------------------------------ */

uap_status uap_cost_new(const uap_model *model, const uap_cluster *cluster,
                        const uap_cost_options *options, uap_cost **out, uap_err *err)
{
    return uap_cost_new_within(model, cluster, options, NULL, out, err);
}

uap_status uap_cost_new_within(const uap_model *model, const uap_cluster *cluster,
                               const uap_cost_options *options, const uap_cost_rule *rule,
                               uap_cost **out, uap_err *err)
{
    uap_cost *cost = NULL;
    uap_status rc;
    *out = NULL;
    UAP_TRY(check_options(cluster, options, err));
    cost = uap_calloc(1, sizeof *cost);
    if (cost == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for the cost model");
    }
    cost->model = model;
    cost->cluster = cluster;
    cost->rule = rule;
    cost->arena = uap_arena_new();
    if (cost->arena == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for the cost model");
        goto done;
    }
    set_options(cost, options);
    UAP_TRY(set_groups(cost, err));
    UAP_TRY(list_kinds(cost, err));
    UAP_TRY(list_times(cost, err));
    rc = cost->is_mixed ? list_unlike(cost, err) : list_alike(cost, err);
    if (rc != UAP_OK) {
        goto done;
    }
    *out = cost;
    cost = NULL;
done:
    uap_cost_free(cost);
    return rc;
}

void uap_cost_free(uap_cost *cost)
{
    if (cost != NULL) {
        uap_cluster_groups_free(cost->joined);
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
    if (cost->is_mixed) {
        const cost_stage *stage = &cost->stage[origin / COST_MAX_STRATEGIES];
        return stage->strategy[origin % COST_MAX_STRATEGIES];
    }
    const int64_t d = cost->devices / cost->configuration[index].pp;
    int32_t i = 0;
    while (cost->stage[i].scope.stage_devices != d) {
        i++;
    }
    return cost->stage[i].strategy[origin];
}

const uap_cluster_groups *uap_cost_groups(const uap_cost *cost)
{
    return cost->joined;
}

const char *const *uap_cost_warnings(const uap_cost *cost)
{
    return cost->warning;
}
