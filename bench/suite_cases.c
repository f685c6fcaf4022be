/* The cases of the suite, in the order in which they are run. */
#include "bench/suite.h"

#define GIB ((int64_t)1 << 30)

#define ALL_SCHEDULES ((1u << UAP_SCHEDULE_COUNT) - 1)
#define ONE_F_ONE_B   (1u << UAP_SCHEDULE_1F1B)

/* family, objective, schedule, L, S, pp, c, tightness, unequal caps, seed */
#define CHAIN(named, ...)                                                                \
    {                                                                                    \
        .name = named, .kind = UAP_SUITE_CHAIN, .chain = { __VA_ARGS__ }                 \
    }

/* schedule, L, pp, c, groups, devices of the first, largest stage, memory, varied, seed */
#define MIXED(named, ...)                                                                \
    {                                                                                    \
        .name = named, .kind = UAP_SUITE_MIXED, .mixed = { __VA_ARGS__ }                 \
    }

/* tensors, layouts, weight of the skips; then as in CHAIN */
#define WIDE(named, of, tensors, each, heavy, ...)                                       \
    {                                                                                    \
        .name = named, .kind = UAP_SUITE_WIDE, .wide = {                                 \
            .chain = {__VA_ARGS__},                                                      \
            .skips = of,                                                                 \
            .n_live = tensors,                                                           \
            .layouts = each,                                                             \
            .weight = heavy                                                              \
        }                                                                                \
    }

/* Attention and MLP apart or not, the longest sequence, the batch, schedules, and memory in
 * GiB (0: the cluster's). */
#define MODEL(named, config, on, length, apart, samples, of, gib)                        \
    {                                                                                    \
        .name = named, .kind = UAP_SUITE_MODEL, .model = {                               \
            .model = config,                                                             \
            .cluster = on,                                                               \
            .seq = length,                                                               \
            .operator_granularity = apart,                                               \
            .options = {.batch = samples,                                                \
                        .precision = UAP_BF16,                                           \
                        .optimizer = UAP_ADAM,                                           \
                        .cost = UAP_COST_FULL,                                           \
                        .schedules = of,                                                 \
                        .space = UAP_SPACE_ALL,                                          \
                        .memory_bytes = gib * GIB,                                       \
                        .reserve_bytes = GIB}                                            \
        }                                                                                \
    }

#define RECORDED(named, value)                                                           \
    {                                                                                    \
        .name = named, .kind = UAP_SUITE_RECORDED, .file = named, .optimum_s = value     \
    }

#define UNLIKE     UAP_FAMILY_RANDOM
#define VARIED     UAP_FAMILY_VARIED
#define FULL       UAP_OBJECTIVE_FULL
#define SIMPLE     UAP_OBJECTIVE_SIMPLE
#define GPIPE      UAP_SCHEDULE_GPIPE
#define F1B1       UAP_SCHEDULE_1F1B
#define F1B1_EAGER UAP_SCHEDULE_1F1B_EAGER
#define NESTED     UAP_SKIPS_NESTED
#define DENSE      UAP_SKIPS_DENSE

