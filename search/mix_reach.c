/* Prefixes of plans that count devices: the relaxation's (S, M) of the stages up to each
 * boundary, from the exact sets of segments, with what they take of every group. They tell the
 * exact recursion, which comes from the other end, whether what it has left can bring the rest
 * within the target. Long lists are made coarse, which only weakens that. */
#include "search/mix_reach.h"

#include "common/numbers.h"
#include "search/mix_job.h"
#include "search/mix_rough.h"

#include <math.h>
#include <string.h>

typedef struct reach_run {
    const uap_mix_outer *o;
    uap_mix *mix;
    uap_list *head, *reached; /* as those of uap_mix_reach, into the lists' pool */
    uap_mix_rough rough;
    uap_columns suffix; /* of rough: what may follow */
    uap_device_lists lists;
    uap_device_point *taken; /* scratch: prefixes that have taken a stage's devices */
    int64_t n_taken, taken_capacity;
} reach_run;

#define LONGEST_LIST 640 /* longer lists are made coarse */
#define ROUGH_LIST   400

/* ---- Stages -------------------------------------------------------------------------- */

/* A segment's point as stage i of type t, that ends where the tail stands. */
typedef struct reach_step {
    int32_t i, t;
    double s, m;
    const uap_list *tail;
    size_t suffix; /* list of those that count devices */
} reach_step;

/* What a stage adds to M at least: its own span, and the round trips it waits for. */
static double most_of(const uap_mix_outer *o, int32_t i, int32_t t,
                      const uap_segment_point *q, double behind)
{
    const uap_instance *in = o->mix->in;
    const uap_stage_terms *terms = uap_mix_terms(o, t, i);
    const double p = (double)q->p;
    double m = terms->kappa * p;
    if (terms->round_trips) {
        const int64_t k = uap_min_i64(in->inflight[i], o->c);
        const int64_t half = uap_min_i64(q->f, q->p - q->f);
        m = uap_max_f64(m, (double)((o->c - 1) * q->p - (k - 1) * half));
    }
    for (int32_t r = 0; r < terms->n_rounds; r++) {
        m = uap_max_f64(m, (terms->rounds[r] - 1) * (p + behind) + terms->rest[r] * p);
    }
    return m;
}

/* Whether some suffix brings the prefix within the target with what it leaves: one of the
 * priced ones, and one of those that count devices. */
static bool can_end(const reach_run *run, const reach_step *step,
                    const uap_device_point *p)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const uap_columns_wish wish = {.limit = o->target - p->s, .m = p->m, .left = p->left};
    if (!uap_columns_admit(&run->suffix, step->suffix, mix, &wish)) {
        return false;
    }
    double credit = 0;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        credit += mix->price[g] * (double)uap_devices_get(mix, &p->left, g);
    }
    for (int32_t j = 0; j < step->tail->count; j++) {
        const uap_mix_point *t = &o->pool[step->tail->first + j];
        const double rest = uap_max_f64(t->t, t->s - credit);
        const double least = p->s + rest + uap_max_f64(p->m, t->m);
        if (least - 1e-11 * (t->s + credit) <= o->target) {
            return true;
        }
    }
    return false;
}

/* from: a prefix in front of the stage that has taken the stage's devices. */
static bool take_step(reach_run *run, const reach_step *step,
                      const uap_device_point *from)
{
    uap_device_point p = *from;
    p.s += step->s;
    p.m = uap_max_f64(p.m, step->m);
    return !can_end(run, step, &p) || uap_device_lists_add(&run->lists, &p);
}

/* The prefixes of a list with the devices of a stage i of type t taken, as far as the stages to
 * come can use what is left; those for which there are none are left out. False: no memory. */
