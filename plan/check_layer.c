/* One layer under one strategy: time, memory, and what it pays once per iteration.
 * docs/cost-model.md sections 1.2, 3, 5, 6, 7 and 9; names as there. */
#include "plan/check_internal.h"

#include <math.h>

/* A layer with its strategy, and section 3. */
typedef struct parts {
    const uap_check_setting *setting;
    const uap_layer *layer;
    const uap_strategy *strategy;
    int64_t n;    /* samples per device and micro-batch */
    int64_t used; /* U */
    int64_t owned, owned_shard, optimizer_shard, gradient_shard;
    double bucket; /* bytes */
} parts;

static int64_t divide_up(int64_t a, int64_t b)
{
    return a / b + (a % b > 0 ? 1 : 0);
}

static double larger(double a, double b)
{
    return a > b ? a : b;
}

/* T: the tied matrix on one device of a TP group. */
static int64_t tied_on_device(const uap_layer *layer, int32_t tp)
{
    if (layer->tied_params <= 0) {
        return 0;
    }
    const int64_t padding = tp * divide_up(layer->vocab, tp) - layer->vocab;
    return divide_up(layer->tied_params + padding * layer->hidden, tp);
}

static parts take_apart(const uap_check_setting *setting, const uap_layer *layer,
                        const uap_strategy *strategy)
{
    const int64_t local = uap_layer_local_params(layer, strategy->tp);
    const int64_t tied = tied_on_device(layer, strategy->tp);
    parts p = {.setting = setting, .layer = layer, .strategy = strategy};
    p.n = setting->samples / ((int64_t)strategy->dp * strategy->fsdp);
    p.used = local + tied;
    p.owned = local + (setting->pp > 1 ? tied : 0);
    p.owned_shard = divide_up(p.owned, strategy->fsdp);
    const int64_t sharded = divide_up(p.owned_shard, strategy->dp);
    p.optimizer_shard = strategy->zero >= 1 ? sharded : p.owned_shard;
    p.gradient_shard = strategy->zero == 2 ? sharded : p.owned_shard;
    p.bucket = larger(40e6, 1e6 * strategy->dp) * setting->elem;
    return p;
}

static double both(const uap_cluster *cluster, double x, double y)
{
    const double sc = cluster->compute_slowdown, sm = cluster->communication_slowdown;
    const double together =
        x * sm <= y * sc ? x * sm + (y - x * sm / sc) : y * sc + (x - y * sc / sm);
    return together < x + y ? together : x + y;
}

/* A collective of the dp group on this layer's shard, in buckets. */
static double bucketed(const parts *p, uap_collective_kind kind)
{
    const double bytes = (double)p->owned_shard * p->setting->elem;
    return uap_check_collective(p->setting, kind, p->strategy->dp,
                                (int64_t)p->strategy->tp * p->strategy->fsdp, bytes,
                                larger(1, ceil(bytes / p->bucket)));
}

/* One tensor-parallel exchange of the layer. */
static double tensor_exchange(const parts *p)
{
    const uap_check_setting *s = p->setting;
    const int32_t tp = p->strategy->tp;
    const double bytes = (double)p->n * p->layer->tp_elems * s->elem;
    if (p->strategy->sp) {
        return uap_check_collective(s, UAP_ALL_GATHER, tp, 1, bytes, 1) +
               uap_check_collective(s, UAP_REDUCE_SCATTER, tp, 1, bytes, 1);
    }
    return uap_check_collective(s, UAP_ALL_REDUCE, tp, 1, bytes, 1);
}

double uap_check_tied_bytes(const uap_check_setting *setting, int32_t i,
                            const uap_strategy *strategy)
{
    const uap_layer *later = &setting->model->layer[setting->model->tie[i][1]];
    return (double)setting->elem *
           (double)divide_up(tied_on_device(later, strategy->tp), strategy->fsdp);
}

/* Section 7's tying all-reduces of layer u; section 13's depend on the other layer's place. */
static double tie_time(const parts *p, int32_t u)
{
    const uap_model *model = p->setting->model;
    double sum = 0;
    if (p->setting->pp == 1 || uap_check_is_mixed(p->setting)) {
        return 0;
    }
    for (int32_t i = 0; i < model->n_ties; i++) {
        if (model->tie[i][0] != u && model->tie[i][1] != u) {
            continue;
        }
        sum += uap_check_collective(p->setting, UAP_ALL_REDUCE, 2,
                                    (p->setting->pp - 1) * p->setting->stage_devices,
                                    uap_check_tied_bytes(p->setting, i, p->strategy), 1);
    }
    return sum;
}

/* Bytes that the optimizer moves per parameter: gradient, weight or master, moments. */
static double optimizer_traffic(const uap_cost_options *options)
{
    const bool adam = options->optimizer == UAP_ADAM;
    if (options->precision == UAP_FP32) {
        return adam ? 4 + 8 + 16 : 4 + 8 + 8;
    }
    return adam ? 2 + 8 + 16 + 2 : 2 + 8 + 8 + 2;
}

static double optimizer_bytes(const uap_cost_options *options)
{
    const bool adam = options->optimizer == UAP_ADAM;
    if (options->precision == UAP_FP32) {
        return adam ? 8 : 4;
    }
    return adam ? 12 : 8;
}

