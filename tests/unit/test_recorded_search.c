/* A plan search written down as a crew's jobs, and spread over ranks under a virtual clock:
 * it finds what the engine finds, and no number of ranks beats the work divided. */
#include "unit/check.h"

#include "bench/generate.h"
#include "bench/steal_search.h"

static const uap_generate_large medium = {.family = UAP_FAMILY_RANDOM,
                                          .schedule = UAP_SCHEDULE_1F1B,
                                          .n_layers = 20,
                                          .n_strategies = 10,
                                          .pp = 4,
                                          .micro_batches = 8,
                                          .tightness = 0.3,
                                          .unequal_caps = true,
                                          .seed = 5};

/* Every job is shared, however small. */
static const uap_limits share_all = {.share_work = 1, .long_run_s = -1};

static void record_medium(uap_recorded_search *search)
{
    uap_err err = {0};
    uap_instance *in = NULL;
    assert_ok(uap_generate_family(&medium, &in, &err), &err);
    const uap_source source = uap_source_of_instance(in);
    assert_ok(uap_recorded_search_make(&source, &share_all, search, &err), &err);
    uap_instance_free(in);
}

static void test_the_plan_is_the_engines(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *in = NULL;
    uap_result result;
    uap_recorded_search search;
    record_medium(&search);
    assert_ok(uap_generate_family(&medium, &in, &err), &err);
    const uap_source source = uap_source_of_instance(in);
    assert_ok(uap_exact_solve(&source, NULL, &result, &err), &err);
    assert_int_equal(search.outcome, UAP_OUTCOME_OPTIMAL);
    assert_i64(search.value, result.value);
    uap_result_free(&result);
    uap_instance_free(in);
    uap_recorded_search_free(&search);
}

static void test_every_task_is_written_down(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_recorded_search search;
    double sum_ns = 0;
    record_medium(&search);
    assert_true(search.n_jobs > 0);
    assert_true(search.meetings >= 2 * search.n_jobs);
    assert_true(search.alone_ns > 0);
    for (int32_t i = 0; i < search.n_jobs; i++) {
        const uap_recorded_job *job = &search.job[i];
        assert_true(job->n >= 2);
        for (int size = 1; size <= 5; size += 2) {
            uap_recorded_tree tree;
            assert_ok(uap_recorded_job_tree(job, size, &tree, &err), &err);
            assert_int_equal(tree.first_child[1], size < job->n ? size : job->n);
            assert_true(tree.n >= job->n);
            sum_ns += tree.total_ns / 3;
            uap_recorded_tree_free(&tree);
        }
    }
    assert_close(sum_ns, search.shared_ns, 1e-9, 1);
    assert_true(search.longest_ns <= search.shared_ns);
    uap_recorded_search_free(&search);
}

/* No rank does another's work twice, none for nothing, and all wait for what one does
 * alone. */
static void test_ranks_divide_the_jobs(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_recorded_search search;
    const uap_tree_options options = uap_tree_options_default();
    record_medium(&search);
    const double all_ns = search.alone_ns + search.shared_ns;
    for (int size = 1; size <= 16; size *= 4) {
        const uap_virtual_machine machine = {.size = size,
                                             .ranks_per_node = 8,
                                             .near_ns = 500,
                                             .far_ns = 2000,
                                             .send_ns = 100,
                                             .receive_ns = 100,
                                             .look_ns = 60,
                                             .seed = 1};
        uap_steal_search found;
        assert_ok(uap_steal_search_run(&search, &options, &machine, &found, &err), &err);
        assert_false(found.differs);
        assert_true(found.time_ns >= search.alone_ns + search.shared_ns / size);
        if (size == 1) {
            assert_close(found.time_ns, all_ns, 1e-12, 0);
        } else {
            assert_true(found.meet_ns > 0);
            assert_true(found.won > 0);
        }
    }
    uap_recorded_search_free(&search);
}

static void test_a_stopped_search_is_kept(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_instance *in = NULL;
    uap_recorded_search search;
    const uap_limits limits = {.share_work = 1, .time_limit_s = 1e-9};
    assert_ok(uap_generate_family(&medium, &in, &err), &err);
    const uap_source source = uap_source_of_instance(in);
    assert_ok(uap_recorded_search_make(&source, &limits, &search, &err), &err);
    assert_true(search.outcome == UAP_OUTCOME_UNKNOWN ||
                search.outcome == UAP_OUTCOME_FEASIBLE);
    uap_recorded_search_free(&search);
    uap_instance_free(in);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_plan_is_the_engines),
        cmocka_unit_test(test_every_task_is_written_down),
        cmocka_unit_test(test_ranks_divide_the_jobs),
        cmocka_unit_test(test_a_stopped_search_is_kept),
    };
    return cmocka_run_group_tests_name("recorded_search", tests, NULL, check_no_leaks);
}
