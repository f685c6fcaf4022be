/* Inside of search/outer.h: what stages and boundaries add to S and M, and where a stage may
 * end; the same for stages that are alike and for stages of unlike types. Nobody else includes
 * this. */
#ifndef UAP_SEARCH_OUTER_TERMS_H
#define UAP_SEARCH_OUTER_TERMS_H

#include "search/outer.h"

/* Weights of a stage in M. */
typedef struct uap_stage_terms {
    double kappa;
    bool round_trips;
    double c; /* micro-batches */
    int32_t n_rounds;
    double rounds[2], rest[2]; /* r and c-1-(r-1)k of the two round-trip terms */
} uap_stage_terms;

uap_stage_terms uap_stage_terms_of(const uap_pipeline *pipeline, int32_t i);

typedef struct uap_cell_bounds {
    double p, s, alone;
    double round; /* value of the most round trips, 0: none */
} uap_cell_bounds;

/* Lower bounds of a cell: p, S's share (with g for stage 0), and M's share of the stage
 * alone. False when the segment cannot fit. */
bool uap_outer_cell(const uap_group *group, int32_t cell, uap_cell_bounds *out);

/* Lengths first..last that a stage i that starts at a may have. */
void uap_stage_lengths(const uap_segments *segments, int32_t i, int32_t a,
                       const uap_group *group, int32_t *first, int32_t *last);

/* What a stage of time p adds to S, whatever lies behind it as long as that takes `behind`
 * (with its own boundary) or more: the longest stage, and for 1f1b the round trips that a
 * full pipeline waits for (r RT + (c-1-(r-1)k) p, less S, which counts RT once). */
double uap_stage_term_least(const uap_stage_terms *t, double p, double behind);

/* The same of a cell with what lies behind known, then also c p and, for stage 0, the most
 * round trips with g, less S. These fall as more lies behind, so that a prefix must not use
 * them. s: what lies behind as S counts it, t: no more than its time. */
double uap_cell_term(const uap_stage_terms *terms, const uap_cell_bounds *cell, double s,
                     double t);

/* What a boundary adds to S at least. */
static inline double uap_boundary_term(const uap_stage_terms *t, double fwd, double bwd)
{
    const double both = fwd > bwd ? fwd : bwd;
    return (t->c - 1) * (t->round_trips ? both : fwd + bwd);
}

#endif
