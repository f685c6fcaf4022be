/* Families of plans with one strategy for all layers, and what each framework takes of them. The
 * rules are those of plan/export_*.c, which has the last word. */
#include "plan/target.h"

#include "common/mem.h"
#include "common/numbers.h"
#include "configs/cluster_groups.h"

#define DIVISORS_MAX 1344 /* of any device count */

/* The strategy of every layer but for dp, which is what the stage leaves over. */
typedef struct family {
    uap_strategy key;
    uap_cost_rule rule; /* its context is this struct */
    uap_cost *cost;
    int32_t first; /* its configurations' number in the source */
} family;

struct uap_target_space {
    uap_target target;
    int64_t devices;
    int32_t n, room, n_configurations;
    family *family; /* [n] */
};

/* ---- Rules ----------------------------------------------------------------------------------- */

/* One strategy for all layers; embedding and head are never run again. */
static bool allows(const void *context, const uap_layer *layer, const uap_strategy *s)
{
    const uap_strategy *key = &((const family *)context)->key;
    const bool is_end =
        layer->type == UAP_LAYER_EMBEDDING || layer->type == UAP_LAYER_HEAD;
    return s->tp == key->tp && s->fsdp == key->fsdp && s->zero == key->zero &&
           s->sp == key->sp && s->recompute == (key->recompute && !is_end);
}

/* What torchtitan runs depends on how gradients come to be whole. */
static bool torchtitan_shards(const uap_strategy *key, bool many, bool stages)
{
    if (key->fsdp > 1) {
        return key->zero == 0 && !(many && stages);
    }
    return key->zero == 0 || !many || (key->zero == 1) == stages;
}

/* Whether the framework can be told this configuration with the family's strategy. */
static bool takes(const uap_target_space *space, const family *f,
                  uap_configuration configuration)
{
    const uap_strategy *key = &f->key;
    const bool many = configuration.micro_batches > 1, stages = configuration.pp > 1;
    const int64_t ways = (int64_t)configuration.pp * key->tp * key->fsdp;
    const bool has_dp = space->devices > ways;
    switch (space->target) {
    case UAP_TARGET_MEGATRON:
        return (!stages || configuration.schedule == UAP_SCHEDULE_1F1B) &&
               !(key->fsdp > 1 && key->zero == 2);
    case UAP_TARGET_DEEPSPEED:
        return !stages && !key->sp && !key->recompute &&
               !(key->fsdp > 1 && has_dp && (key->zero > 0 || key->tp > 1));
    case UAP_TARGET_TORCHTITAN:
        return (!stages || configuration.schedule != UAP_SCHEDULE_1F1B_EAGER) &&
               torchtitan_shards(key, many, stages);
    default:
        return true;
    }
}

/* What needs no search to be refused. */
static uap_status check_inputs(const uap_model *model, const uap_cluster *cluster,
                               const uap_plan_options *options, uap_err *err)
{
    const char *name = uap_target_name(options->target);
    uap_cluster_groups *groups = NULL;
    if (options->operator_granularity) {
        return UAP_FAIL(err, BAD_USAGE, "--for %s: expected --granularity block", name);
    }
    if (options->target == UAP_TARGET_TORCHTITAN && options->cost.precision == UAP_FP16) {
        return UAP_FAIL(
            err, BAD_USAGE,
            "--for torchtitan: found --precision fp16, expected bf16 or fp32");
    }
    for (int32_t u = 0; u < model->n_layers; u++) {
        const uap_layer_type wanted = u == 0                     ? UAP_LAYER_EMBEDDING
                                      : u + 1 == model->n_layers ? UAP_LAYER_HEAD
                                                                 : UAP_LAYER_BLOCK;
        if (options->target != UAP_TARGET_DEEPSPEED && model->layer[u].type != wanted) {
            return UAP_FAIL(
                err, BAD_USAGE, "--for %s: layer %d of %s is of type %s, expected %s",
                name, (int)u, model->name, uap_layer_type_name(model->layer[u].type),
                uap_layer_type_name(wanted));
        }
    }
    uap_status rc = uap_cluster_groups_new(cluster, options->cost.devices, &groups, err);
    if (rc == UAP_OK && groups->n > 1) {
        rc = UAP_FAIL(err, BAD_USAGE,
                      "--for %s: cluster \"%s\" has unlike nodes, expected like ones",
                      name, cluster->name);
    }
    uap_cluster_groups_free(groups);
    return rc;
}

/* ---- Families -------------------------------------------------------------------------------- */

