/* Exact Pareto sets of segments by label setting.
 *
 * From one start class labels walk layer by layer. For every multiplier l and functional q
 * a backward sweep gives the most that q + l * memory may be at each layer and class so that
 * some wanted end stays within its budget; what is above is dropped. Nothing that could
 * belong to a plan within the target is lost: the sweep takes the best completion. */
#include "common/numbers.h"
#include "search/label.h"
#include "search/segment.h"

#include <math.h>
#include <string.h>

#define RELATIVE_MARGIN 1e-11

/* Working memory of one run. */
typedef struct label_run {
    uap_segments *s;
    const uap_group *group;
    const uap_stage_class *cls;
    int32_t x;
    const double *budget[UAP_MAX_FUNCTIONALS]; /* [cells] of this x */
    uap_dominance rule;
    int32_t width;            /* widest class set */
    int32_t tests;            /* functionals x multipliers */
    double *limit;            /* [cells][tests] the sweep's result */
    double *sweep;            /* [2][width][tests] */
    int64_t *work;            /* [n_len] least W of the first layers */
    uap_label_list *in, *out; /* [width] */
    uap_label_list shifted, merged;
    uap_label_list *saved; /* [cells] out lists, kept for paths, or NULL */
    bool no_memory;
} label_run;

static bool run_init(label_run *run, uap_segments *s)
{
    const uap_chain *chain = s->chain;
    int32_t cells = 1;
    int32_t n_len = 1;
    int32_t width = 1;
    for (int32_t i = 0; i < s->n_groups; i++) {
        cells = s->group[i].cells > cells ? s->group[i].cells : cells;
        n_len = s->group[i].n_len > n_len ? s->group[i].n_len : n_len;
    }
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        width = chain->kind[i].n_in > width ? chain->kind[i].n_in : width;
        width = chain->kind[i].n_out > width ? chain->kind[i].n_out : width;
    }
    const size_t tests = (size_t)UAP_MAX_FUNCTIONALS * UAP_MAX_MULTIPLIERS;
    *run = (label_run){.s = s, .width = width};
    run->limit = uap_calloc((size_t)cells * tests, sizeof *run->limit);
    run->sweep = uap_calloc(2 * (size_t)width * tests, sizeof *run->sweep);
    run->work = uap_calloc((size_t)n_len, sizeof *run->work);
    run->in = uap_calloc((size_t)width, sizeof *run->in);
    run->out = uap_calloc((size_t)width, sizeof *run->out);
    return run->limit != NULL && run->sweep != NULL && run->work != NULL &&
           run->in != NULL && run->out != NULL;
}

static void run_free(label_run *run)
{
    for (int32_t i = 0; run->in != NULL && run->out != NULL && i < run->width; i++) {
        uap_labels_free(&run->in[i]);
        uap_labels_free(&run->out[i]);
    }
    uap_labels_free(&run->shifted);
    uap_labels_free(&run->merged);
    uap_free(run->limit);
    uap_free(run->sweep);
    uap_free(run->work);
    uap_free(run->in);
    uap_free(run->out);
}

/* Whether labels of this group differ in p and m only. */
static bool is_plane(const label_run *run)
{
    if (run->cls->split || run->cls->grad) {
        return false;
    }
    for (int32_t l = 0; l < run->group->n_len; l++) {
        const int32_t kind = run->s->chain->kind_of[run->group->start + l];
        for (int32_t k = 0; k < run->s->chain->kind[kind].n; k++) {
            if (run->cls->row[kind].w[k] != 0) {
                return false;
            }
        }
    }
    return true;
}

static void run_start(label_run *run, const uap_group *group, int32_t x,
                      const double *const *budget)
{
    const uap_chain *chain = run->s->chain;
    run->group = group;
    run->cls = &run->s->cls[group->class_index];
    run->x = x;
    run->tests = group->n_functionals * run->cls->n_multipliers;
    run->rule = (uap_dominance){.plane = is_plane(run), .keep_slow = run->s->keep_slow};
    for (int32_t f = 0; f < group->n_functionals; f++) {
        run->budget[f] = budget[f];
    }
    int64_t work = 0;
    for (int32_t l = 0; l < group->n_len; l++) {
        work = uap_max_i64(work, uap_kind_of(chain, group->start + l)->min_work);
        run->work[l] = work;
    }
}

