/* Sockets by path. A lock beside the socket says whether its service lives: the system lets go
 * of it however the process ends, so that a stale socket is told from a live one without a
 * race. Compiled with _GNU_SOURCE, for SO_PEERCRED and accept4. */
#include "cli/service_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 64

static uap_status make_address(const char *path, struct sockaddr_un *address,
                               uap_err *err)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    const size_t n = strlen(path);
    if (n == 0 || n + sizeof ".lock" > sizeof address->sun_path) {
        return UAP_FAIL(err, BAD_USAGE,
                        "--socket: found a path of %zu bytes, expected 1 to %zu", n,
                        sizeof address->sun_path - sizeof ".lock");
    }
    memcpy(address->sun_path, path, n + 1);
    return UAP_OK;
}

static void lock_name(const char *path, char out[128])
{
    (void)snprintf(out, 128, "%s.lock", path);
}

static uap_status take_lock(uap_service_socket *socket, uap_err *err)
{
    char name[128];
    lock_name(socket->path, name);
    socket->lock = open(name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (socket->lock < 0) {
        return UAP_FAIL(err, IO, "%s: cannot open: %s", name, strerror(errno));
    }
    if (flock(socket->lock, LOCK_EX | LOCK_NB) != 0) {
        const int error = errno;
        (void)close(socket->lock);
        socket->lock = -1;
        return error == EWOULDBLOCK
                   ? UAP_FAIL(err, IO, "%s: a service is at work there", socket->path)
                   : UAP_FAIL(err, IO, "%s: cannot lock: %s", name, strerror(error));
    }
    return UAP_OK;
}

/* What stands at the path is a dead service's, since we have the lock. */
static uap_status clear_path(const char *path, uap_err *err)
{
    struct stat info;
    if (lstat(path, &info) != 0) {
        return UAP_OK;
    }
    if (!S_ISSOCK(info.st_mode)) {
        return UAP_FAIL(err, IO, "%s: found a file that is no socket; it stays", path);
    }
    return unlink(path) == 0 ? UAP_OK
                             : UAP_FAIL(err, IO, "%s: %s", path, strerror(errno));
}

static uap_status bind_there(uap_service_socket *out, const struct sockaddr_un *address,
                             bool is_shared, uap_err *err)
{
    out->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (out->fd < 0) {
        return UAP_FAIL(err, IO, "no socket: %s", strerror(errno));
    }
    const mode_t before = umask(0177);
    const int bound =
        bind(out->fd, (const struct sockaddr *)(const void *)address, sizeof *address);
    const int error = errno;
    (void)umask(before);
    if (bound != 0) {
        return UAP_FAIL(err, IO, "%s: %s", out->path, strerror(error));
    }
    if ((is_shared && chmod(out->path, 0666) != 0) || listen(out->fd, BACKLOG) != 0) {
        const int why = errno;
        (void)unlink(out->path);
        return UAP_FAIL(err, IO, "%s: %s", out->path, strerror(why));
    }
    return UAP_OK;
}

uap_status uap_service_listen(const char *path, bool is_shared, uap_service_socket *out,
                              uap_err *err)
{
    struct sockaddr_un address;
    uap_service_socket made = {.fd = -1, .lock = -1};
    uap_status rc = UAP_OK;
    UAP_TRY(make_address(path, &address, err));
    (void)snprintf(made.path, sizeof made.path, "%s", path);
    UAP_TRY(take_lock(&made, err));
    UAP_TRY(clear_path(path, err));
    UAP_TRY(bind_there(&made, &address, is_shared, err));
    *out = made;
    made = (uap_service_socket){.fd = -1, .lock = -1};
done:
    if (made.fd >= 0) {
        (void)close(made.fd);
    }
    if (made.lock >= 0) {
        (void)close(made.lock);
    }
    return rc;
}

void uap_service_socket_close(uap_service_socket *socket)
{
    char name[128];
    if (socket->fd >= 0) {
        (void)close(socket->fd);
        (void)unlink(socket->path);
    }
    if (socket->lock >= 0) {
        lock_name(socket->path, name);
        (void)unlink(name);
        (void)close(socket->lock);
    }
    socket->fd = socket->lock = -1;
}

int uap_service_accept(const uap_service_socket *socket)
{
    return accept4(socket->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

bool uap_service_peer(int fd, uid_t *uid)
{
    struct ucred peer;
    socklen_t n = sizeof peer;
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0) {
        return false;
    }
    *uid = peer.uid;
    return true;
}

uap_status uap_service_connect(const char *path, int *fd, uap_err *err)
{
    struct sockaddr_un address;
    uap_status rc = make_address(path, &address, err);
    if (rc != UAP_OK) {
        return rc;
    }
    *fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        return UAP_FAIL(err, IO, "no socket: %s", strerror(errno));
    }
    if (connect(*fd, (const struct sockaddr *)&address, sizeof address) != 0) {
        rc = UAP_FAIL(err, IO, "%s: no service answers: %s", path, strerror(errno));
        (void)close(*fd);
        *fd = -1;
    }
    return rc;
}
