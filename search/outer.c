/* The relaxation over cuts: Pareto lists of (S, M). */
#include "search/outer_lists.h"

#include "common/numbers.h"
#include "search/stair.h"

#include <math.h>
#include <string.h>

/* --- Staircases: lists of (S, M), S ascending and M descending ------------------------- */

#define STAIR_MOST 48 /* longer lists are thinned, which only weakens the bound */

typedef struct stair {
    uap_relaxed at[2 * STAIR_MOST + 1];
    int32_t n;
} stair;

/* Two neighbours become the corner below both. */
static void stair_thin(stair *s)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < s->n; i += 2) {
        const int32_t last = i + 1 < s->n ? i + 1 : i;
        s->at[kept++] = (uap_relaxed){s->at[i].s, s->at[last].m};
    }
    s->n = kept;
}

static void stair_add(stair *s, double sum, double most)
{
    const double point[2] = {sum, most};
    uap_stair_gap gap;
    if (!uap_stair_find(s->at, sizeof *s->at, s->n, point, &gap)) {
        return;
    }
    memmove(&s->at[gap.first + 1], &s->at[gap.end],
            (size_t)(s->n - gap.end) * sizeof *s->at);
    s->n += 1 - (gap.end - gap.first);
    s->at[gap.first] = (uap_relaxed){sum, most};
    if (s->n > 2 * STAIR_MOST) {
        stair_thin(s);
    }
}

static bool stair_store(uap_outer *o, uap_list *list, const stair *s)
{
    uap_relaxed *pool =
        uap_grow(o->pool, &o->pool_capacity, o->n_pool + s->n, sizeof *pool);
    if (pool == NULL) {
        return false;
    }
    o->pool = pool;
    *list = (uap_list){.first = o->n_pool, .count = s->n};
    memcpy(pool + o->n_pool, s->at, (size_t)s->n * sizeof *s->at);
    o->n_pool += s->n;
    return true;
}

/* --- Passes ---------------------------------------------------------------------------- */

/* ---- One stage's part of a pass as a job: mostly a task for every layer at which it starts,
 * whose result is what stands at the boundary in front ---- */

/* Between two looks at messages, about. */
#define STEPS_OF_A_START 20000

typedef struct stage_job {
    uap_outer *o;
    int32_t i;
    stair *stair; /* [width] scratch, or */
    double *ends; /* [L][width] */
} stage_job;

typedef uap_status stage_run(void *self, int32_t task, uap_bytes *out, bool *stop,
                             uap_err *err);
typedef uap_status stage_apply(void *self, int32_t task, const char *result,
                               uap_err *err);

static uap_status do_stage(stage_job *job, int32_t n, int64_t steps, stage_run *run,
                           stage_apply *apply, uap_err *err)
{
    const uap_outer *o = job->o;
    const uap_crew_job all = {.self = job,
                              .n = n,
                              .work = steps,
                              .effort = INT64_MAX,
                              .run = run,
                              .apply = apply};
    uap_status rc = UAP_OK;
    bool stopped = false;
    UAP_TRY(uap_crew_do(o->segments->crew, &all, &stopped, err));
    o->segments->stopped = o->segments->stopped || stopped;
done:
    return rc;
}

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
}

static bool put_stair(uap_bytes *out, const stair *s)
{
    return uap_bytes_put(out, &s->n, sizeof s->n) &&
           uap_bytes_put(out, s->at, (size_t)s->n * sizeof *s->at);
}

static const char *get_stair(const char *from, stair *s)
{
    from = uap_bytes_get(from, &s->n, sizeof s->n);
    return uap_bytes_get(from, s->at, (size_t)s->n * sizeof *s->at);
}

/* The length of stage i from a to b; 0: it may not have that. */
static int32_t length_to(const uap_outer *o, int32_t i, int32_t a, int32_t b,
                         const uap_group *group)
{
    int32_t first;
    int32_t last;
    uap_stage_lengths(o->segments, i, a, group, &first, &last);
    const int32_t l = b - a + 1;
    return l >= first && l <= last ? l : 0;
}

/* ---- Least S of everything before (i, a, x): one criterion, forward ---- */

/* A task takes every so-manieth start, so that segments are read in their order. */
#define BEFORE_TASKS 32

