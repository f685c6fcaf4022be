/* Prefixes of plans that count devices: the relaxation's (S, M) of the stages up to each
 * boundary, from the exact sets of segments, with what they take of every group. They tell the
 * exact recursion, which comes from the other end, whether what it has left can bring the rest
 * within the target. Long lists are made coarse, which only weakens that. */
#include "search/mix_reach.h"

#include "common/numbers.h"
#include "search/mix_rough.h"

#include <math.h>
#include <string.h>

typedef struct reach_run {
    const uap_mix_outer *o;
    uap_mix *mix;
    uap_mix_reach *reach;
    uap_mix_rough rough; /* what may follow */
    uap_device_lists lists;
} reach_run;

#define LONGEST_LIST 160 /* longer lists are made coarse */
#define ROUGH_LIST   96

/* ---- Stages -------------------------------------------------------------------------- */

/* A segment's point as stage i of type t, that ends where the tail stands. */
typedef struct reach_step {
    int32_t i, t;
    double s, m;
    const uap_list *tail, *rough;
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
                    const uap_device_point *p, double credit)
{
    const uap_mix_outer *o = run->o;
    bool priced = false;
    for (int32_t j = 0; j < step->tail->count && !priced; j++) {
        const uap_mix_point *t = &o->pool[step->tail->first + j];
        const double rest = uap_max_f64(t->t, t->s - credit);
        const double least = p->s + rest + uap_max_f64(p->m, t->m);
        priced = least - 1e-11 * (t->s + credit) <= o->target;
    }
    for (int32_t j = 0; j < step->rough->count && priced; j++) {
        const uap_device_point *t = &run->rough.pool[step->rough->first + j];
        if (p->s + t->s + uap_max_f64(p->m, t->m) <= o->target &&
            uap_devices_cover(run->mix, &p->left, &t->used)) {
            return true;
        }
    }
    return false;
}

