/* Layer times, peaks and limits of a device that is made up, so that every number of the
 * profile is known; and what becomes of its errors and hangs. */
#include "mpi/ranks.h"
#include "unit/model_texts.h"
#include "unit/stub_device.h"

#include "profile/layers.h"
#include "profile/profile.h"

#include <string.h>

static const char tiny_config[] =
    "{\"model_type\": \"bert\", \"hidden_size\": 120, \"num_hidden_layers\": 3,\n"
    " \"num_attention_heads\": 12, \"intermediate_size\": 240, \"vocab_size\": 960,\n"
    " \"max_position_embeddings\": 64, \"type_vocab_size\": 2}\n";

/* 1 TFLOP/s and more, with a start that is slow. */
static const stub_script healthy = {
    .flops = {[UAP_FP32] = 1e12, [UAP_BF16] = 8e12, [UAP_FP16] = 4e12, [UAP_TF32] = 2e12},
    .bytes_per_s = 1e11,
    .cold_runs = 6};

static uap_profile_options options_for(const uap_model *const *model, int32_t n)
{
    static const int64_t micro_batch[1] = {2};
    return (uap_profile_options){.n_models = n,
                                 .model = model,
                                 .precision = UAP_BF16,
                                 .n_micro_batches = 1,
                                 .micro_batch = micro_batch,
                                 .effort = UAP_EFFORT_QUICK,
                                 .budget_s = HUGE_VAL,
                                 .table = &stub_table,
                                 .stub = ""};
}

/* However slow a device starts, what counts is what it does when warm. */
static void test_warm_up(void **state)
{
    const uap_work_shape shape = {
        .n_products = 1, .product = {{256, 256, 256, 2}}, .precision = UAP_FP32};
    const uap_repeat repeat = {.target_s = 10, .min = 5, .max = 9};
    uap_err err = {0};
    uap_device *device = NULL;
    uap_work_times times;
    (void)state;
    stub_is = healthy;
    assert_all(uap_device_open_table(&stub_table, 0, &device, &err) == UAP_OK);
    assert_all(uap_work_measure(ranks_comm, device, &shape, repeat, &times, &err) ==
               UAP_OK);
    uap_device_close(device);
    const double forward = stub_seconds(&shape, UAP_FORWARD);
    assert_all(check_is_close(times.forward_s, forward, 0.02, 0));
    assert_all(check_is_close(times.backward_s, 2 * forward, 0.02, 0));
    assert_all(times.mad_s < 0.05 * forward);
    assert_all(times.count == 9 * (int64_t)uap_comm_size(ranks_comm));
    assert_all(times.spent_s > 0 && times.spent_s < 100);
}

static bool times_are_right(const uap_cluster *cluster, const uap_model *model)
{
    const uap_device_class *device = cluster->device_class;
    bool good = device->n_layers > 0;
    for (int32_t i = 0; i < device->n_layers; i++) {
        const uap_layer_time *time = &device->layer[i];
        for (int32_t u = 0; u < model->n_layers; u++) {
            char key[UAP_SHAPE_KEY_BYTES];
            uap_work_shape shape;
            uap_layer_shape_key(&model->layer[u], key);
            if (strcmp(key, time->shape) != 0 ||
                strcmp(uap_layer_type_name(model->layer[u].type), time->type) != 0) {
                continue;
            }
            uap_layer_work(&model->layer[u], time->tp, time->micro_batch, UAP_BF16,
                           &shape);
            good = check_is_close(time->forward_s, stub_seconds(&shape, UAP_FORWARD),
                                  0.06, 0) &&
                   check_is_close(time->backward_s, stub_seconds(&shape, UAP_BACKWARD),
                                  0.06, 0) &&
                   time->count > 0 && time->spent_s > 0 && good;
        }
        good = time->precision == UAP_BF16 && good;
    }
    good = check_is_close(device->peak_flops[UAP_BF16], 8e12, 0.06, 0) && good;
    good = check_is_close(device->peak_flops[UAP_FP16], 4e12, 0.06, 0) && good;
    good = check_is_close(device->peak_flops[UAP_FP32], 1e12, 0.06, 0) && good;
    good = check_is_close(device->peak_flops[UAP_TF32], 2e12, 0.06, 0) && good;
    good = check_is_close(device->memory_bandwidth_Bps, 1e11, 0.06, 0) && good;
    return device->usable_bytes == (int64_t)1 << 39 && device->granularity_bytes == 512 &&
           check_is_close(device->launch_s, 3e-6, 1e-12, 0) && good;
}