static uap_status add_family(uap_target_space *space, const uap_strategy *key,
                             uap_err *err)
{
    if (space->n == space->room) {
        const int32_t room = space->room == 0 ? 64 : 2 * space->room;
        family *larger = uap_realloc(space->family, (size_t)room, sizeof *larger);
        if (larger == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for strategies");
        }
        space->family = larger;
        space->room = room;
    }
    space->family[space->n++] = (family){.key = *key};
    return UAP_OK;
}

/* The families of one (tp, fsdp, sp). */
static uap_status add_families(uap_target_space *space, uint32_t dimensions,
                               uap_strategy key, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int most_zero = (dimensions & UAP_SPACE_ZERO) != 0 ? 2 : 0;
    for (int zero = 0; zero <= most_zero; zero++) {
        for (int recompute = 0; recompute < 2; recompute++) {
            key.zero = (int8_t)zero;
            key.recompute = recompute != 0;
            if (recompute == 0 || (dimensions & UAP_SPACE_RECOMPUTE) != 0) {
                UAP_TRY(add_family(space, &key, err));
            }
        }
    }
done:
    return rc;
}

static uap_status list_families(uap_target_space *space, const uap_cost_options *options,
                                int64_t most_tp, uap_err *err)
{
    int64_t ways[DIVISORS_MAX];
    uap_status rc = UAP_OK;
    const uint32_t dimensions = options->space;
    const size_t n = uap_divisors(space->devices, ways, DIVISORS_MAX);
    for (size_t t = 0; t < n && ways[t] <= most_tp; t++) {
        for (size_t f = 0; f < n; f++) {
            const bool fits = space->devices % (ways[t] * ways[f]) == 0;
            const bool known = (ways[t] == 1 || (dimensions & UAP_SPACE_TP) != 0) &&
                               (ways[f] == 1 || (dimensions & UAP_SPACE_FSDP) != 0);
            const bool may_sp = ways[t] > 1 && (dimensions & UAP_SPACE_SP) != 0;
            for (int sp = 0; sp <= may_sp && fits && known; sp++) {
                const uap_strategy key = {
                    .tp = (int32_t)ways[t], .fsdp = (int32_t)ways[f], .sp = sp != 0};
                UAP_TRY(add_families(space, dimensions, key, err));
            }
        }
    }
done:
    return rc;
}

uap_status uap_target_space_new(const uap_model *model, const uap_cluster *cluster,
                                const uap_plan_options *options, uap_target_space **out,
                                uap_err *err)
{
    uap_target_space *space = NULL;
    uap_status rc = UAP_OK;
    const uap_cost_options *cost = &options->cost;
    *out = NULL;
    UAP_TRY(check_inputs(model, cluster, options, err));
    space = uap_calloc(1, sizeof *space);
    if (space == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for strategies");
    }
    space->target = options->target;
    space->devices = cost->devices > 0 ? cost->devices : uap_cluster_devices(cluster);
    UAP_TRY(list_families(
        space, cost,
        cost->tp_across_nodes ? space->devices : uap_cluster_node_size(cluster), err));
    for (int32_t i = 0; i < space->n; i++) {
        family *f = &space->family[i];
        f->rule = (uap_cost_rule){.context = f, .allows = allows};
        f->first = space->n_configurations;
        UAP_TRY(uap_cost_new_within(model, cluster, cost, &f->rule, &f->cost, err));
        space->n_configurations += uap_cost_count(f->cost);
    }
    *out = space;
    space = NULL;
done:
    uap_target_space_free(space);
    return rc;
}

void uap_target_space_free(uap_target_space *space)
{
    if (space != NULL) {
        for (int32_t i = 0; i < space->n; i++) {
            uap_cost_free(space->family[i].cost);
        }
        uap_free(space->family);
        uap_free(space);
    }
}

/* ---- The source ------------------------------------------------------------------------------ */

static family *family_of(uap_target_space *space, int32_t index)
{
    int32_t low = 0, high = space->n; /* first of low <= index < first of high */
    while (high - low > 1) {
        const int32_t middle = low + (high - low) / 2;
        if (space->family[middle].first <= index) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return &space->family[low];
}

uap_cost *uap_target_space_cost(uap_target_space *space, int32_t index, int32_t *own)
{
    const family *f = family_of(space, index);
    *own = index - f->first;
    return f->cost;
}

static uap_status build_index(void *context, int32_t index, uap_instance **out,
                              uap_err *err)
{
    uap_target_space *space = context;
    const family *f = family_of(space, index);
    const int32_t own = index - f->first;
    *out = NULL;
    if (!takes(space, f, uap_cost_configuration(f->cost, own))) {
        return UAP_OK;
    }
    const uap_source source = uap_cost_source(f->cost);
    return source.build(source.context, own, out, err);
}

uap_source uap_target_space_source(uap_target_space *space)
{
    return (uap_source){
        .n = space->n_configurations, .context = space, .build = build_index};
}
