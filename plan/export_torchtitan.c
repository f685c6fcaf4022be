/* A plan for torchtitan: a Python module that sets a configuration's fields, or the TOML that
 * earlier releases read. Sources: docs/export.md. */
#include "plan/export_internal.h"

#include <inttypes.h>

static const uap_export_names names = {.dp = "parallelism.data_parallel_replicate_degree",
                                       .fsdp = "parallelism.data_parallel_shard_degree",
                                       .tp = "parallelism.tensor_parallel_degree",
                                       .zero = "parallelism.fsdp_reshard_after_forward",
                                       .sp = "parallelism.enable_sequence_parallel"};

/* What both forms say. */
typedef struct setting {
    int32_t replicate, shard, tp;
    bool sp, recompute;
    const char *reshard; /* "always", "never", "default" */
    const char *schedule;
    int64_t samples; /* per device and micro-batch */
} setting;

static void refuse_all(uap_exporter *x, const char *what, int degree, const char *why)
{
    uap_export_refuse(x,
                      "layers 0-%d: %s %d with pp %d and %" PRId64 " micro-batches; %s",
                      (int)x->plan->n_layers - 1, what, degree, (int)x->plan->pp,
                      x->plan->micro_batches, why);
}

/* Sharding. Within a pipeline step torch keeps gathered gradients until the last micro-batch,
 * which is ZeRO-1; between accumulation steps it never does. */
static void choose_sharding(uap_exporter *x, const uap_strategy *s, setting *out)
{
    const bool many = x->plan->micro_batches > 1, stages = x->plan->pp > 1;
    out->replicate = s->dp;
    out->shard = s->fsdp;
    out->reshard = s->fsdp > 1 ? "always" : "default";
    if (s->fsdp > 1 && many && stages) {
        refuse_all(x, "fsdp", s->fsdp,
                   "torchtitan's data_parallel_shard_degree keeps whole gradients until "
                   "the last micro-batch of a pipeline step (zero 1 is what it runs)");
    }
    if (s->zero == 0) {
        return;
    }
    if (s->fsdp > 1) {
        refuse_all(
            x, "fsdp", s->fsdp,
            "torchtitan's data_parallel_replicate_degree shards nothing: zero must "
            "be 0 around it");
    } else if (s->zero == 1 && many && !stages) {
        refuse_all(x, "zero", s->zero,
                   "torchtitan's data_parallel_shard_degree shards gradients after each "
                   "micro-batch (zero 2 is what it runs)");
    } else if (s->zero == 2 && many && stages) {
        refuse_all(x, "zero", s->zero,
                   "torchtitan's data_parallel_shard_degree keeps whole gradients until "
                   "the last micro-batch of a pipeline step (zero 1 is what it runs)");
    }
    out->replicate = 1;
    out->shard = s->dp;
    out->reshard = "never";
}

static bool choose_recompute(uap_exporter *x)
{
    return uap_export_same(x, &uap_export_recompute, "activation_checkpoint policy",
                           false) != 0;
}

static setting choose(uap_exporter *x)
{
    setting out = {.schedule =
                       x->plan->schedule == UAP_SCHEDULE_GPIPE ? "GPipe" : "1F1B"};
    const uap_strategy s = uap_export_one_strategy(x, &names);
    uap_export_find_blocks(x, false);
    uap_export_schedule(x, UAP_SCHEDULE_1F1B, UAP_SCHEDULE_GPIPE,
                        "parallelism.pipeline_parallel_schedule");
    choose_sharding(x, &s, &out);
    out.tp = s.tp;
    out.sp = s.sp;
    out.recompute = choose_recompute(x);
    out.samples = uap_export_samples(x, &s);
    if (x->plan->options.cost.precision == UAP_FP16) {
        uap_export_refuse(x,
                          "layers 0-%d: precision fp16; training.mixed_precision_param "
                          "of torchtitan is bfloat16 or float32",
                          (int)x->plan->n_layers - 1);
    }
    if (x->plan->seq < 1) {
        uap_export_refuse(x,
                          "the plan states no seq (tokens per sample), which torchtitan "
                          "counts batches in; `uniap check PLAN -o FILE` fills it in");
    }
    return out;
}

static const char *mixed_precision(const uap_exporter *x)
{
    return x->plan->options.cost.precision == UAP_FP32 ? "float32" : "bfloat16";
}

/* Modules of each stage as a list of lists of names. */
static void print_modules(uap_exporter *x, const char *head, const char *indent)
{
    const uap_plan *plan = x->plan;
    for (int32_t i = 0, k = 0; i < plan->pp; i++) {
        const char *comma = "";
        uap_export_print(x, "%s[", indent);
        if (i == 0) {
            uap_export_print(x, "\"tok_embeddings\"");
            comma = ", ";
        }
        for (; k < x->n_blocks && plan->layer[x->block[k].first].stage == i; k++) {
            uap_export_print(x, "%s\"layers.%d\"", comma, (int)k);
            comma = ", ";
        }
        if (i + 1 == plan->pp) {
            uap_export_print(x, "%s\"norm\", \"%s\"", comma, head);
        }
        uap_export_print(x, "],\n");
    }
}

