/* One instance as a mixed-integer linear program in the RLT-marginal form of docs/milp.md:
 * plain arrays for any solver. It does not know which solver reads them. */
#ifndef UAP_SEARCH_MILP_H
#define UAP_SEARCH_MILP_H

#include "search/instance.h"

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Kinds of columns: enumerator, name in files, number of indices behind the name. The
 * indices are layer u, stage i (boundary i lies behind it), strategy k, classes a and b,
 * live tensor t and its consumer n. */
#define UAP_MILP_COLUMNS(X)                                                              \
    X(PLACE, "P", 2)     /* u i: layer u is in stage i; binary */                        \
    X(STRATEGY, "S", 2)  /* u k: layer u takes strategy k; binary */                     \
    X(MARGINAL, "w", 3)  /* u i k: P and S */                                            \
    X(STAY, "D", 2)      /* u i: layers u and u + 1 are in stage i */                    \
    X(CUT, "B", 2)       /* u i: boundary i lies between layers u and u + 1 */           \
    X(KEEP, "y", 3)      /* u a b: classes of u and u + 1, in one stage */               \
    X(MOVE, "x", 3)      /* u a b: classes of u and u + 1, across a boundary */          \
    X(KEEP_FWD, "rf", 2) /* u i: resharding paid in stage i, forward */                  \
    X(KEEP_BWD, "rb", 2)                                                                 \
    X(MOVE_FWD, "tf", 2) /* u i: transfer paid on boundary i, forward */                 \
    X(MOVE_BWD, "tb", 2)                                                                 \
    X(LIVE_CROSS, "q", 3) /* t i k: live tensor t in layout k crosses boundary i */      \
    X(LIVE_HOLD, "h", 3)  /* t i k: live tensor t in layout k is kept in stage i */      \
    X(LIVE_PAIR, "z", 4)  /* t n a b: classes of producer and consumer */                \
    X(LIVE_FWD, "lf", 3)  /* t n i: consumer's resharding paid in stage i, forward */    \
    X(LIVE_BWD, "lb", 3)                                                                 \
    X(STAGE_FWD, "f", 1) /* i: forward time of stage i (simple: the whole p) */          \
    X(STAGE_BWD, "b", 1)                                                                 \
    X(SEND_FWD, "u", 1) /* i: forward time of boundary i (simple: the whole o) */        \
    X(SEND_BWD, "v", 1)                                                                  \
    X(WORK, "W", 1)     /* i: largest workspace of stage i */                            \
    X(TYPE, "T", 2)     /* i t: stage i is of type t; binary */                          \
    X(START, "s", 3)    /* u i t: stage i starts at layer u and is of type t */          \
    X(MAX_FWD, "mf", 0) /* longest forward (simple: longest p or o) */                   \
    X(MAX_BWD, "mb", 1) /* i: longest backward from stage i on */                        \
    X(ROUND_TRIP, "RT", 1)                                                               \
    X(SPAN, "V", 1)                                                                      \
    X(LATE, "A", 1) /* i: the last micro-batch comes this much behind the first */       \
    X(END, "Q", 1)  /* i: from the first micro-batch's arrival to the last one's end */  \
    X(TAIL, "Tail", 0) /* E; simple: the largest g */                                    \
    X(OVER, "Over", 0) /* memory form: the largest overshoot of a stage */

