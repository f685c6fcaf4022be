/* Medians, spreads and the fitted line, against numbers worked by hand and a brute force. */
#include "unit/check.h"

#include "profile/fit.h"

static void test_median_and_spread(void **state)
{
    double odd[] = {5, 1, 100}, even[] = {4, 1, 3, 2}, spread[] = {1, 2, 3, 4, 100};
    (void)state;
    assert_close(uap_median(odd, 3), 5, 0, 0);
    assert_close(uap_median(even, 4), 2.5, 0, 0);
    assert_close(uap_mad(spread, 5, 3), 1, 0, 0); /* 2 1 0 1 97 */
    assert_true(isnan(uap_median(odd, 0)));
}

static void test_exact_line(void **state)
{
    uap_point point[6];
    (void)state;
    for (int i = 0; i < 6; i++) {
        const double bytes = 1024 * pow(8, i);
        point[i] = (uap_point){bytes, 20e-6 + bytes / 12.5e9};
    }
    const uap_line line = uap_fit_line(point, 6);
    assert_close(line.latency_s, 20e-6, 1e-9, 0);
    assert_close(line.bandwidth_Bps, 12.5e9, 1e-9, 0);
    assert_close(uap_fit_error(line, point, 6), 0, 0, 1e-9);
}

/* A time 10 % off at 1 GB must not spoil the latency, as it does with absolute errors. */
static void test_weights_are_relative(void **state)
{
    const uap_point point[] = {
        {1e3, 10e-6 + 1e-6}, {1e4, 10e-6 + 10e-6}, {1e9, 1.1 * (10e-6 + 1)}};
    (void)state;
    const uap_line line = uap_fit_line(point, 3);
    assert_close(line.latency_s, 10e-6, 0.1, 0);
    assert_true(uap_fit_error(line, point, 3) < 0.1);
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
    const uap_point point[] = {{100, 3e-6}, {1e3, 4e-6}, {1e4, 9e-6},
                               {1e5, 7e-5}, {1e6, 9e-4}, {1e7, 8e-3}};
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
    const uap_point point[] = {{1e3, 1e-7}, {1e6, 3e-4}, {1e7, 3.5e-3}};
    (void)state;
    const uap_line line = uap_fit_line(point, 3);
    assert_close(line.latency_s, 0, 0, 0);
    assert_true(line.bandwidth_Bps > 0);
}

static void test_odd_sweeps(void **state)
{
    const uap_point falling[] = {{1e3, 1e-3}, {1e6, 1e-4}};
    const uap_point one[] = {{1e6, 1e-3}};
    const uap_point same[] = {{1e6, 1e-3}, {1e6, 1.1e-3}};
    const uap_point useless[] = {{0, 1}, {1, 0}, {(double)NAN, 1}, {1, HUGE_VAL}};
    const uap_point mixed[] = {{1e6, 1e-3}, {0, 1}, {1, 0}};
    (void)state;
    assert_close(uap_fit_line(falling, 2).bandwidth_Bps, 1e10, 1e-9, 0);
    assert_close(uap_fit_line(one, 1).bandwidth_Bps, 1e9, 1e-9, 0);
    assert_close(uap_fit_line(same, 2).bandwidth_Bps, 1e9, 0.1, 0);
    assert_close(uap_fit_line(useless, 4).bandwidth_Bps, 0, 0, 0);
    assert_close(uap_fit_line(mixed, 3).bandwidth_Bps, 1e9, 1e-9, 0);
    assert_close(uap_fit_line(NULL, 0).bandwidth_Bps, 0, 0, 0);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
