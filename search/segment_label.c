/* Exact Pareto sets of segments by label setting: from one start class labels walk layer by
 * layer, and those that cannot reach a wanted end within its budget are dropped
 * (label_limit.c). Nothing that could belong to a plan within the target is lost. */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

bool uap_label_run_init(uap_label_run *run, uap_segments *s)
{
    int32_t cells = 1;
    int32_t n_len = 1;
    const int32_t width = s->chain->width;
    for (int32_t i = 0; i < s->n_groups; i++) {
        cells = s->group[i].cells > cells ? s->group[i].cells : cells;
        n_len = s->group[i].n_len > n_len ? s->group[i].n_len : n_len;
    }
    const size_t tests = (size_t)UAP_MAX_FUNCTIONALS * UAP_MAX_MULTIPLIERS;
    *run = (uap_label_run){.s = s, .width = width, .only = -1};
    run->limit = uap_calloc((size_t)cells * tests * UAP_MAX_BANDS, sizeof *run->limit);
    run->sweep = uap_calloc(2 * (size_t)width * tests, sizeof *run->sweep);
    run->work = uap_calloc((size_t)n_len, sizeof *run->work);
    run->in = uap_calloc((size_t)width, sizeof *run->in);
    run->out = uap_calloc((size_t)width, sizeof *run->out);
    run->entry = uap_calloc((size_t)width, sizeof *run->entry);
    run->reach = uap_calloc((size_t)cells * UAP_MAX_MULTIPLIERS, sizeof *run->reach);
    run->most_cells = cells;
    bool ok = true;
    for (int32_t f = 0; f < UAP_MAX_FUNCTIONALS; f++) {
        run->completion[f] = uap_calloc((size_t)cells, sizeof **run->completion);
        ok = ok && run->completion[f] != NULL;
    }
    return ok && run->limit != NULL && run->sweep != NULL && run->work != NULL &&
           run->in != NULL && run->out != NULL && run->entry != NULL &&
           run->reach != NULL;
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
    free_lists(run->in, run->width);
    free_lists(run->out, run->width);
    free_lists(run->entry, run->width);
    for (int32_t f = 0; f < UAP_MAX_FUNCTIONALS; f++) {
        free_lists(run->completion[f], run->most_cells);
    }
    uap_labels_free(&run->shifted);
    uap_labels_free(&run->merged);
    uap_free(run->limit);
    uap_free(run->sweep);
    uap_free(run->work);
    uap_free(run->reach);
}

/* Whether labels have p, m and w only. */
static bool is_plane(const uap_label_run *run)
{
    const bool grad = run->cls->grad && !run->group->no_grad;
    return run->only >= 0 || (!run->cls->split && !grad);
}

void uap_label_run_start(uap_label_run *run, uap_group *group, int32_t x,
                         const double *const *budget)
{
    const uap_chain *chain = run->s->chain;
    run->group = group;
    run->cls = &run->s->cls[group->class_index];
    run->x = x;
    run->tests = group->n_functionals * run->cls->n_multipliers;
    const bool first = group->start == 0 && run->cls->grad && run->s->is_round_trip;
    const bool full = run->only < 0;
    run->rule = (uap_dominance){.plane = is_plane(run),
                                .first_stage = full && first && chain->pp > 1,
                                .c = chain->c,
                                .k = uap_min_i64(run->cls->inflight, chain->c)};
    for (int32_t f = 0; f < group->n_functionals; f++) {
        run->budget[f] = budget[f];
    }
    int64_t work = 0;
    for (int32_t l = 0; l < group->n_len; l++) {
        work = uap_max_i64(work, uap_kind_of(chain, group->start + l)->min_work);
        run->work[l] = work;
    }
}

/* False when out of memory, or when the run must stop. */
static bool merge_into(uap_label_run *run, uap_label_list *list)
{
    if (run->shifted.n == 0) {
        return true;
    }
    const size_t both = list->n + run->shifted.n;
    const int64_t work = (int64_t)(run->rule.plane ? both : both * run->shifted.n);
    if (uap_segments_poll(run->s, work)) {
        return false;
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

uap_label uap_label_run_step(const uap_label_run *run, const uap_row_view *row, int32_t k)
{
    if (run->only < 0) {
        const int64_t g = run->group->no_grad ? 0 : row->g[k];
        return (uap_label){row->p[k], row->f[k], g, row->m[k], row->w[k]};
    }
    const double q = row->q[run->group->measure[run->only]][k];
    return (uap_label){.p = (int64_t)q, .m = row->m[k], .w = row->w[k]};
}

/* Labels in front of layer l through its rows; true when any label survives. */
static bool pass_rows(uap_label_run *run, int32_t l)
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
        if (!uap_labels_reserve(&run->shifted, from->n)) {
            run->no_memory = true;
            return false;
        }
        run->shifted.n = 0;
        const uap_label step = uap_label_run_step(run, row, k);
        const int64_t least_work = run->work[l];
        for (size_t i = 0; i < from->n; i++) {
            uap_label next = from->at[i];
            next.p += step.p;
            next.f += step.f;
            next.g += step.g;
            next.m += step.m;
            next.w = uap_max_i64(next.w, step.w);
            if (next.m + uap_max_i64(next.w, least_work) <= run->cls->cap &&
                uap_limits_allow(run, l, kind->out[k], &next)) {
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
static bool pass_link(uap_label_run *run, int32_t l)
{
    const uap_chain *chain = run->s->chain;
    const int32_t u = run->group->start + l;
    const uap_chain_link *link = uap_link_of(chain, u);
    const int64_t *rp = run->cls->link_p[chain->link_of[u]];
    const int64_t *rf = run->cls->link_f[chain->link_of[u]];
    const bool full = run->only < 0;
    const uap_measure measure = full ? UAP_MEASURE_TIME : run->group->measure[run->only];
    const double *rq = run->cls->link_q[measure][chain->link_of[u]];
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
                next->p +=
                    full ? rp[y * link->n_in + x] : (int64_t)rq[y * link->n_in + x];
                next->f += full ? rf[y * link->n_in + x] : 0;
            }
            if (!merge_into(run, &run->in[x])) {
                return false;
            }
        }
    }
    return true;
}

/* Moves the out lists of layer l aside, for uap_segments_path. */
static bool save_lists(uap_label_run *run, int32_t l)
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
        if (q->p <= label->p && q->f <= label->f && q->g <= label->g &&
            q->p - q->f <= label->p - label->f) {
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
            const double q = uap_label_run_value(run, f, label);
            wanted = wanted && q <= run->budget[f][cell] + 1 + UAP_LABEL_MARGIN * q;
        }
        if (wanted && !set_covers(s, set, label)) {
            s->point[s->n_points++] = (uap_segment_point){label->p, label->f, label->g};
            set->count++;
        }
    }
    return true;
}

