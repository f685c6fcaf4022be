/* A service on rank 0: clients, their requests in fair turns, the cache, and the end of it all.
 * What a request does is service_job.h's, where it runs service_work.h's. */
#ifndef UAP_CLI_SERVICE_H
#define UAP_CLI_SERVICE_H

#include "cli/commands.h"
#include "cli/service_work.h"

#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SERVICE_USERS_MAX 64

typedef struct uap_service_options {
    const char *socket;
    const char *cache; /* directory, or NULL */
    int64_t cache_bytes;
    int clients;                       /* connections at a time */
    int pending;                       /* requests of a client that are not answered */
    size_t line_bytes;                 /* of a request */
    double patience_s;                 /* with a client that does not go on */
    uid_t user[UAP_SERVICE_USERS_MAX]; /* beside one's own */
    int n_users;
    uap_service_limits limits;
} uap_service_options;

/* Serves until it is told to end; every rank of the job calls it. Errors: IO, MPI, NO_MEMORY,
 * BAD_USAGE. Collective. */
UAP_NODISCARD uap_status uap_service_serve(const uap_cli *cli,
                                           const uap_service_options *options,
                                           uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
