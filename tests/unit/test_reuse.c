/* What may be taken from an earlier profile. */
#include "unit/check.h"

#include "common/mem.h"
#include "profile/reuse.h"

#include <math.h>
#include <string.h>

/* A part's provenance: date, hosts, and what it has from before. */
#define PART(date, hosts, more)                                                          \
    "{\"date\": \"" date "\", \"hosts\": \"" hosts "\", \"backend\": \"cpu\", "          \
    "\"device_library\": \"blas 1\", \"mpi_library\": \"mpi 1\"" more "}"

static uap_cluster *cluster_of(const char *provenance, const char *groups,
                               const char *source)
{
    char text[4096];
    uap_err err = {0};
    uap_cluster *cluster = NULL;
    (void)snprintf(
        text, sizeof text,
        "{\"format\": \"uniap-cluster\", \"version\": 1, \"source\": \"%s\",\n"
        " \"device_classes\": [{\"name\": \"A\", \"memory_bytes\": 1000,\n"
        "  \"peak_flops\": {\"fp32\": 1e12}, \"efficiency\": 1,\n"
        "  \"memory_bandwidth_Bps\": 1e10},\n"
        "  {\"name\": \"A (2)\", \"memory_bytes\": 1000, \"peak_flops\": {\"fp32\": "
        "1e11},\n"
        "  \"efficiency\": 1, \"memory_bandwidth_Bps\": 1e10}],\n"
        " \"node_groups\": [%s],\n \"p2p\": [],\n"
        " \"collectives\": [{\"kind\": \"all-reduce\", \"size\": 2, \"stride\": 1,\n"
        "  \"span\": \"node\", \"latency_s\": 1e-5, \"bandwidth_Bps\": 1e9}],\n"
        " \"overlap\": {\"compute_slowdown\": 1, \"communication_slowdown\": 1},\n"
        " \"provenance\": %s}",
        source, groups, provenance);
    const uap_status rc =
        uap_cluster_parse("old.json", text, strlen(text), &cluster, &err);
    if (rc != UAP_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
    }
    assert_int_equal(rc, UAP_OK);
    return cluster;
}

static const char one_group[] =
    "{\"nodes\": 2, \"devices_per_node\": 4, \"device_class\": \"A\"}";
static const char two_groups[] =
    "{\"nodes\": 2, \"devices_per_node\": 4, \"device_class\": \"A\"},"
    "{\"nodes\": 1, \"devices_per_node\": 4, \"device_class\": \"A (2)\"}";

/* At noon on the 3rd, a limit of two days. */
static uap_reuse_context usual(void)
{
    return (uap_reuse_context){.backend = "cpu",
                               .device_library = "blas 1",
                               .link_library = "mpi 1",
                               .device = "A",
                               .devices_per_node = 4,
                               .memory_bytes = 1050,
                               .now_s = uap_date_seconds("2026-03-03T12:00:00Z"),
                               .max_age_s = 2 * 86400};
}

static void check_date(const uap_reuse *reuse, const uap_reuse_context *context,
                       int32_t group, const char *what, bool is_layer,
                       const char *expected)
{
    const char *date = uap_reuse_date(reuse, context, group, what, is_layer);
    assert_string_equal(date != NULL ? date : "none", expected);
}

static void test_dates(void **state)
{
    (void)state;
    assert_close(uap_date_seconds("1970-01-01T00:00:00Z"), 0, 0, 0);
    assert_close(uap_date_seconds("2000-02-29T23:59:59Z"), 951868799, 0, 0);
    assert_close(uap_date_seconds("2000-03-01T00:00:00Z"), 951868800, 0, 0);
    assert_close(uap_date_seconds("2026-11-23T12:21:27Z"), 1795436487, 0, 0);
    assert_close(uap_date_seconds("2100-03-01T00:00:00Z"), 4107542400, 0, 0);
    assert_true(isnan(uap_date_seconds("2026-11-23")));
    assert_true(isnan(uap_date_seconds("2026-13-01T00:00:00Z")));
    assert_true(isnan(uap_date_seconds("2026-11-23T12:21:27Z, about")));
}

/* Each measurement has the date of its file, or the older one that the file had it from. */
static void test_age(void **state)
{
    (void)state;
    uap_cluster *cluster = cluster_of(
        PART("2026-03-02T12:00:00Z", "n[1-2]",
             ", \"reused\": [{\"date\": \"2026-03-01T13:00:00Z\", \"what\": [\"x\"]},"
             " {\"date\": \"2026-03-01T11:00:00Z\", \"what\": [\"y\", \"z\"]}]"),
        one_group, "measured");
    uap_err err = {0};
    uap_reuse *reuse = NULL;
    uap_reuse_context context = usual();
    assert_int_equal(uap_reuse_new(cluster, &reuse, &err), UAP_OK);
    check_date(reuse, &context, 0, "other", true, "2026-03-02T12:00:00Z");
    check_date(reuse, &context, 0, "x", true, "2026-03-01T13:00:00Z");
    check_date(reuse, &context, 0, "y", true, "none");
    check_date(reuse, &context, 0, "z", true, "none");
    context.max_age_s = HUGE_VAL;
    check_date(reuse, &context, 0, "z", false, "2026-03-01T11:00:00Z");
    uap_reuse_free(reuse);
    uap_cluster_free(cluster);
}

