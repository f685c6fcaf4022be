/* Budgets of segments of all types, as in search/outer_budget.c: the most that each of their
 * measures may be in a plan within the target, devices at their price. */
#include "search/mix_lists.h"

#include "common/numbers.h"

#include <math.h>

typedef struct cell_slack {
    double time, sum, alone, round, end, end_alone;
} cell_slack;

/* A cell with the lists in front of and behind it. */
typedef struct wanted_cell {
    const uap_stage_terms *terms;
    double toll;
    const uap_list *head, *tail;
    uap_group *group;
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

static bool give_budgets(uap_segments *s, const wanted_cell *w, int32_t x, int32_t length,
                         const double *of)
{
    uap_group_row *row = uap_group_want(s, w->group, x, length, length);
    for (int32_t f = 0; row != NULL && f < w->group->n_functionals; f++) {
        double *budget = &row->budget[f][w->cell - x * w->group->cells];
        *budget = uap_max_f64(*budget, of[f]);
    }
    return row != NULL;
}

/* Budgets of all spans of stage i of type t that start at layer a. */
static bool budget_of_start(uap_mix_outer *o, int32_t i, int32_t a, int32_t t)
{
    const uap_mix *mix = o->mix;
    wanted_cell w = {.terms = uap_mix_terms(o, t, i),
                     .toll = uap_mix_toll(mix, t),
                     .group = uap_mix_group(o, t, i, a),
                     .start = a};
    int32_t first;
    int32_t last;
    bool ok = true;
    if (w.group == NULL) {
        return true;
    }
    uap_stage_lengths(mix->segments[0], i, a, w.group, &first, &last);
    for (int32_t x = 0; x < w.group->n_in; x++) {
        w.head = &o->head[uap_mix_at(o, i, a, uap_mix_in(mix, a, t) + x)];
        for (int32_t l = first; l <= last && w.head->count > 0; l++) {
            const int32_t b = a + l - 1;
            const int32_t n_out = uap_kind_of(mix->chain[t], b)->n_out;
            const bool is_live = uap_mix_is_live(mix, i, t, a, l);
            for (int32_t y = 0; y < n_out && is_live; y++) {
                w.cell = uap_cell(w.group, x, l, y);
                w.tail = &o->tail[uap_mix_at(o, i, b, uap_mix_out(mix, b, t) + y)];
                double of[UAP_MAX_FUNCTIONALS];
                if (w.tail->count > 0 && !isinf(w.group->bound[0][w.cell]) &&
                    leave_to_cell(o, &w, of)) {
                    ok = ok && give_budgets(mix->segments[t], &w, x, l, of);
                }
            }
        }
    }
    return ok;
}

bool uap_mix_budget(uap_mix_outer *o)
{
    const uap_mix *mix = o->mix;
    bool ok = true;
    for (int32_t t = 0; t < mix->n_types; t++) {
        for (int32_t i = 0; i < mix->segments[t]->n_groups; i++) {
            uap_group_forget(&mix->segments[t]->group[i]);
        }
    }
    for (int32_t i = 0; i < mix->pp; i++) {
        for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
            for (int32_t t = 0; t < mix->n_types; t++) {
                ok = ok && budget_of_start(o, i, a, t);
            }
        }
    }
    return ok;
}
