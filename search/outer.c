/* The relaxation over cuts: Pareto lists of (S, M). */
#include "search/outer_lists.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

/* --- Staircases: lists of (S, M), S ascending and M descending ------------------------- */

#define STAIR_MOST 48 /* longer lists are thinned, which only weakens the bound */

typedef struct stair {
    uap_relaxed at[2 * STAIR_MOST + 1];
    int32_t n;
} stair;

/* Two neighbours become the corner below both. */
static void stair_thin(stair *s)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < s->n; i += 2) {
        const int32_t last = i + 1 < s->n ? i + 1 : i;
        s->at[kept++] = (uap_relaxed){s->at[i].s, s->at[last].m};
    }
    s->n = kept;
}

static void stair_add(stair *s, double sum, double most)
{
    int32_t lo = 0;
    int32_t hi = s->n; /* first entry with a larger sum */
    while (lo < hi) {
        const int32_t mid = (lo + hi) / 2;
        if (s->at[mid].s <= sum) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    if (lo > 0 && s->at[lo - 1].m <= most) {
        return;
    }
    int32_t first = lo;
    if (lo > 0 && s->at[lo - 1].s >= sum) {
        first = lo - 1;
    }
    int32_t end = lo;
    while (end < s->n && s->at[end].m >= most) {
        end++;
    }
    memmove(&s->at[first + 1], &s->at[end], (size_t)(s->n - end) * sizeof *s->at);
    s->n += 1 - (end - first);
    s->at[first] = (uap_relaxed){sum, most};
    if (s->n > 2 * STAIR_MOST) {
        stair_thin(s);
    }
}

static bool stair_store(uap_outer *o, uap_list *list, const stair *s)
{
    if (o->n_pool + s->n > o->pool_capacity) {
        int64_t capacity = o->pool_capacity < 4096 ? 4096 : 2 * o->pool_capacity;
        uap_relaxed *pool = uap_realloc(o->pool, (size_t)capacity, sizeof *pool);
        if (pool == NULL) {
            return false;
        }
        o->pool = pool;
        o->pool_capacity = capacity;
    }
    *list = (uap_list){.first = o->n_pool, .count = s->n};
    memcpy(o->pool + o->n_pool, s->at, (size_t)s->n * sizeof *s->at);
    o->n_pool += s->n;
    return true;
}

/* --- The terms of M -------------------------------------------------------------------- */

/* What stage i of time p adds to S, whatever lies behind it as long as that takes `behind`
 * (with its own boundary) or more: the longest stage, and for 1f1b the round trips that a
 * full pipeline waits for (r RT + (c-1-(r-1)k) p, less S, which counts RT once). */
static double stage_term_least(const uap_outer *o, int32_t i, double p, double behind)
{
    const uap_stage_terms *t = &o->terms[i];
    double m = t->kappa * p;
    for (int32_t r = 0; r < t->n_rounds; r++) {
        m = uap_max_f64(m, (t->rounds[r] - 1) * (p + behind) + t->rest[r] * p);
    }
    return m;
}

/* The same with what lies behind known, then also c p, less S. This falls as more lies
 * behind, so that a prefix must not use it. */
static double stage_term(const uap_outer *o, int32_t i, double p, double behind)
{
    const double m = stage_term_least(o, i, p, behind);
    return o->terms[i].round_trips ? uap_max_f64(m, (double)o->c * p - (p + behind)) : m;
}

/* The same from a cell's bounds, where stage 0's come with g. */
static double cell_term(const uap_outer *o, int32_t i, const uap_cell_bounds *cell,
                        double behind)
{
    const double m = uap_max_f64(stage_term(o, i, cell->p, behind), cell->alone);
    const uap_stage_terms *t = &o->terms[i];
    if (cell->round <= 0) {
        return m;
    }
    /* Without full rounds the measure is c p + g, which waits for nothing behind. */
    const double rounds = t->n_rounds > 0 ? t->rounds[1] : 0;
    return uap_max_f64(m, rounds * behind + cell->round - (cell->s + behind));
}

static double boundary_term(const uap_outer *o, double fwd, double bwd)
{
    const double c = (double)o->c;
    return (c - 1) * (o->terms[0].round_trips ? uap_max_f64(fwd, bwd) : fwd + bwd);
}

bool uap_outer_cell(const uap_group *group, int32_t cell, uap_cell_bounds *out)
{
    out->p = uap_max_f64(group->bound[0][cell], 0);
    if (isinf(group->bound[0][cell])) {
        return false;
    }
    out->s = uap_max_f64(out->p, group->bound[group->sum][cell]);
    out->alone = 0;
    if (group->alone >= 0) {
        out->alone = uap_max_f64(0, group->bound[group->alone][cell] - out->s);
    }
    out->round = group->round < 0 ? 0 : group->bound[group->round][cell];
    return true;
}

void uap_outer_lengths(const uap_outer *o, int32_t i, int32_t a, const uap_group *group,
                       int32_t *first, int32_t *last)
{
    const int32_t n_layers = o->chain->n_layers;
    const int32_t room = n_layers - a;
    const int32_t most = group->n_len < room ? group->n_len : room;
    if (i + 1 == o->chain->pp) {
        *first = room;
        *last = room <= most ? room : room - 1;
        return;
    }
    *first = o->lo[i + 1] - a > 1 ? o->lo[i + 1] - a : 1;
    *last = o->hi[i + 1] - a < most ? o->hi[i + 1] - a : most;
}

/* --- Passes ---------------------------------------------------------------------------- */

static uap_list *list_at(const uap_outer *o, uap_list *lists, int32_t i, int32_t layer,
                         int32_t cls)
{
    return &lists[((size_t)i * (size_t)o->chain->n_layers + (size_t)layer) *
                      (size_t)o->width +
                  (size_t)cls];
}

uap_list *uap_outer_head(const uap_outer *o, int32_t i, int32_t a, int32_t x)
{
    return list_at(o, o->head, i, a, x);
}

uap_list *uap_outer_tail(const uap_outer *o, int32_t i, int32_t b, int32_t y)
{
    return list_at(o, o->tail, i, b, y);
}

/* Least S of everything before (i, a, x): one criterion, forward. */
static void least_before(uap_outer *o)
{
    const uap_chain *chain = o->chain;
    const size_t n = (size_t)chain->pp * (size_t)chain->n_layers * (size_t)o->width;
    for (size_t j = 0; j < n; j++) {
        o->before[j] = HUGE_VAL;
    }
    o->before[0] = 0;
    for (int32_t i = 0; i + 1 < chain->pp; i++) {
        for (int32_t j = 0; j < chain->n_layers * o->width; j++) {
            o->at_end[j] = HUGE_VAL;
        }
        const double *from =
            o->before + (size_t)i * (size_t)chain->n_layers * (size_t)o->width;
        double *to =
            o->before + (size_t)(i + 1) * (size_t)chain->n_layers * (size_t)o->width;
        for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
            const uap_group *group = uap_outer_group(o, i, a);
            int32_t first;
            int32_t last;
            uap_outer_lengths(o, i, a, group, &first, &last);
            for (int32_t x = 0; x < group->n_in; x++) {
                const double s = from[a * o->width + x];
                if (s > o->target) {
                    continue;
                }
                for (int32_t l = first; l <= last; l++) {
                    const int32_t n_out = uap_kind_of(chain, a + l - 1)->n_out;
                    double *end = o->at_end + (size_t)(a + l - 1) * (size_t)o->width;
                    const int32_t cell = uap_cell(group, x, l, 0);
                    const double *bound = group->bound[group->sum] + cell;
                    for (int32_t y = 0; y < n_out; y++) {
                        const double v = s + uap_max_f64(0, bound[y]);
                        end[y] = v < end[y] ? v : end[y];
                    }
                }
            }
        }
        for (int32_t a = o->lo[i + 1]; a <= o->hi[i + 1]; a++) {
            const uap_chain_link *link = uap_link_of(chain, a - 1);
            for (int32_t y = 0; y < link->n_out; y++) {
                const double s = o->at_end[(a - 1) * o->width + y];
                for (int32_t x = 0; x < link->n_in; x++) {
                    const int32_t at = y * link->n_in + x;
                    const double v = s + (double)(link->x_fwd[at] + link->x_bwd[at]);
                    double *best = &to[a * o->width + x];
                    *best = v < *best ? v : *best;
                }
            }
        }
    }
}

