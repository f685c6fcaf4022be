/* The ranks of a communicator as a crew (search/crew.h): tasks by work stealing, results to
 * all. What may stop a search, a clock or a flag of one rank, becomes the same for all where
 * they meet. */
#ifndef UAP_CLI_SEARCH_CREW_H
#define UAP_CLI_SEARCH_CREW_H

#include "mpi/comm.h"
#include "mpi/tasks.h"
#include "search/crew.h"
#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_search_crew {
    uap_crew face; /* its context is this struct, which therefore stays where it is */
    const uap_comm *comm;
    bool (*asked)(void *context); /* whether this rank has a reason to stop */
    void *context;
    bool stopping; /* the same on all ranks */
    bool failed;   /* with an error that all ranks know */
    bool broken;   /* messages fail: see uap_tree_search */
    int64_t meetings;
    uap_tasks_run *run; /* while this rank does a task */
    const uap_crew_job *job;
    uap_bytes results;              /* of the tasks done here */
    double busy_s;                  /* wall, in tasks of the job at hand */
    double idle_s;                  /* wall, in jobs but in no task */
    struct uap_transport_mpi *kept; /* of all jobs */
} uap_search_crew;

/* Fills *crew. limits: may be NULL; share_work and long_run_s count. Freed
 * with uap_search_crew_free. Local. */
void uap_search_crew_init(uap_search_crew *crew, const uap_comm *comm,
                          const uap_limits *limits);

/* After the last job. Collective. */
void uap_search_crew_free(uap_search_crew *crew);

/* Whether to stop: alike for all ranks, but for within a task. Local. */
bool uap_search_crew_must_stop(uap_search_crew *crew);

/* The end of what the crew did: `own`, a failure of one rank alone, becomes everyone's.
 * Collective. */
UAP_NODISCARD uap_status uap_search_crew_part(uap_search_crew *crew, uap_status own,
                                              uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
