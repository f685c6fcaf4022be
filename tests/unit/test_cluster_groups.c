/* Node groups of a cluster: which of a file's entries hold for which, which groups are the same,
 * and the device numbers of what was joined. */
#include "check.h"

#include "configs/cluster_groups.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define N_GROUPS 3

/* Up to three groups of two nodes of four devices, each with a class of its own. Links for all:
 * inside 100 B/s, between nodes 40 B/s for one pair and 10 for four. */
typedef struct machine {
    uap_device_class device[N_GROUPS];
    uap_node_group group[N_GROUPS];
    uap_collective collective[4];
    uap_p2p p2p[6];
    uap_cluster cluster;
} machine;

static void machine_init(machine *m)
{
    static char name[] = "bench", class_name[N_GROUPS][2] = {"a", "b", "c"};
    memset(m, 0, sizeof *m);
    for (int32_t i = 0; i < N_GROUPS; i++) {
        m->device[i] = (uap_device_class){.name = class_name[i],
                                          .memory_bytes = 1000,
                                          .peak_flops = {[UAP_FP32] = 5},
                                          .efficiency = 0.5};
        m->group[i] =
            (uap_node_group){.nodes = 2, .devices_per_node = 4, .device_class = i};
    }
    for (int i = 0; i < 2; i++) {
        m->collective[i] = (uap_collective){.kind = UAP_ALL_GATHER,
                                            .size = 2,
                                            .stride = i == 0 ? 1 : 4,
                                            .span = (uap_span)i,
                                            .latency_s = 1,
                                            .bandwidth_Bps = i == 0 ? 100 : 40};
    }
    m->p2p[0] = (uap_p2p){.span = UAP_SPAN_NODE, .latency_s = 1, .bandwidth_Bps = 100};
    m->p2p[1] = (uap_p2p){
        .span = UAP_SPAN_CLUSTER, .pairs = 1, .latency_s = 2, .bandwidth_Bps = 40};
    m->p2p[2] = (uap_p2p){
        .span = UAP_SPAN_CLUSTER, .pairs = 4, .latency_s = 2, .bandwidth_Bps = 10};
    m->cluster = (uap_cluster){.name = name,
                               .n_classes = N_GROUPS,
                               .n_groups = N_GROUPS,
                               .n_collectives = 2,
                               .n_p2p = 3,
                               .device_class = m->device,
                               .group = m->group,
                               .collective = m->collective,
                               .p2p = m->p2p};
}

static uap_cluster_groups *groups_of(const machine *m, int64_t devices)
{
    uap_err err = {0};
    uap_cluster_groups *groups = NULL;
    assert_ok(uap_cluster_groups_new(&m->cluster, devices, &groups, &err), &err);
    return groups;
}

static void check_ids(const uap_cluster_group *group, int64_t first, int64_t last,
                      const char *expected)
{
    char text[64];
    assert_true(uap_cluster_group_ids(group, first, last, text, sizeof text));
    assert_string_equal(text, expected);
}

static void test_what_nothing_tells_apart_is_joined(void **state)
{
    (void)state;
    machine m;
    machine_init(&m);
    uap_cluster_groups *groups = groups_of(&m, 0);
    assert_i64(groups->n, 1);
    assert_i64(groups->group[0].devices, 24);
    assert_i64(uap_cluster_devices(&groups->group[0].view), 24);
    assert_i64(groups->group[0].view.n_p2p, 3);
    check_ids(&groups->group[0], 0, 23, "0-7,8-15,16-23");
    uap_cluster_groups_free(groups);
}

