/* Inside of search/mix.h: lists of the relaxation over cuts and types (mix_lists.h) while they
 * are made: S ascending and M descending. Nobody else includes this. */
#ifndef UAP_SEARCH_MIX_STAIR_H
#define UAP_SEARCH_MIX_STAIR_H

#include "common/bytes.h"
#include "search/mix_lists.h"

#define UAP_MIX_STAIR_MOST 24 /* longer lists are thinned, which only weakens the bound */

typedef struct uap_mix_stair {
    uap_mix_point at[2 * UAP_MIX_STAIR_MOST + 1];
    int32_t n; /* 0 at first */
} uap_mix_stair;

/* Adds unless another is nowhere worse; drops those that are nowhere better. */
void uap_mix_stair_add(uap_mix_stair *s, uap_mix_point p);

/* Adds the points to the relaxation's pool, as a list. False: no memory. */
bool uap_mix_stair_store(uap_mix_outer *o, uap_list *list, const uap_mix_stair *s);

/* Appends the points to `out`; and stores what was put. False: no memory. */
bool uap_mix_stair_put(uap_bytes *out, const uap_mix_stair *s);
bool uap_mix_stair_take(uap_mix_outer *o, const char *from, uap_list *list);

#endif
