/* From a point of a segment's Pareto set back to the strategies behind it: the labels are
 * walked once more towards that end alone, with all lists kept, and traced back. */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>

/* Finds in `list` a label that the step (dp, df, dg, dm, w) turns into `label`. */
static const uap_label *find_before(const uap_label_list *list, const uap_label *label,
                                    const uap_label *step)
{
    for (size_t i = 0; i < list->n; i++) {
        const uap_label *q = &list->at[i];
        if (q->p + step->p == label->p && q->f + step->f == label->f &&
            q->g + step->g == label->g && q->m + step->m == label->m &&
            uap_max_i64(q->w, step->w) == label->w) {
            return q;
        }
    }
    return NULL;
}

/* One step back from `label` behind layer l in class *y: the row used there, and the label
 * and class behind the layer before. */
static bool step_back(const uap_label_run *run, int32_t l, int32_t *y, uap_label *label,
                      int32_t *chosen)
{
    const uap_chain *chain = run->s->chain;
    const int32_t u = run->group->start + l;
    const uap_kind *kind = uap_kind_of(chain, u);
    const uap_row_view *row = &run->cls->row[chain->kind_of[u]];
    const uap_label origin = {.m = chain->start_act[run->group->start] *
                                   run->cls->inflight};
    for (int32_t k = 0; k < kind->n; k++) {
        if (kind->out[k] != *y || (l == 0 && kind->in[k] != run->x)) {
            continue;
        }
        const uap_label step = uap_label_run_step(run, row, k);
        if (l == 0) {
            const uap_label_list first = {.at = (uap_label[]){origin}, .n = 1};
            if (find_before(&first, label, &step) != NULL) {
                *chosen = k;
                return true;
            }
            continue;
        }
        const uap_chain_link *link = uap_link_of(chain, u - 1);
        for (int32_t z = 0; z < link->n_out; z++) {
            const int32_t at = z * link->n_in + kind->in[k];
            uap_label both = step;
            both.p += run->cls->link_p[chain->link_of[u - 1]][at];
            both.f += run->cls->link_f[chain->link_of[u - 1]][at];
            const uap_label *q =
                find_before(&run->saved[run->group->offset[l - 1] + z], label, &both);
            if (q != NULL) {
                *chosen = k;
                *y = z;
                *label = *q;
                return true;
            }
        }
    }
    return false;
}

static uap_status trace_path(uap_label_run *run, const uap_segment_ref *ref, int32_t *row,
                             uap_err *err)
{
    const int32_t length = ref->b - ref->a + 1;
    const uap_label_list *list = &run->saved[run->group->offset[length - 1] + ref->y];
    const uap_label *end = NULL;
    for (size_t i = 0; i < list->n && end == NULL; i++) {
        const uap_label *q = &list->at[i];
        if (q->p == ref->point.p && q->f == ref->point.f && q->g == ref->point.g) {
            end = q;
        }
    }
    if (end == NULL) {
        return UAP_FAIL(err, INTERNAL, "segment %d..%d lost its path", ref->a, ref->b);
    }
    uap_label label = *end;
    int32_t y = ref->y;
    for (int32_t l = length - 1; l >= 0; l--) {
        if (!step_back(run, l, &y, &label, &row[l])) {
            return UAP_FAIL(err, INTERNAL, "segment %d..%d lost its path", ref->a,
                            ref->b);
        }
    }
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
        uap_calloc((size_t)group->cells * UAP_MAX_FUNCTIONALS, sizeof *budget);
    uap_label_list *saved = uap_calloc((size_t)group->cells, sizeof *saved);
    uap_status rc = UAP_OK;
    if (!uap_label_run_init(&run, segments) || budget == NULL || saved == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a path");
        goto done;
    }
    const double *of[UAP_MAX_FUNCTIONALS] = {NULL};
    for (int32_t f = 0; f < group->n_functionals; f++) {
        double *at = budget + (size_t)f * (size_t)group->cells;
        for (int32_t i = 0; i < group->cells; i++) {
            at[i] = -HUGE_VAL;
        }
        const uap_weights *w = &cls->weights[group->measure[f]];
        at[cell] =
            (double)(w->p * ref->point.p + w->f * ref->point.f + w->g * ref->point.g);
        of[f] = at;
    }
    run.saved = saved;
    uap_label_run_start(&run, group, ref->x, of);
    /* A path is part of a result: it is finished even when the search must stop. */
    uap_stop_fn *stop = segments->stop;
    segments->stop = NULL;
    const bool ok = uap_label_run_labels(&run);
    segments->stop = stop;
    if (!ok) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a path");
        goto done;
    }
    rc = trace_path(&run, ref, row, err);
done:
    for (int32_t i = 0; saved != NULL && i < group->cells; i++) {
        uap_labels_free(&saved[i]);
    }
    uap_free(saved);
    uap_free(budget);
    uap_label_run_free(&run);
    return rc;
}
