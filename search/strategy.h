/* A layer's strategy and the space of all of them. Dimensions of the space are rows of one
 * table (search/dimension.h); this file knows only the result. */
#ifndef UAP_SEARCH_STRATEGY_H
#define UAP_SEARCH_STRATEGY_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* dp * fsdp * tp = devices of a stage. Ranks are laid out tp fastest, then fsdp, then dp. */
typedef struct uap_strategy {
    int32_t dp, fsdp, tp;
    int8_t zero;    /* 0..2 for the dp ranks; 3 is what fsdp > 1 means */
    bool sp;        /* Megatron sequence parallelism, tp > 1 only */
    bool recompute; /* the whole layer is run again in the backward pass */
} uap_strategy;

#define UAP_STRATEGY_NAME 48

/* "dp2.fsdp4.tp8.zero1+sp+rc"; factors of 1 and zero0 are left out, all 1 gives "single".
 * Returns buffer. Local. */
char *uap_strategy_name(const uap_strategy *strategy, char buffer[UAP_STRATEGY_NAME]);

#ifdef __cplusplus
}
#endif
#endif
