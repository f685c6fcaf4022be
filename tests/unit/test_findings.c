/* Findings: two ends are one link, most of a node is the node, and how they read. */
#include "unit/check.h"

#include "profile/findings.h"

#include <math.h>
#include <string.h>

static uap_finding of(uap_finding_kind kind, int32_t device, int32_t peer)
{
    return (uap_finding){.kind = kind,
                         .where = UAP_ROUND_PAIRS,
                         .device = device,
                         .peer = peer,
                         .value_s = 2e-3,
                         .median_s = 1e-3,
                         .score = 50,
                         .again_s = 2.1e-3};
}

static void add(uap_findings *all, uap_finding f)
{
    uap_err err = {0};
    assert_ok(uap_findings_add(all, &f, &err), &err);
}

static void test_ends_join(void **state)
{
    uap_findings all = {.n = 0};
    uap_finding f = of(UAP_FINDING_LINK, 3, UAP_NOBODY);
    (void)state;
    f.sends = true;
    add(&all, f);
    f.sends = false;
    f.receives = true;
    f.where = UAP_ROUND_RAILS;
    add(&all, f);
    assert_i64(all.n, 1);
    assert_true(all.finding[0].sends && all.finding[0].receives);
    assert_i64(all.finding[0].where, UAP_ROUND_PAIRS);
    /* Inside the node it is another link, and a pair in the other direction another pair. */
    f.where = UAP_ROUND_INSIDE;
    add(&all, f);
    add(&all, of(UAP_FINDING_PAIR, 1, 2));
    add(&all, of(UAP_FINDING_PAIR, 2, 1));
    assert_i64(all.n, 4);
    uap_findings_free(&all);
}

/* Five of eight devices make a node; four do not, nor do pairs, nor the silent. */
static void test_nodes_join(void **state)
{
    uap_err err = {0};
    uap_partition p;
    uap_findings all = {.n = 0};
    (void)state;
    assert_ok(uap_partition_make(3, NULL, 8, &p, &err), &err);
    for (int32_t d = 0; d < 4; d++) {
        add(&all, of(UAP_FINDING_DEVICE, d, UAP_NOBODY));
    }
    for (int32_t d = 8; d < 13; d++) {
        add(&all, of(d % 2 ? UAP_FINDING_DEVICE : UAP_FINDING_LINK, d, UAP_NOBODY));
    }
    uap_finding inside = of(UAP_FINDING_PAIR, 8, 9);
    inside.where = UAP_ROUND_INSIDE;
    add(&all, inside);
    add(&all, of(UAP_FINDING_SILENT, 15, UAP_NOBODY));
    for (int32_t d = 16; d < 24; d++) {
        add(&all, of(UAP_FINDING_PAIR, d, 0));
    }
    assert_ok(uap_findings_join_nodes(&all, &p, &err), &err);
    assert_i64(all.n, 4 + 1 + 1 + 8);
    assert_i64(all.finding[4].kind, UAP_FINDING_NODE);
    assert_i64(all.finding[4].device, 8);
    assert_i64(all.finding[5].kind, UAP_FINDING_SILENT);
    assert_false(uap_finding_blames_node(&all.finding[6]));
    assert_true(uap_finding_blames_node(&all.finding[4]));
    assert_true(uap_finding_blames_node(&inside));
    uap_findings_free(&all);
    uap_partition_free(&p);
}

static void check_text(const uap_finding *f, const char (*host)[64], const char *expected)
{
    uap_err err = {0};
    uap_partition p;
    char text[256];
    assert_ok(uap_partition_make(2, NULL, 2, &p, &err), &err);
    uap_finding_text(f, &p, host, text, sizeof text);
    assert_string_equal(text, expected);
    /* Short of room it is cut, and ends. */
    for (size_t n = 1; n < 40; n++) {
        uap_finding_text(f, &p, host, text, n);
        assert_true(strlen(text) < n);
    }
    uap_partition_free(&p);
}

static void test_texts(void **state)
{
    static const char host[2][64] = {"vn1", "vn2"};
    uap_finding link = of(UAP_FINDING_LINK, 3, UAP_NOBODY);
    const uap_finding pair = of(UAP_FINDING_PAIR, 0, 2);
    const uap_finding silent = of(UAP_FINDING_SILENT, 2, UAP_NOBODY);
    (void)state;
    link.receives = true;
    check_text(
        &link, host,
        "slow-link vn2 device 1 receiving (node pairs): 0.002 s, usually 0.001, score "
        "50.0, again 0.0021 s");
    check_text(&pair, NULL,
               "slow-pair device 0 (node 0) to device 2 (node 1) (node pairs): 0.002 s, "
               "usually 0.001, score 50.0, again 0.0021 s");
    check_text(&silent, host, "silent vn2 device 0");
}

static void test_no_memory(void **state)
{
    uap_err err = {0};
    uap_findings all = {.n = 0};
    const uap_finding f = of(UAP_FINDING_DEVICE, 0, UAP_NOBODY);
    (void)state;
    uap_mem_fail_after(0);
    assert_status(uap_findings_add(&all, &f, &err), UAP_NO_MEMORY, &err);
    uap_mem_fail_after(-1);
    assert_i64(all.n, 0);
    assert_i64(uap_mem_outstanding(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ends_join),
        cmocka_unit_test(test_nodes_join),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