static bool take_devices(reach_run *run, const uap_list *before, int32_t i, int32_t t)
{
    uap_mix *mix = run->mix;
    const uap_stage_type *type = &mix->in->type[t];
    uap_device_point *to =
        uap_grow(run->taken, &run->taken_capacity, before->count, sizeof *to);
    if (to == NULL) {
        run->lists.no_memory = true;
        return false;
    }
    run->taken = to;
    run->n_taken = 0;
    for (int32_t k = 0; k < before->count; k++) {
        uap_device_point p = run->lists.pool.at[before->first + k];
        double credit = 0;
        const int64_t left = uap_devices_get(mix, &p.left, type->group) - type->devices;
        if (left >= 0) {
            uap_devices_set(mix, &p.left, type->group, left);
            uap_devices_add(mix, &p.used, type->group, type->devices);
            p.left = uap_devices_usable(mix, &p.left, mix->pp - 1 - i, &credit);
            to[run->n_taken++] = p;
        }
    }
    return true;
}

/* Least time without prices of a tail. */
static double least_time(const uap_mix_outer *o, const uap_list *tail)
{
    double least = HUGE_VAL;
    for (int32_t j = 0; j < tail->count; j++) {
        least = uap_min_f64(least, o->pool[tail->first + j].t);
    }
    return least;
}

/* Prefixes that end with stage i of type t from (a, x) to (b, y). */
static bool extend(reach_run *run, const uap_group *group, const uap_reach_span *s)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const int32_t out = uap_mix_out(mix, s->b, s->t) + s->y;
    const int32_t in = uap_mix_in(mix, s->a, s->t) + s->x;
    const uap_list *before = &run->head[uap_mix_at(o, s->i, s->a, in)];
    const uap_segment_set *set =
        uap_group_set(group, s->x, uap_cell(group, 0, s->b - s->a + 1, s->y));
    reach_step step = {.i = s->i,
                       .t = s->t,
                       .tail = &o->tail[uap_mix_at(o, s->i, s->b, out)],
                       .suffix = uap_mix_rough_at(mix, s->i + 1, s->b + 1)};
    if (set->count == 0 || before->count == 0) {
        return true;
    }
    const double behind = least_time(o, step.tail);
    if (!take_devices(run, before, s->i, s->t)) {
        return false;
    }
    for (int32_t j = 0; j < set->count; j++) {
        const uap_segment_point *q = &mix->segments[s->t]->point[set->first + j];
        step.s = (double)(s->i == 0 ? q->p + q->g : q->p);
        step.m = most_of(o, s->i, s->t, q, behind);
        for (int32_t k = 0; k < run->n_taken; k++) {
            if (!take_step(run, &step, &run->taken[k])) {
                return false;
            }
        }
    }
    return true;
}

/* All prefixes that end with stage i at (b, y) of type t. */
static bool end_stage(reach_run *run, const uap_reach_span *end)
{
    const uap_mix_outer *o = run->o;
    uap_reach_span s = *end;
    for (s.a = o->lo[s.i]; s.a <= s.b && s.a <= o->hi[s.i]; s.a++) {
        const uap_group *group = uap_mix_group(o, s.t, s.i, s.a);
        const int32_t length = s.b - s.a + 1;
        if (group == NULL || length > group->n_len ||
            !uap_mix_is_live(run->mix, s.i, s.t, s.a, length)) {
            continue;
        }
        for (s.x = 0; s.x < group->n_in; s.x++) {
            if (!extend(run, group, &s)) {
                return false;
            }
        }
    }
    return true;
}

/* Prefixes that a list of ends looks at. */
static int64_t labels_of_end(const reach_run *run, const uap_reach_span *end)
{
    const uap_mix_outer *o = run->o;
    int64_t labels = 0;
    for (int32_t a = o->lo[end->i]; a <= end->b && a <= o->hi[end->i]; a++) {
        const uap_group *group = uap_mix_group(o, end->t, end->i, a);
        const int32_t l = end->b - a + 1;
        for (int32_t x = 0; group != NULL && l <= group->n_len && x < group->n_in; x++) {
            const int32_t in = uap_mix_in(run->mix, a, end->t) + x;
            const int32_t sets =
                uap_group_set(group, x, uap_cell(group, 0, l, end->y))->count;
            labels += (int64_t)sets * run->head[uap_mix_at(o, end->i, a, in)].count;
        }
    }
    return labels;
}

