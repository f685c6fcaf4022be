/* The search of one process, run by every rank with the same outcome; only its jobs are
 * shared out (search/crew.h). */
#include "cli/search_together.h"

#include "cli/search_crew.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/numbers.h"

#include <string.h>

typedef struct member {
    const uap_together *from;
    uap_search_crew crew;
    uap_exact exact;
    uap_result *result;
    const uap_node_pool *pool;
    bool over_memory;
    bool looks; /* this rank tells the watch, */
    bool keeps; /* and of all nodes that are open anywhere */
    double next_look_s, next_keep_s;
    uap_bytes nodes; /* of a picture */
    uap_bytes plan;
} member;

#define LOOK_EVERY_S 1.0

/* ---- What the watch is told ---- */

static bool put_node(member *m, const uap_node *node)
{
    const size_t at = m->nodes.n;
    const size_t most = uap_node_bytes_max(&m->from->sizes);
    char *to = uap_bytes_add(&m->nodes, sizeof(uint32_t) + most);
    if (to == NULL) {
        return false;
    }
    const uint32_t n =
        (uint32_t)uap_node_to_bytes(m->exact.instance[node->config], node, to + sizeof n);
    memcpy(to, &n, sizeof n);
    m->nodes.n = at + sizeof n + n;
    return true;
}

/* Restricted nodes are packed with their instance, which was made when they were. */
static int64_t put_nodes(member *m)
{
    const uap_node *at_work = m->exact.at_work;
    int64_t failed = 0;
    m->nodes.n = 0;
    for (int32_t i = 0; i < m->pool->n; i++) {
        failed += !put_node(m, &m->pool->heap[i]);
    }
    failed += at_work != NULL && !put_node(m, at_work);
    return failed;
}

/* A picture, now or when it is time. closed: no node is open any more. */
static void look(member *m, bool is_last, bool closed)
{
    uap_watch *watch = m->from->watch;
    const double now_s = uap_wall_s();
    if (!m->looks || (!is_last && now_s < m->next_look_s)) {
        return;
    }
    const uap_node *at_work = m->exact.at_work;
    uap_tree_snapshot picture = {.is_last = is_last,
                                 .value = m->exact.config < 0 ? UAP_TREE_NO_ANSWER
                                                              : m->exact.value,
                                 .answer = m->plan.at,
                                 .answer_bytes = m->plan.n};
    picture.sum = (uap_tree_figures){.ranks = uap_comm_size(m->from->comm),
                                     .nodes = m->exact.stats.nodes,
                                     .bound = m->from->bound};
    if (!closed) {
        picture.sum.open = m->pool->n + (at_work != NULL);
        const int64_t first = m->pool->n > 0 ? m->pool->heap[0].bound : INT64_MAX;
        const int64_t own = at_work != NULL ? at_work->bound : INT64_MAX;
        picture.sum.bound = uap_min_i64(picture.sum.bound, uap_min_i64(first, own));
    }
    picture.has_nodes = m->keeps && (is_last || now_s >= m->next_keep_s);
    if (picture.has_nodes) {
        picture.sum.failed = closed ? 0 : put_nodes(m);
        picture.nodes = m->nodes.at;
        picture.node_bytes = closed ? 0 : m->nodes.n;
        m->next_keep_s = now_s + watch->interval_s;
    }
    uap_watch_see(watch, &picture);
    m->next_look_s = now_s + LOOK_EVERY_S;
}

/* ---- The search ---- */

/* Whether this process holds more than its share of --memory-limit; said once. */
static bool is_over_memory(member *m)
{
    const int64_t limit = m->from->limits->memory_limit_bytes;
    if (limit <= 0 || uap_mem_bytes() <= limit / uap_comm_node_size(m->from->comm)) {
        return false;
    }
    if (!m->over_memory) {
        m->over_memory = true;
        UAP_LOG(
            WARNING, GLOBAL,
            "stopped at --memory-limit: one node of the search needs more than %.3g GiB "
            "on a machine",
            (double)limit / (double)((int64_t)1 << 30));
    }
    return true;
}

/* This rank's own reasons. */
static bool asked(void *context)
{
    member *m = context;
    const uap_limits *limits = m->from->limits;
    if (limits == NULL) {
        return false;
    }
    if (m->over_memory || is_over_memory(m)) {
        return true;
    }
    const double limit_s = limits->time_limit_s;
    const int64_t limit_bytes =
        limits->memory_limit_bytes / uap_comm_node_size(m->from->comm);
    m->over_memory = m->over_memory || (limit_bytes > 0 && uap_mem_bytes() > limit_bytes);
    return m->over_memory || (limits->stop != NULL && *limits->stop != 0) ||
           (limit_s > 0 && uap_wall_s() - m->from->start_wall_s > limit_s);
}

static bool must_stop(void *context)
{
    member *m = context;
    if (m->pool != NULL) {
        look(m, false, false);
    }
    return uap_search_crew_must_stop(&m->crew);
}