/* The made-up clock falls and counts a slow-down by heat while the profile is made. */
static bool clocks_are_right(const uap_cluster *cluster, int size)
{
    char held_back[64];
    (void)snprintf(held_back, sizeof held_back, "\"held_back_ranks\": %d", size);
    return strstr(cluster->provenance, "\"mhz_before\": 2000") != NULL &&
           strstr(cluster->provenance, "\"mhz_after\": 1500") != NULL &&
           strstr(cluster->provenance, held_back) != NULL;
}

static void test_known_device(void **state)
{
    const uap_model_options of_model = {.seq = 32};
    uap_model *model = load_with(tiny_config, &of_model);
    const uap_model *const models[] = {model};
    const uap_profile_options options = options_for(models, 1);
    uap_err err = {0};
    uap_profile *profile = NULL;
    uap_cluster *cluster = NULL;
    (void)state;
    stub_is = healthy;
    stub_is.mhz = 2000;
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    stub_is.mhz = 1500;
    stub_is.throttles = 1;
    assert_all(uap_profile_run(profile, NULL, NULL, &err) == UAP_OK);
    assert_all(uap_profile_cluster(profile, "a test", &cluster, &err) == UAP_OK);
    uap_profile_free(profile);
    const bool good =
        cluster == NULL || (times_are_right(cluster, model) &&
                            clocks_are_right(cluster, uap_comm_size(ranks_comm)));
    uap_cluster_free(cluster);
    uap_model_free(model);
    assert_all(good);
}

/* Of ranks that are held back the one whose clock is lower than the others' is told, not those
 * that run as all do. */
static void test_throttled(void **state)
{
    const int size = uap_comm_size(ranks_comm), rank = uap_comm_rank(ranks_comm);
    uap_profile_options options = options_for(NULL, 0);
    uap_err err = {0};
    uap_profile *profile = NULL;
    char text[256] = "";
    (void)state;
    if (size < 3) {
        skip();
    }
    stub_is = healthy;
    stub_is.mhz = rank == size - 1 ? 900 : 1500;
    stub_is.is_held_back = rank > 0;
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    assert_all(uap_profile_run(profile, NULL, NULL, &err) == UAP_OK);
    const int32_t n = uap_profile_n_findings(profile);
    if (n == 1) {
        uap_profile_finding_text(profile, 0, text, sizeof text);
    }
    const bool is_drained = uap_profile_drain(profile)[0] != '\0';
    uap_profile_free(profile);
    assert_all(rank > 0 || (n == 1 && is_drained));
    assert_all(rank > 0 || (strstr(text, "throttled") != NULL &&
                            strstr(text, "900 MHz, usually 1500") != NULL));
}

/* How many items of the list have this text. */
static int32_t count_items(const uap_profile *profile, const char *text)
{
    int32_t n = 0;
    for (int32_t i = 0; i < uap_profile_count(profile); i++) {
        const uap_profile_item item = uap_profile_item_at(profile, i);
        n += strstr(item.what, text) != NULL;
    }
    return n;
}

/* The usual effort lists layers in the other native types too, and links one group at a time; the
 * quick one neither. */
