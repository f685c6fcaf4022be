/* Bounds of segments raised one functional at a time (search/segment.h): the results of runs
 * are taken in as far as one process would have come, so that a search that is given up
 * leaves the same bounds whoever did it. */
#include "search/segment_job.h"

#include "common/mem.h"

/* The result of a task. */
typedef struct kept_result {
    bool is_there;
    bool is_beyond; /* it was dropped: one process would not have come through */
    size_t at;      /* in tightening.results */
    int64_t effort; /* labels looked at */
} kept_result;

typedef struct tightening {
    uap_label_job job;
    uap_bytes results;
    kept_result *kept; /* [tasks] */
    int32_t *order;    /* [tasks] tasks by place */
} tightening;

/* Runs that raise the bounds of a start class. */
static void add_tightening(uap_label_job *job, int32_t i, int32_t x)
{
    uap_group *group = &job->s->group[i];
    uap_label_job_start(job, group, x, UAP_TASK_FULL);
    if (uap_run_is_plane(&job->run)) {
        if (job->s->chain->pp == 1) {
            uap_label_job_add(job, i, x, UAP_TASK_EXCESS);
        }
        return;
    }
    for (int32_t f = 0; f < group->n_functionals; f++) {
        uap_label_job_add(job, i, x, f);
    }
}

/* Results wait until it is known which of them count. */
static uap_status keep_raised(void *self, int32_t task, const char *result, uap_err *err)
{
    uap_label_job *job = self;
    tightening *t = job->own;
    uap_label_result head;
    (void)uap_bytes_get(result, &head, sizeof head);
    if (head.is_too_long) {
        (void)uap_label_job_take(job, task, result, &head);
        return UAP_OK;
    }
    t->kept[task] =
        (kept_result){.is_there = true, .at = t->results.n, .effort = head.effort};
    job->labels += head.labels;
    job->effort += head.effort;
    return uap_bytes_put(&t->results, result,
                         sizeof head + (size_t)head.n * sizeof(uap_raised))
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for bounds");
}

static void apply_raised(tightening *t, int32_t task)
{
    uap_segments *s = t->job.s;
    const uap_label_task *of = &t->job.task[task];
    const uap_group *group = &s->group[of->group];
    uap_label_result head;
    const char *at =
        uap_label_job_take(&t->job, task, t->results.at + t->kept[task].at, &head);
    for (int64_t i = 0; i < head.n; i++) {
        uap_raised raised;
        at = uap_bytes_get(at, &raised, sizeof raised);
        double *bound =
            &group->bound[raised.functional][of->x * group->cells + raised.cell];
        if (raised.bound > *bound) {
            s->is_tightened = true;
            *bound = raised.bound;
        }
    }
}

/* The first place whose task is missing, or takes more than the places before it have left of
 * the effort, as it would have ended one process; n where there is none. *left: at a missing
 * one that may still be done, >= 0, else -1. */
static int32_t first_open(const tightening *t, int64_t effort, int64_t *left)
{
    *left = -1;
    for (int32_t place = 0; place < t->job.n; place++) {
        const kept_result *kept = &t->kept[t->order[place]];
        if (!kept->is_there) {
            *left = kept->is_beyond ? -1 : effort;
            return place;
        }
        if (kept->effort > effort) {
            return place;
        }
        effort -= kept->effort;
    }
    return t->job.n;
}

/* What is missing from a place on: as much as may be walked side by side. */
typedef struct missing_tasks {
    int32_t task[UAP_SIDE_BY_SIDE];
    int64_t allowance[UAP_SIDE_BY_SIDE]; /* of the effort, less what lies in front */
    int32_t n;
} missing_tasks;

