/* Reading a recorded tree, and visiting it again. */
#include "bench/recorded_tree.h"

#include "common/file.h"
#include "common/mem.h"
#include "mpi/tree.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define HEADER     "uniap-tree 1\n"
#define MOST_BYTES ((size_t)1 << 32)

/* One line: parent and cost of node i. */
static uap_status read_line(const char *path, char **at, int64_t i, int64_t *parent,
                            double *cost_ns, uap_err *err)
{
    char *end = NULL;
    errno = 0;
    const long long p = strtoll(*at, &end, 10);
    bool good = end != *at && *end == ' ' && errno == 0 && p >= -1 && p < i;
    if (good) {
        *at = end + 1;
        *cost_ns = strtod(*at, &end);
        good = end != *at && *end == '\n' && isfinite(*cost_ns) && *cost_ns >= 0.0;
    }
    if (!good) {
        return UAP_FAIL(err, BAD_INPUT,
                        "%s:%lld: expected a parent from -1 to %lld and nanoseconds",
                        path, (long long)i + 2, (long long)i - 1);
    }
    *parent = p;
    *at = end + 1;
    return UAP_OK;
}

/* Children by parent, in their own order: a counting sort. */
static void link_children(uap_recorded_tree *tree, const int64_t *parent)
{
    for (int64_t i = 0; i < tree->n; i++) {
        tree->first_child[parent[i] + 2]++;
    }
    for (int64_t i = 0; i <= tree->n; i++) {
        tree->first_child[i + 1] += tree->first_child[i];
    }
    for (int64_t i = 0; i < tree->n; i++) {
        tree->child[tree->first_child[parent[i] + 1]++] = i;
    }
    /* Each start has become its own end, which is the next one's start. */
    memmove(tree->first_child + 1, tree->first_child,
            ((size_t)tree->n + 1) * sizeof *tree->first_child);
    tree->first_child[0] = 0;
}

/* Room for tree->n nodes. */
static uap_status alloc_tree(uap_recorded_tree *tree, uap_err *err)
{
    const size_t n = (size_t)tree->n;
    tree->cost_ns = uap_calloc(n, sizeof *tree->cost_ns);
    tree->child = uap_calloc(n, sizeof *tree->child);
    tree->first_child = uap_calloc(n + 2, sizeof *tree->first_child);
    if (tree->cost_ns == NULL || tree->child == NULL || tree->first_child == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu nodes", n);
    }
    return UAP_OK;
}

uap_status uap_recorded_tree_make(int64_t n, const int64_t *parent, const double *cost_ns,
                                  uap_recorded_tree *tree, uap_err *err)
{
    *tree = (uap_recorded_tree){.n = n};
    const uap_status rc = alloc_tree(tree, err);
    if (rc != UAP_OK) {
        uap_recorded_tree_free(tree);
        return rc;
    }
    for (int64_t i = 0; i < n; i++) {
        tree->cost_ns[i] = cost_ns[i];
        tree->total_ns += cost_ns[i];
    }
    link_children(tree, parent);
    return UAP_OK;
}

static uap_status read_nodes(const char *path, char *at, uap_recorded_tree *tree,
                             int64_t *parent, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int64_t i = 0; i < tree->n; i++) {
        UAP_TRY(read_line(path, &at, i, &parent[i], &tree->cost_ns[i], err));
        tree->total_ns += tree->cost_ns[i];
    }
    link_children(tree, parent);
done:
    return rc;
}

uap_status uap_recorded_tree_read(const char *path, uap_recorded_tree *tree, uap_err *err)
{
    uap_status rc = UAP_OK;
    char *text = NULL;
    int64_t *parent = NULL;
    size_t n_bytes = 0;
    *tree = (uap_recorded_tree){.n = 0};
    UAP_TRY(uap_file_read(path, MOST_BYTES, &text, &n_bytes, err));
    if (strncmp(text, HEADER, strlen(HEADER)) != 0) {
        rc = UAP_FAIL(err, BAD_INPUT, "%s:1: expected \"uniap-tree 1\"", path);
        goto done;
    }
    for (size_t i = strlen(HEADER); i < n_bytes; i++) {
        tree->n += text[i] == '\n';
    }
    UAP_TRY(alloc_tree(tree, err));
    parent = uap_calloc((size_t)tree->n, sizeof *parent);
    if (parent == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %lld nodes", (long long)tree->n);
        goto done;
    }
    UAP_TRY(read_nodes(path, text + strlen(HEADER), tree, parent, err));
done:
    uap_free(parent);
    uap_free(text);
    if (rc != UAP_OK) {
        uap_recorded_tree_free(tree);
    }
    return rc;
}

void uap_recorded_tree_free(uap_recorded_tree *tree)
{
    uap_free(tree->cost_ns);
    uap_free(tree->child);
    uap_free(tree->first_child);
    uap_free(tree->order);
    *tree = (uap_recorded_tree){.n = 0};
}

static uap_status add_children(const uap_recorded_tree *recorded, int64_t node,
                               uap_tree *tree, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int64_t i = recorded->first_child[node + 1]; i < recorded->first_child[node + 2];
         i++) {
        UAP_TRY(uap_tree_add(tree, &recorded->child[i], err));
    }
done:
    return rc;
}

static uap_status add_roots(void *self, uap_tree *tree, uap_err *err)
{
    const uap_recorded_tree *recorded = self;
    const int64_t own = uap_tree_rank(tree);
    if (!recorded->is_dealt) {
        return add_children(recorded, -1, tree, err);
    }
    return own < recorded->first_child[1] ? uap_tree_add(tree, &recorded->child[own], err)
                                          : UAP_OK;
}

static uap_status branch(void *self, const void *node, uap_tree *tree, uap_err *err)
{
    uap_recorded_tree *recorded = self;
    int64_t i;
    memcpy(&i, node, sizeof i);
    recorded->worked_ns += recorded->cost_ns[i];
    return add_children(recorded, i, tree, err);
}

static int by_order(void *self, const void *a, const void *b)
{
    const uap_recorded_tree *recorded = self;
    int64_t i, k;
    memcpy(&i, a, sizeof i);
    memcpy(&k, b, sizeof k);
    const int32_t x = recorded->order[i], y = recorded->order[k];
    return (x > y) - (x < y);
}

uap_tree_problem uap_recorded_tree_problem(uap_recorded_tree *tree)
{
    return (uap_tree_problem){.self = tree,
                              .node_bytes = sizeof(int64_t),
                              .packed_max = sizeof(int64_t),
                              .has_roots_everywhere = tree->is_dealt,
                              .root = add_roots,
                              .branch = branch,
                              .compare = tree->order != NULL ? by_order : NULL};
}
