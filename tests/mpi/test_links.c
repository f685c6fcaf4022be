/* Group shapes, sweeps of collectives and pairs, overlap. Times are only checked for what
 * must hold on any machine, however busy. */
#include "mpi/ranks.h"

#include "common/numbers.h"
#include "profile/links.h"

#include <string.h>

static const uap_sweep small_sweep = {.min_bytes = 1024,
                                      .max_bytes = 65536,
                                      .factor = 8,
                                      .point_s = 1e-3,
                                      .min_iterations = 2,
                                      .max_iterations = 5};

static bool has_shape(const uap_group_shape *shape, int32_t n, int32_t size,
                      int32_t stride)
{
    for (int32_t i = 0; i < n; i++) {
        if (shape[i].size == size && shape[i].stride == stride) {
            return true;
        }
    }
    return false;
}

static void test_shapes(void **state)
{
    uap_group_shape shape[UAP_GROUP_SHAPES_MAX];
    (void)state;
    assert_all(uap_group_shapes(1, 1, shape) == 0);
    assert_all(uap_group_shapes(5, 5, shape) == 1 && has_shape(shape, 1, 5, 1));
    assert_all(uap_group_shapes(6, 6, shape) == 5);
    assert_all(has_shape(shape, 5, 2, 1) && has_shape(shape, 5, 2, 3) &&
               has_shape(shape, 5, 3, 1) && has_shape(shape, 5, 3, 2) &&
               has_shape(shape, 5, 6, 1));
    /* Large partitions: not every stride, but the ends and whole nodes. */
    const int32_t n = uap_group_shapes(16384, 8, shape);
    bool legal = n > 0 && n <= 64;
    for (int32_t i = 0; i < n; i++) {
        legal = legal && 16384 % (shape[i].size * shape[i].stride) == 0;
    }
    assert_all(legal);
    assert_all(has_shape(shape, n, 8, 1) && has_shape(shape, n, 2048, 8) &&
               has_shape(shape, n, 2, 8192) && has_shape(shape, n, 16384, 1));
}

/* What must hold of any measured sweep; also the same on every rank. */
static bool is_plausible(const uap_point *point, int32_t n, double latency_s,
                         double bandwidth_Bps)
{
    uap_err err = {0};
    double own[3] = {latency_s, bandwidth_Bps, 0}, other[3];
    bool good =
        n == uap_sweep_points(&small_sweep) && latency_s >= 0 && bandwidth_Bps > 0;
    for (int32_t i = 0; i < n; i++) {
        good =
            good && point[i].bytes > 0 && point[i].seconds > 0 && point[i].seconds < 10;
        good = good && (i == 0 || point[i].bytes > point[i - 1].bytes);
        own[2] += point[i].seconds;
    }
    memcpy(other, own, sizeof other);
    good &= uap_comm_bcast(ranks_comm, other, sizeof other, 0, &err) == UAP_OK;
    return good && memcmp(own, other, sizeof own) == 0;
}

static void test_collectives(void **state)
{
    uap_group_shape shape[UAP_GROUP_SHAPES_MAX];
    const int32_t size = uap_comm_size(ranks_comm);
    const int32_t n = uap_group_shapes(size, uap_comm_node_size(ranks_comm), shape);
    uap_err err = {0};
    uap_links *links = NULL;
    (void)state;
    assert_i64(uap_sweep_points(&small_sweep), 3);
    assert_all(uap_links_new(ranks_comm, &small_sweep, &links, &err) == UAP_OK);
    for (int32_t i = 0; i < n; i++) {
        for (int kind = 0; kind < UAP_COLLECTIVE_COUNT; kind++) {
            uap_collective out;
            const bool contended = kind % 2 == 0;
            const uap_status rc = uap_links_collective(links, (uap_collective_kind)kind,
                                                       shape[i], contended, &out, &err);
            const bool good =
                is_plausible(out.point, out.n_points, out.latency_s, out.bandwidth_Bps);
            const bool same = (int)out.kind == kind && out.size == shape[i].size &&
                              out.stride == shape[i].stride && out.contended == contended;
            /* Blocks are whole for every rank of the group. */
            const bool divides = kind == UAP_ALL_REDUCE ||
                                 (int64_t)out.point[0].bytes % (4 * shape[i].size) == 0;
            uap_free(out.point);
            assert_all(rc == UAP_OK && good && same && divides);
        }
    }
    uap_links_free(links);
}

