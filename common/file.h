/* Whole files in and out: bounded reads, and writes that never leave half a file. In a room
 * (room.h) the room's files are meant. */
#ifndef UAP_COMMON_FILE_H
#define UAP_COMMON_FILE_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Reads a regular file of at most max_bytes; *text is NUL-terminated and freed by the
 * caller (uap_free). Errors: IO, TOO_LARGE, NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_file_read(const char *path, size_t max_bytes, char **text,
                                       size_t *n_bytes, uap_err *err);

/* Writes to a temporary name in the same directory, syncs and renames; "-" is standard
 * output. On failure the temporary file is removed and an old file stands. Local. */
UAP_NODISCARD uap_status uap_file_write(const char *path, const char *text,
                                        size_t n_bytes, uap_err *err);

/* Whether there is a directory under this name. Local. */
bool uap_file_is_directory(const char *path);

/* Fails early, before hours of work, when `path` could not be written: a missing
 * directory, no permission, a directory of that name. Local. */
UAP_NODISCARD uap_status uap_file_check_writable(const char *path, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
