/* Drives one rank's state machine over MPI, and collects what all ranks found. */
#include "mpi/tree_search.h"

#include "common/mem.h"
#include "mpi/transport_mpi.h"
#include "mpi/tree_state.h"

#include <assert.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Ranks that share cores sleep this long where they would spin, and give their core away
 * after slices of at least this. */
#define SHARED_NAP_NS   20000
#define SHARED_SLICE_NS 250000

static void sleep_ns(int64_t ns)
{
    const struct timespec nap = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
    (void)nanosleep(&nap, NULL);
}

/* More ranks than cores on this node: then a rank that does not give its core away keeps
 * messages from arriving for whole time slices of the system. */
static bool shares_cores(const uap_comm *comm)
{
    return uap_comm_node_size(comm) > sysconf(_SC_NPROCESSORS_ONLN);
}

static int64_t at_least(int64_t ns, int64_t least_ns)
{
    return ns < least_ns ? least_ns : ns;
}

static uap_status drive(uap_tree *tree, const uap_transport *net, bool shared,
                        uap_err *err)
{
    uap_status rc = UAP_OK;
    for (;;) {
        uap_tree_next next = {UAP_TREE_GO, 0};
        UAP_TRY(uap_tree_step(tree, &next, err));
        switch (next.pause) {
        case UAP_TREE_GO:
            if (shared) {
                sleep_ns(0); /* sched_yield does not let a waiting rank in soon enough */
            }
            break;
        case UAP_TREE_WAIT:
            if (shared) {
                sleep_ns(SHARED_NAP_NS);
            }
            break;
        case UAP_TREE_NAP: {
            const int64_t ns = next.until_ns - net->now_ns(net->self);
            if (ns > 0) {
                sleep_ns(ns);
            }
            break;
        }
        case UAP_TREE_END:
            goto done;
        }
    }
done:
    return rc;
}

static uap_status gather_stats(const uap_comm *comm, uap_tree_result *result,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    UAP_TRY(
        uap_comm_gather(comm, &result->stats, sizeof result->stats, &all, &offset, err));
    result->all = (uap_tree_stats *)(void *)all;
done:
    uap_free(offset);
    return rc;
}

/* The last snapshot: what is left open on all ranks, told on rank 0. */
static uap_status tell_last(const uap_comm *comm, const uap_tree *tree,
                            const uap_tree_options *options,
                            const uap_tree_result *result, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_tree_snapshot last = {.has_nodes = options->keep_every_ns > 0,
                              .is_last = true,
                              .value = result->value,
                              .answer = result->answer,
                              .answer_bytes = result->answer_bytes};
    uap_packed_nodes own;
    char *all = NULL;
    size_t *offset = NULL;
    uap_tree_last_part(tree, &last.sum, &own);
    int64_t *sum = (int64_t *)&last.sum;
    int64_t bound = last.sum.bound;
    UAP_TRY(uap_comm_allreduce_i64(comm, &bound, 1, UAP_COMM_MIN, err));
    last.sum.bound = 0; /* it must not overflow in the sum */
    UAP_TRY(uap_comm_allreduce_i64(comm, sum, sizeof last.sum / sizeof *sum, UAP_COMM_SUM,
                                   err));
    last.sum.bound = bound;
    if (last.has_nodes) {
        /* Too many to gather: the answer stands all the same. */
        const uap_status gathered =
            uap_comm_gather(comm, own.bytes, own.end, &all, &offset, NULL);
        last.sum.failed += gathered != UAP_OK;
        last.nodes = all;
        last.node_bytes = all != NULL ? offset[uap_comm_size(comm)] : 0;
    }
    if (uap_comm_rank(comm) == 0) {
        options->snapshot(options->snapshot_context, &last);
    }
done:
    uap_packed_free(&own);
    uap_free(all);
    uap_free(offset);
    return rc;
}

