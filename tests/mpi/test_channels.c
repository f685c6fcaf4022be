/* Sweeps between devices whose messages are made up: who takes part in which channel, and that
 * what is clocked is what the channel takes. */
#include "mpi/ranks.h"
#include "unit/stub_device.h"

#include "mpi/transfer.h"
#include "profile/clock.h"
#include "profile/links.h"

#include <string.h>

/* Every operation of a channel takes so long, one after the other. */
#define LATENCY_S    300e-6
#define FLOATS_PER_S 1e8

typedef struct made_up_channel {
    uap_channel_place place;
    double ends_s; /* of what is queued */
} made_up_channel;

/* What this rank has seen. */
static struct {
    bool has_library;
    int opened, closed, queued, ids, exchanges;
    bool is_legal; /* operations so far */
    uap_channel_place last;
} seen;

static const char *library(void *device)
{
    (void)device;
    return seen.has_library ? "made up 1" : "";
}

static uap_status make_id(void *device, uap_channel_id *out, uap_err *err)
{
    (void)device;
    (void)err;
    memset(out, 0, sizeof *out);
    (void)snprintf(out->bytes, sizeof out->bytes, "rank %d, %d",
                   uap_comm_rank(ranks_comm), seen.ids++);
    return UAP_OK;
}

static uap_status open_made_up(void *device, const uap_channel_place *place, void **out,
                               uap_err *err)
{
    (void)device;
    (void)err;
    made_up_channel *channel = calloc(1, sizeof *channel);
    channel->place = *place;
    seen.last = *place;
    seen.opened++;
    *out = channel;
    return UAP_OK;
}

static void close_made_up(void *channel)
{
    seen.closed++;
    free(channel);
}

/* Neighbours: the lower one sends first, the other receives, and then the other way round. */
static bool is_in_turn(const uap_channel_operation *o, int rank)
{
    const bool is_there = seen.exchanges++ % 2 == 0, is_lower = rank % 2 == 0;
    const int peer = is_lower ? rank + 1 : rank - 1;
    return is_there == is_lower ? o->to == peer && o->from == UAP_COMM_NOBODY
                                : o->from == peer && o->to == UAP_COMM_NOBODY;
}

static uap_status queue(void *inner, const uap_channel_operation *o, uap_err *err)
{
    made_up_channel *c = inner;
    const bool is_exchange = o->kind == UAP_CHANNEL_EXCHANGE;
    const bool is_blocks = !is_exchange && o->kind != UAP_CHANNEL_ALL_REDUCE;
    const size_t whole = o->n * (is_blocks ? (size_t)c->place.size : 1);
    (void)err;
    seen.queued++;
    seen.is_legal = seen.is_legal && o->n > 0 && whole <= c->place.n_floats &&
                    (!is_exchange || is_in_turn(o, c->place.rank));
    c->ends_s = fmax(c->ends_s, uap_clock_s()) + LATENCY_S + (double)o->n / FLOATS_PER_S;
    return UAP_OK;
}

static uap_status test(void *inner, bool *has_ended, uap_err *err)
{
    const made_up_channel *c = inner;
    (void)err;
    *has_ended = uap_clock_s() >= c->ends_s;
    return UAP_OK;
}

static const uap_channel_table channels = {library,       make_id, open_made_up,
                                           close_made_up, queue,   test};

static const uap_sweep sweep = {.min_bytes = 4096,
                                .max_bytes = 1048576,
                                .factor = 16,
                                .point_s = 0.01,
                                .min_iterations = 3,
                                .max_iterations = 5};

static uap_backend_table table;
static uap_device *device;
static uap_links *links;

static int set_up(void **state)
{
    uap_err err = {0};
    (void)state;
    memset(&seen, 0, sizeof seen);
    seen.has_library = seen.is_legal = true;
    table = stub_table;
    table.channels = &channels;
    links = NULL;
    return uap_device_open_table(&table, 0, &device, &err) == UAP_OK &&
                   uap_links_new(ranks_comm, &sweep, &links, &err) == UAP_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    uap_links_free(links);
    uap_device_close(device);
    return seen.opened == seen.closed ? 0 : -1;
}

/* Not shorter than the channel takes, and mostly not much longer either. */
static bool times_hold(const uap_point *point, int32_t n, double parts)
{
    bool good = n == 3;
    for (int32_t i = 0; i < n; i++) {
        const double least = LATENCY_S + point[i].bytes / parts / 4 / FLOATS_PER_S;
        good = good && point[i].seconds > 0.999 * least && point[i].seconds < 20 * least;
    }
    return good;
}

/* The name that the lowest rank of this rank's channel gave it. */
static bool is_named_by(int rank)
{
    char name[32];
    (void)snprintf(name, sizeof name, "rank %d,", rank);
    return strncmp(seen.last.id.bytes, name, strlen(name)) == 0;
}

static void test_all_ranks(void **state)
{
    const int size = uap_comm_size(ranks_comm), rank = uap_comm_rank(ranks_comm);
    uap_err err = {0};
    uap_p2p p2p = {0};
    (void)state;
    assert_all(uap_links_between_devices(links, device, &err) == UAP_OK);
    assert_all(uap_links_are_between_devices(links));
    assert_all(seen.opened == 1 && seen.last.size == size && seen.last.rank == rank &&
               is_named_by(0) && seen.ids == (rank == 0 ? 1 : 0));
    if (size == 1) {
        return;
    }
    assert_all(uap_links_p2p(links, 1, false, &p2p, &err) == UAP_OK);
    const bool good = times_hold(p2p.point, p2p.n_points, 1);
    uap_free(p2p.point);
    /* The last of an odd number has no partner. */
    const bool is_alone = size % 2 == 1 && rank == size - 1;
    assert_all(good && seen.is_legal && (seen.queued > 0) == !is_alone);
}

static void test_groups(void **state)
{
    const int size = uap_comm_size(ranks_comm);
    uap_err err = {0};
    (void)state;
    assert_all(uap_links_between_devices(links, device, &err) == UAP_OK);
    for (int kind = 0; kind < UAP_COLLECTIVE_COUNT && size > 1; kind++) {
        uap_collective c = {0};
        assert_all(uap_links_collective(links, (uap_collective_kind)kind,
                                        (uap_group_shape){size, 1}, true, &c,
                                        &err) == UAP_OK);
        const bool good =
            times_hold(c.point, c.n_points, kind == UAP_ALL_REDUCE ? 1 : size);
        uap_free(c.point);
        assert_all(good && seen.is_legal && seen.opened == 2 + kind);
    }
}

/* Where one rank has no library, all use host memory. */
static void test_one_without(void **state)
{
    const bool is_last = uap_comm_rank(ranks_comm) == uap_comm_size(ranks_comm) - 1;
    uap_err err = {0};
    (void)state;
    seen.has_library = !is_last;
    assert_all(uap_links_between_devices(links, device, &err) == UAP_OK);
    assert_all(!uap_links_are_between_devices(links) && seen.opened == 0);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_ranks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_groups, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_one_without, set_up, tear_down),
    };
    return RANKS_MAIN(&argc, &argv, tests);
}
