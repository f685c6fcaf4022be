/* A partition that is not there: devices and links with times, noise and planted faults, and
 * a clock that only counts. It answers a survey (profile/survey.h) as machines would; the
 * tests and `uniap bench profile-sim` look whether exactly what was planted is found. */
#ifndef UAP_BENCH_VIRTUAL_CLUSTER_H
#define UAP_BENCH_VIRTUAL_CLUSTER_H

#include "bench/rng.h"
#include "profile/survey.h"

#include <stdio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A fault, described by the finding that a survey should make of it: its kind, where (only
 * inside a node or not counts), device, peer, ways. */
typedef struct uap_virtual_fault {
    uap_finding expected;
    double factor; /* times are so much longer */
} uap_virtual_fault;

#define UAP_VIRTUAL_FAULTS_MAX 64

typedef struct uap_virtual_cluster {
    const uap_partition *partition;
    uap_survey_costs costs; /* what healthy things take */
    double deadline_s;      /* how long an answer is waited for */
    double noise;           /* standard deviation of a time, relative */
    bool keeps_budget;      /* by its own clock; else the whole plan is run */
    double hiccup;          /* probability that a time is several times too long, once */
    uint64_t seed;
    int32_t n_faults;
    uap_virtual_fault fault[UAP_VIRTUAL_FAULTS_MAX];
} uap_virtual_cluster;

/* Plants `n` faults of all kinds in turn, each on nodes of its own, those of pairs on pairs
 * that meet in rounds of `nodes` (PAIRS or SHIFTS). Fewer where nodes are few: at most a third
 * has faults. The seed says which kind is first, and where they go. Sets n_faults. */
void uap_virtual_cluster_plant(uap_virtual_cluster *cluster, int32_t n,
                               uap_round_kind nodes);

typedef struct uap_virtual_survey {
    double seconds;        /* on the clock that counts */
    int32_t rounds, again; /* rounds in all, and those measured again */
    int32_t suspects;
    int32_t found, missed, false_alarms;
    int64_t bytes; /* most that the survey held at a time: rank 0's */
} uap_virtual_survey;

/* Surveys the cluster by the plan and compares findings with faults. What differs is printed
 * on `out` (may be NULL). Errors: NO_MEMORY. */
UAP_NODISCARD uap_status uap_virtual_cluster_survey(const uap_virtual_cluster *cluster,
                                                    const uap_survey_plan *plan,
                                                    FILE *out, uap_virtual_survey *result,
                                                    uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
