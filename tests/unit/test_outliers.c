/* Robust scores, and who is to blame when flows share ends. */
#include "unit/check.h"

#include "bench/rng.h"
#include "profile/outliers.h"
#include "profile/rounds.h"

static const uap_limit limit = {.ratio = 1.35, .score = 6, .excess = 0};

static void test_centre(void **state)
{
    double odd[] = {5, 1, 2, 100, 3};
    double equal[] = {4, 4, 4, 4};
    double lost[] = {1, 1, 2, (double)INFINITY};
    (void)state;
    const uap_centre c = uap_centre_of(odd, 5);
    assert_close(c.median, 3, 0, 0);
    assert_close(c.spread, 1.4826 * 2, 1e-12, 0);
    assert_close(uap_score(100, c), 97 / c.spread, 1e-12, 0);
    assert_close(uap_centre_of(equal, 4).spread, 0.04, 1e-12, 0);
    assert_close(uap_centre_of(lost, 4).median, 1.5, 0, 0);
    assert_true(isinf(uap_score((double)INFINITY, c)));
    assert_true(isnan(uap_centre_of(odd, 0).median));
}

/* Each of the three conditions is needed. */
static void test_limits(void **state)
{
    const uap_centre c = {.median = 10, .spread = 1};
    (void)state;
    assert_true(uap_is_slow(17, c, limit));
    assert_true(uap_is_slow((double)INFINITY, c, limit));
    assert_false(uap_is_slow((double)NAN, c, limit));
    assert_false(uap_is_slow(13, c, (uap_limit){1.35, 1, 0}));
    assert_false(uap_is_slow(15, c, limit));
    assert_false(uap_is_slow(17, c, (uap_limit){1.35, 6, 8}));
    assert_false(uap_is_slow(1, c, limit));
}

/* ---- Flows between single-device nodes ------------------------------------------------ */

#define FLOWS_MAX 10000

typedef struct world {
    uap_partition partition;
    uap_flow flow[FLOWS_MAX];
    int64_t n;
    uap_centre centre[32];
    uap_end end[256];
} world;

/* What makes flows slow: a sender, a receiver, a direction of a pair; UAP_NOBODY: none. */
typedef struct fault {
    int32_t sender, receiver, from, to;
} fault;

static bool is_hit(const fault *f, int32_t from, int32_t to)
{
    return f->sender == from || f->receiver == to || (f->from == from && f->to == to);
}

static void fill(world *w, int32_t nodes, uap_round_kind kind, const fault *f)
{
    uap_err err = {0};
    uap_rng rng;
    uap_rng_seed(&rng, 7);
    w->n = 0;
    assert_ok(uap_partition_make(nodes, NULL, 1, &w->partition, &err), &err);
    for (int32_t r = 0; r < uap_round_count(&w->partition, kind); r++) {
        for (int32_t d = 0; d < nodes; d++) {
            const int32_t to = uap_round_peers(&w->partition, kind, r, d).to;
            if (to != UAP_NOBODY) {
                const double slow = is_hit(f, d, to) ? 2.5 : 1;
                const double noise = uap_rng_real(&rng, 0.97, 1.03);
                w->flow[w->n++] =
                    (uap_flow){.from = d,
                               .to = to,
                               .kin = uap_round_class(&w->partition, kind, r, d),
                               .latency_s = 1e-5f,
                               .seconds = (float)(1e-3 * slow * noise)};
            }
        }
    }
    const int32_t n_kin = uap_round_classes(&w->partition, kind);
    assert_ok(uap_flow_centres(w->flow, w->n, nodes, n_kin, UAP_METRIC_BANDWIDTH, limit,
                               w->centre, &err),
              &err);
    uap_flow_decode(w->flow, w->n, nodes, UAP_METRIC_BANDWIDTH, w->centre, limit, w->end);
    for (int32_t k = 0; k < n_kin; k++) {
        assert_close(w->centre[k].median, 1e-3, 0.03, 0);
    }
    uap_partition_free(&w->partition);
}

/* Exactly the ends of the fault are accused. */
static void check_ends(const world *w, int32_t nodes, const fault *f)
{
    for (int32_t d = 0; d < nodes; d++) {
        assert_i64(uap_end_is_accused(w->end[2 * d]), d == f->sender);
        assert_i64(uap_end_is_accused(w->end[2 * d + 1]), d == f->receiver);
    }
}

