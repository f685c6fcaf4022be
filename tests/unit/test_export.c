/* Exports: what is written means the plan's stages and strategies, what cannot be said is
 * refused with its layers, and Galvatron's file read back is the plan. */
#include "unit/check.h"

#include "plan/export.h"
#include "plan/import_galvatron.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[64];

static int make_path(void **state)
{
    (void)state;
    (void)strcpy(path, "/tmp/uap_export_XXXXXX");
    const int file = mkstemp(path);
    return file < 0 ? -1 : close(file);
}

static int remove_path(void **state)
{
    (void)state;
    return unlink(path);
}

static uint64_t seed;

/* 0 .. n - 1; Knuth's MMIX generator. */
static int32_t draw(int32_t n)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (int32_t)((seed >> 33) % (uint64_t)n);
}

/* A plan of an embedding, blocks and a head: blocks[i] of them in stage i, all `s`. */
static uap_plan *make_plan(const int32_t *blocks, int32_t pp, uap_strategy s)
{
    uap_plan *plan = uap_plan_new();
    int32_t n = 2;
    for (int32_t i = 0; i < pp; i++) {
        n += blocks[i];
    }
    assert_non_null(plan);
    assert_true(uap_plan_shape(plan, pp, n));
    plan->batch = 256;
    plan->micro_batches = 8;
    plan->seq = 1024;
    plan->schedule = UAP_SCHEDULE_1F1B;
    for (int32_t i = 0, u = 0; i < pp; i++) {
        plan->stage[i].first_layer = u;
        u += blocks[i] + (i == 0) + (i + 1 == pp);
        plan->stage[i].last_layer = u - 1;
        for (int32_t k = plan->stage[i].first_layer; k < u; k++) {
            plan->layer[k].stage = i;
        }
    }
    for (int32_t u = 0; u < n; u++) {
        plan->layer[u].type = u == 0 ? "embedding" : u + 1 == n ? "head" : "block";
        plan->layer[u].has_strategy = true;
        plan->layer[u].strategy = s;
    }
    plan->device_count = (int64_t)s.dp * s.fsdp * s.tp * pp;
    return plan;
}

/* The plan as the target's file; terminated by a NUL. */
static char *exported(const uap_plan *plan, uap_export_target target)
{
    uap_err err = {0};
    uap_export out = {0};
    assert_ok(uap_export_plan(plan, target, &out, &err), &err);
    for (int32_t i = 0; i < out.n_lines; i++) {
        print_error("%s\n", out.line[i]);
    }
    assert_i64(out.n_refusals, 0);
    assert_ok(uap_export_write(&out, path, &err), &err);
    uap_export_free(&out);
    FILE *file = fopen(path, "r");
    static char text[1 << 16];
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    assert_int_equal(fclose(file), 0);
    return text;
}

/* A line of the refusals that has both texts. */
static void assert_refused(const uap_plan *plan, uap_export_target target,
                           const char *layers, const char *option)
{
    uap_err err = {0};
    uap_export out = {0};
    bool found = false;
    assert_ok(uap_export_plan(plan, target, &out, &err), &err);
    for (int32_t i = 0; i < out.n_lines; i++) {
        found = found || (strstr(out.line[i], layers) != NULL &&
                          strstr(out.line[i], option) != NULL);
    }
    for (int32_t i = 0; i < out.n_lines && !found; i++) {
        print_error("%s\n", out.line[i]);
    }
    if (!found) {
        print_error("%s: expected \"%s\" and \"%s\"\n", uap_export_framework(target),
                    layers, option);
    }
    assert_true(found);
    uap_export_free(&out);
}

static int64_t number_after(const char *text, const char *option)
{
    const char *at = strstr(text, option);
    return at != NULL ? strtoll(at + strlen(option), NULL, 10) : -1;
}

