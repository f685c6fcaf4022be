/* The client. It sends no file that neither its command line nor a file sent before names,
 * whatever the service asks for. */
#include "cli/connect.h"

#include "cli/service_rpc.h"
#include "cli/service_socket.h"
#include "cli/stop.h"
#include "common/file.h"
#include "common/json_write.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/room.h"
#include "common/sha256.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOOK_MS   100 /* at signals, while waiting */
#define READ_SIZE 65536
#define FILES_MAX 64
#define FILE_MAX  ((size_t)1 << 30)
#define HASH_FROM 4096 /* bytes, from which a text is worth a question of its own */

/* What the service calls the output, so that answers do not depend on its name here. */
#define OUTPUT_NAME "output"
#define WRITTEN     "\nwritten to "

typedef struct sent_file {
    char *name;
    char *text;        /* NULL for a directory */
    bool failed;       /* text says why */
    bool is_asked_for; /* the service does not hold it: the text itself goes */
} sent_file;

typedef struct client {
    const uap_connect *asked; /* NULL: one call, without progress */
    int fd;
    uap_bytes in;
    size_t used;
    sent_file file[FILES_MAX];
    int n_files;
    int64_t call;      /* the number of the call, its id */
    int64_t n_printed; /* lines of the log */
    bool cancelled;
    FILE *log;
} client;

bool uap_connect_is_asked(const char *socket)
{
    return socket != NULL && uap_room_here() == NULL;
}

/* ---- Lines ---- */

static uap_status send_all(const client *c, const char *text, size_t n, uap_err *err)
{
    for (size_t sent = 0; sent < n;) {
        const ssize_t now = send(c->fd, text + sent, n - sent, MSG_NOSIGNAL);
        if (now < 0 && errno == EPIPE) {
            return UAP_OK; /* whoever closed may have said why: that is read next */
        }
        if (now < 0 && errno != EINTR) {
            return UAP_FAIL(err, IO, "the service went away: %s", strerror(errno));
        }
        sent += now > 0 ? (size_t)now : 0;
    }
    return UAP_OK;
}

static uap_status send_call(const client *c, const char *method, uap_jout *params,
                            bool is_cancel, uap_err *err)
{
    uap_jout *call = uap_jout_object();
    uap_jset_str(call, "jsonrpc", "2.0");
    uap_jset_str(call, "method", method);
    uap_jset(call, "params", params);
    if (!is_cancel) {
        uap_jset_i64(call, "id", c->call);
    }
    char *text = uap_jout_text(call);
    uap_jout_free(call);
    if (text == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for a request");
    }
    const size_t n = strlen(text);
    text[n] = '\n'; /* instead of the end */
    const uap_status rc = send_all(c, text, n + 1, err);
    uap_free(text);
    return rc;
}

/* A signal came: the service is to end it with what it has. */
static uap_status cancel(client *c, uap_err *err)
{
    uap_jout *params = uap_jout_object();
    uap_jset_i64(params, "id", c->call);
    c->cancelled = true;
    return send_call(c, "cancel", params, true, err);
}

/* More bytes. */
static uap_status receive(client *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    struct pollfd waits = {.fd = c->fd, .events = POLLIN};
    while (poll(&waits, 1, LOOK_MS) <= 0) {
        if (c->asked != NULL && *uap_stop_flag() != 0 && !c->cancelled) {
            UAP_TRY(cancel(c, err));
        }
    }
    char *to = uap_bytes_add(&c->in, READ_SIZE);
    if (to == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "out of memory for an answer");
    }
    const ssize_t n = recv(c->fd, to, READ_SIZE, 0);
    c->in.n -= READ_SIZE - (n > 0 ? (size_t)n : 0);
    if (n == 0 || (n < 0 && errno != EINTR)) {
        rc = UAP_FAIL(err, IO, "the service went away%s%s", n < 0 ? ": " : "",
                      n < 0 ? strerror(errno) : "");
    }
done:
    return rc;
}

/* The next line, as a document that the caller frees. */
static uap_status next_line(client *c, uap_json **doc, uap_err *err)
{
    uap_status rc = UAP_OK;
    const char *end = NULL;
    size_t looked = c->used;
    while (c->in.n == looked ||
           (end = memchr(c->in.at + looked, '\n', c->in.n - looked)) == NULL) {
        looked = c->in.n;
        UAP_TRY(receive(c, err));
    }
    const size_t n = (size_t)(end - (c->in.at + c->used));
    rc = uap_json_parse("answer", c->in.at + c->used, n, doc, err);
    c->used += n + 1;
    if (c->used == c->in.n) {
        c->used = c->in.n = 0;
    }
done:
    return rc;
}

