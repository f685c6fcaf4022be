/* What moving bytes costs: collectives, resharding, stage boundaries; and the rounding of
 * seconds. docs/cost-model.md sections 1, 1.1 and 8. */
#include "plan/check_internal.h"

#include <math.h>

/* Table entries above this many ticks are refused; 2^62, a year and a half. */
#define TICKS_MAX 4.6e18

uap_status uap_check_ticks(double seconds, int64_t *out, uap_err *err)
{
    const double ticks = floor(seconds * UAP_CHECK_TICKS_PER_S + 0.5);
    if (!(ticks >= 0 && ticks < TICKS_MAX)) {
        return UAP_FAIL(err, TOO_LARGE,
                        "a time of %g s: expected 0 to %g s in the whole plan", seconds,
                        TICKS_MAX / UAP_CHECK_TICKS_PER_S);
    }
    *out = (int64_t)ticks;
    return UAP_OK;
}

/* `bytes` in all over a link, and so many latencies; a message has `message` of the bytes. */
static double over_link(const uap_check_setting *setting, const uap_link *link,
                        double bytes, double latencies, double message)
{
    if (setting->paper) {
        return bytes / link->bandwidth_Bps;
    }
    const uap_piece line = uap_link_line(link, message);
    return line.latency_s * latencies + bytes / line.bandwidth_Bps;
}

double uap_check_collective(const uap_check_setting *setting, uap_collective_kind kind,
                            int64_t size, int64_t stride, double bytes, double pieces)
{
    if (size <= 1 || !(bytes > 0)) {
        return 0.0;
    }
    const uap_span span = uap_cluster_group_span(setting->cluster, setting->n_devices,
                                                 (int32_t)size, stride);
    const uap_link link =
        uap_cluster_group_link(setting->cluster, kind, (int32_t)size, stride, span);
    return over_link(setting, &link, bytes, pieces, bytes / pieces);
}

/* What a device of one stage has at hand towards the other: all of its node send at once. */
static uap_link way_out(const uap_check_setting *here, const uap_check_setting *other)
{
    const int64_t node = uap_cluster_node_size(here->cluster);
    const int64_t at_once = here->stage_devices < node ? here->stage_devices : node;
    if (here->group != other->group) {
        return uap_cluster_between_link(here->groups, here->group, other->group, at_once);
    }
    return uap_cluster_p2p_link(
        here->cluster, here->n_devices <= node ? UAP_SPAN_NODE : UAP_SPAN_CLUSTER,
        at_once);
}

/* All at once: each side's share through its own port, the slower one counts. */
double uap_check_send(const uap_check_setting *from, const uap_check_setting *to,
                      double times, double bytes)
{
    if (!(bytes > 0)) {
        return 0.0;
    }
    const uap_link way_there = way_out(from, to), way_in = way_out(to, from);
    const double bytes_out = times * bytes / (double)from->stage_devices;
    const double bytes_in = times * bytes / (double)to->stage_devices;
    uap_piece out = {0, way_there.latency_s, way_there.bandwidth_Bps};
    uap_piece in = {0, way_in.latency_s, way_in.bandwidth_Bps};
    if (!from->paper) {
        out = uap_link_line(&way_there, bytes_out);
        in = uap_link_line(&way_in, bytes_in);
    }
    const double sent = bytes_out / out.bandwidth_Bps;
    const double received = bytes_in / in.bandwidth_Bps;
    const double latency = from->paper ? 0.0 : fmax(out.latency_s, in.latency_s);
    return latency + fmax(sent, received);
}

double uap_check_tie(const uap_check_setting *setting, int32_t other, double bytes)
{
    const int64_t node = uap_cluster_node_size(setting->cluster);
    const int64_t d = setting->stage_devices;
    if (!(bytes > 0)) {
        return 0.0;
    }
    if (other != setting->group) {
        const uap_link link = uap_cluster_between_link(setting->groups, setting->group,
                                                       other, d < node ? d : node);
        return over_link(setting, &link, bytes, 2, bytes);
    }
    if (setting->n_devices == d) {
        return 0.0;
    }
    return uap_check_collective(setting, UAP_ALL_REDUCE, 2, setting->n_devices - d, bytes,
                                1);
}

static int64_t least_common_multiple(int64_t a, int64_t b)
{
    int64_t x = a, y = b;
    while (y != 0) {
        const int64_t rest = x % y;
        x = y;
        y = rest;
    }
    return a / x * b;
}

double uap_check_held(const uap_check_setting *setting, double bytes, uap_check_layout s)
{
    return bytes * (double)(s.sp ? 1 : s.tp) / (double)setting->stage_devices;
}

double uap_check_move(const uap_check_setting *setting, double bytes, uap_check_layout s,
                      uap_check_layout t)
{
    const double d = (double)setting->stage_devices;
    const double gathered = bytes * (double)t.tp / d;
    if (s.tp == t.tp && s.sp == t.sp) {
        return 0.0;
    }
    if (!s.sp && s.tp % t.tp == 0) {
        return 0.0;
    }
    if (!t.sp && t.tp % s.tp == 0) {
        return s.sp ? uap_check_collective(setting, UAP_ALL_GATHER, t.tp, 1, gathered, 1)
                    : uap_check_collective(setting, UAP_ALL_GATHER, t.tp / s.tp, s.tp,
                                           gathered, 1);
    }
    double time = uap_check_collective(
        setting, UAP_ALL_TO_ALL, least_common_multiple(s.tp, t.tp), 1, bytes / d, 1);
    if (!t.sp) {
        time += uap_check_collective(setting, UAP_ALL_GATHER, t.tp, 1, gathered, 1);
    }
    return time;
}

static int64_t greatest_common_divisor(int64_t a, int64_t b)
{
    return b == 0 ? a : greatest_common_divisor(b, a % b);
}

double uap_check_cross(const uap_check_setting *from, const uap_check_setting *to,
                       double bytes, uap_check_layout s, uap_check_layout t)
{
    const bool alike = from->stage_devices == to->stage_devices;
    const uap_check_layout kept = {greatest_common_divisor(s.tp, to->stage_devices),
                                   s.sp};
    const uap_check_layout in_slices = {kept.tp, true}, wanted = {t.tp, true};
    double best = uap_check_send(from, to, s.sp ? 1.0 : (double)kept.tp, bytes) +
                  uap_check_move(to, bytes, kept, t);
    if (!s.sp && kept.tp > 1) {
        best = fmin(best, uap_check_send(from, to, 1, bytes) +
                              uap_check_move(to, bytes, in_slices, t));
    }
    if (!alike) {
        best = fmin(best, uap_check_send(from, to, 1, bytes) +
                              uap_check_move(to, bytes, wanted, t));
    }
    return best;
}