/* Suffix labels of stage i from (a, x) on. */
static void suffix_of_start(uap_outer *o, int32_t i, int32_t a, int32_t x, stair *acc)
{
    const uap_group *group = uap_outer_group(o, i, a);
    const double before = o->before[((size_t)i * (size_t)o->chain->n_layers + (size_t)a) *
                                        (size_t)o->width +
                                    (size_t)x];
    int32_t first;
    int32_t last;
    uap_outer_lengths(o, i, a, group, &first, &last);
    acc->n = 0;
    if (before > o->target) {
        return;
    }
    for (int32_t l = first; l <= last; l++) {
        const int32_t n_out = uap_kind_of(o->chain, a + l - 1)->n_out;
        for (int32_t y = 0; y < n_out; y++) {
            uap_cell_bounds cell;
            const uap_list *tail = uap_outer_tail(o, i, a + l - 1, y);
            if (tail->count == 0 ||
                !uap_outer_cell(group, uap_cell(group, x, l, y), &cell)) {
                continue;
            }
            for (int32_t j = 0; j < tail->count; j++) {
                const uap_relaxed t = o->pool[tail->first + j];
                const double s = cell.s + t.s;
                if (before + s > o->target) {
                    break; /* S ascends along the list */
                }
                const double alone = cell_term(o, i, &cell, t.s);
                const double m = uap_max_f64(t.m, alone);
                if (before + s + m <= o->target) {
                    stair_add(acc, s, m);
                }
            }
        }
    }
}

