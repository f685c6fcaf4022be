/* The plan as data: written and read back, written by hand, refused, and as a table. */
#include "unit/check.h"

#include "common/file.h"
#include "plan/plan.h"
#include "plan/plan_build.h"
#include "plan/plan_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "test_plan_XXXXXX";

static int make_path(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_path(void **state)
{
    (void)state;
    return remove(path);
}

/* A plan of two stages, three layers and every field stated. */
static uap_plan *example(void)
{
    uap_plan *plan = uap_plan_new();
    assert_non_null(plan);
    assert_true(uap_plan_shape(plan, 2, 3));
    plan->status = UAP_PLAN_FEASIBLE;
    plan->tpi_s = 0.5;
    plan->bound_s = 0.45;
    plan->gap = 0.1;
    plan->throughput_samples_per_s = 64;
    plan->batch = 32;
    plan->seq = 512;
    plan->schedule = UAP_SCHEDULE_1F1B_EAGER;
    plan->micro_batches = 4;
    plan->device_count = 16;
    plan->stage[0] = (uap_plan_stage){
        0,   1, 0, 7, "A100", 0.0123, 0.0004, 0.0567, (int64_t)3 << 30, (int64_t)39 << 30,
        NULL};
    plan->stage[1] = (uap_plan_stage){
        2, 2, 8, 15, "A100", 0.0101, 0, 0.02, (int64_t)7 << 29, (int64_t)39 << 30, NULL};
    plan->layer[0] = (uap_plan_layer){
        "embedding", "embedding", 0, true, {.dp = 1, .fsdp = 8, .tp = 1}, NULL};
    plan->layer[1] = (uap_plan_layer){
        "block.0",
        "block",
        0,
        true,
        {.dp = 2, .fsdp = 2, .tp = 2, .zero = 1, .sp = true, .recompute = true},
        NULL};
    plan->layer[2] = (uap_plan_layer){
        "block.1", "block", 1, true, {.dp = 8, .fsdp = 1, .tp = 1, .zero = 2}, NULL};
    plan->options.stated = true;
    plan->options.cost = (uap_cost_options){.precision = UAP_FP16,
                                            .optimizer = UAP_SGD,
                                            .cost = UAP_COST_PAPER,
                                            .schedules = 7,
                                            .space = UAP_SPACE_PAPER,
                                            .devices = 16,
                                            .memory_bytes = (int64_t)40 << 30,
                                            .reserve_bytes = (int64_t)1 << 30,
                                            .tp_across_nodes = true};
    plan->options.operator_granularity = true;
    plan->options.engine = UAP_ENGINE_CBC;
    plan->options.gap = 0.1;
    plan->options.time_limit_s = 12.5;
    plan->options.memory_limit_bytes = 12345678901;
    plan->options.seed = 42;
    plan->model.name = "tiny";
    plan->model.source = "models/tiny.json";
    plan->model.parameters = 123456789;
    memset(plan->model.sha256, 'a', 64);
    plan->cluster.name = "lab";
    plan->cluster.source = "lab.json";
    memset(plan->cluster.sha256, 'b', 64);
    plan->search = (uap_plan_search){.stated = true,
                                     .wall_s = 0.25,
                                     .cpu_s = 0.2,
                                     .ranks = 3,
                                     .nodes = 17,
                                     .configurations = 20,
                                     .illegal = 2,
                                     .infeasible = 5,
                                     .pruned_by_bound = 9,
                                     .labels = 1234,
                                     .engine = UAP_ENGINE_CBC};
    assert_true(uap_plan_warn(plan, "a figure is assumed"));
    assert_true(uap_plan_warn(plan, "a figure is assumed"));
    assert_i64(plan->n_warnings, 1);
    return plan;
}

/* Loads what `text` says; the caller frees *out. */
static uap_status load_text(const char *text, uap_plan **out, uap_err *err)
{
    assert_ok(uap_file_write(path, text, strlen(text), err), err);
    return uap_plan_load(path, out, err);
}

static void assert_same_file(const uap_plan *a, const uap_plan *b)
{
    uap_err err = {0};
    char *text[2] = {NULL, NULL};
    size_t n[2];
    const uap_plan *const plan[2] = {a, b};
    for (int i = 0; i < 2; i++) {
        assert_ok(uap_plan_save(plan[i], path, &err), &err);
        assert_ok(uap_file_read(path, 1 << 20, &text[i], &n[i], &err), &err);
    }
    assert_string_equal(text[0], text[1]);
    uap_free(text[0]);
    uap_free(text[1]);
}

static void a_plan_survives_its_file(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_plan *plan = example(), *back = NULL;
    assert_ok(uap_plan_save(plan, path, &err), &err);
    assert_ok(uap_plan_load(path, &back, &err), &err);
    assert_int_equal(back->status, UAP_PLAN_FEASIBLE);
    assert_close(back->tpi_s, 0.5, 0, 0);
    assert_close(back->stage[0].time_s, 0.0123, 0, 0);
    assert_i64(back->stage[1].first_device, 8);
    assert_i64(back->stage[1].memory_bytes, (int64_t)7 << 29);
    assert_int_equal(back->schedule, UAP_SCHEDULE_1F1B_EAGER);
    assert_int_equal(back->layer[0].strategy.fsdp, 8);
    assert_int_equal(back->layer[0].strategy.zero, 0);
    assert_int_equal(back->layer[1].strategy.zero, 1);
    assert_true(back->layer[1].strategy.sp && back->layer[1].strategy.recompute);
    assert_int_equal(back->layer[2].stage, 1);
    assert_int_equal(back->options.cost.space, UAP_SPACE_PAPER);
    assert_int_equal(back->options.cost.schedules, 7);
    assert_i64(back->options.seed, 42);
    assert_i64(back->search.labels, 1234);
    assert_string_equal(back->warning[0], "a figure is assumed");
    assert_same_file(plan, back);
    uap_plan_free(back);
    uap_plan_free(plan);
}

static void an_infeasible_plan_survives_its_file(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_plan *plan = uap_plan_new(), *back = NULL;
    plan->status = UAP_PLAN_INFEASIBLE;
    plan->batch = 8;
    plan->device_count = 4;
    plan->reason = "no plan fits";
    plan->needs = (uap_plan_needs){.known = true,
                                   .schedule = UAP_SCHEDULE_GPIPE,
                                   .pp = 4,
                                   .micro_batches = 2,
                                   .stage = 3,
                                   .first_layer = 20,
                                   .last_layer = 25,
                                   .memory_bytes = 1000,
                                   .memory_cap_bytes = 900,
                                   .device_memory_bytes = 1100,
                                   .device_count = UAP_PLAN_UNSTATED};
    assert_ok(uap_plan_save(plan, path, &err), &err);
    assert_ok(uap_plan_load(path, &back, &err), &err);
    assert_int_equal(back->status, UAP_PLAN_INFEASIBLE);
    assert_string_equal(back->reason, "no plan fits");
    assert_i64(back->needs.memory_bytes, 1000);
    assert_i64(back->needs.device_memory_bytes, 1100);
    assert_i64(back->needs.device_count, UAP_PLAN_UNSTATED);
    assert_int_equal(back->needs.last_layer, 25);
    assert_null(back->stage);
    assert_same_file(plan, back);
    uap_plan_free(back);
    uap_plan_free(plan);
}

#define BY_HAND_HEAD                                                                     \
    "{\"format\": \"uniap-plan\", \"version\": 1, \"batch\": 16, \"schedule\": "         \
    "\"gpipe\", \"micro_batches\": 2, "
#define BY_HAND_LAYERS                                                                   \
    "\"layers\": [{\"strategy\": {\"tp\": 4}}, {\"strategy\": {\"fsdp\": 4, \"zero\": "  \
    "3}}, {\"strategy\": {\"dp\": 2, \"tp\": 2, \"sp\": true}}]"
#define BY_HAND_STAGES                                                                   \
    "\"pp\": 2, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0}, {\"first_layer\""  \
    ": 1, \"last_layer\": 2}], "

static void a_plan_by_hand_needs_little(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_plan *plan = NULL;
    assert_ok(load_text(BY_HAND_HEAD BY_HAND_STAGES BY_HAND_LAYERS "}", &plan, &err),
              &err);
    assert_int_equal(plan->status, UAP_PLAN_HAND_WRITTEN);
    assert_i64(plan->device_count, 8);
    assert_i64(plan->n_layers, 3);
    assert_int_equal(plan->layer[0].strategy.dp, 1);
    assert_int_equal(plan->layer[0].strategy.tp, 4);
    assert_int_equal(plan->layer[1].stage, 1);
    assert_true(plan->layer[2].strategy.sp);
    assert_close(plan->tpi_s, UAP_PLAN_UNSTATED, 0, 0);
    assert_i64(plan->stage[1].memory_bytes, UAP_PLAN_UNSTATED);
    assert_false(plan->options.stated);
    assert_int_equal(plan->options.cost.precision, UAP_BF16);
    assert_i64(plan->options.cost.reserve_bytes, (int64_t)1 << 30);
    uap_plan_free(plan);
}

/* Every text is refused with BAD_INPUT, a place in the file, and this word. */
static void what_is_wrong_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *word;
    } bad[] = {
        {"[]", "plan"},
        {"{\"format\": \"uniap-cluster\", \"version\": 1}", "format"},
        {"{\"format\": \"uniap-plan\", \"version\": 2}", "version"},
        {"{\"format\": \"uniap-plan\", \"version\": 1}", "batch"},
        {BY_HAND_HEAD BY_HAND_LAYERS "}", "pp"},
        {BY_HAND_HEAD BY_HAND_STAGES "\"layers\": []}", "layers"},
        {BY_HAND_HEAD "\"pp\": 3, " BY_HAND_LAYERS ", \"stages\": []}", "stages"},
        {BY_HAND_HEAD BY_HAND_STAGES BY_HAND_LAYERS ", \"tpi\": 1}", "tpi"},
        {BY_HAND_HEAD BY_HAND_STAGES BY_HAND_LAYERS ", \"tpi_s\": -1}", "tpi_s"},
        {BY_HAND_HEAD BY_HAND_STAGES BY_HAND_LAYERS ", \"status\": \"good\"}", "status"},
        {BY_HAND_HEAD "\"pp\": 2, \"stages\": [{\"first_layer\": 0, \"last_layer\": 1}, "
                      "{\"first_layer\": 1, \"last_layer\": 2}], " BY_HAND_LAYERS "}",
         "stage 1"},
        {BY_HAND_HEAD "\"pp\": 2, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0}, "
                      "{\"first_layer\": 1, \"last_layer\": 1}], " BY_HAND_LAYERS "}",
         "stage 1"},
        {BY_HAND_HEAD "\"pp\": 2, \"stages\": [{\"first_layer\": 0, \"last_layer\": 2}, "
                      "{\"first_layer\": 3, \"last_layer\": 3}], " BY_HAND_LAYERS "}",
         "stage 0"},
        {BY_HAND_HEAD "\"pp\": 1, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0, "
                      "\"device_ids\": \"7-0\"}], \"layers\": [{\"strategy\": {}}]}",
         "device_ids"},
        {BY_HAND_HEAD "\"pp\": 1, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0, "
                      "\"device_ids\": \"0-7,\"}], \"layers\": [{\"strategy\": {}}]}",
         "device_ids"},
        {BY_HAND_HEAD "\"pp\": 1, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0, "
                      "\"device_ids\": \"0-7,7-9\"}], \"layers\": [{\"strategy\": {}}]}",
         "device_ids"},
        {BY_HAND_HEAD "\"pp\": 1, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0}], "
                      "\"layers\": [{\"strategy\": {\"recompte\": true}}]}",
         "recompte"},
        {BY_HAND_HEAD "\"pp\": 1, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0}], "
                      "\"layers\": [{\"strategy\": {\"zero\": 3}}]}",
         "zero"},
        {BY_HAND_HEAD "\"pp\": 1, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0}], "
                      "\"layers\": [{\"strategy\": {\"tp\": 0}}]}",
         "tp"},
        {BY_HAND_HEAD "\"pp\": 1, \"stages\": [{\"first_layer\": 0, \"last_layer\": 0}], "
                      "\"layers\": [{}]}",
         "strategy"},
        {BY_HAND_HEAD BY_HAND_STAGES BY_HAND_LAYERS
         ", \"options\": {\"space\": \"dp,pp\"}}",
         "space"},
        {BY_HAND_HEAD BY_HAND_STAGES BY_HAND_LAYERS
         ", \"options\": {\"precision\": \"fp64\"}}",
         "precision"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uap_err err = {0};
        uap_plan *plan = NULL;
        assert_status(load_text(bad[i].text, &plan, &err), UAP_BAD_INPUT, &err);
        assert_null(plan);
        if (strstr(err.msg, bad[i].word) == NULL || strstr(err.msg, path) == NULL) {
            fail_msg("case %zu: \"%s\" names no %s", i, err.msg, bad[i].word);
        }
        assert_i64(uap_mem_outstanding(), 0);
    }
}

