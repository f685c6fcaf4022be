/* Setting a run of labels up: its working memory, the terms its labels are compared by, and
 * where memory cannot run out; and what a row does to a label. */
#include "search/label_sweep.h"

#include "common/clock.h"
#include "common/numbers.h"

#include <math.h>

/* Slots of a group: rows, blocks and in-classes of all its layers. */
static int32_t count_slots(const uap_segments *s, const uap_group *group)
{
    const uap_stage_class *cls = &s->cls[group->class_index];
    int32_t slots = 0;
    for (int32_t l = 0; l < group->n_len; l++) {
        const int32_t kind = s->chain->kind_of[group->start + l];
        slots += s->chain->kind[kind].n + cls->blocks[kind].n + s->chain->kind[kind].n_in;
    }
    return slots;
}

static bool breathe(void *self, int64_t steps)
{
    return uap_segments_breathe(self, steps);
}

bool uap_label_run_init(uap_label_run *run, uap_segments *s)
{
    int32_t n_slots = 1;
    int32_t n_len = 1;
    int32_t n_rows = 1;
    for (int32_t i = 0; i < s->n_groups; i++) {
        n_slots = uap_max_i32(n_slots, count_slots(s, &s->group[i]));
        n_len = uap_max_i32(n_len, s->group[i].n_len);
    }
    for (int32_t i = 0; i < s->chain->n_kinds; i++) {
        n_rows = uap_max_i32(n_rows, s->chain->kind[i].n);
    }
    const size_t width = (size_t)s->chain->width;
    const size_t rows = (size_t)n_rows;
    const size_t tests = UAP_MAX_TESTS;
    *run = (uap_label_run){.s = s,
                           .width = s->chain->width,
                           .n_rows = n_rows,
                           .n_slots = n_slots,
                           .is_patient = true,
                           .shadow = {.breathe = breathe, .self = s},
                           .only = -1};
    run->slot = uap_calloc((size_t)n_len + 1, sizeof *run->slot);
    run->sweep = uap_calloc((rows + width) * tests, sizeof *run->sweep);
    run->places = uap_calloc(width, sizeof *run->places);
    run->work = uap_calloc((size_t)n_len, sizeof *run->work);
    run->room = uap_calloc((size_t)n_len, sizeof *run->room);
    run->most = uap_calloc((size_t)n_len, sizeof *run->most);
    run->rows = uap_calloc(rows, sizeof *run->rows);
    run->next_rows = uap_calloc(rows, sizeof *run->next_rows);
    run->blocks = uap_calloc(rows, sizeof *run->blocks);
    run->next_blocks = uap_calloc(rows, sizeof *run->next_blocks);
    run->in = uap_calloc(width, sizeof *run->in);
    run->least = uap_calloc(rows, sizeof *run->least);
    run->next_least = uap_calloc(rows, sizeof *run->next_least);
    return run->slot != NULL && run->sweep != NULL && run->places != NULL &&
           run->work != NULL && run->room != NULL && run->most != NULL &&
           run->rows != NULL && run->next_rows != NULL && run->blocks != NULL &&
           run->next_blocks != NULL && run->in != NULL && run->least != NULL &&
           run->next_least != NULL;
}

static void free_lists(uap_label_list *list, int32_t n)
{
    for (int32_t i = 0; list != NULL && i < n; i++) {
        uap_labels_free(&list[i]);
    }
    uap_free(list);
}

void uap_label_run_free(uap_label_run *run)
{
    free_lists(run->rows, run->n_rows);
    free_lists(run->next_rows, run->n_rows);
    free_lists(run->blocks, run->n_rows);
    free_lists(run->next_blocks, run->n_rows);
    free_lists(run->in, run->width);
    for (int32_t f = 0; f < UAP_MAX_FUNCTIONALS; f++) {
        free_lists(run->completion[f], run->n_slots);
    }
    for (int32_t i = 0; i < UAP_LABEL_TOWER; i++) {
        uap_labels_free(&run->tower[i]);
    }
    uap_label_shadow_free(&run->shadow);
    uap_labels_free(&run->carry);
    uap_labels_free(&run->shifted);
    uap_labels_free(&run->merged);
    uap_labels_free(&run->leaving);
    uap_free(run->slot);
    uap_free(run->bands);
    uap_free(run->likely);
    uap_free(run->limit);
    for (int32_t i = 0; run->least != NULL && i < run->n_rows; i++) {
        uap_free(run->least[i].at);
    }
    for (int32_t i = 0; run->next_least != NULL && i < run->n_rows; i++) {
        uap_free(run->next_least[i].at);
    }
    uap_free(run->least);
    uap_free(run->next_least);
    uap_free(run->room_of_link);
    uap_free(run->least_of);
    uap_free(run->sweep);
    uap_free(run->places);
    uap_free(run->work);
    uap_free(run->room);
    uap_free(run->most);
    uap_free(run->reach);
    uap_free(run->set);
}

