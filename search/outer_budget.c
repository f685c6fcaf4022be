/* Budgets of segments: the most that each of their measures may be in a plan within the
 * target, from the lists of the relaxation in front of and behind them. */
#include "search/outer_lists.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

/* Most that a stage's time, its share of S and its span may be in plans within the target. */
typedef struct cell_slack {
    double time, sum, alone, round;
} cell_slack;

/* Widens the slack by what a prefix h and a suffix t leave. */
static void pair_slack(const uap_outer *o, int32_t i, uap_relaxed h, uap_relaxed t,
                       cell_slack *slack)
{
    const uap_stage_terms *terms = &o->terms[i];
    const double c = (double)o->c;
    const double room = o->target - h.s - t.s;
    double p = uap_min_f64(room - uap_max_f64(h.m, t.m), room / (1 + terms->kappa));
    if (terms->round_trips) {
        p = uap_min_f64(p, (o->target - h.s) / c);
        for (int32_t r = 0; r < terms->n_rounds; r++) {
            const double times = terms->rounds[r];
            p = uap_min_f64(p, (room - (times - 1) * t.s) / (times + terms->rest[r]));
        }
    }
    slack->time = uap_max_f64(slack->time, p);
    slack->sum = uap_max_f64(slack->sum, room - uap_max_f64(h.m, t.m));
    slack->alone = uap_max_f64(slack->alone, room);
    const double rounds = terms->n_rounds > 0 ? terms->rounds[1] : 0;
    slack->round = uap_max_f64(slack->round, o->target - h.s - rounds * t.s);
}

typedef struct wanted_cell {
    uap_group *group;
    int32_t x, length, cell;
} wanted_cell;

/* What the lists on both sides leave to a cell, by functional; false: less than it needs. */
static bool leave_to_cell(const uap_outer *o, int32_t i, const uap_list *head,
                          const uap_list *tail, const wanted_cell *w, double *of)
{
    const uap_group *group = w->group;
    cell_slack slack = {-HUGE_VAL, -HUGE_VAL, -HUGE_VAL, -HUGE_VAL};
    const double least = uap_max_f64(group->bound[0][w->cell], 0);
    for (int32_t j = 0; j < head->count; j++) {
        const uap_relaxed h = o->pool[head->first + j];
        for (int32_t k = 0; k < tail->count; k++) {
            const uap_relaxed t = o->pool[tail->first + k];
            if (h.s + t.s + least > o->target) {
                break; /* sums only grow along the list */
            }
            pair_slack(o, i, h, t, &slack);
        }
    }
    of[0] = slack.time;
    for (int32_t f = 1; f < group->n_functionals; f++) {
        of[f] = f == group->sum     ? slack.sum
                : f == group->alone ? slack.alone
                                    : slack.round;
    }
    for (int32_t f = 0; f < group->n_functionals; f++) {
        if (of[f] < group->bound[f][w->cell]) {
            return false;
        }
    }
    return true;
}

static bool give_budgets(uap_segments *s, const wanted_cell *w, const double *of)
{
    uap_group_row *row = uap_group_want(s, w->group, w->x, w->length, w->length);
    for (int32_t f = 0; row != NULL && f < w->group->n_functionals; f++) {
        double *budget = &row->budget[f][w->cell - w->x * w->group->cells];
        *budget = uap_max_f64(*budget, of[f]);
    }
    return row != NULL;
}

/* Budgets of all spans of stage i that start at layer a. */
static bool budget_of_start(uap_outer *o, int32_t i, int32_t a, uap_group *group)
{
    wanted_cell w = {.group = group};
    int32_t first;
    int32_t last;
    bool ok = true;
    uap_stage_lengths(o->segments, i, a, group, &first, &last);
    for (w.x = 0; w.x < group->n_in; w.x++) {
        const uap_list *head = uap_outer_head(o, i, a, w.x);
        for (w.length = first; w.length <= last && head->count > 0; w.length++) {
            const int32_t b = a + w.length - 1;
            const int32_t n_out = uap_kind_of(o->chain, b)->n_out;
            for (int32_t y = 0; y < n_out; y++) {
                const uap_list *tail = uap_outer_tail(o, i, b, y);
                double of[UAP_MAX_FUNCTIONALS];
                w.cell = uap_cell(group, w.x, w.length, y);
                if (tail->count > 0 && !isinf(group->bound[0][w.cell]) &&
                    leave_to_cell(o, i, head, tail, &w, of)) {
                    ok = ok && give_budgets(o->segments, &w, of);
                }
            }
        }
    }
    return ok;
}

