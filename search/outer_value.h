/* What a schedule's value needs to know of everything from a stage on, for recursions from the
 * last stage to the first (docs/cost-model.md, section 10):
 *
 *   simple  a = S, b = longest stage or boundary, d = largest g
 *   gpipe   a = S, b = longest forward, d = X, e = longest backward (MB)
 *   1f1b    a = RT, b = V, d = T, r = R
 *
 * Behind a boundary 1f1b also keeps e = (c-1) max(u, v) of that boundary. The value grows with
 * every entry. With one stage, full objective, a is all there is. */
#ifndef UAP_SEARCH_OUTER_VALUE_H
#define UAP_SEARCH_OUTER_VALUE_H

#include "common/numbers.h"
#include "search/segment.h"

typedef struct uap_tail {
    int64_t a, b, d, e, r;
} uap_tail;

typedef struct uap_value_rule {
    bool is_single, is_simple, is_gpipe;
    int64_t c;
    const int64_t *inflight; /* [pp] */
} uap_value_rule;

static inline uap_value_rule uap_value_rule_of(const uap_instance *in)
{
    const bool simple = in->objective == UAP_OBJECTIVE_SIMPLE;
    return (uap_value_rule){.is_single = in->pp == 1 && !simple,
                            .is_simple = simple,
                            .is_gpipe = in->schedule == UAP_SCHEDULE_GPIPE,
                            .c = in->micro_batches,
                            .inflight = in->inflight};
}

/* Nowhere worse. */
static inline bool uap_tail_covers(const uap_tail *a, const uap_tail *b)
{
    return a->a <= b->a && a->b <= b->b && a->d <= b->d && a->e <= b->e && a->r <= b->r;
}

/* X_i of docs/cost-model.md, from the stage's p, the smaller half, and RT. */
static inline int64_t uap_tail_own_span(const uap_value_rule *o, int32_t i, int64_t p,
                                        int64_t half, int64_t rt)
{
    const int64_t c = o->c;
    const int64_t k = uap_min_i64(o->inflight[i], c);
    int64_t x = uap_max_i64(c * p, rt + (c - 1) * p - (k - 1) * half);
    if (c > k) {
        const int64_t rounds = 1 + (c - 1) / k;
        x = uap_max_i64(x, 2 * rt + (c - 1 - k) * p);
        x = uap_max_i64(x, rounds * rt + (c - 1 - (rounds - 1) * k) * p);
    }
    return x;
}

/* L_i of docs/cost-model.md but for the boundary's part, which cross() has. */
static inline int64_t uap_tail_last_start(const uap_value_rule *o, int32_t i,
                                          const uap_segment_point *q, int64_t rt)
{
    const int64_t c = o->c;
    const int64_t k = uap_min_i64(o->inflight[i], c);
    int64_t start = (c - 1) * q->f + (c - k) * (q->p - q->f);
    if (c > k) {
        const int64_t rounds = (c - 1) / k;
        start = uap_max_i64(start, rt + (c - 1 - k) * q->p);
        start = uap_max_i64(start, rounds * rt + (c - 1 - rounds * k) * q->p);
    }
    return start;
}

/* The label from stage i on, given the label behind its boundary. lag: what the stages
 * before and g_0 add at least to the time from the end of stage i's last backward on. */
static inline uap_tail uap_tail_extend(const uap_value_rule *o, int32_t i,
                                       const uap_segment_point *q, int64_t lag,
                                       const uap_tail *t)
{
    uap_tail n = {0};
    const int64_t bwd = q->p - q->f;
    if (o->is_single) {
        n.a = q->p; /* all there is: nothing else may be counted on top of it */
        return n;
    }
    if (o->is_simple) {
        n.a = t->a + q->p;
        n.b = uap_max_i64(t->b, q->p);
        n.d = uap_max_i64(t->d, q->g);
        return n;
    }
    /* What the stages before add to the last backward in any case, g may add for nothing:
     * up to there all g are the same, which lets more labels dominate. */
    const int64_t late = uap_max_i64(q->g, lag);
    n.a = t->a + q->p;
    if (o->is_gpipe) {
        n.b = uap_max_i64(t->b, q->f);
        n.e = uap_max_i64(t->e, bwd);
        n.d = n.a + (o->c - 1) * n.e + late;
    } else {
        n.b = uap_max_i64(q->p + t->b, n.a + t->e);
        n.b =
            uap_max_i64(n.b, uap_tail_own_span(o, i, q->p, uap_min_i64(q->f, bwd), n.a));
        n.r = uap_max_i64(n.a + late, q->f + t->r);
        n.d = uap_max_i64(n.b + late, uap_tail_last_start(o, i, q, n.a) + n.r);
    }
    n.d = uap_max_i64(n.d, q->f + t->d);
    return n;
}

/* The label across a boundary of u forward and v backward. */
static inline uap_tail uap_tail_cross(const uap_value_rule *o, const uap_tail *s,
                                      int64_t u, int64_t v)
{
    uap_tail n = *s;
    n.a += u + v;
    if (o->is_simple) {
        n.b = uap_max_i64(n.b, u + v);
        return n;
    }
    n.d += u;
    if (o->is_gpipe) {
        n.b = uap_max_i64(n.b, u);
        n.e = uap_max_i64(n.e, v);
        return n;
    }
    n.b += u + v;
    n.e = (o->c - 1) * uap_max_i64(u, v);
    n.r += u;
    n.d = uap_max_i64(n.d, (o->c - 1) * u + n.r);
    return n;
}

/* Value when nothing stands before the label's stage. */
static inline int64_t uap_tail_total(const uap_value_rule *o, const uap_tail *s)
{
    if (o->is_single) {
        return s->a;
    }
    if (o->is_simple) {
        return s->a + (o->c - 1) * s->b + s->d;
    }
    if (o->is_gpipe) {
        return s->d + (o->c - 1) * s->b;
    }
    return s->d;
}

/* The most that one stage or boundary behind adds to S, as the relaxation counts it. */
static inline double uap_tail_most(const uap_value_rule *o, const uap_tail *s)
{
    if (o->is_simple) {
        return (double)(o->c - 1) * (double)s->b;
    }
    if (o->is_gpipe) {
        return (double)(o->c - 1) * ((double)s->b + (double)s->e);
    }
    return (double)(s->b - s->a);
}

#endif
