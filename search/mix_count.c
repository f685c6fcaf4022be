/* Devices counted within one window (search/mix_window.h): suffixes of plans, from the last
 * stage to the first, as their value and what they leave of every group. A suffix goes where
 * the least S in front of it, with or without prices of devices, brings it above the target. */
#include "search/mix_window.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

typedef struct count_run {
    const uap_mix_window *w;
    uap_mix *mix;
    uap_device_lists lists;
    uap_list *tail;  /* [n_types][L] behind the stage at hand */
    uap_list *start; /* [n_types][L] from the start of the stage at hand */
} count_run;

static uap_list *list_at(const count_run *run, uap_list *lists, int32_t t, int32_t layer)
{
    return &lists[t * run->mix->n_layers + layer];
}

/* Stage i of type t from layer a in front of all suffixes behind it. */
static bool extend(count_run *run, int32_t i, int32_t t, int32_t a)
{
    const uap_mix_window *w = run->w;
    uap_mix *mix = run->mix;
    const size_t at = uap_window_at(w, i, t, a);
    const uap_mix_starts *from = &w->from[at];
    const uap_stage_type *type = &mix->in->type[t];
    for (int32_t j = 0; j < from->count && !isinf(w->head[at]); j++) {
        const uap_window_arc *arc = &w->arc[from->first + j];
        const uap_list *tail = list_at(run, run->tail, t, a + from->shortest + j - 1);
        for (int32_t k = 0; k < tail->count && arc->m <= w->hi; k++) {
            uap_device_point p = run->lists.pool.at[tail->first + k];
            double credit = 0;
            const int64_t left =
                uap_devices_get(mix, &p.left, type->group) - type->devices;
            if (left < 0) {
                continue;
            }
            p.s = uap_max_f64(p.s + arc->s, arc->floor);
            uap_devices_set(mix, &p.left, type->group, left);
            p.left = uap_devices_usable(mix, &p.left, i, &credit);
            const double before = uap_max_f64(w->free_head[at], w->head[at] - credit);
            if (p.s + before <= w->target && !uap_device_lists_add(&run->lists, &p)) {
                return false;
            }
        }
    }
    return uap_device_lists_end(&run->lists, list_at(run, run->start, t, a));
}

/* Suffixes behind stage i - 1 that ends in front of layer a. */
static bool cross_back(count_run *run, int32_t a)
{
    const uap_mix_window *w = run->w;
    const int32_t n = run->mix->n_types;
    for (int32_t t = 0; t < n; t++) {
        const uap_window_cross *cross = uap_window_cross_of(w, a - 1, t, 0);
        for (int32_t u = 0; u < n; u++) {
            const uap_list *list = list_at(run, run->start, u, a);
            for (int32_t k = 0; k < list->count && cross[u].m <= w->hi; k++) {
                uap_device_point p = run->lists.pool.at[list->first + k];
                p.s += cross[u].s;
                if (!uap_device_lists_add(&run->lists, &p)) {
                    return false;
                }
            }
        }
        if (!uap_device_lists_end(&run->lists, list_at(run, run->tail, t, a - 1))) {
            return false;
        }
    }
    return true;
}

static bool run_stages(count_run *run)
{
    uap_mix *mix = run->mix;
    const uap_segments *s = mix->segments[0];
    const size_t n = (size_t)mix->n_types * (size_t)mix->n_layers;
    uap_device_point nothing = {.s = run->w->lo};
    for (int32_t g = 0; g < mix->n_groups; g++) {
        uap_devices_set(mix, &nothing.left, g, uap_mix_usable(mix, g));
    }
    for (int32_t t = 0; t < mix->n_types; t++) {
        if (!uap_device_lists_add(&run->lists, &nothing) ||
            !uap_device_lists_end(&run->lists,
                                  list_at(run, run->tail, t, mix->n_layers - 1))) {
            return false;
        }
    }
    for (int32_t i = mix->pp - 1; i >= 0; i--) {
        memset(run->start, 0, n * sizeof *run->start);
        for (int32_t a = s->lo[i]; a <= s->hi[i]; a++) {
            for (int32_t t = 0; t < mix->n_types; t++) {
                if (!extend(run, i, t, a)) {
                    return false;
                }
            }
        }
        memset(run->tail, 0, n * sizeof *run->tail);
        for (int32_t a = s->lo[i]; i > 0 && a <= s->hi[i]; a++) {
            if (!cross_back(run, a)) {
                return false;
            }
        }
    }
    return true;
}

bool uap_mix_window_count(uap_mix_window *w, int64_t effort, double *least,
                          bool *no_memory)
{
    uap_mix *mix = w->mix;
    const size_t n = (size_t)mix->n_types * (size_t)mix->n_layers;
    const int64_t kept = mix->effort;
    const bool was_stopped = mix->stopped;
    count_run run = {.w = w,
                     .mix = mix,
                     .lists = {.mix = mix, .longest = INT64_MAX},
                     .tail = uap_calloc(n, sizeof *run.tail),
                     .start = uap_calloc(n, sizeof *run.start)};
    run.lists.no_memory = run.tail == NULL || run.start == NULL;
    mix->effort = effort;
    const bool done = !run.lists.no_memory && run_stages(&run);
    *least = HUGE_VAL;
    for (int32_t t = 0; done && t < mix->n_types; t++) {
        const uap_list *list = list_at(&run, run.start, t, 0);
        for (int32_t k = 0; k < list->count; k++) {
            *least = uap_min_f64(*least, run.lists.pool.at[list->first + k].s);
        }
    }
    mix->effort = kept;
    mix->stopped = was_stopped; /* too long a count stops nothing else */
    *no_memory = run.lists.no_memory;
    uap_free(run.tail);
    uap_free(run.start);
    uap_device_lists_free(&run.lists);
    uap_free(run.lists.pool.at);
    return done;
}
