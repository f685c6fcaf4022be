/* The Lagrangian sweep of a run of labels: for each test the most that its weighted sum of
 * times and memory may be at each slot so that some wanted end stays within its budgets. */
#include "search/label_sweep.h"

#include "common/numbers.h"
#include "common/wide.h"

#include <math.h>

static double *limit_at(const uap_sweep *b, int32_t slot)
{
    return b->limit + (size_t)slot * (size_t)b->run->n_tests;
}

static double *through_at(const uap_sweep *b, int32_t k)
{
    return b->through + (size_t)k * (size_t)b->run->n_tests;
}

static double *entry_at(const uap_sweep *b, int32_t x)
{
    return b->entry + (size_t)x * (size_t)b->run->n_tests;
}

/* to = max(to, from - step) over the tests swept. */
static inline void raise_by_step(const uap_sweep *b, const double *restrict from,
                                 const uap_label *step, double *restrict to)
{
    const uap_run_band *band = b->band;
    const double m = (double)step->m;
    for (int32_t i = 0; i < b->n_spans; i++) {
        const int32_t first = b->span[i].first;
        const double q = band->p[first] * (double)step->p +
                         band->f[first] * (double)step->f +
                         band->g[first] * (double)step->g;
        for (int32_t j = first; j < b->span[i].end; j++) {
            const double v = from[j] - (q + band->m[j] * m);
            to[j] = v > to[j] ? v : to[j];
        }
    }
}

static void raise_to(const uap_sweep *b, const double *restrict from, double *restrict to)
{
    for (int32_t j = b->first; j < b->end; j++) {
        to[j] = from[j] > to[j] ? from[j] : to[j];
    }
}

static void forbid(const uap_sweep *b, double *limit)
{
    for (int32_t j = b->first; j < b->end; j++) {
        limit[j] = -HUGE_VAL;
    }
}

/* Memory of a stage that ends behind layer l, workspace set aside. */
static double memory_at(const uap_sweep *b, int32_t l)
{
    const int64_t work = uap_max_i64(b->run->work[l], b->band->band.lo);
    return (double)(b->run->cls->cap - work);
}

/* One test's limit for a stage that ends in a wanted cell of layer l. */
static double limit_of_end(const uap_sweep *b, int32_t l, int32_t cell, int32_t j)
{
    const uap_label_run *run = b->run;
    const double budget = run->budget[b->band->functional[j]][cell];
    const double credit = b->band->m[j] * memory_at(b, l);
    return budget + credit + UAP_LABEL_MARGIN * (fabs(budget) + fabs(credit)) + 1;
}

static void limits_of_end(const uap_sweep *b, int32_t l, int32_t y, double *limit)
{
    const int32_t cell = b->run->group->offset[l] + y;
    if (isinf(b->run->budget[0][cell])) {
        forbid(b, limit);
        return;
    }
    for (int32_t j = b->first; j < b->end; j++) {
        limit[j] = limit_of_end(b, l, cell, j);
    }
}

/* What may stand in front of each row of layer l, from its slots. */
UAP_FOR_WIDE_REGISTERS
static void go_through(const uap_sweep *b, int32_t l)
{
    const uap_label_run *run = b->run;
    const uap_kind *kind = uap_run_kind(run, l);
    const uap_blocks *blocks = uap_run_blocks(run, l);
    const uap_row_view *row = uap_run_rows(run, l);
    for (int32_t k = 0; k < kind->n; k++) {
        forbid(b, through_at(b, k));
        if (row->w[k] > b->band->band.hi) {
            continue;
        }
        const uap_label step = uap_label_run_step(run, row, k);
        const int32_t leave = uap_block_slot(run, l, blocks->block_of[k]);
        raise_by_step(b, limit_at(b, leave), &step, through_at(b, k));
        if (uap_run_goes_on(run, l)) {
            const int32_t stay = uap_row_slot(run, l, k);
            raise_by_step(b, limit_at(b, stay), &step, through_at(b, k));
        }
    }
}

/* Slots of rows of layer l, which goes on: rows of the block from this one on. */
static void limit_rows(const uap_sweep *b, int32_t l)
{
    const uap_label_run *run = b->run;
    const uap_blocks *blocks = uap_run_blocks(run, l);
    for (int32_t e = 0; e < blocks->n; e++) {
        for (int32_t i = blocks->first[e + 1] - 1; i >= blocks->first[e]; i--) {
            const int32_t k = blocks->order[i];
            double *to = limit_at(b, uap_row_slot(run, l, k));
            forbid(b, to);
            if (!blocks->is_free[e]) {
                continue;
            }
            raise_to(b, through_at(b, k), to);
            if (i + 1 < blocks->first[e + 1]) {
                const int32_t after = uap_row_slot(run, l, blocks->order[i + 1]);
                raise_to(b, limit_at(b, after), to);
            }
        }
    }
}

/* entry: best of through by in-class of layer l, without the rows of one block (-1: with
 * all). */
UAP_FOR_WIDE_REGISTERS
static void enter_rows(const uap_sweep *b, int32_t l, int32_t without)
{
    const uap_label_run *run = b->run;
    const uap_kind *kind = uap_run_kind(run, l);
    const uap_blocks *blocks = uap_run_blocks(run, l);
    for (int32_t x = 0; x < kind->n_in; x++) {
        forbid(b, entry_at(b, x));
    }
    for (int32_t k = 0; k < kind->n; k++) {
        if (blocks->block_of[k] != without) {
            raise_to(b, through_at(b, k), entry_at(b, kind->in[k]));
        }
    }
}