static uap_dominance choose_terms(const uap_label_run *run)
{
    const uap_chain *chain = run->s->chain;
    const uap_value_form form = {
        .is_single = run->only >= 0 || run->cls->scalar,
        .is_simple = chain->instance->objective == UAP_OBJECTIVE_SIMPLE,
        .has_round_trips = run->s->is_round_trip,
        .is_first = run->group->start == 0,
        .is_split = run->cls->split,
        .has_grad = run->cls->grad && !run->group->no_grad,
        .has_later_grad = !run->group->no_forward,
        .halves_in_order = run->s->halves_in_order,
        .c = chain->c,
        .k = uap_min_i64(run->cls->inflight, chain->c),
    };
    return uap_dominance_of(&form);
}

/* The longest wanted length of this start class. */
static int32_t longest_wanted(const uap_label_run *run)
{
    const uap_group *group = run->group;
    int32_t l = group->n_len;
    bool wanted = false;
    while (l > 0 && !wanted) {
        l--;
        for (int32_t i = group->offset[l]; i < group->offset[l + 1]; i++) {
            wanted = wanted || !isinf(run->budget[0][i]);
        }
    }
    return l + 1;
}

static int64_t most_of(const int64_t *values, int32_t n)
{
    int64_t most = 0;
    for (int32_t k = 0; k < n; k++) {
        most = uap_max_i64(most, values[k]);
    }
    return most;
}

/* Where memory cannot run out, seen from the labels and from what follows them. */
static void find_room(uap_label_run *run)
{
    const int32_t longest = longest_wanted(run);
    int64_t work = 0;
    int64_t sum = run->s->chain->start_act[run->group->start] * run->cls->inflight;
    for (int32_t l = 0; l < longest; l++) {
        work =
            uap_max_i64(work, most_of(uap_run_rows(run, l)->w, uap_run_kind(run, l)->n));
    }
    for (int32_t l = 0; l < run->group->n_len; l++) {
        sum += most_of(uap_run_rows(run, l)->m, uap_run_kind(run, l)->n);
        run->most[l] = sum + work;
    }
    for (int32_t l = 0; l < run->group->n_len; l++) {
        const int64_t later = run->most[longest - 1] - run->most[l];
        run->room[l] = l < longest ? run->cls->cap - work - later : -1;
    }
}

void uap_label_run_start(uap_label_run *run, uap_group *group, int32_t x,
                         const double *const *budget)
{
    run->group = group;
    run->cls = &run->s->cls[group->class_index];
    run->x = x;
    run->is_too_long = false;
    run->is_dropped = false;
    run->allowance = INT64_MAX;
    run->undated = 0;
    run->looked = 0;
    run->start_s = run->is_patient ? 0 : uap_cpu_s();
    run->rule = choose_terms(run);
    for (int32_t f = 0; f < group->n_functionals; f++) {
        run->budget[f] = budget[f];
    }
    int64_t work = 0;
    run->slot[0] = 0;
    for (int32_t l = 0; l < group->n_len; l++) {
        const uap_kind *kind = uap_run_kind(run, l);
        work = uap_max_i64(work, kind->min_work);
        run->work[l] = work;
        run->slot[l + 1] =
            run->slot[l] + kind->n + uap_run_blocks(run, l)->n + kind->n_in;
    }
    find_room(run);
}

uap_label uap_label_run_step(const uap_label_run *run, const uap_row_view *row, int32_t k)
{
    if (run->only < 0) {
        const int64_t g = run->group->no_grad ? 0 : row->g[k];
        return (uap_label){row->p[k], row->f[k], g, row->m[k], row->w[k]};
    }
    const double q = row->q[run->group->measure[run->only]][k];
    return (uap_label){.p = (int64_t)q, .m = row->m[k], .w = row->w[k]};
}

void uap_label_run_add(const uap_label_run *run, int32_t l, const uap_label *step,
                       uap_label *label)
{
    label->p += step->p;
    label->f += step->f;
    label->g += step->g;
    label->m += step->m;
    label->w = uap_max_i64(label->w, step->w);
    if (label->m <= run->room[l]) {
        label->m = label->w = 0;
    }
}
