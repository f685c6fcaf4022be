/* The operations of transfer.h, one MPI call each. */
#include "mpi/transfer.h"

#include "common/mem.h"
#include "mpi/comm_impl.h"

/* Message tags of this file. */
enum { TAG_EXCHANGE = 100 };

struct uap_transfer {
    MPI_Request request;
};

uap_status uap_transfer_all_reduce(const uap_comm *comm, const float *send, float *recv,
                                   size_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    UAP_TRY(uap_mpi_count(n, &count, err));
    rc = UAP_MPI(err, MPI_Allreduce(send, recv, count, MPI_FLOAT, MPI_SUM, comm->comm));
done:
    return rc;
}

uap_status uap_transfer_all_gather(const uap_comm *comm, const void *send, void *recv,
                                   size_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    UAP_TRY(uap_mpi_count(n, &count, err));
    rc = UAP_MPI(err,
                 MPI_Allgather(send, count, MPI_BYTE, recv, count, MPI_BYTE, comm->comm));
done:
    return rc;
}

uap_status uap_transfer_reduce_scatter(const uap_comm *comm, const float *send,
                                       float *recv, size_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    UAP_TRY(uap_mpi_count(n, &count, err));
    rc = UAP_MPI(
        err, MPI_Reduce_scatter_block(send, recv, count, MPI_FLOAT, MPI_SUM, comm->comm));
done:
    return rc;
}

uap_status uap_transfer_all_to_all(const uap_comm *comm, const void *send, void *recv,
                                   size_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    UAP_TRY(uap_mpi_count(n, &count, err));
    rc = UAP_MPI(err,
                 MPI_Alltoall(send, count, MPI_BYTE, recv, count, MPI_BYTE, comm->comm));
done:
    return rc;
}

uap_status uap_transfer_exchange(const uap_comm *comm, const void *send, int to,
                                 void *recv, int from, size_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    UAP_TRY(uap_mpi_count(n, &count, err));
    /* A send or a receive alone takes less of a processor than both with nobody. */
    if (from == UAP_COMM_NOBODY) {
        rc = to == UAP_COMM_NOBODY ? UAP_OK
                                   : UAP_MPI(err, MPI_Send(send, count, MPI_BYTE, to,
                                                           TAG_EXCHANGE, comm->comm));
    } else if (to == UAP_COMM_NOBODY) {
        rc = UAP_MPI(err, MPI_Recv(recv, count, MPI_BYTE, from, TAG_EXCHANGE, comm->comm,
                                   MPI_STATUS_IGNORE));
    } else {
        rc = UAP_MPI(err, MPI_Sendrecv(send, count, MPI_BYTE, to, TAG_EXCHANGE, recv,
                                       count, MPI_BYTE, from, TAG_EXCHANGE, comm->comm,
                                       MPI_STATUS_IGNORE));
    }
done:
    return rc;
}

uap_status uap_transfer_start(const uap_comm *comm, const float *send, float *recv,
                              size_t n, uap_transfer **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    uap_transfer *transfer = NULL;
    *out = NULL;
    UAP_TRY(uap_mpi_count(n, &count, err));
    transfer = uap_calloc(1, sizeof *transfer);
    if (transfer == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for a transfer");
        goto done;
    }
    UAP_TRY(UAP_MPI(err, MPI_Iallreduce(send, recv, count, MPI_FLOAT, MPI_SUM, comm->comm,
                                        &transfer->request)));
    *out = transfer;
    transfer = NULL;
done:
    uap_free(transfer);
    return rc;
}

uap_status uap_transfer_test(uap_transfer *transfer, bool *finished, uap_err *err)
{
    int flag = 0;
    const uap_status rc =
        UAP_MPI_LOOK(err, MPI_Test(&transfer->request, &flag, MPI_STATUS_IGNORE));
    *finished = flag != 0;
    return rc;
}

void uap_transfer_free(uap_transfer *transfer)
{
    uap_free(transfer);
}
