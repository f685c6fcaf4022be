/* The list of layers under construction: growth, shape numbers, ties, and the parts that a
 * transformer block is made of, each adding its products, parameters and bytes to a layer.
 * The formulas are those of docs/models.md, section by section in the same order. */
#include "configs/model_build.h"

#include "common/mem.h"
#include "common/numbers.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool gemms_equal(const uap_layer *a, const uap_layer *b)
{
    if (a->n_gemms != b->n_gemms) {
        return false;
    }
    for (int32_t i = 0; i < a->n_gemms; i++) {
        const uap_gemm *x = &a->gemm[i], *y = &b->gemm[i];
        if (strcmp(x->name, y->name) != 0 || x->m != y->m || x->n != y->n ||
            x->k != y->k || x->batch != y->batch || x->split != y->split ||
            x->n_kv != y->n_kv) {
            return false;
        }
    }
    return true;
}

static bool dimensions_equal(const uap_layer *a, const uap_layer *b)
{
    return a->type == b->type && a->tokens == b->tokens && a->hidden == b->hidden &&
           a->heads == b->heads && a->kv_heads == b->kv_heads &&
           a->head_dim == b->head_dim && a->keys == b->keys && a->ffn == b->ffn &&
           a->gated == b->gated && a->vocab == b->vocab && a->params == b->params &&
           a->params_split == b->params_split && a->params_kv == b->params_kv &&
           a->tied_params == b->tied_params && a->tp_allreduces == b->tp_allreduces &&
           a->tp_allreduces_bwd == b->tp_allreduces_bwd;
}

static bool same(double a, double b)
{
    return !(a < b) && !(a > b);
}

static bool amounts_equal(const uap_layer *a, const uap_layer *b)
{
    return same(a->flops, b->flops) && same(a->move_elems, b->move_elems) &&
           same(a->move_split_elems, b->move_split_elems) &&
           same(a->act_split_elems, b->act_split_elems) &&
           same(a->act_whole_elems, b->act_whole_elems) &&
           same(a->act_kv_elems, b->act_kv_elems) && same(a->mask_split, b->mask_split) &&
           same(a->mask_whole, b->mask_whole) && same(a->input_elems, b->input_elems) &&
           same(a->output_elems, b->output_elems) &&
           same(a->logit_elems, b->logit_elems) && same(a->tp_elems, b->tp_elems);
}

/* Everything but name and shape. */
static bool layers_equal(const uap_layer *a, const uap_layer *b)
{
    return dimensions_equal(a, b) && amounts_equal(a, b) && gemms_equal(a, b);
}

/* The shape number of an equal layer among the first n, or a new one. Backwards, as runs of
 * equal layers make the last one the likeliest; a number seen once need not be tried again,
 * but there are few. */
static int32_t shape_of(uap_model *model, const uap_layer *layer)
{
    for (int32_t i = model->n_layers - 1; i >= 0; i--) {
        const bool is_repeated =
            i + 1 < model->n_layers && model->layer[i].shape == model->layer[i + 1].shape;
        if (!is_repeated && layers_equal(&model->layer[i], layer)) {
            return model->layer[i].shape;
        }
    }
    return model->n_shapes++;
}

uap_status uap_add_layer(uap_builder *builder, const uap_layer *layer, uap_err *err)
{
    uap_model *model = builder->model;
    if (model->n_layers == builder->capacity) {
        const int32_t capacity = builder->capacity == 0 ? 16 : 2 * builder->capacity;
        uap_layer *grown = uap_realloc(model->layer, (size_t)capacity, sizeof *grown);
        if (grown == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for %d layers", capacity);
        }
        model->layer = grown;
        builder->capacity = capacity;
    }
    uap_layer *added = &model->layer[model->n_layers];
    *added = *layer;
    added->flops = layer->n_gemms > 0 ? 0.0 : layer->flops;
    for (int32_t i = 0; i < layer->n_gemms; i++) {
        const uap_gemm *gemm = &layer->gemm[i];
        added->flops += 2.0 * (double)gemm->m * (double)gemm->n * (double)gemm->k *
                        (double)gemm->batch;
    }
    added->shape = shape_of(model, added);
    model->n_layers++;
    model->params += layer->params;
    return UAP_OK;
}

uap_status uap_add_live(uap_builder *builder, const uap_model_live *live, uap_err *err)
{
    uap_model *model = builder->model;
    const size_t n = (size_t)live->n_readers;
    uap_model_live *grown =
        uap_realloc(model->live, (size_t)model->n_live + 1, sizeof *grown);
    if (grown != NULL) {
        model->live = grown;
        grown[model->n_live] = *live;
        grown[model->n_live].reader = uap_calloc(n, sizeof *live->reader);
    }
    if (grown == NULL || grown[model->n_live].reader == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for live tensors");
    }
    memcpy(grown[model->n_live].reader, live->reader, n * sizeof *live->reader);
    model->n_live++;
    return UAP_OK;
}

