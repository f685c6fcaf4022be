/* Bounds and first plans (search/exact_open.h). */
#include "search/exact_open.h"

#include "common/clock.h"
#include "common/numbers.h"
#include "search/bound.h"
#include "search/exact_chain.h"
#include "search/frugal.h"
#include "search/greedy.h"

#define BOUND_ROUNDS 16

/* The Lagrangian bound of a node's chain. */
static uap_status bound_node(uap_exact *e, uap_node *node, uap_err *err)
{
    const uap_restriction *restriction = node->n_layers > 0 ? &node->restriction : NULL;
    uap_chain *chain = NULL;
    uap_mix *mix = NULL;
    uap_pipeline pipeline = {0};
    uap_status rc = UAP_OK;
    const double before = uap_cpu_s();
    const uap_instance *in = e->instance[node->config];
    const int64_t cutoff = uap_exact_cutoff(e, node->config);
    if (in->n_types > 0) {
        UAP_TRY(uap_mix_new(in, restriction, &mix, err));
    } else {
        UAP_TRY(uap_chain_build(in, restriction, &chain, err));
    }
    if (mix != NULL) {
        UAP_TRY(uap_mix_bound(mix, UAP_MIX_ROUNDS, cutoff, &node->chain, err));
    } else if (chain == NULL) {
        node->chain = INT64_MAX;
    } else {
        UAP_TRY(uap_pipeline_init(&pipeline, chain, err));
        UAP_TRY(uap_chain_bound(&pipeline, BOUND_ROUNDS, cutoff, &node->chain, err));
    }
    node->bound = uap_max_i64(node->bound, node->chain);
    node->is_bounded = true;
done:
    uap_pipeline_free(&pipeline);
    uap_chain_free(chain);
    uap_mix_free(mix);
    e->stats.fix_s += uap_cpu_s() - before;
    return rc;
}

/* Whether any plan of the node's configuration fits in memory at all. */
static uap_status check_memory(uap_exact *e, const uap_node *node, bool *fits,
                               uap_err *err)
{
    const uap_status rc = uap_frugal_fits(e->instance[node->config], fits, err);
    e->stats.infeasible += rc == UAP_OK && !*fits ? 1 : 0;
    return rc;
}

/* A plan to start from, so that bounds have something to beat. */
static uap_status try_greedy(uap_exact *e, const uap_node *node, uap_err *err)
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
    if (found && value <= uap_exact_cutoff(e, node->config)) {
        UAP_TRY(uap_exact_improve(e, node->config, &choice, value, err));
    }
done:
    uap_choice_free(&choice);
    return rc;
}

/* Before a configuration is searched: whether any plan fits, and a first one. */
static uap_status open_search(uap_exact *e, const uap_node *node, bool *fits,
                              uap_err *err)
{
    const uap_status rc = check_memory(e, node, fits, err);
    return rc == UAP_OK && *fits ? try_greedy(e, node, err) : rc;
}

#define FEW_STAGES 2 /* whose first plans are cheap and come before anything else */

/* The first bound of a configuration of unlike stages. While no plan is known, those that do
 * not fit are not worth one. */
static uap_status bound_mixed(uap_exact *e, uap_node *node, bool *fits, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (e->config < 0) {
        UAP_TRY(check_memory(e, node, fits, err));
    }
    if (!*fits) {
        goto done;
    }
    UAP_TRY(bound_node(e, node, err));
    if (e->instance[node->config]->pp <= FEW_STAGES &&
        node->bound <= uap_exact_cutoff(e, node->config)) {
        node->is_opened = true;
        UAP_TRY(open_search(e, node, fits, err));
    }
done:
    return rc;
}

/* Whether a configuration of unlike stages needs a search: its bound by devices and memory
 * alone, where some plan is known, closes most; the others get a first plan. */
static uap_status open_mixed(uap_exact *e, uap_node *node, bool *fits, uap_err *err)
{
    uap_chain_search s = {0};
    uap_status rc = UAP_OK;
    const bool is_first = e->config < 0;
    node->is_opened = true;
    if (is_first) {
        UAP_TRY(open_search(e, node, fits, err));
    }
    if (!*fits) {
        goto done;
    }
    UAP_TRY(uap_chain_search_begin(&s, e, node, err));
    if (!uap_chain_search_is_empty(&s)) {
        s.most = UAP_VALUE_LIMIT;
        UAP_TRY(uap_chain_search_rule_out(&s, err));
    }
    if (!is_first && node->bound <= uap_exact_cutoff(e, node->config)) {
        UAP_TRY(open_search(e, node, fits, err));
    }
done:
    uap_chain_search_end(&s);
    return rc;
}

/* The first bound of a node of equal stages, and what every search of the configuration asks
 * for first. */
static uap_status bound_and_open(uap_exact *e, uap_node *node, bool *fits, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (!node->is_bounded) {
        UAP_TRY(bound_node(e, node, err));
    }
    if (!node->is_opened && node->bound <= uap_exact_cutoff(e, node->config)) {
        node->is_opened = true;
        UAP_TRY(open_search(e, node, fits, err));
    }
done:
    return rc;
}

bool uap_exact_is_unprepared(const uap_node *node)
{
    return !node->is_bounded || !node->is_opened;
}

uap_status uap_exact_prepare(uap_exact *e, uap_node *node, bool *fits, uap_err *err)
{
    *fits = true;
    if (e->instance[node->config]->n_types == 0) {
        return bound_and_open(e, node, fits, err);
    }
    return node->is_bounded ? open_mixed(e, node, fits, err)
                            : bound_mixed(e, node, fits, err);
}
