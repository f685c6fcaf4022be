/* Stage classes, their multipliers and bands, and groups of starts: what segments are made
 * of. Their bounds are in segment_bound.c, their exact sets in segment_label.c. */
#include "search/segment.h"

#include "common/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Labels looked at within rough limits, which cost about as much as sharp limits do. */
#define ROUGH_WORK 2000000

/* Rounding errors of a few hundred additions in double stay far below this share. */
#define RELATIVE_MARGIN 1e-11

static void set_weights(const uap_segments *s, const uap_segment_needs *needs,
                        uap_stage_class *cls)
{
    const int64_t c = s->chain->c;
    const int64_t k = uap_min_i64(cls->inflight, c);
    const int64_t half = needs->round_trips && cls->split ? k - 1 : 0;
    cls->weights[UAP_MEASURE_TIME] = (uap_weights){.p = 1};
    cls->weights[UAP_MEASURE_TIME_GRAD] = (uap_weights){.p = 1, .g = 1};
    cls->weights[UAP_MEASURE_SPAN] = (uap_weights){.p = c, .f = -half};
    cls->weights[UAP_MEASURE_SPAN_GRAD] = (uap_weights){.p = c, .f = -half, .g = 1};
    const int64_t rounds = uap_most_rounds(c, k);
    const int64_t rest = c - 1 - (rounds - 1) * k;
    cls->weights[UAP_MEASURE_ROUND_GRAD] = (uap_weights){.p = rounds + rest, .g = 1};
}

/* Fills every measure of a list of (p, f, g); g may be NULL. q: [UAP_MEASURE_COUNT] -> [n] */
static bool measure_all(uap_segments *s, const uap_stage_class *cls, const int64_t *p,
                        const int64_t *f, const int64_t *g, size_t n, double **q)
{
    for (int32_t m = 0; m < UAP_MEASURE_COUNT; m++) {
        const uap_weights *w = &cls->weights[m];
        q[m] = uap_arena_alloc(s->arena, n, sizeof **q);
        if (q[m] == NULL) {
            return false;
        }
        for (size_t i = 0; i < n; i++) {
            q[m][i] = (double)(w->p * p[i] + w->f * f[i] + (g == NULL ? 0 : w->g * g[i]));
        }
    }
    return true;
}

static bool make_views(uap_segments *s, uap_stage_class *cls)
{
    const uap_chain *chain = s->chain;
    cls->row = uap_arena_alloc(s->arena, (size_t)chain->n_kinds, sizeof *cls->row);
    if (cls->row == NULL) {
        return false;
    }
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        const uap_kind *kind = &chain->kind[i];
        const size_t n = (size_t)kind->n;
        uap_row_view *row = &cls->row[i];
        int64_t *block = uap_arena_alloc(s->arena, 5 * n, sizeof *block);
        double *real = uap_arena_alloc(s->arena, n, sizeof *real);
        if (block == NULL || real == NULL) {
            return false;
        }
        *row = (uap_row_view){.p = block,
                              .f = block + n,
                              .g = block + 2 * n,
                              .m = block + 3 * n,
                              .w = block + 4 * n,
                              .m_real = real};
        for (size_t k = 0; k < n; k++) {
            const int64_t p = kind->fwd[k] + kind->bwd[k];
            row->p[k] = cls->scalar ? chain->c * p + kind->grad[k] : p;
            row->f[k] = cls->split ? kind->fwd[k] : 0;
            row->g[k] = cls->grad ? kind->grad[k] : 0;
            row->m[k] = kind->state[k] + cls->inflight * kind->act[k];
            row->w[k] = kind->work[k];
            row->m_real[k] = (double)row->m[k];
        }
        if (!measure_all(s, cls, row->p, row->f, row->g, n, row->q)) {
            return false;
        }
    }
    return true;
}

/* The least and the most that a link costs towards each in-class. */
static double *range_of(uap_segments *s, const uap_chain_link *link, const double *q)
{
    const int32_t n = link->n_in;
    double *range = uap_arena_alloc(s->arena, 2 * (size_t)n, sizeof *range);
    for (int32_t x = 0; range != NULL && x < n; x++) {
        range[x] = HUGE_VAL;
        range[n + x] = -HUGE_VAL;
        for (int32_t y = 0; y < link->n_out; y++) {
            const double v = q[y * n + x];
            range[x] = v < range[x] ? v : range[x];
            range[n + x] = v > range[n + x] ? v : range[n + x];
        }
    }
    return range;
}

