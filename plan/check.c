/* The check as a whole: what the plan says of its inputs, whether it is legal, and its
 * numbers against the derived ones, which it is then given. */
#include "plan/check_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WHERE_TEXT 64

static double seconds(int64_t ticks)
{
    return (double)ticks / UAP_CHECK_TICKS_PER_S;
}

/* Name, checksum and parameters of an input; then those of the file that was read. */
static bool settle_input(uap_plan *plan, uap_plan_input *input,
                         const uap_plan_input *truth, const char *what, uap_check *check)
{
    char where[WHERE_TEXT];
    (void)snprintf(where, sizeof where, "%s.sha256", what);
    uap_check_text(check, where, input->sha256, truth->sha256);
    (void)snprintf(where, sizeof where, "%s.name", what);
    uap_check_text(check, where, input->name, truth->name);
    (void)snprintf(where, sizeof where, "%s.parameters", what);
    uap_check_i64(check, where, input->parameters, truth->parameters);
    *input = *truth;
    input->name = uap_plan_string(plan, truth->name);
    input->source = uap_plan_string(plan, truth->source);
    return input->name != NULL && (input->source != NULL || truth->source == NULL);
}

static uap_status settle_inputs(uap_plan *plan, const uap_check_setting *setting,
                                uap_check *check, uap_err *err)
{
    const uap_model *model = setting->model;
    const uap_cluster *cluster = setting->cluster;
    uap_plan_input of_model = {
        .name = model->name, .source = model->source, .parameters = model->params};
    uap_plan_input of_cluster = {.name = cluster->name,
                                 .source = cluster->source_path,
                                 .parameters = UAP_PLAN_UNSTATED};
    memcpy(of_model.sha256, model->sha256, sizeof of_model.sha256);
    memcpy(of_cluster.sha256, cluster->sha256, sizeof of_cluster.sha256);
    uap_check_i64(check, "seq", plan->seq, model->seq);
    plan->seq = model->seq;
    if (!settle_input(plan, &plan->model, &of_model, "model", check) ||
        !settle_input(plan, &plan->cluster, &of_cluster, "cluster", check)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory checking a plan");
    }
    return UAP_OK;
}

/* All devices must be alike, as for the search. */
static uap_status one_class(const uap_cluster *cluster, const uap_device_class **out,
                            uap_err *err)
{
    const uap_node_group *first = &cluster->group[0];
    for (int32_t i = 1; i < cluster->n_groups; i++) {
        if (cluster->group[i].device_class != first->device_class ||
            cluster->group[i].devices_per_node != first->devices_per_node) {
            return UAP_FAIL(
                err, UNSUPPORTED,
                "cluster %s: node_groups: found unlike device classes or node "
                "sizes, expected one of each",
                cluster->name);
        }
    }
    *out = &cluster->device_class[first->device_class];
    return UAP_OK;
}

static uap_status make_setting(const uap_plan *plan, const uap_model *model,
                               const uap_cluster *cluster, uap_check_setting *out,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_cost_options *options = &plan->options.cost;
    *out = (uap_check_setting){.model = model,
                               .cluster = cluster,
                               .options = options,
                               .elem = options->precision == UAP_FP32 ? 4 : 2,
                               .paper = options->cost == UAP_COST_PAPER};
    UAP_TRY(one_class(cluster, &out->device, err));
    const int64_t memory =
        options->memory_bytes > 0 ? options->memory_bytes : out->device->memory_bytes;
    out->cap = memory > options->reserve_bytes ? memory - options->reserve_bytes : 0;
done:
    return rc;
}

static uap_status settle_layers(uap_plan *plan, const uap_model *model, uap_check *check,
                                uap_err *err)
{
    for (int32_t u = 0; u < plan->n_layers; u++) {
        uap_plan_layer *layer = &plan->layer[u];
        const char *name = model->layer[u].name;
        const char *type = uap_layer_type_name(model->layer[u].type);
        char where[WHERE_TEXT];
        (void)snprintf(where, sizeof where, "layer %d: name", (int)u);
        uap_check_text(check, where, layer->name, name);
        (void)snprintf(where, sizeof where, "layer %d: type", (int)u);
        uap_check_text(check, where, layer->type, type);
        layer->name = uap_plan_string(plan, name);
        layer->type = uap_plan_string(plan, type);
        if (layer->name == NULL || layer->type == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory checking a plan");
        }
    }
    return UAP_OK;
}

