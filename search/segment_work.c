/* The segments of all start classes as jobs: bounds raised one functional at a time, and the
 * exact sets. One task is one run of labels (segment_label.c). */
#include "search/label_run.h"

#include "common/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a task is of, beside one functional alone. */
enum { FULL_LABELS = -1, EXCESS = -2 };

/* A run is known to be too long when it is expected to take so many times what a rank is
 * given for it. */
#define KNOWN_BY 2

/* Where each rank has fewer tasks than this, one that takes long has less to stand beside. */
#define MANY_TASKS 16

/* One run: a start class, and the functional it is of. */
typedef struct label_task {
    int32_t group, x, only;
    int64_t steps;  /* at least */
    int64_t looked; /* labels, by runs before */
} label_task;

/* Runs that a crew walks side by side, at most, and the limits they may take together. */
#define SIDE_BY_SIDE 8
#define MOST_LIMITS  ((size_t)1 << 25) /* numbers: 256 MiB */

typedef struct label_job {
    uap_segments *s;
    uap_label_run run;
    uap_label_run *beside; /* [SIDE_BY_SIDE] of long runs, made when there are any */
    label_task *task;
    int32_t n;
    int32_t *too_long; /* [n_too_long] tasks that all members of the crew do together */
    int32_t n_too_long;
    int64_t steps;
    int64_t labels, effort; /* of all tasks applied: created, and looked at */
} label_job;

static void budgets_of(const uap_group *group, int32_t x, const double **budget)
{
    for (int32_t f = 0; f < group->n_functionals; f++) {
        budget[f] = group->row[x].budget[f];
    }
}

static void start_run(uap_label_run *run, uap_group *group, int32_t x, int32_t only)
{
    const double *budget[UAP_MAX_FUNCTIONALS] = {NULL};
    budgets_of(group, x, budget);
    run->only = only;
    uap_label_run_start(run, group, x, budget);
}

/* What the limits of a run take, within which its labels are walked: about the least that
 * it costs. */
static int64_t least_steps(const uap_segments *s, const uap_group *group)
{
    int64_t steps = 0;
    for (int32_t l = 0; l < group->n_len; l++) {
        const uap_kind *kind = uap_kind_of(s->chain, group->start + l);
        steps += (int64_t)kind->n_out * kind->n_in + kind->n;
    }
    const uap_stage_class *cls = &s->cls[group->class_index];
    return steps * cls->n_bands * cls->n_multipliers;
}

/* Labels that runs of this task looked at before, at a nearer target or fewer measures. */
static int64_t *looked_of(const uap_group *group, int32_t x, int32_t only)
{
    return &group->looked[x * (UAP_MAX_FUNCTIONALS + 1) +
                          (only >= 0 ? only : UAP_MAX_FUNCTIONALS)];
}

static int64_t expected_labels(const uap_group *group, int32_t x, int32_t only)
{
    int64_t most = *looked_of(group, x, only);
    for (int32_t f = 0; only < 0 && most == 0 && f < group->n_functionals; f++) {
        most = uap_max_i64(most, *looked_of(group, x, f));
    }
    return most;
}

static int by_length(const void *a, const void *b)
{
    const label_task *p = a;
    const label_task *q = b;
    if (p->looked != q->looked) {
        return p->looked > q->looked ? -1 : 1;
    }
    if (p->steps != q->steps) {
        return p->steps > q->steps ? -1 : 1;
    }
    if (p->group != q->group) {
        return p->group < q->group ? -1 : 1;
    }
    if (p->x != q->x) {
        return p->x < q->x ? -1 : 1;
    }
    return (p->only > q->only) - (p->only < q->only);
}

/* ---- Results: a head, and behind it records of their own ---- */

typedef struct result_head {
    int64_t labels, effort; /* created, and looked at */
    int64_t n;              /* records */
    bool is_too_long;       /* there is no result: one rank gave up */
} result_head;

/* The sharp Lagrangian bound of a run whose labels are plane. */
static bool raise_by_excess(uap_label_run *run)
{
    const uap_group *group = run->group;
    double excess = 0;
    run->is_ordered = false;
    run->n_records = 0;
    bool ok = uap_limits_excess(run, &excess);
    for (int32_t f = 0; f < group->n_functionals; f++) {
        for (int32_t i = 0; ok && i < uap_group_cells(group); i++) {
            const double budget = run->budget[f][i];
            const double margin = UAP_LABEL_MARGIN * fabs(budget) + 1;
            if (!isinf(budget)) {
                const uap_raised raised = {f, i, budget + excess - margin};
                ok = uap_bytes_put(run->records, &raised, sizeof raised);
                run->n_records++;
            }
        }
    }
    return ok;
}

