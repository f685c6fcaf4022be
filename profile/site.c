/* Orders and reports of a survey, and what a rank does for them. */
#include "profile/site.h"

#include "common/mem.h"
#include "mpi/probe.h"
#include "mpi/transfer.h"
#include "profile/clock.h"
#include "profile/device_backend.h"
#include "profile/fit.h"
#include "profile/site_impl.h"

#include <math.h>
#include <string.h>

/* Rank 0 waits so much longer than ranks do for one another. */
#define PATIENCE    1.5
#define SHORT_BYTES 8
/* Rank 0's own part of a round, for which nobody else can give up on it. */
#define OWN_PATIENCE 6.0
/* Others have at least this share of the deadline from the end of its own part on. */
#define OWN_DELAY 0.5
/* Rank 0 looks at the clock at least so often where it can. */
#define SLICE_S 0.1
/* Probes' tags start here and come again after so many orders. */
#define TAG_FIRST 1000
#define TAG_CYCLE 10000
#define RUNS_MIN  3
/* So many long messages are enough where they are slow: together by this share of the
 * deadline, which two ranks that take turns must keep with room to spare. */
#define LONG_LEAST         3
#define ENOUGH_OF_DEADLINE 0.05
#define RUNS_MAX           1000

/* ---- What a rank does ------------------------------------------------------------------ */

static double median_of(double *value, int64_t n)
{
    return n > 0 ? uap_median(value, n) : (double)INFINITY;
}

/* Runs the check for about device_s, the first run apart. */
static uap_status compute(uap_site *site, double *seconds, uap_err *err)
{
    uap_status rc = UAP_OK;
    const double start = uap_clock_s();
    int64_t n = 0;
    while (n < RUNS_MIN + 1 ||
           (n < RUNS_MAX && uap_clock_s() - start < site->options.device_s)) {
        UAP_TRY(uap_work_run(site->work, UAP_FORWARD, NULL, NULL, &site->each_s[n], err));
        n++;
    }
    *seconds = median_of(site->each_s + 1, n - 1);
done:
    return rc;
}

/* The time of a message, out of `n`: of short ones the shortest, for a link that is late is
 * late every time, and a rank that waits for its core is not; of long ones the lower quartile.
 * The first opened the connection, and waited for the other to begin. */
static double time_of(double *each_s, int64_t n, bool is_short)
{
    (void)uap_median(each_s + 1, n - 1);
    return each_s[1 + (is_short ? 0 : (n - 2) / 4)];
}

/* Sends and serves; *seconds of one message, there and back where it is short. */
static uap_status talk(uap_site *site, const order_message *order, double *seconds,
                       uap_err *err)
{
    const bool is_short = order->action == ACT_SHORT;
    const uap_probe probe = {
        .to = order->to == UAP_NOBODY ? UAP_COMM_NOBODY : order->to,
        .from = order->from == UAP_NOBODY ? UAP_COMM_NOBODY : order->from,
        .send = site->send,
        .recv = site->recv,
        .bytes = is_short ? SHORT_BYTES : (size_t)site->options.bytes,
        .times = is_short ? site->options.pings : site->options.transfers,
        .least = is_short ? 0 : LONG_LEAST,
        .enough_s = is_short ? 0 : ENOUGH_OF_DEADLINE * site->options.deadline_s,
        .takes_turns = order->kind != (int32_t)UAP_ROUND_BISECTION,
        .tag = TAG_FIRST + 2 * (order->epoch % TAG_CYCLE),
        .deadline_s = site->options.deadline_s};
    uap_probe_result result;
    uap_status rc = UAP_OK;
    UAP_TRY(uap_probe_run(site->comm, &probe, site->each_s, &result, err));
    site->buffers_are_lent = site->buffers_are_lent || result.is_abandoned;
    *seconds = order->to != UAP_NOBODY && result.is_answered
                   ? time_of(site->each_s, result.sent, is_short)
                   : (double)INFINITY;
done:
    return rc;
}

/* Made-up times in place of measured ones; what was not answered stays so. */
static void pretend(uap_site *site, const order_message *order, report_message *report)
{
    const uap_order o = {
        .device = uap_comm_rank(site->comm), .to = order->to, .from = order->from};
    uap_sample sample;
    bool failed = false;
    uap_stub_sample(&site->stub, (uap_round_kind)order->kind, &o, &sample, &failed);
    if (isfinite(report->seconds)) {
        report->seconds =
            order->action == ACT_SHORT ? 2 * sample.latency_s : sample.seconds;
    }
    report->failed = failed;
}

