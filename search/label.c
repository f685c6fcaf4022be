/* Lists of non-dominated labels: merging keeps them sorted, so that a label can only be
 * dominated by one that stands before it. */
#include "search/label.h"

#include "common/mem.h"

#include <string.h>

bool uap_labels_reserve(uap_label_list *list, size_t n)
{
    if (n <= list->capacity) {
        return true;
    }
    size_t capacity = list->capacity < 64 ? 64 : list->capacity;
    while (capacity < n) {
        capacity *= 2;
    }
    uap_label *at = uap_realloc(list->at, capacity, sizeof *at);
    if (at == NULL) {
        return false;
    }
    list->at = at;
    list->capacity = capacity;
    return true;
}

void uap_labels_free(uap_label_list *list)
{
    uap_free(list->at);
    *list = (uap_label_list){0};
}

void uap_label_shadow_free(uap_label_shadow *shadow)
{
    uap_free(shadow->key);
    shadow->key = NULL;
    shadow->capacity = 0;
}

bool uap_terms_cover(const uap_dominance *rule, const uap_label *a, const uap_label *b)
{
    for (int32_t t = 0; t < rule->n_terms; t++) {
        if (uap_term_value(&rule->term[t], a) > uap_term_value(&rule->term[t], b)) {
            return false;
        }
    }
    return true;
}

/* Order of labels whose first terms are equal. */
static bool breaks_tie(const uap_label *a, const uap_label *b)
{
    if (a->m != b->m) {
        return a->m < b->m;
    }
    if (a->p != b->p) {
        return a->p < b->p;
    }
    if (a->f != b->f) {
        return a->f < b->f;
    }
    if (a->g != b->g) {
        return a->g < b->g;
    }
    return a->w < b->w;
}

static bool stands_before(const uap_dominance *rule, const uap_label *a,
                          const uap_label *b)
{
    const int64_t va = uap_term_value(&rule->term[0], a);
    const int64_t vb = uap_term_value(&rule->term[0], b);
    return va != vb ? va < vb : breaks_tie(a, b);
}

/* The least memory among kept labels, by workspace: w ascending, m descending. In the plane
 * it decides dominance alone, since kept labels are no slower than what comes. */
#define FRONT_MOST 32

typedef struct front {
    struct {
        int64_t w, m;
    } at[FRONT_MOST];
    int32_t n;
    bool is_full; /* more workspaces than it holds: it can no longer clear a label */
} front;

static void front_clear(front *f)
{
    f->n = 0;
    f->is_full = false;
}

static bool front_covers(const front *f, const uap_label *label)
{
    for (int32_t i = f->n; i-- > 0;) {
        if (f->at[i].w <= label->w) {
            return f->at[i].m <= label->m;
        }
    }
    return false;
}

/* Adds a label that the front does not cover. */
static void front_add(front *f, const uap_label *label)
{
    int32_t first = 0;
    while (first < f->n && f->at[first].w < label->w) {
        first++;
    }
    int32_t end = first;
    while (end < f->n && f->at[end].m >= label->m) {
        end++;
    }
    if (end == first + 1) { /* one makes way for one: nothing moves */
        f->at[first].w = label->w;
        f->at[first].m = label->m;
        return;
    }
    if (end == first && f->n == FRONT_MOST) {
        f->is_full = true;
        return;
    }
    memmove(&f->at[first + 1], &f->at[end], (size_t)(f->n - end) * sizeof f->at[0]);
    f->n += 1 - (end - first);
    f->at[first].w = label->w;
    f->at[first].m = label->m;
}

/* Kept labels in blocks: of each the keys (memory, workspace, all terms but the first, which
 * the order sees to), dimension by dimension, and their minima, by which most blocks can be
 * passed over. */
#define KEYS      (UAP_MAX_TERMS + 1)
#define PER_BLOCK ((size_t)KEYS * (UAP_LABEL_BLOCK + 1))

typedef struct key {
    int64_t at[KEYS];
} key;

static int32_t count_keys(const uap_dominance *rule)
{
    return rule->n_terms + 1;
}

static key key_of(const uap_dominance *rule, const uap_label *label)
{
    key k = {.at = {label->m, label->w}};
    for (int32_t t = 1; t < rule->n_terms; t++) {
        k.at[t + 1] = uap_term_value(&rule->term[t], label);
    }
    return k;
}

static bool shadow_reserve(uap_label_shadow *shadow, size_t labels)
{
    const size_t wanted = (labels / UAP_LABEL_BLOCK + 1) * PER_BLOCK;
    if (wanted <= shadow->capacity) {
        return true;
    }
    int64_t *at = uap_realloc(shadow->key, 2 * wanted, sizeof *at);
    if (at == NULL) {
        return false;
    }
    shadow->key = at;
    shadow->capacity = 2 * wanted;
    return true;
}

