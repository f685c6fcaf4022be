/* The relaxation by windows of M (search/mix_window.h). Windows are split where the best path
 * of one would be worth less in its lower part, the lowest bound first, until the lowest one
 * cannot be split; then its devices are counted. */
#include "search/mix_window.h"

#include "common/mem.h"
#include "common/numbers.h"
#include "search/mix_job.h"

#include <math.h>
#include <string.h>

#define MARGIN            1e-11 /* relative, for sums along a path */
#define NARROW            1e-3  /* of the target: windows are not split any further */
#define MOST_WINDOWS      192
#define PRICE_ROUNDS      12
#define COUNT_EFFORT      50000
#define BATCH             4     /* windows whose devices are counted side by side, */
#define SPLITS            2     /* or that are split: more would be looked at in vain */
#define COUNT_LABELS      75000 /* that a count looks at, about; */
#define ARCS_PER_LABEL    30    /* and arcs, or crosses, that take as long as one */
#define CROSSES_PER_LABEL 120

/* ---- One window ------------------------------------------------------------------------ */

/* Values of stage i from layer a on, by type. */
static void start_stage(uap_mix_window *w, int32_t i, int32_t a)
{
    const uap_mix *mix = w->mix;
    for (int32_t t = 0; t < mix->n_types; t++) {
        const size_t at = uap_window_at(w, i, t, a);
        const uap_mix_starts *from = &w->from[at];
        const uap_window_arc *arc = w->arc + from->first;
        const double *tail = w->tail + at + from->shortest - 1;
        double best = HUGE_VAL;
        int32_t length = 0;
        for (int32_t j = 0; j < from->count; j++) {
            const double v = uap_max_f64(arc[j].s + tail[j], arc[j].floor);
            if (v < best && arc[j].m <= w->hi) {
                best = v;
                length = from->shortest + j;
            }
        }
        w->start[t * mix->n_layers + a] = best + uap_mix_toll(mix, t);
        w->length[at] = length;
    }
}

/* The type of the best first stage; its value with tolls is in w->start. */
static int32_t best_start(const uap_mix_window *w)
{
    int32_t best = 0;
    for (int32_t t = 1; t < w->mix->n_types; t++) {
        const int32_t n = w->mix->n_layers;
        best = w->start[t * n] < w->start[best * n] ? t : best;
    }
    return best;
}

/* The least value of plans in the window, tolls in. */
static double evaluate(uap_mix_window *w)
{
    const uap_mix *mix = w->mix;
    const uap_segments *s = mix->segments[0];
    const size_t n = uap_window_size(mix);
    for (size_t j = 0; j < n; j++) {
        w->tail[j] = HUGE_VAL;
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        w->tail[uap_window_at(w, mix->pp - 1, t, mix->n_layers - 1)] = w->lo;
    }
    for (int32_t i = mix->pp - 1; i >= 0; i--) {
        for (int32_t a = s->lo[i]; a <= s->hi[i]; a++) {
            start_stage(w, i, a);
            if (i > 0) {
                uap_window_cross_back(w, i, a);
            }
        }
    }
    return w->start[best_start(w) * mix->n_layers];
}

/* M of the best plan, and in w->excess what it takes too much of each group. */
static double trace(uap_mix_window *w)
{
    const uap_mix *mix = w->mix;
    double most = 0;
    int32_t t = best_start(w);
    int32_t a = 0;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        w->excess[g] = -(double)uap_mix_usable(mix, g);
    }
    for (int32_t i = 0; i < mix->pp; i++) {
        const size_t at = uap_window_at(w, i, t, a);
        const uap_mix_starts *from = &w->from[at];
        const int32_t length = w->length[at];
        most = uap_max_f64(most, w->arc[from->first + length - from->shortest].m);
        w->excess[mix->in->type[t].group] += (double)mix->in->type[t].devices;
        a += length;
        if (i + 1 < mix->pp) {
            const int32_t behind = w->behind[uap_window_at(w, i, t, a - 1)];
            most = uap_max_f64(most, uap_window_cross_of(w, a - 1, t, behind)->m);
            t = behind;
        }
    }
    return most;
}

