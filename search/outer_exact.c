/* The exact recursion over cuts, from the last stage to the first, on the Pareto sets of
 * segments. A label holds what the schedule's value needs of everything from a stage on
 * (search/outer_value.h). The value grows with every entry, so that labels worse in all of
 * them are dropped. */
#include "search/outer_lists.h"

#include "common/numbers.h"
#include "search/outer_value.h"

#include <string.h>

typedef struct tail_label {
    uap_tail v;
    int32_t next;  /* label of the next stage's start, -1 behind the last stage */
    int32_t point; /* segment point of this stage */
    int32_t layer; /* last layer of this stage, and its */
    int32_t cls;   /* out-class */
    int32_t in;    /* in-class of its first layer */
} tail_label;

typedef struct label_pool {
    tail_label *at;
    int32_t n;
    int64_t capacity;
} label_pool;

typedef struct exact_run {
    uap_outer *o;
    uap_value_rule rule;
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
    tail_label *at = pool->n == INT32_MAX
                         ? NULL
                         : uap_grow(pool->at, &pool->capacity, pool->n + 1, sizeof *at);
    if (at == NULL) {
        run->no_memory = true;
        return false;
    }
    pool->at = at;
    pool->at[pool->n++] = *label;
    return true;
}

/* Adds to the list under construction unless dominated; drops what it dominates. */
static bool acc_add(exact_run *run, const tail_label *label)
{
    label_pool *acc = &run->acc;
    int32_t kept = 0;
    for (int32_t i = 0; i < acc->n; i++) {
        if (uap_tail_covers(&acc->at[i].v, &label->v)) {
            return true; /* nothing was dropped: a dropped one would be dominated too */
        }
    }
    for (int32_t i = 0; i < acc->n; i++) {
        if (!uap_tail_covers(&label->v, &acc->at[i].v)) {
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

/* False when no prefix can bring the label within the target. */
static bool can_reach(const exact_run *run, int32_t i, int32_t a, int32_t x,
                      const tail_label *s)
{
    const uap_outer *o = run->o;
    const uap_list *head = uap_outer_head(o, i, a, x);
    const bool simple = run->rule.is_simple;
    if (uap_tail_total(&run->rule, &s->v) + (simple ? 0 : run->fwd_before[a]) >
        run->best) {
        return false; /* stages before only add to it */
    }
    const double m = uap_tail_most(&run->rule, &s->v);
    const double best = (double)run->best;
    for (int32_t j = 0; j < head->count; j++) {
        const uap_relaxed h = o->pool[head->first + j];
        const double least = h.s + (double)s->v.a + (h.m > m ? h.m : m);
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
            const uap_segment_set *set =
                uap_group_set(group, x, uap_cell(group, 0, l, y));
            const uap_list *tail = &run->tail[b * o->width + y];
            for (int32_t j = 0; j < set->count && tail->count > 0; j++) {
                const uap_segment_point *q = &o->segments->point[set->first + j];
                for (int32_t k = 0; k < tail->count; k++) {
                    const tail_label *t = &run->cross.at[tail->first + k];
                    tail_label n = {.v = uap_tail_extend(&run->rule, i, q, lag, &t->v),
                                    .next = t->next};
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
                    tail_label s = run->pool.at[index];
                    s.v = uap_tail_cross(&run->rule, &s.v, link->x_fwd[at],
                                         link->x_bwd[at]);
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
    const uap_chain_extremes *least = &run->o->chain->least;
    int64_t fwd = 0;
    int64_t lag = least->first_grad;
    for (int32_t u = 0; u < run->o->chain->n_layers; u++) {
        run->fwd_before[u] = fwd;
        run->lag[u] = lag;
        fwd += least->min_fwd[u];
        lag += least->min_bwd[u];
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
        const int64_t value = uap_tail_total(&run->rule, &run->pool.at[index].v);
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
    exact_run run = {.o = outer,
                     .rule = uap_value_rule_of(outer->chain->instance),
                     .best = outer->target_ticks,
                     .best_label = -1};
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
