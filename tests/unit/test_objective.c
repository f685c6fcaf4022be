/* search/objective.h against numbers worked out by hand and, on thousands of random plans,
 * against the objective written a second time in bench/brute.c. */
#include "unit/check.h"

#include "bench/brute.h"
#include "bench/generate.h"
#include "bench/generate_build.h"
#include "bench/rng.h"
#include "search/objective.h"

#include <string.h>

/* Two stages: forward 2 and 4, backward 4 and 8, a transfer of 1 each way. */
static const uap_stage_cost unbalanced[2] = {
    {.fwd = 2, .bwd = 4, .send_fwd = 1, .send_bwd = 1}, {.fwd = 4, .bwd = 8}};

/* Two stages of 1 + 1 behind a link of 5 each way. */
static const uap_stage_cost slow_link[2] = {
    {.fwd = 1, .bwd = 1, .send_fwd = 5, .send_bwd = 5}, {.fwd = 1, .bwd = 1}};

static void inflight_follows_the_schedule(void **state)
{
    (void)state;
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_GPIPE, 4, 0, 8), 8);
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_GPIPE, 1, 0, 8), 1);
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_1F1B, 4, 0, 8), 4);
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_1F1B, 4, 3, 8), 1);
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_1F1B, 4, 0, 3), 3);
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_1F1B_EAGER, 4, 0, 8), 7);
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_1F1B_EAGER, 4, 3, 8), 1);
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_1F1B_EAGER, 4, 0, 5), 5);
    assert_i64(uap_schedule_inflight(UAP_SCHEDULE_1F1B_EAGER, 1, 0, 5), 1);
}

/* (2+4) + (4+8) + (1+1) = 20, and twice the slowest forward 4 and backward 8. */
static void gpipe_by_hand(void **state)
{
    (void)state;
    const int64_t inflight[2] = {3, 3};
    assert_i64(uap_schedule_span(UAP_SCHEDULE_GPIPE, 2, 3, unbalanced, inflight), 44);
    /* 4 + 10 + 3 * (5 + 5): the link is the slowest. */
    assert_i64(uap_schedule_span(UAP_SCHEDULE_GPIPE, 2, 4, slow_link, inflight), 44);
}

static void one_f_one_b_by_hand(void **state)
{
    (void)state;
    const int64_t inflight[2] = {2, 1};
    /* Stage 1 takes 3 * 12 = 36, stage 0 and the link add 6 + 2. */
    assert_i64(uap_schedule_span(UAP_SCHEDULE_1F1B, 2, 3, unbalanced, inflight), 44);
    /* Round trip 14, two in flight: 2 * 14 + (4 - 1 - 2) * 2. */
    assert_i64(uap_schedule_span(UAP_SCHEDULE_1F1B, 2, 4, slow_link, inflight), 30);
    /* c <= k: no second round, 14 + (2 - 1) * max(5, 5) = 19. */
    assert_i64(uap_schedule_span(UAP_SCHEDULE_1F1B, 2, 2, slow_link, inflight), 19);
}

static void eager_by_hand(void **state)
{
    (void)state;
    const int64_t inflight[2] = {3, 1};
    /* Three in flight give 2 * 14 + 0 = 28; the link takes 14 + 3 * 5 = 29. */
    assert_i64(uap_schedule_span(UAP_SCHEDULE_1F1B_EAGER, 2, 4, slow_link, inflight), 29);
}

/* c = 8, two in flight, round trip 14: rounds r = 1 + 7 / 2 = 4 count, 4 * 14 + 1 * 2. */
static void the_last_round_trip_counts(void **state)
{
    (void)state;
    const int64_t inflight[2] = {2, 1};
    assert_i64(uap_schedule_span(UAP_SCHEDULE_1F1B, 2, 8, slow_link, inflight), 58);
}

/* A stage that holds three micro-batches of forward 6, backward 2 saves only the smaller
 * of the two per micro-batch in flight: 16 + 2 * 8 - 2 * 2 = 28. */
