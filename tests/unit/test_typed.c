/* Mixed clusters, as instances: every engine against brute force and against each other. */
#include "unit/engines.h"

#include "bench/rng.h"
#include "search/instance_json.h"
#include "search/milp.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static uap_instance *typed_instance(uint64_t seed, const uap_generate_range *range)
{
    uap_instance *in = NULL;
    uap_err err = {0};
    assert_ok(uap_generate_typed(seed, range, &in, &err), &err);
    assert_ok(uap_instance_check(in, &err), &err);
    return in;
}

static const uap_generate_range tiny = {1, 5, 2, 5, 1, 4};

static void cbc_equals_brute_force(void **state)
{
    (void)state;
    int infeasible = 0;
    for (uint64_t seed = 0; seed < 150; seed++) {
        uap_instance *in = typed_instance(seed, &tiny);
        uap_brute_result truth;
        uap_err err = {0};
        assert_ok(uap_brute_solve(in, &truth, &err), &err);
        const answer a = solve_with(uap_cbc_solve, in, 0.0, seed);
        const int64_t expected = truth.feasible ? truth.value : INT64_MAX;
        const bool close = (a.value == INT64_MAX) == (expected == INT64_MAX) &&
                           llabs(a.value - expected) <= expected / 1000000;
        if (!close) {
            fail_msg("seed %" PRIu64 ": CBC %" PRId64 ", brute force %" PRId64, seed,
                     a.value, expected);
        }
        infeasible += !truth.feasible;
        uap_instance_free(in);
    }
    printf("%d of 150 infeasible\n", infeasible);
    assert_in_range(infeasible, 15, 90);
}

static void files_keep_types(void **state)
{
    (void)state;
    char path[] = "/tmp/uniap-test-typed-XXXXXX";
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    for (uint64_t seed = 0; seed < 30; seed++) {
        uap_instance *in = typed_instance(seed, &tiny);
        uap_instance *copy = uap_instance_copy(in);
        uap_instance *back = NULL;
        uap_err err = {0};
        assert_non_null(copy);
        assert_ok(uap_instance_save(copy, path, &err), &err);
        assert_ok(uap_instance_load(path, &back, &err), &err);
        assert_int_equal(back->n_types, in->n_types);
        assert_int_equal(back->n_groups, in->n_groups);
        assert_memory_equal(back->type, in->type, (size_t)in->n_types * sizeof *in->type);
        assert_memory_equal(back->group_devices, in->group_devices,
                            (size_t)in->n_groups * sizeof *in->group_devices);
        assert_true((back->start_act == NULL) == (in->start_act == NULL));
        if (in->start_act != NULL) {
            assert_memory_equal(back->start_act, in->start_act,
                                (size_t)(in->n_types * in->n_layers) * sizeof(int64_t));
        }
        for (int32_t u = 0; u < in->n_layers; u++) {
            assert_memory_equal(uap_table_of(back, u)->type, uap_table_of(in, u)->type,
                                (size_t)uap_table_of(in, u)->n * sizeof(int32_t));
        }
        uap_brute_result one;
        uap_brute_result two;
        assert_ok(uap_brute_solve(in, &one, &err), &err);
        assert_ok(uap_brute_solve(back, &two, &err), &err);
        assert_int_equal(one.feasible, two.feasible);
        uap_instance_free(back);
        uap_instance_free(copy);
        uap_instance_free(in);
    }
    (void)unlink(path);
}

static void refused(uap_instance *in, const char *what)
{
    uap_err err = {0};
    assert_int_not_equal(uap_instance_check(in, &err), UAP_OK);
    if (strstr(err.msg, what) == NULL) {
        fail_msg("found \"%s\", expected it to name %s", err.msg, what);
    }
}

static void bad_types_are_refused(void **state)
{
    (void)state;
    uap_instance *in = typed_instance(3, &tiny);
    in->type[0].group = in->n_groups;
    refused(in, "stage type 0");
    in->type[0].group = 0;
    in->type[0].devices = 0;
    refused(in, "stage type 0");
    in->type[0].devices = 1;
    in->table[0].type[0] = in->n_types;
    refused(in, "of strategy 0");
    in->table[0].type[0] = 0;
    in->n_live = 1;
    refused(in, "live tensors");
    in->n_live = 0;
    int32_t *const types = in->table[in->layer_table[0]].type;
    in->table[in->layer_table[0]].type = NULL;
    refused(in, "no types");
    in->table[in->layer_table[0]].type = types;
    in->n_types = 0;
    refused(in, "groups");
    uap_instance_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cbc_equals_brute_force),
        cmocka_unit_test(files_keep_types),
        cmocka_unit_test(bad_types_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
