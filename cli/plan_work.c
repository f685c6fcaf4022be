/* One device count of `plan` (cli/plan_work.h). */
#include "cli/plan_work.h"

#include "cli/stop.h"
#include "common/log.h"
#include "common/numbers.h"
#include "common/room.h"
#include "configs/cluster_grow.h"
#include "plan/enough.h"
#include "plan/plan_build.h"

#include <inttypes.h>
#include <stdio.h>

uap_status uap_plan_work_options(const uap_plan_request *r, uap_plan_options *options,
                                 uap_err *err)
{
    const struct {
        bool given;
        const char *option, *what;
    } required[] = {
        {r->model != NULL, "-m/--model", "a config.json or its directory"},
        {r->cluster != NULL, "-c/--cluster", "a cluster profile"},
        {r->batch > 0, "-b/--batch", "the global batch in samples"},
        {r->output != NULL || r->sweep != NULL, "-o/--output", "where the plan goes"}};
    const struct {
        bool clashes;
        const char *option, *expected;
    } with_sweep[] = {
        {r->sweep != NULL && r->devices > 0, "--devices", "without --sweep-devices"},
        {r->sweep != NULL && r->dump != NULL, "--dump-instances",
         "without --sweep-devices"},
        {r->target != UAP_TARGET_NONE && r->dump != NULL, "--dump-instances",
         "without --for"},
        {r->sweep == NULL && r->plans != NULL, "--plans", "with --sweep-devices"},
        {uap_room_here() != NULL && r->dump != NULL, "--dump-instances",
         "without --connect"},
        {uap_room_here() != NULL && r->plans != NULL, "--plans", "without --connect"}};
    for (size_t i = 0; i < sizeof required / sizeof required[0]; i++) {
        if (!required[i].given) {
            return UAP_FAIL(err, BAD_USAGE, "%s: not given, expected %s",
                            required[i].option, required[i].what);
        }
    }
    for (size_t i = 0; i < sizeof with_sweep / sizeof with_sweep[0]; i++) {
        if (with_sweep[i].clashes) {
            return UAP_FAIL(err, BAD_USAGE, "%s: expected only %s", with_sweep[i].option,
                            with_sweep[i].expected);
        }
    }
    uap_cost_options *cost = &options->cost;
    *options =
        (uap_plan_options){.cost = {.batch = r->batch,
                                    .precision = (uap_precision)r->precision,
                                    .optimizer = (uap_optimizer)r->optimizer,
                                    .cost = (uap_cost_model)r->cost,
                                    .schedules = r->schedule == UAP_SCHEDULE_COUNT
                                                     ? (1u << UAP_SCHEDULE_COUNT) - 1
                                                     : 1u << r->schedule,
                                    .devices = r->devices,
                                    .memory_bytes = r->memory_bytes,
                                    .reserve_bytes = r->reserve_bytes,
                                    .tp_across_nodes = r->tp_across_nodes},
                           .operator_granularity = r->granularity == 1,
                           .target = (uap_target)r->target,
                           .seed = r->seed};
    uap_search_args_note(&r->search, options);
    if (!uap_space_by_names(r->space, &cost->space)) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--space: found '%.80s', expected names from dp, fsdp, zero, tp, "
                        "sp, recompute separated by commas, or all, or paper",
                        r->space);
    }
    return UAP_OK;
}

uap_status uap_plan_work_load(uap_plan_work *w, const uap_plan_request *r, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_model_options model = {
        .seq = r->seq, .operator_granularity = w->options.operator_granularity};
    UAP_TRY(uap_model_load(r->model, &model, &w->model, err));
    UAP_TRY(uap_cluster_load(r->cluster, &w->cluster, err));
done:
    return rc;
}

static void free_point(uap_plan_work *w)
{
    uap_plan_free(w->plan);
    uap_result_free(&w->result);
    uap_target_space_free(w->space);
    uap_cost_free(w->cost);
    uap_cluster_grown_free(&w->whole);
    w->plan = NULL;
    w->result = (uap_result){.config = -1};
    w->space = NULL;
    w->cost = NULL;
}

void uap_plan_work_free(uap_plan_work *w)
{
    free_point(w);
    uap_cluster_free(w->cluster);
    uap_model_free(w->model);
}

uap_status uap_plan_work_point(uap_plan_work *w, int64_t devices, uap_err *err)
{
    uap_status rc = UAP_OK;
    free_point(w);
    w->options.cost.devices = devices;
    UAP_TRY(uap_cluster_grow(w->cluster, devices, &w->whole, err));
    UAP_TRY(uap_cost_new(w->model, &w->whole, &w->options.cost, &w->cost, err));
    if (w->options.target != UAP_TARGET_NONE) {
        UAP_TRY(uap_target_space_new(w->model, &w->whole, &w->options, &w->space, err));
    }
done:
    return rc;
}

uap_source uap_plan_work_source(uap_plan_work *w)
{
    return w->space != NULL ? uap_target_space_source(w->space)
                            : uap_cost_source(w->cost);
}

