/* The stages in their order, and the check of every device by itself. */
#include "profile/survey.h"

#include "common/mem.h"
#include "profile/classes.h"
#include "profile/survey_impl.h"

#include <math.h>
#include <string.h>

uap_survey_limits uap_survey_limits_default(void)
{
    return (uap_survey_limits){.device = {.ratio = 1.15, .score = 5, .excess = 0},
                               .bandwidth = {.ratio = 4.0 / 3.0, .score = 5, .excess = 0},
                               .latency = {.ratio = 2, .score = 5, .excess = 2e-6},
                               .confirm = 2};
}

uap_survey_limits uap_survey_limits_shared(void)
{
    return (uap_survey_limits){
        .device = {.ratio = 1.5, .score = 5, .excess = 0},
        .bandwidth = {.ratio = 5.0 / 3.0, .score = 5, .excess = 5e-3},
        .latency = {.ratio = 3, .score = 5, .excess = 1e-3},
        .confirm = 2};
}

/* ---- One round ------------------------------------------------------------------------- */

static int32_t unless_lost(const uap_survey *out, int32_t device)
{
    return device != UAP_NOBODY && out->is_lost[device] ? UAP_NOBODY : device;
}

/* Fills the orders of a round. */
static void give_orders(uap_survey_run_state *run, uap_round_kind kind, int32_t round)
{
    run->n = 0;
    for (int32_t d = 0; d < run->partition->devices; d++) {
        const uap_peers peers = uap_round_peers(run->partition, kind, round, d);
        const uap_order order = {.device = d,
                                 .to = unless_lost(run->out, peers.to),
                                 .from = unless_lost(run->out, peers.from)};
        const bool has_part = kind == UAP_ROUND_DEVICES || order.to != UAP_NOBODY ||
                              order.from != UAP_NOBODY;
        run->slot[d] = UAP_NOBODY;
        if (has_part && !run->out->is_lost[d]) {
            run->slot[d] = run->n;
            run->order[run->n] = order;
            run->sample[run->n] = (uap_sample){.latency_s = NAN, .seconds = NAN};
            run->n++;
        }
    }
}

static uap_status lose(uap_survey_run_state *run, uap_round_kind kind, int32_t device,
                       bool has_failed, uap_err *err)
{
    const uap_finding finding = {.kind = UAP_FINDING_SILENT,
                                 .where = kind,
                                 .device = device,
                                 .peer = UAP_NOBODY,
                                 .has_failed = has_failed,
                                 .value_s = (double)INFINITY,
                                 .median_s = (double)NAN,
                                 .score = (double)INFINITY,
                                 .again_s = (double)NAN};
    run->out->is_lost[device] = true;
    run->out->n_lost++;
    return uap_findings_add(&run->out->findings, &finding, err);
}

uap_status uap_survey_measure(uap_survey_run_state *run, uap_round_kind kind,
                              int32_t round, uap_err *err)
{
    uap_status rc = UAP_OK;
    give_orders(run, kind, round);
    if (run->n == 0) {
        return UAP_OK;
    }
    UAP_TRY(run->machine->measure(run->machine->self, kind, run->order, run->sample,
                                  run->n, err));
    run->out->rounds++;
    for (int32_t i = 0; i < run->n; i++) {
        if (run->sample[i].is_silent) {
            UAP_TRY(
                lose(run, kind, run->order[i].device, run->sample[i].has_failed, err));
        }
    }
done:
    return rc;
}

const uap_sample *uap_survey_sample(const uap_survey_run_state *run, int32_t from,
                                    int32_t to)
{
    const int32_t slot = run->slot[from];
    const bool answered = slot != UAP_NOBODY && run->order[slot].to == to &&
                          to != UAP_NOBODY && !run->out->is_lost[from] &&
                          !run->out->is_lost[to];
    return answered ? &run->sample[slot] : NULL;
}

/* ---- Devices --------------------------------------------------------------------------- */

/* One measurement of every device; column has room for all. */
static uap_status measure_devices(uap_survey_run_state *run, double *column,
                                  uap_centre *centre, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t n = 0;
    UAP_TRY(uap_survey_measure(run, UAP_ROUND_DEVICES, 0, err));
    for (int32_t i = 0; i < run->n; i++) {
        if (!run->sample[i].is_silent) {
            const double seconds = (double)run->sample[i].seconds;
            double *least = &run->out->device_s[run->order[i].device];
            column[n++] = seconds;
            *least = isnan(*least) ? seconds : fmin(*least, seconds);
        }
    }
    *centre = uap_centre_of(column, n);
done:
    return rc;
}

