/* What the files behind site.h share. Private to them. */
#ifndef UAP_PROFILE_SITE_IMPL_H
#define UAP_PROFILE_SITE_IMPL_H

#include "mpi/desk.h"
#include "profile/site.h"

typedef enum action {
    ACT_COMPUTE,
    ACT_SHORT,
    ACT_LONG,
    ACT_LEAVE,
    ACT_STAY,
    ACT_ASK, /* how far a rank is with what was begun together */
    ACT_DONE /* all are through with it */
} action;

typedef struct order_message {
    int32_t epoch; /* of the order; reports repeat it */
    int32_t action, kind, to, from;
} order_message;

typedef struct report_message {
    int32_t epoch;
    int32_t failed;
    int32_t said;  /* uap_said, behind the survey */
    float seconds; /* of the work or of a message; infinite: no answer */
} report_message;

struct uap_site {
    uap_comm *comm; /* own: its messages meet no others */
    uap_desk *desk;
    uap_work *work; /* a device's check; NULL with a stub */
    uap_site_options options;
    uap_stub stub;
    char *send, *recv;
    bool buffers_are_lent; /* MPI may still use them */
    double *each_s;        /* [RUNS_MAX or messages] */
    double began_s;        /* when it was made, by this rank's clock */
    double silent_s; /* of rounds in which somebody fell silent: those waits are over */
    int32_t epoch;
    int32_t
        *slot; /* rank 0, [ranks]: order of a rank that is waited for, or UAP_NOBODY */
    int32_t n_left_out, n_back;
    order_message last; /* other ranks: the order that ended what they did */
    bool has_verdict;   /* other ranks: `last` ends a roll that is not answered yet */
    int32_t roll;       /* rolls so far; the same on all ranks that stay */
};

/* Frees what the survey measured with. Local. */
void uap_site_release(uap_site *site);

#endif
