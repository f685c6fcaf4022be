/* One node of the exact search, and the end of the whole.
 *
 * A node is a configuration under a restriction. Working on it raises its bound: first the
 * Lagrangian bound of the whole chain, then exact searches within growing targets. What the
 * chain relaxes (ties, live tensors' layouts) is branched on only when the best plan of the
 * relaxation needs it. */
#include "search/exact_node.h"

#include "common/clock.h"
#include "common/numbers.h"
#include "search/bound.h"
#include "search/exact_chain.h"
#include "search/exact_open.h"
#include "search/frugal.h"
#include "search/greedy.h"
#include "search/objective.h"
#include "search/wide.h"

#include <time.h>

/* A wide graph's node whose bound is within this share of the cutoff is searched to its end. */
#define NEAR_END 0.02

/* ---- Instances and what is known ---- */

uap_status uap_exact_init(uap_exact *e, uap_err *err)
{
    const size_t n = (size_t)e->source->n;
    e->value = 0;
    e->config = -1;
    e->stats = (uap_search_stats){.configurations = e->source->n};
    e->instance = uap_calloc(n, sizeof *e->instance);
    e->users = uap_calloc(n, sizeof *e->users);
    if (e->instance == NULL || e->users == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for configurations");
    }
    return UAP_OK;
}

void uap_exact_free(uap_exact *e)
{
    for (int32_t i = 0; e->instance != NULL && i < e->source->n; i++) {
        uap_instance_free(e->instance[i]);
    }
    uap_wide_free(e->wide);
    uap_arena_free(e->arena);
    uap_free(e->instance);
    uap_free(e->users);
    e->wide = NULL;
    e->arena = NULL;
    e->instance = NULL;
    e->users = NULL;
}

uap_status uap_exact_need(uap_exact *e, int32_t config, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (e->instance[config] == NULL) {
        const double before = uap_cpu_s();
        rc = e->source->build(e->source->context, config, &e->instance[config], err);
        e->stats.build_s += uap_cpu_s() - before;
    }
    return rc;
}

void uap_exact_hold(uap_exact *e, int32_t config)
{
    e->users[config]++;
}

void uap_exact_drop(uap_exact *e, uap_node *node)
{
    if (--e->users[node->config] == 0) {
        uap_wide_forget(e->wide, node->config);
        uap_instance_free(e->instance[node->config]);
        e->instance[node->config] = NULL;
    }
    uap_node_clear(node);
}

uap_status uap_exact_open(uap_exact *e, int32_t config, uap_node *node, bool *legal,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    *node = (uap_node){0};
    *legal = false;
    UAP_TRY(uap_exact_need(e, config, err));
    if (e->instance[config] == NULL) {
        e->stats.illegal++;
        goto done;
    }
    const int64_t bound = uap_instance_quick_bound(e->instance[config]);
    *node = (uap_node){.config = config, .bound = bound, .chain = bound};
    *legal = true;
    uap_exact_hold(e, config);
done:
    return rc;
}

int64_t uap_exact_cutoff(const uap_exact *e, int32_t config)
{
    if (e->config < 0) {
        return UAP_VALUE_LIMIT;
    }
    return config < e->config ? e->value : e->value - 1;
}

bool uap_exact_is_enough(const uap_exact *e, int64_t bound)
{
    const double gap = e->limits == NULL ? 0 : e->limits->gap;
    const double value = (double)e->value;
    return e->config >= 0 &&
           (bound >= e->value || (gap > 0 && value - (double)bound <= gap * value));
}

uap_status uap_exact_improve(uap_exact *e, int32_t config, const uap_choice *choice,
                             int64_t value, uap_err *err)
{
    e->value = value;
    e->config = config;
    return e->improved == NULL
               ? UAP_OK
               : e->improved(e->context, e->instance[config], choice, err);
}

/* ---- One step ---- */

/* What the chain's plan costs in the instance, if it holds there. */
static uap_status value_in_instance(const uap_chain_search *s, bool *holds,
                                    int64_t *value, uap_err *err)
{
    uap_stage_cost *scratch = uap_calloc((size_t)s->in->pp, sizeof *scratch);
    if (scratch == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for stage costs");
    }
    *holds = uap_choice_value(s->in, &s->choice, scratch, value);
    uap_free(scratch);
    return UAP_OK;
}