static bool make_link_views(uap_segments *s, uap_stage_class *cls)
{
    const uap_chain *chain = s->chain;
    const size_t n_links = (size_t)chain->n_links;
    bool ok = true;
    cls->link_p = uap_arena_alloc(s->arena, n_links, sizeof *cls->link_p);
    cls->link_f = uap_arena_alloc(s->arena, n_links, sizeof *cls->link_f);
    for (int32_t m = 0; m < UAP_MEASURE_COUNT; m++) {
        cls->link_q[m] = uap_arena_alloc(s->arena, n_links, sizeof **cls->link_q);
        cls->link_range[m] = uap_arena_alloc(s->arena, n_links, sizeof **cls->link_q);
        ok = ok && cls->link_q[m] != NULL && cls->link_range[m] != NULL;
    }
    if (!ok || cls->link_p == NULL || cls->link_f == NULL) {
        return false;
    }
    for (int32_t i = 0; i < chain->n_links; i++) {
        const uap_chain_link *link = &chain->link[i];
        const size_t n = (size_t)link->n_out * (size_t)link->n_in;
        int64_t *p = uap_arena_alloc(s->arena, n, sizeof *p);
        int64_t *f = uap_arena_alloc(s->arena, n, sizeof *f);
        double *q[UAP_MEASURE_COUNT];
        if (p == NULL || f == NULL) {
            return false;
        }
        for (size_t j = 0; j < n; j++) {
            const int64_t both = link->r_fwd[j] + link->r_bwd[j];
            p[j] = cls->scalar ? chain->c * both : both;
            f[j] = cls->split ? link->r_fwd[j] : 0;
        }
        if (!measure_all(s, cls, p, f, NULL, n, q)) {
            return false;
        }
        cls->link_p[i] = p;
        cls->link_f[i] = f;
        for (int32_t m = 0; m < UAP_MEASURE_COUNT; m++) {
            cls->link_q[m][i] = q[m];
            cls->link_range[m][i] = range_of(s, link, q[m]);
            ok = ok && cls->link_range[m][i] != NULL;
        }
    }
    return ok;
}

static bool make_classes(uap_segments *s, const uap_segment_needs *needs)
{
    const uap_chain *chain = s->chain;
    const uap_instance *in = chain->instance;
    s->cls = uap_arena_alloc(s->arena, (size_t)chain->pp, sizeof *s->cls);
    s->class_of = uap_arena_alloc(s->arena, (size_t)chain->pp, sizeof *s->class_of);
    s->lo = uap_arena_alloc(s->arena, (size_t)chain->pp, sizeof *s->lo);
    s->hi = uap_arena_alloc(s->arena, (size_t)chain->pp, sizeof *s->hi);
    if (s->cls == NULL || s->class_of == NULL || s->lo == NULL || s->hi == NULL) {
        return false;
    }
    for (int32_t i = 0; i < chain->pp; i++) {
        int32_t j = 0;
        while (j < s->n_classes &&
               (s->cls[j].inflight != in->inflight[i] || s->cls[j].cap != chain->cap[i] ||
                s->cls[j].split != needs->split[i] || s->cls[j].grad != needs->grad[i])) {
            j++;
        }
        s->class_of[i] = j;
        if (j < s->n_classes) {
            continue;
        }
        s->n_classes++;
        uap_stage_class *cls = &s->cls[j];
        *cls = (uap_stage_class){.inflight = in->inflight[i],
                                 .cap = chain->cap[i],
                                 .split = needs->split[i],
                                 .grad = needs->grad[i],
                                 .scalar = needs->scalar,
                                 .lo = chain->n_layers,
                                 .hi = -1};
        set_weights(s, needs, cls);
        if (!make_views(s, cls) || !make_link_views(s, cls)) {
            return false;
        }
    }
    return true;
}

static int64_t least_of(const int64_t *values, int32_t n)
{
    int64_t best = INT64_MAX;
    for (int32_t k = 0; k < n; k++) {
        best = uap_min_i64(best, values[k]);
    }
    return best;
}

/* Longest segment of a class that can belong to a plan within the target: with t the least
 * time of the whole chain, t + kappa * (the segment's least time) <= target, and its least
 * memory fits. */