static void compare_fit(const uap_check_setting *setting, const uap_plan_stage *where,
                        int32_t i, int64_t memory, uap_check *check)
{
    if (memory > setting->cap) {
        check->fits = false;
        uap_check_note(check,
                       "stage %d (layers %d-%d): does not fit: needs %" PRId64
                       " bytes per device and has %" PRId64 ", %" PRId64 " bytes short",
                       (int)i, (int)where->first_layer, (int)where->last_layer, memory,
                       setting->cap, memory - setting->cap);
    }
}

/* One stage: devices, times, memory. `name` is the plan's own copy of the device class. */
static void settle_stage(uap_plan *plan, const uap_check_setting *setting, int32_t i,
                         const uap_check_stage *derived, const char *name,
                         uap_check *check)
{
    uap_plan_stage *stage = &plan->stage[i];
    const int64_t d = setting->stage_devices;
    char where[WHERE_TEXT];
    const struct {
        const char *field;
        double *found;
        int64_t ticks;
    } time[] = {{"time_s", &stage->time_s, derived->fwd + derived->bwd},
                {"transfer_s", &stage->transfer_s, derived->send_fwd + derived->send_bwd},
                {"per_iteration_s", &stage->per_iteration_s, derived->grad}};
    const struct {
        const char *field;
        int64_t *found, expected;
    } count[] = {{"device_ids, first", &stage->first_device, i * d},
                 {"device_ids, last", &stage->last_device, (i + 1) * d - 1},
                 {"memory_bytes", &stage->memory_bytes, derived->memory},
                 {"memory_cap_bytes", &stage->memory_cap_bytes, setting->cap}};
    for (size_t j = 0; j < sizeof time / sizeof time[0]; j++) {
        (void)snprintf(where, sizeof where, "stage %d: %s", (int)i, time[j].field);
        uap_check_seconds(check, where, *time[j].found, seconds(time[j].ticks));
        *time[j].found = seconds(time[j].ticks);
    }
    for (size_t j = 0; j < sizeof count / sizeof count[0]; j++) {
        (void)snprintf(where, sizeof where, "stage %d: %s", (int)i, count[j].field);
        uap_check_i64(check, where, *count[j].found, count[j].expected);
        *count[j].found = count[j].expected;
    }
    (void)snprintf(where, sizeof where, "stage %d: device_class", (int)i);
    uap_check_text(check, where, stage->device_class, name);
    stage->device_class = name;
    compare_fit(setting, stage, i, derived->memory, check);
}

/* Time per iteration, throughput, bound and gap. */
static void settle_value(uap_plan *plan, int64_t ticks, uap_check *check)
{
    const double tpi = seconds(ticks);
    uap_check_seconds(check, "tpi_s", plan->tpi_s, tpi);
    plan->tpi_s = tpi;
    if (tpi > 0) {
        const double rate = (double)plan->batch / tpi;
        const double room = 1e-9 * rate;
        const double found = plan->throughput_samples_per_s;
        if (!(found < 0) && !(found >= rate - room && found <= rate + room)) {
            uap_check_note(check,
                           "throughput_samples_per_s: found %.12g, expected %.12g, batch "
                           "/ tpi_s",
                           found, rate);
        }
        plan->throughput_samples_per_s = rate;
    }
    if (plan->bound_s < 0) {
        return;
    }
    if (plan->status == UAP_PLAN_OPTIMAL) {
        uap_check_seconds(check, "bound_s (of an optimal plan: tpi_s)", plan->bound_s,
                          tpi);
    } else if (plan->bound_s > tpi * (1 + 1e-9)) {
        uap_check_note(check, "bound_s: found %.12g, expected at most tpi_s, %.12g",
                       plan->bound_s, tpi);
    }
    if (plan->gap >= 0 && tpi > 0) {
        const double gap = plan->bound_s < tpi ? (tpi - plan->bound_s) / tpi : 0;
        if (!(plan->gap >= gap - 1e-9 && plan->gap <= gap + 1e-9)) {
            uap_check_note(check,
                           "gap: found %.12g, expected %.12g, (tpi_s - bound_s) / tpi_s",
                           plan->gap, gap);
        }
    }
}

