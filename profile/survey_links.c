/* Rounds between devices: flows collected, ends and pairs suspected, and suspects measured
 * again.
 *
 * A round is measured again as a whole, so that a suspect is as loaded as its like was: a
 * flow alone on a shared port would look well. An end is measured again in rounds in which it
 * meets an end that others have cleared. Where its only flow is with one that nothing has
 * cleared (two devices in a node, two nodes) the two ends cannot be told apart, and the pair
 * is what is suspected. */
#include "common/mem.h"
#include "profile/fit.h"
#include "profile/survey_impl.h"

#include <math.h>
#include <string.h>

typedef enum verdict { OPEN, CONFIRMED, DISMISSED } verdict;

/* Who measures an end again: those whom others have cleared, or anybody. */
typedef enum witness { CLEARED_ONLY, ANYBODY } witness;

typedef struct suspect {
    uap_metric metric;
    int32_t end;             /* UAP_NOBODY: the pair */
    witness witness;         /* of an end */
    int32_t round, from, to; /* of the pair, and where it meets */
    double value_s;          /* the least of its slow flows */
    uap_centre centre;
    double again_s;
    int32_t times, last_round; /* slow again; where it last was */
    int32_t held_up;           /* measured again, but so were the others of its round */
    verdict verdict;
} suspect;

/* The rounds of one kind. */
typedef struct bout {
    uap_survey_run_state *run;
    uap_round_kind kind;
    int32_t rounds, n_kin, devices;
    uap_flow *flow; /* [n] in the order of rounds */
    int64_t n;
    int64_t *start;                       /* [rounds + 1]: flows of round k */
    uap_centre *centre[UAP_METRIC_COUNT]; /* [n_kin] */
    uap_end *end[UAP_METRIC_COUNT];       /* [2 devices] */
    int32_t *suspect_of;                  /* [2 devices]: of an end */
    suspect *suspect;
    int32_t n_suspects, capacity;
} bout;

static uap_limit limit_of(const bout *b, uap_metric metric)
{
    return metric == UAP_METRIC_LATENCY ? b->run->limits->latency
                                        : b->run->limits->bandwidth;
}

/* ---- Measuring ------------------------------------------------------------------------- */

static uap_status bout_new(bout *b, uap_err *err)
{
    const uap_partition *p = b->run->partition;
    const size_t flows = (size_t)b->rounds * (size_t)uap_round_devices(p, b->kind);
    bool good = true;
    b->devices = p->devices;
    b->n_kin = uap_round_classes(p, b->kind);
    b->flow = uap_calloc(flows, sizeof *b->flow);
    b->start = uap_calloc((size_t)b->rounds + 1, sizeof *b->start);
    b->suspect_of = uap_calloc(2 * (size_t)b->devices, sizeof *b->suspect_of);
    for (int m = 0; m < UAP_METRIC_COUNT; m++) {
        b->centre[m] = uap_calloc((size_t)b->n_kin, sizeof *b->centre[m]);
        b->end[m] = uap_calloc(2 * (size_t)b->devices, sizeof *b->end[m]);
        good = good && b->centre[m] != NULL && b->end[m] != NULL;
    }
    if (!good || b->flow == NULL || b->start == NULL || b->suspect_of == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu flows", flows);
    }
    return UAP_OK;
}

static void bout_free(bout *b)
{
    for (int m = 0; m < UAP_METRIC_COUNT; m++) {
        uap_free(b->end[m]);
        uap_free(b->centre[m]);
    }
    uap_free(b->suspect);
    uap_free(b->suspect_of);
    uap_free(b->start);
    uap_free(b->flow);
}

/* Whether the rounds end before round k: those of all pairs can. */
static bool is_enough(const bout *b, const uap_stage *stage, int32_t k, double began_s)
{
    const bool can_end = b->kind == UAP_ROUND_INSIDE || b->kind == UAP_ROUND_PAIRS;
    return can_end && k >= UAP_SURVEY_LEAST_ROUNDS &&
           !uap_survey_has_time(b->run, stage, k, began_s);
}

