/* The ends of a model: token embeddings, the language-model head, and the pooler or
 * classifier of encoders and vision models. Formulas: docs/models.md. */
#include "configs/model_build.h"

#include <stdio.h>

uap_status uap_add_embedding(uap_builder *builder, const uap_embedding *e, uap_err *err)
{
    const double stream = (double)e->tokens * (double)e->hidden;
    const int64_t matrix = e->vocab * e->hidden;
    uap_layer layer = {.type = UAP_LAYER_EMBEDDING,
                       .tokens = e->tokens,
                       .hidden = e->hidden,
                       .vocab = e->vocab,
                       .params_split = (e->is_tied ? 0 : matrix) + e->split_params,
                       .tied_params = e->is_tied ? matrix : 0,
                       .output_elems = stream,
                       .tp_allreduces = 1,
                       .tp_elems = stream};
    (void)snprintf(layer.name, sizeof layer.name, "%s", e->name);
    layer.params = layer.params_split + e->added_rows * e->hidden + e->norm_params;
    /* The look-up and every added table: what was read and written; then the norm. */
    layer.move_elems = (2.0 + 3.0 * (double)e->added_tables) * stream;
    if (e->norm_params > 0) {
        layer.act_whole_elems += stream;
        layer.move_elems += 2.0 * stream;
    }
    if (e->dropout) {
        layer.mask_whole += stream;
        layer.move_elems += 2.0 * stream;
    }
    return uap_add_layer(builder, &layer, err);
}

uap_status uap_add_patches(uap_builder *builder, const uap_patches *p, uap_err *err)
{
    const double stream = (double)p->tokens * (double)p->hidden;
    const double pixels = (double)p->patches * (double)p->pixels;
    uap_layer layer = {.name = "embedding",
                       .type = UAP_LAYER_EMBEDDING,
                       .tokens = p->tokens,
                       .hidden = p->hidden,
                       .params =
                           (p->pixels + 1 + p->added_rows) * p->hidden + p->norm_params,
                       .act_whole_elems = pixels,
                       .move_elems = 3.0 * (double)p->added_tables * stream,
                       .input_elems = pixels,
                       .output_elems = stream};
    if (p->norm_params > 0) {
        layer.act_whole_elems += stream;
        layer.move_elems += 2.0 * stream;
    }
    if (p->dropout) {
        layer.mask_whole += stream;
        layer.move_elems += 2.0 * stream;
    }
    uap_layer_add_gemm(&layer, &(uap_gemm){"patches", p->patches, p->hidden, p->pixels, 1,
                                           UAP_SPLIT_NONE, 0});
    return uap_add_layer(builder, &layer, err);
}

uap_status uap_add_lm_head(uap_builder *builder, const uap_lm_head *head, uap_err *err)
{
    const double stream = (double)head->tokens * (double)head->hidden;
    const int64_t matrix = head->vocab * head->hidden;
    uap_layer layer = {.name = "head",
                       .type = UAP_LAYER_HEAD,
                       .tokens = head->tokens,
                       .hidden = head->hidden,
                       .vocab = head->vocab,
                       .params_split = head->is_tied ? 0 : matrix,
                       .tied_params = head->is_tied ? matrix : 0,
                       .act_whole_elems = 2.0 * stream, /* inputs of norm and product */
                       .mask_whole = head->dropout ? stream : 0.0,
                       .input_elems = stream,
                       .logit_elems = (double)head->tokens * (double)head->vocab,
                       .tp_allreduces_bwd = 1,
                       .tp_elems = stream};
    layer.params = layer.params_split + head->norm_params;
    layer.move_split_elems = 2.0 * layer.logit_elems; /* the loss: read, written */
    layer.move_elems = (head->dropout ? 4.0 : 2.0) * stream + layer.move_split_elems;
    uap_layer_add_gemm(&layer, &(uap_gemm){"logits", head->tokens, head->vocab,
                                           head->hidden, 1, UAP_SPLIT_N, 0});
    return uap_add_layer(builder, &layer, err);
}

uap_status uap_add_pooled_head(uap_builder *builder, const uap_pooled_head *head,
                               uap_err *err)
{
    const double stream = (double)head->tokens * (double)head->hidden;
    uap_layer layer = {.name = "head",
                       .type = UAP_LAYER_HEAD,
                       .tokens = head->tokens,
                       .hidden = head->hidden,
                       .vocab = head->labels,
                       .params = head->norm_params,
                       .input_elems = stream};
    if (head->norm_params > 0) {
        layer.act_whole_elems += stream;
        layer.move_elems += 2.0 * stream;
    }
    if (head->labels > 0) {
        layer.params_split = head->labels * head->hidden + head->labels;
        layer.params += layer.params_split;
        layer.act_whole_elems += (double)head->hidden;
        layer.logit_elems = (double)head->labels;
        layer.move_split_elems = 2.0 * layer.logit_elems;
        layer.move_elems += layer.move_split_elems;
        layer.tp_allreduces_bwd = 1;
        layer.tp_elems = (double)head->hidden;
        uap_layer_add_gemm(&layer, &(uap_gemm){"logits", 1, head->labels, head->hidden, 1,
                                               UAP_SPLIT_N, 0});
    } else if (head->has_pooler) {
        layer.params += head->hidden * head->hidden + head->hidden;
        layer.act_whole_elems += 2.0 * (double)head->hidden; /* input; tanh's output */
        layer.move_elems += 2.0 * (double)head->hidden;
        uap_layer_add_gemm(&layer, &(uap_gemm){"pooler", 1, head->hidden, head->hidden, 1,
                                               UAP_SPLIT_NONE, 0});
    }
    return uap_add_layer(builder, &layer, err);
}
