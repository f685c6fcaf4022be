/* When a node gets a linear program or CBC, and what comes of it (search/wide.h). Both take a
 * share of the work that grows with what they have shown to be worth: a program is tried now
 * and then, more often where it beat the chain's bound, nearly always where it did so
 * clearly. That decides how fast a search is, never what it finds. Work is counted, not
 * timed, so that ranks that search side by side decide alike. */
#include "search/wide_state.h"

#include "common/clock.h"
#include "common/numbers.h"
#include "search/greedy.h"
#include "search/ilp_cbc.h"
#include "search/objective.h"

#include <math.h>
#include <string.h>

/* Fewer combinations of layouts than this are branched through as they come. */
#define WIDE_COMBINATIONS 256.0

/* Seconds of a visit to a node's chain, about: 24 to 40 layers, 8 strategies. */
#define VISIT_S 0.015

/* And of making a program. */
#define BUILD_S 0.05

/* The most that programs may take of the work: the first of all, to learn whether they are any good, where
 * they beat the chain's bound, where they do so clearly; and CBC. */
#define FIRST_SHARE 0.75
#define TRY_SHARE   0.25
#define LED_SHARE   0.5
#define CLEAR_SHARE 0.9
#define CBC_SHARE   0.1

/* A program's bound this share above the chain's lets the chain's search be left out. */
#define CLEAR_LEAD 0.05

/* Programs that close this share of their nodes are clearly better too. */
#define MOSTLY_CLOSED 0.7

/* A lead that was not looked at again counts for less from level to level. */
#define LEAD_DECAY 0.7

/* CBC is asked where the bound is this near to the cutoff, at first; a failure halves it. */
#define CBC_GAP     0.02
#define CBC_SECONDS 1.0

/* CBC looks for plans up to this much above the cutoff, so that what its tolerances hide
 * lies above it. */
#define CBC_MARGIN 1e-5

/* Plans this much above the cutoff are worth single changes. */
#define POLISH_REACH 1.05

void uap_wide_free(uap_wide *wide)
{
    if (wide != NULL) {
        uap_program_free(wide->program);
        uap_wide_forget_rises(wide);
        uap_free(wide);
    }
}

void uap_wide_forget(uap_wide *wide, int32_t config)
{
    if (wide != NULL && wide->rise_config == config) {
        uap_wide_forget_rises(wide);
    }
    if (wide != NULL && wide->config == config) {
        uap_program_free(wide->program);
        wide->program = NULL;
        wide->config = -1;
        wide->lead = wide->closed = 0.0;
        wide->failures = 0;
    }
}

uap_status uap_wide_need(uap_exact *e, uap_err *err)
{
    if (e->wide == NULL) {
        e->wide = uap_calloc(1, sizeof *e->wide);
        if (e->wide == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for wide graphs");
        }
        *e->wide = (uap_wide){.config = -1, .rise_config = -1, .cbc_gap = CBC_GAP};
    }
    return UAP_OK;
}

bool uap_wide_is_wide(const uap_instance *instance)
{
    double combinations = 1.0;
    if (instance->n_types > 0) {
        return false;
    }
    for (int32_t t = 0; t < instance->n_live && combinations < WIDE_COMBINATIONS; t++) {
        const uap_live_tensor *live = &instance->live[t];
        const int32_t n = uap_table_of(instance, live->from)->n;
        int32_t different = 1;
        /* Layouts differ in bytes or transfer as a rule; others are found when branching. */
        for (int32_t k = 1; k < n; k++) {
            bool is_new = true;
            for (int32_t j = 0; j < k && is_new; j++) {
                is_new =
                    live->bytes[j] != live->bytes[k] || live->x_fwd[j] != live->x_fwd[k];
            }
            different += is_new ? 1 : 0;
        }
        combinations *= different;
    }
    return combinations >= WIDE_COMBINATIONS;
}

static uap_status need_program(uap_exact *e, int32_t config, uap_err *err)
{
    uap_wide *wide = e->wide;
    if (wide->config == config) {
        return UAP_OK;
    }
    uap_wide_forget(wide, wide->config);
    const uap_status rc = uap_program_new(
        e->instance[config], e->config >= 0 ? e->value : 0, &wide->program, err);
    wide->config = rc == UAP_OK ? config : -1;
    wide->program_s += BUILD_S;
    return rc;
}

/* Whether the work so far allows this much more for programs, or for CBC. */
static bool can_afford(const uap_wide *wide, double spent_s, double more_s, double share)
{
    const double all_s = VISIT_S * wide->visits + wide->program_s + wide->cbc_s;
    return spent_s + more_s <= share * all_s;
}

