/* Tensors that later layers than the next one read (docs/cost-model.md, sections 8 and 13). */
#include "search/cost_build.h"

/* ---- Live tensors where all stages are alike -------------------------------------------- */

/* Resharding from the producer's strategies to those of one kind of consumer. */
static uap_status fill_live_reads(const cost_work *b, double bytes,
                                  const cost_built *from, const cost_built *to,
                                  int64_t *out[2], uap_err *err)
{
    cost_stage *stage = b->type[0];
    const cost_move *move = cost_moves_of(b->cost, stage, bytes);
    const size_t columns = (size_t)to->table->n;
    const size_t pairs = (size_t)from->table->n * columns;
    out[0] = cost_alloc_i64(b, pairs);
    out[1] = cost_alloc_i64(b, pairs);
    if (out[0] == NULL || out[1] == NULL || move == NULL) {
        return cost_no_memory(err);
    }
    for (int32_t k = 0; k < from->table->n; k++) {
        for (int32_t m = 0; m < to->table->n; m++) {
            const int32_t s = from->layout[from->class_of[k]];
            const int32_t t = to->layout[to->class_of[m]];
            const size_t at = (size_t)k * columns + (size_t)m;
            cost_set_halves(b, cost_move_s(&move[s * stage->n_layouts + t], bytes),
                            cost_move_s(&move[t * stage->n_layouts + s], bytes),
                            &out[0][at], &out[1][at]);
        }
    }
    return UAP_OK;
}

/* Consumers of one kind share their matrices. */
static uap_status fill_consumers(const cost_work *b, const uap_model_live *tensor,
                                 double bytes, uap_live_tensor *live, uap_err *err)
{
    const uap_cost *cost = b->cost;
    const cost_built *from = &b->built[cost->layer_kind[live->from]];
    for (int32_t n = 0; n < tensor->n_readers; n++) {
        const int32_t u = tensor->reader[n];
        int64_t *matrices[2] = {NULL, NULL};
        for (int32_t i = 0; i < live->n_consumers && matrices[0] == NULL; i++) {
            if (cost->layer_kind[live->consumer[i]] == cost->layer_kind[u]) {
                matrices[0] = live->r_fwd[i];
                matrices[1] = live->r_bwd[i];
            }
        }
        if (matrices[0] == NULL) {
            const uap_status rc = fill_live_reads(
                b, bytes, from, &b->built[cost->layer_kind[u]], matrices, err);
            if (rc != UAP_OK) {
                return rc;
            }
        }
        live->consumer[live->n_consumers] = u;
        live->r_fwd[live->n_consumers] = matrices[0];
        live->r_bwd[live->n_consumers] = matrices[1];
        live->n_consumers++;
    }
    return UAP_OK;
}

static uap_status fill_live(const cost_work *b, const uap_model_live *tensor,
                            uap_live_tensor *live, uap_err *err)
{
    cost_stage *stage = b->type[0];
    uap_arena *arena = b->instance->arena;
    const double bytes =
        (double)b->micro_batch * tensor->elems * (double)stage->scope.elem_bytes;
    const cost_built *from = &b->built[b->cost->layer_kind[tensor->from]];
    const size_t most = (size_t)tensor->n_readers;
    const size_t rows = (size_t)from->table->n;
    int64_t *numbers = cost_alloc_i64(b, 3 * rows);
    if (numbers == NULL) {
        return cost_no_memory(err);
    }
    *live = (uap_live_tensor){
        .from = tensor->from,
        .consumer = cost_alloc_i32(b, most),
        .r_fwd = uap_arena_alloc(arena, most, sizeof *live->r_fwd),
        .r_bwd = uap_arena_alloc(arena, most, sizeof *live->r_bwd),
        .x_fwd = numbers,
        .x_bwd = numbers + rows,
        .bytes = numbers + 2 * rows,
    };
    const cost_cross *boundary = cost_boundary_of(b->cost, stage, stage, bytes);
    if (live->consumer == NULL || live->r_fwd == NULL || live->r_bwd == NULL ||
        boundary == NULL) {
        return cost_no_memory(err);
    }
    for (size_t k = 0; k < rows; k++) {
        const int32_t s = from->layout[from->class_of[k]];
        const cost_layout *layout = &stage->layout[s];
        const double cross = cost_cross_s(&boundary[s * stage->n_layouts + s], bytes);
        cost_set_halves(b, cross, cross, &live->x_fwd[k], &live->x_bwd[k]);
        live->bytes[k] = cost_bytes(bytes * (layout->sp ? 1.0 : (double)layout->tp) /
                                    (double)stage->scope.stage_devices);
    }
    return fill_consumers(b, tensor, bytes, live, err);
}

