/* The relaxation's lists in front of stages (search/mix_lists.h), made from the first stage on
 * when those behind stages are known. */
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

/* ---- Up to the end of a stage ---------------------------------------------------------- */

/* The end of stage i of type t in class y of layer b. */
typedef struct stage_end {
    int32_t i, t, b, y;
    uap_mix_point behind; /* the least S and time of what follows */
} stage_end;

/* The least S and time of a list. */
static uap_mix_point least_of(const uap_mix_outer *o, const uap_list *list)
{
    uap_mix_point least = {.s = HUGE_VAL, .t = HUGE_VAL};
    for (int32_t j = 0; j < list->count; j++) {
        least.s = uap_min_f64(least.s, o->pool[list->first + j].s);
        least.t = uap_min_f64(least.t, o->pool[list->first + j].t);
    }
    return least;
}

static stage_end end_of(const uap_mix_outer *o, int32_t i, int32_t t, int32_t b,
                        int32_t y)
{
    const uap_list *tail = &o->tail[uap_mix_at(o, i, b, uap_mix_out(o->mix, b, t) + y)];
    return (stage_end){.i = i, .t = t, .b = b, .y = y, .behind = least_of(o, tail)};
}

/* Whether a stage may start at layer a to end there; *group is that of its starts. */
static bool may_start(const uap_mix_outer *o, const stage_end *e, int32_t a,
                      const uap_group **group)
{
    const int32_t l = e->b - a + 1;
    int32_t first = 1;
    int32_t last = 0;
    *group = uap_mix_group(o, e->t, e->i, a);
    if (*group != NULL) {
        uap_stage_lengths(o->mix->segments[0], e->i, a, *group, &first, &last);
    }
    return l >= first && l <= last && uap_mix_is_live(o->mix, e->i, e->t, a, l);
}

static const uap_list *heads_of(const uap_mix_outer *o, const stage_end *e, int32_t a)
{
    return &o->head[uap_mix_at(o, e->i, a, uap_mix_in(o->mix, a, e->t))];
}

/* Points that the list of an end looks at, about. */
static int64_t points_of_end(const uap_mix_outer *o, const stage_end *e)
{
    int64_t points = 0;
    for (int32_t a = o->lo[e->i]; a <= uap_min_i32(o->hi[e->i], e->b); a++) {
        const uap_group *group;
        const bool starts = may_start(o, e, a, &group);
        for (int32_t x = 0; starts && x < group->n_in; x++) {
            points += heads_of(o, e, a)[x].count;
        }
    }
    return points;
}

/* Adds what the heads in front of one segment give at its end. */
static void add_segment(const uap_mix_outer *o, const stage_end *e, const uap_list *head,
                        const uap_cell_bounds *cell, uap_mix_stair *end)
{
    const uap_stage_terms *terms = uap_mix_terms(o, e->t, e->i);
    const double toll = uap_mix_toll(o->mix, e->t);
    const double alone =
        uap_max_f64(uap_stage_term_least(terms, cell->p, e->behind.t), cell->alone);
    const double own = terms->round_trips ? (double)o->c * cell->p : 0;
    for (int32_t j = 0; j < head->count; j++) {
        const uap_mix_point *h = &o->pool[head->first + j];
        const double sum = h->s + cell->s + toll;
        const double m = uap_max_f64(h->m, alone);
        if (sum + e->behind.s + m <= o->priced && h->t + own <= o->target) {
            uap_mix_stair_add(end,
                              (uap_mix_point){.s = sum, .m = m, .t = h->t + cell->p});
        }
    }
}

static bool make_end(void *self, const uap_mix_task *task, uap_bytes *out)
{
    const uap_mix_outer *o = self;
    const stage_end e = end_of(o, task->i, task->t, task->layer, task->id);
    uap_mix_stair end;
    end.n = 0;
    for (int32_t a = o->lo[e.i]; a <= uap_min_i32(o->hi[e.i], e.b); a++) {
        const uap_group *group;
        const bool starts = may_start(o, &e, a, &group);
        for (int32_t x = 0; starts && x < group->n_in; x++) {
            const uap_list *head = &heads_of(o, &e, a)[x];
            uap_cell_bounds cell;
            if (head->count > 0 &&
                uap_outer_cell(group, uap_cell(group, x, e.b - a + 1, e.y), &cell)) {
                add_segment(o, &e, head, &cell, &end);
            }
        }
    }
    return uap_mix_stair_put(out, &end);
}

