/* What can still follow a label: walking backward from the wanted ends, for one functional,
 * the Pareto lists of budget and memory left for a label to take. A label without a
 * completion in every functional alone has none in all of them together. A forward sweep
 * drops what no label can arrive at. */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>

/* A forward sweep of least value + price * memory, for one functional and all prices. */
typedef struct reach_sweep {
    const uap_label_run *run;
    int32_t f;
    double *rows; /* [rows][multipliers] in front of each row of the layer at hand */
    double *in;   /* [width][multipliers] in front of each in-class */
} reach_sweep;

static double *reach_at(const uap_label_run *run, int32_t slot)
{
    return run->reach + (size_t)slot * (size_t)run->cls->n_multipliers;
}

/* to = min(to, from + cost + price * m) over all prices. */
static void lower(const uap_label_run *run, int32_t f, const double *from, double cost,
                  double m, double *to)
{
    for (int32_t j = 0; j < run->cls->n_multipliers; j++) {
        const double v = from[j] + cost + uap_run_price(run, f, j) * m;
        to[j] = v < to[j] ? v : to[j];
    }
}

static void forget(double *reach, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        reach[i] = HUGE_VAL;
    }
}

/* b->in from the blocks that leave layer l - 1, without one of them. */
static void reach_entries(reach_sweep *b, int32_t l, int32_t without)
{
    const uap_label_run *run = b->run;
    const int32_t n = run->cls->n_multipliers;
    const int32_t u = run->group->start + l - 1;
    const uap_chain_link *link = uap_link_of(run->s->chain, u);
    const double *r =
        run->cls->link_q[run->group->measure[b->f]][run->s->chain->link_of[u]];
    const uap_blocks *blocks = uap_run_blocks(run, l - 1);
    forget(b->in, link->n_in * n);
    for (int32_t e = 0; e < blocks->n; e++) {
        const double *from = reach_at(run, uap_block_slot(run, l - 1, e));
        for (int32_t x = 0; x < link->n_in && e != without; x++) {
            lower(run, b->f, from, r[blocks->out[e] * link->n_in + x], 0, b->in + x * n);
        }
    }
}

/* b->rows inside a run: the block's earlier rows go on, other blocks enter. */
static void reach_inside(reach_sweep *b, int32_t l)
{
    const uap_label_run *run = b->run;
    const int32_t n = run->cls->n_multipliers;
    const uap_blocks *blocks = uap_run_blocks(run, l);
    int32_t without = -2;
    for (int32_t e = 0; e < blocks->n; e++) {
        const int32_t own = blocks->is_free[e] ? e : -1;
        if (own != without) {
            reach_entries(b, l, own);
            without = own;
        }
        for (int32_t i = blocks->first[e]; i < blocks->first[e + 1]; i++) {
            const int32_t k = blocks->order[i];
            double *to = b->rows + k * n;
            forget(to, n);
            lower(run, b->f, b->in + blocks->in[e] * n, 0, 0, to);
            if (blocks->is_free[e]) {
                lower(run, b->f, reach_at(run, uap_row_slot(run, l - 1, k)), 0, 0, to);
            }
            if (blocks->is_free[e] && i > blocks->first[e]) {
                lower(run, b->f, b->rows + blocks->order[i - 1] * n, 0, 0, to);
            }
        }
    }
}

static void reach_anew(reach_sweep *b, int32_t l)
{
    const uap_label_run *run = b->run;
    const int32_t n = run->cls->n_multipliers;
    const uap_kind *kind = uap_run_kind(run, l);
    if (l == 0) {
        const double start =
            (double)(run->s->chain->start_act[run->group->start] * run->cls->inflight);
        for (int32_t i = 0; i < kind->n_in * n; i++) {
            b->in[i] =
                i / n == run->x ? uap_run_price(run, b->f, i % n) * start : HUGE_VAL;
        }
    } else {
        reach_entries(b, l, -1);
    }
    for (int32_t k = 0; k < kind->n; k++) {
        forget(b->rows + k * n, n);
        lower(run, b->f, b->in + kind->in[k] * n, 0, 0, b->rows + k * n);
    }
}

/* A row's slot stands for labels that end with it or an earlier row of its block. */
static void share_reach(const reach_sweep *b, int32_t l)
{
    const uap_label_run *run = b->run;
    const uap_blocks *blocks = uap_run_blocks(run, l);
    for (int32_t i = 1; i < uap_run_kind(run, l)->n; i++) {
        const int32_t k = blocks->order[i];
        const int32_t before = blocks->order[i - 1];
        if (blocks->block_of[k] == blocks->block_of[before]) {
            lower(run, b->f, reach_at(run, uap_row_slot(run, l, before)), 0, 0,
                  reach_at(run, uap_row_slot(run, l, k)));
        }
    }
}

