/* One process's log: level, rank and sink. A line is formatted once and handed over whole,
 * so that lines of several ranks do not mix. */
#include "common/log.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#define LINE_BYTES 2048

static uap_log_level log_level = UAP_LOG_INFO;
static int log_rank;
static uap_log_sink *log_sink;
static void *log_context;

void uap_log_setup(uap_log_level level, int rank, uap_log_sink *sink, void *context)
{
    log_level = level;
    log_rank = rank;
    log_sink = sink;
    log_context = context;
}

bool uap_log_enabled(uap_log_level level, uap_log_scope scope)
{
    return level <= log_level && (scope == UAP_LOG_RANK || log_rank == 0);
}

static void write_stderr(uap_log_level level, const char *line)
{
    static const char *const prefix[] = {[UAP_LOG_ERROR] = "uniap: ",
                                         [UAP_LOG_WARNING] = "uniap: warning: ",
                                         [UAP_LOG_INFO] = "",
                                         [UAP_LOG_DEBUG] = "debug: "};
    (void)fprintf(stderr, "%s%s\n", prefix[level], line);
}

void uap_log_write(uap_log_level level, uap_log_scope scope, const char *fmt, ...)
{
    char line[LINE_BYTES];
    int used = 0;
    if (scope == UAP_LOG_RANK) {
        used = snprintf(line, sizeof line, "[rank %d] ", log_rank);
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
    if (log_sink != NULL) {
        log_sink(log_context, level, line);
    } else {
        write_stderr(level, line);
    }
}