/* What Megatron-LM makes of its arguments: blocks of stage i (docs/export.md). */
static int32_t megatron_blocks(const char *text, int32_t pp, int32_t n_blocks, int32_t i)
{
    const char *layout = strstr(text, "--pipeline-model-parallel-layout ");
    if (layout != NULL) {
        int32_t n = 0, stage = 0;
        for (const char *at = strchr(layout, ' ') + 1; *at != '\n'; at++) {
            stage += *at == '|';
            n += *at == 't' && stage == i;
        }
        assert_int_equal(stage + 1 >= i + 1, 1);
        return n;
    }
    const int64_t first = number_after(text, "--decoder-first-pipeline-num-layers ");
    const int64_t last = number_after(text, "--decoder-last-pipeline-num-layers ");
    const int64_t rest = n_blocks - (first > 0 ? first : 0) - (last > 0 ? last : 0);
    const int32_t stages = pp - (first > 0) - (last > 0);
    if (i == 0 && first > 0) {
        return (int32_t)first;
    }
    if (i + 1 == pp && last > 0) {
        return (int32_t)last;
    }
    assert_i64(rest % stages, 0);
    return (int32_t)(rest / stages);
}

static void megatron_gets_every_split(void **state)
{
    (void)state;
    seed = 5;
    for (int round = 0; round < 200; round++) {
        int32_t blocks[8], n = 0;
        const int32_t pp = 2 + draw(7), most = 1 + draw(4);
        for (int32_t i = 0; i < pp; i++) {
            blocks[i] = draw(8) == 0 ? 0 : 1 + draw(most);
            blocks[i] += i > 0 && i + 1 < pp && blocks[i] == 0; /* a stage has a layer */
            n += blocks[i];
        }
        uap_plan *plan = make_plan(blocks, pp, (uap_strategy){2, 1, 2, 1, true, false});
        const char *text = exported(plan, UAP_EXPORT_MEGATRON);
        for (int32_t i = 0; i < pp; i++) {
            assert_i64(megatron_blocks(text, pp, n, i), blocks[i]);
        }
        assert_i64(number_after(text, "--pipeline-model-parallel-size "), pp);
        assert_i64(number_after(text, "--micro-batch-size "), 256 / 8 / 2);
        assert_i64(number_after(text, "--global-batch-size "), 256);
        uap_plan_free(plan);
    }
}

/* A strategy of 8 devices that Galvatron knows; zero: of all dp ranks. */
static uap_strategy draw_strategy(int8_t zero)
{
    uap_strategy s = {1, 1, 1 << draw(4), 0, false, draw(2) == 0};
    const int32_t ways = 8 / s.tp;
    s.sp = s.tp > 1;
    if (draw(2) == 0) {
        s.fsdp = ways;
    } else {
        s.dp = ways;
        s.zero = ways > 1 ? zero : 0;
    }
    return s;
}

static uap_plan *draw_plan(void)
{
    int32_t blocks[6];
    const int32_t pp = 1 + draw(6);
    const int8_t zero = (int8_t)(2 * draw(2));
    for (int32_t i = 0; i < pp; i++) {
        blocks[i] = 1 + draw(5);
    }
    uap_plan *plan = make_plan(blocks, pp, (uap_strategy){1, 1, 8, 0, true, false});
    for (int32_t u = 0; u < plan->n_layers; u++) {
        plan->layer[u].strategy = draw_strategy(zero);
    }
    plan->layer[0].strategy.recompute = false;
    plan->layer[plan->n_layers - 1].strategy = plan->layer[0].strategy;
    plan->schedule = draw(2) == 0 ? UAP_SCHEDULE_GPIPE : UAP_SCHEDULE_1F1B;
    plan->micro_batches = 1 << draw(6);
    return plan;
}

