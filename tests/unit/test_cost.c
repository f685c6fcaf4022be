/* The terms of a layer's cost, against numbers worked by hand. Each test allows just the
 * dimensions whose strategy it wants, so that the table has exactly that row. */
#include "cost_bench.h"

/* ---- Compute, data parallelism, ZeRO ---------------------------------------------------------- */

/* Per sample 256 / 1e6 = 0.256 ms and 400 B / 1e7 = 0.04 ms: 0.296 ms; dp 4 has 2 samples:
 * yf 0.592, yb 1.184. Gradients 4000 B: all-reduce 1 + 4 = 5 ms, of which 1.184 hide:
 * 3.816; optimizer 1000 x 28 / 1e7 = 2.8. States 16 x 1000. Activations 2 x 4 x 16. */
static void test_data_parallel(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_DP);
    check_rows(&b, &(expected_row){"dp4", 0.592, 1.184, 6.616, 16000, 128, 0}, 1);
}

/* zero1: reduce-scatter 3 + 2 = 5, less 1.184; all-gather 2 + 1 = 3; optimizer on 250: 0.7.
 * States 4000 + 4000 + 8 x 250. zero2: the scatter is in the backward: max(5, 1.184);
 * gradients 1000 B; the bucket is the 4000 B there are. Plain dp is better in G alone. */
static void test_zero(void **state)
{
    (void)state;
    static const expected_row expected[] = {
        {"dp4.zero1", 0.592, 1.184, 7.516, 10000, 128, 0},
        {"dp4.zero2", 0.592, 5.0, 3.7, 7000, 128, 4000},
        {"dp4", 0.592, 1.184, 6.616, 16000, 128, 0}};
    bench b;
    bench_init(&b, 1, UAP_SPACE_DP | UAP_SPACE_ZERO);
    check_rows(&b, expected, 3);
}

/* 50e6 parameters, dp 4: buckets of 40e6: two latencies. All-reduce 2 x 1 ms + 200 s. */
static void test_buckets_pay_latency(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_DP);
    b.layer[0].params = 50000000;
    b.options.memory_bytes = (int64_t)1 << 40;
    check_rows(&b,
               &(expected_row){"dp4", 0.592, 1.184, 2.0 + 200000.0 - 1.184 + 140000.0,
                               800000000, 128, 0},
               1);
}

/* ---- Sharding ------------------------------------------------------------------------------------ */

/* Gather 2 + 1 = 3 ms, scatter 3 + 2 = 5: Af = max(3, 0.592), Ab = max(8, 1.184). Work: two
 * gathered layers and the gradient, 3 x 4000. With recompute: 2 x 3 + 5 = 11; work + 128; only
 * the input is kept, 2 x 4 x 5. */
static void test_fully_sharded(void **state)
{
    (void)state;
    static const expected_row expected[] = {
        {"fsdp4", 3.0, 8.0, 0.7, 4000, 128, 12000},
        {"fsdp4+rc", 3.0, 11.0, 0.7, 4000, 40, 12128}};
    bench b;
    bench_init(&b, 1, UAP_SPACE_FSDP | UAP_SPACE_RECOMPUTE);
    check_rows(&b, expected, 2);
}

/* dp2.fsdp2: gather 1 + 4, scatter 2 + 1: these 8 ms leave nothing of the backward's 1.184 to
 * hide the all-reduce of the 2000 B shard in: 1 + 1; optimizer on 500. */
static void test_what_hides_behind_the_backward_shares_it(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_DP | UAP_SPACE_FSDP);
    b.collective[1].latency_s = 1.0; /* gathers over 4, or fsdp4 would be better in all */
    check_rows(&b, &(expected_row){"dp2.fsdp2", 5.0, 8.0, 3.4, 8000, 128, 12000}, 1);
}

/* A shard of 1001 parameters over 4 is 251; with bf16 2 B + 2 B + 12 B each: 4016. Gathered
 * 2 x 2002 + 2002. Activations 2 x 2 x 16. Times: gather 2 + 2002 / 4e6, scatter
 * 3 + 2002 / 2e6; optimizer 251 x 28 / 1e7. */
