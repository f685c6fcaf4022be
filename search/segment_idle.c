/* Which stages' per-iteration time cannot decide a plan within the target, seen from the
 * segments that such plans can use. */
#include "search/segment.h"

#include "common/numbers.h"

#include <math.h>

/* Longest wanted segment of a group and the shortest; 0: none. */
static int32_t longest_wanted(const uap_group *group, int32_t *shortest)
{
    int32_t longest = 0;
    *shortest = 0;
    for (int32_t l = 1; l <= group->n_len; l++) {
        bool wanted = false;
        for (int32_t x = 0; x < group->n_in; x++) {
            for (int32_t i = group->offset[l - 1]; i < group->offset[l]; i++) {
                wanted = wanted || !isinf(group->budget[0][x * group->cells + i]);
            }
        }
        if (wanted) {
            longest = l;
            *shortest = *shortest == 0 ? l : *shortest;
        }
    }
    return longest;
}

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
    double later = (double)uap_kind_of(chain, 0)->min_grad;
    double grad = 0;
    for (int32_t u = 0; u < start; u++) {
        later += (double)uap_kind_of(chain, u)->min_bwd;
    }
    for (int32_t u = start; u < start + n && u < chain->n_layers; u++) {
        grad += (double)uap_kind_of(chain, u)->max_grad;
    }
    return grad <= later;
}

bool uap_segments_mark_idle(uap_segments *s)
{
    const int32_t n_layers = s->chain->n_layers;
    int32_t *longest = uap_calloc((size_t)n_layers + 1, sizeof *longest);
    int32_t *next = uap_calloc((size_t)s->n_groups, sizeof *next);
    const bool ok = longest != NULL && next != NULL;
    for (int32_t j = 0; ok && j < s->n_classes; j++) {
        const uap_stage_class *cls = &s->cls[j];
        for (int32_t a = cls->lo; a <= cls->hi; a++) {
            const int32_t i = cls->group_of[a];
            if (i >= 0) {
                int32_t shortest = 0;
                const int32_t most = longest_wanted(&s->group[i], &shortest);
                longest[a] = uap_max_i32(longest[a], most);
                next[i] = next[i] == 0 ? a + shortest : next[i];
            }
        }
    }
    for (int32_t i = 0; ok && i < s->n_groups; i++) {
        uap_group *group = &s->group[i];
        group->no_grad = grad_is_idle(s->chain, group->start, longest[group->start]);
        group->no_forward = true;
        for (int32_t u = next[i]; u < n_layers && group->no_forward; u++) {
            group->no_forward = grad_is_idle(s->chain, u, longest[u]);
        }
    }
    uap_free(longest);
    uap_free(next);
    return ok;
}
