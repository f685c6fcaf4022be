/* Minimax cuts over the least memory of segments. The largest W of a stage is tried as a
 * threshold: rows above it are left out, and it is paid once. */
#include "search/frugal.h"

#include "common/numbers.h"
#include "search/chain.h"
#include "search/mix_frugal.h"

#include <stdlib.h>
#include <string.h>

/* A row of a kind, and what it needs as workspace. */
typedef struct light {
    int64_t work;
    int32_t row;
} light;

typedef struct frugal {
    const uap_chain *chain;
    int64_t *threshold; /* [n_thresholds] distinct W, ascending */
    int32_t n_thresholds;
    light *light;       /* rows by kind, each kind's by W */
    const light **rows; /* [n_kinds] into it */
    int64_t *least;     /* [n_kinds][n_thresholds] of the stage at hand, -1: no row */
    int64_t *best;      /* [pp][L] minimax overshoot with stage i ending behind layer u */
    int32_t *first;     /* [pp][L] first layer of that stage */
    int64_t *need;      /* [pp][L] what that stage needs */
} frugal;

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int by_work(const void *a, const void *b)
{
    const light *x = a;
    const light *y = b;
    return (x->work > y->work) - (x->work < y->work);
}

/* Rows of all kinds by workspace, and its distinct values. */
static bool collect_thresholds(frugal *f)
{
    const uap_chain *chain = f->chain;
    size_t n = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        n += (size_t)chain->kind[i].n;
    }
    f->threshold = uap_calloc(n, sizeof *f->threshold);
    f->light = uap_calloc(n, sizeof *f->light);
    f->rows = uap_calloc((size_t)chain->n_kinds, sizeof *f->rows);
    if (f->threshold == NULL || f->light == NULL || f->rows == NULL) {
        return false;
    }
    size_t m = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        const uap_kind *kind = &chain->kind[i];
        light *rows = &f->light[m];
        f->rows[i] = rows;
        for (int32_t k = 0; k < kind->n; k++) {
            rows[k] = (light){kind->work[k], k};
            f->threshold[m++] = kind->work[k];
        }
        qsort(rows, (size_t)kind->n, sizeof *rows, by_work);
    }
    qsort(f->threshold, n, sizeof *f->threshold, by_value);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 == n || f->threshold[i] != f->threshold[i + 1]) {
            f->threshold[f->n_thresholds++] = f->threshold[i];
        }
    }
    return true;
}

/* Least memory of each kind in stage i under each threshold. */
static void least_rows(frugal *f, int32_t stage)
{
    const int64_t inflight = f->chain->instance->inflight[stage];
    for (int32_t i = 0; i < f->chain->n_kinds; i++) {
        const uap_kind *kind = &f->chain->kind[i];
        int64_t *least = &f->least[i * f->n_thresholds];
        int64_t so_far = -1;
        int32_t next = 0;
        for (int32_t t = 0; t < f->n_thresholds; t++) {
            while (next < kind->n && f->rows[i][next].work <= f->threshold[t]) {
                const int32_t k = f->rows[i][next++].row;
                const int64_t m = kind->state[k] + inflight * kind->act[k];
                so_far = so_far < 0 ? m : uap_min_i64(so_far, m);
            }
            least[t] = so_far;
        }
    }
}

/* All segments of stage i that start at layer a, into best. */
static void extend_from(frugal *f, int32_t i, int32_t a)
{
    const uap_chain *chain = f->chain;
    const int32_t n_layers = chain->n_layers;
    const int64_t before = i == 0 ? INT64_MIN : f->best[(i - 1) * n_layers + a - 1];
    if (before == INT64_MAX) {
        return;
    }
    for (int32_t t = 0; t < f->n_thresholds; t++) {
        int64_t sum =
            f->threshold[t] + chain->start_act[a] * chain->instance->inflight[i];
        for (int32_t b = a; b <= n_layers - (chain->pp - i); b++) {
            const int64_t least = f->least[chain->kind_of[b] * f->n_thresholds + t];
            if (least < 0) {
                break;
            }
            sum += least;
            const int64_t over = uap_max_i64(before, sum - chain->instance->cap[i]);
            const int32_t at = i * n_layers + b;
            if (over < f->best[at]) {
                f->best[at] = over;
                f->first[at] = a;
                f->need[at] = sum;
            }
        }
    }
}

static void describe(const frugal *f, uap_shortage *shortage)
{
    const uap_chain *chain = f->chain;
    const int32_t n_layers = chain->n_layers;
    int64_t worst = INT64_MIN;
    int32_t b = n_layers - 1;
    for (int32_t i = chain->pp - 1; i >= 0; i--) {
        const int32_t at = i * n_layers + b;
        const int64_t cap = chain->instance->cap[i];
        if (f->need[at] - cap > worst) {
            worst = f->need[at] - cap;
            shortage->known = true;
            shortage->stage = i;
            shortage->first = f->first[at];
            shortage->last = b;
            shortage->need_bytes = f->need[at];
            shortage->cap_bytes = cap;
        }
        b = f->first[at] - 1;
    }
}

