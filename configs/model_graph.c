/* Graphs: a model given as nodes with amounts and edges with bytes ("format":
 * "uniap-graph", docs/formats.md). The order of the nodes is the layout that stages cut.
 * Edges between neighbours become the chain, other edges live tensors. It knows no
 * operators: what a node computes is what the file says it costs. */
#include "configs/model_build.h"

#include "common/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_BYTES     1e15 /* of one node or edge, per sample */
#define MAX_FLOPS     1e21
#define MAX_DIMENSION ((int64_t)1 << 31)
#define MAX_TP        ((int64_t)1 << 20)
#define MAX_EDGES     ((size_t)1 << 22)

/* A name and the node it belongs to, for look-ups. */
typedef struct entry {
    const char *name;
    int32_t node;
} entry;

typedef struct edge {
    int32_t from, to;
    double bytes;
    size_t index; /* in the file */
} edge;

typedef struct graph {
    uap_builder *builder;
    double element_bytes;
    int32_t n_nodes;
    int32_t n_edges;
    entry *name;      /* [n_nodes] by name */
    edge *edge;       /* [n_edges] by from, bytes and to */
    double *chain_in; /* [n_nodes] bytes from the node before, along the chain */
    double *out;      /* [n_nodes] the most bytes of an edge that leaves */
} graph;

/* ---- Nodes -------------------------------------------------------------------------- */

static uap_status get_bytes(const graph *g, const uap_jval *object, const char *key,
                            double *elems, uap_err *err)
{
    double bytes = *elems * g->element_bytes;
    const uap_status rc = uap_jopt_f64(object, key, 0.0, MAX_BYTES, &bytes, err);
    *elems = bytes / g->element_bytes;
    return rc;
}

/* A part that tensor parallelism divides must not pass the whole. */
static uap_status need_part(const uap_jval *object, const char *key, double part,
                            double whole, uap_err *err)
{
    uap_jval at = *object;
    if (part <= whole) {
        return UAP_OK;
    }
    (void)uap_jfind(object, key, &at);
    return uap_jfail(&at, err, "found %g, expected at most the node's %g for \"%s\"",
                     part, whole, key);
}

static uap_status read_split(const uap_jval *product, uap_gemm_split *out, uap_err *err)
{
    static const char *const names[] = {[UAP_SPLIT_NONE] = "none",
                                        [UAP_SPLIT_N] = "n",
                                        [UAP_SPLIT_K] = "k",
                                        [UAP_SPLIT_BATCH] = "batch"};
    const char *name = "none";
    uap_status rc = uap_jopt_str(product, "split", &name, err);
    for (size_t i = 0; i < sizeof names / sizeof *names && rc == UAP_OK; i++) {
        if (strcmp(names[i], name) == 0) {
            *out = (uap_gemm_split)i;
            return UAP_OK;
        }
    }
    uap_jval at = *product;
    (void)uap_jfind(product, "split", &at);
    return rc != UAP_OK
               ? rc
               : uap_jfail(&at, err,
                           "found \"%.64s\", expected one of none, n, k, batch for "
                           "\"split\"",
                           name);
}

static uap_status read_product(const uap_jval *value, uap_layer *layer, uap_err *err)
{
    static const char *const keys[] = {"m", "n", "k", "batch", "split"};
    uap_gemm gemm = {.name = "product", .batch = 1};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_jcheck_keys(value, keys, sizeof keys / sizeof *keys, err));
    UAP_TRY(uap_jget_i64(value, "m", 1, MAX_DIMENSION, &gemm.m, err));
    UAP_TRY(uap_jget_i64(value, "n", 1, MAX_DIMENSION, &gemm.n, err));
    UAP_TRY(uap_jget_i64(value, "k", 1, MAX_DIMENSION, &gemm.k, err));
    UAP_TRY(uap_jopt_i64(value, "batch", 1, MAX_DIMENSION, &gemm.batch, err));
    UAP_TRY(read_split(value, &gemm.split, err));
    uap_layer_add_gemm(layer, &gemm);
done:
    return rc;
}

/* "flops" or "products". */
static uap_status read_work(const uap_jval *node, uap_layer *layer, uap_err *err)
{
    uap_jval products;
    uap_status rc = UAP_OK;
    if (!uap_jfind(node, "products", &products)) {
        return uap_jget_f64(node, "flops", 0.0, MAX_FLOPS, &layer->flops, err);
    }
    UAP_TRY(uap_jget(node, "products", UAP_JSON_ARRAY, &products, err));
    uap_jval flops;
    if (uap_jfind(node, "flops", &flops)) {
        rc = uap_jfail(&flops, err, "found \"flops\" beside \"products\", expected one");
        goto done;
    }
    const size_t n = uap_jlen(&products);
    if (n > UAP_LAYER_MAX_GEMMS) {
        rc = uap_jfail(&products, err, "found %zu products, expected at most %d", n,
                       UAP_LAYER_MAX_GEMMS);
        goto done;
    }
    for (size_t i = 0; i < n; i++) {
        const uap_jval product = uap_jat(&products, i);
        UAP_TRY(read_product(&product, layer, err));
    }
done:
    return rc;
}

