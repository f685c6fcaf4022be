/* Table-driven reading of the command line. Every message names the option, what was found
 * and what was expected. */
#include "cli/options.h"

#include "common/room.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GIB ((double)((int64_t)1 << 30))

bool uap_parse_f64(const char *text, double *out)
{
    char *end = NULL;
    if (text[0] == '\0' || strchr("+-.0123456789", text[0]) == NULL ||
        strpbrk(text, "xXpP") != NULL) {
        return false; /* strtod would take blanks, "inf", "nan" and hexadecimal */
    }
    const double value = strtod(text, &end);
    if (end == text || *end != '\0' || !isfinite(value)) {
        return false;
    }
    *out = value;
    return true;
}

bool uap_parse_i64(const char *text, int64_t *out)
{
    char *end = NULL;
    if (text[0] == '\0' || strchr("+-0123456789", text[0]) == NULL) {
        return false;
    }
    errno = 0;
    const long long value = strtoll(text, &end, 10);
    if (errno == 0 && end != text && *end == '\0') {
        *out = value;
        return true;
    }
    double real = 0;
    if (!uap_parse_f64(text, &real) || real != floor(real) || fabs(real) > 9.0e15) {
        return false;
    }
    *out = (int64_t)real;
    return true;
}

int uap_exit_of(uap_status status)
{
    switch (status) {
    case UAP_OK:
        return UAP_EXIT_OK;
    case UAP_BAD_USAGE:
    case UAP_BAD_INPUT:
    case UAP_TOO_LARGE:
    case UAP_UNSUPPORTED:
    case UAP_IO:
        return UAP_EXIT_USAGE;
    default:
        return UAP_EXIT_FAILURE;
    }
}

int uap_cli_fail(const uap_cli *cli, const uap_err *err)
{
    if (cli->rank == 0) {
        (void)fprintf(uap_room_err(), "uniap: %s\n",
                      err->msg[0] != '\0' ? err->msg : uap_status_text(err->code));
    }
    return uap_exit_of(err->code == UAP_OK ? UAP_INTERNAL : err->code);
}

/* How the option is written in messages, "--batch" or "-b". */
static void spell(const uap_option *option, char text[64])
{
    if (option->letter != '\0') {
        (void)snprintf(text, 64, "-%c/--%s", option->letter, option->name);
    } else {
        (void)snprintf(text, 64, "--%s", option->name);
    }
}

static uap_status bad_value(const uap_option *option, const char *found,
                            const char *expected, uap_err *err)
{
    char name[64];
    spell(option, name);
    return UAP_FAIL(err, BAD_USAGE, "%s: found '%.80s', expected %s", name, found,
                    expected);
}

static uap_status bad_number(const uap_option *option, const char *found,
                             const char *what, uap_err *err)
{
    char expected[128];
    if (option->max >= 9.0e15) {
        (void)snprintf(expected, sizeof expected, "%s of at least %.15g", what,
                       option->min);
    } else {
        (void)snprintf(expected, sizeof expected, "%s from %.15g to %.15g", what,
                       option->min, option->max);
    }
    return bad_value(option, found, expected, err);
}

/* Index of text in "a|b|c", or -1. */
static int choice_index(const char *choices, const char *text)
{
    const size_t n = strlen(text);
    int index = 0;
    for (const char *at = choices;; index++) {
        const size_t length = strcspn(at, "|");
        if (length == n && strncmp(at, text, n) == 0) {
            return index;
        }
        if (at[length] == '\0') {
            return -1;
        }
        at += length + 1;
    }
}

static uap_status read_choice(const uap_option *option, const char *text, uap_err *err)
{
    const int index = choice_index(option->choices, text);
    if (index < 0) {
        return bad_value(option, text, option->choices, err);
    }
    *(int *)option->out = index;
    return UAP_OK;
}

static bool in_range(const uap_option *option, double value)
{
    return value >= option->min && value <= option->max;
}

