/* The pool of open nodes: its order, and that sharing it loses and repeats nothing. Victims
 * are chosen here too: never oneself, everybody in the end, near ones first. */
#include "unit/check.h"

#include "bench/rng.h"
#include "bench/sha1.h"
#include "mpi/node_pool.h"
#include "mpi/victim.h"

#include <string.h>

#define MOST 3000

typedef struct item {
    int64_t key, id;
} item;

static int compare_items(void *self, const void *a, const void *b)
{
    const item *x = a, *y = b;
    (void)self;
    return (x->key > y->key) - (x->key < y->key);
}

static int64_t bound_item(void *self, const void *node)
{
    const item *x = node;
    (void)self;
    return x->key;
}

static uap_tree_problem items(bool heap)
{
    return (uap_tree_problem){.node_bytes = sizeof(item),
                              .packed_max = sizeof(item),
                              .bound = bound_item,
                              .compare = heap ? compare_items : NULL};
}

typedef struct taken {
    int64_t n;
    item item[MOST];
} taken;

static void take(void *context, const void *node)
{
    taken *t = context;
    memcpy(&t->item[t->n++], node, sizeof(item));
}

/* Pushes, pops and splits at random; every item leaves exactly once. */
static void churn(bool heap, bool goes_deep, uint64_t seed)
{
    static taken given;
    static char seen[MOST];
    const uap_tree_problem problem = items(heap);
    uap_node_pool pool;
    uap_err err = {0};
    uap_rng rng;
    int64_t pushed = 0;
    given.n = 0;
    memset(seen, 0, sizeof seen);
    uap_rng_seed(&rng, seed);
    assert_ok(uap_node_pool_init(&pool, &problem, &err), &err);
    while (pushed < MOST || uap_node_pool_count(&pool) > 0) {
        const size_t count = uap_node_pool_count(&pool);
        const int64_t what = uap_rng_range(&rng, 0, 99);
        if (goes_deep && uap_rng_chance(&rng, 0.05)) {
            uap_node_pool_go_deep(&pool, uap_rng_chance(&rng, 0.5));
        }
        if (pushed < MOST && what < 55) {
            const item x = {uap_rng_range(&rng, 0, 50), pushed++};
            assert_ok(uap_node_pool_push(&pool, &x, &err), &err);
        } else if (what < 97 && count > 0) {
            item x = {0};
            if (heap && pool.is_deep) {
                const int64_t next = uap_node_pool_next_bound(&pool);
                uap_node_pool_pop(&pool, &x);
                assert_i64(x.key, next);
            } else if (heap) { /* the least first */
                const int64_t least = uap_node_pool_bound(&pool);
                uap_node_pool_pop(&pool, &x);
                assert_i64(x.key, least);
            } else {
                uap_node_pool_pop(&pool, &x);
            }
            assert_false(seen[x.id]++);
        } else if (count > 1) {
            const int64_t before = given.n;
            uap_node_pool_split(&pool, (size_t)uap_rng_range(&rng, 1, (int64_t)count / 2),
                                take, &given);
            for (int64_t i = before; i < given.n; i++) {
                assert_false(seen[given.item[i].id]++);
            }
        }
    }
    for (int64_t i = 0; i < MOST; i++) {
        assert_true(seen[i]);
    }
    uap_node_pool_free(&pool);
}

static void test_nothing_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        churn(false, false, seed);
        churn(true, false, seed);
        churn(true, true, seed);
        churn(false, true, seed);
    }
    assert_i64(uap_mem_outstanding(), 0);
}

static void test_stack_shares_its_oldest(void **state)
{
    (void)state;
    const uap_tree_problem problem = items(false);
    uap_node_pool pool;
    uap_err err = {0};
    taken given = {.n = 0};
    item x = {0};
    assert_ok(uap_node_pool_init(&pool, &problem, &err), &err);
    for (int64_t i = 0; i < 7; i++) {
        assert_ok(uap_node_pool_push(&pool, &(item){i, i}, &err), &err);
    }
    uap_node_pool_split(&pool, 2, take, &given);
    assert_i64(given.n, 2);
    assert_i64(given.item[0].id, 0);
    assert_i64(given.item[1].id, 2);
    static const int64_t left[] = {6, 5, 4, 3, 1};
    for (int i = 0; i < 5; i++) {
        uap_node_pool_pop(&pool, &x);
        assert_i64(x.id, left[i]);
    }
    assert_i64(uap_node_pool_bound(&pool), UAP_TREE_NO_ANSWER);
    uap_node_pool_free(&pool);
}

