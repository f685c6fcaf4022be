/* Two small state machines in one loop: the sender's, and that of the rank that answers. */
#include "mpi/probe.h"

#include "common/clock.h"
#include "mpi/comm_impl.h"
#include "mpi/transfer.h"

#include <sched.h>

/* Looks that find nothing between two looks at the clock. */
#define LOOKS_PER_CLOCK 16

typedef struct talk {
    const uap_comm *comm;
    const uap_probe *probe;
    int count;               /* bytes, as MPI's int */
    MPI_Request out[2];      /* the message sent, and its answer */
    MPI_Request in, reply;   /* the message awaited; the answer to the last one */
    bool is_under_way;       /* a message is, to `to` */
    double start_s;          /* of that */
    double *each_s, spent_s; /* spent_s: on those behind the first */
    bool has_last;           /* the last message of `from` has come */
    uap_probe_result *result;
} talk;

/* The first byte of a message. */
enum { MORE_FOLLOW, IS_LAST };

static bool sends(const talk *t)
{
    return t->probe->to != UAP_COMM_NOBODY && !t->result->is_answered;
}

static bool serves(const talk *t)
{
    return t->probe->from != UAP_COMM_NOBODY && !t->has_last;
}

static bool begins_last(const talk *t)
{
    const uap_probe *p = t->probe;
    const int sent = t->result->sent;
    const bool has_enough =
        p->enough_s > 0 && sent + 1 >= p->least && t->spent_s > p->enough_s;
    return sent + 1 >= p->times || has_enough;
}

static uap_status start_message(talk *t, uap_err *err)
{
    const uap_probe *p = t->probe;
    uap_status rc = UAP_OK;
    p->send[0] = begins_last(t) ? IS_LAST : MORE_FOLLOW;
    t->is_under_way = true;
    t->start_s = uap_wall_s();
    UAP_TRY(UAP_MPI(
        err, MPI_Irecv(NULL, 0, MPI_BYTE, p->to, p->tag + 1, t->comm->comm, &t->out[1])));
    rc = UAP_MPI(err, MPI_Isend(p->send, t->count, MPI_BYTE, p->to, p->tag, t->comm->comm,
                                &t->out[0]));
done:
    return rc;
}

static uap_status await_message(talk *t, uap_err *err)
{
    const uap_probe *p = t->probe;
    return UAP_MPI(err, MPI_Irecv(p->recv, t->count, MPI_BYTE, p->from, p->tag,
                                  t->comm->comm, &t->in));
}

/* Of two ranks that send to each other with turns, the lower begins. Without turns both begin
 * each message together, as far as they can. */
static bool may_start(const talk *t)
{
    const uap_probe *p = t->probe;
    const bool is_second = p->takes_turns && t->comm->rank > p->to;
    return p->to != p->from || t->has_last ||
           t->result->served >= t->result->sent + is_second;
}

/* The sender's step: *moved when an answer has come, or a message has been sent. */
static uap_status step_out(talk *t, bool *moved, uap_err *err)
{
    uap_status rc = UAP_OK;
    int done_both = 0;
    if (!t->is_under_way) {
        *moved = may_start(t);
        return *moved ? start_message(t, err) : UAP_OK;
    }
    UAP_TRY(UAP_MPI(err, MPI_Testall(2, t->out, &done_both, MPI_STATUSES_IGNORE)));
    if (done_both) {
        const int i = t->result->sent++;
        t->each_s[i] = uap_wall_s() - t->start_s;
        t->spent_s += i > 0 ? t->each_s[i] : 0;
        t->result->is_answered = t->probe->send[0] == IS_LAST;
        *moved = true;
        t->is_under_way = false;
    }
done:
    return rc;
}

/* The server's step: *moved when a message has come and is answered. */
static uap_status step_in(talk *t, bool *moved, uap_err *err)
{
    uap_status rc = UAP_OK;
    int came = 0, replied = 0;
    UAP_TRY(UAP_MPI(err, MPI_Test(&t->reply, &replied, MPI_STATUS_IGNORE)));
    if (!replied) {
        return UAP_OK;
    }
    UAP_TRY(UAP_MPI(err, MPI_Test(&t->in, &came, MPI_STATUS_IGNORE)));
    if (came) {
        t->result->served++;
        t->has_last = t->probe->recv[0] == IS_LAST;
        *moved = true;
        UAP_TRY(UAP_MPI(err, MPI_Isend(NULL, 0, MPI_BYTE, t->probe->from,
                                       t->probe->tag + 1, t->comm->comm, &t->reply)));
        if (serves(t)) {
            rc = await_message(t, err);
        }
    }
done:
    return rc;
}

/* Takes back what can be taken back; sets is_abandoned where MPI keeps a buffer. Receives can
 * be cancelled, a send that nobody takes in cannot. */
static void give_up(talk *t)
{
    MPI_Request *const with_buffer[] = {&t->in, &t->out[0]};
    int flag = 0;
    if (t->in != MPI_REQUEST_NULL) {
        (void)MPI_Cancel(&t->in);
    }
    for (int i = 0; i < 2; i++) {
        if (MPI_Test(with_buffer[i], &flag, MPI_STATUS_IGNORE) != MPI_SUCCESS || !flag) {
            t->result->is_abandoned = true;
        }
    }
    /* Answers are empty. */
    if (t->out[1] != MPI_REQUEST_NULL) {
        (void)MPI_Cancel(&t->out[1]);
        (void)MPI_Request_free(&t->out[1]);
    }
    if (t->reply != MPI_REQUEST_NULL) {
        (void)MPI_Request_free(&t->reply);
    }
}

uap_status uap_probe_run(const uap_comm *comm, const uap_probe *probe, double *each_s,
                         uap_probe_result *result, uap_err *err)
{
    uap_status rc = UAP_OK;
    talk t = {.comm = comm,
              .probe = probe,
              .out = {MPI_REQUEST_NULL, MPI_REQUEST_NULL},
              .in = MPI_REQUEST_NULL,
              .reply = MPI_REQUEST_NULL,
              .each_s = each_s,
              .result = result};
    const double until_s = uap_wall_s() + probe->deadline_s;
    *result = (uap_probe_result){.sent = 0};
    UAP_TRY(uap_mpi_count(probe->bytes, &t.count, err));
    if (serves(&t)) {
        UAP_TRY(await_message(&t, err));
    }
    for (int looks = 0; sends(&t) || serves(&t);) {
        bool moved = false;
        if (sends(&t)) {
            UAP_TRY(step_out(&t, &moved, err));
        }
        if (serves(&t)) {
            UAP_TRY(step_in(&t, &moved, err));
        }
        looks = moved ? 0 : looks + 1;
        if (!moved) {
            (void)sched_yield();
        }
        if (looks >= LOOKS_PER_CLOCK && uap_wall_s() > until_s) {
            break;
        }
    }
done:
    give_up(&t);
    return rc;
}
