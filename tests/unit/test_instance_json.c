/* Instance files: values and rounding, sharing of equal tables, references, a round trip of
 * everything, and the check of instances made in memory. */
#include "unit/instance_text.h"

#include "search/solve.h"

static void values_come_out_in_ticks_and_bytes(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *x = NULL;
    assert_ok(load_text(simple_text, &x, &err), &err);
    assert_int_equal(x->objective, UAP_OBJECTIVE_SIMPLE);
    assert_int_equal(x->schedule, UAP_SCHEDULE_GPIPE);
    assert_i64(x->n_layers, 3);
    assert_i64(x->pp, 2);
    assert_i64(x->micro_batches, 4);
    assert_i64(uap_table_of(x, 0)->n, 2);
    assert_i64(uap_table_of(x, 1)->n, 1);
    assert_i64(uap_table_of(x, 0)->fwd[1], 200000000);
    assert_i64(uap_table_of(x, 0)->bwd[1], 0);
    assert_i64(uap_table_of(x, 2)->fwd[0], 2); /* 1.6 ticks */
    assert_i64(uap_table_of(x, 2)->fwd[1], 1); /* 1.4 ticks */
    assert_i64(uap_table_of(x, 0)->grad[1], UAP_TICKS_PER_SECOND / 2);
    assert_i64(uap_table_of(x, 0)->state[1], 21);               /* rounded up */
    assert_i64(uap_table_of(x, 2)->state[0], 9007199254740993); /* 2^53 + 1 */
    assert_i64(uap_table_of(x, 1)->act[0], 3);
    assert_i64(uap_table_of(x, 1)->work[0], 7);
    assert_i64(x->cap[0], 1000);
    assert_i64(x->cap[1], 99); /* rounded down */
    assert_i64(x->inflight[0], 4);
    assert_string_equal(uap_table_of(x, 2)->name[1], "tp2");
    const uap_edge_table *edge = uap_edge_of(x, 1);
    assert_i64(edge->r_fwd[uap_edge_index(edge, 0, 1)], 400000);
    assert_i64(edge->x_fwd[uap_edge_index(edge, 0, 0)], 700000);
    assert_i64(edge->x_bwd[uap_edge_index(edge, 0, 0)], 0);
    assert_i64(x->n_live, 1);
    assert_i64(x->live[0].r_fwd[1][1 * 2 + 0], 5 * UAP_TICKS_PER_SECOND);
    assert_i64(x->live[0].x_fwd[1], 8 * UAP_TICKS_PER_SECOND);
    assert_i64(x->live[0].bytes[0], 9);
    assert_i64(x->tie[0].class_b[0], 2);
    uap_instance_free(x);
}

/* ---- Sharing ----------------------------------------------------------------------- */

/* Layers 0, 1 and 3 are alike, as are edges (0, 1) and (1, 3)... but for one entry. */
static const char shared_text[] =
    "{\"format\": \"uniap-instance\", \"version\": 1, \"objective\": \"full\",\n"
    "\"schedule\": \"1f1b\", \"pp\": 1, \"micro_batches\": 1,\n"
    "\"Af\": [[1, 2, 3], [1, 2, 3], [1, 2, 4], [1, 2, 3]],\n"
    "\"Ab\": [[2, 2, 2], [2, 2, 2], [2, 2, 2], [2, 2, 2]],\n"
    "\"G\": [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],\n"
    "\"Ms\": [[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]],\n"
    "\"Ma\": [[1, 1, 1], [1, 1, 1], [1, 1, 1], [1, 1, 1]],\n"
    "\"W\": [[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 0]],\n"
    "\"Rf\": [[[0, 0, 5], [0, 0, 5], [5, 5, 0]], [[0, 0, 5], [0, 0, 5], [5, 5, 0]],\n"
    "         [[0, 0, 5], [0, 0, 5], [5, 5, 0]]],\n"
    "\"Rb\": [[[0, 0, 6], [0, 0, 6], [6, 6, 0]], [[0, 0, 6], [0, 0, 6], [6, 6, 0]],\n"
    "         [[0, 0, 6], [0, 0, 6], [6, 6, 0]]],\n"
    "\"Rpf\": [[[1, 1, 1], [1, 1, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]],\n"
    "          [[1, 1, 1], [1, 1, 1], [1, 1, 1]]],\n"
    "\"Rpb\": [[[1, 1, 1], [1, 1, 1], [1, 1, 1]], [[1, 1, 1], [1, 1, 1], [1, 1, 1]],\n"
    "          [[1, 1, 1], [2, 1, 1], [1, 1, 1]]],\n"
    "\"cap\": [100], \"inflight\": [1]}\n";

