/* Calls that are watched: those that return, those that wait for a rank that does not come,
 * and those whose own work does not end. */
#include "mpi/ranks.h"

#include "mpi/fuse.h"
#include "mpi/guard.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

static void sleep_s(double seconds)
{
    const struct timespec nap = {.tv_sec = (time_t)seconds,
                                 .tv_nsec = (long)(1e9 * fmod(seconds, 1))};
    (void)nanosleep(&nap, NULL);
}

static int looks;

static uap_status count_looks(void *self, uap_err *err)
{
    (void)self;
    (void)err;
    looks++;
    return UAP_OK;
}

static uap_guard_end watch(uap_status (*step)(void *self, uap_err *err), void *self,
                           double patience_s, uap_status *status, uap_err *err)
{
    const uap_guarded call = {
        .step = step, .look = count_looks, .self = self, .patience_s = patience_s};
    uap_guard_end end = UAP_GUARD_RETURNED;
    looks = 0;
    const uap_status rc = uap_guard_run(&call, &end, status, err);
    assert_all(rc == UAP_OK);
    return end;
}

static uap_status fail_at_once(void *self, uap_err *err)
{
    *(bool *)self = uap_guard_is_on() && !uap_guard_is_given_up();
    return UAP_FAIL(err, BAD_INPUT, "made up");
}

/* What a step returns, and says, is the caller's. */
static void test_returned(void **state)
{
    uap_status status = UAP_OK;
    uap_err err = {0};
    bool is_on = false;
    (void)state;
    const uap_guard_end end = watch(fail_at_once, &is_on, 60, &status, &err);
    assert_all(end == UAP_GUARD_RETURNED && status == UAP_BAD_INPUT && is_on);
    assert_all(strcmp(err.msg, "made up") == 0);
    assert_all(!uap_guard_is_on() && !uap_guard_is_given_up());
}

static uap_status beat(void *self, uap_err *err)
{
    (void)err;
    for (int i = 0; i < 8; i++) {
        sleep_s(0.25);
        uap_guard_beat();
    }
    uap_guard_allow(30);
    sleep_s(2);
    *(bool *)self = true;
    return UAP_OK;
}

/* Steps, and what a step allows itself, keep a long call alive. */
static void test_alive(void **state)
{
    uap_status status = UAP_INTERNAL;
    uap_err err = {0};
    bool is_through = false;
    (void)state;
    const uap_guard_end end = watch(beat, &is_through, 1.5, &status, &err);
    assert_all(end == UAP_GUARD_RETURNED && status == UAP_OK && is_through);
    assert_all(looks > 4);
}

static atomic_bool is_through;

static uap_status work_long(void *self, uap_err *err)
{
    (void)self;
    (void)err;
    sleep_s(3.5);
    atomic_store(&is_through, true);
    return UAP_OK;
}

/* Work of its own that takes no step is given up, and known as such. */
static void test_works(void **state)
{
    uap_status status = UAP_OK;
    uap_err err = {0};
    (void)state;
    atomic_store(&is_through, false);
    const uap_guard_end end = watch(work_long, NULL, 0.3, &status, &err);
    const bool was_through = atomic_load(&is_through);
    sleep_s(4);
    assert_all(end == UAP_GUARD_WORKS && !was_through && atomic_load(&is_through));
}

static uap_status wait_inside(void *self, uap_err *err)
{
    (void)self;
    (void)err;
    uap_guard_enter();
    uap_guard_enter();
    sleep_s(1);
    uap_guard_leave_look();
    sleep_s(2);
    uap_guard_leave();
    atomic_store(&is_through, true);
    return UAP_OK;
}

/* What is given up inside a wait never comes out of it. */
static void test_inside(void **state)
{
    uap_status status = UAP_OK;
    uap_err err = {0};
    (void)state;
    atomic_store(&is_through, false);
    const uap_guard_end end = watch(wait_inside, NULL, 0.3, &status, &err);
    sleep_s(3);
    assert_all(end == UAP_GUARD_WAITS && !atomic_load(&is_through));
}

typedef struct together {
    uap_comm *comm;
    double sum;
} together;

