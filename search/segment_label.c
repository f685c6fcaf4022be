/* What labels mean where a stage may end behind them: the exact Pareto set of the segment, or
 * the least of one functional alone. */
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

/* True when one of the first n points of the set at hand is nowhere worse than the label. */
static bool set_covers(const uap_label_run *run, int32_t n, const uap_label *label)
{
    for (int32_t i = 0; i < n; i++) {
        const uap_segment_point *q = &run->set[i];
        const uap_label at = {.p = q->p, .f = q->f, .g = q->g};
        if (uap_terms_cover(&run->rule, &at, label)) {
            return true;
        }
    }
    return false;
}

static bool reserve_set(uap_label_run *run, size_t n)
{
    if (n > run->set_capacity) {
        uap_segment_point *set = uap_realloc(run->set, 2 * n, sizeof *set);
        if (set == NULL) {
            run->no_memory = true;
            return false;
        }
        run->set = set;
        run->set_capacity = 2 * n;
    }
    return true;
}

/* Notes the Pareto set in (p, f, g) of what ends behind layer l in class y. */
static bool put_set(uap_label_run *run, int32_t l, int32_t y)
{
    const int32_t cell = run->group->offset[l] + y;
    const uap_label_list *list = &run->carry;
    uap_label_ends ends = {.cell = cell};
    if (!reserve_set(run, list->n)) {
        return false;
    }
    for (size_t i = 0; i < list->n; i++) {
        const uap_label *label = &list->at[i];
        bool wanted = true;
        for (int32_t f = 0; f < run->group->n_functionals; f++) {
            const double q = uap_label_run_value(run, f, label);
            wanted = wanted && q <= run->budget[f][cell] + 1 + UAP_LABEL_MARGIN * q;
        }
        if (wanted && !set_covers(run, ends.n, label)) {
            run->set[ends.n++] = (uap_segment_point){label->p, label->f, label->g};
        }
    }
    if (ends.n == 0) {
        return true;
    }
    run->n_records++;
    run->no_memory =
        !uap_bytes_put(run->records, &ends, sizeof ends) ||
        !uap_bytes_put(run->records, run->set, (size_t)ends.n * sizeof *run->set);
    return !run->no_memory;
}

/* Notes that no plan within the budget of a cell of this run is below `bound`. */
static bool put_raised(uap_label_run *run, int32_t cell, double bound)
{
    const uap_raised raised = {.functional = run->only, .cell = cell, .bound = bound};
    run->n_records++;
    run->no_memory =
        run->no_memory || !uap_bytes_put(run->records, &raised, sizeof raised);
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

bool uap_label_end_stages(uap_label_run *run, int32_t l)
{
    const int32_t n_out = uap_run_kind(run, l)->n_out;
    for (int32_t y = 0; y < n_out; y++) {
        if (isinf(run->budget[0][run->group->offset[l] + y])) {
            continue;
        }
        if (!gather(run, l, y)) {
            return false;
        }
        if (!(run->only >= 0 ? raise_bound(run, l, y) : put_set(run, l, y))) {
            return false;
        }
    }
    return true;
}
