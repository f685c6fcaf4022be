/* The CBC engine: the configurations of a source one after the other, with one incumbent
 * between them. A first plan for each comes from search/greedy.h; then CBC gets slices of
 * time, because nothing can stop it within one: each round of the open ones has longer
 * slices, starts from the best plan so far and looks only for better ones. */
#include "common/numbers.h"
#include "search/greedy.h"
#include "search/ilp_cbc.h"
#include "search/objective.h"
#include "search/solve.h"

#include <stdlib.h>
#include <time.h>

#define FIRST_SLICE_S 2.0
#define SLICE_GROWTH  4.0

/* What is known of one configuration. */
typedef struct config {
    int32_t index;
    bool open;
    bool has_plan;
    uap_choice plan; /* its best so far */
    int64_t value;
    int64_t bound; /* no plan of it is below; INT64_MAX: it has none */
    int32_t pp, n_layers;
} config;

typedef struct engine {
    const uap_source *source;
    const uap_limits *limits;
    uap_result *result;
    config *config; /* [n], most promising first once all are built */
    struct timespec wall;
    clock_t cpu;
} engine;

static double wall_s(const engine *e)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - e->wall.tv_sec) +
           1e-9 * (double)(now.tv_nsec - e->wall.tv_nsec);
}

static double cpu_s(clock_t since)
{
    return (double)(clock() - since) / CLOCKS_PER_SEC;
}

/* Seconds left, or a negative number where there is no limit. */
static double left_s(const engine *e)
{
    if (e->limits->time_limit_s <= 0.0) {
        return -1.0;
    }
    const double left = e->limits->time_limit_s - wall_s(e);
    return left > 0.0 ? left : 0.0;
}

static bool must_stop(const engine *e)
{
    return left_s(e) == 0.0 || (e->limits->stop != NULL && *e->limits->stop != 0);
}

