/* A binary heap or a double-ended stack of nodes of equal size. */
#include "mpi/node_pool.h"

#include "common/mem.h"

#include <assert.h>
#include <string.h>

#define FIRST_CAPACITY 64u
#define BEST_SHARED    32u /* so many of the best nodes are dealt out one by one */

static char *node_at(const uap_node_pool *pool, size_t i)
{
    return pool->slot + i * pool->problem->node_bytes;
}

uap_status uap_node_pool_init(uap_node_pool *pool, const uap_tree_problem *problem,
                              uap_err *err)
{
    *pool = (uap_node_pool){.problem = problem};
    pool->kept = uap_calloc(BEST_SHARED + 2, problem->node_bytes);
    if (pool->kept == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a pool of nodes");
    }
    return UAP_OK;
}

static void drop_node(const uap_node_pool *pool, void *node)
{
    if (pool->problem->drop != NULL) {
        pool->problem->drop(pool->problem->self, node);
    }
}

void uap_node_pool_free(uap_node_pool *pool)
{
    for (size_t i = pool->first; i < pool->end; i++) {
        drop_node(pool, node_at(pool, i));
    }
    uap_free(pool->slot);
    uap_free(pool->kept);
    *pool = (uap_node_pool){.problem = pool->problem};
}

/* Room for one more behind the end: moves a stack down over what was given away, or grows. */
static uap_status make_room(uap_node_pool *pool, uap_err *err)
{
    const size_t count = uap_node_pool_count(pool);
    if (pool->first > pool->capacity / 2) {
        memmove(pool->slot, node_at(pool, pool->first),
                count * pool->problem->node_bytes);
        pool->first = 0;
        pool->end = count;
        return UAP_OK;
    }
    /* By half, so that one step does not leap over a limit of memory. */
    const size_t capacity =
        pool->capacity == 0 ? FIRST_CAPACITY : pool->capacity + pool->capacity / 2;
    size_t bytes = 0;
    char *slot = NULL;
    if (!__builtin_mul_overflow(capacity, pool->problem->node_bytes, &bytes)) {
        slot = uap_realloc(pool->slot, bytes, 1);
    }
    if (slot == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu open nodes of %zu bytes",
                        capacity, pool->problem->node_bytes);
    }
    pool->slot = slot;
    pool->capacity = capacity;
    return UAP_OK;
}

static bool goes_before(const uap_node_pool *pool, const void *a, const void *b)
{
    return pool->problem->compare(pool->problem->self, a, b) < 0;
}

/* *node moves from the hole at i toward the root of the heap until it fits. */
static void sift_up(uap_node_pool *pool, size_t i, const void *node)
{
    const size_t bytes = pool->problem->node_bytes;
    while (i > 0 && goes_before(pool, node, node_at(pool, (i - 1) / 2))) {
        memcpy(node_at(pool, i), node_at(pool, (i - 1) / 2), bytes);
        i = (i - 1) / 2;
    }
    memcpy(node_at(pool, i), node, bytes);
}

/* *node moves from the hole at the root away from it until it fits among the n nodes. */
static void sift_down(uap_node_pool *pool, size_t n, const void *node)
{
    const size_t bytes = pool->problem->node_bytes;
    size_t i = 0;
    for (size_t child = 1; child < n; child = 2 * i + 1) {
        if (child + 1 < n &&
            goes_before(pool, node_at(pool, child + 1), node_at(pool, child))) {
            child++;
        }
        if (!goes_before(pool, node_at(pool, child), node)) {
            break;
        }
        memcpy(node_at(pool, i), node_at(pool, child), bytes);
        i = child;
    }
    memcpy(node_at(pool, i), node, bytes);
}

/* Onto the stack above a heap: of siblings the best is on top. */
static void stack_up(uap_node_pool *pool, size_t i, const void *node)
{
    const size_t bytes = pool->problem->node_bytes;
    while (i > pool->siblings && !goes_before(pool, node, node_at(pool, i - 1))) {
        memcpy(node_at(pool, i), node_at(pool, i - 1), bytes);
        i--;
    }
    memcpy(node_at(pool, i), node, bytes);
}

/* There is room. */
static void insert(uap_node_pool *pool, const void *node)
{
    const size_t i = pool->end++;
    if (pool->problem->compare == NULL) {
        memcpy(node_at(pool, i), node, pool->problem->node_bytes);
    } else if (pool->is_deep) {
        stack_up(pool, i, node);
    } else {
        pool->heap++;
        sift_up(pool, i, node);
    }
    if (uap_node_pool_count(pool) > pool->most) {
        pool->most = uap_node_pool_count(pool);
    }
}

uap_status uap_node_pool_push(uap_node_pool *pool, const void *node, uap_err *err)
{
    uap_status rc = UAP_OK;
    if (pool->end == pool->capacity) {
        UAP_TRY(make_room(pool, err));
    }
    insert(pool, node);
done:
    return rc;
}

void uap_node_pool_go_deep(uap_node_pool *pool, bool deep)
{
    if (pool->problem->compare == NULL || pool->is_deep == deep) {
        return;
    }
    pool->is_deep = deep;
    pool->siblings = pool->end;
    char *moved = pool->kept + BEST_SHARED * pool->problem->node_bytes;
    while (!deep && pool->heap < pool->end) {
        memcpy(moved, node_at(pool, pool->heap), pool->problem->node_bytes);
        sift_up(pool, pool->heap++, moved);
    }
}