static void sweep_reach(reach_sweep *b)
{
    const uap_label_run *run = b->run;
    const int32_t n = run->cls->n_multipliers;
    for (int32_t l = 0; l < run->group->n_len; l++) {
        const uap_kind *kind = uap_run_kind(run, l);
        const uap_row_view *row = uap_run_rows(run, l);
        if (l > 0 && uap_run_goes_on(run, l - 1)) {
            reach_inside(b, l);
        } else {
            reach_anew(b, l);
        }
        forget(reach_at(run, run->slot[l]), (run->slot[l + 1] - run->slot[l]) * n);
        for (int32_t k = 0; k < kind->n; k++) {
            const double q = row->q[run->group->measure[b->f]][k];
            const int32_t e = uap_run_blocks(run, l)->block_of[k];
            double *here = reach_at(run, uap_row_slot(run, l, k));
            lower(run, b->f, b->rows + k * n, q, row->m_real[k], here);
            lower(run, b->f, here, 0, 0, reach_at(run, uap_block_slot(run, l, e)));
        }
        share_reach(b, l);
    }
}

/* Whether any label can arrive at a slot of layer l with what the completion leaves it. */
static bool is_reachable(const uap_label_run *run, int32_t f, int32_t l, int32_t slot,
                         const uap_label *left)
{
    const double *reach = reach_at(run, slot);
    const double budget = (double)-left->p;
    const double memory = (double)(-left->m - uap_max_i64(left->w, run->work[l]));
    for (int32_t m = 0; m < run->cls->n_multipliers; m++) {
        const double most = budget + uap_run_price(run, f, m) * memory;
        if (reach[m] * (1 - UAP_LABEL_MARGIN) - 1 > most) {
            return false;
        }
    }
    return true;
}

static const uap_dominance in_plane = {.n_terms = 1, .term = {{.p = 1}}};

static bool add_list(uap_label_run *run, const uap_label_list *from, uap_label_list *to)
{
    if (from->n == 0) {
        return true;
    }
    if (uap_segments_poll(run->s, (int64_t)(to->n + from->n))) {
        return false;
    }
    if (!uap_labels_merge(to, from, &in_plane, &run->shadow, &run->merged)) {
        return false;
    }
    const uap_label_list swap = *to;
    *to = run->merged;
    run->merged = swap;
    return true;
}

#define PLENTY (INT64_MIN / 4) /* memory left is minus this */

/* Adds to `to` what is in `from`, with a step in front of it, as far as labels can arrive
 * at the slot of layer l (slot < 0: all of it). */
static bool add_stepped(uap_label_run *run, int32_t f, const uap_label_list *from,
                        const uap_label *step, int32_t l, int32_t slot,
                        uap_label_list *to)
{
    if (!uap_labels_reserve(&run->shifted, from->n)) {
        return false;
    }
    run->shifted.n = 0;
    for (size_t i = 0; i < from->n; i++) {
        const uap_label *t = &from->at[i];
        const uap_label next = {
            .p = t->p + step->p, .m = t->m + step->m, .w = uap_max_i64(t->w, step->w)};
        if (slot < 0 || is_reachable(run, f, l, slot, &next)) {
            run->shifted.at[run->shifted.n++] = next;
        }
    }
    return add_list(run, &run->shifted, to);
}

/* run->next_rows: completions in front of each row of layer l. */
static bool through_rows(uap_label_run *run, int32_t f, int32_t l)
{
    const uap_kind *kind = uap_run_kind(run, l);
    const uap_row_view *row = uap_run_rows(run, l);
    const double *q = row->q[run->group->measure[f]];
    for (int32_t k = 0; k < kind->n; k++) {
        const uap_label step = {.p = (int64_t)q[k], .m = row->m[k], .w = row->w[k]};
        const int32_t e = uap_run_blocks(run, l)->block_of[k];
        const uap_label_list *leave = &run->completion[f][uap_block_slot(run, l, e)];
        const uap_label_list *stay = &run->completion[f][uap_row_slot(run, l, k)];
        uap_label_list *to = &run->next_rows[k];
        to->n = 0;
        if (!add_stepped(run, f, leave, &step, l, -1, to) ||
            (uap_run_goes_on(run, l) && !add_stepped(run, f, stay, &step, l, -1, to))) {
            return false;
        }
    }
    return true;
}

/* Slots of rows of layer l, which goes on: rows of the block from each one on. */
static bool complete_rows(uap_label_run *run, int32_t f, int32_t l)
{
    static const uap_label nothing = {0};
    const uap_blocks *b = uap_run_blocks(run, l);
    for (int32_t e = 0; e < b->n; e++) {
        for (int32_t i = b->first[e + 1] - 1; i >= b->first[e]; i--) {
            const int32_t slot = uap_row_slot(run, l, b->order[i]);
            uap_label_list *to = &run->completion[f][slot];
            to->n = 0;
            if (!b->is_free[e]) {
                continue;
            }
            if (!add_stepped(run, f, &run->next_rows[b->order[i]], &nothing, l, slot,
                             to)) {
                return false;
            }
            const bool more = i + 1 < b->first[e + 1];
            const uap_label_list *after =
                more ? &run->completion[f][uap_row_slot(run, l, b->order[i + 1])] : NULL;
            if (more && !add_stepped(run, f, after, &nothing, l, slot, to)) {
                return false;
            }
        }
    }
    return true;
}