/* Gives a run up that is too long for one rank of a crew: all take it together afterwards. */
static uap_status give_up(uap_segments *s, const result_head *before, size_t at,
                          uap_bytes *out, uap_err *err)
{
    const result_head head = {.is_too_long = true};
    s->labels = before->labels;
    s->effort = before->effort;
    out->n = at;
    return uap_bytes_put(out, &head, sizeof head)
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
}

/* One run, of one rank or, where it has a crew, of all. */
static uap_status do_run(label_job *job, int32_t task, uap_bytes *out, bool *stop,
                         uap_err *err)
{
    uap_segments *s = job->s;
    uap_label_run *run = &job->run;
    const label_task *t = &job->task[task];
    const result_head before = {.labels = s->labels, .effort = s->effort};
    const size_t at = out->n;
    result_head head = {0};
    bool ok = uap_bytes_put(out, &head, sizeof head);
    run->records = out;
    start_run(run, &s->group[t->group], t->x, t->only == EXCESS ? -1 : t->only);
    ok = ok && (t->only == EXCESS ? raise_by_excess(run) : uap_label_runs_walk(&run, 1));
    *stop = s->stopped;
    run->records = NULL;
    if (run->failed.code != UAP_OK) {
        *err = run->failed;
        return run->failed.code;
    }
    if (run->is_too_long && !*stop) {
        return give_up(s, &before, at, out, err);
    }
    if (!ok && !*stop) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    }
    head = (result_head){.labels = s->labels - before.labels,
                         .effort = before.effort - s->effort,
                         .n = run->n_records};
    if (ok) {
        memcpy(out->at + at, &head, sizeof head);
    }
    return UAP_OK;
}

static uap_status run_task(void *self, int32_t task, uap_bytes *out, bool *stop,
                           uap_err *err)
{
    label_job *job = self;
    return do_run(job, task, out, stop, err);
}

static const char *get_head(label_job *job, int32_t task, const char *result,
                            result_head *head)
{
    const label_task *t = &job->task[task];
    result = uap_bytes_get(result, head, sizeof *head);
    if (head->is_too_long) {
        job->too_long[job->n_too_long++] = task;
    } else {
        *looked_of(&job->s->group[t->group], t->x, t->only) = head->effort;
    }
    job->labels += head->labels;
    job->effort += head->effort;
    return result;
}

static uap_status apply_raised(void *self, int32_t task, const char *result, uap_err *err)
{
    label_job *job = self;
    const label_task *t = &job->task[task];
    const uap_group *group = &job->s->group[t->group];
    result_head head;
    (void)err;
    result = get_head(job, task, result, &head);
    for (int64_t i = 0; i < head.n; i++) {
        uap_raised raised;
        result = uap_bytes_get(result, &raised, sizeof raised);
        double *bound =
            &group->bound[raised.functional][t->x * group->cells + raised.cell];
        if (raised.bound > *bound) {
            job->s->is_tightened = true;
            *bound = raised.bound;
        }
    }
    return UAP_OK;
}

static uap_status apply_sets(void *self, int32_t task, const char *result, uap_err *err)
{
    label_job *job = self;
    const label_task *t = &job->task[task];
    uap_group *group = &job->s->group[t->group];
    uap_segments *s = job->s;
    result_head head;
    result = get_head(job, task, result, &head);
    group->row[t->x].has_sets |= head.n > 0;
    for (int64_t i = 0; i < head.n; i++) {
        int32_t of[2];
        result = uap_bytes_get(result, of, sizeof of);
        if (!uap_segments_reserve(s, of[1])) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for segments");
        }
        group->row[t->x].set[of[0]] =
            (uap_segment_set){.first = s->n_points, .count = of[1]};
        result = uap_bytes_get(result, &s->point[s->n_points],
                               (size_t)of[1] * sizeof *s->point);
        s->n_points += of[1];
    }
    return UAP_OK;
}

/* ---- Jobs ---- */

static void add_task(label_job *job, int32_t group, int32_t x, int32_t only)
{
    const int64_t steps = least_steps(job->s, &job->s->group[group]);
    job->task[job->n++] = (label_task){group, x, only, steps,
                                       expected_labels(&job->s->group[group], x, only)};
    job->steps += steps;
}

/* Runs that raise the bounds of a start class. */
static void add_tightening(label_job *job, int32_t i, int32_t x)
{
    uap_group *group = &job->s->group[i];
    start_run(&job->run, group, x, FULL_LABELS);
    if (uap_run_is_plane(&job->run)) {
        if (job->s->chain->pp == 1) {
            add_task(job, i, x, EXCESS);
        }
        return;
    }
    for (int32_t f = 0; f < group->n_functionals; f++) {
        add_task(job, i, x, f);
    }
}

