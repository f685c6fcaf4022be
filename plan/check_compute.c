/* How long a layer computes: from measured times where the cluster has them, else from peak,
 * efficiency and memory bandwidth. docs/cost-model.md section 4. */
#include "plan/check_internal.h"

#include <string.h>

static double flops(const uap_layer *layer, int32_t tp)
{
    double sum = 0;
    for (int32_t i = 0; i < layer->n_gemms; i++) {
        const uap_gemm g = uap_layer_local_gemm(layer, i, tp);
        sum += 2.0 * (double)g.m * (double)g.n * (double)g.k * (double)g.batch;
    }
    return layer->n_gemms > 0 ? sum : layer->flops / tp;
}

/* Bytes read and written outside of products. */
static double moved(const uap_check_setting *setting, const uap_layer *layer, int32_t tp,
                    bool sp)
{
    const double whole = layer->move_elems - layer->move_split_elems;
    return setting->elem * (layer->move_split_elems / tp + whole / (sp ? tp : 1));
}

static double peak(const uap_check_setting *setting)
{
    const uap_precision precision = setting->options->precision;
    const double *have = setting->device->peak_flops;
    if (have[precision] > 0 || precision == UAP_FP32) {
        return have[precision];
    }
    return have[precision == UAP_BF16 ? UAP_FP16 : UAP_BF16];
}

/* Measured times of one layer at one TP degree, as a function of the micro-batch. */
typedef struct curve {
    int64_t below_n, above_n; /* neighbours of n; 0: none on that side */
    double below[2], above[2];
} curve;

static bool is_of(const uap_check_setting *setting, const uap_layer_time *entry,
                  const char *type, const char *key)
{
    return entry->precision == setting->options->precision &&
           strcmp(entry->type, type) == 0 && strcmp(entry->shape, key) == 0;
}

/* The measured TP degree that stands for tp: itself, the next below, the next above. 0: the
 * layer was not measured. */
static int32_t measured_tp(const uap_check_setting *setting, const char *type,
                           const char *key, int32_t tp)
{
    int32_t below = 0, above = 0;
    for (int32_t i = 0; i < setting->device->n_layers; i++) {
        const uap_layer_time *entry = &setting->device->layer[i];
        if (!is_of(setting, entry, type, key)) {
            continue;
        }
        if (entry->tp <= tp) {
            below = entry->tp > below ? entry->tp : below;
        } else if (above == 0 || entry->tp < above) {
            above = entry->tp;
        }
    }
    return below > 0 ? below : above;
}

static curve neighbours(const uap_check_setting *setting, const char *type,
                        const char *key, int32_t tp, int64_t n)
{
    curve c = {0};
    for (int32_t i = 0; i < setting->device->n_layers; i++) {
        const uap_layer_time *entry = &setting->device->layer[i];
        if (!is_of(setting, entry, type, key) || entry->tp != tp) {
            continue;
        }
        if (entry->micro_batch <= n && entry->micro_batch > c.below_n) {
            c.below_n = entry->micro_batch;
            c.below[0] = entry->forward_s;
            c.below[1] = entry->backward_s;
        }
        if (entry->micro_batch >= n &&
            (c.above_n == 0 || entry->micro_batch < c.above_n)) {
            c.above_n = entry->micro_batch;
            c.above[0] = entry->forward_s;
            c.above[1] = entry->backward_s;
        }
    }
    return c;
}

static double interpolated(const curve *c, int direction, int64_t n)
{
    const double low = c->below[direction], high = c->above[direction];
    if (c->below_n == 0) {
        return high * (double)n / (double)c->above_n;
    }
    if (c->above_n == 0) {
        return low * (double)n / (double)c->below_n;
    }
    if (c->above_n == c->below_n) {
        return low;
    }
    return low +
           (high - low) * (double)(n - c->below_n) / (double)(c->above_n - c->below_n);
}

/* False: not measured. */
static bool measured(const uap_check_setting *setting, const uap_layer *layer, int32_t tp,
                     int64_t n, double time[2])
{
    char key[UAP_SHAPE_KEY_BYTES];
    const char *type = uap_layer_type_name(layer->type);
    uap_layer_shape_key(layer, key);
    const int32_t near = measured_tp(setting, type, key, tp);
    if (near == 0) {
        return false;
    }
    double scale = 1;
    if (near != tp) {
        if (flops(layer, near) > 0) {
            scale = flops(layer, tp) / flops(layer, near);
        } else if (moved(setting, layer, near, false) > 0) {
            scale = moved(setting, layer, tp, false) / moved(setting, layer, near, false);
        }
    }
    const curve c = neighbours(setting, type, key, near, n);
    time[0] = interpolated(&c, 0, n) * scale;
    time[1] = interpolated(&c, 1, n) * scale;
    return true;
}

uap_status uap_check_compute(const uap_check_setting *setting, const uap_layer *layer,
                             const uap_strategy *strategy, double *forward,
                             double *backward, uap_err *err)
{
    const int64_t n = setting->samples / ((int64_t)strategy->dp * strategy->fsdp);
    const uap_device_class *device = setting->device;
    double time[2];
    if (measured(setting, layer, strategy->tp, n, time)) {
        *forward = time[0];
        *backward = setting->paper ? 2 * time[0] : time[1];
        return UAP_OK;
    }
    const double speed = peak(setting) * device->efficiency;
    if (!(speed > 0)) {
        return UAP_FAIL(err, BAD_INPUT,
                        "cluster %s: device class %s has no peak_flops or efficiency for "
                        "%s, and layer %s was not measured",
                        setting->cluster->name, device->name,
                        uap_precision_name(setting->options->precision), layer->name);
    }
    double per_sample = flops(layer, strategy->tp) / speed;
    if (device->memory_bandwidth_Bps > 0) {
        per_sample += moved(setting, layer, strategy->tp, strategy->sp) /
                      device->memory_bandwidth_Bps;
    }
    *forward = (double)n * per_sample;
    *backward = 2 * *forward;
    return UAP_OK;
}
