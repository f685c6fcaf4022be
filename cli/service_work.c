/* Threads and slots. The ranks agree on what runs by one small record, rank 0's: for each slot
 * the number of the run it is at. A rank that sees a higher number than its own starts the
 * slot's thread, whose first step is to take the request from rank 0 over the slot's own
 * communicator; its last is a barrier there. A record that is lost is sent again until all
 * ranks have said that they have seen it. */
#include "cli/service_work.h"

#include "cli/stop.h"
#include "common/clock.h"
#include "common/json_write.h"
#include "common/mem.h"
#include "common/numbers.h"
#include "mpi/comm.h"
#include "mpi/desk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define STACK_BYTES  ((size_t)16 << 20)
#define SEND_AGAIN_S 0.05
#define NAP_LEAST_NS 500000L /* of ranks that wait for work */
#define NAP_MOST_NS  5000000L
#define SLOT_NICE    10 /* long work steps back before what is asked meanwhile */
#define TRY_WALL     20 /* times try_cpu_s by the clock, on a machine that is busy */
#define SPARE_BYTES  ((int64_t)64 << 20) /* beside a search's own limit */

/* What rank 0 tells, and what it hears. */
typedef struct order {
    int64_t number;
    int64_t run[UAP_SERVICE_SLOTS_MAX];
    int64_t quit;
} order;

typedef struct report {
    int64_t number; /* of the last order seen */
    int64_t signal;
} report;

typedef struct runner {
    struct uap_service_work *work;
    uap_service_place place;
    uap_comm *comm;
    uap_service_task *task; /* rank 0's, while it runs */
    pthread_t thread;
    bool is_running; /* a thread is to be joined */
    atomic_bool has_ended;
    double start_s;
    int64_t run; /* its number, of a slot */
    uap_mem_count count;
} runner;

struct uap_service_work {
    uap_cli cli;
    uap_service_limits limits;
    uap_desk *desk; /* NULL: one rank */
    runner slot[UAP_SERVICE_SLOTS_MAX], try[UAP_SERVICE_SLOTS_MAX];
    int wake[2]; /* rank 0's */
    order now;
    int64_t *seen; /* [size] rank 0's: the last order that each rank has seen */
    double sent_s;
};

/* What rank 0 tells the others of a slot's run, before the parameters. */
typedef struct head {
    int64_t method, n_params, keeps_checkpoints;
} head;

/* ---- A thread's work ---- */

static void wake(const uap_service_work *work)
{
    const char byte = 0;
    const ssize_t n = write(work->wake[1], &byte, 1); /* full: it is awake */
    (void)n;
}

/* Notes a line for the client; what nobody takes is dropped. */
static void add_news(uap_service_task *task, size_t most, const uap_service_work *work,
                     const char *method, const char *rest)
{
    char start[256];
    const int n =
        snprintf(start, sizeof start,
                 "{\"jsonrpc\":\"2.0\",\"method\":\"%s\",\"params\":{\"id\":%s,", method,
                 task->id);
    (void)pthread_mutex_lock(&task->lock);
    const size_t before = task->news.n;
    if (n > 0 && before + strlen(rest) + (size_t)n < most &&
        !(uap_bytes_put(&task->news, start, (size_t)n) &&
          uap_bytes_put(&task->news, rest, strlen(rest)) &&
          uap_bytes_put(&task->news, "}}\n", 3))) {
        task->news.n = before;
    }
    (void)pthread_mutex_unlock(&task->lock);
    wake(work);
}

static void on_event(void *context, const char *json)
{
    const runner *r = context;
    const size_t n = strlen(json) + 16;
    char *rest = uap_calloc(n, 1);
    if (rest != NULL) {
        (void)snprintf(rest, n, "\"event\":%s", json);
        add_news(r->task, r->work->limits.notes_max, r->work, "progress", rest);
    }
    uap_free(rest);
}