/* ---- News ---- */

static void print_line(client *c, const uap_jval *params)
{
    int64_t number = -1;
    const char *text = NULL;
    if (uap_jget_i64(params, "line", -1, INT64_MAX, &number, NULL) == UAP_OK &&
        uap_jget_str(params, "text", &text, NULL) == UAP_OK &&
        (number < 0 || number == c->n_printed)) {
        (void)fprintf(stderr, "%s\n", text);
        c->n_printed += number >= 0;
    }
}

static void keep_event(const client *c, const uap_jval *params)
{
    uap_jval event;
    if (c->log == NULL || !uap_jfind(params, "event", &event)) {
        return;
    }
    uap_jout *copy = uap_jout_copy(&event);
    char *text = copy != NULL ? uap_jout_text(copy) : NULL;
    if (text != NULL) { /* checked when the file closes */
        (void)fprintf(c->log, "%s\n", text);
        (void)fflush(c->log);
    }
    uap_free(text);
    uap_jout_free(copy);
}

/* Whether a line is news, and no answer. */
static bool take_news(client *c, const uap_jval *root)
{
    const char *method = NULL;
    uap_jval params;
    if (uap_jget_str(root, "method", &method, NULL) != UAP_OK ||
        !uap_jfind(root, "params", &params)) {
        return false;
    }
    if (strcmp(method, "log") == 0) {
        print_line(c, &params);
    } else if (strcmp(method, "progress") == 0) {
        keep_event(c, &params);
    }
    return true;
}

/* ---- Files ---- */

/* Whether a name stands in the command line or in a file that was sent, a directory's
 * config.json by the directory's. */
static bool is_named(const client *c, const char *name)
{
    static const char inside[] = "/config.json";
    char base[4096];
    size_t n = strlen(name);
    if (n == 0 || n >= sizeof base) {
        return false;
    }
    memcpy(base, name, n + 1);
    if (n > sizeof inside - 1 && strcmp(base + n - (sizeof inside - 1), inside) == 0) {
        base[n - (sizeof inside - 1)] = '\0';
    }
    for (int i = 0; i < c->asked->sent->n; i++) {
        if (strstr(c->asked->sent->arg[i], base) != NULL) {
            return true;
        }
    }
    for (int i = 0; i < c->n_files; i++) {
        if (c->file[i].text != NULL && !c->file[i].failed &&
            strstr(c->file[i].text, base) != NULL) {
            return true;
        }
    }
    return false;
}

/* What is wrong with a text that cannot travel: it is no UTF-8, or has NUL bytes. */
static bool cannot_travel(const char *name, const char *text, size_t n, uap_err *err)
{
    bool is_plain = true;
    for (size_t i = 0; i < n; i++) {
        is_plain = is_plain && text[i] != '\0' && (unsigned char)text[i] < 0x80;
    }
    uap_json *doc = NULL;
    const bool cannot = !is_plain && uap_json_parse(name, text, n, &doc, err) != UAP_OK;
    uap_json_free(doc);
    return cannot;
}

/* Reads what the service asked for: the text, or why there is none. */
static uap_status add_file(client *c, const char *name, uap_err *err)
{
    uap_err fault = {0};
    size_t n = 0;
    sent_file file = {.name = uap_strdup(name)};
    for (int i = 0; i < c->n_files; i++) {
        if (strcmp(c->file[i].name, name) == 0 && !c->file[i].is_asked_for) {
            c->file[i].is_asked_for = true;
            uap_free(file.name);
            return UAP_OK;
        }
    }
    if (c->n_files == FILES_MAX || !is_named(c, name)) {
        uap_free(file.name);
        return UAP_FAIL(err, BAD_INPUT,
                        "the service asks for a file that is no part of "
                        "the command: %.200s",
                        name);
    }
    if (!uap_file_is_directory(name)) {
        file.failed = uap_file_read(name, FILE_MAX, &file.text, &n, &fault) != UAP_OK ||
                      cannot_travel(name, file.text, n, &fault);
        if (file.failed) {
            uap_free(file.text);
            file.text = uap_strdup(fault.msg);
        }
    }
    file.is_asked_for = file.text == NULL || file.failed || strlen(file.text) < HASH_FROM;
    c->file[c->n_files++] = file;
    return UAP_OK;
}