uap_status cost_build_live(const cost_work *b, uap_err *err)
{
    const uap_model *model = b->cost->model;
    uap_instance *instance = b->instance;
    uap_status rc = UAP_OK;
    instance->live =
        uap_arena_alloc(instance->arena, (size_t)model->n_live, sizeof *instance->live);
    if (instance->live == NULL) {
        return cost_no_memory(err);
    }
    for (int32_t t = 0; t < model->n_live && rc == UAP_OK; t++) {
        rc = fill_live(b, &model->live[t], &instance->live[instance->n_live++], err);
    }
    return rc;
}

/* ---- Live tensors of mixed clusters ------------------------------------------------------- */

/* Adds what the layers of kind k pay for the tensor: a consumer gathers its part from the slices,
 * and the producer gathers the gradient that came back in slices. */
static void fold_rows(const cost_work *b, int32_t k, double bytes, bool is_producer)
{
    const cost_built *built = &b->built[k];
    uap_layer_table *table = built->table;
    for (int32_t i = 0; i < table->n; i++) {
        const cost_stage *stage = b->type[built->type[built->class_of[i]]];
        const cost_move move =
            cost_gather(stage, stage->layout[built->layout[built->class_of[i]]], bytes);
        const double seconds = cost_move_s(&move, bytes);
        int64_t fwd = 0, bwd = 0;
        cost_set_halves(b, is_producer ? 0.0 : seconds, is_producer ? seconds : 0.0, &fwd,
                        &bwd);
        table->fwd[i] += fwd;
        table->bwd[i] += bwd;
    }
}

/* Adds the slices' way across a boundary to an edge. */
static void fold_edge(const cost_work *b, const cost_edge *kinds, double bytes,
                      uap_edge_table *edge)
{
    const cost_built *from = &b->built[kinds->from], *to = &b->built[kinds->to];
    for (int32_t i = 0; i < from->n_classes; i++) {
        for (int32_t j = 0; j < to->n_classes; j++) {
            const cost_move send = cost_send(b->cost, b->type[from->type[i]],
                                             b->type[to->type[j]], 1.0, bytes);
            const double seconds = cost_move_s(&send, bytes);
            const int32_t at = i * to->n_classes + j;
            int64_t fwd = 0, bwd = 0;
            cost_set_halves(b, seconds, seconds, &fwd, &bwd);
            edge->x_fwd[at] += fwd;
            edge->x_bwd[at] += bwd;
        }
    }
}

/* A stage keeps the slices if it has a layer behind the producer, up to the last reader: the
 * layer next to the producer has them in its row, stages that start behind it are told. */
static void fold_memory(const cost_work *b, const uap_model_live *tensor, double bytes)
{
    const int32_t next = tensor->from + 1;
    const cost_built *built = &b->built[b->cost->layer_kind[next]];
    const size_t n_layers = (size_t)b->cost->model->n_layers;
    for (int32_t t = 0; t < b->n_types; t++) {
        const int64_t slice = cost_bytes(bytes / (double)b->type[t]->scope.stage_devices);
        for (int32_t u = next + 1; u <= tensor->reader[tensor->n_readers - 1]; u++) {
            b->instance->start_act[(size_t)t * n_layers + (size_t)u] += slice;
        }
    }
    for (int32_t i = 0; i < built->table->n; i++) {
        const cost_stage *stage = b->type[built->type[built->class_of[i]]];
        built->table->act[i] += cost_bytes(bytes / (double)stage->scope.stage_devices);
    }
}

static void fold_tensor(const cost_work *b, const uap_model_live *tensor)
{
    const uap_cost *cost = b->cost;
    const double bytes =
        (double)b->micro_batch * tensor->elems * (double)b->type[0]->scope.elem_bytes;
    for (int32_t k = 0; k < cost->n_kinds; k++) {
        const int32_t u = cost->kind[k].layer;
        if (u == tensor->from || cost_reads_live(tensor, u)) {
            fold_rows(b, k, bytes, u == tensor->from);
        }
    }
    for (int32_t i = 0; i < cost->n_edges; i++) {
        if (cost_crosses_live(tensor, cost->edge[i].layer)) {
            fold_edge(b, &cost->edge[i], bytes, &b->instance->edge[i]);
        }
    }
    fold_memory(b, tensor, bytes);
}

uap_status cost_fold_live(const cost_work *b, uap_err *err)
{
    const uap_model *model = b->cost->model;
    if (model->n_live == 0) {
        return UAP_OK;
    }
    b->instance->start_act =
        cost_alloc_i64(b, (size_t)b->n_types * (size_t)model->n_layers);
    if (b->instance->start_act == NULL) {
        return cost_no_memory(err);
    }
    for (int32_t i = 0; i < model->n_live; i++) {
        fold_tensor(b, &model->live[i]);
    }
    return UAP_OK;
}
