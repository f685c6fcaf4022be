/* The plain loops: what must hold of their times on any machine, and the sums they leave. */
#include "mpi/ranks.h"

#include "mpi/plain.h"

static void test_ping_pong(void **state)
{
    char send[4096] = {1}, recv[4096] = {0};
    const uap_plain_loop loop = {send, recv, sizeof send, 2, 5};
    uap_err err = {0};
    double seconds = 0;
    (void)state;
    if (uap_comm_size(ranks_comm) == 1) {
        skip();
    }
    assert_all(uap_plain_ping_pong(ranks_comm, &loop, &seconds, &err) == UAP_OK);
    assert_all(seconds > 0 && seconds < 10);
    assert_all(uap_comm_rank(ranks_comm) > 1 || recv[0] == 1);
    double first = seconds;
    assert_all(uap_comm_bcast(ranks_comm, &first, sizeof first, 0, &err) == UAP_OK);
    assert_all(!(first < seconds) && !(first > seconds));
}

static void test_all_reduce(void **state)
{
    float send[64], recv[64];
    const uap_plain_loop loop = {send, recv, sizeof send, 1, 3};
    const int size = uap_comm_size(ranks_comm);
    uap_err err = {0};
    double slowest = 0, mean = 0;
    (void)state;
    for (int i = 0; i < 64; i++) {
        send[i] = (float)i;
    }
    assert_all(uap_plain_all_reduce(ranks_comm, &loop, &slowest, &mean, &err) == UAP_OK);
    assert_all(slowest > 0 && mean > 0 && mean <= slowest * (1 + 1e-12));
    assert_all(recv[63] > 63.0F * (float)size - 0.5F &&
               recv[63] < 63.0F * (float)size + 0.5F);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ping_pong),
        cmocka_unit_test(test_all_reduce),
    };
    return RANKS_MAIN(&argc, &argv, tests);
}
