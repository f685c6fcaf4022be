/* A whole profile of a tiny model: the list, the budget, and the file that comes out. */
#include "mpi/ranks.h"

#include "common/file.h"
#include "profile/layers.h"
#include "profile/profile.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

/* Blocks of width 120, so that a whole profile takes a moment. */
static const char tiny_config[] =
    "{\"model_type\": \"bert\", \"hidden_size\": 120, \"num_hidden_layers\": 3,\n"
    " \"num_attention_heads\": 12, \"intermediate_size\": 240, \"vocab_size\": 960,\n"
    " \"max_position_embeddings\": 64, \"type_vocab_size\": 2}\n";

static char directory[256];

static void file_name(char *path, size_t n, const char *name)
{
    (void)snprintf(path, n, "%s/%s", directory, name);
}

/* Rank 0 writes the configuration into a directory that all know. */
static uap_model *load_tiny(void)
{
    const uap_model_options options = {.seq = 32};
    uap_err err = {0};
    uap_model *model = NULL;
    char path[512];
    uap_status rc = UAP_OK;
    if (uap_comm_rank(ranks_comm) == 0) {
        (void)snprintf(directory, sizeof directory, "/tmp/uniap_profile_XXXXXX");
        if (mkdtemp(directory) == NULL) {
            directory[0] = '\0';
        }
    }
    rc = uap_comm_bcast(ranks_comm, directory, sizeof directory, 0, &err);
    assert_all(rc == UAP_OK && directory[0] != '\0');
    file_name(path, sizeof path, "config.json");
    if (uap_comm_rank(ranks_comm) == 0) {
        rc = uap_file_write(path, tiny_config, strlen(tiny_config), &err);
    }
    assert_all(uap_comm_agree(ranks_comm, rc, &err) == UAP_OK);
    rc = uap_model_load(path, &options, &model, &err);
    if (rc != UAP_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
    }
    assert_all(rc == UAP_OK);
    return model;
}

static void remove_tiny(uap_model *model)
{
    static const char *const name[] = {"config.json", "cluster.json"};
    uap_model_free(model);
    if (uap_comm_rank(ranks_comm) == 0) {
        for (int i = 0; i < 2; i++) {
            char path[512];
            file_name(path, sizeof path, name[i]);
            (void)unlink(path);
        }
        (void)rmdir(directory);
    }
}

static uap_profile_options options_for(const uap_model *const *model)
{
    static const int64_t micro_batch[2] = {1, 2};
    return (uap_profile_options){.n_models = 1,
                                 .model = model,
                                 .backend = UAP_BACKEND_CPU,
                                 .precision = -1,
                                 .n_micro_batches = 2,
                                 .micro_batch = micro_batch,
                                 .effort = UAP_EFFORT_QUICK,
                                 .budget_s = HUGE_VAL};
}

/* Products with weights get more rows with the micro-batch, attention more batches; TP
 * divides what it may. */
static void test_layer_work(void **state)
{
    uap_model *model = load_tiny();
    uap_work_shape one, many;
    (void)state;
    const uap_layer *block = &model->layer[1];
    const bool is_block = block->type == UAP_LAYER_BLOCK && block->n_gemms > 0;
    uap_layer_work(block, 1, 1, UAP_FP32, &one);
    uap_layer_work(block, 4, 3, UAP_FP32, &many);
    const double flops = uap_work_flops(&one);
    const bool right = is_block && check_is_close(flops, block->flops, 1e-12, 0) &&
                       check_is_close(uap_work_flops(&many), flops * 3 / 4, 1e-12, 0) &&
                       check_is_close(one.move_elems, block->move_elems, 1e-12, 0) &&
                       many.move_elems < 3 * one.move_elems &&
                       many.move_elems > 3 * one.move_elems / 4;
    bool rows_grow = true;
    for (int32_t i = 0; i < one.n_products; i++) {
        const bool weights = block->gemm[i].split != UAP_SPLIT_BATCH;
        rows_grow =
            rows_grow && many.product[i].m == one.product[i].m * (weights ? 3 : 1);
    }
    remove_tiny(model);
    assert_all(right);
    assert_all(rows_grow);
}