/* One slow node of three already makes most flows slow. */
static void test_slow_ends(void **state)
{
    static world w;
    (void)state;
    for (int32_t nodes = 3; nodes <= 64; nodes = nodes < 9 ? nodes + 1 : nodes * 2) {
        const fault both = {.sender = 1, .receiver = 1, UAP_NOBODY, UAP_NOBODY};
        const fault sends = {.sender = nodes - 1, UAP_NOBODY, UAP_NOBODY, UAP_NOBODY};
        const fault none = {UAP_NOBODY, UAP_NOBODY, UAP_NOBODY, UAP_NOBODY};
        const fault *const all[] = {&both, &sends, &none};
        for (int i = 0; i < 3; i++) {
            fill(&w, nodes, UAP_ROUND_PAIRS, all[i]);
            check_ends(&w, nodes, all[i]);
        }
    }
    const fault both = {.sender = 77, .receiver = 77, UAP_NOBODY, UAP_NOBODY};
    fill(&w, 100, UAP_ROUND_SHIFTS, &both);
    check_ends(&w, 100, &both);
}

/* One direction of one pair: both ends are cleared by others, the flow is slow. */
static void test_slow_pair(void **state)
{
    static world w;
    const fault pair = {UAP_NOBODY, UAP_NOBODY, .from = 2, .to = 5};
    int32_t slow = 0;
    (void)state;
    fill(&w, 16, UAP_ROUND_PAIRS, &pair);
    for (int32_t e = 0; e < 32; e++) {
        assert_false(uap_end_is_accused(w.end[e]));
    }
    for (int64_t i = 0; i < w.n; i++) {
        if (uap_is_slow(uap_flow_value(&w.flow[i], UAP_METRIC_BANDWIDTH),
                        w.centre[w.flow[i].kin], limit)) {
            assert_true(w.flow[i].from == 2 && w.flow[i].to == 5);
            slow++;
        }
    }
    assert_i64(slow, 1);
}

/* Two nodes: the worse direction is slow by the better one. */
static void test_two_nodes(void **state)
{
    static world w;
    const fault pair = {UAP_NOBODY, UAP_NOBODY, .from = 1, .to = 0};
    (void)state;
    fill(&w, 2, UAP_ROUND_PAIRS, &pair);
    assert_true(uap_end_is_accused(w.end[2]) && uap_end_is_accused(w.end[1]));
    assert_false(uap_end_is_accused(w.end[0]) || uap_end_is_accused(w.end[3]));
}

/* Of many flows three slow ones in four are enough, of few it must be all. */
static void test_ends(void **state)
{
    (void)state;
    assert_true(uap_end_is_accused((uap_end){.flows = 1, .slow = 1}));
    assert_true(uap_end_is_accused((uap_end){.flows = 8, .slow = 6}));
    assert_false(uap_end_is_accused((uap_end){.flows = 8, .slow = 5}));
    assert_false(uap_end_is_accused((uap_end){.flows = 7, .slow = 6}));
    assert_false(uap_end_is_accused((uap_end){.flows = 0, .slow = 0}));
    assert_false(uap_end_is_cleared((uap_end){.flows = 0, .slow = 0}));
    assert_false(uap_end_is_cleared((uap_end){.flows = 8, .slow = 6}));
    assert_true(uap_end_is_cleared((uap_end){.flows = 7, .slow = 6}));
}

static void test_no_memory(void **state)
{
    const uap_flow flow = {.from = 0, .to = 1, .seconds = 1};
    uap_err err = {0};
    uap_centre centre;
    (void)state;
    for (int64_t i = 0; i < 4; i++) {
        uap_err_clear(&err);
        uap_mem_fail_after(i);
        assert_status(
            uap_flow_centres(&flow, 1, 2, 1, UAP_METRIC_LATENCY, limit, &centre, &err),
            UAP_NO_MEMORY, &err);
    }
    uap_mem_fail_after(-1);
    assert_i64(uap_mem_outstanding(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_centre),    cmocka_unit_test(test_limits),
        cmocka_unit_test(test_slow_ends), cmocka_unit_test(test_slow_pair),
        cmocka_unit_test(test_two_nodes), cmocka_unit_test(test_ends),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
