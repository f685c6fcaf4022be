/* The requests of `uniap bench serve`: command lines, each done once by a process of its own,
 * whose answer is what a service's is held against. */
#ifndef UAP_CLI_SERVE_CASES_H
#define UAP_CLI_SERVE_CASES_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_SERVE_ARGS_MAX 24

/* What a command did: counts and times of the search are taken out. NULL: nothing. */
typedef struct uap_serve_answer {
    int exit;
    char *out, *err, *file;
} uap_serve_answer;

typedef struct uap_serve_case {
    const char *command; /* static storage */
    char *arg[UAP_SERVE_ARGS_MAX];
    int n_args;
    uap_serve_answer expected;
} uap_serve_case;

typedef struct uap_serve_cases {
    uap_serve_case *item;
    int n;
} uap_serve_cases;

/* At most n command lines on the models and clusters of `configs`: plans, checks and exports of
 * plans, instances; each is run with this program in `folder`, which exists. Errors: IO,
 * NO_MEMORY. The caller frees *out. */
UAP_NODISCARD uap_status uap_serve_cases_new(const char *configs, const char *folder,
                                             int n, uap_serve_cases *out, uap_err *err);
void uap_serve_cases_free(uap_serve_cases *cases);

/* Takes a search's counts and times out of a plan or a table, in place. */
void uap_serve_strip(char *text);

bool uap_serve_is_same(const uap_serve_answer *a, const uap_serve_answer *b);
void uap_serve_answer_free(uap_serve_answer *answer);

#ifdef __cplusplus
}
#endif
#endif
