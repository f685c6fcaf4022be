/* Lists of partial plans that count devices (search/mix_points.h). */
#include "search/mix_points.h"

#include <math.h>

#define STEP_LIMIT ((int64_t)1 << 32) /* by which every list has become one point */

static bool push(uap_device_lists *lists, uap_device_pool *pool,
                 const uap_device_point *p)
{
    uap_device_point *at = uap_grow(pool->at, &pool->capacity, pool->n + 1, sizeof *at);
    if (at == NULL) {
        lists->no_memory = true;
        return false;
    }
    pool->at = at;
    pool->at[pool->n++] = *p;
    return true;
}

static bool covers(const uap_mix *mix, const uap_device_point *a,
                   const uap_device_point *b)
{
    return a->s <= b->s && a->m <= b->m && uap_devices_cover(mix, &a->left, &b->left);
}

bool uap_device_lists_add(uap_device_lists *lists, const uap_device_point *p)
{
    uap_device_pool *acc = &lists->acc;
    int64_t kept = 0;
    for (int64_t i = 0; i < acc->n; i++) {
        if (covers(lists->mix, &acc->at[i], p)) {
            return true;
        }
    }
    for (int64_t i = 0; i < acc->n; i++) {
        if (!covers(lists->mix, p, &acc->at[i])) {
            if (kept != i) {
                acc->at[kept] = acc->at[i];
            }
            kept++;
        }
    }
    acc->n = kept;
    return uap_mix_spend(lists->mix, 1 + kept / 16) && push(lists, acc, p);
}

/* Makes points alike: devices to multiples of a step, times to corners of a grid. */
static void make_coarse(const uap_device_lists *lists, int64_t step, uap_device_point *p)
{
    const double grid = lists->grid * (double)step;
    uap_devices_coarsen(lists->mix, step, &p->used, &p->left);
    if (grid > 0) {
        p->s = floor(p->s / grid) * grid;
        p->m = floor(p->m / grid) * grid;
    }
}

bool uap_device_lists_end(uap_device_lists *lists, uap_list *list)
{
    uap_device_pool *acc = &lists->acc;
    for (int64_t step = 2; acc->n > lists->longest && step < STEP_LIMIT; step *= 2) {
        const int64_t n = acc->n;
        acc->n = 0;
        for (int64_t i = 0; i < n; i++) {
            uap_device_point p = acc->at[i]; /* not behind what was added: acc->n <= i */
            make_coarse(lists, step, &p);
            if (!uap_device_lists_add(lists, &p)) {
                return false;
            }
        }
    }
    *list = (uap_list){.first = lists->pool.n, .count = (int32_t)acc->n};
    for (int64_t i = 0; i < acc->n; i++) {
        if (!push(lists, &lists->pool, &acc->at[i])) {
            return false;
        }
    }
    acc->n = 0;
    return true;
}
