/* Labels arriving in the in-classes of a layer: over the link from every block of the layer
 * before, those that can still reach an end, merged into one list. Most cannot, so that they
 * are looked at by the dozen first. */
#include "search/label_run.h"

#include <math.h>

/* Labels that stand together in a list and are refused together. */
#define DOZEN 16

/* From so many in-classes on the least of every dozen is worth making. */
#define LEAST_CLASSES 4

/* Far above what rounding does to a test. */
#define TEST_MARGIN 1e-12

static size_t dozens_of(const uap_label_list *list)
{
    return (list->n + DOZEN - 1) / DOZEN;
}

static size_t tests_of(const uap_label_run *run)
{
    return (size_t)run->n_bands * (size_t)run->n_tests;
}

/* Lowers least[tests] of a band to the tests' values for a label. */
static void lower_least(const uap_run_band *band, int32_t n_tests, const uap_label *label,
                        double *restrict least)
{
    const double p = (double)label->p;
    const double f = (double)label->f;
    const double g = (double)label->g;
    const double m = (double)label->m;
    for (int32_t j = 0; j < n_tests; j++) {
        const double v =
            band->p[j] * p + band->f[j] * f + band->g[j] * g + band->m[j] * m;
        least[j] = v < least[j] ? v : least[j];
    }
}

static void find_least(const uap_label_run *run, const uap_label_list *list,
                       double *least)
{
    const size_t tests = tests_of(run);
    for (size_t i = 0; i < dozens_of(list) * tests; i++) {
        least[i] = HUGE_VAL;
    }
    for (size_t i = 0; i < list->n; i++) {
        double *of = least + i / DOZEN * tests;
        for (int32_t j = 0; j < run->n_bands; j++) {
            lower_least(&run->bands[j], run->n_tests, &list->at[i],
                        of + (size_t)j * (size_t)run->n_tests);
        }
    }
}

bool uap_label_enter_prepare(uap_label_run *run, int32_t l)
{
    const uap_blocks *b = uap_run_blocks(run, l - 1);
    size_t n = 0;
    run->has_least = uap_run_kind(run, l)->n_in >= LEAST_CLASSES;
    for (int32_t e = 0; run->has_least && e < b->n; e++) {
        run->least_of[e] = n;
        n += dozens_of(&run->blocks[e]) * tests_of(run);
    }
    if (n > run->least_capacity) {
        double *least = uap_realloc(run->least, 2 * n, sizeof *least);
        if (least == NULL) {
            run->no_memory = true;
            return false;
        }
        run->least = least;
        run->least_capacity = 2 * n;
    }
    for (int32_t e = 0; run->has_least && e < b->n; e++) {
        find_least(run, &run->blocks[e], run->least + run->least_of[e]);
    }
    return true;
}

/* Whether in every band some test refuses all labels of a dozen. room: [bands][tests] most that
 * each test may be before the link. */
static bool is_refused(const uap_label_run *run, const double *restrict least,
                       const double *restrict room)
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
                      double *room)
{
    for (int32_t j = 0; j < run->n_bands; j++) {
        const uap_run_band *band = &run->bands[j];
        const double *limit = uap_limits_of(run, j, slot);
        double *of = room + (size_t)j * (size_t)run->n_tests;
        for (int32_t i = 0; i < run->n_tests; i++) {
            const double shift =
                band->p[i] * (double)step->p + band->f[i] * (double)step->f;
            const double margin = TEST_MARGIN * (fabs(limit[i]) + fabs(shift));
            of[i] = isinf(limit[i]) ? limit[i] : limit[i] - shift + margin;
        }
    }
}

/* What the link in front of layer l makes of the labels of block e, into run->shifted; only what
 * can still reach an end from in-class x. *looked: labels and dozens looked at. */
static bool follow_link(uap_label_run *run, int32_t l, int32_t x, int32_t e,
                        int64_t *looked)
{
    const uap_label_list *from = &run->blocks[e];
    const uap_label step =
        uap_label_run_link(run, l - 1, uap_run_blocks(run, l - 1)->out[e], x);
    const int32_t slot = uap_entry_slot(run, l, x);
    const double *least = run->least + (run->has_least ? run->least_of[e] : 0);
    if (!uap_label_run_reserve(run, &run->shifted, from->n)) {
        return false;
    }
    if (run->has_least) {
        find_room(run, slot, &step, run->room_of_link);
    }
    /* Labels of one functional alone stand in the order of their times. */
    const double most = run->only >= 0 ? uap_limits_most(run, slot) : HUGE_VAL;
    size_t n = 0;
    size_t i = 0;
    *looked = 0;
    while (i < from->n && (double)(from->at[i].p + step.p) <= most) {
        const size_t end = from->n - i < DOZEN ? from->n : i + DOZEN;
        (*looked)++;
        if (run->has_least &&
            is_refused(run, least + i / DOZEN * tests_of(run), run->room_of_link)) {
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
        *looked += DOZEN;
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
