/* Command lines, and what a process of its own makes of each. */
#include "cli/serve_cases.h"

#include "common/file.h"
#include "common/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ANSWER_MAX ((size_t)64 << 20)

static const char *const models[] = {"bert-huge",    "vit-huge", "t5-large",
                                     "llama-3.1-8b", "llama-7b", "swin-huge"};
static const char *const clusters[] = {"env-a", "env-b", "env-c", "env-d"};
static const char *const targets[] = {"megatron", "deepspeed", "torchtitan", "galvatron"};

#define N_OF(list) (int)(sizeof(list) / sizeof(list)[0])

/* ---- Answers ---- */

/* Takes the lines from the first that starts with `first` to the next that has `last` out. */
static void cut_lines(char *text, const char *first, const char *last)
{
    char *from = strstr(text, first);
    char *to = from != NULL ? strstr(from + 1, last) : NULL;
    to = to != NULL ? strchr(to + 1, '\n') : NULL;
    if (to != NULL) {
        memmove(from, to, strlen(to) + 1);
    }
}

void uap_serve_strip(char *text)
{
    if (text != NULL) {
        cut_lines(text, "\n  \"search\": {", "\n  }");
        cut_lines(text, "\nsearch   ", " CPU s on ");
    }
}

static bool is_same_text(const char *a, const char *b)
{
    return strcmp(a != NULL ? a : "", b != NULL ? b : "") == 0;
}

bool uap_serve_is_same(const uap_serve_answer *a, const uap_serve_answer *b)
{
    return a->exit == b->exit && is_same_text(a->out, b->out) &&
           is_same_text(a->err, b->err) && is_same_text(a->file, b->file);
}

void uap_serve_answer_free(uap_serve_answer *answer)
{
    uap_free(answer->out);
    uap_free(answer->err);
    uap_free(answer->file);
    *answer = (uap_serve_answer){0};
}

/* ---- One process ---- */

/* In the child: never comes back. */
static void become(const uap_serve_case *c, const char *folder)
{
    char program[] = "/proc/self/exe", output[] = "-ooutput";
    char command[16];
    char *argv[UAP_SERVE_ARGS_MAX + 4];
    int n = 0;
    (void)snprintf(command, sizeof command, "%s", c->command);
    argv[n++] = program;
    argv[n++] = command;
    argv[n++] = output;
    for (int i = 0; i < c->n_args; i++) {
        argv[n++] = c->arg[i];
    }
    argv[n] = NULL;
    const bool ready = chdir(folder) == 0;
    const int out = ready ? open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    const int err = ready ? open("err", O_WRONLY | O_CREAT | O_TRUNC, 0600) : -1;
    if (out >= 0 && err >= 0 && dup2(out, STDOUT_FILENO) >= 0 &&
        dup2(err, STDERR_FILENO) >= 0) {
        (void)execv(program, argv);
    }
    _exit(127);
}

static uap_status read_part(const char *folder, const char *name, bool must_be,
                            char **text, uap_err *err)
{
    char path[PATH_MAX];
    size_t n = 0;
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    if (!must_be && access(path, F_OK) != 0) {
        return UAP_OK;
    }
    const uap_status rc = uap_file_read(path, ANSWER_MAX, text, &n, err);
    if (rc == UAP_OK) {
        uap_serve_strip(*text);
    }
    return rc;
}

static uap_status run_case(uap_serve_case *c, const char *folder, uap_err *err)
{
    char path[PATH_MAX];
    int status = 0;
    uap_status rc = UAP_OK;
    (void)snprintf(path, sizeof path, "%s/output", folder);
    (void)unlink(path);
    const pid_t child = fork();
    if (child == 0) {
        become(c, folder);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) {
    }
    if (child < 0 || !WIFEXITED(status) || WEXITSTATUS(status) == 127) {
        return UAP_FAIL(err, IO, "cannot run this program in %s", folder);
    }
    c->expected.exit = WEXITSTATUS(status);
    UAP_TRY(read_part(folder, "out", true, &c->expected.out, err));
    UAP_TRY(read_part(folder, "err", true, &c->expected.err, err));
    UAP_TRY(read_part(folder, "output", false, &c->expected.file, err));
done:
    return rc;
}

