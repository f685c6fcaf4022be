/* Median and MAD, the healthy flows of a kind, and decoding by intersection. */
#include "profile/outliers.h"

#include "common/mem.h"
#include "profile/fit.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* The MAD of a normal law is its deviation by this. */
#define MAD_TO_DEVIATION 1.4826
/* Below this share of the median nothing is called a difference: clocks and equal values. */
#define LEAST_SPREAD 0.01

uap_centre uap_centre_of(double *value, int64_t n)
{
    const double median = uap_median(value, n);
    /* Infinite values are as far away as can be; the difference of two would be NaN. */
    for (int64_t i = 0; i < n; i++) {
        value[i] = isinf(value[i]) ? (double)INFINITY : fabs(value[i] - median);
    }
    const double deviation = MAD_TO_DEVIATION * uap_median(value, n);
    return (uap_centre){median, fmax(deviation, LEAST_SPREAD * median)};
}

double uap_score(double value, uap_centre centre)
{
    return isinf(value) ? (double)INFINITY : (value - centre.median) / centre.spread;
}

bool uap_is_slow(double value, uap_centre centre, uap_limit limit)
{
    return value > limit.ratio * centre.median &&
           uap_score(value, centre) > limit.score && value - centre.median > limit.excess;
}

double uap_flow_value(const uap_flow *flow, uap_metric metric)
{
    return (double)(metric == UAP_METRIC_LATENCY ? flow->latency_s : flow->seconds);
}

void uap_flow_ends(const uap_flow *flow, uap_metric metric, int32_t end[2])
{
    const bool is_latency = metric == UAP_METRIC_LATENCY;
    end[0] = is_latency ? flow->from : 2 * flow->from;
    end[1] = is_latency ? flow->to : 2 * flow->to + 1;
}

/* Room for one kind of flows at a time. */
typedef struct work {
    const uap_flow *flow;
    int64_t n;
    int32_t n_ends;
    uap_metric metric;
    int64_t *start; /* [n_ends + 1] */
    double *by_end; /* [2 * most of a kind]: values, sorted by end */
    double *column; /* [max(n_ends, most of a kind)] */
} work;

static int64_t most_of_a_kind(const uap_flow *flow, int64_t n, int32_t n_kin,
                              int64_t *count)
{
    int64_t most = 0;
    for (int64_t i = 0; i < n; i++) {
        count[flow[i].kin]++;
    }
    for (int32_t k = 0; k < n_kin; k++) {
        most = count[k] > most ? count[k] : most;
    }
    return most;
}

/* Puts each value of the kind to both of its ends: counts, offsets, values. */
static void sort_by_end(work *w, int32_t kin)
{
    int32_t end[2];
    memset(w->start, 0, ((size_t)w->n_ends + 1) * sizeof *w->start);
    for (int64_t i = 0; i < w->n; i++) {
        if (w->flow[i].kin == kin) {
            uap_flow_ends(&w->flow[i], w->metric, end);
            w->start[end[0]]++;
            w->start[end[1]]++;
        }
    }
    int64_t sum = 0;
    for (int32_t e = 0; e <= w->n_ends; e++) {
        sum += w->start[e];
        w->start[e] = sum;
    }
    /* Filled from behind, so that start[e] ends at the first value of e. */
    for (int64_t i = 0; i < w->n; i++) {
        if (w->flow[i].kin == kin) {
            const double value = uap_flow_value(&w->flow[i], w->metric);
            uap_flow_ends(&w->flow[i], w->metric, end);
            w->by_end[--w->start[end[0]]] = value;
            w->by_end[--w->start[end[1]]] = value;
        }
    }
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* What the middle end can do with its better partners; NaN without flows. */
static double reference_of(work *w, int32_t kin)
{
    int64_t n = 0;
    sort_by_end(w, kin);
    for (int32_t e = 0; e < w->n_ends; e++) {
        const int64_t here = w->start[e + 1] - w->start[e];
        if (here > 0) {
            double *value = w->by_end + w->start[e];
            qsort(value, (size_t)here, sizeof *value, compare);
            w->column[n++] = value[(here - 1) / 4];
        }
    }
    qsort(w->column, (size_t)n, sizeof *w->column, compare);
    return n > 0 ? w->column[(n - 1) / 2] : (double)NAN;
}

static uap_centre centre_of_kind(work *w, int32_t kin, uap_limit limit)
{
    const double reference = reference_of(w, kin);
    const double most = fmax(limit.ratio * reference, reference + limit.excess);
    int64_t n = 0;
    for (int64_t i = 0; i < w->n; i++) {
        const double value = uap_flow_value(&w->flow[i], w->metric);
        if (w->flow[i].kin == kin && value <= most) {
            w->column[n++] = value;
        }
    }
    return uap_centre_of(w->column, n);
}

uap_status uap_flow_centres(const uap_flow *flow, int64_t n, int32_t n_devices,
                            int32_t n_kin, uap_metric metric, uap_limit limit,
                            uap_centre *out, uap_err *err)
{
    uap_status rc = UAP_OK;
    work w = {.flow = flow, .n = n, .n_ends = 2 * n_devices, .metric = metric};
    int64_t *count = uap_calloc((size_t)n_kin, sizeof *count);
    const int64_t most = count != NULL ? most_of_a_kind(flow, n, n_kin, count) : 0;
    const int64_t column = most > w.n_ends ? most : w.n_ends;
    w.start = uap_calloc((size_t)w.n_ends + 1, sizeof *w.start);
    w.by_end = uap_calloc(2 * (size_t)most, sizeof *w.by_end);
    w.column = uap_calloc((size_t)column, sizeof *w.column);
    if (count == NULL || w.start == NULL || w.by_end == NULL || w.column == NULL) {
        rc = UAP_FAIL(err, NO_MEMORY, "no memory to judge %lld flows", (long long)n);
        goto done;
    }
    for (int32_t k = 0; k < n_kin; k++) {
        out[k] = centre_of_kind(&w, k, limit);
    }
done:
    uap_free(w.column);
    uap_free(w.by_end);
    uap_free(w.start);
    uap_free(count);
    return rc;
}

/* So many flows say more than that all or not all of them are slow. */
#define MANY_FLOWS 8

bool uap_end_is_accused(uap_end end)
{
    const bool all = end.flows > 0 && end.slow == end.flows;
    return all || (end.flows >= MANY_FLOWS && 4 * end.slow >= 3 * end.flows);
}

bool uap_end_is_cleared(uap_end end)
{
    return end.slow < end.flows && !uap_end_is_accused(end);
}

void uap_flow_decode(const uap_flow *flow, int64_t n, int32_t n_devices,
                     uap_metric metric, const uap_centre *centre, uap_limit limit,
                     uap_end *end)
{
    memset(end, 0, 2 * (size_t)n_devices * sizeof *end);
    for (int64_t i = 0; i < n; i++) {
        int32_t at[2];
        const bool slow =
            uap_is_slow(uap_flow_value(&flow[i], metric), centre[flow[i].kin], limit);
        uap_flow_ends(&flow[i], metric, at);
        for (int e = 0; e < 2; e++) {
            end[at[e]].flows++;
            end[at[e]].slow = (uint16_t)(end[at[e]].slow + slow);
        }
    }
}
