/* Searches of one chain within targets that grow from the bound upwards, so that a search
 * never looks at plans much worse than the best. */
#include "search/exact_chain.h"

#include "common/clock.h"
#include "common/mem.h"
#include "common/numbers.h"
#include "search/bound.h"
#include "search/objective.h"

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
#define MIXED_EFFORT  100000000 /* with unlike stages, where little is known beforehand */
#define EFFORT_FACTOR 1.5
#define FEW_LABELS    12 /* of a list, for a first plan of unlike stages */
#define MANY_LABELS   4000000

/* Whether the search must stop, or the node need not be searched any further, which a plan
 * found elsewhere in the meantime may bring about. */
static bool is_over(void *context)
{
    const uap_chain_search *s = context;
    return s->node->bound >
               uap_min_i64(s->most, uap_exact_cutoff(s->e, s->node->config)) ||
           s->e->must_stop(s->e->context);
}

/* Whether the search had to stop before the segments had their bounds. */
static bool are_cut_short(const uap_chain_search *s)
{
    bool any = s->mix == NULL && s->segments->stopped;
    for (int32_t t = 0; s->mix != NULL && t < s->mix->n_types; t++) {
        any = any || s->mix->segments[t]->stopped;
    }
    return any;
}

/* Their memory is for the next ones: pages new from the system cost more than what is worked
 * out in them. */
static void end_segments(uap_chain_search *s)
{
    if (s->segments != NULL) {
        uap_arena_free(s->e->arena);
        s->e->arena = uap_segments_end(s->segments);
        s->segments = NULL;
    }
}

static uap_status make_segments(uap_chain_search *s, int64_t target, uap_err *err)
{
    uap_status rc = UAP_OK;
    end_segments(s);
    s->reach = target;
    s->has_ends = s->weighs_ends;
    const uap_segment_needs needs = {
        .split = s->pipeline.split,
        .grad = s->pipeline.grad,
        .scalar = s->pipeline.scalar,
        .round_trips = s->pipeline.round_trips,
        .weighs_ends = s->weighs_ends,
        .kappa = s->pipeline.kappa,
        .target = target,
        .rough_work = s->e->limits == NULL ? 0 : s->e->limits->rough_work,
        .stop = is_over,
        .context = s,
        .crew = s->e->crew,
        .arena = s->mix == NULL ? s->e->arena : NULL};
    s->e->arena = s->mix == NULL ? NULL : s->e->arena;
    rc = s->mix != NULL ? uap_mix_segments(s->mix, &needs, err)
                        : uap_segments_new(s->chain, &needs, &s->segments, err);
    s->has_segments = rc == UAP_OK && !are_cut_short(s);
    s->has_prices = s->mix == NULL;
    return rc;
}

/* The relaxation over cuts, of the chain or of unlike stages; both NULL: no plan is within
 * its target. */
typedef struct cuts {
    uap_outer *plain;
    uap_mix_outer *mixed;
} cuts;

static bool cuts_exist(const cuts *c)
{
    return c->plain != NULL || c->mixed != NULL;
}

static void cuts_free(cuts *c)
{
    uap_outer_free(c->plain);
    uap_mix_outer_free(c->mixed);
    *c = (cuts){NULL, NULL};
}

/* Runs of labels may take so much effort from now on. */
static void set_effort(const uap_chain_search *s, int64_t effort)
{
    if (s->mix != NULL) {
        s->mix->effort = effort;
    } else {
        s->segments->effort = effort;
    }
}

static bool *stopped_of(const uap_chain_search *s)
{
    return s->mix != NULL ? &s->mix->stopped : &s->segments->stopped;
}

static int64_t labels_of(const uap_chain_search *s)
{
    int64_t labels = s->mix == NULL ? s->segments->labels : 0;
    for (int32_t t = 0; s->mix != NULL && t < s->mix->n_types; t++) {
        labels += s->mix->segments[t]->labels;
    }
    return labels;
}

static int64_t bytes_of_one(const uap_segments *s)
{
    return (int64_t)uap_arena_bytes(s->arena) +
           s->point_capacity * (int64_t)sizeof *s->point;
}

