/* One run of CBC on the program of one instance (search/milp.h). It is the only file that
 * knows CBC, and it believes nothing CBC says of a plan: every plan is costed again. */
#ifndef UAP_SEARCH_ILP_CBC_H
#define UAP_SEARCH_ILP_CBC_H

#include "search/chain.h"
#include "search/milp.h"
#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_cbc_task {
    const uap_instance *instance;       /* checked */
    const uap_restriction *restriction; /* only these strategies, or NULL */
    uap_milp_goal goal;
    const uap_choice *start; /* a plan that fits, to start from, or NULL */
    int64_t start_value;     /* its value, ticks */
    int64_t cutoff;          /* ticks: only plans below it are wanted; 0: all */
    double seconds;          /* wall clock; <= 0: no limit */
    double gap;              /* relative gap at which to stop; 0: prove */
} uap_cbc_task;

/* OPTIMAL: choice is a best plan. FEASIBLE: stopped early with a plan. INFEASIBLE: there is
 * no plan (below the cutoff). UNKNOWN: stopped early with nothing (below the cutoff). */
typedef struct uap_cbc_answer {
    uap_outcome outcome;
    uap_choice choice; /* owned; arrays also where there is no plan */
    int64_t value;     /* ticks, by search/objective.h; memory goal: 0 */
    int64_t bound;     /* ticks: no plan is below it, as far as CBC is right */
    int64_t nodes;
} uap_cbc_answer;

/* Runs CBC on a new model, one thread, standard output silenced meanwhile. The caller frees
 * *answer with uap_cbc_answer_free, also on failure. Errors: NO_MEMORY, TOO_LARGE, SOLVER
 * (CBC gave up, or its plan is not what it said). Not thread safe. Local. */
UAP_NODISCARD uap_status uap_cbc_run(const uap_cbc_task *task, uap_cbc_answer *answer,
                                     uap_err *err);
void uap_cbc_answer_free(uap_cbc_answer *found);

#ifdef __cplusplus
}
#endif
#endif
