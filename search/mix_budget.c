/* Budgets of segments of all types, as in search/outer_budget.c: the most that each of their
 * measures may be in a plan within the target, devices at their price. */
#include "search/mix_job.h"
#include "search/mix_lists.h"

#include "common/mem.h"
#include "common/numbers.h"

#include <math.h>
#include <string.h>

typedef struct cell_slack {
    double time, sum, alone, round, end, end_alone;
} cell_slack;

/* A cell with the lists in front of and behind it. */
typedef struct wanted_cell {
    const uap_stage_terms *terms;
    double toll;
    const uap_list *head, *tail;
    const uap_group *group;
    int32_t start; /* layer */
    int32_t cell;
} wanted_cell;

/* Widens the slack by what a prefix h and a suffix t leave to a stage. */
static void pair_slack(const uap_mix_outer *o, const wanted_cell *w,
                       const uap_mix_point *h, const uap_mix_point *t, cell_slack *slack)
{
    const uap_stage_terms *terms = w->terms;
    const double toll = w->toll;
    const double room = o->priced - h->s - t->s - toll;
    const double other = uap_max_f64(h->m, t->m);
    double p = uap_min_f64(room - other, room / (1 + terms->kappa));
    if (terms->round_trips) {
        p = uap_min_f64(p, (o->target - h->t) / (double)o->c);
        for (int32_t r = 0; r < terms->n_rounds; r++) {
            const double times = terms->rounds[r];
            p = uap_min_f64(p, (room - (times - 1) * t->t) / (times + terms->rest[r]));
        }
    }
    slack->time = uap_max_f64(slack->time, p);
    slack->sum = uap_max_f64(slack->sum, room - other);
    slack->alone = uap_max_f64(slack->alone, room);
    const double rounds = terms->n_rounds > 0 ? terms->rounds[1] : 0;
    const double round = uap_min_f64(o->target - h->t - rounds * t->t,
                                     o->priced - h->s - toll - rounds * t->t);
    slack->round = uap_max_f64(slack->round, round);
    /* No plan ends before the stage has its gradients done: what is before it counts with its
     * forward work, what is behind in full. */
    const double before = o->is_simple ? h->t : o->fwd_before[w->start];
    const double end =
        uap_min_f64(o->target - before - t->t, o->priced - before - t->s - toll);
    slack->end = uap_max_f64(slack->end, end - t->m);
    slack->end_alone = uap_max_f64(slack->end_alone, end);
}

/* What the lists on both sides leave to a cell, by functional; false: less than it needs. */
static bool leave_to_cell(const uap_mix_outer *o, const wanted_cell *w, double *of)
{
    const uap_group *group = w->group;
    cell_slack slack = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
    const double least = uap_max_f64(group->bound[0][w->cell], 0) + w->toll;
    for (int32_t j = 0; j < w->head->count; j++) {
        const uap_mix_point *h = &o->pool[w->head->first + j];
        for (int32_t k = 0; k < w->tail->count; k++) {
            const uap_mix_point *t = &o->pool[w->tail->first + k];
            if (h->s + t->s + least > o->priced) {
                break; /* sums only grow along the list */
            }
            pair_slack(o, w, h, t, &slack);
        }
    }
    of[0] = slack.time;
    for (int32_t f = 1; f < group->n_functionals; f++) {
        of[f] = f == group->sum         ? slack.sum
                : f == group->alone     ? slack.alone
                : f == group->round     ? slack.round
                : f == group->end       ? slack.end
                : f == group->end_alone ? slack.end_alone
                                        : HUGE_VAL;
    }
    for (int32_t f = 0; f < group->n_functionals; f++) {
        if (of[f] < group->bound[f][w->cell]) {
            return false;
        }
    }
    return true;
}

/* What follows in a task's result for every cell: its place, then what is left to it by
 * functional. */
typedef struct cell_place {
    int32_t x, length, cell;
} cell_place;

/* Puts the budgets of the cells behind head x of the task's stages, and counts them. */
static bool put_cells(const uap_mix_outer *o, const uap_mix_task *task, wanted_cell *w,
                      int32_t x, int32_t *n, uap_bytes *out)
{
    const uap_mix *mix = o->mix;
    int32_t first;
    int32_t last;
    bool ok = true;
    uap_stage_lengths(mix->segments[0], task->i, w->start, w->group, &first, &last);
    for (int32_t l = first; l <= last; l++) {
        const int32_t b = w->start + l - 1;
        const int32_t n_out = uap_kind_of(mix->chain[task->t], b)->n_out;
        const bool is_live = uap_mix_is_live(mix, task->i, task->t, w->start, l);
        for (int32_t y = 0; y < n_out && is_live && ok; y++) {
            double of[UAP_MAX_FUNCTIONALS];
            w->cell = uap_cell(w->group, x, l, y);
            w->tail =
                &o->tail[uap_mix_at(o, task->i, b, uap_mix_out(mix, b, task->t) + y)];
            if (w->tail->count > 0 && !isinf(w->group->bound[0][w->cell]) &&
                leave_to_cell(o, w, of)) {
                const cell_place at = {x, l, w->cell};
                ok = uap_bytes_put(out, &at, sizeof at) &&
                     uap_bytes_put(out, of, (size_t)w->group->n_functionals * sizeof *of);
                *n += 1;
            }
        }
    }
    return ok;
}

