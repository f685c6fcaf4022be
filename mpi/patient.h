/* MPI's collective operations as the rest of this folder uses them: where a call is watched
 * (guard.h) they can be given up while they wait. What MPI may still write to is then kept, and
 * the communicator is of no more use. Private to mpi/. */
#ifndef UAP_MPI_PATIENT_H
#define UAP_MPI_PATIENT_H

#include "mpi/comm_impl.h"

/* As MPI_Barrier, MPI_Bcast and, in place, MPI_Allreduce; MPI_Reduce to rank 0, in place there
 * (the others' values stay). Errors: MPI (also given up), NO_MEMORY. Collective. */
UAP_NODISCARD uap_status uap_patient_barrier(const uap_comm *comm, uap_err *err);
UAP_NODISCARD uap_status uap_patient_bcast(const uap_comm *comm, void *bytes, int n,
                                           int root, uap_err *err);
UAP_NODISCARD uap_status uap_patient_allreduce(const uap_comm *comm, void *value, int n,
                                               MPI_Datatype type, MPI_Op op,
                                               uap_err *err);
UAP_NODISCARD uap_status uap_patient_reduce(const uap_comm *comm, void *value, int n,
                                            MPI_Datatype type, MPI_Op op, uap_err *err);

/* MPI_Gatherv of bytes to rank 0: n_of[r] of rank r at start[r] of `all`; the three are NULL on
 * others. Errors: as above. Collective. */
UAP_NODISCARD uap_status uap_patient_gather(const uap_comm *comm, const void *bytes,
                                            int n, char *all, const int *n_of,
                                            const int *start, uap_err *err);

#endif
