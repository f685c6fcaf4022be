/* What every MPI test includes: one communicator, and an assertion that all ranks take
 * together, so that none waits for a rank that has given up. */
#ifndef UAP_TESTS_MPI_RANKS_H
#define UAP_TESTS_MPI_RANKS_H

#include "unit/check.h"

#include "mpi/comm.h"

#include <stdlib.h>

/* Set by ranks_main(). */
static uap_comm *ranks_comm;

/* Fails on every rank when `condition` is false on any; says where it was. Collective. */
static inline void ranks_check(bool condition, const char *text, const char *file,
                               int line)
{
    uap_err err = {0};
    int64_t all = condition ? 1 : 0;
    if (!condition) {
        (void)fprintf(stderr, "%s:%d: rank %d: not so: %s\n", file, line,
                      uap_comm_rank(ranks_comm), text);
    }
    if (uap_comm_allreduce_i64(ranks_comm, &all, 1, UAP_COMM_MIN, &err) != UAP_OK) {
        (void)fprintf(stderr, "%s:%d: %s\n", file, line, err.msg);
        uap_comm_abort(ranks_comm, 1);
    }
    if (all == 0) {
        _fail(file, line);
    }
}

#define assert_all(condition) ranks_check((condition), #condition, __FILE__, __LINE__)

/* Starts MPI, silences the ranks above 0, runs the tests and ends MPI; a block that was not
 * freed is a failure. For use as main's return value. */
static inline int ranks_main(int *argc, char ***argv, const struct CMUnitTest *tests,
                             size_t n_tests)
{
    uap_err err = {0};
    int failed = 0;
    if (uap_comm_init(argc, argv, &ranks_comm, &err) != UAP_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        return EXIT_FAILURE;
    }
    if (uap_comm_rank(ranks_comm) > 0 && freopen("/dev/null", "w", stdout) == NULL) {
        (void)fprintf(stderr, "cannot silence standard output\n");
    }
    failed = _cmocka_run_group_tests("ranks", tests, n_tests, NULL, NULL);
    if (uap_comm_finalize(ranks_comm, &err) != UAP_OK) {
        (void)fprintf(stderr, "%s\n", err.msg);
        failed++;
    }
    if (uap_mem_outstanding() != 0) {
        (void)fprintf(stderr, "%" PRId64 " blocks were not freed\n",
                      uap_mem_outstanding());
        failed++;
    }
    return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

#define RANKS_MAIN(argc, argv, tests)                                                    \
    ranks_main((argc), (argv), (tests), sizeof(tests) / sizeof((tests)[0]))

#endif
