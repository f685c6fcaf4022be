/* From a point of a segment's Pareto set back to the strategies behind it: the labels are
 * walked once more towards that end alone, with all lists kept, and traced back. */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>

/* A label behind layer l. */
typedef struct path_end {
    int32_t l;
    int32_t row;   /* its last, where it goes on; -1: some row of */
    int32_t block; /* this one, which it leaves */
    uap_label label;
} path_end;

/* What one row of a layer does to a label. */
typedef struct path_step {
    int32_t l, in;
    uap_label by;
} path_step;

/* Finds in `list` a label that the link from out-class y, and then the step, turn into
 * `label`. */
static const uap_label *find_before(const uap_label_run *run, const uap_label_list *list,
                                    int32_t y, const path_step *step,
                                    const uap_label *label)
{
    uap_label both = uap_label_run_link(run, step->l - 1, y, step->in);
    both.p += step->by.p;
    both.f += step->by.f;
    both.g = step->by.g;
    both.m = step->by.m;
    both.w = step->by.w;
    for (size_t i = 0; i < list->n; i++) {
        uap_label q = list->at[i];
        uap_label_run_add(run, step->l, &both, &q);
        if (q.p == label->p && q.f == label->f && q.g == label->g && q.m == label->m &&
            q.w == label->w) {
            return &list->at[i];
        }
    }
    return NULL;
}

/* A label behind the layer before that the step turns into *end, which it replaces. */
static bool find_end_before(const uap_label_run *run, const path_step *step,
                            path_end *end)
{
    const int32_t l = step->l - 1;
    const uap_kind *kind = uap_run_kind(run, l);
    const uap_blocks *blocks = uap_run_blocks(run, l);
    for (int32_t k = 0; k < kind->n; k++) {
        const uap_label_list *list = &run->saved[uap_row_slot(run, l, k)];
        const uap_label *q = find_before(run, list, kind->out[k], step, &end->label);
        if (q != NULL) {
            *end = (path_end){l, k, blocks->block_of[k], *q};
            return true;
        }
    }
    for (int32_t e = 0; e < blocks->n; e++) {
        const uap_label_list *list = &run->saved[uap_block_slot(run, l, e)];
        const uap_label *q = find_before(run, list, blocks->out[e], step, &end->label);
        if (q != NULL) {
            *end = (path_end){l, -1, e, *q};
            return true;
        }
    }
    return false;
}

/* Whether the step leads from the start to the label. */
static bool is_first(const uap_label_run *run, const path_step *step,
                     const uap_label *label)
{
    uap_label q = {.m = run->s->chain->start_act[run->group->start] * run->cls->inflight};
    uap_label_run_add(run, 0, &step->by, &q);
    return step->in == run->x && q.p == label->p && q.f == label->f && q.g == label->g &&
           q.m == label->m && q.w == label->w;
}

/* The row by which *end came about, and the label behind the layer before. */
static bool step_back(const uap_label_run *run, path_end *end, int32_t *row)
{
    const uap_kind *kind = uap_run_kind(run, end->l);
    const uap_blocks *blocks = uap_run_blocks(run, end->l);
    for (int32_t k = 0; k < kind->n; k++) {
        const path_step step = {
            .l = end->l,
            .in = kind->in[k],
            .by = uap_label_run_step(run, uap_run_rows(run, end->l), k)};
        if (end->row >= 0 ? k != end->row : blocks->block_of[k] != end->block) {
            continue;
        }
        *row = k;
        if (step.l == 0 ? is_first(run, &step, &end->label)
                        : find_end_before(run, &step, end)) {
            return true;
        }
    }
    return false;
}

static bool find_end(const uap_label_run *run, const uap_segment_ref *ref, path_end *end)
{
    const int32_t l = ref->b - ref->a;
    const uap_blocks *blocks = uap_run_blocks(run, l);
    const uap_label wanted = {.p = ref->point.p, .f = ref->point.f, .g = ref->point.g};
    for (int32_t e = 0; e < blocks->n; e++) {
        const uap_label_list *list = &run->saved[uap_block_slot(run, l, e)];
        for (size_t i = 0; blocks->out[e] == ref->y && i < list->n; i++) {
            if (uap_terms_cover(&run->rule, &list->at[i], &wanted)) {
                *end = (path_end){l, -1, e, list->at[i]};
                return true;
            }
        }
    }
    return false;
}

static uap_status trace_path(const uap_label_run *run, const uap_segment_ref *ref,
                             int32_t *row, uap_err *err)
{
    path_end end;
    bool ok = find_end(run, ref, &end);
    for (int32_t l = ref->b - ref->a; l >= 0 && ok; l--) {
        ok = step_back(run, &end, &row[l]);
    }
    return ok ? UAP_OK
              : UAP_FAIL(err, INTERNAL, "segment %d..%d lost its path", ref->a, ref->b);
}

/* A path is part of a result: it is finished even when the search must stop, by every member
 * of a crew for itself. */
static uap_status walk_to_end(uap_label_run *run, uap_err *err)
{
    uap_segments *s = run->s;
    uap_stop_fn *stop = s->stop;
    s->stop = NULL;
    s->effort = INT64_MAX;
    bool ok = uap_label_runs_walk(&run, 1);
    if (!ok && run->failed.code == UAP_OK && s->stopped) {
        run->crew = NULL;
        s->stopped = false;
        ok = uap_label_runs_walk(&run, 1);
    }
    s->stop = stop;
    if (run->failed.code != UAP_OK) {
        *err = run->failed;
        return run->failed.code;
    }
    return ok ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "out of memory for a path");
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
         * not count: in the time of stage 0, which g follows; and more g where that does not. */
        const uap_weights *w = &cls->weights[group->measure[f]];
        const double value =
            (double)(w->p * ref->point.p + w->f * ref->point.f + w->g * ref->point.g);
        const double most = group->row[ref->x].budget[f][cell];
        const bool counts =
            w->g > 0 ? !group->no_grad
                     : group->start > 0 || group->measure[f] != UAP_MEASURE_TIME;
        at[cell] = counts ? value : uap_max_f64(value, most);
        of[f] = at;
    }
    run.saved = saved;
    run.crew = segments->crew;
    uap_label_run_start(&run, group, ref->x, of);
    UAP_TRY(walk_to_end(&run, err));
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
