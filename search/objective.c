/* The objective of docs/cost-model.md, term by term. Engines may be clever; this is not. */
#include "search/objective.h"

#include "common/numbers.h"

#include <string.h>

int64_t uap_schedule_inflight(uap_schedule schedule, int32_t pp, int32_t stage, int64_t c)
{
    if (pp == 1) {
        return 1;
    }
    switch (schedule) {
    case UAP_SCHEDULE_1F1B:
        return uap_min_i64(c, pp - stage);
    case UAP_SCHEDULE_1F1B_EAGER:
        return uap_min_i64(c, 2 * (int64_t)(pp - stage) - 1);
    case UAP_SCHEDULE_GPIPE:
    case UAP_SCHEDULE_COUNT:
        break;
    }
    return c;
}

static const char *const schedule_names[UAP_SCHEDULE_COUNT] = {
    [UAP_SCHEDULE_GPIPE] = "gpipe",
    [UAP_SCHEDULE_1F1B] = "1f1b",
    [UAP_SCHEDULE_1F1B_EAGER] = "1f1b-eager",
};

const char *uap_schedule_name(uap_schedule schedule)
{
    return schedule_names[schedule];
}

bool uap_schedule_by_name(const char *name, uap_schedule *out)
{
    for (int i = 0; i < UAP_SCHEDULE_COUNT; i++) {
        if (strcmp(name, schedule_names[i]) == 0) {
            *out = (uap_schedule)i;
            return true;
        }
    }
    return false;
}

/* What a schedule takes: until the last backward ends (V), and until the work behind it is
 * done too (V + E). */
typedef struct schedule_time {
    int64_t span, total;
} schedule_time;

/* Flow shops of forward and of backward with identical jobs, one after the other. Stage i
 * ends its backward when the flow shop of the stages behind it and its own has ended. */
static schedule_time time_gpipe(int32_t pp, int64_t c, const uap_stage_cost *stage)
{
    int64_t sum = 0;     /* S_i */
    int64_t max_fwd = 0; /* of all stages behind and this one, and */
    int64_t max_bwd = 0; /* the same of backward: MB_i */
    int64_t total = 0;   /* X_i */
    for (int32_t i = pp; i-- > 0;) {
        const uap_stage_cost *s = &stage[i];
        sum += s->fwd + s->bwd + s->send_fwd + s->send_bwd;
        max_fwd = uap_max_i64(max_fwd, uap_max_i64(s->fwd, s->send_fwd));
        max_bwd = uap_max_i64(max_bwd, uap_max_i64(s->bwd, s->send_bwd));
        total =
            uap_max_i64(total + s->fwd + s->send_fwd, sum + (c - 1) * max_bwd + s->grad);
    }
    return (schedule_time){sum + (c - 1) * (max_fwd + max_bwd),
                           total + (c - 1) * max_fwd};
}

/* X_i: what stage i alone imposes, given the round trip of a micro-batch behind it.
 * More micro-batches in flight than there are cannot be held, hence the min with c. */
static int64_t span_of_stage(const uap_stage_cost *s, int64_t c, int64_t inflight,
                             int64_t round_trip)
{
    const int64_t p = s->fwd + s->bwd;
    const int64_t k = uap_min_i64(inflight, c);
    int64_t x = uap_max_i64(c * p, round_trip + (c - 1) * p -
                                       (k - 1) * uap_min_i64(s->fwd, s->bwd));
    if (c > k) {
        const int64_t rounds = 1 + (c - 1) / k;
        x = uap_max_i64(x, 2 * round_trip + (c - 1 - k) * p);
        x = uap_max_i64(x, rounds * round_trip + (c - 1 - (rounds - 1) * k) * p);
    }
    return x;
}

/* L_i: how long after its first forward stage i starts its last one, or its link is free for
 * it: the others come first, and a full stage waits for round trips. */
static int64_t last_start(const uap_stage_cost *s, int64_t c, int64_t inflight,
                          int64_t round_trip)
{
    const int64_t p = s->fwd + s->bwd;
    const int64_t k = uap_min_i64(inflight, c);
    int64_t start =
        uap_max_i64((c - 1) * s->fwd + (c - k) * s->bwd, (c - 1) * s->send_fwd);
    if (c > k) {
        const int64_t rounds = (c - 1) / k;
        start = uap_max_i64(start, round_trip + (c - 1 - k) * p);
        start = uap_max_i64(start, rounds * round_trip + (c - 1 - rounds * k) * p);
    }
    return start;
}

/* Stage i starts when a micro-batch has come through the stages before it. From then on it
 * and what is behind it take V_i; or the last micro-batch sets out late from a stage before
 * (L), and goes to the end and back to stage i. Then comes its own gradient work. */