/* The wanted cells of start class x are among those from `first` to before `end`, their lengths
 * among those given; budgets of all of these, functional by functional, stand behind it. */
typedef struct put_row {
    int32_t x, first, end, shortest, longest;
} put_row;

static put_row extent_of(const uap_group *group, int32_t x)
{
    const double *budget = group->row[x].budget[0];
    put_row r = {.x = x, .end = uap_group_cells(group), .shortest = 1};
    while (isinf(budget[r.first])) {
        r.first++;
    }
    while (isinf(budget[r.end - 1])) {
        r.end--;
    }
    while (group->offset[r.shortest] <= r.first) {
        r.shortest++;
    }
    r.longest = r.shortest;
    while (group->offset[r.longest] < r.end) {
        r.longest++;
    }
    return r;
}

/* The result of a group: how many rows are wanted, and each. */
static bool put_budgets(const uap_group *group, uap_bytes *out)
{
    const size_t begun = out->n;
    int32_t n = 0;
    bool ok = uap_bytes_put(out, &n, sizeof n);
    for (int32_t x = 0; ok && x < group->n_in; x++) {
        if (!group->row[x].wanted) {
            continue;
        }
        const put_row r = extent_of(group, x);
        ok = uap_bytes_put(out, &r, sizeof r);
        for (int32_t f = 0; ok && f < group->n_functionals; f++) {
            ok = uap_bytes_put(out, group->row[x].budget[f] + r.first,
                               (size_t)(r.end - r.first) * sizeof(double));
        }
        n++;
    }
    if (ok) {
        memcpy(out->at + begun, &n, sizeof n);
    }
    return ok;
}

static uap_status run_group(void *self, int32_t task, uap_bytes *out, bool *stop,
                            uap_err *err)
{
    uap_outer *o = self;
    uap_segments *s = o->segments;
    uap_group *group = &s->group[task];
    const int32_t *group_of = s->cls[group->class_index].group_of;
    bool ok = true;
    uap_group_forget(group);
    for (int32_t i = 0; i < o->chain->pp; i++) {
        for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
            if (s->class_of[i] == group->class_index && group_of[a] == task) {
                ok = ok && budget_of_start(o, i, a, group);
            }
        }
    }
    *stop = uap_segments_breathe(s, (int64_t)group->n_in * uap_group_cells(group));
    return ok && put_budgets(group, out)
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for cuts");
}

static uap_status apply_group(void *self, int32_t task, const char *result, uap_err *err)
{
    const uap_outer *o = self;
    uap_group *group = &o->segments->group[task];
    int32_t n = 0;
    uap_group_forget(group);
    result = uap_bytes_get(result, &n, sizeof n);
    while (n-- > 0) {
        put_row r;
        result = uap_bytes_get(result, &r, sizeof r);
        const uap_group_row *row =
            uap_group_want(o->segments, group, r.x, r.shortest, r.longest);
        if (row == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for cuts");
        }
        for (int32_t f = 0; f < group->n_functionals; f++) {
            result = uap_bytes_get(result, row->budget[f] + r.first,
                                   (size_t)(r.end - r.first) * sizeof(double));
        }
    }
    return UAP_OK;
}

uap_status uap_outer_budget(uap_outer *o, uap_err *err)
{
    uap_segments *s = o->segments;
    uap_crew_job all = {.self = o,
                        .n = s->n_groups,
                        .effort = INT64_MAX,
                        .run = run_group,
                        .apply = apply_group};
    uap_status rc = UAP_OK;
    bool stopped = false;
    for (int32_t i = 0; i < s->n_groups; i++) {
        all.work += 4 * (int64_t)s->group[i].n_in * uap_group_cells(&s->group[i]);
    }
    if (s->stopped) {
        goto done;
    }
    UAP_TRY(uap_crew_do(s->crew, &all, &stopped, err));
    s->stopped = s->stopped || stopped;
done:
    return rc;
}
