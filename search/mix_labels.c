/* Labels of the exact recursion over cuts and types: what the schedule's value needs of everything
 * from a stage on (search/outer_value.h), and the devices left in every group, as far as the
 * stages still to come can use them. Of two labels one goes that is nowhere better and has no
 * more left of any group. */
#include "search/mix_run.h"

#include "common/mem.h"
#include "common/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- Devices ------------------------------------------------------------------------- */

/* Takes a stage of type t as stage i from what is left behind it, counted as far as the i stages
 * before it can use it; rest: that of what is left where none is taken. False where the group
 * has no more. */
static bool take_devices(const uap_mix_cuts *run, const uap_mix_start *s,
                         const uap_devices *rest, uap_devices *left)
{
    const uap_mix *mix = run->mix;
    const uap_stage_type *type = &mix->in->type[s->t];
    const uap_mix_room *room = &mix->room[type->group];
    const int64_t now = uap_devices_get(mix, left, type->group) - type->devices;
    if (now < 0) {
        return false;
    }
    *left = *rest;
    uap_devices_set(mix, left, type->group,
                    room->reach[(size_t)s->i * ((size_t)room->most + 1) + (size_t)now]);
    return true;
}

bool uap_mix_labels_rest(uap_mix_cuts *run, int32_t i)
{
    const uap_mix_labels *cross = &run->cross;
    uap_devices *rest = uap_grow(run->rest, &run->rest_capacity, cross->n, sizeof *rest);
    double credit = 0;
    if (rest == NULL) {
        run->no_memory = true;
        return false;
    }
    run->rest = rest;
    for (int32_t k = 0; k < cross->n; k++) {
        rest[k] = uap_devices_usable(run->mix, &cross->at[k].left, i, &credit);
    }
    return true;
}

/* ---- Lists --------------------------------------------------------------------------- */

bool uap_mix_labels_push(uap_mix_cuts *run, uap_mix_labels *pool,
                         const uap_mix_label *label)
{
    uap_mix_label *at = pool->n == INT32_MAX ? NULL
                                             : uap_grow(pool->at, &pool->capacity,
                                                        pool->n + 1, sizeof *at);
    if (at == NULL) {
        run->no_memory = true;
        return false;
    }
    pool->at = at;
    pool->at[pool->n++] = *label;
    return true;
}

static void begin_list(uap_mix_cuts *run)
{
    uap_front_clear(&run->front);
    run->acc.n = 0;
    run->n_rank = 0;
}

/* Adds to the list under construction unless dominated; drops what it dominates. */
static bool acc_add(uap_mix_cuts *run, const uap_mix_label *label)
{
    const uap_tail *v = &label->v;
    const uap_front_row row = {.key = {v->a, v->b, v->d, v->e, v->r},
                               .left = label->left};
    if (uap_front_covers(&run->front, run->mix, &row)) {
        return true;
    }
    if (!uap_mix_labels_push(run, &run->acc, label) ||
        !uap_front_add(&run->front, run->mix, &row, run->acc.n - 1)) {
        run->no_memory = true;
        return false;
    }
    return uap_mix_spend(run->mix, 1 + uap_front_count(&run->front) / 16);
}

/* What a plan with the label comes to at best, by the prefixes of its list. */
typedef struct uap_mix_rank {
    double least;
    int32_t id;
} uap_mix_rank;

static int by_least(const void *a, const void *b)
{
    const uap_mix_rank *p = a;
    const uap_mix_rank *q = b;
    return p->least != q->least ? (p->least > q->least) - (p->least < q->least)
                                : (p->id > q->id) - (p->id < q->id);
}

static int by_id(const void *a, const void *b)
{
    const uap_mix_rank *p = a;
    const uap_mix_rank *q = b;
    return (p->id > q->id) - (p->id < q->id);
}

/* Closes the list under construction and cuts it to the best labels by the prefixes in list
 * `at` of `from`. False: no memory. */
static bool end_list(uap_mix_cuts *run, const uap_columns *from, size_t at)
{
    uap_front_close_up(&run->front);
    const int32_t n = run->front.n;
    uap_mix_rank *rank = uap_grow(run->rank, &run->rank_capacity, n + 1, sizeof *rank);
    if (rank == NULL) {
        run->no_memory = true;
        return false;
    }
    run->rank = rank;
    run->n_rank = n;
    for (int32_t j = 0; j < n; j++) {
        rank[j].id = uap_front_id(&run->front, j);
    }
    if (run->longest > 0 && n > run->longest) {
        for (int32_t j = 0; j < n; j++) {
            const uap_mix_label *label = &run->acc.at[rank[j].id];
            const uap_columns_wish wish = {.m = uap_tail_most(&run->rule, &label->v),
                                           .left = label->left};
            rank[j].least =
                (double)label->v.a + uap_columns_least(from, at, run->mix, &wish);
        }
        qsort(rank, (size_t)n, sizeof *rank, by_least);
        run->n_rank = run->longest;
        qsort(rank, (size_t)run->n_rank, sizeof *rank, by_id);
    }
    return true;
}