static bool take_end(void *self, const uap_mix_task *task, const char *from)
{
    uap_mix_outer *o = self;
    const int32_t at = uap_mix_out(o->mix, task->layer, task->t) + task->id;
    return uap_mix_stair_take(o, from, &o->scratch[task->layer * o->mix->width + at]);
}

static uap_status end_stages(uap_mix_outer *o, int32_t i, uap_err *err)
{
    const uap_mix *mix = o->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = o->mix,
                       .self = o,
                       .make = make_end,
                       .take = take_end,
                       .task = uap_calloc(n, sizeof *job.task)};
    if (job.task == NULL) {
        return no_memory(err);
    }
    memset(o->scratch, 0, n * sizeof *o->scratch);
    for (int32_t b = o->lo[i]; b < mix->n_layers; b++) {
        for (int32_t t = 0; t < mix->n_types; t++) {
            const int32_t n_out = uap_kind_of(mix->chain[t], b)->n_out;
            for (int32_t y = 0; y < n_out; y++) {
                const stage_end e = end_of(o, i, t, b, y);
                const int64_t points = isinf(e.behind.s) ? 0 : points_of_end(o, &e);
                if (points > 0) {
                    job.task[job.n++] = (uap_mix_task){i, t, b, y, points, 0};
                }
            }
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}

/* ---- Over a boundary ------------------------------------------------------------------- */

/* Heads of the next stage at a layer, in an in-class of all types, from the ends of stage i. */
static bool make_head(void *self, const uap_mix_task *task, uap_bytes *out)
{
    const uap_mix_outer *o = self;
    const int32_t a = task->layer;
    const int32_t x = task->id;
    const uap_mix_link *link = uap_mix_link_of(o->mix, a - 1);
    uap_mix_stair acc;
    acc.n = 0;
    for (int32_t y = 0; y < link->n_out; y++) {
        const uap_list *end = &o->scratch[(a - 1) * o->mix->width + y];
        const double fwd = (double)link->x_fwd[y * link->n_in + x];
        const double bwd = (double)link->x_bwd[y * link->n_in + x];
        const double term = uap_boundary_term(&o->terms[0], fwd, bwd);
        for (int32_t j = 0; j < end->count; j++) {
            const uap_mix_point *p = &o->pool[end->first + j];
            const uap_mix_point q = {.s = p->s + fwd + bwd,
                                     .m = uap_max_f64(p->m, term),
                                     .t = p->t + fwd + bwd};
            if (q.s + q.m <= o->priced) {
                uap_mix_stair_add(&acc, q);
            }
        }
    }
    return uap_mix_stair_put(out, &acc);
}

static bool take_head(void *self, const uap_mix_task *task, const char *from)
{
    uap_mix_outer *o = self;
    return uap_mix_stair_take(
        o, from, &o->head[uap_mix_at(o, task->i + 1, task->layer, task->id)]);
}

static uap_status cross_forward(uap_mix_outer *o, int32_t i, uap_err *err)
{
    const uap_mix *mix = o->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = o->mix,
                       .self = o,
                       .make = make_head,
                       .take = take_head,
                       .task = uap_calloc(n, sizeof *job.task)};
    if (job.task == NULL) {
        return no_memory(err);
    }
    for (int32_t a = o->lo[i + 1]; a <= o->hi[i + 1]; a++) {
        int64_t points = 0;
        for (int32_t y = 0; y < uap_mix_n_out(mix, a - 1); y++) {
            points += o->scratch[(a - 1) * mix->width + y].count;
        }
        for (int32_t x = 0; x < uap_mix_n_in(mix, a) && points > 0; x++) {
            job.task[job.n++] = (uap_mix_task){i, 0, a, x, points, 0};
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}

uap_status uap_mix_prefixes(uap_mix_outer *o, uap_err *err)
{
    const uap_mix *mix = o->mix;
    const uap_mix_stair nothing = {.n = 1, .at = {{.type = -1, .next = -1}}};
    uap_status rc = UAP_OK;
    for (int32_t t = 0; t < mix->n_types; t++) {
        if (!uap_mix_stair_store(o, &o->head[uap_mix_in(mix, 0, t)], &nothing)) {
            return no_memory(err);
        }
    }
    for (int32_t i = 0; i + 1 < mix->pp && !mix->stopped; i++) {
        UAP_TRY(end_stages(o, i, err));
        if (!mix->stopped) {
            UAP_TRY(cross_forward(o, i, err));
        }
    }
done:
    return rc;
}
