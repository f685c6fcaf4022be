/* Which tests a band of a run gets. */
#include "search/label_sweep.h"

#include "common/numbers.h"

#include <math.h>

#define REFINED       8 /* prices between two of the class's, for one functional alone */
#define REFINE_ROUNDS 2
_Static_assert(UAP_MAX_MULTIPLIERS + REFINED <= UAP_MAX_TESTS, "room for refined prices");

int32_t uap_band_tests(const uap_label_run *run, bool is_sharp)
{
    const int32_t tested = uap_run_tested(run);
    const int32_t n = tested * run->cls->n_multipliers;
    const bool is_refined = is_sharp && tested == 1 && run->cls->n_multipliers > 1;
    return n + (is_refined ? REFINED : 0);
}

/* Test `test`: functional f with a price of memory. */
static void set_test(const uap_label_run *run, uap_run_band *band, int32_t test,
                     int32_t f, double price)
{
    const uap_weights *w = &run->cls->weights[run->group->measure[f]];
    /* Labels of one functional alone have its value for their time. */
    const bool alone = run->only >= 0;
    band->functional[test] = f;
    band->p[test] = alone ? 1 : (double)w->p;
    band->f[test] = alone ? 0 : (double)w->f;
    band->g[test] = alone ? 0 : (double)w->g;
    band->m[test] = price;
}

/* The test of first .. end - 1 under which the start lacks most. */
static int32_t best_test(const uap_sweep *b, int32_t first, int32_t end, double *lack)
{
    int32_t best = first;
    *lack = -HUGE_VAL;
    for (int32_t j = first; j < end; j++) {
        const double v = uap_sweep_lack(b, j);
        if (v > *lack) {
            *lack = v;
            best = j;
        }
    }
    return best;
}

void uap_band_price(const uap_sweep *sweep, double *lack)
{
    uap_sweep b = *sweep;
    const uap_label_run *run = b.run;
    const int32_t n = run->cls->n_multipliers;
    b.first = 0;
    b.end = uap_run_tested(run) * n;
    for (int32_t j = 0; j < b.end; j++) {
        const int32_t f = uap_run_functional(run, j / n);
        set_test(run, b.band, j, f, uap_run_price(run, f, j % n));
    }
    uap_sweep_limits(&b);
    (void)best_test(&b, b.first, b.end, lack);
}

/* Tests first .. end - 1 between the neighbours of the best of those swept last. */
static void refine(uap_sweep *b, int32_t first, int32_t end, double *lack)
{
    const uap_label_run *run = b->run;
    const int32_t f = uap_run_functional(run, 0);
    const double *price = b->band->m;
    double at_best = 0;
    const int32_t best = best_test(b, b->first, b->end, &at_best);
    const double hi = best + 1 < b->end ? price[best + 1] : price[best] * 4;
    const bool has_lower = best > b->first && price[best - 1] > 0;
    const double lo = has_lower ? price[best - 1] : hi / 64; /* or none is best */
    for (int32_t j = first; j < end; j++) {
        const double share = (double)(j - first + 1) / (double)(end - first + 1);
        set_test(run, b->band, j, f, lo * pow(hi / lo, share));
    }
    b->first = first;
    b->end = end;
    uap_sweep_limits(b);
    (void)best_test(b, first, end, &at_best);
    *lack = uap_max_f64(*lack, at_best);
}

void uap_band_refine(const uap_sweep *sweep, bool until_none, double *lack)
{
    uap_sweep b = *sweep;
    const uap_label_run *run = b.run;
    b.first = 0;
    b.end = uap_run_tested(run) * run->cls->n_multipliers;
    const int32_t singles = b.end;
    for (int32_t round = 0; round < REFINE_ROUNDS && singles < run->n_tests; round++) {
        if (!until_none || *lack <= 0) {
            refine(&b, singles, run->n_tests, lack);
        }
    }
}
