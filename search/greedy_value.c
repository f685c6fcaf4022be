/* Values of changed plans by terms behind a stage and lines before it
 * (search/greedy_value.h). The recursions are those of search/objective.c, one stage at a
 * time. */
#include "search/greedy_value.h"

#include "common/numbers.h"

#include <string.h>

/* What is known of stages i .. pp - 1, zero behind the last. */
typedef enum term {
    TRIP = 0,       /* the way of a micro-batch there and back */
    SPAN,           /* 1f1b: V */
    ALONE,          /* 1f1b: R */
    TOTAL,          /* 1f1b: T; gpipe: X */
    FWD = SPAN,     /* gpipe: the longest forward, */
    BWD = ALONE,    /* and backward */
    LONGEST = SPAN, /* simple: the longest stage or boundary, */
    GRAD = ALONE,   /* and gradient work */
    TERMS = 4
} term;

typedef struct terms {
    int64_t at[TERMS];
} terms;

/* constant + sum weight x term */
typedef struct line {
    int64_t weight[TERMS], constant;
} line;

/* How often a stage waits for round trips, which c and its micro-batches in flight tell. */
typedef struct paces {
    int64_t held;        /* k: micro-batches in flight */
    int64_t one, rounds; /* 1 and (c - 1) / k; 0 where it never waits */
    int64_t left_one,
        left_rounds; /* micro-batches of its own beside so many round trips */
} paces;

/* What a stage's costs add to the terms. */
typedef struct step {
    int64_t through, lead, grad; /* there and back; there; once per iteration */
    int64_t own;   /* 1f1b: c p; gpipe: the longer forward; simple: p or o */
    int64_t link;  /* 1f1b: beside one round trip; gpipe: the longer backward */
    int64_t start; /* 1f1b: the last start without round trips, */
    int64_t wait_one, wait_rounds; /* and beside 1 and `rounds` of them */
} step;

typedef enum recursion { SIMPLE, GPIPE, ONE_F_ONE_B } recursion;

struct uap_greedy_value {
    const uap_instance *in;
    recursion recursion;
    paces *pace;           /* [pp] */
    uap_stage_cost *stage; /* [pp] */
    step *step;            /* [pp] */
    int64_t *over;         /* [pp] what each stage adds to the score's */
    terms *behind;         /* [pp + 1] of stages i .. pp - 1 */
    line *line;            /* [pp + 1] through behind[i], never above the plan's value */
    uap_score score;
};

/* ---- One stage ---- */

static paces pace_of(int64_t c, int64_t inflight)
{
    const int64_t k = uap_min_i64(inflight, c);
    paces p = {.held = k};
    if (c > k) {
        p.one = 1;
        p.rounds = (c - 1) / k;
        p.left_one = c - 1 - k;
        p.left_rounds = c - 1 - p.rounds * k;
    }
    return p;
}

static step step_1f1b(const uap_stage_cost *s, int64_t c, const paces *pace)
{
    const int64_t p = s->fwd + s->bwd;
    const int64_t k = pace->held;
    return (step){
        .through = p + s->send_fwd + s->send_bwd,
        .lead = s->fwd + s->send_fwd,
        .grad = s->grad,
        .own = c * p,
        .link = uap_max_i64((c - 1) * uap_max_i64(s->send_fwd, s->send_bwd),
                            (c - 1) * p - (k - 1) * uap_min_i64(s->fwd, s->bwd)),
        .start = uap_max_i64((c - 1) * s->fwd + (c - k) * s->bwd, (c - 1) * s->send_fwd),
        .wait_one = pace->left_one * p,
        .wait_rounds = pace->left_rounds * p};
}

