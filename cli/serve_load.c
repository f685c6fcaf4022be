/* Threads that ask, wait, and compare. A client sends the files that a case needs with its first
 * call for it, when it has learnt their names from the service. */
#include "cli/serve_load.h"

#include "cli/service_rpc.h"
#include "cli/service_socket.h"
#include "common/clock.h"
#include "common/file.h"
#include "common/json_write.h"
#include "common/mem.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define FILES_MAX  8
#define FILE_BYTES ((size_t)64 << 20)
#define READ_SIZE  65536

typedef struct needed {
    char *name[FILES_MAX], *text[FILES_MAX];
    int n;
} needed;

typedef struct loader {
    const uap_serve_load *load;
    atomic_llong *next;
    double *seconds; /* [load->requests] < 0: not answered */
    needed *files;   /* [cases->n] this client's */
    int fd;
    uap_bytes in;
    int64_t wrong, answered;
    uap_err err;
    pthread_t thread;
    uap_mem_count count;
} loader;

static uap_status send_line(int fd, const char *text, uap_err *err)
{
    const size_t n = strlen(text);
    for (size_t sent = 0; sent < n;) {
        const ssize_t now = send(fd, text + sent, n - sent, MSG_NOSIGNAL);
        if (now < 0 && errno != EINTR) {
            return UAP_FAIL(err, IO, "the service went away: %s", strerror(errno));
        }
        sent += now > 0 ? (size_t)now : 0;
    }
    return UAP_OK;
}

/* The text and the end of its line. */
static uap_status send_call(int fd, const char *text, uap_err *err)
{
    const uap_status rc = send_line(fd, text, err);
    return rc == UAP_OK ? send_line(fd, "\n", err) : rc;
}

/* A line as a document, freed by the caller. */
static uap_status receive(loader *l, uap_json **doc, uap_err *err)
{
    l->in.n = 0;
    while (l->in.n == 0 || l->in.at[l->in.n - 1] != '\n') {
        char *to = uap_bytes_add(&l->in, READ_SIZE);
        if (to == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for an answer");
        }
        const ssize_t n = recv(l->fd, to, READ_SIZE, 0);
        l->in.n -= READ_SIZE - (n > 0 ? (size_t)n : 0);
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return UAP_FAIL(err, IO, "the service went away");
        }
    }
    return uap_json_parse("answer", l->in.at, l->in.n - 1, doc, err);
}

static char *write_call(const uap_serve_case *c, const needed *files, int64_t id)
{
    uap_jout *call = uap_jout_object(), *params = uap_jout_object();
    uap_jout *args = uap_jout_array(), *sent = uap_jout_object();
    uap_jadd_str(args, "-ooutput");
    for (int i = 0; i < c->n_args; i++) {
        uap_jadd_str(args, c->arg[i]);
    }
    for (int i = 0; i < files->n; i++) {
        uap_jset_str(sent, files->name[i], files->text[i]);
    }
    uap_jset(params, "args", args);
    uap_jset(params, "files", sent);
    uap_jset_str(call, "jsonrpc", "2.0");
    uap_jset_i64(call, "id", id);
    uap_jset_str(call, "method", c->command);
    uap_jset(call, "params", params);
    char *text = uap_jout_text(call);
    uap_jout_free(call);
    return text;
}

/* The file that an error names. */
static uap_status add_file(needed *files, const uap_jval *error, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval data;
    const char *name = NULL, *message = "";
    size_t n = 0;
    UAP_TRY(uap_jget_str(error, "message", &message, err));
    if (!uap_jfind(error, "data", &data) || files->n == FILES_MAX) {
        return UAP_FAIL(err, BAD_INPUT, "the service: %.500s", message);
    }
    UAP_TRY(uap_jget_str(&data, "missing", &name, err));
    files->name[files->n] = uap_strdup(name);
    UAP_TRY(uap_file_read(name, FILE_BYTES, &files->text[files->n], &n, err));
    files->n++;
done:
    return rc;
}

static uap_status copy_text(const uap_jval *object, const char *key, char **out,
                            uap_err *err)
{
    const char *text = NULL;
    const uap_status rc = uap_jopt_str(object, key, &text, err);
    *out = text != NULL ? uap_strdup(text) : NULL;
    uap_serve_strip(*out);
    return rc;
}

static uap_status compare(const uap_serve_case *c, const uap_jval *result, bool *same,
                          uap_err *err)
{
    uap_serve_answer got = {0};
    uap_status rc = UAP_OK;
    int64_t exit = 0;
    uap_jval files;
    UAP_TRY(uap_jget_i64(result, "exit", 0, 255, &exit, err));
    got.exit = (int)exit;
    UAP_TRY(copy_text(result, "stdout", &got.out, err));
    UAP_TRY(copy_text(result, "stderr", &got.err, err));
    UAP_TRY(uap_jget(result, "files", UAP_JSON_OBJECT, &files, err));
    UAP_TRY(copy_text(&files, "output", &got.file, err));
    *same = uap_serve_is_same(&got, &c->expected);
done:
    uap_serve_answer_free(&got);
    return rc;
}