/* Errors of the device are reported, those of MPI end the survey. */
static uap_status obey(uap_site *site, const order_message *order, report_message *report,
                       uap_err *err)
{
    uap_status rc = UAP_OK;
    double seconds = 0;
    const bool is_stub = site->options.stub != NULL;
    *report = (report_message){.epoch = order->epoch};
    if (is_stub) {
        /* Hangs come before the work, as real ones do; the times are made up behind it. */
        pretend(site, order, report);
    }
    if (order->action != ACT_COMPUTE) {
        UAP_TRY(talk(site, order, &seconds, err));
    } else if (!is_stub && compute(site, &seconds, err) != UAP_OK) {
        report->failed = 1;
        uap_err_clear(err);
    }
    report->seconds = (float)seconds;
    if (is_stub) {
        pretend(site, order, report);
    }
done:
    return rc;
}

uap_status uap_site_serve(uap_site *site, uap_err *err)
{
    uap_status rc = UAP_OK;
    for (;;) {
        order_message order;
        report_message report;
        UAP_TRY(uap_desk_wait(site->desk, &order, err));
        if (order.action == ACT_LEAVE || order.action == ACT_STAY) {
            site->last = order;
            return UAP_OK;
        }
        UAP_TRY(obey(site, &order, &report, err));
        UAP_TRY(uap_desk_report(site->desk, &report, err));
    }
done:
    return rc;
}

/* ---- What rank 0 does ------------------------------------------------------------------ */

/* Takes one report; outdated ones are of ranks that came too late. */
static void take_in(uap_site *site, const report_message *report, int from, action act,
                    uap_sample *sample, int32_t *n_open)
{
    const int32_t slot = site->slot[from];
    if (report->epoch != site->epoch || slot == UAP_NOBODY) {
        return;
    }
    site->slot[from] = UAP_NOBODY;
    (*n_open)--;
    sample[slot].is_silent = sample[slot].has_failed = report->failed != 0;
    if (act == ACT_SHORT) {
        sample[slot].latency_s = report->seconds / 2;
    } else {
        sample[slot].seconds = report->seconds;
    }
}

/* Reports until all are there or the time is up, which it is not while this rank stands still
 * itself: whatever holds it up may hold up the others. */
static uap_status collect(uap_site *site, action act, uap_sample *sample, int32_t n_open,
                          double until_s, uap_err *err)
{
    uap_status rc = UAP_OK;
    double now_s = uap_clock_s();
    until_s = fmax(until_s, now_s + OWN_DELAY * site->options.deadline_s);
    while (n_open > 0 && now_s < until_s) {
        report_message report;
        int from = 0;
        bool got = false;
        UAP_TRY(uap_desk_take(site->desk, SLICE_S, &report, &from, &got, err));
        if (got) {
            take_in(site, &report, from, act, sample, &n_open);
        }
        const double held_up_s = uap_clock_s() - now_s - 2 * SLICE_S;
        until_s += fmax(0, held_up_s);
        now_s = uap_clock_s();
    }
done:
    return rc;
}

