/* The strategy space: how many factorisations there are, which are allowed, and names. */
#include "check.h"

#include "search/cost.h"
#include "search/dimension.h"

#include <string.h>

/* N devices in nodes of `node`. */
typedef struct machine {
    uap_node_group group;
    uap_cluster cluster;
    uap_dim_scope scope;
} machine;

static void machine_init(machine *m, int32_t nodes, int32_t node, int64_t stage,
                         uint32_t space)
{
    memset(m, 0, sizeof *m);
    m->group = (uap_node_group){.nodes = nodes, .devices_per_node = node};
    m->cluster.n_groups = 1;
    m->cluster.group = &m->group;
    m->scope = (uap_dim_scope){.cluster = &m->cluster,
                               .devices = (int64_t)nodes * node,
                               .stage_devices = stage,
                               .elem_bytes = 2,
                               .space = space};
}

static int32_t count(const machine *m, int64_t batch)
{
    uap_strategy *list = NULL;
    int32_t n = 0;
    uap_err err = {0};
    assert_ok(uap_strategies_list(&m->scope, batch, &list, &n, &err), &err);
    for (int32_t i = 0; i < n; i++) {
        const uap_strategy *s = &list[i];
        assert_i64((int64_t)s->dp * s->fsdp * s->tp, m->scope.stage_devices);
        assert_i64(batch % ((int64_t)s->dp * s->fsdp), 0);
        assert_true(s->zero == 0 || s->dp > 1);
        assert_true(!s->sp || s->tp > 1);
    }
    uap_free(list);
    return n;
}

/* Ordered factorisations of 12 = 2^2 3 into three factors: C(4,2) C(3,2) = 18; of 7: 3. */
static void test_counts_every_factorisation(void **state)
{
    (void)state;
    machine m;
    machine_init(&m, 1, 12, 12, UAP_SPACE_PAPER);
    assert_i64(count(&m, 12), 18);
    machine_init(&m, 1, 7, 7, UAP_SPACE_PAPER);
    assert_i64(count(&m, 7), 3);
    machine_init(&m, 1, 1, 1, UAP_SPACE_ALL);
    assert_i64(count(&m, 1), 2); /* with and without recompute */
}

/* 4 devices: tp 1: (dp, fsdp) = (4,1) (2,2) (1,4); tp 2: (2,1) (1,2); tp 4: (1,1). ZeRO
 * triples those with dp > 1: 3+3+1, 3+1, 1; sp doubles tp > 1: 7 + 8 + 2 = 17; recompute: 34. */
static void test_counts_the_whole_space(void **state)
{
    (void)state;
    machine m;
    machine_init(&m, 1, 4, 4, UAP_SPACE_ALL);
    assert_i64(count(&m, 4), 34);
    /* Without dp the rest must be sharded: fsdp = 4 / tp. 1 + 2 + 2, recompute: 10. */
    machine_init(&m, 1, 4, 4, UAP_SPACE_ALL & ~(uint32_t)UAP_SPACE_DP);
    assert_i64(count(&m, 4), 10);
    machine_init(&m, 1, 4, 4, UAP_SPACE_TP);
    assert_i64(count(&m, 4), 1);
}

static void test_batch_limits_the_ways(void **state)
{
    (void)state;
    machine m;
    machine_init(&m, 1, 12, 12, UAP_SPACE_PAPER);
    /* w divides 4: w = 1 (tp 12), 2 (tp 6), 4 (tp 3): 1 + 2 + 3 pairs (dp, fsdp). */
    assert_i64(count(&m, 4), 6);
    machine_init(&m, 1, 12, 12, UAP_SPACE_DP);
    assert_i64(count(&m, 8), 0);
}

/* Groups of 3 cross nodes of 8, whatever their number; of 2, 4 and 8 they do not. */
static void test_tensor_groups_stay_in_a_node(void **state)
{
    (void)state;
    machine m;
    machine_init(&m, 3, 8, 24, UAP_SPACE_TP | UAP_SPACE_DP);
    assert_i64(count(&m, 24), 4); /* tp 1, 2, 4, 8 */
    m.scope.tp_across_nodes = true;
    assert_i64(count(&m, 24), 8); /* every divisor of 24 */
    /* Six of eight devices of one node: all inside. */
    machine_init(&m, 1, 8, 6, UAP_SPACE_TP | UAP_SPACE_DP);
    m.scope.devices = 6;
    assert_i64(count(&m, 6), 4); /* 1, 2, 3, 6 */
}

static void test_order_is_by_layout(void **state)
{
    (void)state;
    machine m;
    uap_strategy *list = NULL;
    int32_t n = 0;
    uap_err err = {0};
    machine_init(&m, 1, 8, 8, UAP_SPACE_ALL);
    assert_ok(uap_strategies_list(&m.scope, 8, &list, &n, &err), &err);
    for (int32_t i = 1; i < n; i++) {
        const uap_strategy *a = &list[i - 1], *b = &list[i];
        const int64_t key_a =
            ((((int64_t)a->tp * 2 + a->sp) * 64 + a->fsdp) * 4 + a->zero) * 2 +
            a->recompute;
        const int64_t key_b =
            ((((int64_t)b->tp * 2 + b->sp) * 64 + b->fsdp) * 4 + b->zero) * 2 +
            b->recompute;
        assert_true(key_a < key_b);
    }
    uap_free(list);
}

static void test_layers_refuse_what_does_not_divide(void **state)
{
    (void)state;
    const uap_layer block = {.tokens = 6, .heads = 12, .ffn = 24};
    assert_true(uap_strategy_suits(&block, &(uap_strategy){.dp = 1, .fsdp = 1, .tp = 4}));
    /* Sequence parallelism would cut 6 tokens in 4. */
    assert_false(uap_strategy_suits(
        &block, &(uap_strategy){.dp = 1, .fsdp = 1, .tp = 4, .sp = true}));
    assert_true(uap_strategy_suits(
        &block, &(uap_strategy){.dp = 1, .fsdp = 1, .tp = 3, .sp = true}));
    /* 12 heads over 8 ranks. */
    assert_false(
        uap_strategy_suits(&block, &(uap_strategy){.dp = 1, .fsdp = 1, .tp = 8}));
}

static void test_names(void **state)
{
    (void)state;
    char name[UAP_STRATEGY_NAME];
    const uap_strategy full = {2, 4, 8, 1, true, true};
    assert_string_equal(uap_strategy_name(&full, name), "dp2.fsdp4.tp8.zero1+sp+rc");
    const uap_strategy single = {1, 1, 1, 0, false, false};
    assert_string_equal(uap_strategy_name(&single, name), "single");
    const uap_strategy again = {1, 1, 1, 0, false, true};
    assert_string_equal(uap_strategy_name(&again, name), "single+rc");
    const uap_strategy widest = {INT32_MAX, INT32_MAX, INT32_MAX, 2, true, true};
    assert_true(strlen(uap_strategy_name(&widest, name)) < UAP_STRATEGY_NAME);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_counts_every_factorisation),
        cmocka_unit_test(test_counts_the_whole_space),
        cmocka_unit_test(test_batch_limits_the_ways),
        cmocka_unit_test(test_tensor_groups_stay_in_a_node),
        cmocka_unit_test(test_order_is_by_layout),
        cmocka_unit_test(test_layers_refuse_what_does_not_divide),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
