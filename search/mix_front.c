/* Lists of labels that count devices, compared block by block (search/mix_front.h). A label is
 * nowhere worse than another where no difference is negative and no group runs short: both tell
 * in the highest bit of a word, and words of a block are joined by "and" and "or" alone. */
#include "search/mix_front.h"

#include <string.h>

/* The same code for machines with wider registers, chosen when the program starts. */
#if defined(__x86_64__) && defined(__GLIBC__) && defined(__GNUC__) && !defined(__clang__)
#define FOR_WIDE_REGISTERS __attribute__((target_clones("avx2", "default")))
#else
#define FOR_WIDE_REGISTERS
#endif

/* Negative where `has` is short of `wants` in some group. */
static inline int64_t shortage(uint64_t has, uint64_t wants, uint64_t guard)
{
    return (int64_t)(0 - (~((has | guard) - wants) & guard));
}

/* Not negative where some label of the block is nowhere worse than the row. */
static inline int64_t block_covers(const uap_front_block *restrict b,
                                   const uap_front_row *row, int n_keys,
                                   const uap_devices *guard)
{
    int64_t all = -1;
    for (int j = 0; j < UAP_FRONT_BLOCK; j++) {
        int64_t worse = row->key[0] - b->key[0][j];
        for (int k = 1; k < n_keys; k++) {
            worse |= row->key[k] - b->key[k][j];
        }
        for (int w = 0; w < UAP_DEVICE_WORDS; w++) {
            worse |= shortage(b->left[w][j], row->left.word[w], guard->word[w]);
        }
        all &= worse;
    }
    return all;
}

/* The same the other way round: some label is covered by the row. Empty places are not. */
static inline int64_t block_is_covered(const uap_front_block *restrict b,
                                       const uap_front_row *row, int n_keys,
                                       const uap_devices *guard)
{
    int64_t all = -1;
    for (int j = 0; j < UAP_FRONT_BLOCK; j++) {
        int64_t worse = INT64_MAX - 1 - b->key[0][j];
        for (int k = 0; k < n_keys; k++) {
            worse |= b->key[k][j] - row->key[k];
        }
        for (int w = 0; w < UAP_DEVICE_WORDS; w++) {
            worse |= shortage(row->left.word[w], b->left[w][j], guard->word[w]);
        }
        all &= worse;
    }
    return all;
}

/* The first block with a label that covers the row, looked for from block `hint` on; n: none. */
FOR_WIDE_REGISTERS
static int32_t find_cover(const uap_front_block *block, int32_t n, int32_t hint,
                          const uap_front_row *row, const uap_devices *guard)
{
    if (hint < n && block_covers(&block[hint], row, UAP_FRONT_KEYS, guard) >= 0) {
        return hint;
    }
    int32_t i = 0;
    while (i < n && block_covers(&block[i], row, UAP_FRONT_KEYS, guard) < 0) {
        i++;
    }
    return i;
}

FOR_WIDE_REGISTERS
static int32_t find_cover_of_two(const uap_front_block *block, int32_t n, int32_t hint,
                                 const uap_front_row *row, const uap_devices *guard)
{
    if (hint < n && block_covers(&block[hint], row, 2, guard) >= 0) {
        return hint;
    }
    int32_t i = 0;
    while (i < n && block_covers(&block[i], row, 2, guard) < 0) {
        i++;
    }
    return i;
}

/* The first block from `from` on with a label that the row covers; n: none. */
FOR_WIDE_REGISTERS
static int32_t find_covered(const uap_front_block *block, int32_t from, int32_t n,
                            const uap_front_row *row, const uap_devices *guard)
{
    while (from < n && block_is_covered(&block[from], row, UAP_FRONT_KEYS, guard) < 0) {
        from++;
    }
    return from;
}

FOR_WIDE_REGISTERS
static int32_t find_covered_of_two(const uap_front_block *block, int32_t from, int32_t n,
                                   const uap_front_row *row, const uap_devices *guard)
{
    while (from < n && block_is_covered(&block[from], row, 2, guard) < 0) {
        from++;
    }
    return from;
}

static int32_t blocks_of(const uap_front *front)
{
    return (front->n + UAP_FRONT_BLOCK - 1) / UAP_FRONT_BLOCK;
}

