/* The cache over SQLite: one table, a write-ahead log. The only file that includes sqlite3.h.
 * A write is on disk at the next checkpoint of the log; what a crash loses is found again by
 * searching. */
#include "cli/service_cache.h"

#include "common/log.h"
#include "common/mem.h"

#include <fcntl.h>
#include <limits.h>
#include <sqlite3.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Another service may use the same file. */
#define BUSY_MS 50

enum { FIND, TOUCH, KEEP, OLDEST, DROP, N_STATEMENTS };

static const char *const statement_text[] = {
    [FIND] = "SELECT text FROM result WHERE key = ?1",
    [TOUCH] = "UPDATE result SET used = ?2 WHERE key = ?1",
    [KEEP] = "INSERT OR REPLACE INTO result VALUES (?1, ?2, ?3, ?4)",
    [OLDEST] = "SELECT key, bytes FROM result ORDER BY used LIMIT 1",
    [DROP] = "DELETE FROM result WHERE key = ?1",
};

/* user_version 1 is this table; a file of another is put aside. */
static const char set_up_text[] =
    "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;"
    "PRAGMA journal_size_limit = 8388608; PRAGMA wal_autocheckpoint = 256;"
    "CREATE TABLE IF NOT EXISTS result (key TEXT PRIMARY KEY NOT NULL, text TEXT NOT "
    "NULL,"
    " bytes INTEGER NOT NULL, used INTEGER NOT NULL);"
    "CREATE INDEX IF NOT EXISTS by_use ON result (used);"
    "PRAGMA user_version = 1;";

struct uap_service_cache {
    sqlite3 *db;
    sqlite3_stmt *statement[N_STATEMENTS];
    int64_t max_bytes, used; /* used: the number of the last use */
    uap_service_cache_figures figures;
};

static int64_t ask_number(sqlite3 *db, const char *question, int *code)
{
    sqlite3_stmt *statement = NULL;
    int64_t value = 0;
    *code = sqlite3_prepare_v2(db, question, -1, &statement, NULL);
    if (*code == SQLITE_OK) {
        *code = sqlite3_step(statement);
        if (*code == SQLITE_ROW) {
            value = sqlite3_column_int64(statement, 0);
            *code = SQLITE_OK;
        }
    }
    (void)sqlite3_finalize(statement);
    return value;
}

static void close_file(uap_service_cache *cache)
{
    for (int i = 0; i < N_STATEMENTS; i++) {
        (void)sqlite3_finalize(cache->statement[i]);
        cache->statement[i] = NULL;
    }
    (void)sqlite3_close(cache->db);
    cache->db = NULL;
}

/* SQLite's code. */
static int open_file(uap_service_cache *cache, const char *path)
{
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
    int code = sqlite3_open_v2(path, &cache->db, flags, NULL);
    if (code != SQLITE_OK) {
        return code;
    }
    (void)sqlite3_busy_timeout(cache->db, BUSY_MS);
    const int64_t version = ask_number(cache->db, "PRAGMA user_version", &code);
    if (code == SQLITE_OK && version != 0 && version != 1) {
        return SQLITE_NOTADB;
    }
    code =
        code == SQLITE_OK ? sqlite3_exec(cache->db, set_up_text, NULL, NULL, NULL) : code;
    for (int i = 0; i < N_STATEMENTS && code == SQLITE_OK; i++) {
        code = sqlite3_prepare_v2(cache->db, statement_text[i], -1, &cache->statement[i],
                                  NULL);
    }
    if (code == SQLITE_OK) {
        cache->used = ask_number(cache->db, "SELECT max(used) FROM result", &code);
    }
    if (code == SQLITE_OK) {
        cache->figures.bytes =
            ask_number(cache->db, "SELECT sum(bytes) FROM result", &code);
    }
    if (code == SQLITE_OK) {
        cache->figures.entries =
            ask_number(cache->db, "SELECT count(*) FROM result", &code);
    }
    return code;
}

static bool is_damage(int code)
{
    return code == SQLITE_CORRUPT || code == SQLITE_NOTADB || code == SQLITE_ERROR;
}

/* Out of the way, with its log, for whoever wants to look at it. */
static void put_aside(const char *directory, const char *path)
{
    static const char *const tail[] = {"-wal", "-shm"};
    char other[PATH_MAX];
    for (size_t i = 0; i < sizeof tail / sizeof tail[0]; i++) {
        (void)snprintf(other, sizeof other, "%s%s", path, tail[i]);
        (void)unlink(other);
    }
    (void)snprintf(other, sizeof other, "%s/results.damaged", directory);
    (void)rename(path, other);
    UAP_LOG(WARNING, GLOBAL, "%s: damaged; begun anew, the old one is %s", path, other);
}

/* Others have no business in it. */
static uap_status make_private(const char *path, uap_err *err)
{
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return UAP_FAIL(err, IO, "%s: cannot be opened as the cache", path);
    }
    (void)close(fd);
    return UAP_OK;
}

