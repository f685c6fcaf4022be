/* The check of a plan against the search's own cost tables: on random legal plans of many
 * models, clusters and options both must come to the same ticks and bytes, and a plan that
 * was changed in one place must be caught. */
#include "unit/plan_fixture.h"

static const char configs[] = UAP_SOURCE_DIR "/configs";

static const pair pairs[] = {
    {"bert-huge", "env-a", 32, 512, UAP_FP32, UAP_ADAM, UAP_COST_FULL, 63, false, false,
     0},
    {"bert-huge", "env-b", 16, 512, UAP_FP16, UAP_SGD, UAP_COST_FULL, 63, true, true, 0},
    {"vit-huge", "env-b", 64, 0, UAP_FP32, UAP_SGD, UAP_COST_FULL, 63, false, false, 0},
    {"swin-huge", "env-b", 32, 0, UAP_FP32, UAP_ADAM, UAP_COST_PAPER, 11, false, false,
     0},
    {"swin-huge", "env-d", 32, 0, UAP_BF16, UAP_ADAM, UAP_COST_FULL, 63, false, true, 0},
    {"t5-large", "env-a", 16, 512, UAP_FP32, UAP_ADAM, UAP_COST_FULL, 63, false, false,
     0},
    {"t5-large-16", "env-b", 8, 512, UAP_FP32, UAP_ADAM, UAP_COST_PAPER, 63, true, true,
     0},
    {"llama-7b", "env-c", 8, 2048, UAP_FP16, UAP_ADAM, UAP_COST_FULL, 63, false, false,
     0},
    {"llama-7b", "env-c", 8, 2048, UAP_FP16, UAP_ADAM, UAP_COST_PAPER, 11, false, false,
     0},
    {"llama-3.1-8b", "h100-16", 48, 4096, UAP_BF16, UAP_ADAM, UAP_COST_FULL, 63, true,
     true, 0},
    {"unet-sd15", "env-b", 16, 0, UAP_BF16, UAP_ADAM, UAP_COST_FULL, 63, false, false, 0},
    {"unet-sd15", "env-a", 8, 0, UAP_FP32, UAP_ADAM, UAP_COST_PAPER, 63, false, true, 0},
};

#define N_PAIRS    (sizeof pairs / sizeof pairs[0])
#define PLANS_EACH 60

/* Distinct random cuts, and strategies that keep the ties. Half of the plans change strategy
 * rarely: others would be all resharding. */
static bool choose(fixture *f, const uap_instance *instance, uap_choice *choice)
{
    const bool steady = draw(f, 2) == 0;
    draw_cuts(f, instance, choice);
    for (int32_t u = 0; u < instance->n_layers; u++) {
        const int32_t n = uap_table_of(instance, u)->n;
        const int32_t before = u > 0 ? choice->strategy[u - 1] : 0;
        choice->strategy[u] =
            steady && u > 0 && draw(f, 8) > 0 && before < n ? before : draw(f, n);
    }
    for (int32_t i = 0; i < instance->n_ties; i++) {
        const uap_tie *tie = &instance->tie[i];
        const int32_t a = choice->strategy[tie->a];
        while (tie->class_b[choice->strategy[tie->b]] != tie->class_a[a]) {
            choice->strategy[tie->b] = draw(f, uap_table_of(instance, tie->b)->n);
        }
    }
    return true;
}

static uap_plan *random_plan(fixture *f)
{
    return draw_plan(f, choose);
}

static void the_check_agrees_with_the_cost_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAIRS; i++) {
        fixture f;
        set_up(&f, &pairs[i], configs);
        for (int j = 0; j < PLANS_EACH; j++) {
            uap_plan *plan = random_plan(&f);
            assert_agrees(&f, plan);
            uap_plan_free(plan);
        }
        tear_down(&f);
    }
}

/* Gives the cluster measured times of every layer at TP degrees 1 and 4 and micro-batches 2
 * and 5, so that all ways to interpolate are gone. */