/* Layers hang on the device's library, links on MPI's, both on the backend. */
static void test_libraries(void **state)
{
    (void)state;
    uap_cluster *cluster =
        cluster_of(PART("2026-03-02T12:00:00Z", "n1", ""), one_group, "measured");
    uap_err err = {0};
    uap_reuse *reuse = NULL;
    assert_int_equal(uap_reuse_new(cluster, &reuse, &err), UAP_OK);
    uap_reuse_context context = usual();
    context.device_library = "blas 2";
    check_date(reuse, &context, 0, "x", true, "none");
    check_date(reuse, &context, 0, "x", false, "2026-03-02T12:00:00Z");
    context = usual();
    context.link_library = "mpi 2";
    check_date(reuse, &context, 0, "x", true, "2026-03-02T12:00:00Z");
    check_date(reuse, &context, 0, "x", false, "none");
    context.backend = "cuda";
    check_date(reuse, &context, 0, "x", true, "none");
    uap_reuse_free(reuse);
    uap_cluster_free(cluster);
}

/* Of two groups of one device that with the nodes; of unlike ones none. */
static void test_groups(void **state)
{
    (void)state;
    static const char *const first[] = {"n1", "n3"}, *const second[] = {"n7", "n8"};
    static const char *const unknown[] = {"n9"};
    uap_cluster *cluster =
        cluster_of("{\"date\": \"2026-03-03T00:00:00Z\", \"merged\": [" PART(
                       "2026-03-02T12:00:00Z", "n[1-2]",
                       "") ", " PART("2026-03-01T12:00:00Z", "n7", "") "]}",
                   two_groups, "measured");
    uap_err err = {0};
    uap_reuse *reuse = NULL;
    uap_reuse_context context = usual();
    assert_int_equal(uap_reuse_new(cluster, &reuse, &err), UAP_OK);
    assert_int_equal(uap_reuse_group(reuse, &context, first, 2), 0);
    assert_int_equal(uap_reuse_group(reuse, &context, second, 2), 1);
    assert_int_equal(uap_reuse_group(reuse, &context, unknown, 1), -1);
    assert_true(uap_reuse_knows_host(reuse, "n7"));
    assert_false(uap_reuse_knows_host(reuse, "n3"));
    check_date(reuse, &context, 0, "x", true, "2026-03-02T12:00:00Z");
    check_date(reuse, &context, 1, "x", true, "2026-03-01T12:00:00Z");
    context.memory_bytes = 2000;
    assert_int_equal(uap_reuse_group(reuse, &context, first, 2), -1);
    context = usual();
    context.devices_per_node = 8;
    assert_int_equal(uap_reuse_group(reuse, &context, first, 2), -1);
    context = usual();
    context.device = "B";
    assert_int_equal(uap_reuse_group(reuse, &context, first, 2), -1);
    uap_reuse_free(reuse);
    uap_cluster_free(cluster);
}

/* Parts that became one group: the oldest counts. */
static void test_joined_parts(void **state)
{
    (void)state;
    uap_cluster *cluster =
        cluster_of("{\"merged\": [" PART("2026-03-02T12:00:00Z", "n1", "") ", " PART(
                       "2026-03-01T12:00:00Z", "n2", "") "]}",
                   one_group, "measured");
    uap_err err = {0};
    uap_reuse *reuse = NULL;
    const uap_reuse_context context = usual();
    assert_int_equal(uap_reuse_new(cluster, &reuse, &err), UAP_OK);
    check_date(reuse, &context, 0, "x", true, "2026-03-01T12:00:00Z");
    uap_reuse_free(reuse);
    uap_cluster_free(cluster);
}

static void check_refused(const char *provenance, const char *source)
{
    uap_cluster *cluster = cluster_of(provenance, one_group, source);
    uap_err err = {0};
    uap_reuse *reuse = NULL;
    assert_int_equal(uap_reuse_new(cluster, &reuse, &err), UAP_BAD_INPUT);
    assert_null(reuse);
    assert_non_null(strstr(err.msg, "old.json"));
    uap_cluster_free(cluster);
}

static void test_refused(void **state)
{
    (void)state;
    check_refused(PART("2026-03-02T12:00:00Z", "n1", ""), "assumed");
    check_refused(PART("today", "n1", ""), "measured");
    check_refused("{}", "measured");
    check_refused(PART("2026-03-02T12:00:00Z", "n1", ", \"reused\": [{\"what\": []}]"),
                  "measured");
    assert_int_equal(uap_mem_bytes(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),        cmocka_unit_test(test_age),
        cmocka_unit_test(test_libraries),    cmocka_unit_test(test_groups),
        cmocka_unit_test(test_joined_parts), cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
