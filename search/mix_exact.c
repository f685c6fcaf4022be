/* The exact recursion over cuts and types, from the last stage to the first, on the Pareto
 * sets of segments. A label holds what the schedule's value needs (search/outer_value.h) and
 * the devices left in every group, as far as the stages still to come can use them: of two
 * labels one goes that is nowhere better and has no more left of any group. */
#include "search/mix_reach.h"

#include "common/numbers.h"
#include "search/outer_value.h"

#include <math.h>
#include <string.h>

typedef struct mix_label {
    uap_tail v;
    uap_devices left;
    int32_t next;  /* label of the next stage's start, -1 behind the last stage */
    int32_t point; /* segment point of this stage, and its */
    int32_t type;
    int32_t layer; /* last layer, */
    int32_t out;   /* out-class and */
    int32_t in;    /* in-class, of its own type */
} mix_label;

typedef struct label_pool {
    mix_label *at;
    int32_t n;
    int64_t capacity;
} label_pool;

typedef struct mix_run {
    uap_mix_outer *o;
    uap_mix *mix;
    uap_value_rule rule;
    uap_mix_reach reach; /* prefixes */
    label_pool pool;     /* labels of all stage starts */
    uap_list *suffix;    /* [L][width] lists into pool, of the stage at hand */
    label_pool cross;    /* labels behind boundaries, of the stage at hand */
    uap_list *tail;      /* [L][width] lists into cross */
    bool *wanted;        /* [L][width] some segment of the stage before ends there */
    label_pool acc;      /* list under construction */
    int64_t *fwd_before; /* [L] least forward time of all layers before, and */
    int64_t *lag;        /* [L] least backward time of them and least g of layer 0 */
    int64_t best;        /* target, then the best value found */
    int32_t best_label;
    bool no_memory;
} mix_run;

/* ---- Devices ------------------------------------------------------------------------- */

/* Takes a stage of type t as stage i, and counts what is left as far as the stages before it
 * can use it. False where the group has no more. */
static bool take_devices(const mix_run *run, int32_t i, int32_t t, mix_label *label)
{
    const uap_mix *mix = run->mix;
    const uap_stage_type *type = &mix->in->type[t];
    const int64_t left = uap_devices_get(mix, &label->left, type->group) - type->devices;
    double credit = 0;
    if (left < 0) {
        return false;
    }
    uap_devices_set(mix, &label->left, type->group, left);
    label->left = uap_devices_usable(mix, &label->left, i, &credit);
    return true;
}

/* ---- Lists --------------------------------------------------------------------------- */

static bool pool_push(mix_run *run, label_pool *pool, const mix_label *label)
{
    mix_label *at = pool->n == INT32_MAX
                        ? NULL
                        : uap_grow(pool->at, &pool->capacity, pool->n + 1, sizeof *at);
    if (at == NULL) {
        run->no_memory = true;
        return false;
    }
    pool->at = at;
    pool->at[pool->n++] = *label;
    return true;
}

static bool covers(const mix_run *run, const mix_label *a, const mix_label *b)
{
    return uap_tail_covers(&a->v, &b->v) &&
           uap_devices_cover(run->mix, &a->left, &b->left);
}

/* Adds to the list under construction unless dominated; drops what it dominates. */
static bool acc_add(mix_run *run, const mix_label *label)
{
    label_pool *acc = &run->acc;
    int32_t kept = 0;
    for (int32_t i = 0; i < acc->n; i++) {
        if (covers(run, &acc->at[i], label)) {
            return true; /* nothing was dropped: a dropped one would be dominated too */
        }
    }
    for (int32_t i = 0; i < acc->n; i++) {
        if (!covers(run, label, &acc->at[i])) {
            if (kept != i) {
                acc->at[kept] = acc->at[i];
            }
            kept++;
        }
    }
    acc->n = kept;
    return uap_mix_spend(run->mix, 1 + kept / 16) && pool_push(run, acc, label);
}

