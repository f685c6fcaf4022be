/* A plan search written down as what a crew of ranks would do with it (search/crew.h): what
 * every one of them does for itself, and the jobs that they share, task by task. A
 * simulation can then spread it over any number of ranks. */
#ifndef UAP_BENCH_RECORDED_SEARCH_H
#define UAP_BENCH_RECORDED_SEARCH_H

#include "bench/recorded_tree.h"
#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_recorded_job {
    int32_t n;       /* tasks */
    double *task_ns; /* [n] */
    int64_t n_bytes; /* of all results */
} uap_recorded_job;

typedef struct uap_recorded_search {
    int32_t n_jobs, capacity;
    uap_recorded_job *job; /* [n_jobs] in the order in which they were done */
    int64_t n_tasks;
    int64_t meetings;  /* of all ranks, those before and after jobs included */
    double alone_ns;   /* what is not in jobs */
    double shared_ns;  /* the tasks of all jobs */
    double longest_ns; /* of a task */
    int64_t value;     /* ticks, of the plan found */
    uap_outcome outcome;
} uap_recorded_search;

/* Searches the source to its end in this process, as a crew of one, by CPU time. limits: may
 * be NULL; a stopped search is recorded as far as it came. The caller frees *out with
 * uap_recorded_search_free, after a failure too. Errors: those of uap_exact_solve. Local. */
UAP_NODISCARD uap_status uap_recorded_search_make(const uap_source *source,
                                                  const uap_limits *limits,
                                                  uap_recorded_search *out, uap_err *err);

/* The job's tasks as the trees of ranges that mpi/tasks.h has on so many ranks, one root a
 * rank. The caller frees *tree with uap_recorded_tree_free. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_recorded_job_tree(const uap_recorded_job *job, int size,
                                               uap_recorded_tree *tree, uap_err *err);

void uap_recorded_search_free(uap_recorded_search *search);

#ifdef __cplusplus
}
#endif
#endif
