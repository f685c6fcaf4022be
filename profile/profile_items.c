/* The list of measurements: efforts, what is worth measuring, in which order, and how long
 * each is expected to take. */
#include "common/mem.h"
#include "common/numbers.h"
#include "profile/profile_impl.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const uap_effort_row efforts[UAP_EFFORT_COUNT] = {
    [UAP_EFFORT_QUICK] = {.name = "quick",
                          .n_micro_batches = 3,
                          .micro_batch = {1, 2, 4},
                          .repeat = {.target_s = 0.5, .min = 2, .max = 9},
                          .sweep = {.min_bytes = 1024,
                                    .max_bytes = 16777216,
                                    .factor = 4,
                                    .settle_bytes = 1048576,
                                    .doubts = 6,
                                    .point_s = 0.015,
                                    .min_iterations = 3,
                                    .max_iterations = 40},
                          .overlap_repetitions = 5,
                          .survey_bytes = 1048576,
                          .survey_device_s = 0.1,
                          .tournament_max = 64,
                          .budget_s = 30},
    [UAP_EFFORT_NORMAL] = {.name = "normal",
                           .n_micro_batches = 4,
                           .micro_batch = {1, 2, 4, 8},
                           .repeat = {.target_s = 1, .min = 5, .max = 15},
                           .sweep = {.min_bytes = 1024,
                                     .max_bytes = 268435456,
                                     .factor = 2,
                                     .settle_bytes = 4194304,
                                     .doubts = 12,
                                     .point_s = 0.05,
                                     .min_iterations = 5,
                                     .max_iterations = 50},
                           .overlap_repetitions = 9,
                           .more = true,
                           .survey_bytes = 4194304,
                           .survey_device_s = 0.3,
                           .tournament_max = 64,
                           .budget_s = 300},
    [UAP_EFFORT_FULL] = {.name = "full",
                         .n_micro_batches = 5,
                         .micro_batch = {1, 2, 4, 8, 16},
                         .repeat = {.target_s = 2, .min = 7, .max = 25},
                         .sweep = {.min_bytes = 1024,
                                   .max_bytes = 268435456,
                                   .factor = 2,
                                   .doubts = 16,
                                   .point_s = 0.2,
                                   .min_iterations = 7,
                                   .max_iterations = 100},
                         .overlap_repetitions = 15,
                         .more = true,
                         .survey_bytes = 16777216,
                         .survey_device_s = 0.5,
                         .tournament_max = 256,
                         .budget_s = HUGE_VAL}};

const uap_effort_row *uap_effort_row_of(uap_effort effort)
{
    return &efforts[effort];
}

const char *uap_effort_name(uap_effort effort)
{
    return efforts[effort].name;
}

/* A new last item, zeroed; NULL when out of memory. */
static uap_item *append(uap_profile *profile)
{
    if (profile->n_items == profile->capacity) {
        const int32_t capacity = profile->capacity == 0 ? 64 : 2 * profile->capacity;
        uap_item *grown = uap_realloc(profile->item, (size_t)capacity, sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        profile->item = grown;
        profile->capacity = capacity;
    }
    uap_item *item = &profile->item[profile->n_items++];
    memset(item, 0, sizeof *item);
    return item;
}

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory for the list of measurements");
}

/* A layer shape and how many layers of the models have it. */
typedef struct shape_use {
    const uap_layer *layer;
    char key[UAP_SHAPE_KEY_BYTES];
    int32_t count;
} shape_use;

/* Seconds for one run, forward and backward, from the first look; filling the buffers too. */
static double expected_work_s(const uap_profile *profile, const uap_work_shape *shape)
{
    const uap_first_look *look = &profile->look;
    const double moves = shape->move_elems * (1 + UAP_BACKWARD_MOVES);
    return 3 * uap_work_flops(shape) / (look->slowest_flops * look->efficiency) +
           4 * moves / look->bytes_per_s;
}

static int64_t smallest_micro_batch(const uap_profile *profile)
{
    const uap_profile_options *options = &profile->options;
    return options->n_micro_batches > 0 ? options->micro_batch[0]
                                        : profile->effort->micro_batch[0];
}

