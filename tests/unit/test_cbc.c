/* CBC against trying every plan, on random small instances: same value, same infeasibility,
 * and what the engine around it promises. */
#include "check.h"

#include "bench/generate.h"
#include "search/greedy.h"
#include "search/ilp_cbc.h"
#include "search/objective.h"

#include <stdlib.h>
#include <unistd.h>

#define RTOL 1e-6

static const uap_generate_range small = {1, 5, 1, 4, 1, 4};

static uap_instance *instance_of(uint64_t seed)
{
    uap_err err = {0};
    uap_instance *in = NULL;
    assert_ok(uap_generate_random(seed, &small, &in, &err), &err);
    return in;
}

/* ---- The oracle: every plan in turn -------------------------------------------------- */

typedef struct oracle {
    const uap_instance *in;
    uap_choice choice;
    uap_stage_cost *stage;
    int64_t best; /* ticks; INT64_MAX: none fits */
    int64_t over; /* least overshoot of a tightest stage; INT64_MAX: no legal plan */
} oracle;

static void try_plan(oracle *o)
{
    int64_t value = -1;
    const bool fits = uap_choice_value(o->in, &o->choice, o->stage, &value);
    if (fits && value < o->best) {
        o->best = value;
    }
    int64_t over = value < 0 ? INT64_MAX : INT64_MIN;
    for (int32_t i = 0; i < o->in->pp && value >= 0; i++) {
        const int64_t lack = o->stage[i].memory - o->in->cap[i];
        over = lack > over ? lack : over;
    }
    o->over = over < o->over ? over : o->over;
}

static void try_strategies(oracle *o, int32_t u)
{
    if (u == o->in->n_layers) {
        try_plan(o);
        return;
    }
    for (int32_t k = 0; k < uap_table_of(o->in, u)->n; k++) {
        o->choice.strategy[u] = k;
        try_strategies(o, u + 1);
    }
}

static void try_cuts(oracle *o, int32_t i)
{
    if (i == o->in->pp) {
        try_strategies(o, 0);
        return;
    }
    const int32_t last = o->in->n_layers - (o->in->pp - i);
    for (int32_t u = o->choice.first[i - 1] + 1; u <= last; u++) {
        o->choice.first[i] = u;
        try_cuts(o, i + 1);
    }
}

static oracle try_all(const uap_instance *in)
{
    oracle o = {.in = in, .best = INT64_MAX, .over = INT64_MAX};
    o.stage = uap_calloc((size_t)in->pp, sizeof *o.stage);
    assert_non_null(o.stage);
    assert_true(uap_choice_init(&o.choice, in->pp, in->n_layers));
    try_cuts(&o, 1);
    uap_choice_free(&o.choice);
    uap_free(o.stage);
    return o;
}

/* ---- One instance -------------------------------------------------------------------- */

static void check_task(const uap_cbc_task *task, int64_t truth, uint64_t seed)
{
    uap_err err = {0};
    uap_cbc_answer answer;
    assert_ok(uap_cbc_run(task, &answer, &err), &err);
    if (truth == INT64_MAX && answer.outcome != UAP_OUTCOME_INFEASIBLE) {
        fail_msg("seed %d: a plan where there is none", (int)seed);
    } else if (truth != INT64_MAX) {
        if (answer.outcome != UAP_OUTCOME_OPTIMAL) {
            fail_msg("seed %d: outcome %d", (int)seed, (int)answer.outcome);
        }
        assert_close((double)answer.value, (double)truth, RTOL, 0.0);
        assert_i64_le(truth, answer.value);
    }
    uap_cbc_answer_free(&answer);
}

/* What the random instances have between them. */
typedef struct seen {
    int schedule[UAP_SCHEDULE_COUNT], objective[2];
    int infeasible, live, ties, work, grad, ragged, started;
} seen;

