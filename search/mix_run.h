/* Inside of search/mix.h: one run of the exact recursion over cuts and types, shared by its
 * labels (mix_labels.c) and its stages (mix_exact.c). Nobody else includes this. */
#ifndef UAP_SEARCH_MIX_RUN_H
#define UAP_SEARCH_MIX_RUN_H

#include "search/mix_front.h"
#include "search/mix_reach.h"
#include "search/outer_value.h"

typedef struct uap_mix_label {
    uap_tail v;
    uap_devices left;
    int32_t next;  /* label of the next stage's start, -1 behind the last stage */
    int32_t point; /* of this stage, in its segment's set, and its */
    int32_t type;
    int32_t layer; /* last layer, */
    int32_t out;   /* out-class and */
    int32_t in;    /* in-class, of its own type */
} uap_mix_label;

typedef struct uap_mix_labels {
    uap_mix_label *at; /* owned */
    int32_t n;
    int64_t capacity;
} uap_mix_labels;

struct uap_mix_cuts {
    uap_mix_outer *o;
    uap_mix *mix;
    uap_value_rule rule;
    uap_mix_reach reach;  /* prefixes within the relaxation's target, */
    bool has_reach;       /* once they are made */
    uap_mix_labels pool;  /* labels of all stage starts */
    uap_list *suffix;     /* [L][width] lists into pool, of the stage at hand */
    uap_mix_labels cross; /* labels behind boundaries, of the stage at hand */
    uap_list *tail;       /* [L][width] lists into cross */
    uap_devices *rest;    /* of each label in cross, where the next stage takes nothing */
    int64_t rest_capacity;
    bool *wanted;       /* [L][width] some segment of the stage before ends there */
    uap_front front;    /* list under construction, of */
    uap_mix_labels acc; /* these, and what was in it */
    struct uap_mix_rank *rank; /* scratch: what each of them comes to at best */
    int32_t n_rank;            /* labels of the list that was ended */
    int64_t rank_capacity;
    int64_t *fwd_before; /* [L] least forward time of all layers before, and */
    int64_t *lag;        /* [L] least backward time of them and least g of layer 0 */
    int32_t longest;     /* lists are cut to so many labels; 0: they are not */
    int64_t best;        /* target, then the best value found */
    int32_t best_label;
    bool no_memory;
};

/* A stage of type t that starts at layer a in class x. */
typedef struct uap_mix_start {
    int32_t i, t, a, x;
} uap_mix_start;

/* Adds to the end. False: no memory. */
bool uap_mix_labels_push(uap_mix_cuts *run, uap_mix_labels *labels,
                         const uap_mix_label *label);

/* Makes the list of a start, in front of the lists behind the stage. False: no memory, or the
 * run must end. */
bool uap_mix_labels_start(uap_mix_cuts *run, const uap_mix_start *s);

/* Makes the list behind stage i - 1 that ends at layer a - 1 in class y of all types, from those
 * at the starts of stage i. False as above. */
bool uap_mix_labels_cross(uap_mix_cuts *run, int32_t i, int32_t a, int32_t y);

/* What is left in each label behind the boundaries in front of i stages, as far as these can
 * use it. False: no memory. */
bool uap_mix_labels_rest(uap_mix_cuts *run, int32_t i);

/* Appends the list that was made to `out`. False: no memory. */
bool uap_mix_labels_put(uap_mix_cuts *run, uap_bytes *out);

/* Adds what was put to these labels, as a list. False: no memory. */
bool uap_mix_labels_take(uap_mix_cuts *run, const char *from, uap_mix_labels *labels,
                         uap_list *list);

#endif
