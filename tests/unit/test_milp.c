/* The MILP of an instance: every plan, not only the best one, has its exact value and its
 * exact memory there, and the LP text says the same as the arrays. */
#include "check.h"

#include "bench/generate.h"
#include "bench/rng.h"
#include "common/file.h"
#include "search/milp.h"
#include "search/objective.h"

#include <coin/Cbc_C_Interface.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const uap_generate_range small = {1, 6, 1, 4, 1, 4};

static uap_instance *instance_of(uint64_t seed)
{
    uap_err err = {0};
    uap_instance *in = NULL;
    assert_ok(uap_generate_random(seed, &small, &in, &err), &err);
    return in;
}

static uap_milp *milp_of(const uap_instance *in, uap_milp_goal goal)
{
    uap_err err = {0};
    uap_milp *m = NULL;
    const uap_milp_options options = {.goal = goal};
    assert_ok(uap_milp_new(in, &options, &m, &err), &err);
    return m;
}

static Cbc_Model *model_of(const uap_milp *m)
{
    Cbc_Model *model = Cbc_newModel();
    Cbc_loadProblem(model, m->n_cols, m->n_rows, m->start, m->row, m->value, m->lower,
                    m->upper, m->cost, m->row_lower, m->row_upper);
    for (int32_t j = 0; j < m->n_cols; j++) {
        if (m->integer[j]) {
            Cbc_setInteger(model, j);
        }
    }
    return model;
}

/* Solves and frees a model; HUGE_VAL when infeasible. */
static double solve(Cbc_Model *model)
{
    Cbc_setLogLevel(model, 0);
    Cbc_setParameter(model, "preprocess", "off");
    (void)Cbc_solve(model);
    double value = HUGE_VAL;
    if (!Cbc_isProvenInfeasible(model)) {
        assert_true(Cbc_isProvenOptimal(model));
        value = Cbc_getObjValue(model);
    }
    Cbc_deleteModel(model);
    return value;
}

/* A plan drawn blindly; it need not fit nor keep the ties. */
static void draw_plan(const uap_instance *in, uap_rng *rng, uap_choice *choice)
{
    for (int32_t i = 1; i < in->pp; i++) {
        const int32_t low = choice->first[i - 1] + 1;
        const int32_t high = in->n_layers - (in->pp - i);
        choice->first[i] = (int32_t)uap_rng_range(rng, low, high);
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        choice->strategy[u] = (int32_t)uap_rng_range(rng, 0, uap_table_of(in, u)->n - 1);
    }
}

/* The program's value of one plan: all binaries fixed. */
static double value_of_plan(const uap_milp *m, const uap_choice *choice)
{
    int32_t *col = uap_calloc((size_t)m->n_cols, sizeof *col);
    double *value = uap_calloc((size_t)m->n_cols, sizeof *value);
    assert_non_null(col);
    assert_non_null(value);
    Cbc_Model *model = model_of(m);
    const int32_t n = uap_milp_encode(m, choice, col, value);
    for (int32_t i = 0; i < n; i++) {
        Cbc_setColLower(model, col[i], value[i]);
        Cbc_setColUpper(model, col[i], value[i]);
    }
    uap_free(col);
    uap_free(value);
    return solve(model);
}

static void check_plan(const uap_instance *in, const uap_milp *m,
                       const uap_choice *choice, int *fitting)
{
    uap_stage_cost *stage = uap_calloc((size_t)in->pp, sizeof *stage);
    assert_non_null(stage);
    int64_t value = -1;
    const bool fits = uap_choice_value(in, choice, stage, &value);
    const double found = value_of_plan(m, choice);
    if (fits) {
        assert_close(found * m->tick_unit, (double)value, 1e-9, 1.0);
        (*fitting)++;
    } else {
        assert_true(found == HUGE_VAL);
    }
    uap_free(stage);
}