/* One call; *again: a file was missing, and now is not. */
static uap_status ask_once(loader *l, const uap_serve_case *c, needed *files, int64_t id,
                           bool *again, bool *same, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    uap_jval part;
    int64_t got = -1;
    UAP_TRY(receive(l, &doc, err));
    const uap_jval root = uap_json_root(doc);
    UAP_TRY(uap_jget_i64(&root, "id", INT64_MIN, INT64_MAX, &got, err));
    *again = uap_jfind(&root, "error", &part);
    if (*again) {
        UAP_TRY(add_file(files, &part, err));
    } else {
        UAP_TRY(uap_jget(&root, "result", UAP_JSON_OBJECT, &part, err));
        UAP_TRY(compare(c, &part, same, err));
        *same = *same && got == id;
    }
done:
    uap_json_free(doc);
    return rc;
}

static uap_status ask(loader *l, int which, int64_t id, double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_serve_case *c = &l->load->cases->item[which];
    bool again = true, same = false;
    char *text = NULL;
    while (again) {
        uap_free(text);
        text = write_call(c, &l->files[which], id);
        if (text == NULL) {
            rc = UAP_FAIL(err, NO_MEMORY, "no memory for a call");
            goto done;
        }
        const double start_s = uap_wall_s();
        UAP_TRY(send_call(l->fd, text, err));
        UAP_TRY(ask_once(l, c, &l->files[which], id, &again, &same, err));
        *seconds = uap_wall_s() - start_s;
    }
    l->answered++;
    if (!same) {
        l->wrong++;
        (void)fprintf(stderr, "uniap: another answer than the command's: %s %s %s %s\n",
                      c->command, c->arg[0], c->n_args > 1 ? c->arg[1] : "",
                      c->n_args > 2 ? c->arg[2] : "");
    }
done:
    uap_free(text);
    return rc;
}

static void *run(void *context)
{
    loader *l = context;
    uap_status rc = UAP_OK;
    const int n = l->load->cases->n;
    (void)uap_mem_count_here(&l->count);
    l->files = uap_calloc((size_t)n, sizeof *l->files);
    UAP_TRY(uap_service_connect(l->load->socket, &l->fd, &l->err));
    for (int64_t i = 0;
         l->files != NULL && (i = atomic_fetch_add(l->next, 1)) < l->load->requests;) {
        /* Neighbours differ, and every round is another order: 7919 is a prime. */
        const int which = (int)((i % n * 7919 + i / n) % n);
        UAP_TRY(ask(l, which, i, &l->seconds[i], &l->err));
        if (l->load->pause_s > 0) {
            const struct timespec nap = {.tv_nsec = (long)(1e9 * l->load->pause_s)};
            (void)nanosleep(&nap, NULL);
        }
    }
done:
    for (int i = 0; i < n && l->files != NULL; i++) {
        for (int k = 0; k < l->files[i].n; k++) {
            uap_free(l->files[i].name[k]);
            uap_free(l->files[i].text[k]);
        }
    }
    uap_free(l->files);
    uap_bytes_free(&l->in);
    if (l->fd >= 0) {
        (void)close(l->fd);
    }
    return NULL;
}

static int compare_seconds(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void sum_up(double *seconds, int64_t n, uap_serve_figures *out)
{
    int64_t first = 0;
    qsort(seconds, (size_t)n, sizeof *seconds, compare_seconds);
    while (first < n && seconds[first] < 0) {
        first++;
    }
    out->lost = first;
    if (first < n) {
        const double *at = seconds + first;
        const int64_t left = n - first;
        out->p50_s = at[left / 2];
        out->p90_s = at[left * 9 / 10];
        out->p99_s = at[left * 99 / 100];
        out->most_s = at[left - 1];
    }
}

uap_status uap_serve_load_run(const uap_serve_load *load, uap_serve_figures *out,
                              uap_err *err)
{
    uap_status rc = UAP_OK;
    atomic_llong next = 0;
    int started = 0;
    double *seconds = uap_calloc((size_t)load->requests, sizeof *seconds);
    loader *all = uap_calloc((size_t)load->clients, sizeof *all);
    *out = (uap_serve_figures){0};
    if (seconds == NULL || all == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %d clients", load->clients);
        goto done;
    }
    for (int64_t i = 0; i < load->requests; i++) {
        seconds[i] = -1;
    }
    const double start_s = uap_wall_s();
    for (; started < load->clients; started++) {
        loader *l = &all[started];
        *l = (loader){.load = load, .next = &next, .seconds = seconds, .fd = -1};
        if (pthread_create(&l->thread, NULL, run, l) != 0) {
            rc = UAP_FAIL(err, NO_MEMORY, "no thread for a client");
            break;
        }
    }
    for (int i = 0; i < started; i++) {
        (void)pthread_join(all[i].thread, NULL);
        uap_mem_settle(&all[i].count);
        out->wrong += all[i].wrong;
        out->answered += all[i].answered;
        if (all[i].err.code != UAP_OK && rc == UAP_OK) {
            rc = UAP_FAIL(err, IO, "%s", all[i].err.msg);
        }
    }
    out->wall_s = uap_wall_s() - start_s;
    out->per_s = (double)out->answered / out->wall_s;
    sum_up(seconds, load->requests, out);
done:
    uap_free(seconds);
    uap_free(all);
    return rc;
}
