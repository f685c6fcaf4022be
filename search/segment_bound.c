/* Lagrangian lower bounds of every segment.
 *
 * For a multiplier l >= 0 the cheapest path of cost + l * memory through the segment, less
 * l * cap, is a lower bound of the cheapest path that fits; the best of a grid of
 * multipliers is taken, and the least over bands of workspaces. What takes longer than any
 * stage of a plan within the target is passed over as soon as a bound says so. */
#include "search/segment_price.h"

#include "common/numbers.h"
#include "common/wide.h"

#include <float.h>
#include <math.h>

/* Rounding errors of a few hundred additions in double stay far below this share. */
#define RELATIVE_MARGIN 1e-11

/* One multiplier, one measure, one band, one start class: costs of reaching every cell,
 * folded into best ([cells] of this x). */
typedef struct bound_sweep {
    const uap_segments *s;
    const uap_group *group;
    uap_price_table *table;
    int32_t x;
    uap_measure measure;
    int32_t band;     /* of the class; n_bands: all workspaces */
    int32_t n_len;    /* lengths to look at */
    double *in, *out; /* widest class set each */
    double *best;
    bool
        *late; /* [cells] longer than a stage within the target can be, or out of reach */
} bound_sweep;

/* in[i] = min(in[i], base + r[i]); kept apart so that it compiles to vector code. */
static inline void relax_row(double *restrict in, const double *restrict r, double base,
                             int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const double v = base + r[i];
        in[i] = v < in[i] ? v : in[i];
    }
}

/* in: the best of out + link. Out-classes that another one beats wherever they lead are
 * passed over; least and most: of what the link costs from each. */
static inline void follow_link(const uap_chain_link *link, const uap_price_link *r,
                               const double *restrict out, double *restrict in)
{
    double enough = HUGE_VAL;
    for (int32_t y = 0; y < link->n_out; y++) {
        const double v = out[y] + r->most[y];
        enough = v < enough ? v : enough;
    }
    for (int32_t i = 0; i < link->n_in; i++) {
        in[i] = HUGE_VAL;
    }
    for (int32_t y = 0; y < link->n_out; y++) {
        if (out[y] + r->least[y] <= enough) {
            relax_row(in, r->cost + (size_t)y * (size_t)link->n_in, out[y], link->n_in);
        }
    }
}

/* out: the best of in + row. */
static inline void take_rows(const uap_price_pairs *pairs, const double *restrict cost,
                             const double *restrict in, double *restrict out,
                             int32_t n_out)
{
    if (pairs->is_straight) {
        for (int32_t y = 0; y < n_out; y++) {
            out[y] = in[y] + cost[y];
        }
        return;
    }
    for (int32_t y = 0; y < n_out; y++) {
        out[y] = HUGE_VAL;
    }
    for (int32_t e = 0; e < pairs->n; e++) {
        const double v = in[pairs->in[e]] + cost[e];
        out[pairs->out[e]] = v < out[pairs->out[e]] ? v : out[pairs->out[e]];
    }
}

/* What folding one length came to. */
typedef struct folded {
    int64_t alive;  /* classes that are not late */
    int64_t raised; /* of these, bounds that rose */
} folded;

/* Folds the costs at one length into the bounds there, less what memory within the cap is
 * worth. What is above the limit, or out of reach, is late: it counts as infinite from then on
 * and leads nowhere. */
static inline folded fold_length(double *restrict bound, double *restrict out,
                                 double credit, double limit, int32_t n)
{
    const double taken = credit + RELATIVE_MARGIN * fabs(credit);
    folded f = {0, 0};
    for (int32_t y = 0; y < n; y++) {
        const double v = out[y] * (1 - RELATIVE_MARGIN) - taken;
        const double most = v > bound[y] ? v : bound[y];
        f.raised += v > bound[y];
        f.alive += most <= limit;
        out[y] = most <= limit ? out[y] : HUGE_VAL;
        bound[y] = most <= limit ? most : HUGE_VAL;
    }
    return f;
}

/* Cuts n_len down to the first length at which every class is late: no longer segment is
 * within the target. False when no bound rose. */
