/* Cluster profiles: the shipped ones, a round trip, lookups against numbers worked by hand,
 * and what is said about files that are wrong. */
#include "check.h"

#include "configs/cluster.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CLUSTERS UAP_SOURCE_DIR "/configs/clusters/"

static uap_cluster *load(const char *path)
{
    uap_cluster *cluster = NULL;
    uap_err err = {0};
    assert_ok(uap_cluster_load(path, &cluster, &err), &err);
    return cluster;
}

static void write_text(const char *text, char path[64])
{
    (void)snprintf(path, 64, "/tmp/uap_cluster_XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_true(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    assert_int_equal(close(fd), 0);
}

/* ---- The shipped files --------------------------------------------------------------------- */

static void test_every_shipped_file_loads(void **state)
{
    (void)state;
    int files = 0;
    DIR *folder = opendir(CLUSTERS);
    assert_non_null(folder);
    for (const struct dirent *entry = readdir(folder); entry != NULL;
         entry = readdir(folder)) {
        char path[512];
        if (strstr(entry->d_name, ".json") == NULL) {
            continue;
        }
        (void)snprintf(path, sizeof path, CLUSTERS "%s", entry->d_name);
        uap_cluster *cluster = load(path);
        if (strncmp(entry->d_name + 1, "100-", 4) == 0) {
            const int64_t devices = strtoll(entry->d_name + 5, NULL, 10);
            assert_i64(uap_cluster_devices(cluster), devices);
            assert_i64(uap_cluster_node_size(cluster), 8);
            assert_true(cluster->source == UAP_DATASHEET);
        } else if (strncmp(entry->d_name, "mix-", 4) == 0) {
            assert_i64(uap_cluster_devices(cluster), 48);
            assert_true(cluster->source == UAP_DATASHEET);
        } else {
            assert_true(cluster->source == UAP_ASSUMED);
        }
        assert_non_null(cluster->provenance);
        files++;
        uap_cluster_free(cluster);
    }
    (void)closedir(folder);
    assert_i64(files, 5 + 2 * 15 + 2);
}

static void test_the_papers_environments(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int32_t nodes, per_node;
        double memory_gib;
    } expected[] = {{"env-a", 1, 8, 32},
                    {"env-b", 2, 4, 12},
                    {"env-c", 1, 8, 40},
                    {"env-d", 4, 4, 12},
                    {"env-e", 8, 4, 16}};
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        char path[512];
        (void)snprintf(path, sizeof path, CLUSTERS "%s.json", expected[i].name);
        uap_cluster *cluster = load(path);
        assert_string_equal(cluster->name, expected[i].name);
        assert_i64(cluster->group[0].nodes, expected[i].nodes);
        assert_i64(cluster->group[0].devices_per_node, expected[i].per_node);
        assert_close((double)cluster->device_class[0].memory_bytes / 1073741824.0,
                     expected[i].memory_gib, 0.03, 0.0);
        uap_cluster_free(cluster);
    }
}

/* ---- Round trip ------------------------------------------------------------------------------ */

static const char *const full_text =
    "{\"format\": \"uniap-cluster\", \"version\": 1, \"name\": \"two\", \"source\": "
    "\"measured\",\n"
    " \"provenance\": {\"when\": \"2026\", \"ranks\": [1, true, null]},\n"
    " \"device_classes\": [{\"name\": \"big\", \"memory_bytes\": 1000, \"peak_flops\": "
    "{\"bf16\": 5}, \"efficiency\": 0.5, \"memory_bandwidth_Bps\": 7,\n"
    "  \"layers\": [{\"type\": \"block\", \"shape\": \"t1\", \"tp\": 2, \"micro_batch\": "
    "4, "
    "\"precision\": \"bf16\", \"forward_s\": 0.25, \"backward_s\": 0.5, \"mad_s\": "
    "0.01, \"count\": 60, \"spent_s\": 2}]},\n"
    "  {\"name\": \"small\", \"memory_bytes\": 500, \"peak_flops\": {}, \"efficiency\": "
    "1, "
    "\"memory_bandwidth_Bps\": 0}],\n"
    " \"node_groups\": [{\"nodes\": 2, \"devices_per_node\": 4, \"device_class\": "
    "\"big\"}, "
    "{\"nodes\": 1, \"devices_per_node\": 2, \"device_class\": \"small\"}],\n"
    " \"collectives\": [{\"kind\": \"all-gather\", \"size\": 2, \"stride\": 1, \"span\": "
    "\"node\", \"latency_s\": 1e-5, \"bandwidth_Bps\": 1e9, \"points\": [[8, 1e-5], [16, "
    "2e-5, 1e-7, 30]],\n"
    "  \"pieces\": [[0, 1e-5, 1e9], [4096, 2e-5, 3e9]], \"spent_s\": 1.5}],\n"
    " \"p2p\": [{\"span\": \"cluster\", \"pairs\": 3, \"latency_s\": 1e-4, "
    "\"bandwidth_Bps\": "
    "1e8}],\n"
    " \"overlap\": {\"compute_slowdown\": 1.1, \"communication_slowdown\": 1.2}, "
    "\"exceptions\": [{\"kind\": \"slow-link\", \"again_s\": null}]}";

