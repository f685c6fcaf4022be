/* `uniap model --json`: every shape once with all its amounts, every layer by its shape. */
#include "cli/model_report.h"
#include "common/json_write.h"

static const char *split_name(uap_gemm_split split)
{
    static const char *const names[] = {[UAP_SPLIT_NONE] = "none",
                                        [UAP_SPLIT_N] = "n",
                                        [UAP_SPLIT_K] = "k",
                                        [UAP_SPLIT_BATCH] = "batch"};
    return names[split];
}

static uap_jout *products(const uap_layer *layer)
{
    uap_jout *list = uap_jout_array();
    for (int32_t i = 0; i < layer->n_gemms; i++) {
        const uap_gemm *gemm = &layer->gemm[i];
        uap_jout *item = uap_jout_object();
        uap_jset_str(item, "name", gemm->name);
        uap_jset_i64(item, "m", gemm->m);
        uap_jset_i64(item, "n", gemm->n);
        uap_jset_i64(item, "k", gemm->k);
        uap_jset_i64(item, "batch", gemm->batch);
        uap_jset_str(item, "tp_splits", split_name(gemm->split));
        uap_jadd(list, item);
    }
    return list;
}

/* One entry per TP degree the layer allows. */
static uap_jout *by_degree(const uap_model_report *report, const uap_layer *layer)
{
    const int32_t bytes = uap_precision_bytes(report->precision);
    uap_jout *list = uap_jout_array();
    for (int32_t i = 0; i < report->tp.n; i++) {
        const int32_t tp = (int32_t)report->tp.value[i];
        if (!uap_layer_allows_tp(layer, tp)) {
            continue;
        }
        uap_jout *item = uap_jout_object();
        uap_jset_i64(item, "tp", tp);
        uap_jset_i64(item, "parameters", uap_layer_local_params(layer, tp));
        uap_jset_f64(item, "activation_bytes",
                     uap_layer_activation_bytes(layer, bytes, tp, false, false));
        uap_jset_f64(item, "activation_bytes_sp",
                     uap_layer_activation_bytes(layer, bytes, tp, true, false));
        uap_jset_f64(item, "activation_bytes_recompute",
                     uap_layer_activation_bytes(layer, bytes, tp, false, true));
        uap_jset_f64(item, "activation_bytes_sp_recompute",
                     uap_layer_activation_bytes(layer, bytes, tp, true, true));
        uap_jadd(list, item);
    }
    return list;
}

static uap_jout *shape_of(const uap_model_report *report, const uap_layer *layer)
{
    const double bytes = uap_precision_bytes(report->precision);
    char key[UAP_SHAPE_KEY_BYTES];
    uap_jout *item = uap_jout_object();
    uap_layer_shape_key(layer, key);
    uap_jset_str(item, "type", uap_layer_type_name(layer->type));
    uap_jset_str(item, "key", key);
    uap_jset_i64(item, "tokens", layer->tokens);
    uap_jset_i64(item, "hidden", layer->hidden);
    uap_jset_i64(item, "heads", layer->heads);
    uap_jset_i64(item, "kv_heads", layer->kv_heads);
    uap_jset_i64(item, "head_dim", layer->head_dim);
    uap_jset_i64(item, "ffn", layer->ffn);
    uap_jset_i64(item, "vocab", layer->vocab);
    uap_jset_i64(item, "parameters", layer->params);
    uap_jset_i64(item, "parameters_split", layer->params_split);
    uap_jset_i64(item, "parameters_tied", layer->tied_params);
    uap_jset_f64(item, "forward_flops", layer->flops);
    uap_jset_f64(item, "moved_bytes", layer->move_elems * bytes);
    uap_jset_f64(item, "boundary_bytes", layer->output_elems * bytes);
    uap_jset_f64(item, "logit_elements", layer->logit_elems);
    uap_jset_i64(item, "tp_all_reduces_forward", layer->tp_allreduces);
    uap_jset_i64(item, "tp_all_reduces_backward", layer->tp_allreduces_bwd);
    uap_jset_f64(item, "tp_all_reduce_bytes", layer->tp_elems * bytes);
    uap_jset(item, "products", products(layer));
    uap_jset(item, "by_tp", by_degree(report, layer));
    return item;
}

/* The shapes in order of their numbers, which is the order of first appearance. */
static uap_jout *shapes(const uap_model_report *report)
{
    uap_jout *list = uap_jout_array();
    int32_t next = 0;
    for (int32_t u = 0; u < report->model->n_layers; u++) {
        if (report->model->layer[u].shape == next) {
            uap_jadd(list, shape_of(report, &report->model->layer[u]));
            next++;
        }
    }
    return list;
}

static uap_jout *layers(const uap_model *model)
{
    uap_jout *list = uap_jout_array();
    for (int32_t u = 0; u < model->n_layers; u++) {
        uap_jout *item = uap_jout_object();
        uap_jset_str(item, "name", model->layer[u].name);
        uap_jset_i64(item, "shape", model->layer[u].shape);
        uap_jadd(list, item);
    }
    return list;
}

static uap_jout *links(const uap_model *model)
{
    uap_jout *list = uap_jout_array();
    for (int32_t i = 0; i < model->n_ties; i++) {
        uap_jout *pair = uap_jout_array();
        uap_jadd_i64(pair, model->tie[i][0]);
        uap_jadd_i64(pair, model->tie[i][1]);
        uap_jadd(list, pair);
    }
    return list;
}

static uap_jout *live(const uap_model_report *report)
{
    const uap_model *model = report->model;
    uap_jout *list = uap_jout_array();
    for (int32_t t = 0; t < model->n_live; t++) {
        const uap_model_live *tensor = &model->live[t];
        uap_jout *item = uap_jout_object();
        uap_jout *readers = uap_jout_array();
        for (int32_t n = 0; n < tensor->n_readers; n++) {
            uap_jadd_i64(readers, tensor->reader[n]);
        }
        uap_jset_i64(item, "producer", tensor->producer);
        uap_jset_i64(item, "from", tensor->from);
        uap_jset(item, "to", readers);
        uap_jset_f64(item, "bytes",
                     tensor->elems * uap_precision_bytes(report->precision));
        uap_jadd(list, item);
    }
    return list;
}

uap_status uap_model_report_json(const uap_model_report *report, uap_err *err)
{
    const uap_model *model = report->model;
    double flops = 0;
    for (int32_t u = 0; u < model->n_layers; u++) {
        flops += model->layer[u].flops;
    }
    uap_jout *root = uap_jout_object();
    uap_jset_str(root, "format", "uniap-model");
    uap_jset_i64(root, "version", 1);
    uap_jset_str(root, "name", model->name);
    uap_jset_str(root, "source", model->source);
    uap_jset_str(root, "sha256", model->sha256);
    uap_jset_str(root, "architecture", model->architecture);
    uap_jset_str(root, "precision", uap_precision_name(report->precision));
    uap_jset_str(root, "granularity", report->is_operator ? "operator" : "block");
    uap_jset_i64(root, "seq", model->seq);
    uap_jset_bool(root, "seq_is_assumed", model->seq_is_assumed);
    uap_jset_i64(root, "parameters", model->params);
    uap_jset_f64(root, "forward_flops", flops);
    uap_jset(root, "shapes", shapes(report));
    uap_jset(root, "layers", layers(model));
    uap_jset(root, "ties", links(model));
    if (model->n_live > 0) {
        uap_jset(root, "live", live(report));
    }
    const uap_status rc = uap_jout_write(root, "-", err);
    uap_jout_free(root);
    return rc;
}