/* What this rank knows at the end; then what all of them know together. */
static uap_status collect(const uap_comm *comm, const uap_tree *tree,
                          const uap_tree_options *options, uap_tree_result *result,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t bound = uap_tree_open_bound(tree);
    int64_t over_memory = uap_tree_is_over_memory(tree) ? 1 : 0;
    const void *answer = uap_tree_answer(tree, &result->answer_bytes);
    result->stats = *uap_tree_statistics(tree);
    result->value = uap_tree_best(tree);
    result->open_nodes = uap_tree_open_nodes(tree);
    rc = uap_tree_failure(tree)->code;
    if (rc != UAP_OK && err != NULL) {
        *err = *uap_tree_failure(tree);
    }
    if (rc == UAP_OK && answer != NULL) {
        result->answer = uap_calloc(result->answer_bytes, 1);
        if (result->answer == NULL) {
            rc = UAP_FAIL(err, NO_MEMORY, "no memory for the answer");
        } else {
            memcpy(result->answer, answer, result->answer_bytes);
        }
    }
    int64_t most[] = {rc != UAP_OK, ~bound, over_memory}; /* ~ turns the order round */
    const uap_status reduced = uap_comm_allreduce_i64(comm, most, 3, UAP_COMM_MAX, err);
    if (reduced != UAP_OK || most[0] != 0) {
        rc = reduced != UAP_OK ? reduced : uap_comm_agree(comm, rc, err);
        goto done;
    }
    UAP_TRY(uap_comm_allreduce_i64(comm, &result->open_nodes, 1, UAP_COMM_SUM, err));
    bound = ~most[1];
    result->over_memory = most[2] != 0;
    result->finished = result->open_nodes == 0;
    result->bound = bound < result->value ? bound : result->value;
    if (!options->no_statistics) {
        UAP_TRY(gather_stats(comm, result, err));
    }
done:
    return rc;
}

uap_status uap_tree_search(const uap_comm *comm, const uap_tree_problem *problem,
                           const uap_tree_options *options, uap_tree_result *result,
                           bool *broken, uap_err *err)
{
    uap_status rc = UAP_OK, local = UAP_OK;
    uap_transport_mpi *mpi = NULL;
    uap_tree *tree = NULL;
    uap_tree_options own = *options;
    const bool shared = shares_cores(comm);
    *result = (uap_tree_result){.value = UAP_TREE_NO_ANSWER, .bound = INT64_MIN};
    *broken = false;
    if (shared) {
        own.slice_min_ns = at_least(own.slice_min_ns, SHARED_SLICE_NS);
        own.slice_max_ns = at_least(own.slice_max_ns, SHARED_SLICE_NS);
    }
    if (own.kept != NULL && *own.kept != NULL) {
        mpi = *own.kept;
        uap_transport_mpi_next(mpi);
    } else {
        UAP_TRY(
            uap_transport_mpi_new(comm, uap_tree_message_max(problem, &own), &mpi, err));
    }
    if (own.kept != NULL) {
        *own.kept = mpi;
    }
    const uap_transport *net = uap_transport_mpi_net(mpi);
    assert(net->message_max >= uap_tree_message_max(problem, &own));
    local = uap_tree_new(problem, net, &own, &tree, err);
    UAP_TRY(uap_comm_agree(comm, local, err));
    rc = drive(tree, net, shared, err);
    if (rc != UAP_OK) {
        *broken = true;
        goto done;
    }
    UAP_TRY(collect(comm, tree, &own, result, err));
    if (own.snapshot != NULL) {
        UAP_TRY(tell_last(comm, tree, &own, result, err));
    }
done:
    uap_tree_free(tree);
    if (!*broken && own.kept == NULL) { /* its receives are matched or can be cancelled */
        uap_transport_mpi_free(mpi);
    }
    return rc;
}

void uap_tree_result_free(uap_tree_result *result)
{
    uap_free(result->answer);
    uap_free(result->all);
    *result = (uap_tree_result){.value = UAP_TREE_NO_ANSWER, .bound = INT64_MIN};
}
