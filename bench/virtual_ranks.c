/* A discrete-event simulation of ranks. A rank's step is one event: it reads what has
 * arrived, answers, works for a slice, and its own clock moves by what that costs. Whatever
 * arrives meanwhile waits for its next step, as it does in a process that computes. */
#include "bench/virtual_ranks.h"

#include "bench/event_queue.h"
#include "bench/rng.h"
#include "common/mem.h"

#include <string.h>

/* Waits longer than this share one wake-up, which may come too early. */
#define LONG_WAIT_NS 5000000

typedef struct letter {
    struct letter *next;
    int from;
    uap_tag tag;
    bool repeated; /* not the first copy */
    size_t n;
    char bytes[];
} letter;

typedef enum rank_state { STATE_RUNS, STATE_WAITS, STATE_LEFT } rank_state;

typedef struct world world;

typedef struct virtual_rank {
    world *in;
    uap_transport net;
    uap_tree *tree;
    rank_state state;
    uint32_t stamp;
    int64_t clock_ns, long_wait_ns;
    double owed_ns; /* below one nanosecond */
    letter *first, **last;
    letter *read; /* handed out by the last poll */
} virtual_rank;

struct world {
    const uap_virtual_machine *machine;
    uap_event_queue queue;
    virtual_rank *rank; /* [machine->size] */
    int *numbers;       /* [size] 0 .. size - 1: near ranks are a stretch of it */
    uap_rng rng;
    int n_left;
    uap_virtual_result *result;
};

/* ---- The transport ---- */

static uap_status post(virtual_rank *from, int to, int64_t at_ns, const letter *copied,
                       bool repeated, uap_err *err)
{
    letter *sent = uap_calloc(1, sizeof *sent + copied->n);
    if (sent == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a message");
    }
    memcpy(sent, copied, sizeof *sent + copied->n);
    sent->repeated = repeated;
    const uap_event event = {.time_ns = at_ns, .rank = to, .message = sent};
    const uap_status rc = uap_event_add(&from->in->queue, event, err);
    if (rc != UAP_OK) {
        uap_free(sent);
    }
    return rc;
}

static int64_t delay(world *in, const virtual_rank *from, int to, size_t n)
{
    const uap_virtual_machine *m = in->machine;
    const bool near_by = from->net.rank / m->ranks_per_node == to / m->ranks_per_node;
    int64_t ns = (near_by ? m->near_ns : m->far_ns) + (int64_t)(m->byte_ns * (double)n);
    if (m->jitter_ns > 0) {
        ns += uap_rng_range(&in->rng, 0, m->jitter_ns);
    }
    return ns;
}

static uap_status virtual_send(void *self, int to, uap_tag tag, const void *bytes,
                               size_t n, uap_err *err)
{
    uap_status rc = UAP_OK;
    virtual_rank *rank = self;
    world *in = rank->in;
    const uap_virtual_machine *m = in->machine;
    letter *text = uap_calloc(1, sizeof *text + n);
    if (text == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a message");
    }
    *text = (letter){.from = rank->net.rank, .tag = tag, .n = n};
    memcpy(text->bytes, bytes, n);
    rank->clock_ns += m->send_ns;
    if (++in->result->messages == m->lose) {
        in->result->lost = tag;
        goto done;
    }
    const int64_t at_ns = rank->clock_ns + delay(in, rank, to, n);
    UAP_TRY(post(rank, to, at_ns, text, false, err));
    if (m->repeat > 0.0 && uap_rng_chance(&in->rng, m->repeat)) {
        in->result->repeats++;
        UAP_TRY(post(rank, to, at_ns + uap_rng_range(&in->rng, 0, 20 * m->jitter_ns),
                     text, true, err));
    }
done:
    uap_free(text);
    return rc;
}

static uap_status virtual_poll(void *self, uap_message *message, bool *got, uap_err *err)
{
    virtual_rank *rank = self;
    (void)err;
    uap_free(rank->read);
    rank->read = rank->first;
    *got = rank->first != NULL;
    if (!*got) {
        rank->clock_ns += rank->in->machine->look_ns;
        return UAP_OK;
    }
    rank->first = rank->first->next;
    if (rank->first == NULL) {
        rank->last = &rank->first;
    }
    rank->clock_ns += rank->in->machine->receive_ns;
    *message = (uap_message){.from = rank->read->from,
                             .tag = rank->read->tag,
                             .bytes = rank->read->bytes,
                             .n = rank->read->n};
    return UAP_OK;
}

