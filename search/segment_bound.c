/* Lagrangian lower bounds of every segment.
 *
 * For a multiplier l >= 0 the cheapest path of cost + l * memory through the segment, less
 * l * cap, is a lower bound of the cheapest path that fits; the best of a grid of
 * multipliers is taken, and the least over bands of workspaces. */
#include "search/segment.h"

#include "common/numbers.h"

#include <math.h>

/* Rounding errors of a few hundred additions in double stay far below this share. */
#define RELATIVE_MARGIN 1e-11

/* in[i] = min(in[i], base + r[i]); kept apart so that it compiles to vector code. */
static void relax_row(double *restrict in, const double *restrict r, double base,
                      int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        const double v = base + r[i];
        in[i] = v < in[i] ? v : in[i];
    }
}

/* One multiplier, one functional, one start class: costs of reaching every cell, folded
 * into best ([cells] of this x). Returns the longest length at which some class is reached
 * within p_limit. */
typedef struct bound_sweep {
    const uap_segments *s;
    const uap_group *group;
    int32_t x;
    uap_measure measure;
    double multiplier;
    uap_band band;
    int32_t n_len;    /* lengths to look at */
    double *in, *out; /* widest class set each */
    double *best;
} bound_sweep;

static int32_t sweep_bounds(const bound_sweep *b)
{
    const uap_segments *s = b->s;
    const uap_group *group = b->group;
    const uap_measure measure = b->measure;
    const double multiplier = b->multiplier;
    const int32_t n_len = b->n_len;
    double *in = b->in;
    double *out = b->out;
    int32_t reached = 0;
    const uap_chain *chain = s->chain;
    const uap_stage_class *cls = &s->cls[group->class_index];
    for (int32_t i = 0; i < group->n_in; i++) {
        in[i] = HUGE_VAL;
    }
    const double start_bytes =
        (double)chain->start_act[group->start] * (double)cls->inflight;
    in[b->x] = multiplier * start_bytes;
    int64_t work = b->band.lo;
    for (int32_t l = 0; l < n_len; l++) {
        const int32_t u = group->start + l;
        const uap_kind *kind = uap_kind_of(chain, u);
        const uap_row_view *row = &cls->row[chain->kind_of[u]];
        work = uap_max_i64(work, kind->min_work);
        for (int32_t y = 0; y < kind->n_out; y++) {
            out[y] = HUGE_VAL;
        }
        for (int32_t k = 0; k < kind->n; k++) {
            if (row->w[k] > b->band.hi) {
                continue;
            }
            const double v =
                in[kind->in[k]] + row->q[measure][k] + multiplier * row->m_real[k];
            out[kind->out[k]] = v < out[kind->out[k]] ? v : out[kind->out[k]];
        }
        const double credit = multiplier * (double)(cls->cap - work);
        double *bound = b->best + group->offset[l];
        for (int32_t y = 0; y < kind->n_out; y++) {
            const double margin = RELATIVE_MARGIN * (out[y] + fabs(credit));
            const double v = isinf(out[y]) ? HUGE_VAL : out[y] - credit - margin;
            bound[y] = v > bound[y] ? v : bound[y];
            reached = out[y] <= cls->p_limit ? l + 1 : reached;
        }
        if (l + 1 == n_len) {
            break;
        }
        const uap_chain_link *link = uap_link_of(chain, u);
        const double *r = cls->link_q[measure][chain->link_of[u]];
        for (int32_t i = 0; i < link->n_in; i++) {
            in[i] = HUGE_VAL;
        }
        for (int32_t y = 0; y < link->n_out; y++) {
            relax_row(in, r + (size_t)y * (size_t)link->n_in, out[y], link->n_in);
        }
    }
    return reached;
}

