/* One model on one cluster under one set of options: from cost tables to proof, measured.
 * Private to bench_*.c. */
#ifndef UAP_BENCH_BENCH_CASE_H
#define UAP_BENCH_BENCH_CASE_H

#include "bench/bench_search.h"
#include "bench/measure.h"
#include "search/cost.h"

typedef struct uap_case {
    const char *model, *cluster; /* file names without .json */
    const char *label;           /* of the cluster, "EnvA" */
    int64_t seq;                 /* 0: the model's own */
    uap_cost_options options;
} uap_case;

/* What a case came to. */
typedef struct uap_case_run {
    bool skipped; /* a file was missing */
    uap_run run;  /* CPU and wall seconds include the making of the cost tables */
    int32_t configurations;
    int32_t most_strategies; /* largest S_u of the best configuration */
    uap_configuration best;  /* of the plan */
    uap_instance *instance;  /* the best configuration's, owned; NULL without a plan */
} uap_case_run;

/* Loads, costs and solves. The caller frees with uap_case_free. Errors: those of the
 * readers and of the engine; a file that does not exist is not one. */
UAP_NODISCARD uap_status uap_case_solve(const uap_bench_search *bench,
                                        const uap_case *what, uap_case_run *out,
                                        uap_err *err);
void uap_case_free(uap_case_run *run);

#endif
