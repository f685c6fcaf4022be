/* The termination detection alone, against an adversary that delivers work, waves and
 * reports in any order and reports twice: it never speaks too early, and it speaks. */
#include "unit/check.h"

#include "bench/rng.h"
#include "mpi/termination.h"

#include <string.h>

#define MOST_RANKS 7
#define MOST_BAG   256
#define FANOUT     2

typedef enum kind { KIND_WORK, KIND_WAVE, KIND_REPORT } kind;

typedef struct letter {
    kind kind;
    int from, to;
    int64_t wave;
    uap_counters report;
} letter;

typedef struct model {
    int n;
    uap_termination term[MOST_RANKS];
    uap_counters own[MOST_RANKS];
    bool active[MOST_RANKS];
    int to_send; /* work messages that may still be sent, by all */
    letter bag[MOST_BAG];
    int n_bag, n_work; /* letters, and those of them that carry work */
    bool finished;
    uap_rng rng;
} model;

static int n_children_of(const model *m, int r)
{
    int n = 0;
    for (int i = 1; i <= FANOUT; i++) {
        n += r * FANOUT + i < m->n;
    }
    return n;
}

static void put(model *m, letter text)
{
    assert_true(m->n_bag < MOST_BAG);
    m->bag[m->n_bag++] = text;
    m->n_work += text.kind == KIND_WORK;
}

static void wave_to_children(model *m, int r)
{
    for (int i = 1; i <= FANOUT; i++) {
        if (r * FANOUT + i < m->n) {
            put(m, (letter){.kind = KIND_WAVE,
                            .from = r,
                            .to = r * FANOUT + i,
                            .wave = m->term[r].wave});
        }
    }
}

/* What a passive rank does whenever it may. */
static void visit(model *m, int r)
{
    uap_termination *term = &m->term[r];
    if (r == 0 && !term->open) {
        uap_termination_start(term);
        wave_to_children(m, r);
    }
    switch (uap_termination_visit(term, m->own[r])) {
    case UAP_VISIT_REPORT: {
        const letter text = {.kind = KIND_REPORT,
                             .from = r,
                             .to = (r - 1) / FANOUT,
                             .wave = term->wave,
                             .report = term->report};
        put(m, text);
        if (uap_rng_chance(&m->rng, 0.2)) {
            put(m, text);
        }
        break;
    }
    case UAP_VISIT_FINISHED:
        m->finished = true;
        break;
    case UAP_VISIT_AGAIN:
    case UAP_VISIT_NOTHING:
        break;
    }
}

static void deliver(model *m)
{
    const int i = (int)uap_rng_range(&m->rng, 0, m->n_bag - 1);
    const letter text = m->bag[i];
    m->bag[i] = m->bag[--m->n_bag];
    switch (text.kind) {
    case KIND_WORK:
        m->n_work--;
        m->own[text.to].received++;
        m->active[text.to] = true;
        break;
    case KIND_WAVE:
        if (uap_termination_wave(&m->term[text.to], text.wave)) {
            wave_to_children(m, text.to);
        }
        break;
    case KIND_REPORT:
        uap_termination_heard(&m->term[text.to], text.from - text.to * FANOUT - 1,
                              text.wave, text.report);
        break;
    }
}

/* An active rank sends work or becomes passive. */
static void act(model *m, int r)
{
    if (m->to_send > 0 && m->n > 1 && uap_rng_chance(&m->rng, 0.6)) {
        int to = (int)uap_rng_range(&m->rng, 0, m->n - 2);
        to += to >= r;
        m->to_send--;
        m->own[r].sent++;
        put(m, (letter){.kind = KIND_WORK, .from = r, .to = to});
    } else {
        m->active[r] = false;
    }
}

static bool is_over(const model *m)
{
    for (int r = 0; r < m->n; r++) {
        if (m->active[r]) {
            return false;
        }
    }
    return m->n_work == 0;
}

static void run(model *m, int n, uint64_t seed)
{
    int64_t after_end = 0;
    *m = (model){.n = n, .to_send = 6 + (int)(seed % 20)};
    uap_rng_seed(&m->rng, seed);
    for (int r = 0; r < n; r++) {
        uap_termination_init(&m->term[r], r == 0, n_children_of(m, r));
    }
    m->active[0] = true;
    while (!m->finished) {
        const int r = (int)uap_rng_range(&m->rng, 0, n - 1);
        if (m->n_bag > 0 && uap_rng_chance(&m->rng, 0.5)) {
            deliver(m);
        } else if (m->active[r]) {
            act(m, r);
        } else {
            visit(m, r);
        }
        after_end += is_over(m);
        assert_i64_le(after_end, 5000);
    }
    assert_true(is_over(m));
}

static void test_never_early_never_missed(void **state)
{
    (void)state;
    static model m;
    for (int n = 1; n <= MOST_RANKS; n++) {
        for (uint64_t seed = 0; seed < 20000; seed++) {
            run(&m, n, seed);
        }
    }
}

/* A wave lies across a message: what one wave counts balances, and work goes on. */
static void test_one_balanced_wave_is_no_proof(void **state)
{
    (void)state;
    uap_termination term;
    uap_termination_init(&term, true, 1);
    uap_termination_start(&term);
    /* The child was visited before it got one message and sent another, which the root
     * received: each side counts one of the two. */
    uap_termination_heard(&term, 0, 1, (uap_counters){.sent = 0, .received = 0});
    assert_int_equal(uap_termination_visit(&term, (uap_counters){1, 1}), UAP_VISIT_AGAIN);
    uap_termination_start(&term);
    uap_termination_heard(&term, 0, 1, (uap_counters){0, 0}); /* repeated, of wave 1 */
    assert_int_equal(uap_termination_visit(&term, (uap_counters){1, 1}),
                     UAP_VISIT_NOTHING);
    uap_termination_heard(&term, 0, 2, (uap_counters){.sent = 1, .received = 1});
    assert_int_equal(uap_termination_visit(&term, (uap_counters){1, 1}), UAP_VISIT_AGAIN);
    uap_termination_start(&term);
    uap_termination_heard(&term, 0, 3, (uap_counters){.sent = 1, .received = 1});
    assert_int_equal(uap_termination_visit(&term, (uap_counters){1, 1}),
                     UAP_VISIT_FINISHED);
}

static void test_old_wave_is_ignored(void **state)
{
    (void)state;
    uap_termination term;
    uap_termination_init(&term, false, 0);
    assert_true(uap_termination_wave(&term, 1));
    assert_int_equal(uap_termination_visit(&term, (uap_counters){0, 0}),
                     UAP_VISIT_REPORT);
    assert_false(uap_termination_wave(&term, 1));
    assert_int_equal(uap_termination_visit(&term, (uap_counters){0, 0}),
                     UAP_VISIT_NOTHING);
    assert_true(uap_termination_wave(&term, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_never_early_never_missed),
        cmocka_unit_test(test_one_balanced_wave_is_no_proof),
        cmocka_unit_test(test_old_wave_is_ignored),
    };
    return cmocka_run_group_tests_name("termination", tests, NULL, NULL);
}