/* Most that each test may be behind layer l in class y when the stage ends right there. */
static void limits_of_end(const label_run *run, int32_t l, int32_t y, double *limit)
{
    const uap_stage_class *cls = run->cls;
    const int32_t cell = run->group->offset[l] + y;
    for (int32_t f = 0; f < run->group->n_functionals; f++) {
        const double budget = run->budget[f][cell];
        for (int32_t m = 0; m < cls->n_multipliers; m++) {
            const double credit = cls->multiplier[m] * (double)(cls->cap - run->work[l]);
            const double margin = RELATIVE_MARGIN * (fabs(budget) + fabs(credit)) + 1;
            limit[f * cls->n_multipliers + m] =
                isinf(budget) ? -HUGE_VAL : budget + credit + margin;
        }
    }
}

/* through[x] = best over rows of class x of the limit behind the row less its cost. */
static void limits_through_rows(const label_run *run, int32_t l, double *through)
{
    const uap_stage_class *cls = run->cls;
    const uap_group *group = run->group;
    const int32_t kind_index = run->s->chain->kind_of[group->start + l];
    const uap_kind *kind = &run->s->chain->kind[kind_index];
    const uap_row_view *row = &cls->row[kind_index];
    const int32_t tests = run->tests;
    for (int32_t i = 0; i < kind->n_in * tests; i++) {
        through[i] = -HUGE_VAL;
    }
    for (int32_t k = 0; k < kind->n; k++) {
        const double *behind =
            run->limit + (size_t)(group->offset[l] + kind->out[k]) * (size_t)tests;
        double *to = through + (size_t)kind->in[k] * (size_t)tests;
        for (int32_t f = 0; f < group->n_functionals; f++) {
            const double q = group->functional[f].cp * row->p_real[k] +
                             group->functional[f].cg * row->g_real[k];
            for (int32_t m = 0; m < cls->n_multipliers; m++) {
                const int32_t t = f * cls->n_multipliers + m;
                const double v = behind[t] - q - cls->multiplier[m] * row->m_real[k];
                to[t] = v > to[t] ? v : to[t];
            }
        }
    }
}

/* The backward sweep: run->limit for every cell of the group. */
static void sweep_limits(label_run *run)
{
    const uap_group *group = run->group;
    const uap_chain *chain = run->s->chain;
    const int32_t tests = run->tests;
    for (int32_t l = group->n_len - 1; l >= 0; l--) {
        const int32_t u = group->start + l;
        const uap_kind *kind = uap_kind_of(chain, u);
        for (int32_t y = 0; y < kind->n_out; y++) {
            double *limit = run->limit + (size_t)(group->offset[l] + y) * (size_t)tests;
            limits_of_end(run, l, y, limit);
        }
        if (l + 1 == group->n_len) {
            continue;
        }
        limits_through_rows(run, l + 1, run->sweep);
        const uap_link *link = uap_link_of(chain, u);
        const double *r = run->cls->link_real[chain->link_of[u]];
        for (int32_t y = 0; y < link->n_out; y++) {
            double *limit = run->limit + (size_t)(group->offset[l] + y) * (size_t)tests;
            for (int32_t i = 0; i < link->n_in; i++) {
                const double *through = run->sweep + (size_t)i * (size_t)tests;
                const double cost = r[y * link->n_in + i];
                for (int32_t f = 0; f < group->n_functionals; f++) {
                    const double q = group->functional[f].cp * cost;
                    for (int32_t m = 0; m < run->cls->n_multipliers; m++) {
                        const int32_t t = f * run->cls->n_multipliers + m;
                        const double v = through[t] - q;
                        limit[t] = v > limit[t] ? v : limit[t];
                    }
                }
            }
        }
    }
}

static bool within_limits(const label_run *run, const uap_label *label,
                          const double *limit)
{
    const uap_group *group = run->group;
    const int32_t n = run->cls->n_multipliers;
    const double m = (double)label->m;
    for (int32_t f = 0; f < group->n_functionals; f++) {
        const double q = group->functional[f].cp * (double)label->p +
                         group->functional[f].cg * (double)label->g;
        const double *at = limit + f * n;
        for (int32_t j = 0; j < n; j++) {
            if (q + run->cls->multiplier[j] * m > at[j]) {
                return false;
            }
        }
    }
    return true;
}

static bool merge_into(label_run *run, uap_label_list *list)
{
    if (run->shifted.n == 0) {
        return true;
    }
    if (!uap_labels_merge(list, &run->shifted, run->rule, &run->merged)) {
        run->no_memory = true;
        return false;
    }
    const uap_label_list swap = *list;
    *list = run->merged;
    run->merged = swap;
    return true;
}

