/* The pool of nodes, and branching on what chains relax. */
#include "search/node.h"

#include "common/numbers.h"

#include <string.h>

void uap_node_clear(uap_node *node)
{
    for (int32_t u = 0; u < node->n_layers; u++) {
        uap_free(node->restriction.allow[u]);
    }
    uap_free(node->restriction.allow);
    *node = (uap_node){0};
}

static bool comes_first(const uap_node *a, const uap_node *b)
{
    if (a->bound != b->bound) {
        return a->bound < b->bound;
    }
    if (a->config != b->config) {
        return a->config < b->config;
    }
    return a->serial < b->serial;
}

static void swap_nodes(uap_node *a, uap_node *b)
{
    const uap_node c = *a;
    *a = *b;
    *b = c;
}

bool uap_pool_push(uap_node_pool *pool, uap_node *node)
{
    if (pool->n == pool->capacity) {
        const int32_t capacity = pool->capacity == 0 ? 64 : 2 * pool->capacity;
        uap_node *heap = uap_realloc(pool->heap, (size_t)capacity, sizeof *heap);
        if (heap == NULL) {
            return false;
        }
        pool->heap = heap;
        pool->capacity = capacity;
    }
    if (node->serial == 0) {
        node->serial = ++pool->next_serial;
    }
    int32_t i = pool->n++;
    pool->heap[i] = *node;
    *node = (uap_node){0};
    while (i > 0 && comes_first(&pool->heap[i], &pool->heap[(i - 1) / 2])) {
        swap_nodes(&pool->heap[i], &pool->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    return true;
}

uap_node uap_pool_pop(uap_node_pool *pool)
{
    const uap_node top = pool->heap[0];
    pool->heap[0] = pool->heap[--pool->n];
    int32_t i = 0;
    for (;;) {
        int32_t least = i;
        for (int32_t child = 2 * i + 1; child <= 2 * i + 2 && child < pool->n; child++) {
            least = comes_first(&pool->heap[child], &pool->heap[least]) ? child : least;
        }
        if (least == i) {
            return top;
        }
        swap_nodes(&pool->heap[i], &pool->heap[least]);
        i = least;
    }
}

void uap_pool_free(uap_node_pool *pool)
{
    for (int32_t i = 0; i < pool->n; i++) {
        uap_node_clear(&pool->heap[i]);
    }
    uap_free(pool->heap);
    *pool = (uap_node_pool){0};
}

/* The node's restrictions once more. False: no memory. */
static bool copy_restriction(const uap_instance *in, const uap_node *node, uap_node *copy)
{
    copy->restriction.allow =
        uap_calloc((size_t)copy->n_layers, sizeof *copy->restriction.allow);
    if (copy->restriction.allow == NULL) {
        copy->n_layers = 0;
        return false;
    }
    for (int32_t u = 0; u < node->n_layers; u++) {
        const uint8_t *allow = node->restriction.allow[u];
        if (allow == NULL) {
            continue;
        }
        const size_t n = (size_t)uap_table_of(in, u)->n;
        copy->restriction.allow[u] = uap_calloc(n, 1);
        if (copy->restriction.allow[u] == NULL) {
            return false;
        }
        memcpy(copy->restriction.allow[u], allow, n);
    }
    return true;
}

bool uap_node_copy(const uap_instance *in, const uap_node *node, uap_node *copy)
{
    *copy = *node;
    copy->restriction.allow = NULL;
    return node->n_layers == 0 || copy_restriction(in, node, copy);
}

/* A child with the parent's restrictions. False: no memory. */
static bool make_child(const uap_instance *in, const uap_node *node, uap_node *child)
{
    *child = (uap_node){.config = node->config,
                        .bound = node->bound,
                        .chain = node->chain,
                        .lead = node->lead,
                        .is_opened = node->is_opened,
                        .is_searched = node->is_searched,
                        .n_layers = in->n_layers};
    return copy_restriction(in, node, child);
}

/* Narrows a layer to the strategies of one class; *left is how many stay. */
static bool keep_class(const uap_instance *in, uap_node *node, int32_t layer,
                       const int32_t *class_of, int32_t wanted, int32_t *left)
{
    const int32_t n = uap_table_of(in, layer)->n;
    uint8_t *allow = node->restriction.allow[layer];
    if (allow == NULL) {
        allow = uap_calloc((size_t)n, 1);
        if (allow == NULL) {
            return false;
        }
        memset(allow, 1, (size_t)n);
        node->restriction.allow[layer] = allow;
    }
    *left = 0;
    for (int32_t k = 0; k < n; k++) {
        allow[k] = allow[k] != 0 && class_of[k] == wanted;
        *left += allow[k];
    }
    return true;
}

static bool is_allowed(const uap_node *node, int32_t layer, int32_t k)
{
    return node->n_layers == 0 || node->restriction.allow[layer] == NULL ||
           node->restriction.allow[layer][k] != 0;
}

/* True for the first strategy of its class among the allowed ones. */
static bool opens_class(const uap_node *node, int32_t layer, const int32_t *class_of,
                        int32_t k)
{
    for (int32_t j = 0; j < k; j++) {
        if (class_of[j] == class_of[k] && is_allowed(node, layer, j)) {
            return false;
        }
    }
    return is_allowed(node, layer, k);
}

/* What to split by: the classes of layers a and b (-1: of a alone), for live tensor
 * branch - 1 (0: a tie). */
typedef struct split_by {
    uap_tie tie;
    int32_t branch;
} split_by;

/* One child per class of layer a; layer b is narrowed to the same class. */
static uap_status branch_on(const uap_instance *in, const uap_node *node,
                            const split_by *by, uap_node_pool *pool, int32_t *count,
                            uap_err *err)
{
    const uap_tie *tie = &by->tie;
    const int32_t n = uap_table_of(in, tie->a)->n;
    for (int32_t k = 0; k < n; k++) {
        if (!opens_class(node, tie->a, tie->class_a, k)) {
            continue;
        }
        uap_node child;
        int32_t left_a = 0;
        int32_t left_b = 1;
        const int32_t wanted = tie->class_a[k];
        bool ok = make_child(in, node, &child) &&
                  keep_class(in, &child, tie->a, tie->class_a, wanted, &left_a);
        if (ok && tie->b >= 0) {
            ok = keep_class(in, &child, tie->b, tie->class_b, wanted, &left_b);
        }
        child.branch = by->branch;
        if (ok && left_a > 0 && left_b > 0) {
            ok = uap_pool_push(pool, &child);
            *count += ok ? 1 : 0;
        }
        uap_node_clear(&child);
        if (!ok) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
    }
    return UAP_OK;
}

/* Strategies of a producer whose tensor costs the same everywhere. */
static bool same_layout(const uap_instance *in, const uap_live_tensor *live, int32_t j,
                        int32_t k)
{
    if (live->x_fwd[j] != live->x_fwd[k] || live->x_bwd[j] != live->x_bwd[k] ||
        live->bytes[j] != live->bytes[k]) {
        return false;
    }
    for (int32_t e = 0; e < live->n_consumers; e++) {
        const int32_t n = uap_table_of(in, live->consumer[e])->n;
        const size_t bytes = (size_t)n * sizeof **live->r_fwd;
        if (memcmp(live->r_fwd[e] + (size_t)j * (size_t)n,
                   live->r_fwd[e] + (size_t)k * (size_t)n, bytes) != 0 ||
            memcmp(live->r_bwd[e] + (size_t)j * (size_t)n,
                   live->r_bwd[e] + (size_t)k * (size_t)n, bytes) != 0) {
            return false;
        }
    }
    return true;
}

int32_t uap_node_layouts(const uap_instance *instance, const uap_node *node, int32_t t,
                         int32_t *class_of)
{
    const uap_live_tensor *live = &instance->live[t];
    const int32_t n = uap_table_of(instance, live->from)->n;
    int32_t open = 0;
    for (int32_t k = 0; k < n; k++) {
        class_of[k] = k;
        for (int32_t j = 0; j < k && class_of[k] == k; j++) {
            if (class_of[j] == j && same_layout(instance, live, j, k)) {
                class_of[k] = j;
            }
        }
    }
    for (int32_t k = 0; k < n; k++) {
        open += opens_class(node, live->from, class_of, k) ? 1 : 0;
    }
    return open;
}

uap_status uap_node_branch_live(const uap_instance *in, const uap_node *node,
                                const double *score, uap_node_pool *pool, int32_t *count,
                                uap_err *err)
{
    *count = 0;
    int32_t most = 0, best = -1;
    uap_status rc = UAP_OK;
    for (int32_t t = 0; t < in->n_live; t++) {
        most = uap_max_i32(most, uap_table_of(in, in->live[t].from)->n);
    }
    int32_t *class_of = uap_calloc((size_t)most + 1, sizeof *class_of);
    if (class_of == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for layouts");
    }
    for (int32_t t = 0; t < in->n_live && (best < 0 || score != NULL); t++) {
        if ((best < 0 || score[t] > score[best]) &&
            uap_node_layouts(in, node, t, class_of) > 1) {
            best = t;
        }
    }
    if (best >= 0) {
        const split_by alone = {
            .tie = {.a = in->live[best].from, .b = -1, .class_a = class_of},
            .branch = best + 1};
        (void)uap_node_layouts(in, node, best, class_of);
        rc = branch_on(in, node, &alone, pool, count, err);
    }
    uap_free(class_of);
    return rc;
}

uap_status uap_node_branch(const uap_instance *instance, const uap_node *node,
                           const uap_choice *choice, const double *score,
                           uap_node_pool *pool, int32_t *count, uap_err *err)
{
    *count = 0;
    for (int32_t t = 0; t < instance->n_ties; t++) {
        const uap_tie *tie = &instance->tie[t];
        if (tie->class_a[choice->strategy[tie->a]] !=
            tie->class_b[choice->strategy[tie->b]]) {
            const split_by both = {.tie = *tie};
            return branch_on(instance, node, &both, pool, count, err);
        }
    }
    const uap_status rc = uap_node_branch_live(instance, node, score, pool, count, err);
    if (rc != UAP_OK || *count > 0) {
        return rc;
    }
    return UAP_FAIL(err, INTERNAL, "a relaxed plan's value does not hold");
}
