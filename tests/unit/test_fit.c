/* Medians, spreads and the fitted line, against numbers worked by hand and a brute force. */
#include "unit/check.h"

#include "profile/fit.h"

#define POINT(b, s)                                                                      \
    {                                                                                    \
        .bytes = (b), .seconds = (s)                                                     \
    }

static void test_median_and_spread(void **state)
{
    double odd[] = {5, 1, 100}, even[] = {4, 1, 3, 2}, spread[] = {1, 2, 3, 4, 100};
    (void)state;
    assert_close(uap_median(odd, 3), 5, 0, 0);
    assert_close(uap_median(even, 4), 2.5, 0, 0);
    assert_close(uap_mad(spread, 5, 3), 1, 0, 0); /* 2 1 0 1 97 */
    assert_true(isnan(uap_median(odd, 0)));
}

static double largest(uap_line line, const uap_point *point, int32_t n)
{
    const uap_pieces none = {0};
    return uap_fit_residuals(line, &none, point, n).largest;
}

static void test_exact_line(void **state)
{
    uap_point point[6];
    (void)state;
    for (int i = 0; i < 6; i++) {
        const double bytes = 1024 * pow(8, i);
        point[i] = (uap_point)POINT(bytes, 20e-6 + bytes / 12.5e9);
    }
    const uap_line line = uap_fit_line(point, 6);
    assert_close(line.latency_s, 20e-6, 1e-9, 0);
    assert_close(line.bandwidth_Bps, 12.5e9, 1e-9, 0);
    assert_close(largest(line, point, 6), 0, 0, 1e-9);
}

/* A time 10 % off at 1 GB must not spoil the latency, as it does with absolute errors. */
static void test_weights_are_relative(void **state)
{
    const uap_point point[] = {POINT(1e3, 10e-6 + 1e-6), POINT(1e4, 10e-6 + 10e-6),
                               POINT(1e9, 1.1 * (10e-6 + 1))};
    (void)state;
    const uap_line line = uap_fit_line(point, 3);
    assert_close(line.latency_s, 10e-6, 0.1, 0);
    assert_true(largest(line, point, 3) < 0.1);
}

static double error_sum(double latency, double per_byte, const uap_point *point, int n)
{
    double sum = 0;
    for (int i = 0; i < n; i++) {
        const double e = (latency + point[i].bytes * per_byte) / point[i].seconds - 1;
        sum += e * e;
    }
    return sum;
}

static void test_no_better_line_nearby(void **state)
{
    const uap_point point[] = {POINT(100, 3e-6), POINT(1e3, 4e-6), POINT(1e4, 9e-6),
                               POINT(1e5, 7e-5), POINT(1e6, 9e-4), POINT(1e7, 8e-3)};
    (void)state;
    const uap_line line = uap_fit_line(point, 6);
    const double best = error_sum(line.latency_s, 1 / line.bandwidth_Bps, point, 6);
    assert_true(line.latency_s > 0);
    for (int i = -5; i <= 5; i++) {
        for (int j = -5; j <= 5; j++) {
            const double latency = line.latency_s * (1 + 0.02 * i);
            const double per_byte = (1 + 0.02 * j) / line.bandwidth_Bps;
            assert_true(error_sum(latency, per_byte, point, 6) >= best * (1 - 1e-12));
        }
    }
}

static void test_latency_is_never_negative(void **state)
{
    const uap_point point[] = {POINT(1e3, 1e-7), POINT(1e6, 3e-4), POINT(1e7, 3.5e-3)};
    (void)state;
    const uap_line line = uap_fit_line(point, 3);
    assert_close(line.latency_s, 0, 0, 0);
    assert_true(line.bandwidth_Bps > 0);
}

static void test_odd_sweeps(void **state)
{
    const uap_point falling[] = {POINT(1e3, 1e-3), POINT(1e6, 1e-4)};
    const uap_point one[] = {POINT(1e6, 1e-3)};
    const uap_point same[] = {POINT(1e6, 1e-3), POINT(1e6, 1.1e-3)};
    const uap_point useless[] = {POINT(0, 1), POINT(1, 0), POINT((double)NAN, 1),
                                 POINT(1, HUGE_VAL)};
    const uap_point mixed[] = {POINT(1e6, 1e-3), POINT(0, 1), POINT(1, 0)};
    (void)state;
    assert_close(uap_fit_line(falling, 2).bandwidth_Bps, 1e10, 1e-9, 0);
    assert_close(uap_fit_line(one, 1).bandwidth_Bps, 1e9, 1e-9, 0);
    assert_close(uap_fit_line(same, 2).bandwidth_Bps, 1e9, 0.1, 0);
    assert_close(uap_fit_line(useless, 4).bandwidth_Bps, 0, 0, 0);
    assert_close(uap_fit_line(mixed, 3).bandwidth_Bps, 1e9, 1e-9, 0);
    assert_close(uap_fit_line(NULL, 0).bandwidth_Bps, 0, 0, 0);
}

/* Times of two protocols, the second from `at` bytes on. */
static double two_protocols(double bytes, double at)
{
    return bytes < at ? 1e-6 + bytes / 4e9 : 6e-6 + bytes / 10e9;
}

