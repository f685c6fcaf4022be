/* Channels between devices for links.h: made, and clocked in trains. */
#include "mpi/guard.h"
#include "mpi/transfer.h"
#include "profile/clock.h"
#include "profile/links_impl.h"

#include <string.h>

uap_status uap_links_open_channel(const uap_links *links, const uap_comm *comm,
                                  uap_channel **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_channel_place place = {.size = uap_comm_size(comm),
                               .rank = uap_comm_rank(comm),
                               .n_floats = links->n_floats};
    *out = NULL;
    if (place.rank == 0) {
        rc = uap_channel_make_id(links->device, &place.id, err);
    }
    UAP_TRY(uap_comm_agree(comm, rc, err));
    UAP_TRY(uap_comm_bcast(comm, &place.id, sizeof place.id, 0, err));
    /* Waits for the other ranks, as MPI does. */
    uap_guard_enter();
    rc = uap_channel_new(links->device, &place, out, err);
    uap_guard_leave();
    rc = uap_comm_agree(comm, rc, err);
done:
    if (rc != UAP_OK) {
        uap_channel_free(*out);
        *out = NULL;
    }
    return rc;
}

uap_status uap_links_between_devices(uap_links *links, uap_device *device, uap_err *err)
{
    uap_status rc = UAP_OK;
    int64_t all_can = uap_channel_library(device)[0] != '\0';
    UAP_TRY(uap_comm_allreduce_i64(links->comm, &all_can, 1, UAP_COMM_MIN, err));
    if (all_can != 0) {
        links->device = device;
        rc = uap_links_open_channel(links, links->comm, &links->channel, err);
    }
done:
    return rc;
}

bool uap_links_are_between_devices(const uap_links *links)
{
    return links->channel != NULL;
}

/* Begins one operation; of a round trip both ways. */
static uap_status queue_one(const uap_links *links, const uap_operation *op, uap_err *err)
{
    static const uap_channel_kind kind_of[UAP_COLLECTIVE_COUNT] = {
        [UAP_ALL_REDUCE] = UAP_CHANNEL_ALL_REDUCE,
        [UAP_ALL_GATHER] = UAP_CHANNEL_ALL_GATHER,
        [UAP_REDUCE_SCATTER] = UAP_CHANNEL_REDUCE_SCATTER,
        [UAP_ALL_TO_ALL] = UAP_CHANNEL_ALL_TO_ALL};
    uap_status rc = UAP_OK;
    if (!op->is_p2p) {
        const uap_channel_operation o = {.kind = kind_of[op->kind], .n = op->n};
        return uap_channel_queue(op->channel, &o, err);
    }
    for (int i = 0; i < 2; i++) {
        const bool sends = op->goes_first == (i == 0);
        const uap_channel_operation o = {.kind = UAP_CHANNEL_EXCHANGE,
                                         .n = op->n,
                                         .to = sends ? op->peer : UAP_COMM_NOBODY,
                                         .from = sends ? UAP_COMM_NOBODY : op->peer};
        UAP_TRY(uap_channel_queue(links->channel, &o, err));
    }
done:
    return rc;
}

/* Until all that was begun has ended, unless the wait is given up. */
static uap_status await(uap_channel *channel, uap_err *err)
{
    uap_status rc = UAP_OK;
    bool has_ended = false;
    while (!has_ended) {
        UAP_TRY(uap_channel_test(channel, &has_ended, err));
        if (!has_ended && uap_guard_is_given_up()) {
            return UAP_FAIL(err, MPI, "a message between devices was given up");
        }
    }
done:
    return rc;
}

uap_status uap_links_run_device_train(const uap_links *links, const uap_operation *op,
                                      int32_t count, double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_channel *channel = op->is_p2p ? links->channel : op->channel;
    const bool takes_part =
        op->is_p2p ? op->peer != UAP_COMM_NOBODY : op->channel != NULL;
    double spent = 0;
    *seconds = 0;
    uap_guard_enter();
    UAP_TRY(uap_comm_barrier(links->comm, err));
    if (takes_part) {
        const double start = uap_clock_s();
        for (int32_t i = 0; i < count; i++) {
            UAP_TRY(queue_one(links, op, err));
        }
        UAP_TRY(await(channel, err));
        spent = uap_clock_s() - start;
    }
done:
    uap_guard_leave();
    *seconds = spent / count;
    return rc;
}
