/* Surveys of this job's own ranks, each a node: made-up times with faults, which are found; a
 * rank that hangs, which the rest goes on without; and devices and links as they are. */
#include "mpi/ranks.h"

#include "profile/clock.h"
#include "profile/site.h"

#include <math.h>
#include <string.h>

static const uap_survey_costs costs = {.order_s = 1e-6,
                                       .round_s = 1e-3,
                                       .latency_s = 1e-5,
                                       .inside_Bps = 1e9,
                                       .node_Bps = 1e9,
                                       .bytes = 1e6,
                                       .pings = 4,
                                       .transfers = 3};

/* What came of a survey, on rank 0; members everywhere. */
typedef struct outcome {
    uap_survey survey;
    uap_comm *members; /* NULL on a rank that was left out */
    int missing;
    double seconds;
} outcome;

static uap_site_options options_with(const char *stub)
{
    return (uap_site_options){.bytes = 65536,
                              .pings = 4,
                              .transfers = 3,
                              .device_s = 0.01,
                              .deadline_s = 5,
                              .stub = stub};
}

static uap_status survey_as_rank_0(uap_site *site, bool one_node, uap_survey *out,
                                   uap_err *err)
{
    const uap_survey_limits limits = uap_survey_limits_default();
    const uap_survey_machine machine = uap_site_machine(site);
    const int ranks = uap_comm_size(ranks_comm);
    uap_status rc = UAP_OK;
    uap_partition p = {.nodes = 0};
    uap_survey_plan plan;
    UAP_TRY(
        uap_partition_make(one_node ? 1 : ranks, NULL, one_node ? ranks : 1, &p, err));
    uap_survey_plan_make(&p, &costs, 64, HUGE_VAL, &plan);
    rc = uap_survey_run(&p, &plan, &limits, &machine, out, err);
done:
    uap_partition_free(&p);
    return rc;
}

/* Surveys with faults; each rank a node, or all on one. Silent ranks are left out. */
static void run(const uap_site_options *options, uap_device *device, bool one_node,
                outcome *out)
{
    const bool is_first = uap_comm_rank(ranks_comm) == 0;
    const double start = uap_clock_s();
    uap_err err = {0};
    uap_site *site = NULL;
    memset(out, 0, sizeof *out);
    assert_all(uap_site_new(ranks_comm, device, options, &site, &err) == UAP_OK);
    uap_status rc = is_first ? survey_as_rank_0(site, one_node, &out->survey, &err)
                             : uap_site_serve(site, &err);
    out->seconds = uap_clock_s() - start;
    if (rc == UAP_OK) {
        rc = uap_site_end(site, out->survey.is_lost, &out->members, &err);
    }
    if (rc == UAP_OK && is_first) {
        rc = uap_site_missing(site, 30, &out->missing, &err);
    }
    if (rc != UAP_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
    }
    uap_site_free(site);
    assert_all(rc == UAP_OK && out->missing == 0);
}

static void outcome_free(outcome *o)
{
    uap_comm_free(o->members);
    uap_survey_free(&o->survey);
}

/* Rank 0 has the number, other ranks none. */
static bool has_findings(const outcome *o, int32_t n)
{
    if (uap_comm_rank(ranks_comm) != 0) {
        return o->survey.findings.n == 0;
    }
    for (int32_t i = 0; i < o->survey.findings.n && o->survey.findings.n != n; i++) {
        const uap_finding *f = &o->survey.findings.finding[i];
        (void)fprintf(stderr, "found %s of %d and %d\n", uap_finding_name(f->kind),
                      (int)f->device, (int)f->peer);
    }
    return o->survey.findings.n == n;
}

static bool has_found(const outcome *o, uap_finding_kind kind, int32_t device,
                      int32_t peer)
{
    for (int32_t i = 0; i < o->survey.findings.n; i++) {
        const uap_finding *f = &o->survey.findings.finding[i];
        if (f->kind == kind && f->device == device && f->peer == peer) {
            return true;
        }
    }
    return uap_comm_rank(ranks_comm) != 0;
}

static void test_clean(void **state)
{
    const uap_site_options options = options_with("");
    const int ranks = uap_comm_size(ranks_comm);
    outcome o;
    (void)state;
    for (int one_node = 0; one_node < 2; one_node++) {
        run(&options, NULL, one_node == 1, &o);
        assert_all(has_findings(&o, 0));
        assert_all(o.members != NULL && uap_comm_size(o.members) == ranks);
        if (uap_comm_rank(ranks_comm) == 0 && ranks > 1) {
            const uap_round_kind kind = one_node ? UAP_ROUND_INSIDE : UAP_ROUND_PAIRS;
            assert_close(o.survey.usual[kind].seconds, 1e-3, 0.011, 0);
            assert_close(o.survey.usual[kind].latency_s, 1e-5, 0.011, 0);
            assert_i64(o.survey.usual[kind].again, 0);
        }
        outcome_free(&o);
    }
}

