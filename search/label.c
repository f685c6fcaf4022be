/* Lists of non-dominated labels: merging keeps them sorted, so that a label can only be
 * dominated by one that stands before it. */
#include "search/label.h"

#include "common/mem.h"

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

/* a stands before b, so a->p <= b->p. */
static bool dominates(const uap_label *a, const uap_label *b, bool keep_slow)
{
    const int64_t back_a = a->p - a->f;
    const int64_t back_b = b->p - b->f;
    return a->m <= b->m && a->f <= b->f && a->g <= b->g && a->w <= b->w &&
           (keep_slow ? back_a == back_b : back_a <= back_b);
}

/* least: index of the kept label with the least memory. In the plane it alone decides. */
static bool is_dominated(const uap_label_list *kept, size_t least, const uap_label *label,
                         uap_dominance rule)
{
    if (kept->n == 0 || kept->at[least].m > label->m) {
        return false;
    }
    if (rule.plane || dominates(&kept->at[least], label, rule.keep_slow)) {
        return true;
    }
    for (size_t i = kept->n; i-- > 0;) {
        if (dominates(&kept->at[i], label, rule.keep_slow)) {
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
    size_t least = 0;
    while (i < a->n || j < b->n) {
        const bool from_a =
            j == b->n || (i < a->n && !stands_before(&b->at[j], &a->at[i]));
        const uap_label *next = from_a ? &a->at[i++] : &b->at[j++];
        if (is_dominated(to, least, next, rule)) {
            continue;
        }
        to->at[to->n] = *next;
        if (to->n == 0 || next->m < to->at[least].m) {
            least = to->n;
        }
        to->n++;
    }
    return true;
}