static schedule_time time_1f1b(int32_t pp, int64_t c, const uap_stage_cost *stage,
                               const int64_t *inflight)
{
    int64_t round_trip = 0;
    int64_t span = 0;  /* V_i */
    int64_t alone = 0; /* R_i: the last micro-batch from stage i on, and gradient work */
    int64_t total = 0; /* T_i */
    for (int32_t i = pp; i-- > 0;) {
        const uap_stage_cost *s = &stage[i];
        const int64_t through = s->fwd + s->bwd + s->send_fwd + s->send_bwd;
        round_trip += through;
        const int64_t link = round_trip + (c - 1) * uap_max_i64(s->send_fwd, s->send_bwd);
        span = uap_max_i64(through + span, link);
        span = uap_max_i64(span, span_of_stage(s, c, inflight[i], round_trip));
        alone = uap_max_i64(round_trip + s->grad, s->fwd + s->send_fwd + alone);
        total = uap_max_i64(span + s->grad, s->fwd + s->send_fwd + total);
        total = uap_max_i64(total, last_start(s, c, inflight[i], round_trip) + alone);
    }
    return (schedule_time){span, total};
}

static schedule_time time_of(uap_schedule schedule, int32_t pp, int64_t c,
                             const uap_stage_cost *stage, const int64_t *inflight)
{
    if (schedule == UAP_SCHEDULE_GPIPE) {
        return time_gpipe(pp, c, stage);
    }
    return time_1f1b(pp, c, stage, inflight);
}

int64_t uap_schedule_span(uap_schedule schedule, int32_t pp, int64_t c,
                          const uap_stage_cost *stage, const int64_t *inflight)
{
    return time_of(schedule, pp, c, stage, inflight).span;
}

int64_t uap_schedule_total(uap_schedule schedule, int32_t pp, int64_t c,
                           const uap_stage_cost *stage, const int64_t *inflight)
{
    return time_of(schedule, pp, c, stage, inflight).total;
}

/* sum p + sum o + (c-1) max(p, o) + max g; p and o stand in the forward halves. */
static int64_t value_simple(int32_t pp, int64_t c, const uap_stage_cost *stage)
{
    int64_t sum = 0;
    int64_t longest = 0;
    int64_t grad = 0;
    for (int32_t i = 0; i < pp; i++) {
        const int64_t p = stage[i].fwd + stage[i].bwd;
        const int64_t o = stage[i].send_fwd + stage[i].send_bwd;
        sum += p + o;
        longest = uap_max_i64(longest, uap_max_i64(p, o));
        grad = uap_max_i64(grad, stage[i].grad);
    }
    return sum + (c - 1) * longest + grad;
}

int64_t uap_stages_value(const uap_instance *instance, const uap_stage_cost *stage)
{
    const int32_t pp = instance->pp;
    const int64_t c = instance->micro_batches;
    if (instance->objective == UAP_OBJECTIVE_SIMPLE) {
        return value_simple(pp, c, stage);
    }
    return uap_schedule_total(instance->schedule, pp, c, stage, instance->inflight);
}

static int32_t stage_of(const uap_instance *instance, const uap_choice *choice,
                        int32_t layer)
{
    int32_t stage = 0;
    while (stage + 1 < instance->pp && choice->first[stage + 1] <= layer) {
        stage++;
    }
    return stage;
}

static void add_live(const uap_instance *instance, const uap_choice *choice,
                     const uap_live_tensor *live, uap_stage_cost *stage)
{
    const int32_t last = live->consumer[live->n_consumers - 1];
    const int32_t from_stage = stage_of(instance, choice, live->from);
    const int32_t first_holder = stage_of(instance, choice, live->from + 1);
    const int32_t last_stage = stage_of(instance, choice, last);
    const int32_t k = choice->strategy[live->from];
    for (int32_t i = from_stage; i < last_stage; i++) {
        stage[i].send_fwd += live->x_fwd[k];
        stage[i].send_bwd += live->x_bwd[k];
    }
    for (int32_t i = first_holder; i <= last_stage; i++) {
        stage[i].memory += live->bytes[k] * instance->inflight[i];
    }
    for (int32_t e = 0; e < live->n_consumers; e++) {
        const int32_t layer = live->consumer[e];
        const int32_t at = k * uap_table_of(instance, layer)->n + choice->strategy[layer];
        uap_stage_cost *s = &stage[stage_of(instance, choice, layer)];
        s->fwd += live->r_fwd[e][at];
        s->bwd += live->r_bwd[e][at];
    }
}

