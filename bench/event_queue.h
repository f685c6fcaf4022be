/* What happens when, in a simulation: a heap of events by time, and by the order in which
 * they were made where times are equal. */
#ifndef UAP_BENCH_EVENT_QUEUE_H
#define UAP_BENCH_EVENT_QUEUE_H

#include "common/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct uap_event {
    int64_t time_ns;
    uint64_t order;
    int rank;       /* that it happens to */
    uint32_t stamp; /* of a wake-up: outdated where the rank's differs */
    void *message;  /* NULL: a wake-up */
} uap_event;

typedef struct uap_event_queue {
    uap_event *event; /* [n] of [capacity] */
    size_t n, capacity;
    uint64_t made;
} uap_event_queue;

/* Adds an event; its order is filled in. Errors: NO_MEMORY. O(log n). */
UAP_NODISCARD uap_status uap_event_add(uap_event_queue *queue, uap_event event,
                                       uap_err *err);

/* Takes the earliest; false when there is none. O(log n). */
bool uap_event_take(uap_event_queue *queue, uap_event *event);

/* Frees the queue, not what messages point to. A queue of zeros is legal. */
void uap_event_queue_free(uap_event_queue *queue);

#ifdef __cplusplus
}
#endif
#endif
