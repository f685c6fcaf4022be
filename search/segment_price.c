/* Priced rows and links of a stage class. */
#include "search/segment_price.h"

#include <math.h>

/* index: [n_in x n_out] scratch of the pair's number + 1, all 0 before. */
static bool make_pairs(uap_arena *arena, const uap_kind *kind, int32_t *index,
                       uap_price_pairs *pairs)
{
    const size_t n = (size_t)kind->n;
    int32_t *block = uap_arena_alloc(arena, 3 * n, sizeof *block);
    if (block == NULL) {
        return false;
    }
    *pairs = (uap_price_pairs){.in = block, .out = block + n, .of = block + 2 * n};
    for (int32_t k = 0; k < kind->n; k++) {
        index[kind->in[k] * kind->n_out + kind->out[k]] = 1;
    }
    pairs->is_straight = kind->n_in == kind->n_out;
    for (int32_t x = 0; x < kind->n_in; x++) {
        for (int32_t y = 0; y < kind->n_out; y++) {
            int32_t *at = &index[x * kind->n_out + y];
            pairs->is_straight = pairs->is_straight && (*at != 0) == (x == y);
            if (*at != 0) {
                pairs->in[pairs->n] = x;
                pairs->out[pairs->n] = y;
                *at = ++pairs->n;
            }
        }
    }
    for (int32_t k = 0; k < kind->n; k++) {
        pairs->of[k] = index[kind->in[k] * kind->n_out + kind->out[k]] - 1;
    }
    for (int32_t i = 0; i < kind->n_in * kind->n_out; i++) {
        index[i] = 0;
    }
    return true;
}

static bool make_all_pairs(uap_price_table *t)
{
    const uap_chain *chain = t->s->chain;
    const size_t width = (size_t)chain->width;
    int32_t *index = uap_calloc(width * width, sizeof *index);
    t->pairs = uap_arena_alloc(t->arena, (size_t)chain->n_kinds, sizeof *t->pairs);
    bool ok = index != NULL && t->pairs != NULL;
    for (int32_t i = 0; ok && i < chain->n_kinds; i++) {
        ok = make_pairs(t->arena, &chain->kind[i], index, &t->pairs[i]);
    }
    uap_free(index);
    return ok;
}

static bool make_link(uap_arena *arena, const uap_chain_link *link, const double *cost,
                      uap_price_link *out)
{
    const size_t n = (size_t)link->n_out;
    double *block = uap_arena_alloc(arena, 2 * n, sizeof *block);
    if (block == NULL) {
        return false;
    }
    *out = (uap_price_link){.cost = cost, .least = block, .most = block + n};
    for (int32_t y = 0; y < link->n_out; y++) {
        const double *row = cost + (size_t)y * (size_t)link->n_in;
        out->least[y] = HUGE_VAL;
        out->most[y] = 0;
        for (int32_t x = 0; x < link->n_in; x++) {
            out->least[y] = row[x] < out->least[y] ? row[x] : out->least[y];
            out->most[y] = row[x] > out->most[y] ? row[x] : out->most[y];
        }
    }
    return true;
}

static bool make_links(uap_price_table *t)
{
    const uap_chain *chain = t->s->chain;
    const uap_stage_class *cls = &t->s->cls[t->class_index];
    const size_t n = (size_t)chain->n_links;
    for (int32_t m = 0; m < UAP_MEASURE_COUNT; m++) {
        t->link[m] = uap_arena_alloc(t->arena, n, sizeof *t->link[m]);
        bool ok = t->link[m] != NULL;
        for (int32_t i = 0; ok && i < chain->n_links; i++) {
            ok = make_link(t->arena, &chain->link[i], cls->link_q[m][i], &t->link[m][i]);
        }
        if (!ok) {
            return false;
        }
    }
    return true;
}

static bool make_table(uap_price_table *t)
{
    const uap_stage_class *cls = &t->s->cls[t->class_index];
    const size_t n =
        (size_t)UAP_MEASURE_COUNT * (size_t)cls->n_multipliers * (size_t)cls->n_bands;
    t->priced = uap_arena_alloc(t->arena, n, sizeof *t->priced);
    return t->priced != NULL && make_all_pairs(t) && make_links(t);
}

bool uap_price_table_for(const uap_segments *s, int32_t class_index,
                         uap_price_table **table)
{
    if (*table != NULL && (*table)->class_index == class_index) {
        return true;
    }
    uap_price_table_free(*table);
    *table = NULL;
    uap_arena *arena = uap_arena_new();
    uap_price_table *t = arena == NULL ? NULL : uap_arena_alloc(arena, 1, sizeof *t);
    if (t == NULL) {
        uap_arena_free(arena);
        return false;
    }
    *t = (uap_price_table){.arena = arena, .s = s, .class_index = class_index};
    *table = t;
    return make_table(t);
}

void uap_price_table_free(uap_price_table *table)
{
    if (table != NULL) {
        uap_arena_free(table->arena);
    }
}

/* The cheapest row of each pair. */
static bool price_rows(const uap_price_table *t, uap_measure measure, uap_priced *priced)
{
    const uap_chain *chain = t->s->chain;
    const uap_stage_class *cls = &t->s->cls[t->class_index];
    double **cost = uap_arena_alloc(t->arena, (size_t)chain->n_kinds, sizeof *cost);
    if (cost == NULL) {
        return false;
    }
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        const uap_price_pairs *pairs = &t->pairs[i];
        const uap_row_view *row = &cls->row[i];
        cost[i] = uap_arena_alloc(t->arena, (size_t)pairs->n, sizeof **cost);
        if (cost[i] == NULL) {
            return false;
        }
        for (int32_t e = 0; e < pairs->n; e++) {
            cost[i][e] = HUGE_VAL;
        }
        for (int32_t k = 0; k < chain->kind[i].n; k++) {
            const double v = row->q[measure][k] + priced->multiplier * row->m_real[k];
            double *to = &cost[i][pairs->of[k]];
            if (row->w[k] <= priced->band.hi && v < *to) {
                *to = v;
            }
        }
    }
    priced->cost = cost;
    return true;
}

const uap_priced *uap_price_at(uap_price_table *t, uap_measure measure,
                               int32_t multiplier, int32_t band)
{
    const uap_stage_class *cls = &t->s->cls[t->class_index];
    const int32_t row = (int32_t)measure * cls->n_multipliers + multiplier;
    uap_priced *priced = &t->priced[row * cls->n_bands + band];
    if (priced->cost == NULL) {
        priced->band = cls->band[band];
        priced->multiplier =
            (double)cls->weights[measure].p * cls->multiplier[multiplier];
        if (!price_rows(t, measure, priced)) {
            return NULL;
        }
    }
    return priced;
}