static void test_faults(void **state)
{
    const int last = uap_comm_size(ranks_comm) - 1;
    char stub[128];
    outcome o;
    (void)state;
    if (last < 2) {
        return;
    }
    (void)snprintf(stub, sizeof stub, "device:%d:1.5,link:0:3,late:%d:8", last, last);
    const uap_site_options options = options_with(stub);
    run(&options, NULL, false, &o);
    assert_all(has_findings(&o, 3));
    assert_all(has_found(&o, UAP_FINDING_DEVICE, last, UAP_NOBODY));
    assert_all(has_found(&o, UAP_FINDING_LINK, 0, UAP_NOBODY));
    assert_all(has_found(&o, UAP_FINDING_LINK_LATENCY, last, UAP_NOBODY));
    assert_all(o.members != NULL && uap_comm_size(o.members) == last + 1);
    outcome_free(&o);
    (void)snprintf(stub, sizeof stub, "pair:%d:0:4", last);
    const uap_site_options pair = options_with(stub);
    run(&pair, NULL, true, &o);
    assert_all(has_findings(&o, 1));
    assert_all(has_found(&o, UAP_FINDING_PAIR, last, 0));
    outcome_free(&o);
}

/* The last rank hangs for longer than the deadline, and a device is in error: both are left
 * out, the others go on among themselves, and the one that comes back is let go. */
static void test_silence(void **state)
{
    const int rank = uap_comm_rank(ranks_comm), last = uap_comm_size(ranks_comm) - 1;
    char stub[128];
    outcome o;
    (void)state;
    if (last < 1) {
        return;
    }
    (void)snprintf(stub, sizeof stub, last > 1 ? "hang:%d:6,error:%d" : "hang:%d:6", last,
                   last - 1);
    uap_site_options options = options_with(stub);
    const int n_lost = last > 1 ? 2 : 1;
    options.deadline_s = 2;
    run(&options, NULL, false, &o);
    assert_all(has_findings(&o, n_lost));
    assert_all(has_found(&o, UAP_FINDING_SILENT, last, UAP_NOBODY));
    assert_all(n_lost == 1 || has_found(&o, UAP_FINDING_SILENT, last - 1, UAP_NOBODY));
    /* One deadline and a half for all rounds, not one for each. */
    assert_all(rank != 0 || o.seconds < 5.5);
    assert_all((o.members == NULL) == (rank > last - n_lost));
    if (o.members != NULL) {
        uap_err err = {0};
        int64_t sum = 1;
        assert_ok(uap_comm_allreduce_i64(o.members, &sum, 1, UAP_COMM_SUM, &err), &err);
        assert_i64(sum, last + 1 - n_lost);
    }
    outcome_free(&o);
}

/* Real work and real messages: whatever is found on a busy machine, it ends and has times. */
static void test_real(void **state)
{
    const uap_site_options options = options_with(NULL);
    uap_err err = {0};
    uap_device *device = NULL;
    outcome o;
    (void)state;
    assert_all(uap_device_open(UAP_BACKEND_CPU, 0, &device, &err) == UAP_OK);
    run(&options, device, false, &o);
    uap_device_close(device);
    if (uap_comm_rank(ranks_comm) == 0) {
        const uap_survey_usual *pairs = &o.survey.usual[UAP_ROUND_PAIRS];
        assert_true(o.survey.usual[UAP_ROUND_DEVICES].seconds > 0);
        assert_i64(o.survey.n_lost, 0);
        if (uap_comm_size(ranks_comm) > 1) {
            assert_true(pairs->seconds > 0 && pairs->seconds < 5);
            assert_true(pairs->latency_s > 0 && pairs->latency_s < 5);
        }
    }
    assert_all(o.members != NULL);
    outcome_free(&o);
}

static void test_bad_stub(void **state)
{
    static const char *const bad[] = {"x",        "device:1",    "hang:1:2:3",
                                      "pair:1:2", "device:1:-2", "late:1:nan",
                                      "error:1,"};
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const uap_site_options options = options_with(bad[i]);
        uap_err err = {0};
        uap_site *site = NULL;
        const uap_status rc = uap_site_new(ranks_comm, NULL, &options, &site, &err);
        assert_all(rc == UAP_BAD_USAGE && site == NULL);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clean),    cmocka_unit_test(test_faults),
        cmocka_unit_test(test_silence),  cmocka_unit_test(test_real),
        cmocka_unit_test(test_bad_stub),
    };
    return RANKS_MAIN(&argc, &argv, tests);
}