void uap_add_tie(uap_builder *builder, int32_t earlier, int32_t later)
{
    uap_model *model = builder->model;
    assert(model->n_ties < UAP_MODEL_MAX_TIES && earlier < later);
    model->tie[model->n_ties][0] = earlier;
    model->tie[model->n_ties][1] = later;
    model->n_ties++;
}

void uap_layer_add_gemm(uap_layer *layer, const uap_gemm *gemm)
{
    assert(layer->n_gemms < UAP_LAYER_MAX_GEMMS);
    layer->gemm[layer->n_gemms++] = *gemm;
}

/* Norm in front (or behind), residual sum and dropout of one half of a block. */
static void add_norm_residual(uap_layer *layer, int64_t norm_params, bool dropout)
{
    const double stream = (double)layer->tokens * (double)layer->hidden;
    layer->params += norm_params;
    layer->act_whole_elems += stream; /* the norm's input */
    layer->mask_whole += dropout ? stream : 0.0;
    /* norm: in, out; residual: two in, one out; dropout: in, out */
    layer->move_elems += (dropout ? 7.0 : 5.0) * stream;
    layer->tp_allreduces += 1;
    layer->tp_allreduces_bwd += 1;
}

static void add_projections(uap_layer *layer, const uap_attention *a)
{
    const int64_t q = a->heads * a->head_dim, kv = 2 * a->kv_heads * a->head_dim;
    const int64_t h = a->hidden;
    const int64_t bias_qkv = a->qkv_bias ? q + kv : 0;
    layer->params_split += h * (q + kv) + bias_qkv + q * h + a->extra_params;
    layer->params_kv += h * kv + (a->qkv_bias ? kv : 0);
    layer->params +=
        h * (q + kv) + bias_qkv + q * h + a->extra_params + (a->out_bias ? h : 0);
    if (a->is_cross) {
        uap_layer_add_gemm(layer,
                           &(uap_gemm){"cross_q", a->rows, q, h, 1, UAP_SPLIT_N, 0});
        uap_layer_add_gemm(
            layer, &(uap_gemm){"cross_kv", a->source_tokens, kv, h, 1, UAP_SPLIT_N, kv});
    } else {
        uap_layer_add_gemm(layer,
                           &(uap_gemm){"qkv", a->rows, q + kv, h, 1, UAP_SPLIT_N, kv});
    }
}

static void add_products_of_heads(uap_layer *layer, const uap_attention *a)
{
    const int64_t batch = a->heads * a->windows, m = a->rows / a->windows;
    uap_gemm scores = {"scores", m, a->keys, a->head_dim, batch, UAP_SPLIT_BATCH, 0};
    uap_gemm context = {"context", m, a->head_dim, a->keys, batch, UAP_SPLIT_BATCH, 0};
    uap_gemm out = {"out", a->rows, a->hidden, a->heads * a->head_dim, 1, UAP_SPLIT_K, 0};
    if (a->is_cross) {
        (void)snprintf(scores.name, sizeof scores.name, "cross_scores");
        (void)snprintf(context.name, sizeof context.name, "cross_context");
        (void)snprintf(out.name, sizeof out.name, "cross_out");
    }
    uap_layer_add_gemm(layer, &scores);
    uap_layer_add_gemm(layer, &context);
    uap_layer_add_gemm(layer, &out);
}

static void add_attention(uap_layer *layer, const uap_attention *a)
{
    const double q = (double)a->rows * (double)(a->heads * a->head_dim);
    const double kv =
        2.0 * (double)a->source_tokens * (double)(a->kv_heads * a->head_dim);
    const double scores = (double)a->heads * (double)a->rows * (double)a->keys;

    layer->heads = a->heads;
    layer->kv_heads = a->kv_heads;
    layer->head_dim = a->head_dim;
    layer->keys = a->keys;
    add_norm_residual(layer, a->norm_params, a->hidden_dropout);
    add_projections(layer, a);
    add_products_of_heads(layer, a);
    layer->act_whole_elems +=
        (double)a->rows * (double)a->hidden; /* projections' input */
    layer->act_split_elems += 2.0 * q + kv;  /* queries, context; keys and values */
    layer->act_kv_elems += kv;
    double moved = a->rotary ? 2.0 * (q + kv / 2.0) : 0.0;
    if (a->keeps_scores) {
        layer->act_split_elems += (a->score_dropout ? 2.0 : 1.0) * scores;
        layer->mask_split += a->score_dropout ? scores : 0.0;
        moved +=
            (2.0 + (a->score_dropout ? 2.0 : 0.0) + (a->score_bias ? 2.0 : 0.0)) * scores;
    } else {
        /* The fused kernel keeps one fp32 logarithm of the row sum per query and head. */
        layer->mask_split += 4.0 * (double)a->heads * (double)a->rows;
    }
    layer->move_elems += moved;
    layer->move_split_elems += moved;
    if (a->is_cross) {
        layer->tp_allreduces_bwd += 1; /* the source's gradient */
    }
}