/* The block of layer l, which goes on, whose rows labels of block e have gone on to already; -1: none. */
static int32_t own_block(const uap_label_run *run, int32_t l, int32_t e)
{
    return uap_run_blocks(run, l)->is_free[e] ? e : -1;
}

/* In-classes of layer l + 1 by test j, less those that another one beats wherever the link
 * comes from. list: [width]. Returns their number. */
static int32_t list_places(const uap_sweep *b, int32_t j, const double *range,
                           int32_t n_in, uap_sweep_place *list)
{
    double enough = -HUGE_VAL;
    for (int32_t x = 0; x < n_in; x++) {
        enough = uap_max_f64(enough, entry_at(b, x)[j] - range[n_in + x]);
    }
    int32_t n = 0;
    for (int32_t x = 0; x < n_in && enough > -HUGE_VAL; x++) {
        const double v = entry_at(b, x)[j];
        if (v - range[x] >= enough) {
            list[n++] = (uap_sweep_place){.limit = v, .x = x};
        }
    }
    return n;
}

/* Slots of blocks of layer l where no block goes on: the stage ends, or the link leads to any
 * class of layer l + 1. */
static void limit_ends(const uap_sweep *b, int32_t l)
{
    const uap_label_run *run = b->run;
    const uap_blocks *blocks = uap_run_blocks(run, l);
    for (int32_t e = 0; e < blocks->n; e++) {
        limits_of_end(b, l, blocks->out[e], limit_at(b, uap_block_slot(run, l, e)));
    }
    if (l + 1 == run->group->n_len) {
        return;
    }
    const int32_t link = run->s->chain->link_of[run->group->start + l];
    const int32_t n_in = uap_run_kind(run, l + 1)->n_in;
    enter_rows(b, l + 1, -1);
    for (int32_t x = 0; x < n_in; x++) {
        double *to = limit_at(b, uap_entry_slot(run, l + 1, x));
        forbid(b, to);
        raise_to(b, entry_at(b, x), to);
    }
    for (int32_t i = 0; i < b->n_spans; i++) {
        const uap_sweep_span *span = &b->span[i];
        const double *q = run->cls->link_q[span->measure][link];
        const double *range = run->cls->link_range[span->measure][link];
        for (int32_t j = span->first; j < span->end; j++) {
            const int32_t n = list_places(b, j, range, n_in, b->places);
            for (int32_t e = 0; e < blocks->n; e++) {
                const double *from = q + (size_t)blocks->out[e] * (size_t)n_in;
                double *to = limit_at(b, uap_block_slot(run, l, e)) + j;
                for (int32_t k = 0; k < n; k++) {
                    *to = uap_max_f64(*to, b->places[k].limit - from[b->places[k].x]);
                }
            }
        }
    }
}

/* Slots of blocks of layer l, which goes on: the stage ends, or the link leads into another
 * block. */
UAP_FOR_WIDE_REGISTERS
static void limit_blocks(const uap_sweep *b, int32_t l)
{
    const uap_label_run *run = b->run;
    const uap_blocks *blocks = uap_run_blocks(run, l);
    int32_t without = -2; /* what entry stands for: nothing yet */
    for (int32_t e = 0; e < blocks->n; e++) {
        double *to = limit_at(b, uap_block_slot(run, l, e));
        limits_of_end(b, l, blocks->out[e], to);
        const int32_t own = own_block(run, l, e);
        if (own != without) {
            enter_rows(b, l + 1, own);
            without = own;
        }
        const int32_t n_in = uap_run_kind(run, l + 1)->n_in;
        for (int32_t x = 0; x < n_in; x++) {
            const uap_label step = uap_label_run_link(run, l, blocks->out[e], x);
            raise_by_step(b, entry_at(b, x), &step, to);
        }
    }
}

static void find_spans(uap_sweep *b)
{
    const uap_label_run *run = b->run;
    b->n_spans = 0;
    for (int32_t j = b->first; j < b->end; j++) {
        const int32_t f = b->band->functional[j];
        if (j == b->first || f != b->band->functional[j - 1]) {
            b->span[b->n_spans++] =
                (uap_sweep_span){.first = j, .measure = run->group->measure[f]};
        }
        b->span[b->n_spans - 1].end = j + 1;
    }
}

void uap_sweep_limits(const uap_sweep *sweep)
{
    uap_sweep own = *sweep;
    find_spans(&own);
    const uap_sweep *b = &own;
    const uap_label_run *run = b->run;
    for (int32_t l = run->group->n_len - 1; l >= 0; l--) {
        if (l + 1 < run->group->n_len) {
            go_through(b, l + 1);
        }
        if (uap_run_goes_on(run, l)) {
            limit_rows(b, l);
            limit_blocks(b, l);
        } else {
            limit_ends(b, l);
        }
    }
    go_through(b, 0);
    enter_rows(b, 0, -1);
}

static double start_memory(const uap_label_run *run)
{
    return (double)(run->s->chain->start_act[run->group->start] * run->cls->inflight);
}

double uap_sweep_lack(const uap_sweep *b, int32_t test)
{
    return b->band->m[test] * start_memory(b->run) - entry_at(b, b->run->x)[test];
}
