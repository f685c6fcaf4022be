/* Which stages a survey has, and what they are expected to take. */
#include "profile/survey.h"

#include <math.h>
#include <string.h>

/* Short messages there and back, then long ones, each with its own order and report. */
static double flow_s(const uap_survey_costs *costs, double bytes_per_s)
{
    return 2 * costs->latency_s * costs->pings +
           costs->transfers * (2 * costs->latency_s + costs->bytes / bytes_per_s);
}

static double round_s(const uap_partition *partition, uap_round_kind kind,
                      const uap_survey_costs *costs)
{
    const double devices = uap_round_devices(partition, kind);
    if (kind == UAP_ROUND_DEVICES) {
        return costs->round_s + devices * costs->order_s + costs->device_s;
    }
    const double bytes_per_s =
        kind == UAP_ROUND_INSIDE ? costs->inside_Bps : costs->node_Bps;
    /* Pairs take turns. */
    const int turns = kind == UAP_ROUND_INSIDE || kind == UAP_ROUND_PAIRS ? 2 : 1;
    return 2 * (costs->round_s + devices * costs->order_s) + costs->connect_s +
           turns * flow_s(costs, bytes_per_s);
}

static uap_stage stage_of(const uap_partition *partition, uap_round_kind kind,
                          const uap_survey_costs *costs)
{
    return (uap_stage){.kind = kind,
                       .rounds = uap_round_count(partition, kind),
                       .devices = uap_round_devices(partition, kind),
                       .round_s = round_s(partition, kind, costs)};
}

static double stage_s(const uap_stage *stage)
{
    return stage->is_skipped ? 0 : stage->rounds * stage->round_s;
}

static void skip(uap_survey_plan *plan, uap_round_kind kind)
{
    for (int32_t i = 0; i < plan->n; i++) {
        plan->stage[i].is_skipped |= plan->stage[i].kind == kind;
    }
}

static void add(uap_survey_plan *plan, uap_stage stage)
{
    if (stage.rounds > 0) {
        plan->stage[plan->n++] = stage;
    }
}

static void list(const uap_partition *partition, const uap_survey_costs *costs,
                 uap_round_kind nodes, uap_survey_plan *out)
{
    memset(out, 0, sizeof *out);
    add(out, stage_of(partition, UAP_ROUND_DEVICES, costs));
    add(out, stage_of(partition, UAP_ROUND_INSIDE, costs));
    add(out, stage_of(partition, nodes, costs));
    /* With one device a node its rail is what the nodes' rounds have measured. */
    if (partition->most > 1) {
        add(out, stage_of(partition, UAP_ROUND_RAILS, costs));
    }
    add(out, stage_of(partition, UAP_ROUND_BISECTION, costs));
}

void uap_survey_plan_make(const uap_partition *partition, const uap_survey_costs *costs,
                          int32_t tournament_max, double budget_s, uap_survey_plan *out)
{
    static const uap_round_kind dispensable[] = {UAP_ROUND_BISECTION, UAP_ROUND_RAILS,
                                                 UAP_ROUND_INSIDE};
    const bool small = partition->nodes <= tournament_max;
    list(partition, costs, small ? UAP_ROUND_PAIRS : UAP_ROUND_SHIFTS, out);
    out->budget_s = budget_s;
    if (small && uap_survey_expected_s(out) > budget_s) {
        list(partition, costs, UAP_ROUND_SHIFTS, out);
        out->budget_s = budget_s;
    }
    for (size_t i = 0; i < sizeof dispensable / sizeof dispensable[0]; i++) {
        if (uap_survey_expected_s(out) > budget_s) {
            skip(out, dispensable[i]);
        }
    }
}

double uap_survey_expected_s(const uap_survey_plan *plan)
{
    double seconds = 0;
    for (int32_t i = 0; i < plan->n; i++) {
        seconds += stage_s(&plan->stage[i]);
    }
    return seconds;
}

double uap_survey_again_s(const uap_survey_plan *plan)
{
    const double times = uap_survey_limits_default().confirm;
    double seconds = 0;
    for (int32_t i = 0; i < plan->n; i++) {
        const uap_stage *stage = &plan->stage[i];
        const bool is_judged = stage->kind != UAP_ROUND_BISECTION;
        seconds += is_judged && !stage->is_skipped ? times * stage->round_s : 0;
    }
    return seconds;
}
