/* Plans on clusters of unlike devices: on random legal ones the check and the search's tables
 * come to the same ticks and bytes, devices are placed inside their groups, and a plan that was
 * changed is caught. */
#include "unit/plan_fixture.h"

static const char configs[] = UAP_SOURCE_DIR "/configs";

static const pair pairs[] = {
    {"bert-huge", "mix-a100-v100-t4", 32, 512, UAP_FP32, UAP_ADAM, UAP_COST_FULL, 63,
     false, false, 0},
    {"llama-7b", "mix-a100-v100-t4", 24, 2048, UAP_FP16, UAP_SGD, UAP_COST_FULL, 63,
     false, true, 40},
    {"t5-large", "mix-a100-v100-t4", 16, 512, UAP_FP32, UAP_ADAM, UAP_COST_FULL, 63,
     false, false, 0},
    {"t5-large-16", "slow-a100-32", 12, 512, UAP_BF16, UAP_ADAM, UAP_COST_PAPER, 63, true,
     false, 28},
    {"unet-sd15", "mix-a100-v100-t4", 16, 0, UAP_BF16, UAP_ADAM, UAP_COST_FULL, 63, false,
     false, 37},
    {"swin-huge", "slow-a100-32", 32, 0, UAP_FP32, UAP_ADAM, UAP_COST_FULL, 63, false,
     true, 0},
};

#define N_PAIRS    (sizeof pairs / sizeof pairs[0])
#define PLANS_EACH 40

/* A random row of the type for layer u, of tie class `class` of `tie` where not NULL; -1: none. */
static int32_t draw_row(fixture *f, const uap_instance *instance, int32_t u, int32_t type,
                        const int32_t *classes, int32_t class)
{
    const uap_layer_table *table = uap_table_of(instance, u);
    int32_t n = 0, found = -1;
    for (int32_t k = 0; k < table->n; k++) {
        if (table->type[k] == type && (classes == NULL || classes[k] == class)) {
            found = draw(f, ++n) == 0 ? k : found;
        }
    }
    return found;
}

static int32_t draw_layer(fixture *f, const uap_instance *instance,
                          const uap_choice *choice, int32_t u, int32_t type)
{
    for (int32_t i = 0; i < instance->n_ties; i++) {
        const uap_tie *tie = &instance->tie[i];
        if (tie->b == u) {
            return draw_row(f, instance, u, type, tie->class_b,
                            tie->class_a[choice->strategy[tie->a]]);
        }
    }
    /* Mostly as before: else everything would be resharding. */
    const int32_t before = u > 0 ? choice->strategy[u - 1] : 0;
    const uap_layer_table *table = uap_table_of(instance, u);
    if (draw(f, 3) > 0 && before < table->n && table->type[before] == type) {
        return before;
    }
    return draw_row(f, instance, u, type, NULL, 0);
}

/* Random cuts, types that the groups have room for, and rows; false: try again. */
static bool choose(fixture *f, const uap_instance *instance, uap_choice *choice)
{
    int64_t left[8];
    assert_true(instance->n_groups <= 8);
    memcpy(left, instance->group_devices, (size_t)instance->n_groups * sizeof left[0]);
    draw_cuts(f, instance, choice);
    for (int32_t i = 0; i < instance->pp; i++) {
        const int32_t end =
            i + 1 < instance->pp ? choice->first[i + 1] : instance->n_layers;
        const int32_t type = draw(f, instance->n_types);
        left[instance->type[type].group] -= instance->type[type].devices;
        if (left[instance->type[type].group] < 0) {
            return false;
        }
        for (int32_t u = choice->first[i]; u < end; u++) {
            choice->strategy[u] = draw_layer(f, instance, choice, u, type);
            if (choice->strategy[u] < 0) {
                return false;
            }
        }
    }
    return true;
}

static uap_plan *random_plan(fixture *f)
{
    return draw_plan(f, choose);
}

/* No device serves two stages, and a stage smaller than a node lies within one. */
static void check_devices(const fixture *f, const uap_plan *plan)
{
    bool used[1024] = {false};
    int64_t total = 0;
    for (int32_t i = 0; i < plan->pp; i++) {
        const uap_plan_stage *stage = &plan->stage[i];
        int64_t node_first = 0, node = 1;
        assert_null(stage->device_ids);
        for (int64_t d = stage->first_device; d <= stage->last_device; d++) {
            assert_false(used[d]);
            used[d] = true;
            total++;
        }
        for (int32_t g = 0; g < f->cluster->n_groups; g++) {
            const uap_node_group *group = &f->cluster->group[g];
            node = group->devices_per_node;
            if (stage->first_device < node_first + group->nodes * node) {
                assert_string_equal(stage->device_class,
                                    f->cluster->device_class[group->device_class].name);
                break;
            }
            node_first += group->nodes * node;
        }
        const int64_t from = stage->first_device - node_first;
        if (stage->last_device - stage->first_device + 1 < node) {
            assert_i64((stage->last_device - node_first) / node, from / node);
        } else {
            assert_i64(from % node, 0);
        }
    }
    assert_i64(plan->device_count, total);
    assert_i64_le(total, f->options.cost.devices > 0 ? f->options.cost.devices
                                                     : uap_cluster_devices(f->cluster));
}

static void the_check_agrees_with_the_cost_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAIRS; i++) {
        fixture f;
        set_up(&f, &pairs[i], configs);
        for (int j = 0; j < PLANS_EACH; j++) {
            uap_plan *plan = random_plan(&f);
            check_devices(&f, plan);
            assert_agrees(&f, plan);
            uap_plan_free(plan);
        }
        tear_down(&f);
    }
}