/* A device that was slow every time so far, with its first value. */
typedef struct slow_device {
    uap_finding finding;
    bool is_open;
} slow_device;

static bool is_slow_device(const uap_survey_run_state *run, int32_t device,
                           uap_centre centre, double *value)
{
    const int32_t slot = run->slot[device];
    if (slot == UAP_NOBODY || run->sample[slot].is_silent) {
        return false;
    }
    *value = (double)run->sample[slot].seconds;
    return uap_is_slow(*value, centre, run->limits->device);
}

/* Those that were slow; *n_open of them. */
static void note_slow(const uap_survey_run_state *run, uap_centre centre,
                      slow_device *slow, int32_t *n_open)
{
    *n_open = 0;
    for (int32_t d = 0; d < run->partition->devices; d++) {
        double value = 0;
        slow[d].is_open = is_slow_device(run, d, centre, &value);
        *n_open += slow[d].is_open;
        slow[d].finding = (uap_finding){.kind = UAP_FINDING_DEVICE,
                                        .where = UAP_ROUND_DEVICES,
                                        .device = d,
                                        .peer = UAP_NOBODY,
                                        .value_s = value,
                                        .median_s = centre.median,
                                        .score = uap_score(value, centre)};
    }
}

/* All devices measure again, as loaded as before: one alone would run faster than its like. */
static uap_status check_again(uap_survey_run_state *run, slow_device *slow,
                              double *column, int32_t *n_open, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_centre centre;
    UAP_TRY(measure_devices(run, column, &centre, err));
    run->out->usual[UAP_ROUND_DEVICES].again++;
    *n_open = 0;
    for (int32_t d = 0; d < run->partition->devices; d++) {
        slow[d].is_open =
            slow[d].is_open && is_slow_device(run, d, centre, &slow[d].finding.again_s);
        *n_open += slow[d].is_open;
    }
done:
    return rc;
}

void uap_survey_node_speeds(const uap_partition *partition, const double *device_s,
                            double *scratch, double *node_s)
{
    for (int32_t node = 0; node < partition->nodes; node++) {
        int64_t n = 0;
        for (int32_t d = partition->first[node]; d < partition->first[node + 1]; d++) {
            if (isfinite(device_s[d])) {
                scratch[n++] = device_s[d];
            }
        }
        node_s[node] = uap_lower_median(scratch, n);
    }
}

/* Whether whole nodes look faster than others. Where half of them are, none is far from the
 * median, and yet they are two classes. */
static bool has_classes(const uap_survey_run_state *run, double *column, double *node_s)
{
    const uap_partition *p = run->partition;
    uap_survey_node_speeds(p, run->out->device_s, column, node_s);
    return uap_has_gap(node_s, p->nodes, run->limits->device.ratio);
}

static uap_status survey_devices(uap_survey_run_state *run, uap_err *err)
{
    const int32_t devices = run->partition->devices;
    uap_survey_usual *usual = &run->out->usual[UAP_ROUND_DEVICES];
    uap_status rc = UAP_OK;
    uap_centre centre;
    int32_t n_open = 0;
    double *column = uap_calloc((size_t)devices, sizeof *column);
    double *node_s = uap_calloc((size_t)run->partition->nodes, sizeof *node_s);
    slow_device *slow = uap_calloc((size_t)devices, sizeof *slow);
    if (column == NULL || node_s == NULL || slow == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory to judge %d devices", (int)devices);
        goto done;
    }
    UAP_TRY(measure_devices(run, column, &centre, err));
    usual->rounds = 1;
    usual->seconds = centre.median;
    note_slow(run, centre, slow, &n_open);
    run->out->suspects += n_open;
    for (int32_t i = 0;
         i < run->limits->confirm && (n_open > 0 || has_classes(run, column, node_s));
         i++) {
        UAP_TRY(check_again(run, slow, column, &n_open, err));
    }
    for (int32_t d = 0; d < devices; d++) {
        if (slow[d].is_open) {
            UAP_TRY(uap_findings_add(&run->out->findings, &slow[d].finding, err));
        }
    }
done:
    uap_free(slow);
    uap_free(node_s);
    uap_free(column);
    return rc;
}

/* ---- Bisection ------------------------------------------------------------------------- */

/* A figure, not a judgement: how long everything at once takes across the middle. */
static uap_status survey_bisection(uap_survey_run_state *run, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(uap_survey_measure(run, UAP_ROUND_BISECTION, 0, err));
    run->out->usual[UAP_ROUND_BISECTION].rounds = 1;
    for (int32_t i = 0; i < run->n; i++) {
        const uap_sample *s =
            uap_survey_sample(run, run->order[i].device, run->order[i].to);
        if (s != NULL && isfinite(s->seconds)) {
            run->out->bisection_s = fmax(run->out->bisection_s, (double)s->seconds);
        }
    }
done:
    return rc;
}

