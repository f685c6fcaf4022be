/* Profiles put together: what is alike becomes one, of which the slower counts; what is not
 * stays apart; and no node is in it twice. */
#include "unit/check.h"

#include "configs/cluster.h"
#include "profile/merge.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A profile as text: %s hosts, device's name; %g seconds of its layer, bandwidth; %d nodes. */
static const char form[] =
    "{\"format\": \"uniap-cluster\", \"version\": 1, \"name\": \"part\",\n"
    " \"source\": \"measured\", \"provenance\": {\"hosts\": \"%s\", \"survey\":\n"
    "  {\"left_out_hosts\": \"%s\"}},\n"
    " \"device_classes\": [{\"name\": \"%s\", \"memory_bytes\": 1000,\n"
    "  \"peak_flops\": {\"bf16\": 5}, \"efficiency\": 0.5, \"memory_bandwidth_Bps\": 7,\n"
    "  \"layers\": [{\"type\": \"block\", \"shape\": \"s\", \"tp\": 1, \"micro_batch\": "
    "1,\n"
    "   \"forward_s\": %g, \"backward_s\": 1, \"mad_s\": 0}]}],\n"
    " \"node_groups\": [{\"nodes\": %d, \"devices_per_node\": 4, \"device_class\": "
    "\"%s\"}],\n"
    " \"collectives\": [{\"kind\": \"all-reduce\", \"size\": 2, \"stride\": 1,\n"
    "   \"span\": \"node\", \"latency_s\": 1e-5, \"bandwidth_Bps\": %g,\n"
    "   \"points\": [[8, 1e-5], [16, 2e-5]]}],\n"
    " \"p2p\": [{\"span\": \"cluster\", \"latency_s\": 1e-4, \"bandwidth_Bps\": %g}],\n"
    " \"overlap\": {\"compute_slowdown\": 1.1, \"communication_slowdown\": 1.2},\n"
    " \"exceptions\": [{\"kind\": \"silent\"}]}";

typedef struct part {
    const char *hosts, *left_out, *device;
    double forward_s;
    int nodes;
    double bandwidth_Bps;
} part;

static uap_cluster *load(const part *p)
{
    char path[] = "/tmp/uniap_merge_XXXXXX", text[4096];
    uap_err err = {0};
    uap_cluster *cluster = NULL;
    const int n =
        snprintf(text, sizeof text, form, p->hosts, p->left_out, p->device, p->forward_s,
                 p->nodes, p->device, p->bandwidth_Bps, p->bandwidth_Bps);
    const int fd = mkstemp(path);
    assert_true(fd >= 0 && n > 0 && n < (int)sizeof text);
    assert_i64(write(fd, text, (size_t)n), n);
    (void)close(fd);
    assert_ok(uap_cluster_load(path, &cluster, &err), &err);
    (void)unlink(path);
    return cluster;
}

static uap_status merge(const part *parts, int32_t n, uap_cluster **out, uap_err *err)
{
    uap_cluster *loaded[4] = {NULL};
    for (int32_t i = 0; i < n; i++) {
        loaded[i] = load(&parts[i]);
    }
    const uap_status rc = uap_cluster_merge((const uap_cluster *const *)loaded, n,
                                            "uniap a test", out, err);
    for (int32_t i = 0; i < n; i++) {
        uap_cluster_free(loaded[i]);
    }
    return rc;
}

/* What is written can be read, and says the same. */
static uap_cluster *written_and_read(uap_cluster *cluster)
{
    char path[] = "/tmp/uniap_merge_XXXXXX";
    uap_err err = {0};
    uap_cluster *again = NULL;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_ok(uap_cluster_save(cluster, path, &err), &err);
    assert_ok(uap_cluster_load(path, &again, &err), &err);
    (void)unlink(path);
    uap_cluster_free(cluster);
    return again;
}

static void test_alike(void **state)
{
    const part parts[] = {{"n[1-2]", "", "gpu", 1.0, 2, 1e9},
                          {"n[4-6]", "n7", "gpu", 1.1, 3, 2e9},
                          {"n3", "", "gpu", 1.05, 1, 5e8}};
    uap_err err = {0};
    uap_cluster *all = NULL;
    (void)state;
    assert_ok(merge(parts, 3, &all, &err), &err);
    all = written_and_read(all);
    assert_i64(uap_cluster_devices(all), 24);
    assert_i64(all->n_classes, 1);
    assert_i64(all->n_groups, 1);
    assert_i64(all->group[0].nodes, 6);
    assert_i64(all->n_collectives, 1);
    assert_i64(all->n_p2p, 1);
    assert_close(all->device_class[0].layer[0].forward_s, 1.1, 1e-12, 0);
    assert_close(all->collective[0].bandwidth_Bps, 5e8, 0, 0);
    assert_i64(all->collective[0].n_points, 2);
    assert_false(all->collective[0].is_of_group);
    assert_non_null(strstr(all->provenance, "\"n[1-6]\""));
    assert_non_null(strstr(all->provenance, "\"left_out_hosts\": \"n7\""));
    assert_non_null(strstr(all->provenance, "uniap a test"));
    assert_non_null(strstr(all->exceptions, "silent"));
    uap_cluster_free(all);
}

