/* `uniap bench steal-sim`: how the tree search would do on more ranks than there are, by its
 * own state machine under a virtual clock (bench/virtual_ranks.h). */
#ifndef UAP_BENCH_BENCH_STEAL_SIM_H
#define UAP_BENCH_BENCH_STEAL_SIM_H

#include "bench/recorded_search.h"
#include "bench/recorded_tree.h"
#include "bench/uts.h"
#include "bench/virtual_ranks.h"
#include "mpi/comm.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Measures on this machine, in one process: the time of a node of tree T1, of a message on
 * either side, and of a look that finds none. comm has this rank alone. Errors: those of
 * uap_tree_search and of the transport. */
UAP_NODISCARD uap_status uap_steal_sim_measure(const uap_comm *comm,
                                               uap_virtual_machine *machine,
                                               uap_err *err);

typedef struct uap_bench_steal_sim {
    const uap_uts_tree *tree;    /* or NULL: */
    uap_recorded_tree *recorded; /* this one, or */
    uap_recorded_search *search; /* the jobs of this search */
    uap_virtual_machine machine; /* size is set from `ranks` */
    uap_tree_options options;
    const int64_t *ranks, *latencies_ns; /* [n_ranks], [n_latencies]: between nodes */
    int n_ranks, n_latencies;
    FILE *out;
} uap_bench_steal_sim;

/* Prints the machine and a line for each latency and number of ranks. *differs: a UTS tree
 * did not have its published size. Errors: uap_virtual_run's. Local. */
UAP_NODISCARD uap_status uap_bench_steal_sim_run(const uap_bench_steal_sim *bench,
                                                 bool *differs, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
