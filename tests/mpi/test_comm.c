/* Communicators, collectives and agreement, on any number of ranks. */
#include "mpi/ranks.h"

#include "common/bytes.h"
#include "common/clock.h"
#include "mpi/transfer.h"

#include <string.h>
#include <time.h>

static int rank_of_all(void)
{
    return uap_comm_rank(ranks_comm);
}

static int size_of_all(void)
{
    return uap_comm_size(ranks_comm);
}

static void test_nodes(void **state)
{
    const int size = size_of_all();
    int on_node = 0;
    (void)state;
    for (int r = 0; r < size; r++) {
        on_node += uap_comm_node_of(ranks_comm, r) ==
                   uap_comm_node_of(ranks_comm, rank_of_all());
    }
    assert_all(uap_comm_node_of(ranks_comm, 0) == 0);
    assert_all(uap_comm_node_size(ranks_comm) == on_node);
    assert_all(uap_comm_node_rank(ranks_comm) < on_node);
    assert_all(uap_comm_node_count(ranks_comm) >= 1 &&
               uap_comm_node_count(ranks_comm) <= size);
    assert_all(strstr(uap_comm_library(), "MPI") != NULL);
}

static void test_reductions(void **state)
{
    const int64_t rank = rank_of_all(), size = size_of_all();
    int64_t whole[3] = {rank, -rank, INT64_MAX / 2};
    double real[2] = {0.1 * (double)rank, 1};
    uap_err err = {0};
    (void)state;
    assert_all(uap_comm_allreduce_i64(ranks_comm, whole, 3, UAP_COMM_MAX, &err) ==
               UAP_OK);
    assert_all(whole[0] == size - 1 && whole[1] == 0 && whole[2] == INT64_MAX / 2);
    whole[0] = rank + 5;
    assert_all(uap_comm_allreduce_i64(ranks_comm, whole, 1, UAP_COMM_MIN, &err) ==
               UAP_OK);
    assert_all(whole[0] == 5);
    whole[0] = rank + 1;
    assert_all(uap_comm_allreduce_i64(ranks_comm, whole, 1, UAP_COMM_SUM, &err) ==
               UAP_OK);
    assert_all(whole[0] == size * (size + 1) / 2);
    assert_all(uap_comm_allreduce_f64(ranks_comm, real, 2, UAP_COMM_SUM, &err) == UAP_OK);
    assert_all(check_is_close(real[0], 0.1 * (double)(size * (size - 1)) / 2, 1e-12, 0));
    assert_all(check_is_close(real[1], (double)size, 0, 0));
}

/* The same bits everywhere, also where the order of additions matters. */
static void test_sums_have_the_same_bits(void **state)
{
    uap_err err = {0};
    double value[64];
    int64_t bits[2];
    bool equal = true;
    (void)state;
    for (int i = 0; i < 64; i++) {
        value[i] = pow(-1.7, (double)((i * 7 + rank_of_all() * 13) % 40)) / 3;
    }
    assert_all(uap_comm_allreduce_f64(ranks_comm, value, 64, UAP_COMM_SUM, &err) ==
               UAP_OK);
    for (int i = 0; i < 64; i++) {
        memcpy(&bits[0], &value[i], sizeof bits[0]);
        bits[1] = bits[0];
        equal &=
            uap_comm_allreduce_i64(ranks_comm, &bits[0], 1, UAP_COMM_MAX, &err) == UAP_OK;
        equal &=
            uap_comm_allreduce_i64(ranks_comm, &bits[1], 1, UAP_COMM_MIN, &err) == UAP_OK;
        equal &= bits[0] == bits[1];
    }
    assert_all(equal);
}

static void test_bcast(void **state)
{
    uap_err err = {0};
    const int root = size_of_all() - 1;
    char text[32] = "";
    (void)state;
    if (rank_of_all() == root) {
        (void)snprintf(text, sizeof text, "from %d", root);
    }
    assert_all(uap_comm_bcast(ranks_comm, text, sizeof text, root, &err) == UAP_OK);
    assert_all(strncmp(text, "from ", 5) == 0 && atoi(text + 5) == root);
    assert_all(uap_comm_bcast(ranks_comm, NULL, 0, root, &err) == UAP_OK);
}

