/* Clusters larger than their profile: node counts alone change. */
#include "check.h"

#include "configs/cluster_groups.h"
#include "configs/cluster_grow.h"

#include <string.h>

typedef struct machine {
    uap_device_class device[2];
    uap_node_group group[2];
    uap_cluster cluster;
} machine;

static void machine_init(machine *m, bool is_mixed)
{
    static char name[] = "bench", first[] = "a", second[] = "b";
    memset(m, 0, sizeof *m);
    m->device[0] = (uap_device_class){.name = first, .memory_bytes = 1000};
    m->device[1] =
        (uap_device_class){.name = second, .memory_bytes = is_mixed ? 2000 : 1000};
    m->group[0] = (uap_node_group){.nodes = 2, .devices_per_node = 4};
    m->group[1] = (uap_node_group){.nodes = 3, .devices_per_node = 4, .device_class = 1};
    m->cluster = (uap_cluster){.name = name,
                               .n_classes = 2,
                               .n_groups = 2,
                               .device_class = m->device,
                               .group = m->group};
}

static void check_nodes(const machine *m, int64_t devices, int32_t first, int32_t second)
{
    uap_cluster grown;
    uap_err err = {0};
    assert_ok(uap_cluster_grow(&m->cluster, devices, &grown, &err), &err);
    assert_int_equal(grown.group[0].nodes, first);
    assert_int_equal(grown.group[1].nodes, second);
    assert_ptr_equal(grown.device_class, m->cluster.device_class);
    assert_int_equal(m->group[0].nodes, 2); /* the profile stays */
    assert_int_equal(m->group[1].nodes, 3);
    uap_cluster_grown_free(&grown);
}

static void alike_nodes(void **state)
{
    machine m;
    (void)state;
    machine_init(&m, false);
    check_nodes(&m, 0, 2, 3);
    check_nodes(&m, 7, 2, 3);
    check_nodes(&m, 20, 2, 3);
    check_nodes(&m, 21, 2, 4); /* the last node may be there in part */
    check_nodes(&m, 64, 2, 14);
}

static void unlike_nodes(void **state)
{
    machine m;
    uap_cluster grown;
    uap_err err = {0};
    (void)state;
    machine_init(&m, true);
    check_nodes(&m, 12, 2, 3);
    check_nodes(&m, 60, 6, 9);
    assert_status(uap_cluster_grow(&m.cluster, 24, &grown, &err), UAP_BAD_USAGE, &err);
    assert_non_null(strstr(err.msg,
                           "24 devices are asked for, cluster \"bench\" has 20 of "
                           "unlike nodes"));
    assert_non_null(strstr(err.msg, "such as 40"));
    uap_cluster_grown_free(&grown); /* zeroed */
}

static void too_many(void **state)
{
    machine m;
    uap_cluster grown;
    uap_err err = {0};
    (void)state;
    machine_init(&m, false);
    assert_status(uap_cluster_grow(&m.cluster, (int64_t)1 << 40, &grown, &err),
                  UAP_BAD_USAGE, &err);
}

static void said_in_one_line(void **state)
{
    machine m;
    char text[UAP_GROWN_TEXT];
    (void)state;
    machine_init(&m, false);
    assert_non_null(strstr(uap_cluster_grown_note(&m.cluster, 64, text),
                           "64 devices are more than the 20 of cluster \"bench\""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(alike_nodes, check_no_leaks),
        cmocka_unit_test_teardown(unlike_nodes, check_no_leaks),
        cmocka_unit_test_teardown(too_many, check_no_leaks),
        cmocka_unit_test_teardown(said_in_one_line, check_no_leaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