/* Splits a node whose relaxed plan does not hold. */
static uap_status split(uap_chain_search *s, const uap_wide_plan *wide,
                        uap_node_pool *children, uap_err *err)
{
    int32_t count = 0;
    uap_status rc = UAP_OK;
    double *score = NULL;
    if (wide->scores) {
        score = uap_calloc((size_t)s->in->n_live, sizeof *score);
        if (score == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
        UAP_TRY(uap_wide_scores(s->e, s->node, score, err));
    }
    UAP_TRY(uap_node_branch(s->in, s->node, &s->choice, score, children, &count, err));
done:
    s->e->users[s->node->config] += count;
    uap_free(score);
    return rc;
}

/* What is left to do for a node whose chain's best plan does not hold: a bound by the linear
 * program if it is its turn, else children. */
static uap_status take_apart(uap_chain_search *s, const uap_wide_plan *wide,
                             uap_node_pool *children, uap_exact_step *outcome,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    s->node->bound = uap_max_i64(s->node->bound, s->value);
    *outcome = UAP_EXACT_CLOSED;
    if (wide->late) {
        UAP_TRY(uap_wide_bound(s->e, s->node, err));
    }
    if (s->node->bound <= uap_exact_cutoff(s->e, s->node->config)) {
        uap_wide_learn(s->e, s->node, s->value);
        *outcome = UAP_EXACT_SPLIT;
        UAP_TRY(split(s, wide, children, err));
    }
done:
    return rc;
}

/* A plan of the relaxation was found: it closes the node where it holds in the instance;
 * else it may still serve as incumbent, and the node is split. */
static uap_status settle(uap_chain_search *s, const uap_wide_plan *wide,
                         uap_node_pool *children, uap_exact_step *outcome, uap_err *err)
{
    uap_status rc = UAP_OK;
    bool holds = false;
    int64_t value = 0;
    UAP_TRY(value_in_instance(s, &holds, &value, err));
    if (holds && value <= uap_exact_cutoff(s->e, s->node->config)) {
        UAP_TRY(uap_exact_improve(s->e, s->node->config, &s->choice, value, err));
    }
    *outcome = UAP_EXACT_CLOSED;
    if (!holds || value != s->value) {
        if (s->in->n_live > 1 && s->in->n_types == 0) {
            UAP_TRY(uap_wide_polish(s->e, s->node->config, &s->choice, err));
        }
        UAP_TRY(take_apart(s, wide, children, outcome, err));
    }
done:
    return rc;
}

/* A node's linear program and CBC's plan, where it gets them; *is_over where that closed or split
 * it, which *outcome tells. */
static uap_status try_programs(uap_exact *e, uap_node *node, const uap_wide_plan *wide,
                               uap_node_pool *children, uap_exact_step *outcome,
                               bool *is_over, uap_err *err)
{
    uap_status rc = UAP_OK;
    int32_t count = 0;
    *is_over = false;
    *outcome = UAP_EXACT_CLOSED;
    if (wide->program) {
        UAP_TRY(uap_wide_bound(e, node, err));
    }
    if (wide->cbc && node->bound <= uap_exact_cutoff(e, node->config)) {
        UAP_TRY(uap_wide_ask(e, node, err));
    }
    *is_over = node->bound > uap_exact_cutoff(e, node->config);
    if (!*is_over && wide->program && wide->skip_chain) {
        UAP_TRY(uap_wide_split(e, node, children, &count, err));
        e->users[node->config] += count;
        *is_over = count > 0;
        *outcome = *is_over ? UAP_EXACT_SPLIT : UAP_EXACT_CLOSED;
    }
done:
    return rc;
}

/* Searches from the chain's own bound on: what a program knows of the node says nothing of
 * the chain, and targets far above the chain's best plan are slow. */
static uap_status grow_chain(uap_chain_search *s, int64_t most, bool *found, uap_err *err)
{
    uap_node *node = s->node;
    const int64_t proven = node->bound;
    node->bound = node->chain;
    const uap_status rc = uap_chain_search_grow(s, most, found, err);
    node->chain = *found ? uap_max_i64(node->bound, s->value) : node->bound;
    node->bound = uap_max_i64(node->bound, proven);
    return rc;
}

/* Searches a node until its bound passes `most` or it is closed. */
static uap_status visit(uap_exact *e, uap_node *node, int64_t most,
                        uap_node_pool *children, uap_exact_step *outcome, uap_err *err)
{
    uap_wide_plan wide;
    uap_chain_search s;
    uap_status rc = UAP_OK;
    bool found = false;
    bool is_over = false;
    s = (uap_chain_search){0};
    UAP_TRY(uap_wide_choose(e, node, &wide, err));
    UAP_TRY(try_programs(e, node, &wide, children, outcome, &is_over, err));
    if (is_over) {
        goto done;
    }
    *outcome = UAP_EXACT_CLOSED;
    UAP_TRY(uap_chain_search_begin(&s, e, node, err));
    if (uap_chain_search_is_empty(&s)) {
        goto done;
    }
    e->stats.solved += node->is_searched ? 0 : 1;
    node->is_searched = true;
    UAP_TRY(grow_chain(&s, most, &found, err));
    if (found) {
        UAP_TRY(settle(&s, &wide, children, outcome, err));
    } else if (node->bound <= uap_exact_cutoff(e, node->config)) {
        *outcome = UAP_EXACT_OPEN;
    }
done:
    uap_chain_search_end(&s);
    return rc;
}

/* How far a visit goes at least. Unlike stages are searched for longer, and what is left of a
 * wide graph after a split may be near its end: begun anew, a search costs more than the rest
 * of it. */
static int64_t least_reach(const uap_exact *e, const uap_node *node)
{
    const int64_t cutoff = uap_exact_cutoff(e, node->config);
    if (e->instance[node->config]->n_types > 0) {
        return node->bound + node->bound / 10;
    }
    return e->config >= 0 && node->n_layers > 0 &&
                   (double)(cutoff - node->bound) <= NEAR_END * (double)cutoff &&
                   uap_wide_trusts_chain(e, node)
               ? cutoff
               : 0;
}

uap_status uap_exact_advance(uap_exact *e, uap_node *node, int64_t most,
                             uap_node_pool *children, uap_exact_step *outcome,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    bool fits = true;
    const int64_t before = node->bound;
    *outcome = UAP_EXACT_CLOSED;
    UAP_TRY(uap_exact_need(e, node->config, err));
    if (uap_exact_is_unprepared(node)) {
        UAP_TRY(uap_exact_prepare(e, node, &fits, err));
        if (fits && node->bound <= uap_exact_cutoff(e, node->config)) {
            *outcome = UAP_EXACT_OPEN;
        }
        goto done;
    }
    e->stats.nodes++;
    UAP_TRY(
        visit(e, node, uap_max_i64(most, least_reach(e, node)), children, outcome, err));
    UAP_TRY(uap_wide_note(e, node, before, err));
done:
    return rc;
}

/* ---- The end ---- */

static uap_status explain_infeasible(uap_exact *e, uap_result *result, uap_err *err)
{
    int64_t least = INT64_MAX;
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < e->source->n && rc == UAP_OK && !e->must_stop(e->context);
         i++) {
        uap_instance *in = NULL;
        uap_shortage shortage = {.config = i};
        int64_t overshoot = 0;
        rc = e->source->build(e->source->context, i, &in, err);
        if (rc == UAP_OK && in != NULL) {
            rc = uap_frugal_plan(in, &shortage, &overshoot, err);
            if (rc == UAP_OK && overshoot < least) {
                least = overshoot;
                shortage.is_bound = in->n_ties > 0 || in->n_live > 0 || in->n_types > 0;
                result->shortage = shortage;
            }
        }
        uap_instance_free(in);
    }
    return rc;
}