static void test_every_plan_has_its_value(void **state)
{
    (void)state;
    int fitting = 0;
    int live = 0;
    int ties = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uap_instance *in = instance_of(seed);
        uap_milp *m = milp_of(in, UAP_MILP_TIME);
        uap_rng rng;
        uap_rng_seed(&rng, seed);
        uap_choice choice;
        assert_true(uap_choice_init(&choice, in->pp, in->n_layers));
        for (int n = 0; n < 6; n++) {
            draw_plan(in, &rng, &choice);
            check_plan(in, m, &choice, &fitting);
        }
        live += in->n_live > 0;
        ties += in->n_ties > 0;
        uap_choice_free(&choice);
        uap_milp_free(m);
        uap_instance_free(in);
    }
    assert_true(fitting >= 200);
    assert_true(live >= 20);
    assert_true(ties >= 10);
}

/* Much gradient work, so that every row of E decides for some plan. */
static void test_late_gradient_work_has_its_value(void **state)
{
    (void)state;
    static const uap_generate_range deep = {4, 6, 1, 3, 3, 5};
    int fitting = 0;
    for (uint64_t seed = 1; seed <= 150; seed++) {
        uap_err err = {0};
        uap_instance *in = NULL;
        uap_rng rng;
        uap_rng_seed(&rng, seed);
        assert_ok(uap_generate_random(seed, &deep, &in, &err), &err);
        for (int32_t t = 0; t < in->n_tables; t++) {
            const uap_layer_table *table = &in->table[t];
            for (int32_t k = 0; k < table->n; k++) {
                table->grad[k] =
                    uap_rng_range(&rng, 0, 20) * (table->fwd[k] + table->bwd[k]);
            }
        }
        for (int32_t i = 0; i < in->pp; i++) {
            in->cap[i] = (int64_t)1 << 60;
        }
        uap_milp *m = milp_of(in, UAP_MILP_TIME);
        uap_choice choice;
        assert_true(uap_choice_init(&choice, in->pp, in->n_layers));
        for (int n = 0; n < 4; n++) {
            draw_plan(in, &rng, &choice);
            check_plan(in, m, &choice, &fitting);
        }
        uap_choice_free(&choice);
        uap_milp_free(m);
        uap_instance_free(in);
    }
    assert_true(fitting >= 300);
}

/* The memory form: what a plan's tightest stage lacks. */
static void test_memory_form_measures_overshoot(void **state)
{
    (void)state;
    int over_plans = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uap_instance *in = instance_of(seed);
        uap_milp *m = milp_of(in, UAP_MILP_MEMORY);
        uap_rng rng;
        uap_rng_seed(&rng, seed);
        uap_choice choice;
        assert_true(uap_choice_init(&choice, in->pp, in->n_layers));
        uap_stage_cost *stage = uap_calloc((size_t)in->pp, sizeof *stage);
        assert_non_null(stage);
        draw_plan(in, &rng, &choice);
        int64_t value = -1;
        (void)uap_choice_value(in, &choice, stage, &value);
        double over = value < 0 ? HUGE_VAL : 0.0;
        for (int32_t i = 0; i < in->pp && value >= 0; i++) {
            over = fmax(over, (double)(stage[i].memory - in->cap[i]));
        }
        const double found = value_of_plan(m, &choice) * m->byte_unit;
        if (value < 0) {
            assert_true(found == HUGE_VAL);
        } else {
            assert_close(found, over, 1e-7, 1.0);
            over_plans += over > 0.0;
        }
        uap_free(stage);
        uap_choice_free(&choice);
        uap_milp_free(m);
        uap_instance_free(in);
    }
    assert_true(over_plans >= 10);
}

static void test_decode_undoes_encode(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        uap_instance *in = instance_of(seed);
        uap_milp *m = milp_of(in, UAP_MILP_TIME);
        uap_rng rng;
        uap_rng_seed(&rng, seed + 7);
        uap_choice choice;
        uap_choice back;
        assert_true(uap_choice_init(&choice, in->pp, in->n_layers));
        assert_true(uap_choice_init(&back, in->pp, in->n_layers));
        draw_plan(in, &rng, &choice);
        int32_t *col = uap_calloc((size_t)m->n_cols, sizeof *col);
        double *value = uap_calloc((size_t)m->n_cols, sizeof *value);
        double *x = uap_calloc((size_t)m->n_cols, sizeof *x);
        assert_true(col != NULL && value != NULL && x != NULL);
        const int32_t n = uap_milp_encode(m, &choice, col, value);
        for (int32_t i = 0; i < n; i++) {
            assert_true(m->integer[col[i]]);
            x[col[i]] = value[i];
        }
        uap_milp_decode(m, x, &back);
        assert_memory_equal(back.first, choice.first,
                            (size_t)in->pp * sizeof *back.first);
        assert_memory_equal(back.strategy, choice.strategy,
                            (size_t)in->n_layers * sizeof *back.strategy);
        uap_free(col);
        uap_free(value);
        uap_free(x);
        uap_choice_free(&choice);
        uap_choice_free(&back);
        uap_milp_free(m);
        uap_instance_free(in);
    }
}