/* Moves the prices towards the target; false where nothing is in excess. */
static bool move_prices(uap_mix_window *w, double step)
{
    uap_mix *mix = w->mix;
    double norm = 0;
    bool any = false;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        const bool idle = w->excess[g] < 0 && mix->price[g] <= 0;
        norm += idle ? 0 : w->excess[g] * w->excess[g];
        any = any || (!idle && (w->excess[g] > 0 || w->excess[g] < 0));
    }
    for (int32_t g = 0; g < mix->n_groups && any; g++) {
        mix->price[g] = uap_max_f64(0, mix->price[g] + step / norm * w->excess[g]);
    }
    return any;
}

/* What is known of a window. */
typedef struct window {
    double lo, hi, bound;
    double most; /* M of the best plan at the best prices */
    bool is_counted;
} window;

/* Raises the window's bound by prices, from those in price[n_groups] on, which become the best. */
static void raise_bound(uap_mix_window *w, window *win, double *price)
{
    uap_mix *mix = w->mix;
    const size_t bytes = (size_t)mix->n_groups * sizeof *price;
    double length = 1;
    double best = -HUGE_VAL;
    int32_t idle = 0;
    w->lo = win->lo;
    w->hi = win->hi;
    memcpy(mix->price, price, bytes);
    for (int32_t round = 0; round < PRICE_ROUNDS; round++) {
        const double credit = uap_mix_credit(mix);
        const double value = evaluate(w);
        const double bound = value - credit - MARGIN * (value + credit) - 1;
        if (isinf(value)) {
            win->bound = HUGE_VAL;
            return;
        }
        const double most = trace(w);
        if (bound > best) {
            best = bound;
            win->most = most;
            memcpy(price, mix->price, bytes);
            idle = 0;
        } else if (++idle % 2 == 0) {
            length /= 2;
            memcpy(mix->price, price, bytes);
            continue;
        }
        const double rise = w->target * (1 + 1e-4) - bound;
        if (best > w->target || !move_prices(w, length * rise)) {
            break;
        }
    }
    win->bound = uap_max_f64(win->bound, best);
}

/* ---- Heads ----------------------------------------------------------------------------- */

/* The least S in front of every stage, tolls in where is_priced, of stages in the window. */
static void reach_heads(uap_mix_window *w, double *head, bool is_priced)
{
    const uap_mix *mix = w->mix;
    const uap_segments *s = mix->segments[0];
    const size_t n = uap_window_size(mix);
    double *end = w->start; /* [n_types][L] */
    for (size_t j = 0; j < n; j++) {
        head[j] = HUGE_VAL;
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        head[uap_window_at(w, 0, t, 0)] = 0;
    }
    for (int32_t i = 0; i + 1 < mix->pp; i++) {
        for (int32_t j = 0; j < mix->n_types * mix->n_layers; j++) {
            end[j] = HUGE_VAL;
        }
        for (int32_t t = 0; t < mix->n_types; t++) {
            const double toll = is_priced ? uap_mix_toll(mix, t) : 0;
            for (int32_t a = s->lo[i]; a <= s->hi[i]; a++) {
                const size_t at = uap_window_at(w, i, t, a);
                const uap_mix_starts *from = &w->from[at];
                double *to = end + t * mix->n_layers + a + from->shortest - 1;
                for (int32_t j = 0; j < from->count && !isinf(head[at]); j++) {
                    const uap_window_arc *arc = &w->arc[from->first + j];
                    if (arc->m <= w->hi) {
                        to[j] = uap_min_f64(to[j], head[at] + arc->s + toll);
                    }
                }
            }
        }
        for (int32_t a = s->lo[i + 1]; a <= s->hi[i + 1]; a++) {
            for (int32_t t = 0; t < mix->n_types; t++) {
                const uap_window_cross *cross = uap_window_cross_of(w, a - 1, t, 0);
                const double before = end[t * mix->n_layers + a - 1];
                for (int32_t u = 0; u < mix->n_types && !isinf(before); u++) {
                    double *to = &head[uap_window_at(w, i + 1, u, a)];
                    if (cross[u].m <= w->hi) {
                        *to = uap_min_f64(*to, before + cross[u].s);
                    }
                }
            }
        }
    }
}

