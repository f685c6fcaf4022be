/* What helps the exact search with graphs of many live tensors, whose layouts the chain
 * relaxes one by one: bounds of linear programs, which see all layouts at once but cuts and
 * memory in fractions; CBC on single nodes; which tensor to branch on. One linear program a
 * process, of the configuration that asked last. Private to search/exact_*.c. */
#ifndef UAP_SEARCH_WIDE_H
#define UAP_SEARCH_WIDE_H

#include "search/exact_node.h"

#ifdef __cplusplus
extern "C" {
#endif

void uap_wide_free(uap_wide *wide); /* NULL is legal */

/* Before a configuration's instance goes. NULL is legal. */
void uap_wide_forget(uap_wide *wide, int32_t config);

/* Whether the instance has too many combinations of layouts to branch through them all. */
bool uap_wide_is_wide(const uap_instance *instance);

/* Whether the node's graph is wide and chains, as far as is known, bound it better than
 * programs do. */
bool uap_wide_trusts_chain(const uap_exact *e, const uap_node *node);

/* What to do with a node beyond searching its chain. */
typedef struct uap_wide_plan {
    bool program;    /* before the chain's search, */
    bool late;       /* or before a split, where the chain's bound may be beaten */
    bool cbc;        /* after the program */
    bool skip_chain; /* the chain's bound is expected to be too far below */
    bool scores;     /* choose what to branch on by trial */
} uap_wide_plan;

/* Chosen by the limits, by what programs did for the nodes so far, and by the work that they
 * took. Errors: NO_MEMORY, TOO_LARGE. */
UAP_NODISCARD uap_status uap_wide_choose(uap_exact *e, const uap_node *node,
                                         uap_wide_plan *plan, uap_err *err);

/* Raises node->bound by the node's linear program, INT64_MAX where that proves that it holds
 * no plan; plans found by rounding are told. Errors: NO_MEMORY, TOO_LARGE. */
UAP_NODISCARD uap_status uap_wide_bound(uap_exact *e, uap_node *node, uap_err *err);

/* Notes how the node's linear program did beside its chain's bound (ticks, > 0). */
void uap_wide_learn(uap_exact *e, uap_node *node, int64_t chain);

/* Asks CBC for a plan of the node within the cutoff, for some seconds; a plan is told, and
 * *closed where it says that there is none. Errors: NO_MEMORY, TOO_LARGE. */
UAP_NODISCARD uap_status uap_wide_close(uap_exact *e, uap_node *node, bool *closed,
                                        uap_err *err);

/* Tells the plan that single changes make of `choice`, where it is good. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_wide_polish(uap_exact *e, int32_t config,
                                         const uap_choice *choice, uap_err *err);

/* Splits a node by its program's solution, where that is the last one; *count: 0 where it is
 * not, or all layouts are decided. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_wide_split(uap_exact *e, uap_node *node,
                                        uap_node_pool *children, int32_t *count,
                                        uap_err *err);

/* Learns from the first visit to a node, whose bound was `before` it, what splitting by the
 * tensor that it comes from is good for. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_wide_note(uap_exact *e, uap_node *node, int64_t before,
                                       uap_err *err);

/* How good it is to branch on each live tensor: score [n_live], out. By how bounds rose, and
 * by the bounds of the children's chains. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_wide_scores(uap_exact *e, const uap_node *node,
                                         double *score, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
