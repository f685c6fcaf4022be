/* `uniap bench search`: what the search reaches, as tables. Everything is measured in the
 * run itself; nothing here decides whether a test passes. */
#ifndef UAP_BENCH_BENCH_SEARCH_H
#define UAP_BENCH_BENCH_SEARCH_H

#include "common/status.h"

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The tables, in the order they are printed. */
#define UAP_BENCH_PART_LIST(X)                                                           \
    X(RANDOM, random)                                                                    \
    X(SIMULATION, simulation)                                                            \
    X(TABLE1, table1)                                                                    \
    X(LARGE, large)                                                                      \
    X(INSTANCES, instances)                                                              \
    X(HARD, hard)

typedef enum uap_bench_part {
#define UAP_BENCH_PART_ENUM(name, text) UAP_BENCH_##name,
    UAP_BENCH_PART_LIST(UAP_BENCH_PART_ENUM)
#undef UAP_BENCH_PART_ENUM
        UAP_BENCH_PART_COUNT
} uap_bench_part;

/* "random|simulation|..." in the order above. */
#define UAP_BENCH_PART_NAMES "random|simulation|table1|large|instances|hard"

/* What runs when nothing is asked for: all that takes seconds. */
#define UAP_BENCH_PARTS_DEFAULT ((1u << UAP_BENCH_HARD) - 1)

typedef struct uap_bench_search {
    uint32_t parts;           /* bit i: uap_bench_part i */
    const char *configs;      /* folder with models/ and clusters/ */
    const char *instances;    /* folder with the recorded chain instances */
    int64_t brute_instances;  /* random instances against brute force */
    int64_t cbc_instances;    /* random instances against CBC */
    double cbc_limit_s;       /* CBC is stopped after this many seconds an instance */
    double exact_limit_s;     /* and the exact engine after these, a case; 0: never */
    const char *const *cases; /* [n_cases] names of hard searches */
    int n_cases;              /* 0: all */
    const volatile sig_atomic_t *stop; /* ends the run early, or NULL */
    FILE *out;
} uap_bench_search;

/* Prints the chosen tables. *differs: an engine disagreed with another, with brute force or
 * with a recorded optimum. Files that are missing are skipped with a line that says so.
 * Errors: those of the engines and readers. */
UAP_NODISCARD uap_status uap_bench_search_run(const uap_bench_search *bench,
                                              bool *differs, uap_err *err);

/* The single tables; private to bench_*.c. */
UAP_NODISCARD uap_status uap_bench_random(const uap_bench_search *bench, bool *differs,
                                          uap_err *err);
UAP_NODISCARD uap_status uap_bench_simulation(const uap_bench_search *bench,
                                              bool *differs, uap_err *err);
UAP_NODISCARD uap_status uap_bench_table1(const uap_bench_search *bench, bool *differs,
                                          uap_err *err);
UAP_NODISCARD uap_status uap_bench_large(const uap_bench_search *bench, bool *differs,
                                         uap_err *err);
UAP_NODISCARD uap_status uap_bench_instances(const uap_bench_search *bench, bool *differs,
                                             uap_err *err);
UAP_NODISCARD uap_status uap_bench_hard(const uap_bench_search *bench, bool *differs,
                                        uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