/* What tensor parallelism divides, up to which degrees, and what that costs. */
static uap_status read_tp(const graph *g, const uap_jval *tp, uap_layer *layer,
                          uap_err *err)
{
    static const char *const keys[] = {"divides",     "parameters",  "activation_bytes",
                                       "moved_bytes", "all_reduces", "all_reduce_bytes",
                                       "tokens"};
    int64_t all_reduces = 1;
    double kept = 0.0;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_jcheck_keys(tp, keys, sizeof keys / sizeof *keys, err));
    UAP_TRY(uap_jget_i64(tp, "divides", 1, MAX_TP, &layer->ffn, err));
    UAP_TRY(uap_jopt_i64(tp, "tokens", 1, UAP_MAX_SEQ, &layer->tokens, err));
    UAP_TRY(uap_jopt_i64(tp, "parameters", 0, UAP_MAX_PARAMS, &layer->params_split, err));
    UAP_TRY(need_part(tp, "parameters", (double)layer->params_split,
                      (double)layer->params, err));
    UAP_TRY(get_bytes(g, tp, "activation_bytes", &kept, err));
    UAP_TRY(need_part(tp, "activation_bytes", kept, layer->act_whole_elems, err));
    layer->act_split_elems = kept;
    layer->act_whole_elems -= kept;
    UAP_TRY(get_bytes(g, tp, "moved_bytes", &layer->move_split_elems, err));
    UAP_TRY(
        need_part(tp, "moved_bytes", layer->move_split_elems, layer->move_elems, err));
    UAP_TRY(uap_jopt_i64(tp, "all_reduces", 0, 64, &all_reduces, err));
    UAP_TRY(get_bytes(g, tp, "all_reduce_bytes", &layer->tp_elems, err));
    layer->tp_allreduces = layer->tp_allreduces_bwd = (int32_t)all_reduces;
done:
    return rc;
}

static uap_status read_node(const graph *g, int32_t u, const uap_jval *node, uap_err *err)
{
    static const char *const keys[] = {
        "name",        "flops", "products", "parameters", "activation_bytes",
        "moved_bytes", "tp"};
    const double unit = g->element_bytes;
    uap_layer layer = {.type = UAP_LAYER_NODE,
                       .tokens = 1,
                       .ffn = 1,
                       .input_elems = g->chain_in[u] / unit,
                       .output_elems = u + 1 < g->n_nodes ? g->chain_in[u + 1] / unit : 0,
                       .tp_elems = g->out[u] / unit};
    const char *name = NULL;
    uap_jval tp;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_jcheck_keys(node, keys, sizeof keys / sizeof *keys, err));
    UAP_TRY(uap_jget_str(node, "name", &name, err));
    (void)snprintf(layer.name, sizeof layer.name, "%s", name);
    UAP_TRY(read_work(node, &layer, err));
    UAP_TRY(uap_jopt_i64(node, "parameters", 0, (int64_t)1 << 48, &layer.params, err));
    UAP_TRY(get_bytes(g, node, "activation_bytes", &layer.act_whole_elems, err));
    UAP_TRY(get_bytes(g, node, "moved_bytes", &layer.move_elems, err));
    if (uap_jfind(node, "tp", &tp)) {
        UAP_TRY(uap_jget(node, "tp", UAP_JSON_OBJECT, &tp, err));
        UAP_TRY(read_tp(g, &tp, &layer, err));
    }
    UAP_TRY(uap_add_layer(g->builder, &layer, err));
done:
    return rc;
}