static void equal_tables_rows_and_columns_are_shared(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *x = NULL;
    assert_ok(load_text(shared_text, &x, &err), &err);
    assert_i64(x->n_tables, 2);
    assert_i64(x->layer_table[1], x->layer_table[0]);
    assert_i64(x->layer_table[3], x->layer_table[0]);
    assert_true(x->layer_table[2] != x->layer_table[0]);
    assert_i64(x->n_edges, 2);
    assert_i64(x->layer_edge[1], x->layer_edge[0]);
    const uap_edge_table *edge = uap_edge_of(x, 0);
    assert_i64(edge->n_from, 2);
    assert_i64(edge->n_to, 2);
    assert_i64(edge->from_class[1], edge->from_class[0]);
    assert_true(edge->from_class[2] != edge->from_class[0]);
    /* One backward transfer sets row 1 and column 0 of the last edge apart. */
    edge = uap_edge_of(x, 2);
    assert_i64(edge->n_from, 3);
    assert_i64(edge->n_to, 3);
    assert_i64(edge->x_bwd[uap_edge_index(edge, 1, 0)], 2 * UAP_TICKS_PER_SECOND);
    assert_i64(edge->x_bwd[uap_edge_index(edge, 0, 0)], UAP_TICKS_PER_SECOND);
    assert_i64(edge->r_bwd[uap_edge_index(edge, 2, 1)], 6 * UAP_TICKS_PER_SECOND);
    uap_instance_free(x);
}

/* ---- References and round trips ---------------------------------------------------- */

static void assert_values(const int64_t *a, const int64_t *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        assert_i64(a[i], b[i]);
    }
}

static void assert_same_layer(const uap_layer_table *a, const uap_layer_table *b)
{
    assert_i64(a->n, b->n);
    assert_values(a->fwd, b->fwd, a->n);
    assert_values(a->bwd, b->bwd, a->n);
    assert_values(a->grad, b->grad, a->n);
    assert_values(a->state, b->state, a->n);
    assert_values(a->act, b->act, a->n);
    assert_values(a->work, b->work, a->n);
    for (int32_t k = 0; k < a->n && a->name != NULL; k++) {
        assert_string_equal(a->name[k], b->name[k]);
    }
}

static void assert_same_edge(const uap_instance *a, const uap_instance *b, int32_t u)
{
    const uap_edge_table *x = uap_edge_of(a, u);
    const uap_edge_table *y = uap_edge_of(b, u);
    for (int32_t k = 0; k < uap_table_of(a, u)->n; k++) {
        for (int32_t m = 0; m < uap_table_of(a, u + 1)->n; m++) {
            const int32_t i = uap_edge_index(x, k, m);
            const int32_t j = uap_edge_index(y, k, m);
            assert_i64(x->r_fwd[i], y->r_fwd[j]);
            assert_i64(x->r_bwd[i], y->r_bwd[j]);
            assert_i64(x->x_fwd[i], y->x_fwd[j]);
            assert_i64(x->x_bwd[i], y->x_bwd[j]);
        }
    }
}

static void assert_same_live(const uap_instance *a, const uap_live_tensor *x,
                             const uap_live_tensor *y)
{
    const int32_t n = uap_table_of(a, x->from)->n;
    assert_i64(x->from, y->from);
    assert_i64(x->n_consumers, y->n_consumers);
    for (int32_t j = 0; j < x->n_consumers; j++) {
        assert_i64(x->consumer[j], y->consumer[j]);
        const int64_t size = (int64_t)n * uap_table_of(a, x->consumer[j])->n;
        assert_values(x->r_fwd[j], y->r_fwd[j], size);
        assert_values(x->r_bwd[j], y->r_bwd[j], size);
    }
    assert_values(x->x_fwd, y->x_fwd, n);
    assert_values(x->x_bwd, y->x_bwd, n);
    assert_values(x->bytes, y->bytes, n);
}