/* ---- The whole ------------------------------------------------------------------------- */

typedef struct windows {
    window *at;    /* [MOST_WINDOWS] */
    double *price; /* [MOST_WINDOWS + 1][n_groups], the last of a task */
    int32_t n;
    uap_mix_task task[2 * BATCH]; /* of the job at hand; i: the window */
} windows;

/* Whether a window is too narrow to be split, so that its devices are to be counted. */
static bool is_pending(const uap_mix_window *w, const windows *all, int32_t k)
{
    const window *win = &all->at[k];
    return !win->is_counted &&
           (all->n >= MOST_WINDOWS || win->most - win->lo <= NARROW * w->target);
}

static int32_t lowest(const windows *all)
{
    int32_t best = 0;
    for (int32_t i = 1; i < all->n; i++) {
        best = all->at[i].bound < all->at[best].bound ? i : best;
    }
    return best;
}

/* Splits window k where its best plan is: that one is not in the lower part. */
static void split(const uap_mix_window *w, windows *all, int32_t k)
{
    const size_t groups = (size_t)w->mix->n_groups;
    const window old = all->at[k];
    const double hi = uap_min_f64(old.hi, w->target);
    double cut = old.most;
    if (!(cut > old.lo + 0.05 * (hi - old.lo)) || !(cut < hi - 0.05 * (hi - old.lo))) {
        cut = 0.5 * (old.lo + hi);
    }
    double *price = all->price + (size_t)all->n * groups;
    memcpy(price, all->price + (size_t)k * groups, groups * sizeof *price);
    all->at[all->n++] = (window){.lo = cut, .hi = old.hi, .bound = old.bound};
    all->at[k] = (window){.lo = old.lo, .hi = cut, .bound = old.bound};
}

/* ---- Several windows, as a job of a crew ---- */

/* The search at hand, for its tasks. */
typedef struct window_search {
    uap_mix_window *w;
    windows *all;
} window_search;

/* Raises a window's bound by prices: the result is what is known then, and the prices. */
static bool make_raise(void *self, const uap_mix_task *task, uap_bytes *out)
{
    const window_search *search = self;
    const size_t groups = (size_t)search->w->mix->n_groups;
    window win = search->all->at[task->i];
    double *price = search->all->price + (size_t)MOST_WINDOWS * groups;
    memcpy(price, search->all->price + (size_t)task->i * groups, groups * sizeof *price);
    raise_bound(search->w, &win, price);
    return uap_bytes_put(out, &win, sizeof win) &&
           uap_bytes_put(out, price, groups * sizeof *price);
}

static bool take_raise(void *self, const uap_mix_task *task, const char *from)
{
    const window_search *search = self;
    windows *all = search->all;
    const size_t groups = (size_t)search->w->mix->n_groups;
    from = uap_bytes_get(from, &all->at[task->i], sizeof *all->at);
    (void)uap_bytes_get(from, all->price + (size_t)task->i * groups,
                        groups * sizeof *all->price);
    return true;
}

/* Counts devices in a window: the result is its bound. */
static bool make_count(void *self, const uap_mix_task *task, uap_bytes *out)
{
    const window_search *search = self;
    uap_mix_window *w = search->w;
    uap_mix *mix = w->mix;
    const window *win = &search->all->at[task->i];
    const size_t groups = (size_t)mix->n_groups;
    bool no_memory = false;
    double least = 0;
    double bound = win->bound;
    w->lo = win->lo;
    w->hi = win->hi;
    memcpy(mix->price, search->all->price + (size_t)task->i * groups,
           groups * sizeof(double));
    reach_heads(w, w->head, true);
    reach_heads(w, w->free_head, false);
    if (uap_mix_window_count(w, COUNT_EFFORT, &least, &no_memory)) {
        bound = uap_max_f64(bound, least * (1 - MARGIN) - 1);
    }
    return !no_memory && uap_bytes_put(out, &bound, sizeof bound);
}