static void count_calls(void *context, const uap_profile *profile, int32_t index,
                        double elapsed_s)
{
    int32_t *calls = context;
    (void)profile;
    (void)index;
    *calls += elapsed_s >= 0;
}

/* Says what does not hold; true where it does. */
static bool holds(bool what, const char *text)
{
    if (!what) {
        (void)fprintf(stderr, "it does not hold that %s\n", text);
    }
    return what;
}

#define HOLDS(what) holds(what, #what)

/* Every layer entry is of the model, finite, and at legal TP degrees. */
static bool layers_are_right(const uap_device_class *device, int size)
{
    bool good = HOLDS(device->n_layers > 0);
    bool seen_tp = false;
    for (int32_t i = 0; i < device->n_layers; i++) {
        const uap_layer_time *time = &device->layer[i];
        good = HOLDS(time->forward_s > 0 && time->backward_s > 0 && time->mad_s >= 0) &&
               HOLDS(time->forward_s < 10 && size % time->tp == 0) &&
               HOLDS(time->precision == UAP_FP32) && good;
        seen_tp = seen_tp || time->tp == size;
    }
    return HOLDS(seen_tp || 12 % size != 0) && good;
}

static bool cluster_is_right(const uap_cluster *cluster, int size)
{
    const uap_device_class *device = cluster->device_class;
    bool good = HOLDS(cluster->source == UAP_MEASURED) && HOLDS(cluster->n_classes == 1);
    good = HOLDS(uap_cluster_devices(cluster) == size) &&
           HOLDS(device->memory_bytes > 0) && good;
    good = HOLDS(device->peak_flops[UAP_FP32] > 0) && HOLDS(device->efficiency > 0) &&
           HOLDS(device->efficiency <= 1) && HOLDS(device->memory_bandwidth_Bps > 0) &&
           good;
    good = HOLDS(cluster->compute_slowdown >= 1) &&
           HOLDS(cluster->communication_slowdown >= 1) && good;
    good = layers_are_right(device, size) && good;
    good = HOLDS((cluster->n_collectives > 0) == (size > 1)) && good;
    good = HOLDS((cluster->n_p2p > 0) == (size > 1)) && good;
    for (int32_t i = 0; i < cluster->n_collectives; i++) {
        good = HOLDS(cluster->collective[i].bandwidth_Bps > 0 &&
                     cluster->collective[i].n_points > 0) &&
               good;
    }
    return HOLDS(cluster->provenance != NULL &&
                 strstr(cluster->provenance, "a test") != NULL) &&
           good;
}

static bool all_are_done(const uap_profile *profile)
{
    bool good = true;
    for (int32_t i = 0; i < uap_profile_count(profile); i++) {
        const uap_profile_item item = uap_profile_item_at(profile, i);
        if (item.state != UAP_ITEM_DONE) {
            (void)fprintf(stderr, "%s: state %d\n", item.what, (int)item.state);
            good = false;
        }
    }
    return good;
}

/* No budget: what fits in some seconds depends on what else the machine does. */
static void test_whole_profile(void **state)
{
    uap_model *model = load_tiny();
    const uap_model *const models[] = {model};
    const uap_profile_options options = options_for(models);
    const int size = uap_comm_size(ranks_comm);
    uap_err err = {0};
    uap_profile *profile = NULL;
    uap_cluster *cluster = NULL, *again = NULL;
    int32_t calls = 0;
    char path[512];
    (void)state;
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    const int32_t n = uap_profile_count(profile);
    assert_all(n >= 3 * 2 &&
               uap_profile_expected_s(profile) > 0); /* shapes, micro-batches */
    assert_all(uap_profile_run(profile, count_calls, &calls, &err) == UAP_OK);
    assert_all(calls == n + 1);
    assert_all(all_are_done(profile));
    assert_all(uap_profile_cluster(profile, "a test", &cluster, &err) == UAP_OK);
    uap_profile_free(profile);
    bool good = true;
    if (uap_comm_rank(ranks_comm) == 0) {
        file_name(path, sizeof path, "cluster.json");
        good = cluster_is_right(cluster, size) &&
               uap_cluster_save(cluster, path, &err) == UAP_OK &&
               uap_cluster_load(path, &again, &err) == UAP_OK &&
               cluster_is_right(again, size) &&
               again->n_collectives == cluster->n_collectives;
    } else {
        good = cluster == NULL;
    }
    if (!good && err.code != UAP_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
    }
    uap_cluster_free(again);
    uap_cluster_free(cluster);
    remove_tiny(model);
    assert_all(good);
}

