/* A relaxation that forgets layouts and keeps devices: suffixes of plans as (S, M) and what
 * they take of every group, each segment and boundary at its least over all classes. Group
 * limits decide more than layouts do, and without classes all of them can be counted. */
#include "search/mix_rough.h"
#include "search/mix_job.h"

#include "common/mem.h"
#include "common/numbers.h"

#include <math.h>
#include <string.h>

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
}

typedef struct rough_run {
    uap_mix *mix;
    uap_mix_rough *rough;
    double target;
    double c;
    uap_device_lists lists;
    double
        *before; /* [pp][L] least S of the stages before i, up to layer a, transfer in */
    double *x_fwd,
        *x_bwd; /* [L] least transfers in front of each layer, forward and back */
} rough_run;

/* ---- Segments and boundaries at their least ------------------------------------------- */

/* Spans of a stage i of type t from layer a on; none where it does not start there. */
static const uap_group *spans_of(const uap_mix *mix, int32_t i, int32_t t, int32_t a,
                                 int32_t *first, int32_t *last)
{
    const uap_group *group = uap_mix_group_at(mix, t, i, a);
    *first = 1;
    *last = 0;
    if (group != NULL) {
        uap_stage_lengths(mix->segments[0], i, a, group, first, last);
    }
    return group;
}

static void least_transfers(rough_run *run)
{
    const uap_mix *mix = run->mix;
    for (int32_t u = 1; u < mix->n_layers; u++) {
        const uap_mix_link *link = uap_mix_link_of(mix, u - 1);
        double fwd = HUGE_VAL;
        double bwd = HUGE_VAL;
        for (int32_t e = 0; e < link->n_out * link->n_in; e++) {
            fwd = uap_min_f64(fwd, (double)link->x_fwd[e]);
            bwd = uap_min_f64(bwd, (double)link->x_bwd[e]);
        }
        run->x_fwd[u] = fwd;
        run->x_bwd[u] = bwd;
    }
}

static void least_before(rough_run *run)
{
    const uap_mix *mix = run->mix;
    const uap_segments *s = mix->segments[0];
    const int32_t n = mix->n_layers;
    for (int32_t j = 0; j < mix->pp * n; j++) {
        run->before[j] = j == 0 ? 0 : HUGE_VAL;
    }
    for (int32_t i = 0; i + 1 < mix->pp; i++) {
        for (int32_t a = s->lo[i]; a <= s->hi[i]; a++) {
            const double from = run->before[i * n + a];
            for (int32_t t = 0; t < mix->n_types && from <= run->target; t++) {
                int32_t first;
                int32_t last;
                const uap_group *group = spans_of(mix, i, t, a, &first, &last);
                for (int32_t l = first; l <= last; l++) {
                    uap_cell_bounds cell;
                    const int32_t next = a + l;
                    if (next < n && uap_mix_least_cell(group, l, &cell)) {
                        double *to = &run->before[(i + 1) * n + next];
                        *to = uap_min_f64(*to, from + cell.s + run->x_fwd[next] +
                                                   run->x_bwd[next]);
                    }
                }
            }
        }
    }
}

/* ---- Suffixes ------------------------------------------------------------------------ */

/* What a stage adds to M where what lies behind takes `behind`. */
static double most_of(const rough_run *run, const uap_stage_terms *terms,
                      const uap_cell_bounds *cell, double behind)
{
    const double p = cell->p;
    const double s = uap_max_f64(cell->s, p);
    double m = uap_max_f64(terms->kappa * p, cell->alone - s);
    for (int32_t r = 0; r < terms->n_rounds; r++) {
        m = uap_max_f64(m, (terms->rounds[r] - 1) * (p + behind) + terms->rest[r] * p);
    }
    if (terms->round_trips) {
        m = uap_max_f64(m, run->c * p - (p + behind));
    }
    if (cell->round > 0) {
        const double rounds = terms->n_rounds > 0 ? terms->rounds[1] : 0;
        m = uap_max_f64(m, rounds * behind + cell->round - (s + behind));
    }
    return m;
}

/* Stage i of type t from layer a over l layers in front of all suffixes behind it. */
static bool extend(rough_run *run, int32_t i, int32_t t, int32_t a, int32_t l)
{
    uap_mix *mix = run->mix;
    const uap_group *group = uap_mix_group_at(mix, t, i, a);
    const int32_t next = a + l;
    const uap_list *behind = &run->rough->suffix[uap_mix_rough_at(mix, i + 1, next)];
    const uap_stage_type *type = &mix->in->type[t];
    uap_cell_bounds cell;
    if (behind->count == 0 || !uap_mix_least_cell(group, l, &cell)) {
        return true;
    }
    const uap_stage_terms terms = uap_stage_terms_of(&mix->pipeline[t], i);
    const bool ends = i + 1 == mix->pp;
    const double fwd = ends ? 0 : run->x_fwd[next];
    const double bwd = ends ? 0 : run->x_bwd[next];
    const double most = terms.round_trips ? uap_max_f64(fwd, bwd) : fwd + bwd;
    const double before = run->before[i * mix->n_layers + a];
    for (int32_t j = 0; j < behind->count; j++) {
        uap_device_point p = run->lists.pool.at[behind->first + j];
        double credit = 0;
        const int64_t left = uap_devices_get(mix, &p.left, type->group) - type->devices;
        const double rest = p.s + fwd + bwd;
        if (left < 0) {
            continue;
        }
        p.m = uap_max_f64(uap_max_f64(p.m, (run->c - 1) * most),
                          most_of(run, &terms, &cell, rest));
        p.s = rest + cell.s;
        if (before + p.s + p.m > run->target) {
            continue;
        }
        uap_devices_set(mix, &p.left, type->group, left);
        p.left = uap_devices_usable(mix, &p.left, i, &credit);
        uap_devices_add(mix, &p.used, type->group, type->devices);
        if (!uap_device_lists_add(&run->lists, &p)) {
            return false;
        }
    }
    return true;
}