static void test_shards_and_mixed_precision(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_FSDP);
    b.layer[0].params = 1001;
    b.options.precision = UAP_BF16;
    check_rows(
        &b, &(expected_row){"fsdp4", 2.5005, 2.5005 + 4.001, 0.7028, 4016, 64, 6006}, 1);
    /* SGD with momentum: 2 + 2 + 8 bytes and 20 moved per parameter. */
    b.options.optimizer = UAP_SGD;
    check_rows(&b, &(expected_row){"fsdp4", 2.5005, 6.5015, 0.502, 3012, 64, 6006}, 1);
}

/* Slowdowns 1.5 and 1.2 with gather x = 3, compute y = 0.592: the compute ends first, after
 * 0.592 x 1.5 = 0.888; by then 0.888 / 1.2 = 0.74 of x is done: 0.888 + 2.26 = 3.148.
 * Backward x = 8, y = 1.184: 1.776 + 8 - 1.48 = 8.296. */
static void test_overlap_slows_both_down(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_FSDP);
    b.cluster.compute_slowdown = 1.5;
    b.cluster.communication_slowdown = 1.2;
    check_rows(&b, &(expected_row){"fsdp4", 3.148, 8.296, 0.7, 4000, 128, 12000}, 1);
    /* Slowdowns of 3: apart is faster: x + y. */
    b.cluster.compute_slowdown = 3.0;
    b.cluster.communication_slowdown = 3.0;
    check_rows(&b, &(expected_row){"fsdp4", 3.592, 9.184, 0.7, 4000, 128, 12000}, 1);
}

/* ---- Tensor parallelism --------------------------------------------------------------------------- */

/* tp 4, 8 samples: 64 FLOPs = 0.064 ms, 4 x (15 + 40) = 220 B = 0.022 ms: 8 x 0.086 = 0.688.
 * An all-reduce of 8 x 16 x 4 = 512 B: 1.512 ms, two forward (3.024), three backward (4.536).
 * 200 + 200 parameters. Activations 8 x 4 x (2.5 + 6). */
static void test_tensor_parallel(void **state)
{
    (void)state;
    static const expected_row expected[] = {
        {"tp4", 3.712, 5.912, 1.12, 6400, 272, 0},
        {"tp4+rc", 3.712, 5.912 + 3.712, 1.12, 6400, 160, 272}};
    bench b;
    bench_init(&b, 1, UAP_SPACE_TP | UAP_SPACE_RECOMPUTE);
    check_rows(&b, expected, 2);
}

/* With sp 4 x (15 + 10) = 100 B: 8 x 0.074 = 0.592. Gather 2.128 and scatter 3.256 in place of
 * each all-reduce: 5.384. Activations 8 x 4 x (2.5 + 1.5). */
static void test_sequence_parallel(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_TP | UAP_SPACE_SP);
    check_rows(&b,
               &(expected_row){"tp4+sp", 0.592 + 2 * 5.384, 1.184 + 3 * 5.384, 1.12, 6400,
                               128, 0},
               1);
    /* A sequence of 6 does not split in four. */
    b.layer[0].tokens = 6;
    uap_instance *instance = build(&b, 1, 1);
    assert_i64(instance->table[0].n, 1);
    bench_free(&b, instance);
}

/* Two key-value heads on four ranks are replicated: 400 of the 800 split parameters belong
 * to them, 200 a head: 200 + 400 / 4 + 200 = 500. */
static void test_key_value_heads_are_replicated(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_TP);
    b.layer[0].kv_heads = 2;
    b.layer[0].params_kv = 400;
    uap_instance *instance = build(&b, 1, 1);
    assert_i64(instance->table[0].state[0], 16 * 500);
    bench_free(&b, instance);
}