static void check_full(const uap_cluster *cluster)
{
    assert_string_equal(cluster->name, "two");
    assert_true(cluster->source == UAP_MEASURED);
    assert_non_null(strstr(cluster->provenance, "\"ranks\""));
    assert_non_null(strstr(cluster->exceptions, "\"slow-link\""));
    assert_i64(cluster->n_classes, 2);
    assert_i64(uap_cluster_devices(cluster), 10);
    assert_i64(cluster->group[1].device_class, 1);
    const uap_layer_time *time = &cluster->device_class[0].layer[0];
    assert_string_equal(time->type, "block");
    assert_true(time->precision == UAP_BF16);
    assert_close(time->backward_s, 0.5, 0, 0);
    assert_close(cluster->device_class[0].peak_flops[UAP_BF16], 5, 0, 0);
    assert_i64(cluster->collective[0].n_points, 2);
    assert_close(cluster->collective[0].point[1].seconds, 2e-5, 1e-15, 0);
    assert_i64(cluster->collective[0].point[0].count, 0);
    assert_i64(cluster->collective[0].point[1].count, 30);
    assert_close(cluster->collective[0].point[1].mad_s, 1e-7, 1e-15, 0);
    assert_close(cluster->collective[0].spent_s, 1.5, 0, 0);
    assert_i64(time->count, 60);
    assert_close(time->spent_s, 2, 0, 0);
    const uap_pieces *pieces = &cluster->collective[0].pieces;
    assert_i64(pieces->n, 2);
    assert_close(pieces->piece[1].from_bytes, 4096, 0, 0);
    assert_close(pieces->piece[1].latency_s, 2e-5, 0, 0);
    assert_close(pieces->piece[1].bandwidth_Bps, 3e9, 0, 0);
    assert_i64(cluster->p2p[0].pieces.n, 0);
    assert_i64(cluster->p2p[0].pairs, 3);
    assert_close(cluster->communication_slowdown, 1.2, 1e-15, 0);
}

static void test_round_trip(void **state)
{
    (void)state;
    char path[64], again[64];
    uap_err err = {0};
    write_text(full_text, path);
    write_text("", again);
    uap_cluster *cluster = load(path);
    check_full(cluster);
    assert_ok(uap_cluster_save(cluster, again, &err), &err);
    uap_cluster *copy = load(again);
    check_full(copy);
    uap_cluster_free(cluster);
    uap_cluster_free(copy);
    (void)unlink(path);
    (void)unlink(again);
}

/* ---- Lookups ----------------------------------------------------------------------------------- */

/* Nodes of 4; all-gathers of 2 and 8 ranks inside and outside. */
typedef struct links {
    uap_node_group group;
    uap_collective collective[4];
    uap_p2p p2p[3];
    uap_cluster cluster;
} links;

static void links_init(links *l)
{
    memset(l, 0, sizeof *l);
    l->group = (uap_node_group){.nodes = 16, .devices_per_node = 4};
    l->collective[0] = (uap_collective){.kind = UAP_ALL_GATHER,
                                        .size = 2,
                                        .stride = 1,
                                        .latency_s = 1,
                                        .bandwidth_Bps = 20};
    l->collective[1] = (uap_collective){.kind = UAP_ALL_GATHER,
                                        .size = 4,
                                        .stride = 4,
                                        .span = UAP_SPAN_CLUSTER,
                                        .latency_s = 2,
                                        .bandwidth_Bps = 8};
    l->collective[2] = (uap_collective){.kind = UAP_ALL_GATHER,
                                        .size = 16,
                                        .stride = 4,
                                        .span = UAP_SPAN_CLUSTER,
                                        .latency_s = 4,
                                        .bandwidth_Bps = 4};
    l->collective[3] = l->collective[0];
    l->collective[3].latency_s = 3;
    l->collective[3].contended = true;
    l->p2p[0] = (uap_p2p){.span = UAP_SPAN_CLUSTER, .pairs = 1, .bandwidth_Bps = 100};
    l->p2p[1] = (uap_p2p){.span = UAP_SPAN_CLUSTER, .bandwidth_Bps = 25};
    l->p2p[2] = (uap_p2p){.span = UAP_SPAN_CLUSTER, .pairs = 2, .bandwidth_Bps = 50};
    l->cluster = (uap_cluster){.n_groups = 1,
                               .group = &l->group,
                               .n_collectives = 4,
                               .collective = l->collective,
                               .n_p2p = 3,
                               .p2p = l->p2p};
}

