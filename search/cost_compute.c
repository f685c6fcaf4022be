/* How long a layer computes: measured times interpolated in micro-batch and TP degree, or
 * peak x efficiency and memory bandwidth (docs/cost-model.md, section 4). */
#include "search/cost_internal.h"

#include <string.h>

/* ---- Measured times ------------------------------------------------------------------- */

static bool is_measured(const uap_layer_time *time, const uap_layer *layer,
                        const char *shape, uap_precision precision)
{
    return time->precision == precision && strcmp(time->shape, shape) == 0 &&
           strcmp(time->type, uap_layer_type_name(layer->type)) == 0;
}

static cost_curve *curve_of(cost_times *times, int32_t tp)
{
    for (int32_t i = 0; i < times->n_curves; i++) {
        if (times->curve[i].tp == tp) {
            return &times->curve[i];
        }
    }
    cost_curve *curve = &times->curve[times->n_curves++];
    curve->tp = tp;
    return curve;
}

/* Keeps a curve ascending in the micro-batch; of two entries for one the first stays. */
static void curve_insert(cost_curve *curve, const uap_layer_time *time)
{
    const double batch = (double)time->micro_batch;
    int32_t at = curve->n;
    for (; at > 0 && curve->batch[at - 1] >= batch; at--) {
        if (!(curve->batch[at - 1] > batch)) {
            return;
        }
    }
    const size_t tail = (size_t)(curve->n - at) * sizeof(double);
    memmove(&curve->batch[at + 1], &curve->batch[at], tail);
    memmove(&curve->fwd[at + 1], &curve->fwd[at], tail);
    memmove(&curve->bwd[at + 1], &curve->bwd[at], tail);
    curve->batch[at] = batch;
    curve->fwd[at] = time->forward_s;
    curve->bwd[at] = time->backward_s;
    curve->n++;
}

static void sort_curves(cost_times *times)
{
    for (int32_t i = 1; i < times->n_curves; i++) {
        const cost_curve moving = times->curve[i];
        int32_t at = i;
        for (; at > 0 && times->curve[at - 1].tp > moving.tp; at--) {
            times->curve[at] = times->curve[at - 1];
        }
        times->curve[at] = moving;
    }
}

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory for the measured layer times");
}

static uap_status check_peak(uap_cost *cost, cost_group *group, const uap_layer *layer,
                             uap_err *err)
{
    if (group->peak_flops > 0.0) {
        cost_warn(
            cost, group, COST_WARN_PEAK,
            "layer times come from peak and efficiency for what cluster \"%s\" has not "
            "measured, the first: %s",
            cost->cluster->name, layer->name);
        return UAP_OK;
    }
    return UAP_FAIL(
        err, BAD_INPUT,
        "cluster \"%s\": device class \"%s\" has neither times for layer %s in "
        "%s nor a peak_flops for that precision",
        cost->cluster->name, group->device->name, layer->name,
        uap_precision_name(cost->options.precision));
}

uap_status cost_kind_times(uap_cost *cost, cost_group *group, int32_t k, uap_err *err)
{
    const uap_layer *layer = &cost->model->layer[cost->kind[k].layer];
    const uap_device_class *device = group->device;
    cost_times *times = &group->times[k];
    char shape[UAP_SHAPE_KEY_BYTES];
    size_t n = 0;
    uap_layer_shape_key(layer, shape);
    for (int32_t i = 0; i < device->n_layers; i++) {
        n += is_measured(&device->layer[i], layer, shape, cost->options.precision);
    }
    if (n == 0) {
        return check_peak(cost, group, layer, err);
    }
    times->curve = uap_arena_alloc(cost->arena, n, sizeof *times->curve);
    if (times->curve == NULL) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < device->n_layers; i++) {
        if (!is_measured(&device->layer[i], layer, shape, cost->options.precision)) {
            continue;
        }
        cost_curve *curve = curve_of(times, device->layer[i].tp);
        if (curve->batch == NULL) {
            curve->batch = uap_arena_alloc(cost->arena, 3 * n, sizeof *curve->batch);
            if (curve->batch == NULL) {
                return no_memory(err);
            }
            curve->fwd = curve->batch + n;
            curve->bwd = curve->fwd + n;
        }
        curve_insert(curve, &device->layer[i]);
    }
    sort_curves(times);
    return UAP_OK;
}

