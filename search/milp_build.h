/* Growing a uap_milp column by column, row by row and entry by entry, in any order. Internal
 * to search/milp*.c. A failure inside (memory, size) is remembered and reported at the end,
 * so that the model's code reads like the model. */
#ifndef UAP_SEARCH_MILP_BUILD_H
#define UAP_SEARCH_MILP_BUILD_H

#include "search/milp.h"

#include <math.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_milp_entry {
    int32_t row, col;
    double value;
} uap_milp_entry;

/* A column or a row; cost and integer are a column's. */
typedef struct uap_milp_line {
    double lower, upper, cost;
    bool integer;
    uap_milp_tag tag;
} uap_milp_line;

typedef struct uap_milp_list {
    void *data;
    int32_t n, capacity;
} uap_milp_list;

/* Forward and backward are kept apart by the full objective; the simple one has one half. */
enum { UAP_FWD, UAP_BWD };

typedef struct uap_milp_build {
    const uap_instance *in;
    const uap_milp_options *options;
    uap_arena *scratch; /* the maps below; freed with the builder */
    bool failed;        /* out of memory or too large */
    bool too_large;

    uap_milp_list cols, rows; /* of uap_milp_line */
    uap_milp_list entries;    /* of uap_milp_entry */

    double tick_unit, byte_unit;
    int32_t halves; /* 2: forward and backward apart; 1: together in the forward half */

    /* Columns by what they stand for; -1 where there is none. */
    int32_t *place;             /* [L][pp] */
    int32_t *strategy;          /* [L] first of S_u */
    int32_t *marginal;          /* [L][pp] first of S_u */
    int32_t *stay;              /* [L][pp] */
    int32_t *cut;               /* [L][pp] */
    int32_t *type;              /* [pp] first of the types, mixed clusters only */
    int32_t *time[2];           /* [pp] f, b */
    int32_t *send[2];           /* [pp] u, v */
    int32_t *round_trip, *span; /* [pp] RT and V, of 1f1b */
    int32_t over;               /* memory form */
    /* Rows that gather entries from many places; -1 where there is none. */
    int32_t *time_row[2]; /* [pp] sum of what stage i pays - f_i = 0 */
    int32_t *send_row[2]; /* [pp] */
    int32_t *tail_row;    /* [pp] E - g_i + ... >= 0 */
    int32_t *memory_row;  /* [pp] */
} uap_milp_build;

/* Adds a column or a row and returns its number. tag: kind and indices. */
int32_t uap_milp_add_col(uap_milp_build *b, uap_milp_tag tag, double lower, double upper);
int32_t uap_milp_add_row(uap_milp_build *b, uap_milp_tag tag, double lower, double upper);

/* Makes a column a binary, or gives it a cost; nothing where col is -1. */
void uap_milp_set_binary(uap_milp_build *b, int32_t col);
void uap_milp_set_cost(uap_milp_build *b, int32_t col, double cost);

/* Adds value to entry (row, col); nothing where row or col is -1 or value is 0. */
void uap_milp_put(uap_milp_build *b, int32_t row, int32_t col, double value);

#define UAP_COL_TAG(name, ...) ((uap_milp_tag){UAP_COL_##name, 0, {__VA_ARGS__}})
#define UAP_ROW_TAG(name, ...) ((uap_milp_tag){UAP_ROW_##name, 0, {__VA_ARGS__}})

/* Stages that layer u can be in when none is empty. */
static inline int32_t uap_milp_low(const uap_instance *in, int32_t u)
{
    const int32_t low = in->pp - in->n_layers + u;
    return low > 0 ? low : 0;
}

static inline int32_t uap_milp_high(const uap_instance *in, int32_t u)
{
    return u < in->pp - 1 ? u : in->pp - 1;
}

static inline double uap_milp_ticks(const uap_milp_build *b, int64_t ticks)
{
    return (double)ticks / b->tick_unit;
}

static inline double uap_milp_bytes(const uap_milp_build *b, int64_t bytes)
{
    return (double)bytes / b->byte_unit;
}

/* The parts of the model, in this order. */
void uap_milp_build_places(uap_milp_build *b); /* P, S, D, B and their rows */
void uap_milp_build_sums(uap_milp_build *b);   /* f, b, u, v, E and memory: open rows */
void uap_milp_build_layers(uap_milp_build *b); /* w, and what layers cost; W; ties */
void uap_milp_build_types(uap_milp_build *b);  /* T, s, groups; mixed clusters only */
void uap_milp_build_edges(uap_milp_build *b);  /* resharding and transfers */
void uap_milp_build_live(uap_milp_build *b);   /* live tensors */
void uap_milp_build_value(uap_milp_build *b);  /* V and the objective */
void uap_milp_build_no_goods(uap_milp_build *b);

#ifdef __cplusplus
}
#endif
#endif