static void test_an_exact_entry_answers_and_contended_wins(void **state)
{
    (void)state;
    links l;
    bool assumed = true;
    links_init(&l);
    const uap_link link =
        uap_cluster_group_link(&l.cluster, UAP_ALL_GATHER, 2, 1, UAP_SPAN_NODE);
    assert_false(link.assumed);
    assert_close(link.latency_s, 3, 0, 0);
    assert_close(uap_link_s(&link, 40), 3 + 40.0 / 20, 1e-15, 0);
    assert_close(uap_link_s(&link, 0), 0, 0, 0);
    assert_close(uap_cluster_collective_s(&l.cluster, UAP_ALL_GATHER, 2, 1, 40, &assumed),
                 5, 1e-15, 0);
    assert_false(assumed);
    assert_close(uap_cluster_collective_s(&l.cluster, UAP_ALL_GATHER, 1, 1, 40, &assumed),
                 0, 0, 0);
}

/* Two lines: which one holds goes by the size, and the first one below its own start too. */
static void test_pieces_answer_by_size(void **state)
{
    (void)state;
    links l;
    links_init(&l);
    for (int i = 0; i < 4; i++) {
        l.collective[i].pieces =
            (uap_pieces){.n = 2, .piece = {{0, 1, 10}, {100, 7, 50}}};
    }
    const uap_link link =
        uap_cluster_group_link(&l.cluster, UAP_ALL_GATHER, 2, 1, UAP_SPAN_NODE);
    assert_close(uap_link_s(&link, 99), 1 + 99.0 / 10, 1e-15, 0);
    assert_close(uap_link_s(&link, 100), 7 + 100.0 / 50, 1e-15, 0);
    assert_close(uap_link_s(&link, 1e6), 7 + 1e6 / 50, 1e-15, 0);
    assert_close(uap_link_s(&link, 0), 0, 0, 0);
    assert_close(uap_link_line(&link, 5).bandwidth_Bps, 10, 0, 0);
}

/* Between sizes 4 and 16, of which only one has pieces: each of its ranges is interpolated with
 * the other's one line, by the rules of lines. */
static void test_pieces_are_interpolated(void **state)
{
    (void)state;
    links l;
    links_init(&l);
    for (int i = 0; i < 4; i++) {
        if (l.collective[i].size == 16) {
            l.collective[i].pieces =
                (uap_pieces){.n = 2, .piece = {{0, 2, 8}, {1000, 4, 4}}};
        }
    }
    const uap_link plain_ends =
        uap_cluster_group_link(&l.cluster, UAP_ALL_GATHER, 8, 4, UAP_SPAN_CLUSTER);
    assert_i64(plain_ends.n_pieces, 2);
    /* From 1000 on the other end is the line that it has in the test above. */
    assert_close(uap_link_line(&plain_ends, 1000).latency_s, 3, 1e-12, 0);
    assert_close(uap_link_line(&plain_ends, 1000).bandwidth_Bps, 4.875 / 0.875, 1e-12, 0);
    /* Before: latency (2 + 2) / 2, bus (8 x 3/4 + 8 x 15/16) / 2 = 6.75. */
    assert_close(uap_link_line(&plain_ends, 999).latency_s, 2, 1e-12, 0);
    assert_close(uap_link_line(&plain_ends, 999).bandwidth_Bps, 6.75 / 0.875, 1e-12, 0);
}

/* 8 ranks, stride 4: x = log 2 / log 4 = 1/2. Bus bandwidth 8 x 3/4 = 6 at 4 ranks and
 * 4 x 15/16 = 3.75 at 16: 4.875 at 8, which is 4.875 / (7/8) = 5.571... of the buffer. */
