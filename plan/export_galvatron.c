/* A plan as Galvatron's strategy JSON: one entry a transformer block. plan/import_galvatron.c
 * reads it back. Sources: docs/export.md. */
#include "plan/export_internal.h"

#include <inttypes.h>
#include <stdio.h>

/* What is not per block in the file. */
typedef struct whole {
    int64_t zero; /* of all dp ranks: "default_dp_type" */
    int64_t vocab_tp, vocab_sdp;
} whole;

static bool is_sharded(const uap_strategy *s)
{
    return s->fsdp > 1;
}

/* What no entry can say of a layer. */
static void check_layers(uap_exporter *x)
{
    const int32_t n = x->plan->n_layers;
    for (int32_t u = 0; u < n; u++) {
        const uap_strategy *s = uap_export_strategy(x, u);
        x->marked[u] = s->dp > 1 && s->fsdp > 1;
    }
    uap_export_refuse_marked(x,
                             "dp and fsdp both above 1; dp_types_enc of Galvatron shards "
                             "over all data-parallel ranks or over none");
    for (int32_t u = 0; u < n; u++) {
        x->marked[u] =
            uap_export_strategy(x, u)->dp > 1 && uap_export_strategy(x, u)->zero == 1;
    }
    uap_export_refuse_marked(
        x, "zero 1; default_dp_type of Galvatron is ddp (zero 0) or zero2");
    for (int32_t u = 0; u < n; u++) {
        x->marked[u] =
            uap_export_strategy(x, u)->tp > 1 && !uap_export_strategy(x, u)->sp;
    }
    uap_export_refuse_marked(x, "tp without sp; the strategy file of Galvatron has no "
                                "option for it, its runtime has sequence parallelism on "
                                "for all layers");
}

/* The zero of the layers with dp ranks, most of which agree. */
static int64_t usual_zero(uap_exporter *x)
{
    int64_t count[3] = {0};
    for (int32_t u = 0; u < x->plan->n_layers; u++) {
        const uap_strategy *s = uap_export_strategy(x, u);
        if (s->dp > 1) {
            count[s->zero]++;
        }
    }
    const int64_t usual = count[2] > count[0] ? 2 : 0;
    for (int32_t u = 0; u < x->plan->n_layers; u++) {
        const uap_strategy *s = uap_export_strategy(x, u);
        x->marked[u] = s->dp > 1 && s->zero != usual && s->zero != 1;
    }
    uap_export_refuse_marked(x,
                             "zero %d, but %d in most layers with dp; Galvatron has one "
                             "default_dp_type for all",
                             usual == 2 ? 0 : 2, (int)usual);
    return usual;
}

/* Embedding and head share vtp and vocab_sdp. */
static void find_vocab(uap_exporter *x, whole *out)
{
    const int32_t last = x->plan->n_layers - 1;
    const uap_strategy *embedding = uap_export_strategy(x, 0);
    const uap_strategy *head = uap_export_strategy(x, last);
    out->vocab_tp = embedding->tp;
    out->vocab_sdp = is_sharded(embedding);
    if (embedding->tp != head->tp || is_sharded(embedding) != is_sharded(head)) {
        x->marked[0] = x->marked[last] = true;
        uap_export_refuse_marked(
            x,
            "tp %d and %d, fsdp %d and %d; Galvatron has one vtp and "
            "one vocab_sdp for both",
            (int)embedding->tp, (int)head->tp, (int)embedding->fsdp, (int)head->fsdp);
    }
}

/* Galvatron counts blocks, so every stage has one. */
static void check_stages(uap_exporter *x)
{
    for (int32_t i = 0; i < x->plan->pp; i++) {
        if (x->stage_blocks[i] == 0) {
            x->marked[x->plan->stage[i].first_layer] = true;
            uap_export_refuse_marked(
                x,
                "alone in stage %d; pp_division of Galvatron puts "
                "embedding and head with the first and the last block",
                (int)i);
        }
    }
}

static void add_number(uap_exporter *x, uap_bytes *list, int64_t number)
{
    char text[24];
    const int n =
        snprintf(text, sizeof text, "%s%" PRId64, list->n > 0 ? "," : "", number);
    x->no_memory = !uap_bytes_put(list, text, (size_t)n) || x->no_memory;
}

/* Moves the list into the object. */
static void set_list(uap_exporter *x, const char *key, uap_bytes *list)
{
    if (uap_bytes_put(list, "", 1)) {
        uap_jset_str(x->out->json, key, list->at);
    } else {
        x->no_memory = true;
    }
    uap_bytes_free(list);
}

static void set_lists(uap_exporter *x)
{
    uap_bytes tp = {0}, one = {0}, dp = {0}, zero = {0}, recompute = {0}, stages = {0};
    for (int32_t k = 0; k < x->n_blocks; k++) {
        const uap_strategy *s = uap_export_strategy(x, x->block[k].first);
        add_number(x, &tp, s->tp);
        add_number(x, &one, 1);
        add_number(x, &dp, is_sharded(s));
        add_number(x, &zero, 0);
        add_number(x, &recompute, s->recompute);
    }
    for (int32_t i = 0; i < x->plan->pp; i++) {
        add_number(x, &stages, x->stage_blocks[i]);
    }
    set_list(x, "tp_sizes_enc", &tp);
    set_list(x, "tp_consecutive_flags", &one);
    set_list(x, "dp_types_enc", &dp);
    set_list(x, "use_sp", &zero);
    set_list(x, "checkpoint", &recompute);
    set_list(x, "pp_division", &stages);
}

/* Galvatron sums gradients of several micro-batches whole unless it is told not to. */
static void add_notes(uap_exporter *x, const whole *w)
{
    bool shards = w->zero == 2;
    for (int32_t u = 0; u < x->plan->n_layers; u++) {
        shards = shards || is_sharded(uap_export_strategy(x, u));
    }
    if (shards && x->plan->micro_batches > 1) {
        uap_export_note(x,
                        "run Galvatron with async_grad_reduce off: with it the "
                        "gradients of zero2 and zero3 are whole between micro-batches");
    }
}

void uap_export_galvatron(uap_exporter *x)
{
    const uap_plan *plan = x->plan;
    uap_jout *root = uap_jout_object();
    whole w = {0};
    x->out->json = root;
    uap_export_find_blocks(x, false);
    uap_export_schedule(x, UAP_SCHEDULE_1F1B, UAP_SCHEDULE_GPIPE, "pipeline_type");
    check_layers(x);
    check_stages(x);
    find_vocab(x, &w);
    w.zero = usual_zero(x);
    uap_jset_i64(root, "pp_deg", plan->pp);
    set_lists(x);
    uap_jset_i64(root, "world_size", x->stage_devices * plan->pp);
    uap_jset_i64(root, "global_bsz", plan->batch);
    uap_jset_i64(root, "chunks", plan->micro_batches);
    uap_jset_str(root, "pipeline_type",
                 plan->schedule == UAP_SCHEDULE_GPIPE ? "gpipe" : "pipedream_flush");
    uap_jset_str(root, "default_dp_type", w.zero == 2 ? "zero2" : "ddp");
    uap_jset_i64(root, "vtp", w.vocab_tp);
    uap_jset_i64(root, "vsp", 0);
    /* Its search writes and old runtimes read the first, the newest reads the second. */
    uap_jset_i64(root, "embed_sdp", w.vocab_sdp);
    uap_jset_i64(root, "vocab_sdp", w.vocab_sdp);
    add_notes(x, &w);
}
