/* Prices of devices for the relaxation over cuts and types: subgradient steps along what its
 * best point takes of each group more than there is. */
#include "search/mix_lists.h"

#include "common/numbers.h"

#include <math.h>
#include <string.h>

/* Devices that the plan behind a point takes of each group more than there are. */
static void find_excess(const uap_mix_outer *o, uap_mix_point p, double *excess)
{
    const uap_mix *mix = o->mix;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        excess[g] = -(double)uap_mix_usable(mix, g);
    }
    for (;;) {
        if (p.type >= 0) {
            const uap_stage_type *type = &mix->in->type[p.type];
            excess[type->group] += (double)type->devices;
        }
        if (p.next < 0) {
            return;
        }
        p = o->pool[p.next];
    }
}

#define PRICE_ROUNDS   6
#define PRICE_PATIENCE 3 /* rounds without a better bound before steps are halved */

/* What a walk along the prices knows. */
typedef struct price_walk {
    double *excess, *best; /* [n_groups] */
    double bound;          /* at the best prices */
    double length;
    int32_t idle;
} price_walk;

/* Moves the prices towards the target along the excess; false where nothing is in excess. */
static bool move_prices(uap_mix *mix, price_walk *w, double target, double bound)
{
    double norm = 0;
    for (int32_t g = 0; g < mix->n_groups; g++) {
        const bool idle = w->excess[g] < 0 && mix->price[g] <= 0;
        norm += idle ? 0 : w->excess[g] * w->excess[g];
    }
    const double step = norm > 0 ? w->length * (target - bound) / norm : 0;
    for (int32_t g = 0; g < mix->n_groups && step > 0; g++) {
        mix->price[g] = uap_max_f64(0, mix->price[g] + step * w->excess[g]);
    }
    return step > 0;
}

/* Raises the bound of the relaxation by prices, from those at hand. */
static uap_status walk_prices(uap_mix_outer *o, price_walk *w, uap_err *err)
{
    uap_mix *mix = o->mix;
    uap_status rc = UAP_OK;
    const size_t groups = (size_t)mix->n_groups;
    for (int32_t round = 0; round < PRICE_ROUNDS; round++) {
        uap_mix_point best;
        uap_mix_outer_aim(o, o->target_ticks);
        UAP_TRY(uap_mix_suffixes(o, &best, err));
        if (mix->stopped) {
            break;
        }
        const double bound = best.s + best.m - uap_mix_credit(mix);
        if (isinf(bound) || bound > w->bound) {
            w->idle = 0;
            w->bound = bound;
            memcpy(w->best, mix->price, groups * sizeof *w->best);
        } else if (++w->idle % PRICE_PATIENCE == 0) {
            w->length /= 2;
            memcpy(mix->price, w->best, groups * sizeof *w->best);
        }
        if (isinf(bound)) {
            break; /* nothing is within the target */
        }
        find_excess(o, best, w->excess);
        if (!move_prices(mix, w, (double)o->target_ticks, bound)) {
            break;
        }
    }
    memcpy(mix->price, w->best, groups * sizeof *w->best);
done:
    return rc;
}

uap_status uap_mix_set_prices(uap_mix *mix, int64_t target, uap_err *err)
{
    bool possible = false;
    uap_mix_outer *o = uap_mix_outer_new(mix, target, &possible);
    const size_t groups = (size_t)mix->n_groups;
    price_walk w = {.excess = uap_calloc(groups, sizeof(double)),
                    .best = uap_calloc(groups, sizeof(double)),
                    .bound = -HUGE_VAL,
                    .length = 1};
    const int64_t effort = mix->effort;
    uap_status rc = UAP_OK;
    if (o == NULL || w.excess == NULL || w.best == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for prices");
    } else if (possible) {
        memcpy(w.best, mix->price, groups * sizeof *w.best);
        mix->effort = INT64_MAX; /* only labels count */
        rc = walk_prices(o, &w, err);
        mix->effort = effort;
    }
    uap_free(w.excess);
    uap_free(w.best);
    uap_mix_outer_free(o);
    return rc;
}
