/* Plain timed loops in MPI calls alone, by the method of the OSU micro-benchmarks (osu_latency,
 * osu_allreduce): what measurements of profile/ are held against. They share nothing with it,
 * the clock neither. */
#ifndef UAP_MPI_PLAIN_H
#define UAP_MPI_PLAIN_H

#include "mpi/comm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* `skip` calls untimed, then `count` timed ones, on buffers of n bytes. */
typedef struct uap_plain_loop {
    const void *send;
    void *recv;
    size_t n;
    int32_t skip, count;
} uap_plain_loop;

/* Half of a round trip between ranks 0 and 1 of comm by MPI_Send and MPI_Recv: the clock runs
 * over all round trips, and rank 0's counts. *seconds is the same on every rank. Errors here
 * and below: MPI, TOO_LARGE. Collective. */
UAP_NODISCARD uap_status uap_plain_ping_pong(const uap_comm *comm,
                                             const uap_plain_loop *loop, double *seconds,
                                             uap_err *err);

/* MPI_Allreduce of n / 4 floats: the clock runs over each call, with a barrier between calls;
 * the mean over calls. *slowest is the longest of any rank ("max" of osu_allreduce -f), *mean
 * the mean over ranks (its "avg"). The same on every rank. Collective. */
UAP_NODISCARD uap_status uap_plain_all_reduce(const uap_comm *comm,
                                              const uap_plain_loop *loop, double *slowest,
                                              double *mean, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
