/* From a point of a segment's Pareto set back to the strategies behind it: the labels are
 * walked once more towards that end alone, with all lists kept, and traced back. */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>

/* Finds in `list` a label that the step through layer l turns into `label`. */
static const uap_label *find_before(const uap_label_run *run, int32_t l,
                                    const uap_label_list *list, const uap_label *label,
                                    const uap_label *step)
{
    for (size_t i = 0; i < list->n; i++) {
        uap_label q = list->at[i];
        uap_label_run_add(run, l, step, &q);
        if (q.p == label->p && q.f == label->f && q.g == label->g && q.m == label->m &&
            q.w == label->w) {
            return &list->at[i];
        }
    }
    return NULL;
}

/* A label behind layer l whose last row is `row`. */
typedef struct path_end {
    int32_t l, row;
    uap_label label;
} path_end;

/* The label and row behind the layer before. */
static bool step_back(const uap_label_run *run, path_end *end)
{
    const uap_label step = uap_label_run_step(run, uap_run_rows(run, end->l), end->row);
    const int32_t in = uap_run_kind(run, end->l)->in[end->row];
    const int32_t l = end->l - 1;
    const uap_kind *kind = uap_run_kind(run, l);
    for (int32_t j = 0; j < kind->n; j++) {
        uap_label both = uap_label_run_link(run, l, kind->out[j], in);
        both.p += step.p;
        both.f += step.f;
        both.g = step.g;
        both.m = step.m;
        both.w = step.w;
        const uap_label *q = find_before(
            run, end->l, &run->saved[uap_row_slot(run, l, j)], &end->label, &both);
        if (q != NULL) {
            *end = (path_end){l, j, *q};
            return true;
        }
    }
    return false;
}

static bool find_end(const uap_label_run *run, const uap_segment_ref *ref, path_end *end)
{
    const int32_t l = ref->b - ref->a;
    const uap_kind *kind = uap_run_kind(run, l);
    const uap_label wanted = {.p = ref->point.p, .f = ref->point.f, .g = ref->point.g};
    for (int32_t k = 0; k < kind->n; k++) {
        const uap_label_list *list = &run->saved[uap_row_slot(run, l, k)];
        for (size_t i = 0; kind->out[k] == ref->y && i < list->n; i++) {
            const uap_label *q = &list->at[i];
            if (uap_terms_cover(&run->rule, q, &wanted)) {
                *end = (path_end){l, k, *q};
                return true;
            }
        }
    }
    return false;
}

static uap_status trace_path(uap_label_run *run, const uap_segment_ref *ref, int32_t *row,
                             uap_err *err)
{
    path_end end;
    bool ok = find_end(run, ref, &end);
    while (ok && end.l > 0) {
        row[end.l] = end.row;
        ok = step_back(run, &end);
    }
    if (!ok) {
        return UAP_FAIL(err, INTERNAL, "segment %d..%d lost its path", ref->a, ref->b);
    }
    row[0] = end.row;
    return UAP_OK;
}

uap_status uap_segments_path(uap_segments *segments, const uap_segment_ref *ref,
                             int32_t *row, uap_err *err)
{
    const uap_stage_class *cls = &segments->cls[ref->class_index];
    uap_group *group = &segments->group[cls->group_of[ref->a]];
    const int32_t cell = group->offset[ref->b - ref->a] + ref->y;
    uap_label_run run;
    double *budget =
        uap_calloc((size_t)uap_group_cells(group) * UAP_MAX_FUNCTIONALS, sizeof *budget);
    uap_status rc = UAP_OK;
    const bool ready = uap_label_run_init(&run, segments);
    uap_label_list *saved = uap_calloc((size_t)run.n_slots, sizeof *saved);
    if (!ready || budget == NULL || saved == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a path");
        goto done;
    }
    const double *of[UAP_MAX_FUNCTIONALS] = {NULL};
    for (int32_t f = 0; f < group->n_functionals; f++) {
        double *at = budget + (size_t)f * (size_t)uap_group_cells(group);
        for (int32_t i = 0; i < uap_group_cells(group); i++) {
            at[i] = -HUGE_VAL;
        }
        /* What dominates the point in all that counts may have more p, where p alone does
         * not count: in the time of stage 0, which g follows. */
        const uap_weights *w = &cls->weights[group->measure[f]];
        const double value =
            (double)(w->p * ref->point.p + w->f * ref->point.f + w->g * ref->point.g);
        const double most = group->row[ref->x].budget[f][cell];
        const bool counts = group->start > 0 || group->measure[f] != UAP_MEASURE_TIME;
        at[cell] = counts ? value : uap_max_f64(value, most);
        of[f] = at;
    }
    run.saved = saved;
    uap_label_run_start(&run, group, ref->x, of);
    /* A path is part of a result: it is finished even when the search must stop. */
    uap_stop_fn *stop = segments->stop;
    segments->stop = NULL;
    segments->effort = INT64_MAX;
    uap_label_run *const runs[] = {&run};
    const bool ok = uap_label_runs_walk(runs, 1);
    segments->stop = stop;
    if (!ok) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a path");
        goto done;
    }
    rc = trace_path(&run, ref, row, err);
done:
    for (int32_t i = 0; saved != NULL && i < run.n_slots; i++) {
        uap_labels_free(&saved[i]);
    }
    uap_free(saved);
    uap_free(budget);
    uap_label_run_free(&run);
    return rc;
}
