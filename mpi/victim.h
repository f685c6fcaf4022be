/* Whom an idle rank asks for work: who gave last, then ranks of its own node, then others,
 * near ones more often than far ones. Only chooses; asking is steal.c's. */
#ifndef UAP_MPI_VICTIM_H
#define UAP_MPI_VICTIM_H

#include "mpi/transport.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_victims {
    const uap_transport *net;
    uint64_t state; /* of the random numbers */
    int last_giver; /* -1: nobody yet */
    int tries;      /* in this round */
    int round;      /* tries in a whole round; then it is time to back off */
    int near_tries; /* of them on the own node */
} uap_victims;

/* seed: any; ranks get streams of their own from the same one. */
void uap_victims_init(uap_victims *victims, const uap_transport *net, uint64_t seed);

/* The next rank to ask, never this one; there must be another. */
int uap_victims_next(uap_victims *victims);

/* Whether the round is over; starts the next one. */
bool uap_victims_round_over(uap_victims *victims);

/* `rank` gave work: it is asked first next time. */
void uap_victims_gave(uap_victims *victims, int rank);

#ifdef __cplusplus
}
#endif
#endif