/* Gradient synchronisation: behind the backward pass, and after the optimizer. */
static void gradient_times(const parts *p, double *hidden, double *after)
{
    const int zero = p->strategy->zero;
    *hidden = zero == 0   ? bucketed(p, UAP_ALL_REDUCE)
              : zero == 1 ? bucketed(p, UAP_REDUCE_SCATTER)
                          : 0;
    *after = zero >= 1 ? bucketed(p, UAP_ALL_GATHER) : 0;
}

static uap_status times(const parts *p, int32_t u, uap_check_layer *out, uap_err *err)
{
    const uap_check_setting *s = p->setting;
    const uap_strategy *k = p->strategy;
    const bool again = k->recompute;
    uap_status rc = UAP_OK;
    double yf = 0, yb = 0, xg = 0, xa = 0;
    UAP_TRY(uap_check_compute(s, p->layer, k, &yf, &yb, err));
    gradient_times(p, &xg, &xa);
    const double once = tensor_exchange(p);
    const double tf = p->layer->tp_allreduces * once;
    const double tb = p->layer->tp_allreduces_bwd * once;
    const double gather = uap_check_collective(s, UAP_ALL_GATHER, k->fsdp, k->tp,
                                               (double)p->used * s->elem, 1);
    const double scatter = uap_check_collective(s, UAP_REDUCE_SCATTER, k->fsdp, k->tp,
                                                (double)p->owned * s->elem, 1);
    const double zero2 = k->zero == 2 ? bucketed(p, UAP_REDUCE_SCATTER) : 0;
    const double xb = gather * (again ? 2 : 1) + scatter + zero2 +
                      (s->paper ? (xg + xa) / (double)s->micro_batches : 0);
    const double yr = yb + (again ? yf : 0);
    const double forward = both(s->cluster, gather, yf) + tf;
    const double backward = both(s->cluster, xb, yr) + tb + (again ? tf : 0);
    if (s->paper) {
        UAP_TRY(uap_check_ticks(forward + backward, &out->fwd, err));
        goto done;
    }
    UAP_TRY(uap_check_ticks(forward, &out->fwd, err));
    UAP_TRY(uap_check_ticks(backward, &out->bwd, err));
    const double room = larger(0, yr - xb);
    const double sync = both(s->cluster, xg, room) - room + xa;
    const double bandwidth = s->device->memory_bandwidth_Bps;
    const double step = bandwidth > 0 ? (double)p->optimizer_shard *
                                            optimizer_traffic(s->options) / bandwidth
                                      : 0;
    UAP_TRY(uap_check_ticks(sync + step + tie_time(p, u), &out->grad, err));
done:
    return rc;
}

/* Bytes rounded up. Errors: TOO_LARGE. */
static uap_status whole_bytes(double bytes, int64_t *out, uap_err *err)
{
    const double up = ceil(bytes);
    if (!(up >= 0 && up < 4.6e18)) {
        return UAP_FAIL(err, TOO_LARGE, "%g bytes on a device: expected less than 2^62",
                        bytes);
    }
    *out = (int64_t)up;
    return UAP_OK;
}

static double workspace(const parts *p)
{
    const uap_strategy *k = p->strategy;
    const uap_layer *layer = p->layer;
    const double e = p->setting->elem, n = (double)p->n;
    const double logits_share =
        layer->vocab > 0 ? (double)divide_up(layer->vocab, k->tp) / (double)layer->vocab
                         : 1.0 / k->tp;
    double bytes = 0;
    if (k->recompute) {
        bytes +=
            n * uap_layer_activation_bytes(layer, p->setting->elem, k->tp, k->sp, false);
    }
    if (k->fsdp > 1) {
        bytes += 2.0 * (double)p->used * e + (double)p->owned * e;
    }
    if (k->dp > 1 && k->zero == 2) {
        const double gradients = (double)p->owned_shard * e;
        bytes += gradients < p->bucket ? gradients : p->bucket;
    }
    return bytes + 4.0 * n * layer->logit_elems * logits_share;
}

static uap_status memory(const parts *p, uap_check_layer *out, uap_err *err)
{
    const uap_strategy *k = p->strategy;
    const double e = p->setting->elem;
    uap_status rc = UAP_OK;
    UAP_TRY(
        whole_bytes(e * (double)p->owned_shard + e * (double)p->gradient_shard +
                        optimizer_bytes(p->setting->options) * (double)p->optimizer_shard,
                    &out->state, err));
    UAP_TRY(
        whole_bytes((double)p->n * uap_layer_activation_bytes(p->layer, p->setting->elem,
                                                              k->tp, k->sp, k->recompute),
                    &out->act, err));
    if (!p->setting->paper) {
        UAP_TRY(whole_bytes(workspace(p), &out->work, err));
    }
done:
    return rc;
}

uap_status uap_check_layer_costs(const uap_check_setting *setting, int32_t u,
                                 const uap_strategy *strategy, uap_check_layer *out,
                                 uap_err *err)
{
    uap_status rc = UAP_OK;
    const parts p = take_apart(setting, &setting->model->layer[u], strategy);
    *out = (uap_check_layer){0};
    UAP_TRY(times(&p, u, out, err));
    UAP_TRY(memory(&p, out, err));
done:
    return rc;
}