static step step_of(const uap_greedy_value *v, int32_t i, const uap_stage_cost *s)
{
    const int64_t p = s->fwd + s->bwd;
    const int64_t o = s->send_fwd + s->send_bwd;
    if (v->recursion == ONE_F_ONE_B) {
        return step_1f1b(s, v->in->micro_batches, &v->pace[i]);
    }
    if (v->recursion == GPIPE) {
        return (step){.through = p + o,
                      .lead = s->fwd + s->send_fwd,
                      .grad = s->grad,
                      .own = uap_max_i64(s->fwd, s->send_fwd),
                      .link = uap_max_i64(s->bwd, s->send_bwd)};
    }
    return (step){.through = p + o, .grad = s->grad, .own = uap_max_i64(p, o)};
}

/* ---- From the last stage to the first ---- */

static int64_t span_1f1b(const step *s, const paces *pace, int64_t trip, int64_t span)
{
    span = uap_max_i64(s->through + span, uap_max_i64(s->own, trip + s->link));
    span = uap_max_i64(span, 2 * pace->one * trip + s->wait_one);
    return uap_max_i64(span, (pace->one + pace->rounds) * trip + s->wait_rounds);
}

static int64_t start_1f1b(const step *s, const paces *pace, int64_t trip)
{
    const int64_t start = uap_max_i64(s->start, pace->one * trip + s->wait_one);
    return uap_max_i64(start, pace->rounds * trip + s->wait_rounds);
}

static terms add_1f1b(const step *s, const paces *pace, const terms *behind)
{
    const int64_t trip = behind->at[TRIP] + s->through;
    const int64_t span = span_1f1b(s, pace, trip, behind->at[SPAN]);
    const int64_t alone = uap_max_i64(trip + s->grad, s->lead + behind->at[ALONE]);
    const int64_t total = uap_max_i64(span + s->grad, s->lead + behind->at[TOTAL]);
    const int64_t late = start_1f1b(s, pace, trip) + alone;
    return (terms){{[TRIP] = trip,
                    [SPAN] = span,
                    [ALONE] = alone,
                    [TOTAL] = uap_max_i64(total, late)}};
}

static terms add_gpipe(const step *s, int64_t c, const terms *behind)
{
    const int64_t trip = behind->at[TRIP] + s->through;
    const int64_t bwd = uap_max_i64(behind->at[BWD], s->link);
    return (terms){{[TRIP] = trip,
                    [FWD] = uap_max_i64(behind->at[FWD], s->own),
                    [BWD] = bwd,
                    [TOTAL] = uap_max_i64(s->lead + behind->at[TOTAL],
                                          trip + (c - 1) * bwd + s->grad)}};
}

/* The terms of stages i .. pp - 1, stage i costing s. */
static terms add(const uap_greedy_value *v, int32_t i, const step *s, const terms *behind)
{
    if (v->recursion == ONE_F_ONE_B) {
        return add_1f1b(s, &v->pace[i], behind);
    }
    if (v->recursion == GPIPE) {
        return add_gpipe(s, v->in->micro_batches, behind);
    }
    return (terms){{[TRIP] = behind->at[TRIP] + s->through,
                    [LONGEST] = uap_max_i64(behind->at[LONGEST], s->own),
                    [GRAD] = uap_max_i64(behind->at[GRAD], s->grad)}};
}

/* ---- Lines ---- */

static int64_t line_at(const line *l, const terms *x)
{
    return l->constant + l->weight[0] * x->at[0] + l->weight[1] * x->at[1] +
           l->weight[2] * x->at[2] + l->weight[3] * x->at[3];
}

/* The plan's value by the terms of all stages. */
static line last_line(const uap_greedy_value *v)
{
    const int64_t more = v->in->micro_batches - 1;
    switch (v->recursion) {
    case ONE_F_ONE_B:
        return (line){.weight = {[TOTAL] = 1}};
    case GPIPE:
        return (line){.weight = {[TOTAL] = 1, [FWD] = more}};
    case SIMPLE:
        break;
    }
    return (line){.weight = {[TRIP] = 1, [LONGEST] = more, [GRAD] = 1}};
}

/* Puts slope x trip + constant in place of term t. */
static void replace(line *l, term t, int64_t slope, int64_t constant)
{
    const int64_t weight = l->weight[t];
    l->weight[t] = 0;
    l->weight[TRIP] += weight * slope;
    l->constant += weight * constant;
}