static void test_other_types_are_listed(void **state)
{
    const uap_model_options of_model = {.seq = 32};
    uap_model *model = load_with(tiny_config, &of_model);
    const uap_model *const models[] = {model};
    uap_profile_options options = options_for(models, 1);
    int32_t n[UAP_EFFORT_COUNT][3];
    uap_err err = {0};
    (void)state;
    stub_is = healthy;
    options.list_only = true;
    options.nodes = 2;
    options.devices_per_node = 4;
    for (int effort = 0; effort < UAP_EFFORT_COUNT; effort++) {
        uap_profile *profile = NULL;
        options.effort = (uap_effort)effort;
        assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
        n[effort][0] = count_items(profile, " fp16");
        n[effort][1] = count_items(profile, " fp32");
        n[effort][2] = count_items(profile, ", alone");
        uap_profile_free(profile);
    }
    uap_model_free(model);
    for (int i = 0; i < 3; i++) {
        assert_all(n[UAP_EFFORT_QUICK][i] == 0);
        assert_all(n[UAP_EFFORT_NORMAL][i] > 0);
        assert_all(n[UAP_EFFORT_FULL][i] > 0);
    }
}

/* Work that does not fit is a hole; a device that fails on one rank ends all, with its reason. */
static void test_errors(void **state)
{
    const uap_model_options of_model = {.seq = 32};
    uap_model *model = load_with(tiny_config, &of_model);
    const uap_model *const models[] = {model};
    const uap_profile_options options = options_for(models, 1);
    const bool is_last = uap_comm_rank(ranks_comm) == uap_comm_size(ranks_comm) - 1;
    uap_err err = {0};
    uap_profile *profile = NULL;
    int32_t holes = 0;
    (void)state;
    stub_is = healthy;
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    const int64_t runs = stub_is.runs;
    stub_is.work_bytes_max = is_last ? 1 : 0;
    assert_all(uap_profile_run(profile, NULL, NULL, &err) != UAP_NO_DEVICE);
    for (int32_t i = 0; i < uap_profile_count(profile); i++) {
        holes += uap_profile_item_at(profile, i).state == UAP_ITEM_NO_MEMORY;
    }
    uap_profile_free(profile);
    assert_all(holes > 0);
    stub_is = healthy;
    stub_is.fails_at = is_last ? runs + 3 : 0;
    uap_err_clear(&err);
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    const uap_status rc = uap_profile_run(profile, NULL, NULL, &err);
    uap_profile_free(profile);
    uap_model_free(model);
    assert_all(rc == UAP_NO_DEVICE);
    assert_all(!is_last || strstr(err.msg, "made up") != NULL);
}

/* A device that hangs is found by the survey after its deadline, and the profile is made without
 * its rank, which comes back and ends in order. */
static void test_hang(void **state)
{
    const int size = uap_comm_size(ranks_comm), rank = uap_comm_rank(ranks_comm);
    uap_profile_options options = options_for(NULL, 0);
    uap_err err = {0};
    uap_profile *profile = NULL;
    int missing = 0;
    bool is_stuck = false;
    (void)state;
    if (size == 1) {
        skip();
    }
    options.stub = NULL;
    options.deadline_s = 4;
    stub_is = healthy;
    stub_is.hangs_at = rank == size - 1 ? 1 : 0;
    stub_is.hang_s = 9;
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    const uap_comm *stay = uap_profile_comm(profile);
    const bool is_left_out = rank == size - 1 ? stay == NULL : stay != NULL;
    const int32_t n = uap_profile_n_findings(profile);
    bool is_named = rank != 0;
    for (int32_t i = 0; i < n; i++) {
        char text[512];
        uap_profile_finding_text(profile, i, text, sizeof text);
        is_named = is_named || strstr(text, "silent") != NULL;
    }
    const uap_status rc = uap_profile_missing(profile, 20, &missing, &is_stuck, &err);
    uap_profile_free(profile);
    assert_all(rc == UAP_OK && missing == 0 && !is_stuck);
    assert_all(is_left_out);
    assert_all(is_named);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_warm_up),   cmocka_unit_test(test_known_device),
        cmocka_unit_test(test_throttled), cmocka_unit_test(test_other_types_are_listed),
        cmocka_unit_test(test_errors),    cmocka_unit_test(test_hang),
    };
    return RANKS_MAIN(&argc, &argv, tests);
}
