/* Searches of one chain within targets that grow from the bound upwards, so that a search
 * never looks at plans much worse than the best. */
#include "search/exact_chain.h"

#include "common/numbers.h"
#include "search/bound.h"

/* All figures here were chosen by measure: the least time over the recorded instances and
 * the cases of `uniap bench search`.
 *
 * How far above the bound the relaxation looks first, as a share of it. */
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

/* Whether the search must stop, or the node need not be searched any further, which a plan
 * found elsewhere in the meantime may bring about. */
static bool is_over(void *context)
{
    const uap_chain_search *s = context;
    return s->node->bound >
               uap_min_i64(s->most, uap_exact_cutoff(s->e, s->node->config)) ||
           s->e->must_stop(s->e->context);
}

static uap_status make_segments(uap_chain_search *s, int64_t target, uap_err *err)
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
        .stop = is_over,
        .context = s,
        .crew = s->e->crew};
    return uap_segments_new(s->chain, &needs, &s->segments, err);
}

/* Raises the node's bound by the relaxation over cuts, with segments bounded anew where the
 * target is out of their reach; *outer is NULL where no plan is within the target, or where the
 * search must stop, then without segments too. */
static uap_status relax_within(uap_chain_search *s, int64_t target, uap_outer **outer,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t bound = INT64_MAX;
    const double before = uap_exact_cpu_s();
    *outer = NULL;
    if (s->segments == NULL || target > s->reach) {
        UAP_TRY(make_segments(s, target, err));
        if (s->segments->stopped) {
            uap_segments_free(s->segments);
            s->segments = NULL;
            goto done;
        }
    }
    UAP_TRY(uap_outer_bound(&s->pipeline, s->segments, target, outer, &bound, err));
    s->node->bound = uap_max_i64(s->node->bound, bound > target ? target + 1 : bound);
    if (bound > target) {
        uap_outer_free(*outer);
        *outer = NULL;
    }
done:
    s->e->stats.bound_s += uap_exact_cpu_s() - before;
    return rc;
}

/* Whether the segments ended a run for want of effort, not because the search must stop.
 * They are fit for use again. */
static bool was_given_up(uap_chain_search *s)
{
    const bool given_up = s->segments != NULL && s->segments->stopped && !is_over(s);
    if (given_up) {
        s->segments->stopped = false;
    }
    return given_up;
}

/* Raises the bounds of segments, within the node's effort. */
static uap_status tighten(uap_chain_search *s, uap_err *err)
{
    const double before = uap_exact_cpu_s();
    const uap_status rc = uap_segments_tighten(s->segments, err);
    s->e->stats.bound_s += uap_exact_cpu_s() - before;
    return rc;
}

/* Searches within `target`; *found with s->choice, s->value, else the node's bound rises,
 * unless it takes more than the node's effort. */
static uap_status search_within(uap_chain_search *s, int64_t target, bool *found,
                                uap_err *err)
{
    uap_search_stats *stats = &s->e->stats;
    uap_outer *outer = NULL;
    uap_status rc = UAP_OK;
    *found = false;
    UAP_TRY(relax_within(s, target, &outer, err));
    if (outer != NULL) {
        s->segments->effort = s->node->effort;
    }
    if (outer != NULL && s->in->pp > 1) {
        UAP_TRY(tighten(s, err));
        if (s->segments->is_tightened && !s->segments->stopped) {
            uap_outer_free(outer);
            UAP_TRY(relax_within(s, target, &outer, err));
        }
    }
    if (outer == NULL || s->segments->stopped) {
        goto done;
    }
    const double before = uap_exact_cpu_s();
    const int64_t labels = s->segments->labels;
    UAP_TRY(uap_segments_solve(s->segments, err));
    stats->labels += s->segments->labels - labels;
    if (!s->segments->stopped) {
        UAP_TRY(uap_outer_exact(outer, &s->value, &s->choice, found, err));
        if (!*found) {
            s->node->bound = uap_max_i64(s->node->bound, target + 1);
        }
    }
    stats->label_s += uap_exact_cpu_s() - before;
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
 * own: from there the exact search sets out. How far it got is kept for the next visit. One
 * stage alone has one segment to look at, whose bound is worth sharpening first. */
static uap_status find_relaxation(uap_chain_search *s, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_outer *outer = NULL;
    uap_node *node = s->node;
    node->reach = node->reach > 0 ? node->reach : FIRST_REACH;
    while (outer == NULL && !is_over(s)) {
        const int64_t target =
            above(node->bound, node->reach, uap_exact_cutoff(s->e, node->config));
        UAP_TRY(relax_within(s, target, &outer, err));
        if (s->segments == NULL) {
            break;
        }
        if (outer != NULL && s->in->pp == 1) {
            s->segments->effort = INT64_MAX;
            UAP_TRY(tighten(s, err));
            uap_outer_free(outer);
            UAP_TRY(relax_within(s, target, &outer, err));
        }
        node->reach = outer != NULL ? FIRST_REACH : node->reach * REACH_FACTOR;
    }
done:
    uap_outer_free(outer);
    return rc;
}

uap_status uap_chain_search_begin(uap_chain_search *s, uap_exact *e, uap_node *node,
                                  uap_err *err)
{
    *s = (uap_chain_search){.e = e, .node = node, .in = e->instance[node->config]};
    uap_status rc = UAP_OK;
    const uap_restriction *restriction = node->n_layers > 0 ? &node->restriction : NULL;
    UAP_TRY(uap_chain_build(s->in, restriction, &s->chain, err));
    if (s->chain == NULL) {
        goto done;
    }
    UAP_TRY(uap_pipeline_init(&s->pipeline, s->chain, err));
    if (!uap_choice_init(&s->choice, s->in->pp, s->in->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
done:
    return rc;
}

void uap_chain_search_end(uap_chain_search *s)
{
    uap_segments_free(s->segments);
    uap_pipeline_free(&s->pipeline);
    uap_choice_free(&s->choice);
    uap_chain_free(s->chain);
    *s = (uap_chain_search){0};
}

uap_status uap_chain_search_grow(uap_chain_search *s, int64_t most, bool *found,
                                 uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_node *node = s->node;
    const uap_limits *limits = s->e->limits;
    s->most = most;
    *found = false;
    UAP_TRY(find_relaxation(s, err));
    while (!*found && !is_over(s)) {
        if (!(node->step > 0)) {
            const int64_t asked = limits == NULL ? 0 : limits->effort;
            node->step = s->in->pp == 1 ? SHARP_STEP : FIRST_STEP;
            node->effort = asked > 0 ? asked : FIRST_EFFORT;
        }
        const int64_t end = uap_min_i64(most, uap_exact_cutoff(s->e, node->config));
        UAP_TRY(search_within(s, above(node->bound, node->step, end), found, err));
        if (was_given_up(s)) {
            node->step *= SHORTER;
            node->effort = (int64_t)((double)node->effort * EFFORT_FACTOR);
        } else {
            node->step *= LONGER;
        }
    }
done:
    return rc;
}

uap_status uap_chain_search_at(uap_chain_search *s, int64_t target, bool *found,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_outer *outer = NULL;
    s->most = target;
    s->node->effort = INT64_MAX;
    *found = false;
    if (s->in->pp == 1) {
        UAP_TRY(relax_within(s, target, &outer, err));
        if (outer == NULL) {
            goto done;
        }
        s->segments->effort = INT64_MAX;
        UAP_TRY(tighten(s, err));
    }
    UAP_TRY(search_within(s, target, found, err));
done:
    uap_outer_free(outer);
    return rc;
}
