/* Labels of the resource-constrained shortest path inside a stage, and lists of them that
 * hold only what no other label dominates. */
#ifndef UAP_SEARCH_LABEL_H
#define UAP_SEARCH_LABEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Time (forward + backward), its forward part, per-iteration time; memory without and
 * workspace W apart. Parts a stage class does not need are 0 throughout. */
typedef struct uap_label {
    int64_t p, f, g, m, w;
} uap_label;

/* Sorted by (first term of the rule, m, p, f, g, w); no label dominates one behind it. */
typedef struct uap_label_list {
    uap_label *at;
    size_t n, capacity;
} uap_label_list;

#define UAP_MAX_TERMS   7
#define UAP_LABEL_BLOCK 32 /* kept labels that merging passes over together */

/* A term of the value, p p + f f + g g. */
typedef struct uap_term {
    int64_t p, f, g;
} uap_term;

/* A label dominates another when no term, nor its memory, nor its workspace is above the
 * other's: the value is a maximum of sums in which such terms stand. */
typedef struct uap_dominance {
    int32_t n_terms;
    uap_term term[UAP_MAX_TERMS];
} uap_dominance;

static inline int64_t uap_term_value(const uap_term *term, const uap_label *label)
{
    return term->p * label->p + term->f * label->f + term->g * label->g;
}

/* What the value of a plan needs of a stage. */
typedef struct uap_value_form {
    bool is_single;       /* p is all there is */
    bool is_simple;       /* the simple objective, else the full one */
    bool has_round_trips; /* 1f1b and 1f1b-eager, else gpipe */
    bool is_first;        /* stage 0 */
    bool is_split;        /* forward and backward count apart */
    bool has_grad;        /* g of this stage may decide */
    bool has_later_grad;  /* g of a later stage may decide */
    bool halves_in_order; /* no forward time is above its backward time */
    int64_t c, k;         /* micro-batches, and how many of them the stage holds */
} uap_value_form;

/* The terms by which stages of that form are compared. */
uap_dominance uap_dominance_of(const uap_value_form *form);

/* Whether all terms of a, memory and workspace apart, are at most b's. */
bool uap_terms_cover(const uap_dominance *rule, const uap_label *a, const uap_label *b);

/* Room for n labels; false when out of memory. */
bool uap_labels_reserve(uap_label_list *list, size_t n);
void uap_labels_free(uap_label_list *list);

/* Working memory of merges, kept from one to the next. Starts as {0}. */
typedef struct uap_label_shadow {
    int64_t *key; /* per block of kept labels: [dimensions][block], then their minima */
    size_t capacity;
    /* Told of the steps that a long merge has taken since; true gives it up. Or NULL. */
    bool (*breathe)(void *self, int64_t steps);
    void *self;
} uap_label_shadow;
void uap_label_shadow_free(uap_label_shadow *shadow);

/* to = non-dominated labels of a and b. a, b and to are distinct lists. O(|a| + |b|) with one
 * term, else times the blocks of labels that must be looked at. False when out of memory, or given
 * up. */
bool uap_labels_merge(const uap_label_list *a, const uap_label_list *b,
                      const uap_dominance *rule, uap_label_shadow *shadow,
                      uap_label_list *to);

#ifdef __cplusplus
}
#endif
#endif
