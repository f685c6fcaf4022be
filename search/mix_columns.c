/* Lists of points in columns (search/mix_columns.h). */
#include "search/mix_columns.h"

#include "common/mem.h"
#include "common/numbers.h"

#include <math.h>
#include <stdlib.h>

#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_WIDE_REGISTERS __attribute__((target_clones("avx2", "default")))
#else
#define FOR_WIDE_REGISTERS
#endif

/* A wish as keys: an S and M will do whose sum is within the limit, and S with the other M. */
typedef struct wish_keys {
    int64_t sum, s;
    uap_devices left;
} wish_keys;

/* Not negative where some point of the block will do; see search/mix_front.c. */
static inline int64_t block_admits(const uap_columns_block *restrict b,
                                   const wish_keys *wish, const uap_devices *guard)
{
    int64_t all = -1;
    for (int j = 0; j < UAP_COLUMNS_BLOCK; j++) {
        int64_t worse = (wish->sum - b->sum[j]) | (wish->s - b->s[j]);
        for (int w = 0; w < UAP_DEVICE_WORDS; w++) {
            const uint64_t rest = (wish->left.word[w] | guard->word[w]) - b->used[w][j];
            worse |= (int64_t)(0 - (~rest & guard->word[w]));
        }
        all &= worse;
    }
    return all;
}

FOR_WIDE_REGISTERS
static bool some_admits(const uap_columns_block *block, int32_t n, const wish_keys *wish,
                        const uap_devices *guard)
{
    /* The first of a block has its least sum, and no less than those of blocks before. */
    for (int32_t i = 0; i < n && block[i].sum[0] <= wish->sum; i++) {
        if (block_admits(&block[i], wish, guard) >= 0) {
            return true;
        }
    }
    return false;
}

bool uap_columns_admit(const uap_columns *columns, size_t at, const uap_mix *mix,
                       const uap_columns_wish *wish)
{
    const uap_list *list = &columns->list[at];
    if (!(wish->limit >= wish->m)) {
        return false;
    }
    const wish_keys keys = {.sum = uap_front_key(wish->limit),
                            .s = uap_front_key(wish->limit - wish->m),
                            .left = wish->left};
    return some_admits(columns->block + list->first, list->count, &keys,
                       &mix->fields->guard);
}

double uap_columns_least(const uap_columns *columns, size_t at, const uap_mix *mix,
                         const uap_columns_wish *wish)
{
    const uap_list *list = &columns->list[at];
    double least = HUGE_VAL;
    for (int32_t j = 0; j < list->count * UAP_COLUMNS_BLOCK; j++) {
        const uap_columns_block *b = &columns->block[list->first + j / UAP_COLUMNS_BLOCK];
        const int32_t k = j % UAP_COLUMNS_BLOCK;
        const uap_devices used = {{b->used[0][k], b->used[1][k]}};
        if (b->s[k] < INT64_MAX && uap_devices_cover(mix, &wish->left, &used)) {
            const double sum = uap_front_number(b->sum[k]);
            const double with_m = uap_front_number(b->s[k]) + wish->m;
            least = uap_min_f64(least, uap_max_f64(sum, with_m));
        }
    }
    return least;
}

/* ---- Making ---------------------------------------------------------------------------- */

static int by_sum(const void *a, const void *b)
{
    const uap_device_point *p = *(const uap_device_point *const *)a;
    const uap_device_point *q = *(const uap_device_point *const *)b;
    const double x = p->s + p->m;
    const double y = q->s + q->m;
    return (x > y) - (x < y);
}

/* The points of one list, in order, into its blocks. */
static void fill_blocks(uap_columns_block *block, const uap_device_point **point,
                        int32_t n)
{
    const int32_t blocks = (n + UAP_COLUMNS_BLOCK - 1) / UAP_COLUMNS_BLOCK;
    for (int32_t j = 0; j < blocks * UAP_COLUMNS_BLOCK; j++) {
        uap_columns_block *b = &block[j / UAP_COLUMNS_BLOCK];
        const int32_t at = j % UAP_COLUMNS_BLOCK;
        b->sum[at] = j < n ? uap_front_key(point[j]->s + point[j]->m) : INT64_MAX;
        b->s[at] = j < n ? uap_front_key(point[j]->s) : INT64_MAX;
        for (int w = 0; w < UAP_DEVICE_WORDS; w++) {
            b->used[w][at] = j < n ? point[j]->used.word[w] : 0;
        }
    }
}

bool uap_columns_make(uap_columns *columns, const uap_list *list, size_t n,
                      const uap_device_point *pool)
{
    int64_t blocks = 0;
    int32_t longest = 0;
    for (size_t i = 0; i < n; i++) {
        blocks += (list[i].count + UAP_COLUMNS_BLOCK - 1) / UAP_COLUMNS_BLOCK;
        longest = uap_max_i32(longest, list[i].count);
    }
    *columns =
        (uap_columns){.block = uap_calloc((size_t)blocks + 1, sizeof *columns->block),
                      .list = uap_calloc(n, sizeof *columns->list)};
    const uap_device_point **point = uap_calloc((size_t)longest + 1, sizeof *point);
    const bool ok = columns->block != NULL && columns->list != NULL && point != NULL;
    int64_t first = 0;
    for (size_t i = 0; ok && i < n; i++) {
        const int32_t count = (list[i].count + UAP_COLUMNS_BLOCK - 1) / UAP_COLUMNS_BLOCK;
        for (int32_t j = 0; j < list[i].count; j++) {
            point[j] = &pool[list[i].first + j];
        }
        qsort(point, (size_t)list[i].count, sizeof *point, by_sum);
        fill_blocks(columns->block + first, point, list[i].count);
        columns->list[i] = (uap_list){.first = first, .count = count};
        first += count;
    }
    uap_free(point);
    return ok;
}

void uap_columns_free(uap_columns *columns)
{
    uap_free(columns->block);
    uap_free(columns->list);
    *columns = (uap_columns){0};
}
