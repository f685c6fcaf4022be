/* What rows and links of a stage class cost under a price of memory, made once for all
 * starts; used by segment_bound.c alone. Rows that enter and leave in the same classes count
 * as their cheapest. */
#ifndef UAP_SEARCH_SEGMENT_PRICE_H
#define UAP_SEARCH_SEGMENT_PRICE_H

#include "search/segment.h"

#ifdef __cplusplus
extern "C" {
#endif

/* The different (in, out) of the rows of one kind. */
typedef struct uap_price_pairs {
    int32_t n;
    int32_t *in, *out; /* [n] */
    int32_t *of;       /* [rows] */
    bool is_straight;  /* n = n_in = n_out and pair y is (y, y) */
} uap_price_pairs;

/* A link in one measure. */
typedef struct uap_price_link {
    const double *cost;   /* [n_out][n_in] */
    double *least, *most; /* [n_out] over the classes it leads to */
} uap_price_link;

/* One measure under one multiplier within one band of workspaces. */
typedef struct uap_priced {
    double multiplier; /* in units of the measure per byte */
    uap_band band;
    double **cost; /* [n_kinds] -> [pairs]; HUGE_VAL: no row in the band */
} uap_priced;

typedef struct uap_price_table {
    uap_arena *arena; /* owns every array */
    const uap_segments *s;
    int32_t class_index;
    uap_price_pairs *pairs;                  /* [n_kinds] */
    uap_price_link *link[UAP_MEASURE_COUNT]; /* [n_links] */
    uap_priced *priced; /* [measures][multipliers][bands]; cost NULL: not made yet */
} uap_price_table;

/* Leaves *table as it is where it is of this class already, else frees it and makes a new one.
 * False when out of memory. The caller frees *table in any case. */
bool uap_price_table_for(const uap_segments *segments, int32_t class_index,
                         uap_price_table **table);
void uap_price_table_free(uap_price_table *table); /* NULL is legal */

/* Made when first asked for, the table's own. multiplier, band: numbers of the class's. NULL when
 * out of memory. */
const uap_priced *uap_price_at(uap_price_table *table, uap_measure measure,
                               int32_t multiplier, int32_t band);

#ifdef __cplusplus
}
#endif
#endif
