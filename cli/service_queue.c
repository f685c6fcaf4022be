/* Requests on their way. A search is tried first on rank 0 alone, for a moment: what is small
 * ends there, and what is not is searched by all ranks. Whose turn it is: the client of which
 * the fewest run, then the one that was served longest ago, then the request that came first. */
#include "cli/service_state.h"

#include "common/clock.h"
#include "common/log.h"
#include "common/mem.h"

#include <string.h>

bool uap_service_enqueue(uap_service *s, uap_service_client *client,
                         const uap_service_task *task)
{
    uap_service_request *request = uap_calloc(1, sizeof *request);
    uap_service_request **end = &s->first;
    if (request == NULL) {
        return false;
    }
    request->task = *task;
    (void)pthread_mutex_init(&request->task.lock, NULL);
    request->client = client;
    request->state = task->is_long ? UAP_REQUEST_WAITING : UAP_REQUEST_QUEUED;
    request->start_s = uap_wall_s();
    request->number = ++s->n_came;
    client->pending++;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = request;
    s->n_requests++;
    return true;
}

static void free_request(uap_service *s, uap_service_request *request)
{
    uap_service_request **at = &s->first;
    while (*at != request) {
        at = &(*at)->next;
    }
    *at = request->next;
    s->n_requests--;
    if (request->client != NULL) {
        request->client->pending--;
    }
    (void)pthread_mutex_destroy(&request->task.lock);
    uap_bytes_free(&request->task.news);
    uap_free(request->task.params);
    uap_free(request->task.done.result);
    uap_free(request->task.done.missing);
    uap_free(request);
}

uap_service_request *uap_service_find(const uap_service *s,
                                      const uap_service_client *client, const char *id)
{
    uap_service_request *r = s->first;
    while (r != NULL && (r->client != client || strcmp(r->task.id, id) != 0)) {
        r = r->next;
    }
    return r;
}

static bool runs(const uap_service_request *request)
{
    return request->state == UAP_REQUEST_TRIED || request->state == UAP_REQUEST_RUNNING;
}

static void answer_error(uap_service *s, uap_service_request *request, uap_rpc_code code,
                         const char *message, const char *missing)
{
    uap_service_count(s, request->task.method, true, uap_wall_s() - request->start_s);
    if (request->client != NULL &&
        !uap_rpc_put_error(&request->client->out, request->task.id, code, message,
                           missing)) {
        request->client->is_closing = true;
    }
    free_request(s, request);
}

void uap_service_end_request(uap_service *s, uap_service_request *request,
                             uap_rpc_code code, const char *message)
{
    if (runs(request)) {
        request->task.ran_over = false; /* what it has is the answer */
        request->task.stop = 1;
    } else {
        answer_error(s, request, code, message, NULL);
    }
}

void uap_service_abandon(uap_service *s, const uap_service_client *client)
{
    for (uap_service_request *r = s->first, *next = NULL; r != NULL; r = next) {
        next = r->next;
        if (r->client != client) {
            continue;
        }
        r->client = NULL;
        s->counts.abandoned++;
        r->task.stop = 1;
        if (!runs(r)) {
            free_request(s, r);
        }
    }
}

/* ---- Turns ---- */

static int64_t running_of(const uap_service *s, const uap_service_client *client)
{
    int64_t n = 0;
    for (const uap_service_request *r = s->first; r != NULL; r = r->next) {
        n += r->client == client && runs(r);
    }
    return n;
}

static uap_service_request *choose(const uap_service *s, uap_request_state state)
{
    uap_service_request *best = NULL;
    int64_t fewest = 0;
    const uap_service_client *seen = NULL;
    for (uap_service_request *r = s->first; r != NULL; r = r->next) {
        if (r->state != state || r->client == seen) {
            continue; /* of one client in a row the first is enough */
        }
        seen = r->client;
        const int64_t running = running_of(s, r->client);
        if (best == NULL || running < fewest ||
            (running == fewest && r->client->served < best->client->served)) {
            best = r;
            fewest = running;
        }
    }
    return best;
}