static void the_fill_saves_the_smaller_half(void **state)
{
    (void)state;
    const int64_t inflight[2] = {3, 1};
    const uap_stage_cost front[2] = {{.fwd = 6, .bwd = 2, .send_fwd = 3, .send_bwd = 3},
                                     {.fwd = 1, .bwd = 1}};
    assert_i64(uap_schedule_span(UAP_SCHEDULE_1F1B_EAGER, 2, 3, front, inflight), 28);
    /* A slow second stage counts with what it takes to reach it: 6 + 2 + 6 + 3 * 10. */
    const uap_stage_cost back[2] = {{.fwd = 6, .bwd = 2, .send_fwd = 3, .send_bwd = 3},
                                    {.fwd = 5, .bwd = 5}};
    assert_i64(uap_schedule_span(UAP_SCHEDULE_1F1B_EAGER, 2, 3, back, inflight), 44);
}

/* The last micro-batch leaves stage 1 before stage 0, by its way back of 1 + 4 in both
 * schedules: g = 9 there ends 4 later than V, g = 2 in stage 0 ends 2 later. */
static void late_gradient_work_by_hand(void **state)
{
    (void)state;
    uap_stage_cost s[2] = {unbalanced[0], unbalanced[1]};
    const int64_t all[2] = {3, 3};
    const int64_t some[2] = {2, 1};
    s[0].grad = 2;
    assert_i64(uap_schedule_total(UAP_SCHEDULE_GPIPE, 2, 3, s, all), 44 + 2);
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 3, s, some), 44 + 2);
    s[1].grad = 9;
    assert_i64(uap_schedule_total(UAP_SCHEDULE_GPIPE, 2, 3, s, all), 44 + 4);
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 3, s, some), 44 + 4);
    s[1].grad = 6;
    s[0].grad = 0;
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 3, s, some), 44 + 1);
    s[1].grad = 5;
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 3, s, some), 44);
}

/* Stages of 1 + 1, 4 + 4 and 1 + 1, four micro-batches. Under gpipe stage 2 has its forwards
 * at 18 and its backwards at 22, while stage 1 is busy until 35 and stage 0 until 36. Under
 * 1f1b stage 1 runs F F B F B F B B from 1 to 33; its last forward ends at 25, and stage 2 is
 * done with it at 27. */
static void a_slow_stage_between_hides_gradient_work(void **state)
{
    (void)state;
    uap_stage_cost s[3] = {
        {.fwd = 1, .bwd = 1}, {.fwd = 4, .bwd = 4}, {.fwd = 1, .bwd = 1, .grad = 6}};
    const int64_t all[3] = {4, 4, 4};
    const int64_t some[3] = {3, 2, 1};
    assert_i64(uap_schedule_span(UAP_SCHEDULE_GPIPE, 3, 4, s, all), 36);
    assert_i64(uap_schedule_total(UAP_SCHEDULE_GPIPE, 3, 4, s, all), 36);
    assert_i64(uap_schedule_span(UAP_SCHEDULE_1F1B, 3, 4, s, some), 34);
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 3, 4, s, some), 34);
    s[2].grad = 30;
    assert_i64(uap_schedule_total(UAP_SCHEDULE_GPIPE, 3, 4, s, all), 22 + 30);
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 3, 4, s, some), 27 + 30);
    s[2].grad = 0;
    s[1].grad = 3; /* stage 1 ends at 35 and at 33, 1 before stage 0 */
    assert_i64(uap_schedule_total(UAP_SCHEDULE_GPIPE, 3, 4, s, all), 35 + 3);
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 3, 4, s, some), 33 + 3);
}

/* Four micro-batches, two stages, g = 100 in the last: it starts when the last micro-batch
 * is there, which waits for stage 0 (busy), the link, or the way back of those before. */