static void list_missing(const tightening *t, int32_t place, int64_t left,
                         missing_tasks *list)
{
    list->n = 0;
    while (place < t->job.n && left >= 0 && list->n < UAP_SIDE_BY_SIDE) {
        const int32_t task = t->order[place++];
        const kept_result *kept = &t->kept[task];
        if (kept->is_beyond || t->job.task[task].only == UAP_TASK_EXCESS) {
            return;
        }
        left -= kept->is_there ? kept->effort : 0;
        if (!kept->is_there) {
            list->task[list->n] = task;
            list->allowance[list->n++] = left;
        }
    }
}

/* How many places one process would have come through, in *end. Members of a crew do tasks in
 * other orders: what is missing in front is walked by all of them. */
static uap_status find_end(tightening *t, const uap_crew_job *all, int64_t effort,
                           int32_t *end, uap_err *err)
{
    uap_segments *s = t->job.s;
    missing_tasks list;
    uap_status rc = UAP_OK;
    do {
        int64_t left = -1;
        *end = first_open(t, effort, &left);
        list_missing(t, *end, left, &list);
        if (list.n > 0) {
            s->effort = INT64_MAX; /* each has its allowance */
            s->stopped = false;
            UAP_TRY(uap_label_job_walk(&t->job, all, list.task, list.allowance, &list.n,
                                       err));
        }
        for (int32_t i = 0; i < list.n; i++) {
            kept_result *kept = &t->kept[list.task[i]];
            kept->is_beyond = !kept->is_there;
        }
    } while (list.n > 0 && !s->stopped);
done:
    return rc;
}

/* Does the tasks and tells how many places count. The short ones come first: where not all can
 * be done, they raise more, and what takes all members stands behind the others anyway. */
static uap_status do_tasks(tightening *t, int32_t *end, uap_err *err)
{
    uap_label_job *job = &t->job;
    const int64_t effort = job->s->effort;
    uap_crew_job all = {.apply = keep_raised, .keeps = true};
    int64_t left = 0;
    uap_status rc = UAP_OK;
    job->short_first = true;
    uap_label_job_sort(job, &all);
    for (int32_t i = 0; i < job->n; i++) {
        t->order[job->task[i].place] = i;
    }
    UAP_TRY(uap_label_job_share(job, &all, err));
    if (job->s->stopped && !job->is_shared) {
        *end = first_open(t, effort, &left); /* the task that took too much */
    } else {
        UAP_TRY(find_end(t, &all, effort, end, err));
    }
done:
    return rc;
}

static uap_status raise_all(tightening *t, uap_err *err)
{
    uap_segments *s = t->job.s;
    const int64_t labels = s->labels;
    const int64_t effort = s->effort;
    int32_t end = 0;
    uap_status rc = UAP_OK;
    UAP_TRY(do_tasks(t, &end, err));
    t->job.labels = t->job.effort = 0;
    for (int32_t place = 0; place < end; place++) {
        apply_raised(t, t->order[place]);
    }
    s->labels = labels + t->job.labels;
    s->effort = end < t->job.n ? -1 : effort - t->job.effort;
    s->stopped = end < t->job.n;
done:
    return rc;
}

uap_status uap_segments_tighten(uap_segments *s, uap_err *err)
{
    tightening t = {.kept = NULL};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_label_job_begin(&t.job, s, err));
    t.job.own = &t;
    s->is_tightened = false;
    for (int32_t i = 0; i < s->n_groups; i++) {
        for (int32_t x = 0; x < s->group[i].n_in; x++) {
            if (s->group[i].row[x].wanted) {
                add_tightening(&t.job, i, x);
            }
        }
    }
    t.kept = uap_calloc((size_t)t.job.n, sizeof *t.kept);
    t.order = uap_calloc((size_t)t.job.n, sizeof *t.order);
    rc = t.job.n == 0 || (t.kept != NULL && t.order != NULL)
             ? UAP_OK
             : UAP_FAIL(err, NO_MEMORY, "out of memory for bounds");
    UAP_TRY(rc);
    rc = raise_all(&t, err);
done:
    uap_label_job_end(&t.job);
    uap_bytes_free(&t.results);
    uap_free(t.kept);
    uap_free(t.order);
    return rc;
}
