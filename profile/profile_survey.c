/* A profile's survey: the job's ranks as a partition, who is left out, and what is said of
 * them. */
#include "profile/profile.h"

#include "common/mem.h"
#include "profile/clock.h"
#include "profile/hostlist.h"
#include "profile/profile_impl.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PINGS      20
#define TRANSFERS  5
#define DEADLINE_S 10.0
/* Of the budget, that the survey may plan with. */
#define BUDGET_SHARE (1.0 / 3.0)
/* And take, where rounds take longer than planned. */
#define BUDGET_SHARE_MOST 0.5

/* Ranks in the order of their nodes, as a cluster profile numbers its devices; launchers
 * may deal them out in turn. */
static uap_status order_by_node(const uap_comm *comm, uap_comm **out, uap_err *err)
{
    const int rank = uap_comm_rank(comm), node = uap_comm_node_of(comm, rank);
    int before = 0;
    for (int r = 0; r < uap_comm_size(comm); r++) {
        const int other = uap_comm_node_of(comm, r);
        before += other < node || (other == node && r < rank);
    }
    return uap_comm_split(comm, 0, before, out, err);
}

/* ---- The plan -------------------------------------------------------------------------- */

/* What rank 0 spends on orders was measured with `uniap bench profile-sim`; links are taken to
 * be slow ones, through host memory and TCP. Only expectations hang on these. */
static uap_survey_costs costs_of(const uap_profile *profile)
{
    return (uap_survey_costs){.order_s = 2e-6,
                              .round_s = 1e-3,
                              .connect_s = 0.01,
                              .device_s = 1.2 * profile->effort->survey_device_s,
                              .latency_s = 20e-6,
                              .inside_Bps = 4e9,
                              .node_Bps = 1e9,
                              .bytes = profile->effort->survey_bytes,
                              .pings = PINGS,
                              .transfers = TRANSFERS};
}

static uap_status partition_of(const uap_comm *comm, uap_partition *out, uap_err *err)
{
    const int size = uap_comm_size(comm);
    uap_status rc = UAP_OK;
    int32_t n = 0;
    int32_t *per_node = uap_calloc((size_t)size, sizeof *per_node);
    if (per_node == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d ranks", size);
    }
    for (int r = 0; r < size; r++) {
        n += r > 0 && uap_comm_node_of(comm, r) != uap_comm_node_of(comm, r - 1);
        per_node[n]++;
    }
    rc = uap_partition_make(n + 1, per_node, 0, out, err);
    uap_free(per_node);
    return rc;
}

void uap_host_name(int node, char name[64])
{
    memset(name, 0, 64);
    if (uap_comm_made_up_node_size() > 0) {
        (void)snprintf(name, 64, "node%d", node + 1);
        return;
    }
    if (gethostname(name, 63) != 0 || name[0] == '\0' || name[0] == '.') {
        (void)snprintf(name, 64, "unknown");
    }
    name[strcspn(name, ".")] = '\0';
}

/* Every node's name on rank 0, from its first rank. */
static uap_status gather_hosts(uap_profile_survey *survey, uap_err *err)
{
    uap_status rc = UAP_OK;
    char own[64], *all = NULL;
    size_t *offset = NULL;
    uap_host_name(uap_comm_node_of(survey->all, uap_comm_rank(survey->all)), own);
    UAP_TRY(uap_comm_gather(survey->all, own, sizeof own, &all, &offset, err));
    if (uap_comm_rank(survey->all) == 0) {
        const int32_t nodes = survey->partition.nodes;
        survey->host = uap_calloc((size_t)nodes, sizeof *survey->host);
        for (int32_t n = 0; n < nodes && survey->host != NULL; n++) {
            memcpy(survey->host[n], all + offset[survey->partition.first[n]], sizeof own);
        }
        rc = survey->host != NULL ? UAP_OK
                                  : UAP_FAIL(err, NO_MEMORY, "no memory for host names");
    }
    rc = uap_comm_agree(survey->all, rc, err);
done:
    uap_free(offset);
    uap_free(all);
    return rc;
}

