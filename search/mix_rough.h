/* Inside of search/mix.h: suffixes of plans that count devices but know no layouts
 * (mix_rough.c). Nobody else includes this. */
#ifndef UAP_SEARCH_MIX_ROUGH_H
#define UAP_SEARCH_MIX_ROUGH_H

#include "search/mix_points.h"

typedef struct uap_mix_rough {
    uap_list
        *suffix; /* [pp + 1][L + 1] stages i .. from layer a on; i = pp, a = L: nothing */
    uap_device_point *pool;
    double least; /* no plan is below it; HUGE_VAL: none is within the target */
} uap_mix_rough;

/* The list of stages i .. from layer a on. */
static inline size_t uap_mix_rough_at(const uap_mix *mix, int32_t i, int32_t a)
{
    return (size_t)i * ((size_t)mix->n_layers + 1) + (size_t)a;
}

/* From the segments' bounds; lists of `longest` points at most, as jobs of a crew. Ends early,
 * with least 0, where mix->stopped is set. Freed with uap_mix_rough_free, also after a failure.
 * Errors: NO_MEMORY, those of the crew. */
UAP_NODISCARD uap_status uap_mix_rough_run(uap_mix *mix, int64_t target, int32_t longest,
                                           uap_mix_rough *rough, uap_err *err);
void uap_mix_rough_free(uap_mix_rough *rough);

#endif
