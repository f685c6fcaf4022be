/* A plan as DeepSpeed's JSON configuration. Sources: docs/export.md. */
#include "plan/export_internal.h"

#include <inttypes.h>

static const uap_export_names names = {.dp = "zero_optimization",
                                       .fsdp = "zero_optimization",
                                       .tp = "tensor_parallel.autotp_size",
                                       .zero = "zero_optimization.stage",
                                       .sp = "tensor_parallel"};

static int zero_stage(const uap_strategy *s)
{
    return s->fsdp > 1 ? 3 : s->zero;
}

/* What the ranks of a strategy shard. */
static void check_sharding(uap_exporter *x, const uap_strategy *s)
{
    const int last = (int)x->plan->n_layers - 1;
    if (s->sp) {
        uap_export_refuse(x,
                          "layers 0-%d: sp; tensor_parallel of DeepSpeed has no sequence "
                          "parallelism",
                          last);
    }
    if (s->fsdp > 1 && s->dp > 1 && (s->zero > 0 || s->tp > 1)) {
        uap_export_refuse(x,
                          "layers 0-%d: fsdp %d with dp %d, zero %d, tp %d; DeepSpeed's "
                          "mics_shard_size replicates everything around stage 3, without "
                          "tensor_parallel",
                          last, (int)s->fsdp, (int)s->dp, (int)s->zero, (int)s->tp);
    }
}

/* What a PipelineModule adds. */
static void check_pipeline(uap_exporter *x, const uap_strategy *s)
{
    const int last = (int)x->plan->n_layers - 1;
    if (zero_stage(s) > 1) {
        uap_export_refuse(x,
                          "layers 0-%d: %s %d with pp %d; zero_optimization.stage of "
                          "DeepSpeed is 0 or 1 with a PipelineModule",
                          last, s->fsdp > 1 ? "fsdp" : "zero",
                          s->fsdp > 1 ? (int)s->fsdp : (int)s->zero, (int)x->plan->pp);
    }
    if (s->tp > 1) {
        uap_export_refuse(x,
                          "layers 0-%d: tp %d with pp %d; tensor_parallel.autotp_size of "
                          "DeepSpeed does not reach into a PipelineModule",
                          last, (int)s->tp, (int)x->plan->pp);
    }
    uap_export_schedule(x, UAP_SCHEDULE_1F1B, UAP_SCHEDULE_1F1B,
                        "its PipelineModule has no other");
}

/* Layers of DeepSpeed's "type:" are those whose class's name matches, whatever its case. */
#define BLOCK_CLASSES "type:block|decoderlayer|encoderlayer|transformerlayer"

/* Whether every stage has as many blocks, none in two stages, between an embedding and a
 * head. */
static bool blocks_are_even(const uap_exporter *x)
{
    const uap_plan *plan = x->plan;
    int32_t before = 0;
    for (int32_t i = 0; i < plan->pp; i++) {
        int32_t n = 0;
        for (int32_t u = plan->stage[i].first_layer; u <= plan->stage[i].last_layer;
             u++) {
            if (uap_export_is_end(x, u) && u > 0 && u + 1 < plan->n_layers) {
                return false;
            }
            n += !uap_export_is_end(x, u);
        }
        if (n == 0 || (i > 0 && n != before)) {
            return false;
        }
        before = n;
    }
    return true;
}

/* The splits that DeepSpeed can be told: "type:", as many blocks in each stage, or "uniform",
 * as many layers, with one more in the first stages where that does not divide. */
static const char *choose_split(uap_exporter *x)
{
    const uap_plan *plan = x->plan;
    if (blocks_are_even(x)) {
        return BLOCK_CLASSES;
    }
    const int32_t least = plan->n_layers / plan->pp, more = plan->n_layers % plan->pp;
    int32_t first = 0;
    for (int32_t i = 0; i < plan->pp; i++) {
        const int32_t last = first + least + (i < more) - 1;
        const uap_plan_stage *stage = &plan->stage[i];
        if (stage->first_layer != first || stage->last_layer != last) {
            uap_export_refuse(
                x,
                "layers %d-%d: stage %d; pipeline.partition of DeepSpeed "
                "gives as many blocks to every stage (\"type:\"), or as many "
                "layers (\"uniform\": %d-%d): it takes no list",
                (int)stage->first_layer, (int)stage->last_layer, (int)i, (int)first,
                (int)last);
        }
        first = last + 1;
    }
    return "uniform";
}

