/* The collective operations of comm.h: barrier, broadcast, reductions, gather, agreement. */
#include "mpi/patient.h"

#include "common/mem.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

/* Messages are cut into pieces of this many bytes: counts are int in MPI 3. */
#define PIECE_BYTES ((size_t)1 << 30)

uap_status uap_comm_barrier(const uap_comm *comm, uap_err *err)
{
    return UAP_MPI(err, MPI_Barrier(comm->comm));
}

uap_status uap_comm_bcast(const uap_comm *comm, void *bytes, size_t n, int root,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    char *const at = bytes;
    for (size_t done_bytes = 0; done_bytes < n && rc == UAP_OK;) {
        const size_t left = n - done_bytes;
        const size_t piece = left < PIECE_BYTES ? left : PIECE_BYTES;
        rc = uap_patient_bcast(comm, at + done_bytes, (int)piece, root, err);
        done_bytes += piece;
    }
    return rc;
}

static MPI_Op mpi_op(uap_comm_op op)
{
    switch (op) {
    case UAP_COMM_MAX:
        return MPI_MAX;
    case UAP_COMM_MIN:
        return MPI_MIN;
    case UAP_COMM_SUM:
        break;
    }
    return MPI_SUM;
}

/* Reduces on rank 0 and broadcasts: an all-reduce algorithm may add in an order of its own
 * on each rank, and then ranks would differ in the last bit. */
uap_status uap_comm_allreduce_f64(const uap_comm *comm, double *value, size_t n,
                                  uap_comm_op op, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    UAP_TRY(uap_mpi_count(n, &count, err));
    UAP_TRY(uap_patient_reduce(comm, value, count, MPI_DOUBLE, mpi_op(op), err));
    rc = uap_comm_bcast(comm, value, n * sizeof *value, 0, err);
done:
    return rc;
}

/* In whatever order, whole numbers come out the same. */
uap_status uap_comm_allreduce_i64(const uap_comm *comm, int64_t *value, size_t n,
                                  uap_comm_op op, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    UAP_TRY(uap_mpi_count(n, &count, err));
    UAP_TRY(uap_patient_allreduce(comm, value, count, MPI_INT64_T, mpi_op(op), err));
done:
    return rc;
}

/* Rank 0 turns every rank's byte count into offsets and MPI's int tables. */
static uap_status layout(const int64_t *n_of, int size, size_t *offset, int *tables,
                         uap_err *err)
{
    for (int r = 0; r < size; r++) {
        offset[r + 1] = offset[r] + (size_t)n_of[r];
        if (offset[r + 1] > (size_t)INT_MAX) {
            return UAP_FAIL(err, TOO_LARGE,
                            "the ranks sent over %d bytes to rank 0 at once", INT_MAX);
        }
        tables[r] = (int)n_of[r];
        tables[size + r] = (int)offset[r];
    }
    return UAP_OK;
}

uap_status uap_comm_gather(const uap_comm *comm, const void *bytes, size_t n, char **all,
                           size_t **offset, uap_err *err)
{
    uap_status rc = UAP_OK, local = UAP_OK;
    const size_t size = comm->rank == 0 ? (size_t)comm->size : 0;
    const int64_t own = (int64_t)n;
    int64_t *n_of = uap_calloc(size, sizeof *n_of);
    int *tables = uap_calloc(2 * size, sizeof *tables);
    size_t *start = uap_calloc(size + 1, sizeof *start);
    char *data = NULL;
    *all = NULL;
    *offset = NULL;
    if (n_of == NULL || tables == NULL || start == NULL) {
        local = UAP_FAIL(err, NO_MEMORY, "no memory to gather from %d ranks", comm->size);
    }
    UAP_TRY(uap_comm_agree(comm, local, err));
    for (size_t r = 0; r < size; r++) {
        tables[r] = (int)sizeof own;
        tables[size + r] = (int)(r * sizeof own);
    }
    UAP_TRY(uap_patient_gather(comm, &own, (int)sizeof own, (char *)n_of, tables,
                               tables + size, err));
    if (comm->rank == 0) {
        local = layout(n_of, comm->size, start, tables, err);
        if (local == UAP_OK && (data = uap_calloc(start[size] + 1, 1)) == NULL) {
            local =
                UAP_FAIL(err, NO_MEMORY, "no memory for %zu gathered bytes", start[size]);
        }
    }
    UAP_TRY(uap_comm_agree(comm, local, err));
    UAP_TRY(uap_patient_gather(comm, bytes, (int)n, data, tables, tables + size, err));
    if (comm->rank == 0) {
        *all = data;
        *offset = start;
        data = NULL;
        start = NULL;
    }
done:
    uap_free(data);
    uap_free(start);
    uap_free(tables);
    uap_free(n_of);
    return rc;
}

uap_status uap_comm_agree(const uap_comm *comm, uap_status local, uap_err *err)
{
    /* The lowest rank that failed speaks for all; `size` says that none did. */
    int first = local == UAP_OK ? comm->size : comm->rank;
    struct {
        int code;
        char text[sizeof((uap_err *)0)->msg];
    } said = {.code = (int)local, .text = ""};
    uap_status rc = UAP_OK;
    UAP_TRY(uap_patient_allreduce(comm, &first, 1, MPI_INT, MPI_MIN, err));
    if (first == comm->size) {
        return UAP_OK;
    }
    if (first == comm->rank) {
        const char *text =
            err != NULL && err->code != UAP_OK ? err->msg : uap_status_text(local);
        (void)snprintf(said.text, sizeof said.text, "%s", text);
    }
    UAP_TRY(uap_patient_bcast(comm, &said, (int)sizeof said, first, err));
    uap_err_clear(err);
    rc = (uap_status)said.code;
    if (first == 0) {
        (void)uap_fail(err, rc, __FILE__, __LINE__, "%s", said.text);
    } else {
        (void)uap_fail(err, rc, __FILE__, __LINE__, "rank %d: %s", first, said.text);
    }
done:
    return rc;
}