static bool limit_length(uap_segments *s, uap_stage_class *cls, double kappa,
                         int64_t target)
{
    const uap_chain *chain = s->chain;
    const int32_t n_layers = chain->n_layers;
    int64_t *time = uap_calloc((size_t)n_layers, sizeof *time);
    int64_t *memory = uap_calloc((size_t)n_layers, sizeof *memory);
    if (time == NULL || memory == NULL) {
        uap_free(time);
        uap_free(memory);
        return false;
    }
    for (int32_t u = 0; u < n_layers; u++) {
        const uap_kind *kind = uap_kind_of(chain, u);
        const uap_row_view *row = &cls->row[chain->kind_of[u]];
        time[u] = kind->min_time;
        memory[u] = kind->n == 0 ? 0 : least_of(row->m, kind->n);
    }
    /* One micro-batch waits for no stage: any length will do where the chain is in time. */
    const bool limited = chain->pp > 1 && kappa > 0;
    const double spare = limited ? ((double)target - chain->least.time) / kappa : 0;
    const int32_t most = n_layers - chain->pp + 1;
    cls->p_limit = limited ? spare * (1 + RELATIVE_MARGIN) + 1 : HUGE_VAL;
    cls->n_max = 0;
    int32_t a = 0;
    double t = 0;
    double m = 0;
    /* Two pointers: the window a..b is shrunk from the left until it is possible. */
    for (int32_t b = 0; b < n_layers; b++) {
        t += (double)time[b];
        m += (double)memory[b];
        if (uap_kind_of(chain, b)->n == 0) { /* no stage of this type holds the layer */
            t = m = 0;
            a = b + 1;
        }
        while (a <= b && (b - a + 1 > most || m > (double)cls->cap || t > cls->p_limit)) {
            t -= (double)time[a];
            m -= (double)memory[a];
            a++;
        }
        cls->n_max = cls->n_max > b - a + 1 ? cls->n_max : b - a + 1;
    }
    uap_free(time);
    uap_free(memory);
    return true;
}

/* The longest segment of stage i in any of the segments. */
static int64_t longest_at(uap_segments *const *all, int32_t n, int32_t i)
{
    int32_t longest = 0;
    for (int32_t j = 0; j < n; j++) {
        longest = uap_max_i32(longest, all[j]->cls[all[j]->class_of[i]].n_max);
    }
    return longest;
}

/* Starts of stage i lie in lo..hi: what the stages before can cover at most, and what the
 * stages from i on must cover. */
static void limit_starts(uap_segments *s, uap_segments *const *all, int32_t n)
{
    const uap_chain *chain = s->chain;
    const int32_t pp = chain->pp;
    int64_t reach = 0;
    int64_t rest = 0;
    for (int32_t i = 0; i < pp; i++) {
        rest += longest_at(all, n, i);
    }
    for (int32_t i = 0; i < pp; i++) {
        uap_stage_class *cls = &s->cls[s->class_of[i]];
        const int64_t most = longest_at(all, n, i);
        const int64_t hi = i == 0 ? 0 : uap_min_i64(reach, chain->n_layers - (pp - i));
        const int64_t lo = i == 0 ? 0 : uap_max_i64(i, chain->n_layers - rest);
        s->lo[i] = (int32_t)lo;
        s->hi[i] = (int32_t)hi;
        if (lo <= hi) {
            cls->lo = (int32_t)uap_min_i64(cls->lo, lo);
            cls->hi = (int32_t)uap_max_i64(cls->hi, hi);
        }
        reach += most;
        rest -= most;
    }
}

/* Cheapest path of the whole chain in p + multiplier * m; returns its memory.
 * scratch: 4 x the widest class set. */