static uap_status measure_all(bout *b, const uap_stage *stage, uap_err *err)
{
    uap_survey_run_state *run = b->run;
    const double began_s = uap_survey_elapsed_s(run);
    uap_status rc = UAP_OK;
    for (int32_t k = 0; k < b->rounds; k++) {
        if (is_enough(b, stage, k, began_s)) {
            b->rounds = k;
            run->out->is_cut_short = true;
            break;
        }
        b->start[k] = b->n;
        UAP_TRY(uap_survey_measure(run, b->kind, k, err));
        for (int32_t i = 0; i < run->n; i++) {
            const uap_order *o = &run->order[i];
            const uap_sample *s = uap_survey_sample(run, o->device, o->to);
            if (s != NULL) {
                b->flow[b->n++] = (uap_flow){
                    .from = o->device,
                    .to = o->to,
                    .kin = uap_round_class(run->partition, b->kind, k, o->device),
                    .latency_s = s->latency_s,
                    .seconds = s->seconds};
            }
        }
    }
    b->start[b->rounds] = b->n;
done:
    return rc;
}

/* ---- Suspecting ------------------------------------------------------------------------ */

/* Adds an open one; NULL without memory. */
static suspect *add_suspect(bout *b, uap_metric metric, int32_t end)
{
    if (b->n_suspects == b->capacity) {
        const int32_t capacity = b->capacity == 0 ? 64 : 2 * b->capacity;
        suspect *grown = uap_realloc(b->suspect, (size_t)capacity, sizeof *grown);
        if (grown == NULL) {
            return NULL;
        }
        b->suspect = grown;
        b->capacity = capacity;
    }
    suspect *s = &b->suspect[b->n_suspects++];
    *s = (suspect){.metric = metric,
                   .end = end,
                   .from = UAP_NOBODY,
                   .to = UAP_NOBODY,
                   .value_s = (double)INFINITY,
                   .again_s = (double)NAN,
                   .last_round = UAP_NOBODY,
                   .verdict = OPEN};
    return s;
}

/* Whether a flow was slow in round k when all were measured. */
static bool was_slow(const bout *b, uap_metric metric, int32_t k, int32_t from)
{
    /* The flows of a round are in the order of their senders. */
    int64_t low = b->start[k], high = b->start[k + 1];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (b->flow[middle].from < from) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const uap_flow *flow = &b->flow[low];
    return low < b->start[k + 1] && flow->from == from &&
           uap_is_slow(uap_flow_value(flow, metric), b->centre[metric][flow->kin],
                       limit_of(b, metric));
}

/* Whether a flow measures an end again: it was slow, and its other end is a witness. */
static bool can_measure(const bout *b, uap_metric metric, witness who, int32_t k,
                        int32_t from, int32_t other_end)
{
    return (who == ANYBODY || uap_end_is_cleared(b->end[metric][other_end])) &&
           was_slow(b, metric, k, from);
}

/* The flow by which round k measures an end; false: there is none. */
static bool flow_of_end(const bout *b, const suspect *s, int32_t k, witness who,
                        uap_order *out)
{
    const bool is_latency = s->metric == UAP_METRIC_LATENCY;
    const int32_t device = is_latency ? s->end : s->end / 2;
    const uap_peers peers = uap_round_peers(b->run->partition, b->kind, k, device);
    const bool may_send = is_latency || s->end % 2 == 0;
    const bool may_receive = is_latency || s->end % 2 == 1;
    if (may_send && peers.to != UAP_NOBODY &&
        can_measure(b, s->metric, who, k, device,
                    is_latency ? peers.to : 2 * peers.to + 1)) {
        *out = (uap_order){.device = device, .to = peers.to, .from = UAP_NOBODY};
        return true;
    }
    if (may_receive && peers.from != UAP_NOBODY &&
        can_measure(b, s->metric, who, k, peers.from,
                    is_latency ? peers.from : 2 * peers.from)) {
        *out = (uap_order){.device = peers.from, .to = device, .from = UAP_NOBODY};
        return true;
    }
    return false;
}