static void note(seen *s, const uap_instance *in, bool infeasible)
{
    bool work = false;
    bool grad = false;
    bool ragged = false;
    for (int32_t t = 0; t < in->n_tables; t++) {
        work |= in->table[t].work[0] > 0;
        grad |= in->table[t].grad[0] > 0;
        ragged |= in->table[t].n != in->table[0].n;
    }
    s->objective[in->objective]++;
    s->schedule[in->schedule] += in->objective == UAP_OBJECTIVE_FULL;
    s->infeasible += infeasible;
    s->live += in->n_live > 0;
    s->ties += in->n_ties > 0;
    s->work += work;
    s->grad += grad;
    s->ragged += ragged;
}

static void test_equals_trying_all(void **state)
{
    (void)state;
    seen s = {0};
    for (uint64_t seed = 1; seed <= 250; seed++) {
        uap_instance *in = instance_of(seed);
        const oracle o = try_all(in);
        uap_cbc_task task = {.instance = in};
        uap_choice start;
        uap_err err = {0};
        bool found = false;
        assert_true(uap_choice_init(&start, in->pp, in->n_layers));
        assert_ok(uap_greedy_plan(in, &start, &task.start_value, &found, &err), &err);
        if (found) {
            assert_i64_le(o.best, task.start_value);
        }
        if (found && seed % 2 == 0) {
            task.start = &start;
            s.started++;
        }
        check_task(&task, o.best, seed);
        note(&s, in, o.best == INT64_MAX);
        uap_choice_free(&start);
        uap_instance_free(in);
    }
    for (int i = 0; i < UAP_SCHEDULE_COUNT; i++) {
        assert_true(s.schedule[i] >= 10);
    }
    assert_true(s.objective[0] >= 50 && s.objective[1] >= 50);
    assert_true(s.infeasible >= 30 && s.live >= 25 && s.ties >= 12);
    assert_true(s.work >= 50 && s.grad >= 50 && s.ragged >= 50 && s.started >= 50);
}

/* Times of a fraction of a microsecond and of hours: the scaling must hold. */
static void test_times_of_any_size(void **state)
{
    (void)state;
    const int64_t factors[] = {1, 1000000, 0};
    for (uint64_t seed = 300; seed < 340; seed++) {
        for (int f = 0; f < 3; f++) {
            uap_instance *in = instance_of(seed);
            const int64_t factor = factors[f];
            for (int32_t t = 0; t < in->n_tables; t++) {
                for (int32_t k = 0; k < in->table[t].n; k++) {
                    /* 0: down to some hundred ticks */
                    int64_t *const times[] = {&in->table[t].fwd[k], &in->table[t].bwd[k],
                                              &in->table[t].grad[k]};
                    for (int i = 0; i < 3; i++) {
                        *times[i] =
                            factor == 0 ? *times[i] / 100000000 : *times[i] * factor;
                    }
                }
            }
            const oracle o = try_all(in);
            check_task(&(uap_cbc_task){.instance = in}, o.best, seed);
            uap_instance_free(in);
        }
    }
}

/* Caps that the best plan meets to the byte, and one byte less: no tolerance decides. */
static void test_memory_to_the_byte(void **state)
{
    (void)state;
    int checked = 0;
    for (uint64_t seed = 400; seed < 460; seed++) {
        uap_instance *in = instance_of(seed);
        uap_err err = {0};
        for (int32_t t = 0; t < in->n_tables; t++) {
            for (int32_t k = 0; k < in->table[t].n; k++) {
                in->table[t].state[k] =
                    in->table[t].state[k] * 1000 + (k * 7919 + t) % 1000;
            }
        }
        for (int32_t i = 0; i < in->pp; i++) {
            in->cap[i] *= 1000;
        }
        uap_cbc_answer answer;
        uap_stage_cost *stage = uap_calloc((size_t)in->pp, sizeof *stage);
        assert_non_null(stage);
        assert_ok(uap_cbc_run(&(uap_cbc_task){.instance = in}, &answer, &err), &err);
        if (answer.outcome == UAP_OUTCOME_OPTIMAL) {
            uap_choice_stages(in, &answer.choice, stage);
            for (int32_t less = 0; less < 2; less++) {
                for (int32_t i = 0; i < in->pp; i++) {
                    in->cap[i] = stage[i].memory - less;
                }
                check_task(&(uap_cbc_task){.instance = in}, try_all(in).best, seed);
            }
            checked++;
        }
        uap_free(stage);
        uap_cbc_answer_free(&answer);
        uap_instance_free(in);
    }
    assert_true(checked >= 20);
}