static double memory_at(const uap_segments *s, const uap_stage_class *cls,
                        double multiplier, double *scratch)
{
    const uap_chain *chain = s->chain;
    const int32_t width = chain->width;
    double *in_cost = scratch;
    double *in_memory = scratch + width;
    double *out_cost = scratch + 2 * (size_t)width;
    double *out_memory = scratch + 3 * (size_t)width;
    in_cost[0] = in_memory[0] = 0;
    for (int32_t u = 0; u < chain->n_layers; u++) {
        const uap_kind *kind = uap_kind_of(chain, u);
        const uap_row_view *row = &cls->row[chain->kind_of[u]];
        for (int32_t y = 0; y < kind->n_out; y++) {
            /* A layer without rows is left out. */
            out_cost[y] = kind->n > 0 ? HUGE_VAL : in_cost[0];
            out_memory[y] = kind->n > 0 ? 0 : in_memory[0];
        }
        for (int32_t k = 0; k < kind->n; k++) {
            const int32_t y = kind->out[k];
            const double v = in_cost[kind->in[k]] + row->q[UAP_MEASURE_TIME][k] +
                             multiplier * row->m_real[k];
            if (v < out_cost[y]) {
                out_cost[y] = v;
                out_memory[y] = in_memory[kind->in[k]] + row->m_real[k];
            }
        }
        if (u + 1 == chain->n_layers) {
            break;
        }
        const uap_chain_link *link = uap_link_of(chain, u);
        const double *r = cls->link_q[UAP_MEASURE_TIME][chain->link_of[u]];
        for (int32_t x = 0; x < link->n_in; x++) {
            in_cost[x] = HUGE_VAL;
            in_memory[x] = 0;
            for (int32_t y = 0; y < link->n_out; y++) {
                const double v = out_cost[y] + r[y * link->n_in + x];
                if (v < in_cost[x]) {
                    in_cost[x] = v;
                    in_memory[x] = out_memory[y];
                }
            }
        }
    }
    return out_memory[0];
}

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The different workspaces of all rows, and at most UAP_MAX_BANDS bands of neighbours. */
static bool choose_bands(uap_segments *s, uap_stage_class *cls)
{
    const uap_chain *chain = s->chain;
    size_t n = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        n += (size_t)chain->kind[i].n;
    }
    cls->work = uap_arena_alloc(s->arena, n, sizeof *cls->work);
    if (cls->work == NULL) {
        return false;
    }
    size_t m = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        for (int32_t k = 0; k < chain->kind[i].n; k++) {
            cls->work[m++] = chain->kind[i].work[k];
        }
    }
    qsort(cls->work, n, sizeof *cls->work, by_value);
    cls->n_works = 0;
    for (size_t i = 0; i < n; i++) {
        if (i == 0 || cls->work[i] != cls->work[cls->n_works - 1]) {
            cls->work[cls->n_works++] = cls->work[i];
        }
    }
    cls->n_bands = cls->n_works < UAP_MAX_BANDS ? cls->n_works : UAP_MAX_BANDS;
    for (int32_t j = 0; j < cls->n_bands; j++) {
        const int32_t first = j * cls->n_works / cls->n_bands;
        const int32_t end = (j + 1) * cls->n_works / cls->n_bands;
        cls->band[j] = (uap_band){.lo = cls->work[first], .hi = cls->work[end - 1]};
    }
    return true;
}

/* Multipliers, a factor sqrt(2) apart, around the one at which the whole chain would just
 * fill pp stages; where memory is loose, around the one that gives up a quarter of what can
 * be saved. */
static bool choose_multipliers(uap_segments *s, uap_stage_class *cls)
{
    double *scratch = uap_calloc(4 * (size_t)s->chain->width, sizeof *scratch);
    if (scratch == NULL) {
        return false;
    }
    cls->multiplier[0] = 0;
    cls->n_multipliers = 1;
    const double loose = memory_at(s, cls, 0, scratch);
    const double tight = memory_at(s, cls, 1e12, scratch);
    double wanted = (double)s->chain->pp * (double)cls->cap;
    if (loose > tight && wanted > loose - 0.25 * (loose - tight)) {
        wanted = loose - 0.25 * (loose - tight);
    }
    if (loose > tight) {
        double lo = -40; /* powers of two of ticks per byte */
        double hi = 40;
        for (int32_t step = 0; step < 16; step++) {
            const double mid = (lo + hi) / 2;
            if (memory_at(s, cls, exp2(mid), scratch) > wanted) {
                lo = mid;
            } else {
                hi = mid;
            }
        }
        for (int32_t j = -UAP_GRID_HALF; j <= UAP_GRID_HALF; j++) {
            cls->multiplier[cls->n_multipliers++] = exp2(hi + 0.5 * (double)j);
        }
    }
    uap_free(scratch);
    return true;
}