/* A plan of at least two stages. */
static uap_plan *random_pipeline(fixture *f)
{
    for (;;) {
        uap_plan *plan = random_plan(f);
        if (plan->pp > 1) {
            return plan;
        }
        uap_plan_free(plan);
    }
}

/* Links in pieces: the tables and the check choose the same line for every message. */
static void links_in_pieces_cost_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAIRS; i++) {
        fixture f;
        set_up(&f, &pairs[i], configs);
        bend_links(&f);
        for (int j = 0; j < PLANS_EACH; j++) {
            uap_plan *plan = random_plan(&f);
            assert_agrees(&f, plan);
            uap_plan_free(plan);
        }
        tear_down(&f);
    }
}

/* Changes field number `which`; false: there are no more. */
static bool tamper(const fixture *f, uap_plan *plan, int which)
{
    uap_plan_stage *last = &plan->stage[plan->pp - 1], *first = &plan->stage[0];
    switch (which) {
    case 0:
        plan->tpi_s *= 1 + 1e-8;
        return true;
    case 1:
        last->memory_cap_bytes--;
        return true;
    case 2:
        first->transfer_s += 1e-6;
        return true;
    case 3:
        last->device_class = "no such class";
        return true;
    case 4:
        last->last_device++;
        return true;
    case 5:
        last->first_device = first->first_device;
        last->last_device = first->last_device;
        return true;
    case 6:
        last->first_device += uap_cluster_devices(f->cluster);
        last->last_device += uap_cluster_devices(f->cluster);
        return true;
    case 7:
        plan->device_count--;
        return true;
    case 8:
        plan->micro_batches = plan->micro_batches == 1 ? 2 : 1;
        return true;
    default:
        return false;
    }
}

static void what_was_changed_is_found(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, &pairs[0], configs);
    for (int which = 0;; which++) {
        uap_plan *plan = random_pipeline(&f);
        const bool more = tamper(&f, plan, which);
        if (more && differences(&f, plan, true) == 0) {
            fail_msg("change %d was not found", which);
        }
        uap_plan_free(plan);
        if (!more) {
            break;
        }
    }
    tear_down(&f);
}

/* A plan by hand: the stages' classes and strategies say where they are. */
static void a_plan_by_hand_is_filled_in(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, &pairs[0], configs);
    for (int j = 0; j < 10; j++) {
        uap_plan *plan = random_pipeline(&f);
        const double tpi = plan->tpi_s;
        const int64_t count = plan->device_count, device = plan->stage[1].first_device;
        forget_head(plan);
        plan->device_count = UAP_PLAN_UNSTATED;
        for (int32_t i = 0; i < plan->pp; i++) {
            uap_plan_stage *s = &plan->stage[i];
            s->first_device = s->last_device = UAP_PLAN_UNSTATED;
            s->memory_cap_bytes = UAP_PLAN_UNSTATED;
        }
        assert_i64(differences(&f, plan, false), 0);
        assert_close(plan->tpi_s, tpi, 1e-15, 0);
        assert_i64(plan->device_count, count);
        assert_i64(plan->stage[1].first_device, device);
        plan->stage[0].first_device = UAP_PLAN_UNSTATED;
        plan->stage[0].device_class = NULL;
        assert_true(differences(&f, plan, true) > 0);
        uap_plan_free(plan);
    }
    tear_down(&f);
}

/* Like nodes apart in the file are one group: its stages may have several ranges of devices, in
 * files too. */
static void devices_may_lie_apart(void **state)
{
    (void)state;
    static const char path[] = "test_plan_mixed.json";
    static const uap_node_group apart[3] = {{1, 8, 0}, {1, 8, 1}, {2, 8, 0}};
    fixture f;
    uap_err err = {0};
    int seen = 0;
    set_up(&f, &pairs[5], configs);
    uap_cost_free(f.cost);
    uap_free(f.cluster->group);
    f.cluster->group = uap_calloc(3, sizeof *f.cluster->group);
    assert_non_null(f.cluster->group);
    memcpy(f.cluster->group, apart, sizeof apart);
    f.cluster->n_groups = 3;
    assert_ok(uap_cost_new(f.model, f.cluster, &f.options.cost, &f.cost, &err), &err);
    assert_i64(uap_cost_groups(f.cost)->n, 2);
    for (int j = 0; j < 200 && seen < 5; j++) {
        uap_plan *plan = random_plan(&f), *read = NULL;
        for (int32_t i = 0; i < plan->pp; i++) {
            seen += plan->stage[i].device_ids != NULL;
        }
        assert_ok(uap_plan_save(plan, path, &err), &err);
        assert_ok(uap_plan_load(path, &read, &err), &err);
        assert_i64(differences(&f, read, false), 0);
        for (int32_t i = 0; i < plan->pp; i++) {
            const char *ids = plan->stage[i].device_ids;
            assert_true((ids == NULL) == (read->stage[i].device_ids == NULL));
            if (ids != NULL) {
                assert_string_equal(read->stage[i].device_ids, ids);
                assert_i64(plan->stage[i].last_device >= 16, 1);
            }
        }
        uap_plan_free(plan);
        uap_plan_free(read);
    }
    assert_true(seen > 0);
    (void)remove(path);
    tear_down(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_agrees_with_the_cost_tables),
        cmocka_unit_test(links_in_pieces_cost_alike),
        cmocka_unit_test(what_was_changed_is_found),
        cmocka_unit_test(a_plan_by_hand_is_filled_in),
        cmocka_unit_test(devices_may_lie_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
