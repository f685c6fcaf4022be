/* The relaxation over cuts and types: what search/outer.c does for stages that are alike,
 * with devices at a price. Points also keep a time without prices, for round trips. */
#include "search/mix_job.h"
#include "search/mix_stair.h"

#include "common/mem.h"
#include "common/numbers.h"

#include <math.h>
#include <string.h>

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
}

/* --- Least S, forward ------------------------------------------------------------------ */

/* Ends of stage i of type t that starts at layer a. */
static void end_stages(uap_mix_outer *o, int32_t i, int32_t a, int32_t t)
{
    const uap_mix *mix = o->mix;
    const uap_group *group = uap_mix_group(o, t, i, a);
    const double toll = uap_mix_toll(mix, t);
    int32_t first;
    int32_t last;
    if (group == NULL) {
        return;
    }
    uap_stage_lengths(mix->segments[0], i, a, group, &first, &last);
    for (int32_t x = 0; x < group->n_in; x++) {
        const double s = o->before[uap_mix_at(o, i, a, uap_mix_in(mix, a, t) + x)] + toll;
        for (int32_t l = first; l <= last && s <= o->priced; l++) {
            const int32_t b = a + l - 1;
            if (!uap_mix_is_live(mix, i, t, a, l)) {
                continue;
            }
            const int32_t n_out = uap_kind_of(mix->chain[t], b)->n_out;
            double *end = o->ended + uap_mix_at(o, i, b, uap_mix_out(mix, b, t));
            const double *bound = group->bound[group->sum] + uap_cell(group, x, l, 0);
            for (int32_t y = 0; y < n_out; y++) {
                const double v = s + uap_max_f64(0, bound[y]);
                end[y] = v < end[y] ? v : end[y];
            }
        }
    }
}

static void least_before(uap_mix_outer *o)
{
    const uap_mix *mix = o->mix;
    const size_t n = (size_t)mix->pp * (size_t)mix->n_layers * (size_t)mix->width;
    for (size_t j = 0; j < n; j++) {
        o->before[j] = o->ended[j] = HUGE_VAL;
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        o->before[uap_mix_in(mix, 0, t)] = 0;
    }
    for (int32_t i = 0; i < mix->pp; i++) {
        for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
            for (int32_t t = 0; t < mix->n_types; t++) {
                end_stages(o, i, a, t);
            }
        }
        for (int32_t a = i + 1 < mix->pp ? o->lo[i + 1] : 1;
             i + 1 < mix->pp && a <= o->hi[i + 1]; a++) {
            const uap_mix_link *link = uap_mix_link_of(mix, a - 1);
            double *to = o->before + uap_mix_at(o, i + 1, a, 0);
            for (int32_t y = 0; y < link->n_out; y++) {
                const double s = o->ended[uap_mix_at(o, i, a - 1, y)];
                const double *both = link->x_both + (size_t)y * (size_t)link->n_in;
                for (int32_t x = 0; x < link->n_in && s <= o->priced; x++) {
                    to[x] = s + both[x] < to[x] ? s + both[x] : to[x];
                }
            }
        }
    }
}

/* --- Suffixes -------------------------------------------------------------------------- */

/* A stage of type t from layer a with first class x over l layers to last class y. */
typedef struct span {
    int32_t i, t, a, x, l, y;
} span;

static void suffix_of_span(uap_mix_outer *o, const uap_group *group, const span *s,
                           double before, uap_mix_stair *acc)
{
    const uap_mix *mix = o->mix;
    const int32_t b = s->a + s->l - 1;
    const uap_list *tail =
        &o->tail[uap_mix_at(o, s->i, b, uap_mix_out(mix, b, s->t) + s->y)];
    uap_cell_bounds cell;
    if (tail->count == 0 ||
        !uap_outer_cell(group, uap_cell(group, s->x, s->l, s->y), &cell)) {
        return;
    }
    const uap_stage_terms *terms = uap_mix_terms(o, s->t, s->i);
    const double own = cell.s + uap_mix_toll(mix, s->t);
    for (int32_t j = 0; j < tail->count; j++) {
        const uap_mix_point *t = &o->pool[tail->first + j];
        const double sum = own + t->s;
        if (before + sum > o->priced) {
            break; /* S ascends along the list */
        }
        const double m = uap_max_f64(t->m, uap_cell_term(terms, &cell, t->s, t->t));
        if (before + sum + m <= o->priced) {
            uap_mix_stair_add(acc, (uap_mix_point){.s = sum,
                                                   .m = m,
                                                   .t = cell.p + t->t,
                                                   .type = s->t,
                                                   .next = (int32_t)(tail->first + j)});
        }
    }
}