/* Tail lists behind stage i - 1 from the suffix lists of stage i (in o->suffix). */
static bool cross_back(uap_outer *o, int32_t i, const uap_list *suffix)
{
    const uap_chain *chain = o->chain;
    stair acc;
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        const uap_chain_link *link = uap_link_of(chain, a - 1);
        for (int32_t y = 0; y < link->n_out; y++) {
            acc.n = 0;
            for (int32_t x = 0; x < link->n_in; x++) {
                const uap_list *list = &suffix[a * o->width + x];
                const double fwd = (double)link->x_fwd[y * link->n_in + x];
                const double bwd = (double)link->x_bwd[y * link->n_in + x];
                const double term = boundary_term(o, fwd, bwd);
                for (int32_t j = 0; j < list->count; j++) {
                    const uap_relaxed t = o->pool[list->first + j];
                    stair_add(&acc, t.s + fwd + bwd, uap_max_f64(t.m, term));
                }
            }
            if (!stair_store(o, uap_outer_tail(o, i - 1, a - 1, y), &acc)) {
                return false;
            }
        }
    }
    return true;
}

static bool suffix_pass(uap_outer *o, double *bound)
{
    const uap_chain *chain = o->chain;
    const int32_t pp = chain->pp;
    stair acc = {.n = 1, .at = {{0, 0}}};
    if (!stair_store(o, uap_outer_tail(o, pp - 1, chain->n_layers - 1, 0), &acc)) {
        return false;
    }
    *bound = HUGE_VAL;
    for (int32_t i = pp - 1; i >= 0; i--) {
        memset(o->suffix, 0,
               (size_t)chain->n_layers * (size_t)o->width * sizeof *o->suffix);
        for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
            const int32_t n_in = uap_kind_of(chain, a)->n_in;
            for (int32_t x = 0; x < n_in; x++) {
                suffix_of_start(o, i, a, x, &acc);
                if (!stair_store(o, &o->suffix[a * o->width + x], &acc)) {
                    return false;
                }
            }
        }
        if (i > 0 && !cross_back(o, i, o->suffix)) {
            return false;
        }
    }
    for (int32_t j = 0; j < o->suffix[0].count; j++) {
        const uap_relaxed t = o->pool[o->suffix[0].first + j];
        *bound = uap_min_f64(*bound, t.s + t.m);
    }
    return true;
}

