/* The suite of hard searches: its instances are what they were, legal, and small ones of the
 * same families are solved as brute force and CBC solve them. */
#include "unit/engines.h"

#include "bench/suite.h"

#include <string.h>

static const uap_suite_folders folders = {.configs = UAP_SOURCE_DIR "/configs",
                                          .instances = UAP_SOURCE_DIR "/no-such-folder"};

static void names_are_found_and_unlike(void **state)
{
    (void)state;
    int recorded = 0;
    for (int i = 0; i < uap_suite_count(); i++) {
        assert_ptr_equal(uap_suite_find(uap_suite_at(i)->name), uap_suite_at(i));
        recorded += uap_suite_at(i)->kind == UAP_SUITE_RECORDED;
    }
    assert_in_range(uap_suite_count() - recorded, 12, 64);
    assert_null(uap_suite_find("no such case"));
}

static bool is_generated(const uap_suite_case *what)
{
    return what->kind == UAP_SUITE_CHAIN || what->kind == UAP_SUITE_MIXED ||
           what->kind == UAP_SUITE_WIDE;
}

/* A figure in docs/performance.md speaks of the instance that had this number. */
static void generated_instances_are_what_they_were(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        uint64_t fingerprint;
    } pinned[] = {
        {"unlike-192x48-pp8", 0xfdb9531fb9fb3177u},
        {"unlike-128x64-pp8", 0x05a7c553801ca05au},
        {"unlike-160x48-pp4", 0x315106306c193fc2u},
        {"unlike-192x32-pp4", 0x55537882f4895249u},
        {"unlike-96x32-pp4-1f1b", 0x376daf6b08ed011bu},
        {"unlike-96x32-pp4-gpipe", 0x6ea55b63d24c912au},
        {"unlike-128x32-pp8-1f1b", 0xd6cabb5fa7ba1231u},
        {"unlike-96x48-pp2-1f1b", 0x398d18fe68cd444du},
        {"unlike-192x64-pp2", 0xc6ace98324bc4f2cu},
        {"varied-192x32-pp8-1f1b", 0x60b4c73258bb1e52u},
        {"varied-128x32-pp8-eager", 0x62a11968f9cea8efu},
        {"varied-192x64-pp4", 0xb51b72798251b8d5u},
        {"mixed-34-pp8", 0xfaa57bfb327cdecbu},
        {"mixed-34-pp8-gpipe", 0x8465c302f6f8637fu},
        {"mixed-50-pp8", 0x8d939d181ea53630u},
        {"wide-nested-28x8-pp4", 0xd78c76e3a05203d2u},
        {"wide-nested-32x8-pp4", 0x44ed9146fee0ecd1u},
        {"wide-nested-48x12-pp4", 0xc00134a2b0bfeb6cu},
        {"wide-dense-40x8-pp2", 0xac194abbdcc203f3u},
        {"wide-dense-32x6-pp2", 0x82e48b74e0c3f9f4u},
    };
    size_t n = 0;
    for (int i = 0; i < uap_suite_count(); i++) {
        const uap_suite_case *what = uap_suite_at(i);
        uap_suite_problem problem;
        uap_err err = {0};
        if (!is_generated(what)) {
            continue;
        }
        assert_ok(uap_suite_open(what, &folders, &problem, &err), &err);
        assert_int_equal(problem.source.n, 1);
        const uint64_t fingerprint = uap_suite_fingerprint(problem.instance);
        uap_suite_close(&problem);
        if (n == sizeof pinned / sizeof pinned[0] ||
            strcmp(pinned[n].name, what->name) != 0 ||
            pinned[n].fingerprint != fingerprint) {
            fail_msg("{\"%s\", 0x%016" PRIx64 "} is not as it was pinned", what->name,
                     fingerprint);
        }
        n++;
    }
    assert_int_equal(n, sizeof pinned / sizeof pinned[0]);
}

