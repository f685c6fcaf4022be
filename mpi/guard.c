/* The watched thread, and the hand-over of what it may touch: a word that says whether it is
 * in MPI, which both sides change by compare-and-swap. */
#include "mpi/guard.h"

#include "common/clock.h"
#include "common/mem.h"
#include "mpi/comm_impl.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* Looks at the thread, and what a look may take before it counts as standing still. */
#define NAP_S       0.05
#define LOOK_MOST_S 0.2

#define GIVEN_UP_NICE 10

/* In which waits end. */
#define GRACE_NAPS 20

enum { AT_WORK, IN_MPI, GIVEN_UP };

typedef struct guard {
    const uap_guarded *call; /* not read once given up */
    atomic_int where;
    atomic_bool is_given_up;
    atomic_uint beats;
    atomic_long allowed_ms;
    atomic_int thread; /* the system's number of it */
    int depth;         /* of enter(), the thread's own */
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool has_ended; /* under the lock */
    uap_status status;
    uap_err err;
} guard;

/* Of the thread that is watched; NULL on all others. */
static _Thread_local guard *own;

/* Calls that were given up stay so: their threads never end. */
static _Noreturn void sleep_for_good(void)
{
    for (;;) {
        (void)pause();
    }
}

bool uap_guard_is_on(void)
{
    return own != NULL;
}

bool uap_guard_is_given_up(void)
{
    return own != NULL && atomic_load_explicit(&own->is_given_up, memory_order_relaxed);
}

void uap_guard_enter(void)
{
    if (own != NULL && own->depth++ == 0) {
        int expected = AT_WORK;
        if (!atomic_compare_exchange_strong(&own->where, &expected, IN_MPI)) {
            sleep_for_good();
        }
    }
}

void uap_guard_leave_look(void)
{
    if (own != NULL && --own->depth == 0) {
        int expected = IN_MPI;
        if (!atomic_compare_exchange_strong(&own->where, &expected, AT_WORK)) {
            sleep_for_good();
        }
    }
}

void uap_guard_leave(void)
{
    uap_guard_beat();
    uap_guard_leave_look();
}

void uap_guard_beat(void)
{
    if (own != NULL) {
        const unsigned beats = atomic_load_explicit(&own->beats, memory_order_relaxed);
        atomic_store_explicit(&own->beats, beats + 1, memory_order_relaxed);
    }
}

void uap_guard_allow(double seconds)
{
    if (own != NULL) {
        atomic_store(&own->allowed_ms, (long)(1e3 * fmin(fmax(seconds, 0), 1e6)));
    }
}

bool uap_guard_is_possible(void)
{
    int level = MPI_THREAD_SINGLE;
    return MPI_Query_thread(&level) == MPI_SUCCESS && level == MPI_THREAD_MULTIPLE;
}

/* Linux's number of this thread, the end of ".../task/1234"; 0 where it does not say. */
static int own_number(void)
{
    char path[64] = "";
    const ssize_t n = readlink("/proc/thread-self", path, sizeof path - 1);
    const char *end = n > 0 ? strrchr(path, '/') : NULL;
    return end != NULL ? (int)strtol(end + 1, NULL, 10) : 0;
}

static void *run(void *context)
{
    guard *g = context;
    own = g;
    atomic_store(&g->thread, own_number());
    const uap_status status = g->call->step(g->call->self, &g->err);
    /* From here on it holds nothing: whoever gave up must not find it at work for ever. */
    (void)pthread_mutex_lock(&g->lock);
    g->status = status;
    g->has_ended = true;
    (void)pthread_cond_signal(&g->ended);
    (void)pthread_mutex_unlock(&g->lock);
    return NULL;
}

static void prepare_wait(guard *g)
{
    pthread_condattr_t by_clock;
    (void)pthread_mutex_init(&g->lock, NULL);
    (void)pthread_condattr_init(&by_clock);
    (void)pthread_condattr_setclock(&by_clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&g->ended, &by_clock);
    (void)pthread_condattr_destroy(&by_clock);
}

/* Waits a moment for the end; whether it has come. */
static bool nap(guard *g)
{
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += (long)(1e9 * NAP_S);
    if (until.tv_nsec >= 1000000000L) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000L;
    }
    (void)pthread_mutex_lock(&g->lock);
    if (!g->has_ended) {
        (void)pthread_cond_timedwait(&g->ended, &g->lock, &until);
    }
    const bool has_ended = g->has_ended;
    (void)pthread_mutex_unlock(&g->lock);
    return has_ended;
}

/* Until it has ended or has taken no step for too long. */
static uap_status watch(guard *g, const uap_guarded *call, bool *has_ended, uap_err *err)
{
    uap_status rc = UAP_OK;
    double waited_s = 0, before_s = uap_wall_s();
    unsigned beats = 0;
    while (!(*has_ended = nap(g))) {
        const double allowed_s =
            call->patience_s + 1e-3 * (double)atomic_load(&g->allowed_ms);
        const unsigned beats_now = atomic_load(&g->beats);
        waited_s = beats_now == beats
                       ? waited_s + fmin(uap_wall_s() - before_s, LOOK_MOST_S)
                       : 0;
        beats = beats_now;
        before_s = uap_wall_s();
        if (waited_s > allowed_s) {
            break;
        }
        if (call->look != NULL) {
            UAP_TRY(call->look(call->self, err));
        }
    }
done:
    return rc;
}

/* Ends it as far as it can be ended: most waits see that they are given up, and return. What
 * is inside MPI goes on in MPI's loops, where other threads' messages may wait for it: less of
 * a processor is enough for that. */
static uap_guard_end give_up(guard *g, bool *has_ended)
{
    int where = IN_MPI;
    atomic_store(&g->is_given_up, true);
    for (int i = 0; i < GRACE_NAPS && !*has_ended; i++) {
        *has_ended = nap(g);
    }
    if (*has_ended) {
        return UAP_GUARD_WAITS;
    }
    const bool waits = atomic_compare_exchange_strong(&g->where, &where, GIVEN_UP);
    atomic_store(&g->where, GIVEN_UP);
    if (atomic_load(&g->thread) > 0) {
        (void)setpriority(PRIO_PROCESS, (id_t)atomic_load(&g->thread), GIVEN_UP_NICE);
    }
    return waits ? UAP_GUARD_WAITS : UAP_GUARD_WORKS;
}

uap_status uap_guard_run(const uap_guarded *call, uap_guard_end *end, uap_status *status,
                         uap_err *err)
{
    uap_status rc = UAP_OK;
    pthread_t thread;
    bool has_ended = false;
    *end = UAP_GUARD_RETURNED;
    *status = UAP_OK;
    guard *g = uap_calloc(1, sizeof *g);
    if (g == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory to watch a call");
    }
    g->call = call;
    prepare_wait(g);
    if (pthread_create(&thread, NULL, run, g) != 0) {
        uap_free(g);
        return UAP_FAIL(err, NO_MEMORY, "no thread to watch a call on");
    }
    rc = watch(g, call, &has_ended, err);
    if (!has_ended) {
        /* The thread has it for good. */
        *end = give_up(g, &has_ended);
    }
    if (!has_ended) {
        (void)pthread_detach(thread);
        uap_comm_keep(g);
        return rc;
    }
    (void)pthread_join(thread, NULL);
    if (*end == UAP_GUARD_RETURNED) {
        *status = g->status;
        if (g->status != UAP_OK && err != NULL) {
            *err = g->err;
        }
    }
    (void)pthread_cond_destroy(&g->ended);
    (void)pthread_mutex_destroy(&g->lock);
    uap_free(g);
    return rc;
}
