/* Inside of search/mix.h: prefixes of plans that count devices (mix_reach.c), for the exact
 * recursion. Nobody else includes this. */
#ifndef UAP_SEARCH_MIX_REACH_H
#define UAP_SEARCH_MIX_REACH_H

#include "search/mix_columns.h"
#include "search/mix_lists.h"

typedef struct uap_mix_reach {
    uap_columns
        head; /* [pp][L][width] before stage i that starts at (a, X), transfer in */
    uap_columns reached; /* [pp][L][width] up to the end of stage i at (b, Y) */
    bool is_empty;       /* no plan is within the target */
} uap_mix_reach;

/* A stage i of type t from (a, x) to (b, y), classes of its own type. */
typedef struct uap_reach_span {
    int32_t i, t, a, x, b, y;
} uap_reach_span;

/* Once the segments are solved. Ends early where mix->stopped is set. Freed with
 * uap_mix_reach_free, also after a failure. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_mix_reach_run(const uap_mix_outer *outer,
                                           uap_mix_reach *reach, uap_err *err);
void uap_mix_reach_free(uap_mix_reach *reach);

#endif