static bool acc_store(mix_run *run, label_pool *pool, uap_list *list)
{
    *list = (uap_list){.first = pool->n, .count = run->acc.n};
    for (int32_t i = 0; i < run->acc.n; i++) {
        if (!pool_push(run, pool, &run->acc.at[i])) {
            return false;
        }
    }
    run->acc.n = 0;
    return true;
}

/* ---- Stages -------------------------------------------------------------------------- */

/* False when none of the prefixes can bring the label of a stage that starts at layer a, or of
 * the boundary in front of it, within the target. */
static bool can_reach(const mix_run *run, const uap_list *head, int32_t a,
                      const mix_label *s)
{
    const bool simple = run->rule.is_simple;
    if (uap_tail_total(&run->rule, &s->v) + (simple ? 0 : run->fwd_before[a]) >
        run->best) {
        return false; /* stages before only add to it */
    }
    const double m = uap_tail_most(&run->rule, &s->v);
    const double best = (double)run->best;
    for (int32_t j = 0; j < head->count; j++) {
        const uap_device_point *h = &run->reach.pool[head->first + j];
        const double least = h->s + (double)s->v.a + (h->m > m ? h->m : m);
        if (least * (1 - 1e-11) - 1 <= best &&
            uap_devices_cover(run->mix, &s->left, &h->used)) {
            return true;
        }
    }
    return false;
}

/* A stage of type t that starts at layer a in class x. */
typedef struct start {
    int32_t i, t, a, x;
} start;

/* Labels of one start with the segments that end behind layer b in class y. */
static bool labels_of_end(mix_run *run, const start *s, const uap_group *group, int32_t b,
                          int32_t y)
{
    const uap_mix *mix = run->mix;
    const uap_segments *segments = mix->segments[s->t];
    const uap_segment_set *set =
        uap_group_set(group, s->x, uap_cell(group, 0, b - s->a + 1, y));
    const uap_list *tail = &run->tail[b * mix->width + uap_mix_out(mix, b, s->t) + y];
    const uap_list *head =
        &run->reach
             .head[uap_mix_at(run->o, s->i, s->a, uap_mix_in(mix, s->a, s->t) + s->x)];
    const int64_t lag = s->i == 0 ? 0 : run->lag[s->a];
    for (int32_t j = 0; j < set->count; j++) {
        const uap_segment_point *q = &segments->point[set->first + j];
        if (!uap_mix_spend(run->mix, tail->count)) {
            return false;
        }
        for (int32_t k = 0; k < tail->count; k++) {
            const mix_label *from = &run->cross.at[tail->first + k];
            mix_label n = *from;
            n.v = uap_tail_extend(&run->rule, s->i, q, lag, &from->v);
            n.point = (int32_t)(set->first + j);
            n.type = s->t;
            n.layer = b;
            n.out = y;
            n.in = s->x;
            if (take_devices(run, s->i, s->t, &n) && can_reach(run, head, s->a, &n) &&
                !acc_add(run, &n)) {
                return false;
            }
        }
    }
    return true;
}

static bool labels_of_start(mix_run *run, const start *s)
{
    const uap_mix *mix = run->mix;
    const uap_group *group = uap_mix_group(run->o, s->t, s->i, s->a);
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
    return true;
}

static bool suffix_stage(mix_run *run, int32_t i)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    memset(run->suffix, 0, n * sizeof *run->suffix);
    for (start s = {.i = i, .a = o->lo[i]}; s.a <= o->hi[i]; s.a++) {
        for (s.t = 0; s.t < mix->n_types; s.t++) {
            const int32_t first = uap_mix_in(mix, s.a, s.t);
            for (s.x = 0; first + s.x < uap_mix_in(mix, s.a, s.t + 1); s.x++) {
                uap_list *list = &run->suffix[s.a * mix->width + first + s.x];
                if (run->reach.head[uap_mix_at(o, i, s.a, first + s.x)].count > 0 &&
                    (!labels_of_start(run, &s) || !acc_store(run, &run->pool, list))) {
                    return false;
                }
            }
        }
    }
    return true;
}