static void the_last_micro_batch_comes_late(void **state)
{
    (void)state;
    const int64_t two[2] = {2, 1};
    const int64_t one[2] = {1, 1};
    const uap_stage_cost busy[2] = {{.fwd = 6, .bwd = 7},
                                    {.fwd = 1, .bwd = 1, .grad = 100}};
    /* 4 forwards and 2 backwards of stage 0, then 2 in stage 1. */
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 4, busy, two), 24 + 14 + 2 + 100);
    const uap_stage_cost link[2] = {{.fwd = 1, .bwd = 1, .send_fwd = 9, .send_bwd = 0},
                                    {.fwd = 1, .bwd = 1, .grad = 100}};
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 4, link, two), 1 + 36 + 2 + 100);
    /* A round trip is 14. One at a time: three of them, then 1 + 5 and stage 1's 2. Two in
     * flight, five micro-batches: two round trips before the last. */
    uap_stage_cost far[2] = {slow_link[0], slow_link[1]};
    far[1].grad = 100;
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 4, far, one), 42 + 6 + 2 + 100);
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 5, far, two), 28 + 6 + 2 + 100);
    /* One round trip and a forward with a backward of stage 0. */
    assert_i64(uap_schedule_total(UAP_SCHEDULE_1F1B, 2, 4, far, two),
               14 + 2 + 6 + 2 + 100);
}

static void one_stage_pays_its_gradient_work_whole(void **state)
{
    (void)state;
    const uap_stage_cost s[1] = {{.fwd = 3, .bwd = 5, .grad = 7}};
    const int64_t inflight[1] = {1};
    for (int i = 0; i < UAP_SCHEDULE_COUNT; i++) {
        assert_i64(uap_schedule_total((uap_schedule)i, 1, 6, s, inflight), 6 * 8 + 7);
    }
}

static int64_t *some_time(uap_stage_cost *s, int64_t which)
{
    int64_t *const times[] = {&s->fwd, &s->bwd, &s->grad, &s->send_fwd, &s->send_bwd};
    return times[which];
}

/* The engine drops what is slower in some time and faster in none. */
static void no_time_lowers_the_total(void **state)
{
    (void)state;
    uap_rng rng;
    uap_rng_seed(&rng, 1234);
    for (int repeat = 0; repeat < 20000; repeat++) {
        uap_stage_cost s[5] = {{0}};
        int64_t inflight[5];
        const uap_schedule schedule =
            (uap_schedule)uap_rng_range(&rng, 0, UAP_SCHEDULE_COUNT - 1);
        const int32_t pp = (int32_t)uap_rng_range(&rng, 1, 5);
        const int64_t c = uap_rng_range(&rng, 1, 9);
        for (int32_t i = 0; i < pp; i++) {
            inflight[i] = uap_schedule_inflight(schedule, pp, i, c);
            for (int which = 0; which < (i + 1 < pp ? 5 : 3); which++) {
                *some_time(&s[i], which) = uap_rng_range(&rng, 0, which == 2 ? 60 : 9);
            }
        }
        const int64_t before = uap_schedule_total(schedule, pp, c, s, inflight);
        const int32_t at = (int32_t)uap_rng_range(&rng, 0, pp - 1);
        *some_time(&s[at], uap_rng_range(&rng, 0, at + 1 < pp ? 4 : 2)) +=
            uap_rng_range(&rng, 1, 20);
        assert_i64_le(before, uap_schedule_total(schedule, pp, c, s, inflight));
        assert_i64_le(uap_schedule_span(schedule, pp, c, s, inflight) + s[0].grad,
                      uap_schedule_total(schedule, pp, c, s, inflight));
    }
}

/* Three layers of two strategies each on two stages, a live tensor from layer 0 to 2. */
static uap_instance *small_instance(uap_objective objective)
{
    static const int32_t two[2] = {2, 2};
    uap_instance *in = uap_instance_new();
    assert_non_null(in);
    in->objective = objective;
    in->schedule = UAP_SCHEDULE_GPIPE;
    in->micro_batches = 3;
    assert_true(uap_build_shape(in, 3, 1, 2));
    assert_true(uap_build_table(in, &in->table[0], 2));
    assert_true(uap_build_edge(in, &in->edge[0], two, two));
    in->n_edges = 1;
    uap_layer_table *t = &in->table[0];
    uap_edge_table *e = &in->edge[0];
    for (int32_t k = 0; k < 2; k++) {
        t->fwd[k] = 10 + k;
        t->bwd[k] = objective == UAP_OBJECTIVE_FULL ? 20 + k : 0;
        t->grad[k] = 100 * (1 + k);
        t->state[k] = 1000 + 500 * k;
        t->act[k] = 7;
        t->work[k] = 40 * k;
        e->from_class[k] = k;
        e->to_class[k] = k;
    }
    for (int32_t at = 0; at < 4; at++) {
        e->r_fwd[at] = 1 + at;
        e->x_fwd[at] = 5 + at;
        e->r_bwd[at] = objective == UAP_OBJECTIVE_FULL ? 2 + at : 0;
        e->x_bwd[at] = objective == UAP_OBJECTIVE_FULL ? 6 + at : 0;
    }
    const int32_t reader[1] = {2};
    in->live = uap_arena_alloc(in->arena, 1, sizeof *in->live);
    assert_non_null(in->live);
    assert_true(uap_build_live(in, in->live, 0, reader, 1));
    in->n_live = 1;
    in->live->x_fwd[1] = 50;
    in->live->bytes[1] = 300;
    in->live->r_fwd[0][1 * 2 + 0] = 4;
    in->inflight[0] = 2;
    in->inflight[1] = 1;
    in->cap[0] = 1000000;
    in->cap[1] = 1000000;
    return in;
}