static void assert_same(const uap_instance *a, const uap_instance *b)
{
    assert_int_equal(a->objective, b->objective);
    assert_int_equal(a->schedule, b->schedule);
    assert_i64(a->n_layers, b->n_layers);
    assert_i64(a->pp, b->pp);
    assert_i64(a->micro_batches, b->micro_batches);
    assert_values(a->cap, b->cap, a->pp);
    assert_values(a->inflight, b->inflight, a->pp);
    for (int32_t u = 0; u < a->n_layers; u++) {
        assert_same_layer(uap_table_of(a, u), uap_table_of(b, u));
        if (u + 1 < a->n_layers) {
            assert_same_edge(a, b, u);
        }
    }
    assert_i64(a->n_live, b->n_live);
    for (int32_t i = 0; i < a->n_live; i++) {
        assert_same_live(a, &a->live[i], &b->live[i]);
    }
    assert_i64(a->n_ties, b->n_ties);
    for (int32_t i = 0; i < a->n_ties; i++) {
        const uap_tie *x = &a->tie[i];
        const uap_tie *y = &b->tie[i];
        assert_true(x->a == y->a && x->b == y->b);
        const size_t size = sizeof *x->class_a;
        assert_memory_equal(x->class_a, y->class_a,
                            (size_t)uap_table_of(a, x->a)->n * size);
        assert_memory_equal(x->class_b, y->class_b,
                            (size_t)uap_table_of(a, x->b)->n * size);
    }
}

static void references_stand_for_what_they_name(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *x = NULL;
    uap_instance *y = NULL;
    assert_ok(load_text(shared_text, &x, &err), &err);
    assert_ok(load_text(referring_text, &y, &err), &err);
    assert_same(x, y);
    assert_i64(y->n_tables, 2);
    assert_i64(y->n_edges, 2);
    uap_instance_free(x);
    uap_instance_free(y);
}

/* How often a text occurs in what is saved of an instance, spaces left out. */
static int occurrences(const uap_instance *x, const char *word)
{
    uap_err err = {0};
    char *text = NULL;
    char squeezed[8192];
    size_t n = 0;
    size_t n_bytes = 0;
    assert_ok(uap_instance_save(x, "j.json", &err), &err);
    assert_ok(uap_file_read("j.json", sizeof squeezed - 1, &text, &n_bytes, &err), &err);
    for (size_t i = 0; i < n_bytes; i++) {
        if (text[i] != ' ' && text[i] != '\n') {
            squeezed[n++] = text[i];
        }
    }
    squeezed[n] = 0;
    uap_free(text);
    int found = 0;
    for (const char *at = squeezed; (at = strstr(at, word)) != NULL; at++) {
        found++;
    }
    return found;
}

static void what_repeats_is_written_once(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *x = NULL;
    uap_instance *y = NULL;
    assert_ok(load_text(shared_text, &x, &err), &err);
    assert_i64(occurrences(x, "\"Af\":[[1.0,2.0,3.0],0,[1.0,2.0,4.0],0]"), 1);
    assert_i64(occurrences(x, "\"Rf\":[[[0.0,0.0,5.0],0,[5.0,5.0,0.0]],0,[["), 1);
    assert_ok(uap_instance_load("j.json", &y, &err), &err);
    assert_same(x, y);
    uap_instance_free(x);
    uap_instance_free(y);
}

/* A repeatable source of numbers (Numerical Recipes' 64-bit congruential generator). */
static int64_t draw(uint64_t *seed, int64_t below)
{
    *seed = *seed * 6364136223846793005u + 1442695040888963407u;
    return (int64_t)((*seed >> 33) % (uint64_t)below);
}

static int64_t *drawn(uap_instance *x, uint64_t *seed, int64_t n, int64_t below)
{
    int64_t *out = uap_arena_alloc(x->arena, (size_t)n, sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        out[i] = draw(seed, below);
    }
    return out;
}