/* Lowers the least S up to every end of stage i by what starts at a. */
static void lower_ends(const uap_outer *o, int32_t i, int32_t a, double *ends)
{
    const uap_group *group = uap_outer_group(o, i, a);
    const double *from =
        o->before +
        ((size_t)i * (size_t)o->chain->n_layers + (size_t)a) * (size_t)o->width;
    int32_t first;
    int32_t last;
    uap_stage_lengths(o->segments, i, a, group, &first, &last);
    for (int32_t x = 0; x < group->n_in; x++) {
        if (from[x] > o->target) {
            continue;
        }
        for (int32_t l = first; l <= last; l++) {
            const int32_t n_out = uap_kind_of(o->chain, a + l - 1)->n_out;
            double *end = ends + (size_t)(a + l - 1) * (size_t)o->width;
            const double *bound = group->bound[group->sum] + uap_cell(group, x, l, 0);
            for (int32_t y = 0; y < n_out; y++) {
                const double v = from[x] + uap_max_f64(0, bound[y]);
                end[y] = v < end[y] ? v : end[y];
            }
        }
    }
}

static size_t size_of_ends(const uap_outer *o)
{
    return (size_t)o->chain->n_layers * (size_t)o->width;
}

static uap_status run_before(void *self, int32_t task, uap_bytes *out, bool *stop,
                             uap_err *err)
{
    const stage_job *job = self;
    const uap_outer *o = job->o;
    const size_t n = size_of_ends(o);
    for (size_t j = 0; j < n; j++) {
        job->ends[j] = HUGE_VAL;
    }
    for (int32_t a = o->lo[job->i] + task; a <= o->hi[job->i] && !*stop;
         a += BEFORE_TASKS) {
        lower_ends(o, job->i, a, job->ends);
        *stop = uap_segments_breathe(o->segments, STEPS_OF_A_START);
    }
    /* The ends from the first to the last that is in reach. */
    size_t of[2] = {0, n};
    while (of[0] < n && isinf(job->ends[of[0]])) {
        of[0]++;
    }
    while (of[1] > of[0] && isinf(job->ends[of[1] - 1])) {
        of[1]--;
    }
    return uap_bytes_put(out, of, sizeof of) &&
                   uap_bytes_put(out, job->ends + of[0],
                                 (of[1] - of[0]) * sizeof *job->ends)
               ? UAP_OK
               : no_memory(err);
}

static uap_status apply_before(void *self, int32_t task, const char *result, uap_err *err)
{
    const stage_job *job = self;
    size_t of[2];
    (void)task;
    (void)err;
    result = uap_bytes_get(result, of, sizeof of);
    for (size_t j = of[0]; j < of[1]; j++) {
        double v;
        result = uap_bytes_get(result, &v, sizeof v);
        job->o->at_end[j] = v < job->o->at_end[j] ? v : job->o->at_end[j];
    }
    return UAP_OK;
}

/* Over the boundaries behind stage i. */
static void cross_before(uap_outer *o, int32_t i)
{
    const uap_chain *chain = o->chain;
    double *to = o->before + (size_t)(i + 1) * size_of_ends(o);
    for (int32_t a = o->lo[i + 1]; a <= o->hi[i + 1]; a++) {
        const uap_chain_link *link = uap_link_of(chain, a - 1);
        for (int32_t y = 0; y < link->n_out; y++) {
            const double s = o->at_end[(a - 1) * o->width + y];
            for (int32_t x = 0; x < link->n_in; x++) {
                const int32_t at = y * link->n_in + x;
                const double v = s + (double)(link->x_fwd[at] + link->x_bwd[at]);
                double *best = &to[a * o->width + x];
                *best = v < *best ? v : *best;
            }
        }
    }
}

static uap_status least_before(uap_outer *o, uap_err *err)
{
    const size_t n = size_of_ends(o);
    uap_status rc = UAP_OK;
    stage_job job = {.o = o, .ends = uap_calloc(n, sizeof *job.ends)};
    if (job.ends == NULL) {
        return no_memory(err);
    }
    for (size_t j = 0; j < (size_t)o->chain->pp * n; j++) {
        o->before[j] = HUGE_VAL;
    }
    o->before[0] = 0;
    for (job.i = 0; job.i + 1 < o->chain->pp && !o->segments->stopped; job.i++) {
        const int32_t starts = o->hi[job.i] - o->lo[job.i] + 1;
        for (size_t j = 0; j < n; j++) {
            o->at_end[j] = HUGE_VAL;
        }
        UAP_TRY(do_stage(&job, starts < BEFORE_TASKS ? starts : BEFORE_TASKS,
                         uap_outer_tasks_back(o, job.i, false), run_before, apply_before,
                         err));
        cross_before(o, job.i);
    }
done:
    uap_free(job.ends);
    return rc;
}

/* ---- Suffixes ---- */

