/* The methods: what a line asks for. */
#include "cli/service_state.h"

#include "common/clock.h"
#include "common/json_write.h"
#include "common/log.h"
#include "common/mem.h"

#include <stdio.h>
#include <string.h>

static void put_error(uap_service *s, uap_service_client *client, const char *id,
                      uap_rpc_code code, const char *message)
{
    s->counts.refused++;
    if (!uap_rpc_put_error(&client->out, id, code, message, NULL)) {
        client->is_closing = true;
    }
}

void uap_service_tell_off(uap_service *s, uap_service_client *client, uap_rpc_code code,
                          const char *message)
{
    put_error(s, client, "null", code, message);
}

/* ---- Commands ---- */

/* The files that were sent, which are held from now on, and those that are held already. NULL:
 * *missing is not, or there is no memory. */
static uap_jout *gather_files(uap_service *s, const uap_jval *params,
                              const char **missing)
{
    uap_jval all;
    const char *text = NULL;
    uap_jout *files = uap_jout_object();
    if (uap_jfind(params, "files", &all)) {
        for (size_t i = 0; i < uap_jlen(&all); i++) {
            const uap_jval one = uap_jentry(&all, i);
            uap_jset(files, one.key, uap_jout_copy(&one));
            if (uap_jtype_of(&one) == UAP_JSON_STRING &&
                uap_jas_str(&one, &text, NULL) == UAP_OK) {
                uap_service_held_keep(&s->held, text);
            }
        }
    }
    if (uap_jfind(params, "held", &all)) {
        for (size_t i = 0; i < uap_jlen(&all); i++) {
            const uap_jval one = uap_jentry(&all, i);
            text = uap_jas_str(&one, &text, NULL) == UAP_OK
                       ? uap_service_held_find(&s->held, text)
                       : NULL;
            if (text == NULL) {
                *missing = one.key;
                uap_jout_free(files);
                return NULL;
            }
            uap_jset_str(files, one.key, text);
        }
    }
    return files;
}

/* The parameters but for `progress`, keys sorted, held documents in their place: what shapes
 * the answer. Freed by the caller; NULL: see gather_files. */
static char *canonical(uap_service *s, const uap_jval *params, bool *wants_news,
                       const char **missing)
{
    uap_jout *files = gather_files(s, params, missing);
    if (files == NULL) {
        return NULL;
    }
    uap_jout *copy = uap_jout_object();
    for (size_t i = 0; i < uap_jlen(params); i++) {
        const uap_jval member = uap_jentry(params, i);
        if (strcmp(member.key, "progress") == 0) {
            *wants_news = uap_jget_bool(params, "progress", wants_news, NULL) == UAP_OK &&
                          *wants_news;
        } else if (strcmp(member.key, "files") != 0 && strcmp(member.key, "held") != 0) {
            uap_jset(copy, member.key, uap_jout_copy(&member));
        }
    }
    uap_jset(copy, "files", files);
    char *text = uap_jout_text(copy);
    uap_jout_free(copy);
    return text;
}

static bool make_key(uap_service_task *task)
{
    uap_bytes all = {0};
    const char *part[] = {"uniap " UAP_VERSION "\n",
                          uap_service_method_name(task->method), "\n", task->params};
    bool made = true;
    for (size_t i = 0; i < sizeof part / sizeof part[0]; i++) {
        made = made && uap_bytes_put(&all, part[i], strlen(part[i]));
    }
    if (made) {
        uap_sha256_hex(all.at, all.n, task->key);
    }
    uap_bytes_free(&all);
    return made;
}

/* Answers from the cache where it can. */
static bool answer_at_once(uap_service *s, uap_service_client *client,
                           const uap_service_task *task)
{
    const double start_s = uap_wall_s();
    if (s->cache == NULL || !uap_service_is_search(task->method)) {
        return false;
    }
    char *result = uap_service_cache_find(s->cache, task->key);
    s->counts.hits += result != NULL;
    s->counts.misses += result == NULL;
    if (result == NULL) {
        return false;
    }
    if (!uap_rpc_put_result(&client->out, task->id, result)) {
        client->is_closing = true;
    }
    uap_service_count(s, task->method, false, uap_wall_s() - start_s);
    uap_free(result);
    return true;
}

/* Why a request is not taken, or OK. */
static uap_rpc_code admit(const uap_service *s, const uap_service_client *client,
                          const uap_rpc_call *call, const char **why)
{
    if (s->mood != UAP_SERVICE_OPEN) {
        *why = "the service takes no more requests: it is ending";
        return UAP_RPC_ENDING;
    }
    if (uap_service_find(s, client, call->id) != NULL) {
        *why = "id: it is that of a request that is not answered yet";
        return UAP_RPC_REQUEST;
    }
    if (client->pending >= s->options->pending) {
        *why = "too many requests of this client are not answered yet";
        return UAP_RPC_BUSY;
    }
    return UAP_RPC_OK;
}

/* CBC holds a lock of the process for seconds: such a request must not take the place of a
 * small one. */
static bool asks_for_cbc(const uap_jval *params)
{
    uap_jval list, value;
    const char *text = NULL;
    if (uap_jfind(params, "options", &list) && uap_jfind(&list, "engine", &value)) {
        return uap_jas_str(&value, &text, NULL) == UAP_OK && strcmp(text, "cbc") == 0;
    }
    for (size_t i = 0; uap_jfind(params, "args", &list) && i < uap_jlen(&list); i++) {
        value = uap_jat(&list, i);
        if (uap_jas_str(&value, &text, NULL) == UAP_OK && strstr(text, "cbc") != NULL) {
            return true;
        }
    }
    return false;
}