/* Segments that cannot fit at all: the least memory of any path, in exact integers. */
static void sweep_memory(const uap_segments *s, uap_group *group, int32_t x, int64_t *in,
                         int64_t *out)
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
                const int32_t cell = uap_cell(group, x, l + 1, y);
                for (int32_t f = 0; f < group->n_functionals; f++) {
                    group->bound[f][cell] = HUGE_VAL;
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

/* Steps of the sweeps of one functional and band, some per cell and some per link. */
static int64_t sweep_steps(const uap_segments *s, const uap_group *group, int32_t n_len)
{
    int64_t steps = 0;
    for (int32_t l = 0; l < n_len; l++) {
        const uap_kind *kind = uap_kind_of(s->chain, group->start + l);
        steps += 4 * (int64_t)kind->n + (int64_t)kind->n_in * kind->n_out / 4;
    }
    return steps * s->cls[group->class_index].n_multipliers;
}

/* All bounds from one start class: the least over bands of the best over multipliers. The
 * first sweep, over time alone, tells which lengths are too slow for any plan within the
 * target: those are out. scratch: 2 x widest class set + cells. */
static void bound_start(uap_segments *s, uap_group *group, int32_t x, double *scratch)
{
    const uap_stage_class *cls = &s->cls[group->class_index];
    const int32_t width = s->chain->width;
    bound_sweep b = {.s = s,
                     .group = group,
                     .x = x,
                     .band = cls->n_bands == 1 ? cls->band[0] : (uap_band){0, INT64_MAX},
                     .n_len = group->n_len,
                     .in = scratch,
                     .out = scratch + width,
                     .best = scratch + 2 * (size_t)width};
    for (int32_t i = 0; i < group->cells; i++) {
        b.best[i] = -HUGE_VAL;
    }
    b.n_len = sweep_bounds(&b);
    for (int32_t f = 0; f < group->n_functionals; f++) {
        double *bound = group->bound[f] + (size_t)x * (size_t)group->cells;
        b.measure = group->measure[f];
        for (int32_t i = 0; i < group->cells; i++) {
            bound[i] = HUGE_VAL;
        }
        for (int32_t j = 0; j < cls->n_bands; j++) {
            /* The first sweep was that of a single band's time without a price. */
            const int32_t done = f == 0 && cls->n_bands == 1 ? 1 : 0;
            b.band = cls->band[j];
            for (int32_t i = 0; done == 0 && i < group->cells; i++) {
                b.best[i] = -HUGE_VAL;
            }
            for (int32_t m = done; m < cls->n_multipliers; m++) {
                b.multiplier = (double)cls->weights[b.measure].p * cls->multiplier[m];
                (void)sweep_bounds(&b);
            }
            for (int32_t i = 0; i < group->offset[b.n_len]; i++) {
                bound[i] = b.best[i] < bound[i] ? b.best[i] : bound[i];
            }
            if (uap_segments_breathe(s, sweep_steps(s, group, b.n_len))) {
                return;
            }
        }
    }
}

/* ---- All starts, as a job ---- */

typedef struct bound_start_task {
    int32_t group, x;
} bound_start_task;

typedef struct bound_job {
    uap_segments *s;
    bound_start_task *task;
    double *scratch;   /* 2 x widest class set + most cells */
    int64_t *integers; /* 2 x widest class set */
} bound_job;

/* The result: of each functional how many cells up to the last that fits, and their
 * bounds. */
static bool put_bounds(const uap_group *group, int32_t x, uap_bytes *out)
{
    for (int32_t f = 0; f < group->n_functionals; f++) {
        const double *bound = group->bound[f] + (size_t)x * (size_t)group->cells;
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
    const bound_start_task *t = &job->task[task];
    uap_segments *s = job->s;
    uap_group *group = &s->group[t->group];
    bound_start(s, group, t->x, job->scratch);
    sweep_memory(s, group, t->x, job->integers, job->integers + s->chain->width);
    *stop = s->stopped;
    return put_bounds(group, t->x, out)
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for the bounds of segments");
}

static uap_status apply_start(void *self, int32_t task, const char *result, uap_err *err)
{
    const bound_job *job = self;
    const bound_start_task *t = &job->task[task];
    uap_group *group = &job->s->group[t->group];
    (void)err;
    for (int32_t f = 0; f < group->n_functionals; f++) {
        double *bound = group->bound[f] + (size_t)t->x * (size_t)group->cells;
        int32_t n = 0;
        result = uap_bytes_get(result, &n, sizeof n);
        result = uap_bytes_get(result, bound, (size_t)n * sizeof *bound);
        for (int32_t i = n; i < group->cells; i++) {
            bound[i] = HUGE_VAL;
        }
    }
    return UAP_OK;
}

static int32_t list_starts(const uap_segments *s, bound_start_task *task, int32_t *cells)
{
    int32_t n = 0;
    *cells = 0;
    for (int32_t i = 0; i < s->n_groups; i++) {
        const uap_group *group = &s->group[i];
        *cells = uap_max_i32(*cells, group->cells);
        for (int32_t x = 0; x < group->n_in; x++) {
            if (task != NULL) {
                task[n] = (bound_start_task){i, x};
            }
            n++;
        }
    }
    return n;
}

/* Steps that all sweeps take together, lengths that turn out too slow included. */
static int64_t all_steps(const uap_segments *s)
{
    int64_t steps = 0;
    for (int32_t i = 0; i < s->n_groups; i++) {
        const uap_group *group = &s->group[i];
        const uap_stage_class *cls = &s->cls[group->class_index];
        steps += (int64_t)group->n_in * group->n_functionals * cls->n_bands *
                 sweep_steps(s, group, group->n_len);
    }
    return steps;
}

uap_status uap_segments_bound(uap_segments *s, uap_err *err)
{
    const size_t width = (size_t)s->chain->width;
    int32_t cells = 0;
    const int32_t n = list_starts(s, NULL, &cells);
    bound_job job = {.s = s,
                     .task = uap_calloc((size_t)n, sizeof *job.task),
                     .scratch = uap_calloc(2 * width + (size_t)cells, sizeof(double)),
                     .integers = uap_calloc(2 * width, sizeof(int64_t))};
    uap_status rc = UAP_OK;
    if (job.task == NULL || job.scratch == NULL || job.integers == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the bounds of segments");
        goto done;
    }
    const uap_crew_job all = {.self = &job,
                              .n = list_starts(s, job.task, &cells),
                              .work = all_steps(s),
                              .effort = INT64_MAX,
                              .run = run_start,
                              .apply = apply_start};
    bool stopped = false;
    UAP_TRY(uap_crew_do(s->crew, &all, &stopped, err));
    s->stopped = stopped;
done:
    uap_free(job.task);
    uap_free(job.scratch);
    uap_free(job.integers);
    return rc;
}