/* ---- Command lines ---- */

static uap_status add(uap_serve_case *c, const char *text, uap_err *err)
{
    c->arg[c->n_args] = c->n_args < UAP_SERVE_ARGS_MAX ? uap_strdup(text) : NULL;
    if (c->arg[c->n_args] == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a command line");
    }
    c->n_args++;
    return UAP_OK;
}

static uap_status make_plan(uap_serve_case *c, const char *configs, int i, uap_err *err)
{
    char text[PATH_MAX];
    uap_status rc = UAP_OK;
    c->command = "plan";
    (void)snprintf(text, sizeof text, "-m%s/models/%s.json", configs,
                   models[i % N_OF(models)]);
    UAP_TRY(add(c, text, err));
    (void)snprintf(text, sizeof text, "-c%s/clusters/%s.json", configs,
                   clusters[i / N_OF(models) % N_OF(clusters)]);
    UAP_TRY(add(c, text, err));
    (void)snprintf(text, sizeof text, "-b%d", 8 << (i % 4));
    UAP_TRY(add(c, text, err));
    (void)snprintf(text, sizeof text, "--seq=%d", 256 + 64 * i);
    UAP_TRY(add(c, text, err));
    UAP_TRY(add(c, i % 3 == 0 ? "--schedule=gpipe" : "--schedule=1f1b", err));
done:
    return rc;
}

/* A check or an export of the plan that an earlier case made. */
static uap_status make_use(uap_serve_case *c, const uap_serve_case *plan,
                           const char *folder, int i, uap_err *err)
{
    char path[PATH_MAX], option[32];
    uap_status rc = UAP_OK;
    const bool is_check = i % 2 == 0;
    c->command = is_check ? "check" : "export";
    (void)snprintf(path, sizeof path, "%s/plan-%d.json", folder, i);
    UAP_TRY(uap_file_write(path, plan->expected.file, strlen(plan->expected.file), err));
    UAP_TRY(add(c, path, err));
    if (!is_check) {
        (void)snprintf(option, sizeof option, "--to=%s", targets[i / 2 % N_OF(targets)]);
        UAP_TRY(add(c, option, err));
    }
done:
    return rc;
}

uap_status uap_serve_cases_new(const char *configs, const char *folder, int n,
                               uap_serve_cases *out, uap_err *err)
{
    char *real = realpath(configs, NULL), *there = realpath(folder, NULL);
    uap_status rc = UAP_OK;
    *out = (uap_serve_cases){.item = uap_calloc((size_t)n, sizeof *out->item)};
    if (out->item == NULL || real == NULL || there == NULL) {
        rc = UAP_FAIL(err, IO, "%s or %s: %s", configs, folder, strerror(errno));
        goto done;
    }
    for (out->n = 0; out->n < n;) {
        const int i = out->n;
        uap_serve_case *c = &out->item[i];
        const uap_serve_case *last = i > 0 ? c - 1 : NULL;
        out->n++;
        if (i % 4 == 3 && last->expected.file != NULL && last->command[0] == 'p') {
            UAP_TRY(make_use(c, last, there, i / 4, err));
        } else {
            UAP_TRY(make_plan(c, real, i, err));
        }
        UAP_TRY(run_case(c, there, err));
    }
done:
    free(real);
    free(there);
    return rc;
}

void uap_serve_cases_free(uap_serve_cases *cases)
{
    for (int i = 0; i < cases->n; i++) {
        for (int k = 0; k < cases->item[i].n_args; k++) {
            uap_free(cases->item[i].arg[k]);
        }
        uap_serve_answer_free(&cases->item[i].expected);
    }
    uap_free(cases->item);
    *cases = (uap_serve_cases){0};
}
