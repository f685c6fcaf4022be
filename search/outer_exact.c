/* The exact recursion over cuts, from the last stage to the first, on the Pareto sets of
 * segments. A label holds what the schedule's value needs of everything from a stage on:
 *
 *   simple  a = S, b = longest stage or boundary, d = largest g
 *   gpipe   a = S, b = longest forward, d = X, e = longest backward (MB)
 *   1f1b    a = RT, b = V, d = T, r = R
 *
 * Behind a boundary the 1f1b label also keeps e = (c-1) max(u, v) of that boundary. The value
 * grows with every entry, so that labels worse in all of them are dropped. */
#include "search/outer_lists.h"

#include "common/numbers.h"

#include <string.h>

typedef struct tail_label {
    int64_t a, b, d, e, r;
    int32_t next;  /* label of the next stage's start, -1 behind the last stage */
    int32_t point; /* segment point of this stage */
    int32_t layer; /* last layer of this stage, and its */
    int32_t cls;   /* out-class */
    int32_t in;    /* in-class of its first layer */
} tail_label;

typedef struct label_pool {
    tail_label *at;
    int32_t n, capacity;
} label_pool;

typedef struct exact_run {
    uap_outer *o;
    label_pool pool;     /* labels of all stage starts */
    uap_list *suffix;    /* [L][width] lists into pool, of the stage at hand */
    label_pool cross;    /* labels behind boundaries, of the stage at hand */
    uap_list *tail;      /* [L][width] lists into cross */
    label_pool acc;      /* list under construction */
    int64_t *fwd_before; /* [L] least forward time of all layers before, and */
    int64_t *lag;        /* [L] least backward time of them and least g of layer 0 */
    int64_t best;        /* target, then the best value found */
    int32_t best_label;
    bool no_memory;
} exact_run;

static bool pool_push(exact_run *run, label_pool *pool, const tail_label *label)
{
    if (pool->n == pool->capacity) {
        const int32_t capacity = pool->capacity < 1024 ? 1024 : 2 * pool->capacity;
        tail_label *at = capacity > pool->capacity
                             ? uap_realloc(pool->at, (size_t)capacity, sizeof *at)
                             : NULL;
        if (at == NULL) {
            run->no_memory = true;
            return false;
        }
        pool->at = at;
        pool->capacity = capacity;
    }
    pool->at[pool->n++] = *label;
    return true;
}

static bool nowhere_worse(const tail_label *a, const tail_label *b)
{
    return a->a <= b->a && a->b <= b->b && a->d <= b->d && a->e <= b->e && a->r <= b->r;
}

/* Adds to the list under construction unless dominated; drops what it dominates. */
static bool acc_add(exact_run *run, const tail_label *label)
{
    label_pool *acc = &run->acc;
    int32_t kept = 0;
    for (int32_t i = 0; i < acc->n; i++) {
        if (nowhere_worse(&acc->at[i], label)) {
            return true; /* nothing was dropped: a dropped one would be dominated too */
        }
    }
    for (int32_t i = 0; i < acc->n; i++) {
        if (!nowhere_worse(label, &acc->at[i])) {
            acc->at[kept++] = acc->at[i];
        }
    }
    acc->n = kept;
    return pool_push(run, acc, label);
}

static bool acc_store(exact_run *run, label_pool *pool, uap_list *list)
{
    *list = (uap_list){.first = pool->n, .count = run->acc.n};
    for (int32_t i = 0; i < run->acc.n; i++) {
        if (!pool_push(run, pool, &run->acc.at[i])) {
            return false;
        }
    }
    run->acc.n = 0;
    return true;
}

static bool is_simple(const uap_outer *o)
{
    return o->chain->instance->objective == UAP_OBJECTIVE_SIMPLE;
}

static bool is_gpipe(const uap_outer *o)
{
    return o->chain->instance->schedule == UAP_SCHEDULE_GPIPE;
}

