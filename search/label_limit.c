/* What limits the labels of a run.
 *
 * First the Lagrangian sweep: for every multiplier l and functional q the most that
 * q + l * memory may be at each layer and class so that some wanted end stays within its
 * budget. Then, for full labels, the completions themselves: walking backward from the
 * wanted ends, the Pareto lists of what budget and memory are left for a label to take. A
 * label without a completion in every functional alone has none in all of them. */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>

/* Multiplier m on the scale of functional f. */
static double price(const uap_label_run *run, int32_t f, int32_t m)
{
    return (double)run->cls->weights[run->group->measure[f]].p * run->cls->multiplier[m];
}

/* Functional f of a full label. */
double uap_label_run_value(const uap_label_run *run, int32_t f, const uap_label *label)
{
    const uap_weights *w = &run->cls->weights[run->group->measure[f]];
    return (double)(w->p * label->p + w->f * label->f + w->g * label->g);
}

/* Most that each test may be behind layer l in class y when the stage ends right there. */
static void limits_of_end(const uap_label_run *run, uap_band band, int32_t l, int32_t y,
                          double *limit)
{
    const int64_t work = uap_max_i64(run->work[l], band.lo);
    const uap_stage_class *cls = run->cls;
    const int32_t cell = run->group->offset[l] + y;
    for (int32_t f = 0; f < run->group->n_functionals; f++) {
        const double budget = run->budget[f][cell];
        for (int32_t m = 0; m < cls->n_multipliers; m++) {
            const double credit = price(run, f, m) * (double)(cls->cap - work);
            const double margin = UAP_LABEL_MARGIN * (fabs(budget) + fabs(credit)) + 1;
            limit[f * cls->n_multipliers + m] =
                isinf(budget) ? -HUGE_VAL : budget + credit + margin;
        }
    }
}

/* through[x] = best over rows of class x of the limit behind the row less its cost. */
static void limits_through_rows(const uap_label_run *run, uap_band band, int32_t l,
                                const double *limits, double *through)
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
        if (row->w[k] > band.hi) {
            continue;
        }
        const double *behind =
            limits + (size_t)(group->offset[l] + kind->out[k]) * (size_t)tests;
        double *to = through + (size_t)kind->in[k] * (size_t)tests;
        for (int32_t f = 0; f < group->n_functionals; f++) {
            const double q = row->q[group->measure[f]][k];
            for (int32_t m = 0; m < cls->n_multipliers; m++) {
                const int32_t t = f * cls->n_multipliers + m;
                const double v = behind[t] - q - price(run, f, m) * row->m_real[k];
                to[t] = v > to[t] ? v : to[t];
            }
        }
    }
}