static void assert_same_plan(const uap_plan *a, const uap_plan *b)
{
    assert_i64(a->batch, b->batch);
    assert_i64(a->micro_batches, b->micro_batches);
    assert_i64(a->schedule, b->schedule);
    assert_i64(a->device_count, b->device_count);
    assert_i64(a->pp, b->pp);
    assert_i64(a->n_layers, b->n_layers);
    for (int32_t i = 0; i < a->pp; i++) {
        assert_i64(a->stage[i].first_layer, b->stage[i].first_layer);
        assert_i64(a->stage[i].last_layer, b->stage[i].last_layer);
    }
    for (int32_t u = 0; u < a->n_layers; u++) {
        char x[UAP_STRATEGY_NAME], y[UAP_STRATEGY_NAME];
        assert_string_equal(uap_strategy_name(&a->layer[u].strategy, x),
                            uap_strategy_name(&b->layer[u].strategy, y));
        assert_string_equal(a->layer[u].type, b->layer[u].type);
        assert_i64(a->layer[u].stage, b->layer[u].stage);
    }
}

static void galvatron_reads_back_the_same_plan(void **state)
{
    (void)state;
    seed = 1;
    for (int round = 0; round < 200; round++) {
        uap_err err = {0};
        uap_plan *plan = draw_plan(), *back = NULL;
        (void)exported(plan, UAP_EXPORT_GALVATRON);
        assert_ok(uap_galvatron_load(path, &back, &err), &err);
        assert_same_plan(plan, back);
        uap_plan_free(back);
        uap_plan_free(plan);
    }
}

/* One layer of another strategy, of as many devices. */
static void a_layer_of_its_own_is_refused(void **state)
{
    (void)state;
    static const int32_t blocks[] = {3, 3};
    static const uap_strategy odd[] = {{1, 1, 4, 0, true, false},
                                       {1, 2, 2, 0, true, false},
                                       {2, 1, 2, 1, true, false},
                                       {2, 1, 2, 0, false, false}};
    static const char *const name[] = {"tp 4", "fsdp 2", "zero 1", "sp 0"};
    for (int k = 0; k < 4; k++) {
        uap_plan *plan = make_plan(blocks, 2, (uap_strategy){2, 1, 2, 0, true, false});
        plan->layer[5].strategy = odd[k];
        plan->layer[7].strategy = odd[k];
        for (int target = 0; target < UAP_EXPORT_GALVATRON; target++) {
            assert_refused(plan, (uap_export_target)target,
                           "layers 5, 7 (block, head): ", name[k]);
        }
        uap_plan_free(plan);
    }
}

static void galvatron_refuses_what_its_file_lacks(void **state)
{
    (void)state;
    static const int32_t blocks[] = {3, 3}, none[] = {0, 6};
    const uap_export_target g = UAP_EXPORT_GALVATRON;
    const uap_strategy dp = {4, 1, 1, 0, false, false};
    uap_plan *plan = make_plan(blocks, 2, dp);
    plan->layer[2].strategy = (uap_strategy){2, 2, 1, 0, false, false};
    assert_refused(plan, g, "layer 2 (block)", "dp and fsdp both above 1");
    plan->layer[2].strategy = (uap_strategy){2, 1, 2, 0, false, false};
    assert_refused(plan, g, "layer 2 (block)", "tp without sp");
    plan->layer[2].strategy = (uap_strategy){4, 1, 1, 1, false, false};
    assert_refused(plan, g, "layer 2 (block)", "zero 1");
    plan->layer[2].strategy = (uap_strategy){4, 1, 1, 2, false, false};
    assert_refused(plan, g, "layer 2 (block)", "zero 2, but 0");
    plan->layer[2].strategy = dp;
    plan->layer[0].strategy.recompute = true;
    assert_refused(plan, g, "layer 0 (embedding)", "recompute");
    plan->layer[0].strategy = (uap_strategy){1, 4, 1, 0, false, false};
    assert_refused(plan, g, "layers 0, 7 (embedding, head)", "vocab_sdp");
    plan->layer[0].strategy = dp;
    plan->schedule = UAP_SCHEDULE_1F1B_EAGER;
    assert_refused(plan, g, "layers 0-7", "schedule 1f1b-eager");
    uap_plan_free(plan);
    plan = make_plan(none, 2, dp);
    assert_refused(plan, g, "layer 0 (embedding)", "pp_division");
    uap_plan_free(plan);
}

