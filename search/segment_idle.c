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

/* The wanted segments, seen from the layers and from the groups. */
typedef struct wanted_segments {
    int32_t *longest; /* [L] that starts there, 0: none */
    int32_t *next; /* [groups] least layer that a stage behind one of its own starts at */
} wanted_segments;

static void find_wanted(const uap_segments *s, wanted_segments *wanted)
{
    for (int32_t j = 0; j < s->n_classes; j++) {
        const uap_stage_class *cls = &s->cls[j];
        for (int32_t a = cls->lo; a <= cls->hi; a++) {
            const int32_t i = cls->group_of[a];
            if (i < 0) {
                continue;
            }
            int32_t shortest = 0;
            const int32_t most = longest_wanted(&s->group[i], &shortest);
            wanted->longest[a] = uap_max_i32(wanted->longest[a], most);
            wanted->next[i] = wanted->next[i] == 0 ? a + shortest : wanted->next[i];
        }
    }
}

bool uap_segments_mark_idle(uap_segments *s)
{
    const int32_t n_layers = s->chain->n_layers;
    bool *idle = uap_calloc((size_t)n_layers + 1, sizeof *idle); /* from here on */
    wanted_segments wanted = {
        .longest = uap_calloc((size_t)n_layers, sizeof *wanted.longest),
        .next = uap_calloc((size_t)s->n_groups, sizeof *wanted.next)};
    const bool ok = idle != NULL && wanted.longest != NULL && wanted.next != NULL;
    if (ok) {
        find_wanted(s, &wanted);
        idle[n_layers] = true;
    }
    for (int32_t u = n_layers - 1; ok && u >= 0; u--) {
        idle[u] = idle[u + 1] && grad_is_idle(s->chain, u, wanted.longest[u]);
    }
    for (int32_t i = 0; ok && i < s->n_groups; i++) {
        uap_group *group = &s->group[i];
        const int32_t start = group->start;
        group->no_grad = grad_is_idle(s->chain, start, wanted.longest[start]);
        group->no_forward = idle[wanted.next[i]];
    }
    uap_free(idle);
    uap_free(wanted.longest);
    uap_free(wanted.next);
    return ok;
}
