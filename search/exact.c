/* The exact engine: one pool of nodes over all configurations, best bound first, one
 * incumbent.
 *
 * A node is a configuration under a restriction. Working on it raises its bound: first the
 * Lagrangian bound of the whole chain, then exact searches within targets that grow from
 * the bound upwards, so that a search never looks at plans much worse than the best. What
 * the chain relaxes (ties, live tensors' layouts) is branched on only when the best plan of
 * the relaxation needs it. The first node whose plan is at or below every other node's bound
 * ends the search with a proof. */
#include "search/solve.h"

#include "common/numbers.h"
#include "search/bound.h"
#include "search/frugal.h"
#include "search/greedy.h"
#include "search/node.h"
#include "search/objective.h"
#include "search/outer.h"

#include <math.h>
#include <string.h>
#include <time.h>

/* How far above the bound the relaxation looks first, as a share of it. */
#define FIRST_REACH  0.15
#define REACH_FACTOR 3.0

/* Steps between targets: a search that takes too many labels is given up for a nearer
 * target, one that finds nothing makes way for a farther one. One stage alone has a bound
 * that is sharp, and sets out close to it. */
#define FIRST_STEP    0.001
#define SHARP_STEP    1e-5
#define LONGER        3.0
#define SHORTER       0.25
#define FIRST_EFFORT  20000000
#define EFFORT_FACTOR 1.5

typedef struct engine {
    const uap_source *source;
    const uap_limits *limits;
    uap_result *result;
    uap_node_pool pool;
    uap_instance **instance; /* [n] kept while open nodes need it */
    int32_t *users;          /* [n] open nodes of each configuration */
    bool *is_searched;       /* [n] some node of it went through an exact search */
    double start_cpu_s, start_wall_s;
    bool stopped;
} engine;

static double cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

static double wall_seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool must_stop(void *context)
{
    engine *e = context;
    if (e->limits != NULL) {
        const bool asked = e->limits->stop != NULL && *e->limits->stop != 0;
        const bool late = e->limits->time_limit_s > 0 &&
                          wall_seconds() - e->start_wall_s > e->limits->time_limit_s;
        e->stopped = e->stopped || asked || late;
    }
    return e->stopped;
}

/* Plans must be strictly better than the incumbent. */
static int64_t cutoff(const engine *e)
{
    return e->result->config < 0 ? UAP_VALUE_LIMIT : e->result->value - 1;
}