static void pop_heap(uap_node_pool *pool, void *node)
{
    const size_t bytes = pool->problem->node_bytes;
    const size_t last = --pool->heap;
    memcpy(node, node_at(pool, 0), bytes);
    if (last > 0) {
        char *moved = pool->kept + BEST_SHARED * bytes;
        memcpy(moved, node_at(pool, last), bytes);
        sift_down(pool, last, moved);
    }
}

void uap_node_pool_pop(uap_node_pool *pool, void *node)
{
    assert(uap_node_pool_count(pool) > 0);
    const size_t last = --pool->end;
    if (pool->problem->compare != NULL && pool->heap > last) {
        pop_heap(pool, node); /* nothing is on top of it */
    } else {
        memcpy(node, node_at(pool, last), pool->problem->node_bytes);
    }
    pool->siblings = pool->end;
    if (pool->problem->compare == NULL && pool->first == pool->end) {
        pool->first = pool->end = 0;
    }
}

void uap_node_pool_each(const uap_node_pool *pool, uap_node_taker *take, void *context)
{
    for (size_t i = pool->first; i < pool->end; i++) {
        take(context, node_at(pool, i));
    }
}

static void give(uap_node_pool *pool, void *node, uap_node_taker *take, void *context)
{
    take(context, node);
    drop_node(pool, node);
}

/* Every second of the 2n oldest, so that giver and taker share what lies near the root: the
 * oldest half alone would be nearly all of the work. What stays moves up to the rest. */
static void split_stack(uap_node_pool *pool, size_t n, uap_node_taker *take,
                        void *context)
{
    const size_t bytes = pool->problem->node_bytes;
    const size_t first = pool->first;
    for (size_t i = 0; i < n; i++) {
        give(pool, node_at(pool, first + 2 * i), take, context);
    }
    for (size_t i = n; i-- > 0;) {
        memmove(node_at(pool, first + n + i), node_at(pool, first + 2 * i + 1), bytes);
    }
    pool->first = first + n;
}

static void split_heap(uap_node_pool *pool, size_t n, uap_node_taker *take, void *context)
{
    const size_t bytes = pool->problem->node_bytes;
    const size_t shared = n < BEST_SHARED ? n : BEST_SHARED;
    char *second = pool->kept + (BEST_SHARED + 1) * bytes;
    for (size_t i = 0; i < shared; i++) {
        uap_node_pool_pop(pool, pool->kept + i * bytes);
        uap_node_pool_pop(pool, second);
        give(pool, second, take, context);
    }
    for (size_t i = shared; i < n; i++) {
        pool->heap--;
        give(pool, node_at(pool, --pool->end), take, context);
    }
    for (size_t i = 0; i < shared; i++) {
        insert(pool, pool->kept + i * bytes);
    }
}

/* Of a heap with a stack on it: from the heap's far end; where that is not enough, every
 * second of the oldest on the stack, which are then the only ones. */
static void split_deep(uap_node_pool *pool, size_t n, uap_node_taker *take, void *context)
{
    const size_t bytes = pool->problem->node_bytes;
    const size_t from_heap = n < pool->heap ? n : pool->heap;
    for (size_t i = 0; i < from_heap; i++) {
        give(pool, node_at(pool, --pool->heap), take, context);
    }
    memmove(node_at(pool, pool->heap), node_at(pool, pool->heap + from_heap),
            (pool->end - pool->heap - from_heap) * bytes);
    pool->end -= from_heap;
    n -= from_heap;
    for (size_t i = 0; i < n; i++) {
        give(pool, node_at(pool, 2 * i), take, context);
        memcpy(node_at(pool, i), node_at(pool, 2 * i + 1), bytes);
    }
    memmove(node_at(pool, n), node_at(pool, 2 * n), (pool->end - 2 * n) * bytes);
    pool->end -= n;
    pool->siblings = pool->end;
}

void uap_node_pool_split(uap_node_pool *pool, size_t n, uap_node_taker *take,
                         void *context)
{
    assert(2 * n <= uap_node_pool_count(pool));
    if (pool->problem->compare == NULL) {
        split_stack(pool, n, take, context);
    } else if (pool->is_deep) {
        split_deep(pool, n, take, context);
    } else {
        split_heap(pool, n, take, context);
    }
}

int64_t uap_node_pool_bound(const uap_node_pool *pool)
{
    int64_t least = UAP_TREE_NO_ANSWER;
    for (size_t i = pool->first; i < pool->end; i++) {
        const int64_t bound =
            pool->problem->bound == NULL
                ? INT64_MIN
                : pool->problem->bound(pool->problem->self, node_at(pool, i));
        least = bound < least ? bound : least;
    }
    return least;
}

int64_t uap_node_pool_next_bound(const uap_node_pool *pool)
{
    if (pool->problem->bound == NULL || uap_node_pool_count(pool) == 0) {
        return UAP_TREE_NO_ANSWER;
    }
    const bool from_stack = pool->problem->compare == NULL || pool->heap < pool->end;
    const size_t next = from_stack ? pool->end - 1 : 0;
    return pool->problem->bound(pool->problem->self, node_at(pool, next));
}
