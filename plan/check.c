/* The check as a whole: what the plan says of its inputs, whether it is legal, and its
 * numbers against the derived ones, which it is then given. */
#include "plan/check_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define WHERE_TEXT 64
#define IDS_TEXT   512

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
    const uap_cluster *cluster = setting->file;
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

/* The caller frees out->groups. */
static uap_status make_setting(const uap_plan *plan, const uap_model *model,
                               const uap_cluster *cluster, uap_check_setting *out,
                               uap_cluster_groups **groups, uap_err *err)
{
    const uap_cost_options *options = &plan->options.cost;
    const int64_t have = uap_cluster_devices(cluster);
    const int64_t devices =
        options->devices > 0 && options->devices < have ? options->devices : have;
    *out = (uap_check_setting){.model = model,
                               .file = cluster,
                               .options = options,
                               .elem = options->precision == UAP_FP32 ? 4 : 2,
                               .paper = options->cost == UAP_COST_PAPER};
    const uap_status rc = uap_cluster_groups_new(cluster, devices, groups, err);
    if (rc == UAP_OK) {
        out->groups = *groups;
        uap_check_set_group(out, 0);
    }
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

/* The class of a device by its number. */
static const char *class_at(const uap_cluster *cluster, int64_t device)
{
    int32_t g = 0;
    for (int64_t left = device; g + 1 < cluster->n_groups; g++) {
        left -= (int64_t)cluster->group[g].nodes * cluster->group[g].devices_per_node;
        if (left < 0) {
            break;
        }
    }
    return cluster->device_class[cluster->group[g].device_class].name;
}

/* Device numbers and class of a stage; those of the plan are replaced. */
static bool settle_devices(uap_plan *plan, const uap_check_setting *setting, int32_t i,
                           uap_check *check)
{
    uap_plan_stage *stage = &plan->stage[i];
    char where[WHERE_TEXT], found[IDS_TEXT] = "", expected[IDS_TEXT];
    int64_t ends[2];
    if (!uap_check_ids(setting, plan->pp, i, expected, sizeof expected, ends)) {
        return false;
    }
    if (stage->device_ids != NULL) {
        (void)snprintf(found, sizeof found, "%s", stage->device_ids);
    } else if (stage->first_device >= 0) {
        (void)snprintf(found, sizeof found, "%" PRId64 "-%" PRId64, stage->first_device,
                       stage->last_device);
    }
    (void)snprintf(where, sizeof where, "stage %d: device_ids", (int)i);
    uap_check_text(check, where, found, expected);
    stage->first_device = ends[0];
    stage->last_device = ends[1];
    stage->device_ids =
        strchr(expected, ',') != NULL ? uap_plan_string(plan, expected) : NULL;
    const char *name = uap_plan_string(plan, class_at(setting->file, ends[0]));
    if (name == NULL) {
        return false;
    }
    (void)snprintf(where, sizeof where, "stage %d: device_class", (int)i);
    uap_check_text(check, where, stage->device_class, name);
    stage->device_class = name;
    return true;
}

/* One stage: times, memory. */
static void settle_stage(uap_plan *plan, const uap_check_setting *setting, int32_t i,
                         const uap_check_stage *derived, uap_check *check)
{
    uap_plan_stage *stage = &plan->stage[i];
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
    } count[] = {{"memory_bytes", &stage->memory_bytes, derived->memory},
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

/* Of unlike devices the stages' own numbers add up to those in use. */
static void settle_count(uap_plan *plan, const uap_check_setting *setting,
                         uap_check *check)
{
    int64_t used = 0;
    for (int32_t i = 0; i < plan->pp; i++) {
        used += setting->of_stage[i].stage_devices;
    }
    if (plan->status != UAP_PLAN_HAND_WRITTEN) {
        uap_check_i64(check, "device_count", plan->device_count, used);
    }
    plan->device_count = used;
}

static uap_status derive(uap_plan *plan, const uap_check_setting *setting,
                         uap_check *check, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t ticks = 0;
    uap_check_stage *stage =
        uap_arena_alloc(check->arena, (size_t)plan->pp, sizeof *stage);
    if (stage == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory checking a plan");
        goto done;
    }
    UAP_TRY(uap_check_stages(setting, plan, stage, err));
    UAP_TRY(uap_check_iteration(setting, stage, &ticks, err));
    UAP_TRY(settle_layers(plan, setting->model, check, err));
    if (uap_check_is_mixed(setting)) {
        settle_count(plan, setting, check);
    }
    check->derived = true;
    check->fits = true;
    for (int32_t i = 0; i < plan->pp; i++) {
        if (!settle_devices(plan, setting, i, check)) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory checking a plan");
            goto done;
        }
        settle_stage(plan, uap_check_at(setting, i), i, &stage[i], check);
    }
    settle_value(plan, ticks, check);
    if (!plan->options.stated) {
        plan->options.stated = true;
        plan->options.cost.schedules = 1u << plan->schedule;
    }
done:
    return rc;
}

/* What the devices have: of unlike ones the class that the needs speak of, else the first. */
static int64_t cap_of_needs(const uap_plan_needs *needs, const uap_check_setting *setting)
{
    uap_check_setting one = *setting;
    for (int32_t g = 0; g < setting->groups->n; g++) {
        uap_check_set_group(&one, g);
        if (one.cap == needs->memory_cap_bytes) {
            return one.cap;
        }
    }
    return setting->cap;
}

/* An infeasible plan: its needs must agree with each other and with the inputs. */
static void compare_needs(const uap_plan *plan, const uap_check_setting *setting,
                          uap_check *check)
{
    const uap_plan_needs *needs = &plan->needs;
    if (!needs->known) {
        return;
    }
    const int64_t cap = cap_of_needs(needs, setting);
    uap_check_i64(check, "needs.memory_cap_bytes", needs->memory_cap_bytes, cap);
    if (needs->memory_bytes <= cap) {
        uap_check_note(check,
                       "needs.memory_bytes: found %" PRId64
                       ", expected more than the %" PRId64 " that a device has",
                       needs->memory_bytes, cap);
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
    uap_cluster_groups *groups = NULL;
    uap_cluster whole = {0};
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
    UAP_TRY(uap_cluster_grow(cluster, plan->options.cost.devices, &whole, err));
    UAP_TRY(make_setting(plan, model, &whole, &setting, &groups, err));
    UAP_TRY(settle_inputs(plan, &setting, &check, err));
    if (plan->status != UAP_PLAN_INFEASIBLE && uap_check_is_mixed(&setting)) {
        setting.of_stage =
            uap_arena_alloc(check.arena, (size_t)plan->pp, sizeof *setting.of_stage);
        if (setting.of_stage == NULL) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory checking a plan");
            goto done;
        }
    }
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        compare_needs(plan, &setting, &check);
    } else if (uap_check_legal(plan, &setting, &check)) {
        UAP_TRY(derive(plan, &setting, &check, err));
    }
    *out = check;
    check = (uap_check){0};
done:
    uap_check_free(&check);
    uap_cluster_groups_free(groups);
    uap_cluster_grown_free(&whole);
    return rc;
}
