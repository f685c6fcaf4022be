/* What the files service*.c of rank 0 share: the service's whole state. Private to them. */
#ifndef UAP_CLI_SERVICE_STATE_H
#define UAP_CLI_SERVICE_STATE_H

#include "cli/service.h"
#include "cli/service_cache.h"
#include "cli/service_client.h"
#include "cli/service_held.h"
#include "cli/service_rpc.h"
#include "cli/service_socket.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_request_state {
    UAP_REQUEST_QUEUED,  /* for a try */
    UAP_REQUEST_TRIED,   /* runs as a try */
    UAP_REQUEST_WAITING, /* for a slot */
    UAP_REQUEST_RUNNING  /* on all ranks */
} uap_request_state;

typedef struct uap_service_request {
    struct uap_service_request *next; /* in the order they came */
    uap_service_task task;
    uap_service_client *client; /* NULL: it is gone, and nobody waits for the answer */
    uap_request_state state;
    double start_s; /* when it came */
    int64_t number;
} uap_service_request;

#define UAP_SERVICE_BUCKETS 10

/* What became of requests, for status. */
typedef struct uap_service_counts {
    int64_t done[UAP_SERVICE_METHODS], failed[UAP_SERVICE_METHODS]; /* answered */
    int64_t bucket[UAP_SERVICE_BUCKETS]; /* by time; the last is all */
    double seconds;                      /* in all */
    int64_t hits, misses, cancelled, abandoned, refused, promoted;
    int64_t connections, turned_away, dropped, lines;
} uap_service_counts;

typedef enum uap_service_mood {
    UAP_SERVICE_OPEN,
    UAP_SERVICE_DRAINS, /* takes nothing new, ends what it has */
    UAP_SERVICE_STOPS   /* ends what it has now */
} uap_service_mood;

typedef struct uap_service {
    const uap_cli *cli;
    const uap_service_options *options;
    uap_service_socket socket;
    uap_service_cache *cache; /* or NULL */
    uap_service_work *work;
    uap_service_held held;
    uap_service_client *client; /* [options->clients]; fd -1: free */
    uap_service_request *first; /* all that are not answered */
    int64_t n_requests, n_came; /* of them now; ever, which numbers them */
    int64_t turn;
    uap_service_mood mood;
    double start_s, mood_s; /* when it began; when its mood changed */
    uap_service_counts counts;
    char checkpoints[4096];
} uap_service;

/* ---- service_calls.c ---- */

/* Does what a line asks for, or puts it in the queue; the answer, if there is one now, goes to
 * the client. */
void uap_service_take_line(uap_service *s, uap_service_client *client, const char *line,
                           size_t n);

/* An error to a client that named no request. */
void uap_service_tell_off(uap_service *s, uap_service_client *client, uap_rpc_code code,
                          const char *message);

/* ---- service_queue.c ---- */

/* Adds a request of the client; takes over params (uap_calloc). False: no memory. */
bool uap_service_enqueue(uap_service *s, uap_service_client *client,
                         const uap_service_task *task);

/* The client's request of this id, or NULL. */
uap_service_request *uap_service_find(const uap_service *s,
                                      const uap_service_client *client, const char *id);

/* Ends a request early: one that runs ends with what it has, one that waits is answered with
 * this error. */
void uap_service_end_request(uap_service *s, uap_service_request *request,
                             uap_rpc_code code, const char *message);

/* Frees a gone client's work. */
void uap_service_abandon(uap_service *s, const uap_service_client *client);

/* Starts what there is room for, answers what has ended, passes news on. Errors: those of
 * uap_service_work_start and _tend. */
UAP_NODISCARD uap_status uap_service_advance(uap_service *s, uap_err *err);

/* ---- service_status.c ---- */

/* As a JSON object, or a JSON string of what Prometheus reads. The caller frees it; NULL: no
 * memory. */
char *uap_service_status(const uap_service *s, bool for_prometheus);

/* Counts an answer that took so long. */
void uap_service_count(uap_service *s, uap_service_method method, bool failed,
                       double seconds);

#ifdef __cplusplus
}
#endif
#endif