/* X_i of docs/cost-model.md, from the stage's p, the smaller half, and RT. */
static int64_t own_span(const uap_outer *o, int32_t i, int64_t p, int64_t half,
                        int64_t rt)
{
    const int64_t c = o->c;
    const int64_t k = uap_min_i64(o->chain->instance->inflight[i], c);
    int64_t x = uap_max_i64(c * p, rt + (c - 1) * p - (k - 1) * half);
    if (c > k) {
        const int64_t rounds = 1 + (c - 1) / k;
        x = uap_max_i64(x, 2 * rt + (c - 1 - k) * p);
        x = uap_max_i64(x, rounds * rt + (c - 1 - (rounds - 1) * k) * p);
    }
    return x;
}

/* L_i of docs/cost-model.md but for the boundary's part, which cross() has. */
static int64_t last_start(const uap_outer *o, int32_t i, const uap_segment_point *q,
                          int64_t rt)
{
    const int64_t c = o->c;
    const int64_t k = uap_min_i64(o->chain->instance->inflight[i], c);
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
static tail_label extend(const uap_outer *o, int32_t i, const uap_segment_point *q,
                         int64_t lag, const tail_label *t)
{
    tail_label n = {.next = t->next};
    const int64_t bwd = q->p - q->f;
    if (o->pipeline->scalar) {
        n.a = q->p; /* all there is: nothing else may be counted on top of it */
        return n;
    }
    if (is_simple(o)) {
        n.a = t->a + q->p;
        n.b = uap_max_i64(t->b, q->p);
        n.d = uap_max_i64(t->d, q->g);
        return n;
    }
    /* What the stages before add to the last backward in any case, g may add for nothing:
     * up to there all g are the same, which lets more labels dominate. */
    const int64_t late = uap_max_i64(q->g, lag);
    n.a = t->a + q->p;
    if (is_gpipe(o)) {
        n.b = uap_max_i64(t->b, q->f);
        n.e = uap_max_i64(t->e, bwd);
        n.d = n.a + (o->c - 1) * n.e + late;
    } else {
        n.b = uap_max_i64(q->p + t->b, n.a + t->e);
        n.b = uap_max_i64(n.b, own_span(o, i, q->p, uap_min_i64(q->f, bwd), n.a));
        n.r = uap_max_i64(n.a + late, q->f + t->r);
        n.d = uap_max_i64(n.b + late, last_start(o, i, q, n.a) + n.r);
    }
    n.d = uap_max_i64(n.d, q->f + t->d);
    return n;
}

/* The label across a boundary of u forward and v backward. */
static tail_label cross(const uap_outer *o, const tail_label *s, int64_t u, int64_t v)
{
    tail_label n = *s;
    n.a += u + v;
    if (is_simple(o)) {
        n.b = uap_max_i64(n.b, u + v);
        return n;
    }
    n.d += u;
    if (is_gpipe(o)) {
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
static int64_t value_of(const uap_outer *o, const tail_label *s)
{
    if (o->pipeline->scalar) {
        return s->a;
    }
    if (is_simple(o)) {
        return s->a + (o->c - 1) * s->b + s->d;
    }
    if (is_gpipe(o)) {
        return s->d + (o->c - 1) * s->b;
    }
    return s->d;
}

/* False when no prefix can bring the label within the target. */
static bool can_reach(const exact_run *run, int32_t i, int32_t a, int32_t x,
                      const tail_label *s)
{
    const uap_outer *o = run->o;
    const uap_list *head = uap_outer_head(o, i, a, x);
    double m = 0;
    if (value_of(o, s) + (is_simple(o) ? 0 : run->fwd_before[a]) > run->best) {
        return false; /* stages before only add to it */
    }
    if (is_simple(o)) {
        m = (double)(o->c - 1) * (double)s->b;
    } else if (is_gpipe(o)) {
        m = (double)(o->c - 1) * ((double)s->b + (double)s->e);
    } else {
        m = (double)(s->b - s->a);
    }
    const double best = (double)run->best;
    for (int32_t j = 0; j < head->count; j++) {
        const uap_relaxed h = o->pool[head->first + j];
        const double least = h.s + (double)s->a + (h.m > m ? h.m : m);
        if (least * (1 - 1e-11) - 1 <= best) {
            return true;
        }
    }
    return false;
}

/* All labels of stage i from (a, x): every wanted segment with every tail. */
static bool labels_of_start(exact_run *run, int32_t i, int32_t a, int32_t x)
{
    const uap_outer *o = run->o;
    const uap_chain *chain = o->chain;
    const uap_group *group = uap_outer_group(o, i, a);
    const int64_t lag = i == 0 ? 0 : run->lag[a];
    for (int32_t l = 1; l <= group->n_len && a + l <= chain->n_layers; l++) {
        const int32_t b = a + l - 1;
        const int32_t n_out = uap_kind_of(chain, b)->n_out;
        for (int32_t y = 0; y < n_out; y++) {
            const uap_segment_set *set = &group->set[uap_cell(group, x, l, y)];
            const uap_list *tail = &run->tail[b * o->width + y];
            for (int32_t j = 0; j < set->count && tail->count > 0; j++) {
                const uap_segment_point *q = &o->segments->point[set->first + j];
                for (int32_t k = 0; k < tail->count; k++) {
                    tail_label n = extend(o, i, q, lag, &run->cross.at[tail->first + k]);
                    n.point = (int32_t)(set->first + j);
                    n.layer = b;
                    n.cls = y;
                    n.in = x;
                    if (can_reach(run, i, a, x, &n) && !acc_add(run, &n)) {
                        return false;
                    }
                }
            }
        }
    }
    return true;
}

static bool suffix_stage(exact_run *run, int32_t i)
{
    uap_outer *o = run->o;
    const size_t n = (size_t)o->chain->n_layers * (size_t)o->width;
    memset(run->suffix, 0, n * sizeof *run->suffix);
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        const int32_t n_in = uap_kind_of(o->chain, a)->n_in;
        for (int32_t x = 0; x < n_in; x++) {
            if (uap_outer_head(o, i, a, x)->count == 0) {
                continue;
            }
            if (!labels_of_start(run, i, a, x) ||
                !acc_store(run, &run->pool, &run->suffix[a * o->width + x])) {
                return false;
            }
        }
    }
    return true;
}

/* Lists behind stage i - 1 from those at the starts of stage i. */
static bool cross_stage(exact_run *run, int32_t i)
{
    uap_outer *o = run->o;
    const size_t n = (size_t)o->chain->n_layers * (size_t)o->width;
    memset(run->tail, 0, n * sizeof *run->tail);
    run->cross.n = 0;
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        const uap_chain_link *link = uap_link_of(o->chain, a - 1);
        for (int32_t y = 0; y < link->n_out; y++) {
            for (int32_t x = 0; x < link->n_in; x++) {
                const uap_list *list = &run->suffix[a * o->width + x];
                const int32_t at = y * link->n_in + x;
                for (int32_t j = 0; j < list->count; j++) {
                    const int32_t index = (int32_t)list->first + j;
                    tail_label s =
                        cross(o, &run->pool.at[index], link->x_fwd[at], link->x_bwd[at]);
                    s.next = index;
                    if (!acc_add(run, &s)) {
                        return false;
                    }
                }
            }
            if (!acc_store(run, &run->cross, &run->tail[(a - 1) * o->width + y])) {
                return false;
            }
        }
    }
    return true;
}

/* Sums of the least times of the layers before each. */
static void sum_before(exact_run *run)
{
    const uap_chain *chain = run->o->chain;
    int64_t fwd = 0;
    int64_t lag = uap_kind_of(chain, 0)->min_grad;
    for (int32_t u = 0; u < chain->n_layers; u++) {
        const uap_kind *kind = uap_kind_of(chain, u);
        int64_t least_fwd = INT64_MAX;
        int64_t least_bwd = INT64_MAX;
        for (int32_t k = 0; k < kind->n; k++) {
            least_fwd = uap_min_i64(least_fwd, kind->fwd[k]);
            least_bwd = uap_min_i64(least_bwd, kind->bwd[k]);
        }
        run->fwd_before[u] = fwd;
        run->lag[u] = lag;
        fwd += least_fwd;
        lag += least_bwd;
    }
}

static bool start_behind_last(exact_run *run)
{
    const tail_label none = {.next = -1};
    const int32_t last = run->o->chain->n_layers - 1;
    return acc_add(run, &none) &&
           acc_store(run, &run->cross, &run->tail[last * run->o->width]);
}

static bool run_stages(exact_run *run)
{
    uap_outer *o = run->o;
    if (!start_behind_last(run)) {
        return false;
    }
    for (int32_t i = o->chain->pp - 1; i >= 0; i--) {
        if (!suffix_stage(run, i) || (i > 0 && !cross_stage(run, i))) {
            return false;
        }
    }
    for (int32_t j = 0; j < run->suffix[0].count; j++) {
        const int32_t index = (int32_t)run->suffix[0].first + j;
        const int64_t value = value_of(o, &run->pool.at[index]);
        if (value < run->best || (value == run->best && run->best_label < 0)) {
            run->best = value;
            run->best_label = index;
        }
    }
    return true;
}

/* Writes the plan of the best label into choice. */
static uap_status trace_plan(exact_run *run, uap_choice *choice, uap_err *err)
{
    uap_outer *o = run->o;
    const uap_chain *chain = o->chain;
    int32_t index = run->best_label;
    int32_t a = 0;
    for (int32_t i = 0; i < chain->pp; i++) {
        const tail_label *label = &run->pool.at[index];
        const uap_segment_ref ref = {.class_index = o->segments->class_of[i],
                                     .a = a,
                                     .b = label->layer,
                                     .x = label->in,
                                     .y = label->cls,
                                     .point = o->segments->point[label->point]};
        const uap_status rc =
            uap_segments_path(o->segments, &ref, choice->strategy + a, err);
        if (rc != UAP_OK) {
            return rc;
        }
        choice->first[i] = a;
        for (int32_t u = a; u <= ref.b; u++) {
            choice->strategy[u] = uap_kind_of(chain, u)->origin[choice->strategy[u]];
        }
        a = ref.b + 1;
        index = label->next;
    }
    return UAP_OK;
}

uap_status uap_outer_exact(uap_outer *outer, int64_t *value, uap_choice *choice,
                           bool *found, uap_err *err)
{
    const size_t n = (size_t)outer->chain->n_layers * (size_t)outer->width;
    exact_run run = {.o = outer, .best = outer->target_ticks, .best_label = -1};
    uap_status rc = UAP_OK;
    *found = false;
    run.suffix = uap_calloc(n, sizeof *run.suffix);
    run.tail = uap_calloc(n, sizeof *run.tail);
    run.fwd_before = uap_calloc((size_t)outer->chain->n_layers, sizeof *run.fwd_before);
    run.lag = uap_calloc((size_t)outer->chain->n_layers, sizeof *run.lag);
    bool ok = run.suffix != NULL && run.tail != NULL && run.fwd_before != NULL &&
              run.lag != NULL;
    if (ok) {
        sum_before(&run);
        ok = run_stages(&run);
    }
    if (!ok) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
        goto done;
    }
    if (run.best_label >= 0) {
        UAP_TRY(trace_plan(&run, choice, err));
        *value = run.best;
        *found = true;
    }
done:
    uap_free(run.suffix);
    uap_free(run.tail);
    uap_free(run.fwd_before);
    uap_free(run.lag);
    uap_free(run.pool.at);
    uap_free(run.cross.at);
    uap_free(run.acc.at);
    return rc;
}
