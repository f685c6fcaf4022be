/* Messages to one rank and from another at the same time, each answered, timed, and given up
 * at a deadline: what a survey of links measures with. Each pair of ranks must agree on
 * bytes, times and tag; nothing is collective. */
#ifndef UAP_MPI_PROBE_H
#define UAP_MPI_PROBE_H

#include "mpi/comm.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_probe {
    int to, from;      /* UAP_COMM_NOBODY (mpi/transfer.h) for none */
    char *send, *recv; /* both of `bytes`; the first byte of a message is the probe's */
    size_t bytes;      /* >= 1 */
    int times;         /* messages each way, one after the other */
    /* `least` of them are enough where those behind the first took enough_s; 0: all. A slow
     * link then holds up its round for less. */
    int least;
    double enough_s;
    /* Where `to` is `from`: one message at a time. On a connection that both directions share,
     * what a transport must say before it sends, and the answer, wait behind the other's
     * message: now and then, and then for as long as that takes. */
    bool takes_turns;
    int tag;           /* no other probe of these ranks has it, nor tag + 1 */
    double deadline_s; /* from now */
} uap_probe;

typedef struct uap_probe_result {
    int sent, served;  /* messages that were answered by `to`; that came from `from` */
    bool is_answered;  /* all that were to be sent were */
    bool is_abandoned; /* MPI may still use the buffers: uap_comm_keep() them */
} uap_probe_result;

/* each_s[0 .. sent-1]: seconds from sending to the empty answer. Returns when all is done, or
 * at the deadline. Errors: MPI, TOO_LARGE. */
UAP_NODISCARD uap_status uap_probe_run(const uap_comm *comm, const uap_probe *probe,
                                       double *each_s, uap_probe_result *result,
                                       uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
