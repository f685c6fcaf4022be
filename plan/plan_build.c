/* A plan out of a search result. Stage times and memory come from search/objective.h on
 * the instance that the result belongs to. */
#include "plan/plan_build.h"

#include "common/numbers.h"
#include "plan/place.h"
#include "plan/plan_table.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define GIB ((double)((int64_t)1 << 30))

static double seconds(int64_t ticks)
{
    return (double)ticks / (double)UAP_TICKS_PER_SECOND;
}

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory writing down a plan");
}

/* File name without directories and ".json". */
static const char *base_name(uap_plan *plan, const char *path)
{
    const char *slash = strrchr(path, '/');
    char name[128];
    (void)snprintf(name, sizeof name, "%s", slash != NULL ? slash + 1 : path);
    const size_t n = strlen(name);
    if (n > 5 && strcmp(name + n - 5, ".json") == 0) {
        name[n - 5] = '\0';
    }
    return uap_plan_string(plan, name);
}

static void fill_search(uap_plan *plan, const uap_result *result)
{
    const uap_search_stats *stats = &result->stats;
    plan->search = (uap_plan_search){
        .stated = true,
        .wall_s = stats->wall_s,
        .cpu_s = stats->total_s,
        .ranks = stats->ranks,
        .nodes = stats->nodes,
        .configurations = stats->configurations,
        .illegal = stats->illegal,
        .infeasible = stats->infeasible,
        .pruned_by_bound = stats->pruned_by_bound,
        .labels = stats->labels,
        .programs = stats->programs,
        .cbc_runs = stats->cbc_runs,
        .engine = plan->options.engine,
    };
}

/* tpi, bound and status. A result that stopped within a gap above 0 is feasible. */
static void fill_value(uap_plan *plan, const uap_result *result)
{
    const bool proven = result->outcome == UAP_OUTCOME_OPTIMAL &&
                        (plan->options.gap <= 0 || result->bound >= result->value);
    const int64_t bound = proven ? result->value : result->bound;
    plan->status = proven ? UAP_PLAN_OPTIMAL : UAP_PLAN_FEASIBLE;
    plan->tpi_s = seconds(result->value);
    plan->bound_s = seconds(uap_max_i64(bound, 0));
    plan->gap = result->value > 0 && bound < result->value
                    ? (plan->tpi_s - plan->bound_s) / plan->tpi_s
                    : 0;
    if (plan->batch > 0 && plan->tpi_s > 0) {
        plan->throughput_samples_per_s = (double)plan->batch / plan->tpi_s;
    }
}

/* The type of stage i: that of any of its rows. Only where there are types. */
static const uap_stage_type *type_of(const uap_instance *instance,
                                     const uap_choice *choice, int32_t i)
{
    const int32_t u = choice->first[i];
    return &instance->type[uap_table_of(instance, u)->type[choice->strategy[u]]];
}

static int64_t cap_of(const uap_instance *instance, const uap_choice *choice, int32_t i)
{
    return instance->n_types > 0
               ? uap_min_i64(instance->cap[i], type_of(instance, choice, i)->cap)
               : instance->cap[i];
}

/* Stages with their layers, times and memory; the layers' stages. */
static uap_status fill_stages(uap_plan *plan, const uap_instance *instance,
                              const uap_result *result, uap_err *err)
{
    int64_t value = 0;
    const int32_t pp = instance->pp;
    uap_stage_cost *cost = uap_arena_alloc(plan->arena, (size_t)pp, sizeof *cost);
    if (cost == NULL || !uap_plan_shape(plan, pp, instance->n_layers)) {
        return no_memory(err);
    }
    if (!uap_choice_value(instance, &result->choice, cost, &value) ||
        value != result->value) {
        return UAP_FAIL(err, INTERNAL,
                        "the search's plan is worth %" PRId64 " ticks, it said %" PRId64
                        ", or does not fit",
                        value, result->value);
    }
    plan->schedule = instance->schedule;
    plan->micro_batches = instance->micro_batches;
    for (int32_t i = 0; i < pp; i++) {
        uap_plan_stage *stage = &plan->stage[i];
        stage->first_layer = result->choice.first[i];
        stage->last_layer =
            (i + 1 < pp ? result->choice.first[i + 1] : instance->n_layers) - 1;
        stage->time_s = seconds(cost[i].fwd + cost[i].bwd);
        stage->transfer_s = seconds(cost[i].send_fwd + cost[i].send_bwd);
        stage->per_iteration_s = seconds(cost[i].grad);
        stage->memory_bytes = cost[i].memory;
        stage->memory_cap_bytes = cap_of(instance, &result->choice, i);
        for (int32_t u = stage->first_layer; u <= stage->last_layer; u++) {
            plan->layer[u].stage = i;
        }
    }
    return UAP_OK;
}

