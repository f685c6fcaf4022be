/* JSON-RPC 2.0, a message a line: what a line asks for, and how answers are written. It knows
 * no method. */
#ifndef UAP_CLI_SERVICE_RPC_H
#define UAP_CLI_SERVICE_RPC_H

#include "common/bytes.h"
#include "common/json_read.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Codes of errors: the protocol's, then the service's own. */
typedef enum uap_rpc_code {
    UAP_RPC_OK = 0,
    UAP_RPC_PARSE = -32700,
    UAP_RPC_REQUEST = -32600,
    UAP_RPC_METHOD = -32601,
    UAP_RPC_PARAMS = -32602,
    UAP_RPC_INTERNAL = -32603,
    UAP_RPC_BUSY = -32000,      /* too much is asked for at once: ask again later */
    UAP_RPC_CANCELLED = -32001, /* before it began */
    UAP_RPC_ENDING = -32002,    /* the service takes no more */
    UAP_RPC_MISSING = -32003,   /* data.missing: the name of a file that it needs */
    UAP_RPC_TOO_LARGE = -32004, /* the line, or what would have to be answered */
    UAP_RPC_FORBIDDEN = -32005  /* this user may not */
} uap_rpc_code;

#define UAP_RPC_ID_BYTES 160

/* A line as a call. */
typedef struct uap_rpc_call {
    uap_json *doc;
    char id[UAP_RPC_ID_BYTES]; /* as JSON; "null" where it has none that counts */
    bool is_notification;      /* well formed, without an id: never answered */
    const char *method;
    uap_jval root, params; /* params: an object, empty where there are none */
    uap_json *no_params;
    uap_rpc_code code; /* what is wrong, or OK */
    char message[1024];
} uap_rpc_call;

/* Reads n bytes without their newline; what is wrong is in call->code. The caller frees the
 * call. It must stay where it is. */
void uap_rpc_read(const char *line, size_t n, uap_rpc_call *call);
void uap_rpc_free(uap_rpc_call *call);

/* An id of at most UAP_RPC_ID_BYTES as JSON, from a member of an object. False: it is none. */
bool uap_rpc_id_of(const uap_jval *object, const char *key, char id[UAP_RPC_ID_BYTES]);

/* Append a line. result: JSON. name: of the data's one member, or NULL. False: no memory, and
 * nothing appended. */
bool uap_rpc_put_result(uap_bytes *out, const char *id, const char *result);
bool uap_rpc_put_error(uap_bytes *out, const char *id, uap_rpc_code code,
                       const char *message, const char *missing);

#ifdef __cplusplus
}
#endif
#endif
