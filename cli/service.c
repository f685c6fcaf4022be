/* The loop of rank 0: it waits for sockets and threads together, and does nothing long itself. */
#include "cli/service.h"

#include "cli/service_state.h"
#include "cli/stop.h"
#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"
#include "mpi/comm.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define OUT_MAX         ((size_t)64 << 20) /* bytes of answers that a client leaves unread */
#define OUT_MUCH        ((size_t)1 << 20) /* from which on nothing more is taken from it */
#define HELD_MAX        ((int64_t)128 << 20) /* bytes of documents in memory */
#define LINES_A_TURN    64
#define WAIT_BUSY_MS    20
#define WAIT_IDLE_MS    200
#define FLUSH_S         5.0 /* for the last answers, at the end */
#define OLD_CHECKPOINTS 64  /* files from services before that are kept */

/* ---- Clients ---- */

static void drop(uap_service *s, uap_service_client *client)
{
    uap_service_abandon(s, client);
    uap_service_client_close(client);
}

static bool may_connect(const uap_service *s, int fd)
{
    uid_t uid = 0;
    if (!uap_service_peer(fd, &uid)) {
        return false;
    }
    for (int i = 0; i < s->options->n_users; i++) {
        if (s->options->user[i] == uid) {
            return true;
        }
    }
    return uid == geteuid() || uid == 0;
}

/* A place for one more: a free one, or that of who has been silent for longest. */
static uap_service_client *find_place(uap_service *s, double now_s)
{
    uap_service_client *idle = NULL;
    for (int i = 0; i < s->options->clients; i++) {
        uap_service_client *client = &s->client[i];
        if (client->fd < 0) {
            return client;
        }
        if (client->pending == 0 && uap_service_client_unsent(client) == 0 &&
            now_s - client->read_s > s->options->patience_s &&
            (idle == NULL || client->read_s < idle->read_s)) {
            idle = client;
        }
    }
    if (idle != NULL) {
        s->counts.dropped++;
        drop(s, idle);
    }
    return idle;
}

/* One line, as far as the system takes it at once. */
static void turn_away(uap_service *s, int fd, uap_rpc_code code, const char *why)
{
    uap_service_client guest = {.fd = fd};
    s->counts.turned_away++;
    uap_service_tell_off(s, &guest, code, why);
    (void)uap_service_client_write(&guest, 0);
    uap_service_client_close(&guest);
}

static void accept_clients(uap_service *s, double now_s)
{
    for (int fd = -1; (fd = uap_service_accept(&s->socket)) >= 0;) {
        uap_service_client *place = NULL;
        if (!may_connect(s, fd)) {
            turn_away(s, fd, UAP_RPC_FORBIDDEN,
                      "this user may not use the service (--allow-uid)");
        } else if (s->mood != UAP_SERVICE_OPEN) {
            turn_away(s, fd, UAP_RPC_ENDING, "the service is ending");
        } else if ((place = find_place(s, now_s)) == NULL) {
            turn_away(s, fd, UAP_RPC_BUSY, "too many clients");
        } else {
            *place = (uap_service_client){.fd = fd, .read_s = now_s, .write_s = now_s};
            s->counts.connections++;
        }
    }
}

/* Lines that have come, a share at a time; true: there may be more. */
static bool take_lines(uap_service *s, uap_service_client *client)
{
    for (int i = 0; i < LINES_A_TURN; i++) {
        const char *line = NULL;
        size_t n = 0;
        bool too_long = false;
        if (client->is_closing || uap_service_client_unsent(client) > OUT_MUCH) {
            return false;
        }
        if (uap_service_client_line(client, s->options->line_bytes, &line, &n,
                                    &too_long)) {
            uap_service_take_line(s, client, line, n);
            uap_service_client_drop_line(client, n);
        } else if (too_long) {
            uap_service_tell_off(s, client, UAP_RPC_TOO_LARGE,
                                 "a line longer than --max-request");
        } else {
            return false;
        }
    }
    return true;
}

/* Whether a client keeps others from its place: it does not end its line, or does not read. */
static bool is_stuck(const uap_service *s, const uap_service_client *client, double now_s)
{
    const double patience_s = s->options->patience_s;
    const bool has_part = client->in.n > client->taken || client->skips;
    const size_t unsent = uap_service_client_unsent(client);
    return unsent > OUT_MAX || (unsent > 0 && now_s - client->write_s > patience_s) ||
           (has_part && unsent == 0 && now_s - client->read_s > patience_s);
}

