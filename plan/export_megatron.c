/* A plan as arguments of Megatron-LM, one a line. Sources: docs/export.md. */
#include "plan/export_internal.h"

#include <inttypes.h>

static const uap_export_names names = {
    .dp = "data-parallel size",
    .fsdp = "--data-parallel-sharding-strategy",
    .tp = "--tensor-model-parallel-size",
    .zero = "--use-distributed-optimizer or --data-parallel-sharding-strategy",
    .sp = "--sequence-parallel"};

static bool has_cross(const uap_exporter *x)
{
    for (int32_t u = 0; u < x->plan->n_layers; u++) {
        if (x->type[u] == UAP_LAYER_CROSS_BLOCK ||
            x->type[u] == UAP_LAYER_CROSS_ATTENTION) {
            return true;
        }
    }
    return false;
}

/* Encoders with decoders fit where nothing is to be said of single layers. */
static void check_cross(uap_exporter *x)
{
    int32_t recomputed = 0;
    for (int32_t i = 0; i < x->plan->pp; i++) {
        recomputed += x->stage_recomputes[i];
    }
    const bool some = recomputed > 0 && recomputed < x->n_blocks;
    for (int32_t k = 0; k < x->n_blocks; k++) {
        const int32_t u = x->block[k].first;
        x->marked[u] = (x->plan->pp > 1 && x->plan->layer[u].stage > 0) ||
                       (some && uap_export_strategy(x, u)->recompute);
    }
    uap_export_refuse_marked(x,
                             "%s; an encoder with a decoder has neither "
                             "--pipeline-model-parallel-layout nor "
                             "--recompute-num-layers of its own in Megatron-LM",
                             x->plan->pp > 1 ? "behind the first stage"
                                             : "recompute of some blocks");
}

/* The stages' blocks as an option where they are not the even split of Megatron-LM. */
static void print_stages(uap_exporter *x)
{
    const int32_t pp = x->plan->pp;
    const int32_t first = x->stage_blocks[0];
    const int32_t last = x->stage_blocks[pp - 1];
    const int32_t middle = pp > 2 ? x->stage_blocks[1] : last;
    bool plain = first > 0 && middle > 0 && last > 0;
    for (int32_t i = 1; i + 1 < pp; i++) {
        plain = plain && x->stage_blocks[i] == middle;
    }
    if (plain && first != middle) {
        uap_export_print(x, "--decoder-first-pipeline-num-layers %d\n", (int)first);
    }
    if (plain && last != middle) {
        uap_export_print(x, "--decoder-last-pipeline-num-layers %d\n", (int)last);
    }
    if (plain) {
        return;
    }
    /* Written out, without "*" and "()": an unquoted $(...) must leave it as it is. */
    uap_export_print(x, "--pipeline-model-parallel-layout E");
    for (int32_t i = 0; i < pp; i++) {
        uap_export_print(x, "%s", i > 0 ? "|" : "");
        for (int32_t k = x->stage_blocks[i]; k > 0; k--) {
            uap_export_print(x, "t");
        }
    }
    uap_export_print(x, "L\n");
}

/* Which option a plan needs to shard what dp and fsdp ranks hold. */
static void print_sharding(uap_exporter *x, const uap_strategy *s)
{
    if (s->fsdp == 1 && s->zero < 2) {
        if (s->zero == 1) {
            uap_export_print(x, "--use-distributed-optimizer\n");
        }
        return;
    }
    uap_export_print(x, "--use-megatron-fsdp\n--ckpt-format fsdp_dtensor\n");
    uap_export_print(x, "--data-parallel-sharding-strategy %s\n",
                     s->fsdp > 1 ? "optim_grads_params" : "optim_grads");
    if (s->fsdp > 1 && s->dp > 1) {
        uap_export_print(x, "--num-distributed-optimizer-instances %d\n", (int)s->dp);
        uap_export_print(x, "--outer-dp-sharding-strategy %s\n",
                         s->zero == 1 ? "optim" : "no_shard");
    }
    uap_export_note(x, "Megatron-FSDP needs CUDA_DEVICE_MAX_CONNECTIONS unset");
}

static void print_data_parallel(uap_exporter *x, const uap_strategy *s)
{
    if (s->fsdp > 1 && s->zero == 2) {
        uap_export_refuse(
            x,
            "layers 0-%d: zero 2 of dp %d around fsdp %d; "
            "--outer-dp-sharding-strategy of Megatron-LM is no_shard or optim",
            (int)x->plan->n_layers - 1, (int)s->dp, (int)s->fsdp);
    }
    print_sharding(x, s);
    if (s->dp > 1 || s->fsdp > 1) {
        uap_export_print(x, "--overlap-grad-reduce\n");
    }
    if (s->fsdp > 1) {
        uap_export_print(x, "--overlap-param-gather\n");
    }
}

