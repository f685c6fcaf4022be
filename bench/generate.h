/* Instances made from a seed, for tests and benchmarks: small random ones that try every
 * corner of search/instance.h, and large families that are hard to solve. The same seed
 * gives the same instance everywhere. */
#ifndef UAP_BENCH_GENERATE_H
#define UAP_BENCH_GENERATE_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Sizes to draw from, both ends included; pp is cut to L. */
typedef struct uap_generate_range {
    int32_t min_layers, max_layers;
    int32_t min_strategies, max_strategies;
    int32_t min_stages, max_stages;
} uap_generate_range;

/* A random instance: both objectives and all schedules, inflight of the schedule or
 * arbitrary, equal and unequal caps, ragged S_u, zero and equal entries, resharding dense,
 * by classes or absent, runs of identical layers, gradient work that may sit on late
 * layers, a quarter with a live tensor, some with a tie; about a quarter infeasible and, of
 * the others, half with memory binding. The caller frees *out. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_generate_random(uint64_t seed,
                                             const uap_generate_range *range,
                                             uap_instance **out, uap_err *err);

/* The same for mixed clusters: 2 to 4 stage types over 1 to 3 groups, rows of each type in
 * most layers, type caps below the stages' or not, bytes kept from a stage's start on in half
 * of them, groups that bind or not, no live tensors. Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_generate_typed(uint64_t seed,
                                            const uap_generate_range *range,
                                            uap_instance **out, uap_err *err);

/* A mixed cluster as one has it: groups of devices unlike in speed and memory, stages of 1, 2,
 * 4 .. max_size devices of a group, equal blocks between an embedding and a head, strategies
 * TP x FSDP x recompute, slower links between groups. */
typedef struct uap_generate_cluster {
    uap_schedule schedule;
    int32_t n_layers, pp, micro_batches;
    int32_t n_groups;
    int64_t group_devices; /* of the first group; others have 1 to 4 times as many */
    int64_t max_size;      /* of a stage, devices */
    double memory; /* of the devices, relative to what one evenly cut plan needs */
    bool varied;   /* blocks differ */
    uint64_t seed;
} uap_generate_cluster;

/* The caller frees *out. Errors: NO_MEMORY, BAD_USAGE. */
UAP_NODISCARD uap_status uap_generate_mixed(const uap_generate_cluster *what,
                                            uap_instance **out, uap_err *err);

/* Large chains. Strategies are TP 1-8 x FSDP x recompute x SP except in RANDOM. */
typedef enum uap_family {
    UAP_FAMILY_UNIFORM, /* equal transformer blocks between embedding and head */
    UAP_FAMILY_VARIED,  /* the same with widths and sequence shares that differ */
    UAP_FAMILY_RANDOM,  /* unlike layers, dense random resharding, time against memory */
    UAP_FAMILY_COUNT
} uap_family;

typedef struct uap_generate_large {
    uap_family family;
    uap_objective objective;
    uap_schedule schedule;
    int32_t n_layers, n_strategies;
    int32_t pp, micro_batches;
    double tightness;  /* 0: the least memory that could do; 1: memory never matters */
    bool unequal_caps; /* stages' caps differ by up to 30 % */
    uint64_t seed;
} uap_generate_large;

/* One instance of a family; S_u = n_strategies. The caller frees *out.
 * Errors: NO_MEMORY, BAD_USAGE (sizes below 1, pp > L). */
UAP_NODISCARD uap_status uap_generate_family(const uap_generate_large *what,
                                             uap_instance **out, uap_err *err);

const char *uap_family_name(uap_family family); /* "uniform", "varied", "random" */

/* Which layers' tensors later ones than the next read, over a chain of L layers. */
typedef enum uap_skips {
    UAP_SKIPS_NESTED, /* U-Net: tensor t of the first half goes to its mirror in the second */
    UAP_SKIPS_DENSE,  /* DenseNet: each is read by all of the next four layers */
    UAP_SKIPS_RANDOM, /* series-parallel branches of random length with random readers */
    UAP_SKIPS_COUNT
} uap_skips;

typedef struct uap_generate_wide {
    uap_generate_large chain;
    uap_skips skips;
    int32_t n_live;  /* tensors, at most */
    int32_t layouts; /* of strategies, by k % layouts: what resharding depends on */
    double weight;   /* of skips' resharding and transfers; 1: as those of the chain */
} uap_generate_wide;

/* A chain of a family with skips added, from chain.seed. The caller frees *out. Errors:
 * NO_MEMORY, BAD_USAGE (as above, layouts or n_live below 1, fewer than 3 layers). */
UAP_NODISCARD uap_status uap_generate_wide_graph(const uap_generate_wide *what,
                                                 uap_instance **out, uap_err *err);

const char *uap_skips_name(uap_skips skips); /* "nested", "dense", "random" */

/* The large instances of the project's own: 1f1b, full objective, unequal caps, unlike
 * layers, L 48 to 64, S 12 to 16, pp 4 to 8. */
#define UAP_GENERATE_OWN 3
extern const uap_generate_large uap_generate_own[UAP_GENERATE_OWN];

#ifdef __cplusplus
}
#endif
#endif
