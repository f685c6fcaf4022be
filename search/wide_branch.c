/* Which live tensor to split a node by. A search learns by how much the children's bounds rose
 * when it split by each tensor before (pseudo-costs); as long as that is a few times only, or
 * never, the children's chains are bounded by way of trial, whose bounds are far below what
 * a search proves, but tell one tensor from another. */
#include "search/wide_state.h"

#include "common/numbers.h"
#include "search/bound.h"

#include <math.h>

/* A lead that was not looked at again counts for less from level to level. */
#define LEAD_DECAY 0.7

/* Chains bounded to choose what to split by, and subgradient steps for each. */
#define TRIALS       128
#define TRIAL_ROUNDS 8

/* Children that make a tensor's own mean worth as much as a trial, and those after which there
 * are no more trials. */
#define TRIAL_WORTH 4.0
#define WELL_KNOWN  12

/* ---- What splits did ----------------------------------------------------------------- */

void uap_wide_forget_rises(uap_wide *wide)
{
    uap_free(wide->rise);
    wide->rise = NULL;
    wide->rise_config = -1;
    wide->all = (uap_rise){0};
}

/* Room to learn of a configuration's tensors; NULL without memory. */
static uap_rise *rises_of(uap_exact *e, int32_t config)
{
    uap_wide *wide = e->wide;
    if (wide->rise_config != config) {
        uap_wide_forget_rises(wide);
        wide->rise = uap_calloc((size_t)e->instance[config]->n_live, sizeof *wide->rise);
        wide->rise_config = wide->rise == NULL ? -1 : config;
    }
    return wide->rise;
}

uap_status uap_wide_note(uap_exact *e, uap_node *node, int64_t before, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int32_t t = node->branch - 1;
    const int64_t cutoff = uap_exact_cutoff(e, node->config);
    if (t < 0 || before <= 0) {
        return UAP_OK;
    }
    UAP_TRY(uap_wide_need(e, err));
    uap_rise *rise = rises_of(e, node->config);
    if (rise == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for what splits did");
    }
    const int64_t after = node->bound > cutoff ? cutoff : node->bound;
    const double share =
        after > before ? ((double)after - (double)before) / (double)before : 0.0;
    rise[t].sum += share;
    rise[t].n++;
    e->wide->all.sum += share;
    e->wide->all.expected += rise[t].expected;
    e->wide->all.n++;
    node->branch = 0;
done:
    return rc;
}

/* ---- Where the program leads ---------------------------------------------------------- */

/* A tensor is worth branching on as much as the solution mixes its layouts. *open: some
 * tensor has more than one layout left. */
static uap_status mixed_layouts(const uap_exact *e, const uap_node *node, double *score,
                                bool *open, uap_err *err)
{
    const uap_instance *in = e->instance[node->config];
    for (int32_t t = 0; t < in->n_live; t++) {
        const int32_t from = in->live[t].from, n = uap_table_of(in, from)->n;
        int32_t *class_of = uap_calloc((size_t)n, sizeof *class_of);
        double *share = uap_calloc((size_t)n, sizeof *share);
        if (class_of != NULL && share != NULL) {
            double most = 0.0;
            *open = uap_node_layouts(in, node, t, class_of) > 1 || *open;
            for (int32_t k = 0; k < n; k++) {
                share[class_of[k]] += uap_program_share(e->wide->program, from, k);
                most = fmax(most, share[class_of[k]]);
            }
            score[t] = 1.0 - most;
        }
        const bool failed = class_of == NULL || share == NULL;
        uap_free(class_of);
        uap_free(share);
        if (failed) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for layouts");
        }
    }
    return UAP_OK;
}

