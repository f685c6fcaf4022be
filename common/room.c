/* Rooms: a thread's own streams and files. Streams are POSIX memory streams. */
#include "common/room.h"

#include <stdlib.h>
#include <string.h>

static _Thread_local uap_room *here;

uap_status uap_room_enter(uap_room *room, uap_err *err)
{
    room->out = open_memstream(&room->out_text, &room->out_bytes);
    room->err = open_memstream(&room->err_text, &room->err_bytes);
    if (room->out == NULL || room->err == NULL) {
        uap_room_leave(room);
        uap_room_clear(room);
        return UAP_FAIL(err, NO_MEMORY, "no memory for a request's streams");
    }
    (void)clock_gettime(CLOCK_MONOTONIC, &room->start);
    room->count.limit = room->most_bytes;
    room->outer_count = uap_mem_count_here(&room->count);
    here = room;
    return UAP_OK;
}

void uap_room_leave(uap_room *room)
{
    if (here == room) {
        here = NULL;
        (void)uap_mem_count_here(room->outer_count);
        uap_mem_settle(&room->count);
    }
    if (room->out != NULL) {
        (void)fclose(room->out);
    }
    if (room->err != NULL) {
        (void)fclose(room->err);
    }
    room->out = room->err = NULL;
}

void uap_room_clear(uap_room *room)
{
    while (room->page != NULL) {
        uap_room_page *next = room->page->next;
        uap_free(room->page->name);
        uap_free(room->page->text);
        uap_free(room->page);
        room->page = next;
    }
    uap_free(room->missing);
    free(room->out_text);
    free(room->err_text);
    room->missing = NULL;
    room->out_text = room->err_text = NULL;
    room->out_bytes = room->err_bytes = 0;
}

uap_room *uap_room_here(void)
{
    return here;
}

FILE *uap_room_out(void)
{
    return here != NULL ? here->out : stdout;
}

FILE *uap_room_err(void)
{
    return here != NULL ? here->err : stderr;
}

bool uap_room_has(const char *path)
{
    return here != NULL && (here->own_path == NULL ||
                            strncmp(path, here->own_path, strlen(here->own_path)) != 0);
}

/* What the work was given under this name, or wrote before; NULL is noted as missing. */
static const uap_room_file *find_file(const char *path)
{
    for (size_t i = 0; i < here->n_files; i++) {
        if (strcmp(here->file[i].name, path) == 0) {
            return &here->file[i];
        }
    }
    if (here->missing == NULL) {
        here->missing = uap_strdup(path);
    }
    return NULL;
}

uap_status uap_room_read(const char *path, size_t max_bytes, char **text, size_t *n_bytes,
                         uap_err *err)
{
    const uap_room_file *file = find_file(path);
    if (file == NULL) {
        return UAP_FAIL(err, IO, "%s: not among the request's files", path);
    }
    if (file->fault != NULL) {
        return UAP_FAIL(err, IO, "%s", file->fault);
    }
    if (file->text == NULL) {
        return UAP_FAIL(err, IO, "%s: found a directory, expected a file", path);
    }
    if (file->n > max_bytes) {
        return UAP_FAIL(err, TOO_LARGE, "%s: found %zu bytes, expected at most %zu", path,
                        file->n, max_bytes);
    }
    char *copy = uap_realloc(NULL, file->n + 1, 1);
    if (copy == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory for %zu bytes", path, file->n);
    }
    memcpy(copy, file->text, file->n);
    copy[file->n] = '\0';
    *text = copy;
    *n_bytes = file->n;
    return UAP_OK;
}

bool uap_room_is_directory(const char *path)
{
    const uap_room_file *file = find_file(path);
    return file != NULL && file->is_directory;
}

static uap_room_page *page_of(const char *path)
{
    for (uap_room_page *page = here->page; page != NULL; page = page->next) {
        if (strcmp(page->name, path) == 0) {
            return page;
        }
    }
    uap_room_page *page = uap_calloc(1, sizeof *page);
    char *name = uap_strdup(path);
    if (page == NULL || name == NULL) {
        uap_free(page);
        uap_free(name);
        return NULL;
    }
    *page = (uap_room_page){.next = here->page, .name = name};
    here->page = page;
    return page;
}

uap_status uap_room_write(const char *path, const char *text, size_t n_bytes,
                          uap_err *err)
{
    if (strcmp(path, "-") == 0) {
        return fwrite(text, 1, n_bytes, here->out) == n_bytes
                   ? UAP_OK
                   : UAP_FAIL(err, IO, "standard output: cannot write");
    }
    uap_room_page *page = page_of(path);
    char *copy = page != NULL ? uap_realloc(page->text, n_bytes + 1, 1) : NULL;
    if (copy == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory for %zu bytes", path, n_bytes);
    }
    memcpy(copy, text, n_bytes);
    copy[n_bytes] = '\0';
    page->text = copy;
    page->n = n_bytes;
    return UAP_OK;
}