static void call_command(uap_service *s, uap_service_client *client,
                         const uap_rpc_call *call, uap_service_method method)
{
    const char *why = NULL, *missing = NULL;
    uap_err err = {0};
    uap_service_task task = {.method = method};
    const uap_rpc_code code = admit(s, client, call, &why);
    if (code != UAP_RPC_OK) {
        put_error(s, client, call->id, code, why);
        return;
    }
    if (uap_service_check(method, &call->params, &err) != UAP_OK) {
        put_error(s, client, call->id, UAP_RPC_PARAMS, err.msg);
        return;
    }
    (void)snprintf(task.id, sizeof task.id, "%s", call->id);
    task.is_long = asks_for_cbc(&call->params);
    task.params = canonical(s, &call->params, &task.wants_news, &missing);
    if (missing != NULL) {
        s->counts.refused++;
        if (!uap_rpc_put_error(&client->out, call->id, UAP_RPC_MISSING,
                               "a document that it needs is not held", missing)) {
            client->is_closing = true;
        }
        return;
    }
    const bool has_key = task.params != NULL && make_key(&task);
    if (has_key && answer_at_once(s, client, &task)) {
        uap_free(task.params);
    } else if (!has_key || !uap_service_enqueue(s, client, &task)) {
        uap_free(task.params);
        put_error(s, client, call->id, UAP_RPC_INTERNAL, "out of memory");
    }
}

/* ---- The rest ---- */

static bool has_only(const uap_jval *params, const char *const *known, size_t n,
                     uap_err *err)
{
    return uap_jcheck_keys(params, known, n, err) == UAP_OK;
}

static void answer(uap_service_client *client, const uap_rpc_call *call,
                   const char *result)
{
    if (!call->is_notification && !uap_rpc_put_result(&client->out, call->id, result)) {
        client->is_closing = true;
    }
}

static void call_cancel(uap_service *s, uap_service_client *client,
                        const uap_rpc_call *call)
{
    static const char *const known[] = {"id"};
    char id[UAP_RPC_ID_BYTES];
    uap_err err = {0};
    if (!has_only(&call->params, known, 1, &err) ||
        !uap_rpc_id_of(&call->params, "id", id)) {
        put_error(s, client, call->id, UAP_RPC_PARAMS,
                  "params: expected the id of one of this client's requests");
        return;
    }
    uap_service_request *request = uap_service_find(s, client, id);
    s->counts.cancelled += request != NULL;
    answer(client, call, request != NULL ? "true" : "false");
    if (request != NULL) {
        uap_service_end_request(s, request, UAP_RPC_CANCELLED, "cancelled");
    }
}

static void call_status(uap_service *s, uap_service_client *client,
                        const uap_rpc_call *call)
{
    static const char *const known[] = {"format"};
    const char *format = "json";
    uap_err err = {0};
    if (!has_only(&call->params, known, 1, &err) ||
        uap_jopt_str(&call->params, "format", &format, &err) != UAP_OK ||
        (strcmp(format, "json") != 0 && strcmp(format, "prometheus") != 0)) {
        put_error(s, client, call->id, UAP_RPC_PARAMS,
                  "params: expected format: json or prometheus");
        return;
    }
    char *result = uap_service_status(s, format[0] == 'p');
    if (result != NULL) {
        answer(client, call, result);
    } else {
        put_error(s, client, call->id, UAP_RPC_INTERNAL, "out of memory");
    }
    uap_free(result);
}

static void call_shutdown(uap_service *s, uap_service_client *client,
                          const uap_rpc_call *call)
{
    uap_err err = {0};
    if (!has_only(&call->params, NULL, 0, &err)) {
        put_error(s, client, call->id, UAP_RPC_PARAMS, "params: expected none");
        return;
    }
    if (s->mood == UAP_SERVICE_OPEN) {
        s->mood = UAP_SERVICE_DRAINS;
        s->mood_s = uap_wall_s();
        UAP_LOG(INFO, GLOBAL, "asked to end: what was taken is done first");
    }
    answer(client, call, "true");
}

typedef void call_fn(uap_service *s, uap_service_client *client,
                     const uap_rpc_call *call);

static void dispatch(uap_service *s, uap_service_client *client, const uap_rpc_call *call)
{
    static const struct {
        const char *name;
        call_fn *call;
    } others[] = {
        {"cancel", call_cancel}, {"status", call_status}, {"shutdown", call_shutdown}};
    const uap_service_method method = uap_service_method_of(call->method);
    if (method != UAP_SERVICE_METHODS) {
        if (!call->is_notification) { /* nobody would hear the answer */
            call_command(s, client, call, method);
        }
        return;
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strcmp(call->method, others[i].name) == 0) {
            others[i].call(s, client, call);
            return;
        }
    }
    if (!call->is_notification) {
        put_error(s, client, call->id, UAP_RPC_METHOD,
                  "expected plan, solve, check, export, cancel, status or shutdown");
    }
}

void uap_service_take_line(uap_service *s, uap_service_client *client, const char *line,
                           size_t n)
{
    uap_rpc_call call;
    s->counts.lines++;
    if (strspn(line, " \t\r") >= n) {
        return; /* an empty line is no call */
    }
    uap_rpc_read(line, n, &call);
    if (call.code == UAP_RPC_OK) {
        dispatch(s, client, &call);
    } else if (!call.is_notification) {
        put_error(s, client, call.id, call.code, call.message);
    }
    uap_rpc_free(&call);
}