/* Name of the class of device number `device`; past the cluster's end, of its last. */
static const char *class_name(const uap_cluster *cluster, int64_t device)
{
    int64_t end = 0;
    const uap_node_group *group = cluster->group;
    for (int32_t i = 0; i < cluster->n_groups; i++) {
        group = &cluster->group[i];
        end += (int64_t)group->nodes * group->devices_per_node;
        if (device < end) {
            break;
        }
    }
    return cluster->device_class[group->device_class].name;
}

/* Unlike devices: stages are placed by their types, and what is left over is named. */
static uap_status place_stages(uap_plan *plan, const uap_plan_inputs *in,
                               const uap_instance *instance, uap_err *err)
{
    const uap_cluster_groups *groups = uap_cost_groups(in->cost);
    uap_place *place = uap_arena_alloc(plan->arena, (size_t)plan->pp, sizeof *place);
    if (place == NULL) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < plan->pp; i++) {
        const uap_stage_type *type = type_of(instance, &in->result->choice, i);
        place[i] = (uap_place){type->group, type->devices};
    }
    const uap_status rc = uap_plan_place(plan, groups, place, err);
    return rc == UAP_OK ? uap_plan_warn_left(plan, groups, place, err) : rc;
}

static uap_status fill_devices(uap_plan *plan, const uap_plan_inputs *in,
                               const uap_instance *instance, uap_err *err)
{
    const char *previous = NULL;
    const int64_t d = plan->device_count / plan->pp;
    for (int32_t i = 0; i < plan->pp; i++) {
        plan->stage[i].first_device = i * d;
        plan->stage[i].last_device = (i + 1) * d - 1;
    }
    if (instance->n_types > 0) {
        const uap_status rc = place_stages(plan, in, instance, err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    for (int32_t i = 0; i < plan->pp; i++) {
        uap_plan_stage *stage = &plan->stage[i];
        const char *name = class_name(in->cluster, stage->first_device);
        if (previous == NULL || strcmp(previous, name) != 0) {
            previous = uap_plan_string(plan, name);
        }
        stage->device_class = previous;
        if (previous == NULL) {
            return no_memory(err);
        }
    }
    return UAP_OK;
}

static uap_status fill_layers(uap_plan *plan, const uap_plan_inputs *in,
                              const uap_instance *instance, uap_err *err)
{
    const uap_result *result = in->result;
    for (int32_t u = 0; u < plan->n_layers; u++) {
        uap_plan_layer *layer = &plan->layer[u];
        const int32_t k = result->choice.strategy[u];
        layer->name = uap_plan_string(plan, in->model->layer[u].name);
        layer->type =
            uap_plan_string(plan, uap_layer_type_name(in->model->layer[u].type));
        layer->strategy = uap_cost_strategy(in->cost, result->config,
                                            uap_table_of(instance, u)->origin[k]);
        layer->has_strategy = true;
        if (layer->name == NULL || layer->type == NULL) {
            return no_memory(err);
        }
    }
    return UAP_OK;
}

static uap_status fill_feasible(uap_plan *plan, const uap_plan_inputs *in, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_instance *instance = NULL;
    const uap_source source = uap_cost_source(in->cost);
    UAP_TRY(source.build(source.context, in->result->config, &instance, err));
    if (instance == NULL) {
        rc = UAP_FAIL(err, INTERNAL, "the search chose an illegal configuration");
        goto done;
    }
    UAP_TRY(fill_stages(plan, instance, in->result, err));
    UAP_TRY(fill_layers(plan, in, instance, err));
    UAP_TRY(fill_devices(plan, in, instance, err));
    fill_value(plan, in->result);
done:
    uap_instance_free(instance);
    return rc;
}

/* What would do, as the end of a sentence. */
static void explain_remedies(const uap_plan_needs *needs, char *text, size_t n)
{
    char memory[64] = "no larger memory that was tried would do";
    char devices[64] = "; no larger device count that was tried would do";
    if (needs->device_memory_bytes > 0) {
        (void)snprintf(memory, sizeof memory, "--memory-gib %.2f would do",
                       ceil((double)needs->device_memory_bytes / GIB * 100) / 100);
    }
    if (needs->device_count > 0) {
        (void)snprintf(devices, sizeof devices, "%s--devices %" PRId64 "%s",
                       needs->device_memory_bytes > 0 ? ", or " : ", ",
                       needs->device_count,
                       needs->device_memory_bytes > 0 ? "" : " would do");
    }
    (void)snprintf(text, n, "%s%s", memory, devices);
}

/* What the tightest stage lacks, as the middle of a sentence. Where nothing fits although
 * a lower bound is within what there is, ties and live tensors are why. */
static void explain_lack(const uap_plan_needs *needs, char *text, size_t n)
{
    const int64_t bytes = needs->memory_bytes - needs->memory_cap_bytes;
    char need[UAP_QUANTITY_TEXT], cap[UAP_QUANTITY_TEXT], lack[UAP_QUANTITY_TEXT];
    char short_of[96] = "";
    if (bytes > 0) {
        (void)snprintf(short_of, sizeof short_of, ", %s (%" PRId64 " bytes) short",
                       uap_text_bytes(bytes, lack), bytes);
    }
    (void)snprintf(text, n, "needs %s%s per device and has %s%s%s%s%s",
                   needs->is_bound ? "at least " : "",
                   uap_text_bytes(needs->memory_bytes, need),
                   uap_text_bytes(needs->memory_cap_bytes, cap), short_of,
                   needs->is_bound ? "; tied layers, which share one layout, and live "
                                     "tensors, which keep theirs, "
                                   : "",
                   !needs->is_bound ? ""
                   : bytes > 0      ? "may "
                                    : "",
                   needs->is_bound ? "make it more" : "");
}

/* Of unlike devices no count or memory is tried: the class that lacks memory is named, if one has
 * just that much. */
static void explain_unlike(const uap_plan_inputs *in, char *text, size_t n)
{
    const uap_cost_options *options = &in->options->cost;
    const uap_cluster_groups *groups = uap_cost_groups(in->cost);
    const uap_device_class *found = NULL;
    int32_t n_found = 0;
    for (int32_t g = 0; g < groups->n; g++) {
        const uap_cluster *view = &groups->group[g].view;
        const uap_device_class *device = &view->device_class[view->group[0].device_class];
        const int64_t memory =
            options->memory_bytes > 0
                ? uap_min_i64(options->memory_bytes, device->memory_bytes)
                : device->memory_bytes;
        if (uap_max_i64(memory - options->reserve_bytes, 0) ==
            in->result->shortage.cap_bytes) {
            found = device;
            n_found++;
        }
    }
    (void)snprintf(text, n, "devices with more memory%s%.60s%s would do",
                   n_found == 1 ? " than " : "", n_found == 1 ? found->name : "",
                   n_found == 1 ? " has here" : "");
}

/* The needs as one sentence of at most n bytes. */
static void explain_needs(const uap_plan_needs *needs, const uap_plan_inputs *in,
                          char *text, size_t n)
{
    const uap_model *model = in->model;
    char lack[320], remedies[160];
    explain_lack(needs, lack, sizeof lack);
    if (uap_cost_groups(in->cost)->n > 1) {
        explain_unlike(in, remedies, sizeof remedies);
    } else {
        explain_remedies(needs, remedies, sizeof remedies);
    }
    (void)snprintf(text, n,
                   "no plan fits: in the most frugal one (%s, %d stage%s, %" PRId64
                   " micro-batch%s) stage %d, layers %d-%d (%s to %s), %s; %s",
                   uap_schedule_name(needs->schedule), (int)needs->pp,
                   needs->pp == 1 ? "" : "s", needs->micro_batches,
                   needs->micro_batches == 1 ? "" : "es", (int)needs->stage,
                   (int)needs->first_layer, (int)needs->last_layer,
                   model->layer[needs->first_layer].name,
                   model->layer[needs->last_layer].name, lack, remedies);
}

static uap_status fill_infeasible(uap_plan *plan, const uap_plan_inputs *in, uap_err *err)
{
    char text[1024] = "no plan fits";
    const uap_shortage *shortage = &in->result->shortage;
    const uap_search_stats *stats = &in->result->stats;
    plan->status = UAP_PLAN_INFEASIBLE;
    if (shortage->known) {
        const uap_configuration configuration =
            uap_cost_configuration(in->cost, shortage->config);
        const int64_t least = shortage->need_bytes + in->options->cost.reserve_bytes;
        const bool is_mixed = uap_cost_groups(in->cost)->n > 1;
        const int64_t enough = is_mixed             ? UAP_PLAN_UNSTATED
                               : shortage->is_bound ? in->enough_memory
                                                    : least;
        plan->needs = (uap_plan_needs){
            .known = shortage->need_bytes > shortage->cap_bytes,
            .is_bound = shortage->is_bound && enough != least,
            .schedule = configuration.schedule,
            .pp = configuration.pp,
            .micro_batches = configuration.micro_batches,
            .stage = shortage->stage,
            .first_layer = shortage->first,
            .last_layer = shortage->last,
            .memory_bytes = shortage->need_bytes,
            .memory_cap_bytes = shortage->cap_bytes,
            .device_memory_bytes = enough,
            .device_count = in->enough_devices,
        };
        explain_needs(&plan->needs, in, text, sizeof text);
    } else if (stats->illegal == stats->configurations) {
        uap_cost_suggest(in->cost, text, sizeof text);
    }
    plan->reason = uap_plan_string(plan, text);
    return plan->reason != NULL ? UAP_OK : no_memory(err);
}

static uap_status fill_inputs(uap_plan *plan, const uap_plan_inputs *in, uap_err *err)
{
    const uap_model *model = in->model;
    const uap_cluster *cluster = in->cluster;
    plan->options = *in->options;
    plan->options.stated = true;
    plan->batch = in->options->cost.batch;
    plan->seq = model->seq;
    plan->device_count = in->options->cost.devices > 0 ? in->options->cost.devices
                                                       : uap_cluster_devices(cluster);
    plan->model.name = uap_plan_string(plan, model->name);
    plan->model.source = uap_plan_string(plan, model->source);
    plan->model.parameters = model->params;
    memcpy(plan->model.sha256, model->sha256, sizeof plan->model.sha256);
    plan->cluster.name = uap_plan_string(plan, cluster->name);
    plan->cluster.source = uap_plan_string(plan, cluster->source_path);
    memcpy(plan->cluster.sha256, cluster->sha256, sizeof plan->cluster.sha256);
    bool complete = plan->model.name != NULL && plan->cluster.name != NULL;
    const char *const *warning = uap_cost_warnings(in->cost);
    for (size_t i = 0; warning != NULL && warning[i] != NULL; i++) {
        complete = uap_plan_warn(plan, warning[i]) && complete;
    }
    if (model->seq_is_assumed) {
        char text[96];
        (void)snprintf(text, sizeof text,
                       "no --seq given: %" PRId64 " tokens per sample are assumed",
                       model->seq);
        complete = uap_plan_warn(plan, text) && complete;
    }
    return complete ? UAP_OK : no_memory(err);
}

uap_status uap_plan_build(const uap_plan_inputs *in, uap_plan **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_plan *plan = uap_plan_new();
    if (plan == NULL) {
        rc = no_memory(err);
        goto done;
    }
    UAP_TRY(fill_inputs(plan, in, err));
    fill_search(plan, in->result);
    if (in->result->outcome == UAP_OUTCOME_INFEASIBLE) {
        UAP_TRY(fill_infeasible(plan, in, err));
    } else {
        UAP_TRY(fill_feasible(plan, in, err));
    }
    *out = plan;
    plan = NULL;
done:
    uap_plan_free(plan);
    return rc;
}

static uap_status name_layers(uap_plan *plan, const uap_instance *instance,
                              const uap_result *result, uap_err *err)
{
    for (int32_t u = 0; u < plan->n_layers; u++) {
        const uap_layer_table *table = uap_table_of(instance, u);
        const int32_t k = result->choice.strategy[u];
        char text[64];
        (void)snprintf(text, sizeof text, "layer.%d", (int)u);
        plan->layer[u].name = uap_plan_string(plan, text);
        (void)snprintf(text, sizeof text, "%d", (int)k);
        plan->layer[u].strategy_name =
            uap_plan_string(plan, table->name != NULL ? table->name[k] : text);
        if (plan->layer[u].name == NULL || plan->layer[u].strategy_name == NULL) {
            return no_memory(err);
        }
    }
    return UAP_OK;
}

static uap_status fill_instance_needs(uap_plan *plan, const uap_instance *instance,
                                      const uap_shortage *shortage, uap_err *err)
{
    char text[384] = "no plan fits";
    plan->status = UAP_PLAN_INFEASIBLE;
    if (shortage->known) {
        const int64_t lack = shortage->need_bytes - shortage->cap_bytes;
        char short_of[64] = "";
        plan->needs = (uap_plan_needs){
            .known = lack > 0,
            .is_bound = shortage->is_bound,
            .schedule = instance->schedule,
            .pp = instance->pp,
            .micro_batches = instance->micro_batches,
            .stage = shortage->stage,
            .first_layer = shortage->first,
            .last_layer = shortage->last,
            .memory_bytes = shortage->need_bytes,
            .memory_cap_bytes = shortage->cap_bytes,
            .device_memory_bytes = UAP_PLAN_UNSTATED,
            .device_count = UAP_PLAN_UNSTATED,
        };
        if (lack > 0) {
            (void)snprintf(short_of, sizeof short_of, ", %" PRId64 " bytes short", lack);
        }
        (void)snprintf(text, sizeof text,
                       "no plan fits: in the most frugal one stage %d, layers %d-%d, "
                       "needs %s%" PRId64 " bytes and has %" PRId64 "%s%s%s%s",
                       (int)shortage->stage, (int)shortage->first, (int)shortage->last,
                       shortage->is_bound ? "at least " : "", shortage->need_bytes,
                       shortage->cap_bytes, short_of,
                       shortage->is_bound ? "; tied layers and live tensors " : "",
                       shortage->is_bound && lack > 0 ? "may " : "",
                       shortage->is_bound ? "make it more" : "");
    }
    plan->reason = uap_plan_string(plan, text);
    return plan->reason != NULL ? UAP_OK : no_memory(err);
}

uap_status uap_plan_of_instance(const uap_instance *instance, const char *source,
                                const uap_plan_options *options, const uap_result *result,
                                uap_plan **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_plan *plan = uap_plan_new();
    if (plan == NULL) {
        rc = no_memory(err);
        goto done;
    }
    plan->options = *options;
    plan->instance.name = base_name(plan, source);
    plan->instance.source = uap_plan_string(plan, source);
    if (plan->instance.name == NULL || plan->instance.source == NULL) {
        rc = no_memory(err);
        goto done;
    }
    fill_search(plan, result);
    if (result->outcome == UAP_OUTCOME_INFEASIBLE) {
        UAP_TRY(fill_instance_needs(plan, instance, &result->shortage, err));
    } else {
        UAP_TRY(fill_stages(plan, instance, result, err));
        UAP_TRY(name_layers(plan, instance, result, err));
        fill_value(plan, result);
    }
    *out = plan;
    plan = NULL;
done:
    uap_plan_free(plan);
    return rc;
}
