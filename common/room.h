/* Where a thread does a command's work for somebody else: what the command prints, reads, writes
 * and is told stays in the room instead of going to the process's own streams and files. A thread
 * outside any room does as the process does. It knows no command and no protocol. */
#ifndef UAP_COMMON_ROOM_H
#define UAP_COMMON_ROOM_H

#include "common/bytes.h"
#include "common/mem.h"
#include "common/status.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Something under a name that the work may read, instead of any file. */
typedef struct uap_room_file {
    const char *name;
    const char *text; /* [n] followed by a NUL; NULL where there is none */
    size_t n;
    const char *fault; /* why it cannot be read; NULL: it can, or is a directory */
    bool is_directory;
} uap_room_file;

/* What was written under a name. */
typedef struct uap_room_page {
    struct uap_room_page *next;
    char *name;
    char *text; /* [n] followed by a NUL */
    size_t n;
} uap_room_page;

/* Zeros are a legal start; the caller fills the first part. */
typedef struct uap_room {
    const uap_room_file *file; /* [n_files] */
    size_t n_files;
    const char *own_path; /* files whose names begin so are real ones; NULL: none are */
    const char *checkpoint;
    double checkpoint_interval_s;
    double time_limit_s;        /* of a search, beside the command's own; 0: none */
    int64_t memory_limit_bytes; /* likewise */
    int64_t most_bytes;         /* of all that this thread allocates; 0: no limit */
    const volatile sig_atomic_t *stop;
    /* Called as things happen; may be NULL. line: number from 0 in the order
     * they are printed to err, or -1 for one of the moment alone; text without its end. */
    void (*on_line)(void *context, int64_t number, const char *text);
    void (*on_event)(void *context, const char *json);
    void *context;
    /* Its own. */
    FILE *out, *err;
    struct timespec start; /* when the room was entered */
    char *out_text, *err_text;
    size_t out_bytes, err_bytes;
    int64_t n_lines;
    uap_room_page *page;
    char *missing; /* the first name that was wanted and is not there */
    uap_mem_count count, *outer_count;
} uap_room;

/* Lets this thread in: until it leaves, all of its allocations count in the room. Errors:
 * NO_MEMORY, and it is outside. */
UAP_NODISCARD uap_status uap_room_enter(uap_room *room, uap_err *err);

/* What was printed is then in out_text and err_text, and what was counted is the thread's. */
void uap_room_leave(uap_room *room);

/* Frees what the room gathered. */
void uap_room_clear(uap_room *room);

/* The room this thread is in, or NULL. */
uap_room *uap_room_here(void);

/* Standard output and standard error, or the room's. */
FILE *uap_room_out(void);
FILE *uap_room_err(void);

/* ---- For common/file.c ---- */

/* Whether `path` is of the room, and not a file of the system's. */
bool uap_room_has(const char *path);

/* As the functions of common/file.h. */
UAP_NODISCARD uap_status uap_room_read(const char *path, size_t max_bytes, char **text,
                                       size_t *n_bytes, uap_err *err);
UAP_NODISCARD uap_status uap_room_write(const char *path, const char *text,
                                        size_t n_bytes, uap_err *err);
bool uap_room_is_directory(const char *path);

#ifdef __cplusplus
}
#endif
#endif