/* A vocabulary of 101 rows of 8 is padded to 26 rows a rank: 200 + 208 parameters, and the
 * logits, 4 x 101 per sample, to 4 x 26 x 4 B x 8 samples. */
static void test_the_vocabulary_is_padded(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_TP);
    b.layer[0].vocab = 101;
    b.layer[0].params = 1008;
    b.layer[0].params_split = 808;
    b.layer[0].logit_elems = 404;
    uap_instance *instance = build(&b, 1, 1);
    assert_i64(instance->table[0].state[0], 16 * 408);
    assert_i64(instance->table[0].work[0], 4 * 26 * 4 * 8);
    bench_free(&b, instance);
}

/* ---- Measured times --------------------------------------------------------------------------------- */

/* Batch 8 over dp 4: 2 samples, between 1 (1 ms, 3 ms) and 3 (2 ms, 4 ms): 1.5 and 3.5. */
static void test_measured_times_are_interpolated(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_DP);
    add_time(&b, 1, 3, 2e-3, 4e-3);
    add_time(&b, 1, 1, 1e-3, 3e-3);
    /* all-reduce 5 less 3.5 */
    check_rows(&b, &(expected_row){"dp4", 1.5, 3.5, 1.5 + 2.8, 16000, 128, 0}, 1);
    /* 4 samples, beyond the last: 4 / 3 of it. All-reduce 5 - 16/3 < 0. */
    b.options.batch = 16;
    check_rows(&b, &(expected_row){"dp4", 8.0 / 3, 16.0 / 3, 2.8, 16000, 256, 0}, 1);
    /* Measured in another precision: not these. */
    b.options.batch = 8;
    b.time[0].precision = b.time[1].precision = UAP_BF16;
    check_rows(&b, &(expected_row){"dp4", 0.592, 1.184, 6.616, 16000, 128, 0}, 1);
}

/* Measured at tp 1 and 2; 4 takes half of 2's FLOPs: 8 samples, 8 x 0.5 ms / 2. */
static void test_other_degrees_are_scaled(void **state)
{
    (void)state;
    bench b;
    bench_init(&b, 1, UAP_SPACE_TP);
    add_time(&b, 2, 1, 0.5e-3, 1e-3);
    add_time(&b, 1, 1, 9e-3, 9e-3);
    check_rows(&b, &(expected_row){"tp4", 2.0 + 3.024, 4.0 + 4.536, 1.12, 6400, 272, 0},
               1);
}

static void test_no_times_and_no_peak(void **state)
{
    (void)state;
    bench b;
    uap_err err = {0};
    bench_init(&b, 1, UAP_SPACE_DP);
    b.options.precision = UAP_FP16; /* bf16's peak stands in */
    assert_ok(uap_cost_new(&b.model, &b.cluster, &b.options, &b.cost, &err), &err);
    uap_cost_free(b.cost);
    b.device.peak_flops[UAP_BF16] = 0.0;
    assert_status(uap_cost_new(&b.model, &b.cluster, &b.options, &b.cost, &err),
                  UAP_BAD_INPUT, &err);
    assert_non_null(strstr(err.msg, "fp16"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_parallel),
        cmocka_unit_test(test_zero),
        cmocka_unit_test(test_buckets_pay_latency),
        cmocka_unit_test(test_fully_sharded),
        cmocka_unit_test(test_what_hides_behind_the_backward_shares_it),
        cmocka_unit_test(test_shards_and_mixed_precision),
        cmocka_unit_test(test_overlap_slows_both_down),
        cmocka_unit_test(test_tensor_parallel),
        cmocka_unit_test(test_sequence_parallel),
        cmocka_unit_test(test_key_value_heads_are_replicated),
        cmocka_unit_test(test_the_vocabulary_is_padded),
        cmocka_unit_test(test_measured_times_are_interpolated),
        cmocka_unit_test(test_other_degrees_are_scaled),
        cmocka_unit_test(test_no_times_and_no_peak),
    };
    return cmocka_run_group_tests(tests, NULL, check_no_leaks);
}