static void megatron_counts_recomputed_blocks(void **state)
{
    (void)state;
    static const int32_t blocks[] = {3, 2};
    uap_plan *plan = make_plan(blocks, 2, (uap_strategy){4, 1, 1, 0, false, false});
    assert_null(strstr(exported(plan, UAP_EXPORT_MEGATRON), "--recompute"));
    plan->layer[2].strategy.recompute = true;
    assert_refused(plan, UAP_EXPORT_MEGATRON, "layers 4-5 (block and block)",
                   "--recompute-num-layers");
    plan->layer[5].strategy.recompute = true;
    const char *text = exported(plan, UAP_EXPORT_MEGATRON);
    assert_non_null(strstr(text, "--recompute-method block"));
    assert_i64(number_after(text, "--recompute-num-layers "), 1);
    for (int32_t u = 1; u < 6; u++) {
        plan->layer[u].strategy.recompute = true;
    }
    assert_non_null(
        strstr(exported(plan, UAP_EXPORT_MEGATRON), "--recompute-method uniform"));
    plan->layer[0].strategy.recompute = true;
    assert_refused(plan, UAP_EXPORT_MEGATRON, "layer 0 (embedding)", "recompute");
    uap_plan_free(plan);
}

/* Which sharding each framework can run, with and without stages. */
static void sharding_is_what_the_framework_runs(void **state)
{
    (void)state;
    static const int32_t one[] = {6}, two[] = {3, 3};
    const uap_strategy fsdp = {1, 4, 1, 0, false, false};
    const uap_strategy zero1 = {4, 1, 1, 1, false, false};
    const uap_strategy zero2 = {4, 1, 1, 2, false, false};
    uap_plan *plan = make_plan(one, 1, fsdp);
    assert_non_null(strstr(exported(plan, UAP_EXPORT_MEGATRON), "optim_grads_params"));
    assert_non_null(strstr(exported(plan, UAP_EXPORT_DEEPSPEED), "\"stage\": 3"));
    assert_non_null(strstr(exported(plan, UAP_EXPORT_TORCHTITAN), "\"always\""));
    uap_plan_free(plan);
    plan = make_plan(one, 1, zero2);
    assert_non_null(strstr(exported(plan, UAP_EXPORT_MEGATRON), "optim_grads\n"));
    assert_non_null(strstr(exported(plan, UAP_EXPORT_DEEPSPEED), "\"stage\": 2"));
    assert_non_null(strstr(exported(plan, UAP_EXPORT_TORCHTITAN), "\"never\""));
    uap_plan_free(plan);
    plan = make_plan(one, 1, zero1);
    assert_refused(plan, UAP_EXPORT_TORCHTITAN, "layers 0-7", "zero 1 with pp 1");
    plan->layer[3].strategy.recompute = true;
    assert_refused(plan, UAP_EXPORT_DEEPSPEED, "layer 3 (block)", "recompute with pp 1");
    uap_plan_free(plan);
    plan = make_plan(two, 2, fsdp);
    assert_refused(plan, UAP_EXPORT_DEEPSPEED, "layers 0-7", "fsdp 4 with pp 2");
    assert_refused(plan, UAP_EXPORT_TORCHTITAN_TOML, "layers 0-7", "fsdp 4 with pp 2");
    plan->micro_batches = 1;
    assert_non_null(strstr(exported(plan, UAP_EXPORT_TORCHTITAN), "\"always\""));
    uap_plan_free(plan);
    plan = make_plan(two, 2, (uap_strategy){2, 2, 1, 2, false, false});
    assert_refused(plan, UAP_EXPORT_MEGATRON, "layers 0-7",
                   "--outer-dp-sharding-strategy");
    uap_plan_free(plan);
}