/* The share of the work that programs may take: what they have shown to be worth. */
static double fair_share(const uap_wide *wide, double lead)
{
    if (wide->closed > MOSTLY_CLOSED || lead > CLEAR_LEAD) {
        return CLEAR_SHARE;
    }
    return lead > 0 ? LED_SHARE : TRY_SHARE / (1 + wide->failures);
}

bool uap_wide_trusts_chain(const uap_exact *e, const uap_node *node)
{
    const uap_wide *wide = e->wide;
    const bool is_led = node->lead > 0 || (wide != NULL && wide->config == node->config &&
                                           (wide->lead > 0 || wide->closed > 0.1));
    return !is_led && uap_wide_is_wide(e->instance[node->config]);
}

/* CBC's slices are timed: ranks that must decide alike go without. */
static bool is_side_by_side(const uap_exact *e)
{
    return e->crew != NULL && e->crew->meet != NULL;
}

static void choose_forced(const uap_exact *e, const uap_node *node, uint32_t mode,
                          uap_wide_plan *plan)
{
    plan->program = (mode & UAP_WIDE_LP) != 0 && node->program == 0;
    plan->cbc = (mode & UAP_WIDE_CBC) != 0 && !node->had_cbc && !is_side_by_side(e);
    plan->skip_chain = (mode & UAP_WIDE_LEAF) != 0 && !e->is_fixed;
}

uap_status uap_wide_choose(uap_exact *e, const uap_node *node, uap_wide_plan *plan,
                           uap_err *err)
{
    const uap_instance *in = e->instance[node->config];
    const uint32_t mode = e->limits == NULL ? UAP_WIDE_AUTO : e->limits->wide;
    uap_status rc = UAP_OK;
    *plan = (uap_wide_plan){.scores = in->n_live > 1 && in->n_types == 0};
    if (mode == UAP_WIDE_NEVER || in->n_types > 0 || in->n_live == 0) {
        return UAP_OK;
    }
    UAP_TRY(uap_wide_need(e, err));
    uap_wide *wide = e->wide;
    if (mode != UAP_WIDE_AUTO) {
        choose_forced(e, node, mode, plan);
        return UAP_OK;
    }
    wide->visits++;
    const double lead = wide->config == node->config ? fmax(wide->lead, node->lead) : 0.0;
    const double share = fair_share(wide, lead);
    if (e->config < 0 || node->program != 0 || !uap_wide_is_wide(in) ||
        !can_afford(wide, wide->program_s, 0.0, share)) {
        return UAP_OK;
    }
    UAP_TRY(need_program(e, node->config, err));
    const double more_s = uap_program_seconds(wide->program);
    const bool is_due = can_afford(wide, wide->program_s, more_s,
                                   wide->program_s > 0 ? share : FIRST_SHARE);
    plan->program = is_due && lead > 0;
    plan->late = is_due && !plan->program;
    plan->cbc = plan->program && !node->had_cbc && !is_side_by_side(e) &&
                can_afford(wide, wide->cbc_s, CBC_SECONDS, CBC_SHARE);
    plan->skip_chain = lead > CLEAR_LEAD && !e->is_fixed;
done:
    return rc;
}

/* ---- Programs ----------------------------------------------------------------------- */

static double mix(double mean, double next)
{
    return LEAD_DECAY * mean + (1.0 - LEAD_DECAY) * next;
}

void uap_wide_learn(uap_exact *e, uap_node *node, int64_t chain)
{
    if (node->program > 0 && chain > 0) {
        node->lead = ((double)node->program - (double)chain) / (double)chain;
        e->wide->lead = mix(e->wide->lead, node->lead);
        e->wide->failures = node->lead > 0 ? 0 : e->wide->failures + 1;
    }
}

static uap_status tell_rounded(uap_exact *e, const uap_node *node, uap_err *err)
{
    const uap_instance *in = e->instance[node->config];
    uap_choice choice = {NULL, NULL};
    if (!uap_choice_init(&choice, in->pp, in->n_layers)) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    }
    uap_program_round(e->wide->program, node, &choice);
    const uap_status rc = uap_wide_polish(e, node->config, &choice, err);
    uap_choice_free(&choice);
    return rc;
}

uap_status uap_wide_bound(uap_exact *e, uap_node *node, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t bound = 0;
    const double before = uap_cpu_s();
    UAP_TRY(uap_wide_need(e, err));
    UAP_TRY(need_program(e, node->config, err));
    const uap_program_task task = {.node = node,
                                   .cutoff = uap_exact_cutoff(e, node->config),
                                   .must_stop = e->must_stop,
                                   .context = e->context};
    e->wide->program_s += uap_program_seconds(e->wide->program);
    UAP_TRY(uap_program_bound(e->wide->program, &task, &bound, err));
    e->stats.programs++;
    node->program = uap_max_i64(1, bound);
    if (!e->is_fixed || bound > task.cutoff) {
        node->bound = uap_max_i64(node->bound, bound);
    }
    const bool is_closed = node->bound > uap_exact_cutoff(e, node->config);
    e->wide->closed = mix(e->wide->closed, is_closed ? 1.0 : 0.0);
    if (is_closed) {
        e->stats.programs_closed++;
        e->wide->failures = 0;
    } else if (!e->is_fixed && uap_program_has_solution(e->wide->program)) {
        UAP_TRY(tell_rounded(e, node, err));
    }
done:
    e->stats.fix_s += uap_cpu_s() - before;
    return rc;
}