static int64_t virtual_now(void *self)
{
    const virtual_rank *rank = self;
    return rank->clock_ns;
}

static void virtual_spent(void *self, int64_t nodes)
{
    virtual_rank *rank = self;
    const uap_virtual_machine *m = rank->in->machine;
    double ns = (double)nodes * m->node_ns + rank->owed_ns;
    if (m->worked_ns != NULL) {
        ns += *m->worked_ns;
        *m->worked_ns = 0.0;
    }
    const int64_t whole = (int64_t)ns;
    rank->owed_ns = ns - (double)whole;
    rank->clock_ns += whole;
}

/* ---- Events ---- */

static uap_status wake_at(virtual_rank *rank, int64_t time_ns, uap_err *err)
{
    const int64_t at = time_ns > rank->clock_ns ? time_ns : rank->clock_ns;
    const uap_event event = {
        .time_ns = at, .rank = rank->net.rank, .stamp = ++rank->stamp};
    return uap_event_add(&rank->in->queue, event, err);
}

/* Waits end by a message long before most deadlines, so a rank has one far one at a time. */
static uap_status wait_until(virtual_rank *rank, int64_t until_ns, uap_err *err)
{
    rank->state = STATE_WAITS;
    if (rank->first != NULL) {
        return wake_at(rank, rank->clock_ns, err);
    }
    if (until_ns - rank->clock_ns < LONG_WAIT_NS) {
        return wake_at(rank, until_ns, err);
    }
    if (rank->long_wait_ns > rank->clock_ns && rank->long_wait_ns <= until_ns) {
        return UAP_OK;
    }
    rank->long_wait_ns = until_ns;
    const uap_event event = {
        .time_ns = until_ns, .rank = rank->net.rank, .stamp = UINT32_MAX};
    return uap_event_add(&rank->in->queue, event, err);
}

static uap_status step(virtual_rank *rank, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_tree_next next = {UAP_TREE_GO, 0};
    rank->state = STATE_RUNS;
    UAP_TRY(uap_tree_step(rank->tree, &next, err));
    switch (next.pause) {
    case UAP_TREE_GO:
        rc = wake_at(rank, rank->clock_ns, err);
        break;
    case UAP_TREE_WAIT:
        rc = wait_until(rank, next.until_ns, err);
        break;
    case UAP_TREE_NAP:
        rc = wake_at(rank, next.until_ns + rank->in->machine->oversleep_ns, err);
        break;
    case UAP_TREE_END:
        rank->state = STATE_LEFT;
        rank->in->n_left++;
        break;
    }
done:
    return rc;
}

static uap_status arrive(virtual_rank *rank, letter *message, uap_err *err)
{
    if (rank->state == STATE_LEFT) {
        rank->in->result->late += !message->repeated && message->tag != UAP_TAG_EDGE_ACK;
        uap_free(message);
        return UAP_OK;
    }
    message->next = NULL;
    *rank->last = message;
    rank->last = &message->next;
    return rank->state == STATE_WAITS ? step(rank, err) : UAP_OK;
}

static uap_status run_events(world *in, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_event event;
    while (in->n_left < in->machine->size) {
        if (!uap_event_take(&in->queue, &event)) {
            return UAP_FAIL(err, INTERNAL, "%d of %d ranks wait for ever",
                            in->machine->size - in->n_left, in->machine->size);
        }
        if (in->machine->limit_ns > 0 && event.time_ns > in->machine->limit_ns) {
            uap_free(event.message);
            return UAP_FAIL(err, INTERNAL, "%d of %d ranks are not done in time",
                            in->machine->size - in->n_left, in->machine->size);
        }
        virtual_rank *rank = &in->rank[event.rank];
        const bool long_wait = event.stamp == UINT32_MAX;
        const bool wakes =
            rank->state != STATE_LEFT &&
            (long_wait ? rank->state == STATE_WAITS : event.stamp == rank->stamp);
        if (event.message == NULL && !wakes) {
            continue;
        }
        /* A rank that runs reads its messages at its own time. */
        if ((event.message == NULL || rank->state == STATE_WAITS) &&
            event.time_ns > rank->clock_ns) {
            rank->clock_ns = event.time_ns;
        }
        if (event.message != NULL) {
            rank->stamp += rank->state == STATE_WAITS;
            UAP_TRY(arrive(rank, event.message, err));
        } else {
            UAP_TRY(step(rank, err));
        }
    }
done:
    return rc;
}

