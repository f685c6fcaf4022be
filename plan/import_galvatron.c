/* Reading Galvatron's strategy JSON. */
#include "plan/import_galvatron.h"

#include "common/json_read.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_MAX  ((int64_t)1 << 31)
#define DEGREE_MAX ((int64_t)1 << 24)
#define BYTES_MAX  ((size_t)64 << 20)

/* A list of numbers in a string, "1,2,4". */
typedef struct list {
    int32_t n; /* 0: the key is absent */
    int64_t *value;
} list;

/* What the file says; lists are of the plan's arena. */
typedef struct strategy_file {
    int64_t pp, world, batch, chunks;
    int64_t vocab_tp, vocab_sp, vocab_sdp;
    const char *pipeline, *default_dp;
    list tp, consecutive, dp_type, use_sp, checkpoint, division;
} strategy_file;

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory reading a strategy file");
}

/* The optional list `key`; numbers in [min, max]. */
static uap_status read_list(uap_plan *plan, const uap_jval *root, const char *key,
                            int64_t max, list *out, uap_err *err)
{
    uap_jval value;
    const char *text = NULL;
    const uap_status rc = uap_jopt_str(root, key, &text, err);
    if (rc != UAP_OK || text == NULL) {
        return rc;
    }
    (void)uap_jfind(root, key, &value);
    out->value = uap_arena_alloc(plan->arena, strlen(text) / 2 + 1, sizeof *out->value);
    if (out->value == NULL) {
        return no_memory(err);
    }
    for (const char *at = text;;) {
        char *end = NULL;
        const long long number = strtoll(at, &end, 10);
        if (end == at || number < 0 || number > max || (*end != ',' && *end != '\0')) {
            return uap_jfail(
                &value, err,
                "%s: found \"%.20s\" as number %d, expected whole numbers up "
                "to %lld separated by commas",
                key, at, (int)out->n, (long long)max);
        }
        out->value[out->n++] = number;
        if (*end == '\0') {
            return UAP_OK;
        }
        at = end + 1;
    }
}

/* A list with a number per block, which are all `neutral` where it is absent. */
typedef struct block_list {
    const char *key;
    int64_t max, neutral;
    list *to;
} block_list;

static uap_status fit_list(uap_plan *plan, const uap_jval *root, const block_list *row,
                           int32_t n, uap_err *err)
{
    list *fit = row->to;
    if (fit->n != 0 && fit->n != n) {
        return uap_jfail(root, err,
                         "%s: found %d numbers, expected as many as tp_sizes_enc, %d",
                         row->key, (int)fit->n, (int)n);
    }
    if (fit->n == 0) {
        fit->value = uap_arena_alloc(plan->arena, (size_t)n, sizeof *fit->value);
        if (fit->value == NULL) {
            return no_memory(err);
        }
        for (int32_t k = 0; k < n; k++) {
            fit->value[k] = row->neutral;
        }
        fit->n = n;
    }
    return UAP_OK;
}

static uap_status read_lists(uap_plan *plan, const uap_jval *root, strategy_file *f,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    const block_list rows[] = {{"tp_consecutive_flags", 1, 1, &f->consecutive},
                               {"dp_types_enc", 1, 0, &f->dp_type},
                               {"use_sp", 1, 0, &f->use_sp},
                               {"checkpoint", 1, 0, &f->checkpoint}};
    UAP_TRY(read_list(plan, root, "tp_sizes_enc", DEGREE_MAX, &f->tp, err));
    UAP_TRY(read_list(plan, root, "pp_division", COUNT_MAX - 1, &f->division, err));
    if (f->tp.n == 0) {
        rc = uap_jfail(root, err, "tp_sizes_enc: not found, expected a number per layer");
        goto done;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        UAP_TRY(read_list(plan, root, rows[i].key, rows[i].max, rows[i].to, err));
        UAP_TRY(fit_list(plan, root, &rows[i], f->tp.n, err));
    }
done:
    return rc;
}

/* Keys of parallelism that plans do not know: fine where all degrees are 1. */
static uap_status check_absent(uap_plan *plan, const uap_jval *root, uap_err *err)
{
    static const char *const lists[] = {"cp_sizes_enc", "ep_sizes_enc",
                                        "tp_of_ep_sizes_enc"};
    uap_status rc = UAP_OK;
    int64_t vcp = 1;
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        list degrees = {0};
        UAP_TRY(read_list(plan, root, lists[i], DEGREE_MAX, &degrees, err));
        for (int32_t k = 0; k < degrees.n; k++) {
            if (degrees.value[k] > 1) {
                rc = uap_jfail(root, err,
                               "%s: layer %d: found %lld, expected 1: plans have no "
                               "context or expert parallelism",
                               lists[i], (int)k, (long long)degrees.value[k]);
                goto done;
            }
        }
    }
    UAP_TRY(uap_jopt_i64(root, "vcp", 1, 1, &vcp, err));
done:
    return rc;
}

