/* Blocks of rows that may stand in any order within a run of equal layers. */
#include "search/segment.h"

#include <stdlib.h>

/* A row on its way into a block. */
typedef struct ranked_row {
    int32_t row, in, out;
    bool is_free; /* may be followed by its own kind of row at no cost */
    double cost;
} ranked_row;

static int compare(const void *a, const void *b)
{
    const ranked_row *p = a;
    const ranked_row *q = b;
    if (p->in != q->in) {
        return p->in < q->in ? -1 : 1;
    }
    if (p->out != q->out) {
        return p->out < q->out ? -1 : 1;
    }
    if (p->cost != q->cost) {
        return p->cost < q->cost ? -1 : 1;
    }
    return p->row < q->row ? -1 : 1;
}

/* The link inside runs of a kind, NULL where the kind has no run. */
static const uap_chain_link *link_inside(const uap_chain *chain, int32_t kind)
{
    for (int32_t u = 0; u + 1 < chain->n_layers; u++) {
        if (chain->kind_of[u] == kind && uap_blocks_go_on(chain, u)) {
            return uap_link_of(chain, u);
        }
    }
    return NULL;
}

static bool same_block(const ranked_row *a, const ranked_row *b)
{
    return a->in == b->in && a->out == b->out;
}

static void rank_rows(const uap_stage_class *cls, const uap_kind *kind,
                      const uap_row_view *view, const uap_chain_link *link,
                      ranked_row *row)
{
    /* The multiplier in the middle of the grid is the price of memory of the whole chain. */
    const double price = cls->multiplier[cls->n_multipliers / 2];
    const uap_measure measure = cls->grad ? UAP_MEASURE_TIME_GRAD : UAP_MEASURE_TIME;
    for (int32_t k = 0; k < kind->n; k++) {
        row[k] = (ranked_row){.row = k, .in = -1, .out = kind->out[k]};
        row[k].cost = view->q[measure][k] + price * view->m_real[k];
        if (link != NULL) {
            const int32_t at = kind->out[k] * link->n_in + kind->in[k];
            row[k].in = kind->in[k];
            row[k].is_free = link->r_fwd[at] == 0 && link->r_bwd[at] == 0;
        }
    }
    qsort(row, (size_t)kind->n, sizeof *row, compare);
}

/* Whether the in-classes of a kind and its blocks belong together by twos. class_of: [n_in]
 * scratch, out: the block of each. */
static bool is_paired(const uap_kind *kind, const uap_blocks *b, int32_t *class_of)
{
    for (int32_t x = 0; x < kind->n_in; x++) {
        class_of[x] = -1;
    }
    bool paired = b->n == kind->n_in;
    for (int32_t k = 0; k < kind->n && paired; k++) {
        int32_t *block = &class_of[kind->in[k]];
        paired = *block < 0 || *block == b->block_of[k];
        *block = b->block_of[k];
    }
    return paired;
}

static bool make_blocks(uap_segments *s, const uap_stage_class *cls, int32_t i,
                        ranked_row *row, int32_t *block_of_in)
{
    const uap_kind *kind = &s->chain->kind[i];
    const size_t n = (size_t)kind->n;
    int32_t *block = uap_arena_alloc(s->arena, 5 * n + 1, sizeof *block);
    bool *is_free = uap_arena_alloc(s->arena, n, sizeof *is_free);
    if (block == NULL || is_free == NULL) {
        return false;
    }
    uap_blocks *b = &cls->blocks[i];
    *b = (uap_blocks){.first = block,
                      .order = block + n + 1,
                      .block_of = block + 2 * n + 1,
                      .in = block + 3 * n + 1,
                      .out = block + 4 * n + 1,
                      .is_free = is_free};
    rank_rows(cls, kind, &cls->row[i], link_inside(s->chain, i), row);
    for (int32_t k = 0; k < kind->n; k++) {
        if (k == 0 || !same_block(&row[k - 1], &row[k])) {
            b->first[b->n] = k;
            b->in[b->n] = row[k].in;
            b->out[b->n] = row[k].out;
            b->is_free[b->n] = row[k].is_free;
            b->n++;
        }
        b->order[k] = row[k].row;
        b->block_of[row[k].row] = b->n - 1;
    }
    b->first[b->n] = kind->n;
    b->is_paired = is_paired(kind, b, block_of_in);
    for (int32_t x = 0; x < kind->n_in && b->is_paired; x++) {
        b->in[block_of_in[x]] = x;
    }
    return true;
}

bool uap_segments_block(uap_segments *s, uap_stage_class *cls)
{
    const uap_chain *chain = s->chain;
    size_t most = 1;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        const size_t n = (size_t)chain->kind[i].n;
        most = n > most ? n : most;
    }
    ranked_row *row = uap_calloc(most, sizeof *row);
    int32_t *block_of_in = uap_calloc((size_t)chain->width, sizeof *block_of_in);
    cls->blocks = uap_arena_alloc(s->arena, (size_t)chain->n_kinds, sizeof *cls->blocks);
    bool ok = row != NULL && block_of_in != NULL && cls->blocks != NULL;
    for (int32_t i = 0; ok && i < chain->n_kinds; i++) {
        ok = make_blocks(s, cls, i, row, block_of_in);
    }
    uap_free(block_of_in);
    uap_free(row);
    return ok;
}