uap_status uap_profile_survey_prepare(uap_profile *profile, const uap_comm *comm,
                                      uap_err *err)
{
    const uap_profile_options *options = &profile->options;
    uap_profile_survey *survey = &profile->survey;
    const uap_survey_costs costs = costs_of(profile);
    uap_status rc = UAP_OK;
    survey->deadline_s = options->deadline_s > 0 ? options->deadline_s : DEADLINE_S;
    UAP_TRY(order_by_node(comm, &survey->all, err));
    UAP_TRY(uap_comm_split(survey->all, 0, uap_comm_rank(survey->all), &profile->members,
                           err));
    rc = options->nodes > 0
             ? uap_partition_make(options->nodes, NULL, options->devices_per_node,
                                  &survey->partition, err)
             : partition_of(survey->all, &survey->partition, err);
    UAP_TRY(uap_comm_agree(survey->all, rc, err));
    if (options->nodes == 0) {
        UAP_TRY(gather_hosts(survey, err));
    }
    uap_survey_plan_make(&survey->partition, &costs, profile->effort->tournament_max,
                         BUDGET_SHARE * profile->budget_s, &survey->plan);
    survey->plan.budget_s = options->survey_only
                                ? (options->budget_s > 0 ? options->budget_s : HUGE_VAL)
                                : BUDGET_SHARE_MOST * profile->budget_s;
done:
    return rc;
}

/* ---- The run --------------------------------------------------------------------------- */

/* Whether a node goes with its silent device. Rank 0 stays, and does the writing; the only
 * node stays too. */
static bool may_go(const uap_partition *p, int32_t node)
{
    return node != p->node_of[0];
}

/* Silent devices with their nodes, and, where asked for, the nodes of what is slow. */
static void choose_left_out(const uap_profile *profile, bool *is_left_out)
{
    const uap_partition *p = &profile->survey.partition;
    const uap_findings *found = &profile->survey.found.findings;
    for (int32_t i = 0; i < found->n; i++) {
        const uap_finding *f = &found->finding[i];
        const int32_t node = p->node_of[f->device];
        const bool is_silent = f->kind == UAP_FINDING_SILENT;
        const bool goes = is_silent || (profile->options.exclude_outliers &&
                                        uap_finding_blames_node(f));
        if (goes && may_go(p, node)) {
            for (int32_t d = p->first[node]; d < p->first[node + 1]; d++) {
                is_left_out[d] = true;
            }
        } else if (is_silent) {
            is_left_out[f->device] = true;
        }
    }
}

uap_status uap_profile_list_nodes(uap_profile_survey *survey, uap_err *err)
{
    const bool *is_left_out = survey->is_left_out;
    const uap_findings *found = &survey->found.findings;
    const uap_partition *p = &survey->partition;
    const size_t most = (size_t)(found->n > p->nodes ? found->n : p->nodes);
    uap_status rc = UAP_OK;
    size_t n = 0;
    uap_free(survey->drain);
    uap_free(survey->left_out);
    survey->drain = survey->left_out = NULL;
    const char **name = uap_calloc(most, sizeof *name);
    if (name == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for the nodes to drain");
    }
    for (int32_t i = 0; i < found->n; i++) {
        const uap_finding *f = &found->finding[i];
        if (uap_finding_blames_node(f)) {
            name[n++] = survey->host[p->node_of[f->device]];
        }
    }
    UAP_TRY(uap_hostlist_compress(name, n, &survey->drain, err));
    n = 0;
    for (int32_t node = 0; node < p->nodes; node++) {
        /* A node that lost a rank but stays has others. */
        if (may_go(p, node) && is_left_out != NULL && is_left_out[p->first[node]]) {
            name[n++] = survey->host[node];
        }
    }
    rc = uap_hostlist_compress(name, n, &survey->left_out, err);
done:
    uap_free(name);
    return rc;
}

