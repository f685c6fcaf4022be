/* Inside of search/mix.h: the relaxation's lists over cuts and types, shared by the bound
 * (mix_outer.c), budgets (mix_budget.c) and the exact recursion (mix_exact.c). Nobody else
 * includes this. */
#ifndef UAP_SEARCH_MIX_LISTS_H
#define UAP_SEARCH_MIX_LISTS_H

#include "search/mix_points.h"
#include "search/outer_lists.h"

/* A point of the relaxation: S with the price of devices, M, and a time without prices that
 * no plan of the point is below. Ticks. path: the last stage or boundary of one of its plans,
 * by which that plan's devices can be told. */
typedef struct uap_mix_point {
    double s, m, t;
    int32_t type; /* of its stage */
    int32_t next; /* point behind that stage, or at the start of the next one; -1: none */
} uap_mix_point;

struct uap_mix_outer {
    uap_mix *mix;
    int64_t c;
    int64_t target_ticks;
    double target;          /* with a margin for rounding */
    double priced;          /* the same, and what all devices are worth */
    const int32_t *lo, *hi; /* [pp] starts of each stage */
    uap_stage_terms *terms; /* [n_types][pp] */
    uap_list *head; /* [pp][L][width] before stage i that starts at (a, X), transfer in */
    uap_list *tail; /* [pp][L][width] behind stage i that ends at (b, Y), transfer in */
    uap_list
        *scratch; /* [L][width] from (a, X) of one stage on, or up to its end at (b, Y) */
    double *before;     /* [pp][L][width] least S of head */
    double *ended;      /* [pp][L][width] least S up to the end of stage i at (b, Y) */
    bool is_simple;     /* E waits for no backward work */
    double *fwd_before; /* [L] least forward time of the layers before */
    uap_mix_point *pool;
    int64_t n_pool, pool_capacity;
};

static inline size_t uap_mix_at(const uap_mix_outer *o, int32_t i, int32_t layer,
                                int32_t class)
{
    return ((size_t)i * (size_t)o->mix->n_layers + (size_t)layer) *
               (size_t)o->mix->width +
           (size_t) class;
}

/* The group of starts at layer a of stage i of type t; NULL where it has none. */
static inline uap_group *uap_mix_group(const uap_mix_outer *o, int32_t t, int32_t i,
                                       int32_t a)
{
    return uap_mix_group_at(o->mix, t, i, a);
}

static inline const uap_stage_terms *uap_mix_terms(const uap_mix_outer *o, int32_t t,
                                                   int32_t i)
{
    return &o->terms[(size_t)t * (size_t)o->mix->pp + (size_t)i];
}

/* An empty relaxation; *possible is false where some stage has no start. NULL: no memory. */
uap_mix_outer *uap_mix_outer_new(uap_mix *mix, int64_t target, bool *possible);

/* Sets the target at the mix's present prices. */
void uap_mix_outer_aim(uap_mix_outer *o, int64_t target);

/* Makes the lists behind stages, as jobs of a crew. *best: the point of least S + M; S HUGE_VAL:
 * none is within the target, or mix->stopped is set. Errors: NO_MEMORY, those of the crew. */
UAP_NODISCARD uap_status uap_mix_suffixes(uap_mix_outer *o, uap_mix_point *best,
                                          uap_err *err);

/* Makes the lists in front of stages, from which the target can be kept with what is behind
 * them; and sets the budgets of all segments from the lists on both sides. As jobs of a crew:
 * where mix->stopped is set, some are missing. Errors: as above. */
UAP_NODISCARD uap_status uap_mix_prefixes(uap_mix_outer *o, uap_err *err);
UAP_NODISCARD uap_status uap_mix_budget(uap_mix_outer *o, uap_err *err);

#endif