static int64_t bytes_of(const uap_chain_search *s)
{
    int64_t bytes = s->mix == NULL ? bytes_of_one(s->segments) : 0;
    for (int32_t t = 0; s->mix != NULL && t < s->mix->n_types; t++) {
        bytes += bytes_of_one(s->mix->segments[t]);
    }
    return bytes;
}

/* Raises the node's bound by the relaxation over cuts, with segments bounded anew where the
 * target is out of their reach; *outer is empty where no plan is within the target, or where
 * the search must stop, then without segments too. */
static uap_status relax_within(uap_chain_search *s, int64_t target, cuts *outer,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t bound = INT64_MAX;
    const double before = uap_cpu_s();
    *outer = (cuts){NULL, NULL};
    if (!s->has_segments || target > s->reach || s->weighs_ends != s->has_ends) {
        UAP_TRY(make_segments(s, target, err));
        if (!s->has_segments) {
            goto done;
        }
    }
    if (s->mix != NULL) {
        UAP_TRY(uap_mix_window_bound(s->mix, target, true, &bound, err));
        s->node->bound = uap_max_i64(s->node->bound, uap_min_i64(bound, target + 1));
        if (bound > target || *stopped_of(s)) {
            goto done;
        }
        if (!s->has_prices) {
            UAP_TRY(uap_mix_set_prices(s->mix, target, err));
            s->has_prices = true;
        }
        UAP_TRY(uap_mix_relax(s->mix, target, &outer->mixed, &bound, err));
    } else {
        UAP_TRY(uap_outer_bound(&s->pipeline, s->segments, target, &outer->plain, &bound,
                                err));
        if (s->segments->stopped) {
            s->has_segments = false;
            goto done;
        }
    }
    s->node->bound = uap_max_i64(s->node->bound, bound > target ? target + 1 : bound);
    if (bound > target) {
        cuts_free(outer);
    }
done:
    s->e->stats.bound_s += uap_cpu_s() - before;
    return rc;
}

/* Whether the segments ended a run for want of effort, not because the search must stop.
 * They are fit for use again. */
static bool was_given_up(uap_chain_search *s)
{
    const bool given_up = s->has_segments && *stopped_of(s) && !is_over(s);
    if (given_up) {
        *stopped_of(s) = false;
    }
    return given_up;
}

/* Whether the last search of unlike stages took so many labels that measures of late gradient
 * work, which cost as much as the others, leave out more than they take. */
static bool has_many(const uap_chain_search *s)
{
    return s->node->effort - s->mix->effort > MANY_LABELS;
}

/* Raises the bounds of segments, within the node's effort. */
static uap_status tighten(uap_chain_search *s, bool *is_tightened, uap_err *err)
{
    const double before = uap_cpu_s();
    uap_status rc = UAP_OK;
    *is_tightened = false;
    if (s->mix != NULL) {
        rc = uap_mix_tighten(s->mix, is_tightened, err);
    } else {
        rc = uap_segments_tighten(s->segments, err);
        *is_tightened = s->segments->is_tightened;
    }
    s->e->stats.bound_s += uap_cpu_s() - before;
    return rc;
}

/* The plan at hand is the best one where it holds in the instance, for which the chain's
 * relaxations of ties and live tensors may be wrong. */
static uap_status offer_plan(uap_chain_search *s, uap_err *err)
{
    uap_stage_cost *scratch = uap_calloc((size_t)s->in->pp, sizeof *scratch);
    int64_t value = 0;
    uap_status rc = UAP_OK;
    if (scratch == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan's cost");
    }
    if (uap_choice_value(s->in, &s->choice, scratch, &value) &&
        value <= uap_exact_cutoff(s->e, s->node->config)) {
        rc = uap_exact_improve(s->e, s->node->config, &s->choice, value, err);
    }
    uap_free(scratch);
    return rc;
}

/* The best way to cut: first among a few labels of each list, which finds a plan where there is
 * one, mostly near the best; then among all within what that costs. */