/* How layers are measured in one pass over them. */
typedef struct layer_pass {
    int64_t micro_batch;
    uap_precision precision;
} layer_pass;

static uap_status add_layer(uap_profile *profile, const shape_use *use, int32_t tp,
                            layer_pass pass, uap_err *err)
{
    const int64_t micro_batch = pass.micro_batch;
    uap_work_shape shape;
    uap_item *item = append(profile);
    if (item == NULL) {
        return no_memory(err);
    }
    uap_layer_work(use->layer, tp, micro_batch, pass.precision, &shape);
    const double once = expected_work_s(profile, &shape);
    item->kind = UAP_MEASURE_LAYER;
    item->layer = use->layer;
    item->tp = tp;
    item->micro_batch = micro_batch;
    item->precision = pass.precision;
    const bool is_quick_look = profile->options.effort == UAP_EFFORT_QUICK &&
                               micro_batch > smallest_micro_batch(profile);
    item->repeat = profile->effort->repeat;
    if (is_quick_look) {
        /* One run on every rank already gives as many times as there are ranks. */
        item->repeat.min = 1;
    }
    const double prepare = uap_work_bytes(&shape) / profile->look.bytes_per_s;
    item->once_s = once + prepare;
    const double least = once * item->repeat.min, most = once * item->repeat.max;
    item->pub.expected_s = fmin(fmax(item->repeat.target_s, least), most) + prepare;
    (void)snprintf(
        item->pub.what, sizeof item->pub.what,
        "%s %s tp %" PRId32 " micro-batch %" PRId64 "%s%s",
        uap_layer_type_name(use->layer->type), use->key, tp, micro_batch,
        pass.precision == profile->precision ? "" : " ",
        pass.precision == profile->precision ? "" : uap_precision_name(pass.precision));
    /* Ranks of a node fill their buffers at the same time. */
    const double ranks = profile->info.memory_is_shared ? profile->most_on_node : 1;
    if (uap_work_bytes(&shape) * ranks > 0.8 * (double)profile->info.free_bytes) {
        item->pub.state = UAP_ITEM_NO_MEMORY;
    }
    return UAP_OK;
}

/* Counts a layer in the list of n distinct shapes; returns the new n. A node of a graph that
 * tells FLOPs but no products says too little to be measured. */
static int32_t count_shape(shape_use *use, int32_t n, const uap_layer *layer)
{
    char key[UAP_SHAPE_KEY_BYTES];
    if (layer->n_gemms == 0 && layer->flops > 0.0) {
        return n;
    }
    uap_layer_shape_key(layer, key);
    for (int32_t i = 0; i < n; i++) {
        if (use[i].layer->type == layer->type && strcmp(use[i].key, key) == 0) {
            use[i].count++;
            return n;
        }
    }
    use[n] = (shape_use){.layer = layer, .count = 1};
    memcpy(use[n].key, key, sizeof key);
    return n + 1;
}

/* The distinct shapes of all models, the most frequent first; the caller frees *out. */
static uap_status distinct_shapes(const uap_profile_options *options, shape_use **out,
                                  int32_t *n_out, uap_err *err)
{
    size_t total = 0;
    int32_t n = 0;
    for (int32_t i = 0; i < options->n_models; i++) {
        total += (size_t)options->model[i]->n_layers;
    }
    shape_use *use = uap_calloc(total, sizeof *use);
    *out = use;
    if (use == NULL) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < options->n_models; i++) {
        const uap_model *model = options->model[i];
        for (int32_t u = 0; u < model->n_layers; u++) {
            n = count_shape(use, n, &model->layer[u]);
        }
    }
    /* Insertion sort keeps the order of the models where counts are equal. */
    for (int32_t i = 1; i < n; i++) {
        const shape_use moved = use[i];
        int32_t j = i;
        for (; j > 0 && use[j - 1].count < moved.count; j--) {
            use[j] = use[j - 1];
        }
        use[j] = moved;
    }
    *n_out = n;
    return UAP_OK;
}