static uap_status take_incumbent(engine *e, const uap_node *node,
                                 const uap_choice *choice, int64_t value, uap_err *err)
{
    const uap_instance *in = e->instance[node->config];
    uap_choice_free(&e->result->choice);
    if (!uap_choice_init(&e->result->choice, in->pp, in->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_choice_copy(&e->result->choice, choice, in->pp, in->n_layers);
    e->result->value = value;
    e->result->config = node->config;
    return UAP_OK;
}

static void drop_node(engine *e, uap_node *node)
{
    if (--e->users[node->config] == 0) {
        uap_instance_free(e->instance[node->config]);
        e->instance[node->config] = NULL;
    }
    uap_node_clear(node);
}

/* What became of one visit to a node. */
typedef enum visit { VISIT_CLOSED, VISIT_RAISED, VISIT_FOUND } visit;

/* One visit: searches of one chain within growing targets, up to `most`. */
typedef struct chain_search {
    engine *e;
    uap_node *node;
    const uap_instance *in;
    uap_chain *chain;
    uap_pipeline pipeline;
    uap_segments *segments;
    int64_t reach; /* the segments are bounded for targets up to this */
    uap_choice choice;
    int64_t value;
} chain_search;

static uap_status make_segments(chain_search *s, int64_t target, uap_err *err)
{
    uap_segments_free(s->segments);
    s->segments = NULL;
    s->reach = target;
    const uap_segment_needs needs = {
        .split = s->pipeline.split,
        .grad = s->pipeline.grad,
        .scalar = s->pipeline.scalar,
        .round_trips = s->pipeline.round_trips,
        .kappa = s->pipeline.kappa,
        .target = target,
        .rough_work = s->e->limits == NULL ? 0 : s->e->limits->rough_work,
        .stop = must_stop,
        .context = s->e};
    return uap_segments_new(s->chain, &needs, &s->segments, err);
}

/* Raises the node's bound by the relaxation over cuts, with segments bounded anew where the
 * target is out of their reach; *outer is NULL where no plan is within the target. */
static uap_status relax_within(chain_search *s, int64_t target, uap_outer **outer,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t bound = INT64_MAX;
    const double before = cpu_seconds();
    *outer = NULL;
    if (s->segments == NULL || target > s->reach) {
        UAP_TRY(make_segments(s, target, err));
    }
    UAP_TRY(uap_outer_bound(&s->pipeline, s->segments, target, outer, &bound, err));
    s->node->bound = uap_max_i64(s->node->bound, bound > target ? target + 1 : bound);
    if (bound > target) {
        uap_outer_free(*outer);
        *outer = NULL;
    }
done:
    s->e->result->stats.bound_s += cpu_seconds() - before;
    return rc;
}

/* Whether the segments ended a run for want of effort, not because the search must stop.
 * They are fit for use again. */
static bool was_given_up(chain_search *s)
{
    const bool given_up = s->segments != NULL && s->segments->stopped && !must_stop(s->e);
    if (given_up) {
        s->segments->stopped = false;
    }
    return given_up;
}

/* Searches within `target`; *found with s->choice, s->value, else the node's bound rises,
 * unless it takes more than the node's effort. */
static uap_status search_within(chain_search *s, int64_t target, bool *found,
                                uap_err *err)
{
    uap_search_stats *stats = &s->e->result->stats;
    uap_outer *outer = NULL;
    uap_status rc = UAP_OK;
    *found = false;
    UAP_TRY(relax_within(s, target, &outer, err));
    if (outer != NULL) {
        s->segments->effort = s->node->effort;
    }
    if (outer != NULL && s->in->pp > 1) {
        const double before = cpu_seconds();
        UAP_TRY(uap_segments_tighten(s->segments, err));
        stats->label_s += cpu_seconds() - before;
        if (s->segments->is_tightened && !s->segments->stopped) {
            uap_outer_free(outer);
            UAP_TRY(relax_within(s, target, &outer, err));
        }
    }
    if (outer == NULL || s->segments->stopped) {
        goto done;
    }
    const double before = cpu_seconds();
    const int64_t labels = s->segments->labels;
    UAP_TRY(uap_segments_solve(s->segments, err));
    stats->labels += s->segments->labels - labels;
    if (!s->segments->stopped) {
        UAP_TRY(uap_outer_exact(outer, &s->value, &s->choice, found, err));
        if (!*found) {
            s->node->bound = uap_max_i64(s->node->bound, target + 1);
        }
    }
    stats->label_s += cpu_seconds() - before;
    stats->peak_bytes =
        uap_max_i64(stats->peak_bytes, (int64_t)uap_arena_bytes(s->segments->arena) +
                                           s->segments->point_capacity * 24);
done:
    uap_outer_free(outer);
    return rc;
}

/* The bound raised by a share, at most `most`. */
static int64_t above(int64_t bound, double share, int64_t most)
{
    const double target = (double)bound * (1 + share) + 1;
    return target >= (double)most ? most : (int64_t)target;
}

/* The relaxation, within targets ever further above the bound, until it finds a plan of its
 * own: from there the exact search sets out. One stage alone has one segment to look at,
 * whose bound is worth sharpening first. */
static uap_status find_relaxation(chain_search *s, int64_t most, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_outer *outer = NULL;
    double reach = FIRST_REACH;
    while (outer == NULL && s->node->bound <= most && !must_stop(s->e)) {
        const int64_t target = above(s->node->bound, reach, cutoff(s->e));
        UAP_TRY(relax_within(s, target, &outer, err));
        if (outer != NULL && s->in->pp == 1) {
            s->segments->effort = INT64_MAX;
            UAP_TRY(uap_segments_tighten(s->segments, err));
            uap_outer_free(outer);
            UAP_TRY(relax_within(s, target, &outer, err));
        }
        reach *= REACH_FACTOR;
    }
done:
    uap_outer_free(outer);
    return rc;
}

/* Targets grow until a plan is found, the bound passes `most`, or the search must stop. */
static uap_status search_chain(chain_search *s, int64_t most, visit *outcome,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    bool found = false;
    *outcome = VISIT_RAISED;
    UAP_TRY(uap_pipeline_init(&s->pipeline, s->chain, err));
    if (!uap_choice_init(&s->choice, s->in->pp, s->in->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
        goto done;
    }
    UAP_TRY(find_relaxation(s, most, err));
    while (!found && s->node->bound <= most && !must_stop(s->e)) {
        uap_node *node = s->node;
        if (node->visits++ == 0) {
            node->step = s->in->pp == 1 ? SHARP_STEP : FIRST_STEP;
            const int64_t asked = s->e->limits == NULL ? 0 : s->e->limits->effort;
            node->effort = asked > 0 ? asked : FIRST_EFFORT;
        }
        UAP_TRY(search_within(s, above(node->bound, node->step, most), &found, err));
        if (was_given_up(s)) {
            node->step *= SHORTER;
            node->effort = (int64_t)((double)node->effort * EFFORT_FACTOR);
        } else {
            node->step *= LONGER;
        }
    }
    *outcome = found ? VISIT_FOUND : VISIT_RAISED;
done:
    return rc;
}

static void end_search(chain_search *s)
{
    uap_segments_free(s->segments);
    uap_pipeline_free(&s->pipeline);
    uap_choice_free(&s->choice);
    uap_chain_free(s->chain);
}

/* A plan of the relaxation was found: it closes the node where it holds in the instance;
 * else it may still serve as incumbent, and the node is split. */
static uap_status settle(chain_search *s, uap_err *err)
{
    engine *e = s->e;
    int64_t value = 0;
    uap_stage_cost *scratch = uap_calloc((size_t)s->in->pp, sizeof *scratch);
    if (scratch == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for stage costs");
    }
    const bool holds = uap_choice_value(s->in, &s->choice, scratch, &value);
    uap_free(scratch);
    if (holds && value <= cutoff(e)) {
        const uap_status rc = take_incumbent(e, s->node, &s->choice, value, err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    if (holds && value == s->value) {
        return UAP_OK;
    }
    int32_t count = 0;
    s->node->bound = s->value;
    const uap_status rc =
        uap_node_branch(s->in, s->node, &s->choice, &e->pool, &count, err);
    e->users[s->node->config] += count;
    return rc;
}

/* Works on a node until its bound passes `most` or it is closed. A node that is still open
 * goes back into the pool. Takes the node over. */
static uap_status visit_node(engine *e, uap_node *node, int64_t most, uap_err *err)
{
    chain_search s = {.e = e, .node = node, .in = e->instance[node->config]};
    uap_status rc = UAP_OK;
    visit outcome = VISIT_CLOSED;
    const uap_restriction *restriction = node->n_layers > 0 ? &node->restriction : NULL;
    e->result->stats.nodes++;
    UAP_TRY(uap_chain_build(s.in, restriction, &s.chain, err));
    if (s.chain != NULL) {
        e->result->stats.solved += e->is_searched[node->config] ? 0 : 1;
        e->is_searched[node->config] = true;
        UAP_TRY(search_chain(&s, most, &outcome, err));
        if (outcome == VISIT_FOUND) {
            UAP_TRY(settle(&s, err));
        }
    }
    if (outcome == VISIT_RAISED && node->bound <= cutoff(e)) {
        if (!uap_pool_push(&e->pool, node)) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
        end_search(&s);
        return rc;
    }
done:
    end_search(&s);
    drop_node(e, node);
    return rc;
}

#define BOUND_ROUNDS 16

/* The Lagrangian bound of a node's chain. */
static uap_status bound_node(engine *e, uap_node *node, uap_err *err)
{
    const uap_restriction *restriction = node->n_layers > 0 ? &node->restriction : NULL;
    uap_chain *chain = NULL;
    uap_pipeline pipeline = {0};
    uap_status rc = UAP_OK;
    const double before = cpu_seconds();
    UAP_TRY(uap_chain_build(e->instance[node->config], restriction, &chain, err));
    if (chain == NULL) {
        node->bound = INT64_MAX;
    } else {
        UAP_TRY(uap_pipeline_init(&pipeline, chain, err));
        UAP_TRY(uap_chain_bound(&pipeline, BOUND_ROUNDS, cutoff(e), &node->bound, err));
    }
    node->is_bounded = true;
done:
    uap_pipeline_free(&pipeline);
    uap_chain_free(chain);
    e->result->stats.fix_s += cpu_seconds() - before;
    return rc;
}

/* Whether any plan of the node's configuration fits in memory at all. */
static uap_status check_memory(engine *e, const uap_node *node, bool *fits, uap_err *err)
{
    uap_shortage shortage = {0};
    int64_t overshoot = 0;
    const uap_status rc =
        uap_frugal_plan(e->instance[node->config], &shortage, &overshoot, err);
    *fits = overshoot <= 0;
    return rc;
}

/* A plan to start from, so that bounds have something to beat. */
static uap_status try_greedy(engine *e, const uap_node *node, uap_err *err)
{
    const uap_instance *in = e->instance[node->config];
    uap_choice choice = {NULL, NULL};
    int64_t value = 0;
    bool found = false;
    uap_status rc = UAP_OK;
    if (!uap_choice_init(&choice, in->pp, in->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    UAP_TRY(uap_greedy_plan(in, &choice, &value, &found, err));
    if (found && value <= cutoff(e)) {
        UAP_TRY(take_incumbent(e, node, &choice, value, err));
    }
done:
    uap_choice_free(&choice);
    return rc;
}

/* Takes the first node of the pool one step further. */
static uap_status advance(engine *e, uap_err *err)
{
    uap_node node = uap_pool_pop(&e->pool);
    uap_status rc = UAP_OK;
    if (!node.is_bounded) {
        rc = bound_node(e, &node, err);
    } else {
        bool fits = true;
        if (node.visits == 0 && node.n_layers == 0) {
            rc = check_memory(e, &node, &fits, err);
            if (rc == UAP_OK && fits) {
                rc = try_greedy(e, &node, err);
            }
        }
        if (rc == UAP_OK && !fits) {
            e->result->stats.infeasible++;
            node.bound = INT64_MAX;
        } else if (rc == UAP_OK) {
            const int64_t next = e->pool.n > 0 ? e->pool.heap[0].bound : UAP_VALUE_LIMIT;
            const int64_t near = node.bound + node.bound / 100 + 1;
            return visit_node(e, &node, uap_min_i64(cutoff(e), uap_max_i64(next, near)),
                              err);
        }
    }
    if (rc == UAP_OK && node.bound <= cutoff(e)) {
        if (uap_pool_push(&e->pool, &node)) {
            return UAP_OK;
        }
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
    }
    drop_node(e, &node);
    return rc;
}

static uap_status open_configurations(engine *e, uap_err *err)
{
    uap_status rc = UAP_OK;
    const double before = cpu_seconds();
    for (int32_t i = 0; i < e->source->n && rc == UAP_OK && !must_stop(e); i++) {
        rc = e->source->build(e->source->context, i, &e->instance[i], err);
        if (rc != UAP_OK || e->instance[i] == NULL) {
            e->result->stats.illegal += rc == UAP_OK ? 1 : 0;
            continue;
        }
        uap_node node = {.config = i, .bound = uap_instance_quick_bound(e->instance[i])};
        e->users[i] = 1;
        if (!uap_pool_push(&e->pool, &node)) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
    }
    e->result->stats.build_s += cpu_seconds() - before;
    return rc;
}

/* Whether the incumbent is as good as was asked for. */
static bool within_gap(const engine *e, int64_t bound)
{
    if (e->result->config < 0) {
        return false;
    }
    const double gap = e->limits == NULL ? 0 : e->limits->gap;
    const double value = (double)e->result->value;
    return bound > cutoff(e) || value - (double)bound <= gap * value;
}

static uap_status explain_infeasible(engine *e, uap_err *err)
{
    int64_t least = INT64_MAX;
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < e->source->n && rc == UAP_OK && !must_stop(e); i++) {
        uap_instance *in = NULL;
        uap_shortage shortage = {.config = i};
        int64_t overshoot = 0;
        rc = e->source->build(e->source->context, i, &in, err);
        if (rc == UAP_OK && in != NULL) {
            rc = uap_frugal_plan(in, &shortage, &overshoot, err);
            if (rc == UAP_OK && overshoot < least) {
                least = overshoot;
                shortage.is_bound = in->n_ties > 0 || in->n_live > 0;
                e->result->shortage = shortage;
            }
        }
        uap_instance_free(in);
    }
    return rc;
}

static uap_status run_search(engine *e, uap_err *err)
{
    uap_result *result = e->result;
    uap_status rc = UAP_OK;
    UAP_TRY(open_configurations(e, err));
    int64_t bound = UAP_VALUE_LIMIT;
    bool stopped = false;
    while (e->pool.n > 0) {
        bound = e->pool.heap[0].bound;
        stopped = must_stop(e);
        if (within_gap(e, bound) || stopped) {
            break;
        }
        UAP_TRY(advance(e, err));
    }
    stopped = stopped || e->stopped;
    if (e->pool.n == 0) {
        bound = UAP_VALUE_LIMIT;
    }
    const bool closed = e->pool.n == 0 && !stopped;
    if (closed || within_gap(e, bound)) {
        uap_search_stats *t = &result->stats;
        t->pruned_by_bound = t->configurations - t->illegal - t->infeasible - t->solved;
    }
    if (result->config >= 0) {
        result->bound = uap_min_i64(bound, result->value);
        result->outcome =
            closed || within_gap(e, bound) ? UAP_OUTCOME_OPTIMAL : UAP_OUTCOME_FEASIBLE;
        goto done;
    }
    result->bound = uap_min_i64(bound, UAP_VALUE_LIMIT);
    result->outcome = closed ? UAP_OUTCOME_INFEASIBLE : UAP_OUTCOME_UNKNOWN;
    if (closed) {
        UAP_TRY(explain_infeasible(e, err));
    }
done:
    return rc;
}

uap_status uap_exact_solve(const uap_source *source, const uap_limits *limits,
                           uap_result *result, uap_err *err)
{
    const size_t n = (size_t)source->n;
    engine e = {.source = source,
                .limits = limits,
                .result = result,
                .start_cpu_s = cpu_seconds(),
                .start_wall_s = wall_seconds()};
    uap_status rc = UAP_OK;
    *result = (uap_result){.config = -1, .outcome = UAP_OUTCOME_UNKNOWN};
    result->stats.configurations = source->n;
    e.instance = uap_calloc(n, sizeof *e.instance);
    e.users = uap_calloc(n, sizeof *e.users);
    e.is_searched = uap_calloc(n, sizeof *e.is_searched);
    if (e.instance == NULL || e.users == NULL || e.is_searched == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for configurations");
        goto done;
    }
    UAP_TRY(run_search(&e, err));
done:
    for (size_t i = 0; e.instance != NULL && i < n; i++) {
        uap_instance_free(e.instance[i]);
    }
    uap_pool_free(&e.pool);
    uap_free(e.instance);
    uap_free(e.users);
    uap_free(e.is_searched);
    result->stats.total_s = cpu_seconds() - e.start_cpu_s;
    result->stats.wall_s = wall_seconds() - e.start_wall_s;
    if (rc != UAP_OK) {
        uap_result_free(result);
    }
    return rc;
}