static uap_status derive(uap_plan *plan, const uap_check_setting *setting,
                         uap_check *check, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t ticks = 0;
    uap_check_stage *stage =
        uap_arena_alloc(check->arena, (size_t)plan->pp, sizeof *stage);
    const char *name = uap_plan_string(plan, setting->device->name);
    if (stage == NULL || name == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory checking a plan");
        goto done;
    }
    UAP_TRY(uap_check_stages(setting, plan, stage, err));
    UAP_TRY(uap_check_iteration(setting, stage, &ticks, err));
    UAP_TRY(settle_layers(plan, setting->model, check, err));
    check->derived = true;
    check->fits = true;
    for (int32_t i = 0; i < plan->pp; i++) {
        settle_stage(plan, setting, i, &stage[i], name, check);
    }
    settle_value(plan, ticks, check);
    if (!plan->options.stated) {
        plan->options.stated = true;
        plan->options.cost.schedules = 1u << plan->schedule;
    }
done:
    return rc;
}

/* An infeasible plan: its needs must agree with each other and with the inputs. */
static void compare_needs(const uap_plan *plan, const uap_check_setting *setting,
                          uap_check *check)
{
    const uap_plan_needs *needs = &plan->needs;
    if (!needs->known) {
        return;
    }
    uap_check_i64(check, "needs.memory_cap_bytes", needs->memory_cap_bytes, setting->cap);
    if (needs->memory_bytes <= setting->cap) {
        uap_check_note(check,
                       "needs.memory_bytes: found %" PRId64
                       ", expected more than the %" PRId64 " that a device has",
                       needs->memory_bytes, setting->cap);
    }
    /* More where ties and live tensors make it more, unstated where nothing did. */
    const int64_t least = needs->memory_bytes + setting->options->reserve_bytes;
    if (needs->device_memory_bytes != UAP_PLAN_UNSTATED &&
        needs->device_memory_bytes < least) {
        uap_check_note(check,
                       "needs.device_memory_bytes: found %" PRId64 ", expected %" PRId64
                       " or more",
                       needs->device_memory_bytes, least);
    }
    if (needs->stage >= needs->pp || needs->first_layer > needs->last_layer ||
        needs->last_layer >= setting->model->n_layers) {
        uap_check_note(check,
                       "needs: found stage %d of %d, layers %d-%d, expected a stage of a "
                       "model of %d layers",
                       (int)needs->stage, (int)needs->pp, (int)needs->first_layer,
                       (int)needs->last_layer, (int)setting->model->n_layers);
    }
}

uap_status uap_check_plan(uap_plan *plan, const uap_model *model,
                          const uap_cluster *cluster, uap_check *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_check_setting setting;
    uap_check check = {.arena = uap_arena_new()};
    if (check.arena == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory checking a plan");
    }
    if (plan->instance.name != NULL) {
        rc = UAP_FAIL(err, BAD_INPUT,
                      "a plan for the bare instance %s: expected one for a model and a "
                      "cluster",
                      plan->instance.name);
        goto done;
    }
    UAP_TRY(make_setting(plan, model, cluster, &setting, err));
    UAP_TRY(settle_inputs(plan, &setting, &check, err));
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        compare_needs(plan, &setting, &check);
    } else if (uap_check_legal(plan, &setting, &check)) {
        UAP_TRY(derive(plan, &setting, &check, err));
    }
    *out = check;
    check = (uap_check){0};
done:
    uap_check_free(&check);
    return rc;
}
