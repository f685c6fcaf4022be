/* Bands of a run with their tests, and the tests themselves: what keeps a run's labels few. */
#include "search/label_sweep.h"

#include "common/numbers.h"

#include <math.h>

/* Functional f of a full label. */
double uap_label_run_value(const uap_label_run *run, int32_t f, const uap_label *label)
{
    const uap_weights *w = &run->cls->weights[run->group->measure[f]];
    return (double)(w->p * label->p + w->f * label->f + w->g * label->g);
}

/* Numbers that one band's limits take. */
static size_t band_size(const uap_label_run *run)
{
    return (size_t)run->slot[run->group->n_len] * (size_t)run->n_tests;
}

/* Band number run->n_bands as a sweep: what it needs. False when out of memory. */
static bool open_band(uap_label_run *run, uap_band of, uap_sweep *sweep)
{
    const size_t wanted = band_size(run) * ((size_t)run->n_bands + 1);
    if (wanted > run->limit_capacity) {
        double *limit = uap_realloc(run->limit, wanted, sizeof *limit);
        run->no_memory = limit == NULL;
        if (run->no_memory) {
            return false;
        }
        run->limit = limit;
        run->limit_capacity = wanted;
    }
    uap_run_band *band = &run->bands[run->n_bands];
    band->band = of;
    const size_t rows = (size_t)run->n_rows * (size_t)run->n_tests;
    *sweep = (uap_sweep){.run = run,
                         .band = band,
                         .limit = run->limit + (size_t)run->n_bands * band_size(run),
                         .through = run->sweep,
                         .entry = run->sweep + rows,
                         .places = run->places};
    return true;
}

/* Neighbouring workspaces, by their numbers. */
typedef struct work_range {
    int32_t first, end;
    double lack;
} work_range;

static uap_band band_of(const uap_label_run *run, work_range range)
{
    const int64_t *work = run->cls->work;
    return (uap_band){.lo = work[range.first], .hi = work[range.end - 1]};
}

#define MOST_BANDS   48
#define MOST_NUMBERS ((size_t)1 << 24) /* limits kept: 128 MiB */

static bool start_bands(uap_label_run *run, bool is_sharp)
{
    run->n_tests = uap_band_tests(run, is_sharp);
    run->n_bands = 0;
    if (run->bands == NULL) {
        run->bands = uap_calloc(MOST_BANDS, sizeof *run->bands);
        run->likely = uap_calloc(MOST_BANDS, sizeof *run->likely);
        run->room_of_link =
            uap_calloc((size_t)MOST_BANDS * UAP_MAX_TESTS, sizeof *run->room_of_link);
        run->least_of =
            uap_calloc((size_t)MOST_BANDS * UAP_MAX_TESTS, sizeof *run->least_of);
        run->no_memory = run->bands == NULL || run->likely == NULL ||
                         run->room_of_link == NULL || run->least_of == NULL;
    }
    for (int32_t j = 0; j < MOST_BANDS && !run->no_memory; j++) {
        run->likely[j] = run->n_tests - 1;
    }
    return !run->no_memory;
}

size_t uap_limits_most_numbers(const uap_label_run *run)
{
    const size_t numbers = (size_t)run->slot[run->group->n_len] *
                           (size_t)uap_band_tests(run, true) * MOST_BANDS;
    return numbers < MOST_NUMBERS ? numbers : MOST_NUMBERS;
}

/* Splits ranges of workspaces in halves as long as they have a chance to hold a label, into
 * `quota` bands at most. A stack of ranges, nearest first. */
static bool make_sharp_bands(uap_label_run *run)
{
    size_t quota = MOST_NUMBERS / band_size(run);
    quota = quota > MOST_BANDS ? MOST_BANDS : quota < 4 ? 4 : quota;
    work_range stack[64] = {{.first = 0, .end = run->cls->n_works}};
    int32_t n = 1;
    while (n > 0) {
        work_range range = stack[--n];
        uap_sweep sweep;
        if (!open_band(run, band_of(run, range), &sweep)) {
            return false;
        }
        uap_band_price(&sweep, &range.lack);
        if (range.lack > 0) {
            continue;
        }
        const size_t taken = (size_t)run->n_bands + (size_t)n;
        if (range.end - range.first == 1 || taken + 2 > quota || n + 2 > 64) {
            uap_band_refine(&sweep, true, &range.lack);
            run->n_bands += range.lack <= 0;
            continue;
        }
        const int32_t middle = (range.first + range.end) / 2;
        stack[n++] = (work_range){.first = range.first, .end = middle};
        stack[n++] = (work_range){.first = middle, .end = range.end};
    }
    return true;
}

