/* The progress loop. A few receives from anybody are always posted, so a large message comes
 * in while smaller ones are handled and a look that finds nothing costs one MPI_Testany.
 * Sends copy into slots that are used again once MPI is done with them. One-sided MPI is not
 * used: across nodes it needs the target to be inside MPI, and with Debian's Open MPI 4.1.4
 * a window over TCP cannot even be made by default. */
#include "mpi/transport_mpi.h"

#include "common/mem.h"
#include "mpi/comm_impl.h"

#include <string.h>
#include <time.h>

#define N_RECEIVES 8

/* A tag holds the kind of a message and, above it, the search that it belongs to: an
 * acknowledgement that a later one made needless may still lie unread when a search ends. As
 * many tags as any MPI has. */
#define TAG_BITS 3
#define EPOCHS   (32768 >> TAG_BITS)
_Static_assert(UAP_TAG_COUNT <= 1 << TAG_BITS, "room for all kinds");

typedef struct send_slot {
    struct send_slot *next;
    MPI_Request request;
    size_t capacity;
    char bytes[];
} send_slot;

struct uap_transport_mpi {
    uap_transport net;
    MPI_Comm comm;
    int *near_ranks;
    char *incoming; /* [N_RECEIVES] buffers of buffer_bytes */
    size_t buffer_bytes;
    MPI_Request receive[N_RECEIVES];
    int taken; /* the receive whose buffer the last message lies in; -1: none */
    int epoch; /* of the search, told in tags */
    send_slot *busy, *idle;
};

static int64_t now_ns(void *self)
{
    struct timespec t;
    (void)self;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Moves the sends that are done to the idle ones. */
static uap_status collect_sends(uap_transport_mpi *mpi, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (send_slot **at = &mpi->busy; *at != NULL;) {
        send_slot *slot = *at;
        int flag = 0;
        UAP_TRY(UAP_MPI(err, MPI_Test(&slot->request, &flag, MPI_STATUS_IGNORE)));
        if (flag) {
            *at = slot->next;
            slot->next = mpi->idle;
            mpi->idle = slot;
        } else {
            at = &slot->next;
        }
    }
done:
    return rc;
}

/* An idle slot of at least n bytes, taken out of the list; NULL without memory. */
static send_slot *take_slot(uap_transport_mpi *mpi, size_t n)
{
    for (send_slot **at = &mpi->idle; *at != NULL; at = &(*at)->next) {
        send_slot *slot = *at;
        if (slot->capacity >= n) {
            *at = slot->next;
            return slot;
        }
    }
    size_t capacity = 128;
    while (capacity < n) {
        capacity *= 2;
    }
    send_slot *slot = uap_calloc(sizeof *slot + capacity, 1);
    if (slot != NULL) {
        slot->request = MPI_REQUEST_NULL;
        slot->capacity = capacity;
    }
    return slot;
}

static uap_status mpi_send(void *self, int to, uap_tag tag, const void *bytes, size_t n,
                           uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_transport_mpi *mpi = self;
    UAP_TRY(collect_sends(mpi, err));
    send_slot *slot = take_slot(mpi, n);
    if (slot == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for a message of %zu bytes", n);
        goto done;
    }
    memcpy(slot->bytes, bytes, n);
    slot->next = mpi->busy;
    mpi->busy = slot;
    /* n <= message_max, which was checked to be an int. */
    UAP_TRY(UAP_MPI(err, MPI_Isend(slot->bytes, (int)n, MPI_BYTE, to,
                                   mpi->epoch << TAG_BITS | (int)tag, mpi->comm,
                                   &slot->request)));
done:
    return rc;
}

static uap_status post_receive(uap_transport_mpi *mpi, int i, uap_err *err)
{
    return UAP_MPI(err, MPI_Irecv(mpi->incoming + (size_t)i * mpi->buffer_bytes,
                                  (int)mpi->net.message_max, MPI_BYTE, MPI_ANY_SOURCE,
                                  MPI_ANY_TAG, mpi->comm, &mpi->receive[i]));
}

/* The next message of any search into buffer *i, or MPI_UNDEFINED. */
static uap_status take_message(uap_transport_mpi *mpi, int *i, MPI_Status *status,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    int flag = 0;
    if (mpi->taken >= 0) {
        const int taken = mpi->taken;
        mpi->taken = -1;
        UAP_TRY(post_receive(mpi, taken, err));
    }
    *i = MPI_UNDEFINED;
    UAP_TRY(UAP_MPI(err, MPI_Testany(N_RECEIVES, mpi->receive, i, &flag, status)));
    *i = flag ? *i : MPI_UNDEFINED;
    mpi->taken = *i != MPI_UNDEFINED ? *i : -1;
done:
    return rc;
}

static uap_status mpi_poll(void *self, uap_message *message, bool *got, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_transport_mpi *mpi = self;
    MPI_Status status;
    int i = MPI_UNDEFINED, n = 0;
    *got = false;
    do {
        UAP_TRY(take_message(mpi, &i, &status, err));
    } while (i != MPI_UNDEFINED && status.MPI_TAG >> TAG_BITS != mpi->epoch);
    if (i == MPI_UNDEFINED) {
        goto done;
    }
    UAP_TRY(UAP_MPI(err, MPI_Get_count(&status, MPI_BYTE, &n)));
    *message = (uap_message){.from = status.MPI_SOURCE,
                             .tag = (uap_tag)(status.MPI_TAG & ((1 << TAG_BITS) - 1)),
                             .bytes = mpi->incoming + (size_t)i * mpi->buffer_bytes,
                             .n = (size_t)n};
    *got = true;
done:
    return rc;
}

/* What needs no other rank. */
static uap_status init_local(uap_transport_mpi *mpi, const uap_comm *comm,
                             size_t message_max, uap_err *err)
{
    int ignored = 0, n = 0;
    mpi->taken = -1;
    mpi->comm = MPI_COMM_NULL;
    for (int i = 0; i < N_RECEIVES; i++) {
        mpi->receive[i] = MPI_REQUEST_NULL;
    }
    mpi->buffer_bytes = (message_max + 63) / 64 * 64;
    if (uap_mpi_count(message_max, &ignored, err) != UAP_OK) {
        return UAP_TOO_LARGE;
    }
    mpi->near_ranks = uap_calloc((size_t)uap_comm_node_size(comm), sizeof(int));
    mpi->incoming = uap_calloc(N_RECEIVES, mpi->buffer_bytes);
    if (mpi->near_ranks == NULL || mpi->incoming == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for %d messages of %zu bytes",
                        N_RECEIVES, message_max);
    }
    const int own = uap_comm_node_of(comm, uap_comm_rank(comm));
    for (int r = 0; r < uap_comm_size(comm); r++) {
        if (uap_comm_node_of(comm, r) == own) {
            mpi->near_ranks[n++] = r;
        }
    }
    mpi->net = (uap_transport){.self = mpi,
                               .rank = uap_comm_rank(comm),
                               .size = uap_comm_size(comm),
                               .near_ranks = mpi->near_ranks,
                               .n_near = n,
                               .message_max = message_max,
                               .send = mpi_send,
                               .poll = mpi_poll,
                               .now_ns = now_ns};
    return UAP_OK;
}