int32_t uap_choice_type(const uap_instance *instance, const uap_choice *choice,
                        int32_t stage)
{
    const int32_t first = choice->first[stage];
    return uap_row_type(instance, first, choice->strategy[first]);
}

int64_t uap_choice_cap(const uap_instance *instance, const uap_choice *choice,
                       int32_t stage)
{
    return uap_typed_cap(instance, stage, uap_choice_type(instance, choice, stage));
}

uap_stage_cost uap_choice_stage(const uap_instance *instance, const uap_choice *choice,
                                int32_t i)
{
    uap_stage_cost s = {0};
    const int32_t end = i + 1 < instance->pp ? choice->first[i + 1] : instance->n_layers;
    int64_t work = 0;
    for (int32_t u = choice->first[i]; u < end; u++) {
        const uap_layer_table *t = uap_table_of(instance, u);
        const int32_t k = choice->strategy[u];
        s.fwd += t->fwd[k];
        s.bwd += t->bwd[k];
        s.grad += t->grad[k];
        s.memory += t->state[k] + instance->inflight[i] * t->act[k];
        work = uap_max_i64(work, t->work[k]);
        if (u + 1 == instance->n_layers) {
            continue;
        }
        const uap_edge_table *edge = uap_edge_of(instance, u);
        const int32_t at = uap_edge_index(edge, k, choice->strategy[u + 1]);
        if (u + 1 < end) {
            s.fwd += edge->r_fwd[at];
            s.bwd += edge->r_bwd[at];
        } else {
            s.send_fwd += edge->x_fwd[at];
            s.send_bwd += edge->x_bwd[at];
        }
    }
    const int32_t type = uap_choice_type(instance, choice, i);
    s.memory +=
        work + instance->inflight[i] * uap_typed_start(instance, type, choice->first[i]);
    return s;
}

void uap_choice_stages(const uap_instance *instance, const uap_choice *choice,
                       uap_stage_cost *stage)
{
    for (int32_t i = 0; i < instance->pp; i++) {
        stage[i] = uap_choice_stage(instance, choice, i);
    }
    for (int32_t t = 0; t < instance->n_live; t++) {
        add_live(instance, choice, &instance->live[t], stage);
    }
}

static bool has_one_type_a_stage(const uap_instance *instance, const uap_choice *choice)
{
    int32_t stage = 0;
    for (int32_t u = 0; instance->n_types > 0 && u < instance->n_layers; u++) {
        if (stage + 1 < instance->pp && choice->first[stage + 1] == u) {
            stage++;
        }
        if (uap_row_type(instance, u, choice->strategy[u]) !=
            uap_choice_type(instance, choice, stage)) {
            return false;
        }
    }
    return true;
}

static bool groups_suffice(const uap_instance *instance, const uap_choice *choice)
{
    for (int32_t g = 0; g < instance->n_groups; g++) {
        int64_t left = instance->group_devices[g];
        for (int32_t i = 0; i < instance->pp; i++) {
            const uap_stage_type *type =
                &instance->type[uap_choice_type(instance, choice, i)];
            left -= type->group == g ? type->devices : 0;
        }
        if (left < 0) {
            return false;
        }
    }
    return true;
}

static bool well_formed(const uap_instance *instance, const uap_choice *choice)
{
    for (int32_t i = 0; i < instance->pp; i++) {
        const int32_t least = i == 0 ? 0 : choice->first[i - 1] + 1;
        if (choice->first[i] < least || (i == 0 && choice->first[i] != 0) ||
            choice->first[i] >= instance->n_layers) {
            return false;
        }
    }
    for (int32_t u = 0; u < instance->n_layers; u++) {
        if (choice->strategy[u] < 0 ||
            choice->strategy[u] >= uap_table_of(instance, u)->n) {
            return false;
        }
    }
    for (int32_t t = 0; t < instance->n_ties; t++) {
        const uap_tie *tie = &instance->tie[t];
        if (tie->class_a[choice->strategy[tie->a]] !=
            tie->class_b[choice->strategy[tie->b]]) {
            return false;
        }
    }
    return has_one_type_a_stage(instance, choice);
}

bool uap_choice_value(const uap_instance *instance, const uap_choice *choice,
                      uap_stage_cost *scratch, int64_t *value)
{
    if (!well_formed(instance, choice)) {
        return false;
    }
    uap_choice_stages(instance, choice, scratch);
    *value = uap_stages_value(instance, scratch);
    for (int32_t i = 0; i < instance->pp; i++) {
        if (scratch[i].memory > uap_choice_cap(instance, choice, i)) {
            return false;
        }
    }
    return groups_suffice(instance, choice);
}