static void measure(fixture *f)
{
    static const int32_t tp[2] = {1, 4}, micro_batch[2] = {2, 5};
    uap_device_class *device = &f->cluster->device_class[0];
    const size_t n = (size_t)f->model->n_layers * 4;
    uap_layer_time *entry = uap_calloc(n, sizeof *entry);
    assert_non_null(entry);
    assert_i64(device->n_layers, 0);
    uap_free(device->layer); /* of no entries */
    device->layer = entry;
    for (int32_t u = 0; u < f->model->n_layers; u++) {
        const uap_layer *layer = &f->model->layer[u];
        for (int i = 0; i < 4; i++, entry++) {
            (void)snprintf(entry->type, sizeof entry->type, "%s",
                           uap_layer_type_name(layer->type));
            uap_layer_shape_key(layer, entry->shape);
            entry->tp = tp[i / 2];
            entry->micro_batch = micro_batch[i % 2];
            entry->precision = f->options.cost.precision;
            /* One set of times for a shape, whichever of its layers is found. */
            entry->forward_s = 1e-3 * (layer->shape + 1) * (1 + i * 0.7);
            entry->backward_s = 1.9 * entry->forward_s + 1e-4;
        }
    }
    device->n_layers = (int32_t)n;
}

static void measured_times_are_interpolated_alike(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        fixture f;
        set_up(&f, &pairs[i * 4], configs);
        uap_cost_free(f.cost);
        measure(&f);
        uap_err err = {0};
        assert_ok(uap_cost_new(f.model, f.cluster, &f.options.cost, &f.cost, &err), &err);
        for (int j = 0; j < PLANS_EACH; j++) {
            uap_plan *plan = random_plan(&f);
            assert_i64(differences(&f, plan, false), 0);
            uap_plan_free(plan);
        }
        tear_down(&f);
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
            assert_i64(differences(&f, plan, false), 0);
            uap_plan_free(plan);
        }
        tear_down(&f);
    }
}

/* The same plans (the same random numbers) on bent links take another time. */
static void pieces_change_the_plan_s_time(void **state)
{
    fixture f, bent_one;
    (void)state;
    set_up(&f, &pairs[0], configs);
    set_up(&bent_one, &pairs[0], configs);
    bend_links(&bent_one);
    int32_t changed = 0;
    for (int j = 0; j < PLANS_EACH; j++) {
        uap_plan *plain = random_plan(&f), *other = random_plan(&bent_one);
        changed += plain->tpi_s < other->tpi_s || plain->tpi_s > other->tpi_s;
        uap_plan_free(plain);
        uap_plan_free(other);
    }
    assert_true(changed > PLANS_EACH / 2);
    tear_down(&f);
    tear_down(&bent_one);
}

/* Changes field number `which`; false: there are no more. */
static bool tamper(uap_plan *plan, int which)
{
    uap_plan_stage *stage = &plan->stage[plan->pp - 1];
    uap_strategy *strategy = &plan->layer[plan->n_layers / 2].strategy;
    switch (which) {
    case 0:
        plan->tpi_s *= 1 + 1e-8;
        return true;
    case 1:
        stage->memory_bytes++;
        return true;
    case 2:
        stage->memory_cap_bytes--;
        return true;
    case 3:
        stage->time_s *= 1 + 1e-8;
        return true;
    case 4:
        stage->per_iteration_s += 1e-6;
        return true;
    case 5:
        plan->stage[0].transfer_s += 1e-6;
        return true;
    case 6:
        strategy->recompute = !strategy->recompute;
        return true;
    case 7:
        strategy->tp *= 2;
        return true;
    case 8:
        plan->batch *= 2;
        return true;
    case 9:
        plan->micro_batches = plan->micro_batches == 1 ? 2 : 1;
        return true;
    case 10:
        plan->bound_s *= 1.001;
        return true;
    case 11:
        plan->throughput_samples_per_s *= 0.999;
        return true;
    case 12:
        stage->first_device++;
        return true;
    case 13:
        plan->device_count /= 2;
        return true;
    case 14:
        plan->model.sha256[0] = plan->model.sha256[0] == '0' ? '1' : '0';
        return true;
    case 15:
        plan->gap = 0.01;
        return true;
    case 16:
        plan->layer[1].name = "nobody";
        return true;
    case 17:
        plan->options.cost.optimizer =
            plan->options.cost.optimizer == UAP_ADAM ? UAP_SGD : UAP_ADAM;
        return true;
    default:
        return false;
    }
}

static void a_change_in_one_field_is_caught(void **state)
{
    (void)state;
    for (size_t i = 0; i < N_PAIRS; i += 3) {
        fixture f;
        set_up(&f, &pairs[i], configs);
        bool more = true;
        for (int which = 0; more; which++) {
            uap_plan *plan = random_plan(&f);
            more = tamper(plan, which);
            if (more && differences(&f, plan, true) == 0) {
                fail_msg("%s: change %d of pp %d, c %" PRId64 " was not found",
                         pairs[i].model, which, (int)plan->pp, plan->micro_batches);
            }
            uap_plan_free(plan);
        }
        tear_down(&f);
    }
}

