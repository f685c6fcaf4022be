/* Recorded trees: read right, refused with the line, and visited whole under a virtual clock
 * in a time that their own costs explain. */
#include "unit/check.h"

#include "bench/recorded_tree.h"
#include "bench/rng.h"
#include "bench/virtual_ranks.h"
#include "common/file.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char path[] = "/tmp/uap_recorded_tree_XXXXXX";

static void write_text(const char *text)
{
    uap_err err = {0};
    assert_ok(uap_file_write(path, text, strlen(text), &err), &err);
}

static void test_links(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_recorded_tree tree;
    write_text("uniap-tree 1\n-1 5\n0 1.5\n0 2\n1 3\n-1 0\n1 4\n");
    assert_ok(uap_recorded_tree_read(path, &tree, &err), &err);
    assert_i64(tree.n, 6);
    assert_close(tree.total_ns, 15.5, 0, 1e-12);
    static const int64_t starts[] = {0, 2, 4, 6, 6, 6, 6, 6};
    static const int64_t children[] = {0, 4, 1, 2, 3, 5};
    for (int i = 0; i < 8; i++) {
        assert_i64(tree.first_child[i], starts[i]);
    }
    for (int i = 0; i < 6; i++) {
        assert_i64(tree.child[i], children[i]);
    }
    uap_recorded_tree_free(&tree);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *where;
    } bad[] = {
        {"", ":1:"},
        {"uniap-tree 2\n", ":1:"},
        {"uniap-tree 1\n0 1\n", ":2:"},             /* its own parent */
        {"uniap-tree 1\n-1 1\n2 1\n-1 1\n", ":3:"}, /* a later one */
        {"uniap-tree 1\n-2 1\n", ":2:"},
        {"uniap-tree 1\n-1 -1\n", ":2:"},
        {"uniap-tree 1\n-1 nan\n", ":2:"},
        {"uniap-tree 1\n-1 1 1\n", ":2:"},
        {"uniap-tree 1\n-1\n", ":2:"},
        {"uniap-tree 1\nx 1\n", ":2:"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uap_err err = {0};
        uap_recorded_tree tree;
        write_text(bad[i].text);
        assert_status(uap_recorded_tree_read(path, &tree, &err), UAP_BAD_INPUT, &err);
        assert_non_null(strstr(err.msg, bad[i].where));
        assert_null(tree.child);
    }
    assert_i64(uap_mem_outstanding(), 0);
}

/* A random tree of 3,000 nodes of 1 to 100 us: 1 rank takes the sum, 8 ranks nearly an
 * eighth of it. */
static void test_time(void **state)
{
    (void)state;
    uap_err err = {0};
    uap_rng rng;
    uap_recorded_tree tree;
    const uap_tree_options options = uap_tree_options_default();
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    uap_rng_seed(&rng, 4);
    (void)fprintf(out, "uniap-tree 1\n-1 0\n");
    for (int64_t i = 1; i < 3000; i++) {
        (void)fprintf(out, "%d %d\n", (int)uap_rng_range(&rng, i / 3, i - 1),
                      (int)uap_rng_range(&rng, 1000, 100000));
    }
    assert_int_equal(fclose(out), 0);
    assert_ok(uap_recorded_tree_read(path, &tree, &err), &err);
    for (int size = 1; size <= 8; size += 7) {
        const uap_tree_problem problem = uap_recorded_tree_problem(&tree);
        const uap_virtual_machine machine = {.size = size,
                                             .ranks_per_node = 8,
                                             .worked_ns = &tree.worked_ns,
                                             .near_ns = 500,
                                             .send_ns = 100,
                                             .receive_ns = 100,
                                             .look_ns = 100,
                                             .oversleep_ns = 50000};
        uap_virtual_result result;
        assert_ok(uap_virtual_run(&problem, &options, &machine, &result, &err), &err);
        assert_i64(result.sum.nodes, 3000);
        const double best_ns = tree.total_ns / size;
        assert_true((double)result.time_ns >= best_ns);
        assert_close((double)result.time_ns, best_ns, size == 1 ? 0.005 : 0.1, 0);
    }
    uap_recorded_tree_free(&tree);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_time),
    };
    const int fd = mkstemp(path);
    if (fd < 0) {
        return 1;
    }
    (void)close(fd);
    const int failed = cmocka_run_group_tests_name("recorded_tree", tests, NULL, NULL);
    (void)unlink(path);
    return failed;
}