uap_survey_limits uap_profile_survey_limits(const uap_profile *profile)
{
    /* CPU ranks share cores, at the least with what else the machine does. */
    const bool is_shared =
        profile->info.backend == UAP_BACKEND_CPU && profile->options.stub == NULL;
    return is_shared ? uap_survey_limits_shared() : uap_survey_limits_default();
}

/* Rank 0 writes the profile: without its device there is none. */
static uap_status refuse_rank_0(const uap_profile *profile, uap_err *err)
{
    const uap_profile_survey *survey = &profile->survey;
    const char *const failure = uap_device_failure(profile->device);
    const uap_findings *found = &survey->found.findings;
    bool has_failed = failure[0] != '\0';
    for (int32_t i = 0; i < found->n; i++) {
        has_failed =
            has_failed || (found->finding[i].device == 0 && found->finding[i].has_failed);
    }
    /* What its failure was is part of this. */
    uap_err_clear(err);
    return UAP_FAIL(
        err, NO_DEVICE,
        "the device of rank 0, on %s, %s%s%s; rank 0 writes the profile: start "
        "the job without this device or node",
        survey->host[survey->partition.node_of[0]],
        has_failed ? "failed" : "does not answer", failure[0] != '\0' ? ": " : "",
        failure);
}

/* From the findings so far. */
static uap_status leave_out(uap_profile *profile, uap_err *err)
{
    uap_profile_survey *survey = &profile->survey;
    choose_left_out(profile, survey->is_left_out);
    if (survey->is_left_out[0]) {
        survey->is_left_out[0] = false;
        return refuse_rank_0(profile, err);
    }
    survey->n_left_out = 0;
    for (int32_t r = 0; r < survey->partition.devices; r++) {
        survey->n_left_out += survey->is_left_out[r];
    }
    return uap_profile_list_nodes(survey, err);
}

/* Rank 0's part. */
static uap_status survey_all(uap_profile *profile, uap_err *err)
{
    uap_profile_survey *survey = &profile->survey;
    const uap_survey_limits limits = uap_profile_survey_limits(profile);
    const uap_survey_machine bare = uap_site_machine(survey->site);
    const uap_survey_machine machine = uap_samples_of_survey(profile->samples, &bare);
    uap_status rc = UAP_OK;
    if (profile->options.announce != NULL) {
        profile->options.announce(profile->options.context, &survey->plan);
    }
    UAP_TRY(uap_survey_run(&survey->partition, &survey->plan, &limits, &machine,
                           &survey->found, err));
    rc = leave_out(profile, err);
done:
    return rc;
}

uap_status uap_profile_survey_lose(uap_profile *profile, const uap_said *said,
                                   bool *has_lost, uap_err *err)
{
    uap_profile_survey *survey = &profile->survey;
    uap_status rc = UAP_OK;
    *has_lost = false;
    for (int32_t r = 0; r < survey->partition.devices; r++) {
        const uap_finding f = {.kind = UAP_FINDING_SILENT,
                               .device = r,
                               .peer = UAP_NOBODY,
                               .is_later = true,
                               .answers = said[r] == UAP_SAID_WORKS,
                               .has_failed = said[r] == UAP_SAID_FAILED,
                               .value_s = HUGE_VAL,
                               .median_s = HUGE_VAL,
                               .score = HUGE_VAL,
                               .again_s = HUGE_VAL};
        if (!survey->is_left_out[r] &&
            (f.answers || f.has_failed || said[r] == UAP_SAID_SILENT)) {
            *has_lost = true;
            UAP_TRY(uap_findings_add(&survey->found.findings, &f, err));
        }
    }
    rc = *has_lost ? leave_out(profile, err) : UAP_OK;
done:
    return rc;
}