/* Labels in front of layer l through its rows; true when any label survives. */
static bool pass_rows(label_run *run, int32_t l)
{
    const int32_t kind_index = run->s->chain->kind_of[run->group->start + l];
    const uap_kind *kind = &run->s->chain->kind[kind_index];
    const uap_row_view *row = &run->cls->row[kind_index];
    bool any = false;
    for (int32_t y = 0; y < kind->n_out; y++) {
        run->out[y].n = 0;
    }
    for (int32_t k = 0; k < kind->n; k++) {
        const uap_label_list *from = &run->in[kind->in[k]];
        const double *limit =
            run->limit +
            (size_t)(run->group->offset[l] + kind->out[k]) * (size_t)run->tests;
        if (!uap_labels_reserve(&run->shifted, from->n)) {
            run->no_memory = true;
            return false;
        }
        run->shifted.n = 0;
        for (size_t i = 0; i < from->n; i++) {
            uap_label next = from->at[i];
            next.p += row->p[k];
            next.f += row->f[k];
            next.g += row->g[k];
            next.m += row->m[k];
            next.w = uap_max_i64(next.w, row->w[k]);
            if (next.m + next.w <= run->cls->cap && within_limits(run, &next, limit)) {
                run->shifted.at[run->shifted.n++] = next;
            }
        }
        run->s->labels += (int64_t)run->shifted.n;
        any = any || run->shifted.n > 0;
        if (!merge_into(run, &run->out[kind->out[k]])) {
            return false;
        }
    }
    return any;
}

/* Labels behind layer l across the link into the next layer's classes. */
static bool pass_link(label_run *run, int32_t l)
{
    const uap_chain *chain = run->s->chain;
    const int32_t u = run->group->start + l;
    const uap_link *link = uap_link_of(chain, u);
    const int64_t *rp = run->cls->link_p[chain->link_of[u]];
    const int64_t *rf = run->cls->link_f[chain->link_of[u]];
    for (int32_t x = 0; x < link->n_in; x++) {
        run->in[x].n = 0;
        for (int32_t y = 0; y < link->n_out; y++) {
            const uap_label_list *from = &run->out[y];
            if (!uap_labels_reserve(&run->shifted, from->n)) {
                run->no_memory = true;
                return false;
            }
            run->shifted.n = from->n;
            for (size_t i = 0; i < from->n; i++) {
                uap_label *next = &run->shifted.at[i];
                *next = from->at[i];
                next->p += rp[y * link->n_in + x];
                next->f += rf[y * link->n_in + x];
            }
            if (!merge_into(run, &run->in[x])) {
                return false;
            }
        }
    }
    return true;
}

/* Moves the out lists of layer l aside, for uap_segments_path. */
static bool save_lists(label_run *run, int32_t l)
{
    const uap_kind *kind = uap_kind_of(run->s->chain, run->group->start + l);
    for (int32_t y = 0; y < kind->n_out; y++) {
        uap_label_list *to = &run->saved[run->group->offset[l] + y];
        if (!uap_labels_reserve(to, run->out[y].n)) {
            run->no_memory = true;
            return false;
        }
        to->n = run->out[y].n;
        if (to->n > 0) {
            memcpy(to->at, run->out[y].at, to->n * sizeof *to->at);
        }
    }
    return true;
}

static bool reserve_points(uap_segments *s, int64_t more)
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

/* True when a point of the set is nowhere worse than (p, f, g). */
static bool set_covers(const uap_segments *s, const uap_segment_set *set,
                       const uap_label *label)
{
    for (int32_t i = 0; i < set->count; i++) {
        const uap_segment_point *q = &s->point[set->first + i];
        const int64_t back_q = q->p - q->f;
        const int64_t back = label->p - label->f;
        if (q->p <= label->p && q->f <= label->f && q->g <= label->g &&
            (s->keep_slow ? back_q == back : back_q <= back)) {
            return true;
        }
    }
    return false;
}

/* The Pareto set in (p, f, g) of what ends behind layer l in class y. */
static bool emit_set(label_run *run, int32_t l, int32_t y)
{
    uap_segments *s = run->s;
    const int32_t cell = run->group->offset[l] + y;
    const uap_label_list *list = &run->out[y];
    if (isinf(run->budget[0][cell])) {
        return true;
    }
    if (!reserve_points(s, (int64_t)list->n)) {
        run->no_memory = true;
        return false;
    }
    uap_segment_set *set = &run->group->set[run->x * run->group->cells + cell];
    *set = (uap_segment_set){.first = s->n_points};
    for (size_t i = 0; i < list->n; i++) {
        const uap_label *label = &list->at[i];
        bool wanted = true;
        for (int32_t f = 0; f < run->group->n_functionals; f++) {
            const double q = run->group->functional[f].cp * (double)label->p +
                             run->group->functional[f].cg * (double)label->g;
            wanted = wanted && q <= run->budget[f][cell] + 1 + RELATIVE_MARGIN * q;
        }
        if (wanted && !set_covers(s, set, label)) {
            s->point[s->n_points++] = (uap_segment_point){label->p, label->f, label->g};
            set->count++;
        }
    }
    return true;
}

