/* Exact Pareto sets of segments by label setting: from one start class labels walk layer by
 * layer, and those that cannot reach a wanted end within its budget are dropped
 * (label_limit.c). Nothing that could belong to a plan within the target is lost. */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

/* False when the run must stop, or has become too much for rough limits. */
static bool count_work(uap_label_run *run, int64_t work)
{
    run->done += work;
    run->is_too_rough = run->is_rough && run->done > run->s->rough_work;
    return !uap_segments_poll(run->s, work) && !run->is_too_rough;
}

/* Merges `from` into the list. False when out of memory, or when the run must stop. */
static bool merge_into(uap_label_run *run, const uap_label_list *from,
                       uap_label_list *list)
{
    if (from->n == 0) {
        return true;
    }
    const size_t both = list->n + from->n;
    const size_t pairs = uap_run_is_plane(run) ? 0 : list->n * from->n / UAP_LABEL_BLOCK;
    const int64_t work = (int64_t)(both + pairs);
    if (!count_work(run, work)) {
        return false;
    }
    if (!uap_labels_merge(list, from, &run->rule, &run->shadow, &run->merged)) {
        run->no_memory = true;
        return false;
    }
    const uap_label_list swap = *list;
    *list = run->merged;
    run->merged = swap;
    return true;
}

static bool reserve(uap_label_run *run, uap_label_list *list, size_t n)
{
    run->no_memory = run->no_memory || !uap_labels_reserve(list, n);
    return !run->no_memory;
}

/* Keeps the labels for uap_segments_path. */
static bool save(uap_label_run *run, int32_t slot, const uap_label_list *list)
{
    uap_label_list *to = &run->saved[slot];
    if (list->n == 0) {
        return true;
    }
    if (!reserve(run, to, to->n + list->n)) {
        return false;
    }
    memcpy(to->at + to->n, list->at, list->n * sizeof *to->at);
    to->n += list->n;
    return true;
}

/* Labels in front of layer l through its row k: those that can go on, and those that can
 * leave. */
static bool pass_row(uap_label_run *run, int32_t l, int32_t k, const uap_label_list *from)
{
    if (from->n == 0) {
        return true;
    }
    if (!reserve(run, &run->shifted, from->n) || !reserve(run, &run->leaving, from->n)) {
        return false;
    }
    const uap_label step = uap_label_run_step(run, uap_run_rows(run, l), k);
    const int32_t block = uap_run_blocks(run, l)->block_of[k];
    const int32_t row_slot = uap_row_slot(run, l, k);
    const int32_t block_slot = uap_block_slot(run, l, block);
    const bool goes_on = uap_run_goes_on(run, l);
    const int64_t least_work = run->work[l];
    run->shifted.n = 0;
    run->leaving.n = 0;
    for (size_t i = 0; i < from->n; i++) {
        uap_label next = from->at[i];
        uap_label_run_add(run, l, &step, &next);
        if (next.m + uap_max_i64(next.w, least_work) > run->cls->cap) {
            continue;
        }
        if (goes_on && uap_limits_allow(run, row_slot, &next)) {
            run->shifted.at[run->shifted.n++] = next;
        }
        if (uap_limits_allow(run, block_slot, &next)) {
            run->leaving.at[run->leaving.n++] = next;
        }
    }
    run->s->labels += (int64_t)(run->shifted.n + run->leaving.n);
    if (!count_work(run, (int64_t)from->n)) {
        return false;
    }
    if (run->saved != NULL &&
        (!save(run, row_slot, &run->shifted) || !save(run, row_slot, &run->leaving))) {
        return false;
    }
    return merge_into(run, &run->shifted, &run->next_rows[k]) &&
           merge_into(run, &run->leaving, &run->next_blocks[block]);
}

/* Labels of a block behind layer l - 1 that go on with its rows in order. */
static bool continue_block(uap_label_run *run, int32_t l, int32_t e)
{
    const uap_blocks *b = uap_run_blocks(run, l);
    uap_label_list *carry = &run->carry;
    carry->n = 0;
    for (int32_t i = b->first[e]; i < b->first[e + 1]; i++) {
        const int32_t k = b->order[i];
        const int32_t slot = uap_row_slot(run, l - 1, k);
        size_t kept = 0;
        for (size_t j = 0; j < carry->n; j++) {
            if (uap_limits_allow(run, slot, &carry->at[j])) {
                carry->at[kept++] = carry->at[j];
            }
        }
        carry->n = kept;
        if (!merge_into(run, &run->rows[k], carry) || !pass_row(run, l, k, carry)) {
            return false;
        }
    }
    return true;
}

/* What the link in front of layer l makes of the labels of a block, into run->shifted; only what
 * can still reach an end from in-class x. is_inside: layer l goes on from that block. */
