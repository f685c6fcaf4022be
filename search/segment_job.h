/* Inside of search/segment.h: runs of labels as the tasks of a job, shared by the exact sets
 * (segment_work.c) and the bounds raised one functional at a time (segment_tighten.c). Nobody
 * else includes this. */
#ifndef UAP_SEARCH_SEGMENT_JOB_H
#define UAP_SEARCH_SEGMENT_JOB_H

#include "search/label_run.h"

/* Runs that a crew walks side by side, at most. */
#define UAP_SIDE_BY_SIDE 8

/* What a task is of, beside one functional alone. */
enum { UAP_TASK_FULL = -1, UAP_TASK_EXCESS = -2 };

/* One run: a start class, and the functional it is of. */
typedef struct uap_label_task {
    int32_t group, x, only;
    int64_t steps;  /* at least */
    int64_t looked; /* labels, by runs before */
    int32_t place;  /* in the order in which one process does them */
} uap_label_task;

/* What a result begins with; records follow. */
typedef struct uap_label_result {
    int64_t labels, effort; /* created, and looked at */
    int64_t n;              /* records */
    bool is_too_long;       /* there is no result: one rank gave up */
} uap_label_result;

typedef struct uap_label_job {
    void *own; /* of who made the job */
    uap_segments *s;
    uap_label_run run;
    uap_label_run *beside; /* of long runs, made when there are any */
    uap_label_task *task;
    int32_t n;
    int32_t *too_long; /* [n_too_long] tasks that all members of the crew do together */
    int32_t n_too_long;
    int64_t steps;
    int64_t labels, effort; /* of all tasks applied: created, and looked at */
    bool short_first;       /* or the long tasks: set before they are sorted */
    bool is_shared;         /* among the members of a crew; else each did it in order */
} uap_label_job;

/* A job without tasks. Ended also after a failure. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_label_job_begin(uap_label_job *job, uap_segments *s,
                                             uap_err *err);
void uap_label_job_end(uap_label_job *job);

void uap_label_job_add(uap_label_job *job, int32_t group, int32_t x, int32_t only);

/* Points the job's own run at a start class. */
void uap_label_job_start(uap_label_job *job, uap_group *group, int32_t x, int32_t only);

/* The head of a task's result, noted as what the task comes to. Returns what is behind it. */
const char *uap_label_job_take(uap_label_job *job, int32_t task, const char *result,
                               uap_label_result *head);

/* Puts the tasks in order, the longest first or last as far as can be told, but those that are
 * known to be too long for one rank always behind the others: they are in too_long, and none
 * of all->n. all: apply and keeps are set. */
void uap_label_job_sort(uap_label_job *job, uap_crew_job *all);

/* Does all->n tasks within the segments' effort; those that turn out too long are left, in
 * too_long. Errors: NO_MEMORY, those of the crew. */
UAP_NODISCARD uap_status uap_label_job_share(uap_label_job *job, uap_crew_job *all,
                                             uap_err *err);

/* The first *n of some tasks, or fewer (*n is set), walked by all members side by side, and
 * their results applied, but of those dropped beyond their allowances (search/label_run.h).
 * Errors: as above. */
UAP_NODISCARD uap_status uap_label_job_walk(uap_label_job *job, const uap_crew_job *all,
                                            const int32_t *tasks,
                                            const int64_t *allowance, int32_t *n,
                                            uap_err *err);

#endif