/* The middle one has less memory; the outer ones are one group, whose numbers lie apart. */
static void test_unlike_classes_stay_apart(void **state)
{
    (void)state;
    machine m;
    machine_init(&m);
    m.device[1].memory_bytes = 999;
    uap_cluster_groups *groups = groups_of(&m, 0);
    assert_i64(groups->n, 2);
    assert_i64(groups->group[0].devices, 16);
    assert_i64(groups->group[1].devices, 8);
    assert_i64(groups->group[0].view.group[0].nodes, 4);
    assert_i64(groups->group[1].view.group[0].device_class, 1);
    check_ids(&groups->group[0], 4, 7, "4-7");
    check_ids(&groups->group[0], 4, 11, "4-7,16-19");
    check_ids(&groups->group[0], 8, 15, "16-23");
    check_ids(&groups->group[1], 0, 7, "8-15");
    char text[4];
    assert_false(uap_cluster_group_ids(&groups->group[0], 4, 11, text, sizeof text));
    uap_cluster_groups_free(groups);
}

static void expect_groups(const machine *m, int32_t n)
{
    uap_cluster_groups *groups = groups_of(m, 0);
    assert_i64(groups->n, n);
    uap_cluster_groups_free(groups);
}

/* One thing at a time tells the last group from the others. */
static void test_everything_counts(void **state)
{
    (void)state;
    machine m;
    uap_layer_time time = {.type = "block", .shape = "t1", .tp = 1, .micro_batch = 1};
    machine_init(&m);
    m.device[2].peak_flops[UAP_FP32] = 4;
    expect_groups(&m, 2);
    machine_init(&m);
    m.device[2].efficiency = 0.6;
    expect_groups(&m, 2);
    machine_init(&m);
    m.device[2].n_layers = 1;
    m.device[2].layer = &time;
    expect_groups(&m, 2);
    machine_init(&m);
    m.group[2].devices_per_node = 2;
    expect_groups(&m, 2);
    machine_init(&m);
    m.group[2].nodes = 7; /* a number of nodes is no difference */
    expect_groups(&m, 1);
    machine_init(&m);
    m.collective[2] =
        m.collective[0]; /* the same entry again, as its own: no difference */
    m.collective[2].is_of_group = true;
    m.collective[2].group = 2;
    m.cluster.n_collectives = 3;
    expect_groups(&m, 1);
    m.collective[2].bandwidth_Bps = 99;
    expect_groups(&m, 2);
}

/* A slow link between two groups: these are not one, but each may be one with a third. */
static void test_links_outside_count(void **state)
{
    (void)state;
    machine m;
    machine_init(&m);
    m.p2p[3] = m.p2p[2];
    m.p2p[3].bandwidth_Bps = 5;
    m.p2p[3].is_between = true;
    m.p2p[3].from = 0;
    m.p2p[3].to = 1;
    m.cluster.n_p2p = 4;
    m.cluster.n_groups = 2;
    expect_groups(&m, 2);
    /* 0 and 2 are joined as far as they themselves go, but 1 is nearer to 2 than to 0. */
    m.cluster.n_groups = 3;
    expect_groups(&m, 3);
    /* With the same slow link from 2 they are. */
    m.p2p[4] = m.p2p[3];
    m.p2p[4].from = 1;
    m.p2p[4].to = 2;
    m.cluster.n_p2p = 5;
    expect_groups(&m, 2);
}

static void test_the_first_devices(void **state)
{
    (void)state;
    machine m;
    machine_init(&m);
    m.device[2].memory_bytes = 999;
    m.device[1].memory_bytes = 998;
    uap_cluster_groups *groups = groups_of(&m, 11);
    assert_i64(groups->n, 2);
    assert_i64(groups->group[1].devices, 3);
    assert_i64(groups->group[1].view.group[0].nodes, 1);
    check_ids(&groups->group[1], 0, 2, "8-10");
    uap_cluster_groups_free(groups);
    groups = groups_of(&m, 8);
    assert_i64(groups->n, 1);
    uap_cluster_groups_free(groups);
}

