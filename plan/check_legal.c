/* Whether a plan is one of the plans that docs/cost-model.md sections 1, 2 and 11 allow. */
#include "plan/check_internal.h"

#include <inttypes.h>
#include <stdio.h>

#define WHERE_TEXT 96

/* N, pp, c: false where stages or micro-batches would not be whole. */
static bool whole_configuration(const uap_plan *plan, uap_check_setting *setting,
                                uap_check *check)
{
    const int64_t have = uap_cluster_devices(setting->file);
    const int64_t before = check->n;
    const int64_t n = plan->device_count;
    const bool is_mixed = uap_check_is_mixed(setting);
    /* Of unlike devices a plan by hand may leave it out: its stages have their own. */
    const bool is_stated = !is_mixed || plan->status != UAP_PLAN_HAND_WRITTEN;
    if (is_stated && (n < 1 || n > have)) {
        uap_check_note(check, "device_count: found %" PRId64 ", expected 1 to %" PRId64,
                       n, have);
        return false;
    }
    if (!is_mixed && n % plan->pp != 0) {
        uap_check_note(check, "pp: found %d, expected a divisor of device_count %" PRId64,
                       (int)plan->pp, n);
    }
    if (plan->batch % plan->micro_batches != 0) {
        uap_check_note(check,
                       "micro_batches: found %" PRId64
                       ", expected a divisor of batch %" PRId64,
                       plan->micro_batches, plan->batch);
    }
    if (plan->n_layers != setting->model->n_layers) {
        uap_check_note(check, "layers: found %d, expected %d, those of model %s",
                       (int)plan->n_layers, (int)setting->model->n_layers,
                       setting->model->name);
    }
    return check->n == before;
}

/* What `uniap plan` chooses from; a plan by hand may take any schedule and device count. */
static void compare_choices(const uap_plan *plan, const uap_check_setting *setting,
                            uap_check *check)
{
    const uap_cost_options *options = setting->options;
    const bool is_made = plan->status != UAP_PLAN_HAND_WRITTEN;
    const bool is_mixed = uap_check_is_mixed(setting); /* then it is the stages' sum */
    if (options->devices > 0 && !is_mixed) {
        uap_check_i64(check, "device_count", plan->device_count, options->devices);
    } else if (is_made && !is_mixed) {
        uap_check_i64(check, "device_count", plan->device_count,
                      uap_cluster_devices(setting->file));
    }
    uint32_t allowed = options->schedules;
    if (plan->pp == 1) {
        allowed &= ~allowed + 1; /* pp = 1 is labelled with the first selected */
    }
    if (is_made && (allowed >> plan->schedule & 1) == 0) {
        uap_check_note(check, "schedule: not one that options.schedule selects%s",
                       plan->pp == 1 ? " first, as pp = 1 takes" : "");
    }
}

/* The degrees: false where the costs of such a layer would have no meaning. */
static bool whole_strategy(const uap_check_setting *setting, const uap_layer *layer,
                           const uap_strategy *k, const char *where, uap_check *check)
{
    const int64_t before = check->n;
    const int64_t ways = (int64_t)k->dp * k->fsdp; /* each at most 2^24 */
    const int64_t d = setting->stage_devices;
    if (d % k->tp != 0 || ways != d / k->tp) {
        uap_check_note(check,
                       "%s: dp * fsdp * tp: found %d * %d * %d, expected the %" PRId64
                       " devices of a stage",
                       where, (int)k->dp, (int)k->fsdp, (int)k->tp, d);
    }
    if (setting->samples % ways != 0) {
        uap_check_note(check,
                       "%s: dp * fsdp: found %" PRId64 ", expected a divisor of the "
                       "%" PRId64 " samples of a micro-batch",
                       where, ways, setting->samples);
    }
    if (!uap_layer_allows_tp(layer, k->tp)) {
        uap_check_note(check,
                       "%s: tp: found %d, expected a divisor of %" PRId64 " heads and "
                       "of feed-forward width %" PRId64,
                       where, (int)k->tp, layer->heads, layer->ffn);
    }
    if (k->zero > 0 && k->dp == 1) {
        uap_check_note(check, "%s: zero: found %d with dp 1, expected 0", where, k->zero);
    }
    if (k->sp && (k->tp == 1 || layer->tokens % k->tp != 0)) {
        uap_check_note(
            check, "%s: sp: found true with tp %d and %" PRId64 " tokens, expected false",
            where, (int)k->tp, layer->tokens);
    }
    return check->n == before;
}

