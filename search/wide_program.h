/* The linear program of one configuration, node by node. Private to search/wide*.c. */
#ifndef UAP_SEARCH_WIDE_PROGRAM_H
#define UAP_SEARCH_WIDE_PROGRAM_H

#include "search/lp_clp.h"
#include "search/node.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_program uap_program;

/* Makes the program of an instance, for plans of at most `most` ticks (0: any). The instance
 * must outlive it. Errors: NO_MEMORY, TOO_LARGE. Freed with uap_program_free. */
UAP_NODISCARD uap_status uap_program_new(const uap_instance *instance, int64_t most,
                                         uap_program **out, uap_err *err);
void uap_program_free(uap_program *program); /* NULL is legal */

typedef struct uap_program_task {
    const uap_node *node;
    int64_t cutoff; /* ticks: a bound above it is enough */
    bool (*must_stop)(void *context);
    void *context;
} uap_program_task;

/* The safe bound of a node, ticks (INT64_MAX: it holds no plan; INT64_MIN: nothing is
 * known). Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_program_bound(uap_program *program,
                                           const uap_program_task *task, int64_t *bound,
                                           uap_err *err);

/* Seconds that the next solve takes, about, by the program's size and whether it is the
 * first: no clock is asked, so that the answer is the same every time. */
double uap_program_seconds(const uap_program *program);

/* Whether the last solve came to an optimum, which the following speak of. */
bool uap_program_has_solution(const uap_program *program);

/* The plan next to the last solution: legal in cuts and ranges, ties and memory apart. */
void uap_program_round(const uap_program *program, const uap_node *node,
                       uap_choice *choice);

/* The share of strategy k of a layer in the last solution, about 0 to 1. */
double uap_program_share(const uap_program *program, int32_t layer, int32_t k);

#ifdef __cplusplus
}
#endif
#endif