static uap_status read_ints(const uap_option *option, const char *text, uap_err *err)
{
    uap_int_list list = {0};
    for (const char *at = text;;) {
        char item[32];
        const size_t length = strcspn(at, ",");
        int64_t value = 0;
        if (list.n == UAP_LIST_MAX) {
            return bad_value(option, text, "at most 64 numbers", err);
        }
        (void)snprintf(item, sizeof item, "%.*s",
                       (int)(length < sizeof item ? length : sizeof item), at);
        if (!uap_parse_i64(item, &value) || !in_range(option, (double)value)) {
            return bad_number(option, text, "whole numbers separated by commas, each",
                              err);
        }
        list.value[list.n++] = value;
        if (at[length] == '\0') {
            break;
        }
        at += length + 1;
    }
    *(uap_int_list *)option->out = list;
    return UAP_OK;
}

static uap_status read_number(const uap_option *option, const char *text, uap_err *err)
{
    double real = 0;
    int64_t whole = 0;
    if (option->kind == UAP_OPT_INT) {
        if (!uap_parse_i64(text, &whole) || !in_range(option, (double)whole)) {
            return bad_number(option, text, "a whole number", err);
        }
        *(int64_t *)option->out = whole;
        return UAP_OK;
    }
    if (!uap_parse_f64(text, &real) || !in_range(option, real)) {
        return bad_number(option, text,
                          option->kind == UAP_OPT_GIB ? "GiB, a number" : "a number",
                          err);
    }
    if (option->kind == UAP_OPT_GIB) {
        *(int64_t *)option->out = (int64_t)llround(real * GIB);
    } else {
        *(double *)option->out = real;
    }
    return UAP_OK;
}

static uap_status read_value(const uap_option *option, const char *text, uap_err *err)
{
    switch (option->kind) {
    case UAP_OPT_STR:
    case UAP_OPT_STRS: {
        if (text[0] == '\0') {
            return bad_value(option, text, "a value that is not empty", err);
        }
        if (option->kind == UAP_OPT_STR) {
            *(const char **)option->out = text;
            return UAP_OK;
        }
        uap_str_list *list = option->out;
        if (list->n == UAP_LIST_MAX) {
            return bad_value(option, text, "at most 64 of them", err);
        }
        list->value[list->n++] = text;
        return UAP_OK;
    }
    case UAP_OPT_INT:
    case UAP_OPT_REAL:
    case UAP_OPT_GIB:
        return read_number(option, text, err);
    case UAP_OPT_INTS:
        return read_ints(option, text, err);
    case UAP_OPT_CHOICE:
        return read_choice(option, text, err);
    case UAP_OPT_FLAG:
        break;
    }
    return bad_value(option, text, "no value", err);
}

/* The option called by the n characters at name, or by the letter. */
static const uap_option *find_long(const uap_usage *usage, const char *name, size_t n)
{
    for (int i = 0; i < usage->n_options; i++) {
        const char *known = usage->option[i].name;
        if (strlen(known) == n && strncmp(known, name, n) == 0) {
            return &usage->option[i];
        }
    }
    return NULL;
}

static const uap_option *find_letter(const uap_usage *usage, char letter)
{
    for (int i = 0; i < usage->n_options; i++) {
        if (usage->option[i].letter == letter) {
            return &usage->option[i];
        }
    }
    return NULL;
}

/* One option at argv[*at]; moves *at past its value. */
static uap_status read_option(const uap_usage *usage, int argc, char **argv, int *at,
                              bool *stays_here, uap_err *err)
{
    const char *text = argv[*at];
    const bool is_long = text[1] == '-';
    const size_t n = is_long ? strcspn(text + 2, "=") : 1;
    const uap_option *option =
        is_long ? find_long(usage, text + 2, n) : find_letter(usage, text[1]);
    if (option == NULL) {
        return UAP_FAIL(err, BAD_USAGE,
                        "%.80s: unknown option; `uniap %s --help` lists the known ones",
                        text, usage->name);
    }
    const char *value = NULL;
    if (is_long && text[2 + n] == '=') {
        value = text + 3 + n;
    } else if (!is_long && text[2] != '\0') {
        value = text + 2;
    }
    if (option->given != NULL) {
        *option->given = true;
    }
    *stays_here = option->stays_here;
    if (option->kind == UAP_OPT_FLAG && value == NULL) {
        *(bool *)option->out = true;
        return UAP_OK;
    }
    if (value == NULL) {
        if (*at + 1 >= argc) {
            return UAP_FAIL(err, BAD_USAGE, "%.80s: found no value, expected %s", text,
                            option->value != NULL ? option->value : option->choices);
        }
        value = argv[++*at];
    }
    return read_value(option, value, err);
}

