/* Bounded reads and atomic writes of whole files over POSIX calls. */
#include "common/file.h"

#include "common/mem.h"
#include "common/room.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define TEMP_SUFFIX ".tmp.XXXXXX"

static uap_status read_all(int fd, const char *path, char *text, size_t *n_bytes,
                           uap_err *err)
{
    size_t used = 0;
    while (used < *n_bytes) {
        const ssize_t n = read(fd, text + used, *n_bytes - used);
        if (n < 0 && errno != EINTR) {
            return UAP_FAIL(err, IO, "%s: cannot read: %s", path, strerror(errno));
        }
        if (n == 0) {
            break; /* the file shrank since its size was taken */
        }
        used += n > 0 ? (size_t)n : 0;
    }
    *n_bytes = used;
    return UAP_OK;
}

static uap_status check_regular(int fd, const char *path, size_t max_bytes,
                                size_t *n_bytes, uap_err *err)
{
    struct stat info;
    if (fstat(fd, &info) != 0) {
        return UAP_FAIL(err, IO, "%s: cannot read: %s", path, strerror(errno));
    }
    if (S_ISDIR(info.st_mode)) {
        return UAP_FAIL(err, IO, "%s: found a directory, expected a file", path);
    }
    if (!S_ISREG(info.st_mode)) {
        return UAP_FAIL(err, IO, "%s: found a device or pipe, expected a regular file",
                        path);
    }
    if ((uintmax_t)info.st_size > max_bytes) {
        return UAP_FAIL(err, TOO_LARGE, "%s: found %jd bytes, expected at most %zu", path,
                        (intmax_t)info.st_size, max_bytes);
    }
    *n_bytes = (size_t)info.st_size;
    return UAP_OK;
}

uap_status uap_file_read(const char *path, size_t max_bytes, char **text, size_t *n_bytes,
                         uap_err *err)
{
    uap_status rc = UAP_OK;
    char *buffer = NULL;
    size_t n = 0;
    if (uap_room_has(path)) {
        return uap_room_read(path, max_bytes, text, n_bytes, err);
    }
    /* O_NONBLOCK: opening a pipe without a writer must not wait. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        return UAP_FAIL(err, IO, "%s: cannot open: %s", path, strerror(errno));
    }
    UAP_TRY(check_regular(fd, path, max_bytes, &n, err));
    buffer = uap_realloc(NULL, n + 1, 1);
    if (buffer == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "%s: no memory for %zu bytes", path, n);
        goto done;
    }
    UAP_TRY(read_all(fd, path, buffer, &n, err));
    buffer[n] = '\0';
    *text = buffer;
    *n_bytes = n;
    buffer = NULL;
done:
    uap_free(buffer);
    (void)close(fd);
    return rc;
}

static uap_status write_all(int fd, const char *path, const char *text, size_t n_bytes,
                            uap_err *err)
{
    for (size_t used = 0; used < n_bytes;) {
        const ssize_t n = write(fd, text + used, n_bytes - used);
        if (n < 0 && errno != EINTR) {
            return UAP_FAIL(err, IO, "%s: cannot write: %s", path, strerror(errno));
        }
        used += n > 0 ? (size_t)n : 0;
    }
    return UAP_OK;
}

/* What stands at an output path decides how it is written. */
typedef enum target_kind { TARGET_FILE, TARGET_DEVICE } target_kind;

/* Follows a symbolic link, so that the link stays and its target is replaced; *real is
 * freed by the caller. A device or pipe (/dev/null) must never be renamed over. */
static uap_status resolve_target(const char *path, char **real, target_kind *kind,
                                 uap_err *err)
{
    struct stat info;
    *kind = TARGET_FILE;
    *real = NULL;
    if (path[0] == '\0') {
        return UAP_FAIL(err, IO, "output file: found an empty name, expected a path");
    }
    if (stat(path, &info) == 0) {
        if (S_ISDIR(info.st_mode)) {
            return UAP_FAIL(err, IO, "%s: cannot write: it is a directory", path);
        }
        *kind = S_ISREG(info.st_mode) ? TARGET_FILE : TARGET_DEVICE;
        char *resolved = realpath(path, NULL);
        *real = uap_strdup(resolved != NULL ? resolved : path);
        free(resolved);
    } else {
        *real = uap_strdup(path);
    }
    if (*real == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory for its name", path);
    }
    return UAP_OK;
}

/* Opens a new file beside `real`; *temp is its name, freed by the caller. */
static uap_status open_temp(const char *path, const char *real, char **temp, int *fd,
                            uap_err *err)
{
    const size_t n = strlen(real) + sizeof TEMP_SUFFIX;
    *temp = uap_calloc(n, 1);
    if (*temp == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory for its name", path);
    }
    (void)snprintf(*temp, n, "%s%s", real, TEMP_SUFFIX);
    *fd = mkstemp(*temp);
    if (*fd < 0) {
        const int error = errno;
        uap_free(*temp);
        *temp = NULL;
        return UAP_FAIL(err, IO, "%s: cannot write: %s", path, strerror(error));
    }
    return UAP_OK;
}

/* mkstemp makes private files; a result gets the mode the file had, or the usual one. */
static mode_t mode_for(const char *real)
{
    struct stat info;
    if (stat(real, &info) == 0) {
        return info.st_mode & 0777;
    }
    const mode_t mask = umask(0);
    (void)umask(mask);
    return 0666 & ~mask;
}

/* Without this a crash of the machine could undo the rename. Not every file system can. */
static void sync_directory(const char *real)
{
    char *copy = uap_strdup(real);
    if (copy == NULL) {
        return;
    }
    const int fd = open(dirname(copy), O_RDONLY | O_CLOEXEC | O_DIRECTORY);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
    uap_free(copy);
}

static uap_status replace_file(const char *path, const char *real, const char *text,
                               size_t n_bytes, uap_err *err)
{
    uap_status rc = UAP_OK;
    char *temp = NULL;
    int fd = -1;
    UAP_TRY(open_temp(path, real, &temp, &fd, err));
    UAP_TRY(write_all(fd, path, text, n_bytes, err));
    if (fchmod(fd, mode_for(real)) != 0 || fsync(fd) != 0) {
        rc = UAP_FAIL(err, IO, "%s: cannot write: %s", path, strerror(errno));
        goto done;
    }
    const int closed = close(fd);
    fd = -1;
    if (closed != 0 || rename(temp, real) != 0) {
        rc = UAP_FAIL(err, IO, "%s: cannot write: %s", path, strerror(errno));
        goto done;
    }
    sync_directory(real);
done:
    if (fd >= 0) {
        (void)close(fd);
    }
    if (rc != UAP_OK && temp != NULL) {
        (void)unlink(temp);
    }
    uap_free(temp);
    return rc;
}

static uap_status write_device(const char *path, const char *text, size_t n_bytes,
                               uap_err *err)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        return UAP_FAIL(err, IO, "%s: cannot write: %s", path, strerror(errno));
    }
    uap_status rc = write_all(fd, path, text, n_bytes, err);
    if (close(fd) != 0 && rc == UAP_OK) {
        rc = UAP_FAIL(err, IO, "%s: cannot write: %s", path, strerror(errno));
    }
    return rc;
}

