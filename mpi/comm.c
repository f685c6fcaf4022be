/* Communicators: start and end of MPI, splits, nodes, and the checked call. */
#include "mpi/patient.h"

#include "common/mem.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

int uap_mpi_leave(int code)
{
    uap_guard_leave();
    return code;
}

int uap_mpi_leave_look(int code)
{
    uap_guard_leave_look();
    return code;
}

uap_status uap_mpi_check(int code, const char *call, const char *file, int line,
                         uap_err *err)
{
    if (code == MPI_SUCCESS) {
        return UAP_OK;
    }
    char text[MPI_MAX_ERROR_STRING];
    int length = 0;
    if (MPI_Error_string(code, text, &length) != MPI_SUCCESS) {
        length = 0;
    }
    return uap_fail(err, UAP_MPI, file, line, "%s: %.*s", call, length, text);
}

uap_status uap_mpi_count(size_t n, int *out, uap_err *err)
{
    if (n > (size_t)INT_MAX) {
        return UAP_FAIL(err, TOO_LARGE, "%zu elements in one message, at most %d", n,
                        INT_MAX);
    }
    *out = (int)n;
    return UAP_OK;
}

/* Started by a launcher that speaks PMIx but is not Open MPI's own: srun. */
static bool started_by_srun(void)
{
    return getenv("PMIX_RANK") != NULL && getenv("OMPI_COMM_WORLD_SIZE") == NULL;
}

/* Under srun --mpi=pmix Open MPI 4.1's fence in MPI_Init does not always hold every rank: a
 * first message that reaches a rank still inside MPI_Init kills it (the same family as
 * open-mpi/ompi issue 12495). Half a second of silence lets everybody arrive. */
static void wait_for_late_ranks(void)
{
    const struct timespec nap = {.tv_sec = 0, .tv_nsec = 500000000};
    (void)nanosleep(&nap, NULL);
}

/* Counts from node_of what this rank wants to know about its node. */
static void count_nodes(uap_comm *comm)
{
    const int own = comm->node_of[comm->rank];
    int nodes_before = INT_MIN;
    comm->node_rank = comm->node_size = comm->node_count = 0;
    for (int r = 0; r < comm->size; r++) {
        if (comm->node_of[r] == own) {
            comm->node_rank += r < comm->rank;
            comm->node_size++;
        }
    }
    /* Distinct values; numbers are dense only where the communicator holds all ranks, so
     * the next larger one is looked for until there is none. */
    for (bool found = true; found;) {
        int next = INT_MAX;
        found = false;
        for (int r = 0; r < comm->size; r++) {
            if (comm->node_of[r] > nodes_before && comm->node_of[r] <= next) {
                next = comm->node_of[r];
                found = true;
            }
        }
        comm->node_count += found;
        nodes_before = next;
    }
}

/* Takes over `handle` (freed on failure) and learns every rank's node from `own_node`. */
static uap_status wrap(MPI_Comm handle, int own_node, uap_comm **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_comm *comm = uap_calloc(1, sizeof *comm);
    *out = NULL;
    if (comm == NULL) {
        (void)MPI_Comm_free(&handle);
        return UAP_FAIL(err, NO_MEMORY, "no memory for a communicator");
    }
    comm->comm = handle;
    UAP_TRY(UAP_MPI(err, MPI_Comm_set_errhandler(handle, MPI_ERRORS_RETURN)));
    UAP_TRY(UAP_MPI(err, MPI_Comm_rank(handle, &comm->rank)));
    UAP_TRY(UAP_MPI(err, MPI_Comm_size(handle, &comm->size)));
    comm->node_of = uap_calloc((size_t)comm->size, sizeof *comm->node_of);
    if (comm->node_of == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %d node numbers", comm->size);
        goto done;
    }
    UAP_TRY(UAP_MPI(
        err, MPI_Allgather(&own_node, 1, MPI_INT, comm->node_of, 1, MPI_INT, handle)));
    count_nodes(comm);
    *out = comm;
    comm = NULL;
done:
    uap_comm_free(comm);
    return rc;
}

int uap_comm_made_up_node_size(void)
{
    const char *text = getenv("UNIAP_NODE_SIZE");
    const long size = text != NULL ? strtol(text, NULL, 10) : 0;
    return size > 0 && size <= INT_MAX ? (int)size : 0;
}

/* The number of this rank's node among all nodes, in the order of their lowest ranks. */
static uap_status number_of_node(MPI_Comm all, int *number, uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Comm node = MPI_COMM_NULL;
    int rank = 0, node_rank = 0, count[2] = {0, 0};
    UAP_TRY(UAP_MPI(err, MPI_Comm_rank(all, &rank)));
    const int made_up = uap_comm_made_up_node_size();
    if (made_up > 0) {
        *number = rank / made_up;
        return UAP_OK;
    }
    UAP_TRY(UAP_MPI(
        err, MPI_Comm_split_type(all, MPI_COMM_TYPE_SHARED, rank, MPI_INFO_NULL, &node)));
    UAP_TRY(UAP_MPI(err, MPI_Comm_rank(node, &node_rank)));
    /* How many lowest ranks of nodes stand before mine: the scan includes my own. */
    count[0] = node_rank == 0;
    UAP_TRY(UAP_MPI(err, MPI_Scan(&count[0], &count[1], 1, MPI_INT, MPI_SUM, all)));
    *number = count[1] - 1;
    UAP_TRY(UAP_MPI(err, MPI_Bcast(number, 1, MPI_INT, 0, node)));
done:
    if (node != MPI_COMM_NULL) {
        (void)MPI_Comm_free(&node);
    }
    return rc;
}

