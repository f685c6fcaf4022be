/* Writing a plan as "uniap-plan" version 1 (docs/formats.md). What is unstated is left
 * out, so that a hand-written plan that was read and written says no more than before. */
#include "plan/plan_json.h"

#include <inttypes.h>
#include <stdio.h>

static void set_i64(uap_jout *object, const char *key, int64_t value)
{
    if (value >= 0) {
        uap_jset_i64(object, key, value);
    }
}

static void set_f64(uap_jout *object, const char *key, double value)
{
    /* Not >= 0 alone: a NaN must reach the writer, which refuses it. */
    if (!(value < 0)) {
        uap_jset_f64(object, key, value);
    }
}

static void set_str(uap_jout *object, const char *key, const char *value)
{
    if (value != NULL) {
        uap_jset_str(object, key, value);
    }
}

static uap_jout *write_stages(const uap_plan *plan)
{
    uap_jout *stages = uap_jout_array();
    for (int32_t i = 0; i < plan->pp; i++) {
        const uap_plan_stage *stage = &plan->stage[i];
        uap_jout *object = uap_jout_object();
        char ids[48];
        uap_jset_i64(object, "first_layer", stage->first_layer);
        uap_jset_i64(object, "last_layer", stage->last_layer);
        if (stage->first_device >= 0) {
            (void)snprintf(ids, sizeof ids, "%" PRId64 "-%" PRId64, stage->first_device,
                           stage->last_device);
            uap_jset_str(object, "device_ids",
                         stage->device_ids != NULL ? stage->device_ids : ids);
        }
        set_str(object, "device_class", stage->device_class);
        set_f64(object, "time_s", stage->time_s);
        set_f64(object, "transfer_s", stage->transfer_s);
        set_f64(object, "per_iteration_s", stage->per_iteration_s);
        set_i64(object, "memory_bytes", stage->memory_bytes);
        set_i64(object, "memory_cap_bytes", stage->memory_cap_bytes);
        uap_jadd(stages, object);
    }
    return stages;
}

static uap_jout *write_strategy(const uap_strategy *strategy)
{
    uap_jout *object = uap_jout_object();
    uap_jset_i64(object, "dp", strategy->dp);
    uap_jset_i64(object, "fsdp", strategy->fsdp);
    uap_jset_i64(object, "tp", strategy->tp);
    /* 0 to 2 say what the dp ranks shard; with no such ranks fsdp alone is ZeRO-3. */
    uap_jset_i64(object, "zero",
                 strategy->fsdp > 1 && strategy->dp == 1 ? 3 : strategy->zero);
    uap_jset_bool(object, "sp", strategy->sp);
    uap_jset_bool(object, "recompute", strategy->recompute);
    return object;
}

static uap_jout *write_layers(const uap_plan *plan)
{
    uap_jout *layers = uap_jout_array();
    for (int32_t u = 0; u < plan->n_layers; u++) {
        const uap_plan_layer *layer = &plan->layer[u];
        uap_jout *object = uap_jout_object();
        set_str(object, "name", layer->name);
        set_str(object, "type", layer->type);
        uap_jset_i64(object, "stage", layer->stage);
        if (layer->has_strategy) {
            uap_jset(object, "strategy", write_strategy(&layer->strategy));
        }
        set_str(object, "strategy_name", layer->strategy_name);
        uap_jadd(layers, object);
    }
    return layers;
}

static uap_jout *write_needs(const uap_plan_needs *needs)
{
    uap_jout *object = uap_jout_object();
    uap_jset_str(object, "schedule", uap_schedule_name(needs->schedule));
    uap_jset_i64(object, "pp", needs->pp);
    uap_jset_i64(object, "micro_batches", needs->micro_batches);
    uap_jset_i64(object, "stage", needs->stage);
    uap_jset_i64(object, "first_layer", needs->first_layer);
    uap_jset_i64(object, "last_layer", needs->last_layer);
    uap_jset_i64(object, "memory_bytes", needs->memory_bytes);
    uap_jset_i64(object, "memory_cap_bytes", needs->memory_cap_bytes);
    set_i64(object, "device_memory_bytes", needs->device_memory_bytes);
    set_i64(object, "device_count", needs->device_count);
    return object;
}

static const char *schedules_name(uint32_t schedules)
{
    for (int i = 0; i < UAP_SCHEDULE_COUNT; i++) {
        if (schedules == (uint32_t)1 << i) {
            return uap_schedule_name((uap_schedule)i);
        }
    }
    return "all";
}