/* Suffix labels of stage i from (a, x) on. */
static void suffix_of_start(uap_outer *o, int32_t i, int32_t a, int32_t x, stair *acc)
{
    const uap_group *group = uap_outer_group(o, i, a);
    const double before = o->before[((size_t)i * (size_t)o->chain->n_layers + (size_t)a) *
                                        (size_t)o->width +
                                    (size_t)x];
    int32_t first;
    int32_t last;
    uap_stage_lengths(o->segments, i, a, group, &first, &last);
    acc->n = 0;
    if (before > o->target) {
        return;
    }
    for (int32_t l = first; l <= last; l++) {
        const int32_t n_out = uap_kind_of(o->chain, a + l - 1)->n_out;
        for (int32_t y = 0; y < n_out; y++) {
            uap_cell_bounds cell;
            const uap_list *tail = uap_outer_tail(o, i, a + l - 1, y);
            if (tail->count == 0 ||
                !uap_outer_cell(group, uap_cell(group, x, l, y), &cell)) {
                continue;
            }
            for (int32_t j = 0; j < tail->count; j++) {
                const uap_relaxed t = o->pool[tail->first + j];
                const double s = cell.s + t.s;
                if (before + s > o->target) {
                    break; /* S ascends along the list */
                }
                const double alone = uap_cell_term(&o->terms[i], &cell, t.s, t.s);
                const double m = uap_max_f64(t.m, alone);
                if (before + s + m <= o->target) {
                    stair_add(acc, s, m);
                }
            }
        }
    }
}

/* The tail behind stage i - 1 at (a - 1, y), from the suffixes of stage i at a. */
static void cross_back(const uap_outer *o, int32_t a, int32_t y, const stair *suffix,
                       stair *acc)
{
    const uap_chain_link *link = uap_link_of(o->chain, a - 1);
    acc->n = 0;
    for (int32_t x = 0; x < link->n_in; x++) {
        const double fwd = (double)link->x_fwd[y * link->n_in + x];
        const double bwd = (double)link->x_bwd[y * link->n_in + x];
        const double term = uap_boundary_term(&o->terms[0], fwd, bwd);
        for (int32_t j = 0; j < suffix[x].n; j++) {
            stair_add(acc, suffix[x].at[j].s + fwd + bwd,
                      uap_max_f64(suffix[x].at[j].m, term));
        }
    }
}

/* Tails behind stage i - 1, or of stage 0 the suffixes themselves. */
static uap_status run_suffix(void *self, int32_t task, uap_bytes *out, bool *stop,
                             uap_err *err)
{
    const stage_job *job = self;
    uap_outer *o = job->o;
    const int32_t a = o->task[task].a;
    const int32_t n_in = uap_kind_of(o->chain, a)->n_in;
    const int32_t n_out = a == 0 ? n_in : uap_kind_of(o->chain, a - 1)->n_out;
    bool ok = true;
    stair acc;
    for (int32_t x = 0; x < n_in && !*stop; x++) {
        suffix_of_start(o, job->i, a, x, &job->stair[x]);
        *stop = uap_segments_breathe(o->segments, STEPS_OF_A_START);
    }
    for (int32_t y = 0; y < n_out && ok && !*stop; y++) {
        if (a > 0) {
            cross_back(o, a, y, job->stair, &acc);
        }
        ok = put_stair(out, a > 0 ? &acc : &job->stair[y]);
    }
    return ok ? UAP_OK : no_memory(err);
}

static uap_status apply_suffix(void *self, int32_t task, const char *result, uap_err *err)
{
    const stage_job *job = self;
    uap_outer *o = job->o;
    const int32_t a = o->task[task].a;
    const int32_t n =
        a == 0 ? uap_kind_of(o->chain, 0)->n_in : uap_kind_of(o->chain, a - 1)->n_out;
    stair s;
    for (int32_t y = 0; y < n; y++) {
        result = get_stair(result, &s);
        uap_list *list = a == 0 ? &o->suffix[y] : uap_outer_tail(o, job->i - 1, a - 1, y);
        if (!stair_store(o, list, &s)) {
            return no_memory(err);
        }
    }
    return UAP_OK;
}

static uap_status suffix_pass(uap_outer *o, stair *scratch, double *bound, uap_err *err)
{
    const int32_t pp = o->chain->pp;
    const stair none = {.n = 1, .at = {{0, 0}}};
    uap_status rc = UAP_OK;
    if (!stair_store(o, uap_outer_tail(o, pp - 1, o->chain->n_layers - 1, 0), &none)) {
        return no_memory(err);
    }
    *bound = HUGE_VAL;
    for (int32_t i = pp - 1; i >= 0 && !o->segments->stopped; i--) {
        stage_job job = {.o = o, .i = i, .stair = scratch};
        UAP_TRY(do_stage(&job, o->hi[i] - o->lo[i] + 1, uap_outer_tasks_back(o, i, true),
                         run_suffix, apply_suffix, err));
    }
    for (int32_t j = 0; j < o->suffix[0].count; j++) {
        const uap_relaxed t = o->pool[o->suffix[0].first + j];
        *bound = uap_min_f64(*bound, t.s + t.m);
    }
done:
    return rc;
}

