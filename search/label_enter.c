/* Labels arriving in the in-classes of a layer: over the link from every block of the layer
 * before, those that can still reach an end, merged into one list. Most cannot, so that they
 * are looked at batch by batch first. */
#include "search/label_run.h"

#include "common/mem.h"
#include "common/wide.h"

#include <math.h>

/* Labels that stand together in a list and are refused together. */
#define BATCH 16

/* From so many in-classes on the least of every batch is worth making. */
#define LEAST_CLASSES 4

/* Far above what rounding does to a test, and to a float. */
#define TEST_MARGIN  1e-12
#define FLOAT_MARGIN 0x1p-23

static size_t batches_of(const uap_label_list *list)
{
    return (list->n + BATCH - 1) / BATCH;
}

static size_t tests_of(const uap_label_run *run)
{
    return (size_t)run->n_bands * (size_t)run->n_tests;
}

/* least[bands][tests] lowered to the tests' values for a label. */
UAP_FOR_WIDE_REGISTERS
static void lower_least(const uap_label_run *run, const uap_label *label,
                        double *restrict least)
{
    const double p = (double)label->p;
    const double f = (double)label->f;
    const double g = (double)label->g;
    const double m = (double)label->m;
    const int32_t n = run->n_tests;
    for (int32_t b = 0; b < run->n_bands; b++) {
        const uap_run_band *band = &run->bands[b];
        double *restrict of = least + (size_t)b * (size_t)n;
        for (int32_t j = 0; j < n; j++) {
            const double v =
                band->p[j] * p + band->f[j] * f + band->g[j] * g + band->m[j] * m;
            of[j] = v < of[j] ? v : of[j];
        }
    }
}

/* Whether what leaves layer l from a list is looked at by many in-classes. */
static bool needs_least(const uap_label_run *run, int32_t l, const uap_label_list *list)
{
    return list->n >= BATCH && l + 1 < run->group->n_len && !uap_run_goes_on(run, l) &&
           uap_run_kind(run, l + 1)->n_in >= LEAST_CLASSES;
}

static void clear_least(double *least, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        least[i] = HUGE_VAL;
    }
}

/* As floats that are never more. */
UAP_FOR_WIDE_REGISTERS
static void keep_least(const double *restrict least, float *restrict to, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        to[i] = (float)(least[i] - fabs(least[i]) * FLOAT_MARGIN);
    }
}

bool uap_label_find_least(uap_label_run *run, int32_t l, const uap_label_list *list,
                          uap_label_least *least)
{
    const size_t tests = tests_of(run);
    least->n = needs_least(run, l, list) ? batches_of(list) * tests : 0;
    if (!uap_label_least_reserve(run, least)) {
        return false;
    }
    for (size_t i = 0; least->n > 0 && i < list->n; i++) {
        if (i % BATCH == 0) {
            clear_least(run->least_of, tests);
        }
        lower_least(run, &list->at[i], run->least_of);
        if (i % BATCH == BATCH - 1 || i + 1 == list->n) {
            keep_least(run->least_of, least->at + i / BATCH * tests, tests);
        }
    }
    return true;
}

int64_t uap_label_least_steps(const uap_label_least *least, int32_t n_blocks)
{
    int64_t steps = 0;
    for (int32_t e = 0; e < n_blocks; e++) {
        steps += (int64_t)least[e].n * BATCH;
    }
    return steps;
}

bool uap_label_least_reserve(uap_label_run *run, uap_label_least *least)
{
    if (least->n > least->capacity) {
        float *at = uap_realloc(least->at, 2 * least->n, sizeof *at);
        if (at == NULL) {
            run->no_memory = true;
            return false;
        }
        least->at = at;
        least->capacity = 2 * least->n;
    }
    return true;
}

/* Whether in every band some test refuses all labels of a batch. room: [bands][tests] most that
 * each test may be before the link. */
static bool is_refused(const uap_label_run *run, const float *restrict least,
                       const float *restrict room)
{
    for (int32_t j = 0; j < run->n_bands; j++) {
        const size_t at = (size_t)j * (size_t)run->n_tests;
        int32_t over = 0;
        for (int32_t i = 0; i < run->n_tests; i++) {
            over += least[at + (size_t)i] > room[at + (size_t)i];
        }
        if (over == 0) {
            return false;
        }
    }
    return true;
}

