/* Changes to a plan: whatever is told from a few stages and a line is what the whole plan's
 * value says. */
#include "unit/engines.h"

#include "bench/rng.h"
#include "search/greedy_change.h"
#include "search/greedy_value.h"

#define STAGES 12

/* ---- Values of stages ---- */

/* Few values or many, so that terms tie and do not. */
static int64_t any_time(uap_rng *rng, int64_t most)
{
    return uap_rng_chance(rng, 0.2) ? 0 : uap_rng_range(rng, 0, most);
}

static uap_stage_cost any_stage(uap_rng *rng, int64_t most)
{
    return (uap_stage_cost){.fwd = any_time(rng, most),
                            .bwd = any_time(rng, 2 * most),
                            .grad = any_time(rng, 20 * most),
                            .send_fwd = any_time(rng, most),
                            .send_bwd = any_time(rng, most),
                            .memory = uap_rng_range(rng, 0, 130)};
}

/* No layers: only what the value of stages looks at. */
static void any_pipeline(uap_rng *rng, uap_instance *in, int64_t *cap, int64_t *inflight)
{
    *in = (uap_instance){.cap = cap, .inflight = inflight};
    in->objective = uap_rng_chance(rng, 0.2) ? UAP_OBJECTIVE_SIMPLE : UAP_OBJECTIVE_FULL;
    in->schedule = (uap_schedule)uap_rng_range(rng, 0, UAP_SCHEDULE_COUNT - 1);
    in->pp = (int32_t)uap_rng_range(rng, 1, STAGES);
    in->micro_batches = (int32_t)uap_rng_range(rng, 1, 40);
    const bool arbitrary = uap_rng_chance(rng, 0.3);
    for (int32_t i = 0; i < in->pp; i++) {
        cap[i] = uap_rng_range(rng, 60, 140);
        inflight[i] =
            arbitrary ? uap_rng_range(rng, 1, 30)
                      : uap_schedule_inflight(in->schedule, in->pp, i, in->micro_batches);
    }
}

static uap_score whole_score(const uap_instance *in, const uap_stage_cost *stage)
{
    uap_score s = {0, uap_stages_value(in, stage)};
    for (int32_t i = 0; i < in->pp; i++) {
        const int64_t over = stage[i].memory - in->cap[i];
        s.over += over > 0 ? over / in->pp + 1 : 0;
    }
    return s;
}

typedef struct counts {
    int better, worse, taken;
} counts;

/* One change of a few stages in a row, by a little or altogether. */
static void try_one(uap_rng *rng, const uap_instance *in, uap_greedy_value *v,
                    counts *seen)
{
    uap_stage_cost all[STAGES];
    const int32_t first = (int32_t)uap_rng_range(rng, 0, in->pp - 1);
    const int32_t n = (int32_t)uap_rng_range(rng, 1, in->pp - first);
    const int64_t most = uap_rng_chance(rng, 0.5) ? 5 : 1000;
    for (int32_t i = 0; i < in->pp; i++) {
        all[i] = uap_greedy_value_stages(v)[i];
    }
    for (int32_t i = first; i < first + n; i++) {
        uap_stage_cost *s = &all[i];
        int64_t *const entry[] = {&s->fwd,      &s->bwd,      &s->grad,
                                  &s->send_fwd, &s->send_bwd, &s->memory};
        if (uap_rng_chance(rng, 0.1)) {
            *s = any_stage(rng, most);
        }
        for (int e = 0; e < 6; e++) {
            const int64_t to = *entry[e] + uap_rng_range(rng, -most, most) / 4;
            *entry[e] = to > 0 && uap_rng_chance(rng, 0.5) ? to : *entry[e];
        }
    }
    const uap_score now = uap_greedy_value_score(v);
    const uap_score then = whole_score(in, all);
    const bool better = uap_score_is_better(then, now);
    assert_true(uap_greedy_value_improves(v, first, n, &all[first]) == better);
    *(better ? &seen->better : &seen->worse) += 1;
    if (better || uap_rng_chance(rng, 0.02)) {
        uap_greedy_value_change(v, first, n, &all[first]);
        assert_i64(uap_greedy_value_score(v).over, then.over);
        assert_i64(uap_greedy_value_score(v).value, then.value);
        seen->taken++;
    }
}

static void changes_of_stages_are_judged_as_by_all_of_them(void **state)
{
    (void)state;
    counts seen = {0};
    for (uint64_t seed = 0; seed < 2000; seed++) {
        uap_rng rng;
        uap_instance in;
        int64_t cap[STAGES];
        int64_t inflight[STAGES];
        uap_stage_cost stage[STAGES];
        uap_arena *arena = uap_arena_new();
        uap_rng_seed(&rng, seed);
        any_pipeline(&rng, &in, cap, inflight);
        const int64_t most = uap_rng_chance(&rng, 0.5) ? 5 : 1000;
        for (int32_t i = 0; i < in.pp; i++) {
            stage[i] = any_stage(&rng, most);
        }
        uap_greedy_value *v = uap_greedy_value_new(&in, arena);
        assert_non_null(v);
        uap_greedy_value_set(v, stage);
        assert_i64(uap_greedy_value_score(v).value, whole_score(&in, stage).value);
        assert_i64(uap_greedy_value_score(v).over, whole_score(&in, stage).over);
        for (int j = 0; j < 150; j++) {
            try_one(&rng, &in, v, &seen);
        }
        uap_arena_free(arena);
    }
    assert_in_range(seen.better, 10000, 150000);
    assert_in_range(seen.worse, 100000, 290000);
    assert_in_range(seen.taken, seen.better + 1000, 300000);
}

