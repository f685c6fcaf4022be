/* Inside of search/mix.h: one stage's lists as a job of the crew (search/crew.h), a task for
 * every list. What tasks count against the mix's effort is counted whoever does them. Nobody
 * else includes this. */
#ifndef UAP_SEARCH_MIX_JOB_H
#define UAP_SEARCH_MIX_JOB_H

#include "search/mix.h"

#include "common/bytes.h"

/* A list of stage i at a layer, of a class of type t or, as the job has it, of all types. */
typedef struct uap_mix_task {
    int32_t i, t, layer, id;
    int64_t labels; /* to be looked at */
    size_t at;      /* its list among those kept: the job's own */
} uap_mix_task;

typedef struct uap_mix_job {
    uap_mix *mix;
    void *self;
    /* Makes a list and appends it to `out`. False: no memory, or, where mix->stopped is set, the
     * run must end. */
    bool (*make)(void *self, const uap_mix_task *task, uap_bytes *out);
    /* Takes the list in, once for each task, in the order of tasks. False: no memory. */
    bool (*take)(void *self, const uap_mix_task *task, const char *list);
    uap_mix_task *task; /* [n] the caller's; put in order */
    int32_t n;
    int64_t spent;  /* effort of what was done; 0 at first */
    uap_bytes kept; /* lists that were not taken in yet; empty at first */
} uap_mix_job;

/* Does the tasks, the longest first. Where mix->stopped is set afterwards, lists are missing.
 * Errors: NO_MEMORY, those of the crew. */
UAP_NODISCARD uap_status uap_mix_job_do(uap_mix_job *job, uap_err *err);

#endif
