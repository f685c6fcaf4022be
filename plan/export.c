/* Exporting a plan: what holds for every framework, and the choice of the target. */
#include "plan/export.h"

#include "common/file.h"
#include "plan/export_internal.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const struct target {
    const char *framework;
    void (*write)(uap_exporter *x);
} targets[UAP_EXPORT_TARGET_COUNT] = {
    [UAP_EXPORT_MEGATRON] = {"Megatron-LM", uap_export_megatron},
    [UAP_EXPORT_DEEPSPEED] = {"DeepSpeed", uap_export_deepspeed},
    [UAP_EXPORT_TORCHTITAN] = {"torchtitan", uap_export_torchtitan},
    [UAP_EXPORT_TORCHTITAN_TOML] = {"torchtitan", uap_export_torchtitan_toml},
    [UAP_EXPORT_GALVATRON] = {"Galvatron", uap_export_galvatron},
};

const char *uap_export_framework(uap_export_target target)
{
    return targets[target].framework;
}

/* The plan is one that can be run at all. */
static uap_status check_kind(const uap_plan *plan, uap_err *err)
{
    if (plan->status == UAP_PLAN_INFEASIBLE) {
        return UAP_FAIL(err, BAD_INPUT,
                        "found an infeasible plan, expected one with stages and layers");
    }
    if (plan->instance.name != NULL) {
        return UAP_FAIL(
            err, BAD_INPUT,
            "found a plan for a bare instance, expected one for a model and a "
            "cluster");
    }
    if (plan->batch < 1) {
        return UAP_FAIL(err, BAD_INPUT, "batch: not stated");
    }
    if (plan->batch % plan->micro_batches != 0) {
        return UAP_FAIL(err, BAD_INPUT,
                        "micro_batches: found %" PRId64
                        ", expected a divisor of batch, %" PRId64,
                        plan->micro_batches, plan->batch);
    }
    return UAP_OK;
}

static int64_t devices_of(const uap_strategy *s)
{
    int64_t devices = 0;
    if (__builtin_mul_overflow((int64_t)s->dp * s->fsdp, (int64_t)s->tp, &devices)) {
        return -1;
    }
    return devices;
}

/* A layer's type is known and its strategy splits its stage's devices and the micro-batch. */
static uap_status check_layer(uap_exporter *x, int32_t u, uap_err *err)
{
    const uap_plan_layer *layer = &x->plan->layer[u];
    if (!layer->has_strategy) {
        return UAP_FAIL(err, BAD_INPUT, "layer %d: found no strategy", (int)u);
    }
    if (layer->type == NULL || !uap_layer_type_by_name(layer->type, &x->type[u])) {
        return UAP_FAIL(err, BAD_INPUT,
                        "layer %d: type: found %s, expected one that `uniap model` knows "
                        "(`uniap check PLAN -o FILE` fills types in)",
                        (int)u, layer->type == NULL ? "none" : layer->type);
    }
    const uap_plan_stage *stage = &x->plan->stage[layer->stage];
    const int64_t devices = devices_of(&layer->strategy);
    const int64_t expected = devices_of(uap_export_strategy(x, stage->first_layer));
    if (devices < 1 || devices != expected) {
        return UAP_FAIL(err, BAD_INPUT,
                        "layer %d: dp * fsdp * tp: found %" PRId64
                        ", expected the stage's %" PRId64,
                        (int)u, devices, expected);
    }
    const int64_t ways = (int64_t)layer->strategy.dp * layer->strategy.fsdp;
    if (x->samples % ways != 0) {
        return UAP_FAIL(err, BAD_INPUT,
                        "layer %d: dp * fsdp: found %" PRId64
                        ", expected a divisor of the micro-batch, %" PRId64 " samples",
                        (int)u, ways, x->samples);
    }
    return UAP_OK;
}

/* No framework has stages of unlike sizes. True where all are alike. */
static bool stages_are_alike(uap_exporter *x)
{
    const uap_plan *plan = x->plan;
    const int64_t first = devices_of(uap_export_strategy(x, 0));
    for (int32_t i = 1; i < plan->pp; i++) {
        const uap_plan_stage *stage = &plan->stage[i];
        const int64_t devices = devices_of(uap_export_strategy(x, stage->first_layer));
        if (devices != first) {
            for (int32_t u = stage->first_layer; u <= stage->last_layer; u++) {
                x->marked[u] = true;
            }
            uap_export_refuse_marked(x,
                                     "stage %d has %" PRId64
                                     " devices and stage 0 %" PRId64
                                     "; all stages of %s are of one size",
                                     (int)i, devices, first, x->framework);
            return false;
        }
    }
    x->stage_devices = first;
    return true;
}