/* The fingerprint sees every table. */
static void fingerprints_differ(void **state)
{
    (void)state;
    const uap_generate_range range = {6, 6, 3, 3, 2, 2};
    for (uint64_t seed = 0; seed < 20; seed++) {
        uap_instance *in = random_instance(seed, &range);
        const uint64_t before = uap_suite_fingerprint(in);
        int64_t *entry[] = {&in->table[0].fwd[0],  &in->table[0].bwd[0],
                            &in->table[0].grad[0], &in->table[0].state[0],
                            &in->table[0].act[0],  &in->table[0].work[0],
                            &in->edge[0].r_fwd[0], &in->edge[0].x_bwd[0],
                            &in->cap[in->pp - 1],  &in->inflight[0]};
        for (size_t i = 0; i < sizeof entry / sizeof entry[0]; i++) {
            *entry[i] += 1;
            assert_true(uap_suite_fingerprint(in) != before);
            *entry[i] -= 1;
        }
        if (in->n_live > 0) {
            in->live[0].bytes[0] += 1;
            assert_true(uap_suite_fingerprint(in) != before);
            in->live[0].bytes[0] -= 1;
        }
        assert_true(uap_suite_fingerprint(in) == before);
        uap_instance_free(in);
    }
}

static uint64_t fingerprint_of(const uap_source *source, int32_t index)
{
    uap_instance *in = NULL;
    uap_err err = {0};
    assert_ok(source->build(source->context, index, &in, &err), &err);
    if (in == NULL) { /* no legal strategy */
        return 0;
    }
    assert_ok(uap_instance_check(in, &err), &err);
    assert_in_range(in->n_layers, 99, 1000);
    const uint64_t fingerprint = uap_suite_fingerprint(in);
    uap_instance_free(in);
    return fingerprint;
}

/* Opened twice, as ranks do, with every ninth configuration built on both sides. */
static void models_are_alike_on_all_ranks(void **state)
{
    (void)state;
    for (int i = 0; i < uap_suite_count(); i++) {
        const uap_suite_case *what = uap_suite_at(i);
        uap_suite_problem a, b;
        uap_err err = {0};
        if (what->kind != UAP_SUITE_MODEL) {
            continue;
        }
        assert_ok(uap_suite_open(what, &folders, &a, &err), &err);
        assert_ok(uap_suite_open(what, &folders, &b, &err), &err);
        assert_false(a.missing);
        assert_int_equal(a.source.n, b.source.n);
        int legal = 0;
        for (int32_t c = 0; c < a.source.n; c += a.source.n / 9) {
            const uint64_t fingerprint = fingerprint_of(&a.source, c);
            assert_true(fingerprint == fingerprint_of(&b.source, c));
            legal += fingerprint != 0;
        }
        assert_in_range(legal, 1, 1000);
        uap_suite_close(&a);
        uap_suite_close(&b);
    }
}

static void what_is_missing_is_said(void **state)
{
    (void)state;
    const uap_suite_folders none = {.configs = UAP_SOURCE_DIR "/no-such-folder",
                                    .instances = UAP_SOURCE_DIR "/no-such-folder"};
    for (int i = 0; i < uap_suite_count(); i++) {
        const uap_suite_case *what = uap_suite_at(i);
        uap_suite_problem problem;
        uap_err err = {0};
        if (is_generated(what)) {
            continue;
        }
        assert_ok(uap_suite_open(what, &none, &problem, &err), &err);
        assert_true(problem.missing);
        assert_non_null(strstr(problem.path, "no-such-folder"));
        uap_suite_close(&problem);
    }
}

static uap_instance *small_chain(const uap_suite_case *what, uint64_t seed,
                                 int32_t n_layers)
{
    uap_generate_large small = what->chain;
    uap_instance *in = NULL;
    uap_err err = {0};
    small.n_layers = n_layers;
    small.n_strategies = 4;
    small.pp = small.pp > 3 ? 3 : small.pp;
    small.micro_batches = (int32_t)(seed % 7) + 1;
    small.seed = seed;
    assert_ok(uap_generate_family(&small, &in, &err), &err);
    return in;
}

