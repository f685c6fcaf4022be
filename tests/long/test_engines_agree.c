/* The exact engine against CBC on instances beyond brute force, many of them. */
#include "unit/engines.h"

static void exact_equals_cbc(void **state)
{
    (void)state;
    static const uap_generate_range range = {8, 14, 4, 10, 1, 4};
    const agreement seen = assert_engines_agree(600000, 400, &range, 60.0);
    /* Where CBC proves little, little was compared. */
    assert_in_range(seen.unproven, 0, seen.instances / 4);
    assert_in_range(seen.live, seen.instances / 10, seen.instances);
}

#define MIXED         80
#define MIXED_LIMIT_S 30.0

/* Mixed clusters, every third with gradient work that grows towards the last layers, so that
 * later stages decide when an iteration ends. */
static void exact_equals_cbc_on_mixed_clusters(void **state)
{
    (void)state;
    static const uap_generate_range range = {8, 14, 4, 7, 2, 6};
    agreement seen = {0};
    for (uint64_t seed = 700000; seed < 700000 + MIXED; seed++) {
        uap_instance *in = NULL;
        uap_err err = {0};
        assert_ok(uap_generate_typed(seed, &range, &in, &err), &err);
        for (int32_t t = 0; seed % 3 == 0 && t < in->n_tables; t++) {
            const uap_layer_table *table = &in->table[t];
            for (int32_t k = 0; k < table->n; k++) {
                table->grad[k] += t * (table->fwd[k] + table->bwd[k]);
            }
        }
        assert_engines_agree_on(in, seed, MIXED_LIMIT_S, &seen);
        uap_instance_free(in);
    }
    print_agreement(&seen, MIXED_LIMIT_S);
    assert_in_range(seen.unproven, 0, MIXED / 3);
    assert_in_range(seen.infeasible, 1, MIXED / 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_equals_cbc),
        cmocka_unit_test(exact_equals_cbc_on_mixed_clusters),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
