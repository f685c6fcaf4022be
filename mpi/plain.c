/* The loops of plain.h. */
#include "mpi/plain.h"

#include "mpi/comm_impl.h"

enum { TAG_PING = 200 };

/* There and back; the lower rank begins. */
static uap_status round_trip(const uap_comm *comm, const uap_plain_loop *loop, int count,
                             uap_err *err)
{
    const int peer = 1 - comm->rank;
    uap_status rc = UAP_OK;
    if (comm->rank == 0) {
        UAP_TRY(UAP_MPI(
            err, MPI_Send(loop->send, count, MPI_BYTE, peer, TAG_PING, comm->comm)));
        UAP_TRY(UAP_MPI(err, MPI_Recv(loop->recv, count, MPI_BYTE, peer, TAG_PING,
                                      comm->comm, MPI_STATUS_IGNORE)));
    } else {
        UAP_TRY(UAP_MPI(err, MPI_Recv(loop->recv, count, MPI_BYTE, peer, TAG_PING,
                                      comm->comm, MPI_STATUS_IGNORE)));
        UAP_TRY(UAP_MPI(
            err, MPI_Send(loop->send, count, MPI_BYTE, peer, TAG_PING, comm->comm)));
    }
done:
    return rc;
}

uap_status uap_plain_ping_pong(const uap_comm *comm, const uap_plain_loop *loop,
                               double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    double start = 0;
    *seconds = 0;
    UAP_TRY(uap_mpi_count(loop->n, &count, err));
    UAP_TRY(UAP_MPI(err, MPI_Barrier(comm->comm)));
    if (comm->rank < 2) {
        for (int32_t i = 0; i < loop->skip + loop->count; i++) {
            start = i == loop->skip ? MPI_Wtime() : start;
            UAP_TRY(round_trip(comm, loop, count, err));
        }
        *seconds = (MPI_Wtime() - start) / (2.0 * loop->count);
    }
    rc = UAP_MPI(err, MPI_Bcast(seconds, 1, MPI_DOUBLE, 0, comm->comm));
done:
    return rc;
}

uap_status uap_plain_all_reduce(const uap_comm *comm, const uap_plain_loop *loop,
                                double *slowest, double *mean, uap_err *err)
{
    uap_status rc = UAP_OK;
    int count = 0;
    double own = 0;
    UAP_TRY(uap_mpi_count(loop->n / sizeof(float), &count, err));
    UAP_TRY(UAP_MPI(err, MPI_Barrier(comm->comm)));
    for (int32_t i = 0; i < loop->skip + loop->count; i++) {
        const double start = MPI_Wtime();
        UAP_TRY(UAP_MPI(err, MPI_Allreduce(loop->send, loop->recv, count, MPI_FLOAT,
                                           MPI_SUM, comm->comm)));
        own += i >= loop->skip ? MPI_Wtime() - start : 0;
        UAP_TRY(UAP_MPI(err, MPI_Barrier(comm->comm)));
    }
    own /= loop->count;
    UAP_TRY(
        UAP_MPI(err, MPI_Allreduce(&own, slowest, 1, MPI_DOUBLE, MPI_MAX, comm->comm)));
    UAP_TRY(UAP_MPI(err, MPI_Allreduce(&own, mean, 1, MPI_DOUBLE, MPI_SUM, comm->comm)));
    *mean /= comm->size;
done:
    return rc;
}