#define MIB ((int64_t)1 << 20)

/* Beside the buffers that are measured with a rank holds little, and little more for each rank:
 * 64 MiB are far off at 80,000. */
static void test_memory(void **state)
{
    uap_profile_options options = options_for(NULL);
    const int64_t size = uap_comm_size(ranks_comm);
    /* Of sweeps (profile/links.c). */
    const int64_t buffers = 2 * (24 + 2) * MIB;
    const int64_t before = uap_mem_bytes();
    uap_err err = {0};
    uap_profile *profile = NULL;
    uap_cluster *cluster = NULL;
    (void)state;
    options.n_models = 0;
    options.budget_s = 1e-9; /* no work, whose buffers would have to be known too */
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    uap_mem_peak_reset();
    assert_all(uap_profile_run(profile, NULL, NULL, &err) == UAP_OK);
    assert_all(uap_profile_cluster(profile, "a test", &cluster, &err) == UAP_OK);
    const int64_t held = uap_mem_peak_bytes() - before - buffers;
    uap_cluster_free(cluster);
    uap_profile_free(profile);
    assert_all(held < MIB / 4 + 700 * size);
}

/* A budget of nothing: everything is listed, only links are measured, and the profile is
 * still one with devices and their speed. */
static void test_no_budget(void **state)
{
    uap_model *model = load_tiny();
    const uap_model *const models[] = {model};
    uap_profile_options options = options_for(models);
    uap_err err = {0};
    uap_profile *profile = NULL;
    uap_cluster *cluster = NULL;
    bool skipped = true;
    (void)state;
    options.budget_s = 1e-9;
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    assert_all(uap_profile_run(profile, NULL, NULL, &err) == UAP_OK);
    assert_all(uap_profile_cluster(profile, "a test", &cluster, &err) == UAP_OK);
    if (cluster != NULL) {
        skipped = cluster->device_class->n_layers == 0 &&
                  strstr(cluster->provenance, "block t32") != NULL &&
                  (cluster->n_collectives > 0) == (uap_comm_size(ranks_comm) > 1) &&
                  cluster->device_class->peak_flops[UAP_FP32] > 0;
    }
    uap_cluster_free(cluster);
    uap_profile_free(profile);
    remove_tiny(model);
    assert_all(skipped);
}

/* Types the device lacks run as fp32, and the profile says so. */
static void test_precision_note(void **state)
{
    uap_profile_options options = options_for(NULL);
    uap_err err = {0};
    uap_profile *profile = NULL;
    (void)state;
    options.n_models = 0;
    options.precision = UAP_BF16;
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    const bool said = strstr(uap_profile_note(profile), "bf16") != NULL;
    uap_profile_free(profile);
    assert_all(said);
    options.precision = -1;
    assert_all(uap_profile_new(ranks_comm, &options, &profile, &err) == UAP_OK);
    const bool silent = uap_profile_note(profile)[0] == '\0';
    uap_profile_free(profile);
    assert_all(silent);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_layer_work),     cmocka_unit_test(test_whole_profile),
        cmocka_unit_test(test_memory),         cmocka_unit_test(test_no_budget),
        cmocka_unit_test(test_precision_note),
    };
    return RANKS_MAIN(&argc, &argv, tests);
}
