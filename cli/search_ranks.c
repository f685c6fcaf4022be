/* The exact search as a tree problem: how nodes and plans travel, and what one rank does
 * with a node. Each rank makes the instances it needs from its own source. A node that takes
 * one rank too long is set aside, for all ranks to take together (search_together.h). */
#include "cli/search_ranks.h"

#include "cli/resume.h"
#include "cli/search_together.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/numbers.h"
#include "mpi/tree_search.h"
#include "search/exact_bytes.h"

#include <string.h>

/* CPU seconds that one rank spends on a visit to a node, and steps of a job (search/crew.h),
 * before it sets the node aside. */
#define ASIDE_AFTER_S    0.3
#define ASIDE_FROM_STEPS 300000000

typedef struct searcher {
    const uap_comm *comm;
    const uap_limits *limits;
    uap_watch *watch; /* or NULL */
    uap_exact exact;
    uap_tree *tree; /* while it searches */
    uap_err heard;  /* the first failure of a message */
    int64_t *quick; /* [n] quick bounds; INT64_MAX: no legal strategy */
    uap_exact_sizes most;
    char *packed;            /* room for a plan */
    const uap_node *at_work; /* the node of branch as far as it has come, or NULL */
    uap_node *left;          /* [n_left] held: within the gap, and so not worked on */
    size_t n_left, left_room;
    int64_t left_bound; /* the least of theirs */
    double start_wall_s;
    uap_crew crew; /* one of this rank alone, which sets nodes with long jobs aside */
    uap_node_pool aside; /* held while the tree search goes on */
    double visit_cpu_s;  /* when the visit at hand began */
    bool sets_aside;     /* the visit's node */
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

/* ---- Nodes outside the tree's pool ---- */

static const void *at_work(void *self)
{
    const searcher *s = self;
    return s->at_work;
}

static void kept(void *self, uap_node_taker *take, void *context)
{
    const searcher *s = self;
    for (size_t i = 0; i < s->n_left; i++) {
        take(context, &s->left[i]);
    }
    for (int32_t i = 0; i < s->aside.n; i++) {
        take(context, &s->aside.heap[i]);
    }
}

/* A node is good enough as it is: it is not worked on, but a checkpoint has it. */
static uap_status leave(searcher *s, const uap_node *node, uap_err *err)
{
    if (s->n_left == s->left_room) {
        const size_t room = s->left_room == 0 ? 64 : 2 * s->left_room;
        uap_node *left = uap_realloc(s->left, room, sizeof *left);
        if (left == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
        s->left = left;
        s->left_room = room;
    }
    uap_node *own = &s->left[s->n_left];
    if (!uap_node_copy(s->exact.instance[node->config], node, own)) {
        uap_node_clear(own);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
    }
    uap_exact_hold(&s->exact, own->config);
    s->n_left++;
    s->left_bound = uap_min_i64(s->left_bound, node->bound);
    return UAP_OK;
}

static void free_left(searcher *s)
{
    for (size_t i = 0; i < s->n_left; i++) {
        uap_exact_drop(&s->exact, &s->left[i]);
    }
    uap_free(s->left);
    s->left = NULL;
    s->n_left = 0;
}

/* ---- Work ---- */

static bool must_stop(void *context)
{
    searcher *s = context;
    if (s->heard.code == UAP_OK && uap_tree_breathe(s->tree, &s->heard) != UAP_OK) {
        return true;
    }
    s->sets_aside = s->sets_aside || (s->exact.crew != NULL &&
                                      uap_cpu_s() - s->visit_cpu_s > ASIDE_AFTER_S);
    return s->heard.code != UAP_OK || s->sets_aside || uap_tree_stopping(s->tree);
}

/* A job too long for one rank. */
static uap_status decline(void *context, const uap_crew_job *job, bool *stopped,
                          uap_err *err)
{
    searcher *s = context;
    (void)job;
    (void)err;
    s->sets_aside = true;
    *stopped = true;
    return UAP_OK;
}

static bool spend(void *context, int64_t work)
{
    (void)context;
    (void)work;
    return false;
}

/* Moves a held node to those that all ranks will take together. */
static uap_status set_aside(searcher *s, uap_node *node, uap_err *err)
{
    node->serial = 0;
    if (uap_pool_push(&s->aside, node)) {
        return UAP_OK;
    }
    uap_exact_drop(&s->exact, node);
    return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
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
    if (s->watch != NULL && uap_watch_resumes(s->watch)) {
        return uap_resume(&s->watch->from, &s->exact, tree, err);
    }
    if (s->watch != NULL && s->watch->seed != NULL) {
        UAP_TRY(uap_resume_plan(s->watch->seed, &s->exact, tree, err));
    }
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
    s->visit_cpu_s = uap_cpu_s();
    s->sets_aside = false;
    const int64_t next = uap_min_i64(uap_tree_next_bound(s->tree), UAP_VALUE_LIMIT);
    uap_status rc = uap_exact_advance(&s->exact, node, uap_exact_reach(node, next),
                                      &children, &outcome, err);
    if (rc == UAP_OK && outcome == UAP_EXACT_OPEN) {
        rc = s->sets_aside ? set_aside(s, node, err) : add(s, node, err);
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
        return leave(s, given, err);
    }
    UAP_TRY(uap_exact_need(&s->exact, given->config, err));
    if (!uap_node_copy(s->exact.instance[given->config], given, &own)) {
        uap_node_clear(&own);
        return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
    }
    uap_exact_hold(&s->exact, own.config);
    s->at_work = &own;
    rc = advance(s, &own, err);
    s->at_work = NULL;
    UAP_TRY(rc);
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
                                      .learn = learn,
                                      .at_work = at_work,
                                      .kept = kept};
    uap_tree_options options = uap_tree_options_default();
    if (s->limits != NULL) {
        options.stop = s->limits->stop;
        options.memory_limit_bytes =
            s->limits->memory_limit_bytes / uap_comm_node_size(s->comm);
        if (s->limits->time_limit_s > 0) {
            const double left_s =
                s->limits->time_limit_s - (uap_wall_s() - s->start_wall_s);
            options.time_limit_ns = left_s > 1e-9 ? (int64_t)(left_s * 1e9) : 1;
        }
    }
    if (s->watch != NULL) {
        uap_watch_ask(s->watch, &options);
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
    int64_t count[] = {t->illegal,         t->infeasible, t->solved,
                       t->nodes,           t->labels,     t->programs,
                       t->programs_closed, t->cbc_runs,   t->cbc_plans};
    double seconds[] = {t->build_s, t->bound_s, t->fix_s, t->label_s, t->total_s};
    UAP_TRY(uap_comm_allreduce_i64(s->comm, count, 9, UAP_COMM_SUM, err));
    UAP_TRY(uap_comm_allreduce_f64(s->comm, seconds, 5, UAP_COMM_SUM, err));
    UAP_TRY(uap_comm_allreduce_i64(s->comm, &t->peak_bytes, 1, UAP_COMM_MAX, err));
    t->illegal = count[0];
    t->infeasible = count[1];
    t->solved = count[2];
    t->nodes = count[3];
    t->labels = count[4];
    t->programs = count[5];
    t->programs_closed = count[6];
    t->cbc_runs = count[7];
    t->cbc_plans = count[8];
    t->build_s = seconds[0];
    t->bound_s = seconds[1];
    t->fix_s = seconds[2];
    t->label_s = seconds[3];
    t->total_s = seconds[4];
    t->ranks = uap_comm_size(s->comm);
done:
    return rc;
}

/* One node that was set aside somewhere, on every rank. */
static uap_status take_node(searcher *s, const char *bytes, size_t *n, uap_err *err)
{
    uap_node node;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_node_from_bytes(bytes, &node, n, err));
    if (!uap_pool_push(&s->aside, &node)) {
        uap_node_clear(&node);
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
    }
done:
    return rc;
}

static uap_status take_nodes(void *self, int rank, const char *bytes, size_t n,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    size_t used = 0;
    (void)rank;
    for (size_t at = 0; at < n; at += used) {
        UAP_TRY(take_node(self, bytes + at, &used, err));
    }
done:
    return rc;
}

/* The nodes that all ranks have set aside, in the same order on all of them. */
static uap_status exchange_aside(searcher *s, uap_err *err)
{
    uap_bytes own = {0};
    uap_status rc = UAP_OK;
    while (s->aside.n > 0 && rc == UAP_OK) {
        uap_node node = uap_pool_pop(&s->aside);
        rc = uap_exact_need(&s->exact, node.config, err);
        const size_t n = own.n;
        char *to = uap_bytes_add(&own, uap_node_bytes_max(&s->most));
        if (rc == UAP_OK && to == NULL) {
            rc = UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
        if (rc == UAP_OK) {
            node.serial = 0;
            own.n = n + uap_node_to_bytes(s->exact.instance[node.config], &node, to);
        }
        uap_exact_drop(&s->exact, &node);
    }
    s->aside.next_serial = 0;
    UAP_TRY(uap_comm_agree(s->comm, rc, err));
    rc = uap_comm_exchange(s->comm, own.at, own.n, NULL, take_nodes, s, err);
    rc = uap_comm_agree(s->comm, rc, err);
done:
    uap_bytes_free(&own);
    return rc;
}

/* Every configuration's first node, on all ranks. */
static uap_status take_all(searcher *s, uap_err *err)
{
    for (int32_t i = 0; i < s->exact.source->n; i++) {
        uap_node node = {.config = i, .bound = s->quick[i]};
        if (s->quick[i] != INT64_MAX && !uap_pool_push(&s->aside, &node)) {
            return UAP_FAIL(err, NO_MEMORY, "out of memory for search nodes");
        }
    }
    return UAP_OK;
}

/* Steals and idle time of all ranks together, on rank 0. */
static void add_exchange(const uap_comm *comm, const uap_tree_result *found,
                         uap_search_stats *t)
{
    for (int r = 0; found->all != NULL && r < uap_comm_size(comm); r++) {
        t->steals += found->all[r].steals_won;
        t->idle_s += (double)found->all[r].idle_ns * 1e-9;
    }
}

/* What the tree search found; then all ranks take what it left aside. */
static uap_status finish(searcher *s, const uap_tree_result *found, uap_result *result,
                         bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t left = s->left_bound;
    UAP_TRY(add_stats(s, &s->exact.stats, err));
    UAP_TRY(uap_comm_allreduce_i64(s->comm, &left, 1, UAP_COMM_MIN, err));
    add_exchange(s->comm, found, &s->exact.stats);
    if (found->over_memory && uap_comm_rank(s->comm) == 0) {
        UAP_LOG(WARNING, GLOBAL,
                "stopped at --memory-limit: even depth first the search needs more than "
                "%.3g GiB on a machine",
                (double)s->limits->memory_limit_bytes / (double)((int64_t)1 << 30));
    }
    if (found->answer != NULL) {
        rc = uap_plan_from_bytes(found->answer, result, err);
        result->value = found->value;
    }
    UAP_TRY(uap_comm_agree(s->comm, rc, err));
    const uap_together from = {.comm = s->comm,
                               .source = s->exact.source,
                               .limits = s->limits,
                               .watch = s->watch,
                               .sizes = s->most,
                               .plan = found->answer,
                               .plan_bytes = found->answer_bytes,
                               .start_wall_s = s->start_wall_s,
                               .must_fix = s->exact.must_fix,
                               .stopping = !found->finished,
                               .closed = found->finished && left == INT64_MAX,
                               .bound = uap_min_i64(found->bound, left),
                               .stats = s->exact.stats};
    UAP_TRY(uap_search_together(&from, &s->aside, result, broken, err));
    result->stats.wall_s = uap_wall_s() - s->start_wall_s;
done:
    return rc;
}

/* Whether there is nothing to share out but the insides of nodes. */
static uap_status is_for_all(searcher *s, bool *for_all, uap_err *err)
{
    int32_t n = 0;
    for (int32_t i = 0; i < s->exact.source->n; i++) {
        n += s->quick[i] != INT64_MAX;
    }
    int64_t resumes = s->watch != NULL && uap_watch_resumes(s->watch); /* on rank 0 */
    const uap_status rc = uap_comm_allreduce_i64(s->comm, &resumes, 1, UAP_COMM_MAX, err);
    const bool asked = s->limits != NULL && s->limits->share_work < 0;
    *for_all = resumes == 0 && (asked || (n == 1 && uap_comm_size(s->comm) > 1));
    return rc;
}

uap_status uap_search_ranks(const uap_comm *comm, const uap_source *source,
                            const uap_limits *limits, uap_watch *watch,
                            uap_result *result, bool *broken, uap_err *err)
{
    searcher s = {.comm = comm,
                  .limits = limits,
                  .watch = watch,
                  .exact = {.source = source,
                            .limits = limits,
                            .must_stop = must_stop,
                            .improved = tell_plan,
                            .must_fix = watch != NULL && watch->checkpoint != NULL},
                  .left_bound = INT64_MAX,
                  .start_wall_s = uap_wall_s()};
    const double start_cpu_s = uap_cpu_s();
    uap_tree_result found = {
        .finished = true, .value = UAP_TREE_NO_ANSWER, .bound = INT64_MAX};
    uap_status rc = UAP_OK;
    bool for_all = false;
    *result = (uap_result){.config = -1, .outcome = UAP_OUTCOME_UNKNOWN};
    *broken = false;
    s.exact.context = &s;
    s.crew = (uap_crew){
        .context = &s, .least_work = ASIDE_FROM_STEPS, .share = decline, .spend = spend};
    s.exact.crew = uap_comm_size(comm) > 1 ? &s.crew : NULL;
    UAP_TRY(prepare(&s, err));
    if (watch != NULL) {
        UAP_TRY(uap_watch_begin(watch, comm, s.quick, source->n, err));
    }
    UAP_TRY(is_for_all(&s, &for_all, err));
    if (for_all) {
        rc = take_all(&s, err);
        UAP_TRY(uap_comm_agree(comm, rc, err));
    } else {
        UAP_TRY(search_tree(&s, &found, broken, err));
        UAP_TRY(exchange_aside(&s, err));
    }
    s.exact.stats.total_s = uap_cpu_s() - start_cpu_s;
    UAP_TRY(finish(&s, &found, result, broken, err));
done:
    uap_tree_result_free(&found);
    free_left(&s);
    uap_pool_free(&s.aside);
    uap_exact_free(&s.exact);
    uap_free(s.quick);
    uap_free(s.packed);
    if (rc != UAP_OK) {
        uap_result_free(result);
    }
    return rc;
}
