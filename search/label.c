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

static bool stands_before(const uap_label *a, const uap_label *b)
{
    if (a->p != b->p) {
        return a->p < b->p;
    }
    if (a->m != b->m) {
        return a->m < b->m;
    }
    if (a->f != b->f) {
        return a->f < b->f;
    }
    if (a->g != b->g) {
        return a->g < b->g;
    }
    return a->w < b->w;
}

/* Stage 0, where a->p <= b->p as a stands before b. The value is the largest of terms that,
 * but for constants, are r p + g (1 <= r <= c), c p - (k - 1) f + g and c p - (k - 1) b + g
 * (V and then g), and of sums of p and f (the ends of later stages). None of a's may be above
 * b's. With f no larger, p + g no larger settles all but the one that takes f off. V alone
 * does not count, as g follows it. */
static bool dominates_first(const uap_label *a, const uap_label *b, uap_dominance rule)
{
    const int64_t dp = a->p - b->p; /* all differences are a - b */
    const int64_t df = a->f - b->f;
    const int64_t dg = a->g - b->g;
    return a->m <= b->m && a->w <= b->w && df <= 0 && dp + dg <= 0 &&
           rule.c * dp - (rule.k - 1) * df + dg <= 0;
}

/* a stands before b, so a->p <= b->p. */
static bool dominates(const uap_label *a, const uap_label *b, uap_dominance rule)
{
    if (rule.first_stage) {
        return dominates_first(a, b, rule);
    }
    return a->m <= b->m && a->f <= b->f && a->g <= b->g && a->w <= b->w &&
           a->p - a->f <= b->p - b->f;
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
    if (end == first && f->n == FRONT_MOST) {
        f->is_full = true;
        return;
    }
    memmove(&f->at[first + 1], &f->at[end], (size_t)(f->n - end) * sizeof f->at[0]);
    f->n += 1 - (end - first);
    f->at[first].w = label->w;
    f->at[first].m = label->m;
}

static bool is_dominated(const uap_label_list *kept, const front *f,
                         const uap_label *label, uap_dominance rule)
{
    /* What is in no kept label's shadow in (m, w) is dominated by none. */
    const bool covered = front_covers(f, label);
    if (rule.plane && !f->is_full) {
        return covered;
    }
    if (!covered && !f->is_full) {
        return false;
    }
    for (size_t i = kept->n; i-- > 0;) {
        if (dominates(&kept->at[i], label, rule)) {
            return true;
        }
    }
    return false;
}

bool uap_labels_merge(const uap_label_list *a, const uap_label_list *b,
                      uap_dominance rule, uap_label_list *to)
{
    to->n = 0;
    if (!uap_labels_reserve(to, a->n + b->n)) {
        return false;
    }
    size_t i = 0;
    size_t j = 0;
    front shadow = {.n = 0};
    while (i < a->n || j < b->n) {
        const bool from_a =
            j == b->n || (i < a->n && !stands_before(&b->at[j], &a->at[i]));
        const uap_label *next = from_a ? &a->at[i++] : &b->at[j++];
        if (is_dominated(to, &shadow, next, rule)) {
            continue;
        }
        to->at[to->n] = *next;
        to->n++;
        if (!front_covers(&shadow, next)) {
            front_add(&shadow, next);
        }
    }
    return true;
}
