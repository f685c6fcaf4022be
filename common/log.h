/* Messages for people, on stderr or into a callback. Standard output belongs to results.
 * INFO is a few lines a run at any scale; search loops count and report, they do not log. */
#ifndef UAP_COMMON_LOG_H
#define UAP_COMMON_LOG_H

#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_log_level {
    UAP_LOG_ERROR,
    UAP_LOG_WARNING,
    UAP_LOG_INFO,
    UAP_LOG_DEBUG
} uap_log_level;

/* GLOBAL is printed by rank 0 only, RANK by every rank with its number in front. */
typedef enum uap_log_scope { UAP_LOG_GLOBAL, UAP_LOG_RANK } uap_log_scope;

typedef void uap_log_sink(void *context, uap_log_level level, const char *line);

/* Sets level (default INFO), this process's rank (default 0) and the sink (NULL: stderr); for a
 * thread in a room (room.h) those of the room, which it does before it logs. */
void uap_log_setup(uap_log_level level, int rank, uap_log_sink *sink, void *context);

/* A line as it goes to stderr, or into the room, where there is no sink; for sinks. */
void uap_log_print(uap_log_level level, const char *line);

bool uap_log_enabled(uap_log_level level, uap_log_scope scope);

/* Use UAP_LOG, which checks the level before it formats. */
void uap_log_write(uap_log_level level, uap_log_scope scope, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define UAP_LOG(level, scope, ...)                                                       \
    do {                                                                                 \
        if (uap_log_enabled(UAP_LOG_##level, UAP_LOG_##scope)) {                         \
            uap_log_write(UAP_LOG_##level, UAP_LOG_##scope, __VA_ARGS__);                \
        }                                                                                \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
