/* What the exact search does with one node, wherever its pool is: the serial engine
 * (exact.c) has one pool, a search by many ranks has one a rank. Nothing here chooses which
 * node comes next.
 *
 * The best plan is the one of the least value and, of these, of the lowest configuration:
 * a node of a lower configuration than the best plan's is searched for ties too. So every
 * order of work ends with the same value and configuration, and uap_exact_conclude makes
 * the plan itself the same.
 *
 * A crew goes through uap_exact_drain and uap_exact_conclude together: with the same nodes,
 * the same best plan and must_stop alike for all, every member's search is that of one
 * process. */
#ifndef UAP_SEARCH_EXACT_NODE_H
#define UAP_SEARCH_EXACT_NODE_H

#include "search/crew.h"
#include "search/node.h"
#include "search/solve.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_wide uap_wide; /* search/wide.h */

/* One process's part of a search. */
typedef struct uap_exact {
    const uap_source *source;
    const uap_limits *limits; /* or NULL */
    void *context;            /* of both calls below */
    /* Asked every some milliseconds of work; once true it stays so. */
    bool (*must_stop)(void *context);
    /* (value, config) below is now this plan's; `choice` is borrowed. NULL: not told. */
    uap_status (*improved)(void *context, const uap_instance *instance,
                           const uap_choice *choice, uap_err *err);
    const uap_crew *crew;    /* that runs this search side by side, or NULL */
    int64_t value;           /* ticks, of the best plan known to anyone */
    int32_t config;          /* its configuration, -1 without a plan */
    uap_instance **instance; /* [n] made on demand, kept while `users` */
    int32_t *users;          /* [n] open nodes of each configuration here */
    /* Looks for the plan of a known value: what is tried beyond chains may leave nodes out,
     * not change their order. */
    bool is_fixed;
    uap_wide *wide;   /* made when a wide graph needs it */
    uap_arena *arena; /* of segments that are no more, for the next ones; or NULL */
    /* The plan is fixed in any case: the search may be stopped and resumed, and comes to its
     * plan in another way then. */
    bool must_fix;
    const uap_node *at_work; /* of uap_exact_drain, as far as it has come, or NULL */
    uap_search_stats stats;
} uap_exact;

/* Room for the source's configurations; the fields above `value` are the caller's to set.
 * Freed with uap_exact_free, after its nodes. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_exact_init(uap_exact *e, uap_err *err);
void uap_exact_free(uap_exact *e);

/* The first node of a configuration with its quick bound, held; *legal is false, and the
 * node empty, where some layer has no strategy. Errors: those of build. */
UAP_NODISCARD uap_status uap_exact_open(uap_exact *e, int32_t config, uap_node *node,
                                        bool *legal, uap_err *err);

/* Makes the instance of a configuration if it is not there. Errors: those of build. */
UAP_NODISCARD uap_status uap_exact_need(uap_exact *e, int32_t config, uap_err *err);

/* One more open node of this configuration is here: keeps the instance once it is made. */
void uap_exact_hold(uap_exact *e, int32_t config);
void uap_exact_drop(uap_exact *e, uap_node *node); /* clears a held node */

/* A plan that is as good as the cutoff asks is the best one now. Errors: those of
 * `improved`. */
UAP_NODISCARD uap_status uap_exact_improve(uap_exact *e, int32_t config,
                                           const uap_choice *choice, int64_t value,
                                           uap_err *err);

/* The most that a plan of this configuration may cost to become the best one. */
int64_t uap_exact_cutoff(const uap_exact *e, int32_t config);

/* Whether no open node being below `bound` is as good a proof as was asked for. */
bool uap_exact_is_enough(const uap_exact *e, int64_t bound);

typedef enum uap_exact_step {
    UAP_EXACT_CLOSED, /* nothing below the node can be the best plan any more */
    UAP_EXACT_OPEN,   /* its bound rose, or the search must stop */
    UAP_EXACT_SPLIT   /* its children, held, are in the pool */
} uap_exact_step;

/* How far a visit takes a node's bound, with `next` the least bound of the other open nodes:
 * until it is no longer the first, but not for less than a hundredth. */
int64_t uap_exact_reach(const uap_node *node, int64_t next);

/* Takes a held node one step further: its Lagrangian bound, else searches until its bound
 * passes `most`. The node stays the caller's. Errors: those of build, NO_MEMORY,
 * UNSUPPORTED, INTERNAL. */
UAP_NODISCARD uap_status uap_exact_advance(uap_exact *e, uap_node *node, int64_t most,
                                           uap_node_pool *children,
                                           uap_exact_step *outcome, uap_err *err);

/* Takes the first of the pool's held nodes a step further, again and again, until that is a
 * proof or the search must stop. *bound: the least of the nodes left; *closed: that they are
 * as good as closed. Errors as above, and those of the crew. */
UAP_NODISCARD uap_status uap_exact_drain(uap_exact *e, uap_node_pool *pool,
                                         int64_t *bound, bool *closed, uap_err *err);

/* The end: outcome, bound and why nothing fits. bound: the least of open nodes. closed: none
 * is open. result: value, config and choice of the best plan are in; after a proof the
 * choice becomes the one that a fixed search of its configuration within its value finds.
 * Counts go to e->stats. Errors as above. */
UAP_NODISCARD uap_status uap_exact_conclude(uap_exact *e, int64_t bound, bool closed,
                                            uap_result *result, uap_err *err);

/* uap_exact_solve by one member of a crew, or alone (NULL). */
UAP_NODISCARD uap_status uap_exact_solve_with(const uap_crew *crew,
                                              const uap_source *source,
                                              const uap_limits *limits,
                                              uap_result *result, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