static uap_status begin_job(label_job *job, uap_segments *s, uap_err *err)
{
    size_t n = 0;
    *job = (label_job){.s = s};
    for (int32_t i = 0; i < s->n_groups; i++) {
        n += (size_t)s->group[i].n_in * UAP_MAX_FUNCTIONALS;
    }
    const bool ok = uap_label_run_init(&job->run, s);
    job->task = uap_calloc(n, sizeof *job->task);
    job->too_long = uap_calloc(n, sizeof *job->too_long);
    return ok && job->task != NULL && job->too_long != NULL
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
}

static int by_number(const void *a, const void *b)
{
    const int32_t p = *(const int32_t *)a;
    const int32_t q = *(const int32_t *)b;
    return (p > q) - (p < q);
}

/* ---- Long runs, of all members of a crew ---- */

static bool make_beside(label_job *job)
{
    job->beside = uap_calloc(SIDE_BY_SIDE, sizeof *job->beside);
    bool ok = job->beside != NULL;
    for (int32_t i = 0; i < SIDE_BY_SIDE && ok; i++) {
        ok = uap_label_run_init(&job->beside[i], job->s);
        job->beside[i].crew = job->s->crew;
    }
    return ok;
}

/* Starts long runs from number `first` on, as many as have room beside each other; returns how
 * many. */
static int32_t start_beside(label_job *job, int32_t first, uap_bytes *records)
{
    size_t numbers = 0;
    int32_t n = 0;
    while (n < SIDE_BY_SIDE && first + n < job->n_too_long) {
        const label_task *t = &job->task[job->too_long[first + n]];
        uap_label_run *run = &job->beside[n];
        start_run(run, &job->s->group[t->group], t->x, t->only);
        numbers += uap_limits_most_numbers(run);
        if (n > 0 && numbers > MOST_LIMITS) {
            break;
        }
        run->records = &records[n++];
        run->records->n = 0;
    }
    return n;
}

/* The result of a run that all have walked, applied as if it came from one of them. */
static uap_status apply_walked(label_job *job, const uap_crew_job *all, int32_t task,
                               const uap_label_run *run, uap_err *err)
{
    const result_head head = {.effort = run->looked, .n = run->n_records};
    uap_bytes result = {0};
    const uap_status rc =
        uap_bytes_put(&result, &head, sizeof head) &&
                uap_bytes_put(&result, run->records->at, run->records->n)
            ? all->apply(job, task, result.at, err)
            : UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    uap_bytes_free(&result);
    return rc;
}

static uap_status walk_beside(label_job *job, const uap_crew_job *all, int32_t first,
                              int32_t n, uap_err *err)
{
    uap_label_run *runs[SIDE_BY_SIDE];
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < n; i++) {
        runs[i] = &job->beside[i];
    }
    const bool ok = uap_label_runs_walk(runs, n);
    if (runs[0]->failed.code != UAP_OK) {
        *err = runs[0]->failed;
        return runs[0]->failed.code;
    }
    if (!ok && !job->s->stopped) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    }
    for (int32_t i = 0; i < n && ok; i++) {
        UAP_TRY(apply_walked(job, all, job->too_long[first + i], runs[i], err));
    }
done:
    return rc;
}

/* Runs that were too long for one rank, some at a time. */
static uap_status do_too_long(label_job *job, const uap_crew_job *all, uap_err *err)
{
    uap_bytes records[SIDE_BY_SIDE] = {{0}};
    uap_status rc = UAP_OK;
    qsort(job->too_long, (size_t)job->n_too_long, sizeof *job->too_long, by_number);
    if (job->n_too_long > 0 && !make_beside(job)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    }
    UAP_TRY(rc);
    for (int32_t first = 0; first < job->n_too_long && !job->s->stopped;) {
        const int32_t n = start_beside(job, first, records);
        UAP_TRY(walk_beside(job, all, first, n, err));
        first += n;
    }
done:
    for (int32_t i = 0; i < SIDE_BY_SIDE; i++) {
        uap_bytes_free(&records[i]);
    }
    return rc;
}

static double expected_s(const label_task *t)
{
    return 1e-9 * (double)uap_label_steps(t->only >= 0, t->looked);
}

/* Moves runs that are known to be too long for one rank behind the others, which are left to
 * be shared out. A run is too long when it takes long at all, and half of what would be each
 * rank's share of all runs. */