UAP_FOR_WIDE_REGISTERS
static bool sweep_bounds(bound_sweep *b, const uap_priced *priced)
{
    const uap_group *group = b->group;
    const uap_chain *chain = b->s->chain;
    const uap_stage_class *cls = &b->s->cls[group->class_index];
    double *in = b->in;
    double *out = b->out;
    for (int32_t i = 0; i < group->n_in; i++) {
        in[i] = HUGE_VAL;
    }
    in[b->x] = priced->multiplier * (double)chain->start_act[group->start] *
               (double)cls->inflight;
    /* Times alone tell what is too long. */
    const bool is_time = b->measure == UAP_MEASURE_TIME;
    const double limit = is_time && cls->p_limit < DBL_MAX ? cls->p_limit : DBL_MAX;
    int64_t work = priced->band.lo;
    bool raised = false;
    for (int32_t l = 0; l < b->n_len; l++) {
        const int32_t u = group->start + l;
        const int32_t i = chain->kind_of[u];
        const uap_kind *kind = &chain->kind[i];
        take_rows(&b->table->pairs[i], priced->cost[i], in, out, kind->n_out);
        work = uap_max_i64(work, kind->min_work);
        const folded f = fold_length(b->best + group->offset[l], out,
                                     priced->multiplier * (double)(cls->cap - work),
                                     limit, kind->n_out);
        raised = raised || f.raised > 0;
        if (f.alive == 0) {
            b->n_len = l;
        }
        if (l + 1 < b->n_len) {
            follow_link(uap_link_of(chain, u),
                        &b->table->link[b->measure][chain->link_of[u]], out, in);
        }
    }
    return raised;
}

/* Segments that cannot fit at all: the least memory of any path, in exact integers.
 * bounds: [n_functionals][cells] of x */
static void sweep_memory(const uap_segments *s, const uap_group *group, int32_t x,
                         double *bounds, int64_t *in, int64_t *out)
{
    const uap_chain *chain = s->chain;
    const uap_stage_class *cls = &s->cls[group->class_index];
    const int64_t none = UAP_VALUE_LIMIT;
    for (int32_t i = 0; i < group->n_in; i++) {
        in[i] = i == x ? chain->start_act[group->start] * cls->inflight : none;
    }
    int64_t work = 0;
    for (int32_t l = 0; l < group->n_len; l++) {
        const uap_kind *kind = uap_kind_of(chain, group->start + l);
        const uap_row_view *row = &cls->row[chain->kind_of[group->start + l]];
        work = uap_max_i64(work, kind->min_work);
        int64_t least = none;
        for (int32_t y = 0; y < kind->n_out; y++) {
            out[y] = none;
        }
        for (int32_t k = 0; k < kind->n; k++) {
            const int64_t from = in[kind->in[k]];
            if (from < none) {
                int64_t *to = &out[kind->out[k]];
                *to = uap_min_i64(*to, from + row->m[k]);
                least = uap_min_i64(least, *to);
            }
        }
        for (int32_t y = 0; y < kind->n_out; y++) {
            if (out[y] > cls->cap - work) {
                for (int32_t f = 0; f < group->n_functionals; f++) {
                    bounds[f * group->cells + group->offset[l] + y] = HUGE_VAL;
                }
            }
        }
        /* Any class can follow any other within a stage. */
        const int32_t n_next =
            l + 1 == group->n_len ? 0 : uap_kind_of(chain, group->start + l + 1)->n_in;
        for (int32_t i = 0; i < n_next; i++) {
            in[i] = least;
        }
    }
}

/* The multipliers of one measure within one band, ascending; lengths shrink as they prove too
 * long. A bound is concave in the multiplier: where none rises any more, none will. */
static bool sweep_band(bound_sweep *b, int32_t cells)
{
    const uap_stage_class *cls = &b->s->cls[b->group->class_index];
    bool raised = true;
    for (int32_t i = 0; i < cells; i++) {
        b->best[i] = b->late[i] ? HUGE_VAL : -HUGE_VAL;
    }
    for (int32_t m = 0; m < cls->n_multipliers && raised; m++) {
        const uap_priced *priced = uap_price_at(b->table, b->measure, m, b->band);
        if (priced == NULL) {
            return false;
        }
        raised = sweep_bounds(b, priced);
    }
    for (int32_t i = 0; i < cells; i++) {
        b->late[i] = b->late[i] || isinf(b->best[i]);
    }
    return true;
}

/* Steps of the sweeps of one functional and band, some per cell and some per link. */
static int64_t band_steps(const uap_segments *s, const uap_group *group, int32_t n_len)
{
    int64_t steps = 0;
    for (int32_t l = 0; l < n_len; l++) {
        const uap_kind *kind = uap_kind_of(s->chain, group->start + l);
        steps += 4 * (int64_t)kind->n_out + (int64_t)kind->n_in * kind->n_out / 8;
    }
    return steps * s->cls[group->class_index].n_multipliers;
}