/* ---- All of it ------------------------------------------------------------------------- */

double uap_survey_elapsed_s(const uap_survey_run_state *run)
{
    return run->machine->elapsed_s != NULL ? run->machine->elapsed_s(run->machine->self)
                                           : 0;
}

bool uap_survey_has_time(const uap_survey_run_state *run, const uap_stage *stage,
                         int32_t rounds, double began_s)
{
    const uap_survey_plan *plan = run->plan;
    const double now_s = uap_survey_elapsed_s(run);
    const double round_s = rounds > 0 ? (now_s - began_s) / rounds : stage->round_s;
    const double pace = fmax(1, round_s / stage->round_s);
    double ahead_s = round_s;
    for (const uap_stage *s = stage + 1; s < plan->stage + plan->n; s++) {
        /* Of the stages that may be cut short what is least of them. */
        const bool is_long =
            s->kind == UAP_ROUND_PAIRS && s->rounds > UAP_SURVEY_LEAST_ROUNDS;
        const int32_t least = is_long ? UAP_SURVEY_LEAST_ROUNDS : s->rounds;
        ahead_s += s->is_skipped ? 0 : pace * least * s->round_s;
    }
    return run->machine->elapsed_s == NULL || now_s + ahead_s <= plan->budget_s;
}

static bool is_dispensable(uap_round_kind kind)
{
    return kind == UAP_ROUND_INSIDE || kind == UAP_ROUND_RAILS ||
           kind == UAP_ROUND_BISECTION;
}

static uap_status run_stage(uap_survey_run_state *run, const uap_stage *stage,
                            uap_err *err)
{
    if (stage->is_skipped) {
        return UAP_OK;
    }
    if (is_dispensable(stage->kind) && uap_survey_elapsed_s(run) > run->plan->budget_s) {
        run->out->is_cut_short = true;
        return UAP_OK;
    }
    switch (stage->kind) {
    case UAP_ROUND_DEVICES:
        return survey_devices(run, err);
    case UAP_ROUND_BISECTION:
        return survey_bisection(run, err);
    case UAP_ROUND_INSIDE:
    case UAP_ROUND_PAIRS:
    case UAP_ROUND_SHIFTS:
    case UAP_ROUND_RAILS:
    case UAP_ROUND_KIND_COUNT:
        break;
    }
    return uap_survey_links(run, stage, err);
}

uap_status uap_survey_run(const uap_partition *partition, const uap_survey_plan *plan,
                          const uap_survey_limits *limits,
                          const uap_survey_machine *machine, uap_survey *out,
                          uap_err *err)
{
    const size_t n = (size_t)partition->devices;
    uap_status rc = UAP_OK;
    uap_survey_run_state run = {.partition = partition,
                                .plan = plan,
                                .limits = limits,
                                .machine = machine,
                                .out = out,
                                .order = uap_calloc(n, sizeof *run.order),
                                .sample = uap_calloc(n, sizeof *run.sample),
                                .slot = uap_calloc(n, sizeof *run.slot)};
    memset(out, 0, sizeof *out);
    out->bisection_s = (double)NAN;
    out->is_lost = uap_calloc(n, sizeof *out->is_lost);
    out->device_s = uap_calloc(n, sizeof *out->device_s);
    for (int k = 0; k < UAP_ROUND_KIND_COUNT; k++) {
        out->usual[k].latency_s = out->usual[k].seconds = (double)NAN;
    }
    if (run.order == NULL || run.sample == NULL || run.slot == NULL ||
        out->is_lost == NULL || out->device_s == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for a survey of %zu devices", n);
        goto done;
    }
    for (size_t d = 0; d < n; d++) {
        out->device_s[d] = (double)NAN;
    }
    for (int32_t i = 0; i < plan->n; i++) {
        UAP_TRY(run_stage(&run, &plan->stage[i], err));
    }
    rc = uap_findings_join_nodes(&out->findings, partition, err);
done:
    uap_free(run.slot);
    uap_free(run.sample);
    uap_free(run.order);
    if (rc != UAP_OK) {
        uap_survey_free(out);
    }
    return rc;
}

void uap_survey_free(uap_survey *survey)
{
    uap_findings_free(&survey->findings);
    uap_free(survey->is_lost);
    uap_free(survey->device_s);
    memset(survey, 0, sizeof *survey);
}
