/* What must not change the optimum, or change it in a known way, on instances too large
 * for brute force: more memory, a dominated strategy, another order of the strategies,
 * tables shared or not, all costs scaled. */
#include "unit/engines.h"

#include "bench/rng.h"

#include <string.h>

#define INSTANCES 60

static const uap_generate_range middle = {5, 14, 2, 6, 1, 4};

static uap_instance *copy_of(const uap_instance *in)
{
    uap_instance *copy = uap_instance_copy(in);
    assert_non_null(copy);
    return copy;
}

static void *room(uap_instance *in, int64_t n, size_t size)
{
    void *block = uap_arena_alloc(in->arena, (size_t)n, size);
    assert_non_null(block);
    return block;
}

/* For each table the old strategy behind each new one. */
typedef struct remap {
    int32_t n;
    int32_t old[16];
} remap;

static int64_t *pick64(uap_instance *in, const int64_t *from, const remap *map)
{
    int64_t *to = room(in, map->n, sizeof *to);
    for (int32_t k = 0; k < map->n; k++) {
        to[k] = from[map->old[k]];
    }
    return to;
}

static int32_t *pick32(uap_instance *in, const int32_t *from, const remap *map)
{
    int32_t *to = room(in, map->n, sizeof *to);
    for (int32_t k = 0; k < map->n; k++) {
        to[k] = from[map->old[k]];
    }
    return to;
}

static int64_t *pick_matrix(uap_instance *in, const int64_t *from, const remap *row,
                            const remap *column, int32_t old_columns)
{
    int64_t *to = room(in, (int64_t)row->n * column->n, sizeof *to);
    for (int32_t k = 0; k < row->n; k++) {
        for (int32_t m = 0; m < column->n; m++) {
            to[k * column->n + m] = from[row->old[k] * old_columns + column->old[m]];
        }
    }
    return to;
}

static void remap_live(uap_instance *in, const remap *map, const int32_t *old_n)
{
    for (int32_t t = 0; t < in->n_live; t++) {
        uap_live_tensor *live = &in->live[t];
        const remap *from = &map[in->layer_table[live->from]];
        for (int32_t e = 0; e < live->n_consumers; e++) {
            const int32_t table = in->layer_table[live->consumer[e]];
            live->r_fwd[e] =
                pick_matrix(in, live->r_fwd[e], from, &map[table], old_n[table]);
            live->r_bwd[e] =
                pick_matrix(in, live->r_bwd[e], from, &map[table], old_n[table]);
        }
        live->x_fwd = pick64(in, live->x_fwd, from);
        live->x_bwd = pick64(in, live->x_bwd, from);
        live->bytes = pick64(in, live->bytes, from);
    }
    for (int32_t t = 0; t < in->n_ties; t++) {
        uap_tie *tie = &in->tie[t];
        tie->class_a = pick32(in, tie->class_a, &map[in->layer_table[tie->a]]);
        tie->class_b = pick32(in, tie->class_b, &map[in->layer_table[tie->b]]);
    }
}

/* A copy whose table t has the strategies map[t]. */
static uap_instance *remapped(const uap_instance *original, const remap *map)
{
    uap_instance *in = copy_of(original);
    int32_t old_n[32];
    bool done[32] = {false};
    for (int32_t t = 0; t < in->n_tables; t++) {
        uap_layer_table *table = &in->table[t];
        old_n[t] = table->n;
        table->n = map[t].n;
        table->fwd = pick64(in, table->fwd, &map[t]);
        table->bwd = pick64(in, table->bwd, &map[t]);
        table->grad = pick64(in, table->grad, &map[t]);
        table->state = pick64(in, table->state, &map[t]);
        table->act = pick64(in, table->act, &map[t]);
        table->work = pick64(in, table->work, &map[t]);
    }
    for (int32_t u = 0; u + 1 < in->n_layers; u++) {
        uap_edge_table *edge = &in->edge[in->layer_edge[u]];
        if (!done[in->layer_edge[u]]) {
            edge->from_class = pick32(in, edge->from_class, &map[in->layer_table[u]]);
            edge->to_class = pick32(in, edge->to_class, &map[in->layer_table[u + 1]]);
            done[in->layer_edge[u]] = true;
        }
    }
    remap_live(in, map, old_n);
    return in;
}

static void more_memory_is_never_worse(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < INSTANCES; seed++) {
        uap_instance *in = random_instance(seed, &middle);
        int64_t before = solve_exactly(in, seed).value;
        for (int step = 0; step < 3; step++) {
            for (int32_t i = 0; i < in->pp; i++) {
                in->cap[i] += in->cap[i] / 8 + 1;
            }
            const int64_t after = solve_exactly(in, seed).value;
            assert_i64_le(after, before);
            before = after;
        }
        uap_instance_free(in);
    }
}

