/* A crew: processes that run one and the same search side by side. What is cheap every one
 * of them does for itself, with the same outcome; the long loops are jobs, whose tasks they
 * share out. Each task's result is bytes, which every one of them applies to its own data,
 * so that all go on from the same state. Alone, without a crew, a job is a plain loop.
 *
 * This is the interface; how tasks and bytes travel is not known here. */
#ifndef UAP_SEARCH_CREW_H
#define UAP_SEARCH_CREW_H

#include "common/bytes.h"
#include "common/status.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Tasks 0 .. n - 1, in any order and anywhere. The long ones should come first. */
typedef struct uap_crew_job {
    void *self;
    int32_t n;
    int64_t work;   /* of all tasks together, at least, in steps of about a nanosecond */
    int64_t effort; /* the job is given up when uap_crew.spend has counted more */
    /* Results count only when all of the job is done: they are applied then, or never.
     * Else one may be applied as soon as it is there, and what a stopped job leaves is
     * good for nothing. */
    bool at_end;
    /* With at_end: what was finished counts although the job was given up. */
    bool keeps;
    /* Works out one task and appends its result to `out`, what is there being of others.
     * Nothing else that lasts may come of it. *stop: it was not finished, and nor need the
     * others be. */
    uap_status (*run)(void *self, int32_t task, uap_bytes *out, bool *stop, uap_err *err);
    /* Takes a result in; once per task, in any order. */
    uap_status (*apply)(void *self, int32_t task, const char *result, uap_err *err);
} uap_crew_job;

/* A job of so many steps takes longer than sharing it out, which takes some 0.2 ms. */
#define UAP_CREW_LEAST_WORK 1000000

/* A task of so many CPU seconds would keep the others waiting. */
#define UAP_CREW_LONG_TASK_S 0.04

typedef struct uap_crew {
    void *context;
    int32_t members; /* 0: not known */
    /* Jobs of less work are done by everyone alone. */
    int64_t least_work;
    /* A task that takes longer, in CPU seconds, is better given up and split, where it can
     * be. */
    double long_task_s;
    /* Does a job together: *stopped, alike for all, when it was not finished. All members
     * call it with the same job in the same order. Errors are those of tasks, alike for
     * all. */
    uap_status (*share)(void *context, const uap_crew_job *job, bool *stopped,
                        uap_err *err);
    /* Called while a task runs: counts what it has done since the last call. True when the
     * crew together has done more than the job's effort. */
    bool (*spend)(void *context, int64_t work);
    /* Between jobs: whether to stop becomes the same for all. `state` is a number that all
     * of them must have alike. Errors: INTERNAL where it is not; `own`, a member's failure,
     * is everyone's. */
    uap_status (*meet)(void *context, int64_t state, uap_status own, uap_err *err);
} uap_crew;

/* Whether the job is worth sharing; else every member does all of it. */
bool uap_crew_shares(const uap_crew *crew, const uap_crew_job *job);

/* Does a job, with the crew where it is worth while. crew: NULL, alone. After *stopped
 * what was finished is applied (keeps), or nothing (at_end), or the data are good for nothing. Errors: those of tasks,
 * NO_MEMORY. */
UAP_NODISCARD uap_status uap_crew_do(const uap_crew *crew, const uap_crew_job *job,
                                     bool *stopped, uap_err *err);

/* Results of several tasks, one behind the other: begin, append the result, end. */
size_t uap_crew_begin(uap_bytes *results, int32_t task); /* SIZE_MAX: no memory */
void uap_crew_end(uap_bytes *results, size_t begun);

/* How many bytes from the front of n are whole results that come to `most` at the most, or
 * the first alone. n > 0. */
size_t uap_crew_cut(const char *results, size_t n, size_t most);

/* Applies all of them. */
UAP_NODISCARD uap_status uap_crew_apply(const uap_crew_job *job, const char *results,
                                        size_t n, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
