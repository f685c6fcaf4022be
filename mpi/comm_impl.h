/* What the files of this folder share: the communicator's fields and the checked call.
 * Private to mpi/. */
#ifndef UAP_MPI_COMM_IMPL_H
#define UAP_MPI_COMM_IMPL_H

#include "mpi/comm.h"

#include <mpi.h>
#include <stdbool.h>

struct uap_comm {
    MPI_Comm comm; /* duplicated or split by us, MPI_ERRORS_RETURN */
    int rank, size;
    int *node_of; /* [size] node number of each rank */
    int node_rank, node_size, node_count;
};

/* UAP_OK, or UAP_MPI with "<call>: <MPI's text>" recorded in err. */
UAP_NODISCARD uap_status uap_mpi_check(int code, const char *call, const char *file,
                                       int line, uap_err *err);

/* The only way an MPI function is called. (Not followed by a bracket, UAP_MPI is the status
 * code.) */
#define UAP_MPI(err, call) uap_mpi_check((call), #call, __FILE__, __LINE__, (err))

/* An element count as MPI's int; TOO_LARGE where it does not fit. */
UAP_NODISCARD uap_status uap_mpi_count(size_t n, int *out, uap_err *err);

#endif
