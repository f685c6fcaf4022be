/* One process's log, or a room's: level, rank and sink. A line is formatted once and handed over whole,
 * so that lines of several ranks do not mix. */
#include "common/log.h"

#include "common/room.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#define LINE_BYTES 2048

typedef struct setup {
    uap_log_level level;
    int rank;
    uap_log_sink *sink;
    void *context;
} setup;

static setup process = {.level = UAP_LOG_INFO};
static _Thread_local setup own; /* in a room */

void uap_log_setup(uap_log_level level, int rank, uap_log_sink *sink, void *context)
{
    setup *here = uap_room_here() != NULL ? &own : &process;
    *here = (setup){level, rank, sink, context};
}

static const setup *setup_here(void)
{
    return uap_room_here() != NULL ? &own : &process;
}

bool uap_log_enabled(uap_log_level level, uap_log_scope scope)
{
    const setup *here = setup_here();
    return level <= here->level && (scope == UAP_LOG_RANK || here->rank == 0);
}

void uap_log_print(uap_log_level level, const char *line)
{
    static const char *const prefix[] = {[UAP_LOG_ERROR] = "uniap: ",
                                         [UAP_LOG_WARNING] = "uniap: warning: ",
                                         [UAP_LOG_INFO] = "",
                                         [UAP_LOG_DEBUG] = "debug: "};
    uap_room *room = uap_room_here();
    (void)fprintf(uap_room_err(), "%s%s\n", prefix[level], line);
    if (room != NULL && room->on_line != NULL) {
        char text[LINE_BYTES + 32];
        (void)snprintf(text, sizeof text, "%s%s", prefix[level], line);
        room->on_line(room->context, room->n_lines, text);
    }
    if (room != NULL) {
        room->n_lines++;
    }
}

void uap_log_write(uap_log_level level, uap_log_scope scope, const char *fmt, ...)
{
    char line[LINE_BYTES];
    const setup *here = setup_here();
    int used = 0;
    if (scope == UAP_LOG_RANK) {
        used = snprintf(line, sizeof line, "[rank %d] ", here->rank);
    }
    if (used < 0) {
        return;
    }
    va_list args;
    va_start(args, fmt);
    const int more = vsnprintf(line + used, sizeof line - (size_t)used, fmt, args);
    va_end(args);
    if (more < 0) {
        return;
    }
    if (here->sink != NULL) {
        here->sink(here->context, level, line);
    } else {
        uap_log_print(level, line);
    }
}