/* Frameworks number ranks stage by stage, so the stages' devices must be in that order. */
static void check_device_order(uap_exporter *x)
{
    for (int32_t i = 0; i < x->plan->pp; i++) {
        const uap_plan_stage *stage = &x->plan->stage[i];
        const int64_t first = i * x->stage_devices;
        if (stage->first_device != UAP_PLAN_UNSTATED &&
            (stage->first_device != first || stage->device_ids != NULL)) {
            uap_export_refuse(x,
                              "stage %d, layers %d-%d: device_ids %s%" PRId64 "-%" PRId64
                              ", but ranks %" PRId64 "-%" PRId64
                              " of %s are stage %d: start the ranks in that order, or on "
                              "these devices alone",
                              (int)i, (int)stage->first_layer, (int)stage->last_layer,
                              stage->device_ids != NULL ? "in parts from " : "",
                              stage->first_device, stage->last_device, first,
                              first + x->stage_devices - 1, x->framework, (int)i);
        }
    }
}

static uap_status check_shape(uap_exporter *x, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_plan *plan = x->plan;
    for (int32_t u = 0; u < plan->n_layers; u++) {
        UAP_TRY(check_layer(x, u, err));
    }
    if (stages_are_alike(x)) {
        const int64_t devices = x->stage_devices * plan->pp;
        if (plan->device_count != UAP_PLAN_UNSTATED && plan->device_count != devices) {
            rc =
                UAP_FAIL(err, BAD_INPUT,
                         "device_count: found %" PRId64 ", expected pp * dp * fsdp * tp, "
                         "%" PRId64,
                         plan->device_count, devices);
            goto done;
        }
        check_device_order(x);
    }
done:
    return rc;
}

uap_status uap_export_plan(const uap_plan *plan, uap_export_target target,
                           uap_export *out, uap_err *err)
{
    assert(target >= 0 && target < UAP_EXPORT_TARGET_COUNT);
    uap_status rc = UAP_OK;
    uap_exporter x = {.plan = plan, .framework = targets[target].framework, .out = out};
    *out = (uap_export){.arena = uap_arena_new()};
    if (out->arena == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory exporting a plan");
        goto done;
    }
    UAP_TRY(check_kind(plan, err));
    const size_t n = (size_t)plan->n_layers, pp = (size_t)plan->pp;
    out->line = uap_arena_alloc(out->arena, UAP_EXPORT_MAX_LINES, sizeof *out->line);
    x.type = uap_arena_alloc(out->arena, n, sizeof *x.type);
    x.marked = uap_arena_alloc(out->arena, n, sizeof *x.marked);
    x.block = uap_arena_alloc(out->arena, n, sizeof *x.block);
    x.stage_blocks = uap_arena_alloc(out->arena, pp, sizeof *x.stage_blocks);
    x.stage_recomputes = uap_arena_alloc(out->arena, pp, sizeof *x.stage_recomputes);
    x.samples = plan->batch / plan->micro_batches;
    if (out->line == NULL || x.type == NULL || x.marked == NULL || x.block == NULL ||
        x.stage_blocks == NULL || x.stage_recomputes == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory exporting a plan");
        goto done;
    }
    UAP_TRY(check_shape(&x, err));
    if (x.stage_devices > 0) {
        targets[target].write(&x);
    }
    if (x.no_memory) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory exporting a plan");
    }
done:
    if (rc != UAP_OK) {
        uap_export_free(out);
    }
    return rc;
}

uap_status uap_export_write(const uap_export *out, const char *path, uap_err *err)
{
    assert(out->n_refusals == 0);
    return out->json != NULL ? uap_jout_write(out->json, path, err)
                             : uap_file_write(path, out->text.at, out->text.n, err);
}

void uap_export_free(uap_export *out)
{
    uap_bytes_free(&out->text);
    uap_jout_free(out->json);
    uap_arena_free(out->arena);
    *out = (uap_export){0};
}
