/* When is a distributed search over? Mattern's four-counter method over a tree of ranks.
 * This file holds one rank's share of it as plain state; it sends nothing and has no clock,
 * so that every order of events can be tested. */
#ifndef UAP_MPI_TERMINATION_H
#define UAP_MPI_TERMINATION_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Counted messages: those that may make their receiver active. */
typedef struct uap_counters {
    int64_t sent, received;
} uap_counters;

typedef struct uap_termination {
    int n_children;
    bool is_root;
    int64_t wave;          /* number of the latest wave that reached this rank; 0: none */
    bool open;             /* it has not left this rank upward yet */
    uint32_t heard;        /* bit i: child i has reported in it */
    uap_counters below;    /* the sum of the children's reports */
    uap_counters report;   /* what this rank reported last, its subtree's sum */
    int64_t last_received; /* root: of the wave before; -1: none */
} uap_termination;

/* What a rank has to do after uap_termination_visit. */
typedef enum uap_visit {
    UAP_VISIT_NOTHING,
    UAP_VISIT_REPORT,  /* tell the parent `wave` and `report` */
    UAP_VISIT_AGAIN,   /* root: the wave ended without proof; start another one */
    UAP_VISIT_FINISHED /* root: the search is over on all ranks */
} uap_visit;

void uap_termination_init(uap_termination *term, bool is_root, int n_children);

/* The root starts a wave, which must not be open; afterwards `wave` goes to all children. */
void uap_termination_start(uap_termination *term);

/* Wave `wave` came from the parent. False: an old one, repeated. True: it goes on to all
 * children. */
bool uap_termination_wave(uap_termination *term, int64_t wave);

/* Child number `child` reports the sums of its subtree in `wave`; repeats are ignored. */
void uap_termination_heard(uap_termination *term, int child, int64_t wave,
                           uap_counters subtree);

/* Call whenever this rank is passive: with nothing to work on and no counted message to
 * send. `own` are its counters at this moment. */
uap_visit uap_termination_visit(uap_termination *term, uap_counters own);

#ifdef __cplusplus
}
#endif
#endif