static uap_status add_up(void *self, uap_err *err)
{
    together *t = self;
    uap_status rc = UAP_OK;
    char *all = NULL;
    size_t *offset = NULL;
    UAP_TRY(uap_comm_gather(t->comm, &t->sum, sizeof t->sum, &all, &offset, err));
    UAP_TRY(uap_comm_agree(t->comm, UAP_OK, err));
    rc = uap_comm_allreduce_f64(t->comm, &t->sum, 1, UAP_COMM_SUM, err);
done:
    uap_free(all);
    uap_free(offset);
    return rc;
}

/* Watched operations do what others do. */
static void test_same(void **state)
{
    const int size = uap_comm_size(ranks_comm), rank = uap_comm_rank(ranks_comm);
    together t = {.comm = ranks_comm, .sum = rank + 1};
    uap_status status = UAP_INTERNAL;
    uap_err err = {0};
    (void)state;
    const uap_guard_end end = watch(add_up, &t, 60, &status, &err);
    assert_all(end == UAP_GUARD_RETURNED && status == UAP_OK);
    assert_all(t.sum > size * (size + 1) / 2 - 0.5 &&
               t.sum < size * (size + 1) / 2 + 0.5);
}

static uap_status meet(void *self, uap_err *err)
{
    return uap_comm_agree(self, UAP_OK, err);
}

/* Who waits for a rank that does not come is given up without harm, also to that rank. */
static void test_waits(void **state)
{
    const int size = uap_comm_size(ranks_comm), rank = uap_comm_rank(ranks_comm);
    uap_comm *apart = NULL;
    uap_status status = UAP_OK;
    uap_err err = {0};
    (void)state;
    if (size == 1) {
        skip();
    }
    assert_all(uap_comm_split(ranks_comm, 0, rank, &apart, &err) == UAP_OK);
    uap_guard_end end = UAP_GUARD_WAITS;
    if (rank < size - 1) {
        const uap_guarded call = {.step = meet, .self = apart, .patience_s = 1};
        status = uap_guard_run(&call, &end, &status, &err);
    }
    assert_all(end == UAP_GUARD_WAITS && status == UAP_OK);
    if (rank == size - 1) {
        const uap_guarded call = {.step = meet, .self = apart, .patience_s = 60};
        const uap_status rc = uap_guard_run(&call, &end, &status, &err);
        end =
            rc == UAP_OK && end == UAP_GUARD_RETURNED ? UAP_GUARD_WAITS : UAP_GUARD_WORKS;
    }
    assert_all(end == UAP_GUARD_WAITS && status == UAP_OK);
    uap_comm_free(apart);
}

/* What a fuse has told. */
static atomic_int burnt;

static void note_burning(const void *self, const char *what, double seconds)
{
    const double *least_s = self;
    atomic_store(&burnt, strcmp(what, "the second") == 0 && seconds > *least_s ? 1 : -1);
}

/* It burns for what does not end in time, once; not for what ends, or is followed by something
 * else. */
static void test_fuse(void **state)
{
    const double least_s = 0.4;
    uap_err err = {0};
    uap_fuse *fuse = NULL;
    (void)state;
    atomic_store(&burnt, 0);
    assert_all(uap_fuse_new(note_burning, &least_s, &fuse, &err) == UAP_OK);
    uap_fuse_light(fuse, "the first", 2);
    sleep_s(0.1);
    uap_fuse_out(fuse);
    sleep_s(2.4);
    const int before = atomic_load(&burnt);
    uap_fuse_light(fuse, "the first", 0.3);
    uap_fuse_light(fuse, "the second", least_s);
    for (int i = 0; i < 200 && atomic_load(&burnt) == 0; i++) {
        sleep_s(0.05);
    }
    uap_fuse_free(fuse);
    uap_fuse_free(NULL);
    uap_fuse_out(NULL);
    assert_all(before == 0 && atomic_load(&burnt) == 1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_returned), cmocka_unit_test(test_alive),
        cmocka_unit_test(test_works),    cmocka_unit_test(test_inside),
        cmocka_unit_test(test_same),     cmocka_unit_test(test_waits),
        cmocka_unit_test(test_fuse),
    };
    uap_comm_ask_for_threads();
    return RANKS_MAIN(&argc, &argv, tests);
}
