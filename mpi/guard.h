/* A call that may never come back, because a rank that it waits for hangs: it runs on a thread
 * of its own, is watched, and given up after too long without a step. Most waits then end with
 * an error (patient.h). A call that is inside MPI for good never touches anything of the program
 * again: it stays there, or sleeps when MPI lets it go. It does not decide who is at fault. */
#ifndef UAP_MPI_GUARD_H
#define UAP_MPI_GUARD_H

#include "common/status.h"

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_guard_end {
    UAP_GUARD_RETURNED,
    UAP_GUARD_WAITS, /* given up while it waited for other ranks */
    UAP_GUARD_WORKS  /* still at work of its own: it may touch anything, any time */
} uap_guard_end;

typedef struct uap_guarded {
    uap_status (*step)(void *self, uap_err *err);
    /* Called now and then by the caller's thread meanwhile; may be NULL. Errors are step's. */
    uap_status (*look)(void *self, uap_err *err);
    void *self;
    double patience_s; /* without a step, beyond what the step allows itself */
} uap_guarded;

/* Whether calls can be watched: MPI was started with uap_comm_ask_for_threads. Local. */
bool uap_guard_is_possible(void);

/* Runs the step on another thread. RETURNED: *status and err are the step's; else they are OK.
 * Time in which this process stands still itself does not count. What the step could reach, and
 * its communicators, must be kept where it has not returned. Errors: NO_MEMORY (no thread), those of
 * look. Local. */
UAP_NODISCARD uap_status uap_guard_run(const uap_guarded *call, uap_guard_end *end,
                                       uap_status *status, uap_err *err);

/* ---- For what runs in a step; nothing elsewhere ------------------------------------------ */

bool uap_guard_is_on(void);       /* this is a watched thread; local */
bool uap_guard_is_given_up(void); /* and its waits are to end; local */

/* From now on the next step may take so much longer than the patience. Local. */
void uap_guard_allow(double seconds);

/* A step of work that is not MPI's has ended. Local. */
void uap_guard_beat(void);

/* Around several MPI calls that are to be one wait: between them only the thread's own stack
 * and what is kept in any case is touched. They nest, and each MPI call has its own. Local. */
void uap_guard_enter(void);
void uap_guard_leave(void);

/* The same where the call only looked whether something has come, which is no step. Local. */
void uap_guard_leave_look(void);

#ifdef __cplusplus
}
#endif
#endif