/* Kinds of rows, as above; the names match docs/milp.md. */
#define UAP_MILP_ROWS(X)                                                                 \
    X(PLACED, "placed", 1)            /* u: one stage */                                 \
    X(CHOSEN, "chosen", 1)            /* u: one strategy */                              \
    X(LEAVE, "leave", 2)              /* u i: P_ui = D_ui + B_ui */                      \
    X(ENTER, "arrive", 2)             /* u i: P_(u+1)i = D_ui + B_u(i-1) */              \
    X(ONE_CUT, "one_cut", 1)          /* i: each boundary lies once */                   \
    X(MARGINAL_PLACE, "w_place", 2)   /* u i */                                          \
    X(MARGINAL_CHOICE, "w_choice", 2) /* u k */                                          \
    X(PAIR_FROM, "pair_from", 2)      /* u a */                                          \
    X(PAIR_TO, "pair_to", 2)          /* u b */                                          \
    X(PAIR_CUT, "pair_cut", 1)        /* u */                                            \
    X(KEEP_SUM_FWD, "keep_f", 1)      /* u: resharding is paid somewhere, all of it */   \
    X(KEEP_SUM_BWD, "keep_b", 1)                                                         \
    X(KEEP_AT_FWD, "keep_at_f", 2) /* u i: and only in the stage that has both */        \
    X(KEEP_AT_BWD, "keep_at_b", 2)                                                       \
    X(MOVE_SUM_FWD, "move_f", 1)                                                         \
    X(MOVE_SUM_BWD, "move_b", 1)                                                         \
    X(MOVE_AT_FWD, "move_at_f", 2)                                                       \
    X(MOVE_AT_BWD, "move_at_b", 2)                                                       \
    X(TIE, "tie", 2)              /* tie, class */                                       \
    X(CROSS, "cross", 2)          /* t i: crosses once where it must */                  \
    X(CROSS_LAYOUT, "cross_k", 3) /* t i k: in the producer's layout */                  \
    X(HOLD, "hold", 2)            /* t i */                                              \
    X(HOLD_LAYOUT, "hold_k", 3)   /* t i k */                                            \
    X(LIVE_FROM, "live_from", 3)  /* t n a */                                            \
    X(LIVE_TO, "live_to", 3)      /* t n b */                                            \
    X(LIVE_SUM_FWD, "live_f", 2)  /* t n */                                              \
    X(LIVE_SUM_BWD, "live_b", 2)                                                         \
    X(LIVE_AT_FWD, "live_at_f", 3) /* t n i */                                           \
    X(LIVE_AT_BWD, "live_at_b", 3)                                                       \
    X(TIME_FWD, "time_f", 1) /* i: f_i */                                                \
    X(TIME_BWD, "time_b", 1)                                                             \
    X(LINK_FWD, "link_f", 1) /* i: u_i */                                                \
    X(LINK_BWD, "link_b", 1)                                                             \
    X(MEMORY, "memory", 1)         /* i: fits its cap */                                 \
    X(WORKSPACE, "workspace", 2)   /* u i */                                             \
    X(LONGEST, "longest", 2)       /* i and 0 stage or 1 link, forward */                \
    X(LONGEST_BWD, "longest_b", 2) /* and 2 what is behind */                            \
    X(TRIP, "trip", 1)             /* i: RT_i */                                         \
    X(PATH, "path", 2)             /* i and the path of V_i, numbered in the docs */     \
    X(LAG, "lag", 2)               /* i and the path of L_i, numbered in the docs */     \
    X(END, "end", 2)               /* i: Q_i above 1 V_i, 2 RT_i + A_i */                \
    X(TAIL_AT, "tail", 1)          /* i: E */                                            \
    X(TYPED, "typed", 1)           /* i: one type */                                     \
    X(TYPE_ROWS, "type_w", 3)      /* u i t: rows of the stage's type only */            \
    X(GROUP, "group", 1)           /* g: no more devices than it has */                  \
    X(START_AT, "start", 3)        /* u i t */                                           \
    X(NO_GOOD, "no_good", 1)       /* a set of layers that does not fit one stage */

typedef enum uap_milp_column {
#define UAP_MILP_ENUM(name, text, n) UAP_COL_##name,
    UAP_MILP_COLUMNS(UAP_MILP_ENUM)
#undef UAP_MILP_ENUM
        UAP_COL_COUNT
} uap_milp_column;

typedef enum uap_milp_row {
#define UAP_MILP_ENUM(name, text, n) UAP_ROW_##name,
    UAP_MILP_ROWS(UAP_MILP_ENUM)
#undef UAP_MILP_ENUM
        UAP_ROW_COUNT
} uap_milp_row;