/* Sizes 1 KiB x factor^i. */
static int32_t sweep_of(uap_point *point, int32_t n, double factor, double at)
{
    for (int32_t i = 0; i < n; i++) {
        const double bytes = 1024 * pow(factor, i);
        point[i] = (uap_point)POINT(bytes, two_protocols(bytes, at));
    }
    return n;
}

/* A number in -1 to 1 that differs from point to point. */
static double wobble(int32_t i)
{
    return sin(12.9898 * (i + 1) * (i + 1));
}

static void test_one_line_has_no_pieces(void **state)
{
    uap_point point[19];
    uap_pieces pieces;
    (void)state;
    const int32_t n = sweep_of(point, 19, 2, 1);
    for (int32_t i = 0; i < n; i++) {
        point[i].seconds *= 1 + 0.02 * wobble(i); /* noise is not a protocol */
    }
    const uap_line line = uap_fit_pieces(point, n, &pieces);
    assert_i64(pieces.n, 0);
    assert_close(line.latency_s, 6e-6, 0.03, 0);
    assert_close(line.bandwidth_Bps, 10e9, 0.03, 0);
}

/* Wherever the switch lies it is found between the two sizes around it, and both lines come
 * out, with noise too. */
static void test_switch_is_found(void **state)
{
    (void)state;
    for (int32_t k = 3; k <= 14; k++) {
        const double at = 1024 * pow(2, k) * 0.9; /* points 0 to k - 1 lie before it */
        for (int32_t noisy = 0; noisy < 2; noisy++) {
            uap_point point[18];
            uap_pieces pieces;
            const int32_t n = sweep_of(point, 18, 2, at);
            for (int32_t i = 0; i < n; i++) {
                point[i].seconds *= 1 + 0.01 * noisy * wobble(i);
            }
            const uap_line line = uap_fit_pieces(point, n, &pieces);
            assert_i64(pieces.n, 2);
            assert_close(pieces.piece[0].from_bytes, 0, 0, 0);
            assert_close(pieces.piece[1].from_bytes, 1024 * pow(2, k - 0.5), 1e-9, 0);
            assert_close(pieces.piece[0].latency_s, 1e-6, noisy ? 0.1 : 1e-9, 0);
            assert_close(pieces.piece[1].bandwidth_Bps, 10e9, noisy ? 0.02 : 1e-9, 0);
            const uap_residuals left = uap_fit_residuals(line, &pieces, point, n);
            assert_true(left.largest < 0.02 && left.median <= left.largest);
            const uap_pieces none = {0};
            assert_true(uap_fit_residuals(line, &none, point, n).largest > 0.1);
        }
    }
}

static void test_two_switches_are_found(void **state)
{
    uap_point point[16];
    uap_pieces pieces;
    (void)state;
    for (int32_t i = 0; i < 16; i++) {
        const double bytes = 1024 * pow(2, i);
        const double seconds = i < 5    ? 1e-6 + bytes / 2e9
                               : i < 10 ? 20e-6 + bytes / 5e9
                                        : 200e-6 + bytes / 20e9;
        point[i] = (uap_point)POINT(bytes, seconds);
    }
    (void)uap_fit_pieces(point, 16, &pieces);
    assert_i64(pieces.n, 3);
    assert_close(pieces.piece[1].from_bytes, 1024 * pow(2, 4.5), 1e-9, 0);
    assert_close(pieces.piece[2].from_bytes, 1024 * pow(2, 9.5), 1e-9, 0);
    assert_close(pieces.piece[2].latency_s, 200e-6, 1e-9, 0);
    assert_close(pieces.piece[2].bandwidth_Bps, 20e9, 1e-9, 0);
}

/* One point that a busy machine held up neither bends the line nor makes a piece. */
static void test_odd_point_is_ignored(void **state)
{
    (void)state;
    for (int32_t odd = 0; odd < 15; odd++) {
        uap_point point[15];
        uap_pieces pieces;
        const int32_t n = sweep_of(point, 15, 2, 1);
        point[odd].seconds *= 4;
        const uap_line line = uap_fit_pieces(point, n, &pieces);
        assert_i64(pieces.n, 0);
        assert_close(line.latency_s, 6e-6, 1e-6, 0);
        assert_close(line.bandwidth_Bps, 10e9, 1e-6, 0);
    }
}

/* A plateau, too few points, useless ones: still a line that is one. */
static void test_pieces_of_odd_sweeps(void **state)
{
    uap_point flat[6];
    const uap_point useless[] = {POINT(0, 1), POINT(1, 0), POINT((double)NAN, 1)};
    const uap_point two[] = {POINT(1e3, 2e-6), POINT(1e6, 101e-6)};
    uap_pieces pieces;
    (void)state;
    for (int32_t i = 0; i < 6; i++) {
        flat[i] = (uap_point)POINT(1024 * pow(2, i), 5e-6);
    }
    const uap_line line = uap_fit_pieces(flat, 6, &pieces);
    assert_i64(pieces.n, 0);
    assert_close(line.latency_s, 5e-6, 1e-9, 0);
    assert_true(line.bandwidth_Bps > 1e9 && isfinite(line.bandwidth_Bps));
    assert_close(uap_fit_pieces(useless, 3, &pieces).bandwidth_Bps, 0, 0, 0);
    assert_i64(pieces.n, 0);
    assert_close(uap_fit_pieces(two, 2, &pieces).bandwidth_Bps, 999e3 / 99e-6, 1e-9, 0);
    assert_close(uap_fit_residuals(line, &pieces, useless, 3).largest, 0, 0, 0);
}