static void add_mlp(uap_layer *layer, const uap_mlp *p)
{
    const double wide = (double)p->tokens * (double)p->ffn;
    const int64_t up = (p->gated ? 2 : 1) * p->ffn;
    const int64_t split = p->hidden * up + p->ffn * p->hidden + (p->bias ? up : 0);

    layer->ffn = p->ffn;
    layer->gated = p->gated;
    add_norm_residual(layer, p->norm_params, p->hidden_dropout);
    layer->params += split + (p->bias ? p->hidden : 0);
    layer->params_split += split;
    uap_layer_add_gemm(layer,
                       &(uap_gemm){"up", p->tokens, up, p->hidden, 1, UAP_SPLIT_N, 0});
    uap_layer_add_gemm(
        layer, &(uap_gemm){"down", p->tokens, p->hidden, p->ffn, 1, UAP_SPLIT_K, 0});
    layer->act_whole_elems += (double)p->tokens * (double)p->hidden; /* first input */
    double kept = p->is_relu ? 0.0 : 1.0; /* the activation's input */
    if (p->gated) {
        kept += 3.0; /* both factors and the last product's input */
    } else {
        /* The last product's input; ReLU's own output apart where dropout is between. */
        kept += 1.0 + (p->is_relu && p->inner_dropout ? 1.0 : 0.0);
    }
    layer->act_split_elems += kept * wide;
    layer->mask_split += p->inner_dropout ? wide : 0.0;
    const double moved = (p->gated ? 3.0 : 2.0) + (p->inner_dropout ? 2.0 : 0.0);
    layer->move_elems += moved * wide;
    layer->move_split_elems += moved * wide;
}

/* A layer of `hidden` x `tokens` in and out with nothing in it yet. */
static uap_layer empty_half(const uap_block *block, const char *part, uap_layer_type type)
{
    uap_layer layer = {
        .type = type, .tokens = block->mlp.tokens, .hidden = block->mlp.hidden};
    (void)snprintf(layer.name, sizeof layer.name, "%s.%lld%s", block->prefix,
                   (long long)block->index, part);
    layer.input_elems = (double)layer.tokens * (double)layer.hidden;
    layer.output_elems = layer.input_elems;
    layer.tp_elems = layer.input_elems;
    return layer;
}

/* The stack's final norm (and dropout); the result is the live tensor, not a chain edge. */
static void end_stack(uap_layer *layer, const uap_block *block)
{
    const double stream = (double)layer->tokens * (double)layer->hidden;
    layer->params += block->self.norm_params;
    layer->act_whole_elems += stream;
    layer->mask_whole += block->stack_dropout ? stream : 0.0;
    layer->move_elems += (block->stack_dropout ? 4.0 : 2.0) * stream;
    layer->output_elems = 0.0;
}

uap_status uap_add_block(uap_builder *builder, const uap_block *block, uap_err *err)
{
    uap_status rc = UAP_OK;
    const bool split = builder->options->operator_granularity;
    const uap_layer_type whole = block->cross != NULL ? UAP_LAYER_CROSS_BLOCK
                                 : block->is_windowed ? UAP_LAYER_WINDOW_BLOCK
                                                      : UAP_LAYER_BLOCK;
    const uap_layer_type half =
        block->cross != NULL ? UAP_LAYER_CROSS_ATTENTION : UAP_LAYER_ATTENTION;

    uap_layer layer = empty_half(block, split ? ".attention" : "", split ? half : whole);
    add_attention(&layer, &block->self);
    if (block->cross != NULL) {
        add_attention(&layer, block->cross);
    }
    if (split) {
        UAP_TRY(uap_add_layer(builder, &layer, err));
        layer = empty_half(block, ".mlp", UAP_LAYER_MLP);
    }
    add_mlp(&layer, &block->mlp);
    if (block->ends_stack) {
        end_stack(&layer, block);
    }
    UAP_TRY(uap_add_layer(builder, &layer, err));
done:
    return rc;
}