/* ---- All starts, as a job ---- */

typedef struct start_task {
    int32_t group, x;
} start_task;

typedef struct bound_job {
    uap_segments *s;
    start_task *task;
    uap_price_table **table; /* [n_classes] made when first needed */
    int32_t *n_bounds; /* [tasks][UAP_MAX_FUNCTIONALS] cells up to the last that fits */
    double *bounds;    /* [UAP_MAX_FUNCTIONALS][most cells] */
    double *scratch;   /* 2 x widest class set + most cells */
    int64_t *integers; /* 2 x widest class set */
    bool *late;        /* [most cells] */
} bound_job;

/* All bounds from one start class: the least over bands of the best over multipliers. Cells
 * that are too long for any plan within the target are out of all measures. Incomplete once
 * s->stopped is set. False when out of memory. */
static bool bound_start(const bound_job *job, const uap_group *group, int32_t x,
                        uap_price_table *table)
{
    uap_segments *s = job->s;
    bool *late = job->late;
    const uap_stage_class *cls = &s->cls[group->class_index];
    const int32_t width = s->chain->width;
    bound_sweep b = {.s = s,
                     .group = group,
                     .table = table,
                     .x = x,
                     .in = job->scratch,
                     .out = job->scratch + width,
                     .best = job->scratch + 2 * (size_t)width,
                     .late = late};
    for (int32_t i = 0; i < group->n_functionals * group->cells; i++) {
        job->bounds[i] = HUGE_VAL;
    }
    for (b.band = 0; b.band < cls->n_bands; b.band++) {
        b.n_len = group->n_len;
        for (int32_t i = 0; i < group->cells; i++) {
            late[i] = false;
        }
        for (int32_t f = 0; f < group->n_functionals; f++) {
            double *bound = job->bounds + (size_t)f * (size_t)group->cells;
            b.measure = group->measure[f];
            if (!sweep_band(&b, group->offset[b.n_len])) {
                return false;
            }
            for (int32_t i = 0; i < group->offset[b.n_len]; i++) {
                bound[i] = b.best[i] < bound[i] ? b.best[i] : bound[i];
            }
            if (uap_segments_breathe(s, band_steps(s, group, b.n_len))) {
                return true;
            }
        }
    }
    return true;
}

/* The result: of each functional how many cells up to the last that fits, and their
 * bounds. */
static bool put_bounds(const uap_group *group, const double *bounds, uap_bytes *out)
{
    for (int32_t f = 0; f < group->n_functionals; f++) {
        const double *bound = bounds + (size_t)f * (size_t)group->cells;
        int32_t n = group->cells;
        while (n > 0 && isinf(bound[n - 1])) {
            n--;
        }
        if (!uap_bytes_put(out, &n, sizeof n) ||
            !uap_bytes_put(out, bound, (size_t)n * sizeof *bound)) {
            return false;
        }
    }
    return true;
}

static uap_status run_start(void *self, int32_t task, uap_bytes *out, bool *stop,
                            uap_err *err)
{
    const bound_job *job = self;
    const start_task *t = &job->task[task];
    uap_segments *s = job->s;
    const uap_group *group = &s->group[t->group];
    uap_price_table **table = &job->table[group->class_index];
    const bool ok = uap_price_table_for(s, group->class_index, table) &&
                    bound_start(job, group, t->x, *table);
    if (ok) {
        sweep_memory(s, group, t->x, job->bounds, job->integers,
                     job->integers + s->chain->width);
    }
    *stop = s->stopped;
    return ok && put_bounds(group, job->bounds, out)
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for the bounds of segments");
}

static uap_status apply_start(void *self, int32_t task, const char *result, uap_err *err)
{
    const bound_job *job = self;
    const start_task *t = &job->task[task];
    uap_group *group = &job->s->group[t->group];
    (void)err;
    for (int32_t f = 0; f < group->n_functionals; f++) {
        double *bound = group->bound[f] + (size_t)t->x * (size_t)group->cells;
        int32_t *n = &job->n_bounds[task * UAP_MAX_FUNCTIONALS + f];
        result = uap_bytes_get(result, n, sizeof *n);
        result = uap_bytes_get(result, bound, (size_t)*n * sizeof *bound);
    }
    return UAP_OK;
}

