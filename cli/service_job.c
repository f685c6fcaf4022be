/* Parameters in, arguments and files out; then the command; then what it did. */
#include "cli/service_job.h"

#include "cli/options.h"
#include "common/json_write.h"
#include "common/log.h"
#include "common/mem.h"
#include "mpi/comm.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ARGS_MAX  256 /* of a request */
#define FILES_MAX 64

#define OUTPUT_NAME "output"

typedef struct method {
    const char *name;
    uap_command_fn *run;
    const char *document[4]; /* the keys of parameters that are files */
    const char *option[4];   /* which each is the value of; NULL: a positional argument */
} method;

static const method methods[] = {
    [UAP_SERVICE_PLAN] = {"plan", uap_cmd_plan, {"model", "cluster"}, {"-m", "-c"}},
    [UAP_SERVICE_SOLVE] = {"solve", uap_cmd_solve, {"instance"}, {NULL}},
    [UAP_SERVICE_CHECK] = {"check",
                           uap_cmd_check,
                           {"plan", "model", "cluster"},
                           {NULL, "-m", "-c"}},
    [UAP_SERVICE_EXPORT] = {"export", uap_cmd_export, {"plan"}, {NULL}},
};

uap_service_method uap_service_method_of(const char *name)
{
    for (int i = 0; i < UAP_SERVICE_METHODS; i++) {
        if (strcmp(methods[i].name, name) == 0) {
            return (uap_service_method)i;
        }
    }
    return UAP_SERVICE_METHODS;
}

const char *uap_service_method_name(uap_service_method method_id)
{
    return methods[method_id].name;
}

bool uap_service_is_search(uap_service_method method_id)
{
    return method_id == UAP_SERVICE_PLAN || method_id == UAP_SERVICE_SOLVE;
}

/* ---- The form of parameters ---- */

static uap_status bad(const char *what, const char *expected, uap_err *err)
{
    return UAP_FAIL(err, BAD_INPUT, "params: %.80s: expected %s", what, expected);
}

static bool is_document_key(const method *m, const char *key)
{
    for (int i = 0; i < 4 && m->document[i] != NULL; i++) {
        if (strcmp(m->document[i], key) == 0) {
            return true;
        }
    }
    return false;
}

/* Options that are files, or that no request has; the rest is the command's to judge. */
static bool is_option_name(const char *name)
{
    static const char *const none[] = {"help", "version", "output", "connect"};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        if (strcmp(none[i], name) == 0) {
            return false;
        }
    }
    return name[0] != '\0' && name[0] != '-' &&
           name[strspn(name, "abcdefghijklmnopqrstuvwxyz-")] == '\0';
}

static uap_status check_options(const uap_jval *options, uap_err *err)
{
    if (uap_jtype_of(options) != UAP_JSON_OBJECT || uap_jlen(options) > ARGS_MAX / 2) {
        return bad("options", "an object of the command's long options", err);
    }
    for (size_t i = 0; i < uap_jlen(options); i++) {
        const uap_jval value = uap_jentry(options, i);
        const uap_jtype type = uap_jtype_of(&value);
        if (!is_option_name(value.key)) {
            return bad(value.key, "one of the command's long options without its dashes",
                       err);
        }
        if (type != UAP_JSON_BOOL && type != UAP_JSON_INTEGER && type != UAP_JSON_REAL &&
            type != UAP_JSON_STRING) {
            return bad(value.key, "a string, a number, true or false", err);
        }
    }
    return UAP_OK;
}

static uap_status check_strings(const uap_jval *list, const char *key, size_t most,
                                uap_err *err)
{
    if (uap_jtype_of(list) != UAP_JSON_ARRAY || uap_jlen(list) > most) {
        return bad(key, "a list of strings, not too long", err);
    }
    for (size_t i = 0; i < uap_jlen(list); i++) {
        const uap_jval item = uap_jat(list, i);
        if (uap_jtype_of(&item) != UAP_JSON_STRING) {
            return bad(key, "strings alone", err);
        }
    }
    return UAP_OK;
}

