/* The exact search as a tree problem: how nodes and plans travel, and what one rank does
 * with a node. Each rank makes the instances it needs from its own source. */
#include "cli/search_ranks.h"

#include "common/mem.h"
#include "common/numbers.h"
#include "mpi/tree_search.h"
#include "search/exact_bytes.h"

#include <string.h>

typedef struct searcher {
    const uap_comm *comm;
    const uap_limits *limits;
    uap_exact exact;
    uap_tree *tree; /* while it searches */
    uap_err heard;  /* the first failure of a message */
    int64_t *quick; /* [n] quick bounds; INT64_MAX: no legal strategy */
    uap_exact_sizes most;
    char *packed;       /* room for a plan */
    int64_t left_bound; /* least bound of the nodes left within the gap */
    double start_wall_s;
    bool stopped;
} searcher;

/* ---- How plans and nodes travel ---- */

static uap_status tell_plan(void *context, const uap_instance *in,
                            const uap_choice *choice, uap_err *err)
{
    const searcher *s = context;
    const size_t n = uap_plan_to_bytes(s->exact.config, in, choice, s->packed);
    return uap_tree_improve(s->tree, s->exact.value, s->packed, n, err);
}

/* Another rank's plan: what is left to beat. */
static uap_status learn(void *self, int64_t value, const void *answer, size_t n,
                        uap_err *err)
{
    searcher *s = self;
    (void)n;
    (void)err;
    s->exact.value = value;
    s->exact.config = uap_plan_config(answer);
    return UAP_OK;
}

static size_t pack(void *self, const void *node, char *bytes)
{
    const searcher *s = self;
    uap_node plain;
    memcpy(&plain, node, sizeof plain);
    return uap_node_to_bytes(s->exact.instance[plain.config], &plain, bytes);
}

static uap_status unpack(void *self, const char *bytes, size_t n, void *node,
                         uap_err *err)
{
    searcher *s = self;
    uap_node own;
    uap_status rc = UAP_OK;
    (void)n;
    UAP_TRY(uap_node_from_bytes(bytes, &own, NULL, err));
    uap_exact_hold(&s->exact, own.config);
    memcpy(node, &own, sizeof own);
    if (own.n_layers > 0) { /* pack looks at the instance */
        rc = uap_exact_need(&s->exact, own.config, err);
    }
done:
    return rc;
}

static void drop(void *self, void *node)
{
    searcher *s = self;
    uap_exact_drop(&s->exact, node);
}

static int64_t bound(void *self, const void *node)
{
    (void)self;
    return ((const uap_node *)node)->bound;
}

/* As the serial engine's pool, age apart. */
static int compare(void *self, const void *a, const void *b)
{
    const uap_node *x = a, *y = b;
    (void)self;
    if (x->bound != y->bound) {
        return x->bound < y->bound ? -1 : 1;
    }
    return (x->config > y->config) - (x->config < y->config);
}

/* ---- Work ---- */

/* Within the tree search its limits count, and messages pass; afterwards rank 0 goes on
 * alone under the same ones. */
static bool must_stop(void *context)
{
    searcher *s = context;
    if (s->tree != NULL) {
        if (s->heard.code == UAP_OK && uap_tree_breathe(s->tree, &s->heard) != UAP_OK) {
            return true;
        }
        return s->heard.code != UAP_OK || uap_tree_stopping(s->tree);
    }
    if (s->limits != NULL) {
        const double limit_s = s->limits->time_limit_s;
        const bool asked = s->limits->stop != NULL && *s->limits->stop != 0;
        const bool late = limit_s > 0 && uap_exact_wall_s() - s->start_wall_s > limit_s;
        s->stopped = s->stopped || asked || late;
    }
    return s->stopped;
}

/* Moves a held node to the open ones. */
static uap_status add(searcher *s, uap_node *node, uap_err *err)
{
    const uap_status rc = uap_tree_add(s->tree, node, err);
    if (rc != UAP_OK) {
        uap_exact_drop(&s->exact, node);
    }
    return rc;
}

static uap_status root(void *self, uap_tree *tree, uap_err *err)
{
    searcher *s = self;
    uap_status rc = UAP_OK;
    s->tree = tree;
    for (int32_t i = 0; i < s->exact.source->n; i++) {
        if (s->quick[i] != INT64_MAX) {
            uap_node node = {.config = i, .bound = s->quick[i], .chain = s->quick[i]};
            uap_exact_hold(&s->exact, i);
            UAP_TRY(add(s, &node, err));
        }
    }
done:
    return rc;
}