/* Rank r sends r bytes of value r: rank 0's block is empty. */
static void test_gather(void **state)
{
    const int rank = rank_of_all(), size = size_of_all();
    uap_err err = {0};
    char own[16];
    char *all = NULL;
    size_t *offset = NULL;
    bool right = true;
    (void)state;
    memset(own, rank, sizeof own);
    const uap_status rc =
        uap_comm_gather(ranks_comm, own, (size_t)rank, &all, &offset, &err);
    if (rank > 0) {
        right = all == NULL && offset == NULL;
    } else {
        right = offset[0] == 0 && offset[size] == (size_t)(size * (size - 1) / 2);
        for (int r = 0; r < size && right; r++) {
            right = offset[r + 1] - offset[r] == (size_t)r;
            for (size_t i = offset[r]; i < offset[r + 1]; i++) {
                right = right && all[i] == r;
            }
        }
    }
    uap_free(all);
    uap_free(offset);
    assert_all(rc == UAP_OK && right);
}

static void test_agree_on_success(void **state)
{
    uap_err err = {0};
    (void)state;
    assert_all(uap_comm_agree(ranks_comm, UAP_OK, &err) == UAP_OK);
    assert_all(err.code == UAP_OK);
}

/* The last two ranks fail in different ways; everybody hears the lower one. */
static void test_agree_on_the_first_failure(void **state)
{
    const int rank = rank_of_all(), size = size_of_all();
    const int first = size > 1 ? size - 2 : 0;
    char expected[64];
    uap_err err = {0};
    uap_status rc = UAP_OK;
    (void)state;
    if (rank == first) {
        rc = UAP_FAIL(&err, IO, "disk %d is full", rank);
    } else if (rank > first) {
        rc = UAP_FAIL(&err, NO_MEMORY, "other");
    }
    rc = uap_comm_agree(ranks_comm, rc, &err);
    if (first == 0) {
        (void)snprintf(expected, sizeof expected, "disk 0 is full");
    } else {
        (void)snprintf(expected, sizeof expected, "rank %d: disk %d is full", first,
                       first);
    }
    assert_all(rc == UAP_IO && err.code == UAP_IO);
    assert_all(strcmp(err.msg, expected) == 0);
    /* A code without a text, and no record to fill. */
    rc = uap_comm_agree(ranks_comm, rank == first ? UAP_TOO_LARGE : UAP_OK, NULL);
    assert_all(rc == UAP_TOO_LARGE);
}

static void test_split(void **state)
{
    const int rank = rank_of_all(), size = size_of_all();
    uap_err err = {0};
    uap_comm *part = NULL;
    (void)state;
    /* Odd and even ranks, in falling order; the last rank stays out. */
    const int color = rank == size - 1 ? -1 : rank % 2;
    assert_all(uap_comm_split(ranks_comm, color, -rank, &part, &err) == UAP_OK);
    assert_all((part == NULL) == (rank == size - 1));
    bool right = true;
    if (part != NULL) {
        int64_t sum = rank;
        const int members = (size - 1 + (color == 0)) / 2;
        right = uap_comm_size(part) == members &&
                uap_comm_rank(part) == members - 1 - rank / 2 &&
                uap_comm_allreduce_i64(part, &sum, 1, UAP_COMM_SUM, &err) == UAP_OK &&
                sum == (int64_t)members * (members - 1) + color * members &&
                uap_comm_node_of(part, uap_comm_rank(part)) ==
                    uap_comm_node_of(ranks_comm, rank);
    }
    uap_comm_free(part);
    assert_all(right);
}