static bool make_end(void *self, const uap_mix_task *task, uap_bytes *out)
{
    reach_run *run = self;
    const uap_reach_span end = {
        .i = task->i, .t = task->t, .b = task->layer, .y = task->id};
    return end_stage(run, &end) && uap_device_lists_put(&run->lists, out);
}

static bool take_end(void *self, const uap_mix_task *task, const char *from)
{
    reach_run *run = self;
    const int32_t out = uap_mix_out(run->mix, task->layer, task->t) + task->id;
    return uap_device_lists_take(
        &run->lists, from, &run->reached[uap_mix_at(run->o, task->i, task->layer, out)]);
}

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
}

static uap_status end_stages(reach_run *run, int32_t i, uap_err *err)
{
    const uap_mix *mix = run->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = run->mix,
                       .self = run,
                       .make = make_end,
                       .take = take_end,
                       .task = uap_calloc(n, sizeof *job.task)};
    if (job.task == NULL) {
        return no_memory(err);
    }
    for (uap_reach_span s = {.i = i, .b = i}; s.b < mix->n_layers; s.b++) {
        for (s.t = 0; s.t < mix->n_types; s.t++) {
            const int32_t n_out = uap_kind_of(mix->chain[s.t], s.b)->n_out;
            for (s.y = 0; s.y < n_out; s.y++) {
                const int64_t labels = labels_of_end(run, &s);
                if (labels > 0) {
                    job.task[job.n++] = (uap_mix_task){i, s.t, s.b, s.y, labels, 0};
                }
            }
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}

/* Prefixes in front of stage i + 1 at layer a in class x of all types. */
static bool cross(reach_run *run, int32_t i, int32_t a, int32_t x)
{
    const uap_mix_outer *o = run->o;
    const uap_mix_link *link = uap_mix_link_of(run->mix, a - 1);
    for (int32_t y = 0; y < link->n_out; y++) {
        const uap_list *list = &run->reached[uap_mix_at(o, i, a - 1, y)];
        const double fwd = (double)link->x_fwd[y * link->n_in + x];
        const double bwd = (double)link->x_bwd[y * link->n_in + x];
        const double term = uap_boundary_term(&o->terms[0], fwd, bwd);
        for (int32_t j = 0; j < list->count; j++) {
            uap_device_point p = run->lists.pool.at[list->first + j];
            p.s += fwd + bwd;
            p.m = uap_max_f64(p.m, term);
            if (p.s + p.m <= o->target && !uap_device_lists_add(&run->lists, &p)) {
                return false;
            }
        }
    }
    return true;
}

static bool make_head(void *self, const uap_mix_task *task, uap_bytes *out)
{
    reach_run *run = self;
    return cross(run, task->i, task->layer, task->id) &&
           uap_device_lists_put(&run->lists, out);
}

static bool take_head(void *self, const uap_mix_task *task, const char *from)
{
    reach_run *run = self;
    return uap_device_lists_take(
        &run->lists, from,
        &run->head[uap_mix_at(run->o, task->i + 1, task->layer, task->id)]);
}

/* Prefixes in front of stage i + 1. */
static uap_status cross_stage(reach_run *run, int32_t i, uap_err *err)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = run->mix,
                       .self = run,
                       .make = make_head,
                       .take = take_head,
                       .task = uap_calloc(n, sizeof *job.task)};
    if (job.task == NULL) {
        return no_memory(err);
    }
    for (int32_t a = o->lo[i + 1]; a <= o->hi[i + 1]; a++) {
        int64_t labels = 0;
        for (int32_t y = 0; y < uap_mix_n_out(mix, a - 1); y++) {
            labels += run->reached[uap_mix_at(o, i, a - 1, y)].count;
        }
        for (int32_t x = 0; x < uap_mix_n_in(mix, a) && labels > 0; x++) {
            if (o->head[uap_mix_at(o, i + 1, a, x)].count > 0) {
                job.task[job.n++] = (uap_mix_task){i, 0, a, x, labels, 0};
            }
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}

static bool start_before_first(reach_run *run)
{
    const uap_mix *mix = run->mix;
    uap_device_point nothing = {0};
    bool ok = true;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        uap_devices_set(mix, &nothing.left, g, uap_mix_usable(mix, g));
    }
    for (int32_t t = 0; t < mix->n_types && ok; t++) {
        ok = uap_device_lists_add(&run->lists, &nothing) &&
             uap_device_lists_end(&run->lists, &run->head[uap_mix_in(mix, 0, t)]);
    }
    return ok;
}

