/* From a plan of N devices to one of N' (plan/plan_carry.h). */
#include "plan/plan_carry.h"

#include "common/numbers.h"
#include "search/exact_bytes.h"
#include "search/greedy.h"
#include "search/objective.h"

#include <math.h>
#include <stdlib.h>

#define TRIES    4   /* configurations of the other count for each plan */
#define IMPROVED 3   /* of all tries, by single changes */
#define UNFIT    1.2 /* what a try counts that does not fit as it is: changes may mend it */

/* A plan on a configuration. */
typedef struct try_out {
    const uap_plan *plan;
    int32_t config;
    double score; /* less is better */
} try_out;

typedef struct candidate {
    int32_t config;
    double distance;
} candidate;

static double apart(double a, double b)
{
    return fabs(log2(a / b));
}

/* How far from the plan in stages and micro-batches. As many stages of more devices are as
 * near as more stages of as many; micro-batches may stay, or keep their ranks busy with as
 * many samples each. */
static double distance(const uap_plan *plan, double ratio, uap_configuration at)
{
    const double pp = plan->pp, c = (double)plan->micro_batches;
    const double stages = fmin(apart(at.pp, pp), apart(at.pp, pp * ratio));
    const double batches = fmin(apart((double)at.micro_batches, c),
                                apart((double)at.micro_batches, c / ratio));
    return stages + batches + (at.pp > 1 && at.schedule != plan->schedule ? 1.0 : 0.0);
}

/* The nearest configurations, of equally near ones the first. */
static int32_t nearest(const uap_plan *plan, const uap_cost *to, double ratio,
                       candidate found[TRIES])
{
    int32_t n = 0;
    for (int32_t i = 0; i < uap_cost_count(to); i++) {
        const candidate own = {i, distance(plan, ratio, uap_cost_configuration(to, i))};
        int32_t at = n < TRIES ? n++ : TRIES;
        while (at > 0 && own.distance < found[at - 1].distance) {
            if (at < TRIES) {
                found[at] = found[at - 1];
            }
            at--;
        }
        if (at < TRIES) {
            found[at] = own;
        }
    }
    return n;
}

/* The plan's layer at which x of its stages are over, a fraction of a stage as that fraction of
 * its layers. */
static int32_t layer_at(const uap_plan *plan, double x)
{
    const int32_t i = (int32_t)floor(x);
    if (i >= plan->pp) {
        return plan->n_layers;
    }
    const uap_plan_stage *stage = &plan->stage[i];
    const double length = stage->last_layer - stage->first_layer + 1;
    return stage->first_layer + (int32_t)lround((x - i) * length);
}

static void map_cuts(const uap_plan *plan, int32_t pp, int32_t *first)
{
    first[0] = 0;
    for (int32_t i = 1; i < pp; i++) {
        const int32_t at = layer_at(plan, (double)i * plan->pp / pp);
        /* No stage is empty, neither this nor those still to come. */
        first[i] = (int32_t)uap_min_i64(uap_max_i64(at, first[i - 1] + 1),
                                        plan->n_layers - (pp - i));
    }
}

/* How unlike two strategies are: what a layer keeps and sends counts before how many ranks share
 * the batch. */
static double unlikeness(const uap_strategy *a, const uap_strategy *b)
{
    const double sharded = apart(a->fsdp, b->fsdp);
    return 64 * apart(a->tp, b->tp) + 32 * (a->recompute != b->recompute) +
           16 * (a->sp != b->sp) + 8 * ((a->fsdp > 1) != (b->fsdp > 1)) +
           4 * abs(a->zero - b->zero) + sharded;
}

/* The row of a layer's table most like the strategy; of equally like ones the first. */
static int32_t most_like(uap_cost *to, int32_t config, const uap_layer_table *table,
                         const uap_strategy *wanted)
{
    int32_t best = 0;
    double least = HUGE_VAL;
    for (int32_t k = 0; k < table->n; k++) {
        const uap_strategy own = uap_cost_strategy(to, config, table->origin[k]);
        const double d = unlikeness(&own, wanted);
        if (d < least) {
            least = d;
            best = k;
        }
    }
    return best;
}

static void map_strategies(const uap_plan *plan, uap_cost *to, int32_t config,
                           const uap_instance *in, int32_t *strategy)
{
    for (int32_t u = 0; u < in->n_layers; u++) {
        const uap_plan_layer *layer = &plan->layer[u];
        const bool same = u > 0 && in->layer_table[u] == in->layer_table[u - 1] &&
                          !(unlikeness(&layer->strategy, &layer[-1].strategy) > 0);
        strategy[u] = same ? strategy[u - 1]
                           : most_like(to, config, uap_table_of(in, u), &layer->strategy);
    }
}