static void print_help(const uap_usage *usage)
{
    (void)fprintf(uap_room_out(), "Usage: uniap %s %s\n\n%s\n\nOptions:\n", usage->name,
                  usage->synopsis, usage->about);
    for (int i = 0; i < usage->n_options; i++) {
        const uap_option *option = &usage->option[i];
        char left[96], letter[8] = "    ";
        if (option->letter != '\0') {
            (void)snprintf(letter, sizeof letter, "-%c, ", option->letter);
        }
        const char *value = option->value != NULL ? option->value : option->choices;
        (void)snprintf(left, sizeof left, "%s--%s%s%s", letter, option->name,
                       value != NULL ? " " : "", value != NULL ? value : "");
        if (strlen(left) > 26) {
            (void)fprintf(uap_room_out(), "  %s\n%30s%s\n", left, "", option->help);
        } else {
            (void)fprintf(uap_room_out(), "  %-26s  %s\n", left, option->help);
        }
    }
    (void)fprintf(uap_room_out(),
                  "      --help                  this text\n"
                  "      --version               the program's version\n");
}

/* argv[from .. to] are to be sent. */
static uap_status note_sent(const uap_usage *usage, char **argv, int from, int to,
                            uap_err *err)
{
    for (int i = from; usage->sent != NULL && i <= to; i++) {
        if (usage->sent->n == UAP_SENT_ARGS_MAX) {
            return UAP_FAIL(err, BAD_USAGE, "found more than %d arguments",
                            UAP_SENT_ARGS_MAX);
        }
        usage->sent->arg[usage->sent->n++] = argv[i];
    }
    return UAP_OK;
}

static uap_status read_all(const uap_usage *usage, int argc, char **argv,
                           const char **arg, int *n_args, uap_err *err)
{
    uap_status rc = UAP_OK;
    bool options_ended = false;
    for (int at = 1; at < argc; at++) {
        const char *text = argv[at];
        const int from = at;
        bool stays_here = false;
        if (!options_ended && strcmp(text, "--") == 0) {
            options_ended = true;
        } else if (!options_ended && text[0] == '-' && text[1] != '\0') {
            UAP_TRY(read_option(usage, argc, argv, &at, &stays_here, err));
        } else if (*n_args < usage->max_args) {
            arg[(*n_args)++] = text;
        } else {
            return UAP_FAIL(err, BAD_USAGE,
                            "found '%.80s', expected an option (`uniap %s --help`)", text,
                            usage->name);
        }
        if (!stays_here) {
            UAP_TRY(note_sent(usage, argv, from, at, err));
        }
    }
    if (*n_args < usage->min_args) {
        rc = UAP_FAIL(err, BAD_USAGE, "usage: uniap %s %s", usage->name, usage->synopsis);
    }
done:
    return rc;
}

/* Whether --help or --version is there, before "--". */
static const char *find_question(int argc, char **argv)
{
    for (int at = 1; at < argc && strcmp(argv[at], "--") != 0; at++) {
        if (strcmp(argv[at], "--help") == 0 || strcmp(argv[at], "--version") == 0) {
            return argv[at];
        }
    }
    return NULL;
}

uap_parsed uap_options_parse(const uap_cli *cli, const uap_usage *usage, int argc,
                             char **argv, const char **arg, int *n_args)
{
    const char *question = find_question(argc, argv);
    if (question != NULL) {
        if (cli->rank == 0 && strcmp(question, "--help") == 0) {
            print_help(usage);
        } else if (cli->rank == 0) {
            (void)fprintf(uap_room_out(), "uniap %s\n", UAP_VERSION);
        }
        return UAP_PARSED_HELP;
    }
    uap_err err = {0};
    int n = 0;
    if (read_all(usage, argc, argv, arg, &n, &err) != UAP_OK) {
        (void)uap_cli_fail(cli, &err);
        return UAP_PARSED_BAD;
    }
    if (n_args != NULL) {
        *n_args = n;
    }
    return UAP_PARSED;
}
