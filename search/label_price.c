/* Which tests a band of a run gets. */
#include "search/label_sweep.h"

#include "common/numbers.h"

#include <math.h>

#define REFINED  8  /* prices between two of the class's, for one functional alone */
#define MIXTURES 12 /* tests of several functionals at once */
#define STEPS    48 /* in search of them */

int32_t uap_band_tests(const uap_label_run *run, bool is_sharp)
{
    const int32_t tested = uap_run_tested(run);
    const int32_t n = tested * run->cls->n_multipliers;
    if (!is_sharp || run->cls->n_multipliers == 1) {
        return n;
    }
    return n + (tested == 1 ? REFINED : MIXTURES);
}

void uap_band_set_test(const uap_label_run *run, uap_run_band *band, int32_t test,
                       const double *share, double price)
{
    double p = 0;
    double f = 0;
    double g = 0;
    for (int32_t i = 0; i < UAP_MAX_FUNCTIONALS; i++) {
        band->share[i][test] = share[i];
        if (i < run->group->n_functionals) {
            const uap_weights *w = &run->cls->weights[run->group->measure[i]];
            p += share[i] * (double)w->p;
            f += share[i] * (double)w->f;
            g += share[i] * (double)w->g;
        }
    }
    /* Labels of one functional alone have its value for their time. */
    band->p[test] = run->only >= 0 ? share[run->only] : p;
    band->f[test] = run->only >= 0 ? 0 : f;
    band->g[test] = run->only >= 0 ? 0 : g;
    band->m[test] = price;
}

