/* The segments of all start classes as jobs: one task is one run of labels (label_walk.c). And
 * their exact sets. */
#include "search/segment_job.h"

#include "common/numbers.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A run is known to be too long when it is expected to take so many times what a rank is
 * given for it. */
#define KNOWN_BY 2

/* Where each rank has fewer tasks than this, one that takes long has less to stand beside. */
#define MANY_TASKS 16

/* Limits that runs side by side may take together. */
#define MOST_LIMITS ((size_t)1 << 25) /* numbers: 256 MiB */

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

void uap_label_job_start(uap_label_job *job, uap_group *group, int32_t x, int32_t only)
{
    start_run(&job->run, group, x, only);
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
    const uap_label_task *p = a;
    const uap_label_task *q = b;
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

static int by_shortness(const void *a, const void *b)
{
    return by_length(b, a);
}

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
static uap_status give_up(uap_segments *s, const uap_label_result *before, size_t at,
                          uap_bytes *out, uap_err *err)
{
    const uap_label_result head = {.is_too_long = true};
    s->labels = before->labels;
    s->effort = before->effort;
    out->n = at;
    return uap_bytes_put(out, &head, sizeof head)
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
}

/* One run, of one rank or, where it has a crew, of all. */
static uap_status do_run(uap_label_job *job, int32_t task, uap_bytes *out, bool *stop,
                         uap_err *err)
{
    uap_segments *s = job->s;
    uap_label_run *run = &job->run;
    const uap_label_task *t = &job->task[task];
    const uap_label_result before = {.labels = s->labels, .effort = s->effort};
    const size_t at = out->n;
    uap_label_result head = {0};
    bool ok = uap_bytes_put(out, &head, sizeof head);
    run->records = out;
    start_run(run, &s->group[t->group], t->x, t->only == UAP_TASK_EXCESS ? -1 : t->only);
    ok = ok && (t->only == UAP_TASK_EXCESS ? raise_by_excess(run)
                                           : uap_label_runs_walk(&run, 1));
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
    head = (uap_label_result){.labels = s->labels - before.labels,
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
    uap_label_job *job = self;
    return do_run(job, task, out, stop, err);
}

const char *uap_label_job_take(uap_label_job *job, int32_t task, const char *result,
                               uap_label_result *head)
{
    const uap_label_task *t = &job->task[task];
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

static uap_status apply_sets(void *self, int32_t task, const char *result, uap_err *err)
{
    uap_label_job *job = self;
    const uap_label_task *t = &job->task[task];
    uap_group *group = &job->s->group[t->group];
    uap_segments *s = job->s;
    uap_label_result head;
    result = uap_label_job_take(job, task, result, &head);
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

void uap_label_job_add(uap_label_job *job, int32_t group, int32_t x, int32_t only)
{
    const int64_t steps = least_steps(job->s, &job->s->group[group]);
    job->task[job->n++] =
        (uap_label_task){.group = group,
                         .x = x,
                         .only = only,
                         .steps = steps,
                         .looked = expected_labels(&job->s->group[group], x, only)};
    job->steps += steps;
}

uap_status uap_label_job_begin(uap_label_job *job, uap_segments *s, uap_err *err)
{
    size_t n = 0;
    *job = (uap_label_job){.s = s};
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

static bool make_beside(uap_label_job *job)
{
    job->beside = uap_calloc(UAP_SIDE_BY_SIDE, sizeof *job->beside);
    bool ok = job->beside != NULL;
    for (int32_t i = 0; i < UAP_SIDE_BY_SIDE && ok; i++) {
        ok = uap_label_run_init(&job->beside[i], job->s);
        job->beside[i].crew = job->s->crew;
    }
    return ok;
}

/* Starts the first runs of some tasks, as many as have room beside each other; returns how
 * many. */
static int32_t start_beside(uap_label_job *job, const int32_t *tasks, int32_t n_tasks,
                            uap_bytes *records)
{
    size_t numbers = 0;
    int32_t n = 0;
    while (n < UAP_SIDE_BY_SIDE && n < n_tasks) {
        const uap_label_task *t = &job->task[tasks[n]];
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
static uap_status apply_walked(uap_label_job *job, const uap_crew_job *all, int32_t task,
                               const uap_label_run *run, uap_err *err)
{
    const uap_label_result head = {.effort = run->looked, .n = run->n_records};
    uap_bytes result = {0};
    const uap_status rc =
        uap_bytes_put(&result, &head, sizeof head) &&
                uap_bytes_put(&result, run->records->at, run->records->n)
            ? all->apply(job, task, result.at, err)
            : UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    uap_bytes_free(&result);
    return rc;
}

/* Walks the n runs started for these tasks. */
static uap_status walk_beside(uap_label_job *job, const uap_crew_job *all,
                              const int32_t *tasks, int32_t n, uap_err *err)
{
    uap_label_run *runs[UAP_SIDE_BY_SIDE];
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
        if (!runs[i]->is_dropped) {
            UAP_TRY(apply_walked(job, all, tasks[i], runs[i], err));
        }
    }
done:
    return rc;
}

uap_status uap_label_job_walk(uap_label_job *job, const uap_crew_job *all,
                              const int32_t *tasks, const int64_t *allowance, int32_t *n,
                              uap_err *err)
{
    uap_bytes records[UAP_SIDE_BY_SIDE] = {{0}};
    uap_status rc = UAP_OK;
    if (job->beside == NULL && !make_beside(job)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for labels");
    }
    UAP_TRY(rc);
    *n = start_beside(job, tasks, *n, records);
    for (int32_t i = 0; i < *n && allowance != NULL; i++) {
        job->beside[i].allowance = allowance[i];
    }
    UAP_TRY(walk_beside(job, all, tasks, *n, err));
done:
    for (int32_t i = 0; i < UAP_SIDE_BY_SIDE; i++) {
        uap_bytes_free(&records[i]);
    }
    return rc;
}

/* Runs that were too long for one rank, some at a time, as long as there is effort. */
static uap_status do_too_long(uap_label_job *job, const uap_crew_job *all, uap_err *err)
{
    uap_status rc = UAP_OK;
    qsort(job->too_long, (size_t)job->n_too_long, sizeof *job->too_long, by_number);
    for (int32_t first = 0; first < job->n_too_long && !job->s->stopped;) {
        int32_t n = job->n_too_long - first;
        UAP_TRY(uap_label_job_walk(job, all, &job->too_long[first], NULL, &n, err));
        first += n;
    }
done:
    return rc;
}

static double expected_s(const uap_label_task *t)
{
    return 1e-9 * (double)uap_label_steps(t->only >= 0, t->looked);
}

static const uap_label_task *nth_longest(const uap_label_job *job, int32_t n)
{
    return &job->task[job->short_first ? job->n - 1 - n : n];
}

static bool is_known(const uap_label_task *t, double known_s)
{
    return t->looked > 0 && t->only != UAP_TASK_EXCESS && expected_s(t) > known_s;
}

/* Moves runs that are known to be too long for one rank behind the others, which are left to
 * be shared out. A run is too long when it takes long at all, and half of what would be each
 * rank's share of all runs. */
static void set_long_apart(uap_label_job *job, uap_crew_job *all)
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
    while (n < job->n && is_known(nth_longest(job, n), known_s)) {
        n++;
    }
    for (int32_t i = 0; i < n; i++) {
        if (!job->short_first) {
            const uap_label_task known = job->task[0];
            memmove(job->task, job->task + 1, (size_t)(job->n - 1) * sizeof *job->task);
            job->task[job->n - 1] = known;
        }
        job->too_long[job->n_too_long++] = job->n - n + i;
    }
    all->n = job->n - n;
}

void uap_label_job_sort(uap_label_job *job, uap_crew_job *all)
{
    const uap_crew *crew = job->s->crew;
    qsort(job->task, (size_t)job->n, sizeof *job->task,
          job->short_first ? by_shortness : by_length);
    for (int32_t i = 0; i < job->n; i++) {
        job->task[i].place = i;
    }
    all->self = job;
    all->n = job->n;
    all->work = job->steps;
    all->at_end = true;
    all->run = run_task;
    if (crew != NULL) {
        set_long_apart(job, all);
    }
    /* What everyone does for himself must not depend on the clock: there the crew shares
     * the layers of long runs at once. */
    job->is_shared = uap_crew_shares(crew, all);
    job->run.is_patient = !job->is_shared;
    job->run.crew = job->is_shared ? NULL : crew;
}

uap_status uap_label_job_share(uap_label_job *job, uap_crew_job *all, uap_err *err)
{
    bool stopped = false;
    all->effort = job->s->effort;
    const uap_status rc = uap_crew_do(job->s->crew, all, &stopped, err);
    job->s->stopped = stopped;
    return rc;
}

/* All of that: sorts, shares, and walks what is too long, within the effort altogether, and
 * counts what it took, whoever did it. */
static uap_status do_all(uap_label_job *job, uap_crew_job *all, uap_err *err)
{
    uap_segments *s = job->s;
    const int64_t labels = s->labels;
    const int64_t effort = s->effort;
    uap_status rc = UAP_OK;
    uap_label_job_sort(job, all);
    UAP_TRY(uap_label_job_share(job, all, err));
    if (!s->stopped) {
        s->labels = labels + job->labels;
        s->effort = effort - job->effort;
        s->stopped = s->effort < 0;
        UAP_TRY(do_too_long(job, all, err));
    }
    /* What was done in vain depends on who did what. */
    s->labels = s->stopped ? labels : s->labels;
done:
    return rc;
}

void uap_label_job_end(uap_label_job *job)
{
    uap_label_run_free(&job->run);
    for (int32_t i = 0; job->beside != NULL && i < UAP_SIDE_BY_SIDE; i++) {
        uap_label_run_free(&job->beside[i]);
    }
    uap_free(job->beside);
    uap_free(job->task);
    uap_free(job->too_long);
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
    uap_label_job job;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_label_job_begin(&job, s, err));
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
                uap_label_job_add(&job, i, x, UAP_TASK_FULL);
            }
        }
    }
    UAP_TRY(do_all(&job, &(uap_crew_job){.apply = apply_sets}, err));
done:
    uap_label_job_end(&job);
    return rc;
}
