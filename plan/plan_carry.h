/* A plan as one of another device count: a start for the search there, never an answer. What
 * it costs there is worked out on the tables of that count, so that it is a true upper bound
 * however it came about (docs/sweep.md). */
#ifndef UAP_PLAN_PLAN_CARRY_H
#define UAP_PLAN_PLAN_CARRY_H

#include "plan/plan.h"
#include "search/cost.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A plan that fits, as search/exact_bytes.h writes it. */
typedef struct uap_carried {
    int64_t value; /* ticks */
    size_t n;      /* bytes; 0: none was found */
    char *bytes;   /* [n], owned */
} uap_carried;

/* Tries each of the n plans, of the same model and options but for the devices, on the few
 * configurations of `to` that are nearest in stages and micro-batches, its cuts at the same
 * shares of stages and each layer with the strategy most like its own; the most promising of
 * all are improved by single changes, and the best of those is *best. Nothing of plans without
 * stages and where stages are of several types. Errors: those of building an instance,
 * NO_MEMORY. Local. */
UAP_NODISCARD uap_status uap_plan_carry(const uap_plan *const *plan, size_t n,
                                        uap_cost *to, uap_carried *best, uap_err *err);
void uap_carried_free(uap_carried *carried);

#ifdef __cplusplus
}
#endif
#endif