static uap_status take_plan(void *context, const uap_instance *in,
                            const uap_choice *choice, uap_err *err)
{
    member *m = context;
    uap_result *result = m->result;
    m->plan.n = 0;
    char *to = uap_bytes_add(&m->plan, uap_plan_bytes_max(&m->from->sizes));
    if (to == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    m->plan.n = uap_plan_to_bytes(m->exact.config, in, choice, to);
    uap_choice_free(&result->choice);
    if (!uap_choice_init(&result->choice, in->pp, in->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_choice_copy(&result->choice, choice, in->pp, in->n_layers);
    result->value = m->exact.value;
    result->config = m->exact.config;
    return UAP_OK;
}

/* Whether no node of the pool could still hold a better plan, however near that would be. */
static bool is_empty(const member *m, const uap_node_pool *pool)
{
    const uap_node *first = pool->n > 0 ? &pool->heap[0] : NULL;
    return first == NULL || first->bound > uap_exact_cutoff(&m->exact, first->config);
}

static uap_status search(member *m, uap_node_pool *pool, uap_err *err)
{
    const uap_together *from = m->from;
    int64_t bound = INT64_MAX;
    bool closed = false;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_exact_init(&m->exact, err));
    for (int32_t i = 0; i < pool->n; i++) {
        uap_exact_hold(&m->exact, pool->heap[i].config);
    }
    m->exact.value = m->result->value;
    m->exact.config = m->result->config;
    m->exact.stats = from->stats;
    m->exact.must_fix = from->must_fix;
    if (!uap_bytes_put(&m->plan, from->plan, from->plan_bytes)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
        goto done;
    }
    m->looks = from->watch != NULL && uap_comm_rank(from->comm) == 0 && pool->n > 0;
    /* Where others are open too, the tree search's last picture has them all, and stays. */
    m->keeps = m->looks && from->closed && from->watch->checkpoint != NULL;
    m->pool = pool;
    m->next_look_s = m->next_keep_s = uap_wall_s();
    m->next_keep_s += m->looks ? from->watch->interval_s : 0;
    rc = uap_exact_drain(&m->exact, pool, &bound, &closed, err);
    if (rc == UAP_OK) { /* else the node at hand is neither done with nor in the pool */
        look(m, true, closed && from->closed && is_empty(m, pool));
    }
    m->pool = NULL;
    UAP_TRY(rc);
    bound = from->bound < bound ? from->bound : bound;
    UAP_TRY(uap_exact_conclude(&m->exact, bound, closed && from->closed, m->result, err));
done:
    return rc;
}

/* Clocks of all ranks together; counts are alike already. */
static uap_status add_clocks(const member *m, uap_search_stats *t, uap_err *err)
{
    const uap_search_stats *before = &m->from->stats;
    double own[] = {t->build_s - before->build_s, t->bound_s - before->bound_s,
                    t->fix_s - before->fix_s,     t->label_s - before->label_s,
                    t->total_s - before->total_s, m->crew.idle_s};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_comm_allreduce_f64(m->from->comm, own, 6, UAP_COMM_SUM, err));
    UAP_TRY(uap_comm_allreduce_i64(m->from->comm, &t->peak_bytes, 1, UAP_COMM_MAX, err));
    UAP_TRY(uap_comm_bcast(m->from->comm, &t->labels, sizeof t->labels, 0, err));
    t->build_s = before->build_s + own[0];
    t->bound_s = before->bound_s + own[1];
    t->fix_s = before->fix_s + own[2];
    t->label_s = before->label_s + own[3];
    t->total_s = before->total_s + own[4];
    t->idle_s = before->idle_s + own[5];
done:
    return rc;
}

/* Says so where some rank ran out of the memory that it may use. */
static uap_status warn_of_memory(const member *m, uap_err *err)
{
    int64_t over = m->over_memory;
    const uap_status rc =
        uap_comm_allreduce_i64(m->from->comm, &over, 1, UAP_COMM_MAX, err);
    if (rc == UAP_OK && over != 0 && uap_comm_rank(m->from->comm) == 0) {
        UAP_LOG(
            WARNING, GLOBAL,
            "stopped at --memory-limit: one configuration needs more than %.3g GiB on "
            "a machine",
            (double)m->from->limits->memory_limit_bytes / (double)((int64_t)1 << 30));
    }
    return rc;
}

uap_status uap_search_together(const uap_together *from, uap_node_pool *pool,
                               uap_result *result, bool *broken, uap_err *err)
{
    member m = {.from = from,
                .crew = {.asked = asked, .stopping = from->stopping},
                .exact = {.source = from->source,
                          .limits = from->limits,
                          .must_stop = must_stop,
                          .improved = take_plan},
                .result = result};
    const double start_cpu_s = uap_cpu_s();
    uap_status rc = UAP_OK;
    uap_search_crew_init(&m.crew, from->comm, from->limits);
    m.crew.context = m.exact.context = &m;
    m.exact.crew = &m.crew.face;
    rc = search(&m, pool, err);
    *broken = m.crew.broken;
    uap_search_crew_free(&m.crew);
    if (!*broken) {
        UAP_TRY(uap_search_crew_part(&m.crew, rc, err));
        m.exact.stats.total_s += uap_cpu_s() - start_cpu_s;
        UAP_TRY(warn_of_memory(&m, err));
        UAP_TRY(add_clocks(&m, &m.exact.stats, err));
        result->stats = m.exact.stats;
    }
done:
    uap_pool_free(pool);
    uap_exact_free(&m.exact);
    uap_bytes_free(&m.nodes);
    uap_bytes_free(&m.plan);
    return rc;
}