/* The copy is slower or needs more memory. */
static void a_dominated_strategy_changes_nothing(void **state)
{
    (void)state;
    uap_rng rng;
    uap_rng_seed(&rng, 91);
    for (uint64_t seed = 0; seed < INSTANCES; seed++) {
        uap_instance *in = random_instance(seed, &middle);
        remap map[32];
        for (int32_t t = 0; t < in->n_tables; t++) {
            map[t].n = in->table[t].n + 1;
            for (int32_t k = 0; k < in->table[t].n; k++) {
                map[t].old[k] = k;
            }
            map[t].old[in->table[t].n] =
                (int32_t)uap_rng_range(&rng, 0, in->table[t].n - 1);
        }
        uap_instance *more = remapped(in, map);
        for (int32_t t = 0; t < more->n_tables; t++) {
            const int32_t added = more->table[t].n - 1;
            more->table[t].fwd[added] += uap_rng_range(&rng, 0, 3);
            if (more->objective == UAP_OBJECTIVE_FULL) {
                more->table[t].bwd[added] += uap_rng_range(&rng, 0, 3);
            }
            more->table[t].grad[added] += uap_rng_range(&rng, 0, 3);
            more->table[t].state[added] += uap_rng_range(&rng, 0, 3);
            more->table[t].work[added] += uap_rng_range(&rng, 0, 3);
        }
        assert_i64(solve_exactly(more, seed).value, solve_exactly(in, seed).value);
        uap_instance_free(more);
        uap_instance_free(in);
    }
}

static void the_order_of_strategies_does_not_matter(void **state)
{
    (void)state;
    uap_rng rng;
    uap_rng_seed(&rng, 92);
    for (uint64_t seed = 0; seed < INSTANCES; seed++) {
        uap_instance *in = random_instance(seed, &middle);
        remap map[32];
        for (int32_t t = 0; t < in->n_tables; t++) {
            map[t].n = in->table[t].n;
            for (int32_t k = 0; k < map[t].n; k++) {
                const int32_t at = (int32_t)uap_rng_range(&rng, 0, k);
                map[t].old[k] = map[t].old[at];
                map[t].old[at] = k;
            }
        }
        uap_instance *other = remapped(in, map);
        assert_i64(solve_exactly(other, seed).value, solve_exactly(in, seed).value);
        uap_instance_free(other);
        uap_instance_free(in);
    }
}

static void shared_tables_are_only_a_saving(void **state)
{
    (void)state;
    int shared = 0;
    for (uint64_t seed = 0; seed < INSTANCES; seed++) {
        uap_instance *in = random_instance(seed, &middle);
        uap_instance *apart = copy_of(in);
        uap_layer_table *table = room(apart, in->n_layers, sizeof *table);
        uap_edge_table *edge = room(apart, in->n_layers, sizeof *edge);
        for (int32_t u = 0; u < in->n_layers; u++) {
            table[u] = *uap_table_of(apart, u);
            apart->layer_table[u] = u;
            if (u + 1 < in->n_layers) {
                edge[u] = *uap_edge_of(apart, u);
                apart->layer_edge[u] = u;
            }
        }
        shared += in->n_tables < in->n_layers;
        apart->table = table;
        apart->edge = edge;
        apart->n_tables = in->n_layers;
        apart->n_edges = in->n_layers - 1;
        assert_i64(solve_exactly(apart, seed).value, solve_exactly(in, seed).value);
        uap_instance_free(apart);
        uap_instance_free(in);
    }
    assert_in_range(shared, INSTANCES / 10, INSTANCES);
}

static void scale(int64_t *value, int64_t n, int64_t factor)
{
    for (int64_t i = 0; i < n; i++) {
        value[i] *= factor;
    }
}

static void scale_times(uap_instance *in, int64_t factor)
{
    for (int32_t t = 0; t < in->n_tables; t++) {
        scale(in->table[t].fwd, in->table[t].n, factor);
        scale(in->table[t].bwd, in->table[t].n, factor);
        scale(in->table[t].grad, in->table[t].n, factor);
    }
    for (int32_t e = 0; e < in->n_edges; e++) {
        const int64_t cells = (int64_t)in->edge[e].n_from * in->edge[e].n_to;
        scale(in->edge[e].r_fwd, cells, factor);
        scale(in->edge[e].r_bwd, cells, factor);
        scale(in->edge[e].x_fwd, cells, factor);
        scale(in->edge[e].x_bwd, cells, factor);
    }
    for (int32_t t = 0; t < in->n_live; t++) {
        uap_live_tensor *live = &in->live[t];
        const int64_t n = uap_table_of(in, live->from)->n;
        scale(live->x_fwd, n, factor);
        scale(live->x_bwd, n, factor);
        for (int32_t e = 0; e < live->n_consumers; e++) {
            const int64_t cells = n * uap_table_of(in, live->consumer[e])->n;
            scale(live->r_fwd[e], cells, factor);
            scale(live->r_bwd[e], cells, factor);
        }
    }
}

static void scale_memory(uap_instance *in, int64_t factor)
{
    for (int32_t t = 0; t < in->n_tables; t++) {
        scale(in->table[t].state, in->table[t].n, factor);
        scale(in->table[t].act, in->table[t].n, factor);
        scale(in->table[t].work, in->table[t].n, factor);
    }
    for (int32_t t = 0; t < in->n_live; t++) {
        scale(in->live[t].bytes, uap_table_of(in, in->live[t].from)->n, factor);
    }
    scale(in->cap, in->pp, factor);
}

static void scaled_costs_scale_the_optimum(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < INSTANCES; seed++) {
        uap_instance *in = random_instance(seed, &middle);
        const int64_t before = solve_exactly(in, seed).value;
        scale_times(in, 7);
        scale_memory(in, 13);
        const int64_t after = solve_exactly(in, seed).value;
        assert_i64(after, before == INT64_MAX ? before : 7 * before);
        uap_instance_free(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_memory_is_never_worse),
        cmocka_unit_test(a_dominated_strategy_changes_nothing),
        cmocka_unit_test(the_order_of_strategies_does_not_matter),
        cmocka_unit_test(shared_tables_are_only_a_saving),
        cmocka_unit_test(scaled_costs_scale_the_optimum),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