static int32_t *numbered(uap_instance *x, int32_t n, int32_t step)
{
    int32_t *out = uap_arena_alloc(x->arena, (size_t)n, sizeof *out);
    for (int32_t i = 0; i < n; i++) {
        out[i] = i * step;
    }
    return out;
}

static void fill_tables(uap_instance *x, uint64_t *seed, const int64_t n[4])
{
    x->table = uap_arena_alloc(x->arena, 4, sizeof *x->table);
    x->edge = uap_arena_alloc(x->arena, 3, sizeof *x->edge);
    for (int32_t u = 0; u < 4; u++) {
        x->table[u] = (uap_layer_table){.n = (int32_t)n[u],
                                        .fwd = drawn(x, seed, n[u], 1000000),
                                        .bwd = drawn(x, seed, n[u], 1000000),
                                        .grad = drawn(x, seed, n[u], 100000000000),
                                        .state = drawn(x, seed, n[u], 1000000000000),
                                        .act = drawn(x, seed, n[u], 1000000),
                                        .work = drawn(x, seed, n[u], 3)};
    }
    for (int32_t u = 0; u < 3; u++) {
        const int64_t size = n[u] * n[u + 1];
        x->edge[u] = (uap_edge_table){.n_from = (int32_t)n[u],
                                      .n_to = (int32_t)n[u + 1],
                                      .from_class = numbered(x, (int32_t)n[u], 1),
                                      .to_class = numbered(x, (int32_t)n[u + 1], 1),
                                      .r_fwd = drawn(x, seed, size, 100),
                                      .r_bwd = drawn(x, seed, size, 2),
                                      .x_fwd = drawn(x, seed, size, 1000000007),
                                      .x_bwd = drawn(x, seed, size, 2)};
    }
    x->n_tables = 4;
    x->n_edges = 3;
    x->layer_table = numbered(x, 4, 1);
    x->layer_edge = numbered(x, 3, 1);
}

/* Four layers with 3, 2, 1 and 4 strategies, a live tensor 0 -> {2, 3} and a tie 1 - 3. */
static uap_instance *drawn_instance(uint64_t seed)
{
    static const int64_t n[4] = {3, 2, 1, 4};
    uap_instance *x = uap_instance_new();
    assert_non_null(x);
    x->objective = UAP_OBJECTIVE_FULL;
    x->schedule = UAP_SCHEDULE_1F1B_EAGER;
    x->pp = 2;
    x->micro_batches = 8;
    x->n_layers = 4;
    fill_tables(x, &seed, n);
    x->cap = drawn(x, &seed, 2, 1000000000000);
    x->inflight = drawn(x, &seed, 2, 8);
    x->inflight[0]++;
    x->inflight[1]++;
    x->n_live = 1;
    x->live = uap_arena_alloc(x->arena, 1, sizeof *x->live);
    uap_live_tensor *live = &x->live[0];
    live->n_consumers = 2;
    live->consumer = numbered(x, 2, 1);
    live->consumer[0] += 2;
    live->consumer[1] += 2;
    live->r_fwd = uap_arena_alloc(x->arena, 2, sizeof *live->r_fwd);
    live->r_bwd = uap_arena_alloc(x->arena, 2, sizeof *live->r_bwd);
    for (int32_t j = 0; j < 2; j++) {
        live->r_fwd[j] = drawn(x, &seed, 3 * n[2 + j], 1000);
        live->r_bwd[j] = drawn(x, &seed, 3 * n[2 + j], 1000);
    }
    live->x_fwd = drawn(x, &seed, 3, 1000);
    live->x_bwd = drawn(x, &seed, 3, 1000);
    live->bytes = drawn(x, &seed, 3, 1000);
    x->n_ties = 1;
    x->tie = uap_arena_alloc(x->arena, 1, sizeof *x->tie);
    x->tie[0] = (uap_tie){1, 3, numbered(x, 2, 5), numbered(x, 4, -3)};
    return x;
}