/* ---- From peak and efficiency --------------------------------------------------------- */

/* Forward FLOPs of one sample on one device. */
static double local_flops(const uap_layer *layer, int32_t tp)
{
    double flops = 0.0;
    if (layer->n_gemms == 0) {
        return layer->flops / (double)tp;
    }
    for (int32_t i = 0; i < layer->n_gemms; i++) {
        const uap_gemm gemm = uap_layer_local_gemm(layer, i, tp);
        flops +=
            2.0 * (double)gemm.m * (double)gemm.n * (double)gemm.k * (double)gemm.batch;
    }
    return flops;
}

/* Bytes of one sample that what is not a product reads and writes. */
static double local_moves(const uap_cost *cost, const uap_layer *layer, int32_t tp,
                          bool sp)
{
    const double whole = layer->move_elems - layer->move_split_elems;
    return (double)uap_precision_bytes(cost->options.precision) *
           (layer->move_split_elems / (double)tp + whole / (sp ? (double)tp : 1.0));
}

/* How much less there is to do at tp than at the measured degree. */
static double work_ratio(const uap_cost *cost, const uap_layer *layer, int32_t tp,
                         int32_t measured)
{
    const double flops = local_flops(layer, measured);
    const double moves = local_moves(cost, layer, measured, false);
    if (flops > 0.0) {
        return local_flops(layer, tp) / flops;
    }
    return moves > 0.0 ? local_moves(cost, layer, tp, false) / moves : 1.0;
}

cost_time cost_time_of(uap_cost *cost, cost_group *group, int32_t k,
                       const cost_layout *layout)
{
    const uap_layer *layer = &cost->model->layer[cost->kind[k].layer];
    const cost_times *times = &group->times[k];
    const double bandwidth = group->device->memory_bandwidth_Bps;
    if (times->n_curves > 0) {
        /* The greatest measured degree up to tp, else the least above it. */
        const cost_curve *curve = &times->curve[0];
        for (int32_t i = 1; i < times->n_curves && times->curve[i].tp <= layout->tp;
             i++) {
            curve = &times->curve[i];
        }
        double scale = 1.0;
        if (curve->tp != layout->tp) {
            scale = work_ratio(cost, layer, layout->tp, curve->tp);
            cost_warn(cost, group, COST_WARN_TP,
                      "some TP degrees were not measured and are scaled from others, the "
                      "first: layer %s at tp %d from tp %d",
                      layer->name, layout->tp, curve->tp);
        }
        return (cost_time){.curve = curve, .fwd = scale, .bwd = scale};
    }
    double seconds =
        local_flops(layer, layout->tp) / (group->peak_flops * group->device->efficiency);
    if (bandwidth > 0.0) {
        seconds += local_moves(cost, layer, layout->tp, layout->sp) / bandwidth;
    }
    return (cost_time){.fwd = seconds, .bwd = 2.0 * seconds};
}

/* Linear between two points, proportional to the samples outside. */
static double curve_at(const cost_curve *curve, const double *seconds, double samples)
{
    const int32_t last = curve->n - 1;
    int32_t i = 0;
    while (i < last && curve->batch[i + 1] < samples) {
        i++;
    }
    if (samples <= curve->batch[0]) {
        return seconds[0] * samples / curve->batch[0];
    }
    if (samples >= curve->batch[last]) {
        return seconds[last] * samples / curve->batch[last];
    }
    const double x =
        (samples - curve->batch[i]) / (curve->batch[i + 1] - curve->batch[i]);
    return seconds[i] + x * (seconds[i + 1] - seconds[i]);
}

void cost_time_at(const cost_time *time, double samples, double *fwd, double *bwd)
{
    if (time->curve == NULL) {
        *fwd = time->fwd * samples;
        *bwd = time->bwd * samples;
        return;
    }
    *fwd = time->fwd * curve_at(time->curve, time->curve->fwd, samples);
    *bwd = time->bwd * curve_at(time->curve, time->curve->bwd, samples);
}