#define PATH_BYTES 64

/* A name that ends in .lp, which CBC's reader insists on, in a directory of its own. */
static void temporary_lp(char path[PATH_BYTES])
{
    char directory[] = "/tmp/uniap-test-XXXXXX";
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, PATH_BYTES, "%s/milp.lp", directory);
}

static void remove_lp(char path[PATH_BYTES])
{
    assert_int_equal(unlink(path), 0);
    *strrchr(path, '/') = '\0';
    assert_int_equal(rmdir(path), 0);
}

/* Another reader, CBC's, understands the text and finds the same optimum. */
static void test_lp_text_reads_back(void **state)
{
    (void)state;
    char path[PATH_BYTES];
    temporary_lp(path);
    int feasible = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        uap_err err = {0};
        uap_instance *in = instance_of(seed);
        uap_milp *m = milp_of(in, UAP_MILP_TIME);
        assert_ok(uap_milp_write_lp(m, "a test", path, &err), &err);
        Cbc_Model *read = Cbc_newModel();
        Cbc_setLogLevel(read, 0);
        assert_int_equal(Cbc_readLp(read, path), 0);
        assert_true(Cbc_getNumIntegers(read) > 0);
        const double there = solve(read);
        const double here = solve(model_of(m));
        if (here == HUGE_VAL) {
            assert_true(there == HUGE_VAL);
        } else {
            assert_close(there, here, 1e-9, 1e-6);
            feasible++;
        }
        uap_milp_free(m);
        uap_instance_free(in);
    }
    remove_lp(path);
    assert_true(feasible >= 30);
}

static void test_text_says_units_and_names(void **state)
{
    (void)state;
    char path[PATH_BYTES];
    temporary_lp(path);
    uap_err err = {0};
    uap_instance *in = instance_of(3);
    uap_milp *m = milp_of(in, UAP_MILP_TIME);
    assert_ok(uap_milp_write_lp(m, "three", path, &err), &err);
    char *text = NULL;
    size_t n = 0;
    assert_ok(uap_file_read(path, 1 << 20, &text, &n, &err), &err);
    assert_int_equal(strncmp(text, "\\ three\n\\ objective: 1 is ", 26), 0);
    assert_non_null(strstr(text, " placed_0: + P_0_0 = 1\n"));
    assert_non_null(strstr(text, "\nEnd\n"));
    uap_free(text);
    uap_milp_free(m);
    uap_instance_free(in);
    remove_lp(path);
}

/* Each allocation that fails in turn is reported, and nothing stays behind. */
static void test_out_of_memory_is_reported(void **state)
{
    (void)state;
    uap_instance *in = instance_of(11);
    const int64_t before = uap_mem_outstanding();
    uap_status rc = UAP_NO_MEMORY;
    int64_t faults = 0;
    for (; rc != UAP_OK; faults++) {
        uap_err err = {0};
        uap_milp *m = NULL;
        const uap_milp_options options = {.goal = UAP_MILP_TIME};
        uap_mem_fail_after(faults);
        rc = uap_milp_new(in, &options, &m, &err);
        uap_mem_fail_after(-1);
        assert_true(rc == UAP_OK || rc == UAP_NO_MEMORY);
        assert_true((m != NULL) == (rc == UAP_OK));
        uap_milp_free(m);
        assert_i64(uap_mem_outstanding(), before);
    }
    assert_true(faults > 4);
    uap_instance_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_plan_has_its_value),
        cmocka_unit_test(test_late_gradient_work_has_its_value),
        cmocka_unit_test(test_memory_form_measures_overshoot),
        cmocka_unit_test(test_decode_undoes_encode),
        cmocka_unit_test(test_lp_text_reads_back),
        cmocka_unit_test(test_text_says_units_and_names),
        cmocka_unit_test(test_out_of_memory_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