uap_jout *uap_plan_json_options(const uap_plan_options *options)
{
    const uap_cost_options *cost = &options->cost;
    uap_jout *object = uap_jout_object();
    char space[UAP_SPACE_TEXT];
    uap_jset_str(object, "precision", uap_precision_name(cost->precision));
    uap_jset_str(object, "optimizer", cost->optimizer == UAP_SGD ? "sgd" : "adam");
    uap_jset_str(object, "schedule", schedules_name(cost->schedules));
    uap_jset_str(object, "cost", cost->cost == UAP_COST_PAPER ? "paper" : "full");
    uap_jset_str(object, "space", uap_space_names(cost->space, space));
    uap_jset_str(object, "granularity",
                 options->operator_granularity ? "operator" : "block");
    if (options->target != UAP_TARGET_NONE) {
        uap_jset_str(object, "for", uap_target_name(options->target));
    }
    if (cost->devices > 0) {
        uap_jset_i64(object, "devices", cost->devices);
    }
    if (cost->memory_bytes > 0) {
        uap_jset_i64(object, "memory_bytes", cost->memory_bytes);
    }
    uap_jset_i64(object, "reserve_bytes", cost->reserve_bytes);
    uap_jset_bool(object, "tp_across_nodes", cost->tp_across_nodes);
    uap_jset_str(object, "engine", uap_engine_name(options->engine));
    uap_jset_f64(object, "time_limit_s", options->time_limit_s);
    uap_jset_f64(object, "gap", options->gap);
    uap_jset_i64(object, "memory_limit_bytes", options->memory_limit_bytes);
    uap_jset_i64(object, "seed", options->seed);
    return object;
}

uap_jout *uap_plan_json_input(const uap_plan_input *input)
{
    uap_jout *object = uap_jout_object();
    set_str(object, "name", input->name);
    set_str(object, "source", input->source);
    set_str(object, "sha256", input->sha256[0] != '\0' ? input->sha256 : NULL);
    set_i64(object, "parameters", input->parameters);
    return object;
}

uap_jout *uap_plan_json_search(const uap_plan_search *search)
{
    uap_jout *object = uap_jout_object();
    uap_jset_f64(object, "wall_s", search->wall_s);
    uap_jset_f64(object, "cpu_s", search->cpu_s);
    uap_jset_i64(object, "ranks", search->ranks);
    uap_jset_i64(object, "nodes", search->nodes);
    uap_jset_i64(object, "configurations", search->configurations);
    uap_jset_i64(object, "illegal", search->illegal);
    uap_jset_i64(object, "infeasible", search->infeasible);
    uap_jset_i64(object, "pruned_by_bound", search->pruned_by_bound);
    uap_jset_i64(object, "labels", search->labels);
    uap_jset_i64(object, "linear_programs", search->programs);
    uap_jset_i64(object, "cbc_runs", search->cbc_runs);
    uap_jset_str(object, "engine", uap_engine_name(search->engine));
    return object;
}

static void write_answer(uap_jout *root, const uap_plan *plan)
{
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        set_str(root, "reason", plan->reason);
        if (plan->needs.known) {
            uap_jset(root, "needs", write_needs(&plan->needs));
        }
        return;
    }
    set_f64(root, "tpi_s", plan->tpi_s);
    set_f64(root, "bound_s", plan->bound_s);
    set_f64(root, "gap", plan->gap);
    set_f64(root, "throughput_samples_per_s", plan->throughput_samples_per_s);
    uap_jset_str(root, "schedule", uap_schedule_name(plan->schedule));
    uap_jset_i64(root, "pp", plan->pp);
    set_i64(root, "micro_batches", plan->micro_batches);
    uap_jset(root, "stages", write_stages(plan));
    uap_jset(root, "layers", write_layers(plan));
}

static uap_jout *write_plan(const uap_plan *plan)
{
    uap_jout *root = uap_jout_object();
    uap_jset_str(root, "format", "uniap-plan");
    uap_jset_i64(root, "version", 1);
    set_str(root, "status", uap_plan_status_name(plan->status));
    write_answer(root, plan);
    set_i64(root, "batch", plan->batch);
    set_i64(root, "seq", plan->seq);
    set_i64(root, "device_count", plan->device_count);
    uap_jout *warnings = uap_jout_array();
    for (int32_t i = 0; i < plan->n_warnings; i++) {
        uap_jadd_str(warnings, plan->warning[i]);
    }
    uap_jset(root, "warnings", warnings);
    if (plan->options.stated) {
        uap_jset(root, "options", uap_plan_json_options(&plan->options));
    }
    if (plan->model.name != NULL) {
        uap_jset(root, "model", uap_plan_json_input(&plan->model));
    }
    if (plan->cluster.name != NULL) {
        uap_jset(root, "cluster", uap_plan_json_input(&plan->cluster));
    }
    if (plan->instance.name != NULL) {
        uap_jset(root, "instance", uap_plan_json_input(&plan->instance));
    }
    if (plan->search.stated) {
        uap_jset(root, "search", uap_plan_json_search(&plan->search));
    }
    return root;
}

uap_status uap_plan_save(const uap_plan *plan, const char *path, uap_err *err)
{
    uap_jout *root = write_plan(plan);
    const uap_status rc = uap_jout_write(root, path, err);
    uap_jout_free(root);
    return rc;
}