/* One client's turn; true: it has more lines. */
static bool serve_client(uap_service *s, uap_service_client *client, short events,
                         double now_s)
{
    bool has_more = false;
    bool is_gone = false;
    if ((events & (POLLIN | POLLHUP | POLLERR)) != 0 && !client->is_at_end) {
        is_gone = !uap_service_client_read(client, now_s);
    }
    if (!is_gone) {
        has_more = take_lines(s, client);
    }
    if (!is_gone && uap_service_client_unsent(client) > 0) {
        is_gone = !uap_service_client_write(client, now_s);
    }
    if (!is_gone && is_stuck(s, client, now_s)) {
        s->counts.dropped++;
        is_gone = true;
    }
    /* Who sends no more and gets no more is done; who hung up gets nothing. */
    if (is_gone || (events & (POLLHUP | POLLERR)) != 0 ||
        ((client->is_closing || (client->is_at_end && client->pending == 0)) &&
         uap_service_client_unsent(client) == 0 && !has_more)) {
        drop(s, client);
        has_more = false;
    }
    return has_more;
}

/* ---- The loop ---- */

static int list_descriptors(const uap_service *s, struct pollfd *out)
{
    out[0] = (struct pollfd){.fd = s->socket.fd, .events = POLLIN};
    out[1] = (struct pollfd){.fd = uap_service_work_fd(s->work), .events = POLLIN};
    for (int i = 0; i < s->options->clients; i++) {
        const uap_service_client *client = &s->client[i];
        const size_t unsent = uap_service_client_unsent(client);
        const bool reads = !client->is_at_end && unsent <= OUT_MUCH;
        out[2 + i] = (struct pollfd){
            .fd = client->fd,
            .events = (short)((reads ? POLLIN : 0) | (unsent > 0 ? POLLOUT : 0))};
    }
    return 2 + s->options->clients;
}

static void change_mood(uap_service *s, uap_service_mood mood, double now_s)
{
    if (mood <= s->mood) {
        return;
    }
    s->mood = mood;
    s->mood_s = now_s;
    if (mood == UAP_SERVICE_DRAINS) {
        UAP_LOG(INFO, GLOBAL,
                "signal USR1: what was taken is done, then the service ends");
        return;
    }
    UAP_LOG(INFO, GLOBAL, "signal TERM: searches end with what they have");
    for (uap_service_request *r = s->first, *next = NULL; r != NULL; r = next) {
        next = r->next;
        r->task.keeps_checkpoint = true;
        uap_service_end_request(s, r, UAP_RPC_ENDING, "the service is ending");
    }
}

static void heed_signal(uap_service *s, int signal, double now_s)
{
    if (signal == SIGUSR1) {
        change_mood(s, UAP_SERVICE_DRAINS, now_s);
    } else if (signal != 0) {
        change_mood(s, UAP_SERVICE_STOPS, now_s);
    }
}

/* All is answered, and all answers are sent, or nobody takes them. */
static bool is_over(const uap_service *s, double now_s)
{
    size_t unsent = 0;
    if (s->mood == UAP_SERVICE_OPEN || s->first != NULL) {
        return false;
    }
    for (int i = 0; i < s->options->clients; i++) {
        unsent += s->client[i].fd >= 0 ? uap_service_client_unsent(&s->client[i]) : 0;
    }
    return unsent == 0 || now_s - s->mood_s > FLUSH_S;
}

static bool is_busy(const uap_service *s)
{
    return s->first != NULL || s->cli->size > 1 || s->mood != UAP_SERVICE_OPEN;
}

static uap_status turn(uap_service *s, struct pollfd *descriptor, bool *has_more,
                       uap_err *err)
{
    uap_status rc = UAP_OK;
    int signal = 0;
    const int n = list_descriptors(s, descriptor);
    const int wait_ms = *has_more ? 0 : is_busy(s) ? WAIT_BUSY_MS : WAIT_IDLE_MS;
    const int ready = poll(descriptor, (nfds_t)n, wait_ms);
    const double now_s = uap_wall_s();
    if (ready < 0 && errno != EINTR) {
        return UAP_FAIL(err, IO, "poll: %s", strerror(errno));
    }
    *has_more = false;
    if (ready > 0 && descriptor[1].revents != 0) {
        uap_service_work_clear_fd(s->work);
    }
    for (int i = 0; i < s->options->clients; i++) {
        if (s->client[i].fd >= 0) {
            const short events = ready > 0 ? descriptor[2 + i].revents : 0;
            *has_more = serve_client(s, &s->client[i], events, now_s) || *has_more;
        }
    }
    if (ready > 0 && descriptor[0].revents != 0) {
        accept_clients(s, now_s);
    }
    UAP_TRY(uap_service_work_tend(s->work, &signal, err));
    heed_signal(s, signal, now_s);
    heed_signal(s, uap_stop_signal(), now_s);
    rc = uap_service_advance(s, err);
done:
    return rc;
}