/* Only what is below the cutoff is looked for. */
static void test_cutoff(void **state)
{
    (void)state;
    for (uint64_t seed = 500; seed < 560; seed++) {
        uap_instance *in = instance_of(seed);
        const oracle o = try_all(in);
        uap_err err = {0};
        uap_cbc_answer answer;
        if (o.best == INT64_MAX) {
            uap_instance_free(in);
            continue;
        }
        uap_cbc_task task = {.instance = in, .cutoff = o.best + o.best / 50 + 2};
        check_task(&task, o.best, seed);
        task.cutoff = o.best - o.best / 50 - 2;
        assert_ok(uap_cbc_run(&task, &answer, &err), &err);
        assert_int_equal(answer.outcome, UAP_OUTCOME_INFEASIBLE);
        uap_cbc_answer_free(&answer);
        uap_instance_free(in);
    }
}

/* Nothing reaches standard output, with a start, infeasible, or stopped. */
static void test_silent(void **state)
{
    (void)state;
    char path[] = "/tmp/uniap-test-XXXXXX";
    const int file = mkstemp(path);
    assert_true(file >= 0);
    (void)fflush(stdout);
    const int kept = dup(STDOUT_FILENO);
    assert_true(kept >= 0 && dup2(file, STDOUT_FILENO) >= 0);
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uap_instance *in = instance_of(seed);
        const uap_source source = uap_source_of_instance(in);
        const uap_limits limits = {0};
        uap_result result;
        uap_err err = {0};
        const uap_status rc = uap_cbc_solve(&source, &limits, &result, &err);
        uap_result_free(&result);
        uap_instance_free(in);
        assert_int_equal(rc, UAP_OK);
    }
    (void)fflush(stdout);
    const off_t printed = lseek(file, 0, SEEK_END);
    assert_true(dup2(kept, STDOUT_FILENO) >= 0);
    (void)close(kept);
    (void)close(file);
    (void)unlink(path);
    assert_int_equal(printed, 0);
}

/* ---- The engine over several configurations ------------------------------------------ */

#define CONFIGS 5

typedef struct list {
    uap_instance *instance[CONFIGS]; /* NULL: illegal */
} list;

static uap_status build_copy(void *context, int32_t index, uap_instance **out,
                             uap_err *err)
{
    const list *l = context;
    *out = l->instance[index] == NULL ? NULL : uap_instance_copy(l->instance[index]);
    return l->instance[index] != NULL && *out == NULL ? UAP_FAIL(err, NO_MEMORY, "copy")
                                                      : UAP_OK;
}

/* Five configurations, the second one illegal; the oracles of the others. */
static void make_list(uint64_t seed, list *l, oracle *o)
{
    for (int i = 0; i < CONFIGS; i++) {
        l->instance[i] = i == 1 ? NULL : instance_of(seed * CONFIGS + (uint64_t)i);
        o[i] = i == 1 ? (oracle){.best = INT64_MAX, .over = INT64_MAX}
                      : try_all(l->instance[i]);
    }
}

static void free_list(list *l)
{
    for (int i = 0; i < CONFIGS; i++) {
        uap_instance_free(l->instance[i]);
    }
}

static void test_best_of_several(void **state)
{
    (void)state;
    for (uint64_t seed = 200; seed < 230; seed++) {
        list l;
        oracle o[CONFIGS];
        uap_result result;
        uap_err err = {0};
        const uap_limits limits = {0};
        make_list(seed, &l, o);
        const uap_source source = {CONFIGS, &l, build_copy};
        assert_ok(uap_cbc_solve(&source, &limits, &result, &err), &err);
        int64_t best = INT64_MAX;
        for (int i = 0; i < CONFIGS; i++) {
            best = o[i].best < best ? o[i].best : best;
        }
        assert_i64(result.stats.illegal, 1);
        if (best == INT64_MAX) {
            assert_int_equal(result.outcome, UAP_OUTCOME_INFEASIBLE);
        } else {
            assert_int_equal(result.outcome, UAP_OUTCOME_OPTIMAL);
            assert_close((double)result.value, (double)best, RTOL, 0.0);
            assert_i64(result.bound, result.value);
            assert_close((double)o[result.config].best, (double)best, RTOL, 0.0);
        }
        uap_result_free(&result);
        free_list(&l);
    }
}

