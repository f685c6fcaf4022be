/* The compute backends: what is run is really run, bad shapes are refused, and a CUDA
 * backend without a GPU answers instead of failing. */
#include "unit/check.h"

#include "profile/device.h"
#include "profile/device_backend.h"

#include <string.h>

/* No core runs a product faster than this. */
#define CORE_FLOPS_MAX 2e12

static uap_device *open_cpu(void)
{
    uap_err err = {0};
    uap_device *device = NULL;
    assert_int_equal(uap_device_open(UAP_BACKEND_CPU, 0, &device, &err), UAP_OK);
    assert_non_null(device);
    return device;
}

/* Best of `runs` passes, in seconds. */
static double best_of(uap_device *device, const uap_work_shape *shape, uap_pass pass,
                      int runs)
{
    uap_err err = {0};
    uap_work *work = NULL;
    double best = HUGE_VAL;
    assert_int_equal(uap_work_new(device, shape, &work, &err), UAP_OK);
    for (int i = 0; i < runs; i++) {
        double seconds = -1;
        assert_int_equal(uap_work_run(work, pass, NULL, NULL, &seconds, &err), UAP_OK);
        assert_true(seconds > 0);
        best = fmin(best, seconds);
    }
    uap_work_free(work);
    return best;
}

static void test_describes_itself(void **state)
{
    uap_err err = {0};
    uap_device_info info;
    (void)state;
    uap_device *device = open_cpu();
    assert_int_equal(uap_device_describe(device, &info, &err), UAP_OK);
    assert_int_equal(info.backend, UAP_BACKEND_CPU);
    assert_true(info.name[0] != '\0');
    assert_non_null(strstr(info.library, "OpenBLAS"));
    assert_true(info.memory_bytes > (int64_t)1 << 24);
    assert_true(info.free_bytes > 0 && info.free_bytes <= info.memory_bytes);
    assert_true(info.native[UAP_FP32]);
    assert_false(info.native[UAP_BF16]);
    uap_device_close(device);
}

static void test_backward_is_two_products(void **state)
{
    const uap_work_shape shape = {.n_products = 1, .product = {{192, 512, 256, 4}}};
    const double flops = 2.0 * 192 * 512 * 256 * 4;
    (void)state;
    uap_device *device = open_cpu();
    const double forward = best_of(device, &shape, UAP_FORWARD, 15);
    const double backward = best_of(device, &shape, UAP_BACKWARD, 15);
    /* Wide bounds: other work may run on this machine. */
    assert_true(forward > flops / CORE_FLOPS_MAX);
    assert_true(backward > 2 * flops / CORE_FLOPS_MAX);
    assert_true(backward > 1.2 * forward);
    assert_true(backward < 10 * forward);
    uap_device_close(device);
}

static void test_time_grows_with_batch(void **state)
{
    const uap_work_shape one = {.n_products = 1, .product = {{128, 128, 128, 4}}};
    const uap_work_shape many = {.n_products = 1, .product = {{128, 128, 128, 64}}};
    (void)state;
    uap_device *device = open_cpu();
    assert_true(best_of(device, &many, UAP_FORWARD, 15) >
                4 * best_of(device, &one, UAP_FORWARD, 15));
    uap_device_close(device);
}

static void test_stream_counts_every_element(void **state)
{
    /* One pass over arrays of full length, and five. */
    const uap_work_shape small = {.move_elems = 3.0 * (double)UAP_STREAM_ELEMS};
    const uap_work_shape large = {.move_elems = 15.0 * (double)UAP_STREAM_ELEMS};
    (void)state;
    uap_device *device = open_cpu();
    const double seconds = best_of(device, &large, UAP_FORWARD, 3);
    assert_true(seconds > 4 * large.move_elems / 1e12); /* below 1 TB/s */
    assert_true(seconds > 2.5 * best_of(device, &small, UAP_FORWARD, 9));
    uap_device_close(device);
}

static void count_call(void *context)
{
    ++*(int *)context;
}

