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

/* Sorted by (p, m, f, g, w); no label dominates another. */
typedef struct uap_label_list {
    uap_label *at;
    size_t n, capacity;
} uap_label_list;

/* Which comparisons dominance needs. */
typedef struct uap_dominance {
    bool plane; /* f and g are 0 throughout */
    /* Stage 0: what counts is V + g and what f and p add to the ends of later stages, so that
     * g may be larger where every term of V makes up for it. */
    bool first_stage;
    int64_t c, k;
} uap_dominance;

/* Room for n labels; false when out of memory. */
bool uap_labels_reserve(uap_label_list *list, size_t n);
void uap_labels_free(uap_label_list *list);

/* to = non-dominated labels of a and b. a, b and to are distinct lists. O(|a| + |b|) in the
 * plane, else times the number of labels looked back at. False when out of memory. */
bool uap_labels_merge(const uap_label_list *a, const uap_label_list *b,
                      uap_dominance rule, uap_label_list *to);

#ifdef __cplusplus
}
#endif
#endif
