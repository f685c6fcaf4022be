/* What the files of this folder share: the communicator's fields and the checked call.
 * Private to mpi/. */
#ifndef UAP_MPI_COMM_IMPL_H
#define UAP_MPI_COMM_IMPL_H

#include "mpi/comm.h"
#include "mpi/guard.h"

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

/* Ends what uap_guard_enter began, with a step or without; `code` again. */
int uap_mpi_leave(int code);
int uap_mpi_leave_look(int code);

/* The only way an MPI function is called: a step of a guarded call (mpi/guard.h), or, of one
 * that only looks whether something has come, none. (Not followed by a bracket, UAP_MPI is the
 * status code.) */
#define UAP_MPI(err, call)                                                               \
    (uap_guard_enter(),                                                                  \
     uap_mpi_check(uap_mpi_leave(call), #call, __FILE__, __LINE__, (err)))
#define UAP_MPI_LOOK(err, call)                                                          \
    (uap_guard_enter(),                                                                  \
     uap_mpi_check(uap_mpi_leave_look(call), #call, __FILE__, __LINE__, (err)))

/* An element count as MPI's int; TOO_LARGE where it does not fit. */
UAP_NODISCARD uap_status uap_mpi_count(size_t n, int *out, uap_err *err);

#endif