static uap_status cut_mixed(uap_chain_search *s, uap_mix_outer *outer, int64_t target,
                            bool *found, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_mix_ask ask = {.target = target, .longest = FEW_LABELS};
    uap_mix_cuts *mixed = uap_mix_cuts_new(outer);
    if (mixed == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for the cuts");
    }
    UAP_TRY(uap_mix_exact(mixed, &ask, &s->value, &s->choice, found, err));
    if (s->mix->stopped || (*found && s->e->is_fixed)) {
        goto done; /* any plan of the value will do that is the same every time */
    }
    if (*found) {
        ask.target = s->value;
        UAP_TRY(offer_plan(s, err));
        ask.target = uap_min_i64(ask.target, uap_exact_cutoff(s->e, s->node->config));
    }
    ask.longest = 0;
    UAP_TRY(uap_mix_exact(mixed, &ask, &s->value, &s->choice, found, err));
done:
    uap_mix_cuts_free(mixed);
    return rc;
}

/* The exact sets of segments, and the best way to cut. */
static uap_status solve(uap_chain_search *s, const cuts *outer, int64_t target,
                        bool *found, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (s->mix != NULL) {
        UAP_TRY(uap_mix_solve(s->mix, err));
        if (!s->mix->stopped) {
            UAP_TRY(cut_mixed(s, outer->mixed, target, found, err));
        }
        goto done;
    }
    if (!uap_segments_mark_idle(&s->segments, 1)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for segments");
        goto done;
    }
    UAP_TRY(uap_segments_solve(s->segments, err));
    if (!s->segments->stopped) {
        UAP_TRY(uap_outer_exact(outer->plain, &s->value, &s->choice, found, err));
    }
done:
    return rc;
}

/* Searches within `target`; *found with s->choice, s->value, else the node's bound rises,
 * unless it takes more than the node's effort. */
static uap_status search_within(uap_chain_search *s, int64_t target, bool *found,
                                uap_err *err)
{
    uap_search_stats *stats = &s->e->stats;
    cuts outer = {NULL, NULL};
    uap_status rc = UAP_OK;
    *found = false;
    UAP_TRY(relax_within(s, target, &outer, err));
    if (cuts_exist(&outer)) {
        set_effort(s, s->node->effort);
    }
    if (cuts_exist(&outer) && s->in->pp > 1) {
        bool is_tightened = false;
        UAP_TRY(tighten(s, &is_tightened, err));
        if (is_tightened && !*stopped_of(s)) {
            cuts_free(&outer);
            UAP_TRY(relax_within(s, target, &outer, err));
        }
    }
    if (!cuts_exist(&outer) || *stopped_of(s)) {
        goto done;
    }
    const double before = uap_cpu_s();
    const int64_t labels = labels_of(s);
    UAP_TRY(solve(s, &outer, target, found, err));
    stats->labels += labels_of(s) - labels;
    if (!*found && !*stopped_of(s)) {
        const int64_t most = uap_min_i64(target, uap_exact_cutoff(s->e, s->node->config));
        s->node->bound = uap_max_i64(s->node->bound, most + 1);
    }
    stats->label_s += uap_cpu_s() - before;
    stats->peak_bytes = uap_max_i64(stats->peak_bytes, bytes_of(s));
done:
    cuts_free(&outer);
    return rc;
}

/* The bound raised by a share, at most `most`. */
static int64_t above(int64_t bound, double share, int64_t most)
{
    const double target = (double)bound * (1 + share) + 1;
    return target >= (double)most ? most : (int64_t)target;
}

uap_status uap_chain_search_rule_out(uap_chain_search *s, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int64_t cutoff = uap_exact_cutoff(s->e, s->node->config);
    int64_t bound = 0;
    if (s->mix == NULL || cutoff >= UAP_VALUE_LIMIT || is_over(s)) {
        return UAP_OK;
    }
    UAP_TRY(make_segments(s, cutoff, err));
    if (!s->has_segments) {
        goto done;
    }
    UAP_TRY(uap_mix_window_bound(s->mix, cutoff, false, &bound, err));
    s->node->bound = uap_max_i64(s->node->bound, uap_min_i64(bound, cutoff + 1));
done:
    return rc;
}