static int32_t rounds_of_end(const bout *b, const suspect *s, witness who)
{
    uap_order ignored;
    int32_t n = 0;
    for (int32_t k = 0; k < b->rounds; k++) {
        n += flow_of_end(b, s, k, who, &ignored);
    }
    return n;
}

/* Ends that are accused and can be told from their partners: by one whom others have
 * cleared, or, where all partners are accused as well (a node that is slow as a whole), by
 * several of them. */
static uap_status suspect_ends(bout *b, uap_metric metric, uap_err *err)
{
    for (int32_t e = 0; e < 2 * b->devices; e++) {
        b->suspect_of[e] = UAP_NOBODY;
        if (!uap_end_is_accused(b->end[metric][e])) {
            continue;
        }
        suspect *s = add_suspect(b, metric, e);
        if (s == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for suspects");
        }
        const bool has_cleared = rounds_of_end(b, s, CLEARED_ONLY) > 0;
        s->witness = has_cleared ? CLEARED_ONLY : ANYBODY;
        if (has_cleared || rounds_of_end(b, s, ANYBODY) > 1) {
            b->suspect_of[e] = b->n_suspects - 1;
        } else {
            b->n_suspects--;
        }
    }
    return UAP_OK;
}

/* The best that the suspect did. */
static void keep_least(suspect *s, double value, uap_centre centre)
{
    if (value <= s->value_s) {
        s->value_s = value;
        s->centre = centre;
    }
}

/* A slow flow is its suspected ends' doing; without any it is suspected itself. */
static uap_status suspect_flow(bout *b, uap_metric metric, const uap_flow *flow,
                               int32_t round, uap_err *err)
{
    const double value = uap_flow_value(flow, metric);
    const uap_centre centre = b->centre[metric][flow->kin];
    int32_t end[2];
    bool explained = false;
    uap_flow_ends(flow, metric, end);
    for (int i = 0; i < 2; i++) {
        if (b->suspect_of[end[i]] != UAP_NOBODY) {
            keep_least(&b->suspect[b->suspect_of[end[i]]], value, centre);
            explained = true;
        }
    }
    if (!explained) {
        suspect *s = add_suspect(b, metric, UAP_NOBODY);
        if (s == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for suspects");
        }
        s->round = round;
        s->from = flow->from;
        s->to = flow->to;
        keep_least(s, value, centre);
    }
    return UAP_OK;
}

static uap_status judge(bout *b, uap_metric metric, uap_err *err)
{
    const uap_limit limit = limit_of(b, metric);
    uap_status rc = UAP_OK;
    UAP_TRY(uap_flow_centres(b->flow, b->n, b->devices, b->n_kin, metric, limit,
                             b->centre[metric], err));
    uap_flow_decode(b->flow, b->n, b->devices, metric, b->centre[metric], limit,
                    b->end[metric]);
    UAP_TRY(suspect_ends(b, metric, err));
    for (int32_t k = 0; k < b->rounds; k++) {
        for (int64_t i = b->start[k]; i < b->start[k + 1]; i++) {
            const uap_flow *flow = &b->flow[i];
            if (uap_is_slow(uap_flow_value(flow, metric), b->centre[metric][flow->kin],
                            limit)) {
                UAP_TRY(suspect_flow(b, metric, flow, k, err));
            }
        }
    }
done:
    return rc;
}

/* ---- Measuring again ------------------------------------------------------------------- */