/* Runs the labels of one start class through the group's layers. */
static bool run_labels(label_run *run)
{
    const uap_group *group = run->group;
    const uap_chain *chain = run->s->chain;
    const int32_t n_in = uap_kind_of(chain, group->start)->n_in;
    sweep_limits(run);
    for (int32_t i = 0; i < n_in; i++) {
        run->in[i].n = 0;
    }
    if (!uap_labels_reserve(&run->in[run->x], 1)) {
        run->no_memory = true;
        return false;
    }
    run->in[run->x].n = 1;
    run->in[run->x].at[0] =
        (uap_label){.m = chain->start_act[group->start] * run->cls->inflight};
    for (int32_t l = 0; l < group->n_len; l++) {
        if (!pass_rows(run, l)) {
            return !run->no_memory;
        }
        const int32_t n_out = uap_kind_of(chain, group->start + l)->n_out;
        for (int32_t y = 0; run->saved == NULL && y < n_out; y++) {
            if (!emit_set(run, l, y)) {
                return false;
            }
        }
        if (run->saved != NULL && !save_lists(run, l)) {
            return false;
        }
        if (l + 1 < group->n_len && !pass_link(run, l)) {
            return false;
        }
    }
    return true;
}

static bool any_budget(const uap_group *group, int32_t x)
{
    const double *budget = group->budget[0] + (size_t)x * (size_t)group->cells;
    for (int32_t i = 0; i < group->cells; i++) {
        if (!isinf(budget[i])) {
            return true;
        }
    }
    return false;
}

uap_status uap_segments_solve(uap_segments *segments, uap_stop_fn *stop, void *context,
                              bool *stopped, uap_err *err)
{
    label_run run;
    bool ok = run_init(&run, segments);
    *stopped = false;
    segments->n_points = 0;
    for (int32_t i = 0; ok && i < segments->n_groups && !*stopped; i++) {
        uap_group *group = &segments->group[i];
        const size_t n = (size_t)group->n_in * (size_t)group->cells;
        memset(group->set, 0, n * sizeof *group->set);
        for (int32_t x = 0; ok && x < group->n_in && !*stopped; x++) {
            if (!any_budget(group, x)) {
                continue;
            }
            const double *budget[UAP_MAX_FUNCTIONALS] = {NULL};
            for (int32_t f = 0; f < group->n_functionals; f++) {
                budget[f] = group->budget[f] + (size_t)x * (size_t)group->cells;
            }
            run_start(&run, group, x, budget);
            ok = run_labels(&run);
            *stopped = stop != NULL && stop(context);
        }
    }
    run_free(&run);
    if (!ok) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    }
    return UAP_OK;
}

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
static bool step_back(const label_run *run, int32_t l, int32_t *y, uap_label *label,
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
        uap_label step = {row->p[k], row->f[k], row->g[k], row->m[k], row->w[k]};
        if (l == 0) {
            const uap_label_list first = {.at = (uap_label[]){origin}, .n = 1};
            if (find_before(&first, label, &step) != NULL) {
                *chosen = k;
                return true;
            }
            continue;
        }
        const uap_link *link = uap_link_of(chain, u - 1);
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

static uap_status trace_path(label_run *run, const uap_segment_ref *ref, int32_t *row,
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
    const uap_group *group = &segments->group[cls->group_of[ref->a]];
    const int32_t cell = group->offset[ref->b - ref->a] + ref->y;
    label_run run;
    double *budget =
        uap_calloc((size_t)group->cells * UAP_MAX_FUNCTIONALS, sizeof *budget);
    uap_label_list *saved = uap_calloc((size_t)group->cells, sizeof *saved);
    uap_status rc = UAP_OK;
    if (!run_init(&run, segments) || budget == NULL || saved == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a path");
        goto done;
    }
    const double *of[UAP_MAX_FUNCTIONALS] = {NULL};
    for (int32_t f = 0; f < group->n_functionals; f++) {
        double *at = budget + (size_t)f * (size_t)group->cells;
        for (int32_t i = 0; i < group->cells; i++) {
            at[i] = -HUGE_VAL;
        }
        at[cell] = group->functional[f].cp * (double)ref->point.p +
                   group->functional[f].cg * (double)ref->point.g;
        of[f] = at;
    }
    run.saved = saved;
    run_start(&run, group, ref->x, of);
    if (!run_labels(&run)) {
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
    run_free(&run);
    return rc;
}