static bool is_stdout(const char *output)
{
    return strcmp(output, "-") == 0;
}

static uap_status ask(client *c, uap_err *err)
{
    uap_jout *params = uap_jout_object(), *args = uap_jout_array();
    uap_jout *files = uap_jout_object(), *faults = uap_jout_object();
    uap_jout *directories = uap_jout_array(), *held = uap_jout_object();
    if (c->asked->output != NULL) {
        uap_jadd_str(args, is_stdout(c->asked->output) ? "-o-" : "-o" OUTPUT_NAME);
    }
    if (c->asked->log != NULL) {
        uap_jadd_str(args, "--log-json=-"); /* which makes it tell its lines as events */
    }
    for (int i = 0; i < c->asked->sent->n; i++) {
        uap_jadd_str(args, c->asked->sent->arg[i]);
    }
    for (int i = 0; i < c->n_files; i++) {
        const sent_file *file = &c->file[i];
        if (file->text == NULL) {
            uap_jadd_str(directories, file->name);
        } else if (!file->is_asked_for) {
            char key[UAP_SHA256_HEX];
            uap_sha256_hex(file->text, strlen(file->text), key);
            uap_jset_str(held, file->name, key);
        } else {
            uap_jset_str(file->failed ? faults : files, file->name, file->text);
        }
    }
    uap_jset(params, "args", args);
    uap_jset(params, "files", files);
    uap_jset(params, "held", held);
    uap_jset(params, "faults", faults);
    uap_jset(params, "directories", directories);
    uap_jset_bool(params, "progress", true);
    c->call++;
    c->n_printed = 0;
    return send_call(c, c->asked->command, params, false, err);
}

/* ---- The answer ---- */

/* The lines that were not printed as they came. */
static void print_rest(const client *c, const char *text)
{
    for (int64_t i = 0; i < c->n_printed && text != NULL; i++) {
        const char *end = strchr(text, '\n');
        text = end != NULL ? end + 1 : NULL;
    }
    if (text != NULL) {
        (void)fputs(text, stderr);
    }
}

/* With the output's name here where it stands, at the end. */
static void print_out(const client *c, const char *text)
{
    static const char end[] = WRITTEN OUTPUT_NAME "\n";
    const size_t n = strlen(text), n_end = sizeof end - 1;
    if (n >= n_end && strcmp(text + n - n_end, end) == 0) {
        (void)fwrite(text, 1, n - n_end, stdout);
        (void)printf(WRITTEN "%s\n", c->asked->output);
    } else {
        (void)fputs(text, stdout);
    }
}

static uap_status take_result(const client *c, const uap_jval *result, int *exit,
                              uap_err *err)
{
    uap_status rc = UAP_OK;
    const char *out = NULL, *rest = NULL, *text = NULL;
    int64_t status = 0;
    uap_jval files;
    UAP_TRY(uap_jget_i64(result, "exit", 0, 255, &status, err));
    UAP_TRY(uap_jget_str(result, "stdout", &out, err));
    UAP_TRY(uap_jget_str(result, "stderr", &rest, err));
    UAP_TRY(uap_jget(result, "files", UAP_JSON_OBJECT, &files, err));
    for (size_t i = 0; i < uap_jlen(&files); i++) {
        const uap_jval file = uap_jentry(&files, i);
        if (c->asked->output == NULL || strcmp(file.key, OUTPUT_NAME) != 0) {
            return UAP_FAIL(err, BAD_INPUT,
                            "the service wrote %.80s, which was not asked for", file.key);
        }
        UAP_TRY(uap_jas_str(&file, &text, err));
        UAP_TRY(uap_file_write(c->asked->output, text, strlen(text), err));
    }
    print_out(c, out);
    print_rest(c, rest);
    *exit = (int)status;
done:
    return rc;
}