/* Where segments of stage i end that a plan may use. */
static void find_wanted(mix_run *run, int32_t i)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    memset(run->wanted, 0, (size_t)mix->n_layers * (size_t)mix->width);
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        for (int32_t t = 0; t < mix->n_types; t++) {
            const uap_group *group = uap_mix_group(o, t, i, a);
            for (int32_t x = 0; group != NULL && x < group->n_in; x++) {
                for (int32_t l = 1; l <= group->n_len && a + l <= mix->n_layers; l++) {
                    const int32_t b = a + l - 1;
                    bool *to = run->wanted + b * mix->width + uap_mix_out(mix, b, t);
                    const int32_t n_out = uap_kind_of(mix->chain[t], b)->n_out;
                    const bool is_live = uap_mix_is_live(mix, i, t, a, l);
                    for (int32_t y = 0; y < n_out && is_live; y++) {
                        to[y] =
                            to[y] ||
                            uap_group_set(group, x, uap_cell(group, 0, l, y))->count > 0;
                    }
                }
            }
        }
    }
}

/* Labels behind stage i - 1 that ends at layer a - 1 in class y of all types. */
static bool cross_end(mix_run *run, int32_t i, int32_t a, int32_t y)
{
    const uap_mix_link *link = uap_mix_link_of(run->mix, a - 1);
    const uap_list *reached = &run->reach.reached[uap_mix_at(run->o, i - 1, a - 1, y)];
    for (int32_t x = 0; x < link->n_in; x++) {
        const uap_list *list = &run->suffix[a * run->mix->width + x];
        const int32_t at = y * link->n_in + x;
        for (int32_t j = 0; j < list->count; j++) {
            const int32_t index = (int32_t)list->first + j;
            mix_label s = run->pool.at[index];
            s.v = uap_tail_cross(&run->rule, &s.v, link->x_fwd[at], link->x_bwd[at]);
            s.next = index;
            if (can_reach(run, reached, a, &s) && !acc_add(run, &s)) {
                return false;
            }
        }
    }
    return true;
}

/* Lists behind stage i - 1 from those at the starts of stage i. */
static bool cross_stage(mix_run *run, int32_t i)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    memset(run->tail, 0, n * sizeof *run->tail);
    run->cross.n = 0;
    find_wanted(run, i - 1);
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        for (int32_t y = 0; y < uap_mix_n_out(mix, a - 1); y++) {
            const int32_t at = (a - 1) * mix->width + y;
            if (run->wanted[at] && (!cross_end(run, i, a, y) ||
                                    !acc_store(run, &run->cross, &run->tail[at]))) {
                return false;
            }
        }
    }
    return true;
}

/* ---- The whole ----------------------------------------------------------------------- */

/* Sums of the least times of the layers before each. */
static void sum_before(mix_run *run)
{
    const uap_chain_extremes *least = &run->mix->chain[0]->least;
    int64_t fwd = 0;
    int64_t lag = least->first_grad;
    for (int32_t u = 0; u < run->mix->n_layers; u++) {
        run->fwd_before[u] = fwd;
        run->lag[u] = lag;
        fwd += least->min_fwd[u];
        lag += least->min_bwd[u];
    }
}

static bool start_behind_last(mix_run *run)
{
    const uap_mix *mix = run->mix;
    const int32_t last = mix->n_layers - 1;
    mix_label none = {.next = -1};
    for (int32_t g = 0; g < mix->n_groups; g++) {
        uap_devices_set(mix, &none.left, g, mix->room[g].most);
    }
    for (int32_t y = 0; y < uap_mix_n_out(mix, last); y++) {
        if (!acc_add(run, &none) ||
            !acc_store(run, &run->cross, &run->tail[last * mix->width + y])) {
            return false;
        }
    }
    return true;
}

