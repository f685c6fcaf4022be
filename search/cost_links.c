/* Links of a cluster, looked up once per (kind, size, stride). Interpolating one takes
 * microseconds, and a search asks for the same few hundred many thousand times. */
#include "search/cost_internal.h"

#define N_SLOTS 1024 /* a power of two; chains take what does not fit */

typedef struct link_entry {
    struct link_entry *next;
    int64_t stride;
    int32_t size;
    uap_collective_kind kind;
    uap_link link;
} link_entry;

struct uap_link_cache {
    uap_cost *cost;
    cost_group *group;
    link_entry *slot[N_SLOTS];
    link_entry spare; /* answers when memory is out; the failure is remembered */
    bool failed;
    int32_t n_assumed;
};

uap_link_cache *cost_links_new(uap_cost *cost, cost_group *group)
{
    uap_link_cache *cache = uap_arena_alloc(cost->arena, 1, sizeof *cache);
    if (cache != NULL) {
        cache->cost = cost;
        cache->group = group;
    }
    return cache;
}

bool cost_links_failed(const uap_link_cache *cache)
{
    return cache->failed;
}

int32_t cost_links_assumed(const uap_link_cache *cache)
{
    return cache->n_assumed;
}

static size_t slot_of(uap_collective_kind kind, int32_t size, int64_t stride)
{
    uint64_t hash = (uint64_t)size * 0x9E3779B97F4A7C15U;
    hash ^= ((uint64_t)stride + 1) * 0xC2B2AE3D27D4EB4FU;
    hash += (uint64_t)kind * 0x165667B19E3779F9U;
    return (size_t)(hash >> 40) & (N_SLOTS - 1);
}

static void fill(uap_link_cache *cache, const uap_dim_scope *scope, link_entry *entry)
{
    const uap_span span = uap_cluster_group_span(scope->cluster, scope->devices,
                                                 entry->size, entry->stride);
    entry->link = uap_cluster_group_link(scope->cluster, entry->kind, entry->size,
                                         entry->stride, span);
    if (entry->link.assumed) {
        cache->n_assumed++;
        if (scope->cluster->source == UAP_MEASURED) {
            cost_warn(
                cache->cost, cache->group, COST_WARN_LINK,
                "some groups were not measured and are interpolated (docs/clusters.md), "
                "the first: %s over %d ranks, stride %lld",
                uap_collective_name(entry->kind), entry->size, (long long)entry->stride);
        }
    }
    if (cache->cost->is_paper) {
        entry->link.latency_s = 0.0;
        entry->link.n_pieces = 0;
    }
}

const uap_link *uap_scope_link(const uap_dim_scope *scope, uap_collective_kind kind,
                               int32_t size, int64_t stride)
{
    uap_link_cache *cache = scope->links;
    link_entry **slot = &cache->slot[slot_of(kind, size, stride)];
    for (link_entry *entry = *slot; entry != NULL; entry = entry->next) {
        if (entry->size == size && entry->stride == stride && entry->kind == kind) {
            return &entry->link;
        }
    }
    link_entry *entry = uap_arena_alloc(cache->cost->arena, 1, sizeof *entry);
    if (entry == NULL) {
        cache->failed = true;
        entry = &cache->spare;
    } else {
        entry->next = *slot;
        *slot = entry;
    }
    entry->kind = kind;
    entry->size = size;
    entry->stride = stride;
    fill(cache, scope, entry);
    return &entry->link;
}