/* run->in: completions in front of layer l by in-class, without the rows of one block. */
static bool through_classes(uap_label_run *run, int32_t l, int32_t without)
{
    const uap_kind *kind = uap_run_kind(run, l);
    const uap_blocks *b = uap_run_blocks(run, l);
    for (int32_t x = 0; x < kind->n_in; x++) {
        run->in[x].n = 0;
    }
    for (int32_t k = 0; k < kind->n; k++) {
        if (b->block_of[k] != without &&
            !add_list(run, &run->next_rows[k], &run->in[kind->in[k]])) {
            return false;
        }
    }
    return true;
}

/* The completion that ends behind layer l in class y, if that is wanted. */
static bool complete_end(uap_label_run *run, int32_t f, int32_t l, int32_t y,
                         uap_label_list *list)
{
    const double budget = run->budget[f][run->group->offset[l] + y];
    list->n = 0;
    if (isinf(budget)) {
        return true;
    }
    if (!uap_labels_reserve(list, 1)) {
        return false;
    }
    const double margin = UAP_LABEL_MARGIN * fabs(budget) + 1;
    list->at[list->n++] =
        (uap_label){.p = -(int64_t)floor(budget + margin), .m = -run->cls->cap};
    return true;
}

/* Slots of blocks of layer l: ending here, or going on over the link. */
static bool complete_blocks(uap_label_run *run, int32_t f, int32_t l)
{
    const uap_chain *chain = run->s->chain;
    const uap_blocks *b = uap_run_blocks(run, l);
    const int32_t u = run->group->start + l;
    int32_t without = -2;
    for (int32_t e = 0; e < b->n; e++) {
        const int32_t slot = uap_block_slot(run, l, e);
        uap_label_list *list = &run->completion[f][slot];
        if (!complete_end(run, f, l, b->out[e], list)) {
            return false;
        }
        if (l + 1 == run->group->n_len) {
            continue;
        }
        const int32_t own = uap_run_goes_on(run, l) && b->is_free[e] ? e : -1;
        if (own != without && !through_classes(run, l + 1, own)) {
            return false;
        }
        without = own;
        const uap_chain_link *link = uap_link_of(chain, u);
        const double *r = run->cls->link_q[run->group->measure[f]][chain->link_of[u]];
        for (int32_t x = 0; x < link->n_in; x++) {
            const uap_label step = {.p = (int64_t)r[b->out[e] * link->n_in + x]};
            if (!add_stepped(run, f, &run->in[x], &step, l, slot, list)) {
                return false;
            }
        }
    }
    return true;
}

static bool reserve_completions(uap_label_run *run, int32_t f)
{
    const size_t n = (size_t)run->n_slots;
    if (run->reach == NULL) {
        run->reach = uap_calloc(n * UAP_MAX_MULTIPLIERS, sizeof *run->reach);
    }
    if (run->completion[f] == NULL) {
        run->completion[f] = uap_calloc(n, sizeof **run->completion);
    }
    return run->reach != NULL && run->completion[f] != NULL;
}

static bool list_completions(uap_label_run *run, int32_t f)
{
    if (!reserve_completions(run, f)) {
        return false;
    }
    const size_t rows = (size_t)run->n_rows * (size_t)run->cls->n_multipliers;
    reach_sweep sweep = {.run = run, .f = f, .rows = run->sweep, .in = run->sweep + rows};
    sweep_reach(&sweep);
    for (int32_t l = run->group->n_len - 1; l >= 0; l--) {
        if (l + 1 < run->group->n_len && !through_rows(run, f, l + 1)) {
            return false;
        }
        if (uap_run_goes_on(run, l) && !complete_rows(run, f, l)) {
            return false;
        }
        if (!complete_blocks(run, f, l)) {
            return false;
        }
    }
    return true;
}

bool uap_completions_prepare(uap_label_run *run)
{
    for (int32_t f = 0; f < run->group->n_functionals; f++) {
        if (!list_completions(run, f)) {
            run->no_memory = !run->s->stopped;
            return false;
        }
    }
    return true;
}

bool uap_completions_allow(const uap_label_run *run, int32_t f, int32_t slot,
                           int64_t value, const uap_label *label)
{
    /* Sorted by budget left, largest first; the memory left grows along the list. */
    const uap_label_list *list = &run->completion[f][slot];
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