static bool take_count(void *self, const uap_mix_task *task, const char *from)
{
    const window_search *search = self;
    window *win = &search->all->at[task->i];
    (void)uap_bytes_get(from, &win->bound, sizeof win->bound);
    win->is_counted = true;
    return true;
}

/* Raising a bound takes as long as looking at so many labels, about. */
static int64_t labels_of_raise(const uap_mix_window *w)
{
    const int64_t types = w->mix->n_types;
    const int64_t crosses = types * types * w->mix->pp * w->mix->n_layers;
    return 1 + PRICE_ROUNDS * (w->n_arcs / ARCS_PER_LABEL + crosses / CROSSES_PER_LABEL);
}

/* Puts the lowest windows within the target, pending or not, into the job's tasks; at most
 * `most`. Returns their number. */
static int32_t list_lowest(const uap_mix_window *w, windows *all, bool pending,
                           int32_t most)
{
    const int64_t labels = pending ? COUNT_LABELS : labels_of_raise(w);
    int32_t n = 0;
    for (int32_t k = 0; k < all->n; k++) {
        if (is_pending(w, all, k) != pending || all->at[k].is_counted ||
            all->at[k].bound > w->target) {
            continue;
        }
        int32_t j = n < most ? n++ : most;
        while (j > 0 && all->at[k].bound < all->at[all->task[j - 1].i].bound) {
            j--;
            if (j + 1 < most) {
                all->task[j + 1] = all->task[j];
            }
        }
        if (j < most) {
            all->task[j] = (uap_mix_task){.i = k, .id = k, .labels = labels};
        }
    }
    return n;
}

/* Does the n tasks listed, whose effort does not count. */
static uap_status do_tasks(uap_mix_window *w, windows *all, int32_t n, bool counts,
                           uap_err *err)
{
    uap_mix *mix = w->mix;
    window_search search = {w, all};
    uap_mix_job job = {.mix = mix,
                       .self = &search,
                       .make = counts ? make_count : make_raise,
                       .take = counts ? take_count : take_raise,
                       .task = all->task,
                       .n = n};
    const int64_t effort = mix->effort;
    mix->effort = INT64_MAX;
    const uap_status rc = uap_mix_job_do(&job, err);
    mix->effort = effort;
    return rc;
}

/* Splits the n windows listed and raises the bounds of their parts. */
static uap_status split_listed(uap_mix_window *w, windows *all, int32_t n, uap_err *err)
{
    int32_t tasks = n;
    for (int32_t j = 0; j < n && all->n < MOST_WINDOWS; j++) {
        all->task[tasks] = all->task[j];
        all->task[tasks].i = all->task[tasks].id = all->n;
        tasks++;
        split(w, all, all->task[j].i);
    }
    return do_tasks(w, all, tasks, false, err);
}

/* Whether the search must stop; asked between windows. In a crew all must end alike. */
static bool must_stop(const uap_mix_window *w)
{
    uap_mix *mix = w->mix;
    uap_segments *s = mix->segments[0];
    if (s->crew == NULL) {
        s->effort = INT64_MAX;
        s->stopped = false;
        mix->stopped = mix->stopped || uap_segments_breathe(s, PRICE_ROUNDS * w->n_arcs);
    }
    return mix->stopped;
}

/* *bound: of all windows, as far as they were looked at. Pending windows wait until there are
 * some to be counted side by side. Errors: NO_MEMORY, those of the crew. */
static uap_status search_windows(uap_mix_window *w, windows *all, double *bound,
                                 uap_err *err)
{
    uap_status rc = UAP_OK;
    all->at[0] = (window){.hi = HUGE_VAL};
    all->n = 1;
    memcpy(all->price, w->mix->price, (size_t)w->mix->n_groups * sizeof *all->price);
    raise_bound(w, &all->at[0], all->price);
    for (;;) {
        const window *win = &all->at[lowest(all)];
        *bound = win->bound;
        if (win->bound > w->target || win->is_counted || must_stop(w)) {
            break;
        }
        const int32_t pending = list_lowest(w, all, true, BATCH);
        const int32_t n = pending < BATCH ? list_lowest(w, all, false, SPLITS) : 0;
        if (n > 0) {
            UAP_TRY(split_listed(w, all, n, err));
        } else {
            UAP_TRY(do_tasks(w, all, list_lowest(w, all, true, BATCH), true, err));
        }
    }
done:
    return rc;
}