/* Layers 0 and 1 with strategies 1 and 0 in stage 0, layer 2 with strategy 0 in stage 1. */
static void a_whole_plan_by_hand(void **state)
{
    (void)state;
    uap_instance *in = small_instance(UAP_OBJECTIVE_FULL);
    int32_t first[2] = {0, 2};
    int32_t strategy[3] = {1, 0, 0};
    const uap_choice choice = {first, strategy};
    uap_stage_cost s[2];
    int64_t value = 0;
    assert_true(uap_choice_value(in, &choice, s, &value));
    assert_i64(s[0].fwd, 11 + 10 + 3); /* r_fwd of (1, 0) is entry 2 */
    assert_i64(s[0].bwd, 21 + 20 + 4); /* r_bwd of (1, 0) */
    assert_i64(s[0].send_fwd, 5 + 50); /* (0, 0) and the live tensor */
    assert_i64(s[0].send_bwd, 6);
    assert_i64(s[0].grad, 200 + 100);
    /* 1500 + 1000 states, 2 x (7 + 7) held, 40 workspace; layer 1 lies behind the
     * producer, so its stage keeps 2 x 300. */
    assert_i64(s[0].memory, 2500 + 28 + 40 + 600);
    assert_i64(s[1].fwd, 10 + 4);
    assert_i64(s[1].bwd, 20);
    assert_i64(s[1].grad, 100);
    assert_i64(s[1].memory, 1000 + 7 + 300);
    /* 24 + 45 + 55 + 6 + 14 + 20 = 164; 2 x (55 + 45); E = g_0 = 300. */
    assert_i64(value, 164 + 200 + 300);
    in->cap[1] = 1306;
    assert_false(uap_choice_value(in, &choice, s, &value));
    in->cap[1] = 1307;
    assert_true(uap_choice_value(in, &choice, s, &value));
    uap_instance_free(in);
}

static void the_simple_objective_by_hand(void **state)
{
    (void)state;
    uap_instance *in = small_instance(UAP_OBJECTIVE_SIMPLE);
    int32_t first[2] = {0, 1};
    int32_t strategy[3] = {0, 1, 1};
    const uap_choice choice = {first, strategy};
    uap_stage_cost s[2];
    int64_t value = 0;
    assert_true(uap_choice_value(in, &choice, s, &value));
    /* p = 10 and 11 + 11 + r(1, 1) = 4; o = x(0, 1) = 6; 2 x 26; g = 400. */
    assert_i64(value, 10 + 26 + 6 + 2 * 26 + 400);
    uap_instance_free(in);
}

static void ill_formed_choices_are_refused(void **state)
{
    (void)state;
    uap_instance *in = small_instance(UAP_OBJECTIVE_FULL);
    int32_t first[2] = {0, 2};
    int32_t strategy[3] = {1, 0, 0};
    const uap_choice choice = {first, strategy};
    uap_stage_cost s[2];
    int64_t value = 0;
    first[1] = 0;
    assert_false(uap_choice_value(in, &choice, s, &value));
    first[1] = 3;
    assert_false(uap_choice_value(in, &choice, s, &value));
    first[1] = 2;
    first[0] = 1;
    assert_false(uap_choice_value(in, &choice, s, &value));
    first[0] = 0;
    strategy[2] = 2;
    assert_false(uap_choice_value(in, &choice, s, &value));
    strategy[2] = 0;
    uap_tie tie = {
        .a = 0, .b = 2, .class_a = (int32_t[]){0, 1}, .class_b = (int32_t[]){0, 1}};
    in->tie = &tie;
    in->n_ties = 1;
    assert_false(uap_choice_value(in, &choice, s, &value));
    strategy[2] = 1;
    assert_true(uap_choice_value(in, &choice, s, &value));
    uap_instance_free(in);
}