/* Prints the plan and compares with what a person should see. */
static void assert_prints(const uap_plan *plan, const char *expected)
{
    char *text = NULL;
    size_t n = 0;
    FILE *out = open_memstream(&text, &n);
    assert_non_null(out);
    uap_plan_print(plan, out);
    (void)fclose(out);
    assert_string_equal(text, expected);
    free(text);
}

static void the_table_reads_well(void **state)
{
    (void)state;
    uap_plan *plan = example();
    plan->layer[1].strategy = plan->layer[2].strategy;
    plan->layer[1].stage = 1; /* blocks 0 and 1 now share a line */
    assert_prints(
        plan,
        "Plan for tiny on lab: feasible\n"
        "\n"
        "configuration  1f1b-eager, 2 stages of 8 devices, 4 micro-batches of 8 samples "
        "(batch 32), 512 tokens each\n"
        "TPI            500 ms per iteration\n"
        "throughput     64 samples/s\n"
        "bound          450 ms, gap 10 %\n"
        "\n"
        "stage  layers     devices        class               time    transfer   "
        "iteration      memory       limit\n"
        "    0  0-1        0-7            A100             12.3 ms      400 us     56.7 "
        "ms    3.00 GiB   39.00 GiB\n"
        "    1  2-2        8-15           A100             10.1 ms         0 s       20 "
        "ms    3.50 GiB   39.00 GiB\n"
        "time and transfer are per micro-batch, iteration is what is paid once; memory "
        "is per device\n"
        "\n"
        "stage  layers     count  type             strategy                  names\n"
        "    0  0-0            1  embedding        fsdp8                     embedding\n"
        "    1  1-2            2  block            dp8.zero2                 block.0 .. "
        "block.1\n"
        "\n"
        "search         20 configurations (2 illegal, 9 closed by a bound, 5 do not "
        "fit), 17 nodes, 1234 labels\n"
        "               0.250 s, 0.200 CPU s on 3 ranks, engine cbc\n"
        "warning        a figure is assumed\n");
    uap_plan_free(plan);
}

