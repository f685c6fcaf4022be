/* Jobs of a crew: done alone, and the results of tasks as bytes. */
#include "search/crew.h"

#include <string.h>

typedef struct head {
    int32_t task;
    uint64_t n; /* bytes of the result behind it */
} head;

size_t uap_crew_begin(uap_bytes *results, int32_t task)
{
    const head h = {.task = task};
    const size_t at = results->n;
    return uap_bytes_put(results, &h, sizeof h) ? at : SIZE_MAX;
}

void uap_crew_end(uap_bytes *results, size_t begun)
{
    const uint64_t n = results->n - begun - sizeof(head);
    memcpy(results->at + begun + offsetof(head, n), &n, sizeof n);
}

size_t uap_crew_cut(const char *results, size_t n, size_t most)
{
    size_t whole = 0;
    while (whole < n) {
        head h;
        (void)uap_bytes_get(results + whole, &h, sizeof h);
        const size_t next = whole + sizeof h + (size_t)h.n;
        if (whole > 0 && next > most) {
            break;
        }
        whole = next;
    }
    return whole;
}

uap_status uap_crew_apply(const uap_crew_job *job, const char *results, size_t n,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    for (size_t at = 0; at < n;) {
        head h;
        const char *result = uap_bytes_get(results + at, &h, sizeof h);
        UAP_TRY(job->apply(job->self, h.task, result, err));
        at += sizeof h + (size_t)h.n;
    }
done:
    return rc;
}

static uap_status do_alone(const uap_crew_job *job, bool *stopped, uap_err *err)
{
    uap_bytes results = {0};
    uap_status rc = UAP_OK;
    *stopped = false;
    for (int32_t i = 0; i < job->n && !*stopped; i++) {
        const size_t begun = uap_crew_begin(&results, i);
        if (begun == SIZE_MAX) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory for the results of a job");
            goto done;
        }
        UAP_TRY(job->run(job->self, i, &results, stopped, err));
        uap_crew_end(&results, begun);
        results.n = *stopped ? begun : results.n;
        if (!job->at_end && !*stopped) {
            UAP_TRY(uap_crew_apply(job, results.at, results.n, err));
            results.n = 0;
        }
    }
    if (!*stopped || job->keeps) {
        UAP_TRY(uap_crew_apply(job, results.at, results.n, err));
    }
done:
    uap_bytes_free(&results);
    return rc;
}

bool uap_crew_shares(const uap_crew *crew, const uap_crew_job *job)
{
    return crew != NULL && job->n > 1 && job->work >= crew->least_work;
}

uap_status uap_crew_do(const uap_crew *crew, const uap_crew_job *job, bool *stopped,
                       uap_err *err)
{
    if (!uap_crew_shares(crew, job)) {
        return do_alone(job, stopped, err);
    }
    return crew->share(crew->context, job, stopped, err);
}
