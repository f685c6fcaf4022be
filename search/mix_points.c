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

bool uap_device_lists_add(uap_device_lists *lists, const uap_device_point *p)
{
    const uap_front_row row = {.key = {uap_front_key(p->s), uap_front_key(p->m)},
                               .left = p->left};
    uap_front *front = &lists->front;
    front->n_keys = 2;
    if (uap_front_covers(front, lists->mix, &row)) {
        return true;
    }
    if (!push(lists, &lists->acc, p) ||
        !uap_front_add(front, lists->mix, &row, (int32_t)lists->acc.n - 1)) {
        lists->no_memory = true;
        return false;
    }
    return uap_mix_spend(lists->mix, 1 + uap_front_count(front) / 16);
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

/* Leaves the points of the list being made alone in acc, in order. */
static void gather(uap_device_lists *lists)
{
    uap_front_close_up(&lists->front);
    for (int32_t j = 0; j < lists->front.n; j++) {
        lists->acc.at[j] = lists->acc.at[uap_front_id(&lists->front, j)];
    }
    lists->acc.n = lists->front.n;
    uap_front_clear(&lists->front);
}

/* Leaves the list being made in acc, coarse where it is long. */
static bool end_list(uap_device_lists *lists)
{
    uap_device_pool *acc = &lists->acc;
    gather(lists);
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
        gather(lists);
    }
    return true;
}

bool uap_device_lists_end(uap_device_lists *lists, uap_list *list)
{
    uap_device_pool *acc = &lists->acc;
    bool ok = end_list(lists);
    *list = (uap_list){.first = lists->pool.n, .count = (int32_t)acc->n};
    for (int64_t i = 0; i < acc->n && ok; i++) {
        ok = push(lists, &lists->pool, &acc->at[i]);
    }
    acc->n = 0;
    return ok;
}

bool uap_device_lists_put(uap_device_lists *lists, uap_bytes *out)
{
    uap_device_pool *acc = &lists->acc;
    if (!end_list(lists)) {
        return false;
    }
    lists->no_memory =
        !uap_bytes_put(out, &acc->n, sizeof acc->n) ||
        (acc->n > 0 && !uap_bytes_put(out, acc->at, (size_t)acc->n * sizeof *acc->at));
    acc->n = 0;
    return !lists->no_memory;
}

bool uap_device_lists_take(uap_device_lists *lists, const char *from, uap_list *list)
{
    int64_t n = 0;
    from = uap_bytes_get(from, &n, sizeof n);
    *list = (uap_list){.first = lists->pool.n, .count = (int32_t)n};
    for (int64_t i = 0; i < n; i++) {
        uap_device_point p;
        from = uap_bytes_get(from, &p, sizeof p);
        if (!push(lists, &lists->pool, &p)) {
            return false;
        }
    }
    return true;
}

void uap_device_lists_free(uap_device_lists *lists)
{
    uap_front_free(&lists->front);
    uap_free(lists->acc.at);
}
