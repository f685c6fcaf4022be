/* One thread that looks several times a second. */
#include "mpi/fuse.h"

#include "common/clock.h"
#include "common/mem.h"

#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <time.h>

/* Between looks, and what a look may take before it counts as standing still. */
#define LOOK_S      0.1
#define LOOK_MOST_S 0.4

struct uap_fuse {
    uap_fuse_burn *burn;
    const void *self;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ends; /* is_over was set */
    /* Under the lock. */
    const char *what; /* NULL: nothing is under way */
    double allowed_s, spent_s;
    bool is_over;
};

static struct timespec after(double seconds)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_nsec += (long)(1e9 * seconds);
    t.tv_sec += t.tv_nsec / 1000000000L;
    t.tv_nsec %= 1000000000L;
    return t;
}

/* Holds the lock but for the burning. */
static void *watch(void *context)
{
    uap_fuse *f = context;
    (void)pthread_mutex_lock(&f->lock);
    while (!f->is_over) {
        const double before_s = uap_wall_s();
        const struct timespec until = after(LOOK_S);
        (void)pthread_cond_timedwait(&f->ends, &f->lock, &until);
        f->spent_s += fmin(uap_wall_s() - before_s, LOOK_MOST_S);
        if (f->what != NULL && f->spent_s > f->allowed_s) {
            const char *what = f->what;
            const double spent_s = f->spent_s;
            f->what = NULL;
            (void)pthread_mutex_unlock(&f->lock);
            f->burn(f->self, what, spent_s);
            (void)pthread_mutex_lock(&f->lock);
        }
    }
    (void)pthread_mutex_unlock(&f->lock);
    return NULL;
}

uap_status uap_fuse_new(uap_fuse_burn *burn, const void *self, uap_fuse **out,
                        uap_err *err)
{
    pthread_condattr_t by_clock;
    uap_fuse *f = uap_calloc(1, sizeof *f);
    *out = NULL;
    if (f == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a deadline");
    }
    f->burn = burn;
    f->self = self;
    (void)pthread_mutex_init(&f->lock, NULL);
    (void)pthread_condattr_init(&by_clock);
    (void)pthread_condattr_setclock(&by_clock, CLOCK_MONOTONIC);
    (void)pthread_cond_init(&f->ends, &by_clock);
    (void)pthread_condattr_destroy(&by_clock);
    if (pthread_create(&f->thread, NULL, watch, f) != 0) {
        (void)pthread_cond_destroy(&f->ends);
        (void)pthread_mutex_destroy(&f->lock);
        uap_free(f);
        return UAP_FAIL(err, NO_MEMORY, "no thread to keep a deadline");
    }
    *out = f;
    return UAP_OK;
}

void uap_fuse_light(uap_fuse *fuse, const char *what, double seconds)
{
    if (fuse != NULL) {
        (void)pthread_mutex_lock(&fuse->lock);
        fuse->what = what;
        fuse->allowed_s = seconds;
        fuse->spent_s = 0;
        (void)pthread_mutex_unlock(&fuse->lock);
    }
}

void uap_fuse_out(uap_fuse *fuse)
{
    uap_fuse_light(fuse, NULL, 0);
}

void uap_fuse_free(uap_fuse *fuse)
{
    if (fuse != NULL) {
        (void)pthread_mutex_lock(&fuse->lock);
        fuse->is_over = true;
        (void)pthread_cond_signal(&fuse->ends);
        (void)pthread_mutex_unlock(&fuse->lock);
        (void)pthread_join(fuse->thread, NULL);
        (void)pthread_cond_destroy(&fuse->ends);
        (void)pthread_mutex_destroy(&fuse->lock);
        uap_free(fuse);
    }
}
