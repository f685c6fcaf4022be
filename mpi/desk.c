/* Orders and reports as non-blocking sends from slots of their own, found by MPI_Iprobe. */
#include "mpi/desk.h"

#include "common/clock.h"
#include "common/mem.h"
#include "mpi/comm_impl.h"

#include <sched.h>
#include <string.h>
#include <time.h>

enum { TAG_ORDER = 110, TAG_REPORT = 111, TAG_TELL = 112 };

/* Looks without a nap: an order that is due soon is not kept waiting. */
#define EAGER_LOOKS 200
#define NAP_NS      100000L

struct uap_desk {
    const uap_comm *comm;
    int order_bytes, report_bytes;
    int n_slots; /* rank 0: one for each rank; else one */
    size_t slot_bytes;
    char *slot;           /* [n_slots * slot_bytes] */
    MPI_Request *request; /* [n_slots] */
};

static void rest(int64_t looks)
{
    const struct timespec nap = {.tv_nsec = NAP_NS};
    if (looks < EAGER_LOOKS) {
        (void)sched_yield();
    } else {
        (void)nanosleep(&nap, NULL);
    }
}

uap_status uap_desk_new(const uap_comm *comm, size_t order_bytes, size_t report_bytes,
                        uap_desk **out, uap_err *err)
{
    uap_status rc = UAP_OK, local = UAP_OK;
    uap_desk *desk = uap_calloc(1, sizeof *desk);
    *out = NULL;
    if (desk != NULL) {
        desk->comm = comm;
        desk->slot_bytes = order_bytes > report_bytes ? order_bytes : report_bytes;
        desk->n_slots = comm->rank == 0 ? comm->size : 1;
        desk->slot = uap_calloc((size_t)desk->n_slots, desk->slot_bytes);
        desk->request = uap_calloc((size_t)desk->n_slots, sizeof(MPI_Request));
    }
    if (desk == NULL || desk->slot == NULL || desk->request == NULL) {
        local = UAP_FAIL(err, NO_MEMORY, "no memory for orders to %d ranks", comm->size);
    } else {
        for (int i = 0; i < desk->n_slots; i++) {
            desk->request[i] = MPI_REQUEST_NULL;
        }
        local = uap_mpi_count(order_bytes, &desk->order_bytes, err);
        if (local == UAP_OK) {
            local = uap_mpi_count(report_bytes, &desk->report_bytes, err);
        }
    }
    UAP_TRY(uap_comm_agree(comm, local, err));
    *out = desk;
    desk = NULL;
done:
    uap_desk_free(desk);
    return rc;
}

/* Sends from slot i, unless what it sent last is still on its way. */
static uap_status send_slot(uap_desk *desk, int i, int to, int tag, const void *bytes,
                            int n, uap_err *err)
{
    uap_status rc = UAP_OK;
    char *slot = desk->slot + (size_t)i * desk->slot_bytes;
    int done_before = 0;
    UAP_TRY(UAP_MPI(err, MPI_Test(&desk->request[i], &done_before, MPI_STATUS_IGNORE)));
    if (!done_before) {
        return UAP_OK;
    }
    memcpy(slot, bytes, (size_t)n);
    rc = UAP_MPI(
        err, MPI_Isend(slot, n, MPI_BYTE, to, tag, desk->comm->comm, &desk->request[i]));
done:
    return rc;
}

uap_status uap_desk_order(uap_desk *desk, int to, const void *order, uap_err *err)
{
    return send_slot(desk, to, to, TAG_ORDER, order, desk->order_bytes, err);
}

uap_status uap_desk_report(uap_desk *desk, const void *report, uap_err *err)
{
    return send_slot(desk, 0, 0, TAG_REPORT, report, desk->report_bytes, err);
}

/* Takes in a message that is there; *got tells whether there was one. */
static uap_status look(const uap_desk *desk, int from, int tag, void *bytes, int n,
                       int *source, bool *got, uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Status status;
    int flag = 0;
    *got = false;
    UAP_TRY(UAP_MPI(err, MPI_Iprobe(from, tag, desk->comm->comm, &flag, &status)));
    if (flag) {
        *source = status.MPI_SOURCE;
        UAP_TRY(UAP_MPI(err, MPI_Recv(bytes, n, MPI_BYTE, *source, tag, desk->comm->comm,
                                      MPI_STATUS_IGNORE)));
        *got = true;
    }
done:
    return rc;
}

uap_status uap_desk_take(uap_desk *desk, double wait_s, void *report, int *from,
                         bool *got, uap_err *err)
{
    const double until_s = uap_wall_s() + wait_s;
    for (int64_t looks = 0;; looks++) {
        const uap_status rc = look(desk, MPI_ANY_SOURCE, TAG_REPORT, report,
                                   desk->report_bytes, from, got, err);
        if (rc != UAP_OK || *got || uap_wall_s() >= until_s) {
            return rc;
        }
        rest(looks);
    }
}

uap_status uap_desk_look(uap_desk *desk, void *order, bool *got, uap_err *err)
{
    int ignored = 0;
    return look(desk, 0, TAG_ORDER, order, desk->order_bytes, &ignored, got, err);
}

uap_status uap_desk_wait(uap_desk *desk, void *order, uap_err *err)
{
    bool got = false, has_order = false;
    int ignored = 0;
    for (int64_t looks = 0;; looks++) {
        const uap_status rc =
            look(desk, 0, TAG_ORDER, order, desk->order_bytes, &ignored, &got, err);
        has_order = has_order || got;
        if (rc != UAP_OK || (has_order && !got)) {
            return rc;
        }
        if (!got) {
            rest(looks);
        }
    }
}

uap_status uap_desk_tell(uap_desk *desk, const int *to, int n_to, const int *number,
                         int n, uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Request *request = uap_calloc((size_t)n_to, sizeof *request);
    if (request == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory to tell %d ranks", n_to);
    }
    for (int i = 0; i < n_to; i++) {
        UAP_TRY(UAP_MPI(err, MPI_Isend(number, n, MPI_INT, to[i], TAG_TELL,
                                       desk->comm->comm, &request[i])));
    }
    rc = UAP_MPI(err, MPI_Waitall(n_to, request, MPI_STATUSES_IGNORE));
done:
    uap_free(request);
    return rc;
}

uap_status uap_desk_hear(uap_desk *desk, int **out, int *n, uap_err *err)
{
    uap_status rc = UAP_OK;
    MPI_Status status;
    *out = NULL;
    UAP_TRY(UAP_MPI(err, MPI_Probe(0, TAG_TELL, desk->comm->comm, &status)));
    UAP_TRY(UAP_MPI(err, MPI_Get_count(&status, MPI_INT, n)));
    *out = uap_calloc((size_t)*n, sizeof **out);
    if (*out == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d numbers", *n);
    }
    rc = UAP_MPI(err, MPI_Recv(*out, *n, MPI_INT, 0, TAG_TELL, desk->comm->comm,
                               MPI_STATUS_IGNORE));
done:
    return rc;
}

void uap_desk_free(uap_desk *desk)
{
    if (desk == NULL) {
        return;
    }
    bool all_done = true;
    for (int i = 0; desk->request != NULL && i < desk->n_slots; i++) {
        int flag = 0;
        const int code = MPI_Test(&desk->request[i], &flag, MPI_STATUS_IGNORE);
        if (code != MPI_SUCCESS || !flag) {
            all_done = false;
        }
    }
    if (all_done) {
        uap_free(desk->slot);
    } else {
        uap_comm_keep(desk->slot);
    }
    uap_free(desk->request);
    uap_free(desk);
}