/* Another device, or the same name at half the speed: classes and links of their own. */
static void test_unlike(void **state)
{
    const part parts[] = {{"a1", "", "gpu", 1.0, 1, 1e9},
                          {"b1", "", "gpu", 3.0, 1, 2e9},
                          {"c[1-2]", "", "card", 1.0, 2, 3e9},
                          {"d1", "", "gpu", 3.1, 1, 4e9}};
    uap_err err = {0};
    uap_cluster *all = NULL;
    (void)state;
    assert_ok(merge(parts, 4, &all, &err), &err);
    all = written_and_read(all);
    assert_i64(all->n_classes, 3);
    assert_string_equal(all->device_class[0].name, "gpu");
    assert_string_equal(all->device_class[1].name, "gpu (2)");
    assert_string_equal(all->device_class[2].name, "card");
    assert_i64(all->n_groups, 4);
    assert_i64(all->group[3].device_class, 1);
    assert_close(all->device_class[1].layer[0].forward_s, 3.1, 1e-12, 0);
    assert_i64(all->n_collectives, 4);
    for (int32_t i = 0; i < 4; i++) {
        assert_true(all->collective[i].is_of_group && all->collective[i].group == i);
        assert_close(all->collective[i].bandwidth_Bps, 1e9 * (i + 1), 0, 0);
        assert_true(all->p2p[i].is_between && all->p2p[i].from == i &&
                    all->p2p[i].to == i);
    }
    uap_cluster_free(all);
}

/* A merged one can be merged again. */
static void test_again(void **state)
{
    const part parts[] = {{"a1", "", "gpu", 1.0, 1, 1e9},
                          {"b1", "", "card", 3.0, 1, 2e9},
                          {"c1", "", "card", 3.0, 1, 1e9}};
    uap_err err = {0};
    uap_cluster *two = NULL, *all = NULL;
    (void)state;
    assert_ok(merge(parts, 2, &two, &err), &err);
    two = written_and_read(two);
    uap_cluster *third = load(&parts[2]);
    const uap_cluster *const both[] = {two, third};
    assert_ok(uap_cluster_merge(both, 2, "again", &all, &err), &err);
    uap_cluster_free(third);
    uap_cluster_free(two);
    all = written_and_read(all);
    assert_i64(all->n_groups, 2);
    assert_i64(all->group[1].nodes, 2);
    assert_i64(all->n_collectives, 2);
    assert_close(all->collective[1].bandwidth_Bps, 1e9, 0, 0);
    assert_non_null(strstr(all->provenance, "\"a1,b1,c1\""));
    uap_cluster_free(all);
}

static void test_refused(void **state)
{
    const part parts[] = {{"n[1-2]", "", "gpu", 1.0, 2, 1e9},
                          {"n[2-3]", "", "gpu", 1.0, 2, 1e9}};
    uap_err err = {0};
    uap_cluster *all = NULL;
    (void)state;
    assert_status(merge(parts, 2, &all, &err), UAP_BAD_INPUT, &err);
    assert_non_null(strstr(err.msg, "node n2 "));
    assert_null(all);
}

static void test_no_memory(void **state)
{
    const part parts[] = {{"n1", "", "gpu", 1.0, 1, 1e9}, {"n2", "", "card", 2, 1, 1e9}};
    uap_err err = {0};
    uap_status rc = UAP_NO_MEMORY;
    uap_cluster *all = NULL;
    uap_cluster *a = load(&parts[0]), *b = load(&parts[1]);
    const uap_cluster *const both[] = {a, b};
    (void)state;
    for (int64_t i = 0; rc == UAP_NO_MEMORY; i++) {
        uap_err_clear(&err);
        uap_mem_fail_after(i);
        rc = uap_cluster_merge(both, 2, "", &all, &err);
        uap_mem_fail_after(-1);
    }
    assert_ok(rc, &err);
    uap_cluster_free(all);
    uap_cluster_free(b);
    uap_cluster_free(a);
    assert_i64(uap_mem_outstanding(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alike),     cmocka_unit_test(test_unlike),
        cmocka_unit_test(test_again),     cmocka_unit_test(test_refused),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
