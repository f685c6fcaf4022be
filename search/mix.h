/* A mixed cluster's configuration: a chain and segments for every stage type, and what goes
 * from a stage of one type to a stage of another. Each stage is of one type, so that a segment
 * is worked out as for a cluster of that type alone; types meet at the boundaries and in what
 * they take from their groups.
 *
 * Group limits are priced in relaxations: with prices l >= 0 of a device, every plan within a
 * target T has cost + l used <= T + l devices. Exact labels count devices.
 *
 * Letters: t stage type, g group, X in-class and Y out-class among those of all types. */
#ifndef UAP_SEARCH_MIX_H
#define UAP_SEARCH_MIX_H

#include "search/outer.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Transfers between two neighbouring layers, [n_out][n_in] over the classes of all types. */
typedef struct uap_mix_link {
    int32_t n_out, n_in;
    int64_t *x_fwd, *x_bwd; /* ticks */
    double *x_both;
    int32_t *row_like,
        *column_like; /* [n_out], [n_in] the first with the same transfers */
} uap_mix_link;

/* What stages before i can take at most of a group of which so many devices are left: those
 * that differ in this differ for no plan. */
typedef struct uap_mix_room {
    int64_t most;   /* devices worth counting */
    int32_t *reach; /* [pp + 1][most + 1] by stages still to come and devices left */
} uap_mix_room;

/* Stages that a plan within a target may have: of type t from layer a over so many layers as
 * stage i. Made by uap_mix_window_bound. */
typedef struct uap_mix_starts {
    int64_t first;           /* into is_live */
    int32_t shortest, count; /* lengths */
} uap_mix_starts;

typedef struct uap_mix_live {
    uap_mix_starts *from; /* [pp][n_types][L]; NULL: nothing is known */
    bool *is_live;
} uap_mix_live;

typedef struct uap_mix {
    const uap_instance *in;
    uap_arena *arena; /* owns arrays; not chains, pipelines, segments */
    int32_t n_layers, pp, n_types, n_groups;
    int32_t width;           /* widest set of classes of all types together */
    uap_chain **chain;       /* [n_types] */
    uap_pipeline *pipeline;  /* [n_types] */
    uap_segments **segments; /* [n_types] once made, else NULL */
    int32_t *in_first;       /* [L][n_types + 1] X of each type's first in-class */
    int32_t *out_first;      /* [L][n_types + 1] */
    uap_mix_link *link;      /* [n_links] of the chains' links */
    uap_mix_room *room;      /* [n_groups] */
    uap_mix_live live;       /* for targets up to that of the last bound by windows */
    struct uap_device_fields *fields; /* places of the groups; see mix_devices.h */
    double *price;                    /* [n_groups] ticks per device */
    bool stopped;                     /* a run ended early; see uap_segments */
    bool is_shared;                   /* a job's tasks, that a crew shares out, run */
    int64_t effort;                   /* labels that may still be looked at, and */
    int64_t unspent;                  /* what is not worth one yet */
} uap_mix;

/* *out is NULL (and the status OK) where some layer has no allowed row. The instance and the
 * restriction must outlive it. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_mix_new(const uap_instance *instance,
                                     const uap_restriction *restriction, uap_mix **out,
                                     uap_err *err);
void uap_mix_free(uap_mix *mix); /* NULL is legal */

/* X of in-class x of type t at a layer, and Y of its out-class. */
static inline int32_t uap_mix_in(const uap_mix *mix, int32_t layer, int32_t t)
{
    return mix->in_first[layer * (mix->n_types + 1) + t];
}

static inline int32_t uap_mix_out(const uap_mix *mix, int32_t layer, int32_t t)
{
    return mix->out_first[layer * (mix->n_types + 1) + t];
}

/* Classes of all types on either side of a layer. */
static inline int32_t uap_mix_n_in(const uap_mix *mix, int32_t layer)
{
    return uap_mix_in(mix, layer, mix->n_types);
}

static inline int32_t uap_mix_n_out(const uap_mix *mix, int32_t layer)
{
    return uap_mix_out(mix, layer, mix->n_types);
}