static bool make_suffix(void *self, const uap_mix_task *task, uap_bytes *out)
{
    rough_run *run = self;
    for (int32_t t = 0; t < run->mix->n_types; t++) {
        int32_t first;
        int32_t last;
        (void)spans_of(run->mix, task->i, t, task->layer, &first, &last);
        for (int32_t l = first; l <= last; l++) {
            if (!extend(run, task->i, t, task->layer, l)) {
                return false;
            }
        }
    }
    return uap_device_lists_put(&run->lists, out);
}

static bool take_suffix(void *self, const uap_mix_task *task, const char *from)
{
    rough_run *run = self;
    return uap_device_lists_take(
        &run->lists, from,
        &run->rough->suffix[uap_mix_rough_at(run->mix, task->i, task->layer)]);
}

/* Labels that the suffixes of stages i .. from layer a on look at, about. */
static int64_t labels_of_start(const rough_run *run, int32_t i, int32_t a)
{
    const uap_mix *mix = run->mix;
    int64_t labels = 0;
    for (int32_t t = 0; t < mix->n_types; t++) {
        int32_t first;
        int32_t last;
        (void)spans_of(mix, i, t, a, &first, &last);
        for (int32_t l = first; l <= last; l++) {
            labels += run->rough->suffix[uap_mix_rough_at(mix, i + 1, a + l)].count;
        }
    }
    return labels;
}

static uap_status suffixes_of_stage(rough_run *run, int32_t i, uap_err *err)
{
    uap_mix *mix = run->mix;
    const uap_segments *s = mix->segments[0];
    uap_mix_job job = {.mix = mix,
                       .self = run,
                       .make = make_suffix,
                       .take = take_suffix,
                       .task = uap_calloc((size_t)mix->n_layers, sizeof *job.task)};
    if (job.task == NULL) {
        return no_memory(err);
    }
    for (int32_t a = s->lo[i]; a <= s->hi[i]; a++) {
        if (run->before[i * mix->n_layers + a] <= run->target) {
            job.task[job.n++] =
                (uap_mix_task){i, 0, a, 0, 1 + labels_of_start(run, i, a), 0};
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}

static uap_status run_all(rough_run *run, uap_err *err)
{
    const uap_mix *mix = run->mix;
    uap_device_point nothing = {0};
    uap_status rc = UAP_OK;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        uap_devices_set(mix, &nothing.left, g, uap_mix_usable(mix, g));
    }
    uap_list *end = &run->rough->suffix[uap_mix_rough_at(mix, mix->pp, mix->n_layers)];
    if (!uap_device_lists_add(&run->lists, &nothing) ||
        !uap_device_lists_end(&run->lists, end)) {
        return run->lists.no_memory ? no_memory(err) : UAP_OK;
    }
    for (int32_t i = mix->pp - 1; i >= 0 && !mix->stopped; i--) {
        UAP_TRY(suffixes_of_stage(run, i, err));
    }
    const uap_list *first = &run->rough->suffix[0];
    run->rough->least = mix->stopped ? 0 : HUGE_VAL;
    for (int32_t j = 0; j < first->count && !mix->stopped; j++) {
        const uap_device_point *p = &run->lists.pool.at[first->first + j];
        run->rough->least = uap_min_f64(run->rough->least, p->s + p->m);
    }
done:
    return rc;
}

void uap_mix_rough_free(uap_mix_rough *rough)
{
    uap_free(rough->suffix);
    uap_free(rough->pool);
    *rough = (uap_mix_rough){0};
}

uap_status uap_mix_rough_run(uap_mix *mix, int64_t target, int32_t longest,
                             uap_mix_rough *rough, uap_err *err)
{
    const size_t layers = (size_t)mix->n_layers;
    const size_t lists = ((size_t)mix->pp + 1) * (layers + 1);
    rough_run run = {.mix = mix,
                     .rough = rough,
                     .target = (double)target * (1 + 1e-11) + 1,
                     .c = (double)mix->in->micro_batches,
                     .lists = {.mix = mix, .longest = longest}};
    uap_status rc = UAP_OK;
    run.lists.grid = run.target * 2e-3;
    *rough = (uap_mix_rough){.suffix = uap_calloc(lists, sizeof *rough->suffix)};
    run.before = uap_calloc((size_t)mix->pp * layers, sizeof *run.before);
    run.x_fwd = uap_calloc(2 * layers, sizeof *run.x_fwd);
    if (rough->suffix == NULL || run.before == NULL || run.x_fwd == NULL) {
        rc = no_memory(err);
        goto done;
    }
    run.x_bwd = run.x_fwd + layers;
    least_transfers(&run);
    least_before(&run);
    rc = run_all(&run, err);
done:
    rough->pool = run.lists.pool.at;
    uap_device_lists_free(&run.lists);
    uap_free(run.before);
    uap_free(run.x_fwd);
    return rc;
}
