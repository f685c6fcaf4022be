/* What carries the search's messages: a handful of callbacks. mpi/transport_mpi.h is the
 * real one; bench/virtual_ranks.h runs any number of ranks in one process under a clock of
 * its own, and loses, repeats and delays messages when told to.
 *
 * A transport must deliver a message unchanged. It may delay it for any time, deliver it
 * twice, and let later messages overtake it; one that it loses is noticed (tree.h). */
#ifndef UAP_MPI_TRANSPORT_H
#define UAP_MPI_TRANSPORT_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Every kind of message there is; the only tags. */
#define UAP_TAG_LIST(X)                                                                  \
    X(STEAL, steal)       /* a thief asks for nodes */                                   \
    X(NONE, none)         /* the answer: nothing to give */                              \
    X(WORK, work)         /* the answer: nodes */                                        \
    X(ACK, ack)           /* the nodes have arrived */                                   \
    X(EDGE, edge)         /* between neighbours in the tree of ranks */                  \
    X(EDGE_ACK, edge_ack) /* an EDGE message has arrived */

typedef enum uap_tag {
#define UAP_TAG_ENUM(name, text) UAP_TAG_##name,
    UAP_TAG_LIST(UAP_TAG_ENUM)
#undef UAP_TAG_ENUM
        UAP_TAG_COUNT
} uap_tag;

typedef struct uap_message {
    int from;
    uap_tag tag;
    const char *bytes; /* the transport's, until the next poll; 8-byte aligned */
    size_t n;
} uap_message;

typedef struct uap_transport {
    void *self;
    int rank, size;
    const int *near_ranks; /* [n_near] the ranks of this node, this one included */
    int n_near;
    size_t message_max; /* bytes of the largest message */
    /* Takes a copy of n <= message_max bytes and does not wait. */
    uap_status (*send)(void *self, int to, uap_tag tag, const void *bytes, size_t n,
                       uap_err *err);
    /* The next message that has arrived, or *got = false at once. */
    uap_status (*poll)(void *self, uap_message *message, bool *got, uap_err *err);
    /* A clock that never runs backward. */
    int64_t (*now_ns)(void *self);
    /* Told after every batch of nodes; NULL where time passes by itself. */
    void (*spent)(void *self, int64_t nodes);
} uap_transport;

#ifdef __cplusplus
}
#endif
#endif