/* What a column or row stands for. */
typedef struct uap_milp_tag {
    int16_t kind;
    int16_t n_index;
    int32_t index[4];
} uap_milp_tag;

/* minimise cost . x subject to row_lower <= A x <= row_upper, lower <= x <= upper, with A by
 * columns: entries start[j] .. start[j + 1] - 1 of row[] and value[], rows ascending.
 * Absent bounds are -HUGE_VAL and HUGE_VAL. */
typedef struct uap_milp {
    int32_t n_cols, n_rows;
    int32_t *start; /* [n_cols + 1] */
    int32_t *row;
    double *value;
    double *lower, *upper, *cost;  /* [n_cols] */
    bool *integer;                 /* [n_cols] */
    double *row_lower, *row_upper; /* [n_rows] */
    uap_milp_tag *col_tag, *row_tag;

    int32_t n_layers, pp;
    const int32_t *place;        /* [L][pp] columns P, -1: never */
    const int32_t *strategy;     /* [L] first column S of each layer; its others follow */
    const int32_t *n_strategies; /* [L] */

    double tick_unit; /* ticks in one unit of the objective, a power of ten */
    double byte_unit; /* bytes in one unit of the memory rows, a power of ten */
    uap_arena *arena; /* owns all arrays */
} uap_milp;

typedef enum uap_milp_goal {
    UAP_MILP_TIME,  /* the instance's objective */
    UAP_MILP_MEMORY /* least overshoot of the tightest stage; time is left out */
} uap_milp_goal;

/* A set of layers with strategies that does not fit into a stage, exactly: `choice` of a
 * plan and the stage. Such plans only pass a solver's tolerance. */
typedef struct uap_milp_no_good {
    uap_choice choice;
    int32_t stage;
} uap_milp_no_good;

typedef struct uap_milp_options {
    uap_milp_goal goal;
    int64_t
        incumbent; /* ticks of a known plan or 0: scales, and strikes out what is worse */
    const uap_milp_no_good *no_good; /* [n_no_goods] */
    int32_t n_no_goods;
} uap_milp_options;

/* Builds the program. instance must have passed uap_instance_check. The caller frees *out.
 * Errors: NO_MEMORY, TOO_LARGE (more than 2^30 entries). O(size). Local. */
UAP_NODISCARD uap_status uap_milp_new(const uap_instance *instance,
                                      const uap_milp_options *options, uap_milp **out,
                                      uap_err *err);
void uap_milp_free(uap_milp *milp); /* NULL is legal */

#define UAP_MILP_NAME 64

/* "w_3_1_2": the kind's name and the indices. Returns buffer. */
char *uap_milp_col_name(const uap_milp *milp, int32_t col, char buffer[UAP_MILP_NAME]);
char *uap_milp_row_name(const uap_milp *milp, int32_t row, char buffer[UAP_MILP_NAME]);

/* Sets the upper bounds [n_cols] of strategies to 1, or 0 where their layer's `allow` (NULL:
 * all) leaves them out. allow: [L]. */
void uap_milp_restrict(const uap_milp *milp, uint8_t *const *allow, double *upper);

/* The plan that the integer columns of x [n_cols] are nearest to, as it stands: whether it
 * is a legal one is for uap_choice_value to say. choice: arrays of pp and L, out. */
void uap_milp_decode(const uap_milp *milp, const double *x, uap_choice *choice);

/* The integer columns of a plan, for a start solution: col and value have room for n_cols
 * entries. Returns how many were written. */
int32_t uap_milp_encode(const uap_milp *milp, const uap_choice *choice, int32_t *col,
                        double *value);

/* Writes the program as CPLEX-LP text, atomically ("-": standard output). The head of the
 * file says what a unit of the objective and of the memory rows is. Errors: IO, NO_MEMORY. */
UAP_NODISCARD uap_status uap_milp_write_lp(const uap_milp *milp, const char *title,
                                           const char *path, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