static void print_parallelism(uap_exporter *x, const setting *s)
{
    static const char *const p = "    config.parallelism";
    uap_export_print(x, "%s.data_parallel_replicate_degree = %d\n", p, (int)s->replicate);
    uap_export_print(x, "%s.data_parallel_shard_degree = %d\n", p, (int)s->shard);
    uap_export_print(x, "%s.fsdp_reshard_after_forward = \"%s\"\n", p, s->reshard);
    uap_export_print(x, "%s.tensor_parallel_degree = %d\n", p, (int)s->tp);
    uap_export_print(x, "%s.enable_sequence_parallel = %s\n", p,
                     s->sp ? "True" : "False");
    uap_export_print(x, "%s.pipeline_parallel_degree = %d\n", p, (int)x->plan->pp);
    if (x->plan->pp > 1) {
        uap_export_print(x, "%s.pipeline_parallel_schedule = \"%s\"\n", p, s->schedule);
        uap_export_print(x, "%s.num_pp_microbatches = %" PRId64 "\n", p,
                         x->plan->micro_batches);
        uap_export_print(x, "%s.module_fqns_per_model_part = [\n", p);
        print_modules(x, "lm_head", "        ");
        uap_export_print(x, "    ]\n");
    }
}

void uap_export_torchtitan(uap_exporter *x)
{
    static const char *const t = "    config.training";
    const setting s = choose(x);
    const uap_plan *plan = x->plan;
    if (plan->seq < 1) {
        return; /* refused */
    }
    uap_export_print(x, "# A plan of uniap. A function for --config returns apply(its "
                        "Trainer.Config).\n");
    if (s.recompute) {
        uap_export_print(
            x, "from torchtitan.distributed.activation_checkpoint import FullAC\n");
    }
    uap_export_print(x, "\n\ndef apply(config):\n");
    print_parallelism(x, &s);
    uap_export_print(x, "%s.num_tokens_per_microbatch_per_dp_rank = %" PRId64 "\n", t,
                     s.samples * plan->seq);
    uap_export_print(x, "%s.num_tokens_per_train_step = %" PRId64 "\n", t,
                     plan->batch * plan->seq);
    uap_export_print(x, "%s.max_context_length = %" PRId64 "\n", t, plan->seq);
    uap_export_print(x, "%s.mixed_precision_param = \"%s\"\n", t, mixed_precision(x));
    uap_export_print(x, "    config.activation_checkpoint = %s\n",
                     s.recompute ? "FullAC.Config()" : "None");
    uap_export_print(x, "    return config\n");
}

/* What only the releases with TOML cannot do. */
static void check_toml(uap_exporter *x, const setting *s)
{
    const int last = (int)x->plan->n_layers - 1;
    if (s->tp > 1 && !s->sp) {
        uap_export_refuse(
            x,
            "layers 0-%d: tp %d without sp; torchtitan's releases with TOML "
            "have no enable_sequence_parallel and always run it",
            last, (int)s->tp);
    }
    if (s->replicate > 1 && s->shard == 1 && (s->tp > 1 || x->plan->pp > 1)) {
        uap_export_refuse(
            x,
            "layers 0-%d: dp %d with tp %d and pp %d; torchtitan's releases "
            "with TOML take data_parallel_replicate_degree alone, or with "
            "data_parallel_shard_degree",
            last, (int)s->replicate, (int)s->tp, (int)x->plan->pp);
    }
}

void uap_export_torchtitan_toml(uap_exporter *x)
{
    const setting s = choose(x);
    const uap_plan *plan = x->plan;
    /* With stages a step takes all micro-batches at once. */
    const int64_t at_once = plan->pp > 1 ? plan->micro_batches : 1;
    check_toml(x, &s);
    uap_export_print(x, "# A plan of uniap: merge into the job's configuration.\n");
    uap_export_print(x, "[training]\nlocal_batch_size = %" PRId64 "\n",
                     s.samples * at_once);
    uap_export_print(x, "global_batch_size = %" PRId64 "\nseq_len = %" PRId64 "\n",
                     plan->batch, plan->seq);
    uap_export_print(x, "mixed_precision_param = \"%s\"\n", mixed_precision(x));
    uap_export_print(x, "\n[parallelism]\n");
    uap_export_print(x, "data_parallel_replicate_degree = %d\n", (int)s.replicate);
    uap_export_print(x, "data_parallel_shard_degree = %d\n", (int)s.shard);
    uap_export_print(x, "fsdp_reshard_after_forward = \"%s\"\n", s.reshard);
    uap_export_print(x, "tensor_parallel_degree = %d\n", (int)s.tp);
    uap_export_print(x, "pipeline_parallel_degree = %d\n", (int)plan->pp);
    if (plan->pp > 1) {
        uap_export_print(x, "pipeline_parallel_schedule = \"%s\"\n", s.schedule);
        uap_export_print(x, "pipeline_parallel_microbatch_size = %" PRId64 "\n",
                         s.samples);
        uap_export_print(x, "module_fqns_per_model_part = [\n");
        print_modules(x, "output", "    ");
        uap_export_print(x, "]\n");
    }
    uap_export_print(x, "\n[activation_checkpoint]\nmode = \"%s\"\n",
                     s.recompute ? "full" : "none");
}