static void set_single(const uap_label_run *run, uap_run_band *band, int32_t test,
                       int32_t f, double price)
{
    double share[UAP_MAX_FUNCTIONALS] = {0};
    share[f] = 1;
    uap_band_set_test(run, band, test, share, price);
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

/* Prices between the neighbours of the best of those swept last, for one functional. */
static void refine(uap_sweep *b, int32_t first, int32_t end, double *lack)
{
    const uap_label_run *run = b->run;
    const int32_t f = uap_run_functional(run, 0);
    for (int32_t round = 0; round < 2; round++) {
        const double *price = b->band->m;
        double at_best = 0;
        const int32_t best = best_test(b, b->first, b->end, &at_best);
        const bool has_lower = best > b->first && price[best - 1] > 0;
        const double lo = has_lower ? price[best - 1] : price[best] / 4;
        const double hi = best + 1 < b->end ? price[best + 1] : price[best] * 4;
        for (int32_t j = first; j < end; j++) {
            const double share = (double)(j - first + 1) / (double)(end - first + 1);
            set_single(run, b->band, j, f, lo * pow(hi / lo, share));
        }
        b->first = first;
        b->end = end;
        uap_sweep_limits(b);
        (void)best_test(b, first, end, &at_best);
        *lack = uap_max_f64(*lack, at_best);
    }
}

/* A mixture as a point: parts of each functional and of memory that add up to 1, each
 * measured by its size. */
typedef struct mixture {
    double part[UAP_MAX_FUNCTIONALS + 1];
} mixture;

typedef struct mixing {
    uap_sweep *b;
    int32_t n; /* functionals */
    double size[UAP_MAX_FUNCTIONALS + 1];
} mixing;

static void set_mixture(const mixing *m, int32_t test, const mixture *at)
{
    double share[UAP_MAX_FUNCTIONALS] = {0};
    for (int32_t f = 0; f < m->n; f++) {
        share[f] = at->part[f] * m->size[0] / m->size[f];
    }
    const double price = at->part[m->n] * m->size[0] / m->size[m->n];
    uap_band_set_test(m->b->run, m->b->band, test, share, price);
}

/* A typical size of each functional, and of memory. */
static void measure_sizes(mixing *m)
{
    const uap_label_run *run = m->b->run;
    for (int32_t f = 0; f < m->n; f++) {
        m->size[f] = 1;
        for (int32_t i = 0; i < run->group->cells; i++) {
            if (!isinf(run->budget[f][i])) {
                m->size[f] = uap_max_f64(m->size[f], fabs(run->budget[f][i]));
            }
        }
    }
    m->size[m->n] = uap_max_f64(1, (double)run->cls->cap);
}

/* The mixture of the single functional that lacks most for its size. */
static mixture best_single(const mixing *m)
{
    const uap_run_band *band = m->b->band;
    mixture best = {{0}};
    double most = -HUGE_VAL;
    const int32_t n = m->b->run->cls->n_multipliers;
    for (int32_t j = 0; j < m->n * n; j++) {
        const int32_t f = j / n;
        const double own = m->size[f];
        const double memory = band->m[j] * m->size[m->n];
        const double lack = uap_sweep_lack(m->b, j) / (own + memory);
        if (lack > most) {
            most = lack;
            best = (mixture){{0}};
            best.part[f] = own / (own + memory);
            best.part[m->n] = memory / (own + memory);
        }
    }
    return best;
}

/* One step uphill from a mixture along what the deciding path has too much of. */
static void step_uphill(const mixing *m, int32_t test, double gain, mixture *at)
{
    uap_sweep_path path = {.memory = 0};
    double slope[UAP_MAX_FUNCTIONALS + 1];
    double mean = 0;
    double square = 0;
    double sum = 0;
    uap_sweep_trace(m->b, test, &path);
    for (int32_t i = 0; i <= m->n; i++) {
        slope[i] = (i < m->n ? path.over[i] : path.memory) / m->size[i];
        mean += slope[i] / (m->n + 1);
    }
    for (int32_t i = 0; i <= m->n; i++) {
        square += (slope[i] - mean) * (slope[i] - mean);
    }
    for (int32_t i = 0; i <= m->n; i++) {
        const double step = square > 0 ? gain * (slope[i] - mean) / square : 0;
        at->part[i] = uap_max_f64(0, at->part[i] + step);
        sum += at->part[i];
    }
    for (int32_t i = 0; i <= m->n; i++) {
        at->part[i] /= sum;
    }
}

/* Subgradient search (Polyak's step towards a level above the best) over mixtures; the
 * improving ones, and the last ones where there are fewer, become tests. */
static void mix(uap_sweep *b, int32_t first, int32_t end, double *lack)
{
    mixing m = {.b = b, .n = uap_run_tested(b->run)};
    measure_sizes(&m);
    mixture at = best_single(&m);
    mixture best = at;
    double most = -HUGE_VAL;
    double level = 2e-3;
    int32_t test = first;
    int32_t idle = 0;
    for (int32_t step = 0; step < STEPS; step++) {
        set_mixture(&m, test, &at);
        b->first = test;
        b->end = test + 1;
        uap_sweep_limits(b);
        const double here = uap_sweep_lack(b, test) / m.size[0];
        const bool better = here > most + 0.05 * level;
        if (here > most) {
            most = here;
            best = at;
            *lack = uap_max_f64(*lack, uap_sweep_lack(b, test));
        }
        idle = better ? 0 : idle + 1;
        if (idle == 6) {
            idle = 0;
            level /= 2;
            at = best;
            set_mixture(&m, test, &at);
            uap_sweep_limits(b);
        }
        const double now = uap_sweep_lack(b, test) / m.size[0];
        step_uphill(&m, test, most + level - now, &at);
        /* Keep what improves: the next step goes into the next test. */
        test = better && test + 1 < end ? test + 1 : test;
    }
    for (; test < end; test++) {
        set_mixture(&m, test, &best);
        b->first = test;
        b->end = test + 1;
        uap_sweep_limits(b);
    }
}

void uap_band_price(const uap_sweep *sweep, bool is_sharp, double *lack)
{
    uap_sweep b = *sweep;
    const uap_label_run *run = b.run;
    const int32_t n = run->cls->n_multipliers;
    const int32_t singles = uap_run_tested(run) * n;
    for (int32_t j = 0; j < singles; j++) {
        const int32_t f = uap_run_functional(run, j / n);
        set_single(run, b.band, j, f, uap_run_price(run, f, j % n));
    }
    b.first = 0;
    b.end = singles;
    uap_sweep_limits(&b);
    (void)best_test(&b, 0, singles, lack);
    if (run->n_tests == singles || !is_sharp) {
        return;
    }
    if (uap_run_tested(run) == 1) {
        refine(&b, singles, run->n_tests, lack);
    } else {
        mix(&b, singles, run->n_tests, lack);
    }
}
