/* The best plans on unlike devices, found by trying all: what must hold of them whatever the
 * numbers are, and that both engines find them. */
#include "mixed_bench.h"

#include "bench/brute.h"

#include <stdlib.h>

typedef struct best {
    int64_t value; /* ticks; INT64_MAX: nothing fits */
    bool uses[2];  /* the groups */
} best;

/* Every configuration of at least so many stages by brute force. */
static best best_from(mixed *m, int32_t pp)
{
    uap_err err = {0};
    best found = {.value = INT64_MAX};
    uap_cost *cost = NULL;
    assert_ok(uap_cost_new(&m->b.model, &m->b.cluster, &m->b.options, &cost, &err), &err);
    const uap_source source = uap_cost_source(cost);
    for (int32_t i = 0; i < source.n; i++) {
        uap_instance *in = NULL;
        uap_brute_result result;
        if (uap_cost_configuration(cost, i).pp < pp) {
            continue;
        }
        assert_ok(source.build(source.context, i, &in, &err), &err);
        if (in == NULL) {
            continue;
        }
        assert_ok(uap_brute_solve(in, &result, &err), &err);
        if (result.feasible && result.value < found.value) {
            found = (best){.value = result.value};
            for (int32_t u = 0; u < in->n_layers && in->n_types > 0; u++) {
                const uap_layer_table *table = uap_table_of(in, u);
                found.uses[in->type[table->type[result.strategy[u]]].group] = true;
            }
        }
        uap_instance_free(in);
    }
    uap_cost_free(cost);
    return found;
}

static best best_of(mixed *m)
{
    return best_from(m, 1);
}

/* The exact engine and CBC find what trying all finds, with ties and live tensors too. */
static void test_engines_find_the_best(void **state)
{
    (void)state;
    static int32_t readers[1] = {2};
    uap_model_live live = {.n_readers = 1, .reader = readers, .elems = 50};
    for (int i = 0; i < 9; i++) {
        mixed m;
        uap_err err = {0};
        uap_cost *cost = NULL;
        uap_result exact = {0}, cbc = {0};
        const uap_limits limits = {0};
        mixed_init(&m, 3, i % 2 == 0 ? UAP_SPACE_DP | UAP_SPACE_TP : UAP_SPACE_FSDP);
        m.device[1].efficiency *= 1 + i % 3;
        m.device[i % 2].memory_bytes = i < 3 ? 40000 : 1000000;
        m.b.options.cost = i == 4 ? UAP_COST_PAPER : UAP_COST_FULL;
        m.b.options.batch = i == 5 ? 4 : 2;
        m.b.model.n_live = i >= 6;
        m.b.model.live = &live;
        if (i == 8) {
            make_tied(&m, 2);
        }
        const best found = best_of(&m);
        assert_ok(uap_cost_new(&m.b.model, &m.b.cluster, &m.b.options, &cost, &err),
                  &err);
        const uap_source source = uap_cost_source(cost);
        assert_ok(uap_exact_solve(&source, &limits, &exact, &err), &err);
        assert_ok(uap_cbc_solve(&source, &limits, &cbc, &err), &err);
        assert_true(exact.outcome == UAP_OUTCOME_OPTIMAL);
        assert_i64(exact.value, found.value);
        assert_i64(cbc.value, found.value);
        uap_result_free(&exact);
        uap_result_free(&cbc);
        uap_cost_free(cost);
    }
}

static void swap_groups(mixed *m)
{
    const uap_node_group first = m->group[0];
    m->group[0] = m->group[1];
    m->group[1] = first;
}

static void test_the_order_of_groups_does_not_matter(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        mixed m;
        mixed_init(&m, 3, i == 0 ? UAP_SPACE_DP : UAP_SPACE_DP | UAP_SPACE_TP);
        m.device[1].efficiency *= i == 1 ? 3.9 : 1;
        m.device[0].memory_bytes = i == 2 ? 70000 : m.device[0].memory_bytes;
        m.b.options.schedules = 7;
        const best one = best_of(&m);
        swap_groups(&m);
        const best other = best_of(&m);
        assert_i64(one.value, other.value);
        assert_true(one.value < INT64_MAX);
        assert_true(one.uses[0] == other.uses[1] && one.uses[1] == other.uses[0]);
    }
}

