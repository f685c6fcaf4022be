/* The Unix socket of a service and of its clients: who may listen, who may connect, and who is
 * at the other end. It moves no messages. */
#ifndef UAP_CLI_SERVICE_SOCKET_H
#define UAP_CLI_SERVICE_SOCKET_H

#include "common/status.h"

#include <stdbool.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_service_socket {
    int fd;   /* listens, non-blocking; -1: closed */
    int lock; /* holds PATH.lock, as long as the service lives */
    char path[108];
} uap_service_socket;

/* Listens at `path`: mode 0600, or 0666 where is_shared, when every peer is to be looked at. What
 * a dead service left there is replaced; a live one, or a file that is no socket, is an error.
 * Errors: IO, BAD_USAGE. The caller closes *out. Local. */
UAP_NODISCARD uap_status uap_service_listen(const char *path, bool is_shared,
                                            uap_service_socket *out, uap_err *err);

/* Removes the socket and its lock. Legal for one that never listened (fd -1, lock -1). */
void uap_service_socket_close(uap_service_socket *socket);

/* The next client, non-blocking, or -1. */
int uap_service_accept(const uap_service_socket *socket);

/* The user at the other end. False where the system does not say. */
bool uap_service_peer(int fd, uid_t *uid);

/* A blocking connection to the service at `path`. Errors: IO, BAD_USAGE. The caller closes *fd. */
UAP_NODISCARD uap_status uap_service_connect(const char *path, int *fd, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