/* ---- Names -------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order != 0 ? order : (x->node > y->node) - (x->node < y->node);
}

static uap_status need_name(const uap_jval *node, const char **name, uap_err *err)
{
    const uap_layer *layer = NULL;
    const uap_status rc = uap_jget_str(node, "name", name, err);
    if (rc != UAP_OK) {
        return rc;
    }
    const size_t n = strlen(*name);
    if (n == 0 || n >= sizeof layer->name) {
        uap_jval at = *node;
        (void)uap_jfind(node, "name", &at);
        return uap_jfail(&at, err,
                         "found a name of %zu bytes, expected 1 to %zu for \"name\"", n,
                         sizeof layer->name - 1);
    }
    return UAP_OK;
}

static uap_status read_names(graph *g, const uap_jval *nodes, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t u = 0; u < g->n_nodes; u++) {
        const uap_jval node = uap_jat(nodes, (size_t)u);
        if (uap_jtype_of(&node) != UAP_JSON_OBJECT) {
            return uap_jfail(&node, err, "expected an object with a node");
        }
        g->name[u].node = u;
        UAP_TRY(need_name(&node, &g->name[u].name, err));
    }
    qsort(g->name, (size_t)g->n_nodes, sizeof *g->name, by_name);
    for (int32_t i = 1; i < g->n_nodes; i++) {
        if (strcmp(g->name[i - 1].name, g->name[i].name) == 0) {
            const uap_jval node = uap_jat(nodes, (size_t)g->name[i].node);
            uap_jval at = node;
            (void)uap_jfind(&node, "name", &at);
            return uap_jfail(&at, err, "found \"%.64s\" again, expected another \"name\"",
                             g->name[i].name);
        }
    }
done:
    return rc;
}

/* ---- Edges -------------------------------------------------------------------------- */

static uap_status find_node(const graph *g, const uap_jval *object, const char *key,
                            int32_t *out, uap_err *err)
{
    const char *name = NULL;
    const uap_status rc = uap_jget_str(object, key, &name, err);
    if (rc != UAP_OK) {
        return rc;
    }
    int32_t low = 0, high = g->n_nodes;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (strcmp(g->name[middle].name, name) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    if (low == g->n_nodes || strcmp(g->name[low].name, name) != 0) {
        uap_jval at = *object;
        (void)uap_jfind(object, key, &at);
        return uap_jfail(&at, err, "found \"%.64s\", expected a node's name for \"%s\"",
                         name, key);
    }
    *out = g->name[low].node;
    return UAP_OK;
}

static uap_status read_edge(graph *g, size_t index, const uap_jval *value, uap_err *err)
{
    static const char *const keys[] = {"from", "to", "bytes"};
    edge *e = &g->edge[index];
    uap_status rc = UAP_OK;
    if (uap_jtype_of(value) != UAP_JSON_OBJECT) {
        return uap_jfail(value, err, "expected an object with an edge");
    }
    UAP_TRY(uap_jcheck_keys(value, keys, sizeof keys / sizeof *keys, err));
    UAP_TRY(find_node(g, value, "from", &e->from, err));
    UAP_TRY(find_node(g, value, "to", &e->to, err));
    UAP_TRY(uap_jget_f64(value, "bytes", 0.0, MAX_BYTES, &e->bytes, err));
    e->index = index;
    if (e->to <= e->from) {
        uap_jval at = *value;
        (void)uap_jfind(value, "to", &at);
        rc =
            uap_jfail(&at, err,
                      "found an edge back, or to itself, expected a node behind \"from\" "
                      "in \"nodes\" for \"to\"");
        goto done;
    }
    g->out[e->from] = e->bytes > g->out[e->from] ? e->bytes : g->out[e->from];
done:
    return rc;
}

static int by_tensor(const void *a, const void *b)
{
    const edge *x = a, *y = b;
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    if (x->bytes < y->bytes || x->bytes > y->bytes) {
        return x->bytes < y->bytes ? -1 : 1;
    }
    return (x->to > y->to) - (x->to < y->to);
}

static uap_status read_edges(graph *g, const uap_jval *edges, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int32_t i = 0; i < g->n_edges; i++) {
        const uap_jval value = uap_jat(edges, (size_t)i);
        UAP_TRY(read_edge(g, (size_t)i, &value, err));
    }
    qsort(g->edge, (size_t)g->n_edges, sizeof *g->edge, by_tensor);
    for (int32_t i = 1; i < g->n_edges; i++) {
        if (by_tensor(&g->edge[i - 1], &g->edge[i]) == 0) {
            const uap_jval again = uap_jat(edges, g->edge[i].index);
            rc = uap_jfail(&again, err, "found an edge that is there already");
            goto done;
        }
    }
done:
    return rc;
}

/* The edges [first, end) that carry one tensor. The next node reads it along the chain and,
 * where others read it too, passes it on: it crosses each boundary once and is kept once. */
static uap_status add_tensor(graph *g, int32_t first, int32_t end, int32_t *reader,
                             uap_err *err)
{
    const edge *e = g->edge;
    const int32_t u = e[first].from;
    uap_model_live live = {.producer = u,
                           .from = u,
                           .reader = reader,
                           .elems = e[first].bytes / g->element_bytes};
    for (int32_t i = first; i < end; i++) {
        if (e[i].to == u + 1) {
            g->chain_in[u + 1] += e[i].bytes;
            live.from = u + 1;
        } else {
            reader[live.n_readers++] = e[i].to;
        }
    }
    return live.n_readers == 0 ? UAP_OK : uap_add_live(g->builder, &live, err);
}

