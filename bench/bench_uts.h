/* `uniap bench uts`: a UTS tree searched by all ranks, its size against the published one,
 * and the throughput against as many searches of one rank each at the same time. */
#ifndef UAP_BENCH_BENCH_UTS_H
#define UAP_BENCH_BENCH_UTS_H

#include "bench/uts.h"
#include "mpi/tree_search.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One search: what was counted on all ranks. */
typedef struct uap_uts_run {
    int64_t nodes, leaves, most_depth;
    double wall_s; /* from a barrier to the end on the last rank */
    uap_tree_result search;
} uap_uts_run;

/* Searches the tree on all ranks of comm. The caller frees with uap_uts_run_free. Errors
 * and *broken: uap_tree_search's. Collective. */
UAP_NODISCARD uap_status uap_uts_run_tree(const uap_comm *comm, const uap_uts_tree *tree,
                                          const uap_tree_options *options,
                                          uap_uts_run *run, bool *broken, uap_err *err);
void uap_uts_run_free(uap_uts_run *run);

/* Whether the counts are the published ones. */
bool uap_uts_run_is_right(const uap_uts_tree *tree, const uap_uts_run *run);

typedef struct uap_bench_uts {
    const uap_uts_tree *tree;
    uap_tree_options options;
    int64_t compare; /* so many pairs of runs, together and apart; 0: one run together */
    FILE *out;       /* rank 0's */
} uap_bench_uts;

/* Runs and prints on rank 0. *differs: a count was not the published one. Collective. */
UAP_NODISCARD uap_status uap_bench_uts_run(const uap_comm *comm,
                                           const uap_bench_uts *bench, bool *differs,
                                           bool *broken, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
