/* Lines of JSON-RPC in and out. */
#include "cli/service_rpc.h"

#include "common/json_write.h"
#include "common/mem.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static void refuse(uap_rpc_call *call, uap_rpc_code code, const char *message)
{
    call->code = code;
    (void)snprintf(call->message, sizeof call->message, "%s", message);
}

bool uap_rpc_id_of(const uap_jval *object, const char *key, char id[UAP_RPC_ID_BYTES])
{
    uap_jval value;
    int64_t number = 0;
    if (!uap_jfind(object, key, &value)) {
        return false;
    }
    if (uap_jtype_of(&value) == UAP_JSON_INTEGER &&
        uap_jas_i64(&value, INT64_MIN, INT64_MAX, &number, NULL) == UAP_OK) {
        (void)snprintf(id, UAP_RPC_ID_BYTES, "%" PRId64, number);
        return true;
    }
    if (uap_jtype_of(&value) != UAP_JSON_STRING) {
        return false;
    }
    uap_jout *list = uap_jout_array();
    uap_jadd(list, uap_jout_copy(&value));
    char *text = uap_jout_text(list); /* ["..."] */
    const size_t n = text != NULL ? strlen(text) : 0;
    const bool fits = n > 2 && n - 2 < UAP_RPC_ID_BYTES;
    if (fits) {
        memcpy(id, text + 1, n - 2);
        id[n - 2] = '\0';
    }
    uap_free(text);
    uap_jout_free(list);
    return fits;
}

static bool has_version(const uap_jval *root)
{
    const char *version = NULL;
    return uap_jget_str(root, "jsonrpc", &version, NULL) == UAP_OK &&
           strcmp(version, "2.0") == 0;
}

static bool has_only_known(const uap_jval *root)
{
    static const char *const known[] = {"jsonrpc", "id", "method", "params"};
    return uap_jcheck_keys(root, known, sizeof known / sizeof known[0], NULL) == UAP_OK;
}

static void read_call(uap_rpc_call *call)
{
    uap_jval ignored;
    if (uap_jtype_of(&call->root) != UAP_JSON_OBJECT) {
        refuse(call, UAP_RPC_REQUEST,
               "expected an object (calls come one a line; there are no batches)");
        return;
    }
    call->is_notification = !uap_jfind(&call->root, "id", &ignored);
    if (!call->is_notification && !uap_rpc_id_of(&call->root, "id", call->id)) {
        refuse(call, UAP_RPC_REQUEST, "id: expected a whole number or a short string");
        return;
    }
    if (!has_version(&call->root) || !has_only_known(&call->root) ||
        uap_jget_str(&call->root, "method", &call->method, NULL) != UAP_OK) {
        refuse(call, UAP_RPC_REQUEST,
               "expected \"jsonrpc\": \"2.0\", \"method\": a string, \"params\", \"id\" "
               "and nothing else");
        call->is_notification = false;
        return;
    }
    if (uap_jfind(&call->root, "params", &call->params)) {
        if (uap_jtype_of(&call->params) != UAP_JSON_OBJECT) {
            refuse(call, UAP_RPC_PARAMS, "params: expected an object");
        }
    } else if (uap_json_parse("params", "{}", 2, &call->no_params, NULL) == UAP_OK) {
        call->params = uap_json_root(call->no_params);
    } else {
        refuse(call, UAP_RPC_INTERNAL, "out of memory");
    }
}

void uap_rpc_read(const char *line, size_t n, uap_rpc_call *call)
{
    uap_err err = {0};
    memset(call, 0, sizeof *call);
    (void)snprintf(call->id, sizeof call->id, "null");
    const uap_status rc = uap_json_parse("request", line, n, &call->doc, &err);
    if (rc == UAP_OK) {
        call->root = uap_json_root(call->doc);
        read_call(call);
    } else {
        refuse(call, rc == UAP_NO_MEMORY ? UAP_RPC_INTERNAL : UAP_RPC_PARSE, err.msg);
    }
}

void uap_rpc_free(uap_rpc_call *call)
{
    uap_json_free(call->doc);
    uap_json_free(call->no_params);
    call->doc = call->no_params = NULL;
}

/* The three parts and a newline, or nothing. */
static bool put_line(uap_bytes *out, const char *start, const char *middle,
                     const char *end)
{
    const size_t n[] = {strlen(start), strlen(middle), strlen(end)};
    char *to = uap_bytes_add(out, n[0] + n[1] + n[2] + 1);
    if (to == NULL) {
        return false;
    }
    memcpy(to, start, n[0]);
    memcpy(to + n[0], middle, n[1]);
    memcpy(to + n[0] + n[1], end, n[2]);
    to[n[0] + n[1] + n[2]] = '\n';
    return true;
}

bool uap_rpc_put_result(uap_bytes *out, const char *id, const char *result)
{
    char start[UAP_RPC_ID_BYTES + 48];
    (void)snprintf(start, sizeof start, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"result\":", id);
    return put_line(out, start, result, "}");
}

bool uap_rpc_put_error(uap_bytes *out, const char *id, uap_rpc_code code,
                       const char *message, const char *missing)
{
    char start[UAP_RPC_ID_BYTES + 48];
    uap_jout *error = uap_jout_object();
    uap_jset_i64(error, "code", code);
    uap_jset_str(error, "message", message);
    if (missing != NULL) {
        uap_jout *data = uap_jout_object();
        uap_jset_str(data, "missing", missing);
        uap_jset(error, "data", data);
    }
    char *text = uap_jout_text(error);
    (void)snprintf(start, sizeof start, "{\"jsonrpc\":\"2.0\",\"id\":%s,\"error\":", id);
    const bool is_put = text != NULL && put_line(out, start, text, "}");
    uap_free(text);
    uap_jout_free(error);
    return is_put;
}