int64_t uap_exact_reach(const uap_node *node, int64_t next)
{
    return uap_max_i64(next, node->bound + node->bound / 100 + 1);
}

/* The chain of one node searched within the result's value: *done once its plan is the
 * result's, else the node's children are in the pool. Programs only leave out nodes without
 * such a plan, in the same order every time. */
static uap_status look_for_plan(uap_exact *e, uap_node *node, uap_node_pool *pool,
                                uap_result *result, bool *done, uap_err *err)
{
    uap_chain_search s = {0};
    uap_wide_plan wide;
    uap_exact_step outcome = UAP_EXACT_CLOSED;
    uap_status rc = UAP_OK;
    bool found = false, is_over = false;
    UAP_TRY(uap_wide_choose(e, node, &wide, err));
    wide.cbc = false;
    UAP_TRY(try_programs(e, node, &wide, pool, &outcome, &is_over, err));
    if (is_over) {
        goto done;
    }
    UAP_TRY(uap_chain_search_begin(&s, e, node, err));
    if (!uap_chain_search_is_empty(&s)) {
        UAP_TRY(uap_chain_search_at(&s, result->value, &found, err));
    }
    if (found) {
        bool holds = false;
        int64_t value = 0;
        UAP_TRY(value_in_instance(&s, &holds, &value, err));
        *done = holds && value == result->value;
        if (*done) {
            uap_choice_copy(&result->choice, &s.choice, s.in->pp, s.in->n_layers);
        } else {
            UAP_TRY(take_apart(&s, &wide, pool, &outcome, err));
        }
    }
done:
    uap_chain_search_end(&s);
    return rc;
}

