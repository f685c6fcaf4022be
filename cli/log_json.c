/* A log sink that writes JSON lines beside what people read. */
#include "cli/log_json.h"

#include "common/mem.h"
#include "common/room.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static struct {
    FILE *file;
    const char *path;
    uap_log_level level;
    struct timespec start;
} log_file;

static const char *level_name(uap_log_level level)
{
    static const char *const name[] = {"error", "warning", "info", "debug"};
    return name[level];
}

uap_jout *uap_log_json_event(const char *name)
{
    const uap_room *room = uap_room_here();
    if (room != NULL ? room->on_event == NULL : log_file.file == NULL) {
        return NULL;
    }
    struct timespec now;
    const struct timespec start = room != NULL ? room->start : log_file.start;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    uap_jout *object = uap_jout_object();
    uap_jset_str(object, "event", name);
    uap_jset_f64(object, "time_s",
                 (double)(now.tv_sec - start.tv_sec) +
                     1e-9 * (double)(now.tv_nsec - start.tv_nsec));
    return object;
}

void uap_log_json_write(uap_jout *event)
{
    const uap_room *room = uap_room_here();
    char *text = uap_jout_text(event);
    if (text != NULL && room != NULL) {
        room->on_event(room->context, text);
    } else if (
        text !=
        NULL) { /* checked when the file closes; a line at once, whatever happens */
        (void)fprintf(log_file.file, "%s\n", text);
        (void)fflush(log_file.file);
    }
    uap_free(text);
    uap_jout_free(event);
}

static void write_line(void *context, uap_log_level level, const char *line)
{
    (void)context;
    uap_jout *event = uap_log_json_event("message");
    uap_jset_str(event, "level", level_name(level));
    uap_jset_str(event, "message", line);
    if (event != NULL) {
        uap_log_json_write(event);
    }
    uap_log_print(level, line);
}

uap_status uap_log_json_open(const char *path, uap_log_level level, uap_err *err)
{
    if (uap_room_here() != NULL) { /* whoever listens gets the events */
        uap_log_setup(level, 0, write_line, NULL);
        return UAP_OK;
    }
    log_file.file = fopen(path, "w");
    if (log_file.file == NULL) {
        return UAP_FAIL(err, IO, "--log-json: %s: %s", path, strerror(errno));
    }
    log_file.path = path;
    log_file.level = level;
    (void)clock_gettime(CLOCK_MONOTONIC, &log_file.start);
    uap_log_setup(level, 0, write_line, NULL);
    return UAP_OK;
}

uap_status uap_log_json_close(uap_err *err)
{
    FILE *file = log_file.file;
    if (uap_room_here() != NULL || file == NULL) {
        return UAP_OK;
    }
    uap_log_setup(log_file.level, 0, NULL, NULL);
    log_file.file = NULL;
    const int failed = ferror(file);
    if (fclose(file) != 0 || failed) {
        return UAP_FAIL(err, IO, "--log-json: %s: cannot write", log_file.path);
    }
    return UAP_OK;
}