/* Recomputation: of all blocks of a PipelineModule, or of no layer. True: of all blocks. */
static bool recomputes(uap_exporter *x)
{
    bool some = false, blocks = x->plan->pp > 1;
    for (int32_t u = 0; u < x->plan->n_layers; u++) {
        const bool recompute = uap_export_strategy(x, u)->recompute;
        some = some || recompute;
        blocks = blocks && recompute != uap_export_is_end(x, u);
    }
    for (int32_t u = 0; some && !blocks && u < x->plan->n_layers; u++) {
        x->marked[u] = uap_export_strategy(x, u)->recompute;
    }
    uap_export_refuse_marked(x,
                             "recompute%s; DeepSpeed's only option is "
                             "pipeline.activation_checkpoint_interval, "
                             "for all blocks of a PipelineModule",
                             x->plan->pp > 1 ? " of some layers" : " with pp 1");
    return some && blocks;
}

static uap_jout *pipeline(uap_exporter *x)
{
    uap_jout *object = uap_jout_object();
    const bool recompute = recomputes(x);
    uap_jset_i64(object, "stages", x->plan->pp);
    uap_jset_str(object, "partition", choose_split(x));
    uap_jset_i64(object, "activation_checkpoint_interval", recompute ? 1 : 0);
    uap_export_note(x,
                    "pass pipeline.stages and pipeline.partition on as num_stages and "
                    "partition_method of the PipelineModule: its layers are the plan's, "
                    "blocks' classes match what follows \"type:\"");
    if (recompute) {
        uap_export_note(x, "pass the blocks' class on as checkpointable_layers of the "
                           "PipelineModule");
    }
    return object;
}

static uap_jout *zero_optimization(uap_exporter *x, const uap_strategy *s)
{
    uap_jout *object = uap_jout_object();
    uap_jset_i64(object, "stage", zero_stage(s));
    if (zero_stage(s) > 0) {
        uap_jset_bool(object, "overlap_comm", true);
    }
    if (s->fsdp > 1 && s->dp > 1) {
        uap_jset_i64(object, "mics_shard_size", s->fsdp);
        uap_export_note(x, "make the model under deepspeed.zero.MiCS_Init()");
    }
    return object;
}

static uap_jout *one_member(const char *key, int64_t value)
{
    uap_jout *object = uap_jout_object();
    uap_jset_i64(object, key, value);
    return object;
}

static uap_jout *enabled(void)
{
    uap_jout *object = uap_jout_object();
    uap_jset_bool(object, "enabled", true);
    return object;
}

void uap_export_deepspeed(uap_exporter *x)
{
    const uap_plan *plan = x->plan;
    const uap_strategy s = uap_export_one_strategy(x, &names);
    uap_jout *root = uap_jout_object();
    x->out->json = root;
    check_sharding(x, &s);
    if (plan->pp > 1) {
        check_pipeline(x, &s);
        uap_jset(root, "pipeline", pipeline(x));
    } else {
        (void)recomputes(x);
    }
    uap_jset_i64(root, "train_batch_size", plan->batch);
    uap_jset_i64(root, "train_micro_batch_size_per_gpu", uap_export_samples(x, &s));
    uap_jset_i64(root, "gradient_accumulation_steps", plan->micro_batches);
    uap_jset(root, "zero_optimization", zero_optimization(x, &s));
    if (s.tp > 1) {
        uap_jset(root, "tensor_parallel", one_member("autotp_size", s.tp));
    }
    if (plan->options.cost.precision != UAP_FP32) {
        uap_jset(root, uap_export_precision(x), enabled());
    }
}
