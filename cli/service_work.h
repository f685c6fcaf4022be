/* Where a service's requests are worked on: threads that run commands side by side, on rank 0
 * alone (tries) or on all ranks of the job at once (slots, one thread a rank and a communicator
 * each). It knows no clients and no queue. */
#ifndef UAP_CLI_SERVICE_WORK_H
#define UAP_CLI_SERVICE_WORK_H

#include "cli/service_job.h"
#include "common/bytes.h"
#include "common/sha256.h"

#include <pthread.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SERVICE_SLOTS_MAX 16

typedef struct uap_service_limits {
    int slots, tries;        /* at most UAP_SERVICE_SLOTS_MAX each */
    double try_cpu_s;        /* what a search may take alone before all ranks take it */
    double time_limit_s;     /* of a search; 0: none */
    int64_t memory_bytes;    /* of a request, on each machine */
    const char *checkpoints; /* directory, or NULL: none are kept */
    double checkpoint_interval_s;
    size_t
        notes_max; /* bytes of news of a request that nobody took yet; more is dropped */
} uap_service_limits;

/* One request on its way. The caller owns it, and fills the first part. */
typedef struct uap_service_task {
    uap_service_method method;
    char *params; /* JSON, as uap_service_check liked it */
    char key[UAP_SHA256_HEX];
    bool wants_news;
    char id[160];               /* as JSON, for the news */
    volatile sig_atomic_t stop; /* set to end it with what it has */
    bool is_long;               /* not to be tried */
    bool keeps_checkpoint;      /* it ends because the service does */
    bool ran_over;              /* as a try, which therefore counts for nothing */
    uap_status status;          /* once it has ended */
    uap_err err;
    uap_service_done done;
    pthread_mutex_t lock; /* of what follows */
    uap_bytes news;       /* lines to send */
} uap_service_task;

typedef enum uap_service_place { UAP_SERVICE_TRY, UAP_SERVICE_SLOT } uap_service_place;

typedef struct uap_service_work uap_service_work;

/* Communicators, and what wakes rank 0. limits are alike on all ranks, and copied. Errors:
 * NO_MEMORY, MPI, IO, alike on all ranks. The caller frees *out. Collective. */
UAP_NODISCARD uap_status uap_service_work_new(const uap_cli *cli,
                                              const uap_service_limits *limits,
                                              uap_service_work **out, uap_err *err);

/* Ends the other ranks' part, and frees. Nothing runs any more. Collective. */
void uap_service_work_free(uap_service_work *work);

/* On ranks but 0: takes part until rank 0 ends it. A signal that came here is told to rank 0.
 * Errors: MPI, NO_MEMORY. */
UAP_NODISCARD uap_status uap_service_work_follow(uap_service_work *work, uap_err *err);

/* ---- On rank 0 ---- */

/* Readable when something ended or has news. */
int uap_service_work_fd(const uap_service_work *work);
void uap_service_work_clear_fd(uap_service_work *work);

bool uap_service_work_has_room(const uap_service_work *work, uap_service_place place);

/* Starts a task; there is room. Errors: NO_MEMORY, MPI. */
UAP_NODISCARD uap_status uap_service_work_start(uap_service_work *work,
                                                uap_service_task *task,
                                                uap_service_place place, uap_err *err);

/* A task that has ended, which is then the caller's again, or NULL. *place: where it was. */
uap_service_task *uap_service_work_reap(uap_service_work *work, uap_service_place *place);

/* Sees to tries that take too long and to the other ranks; *signal: what one of them got, or 0.
 * To be called every few hundredths of a second while anything runs. Errors: MPI. */
UAP_NODISCARD uap_status uap_service_work_tend(uap_service_work *work, int *signal,
                                               uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
