/* Orders from rank 0 and reports to it, without ever waiting for a rank that does not answer:
 * for what must go on when a rank hangs. Small messages; what they mean is the caller's. */
#ifndef UAP_MPI_DESK_H
#define UAP_MPI_DESK_H

#include "mpi/comm.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_desk uap_desk;

/* Orders and reports are of fixed size. comm is borrowed and carries no other messages of
 * these tags. Errors: NO_MEMORY, on all ranks alike. The caller frees *out. Collective. */
UAP_NODISCARD uap_status uap_desk_new(const uap_comm *comm, size_t order_bytes,
                                      size_t report_bytes, uap_desk **out, uap_err *err);

/* On rank 0: sends a copy of the order to another rank and returns at once. An order to a
 * rank that has not taken in the one before is dropped. Errors: MPI. Local. */
UAP_NODISCARD uap_status uap_desk_order(uap_desk *desk, int to, const void *order,
                                        uap_err *err);

/* On rank 0: the next report that comes within wait_s, or *got = false. Errors: MPI. Local. */
UAP_NODISCARD uap_status uap_desk_take(uap_desk *desk, double wait_s, void *report,
                                       int *from, bool *got, uap_err *err);

/* On another rank: waits for an order, sleeping between looks; of several that have come the
 * last counts. Errors: MPI. Local. */
UAP_NODISCARD uap_status uap_desk_wait(uap_desk *desk, void *order, uap_err *err);

/* On another rank: an order that has come, or *got = false. Errors: MPI. Local. */
UAP_NODISCARD uap_status uap_desk_look(uap_desk *desk, void *order, bool *got,
                                       uap_err *err);

/* On another rank: sends a copy of the report to rank 0 and returns at once. Errors: MPI. */
UAP_NODISCARD uap_status uap_desk_report(uap_desk *desk, const void *report,
                                         uap_err *err);

/* On rank 0: sends n numbers to each of the ranks `to`, and waits for them, which all call
 * uap_desk_hear. On those: the numbers; the caller frees *out. Errors: MPI, NO_MEMORY,
 * TOO_LARGE. */
UAP_NODISCARD uap_status uap_desk_tell(uap_desk *desk, const int *to, int n_to,
                                       const int *number, int n, uap_err *err);
UAP_NODISCARD uap_status uap_desk_hear(uap_desk *desk, int **out, int *n, uap_err *err);

/* Also with messages on their way, whose buffers are then kept. NULL is legal. Local. */
void uap_desk_free(uap_desk *desk);

#ifdef __cplusplus
}
#endif
#endif
