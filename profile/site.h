/* The machine under a survey: this job's ranks, one a device, which do what rank 0 orders and
 * report to it. A rank that does not report in time is silent: nobody waits for it twice, and
 * the rest goes on without it. It decides nothing. */
#ifndef UAP_PROFILE_SITE_H
#define UAP_PROFILE_SITE_H

#include "mpi/comm.h"
#include "mpi/fuse.h"
#include "profile/device.h"
#include "profile/stub.h"
#include "profile/survey.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_site_options {
    double bytes; /* of a long message */
    int32_t pings,
        transfers;     /* short and long messages of a flow, >= 2: the first opens the
                               * connection and does not count */
    double device_s;   /* to spend on the check of a device */
    double deadline_s; /* a rank that takes longer for an order is silent */
    uap_fuse *fuse;    /* ends the job where rank 0 itself hangs; NULL: nothing does */
    const char *stub;  /* faults of made-up devices and links (stub.h); NULL: none */
} uap_site_options;

typedef struct uap_site uap_site;

/* comm and device are borrowed; rank r of comm is device r of the partition that is surveyed.
 * Errors: NO_MEMORY, BAD_USAGE (the stub's text), those of the device, on all ranks alike.
 * The caller frees *out. Collective. */
UAP_NODISCARD uap_status uap_site_new(const uap_comm *comm, uap_device *device,
                                      const uap_site_options *options, uap_site **out,
                                      uap_err *err);

/* What rank 0 gives to uap_survey_run. Its measure() ends by itself within a deadline and a
 * half for each of its two parts. Local. */
uap_survey_machine uap_site_machine(uap_site *site);

/* On the other ranks, while rank 0 surveys: do as ordered, until it calls uap_site_end. */
UAP_NODISCARD uap_status uap_site_serve(uap_site *site, uap_err *err);

/* Ends the survey: on rank 0 with who is left out from now on (is_left_out[rank], never
 * rank 0), on the others behind uap_site_serve with NULL. *members: a communicator of those
 * who stay, in their order; NULL on a rank that is left out. The caller frees it. Also after
 * a failed survey. Errors: MPI, NO_MEMORY. Collective over those who stay. */
UAP_NODISCARD uap_status uap_site_end(uap_site *site, const bool *is_left_out,
                                      uap_comm **members, uap_err *err);

/* On rank 0, behind uap_site_end: how many of those left out have not come back within
 * wait_s; they hang, and a collective operation over all ranks would too. */
UAP_NODISCARD uap_status uap_site_missing(uap_site *site, double wait_s, int *missing,
                                          uap_err *err);

/* ---- Behind the survey: who is through with a call that those who stay made together ------ */

typedef enum uap_said {
    UAP_SAID_NOTHING = 1,
    UAP_SAID_BUSY,   /* still in the call */
    UAP_SAID_DONE,   /* through */
    UAP_SAID_WAITS,  /* gave it up: it waited for others */
    UAP_SAID_WORKS,  /* gave it up: its own work does not end */
    UAP_SAID_FAILED, /* through, but its device is in error */
    UAP_SAID_SILENT, /* does not answer (or was left out before) */
    UAP_SAID_BACK    /* left out, and knows it */
} uap_said;

/* On rank 0, when it is through or gave up: said[ranks] of all who stay: DONE, WAITS, WORKS, FAILED, or
 * SILENT for those that do not even answer within a deadline and a half. Who is busy is waited
 * for. Then either uap_site_all_done, or uap_site_end again with those to leave out, whose
 * *members is for the next call. Errors: MPI. Local. */
UAP_NODISCARD uap_status uap_site_call_roll(uap_site *site, const bool *is_left_out,
                                            uap_said own, uap_said *said, uap_err *err);
UAP_NODISCARD uap_status uap_site_all_done(uap_site *site, const bool *is_left_out,
                                           uap_err *err);

/* On the others: now and then during the call, so that rank 0 hears that they are there; and,
 * when it is through or was given up, until rank 0 has decided. *again: uap_site_end follows.
 * Errors: MPI. Local. */
UAP_NODISCARD uap_status uap_site_look(uap_site *site, uap_err *err);
UAP_NODISCARD uap_status uap_site_answer_roll(uap_site *site, uap_said said, bool *again,
                                              uap_err *err);

void uap_site_free(uap_site *site); /* NULL is legal; local */

#ifdef __cplusplus
}
#endif
#endif