bool uap_front_covers(uap_front *front, const uap_mix *mix, const uap_front_row *row)
{
    const uap_devices *guard = &mix->fields->guard;
    const int32_t n = blocks_of(front);
    const int32_t hint =
        front->last_cover; /* what covered one label often does the next */
    const int32_t i = front->n_keys == 2
                          ? find_cover_of_two(front->block, n, hint, row, guard)
                          : find_cover(front->block, n, hint, row, guard);
    front->last_cover = i < n ? i : hint;
    return i < n;
}

/* ---- Adding ---------------------------------------------------------------------------- */

static void get_row(const uap_front_block *b, int32_t j, uap_front_row *row)
{
    for (int k = 0; k < UAP_FRONT_KEYS; k++) {
        row->key[k] = b->key[k][j];
    }
    for (int w = 0; w < UAP_DEVICE_WORDS; w++) {
        row->left.word[w] = b->left[w][j];
    }
}

static void set_row(uap_front_block *b, int32_t j, const uap_front_row *row, int32_t id)
{
    for (int k = 0; k < UAP_FRONT_KEYS; k++) {
        b->key[k][j] = row->key[k];
    }
    for (int w = 0; w < UAP_DEVICE_WORDS; w++) {
        b->left[w][j] = row->left.word[w];
    }
    b->id[j] = id;
}

static void empty_place(uap_front_block *b, int32_t j)
{
    for (int k = 0; k < UAP_FRONT_KEYS; k++) {
        b->key[k][j] = INT64_MAX;
    }
    b->id[j] = -1;
}

static bool row_covers(const uap_mix *mix, int32_t n_keys, const uap_front_row *row,
                       const uap_front_block *b, int32_t j)
{
    const uap_devices left = {{b->left[0][j], b->left[1][j]}};
    bool ok = b->key[0][j] < INT64_MAX && uap_devices_cover(mix, &row->left, &left);
    for (int32_t k = 0; k < n_keys && ok; k++) {
        ok = row->key[k] <= b->key[k][j];
    }
    return ok;
}

/* Empties the places of labels that the row covers. */
static void drop_covered(uap_front *front, const uap_mix *mix, const uap_front_row *row)
{
    const uap_devices *guard = &mix->fields->guard;
    const int32_t n = blocks_of(front);
    for (int32_t i = 0; i < n; i++) {
        i = front->n_keys == 2 ? find_covered_of_two(front->block, i, n, row, guard)
                               : find_covered(front->block, i, n, row, guard);
        for (int32_t j = 0; i < n && j < UAP_FRONT_BLOCK; j++) {
            if (row_covers(mix, front->n_keys, row, &front->block[i], j)) {
                empty_place(&front->block[i], j);
                front->n_empty++;
            }
        }
    }
}

void uap_front_close_up(uap_front *front)
{
    int32_t kept = 0;
    for (int32_t at = 0; at < front->n && front->n_empty > 0; at++) {
        uap_front_block *b = &front->block[at / UAP_FRONT_BLOCK];
        const int32_t j = at % UAP_FRONT_BLOCK;
        const int32_t id = b->id[j];
        uap_front_row row;
        if (id < 0) {
            continue;
        }
        if (kept != at) {
            get_row(b, j, &row);
            empty_place(b, j);
            set_row(&front->block[kept / UAP_FRONT_BLOCK], kept % UAP_FRONT_BLOCK, &row,
                    id);
        }
        kept++;
    }
    front->n = front->n_empty > 0 ? kept : front->n;
    front->n_empty = 0;
}

bool uap_front_add(uap_front *front, const uap_mix *mix, const uap_front_row *row,
                   int32_t id)
{
    drop_covered(front, mix, row);
    if (front->n_empty > UAP_FRONT_BLOCK && front->n_empty > front->n / 2) {
        uap_front_close_up(front);
    }
    const int32_t n = front->n / UAP_FRONT_BLOCK;
    const int32_t j = front->n % UAP_FRONT_BLOCK;
    if (j == 0) {
        uap_front_block *block =
            uap_grow(front->block, &front->capacity, n + 1, sizeof *block);
        if (block == NULL) {
            return false;
        }
        front->block = block;
        for (int32_t k = 0; k < UAP_FRONT_BLOCK; k++) {
            empty_place(&block[n], k);
        }
    }
    set_row(&front->block[n], j, row, id);
    front->n++;
    return true;
}