static void test_polls_between_products(void **state)
{
    const uap_work_shape shape = {.n_products = 3,
                                  .product = {{8, 8, 8, 1}, {8, 8, 8, 2}, {8, 8, 8, 1}}};
    uap_err err = {0};
    uap_work *work = NULL;
    int calls = 0;
    double seconds = -1;
    (void)state;
    uap_device *device = open_cpu();
    assert_int_equal(uap_work_new(device, &shape, &work, &err), UAP_OK);
    assert_int_equal(uap_work_run(work, UAP_BACKWARD, count_call, &calls, &seconds, &err),
                     UAP_OK);
    assert_int_equal(calls, 3);
    uap_work_free(work);
    uap_device_close(device);
}

static void test_refuses_bad_shapes(void **state)
{
    const uap_work_shape bad[] = {
        {.n_products = 1, .product = {{0, 4, 4, 1}}},
        {.n_products = 1, .product = {{4, -4, 4, 1}}},
        {.n_products = 1, .product = {{4, 4, INT64_MAX, 1}}},
        {.n_products = 1, .product = {{4, 4, 4, 0}}},
        {.n_products = UAP_WORK_MAX_PRODUCTS + 1},
        {.n_products = -1},
        {.move_elems = -1},
        {.move_elems = (double)NAN},
    };
    const uap_work_shape huge = {.n_products = 1,
                                 .product = {{INT32_MAX, INT32_MAX, INT32_MAX, 1}}};
    (void)state;
    uap_device *device = open_cpu();
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uap_err err = {0};
        uap_work *work = NULL;
        assert_int_equal(uap_work_new(device, &bad[i], &work, &err), UAP_BAD_USAGE);
        assert_null(work);
        assert_true(err.msg[0] != '\0');
    }
    uap_err err = {0};
    uap_work *work = NULL;
    assert_int_equal(uap_work_new(device, &huge, &work, &err), UAP_NO_MEMORY);
    assert_null(work);
    uap_device_close(device);
}

static void test_survives_failed_allocations(void **state)
{
    const uap_work_shape shape = {.n_products = 1, .product = {{8, 8, 8, 1}}};
    const int64_t before = uap_mem_outstanding();
    (void)state;
    uap_device *device = open_cpu();
    for (int64_t n = 0; n < 6; n++) {
        uap_err err = {0};
        uap_work *work = NULL;
        uap_mem_fail_after(n);
        assert_int_equal(uap_work_new(device, &shape, &work, &err), UAP_NO_MEMORY);
        uap_mem_fail_after(-1);
        assert_null(work);
    }
    uap_device_close(device);
    assert_i64(uap_mem_outstanding(), before);
}

static void test_normal_numbers(void **state)
{
    enum { N = 65536 };
    float *values = uap_calloc(2 * N + 5, sizeof *values);
    double sum = 0, squares = 0;
    (void)state;
    assert_non_null(values);
    uap_fill_normal(values, 2 * N + 4);
    for (int i = 0; i < N; i++) {
        sum += (double)values[i];
        squares += (double)values[i] * (double)values[i];
    }
    assert_close(sum / N, 0, 0, 0.02);
    assert_close(squares / N, 1, 0.03, 0);
    assert_true(values[2 * N + 3] == values[3]);
    assert_true(values[2 * N + 4] == 0.0F); /* nothing written behind the end */
    uap_free(values);
}

static void test_cuda_answers(void **state)
{
    const uap_work_shape shape = {
        .n_products = 1, .product = {{64, 64, 64, 2}}, .precision = UAP_BF16};
    uap_err err = {0};
    uap_device *device = NULL;
    (void)state;
    const uap_status rc = uap_device_open(UAP_BACKEND_CUDA, 0, &device, &err);
    if (rc != UAP_OK) {
        assert_true(rc == UAP_NO_DEVICE || rc == UAP_UNSUPPORTED);
        assert_true(err.msg[0] != '\0');
        assert_null(device);
        print_message("CUDA: %s\n", err.msg);
        return;
    }
    assert_true(best_of(device, &shape, UAP_FORWARD, 3) > 0);
    assert_true(best_of(device, &shape, UAP_BACKWARD, 3) > 0);
    uap_device_close(device);
}