static void on_line(void *context, int64_t number, const char *text)
{
    const runner *r = context;
    uap_jout *line = uap_jout_object();
    uap_jset_i64(line, "line", number);
    uap_jset_str(line, "text", text);
    char *json = uap_jout_text(line); /* {...} */
    if (json != NULL) {
        json[strlen(json) - 1] = '\0';
        add_news(r->task, r->work->limits.notes_max, r->work, "log", json + 1);
    }
    uap_free(json);
    uap_jout_free(line);
}

/* The room of a request on this rank; `own`: room for the name of its checkpoint. */
static uap_room furnish(runner *r, bool keeps_checkpoints,
                        const volatile sig_atomic_t *stop, char own[PATH_MAX])
{
    const uap_service_limits *limits = &r->work->limits;
    uap_room room = {.time_limit_s = limits->time_limit_s,
                     .memory_limit_bytes = limits->memory_bytes,
                     .checkpoint_interval_s = limits->checkpoint_interval_s,
                     .stop = stop,
                     .context = r};
    room.most_bytes = limits->memory_bytes + SPARE_BYTES;
    if (r->task != NULL && r->task->wants_news) {
        room.on_event = on_event;
        room.on_line = on_line;
    }
    if (keeps_checkpoints) { /* other ranks never open it */
        (void)snprintf(own, PATH_MAX, "%s/%s", r->task != NULL ? limits->checkpoints : "",
                       r->task != NULL ? r->task->key : "-");
        room.checkpoint = own;
        room.own_path = r->task != NULL ? own : NULL;
    }
    return room;
}

static void remove_checkpoint(const char *path)
{
    char old[PATH_MAX + 8];
    (void)snprintf(old, sizeof old, "%s.old", path);
    (void)unlink(path);
    (void)unlink(old);
}

/* A try: rank 0 alone. */
static void run_alone(runner *r)
{
    uap_service_task *task = r->task;
    const uap_cli cli = {.comm = r->comm, .rank = 0, .size = 1};
    char own[PATH_MAX] = "";
    uap_room room = furnish(r, false, &task->stop, own);
    task->status =
        uap_service_run(&cli, task->method, task->params, &room, &task->done, &task->err);
}

/* The request from rank 0; *params is freed by the caller. */
static uap_status take_request(runner *r, head *h, char **params, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_service_task *task = r->task;
    if (task != NULL) {
        *h = (head){.method = task->method,
                    .n_params = (int64_t)strlen(task->params) + 1,
                    .keeps_checkpoints = r->work->limits.checkpoints != NULL};
    }
    UAP_TRY(uap_comm_bcast(r->comm, h, sizeof *h, 0, err));
    *params =
        task != NULL ? uap_strdup(task->params) : uap_calloc((size_t)h->n_params, 1);
    rc = *params != NULL ? UAP_OK
                         : UAP_FAIL(err, NO_MEMORY, "out of memory for a request");
    UAP_TRY(uap_comm_agree(r->comm, rc, err));
    rc = uap_comm_bcast(r->comm, *params, (size_t)h->n_params, 0, err);
done:
    return rc;
}

/* A slot's run: all ranks. */
static void run_together(runner *r)
{
    static const volatile sig_atomic_t never;
    uap_service_task *task = r->task;
    uap_service_done done = {.exit = UAP_EXIT_FAILURE};
    uap_err err = {0};
    head h = {0};
    char *params = NULL;
    char own[PATH_MAX] = "";
    uap_cli cli = r->work->cli;
    cli.comm = r->comm;
    uap_status rc = take_request(r, &h, &params, &err);
    if (rc == UAP_OK) {
        uap_room room = furnish(r, h.keeps_checkpoints != 0,
                                task != NULL ? &task->stop : &never, own);
        rc = uap_service_run(&cli, (uap_service_method)h.method, params, &room, &done,
                             &err);
    }
    uap_free(params);
    if (task != NULL) {
        task->status = rc;
        task->err = err;
        task->done = done;
        if (own[0] != '\0' && !task->keeps_checkpoint) {
            remove_checkpoint(own);
        }
    }
    uap_err_clear(&err);
    if (uap_comm_barrier_asleep(r->comm, &err) !=
        UAP_OK) { /* the slot is of no more use */
        (void)fprintf(stderr, "uniap: rank %d: %s\n", cli.rank, err.msg);
        uap_comm_abort(r->comm, UAP_EXIT_FAILURE);
    }
}