static uap_status keep_if_better(uap_carried *best, int32_t config, int64_t value,
                                 const uap_instance *in, const uap_choice *choice,
                                 uap_err *err)
{
    const uap_exact_sizes sizes = {.stages = in->pp, .layers = in->n_layers};
    if (best->n > 0 && value >= best->value) {
        return UAP_OK;
    }
    char *bytes = uap_calloc(uap_plan_bytes_max(&sizes), 1);
    if (bytes == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_free(best->bytes);
    best->bytes = bytes;
    best->n = uap_plan_to_bytes(config, in, choice, bytes);
    best->value = value;
    return UAP_OK;
}

/* The plan in the terms of one configuration; *in is NULL where it cannot be. The caller frees
 * both. */
static uap_status map(const uap_plan *plan, uap_cost *to, int32_t config,
                      uap_instance **in, uap_choice *choice, uap_err *err)
{
    const uap_source source = uap_cost_source(to);
    uap_status rc = UAP_OK;
    UAP_TRY(source.build(source.context, config, in, err));
    if (*in != NULL && ((*in)->n_types > 0 || (*in)->n_layers != plan->n_layers)) {
        uap_instance_free(*in);
        *in = NULL;
    }
    if (*in == NULL) {
        goto done;
    }
    if (!uap_choice_init(choice, (*in)->pp, (*in)->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
        goto done;
    }
    map_cuts(plan, (*in)->pp, choice->first);
    map_strategies(plan, to, config, *in, choice->strategy);
done:
    return rc;
}

/* What the plan costs there as it is; *score is infinite where it is none. */
static uap_status judge(try_out *t, uap_cost *to, uap_err *err)
{
    uap_instance *in = NULL;
    uap_choice choice = {NULL, NULL};
    uap_stage_cost *scratch = NULL;
    int64_t value = UAP_VALUE_LIMIT;
    uap_status rc = UAP_OK;
    t->score = HUGE_VAL;
    UAP_TRY(map(t->plan, to, t->config, &in, &choice, err));
    if (in != NULL) {
        scratch = uap_calloc((size_t)in->pp, sizeof *scratch);
        if (scratch == NULL) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory for stage costs");
            goto done;
        }
        const bool fits = uap_choice_value(in, &choice, scratch, &value);
        t->score = (double)value * (fits ? 1.0 : UNFIT);
    }
done:
    uap_free(scratch);
    uap_choice_free(&choice);
    uap_instance_free(in);
    return rc;
}

/* The plan there, made better by single changes. */
static uap_status improve(const try_out *t, uap_cost *to, uap_carried *best, uap_err *err)
{
    uap_instance *in = NULL;
    uap_choice choice = {NULL, NULL};
    uap_status rc = UAP_OK;
    bool found = false;
    int64_t value = 0;
    UAP_TRY(map(t->plan, to, t->config, &in, &choice, err));
    UAP_TRY(uap_greedy_improve(in, &choice, &value, &found, err));
    if (found) {
        rc = keep_if_better(best, t->config, value, in, &choice, err);
    }
done:
    uap_choice_free(&choice);
    uap_instance_free(in);
    return rc;
}

/* Of the good ones, kept in order, the best IMPROVED. */
static void rank_try(try_out good[IMPROVED], const try_out *own)
{
    int at = IMPROVED;
    while (at > 0 && own->score < good[at - 1].score) {
        if (at < IMPROVED) {
            good[at] = good[at - 1];
        }
        at--;
    }
    if (at < IMPROVED) {
        good[at] = *own;
    }
}

static uap_status try_plan(const uap_plan *plan, uap_cost *to, try_out good[IMPROVED],
                           uap_err *err)
{
    candidate found[TRIES];
    uap_status rc = UAP_OK;
    const double ratio =
        (double)uap_cost_groups(to)->group[0].devices / (double)plan->device_count;
    const int32_t n = nearest(plan, to, ratio, found);
    for (int32_t i = 0; i < n; i++) {
        try_out own = {.plan = plan, .config = found[i].config};
        UAP_TRY(judge(&own, to, err));
        rank_try(good, &own);
    }
done:
    return rc;
}

uap_status uap_plan_carry(const uap_plan *const *plan, size_t n, uap_cost *to,
                          uap_carried *best, uap_err *err)
{
    try_out good[IMPROVED];
    uap_status rc = UAP_OK;
    for (int i = 0; i < IMPROVED; i++) {
        good[i] = (try_out){.score = HUGE_VAL};
    }
    for (size_t i = 0; i < n && uap_cost_groups(to)->n == 1; i++) {
        if (plan[i]->stage != NULL && plan[i]->layer != NULL &&
            plan[i]->device_count > 0) {
            UAP_TRY(try_plan(plan[i], to, good, err));
        }
    }
    for (int i = 0; i < IMPROVED && good[i].plan != NULL; i++) {
        UAP_TRY(improve(&good[i], to, best, err));
    }
done:
    return rc;
}

void uap_carried_free(uap_carried *carried)
{
    uap_free(carried->bytes);
    *carried = (uap_carried){0};
}
