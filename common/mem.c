/* Counted allocation and arenas. The counters are plain: each belongs to one thread at a time. */
#include "common/mem.h"

#include <malloc.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(addr, size)   ((void)(addr), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(addr, size) ((void)(addr), (void)(size))
#endif

#define ARENA_ALIGN       16u
#define ARENA_CHUNK_BYTES ((size_t)64 * 1024)

static uap_mem_count process;
static _Thread_local uap_mem_count *own_count;
static int64_t fail_after = -1;

static int fault_is_due(void)
{
    if (fail_after < 0) {
        return 0;
    }
    return fail_after-- == 0;
}

static uap_mem_count *count_here(void)
{
    return own_count != NULL ? own_count : &process;
}

static void count_bytes(int64_t more)
{
    uap_mem_count *count = count_here();
    count->in_use += more;
    count->peak = count->in_use > count->peak ? count->in_use : count->peak;
}

/* Whether n elements of `size` bytes instead of `block` are more than this thread may have. */
static bool is_over_limit(void *block, size_t n, size_t size)
{
    const uap_mem_count *count = own_count;
    size_t bytes;
    if (count == NULL || count->limit <= 0) {
        return false;
    }
    const int64_t before = block != NULL ? (int64_t)malloc_usable_size(block) : 0;
    return __builtin_mul_overflow(n, size, &bytes) || bytes > (size_t)INT64_MAX ||
           (int64_t)bytes - before > count->limit - count->in_use;
}

uap_mem_count *uap_mem_count_here(uap_mem_count *own)
{
    uap_mem_count *before = own_count;
    own_count = own;
    return before;
}

void uap_mem_settle(uap_mem_count *count)
{
    count_here()->outstanding += count->outstanding;
    count_bytes(count->in_use);
    *count = (uap_mem_count){.limit = count->limit};
}

void *uap_calloc(size_t n, size_t size)
{
    void *block = NULL;
    if (!fault_is_due() && !is_over_limit(NULL, n, size)) {
        block = calloc(n == 0 ? 1 : n, size == 0 ? 1 : size);
    }
    if (block != NULL) {
        count_here()->outstanding++;
        count_bytes((int64_t)malloc_usable_size(block));
    }
    return block;
}

void *uap_realloc(void *block, size_t n, size_t size)
{
    size_t bytes;
    if (fault_is_due() || is_over_limit(block, n, size) ||
        __builtin_mul_overflow(n, size, &bytes)) {
        return NULL;
    }
    const int64_t before = block == NULL ? 0 : (int64_t)malloc_usable_size(block);
    void *moved = realloc(block, bytes == 0 ? 1 : bytes);
    if (moved != NULL) {
        count_here()->outstanding += block == NULL;
        count_bytes((int64_t)malloc_usable_size(moved) - before);
    }
    return moved;
}

void *uap_grow(void *block, int64_t *capacity, int64_t need, size_t size)
{
    int64_t room = *capacity < 1024 ? 1024 : *capacity;
    if (block != NULL && need <= *capacity) {
        return block;
    }
    while (room < need) {
        room *= 2;
    }
    void *grown = uap_realloc(block, (size_t)room, size);
    *capacity = grown == NULL ? *capacity : room;
    return grown;
}

char *uap_strdup(const char *text)
{
    const size_t n = strlen(text) + 1;
    char *copy = uap_calloc(n, 1);
    if (copy != NULL) {
        memcpy(copy, text, n);
    }
    return copy;
}

void uap_free(void *block)
{
    if (block != NULL) {
        uap_mem_count *count = count_here();
        count->outstanding--;
        count->in_use -= (int64_t)malloc_usable_size(block);
        free(block);
    }
}

int64_t uap_mem_outstanding(void)
{
    return count_here()->outstanding;
}

int64_t uap_mem_bytes(void)
{
    return count_here()->in_use;
}

int64_t uap_mem_peak_bytes(void)
{
    return count_here()->peak;
}

void uap_mem_peak_reset(void)
{
    count_here()->peak = count_here()->in_use;
}

void uap_mem_fail_after(int64_t count)
{
    fail_after = count;
}

typedef struct arena_chunk {
    struct arena_chunk *next;
    size_t used, capacity; /* bytes behind this header */
    size_t padding;        /* keeps the bytes behind it aligned */
} arena_chunk;

struct uap_arena {
    arena_chunk *first, *current;
    size_t bytes;
};

uap_arena *uap_arena_new(void)
{
    return uap_calloc(1, sizeof(uap_arena));
}

static void *chunk_take(arena_chunk *chunk, size_t bytes)
{
    unsigned char *base = (unsigned char *)(chunk + 1);
    void *block = base + chunk->used;
    chunk->used += bytes;
    ASAN_UNPOISON_MEMORY_REGION(block, bytes);
    return block;
}

void *uap_arena_alloc(uap_arena *arena, size_t n, size_t size)
{
    void *block = uap_arena_take(arena, n, size);
    return block != NULL ? memset(block, 0, n * size) : NULL;
}

void *uap_arena_take(uap_arena *arena, size_t n, size_t size)
{
    size_t bytes;
    if (__builtin_mul_overflow(n, size, &bytes) || bytes > SIZE_MAX / 2) {
        return NULL;
    }
    bytes = (bytes + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
    /* Chunks behind the current one are empty: they were kept by a reset. */
    for (arena_chunk *chunk = arena->current; chunk != NULL; chunk = chunk->next) {
        if (chunk->capacity - chunk->used >= bytes) {
            arena->current = chunk;
            return chunk_take(chunk, bytes);
        }
    }
    size_t capacity =
        arena->bytes / 2 > ARENA_CHUNK_BYTES ? arena->bytes / 2 : ARENA_CHUNK_BYTES;
    capacity = capacity < bytes ? bytes : capacity;
    arena_chunk *chunk = uap_realloc(NULL, 1, sizeof *chunk + capacity);
    if (chunk == NULL) {
        return NULL;
    }
    *chunk = (arena_chunk){.capacity = capacity};
    ASAN_POISON_MEMORY_REGION(chunk + 1, capacity);
    if (arena->current == NULL) {
        arena->first = chunk;
    } else {
        chunk->next = arena->current->next;
        arena->current->next = chunk;
    }
    arena->current = chunk;
    arena->bytes += sizeof *chunk + capacity;
    return chunk_take(chunk, bytes);
}

void uap_arena_reset(uap_arena *arena)
{
    for (arena_chunk *chunk = arena->first; chunk != NULL; chunk = chunk->next) {
        chunk->used = 0;
        ASAN_POISON_MEMORY_REGION(chunk + 1, chunk->capacity);
    }
    arena->current = arena->first;
}

size_t uap_arena_bytes(const uap_arena *arena)
{
    return arena->bytes;
}

void uap_arena_free(uap_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    for (arena_chunk *chunk = arena->first; chunk != NULL;) {
        arena_chunk *next = chunk->next;
        ASAN_UNPOISON_MEMORY_REGION(chunk + 1, chunk->capacity);
        uap_free(chunk);
        chunk = next;
    }
    uap_free(arena);
}