static void clear(frugal *f)
{
    uap_free(f->threshold);
    uap_free(f->light);
    uap_free(f->rows);
    uap_free(f->least);
    uap_free(f->best);
    uap_free(f->first);
    uap_free(f->need);
}

static uap_status make(frugal *f, const uap_chain *chain, uap_err *err)
{
    const size_t cells = (size_t)chain->pp * (size_t)chain->n_layers;
    f->chain = chain;
    if (collect_thresholds(f)) {
        const size_t n = (size_t)chain->n_kinds * (size_t)f->n_thresholds;
        f->least = uap_calloc(n, sizeof *f->least);
        f->best = uap_calloc(cells, sizeof *f->best);
        f->first = uap_calloc(cells, sizeof *f->first);
        f->need = uap_calloc(cells, sizeof *f->need);
    }
    if (f->least == NULL || f->best == NULL || f->first == NULL || f->need == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for the most frugal plan");
    }
    for (size_t j = 0; j < cells; j++) {
        f->best[j] = INT64_MAX;
    }
    return UAP_OK;
}

uap_status uap_frugal_plan(const uap_instance *instance, uap_shortage *shortage,
                           int64_t *overshoot, uap_err *err)
{
    if (instance->n_types > 0) {
        return uap_mix_frugal_plan(instance, shortage, overshoot, err);
    }
    uap_chain *chain = NULL;
    frugal f = {0};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_chain_build(instance, NULL, &chain, err));
    UAP_TRY(make(&f, chain, err));
    for (int32_t i = 0; i < instance->pp; i++) {
        least_rows(&f, i);
        for (int32_t a = i; a <= (i == 0 ? 0 : instance->n_layers - (instance->pp - i));
             a++) {
            extend_from(&f, i, a);
        }
    }
    *overshoot = f.best[instance->pp * instance->n_layers - 1];
    describe(&f, shortage);
done:
    clear(&f);
    uap_chain_free(chain);
    return rc;
}

/* ---- Whether anything fits ---- */

/* The last layer that a stage which starts at layer a can hold, a - 1: none; marks those that
 * it may end with. */
static int32_t reach(const frugal *f, int32_t i, int32_t a, bool *ends)
{
    const uap_chain *chain = f->chain;
    const int64_t room =
        chain->instance->cap[i] - chain->start_act[a] * chain->instance->inflight[i];
    const int32_t last = chain->n_layers - (chain->pp - i);
    int32_t furthest = a - 1;
    for (int32_t t = 0; t < f->n_thresholds && furthest < last; t++) {
        int64_t sum = f->threshold[t];
        for (int32_t b = a; b <= last; b++) {
            const int64_t least = f->least[chain->kind_of[b] * f->n_thresholds + t];
            sum += least;
            if (least < 0 || sum > room) {
                break;
            }
            furthest = uap_max_i32(furthest, b);
        }
    }
    for (int32_t b = a; ends != NULL && b <= furthest; b++) {
        ends[b] = true;
    }
    return furthest;
}

/* Whether stages that hold as much as they can, one behind the other, hold everything. */
static bool fits_greedily(frugal *f)
{
    int32_t a = 0;
    for (int32_t i = 0; i < f->chain->pp; i++) {
        least_rows(f, i);
        const int32_t b = reach(f, i, a, NULL);
        if (b < a) {
            return false;
        }
        a = b + 1;
    }
    return a == f->chain->n_layers;
}

/* The same of stages that hold any number of layers. ends: [pp][L] zeroed, out: layers that
 * stage i may end with. */
static bool fits_somehow(frugal *f, bool *ends)
{
    const int32_t n_layers = f->chain->n_layers;
    for (int32_t i = 0; i < f->chain->pp; i++) {
        least_rows(f, i);
        for (int32_t a = i; a <= n_layers - (f->chain->pp - i); a++) {
            if (i == 0 ? a == 0 : ends[(i - 1) * n_layers + a - 1]) {
                (void)reach(f, i, a, &ends[i * n_layers]);
            }
        }
    }
    return ends[f->chain->pp * n_layers - 1];
}

uap_status uap_frugal_fits(const uap_instance *instance, bool *fits, uap_err *err)
{
    uap_chain *chain = NULL;
    bool *ends = NULL;
    frugal f = {0};
    uap_status rc = UAP_OK;
    if (instance->n_types > 0) {
        uap_shortage shortage = {0};
        int64_t overshoot = 0;
        UAP_TRY(uap_mix_frugal_plan(instance, &shortage, &overshoot, err));
        *fits = overshoot <= 0;
        goto done;
    }
    UAP_TRY(uap_chain_build(instance, NULL, &chain, err));
    UAP_TRY(make(&f, chain, err));
    ends = uap_calloc((size_t)chain->pp * (size_t)chain->n_layers, sizeof *ends);
    if (ends == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the most frugal plan");
        goto done;
    }
    *fits = fits_greedily(&f) || fits_somehow(&f, ends);
done:
    uap_free(ends);
    clear(&f);
    uap_chain_free(chain);
    return rc;
}