uap_status uap_profile_survey_run(uap_profile *profile, uap_err *err)
{
    uap_profile_survey *survey = &profile->survey;
    const uap_site_options options = {.bytes = profile->effort->survey_bytes,
                                      .pings = PINGS,
                                      .transfers = TRANSFERS,
                                      .device_s = profile->effort->survey_device_s,
                                      .deadline_s = survey->deadline_s,
                                      .fuse = profile->options.fuse,
                                      .stub = profile->options.stub};
    const double start = uap_clock_s();
    uap_status rc = UAP_OK, mine = UAP_OK;
    uap_stub stub = {.n = 0};
    uap_comm *members = NULL;
    bool *is_left_out = uap_calloc((size_t)uap_comm_size(survey->all), sizeof(bool));
    survey->is_left_out = is_left_out;
    UAP_TRY(uap_comm_agree(
        survey->all,
        is_left_out != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for a survey"),
        err));
    UAP_TRY(uap_site_new(survey->all, profile->device, &options, &survey->site, err));
    if (options.stub != NULL) {
        /* The site has read the same. */
        UAP_TRY(uap_stub_parse(options.stub, &stub, err));
    }
    survey->slowness = uap_stub_slowness(&stub, uap_comm_rank(survey->all));
    survey->stall_s = uap_stub_stall_s(&stub, uap_comm_rank(survey->all));
    survey->fails = uap_stub_fails(&stub, uap_comm_rank(survey->all));
    mine = uap_comm_rank(survey->all) == 0 ? survey_all(profile, err)
                                           : uap_site_serve(survey->site, err);
    UAP_TRY(uap_site_end(survey->site, is_left_out, &members, err));
    uap_comm_free(profile->members);
    profile->members = members;
    survey->elapsed_s = uap_clock_s() - start;
    rc = members != NULL ? uap_comm_agree(members, mine, err) : mine;
done:
    return rc;
}

void uap_profile_survey_free(uap_profile_survey *survey)
{
    uap_site_free(survey->site);
    uap_survey_free(&survey->found);
    uap_partition_free(&survey->partition);
    uap_free(survey->is_left_out);
    uap_free(survey->drain);
    uap_free(survey->left_out);
    uap_free(survey->host);
    uap_comm_free(survey->all);
}

/* ---- What is said of it ---------------------------------------------------------------- */

const uap_survey_plan *uap_profile_survey_plan(const uap_profile *profile)
{
    return &profile->survey.plan;
}

void uap_profile_usual_text(const uap_profile *profile, uap_round_kind kind, char *text,
                            size_t n)
{
    const uap_survey_usual *usual = &profile->survey.found.usual[kind];
    const bool is_device = kind == UAP_ROUND_DEVICES;
    const double seconds =
        kind == UAP_ROUND_BISECTION ? profile->survey.found.bisection_s : usual->seconds;
    text[0] = '\0';
    if (usual->rounds == 0) {
        return;
    }
    const int used = snprintf(text, n, "%d round%s (%d again)", (int)usual->rounds,
                              usual->rounds == 1 ? "" : "s", (int)usual->again);
    if (used < 0 || (size_t)used >= n || !isfinite(seconds)) {
        return;
    }
    char *rest = text + used;
    const size_t room = n - (size_t)used;
    const double mb_per_s = 1e-6 * profile->effort->survey_bytes / seconds;
    if (is_device) {
        (void)snprintf(rest, room, ", %.2f ms", 1e3 * seconds);
    } else if (isfinite(usual->latency_s)) {
        (void)snprintf(rest, room, ", %.1f us, %.4g MB/s", 1e6 * usual->latency_s,
                       mb_per_s);
    } else {
        (void)snprintf(rest, room, ", slowest flow %.4g MB/s", mb_per_s);
    }
}

int32_t uap_profile_n_findings(const uap_profile *profile)
{
    return profile->survey.found.findings.n;
}

bool uap_profile_survey_is_cut_short(const uap_profile *profile)
{
    return profile->survey.found.is_cut_short;
}

const char *uap_profile_drain(const uap_profile *profile)
{
    return profile->survey.drain != NULL ? profile->survey.drain : "";
}

void uap_profile_finding_text(const uap_profile *profile, int32_t index, char *text,
                              size_t n)
{
    const uap_profile_survey *survey = &profile->survey;
    uap_finding_text(&survey->found.findings.finding[index], &survey->partition,
                     (const char(*)[64])survey->host, text, n);
}