static const uap_suite_case cases[] = {
    /* Unlike layers with dense resharding, and layers of many widths. */
    CHAIN("unlike-192x48-pp8", UNLIKE, SIMPLE, F1B1, 192, 48, 8, 16, 0.2, false, 1),
    CHAIN("unlike-128x64-pp8", UNLIKE, SIMPLE, F1B1, 128, 64, 8, 16, 0.15, false, 2),
    CHAIN("unlike-160x48-pp4", UNLIKE, SIMPLE, F1B1, 160, 48, 4, 8, 0.15, false, 2),
    CHAIN("unlike-192x32-pp4", UNLIKE, SIMPLE, F1B1, 192, 32, 4, 16, 0.15, false, 4),
    CHAIN("unlike-96x32-pp4-1f1b", UNLIKE, FULL, F1B1, 96, 32, 4, 16, 0.3, true, 2),
    CHAIN("unlike-96x32-pp4-gpipe", UNLIKE, FULL, GPIPE, 96, 32, 4, 16, 0.3, true, 2),
    CHAIN("unlike-128x32-pp8-1f1b", UNLIKE, FULL, F1B1, 128, 32, 8, 32, 0.6, true, 2),
    CHAIN("unlike-96x48-pp2-1f1b", UNLIKE, FULL, F1B1, 96, 48, 2, 8, 0.3, true, 3),
    CHAIN("unlike-192x64-pp2", UNLIKE, SIMPLE, F1B1, 192, 64, 2, 8, 0.2, false, 2),
    CHAIN("varied-192x32-pp8-1f1b", VARIED, FULL, F1B1, 192, 32, 8, 32, 0.3, true, 2),
    CHAIN("varied-128x32-pp8-eager", VARIED, FULL, F1B1_EAGER, 128, 32, 8, 32, 0.3, true,
          1),
    CHAIN("varied-192x64-pp4", VARIED, SIMPLE, F1B1, 192, 64, 4, 16, 0.25, false, 2),

    /* Clusters of four unlike groups. */
    MIXED("mixed-34-pp8", F1B1, 34, 8, 32, 4, 8, 8, 1.5, false, 2),
    MIXED("mixed-34-pp8-gpipe", GPIPE, 34, 8, 32, 4, 8, 8, 1.5, false, 8),
    MIXED("mixed-50-pp8", F1B1, 50, 8, 32, 4, 8, 8, 1.6, false, 7),

    /* Many skips: those of a U-Net, those of a DenseNet. */
    WIDE("wide-nested-28x8-pp4", NESTED, 10, 8, 1, UNLIKE, FULL, F1B1, 28, 8, 4, 8, 0.4,
         true, 1),
    WIDE("wide-nested-32x8-pp4", NESTED, 10, 6, 1, UNLIKE, FULL, F1B1, 32, 8, 4, 8, 0.4,
         true, 1),
    WIDE("wide-nested-48x12-pp4", NESTED, 12, 4, 2, VARIED, FULL, F1B1, 48, 12, 4, 8, 0.4,
         true, 2),
    WIDE("wide-dense-40x8-pp2", DENSE, 30, 4, 5, UNLIKE, FULL, F1B1, 40, 8, 2, 2, 0.5,
         false, 1),
    WIDE("wide-dense-32x6-pp2", DENSE, 24, 6, 3, UNLIKE, FULL, F1B1, 32, 6, 2, 4, 0.5,
         false, 1),

    /* Models of more than a hundred layers, attention and MLP apart, memory short. */
    MODEL("gpt3-op-1024", "gpt3-175b", "a100-1024", 2048, true, 1536, ALL_SCHEDULES, 32),
    MODEL("gpt3-op-512", "gpt3-175b", "a100-512", 2048, true, 960, ALL_SCHEDULES, 24),
    MODEL("gpt3-op-256", "gpt3-175b", "a100-256", 2048, true, 512, ALL_SCHEDULES, 0),
    MODEL("405b-op-1024", "llama-3.1-405b", "h100-1024", 8192, true, 512, ALL_SCHEDULES,
          60),
    MODEL("70b-op-128", "llama-3.1-70b", "h100-128", 8192, true, 512, ONE_F_ONE_B, 40),
    MODEL("405b-op-12288", "llama-3.1-405b", "h100-12288", 8192, true, 2016,
          ALL_SCHEDULES, 0),
    MODEL("405b-6144", "llama-3.1-405b", "h100-6144", 8192, false, 2016, ALL_SCHEDULES,
          50),
    /* Live tensors and ties. */
    MODEL("t5-op-128", "t5-11b", "a100-128", 512, true, 1024, ALL_SCHEDULES, 16),

    /* Recorded, with the optimum of another program. */
    RECORDED("chain-24x16-pp4-uniform", 0.070642),
    RECORDED("chain-24x16-pp4-random", 0.060997),
    RECORDED("chain-48x16-pp8-random", 0.107483),
    RECORDED("chain-64x16-pp8-varied", 0.131224),
    RECORDED("chain-64x32-pp8-varied", 0.131225),
    RECORDED("chain-64x32-pp8-random", 0.145599),
    RECORDED("chain-48x24-pp4-random", 0.118975),
    RECORDED("chain-64x16-pp4-varied", 0.336388),
    RECORDED("chain-96x16-pp4-varied", 0.492995),
    RECORDED("chain-64x16-pp1-random", 0.051514),
    RECORDED("chain-64x16-pp2-random", 0.129363),
};

int uap_suite_count(void)
{
    return (int)(sizeof cases / sizeof cases[0]);
}

const uap_suite_case *uap_suite_at(int index)
{
    return &cases[index];
}
