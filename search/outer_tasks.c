/* How long each start's part of a pass over the cuts takes, so that a job begins with the
 * longest: the last tasks are then short, and no process waits long for another. */
#include "search/outer_lists.h"

#include <stdlib.h>

/* Taking one entry of a list in, against looking at a cell. */
#define STEPS_OF_AN_ENTRY 4

static int by_steps(const void *a, const void *b)
{
    const uap_outer_task *p = a;
    const uap_outer_task *q = b;
    if (p->steps != q->steps) {
        return p->steps > q->steps ? -1 : 1;
    }
    return (p->a > q->a) - (p->a < q->a);
}

static int64_t put_in_order(uap_outer_task *task, int32_t n)
{
    int64_t steps = 0;
    for (int32_t j = 0; j < n; j++) {
        steps += task[j].steps;
    }
    qsort(task, (size_t)n, sizeof *task, by_steps);
    return steps;
}

/* Layers behind which a segment of stage i from layer a may end; first > last: none. */
typedef struct ends {
    int32_t first, last;
} ends;

static ends ends_of(const uap_outer *o, int32_t i, int32_t a, const uap_group *group)
{
    int32_t shortest;
    int32_t longest;
    uap_stage_lengths(o->segments, i, a, group, &shortest, &longest);
    return (ends){a + shortest - 1, a + longest - 1};
}

/* sum[b + 1] - sum[a]: over the ends a..b of stage i, of a step for each class and, with
 * `tails`, some for each entry behind it. */
static void sum_ends(const uap_outer *o, int32_t i, bool tails, int64_t *sum)
{
    sum[0] = 0;
    for (int32_t b = 0; b < o->chain->n_layers; b++) {
        const int32_t n_out = uap_kind_of(o->chain, b)->n_out;
        int64_t entries = 0;
        for (int32_t y = 0; tails && y < n_out; y++) {
            entries += uap_outer_tail(o, i, b, y)->count;
        }
        sum[b + 1] = sum[b] + n_out + STEPS_OF_AN_ENTRY * entries;
    }
}

int64_t uap_outer_tasks_back(uap_outer *o, int32_t i, bool tails)
{
    sum_ends(o, i, tails, o->sum);
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        const uap_group *group = uap_outer_group(o, i, a);
        const ends e = ends_of(o, i, a, group);
        o->task[a - o->lo[i]] = (uap_outer_task){
            .a = a,
            .steps = e.first > e.last
                         ? 0
                         : group->n_in * (o->sum[e.last + 1] - o->sum[e.first])};
    }
    return put_in_order(o->task, o->hi[i] - o->lo[i] + 1);
}

int64_t uap_outer_tasks_forth(uap_outer *o, int32_t i)
{
    /* First where entries in front of stage i - 1 come into reach and leave it, by end. */
    for (int32_t b = 0; b <= o->chain->n_layers; b++) {
        o->sum[b] = 0;
    }
    for (int32_t a = o->lo[i - 1]; a <= o->hi[i - 1]; a++) {
        const uap_group *group = uap_outer_group(o, i - 1, a);
        const ends e = ends_of(o, i - 1, a, group);
        int64_t entries = group->n_in;
        for (int32_t x = 0; x < group->n_in; x++) {
            entries += STEPS_OF_AN_ENTRY * uap_outer_head(o, i - 1, a, x)->count;
        }
        if (e.first <= e.last) {
            o->sum[e.first] += entries;
            o->sum[e.last + 1] -= entries;
        }
    }
    int64_t entries = 0;
    for (int32_t b = 0; b < o->hi[i]; b++) {
        entries += o->sum[b];
        if (b + 1 >= o->lo[i]) {
            o->task[b + 1 - o->lo[i]] = (uap_outer_task){
                .a = b + 1, .steps = uap_kind_of(o->chain, b)->n_out * entries};
        }
    }
    return put_in_order(o->task, o->hi[i] - o->lo[i] + 1);
}
