/* Inside of search/mix.h: finished lists of points (search/mix_points.h) in columns, so that a
 * partial plan from the other end is held against a block of them at once. Nobody else includes
 * this. */
#ifndef UAP_SEARCH_MIX_COLUMNS_H
#define UAP_SEARCH_MIX_COLUMNS_H

#include "search/mix_points.h"

#define UAP_COLUMNS_BLOCK 16 /* points */

typedef struct uap_columns_block {
    int64_t sum[UAP_COLUMNS_BLOCK]; /* S + M, as a key (uap_front_key), and */
    int64_t s[UAP_COLUMNS_BLOCK];   /* S; INT64_MAX: no point */
    uint64_t used[UAP_DEVICE_WORDS][UAP_COLUMNS_BLOCK];
} uap_columns_block;

/* Lists of points, those of least S + M first. */
typedef struct uap_columns {
    uap_columns_block *block; /* owned */
    uap_list *list;           /* [n] into block; owned */
} uap_columns;

/* From n lists into pool, which may go then. False: no memory; freed also then. */
bool uap_columns_make(uap_columns *columns, const uap_list *list, size_t n,
                      const uap_device_point *pool);
void uap_columns_free(uap_columns *columns);

/* A partial plan that waits for its other part. */
typedef struct uap_columns_wish {
    double limit; /* of the other part's S with the larger of both M */
    double m;
    uap_devices left; /* devices for the other part */
} uap_columns_wish;

/* Whether some point of list `at` will do. */
bool uap_columns_admit(const uap_columns *columns, size_t at, const uap_mix *mix,
                       const uap_columns_wish *wish);

/* The least S with the larger of both M of those in list `at` that find their devices, whatever
 * the limit; HUGE_VAL: there are none. */
double uap_columns_least(const uap_columns *columns, size_t at, const uap_mix *mix,
                         const uap_columns_wish *wish);

#endif