/* TP degrees are divisors of the number of devices that stay within a node. */
static uap_status add_layers(uap_profile *profile, const shape_use *use, int32_t n,
                             layer_pass pass, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int32_t ranks = profile->ranks;
    const int32_t node = profile->least_on_node;
    for (int32_t i = 0; i < n; i++) {
        for (int32_t tp = 1; tp <= node; tp++) {
            if (ranks % tp == 0 && uap_layer_allows_tp(use[i].layer, tp)) {
                UAP_TRY(add_layer(profile, &use[i], tp, pass, err));
            }
        }
    }
done:
    return rc;
}

/* Seconds of one sweep whose largest operations move bytes at an eighth of what memory
 * does: through shared memory each byte is copied several times and by several ranks. */
static double expected_sweep_s(const uap_profile *profile)
{
    const uap_sweep *sweep = &profile->effort->sweep;
    double seconds = 0;
    for (double bytes = sweep->min_bytes; bytes <= sweep->max_bytes * 1.5;
         bytes *= sweep->factor) {
        const double once = 20e-6 + bytes * 8 / profile->look.bytes_per_s;
        seconds += fmax(sweep->point_s, once * (sweep->min_iterations + 2));
    }
    return seconds;
}

static uap_status add_collective(uap_profile *profile, uap_collective_kind kind,
                                 uap_group_shape shape, bool contended, uap_err *err)
{
    uap_item *item = append(profile);
    if (item == NULL) {
        return no_memory(err);
    }
    item->kind = UAP_MEASURE_COLLECTIVE;
    item->collective = (uap_collective){
        .kind = kind, .size = shape.size, .stride = shape.stride, .contended = contended};
    item->pub.expected_s = expected_sweep_s(profile);
    /* Without these the rules for what is absent have nothing to start from. */
    item->is_essential = contended && kind == UAP_ALL_REDUCE &&
                         (shape.stride == 1 || shape.stride == profile->least_on_node);
    (void)snprintf(item->pub.what, sizeof item->pub.what,
                   "%s of %" PRId32 " ranks, stride %" PRId32 "%s",
                   uap_collective_name(kind), shape.size, shape.stride,
                   contended ? "" : ", alone");
    return UAP_OK;
}

static uap_status add_p2p(uap_profile *profile, int32_t distance, bool alone,
                          uap_err *err)
{
    uap_item *item = append(profile);
    if (item == NULL) {
        return no_memory(err);
    }
    item->kind = UAP_MEASURE_P2P;
    item->distance = distance;
    item->alone = alone;
    item->pub.expected_s = 2 * expected_sweep_s(profile);
    item->is_essential = true;
    (void)snprintf(item->pub.what, sizeof item->pub.what,
                   "point to point, %" PRId32 " ranks apart%s", distance,
                   alone ? ", one pair" : "");
    return UAP_OK;
}

/* All groups of each shape at once, or (`alone`) those of which there are several one at a
 * time. */
static uap_status add_links(uap_profile *profile, bool alone, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_group_shape shape[UAP_GROUP_SHAPES_MAX];
    const int32_t ranks = profile->ranks;
    const int32_t node = profile->least_on_node;
    const int32_t n = uap_group_shapes(ranks, node, shape);
    for (int32_t i = 0; i < n; i++) {
        const bool is_only_group =
            shape[i].size * shape[i].stride == ranks && shape[i].stride == 1;
        for (int kind = 0; kind < UAP_COLLECTIVE_COUNT; kind++) {
            if (!alone || !is_only_group) {
                UAP_TRY(add_collective(profile, (uap_collective_kind)kind, shape[i],
                                       !alone, err));
            }
        }
    }
done:
    return rc;
}

/* Near and far within a node, and the neighbouring node, also with one pair alone. */
static uap_status add_pairs(uap_profile *profile, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int32_t ranks = profile->ranks;
    const int32_t node = profile->least_on_node;
    if (node > 1) {
        UAP_TRY(add_p2p(profile, 1, false, err));
    }
    if (node / 2 > 1) {
        UAP_TRY(add_p2p(profile, node / 2, false, err));
    }
    if (profile->nodes > 1 && node < ranks) {
        UAP_TRY(add_p2p(profile, node, false, err));
        UAP_TRY(add_p2p(profile, node, true, err));
    }
done:
    return rc;
}

