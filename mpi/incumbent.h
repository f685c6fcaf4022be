/* The best answer that a rank knows: a value and packed bytes. */
#ifndef UAP_MPI_INCUMBENT_H
#define UAP_MPI_INCUMBENT_H

#include "mpi/tree_problem.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_incumbent {
    int64_t value; /* UAP_TREE_NO_ANSWER: none */
    char *bytes;   /* [n] of [capacity] */
    size_t n, capacity;
} uap_incumbent;

void uap_incumbent_init(uap_incumbent *best);
void uap_incumbent_free(uap_incumbent *best);

/* Keeps a copy if it is better: a smaller value or, of equal values, the lesser bytes. This
 * order is total, so ranks that have heard of the same answers hold the same one.
 * *better says whether it was. Errors: NO_MEMORY, and nothing changed. */
UAP_NODISCARD uap_status uap_incumbent_offer(uap_incumbent *best, int64_t value,
                                             const void *bytes, size_t n, bool *better,
                                             uap_err *err);

#ifdef __cplusplus
}
#endif
#endif
