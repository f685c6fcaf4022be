/* The exact recursion over cuts and types, from the last stage to the first, on the Pareto sets
 * of segments. Each stage is two jobs of a crew: lists at its starts, and in front of them lists
 * behind the boundary before it. Labels are mix_labels.c's. */
#include "search/mix_job.h"
#include "search/mix_run.h"

#include "common/mem.h"
#include "common/numbers.h"

#include <string.h>

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
}

/* ---- Stages -------------------------------------------------------------------------- */

/* Labels that a start of a stage looks at. */
static int64_t labels_of_start(const uap_mix_cuts *run, const uap_mix_start *s)
{
    const uap_mix *mix = run->mix;
    const uap_group *group = uap_mix_group(run->o, s->t, s->i, s->a);
    int64_t labels = 0;
    for (int32_t l = 1; group != NULL && l <= group->n_len && s->a + l <= mix->n_layers;
         l++) {
        const int32_t b = s->a + l - 1;
        const int32_t n_out = uap_kind_of(mix->chain[s->t], b)->n_out;
        const uap_list *tail = &run->tail[b * mix->width + uap_mix_out(mix, b, s->t)];
        for (int32_t y = 0; y < n_out; y++) {
            const int32_t sets =
                uap_group_set(group, s->x, uap_cell(group, 0, l, y))->count;
            labels += (int64_t)sets * tail[y].count;
        }
    }
    return labels;
}

static bool make_start(void *self, const uap_mix_task *task, uap_bytes *out)
{
    const uap_mix_start s = {task->i, task->t, task->layer, task->id};
    return uap_mix_labels_start(self, &s) && uap_mix_labels_put(self, out);
}

static bool take_start(void *self, const uap_mix_task *task, const char *from)
{
    uap_mix_cuts *run = self;
    const int32_t in = uap_mix_in(run->mix, task->layer, task->t) + task->id;
    return uap_mix_labels_take(run, from, &run->pool,
                               &run->suffix[task->layer * run->mix->width + in]);
}

/* Lists at the starts of stage i. */
static uap_status suffix_stage(uap_mix_cuts *run, int32_t i, uap_err *err)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = run->mix,
                       .self = run,
                       .make = make_start,
                       .take = take_start,
                       .task = uap_calloc(n, sizeof *job.task)};
    uap_status rc = UAP_OK;
    if (job.task == NULL || !uap_mix_labels_rest(run, i)) {
        rc = no_memory(err);
        goto done;
    }
    memset(run->suffix, 0, n * sizeof *run->suffix);
    for (uap_mix_start s = {.i = i, .a = o->lo[i]}; s.a <= o->hi[i]; s.a++) {
        for (s.t = 0; s.t < mix->n_types; s.t++) {
            const int32_t first = uap_mix_in(mix, s.a, s.t);
            for (s.x = 0; first + s.x < uap_mix_in(mix, s.a, s.t + 1); s.x++) {
                const size_t head = uap_mix_at(o, i, s.a, first + s.x);
                const int64_t labels =
                    run->reach.head.list[head].count > 0 ? labels_of_start(run, &s) : 0;
                if (labels > 0) {
                    job.task[job.n++] = (uap_mix_task){i, s.t, s.a, s.x, labels, 0};
                }
            }
        }
    }
    rc = uap_mix_job_do(&job, err);
done:
    uap_free(job.task);
    return rc;
}

/* Where segments of stage i end that a plan may use. */
static void find_wanted(uap_mix_cuts *run, int32_t i)
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

static bool make_cross(void *self, const uap_mix_task *task, uap_bytes *out)
{
    return uap_mix_labels_cross(self, task->i, task->layer, task->id) &&
           uap_mix_labels_put(self, out);
}

static bool take_cross(void *self, const uap_mix_task *task, const char *from)
{
    uap_mix_cuts *run = self;
    return uap_mix_labels_take(
        run, from, &run->cross,
        &run->tail[(task->layer - 1) * run->mix->width + task->id]);
}

/* Lists behind stage i - 1 from those at the starts of stage i. */
static uap_status cross_stage(uap_mix_cuts *run, int32_t i, uap_err *err)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    uap_mix_job job = {.mix = run->mix,
                       .self = run,
                       .make = make_cross,
                       .take = take_cross,
                       .task = uap_calloc(n, sizeof *job.task)};
    if (job.task == NULL) {
        return no_memory(err);
    }
    memset(run->tail, 0, n * sizeof *run->tail);
    run->cross.n = 0;
    find_wanted(run, i - 1);
    for (int32_t a = o->lo[i]; a <= o->hi[i]; a++) {
        int64_t labels = 0;
        for (int32_t x = 0; x < uap_mix_n_in(mix, a); x++) {
            labels += run->suffix[a * mix->width + x].count;
        }
        for (int32_t y = 0; y < uap_mix_n_out(mix, a - 1) && labels > 0; y++) {
            if (run->wanted[(a - 1) * mix->width + y]) {
                job.task[job.n++] = (uap_mix_task){i, 0, a, y, labels, 0};
            }
        }
    }
    const uap_status rc = uap_mix_job_do(&job, err);
    uap_free(job.task);
    return rc;
}

/* ---- The whole ----------------------------------------------------------------------- */

/* Sums of the least times of the layers before each. */
static void sum_before(uap_mix_cuts *run)
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

