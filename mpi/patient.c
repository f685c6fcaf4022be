/* Not watched: MPI's blocking calls. Watched: the same without blocking, on copies. */
#include "mpi/patient.h"

#include "common/mem.h"

#include <sched.h>
#include <string.h>
#include <time.h>

/* Looks without a nap: most waits are short. */
#define EAGER_LOOKS 20000
#define NAP_NS      20000L

static int size_of(MPI_Datatype type)
{
    int bytes = 0;
    (void)MPI_Type_size(type, &bytes);
    return bytes;
}

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "no memory for a message");
}

/* Until the operation is through or is given up. */
static uap_status finish(MPI_Request *request, uap_err *err)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    uap_status rc = UAP_OK;
    int flag = 0;
    for (int looks = 0;; looks += looks < EAGER_LOOKS) {
        UAP_TRY(UAP_MPI_LOOK(err, MPI_Test(request, &flag, MPI_STATUS_IGNORE)));
        if (flag) {
            uap_guard_beat();
            return UAP_OK;
        }
        if (uap_guard_is_given_up()) {
            return UAP_FAIL(err, MPI, "a rank does not answer");
        }
        if (looks < EAGER_LOOKS) {
            (void)sched_yield();
        } else {
            (void)nanosleep(&nap, NULL);
        }
    }
done:
    return rc;
}

/* `copy` is the operation's until it is through: then *out has its n bytes. */
static uap_status finish_copy(MPI_Request *request, char *copy, void *out, size_t n,
                              uap_err *err)
{
    const uap_status rc = finish(request, err);
    if (rc != UAP_OK) {
        uap_comm_keep(copy);
        return rc;
    }
    if (out != NULL && n > 0) {
        memcpy(out, copy, n);
    }
    uap_free(copy);
    return UAP_OK;
}

/* A copy of n bytes, and a byte more: an empty block is one too. */
static char *copy_of(const void *bytes, size_t n)
{
    char *copy = uap_calloc(n + 1, 1);
    if (copy != NULL && bytes != NULL && n > 0) {
        memcpy(copy, bytes, n);
    }
    return copy;
}

uap_status uap_patient_barrier(const uap_comm *comm, uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Request request = MPI_REQUEST_NULL;
    if (!uap_guard_is_on()) {
        return UAP_MPI(err, MPI_Barrier(comm->comm));
    }
    UAP_TRY(UAP_MPI_LOOK(err, MPI_Ibarrier(comm->comm, &request)));
    rc = finish(&request, err);
done:
    return rc;
}

uap_status uap_patient_bcast(const uap_comm *comm, void *bytes, int n, int root,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Request request = MPI_REQUEST_NULL;
    char *copy = NULL;
    if (!uap_guard_is_on()) {
        return UAP_MPI(err, MPI_Bcast(bytes, n, MPI_BYTE, root, comm->comm));
    }
    copy = copy_of(bytes, (size_t)n);
    if (copy == NULL) {
        return no_memory(err);
    }
    UAP_TRY(UAP_MPI_LOOK(err, MPI_Ibcast(copy, n, MPI_BYTE, root, comm->comm, &request)));
    return finish_copy(&request, copy, bytes, (size_t)n, err);
done:
    uap_free(copy);
    return rc;
}

uap_status uap_patient_allreduce(const uap_comm *comm, void *value, int n,
                                 MPI_Datatype type, MPI_Op op, uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Request request = MPI_REQUEST_NULL;
    const size_t bytes = (size_t)n * (size_t)size_of(type);
    char *copy = NULL;
    if (!uap_guard_is_on()) {
        return UAP_MPI(err, MPI_Allreduce(MPI_IN_PLACE, value, n, type, op, comm->comm));
    }
    copy = copy_of(value, bytes);
    if (copy == NULL) {
        return no_memory(err);
    }
    UAP_TRY(UAP_MPI_LOOK(
        err, MPI_Iallreduce(MPI_IN_PLACE, copy, n, type, op, comm->comm, &request)));
    return finish_copy(&request, copy, value, bytes, err);
done:
    uap_free(copy);
    return rc;
}

uap_status uap_patient_reduce(const uap_comm *comm, void *value, int n, MPI_Datatype type,
                              MPI_Op op, uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Request request = MPI_REQUEST_NULL;
    const bool leads = comm->rank == 0;
    const size_t bytes = (size_t)n * (size_t)size_of(type);
    char *copy = NULL;
    if (!uap_guard_is_on()) {
        return UAP_MPI(err, MPI_Reduce(leads ? MPI_IN_PLACE : value, leads ? value : NULL,
                                       n, type, op, 0, comm->comm));
    }
    copy = copy_of(value, bytes);
    if (copy == NULL) {
        return no_memory(err);
    }
    UAP_TRY(
        UAP_MPI_LOOK(err, MPI_Ireduce(leads ? MPI_IN_PLACE : copy, leads ? copy : NULL, n,
                                      type, op, 0, comm->comm, &request)));
    return finish_copy(&request, copy, leads ? value : NULL, bytes, err);
done:
    uap_free(copy);
    return rc;
}

/* Rank 0's copies of what MPI reads and writes, one behind the other in a block: the two tables
 * and what is gathered. */
static uap_status gather_patiently(const uap_comm *comm, const void *bytes, int n,
                                   char *all, const int *table[2], size_t total,
                                   uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Request request = MPI_REQUEST_NULL;
    const size_t ranks = comm->rank == 0 ? (size_t)comm->size : 0;
    const size_t head = 2 * ranks * sizeof(int);
    char *block = uap_calloc(head + (size_t)n + total + 1, 1);
    if (block == NULL) {
        return no_memory(err);
    }
    /* Storage of calloc's alignment. */
    int *const tables = (int *)(void *)block;
    char *const own = block + head, *const to = own + n;
    if (ranks > 0) {
        memcpy(tables, table[0], ranks * sizeof(int));
        memcpy(tables + ranks, table[1], ranks * sizeof(int));
    }
    if (n > 0) {
        memcpy(own, bytes, (size_t)n);
    }
    UAP_TRY(UAP_MPI_LOOK(err, MPI_Igatherv(own, n, MPI_BYTE, to, tables, tables + ranks,
                                           MPI_BYTE, 0, comm->comm, &request)));
    rc = finish(&request, err);
    if (rc != UAP_OK) {
        uap_comm_keep(block);
        return rc;
    }
    if (total > 0) {
        memcpy(all, to, total);
    }
done:
    uap_free(block);
    return rc;
}

uap_status uap_patient_gather(const uap_comm *comm, const void *bytes, int n, char *all,
                              const int *n_of, const int *start, uap_err *err)
{
    const int *table[2] = {n_of, start};
    size_t total = 0;
    if (!uap_guard_is_on()) {
        return UAP_MPI(err, MPI_Gatherv(bytes, n, MPI_BYTE, all, n_of, start, MPI_BYTE, 0,
                                        comm->comm));
    }
    for (int r = 0; comm->rank == 0 && r < comm->size; r++) {
        total += (size_t)n_of[r];
    }
    return gather_patiently(comm, bytes, n, all, table, total, err);
}