/* Makes a configuration's plan the incumbent when it is better. */
static uap_status offer(engine *e, const config *c, uap_err *err)
{
    uap_result *r = e->result;
    if (!c->has_plan || (r->config >= 0 && r->value <= c->value)) {
        return UAP_OK;
    }
    uap_choice copy;
    if (!uap_choice_init(&copy, c->pp, c->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_choice_copy(&copy, &c->plan, c->pp, c->n_layers);
    uap_choice_free(&r->choice);
    r->choice = copy;
    r->config = c->index;
    r->value = c->value;
    return UAP_OK;
}

static uap_status build(engine *e, const config *c, uap_instance **instance, uap_err *err)
{
    const clock_t start = clock();
    const uap_status rc = e->source->build(e->source->context, c->index, instance, err);
    e->result->stats.build_s += cpu_s(start);
    return rc;
}

/* Builds a configuration for the first time and finds it a plan. */
static uap_status open_config(engine *e, config *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_instance *in = NULL;
    UAP_TRY(build(e, c, &in, err));
    if (in == NULL) {
        e->result->stats.illegal++;
        c->bound = INT64_MAX;
        goto done;
    }
    c->pp = in->pp;
    c->n_layers = in->n_layers;
    c->open = true;
    if (!uap_choice_init(&c->plan, c->pp, c->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
        goto done;
    }
    UAP_TRY(uap_greedy_plan(in, &c->plan, &c->value, &c->has_plan, err));
    UAP_TRY(offer(e, c, err));
done:
    uap_instance_free(in);
    return rc;
}

/* Close: nothing of this configuration can be better than the incumbent by more than the
 * gap. */
static void close_if_settled(engine *e, config *c)
{
    const uap_result *r = e->result;
    if (c->open && r->config >= 0 &&
        (double)c->bound >= (double)r->value * (1.0 - e->limits->gap)) {
        c->open = false;
        e->result->stats.pruned_by_bound++;
    }
}

static uap_status take(engine *e, config *c, const uap_cbc_answer *a, uap_err *err)
{
    const bool has_plan =
        a->outcome == UAP_OUTCOME_OPTIMAL || a->outcome == UAP_OUTCOME_FEASIBLE;
    const int64_t incumbent = e->result->config >= 0 ? e->result->value : INT64_MAX;
    e->result->stats.nodes += a->nodes;
    if (has_plan && (!c->has_plan || a->value < c->value)) {
        uap_choice_copy(&c->plan, &a->choice, c->pp, c->n_layers);
        c->value = a->value;
        c->has_plan = true;
    }
    if (a->outcome == UAP_OUTCOME_INFEASIBLE) {
        /* Below the incumbent, that is, when there was one, by more than the gap. */
        c->open = false;
        c->bound = incumbent;
        if (incumbent != INT64_MAX && e->limits->gap > 0.0) {
            c->bound = (int64_t)((double)incumbent * (1.0 - e->limits->gap));
        }
        e->result->stats.infeasible += incumbent == INT64_MAX;
        e->result->stats.solved += incumbent != INT64_MAX;
    } else {
        c->bound = uap_max_i64(c->bound, uap_min_i64(a->bound, incumbent));
    }
    if (a->outcome == UAP_OUTCOME_OPTIMAL) {
        c->open = false;
        e->result->stats.solved++;
    }
    return offer(e, c, err);
}

/* One slice of CBC. */
static uap_status run_config(engine *e, config *c, double slice_s, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_instance *in = NULL;
    uap_cbc_answer answer = {0};
    const double left = left_s(e);
    UAP_TRY(build(e, c, &in, err));
    const uap_cbc_task task = {
        .instance = in,
        .goal = UAP_MILP_TIME,
        .start = c->has_plan ? &c->plan : NULL,
        .start_value = c->value,
        .cutoff = e->result->config >= 0 && e->result->config != c->index
                      ? e->result->value
                      : 0,
        .seconds = left >= 0.0 && (slice_s <= 0.0 || left < slice_s) ? left : slice_s,
        .gap = e->limits->gap};
    const clock_t start = clock();
    UAP_TRY(uap_cbc_run(&task, &answer, err));
    e->result->stats.label_s += cpu_s(start);
    UAP_TRY(take(e, c, &answer, err));
done:
    uap_cbc_answer_free(&answer);
    uap_instance_free(in);
    return rc;
}

static int32_t count_open(const engine *e)
{
    int32_t open = 0;
    for (int32_t i = 0; i < e->source->n; i++) {
        open += e->config[i].open;
    }
    return open;
}

/* Rounds of ever longer slices until all are closed or time is up. A single configuration
 * that no signal can stop gets all the time at once. */
static uap_status run_rounds(engine *e, uap_err *err)
{
    double slice_s = FIRST_SLICE_S;
    int32_t open = count_open(e);
    while (open > 0) {
        const bool alone = open == 1 && e->limits->stop == NULL;
        for (int32_t i = 0; i < e->source->n; i++) {
            config *c = &e->config[i];
            close_if_settled(e, c);
            if (!c->open) {
                continue;
            }
            if (must_stop(e)) {
                return UAP_OK;
            }
            const uap_status rc = run_config(e, c, alone ? 0.0 : slice_s, err);
            if (rc != UAP_OK) {
                return rc;
            }
        }
        slice_s *= SLICE_GROWTH;
        open = count_open(e);
    }
    return UAP_OK;
}

/* Notes what the most frugal plan of one configuration lacks. */
static uap_status measure_shortage(engine *e, const config *c, bool *proven, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_instance *in = NULL;
    uap_cbc_answer answer = {0};
    uap_stage_cost *stage = uap_calloc((size_t)c->pp, sizeof *stage);
    const double left = left_s(e);
    if (stage == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for stages");
        goto done;
    }
    UAP_TRY(build(e, c, &in, err));
    const uap_cbc_task task = {
        .instance = in, .goal = UAP_MILP_MEMORY, .seconds = left >= 0.0 ? left : 0.0};
    UAP_TRY(uap_cbc_run(&task, &answer, err));
    *proven &= answer.outcome == UAP_OUTCOME_OPTIMAL;
    if (answer.outcome != UAP_OUTCOME_OPTIMAL && answer.outcome != UAP_OUTCOME_FEASIBLE) {
        goto done;
    }
    uap_choice_stages(in, &answer.choice, stage);
    int32_t worst = 0;
    int64_t cap = 0;
    for (int32_t i = 0; i < c->pp; i++) {
        const int64_t own = uap_choice_cap(in, &answer.choice, i);
        if (i == 0 || stage[i].memory - own > stage[worst].memory - cap) {
            worst = i;
            cap = own;
        }
    }
    uap_shortage *s = &e->result->shortage;
    if (s->need_bytes == 0 || stage[worst].memory - cap < s->need_bytes - s->cap_bytes) {
        *s = (uap_shortage){.config = c->index,
                            .stage = worst,
                            .first = answer.choice.first[worst],
                            .last = worst + 1 < c->pp ? answer.choice.first[worst + 1] - 1
                                                      : c->n_layers - 1,
                            .need_bytes = stage[worst].memory,
                            .cap_bytes = cap};
    }
done:
    uap_cbc_answer_free(&answer);
    uap_instance_free(in);
    uap_free(stage);
    return rc;
}

static uap_status find_shortage(engine *e, uap_err *err)
{
    bool proven = true;
    for (int32_t i = 0; i < e->source->n; i++) {
        const config *c = &e->config[i];
        if (c->n_layers == 0) {
            continue; /* it was never legal */
        }
        if (must_stop(e)) {
            return UAP_OK;
        }
        const uap_status rc = measure_shortage(e, c, &proven, err);
        if (rc != UAP_OK) {
            return rc;
        }
    }
    e->result->shortage.known = proven && e->result->shortage.need_bytes > 0;
    return UAP_OK;
}

/* Most promising first: by the value of the first plan, those without one last. */
static int compare_configs(const void *a, const void *b)
{
    const config *one = a;
    const config *two = b;
    if (one->has_plan != two->has_plan) {
        return one->has_plan ? -1 : 1;
    }
    if (one->has_plan && one->value != two->value) {
        return one->value < two->value ? -1 : 1;
    }
    return one->index < two->index ? -1 : 1;
}

static void conclude(engine *e)
{
    uap_result *r = e->result;
    int64_t bound = INT64_MAX;
    for (int32_t i = 0; i < e->source->n; i++) {
        bound = uap_min_i64(bound, e->config[i].bound);
    }
    const bool has_plan = r->config >= 0;
    r->bound = has_plan ? uap_min_i64(bound, r->value) : bound == INT64_MAX ? 0 : bound;
    const bool proven =
        count_open(e) == 0 ||
        (has_plan && (double)r->bound >= (double)r->value * (1.0 - e->limits->gap));
    if (proven) {
        r->outcome = has_plan ? UAP_OUTCOME_OPTIMAL : UAP_OUTCOME_INFEASIBLE;
    } else {
        r->outcome = has_plan ? UAP_OUTCOME_FEASIBLE : UAP_OUTCOME_UNKNOWN;
    }
}

static uap_status solve(engine *e, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < e->source->n; i++) {
        e->config[i] = (config){.index = i};
        UAP_TRY(open_config(e, &e->config[i], err));
    }
    qsort(e->config, (size_t)e->source->n, sizeof *e->config, compare_configs);
    UAP_TRY(run_rounds(e, err));
    conclude(e);
    if (e->result->outcome == UAP_OUTCOME_INFEASIBLE) {
        UAP_TRY(find_shortage(e, err));
    }
done:
    return rc;
}

uap_status uap_cbc_solve(const uap_source *source, const uap_limits *limits,
                         uap_result *result, uap_err *err)
{
    engine e = {.source = source, .limits = limits, .result = result, .cpu = clock()};
    (void)clock_gettime(CLOCK_MONOTONIC, &e.wall);
    *result = (uap_result){.outcome = UAP_OUTCOME_UNKNOWN, .config = -1};
    result->stats.configurations = source->n;
    e.config = uap_calloc((size_t)source->n, sizeof *e.config);
    const uap_status rc =
        e.config == NULL
            ? UAP_FAIL(err, NO_MEMORY, "out of memory for %d configurations", source->n)
            : solve(&e, err);
    for (int32_t i = 0; e.config != NULL && i < source->n; i++) {
        uap_choice_free(&e.config[i].plan);
    }
    uap_free(e.config);
    result->stats.ranks = 1;
    result->stats.total_s = cpu_s(e.cpu);
    result->stats.wall_s = wall_s(&e);
    return rc;
}
