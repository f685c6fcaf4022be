/* The checkpoint file: a line that names the format and its version, a line with the length
 * and the SHA-256 of all that follows, lines of a word and a value, and after "data" the
 * plan's bytes and the nodes'. */
#include "cli/checkpoint.h"

#include "common/file.h"
#include "common/log.h"
#include "common/mem.h"
#include "common/sha256.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define FORMAT     "uniap-checkpoint"
#define VERSION    1
#define BYTES_MAX  ((size_t)1 << 40)
#define HEAD_BYTES 8192 /* of all lines: UAP_INPUTS_MAX inputs and a dozen more */
#define DATA       "data\n"

void uap_inputs_note(uap_inputs *inputs, const char *name, const char *format, ...)
{
    if (inputs->n < UAP_INPUTS_MAX) {
        va_list args;
        va_start(args, format);
        inputs->item[inputs->n].name = name;
        (void)vsnprintf(inputs->item[inputs->n].value, UAP_INPUT_VALUE_MAX, format, args);
        inputs->n++;
        va_end(args);
    }
}

/* ---- Writing ---- */

/* What the checksum covers, but for the data. */
static size_t write_lines(const uap_inputs *inputs, const uap_checkpoint *c, char *to)
{
    size_t n = 0;
    for (int i = 0; i < inputs->n; i++) {
        n += (size_t)snprintf(to + n, HEAD_BYTES - n, "input %s %s\n",
                              inputs->item[i].name, inputs->item[i].value);
    }
    n += (size_t)snprintf(to + n, HEAD_BYTES - n,
                          "value %" PRId64 "\nbound %" PRId64 "\nworked %" PRId64
                          "\nelapsed_s %.17g\nplan_bytes %zu\nnodes %" PRId64
                          "\nnode_bytes %zu\n" DATA,
                          c->value, c->bound, c->worked, c->elapsed_s, c->plan_bytes,
                          c->n_nodes, c->node_bytes);
    return n;
}

static char *append(char *to, const char *from, size_t n)
{
    if (n > 0) {
        memcpy(to, from, n);
    }
    return to + n;
}

static uap_status write_text(const char *path, const uap_inputs *inputs,
                             const uap_checkpoint *c, uap_err *err)
{
    uap_status rc = UAP_OK;
    char digest[UAP_SHA256_HEX];
    char *body = uap_calloc(HEAD_BYTES + c->plan_bytes + c->node_bytes, 1);
    char *text = uap_calloc(2 * HEAD_BYTES + c->plan_bytes + c->node_bytes, 1);
    if (body == NULL || text == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY,
                      "%s: no memory for a checkpoint of %" PRId64 " nodes", path,
                      c->n_nodes);
        goto done;
    }
    size_t n = write_lines(inputs, c, body);
    char *end = append(append(body + n, c->plan, c->plan_bytes), c->nodes, c->node_bytes);
    n = (size_t)(end - body);
    uap_sha256_hex(body, n, digest);
    const int head = snprintf(text, HEAD_BYTES, FORMAT " %d\nsha256 %s of %zu bytes\n",
                              VERSION, digest, n);
    (void)append(text + head, body, n);
    rc = uap_file_write(path, text, (size_t)head + n, err);
done:
    uap_free(body);
    uap_free(text);
    return rc;
}

/* path.old, freed by the caller; NULL: no memory. */
static char *old_name(const char *path)
{
    const size_t n = strlen(path) + sizeof ".old";
    char *name = uap_calloc(n, 1);
    if (name != NULL) {
        (void)snprintf(name, n, "%s.old", path);
    }
    return name;
}

uap_status uap_checkpoint_write(const char *path, const uap_inputs *inputs,
                                const uap_checkpoint *checkpoint, bool keep_newest,
                                uap_err *err)
{
    if (keep_newest) {
        char *old = old_name(path);
        if (old == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "%s: no memory for its name", path);
        }
        /* A second name, so that `path` is there at every moment; where the file system has
         * none, it is moved. Neither may work, and the newest then simply goes. */
        (void)unlink(old);
        if (link(path, old) != 0) {
            (void)rename(path, old);
        }
        uap_free(old);
    }
    return write_text(path, inputs, checkpoint, err);
}

/* ---- Reading ---- */

/* A file being read line by line. */
typedef struct reader {
    const char *path;
    const char *at, *end;
    bool is_damaged; /* else it is refused for what it says */
} reader;

static uap_status damaged(reader *r, const char *what, uap_err *err)
{
    r->is_damaged = true;
    return UAP_FAIL(err, BAD_INPUT, "%s: a damaged checkpoint: %s", r->path, what);
}

/* The next line without its end, NUL-terminated in `line`. False: none, or too long. */
static bool next_line(reader *r, char *line, size_t size)
{
    const char *end = memchr(r->at, '\n', (size_t)(r->end - r->at));
    if (end == NULL || (size_t)(end - r->at) >= size) {
        return false;
    }
    (void)append(line, r->at, (size_t)(end - r->at));
    line[end - r->at] = '\0';
    r->at = end + 1;
    return true;
}

