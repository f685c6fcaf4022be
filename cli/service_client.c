/* Buffers of connections. */
#include "cli/service_client.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SHARE_BYTES 65536 /* of a client at a time: nobody fills a turn alone */

/* Takes n bytes off the front of a buffer, and gives a large empty one back. */
static void shift(uap_bytes *bytes, size_t n)
{
    bytes->n -= n;
    if (bytes->n > 0 && n > 0) {
        memmove(bytes->at, bytes->at + n, bytes->n);
    }
    if (bytes->n == 0 && bytes->capacity > (size_t)4 * SHARE_BYTES) {
        uap_bytes_free(bytes);
    }
}

bool uap_service_client_read(uap_service_client *client, double now_s)
{
    shift(&client->in, client->taken);
    client->looked -= client->taken;
    client->taken = 0;
    char *to = uap_bytes_add(&client->in, SHARE_BYTES);
    if (to == NULL) {
        return false;
    }
    client->in.n -= SHARE_BYTES;
    const ssize_t n = recv(client->fd, to, SHARE_BYTES, 0);
    if (n > 0) {
        client->in.n += (size_t)n;
        client->read_s = now_s;
    }
    if (n == 0) {
        client->is_at_end = true;
    }
    return n >= 0 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
}

void uap_service_client_drop_line(uap_service_client *client, size_t n)
{
    client->taken += n + 1;
    client->looked = client->taken;
}

bool uap_service_client_line(uap_service_client *client, size_t most, const char **line,
                             size_t *n, bool *too_long)
{
    *too_long = false;
    while (client->in.n > client->looked) {
        const char *start = client->in.at + client->taken;
        const char *end =
            memchr(client->in.at + client->looked, '\n', client->in.n - client->looked);
        client->looked = client->in.n;
        if (end == NULL) {
            break;
        }
        *n = (size_t)(end - start);
        *line = start;
        if (!client->skips && *n <= most) {
            return true;
        }
        *too_long = !client->skips;
        client->skips = false;
        uap_service_client_drop_line(client, *n);
        if (*too_long) {
            return false;
        }
    }
    if (client->skips || client->in.n - client->taken > most) {
        *too_long = !client->skips;
        client->skips = true;
        client->taken = client->looked = client->in.n;
    }
    return false;
}

bool uap_service_client_write(uap_service_client *client, double now_s)
{
    while (client->sent < client->out.n) {
        const ssize_t n = send(client->fd, client->out.at + client->sent,
                               client->out.n - client->sent, MSG_NOSIGNAL);
        if (n < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        }
        client->sent += (size_t)n;
        client->write_s = now_s;
    }
    shift(&client->out, client->out.n);
    client->sent = 0;
    client->write_s = now_s;
    return true;
}

size_t uap_service_client_unsent(const uap_service_client *client)
{
    return client->out.n - client->sent;
}

void uap_service_client_close(uap_service_client *client)
{
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    uap_bytes_free(&client->in);
    uap_bytes_free(&client->out);
    *client = (uap_service_client){.fd = -1};
}