/* One step of a node of this rank's own; what is left of it joins the open ones. */
static uap_status advance(searcher *s, uap_node *node, uap_err *err)
{
    uap_exact_step outcome = UAP_EXACT_CLOSED;
    uap_node_pool children = {0};
    const int64_t next = uap_min_i64(uap_tree_next_bound(s->tree), UAP_VALUE_LIMIT);
    uap_status rc = uap_exact_advance(&s->exact, node, uap_exact_reach(node, next),
                                      &children, &outcome, err);
    if (rc == UAP_OK && outcome == UAP_EXACT_OPEN) {
        rc = add(s, node, err);
    } else {
        uap_exact_drop(&s->exact, node);
    }
    while (children.n > 0) {
        uap_node child = uap_pool_pop(&children);
        if (rc == UAP_OK) {
            rc = add(s, &child, err);
        } else {
            uap_exact_drop(&s->exact, &child);
        }
    }
    uap_pool_free(&children);
    return rc;
}

static uap_status branch(void *self, const void *node, uap_tree *tree, uap_err *err)
{
    searcher *s = self;
    const uap_node *given = node;
    uap_status rc = UAP_OK;
    uap_node own;
    s->tree = tree;
    if (given->bound > uap_exact_cutoff(&s->exact, given->config)) {
        return UAP_OK;
    }
    if (s->limits != NULL && s->limits->gap > 0 &&
        uap_exact_is_enough(&s->exact, given->bound)) {
        s->left_bound = uap_min_i64(s->left_bound, given->bound);
        return UAP_OK;
    }
    UAP_TRY(uap_exact_need(&s->exact, given->config, err));
    if (!uap_node_copy(s->exact.instance[given->config], given, &own)) {
        uap_node_clear(&own);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
    }
    uap_exact_hold(&s->exact, own.config);
    UAP_TRY(advance(s, &own, err));
    if (s->heard.code != UAP_OK && err != NULL) {
        *err = s->heard;
    }
    rc = s->heard.code;
done:
    return rc;
}

/* ---- Before and after ---- */

/* This rank's share of the configurations. */
static uap_status open_share(searcher *s, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int32_t n = s->exact.source->n;
    for (int32_t i = uap_comm_rank(s->comm); i < n; i += uap_comm_size(s->comm)) {
        uap_node node;
        bool legal = false;
        UAP_TRY(uap_exact_open(&s->exact, i, &node, &legal, err));
        s->quick[i] = INT64_MAX;
        if (legal) {
            s->quick[i] = node.bound;
            uap_exact_sizes_note(&s->most, s->exact.instance[i]);
            uap_exact_drop(&s->exact, &node);
        }
    }
done:
    return rc;
}

/* Quick bounds of all configurations, and room for what travels. */
static uap_status prepare(searcher *s, uap_err *err)
{
    const size_t n = (size_t)s->exact.source->n;
    uap_status rc = uap_exact_init(&s->exact, err);
    s->quick = uap_calloc(n, sizeof *s->quick);
    if (rc == UAP_OK && s->quick == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for configurations");
    }
    if (rc == UAP_OK) {
        rc = open_share(s, err);
    }
    UAP_TRY(uap_comm_agree(s->comm, rc, err));
    int64_t most[] = {s->most.stages, s->most.layers, s->most.rows};
    UAP_TRY(uap_comm_allreduce_i64(s->comm, s->quick, n, UAP_COMM_MAX, err));
    UAP_TRY(uap_comm_allreduce_i64(s->comm, most, 3, UAP_COMM_MAX, err));
    s->most = (uap_exact_sizes){most[0], most[1], most[2]};
    s->packed = uap_calloc(uap_plan_bytes_max(&s->most), 1);
    rc =
        s->packed != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "out of memory for a plan");
    UAP_TRY(uap_comm_agree(s->comm, rc, err));
done:
    return rc;
}