/* Deep: the newest first, of siblings the best; then the heap in its order. */
static void test_deep_order(void **state)
{
    (void)state;
    const uap_tree_problem problem = items(true);
    uap_node_pool pool;
    uap_err err = {0};
    item x = {0};
    static const int64_t shallow[] = {5, 1, 3}, siblings[] = {9, 7, 8}, more[] = {12, 11};
    static const int64_t order[] = {11, 12, 8, 9, 1, 3, 5};
    assert_ok(uap_node_pool_init(&pool, &problem, &err), &err);
    for (int64_t i = 0; i < 3; i++) {
        assert_ok(uap_node_pool_push(&pool, &(item){shallow[i], i}, &err), &err);
    }
    uap_node_pool_go_deep(&pool, true);
    for (int64_t i = 0; i < 3; i++) {
        assert_ok(uap_node_pool_push(&pool, &(item){siblings[i], i}, &err), &err);
    }
    assert_i64(uap_node_pool_bound(&pool), 1);
    uap_node_pool_pop(&pool, &x);
    assert_i64(x.key, 7);
    for (int64_t i = 0; i < 2; i++) {
        assert_ok(uap_node_pool_push(&pool, &(item){more[i], i}, &err), &err);
    }
    for (int i = 0; i < 7; i++) {
        assert_i64(uap_node_pool_next_bound(&pool), order[i]);
        uap_node_pool_pop(&pool, &x);
        assert_i64(x.key, order[i]);
    }
    uap_node_pool_free(&pool);
}

static void test_heap_shares_its_best(void **state)
{
    (void)state;
    const uap_tree_problem problem = items(true);
    uap_node_pool pool;
    uap_err err = {0};
    taken given = {.n = 0};
    assert_ok(uap_node_pool_init(&pool, &problem, &err), &err);
    for (int64_t i = 0; i < 100; i++) {
        assert_ok(uap_node_pool_push(&pool, &(item){i * 37 % 100, i}, &err), &err);
    }
    uap_node_pool_split(&pool, 50, take, &given);
    assert_i64(given.n, 50);
    assert_i64(uap_node_pool_bound(&pool), 0);
    for (int64_t i = 0; i < 32; i++) {
        assert_i64(given.item[i].key, 2 * i + 1);
    }
    uap_node_pool_free(&pool);
}

static void test_victims(void **state)
{
    (void)state;
    enum { SIZE = 40 };
    static const int near_ranks[] = {16, 17, 18, 19};
    int asked[SIZE] = {0};
    uap_victims victims;
    const uap_transport net = {
        .rank = 17, .size = SIZE, .near_ranks = near_ranks, .n_near = 4};
    uap_victims_init(&victims, &net, 5);
    for (int i = 0; i < 5000; i++) {
        const int r = uap_victims_next(&victims);
        assert_true(r >= 0 && r < SIZE && r != 17);
        if (victims.tries == 1) {
            assert_true(r >= 16 && r < 20);
        }
        asked[r]++;
        (void)uap_victims_round_over(&victims);
    }
    for (int r = 0; r < SIZE; r++) {
        assert_true(r == 17 || asked[r] > 0);
    }
    assert_true(2 * asked[15] > 3 * asked[37]);
    uap_victims_gave(&victims, 33);
    assert_int_equal(uap_victims_next(&victims), 33);
}

static void test_sha1(void **state)
{
    (void)state;
    /* FIPS 180-4's example, and the longest that fits. */
    static const uint8_t abc[] = {0xa9, 0x99, 0x3e, 0x36, 0x47, 0x06, 0x81,
                                  0x6a, 0xba, 0x3e, 0x25, 0x71, 0x78, 0x50,
                                  0xc2, 0x6c, 0x9c, 0xd0, 0xd8, 0x9d};
    static const uint8_t empty[] = {0xda, 0x39, 0xa3, 0xee, 0x5e, 0x6b, 0x4b,
                                    0x0d, 0x32, 0x55, 0xbf, 0xef, 0x95, 0x60,
                                    0x18, 0x90, 0xaf, 0xd8, 0x07, 0x09};
    uint8_t digest[UAP_SHA1_BYTES];
    uap_sha1_short((const uint8_t *)"abc", 3, digest);
    assert_memory_equal(digest, abc, sizeof abc);
    uap_sha1_short(abc, 0, digest);
    assert_memory_equal(digest, empty, sizeof empty);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost),
        cmocka_unit_test(test_stack_shares_its_oldest),
        cmocka_unit_test(test_deep_order),
        cmocka_unit_test(test_heap_shares_its_best),
        cmocka_unit_test(test_victims),
        cmocka_unit_test(test_sha1),
    };
    return cmocka_run_group_tests_name("node_pool", tests, NULL, NULL);
}