/* ---- Prefixes ---- */

/* Least S in a list; lists are sorted by it. */
static double least_sum(const uap_outer *o, const uap_list *list)
{
    return list->count == 0 ? HUGE_VAL : o->pool[list->first].s;
}

/* A stage from layer a with first strategy x over l layers to last strategy y. */
typedef struct span {
    int32_t i, a, x, l, y;
} span;

/* Adds what the heads in front of one span give at its end. */
static void prefix_of_span(uap_outer *o, const uap_group *group, const span *s,
                           const uap_list *head, stair *end)
{
    uap_cell_bounds cell;
    const double behind = least_sum(o, uap_outer_tail(o, s->i, s->a + s->l - 1, s->y));
    if (isinf(behind) ||
        !uap_outer_cell(group, uap_cell(group, s->x, s->l, s->y), &cell)) {
        return;
    }
    const double alone =
        uap_max_f64(uap_stage_term_least(&o->terms[s->i], cell.p, behind), cell.alone);
    const double own = o->terms[s->i].round_trips ? (double)o->c * cell.p : 0;
    for (int32_t j = 0; j < head->count; j++) {
        const uap_relaxed h = o->pool[head->first + j];
        const double sum = h.s + cell.s;
        const double m = uap_max_f64(h.m, alone);
        if (sum + behind + m <= o->target && h.s + own <= o->target) {
            stair_add(end, sum, m);
        }
    }
}

/* The lists of stage i that end at layer b, from all its starts. */
static void prefix_to(uap_outer *o, int32_t i, int32_t b, stair *end)
{
    const int32_t n_out = uap_kind_of(o->chain, b)->n_out;
    for (int32_t y = 0; y < n_out; y++) {
        end[y].n = 0;
    }
    for (int32_t a = o->lo[i]; a <= o->hi[i] && a <= b; a++) {
        const uap_group *group = uap_outer_group(o, i, a);
        const int32_t l = length_to(o, i, a, b, group);
        for (int32_t x = 0; l > 0 && x < group->n_in; x++) {
            const uap_list *head = uap_outer_head(o, i, a, x);
            for (int32_t y = 0; head->count > 0 && y < n_out; y++) {
                const span s = {i, a, x, l, y};
                prefix_of_span(o, group, &s, head, &end[y]);
            }
        }
    }
}

/* Heads in front of stage i, from the ends of the stage before. */
static uap_status run_prefix(void *self, int32_t task, uap_bytes *out, bool *stop,
                             uap_err *err)
{
    const stage_job *job = self;
    uap_outer *o = job->o;
    const int32_t a = o->task[task].a;
    const uap_chain_link *link = uap_link_of(o->chain, a - 1);
    bool ok = true;
    prefix_to(o, job->i - 1, a - 1, job->stair);
    for (int32_t x = 0; ok && x < link->n_in; x++) {
        stair acc = {.n = 0};
        for (int32_t y = 0; y < link->n_out; y++) {
            const stair *end = &job->stair[y];
            const double fwd = (double)link->x_fwd[y * link->n_in + x];
            const double bwd = (double)link->x_bwd[y * link->n_in + x];
            const double term = uap_boundary_term(&o->terms[0], fwd, bwd);
            for (int32_t j = 0; j < end->n; j++) {
                stair_add(&acc, end->at[j].s + fwd + bwd,
                          uap_max_f64(end->at[j].m, term));
            }
        }
        ok = put_stair(out, &acc);
    }
    *stop = uap_segments_breathe(o->segments, STEPS_OF_A_START);
    return ok ? UAP_OK : no_memory(err);
}

static uap_status apply_prefix(void *self, int32_t task, const char *result, uap_err *err)
{
    const stage_job *job = self;
    uap_outer *o = job->o;
    const int32_t a = o->task[task].a;
    const int32_t n_in = uap_kind_of(o->chain, a)->n_in;
    stair s;
    for (int32_t x = 0; x < n_in; x++) {
        result = get_stair(result, &s);
        if (!stair_store(o, uap_outer_head(o, job->i, a, x), &s)) {
            return no_memory(err);
        }
    }
    return UAP_OK;
}