/* Puts the term behind the stage, and so much more, in place of term t. */
static void carry(line *l, term t, int64_t more)
{
    l->constant += l->weight[t] * more;
}

/* Puts what term t is the largest of, at this plan, in its place: first the total, then what that may
 * be made of. */
static void unfold_1f1b(line *l, const step *s, const paces *pace, const terms *behind)
{
    const terms here = add_1f1b(s, pace, behind);
    const int64_t trip = here.at[TRIP];
    const int64_t start = start_1f1b(s, pace, trip);
    if (here.at[TOTAL] == s->lead + behind->at[TOTAL]) {
        carry(l, TOTAL, s->lead);
    } else if (here.at[TOTAL] == here.at[SPAN] + s->grad) {
        l->weight[SPAN] += l->weight[TOTAL];
        replace(l, TOTAL, 0, s->grad);
    } else {
        l->weight[ALONE] += l->weight[TOTAL];
        if (start == s->start) {
            replace(l, TOTAL, 0, s->start);
        } else if (start == pace->one * trip + s->wait_one) {
            replace(l, TOTAL, pace->one, s->wait_one);
        } else {
            replace(l, TOTAL, pace->rounds, s->wait_rounds);
        }
    }
    if (here.at[ALONE] == s->lead + behind->at[ALONE]) {
        carry(l, ALONE, s->lead);
    } else {
        replace(l, ALONE, 1, s->grad);
    }
    if (here.at[SPAN] == s->through + behind->at[SPAN]) {
        carry(l, SPAN, s->through);
    } else if (here.at[SPAN] == s->own) {
        replace(l, SPAN, 0, s->own);
    } else if (here.at[SPAN] == trip + s->link) {
        replace(l, SPAN, 1, s->link);
    } else if (here.at[SPAN] == 2 * pace->one * trip + s->wait_one) {
        replace(l, SPAN, 2 * pace->one, s->wait_one);
    } else {
        replace(l, SPAN, pace->one + pace->rounds, s->wait_rounds);
    }
}

static void unfold_gpipe(line *l, const step *s, int64_t c, const terms *behind)
{
    const terms here = add_gpipe(s, c, behind);
    if (here.at[TOTAL] == s->lead + behind->at[TOTAL]) {
        carry(l, TOTAL, s->lead);
    } else {
        l->weight[BWD] += l->weight[TOTAL] * (c - 1);
        replace(l, TOTAL, 1, s->grad);
    }
    if (here.at[FWD] != behind->at[FWD]) {
        replace(l, FWD, 0, s->own);
    }
    if (here.at[BWD] != behind->at[BWD]) {
        replace(l, BWD, 0, s->link);
    }
}

static void unfold_simple(line *l, const step *s, const terms *behind)
{
    if (s->own > behind->at[LONGEST]) {
        replace(l, LONGEST, 0, s->own);
    }
    if (s->grad > behind->at[GRAD]) {
        replace(l, GRAD, 0, s->grad);
    }
}

/* From the line over the terms of stages i .. pp - 1 to that over those of i + 1 .. */
static line unfold(const uap_greedy_value *v, int32_t i, line l)
{
    const step *s = &v->step[i];
    const terms *behind = &v->behind[i + 1];
    if (v->recursion == ONE_F_ONE_B) {
        unfold_1f1b(&l, s, &v->pace[i], behind);
    } else if (v->recursion == GPIPE) {
        unfold_gpipe(&l, s, v->in->micro_batches, behind);
    } else {
        unfold_simple(&l, s, behind);
    }
    carry(&l, TRIP, s->through);
    return l;
}

/* ---- The plan at hand ---- */

