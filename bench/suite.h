/* The hard searches that speed is measured on: a table of named cases, each a source of
 * configurations that any rank can make for itself. What they come to is in
 * docs/performance.md. A case once published keeps its name and its numbers: another
 * instance is another case. */
#ifndef UAP_BENCH_SUITE_H
#define UAP_BENCH_SUITE_H

#include "bench/generate.h"
#include "search/cost.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum uap_suite_kind {
    UAP_SUITE_CHAIN,   /* one generated instance */
    UAP_SUITE_MIXED,   /* one generated instance of a mixed cluster */
    UAP_SUITE_WIDE,    /* one generated chain with many skips */
    UAP_SUITE_MODEL,   /* all configurations of a model on a cluster */
    UAP_SUITE_RECORDED /* one instance file with a known optimum */
} uap_suite_kind;

/* All configurations of a model under one set of options. */
typedef struct uap_suite_model {
    const char *model, *cluster; /* file names without .json */
    int64_t seq;
    bool operator_granularity;
    uap_cost_options options;
} uap_suite_model;

typedef struct uap_suite_case {
    const char *name;
    uap_suite_kind kind;
    uap_generate_large chain;   /* CHAIN */
    uap_generate_cluster mixed; /* MIXED */
    uap_generate_wide wide;     /* WIDE */
    uap_suite_model model;      /* MODEL */
    const char *file;           /* RECORDED: without .json */
    double optimum_s;           /* RECORDED: to six decimals; 0: not known */
} uap_suite_case;

int uap_suite_count(void);
const uap_suite_case *uap_suite_at(int index);

/* NULL when no case has the name. */
const uap_suite_case *uap_suite_find(const char *name);

/* Where the files of cases are. */
typedef struct uap_suite_folders {
    const char *configs;   /* with models/ and clusters/ */
    const char *instances; /* recorded instances */
} uap_suite_folders;

/* A case ready to be searched. */
typedef struct uap_suite_problem {
    uap_source source;      /* valid until uap_suite_close */
    bool missing;           /* a file is not there: no source; `path` names it */
    uap_instance *instance; /* of all but MODEL, owned */
    uap_cost *cost;         /* MODEL, owned, as are: */
    uap_model *loaded_model;
    uap_cluster *cluster;
    char path[1024];
} uap_suite_problem;

/* Makes or loads a case. The caller closes *out, after a failure too. Errors: those of the
 * readers and generators; a file that does not exist is not one. Local. */
UAP_NODISCARD uap_status uap_suite_open(const uap_suite_case *what,
                                        const uap_suite_folders *folders,
                                        uap_suite_problem *out, uap_err *err);
void uap_suite_close(uap_suite_problem *problem);

/* 64-bit FNV-1a over every entry of an instance that decides its optimum: the same number
 * for the same instance everywhere. O(size). */
uint64_t uap_suite_fingerprint(const uap_instance *instance);

#ifdef __cplusplus
}
#endif
#endif