static int by_from(const void *a, const void *b)
{
    const uap_model_live *x = a, *y = b;
    if (x->from != y->from) {
        return x->from < y->from ? -1 : 1;
    }
    return (x->producer > y->producer) - (x->producer < y->producer);
}

static uap_status add_tensors(graph *g, uap_err *err)
{
    uap_model *model = g->builder->model;
    uap_status rc = UAP_OK;
    int32_t *reader = uap_calloc((size_t)g->n_nodes, sizeof *reader);
    if (reader == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a graph");
    }
    for (int32_t first = 0; first < g->n_edges;) {
        int32_t end = first + 1;
        while (end < g->n_edges && g->edge[end].from == g->edge[first].from &&
               !(g->edge[end].bytes > g->edge[first].bytes)) {
            end++;
        }
        UAP_TRY(add_tensor(g, first, end, reader, err));
        first = end;
    }
    if (model->n_live > 1) {
        qsort(model->live, (size_t)model->n_live, sizeof *model->live, by_from);
    }
done:
    uap_free(reader);
    return rc;
}

/* ---- The whole ---------------------------------------------------------------------- */

static uap_status read_head(graph *g, uap_jval *nodes, uap_jval *edges, uap_err *err)
{
    static const char *const keys[] = {"format", "version", "element_bytes",
                                       "nodes",  "edges",   "notes"};
    const uap_jval *root = &g->builder->config;
    const char *format = NULL;
    int64_t version = 0, unit = 2;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_jget_str(root, "format", &format, err));
    if (strcmp(format, "uniap-graph") != 0) {
        uap_jval at;
        (void)uap_jfind(root, "format", &at);
        return uap_jfail(&at, err,
                         "found \"%.64s\", expected uniap-graph, or a config.json with a "
                         "\"model_type\" and no \"format\"",
                         format);
    }
    UAP_TRY(uap_jcheck_keys(root, keys, sizeof keys / sizeof *keys, err));
    UAP_TRY(uap_jget_i64(root, "version", 1, 1, &version, err));
    UAP_TRY(uap_jopt_i64(root, "element_bytes", 1, 16, &unit, err));
    UAP_TRY(uap_jget(root, "nodes", UAP_JSON_ARRAY, nodes, err));
    UAP_TRY(uap_jget(root, "edges", UAP_JSON_ARRAY, edges, err));
    g->element_bytes = (double)unit;
    if (uap_jlen(nodes) == 0 || uap_jlen(nodes) > (size_t)UAP_MAX_LAYERS) {
        return uap_jfail(nodes, err, "found %zu nodes, expected 1 to %lld",
                         uap_jlen(nodes), (long long)UAP_MAX_LAYERS);
    }
    if (uap_jlen(edges) > MAX_EDGES) {
        return uap_jfail(edges, err, "found %zu edges, expected at most %zu",
                         uap_jlen(edges), MAX_EDGES);
    }
    g->n_nodes = (int32_t)uap_jlen(nodes);
    g->n_edges = (int32_t)uap_jlen(edges);
done:
    return rc;
}

static uap_status make_room(graph *g, uap_err *err)
{
    const size_t n = (size_t)g->n_nodes;
    g->name = uap_calloc(n, sizeof *g->name);
    g->edge = uap_calloc((size_t)g->n_edges + 1, sizeof *g->edge);
    g->chain_in = uap_calloc(n + 1, sizeof *g->chain_in);
    g->out = uap_calloc(n, sizeof *g->out);
    if (g->name == NULL || g->edge == NULL || g->chain_in == NULL || g->out == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a graph of %d nodes",
                        g->n_nodes);
    }
    return UAP_OK;
}

uap_status uap_read_graph(uap_builder *builder, uap_err *err)
{
    graph g = {.builder = builder};
    uap_jval nodes, edges;
    uap_status rc = UAP_OK;
    UAP_TRY(read_head(&g, &nodes, &edges, err));
    UAP_TRY(make_room(&g, err));
    UAP_TRY(read_names(&g, &nodes, err));
    UAP_TRY(read_edges(&g, &edges, err));
    UAP_TRY(add_tensors(&g, err));
    (void)snprintf(builder->model->architecture, sizeof builder->model->architecture,
                   "graph");
    builder->model->seq = 1;
    for (int32_t u = 0; u < g.n_nodes; u++) {
        const uap_jval node = uap_jat(&nodes, (size_t)u);
        UAP_TRY(read_node(&g, u, &node, err));
    }
done:
    uap_free(g.name);
    uap_free(g.edge);
    uap_free(g.chain_in);
    uap_free(g.out);
    return rc;
}