/* Least S in a list; lists are sorted by it. */
static double least_sum(const uap_outer *o, const uap_list *list)
{
    return list->count == 0 ? HUGE_VAL : o->pool[list->first].s;
}

/* A stage from layer a with first strategy x over l layers to last strategy y. */
typedef struct span {
    int32_t i, a, x, l, y;
} span;

/* Adds what the heads in front of one span give at its end. */
static void prefix_of_span(uap_outer *o, const uap_group *group, const span *s,
                           const uap_list *head, stair *end)
{
    uap_cell_bounds cell;
    const double behind = least_sum(o, uap_outer_tail(o, s->i, s->a + s->l - 1, s->y));
    if (isinf(behind) ||
        !uap_outer_cell(group, uap_cell(group, s->x, s->l, s->y), &cell)) {
        return;
    }
    const double alone =
        uap_max_f64(stage_term_least(o, s->i, cell.p, behind), cell.alone);
    const double own = o->terms[s->i].round_trips ? (double)o->c * cell.p : 0;
    for (int32_t j = 0; j < head->count; j++) {
        const uap_relaxed h = o->pool[head->first + j];
        const double sum = h.s + cell.s;
        const double m = uap_max_f64(h.m, alone);
        if (sum + behind + m <= o->target && h.s + own <= o->target) {
            stair_add(end, sum, m);
        }
    }
}

/* Ends of stage i: lists at (b, y), from all its starts, into ends[L][width]. */
static void prefix_of_stage(uap_outer *o, int32_t i, stair *ends)
{
    const uap_chain *chain = o->chain;
    for (int32_t j = 0; j < chain->n_layers * o->width; j++) {
        ends[j].n = 0;
    }
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        const uap_group *group = uap_outer_group(o, i, a);
        int32_t first;
        int32_t last;
        uap_outer_lengths(o, i, a, group, &first, &last);
        for (int32_t x = 0; x < group->n_in; x++) {
            const uap_list *head = uap_outer_head(o, i, a, x);
            for (int32_t l = first; l <= last && head->count > 0; l++) {
                const int32_t b = a + l - 1;
                const int32_t n_out = uap_kind_of(chain, b)->n_out;
                for (int32_t y = 0; y < n_out; y++) {
                    const span s = {i, a, x, l, y};
                    prefix_of_span(o, group, &s, head, &ends[b * o->width + y]);
                }
            }
        }
    }
}

static bool prefix_pass(uap_outer *o)
{
    const uap_chain *chain = o->chain;
    stair *ends = uap_calloc((size_t)chain->n_layers * (size_t)o->width, sizeof *ends);
    stair acc = {.n = 1, .at = {{0, 0}}};
    bool ok = ends != NULL && stair_store(o, uap_outer_head(o, 0, 0, 0), &acc);
    for (int32_t i = 0; ok && i + 1 < chain->pp; i++) {
        prefix_of_stage(o, i, ends);
        for (int32_t a = o->lo[i + 1]; ok && a <= o->hi[i + 1]; a++) {
            const uap_chain_link *link = uap_link_of(chain, a - 1);
            for (int32_t x = 0; ok && x < link->n_in; x++) {
                acc.n = 0;
                for (int32_t y = 0; y < link->n_out; y++) {
                    const stair *end = &ends[(a - 1) * o->width + y];
                    const double fwd = (double)link->x_fwd[y * link->n_in + x];
                    const double bwd = (double)link->x_bwd[y * link->n_in + x];
                    const double term = boundary_term(o, fwd, bwd);
                    for (int32_t j = 0; j < end->n; j++) {
                        stair_add(&acc, end->at[j].s + fwd + bwd,
                                  uap_max_f64(end->at[j].m, term));
                    }
                }
                ok = stair_store(o, uap_outer_head(o, i + 1, a, x), &acc);
            }
        }
    }
    uap_free(ends);
    return ok;
}