static void the_table_of_an_infeasible_plan_says_why(void **state)
{
    (void)state;
    uap_plan *plan = uap_plan_new();
    plan->status = UAP_PLAN_INFEASIBLE;
    plan->reason = "no plan fits: stage 3 is 1.00 GiB short";
    plan->model.name = "big";
    plan->cluster.name = "small";
    assert_prints(plan, "Plan for big on small: infeasible\n\n"
                        "no plan fits: stage 3 is 1.00 GiB short\n");
    uap_plan_free(plan);
}

static void quantities_have_readable_units(void **state)
{
    (void)state;
    char text[UAP_QUANTITY_TEXT];
    assert_string_equal(uap_text_seconds(0, text), "0 s");
    assert_string_equal(uap_text_seconds(12.3456e-6, text), "12.35 us");
    assert_string_equal(uap_text_seconds(0.0123456, text), "12.35 ms");
    assert_string_equal(uap_text_seconds(75.5, text), "75.5 s");
    assert_string_equal(uap_text_seconds(-1, text), "-");
    assert_string_equal(uap_text_bytes(1023, text), "1023 bytes");
    assert_string_equal(uap_text_bytes((int64_t)3 << 29, text), "1.50 GiB");
    assert_string_equal(uap_text_bytes(INT64_MAX, text), "8.00 EiB");
    assert_string_equal(uap_text_bytes(-1, text), "-");
}