uap_status uap_profile_missing(uap_profile *profile, double wait_s, int *missing,
                               bool *is_stuck, uap_err *err)
{
    *missing = 0;
    *is_stuck = profile->n_given_up > 0;
    if (profile->survey.n_left_out == 0) {
        return UAP_OK;
    }
    return uap_site_missing(profile->survey.site, wait_s, missing, err);
}

/* Not set where it is not finite: not known, or no answer. */
static void set_finite(uap_jout *object, const char *key, double value)
{
    if (isfinite(value)) {
        uap_jset_f64(object, key, value);
    }
}

static uap_jout *exception_of(const uap_profile_survey *survey, const uap_finding *f)
{
    const uap_partition *p = &survey->partition;
    const int32_t node = p->node_of[f->device];
    uap_jout *object = uap_jout_object();
    if (object == NULL) {
        return NULL;
    }
    uap_jset_str(object, "kind", uap_finding_name(f->kind));
    uap_jset_str(object, "host", survey->host[node]);
    if (f->kind != UAP_FINDING_NODE) {
        uap_jset_i64(object, "device", f->device - p->first[node]);
    }
    if (f->peer != UAP_NOBODY) {
        const int32_t peer_node = p->node_of[f->peer];
        uap_jset_str(object, "peer_host", survey->host[peer_node]);
        uap_jset_i64(object, "peer_device", f->peer - p->first[peer_node]);
    }
    if (f->kind == UAP_FINDING_LINK) {
        uap_jset_bool(object, "sends", f->sends);
        uap_jset_bool(object, "receives", f->receives);
    }
    if (uap_finding_is_of_rank(f)) {
        uap_jset_f64(object, "value", f->value_s);
        uap_jset_f64(object, "usual", f->median_s);
        return object;
    }
    uap_jset_str(object, "rounds",
                 f->is_later ? "measurements" : uap_round_kind_name(f->where));
    set_finite(object, "value_s", f->value_s);
    set_finite(object, "median_s", f->median_s);
    set_finite(object, "score", f->score);
    set_finite(object, "again_s", f->again_s);
    return object;
}

char *uap_profile_survey_exceptions(const uap_profile *profile)
{
    const uap_profile_survey *survey = &profile->survey;
    uap_jout *array = uap_jout_array();
    for (int32_t i = 0; array != NULL && i < survey->found.findings.n; i++) {
        uap_jadd(array, exception_of(survey, &survey->found.findings.finding[i]));
    }
    char *text = array != NULL ? uap_jout_text(array) : NULL;
    uap_jout_free(array);
    return text;
}

uap_jout *uap_profile_survey_summary(const uap_profile *profile)
{
    const uap_profile_survey *survey = &profile->survey;
    uap_jout *object = uap_jout_object();
    if (object == NULL) {
        return NULL;
    }
    uap_jset_f64(object, "elapsed_s", survey->elapsed_s);
    uap_jset_i64(object, "ranks", uap_comm_size(survey->all));
    uap_jset_i64(object, "left_out", survey->n_left_out);
    uap_jset_i64(object, "suspects", survey->found.suspects);
    uap_jset_bool(object, "cut_short", survey->found.is_cut_short);
    uap_jset_str(object, "drain", uap_profile_drain(profile));
    uap_jset_str(object, "left_out_hosts",
                 survey->left_out != NULL ? survey->left_out : "");
    uap_jset_f64(object, "message_bytes", profile->effort->survey_bytes);
    set_finite(object, "bisection_s", survey->found.bisection_s);
    for (int k = 0; k < UAP_ROUND_KIND_COUNT; k++) {
        const uap_survey_usual *usual = &survey->found.usual[k];
        if (usual->rounds > 0) {
            uap_jout *one = uap_jout_object();
            uap_jset_i64(one, "rounds", usual->rounds);
            uap_jset_i64(one, "again", usual->again);
            set_finite(one, "latency_s", usual->latency_s);
            set_finite(one, "seconds", usual->seconds);
            uap_jset(object, uap_round_kind_name((uap_round_kind)k), one);
        }
    }
    return object;
}
