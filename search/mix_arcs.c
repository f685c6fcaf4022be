/* What the relaxation by windows (search/mix_window.h) is made of: stages and boundaries at
 * their least over all classes. */
#include "search/mix_window.h"

#include "common/numbers.h"

#include <math.h>

bool uap_mix_least_cell(const uap_group *group, int32_t l, uap_cell_bounds *out)
{
    *out = (uap_cell_bounds){HUGE_VAL, HUGE_VAL, HUGE_VAL, HUGE_VAL};
    for (int32_t x = 0; x < group->n_in; x++) {
        for (int32_t i = group->offset[l - 1]; i < group->offset[l]; i++) {
            uap_cell_bounds cell;
            if (uap_outer_cell(group, x * group->cells + i, &cell)) {
                out->p = uap_min_f64(out->p, cell.p);
                out->s = uap_min_f64(out->s, cell.s);
                /* With S, as what is alone is told from a cell's own S. */
                out->alone = uap_min_f64(out->alone, cell.s + cell.alone);
                out->round = uap_min_f64(out->round, cell.round);
            }
        }
    }
    return !isinf(out->p);
}

/* The arc of a stage with at least `behind` behind it. */
static uap_window_arc arc_of(const uap_stage_terms *terms, const uap_cell_bounds *cell,
                             double behind)
{
    uap_window_arc arc = {.s = cell->s,
                          .m = uap_stage_term_least(terms, cell->p, behind),
                          .floor = terms->round_trips ? terms->c * cell->p : 0};
    arc.m = uap_max_f64(arc.m, cell->alone - cell->s);
    if (cell->round > 0) {
        const double rounds = terms->n_rounds > 0 ? terms->rounds[1] : 0;
        arc.floor = uap_max_f64(arc.floor, rounds * behind + cell->round);
    }
    return arc;
}

/* Sets what starts of stage i there are, and the room for their arcs. */
static int64_t number_arcs(uap_mix_window *w)
{
    const uap_mix *mix = w->mix;
    const uap_segments *s = mix->segments[0];
    int64_t n = 0;
    for (int32_t i = 0; i < mix->pp; i++) {
        for (int32_t t = 0; t < mix->n_types; t++) {
            for (int32_t a = s->lo[i]; a <= s->hi[i]; a++) {
                const uap_group *group = uap_mix_group_at(mix, t, i, a);
                uap_mix_starts *from = &w->from[uap_window_at(w, i, t, a)];
                int32_t first = 1;
                int32_t last = 0;
                if (group != NULL) {
                    uap_stage_lengths(s, i, a, group, &first, &last);
                }
                *from = (uap_mix_starts){n, first, uap_max_i32(0, last - first + 1)};
                n += from->count;
            }
        }
    }
    return n;
}

static void least_crosses(uap_mix_window *w)
{
    const uap_mix *mix = w->mix;
    const int32_t n = mix->n_types;
    const uap_stage_terms terms = uap_stage_terms_of(&mix->pipeline[0], 0);
    for (int32_t u = 0; u + 1 < mix->n_layers; u++) {
        const uap_mix_link *link = uap_mix_link_of(mix, u);
        for (int32_t e = 0; e < n * n; e++) {
            const int32_t t = e / n;
            const int32_t s = e % n;
            double fwd = HUGE_VAL;
            double bwd = HUGE_VAL;
            double both = HUGE_VAL;
            for (int32_t y = uap_mix_out(mix, u, t); y < uap_mix_out(mix, u, t + 1);
                 y++) {
                for (int32_t x = uap_mix_in(mix, u + 1, s);
                     x < uap_mix_in(mix, u + 1, s + 1); x++) {
                    const int32_t at = y * link->n_in + x;
                    fwd = uap_min_f64(fwd, (double)link->x_fwd[at]);
                    bwd = uap_min_f64(bwd, (double)link->x_bwd[at]);
                    both = uap_min_f64(both, link->x_both[at]);
                }
            }
            w->cross[mix->chain[0]->link_of[u] * n * n + e] = (uap_window_cross){
                both, isinf(fwd) ? HUGE_VAL : uap_boundary_term(&terms, fwd, bwd)};
        }
    }
}

