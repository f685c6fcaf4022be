/* How a recorded plan search would do on more ranks than there are: what every rank does for
 * itself once, its jobs by the state machine under a virtual clock, one after the other, and
 * what the ranks say to one another around each. */
#ifndef UAP_BENCH_STEAL_SEARCH_H
#define UAP_BENCH_STEAL_SEARCH_H

#include "bench/recorded_search.h"
#include "bench/virtual_ranks.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_steal_search {
    double time_ns;               /* of the whole */
    double jobs_ns;               /* of it, the jobs' tasks and the search for them */
    double meet_ns;               /* of it, meetings and the exchange of results */
    int64_t tried, won, messages; /* steals and messages, of all ranks together */
    bool differs;                 /* some job's tasks were not all done once */
} uap_steal_search;

/* machine: its size is the number of ranks. On one rank nothing is shared.
 * Errors: uap_virtual_run's. Local. */
UAP_NODISCARD uap_status uap_steal_search_run(const uap_recorded_search *search,
                                              const uap_tree_options *options,
                                              const uap_virtual_machine *machine,
                                              uap_steal_search *out, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
