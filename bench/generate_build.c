/* Allocation of generated instances. */
#include "bench/generate_build.h"

int64_t *uap_build_i64(uap_instance *in, int64_t n)
{
    return uap_arena_alloc(in->arena, (size_t)n, sizeof(int64_t));
}

int32_t *uap_build_i32(uap_instance *in, int64_t n)
{
    return uap_arena_alloc(in->arena, (size_t)n, sizeof(int32_t));
}

bool uap_build_shape(uap_instance *in, int32_t n_layers, int32_t n_tables, int32_t pp)
{
    in->n_layers = n_layers;
    in->n_tables = n_tables;
    in->pp = pp;
    in->table = uap_arena_alloc(in->arena, (size_t)n_tables, sizeof *in->table);
    /* One edge a pair of neighbours at most. */
    in->edge = uap_arena_alloc(in->arena, (size_t)n_layers, sizeof *in->edge);
    in->layer_table = uap_build_i32(in, n_layers);
    in->layer_edge = uap_build_i32(in, n_layers);
    in->cap = uap_build_i64(in, pp);
    in->inflight = uap_build_i64(in, pp);
    return in->table != NULL && in->edge != NULL && in->layer_table != NULL &&
           in->layer_edge != NULL && in->cap != NULL && in->inflight != NULL;
}

bool uap_build_table(uap_instance *in, uap_layer_table *table, int32_t n)
{
    table->n = n;
    table->fwd = uap_build_i64(in, n);
    table->bwd = uap_build_i64(in, n);
    table->grad = uap_build_i64(in, n);
    table->state = uap_build_i64(in, n);
    table->act = uap_build_i64(in, n);
    table->work = uap_build_i64(in, n);
    return table->fwd != NULL && table->bwd != NULL && table->grad != NULL &&
           table->state != NULL && table->act != NULL && table->work != NULL;
}

bool uap_build_edge(uap_instance *in, uap_edge_table *edge, const int32_t strategies[2],
                    const int32_t classes[2])
{
    const int64_t n = (int64_t)classes[0] * classes[1];
    edge->n_from = classes[0];
    edge->n_to = classes[1];
    edge->from_class = uap_build_i32(in, strategies[0]);
    edge->to_class = uap_build_i32(in, strategies[1]);
    edge->r_fwd = uap_build_i64(in, n);
    edge->r_bwd = uap_build_i64(in, n);
    edge->x_fwd = uap_build_i64(in, n);
    edge->x_bwd = uap_build_i64(in, n);
    return edge->from_class != NULL && edge->to_class != NULL && edge->r_fwd != NULL &&
           edge->r_bwd != NULL && edge->x_fwd != NULL && edge->x_bwd != NULL;
}

bool uap_build_live(uap_instance *in, uap_live_tensor *live, int32_t from,
                    const int32_t *consumer, int32_t n)
{
    const int32_t s = uap_table_of(in, from)->n;
    live->from = from;
    live->n_consumers = n;
    live->consumer = uap_build_i32(in, n);
    live->r_fwd = uap_arena_alloc(in->arena, (size_t)n, sizeof *live->r_fwd);
    live->r_bwd = uap_arena_alloc(in->arena, (size_t)n, sizeof *live->r_bwd);
    live->x_fwd = uap_build_i64(in, s);
    live->x_bwd = uap_build_i64(in, s);
    live->bytes = uap_build_i64(in, s);
    if (live->consumer == NULL || live->r_fwd == NULL || live->r_bwd == NULL ||
        live->x_fwd == NULL || live->x_bwd == NULL || live->bytes == NULL) {
        return false;
    }
    for (int32_t e = 0; e < n; e++) {
        const int64_t cells = (int64_t)s * uap_table_of(in, consumer[e])->n;
        live->consumer[e] = consumer[e];
        live->r_fwd[e] = uap_build_i64(in, cells);
        live->r_bwd[e] = uap_build_i64(in, cells);
        if (live->r_fwd[e] == NULL || live->r_bwd[e] == NULL) {
            return false;
        }
    }
    return true;
}
