/* Dominance among labels (search/label.h) against what it promises: whatever stands around a
 * stage, the label that stays costs no more than the one that goes. */
#include "unit/check.h"

#include "bench/rng.h"
#include "common/numbers.h"
#include "search/label.h"
#include "search/objective.h"

#include <string.h>

#define STAGES      4
#define COMPLETIONS 40

/* One stage among others: its form, the pipeline around it, and two labels in comparison. */
typedef struct comparison {
    uap_rng rng;
    uap_schedule schedule;
    int32_t at; /* the stage */
    int64_t inflight[STAGES];
    uap_value_form form;
    uap_label_list a, b, both;
    uap_label_shadow shadow;
} comparison;

static uap_label draw_label(comparison *x)
{
    const int64_t f = uap_rng_range(&x->rng, 0, 12);
    const int64_t more = x->form.halves_in_order ? f : 0;
    return (uap_label){.f = f,
                       .p = f + more + uap_rng_range(&x->rng, 0, 12),
                       .g = x->form.has_grad ? uap_rng_range(&x->rng, 0, 40) : 0,
                       .m = uap_rng_range(&x->rng, 0, 1),
                       .w = uap_rng_range(&x->rng, 0, 1)};
}

static void draw_form(comparison *x)
{
    uap_rng *rng = &x->rng;
    x->schedule = (uap_schedule)uap_rng_range(rng, 0, UAP_SCHEDULE_COUNT - 1);
    x->at = (int32_t)uap_rng_range(rng, 0, STAGES - 1);
    const int64_t c = uap_rng_range(rng, 1, 7);
    for (int32_t i = 0; i < STAGES; i++) {
        x->inflight[i] = uap_rng_range(rng, 1, 5);
    }
    x->form = (uap_value_form){
        .has_round_trips = x->schedule != UAP_SCHEDULE_GPIPE,
        .is_first = x->at == 0,
        .is_split = true,
        .has_grad = uap_rng_range(rng, 0, 1) == 1,
        .has_later_grad = uap_rng_range(rng, 0, 1) == 1,
        .halves_in_order = uap_rng_range(rng, 0, 1) == 1,
        .c = c,
        .k = uap_min_i64(x->inflight[x->at], c),
    };
}

/* The other stages and all links: short or long, so that each term decides at times. */
static void draw_rest(comparison *x, uap_stage_cost *stage)
{
    for (int32_t i = 0; i < STAGES; i++) {
        uap_rng *rng = &x->rng;
        const int64_t longest = uap_rng_range(rng, 0, 1) == 0 ? 2 : 15;
        stage[i].send_fwd = i + 1 < STAGES ? uap_rng_range(rng, 0, longest) : 0;
        stage[i].send_bwd = i + 1 < STAGES ? uap_rng_range(rng, 0, longest) : 0;
        if (i == x->at) {
            continue;
        }
        const bool has_grad = i < x->at || x->form.has_later_grad;
        stage[i].fwd = uap_rng_range(rng, 0, longest);
        stage[i].bwd = uap_rng_range(rng, 0, longest);
        stage[i].grad =
            has_grad ? uap_rng_range(rng, 0, 1) * uap_rng_range(rng, 0, 200) : 0;
    }
}

static int64_t total_with(const comparison *x, const uap_label *label,
                          uap_stage_cost *stage)
{
    stage[x->at].fwd = label->f;
    stage[x->at].bwd = label->p - label->f;
    stage[x->at].grad = label->g;
    return uap_schedule_total(x->schedule, STAGES, x->form.c, stage, x->inflight);
}

static void no_completion_prefers_what_went(void **state)
{
    (void)state;
    comparison x = {.at = 0};
    uap_rng_seed(&x.rng, 77);
    assert_true(uap_labels_reserve(&x.a, 1) && uap_labels_reserve(&x.b, 1));
    x.a.n = x.b.n = 1;
    int dropped = 0;
    int larger_g = 0;
    int smaller_f = 0;
    for (int repeat = 0; repeat < 40000; repeat++) {
        draw_form(&x);
        x.a.at[0] = draw_label(&x);
        x.b.at[0] = draw_label(&x);
        const uap_dominance rule = uap_dominance_of(&x.form);
        assert_true(uap_labels_merge(&x.a, &x.b, &rule, &x.shadow, &x.both));
        if (x.both.n == 2) {
            continue;
        }
        assert_int_equal(x.both.n, 1);
        const uap_label *kept = &x.both.at[0];
        const uap_label *gone =
            memcmp(kept, x.a.at, sizeof *kept) == 0 ? &x.b.at[0] : &x.a.at[0];
        assert_true(kept->m <= gone->m && kept->w <= gone->w);
        dropped++;
        larger_g += kept->g > gone->g;
        smaller_f += kept->f > gone->f;
        for (int j = 0; j < COMPLETIONS; j++) {
            uap_stage_cost stage[STAGES] = {{0}};
            draw_rest(&x, stage);
            assert_i64_le(total_with(&x, kept, stage), total_with(&x, gone, stage));
        }
    }
    assert_true(dropped > 4000 && larger_g > 200 && smaller_f > 200);
    uap_labels_free(&x.a);
    uap_labels_free(&x.b);
    uap_labels_free(&x.both);
    uap_label_shadow_free(&x.shadow);
}

static bool covers(const uap_dominance *rule, const uap_label *a, const uap_label *b)
{
    return a->m <= b->m && a->w <= b->w && uap_terms_cover(rule, a, b);
}

/* Long lists through the blocks of the shadow, against every pair looked at. */
static void merging_keeps_exactly_the_best(void **state)
{
    (void)state;
    comparison x = {.at = 0};
    uap_rng_seed(&x.rng, 78);
    uap_label_list all = {0};
    for (int repeat = 0; repeat < 60; repeat++) {
        draw_form(&x);
        const uap_dominance rule = uap_dominance_of(&x.form);
        all.n = 0;
        x.b.n = 0;
        for (int i = 0; i < 400; i++) {
            uap_label next = draw_label(&x);
            next.m = uap_rng_range(&x.rng, 0, 30);
            next.w = uap_rng_range(&x.rng, 0, 60);
            assert_true(uap_labels_reserve(&all, all.n + 1));
            all.at[all.n++] = next;
            x.a.n = 0;
            assert_true(uap_labels_reserve(&x.a, 1));
            x.a.at[x.a.n++] = next;
            assert_true(uap_labels_merge(&x.b, &x.a, &rule, &x.shadow, &x.both));
            const uap_label_list swap = x.b;
            x.b = x.both;
            x.both = swap;
        }
        for (size_t i = 0; i < all.n; i++) {
            bool is_covered = false;
            for (size_t j = 0; j < x.b.n; j++) {
                is_covered = is_covered || covers(&rule, &x.b.at[j], &all.at[i]);
            }
            assert_true(is_covered);
        }
        for (size_t i = 0; i < x.b.n; i++) {
            for (size_t j = 0; j < i; j++) {
                assert_false(covers(&rule, &x.b.at[j], &x.b.at[i]));
            }
        }
    }
    uap_labels_free(&all);
    uap_labels_free(&x.a);
    uap_labels_free(&x.b);
    uap_labels_free(&x.both);
    uap_label_shadow_free(&x.shadow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_completion_prefers_what_went),
        cmocka_unit_test(merging_keeps_exactly_the_best),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