/* Any cuts and strategies, not only good ones. */
static void random_choice(uap_rng *rng, const uap_instance *in, int32_t *first,
                          int32_t *strategy)
{
    int32_t next = 0;
    for (int32_t i = 0; i < in->pp; i++) {
        first[i] = next;
        next = (int32_t)uap_rng_range(rng, next + 1, in->n_layers - (in->pp - 1 - i));
    }
    for (int32_t u = 0; u < in->n_layers; u++) {
        strategy[u] = (int32_t)uap_rng_range(rng, 0, uap_table_of(in, u)->n - 1);
    }
}

static bool keeps_ties(const uap_instance *in, const int32_t *strategy)
{
    for (int32_t t = 0; t < in->n_ties; t++) {
        const uap_tie *tie = &in->tie[t];
        if (tie->class_a[strategy[tie->a]] != tie->class_b[strategy[tie->b]]) {
            return false;
        }
    }
    return true;
}

static void compare_choice(const uap_instance *in, const uap_choice *choice)
{
    uap_stage_cost s[UAP_BRUTE_MAX_LAYERS];
    int64_t memory[UAP_BRUTE_MAX_LAYERS];
    int64_t expected = 0;
    int64_t value = -1;
    uap_brute_cost(in, choice, &expected, memory);
    bool fits = true;
    for (int32_t i = 0; i < in->pp; i++) {
        fits = fits && memory[i] <= in->cap[i];
    }
    const bool said = uap_choice_value(in, choice, s, &value);
    if (!keeps_ties(in, choice->strategy)) {
        assert_false(said);
        return;
    }
    assert_i64(value, expected);
    assert_int_equal(said, fits);
    for (int32_t i = 0; i < in->pp; i++) {
        assert_i64(s[i].memory, memory[i]);
    }
}

static void both_objectives_agree_on_random_plans(void **state)
{
    (void)state;
    const uap_generate_range range = {1, 14, 1, 8, 1, 8};
    uap_rng rng;
    uap_rng_seed(&rng, 4711);
    for (uint64_t seed = 0; seed < 1500; seed++) {
        uap_instance *in = NULL;
        uap_err err = {0};
        assert_ok(uap_generate_random(seed, &range, &in, &err), &err);
        assert_ok(uap_instance_check(in, &err), &err);
        for (int repeat = 0; repeat < 10; repeat++) {
            int32_t first[UAP_BRUTE_MAX_LAYERS];
            int32_t strategy[UAP_BRUTE_MAX_LAYERS];
            const uap_choice choice = {first, strategy};
            random_choice(&rng, in, first, strategy);
            compare_choice(in, &choice);
        }
        uap_instance_free(in);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(inflight_follows_the_schedule),
        cmocka_unit_test(gpipe_by_hand),
        cmocka_unit_test(one_f_one_b_by_hand),
        cmocka_unit_test(eager_by_hand),
        cmocka_unit_test(the_last_round_trip_counts),
        cmocka_unit_test(the_fill_saves_the_smaller_half),
        cmocka_unit_test(late_gradient_work_by_hand),
        cmocka_unit_test(a_slow_stage_between_hides_gradient_work),
        cmocka_unit_test(the_last_micro_batch_comes_late),
        cmocka_unit_test(one_stage_pays_its_gradient_work_whole),
        cmocka_unit_test(no_time_lowers_the_total),
        cmocka_unit_test(a_whole_plan_by_hand),
        cmocka_unit_test(the_simple_objective_by_hand),
        cmocka_unit_test(ill_formed_choices_are_refused),
        cmocka_unit_test(both_objectives_agree_on_random_plans),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
