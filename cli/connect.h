/* `--connect`: a command done by a service (cli/service.h) instead of here. The command line
 * goes there as it stands, the files that it names when they are asked for; what the service
 * prints and writes is printed and written here. */
#ifndef UAP_CLI_CONNECT_H
#define UAP_CLI_CONNECT_H

#include "cli/commands.h"
#include "cli/options.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The row of an option table; `to` is a const char *. */
#define UAP_CONNECT_OPTION(to)                                                           \
    {                                                                                    \
        0, "connect", UAP_OPT_STR, (to), "SOCKET",                                       \
            .stays_here = true, .help = "let the service at SOCKET do it (uniap serve)"  \
    }

typedef struct uap_connect {
    const char *command, *socket;
    const char *output, *log;  /* of the command line; or NULL */
    const uap_sent_args *sent; /* the rest of it */
} uap_connect;

/* Whether the command is to go to a service: in the service itself it never does. */
bool uap_connect_is_asked(const char *socket);

/* On rank 0 does the command there, and returns its exit status; on others OK. A signal asks the
 * service to end it with what it has. */
int uap_connect_run(const uap_cli *cli, const uap_connect *connect);

/* Sends one call and gives its result as JSON text, freed by the caller; error: the service's.
 * Errors: IO, BAD_INPUT (the service's error), NO_MEMORY. */
UAP_NODISCARD uap_status uap_connect_call(const char *socket, const char *method,
                                          const char *params, char **result,
                                          uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