/* Linux's number of this thread, at the end of ".../task/1234". */
static void step_back(void)
{
    char path[64] = "";
    const ssize_t n = readlink("/proc/thread-self", path, sizeof path - 1);
    const char *end = n > 0 ? strrchr(path, '/') : NULL;
    if (end != NULL) {
        (void)setpriority(PRIO_PROCESS, (id_t)strtol(end + 1, NULL, 10), SLOT_NICE);
    }
}

static void *run(void *context)
{
    runner *r = context;
    (void)uap_mem_count_here(&r->count);
    if (r->place == UAP_SERVICE_SLOT) {
        step_back();
        run_together(r);
    } else {
        run_alone(r);
    }
    atomic_store(&r->has_ended, true);
    if (r->work->cli.rank == 0) {
        wake(r->work);
    }
    return NULL;
}

/* Signals are the main thread's. */
static uap_status start_thread(runner *r, uap_err *err)
{
    pthread_attr_t attributes;
    sigset_t all, before;
    atomic_store(&r->has_ended, false);
    r->start_s = uap_wall_s();
    (void)sigfillset(&all);
    (void)pthread_attr_init(&attributes);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    const int failed = pthread_create(&r->thread, &attributes, run, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attributes);
    r->is_running = failed == 0;
    return failed == 0 ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no thread for a request");
}

/* Joins a thread that has ended, or is about to. */
static void join(runner *r)
{
    (void)pthread_join(r->thread, NULL);
    uap_mem_settle(&r->count);
    r->is_running = false;
    r->task = NULL;
}

/* ---- Life ---- */

static uap_status make_runners(uap_service_work *work, uap_err *err)
{
    uap_status rc = UAP_OK;
    const int self = 0;
    for (int i = 0; i < work->limits.slots; i++) {
        work->slot[i].work = work;
        work->slot[i].place = UAP_SERVICE_SLOT;
        UAP_TRY(uap_comm_split(work->cli.comm, 0, 0, &work->slot[i].comm, err));
    }
    for (int i = 0; i < work->limits.tries && work->cli.rank == 0; i++) {
        work->try[i].work = work;
        work->try[i].place = UAP_SERVICE_TRY;
        UAP_TRY(uap_comm_some(work->cli.comm, &self, 1, &work->try[i].comm, err));
    }
done:
    return rc;
}

static uap_status make_wake(uap_service_work *work, uap_err *err)
{
    work->wake[0] = work->wake[1] = -1;
    if (work->cli.rank != 0) {
        return UAP_OK;
    }
    work->seen = uap_calloc((size_t)work->cli.size, sizeof *work->seen);
    if (work->seen == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a service");
    }
    if (pipe(work->wake) != 0) {
        return UAP_FAIL(err, IO, "no pipe: %s", strerror(errno));
    }
    for (int i = 0; i < 2; i++) {
        (void)fcntl(work->wake[i], F_SETFD, FD_CLOEXEC);
        (void)fcntl(work->wake[i], F_SETFL, O_NONBLOCK);
    }
    return UAP_OK;
}

static void free_local(uap_service_work *work)
{
    for (int i = 0; i < 2; i++) {
        if (work->wake[i] >= 0) {
            (void)close(work->wake[i]);
        }
    }
    uap_free(work->seen);
    uap_free(work);
}