void uap_window_cross_back(uap_mix_window *w, int32_t i, int32_t a)
{
    const uap_mix *mix = w->mix;
    for (int32_t t = 0; t < mix->n_types; t++) {
        const uap_window_cross *cross = uap_window_cross_of(w, a - 1, t, 0);
        double best = HUGE_VAL;
        int32_t behind = 0;
        for (int32_t s = 0; s < mix->n_types; s++) {
            const double v = cross[s].s + w->start[s * mix->n_layers + a];
            if (v < best && cross[s].m <= w->hi) {
                best = v;
                behind = s;
            }
        }
        const size_t at = uap_window_at(w, i - 1, t, a - 1);
        w->tail[at] = best;
        w->behind[at] = behind;
    }
}

/* ---- Set-up ---------------------------------------------------------------------------- */

/* Arcs of stage i with what lies behind it at least, and the least times from its starts. */
static void fill_stage(uap_mix_window *w, int32_t i)
{
    const uap_mix *mix = w->mix;
    const uap_segments *s = mix->segments[0];
    for (int32_t t = 0; t < mix->n_types; t++) {
        const uap_stage_terms terms = uap_stage_terms_of(&mix->pipeline[t], i);
        for (int32_t a = s->lo[i]; a <= s->hi[i]; a++) {
            const size_t at = uap_window_at(w, i, t, a);
            const uap_mix_starts *from = &w->from[at];
            const uap_group *group = uap_mix_group_at(mix, t, i, a);
            double best = HUGE_VAL;
            for (int32_t j = 0; j < from->count; j++) {
                uap_window_arc *arc = &w->arc[from->first + j];
                const double behind = w->tail[at + (size_t)(from->shortest + j - 1)];
                uap_cell_bounds cell;
                *arc = (uap_window_arc){HUGE_VAL, HUGE_VAL, HUGE_VAL};
                if (!isinf(behind) &&
                    uap_mix_least_cell(group, from->shortest + j, &cell)) {
                    *arc = arc_of(&terms, &cell, behind);
                    best = uap_min_f64(best, arc->s + behind);
                }
            }
            w->start[t * mix->n_layers + a] = best;
        }
    }
}

static void fill_arcs(uap_mix_window *w)
{
    const uap_mix *mix = w->mix;
    const uap_segments *s = mix->segments[0];
    const size_t n = uap_window_size(mix);
    w->hi = HUGE_VAL;
    for (size_t j = 0; j < n; j++) {
        w->tail[j] = HUGE_VAL;
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        w->tail[uap_window_at(w, mix->pp - 1, t, mix->n_layers - 1)] = 0;
    }
    for (int32_t i = mix->pp - 1; i >= 0; i--) {
        fill_stage(w, i);
        for (int32_t a = s->lo[i]; i > 0 && a <= s->hi[i]; a++) {
            uap_window_cross_back(w, i, a);
        }
    }
}

static bool alloc_window(uap_mix_window *w)
{
    const uap_mix *mix = w->mix;
    const size_t types = (size_t)mix->n_types;
    const size_t layers = (size_t)mix->n_layers;
    const size_t n = uap_window_size(mix);
    w->from = uap_calloc(n, sizeof *w->from);
    w->cross = uap_calloc(layers * types * types, sizeof *w->cross);
    w->tail = uap_calloc(3 * n, sizeof *w->tail);
    w->length = uap_calloc(2 * n, sizeof *w->length);
    w->start = uap_calloc(layers * types, sizeof *w->start);
    w->excess = uap_calloc((size_t)mix->n_groups, sizeof *w->excess);
    if (w->from == NULL || w->cross == NULL || w->tail == NULL || w->length == NULL ||
        w->start == NULL || w->excess == NULL) {
        return false;
    }
    w->head = w->tail + n;
    w->free_head = w->tail + 2 * n;
    w->behind = w->length + n;
    w->n_arcs = number_arcs(w);
    w->arc = uap_calloc((size_t)w->n_arcs + 1, sizeof *w->arc);
    return w->arc != NULL;
}

void uap_mix_window_close(uap_mix_window *w)
{
    uap_free(w->from);
    uap_free(w->arc);
    uap_free(w->cross);
    uap_free(w->tail);
    uap_free(w->length);
    uap_free(w->start);
    uap_free(w->excess);
}

bool uap_mix_window_open(uap_mix_window *w, uap_mix *mix, double target)
{
    *w = (uap_mix_window){.mix = mix, .target = target};
    if (!alloc_window(w)) {
        return false;
    }
    least_crosses(w);
    fill_arcs(w);
    return true;
}