/* The number of blocks that most stages recompute. */
static int32_t usual_recomputes(uap_exporter *x)
{
    int32_t usual = 0;
    int32_t *count =
        uap_arena_alloc(x->out->arena, (size_t)x->n_blocks + 1, sizeof *count);
    if (count == NULL) {
        x->no_memory = true;
        return 0;
    }
    for (int32_t i = 0; i < x->plan->pp; i++) {
        const int32_t n = x->stage_recomputes[i];
        count[n]++;
        usual = count[n] > count[usual] ? n : usual;
    }
    return usual;
}

/* Names the recomputed layers of a stage, or where there are none all its blocks. */
static void refuse_recompute(uap_exporter *x, int32_t usual)
{
    for (int32_t i = 0; i < x->plan->pp; i++) {
        const int32_t n = x->stage_recomputes[i];
        const uap_plan_stage *stage = &x->plan->stage[i];
        for (int32_t u = stage->first_layer; n != usual && u <= stage->last_layer; u++) {
            x->marked[u] = !uap_export_is_end(x, u) &&
                           (n == 0 || uap_export_strategy(x, u)->recompute);
        }
        uap_export_refuse_marked(x,
                                 "recompute of %d blocks in stage %d, but of %d in most "
                                 "stages; Megatron-LM has one --recompute-num-layers for "
                                 "all stages",
                                 (int)n, (int)i, (int)usual);
    }
}

/* Whether in each stage no block is recomputed behind one that is not. */
static bool first_ones(const uap_exporter *x)
{
    for (int32_t k = 1; k < x->n_blocks; k++) {
        const int32_t u = x->block[k].first, before = x->block[k - 1].first;
        if (x->plan->layer[u].stage == x->plan->layer[before].stage &&
            uap_export_strategy(x, u)->recompute &&
            !uap_export_strategy(x, before)->recompute) {
            return false;
        }
    }
    return true;
}

static void print_recompute(uap_exporter *x)
{
    bool all = true, equal = true;
    const int32_t usual = usual_recomputes(x);
    for (int32_t i = 0; i < x->plan->pp; i++) {
        const int32_t n = x->stage_recomputes[i];
        all = all && n == x->stage_blocks[i];
        equal = equal && n == usual;
    }
    if (all) {
        uap_export_print(x, "--recompute-granularity full\n--recompute-method uniform\n"
                            "--recompute-num-layers 1\n");
    } else if (!equal) {
        refuse_recompute(x, usual);
    } else if (usual > 0) {
        uap_export_print(x, "--recompute-granularity full\n--recompute-method block\n");
        uap_export_print(x, "--recompute-num-layers %d\n", (int)usual);
        if (!first_ones(x)) {
            uap_export_note(x,
                            "Megatron-LM recomputes the first blocks of each stage, as "
                            "many as the plan but others; blocks are alike");
        }
    }
}

static void print_training(uap_exporter *x, const uap_strategy *s)
{
    const uap_plan *plan = x->plan;
    uap_export_print(x, "--micro-batch-size %" PRId64 "\n", uap_export_samples(x, s));
    uap_export_print(x, "--global-batch-size %" PRId64 "\n", plan->batch);
    if (plan->seq > 0 && has_cross(x)) {
        uap_export_print(x, "--encoder-seq-length %" PRId64 "\n", plan->seq);
        uap_export_print(x, "--decoder-seq-length %" PRId64 "\n", plan->seq);
    } else if (plan->seq > 0) {
        uap_export_print(x, "--seq-length %" PRId64 "\n", plan->seq);
    }
    uap_export_print(x, "--optimizer %s\n",
                     plan->options.cost.optimizer == UAP_SGD ? "sgd" : "adam");
    if (plan->options.cost.precision != UAP_FP32) {
        uap_export_print(x, "--%s\n", uap_export_precision(x));
    }
    if (plan->options.cost.precision == UAP_BF16) {
        uap_export_print(x,
                         "--grad-reduce-in-bf16\n"); /* two bytes, as the plan counts */
    }
}

void uap_export_megatron(uap_exporter *x)
{
    const bool cross = has_cross(x);
    const uap_strategy s = uap_export_one_strategy(x, &names);
    uap_export_find_blocks(x, cross);
    uap_export_schedule(x, UAP_SCHEDULE_1F1B, UAP_SCHEDULE_1F1B,
                        "without interleaving there is no other");
    if (cross) {
        check_cross(x);
    }
    uap_export_print(x, "--tensor-model-parallel-size %d\n", (int)s.tp);
    if (s.sp) {
        uap_export_print(x, "--sequence-parallel\n");
    }
    uap_export_print(x, "--pipeline-model-parallel-size %d\n", (int)x->plan->pp);
    if (x->plan->pp > 1 && !cross) {
        print_stages(x);
    }
    print_training(x, &s);
    print_data_parallel(x, &s);
    print_recompute(x);
    if (s.tp > 1 && s.fsdp == 1 && s.zero < 2) {
        uap_export_note(x, "before Blackwell GPUs Megatron-LM needs "
                           "CUDA_DEVICE_MAX_CONNECTIONS=1 with tensor parallelism");
    }
}
