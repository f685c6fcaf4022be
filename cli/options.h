/* The command line as a table: one row an option, its type, its range and where the value
 * goes. It reads and prints help and errors; it knows no command. */
#ifndef UAP_CLI_OPTIONS_H
#define UAP_CLI_OPTIONS_H

#include "cli/commands.h"
#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_LIST_MAX      64
#define UAP_SENT_ARGS_MAX 240

/* Numbers separated by commas, or values of an option that may be repeated. */
typedef struct uap_int_list {
    int32_t n;
    int64_t value[UAP_LIST_MAX];
} uap_int_list;

typedef struct uap_str_list {
    int32_t n;
    const char *value[UAP_LIST_MAX]; /* point into argv */
} uap_str_list;

/* What the value is and what `out` points to. */
typedef enum uap_option_kind {
    UAP_OPT_FLAG,  /* no value; bool, set true */
    UAP_OPT_STR,   /* const char *, points into argv; must not be empty */
    UAP_OPT_STRS,  /* uap_str_list; the option may be repeated */
    UAP_OPT_INT,   /* int64_t in [min, max] */
    UAP_OPT_INTS,  /* uap_int_list, each in [min, max] */
    UAP_OPT_REAL,  /* double in [min, max], finite */
    UAP_OPT_GIB,   /* int64_t bytes from a number of GiB in [min, max] */
    UAP_OPT_CHOICE /* int, index into `choices` */
} uap_option_kind;

typedef struct uap_option {
    char letter;      /* 'm' for -m, or 0 */
    const char *name; /* "model" for --model */
    uap_option_kind kind;
    void *out;           /* keeps its value, the default, when the option is absent */
    const char *value;   /* how help calls the value; NULL: the choices, or none */
    const char *help;    /* one line */
    double min, max;     /* of numbers; whole numbers below 2^53 for integers */
    const char *choices; /* "gpipe|1f1b" */
    bool *given;         /* set true when the option was there; may be NULL */
    bool stays_here;     /* it is no part of what is sent to a service */
} uap_option;

/* A command line without the command and the options that stay here. */
typedef struct uap_sent_args {
    int n;
    char *arg[UAP_SENT_ARGS_MAX]; /* point into argv */
} uap_sent_args;

typedef struct uap_usage {
    const char *name;     /* "plan" */
    const char *synopsis; /* "-m MODEL -c CLUSTER -b BATCH [options]" */
    const char *about;    /* sentences for --help */
    const uap_option *option;
    int n_options;
    int min_args, max_args; /* positional arguments */
    uap_sent_args *sent;    /* filled where not NULL */
} uap_usage;

typedef enum uap_parsed {
    UAP_PARSED,      /* go on */
    UAP_PARSED_HELP, /* --help or --version was answered: return UAP_EXIT_OK */
    UAP_PARSED_BAD   /* the error was printed: return UAP_EXIT_USAGE */
} uap_parsed;

/* Reads argv[1..]: "--name value", "--name=value", "-m value", "-mvalue", "--" and
 * positional arguments, which go to arg[0 .. max_args - 1] with their number in *n_args
 * (both may be NULL where max_args is 0). Prints on rank 0 only. Local. */
uap_parsed uap_options_parse(const uap_cli *cli, const uap_usage *usage, int argc,
                             char **argv, const char **arg, int *n_args);

/* One number in full, "12" or "1e3" for whole ones: false where text is anything else. */
bool uap_parse_i64(const char *text, int64_t *out);
bool uap_parse_f64(const char *text, double *out);

/* The exit status for a failed call: input, usage and files that the user named give
 * UAP_EXIT_USAGE, everything else UAP_EXIT_FAILURE. */
int uap_exit_of(uap_status status);

/* Prints "uniap: <message>" on rank 0's stderr and returns uap_exit_of(err->code). */
int uap_cli_fail(const uap_cli *cli, const uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