static uap_status start(uap_service *s, uap_request_state from, uap_service_place place,
                        uap_err *err)
{
    uap_status rc = UAP_OK;
    while (uap_service_work_has_room(s->work, place)) {
        uap_service_request *next = choose(s, from);
        if (next == NULL) {
            break;
        }
        next->client->served = ++s->turn;
        next->state = place == UAP_SERVICE_TRY ? UAP_REQUEST_TRIED : UAP_REQUEST_RUNNING;
        rc = uap_service_work_start(s->work, &next->task, place, err);
        if (rc != UAP_OK) {
            next->state = from;
            break;
        }
    }
    return rc;
}

/* ---- Ends ---- */

/* News are in order and of no use after the answer. */
static void pass_news_on(uap_service_request *request, size_t most)
{
    uap_service_task *task = &request->task;
    (void)pthread_mutex_lock(&task->lock);
    if (request->client != NULL && task->news.n > 0 &&
        uap_service_client_unsent(request->client) < most) {
        (void)uap_bytes_put(&request->client->out, task->news.at, task->news.n);
    }
    task->news.n = 0;
    (void)pthread_mutex_unlock(&task->lock);
}

/* Proven results alone, and those of no signal. */
static bool is_worth_keeping(const uap_service_task *task)
{
    return uap_service_is_search(task->method) && task->stop == 0 &&
           task->done.result != NULL &&
           (task->done.exit == UAP_EXIT_OK || task->done.exit == UAP_EXIT_INFEASIBLE);
}

static void answer(uap_service *s, uap_service_request *request)
{
    uap_service_task *task = &request->task;
    if (task->done.missing != NULL) {
        answer_error(s, request, UAP_RPC_MISSING, "a file that it needs was not sent",
                     task->done.missing);
        return;
    }
    if (task->status != UAP_OK || task->done.result == NULL) {
        answer_error(s, request,
                     task->status == UAP_BAD_INPUT ? UAP_RPC_PARAMS : UAP_RPC_INTERNAL,
                     task->err.msg[0] != '\0' ? task->err.msg : "out of memory", NULL);
        return;
    }
    if (s->cache != NULL && is_worth_keeping(task)) {
        uap_service_cache_keep(s->cache, task->key, task->done.result);
    }
    uap_service_count(s, task->method, false, uap_wall_s() - request->start_s);
    if (request->client != NULL &&
        !uap_rpc_put_result(&request->client->out, task->id, task->done.result)) {
        request->client->is_closing = true;
    }
    free_request(s, request);
}

/* A search that one rank alone could not end in a moment waits for all of them. */
static void promote(uap_service *s, uap_service_request *request)
{
    uap_service_task *task = &request->task;
    uap_free(task->done.result);
    task->done = (uap_service_done){.exit = UAP_EXIT_OK};
    uap_err_clear(&task->err);
    task->news.n = 0;
    task->ran_over = false;
    task->stop = 0;
    request->state = UAP_REQUEST_WAITING;
    s->counts.promoted++;
}

static uap_service_request *request_of(const uap_service *s, const uap_service_task *task)
{
    uap_service_request *r = s->first;
    while (&r->task != task) {
        r = r->next;
    }
    return r;
}

static void reap(uap_service *s)
{
    uap_service_place place = UAP_SERVICE_TRY;
    for (uap_service_task *task = NULL;
         (task = uap_service_work_reap(s->work, &place)) != NULL;) {
        uap_service_request *request = request_of(s, task);
        if (request->client == NULL) {
            free_request(s, request);
        } else if (place == UAP_SERVICE_TRY && task->ran_over &&
                   s->mood != UAP_SERVICE_STOPS) {
            promote(s, request);
        } else {
            pass_news_on(request, s->options->limits.notes_max);
            answer(s, request);
        }
    }
}

uap_status uap_service_advance(uap_service *s, uap_err *err)
{
    uap_status rc = UAP_OK;
    reap(s);
    UAP_TRY(start(s, UAP_REQUEST_QUEUED, UAP_SERVICE_TRY, err));
    UAP_TRY(start(s, UAP_REQUEST_WAITING, UAP_SERVICE_SLOT, err));
    for (uap_service_request *r = s->first; r != NULL; r = r->next) {
        if (r->state == UAP_REQUEST_RUNNING) {
            pass_news_on(r, s->options->limits.notes_max);
        }
    }
done:
    return rc;
}