/* The backend's library loads where there is no driver, and NCCL with it where that is installed:
 * it then gives a name and ids that differ. */
static void test_channels_answer(void **state)
{
    uap_err err = {0};
    const uap_backend_table *table = NULL;
    uap_channel_id id[2];
    (void)state;
    if (uap_backend_cuda(&table, &err) != UAP_OK) {
        print_message("CUDA: %s\n", err.msg);
        return;
    }
    const char *name = table->channels->library(NULL);
    const uap_status rc = table->channels->make_id(NULL, &id[0], &err);
    print_message("channels: '%s', %s\n", name, rc == UAP_OK ? "an id" : err.msg);
    assert_true((name[0] == '\0') == (rc == UAP_UNSUPPORTED));
    assert_true(name[0] == '\0' || strncmp(name, "NCCL ", 5) == 0);
    if (rc == UAP_OK) {
        assert_int_equal(table->channels->make_id(NULL, &id[1], &err), UAP_OK);
        assert_true(memcmp(&id[0], &id[1], sizeof id[0]) != 0);
    }
}

/* A processor's backend has none, and says so. */
static void test_no_channels(void **state)
{
    const uap_channel_place place = {.size = 1, .rank = 0, .n_floats = 1};
    uap_err err = {0};
    uap_channel_id id;
    uap_channel *channel = NULL;
    (void)state;
    uap_device *device = open_cpu();
    assert_string_equal(uap_channel_library(device), "");
    assert_int_equal(uap_channel_make_id(device, &id, &err), UAP_UNSUPPORTED);
    assert_int_equal(uap_channel_new(device, &place, &channel, &err), UAP_UNSUPPORTED);
    assert_null(channel);
    uap_channel_free(channel);
    assert_string_equal(uap_device_failure(device), "");
    uap_device_close(device);
}

/* A device that is in error stays so, whatever its backend would say. */
static void test_failed_device(void **state)
{
    const uap_work_shape shape = {
        .n_products = 1, .product = {{8, 8, 8, 1}}, .precision = UAP_FP32};
    uap_err err = {0};
    uap_work *work = NULL;
    double seconds = 0;
    (void)state;
    uap_device *device = open_cpu();
    assert_int_equal(uap_work_new(device, &shape, &work, &err), UAP_OK);
    uap_device_fail(device, "made up");
    assert_int_equal(uap_work_run(work, UAP_FORWARD, NULL, NULL, &seconds, &err),
                     UAP_NO_DEVICE);
    assert_string_equal(err.msg, "made up");
    uap_work_free(work);
    uap_err_clear(&err);
    assert_int_equal(uap_work_new(device, &shape, &work, &err), UAP_NO_DEVICE);
    assert_null(work);
    assert_string_equal(uap_device_failure(device), "made up");
    uap_device_close(device);
}

static void test_auto_always_opens(void **state)
{
    uap_err err = {0};
    uap_device *device = NULL;
    uap_backend backend = UAP_BACKEND_AUTO;
    (void)state;
    assert_int_equal(uap_device_open(UAP_BACKEND_AUTO, 0, &device, &err), UAP_OK);
    assert_int_equal(err.code, UAP_OK); /* falling back is no failure */
    uap_device_close(device);
    assert_true(uap_backend_by_name("cuda", &backend) && backend == UAP_BACKEND_CUDA);
    assert_false(uap_backend_by_name("gpu", &backend));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_describes_itself),
        cmocka_unit_test(test_backward_is_two_products),
        cmocka_unit_test(test_time_grows_with_batch),
        cmocka_unit_test(test_stream_counts_every_element),
        cmocka_unit_test(test_polls_between_products),
        cmocka_unit_test(test_refuses_bad_shapes),
        cmocka_unit_test(test_survives_failed_allocations),
        cmocka_unit_test(test_normal_numbers),
        cmocka_unit_test(test_cuda_answers),
        cmocka_unit_test(test_channels_answer),
        cmocka_unit_test(test_no_channels),
        cmocka_unit_test(test_failed_device),
        cmocka_unit_test(test_auto_always_opens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
