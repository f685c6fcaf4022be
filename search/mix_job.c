/* Lists as tasks of a crew (search/mix_job.h). */
#include "search/mix_job.h"

#include "search/crew.h"

#include <stdlib.h>
#include <string.h>

/* Work of a label that is looked at, in nanoseconds. */
#define STEPS_OF_A_LABEL 60

static uap_status run_task(void *self, int32_t task, uap_bytes *out, bool *stop,
                           uap_err *err)
{
    uap_mix_job *job = self;
    uap_mix *mix = job->mix;
    const int64_t effort = mix->effort;
    const size_t at = out->n;
    int64_t spent = 0;
    mix->unspent = 0; /* whoever does the task */
    int64_t n = 0;
    const bool ok = uap_bytes_put(out, &spent, sizeof spent) &&
                    uap_bytes_put(out, &n, sizeof n) &&
                    job->make(job->self, &job->task[task], out);
    *stop = mix->stopped;
    if (!ok && !*stop) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
    }
    if (ok) {
        spent = effort - mix->effort;
        n = (int64_t)(out->n - at - sizeof spent - sizeof n);
        memcpy(out->at + at, &spent, sizeof spent);
        memcpy(out->at + at + sizeof spent, &n, sizeof n);
    }
    return UAP_OK;
}

/* Results are kept until all are there: lists name each other's labels by their places, which
 * are alike for all members of a crew where they take them in one order. */
static uap_status apply_task(void *self, int32_t task, const char *result, uap_err *err)
{
    uap_mix_job *job = self;
    int64_t spent = 0;
    int64_t n = 0;
    result = uap_bytes_get(result, &spent, sizeof spent);
    result = uap_bytes_get(result, &n, sizeof n);
    job->spent += spent;
    job->task[task].at = job->kept.n;
    return uap_bytes_put(&job->kept, result, (size_t)n)
               ? UAP_OK
               : UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
}

static uap_status take_all(uap_mix_job *job, uap_err *err)
{
    for (int32_t k = 0; k < job->n; k++) {
        if (!job->take(job->self, &job->task[k], job->kept.at + job->task[k].at)) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
        }
    }
    return UAP_OK;
}

static int by_length(const void *a, const void *b)
{
    const uap_mix_task *p = a;
    const uap_mix_task *q = b;
    if (p->labels != q->labels) {
        return p->labels < q->labels ? 1 : -1;
    }
    if (p->layer != q->layer) {
        return p->layer < q->layer ? -1 : 1;
    }
    return p->t != q->t ? (p->t > q->t) - (p->t < q->t)
                        : (p->id > q->id) - (p->id < q->id);
}

uap_status uap_mix_job_do(uap_mix_job *job, uap_err *err)
{
    uap_mix *mix = job->mix;
    const uap_crew *crew = mix->segments[0]->crew;
    const int64_t effort = mix->effort;
    uap_crew_job all = {
        .self = job, .n = job->n, .effort = effort, .run = run_task, .apply = apply_task};
    bool stopped = false;
    uap_status rc = UAP_OK;
    if (job->n > 0) {
        qsort(job->task, (size_t)job->n, sizeof *job->task, by_length);
    }
    for (int32_t k = 0; k < job->n; k++) {
        all.work += STEPS_OF_A_LABEL * job->task[k].labels;
    }
    mix->is_shared = uap_crew_shares(crew, &all);
    mix->segments[0]->unspent = 0;
    UAP_TRY(uap_crew_do(crew, &all, &stopped, err));
    mix->unspent = 0;
    mix->effort = effort - job->spent;
    mix->stopped = mix->stopped || stopped || mix->effort < 0;
    if (!mix->stopped) {
        UAP_TRY(take_all(job, err));
    }
done:
    uap_bytes_free(&job->kept);
    mix->is_shared = false;
    return rc;
}
