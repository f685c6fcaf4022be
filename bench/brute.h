/* The oracle: the objective of docs/cost-model.md written a second time, and all plans
 * tried one by one. It shares no code with search/ beyond the data structures, so that a
 * mistake there cannot hide here. For small instances only. */
#ifndef UAP_BENCH_BRUTE_H
#define UAP_BENCH_BRUTE_H

#include "search/instance.h"

#ifdef __cplusplus
extern "C" {
#endif

#define UAP_BRUTE_MAX_LAYERS 16
#define UAP_BRUTE_MAX_GROUPS 16

/* Value in ticks and memory per stage in bytes ([pp]) of a well-formed choice. */
void uap_brute_cost(const uap_instance *instance, const uap_choice *choice,
                    int64_t *value, int64_t *memory);

/* Whether a well-formed choice keeps every stage on one type, fits, and has devices enough
 * in every group. */
bool uap_brute_fits(const uap_instance *instance, const uap_choice *choice);

typedef struct uap_brute_result {
    bool feasible;
    int64_t value;     /* ticks, of the best plan that fits; when feasible */
    int64_t unlimited; /* ticks, of the best plan if memory did not matter; INT64_MAX when
                        * ties leave no plan */
    int64_t visited;   /* partial plans */
    int32_t first[UAP_BRUTE_MAX_LAYERS];
    int32_t strategy[UAP_BRUTE_MAX_LAYERS]; /* the best plan that fits */
} uap_brute_result;

/* Tries every cut and every strategy, leaving out only what the stages placed so far
 * already rule out. Errors: TOO_LARGE above UAP_BRUTE_MAX_LAYERS or _GROUPS. Exponential in L. */
UAP_NODISCARD uap_status uap_brute_solve(const uap_instance *instance,
                                         uap_brute_result *result, uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