static void make_room(uap_service_cache *cache, int64_t bytes);

uap_status uap_service_cache_open(const char *directory, int64_t max_bytes,
                                  uap_service_cache **out, uap_err *err)
{
    char path[PATH_MAX - 32];
    uap_status rc = UAP_OK;
    uap_service_cache *cache = uap_calloc(1, sizeof *cache);
    *out = NULL;
    if (cache == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a cache");
    }
    cache->max_bytes = max_bytes;
    const int n = snprintf(path, sizeof path, "%s/results.sqlite", directory);
    if (n < 0 || (size_t)n >= sizeof path) {
        rc = UAP_FAIL(err, IO, "--cache: %.80s...: too long a name", directory);
        goto done;
    }
    UAP_TRY(make_private(path, err));
    int code = open_file(cache, path);
    if (is_damage(code)) {
        close_file(cache);
        put_aside(directory, path);
        UAP_TRY(make_private(path, err));
        code = open_file(cache, path);
    }
    if (code != SQLITE_OK) {
        rc = UAP_FAIL(err, IO, "%s: %s", path, sqlite3_errstr(code));
        goto done;
    }
    make_room(cache, 0);
    *out = cache;
    cache = NULL;
done:
    uap_service_cache_close(cache);
    return rc;
}

void uap_service_cache_close(uap_service_cache *cache)
{
    if (cache != NULL) {
        close_file(cache);
        uap_free(cache);
    }
}

/* Runs a statement that has its values; true: it has a row, and is to be reset. */
static bool step(uap_service_cache *cache, int which)
{
    const int code = sqlite3_step(cache->statement[which]);
    cache->figures.failures += code != SQLITE_ROW && code != SQLITE_DONE;
    return code == SQLITE_ROW;
}

static void reset(uap_service_cache *cache, int which)
{
    (void)sqlite3_reset(cache->statement[which]);
    (void)sqlite3_clear_bindings(cache->statement[which]);
}

static void bind_text(uap_service_cache *cache, int which, int at, const char *text)
{
    (void)sqlite3_bind_text(cache->statement[which], at, text, -1, SQLITE_STATIC);
}

char *uap_service_cache_find(uap_service_cache *cache, const char *key)
{
    char *text = NULL;
    bind_text(cache, FIND, 1, key);
    if (step(cache, FIND)) {
        const unsigned char *found = sqlite3_column_text(cache->statement[FIND], 0);
        text = found != NULL ? uap_strdup((const char *)found) : NULL;
    }
    reset(cache, FIND);
    if (text != NULL) {
        bind_text(cache, TOUCH, 1, key);
        (void)sqlite3_bind_int64(cache->statement[TOUCH], 2, ++cache->used);
        (void)step(cache, TOUCH);
        reset(cache, TOUCH);
    }
    return text;
}

/* Forgets the oldest until `bytes` more fit. */
static void make_room(uap_service_cache *cache, int64_t bytes)
{
    int64_t freed = 1;
    while (freed > 0 && cache->figures.entries > 0 &&
           cache->figures.bytes + bytes > cache->max_bytes) {
        freed = 0;
        if (step(cache, OLDEST)) {
            freed = sqlite3_column_int64(cache->statement[OLDEST], 1);
            const unsigned char *key = sqlite3_column_text(cache->statement[OLDEST], 0);
            bind_text(cache, DROP, 1, (const char *)key);
            (void)step(cache, DROP);
            freed = sqlite3_changes(cache->db) == 1 ? freed : 0;
            reset(cache, DROP);
        }
        reset(cache, OLDEST);
        cache->figures.bytes -= freed;
        cache->figures.entries -= freed > 0;
        cache->figures.evicted += freed > 0;
    }
}

void uap_service_cache_keep(uap_service_cache *cache, const char *key, const char *text)
{
    const int64_t bytes = (int64_t)strlen(text) + UAP_SERVICE_CACHE_OVERHEAD;
    char *old = NULL;
    if (bytes > cache->max_bytes / 4 || bytes > INT_MAX) {
        return;
    }
    old = uap_service_cache_find(cache, key);
    if (old != NULL) { /* somebody asked the same at the same time */
        uap_free(old);
        return;
    }
    make_room(cache, bytes);
    bind_text(cache, KEEP, 1, key);
    bind_text(cache, KEEP, 2, text);
    (void)sqlite3_bind_int64(cache->statement[KEEP], 3, bytes);
    (void)sqlite3_bind_int64(cache->statement[KEEP], 4, ++cache->used);
    const int64_t failures = cache->figures.failures;
    (void)step(cache, KEEP);
    reset(cache, KEEP);
    if (cache->figures.failures == failures) {
        cache->figures.bytes += bytes;
        cache->figures.entries++;
    }
}

uap_service_cache_figures uap_service_cache_look(const uap_service_cache *cache)
{
    return cache->figures;
}
