/* One request to a service as the command that it stands for: its arguments and files from the
 * request's parameters, the command run in a room (common/room.h), and what it did as a JSON
 * object. It knows no socket and no queue. */
#ifndef UAP_CLI_SERVICE_JOB_H
#define UAP_CLI_SERVICE_JOB_H

#include "cli/commands.h"
#include "common/json_read.h"
#include "common/room.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The commands that a service runs; the names are the methods'. */
typedef enum uap_service_method {
    UAP_SERVICE_PLAN,
    UAP_SERVICE_SOLVE,
    UAP_SERVICE_CHECK,
    UAP_SERVICE_EXPORT,
    UAP_SERVICE_METHODS /* their number, and what is none */
} uap_service_method;

uap_service_method uap_service_method_of(const char *name);
const char *uap_service_method_name(uap_service_method method);

/* Whether it is a search, worth all ranks and a place in the cache. */
bool uap_service_is_search(uap_service_method method);

/* Checks parameters as far as that needs no file (docs/service.md): their form, not the
 * command's options, of which the command itself complains. Errors: BAD_INPUT. Local. */
UAP_NODISCARD uap_status uap_service_check(uap_service_method method,
                                           const uap_jval *params, uap_err *err);

typedef struct uap_service_done {
    int exit;      /* uap_exit */
    char *result;  /* the JSON object; the caller frees it; NULL: of no use to anybody */
    char *missing; /* the file without which nothing was done, or NULL; likewise */
} uap_service_done;

/* Runs the command in the room, whose first part the caller has filled but for the files.
 * params: JSON that uap_service_check liked. Rank 0's *done has the result. The thread is
 * outside of any room before and after, and the room is cleared. Errors: NO_MEMORY, BAD_INPUT.
 * Collective over cli->comm where the command is. */
UAP_NODISCARD uap_status uap_service_run(const uap_cli *cli, uap_service_method method,
                                         const char *params, uap_room *room,
                                         uap_service_done *done, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