static uap_status read_vocab(const uap_jval *root, strategy_file *f, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t embed_sdp = -1, vocab_sdp = -1;
    f->vocab_tp = 1;
    UAP_TRY(uap_jopt_i64(root, "vtp", 1, DEGREE_MAX, &f->vocab_tp, err));
    UAP_TRY(uap_jopt_i64(root, "vsp", 0, 1, &f->vocab_sp, err));
    UAP_TRY(uap_jopt_i64(root, "embed_sdp", 0, 1, &embed_sdp, err));
    UAP_TRY(uap_jopt_i64(root, "vocab_sdp", 0, 1, &vocab_sdp, err));
    if (embed_sdp >= 0 && vocab_sdp >= 0 && embed_sdp != vocab_sdp) {
        rc = uap_jfail(root, err,
                       "vocab_sdp: found %d, expected embed_sdp's %d: two names of one "
                       "option",
                       (int)vocab_sdp, (int)embed_sdp);
        goto done;
    }
    f->vocab_sdp = vocab_sdp >= 0 ? vocab_sdp : embed_sdp > 0;
done:
    return rc;
}

/* One of n names; the first where the key is absent. */
static uap_status read_name(const uap_jval *root, const char *key,
                            const char *const *allowed, size_t n, const char **out,
                            uap_err *err)
{
    *out = allowed[0];
    const uap_status rc = uap_jopt_str(root, key, out, err);
    for (size_t i = 0; rc == UAP_OK && i < n; i++) {
        if (strcmp(*out, allowed[i]) == 0) {
            return UAP_OK;
        }
    }
    return rc != UAP_OK ? rc
                        : uap_jfail(root, err, "%s: found \"%.40s\", expected %s or %s",
                                    key, *out, allowed[0], allowed[n - 1]);
}

static uap_status read_file(uap_plan *plan, const uap_jval *root, strategy_file *f,
                            uap_err *err)
{
    static const char *const keys[] = {"pp_deg",
                                       "tp_sizes_enc",
                                       "tp_consecutive_flags",
                                       "dp_types_enc",
                                       "use_sp",
                                       "checkpoint",
                                       "world_size",
                                       "global_bsz",
                                       "chunks",
                                       "pp_division",
                                       "pipeline_type",
                                       "default_dp_type",
                                       "vtp",
                                       "vsp",
                                       "embed_sdp",
                                       "vocab_sdp",
                                       "cp_sizes_enc",
                                       "vcp",
                                       "ep_sizes_enc",
                                       "tp_of_ep_sizes_enc"};
    static const char *const pipelines[] = {"gpipe", "pipedream_flush"};
    static const char *const dp_types[] = {"ddp", "zero2", "zero3"};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_jcheck_keys(root, keys, sizeof keys / sizeof keys[0], err));
    UAP_TRY(uap_jget_i64(root, "pp_deg", 1, COUNT_MAX - 1, &f->pp, err));
    UAP_TRY(uap_jget_i64(root, "world_size", 1, COUNT_MAX, &f->world, err));
    UAP_TRY(uap_jget_i64(root, "global_bsz", 1, COUNT_MAX, &f->batch, err));
    UAP_TRY(uap_jget_i64(root, "chunks", 1, COUNT_MAX, &f->chunks, err));
    UAP_TRY(read_name(root, "pipeline_type", pipelines, 2, &f->pipeline, err));
    UAP_TRY(read_name(root, "default_dp_type", dp_types, 3, &f->default_dp, err));
    UAP_TRY(read_lists(plan, root, f, err));
    UAP_TRY(read_vocab(root, f, err));
    UAP_TRY(check_absent(plan, root, err));
    if (f->world % f->pp != 0) {
        rc = uap_jfail(root, err, "world_size: found %lld, expected a multiple of pp_deg",
                       (long long)f->world);
    }
done:
    return rc;
}

/* The strategy of a layer; sharded: dp_types_enc or vocab_sdp says so. */
static uap_status make_strategy(const uap_jval *root, const strategy_file *f, int64_t tp,
                                bool sharded, uap_strategy *out, uap_err *err)
{
    const int64_t devices = f->world / f->pp;
    if (tp < 1 || devices % tp != 0) {
        return uap_jfail(root, err,
                         "found tensor-parallel degree %lld, expected a divisor of "
                         "world_size / pp_deg, %lld",
                         (long long)tp, (long long)devices);
    }
    const int32_t ways = (int32_t)(devices / tp);
    const bool all = sharded || strcmp(f->default_dp, "zero3") == 0;
    *out = (uap_strategy){.dp = all ? 1 : ways,
                          .fsdp = all ? ways : 1,
                          .tp = (int32_t)tp,
                          .sp = tp > 1}; /* the runtime's, for all layers */
    if (!all && ways > 1 && strcmp(f->default_dp, "zero2") == 0) {
        out->zero = 2;
    }
    return UAP_OK;
}