static void a_cut_that_moves_is_caught(void **state)
{
    (void)state;
    fixture f;
    int tried = 0;
    set_up(&f, &pairs[2], configs);
    while (tried < 10) {
        uap_plan *plan = random_plan(&f);
        if (plan->pp > 1 && plan->stage[0].last_layer > 0) {
            tried++;
            plan->layer[plan->stage[0].last_layer].stage = 1;
            plan->stage[0].last_layer--;
            plan->stage[1].first_layer--;
            assert_true(differences(&f, plan, true) > 0);
        }
        uap_plan_free(plan);
    }
    tear_down(&f);
}

static void a_plan_that_does_not_fit_is_said(void **state)
{
    (void)state;
    uap_err err = {0};
    fixture f;
    uap_check check = {0};
    set_up(&f, &pairs[0], configs);
    uap_plan *plan = random_plan(&f);
    plan->options.cost.memory_bytes = (int64_t)3 << 29; /* less 1 GiB: 1/2 GiB */
    for (int32_t i = 0; i < plan->pp; i++) {
        plan->stage[i].memory_cap_bytes = (int64_t)1 << 29;
    }
    assert_ok(uap_check_plan(plan, f.model, f.cluster, &check, &err), &err);
    assert_true(check.derived);
    assert_false(check.fits);
    assert_true(check.n > 0);
    assert_non_null(strstr(check.line[0], "does not fit"));
    uap_check_free(&check);
    uap_plan_free(plan);
    tear_down(&f);
}

static void what_is_unstated_is_filled_in(void **state)
{
    (void)state;
    fixture f;
    set_up(&f, &pairs[5], configs);
    for (int j = 0; j < 10; j++) {
        uap_plan *plan = random_plan(&f);
        const double tpi = plan->tpi_s, time = plan->stage[0].time_s;
        const int64_t memory = plan->stage[0].memory_bytes;
        forget_head(plan);
        for (int32_t i = 0; i < plan->pp; i++) {
            uap_plan_stage *s = &plan->stage[i];
            s->first_device = s->last_device = UAP_PLAN_UNSTATED;
            s->device_class = NULL;
            s->time_s = s->transfer_s = s->per_iteration_s = UAP_PLAN_UNSTATED;
            s->memory_bytes = s->memory_cap_bytes = UAP_PLAN_UNSTATED;
        }
        assert_i64(differences(&f, plan, false), 0);
        assert_close(plan->tpi_s, tpi, 1e-15, 0);
        assert_close(plan->stage[0].time_s, time, 1e-15, 0);
        assert_i64(plan->stage[0].memory_bytes, memory);
        assert_i64(plan->stage[0].first_device, 0);
        assert_non_null(plan->stage[0].device_class);
        uap_plan_free(plan);
    }
    tear_down(&f);
}

static void running_out_of_memory_is_an_error(void **state)
{
    (void)state;
    fixture f;
    uap_status rc = UAP_NO_MEMORY;
    set_up(&f, &pairs[0], configs);
    uap_plan *plan = random_plan(&f);
    for (int64_t n = 0; rc != UAP_OK && n < 100; n++) {
        uap_err err = {0};
        uap_check check = {0};
        uap_mem_fail_after(n);
        rc = uap_check_plan(plan, f.model, f.cluster, &check, &err);
        uap_mem_fail_after(-1);
        assert_true(rc == UAP_OK || rc == UAP_NO_MEMORY);
        assert_true(n > 0 || rc == UAP_NO_MEMORY);
        uap_check_free(&check);
    }
    assert_int_equal(rc, UAP_OK);
    uap_plan_free(plan);
    tear_down(&f);
    assert_i64(uap_mem_outstanding(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_check_agrees_with_the_cost_tables),
        cmocka_unit_test(links_in_pieces_cost_alike),
        cmocka_unit_test(pieces_change_the_plan_s_time),
        cmocka_unit_test(measured_times_are_interpolated_alike),
        cmocka_unit_test(a_change_in_one_field_is_caught),
        cmocka_unit_test(a_cut_that_moves_is_caught),
        cmocka_unit_test(a_plan_that_does_not_fit_is_said),
        cmocka_unit_test(what_is_unstated_is_filled_in),
        cmocka_unit_test(running_out_of_memory_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