/* DeepSpeed's two ways to split layers, and what is neither. */
static void deepspeed_gets_equal_stages(void **state)
{
    (void)state;
    static const int32_t equal[] = {3, 3, 3}, layers[] = {3, 2}, odd[] = {2, 3};
    const uap_strategy s = {2, 1, 1, 0, false, false};
    uap_plan *plan = make_plan(equal, 3, s);
    const char *text = exported(plan, UAP_EXPORT_DEEPSPEED);
    assert_non_null(strstr(text, "\"partition\": \"type:"));
    assert_i64(number_after(text, "\"stages\": "), 3);
    assert_i64(number_after(text, "\"gradient_accumulation_steps\": "), 8);
    assert_i64(number_after(text, "\"train_micro_batch_size_per_gpu\": "), 16);
    uap_plan_free(plan);
    plan = make_plan(layers, 2, s); /* four layers and three */
    assert_non_null(
        strstr(exported(plan, UAP_EXPORT_DEEPSPEED), "\"partition\": \"uniform\""));
    uap_plan_free(plan);
    plan = make_plan(odd, 2, s);
    assert_refused(plan, UAP_EXPORT_DEEPSPEED, "layers 0-2: stage 0",
                   "pipeline.partition");
    uap_plan_free(plan);
}

/* Attention and MLP of a block are one block of a framework's. */
static void halves_make_a_block(void **state)
{
    (void)state;
    static const int32_t blocks[] = {4, 4};
    uap_plan *plan = make_plan(blocks, 2, (uap_strategy){1, 4, 1, 0, false, false});
    uap_err err = {0};
    uap_plan *back = NULL;
    for (int32_t u = 1; u < 9; u++) {
        plan->layer[u].type = u % 2 == 1 ? "attention" : "mlp";
    }
    (void)exported(plan, UAP_EXPORT_GALVATRON);
    assert_ok(uap_galvatron_load(path, &back, &err), &err);
    assert_i64(back->n_layers, 6);
    assert_i64(back->stage[0].last_layer, 2);
    uap_plan_free(back);
    for (int32_t u = 0; u < plan->n_layers; u++) {
        plan->layer[u].strategy = (uap_strategy){4, 1, 1, 1, false, false};
    }
    assert_non_null(strstr(exported(plan, UAP_EXPORT_DEEPSPEED), "\"type:"));
    plan->layer[3].strategy.recompute = true;
    assert_refused(plan, UAP_EXPORT_GALVATRON, "layers 3-4 (attention and mlp)",
                   "unlike strategies");
    plan->layer[3].strategy.recompute = false;
    plan->stage[0].last_layer = 5;
    plan->stage[1].first_layer = 6;
    plan->layer[5].stage = 0;
    assert_refused(plan, UAP_EXPORT_MEGATRON, "layers 5-6 (attention and mlp)",
                   "two stages");
    uap_plan_free(plan);
}

static void an_encoder_with_a_decoder_has_no_layout(void **state)
{
    (void)state;
    static const int32_t one[] = {6}, two[] = {3, 3};
    const uap_strategy s = {2, 1, 2, 0, true, false};
    uap_plan *plan = make_plan(one, 1, s);
    plan->layer[4].type = "embedding";
    plan->layer[5].type = plan->layer[6].type = "cross-block";
    const char *text = exported(plan, UAP_EXPORT_MEGATRON);
    assert_i64(number_after(text, "--decoder-seq-length "), 1024);
    assert_refused(plan, UAP_EXPORT_TORCHTITAN, "layers 4-6 (embedding .. cross-block)",
                   "knows models of");
    plan->layer[5].strategy.recompute = true;
    assert_refused(plan, UAP_EXPORT_MEGATRON, "layer 5 (cross-block)",
                   "--recompute-num-layers");
    uap_plan_free(plan);
    plan = make_plan(two, 2, s);
    plan->layer[5].type = plan->layer[6].type = "cross-block";
    assert_refused(plan, UAP_EXPORT_MEGATRON, "layers 4-6", "behind the first stage");
    uap_plan_free(plan);
}