static uap_status search_tree(searcher *s, uap_tree_result *found, bool *broken,
                              uap_err *err)
{
    const uap_tree_problem problem = {.self = s,
                                      .node_bytes = sizeof(uap_node),
                                      .packed_max = uap_node_bytes_max(&s->most),
                                      .answer_max = uap_plan_bytes_max(&s->most),
                                      .keep_ties = true,
                                      .root = root,
                                      .bound = bound,
                                      .branch = branch,
                                      .compare = compare,
                                      .pack = pack,
                                      .unpack = unpack,
                                      .drop = drop,
                                      .learn = learn};
    uap_tree_options options = uap_tree_options_default();
    if (s->limits != NULL) {
        options.stop = s->limits->stop;
        if (s->limits->time_limit_s > 0) {
            const double left_s =
                s->limits->time_limit_s - (uap_exact_wall_s() - s->start_wall_s);
            options.time_limit_ns = left_s > 1e-9 ? (int64_t)(left_s * 1e9) : 1;
        }
    }
    const uap_status rc =
        uap_tree_search(s->comm, &problem, &options, found, broken, err);
    s->tree = NULL;
    return rc;
}

/* The counts of all ranks together, on all. */
static uap_status add_stats(const searcher *s, uap_search_stats *t, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t count[] = {t->illegal, t->infeasible, t->solved, t->nodes, t->labels};
    double seconds[] = {t->build_s, t->bound_s, t->fix_s, t->label_s, t->total_s};
    UAP_TRY(uap_comm_allreduce_i64(s->comm, count, 5, UAP_COMM_SUM, err));
    UAP_TRY(uap_comm_allreduce_f64(s->comm, seconds, 5, UAP_COMM_SUM, err));
    UAP_TRY(uap_comm_allreduce_i64(s->comm, &t->peak_bytes, 1, UAP_COMM_MAX, err));
    t->illegal = count[0];
    t->infeasible = count[1];
    t->solved = count[2];
    t->nodes = count[3];
    t->labels = count[4];
    t->build_s = seconds[0];
    t->bound_s = seconds[1];
    t->fix_s = seconds[2];
    t->label_s = seconds[3];
    t->total_s = seconds[4];
    t->ranks = uap_comm_size(s->comm);
done:
    return rc;
}

/* What the tree search found, on all ranks; then rank 0 draws the conclusion. */
static uap_status finish(searcher *s, const uap_tree_result *found, uap_result *result,
                         uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t left = s->left_bound;
    UAP_TRY(add_stats(s, &s->exact.stats, err));
    UAP_TRY(uap_comm_allreduce_i64(s->comm, &left, 1, UAP_COMM_MIN, err));
    if (uap_comm_rank(s->comm) != 0) {
        goto done;
    }
    if (found->answer != NULL) {
        UAP_TRY(uap_plan_from_bytes(found->answer, result, err));
        result->value = found->value;
    }
    s->exact.value = result->value;
    s->exact.config = result->config;
    const double before_s = uap_exact_cpu_s();
    UAP_TRY(uap_exact_conclude(&s->exact, uap_min_i64(found->bound, left),
                               found->finished && left == INT64_MAX, result, err));
    s->exact.stats.total_s += uap_exact_cpu_s() - before_s;
done:
    result->stats = s->exact.stats;
    result->stats.wall_s = uap_exact_wall_s() - s->start_wall_s;
    return rc;
}

uap_status uap_search_ranks(const uap_comm *comm, const uap_source *source,
                            const uap_limits *limits, uap_result *result, bool *broken,
                            uap_err *err)
{
    searcher s = {.comm = comm,
                  .limits = limits,
                  .exact = {.source = source,
                            .limits = limits,
                            .must_stop = must_stop,
                            .improved = tell_plan},
                  .left_bound = INT64_MAX,
                  .start_wall_s = uap_exact_wall_s()};
    const double start_cpu_s = uap_exact_cpu_s();
    uap_tree_result found = {.value = UAP_TREE_NO_ANSWER};
    uap_status rc = UAP_OK;
    *result = (uap_result){.config = -1, .outcome = UAP_OUTCOME_UNKNOWN};
    *broken = false;
    s.exact.context = &s;
    UAP_TRY(prepare(&s, err));
    UAP_TRY(search_tree(&s, &found, broken, err));
    s.exact.stats.total_s = uap_exact_cpu_s() - start_cpu_s;
    UAP_TRY(finish(&s, &found, result, err));
done:
    uap_tree_result_free(&found);
    uap_exact_free(&s.exact);
    uap_free(s.quick);
    uap_free(s.packed);
    if (rc != UAP_OK) {
        uap_result_free(result);
    }
    return rc;
}