uap_status uap_service_work_new(const uap_cli *cli, const uap_service_limits *limits,
                                uap_service_work **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_service_work *work = uap_calloc(1, sizeof *work);
    *out = NULL;
    if (work != NULL) {
        work->cli = *cli;
        work->limits = *limits;
        rc = make_wake(work, err);
    } else {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for a service");
    }
    rc = uap_comm_agree(cli->comm, rc, err);
    if (rc != UAP_OK) {
        goto done;
    }
    rc = make_runners(work, err);
    UAP_TRY(uap_comm_agree(cli->comm, rc, err));
    if (cli->size > 1) {
        UAP_TRY(uap_desk_new(cli->comm, sizeof(order), sizeof(report), &work->desk, err));
    }
    *out = work;
    work = NULL;
done:
    if (work != NULL) {
        free_local(work);
    }
    return rc;
}

/* ---- Orders ---- */

static uap_status send_order(uap_service_work *work, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int to = 1; to < work->cli.size; to++) {
        if (work->seen[to] < work->now.number) {
            UAP_TRY(uap_desk_order(work->desk, to, &work->now, err));
        }
    }
    work->sent_s = uap_wall_s();
done:
    return rc;
}

static bool all_have_seen(const uap_service_work *work)
{
    for (int r = 1; r < work->cli.size; r++) {
        if (work->seen[r] < work->now.number) {
            return false;
        }
    }
    return true;
}

static uap_status take_reports(uap_service_work *work, int *signal, uap_err *err)
{
    uap_status rc = UAP_OK;
    bool got = true;
    while (got) {
        report heard;
        int from = 0;
        UAP_TRY(uap_desk_take(work->desk, 0, &heard, &from, &got, err));
        if (got) {
            work->seen[from] = uap_max_i64(work->seen[from], heard.number);
            *signal = heard.signal != 0 ? (int)heard.signal : *signal;
        }
    }
    if (!all_have_seen(work) && uap_wall_s() - work->sent_s > SEND_AGAIN_S) {
        rc = send_order(work, err);
    }
done:
    return rc;
}

static void nap(long ns)
{
    const struct timespec time = {.tv_nsec = ns};
    (void)nanosleep(&time, NULL);
}

/* Starts what the order has that this rank has not. */
static uap_status obey(uap_service_work *work, const order *given, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (int i = 0; i < work->limits.slots; i++) {
        runner *r = &work->slot[i];
        if (given->run[i] > r->run) {
            if (r->is_running) {
                join(r); /* rank 0's has ended, so this one is about to */
            }
            r->run = given->run[i];
            UAP_TRY(start_thread(r, err));
        }
    }
done:
    return rc;
}

static void join_all(uap_service_work *work)
{
    for (int i = 0; i < UAP_SERVICE_SLOTS_MAX; i++) {
        if (work->slot[i].is_running) {
            join(&work->slot[i]);
        }
        if (work->try[i].is_running) {
            join(&work->try[i]);
        }
    }
}

uap_status uap_service_work_follow(uap_service_work *work, uap_err *err)
{
    uap_status rc = UAP_OK;
    report told = {0};
    long nap_ns = NAP_LEAST_NS;
    order given = {0};
    while (given.quit == 0) {
        bool got = false;
        UAP_TRY(uap_desk_look(work->desk, &given, &got, err));
        if (got) {
            UAP_TRY(obey(work, &given, err));
        }
        const report now = {.number = given.number, .signal = uap_stop_signal()};
        if (got || now.signal != told.signal) {
            UAP_TRY(uap_desk_report(work->desk, &now, err));
            told = now;
            nap_ns = NAP_LEAST_NS;
        }
        nap(nap_ns);
        nap_ns = uap_min_i64(nap_ns + nap_ns / 16, NAP_MOST_NS);
    }
done:
    join_all(work);
    return rc;
}