static inline const uap_mix_link *uap_mix_link_of(const uap_mix *mix, int32_t layer)
{
    return &mix->link[mix->chain[0]->link_of[layer]];
}

/* Whether a stage may be in a plan within the target. */
static inline bool uap_mix_is_live(const uap_mix *mix, int32_t i, int32_t t, int32_t a,
                                   int32_t length)
{
    if (mix->live.from == NULL) {
        return true;
    }
    const size_t at =
        ((size_t)i * (size_t)mix->n_types + (size_t)t) * (size_t)mix->n_layers +
        (size_t)a;
    const uap_mix_starts *from = &mix->live.from[at];
    const int32_t j = length - from->shortest;
    return j >= 0 && j < from->count && mix->live.is_live[from->first + j];
}

/* Devices of a group as far as pp stages can use them; what a stage of type t pays for its
 * devices; what those of all groups are worth. */
int64_t uap_mix_usable(const uap_mix *mix, int32_t g);
double uap_mix_toll(const uap_mix *mix, int32_t t);
double uap_mix_credit(const uap_mix *mix);

#define UAP_MIX_ROUNDS     30 /* of uap_mix_bound, on every node */
#define UAP_MIX_FEW_ROUNDS 12 /* for prices of devices alone */

/* Raises *bound by at most `rounds` subgradient steps over stage weights, prices of memory and
 * of devices; keeps the best prices of devices in the mix. Stops early once the bound passes
 * cutoff. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_mix_bound(uap_mix *mix, int32_t rounds, int64_t cutoff,
                                       int64_t *bound, uap_err *err);

/* Makes the segments of all types for targets up to needs->target; split, grad, scalar,
 * round_trips and kappa of needs are the mix's own. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_mix_segments(uap_mix *mix, const uap_segment_needs *needs,
                                          uap_err *err);

/* Looks for prices of devices with which uap_mix_relax has a high bound, at best above the
 * target. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_mix_set_prices(uap_mix *mix, int64_t target, uap_err *err);

/* A bound for plans of at most `target`, from stages and devices alone: *bound is above the
 * target where none is within it. fix: tells mix->live too, until segments are made anew.
 * Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_mix_window_bound(uap_mix *mix, int64_t target, bool fix,
                                              int64_t *bound, uap_err *err);

/* Nothing is known any more of the stages that a plan may have. */
void uap_mix_forget_live(uap_mix *mix);

/* uap_segments_tighten and _solve of all types, within mix->effort. */
UAP_NODISCARD uap_status uap_mix_tighten(uap_mix *mix, bool *is_tightened, uap_err *err);
UAP_NODISCARD uap_status uap_mix_solve(uap_mix *mix, uap_err *err);

/* As uap_outer_bound, over cuts and types. Uses what effort is left, as uap_mix_exact does:
 * nothing is found, and mix->stopped set, where that is not enough. */
typedef struct uap_mix_outer uap_mix_outer;
UAP_NODISCARD uap_status uap_mix_relax(uap_mix *mix, int64_t target, uap_mix_outer **out,
                                       int64_t *bound, uap_err *err);
void uap_mix_outer_free(uap_mix_outer *outer); /* NULL is legal */

/* The exact recursion on the segments' sets: one or more runs within the relaxation's target.
 * NULL: no memory. The relaxation must outlive it. */
typedef struct uap_mix_cuts uap_mix_cuts;
uap_mix_cuts *uap_mix_cuts_new(uap_mix_outer *outer);
void uap_mix_cuts_free(uap_mix_cuts *cuts); /* NULL is legal */

typedef struct uap_mix_ask {
    int64_t target;  /* ticks; at most the relaxation's */
    int32_t longest; /* labels of a list; 0: all, and what is found is the best plan */
} uap_mix_ask;

/* A plan within the target. Errors: NO_MEMORY, those of the crew. */
UAP_NODISCARD uap_status uap_mix_exact(uap_mix_cuts *cuts, const uap_mix_ask *ask,
                                       int64_t *value, uap_choice *choice, bool *found,
                                       uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