/* The flow by which round k measures a suspect; false: it does not. */
static bool flow_of(const bout *b, const suspect *s, int32_t k, uap_order *out)
{
    if (s->end != UAP_NOBODY) {
        return flow_of_end(b, s, k, s->witness, out);
    }
    *out = (uap_order){.device = s->from, .to = s->to, .from = UAP_NOBODY};
    return s->round == k;
}

/* The round that measures most open suspects, those that it did not measure last counting
 * twice: another partner is another witness. UAP_NOBODY when none is open. */
static int32_t choose_round(const bout *b)
{
    int32_t best = UAP_NOBODY, most = 0;
    for (int32_t k = 0; k < b->rounds; k++) {
        int32_t weight = 0;
        for (int32_t i = 0; i < b->n_suspects; i++) {
            const suspect *s = &b->suspect[i];
            uap_order ignored;
            if (s->verdict == OPEN && flow_of(b, s, k, &ignored)) {
                weight += s->last_round == k ? 1 : 2;
            }
        }
        if (weight > most) {
            most = weight;
            best = k;
        }
    }
    return best;
}

/* A measurement in a round that was slow as a whole says nothing, so often. */
#define HELD_UP_MAX 3

/* Of fewer flows most may well be the suspect's own. */
#define FLOWS_TO_COMPARE 4

/* What most flows of the round last measured took, the lower of two middle ones; 0 where they
 * are too few. What holds up a whole round (a busy machine) is nobody's fault in it. */
static double usual_of_round(const bout *b, uap_metric metric, double *column)
{
    const uap_survey_run_state *run = b->run;
    int64_t n = 0;
    for (int32_t i = 0; i < run->n; i++) {
        const uap_sample *s =
            uap_survey_sample(run, run->order[i].device, run->order[i].to);
        if (s != NULL) {
            const uap_flow flow = {.latency_s = s->latency_s, .seconds = s->seconds};
            column[n++] = uap_flow_value(&flow, metric);
        }
    }
    if (n < FLOWS_TO_COMPARE) {
        return 0;
    }
    (void)uap_median(column, n);
    return column[(n - 1) / 2];
}

/* What the round last measured says of a suspect; usual: its round's, by metric. */
static void look_again(const bout *b, suspect *s, int32_t k, const double *usual)
{
    const uap_limit limit = limit_of(b, s->metric);
    uap_order o;
    if (s->verdict != OPEN || !flow_of(b, s, k, &o)) {
        return;
    }
    const uap_sample *sample = uap_survey_sample(b->run, o.device, o.to);
    if (sample == NULL) {
        /* One of the two has fallen silent, and is found as such. */
        s->verdict = DISMISSED;
        return;
    }
    const uap_flow flow = {.latency_s = sample->latency_s, .seconds = sample->seconds};
    const int32_t kin = uap_round_class(b->run->partition, b->kind, k, o.device);
    s->last_round = k;
    s->again_s = uap_flow_value(&flow, s->metric);
    const bool is_slow = uap_is_slow(s->again_s, b->centre[s->metric][kin], limit);
    const bool stands_out = s->again_s > limit.ratio * usual[s->metric] &&
                            s->again_s - usual[s->metric] > limit.excess;
    if (is_slow && stands_out) {
        s->times++;
    } else if (is_slow) {
        s->held_up++;
    }
    if (!is_slow || s->held_up > HELD_UP_MAX) {
        s->verdict = DISMISSED;
    } else if (s->times >= b->run->limits->confirm) {
        s->verdict = CONFIRMED;
    }
}

/* Every round settles a step of at least one suspect, and many of most: a few rounds for
 * each there are do; whoever is still open then was slow every time that it was measured. */
