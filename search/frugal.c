/* Minimax cuts over the least memory of segments. The largest W of a stage is tried as a
 * threshold: rows above it are left out, and it is paid once. */
#include "search/frugal.h"

#include "common/numbers.h"
#include "search/chain.h"
#include "search/mix_frugal.h"

#include <stdlib.h>
#include <string.h>

typedef struct frugal {
    const uap_chain *chain;
    int64_t *threshold; /* [n_thresholds] distinct W, ascending */
    int32_t n_thresholds;
    int64_t *least; /* [n_kinds][n_thresholds] of the stage at hand, -1: no row */
    int64_t *best;  /* [pp][L] minimax overshoot with stage i ending behind layer u */
    int32_t *first; /* [pp][L] first layer of that stage */
    int64_t *need;  /* [pp][L] what that stage needs */
} frugal;

static int by_value(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a;
    const int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static bool collect_thresholds(frugal *f)
{
    const uap_chain *chain = f->chain;
    int64_t n = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        n += chain->kind[i].n;
    }
    int64_t *all = uap_calloc((size_t)n, sizeof *all);
    if (all == NULL) {
        return false;
    }
    int64_t m = 0;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        for (int32_t k = 0; k < chain->kind[i].n; k++) {
            all[m++] = chain->kind[i].work[k];
        }
    }
    qsort(all, (size_t)n, sizeof *all, by_value);
    for (int64_t i = 0; i < n; i++) {
        if (i + 1 == n || all[i] != all[i + 1]) {
            all[f->n_thresholds++] = all[i];
        }
    }
    f->threshold = all;
    return true;
}

/* Least memory of each kind in stage i under each threshold. */
static void least_rows(frugal *f, int32_t stage)
{
    const uap_chain *chain = f->chain;
    for (int32_t i = 0; i < chain->n_kinds; i++) {
        const uap_kind *kind = &chain->kind[i];
        for (int32_t t = 0; t < f->n_thresholds; t++) {
            int64_t *least = &f->least[i * f->n_thresholds + t];
            *least = -1;
            for (int32_t k = 0; k < kind->n; k++) {
                const int64_t m =
                    kind->state[k] + chain->instance->inflight[stage] * kind->act[k];
                if (kind->work[k] <= f->threshold[t] && (*least < 0 || m < *least)) {
                    *least = m;
                }
            }
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

uap_status uap_frugal_plan(const uap_instance *instance, uap_shortage *shortage,
                           int64_t *overshoot, uap_err *err)
{
    if (instance->n_types > 0) {
        return uap_mix_frugal_plan(instance, shortage, overshoot, err);
    }
    uap_chain *chain = NULL;
    const size_t cells = (size_t)instance->pp * (size_t)instance->n_layers;
    frugal f = {0};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_chain_build(instance, NULL, &chain, err));
    f.chain = chain;
    if (!collect_thresholds(&f)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the most frugal plan");
        goto done;
    }
    f.least =
        uap_calloc((size_t)chain->n_kinds * (size_t)f.n_thresholds, sizeof *f.least);
    f.best = uap_calloc(cells, sizeof *f.best);
    f.first = uap_calloc(cells, sizeof *f.first);
    f.need = uap_calloc(cells, sizeof *f.need);
    if (f.least == NULL || f.best == NULL || f.first == NULL || f.need == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the most frugal plan");
        goto done;
    }
    for (size_t j = 0; j < cells; j++) {
        f.best[j] = INT64_MAX;
    }
    for (int32_t i = 0; i < instance->pp; i++) {
        least_rows(&f, i);
        for (int32_t a = i; a <= (i == 0 ? 0 : instance->n_layers - (instance->pp - i));
             a++) {
            extend_from(&f, i, a);
        }
    }
    *overshoot = f.best[cells - 1];
    describe(&f, shortage);
done:
    uap_free(f.threshold);
    uap_free(f.least);
    uap_free(f.best);
    uap_free(f.first);
    uap_free(f.need);
    uap_chain_free(chain);
    return rc;
}