/* Block r of every rank holds 100 * sender + r. */
static void test_transfers(void **state)
{
    const int rank = rank_of_all(), size = size_of_all();
    const size_t n = (size_t)size;
    uap_err err = {0};
    float *send = uap_calloc(n, sizeof *send), *recv = uap_calloc(n, sizeof *recv);
    const float all_senders = 100.0F * (float)(size * (size - 1)) / 2.0F;
    bool right[4] = {true, true, true, true};
    (void)state;
    for (int i = 0; i < size; i++) {
        send[i] = (float)(100 * rank + i);
    }
    right[0] = uap_transfer_all_reduce(ranks_comm, send, recv, n, &err) == UAP_OK;
    for (int i = 0; i < size; i++) {
        right[0] = right[0] && recv[i] == all_senders + (float)(i * size);
    }
    right[1] = uap_transfer_all_gather(ranks_comm, &send[1 % size], recv, sizeof *send,
                                       &err) == UAP_OK;
    for (int i = 0; i < size; i++) {
        right[1] = right[1] && recv[i] == (float)(100 * i + 1 % size);
    }
    right[2] = uap_transfer_reduce_scatter(ranks_comm, send, recv, 1, &err) == UAP_OK &&
               recv[0] == all_senders + (float)(rank * size);
    right[3] =
        uap_transfer_all_to_all(ranks_comm, send, recv, sizeof *send, &err) == UAP_OK;
    for (int i = 0; i < size; i++) {
        right[3] = right[3] && recv[i] == (float)(100 * i + rank);
    }
    uap_free(recv);
    uap_free(send);
    for (int i = 0; i < 4; i++) {
        assert_all(right[i]);
    }
}

static void test_exchange(void **state)
{
    const int rank = rank_of_all(), size = size_of_all();
    const int to = rank + 1 < size ? rank + 1 : UAP_COMM_NOBODY;
    const int from = rank > 0 ? rank - 1 : UAP_COMM_NOBODY;
    uap_err err = {0};
    int got = -7;
    (void)state;
    const uap_status rc =
        uap_transfer_exchange(ranks_comm, &rank, to, &got, from, sizeof got, &err);
    assert_all(rc == UAP_OK && got == (rank > 0 ? rank - 1 : -7));
}

static void test_started_transfer(void **state)
{
    enum { N = 100000 };
    uap_err err = {0};
    float *send = uap_calloc(N, sizeof *send), *recv = uap_calloc(N, sizeof *recv);
    uap_transfer *transfer = NULL;
    bool finished = false;
    (void)state;
    for (int i = 0; i < N; i++) {
        send[i] = (float)(i % 100);
    }
    uap_status rc = uap_transfer_start(ranks_comm, send, recv, N, &transfer, &err);
    while (rc == UAP_OK && !finished) {
        rc = uap_transfer_test(transfer, &finished, &err);
    }
    const float last = recv[N - 1];
    uap_transfer_free(transfer);
    uap_free(recv);
    uap_free(send);
    assert_all(rc == UAP_OK && last == (float)(99 * size_of_all()));
}

/* MPI's own words and the call itself are in the message. */
static void test_errors_name_the_call(void **state)
{
    uap_err err = {0};
    int value = 0;
    (void)state;
    const uap_status rc =
        uap_transfer_exchange(ranks_comm, &value, size_of_all() + 3, &value,
                              UAP_COMM_NOBODY, sizeof value, &err);
    assert_all(rc == UAP_MPI);
    assert_all(strstr(err.msg, "MPI_Send") != NULL && strstr(err.msg, "rank") != NULL);
    uap_err_clear(&err);
    assert_all(uap_transfer_all_gather(ranks_comm, NULL, NULL, (size_t)1 << 31, &err) ==
               UAP_TOO_LARGE);
}

/* Out of memory on one rank is agreed on by all. */
/* Records of an exchange: a number, and so many bytes behind it. */
typedef struct record {
    int64_t n;
} record;

static size_t cut_records(const char *bytes, size_t n, size_t most)
{
    size_t whole = 0;
    while (whole < n) {
        record r;
        memcpy(&r, bytes + whole, sizeof r);
        if (whole > 0 && whole + sizeof r + (size_t)r.n > most) {
            break;
        }
        whole += sizeof r + (size_t)r.n;
    }
    return whole;
}

static int64_t record_bytes(int rank, int i)
{
    return i == 3 ? 9000000 : (int64_t)(rank * 7919 + i * 104729) % 200000;
}

typedef struct taken_records {
    int next[64]; /* of each rank, the record that must come now */
    int pieces;
    int fail_at; /* the piece at which to fail, or 0 */
} taken_records;

