/* Moving buffers between ranks at full speed: what the profiler times. Each function is one
 * MPI operation and nothing else; whoever calls it holds the clock. */
#ifndef UAP_MPI_TRANSFER_H
#define UAP_MPI_TRANSFER_H

#include "mpi/comm.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/* In place of a rank: nothing is sent, or nothing received. */
#define UAP_COMM_NOBODY (-1)

/* recv[i] = sum over the ranks of send[i], n floats on every rank; the buffers are apart.
 * Errors here and below: MPI, TOO_LARGE (2^31 elements or more). Collective. */
UAP_NODISCARD uap_status uap_transfer_all_reduce(const uap_comm *comm, const float *send,
                                                 float *recv, size_t n, uap_err *err);

/* Rank r's n bytes end at recv[r * n] on every rank; recv has size * n. Collective. */
UAP_NODISCARD uap_status uap_transfer_all_gather(const uap_comm *comm, const void *send,
                                                 void *recv, size_t n, uap_err *err);

/* send has size * n floats; rank r receives the sums of block r, n floats. Collective. */
UAP_NODISCARD uap_status uap_transfer_reduce_scatter(const uap_comm *comm,
                                                     const float *send, float *recv,
                                                     size_t n, uap_err *err);

/* Block r of n bytes goes to rank r; send and recv have size * n bytes. Collective. */
UAP_NODISCARD uap_status uap_transfer_all_to_all(const uap_comm *comm, const void *send,
                                                 void *recv, size_t n, uap_err *err);

/* Sends n bytes to rank `to` and receives n from rank `from`; either may be
 * UAP_COMM_NOBODY. Returns when both are done. Local, matched by the peers' calls. */
UAP_NODISCARD uap_status uap_transfer_exchange(const uap_comm *comm, const void *send,
                                               int to, void *recv, int from, size_t n,
                                               uap_err *err);

/* An operation that goes on while the caller computes. */
typedef struct uap_transfer uap_transfer;

/* Starts an all-reduce as above; both buffers stay in use until it has finished. It
 * advances inside uap_transfer_test. The caller frees *out, and only once finished.
 * Collective. */
UAP_NODISCARD uap_status uap_transfer_start(const uap_comm *comm, const float *send,
                                            float *recv, size_t n, uap_transfer **out,
                                            uap_err *err);

/* Advances it; *finished tells whether it is done on this rank. Local. */
UAP_NODISCARD uap_status uap_transfer_test(uap_transfer *transfer, bool *finished,
                                           uap_err *err);

void uap_transfer_free(uap_transfer *transfer); /* NULL is legal */

#ifdef __cplusplus
}
#endif
#endif
