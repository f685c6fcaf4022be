/* The search's messages over MPI: two-sided, non-blocking, on a communicator of their own. */
#ifndef UAP_MPI_TRANSPORT_MPI_H
#define UAP_MPI_TRANSPORT_MPI_H

#include "mpi/comm.h"
#include "mpi/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_transport_mpi uap_transport_mpi;

/* Errors: MPI, NO_MEMORY, TOO_LARGE (message_max does not fit an int), on all ranks alike.
 * The caller frees *out. Collective. */
UAP_NODISCARD uap_status uap_transport_mpi_new(const uap_comm *comm, size_t message_max,
                                               uap_transport_mpi **out, uap_err *err);

/* The callbacks; they live as long as `mpi`. Local. */
const uap_transport *uap_transport_mpi_net(const uap_transport_mpi *mpi);

/* To be called between two searches over it, on all ranks: messages of those before are no
 * longer taken. Local. */
void uap_transport_mpi_next(uap_transport_mpi *mpi);

/* No message may be on its way, as after UAP_TREE_END. NULL is legal. Collective. */
void uap_transport_mpi_free(uap_transport_mpi *mpi);

#ifdef __cplusplus
}
#endif
#endif