static uap_status check_files(const uap_jval *files, const char *key, bool objects_too,
                              uap_err *err)
{
    if (uap_jtype_of(files) != UAP_JSON_OBJECT || uap_jlen(files) > FILES_MAX) {
        return bad(key, "an object of at most 64 names", err);
    }
    for (size_t i = 0; i < uap_jlen(files); i++) {
        const uap_jval item = uap_jentry(files, i);
        const uap_jtype type = uap_jtype_of(&item);
        if (type != UAP_JSON_STRING && (!objects_too || type != UAP_JSON_OBJECT)) {
            return bad(key, objects_too ? "texts or objects" : "texts", err);
        }
    }
    return UAP_OK;
}

static uap_status check_member(const method *m, const uap_jval *member, bool has_args,
                               uap_err *err)
{
    const char *key = member->key;
    const uap_jtype type = uap_jtype_of(member);
    if (strcmp(key, "args") == 0) {
        return check_strings(member, key, ARGS_MAX - 8, err);
    }
    if (strcmp(key, "directories") == 0) {
        return check_strings(member, key, FILES_MAX, err);
    }
    if (strcmp(key, "files") == 0) {
        return check_files(member, key, true, err);
    }
    if (strcmp(key, "faults") == 0 || strcmp(key, "held") == 0) {
        return check_files(member, key, false, err);
    }
    if (strcmp(key, "progress") == 0) {
        return type == UAP_JSON_BOOL ? UAP_OK : bad(key, "true or false", err);
    }
    if (strcmp(key, "options") == 0 && !has_args) {
        return check_options(member, err);
    }
    if (is_document_key(m, key) && !has_args) {
        return type == UAP_JSON_OBJECT || type == UAP_JSON_STRING
                   ? UAP_OK
                   : bad(key, "the document, or a name in files", err);
    }
    return bad(key,
               has_args ? "beside args only files, held, faults, directories, progress"
                        : "a member that this method has",
               err);
}

uap_status uap_service_check(uap_service_method method_id, const uap_jval *params,
                             uap_err *err)
{
    const method *m = &methods[method_id];
    uap_status rc = UAP_OK;
    uap_jval args;
    if (uap_jtype_of(params) != UAP_JSON_OBJECT) {
        return bad("params", "an object", err);
    }
    const bool has_args = uap_jfind(params, "args", &args);
    for (size_t i = 0; i < uap_jlen(params); i++) {
        const uap_jval member = uap_jentry(params, i);
        UAP_TRY(check_member(m, &member, has_args, err));
    }
done:
    return rc;
}

/* ---- Arguments and files ---- */

typedef struct request {
    const method *method;
    uap_arena *arena;
    char *argv[ARGS_MAX];
    int argc;
    uap_room_file file[2 * FILES_MAX + 8];
    size_t n_files;
    bool has_args; /* as a command line; else by options and documents */
} request;

static uap_status no_memory(uap_err *err)
{
    return UAP_FAIL(err, NO_MEMORY, "out of memory for a request");
}

static uap_status add_arg(request *r, const char *text, uap_err *err)
{
    const size_t n = strlen(text) + 1;
    char *copy = uap_arena_take(r->arena, n, 1);
    if (copy == NULL || r->argc >= ARGS_MAX - 1) {
        return no_memory(err);
    }
    memcpy(copy, text, n);
    r->argv[r->argc++] = copy;
    return UAP_OK;
}

/* A text of the document's, or an object as a text of its own. */
static uap_status add_file(request *r, const char *name, const uap_jval *value,
                           uap_err *err)
{
    const char *text = NULL;
    if (uap_jtype_of(value) == UAP_JSON_STRING) {
        if (uap_jas_str(value, &text, err) != UAP_OK) {
            return UAP_BAD_INPUT;
        }
    } else {
        uap_jout *copy = uap_jout_copy(value);
        char *own = copy != NULL ? uap_jout_text(copy) : NULL;
        const size_t n = own != NULL ? strlen(own) + 1 : 0;
        char *kept = own != NULL ? uap_arena_take(r->arena, n, 1) : NULL;
        if (kept != NULL) {
            memcpy(kept, own, n);
        }
        uap_free(own);
        uap_jout_free(copy);
        text = kept;
    }
    if (text == NULL || r->n_files == sizeof r->file / sizeof r->file[0]) {
        return no_memory(err);
    }
    r->file[r->n_files++] =
        (uap_room_file){.name = name, .text = text, .n = strlen(text)};
    return UAP_OK;
}