/* An entry of a group's own hides those for all of the same span, and only for it. */
static void test_own_entries_come_first(void **state)
{
    (void)state;
    machine m;
    machine_init(&m);
    m.collective[2] = (uap_collective){.kind = UAP_ALL_GATHER,
                                       .size = 4,
                                       .stride = 1,
                                       .latency_s = 3,
                                       .bandwidth_Bps = 50,
                                       .is_of_group = true,
                                       .group = 1};
    m.cluster.n_collectives = 3;
    m.p2p[3] = (uap_p2p){.span = UAP_SPAN_CLUSTER,
                         .latency_s = 7,
                         .bandwidth_Bps = 20,
                         .is_between = true,
                         .from = 1,
                         .to = 1};
    m.cluster.n_p2p = 4;
    m.cluster.n_groups = 2;
    uap_cluster_groups *groups = groups_of(&m, 0);
    const uap_cluster *other = &groups->group[0].view, *own = &groups->group[1].view;
    uap_link link = uap_cluster_group_link(other, UAP_ALL_GATHER, 2, 1, UAP_SPAN_NODE);
    assert_false(link.assumed);
    assert_close(link.bandwidth_Bps, 100, 0, 0);
    link = uap_cluster_group_link(own, UAP_ALL_GATHER, 4, 1, UAP_SPAN_NODE);
    assert_close(link.latency_s, 3, 0, 0);
    link = uap_cluster_group_link(own, UAP_ALL_GATHER, 2, 1, UAP_SPAN_NODE);
    assert_true(link.assumed); /* from its own, by the rules: 50 x 3/4 of the bus */
    assert_close(link.bandwidth_Bps, 50 * 0.75 / 0.5, 1e-12, 0);
    link = uap_cluster_group_link(own, UAP_ALL_GATHER, 2, 4, UAP_SPAN_CLUSTER);
    assert_close(link.bandwidth_Bps, 40, 0, 0);
    assert_close(uap_cluster_p2p_link(own, UAP_SPAN_CLUSTER, 4).bandwidth_Bps, 20, 0, 0);
    assert_close(uap_cluster_p2p_link(own, UAP_SPAN_NODE, 1).bandwidth_Bps, 100, 0, 0);
    /* Between the two the entries for all hold. */
    assert_close(uap_cluster_between_link(groups, 0, 1, 4).bandwidth_Bps, 10, 0, 0);
    assert_close(uap_cluster_between_link(groups, 1, 0, 1).bandwidth_Bps, 40, 0, 0);
    assert_close(uap_cluster_between_link(groups, 1, 1, 1).bandwidth_Bps, 20, 0, 0);
    uap_cluster_groups_free(groups);
}

/* Each has its own links only: the slower of each figure. */
static void test_without_an_entry_the_slower_counts(void **state)
{
    (void)state;
    machine m;
    machine_init(&m);
    m.cluster.n_groups = 2;
    for (int32_t g = 0; g < 2; g++) {
        m.p2p[1 + g] = (uap_p2p){.span = UAP_SPAN_CLUSTER,
                                 .latency_s = g == 0 ? 2 : 5,
                                 .bandwidth_Bps = g == 0 ? 20 : 30,
                                 .is_between = true,
                                 .from = g,
                                 .to = g};
    }
    uap_cluster_groups *groups = groups_of(&m, 0);
    assert_i64(groups->n, 2);
    const uap_link link = uap_cluster_between_link(groups, 0, 1, 2);
    assert_true(link.assumed);
    assert_close(link.latency_s, 5, 0, 0);
    assert_close(link.bandwidth_Bps, 20, 0, 0);
    uap_cluster_groups_free(groups);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    machine m;
    machine_init(&m);
    m.device[1].memory_bytes = 999;
    for (int64_t allowed = 0;; allowed++) {
        uap_err err = {0};
        uap_cluster_groups *groups = NULL;
        uap_mem_fail_after(allowed);
        const uap_status status = uap_cluster_groups_new(&m.cluster, 0, &groups, &err);
        uap_mem_fail_after(-1);
        if (status == UAP_OK) {
            uap_cluster_groups_free(groups);
            break;
        }
        assert_status(status, UAP_NO_MEMORY, &err);
        assert_i64(uap_mem_outstanding(), 0);
    }
}

/* ---- Files ---------------------------------------------------------------------------------- */