static uap_status add_overlap(uap_profile *profile, uap_err *err)
{
    if (profile->ranks < 2) {
        return UAP_OK;
    }
    uap_item *item = append(profile);
    if (item == NULL) {
        return no_memory(err);
    }
    item->kind = UAP_MEASURE_OVERLAP;
    item->pub.expected_s = 0.2 * profile->effort->overlap_repetitions;
    (void)snprintf(item->pub.what, sizeof item->pub.what,
                   "products and an all-reduce at the same time");
    return UAP_OK;
}

uap_item_state uap_item_fit(uap_item *item, double room_s)
{
    if (item->is_essential) {
        return UAP_ITEM_WAITING;
    }
    if (item->pub.expected_s > room_s && item->once_s > 0 && item->once_s <= room_s) {
        item->repeat.min = item->repeat.max = (int32_t)(room_s / item->once_s);
        item->pub.expected_s = item->once_s * item->repeat.min;
    }
    return item->pub.expected_s <= room_s ? UAP_ITEM_WAITING : UAP_ITEM_OVER_BUDGET;
}

double uap_essentials_s(const uap_profile *profile, int32_t *n)
{
    double seconds = 0;
    int32_t count = 0;
    for (int32_t i = 0; i < profile->n_items; i++) {
        const uap_item *item = &profile->item[i];
        const bool counts = item->is_essential && item->pub.state == UAP_ITEM_WAITING;
        seconds += counts ? item->pub.expected_s : 0;
        count += counts;
    }
    if (n != NULL) {
        *n = count;
    }
    return seconds;
}

/* Marks, in the list's order, what the budget has no room for. */
static void apply_budget(uap_profile *profile)
{
    const bool surveys = profile->ranks > 1;
    double left = profile->budget_s - uap_essentials_s(profile, NULL) -
                  (surveys ? uap_survey_expected_s(&profile->survey.plan) : 0);
    for (int32_t i = 0; i < profile->n_items; i++) {
        uap_item *item = &profile->item[i];
        if (item->pub.state == UAP_ITEM_WAITING && !item->is_essential) {
            item->pub.state = uap_item_fit(item, left);
            left -= item->pub.state == UAP_ITEM_WAITING ? item->pub.expected_s : 0;
        }
    }
}

uap_status uap_profile_list(uap_profile *profile, uap_err *err)
{
    const uap_profile_options *options = &profile->options;
    const bool own = options->n_micro_batches > 0;
    const int64_t *micro_batch =
        own ? options->micro_batch : profile->effort->micro_batch;
    const int32_t n = own ? options->n_micro_batches : profile->effort->n_micro_batches;
    uap_status rc = UAP_OK;
    shape_use *use = NULL;
    int32_t n_uses = 0;
    UAP_TRY(distinct_shapes(options, &use, &n_uses, err));
    UAP_TRY(add_links(profile, false, err));
    UAP_TRY(add_pairs(profile, err));
    UAP_TRY(add_layers(profile, use, n_uses,
                       (layer_pass){micro_batch[0], profile->precision}, err));
    UAP_TRY(add_overlap(profile, err));
    for (int32_t i = 1; i < n; i++) {
        UAP_TRY(add_layers(profile, use, n_uses,
                           (layer_pass){micro_batch[i], profile->precision}, err));
    }
    for (int p = 0; p < UAP_PRECISION_COUNT && profile->effort->more; p++) {
        if (profile->info.native[p] && p != (int)profile->precision) {
            UAP_TRY(add_layers(profile, use, n_uses,
                               (layer_pass){micro_batch[0], (uap_precision)p}, err));
        }
    }
    if (profile->effort->more) {
        UAP_TRY(add_links(profile, true, err));
    }
    UAP_TRY(uap_profile_reuse_take(profile, err));
    apply_budget(profile);
done:
    uap_free(use);
    return rc;
}