/* Cuts the groups down to the lengths that fit from any of their starts; tasks ascend by
 * group. Memory of longer ones is never touched. */
static void cut_groups(const bound_job *job, int32_t n_tasks)
{
    for (int32_t first = 0, end; first < n_tasks; first = end) {
        uap_group *group = &job->s->group[job->task[first].group];
        int32_t most = 0;
        end = first + group->n_in;
        for (int32_t i = first * UAP_MAX_FUNCTIONALS; i < end * UAP_MAX_FUNCTIONALS;
             i++) {
            most = uap_max_i32(most, job->n_bounds[i]);
        }
        while (group->n_len > 0 && group->offset[group->n_len - 1] >= most) {
            group->n_len--;
        }
        for (int32_t x = 0; x < group->n_in; x++) {
            for (int32_t f = 0; f < group->n_functionals; f++) {
                double *bound = group->bound[f] + (size_t)x * (size_t)group->cells;
                int32_t i = job->n_bounds[(first + x) * UAP_MAX_FUNCTIONALS + f];
                for (; i < group->offset[group->n_len]; i++) {
                    bound[i] = HUGE_VAL;
                }
            }
        }
    }
}

/* How many starts there are; lists them where `task` is not NULL. */
static int32_t list_starts(const uap_segments *s, start_task *task)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s->n_groups; i++) {
        for (int32_t x = 0; x < s->group[i].n_in; x++) {
            if (task != NULL) {
                task[n] = (start_task){i, x};
            }
            n++;
        }
    }
    return n;
}

/* Steps of all sweeps together, lengths that turn out too long included: an eighth. */
static int64_t all_steps(const uap_segments *s)
{
    int64_t steps = 0;
    for (int32_t i = 0; i < s->n_groups; i++) {
        const uap_group *group = &s->group[i];
        steps += (int64_t)group->n_in * group->n_functionals *
                 s->cls[group->class_index].n_bands * band_steps(s, group, group->n_len);
    }
    return steps / 8;
}

static bool begin_job(bound_job *job, uap_segments *s)
{
    const size_t width = (size_t)s->chain->width;
    size_t cells = 0;
    for (int32_t i = 0; i < s->n_groups; i++) {
        const size_t own = (size_t)s->group[i].cells;
        cells = own > cells ? own : cells;
    }
    *job = (bound_job){.s = s};
    const size_t n_tasks = (size_t)list_starts(s, NULL);
    job->task = uap_calloc(n_tasks, sizeof *job->task);
    job->n_bounds = uap_calloc(n_tasks * UAP_MAX_FUNCTIONALS, sizeof *job->n_bounds);
    job->bounds = uap_calloc(cells * UAP_MAX_FUNCTIONALS, sizeof *job->bounds);
    job->table = uap_calloc((size_t)s->n_classes, sizeof(uap_price_table *));
    job->scratch = uap_calloc(2 * width + cells, sizeof *job->scratch);
    job->integers = uap_calloc(2 * width, sizeof *job->integers);
    job->late = uap_calloc(cells, sizeof *job->late);
    return job->task != NULL && job->table != NULL && job->n_bounds != NULL &&
           job->bounds != NULL && job->scratch != NULL && job->integers != NULL &&
           job->late != NULL;
}

static void end_job(bound_job *job)
{
    for (int32_t j = 0; job->table != NULL && j < job->s->n_classes; j++) {
        uap_price_table_free(job->table[j]);
    }
    uap_free((void *)job->table);
    uap_free(job->task);
    uap_free(job->n_bounds);
    uap_free(job->bounds);
    uap_free(job->scratch);
    uap_free(job->integers);
    uap_free(job->late);
}

uap_status uap_segments_bound(uap_segments *s, uap_err *err)
{
    bound_job job;
    bool stopped = false;
    uap_status rc = UAP_OK;
    if (!begin_job(&job, s)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the bounds of segments");
        goto done;
    }
    const uap_crew_job all = {.self = &job,
                              .n = list_starts(s, job.task),
                              .work = all_steps(s),
                              .effort = INT64_MAX,
                              .run = run_start,
                              .apply = apply_start};
    UAP_TRY(uap_crew_do(s->crew, &all, &stopped, err));
    s->stopped = stopped;
    if (!stopped) {
        cut_groups(&job, all.n);
    }
done:
    end_job(&job);
    return rc;
}