/* What the tests of a slot leave to labels to which the link adds a step. */
static void find_room(const uap_label_run *run, int32_t slot, const uap_label *step,
                      float *room)
{
    for (int32_t j = 0; j < run->n_bands; j++) {
        const uap_run_band *band = &run->bands[j];
        const double *limit = uap_limits_of(run, j, slot);
        float *of = room + (size_t)j * (size_t)run->n_tests;
        for (int32_t i = 0; i < run->n_tests; i++) {
            const double shift =
                band->p[i] * (double)step->p + band->f[i] * (double)step->f;
            const double margin = TEST_MARGIN * (fabs(limit[i]) + fabs(shift));
            const double left = isinf(limit[i]) ? limit[i] : limit[i] - shift + margin;
            of[i] = (float)(isinf(left) ? left : left + fabs(left) * FLOAT_MARGIN);
        }
    }
}

/* What the link in front of layer l makes of the labels of block e, into run->shifted; only what
 * can still reach an end from in-class x. *looked: labels and batches looked at. */
static bool follow_link(uap_label_run *run, int32_t l, int32_t x, int32_t e,
                        int64_t *looked)
{
    const uap_label_list *from = &run->blocks[e];
    const uap_label step =
        uap_label_run_link(run, l - 1, uap_run_blocks(run, l - 1)->out[e], x);
    const int32_t slot = uap_entry_slot(run, l, x);
    const uap_label_least *least = &run->least[e];
    if (!uap_label_run_reserve(run, &run->shifted, from->n)) {
        return false;
    }
    if (least->n > 0) {
        find_room(run, slot, &step, run->room_of_link);
    }
    /* Labels of one functional alone stand in the order of their times. */
    const double most = run->only >= 0 ? uap_limits_most(run, slot) : HUGE_VAL;
    size_t n = 0;
    size_t i = 0;
    *looked = 0;
    while (i < from->n && (double)(from->at[i].p + step.p) <= most) {
        const size_t end = from->n - i < BATCH ? from->n : i + BATCH;
        (*looked)++;
        if (least->n > 0 &&
            is_refused(run, least->at + i / BATCH * tests_of(run), run->room_of_link)) {
            i = end;
            continue;
        }
        for (; i < end; i++) {
            uap_label next = from->at[i];
            next.p += step.p;
            next.f += step.f;
            if (uap_limits_admit(run, slot, &next)) {
                run->shifted.at[n++] = next;
            }
        }
        *looked += BATCH;
    }
    run->shifted.n = n;
    return true;
}

/* The same inside a run of equal layers, where only what goes on is tested. */
static bool follow_inside(uap_label_run *run, int32_t l, int32_t x, int32_t e,
                          int64_t *looked)
{
    const uap_label_list *from = &run->blocks[e];
    const uap_label step =
        uap_label_run_link(run, l - 1, uap_run_blocks(run, l - 1)->out[e], x);
    if (!uap_label_run_reserve(run, &run->shifted, from->n)) {
        return false;
    }
    for (size_t i = 0; i < from->n; i++) {
        run->shifted.at[i] = from->at[i];
        run->shifted.at[i].p += step.p;
        run->shifted.at[i].f += step.f;
    }
    run->shifted.n = from->n;
    *looked = (int64_t)from->n;
    return true;
}

static void swap_lists(uap_label_list *a, uap_label_list *b)
{
    const uap_label_list swap = *a;
    *a = *b;
    *b = swap;
}

/* Merges the last lists of the tower while one is not much longer than the one after it, or
 * all: a label is then looked at a few times, not once for every list that comes. */
static bool merge_tower(uap_label_run *run, int32_t *n, bool all)
{
    uap_label_list *list = run->tower;
    while (*n > 1 &&
           (all || *n == UAP_LABEL_TOWER || list[*n - 2].n <= 2 * list[*n - 1].n)) {
        if (!uap_label_merge_into(run, &list[*n - 1], &list[*n - 2])) {
            return false;
        }
        (*n)--;
    }
    return true;
}

bool uap_label_enter(uap_label_run *run, int32_t l, int32_t x, int32_t into,
                     uap_label_list *to)
{
    const uap_blocks *b = uap_run_blocks(run, l - 1);
    int32_t n = 0;
    to->n = 0;
    for (int32_t e = 0; e < b->n; e++) {
        int64_t looked = 0;
        if (run->blocks[e].n == 0 || (e == into && b->is_free[e])) {
            continue;
        }
        if (!(into >= 0 ? follow_inside(run, l, x, e, &looked)
                        : follow_link(run, l, x, e, &looked)) ||
            !uap_label_count(run, looked)) {
            return false;
        }
        if (run->shifted.n > 0) {
            swap_lists(&run->shifted, &run->tower[n++]);
            if (!merge_tower(run, &n, false)) {
                return false;
            }
        }
    }
    if (!merge_tower(run, &n, true)) {
        return false;
    }
    if (n > 0) {
        swap_lists(&run->tower[0], to);
    }
    return true;
}
