/* Running an engine on one instance in a test, and judging its answer with the oracle's
 * own costs: an engine's word is never enough. */
#ifndef UAP_TESTS_UNIT_ENGINES_H
#define UAP_TESTS_UNIT_ENGINES_H

#include "unit/check.h"

#include "bench/brute.h"
#include "bench/generate.h"
#include "search/objective.h"
#include "search/solve.h"

typedef uap_status engine(const uap_source *source, const uap_limits *limits,
                          uap_result *result, uap_err *err);

typedef struct answer {
    uap_outcome outcome;
    int64_t value; /* INT64_MAX without a plan */
    int64_t bound;
} answer;

/* The plan must be well formed, fit, and cost what the engine says, and not beat the bound. `seed` is for the message. */
static inline void judge_result(const uap_instance *in, const uap_result *r,
                                uint64_t seed)
{
    int64_t value = -1;
    int64_t memory[UAP_BRUTE_MAX_LAYERS];
    if (r->config != 0 || r->choice.first == NULL || r->choice.first[0] != 0) {
        fail_msg("seed %" PRIu64 ": a result without a plan", seed);
    }
    uap_brute_cost(in, &r->choice, &value, memory);
    if (value != r->value) {
        fail_msg("seed %" PRIu64 ": the plan costs %" PRId64 ", not %" PRId64, seed,
                 value, r->value);
    }
    if (!uap_brute_fits(in, &r->choice)) {
        fail_msg("seed %" PRIu64 ": the plan does not fit", seed);
    }
    for (int32_t i = 0; i < in->pp; i++) {
        if (memory[i] > in->cap[i]) {
            fail_msg("seed %" PRIu64 ": stage %d needs %" PRId64 ", has %" PRId64, seed,
                     i, memory[i], in->cap[i]);
        }
    }
    if (r->bound > r->value) {
        fail_msg("seed %" PRIu64 ": bound %" PRId64 " of a plan of %" PRId64, seed,
                 r->bound, r->value);
    }
}

/* Instances up to UAP_BRUTE_MAX_LAYERS layers. */
static inline answer solve_with(engine *solve, const uap_instance *in,
                                double time_limit_s, uint64_t seed)
{
    const uap_source source = uap_source_of_instance(in);
    /* Sharp limits and searches given up, which small instances never need. */
    const uap_limits limits = {.time_limit_s = time_limit_s,
                               .rough_work = seed % 2 == 0 ? 0 : -1,
                               .effort = seed % 3 == 0 ? 20 : 0};
    uap_result result = {0};
    uap_err err = {0};
    assert_ok(solve(&source, &limits, &result, &err), &err);
    answer a = {result.outcome, INT64_MAX, result.bound};
    if (a.outcome == UAP_OUTCOME_OPTIMAL || a.outcome == UAP_OUTCOME_FEASIBLE) {
        judge_result(in, &result, seed);
        a.value = result.value;
    }
    uap_result_free(&result);
    return a;
}

/* The exact engine, to proof. */
static inline answer solve_exactly(const uap_instance *in, uint64_t seed)
{
    const answer a = solve_with(uap_exact_solve, in, 0.0, seed);
    if (a.outcome != UAP_OUTCOME_OPTIMAL && a.outcome != UAP_OUTCOME_INFEASIBLE) {
        fail_msg("seed %" PRIu64 ": stopped without a proof", seed);
    }
    if (a.outcome == UAP_OUTCOME_OPTIMAL && a.bound != a.value) {
        fail_msg("seed %" PRIu64 ": a proven plan of %" PRId64 " with bound %" PRId64,
                 seed, a.value, a.bound);
    }
    return a;
}

static inline uap_instance *random_instance(uint64_t seed,
                                            const uap_generate_range *range)
{
    uap_instance *in = NULL;
    uap_err err = {0};
    assert_ok(uap_generate_random(seed, range, &in, &err), &err);
    assert_ok(uap_instance_check(in, &err), &err);
    return in;
}

/* CBC works in floating point. */
#define AGREE_TOLERANCE 1e-6

/* What a comparison with CBC came to. */
typedef struct agreement {
    int instances, infeasible, live, unproven;
} agreement;

/* Both engines on one instance; CBC may be cut off, then its plan may only be worse. */
static inline void assert_engines_agree_on(const uap_instance *in, uint64_t seed,
                                           double cbc_limit_s, agreement *seen)
{
    const answer exact = solve_exactly(in, seed);
    const answer cbc = solve_with(uap_cbc_solve, in, cbc_limit_s, seed);
    const bool proven =
        cbc.outcome == UAP_OUTCOME_OPTIMAL || cbc.outcome == UAP_OUTCOME_INFEASIBLE;
    const bool lower = (double)exact.value < (double)cbc.value * (1.0 - AGREE_TOLERANCE);
    if (exact.value > cbc.value || (proven && lower)) {
        fail_msg("seed %" PRIu64 " (L %d, pp %d, c %d, objective %d, %s): exact %" PRId64
                 ", CBC %" PRId64 "%s",
                 seed, in->n_layers, in->pp, in->micro_batches, (int)in->objective,
                 uap_schedule_name(in->schedule), exact.value, cbc.value,
                 proven ? "" : " when cut off");
    }
    seen->instances++;
    seen->infeasible += exact.outcome == UAP_OUTCOME_INFEASIBLE;
    seen->live += in->n_live > 0;
    seen->unproven += !proven;
}

static inline void print_agreement(const agreement *seen, double cbc_limit_s)
{
    printf("%d instances: %d infeasible, %d with a live tensor, %d not proven by CBC in "
           "%.0f s\n",
           seen->instances, seen->infeasible, seen->live, seen->unproven, cbc_limit_s);
}

/* Both engines on `count` instances from `first_seed` on. */
static inline agreement assert_engines_agree(uint64_t first_seed, int count,
                                             const uap_generate_range *range,
                                             double cbc_limit_s)
{
    agreement seen = {0};
    for (int i = 0; i < count; i++) {
        const uint64_t seed = first_seed + (uint64_t)i;
        uap_instance *in = random_instance(seed, range);
        assert_engines_agree_on(in, seed, cbc_limit_s, &seen);
        uap_instance_free(in);
    }
    print_agreement(&seen, cbc_limit_s);
    return seen;
}

#endif