/* --- Set-up ---------------------------------------------------------------------------- */

uap_stage_terms uap_stage_terms_of(const uap_pipeline *pipeline, int32_t i)
{
    const int64_t c = pipeline->chain->c;
    const int64_t k = uap_min_i64(pipeline->chain->instance->inflight[i], c);
    uap_stage_terms t = {.kappa = pipeline->kappa[i],
                         .round_trips = pipeline->round_trips};
    if (t.round_trips && c > k) {
        const int64_t most = 1 + (c - 1) / k;
        t.n_rounds = 2;
        t.rounds[0] = 2;
        t.rest[0] = (double)(c - 1 - k);
        t.rounds[1] = (double)most;
        t.rest[1] = (double)(c - 1 - (most - 1) * k);
    }
    return t;
}

static bool alloc_outer(uap_outer *o)
{
    const uap_chain *chain = o->chain;
    o->width = chain->width;
    const size_t per_stage = (size_t)chain->n_layers * (size_t)o->width;
    const size_t all = (size_t)chain->pp * per_stage;
    o->head = uap_calloc(all, sizeof *o->head);
    o->tail = uap_calloc(all, sizeof *o->tail);
    o->before = uap_calloc(all, sizeof *o->before);
    o->suffix = uap_calloc(per_stage, sizeof *o->suffix);
    o->at_end = uap_calloc(per_stage, sizeof *o->at_end);
    o->terms = uap_calloc((size_t)chain->pp, sizeof *o->terms);
    return o->head != NULL && o->tail != NULL && o->before != NULL && o->suffix != NULL &&
           o->at_end != NULL && o->terms != NULL;
}

void uap_outer_free(uap_outer *outer)
{
    if (outer != NULL) {
        uap_free(outer->head);
        uap_free(outer->tail);
        uap_free(outer->before);
        uap_free(outer->suffix);
        uap_free(outer->at_end);
        uap_free(outer->terms);
        uap_free(outer->pool);
        uap_free(outer);
    }
}

uap_status uap_outer_bound(const uap_pipeline *pipeline, uap_segments *segments,
                           int64_t target, uap_outer **out, int64_t *bound, uap_err *err)
{
    *out = NULL;
    *bound = INT64_MAX;
    uap_outer *o = uap_calloc(1, sizeof *o);
    if (o == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
    }
    o->pipeline = pipeline;
    o->chain = pipeline->chain;
    o->segments = segments;
    o->c = o->chain->c;
    o->target_ticks = target;
    /* A margin for the additions along a path; the exact pass compares integers. */
    o->target = (double)target * (1 + 1e-11) + 1;
    o->lo = segments->lo;
    o->hi = segments->hi;
    double least = HUGE_VAL;
    bool ok = alloc_outer(o);
    bool possible = true;
    for (int32_t i = 0; i < o->chain->pp; i++) {
        possible = possible && o->lo[i] <= o->hi[i];
    }
    if (ok && possible) {
        for (int32_t i = 0; i < o->chain->pp; i++) {
            o->terms[i] = uap_stage_terms_of(pipeline, i);
        }
        least_before(o);
        ok = suffix_pass(o, &least);
        if (ok && !isinf(least)) {
            ok = prefix_pass(o);
            uap_outer_budget(o);
        }
    }
    if (!ok) {
        uap_outer_free(o);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
    }
    if (!isinf(least)) {
        *bound = (int64_t)floor(least * (1 - 1e-11) - 1);
    }
    *out = o;
    return UAP_OK;
}