static uap_status take_records(void *self, int rank, const char *bytes, size_t n,
                               uap_err *err)
{
    taken_records *t = self;
    if (++t->pieces == t->fail_at) {
        return UAP_FAIL(err, INTERNAL, "no more, please");
    }
    for (size_t at = 0; at < n;) {
        const int i = t->next[rank]++;
        record r;
        memcpy(&r, bytes + at, sizeof r);
        assert_int_equal(r.n, record_bytes(rank, i));
        for (int64_t j = 0; j < r.n; j += 4096) {
            assert_int_equal(bytes[at + sizeof r + (size_t)j], (char)(rank + i));
        }
        at += sizeof r + (size_t)r.n;
    }
    return UAP_OK;
}

/* Ranks with unlike numbers of records, one of them above a round: all come, each rank's in
 * order, and a rank that cannot take more keeps nobody from the rest. */
static void test_exchange_of_records(void **state)
{
    const int rank = uap_comm_rank(ranks_comm);
    const int size = uap_comm_size(ranks_comm);
    const int n = rank == 1 ? 0 : 40 + 10 * rank;
    uap_bytes own = {0};
    (void)state;
    for (int i = 0; i < n; i++) {
        const record r = {record_bytes(rank, i)};
        assert_true(uap_bytes_put(&own, &r, sizeof r));
        char *at = uap_bytes_add(&own, (size_t)r.n);
        assert_non_null(at);
        memset(at, rank + i, (size_t)r.n);
    }
    for (int pass = 0; pass < 2; pass++) {
        uap_err err = {0};
        taken_records t = {.fail_at = pass == 1 && rank == 0 ? 2 : 0};
        const uap_status rc = uap_comm_exchange(ranks_comm, own.at, own.n, cut_records,
                                                take_records, &t, &err);
        assert_int_equal(rc, t.fail_at > 0 ? UAP_INTERNAL : UAP_OK);
        for (int r = 0; r < size && rc == UAP_OK; r++) {
            assert_int_equal(t.next[r], r == 1 ? 0 : 40 + 10 * r);
        }
        assert_true(t.fail_at > 0 || t.pieces > size);
    }
    uap_bytes_free(&own);
}

static void test_gather_without_memory(void **state)
{
    uap_err err = {0};
    char *all = NULL;
    size_t *offset = NULL;
    (void)state;
    uap_mem_fail_after(rank_of_all() == size_of_all() - 1 ? 1 : -1);
    const uap_status rc = uap_comm_gather(ranks_comm, "x", 1, &all, &offset, &err);
    uap_mem_fail_after(-1);
    assert_all(rc == UAP_NO_MEMORY && all == NULL && offset == NULL);
}

/* All ranks leave the sleeping barrier after the last has come: their clock is one. */
static void sleepers_wait_for_the_last(void **state)
{
    (void)state;
    uap_err err = {0};
    const int last = uap_comm_size(ranks_comm) - 1;
    for (int round = 0; round < 3; round++) {
        assert_all(uap_comm_barrier(ranks_comm, &err) == UAP_OK);
        if (uap_comm_rank(ranks_comm) == last) {
            const struct timespec late = {.tv_nsec = 20000000};
            (void)nanosleep(&late, NULL);
        }
        double came_s = uap_wall_s();
        assert_all(uap_comm_barrier_asleep(ranks_comm, &err) == UAP_OK);
        const double left_s = uap_wall_s();
        assert_all(uap_comm_allreduce_f64(ranks_comm, &came_s, 1, UAP_COMM_MAX, &err) ==
                   UAP_OK);
        assert_all(left_s >= came_s);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sleepers_wait_for_the_last),
        cmocka_unit_test(test_nodes),
        cmocka_unit_test(test_reductions),
        cmocka_unit_test(test_sums_have_the_same_bits),
        cmocka_unit_test(test_bcast),
        cmocka_unit_test(test_gather),
        cmocka_unit_test(test_agree_on_success),
        cmocka_unit_test(test_agree_on_the_first_failure),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_exchange),
        cmocka_unit_test(test_started_transfer),
        cmocka_unit_test(test_errors_name_the_call),
        cmocka_unit_test(test_exchange_of_records),
        cmocka_unit_test(test_gather_without_memory),
    };
    return RANKS_MAIN(&argc, &argv, tests);
}
