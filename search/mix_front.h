/* Inside of search/mix.h: lists of labels of which none is nowhere better than another: by a few
 * numbers, less being better, and by the devices that are left. Held in columns, block by block,
 * so that a label is compared with a block at once. Nobody else includes this. */
#ifndef UAP_SEARCH_MIX_FRONT_H
#define UAP_SEARCH_MIX_FRONT_H

#include "search/mix_devices.h"

#define UAP_FRONT_KEYS  5
#define UAP_FRONT_BLOCK 16 /* labels */

/* What of a label is compared. */
typedef struct uap_front_row {
    int64_t
        key[UAP_FRONT_KEYS]; /* 0 .. INT64_MAX - 1; those beyond n_keys do not count */
    uap_devices left;
} uap_front_row;

typedef struct uap_front_block {
    int64_t key[UAP_FRONT_KEYS][UAP_FRONT_BLOCK]; /* INT64_MAX: no label */
    uint64_t left[UAP_DEVICE_WORDS][UAP_FRONT_BLOCK];
    int32_t id[UAP_FRONT_BLOCK]; /* the caller's */
} uap_front_block;

/* Empty with n = 0. */
typedef struct uap_front {
    int32_t n_keys; /* 2 or UAP_FRONT_KEYS */
    int32_t n;      /* places, of which some are empty */
    int32_t n_empty;
    int32_t last_cover;     /* block that covered the label before */
    uap_front_block *block; /* owned */
    int64_t capacity;       /* blocks */
} uap_front;

/* A number that is not negative as a key of the same order. */
static inline int64_t uap_front_key(double value)
{
    union {
        double value;
        int64_t bits;
    } as = {.value = value + 0.0}; /* not -0.0 */
    return as.bits;
}

/* The number of a key. */
static inline double uap_front_number(int64_t key)
{
    union {
        int64_t bits;
        double value;
    } as = {.bits = key};
    return as.value;
}

/* Whether some label is nowhere worse than the row, or the same. O(n). */
bool uap_front_covers(uap_front *front, const uap_mix *mix, const uap_front_row *row);

/* Adds a row that is not covered; those that it covers go, the others stay in their order.
 * False: no memory. O(n). */
bool uap_front_add(uap_front *front, const uap_mix *mix, const uap_front_row *row,
                   int32_t id);

/* Labels in the list. */
static inline int32_t uap_front_count(const uap_front *front)
{
    return front->n - front->n_empty;
}

/* Leaves no place empty. */
void uap_front_close_up(uap_front *front);

/* Of the label at a place of a list that is closed up. */
static inline int32_t uap_front_id(const uap_front *front, int32_t j)
{
    return front->block[j / UAP_FRONT_BLOCK].id[j % UAP_FRONT_BLOCK];
}

static inline void uap_front_clear(uap_front *front)
{
    front->n = front->n_empty = 0;
}

static inline void uap_front_free(uap_front *front)
{
    uap_free(front->block);
    *front = (uap_front){0};
}

#endif