bool uap_mix_labels_put(uap_mix_cuts *run, uap_bytes *out)
{
    bool ok = uap_bytes_put(out, &run->n_rank, sizeof run->n_rank);
    for (int32_t j = 0; j < run->n_rank && ok; j++) {
        ok = uap_bytes_put(out, &run->acc.at[run->rank[j].id], sizeof *run->acc.at);
    }
    run->no_memory = run->no_memory || !ok;
    return ok;
}

bool uap_mix_labels_take(uap_mix_cuts *run, const char *from, uap_mix_labels *labels,
                         uap_list *list)
{
    int32_t n = 0;
    from = uap_bytes_get(from, &n, sizeof n);
    *list = (uap_list){.first = labels->n, .count = n};
    for (int32_t j = 0; j < n; j++) {
        uap_mix_label label;
        from = uap_bytes_get(from, &label, sizeof label);
        if (!uap_mix_labels_push(run, labels, &label)) {
            return false;
        }
    }
    return true;
}

/* ---- Stages -------------------------------------------------------------------------- */

/* False when none of the prefixes can bring the label of a stage that starts at layer a, or of
 * the boundary in front of it, within the target. */
static bool can_reach(const uap_mix_cuts *run, const uap_columns *from, size_t at,
                      const uap_mix_label *s, int32_t a)
{
    const bool simple = run->rule.is_simple;
    if (uap_tail_total(&run->rule, &s->v) + (simple ? 0 : run->fwd_before[a]) >
        run->best) {
        return false; /* stages before only add to it */
    }
    /* That the limit and S are rounded is in its margin. */
    const uap_columns_wish wish = {.limit = ((double)run->best + 1) * (1 + 2e-11) -
                                            (double)s->v.a,
                                   .m = uap_tail_most(&run->rule, &s->v),
                                   .left = s->left};
    return uap_columns_admit(from, at, run->mix, &wish);
}

/* Labels of one start with the segments that end behind layer b in class y. */
static bool labels_of_end(uap_mix_cuts *run, const uap_mix_start *s,
                          const uap_group *group, int32_t b, int32_t y)
{
    const uap_mix *mix = run->mix;
    const uap_segments *segments = mix->segments[s->t];
    const uap_segment_set *set =
        uap_group_set(group, s->x, uap_cell(group, 0, b - s->a + 1, y));
    const uap_list *tail = &run->tail[b * mix->width + uap_mix_out(mix, b, s->t) + y];
    const size_t head =
        uap_mix_at(run->o, s->i, s->a, uap_mix_in(mix, s->a, s->t) + s->x);
    const int64_t lag = s->i == 0 ? 0 : run->lag[s->a];
    for (int32_t j = 0; j < set->count; j++) {
        const uap_segment_point *q = &segments->point[set->first + j];
        if (!uap_mix_spend(run->mix, tail->count)) {
            return false;
        }
        for (int32_t k = 0; k < tail->count; k++) {
            const uap_mix_label *from = &run->cross.at[tail->first + k];
            uap_mix_label n = *from;
            n.v = uap_tail_extend(&run->rule, s->i, q, lag, &from->v);
            n.point = j;
            n.type = s->t;
            n.layer = b;
            n.out = y;
            n.in = s->x;
            if (take_devices(run, s, &run->rest[tail->first + k], &n.left) &&
                can_reach(run, &run->reach.head, head, &n, s->a) && !acc_add(run, &n)) {
                return false;
            }
        }
    }
    return true;
}

bool uap_mix_labels_start(uap_mix_cuts *run, const uap_mix_start *s)
{
    const uap_mix *mix = run->mix;
    const uap_group *group = uap_mix_group(run->o, s->t, s->i, s->a);
    begin_list(run);
    for (int32_t l = 1; group != NULL && l <= group->n_len && s->a + l <= mix->n_layers;
         l++) {
        const int32_t b = s->a + l - 1;
        const int32_t n_out = uap_kind_of(mix->chain[s->t], b)->n_out;
        const bool is_live = uap_mix_is_live(mix, s->i, s->t, s->a, l);
        for (int32_t y = 0; y < n_out && is_live; y++) {
            if (!labels_of_end(run, s, group, b, y)) {
                return false;
            }
        }
    }
    return end_list(run, &run->reach.head,
                    uap_mix_at(run->o, s->i, s->a, uap_mix_in(mix, s->a, s->t) + s->x));
}

bool uap_mix_labels_cross(uap_mix_cuts *run, int32_t i, int32_t a, int32_t y)
{
    const uap_mix_link *link = uap_mix_link_of(run->mix, a - 1);
    const size_t reached = uap_mix_at(run->o, i - 1, a - 1, y);
    begin_list(run);
    for (int32_t x = 0; x < link->n_in; x++) {
        const uap_list *list = &run->suffix[a * run->mix->width + x];
        const int32_t at = y * link->n_in + x;
        for (int32_t j = 0; j < list->count; j++) {
            const int32_t index = (int32_t)list->first + j;
            uap_mix_label s = run->pool.at[index];
            s.v = uap_tail_cross(&run->rule, &s.v, link->x_fwd[at], link->x_bwd[at]);
            s.next = index;
            if (can_reach(run, &run->reach.reached, reached, &s, a) &&
                !acc_add(run, &s)) {
                return false;
            }
        }
    }
    return end_list(run, &run->reach.reached, reached);
}
