/* A deadline for what only the process itself can know to hang: opening a device, writing a file.
 * Where the step under way does not end in time, a function is called on another thread, which is
 * to end the job. It gives nothing up and starts nothing anew (guard.h does). */
#ifndef UAP_MPI_FUSE_H
#define UAP_MPI_FUSE_H

#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Told what has not ended, and how long that took. It is called once, and should not return. */
typedef void uap_fuse_burn(const void *self, const char *what, double seconds);

typedef struct uap_fuse uap_fuse;

/* Errors: NO_MEMORY (no thread). The caller frees *out. Local. */
UAP_NODISCARD uap_status uap_fuse_new(uap_fuse_burn *burn, const void *self,
                                      uap_fuse **out, uap_err *err);

/* From now on `what` (static storage) is under way and may take so long; it takes the place of
 * what was. Time in which the process stands still does not count. NULL is legal. Local. */
void uap_fuse_light(uap_fuse *fuse, const char *what, double seconds);

/* It has ended. NULL is legal. Local. */
void uap_fuse_out(uap_fuse *fuse);

void uap_fuse_free(uap_fuse *fuse); /* NULL is legal; local */

#ifdef __cplusplus
}
#endif
#endif
