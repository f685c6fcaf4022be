/* One pool of nodes over all configurations, lowest bound first, and the exact engine in one
 * process, which does with it. What is done with a node is exact_node.c's. The first node whose plan is at or
 * below every other node's bound ends the search with a proof, ties apart. */
#include "search/solve.h"

#include "common/clock.h"
#include "common/numbers.h"
#include "search/exact_node.h"

typedef struct engine {
    const uap_limits *limits;
    uap_result *result;
    uap_node_pool pool;
    uap_exact exact;
    double start_wall_s;
    bool stopped;
} engine;

static bool must_stop(void *context)
{
    engine *e = context;
    if (e->limits != NULL) {
        const bool asked = e->limits->stop != NULL && *e->limits->stop != 0;
        const bool late = e->limits->time_limit_s > 0 &&
                          uap_wall_s() - e->start_wall_s > e->limits->time_limit_s;
        e->stopped = e->stopped || asked || late;
    }
    return e->stopped;
}

static uap_status take_plan(void *context, const uap_instance *in,
                            const uap_choice *choice, uap_err *err)
{
    const engine *e = context;
    uap_result *result = e->result;
    uap_choice_free(&result->choice);
    if (!uap_choice_init(&result->choice, in->pp, in->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_choice_copy(&result->choice, choice, in->pp, in->n_layers);
    result->value = e->exact.value;
    result->config = e->exact.config;
    return UAP_OK;
}

/* Moves a held node into the pool. */
static uap_status push(uap_exact *e, uap_node_pool *pool, uap_node *node, uap_err *err)
{
    if (uap_pool_push(pool, node)) {
        return UAP_OK;
    }
    uap_exact_drop(e, node);
    return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
}

static uap_status open_configurations(engine *e, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < e->exact.source->n && !must_stop(e); i++) {
        uap_node node;
        bool legal = false;
        UAP_TRY(uap_exact_open(&e->exact, i, &node, &legal, err));
        if (legal) {
            UAP_TRY(push(&e->exact, &e->pool, &node, err));
        }
    }
done:
    return rc;
}

/* Takes the first node of the pool one step further. */
static uap_status advance(uap_exact *e, uap_node_pool *pool, uap_err *err)
{
    uap_node node = uap_pool_pop(pool);
    uap_exact_step outcome = UAP_EXACT_CLOSED;
    const int64_t next = pool->n > 0 ? pool->heap[0].bound : UAP_VALUE_LIMIT;
    e->at_work = &node;
    const uap_status rc =
        uap_exact_advance(e, &node, uap_exact_reach(&node, next), pool, &outcome, err);
    e->at_work = NULL;
    if (rc == UAP_OK && outcome == UAP_EXACT_OPEN) {
        return push(e, pool, &node, err);
    }
    uap_exact_drop(e, &node);
    return rc;
}

/* Whether the first node of the pool, and so every other, is as good as closed. */
static bool is_done(const uap_exact *e, const uap_node_pool *pool)
{
    const uap_node *first = &pool->heap[0];
    const bool gap = e->limits != NULL && e->limits->gap > 0;
    return first->bound > uap_exact_cutoff(e, first->config) ||
           (gap && uap_exact_is_enough(e, first->bound));
}

/* One step, with a crew after all of it has agreed to take it. */
static uap_status step(uap_exact *e, uap_node_pool *pool, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (e->crew != NULL) {
        UAP_TRY(e->crew->meet(e->crew->context, pool->heap[0].bound, UAP_OK, err));
    }
    if (!e->must_stop(e->context)) {
        UAP_TRY(advance(e, pool, err));
    }
done:
    return rc;
}

uap_status uap_exact_drain(uap_exact *e, uap_node_pool *pool, int64_t *bound,
                           bool *closed, uap_err *err)
{
    uap_status rc = UAP_OK;
    while (pool->n > 0 && !is_done(e, pool) && !e->must_stop(e->context)) {
        UAP_TRY(step(e, pool, err));
    }
    *bound = pool->n > 0 ? pool->heap[0].bound : UAP_VALUE_LIMIT;
    *closed = pool->n > 0 ? is_done(e, pool) : !e->must_stop(e->context);
done:
    return rc;
}

static uap_status run_search(engine *e, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t bound = UAP_VALUE_LIMIT;
    bool closed = false;
    UAP_TRY(open_configurations(e, err));
    UAP_TRY(uap_exact_drain(&e->exact, &e->pool, &bound, &closed, err));
    UAP_TRY(uap_exact_conclude(&e->exact, bound, closed, e->result, err));
done:
    return rc;
}

uap_status uap_exact_solve(const uap_source *source, const uap_limits *limits,
                           uap_result *result, uap_err *err)
{
    return uap_exact_solve_with(NULL, source, limits, result, err);
}

uap_status uap_exact_solve_with(const uap_crew *crew, const uap_source *source,
                                const uap_limits *limits, uap_result *result,
                                uap_err *err)
{
    engine e = {.limits = limits,
                .result = result,
                .exact = {.source = source,
                          .limits = limits,
                          .must_stop = must_stop,
                          .improved = take_plan,
                          .crew = crew},
                .start_wall_s = uap_wall_s()};
    const double start_cpu_s = uap_cpu_s();
    uap_status rc = UAP_OK;
    *result = (uap_result){.config = -1, .outcome = UAP_OUTCOME_UNKNOWN};
    e.exact.context = &e;
    UAP_TRY(uap_exact_init(&e.exact, err));
    UAP_TRY(run_search(&e, err));
done:
    uap_exact_free(&e.exact);
    uap_pool_free(&e.pool);
    result->stats = e.exact.stats;
    result->stats.ranks = 1;
    result->stats.total_s = uap_cpu_s() - start_cpu_s;
    result->stats.wall_s = uap_wall_s() - e.start_wall_s;
    if (rc != UAP_OK) {
        uap_result_free(result);
    }
    return rc;
}