/* ---- Life ---- */

static int is_checkpoint(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && strlen(entry->d_name) >= UAP_SHA256_HEX - 1;
}

/* Checkpoints that no request came back for: the oldest go. */
static void thin_out_checkpoints(const char *folder)
{
    struct dirent **name = NULL;
    const int n = scandir(folder, &name, is_checkpoint, NULL);
    for (int left = n; left > OLD_CHECKPOINTS; left--) {
        char path[PATH_MAX + 260], oldest[PATH_MAX + 260] = "";
        struct stat info;
        struct timespec time = {0};
        for (int i = 0; i < n; i++) {
            (void)snprintf(path, sizeof path, "%s/%s", folder, name[i]->d_name);
            if (stat(path, &info) == 0 &&
                (oldest[0] == '\0' || info.st_mtim.tv_sec < time.tv_sec)) {
                time = info.st_mtim;
                (void)snprintf(oldest, sizeof oldest, "%s", path);
            }
        }
        (void)unlink(oldest);
    }
    for (int i = 0; i < n; i++) {
        free(name[i]);
    }
    free(name);
}

static uap_status make_folder(const char *path, uap_err *err)
{
    return mkdir(path, 0700) == 0 || errno == EEXIST
               ? UAP_OK
               : UAP_FAIL(err, IO, "--cache: %s: %s", path, strerror(errno));
}

/* What rank 0 alone has. */
static uap_status open_service(uap_service *s, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_service_options *options = s->options;
    s->client = uap_calloc((size_t)options->clients, sizeof *s->client);
    if (s->client == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d clients", options->clients);
    }
    for (int i = 0; i < options->clients; i++) {
        s->client[i].fd = -1;
    }
    if (options->cache != NULL) {
        UAP_TRY(make_folder(options->cache, err));
        UAP_TRY(make_folder(s->checkpoints, err));
        thin_out_checkpoints(s->checkpoints);
        UAP_TRY(
            uap_service_cache_open(options->cache, options->cache_bytes, &s->cache, err));
    }
    rc = uap_service_listen(options->socket, options->n_users > 0, &s->socket, err);
done:
    return rc;
}

static void close_service(uap_service *s)
{
    uap_service_socket_close(&s->socket);
    for (int i = 0; i < s->options->clients && s->client != NULL; i++) {
        uap_service_client_close(&s->client[i]);
    }
    uap_free(s->client);
    uap_service_cache_close(s->cache);
    uap_service_held_free(&s->held);
}

static uap_status loop(uap_service *s, uap_err *err)
{
    uap_status rc = UAP_OK;
    bool has_more = false;
    const size_t n = (size_t)s->options->clients + 2;
    struct pollfd *descriptor = uap_calloc(n, sizeof *descriptor);
    if (descriptor == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %zu descriptors", n);
    }
    s->start_s = uap_wall_s();
    UAP_LOG(INFO, GLOBAL, "serving at %s, %d ranks", s->options->socket, s->cli->size);
    while (!is_over(s, uap_wall_s())) {
        UAP_TRY(turn(s, descriptor, &has_more, err));
    }
    UAP_LOG(INFO, GLOBAL, "the service has ended");
done:
    uap_free(descriptor);
    return rc;
}

uap_status uap_service_serve(const uap_cli *cli, const uap_service_options *options,
                             uap_err *err)
{
    uap_service s = {.cli = cli,
                     .options = options,
                     .socket = {.fd = -1, .lock = -1},
                     .held = {.max_bytes = HELD_MAX}};
    uap_service_limits limits = options->limits;
    uap_status rc = UAP_OK;
    (void)uap_stop_flag(); /* from here on signals are the service's */
    if (options->cache != NULL) {
        (void)snprintf(s.checkpoints, sizeof s.checkpoints, "%s/checkpoints",
                       options->cache);
        limits.checkpoints = s.checkpoints;
    }
    if (cli->rank == 0) {
        rc = open_service(&s, err);
    }
    UAP_TRY(uap_comm_agree(cli->comm, rc, err));
    UAP_TRY(uap_service_work_new(cli, &limits, &s.work, err));
    rc = cli->rank == 0 ? loop(&s, err) : uap_service_work_follow(s.work, err);
    if (rc != UAP_OK && cli->size > 1) { /* the others would wait for ever */
        UAP_LOG(ERROR, RANK, "%s", err->msg);
        uap_comm_abort(cli->comm, UAP_EXIT_FAILURE);
    }
done:
    if (cli->rank == 0) {
        close_service(&s);
    }
    uap_service_work_free(s.work);
    return rc;
}