static void everything_survives_a_round_trip(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uap_err err = {0};
        uap_instance *x = drawn_instance(seed);
        uap_instance *y = NULL;
        assert_ok(uap_instance_check(x, &err), &err);
        assert_ok(uap_instance_save(x, "j.json", &err), &err);
        assert_ok(uap_instance_load("j.json", &y, &err), &err);
        assert_same(x, y);
        uap_instance_free(x);
        uap_instance_free(y);
    }
    uap_err err = {0};
    uap_instance *x = NULL;
    uap_instance *y = NULL;
    assert_ok(load_text(simple_text, &x, &err), &err);
    assert_ok(uap_instance_save(x, "j.json", &err), &err);
    assert_ok(uap_instance_load("j.json", &y, &err), &err);
    assert_same(x, y);
    uap_instance_free(x);
    uap_instance_free(y);
}

static void copies_are_deep(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *x = drawn_instance(5);
    uap_instance *again = drawn_instance(5);
    uap_instance *y = NULL;
    const uap_source source = uap_source_of_instance(x);
    assert_i64(source.n, 1);
    assert_ok(source.build(source.context, 0, &y, &err), &err);
    assert_same(x, y);
    y->table[0].fwd[0] += 1;
    y->edge[0].x_bwd[0] += 1;
    y->live[0].r_fwd[1][0] += 1;
    y->tie[0].class_b[1] += 1;
    y->cap[0] += 1;
    assert_same(x, again);
    uap_instance_free(y);
    uap_instance_free(again);
    uap_instance_free(x);
}

/* ---- The check of instances made in memory ----------------------------------------- */

static void the_check_names_what_is_wrong(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *x = drawn_instance(3);

#define REFUSED(change, undo, status, message)                                           \
    do {                                                                                 \
        uap_err_clear(&err);                                                             \
        change;                                                                          \
        assert_status(uap_instance_check(x, &err), status, &err);                        \
        assert_non_null(strstr(err.msg, message));                                       \
        undo;                                                                            \
    } while (0)

    const int64_t kept = x->table[2].grad[0];
    REFUSED(x->table[2].grad[0] = -1, x->table[2].grad[0] = kept, UAP_BAD_INPUT,
            "layer 2: entry 0 of G is negative");
    REFUSED(x->edge[1].to_class[0] = 1, x->edge[1].to_class[0] = 0, UAP_BAD_INPUT,
            "edge 1: the class of strategy 0");
    REFUSED(x->pp = 5, x->pp = 2, UAP_BAD_INPUT, "found pp 5 for 4 layers");
    REFUSED(x->inflight[1] = 0, x->inflight[1] = 1, UAP_BAD_INPUT, "stage 1: found 0");
    REFUSED(x->live[0].consumer[1] = 2, x->live[0].consumer[1] = 3, UAP_BAD_INPUT,
            "live tensor 0: found consumer 2");
    REFUSED(x->tie[0].b = 1, x->tie[0].b = 3, UAP_BAD_INPUT,
            "tie 0: found layers 1 and 1");
    REFUSED(x->layer_edge[2] = 3, x->layer_edge[2] = 2, UAP_BAD_INPUT,
            "edge 2: found table 3");
    REFUSED(x->objective = UAP_OBJECTIVE_SIMPLE, x->objective = UAP_OBJECTIVE_FULL,
            UAP_BAD_INPUT, "found backward times");
    const int64_t time = x->live[0].x_bwd[0];
    REFUSED(x->live[0].x_bwd[0] = UAP_VALUE_LIMIT / 15, x->live[0].x_bwd[0] = time,
            UAP_TOO_LARGE, "times: found");
#undef REFUSED
    uap_err_clear(&err);
    assert_ok(uap_instance_check(x, &err), &err);
    uap_instance_free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(values_come_out_in_ticks_and_bytes, check_no_leaks),
        cmocka_unit_test_teardown(equal_tables_rows_and_columns_are_shared,
                                  check_no_leaks),
        cmocka_unit_test_teardown(everything_survives_a_round_trip, check_no_leaks),
        cmocka_unit_test_teardown(references_stand_for_what_they_name, check_no_leaks),
        cmocka_unit_test_teardown(what_repeats_is_written_once, check_no_leaks),
        cmocka_unit_test_teardown(copies_are_deep, check_no_leaks),
        cmocka_unit_test_teardown(the_check_names_what_is_wrong, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
