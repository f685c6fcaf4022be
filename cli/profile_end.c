/* The end of a profile: in order, or by MPI_Abort. */
#include "cli/profile_end.h"

#include "cli/commands.h"
#include "common/log.h"
#include "mpi/comm.h"
#include "mpi/guard.h"

#include <stdio.h>
#include <unistd.h>

/* Ranks that come back only now are given so long before they count as hung. */
#define LAST_WAIT_S 5.0

/* The rank's own part is told by the rank: others only know which device is left out. */
static void report_own_failure(const uap_profile *profile)
{
    const bool is_out = profile != NULL && uap_profile_comm(profile) == NULL;
    if (is_out && uap_profile_own_failure(profile)[0] != '\0') {
        UAP_LOG(WARNING, RANK, "profile: its device failed: %s",
                uap_profile_own_failure(profile));
    }
}

void uap_profile_end(const uap_cli *cli, uap_profile *profile, uap_status rc, int status,
                     const uap_err *failure)
{
    uap_err err = {0};
    int missing = 0;
    bool is_stuck = false;
    report_own_failure(profile);
    if (cli->rank != 0 || profile == NULL) {
        return;
    }
    if (uap_profile_missing(profile, LAST_WAIT_S, &missing, &is_stuck, &err) != UAP_OK) {
        (void)uap_cli_fail(cli, &err);
    }
    if ((missing > 0 || is_stuck) && rc != UAP_OK) {
        (void)uap_cli_fail(cli, failure);
    }
    if (missing > 0) {
        (void)fprintf(stderr,
                      "uniap: %d rank%s that did not answer still hang%s; the job "
                      "is ended without %s\n",
                      missing, missing == 1 ? "" : "s", missing == 1 ? "s" : "",
                      missing == 1 ? "it" : "them");
    } else if (is_stuck) {
        (void)fprintf(stderr, "uniap: measurements that were given up never end; the job "
                              "is ended with them\n");
    }
    if (missing > 0 || is_stuck) {
        (void)fflush(NULL);
        uap_comm_abort(cli->comm, rc == UAP_OK ? status : uap_exit_of(rc));
    }
}

/* ---- What no other rank can give up on --------------------------------------------------- */

/* MPI gets so long to end the job; it may wait for whatever hangs. */
#define ABORT_S 10

/* On another thread: nothing of the rank's own is to be relied on any more. */
void uap_profile_end_job(const void *self, const char *what, double seconds)
{
    const uap_cli *cli = self;
    (void)fprintf(stderr,
                  "uniap: rank %d: %s has not ended within %.0f s; the job is ended\n",
                  cli->rank, what, seconds);
    (void)alarm(ABORT_S);
    if (uap_guard_is_possible()) {
        uap_comm_abort(cli->comm, UAP_EXIT_FAILURE);
    }
    _exit(UAP_EXIT_FAILURE);
}