static bool halves_in_order(const uap_chain *chain)
{
    bool in_order = true;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        for (int32_t k = 0; k < chain->kind[i].n; k++) {
            in_order = in_order && chain->kind[i].fwd[k] <= chain->kind[i].bwd[k];
        }
    }
    for (int32_t i = 0; i < chain->n_links; i++) {
        const uap_chain_link *link = &chain->link[i];
        for (int32_t j = 0; j < link->n_out * link->n_in; j++) {
            in_order = in_order && link->r_fwd[j] <= link->r_bwd[j];
        }
    }
    return in_order;
}

static bool begin(uap_segments *s, const uap_segment_needs *needs)
{
    if (!make_classes(s, needs)) {
        return false;
    }
    for (int32_t j = 0; j < s->n_classes; j++) {
        double kappa = HUGE_VAL;
        for (int32_t i = 0; i < s->chain->pp; i++) {
            if (s->class_of[i] == j && needs->kappa[i] < kappa) {
                kappa = needs->kappa[i];
            }
        }
        if (!limit_length(s, &s->cls[j], kappa, needs->target) ||
            !choose_multipliers(s, &s->cls[j]) || !choose_bands(s, &s->cls[j]) ||
            !uap_segments_block(s, &s->cls[j])) {
            return false;
        }
    }
    return true;
}

uap_status uap_segments_begin(const uap_chain *chain, const uap_segment_needs *needs,
                              uap_segments **out, uap_err *err)
{
    *out = NULL;
    uap_arena *arena = needs->arena != NULL ? needs->arena : uap_arena_new();
    uap_segments *s = arena == NULL ? NULL : uap_arena_alloc(arena, 1, sizeof *s);
    if (s == NULL) {
        uap_arena_free(arena);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for segments");
    }
    s->chain = chain;
    s->arena = arena;
    s->stop = needs->stop;
    s->context = needs->context;
    s->crew = needs->crew;
    s->effort = INT64_MAX;
    s->rough_work = needs->rough_work == 0 ? ROUGH_WORK : needs->rough_work;
    s->is_round_trip = needs->round_trips;
    s->weighs_ends = needs->weighs_ends;
    s->halves_in_order = halves_in_order(chain);
    if (!begin(s, needs)) {
        uap_segments_free(s);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for segments");
    }
    *out = s;
    return UAP_OK;
}

uap_status uap_segments_finish(uap_segments *const *all, int32_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t j = 0; j < n; j++) {
        limit_starts(all[j], all, n);
        if (!uap_segments_group(all[j])) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for the bounds of segments");
        }
        UAP_TRY(uap_segments_bound(all[j], err));
        all[j]->peak_bytes = uap_arena_bytes(all[j]->arena);
    }
done:
    return rc;
}

uap_status uap_segments_new(const uap_chain *chain, const uap_segment_needs *needs,
                            uap_segments **out, uap_err *err)
{
    uap_status rc = uap_segments_begin(chain, needs, out, err);
    if (rc == UAP_OK) {
        rc = uap_segments_finish(out, 1, err);
    }
    if (rc != UAP_OK) {
        uap_segments_free(*out);
        *out = NULL;
    }
    return rc;
}

#define STEPS_BETWEEN_POLLS 200000

bool uap_segments_breathe(uap_segments *segments, int64_t steps)
{
    segments->unpolled += steps;
    segments->stopped = segments->stopped || segments->effort < 0;
    if (segments->unpolled > STEPS_BETWEEN_POLLS) {
        const uap_crew *crew = segments->crew;
        const bool spent = crew != NULL && crew->spend(crew->context, segments->unspent);
        segments->unpolled = 0;
        segments->unspent = 0;
        segments->stopped = segments->stopped || spent ||
                            (segments->stop != NULL && segments->stop(segments->context));
    }
    return segments->stopped;
}

bool uap_segments_poll(uap_segments *segments, int64_t labels)
{
    segments->effort -= labels;
    segments->unspent += labels;
    return uap_segments_breathe(segments, UAP_STEPS_OF_A_LABEL * labels);
}

uap_arena *uap_segments_end(uap_segments *segments)
{
    uap_arena *arena = segments == NULL ? NULL : segments->arena;
    if (arena != NULL) {
        uap_free(segments->point);
        uap_arena_reset(arena);
    }
    return arena;
}

void uap_segments_free(uap_segments *segments)
{
    uap_arena_free(uap_segments_end(segments));
}