uap_status uap_wide_split(uap_exact *e, uap_node *node, uap_node_pool *children,
                          int32_t *count, uap_err *err)
{
    const uap_instance *in = e->instance[node->config];
    uap_choice choice = {NULL, NULL};
    uap_status rc = UAP_OK;
    bool open = false;
    *count = 0;
    if (e->wide == NULL || e->wide->config != node->config ||
        !uap_program_has_solution(e->wide->program)) {
        return UAP_OK;
    }
    double *score = uap_calloc((size_t)in->n_live, sizeof *score);
    if (score == NULL || !uap_choice_init(&choice, in->pp, in->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
        goto done;
    }
    UAP_TRY(mixed_layouts(e, node, score, &open, err));
    if (!open) {
        goto done;
    }
    uap_program_round(e->wide->program, node, &choice);
    const double lead = node->lead;
    node->lead *= LEAD_DECAY;
    rc = uap_node_branch(in, node, &choice, score, children, count, err);
    node->lead = lead;
done:
    uap_choice_free(&choice);
    uap_free(score);
    return rc;
}

/* ---- Where the chain leads ------------------------------------------------------------ */

/* The Lagrangian bound of a node's chain, from the same start for all. */
static uap_status trial_bound(const uap_instance *in, const uap_node *node,
                              int64_t *bound, uap_err *err)
{
    const uap_restriction *restriction = node->n_layers > 0 ? &node->restriction : NULL;
    uap_chain *chain = NULL;
    uap_pipeline pipeline = {0};
    uap_status rc = UAP_OK;
    *bound = 0;
    UAP_TRY(uap_chain_build(in, restriction, &chain, err));
    if (chain == NULL) {
        *bound = UAP_VALUE_LIMIT;
        goto done;
    }
    UAP_TRY(uap_pipeline_init(&pipeline, chain, err));
    UAP_TRY(uap_chain_bound(&pipeline, TRIAL_ROUNDS, UAP_VALUE_LIMIT, bound, err));
done:
    uap_pipeline_free(&pipeline);
    uap_chain_free(chain);
    return rc;
}

/* The mean bound of the children that branching on tensor t would make. */
static uap_status trial(const uap_exact *e, const uap_node *node, int32_t t,
                        int32_t *trials, double *score, uap_err *err)
{
    const uap_instance *in = e->instance[node->config];
    double *only = uap_calloc((size_t)in->n_live, sizeof *only);
    uap_node_pool children = {0};
    uap_status rc = UAP_OK;
    int32_t count = 0;
    double sum = 0.0;
    if (only == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for trials");
    }
    only[t] = 1.0;
    UAP_TRY(uap_node_branch_live(in, node, only, &children, &count, err));
    for (int32_t i = 0; i < count; i++) {
        int64_t bound = 0;
        UAP_TRY(trial_bound(in, &children.heap[i], &bound, err));
        sum += (double)bound / count;
    }
    *score = sum;
    *trials += count;
done:
    uap_pool_free(&children);
    uap_free(only);
    return rc;
}

/* How good it is to split by an open tensor: the mean rise so far and that on trial, which is
 * set right by how trials and rises compared. base: the node's own bound on trial. */
static uap_status score_of(uap_exact *e, const uap_node *node, int32_t t, int64_t base,
                           int32_t *trials, double *score, uap_err *err)
{
    uap_rise *rise = &e->wide->rise[t];
    const uap_rise *all = &e->wide->all;
    /* What programs close says little of the next split. */
    const bool is_learnt = uap_wide_trusts_chain(e, node);
    uap_status rc = UAP_OK;
    *score = is_learnt && rise->n > 0 ? rise->sum / rise->n : 0.0;
    if ((!is_learnt || rise->n < WELL_KNOWN) && *trials < TRIALS && base > 0) {
        const double scale =
            all->sum > 0 && all->expected > 0 ? all->sum / all->expected : 1.0;
        double mean = 0.0;
        UAP_TRY(trial(e, node, t, trials, &mean, err));
        rise->expected = fmax(0.0, mean / (double)base - 1.0);
        *score =
            (rise->sum + TRIAL_WORTH * scale * rise->expected) / (rise->n + TRIAL_WORTH);
    }
done:
    return rc;
}

uap_status uap_wide_scores(uap_exact *e, const uap_node *node, double *score,
                           uap_err *err)
{
    const uap_instance *in = e->instance[node->config];
    uap_status rc = UAP_OK;
    int32_t trials = 0, most = 0;
    int64_t base = 0;
    for (int32_t t = 0; t < in->n_live; t++) {
        most = uap_max_i32(most, uap_table_of(in, in->live[t].from)->n);
        score[t] = 0.0;
    }
    int32_t *class_of = uap_calloc((size_t)most, sizeof *class_of);
    UAP_TRY(uap_wide_need(e, err));
    if (class_of == NULL || rises_of(e, node->config) == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for layouts");
        goto done;
    }
    UAP_TRY(trial_bound(in, node, &base, err));
    for (int32_t t = 0; t < in->n_live; t++) {
        if (uap_node_layouts(in, node, t, class_of) > 1) {
            UAP_TRY(score_of(e, node, t, base, &trials, &score[t], err));
        }
    }
done:
    uap_free(class_of);
    return rc;
}
