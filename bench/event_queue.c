/* A binary heap of events. */
#include "bench/event_queue.h"

#include "common/mem.h"

static bool is_earlier(const uap_event *a, const uap_event *b)
{
    return a->time_ns != b->time_ns ? a->time_ns < b->time_ns : a->order < b->order;
}

uap_status uap_event_add(uap_event_queue *queue, uap_event event, uap_err *err)
{
    if (queue->n == queue->capacity) {
        const size_t capacity = queue->capacity == 0 ? 256 : 2 * queue->capacity;
        uap_event *larger = uap_realloc(queue->event, capacity, sizeof *larger);
        if (larger == NULL) {
            return UAP_FAIL(err, NO_MEMORY, "no memory for %zu events", capacity);
        }
        queue->event = larger;
        queue->capacity = capacity;
    }
    event.order = queue->made++;
    size_t i = queue->n++;
    while (i > 0 && is_earlier(&event, &queue->event[(i - 1) / 2])) {
        queue->event[i] = queue->event[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    queue->event[i] = event;
    return UAP_OK;
}

bool uap_event_take(uap_event_queue *queue, uap_event *event)
{
    if (queue->n == 0) {
        return false;
    }
    *event = queue->event[0];
    const uap_event last = queue->event[--queue->n];
    size_t i = 0;
    for (size_t child = 1; child < queue->n; child = 2 * i + 1) {
        if (child + 1 < queue->n &&
            is_earlier(&queue->event[child + 1], &queue->event[child])) {
            child++;
        }
        if (!is_earlier(&queue->event[child], &last)) {
            break;
        }
        queue->event[i] = queue->event[child];
        i = child;
    }
    if (queue->n > 0) {
        queue->event[i] = last;
    }
    return true;
}

void uap_event_queue_free(uap_event_queue *queue)
{
    uap_free(queue->event);
    *queue = (uap_event_queue){0};
}