/* ---- Life ---- */

static uap_status add_rank(world *in, int r, const uap_tree_problem *problem,
                           const uap_tree_options *options, uap_err *err)
{
    uap_status rc = UAP_OK;
    const uap_virtual_machine *m = in->machine;
    virtual_rank *rank = &in->rank[r];
    const int node_first = r / m->ranks_per_node * m->ranks_per_node;
    const int node_end = node_first + m->ranks_per_node;
    rank->in = in;
    rank->last = &rank->first;
    rank->net = (uap_transport){
        .self = rank,
        .rank = r,
        .size = m->size,
        .near_ranks = in->numbers + node_first,
        .n_near = (node_end < m->size ? node_end : m->size) - node_first,
        .message_max = uap_tree_message_max(problem, options),
        .send = virtual_send,
        .poll = virtual_poll,
        .now_ns = virtual_now,
        .spent = virtual_spent,
    };
    UAP_TRY(uap_tree_new(problem, &rank->net, options, &rank->tree, err));
    UAP_TRY(wake_at(rank, 0, err));
done:
    return rc;
}

/* What all ranks counted and hold. */
static uap_status collect(world *in, uap_err *err)
{
    uap_virtual_result *result = in->result;
    size_t n = 0, n_first = 0;
    const void *first = uap_tree_answer(in->rank[0].tree, &n_first);
    result->value = uap_tree_best(in->rank[0].tree);
    result->same_answers = true;
    if (n_first > 0) {
        memcpy(result->answer, first,
               n_first < UAP_VIRTUAL_ANSWER ? n_first : UAP_VIRTUAL_ANSWER);
    }
    for (int r = 0; r < in->machine->size; r++) {
        const virtual_rank *rank = &in->rank[r];
        const uap_err *failure = uap_tree_failure(rank->tree);
        const int64_t *from = (const int64_t *)uap_tree_statistics(rank->tree);
        int64_t *sum = (int64_t *)&result->sum, *largest = (int64_t *)&result->largest;
        for (size_t i = 0; i < UAP_TREE_STATS_FIELDS; i++) {
            sum[i] += from[i];
            largest[i] = from[i] > largest[i] ? from[i] : largest[i];
        }
        if (failure->code != UAP_OK) {
            return uap_fail(err, failure->code, failure->file, failure->line, "%s",
                            failure->msg);
        }
        const void *answer = uap_tree_answer(rank->tree, &n);
        result->same_answers = result->same_answers && n == n_first &&
                               uap_tree_best(rank->tree) == result->value &&
                               (n == 0 || memcmp(answer, first, n) == 0);
        result->open_nodes += uap_tree_open_nodes(rank->tree);
        if (rank->clock_ns > result->time_ns) {
            result->time_ns = rank->clock_ns;
        }
    }
    return UAP_OK;
}

static void free_world(world *in)
{
    uap_event event;
    for (int r = 0; in->rank != NULL && r < in->machine->size; r++) {
        virtual_rank *rank = &in->rank[r];
        while (rank->first != NULL) {
            letter *next = rank->first->next;
            uap_free(rank->first);
            rank->first = next;
        }
        uap_free(rank->read);
        uap_tree_free(rank->tree);
    }
    while (uap_event_take(&in->queue, &event)) {
        uap_free(event.message);
    }
    uap_event_queue_free(&in->queue);
    uap_free(in->numbers);
    uap_free(in->rank);
}

uap_status uap_virtual_run(const uap_tree_problem *problem,
                           const uap_tree_options *options,
                           const uap_virtual_machine *machine, uap_virtual_result *result,
                           uap_err *err)
{
    uap_status rc = UAP_OK;
    world in = {.machine = machine, .result = result};
    *result = (uap_virtual_result){0};
    uap_rng_seed(&in.rng, machine->seed);
    in.rank = uap_calloc((size_t)machine->size, sizeof *in.rank);
    in.numbers = uap_calloc((size_t)machine->size, sizeof *in.numbers);
    if (in.rank == NULL || in.numbers == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory for %d ranks", machine->size);
        goto done;
    }
    for (int r = 0; r < machine->size; r++) {
        in.numbers[r] = r;
    }
    for (int r = 0; r < machine->size; r++) {
        UAP_TRY(add_rank(&in, r, problem, options, err));
    }
    UAP_TRY(run_events(&in, err));
    UAP_TRY(collect(&in, err));
done:
    free_world(&in);
    return rc;
}