/* The plan of the result's configuration and value that no order of work can change: the
 * greedy one if it is as good, else the first that searches within this very value come
 * to. `e` knows no plan, so that nothing else ends them. */
static uap_status find_same_plan(uap_exact *e, uap_result *result, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_node_pool pool = {0};
    uap_node node = {0};
    bool done = false;
    UAP_TRY(uap_exact_open(e, result->config, &node, &done, err));
    const uap_instance *in = e->instance[result->config];
    uap_choice choice = {NULL, NULL};
    int64_t value = 0;
    if (!uap_choice_init(&choice, in->pp, in->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
        goto done;
    }
    rc = uap_greedy_plan(in, &choice, &value, &done, err);
    done = done && value == result->value;
    if (rc == UAP_OK && done) {
        uap_choice_copy(&result->choice, &choice, in->pp, in->n_layers);
    }
    uap_choice_free(&choice);
    while (rc == UAP_OK && !done && node.bound <= result->value &&
           !e->must_stop(e->context)) {
        UAP_TRY(look_for_plan(e, &node, &pool, result, &done, err));
        if (done || pool.n == 0) {
            break;
        }
        uap_exact_drop(e, &node);
        node = uap_pool_pop(&pool);
    }
    if (rc == UAP_OK && !done && !e->must_stop(e->context)) {
        rc = UAP_FAIL(err, INTERNAL, "no plan is found again at the best value");
    }
done:
    uap_node_clear(&node);
    uap_pool_free(&pool);
    return rc;
}

static uap_status fix_plan(uap_exact *e, uap_result *result, uap_err *err)
{
    uap_exact alone = {.source = e->source,
                       .limits = e->limits,
                       .context = e->context,
                       .must_stop = e->must_stop,
                       .crew = e->crew,
                       .arena = e->arena};
    uap_status rc = UAP_OK;
    e->arena = NULL;
    UAP_TRY(uap_exact_init(&alone, err));
    /* As if a configuration behind all had this value: plans within it are looked for. */
    alone.value = result->value;
    alone.config = e->source->n;
    alone.is_fixed = true;
    UAP_TRY(find_same_plan(&alone, result, err));
    e->stats.labels += alone.stats.labels;
    e->stats.bound_s += alone.stats.bound_s;
    e->stats.label_s += alone.stats.label_s;
done:
    uap_exact_free(&alone);
    return rc;
}

uap_status uap_exact_conclude(uap_exact *e, int64_t bound, bool closed,
                              uap_result *result, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_search_stats *t = &e->stats;
    const bool proven = closed || uap_exact_is_enough(e, bound);
    if (proven) {
        t->pruned_by_bound = t->configurations - t->illegal - t->infeasible - t->solved;
    }
    if (e->config >= 0) {
        result->bound = uap_min_i64(bound, result->value);
        result->outcome = proven ? UAP_OUTCOME_OPTIMAL : UAP_OUTCOME_FEASIBLE;
        /* One visit in all has come to the same plan wherever it was made. */
        const bool alone = e->source->n == 1 && t->nodes <= 1 && !e->must_fix;
        if (closed && result->bound == result->value && !alone) {
            UAP_TRY(fix_plan(e, result, err));
        }
        goto done;
    }
    result->bound = uap_min_i64(bound, UAP_VALUE_LIMIT);
    result->outcome = closed ? UAP_OUTCOME_INFEASIBLE : UAP_OUTCOME_UNKNOWN;
    if (closed) {
        UAP_TRY(explain_infeasible(e, result, err));
    }
done:
    return rc;
}