/* Budgets of all spans of stage i of type t that start at a layer in class id. */
static bool make_budgets(void *self, const uap_mix_task *task, uap_bytes *out)
{
    const uap_mix_outer *o = self;
    const int32_t x = task->id;
    wanted_cell w = {.terms = uap_mix_terms(o, task->t, task->i),
                     .toll = uap_mix_toll(o->mix, task->t),
                     .group = uap_mix_group(o, task->t, task->i, task->layer),
                     .start = task->layer};
    const int32_t in = uap_mix_in(o->mix, w.start, task->t) + x;
    const size_t at = out->n;
    int32_t n = 0;
    w.head = &o->head[uap_mix_at(o, task->i, w.start, in)];
    const bool ok =
        uap_bytes_put(out, &n, sizeof n) && put_cells(o, task, &w, x, &n, out);
    if (ok) {
        memcpy(out->at + at, &n, sizeof n);
    }
    return ok;
}

static bool take_budgets(void *self, const uap_mix_task *task, const char *from)
{
    const uap_mix_outer *o = self;
    uap_segments *segments = o->mix->segments[task->t];
    uap_group *group = uap_mix_group(o, task->t, task->i, task->layer);
    int32_t n;
    from = uap_bytes_get(from, &n, sizeof n);
    for (int32_t k = 0; k < n; k++) {
        cell_place at;
        double of[UAP_MAX_FUNCTIONALS];
        from = uap_bytes_get(from, &at, sizeof at);
        from = uap_bytes_get(from, of, (size_t)group->n_functionals * sizeof *of);
        uap_group_row *row = uap_group_want(segments, group, at.x, at.length, at.length);
        if (row == NULL) {
            return false;
        }
        for (int32_t f = 0; f < group->n_functionals; f++) {
            double *budget = &row->budget[f][at.cell - at.x * group->cells];
            *budget = uap_max_f64(*budget, of[f]);
        }
    }
    return true;
}

/* Pairs of lists are looked at until their sums are too large, which is sooner than not. */
#define PAIRS_PER_LABEL 16

/* Lists the starts of stage i at layer a, with the pairs of points they look at. */
static void list_starts(const uap_mix_outer *o, int32_t i, int32_t a, uap_mix_job *job)
{
    const uap_mix *mix = o->mix;
    for (int32_t t = 0; t < mix->n_types; t++) {
        const uap_group *group = uap_mix_group(o, t, i, a);
        int64_t tails = 0;
        int32_t first = 1;
        int32_t last = 0;
        if (group != NULL) {
            uap_stage_lengths(mix->segments[0], i, a, group, &first, &last);
        }
        for (int32_t b = a + first - 1; b < a + last; b++) {
            const uap_list *tail = &o->tail[uap_mix_at(o, i, b, uap_mix_out(mix, b, t))];
            for (int32_t y = 0; y < uap_kind_of(mix->chain[t], b)->n_out; y++) {
                tails += tail[y].count;
            }
        }
        const uap_list *head = &o->head[uap_mix_at(o, i, a, uap_mix_in(mix, a, t))];
        for (int32_t x = 0; tails > 0 && x < group->n_in; x++) {
            if (head[x].count > 0) {
                job->task[job->n++] = (uap_mix_task){
                    i, t, a, x, 1 + head[x].count * tails / PAIRS_PER_LABEL, 0};
            }
        }
    }
}

uap_status uap_mix_budget(uap_mix_outer *o, uap_err *err)
{
    const uap_mix *mix = o->mix;
    const size_t n = (size_t)mix->pp * (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = o->mix,
                       .self = o,
                       .make = make_budgets,
                       .take = take_budgets,
                       .task = uap_calloc(n, sizeof *job.task)};
    if (job.task == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        for (int32_t i = 0; i < mix->segments[t]->n_groups; i++) {
            uap_group_forget(&mix->segments[t]->group[i]);
        }
    }
    for (int32_t i = 0; i < mix->pp; i++) {
        for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
            list_starts(o, i, a, &job);
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}