uap_status uap_transport_mpi_new(const uap_comm *comm, size_t message_max,
                                 uap_transport_mpi **out, uap_err *err)
{
    static char name[] = "uniap tree search";
    uap_status rc = UAP_OK, local = UAP_OK;
    uap_transport_mpi *mpi = uap_calloc(1, sizeof *mpi);
    *out = NULL;
    local = mpi == NULL ? UAP_FAIL(err, NO_MEMORY, "no memory for a transport")
                        : init_local(mpi, comm, message_max, err);
    UAP_TRY(uap_comm_agree(comm, local, err));
    UAP_TRY(UAP_MPI(err, MPI_Comm_dup(comm->comm, &mpi->comm)));
    UAP_TRY(UAP_MPI(err, MPI_Comm_set_name(mpi->comm, name)));
    UAP_TRY(UAP_MPI(err, MPI_Comm_set_errhandler(mpi->comm, MPI_ERRORS_RETURN)));
    for (int i = 0; i < N_RECEIVES; i++) {
        UAP_TRY(post_receive(mpi, i, err));
    }
    *out = mpi;
    mpi = NULL;
done:
    uap_transport_mpi_free(mpi);
    return rc;
}

const uap_transport *uap_transport_mpi_net(const uap_transport_mpi *mpi)
{
    return &mpi->net;
}

void uap_transport_mpi_next(uap_transport_mpi *mpi)
{
    mpi->epoch = (mpi->epoch + 1) % EPOCHS;
}

static void free_slots(send_slot *slot)
{
    while (slot != NULL) {
        send_slot *next = slot->next;
        if (slot->request != MPI_REQUEST_NULL) {
            (void)MPI_Wait(&slot->request, MPI_STATUS_IGNORE);
        }
        uap_free(slot);
        slot = next;
    }
}

void uap_transport_mpi_free(uap_transport_mpi *mpi)
{
    if (mpi == NULL) {
        return;
    }
    free_slots(mpi->busy);
    free_slots(mpi->idle);
    for (int i = 0; i < N_RECEIVES; i++) {
        if (mpi->receive[i] != MPI_REQUEST_NULL) {
            (void)MPI_Cancel(&mpi->receive[i]);
            (void)MPI_Wait(&mpi->receive[i], MPI_STATUS_IGNORE);
        }
    }
    if (mpi->comm != MPI_COMM_NULL) {
        (void)MPI_Comm_free(&mpi->comm);
    }
    uap_free(mpi->incoming);
    uap_free(mpi->near_ranks);
    uap_free(mpi);
}
