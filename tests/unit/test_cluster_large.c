/* The file of a large machine: as many entries as `uniap profile` writes for 10,000 devices,
 * small and quick to read, because it holds classes and exceptions and not each device. */
#include "unit/check.h"

#include "common/clock.h"
#include "common/json_write.h"
#include "configs/cluster.h"
#include "profile/hostlist.h"
#include "profile/links.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NODES        1250
#define PER_NODE     8
#define N_LAYERS     500 /* of several models, TP degrees, micro-batches */
#define N_POINTS     10
#define N_EXCEPTIONS 200
#define MOST_BYTES   5e6
#define MOST_S       0.1

static uap_point *make_points(void)
{
    uap_point *point = uap_calloc(N_POINTS, sizeof *point);
    assert_non_null(point);
    for (int i = 0; i < N_POINTS; i++) {
        point[i] = (uap_point){.bytes = 1024.0 * (1 << (2 * i)),
                               .seconds = 1e-5 * (1 << i) / 3,
                               .mad_s = 1e-7 / 3,
                               .count = 50};
    }
    return point;
}

static void make_class(uap_cluster *cluster)
{
    cluster->device_class = uap_calloc(1, sizeof *cluster->device_class);
    assert_non_null(cluster->device_class);
    cluster->n_classes = 1;
    uap_device_class *device = cluster->device_class;
    device->name = uap_strdup("a device");
    device->memory_bytes = (int64_t)80 << 30;
    device->efficiency = 0.5;
    device->peak_flops[UAP_BF16] = 9e14;
    device->layer = uap_calloc(N_LAYERS, sizeof *device->layer);
    assert_non_null(device->layer);
    device->n_layers = N_LAYERS;
    for (int i = 0; i < N_LAYERS; i++) {
        uap_layer_time *layer = &device->layer[i];
        (void)snprintf(layer->type, sizeof layer->type, "block");
        (void)snprintf(layer->shape, sizeof layer->shape, "t4096.h%d.a32.kv8.f14336.v0",
                       1024 + i);
        layer->tp = 1;
        layer->micro_batch = 1;
        layer->forward_s = 1e-3 * (i + 1) / 7;
        layer->backward_s = 2e-3 * (i + 1) / 7;
    }
}

/* Every shape that is measured among so many ranks, every kind. */
static void make_collectives(uap_cluster *cluster)
{
    static uap_group_shape shape[UAP_GROUP_SHAPES_MAX];
    const int32_t n = uap_group_shapes(NODES * PER_NODE, PER_NODE, shape);
    cluster->collective =
        uap_calloc((size_t)n * UAP_COLLECTIVE_COUNT, sizeof *cluster->collective);
    assert_non_null(cluster->collective);
    for (int32_t i = 0; i < n; i++) {
        for (int kind = 0; kind < UAP_COLLECTIVE_COUNT; kind++) {
            cluster->collective[cluster->n_collectives++] =
                (uap_collective){.kind = (uap_collective_kind)kind,
                                 .size = shape[i].size,
                                 .stride = shape[i].stride,
                                 .span = UAP_SPAN_CLUSTER,
                                 .latency_s = 1e-5 / 3,
                                 .bandwidth_Bps = 1e10 / 3,
                                 .contended = true,
                                 .n_points = N_POINTS,
                                 .point = make_points()};
        }
    }
}

static char *make_provenance(void)
{
    static char text[NODES][16];
    static const char *name[NODES];
    uap_err err = {0};
    char *hosts = NULL;
    for (int i = 0; i < NODES; i++) {
        (void)snprintf(text[i], sizeof text[i], "gpu-%04d", i + 1);
        name[i] = text[i];
    }
    assert_ok(uap_hostlist_compress(name, NODES, &hosts, &err), &err);
    assert_string_equal(hosts, "gpu-[0001-1250]");
    uap_jout *object = uap_jout_object();
    uap_jset_str(object, "hosts", hosts);
    char *line = uap_jout_text(object);
    uap_jout_free(object);
    uap_free(hosts);
    return line;
}

static char *make_exceptions(void)
{
    uap_jout *array = uap_jout_array();
    for (int i = 0; i < N_EXCEPTIONS; i++) {
        uap_jout *one = uap_jout_object();
        uap_jset_str(one, "kind", "slow-link");
        uap_jset_str(one, "host", "gpu-0001");
        uap_jset_f64(one, "value_s", 1.0 / (i + 3));
        uap_jadd(array, one);
    }
    char *line = uap_jout_text(array);
    uap_jout_free(array);
    return line;
}

static uap_cluster *make_cluster(void)
{
    uap_cluster *cluster = uap_calloc(1, sizeof *cluster);
    assert_non_null(cluster);
    cluster->name = uap_strdup("large");
    cluster->source = UAP_MEASURED;
    cluster->compute_slowdown = cluster->communication_slowdown = 1.1;
    make_class(cluster);
    cluster->group = uap_calloc(1, sizeof *cluster->group);
    assert_non_null(cluster->group);
    cluster->group[0] = (uap_node_group){.nodes = NODES, .devices_per_node = PER_NODE};
    cluster->n_groups = 1;
    make_collectives(cluster);
    cluster->p2p = uap_calloc(1, sizeof *cluster->p2p);
    assert_non_null(cluster->p2p);
    cluster->p2p[0] = (uap_p2p){.span = UAP_SPAN_CLUSTER,
                                .latency_s = 1e-5,
                                .bandwidth_Bps = 1e10,
                                .n_points = N_POINTS,
                                .point = make_points()};
    cluster->n_p2p = 1;
    cluster->provenance = make_provenance();
    cluster->exceptions = make_exceptions();
    return cluster;
}

static void test_size_and_time(void **state)
{
    char path[] = "/tmp/uniap_large_XXXXXX";
    uap_err err = {0};
    uap_cluster *cluster = make_cluster(), *again = NULL;
    struct stat file;
    double best_s = 1;
    (void)state;
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    assert_ok(uap_cluster_save(cluster, path, &err), &err);
    assert_i64(stat(path, &file), 0);
    assert_true((double)file.st_size < MOST_BYTES);
    for (int i = 0; i < 5; i++) {
        const double start = uap_cpu_s();
        assert_ok(uap_cluster_load(path, &again, &err), &err);
        best_s = fmin(best_s, uap_cpu_s() - start);
        assert_i64(uap_cluster_devices(again), NODES * PER_NODE);
        assert_i64(again->n_collectives, cluster->n_collectives);
        assert_string_equal(again->exceptions, cluster->exceptions);
        uap_cluster_free(again);
    }
    (void)unlink(path);
    print_message("%d entries, %.2f MB, read in %.3f CPU s\n",
                  (int)cluster->n_collectives, (double)file.st_size / 1e6, best_s);
    uap_cluster_free(cluster);
    assert_i64(uap_mem_outstanding(), 0);
    const char *scale = getenv("UAP_TIME_SCALE");
    assert_true(best_s < MOST_S * (scale != NULL ? atof(scale) : 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_size_and_time)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
