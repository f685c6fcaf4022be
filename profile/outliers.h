/* What differs from its like: robust scores, and which end of a link is to blame when many
 * measurements share ends. It decides on numbers that others measured; it measures nothing
 * and names no host. */
#ifndef UAP_PROFILE_OUTLIERS_H
#define UAP_PROFILE_OUTLIERS_H

#include "common/status.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- One value among its like -------------------------------------------------------- */

/* Middle and width of values that should be alike. */
typedef struct uap_centre {
    double median;
    double
        spread; /* 1.4826 MAD (the deviation of a normal law), at least 1 % of median */
} uap_centre;

/* Sorts and overwrites value[0 .. n-1]; infinite ones count. NaN, NaN for n < 1. */
uap_centre uap_centre_of(double *value, int64_t n);

/* How many spreads above the median; infinite for an infinite value. */
double uap_score(double value, uap_centre centre);

/* All three must be passed: one alone is fooled by a clean machine, a noisy one, or a short
 * time. */
typedef struct uap_limit {
    double ratio;  /* value by median */
    double score;  /* spreads above it */
    double excess; /* value less median */
} uap_limit;

/* Whether a time is too long. False for NaN. */
bool uap_is_slow(double value, uap_centre centre, uap_limit limit);

/* ---- Flows and their ends ------------------------------------------------------------ */

/* One direction between two devices, timed by the sender. */
typedef struct uap_flow {
    int32_t from, to; /* devices */
    int32_t kin;      /* flows of one number should be alike, from 0 */
    float latency_s;  /* a short message; infinite: no answer */
    float seconds;    /* a long message; infinite: no answer */
} uap_flow;

/* A long message blames the sender's or the receiver's end, a short one (there and back) the
 * device. */
typedef enum uap_metric { UAP_METRIC_LATENCY, UAP_METRIC_BANDWIDTH } uap_metric;

#define UAP_METRIC_COUNT 2

double uap_flow_value(const uap_flow *flow, uap_metric metric);

/* Ends: that of device d is d for latency, 2 d (sending) and 2 d + 1 (receiving) for
 * bandwidth. end[0] is the sender's. */
void uap_flow_ends(const uap_flow *flow, uap_metric metric, int32_t end[2]);

/* Centres of n_kin kinds of flows, of their healthy ones. Which are healthy is told by what
 * the ends can do with their better partners, lower quartile each and the lower median of
 * all ends: one slow node of four spoils half of all flows, and still is none of these. A
 * kind without flows gets NaN. Errors: NO_MEMORY. O(n_kin n + n log n). Local. */
UAP_NODISCARD uap_status uap_flow_centres(const uap_flow *flow, int64_t n,
                                          int32_t n_devices, int32_t n_kin,
                                          uap_metric metric, uap_limit limit,
                                          uap_centre *out, uap_err *err);

/* What is known of an end. */
typedef struct uap_end {
    uint16_t flows, slow; /* how many it has, and how many of them were slow */
} uap_end;

/* To blame: all of its flows are slow; of many (8 or more) three in four do, for two faults
 * may meet in a flow that only one of them makes slow. */
bool uap_end_is_accused(uap_end end);

/* Not to blame: one of its flows was well. */
bool uap_end_is_cleared(uap_end end);

/* Decodes by intersection: fills end[0 .. 2 n_devices - 1] from the flows. Local. */
void uap_flow_decode(const uap_flow *flow, int64_t n, int32_t n_devices,
                     uap_metric metric, const uap_centre *centre, uap_limit limit,
                     uap_end *end);

#ifdef __cplusplus
}
#endif
#endif
