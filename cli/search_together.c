/* The search of one process, run by every rank with the same outcome; only its jobs are
 * shared out (search/crew.h). */
#include "cli/search_together.h"

#include "cli/search_crew.h"

typedef struct member {
    const uap_together *from;
    uap_search_crew crew;
    uap_exact exact;
    uap_result *result;
} member;

/* This rank's own reasons. */
static bool asked(void *context)
{
    const member *m = context;
    const uap_limits *limits = m->from->limits;
    if (limits == NULL) {
        return false;
    }
    const double limit_s = limits->time_limit_s;
    return (limits->stop != NULL && *limits->stop != 0) ||
           (limit_s > 0 && uap_exact_wall_s() - m->from->start_wall_s > limit_s);
}

static bool must_stop(void *context)
{
    member *m = context;
    return uap_search_crew_must_stop(&m->crew);
}

static uap_status take_plan(void *context, const uap_instance *in,
                            const uap_choice *choice, uap_err *err)
{
    const member *m = context;
    uap_result *result = m->result;
    uap_choice_free(&result->choice);
    if (!uap_choice_init(&result->choice, in->pp, in->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_choice_copy(&result->choice, choice, in->pp, in->n_layers);
    result->value = m->exact.value;
    result->config = m->exact.config;
    return UAP_OK;
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
    UAP_TRY(uap_exact_drain(&m->exact, pool, &bound, &closed, err));
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
                    t->fix_s - before->fix_s, t->label_s - before->label_s,
                    t->total_s - before->total_s};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_comm_allreduce_f64(m->from->comm, own, 5, UAP_COMM_SUM, err));
    UAP_TRY(uap_comm_allreduce_i64(m->from->comm, &t->peak_bytes, 1, UAP_COMM_MAX, err));
    UAP_TRY(uap_comm_bcast(m->from->comm, &t->labels, sizeof t->labels, 0, err));
    t->build_s = before->build_s + own[0];
    t->bound_s = before->bound_s + own[1];
    t->fix_s = before->fix_s + own[2];
    t->label_s = before->label_s + own[3];
    t->total_s = before->total_s + own[4];
done:
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
    const double start_cpu_s = uap_exact_cpu_s();
    uap_status rc = UAP_OK;
    uap_search_crew_init(&m.crew, from->comm,
                         from->limits == NULL ? 0 : from->limits->share_work);
    m.crew.context = m.exact.context = &m;
    m.exact.crew = &m.crew.face;
    rc = search(&m, pool, err);
    *broken = m.crew.broken;
    if (!*broken) {
        UAP_TRY(uap_search_crew_part(&m.crew, rc, err));
        m.exact.stats.total_s += uap_exact_cpu_s() - start_cpu_s;
        UAP_TRY(add_clocks(&m, &m.exact.stats, err));
        result->stats = m.exact.stats;
    }
done:
    uap_pool_free(pool);
    uap_exact_free(&m.exact);
    return rc;
}
