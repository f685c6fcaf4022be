/* Terms of the relaxation over cuts (search/outer_terms.h). */
#include "search/outer_terms.h"

#include "common/numbers.h"

#include <math.h>

uap_stage_terms uap_stage_terms_of(const uap_pipeline *pipeline, int32_t i)
{
    const int64_t c = pipeline->chain->c;
    const int64_t k = uap_min_i64(pipeline->chain->instance->inflight[i], c);
    uap_stage_terms t = {.kappa = pipeline->kappa[i],
                         .round_trips = pipeline->round_trips,
                         .c = (double)c};
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

void uap_stage_lengths(const uap_segments *segments, int32_t i, int32_t a,
                       const uap_group *group, int32_t *first, int32_t *last)
{
    const int32_t room = segments->chain->n_layers - a;
    const int32_t most = group->n_len < room ? group->n_len : room;
    if (i + 1 == segments->chain->pp) {
        *first = room;
        *last = room <= most ? room : room - 1;
        return;
    }
    *first = segments->lo[i + 1] - a > 1 ? segments->lo[i + 1] - a : 1;
    *last = segments->hi[i + 1] - a < most ? segments->hi[i + 1] - a : most;
}

double uap_stage_term_least(const uap_stage_terms *t, double p, double behind)
{
    double m = t->kappa * p;
    for (int32_t r = 0; r < t->n_rounds; r++) {
        m = uap_max_f64(m, (t->rounds[r] - 1) * (p + behind) + t->rest[r] * p);
    }
    return m;
}

double uap_cell_term(const uap_stage_terms *terms, const uap_cell_bounds *cell, double s,
                     double t)
{
    double m = uap_stage_term_least(terms, cell->p, t);
    if (terms->round_trips) {
        m = uap_max_f64(m, terms->c * cell->p - (cell->p + s));
    }
    m = uap_max_f64(m, cell->alone);
    if (cell->round <= 0) {
        return m;
    }
    /* Without full rounds the measure is c p + g, which waits for nothing behind. */
    const double rounds = terms->n_rounds > 0 ? terms->rounds[1] : 0;
    return uap_max_f64(m, rounds * t + cell->round - (cell->s + s));
}