/* ---- CBC ---------------------------------------------------------------------------- */

static bool is_near(const uap_exact *e, const uap_node *node)
{
    const double cutoff = (double)uap_exact_cutoff(e, node->config);
    const bool forced = e->limits != NULL && (e->limits->wide & UAP_WIDE_CBC) != 0;
    return forced || cutoff - (double)node->bound <= e->wide->cbc_gap * cutoff;
}

/* Within `cutoff` there is nothing, says CBC, or nothing but what is told. */
static uap_status take_answer(uap_exact *e, const uap_node *node,
                              const uap_cbc_answer *answer, bool *closed, uap_err *err)
{
    const bool has_plan =
        answer->outcome == UAP_OUTCOME_OPTIMAL || answer->outcome == UAP_OUTCOME_FEASIBLE;
    uap_status rc = UAP_OK;
    *closed = answer->outcome == UAP_OUTCOME_INFEASIBLE;
    if (has_plan && answer->value <= uap_exact_cutoff(e, node->config)) {
        UAP_TRY(uap_exact_improve(e, node->config, &answer->choice, answer->value, err));
    } else if (answer->outcome == UAP_OUTCOME_OPTIMAL) {
        /* The best is above the cutoff, by more than tolerances hide. */
        *closed = (double)answer->value * (1.0 - CBC_MARGIN / 2) >
                  (double)uap_exact_cutoff(e, node->config);
    }
done:
    return rc;
}

uap_status uap_wide_close(uap_exact *e, uap_node *node, bool *closed, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_cbc_answer answer = {0};
    const double before = uap_cpu_s();
    *closed = false;
    if (!is_near(e, node) || e->config < 0 || e->must_stop(e->context)) {
        return UAP_OK;
    }
    const double cutoff = (double)uap_exact_cutoff(e, node->config);
    const uap_cbc_task task = {.instance = e->instance[node->config],
                               .restriction =
                                   node->n_layers > 0 ? &node->restriction : NULL,
                               .goal = UAP_MILP_TIME,
                               .cutoff = (int64_t)(cutoff * (1.0 + CBC_MARGIN)) + 2,
                               .seconds = CBC_SECONDS};
    node->had_cbc = true;
    e->stats.cbc_runs++;
    rc = uap_cbc_run(&task, &answer, err);
    if (rc == UAP_SOLVER) {
        /* An answer that is none: the node is as open as before. */
        answer.outcome = UAP_OUTCOME_UNKNOWN;
        rc = UAP_OK;
    }
    if (rc == UAP_OK) {
        rc = take_answer(e, node, &answer, closed, err);
    }
    e->wide->cbc_s += CBC_SECONDS;
    e->stats.cbc_closed += *closed ? 1 : 0;
    e->wide->cbc_gap *= *closed ? 1.2 : 0.5;
    uap_cbc_answer_free(&answer);
    e->stats.label_s += uap_cpu_s() - before;
    return rc;
}

/* ---- Plans -------------------------------------------------------------------------- */

uap_status uap_wide_polish(uap_exact *e, int32_t config, const uap_choice *choice,
                           uap_err *err)
{
    const uap_instance *in = e->instance[config];
    uap_choice better = {NULL, NULL};
    uap_stage_cost *scratch = uap_calloc((size_t)in->pp, sizeof *scratch);
    uap_status rc = UAP_OK;
    int64_t value = INT64_MAX;
    bool found = false;
    if (scratch == NULL || !uap_choice_init(&better, in->pp, in->n_layers)) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
        goto done;
    }
    (void)uap_choice_value(in, choice, scratch, &value);
    const double reach = (double)uap_exact_cutoff(e, config) * POLISH_REACH;
    if ((double)value > reach) {
        goto done;
    }
    uap_choice_copy(&better, choice, in->pp, in->n_layers);
    UAP_TRY(uap_greedy_improve(in, &better, &value, &found, err));
    if (found && value < uap_exact_cutoff(e, config)) {
        UAP_TRY(uap_exact_improve(e, config, &better, value, err));
    }
done:
    uap_choice_free(&better);
    uap_free(scratch);
    return rc;
}
