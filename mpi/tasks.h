/* Numbered tasks shared out among ranks by work stealing: a tree search over ranges of task
 * numbers, whose leaves are the tasks. What a task does, and what becomes of its result, is
 * not known here. */
#ifndef UAP_MPI_TASKS_H
#define UAP_MPI_TASKS_H

#include "mpi/comm.h"
#include "mpi/tree_problem.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a running task talks to. */
typedef struct uap_tasks_run uap_tasks_run;

typedef struct uap_tasks {
    void *self;
    int32_t n; /* tasks 0 .. n - 1, about in this order */
    /* Once all ranks together have spent more, all are stopped; INT64_MAX: no limit. */
    int64_t effort;
    /* As in uap_tree_options, for jobs that follow one another; or NULL. */
    struct uap_transport_mpi **kept;
    /* Does one task, on this rank; uap_tasks_run stays good until it returns. */
    uap_status (*run)(void *self, int32_t task, uap_tasks_run *run, uap_err *err);
} uap_tasks;

/* Lets messages through and counts what the task has spent since the last call; to be
 * called every millisecond or so. True when the tasks need not be gone on with. Errors of
 * the transport end the whole search later. */
bool uap_tasks_breathe(uap_tasks_run *run, int64_t spent);

/* Asks all ranks to stop. */
void uap_tasks_stop(uap_tasks_run *run);

/* Runs every task on some rank. *stopped, alike on all: not every one was finished.
 * Errors: those of tasks, alike on all ranks; those of messages, with *broken as in
 * uap_tree_search. Collective. */
UAP_NODISCARD uap_status uap_tasks_share(const uap_comm *comm, const uap_tasks *tasks,
                                         bool *stopped, bool *broken, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
