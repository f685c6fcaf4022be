/* The connections of a service: lines in, lines out, both bounded, none ever waited for. It
 * reads no line and knows no method. */
#ifndef UAP_CLI_SERVICE_CLIENT_H
#define UAP_CLI_SERVICE_CLIENT_H

#include "common/bytes.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_service_client {
    int fd;          /* -1: gone */
    int64_t pending; /* requests of its that are not answered */
    int64_t served;  /* the turn at which it last was served */
    bool is_closing; /* once all is sent */
    bool is_at_end;  /* it sends no more */
    bool skips;      /* the rest of a line that is too long */
    uap_bytes in, out;
    size_t taken, looked; /* of in: lines that are done with, and what has no newline */
    size_t sent;          /* of out, already on its way */
    double read_s,
        write_s; /* the last time that bytes came, or went (or there were none) */
} uap_service_client;

/* Reads what has come, at most a share of it. False: the connection is gone. */
bool uap_service_client_read(uap_service_client *client, double now_s);

/* The next whole line, without its newline, which stands until the next call of
 * uap_service_client_drop_line; *too_long instead where a line is longer than most. */
bool uap_service_client_line(uap_service_client *client, size_t most, const char **line,
                             size_t *n, bool *too_long);
void uap_service_client_drop_line(uap_service_client *client, size_t n);

/* Sends what the system takes now. False: the connection is gone. */
bool uap_service_client_write(uap_service_client *client, double now_s);

/* Bytes that wait to be sent. */
size_t uap_service_client_unsent(const uap_service_client *client);

/* Closes and empties; the struct may be used for the next client. */
void uap_service_client_close(uap_service_client *client);

#ifdef __cplusplus
}
#endif
#endif
