/* How a survey ends, and how ranks that work together behind it find out who still does: a
 * roll is called where somebody's call does not come back. */
#include "common/mem.h"
#include "profile/clock.h"
#include "profile/site_impl.h"

#include <math.h>

/* Rank 0 asks those that it has not heard of so often, in deadlines, and takes in answers for
 * so long: as in the survey. */
#define PATIENCE 1.5
#define SLICE_S  0.05
/* Before it asks at all: most come at the same time. */
#define QUIET_S 0.5

/* Says to rank 0 how far this rank is. */
static uap_status say(uap_site *site, uap_said said, uap_err *err)
{
    const report_message report = {.epoch = site->roll, .said = (int32_t)said};
    return uap_desk_report(site->desk, &report, err);
}

/* ---- The end of the survey ---------------------------------------------------------------- */

/* On rank 0: tells all how it ends, and those who stay who does not. */
static uap_status dismiss(uap_site *site, const bool *is_left_out, int *member, int *out,
                          int *n_members, uap_err *err)
{
    const int ranks = uap_comm_size(site->comm);
    uap_status rc = UAP_OK;
    int n_out = 0, n = 0;
    for (int r = 0; r < ranks; r++) {
        if (is_left_out[r]) {
            out[n_out++] = r;
        } else {
            member[n++] = r;
        }
    }
    site->epoch++;
    for (int r = 1; r < ranks; r++) {
        const order_message message = {.epoch = site->epoch,
                                       .action = is_left_out[r] ? ACT_LEAVE : ACT_STAY};
        UAP_TRY(uap_desk_order(site->desk, r, &message, err));
    }
    UAP_TRY(uap_desk_tell(site->desk, member + 1, n - 1, out, n_out, err));
    site->n_left_out = n_out;
    *n_members = n;
done:
    return rc;
}

/* On the others: who stays, from who does not. */
static uap_status hear(uap_site *site, int *member, int *n_members, uap_err *err)
{
    const int ranks = uap_comm_size(site->comm);
    uap_status rc = UAP_OK;
    int *out = NULL, n_out = 0;
    UAP_TRY(uap_desk_hear(site->desk, &out, &n_out, err));
    for (int r = 0, i = 0; r < ranks; r++) {
        if (i < n_out && out[i] == r) {
            i++;
        } else {
            member[(*n_members)++] = r;
        }
    }
done:
    uap_free(out);
    return rc;
}

uap_status uap_site_end(uap_site *site, const bool *is_left_out, uap_comm **members,
                        uap_err *err)
{
    const int ranks = uap_comm_size(site->comm);
    uap_status rc = UAP_OK;
    int n = 0;
    *members = NULL;
    if (uap_comm_rank(site->comm) > 0 && site->last.action == ACT_LEAVE) {
        return say(site, UAP_SAID_BACK, err);
    }
    int *member = uap_calloc(2 * (size_t)ranks, sizeof *member);
    if (member == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for a list of %d ranks", ranks);
    }
    if (uap_comm_rank(site->comm) == 0) {
        UAP_TRY(dismiss(site, is_left_out, member, member + ranks, &n, err));
    } else {
        UAP_TRY(hear(site, member, &n, err));
    }
    /* What is measured from now on may want the memory. */
    uap_site_release(site);
    rc = uap_comm_some(site->comm, member, n, members, err);
done:
    uap_free(member);
    return rc;
}

uap_status uap_site_missing(uap_site *site, double wait_s, int *missing, uap_err *err)
{
    const double until_s = uap_clock_s() + wait_s;
    uap_status rc = UAP_OK;
    bool got = true;
    while (site->n_back < site->n_left_out && got) {
        report_message report;
        int from = 0;
        UAP_TRY(uap_desk_take(site->desk, until_s - uap_clock_s(), &report, &from, &got,
                              err));
        site->n_back += got && report.said == (int32_t)UAP_SAID_BACK;
    }
    *missing = site->n_left_out - site->n_back;
done:
    return rc;
}

/* ---- The roll ----------------------------------------------------------------------------- */

/* On rank 0, one roll. */
typedef struct roll {
    uap_site *site;
    uap_said *said;               /* [ranks] */
    int32_t n_nothing, n_at_work; /* of said: those who said nothing yet, and BUSY */
} roll;

static int32_t *count_of(roll *r, uap_said said)
{
    return said == UAP_SAID_NOTHING ? &r->n_nothing
           : said == UAP_SAID_BUSY  ? &r->n_at_work
                                    : NULL;
}

