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

typedef struct recorder {
    const uap_limits *limits;
    uap_recorded_search *out;
    uap_exact exact;
    uap_node_pool pool;
    uap_result result;
    uap_crew crew;
    double start_s;
    bool stopped;
} recorder;

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

static uap_status keep_job(uap_recorded_search *out, int32_t n, const double *task_ns,
                           size_t n_bytes, uap_err *err)
{
    uap_status rc = UAP_OK;
    sketch s = {0};
    if (out->n_jobs == out->capacity) {
        const int32_t capacity = out->capacity == 0 ? 64 : 2 * out->capacity;
        uap_recorded_job *job = uap_realloc(out->job, (size_t)capacity, sizeof *job);
        if (job == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for %d jobs", capacity);
        }
        out->job = job;
        out->capacity = capacity;
    }
    uap_recorded_job *job = &out->job[out->n_jobs++];
    *job = (uap_recorded_job){.n_bytes = (int64_t)n_bytes};
    if (!add_range(&s, -1, 0, 1, n, task_ns)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for %d tasks", n);
        goto done;
    }
    UAP_TRY(uap_recorded_tree_make(s.n, s.parent, s.cost_ns, &job->tree, err));
    job->tree.order = s.order;
    s.order = NULL;
done:
    uap_free(s.order);
    uap_free(s.parent);
    uap_free(s.cost_ns);
    return rc;
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
    recorder *r = context;
    uap_recorded_search *out = r->out;
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
    recorder *r = context;
    (void)state;
    (void)err;
    r->out->meetings++;
    return own;
}

/* ---- The search ---- */

static bool must_stop(void *context)
{
    recorder *r = context;
    const uap_limits *limits = r->limits;
    if (limits != NULL && !r->stopped) {
        r->stopped = (limits->stop != NULL && *limits->stop != 0) ||
                     (limits->time_limit_s > 0 &&
                      uap_wall_s() - r->start_s > limits->time_limit_s);
    }
    return r->stopped;
}

static uap_status take_plan(void *context, const uap_instance *in,
                            const uap_choice *choice, uap_err *err)
{
    recorder *r = context;
    uap_choice_free(&r->result.choice);
    if (!uap_choice_init(&r->result.choice, in->pp, in->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_choice_copy(&r->result.choice, choice, in->pp, in->n_layers);
    r->result.value = r->exact.value;
    r->result.config = r->exact.config;
    return UAP_OK;
}

static uap_status search(recorder *r, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t bound = UAP_VALUE_LIMIT;
    bool closed = false;
    UAP_TRY(uap_exact_init(&r->exact, err));
    for (int32_t i = 0; i < r->exact.source->n; i++) {
        uap_node node;
        bool legal = false;
        UAP_TRY(uap_exact_open(&r->exact, i, &node, &legal, err));
        if (legal && !uap_pool_push(&r->pool, &node)) {
            uap_exact_drop(&r->exact, &node);
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
            goto done;
        }
    }
    UAP_TRY(uap_exact_drain(&r->exact, &r->pool, &bound, &closed, err));
    UAP_TRY(uap_exact_conclude(&r->exact, bound, closed, &r->result, err));
done:
    return rc;
}

uap_status uap_recorded_search_make(const uap_source *source, const uap_limits *limits,
                                    uap_recorded_search *out, uap_err *err)
{
    const uap_limits none = {0};
    const uap_limits *l = limits != NULL ? limits : &none;
    recorder r = {
        .limits = limits,
        .out = out,
        .exact = {.source = source,
                  .limits = limits,
                  .must_stop = must_stop,
                  .improved = take_plan},
        .result = {.config = -1, .outcome = UAP_OUTCOME_UNKNOWN},
        .crew = {.least_work = l->share_work == 0 ? UAP_CREW_LEAST_WORK : l->share_work,
                 .long_task_s = l->long_run_s == 0 ? UAP_CREW_LONG_TASK_S : l->long_run_s,
                 .share = share,
                 .spend = spend,
                 .meet = meet},
        .start_s = uap_wall_s()};
    const double before_s = uap_cpu_s();
    *out = (uap_recorded_search){0};
    r.crew.context = r.exact.context = &r;
    r.exact.crew = &r.crew;
    const uap_status rc = search(&r, err);
    out->alone_ns = (uap_cpu_s() - before_s) * 1e9 - out->shared_ns;
    out->value = r.result.value;
    out->outcome = r.result.outcome;
    uap_pool_free(&r.pool);
    uap_exact_free(&r.exact);
    uap_result_free(&r.result);
    return rc;
}

void uap_recorded_search_free(uap_recorded_search *search)
{
    for (int32_t i = 0; i < search->n_jobs; i++) {
        uap_recorded_tree_free(&search->job[i].tree);
    }
    uap_free(search->job);
    *search = (uap_recorded_search){0};
}