/* Suffix points of stage i of type t from (a, x) on. */
static void suffix_of_start(uap_mix_outer *o, const span *start, uap_mix_stair *acc)
{
    const uap_mix *mix = o->mix;
    const uap_group *group = uap_mix_group(o, start->t, start->i, start->a);
    const int32_t in = uap_mix_in(mix, start->a, start->t) + start->x;
    const double before = o->before[uap_mix_at(o, start->i, start->a, in)];
    span s = *start;
    int32_t first;
    int32_t last;
    acc->n = 0;
    if (group == NULL || before > o->priced) {
        return;
    }
    uap_stage_lengths(mix->segments[0], s.i, s.a, group, &first, &last);
    for (s.l = first; s.l <= last; s.l++) {
        const int32_t n_out = uap_kind_of(mix->chain[s.t], s.a + s.l - 1)->n_out;
        const bool is_live = uap_mix_is_live(mix, s.i, s.t, s.a, s.l);
        for (s.y = 0; s.y < n_out && is_live; s.y++) {
            suffix_of_span(o, group, &s, before, acc);
        }
    }
}

static bool make_start(void *self, const uap_mix_task *task, uap_bytes *out)
{
    uap_mix_outer *o = self;
    const span s = {.i = task->i, .t = task->t, .a = task->layer, .x = task->id};
    uap_mix_stair acc;
    suffix_of_start(o, &s, &acc);
    return uap_mix_stair_put(out, &acc);
}

static bool take_start(void *self, const uap_mix_task *task, const char *from)
{
    uap_mix_outer *o = self;
    const int32_t in = uap_mix_in(o->mix, task->layer, task->t) + task->id;
    return uap_mix_stair_take(o, from, &o->scratch[task->layer * o->mix->width + in]);
}

/* Points that a start of a stage looks at, about. */
static int64_t points_of_start(const uap_mix_outer *o, const span *s)
{
    const uap_mix *mix = o->mix;
    const uap_group *group = uap_mix_group(o, s->t, s->i, s->a);
    const int32_t in = uap_mix_in(mix, s->a, s->t) + s->x;
    int64_t points = 0;
    int32_t first;
    int32_t last;
    if (group == NULL || o->before[uap_mix_at(o, s->i, s->a, in)] > o->priced) {
        return 0;
    }
    uap_stage_lengths(mix->segments[0], s->i, s->a, group, &first, &last);
    for (int32_t l = first; l <= last; l++) {
        const int32_t b = s->a + l - 1;
        const int32_t n_out = uap_kind_of(mix->chain[s->t], b)->n_out;
        const uap_list *tail =
            &o->tail[uap_mix_at(o, s->i, b, uap_mix_out(mix, b, s->t))];
        for (int32_t y = 0; uap_mix_is_live(mix, s->i, s->t, s->a, l) && y < n_out; y++) {
            points += tail[y].count;
        }
    }
    return points;
}