static uap_status read_top(reader *r, uap_err *err)
{
    char line[256], found[UAP_SHA256_HEX], digest[UAP_SHA256_HEX];
    int version = 0;
    size_t n = 0;
    if (r->at == r->end) {
        return damaged(r, "it is empty", err);
    }
    if (!next_line(r, line, sizeof line) || sscanf(line, FORMAT " %d", &version) != 1) {
        return UAP_FAIL(err, BAD_INPUT,
                        "%s: found no " FORMAT
                        " in its first line: not a checkpoint, and not written over",
                        r->path);
    }
    if (version != VERSION) {
        return UAP_FAIL(err, BAD_INPUT,
                        "%s: found version %d of the format, expected %d: remove it to "
                        "begin anew",
                        r->path, version, VERSION);
    }
    if (!next_line(r, line, sizeof line) ||
        sscanf(line, "sha256 %64s of %zu bytes", found, &n) != 2) {
        return damaged(r, "no checksum", err);
    }
    if ((size_t)(r->end - r->at) != n) {
        (void)snprintf(line, sizeof line, "%zu bytes where there were %zu",
                       (size_t)(r->end - r->at), n);
        return damaged(r, line, err);
    }
    uap_sha256_hex(r->at, n, digest);
    return strcmp(found, digest) == 0 ? UAP_OK
                                      : damaged(r, "its checksum does not match", err);
}

static uap_status check_input(const reader *r, const char *line, const uap_inputs *inputs,
                              int i, uap_err *err)
{
    char expected[UAP_INPUT_VALUE_MAX + 64];
    if (i >= inputs->n) {
        return UAP_FAIL(err, BAD_INPUT,
                        "%s: a checkpoint of other inputs: it has '%.80s'", r->path,
                        line);
    }
    (void)snprintf(expected, sizeof expected, "input %s %s", inputs->item[i].name,
                   inputs->item[i].value);
    if (strcmp(line, expected) != 0) {
        return UAP_FAIL(err, BAD_INPUT,
                        "%s: a checkpoint of other inputs: found %.90s, expected %.90s",
                        r->path, line + sizeof "input " - 1,
                        expected + sizeof "input " - 1);
    }
    return UAP_OK;
}

/* The lines behind the inputs. */
static uap_status read_figures(reader *r, uap_checkpoint *c, uap_err *err)
{
    char line[256], all[2048];
    size_t n = 0;
    while (next_line(r, line, sizeof line) && strcmp(line, "data") != 0 &&
           n + strlen(line) + 2 < sizeof all) {
        n += (size_t)snprintf(all + n, sizeof all - n, "%s\n", line);
    }
    all[n] = '\0';
    if (sscanf(all,
               "value %" SCNd64 "\nbound %" SCNd64 "\nworked %" SCNd64
               "\nelapsed_s %lf\nplan_bytes %zu\nnodes %" SCNd64 "\nnode_bytes %zu",
               &c->value, &c->bound, &c->worked, &c->elapsed_s, &c->plan_bytes,
               &c->n_nodes, &c->node_bytes) != 7) {
        return damaged(r, "its figures are not whole", err);
    }
    const size_t data = (size_t)(r->end - r->at);
    if (c->plan_bytes > data || c->node_bytes != data - c->plan_bytes) {
        return damaged(r, "its data are not whole", err);
    }
    c->plan = r->at;
    c->nodes = r->at + c->plan_bytes;
    return UAP_OK;
}

static uap_status read_lines(reader *r, const uap_inputs *inputs, uap_checkpoint *c,
                             uap_err *err)
{
    uap_status rc = UAP_OK;
    char line[256];
    int i = 0;
    while (strncmp(r->at, "input ", sizeof "input " - 1) == 0) {
        if (!next_line(r, line, sizeof line)) {
            return damaged(r, "a line too long", err);
        }
        UAP_TRY(check_input(r, line, inputs, i++, err));
    }
    if (i != inputs->n) {
        return UAP_FAIL(err, BAD_INPUT, "%s: a checkpoint of other inputs: it has no %s",
                        r->path, inputs->item[i].name);
    }
    UAP_TRY(read_figures(r, c, err));
done:
    return rc;
}

/* One file. *is_damaged: an older one may do. */
static uap_status read_one(const char *path, const uap_inputs *inputs,
                           uap_checkpoint *out, char **text, bool *is_damaged,
                           uap_err *err)
{
    uap_status rc = UAP_OK;
    reader r = {.path = path};
    size_t n = 0;
    *is_damaged = false;
    *text = NULL;
    if (access(path, F_OK) != 0) {
        return UAP_OK;
    }
    UAP_TRY(uap_file_read(path, BYTES_MAX, text, &n, err));
    r.at = *text;
    r.end = *text + n;
    rc = read_top(&r, err);
    if (rc == UAP_OK) {
        rc = read_lines(&r, inputs, out, err);
    }
    *is_damaged = r.is_damaged;
done:
    if (rc != UAP_OK) {
        uap_free(*text);
        *text = NULL;
    }
    return rc;
}

uap_status uap_checkpoint_read(const char *path, const uap_inputs *inputs,
                               uap_checkpoint *out, char **text, bool *is_newest,
                               uap_err *err)
{
    bool is_damaged = false, old_is_damaged = false;
    uap_err old_err = {0};
    uap_status rc = read_one(path, inputs, out, text, &is_damaged, err);
    *is_newest = true;
    if (*text != NULL || (rc != UAP_OK && !is_damaged)) {
        return rc;
    }
    char *old = old_name(path);
    if (old == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "%s: no memory for its name", path);
    }
    const uap_status old_rc = read_one(old, inputs, out, text, &old_is_damaged, &old_err);
    if (*text != NULL) {
        UAP_LOG(WARNING, GLOBAL, "%s; going on from %s",
                rc == UAP_OK ? "the newest checkpoint is missing" : err->msg, old);
        *is_newest = false;
        rc = UAP_OK;
    } else if (rc == UAP_OK && old_rc != UAP_OK) {
        rc = old_rc; /* there is an older one only, and it does not do */
        if (err != NULL) {
            *err = old_err;
        }
    }
    uap_free(old);
    return rc;
}