uap_status uap_file_write(const char *path, const char *text, size_t n_bytes,
                          uap_err *err)
{
    if (uap_room_has(path)) {
        return uap_room_write(path, text, n_bytes, err);
    }
    if (strcmp(path, "-") == 0) {
        (void)fflush(stdout); /* what was printed before stays before */
        return write_all(STDOUT_FILENO, "standard output", text, n_bytes, err);
    }
    uap_status rc = UAP_OK;
    char *real = NULL;
    target_kind kind = TARGET_FILE;
    UAP_TRY(resolve_target(path, &real, &kind, err));
    if (kind == TARGET_DEVICE) {
        UAP_TRY(write_device(path, text, n_bytes, err));
    } else {
        UAP_TRY(replace_file(path, real, text, n_bytes, err));
    }
done:
    uap_free(real);
    return rc;
}

bool uap_file_is_directory(const char *path)
{
    struct stat info;
    return uap_room_has(path) ? uap_room_is_directory(path)
                              : stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

uap_status uap_file_check_writable(const char *path, uap_err *err)
{
    if (strcmp(path, "-") == 0 || uap_room_has(path)) {
        return UAP_OK;
    }
    uap_status rc = UAP_OK;
    char *real = NULL;
    char *temp = NULL;
    int fd = -1;
    target_kind kind = TARGET_FILE;
    UAP_TRY(resolve_target(path, &real, &kind, err));
    if (access(path, F_OK) == 0 && access(path, W_OK) != 0) {
        rc = UAP_FAIL(err, IO, "%s: cannot write: %s", path, strerror(errno));
        goto done;
    }
    if (kind == TARGET_FILE) {
        UAP_TRY(open_temp(path, real, &temp, &fd, err));
    }
done:
    if (fd >= 0) {
        (void)close(fd);
        (void)unlink(temp);
    }
    uap_free(temp);
    uap_free(real);
    return rc;
}