/* An error: a file that is asked for, which is then sent, or the end. */
static uap_status take_error(client *c, const uap_jval *error, bool *is_over, int *exit,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t code = 0;
    const char *message = "", *missing = NULL;
    uap_jval data;
    UAP_TRY(uap_jget_i64(error, "code", INT64_MIN, INT64_MAX, &code, err));
    UAP_TRY(uap_jget_str(error, "message", &message, err));
    if (c->asked != NULL && code == UAP_RPC_MISSING && uap_jfind(error, "data", &data)) {
        UAP_TRY(uap_jget_str(&data, "missing", &missing, err));
        UAP_TRY(add_file(c, missing, err));
        rc = ask(c, err);
    } else if (code == UAP_RPC_CANCELLED) {
        (void)fprintf(stderr, "uniap: stopped before the service began\n");
        *exit = UAP_EXIT_UNKNOWN;
        *is_over = true;
    } else {
        rc = UAP_FAIL(err, BAD_INPUT, "the service: %.900s", message);
    }
done:
    return rc;
}

/* Lines until the answer is there. */
static uap_status follow(client *c, int *exit, char **text, uap_err *err)
{
    uap_status rc = UAP_OK;
    bool is_over = false;
    uap_json *doc = NULL;
    while (!is_over) {
        uap_jval result;
        uap_json_free(doc);
        doc = NULL;
        UAP_TRY(next_line(c, &doc, err));
        const uap_jval root = uap_json_root(doc);
        if (take_news(c, &root)) {
            continue;
        }
        if (uap_jfind(&root, "error", &result)) {
            UAP_TRY(take_error(c, &result, &is_over, exit, err));
            continue;
        }
        UAP_TRY(uap_jfind(&root, "result", &result)
                    ? UAP_OK
                    : UAP_FAIL(err, BAD_INPUT,
                               "the service: found a line that is no "
                               "answer"));
        is_over = true;
        if (c->asked != NULL) {
            UAP_TRY(take_result(c, &result, exit, err));
        } else {
            uap_jout *list = uap_jout_array();
            uap_jadd(list, uap_jout_copy(&result));
            *text = uap_jout_text(list);
            uap_jout_free(list);
        }
    }
done:
    uap_json_free(doc);
    return rc;
}

static uap_status close_log(client *c, uap_err *err)
{
    FILE *log = c->log;
    c->log = NULL;
    if (log == NULL) {
        return UAP_OK;
    }
    const int failed = ferror(log);
    return fclose(log) != 0 || failed != 0
               ? UAP_FAIL(err, IO, "--log-json: %s: cannot write", c->asked->log)
               : UAP_OK;
}

static void clear(client *c)
{
    for (int i = 0; i < c->n_files; i++) {
        uap_free(c->file[i].name);
        uap_free(c->file[i].text);
    }
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    uap_bytes_free(&c->in);
}

int uap_connect_run(const uap_cli *cli, const uap_connect *connect)
{
    client c = {.asked = connect, .fd = -1};
    uap_err err = {0};
    int exit = UAP_EXIT_FAILURE;
    uap_status rc = UAP_OK;
    if (cli->rank != 0) {
        return UAP_EXIT_OK;
    }
    (void)uap_stop_flag();
    if (connect->output != NULL) {
        UAP_TRY(uap_file_check_writable(connect->output, &err));
    }
    if (connect->log != NULL) {
        c.log = fopen(connect->log, "w");
        if (c.log == NULL) {
            rc = UAP_FAIL(&err, IO, "--log-json: %s: %s", connect->log, strerror(errno));
            goto done;
        }
    }
    UAP_TRY(uap_service_connect(connect->socket, &c.fd, &err));
    UAP_TRY(ask(&c, &err));
    UAP_TRY(follow(&c, &exit, NULL, &err));
    rc = close_log(&c, &err);
done:
    if (rc != UAP_OK) {
        exit = uap_cli_fail(cli, &err);
    }
    (void)close_log(&c, &err);
    clear(&c);
    return exit;
}

uap_status uap_connect_call(const char *socket, const char *method, const char *params,
                            char **result, uap_err *err)
{
    client c = {.fd = -1};
    uap_json *doc = NULL;
    uap_status rc = UAP_OK;
    int exit = 0;
    *result = NULL;
    UAP_TRY(uap_json_parse("params", params, strlen(params), &doc, err));
    const uap_jval root = uap_json_root(doc);
    UAP_TRY(uap_service_connect(socket, &c.fd, err));
    c.call = 1;
    UAP_TRY(send_call(&c, method, uap_jout_copy(&root), false, err));
    rc = follow(&c, &exit, result, err);
    if (rc == UAP_OK && *result == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "out of memory for an answer");
    }
done:
    uap_json_free(doc);
    clear(&c);
    return rc;
}