static uap_status measure_again(bout *b, uap_err *err)
{
    uap_survey_run_state *run = b->run;
    uap_status rc = UAP_OK;
    const int32_t most = (run->limits->confirm + 1) * b->rounds;
    double usual[UAP_METRIC_COUNT];
    double *column = uap_calloc((size_t)b->devices, sizeof *column);
    if (column == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d flows", (int)b->devices);
    }
    for (int32_t i = 0; i < most; i++) {
        const int32_t k = choose_round(b);
        if (k == UAP_NOBODY) {
            break;
        }
        UAP_TRY(uap_survey_measure(run, b->kind, k, err));
        run->out->usual[b->kind].again++;
        for (int m = 0; m < UAP_METRIC_COUNT; m++) {
            usual[m] = usual_of_round(b, (uap_metric)m, column);
        }
        for (int32_t j = 0; j < b->n_suspects; j++) {
            look_again(b, &b->suspect[j], k, usual);
        }
    }
    for (int32_t j = 0; j < b->n_suspects; j++) {
        suspect *s = &b->suspect[j];
        s->verdict = s->verdict == OPEN && s->times > 0 ? CONFIRMED : s->verdict;
    }
done:
    uap_free(column);
    return rc;
}

/* ---- Finding --------------------------------------------------------------------------- */

static uap_finding finding_of(const bout *b, const suspect *s)
{
    const bool is_latency = s->metric == UAP_METRIC_LATENCY;
    uap_finding f = {.where = b->kind,
                     .device = s->from,
                     .peer = s->to,
                     .value_s = s->value_s,
                     .median_s = s->centre.median,
                     .score = uap_score(s->value_s, s->centre),
                     .again_s = s->again_s};
    f.kind = is_latency ? UAP_FINDING_PAIR_LATENCY : UAP_FINDING_PAIR;
    if (s->end != UAP_NOBODY) {
        f.kind = is_latency ? UAP_FINDING_LINK_LATENCY : UAP_FINDING_LINK;
        f.device = is_latency ? s->end : s->end / 2;
        f.peer = UAP_NOBODY;
        f.sends = !is_latency && s->end % 2 == 0;
        f.receives = !is_latency && s->end % 2 == 1;
    }
    return f;
}

/* Median over the kinds of flows, of which each has its own. */
static double usual_of(const bout *b, uap_metric metric, double *column)
{
    int64_t n = 0;
    for (int32_t k = 0; k < b->n_kin; k++) {
        if (!isnan(b->centre[metric][k].median)) {
            column[n++] = b->centre[metric][k].median;
        }
    }
    return uap_centre_of(column, n).median;
}

static uap_status conclude(bout *b, uap_err *err)
{
    uap_survey *out = b->run->out;
    uap_survey_usual *usual = &out->usual[b->kind];
    uap_status rc = UAP_OK;
    double *column = uap_calloc((size_t)b->n_kin, sizeof *column);
    if (column == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d kinds", (int)b->n_kin);
    }
    usual->rounds = b->rounds;
    usual->latency_s = usual_of(b, UAP_METRIC_LATENCY, column);
    usual->seconds = usual_of(b, UAP_METRIC_BANDWIDTH, column);
    out->suspects += b->n_suspects;
    for (int32_t i = 0; i < b->n_suspects; i++) {
        if (b->suspect[i].verdict == CONFIRMED) {
            const uap_finding finding = finding_of(b, &b->suspect[i]);
            UAP_TRY(uap_findings_add(&out->findings, &finding, err));
        }
    }
done:
    uap_free(column);
    return rc;
}

uap_status uap_survey_links(uap_survey_run_state *run, const uap_stage *stage,
                            uap_err *err)
{
    uap_status rc = UAP_OK;
    bout b = {.run = run,
              .kind = stage->kind,
              .rounds = uap_round_count(run->partition, stage->kind)};
    UAP_TRY(bout_new(&b, err));
    UAP_TRY(measure_all(&b, stage, err));
    for (int m = 0; m < UAP_METRIC_COUNT; m++) {
        UAP_TRY(judge(&b, (uap_metric)m, err));
    }
    UAP_TRY(measure_again(&b, err));
    rc = conclude(&b, err);
done:
    bout_free(&b);
    return rc;
}