static uap_instance *small_skips(const uap_suite_case *what, uint64_t seed,
                                 int32_t n_layers)
{
    uap_generate_wide small = what->wide;
    uap_instance *in = NULL;
    uap_err err = {0};
    small.chain.n_layers = n_layers;
    small.chain.n_strategies = 4;
    small.chain.pp = small.chain.pp > 3 ? 3 : small.chain.pp;
    small.chain.micro_batches = (int32_t)(seed % 7) + 1;
    small.chain.seed = seed;
    small.n_live = 4;
    small.layouts = small.layouts > 3 ? 3 : small.layouts;
    assert_ok(uap_generate_wide_graph(&small, &in, &err), &err);
    return in;
}

static uap_instance *small_cluster(const uap_suite_case *what, uint64_t seed)
{
    uap_generate_cluster small = what->mixed;
    uap_instance *in = NULL;
    uap_err err = {0};
    small.n_layers = 4;
    small.pp = 2;
    small.micro_batches = (int32_t)(seed % 7) + 1;
    small.n_groups = 2;
    small.group_devices = 2;
    small.max_size = 2;
    small.seed = seed;
    assert_ok(uap_generate_mixed(&small, &in, &err), &err);
    return in;
}

/* The same family, objective, schedule and tightness, small. */
static uap_instance *small_relative(const uap_suite_case *what, uint64_t seed,
                                    int32_t n_layers)
{
    uap_err err = {0};
    uap_instance *in = NULL;
    switch (what->kind) {
    case UAP_SUITE_MIXED:
        in = small_cluster(what, seed);
        break;
    case UAP_SUITE_WIDE:
        in = small_skips(what, seed, n_layers);
        break;
    default:
        in = small_chain(what, seed, n_layers);
    }
    assert_ok(uap_instance_check(in, &err), &err);
    return in;
}

static void small_relatives_agree_with_brute_force(void **state)
{
    (void)state;
    int feasible = 0;
    for (int i = 0; i < uap_suite_count(); i++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            if (!is_generated(uap_suite_at(i))) {
                continue;
            }
            uap_brute_result truth;
            uap_err err = {0};
            uap_instance *in = small_relative(uap_suite_at(i), seed, 7);
            assert_ok(uap_brute_solve(in, &truth, &err), &err);
            const answer a = solve_exactly(in, seed);
            if (a.value != (truth.feasible ? truth.value : INT64_MAX)) {
                fail_msg("%s, seed %" PRIu64 ": %" PRId64 ", not %" PRId64,
                         uap_suite_at(i)->name, seed, a.value, truth.value);
            }
            feasible += truth.feasible;
            uap_instance_free(in);
        }
    }
    assert_in_range(feasible, 100, 10000);
}

static void small_relatives_agree_with_cbc(void **state)
{
    (void)state;
    for (int i = 0; i < uap_suite_count(); i++) {
        if (!is_generated(uap_suite_at(i))) {
            continue;
        }
        uap_instance *in = small_relative(uap_suite_at(i), 1, 6);
        const answer exact = solve_exactly(in, 1);
        const answer cbc = solve_with(uap_cbc_solve, in, 10.0, 1);
        if (cbc.outcome == UAP_OUTCOME_OPTIMAL) {
            const double off = (double)(cbc.value - exact.value);
            assert_true(off >= 0 && off <= AGREE_TOLERANCE * (double)exact.value);
        }
        uap_instance_free(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_found_and_unlike),
        cmocka_unit_test(generated_instances_are_what_they_were),
        cmocka_unit_test(fingerprints_differ),
        cmocka_unit_test(models_are_alike_on_all_ranks),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(small_relatives_agree_with_brute_force),
        cmocka_unit_test(small_relatives_agree_with_cbc),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
