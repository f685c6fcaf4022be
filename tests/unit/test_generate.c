/* The generators: the same everywhere, legal, and as varied as they promise. */
#include "unit/check.h"

#include "bench/brute.h"
#include "bench/generate.h"
#include "bench/rng.h"

/* From the reference implementation: splitmix64 of 0 gives e220a8397b1dcdaf first. */
static void the_random_numbers_are_the_published_ones(void **state)
{
    (void)state;
    uap_rng rng;
    uap_rng_seed(&rng, 0);
    assert_true(rng.s[0] == 0xe220a8397b1dcdafu);
    assert_true(rng.s[1] == 0x6e789e6aa1b965f4u);
    /* rotl(s[1] * 5, 7) * 9 */
    const uint64_t x = 0x6e789e6aa1b965f4u * 5;
    assert_true(uap_rng_next(&rng) == ((x << 7) | (x >> 57)) * 9);
}

static void ranges_are_kept_and_reached(void **state)
{
    (void)state;
    uap_rng rng;
    uap_rng_seed(&rng, 3);
    int seen[5] = {0};
    for (int i = 0; i < 1000; i++) {
        const int64_t x = uap_rng_range(&rng, -2, 2);
        assert_in_range(x + 2, 0, 4);
        seen[x + 2]++;
        const double y = uap_rng_real(&rng, 1.0, 2.0);
        assert_true(y >= 1.0 && y < 2.0);
    }
    for (int i = 0; i < 5; i++) {
        assert_in_range(seen[i], 150, 250);
    }
}

/* FNV-1a over what decides the optimum. */
static uint64_t hash(uint64_t h, const int64_t *value, int64_t n)
{
    for (int64_t i = 0; i < n; i++) {
        h = (h ^ (uint64_t)value[i]) * 0x100000001b3u;
    }
    return h;
}

static uint64_t fingerprint(const uap_instance *in)
{
    uint64_t h = 0xcbf29ce484222325u;
    h = hash(h, in->cap, in->pp);
    h = hash(h, in->inflight, in->pp);
    for (int32_t t = 0; t < in->n_tables; t++) {
        h = hash(h, in->table[t].fwd, in->table[t].n);
        h = hash(h, in->table[t].bwd, in->table[t].n);
        h = hash(h, in->table[t].grad, in->table[t].n);
        h = hash(h, in->table[t].state, in->table[t].n);
        h = hash(h, in->table[t].act, in->table[t].n);
        h = hash(h, in->table[t].work, in->table[t].n);
    }
    for (int32_t e = 0; e < in->n_edges; e++) {
        const int64_t n = (int64_t)in->edge[e].n_from * in->edge[e].n_to;
        h = hash(h, in->edge[e].r_fwd, n);
        h = hash(h, in->edge[e].x_fwd, n);
    }
    return h;
}

static void the_same_seed_gives_the_same_instance(void **state)
{
    (void)state;
    const uap_generate_range range = {1, 10, 1, 6, 1, 4};
    uint64_t last = 0;
    for (uint64_t seed = 0; seed < 50; seed++) {
        uap_instance *a = NULL;
        uap_instance *b = NULL;
        uap_err err = {0};
        assert_ok(uap_generate_random(seed, &range, &a, &err), &err);
        assert_ok(uap_generate_random(seed, &range, &b, &err), &err);
        assert_true(fingerprint(a) == fingerprint(b));
        assert_true(fingerprint(a) != last);
        last = fingerprint(a);
        uap_instance_free(a);
        uap_instance_free(b);
    }
}

/* Shares of 2,000 instances, by brute force. */
static void instances_are_varied(void **state)
{
    (void)state;
    const uap_generate_range range = {1, 6, 1, 5, 1, 4};
    const int n = 2000;
    int infeasible = 0;
    int binding = 0;
    int live = 0;
    int tied = 0;
    int simple = 0;
    int of_schedule[UAP_SCHEDULE_COUNT] = {0};
    for (uint64_t seed = 0; seed < (uint64_t)n; seed++) {
        uap_instance *in = NULL;
        uap_err err = {0};
        uap_brute_result truth;
        assert_ok(uap_generate_random(seed, &range, &in, &err), &err);
        assert_ok(uap_instance_check(in, &err), &err);
        assert_ok(uap_brute_solve(in, &truth, &err), &err);
        infeasible += !truth.feasible;
        binding += truth.feasible && truth.unlimited < truth.value;
        live += in->n_live > 0;
        tied += in->n_ties > 0;
        simple += in->objective == UAP_OBJECTIVE_SIMPLE;
        of_schedule[in->schedule]++;
        uap_instance_free(in);
    }
    assert_in_range(infeasible, n / 5, n * 3 / 10);
    assert_in_range(binding, n * 4 / 10, n);
    assert_in_range(live, n / 5, n);
    assert_in_range(tied, n / 20, n);
    assert_in_range(simple, n / 4, n / 2);
    for (int i = 0; i < UAP_SCHEDULE_COUNT; i++) {
        assert_in_range(of_schedule[i], n / 4, n / 2);
    }
}

static void families_are_legal(void **state)
{
    (void)state;
    for (int f = 0; f < UAP_FAMILY_COUNT; f++) {
        for (int o = 0; o < 2; o++) {
            const uap_generate_large what = {.family = (uap_family)f,
                                             .objective = (uap_objective)o,
                                             .schedule = UAP_SCHEDULE_1F1B,
                                             .n_layers = 12,
                                             .n_strategies = 9,
                                             .pp = 3,
                                             .micro_batches = 8,
                                             .tightness = 0.3,
                                             .seed = 5};
            uap_instance *in = NULL;
            uap_err err = {0};
            assert_ok(uap_generate_family(&what, &in, &err), &err);
            assert_ok(uap_instance_check(in, &err), &err);
            assert_int_equal(uap_table_of(in, 11)->n, 9);
            uap_instance_free(in);
        }
    }
    for (int i = 0; i < UAP_GENERATE_OWN; i++) {
        uap_instance *in = NULL;
        uap_err err = {0};
        assert_ok(uap_generate_family(&uap_generate_own[i], &in, &err), &err);
        assert_ok(uap_instance_check(in, &err), &err);
        assert_true(in->cap[0] != in->cap[1]);
        uap_instance_free(in);
    }
    const uap_generate_large none = {.n_layers = 2, .n_strategies = 1, .pp = 3};
    uap_instance *in = NULL;
    assert_status(uap_generate_family(&none, &in, NULL), UAP_BAD_USAGE, NULL);
}

/* Whatever allocation fails, the generator says so and leaves nothing behind. */
static void running_out_of_memory_is_reported(void **state)
{
    (void)state;
    const uap_generate_range range = {6, 6, 3, 3, 2, 2};
    bool failed = false;
    for (int64_t after = 0; after < 3; after++) {
        uap_instance *in = NULL;
        uap_err err = {0};
        uap_mem_fail_after(after);
        const uap_status status = uap_generate_random(1, &range, &in, &err);
        uap_mem_fail_after(-1);
        failed = failed || status == UAP_NO_MEMORY;
        assert_true(status == UAP_NO_MEMORY || status == UAP_OK);
        if (status == UAP_OK) {
            uap_instance_free(in);
        }
        assert_i64(uap_mem_outstanding(), 0);
    }
    assert_true(failed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_random_numbers_are_the_published_ones),
        cmocka_unit_test(ranges_are_kept_and_reached),
        cmocka_unit_test(the_same_seed_gives_the_same_instance),
        cmocka_unit_test(instances_are_varied),
        cmocka_unit_test(families_are_legal),
        cmocka_unit_test(running_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
