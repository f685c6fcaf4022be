/* Counted allocation: every block is counted so that a program can check at exit that
 * nothing leaked, sizes are multiplied with overflow checks, and tests can make the n-th
 * allocation fail. Arenas hold what is freed together. */
#ifndef UAP_COMMON_MEM_H
#define UAP_COMMON_MEM_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* n elements of `size` bytes, zeroed; NULL when out of memory or n * size overflows.
 * n = 0 gives a block that may be freed. The caller owns it (uap_free). Local. */
void *uap_calloc(size_t n, size_t size);

/* Resizes to n elements of `size` bytes (new bytes not zeroed); on failure NULL, and the
 * old block stands. Local. */
void *uap_realloc(void *block, size_t n, size_t size);

/* The block, at least `need` elements of `size` bytes long: moved to a larger one, by doubling,
 * where *capacity is less. On failure NULL, and the old block stands. Local. */
void *uap_grow(void *block, int64_t *capacity, int64_t need, size_t size);

/* A copy of a string, NULL when out of memory. Local. */
char *uap_strdup(const char *text);

/* Frees; NULL is legal. Local. */
void uap_free(void *block);

/* What a thread allocates for itself alone, where it counts apart from the process. */
typedef struct uap_mem_count {
    int64_t outstanding;  /* blocks; */
    int64_t in_use, peak; /* bytes */
    int64_t limit;        /* of in_use: what would pass it is out of memory; 0: none */
} uap_mem_count;

/* From here on this thread counts in *own; NULL: in the process's counts, which only one thread
 * at a time may use. Blocks may be freed by another thread: sums are right once settled.
 * Returns where it counted before. */
uap_mem_count *uap_mem_count_here(uap_mem_count *own);

/* Adds these counts, which no thread uses any more, to this thread's, and zeroes them. */
void uap_mem_settle(uap_mem_count *count);

/* The following are this thread's where it counts apart. Blocks allocated and not yet freed. */
int64_t uap_mem_outstanding(void);

/* Their bytes, as the allocator rounds them. */
int64_t uap_mem_bytes(void);

/* The most of them at any time since the start, or since the last reset. */
int64_t uap_mem_peak_bytes(void);
void uap_mem_peak_reset(void);

/* For tests: the allocation after `count` more successful ones fails, once; a negative
 * count switches the fault off. */
void uap_mem_fail_after(int64_t count);

/* A growing region whose blocks are released together. */
typedef struct uap_arena uap_arena;

/* An empty arena, NULL when out of memory. The caller frees it. */
uap_arena *uap_arena_new(void);

/* n * size zeroed bytes, 16-byte aligned, owned by the arena; NULL when out of memory. */
void *uap_arena_alloc(uap_arena *arena, size_t n, size_t size);

/* The same, of any content, for what is written before it is read. */
void *uap_arena_take(uap_arena *arena, size_t n, size_t size);

/* Forgets every block but keeps the memory for the next phase. */
void uap_arena_reset(uap_arena *arena);

/* Bytes the arena holds from the system. */
size_t uap_arena_bytes(const uap_arena *arena);

/* Frees the arena and all its blocks; NULL is legal. */
void uap_arena_free(uap_arena *arena);

#ifdef __cplusplus
}
#endif
#endif