/* The gap is not among it: nodes left within one are kept. */
void uap_plan_work_inputs(const uap_plan_work *w, const uap_plan_request *r,
                          uap_inputs *inputs)
{
    const uap_cost_options *cost = &w->options.cost;
    char space[UAP_SPACE_TEXT];
    *inputs = (uap_inputs){0};
    uap_inputs_note(inputs, "program", "%s", UAP_VERSION);
    uap_inputs_note(inputs, "model", "%s", w->model->sha256);
    uap_inputs_note(inputs, "cluster", "%s", w->cluster->sha256);
    uap_inputs_note(inputs, "batch", "%" PRId64, cost->batch);
    uap_inputs_note(inputs, "seq", "%" PRId64, w->model->seq);
    uap_inputs_note(inputs, "precision", "%s", uap_precision_name(cost->precision));
    uap_inputs_note(inputs, "optimizer", "%s",
                    cost->optimizer == UAP_ADAM ? "adam" : "sgd");
    uap_inputs_note(inputs, "schedule", "%s",
                    r->schedule == UAP_SCHEDULE_COUNT
                        ? "all"
                        : uap_schedule_name((uap_schedule)r->schedule));
    uap_inputs_note(inputs, "for", "%s", uap_target_name(w->options.target));
    uap_inputs_note(inputs, "cost", "%s", r->cost == 0 ? "full" : "paper");
    uap_inputs_note(inputs, "space", "%s", uap_space_names(cost->space, space));
    uap_inputs_note(inputs, "granularity", "%s",
                    w->options.operator_granularity ? "operator" : "block");
    uap_inputs_note(inputs, "devices", "%" PRId64, cost->devices);
    uap_inputs_note(inputs, "memory-bytes", "%" PRId64, cost->memory_bytes);
    uap_inputs_note(inputs, "reserve-bytes", "%" PRId64, cost->reserve_bytes);
    uap_inputs_note(inputs, "tp-across-nodes", "%d", cost->tp_across_nodes ? 1 : 0);
}

/* Where no configuration is legal: what the whole space suggests need not be of help. */
static uap_status explain_target(const uap_plan_work *w, uap_err *err)
{
    char text[192];
    if (w->space == NULL || w->plan->reason == NULL || w->result.shortage.known) {
        return UAP_OK;
    }
    (void)snprintf(
        text, sizeof text,
        "of a batch of %" PRId64 " over %" PRId64
        " devices nothing can be told to %s; another batch or device count may do",
        w->options.cost.batch, w->plan->device_count, uap_target_name(w->options.target));
    w->plan->reason = uap_plan_string(w->plan, text);
    return w->plan->reason != NULL ? UAP_OK
                                   : UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
}

/* Says in the plan that part of its machine is on paper. */
static uap_status note_grown(const uap_plan_work *w, uap_err *err)
{
    const int64_t devices = w->options.cost.devices;
    char note[UAP_GROWN_TEXT];
    if (devices > uap_cluster_devices(w->cluster) &&
        !uap_plan_warn(w->plan, uap_cluster_grown_note(w->cluster, devices, note))) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    return UAP_OK;
}

/* The result in the terms of one cost model: of several, that of its configuration. */
static uap_cost *own_cost(const uap_plan_work *w, uap_result *own)
{
    uap_cost *cost = w->cost;
    *own = w->result;
    if (w->space != NULL && own->config >= 0) {
        cost = uap_target_space_cost(w->space, own->config, &own->config);
    } else if (w->space != NULL && own->shortage.known) {
        cost =
            uap_target_space_cost(w->space, own->shortage.config, &own->shortage.config);
    }
    return cost;
}

uap_status uap_plan_work_finish(uap_plan_work *w, bool hints, uap_err *err)
{
    uap_result own;
    uap_plan_inputs in = {.model = w->model,
                          .cluster = &w->whole,
                          .cost = own_cost(w, &own),
                          .options = &w->options,
                          .result = &own,
                          .enough_devices = UAP_PLAN_UNSTATED,
                          .enough_memory = UAP_PLAN_UNSTATED};
    uap_status rc = UAP_OK;
    if (w->result.outcome == UAP_OUTCOME_UNKNOWN) {
        return UAP_OK;
    }
    const uap_shortage *shortage = &w->result.shortage;
    if (hints && w->space == NULL && w->result.outcome == UAP_OUTCOME_INFEASIBLE &&
        shortage->known) {
        UAP_LOG(INFO, GLOBAL, "nothing fits; trying larger device counts");
        in.enough_devices =
            uap_enough_devices(w->model, &w->whole, &w->options.cost, uap_stop_flag());
        if (shortage->is_bound && uap_cost_groups(w->cost)->n == 1) {
            const int64_t least =
                uap_max_i64(shortage->need_bytes, shortage->cap_bytes + 1) +
                w->options.cost.reserve_bytes;
            in.enough_memory = uap_enough_memory(w->model, &w->whole, &w->options.cost,
                                                 least, uap_stop_flag());
        }
    }
    UAP_TRY(uap_plan_build(&in, &w->plan, err));
    UAP_TRY(explain_target(w, err));
    rc = note_grown(w, err);
done:
    return rc;
}