/* What uap_comm_keep() was given. */
typedef struct kept {
    struct kept *next;
    void *block;
} kept;

static kept *all_kept;

void uap_comm_keep(void *block)
{
    kept *entry = block != NULL ? uap_calloc(1, sizeof *entry) : NULL;
    if (entry != NULL) {
        *entry = (kept){all_kept, block};
        all_kept = entry;
    }
}

static void free_kept(void)
{
    while (all_kept != NULL) {
        kept *next = all_kept->next;
        uap_free(all_kept->block);
        uap_free(all_kept);
        all_kept = next;
    }
}

static bool wants_threads;

void uap_comm_ask_for_threads(void)
{
    wants_threads = true;
}

uap_status uap_comm_init(int *argc, char ***argv, uap_comm **out, uap_err *err)
{
    static char name[] = "uniap";
    uap_status rc = UAP_OK;
    MPI_Comm all = MPI_COMM_NULL;
    int granted = 0, node = 0;
    bool started = false;
    const bool slow_fence = started_by_srun();
    const int level = wants_threads ? MPI_THREAD_MULTIPLE : MPI_THREAD_FUNNELED;
    *out = NULL;
    UAP_TRY(UAP_MPI(err, MPI_Init_thread(argc, argv, level, &granted)));
    started = true;
    if (slow_fence) {
        wait_for_late_ranks();
    }
    UAP_TRY(UAP_MPI(err, MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN)));
    UAP_TRY(UAP_MPI(err, MPI_Comm_dup(MPI_COMM_WORLD, &all)));
    UAP_TRY(UAP_MPI(err, MPI_Comm_set_name(all, name)));
    UAP_TRY(number_of_node(all, &node, err));
    rc = wrap(all, node, out, err);
    all = MPI_COMM_NULL;
done:
    if (rc != UAP_OK && all != MPI_COMM_NULL) {
        (void)MPI_Comm_free(&all);
    }
    if (rc != UAP_OK && started) {
        (void)MPI_Finalize();
    }
    return rc;
}

uap_status uap_comm_finalize(uap_comm *comm, uap_err *err)
{
    if (comm == NULL) {
        return UAP_OK;
    }
    uap_comm_free(comm);
    const uap_status rc = UAP_MPI(err, MPI_Finalize());
    free_kept();
    return rc;
}

uap_status uap_comm_split(const uap_comm *comm, int color, int key, uap_comm **out,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Comm part = MPI_COMM_NULL;
    *out = NULL;
    if (uap_guard_is_on()) {
        UAP_TRY(uap_patient_barrier(comm, err)); /* a split cannot be given up */
    }
    UAP_TRY(UAP_MPI(
        err, MPI_Comm_split(comm->comm, color < 0 ? MPI_UNDEFINED : color, key, &part)));
    if (part != MPI_COMM_NULL) {
        rc = wrap(part, comm->node_of[comm->rank], out, err);
    }
done:
    return rc;
}

/* A tag of its own: no other group is made at the same time. */
#define TAG_SOME 1

uap_status uap_comm_some(const uap_comm *comm, const int *member, int n, uap_comm **out,
                         uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Comm some = MPI_COMM_NULL;
    MPI_Group all = MPI_GROUP_NULL, part = MPI_GROUP_NULL;
    *out = NULL;
    UAP_TRY(UAP_MPI(err, MPI_Comm_group(comm->comm, &all)));
    UAP_TRY(UAP_MPI(err, MPI_Group_incl(all, n, member, &part)));
    UAP_TRY(UAP_MPI(err, MPI_Comm_create_group(comm->comm, part, TAG_SOME, &some)));
    rc = wrap(some, comm->node_of[comm->rank], out, err);
done:
    if (part != MPI_GROUP_NULL) {
        (void)MPI_Group_free(&part);
    }
    if (all != MPI_GROUP_NULL) {
        (void)MPI_Group_free(&all);
    }
    return rc;
}

void uap_comm_free(uap_comm *comm)
{
    if (comm != NULL) {
        (void)MPI_Comm_free(&comm->comm);
        uap_free(comm->node_of);
        uap_free(comm);
    }
}

int uap_comm_rank(const uap_comm *comm)
{
    return comm->rank;
}

int uap_comm_size(const uap_comm *comm)
{
    return comm->size;
}

int uap_comm_node_rank(const uap_comm *comm)
{
    return comm->node_rank;
}

int uap_comm_node_size(const uap_comm *comm)
{
    return comm->node_size;
}

int uap_comm_node_of(const uap_comm *comm, int rank)
{
    return comm->node_of[rank];
}

int uap_comm_node_count(const uap_comm *comm)
{
    return comm->node_count;
}

const char *uap_comm_library(void)
{
    static char text[MPI_MAX_LIBRARY_VERSION_STRING];
    int length = 0;
    if (text[0] == '\0' && MPI_Get_library_version(text, &length) != MPI_SUCCESS) {
        return "unknown MPI library";
    }
    text[strcspn(text, ",\n")] = '\0';
    return text;
}

void uap_comm_abort(const uap_comm *comm, int exit_status)
{
    (void)MPI_Abort(comm->comm, exit_status);
    abort();
}
