/* The exact recursion over cuts and types, from the last stage to the first, on the Pareto sets
 * of segments. Each stage is two jobs of a crew: lists at its starts, and in front of them lists
 * behind the boundary before it. Labels are mix_labels.c's. */
#include "search/crew.h"
#include "search/mix_run.h"

#include "common/mem.h"
#include "common/numbers.h"

#include <stdlib.h>
#include <string.h>

/* By so much of it a target may be below the one that prefixes were made for. */
#define NEAR_TARGET 2e-3

/* ---- Stages as jobs ------------------------------------------------------------------ */

/* Work of a label that is made, in nanoseconds. */
#define STEPS_OF_A_LABEL 60

/* A list to be made: at a start of stage i; or, is_cross, behind stage i - 1 that ends in front
 * of layer a in class x of all types. */
typedef struct stage_task {
    uap_mix_start s;
    int64_t labels; /* to be looked at */
} stage_task;

typedef struct stage_job {
    uap_mix_cuts *run;
    int32_t i;
    bool is_cross;
    stage_task *task;
    int32_t n;
    int64_t effort; /* of what was done, whoever did it */
} stage_job;

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
}

static uap_status run_task(void *self, int32_t task, uap_bytes *out, bool *stop,
                           uap_err *err)
{
    stage_job *job = self;
    uap_mix_cuts *run = job->run;
    const uap_mix_start *s = &job->task[task].s;
    const int64_t effort = run->mix->effort;
    run->mix->unspent = 0; /* whoever does the task */
    const bool ok = job->is_cross ? uap_mix_labels_cross(run, s->i, s->a, s->x)
                                  : uap_mix_labels_start(run, s);
    const int64_t spent = effort - run->mix->effort;
    *stop = run->mix->stopped;
    if (run->no_memory || (ok && (!uap_bytes_put(out, &spent, sizeof spent) ||
                                  !uap_mix_labels_put(run, out)))) {
        return no_memory(err);
    }
    return UAP_OK;
}

static uap_status apply_task(void *self, int32_t task, const char *result, uap_err *err)
{
    stage_job *job = self;
    uap_mix_cuts *run = job->run;
    const uap_mix *mix = run->mix;
    const uap_mix_start *s = &job->task[task].s;
    const int32_t in = job->is_cross ? 0 : uap_mix_in(mix, s->a, s->t) + s->x;
    uap_list *list = job->is_cross ? &run->tail[(s->a - 1) * mix->width + s->x]
                                   : &run->suffix[s->a * mix->width + in];
    int64_t spent = 0;
    result = uap_bytes_get(result, &spent, sizeof spent);
    job->effort += spent;
    return uap_mix_labels_take(run, result, job->is_cross ? &run->cross : &run->pool,
                               list)
               ? UAP_OK
               : no_memory(err);
}

static int by_length(const void *a, const void *b)
{
    const stage_task *p = a;
    const stage_task *q = b;
    const int32_t order[] = {(p->s.a > q->s.a) - (p->s.a < q->s.a),
                             (p->s.t > q->s.t) - (p->s.t < q->s.t),
                             (p->s.x > q->s.x) - (p->s.x < q->s.x)};
    if (p->labels != q->labels) {
        return p->labels < q->labels ? 1 : -1;
    }
    return order[0] != 0 ? order[0] : order[1] != 0 ? order[1] : order[2];
}

/* Does the tasks, the longest first. */
static uap_status do_job(stage_job *job, uap_err *err)
{
    uap_mix *mix = job->run->mix;
    const uap_crew *crew = mix->segments[0]->crew;
    const int64_t effort = mix->effort;
    uap_crew_job all = {
        .self = job, .n = job->n, .effort = effort, .run = run_task, .apply = apply_task};
    bool stopped = false;
    uap_status rc = UAP_OK;
    qsort(job->task, (size_t)job->n, sizeof *job->task, by_length);
    for (int32_t k = 0; k < job->n; k++) {
        all.work += STEPS_OF_A_LABEL * job->task[k].labels;
    }
    mix->is_shared = uap_crew_shares(crew, &all);
    mix->segments[0]->unspent = 0;
    UAP_TRY(uap_crew_do(crew, &all, &stopped, err));
    mix->unspent = 0;
    mix->effort = effort - job->effort;
    mix->stopped = mix->stopped || stopped || mix->effort < 0;
done:
    mix->is_shared = false;
    return rc;
}

static void add_task(stage_job *job, uap_mix_start s, int64_t labels)
{
    job->task[job->n++] = (stage_task){s, labels};
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

/* Lists at the starts of stage i. */
static uap_status suffix_stage(uap_mix_cuts *run, int32_t i, uap_err *err)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    stage_job job = {.run = run, .i = i, .task = uap_calloc(n, sizeof *job.task)};
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
                    add_task(&job, s, labels);
                }
            }
        }
    }
    rc = do_job(&job, err);
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

/* Lists behind stage i - 1 from those at the starts of stage i. */
static uap_status cross_stage(uap_mix_cuts *run, int32_t i, uap_err *err)
{
    const uap_mix_outer *o = run->o;
    const uap_mix *mix = run->mix;
    const size_t n = (size_t)mix->n_layers * (size_t)mix->width;
    stage_job job = {
        .run = run, .i = i, .is_cross = true, .task = uap_calloc(n, sizeof *job.task)};
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
                add_task(&job, (uap_mix_start){.i = i, .a = a, .x = y}, labels);
            }
        }
    }
    const uap_status rc = do_job(&job, err);
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

/* Prefixes for a target, made anew where it is far below the last one. */
static uap_status find_prefixes(uap_mix_cuts *run, int64_t target, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (run->reached >= 0 &&
        (double)(run->reached - target) < NEAR_TARGET * (double)target) {
        return UAP_OK;
    }
    uap_mix_reach_free(&run->reach);
    uap_mix_outer_aim(run->o, target);
    run->reached = -1;
    UAP_TRY(uap_mix_reach_run(run->o, &run->reach, err));
    run->reached = target;
done:
    return rc;
}

uap_status uap_mix_exact(uap_mix_cuts *cuts, const uap_mix_ask *ask, int64_t *value,
                         uap_choice *choice, bool *found, uap_err *err)
{
    uap_status rc = UAP_OK;
    *found = false;
    UAP_TRY(find_prefixes(cuts, ask->target, err));
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
                          .reached = -1,
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
