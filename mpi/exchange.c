/* Every rank's bytes to all ranks, in rounds of pieces that stay in the processors' caches:
 * hundreds of megabytes in one call are written to memory and read again several times. */
#include "mpi/comm_impl.h"

#include "common/mem.h"

#include <assert.h>
#include <limits.h>
#include <string.h>

/* Of all ranks together in a round, and the least of one rank, about. */
#define ROUND_BYTES ((size_t)1 << 20)
#define PIECE_LEAST ((size_t)16 << 10)

typedef struct exchange {
    const uap_comm *comm;
    uap_comm_take *take;
    void *self;
    uap_status taken;   /* here; the rounds go on all the same */
    int64_t (*said)[2]; /* [size] bytes of a rank's piece, and of what stays behind it */
    int *counts;        /* [2][size] bytes of a piece, and where it begins */
    char *all;          /* [capacity] the pieces of a round */
    size_t capacity;    /* alike on all ranks */
} exchange;

static void take_piece(exchange *x, int rank, const char *bytes, size_t n, uap_err *err)
{
    if (x->taken == UAP_OK && n > 0) {
        x->taken = x->take(x->self, rank, bytes, n, err);
    }
}

static uap_status make_room(exchange *x, size_t n, uap_err *err)
{
    if (n <= x->capacity) {
        return UAP_OK;
    }
    uap_free(x->all);
    x->all = uap_calloc(n, 1);
    x->capacity = n;
    return uap_comm_agree(
        x->comm,
        x->all != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for %zu bytes", n),
        err);
}

/* Pieces of more than MPI counts at once: one rank's after the other's. */
static uap_status by_turns(exchange *x, const char *piece, uap_err *err)
{
    uap_status rc = UAP_OK;
    size_t most = 0;
    for (int r = 0; r < x->comm->size; r++) {
        most = (size_t)x->said[r][0] > most ? (size_t)x->said[r][0] : most;
    }
    UAP_TRY(make_room(x, most, err));
    for (int r = 0; r < x->comm->size; r++) {
        const size_t n = (size_t)x->said[r][0];
        if (r == x->comm->rank && n > 0) {
            assert(x->all != NULL);
            memcpy(x->all, piece, n);
        }
        UAP_TRY(uap_comm_bcast(x->comm, x->all, n, r, err));
        take_piece(x, r, x->all, n, err);
    }
done:
    return rc;
}

static uap_status at_once(exchange *x, const char *piece, size_t total, uap_err *err)
{
    const int size = x->comm->size;
    int *offset = x->counts + size;
    uap_status rc = UAP_OK;
    UAP_TRY(make_room(x, total, err));
    for (int r = 0; r < size; r++) {
        x->counts[r] = (int)x->said[r][0];
        offset[r] = r == 0 ? 0 : offset[r - 1] + x->counts[r - 1];
    }
    UAP_TRY(UAP_MPI(err, MPI_Allgatherv(piece, x->counts[x->comm->rank], MPI_BYTE, x->all,
                                        x->counts, offset, MPI_BYTE, x->comm->comm)));
    for (int r = 0; r < size; r++) {
        take_piece(x, r, x->all + offset[r], (size_t)x->counts[r], err);
    }
done:
    return rc;
}

/* One round; *more: some rank has not sent all. */
static uap_status go_round(exchange *x, const char *piece, size_t n, size_t left,
                           bool *more, uap_err *err)
{
    const int64_t own[2] = {(int64_t)n, (int64_t)left};
    uap_status rc = UAP_OK;
    size_t total = 0;
    UAP_TRY(UAP_MPI(
        err, MPI_Allgather(own, 2, MPI_INT64_T, x->said, 2, MPI_INT64_T, x->comm->comm)));
    *more = false;
    for (int r = 0; r < x->comm->size; r++) {
        total += (size_t)x->said[r][0];
        *more = *more || x->said[r][1] > 0;
    }
    if (total <= (size_t)INT_MAX) {
        rc = at_once(x, piece, total, err);
    } else {
        rc = by_turns(x, piece, err);
    }
done:
    return rc;
}

uap_status uap_comm_exchange(const uap_comm *comm, const char *bytes, size_t n,
                             uap_comm_cut *cut, uap_comm_take *take, void *self,
                             uap_err *err)
{
    const size_t size = (size_t)comm->size;
    const size_t share = ROUND_BYTES / size;
    const size_t most = share > PIECE_LEAST ? share : PIECE_LEAST;
    exchange x = {.comm = comm,
                  .take = take,
                  .self = self,
                  .said = uap_calloc(size, sizeof *x.said),
                  .counts = uap_calloc(2 * size, sizeof *x.counts)};
    uap_status rc = UAP_OK, local = UAP_OK;
    bool more = true;
    if (x.said == NULL || x.counts == NULL) {
        local = UAP_FAIL(err, NO_MEMORY, "no memory for an exchange");
    }
    UAP_TRY(uap_comm_agree(comm, local, err));
    for (size_t sent = 0; more;) {
        const size_t left = n - sent;
        const size_t piece =
            cut == NULL || left <= most ? left : cut(bytes + sent, left, most);
        UAP_TRY(go_round(&x, bytes + sent, piece, left - piece, &more, err));
        sent += piece;
    }
    rc = x.taken;
done:
    uap_free(x.all);
    uap_free(x.counts);
    uap_free(x.said);
    return rc;
}
