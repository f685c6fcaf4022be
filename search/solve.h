/* What every engine takes and returns: a list of configurations made on demand, limits,
 * and one result with its proof and its counts. Engines know neither MPI nor files. */
#ifndef UAP_SEARCH_SOLVE_H
#define UAP_SEARCH_SOLVE_H

#include "search/instance.h"

#include <signal.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Configurations are numbered 0 .. n - 1; build() makes one, whose owner is the caller, or
 * sets *out to NULL when some layer has no legal strategy in it. It may be called more
 * than once for the same number and must then give the same instance. */
typedef struct uap_source {
    int32_t n;
    void *context;
    uap_status (*build)(void *context, int32_t index, uap_instance **out, uap_err *err);
} uap_source;

/* What the exact engine does about live tensors of many layouts besides branching. */
typedef enum uap_wide_mode {
    UAP_WIDE_AUTO = 0,  /* linear programs and CBC where they pay */
    UAP_WIDE_NEVER = 1, /* neither */
    UAP_WIDE_LP = 2,    /* bits: a linear program at every node, */
    UAP_WIDE_CBC = 4,   /* a run of CBC at every node, */
    UAP_WIDE_LEAF = 8   /* and chains searched only where all layouts are decided */
} uap_wide_mode;

typedef struct uap_limits {
    double time_limit_s;        /* <= 0: none */
    double gap;                 /* relative gap at which to stop; 0: prove */
    int64_t memory_limit_bytes; /* <= 0: none */
    int64_t rough_work; /* exact engine: labels looked at within rough limits before sharp
                         * ones are made; 0: as many as these cost, < 0: sharp at once */
    int64_t effort; /* exact engine: labels looked at before the first search of a node
                         * is given up for a nearer target; 0: the engine's choice */
    uint32_t wide;  /* exact engine: UAP_WIDE_NEVER or bits of uap_wide_mode; 0: its
                    * choice */
    int64_t
        share_work; /* search by ranks: steps of a job (search/crew.h) that all of them
                         * take together; 0: as many as pay; < 0: all, and every node */
    double
        long_run_s; /* search by ranks: CPU seconds in which one of them must be through with
                        * a run of labels, else all walk it; 0: as many as pay; < 0: none */
    const volatile sig_atomic_t *stop; /* set by a signal handler, or NULL */
} uap_limits;

typedef enum uap_outcome {
    UAP_OUTCOME_OPTIMAL,    /* proven, or within the gap that was asked for */
    UAP_OUTCOME_FEASIBLE,   /* stopped early with a plan */
    UAP_OUTCOME_INFEASIBLE, /* proven: no plan fits */
    UAP_OUTCOME_UNKNOWN     /* stopped early without a plan */
} uap_outcome;

/* Counts and clocks; times are CPU seconds of this process. */
typedef struct uap_search_stats {
    int64_t configurations;  /* in the list */
    int64_t illegal;         /* had a layer without a legal strategy */
    int64_t pruned_by_bound; /* closed by a bound, no exact phase */
    int64_t infeasible;      /* proven not to fit in memory */
    int64_t solved;          /* went through the exact phase */
    int64_t nodes, labels;   /* search nodes; labels created */
    int64_t ranks;           /* that searched */
    int64_t programs;        /* linear programs solved for bounds of nodes */
    int64_t programs_closed; /* nodes closed by them */
    int64_t cbc_runs;        /* of nodes of the exact engine */
    int64_t cbc_closed;      /* nodes of which CBC says that they hold nothing better */
    int64_t steals;          /* of nodes between them */
    double idle_s;           /* wall seconds that they had nothing to do, all together */
    int64_t peak_bytes;      /* largest arena use, as far as the engine counts it */
    double build_s, bound_s, fix_s, label_s, total_s; /* where the time went */
    double wall_s;
} uap_search_stats;

/* Why nothing fits: the least overshoot over all configurations and plans. */
typedef struct uap_shortage {
    bool known;
    bool is_bound;       /* need_bytes is a lower bound, even at or below cap_bytes: ties
                          * and live tensors may make it more */
    int32_t config;      /* of the most frugal plan */
    int32_t stage;       /* its tightest stage */
    int32_t first, last; /* layers of that stage */
    int64_t need_bytes;  /* what the stage needs at best */
    int64_t cap_bytes;   /* what it has */
} uap_shortage;

typedef struct uap_result {
    uap_outcome outcome;
    int32_t config;    /* of the best plan, -1 when there is none */
    uap_choice choice; /* owned; arrays sized for that configuration */
    int64_t value;     /* ticks, of the best plan */
    int64_t bound;     /* ticks: no plan at all is below it */
    uap_shortage shortage;
    uap_search_stats stats;
} uap_result;

void uap_result_free(uap_result *result); /* what the result owns; NULL is legal */

/* The exact engine: proves the best plan over all configurations of the source. The
 * caller frees the result with uap_result_free. Errors: those of build, NO_MEMORY,
 * INTERNAL. Local. */
UAP_NODISCARD uap_status uap_exact_solve(const uap_source *source,
                                         const uap_limits *limits, uap_result *result,
                                         uap_err *err);

/* CBC on one instance after the other, each as a MILP (docs/milp.md); its plans are
 * re-costed by search/objective.h. Errors as above and SOLVER. Local. */
UAP_NODISCARD uap_status uap_cbc_solve(const uap_source *source, const uap_limits *limits,
                                       uap_result *result, uap_err *err);

/* A source of one instance that is borrowed, not owned: build() gives deep copies. */
uap_source uap_source_of_instance(const uap_instance *instance);

/* A deep copy. NULL when out of memory. */
uap_instance *uap_instance_copy(const uap_instance *instance);

#ifdef __cplusplus
}
#endif
#endif