/* The relaxation, within targets ever further above the bound, until it finds a plan of its
 * own: from there the exact search sets out. How far it got is kept for the next visit. One
 * stage alone has one segment to look at, whose bound is worth sharpening first. */
static uap_status find_relaxation(uap_chain_search *s, uap_err *err)
{
    uap_status rc = UAP_OK;
    cuts outer = {NULL, NULL};
    uap_node *node = s->node;
    bool is_tightened = false;
    node->reach = node->reach > 0 ? node->reach : FIRST_REACH;
    while (!cuts_exist(&outer) && !is_over(s)) {
        const int64_t target =
            above(node->bound, node->reach, uap_exact_cutoff(s->e, node->config));
        UAP_TRY(relax_within(s, target, &outer, err));
        if (!s->has_segments) {
            break;
        }
        if (cuts_exist(&outer) && s->in->pp == 1) {
            set_effort(s, INT64_MAX);
            UAP_TRY(tighten(s, &is_tightened, err));
            cuts_free(&outer);
            UAP_TRY(relax_within(s, target, &outer, err));
        }
        node->reach = cuts_exist(&outer) ? FIRST_REACH : node->reach * REACH_FACTOR;
    }
done:
    cuts_free(&outer);
    return rc;
}

uap_status uap_chain_search_begin(uap_chain_search *s, uap_exact *e, uap_node *node,
                                  uap_err *err)
{
    *s = (uap_chain_search){.e = e, .node = node, .in = e->instance[node->config]};
    uap_status rc = UAP_OK;
    const uap_restriction *restriction = node->n_layers > 0 ? &node->restriction : NULL;
    if (s->in->n_types > 0) {
        UAP_TRY(uap_mix_new(s->in, restriction, &s->mix, err));
    } else {
        UAP_TRY(uap_chain_build(s->in, restriction, &s->chain, err));
    }
    if (uap_chain_search_is_empty(s)) {
        goto done;
    }
    if (s->mix != NULL) {
        int64_t bound = 0; /* for its prices */
        UAP_TRY(uap_mix_bound(s->mix, UAP_MIX_FEW_ROUNDS, INT64_MAX, &bound, err));
    } else {
        UAP_TRY(uap_pipeline_init(&s->pipeline, s->chain, err));
    }
    if (!uap_choice_init(&s->choice, s->in->pp, s->in->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
done:
    return rc;
}

void uap_chain_search_end(uap_chain_search *s)
{
    end_segments(s);
    uap_pipeline_free(&s->pipeline);
    uap_choice_free(&s->choice);
    uap_chain_free(s->chain);
    uap_mix_free(s->mix);
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
    UAP_TRY(uap_chain_search_rule_out(s, err));
    UAP_TRY(find_relaxation(s, err));
    while (!*found && !is_over(s)) {
        if (!(node->step > 0)) {
            const int64_t asked = limits == NULL ? 0 : limits->effort;
            node->step = s->in->pp == 1 ? SHARP_STEP : FIRST_STEP;
            node->effort = asked > 0        ? asked
                           : s->mix == NULL ? FIRST_EFFORT
                                            : MIXED_EFFORT;
        }
        const int64_t end = uap_min_i64(most, uap_exact_cutoff(s->e, node->config));
        UAP_TRY(search_within(s, above(node->bound, node->step, end), found, err));
        const bool given_up = was_given_up(s);
        s->weighs_ends = s->weighs_ends || (s->mix != NULL && (given_up || has_many(s)));
        if (given_up) {
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
    cuts outer = {NULL, NULL};
    bool is_tightened = false;
    s->most = target;
    s->node->effort = INT64_MAX;
    s->weighs_ends = s->mix != NULL;
    *found = false;
    if (s->in->pp == 1) {
        UAP_TRY(relax_within(s, target, &outer, err));
        if (!cuts_exist(&outer)) {
            goto done;
        }
        set_effort(s, INT64_MAX);
        UAP_TRY(tighten(s, &is_tightened, err));
        cuts_free(&outer);
    }
    UAP_TRY(search_within(s, target, found, err));
done:
    cuts_free(&outer);
    return rc;
}