static uap_status add_all_files(request *r, const uap_jval *params, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval all;
    if (uap_jfind(params, "files", &all)) {
        for (size_t i = 0; i < uap_jlen(&all); i++) {
            const uap_jval one = uap_jentry(&all, i);
            UAP_TRY(add_file(r, one.key, &one, err));
        }
    }
    if (uap_jfind(params, "faults", &all)) {
        for (size_t i = 0; i < uap_jlen(&all); i++) {
            const uap_jval one = uap_jentry(&all, i);
            UAP_TRY(add_file(r, one.key, &one, err));
            r->file[r->n_files - 1].fault = r->file[r->n_files - 1].text;
        }
    }
    if (uap_jfind(params, "directories", &all)) {
        for (size_t i = 0; i < uap_jlen(&all); i++) {
            const uap_jval one = uap_jat(&all, i);
            UAP_TRY(add_file(r, NULL, &one, err));
            uap_room_file *last = &r->file[r->n_files - 1];
            *last = (uap_room_file){.name = last->text, .is_directory = true};
        }
    }
done:
    return rc;
}

static uap_status add_option(request *r, const uap_jval *value, uap_err *err)
{
    char text[64];
    const char *word = NULL;
    double real = 0;
    int64_t whole = 0;
    uap_status rc = UAP_OK;
    switch (uap_jtype_of(value)) {
    case UAP_JSON_STRING:
        UAP_TRY(uap_jas_str(value, &word, err));
        break;
    case UAP_JSON_INTEGER:
        UAP_TRY(uap_jas_i64(value, INT64_MIN, INT64_MAX, &whole, err));
        (void)snprintf(text, sizeof text, "%" PRId64, whole);
        word = text;
        break;
    case UAP_JSON_REAL:
        UAP_TRY(uap_jas_f64(value, -1e300, 1e300, &real, err));
        (void)snprintf(text, sizeof text, "%.17g", real);
        word = text;
        break;
    default:
        break; /* true: the option alone */
    }
    const size_t n = strlen(value->key) + (word != NULL ? strlen(word) : 0) + 4;
    char *arg = uap_arena_take(r->arena, n, 1);
    if (arg == NULL || r->argc >= ARGS_MAX - 1) {
        return no_memory(err);
    }
    (void)snprintf(arg, n, "--%s%s%s", value->key, word != NULL ? "=" : "",
                   word != NULL ? word : "");
    r->argv[r->argc++] = arg;
done:
    return rc;
}

static bool is_false(const uap_jval *object, const uap_jval *value)
{
    bool flag = true;
    return uap_jtype_of(value) == UAP_JSON_BOOL &&
           uap_jget_bool(object, value->key, &flag, NULL) == UAP_OK && !flag;
}

/* A document is one of `files` by its name, or stands here itself and is called after its
 * key. */
static uap_status add_document(request *r, const uap_jval *value, const char *option,
                               uap_err *err)
{
    uap_status rc = UAP_OK;
    const char *name = NULL;
    if (uap_jtype_of(value) == UAP_JSON_STRING) {
        UAP_TRY(uap_jas_str(value, &name, err));
    } else {
        const size_t n = strlen(value->key) + sizeof ".json";
        char *own = uap_arena_take(r->arena, n, 1);
        if (own == NULL) {
            return no_memory(err);
        }
        (void)snprintf(own, n, "%s.json", value->key);
        UAP_TRY(add_file(r, own, value, err));
        name = own;
    }
    if (option != NULL) {
        UAP_TRY(add_arg(r, option, err));
    }
    UAP_TRY(add_arg(r, name, err));
done:
    return rc;
}

static uap_status add_by_options(request *r, const uap_jval *params, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval value;
    UAP_TRY(add_arg(r, "-o" OUTPUT_NAME, err));
    if (uap_jfind(params, "options", &value)) {
        for (size_t i = 0; i < uap_jlen(&value); i++) {
            const uap_jval one = uap_jentry(&value, i);
            if (!is_false(&value, &one)) {
                UAP_TRY(add_option(r, &one, err));
            }
        }
    }
    for (int i = 0; i < 4 && r->method->document[i] != NULL; i++) {
        if (r->method->option[i] != NULL &&
            uap_jfind(params, r->method->document[i], &value)) {
            UAP_TRY(add_document(r, &value, r->method->option[i], err));
        }
    }
    if (r->method->option[0] == NULL &&
        uap_jfind(params, r->method->document[0], &value)) {
        UAP_TRY(add_arg(r, "--", err));
        UAP_TRY(add_document(r, &value, NULL, err));
    }
done:
    return rc;
}

