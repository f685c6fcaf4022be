/* How `uniap profile` ends where not all ranks can: it says why, and ends the job. */
#ifndef UAP_CLI_PROFILE_END_H
#define UAP_CLI_PROFILE_END_H

#include "cli/options.h"
#include "profile/profile.h"

/* Where a rank still hangs, nothing can be done with all ranks any more, not even ending in
 * order: what there is to write is written, and this ends the job, with the status of rc (its text
 * in failure) or, where rc is OK, with `status`. Returns where all ranks can go on; profile may be
 * NULL. */
void uap_profile_end(const uap_cli *cli, uap_profile *profile, uap_status rc, int status,
                     const uap_err *failure);

/* For a fuse (mpi/fuse.h) that has burnt down; self is the uap_cli. Does not return. */
void uap_profile_end_job(const void *self, const char *what, double seconds);

#endif
