/* Groups of segments: starts that see the same layers ahead share the bounds, budgets and
 * sets of their cells. */
#include "search/segment.h"

#include <math.h>

/* Longest segment from start a that stays inside its run sees the same layers as from any
 * other start of the run. */
static bool shares_group(const uap_segments *s, const uap_stage_class *cls, int32_t a,
                         int32_t b)
{
    const uap_chain *chain = s->chain;
    return a > 0 && chain->run_end[a] == chain->run_end[b] &&
           chain->start_act[a] == chain->start_act[b] &&
           chain->run_end[a] - b + 1 >= cls->n_max;
}

static void choose_measures(const uap_segments *s, const uap_stage_class *cls,
                            uap_group *group)
{
    const bool tail = group->start == 0 && cls->grad && !cls->scalar;
    const bool halves = cls->weights[UAP_MEASURE_SPAN].f != 0;
    group->measure[group->n_functionals++] = UAP_MEASURE_TIME;
    group->sum = 0;
    group->alone = group->round = -1;
    group->end = group->end_alone = -1;
    if (tail) {
        group->sum = group->n_functionals;
        group->measure[group->n_functionals++] = UAP_MEASURE_TIME_GRAD;
    }
    if (tail || halves) {
        group->alone = group->n_functionals;
        group->measure[group->n_functionals++] =
            tail ? UAP_MEASURE_SPAN_GRAD : UAP_MEASURE_SPAN;
    }
    if (tail && s->is_round_trip) {
        group->round = group->n_functionals;
        group->measure[group->n_functionals++] = UAP_MEASURE_ROUND_GRAD;
    }
    if (!tail && cls->grad && !cls->scalar && s->weighs_ends) {
        group->end = group->n_functionals;
        group->measure[group->n_functionals++] = UAP_MEASURE_TIME_GRAD;
        group->end_alone = group->n_functionals;
        group->measure[group->n_functionals++] = UAP_MEASURE_SPAN_GRAD;
    }
}

static bool make_group(uap_segments *s, int32_t class_index, int32_t start)
{
    const uap_chain *chain = s->chain;
    const uap_stage_class *cls = &s->cls[class_index];
    uap_group *group = &s->group[s->n_groups++];
    *group = (uap_group){.class_index = class_index,
                         .start = start,
                         .n_in = uap_kind_of(chain, start)->n_in,
                         .n_len = cls->n_max};
    if (group->n_len > chain->n_layers - start) {
        group->n_len = chain->n_layers - start;
    }
    for (int32_t l = 0; l < group->n_len; l++) {
        if (uap_kind_of(chain, start + l)->n == 0) {
            group->n_len = l;
        }
    }
    group->offset = uap_arena_alloc(s->arena, (size_t)group->n_len + 1, sizeof(int32_t));
    if (group->offset == NULL) {
        return false;
    }
    for (int32_t l = 0; l < group->n_len; l++) {
        group->offset[l] = group->cells;
        group->cells += uap_kind_of(chain, start + l)->n_out;
    }
    group->offset[group->n_len] = group->cells;
    choose_measures(s, cls, group);
    const size_t n = (size_t)group->n_in * (size_t)group->cells;
    for (int32_t f = 0; f < group->n_functionals; f++) {
        group->bound[f] = uap_arena_take(s->arena, n, sizeof(double));
        if (group->bound[f] == NULL) {
            return false;
        }
    }
    group->row = uap_arena_alloc(s->arena, (size_t)group->n_in, sizeof *group->row);
    group->looked = uap_arena_alloc(
        s->arena, (size_t)group->n_in * (UAP_MAX_FUNCTIONALS + 1), sizeof *group->looked);
    return group->row != NULL && group->looked != NULL;
}

static bool make_row(uap_segments *s, const uap_group *group, uap_group_row *row)
{
    const size_t n = (size_t)uap_group_cells(group);
    for (int32_t f = 0; f < group->n_functionals; f++) {
        row->budget[f] = uap_arena_take(s->arena, n, sizeof *row->budget[f]);
        if (row->budget[f] == NULL) {
            return false;
        }
    }
    return true;
}

static void clear_budgets(const uap_group *group, uap_group_row *row)
{
    for (int32_t f = 0; f < group->n_functionals; f++) {
        for (int32_t i = 0; i < uap_group_cells(group); i++) {
            row->budget[f][i] = -HUGE_VAL;
        }
    }
}

uap_group_row *uap_group_want(uap_segments *s, uap_group *group, int32_t x,
                              int32_t shortest, int32_t longest)
{
    uap_group_row *row = &group->row[x];
    if (row->budget[0] == NULL && !make_row(s, group, row)) {
        return NULL;
    }
    if (!row->wanted) {
        clear_budgets(group, row);
        row->wanted = true;
    }
    group->longest = longest > group->longest ? longest : group->longest;
    group->shortest =
        group->shortest == 0 || shortest < group->shortest ? shortest : group->shortest;
    return row;
}

void uap_group_forget(uap_group *group)
{
    for (int32_t x = 0; x < group->n_in; x++) {
        group->row[x].wanted = false;
    }
    group->shortest = group->longest = 0;
}

bool uap_segments_group(uap_segments *s)
{
    const int32_t n_layers = s->chain->n_layers;
    const size_t most = (size_t)s->n_classes * (size_t)n_layers;
    s->group = uap_arena_alloc(s->arena, most, sizeof *s->group);
    if (s->group == NULL) {
        return false;
    }
    for (int32_t j = 0; j < s->n_classes; j++) {
        uap_stage_class *cls = &s->cls[j];
        cls->group_of =
            uap_arena_alloc(s->arena, (size_t)n_layers, sizeof *cls->group_of);
        if (cls->group_of == NULL) {
            return false;
        }
        for (int32_t a = 0; a < n_layers; a++) {
            cls->group_of[a] = -1;
        }
        for (int32_t a = cls->lo; a <= cls->hi && cls->n_max > 0; a++) {
            const bool shared =
                a > cls->lo &&
                shares_group(s, cls, s->group[cls->group_of[a - 1]].start, a);
            if (!shared && !make_group(s, j, a)) {
                return false;
            }
            cls->group_of[a] = s->n_groups - 1;
        }
    }
    return true;
}
