/* Staircases of the relaxation over cuts and types (search/mix_stair.h). */
#include "search/mix_stair.h"

#include "common/mem.h"
#include "common/numbers.h"
#include "search/stair.h"

#include <string.h>

/* Two neighbours become the corner below both. */
static void stair_thin(uap_mix_stair *s)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < s->n; i += 2) {
        const int32_t last = i + 1 < s->n ? i + 1 : i;
        s->at[kept] = s->at[i];
        s->at[kept].m = s->at[last].m;
        s->at[kept].t = uap_min_f64(s->at[i].t, s->at[last].t);
        kept++;
    }
    s->n = kept;
}

void uap_mix_stair_add(uap_mix_stair *s, uap_mix_point p)
{
    const double point[2] = {p.s, p.m};
    uap_stair_gap gap;
    if (!uap_stair_find(s->at, sizeof *s->at, s->n, point, &gap)) {
        s->at[gap.first].t = uap_min_f64(s->at[gap.first].t, p.t);
        return;
    }
    for (int32_t i = gap.first; i < gap.end; i++) {
        p.t = uap_min_f64(p.t, s->at[i].t);
    }
    memmove(&s->at[gap.first + 1], &s->at[gap.end],
            (size_t)(s->n - gap.end) * sizeof *s->at);
    s->n += 1 - (gap.end - gap.first);
    s->at[gap.first] = p;
    if (s->n > 2 * UAP_MIX_STAIR_MOST) {
        stair_thin(s);
    }
}

bool uap_mix_stair_store(uap_mix_outer *o, uap_list *list, const uap_mix_stair *s)
{
    uap_mix_point *pool =
        uap_grow(o->pool, &o->pool_capacity, o->n_pool + s->n, sizeof *pool);
    if (pool == NULL) {
        return false;
    }
    o->pool = pool;
    *list = (uap_list){.first = o->n_pool, .count = s->n};
    memcpy(pool + o->n_pool, s->at, (size_t)s->n * sizeof *s->at);
    o->n_pool += s->n;
    return true;
}

bool uap_mix_stair_put(uap_bytes *out, const uap_mix_stair *s)
{
    return uap_bytes_put(out, &s->n, sizeof s->n) &&
           uap_bytes_put(out, s->at, (size_t)s->n * sizeof *s->at);
}

bool uap_mix_stair_take(uap_mix_outer *o, const char *from, uap_list *list)
{
    uap_mix_stair s;
    from = uap_bytes_get(from, &s.n, sizeof s.n);
    (void)uap_bytes_get(from, s.at, (size_t)s.n * sizeof *s.at);
    return uap_mix_stair_store(o, list, &s);
}
