/* The barrier that leaves the cores to others. */
#include "mpi/comm_impl.h"

#include <time.h>

#define NAP_NS 500000L

uap_status uap_comm_barrier_asleep(const uap_comm *comm, uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Request request = MPI_REQUEST_NULL;
    int done = 0;
    UAP_TRY(UAP_MPI(err, MPI_Ibarrier(comm->comm, &request)));
    UAP_TRY(UAP_MPI(err, MPI_Test(&request, &done, MPI_STATUS_IGNORE)));
    while (done == 0) {
        const struct timespec nap = {.tv_nsec = NAP_NS};
        (void)nanosleep(&nap, NULL);
        UAP_TRY(UAP_MPI(err, MPI_Test(&request, &done, MPI_STATUS_IGNORE)));
    }
done:
    return rc;
}
