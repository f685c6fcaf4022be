/* Exact Pareto sets of segments by label setting: from one start class labels walk layer by
 * layer, and those that cannot reach a wanted end within its budget are dropped
 * (label_limit.c). Nothing that could belong to a plan within the target is lost. */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

/* All labels behind layer l in class y, into run->carry. */
static bool gather(uap_label_run *run, int32_t l, int32_t y)
{
    const uap_blocks *b = uap_run_blocks(run, l);
    run->carry.n = 0;
    for (int32_t e = 0; e < b->n; e++) {
        if (b->out[e] == y && !uap_label_merge_into(run, &run->blocks[e], &run->carry)) {
            return false;
        }
    }
    return true;
}

bool uap_segments_reserve(uap_segments *s, int64_t more)
{
    if (s->n_points + more <= s->point_capacity) {
        return true;
    }
    int64_t capacity = s->point_capacity < 1024 ? 1024 : s->point_capacity;
    while (capacity < s->n_points + more) {
        capacity *= 2;
    }
    uap_segment_point *point = uap_realloc(s->point, (size_t)capacity, sizeof *point);
    if (point == NULL) {
        return false;
    }
    s->point = point;
    s->point_capacity = capacity;
    return true;
}

/* True when a point of the set is nowhere worse than the label. */
static bool set_covers(const uap_label_run *run, const uap_segment_set *set,
                       const uap_label *label)
{
    for (int32_t i = 0; i < set->count; i++) {
        const uap_segment_point *q = &run->s->point[set->first + i];
        const uap_label at = {.p = q->p, .f = q->f, .g = q->g};
        if (uap_terms_cover(&run->rule, &at, label)) {
            return true;
        }
    }
    return false;
}

/* The Pareto set in (p, f, g) of what ends behind layer l in class y. */
static bool emit_set(uap_label_run *run, int32_t l, int32_t y)
{
    uap_segments *s = run->s;
    const int32_t cell = run->group->offset[l] + y;
    const uap_label_list *list = &run->carry;
    if (!uap_segments_reserve(s, (int64_t)list->n)) {
        run->no_memory = true;
        return false;
    }
    uap_segment_set *set = &run->group->row[run->x].set[cell];
    *set = (uap_segment_set){.first = s->n_points};
    for (size_t i = 0; i < list->n; i++) {
        const uap_label *label = &list->at[i];
        bool wanted = true;
        for (int32_t f = 0; f < run->group->n_functionals; f++) {
            const double q = uap_label_run_value(run, f, label);
            wanted = wanted && q <= run->budget[f][cell] + 1 + UAP_LABEL_MARGIN * q;
        }
        if (wanted && !set_covers(run, set, label)) {
            s->point[s->n_points++] = (uap_segment_point){label->p, label->f, label->g};
            set->count++;
        }
    }
    return true;
}

/* Notes that no plan within the budget of a cell of this run is below `bound`. */
static bool put_raised(uap_label_run *run, int32_t cell, double bound)
{
    const uap_raised raised = {.functional = run->only, .cell = cell, .bound = bound};
    run->no_memory =
        run->no_memory || !uap_bytes_put(run->raised, &raised, sizeof raised);
    return !run->no_memory;
}

/* The least value of the functional at (l, y). */
static bool raise_bound(uap_label_run *run, int32_t l, int32_t y)
{
    const int32_t cell = run->group->offset[l] + y;
    const double budget = run->budget[run->only][cell];
    const uap_label_list *list = &run->carry;
    const double least = list->n == 0
                             ? budget * (1 + UAP_LABEL_MARGIN) + 1
                             : (double)list->at[0].p * (1 - UAP_LABEL_MARGIN) - 1;
    return put_raised(run, cell, least);
}

/* What the labels behind layer l mean where the stage may end there. */
static bool end_stage(uap_label_run *run, int32_t l)
{
    const int32_t n_out = uap_run_kind(run, l)->n_out;
    for (int32_t y = 0; y < n_out; y++) {
        if (isinf(run->budget[0][run->group->offset[l] + y])) {
            continue;
        }
        if (!gather(run, l, y)) {
            return false;
        }
        if (!(run->only >= 0 ? raise_bound(run, l, y) : emit_set(run, l, y))) {
            return false;
        }
    }
    return true;
}

/* One walk through the group's layers within the limits at hand. */
static bool walk(uap_label_run *run)
{
    const uap_group *group = run->group;
    const uap_chain *chain = run->s->chain;
    const int32_t n_in = uap_kind_of(chain, group->start)->n_in;
    run->done = 0;
    memset(run->last_steps, 0, sizeof run->last_steps);
    for (int32_t i = 0; i < n_in; i++) {
        run->in[i].n = 0;
    }
    if (!uap_label_run_reserve(run, &run->in[run->x], 1)) {
        return false;
    }
    run->in[run->x].n = 1;
    run->in[run->x].at[0] =
        (uap_label){.m = chain->start_act[group->start] * run->cls->inflight};
    for (int32_t l = 0; l < group->n_len; l++) {
        bool any = false;
        if (!uap_label_pass_layer(run, l, &any)) {
            return false;
        }
        if (!any && run->only < 0) {
            return true;
        }
        if (run->saved == NULL && !end_stage(run, l)) {
            return false;
        }
    }
    return true;
}

static void forget_walk(uap_label_run *run, int64_t n_points, size_t n_raised)
{
    uap_segments *s = run->s;
    const uap_group *group = run->group;
    if (run->only >= 0) {
        run->raised->n = n_raised;
    }
    for (int32_t i = 0; run->saved != NULL && i < run->n_slots; i++) {
        run->saved[i].n = 0;
    }
    if (run->saved == NULL && run->only < 0) {
        uap_segment_set *set = group->row[run->x].set;
        memset(set, 0, (size_t)uap_group_cells(group) * sizeof *set);
        s->n_points = n_points;
    }
}

/* Runs the labels of one start class: first within rough limits, which are soon made, then,
 * where these let too many pass, within sharp ones and with blocks in order. */
bool uap_label_run_labels(uap_label_run *run)
{
    const int64_t n_points = run->s->n_points;
    const size_t n_raised = run->raised == NULL ? 0 : run->raised->n;
    run->is_too_rough = false;
    run->is_ordered = false;
    run->is_rough = true;
    if (!uap_limits_prepare(run)) {
        return false;
    }
    if (walk(run)) {
        return true;
    }
    if (run->is_too_rough && !run->is_too_long) {
        forget_walk(run, n_points, n_raised);
        run->is_ordered = true;
        run->is_rough = false;
        run->is_too_rough = false;
        if (uap_limits_prepare(run) && walk(run)) {
            return true;
        }
    }
    if (run->is_too_long) {
        forget_walk(run, n_points, n_raised);
    }
    return false;
}