static void set_long_apart(label_job *job, uap_crew_job *all)
{
    const uap_crew *crew = job->s->crew;
    double all_s = 0;
    for (int32_t i = 0; i < job->n; i++) {
        all_s += expected_s(&job->task[i]);
    }
    const double share_s = crew->members > 0 ? all_s / (2 * crew->members) : 0;
    const double tasks_each = (double)job->n / uap_max_i32(crew->members, 1);
    job->run.patience_s =
        uap_max_f64(crew->long_task_s * uap_min_f64(tasks_each / MANY_TASKS, 1), share_s);
    const double known_s = KNOWN_BY * uap_max_f64(job->run.patience_s, 0);
    int32_t n = 0;
    while (n < job->n && job->task[n].looked > 0 && job->task[n].only != EXCESS &&
           expected_s(&job->task[n]) > known_s) {
        n++;
    }
    for (int32_t i = 0; i < n; i++) {
        const label_task known = job->task[0];
        memmove(job->task, job->task + 1, (size_t)(job->n - 1) * sizeof *job->task);
        job->task[job->n - 1] = known;
        job->too_long[job->n_too_long++] = job->n - n + i;
    }
    all->n = job->n - n;
}

/* Does the job's tasks, the longest first as far as can be told, and counts what they took
 * altogether, whoever did them. */
static uap_status do_job(label_job *job, uap_crew_job *all, uap_err *err)
{
    uap_segments *s = job->s;
    const int64_t labels = s->labels;
    const int64_t effort = s->effort;
    bool stopped = false;
    uap_status rc = UAP_OK;
    qsort(job->task, (size_t)job->n, sizeof *job->task, by_length);
    all->self = job;
    all->n = job->n;
    all->work = job->steps;
    all->effort = effort;
    all->at_end = true;
    all->run = run_task;
    if (s->crew != NULL) {
        set_long_apart(job, all);
    }
    /* What everyone does for himself must not depend on the clock: there the crew shares
     * the layers of long runs at once. */
    const bool is_shared = uap_crew_shares(s->crew, all);
    job->run.is_patient = !is_shared;
    job->run.crew = is_shared ? NULL : s->crew;
    UAP_TRY(uap_crew_do(s->crew, all, &stopped, err));
    s->stopped = stopped;
    if (!stopped) {
        s->labels = labels + job->labels;
        s->effort = effort - job->effort;
        s->stopped = s->effort < 0;
        rc = do_too_long(job, all, err);
    }
done:
    return rc;
}

static void end_job(label_job *job)
{
    uap_label_run_free(&job->run);
    for (int32_t i = 0; job->beside != NULL && i < SIDE_BY_SIDE; i++) {
        uap_label_run_free(&job->beside[i]);
    }
    uap_free(job->beside);
    uap_free(job->task);
    uap_free(job->too_long);
}

uap_status uap_segments_tighten(uap_segments *s, uap_err *err)
{
    label_job job;
    uap_status rc = UAP_OK;
    UAP_TRY(begin_job(&job, s, err));
    s->is_tightened = false;
    for (int32_t i = 0; i < s->n_groups; i++) {
        for (int32_t x = 0; x < s->group[i].n_in; x++) {
            if (s->group[i].row[x].wanted) {
                add_tightening(&job, i, x);
            }
        }
    }
    UAP_TRY(do_job(&job, &(uap_crew_job){.apply = apply_raised, .keeps = true}, err));
done:
    end_job(&job);
    return rc;
}

/* Empty sets for a row whose cells are wanted; those of any other are forgotten. */
static bool make_sets(uap_segments *s, const uap_group *group, uap_group_row *row)
{
    const size_t n = (size_t)uap_group_cells(group);
    if (row->has_sets) {
        memset(row->set, 0, n * sizeof *row->set);
        row->has_sets = false;
    }
    if (row->wanted && row->set == NULL) {
        row->set = uap_arena_alloc(s->arena, n, sizeof *row->set);
        return row->set != NULL;
    }
    return true;
}

uap_status uap_segments_solve(uap_segments *s, uap_err *err)
{
    label_job job;
    uap_status rc = UAP_OK;
    UAP_TRY(begin_job(&job, s, err));
    s->n_points = 0;
    for (int32_t i = 0; i < s->n_groups; i++) {
        uap_group *group = &s->group[i];
        for (int32_t x = 0; x < group->n_in; x++) {
            uap_group_row *row = &group->row[x];
            if (!make_sets(s, group, row)) {
                rc = UAP_FAIL(err, NO_MEMORY, "out of memory for segments");
                goto done;
            }
            if (row->wanted) {
                add_task(&job, i, x, FULL_LABELS);
            }
        }
    }
    UAP_TRY(do_job(&job, &(uap_crew_job){.apply = apply_sets}, err));
done:
    end_job(&job);
    return rc;
}