/* ---- What plans may have --------------------------------------------------------------- */

/* Marks the stages of plans within the target in the window at hand, tails in place. */
static void mark_live(uap_mix_window *w, bool *is_live)
{
    const uap_mix *mix = w->mix;
    const uap_segments *s = mix->segments[0];
    const double credit = uap_mix_credit(mix);
    const double most = w->target + credit + MARGIN * (w->target + credit) + 1;
    for (int32_t i = 0; i < mix->pp; i++) {
        for (int32_t t = 0; t < mix->n_types; t++) {
            const double toll = uap_mix_toll(mix, t);
            for (int32_t a = s->lo[i]; a <= s->hi[i]; a++) {
                const size_t at = uap_window_at(w, i, t, a);
                const uap_mix_starts *from = &w->from[at];
                const double *tail = w->tail + at + from->shortest - 1;
                for (int32_t j = 0; j < from->count && !isinf(w->head[at]); j++) {
                    const uap_window_arc *arc = &w->arc[from->first + j];
                    const double v = uap_max_f64(arc->s + tail[j], arc->floor);
                    if (arc->m <= w->hi && w->head[at] + v + toll <= most) {
                        is_live[from->first + j] = true;
                    }
                }
            }
        }
    }
}

/* Stages of all windows together, into mix->live. False: no memory. */
static bool find_live(uap_mix_window *w, const windows *all)
{
    uap_mix *mix = w->mix;
    const size_t groups = (size_t)mix->n_groups;
    bool *is_live = uap_calloc((size_t)w->n_arcs + 1, sizeof *is_live);
    if (is_live == NULL) {
        return false;
    }
    for (int32_t k = 0; k < all->n; k++) {
        const window *win = &all->at[k];
        if (win->bound <= w->target) {
            w->lo = win->lo;
            w->hi = win->hi;
            memcpy(mix->price, all->price + (size_t)k * groups, groups * sizeof(double));
            (void)evaluate(w);
            reach_heads(w, w->head, true);
            mark_live(w, is_live);
        }
    }
    uap_mix_forget_live(mix);
    mix->live = (uap_mix_live){w->from, is_live};
    w->from = NULL;
    return true;
}

void uap_mix_forget_live(uap_mix *mix)
{
    uap_free(mix->live.from);
    uap_free(mix->live.is_live);
    mix->live = (uap_mix_live){NULL, NULL};
}

uap_status uap_mix_window_bound(uap_mix *mix, int64_t target, bool fix, int64_t *bound,
                                uap_err *err)
{
    const size_t groups = (size_t)mix->n_groups;
    uap_mix_window w;
    windows all = {.at = uap_calloc(MOST_WINDOWS, sizeof *all.at),
                   .price = uap_calloc((MOST_WINDOWS + 1) * groups, sizeof *all.price)};
    double *kept = uap_calloc(groups, sizeof *kept);
    double least = 0;
    uap_status rc = UAP_OK;
    const bool ok = uap_mix_window_open(&w, mix, (double)target * (1 + MARGIN) + 1) &&
                    all.at != NULL && all.price != NULL && kept != NULL;
    if (!ok) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
        goto done;
    }
    memcpy(kept, mix->price, groups * sizeof *kept);
    UAP_TRY(search_windows(&w, &all, &least, err));
    if (fix && !mix->stopped && !find_live(&w, &all)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
        goto done;
    }
    *bound = least > (double)target ? target + 1 : (int64_t)floor(uap_max_f64(0, least));
    memcpy(mix->price, kept, groups * sizeof *kept);
done:
    uap_mix_window_close(&w);
    uap_free(all.at);
    uap_free(all.price);
    uap_free(kept);
    return rc;
}