/* Where nothing fits: the plan that lacks least, and how much. */
static void test_shortage(void **state)
{
    (void)state;
    int checked = 0;
    for (uint64_t seed = 1; seed <= 120; seed++) {
        uap_instance *in = instance_of(seed);
        const oracle o = try_all(in);
        if (o.best == INT64_MAX && o.over != INT64_MAX) {
            uap_result result;
            uap_err err = {0};
            const uap_limits limits = {0};
            const uap_source source = uap_source_of_instance(in);
            assert_ok(uap_cbc_solve(&source, &limits, &result, &err), &err);
            assert_int_equal(result.outcome, UAP_OUTCOME_INFEASIBLE);
            const uap_shortage *s = &result.shortage;
            assert_true(s->known);
            assert_close((double)(s->need_bytes - s->cap_bytes), (double)o.over, RTOL,
                         1.0);
            assert_i64(s->cap_bytes, in->cap[s->stage]);
            assert_true(s->first <= s->last && s->last < in->n_layers);
            uap_result_free(&result);
            checked++;
        }
        uap_instance_free(in);
    }
    assert_true(checked >= 10);
}

/* A large instance that CBC cannot finish at once. */
static uap_instance *hard_instance(void)
{
    const uap_generate_large what = {.family = UAP_FAMILY_RANDOM,
                                     .objective = UAP_OBJECTIVE_FULL,
                                     .schedule = UAP_SCHEDULE_1F1B,
                                     .n_layers = 20,
                                     .n_strategies = 12,
                                     .pp = 4,
                                     .micro_batches = 8,
                                     .tightness = 0.3,
                                     .seed = 5};
    uap_err err = {0};
    uap_instance *in = NULL;
    assert_ok(uap_generate_family(&what, &in, &err), &err);
    return in;
}

static void test_limits(void **state)
{
    (void)state;
    uap_instance *in = hard_instance();
    const uap_source source = uap_source_of_instance(in);
    const volatile sig_atomic_t raised = 1;
    const uap_limits all[] = {{.time_limit_s = 0.5}, {.stop = &raised}};
    for (int i = 0; i < 2; i++) {
        uap_result result;
        uap_err err = {0};
        assert_ok(uap_cbc_solve(&source, &all[i], &result, &err), &err);
        assert_true(result.outcome == UAP_OUTCOME_FEASIBLE ||
                    result.outcome == UAP_OUTCOME_UNKNOWN);
        if (result.outcome == UAP_OUTCOME_FEASIBLE) {
            assert_i64_le(result.bound, result.value);
            assert_int_equal(result.config, 0);
        }
        uap_result_free(&result);
    }
    uap_instance_free(in);
}

/* With a gap the answer may be worse than the best, by no more than the gap. */
static void test_gap(void **state)
{
    (void)state;
    for (uint64_t seed = 600; seed < 640; seed++) {
        uap_instance *in = instance_of(seed);
        const oracle o = try_all(in);
        const uap_source source = uap_source_of_instance(in);
        const uap_limits limits = {.gap = 0.1};
        uap_result result;
        uap_err err = {0};
        assert_ok(uap_cbc_solve(&source, &limits, &result, &err), &err);
        if (o.best != INT64_MAX) {
            assert_int_equal(result.outcome, UAP_OUTCOME_OPTIMAL);
            assert_true((double)result.value <= (double)o.best / (1.0 - 0.1) + 2.0);
            assert_i64_le(result.bound, o.best);
        }
        uap_result_free(&result);
        uap_instance_free(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equals_trying_all),
        cmocka_unit_test(test_times_of_any_size),
        cmocka_unit_test(test_memory_to_the_byte),
        cmocka_unit_test(test_cutoff),
        cmocka_unit_test(test_silent),
        cmocka_unit_test(test_best_of_several),
        cmocka_unit_test(test_shortage),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_gap),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