/* ---- Changes of plans ---- */

/* The score of a plan by its definition; over INT64_MAX where it is not well formed. */
static uap_score defined_score(const uap_instance *in, const uap_choice *choice)
{
    uap_stage_cost stage[STAGES];
    uap_score s = {INT64_MAX, -1};
    if (uap_choice_value(in, choice, stage, &s.value) || s.value >= 0) {
        s = whole_score(in, stage);
    }
    return s;
}

/* A plan at random that keeps the ties, unless no few tries find one. */
static bool any_plan(uap_rng *rng, const uap_instance *in, uap_choice *choice)
{
    for (int tries = 0; tries < 50; tries++) {
        for (int32_t u = 0; u < in->n_layers; u++) {
            choice->strategy[u] =
                (int32_t)uap_rng_range(rng, 0, uap_table_of(in, u)->n - 1);
        }
        choice->first[0] = 0;
        for (int32_t i = 1; i < in->pp; i++) {
            choice->first[i] = (int32_t)uap_rng_range(rng, choice->first[i - 1] + 1,
                                                      in->n_layers - (in->pp - i));
        }
        if (defined_score(in, choice).over < INT64_MAX) {
            return true;
        }
    }
    return false;
}

/* No other strategy of a layer, and no cut a layer away, makes the plan better. */
static void assert_no_change_helps(const uap_instance *in, uap_choice *plan,
                                   uint64_t seed)
{
    const uap_score now = defined_score(in, plan);
    for (int32_t u = 0; u < in->n_layers; u++) {
        const int32_t old = plan->strategy[u];
        for (int32_t k = 0; k < uap_table_of(in, u)->n; k++) {
            plan->strategy[u] = k;
            if (uap_score_is_better(defined_score(in, plan), now)) {
                fail_msg("seed %" PRIu64 ": strategy %d of layer %d is better", seed, k,
                         u);
            }
        }
        plan->strategy[u] = old;
    }
    for (int32_t i = 1; i < in->pp; i++) {
        for (int32_t by = -1; by <= 1; by += 2) {
            plan->first[i] += by;
            if (uap_score_is_better(defined_score(in, plan), now)) {
                fail_msg("seed %" PRIu64 ": stage %d may start %d layers on", seed, i,
                         by);
            }
            plan->first[i] -= by;
        }
    }
}

static void a_plan_is_changed_until_no_change_helps(void **state)
{
    (void)state;
    const uap_generate_range range = {1, 16, 1, 9, 1, 6};
    int changed = 0;
    int live = 0;
    int tied = 0;
    for (uint64_t seed = 0; seed < 1500; seed++) {
        uap_instance *in = random_instance(seed, &range);
        uap_rng rng;
        uap_arena *arena = uap_arena_new();
        uap_greedy_change *c = uap_greedy_change_new(in, arena);
        assert_non_null(c);
        uap_choice *plan = uap_greedy_change_plan(c);
        uap_rng_seed(&rng, seed);
        if (any_plan(&rng, in, plan)) {
            uap_greedy_change_begin(c);
            bool more = true;
            while (more) {
                const uap_score before = uap_greedy_change_score(c);
                const uap_score defined = defined_score(in, plan);
                assert_i64(before.over, defined.over);
                assert_i64(before.value, defined.value);
                const bool cut = uap_greedy_change_cuts(c);
                more = uap_greedy_change_strategies(c) || cut;
                assert_true(uap_score_is_better(uap_greedy_change_score(c), before) ==
                            more);
                changed += more;
            }
            assert_no_change_helps(in, plan, seed);
            live += in->n_live > 0;
            tied += in->n_ties > 0;
        }
        uap_arena_free(arena);
        uap_instance_free(in);
    }
    assert_in_range(changed, 2000, 20000);
    assert_in_range(live, 100, 1500);
    assert_in_range(tied, 30, 1500);
}

static void a_plan_that_breaks_a_tie_is_left_alone(void **state)
{
    (void)state;
    const uap_generate_range range = {2, 10, 2, 6, 1, 3};
    int broken = 0;
    for (uint64_t seed = 0; seed < 400; seed++) {
        uap_instance *in = random_instance(seed, &range);
        uap_rng rng;
        uap_arena *arena = uap_arena_new();
        uap_greedy_change *c = uap_greedy_change_new(in, arena);
        assert_non_null(c);
        uap_rng_seed(&rng, seed);
        (void)any_plan(&rng, in, uap_greedy_change_plan(c));
        for (int32_t k = 0; in->n_ties > 0 && k < uap_table_of(in, in->tie[0].a)->n;
             k++) {
            uap_greedy_change_plan(c)->strategy[in->tie[0].a] = k;
            uap_greedy_change_begin(c);
            if (defined_score(in, uap_greedy_change_plan(c)).over == INT64_MAX) {
                assert_i64(uap_greedy_change_score(c).over, INT64_MAX);
                assert_false(uap_greedy_change_cuts(c));
                assert_false(uap_greedy_change_strategies(c));
                broken++;
            }
        }
        uap_arena_free(arena);
        uap_instance_free(in);
    }
    assert_in_range(broken, 20, 4000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(changes_of_stages_are_judged_as_by_all_of_them),
        cmocka_unit_test(a_plan_is_changed_until_no_change_helps),
        cmocka_unit_test(a_plan_that_breaks_a_tie_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