static bool follow_link(uap_label_run *run, int32_t l, int32_t x, bool is_inside,
                        int32_t e)
{
    const uap_label_list *from = &run->blocks[e];
    const uap_label step =
        uap_label_run_link(run, l - 1, uap_run_blocks(run, l - 1)->out[e], x);
    const int32_t slot = uap_entry_slot(run, l, x);
    if (!reserve(run, &run->shifted, from->n)) {
        return false;
    }
    /* Labels of one functional alone stand in the order of their times. */
    const bool in_order = run->only >= 0 && !is_inside;
    const double most = in_order ? uap_limits_most(run, slot) : HUGE_VAL;
    size_t n = 0;
    for (size_t i = 0; i < from->n; i++) {
        uap_label next = from->at[i];
        next.p += step.p;
        next.f += step.f;
        if ((double)next.p > most) {
            break;
        }
        if (is_inside || uap_limits_admit(run, slot, &next)) {
            run->shifted.at[n++] = next;
        }
    }
    run->shifted.n = n;
    return true;
}

/* Merges the labels that leave layer l - 1 into in-class x of layer l. Those of a block that
 * goes on with rows of its own are not among them: they have gone already. */
static bool enter(uap_label_run *run, int32_t l, int32_t x, int32_t into,
                  uap_label_list *to)
{
    const uap_blocks *b = uap_run_blocks(run, l - 1);
    to->n = 0;
    for (int32_t e = 0; e < b->n; e++) {
        const uap_label_list *from = &run->blocks[e];
        if (from->n == 0 || (e == into && b->is_free[e])) {
            continue;
        }
        if (!count_work(run, (int64_t)from->n) || !follow_link(run, l, x, into >= 0, e) ||
            !merge_into(run, &run->shifted, to)) {
            return false;
        }
    }
    return true;
}

/* Layer l inside a run: blocks go on, or change into another block. */
static bool pass_inside(uap_label_run *run, int32_t l)
{
    const uap_blocks *b = uap_run_blocks(run, l);
    for (int32_t e = 0; e < b->n; e++) {
        if (b->is_free[e] && !continue_block(run, l, e)) {
            return false;
        }
        if (!enter(run, l, b->in[e], e, &run->carry)) {
            return false;
        }
        for (int32_t i = b->first[e]; i < b->first[e + 1]; i++) {
            if (!pass_row(run, l, b->order[i], &run->carry)) {
                return false;
            }
        }
    }
    return true;
}

/* The first layer of the stage, or one unlike the layer before. */
static bool pass_anew(uap_label_run *run, int32_t l)
{
    const uap_kind *kind = uap_run_kind(run, l);
    for (int32_t x = 0; l > 0 && x < kind->n_in; x++) {
        if (!enter(run, l, x, -1, &run->in[x])) {
            return false;
        }
    }
    for (int32_t k = 0; k < kind->n; k++) {
        if (!pass_row(run, l, k, &run->in[kind->in[k]])) {
            return false;
        }
    }
    return true;
}

static void swap_lists(uap_label_list **a, uap_label_list **b)
{
    uap_label_list *swap = *a;
    *a = *b;
    *b = swap;
}

/* Labels in front of layer l through its rows; *any: some survive. */
static bool pass_layer(uap_label_run *run, int32_t l, bool *any)
{
    const int32_t n = uap_run_kind(run, l)->n;
    const int32_t n_blocks = uap_run_blocks(run, l)->n;
    for (int32_t k = 0; k < n; k++) {
        run->next_rows[k].n = 0;
    }
    for (int32_t e = 0; e < n_blocks; e++) {
        run->next_blocks[e].n = 0;
    }
    const bool inside = l > 0 && uap_run_goes_on(run, l - 1);
    if (!(inside ? pass_inside(run, l) : pass_anew(run, l))) {
        return false;
    }
    swap_lists(&run->rows, &run->next_rows);
    swap_lists(&run->blocks, &run->next_blocks);
    *any = false;
    for (int32_t k = 0; k < n; k++) {
        *any = *any || run->rows[k].n > 0;
    }
    for (int32_t e = 0; e < n_blocks; e++) {
        *any = *any || run->blocks[e].n > 0;
    }
    return true;
}

/* All labels behind layer l in class y, into run->carry. */
static bool gather(uap_label_run *run, int32_t l, int32_t y)
{
    const uap_blocks *b = uap_run_blocks(run, l);
    run->carry.n = 0;
    for (int32_t e = 0; e < b->n; e++) {
        if (b->out[e] == y && !merge_into(run, &run->blocks[e], &run->carry)) {
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
    uap_segment_set *set = &run->group->set[run->x * run->group->cells + cell];
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
    for (int32_t i = 0; i < n_in; i++) {
        run->in[i].n = 0;
    }
    if (!reserve(run, &run->in[run->x], 1)) {
        return false;
    }
    run->in[run->x].n = 1;
    run->in[run->x].at[0] =
        (uap_label){.m = chain->start_act[group->start] * run->cls->inflight};
    for (int32_t l = 0; l < group->n_len; l++) {
        bool any = false;
        if (!pass_layer(run, l, &any)) {
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
        uap_segment_set *set = group->set + (size_t)run->x * (size_t)group->cells;
        memset(set, 0, (size_t)group->cells * sizeof *set);
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
    if (!run->is_too_rough) {
        return false;
    }
    forget_walk(run, n_points, n_raised);
    run->is_ordered = true;
    run->is_rough = false;
    return uap_limits_prepare(run) && walk(run);
}