uap_greedy_value *uap_greedy_value_new(const uap_instance *instance, uap_arena *arena)
{
    const size_t pp = (size_t)instance->pp;
    uap_greedy_value *v = uap_arena_alloc(arena, 1, sizeof *v);
    if (v == NULL) {
        return NULL;
    }
    *v = (uap_greedy_value){.in = instance};
    v->recursion = instance->objective == UAP_OBJECTIVE_SIMPLE ? SIMPLE
                   : instance->schedule == UAP_SCHEDULE_GPIPE  ? GPIPE
                                                               : ONE_F_ONE_B;
    v->pace = uap_arena_alloc(arena, pp, sizeof *v->pace);
    v->stage = uap_arena_alloc(arena, pp, sizeof *v->stage);
    v->step = uap_arena_alloc(arena, pp, sizeof *v->step);
    v->over = uap_arena_alloc(arena, pp, sizeof *v->over);
    v->behind = uap_arena_alloc(arena, pp + 1, sizeof *v->behind);
    v->line = uap_arena_alloc(arena, pp + 1, sizeof *v->line);
    if (v->pace == NULL || v->stage == NULL || v->step == NULL || v->over == NULL ||
        v->behind == NULL || v->line == NULL) {
        return NULL;
    }
    for (int32_t i = 0; i < instance->pp; i++) {
        v->pace[i] = pace_of(instance->micro_batches, instance->inflight[i]);
    }
    v->behind[pp] = (terms){{0}};
    return v;
}

static int64_t over_of(const uap_greedy_value *v, int32_t i, const uap_stage_cost *s)
{
    const int64_t over = s->memory - v->in->cap[i];
    return over > 0 ? over / v->in->pp + 1 : 0;
}

void uap_greedy_value_change(uap_greedy_value *v, int32_t first, int32_t n,
                             const uap_stage_cost *changed)
{
    for (int32_t i = first + n; i-- > first;) {
        v->score.over -= v->over[i];
        v->stage[i] = changed[i - first];
        v->step[i] = step_of(v, i, &v->stage[i]);
        v->over[i] = over_of(v, i, &v->stage[i]);
        v->score.over += v->over[i];
    }
    for (int32_t i = first + n; i-- > 0;) {
        v->behind[i] = add(v, i, &v->step[i], &v->behind[i + 1]);
    }
    v->line[0] = last_line(v);
    for (int32_t i = 0; i < v->in->pp; i++) {
        v->line[i + 1] = unfold(v, i, v->line[i]);
    }
    v->score.value = line_at(&v->line[0], &v->behind[0]);
}

void uap_greedy_value_set(uap_greedy_value *v, const uap_stage_cost *stage)
{
    memset(v->over, 0, (size_t)v->in->pp * sizeof *v->over);
    v->score.over = 0;
    uap_greedy_value_change(v, 0, v->in->pp, stage);
}

uap_score uap_greedy_value_score(const uap_greedy_value *v)
{
    return v->score;
}

const uap_stage_cost *uap_greedy_value_stages(const uap_greedy_value *v)
{
    return v->stage;
}

static bool is_shorter(const uap_stage_cost *a, const uap_stage_cost *b)
{
    return a->fwd < b->fwd || a->bwd < b->bwd || a->grad < b->grad ||
           a->send_fwd < b->send_fwd || a->send_bwd < b->send_bwd;
}

bool uap_greedy_value_improves(const uap_greedy_value *v, int32_t first, int32_t n,
                               const uap_stage_cost *changed)
{
    int64_t more = 0;
    bool shorter = false;
    for (int32_t i = first; i < first + n; i++) {
        more += over_of(v, i, &changed[i - first]) - v->over[i];
        shorter = shorter || is_shorter(&changed[i - first], &v->stage[i]);
    }
    if (more != 0 || !shorter) {
        return more < 0;
    }
    terms x = v->behind[first + n];
    for (int32_t i = first + n; i-- > first;) {
        const step s = step_of(v, i, &changed[i - first]);
        x = add(v, i, &s, &x);
    }
    int32_t i = first;
    while (line_at(&v->line[i], &x) < v->score.value) {
        if (i == 0) { /* where the line is the value itself */
            return true;
        }
        i--;
        x = add(v, i, &v->step[i], &x);
    }
    return false;
}