static uap_status read_request(request *r, const uap_jval *params, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_jval args;
    UAP_TRY(add_arg(r, r->method->name, err));
    UAP_TRY(add_all_files(r, params, err));
    r->has_args = uap_jfind(params, "args", &args);
    if (!r->has_args) {
        UAP_TRY(add_by_options(r, params, err));
        goto done;
    }
    for (size_t i = 0; i < uap_jlen(&args); i++) {
        const uap_jval one = uap_jat(&args, i);
        const char *text = NULL;
        UAP_TRY(uap_jas_str(&one, &text, err));
        UAP_TRY(add_arg(r, text, err));
    }
done:
    return rc;
}

/* ---- What was done ---- */

/* What was written, as JSON where it is that, else as text. */
static uap_jout *read_output(const uap_room_page *page)
{
    uap_json *doc = NULL;
    uap_jout *copy = NULL;
    if (uap_json_parse(page->name, page->text, page->n, &doc, NULL) == UAP_OK) {
        const uap_jval root = uap_json_root(doc);
        copy = uap_jout_copy(&root);
    }
    uap_json_free(doc);
    return copy;
}

static char *write_result(const request *r, const uap_room *room, int exit)
{
    uap_jout *result = uap_jout_object();
    uap_jset_i64(result, "exit", exit);
    uap_jset_str(result, "stdout", room->out_text);
    uap_jset_str(result, "stderr", room->err_text);
    if (r->has_args) {
        uap_jout *files = uap_jout_object();
        for (const uap_room_page *page = room->page; page != NULL; page = page->next) {
            uap_jset_str(files, page->name, page->text);
        }
        uap_jset(result, "files", files);
    } else if (room->page != NULL) {
        uap_jout *output = read_output(room->page);
        if (output != NULL) {
            uap_jset(result, OUTPUT_NAME, output);
        } else {
            uap_jset_str(result, OUTPUT_NAME, room->page->text);
        }
    }
    char *text = uap_jout_text(result);
    uap_jout_free(result);
    return text;
}

/* Inside the room. */
static int run_command(const uap_cli *cli, request *r)
{
    uap_log_setup(UAP_LOG_INFO, cli->rank, NULL, NULL);
    return r->method->run(cli, r->argc, r->argv);
}

static uap_status enter(request *r, const uap_json *doc, uap_room *room, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_jval root = uap_json_root(doc);
    UAP_TRY(read_request(r, &root, err));
    room->file = r->file;
    room->n_files = r->n_files;
    rc = uap_room_enter(room, err);
done:
    return rc;
}

uap_status uap_service_run(const uap_cli *cli, uap_service_method method_id,
                           const char *params, uap_room *room, uap_service_done *done,
                           uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_json *doc = NULL;
    request *r = uap_calloc(1, sizeof *r);
    *done = (uap_service_done){.exit = UAP_EXIT_FAILURE};
    if (r == NULL) {
        return no_memory(err);
    }
    r->method = &methods[method_id];
    r->arena = uap_arena_new();
    rc = r->arena == NULL ? no_memory(err)
                          : uap_json_parse("params", params, strlen(params), &doc, err);
    if (rc == UAP_OK) {
        rc = enter(r, doc, room, err);
    }
    if (cli->size > 1) {
        const uap_status own = rc;
        rc = uap_comm_agree(cli->comm, rc, err);
        if (own == UAP_OK && rc != UAP_OK) {
            uap_room_leave(room);
            uap_room_clear(room);
        }
    }
    if (rc != UAP_OK) {
        goto done;
    }
    done->exit = run_command(cli, r);
    uap_room_leave(room);
    if (cli->rank == 0) {
        done->missing = room->missing;
        room->missing = NULL;
        done->result = write_result(r, room, done->exit);
    }
    uap_room_clear(room);
done:
    uap_json_free(doc);
    uap_arena_free(r->arena);
    uap_free(r);
    return rc;
}