static void test_sizes_are_interpolated_by_bus_bandwidth(void **state)
{
    (void)state;
    links l;
    links_init(&l);
    uap_link link =
        uap_cluster_group_link(&l.cluster, UAP_ALL_GATHER, 8, 4, UAP_SPAN_CLUSTER);
    assert_true(link.assumed);
    assert_close(link.latency_s, 3, 1e-12, 0);
    assert_close(link.bandwidth_Bps, 4.875 / 0.875, 1e-12, 0);
    /* Stride 8 is not there, 4 is next: the same. */
    link = uap_cluster_group_link(&l.cluster, UAP_ALL_GATHER, 8, 8, UAP_SPAN_CLUSTER);
    assert_close(link.bandwidth_Bps, 4.875 / 0.875, 1e-12, 0);
    /* 256 ranks: bus 3.75 stays, latency 4 x log 256 / log 16 = 8. */
    link = uap_cluster_group_link(&l.cluster, UAP_ALL_GATHER, 256, 4, UAP_SPAN_CLUSTER);
    assert_close(link.latency_s, 8, 1e-12, 0);
    assert_close(link.bandwidth_Bps, 3.75 / (255.0 / 256), 1e-12, 0);
}

/* Bus 20 x 1/2 = 10 for two ranks. All-reduce: 10 / (2 x 1/2) = 10, latency 3 x 2. */
static void test_other_kinds_stand_in(void **state)
{
    (void)state;
    links l;
    links_init(&l);
    const uap_link reduce =
        uap_cluster_group_link(&l.cluster, UAP_ALL_REDUCE, 2, 1, UAP_SPAN_NODE);
    assert_true(reduce.assumed);
    assert_close(reduce.latency_s, 6, 1e-12, 0);
    assert_close(reduce.bandwidth_Bps, 10, 1e-12, 0);
    const uap_link scatter =
        uap_cluster_group_link(&l.cluster, UAP_REDUCE_SCATTER, 2, 1, UAP_SPAN_NODE);
    assert_close(scatter.latency_s, 3, 1e-12, 0);
    assert_close(scatter.bandwidth_Bps, 20, 1e-12, 0);
    /* No entry spans nodes once these two are gone: the node's answers. */
    l.cluster.n_collectives = 1;
    const uap_link far =
        uap_cluster_group_link(&l.cluster, UAP_ALL_GATHER, 2, 8, UAP_SPAN_CLUSTER);
    assert_close(far.bandwidth_Bps, 20, 1e-12, 0);
}

static void test_spans(void **state)
{
    (void)state;
    links l;
    links_init(&l);
    assert_true(uap_cluster_group_span(&l.cluster, 64, 4, 1) == UAP_SPAN_NODE);
    assert_true(uap_cluster_group_span(&l.cluster, 64, 2, 2) == UAP_SPAN_NODE);
    assert_true(uap_cluster_group_span(&l.cluster, 64, 2, 4) == UAP_SPAN_CLUSTER);
    assert_true(uap_cluster_group_span(&l.cluster, 64, 3, 1) == UAP_SPAN_CLUSTER);
    assert_true(uap_cluster_group_span(&l.cluster, 3, 3, 1) == UAP_SPAN_NODE);
}

static void test_pairs_share_a_port(void **state)
{
    (void)state;
    links l;
    bool assumed = true;
    links_init(&l);
    assert_close(uap_cluster_p2p_link(&l.cluster, UAP_SPAN_CLUSTER, 1).bandwidth_Bps, 100,
                 0, 0);
    assert_close(uap_cluster_p2p_link(&l.cluster, UAP_SPAN_CLUSTER, 2).bandwidth_Bps, 50,
                 0, 0);
    assert_close(uap_cluster_p2p_link(&l.cluster, UAP_SPAN_CLUSTER, 4).bandwidth_Bps, 25,
                 0, 0);
    /* Every device at once, 4 ranks away. */
    assert_close(uap_cluster_p2p_s(&l.cluster, 4, 50, &assumed), 2, 1e-15, 0);
    assert_false(assumed);
    /* Without p2p entries: half the buffer of two ranks' all-gather: 20 / 2. */
    l.cluster.n_p2p = 0;
    assert_close(uap_cluster_p2p_link(&l.cluster, UAP_SPAN_NODE, 1).bandwidth_Bps, 10,
                 1e-15, 0);
}

/* ---- Bad files ----------------------------------------------------------------------------------- */

typedef struct bad_file {
    const char *find, *replace; /* one edit of full_text */
    const char *expected;       /* part of the message */
} bad_file;