static bool run_stages(mix_run *run)
{
    const uap_mix *mix = run->mix;
    if (!start_behind_last(run)) {
        return false;
    }
    for (int32_t i = mix->pp - 1; i >= 0; i--) {
        if (!suffix_stage(run, i) || (i > 0 && !cross_stage(run, i))) {
            return false;
        }
    }
    for (int32_t x = 0; x < uap_mix_n_in(mix, 0); x++) {
        for (int32_t j = 0; j < run->suffix[x].count; j++) {
            const int32_t index = (int32_t)run->suffix[x].first + j;
            const int64_t value = uap_tail_total(&run->rule, &run->pool.at[index].v);
            if (value < run->best || (value == run->best && run->best_label < 0)) {
                run->best = value;
                run->best_label = index;
            }
        }
    }
    return true;
}

/* Writes the plan of the best label into choice. */
static uap_status trace_plan(mix_run *run, uap_choice *choice, uap_err *err)
{
    const uap_mix *mix = run->mix;
    int32_t index = run->best_label;
    int32_t a = 0;
    for (int32_t i = 0; i < mix->pp; i++) {
        const mix_label *label = &run->pool.at[index];
        uap_segments *segments = mix->segments[label->type];
        const uap_segment_ref ref = {.class_index = segments->class_of[i],
                                     .a = a,
                                     .b = label->layer,
                                     .x = label->in,
                                     .y = label->out,
                                     .point = segments->point[label->point]};
        const uap_status rc =
            uap_segments_path(segments, &ref, choice->strategy + a, err);
        if (rc != UAP_OK) {
            return rc;
        }
        choice->first[i] = a;
        for (int32_t u = a; u <= ref.b; u++) {
            const uap_kind *kind = uap_kind_of(mix->chain[label->type], u);
            choice->strategy[u] = kind->origin[choice->strategy[u]];
        }
        a = ref.b + 1;
        index = label->next;
    }
    return UAP_OK;
}

static bool alloc_run(mix_run *run)
{
    const uap_mix *mix = run->mix;
    const size_t layers = (size_t)mix->n_layers;
    const size_t n = layers * (size_t)mix->width;
    run->suffix = uap_calloc(n, sizeof *run->suffix);
    run->tail = uap_calloc(n, sizeof *run->tail);
    run->wanted = uap_calloc(n, sizeof *run->wanted);
    run->fwd_before = uap_calloc(layers, sizeof *run->fwd_before);
    run->lag = uap_calloc(layers, sizeof *run->lag);
    return run->suffix != NULL && run->tail != NULL && run->wanted != NULL &&
           run->fwd_before != NULL && run->lag != NULL;
}

static void free_run(mix_run *run)
{
    uap_free(run->suffix);
    uap_free(run->tail);
    uap_free(run->wanted);
    uap_free(run->fwd_before);
    uap_free(run->lag);
    uap_mix_reach_free(&run->reach);
    uap_free(run->pool.at);
    uap_free(run->cross.at);
    uap_free(run->acc.at);
}

uap_status uap_mix_exact(uap_mix_outer *outer, int64_t *value, uap_choice *choice,
                         bool *found, uap_err *err)
{
    mix_run run = {.o = outer,
                   .mix = outer->mix,
                   .rule = uap_value_rule_of(outer->mix->in),
                   .best = outer->target_ticks,
                   .best_label = -1};
    uap_status rc = UAP_OK;
    *found = false;
    if (!alloc_run(&run)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
        goto done;
    }
    UAP_TRY(uap_mix_reach_run(outer, &run.reach, err));
    if (run.mix->stopped || run.reach.is_empty) {
        goto done;
    }
    sum_before(&run);
    if (!run_stages(&run)) {
        rc = run.no_memory ? UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts")
                           : UAP_OK;
        goto done;
    }
    if (run.best_label >= 0) {
        UAP_TRY(trace_plan(&run, choice, err));
        *value = run.best;
        *found = true;
    }
done:
    free_run(&run);
    return rc;
}