/* Whether a run also looks at what can follow a label in every functional. */
static bool uses_completions(const uap_label_run *run)
{
    return !run->is_rough && run->only < 0 && !uap_run_is_plane(run);
}

bool uap_limits_prepare(uap_label_run *run)
{
    if (!start_bands(run, !run->is_rough)) {
        return false;
    }
    if (!run->is_rough) {
        return make_sharp_bands(run) &&
               (!uses_completions(run) || uap_completions_prepare(run));
    }
    for (int32_t j = 0; j < run->cls->n_bands; j++) {
        double lack = 0;
        uap_sweep sweep;
        if (!open_band(run, run->cls->band[j], &sweep)) {
            return false;
        }
        uap_band_price(&sweep, &lack);
        run->n_bands += lack <= 0;
    }
    return true;
}

/* What every label with a workspace in the range lacks at least. False when out of memory. */
static bool find_lack(uap_label_run *run, work_range *range)
{
    uap_sweep sweep;
    if (!open_band(run, band_of(run, *range), &sweep)) {
        return false;
    }
    uap_band_price(&sweep, &range->lack);
    uap_band_refine(&sweep, false, &range->lack);
    return true;
}

bool uap_limits_excess(uap_label_run *run, double *excess)
{
    if (!start_bands(run, true)) {
        return false;
    }
    work_range *range = uap_calloc((size_t)run->cls->n_works, sizeof *range);
    run->no_memory = range == NULL;
    int32_t n = 1;
    int32_t weakest = 0;
    bool ok = range != NULL;
    if (ok) {
        range[0] = (work_range){.first = 0, .end = run->cls->n_works};
        ok = find_lack(run, &range[0]);
    }
    while (ok && range[weakest].end - range[weakest].first > 1) {
        work_range *left = &range[weakest];
        work_range *right = &range[n++];
        const int32_t middle = (left->first + left->end) / 2;
        *right = (work_range){.first = middle, .end = left->end};
        left->end = middle;
        ok = find_lack(run, left) && find_lack(run, right);
        for (int32_t i = 0; i < n; i++) {
            weakest = range[i].lack < range[weakest].lack ? i : weakest;
        }
    }
    *excess = ok ? range[weakest].lack : 0;
    uap_free(range);
    return ok;
}

const double *uap_limits_of(const uap_label_run *run, int32_t band, int32_t slot)
{
    return run->limit + (size_t)band * band_size(run) +
           (size_t)slot * (size_t)run->n_tests;
}

static bool within_limits(const uap_label_run *run, int32_t at, int32_t slot,
                          const uap_label *label)
{
    const uap_run_band *band = &run->bands[at];
    const double *limit = uap_limits_of(run, at, slot);
    const double p = (double)label->p;
    const double f = (double)label->f;
    const double g = (double)label->g;
    const double m = (double)label->m;
    if (label->w > band->band.hi) {
        return false;
    }
    /* What failed the label before is likely to fail this one; then the sharpest tests, which
     * stand last. */
    int32_t *likely = &run->likely[at];
    for (int32_t i = run->n_tests; i >= 0; i--) {
        const int32_t j = i == run->n_tests ? *likely : i;
        if (band->p[j] * p + band->f[j] * f + band->g[j] * g + band->m[j] * m >
            limit[j]) {
            *likely = j;
            return false;
        }
    }
    return true;
}

bool uap_limits_admit(const uap_label_run *run, int32_t slot, const uap_label *label)
{
    bool possible = false;
    for (int32_t j = run->n_bands - 1; j >= 0 && !possible; j--) {
        possible = within_limits(run, j, slot, label);
    }
    return possible;
}

double uap_limits_most(const uap_label_run *run, int32_t slot)
{
    double most = -HUGE_VAL;
    for (int32_t j = 0; j < run->n_bands; j++) {
        most = uap_max_f64(most, uap_limits_of(run, j, slot)[0]);
    }
    return most;
}

bool uap_limits_allow(const uap_label_run *run, int32_t slot, const uap_label *label)
{
    if (!uap_limits_admit(run, slot, label)) {
        return false;
    }
    const int32_t n = uses_completions(run) ? run->group->n_functionals : 0;
    for (int32_t f = 0; f < n; f++) {
        const int64_t value = (int64_t)uap_label_run_value(run, f, label);
        if (!uap_completions_allow(run, f, slot, value, label)) {
            return false;
        }
    }
    return true;
}