/* Whether the options let a strategy be chosen that is legal in itself. */
static void compare_space(const uap_check_setting *setting, const uap_strategy *k,
                          const char *where, uap_check *check)
{
    const struct {
        uint32_t bit;
        bool used;
        const char *name;
    } dimension[] = {{UAP_SPACE_DP, k->dp > 1, "dp"},
                     {UAP_SPACE_FSDP, k->fsdp > 1, "fsdp"},
                     {UAP_SPACE_ZERO, k->zero > 0, "zero"},
                     {UAP_SPACE_TP, k->tp > 1, "tp"},
                     {UAP_SPACE_SP, k->sp, "sp"},
                     {UAP_SPACE_RECOMPUTE, k->recompute, "recompute"}};
    for (size_t i = 0; i < sizeof dimension / sizeof dimension[0]; i++) {
        if (dimension[i].used && (setting->options->space & dimension[i].bit) == 0) {
            uap_check_note(check, "%s: %s: in use, but options.space leaves it out",
                           where, dimension[i].name);
        }
    }
    if (k->tp > 1 && !setting->options->tp_across_nodes &&
        uap_cluster_group_span(setting->cluster, setting->n_devices, k->tp, 1) !=
            UAP_SPAN_NODE) {
        uap_check_note(check,
                       "%s: tp: found %d, which spans nodes, but options.tp_across_nodes "
                       "is off",
                       where, (int)k->tp);
    }
}

static bool legal_layers(const uap_plan *plan, const uap_check_setting *setting,
                         uap_check *check)
{
    bool whole = true;
    for (int32_t u = 0; u < plan->n_layers; u++) {
        const uap_layer *layer = &setting->model->layer[u];
        const uap_plan_layer *found = &plan->layer[u];
        char where[WHERE_TEXT];
        (void)snprintf(where, sizeof where, "layer %d (%s)", (int)u, layer->name);
        if (!found->has_strategy) {
            uap_check_note(check, "%s: strategy: found none, expected dp, fsdp, tp",
                           where);
            whole = false;
        } else if (!whole_strategy(uap_check_at(setting, found->stage), layer,
                                   &found->strategy, where, check)) {
            whole = false;
        } else {
            compare_space(uap_check_at(setting, found->stage), &found->strategy, where,
                          check);
        }
    }
    return whole;
}

static void compare_ties(const uap_plan *plan, const uap_model *model, uap_check *check)
{
    for (int32_t i = 0; i < model->n_ties; i++) {
        const int32_t a = model->tie[i][0], b = model->tie[i][1];
        const uap_strategy *s = &plan->layer[a].strategy, *t = &plan->layer[b].strategy;
        if (s->tp != t->tp || s->fsdp != t->fsdp) {
            uap_check_note(check,
                           "layer %d (%s): tp, fsdp: found %d, %d, expected %d, %d as in "
                           "layer %d, with which it shares parameters",
                           (int)b, model->layer[b].name, (int)t->tp, (int)t->fsdp,
                           (int)s->tp, (int)s->fsdp, (int)a);
        }
    }
}

bool uap_check_legal(const uap_plan *plan, uap_check_setting *setting, uap_check *check)
{
    compare_choices(plan, setting, check);
    if (!whole_configuration(plan, setting, check)) {
        return false;
    }
    setting->schedule = plan->schedule;
    setting->pp = plan->pp;
    setting->micro_batches = plan->micro_batches;
    setting->samples = plan->batch / plan->micro_batches;
    if (!uap_check_is_mixed(setting)) {
        setting->n_devices = plan->device_count;
        setting->stage_devices = plan->device_count / plan->pp;
    } else if (!uap_check_places(plan, setting, check)) {
        return false;
    }
    if (!legal_layers(plan, setting, check)) {
        return false;
    }
    compare_ties(plan, setting->model, check);
    return true;
}