static const char *const text =
    "{\"format\": \"uniap-cluster\", \"version\": 1, \"source\": \"assumed\",\n"
    " \"device_classes\": [{\"name\": \"big\", \"memory_bytes\": 1000, \"peak_flops\": "
    "{},\n"
    "  \"efficiency\": 0.5, \"memory_bandwidth_Bps\": 7}],\n"
    " \"node_groups\": [{\"nodes\": 2, \"devices_per_node\": 4, \"device_class\": "
    "\"big\"},\n"
    "  {\"nodes\": 1, \"devices_per_node\": 2, \"device_class\": \"big\"}],\n"
    " \"collectives\": [{\"kind\": \"all-gather\", \"size\": 2, \"stride\": 1, \"span\": "
    "\"node\",\n"
    "  \"latency_s\": 1e-5, \"bandwidth_Bps\": 1e9, \"group\": 1}],\n"
    " \"p2p\": [{\"span\": \"cluster\", \"latency_s\": 1e-4, \"bandwidth_Bps\": 1e8,\n"
    "  \"groups\": [1, 0]}],\n"
    " \"overlap\": {\"compute_slowdown\": 1.1, \"communication_slowdown\": 1.2}}";

static void write_text(const char *content, char path[64])
{
    (void)snprintf(path, 64, "/tmp/uniap-groups-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, content, strlen(content)) == (ssize_t)strlen(content));
    (void)close(fd);
}

static void check_read(const uap_cluster *cluster)
{
    assert_true(cluster->collective[0].is_of_group);
    assert_i64(cluster->collective[0].group, 1);
    assert_true(cluster->p2p[0].is_between);
    assert_i64(cluster->p2p[0].from, 1);
    assert_i64(cluster->p2p[0].to, 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    char path[64], again[64];
    uap_err err = {0};
    uap_cluster *cluster = NULL, *copy = NULL;
    write_text(text, path);
    write_text("", again);
    assert_ok(uap_cluster_load(path, &cluster, &err), &err);
    check_read(cluster);
    assert_ok(uap_cluster_save(cluster, again, &err), &err);
    assert_ok(uap_cluster_load(again, &copy, &err), &err);
    check_read(copy);
    uap_cluster_free(cluster);
    uap_cluster_free(copy);
    (void)unlink(path);
    (void)unlink(again);
}

static void test_bad_files_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *find, *replace, *expected;
    } bad[] = {
        {"\"group\": 1", "\"group\": 2", ":7:"},
        {"\"group\": 1", "\"group\": -1", "group"},
        {"\"group\": 1", "\"group\": \"big\"", "group"},
        {"[1, 0]", "[1]", "two numbers"},
        {"[1, 0]", "[1, 2]", ":9:"},
        {"[1, 0]", "1", "two numbers"},
        {"\"span\": \"cluster\"", "\"span\": \"node\"", "a node belongs to one"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char path[64], edited[2048];
        uap_cluster *cluster = NULL;
        uap_err err = {0};
        const char *at = strstr(text, bad[i].find);
        assert_non_null(at);
        (void)snprintf(edited, sizeof edited, "%.*s%s%s", (int)(at - text), text,
                       bad[i].replace, at + strlen(bad[i].find));
        write_text(edited, path);
        assert_status(uap_cluster_load(path, &cluster, &err), UAP_BAD_INPUT, &err);
        if (strstr(err.msg, bad[i].expected) == NULL || strstr(err.msg, path) == NULL) {
            fail_msg("edit %zu: \"%s\" lacks \"%s\"", i, err.msg, bad[i].expected);
        }
        (void)unlink(path);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_nothing_tells_apart_is_joined),
        cmocka_unit_test(test_unlike_classes_stay_apart),
        cmocka_unit_test(test_everything_counts),
        cmocka_unit_test(test_links_outside_count),
        cmocka_unit_test(test_the_first_devices),
        cmocka_unit_test(test_own_entries_come_first),
        cmocka_unit_test(test_without_an_entry_the_slower_counts),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bad_files_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
