/* Jobs done by all ranks. Before each they meet, so that a rank that failed, or is at
 * another job, is noticed before anyone waits for it. */
#include "cli/search_crew.h"

#include "common/clock.h"

#include "mpi/transport_mpi.h"
#include "search/exact_node.h"

static bool spend(void *context, int64_t work)
{
    uap_search_crew *crew = context;
    return crew->run != NULL && uap_tasks_breathe(crew->run, work);
}

/* Low bits of the meeting's number and of the state, so that both signs fit. */
static int64_t mark_of(const uap_search_crew *crew, int64_t state)
{
    return (int64_t)(((uint64_t)state ^ (uint64_t)crew->meetings << 40) >> 1 &
                     (uint64_t)(INT64_MAX >> 1));
}

static uap_status meet(void *context, int64_t state, uap_status own, uap_err *err)
{
    uap_search_crew *crew = context;
    uap_status rc = UAP_OK;
    crew->meetings++;
    const int64_t mark = mark_of(crew, state);
    int64_t most[] = {crew->asked(crew->context), own != UAP_OK, mark, -mark};
    UAP_TRY(uap_comm_allreduce_i64(crew->comm, most, 4, UAP_COMM_MAX, err));
    crew->stopping = crew->stopping || most[0] != 0;
    if (most[1] != 0) {
        UAP_TRY(uap_comm_agree(crew->comm, own, err));
    }
    if (most[2] != -most[3]) {
        rc = UAP_FAIL(err, INTERNAL, "the ranks' searches have come apart");
    }
done:
    crew->failed = crew->failed || rc != UAP_OK;
    return rc;
}

static uap_status run_task(void *self, int32_t task, uap_tasks_run *run, uap_err *err)
{
    uap_search_crew *crew = self;
    bool stop = false;
    const size_t begun = uap_crew_begin(&crew->results, task);
    if (begun == SIZE_MAX) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for the results of a job");
    }
    crew->run = run;
    const double start_s = uap_wall_s();
    const uap_status rc =
        crew->job->run(crew->job->self, task, &crew->results, &stop, err);
    crew->busy_s += uap_wall_s() - start_s;
    crew->run = NULL;
    if (stop) {
        uap_tasks_stop(run);
    }
    uap_crew_end(&crew->results, begun);
    crew->results.n = stop ? begun : crew->results.n;
    return rc;
}

static uap_status take(void *self, int rank, const char *bytes, size_t n, uap_err *err)
{
    const uap_search_crew *crew = self;
    (void)rank;
    return uap_crew_apply(crew->job, bytes, n, err);
}

static uap_status share(void *context, const uap_crew_job *job, bool *stopped,
                        uap_err *err)
{
    uap_search_crew *crew = context;
    const uap_tasks tasks = {.self = crew,
                             .n = job->n,
                             .effort = job->effort,
                             .kept = &crew->kept,
                             .run = run_task};
    uap_status rc = UAP_OK, taken = UAP_OK;
    const double start_s = uap_wall_s();
    crew->busy_s = 0;
    *stopped = true;
    UAP_TRY(meet(crew, job->n, UAP_OK, err));
    if (crew->stopping) {
        goto done;
    }
    crew->job = job;
    UAP_TRY(uap_tasks_share(crew->comm, &tasks, stopped, &crew->broken, err));
    if (!*stopped || job->keeps) {
        taken = uap_comm_exchange(crew->comm, crew->results.at, crew->results.n,
                                  uap_crew_cut, take, crew, err);
    }
    UAP_TRY(meet(crew, job->n, taken, err));
    /* Each rank asks whether to stop at moments of its own: what was decided here must be
     * noticed here, or one would begin the next job and another not. */
    *stopped = *stopped || crew->stopping;
done:
    crew->idle_s += uap_wall_s() - start_s - crew->busy_s;
    uap_bytes_free(&crew->results);
    crew->failed = crew->failed || rc != UAP_OK;
    return rc;
}

void uap_search_crew_init(uap_search_crew *crew, const uap_comm *comm,
                          const uap_limits *limits)
{
    const uap_limits none = {0};
    const uap_limits *l = limits != NULL ? limits : &none;
    crew->comm = comm;
    crew->face = (uap_crew){
        .context = crew,
        .members = uap_comm_size(comm),
        .least_work = l->share_work == 0 ? UAP_CREW_LEAST_WORK : l->share_work,
        .long_task_s = l->long_run_s == 0 ? UAP_CREW_LONG_TASK_S : l->long_run_s,
        .share = share,
        .spend = spend,
        .meet = meet};
}

void uap_search_crew_free(uap_search_crew *crew)
{
    if (!crew->broken) { /* else its receives can neither be matched nor cancelled in order */
        uap_transport_mpi_free(crew->kept);
    }
    crew->kept = NULL;
}

bool uap_search_crew_must_stop(uap_search_crew *crew)
{
    return crew->run != NULL ? crew->asked(crew->context) : crew->stopping;
}

uap_status uap_search_crew_part(uap_search_crew *crew, uap_status own, uap_err *err)
{
    return crew->failed ? own : meet(crew, -1, own, err);
}