/* Until all others know that it is over. */
static void tell_the_end(uap_service_work *work)
{
    uap_err err = {0};
    int ignored = 0;
    work->now.quit = 1;
    work->now.number++;
    uap_status rc = send_order(work, &err);
    while (rc == UAP_OK && !all_have_seen(work)) {
        rc = take_reports(work, &ignored, &err);
        nap(NAP_LEAST_NS);
    }
}

void uap_service_work_free(uap_service_work *work)
{
    if (work == NULL) {
        return;
    }
    join_all(work);
    if (work->desk != NULL && work->cli.rank == 0) {
        tell_the_end(work);
    }
    uap_desk_free(work->desk);
    for (int i = 0; i < UAP_SERVICE_SLOTS_MAX; i++) {
        uap_comm_free(work->try[i].comm);
        uap_comm_free(work->slot[i].comm);
    }
    free_local(work);
}

/* ---- Rank 0's side ---- */

int uap_service_work_fd(const uap_service_work *work)
{
    return work->wake[0];
}

void uap_service_work_clear_fd(uap_service_work *work)
{
    char bytes[256];
    while (read(work->wake[0], bytes, sizeof bytes) > 0) {
    }
}

static runner *runners_of(uap_service_work *work, uap_service_place place, int *n)
{
    *n = place == UAP_SERVICE_SLOT ? work->limits.slots : work->limits.tries;
    return place == UAP_SERVICE_SLOT ? work->slot : work->try;
}

static int count_running(const uap_service_work *work, uap_service_place place)
{
    const runner *r = place == UAP_SERVICE_SLOT ? work->slot : work->try;
    int running = 0;
    for (int i = 0; i < UAP_SERVICE_SLOTS_MAX; i++) {
        running += r[i].is_running;
    }
    return running;
}

bool uap_service_work_has_room(const uap_service_work *work, uap_service_place place)
{
    return count_running(work, place) <
           (place == UAP_SERVICE_SLOT ? work->limits.slots : work->limits.tries);
}

uap_status uap_service_work_start(uap_service_work *work, uap_service_task *task,
                                  uap_service_place place, uap_err *err)
{
    int n = 0;
    uap_status rc = UAP_OK;
    runner *r = runners_of(work, place, &n);
    while (r->is_running) {
        r++;
    }
    task->stop = 0;
    task->ran_over = false;
    r->task = task;
    rc = start_thread(r, err);
    if (rc != UAP_OK) {
        r->task = NULL;
        return rc;
    }
    if (place == UAP_SERVICE_SLOT && work->desk != NULL) {
        work->now.run[r - work->slot]++;
        work->now.number++;
        rc = send_order(work, err);
    }
    return rc;
}

uap_service_task *uap_service_work_reap(uap_service_work *work, uap_service_place *place)
{
    for (int kind = 0; kind < 2; kind++) {
        int n = 0;
        runner *r = runners_of(work, (uap_service_place)kind, &n);
        for (int i = 0; i < n; i++) {
            if (r[i].is_running && atomic_load(&r[i].has_ended)) {
                uap_service_task *task = r[i].task;
                join(&r[i]);
                *place = (uap_service_place)kind;
                return task;
            }
        }
    }
    return NULL;
}

static double cpu_of(pthread_t thread)
{
    clockid_t clock;
    struct timespec t;
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &t) != 0) {
        return 0;
    }
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

uap_status uap_service_work_tend(uap_service_work *work, int *signal, uap_err *err)
{
    const double now_s = uap_wall_s();
    const double most_s = work->limits.try_cpu_s;
    *signal = 0;
    for (int i = 0; i < work->limits.tries; i++) {
        runner *r = &work->try[i];
        if (r->is_running && !atomic_load(&r->has_ended) && r->task->stop == 0 &&
            uap_service_is_search(r->task->method) &&
            (now_s - r->start_s > TRY_WALL * most_s || cpu_of(r->thread) > most_s)) {
            r->task->ran_over = true;
            r->task->stop = 1;
        }
    }
    return work->desk != NULL ? take_reports(work, signal, err) : UAP_OK;
}