/* ---- Sizes between ---------------------------------------------------------------------- */

/* Transports that were met, as seconds of bytes. */
static double jump_s(double bytes) /* another protocol from 5,000 bytes on */
{
    return bytes < 5e3 ? 2e-6 + bytes / 4e9 : 9e-6 + bytes / 12e9;
}

static double ramp_s(
    double bytes) /* outgrows a cache from 4 to 8 MiB: five times as slow */
{
    const double octaves = fmin(fmax(log2(bytes / 4194304), 0), 1);
    return 1e-6 + bytes / 16e9 * pow(5, octaves);
}

static double last_s(double bytes) /* buffers mapped anew for each call from 32 MiB on */
{
    return bytes < 33554432 ? 3e-6 + bytes / 2.4e9 : 3e-6 + bytes / 1.25e9;
}

static double plain_s(double bytes)
{
    return 5e-6 + bytes / 10e9;
}

/* Fits 1 KiB to 32 MiB by factors of 2 and asks for further sizes; the largest error at sizes
 * between, and how many were asked for. */
static double error_between(double (*seconds)(double), double noise, int *asked,
                            double *median)
{
    uap_point point[40];
    uap_pieces pieces;
    double error[15];
    int32_t n = 0;
    for (double bytes = 1024; bytes <= 33554432; bytes *= 2) {
        const double wobble = n % 2 == 0 ? 1 + noise : 1 - noise;
        point[n++] = (uap_point)POINT(bytes, seconds(bytes) * wobble);
    }
    uap_line line = uap_fit_pieces(point, n, &pieces);
    double bytes = uap_fit_doubt(line, &pieces, point, n);
    for (*asked = 0; bytes > 0 && *asked < 12; ++*asked) {
        int32_t at = n++;
        for (; at > 0 && point[at - 1].bytes > bytes; at--) {
            point[at] = point[at - 1];
        }
        point[at] = (uap_point)POINT(bytes, seconds(bytes));
        line = uap_fit_pieces(point, n, &pieces);
        bytes = uap_fit_doubt(line, &pieces, point, n);
    }
    for (int i = 0; i < 15; i++) {
        const uap_point between = POINT(1536 * pow(2, i), seconds(1536 * pow(2, i)));
        error[i] = uap_fit_residuals(line, &pieces, &between, 1).largest;
    }
    *median = uap_median(error, 15); /* sorts */
    return error[14];
}

static void test_sizes_between(void **state)
{
    double median = 0;
    int asked = 0;
    (void)state;
    assert_true(error_between(plain_s, 0.02, &asked, &median) < 0.03);
    assert_i64(asked, 0);
    assert_true(error_between(jump_s, 0, &asked, &median) < 0.05);
    assert_true(asked > 0 && asked <= 6);
    assert_true(error_between(ramp_s, 0, &asked, &median) < 0.2);
    assert_true(asked <= 12 && median < 0.03);
    assert_true(error_between(last_s, 0, &asked, &median) < 0.05);
    assert_true(asked <= 6);
}

/* A time of which its own spread says that it is no better known asks for nothing. */
static void test_noise_is_no_doubt(void **state)
{
    uap_point point[16];
    uap_pieces pieces;
    (void)state;
    for (int i = 0; i < 16; i++) {
        const double bytes = 1024 * pow(2, i);
        point[i] = (uap_point)POINT(bytes, plain_s(bytes) * (i == 9 ? 4 : 1));
    }
    const uap_line line = uap_fit_pieces(point, 16, &pieces);
    assert_true(uap_fit_doubt(line, &pieces, point, 16) > 0);
    point[9].mad_s = 0.5 * point[9].seconds;
    assert_true(!(uap_fit_doubt(line, &pieces, point, 16) > 0));
    assert_true(!(uap_fit_doubt(line, &pieces, point, 1) > 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_median_and_spread),
        cmocka_unit_test(test_exact_line),
        cmocka_unit_test(test_weights_are_relative),
        cmocka_unit_test(test_no_better_line_nearby),
        cmocka_unit_test(test_latency_is_never_negative),
        cmocka_unit_test(test_odd_sweeps),
        cmocka_unit_test(test_one_line_has_no_pieces),
        cmocka_unit_test(test_switch_is_found),
        cmocka_unit_test(test_two_switches_are_found),
        cmocka_unit_test(test_odd_point_is_ignored),
        cmocka_unit_test(test_pieces_of_odd_sweeps),
        cmocka_unit_test(test_sizes_between),
        cmocka_unit_test(test_noise_is_no_doubt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
