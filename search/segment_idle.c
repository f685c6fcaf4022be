/* Which stages' per-iteration time cannot decide a plan within the target, seen from the
 * segments that such plans can use. */
#include "search/segment.h"

#include "common/numbers.h"

#include <math.h>

/* Whether g of a stage i of n layers that starts here can never decide: all of it, at its
 * most, takes no longer than the backward work of the layers before and g_0, at their least.
 * Then V + g_0, which is at least f + u + b + v of the stages before, V_i and g_0, is above
 * what g_i ends with, f + u of the stages before and V_i + g_i (gpipe: the same with S_i +
 * (c-1) MB_i for V_i). The simple objective adds the largest g as it stands. */
static bool grad_is_idle(const uap_chain *chain, int32_t start, int32_t n)
{
    if (chain->instance->objective == UAP_OBJECTIVE_SIMPLE || start == 0) {
        return false;
    }
    double later = (double)chain->least.first_grad;
    double grad = 0;
    for (int32_t u = 0; u < start; u++) {
        later += (double)chain->least.min_bwd[u];
    }
    for (int32_t u = start; u < start + n && u < chain->n_layers; u++) {
        grad += (double)chain->least.max_grad[u];
    }
    return grad <= later;
}

/* Raises longest[L], the longest wanted segment that starts at each layer (0: none), and sets
 * next[groups], the least layer that a stage behind one of the group's own starts at. */
static void find_wanted(const uap_segments *s, int32_t *longest, int32_t *next)
{
    for (int32_t j = 0; j < s->n_classes; j++) {
        const uap_stage_class *cls = &s->cls[j];
        for (int32_t a = cls->lo; a <= cls->hi; a++) {
            const int32_t i = cls->group_of[a];
            if (i < 0) {
                continue;
            }
            const uap_group *group = &s->group[i];
            longest[a] = uap_max_i32(longest[a], group->longest);
            next[i] = next[i] == 0 ? a + group->shortest : next[i];
        }
    }
}

/* Sets the marks of one of the segments; idle: [L + 1] no g from there on decides. */
static bool mark(uap_segments *s, const int32_t *longest, const bool *idle)
{
    int32_t *next = uap_calloc((size_t)s->n_groups, sizeof *next);
    int32_t *scratch = uap_calloc((size_t)s->chain->n_layers, sizeof *scratch);
    const bool ok = next != NULL && scratch != NULL;
    if (ok) {
        find_wanted(s, scratch, next);
    }
    for (int32_t i = 0; ok && i < s->n_groups; i++) {
        uap_group *group = &s->group[i];
        const int32_t start = group->start;
        group->no_grad = grad_is_idle(s->chain, start, longest[start]);
        group->no_forward = idle[next[i]];
    }
    uap_free(next);
    uap_free(scratch);
    return ok;
}

bool uap_segments_mark_idle(uap_segments *const *all, int32_t n)
{
    const uap_chain *chain = all[0]->chain;
    const int32_t n_layers = chain->n_layers;
    bool *idle = uap_calloc((size_t)n_layers + 1, sizeof *idle); /* from here on */
    int32_t *longest = uap_calloc((size_t)n_layers, sizeof *longest);
    bool ok = idle != NULL && longest != NULL;
    for (int32_t j = 0; ok && j < n; j++) {
        int32_t *next = uap_calloc((size_t)all[j]->n_groups, sizeof *next);
        ok = next != NULL;
        if (ok) {
            find_wanted(all[j], longest, next);
        }
        uap_free(next);
    }
    if (ok) {
        idle[n_layers] = true;
    }
    for (int32_t u = n_layers - 1; ok && u >= 0; u--) {
        idle[u] = idle[u + 1] && grad_is_idle(chain, u, longest[u]);
    }
    for (int32_t j = 0; ok && j < n; j++) {
        ok = mark(all[j], longest, idle);
    }
    uap_free(idle);
    uap_free(longest);
    return ok;
}