static uap_status prefix_pass(uap_outer *o, stair *scratch, uap_err *err)
{
    const stair none = {.n = 1, .at = {{0, 0}}};
    uap_status rc = UAP_OK;
    if (!stair_store(o, uap_outer_head(o, 0, 0, 0), &none)) {
        return no_memory(err);
    }
    for (int32_t i = 1; i < o->chain->pp && !o->segments->stopped; i++) {
        stage_job job = {.o = o, .i = i, .stair = scratch};
        UAP_TRY(do_stage(&job, o->hi[i] - o->lo[i] + 1, uap_outer_tasks_forth(o, i),
                         run_prefix, apply_prefix, err));
    }
done:
    return rc;
}

/* --- Set-up ---------------------------------------------------------------------------- */

static bool alloc_outer(uap_outer *o)
{
    const uap_chain *chain = o->chain;
    o->width = chain->width;
    const size_t per_stage = (size_t)chain->n_layers * (size_t)o->width;
    const size_t all = (size_t)chain->pp * per_stage;
    o->head = uap_calloc(all, sizeof *o->head);
    o->tail = uap_calloc(all, sizeof *o->tail);
    o->before = uap_calloc(all, sizeof *o->before);
    o->suffix = uap_calloc((size_t)o->width, sizeof *o->suffix);
    o->at_end = uap_calloc(per_stage, sizeof *o->at_end);
    o->terms = uap_calloc((size_t)chain->pp, sizeof *o->terms);
    o->task = uap_calloc((size_t)chain->n_layers, sizeof *o->task);
    o->sum = uap_calloc((size_t)chain->n_layers + 1, sizeof *o->sum);
    return o->head != NULL && o->tail != NULL && o->before != NULL && o->suffix != NULL &&
           o->at_end != NULL && o->terms != NULL && o->task != NULL && o->sum != NULL;
}

void uap_outer_free(uap_outer *outer)
{
    if (outer != NULL) {
        uap_free(outer->head);
        uap_free(outer->tail);
        uap_free(outer->before);
        uap_free(outer->suffix);
        uap_free(outer->at_end);
        uap_free(outer->terms);
        uap_free(outer->task);
        uap_free(outer->sum);
        uap_free(outer->pool);
        uap_free(outer);
    }
}

static uap_status run_passes(uap_outer *o, double *least, uap_err *err)
{
    stair *scratch = uap_calloc((size_t)o->width, sizeof *scratch);
    uap_status rc = scratch != NULL ? UAP_OK : no_memory(err);
    UAP_TRY(rc);
    UAP_TRY(least_before(o, err));
    UAP_TRY(suffix_pass(o, scratch, least, err));
    if (!isinf(*least)) {
        UAP_TRY(prefix_pass(o, scratch, err));
        UAP_TRY(uap_outer_budget(o, err));
    }
done:
    uap_free(scratch);
    return rc;
}

uap_status uap_outer_bound(const uap_pipeline *pipeline, uap_segments *segments,
                           int64_t target, uap_outer **out, int64_t *bound, uap_err *err)
{
    *out = NULL;
    *bound = INT64_MAX;
    uap_outer *o = uap_calloc(1, sizeof *o);
    if (o == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
    }
    o->pipeline = pipeline;
    o->chain = pipeline->chain;
    o->segments = segments;
    o->c = o->chain->c;
    o->target_ticks = target;
    /* A margin for the additions along a path; the exact pass compares integers. */
    o->target = (double)target * (1 + 1e-11) + 1;
    o->lo = segments->lo;
    o->hi = segments->hi;
    double least = HUGE_VAL;
    uap_status rc = UAP_OK;
    /* The effort is for labels; what was spent of it must not stop the passes. */
    const int64_t effort = segments->effort;
    segments->effort = INT64_MAX;
    bool ok = alloc_outer(o);
    bool possible = true;
    for (int32_t i = 0; i < o->chain->pp; i++) {
        possible = possible && o->lo[i] <= o->hi[i];
    }
    if (ok && possible) {
        for (int32_t i = 0; i < o->chain->pp; i++) {
            o->terms[i] = uap_stage_terms_of(pipeline, i);
        }
        rc = run_passes(o, &least, err);
    }
    segments->effort = effort;
    rc = ok ? rc : no_memory(err);
    if (rc != UAP_OK || segments->stopped) {
        uap_outer_free(o);
        return rc;
    }
    if (!isinf(least)) {
        *bound = (int64_t)floor(least * (1 - 1e-11) - 1);
    }
    *out = o;
    return UAP_OK;
}