static bool start_behind_last(uap_mix_cuts *run)
{
    const uap_mix *mix = run->mix;
    const int32_t last = mix->n_layers - 1;
    uap_mix_label none = {.next = -1};
    for (int32_t g = 0; g < mix->n_groups; g++) {
        uap_devices_set(mix, &none.left, g, mix->room[g].most);
    }
    memset(run->tail, 0, (size_t)mix->n_layers * (size_t)mix->width * sizeof *run->tail);
    run->pool.n = 0;
    run->cross.n = 0;
    for (int32_t y = 0; y < uap_mix_n_out(mix, last); y++) {
        run->tail[last * mix->width + y] = (uap_list){.first = y, .count = 1};
        if (!uap_mix_labels_push(run, &run->cross, &none)) {
            return false;
        }
    }
    return true;
}

static void find_best(uap_mix_cuts *run)
{
    for (int32_t x = 0; x < uap_mix_n_in(run->mix, 0); x++) {
        for (int32_t j = 0; j < run->suffix[x].count; j++) {
            const int32_t index = (int32_t)run->suffix[x].first + j;
            const int64_t value = uap_tail_total(&run->rule, &run->pool.at[index].v);
            if (value < run->best || (value == run->best && run->best_label < 0)) {
                run->best = value;
                run->best_label = index;
            }
        }
    }
}

static uap_status run_stages(uap_mix_cuts *run, uap_err *err)
{
    const uap_mix *mix = run->mix;
    uap_status rc = UAP_OK;
    if (!start_behind_last(run)) {
        return no_memory(err);
    }
    for (int32_t i = mix->pp - 1; i >= 0 && !mix->stopped; i--) {
        UAP_TRY(suffix_stage(run, i, err));
        if (i > 0 && !mix->stopped) {
            UAP_TRY(cross_stage(run, i, err));
        }
    }
    if (!mix->stopped) {
        find_best(run);
    }
done:
    return rc;
}

/* Writes the plan of the best label into choice. */
static uap_status trace_plan(uap_mix_cuts *run, uap_choice *choice, uap_err *err)
{
    const uap_mix *mix = run->mix;
    int32_t index = run->best_label;
    int32_t a = 0;
    for (int32_t i = 0; i < mix->pp; i++) {
        const uap_mix_label *label = &run->pool.at[index];
        uap_segments *segments = mix->segments[label->type];
        const uap_group *group = uap_mix_group(run->o, label->type, i, a);
        const uap_segment_set *set = uap_group_set(
            group, label->in, uap_cell(group, 0, label->layer - a + 1, label->out));
        const uap_segment_ref ref = {.class_index = segments->class_of[i],
                                     .a = a,
                                     .b = label->layer,
                                     .x = label->in,
                                     .y = label->out,
                                     .point = segments->point[set->first + label->point]};
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

uap_status uap_mix_exact(uap_mix_cuts *cuts, const uap_mix_ask *ask, int64_t *value,
                         uap_choice *choice, bool *found, uap_err *err)
{
    uap_status rc = UAP_OK;
    *found = false;
    if (!cuts->has_reach) {
        UAP_TRY(uap_mix_reach_run(cuts->o, &cuts->reach, err));
        cuts->has_reach = !cuts->mix->stopped;
    }
    if (cuts->mix->stopped || cuts->reach.is_empty) {
        goto done;
    }
    cuts->longest = ask->longest;
    cuts->best = ask->target;
    cuts->best_label = -1;
    UAP_TRY(run_stages(cuts, err));
    if (!cuts->mix->stopped && cuts->best_label >= 0) {
        UAP_TRY(trace_plan(cuts, choice, err));
        *value = cuts->best;
        *found = true;
    }
done:
    return rc;
}

/* ---- Set-up -------------------------------------------------------------------------- */

uap_mix_cuts *uap_mix_cuts_new(uap_mix_outer *outer)
{
    uap_mix_cuts *run = uap_calloc(1, sizeof *run);
    if (run == NULL) {
        return NULL;
    }
    const uap_mix *mix = outer->mix;
    const size_t layers = (size_t)mix->n_layers;
    const size_t n = layers * (size_t)mix->width;
    *run = (uap_mix_cuts){.o = outer,
                          .mix = outer->mix,
                          .rule = uap_value_rule_of(mix->in),
                          .front = {.n_keys = UAP_FRONT_KEYS},
                          .suffix = uap_calloc(n, sizeof *run->suffix),
                          .tail = uap_calloc(n, sizeof *run->tail),
                          .wanted = uap_calloc(n, sizeof *run->wanted),
                          .fwd_before = uap_calloc(layers, sizeof *run->fwd_before),
                          .lag = uap_calloc(layers, sizeof *run->lag)};
    if (run->suffix == NULL || run->tail == NULL || run->wanted == NULL ||
        run->fwd_before == NULL || run->lag == NULL) {
        uap_mix_cuts_free(run);
        return NULL;
    }
    sum_before(run);
    return run;
}

void uap_mix_cuts_free(uap_mix_cuts *cuts)
{
    if (cuts == NULL) {
        return;
    }
    uap_free(cuts->suffix);
    uap_free(cuts->tail);
    uap_free(cuts->wanted);
    uap_free(cuts->rest);
    uap_free(cuts->rank);
    uap_free(cuts->fwd_before);
    uap_free(cuts->lag);
    uap_mix_reach_free(&cuts->reach);
    uap_free(cuts->pool.at);
    uap_free(cuts->cross.at);
    uap_free(cuts->acc.at);
    uap_front_free(&cuts->front);
    uap_free(cuts);
}
