/* What every unit test includes: cmocka and checks that cannot be fooled by NaN and that
 * say what they saw. It knows nothing of uniap beyond uap_status. */
#ifndef UAP_TESTS_UNIT_CHECK_H
#define UAP_TESTS_UNIT_CHECK_H

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "common/mem.h"
#include "common/status.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>

/* False for NaN anywhere; an expectation that is not finite is a mistake in the test. */
static inline bool check_is_close(double actual, double expected, double rtol,
                                  double atol)
{
    return isfinite(expected) && fabs(actual - expected) <= atol + rtol * fabs(expected);
}

static inline void check_close(double actual, double expected, double rtol, double atol,
                               const char *text, const char *file, int line)
{
    const double room = atol + rtol * fabs(expected);
    if (!check_is_close(actual, expected, rtol, atol)) {
        print_error("%s:%d: %s is %.17g, expected %.17g (within %.3g)\n", file, line,
                    text, actual, expected, room);
        _fail(file, line);
    }
}

/* |actual - expected| <= atol + rtol * |expected|; false for NaN anywhere. */
#define assert_close(actual, expected, rtol, atol)                                       \
    check_close((actual), (expected), (rtol), (atol), #actual, __FILE__, __LINE__)

static inline void check_i64(int64_t actual, int64_t expected, const char *text,
                             const char *file, int line)
{
    if (actual != expected) {
        print_error("%s:%d: %s is %" PRId64 ", expected %" PRId64 "\n", file, line, text,
                    actual, expected);
        _fail(file, line);
    }
}

/* Signed 64-bit equality that prints both values in decimal. */
#define assert_i64(actual, expected)                                                     \
    check_i64((actual), (expected), #actual, __FILE__, __LINE__)

static inline void check_i64_le(int64_t actual, int64_t limit, const char *text,
                                const char *file, int line)
{
    if (!(actual <= limit)) {
        print_error("%s:%d: %s is %" PRId64 ", expected at most %" PRId64 "\n", file,
                    line, text, actual, limit);
        _fail(file, line);
    }
}

#define assert_i64_le(actual, limit)                                                     \
    check_i64_le((actual), (limit), #actual, __FILE__, __LINE__)

static inline void check_ok(uap_status status, const uap_err *err, const char *text,
                            const char *file, int line)
{
    if (status != UAP_OK) {
        print_error("%s:%d: %s: %s: %s (%s:%d)\n", file, line, text,
                    uap_status_text(status), err == NULL ? "" : err->msg,
                    err == NULL || err->file == NULL ? "?" : err->file,
                    err == NULL ? 0 : err->line);
        _fail(file, line);
    }
}

/* The call succeeds; else its error record is printed. */
#define assert_ok(call, err) check_ok((call), (err), #call, __FILE__, __LINE__)

static inline void check_status(uap_status status, uap_status expected,
                                const uap_err *err, const char *text, const char *file,
                                int line)
{
    if (status != expected) {
        print_error("%s:%d: %s: %s, expected %s (%s)\n", file, line, text,
                    uap_status_text(status), uap_status_text(expected),
                    err == NULL ? "" : err->msg);
        _fail(file, line);
    }
}

/* The call fails (or not) with exactly this status. */
#define assert_status(call, expected, err)                                               \
    check_status((call), (expected), (err), #call, __FILE__, __LINE__)

/* Use as teardown or at the end of a test: every counted block was freed. */
static inline int check_no_leaks(void **state)
{
    (void)state;
    if (uap_mem_outstanding() != 0) {
        print_error("%" PRId64 " blocks were not freed\n", uap_mem_outstanding());
        return -1;
    }
    return 0;
}

#endif
