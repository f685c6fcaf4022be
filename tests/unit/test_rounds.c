/* Schedules: every pair once, nobody twice in a round, every node busy. */
#include "unit/check.h"

#include "profile/rounds.h"

#include <string.h>

#define N_MAX 64

/* Every pair of n players meets exactly once, peers agree, and nobody is idle but the one
 * that an odd number leaves over. */
static void check_tournament(int32_t n)
{
    int32_t met[N_MAX][N_MAX] = {{0}};
    const int32_t rounds = uap_tournament_rounds(n);
    assert_i64(rounds, n % 2 == 0 ? n - 1 : n);
    for (int32_t round = 0; round < rounds; round++) {
        int32_t idle = 0;
        for (int32_t who = 0; who < n; who++) {
            const int32_t peer = uap_tournament_peer(n, round, who);
            if (peer == UAP_NOBODY) {
                idle++;
                continue;
            }
            assert_true(peer >= 0 && peer < n && peer != who);
            assert_i64(uap_tournament_peer(n, round, peer), who);
            met[who][peer]++;
        }
        assert_i64(idle, n % 2);
    }
    for (int32_t a = 0; a < n; a++) {
        for (int32_t b = 0; b < n; b++) {
            assert_i64(met[a][b], a != b);
        }
    }
}

static void test_tournaments(void **state)
{
    (void)state;
    assert_i64(uap_tournament_rounds(0), 0);
    assert_i64(uap_tournament_rounds(1), 0);
    assert_i64(uap_tournament_peer(1, 0, 0), UAP_NOBODY);
    for (int32_t n = 2; n <= N_MAX; n++) {
        check_tournament(n);
    }
}

static void test_shift_counts(void **state)
{
    (void)state;
    assert_i64(uap_shift_rounds(1), 0);
    assert_i64(uap_shift_rounds(2), 1);
    assert_i64(uap_shift_rounds(3), 2);
    assert_i64(uap_shift_rounds(64), 6);
    assert_i64(uap_shift_rounds(65), 7);
    assert_i64(uap_shift_rounds(1024), 10);
    assert_i64(uap_shift_rounds(10000), 14);
    assert_i64(uap_shift_rounds(INT32_MAX), 31);
}

/* Whom one sends to receives from one; nobody is its own peer. */
static int64_t check_round(const uap_partition *p, uap_round_kind kind, int32_t round)
{
    int64_t flows = 0;
    for (int32_t d = 0; d < p->devices; d++) {
        const uap_peers peers = uap_round_peers(p, kind, round, d);
        assert_true(peers.to != d && peers.from != d);
        if (peers.to != UAP_NOBODY) {
            assert_i64(uap_round_peers(p, kind, round, peers.to).from, d);
            const bool same = p->node_of[d] == p->node_of[peers.to];
            assert_i64(same, kind == UAP_ROUND_INSIDE);
            const int32_t class = uap_round_class(p, kind, round, d);
            assert_true(class >= 0 && class < uap_round_classes(p, kind));
            flows++;
        }
        if (peers.from != UAP_NOBODY) {
            assert_i64(uap_round_peers(p, kind, round, peers.from).to, d);
        }
        assert_i64(uap_round_includes(p, kind, round, d), kind == UAP_ROUND_DEVICES ||
                                                              peers.to != UAP_NOBODY ||
                                                              peers.from != UAP_NOBODY);
    }
    return flows;
}

static int64_t check_kind(const uap_partition *p, uap_round_kind kind)
{
    int64_t flows = 0;
    for (int32_t round = 0; round < uap_round_count(p, kind); round++) {
        const int64_t here = check_round(p, kind, round);
        assert_i64_le(here, uap_round_devices(p, kind));
        flows += here;
    }
    return flows;
}

/* Equal nodes: every device of every pair, as often as the schedules say. */
static void test_equal_nodes(void **state)
{
    uap_err err = {0};
    (void)state;
    for (int32_t nodes = 1; nodes <= 70; nodes += 3) {
        for (int32_t each = 1; each <= 8; each += 3) {
            uap_partition p;
            assert_ok(uap_partition_make(nodes, NULL, each, &p, &err), &err);
            const int64_t n = nodes, g = each;
            const int64_t shifts = uap_shift_rounds(nodes);
            assert_i64(check_kind(&p, UAP_ROUND_DEVICES), 0);
            assert_i64(check_kind(&p, UAP_ROUND_INSIDE), n * g * (g - 1));
            assert_i64(check_kind(&p, UAP_ROUND_PAIRS), n * (n - 1));
            assert_i64(check_kind(&p, UAP_ROUND_SHIFTS), n * shifts);
            assert_i64(check_kind(&p, UAP_ROUND_RAILS), n * g * shifts);
            assert_i64(check_kind(&p, UAP_ROUND_BISECTION), n / 2 * 2 * g);
            uap_partition_free(&p);
        }
    }
}

/* Unlike nodes: a rail that the other node lacks is idle, and peers still agree. */
static void test_unlike_nodes(void **state)
{
    const int32_t per_node[] = {3, 1, 8, 2, 5, 8, 1};
    uap_err err = {0};
    uap_partition p;
    (void)state;
    assert_ok(uap_partition_make(7, per_node, 0, &p, &err), &err);
    assert_i64(p.devices, 28);
    assert_i64(p.most, 8);
    assert_i64(p.node_of[27], 6);
    int64_t inside = 0;
    for (int32_t n = 0; n < 7; n++) {
        inside += per_node[n] * (per_node[n] - 1);
    }
    assert_i64(check_kind(&p, UAP_ROUND_INSIDE), inside);
    assert_i64(check_kind(&p, UAP_ROUND_PAIRS), 42);
    assert_true(check_kind(&p, UAP_ROUND_RAILS) < 28 * 3);
    uap_partition_free(&p);
    assert_i64(uap_mem_outstanding(), 0);
}

/* Shifts reach 2^k further, around the end. */
static void test_shift_distances(void **state)
{
    uap_err err = {0};
    uap_partition p;
    (void)state;
    assert_ok(uap_partition_make(100, NULL, 2, &p, &err), &err);
    const uap_peers far = uap_round_peers(&p, UAP_ROUND_RAILS, 6, 2 * 50 + 1);
    assert_i64(far.to, 2 * (50 + 64 - 100) + 1);
    assert_i64(far.from, 2 * (50 - 64 + 100) + 1);
    assert_i64(uap_round_peers(&p, UAP_ROUND_SHIFTS, 6, 2 * 50 + 1).to, UAP_NOBODY);
    assert_i64(uap_round_peers(&p, UAP_ROUND_SHIFTS, 0, 2 * 99).to, 0);
    uap_partition_free(&p);
}

static void test_refusals(void **state)
{
    const int32_t bad[] = {2, 0};
    uap_err err = {0};
    uap_partition p;
    (void)state;
    assert_status(uap_partition_make(2, bad, 0, &p, &err), UAP_BAD_USAGE, &err);
    uap_err_clear(&err);
    assert_status(uap_partition_make(INT32_MAX, NULL, 8, &p, &err), UAP_TOO_LARGE, &err);
    uap_err_clear(&err);
    uap_mem_fail_after(1);
    assert_status(uap_partition_make(2, NULL, 8, &p, &err), UAP_NO_MEMORY, &err);
    uap_mem_fail_after(-1);
    assert_i64(uap_mem_outstanding(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tournaments),     cmocka_unit_test(test_shift_counts),
        cmocka_unit_test(test_equal_nodes),     cmocka_unit_test(test_unlike_nodes),
        cmocka_unit_test(test_shift_distances), cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