/* The backward sweep for one band of workspaces; limits: [cells][tests], out. */
static void sweep_limits(uap_label_run *run, uap_band band, double *limits)
{
    const uap_group *group = run->group;
    const uap_chain *chain = run->s->chain;
    const int32_t tests = run->tests;
    for (int32_t l = group->n_len - 1; l >= 0; l--) {
        const int32_t u = group->start + l;
        const uap_kind *kind = uap_kind_of(chain, u);
        for (int32_t y = 0; y < kind->n_out; y++) {
            double *limit = limits + (size_t)(group->offset[l] + y) * (size_t)tests;
            limits_of_end(run, band, l, y, limit);
        }
        if (l + 1 == group->n_len) {
            continue;
        }
        limits_through_rows(run, band, l + 1, limits, run->sweep);
        const uap_chain_link *link = uap_link_of(chain, u);
        for (int32_t y = 0; y < link->n_out; y++) {
            double *limit = limits + (size_t)(group->offset[l] + y) * (size_t)tests;
            for (int32_t i = 0; i < link->n_in; i++) {
                const double *through = run->sweep + (size_t)i * (size_t)tests;
                for (int32_t f = 0; f < group->n_functionals; f++) {
                    const double *r =
                        run->cls->link_q[group->measure[f]][chain->link_of[u]];
                    const double q = r[y * link->n_in + i];
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

static bool within_limits(const uap_label_run *run, const uap_label *label,
                          const double *limit)
{
    const uap_group *group = run->group;
    const int32_t n = run->cls->n_multipliers;
    const double *multiplier = run->cls->multiplier;
    const int32_t first = run->only < 0 ? 0 : run->only;
    const int32_t last = run->only < 0 ? group->n_functionals - 1 : run->only;
    for (int32_t f = first; f <= last; f++) {
        const double q =
            run->only >= 0 ? (double)label->p : uap_label_run_value(run, f, label);
        const double *at = limit + f * n;
        const double m =
            (double)run->cls->weights[group->measure[f]].p * (double)label->m;
        for (int32_t j = 0; j < n; j++) {
            if (q + multiplier[j] * m > at[j]) {
                return false;
            }
        }
    }
    return true;
}

/* Least value + price * memory of reaching each cell, for one functional and all prices. */
static void sweep_reach(uap_label_run *run, int32_t f)
{
    const uap_group *group = run->group;
    const uap_chain *chain = run->s->chain;
    const int32_t n = run->cls->n_multipliers;
    const uap_measure measure = group->measure[f];
    double *in = run->sweep;
    const double start = (double)(chain->start_act[group->start] * run->cls->inflight);
    for (int32_t i = 0; i < group->n_in * n; i++) {
        in[i] = i / n == run->x ? price(run, f, i % n) * start : HUGE_VAL;
    }
    for (int32_t l = 0; l < group->n_len; l++) {
        const int32_t u = group->start + l;
        const uap_kind *kind = uap_kind_of(chain, u);
        const uap_row_view *row = &run->cls->row[chain->kind_of[u]];
        double *out = run->reach + (size_t)group->offset[l] * (size_t)n;
        for (int32_t i = 0; i < kind->n_out * n; i++) {
            out[i] = HUGE_VAL;
        }
        for (int32_t k = 0; k < kind->n; k++) {
            const double *from = in + (size_t)kind->in[k] * (size_t)n;
            double *to = out + (size_t)kind->out[k] * (size_t)n;
            for (int32_t m = 0; m < n; m++) {
                const double v =
                    from[m] + row->q[measure][k] + price(run, f, m) * row->m_real[k];
                to[m] = v < to[m] ? v : to[m];
            }
        }
        if (l + 1 == group->n_len) {
            break;
        }
        const uap_chain_link *link = uap_link_of(chain, u);
        const double *r = run->cls->link_q[measure][chain->link_of[u]];
        for (int32_t i = 0; i < link->n_in * n; i++) {
            in[i] = HUGE_VAL;
        }
        for (int32_t y = 0; y < link->n_out; y++) {
            for (int32_t x = 0; x < link->n_in; x++) {
                const double step = r[y * link->n_in + x];
                for (int32_t m = 0; m < n; m++) {
                    const double v = out[y * n + m] + step;
                    double *to = &in[x * n + m];
                    *to = v < *to ? v : *to;
                }
            }
        }
    }
}

/* Whether any label can arrive at a cell with what the completion leaves it. */
static bool is_reachable(const uap_label_run *run, int32_t f, int32_t l, int32_t cell,
                         const uap_label *left)
{
    const int32_t n = run->cls->n_multipliers;
    const double *reach = run->reach + (size_t)cell * (size_t)n;
    const double budget = (double)-left->p;
    const double memory = (double)(-left->m - uap_max_i64(left->w, run->work[l]));
    for (int32_t m = 0; m < n; m++) {
        const double most = budget + price(run, f, m) * memory;
        if (reach[m] * (1 - UAP_LABEL_MARGIN) - 1 > most) {
            return false;
        }
    }
    return true;
}

static const uap_dominance in_plane = {.plane = true};

static bool add_shifted(uap_label_run *run, uap_label_list *list)
{
    if (run->shifted.n == 0) {
        return true;
    }
    if (uap_segments_poll(run->s, (int64_t)(list->n + run->shifted.n))) {
        return false;
    }
    if (!uap_labels_merge(list, &run->shifted, in_plane, &run->merged)) {
        return false;
    }
    const uap_label_list swap = *list;
    *list = run->merged;
    run->merged = swap;
    return true;
}

/* Completions in front of layer l from those behind it, through its rows. */
static bool back_through_rows(uap_label_run *run, int32_t f, int32_t l)
{
    const uap_group *group = run->group;
    const int32_t kind_index = run->s->chain->kind_of[group->start + l];
    const uap_kind *kind = &run->s->chain->kind[kind_index];
    const uap_row_view *row = &run->cls->row[kind_index];
    const double *q = row->q[group->measure[f]];
    for (int32_t x = 0; x < kind->n_in; x++) {
        run->entry[x].n = 0;
    }
    for (int32_t k = 0; k < kind->n; k++) {
        const uap_label_list *from = &run->completion[f][group->offset[l] + kind->out[k]];
        if (!uap_labels_reserve(&run->shifted, from->n)) {
            return false;
        }
        run->shifted.n = from->n;
        for (size_t i = 0; i < from->n; i++) {
            const uap_label *t = &from->at[i];
            run->shifted.at[i] = (uap_label){.p = t->p + (int64_t)q[k],
                                             .m = t->m + row->m[k],
                                             .w = uap_max_i64(t->w, row->w[k])};
        }
        if (!add_shifted(run, &run->entry[kind->in[k]])) {
            return false;
        }
    }
    return true;
}

/* Completions behind layer l in class y: ending here, or going on through the link. */
static bool completions_of_cell(uap_label_run *run, int32_t f, int32_t l, int32_t y)
{
    const uap_group *group = run->group;
    const uap_chain *chain = run->s->chain;
    const int32_t cell = group->offset[l] + y;
    uap_label_list *list = &run->completion[f][cell];
    const double budget = run->budget[f][cell];
    list->n = 0;
    if (!isinf(budget)) {
        if (!uap_labels_reserve(list, 1)) {
            return false;
        }
        const double margin = UAP_LABEL_MARGIN * fabs(budget) + 1;
        list->at[list->n++] =
            (uap_label){.p = -(int64_t)floor(budget + margin), .m = -run->cls->cap};
    }
    if (l + 1 == group->n_len) {
        return true;
    }
    const uap_chain_link *link = uap_link_of(chain, group->start + l);
    const double *r =
        run->cls->link_q[group->measure[f]][chain->link_of[group->start + l]];
    for (int32_t x = 0; x < link->n_in; x++) {
        const uap_label_list *from = &run->entry[x];
        if (!uap_labels_reserve(&run->shifted, from->n)) {
            return false;
        }
        run->shifted.n = 0;
        for (size_t i = 0; i < from->n; i++) {
            uap_label next = from->at[i];
            next.p += (int64_t)r[y * link->n_in + x];
            if (is_reachable(run, f, l, cell, &next)) {
                run->shifted.at[run->shifted.n++] = next;
            }
        }
        if (!add_shifted(run, list)) {
            return false;
        }
    }
    return true;
}

static bool list_completions(uap_label_run *run, int32_t f)
{
    const uap_group *group = run->group;
    sweep_reach(run, f);
    for (int32_t l = group->n_len - 1; l >= 0; l--) {
        const uap_kind *kind = uap_kind_of(run->s->chain, group->start + l);
        if (l + 1 < group->n_len && !back_through_rows(run, f, l + 1)) {
            return false;
        }
        for (int32_t y = 0; y < kind->n_out; y++) {
            if (!completions_of_cell(run, f, l, y)) {
                return false;
            }
        }
    }
    return true;
}

/* Numbers that one band's limits take. */
static size_t band_size(const uap_label_run *run)
{
    return (size_t)run->group->cells * (size_t)run->tests;
}

bool uap_limits_prepare(uap_label_run *run)
{
    for (int32_t j = 0; j < run->cls->n_bands; j++) {
        sweep_limits(run, run->cls->band[j], run->limit + (size_t)j * band_size(run));
    }
    if (run->only >= 0 || run->rule.plane) {
        return true;
    }
    for (int32_t f = 0; f < run->group->n_functionals; f++) {
        if (!list_completions(run, f)) {
            run->no_memory = !run->s->stopped;
            return false;
        }
    }
    return true;
}

/* Whether some completion of functional f takes the label in. Lists are sorted by budget
 * left, largest first, and the memory left grows along them. */
static bool has_completion(const uap_label_list *list, int64_t value,
                           const uap_label *label)
{
    size_t lo = 0;
    size_t hi = list->n; /* first completion that leaves too little budget */
    while (lo < hi) {
        const size_t mid = (lo + hi) / 2;
        if (-list->at[mid].p >= value) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    for (size_t i = lo; i-- > 0;) {
        if (label->m + uap_max_i64(label->w, list->at[i].w) <= -list->at[i].m) {
            return true;
        }
    }
    return false;
}

bool uap_limits_allow(const uap_label_run *run, int32_t l, int32_t y,
                      const uap_label *label)
{
    const int32_t cell = run->group->offset[l] + y;
    bool possible = false;
    for (int32_t j = run->cls->n_bands - 1; j >= 0 && !possible; j--) {
        const double *limit =
            run->limit + (size_t)j * band_size(run) + (size_t)cell * (size_t)run->tests;
        possible = label->w <= run->cls->band[j].hi && within_limits(run, label, limit);
    }
    if (!possible) {
        return false;
    }
    if (run->only >= 0 || run->rule.plane) {
        return true;
    }
    for (int32_t f = 0; f < run->group->n_functionals; f++) {
        const int64_t value = (int64_t)uap_label_run_value(run, f, label);
        if (!has_completion(&run->completion[f][cell], value, label)) {
            return false;
        }
    }
    return true;
}