/* Of a rank that is not through yet. */
static void set_said(roll *r, int rank, uap_said said)
{
    int32_t *before = count_of(r, r->said[rank]), *after = count_of(r, said);
    *before -= 1;
    if (after != NULL) {
        *after += 1;
    }
    r->said[rank] = said;
}

/* Takes in what is said until nobody is at work any more, or, with `answers_only`, nobody is
 * left who has said nothing; or the time is up, which it is not while this rank stands still. */
static uap_status take_in(roll *r, double wait_s, bool answers_only, uap_err *err)
{
    uap_status rc = UAP_OK;
    double now_s = uap_clock_s(), until_s = now_s + wait_s;
    while (now_s < until_s && r->n_nothing + (answers_only ? 0 : r->n_at_work) > 0) {
        report_message report;
        int from = 0;
        bool got = false;
        UAP_TRY(uap_desk_take(r->site->desk, SLICE_S, &report, &from, &got, err));
        if (got && report.said == (int32_t)UAP_SAID_BACK) {
            r->site->n_back++;
        } else if (got && report.said != 0 && report.epoch == r->site->roll &&
                   count_of(r, r->said[from]) != NULL) {
            set_said(r, from, (uap_said)report.said);
        }
        until_s += fmax(0, uap_clock_s() - now_s - 2 * SLICE_S);
        now_s = uap_clock_s();
    }
done:
    return rc;
}

/* Asks those who are not through, who then have said nothing, and names silent who does not
 * answer. */
static uap_status ask(roll *r, uap_err *err)
{
    uap_site *site = r->site;
    const order_message message = {.epoch = site->roll, .action = ACT_ASK};
    const double deadline_s = site->options.deadline_s;
    const int ranks = uap_comm_size(site->comm);
    uap_status rc = UAP_OK;
    for (int i = 1; i < ranks; i++) {
        if (count_of(r, r->said[i]) != NULL) {
            set_said(r, i, UAP_SAID_NOTHING);
            UAP_TRY(uap_desk_order(site->desk, i, &message, err));
        }
    }
    UAP_TRY(take_in(r, PATIENCE * deadline_s, true, err));
    for (int i = 1; i < ranks && r->n_nothing > 0; i++) {
        if (r->said[i] == UAP_SAID_NOTHING) {
            set_said(r, i, UAP_SAID_SILENT);
        }
    }
    rc = take_in(r, deadline_s, false, err);
done:
    return rc;
}

uap_status uap_site_call_roll(uap_site *site, const bool *is_left_out, uap_said own,
                              uap_said *said, uap_err *err)
{
    roll r = {.site = site, .said = said};
    uap_status rc = UAP_OK;
    said[0] = own;
    for (int i = 1; i < uap_comm_size(site->comm); i++) {
        said[i] = is_left_out[i] ? UAP_SAID_SILENT : UAP_SAID_NOTHING;
        r.n_nothing += !is_left_out[i];
    }
    UAP_TRY(take_in(&r, QUIET_S, false, err));
    while (r.n_nothing + r.n_at_work > 0) {
        UAP_TRY(ask(&r, err));
    }
    site->roll++;
done:
    return rc;
}

uap_status uap_site_all_done(uap_site *site, const bool *is_left_out, uap_err *err)
{
    uap_status rc = UAP_OK;
    site->epoch++;
    for (int r = 1; r < uap_comm_size(site->comm); r++) {
        const order_message message = {.epoch = site->epoch, .action = ACT_DONE};
        if (!is_left_out[r]) {
            UAP_TRY(uap_desk_order(site->desk, r, &message, err));
        }
    }
done:
    return rc;
}

uap_status uap_site_look(uap_site *site, uap_err *err)
{
    uap_status rc = UAP_OK;
    order_message order;
    bool got = false;
    UAP_TRY(uap_desk_look(site->desk, &order, &got, err));
    if (got && order.action == ACT_ASK && order.epoch == site->roll) {
        UAP_TRY(say(site, UAP_SAID_BUSY, err));
    } else if (got && order.action != ACT_ASK) {
        site->last = order;
        site->has_verdict = true;
    }
done:
    return rc;
}

uap_status uap_site_answer_roll(uap_site *site, uap_said said, bool *again, uap_err *err)
{
    uap_status rc = UAP_OK;
    UAP_TRY(say(site, said, err));
    while (!site->has_verdict) {
        order_message order;
        UAP_TRY(uap_desk_wait(site->desk, &order, err));
        if (order.action != ACT_ASK) {
            site->last = order;
            site->has_verdict = true;
        } else if (order.epoch == site->roll) {
            UAP_TRY(say(site, said, err));
        }
    }
    site->has_verdict = false;
    site->roll++;
    *again = site->last.action != ACT_DONE;
done:
    return rc;
}
