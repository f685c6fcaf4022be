/* Inside of search/mix.h: a relaxation that forgets layouts and takes M in windows. Within a
 * window lo <= M <= hi a plan's value is at least S + lo, and no stage or boundary adds more
 * than hi: what is left is one number, a shortest path over (stage, layer, type), at prices of
 * devices of the window's own (mix_window.c) or with devices counted (mix_count.c). Nobody
 * else includes this. */
#ifndef UAP_SEARCH_MIX_WINDOW_H
#define UAP_SEARCH_MIX_WINDOW_H

#include "search/mix_lists.h"
#include "search/mix_points.h"

/* A stage of one type from one layer to another, at its least over all classes. Ticks. */
typedef struct uap_window_arc {
    double s;     /* in S */
    double m;     /* in M */
    double floor; /* the whole from this stage on is not below this */
} uap_window_arc;

/* Least transfers from one type to another. */
typedef struct uap_window_cross {
    double s, m;
} uap_window_cross;

typedef struct uap_mix_window {
    uap_mix *mix;
    double target;
    uap_mix_starts *from; /* [pp][n_types][L], into arc */
    uap_window_arc *arc;  /* of all */
    int64_t n_arcs;
    uap_window_cross *cross; /* [n_links][from n_types][to n_types] */
    double lo, hi;           /* the window at hand */
    double
        *tail; /* [pp][n_types][L] value from behind stage i that ends at b, tolls in */
    double *head; /* [pp][n_types][L] S in front of stage i that starts at a, tolls in */
    double *free_head; /* the same without tolls */
    int32_t *length;   /* [pp][n_types][L] of the best stage i that starts at a */
    int32_t *behind;   /* [pp][n_types][L] the type of the best stage behind */
    double *start;     /* [n_types][L] value from the start of the stage at hand */
    double *excess;    /* [n_groups] devices that the best plan takes too much */
} uap_mix_window;

static inline size_t uap_window_at(const uap_mix_window *w, int32_t i, int32_t t,
                                   int32_t layer)
{
    const uap_mix *mix = w->mix;
    return ((size_t)i * (size_t)mix->n_types + (size_t)t) * (size_t)mix->n_layers +
           (size_t)layer;
}

static inline const uap_window_cross *uap_window_cross_of(const uap_mix_window *w,
                                                          int32_t layer, int32_t t,
                                                          int32_t s)
{
    const int32_t n = w->mix->n_types;
    return &w->cross[(w->mix->chain[0]->link_of[layer] * n + t) * n + s];
}

static inline size_t uap_window_size(const uap_mix *mix)
{
    return (size_t)mix->pp * (size_t)mix->n_types * (size_t)mix->n_layers;
}

/* Arcs and crosses of the mix's segments. False: no memory. Closed also then. */
bool uap_mix_window_open(uap_mix_window *w, uap_mix *mix, double target);
void uap_mix_window_close(uap_mix_window *w);

/* Values behind stage i - 1 that ends in front of layer a, from those in w->start. */
void uap_window_cross_back(uap_mix_window *w, int32_t i, int32_t a);

/* The least value of plans in the window at hand at the mix's prices, with heads in place,
 * devices counted: *least; HUGE_VAL: above the target. False where that takes more than
 * `effort`; *no_memory tells why else. */
bool uap_mix_window_count(uap_mix_window *w, int64_t effort, double *least,
                          bool *no_memory);

#endif