/* More refusals than are kept are counted, long lists end in dots. */
static void many_refusals_are_counted(void **state)
{
    (void)state;
    int32_t blocks[100];
    uap_err err = {0};
    uap_export out = {0};
    for (int32_t i = 0; i < 100; i++) {
        blocks[i] = 1 + i % 3;
    }
    uap_plan *plan = make_plan(blocks, 100, (uap_strategy){2, 1, 1, 0, false, false});
    for (int32_t u = 1; u + 1 < plan->n_layers; u += 2) {
        plan->layer[u].strategy.recompute = true;
    }
    assert_ok(uap_export_plan(plan, UAP_EXPORT_DEEPSPEED, &out, &err), &err);
    assert_i64_le(UAP_EXPORT_MAX_LINES + 1, out.n_refusals);
    assert_i64(out.n_lines, UAP_EXPORT_MAX_LINES);
    assert_non_null(strstr(out.line[0], ", ..."));
    uap_export_free(&out);
    uap_plan_free(plan);
}

static void no_memory_is_reported_and_nothing_leaks(void **state)
{
    (void)state;
    static const int32_t blocks[] = {5, 4};
    uap_plan *plan = make_plan(blocks, 2, (uap_strategy){1, 1, 4, 0, true, false});
    const int64_t before = uap_mem_outstanding();
    for (int target = 0; target < UAP_EXPORT_TARGET_COUNT; target++) {
        uap_status status = UAP_NO_MEMORY;
        for (int64_t n = 0; status != UAP_OK; n++) {
            uap_err err = {0};
            uap_export out = {0};
            uap_mem_fail_after(n);
            status = uap_export_plan(plan, (uap_export_target)target, &out, &err);
            if (status == UAP_OK && out.n_refusals == 0) {
                status = uap_export_write(&out, path, &err);
            }
            uap_mem_fail_after(-1);
            uap_export_free(&out);
            assert_true(status == UAP_OK || status == UAP_NO_MEMORY);
            assert_i64(uap_mem_outstanding(), before);
            assert_true(n < 1000);
        }
    }
    (void)exported(plan, UAP_EXPORT_GALVATRON);
    uap_plan_free(plan);
    uap_plan *back = NULL;
    for (int64_t n = 0; back == NULL; n++) {
        uap_err err = {0};
        uap_mem_fail_after(n);
        const uap_status status = uap_galvatron_load(path, &back, &err);
        uap_mem_fail_after(-1);
        assert_true(status == UAP_OK || status == UAP_NO_MEMORY);
        assert_true(n < 1000);
    }
    uap_plan_free(back);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(megatron_gets_every_split, check_no_leaks),
        cmocka_unit_test_teardown(galvatron_reads_back_the_same_plan, check_no_leaks),
        cmocka_unit_test_teardown(a_layer_of_its_own_is_refused, check_no_leaks),
        cmocka_unit_test_teardown(galvatron_refuses_what_its_file_lacks, check_no_leaks),
        cmocka_unit_test_teardown(megatron_counts_recomputed_blocks, check_no_leaks),
        cmocka_unit_test_teardown(sharding_is_what_the_framework_runs, check_no_leaks),
        cmocka_unit_test_teardown(deepspeed_gets_equal_stages, check_no_leaks),
        cmocka_unit_test_teardown(halves_make_a_block, check_no_leaks),
        cmocka_unit_test_teardown(an_encoder_with_a_decoder_has_no_layout,
                                  check_no_leaks),
        cmocka_unit_test_teardown(many_refusals_are_counted, check_no_leaks),
        cmocka_unit_test_teardown(no_memory_is_reported_and_nothing_leaks,
                                  check_no_leaks),
    };
    return cmocka_run_group_tests(tests, make_path, remove_path);
}