static bool take_step(reach_run *run, const reach_step *step,
                      const uap_device_point *from)
{
    uap_mix *mix = run->mix;
    const uap_stage_type *type = &mix->in->type[step->t];
    uap_device_point p = *from;
    double credit = 0;
    const int64_t left = uap_devices_get(mix, &p.left, type->group) - type->devices;
    if (left < 0) {
        return true;
    }
    uap_devices_set(mix, &p.left, type->group, left);
    uap_devices_add(mix, &p.used, type->group, type->devices);
    p.left = uap_devices_usable(mix, &p.left, mix->pp - 1 - step->i, &credit);
    p.s += step->s;
    p.m = uap_max_f64(p.m, step->m);
    return !can_end(run, step, &p, credit) || uap_device_lists_add(&run->lists, &p);
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
    const uap_list *before = &run->reach->head[uap_mix_at(o, s->i, s->a, in)];
    const uap_segment_set *set =
        uap_group_set(group, s->x, uap_cell(group, 0, s->b - s->a + 1, s->y));
    reach_step step = {
        .i = s->i,
        .t = s->t,
        .tail = &o->tail[uap_mix_at(o, s->i, s->b, out)],
        .rough = &run->rough.suffix[(s->i + 1) * (mix->n_layers + 1) + s->b + 1]};
    const double behind = set->count == 0 ? 0 : least_time(o, step.tail);
    for (int32_t j = 0; j < set->count; j++) {
        const uap_segment_point *q = &mix->segments[s->t]->point[set->first + j];
        step.s = (double)(s->i == 0 ? q->p + q->g : q->p);
        step.m = most_of(o, s->i, s->t, q, behind);
        for (int32_t k = 0; k < before->count; k++) {
            const uap_device_point from = run->lists.pool.at[before->first + k];
            if (!take_step(run, &step, &from)) {
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
    const int32_t out = uap_mix_out(run->mix, s.b, s.t) + s.y;
    return uap_device_lists_end(&run->lists,
                                &run->reach->reached[uap_mix_at(o, s.i, s.b, out)]);
}

static bool end_stages(reach_run *run, int32_t i)
{
    const uap_mix *mix = run->mix;
    for (uap_reach_span s = {.i = i, .b = i}; s.b < mix->n_layers; s.b++) {
        for (s.t = 0; s.t < mix->n_types; s.t++) {
            const int32_t n_out = uap_kind_of(mix->chain[s.t], s.b)->n_out;
            for (s.y = 0; s.y < n_out; s.y++) {
                if (!end_stage(run, &s)) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* Prefixes in front of stage i + 1 at layer a. */
static bool cross(reach_run *run, int32_t i, int32_t a)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const uap_mix_link *link = uap_mix_link_of(mix, a - 1);
    for (int32_t x = 0; x < link->n_in; x++) {
        if (o->head[uap_mix_at(o, i + 1, a, x)].count == 0) {
            continue;
        }
        for (int32_t y = 0; y < link->n_out; y++) {
            const uap_list *list = &run->reach->reached[uap_mix_at(o, i, a - 1, y)];
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
        if (!uap_device_lists_end(&run->lists,
                                  &run->reach->head[uap_mix_at(o, i + 1, a, x)])) {
            return false;
        }
    }
    return true;
}

static bool run_all(reach_run *run)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    uap_device_point nothing = {0};
    for (int32_t g = 0; g < mix->n_groups; g++) {
        uap_devices_set(mix, &nothing.left, g, uap_mix_usable(mix, g));
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        if (!uap_device_lists_add(&run->lists, &nothing) ||
            !uap_device_lists_end(&run->lists,
                                  &run->reach->head[uap_mix_in(mix, 0, t)])) {
            return false;
        }
    }
    for (int32_t i = 0; i < mix->pp; i++) {
        if (!end_stages(run, i)) {
            return false;
        }
        for (int32_t a = i + 1 < mix->pp ? o->lo[i + 1] : 1;
             i + 1 < mix->pp && a <= o->hi[i + 1]; a++) {
            if (!cross(run, i, a)) {
                return false;
            }
        }
    }
    return true;
}

void uap_mix_reach_free(uap_mix_reach *reach)
{
    uap_free(reach->head);
    uap_free(reach->reached);
    uap_free(reach->pool);
    *reach = (uap_mix_reach){0};
}

uap_status uap_mix_reach_run(const uap_mix_outer *outer, uap_mix_reach *reach,
                             uap_err *err)
{
    uap_mix *mix = outer->mix;
    const size_t all = (size_t)mix->pp * (size_t)mix->n_layers * (size_t)mix->width;
    reach_run run = {.o = outer,
                     .mix = mix,
                     .reach = reach,
                     .lists = {.mix = mix, .longest = LONGEST_LIST}};
    *reach = (uap_mix_reach){.head = uap_calloc(all, sizeof *reach->head),
                             .reached = uap_calloc(all, sizeof *reach->reached)};
    run.lists.no_memory = reach->head == NULL || reach->reached == NULL;
    if (!run.lists.no_memory && uap_mix_rough_run(mix, outer->target_ticks, ROUGH_LIST,
                                                  &run.rough, err) != UAP_OK) {
        run.lists.no_memory = true;
    }
    const bool open = !run.lists.no_memory && !mix->stopped && !isinf(run.rough.least);
    const bool done = open && run_all(&run);
    reach->is_empty = !run.lists.no_memory && isinf(run.rough.least);
    uap_mix_rough_free(&run.rough);
    reach->pool = run.lists.pool.at;
    for (int32_t y = 0; done && y < uap_mix_n_out(mix, mix->n_layers - 1); y++) {
        const size_t at = uap_mix_at(outer, mix->pp - 1, mix->n_layers - 1, y);
        reach->is_empty = reach->reached[at].count == 0 && (y == 0 || reach->is_empty);
    }
    uap_free(run.lists.acc.at);
    return run.lists.no_memory ? UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts")
                               : UAP_OK;
}