static void shadow_add(uap_label_shadow *shadow, int32_t n_keys, size_t index,
                       const key *k)
{
    int64_t *block = shadow->key + index / UAP_LABEL_BLOCK * PER_BLOCK;
    int64_t *least = block + (size_t)KEYS * UAP_LABEL_BLOCK;
    const size_t at = index % UAP_LABEL_BLOCK;
    for (int32_t d = 0; d < n_keys; d++) {
        block[(size_t)d * UAP_LABEL_BLOCK + at] = k->at[d];
        least[d] = at == 0 || k->at[d] < least[d] ? k->at[d] : least[d];
    }
}

/* Whether one of the first n kept labels covers the key. *looked grows by the blocks looked
 * at. */
static bool shadow_covers(const uap_label_shadow *shadow, int32_t n_keys, size_t n,
                          const key *k, int64_t *looked)
{
    for (size_t first = n == 0 ? 0 : (n - 1) / UAP_LABEL_BLOCK + 1; first-- > 0;) {
        (*looked)++;
        const int64_t *block = shadow->key + first * PER_BLOCK;
        const int64_t *least = block + (size_t)KEYS * UAP_LABEL_BLOCK;
        int32_t d = 0;
        while (d < n_keys && least[d] <= k->at[d]) {
            d++;
        }
        const size_t end = n - first * UAP_LABEL_BLOCK < UAP_LABEL_BLOCK
                               ? n - first * UAP_LABEL_BLOCK
                               : UAP_LABEL_BLOCK;
        for (size_t i = 0; d == n_keys && i < end; i++) {
            bool covers = true;
            for (int32_t e = 0; e < n_keys && covers; e++) {
                covers = block[(size_t)e * UAP_LABEL_BLOCK + i] <= k->at[e];
            }
            if (covers) {
                return true;
            }
        }
    }
    return false;
}

/* A long merge takes a breath after so many labels and blocks, of so many steps each. */
#define BREATH_OF  10000
#define STEPS_EACH 10

/* Merging with more terms than one. */
static bool merge_many(const uap_label_list *a, const uap_label_list *b,
                       const uap_dominance *rule, uap_label_shadow *shadow,
                       uap_label_list *to)
{
    const int32_t n_keys = count_keys(rule);
    if (!shadow_reserve(shadow, a->n + b->n)) {
        return false;
    }
    size_t i = 0;
    size_t j = 0;
    int64_t looked = 0;
    front f; /* only what n says is set: most merges are short */
    front_clear(&f);
    while (i < a->n || j < b->n) {
        if (++looked > BREATH_OF) {
            if (shadow->breathe != NULL &&
                shadow->breathe(shadow->self, looked * STEPS_EACH)) {
                return false;
            }
            looked = 0;
        }
        const bool from_a =
            j == b->n || (i < a->n && !stands_before(rule, &b->at[j], &a->at[i]));
        const uap_label *next = from_a ? &a->at[i++] : &b->at[j++];
        const key k = key_of(rule, next);
        /* What is in no kept label's shadow in (m, w) is dominated by none. */
        const bool covered = front_covers(&f, next);
        if ((covered || f.is_full) && shadow_covers(shadow, n_keys, to->n, &k, &looked)) {
            continue;
        }
        shadow_add(shadow, n_keys, to->n, &k);
        to->at[to->n++] = *next;
        if (!covered) {
            front_add(&f, next);
        }
    }
    return true;
}

/* Merging in the plane, where p is the only term and the shadow in (m, w) decides alone. */
static bool merge_plane(const uap_label_list *a, const uap_label_list *b,
                        const uap_dominance *rule, uap_label_shadow *shadow,
                        uap_label_list *to)
{
    size_t i = 0;
    size_t j = 0;
    front f; /* only what n says is set: most merges are short */
    front_clear(&f);
    while (i < a->n || j < b->n) {
        bool from_a = j == b->n;
        if (!from_a && i < a->n) {
            const uap_label *p = &a->at[i];
            const uap_label *q = &b->at[j];
            from_a = p->p != q->p ? p->p < q->p : !breaks_tie(q, p);
        }
        const uap_label *next = from_a ? &a->at[i++] : &b->at[j++];
        if (front_covers(&f, next)) {
            continue;
        }
        front_add(&f, next);
        if (f.is_full) {
            to->n = 0;
            return merge_many(a, b, rule, shadow, to);
        }
        to->at[to->n++] = *next;
    }
    return true;
}

bool uap_labels_merge(const uap_label_list *a, const uap_label_list *b,
                      const uap_dominance *rule, uap_label_shadow *shadow,
                      uap_label_list *to)
{
    to->n = 0;
    if (!uap_labels_reserve(to, a->n + b->n)) {
        return false;
    }
    return rule->n_terms == 1 ? merge_plane(a, b, rule, shadow, to)
                              : merge_many(a, b, rule, shadow, to);
}
