/* The list of differences, and when two numbers count as the same. */
#include "plan/check_internal.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define RELATIVE_ROOM 1e-9

void uap_check_note(uap_check *check, const char *fmt, ...)
{
    va_list args;
    check->n++;
    if (check->n_lines >= UAP_CHECK_MAX_LINES) {
        return;
    }
    if (check->line == NULL) {
        check->line =
            uap_arena_alloc(check->arena, UAP_CHECK_MAX_LINES, sizeof *check->line);
        if (check->line == NULL) {
            return;
        }
    }
    va_start(args, fmt);
    (void)vsnprintf(check->line[check->n_lines++], UAP_DIFFERENCE_TEXT, fmt, args);
    va_end(args);
}

void uap_check_i64(uap_check *check, const char *where, int64_t found, int64_t expected)
{
    if (found >= 0 && found != expected) {
        uap_check_note(check, "%s: found %" PRId64 ", expected %" PRId64, where, found,
                       expected);
    }
}

void uap_check_seconds(uap_check *check, const char *where, double found, double expected)
{
    const double room = fmax(RELATIVE_ROOM * expected, 1.001 / UAP_CHECK_TICKS_PER_S);
    /* Unstated is below 0; a NaN is neither that nor close. */
    if (!(found < 0) && !(fabs(found - expected) <= room)) {
        uap_check_note(check, "%s: found %.12g, expected %.12g", where, found, expected);
    }
}

void uap_check_text(uap_check *check, const char *where, const char *found,
                    const char *expected)
{
    if (found != NULL && found[0] != '\0' && strcmp(found, expected) != 0) {
        uap_check_note(check, "%s: found \"%.80s\", expected \"%.80s\"", where, found,
                       expected);
    }
}

void uap_check_free(uap_check *check)
{
    uap_arena_free(check->arena);
    *check = (uap_check){0};
}