/* Suffix lists of stage i, [L][width]. */
static uap_status suffix_of_stage(uap_mix_outer *o, int32_t i, uap_err *err)
{
    const uap_mix *mix = o->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = o->mix,
                       .self = o,
                       .make = make_start,
                       .take = take_start,
                       .task = uap_calloc(n, sizeof *job.task)};
    if (job.task == NULL) {
        return no_memory(err);
    }
    memset(o->scratch, 0, n * sizeof *o->scratch);
    for (span s = {.i = i, .a = o->lo[i]}; s.a <= o->hi[i]; s.a++) {
        for (s.t = 0; s.t < mix->n_types; s.t++) {
            const int32_t first = uap_mix_in(mix, s.a, s.t);
            for (s.x = 0; first + s.x < uap_mix_in(mix, s.a, s.t + 1); s.x++) {
                const int64_t points = points_of_start(o, &s);
                if (points > 0) {
                    job.task[job.n++] = (uap_mix_task){i, s.t, s.a, s.x, points, 0};
                }
            }
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}

/* The list behind stage i - 1 that ends in front of layer a in class y of all types. */
static bool make_tail(void *self, const uap_mix_task *task, uap_bytes *out)
{
    uap_mix_outer *o = self;
    const int32_t i = task->i;
    const int32_t a = task->layer;
    const int32_t y = task->id;
    const uap_mix_link *link = uap_mix_link_of(o->mix, a - 1);
    const double before = o->ended[uap_mix_at(o, i - 1, a - 1, y)];
    uap_mix_stair acc;
    acc.n = 0;
    for (int32_t x = 0; x < link->n_in; x++) {
        const uap_list *list = &o->scratch[a * o->mix->width + x];
        const double fwd = (double)link->x_fwd[y * link->n_in + x];
        const double bwd = (double)link->x_bwd[y * link->n_in + x];
        const double term = uap_boundary_term(&o->terms[0], fwd, bwd);
        for (int32_t j = 0; j < list->count; j++) {
            const uap_mix_point *p = &o->pool[list->first + j];
            const uap_mix_point q = {.s = p->s + fwd + bwd,
                                     .m = uap_max_f64(p->m, term),
                                     .t = p->t + fwd + bwd,
                                     .type = -1,
                                     .next = (int32_t)(list->first + j)};
            if (before + q.s + q.m <= o->priced) {
                uap_mix_stair_add(&acc, q);
            }
        }
    }
    return uap_mix_stair_put(out, &acc);
}

static bool take_tail(void *self, const uap_mix_task *task, const char *from)
{
    uap_mix_outer *o = self;
    return uap_mix_stair_take(
        o, from, &o->tail[uap_mix_at(o, task->i - 1, task->layer - 1, task->id)]);
}

/* Tail lists behind stage i - 1 from the suffix lists of stage i. */
static uap_status cross_back(uap_mix_outer *o, int32_t i, uap_err *err)
{
    const uap_mix *mix = o->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = o->mix,
                       .self = o,
                       .make = make_tail,
                       .take = take_tail,
                       .task = uap_calloc(n, sizeof *job.task)};
    if (job.task == NULL) {
        return no_memory(err);
    }
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        int64_t points = 0;
        for (int32_t x = 0; x < uap_mix_n_in(mix, a); x++) {
            points += o->scratch[a * mix->width + x].count;
        }
        for (int32_t y = 0; y < uap_mix_n_out(mix, a - 1) && points > 0; y++) {
            if (o->ended[uap_mix_at(o, i - 1, a - 1, y)] <= o->priced) {
                job.task[job.n++] = (uap_mix_task){i, 0, a, y, points, 0};
            }
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}

static bool start_behind_last(uap_mix_outer *o)
{
    const uap_mix *mix = o->mix;
    const int32_t last = mix->n_layers - 1;
    const uap_mix_stair nothing = {.n = 1, .at = {{.type = -1, .next = -1}}};
    for (int32_t y = 0; y < uap_mix_n_out(mix, last); y++) {
        if (!uap_mix_stair_store(o, &o->tail[uap_mix_at(o, mix->pp - 1, last, y)],
                                 &nothing)) {
            return false;
        }
    }
    return true;
}

uap_status uap_mix_suffixes(uap_mix_outer *o, uap_mix_point *best, uap_err *err)
{
    const uap_mix *mix = o->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_status rc = UAP_OK;
    o->n_pool = 0;
    memset(o->tail, 0, (size_t)mix->pp * n * sizeof *o->tail);
    least_before(o);
    *best = (uap_mix_point){.s = HUGE_VAL};
    if (!start_behind_last(o)) {
        return no_memory(err);
    }
    for (int32_t i = mix->pp - 1; i >= 0 && !mix->stopped; i--) {
        UAP_TRY(suffix_of_stage(o, i, err));
        if (i > 0 && !mix->stopped) {
            UAP_TRY(cross_back(o, i, err));
        }
    }
    for (int32_t x = 0; x < uap_mix_n_in(mix, 0) && !mix->stopped; x++) {
        for (int32_t j = 0; j < o->scratch[x].count; j++) {
            const uap_mix_point *p = &o->pool[o->scratch[x].first + j];
            *best = p->s + p->m < best->s + best->m ? *p : *best;
        }
    }
done:
    return rc;
}

/* --- Set-up ---------------------------------------------------------------------------- */

static void set_terms(uap_mix_outer *o)
{
    const uap_mix *mix = o->mix;
    for (int32_t t = 0; t < mix->n_types; t++) {
        const uap_pipeline *pipeline = &mix->pipeline[t];
        for (int32_t i = 0; i < mix->pp; i++) {
            uap_stage_terms *terms = &o->terms[(size_t)t * (size_t)mix->pp + (size_t)i];
            *terms = uap_stage_terms_of(pipeline, i);
        }
    }
    const uap_chain_extremes *least = &mix->chain[0]->least;
    o->is_simple = mix->in->objective == UAP_OBJECTIVE_SIMPLE;
    for (int32_t u = 0; u + 1 < mix->n_layers; u++) {
        o->fwd_before[u + 1] = o->fwd_before[u] + (double)least->min_fwd[u];
    }
}

static bool alloc_outer(uap_mix_outer *o)
{
    const uap_mix *mix = o->mix;
    const size_t all = (size_t)mix->pp * (size_t)mix->n_layers * (size_t)mix->width;
    o->head = uap_calloc(all, sizeof *o->head);
    o->tail = uap_calloc(all, sizeof *o->tail);
    o->scratch =
        uap_calloc((size_t)mix->n_layers * (size_t)mix->width, sizeof *o->scratch);
    o->before = uap_calloc(all, sizeof *o->before);
    o->ended = uap_calloc(all, sizeof *o->ended);
    o->fwd_before = uap_calloc((size_t)mix->n_layers, sizeof *o->fwd_before);
    o->terms = uap_calloc((size_t)mix->n_types * (size_t)mix->pp, sizeof *o->terms);
    return o->head != NULL && o->tail != NULL && o->scratch != NULL &&
           o->before != NULL && o->ended != NULL && o->terms != NULL &&
           o->fwd_before != NULL;
}

void uap_mix_outer_free(uap_mix_outer *outer)
{
    if (outer != NULL) {
        uap_free(outer->head);
        uap_free(outer->tail);
        uap_free(outer->scratch);
        uap_free(outer->before);
        uap_free(outer->ended);
        uap_free(outer->terms);
        uap_free(outer->fwd_before);
        uap_free(outer->pool);
        uap_free(outer);
    }
}

static uap_status run_passes(uap_mix_outer *o, double *least, uap_err *err)
{
    uap_mix_point best = {.s = HUGE_VAL};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_mix_suffixes(o, &best, err));
    if (!o->mix->stopped && !isinf(best.s)) {
        UAP_TRY(uap_mix_prefixes(o, err));
    }
    if (!o->mix->stopped && !isinf(best.s)) {
        UAP_TRY(uap_mix_budget(o, err));
    }
    *least = best.s + best.m;
done:
    return rc;
}