static void names_of_the_space_go_both_ways(void **state)
{
    (void)state;
    char text[UAP_SPACE_TEXT];
    uint32_t space = 0;
    assert_string_equal(uap_space_names(UAP_SPACE_ALL, text),
                        "dp,fsdp,zero,tp,sp,recompute");
    assert_string_equal(uap_space_names(UAP_SPACE_PAPER, text), "dp,fsdp,tp");
    assert_true(uap_space_by_names("all", &space));
    assert_int_equal(space, UAP_SPACE_ALL);
    assert_true(uap_space_by_names("paper,recompute", &space));
    assert_int_equal(space, UAP_SPACE_PAPER | UAP_SPACE_RECOMPUTE);
    assert_false(uap_space_by_names("", &space));
    assert_false(uap_space_by_names("dp,", &space));
    assert_false(uap_space_by_names("dpx", &space));
    assert_int_equal(space, UAP_SPACE_PAPER | UAP_SPACE_RECOMPUTE);
}

static void no_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_plan *plan = example();
    assert_ok(uap_plan_save(plan, path, &err), &err);
    uap_plan_free(plan);
    uap_status status = UAP_NO_MEMORY;
    for (int64_t n = 0; status != UAP_OK; n++) {
        uap_err_clear(&err);
        plan = NULL;
        uap_mem_fail_after(n);
        status = uap_plan_load(path, &plan, &err);
        uap_mem_fail_after(-1);
        if (status != UAP_OK) {
            assert_status(status, UAP_NO_MEMORY, &err);
            assert_null(plan);
            assert_i64(uap_mem_outstanding(), 0);
        }
        assert_true(n < 10000);
    }
    uap_plan_free(plan);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(a_plan_survives_its_file, check_no_leaks),
        cmocka_unit_test_teardown(an_infeasible_plan_survives_its_file, check_no_leaks),
        cmocka_unit_test_teardown(a_plan_by_hand_needs_little, check_no_leaks),
        cmocka_unit_test(what_is_wrong_is_refused),
        cmocka_unit_test_teardown(the_table_reads_well, check_no_leaks),
        cmocka_unit_test_teardown(the_table_of_an_infeasible_plan_says_why,
                                  check_no_leaks),
        cmocka_unit_test(quantities_have_readable_units),
        cmocka_unit_test(names_of_the_space_go_both_ways),
        cmocka_unit_test_teardown(no_memory_is_reported_and_nothing_leaks,
                                  check_no_leaks),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