/* A sweep that may end early has all of its sizes, or one last that is far beyond the others. */
static void test_early_end(void **state)
{
    const uap_sweep sweep = {.min_bytes = 1024,
                             .max_bytes = 4194304,
                             .factor = 2,
                             .settle_bytes = 1024,
                             .point_s = 2e-3,
                             .min_iterations = 2,
                             .max_iterations = 9};
    const int32_t all = uap_sweep_points(&sweep);
    uap_err err = {0};
    uap_links *links = NULL;
    uap_p2p out;
    (void)state;
    if (uap_comm_size(ranks_comm) == 1) {
        skip();
    }
    assert_all(uap_links_new(ranks_comm, &sweep, &links, &err) == UAP_OK);
    const uap_status rc = uap_links_p2p(links, 1, true, &out, &err);
    bool good = rc == UAP_OK && out.n_points >= 6 && out.n_points <= all;
    for (int32_t i = 1; i < out.n_points && good; i++) {
        const double ratio = out.point[i].bytes / out.point[i - 1].bytes;
        const bool is_last = i + 1 == out.n_points;
        good = ratio > 1.9 && (ratio < 2.1 || (is_last && ratio < 16.1)) &&
               out.point[i].seconds > 0;
    }
    if (good && out.n_points < all) {
        const double last = out.point[out.n_points - 1].bytes;
        good = last > 8 * out.point[out.n_points - 2].bytes || last > sweep.max_bytes - 1;
    }
    uap_free(out.point);
    uap_links_free(links);
    assert_all(good);
}

static void test_pairs(void **state)
{
    const int32_t size = uap_comm_size(ranks_comm);
    uap_err err = {0};
    uap_links *links = NULL;
    (void)state;
    assert_all(uap_links_new(ranks_comm, &small_sweep, &links, &err) == UAP_OK);
    for (int32_t distance = 1; distance < size; distance++) {
        uap_p2p out;
        const uap_status rc =
            uap_links_p2p(links, distance, distance % 2 == 0, &out, &err);
        const bool good =
            is_plausible(out.point, out.n_points, out.latency_s, out.bandwidth_Bps);
        uap_free(out.point);
        assert_all(rc == UAP_OK && good);
    }
    uap_links_free(links);
}

static void test_refusals(void **state)
{
    const int32_t size = uap_comm_size(ranks_comm);
    const uap_group_shape bad[] = {{1, 1}, {size + 1, 1}, {2, size}, {0, 1}, {2, 0}};
    uap_err err = {0};
    uap_links *links = NULL;
    uap_p2p pair;
    (void)state;
    assert_all(uap_links_new(ranks_comm, &small_sweep, &links, &err) == UAP_OK);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uap_collective out;
        uap_err_clear(&err);
        assert_all(uap_links_collective(links, UAP_ALL_REDUCE, bad[i], true, &out,
                                        &err) == UAP_BAD_USAGE);
        assert_all(out.point == NULL);
    }
    uap_err_clear(&err);
    assert_all(uap_links_p2p(links, size, false, &pair, &err) == UAP_BAD_USAGE);
    assert_all(uap_links_p2p(links, 0, false, &pair, &err) == UAP_BAD_USAGE);
    uap_links_free(links);
}

static void test_overlap(void **state)
{
    uap_err err = {0};
    uap_links *links = NULL;
    uap_device *device = NULL;
    double compute = 0, communication = 0;
    (void)state;
    assert_all(uap_device_open(UAP_BACKEND_CPU, 0, &device, &err) == UAP_OK);
    assert_all(uap_links_new(ranks_comm, &small_sweep, &links, &err) == UAP_OK);
    assert_all(uap_links_overlap(links, device, 3, &compute, &communication, &err) ==
               UAP_OK);
    assert_all(compute >= 1 && isfinite(compute));
    assert_all(communication >= 1 && isfinite(communication));
    if (uap_comm_size(ranks_comm) == 1) {
        assert_all(compute <= 1 && communication <= 1);
    }
    uap_links_free(links);
    uap_device_close(device);
}

/* A sweep without time takes few sizes, over all of its range but the last factor of 64, and none
 * besides. */
static void test_no_time(void **state)
{
    const uap_sweep sweep = {.min_bytes = 1024,
                             .max_bytes = 1048576,
                             .factor = 2,
                             .point_s = 1e-3,
                             .min_iterations = 2,
                             .max_iterations = 3,
                             .doubts = 9,
                             .allow_s = 1e-9};
    uap_err err = {0};
    uap_links *links = NULL;
    uap_p2p p2p = {0};
    (void)state;
    if (uap_comm_size(ranks_comm) == 1) {
        skip();
    }
    assert_all(uap_links_new(ranks_comm, &sweep, &links, &err) == UAP_OK);
    const uap_status rc = uap_links_p2p(links, 1, false, &p2p, &err);
    bool good = rc == UAP_OK && p2p.n_points == 2;
    for (int32_t i = 0; i < p2p.n_points; i++) {
        const double expected = i == 0 ? 1024 : 65536;
        good = good && p2p.point[i].bytes == expected && p2p.point[i].seconds > 0;
    }
    uap_free(p2p.point);
    uap_links_free(links);
    assert_all(good && p2p.bandwidth_Bps > 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),    cmocka_unit_test(test_collectives),
        cmocka_unit_test(test_early_end), cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_refusals),  cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_no_time),
    };
    return RANKS_MAIN(&argc, &argv, tests);
}
