/* Recording: the exact search with a crew of one, who keeps the time. */
#include "bench/recorded_search.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/numbers.h"
#include "search/exact_node.h"

#include <string.h>

/* A running task looks for messages about every so often (uap_segments_poll): a longer one
 * is written down as a row of pieces, between which a rank answers. */
#define PIECE_NS 500000.0

/* ---- One job's tree ---- */

/* A tree while nodes are added. */
typedef struct sketch {
    int64_t n, capacity;
    int64_t *parent;
    double *cost_ns;
    int32_t *order;
} sketch;

static bool add_node(sketch *s, int64_t parent, int32_t task, double cost_ns)
{
    if (s->n == s->capacity) {
        const int64_t capacity = s->capacity == 0 ? 256 : 2 * s->capacity;
        int64_t *parents = uap_realloc(s->parent, (size_t)capacity, sizeof *parents);
        s->parent = parents != NULL ? parents : s->parent;
        double *costs = uap_realloc(s->cost_ns, (size_t)capacity, sizeof *costs);
        s->cost_ns = costs != NULL ? costs : s->cost_ns;
        int32_t *orders = uap_realloc(s->order, (size_t)capacity, sizeof *orders);
        s->order = orders != NULL ? orders : s->order;
        if (parents == NULL || costs == NULL || orders == NULL) {
            return false;
        }
        s->capacity = capacity;
    }
    s->parent[s->n] = parent;
    s->order[s->n] = task;
    s->cost_ns[s->n++] = cost_ns;
    return true;
}

static bool add_task(sketch *s, int64_t parent, int32_t task, double task_ns)
{
    bool ok = true;
    do {
        const double piece_ns = uap_min_f64(task_ns, PIECE_NS);
        ok = add_node(s, parent, task, piece_ns);
        task = -1; /* once begun it is gone on with */
        parent = s->n - 1;
        task_ns -= piece_ns;
    } while (ok && task_ns > 0);
    return ok;
}

/* As mpi/tasks.c divides its ranges: n tasks from `first`, `step` apart; a range stands in
 * the order of its first task. */
static bool add_range(sketch *s, int64_t parent, int32_t first, int32_t step, int32_t n,
                      const double *task_ns)
{
    if (n == 1) {
        return add_task(s, parent, first, task_ns[first]);
    }
    const int64_t here = s->n;
    return add_node(s, parent, first, 0) &&
           add_range(s, here, first + step, 2 * step, n / 2, task_ns) &&
           add_range(s, here, first, 2 * step, (n + 1) / 2, task_ns);
}

uap_status uap_recorded_job_tree(const uap_recorded_job *job, int size,
                                 uap_recorded_tree *tree, uap_err *err)
{
    uap_status rc = UAP_OK;
    sketch s = {0};
    bool ok = true;
    for (int32_t first = 0; ok && first < size && first < job->n; first++) {
        ok = add_range(&s, -1, first, size, (job->n - first + size - 1) / size,
                       job->task_ns);
    }
    *tree = (uap_recorded_tree){.n = 0};
    if (!ok) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for %d tasks", job->n);
        goto done;
    }
    UAP_TRY(uap_recorded_tree_make(s.n, s.parent, s.cost_ns, tree, err));
    tree->order = s.order;
    tree->is_dealt = true;
    s.order = NULL;
done:
    uap_free(s.order);
    uap_free(s.parent);
    uap_free(s.cost_ns);
    return rc;
}

/* Takes task_ns over. */
static uap_status keep_job(uap_recorded_search *out, int32_t n, double *task_ns,
                           size_t n_bytes, uap_err *err)
{
    if (out->n_jobs == out->capacity) {
        const int32_t capacity = out->capacity == 0 ? 64 : 2 * out->capacity;
        uap_recorded_job *job = uap_realloc(out->job, (size_t)capacity, sizeof *job);
        if (job == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for %d jobs", capacity);
        }
        out->job = job;
        out->capacity = capacity;
    }
    out->job[out->n_jobs++] =
        (uap_recorded_job){.n = n, .task_ns = task_ns, .n_bytes = (int64_t)n_bytes};
    return UAP_OK;
}

/* ---- A crew of one ---- */

static uap_status run_tasks(const uap_crew_job *job, double *task_ns, uap_bytes *results,
                            bool *stopped, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < job->n && !*stopped; i++) {
        const size_t begun = uap_crew_begin(results, i);
        if (begun == SIZE_MAX) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for the results of a job");
        }
        const double before_s = uap_cpu_s();
        UAP_TRY(job->run(job->self, i, results, stopped, err));
        task_ns[i] = (uap_cpu_s() - before_s) * 1e9;
        uap_crew_end(results, begun);
    }
done:
    return rc;
}

static uap_status share(void *context, const uap_crew_job *job, bool *stopped,
                        uap_err *err)
{
    uap_recorded_search *out = context;
    uap_bytes results = {0};
    uap_status rc = UAP_OK;
    double *task_ns = uap_calloc((size_t)job->n, sizeof *task_ns);
    *stopped = false;
    out->meetings += 2;
    if (task_ns == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for %d tasks", job->n);
    }
    UAP_TRY(run_tasks(job, task_ns, &results, stopped, err));
    for (int32_t i = 0; i < job->n; i++) {
        out->shared_ns += task_ns[i];
        out->longest_ns = uap_max_f64(out->longest_ns, task_ns[i]);
    }
    out->n_tasks += job->n;
    UAP_TRY(keep_job(out, job->n, task_ns, results.n, err));
    task_ns = NULL;
    if (!*stopped) {
        UAP_TRY(uap_crew_apply(job, results.at, results.n, err));
    }
done:
    uap_bytes_free(&results);
    uap_free(task_ns);
    return rc;
}

/* One alone gives up by its own count. */
static bool spend(void *context, int64_t work)
{
    (void)context;
    (void)work;
    return false;
}

static uap_status meet(void *context, int64_t state, uap_status own, uap_err *err)
{
    uap_recorded_search *out = context;
    (void)state;
    (void)err;
    out->meetings++;
    return own;
}

/* ---- The search ---- */

uap_status uap_recorded_search_make(const uap_source *source, const uap_limits *limits,
                                    uap_recorded_search *out, uap_err *err)
{
    const uap_limits none = {0};
    const uap_limits *l = limits != NULL ? limits : &none;
    const uap_crew crew = {
        .context = out,
        .least_work = l->share_work == 0 ? UAP_CREW_LEAST_WORK : l->share_work,
        .long_task_s = l->long_run_s == 0 ? UAP_CREW_LONG_TASK_S : l->long_run_s,
        .share = share,
        .spend = spend,
        .meet = meet};
    uap_result result;
    *out = (uap_recorded_search){0};
    const uap_status rc = uap_exact_solve_with(&crew, source, limits, &result, err);
    if (rc == UAP_OK) {
        out->alone_ns = result.stats.total_s * 1e9 - out->shared_ns;
        out->value = result.value;
        out->outcome = result.outcome;
        uap_result_free(&result);
    }
    return rc;
}

void uap_recorded_search_free(uap_recorded_search *search)
{
    for (int32_t i = 0; i < search->n_jobs; i++) {
        uap_free(search->job[i].task_ns);
    }
    uap_free(search->job);
    *search = (uap_recorded_search){0};
}