/* The least value of the functional at (l, y), into the group's bound. */
static void raise_bound(uap_label_run *run, int32_t l, int32_t y)
{
    const int32_t cell = run->group->offset[l] + y;
    const double budget = run->budget[run->only][cell];
    double *bound = &run->group->bound[run->only][run->x * run->group->cells + cell];
    if (isinf(budget)) {
        return;
    }
    const uap_label_list *list = &run->out[y];
    const double least = list->n == 0
                             ? budget * (1 + UAP_LABEL_MARGIN) + 1
                             : (double)list->at[0].p * (1 - UAP_LABEL_MARGIN) - 1;
    *bound = fmax(*bound, least);
}

/* Runs the labels of one start class through the group's layers. */
bool uap_label_run_labels(uap_label_run *run)
{
    const uap_group *group = run->group;
    const uap_chain *chain = run->s->chain;
    const int32_t n_in = uap_kind_of(chain, group->start)->n_in;
    if (!uap_limits_prepare(run)) {
        return false;
    }
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
        const bool any = pass_rows(run, l);
        const int32_t n_out = uap_kind_of(chain, group->start + l)->n_out;
        for (int32_t y = 0;
             run->only >= 0 && !run->no_memory && !run->s->stopped && y < n_out; y++) {
            raise_bound(run, l, y);
        }
        if (run->no_memory || run->s->stopped || (!any && run->only < 0)) {
            return !run->no_memory && !run->s->stopped;
        }
        for (int32_t y = 0; run->only < 0 && run->saved == NULL && y < n_out; y++) {
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

uap_status uap_segments_tighten(uap_segments *segments, uap_err *err)
{
    uap_label_run run;
    bool ok = uap_label_run_init(&run, segments);
    for (int32_t i = 0; ok && i < segments->n_groups; i++) {
        uap_group *group = &segments->group[i];
        for (int32_t x = 0; ok && x < group->n_in; x++) {
            if (!any_budget(group, x)) {
                continue;
            }
            const double *budget[UAP_MAX_FUNCTIONALS] = {NULL};
            for (int32_t f = 0; f < group->n_functionals; f++) {
                budget[f] = group->budget[f] + (size_t)x * (size_t)group->cells;
            }
            run.only = -1;
            uap_label_run_start(&run, group, x, budget);
            const bool plane = run.rule.plane;
            for (int32_t f = 0; ok && !plane && f < group->n_functionals; f++) {
                run.only = f;
                uap_label_run_start(&run, group, x, budget);
                ok = uap_label_run_labels(&run);
            }
        }
    }
    uap_label_run_free(&run);
    return ok || segments->stopped ? UAP_OK
                                   : UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
}

uap_status uap_segments_solve(uap_segments *segments, uap_err *err)
{
    uap_label_run run;
    bool ok = uap_label_run_init(&run, segments);
    segments->n_points = 0;
    for (int32_t i = 0; ok && i < segments->n_groups; i++) {
        uap_group *group = &segments->group[i];
        const size_t n = (size_t)group->n_in * (size_t)group->cells;
        memset(group->set, 0, n * sizeof *group->set);
        for (int32_t x = 0; ok && x < group->n_in; x++) {
            if (!any_budget(group, x)) {
                continue;
            }
            const double *budget[UAP_MAX_FUNCTIONALS] = {NULL};
            for (int32_t f = 0; f < group->n_functionals; f++) {
                budget[f] = group->budget[f] + (size_t)x * (size_t)group->cells;
            }
            uap_label_run_start(&run, group, x, budget);
            ok = uap_label_run_labels(&run);
        }
    }
    uap_label_run_free(&run);
    if (!ok && !segments->stopped) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    }
    return UAP_OK;
}