static uap_status set_layer(uap_plan *plan, int32_t u, const char *type,
                            const uap_strategy *strategy, uap_err *err)
{
    uap_plan_layer *layer = &plan->layer[u];
    layer->has_strategy = true;
    layer->strategy = *strategy;
    layer->type = uap_plan_string(plan, type);
    return layer->type != NULL ? UAP_OK : no_memory(err);
}

static uap_status make_block(uap_plan *plan, const uap_jval *root, const strategy_file *f,
                             int32_t k, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_strategy s = {0};
    const int64_t tp = f->tp.value[k];
    UAP_TRY(make_strategy(root, f, tp, f->dp_type.value[k] != 0, &s, err));
    if (tp > 1 && f->use_sp.value[k] != 0) {
        rc = uap_jfail(
            root, err,
            "use_sp: layer %d: found 1 with degree %lld, expected 0: plans have "
            "no Ulysses",
            (int)k, (long long)tp);
        goto done;
    }
    if (tp > 1 && tp < f->world / f->pp && f->consecutive.value[k] == 0) {
        rc = uap_jfail(root, err,
                       "tp_consecutive_flags: layer %d: found 0, expected 1: "
                       "tensor-parallel ranks of plans are neighbours",
                       (int)k);
        goto done;
    }
    s.recompute = f->checkpoint.value[k] != 0;
    UAP_TRY(set_layer(plan, k + 1, "block", &s, err));
done:
    return rc;
}

/* Stages from pp_division, or as the runtime divides without it: equal, the rest in the
 * last. The embedding is with the first block, the head with the last. */
static uap_status make_stages(uap_plan *plan, const uap_jval *root,
                              const strategy_file *f, uap_err *err)
{
    const int32_t pp = plan->pp, blocks = f->tp.n;
    int64_t next = 0;
    if (f->division.n != 0 && f->division.n != pp) {
        return uap_jfail(root, err,
                         "pp_division: found %d numbers, expected as many as pp_deg, %d",
                         (int)f->division.n, (int)pp);
    }
    for (int32_t i = 0; i < pp; i++) {
        const bool is_last = i + 1 == pp;
        int64_t n = is_last ? blocks - (pp - 1) * (blocks / pp) : blocks / pp;
        if (f->division.n != 0) {
            n = f->division.value[i];
        }
        if (n < 1 || next + n > blocks || (is_last && next + n != blocks)) {
            return uap_jfail(
                root, err,
                "pp_division: found %lld layers in stage %d, expected the %d "
                "layers of tp_sizes_enc in stages that are not empty",
                (long long)n, (int)i, (int)blocks);
        }
        plan->stage[i].first_layer = i == 0 ? 0 : (int32_t)next + 1;
        next += n;
        plan->stage[i].last_layer = (int32_t)next + is_last;
        for (int32_t u = plan->stage[i].first_layer; u <= plan->stage[i].last_layer;
             u++) {
            plan->layer[u].stage = i;
        }
    }
    return UAP_OK;
}

static uap_status make_plan(uap_plan *plan, const uap_jval *root, const strategy_file *f,
                            uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_strategy vocab = {0};
    plan->batch = f->batch;
    plan->micro_batches = f->chunks;
    plan->device_count = f->world;
    plan->schedule =
        strcmp(f->pipeline, "gpipe") == 0 ? UAP_SCHEDULE_GPIPE : UAP_SCHEDULE_1F1B;
    if (f->pp > f->tp.n) {
        rc = uap_jfail(root, err, "pp_deg: found %lld, expected at most the %d layers",
                       (long long)f->pp, (int)f->tp.n);
        goto done;
    }
    if (f->vocab_tp > 1 && f->vocab_sp != 0) {
        rc = uap_jfail(root, err,
                       "vsp: found 1 with vtp %lld, expected 0: plans have no "
                       "Ulysses",
                       (long long)f->vocab_tp);
        goto done;
    }
    if (!uap_plan_shape(plan, (int32_t)f->pp, f->tp.n + 2)) {
        rc = no_memory(err);
        goto done;
    }
    UAP_TRY(make_stages(plan, root, f, err));
    UAP_TRY(make_strategy(root, f, f->vocab_tp, f->vocab_sdp != 0, &vocab, err));
    UAP_TRY(set_layer(plan, 0, "embedding", &vocab, err));
    for (int32_t k = 0; k < f->tp.n; k++) {
        UAP_TRY(make_block(plan, root, f, k, err));
    }
    UAP_TRY(set_layer(plan, f->tp.n + 1, "head", &vocab, err));
done:
    return rc;
}

uap_status uap_galvatron_load(const char *path, uap_plan **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    strategy_file f = {0};
    uap_plan *plan = uap_plan_new();
    if (plan == NULL) {
        rc = no_memory(err);
        goto done;
    }
    UAP_TRY(uap_json_load(path, BYTES_MAX, &doc, err));
    const uap_jval root = uap_json_root(doc);
    UAP_TRY(read_file(plan, &root, &f, err));
    UAP_TRY(make_plan(plan, &root, &f, err));
    *out = plan;
    plan = NULL;
done:
    uap_json_free(doc);
    uap_plan_free(plan);
    return rc;
}