/* Peers that have fallen silent in this round already are nobody's. */
static int32_t unless_silent(const uap_order *order, const uap_sample *sample, int32_t n,
                             int32_t device)
{
    /* Orders are sorted by device. */
    int32_t low = 0, high = n;
    while (device != UAP_NOBODY && low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (order[middle].device < device) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const bool found = device != UAP_NOBODY && low < n && order[low].device == device;
    return found && sample[low].is_silent ? UAP_NOBODY : device;
}

/* One part of a round: orders out, own work done, reports in. */
static uap_status command(uap_site *site, action act, uap_round_kind kind,
                          const uap_order *order, uap_sample *sample, int32_t n,
                          uap_err *err)
{
    uap_status rc = UAP_OK;
    order_message own = {.action = ACT_STAY};
    int32_t n_open = 0, own_slot = UAP_NOBODY;
    bool has_lost = false;
    site->epoch++;
    const double began_s = uap_clock_s();
    const double until_s = began_s + PATIENCE * site->options.deadline_s;
    for (int32_t i = 0; i < n; i++) {
        const order_message message = {
            .epoch = site->epoch,
            .action = (int32_t)act,
            .kind = (int32_t)kind,
            .to = unless_silent(order, sample, n, order[i].to),
            .from = unless_silent(order, sample, n, order[i].from)};
        if (sample[i].is_silent) {
            continue;
        }
        site->slot[order[i].device] = i;
        n_open++;
        if (order[i].device == 0) {
            own = message;
            own_slot = i;
        } else {
            UAP_TRY(uap_desk_order(site->desk, order[i].device, &message, err));
        }
    }
    if (own_slot != UAP_NOBODY) {
        report_message report;
        uap_fuse_light(site->options.fuse, "rank 0's part of the survey",
                       OWN_PATIENCE * site->options.deadline_s);
        UAP_TRY(obey(site, &own, &report, err));
        uap_fuse_out(site->options.fuse);
        take_in(site, &report, 0, act, sample, &n_open);
    }
    UAP_TRY(collect(site, act, sample, n_open, until_s, err));
    for (int32_t i = 0; i < n; i++) {
        if (site->slot[order[i].device] != UAP_NOBODY) {
            site->slot[order[i].device] = UAP_NOBODY;
            sample[i].is_silent = has_lost = true;
        }
    }
    site->silent_s += has_lost ? uap_clock_s() - began_s : 0;
done:
    return rc;
}

static uap_status measure(void *self, uap_round_kind kind, const uap_order *order,
                          uap_sample *sample, int32_t n, uap_err *err)
{
    uap_site *site = self;
    uap_status rc = UAP_OK;
    if (kind == UAP_ROUND_DEVICES) {
        return command(site, ACT_COMPUTE, kind, order, sample, n, err);
    }
    UAP_TRY(command(site, ACT_SHORT, kind, order, sample, n, err));
    rc = command(site, ACT_LONG, kind, order, sample, n, err);
done:
    return rc;
}

static double elapsed_s(void *self)
{
    const uap_site *site = self;
    return uap_clock_s() - site->began_s - site->silent_s;
}

uap_survey_machine uap_site_machine(uap_site *site)
{
    return (uap_survey_machine){.self = site, .measure = measure, .elapsed_s = elapsed_s};
}

/* ---- Begin and end --------------------------------------------------------------------- */

/* What keeps a device busy for a few milliseconds: large products and a stream. */
static uap_status prepare_work(uap_site *site, uap_device *device, uap_err *err)
{
    static const uap_product cpu = {768, 1536, 1024, 1}, gpu = {8192, 8192, 8192, 1};
    uap_status rc = UAP_OK;
    uap_device_info info;
    UAP_TRY(uap_device_describe(device, &info, err));
    const bool is_gpu = info.backend == UAP_BACKEND_CUDA;
    const uap_work_shape shape = {.n_products = 1,
                                  .product = {is_gpu ? gpu : cpu},
                                  .move_elems = is_gpu ? 3e8 : 3e6,
                                  .precision = is_gpu ? UAP_BF16 : UAP_FP32};
    rc = uap_work_new(device, &shape, &site->work, err);
done:
    return rc;
}

static uap_status prepare(uap_site *site, uap_device *device, uap_err *err)
{
    const int32_t most = site->options.pings > site->options.transfers
                             ? site->options.pings
                             : site->options.transfers;
    const size_t bytes = (size_t)fmax(site->options.bytes, SHORT_BYTES);
    const size_t ranks = (size_t)uap_comm_size(site->comm);
    uap_status rc = UAP_OK;
    site->send = uap_calloc(bytes, 1);
    site->recv = uap_calloc(bytes, 1);
    site->each_s =
        uap_calloc((size_t)(most > RUNS_MAX ? most : RUNS_MAX), sizeof *site->each_s);
    site->slot = uap_calloc(ranks, sizeof *site->slot);
    if (site->send == NULL || site->recv == NULL || site->each_s == NULL ||
        site->slot == NULL) {
        return UAP_FAIL(err, NO_MEMORY, "no memory for messages of %zu bytes", bytes);
    }
    for (size_t r = 0; r < ranks; r++) {
        site->slot[r] = UAP_NOBODY;
    }
    uap_fill_normal((float *)(void *)site->send, (int64_t)(bytes / sizeof(float)));
    memset(site->recv, 0, bytes);
    if (site->options.stub != NULL) {
        UAP_TRY(uap_stub_parse(site->options.stub, &site->stub, err));
    } else {
        UAP_TRY(prepare_work(site, device, err));
    }
done:
    return rc;
}

uap_status uap_site_new(const uap_comm *comm, uap_device *device,
                        const uap_site_options *options, uap_site **out, uap_err *err)
{
    uap_status rc = UAP_OK;
    uap_site *site = uap_calloc(1, sizeof *site);
    *out = NULL;
    UAP_TRY(uap_comm_agree(
        comm, site != NULL ? UAP_OK : UAP_FAIL(err, NO_MEMORY, "no memory for a survey"),
        err));
    site->options = *options;
    UAP_TRY(uap_comm_split(comm, 0, uap_comm_rank(comm), &site->comm, err));
    UAP_TRY(uap_comm_agree(comm, prepare(site, device, err), err));
    UAP_TRY(uap_desk_new(site->comm, sizeof(order_message), sizeof(report_message),
                         &site->desk, err));
    site->began_s = uap_clock_s();
    *out = site;
    site = NULL;
done:
    uap_site_free(site);
    return rc;
}

void uap_site_release(uap_site *site)
{
    if (site->buffers_are_lent) {
        uap_comm_keep(site->send);
        uap_comm_keep(site->recv);
    } else {
        uap_free(site->send);
        uap_free(site->recv);
    }
    uap_work_free(site->work);
    site->send = site->recv = NULL;
    site->work = NULL;
    site->buffers_are_lent = false;
}

void uap_site_free(uap_site *site)
{
    if (site == NULL) {
        return;
    }
    uap_site_release(site);
    uap_desk_free(site->desk);
    uap_free(site->each_s);
    uap_free(site->slot);
    uap_comm_free(site->comm);
    uap_free(site);
}