void uap_mix_outer_aim(uap_mix_outer *o, int64_t target)
{
    o->target_ticks = target;
    o->target = (double)target * (1 + 1e-11) + 1;
    o->priced = ((double)target + uap_mix_credit(o->mix)) * (1 + 1e-11) + 1;
}

uap_mix_outer *uap_mix_outer_new(uap_mix *mix, int64_t target, bool *possible)
{
    uap_mix_outer *o = uap_calloc(1, sizeof *o);
    if (o == NULL) {
        return NULL;
    }
    o->mix = mix;
    o->c = mix->in->micro_batches;
    o->lo = mix->segments[0]->lo;
    o->hi = mix->segments[0]->hi;
    uap_mix_outer_aim(o, target);
    *possible = true;
    for (int32_t i = 0; i < mix->pp; i++) {
        *possible = *possible && o->lo[i] <= o->hi[i];
    }
    if (!alloc_outer(o)) {
        uap_mix_outer_free(o);
        return NULL;
    }
    set_terms(o);
    return o;
}

/* ---- The relaxation ------------------------------------------------------------------- */

uap_status uap_mix_relax(uap_mix *mix, int64_t target, uap_mix_outer **out,
                         int64_t *bound, uap_err *err)
{
    uap_status rc = UAP_OK;
    double least = HUGE_VAL;
    bool possible = false;
    const double credit = uap_mix_credit(mix);
    const int64_t effort = mix->effort;
    *bound = INT64_MAX;
    *out = uap_mix_outer_new(mix, target, &possible);
    if (*out == NULL) {
        return no_memory(err);
    }
    mix->effort = INT64_MAX; /* only labels count */
    rc = possible ? run_passes(*out, &least, err) : UAP_OK;
    mix->effort = effort;
    if (rc != UAP_OK || mix->stopped) {
        uap_mix_outer_free(*out);
        *out = NULL;
        *bound = 0;
    } else if (!isinf(least)) {
        *bound = (int64_t)floor(least - credit - 1e-11 * (least + credit) - 1);
    }
    return rc;
}