/* A class that is no use is left out; the devices that are left do at least as well as alone. */
static void test_a_useless_class_is_left_out(void **state)
{
    (void)state;
    mixed m, alone;
    mixed_init(&m, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    mixed_init(&alone, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    m.device[1].efficiency = 1e-4;
    alone.b.cluster.n_groups = 1;
    const best found = best_of(&m), without = best_of(&alone);
    assert_true(found.uses[0]);
    assert_false(found.uses[1]);
    assert_i64_le(found.value, without.value);
}

/* And one that is some use is put to it. */
static void test_a_useful_class_helps(void **state)
{
    (void)state;
    mixed m, alone;
    mixed_init(&m, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    mixed_init(&alone, 3, UAP_SPACE_DP | UAP_SPACE_TP);
    for (int i = 1; i < 4; i++) {
        m.p2p[i].latency_s = 1e-6;
        m.p2p[i].bandwidth_Bps *= 1e4;
    }
    m.device[1].efficiency = m.device[0].efficiency = 0.001;
    alone.device[0].efficiency = 0.001;
    alone.b.cluster.n_groups = 1;
    const best found = best_of(&m), without = best_of(&alone);
    assert_true(found.uses[0] && found.uses[1]);
    assert_true(found.value < without.value);
}

static void assert_same_i64(const int64_t *a, const int64_t *b, int64_t n)
{
    assert_memory_equal(a, b, (size_t)n * sizeof *a);
}

static void assert_same_instance(const uap_instance *a, const uap_instance *b)
{
    assert_i64(a->n_types, 0);
    assert_i64(b->n_types, 0);
    assert_i64(a->n_tables, b->n_tables);
    assert_i64(a->n_edges, b->n_edges);
    assert_same_i64(a->cap, b->cap, a->pp);
    for (int32_t i = 0; i < a->n_tables; i++) {
        const uap_layer_table *s = &a->table[i], *t = &b->table[i];
        assert_i64(s->n, t->n);
        assert_same_i64(s->fwd, t->fwd, s->n);
        assert_same_i64(s->bwd, t->bwd, s->n);
        assert_same_i64(s->grad, t->grad, s->n);
        assert_same_i64(s->state, t->state, s->n);
        assert_same_i64(s->act, t->act, s->n);
        assert_same_i64(s->work, t->work, s->n);
    }
    for (int32_t i = 0; i < a->n_edges; i++) {
        const uap_edge_table *s = &a->edge[i], *t = &b->edge[i];
        const int64_t n = (int64_t)s->n_from * s->n_to;
        assert_i64(n, (int64_t)t->n_from * t->n_to);
        assert_same_i64(s->r_fwd, t->r_fwd, n);
        assert_same_i64(s->x_fwd, t->x_fwd, n);
        assert_same_i64(s->r_bwd, t->r_bwd, n);
        assert_same_i64(s->x_bwd, t->x_bwd, n);
    }
}

/* Two groups of equal classes are one group of as many nodes: the same configurations, and of
 * each the same numbers. */
static void test_equal_classes_are_one(void **state)
{
    (void)state;
    uap_err err = {0};
    mixed m, one;
    mixed_init(&m, 3, UAP_SPACE_ALL);
    mixed_init(&one, 3, UAP_SPACE_ALL);
    m.device[1] = m.device[0];
    m.group[1] = m.group[0];
    m.group[1].device_class = 1;
    one.group[0].nodes = 2;
    one.b.cluster.n_groups = 1;
    for (int i = 1; i < 4; i++) {
        m.p2p[i].is_between = false;
        one.p2p[i].is_between = false;
    }
    uap_cost *cost = NULL, *other = NULL;
    assert_ok(uap_cost_new(&m.b.model, &m.b.cluster, &m.b.options, &cost, &err), &err);
    assert_ok(uap_cost_new(&one.b.model, &one.b.cluster, &one.b.options, &other, &err),
              &err);
    const uap_source source = uap_cost_source(cost), sources = uap_cost_source(other);
    assert_i64(source.n, sources.n);
    for (int32_t i = 0; i < source.n; i++) {
        uap_instance *a = NULL, *b = NULL;
        assert_ok(source.build(source.context, i, &a, &err), &err);
        assert_ok(sources.build(sources.context, i, &b, &err), &err);
        assert_true((a == NULL) == (b == NULL));
        if (a != NULL) {
            assert_same_instance(a, b);
        }
        uap_instance_free(a);
        uap_instance_free(b);
    }
    uap_cost_free(cost);
    uap_cost_free(other);
}

/* With one byte of difference a pipeline of equal stages is still there, at the same cost, and
 * there are more to choose from. */
static void test_nearly_equal_classes_do_as_well(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        mixed m, one;
        mixed_init(&m, 4, i % 2 == 0 ? UAP_SPACE_DP : UAP_SPACE_TP);
        mixed_init(&one, 4, i % 2 == 0 ? UAP_SPACE_DP : UAP_SPACE_TP);
        m.device[1] = m.device[0];
        m.device[1].memory_bytes--;
        m.group[1] = m.group[0];
        m.group[1].device_class = 1;
        one.group[0].nodes = 2;
        one.b.cluster.n_groups = 1;
        m.b.options.schedules = one.b.options.schedules = i < 2 ? 2 : 1;
        for (int k = 1; k < 4; k++) {
            m.p2p[k].is_between = one.p2p[k].is_between = false;
            m.p2p[k].bandwidth_Bps *= 100;
            one.p2p[k].bandwidth_Bps *= 100;
        }
        const best found = best_from(&m, 2), alike = best_from(&one, 2);
        assert_true(alike.value < INT64_MAX);
        assert_i64_le(found.value, alike.value);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_engines_find_the_best),
        cmocka_unit_test(test_the_order_of_groups_does_not_matter),
        cmocka_unit_test(test_a_useless_class_is_left_out),
        cmocka_unit_test(test_a_useful_class_helps),
        cmocka_unit_test(test_equal_classes_are_one),
        cmocka_unit_test(test_nearly_equal_classes_do_as_well),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
