/* The log as JSON lines in a file, for machines; people still get stderr. */
#ifndef UAP_CLI_LOG_JSON_H
#define UAP_CLI_LOG_JSON_H

#include "common/json_write.h"
#include "common/log.h"
#include "common/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sends every log line to `path` too, as {"event": "message", "level", "message", "time_s"}:
 * seconds since the start. Call uap_log_json_close at the end. Errors: IO. Once at a time. Local. */
UAP_NODISCARD uap_status uap_log_json_open(const char *path, uap_log_level level,
                                           uap_err *err);

/* An event of this name for machines alone, with its time; NULL where no file is open. Add to
 * it and give it to uap_log_json_write, which frees it. */
uap_jout *uap_log_json_event(const char *name);
void uap_log_json_write(uap_jout *event);

/* Closes the file; lines go to stderr only from now on. Errors: IO. Legal when closed. */
UAP_NODISCARD uap_status uap_log_json_close(uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