static uap_status run_all(reach_run *run, uap_err *err)
{
    const uap_mix *mix = run->mix;
    uap_status rc = UAP_OK;
    if (!start_before_first(run) && !mix->stopped) {
        return no_memory(err);
    }
    for (int32_t i = 0; i < mix->pp && !mix->stopped; i++) {
        UAP_TRY(end_stages(run, i, err));
        if (i + 1 < mix->pp && !mix->stopped) {
            UAP_TRY(cross_stage(run, i, err));
        }
    }
done:
    return rc;
}

void uap_mix_reach_free(uap_mix_reach *reach)
{
    uap_columns_free(&reach->head);
    uap_columns_free(&reach->reached);
    *reach = (uap_mix_reach){0};
}

/* Whether some prefix is a whole plan. */
static bool reach_end(const reach_run *run)
{
    const uap_mix *mix = run->mix;
    const int32_t last = mix->n_layers - 1;
    bool any = false;
    for (int32_t y = 0; y < uap_mix_n_out(mix, last); y++) {
        any = any || run->reached[uap_mix_at(run->o, mix->pp - 1, last, y)].count > 0;
    }
    return any;
}

/* The prefixes, with what may follow known. */
static uap_status find_prefixes(reach_run *run, uap_mix_reach *reach, uap_err *err)
{
    const uap_mix *mix = run->mix;
    const size_t all = (size_t)mix->pp * (size_t)mix->n_layers * (size_t)mix->width;
    const size_t n = uap_mix_rough_at(mix, mix->pp, mix->n_layers) + 1;
    uap_status rc = UAP_OK;
    run->head = uap_calloc(all, sizeof *run->head);
    run->reached = uap_calloc(all, sizeof *run->reached);
    if (run->head == NULL || run->reached == NULL ||
        !uap_columns_make(&run->suffix, run->rough.suffix, n, run->rough.pool)) {
        return no_memory(err);
    }
    UAP_TRY(run_all(run, err));
    if (mix->stopped) {
        goto done;
    }
    reach->is_empty = !reach_end(run);
    if (!uap_columns_make(&reach->head, run->head, all, run->lists.pool.at) ||
        !uap_columns_make(&reach->reached, run->reached, all, run->lists.pool.at)) {
        rc = no_memory(err);
    }
done:
    return rc;
}

uap_status uap_mix_reach_run(const uap_mix_outer *outer, uap_mix_reach *reach,
                             uap_err *err)
{
    uap_mix *mix = outer->mix;
    reach_run run = {
        .o = outer, .mix = mix, .lists = {.mix = mix, .longest = LONGEST_LIST}};
    uap_status rc = UAP_OK;
    *reach = (uap_mix_reach){0};
    UAP_TRY(uap_mix_rough_run(mix, outer->target_ticks, ROUGH_LIST, &run.rough, err));
    reach->is_empty = isinf(run.rough.least);
    if (!reach->is_empty && !mix->stopped) {
        UAP_TRY(find_prefixes(&run, reach, err));
    }
done:
    uap_mix_rough_free(&run.rough);
    uap_columns_free(&run.suffix);
    uap_device_lists_free(&run.lists);
    uap_free(run.lists.pool.at);
    uap_free(run.taken);
    uap_free(run.head);
    uap_free(run.reached);
    return rc;
}