static const bad_file bad_files[] = {
    {"uniap-cluster", "uniap-plan", "expected \"uniap-cluster\""},
    {"\"version\": 1", "\"version\": 2", "version"},
    {"\"source\": \"measured\"", "\"source\": \"guessed\"", "datasheet"},
    {"\"exceptions\": [", "\"exeptions\": [", "exeptions"},
    {"\"memory_bytes\": 1000", "\"memory_bytes\": 0", "memory_bytes"},
    {"\"memory_bytes\": 1000", "\"memory_bytes\": \"1000\"", "memory_bytes"},
    {"\"efficiency\": 0.5", "\"efficiency\": 1.5", "efficiency"},
    {"\"forward_s\": 0.25", "\"forward_s\": -1", "forward_s"},
    {"\"precision\": \"bf16\"", "\"precision\": \"int8\"", "int8"},
    {"\"device_class\": \"big\"", "\"device_class\": \"huge\"", "huge"},
    {"\"name\": \"small\"", "\"name\": \"big\"", "two device classes"},
    {"\"nodes\": 2", "\"nodes\": 0", "nodes"},
    {"\"kind\": \"all-gather\"", "\"kind\": \"gather\"", "gather"},
    {"\"size\": 2", "\"size\": 1", "size"},
    {"\"bandwidth_Bps\": 1e9", "\"bandwidth_Bps\": 0", "bandwidth_Bps"},
    {"[8, 1e-5]", "[8]", "[bytes, seconds]"},
    {"1e-7, 30]", "1e-7]", "[bytes, seconds]"},
    {"1e-7, 30]", "1e-7, 0]", "integer from 1"},
    {"[[0, 1e-5, 1e9]", "[[1, 1e-5, 1e9]", "expected 0"},
    {"[4096, 2e-5, 3e9]", "[0, 2e-5, 3e9]", "ascend"},
    {"[4096, 2e-5, 3e9]", "[4096, 2e-5]", "[from_bytes"},
    {"[4096, 2e-5, 3e9]", "[4096, 2e-5, 0]", "pieces[1][2]"},
    {"[[0, 1e-5, 1e9], [4096, 2e-5, 3e9]]", "[]", "pieces"},
    {"\"pairs\": 3", "\"pairs\": 0", "pairs"},
    {"\"compute_slowdown\": 1.1", "\"compute_slowdown\": 0.9", "compute_slowdown"},
    {"{\"when\": \"2026\", \"ranks\": [1, true, null]}", "7", "provenance"},
};

static void test_bad_files_are_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        const bad_file *bad = &bad_files[i];
        char path[64], text[4096];
        uap_cluster *cluster = NULL;
        uap_err err = {0};
        const char *at = strstr(full_text, bad->find);
        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - full_text), full_text,
                       bad->replace, at + strlen(bad->find));
        write_text(text, path);
        assert_status(uap_cluster_load(path, &cluster, &err), UAP_BAD_INPUT, &err);
        assert_null(cluster);
        if (strstr(err.msg, bad->expected) == NULL || strstr(err.msg, path) == NULL) {
            fail_msg("edit %zu: \"%s\" lacks \"%s\"", i, err.msg, bad->expected);
        }
        (void)unlink(path);
    }
}

static void test_missing_files_and_memory(void **state)
{
    (void)state;
    char path[64];
    uap_cluster *cluster = NULL;
    uap_err err = {0};
    assert_status(uap_cluster_load("/nonexistent.json", &cluster, &err), UAP_IO, &err);
    write_text(full_text, path);
    for (int64_t allowed = 0;; allowed++) {
        uap_err_clear(&err);
        uap_mem_fail_after(allowed);
        const uap_status status = uap_cluster_load(path, &cluster, &err);
        uap_mem_fail_after(-1);
        if (status == UAP_OK) {
            break;
        }
        assert_status(status, UAP_NO_MEMORY, &err);
        assert_i64(uap_mem_outstanding(), 0);
    }
    uap_cluster_free(cluster);
    (void)unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_shipped_file_loads),
        cmocka_unit_test(test_the_papers_environments),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_an_exact_entry_answers_and_contended_wins),
        cmocka_unit_test(test_pieces_answer_by_size),
        cmocka_unit_test(test_pieces_are_interpolated),
        cmocka_unit_test(test_sizes_are_interpolated_by_bus_bandwidth),
        cmocka_unit_test(test_other_kinds_stand_in),
        cmocka_unit_test(test_spans),
        cmocka_unit_test(test_pairs_share_a_port),
        cmocka_unit_test(test_bad_files_are_named),
        cmocka_unit_test(test_missing_files_and_memory),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
